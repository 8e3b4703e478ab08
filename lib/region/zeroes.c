/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Finding out that bytes are zero. */
#include "region/zeroes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* How much of a file is read at once, on the stack. */
#define CHUNK ((size_t)16 << 10)

bool
vmmem_zeroes_in_memory(const unsigned char *bytes, size_t len)
{
	/* If the first is, and each is what the one before it is. */
	return len == 0 ||
	       (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

bool
vmmem_zeroes_in_file(int fd, uint64_t offset, uint64_t len)
{
	unsigned char bytes[CHUNK] = { 0 };
	ssize_t got;

	while (len != 0) {
		got = pread(fd, bytes, len < CHUNK ? (size_t)len : CHUNK,
			    (off_t)offset);
		if (got < 0 && errno != EINTR)
			return false;
		/* Behind the end there are no bytes. */
		if (got == 0)
			return true;
		if (got < 0)
			continue;
		if (!vmmem_zeroes_in_memory(bytes, (size_t)got))
			return false;
		offset += (uint64_t)got;
		len -= (uint64_t)got;
	}
	return true;
}
