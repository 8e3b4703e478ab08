/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Which parts of a region have pages. */
#include "region/populated.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <vmmem/error.h>
#include <vmmem/residency.h>

#include "base/api.h"
#include "region/mapping.h"
#include "base/range.h"
#include "region/private_priv.h"
#include "region/replaced.h"
#include "region/zeroes.h"

/* Bytes of a region, or none: [from, end). */
struct part {
	uint64_t from;
	uint64_t end;
};

static uint64_t
len_of(const struct vmmem_region *region)
{
	return region->last - region->start + 1;
}

/* by_tables() finds the pages of [from, end) in the page tables. */
static int
by_tables(const struct vmmem_populated *walk, enum vmmem_pages pages,
	  uint64_t from, uint64_t end, struct part *ret_part)
{
	const uint64_t page = walk->pagemap.page_size;
	const uint64_t host = (uintptr_t)walk->owner->host;
	uint64_t first = (host + from) & -page;
	uint64_t behind = (host + end + (page - 1)) & -page;
	int rc;

	rc = vmmem_pagemap_next(&walk->pagemap, pages, first, behind, &first,
				&behind);
	if (rc != 0)
		return rc;
	ret_part->from = first > host + from ? first - host : from;
	ret_part->end = behind < host + end ? behind - host : end;
	if (ret_part->from > end)
		ret_part->from = end;
	return 0;
}

static int
by_file(const struct vmmem_populated *walk, uint64_t from, uint64_t end,
	struct part *ret_part)
{
	const uint64_t offset = walk->owner->fd_offset;
	int rc;

	rc = vmmem_file_data_next(&walk->data, offset + from, offset + end,
				  &ret_part->from, &ret_part->end);
	ret_part->from -= offset;
	ret_part->end -= offset;
	return rc;
}

/* find_replaced() is vmmem_replaced_find() in bytes of the region. */
static uint64_t
find_replaced(const struct vmmem_region *owner, uint64_t from,
	      bool was_replaced)
{
	const uint64_t page = (from + owner->shift) / owner->page_size;
	uint64_t found;

	found = vmmem_replaced_find(owner->replaced, (size_t)page,
				    was_replaced);
	/* A run that begins in the page of 'from' begins at 'from'. */
	return found == page ? from : found * owner->page_size - owner->shift;
}

/* by_own_file() is by_file() without pages that have no file any more. */
static int
by_own_file(const struct vmmem_populated *walk, uint64_t from, uint64_t end,
	    struct part *ret_part)
{
	uint64_t first;
	int rc;

	for (;;) {
		rc = by_file(walk, from, end, ret_part);
		if (rc != 0 || ret_part->from == end)
			return rc;
		first = find_replaced(walk->owner, ret_part->from, false);
		if (first > ret_part->from)
			ret_part->from = first;
		if (first < ret_part->end)
			break;
		/* All pages of the run were replaced. */
		if (first >= end) {
			ret_part->from = ret_part->end = end;
			return 0;
		}
		from = first;
	}
	first = find_replaced(walk->owner, ret_part->from, true);
	if (first < ret_part->end)
		ret_part->end = first;
	return 0;
}

/* A private file: its own data, and private copies of pages. */
static int
by_both(const struct vmmem_populated *walk, uint64_t from, uint64_t end,
	struct part *ret_part)
{
	struct part copies, data;
	int rc;

	rc = by_tables(walk, VMMEM_PAGES_PRIVATE, from, end, &copies);
	if (rc == 0)
		rc = by_own_file(walk, from, end, &data);
	if (rc != 0)
		return rc;
	*ret_part = copies.from < data.from ? copies : data;
	return 0;
}

/*
 * by_pool() is by_tables() for a file of the pool's pages.  It finds pages that
 * only other processes have mapped by reading the file, which makes no page.
 */
static int
by_pool(const struct vmmem_populated *walk, uint64_t from, uint64_t end,
	struct part *ret_part)
{
	const struct vmmem_region *owner = walk->owner;
	uint64_t at, behind;
	int rc;

	rc = by_tables(walk, VMMEM_PAGES_THERE, from, end, ret_part);
	if (rc != 0 || !walk->hidden)
		return rc;
	for (at = from; at < ret_part->from; at = behind) {
		/* To where a page of the file ends. */
		behind = at + (owner->page_size -
			       (owner->fd_offset + at) % owner->page_size);
		if (behind > ret_part->from)
			behind = ret_part->from;
		if (!vmmem_zeroes_in_file(owner->fd, owner->fd_offset + at,
					  behind - at)) {
			*ret_part = (struct part){ at, behind };
			return 0;
		}
	}
	return 0;
}

/* External memory: only private memory without a file is understood. */
static int
by_mappings(const struct vmmem_populated *walk, uint64_t from, uint64_t end,
	    struct part *ret_part)
{
	const uint64_t host = (uintptr_t)walk->owner->host;
	struct vmmem_mapping mapping;
	uint64_t behind;
	int rc;

	for (; from < end; from = behind) {
		*ret_part = (struct part){ from, end };
		rc = vmmem_mapping_at(host + from, &mapping);
		if (rc == VMMEM_ENOSUPPORT || rc == VMMEM_ENOREGION)
			return 0;
		if (rc != 0)
			return rc;
		/* A gap in external memory is left to the next access. */
		behind = mapping.first > host + from ?
				 mapping.first - host :
				 mapping.last + 1 - host;
		if (behind < end)
			ret_part->end = behind;
		else
			behind = end;
		if (mapping.first > host + from || mapping.shared ||
		    mapping.has_file)
			return 0;
		rc = by_tables(walk, VMMEM_PAGES_THERE, from, behind,
			       ret_part);
		if (rc != 0 || ret_part->from != behind)
			return rc;
	}
	*ret_part = (struct part){ end, end };
	return 0;
}

