/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Which pages of this process there are, by /proc/self/pagemap. */
#include "region/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/error.h>

#include "base/cancel.h"

/* As in <linux/fs.h> of Linux 6.7, which older headers lack. */
struct scan {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t vec;
	uint64_t vec_len;
	uint64_t max_pages;
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_anyof_mask;
	uint64_t return_mask;
};
struct run {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};
#define SCAN _IOWR('f', 16, struct scan)
#define IS_FILE (UINT64_C(1) << 2)
#define IS_PRESENT (UINT64_C(1) << 3)
#define IS_SWAPPED (UINT64_C(1) << 4)
#define IS_ZERO (UINT64_C(1) << 5)
#define IS_HUGE (UINT64_C(1) << 6)

/* The bits of each page that read(2) gives without privileges. */
#define BIT_FILE (UINT64_C(1) << 61)
#define BIT_SWAPPED (UINT64_C(1) << 62)
#define BIT_PRESENT (UINT64_C(1) << 63)

/* How many pages are read at once, on the stack. */
#define ENTRIES 512

/* scan_next() is vmmem_pagemap_next() where the system can search itself. */
static int
scan_next(const struct vmmem_pagemap *pagemap, enum vmmem_pages pages,
	  uint64_t from, uint64_t end, uint64_t *ret_from, uint64_t *ret_end)
{
	struct run run = { 0 };
	struct scan scan = {
		.size = sizeof(scan),
		.start = from,
		.end = end,
		.vec = (uintptr_t)&run,
		.vec_len = 1,
		/* One of these, and none of those that are inverted. */
		.category_anyof_mask = IS_PRESENT | IS_SWAPPED,
		.category_inverted = IS_ZERO,
		.category_mask = IS_ZERO,
		.return_mask = IS_PRESENT,
	};
	int count;

	if (pages == VMMEM_PAGES_PRIVATE) {
		scan.category_inverted |= IS_FILE;
		scan.category_mask |= IS_FILE;
	} else if (pages == VMMEM_PAGES_HUGE) {
		scan.category_mask |= IS_HUGE;
	}
	do
		count = ioctl(pagemap->fd, SCAN, &scan);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return -errno;
	*ret_from = count != 0 ? run.start : end;
	*ret_end = count != 0 ? run.end : end;
	return 0;
}

static bool
is_wanted(enum vmmem_pages pages, uint64_t entry)
{
	if ((entry & (BIT_PRESENT | BIT_SWAPPED)) == 0)
		return false;
	return pages != VMMEM_PAGES_PRIVATE || (entry & BIT_FILE) == 0;
}

