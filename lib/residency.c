/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <vmmem/error.h>
#include <vmmem/policy.h>
#include <vmmem/residency.h>

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api.h"
#include "range.h"
#include "region_priv.h"
#include "smaps.h"
#include "struct_size.h"

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

/* covered() is how much of the page at 'at' lies in the range. */
static uint64_t
covered(const struct pages *pages, uintptr_t at)
{
	uintptr_t first = at, last = at + (pages->page_size - 1);

	if (first < pages->first)
		first = pages->first;
	if (last > pages->last)
		last = pages->last;
	return last - first + 1;
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

VMMEM_API int
vmmem_region_residency(const struct vmmem_region *region, uint64_t offset,
		       uint64_t len, struct vmmem_residency *ret_residency)
{
	struct vmmem_residency residency = { 0 };
	struct vmmem_smaps smaps = { 0 };
	struct pages pages;
	uintptr_t huge;
	int rc;

	if (region == NULL || ret_residency == NULL)
		return VMMEM_EINVAL;
	if (len != 0) {
		rc = find(region, offset, len,
			  (uint64_t)sysconf(_SC_PAGESIZE), &pages);
		if (rc == 0)
			rc = count_resident(&pages, &residency.resident);
		if (rc != 0)
			return rc;
		/* Mappings hold whole pages. */
		huge = region->page_size > pages.page_size ?
			       (uintptr_t)region->page_size :
			       pages.page_size;
		rc = vmmem_smaps_read(pages.first & -huge,
				      pages.last | (huge - 1), &smaps);
		if (rc == -ENOENT)
			smaps.huge = smaps.locked = VMMEM_UNKNOWN;
		else if (rc != 0)
			return rc;
	}
	residency.huge = smaps.huge;
	residency.locked = smaps.locked;
	/* Less than was counted in pages, if the range is less. */
	if (residency.huge != VMMEM_UNKNOWN && residency.huge > len)
		residency.huge = len;
	if (residency.locked != VMMEM_UNKNOWN && residency.locked > len)
		residency.locked = len;
	return vmmem_struct_give(&residency, sizeof(residency),
				 sizeof(struct vmmem_residency), ret_residency);
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
	uint64_t sums[VMMEM_NODES_MAX] = { 0 };
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t rest = 0;
	struct pages pages;
	size_t i;
	int rc;

	if (region == NULL || ret_rest == NULL || count > VMMEM_NODES_MAX ||
	    (ret_bytes == NULL && count != 0))
		return VMMEM_EINVAL;
	if (len != 0) {
		/* Huge pages of the pool are on one node each. */
		if (region->huge_pages == VMMEM_HUGE_YES)
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