int
vmmem_populated_next(const struct vmmem_populated *walk, uint64_t from,
		     uint64_t end, uint64_t *ret_from, uint64_t *ret_end)
{
	struct part part = { from, end };
	int rc = 0;

	if (from >= end)
		part = (struct part){ end, end };
	else if (walk->tables && walk->file)
		rc = by_both(walk, from, end, &part);
	else if (walk->file)
		rc = by_file(walk, from, end, &part);
	else if (walk->tables && walk->owner->kind == VMMEM_REGION_EXTERNAL)
		rc = by_mappings(walk, from, end, &part);
	else if (walk->tables && walk->owner->fd >= 0)
		rc = by_pool(walk, from, end, &part);
	else if (walk->tables)
		rc = by_tables(walk, VMMEM_PAGES_THERE, from, end, &part);
	*ret_from = part.from;
	*ret_end = part.end;
	return rc;
}

/* has_hidden() tells whether a file has more pages than are mapped here. */
static int
has_hidden(const struct vmmem_populated *walk, bool *ret_hidden)
{
	const uint64_t len = len_of(walk->owner);
	uint64_t at = 0, sum = 0;
	struct stat status;
	struct part part;
	int rc;

	if (fstat(walk->owner->fd, &status) != 0)
		return -errno;
	while (at < len) {
		rc = by_tables(walk, VMMEM_PAGES_THERE, at, len, &part);
		if (rc != 0)
			return rc;
		sum += part.end - part.from;
		at = part.end;
	}
	*ret_hidden = (uint64_t)status.st_blocks * 512 > sum;
	return 0;
}

static int
open_tables(struct vmmem_populated *walk)
{
	int rc = vmmem_pagemap_open(&walk->pagemap);

	walk->tables = rc == 0;
	return rc == VMMEM_ENOSUPPORT ? 0 : rc;
}

static int
open_file(struct vmmem_populated *walk)
{
	int rc = vmmem_file_data_open(walk->owner->fd, &walk->data);

	walk->file = rc == 0;
	return rc == -ESPIPE ? 0 : rc;
}

int
vmmem_populated_open(const struct vmmem_region *owner,
		     struct vmmem_populated *ret_walk)
{
	struct vmmem_populated walk = { .owner = owner };
	const bool pool = owner->huge_pages == VMMEM_HUGE_PAGES_YES;
	const bool has_file = owner->kind == VMMEM_REGION_MEMFD ||
			      owner->kind == VMMEM_REGION_FILE;
	int rc = 0;

	if (owner->kind == VMMEM_REGION_ANONYMOUS ||
	    owner->kind == VMMEM_REGION_EXTERNAL ||
	    (has_file && pool == vmmem_region_is_shared(owner) &&
	     owner->huge_pages != VMMEM_HUGE_PAGES_UNKNOWN))
		rc = open_tables(&walk);
	if (rc == 0 && has_file && pool && walk.tables)
		rc = has_hidden(&walk, &walk.hidden);
	/* For a private file both must tell. */
	if (rc == 0 && has_file && owner->huge_pages == VMMEM_HUGE_PAGES_NO &&
	    (vmmem_region_is_shared(owner) || walk.tables))
		rc = open_file(&walk);
	if (rc == 0 && has_file && !pool && !walk.file && walk.tables) {
		vmmem_pagemap_close(&walk.pagemap);
		walk.tables = false;
	}
	if (rc != 0)
		vmmem_populated_close(&walk);
	else
		*ret_walk = walk;
	return rc;
}

void
vmmem_populated_close(const struct vmmem_populated *walk)
{
	/* The other way round than they were opened. */
	if (walk->file)
		vmmem_file_data_close(&walk->data);
	if (walk->tables)
		vmmem_pagemap_close(&walk->pagemap);
}

VMMEM_API int
vmmem_region_next_populated(const struct vmmem_region *region, uint64_t offset,
			    uint64_t len, uint64_t *ret_offset,
			    uint64_t *ret_len)
{
	const struct vmmem_region *owner;
	struct vmmem_populated walk;
	uint64_t base, from, end;
	int rc;

	if (region == NULL || ret_offset == NULL || ret_len == NULL)
		return VMMEM_EARGUMENT;
	if (len != 0 && (offset > region->last - region->start ||
			 !vmmem_range_within(region->last - region->start,
					     offset, len)))
		return VMMEM_EOUTOFRANGE;
	owner = vmmem_region_owner(region);
	base = region->target != NULL ? region->target_offset : 0;
	from = base + offset;
	end = from;
	rc = len != 0 ? vmmem_private_refuses(region, offset, len) : 0;
	if (rc == 0 && len != 0)
		rc = vmmem_populated_open(owner, &walk);
	if (rc != 0)
		return rc;
	if (len != 0) {
		rc = vmmem_populated_next(&walk, from, from + len, &from,
					  &end);
		vmmem_populated_close(&walk);
	}
	if (rc != 0)
		return rc;
	*ret_offset = from - base;
	*ret_len = end - from;
	return 0;
}
