/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Residency: bytes in memory, in huge pages, locked, and on which node. */
#include <vmmem/error.h>
#include <vmmem/policy.h>
#include <vmmem/residency.h>

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/api.h"
#include "base/cancel.h"
#include "region/mapping.h"
#include "region/pagemap.h"
#include "base/range.h"
#include "region/region_priv.h"
#include "region/smaps.h"
#include "base/struct_size.h"

/* How many pages the system is asked about at once, on the stack. */
#define MINCORE_PAGES ((size_t)4096)
#define NODE_PAGES ((size_t)512)

/* The host addresses of a range, not empty, and its pages. */
struct pages {
	uintptr_t first;
	uintptr_t last;
	uintptr_t from; /* of the first page */
	uintptr_t page_size;
};

static int
find(const struct vmmem_region *region, uint64_t offset, uint64_t len,
     uint64_t page_size, struct pages *ret_pages)
{
	uint64_t span = region->last - region->start;

	if (offset > span || !vmmem_range_within(span, offset, len))
		return VMMEM_EOUTOFRANGE;
	if (region->host == NULL)
		return VMMEM_ENOHOST;
	ret_pages->first = (uintptr_t)region->host + offset;
	ret_pages->last = ret_pages->first + (len - 1);
	ret_pages->page_size = page_size;
	ret_pages->from = ret_pages->first & -ret_pages->page_size;
	return 0;
}

/* overlap() is how much of the addresses [from, end) lies in the range. */
static uint64_t
overlap(const struct pages *pages, uint64_t from, uint64_t end)
{
	uint64_t last = end - 1;

	if (from < pages->first)
		from = pages->first;
	if (last > pages->last)
		last = pages->last;
	return from > last ? 0 : last - from + 1;
}

/* covered() is how much of the page at 'at' lies in the range. */
static uint64_t
covered(const struct pages *pages, uintptr_t at)
{
	return overlap(pages, at, at + pages->page_size);
}

/* batch() is how many pages from 'at' on, at most 'max', are in the range. */
static size_t
batch(const struct pages *pages, uintptr_t at, size_t max)
{
	uintptr_t left = (pages->last - at) / pages->page_size + 1;

	return left < max ? left : max;
}

static int
count_resident(const struct pages *pages, uint64_t *ret_bytes)
{
	unsigned char in_core[MINCORE_PAGES];
	uintptr_t at = pages->from;
	uint64_t bytes = 0;
	size_t count, i;

	for (;;) {
		count = batch(pages, at, MINCORE_PAGES);
		/* The address came from an integer, as the range did. */
		if (mincore((void *)at, count * pages->page_size, in_core) !=
		    0)
			return -errno;
		for (i = 0; i < count; i++, at += pages->page_size) {
			if ((in_core[i] & 1) != 0)
				bytes += covered(pages, at);
		}
		/* Also if the last page is that of the address space. */
		if (at - 1 >= pages->last)
			break;
	}
	*ret_bytes = bytes;
	return 0;
}

/*
 * is_small() tells whether no huge page fits a mapping: a huge page is the span
 * of one entry of the second level of page tables, 2 MiB for pages of 4 KiB.
 */
static bool
is_small(const struct vmmem_region *owner, uint64_t page_size)
{
	return owner->map != NULL &&
	       owner->pages_len < page_size * (page_size / sizeof(uint64_t));
}

static int
scan_huge(const struct pages *pages, const struct vmmem_pagemap *pagemap,
	  uint64_t *ret_bytes)
{
	uint64_t from = pages->from, next, end = pages->last + 1;
	uint64_t bytes = 0;
	int rc = 0;

	/* Whole pages; none is the last of the address space. */
	end = (end + (pages->page_size - 1)) & -pages->page_size;
	while (from < end) {
		rc = vmmem_pagemap_next(pagemap, VMMEM_PAGES_HUGE, from, end,
					&from, &next);
		if (rc != 0)
			return rc;
		bytes += overlap(pages, from, next);
		from = next;
	}
	*ret_bytes = bytes;
	return 0;
}

/* read_huge() is scan_huge() for systems before Linux 6.7. */
static int
read_huge(const struct vmmem_region *owner, const struct pages *pages,
	  uint64_t *ret_bytes)
{
	const uint64_t page_size = owner->page_size > pages->page_size ?
					   owner->page_size :
					   pages->page_size;
	int rc;

	/* Mappings hold whole pages. */
	rc = vmmem_smaps_huge(pages->first & -page_size,
			      pages->last | (page_size - 1), ret_bytes);
	if (rc == -ENOENT)
		*ret_bytes = VMMEM_RESIDENCY_UNKNOWN;
	return rc == -ENOENT ? 0 : rc;
}

/* count_huge() counts the bytes in huge pages, of 'resident' bytes. */
static int
count_huge(const struct vmmem_region *owner, const struct pages *pages,
	   uint64_t resident, uint64_t *ret_bytes)
{
	struct vmmem_pagemap pagemap;
	int rc;

	*ret_bytes = 0;
	if (owner->huge_pages == VMMEM_HUGE_PAGES_YES)
		*ret_bytes = resident;
	if (owner->huge_pages == VMMEM_HUGE_PAGES_YES || resident == 0 ||
	    is_small(owner, pages->page_size))
		return 0;
	rc = vmmem_pagemap_open(&pagemap);
	if (rc != 0 && rc != VMMEM_ENOSUPPORT)
		return rc;
	if (rc == VMMEM_ENOSUPPORT)
		return read_huge(owner, pages, ret_bytes);
	rc = pagemap.scans ? scan_huge(pages, &pagemap, ret_bytes) :
			     read_huge(owner, pages, ret_bytes);
	vmmem_pagemap_close(&pagemap);
	return rc;
}

