/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Giving back memory that was mapped. */
#ifndef UNMAP_H
#define UNMAP_H

#include <stddef.h>
#include <sys/mman.h>

/* As <linux/mman.h> of Linux 5.18, which older headers lack. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

/*
 * vmmem_unmap() can fail only if the kernel has no memory to note it, or the
 * process has too many mappings: the kernel joins neighbours that are alike,
 * and to take a piece out of the middle makes one mapping more.  Then the
 * addresses stay, and the pages, which cost more, go all the same.
 */
static inline void
vmmem_unmap(void *first, size_t len)
{
	/* The second does not do so to locked pages, unless it is told to. */
	if (munmap(first, len) != 0 &&
	    madvise(first, len, MADV_DONTNEED) != 0)
		(void)madvise(first, len, MADV_DONTNEED_LOCKED);
}

#endif
