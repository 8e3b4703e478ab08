/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Which parts of a file have data, and which are holes. */
#include "region/file_data.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"

/* A descriptor's number has no more digits. */
#define DIGITS 10

/* name_of() is the name of a descriptor, which is not negative. */
static void
name_of(int fd, char *name)
{
	static const char prefix[] = "/proc/self/fd/";
	char digits[DIGITS];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + fd % 10);
		fd /= 10;
	} while (fd != 0);
	memcpy(name, prefix, sizeof(prefix) - 1);
	name += sizeof(prefix) - 1;
	while (count != 0)
		*name++ = digits[--count];
	*name = '\0';
}

/* open_again() opens the file once more, or else uses the caller's 'fd'. */
static int
open_again(int fd, struct vmmem_file_data *data)
{
	char name[sizeof("/proc/self/fd/") + DIGITS];

	name_of(fd, name);
	/* Without waiting for the holder of a lease. */
	data->fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	data->own = data->fd >= 0;
	if (data->own)
		return 0;
	/* Not permitted; no /proc; another process has a lease. */
	if (errno != EACCES && errno != ENOENT && errno != EAGAIN)
		return -errno;
	data->fd = fd;
	data->restore = lseek(fd, 0, SEEK_CUR);
	return data->restore < 0 ? -errno : 0;
}

int
vmmem_file_data_open(int fd, struct vmmem_file_data *ret_data)
{
	struct vmmem_file_data data = { .fd = fd };
	int rc;

	if (fd < 0)
		return -EBADF;
	data.cancel = vmmem_cancel_off();
	rc = open_again(fd, &data);
	if (rc == 0)
		*ret_data = data;
	else
		vmmem_cancel_back(data.cancel);
	return rc;
}

void
vmmem_file_data_close(const struct vmmem_file_data *data)
{
	if (data->own)
		close(data->fd);
	else
		(void)!lseek(data->fd, data->restore, SEEK_SET);
	vmmem_cancel_back(data->cancel);
}

int
vmmem_file_data_next(const struct vmmem_file_data *data, uint64_t from,
		     uint64_t end, uint64_t *ret_from, uint64_t *ret_end)
{
	off_t first, behind;

	*ret_from = *ret_end = end;
	if (from >= end)
		return 0;
	first = lseek(data->fd, (off_t)from, SEEK_DATA);
	if (first < 0 && errno == ENXIO)
		return 0;
	if (first < 0 && errno == EINVAL) {
		*ret_from = from;
		return 0;
	}
	if (first < 0)
		return -errno;
	if ((uint64_t)first >= end)
		return 0;
	/* Another process may have cut the file there meanwhile. */
	behind = lseek(data->fd, first, SEEK_HOLE);
	if (behind < 0 && errno != ENXIO)
		return -errno;
	*ret_from = (uint64_t)first;
	if (behind > first && (uint64_t)behind < end)
		*ret_end = (uint64_t)behind;
	return 0;
}
