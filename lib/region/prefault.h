/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Making pages before they are touched, in several threads. */
#ifndef PREFAULT_H
#define PREFAULT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

/* Linux 5.14; not every C library has them yet. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

struct vmmem_prefault {
	unsigned char *address; /* whole pages of 'page_size' */
	size_t len;
	size_t page_size;
	int advice; /* MADV_POPULATE_READ or MADV_POPULATE_WRITE */
	uint32_t threads;
	int (*progress)(void *opaque, uint64_t done, uint64_t total);
	void *opaque;
};

/*
 * vmmem_prefault() makes all pages and stores how many threads did.  Returns
 * 0, what 'progress' returned, VMMEM_ESHORTAGE if the system has no page,
 * VMMEM_ENOSUPPORT if the system cannot do it, or -errno.  No thread is left.
 */
int vmmem_prefault(const struct vmmem_prefault *prefault,
		   uint32_t *ret_threads);

#endif
