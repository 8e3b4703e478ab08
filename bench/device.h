/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A table of descriptors, as virtio has them; and a file that is read. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#define DEVICE_RING 256
#define DEVICE_NEXT 1

struct device_descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* The file has so many pieces; reading goes on at its start then. */
#define DEVICE_PIECE 4096
#define DEVICE_PIECES 1024

/* Before read number 'i' of a batch. */
static inline void
device_rewind(int fd, size_t i)
{
	if (i % DEVICE_PIECES == 0)
		(void)lseek(fd, 0, SEEK_SET);
}

#endif
