/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Slices: a range of one region, held and checked once. */
#include <vmmem/error.h>
#include <vmmem/slice.h>

#include "base/api.h"
#include "dirty/bitmap_priv.h"
#include "dirty/logging.h"
#include "base/range.h"
#include "region/private_priv.h"
#include "region/region_priv.h"
#include "region/slice_priv.h"

/* The layout is part of the ABI: see docs/abi.md. */
_Static_assert(sizeof(struct vmmem_slice) == VMMEM_CACHE_LINE &&
	       offsetof(struct vmmem_slice, host) == 0 &&
	       offsetof(struct vmmem_slice, len) == 8 &&
	       offsetof(struct vmmem_slice, logging) == 16 &&
	       offsetof(struct vmmem_slice, log_offset) == 24 &&
	       offsetof(struct vmmem_slice, access) == 32 &&
	       offsetof(struct vmmem_slice, flags) == 36 &&
	       offsetof(struct vmmem_slice, region) == 40 &&
	       offsetof(struct vmmem_slice, gpa) == 48 &&
	       offsetof(struct vmmem_slice, reserved) == 56,
	       "compiled into programs");
/* A slice knows its bitmap by this word alone. */
_Static_assert(offsetof(struct vmmem_bitmap, logging) == 0, "first");

/* asked_slice() makes a slice of bytes that are shared now. */
static void
asked_slice(struct vmmem_region *region, uint64_t offset, uint64_t len,
	    uint32_t access, struct vmmem_slice *ret_slice)
{
	*ret_slice = (struct vmmem_slice){
		.host = region->host + offset,
		.len = len,
		.logging = region->entry.logging,
		.log_offset = region->bitmap_offset + offset,
		.access = access << VMMEM_SLICE_ASK_SHIFT | VMMEM_SLICE_CALL,
		.region = region,
		.gpa = region->start + offset,
	};
}

VMMEM_COLD int
vmmem_slice_ask(const struct vmmem_slice *slice, uint64_t offset, uint64_t len,
		uint32_t access)
{
	const struct vmmem_region *region = slice->region;

	if ((access & ~vmmem_slice_permits(slice)) != 0)
		return VMMEM_EDENIED;
	/* Only a slice of a region has the bits; other slices are not asked. */
	if (region == NULL)
		return 0;
	return vmmem_private_refuses(
		region, slice->gpa - region->start + offset, len);
}

VMMEM_COLD int
vmmem_slice_unasked(const struct vmmem_slice *slice, uint64_t offset,
		    uint64_t len, uint32_t access,
		    struct vmmem_slice *ret_slice)
{
	int rc = vmmem_slice_ask(slice, offset, len, access);

	if (rc != 0)
		return rc;
	*ret_slice = *slice;
	ret_slice->access = vmmem_slice_permits(slice) | VMMEM_SLICE_CALL;
	return 0;
}

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
	if (region->entry.host != NULL) {
		vmmem_slice_set_direct(ret_slice, region, offset, len, access);
		return 0;
	}
	if (region->host != NULL) {
		rc = vmmem_private_refuses(region, offset, len);
		if (rc == 0)
			asked_slice(region, offset, len, access, ret_slice);
		return rc;
	}
	rc = vmmem_region_acquire(region, offset, len, access, &host);
	if (rc != 0)
		return rc;
	*ret_slice = (struct vmmem_slice){
		.host = host,
		.len = len,
		.logging = region->entry.logging,
		.log_offset = region->bitmap_offset + offset,
		.access = access | vmmem_slice_call(),
		.flags = VMMEM_SLICE_FLAG_ACQUIRED,
		.region = region,
		.gpa = region->start + offset,
	};
	return 0;
}

VMMEM_API int
vmmem_slice_from_host(void *host, uint64_t len, uint32_t access,
		      struct vmmem_slice *ret_slice)
{
	if (ret_slice == NULL || (host == NULL && len != 0) ||
	    (access & ~VMMEM_SLICE_ACCESS_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	if (len != 0 && !vmmem_range_within(UINTPTR_MAX, (uintptr_t)host, len))
		return VMMEM_EWRAPS;
	vmmem_slice_set_empty(ret_slice, access);
	if (len == 0)
		return 0;
	ret_slice->host = host;
	ret_slice->len = len;
	return 0;
}

VMMEM_API struct vmmem_bitmap *
vmmem_slice_bitmap(const struct vmmem_slice *slice, uint64_t *ret_offset)
{
	/* A struct of zeros has not even the word that is always 0. */
	if (slice == NULL || slice->logging == NULL ||
	    slice->logging == &vmmem_region_never_logging)
		return NULL;
	if (ret_offset != NULL)
		*ret_offset = slice->log_offset;
	/* Const is for programs; the word is a bitmap's first. */
	return (struct vmmem_bitmap *)(uintptr_t)slice->logging;
}

VMMEM_API void
vmmem_slice_release(struct vmmem_slice *slice)
{
	struct vmmem_slice given;

	if (slice == NULL)
		return;
	given = *slice;
	/* A second release finds nothing acquired, a late access no bytes. */
	vmmem_slice_set_empty(slice, given.access);
	if ((given.flags & VMMEM_SLICE_FLAG_ACQUIRED) != 0)
		vmmem_region_release(given.region,
				     given.gpa - given.region->start,
				     given.len,
				     given.access & VMMEM_SLICE_ACCESS_KNOWN,
				     given.host);
}

VMMEM_API int
vmmem_slice_sub(const struct vmmem_slice *slice, uint64_t offset, uint64_t len,
		struct vmmem_slice *ret_slice)
{
	struct vmmem_slice part;

	if (slice == NULL || ret_slice == NULL)
		return VMMEM_EARGUMENT;
	if (len != 0 && !vmmem_slice_holds(slice, offset, len))
		return VMMEM_EOUTOFRANGE;
	part = *slice;
	part.len = len;
	part.flags = 0;
	/* Zero bytes are nowhere, whatever the offset. */
	part.host = len != 0 ? vmmem_slice_host(slice, offset) : NULL;
	part.log_offset = len != 0 ? slice->log_offset + offset : 0;
	part.region = len != 0 ? slice->region : NULL;
	part.gpa = len != 0 ? slice->gpa + offset : 0;
	*ret_slice = part;
	return 0;
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
	if (!vmmem_slice_holds(slice, offset, len))
		return VMMEM_EOUTOFRANGE;
	/* The caller's writing comes before this. */
	if (!vmmem_logging_wants(slice->logging))
		return 0;
	/* Const is for programs; the word is a bitmap's first. */
	bitmap = (struct vmmem_bitmap *)(uintptr_t)slice->logging;
	return vmmem_bitmap_mark_within(bitmap, slice->log_offset + offset,
					len);
}
