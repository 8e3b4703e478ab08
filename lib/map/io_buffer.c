/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Buffers for bytes that a system call cannot move to or from the guest. */
#include <sys/mman.h>

#include "map/access_priv.h"
#include "map/io_priv.h"

int
vmmem_io_buffer_get(struct vmmem_io_buffer *buffer, size_t len, bool populate)
{
	const int error = errno;
	void *bytes;
	int rc = 0;

	bytes = mmap(NULL, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			     (populate ? MAP_POPULATE : 0),
		     -1, 0);
	if (bytes == MAP_FAILED)
		rc = -errno;
	else
		*buffer = (struct vmmem_io_buffer){ bytes, len };
	errno = error;
	return rc;
}

void
vmmem_io_buffer_put(struct vmmem_io_buffer *buffer)
{
	const int error = errno;

	munmap(buffer->bytes, buffer->len);
	errno = error;
}

int
vmmem_io_copy(struct vmmem_io_cursor *cursor, void *bytes, uint64_t len,
	      bool from_guest, uint64_t *ret_done)
{
	unsigned char *byte = bytes;
	uint64_t gpa, part, moved;
	int rc = 0;

	*ret_done = 0;
	while (rc == 0 && len != 0) {
		while (cursor->at == cursor->range->len) {
			cursor->range++;
			cursor->at = 0;
		}
		gpa = cursor->range->gpa + cursor->at;
		part = cursor->range->len - cursor->at;
		if (part > len)
			part = len;
		rc = from_guest ? vmmem_access_read_slow(cursor->collection,
							 gpa, byte,
							 (size_t)part, &moved) :
				  vmmem_access_write_slow(cursor->collection,
							  gpa, byte,
							  (size_t)part, &moved);
		*ret_done += moved;
		cursor->at += moved;
		cursor->left -= moved;
		byte += moved;
		len -= moved;
	}
	return rc;
}
