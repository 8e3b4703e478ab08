/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Slices: a range of one region, held and checked once. */
#include <vmmem/error.h>
#include <vmmem/inline.h>
#include <vmmem/slice.h>

#include "base/api.h"
#include "dirty/bitmap_priv.h"
#include "dirty/logging.h"
#include "base/range.h"
#include "region/region_priv.h"
#include "region/slice_priv.h"

/* The layout is part of the ABI: see docs/abi.md. */
_Static_assert(sizeof(struct vmmem_slice) == 48 &&
	       offsetof(struct vmmem_slice, host) == 0 &&
	       offsetof(struct vmmem_slice, len) == 8 &&
	       offsetof(struct vmmem_slice, logging) == 16 &&
	       offsetof(struct vmmem_slice, log_offset) == 24 &&
	       offsetof(struct vmmem_slice, owner) == 32 &&
	       offsetof(struct vmmem_slice, access) == 40,
	       "compiled into programs");
/* A slice knows its bitmap by this word alone. */
_Static_assert(offsetof(struct vmmem_bitmap, logging) == 0, "first");

VMMEM_API int
vmmem_region_slice(struct vmmem_region *region, uint64_t offset, uint64_t len,
		   uint32_t access, struct vmmem_slice *ret_slice)
{
	uint64_t span;
	void *host;
	int rc;

	if (region == NULL || ret_slice == NULL ||
	    (access & ~VMMEM_SLICE_ACCESS_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	if (len == 0) {
		vmmem_slice_set_empty(ret_slice, access);
		return 0;
	}
	span = region->last - region->start;
	if (offset > span || !vmmem_range_within(span, offset, len))
		return VMMEM_EOUTOFRANGE;
	if ((access & ~region->protection) != 0)
		return VMMEM_EDENIED;
	if (region->host != NULL) {
		vmmem_slice_set_direct(ret_slice, region, offset, len, access);
		return 0;
	}
	rc = vmmem_region_acquire(region, offset, len, access, &host);
	if (rc != 0)
		return rc;
	*ret_slice = (struct vmmem_slice){
		.host = host,
		.len = len,
		.logging = region->entry.logging,
		.log_offset = region->bitmap_offset + offset,
		.owner = region,
		.access = access,
	};
	return 0;
}

VMMEM_API void
vmmem_slice_release(struct vmmem_slice *slice)
{
	struct vmmem_slice given;

	if (slice == NULL)
		return;
	given = *slice;
	/* A second release finds no owner, and a late access no bytes. */
	vmmem_slice_set_empty(slice, given.access);
	if (given.owner != NULL)
		vmmem_region_release(given.owner,
				     given.log_offset -
					     given.owner->bitmap_offset,
				     given.len, given.access, given.host);
}

VMMEM_API int
vmmem_slice_skip(const struct vmmem_slice *slice, uint64_t offset,
		 struct vmmem_slice *ret_slice)
{
	if (slice == NULL)
		return VMMEM_EARGUMENT;
	if (offset > slice->len)
		return VMMEM_EOUTOFRANGE;
	return vmmem_slice_sub(slice, offset, slice->len - offset, ret_slice);
}

VMMEM_API int
vmmem_slice_split(const struct vmmem_slice *slice, uint64_t at,
		  struct vmmem_slice *ret_first,
		  struct vmmem_slice *ret_second)
{
	struct vmmem_slice first, second;
	int rc;

	if (ret_first == NULL || ret_second == NULL)
		return VMMEM_EARGUMENT;
	rc = vmmem_slice_skip(slice, at, &second);
	if (rc == 0)
		rc = vmmem_slice_sub(slice, 0, at, &first);
	if (rc != 0)
		return rc;
	*ret_first = first;
	*ret_second = second;
	return 0;
}

VMMEM_API int
vmmem_slice_mark(const struct vmmem_slice *slice, uint64_t offset,
		 uint64_t len)
{
	struct vmmem_bitmap *bitmap;

	if (slice == NULL)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	if (!vmmem_inline_is_within(slice, offset, len))
		return VMMEM_EOUTOFRANGE;
	/* The caller's writing comes before this. */
	if (!vmmem_logging_wants(slice->logging))
		return 0;
	/* Const is for programs; the word is a bitmap's first. */
	bitmap = (struct vmmem_bitmap *)(uintptr_t)slice->logging;
	return vmmem_bitmap_mark_within(bitmap, slice->log_offset + offset,
					len);
}