/* is_locked() tells whether a mapping of [from, end) is: 1, 0 or -errno. */
static int
is_locked(uint64_t from, uint64_t end)
{
	const int cancel = vmmem_cancel_off();
	int rc = 0;

	/*
	 * With these flags the call only tells that, and that something is not
	 * mapped, which then is not locked.
	 */
	if (msync((void *)(uintptr_t)from, (size_t)(end - from),
		  MS_ASYNC | MS_INVALIDATE) != 0 && errno != ENOMEM)
		rc = errno == EBUSY ? 1 : -errno;
	vmmem_cancel_back(cancel);
	return rc;
}

static int
count_locked(const struct pages *pages, uint64_t *ret_bytes)
{
	const uint64_t end = (pages->last | (pages->page_size - 1)) + 1;
	uint64_t at = pages->from;
	struct vmmem_mapping mapping;
	int rc;

	*ret_bytes = 0;
	rc = is_locked(at, end);
	if (rc <= 0)
		return rc;
	/* Some of it is: mapping by mapping. */
	for (; at < end; at = mapping.last + 1) {
		rc = vmmem_mapping_at(at, &mapping);
		if (rc == VMMEM_ENOSUPPORT)
			*ret_bytes = VMMEM_RESIDENCY_UNKNOWN;
		if (rc == VMMEM_ENOSUPPORT || rc == VMMEM_ENOREGION)
			return 0;
		if (rc != 0)
			return rc;
		if (mapping.first >= end)
			return 0;
		if (mapping.first < at)
			mapping.first = at;
		if (mapping.last >= end)
			mapping.last = end - 1;
		rc = is_locked(mapping.first, mapping.last + 1);
		if (rc < 0)
			return rc;
		if (rc > 0)
			*ret_bytes += overlap(pages, mapping.first,
					      mapping.last + 1);
	}
	return 0;
}

static int
count_all(const struct vmmem_region *region, const struct pages *pages,
	  struct vmmem_residency *ret_residency)
{
	const struct vmmem_region *owner = vmmem_region_owner(region);
	int rc;

	rc = count_resident(pages, &ret_residency->resident);
	if (rc == 0)
		rc = count_huge(owner, pages, ret_residency->resident,
				&ret_residency->huge);
	if (rc == 0)
		rc = count_locked(pages, &ret_residency->locked);
	return rc;
}

VMMEM_API int
vmmem_region_residency(const struct vmmem_region *region, uint64_t offset,
		       uint64_t len, struct vmmem_residency *ret_residency)
{
	struct vmmem_residency residency = { 0 };
	struct pages pages;
	int rc;

	if (region == NULL || ret_residency == NULL)
		return VMMEM_EARGUMENT;
	if (len != 0) {
		rc = find(region, offset, len,
			  (uint64_t)sysconf(_SC_PAGESIZE), &pages);
		if (rc == 0)
			rc = count_all(region, &pages, &residency);
		if (rc != 0)
			return rc;
	}
	/* Less than was counted in pages, if the range is less. */
	if (residency.huge != VMMEM_RESIDENCY_UNKNOWN && residency.huge > len)
		residency.huge = len;
	return vmmem_struct_give(&residency, sizeof(residency),
				 VMMEM_RESIDENCY_SIZE_0_9, ret_residency);
}

static int
count_nodes(const struct pages *pages, uint64_t *sums, size_t count,
	    uint64_t *ret_rest)
{
	uintptr_t addresses[NODE_PAGES];
	int nodes[NODE_PAGES];
	uintptr_t at = pages->from;
	uint64_t rest = 0, bytes;
	size_t n, i;

	for (;;) {
		n = batch(pages, at, NODE_PAGES);
		for (i = 0; i < n; i++)
			addresses[i] = at + i * pages->page_size;
		/* No nodes to move to: only where they are.  No wrapper. */
		if (syscall(SYS_move_pages, 0, n, addresses, NULL, nodes,
			    0) != 0)
			return errno == ENOSYS ? VMMEM_ENOSUPPORT : -errno;
		for (i = 0; i < n; i++, at += pages->page_size) {
			bytes = covered(pages, at);
			if (nodes[i] >= 0 && (size_t)nodes[i] < count)
				sums[nodes[i]] += bytes;
			else
				rest += bytes;
		}
		if (at - 1 >= pages->last)
			break;
	}
	*ret_rest = rest;
	return 0;
}

VMMEM_API int
vmmem_region_nodes(const struct vmmem_region *region, uint64_t offset,
		   uint64_t len, uint64_t *ret_bytes, size_t count,
		   uint64_t *ret_rest)
{
	uint64_t sums[VMMEM_NUMA_NODES_MAX] = { 0 };
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t rest = 0;
	struct pages pages;
	size_t i;
	int rc;

	if (region == NULL || ret_rest == NULL ||
	    count > VMMEM_NUMA_NODES_MAX ||
	    (ret_bytes == NULL && count != 0))
		return VMMEM_EARGUMENT;
	if (len != 0) {
		/* Huge pages of the pool are on one node each. */
		if (region->huge_pages == VMMEM_HUGE_PAGES_YES)
			page_size = region->page_size;
		rc = find(region, offset, len, page_size, &pages);
		if (rc == 0)
			rc = count_nodes(&pages, sums, count, &rest);
		if (rc != 0)
			return rc;
	}
	for (i = 0; i < count; i++)
		ret_bytes[i] = sums[i];
	*ret_rest = rest;
	return 0;
}
