/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The mappings of this process, one by one. */
#include "region/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vmmem/error.h>

#include "base/cancel.h"
#include "base/digits.h"

/* As in <linux/fs.h> of Linux 6.11, which older headers lack. */
struct query {
	uint64_t size;
	uint64_t flags;
	uint64_t address;
	uint64_t start;
	uint64_t end;
	uint64_t vma_flags;
	uint64_t page_size;
	uint64_t offset;
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t name_size;
	uint32_t build_id_size;
	uint64_t name;
	uint64_t build_id;
};
#define QUERY _IOWR('f', 17, struct query)
#define IS_SHARED 0x08
#define OR_NEXT 0x10

static int
ask(int fd, uint64_t address, struct vmmem_mapping *ret_mapping)
{
	struct query query = {
		.size = sizeof(query),
		.flags = OR_NEXT,
		.address = address,
	};

	if (ioctl(fd, QUERY, &query) != 0)
		return errno == ENOENT ? VMMEM_ENOREGION : -errno;
	*ret_mapping = (struct vmmem_mapping){
		.first = query.start,
		.last = query.end - 1,
		.shared = (query.vma_flags & IS_SHARED) != 0,
		.has_file = query.inode != 0,
	};
	return 0;
}

/*
 * parse() reads a line "first-end rwxp offset major:minor inode ...", of which
 * the beginning will do.  False if it is none.
 */
static bool
parse(const char *line, struct vmmem_mapping *ret_mapping)
{
	int spaces = 0;

	ret_mapping->first = vmmem_digits(&line, 16);
	if (*line++ != '-')
		return false;
	ret_mapping->last = vmmem_digits(&line, 16) - 1;
	if (*line++ != ' ')
		return false;
	for (; *line != '\0' && spaces < 3; line++) {
		if (*line == 's' && spaces == 0)
			ret_mapping->shared = true;
		spaces += *line == ' ';
	}
	ret_mapping->has_file = vmmem_digits(&line, 10) != 0;
	return spaces == 3;
}

/* The addresses, 'rwxp', an offset, a device and an inode are shorter. */
#define LINE_MAX_LEN 128

/* search() reads line by line, for systems that cannot be asked. */
static int
search(int fd, uint64_t address, struct vmmem_mapping *ret_mapping)
{
	char buf[4096] = "", line[LINE_MAX_LEN + 1];
	size_t len = 0, i;
	ssize_t got;

	for (;;) {
		got = read(fd, buf, sizeof(buf));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : VMMEM_ENOREGION;
		for (i = 0; i < (size_t)got; i++) {
			if (buf[i] != '\n') {
				if (len < LINE_MAX_LEN)
					line[len++] = buf[i];
				continue;
			}
			line[len] = '\0';
			len = 0;
			*ret_mapping = (struct vmmem_mapping){ 0 };
			if (!parse(line, ret_mapping))
				return VMMEM_ENOSUPPORT;
			if (ret_mapping->last >= address)
				return 0;
		}
	}
}

int
vmmem_mapping_at(uint64_t address, struct vmmem_mapping *ret_mapping)
{
	const int cancel = vmmem_cancel_off();
	int fd, rc;

	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		rc = ask(fd, address, ret_mapping);
		/* Emulators have names of their own for what they lack. */
		if (rc == -ENOTTY || rc == -EINVAL || rc == -ENOSYS)
			rc = search(fd, address, ret_mapping);
		close(fd);
	} else {
		rc = errno == ENOENT || errno == EACCES ? VMMEM_ENOSUPPORT :
							  -errno;
	}
	vmmem_cancel_back(cancel);
	return rc;
}