/* read_entries() reads the words of up to 'count' pages from 'at' on. */
static int
read_entries(const struct vmmem_pagemap *pagemap, uint64_t at,
	     uint64_t *entries, uint64_t count, uint64_t *ret_count)
{
	const off_t offset = (off_t)(at / pagemap->page_size *
				     sizeof(*entries));
	ssize_t got;

	do
		got = pread(pagemap->fd, entries,
			    (size_t)count * sizeof(*entries), offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	*ret_count = (uint64_t)got / sizeof(*entries);
	/* Behind the last address that a process can have. */
	return *ret_count == 0 ? -EIO : 0;
}

static int
read_next(const struct vmmem_pagemap *pagemap, enum vmmem_pages pages,
	  uint64_t from, uint64_t end, uint64_t *ret_from, uint64_t *ret_end)
{
	uint64_t entries[ENTRIES] = { 0 };
	uint64_t count, i, at = from;
	bool found = false;
	int rc;

	*ret_from = *ret_end = end;
	while (at < end) {
		count = (end - at) / pagemap->page_size;
		rc = read_entries(pagemap, at, entries,
				  count < ENTRIES ? count : ENTRIES, &count);
		if (rc != 0)
			return rc;
		for (i = 0; i < count; i++, at += pagemap->page_size) {
			if (is_wanted(pages, entries[i]) == found)
				continue;
			if (found) {
				*ret_end = at;
				return 0;
			}
			found = true;
			*ret_from = at;
		}
	}
	return 0;
}

int
vmmem_pagemap_next(const struct vmmem_pagemap *pagemap, enum vmmem_pages pages,
		   uint64_t from, uint64_t end, uint64_t *ret_from,
		   uint64_t *ret_end)
{
	if (from >= end) {
		*ret_from = *ret_end = end;
		return 0;
	}
	return (pagemap->scans ? scan_next : read_next)(
		pagemap, pages, from, end, ret_from, ret_end);
}

/*
 * Some pages that are touched and some that are not, as no others will be by
 * chance: an emulator of another byte order gives random bits.
 */
#define PATTERN 0xb26c53e1U
#define PATTERN_PAGES 32U

/* looks_so() is whether pages of our own look as they were made. */
static int
looks_so(const struct vmmem_pagemap *pagemap, uint64_t pages, bool *ret_so)
{
	uint64_t at = pages, from, end;
	unsigned int i, seen = 0;
	int rc;

	for (i = 0; i < PATTERN_PAGES; i++, at += pagemap->page_size) {
		rc = vmmem_pagemap_next(pagemap, VMMEM_PAGES_THERE, at,
					at + pagemap->page_size, &from, &end);
		if (rc != 0)
			return rc;
		if (from != end)
			seen |= 1U << i;
	}
	*ret_so = seen == PATTERN;
	return 0;
}

/*
 * is_ours() finds out whether the file is about this process' addresses: under
 * an emulator it is about those of the emulator.
 */
static int
is_ours(const struct vmmem_pagemap *pagemap, bool *ret_ours)
{
	const size_t len = (size_t)(PATTERN_PAGES * pagemap->page_size);
	volatile unsigned char *pages;
	unsigned int i;
	int rc;

	/*
	 * Page by page: without huge pages, and shared, so that after
	 * mlockall(MCL_FUTURE) none is made before it is touched.
	 */
	pages = mmap(NULL, len, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return -errno;
	if (mprotect((void *)(uintptr_t)pages, len, PROT_READ | PROT_WRITE) !=
	    0) {
		rc = -errno;
		goto unmap;
	}
	/* It fails only where there are no huge pages. */
	(void)madvise((void *)(uintptr_t)pages, len, MADV_NOHUGEPAGE);
	for (i = 0; i < PATTERN_PAGES; i++)
		if ((PATTERN >> i & 1U) != 0)
			pages[i * pagemap->page_size] = 1;
	rc = looks_so(pagemap, (uintptr_t)pages, ret_ours);
unmap:
	munmap((void *)(uintptr_t)pages, len);
	return rc;
}

/* is_usable() is is_ours() once, as that does not change: 0, a code if not. */
static int
is_usable(const struct vmmem_pagemap *pagemap)
{
	/*
	 * 0, or 1 for yes and 2 for no.  Relaxed: all threads that race find
	 * the same.
	 */
	static int known;
	int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
	bool ours = false;
	int rc;

	if (answer == 0) {
		rc = is_ours(pagemap, &ours);
		if (rc != 0)
			return rc;
		answer = ours ? 1 : 2;
		__atomic_store_n(&known, answer, __ATOMIC_RELAXED);
	}
	return answer == 1 ? 0 : VMMEM_ENOSUPPORT;
}

/* probe() finds out whether the system can search, by any page. */
static int
probe(struct vmmem_pagemap *pagemap)
{
	const uint64_t page = (uintptr_t)pagemap & -pagemap->page_size;
	uint64_t from, end;
	int rc;

	pagemap->scans = true;
	rc = vmmem_pagemap_next(pagemap, VMMEM_PAGES_THERE, page,
				page + pagemap->page_size, &from, &end);
	/* Emulators have names of their own for what they do not know. */
	if (rc == -ENOTTY || rc == -EINVAL || rc == -ENOSYS) {
		pagemap->scans = false;
		rc = 0;
	}
	return rc != 0 ? rc : is_usable(pagemap);
}

int
vmmem_pagemap_open(struct vmmem_pagemap *ret_pagemap)
{
	struct vmmem_pagemap pagemap = {
		.page_size = (uint64_t)sysconf(_SC_PAGESIZE),
		.cancel = vmmem_cancel_off(),
	};
	int rc;

	pagemap.fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap.fd >= 0)
		rc = probe(&pagemap);
	else
		rc = errno == ENOENT || errno == EACCES ? VMMEM_ENOSUPPORT :
							  -errno;
	if (rc == 0) {
		*ret_pagemap = pagemap;
		return 0;
	}
	if (pagemap.fd >= 0)
		close(pagemap.fd);
	vmmem_cancel_back(pagemap.cancel);
	return rc;
}

void
vmmem_pagemap_close(const struct vmmem_pagemap *pagemap)
{
	close(pagemap->fd);
	vmmem_cancel_back(pagemap->cancel);
}
