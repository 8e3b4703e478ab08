/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <vmmem/error.h>
#include <vmmem/inline.h>
#include <vmmem/slice.h>

#include "base/api.h"
#include "dirty/bitmap_priv.h"
#include "map/collection_priv.h"
#include "guest/copy.h"
#include "map/translate.h"

#define ACCESS_KNOWN (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

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

/* Zero bytes of anywhere. */
static void
set_empty(struct vmmem_slice *slice, uint32_t access)
{
	*slice = (struct vmmem_slice){
		.logging = &vmmem_never_logging,
		.access = access,
	};
}

/* is_direct() tells whether there is a host address to be accessed so. */
static inline bool
is_direct(const struct vmmem_entry *entry, uint32_t access)
{
	return entry->host != NULL && (access & ~entry->direct) == 0;
}

/* set_direct() makes the slice of a region that has a host address. */
static inline void
set_direct(struct vmmem_slice *slice, const struct vmmem_region *region,
	   uint64_t offset, uint64_t len, uint32_t access)
{
	*slice = (struct vmmem_slice){
		.host = region->entry.host + offset,
		.len = len,
		.logging = region->entry.logging,
		.log_offset = region->bitmap_offset + offset,
		.access = access,
	};
}

VMMEM_API int
vmmem_region_slice(struct vmmem_region *region, uint64_t offset, uint64_t len,
		   uint32_t access, struct vmmem_slice *ret_slice)
{
	uint64_t span;
	void *host;
	int rc;

	if (region == NULL || ret_slice == NULL ||
	    (access & ~ACCESS_KNOWN) != 0)
		return VMMEM_EINVAL;
	if (len == 0) {
		set_empty(ret_slice, access);
		return 0;
	}
	span = region->last - region->start;
	if (offset > span || !vmmem_range_within(span, offset, len))
		return VMMEM_EOUTOFRANGE;
	if ((access & ~region->protection) != 0)
		return VMMEM_EPERM;
	if (region->host != NULL) {
		set_direct(ret_slice, region, offset, len, access);
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

VMMEM_API int
vmmem_collection_slice(const struct vmmem_collection *collection, uint64_t gpa,
		       uint64_t len, uint32_t access,
		       struct vmmem_slice *ret_slice)
{
	const struct vmmem_entry *entry;
	uint64_t offset, bad;
	int rc;

	if (collection == NULL || ret_slice == NULL ||
	    (access & ~ACCESS_KNOWN) != 0)
		return VMMEM_EINVAL;
	if (len == 0) {
		set_empty(ret_slice, access);
		return 0;
	}
	if (collection->translation != NULL)
		return vmmem_see_slice(collection, gpa, len, access, true,
				       true, ret_slice);
	entry = vmmem_find(collection, gpa, &offset);
	if (entry == NULL)
		return VMMEM_EBADADDR;
	if (likely(vmmem_range_within(entry->span, offset, len) &&
		   is_direct(entry, access))) {
		set_direct(ret_slice, vmmem_region_of(collection, entry),
			   offset, len, access);
		return 0;
	}
	if (!vmmem_range_within(entry->span, offset, len)) {
		rc = vmmem_check(collection, gpa, len, 0, &bad);
		return rc != 0 ? rc : VMMEM_ECROSS;
	}
	return vmmem_region_slice(vmmem_region_of(collection, entry), offset,
				  len, access, ret_slice);
}

/*
 * continues() tells whether 'next', which holds the guest address after 'len'
 * bytes from 'offset' on of another, goes on where these end: in the host and
 * in the log.
 */
static inline bool
continues(const struct vmmem_region *region, uint64_t offset, uint64_t len,
	  const struct vmmem_region *next, uint32_t access)
{
	return is_direct(&next->entry, access) &&
	       next->entry.host == region->entry.host + offset + len &&
	       next->entry.logging == region->entry.logging &&
	       (next->bitmap == NULL ||
		next->bitmap_offset == region->bitmap_offset + offset + len);
}

/* next_piece() is vmmem_next_piece(), for its two callers. */
static VMMEM_ALWAYS_INLINE int
next_piece(const struct vmmem_collection *collection, uint64_t gpa,
	   uint64_t len, uint32_t access, bool acquire,
	   struct vmmem_slice *ret_piece)
{
	const struct vmmem_entry *entry;
	struct vmmem_region *region;
	uint64_t offset, more, joined;
	size_t at;

	if (collection->translation != NULL)
		return vmmem_see_slice(collection, gpa, len, access, false,
				       acquire, ret_piece);
	entry = vmmem_find_index(collection, gpa, &offset, &at);
	if (entry == NULL)
		return VMMEM_EBADADDR;
	more = entry->span - offset;
	/* There are no bytes behind the last address. */
	if (len - 1 > UINT64_MAX - gpa && more == UINT64_MAX - gpa)
		return VMMEM_EOVERFLOW;
	region = vmmem_region_of(collection, entry);
	joined = len - 1 > more ? more + 1 : len;
	if (!likely(is_direct(entry, access))) {
		if (!acquire && entry->host == NULL &&
		    (access & ~entry->access) == 0)
			return VMMEM_ENOHOST;
		return vmmem_region_slice(region, offset, joined, access,
					  ret_piece);
	}

	while (joined < len &&
	       (entry = vmmem_next_index(collection, &at)) != NULL &&
	       continues(region, offset, joined,
			 vmmem_region_of(collection, entry), access)) {
		more = len - joined;
		joined += more - 1 > entry->span ? entry->span + 1 : more;
	}
	/* The same, if it was joined up to the last address. */
	if (joined < len && gpa + joined == 0)
		return VMMEM_EOVERFLOW;
	/* Last, as a copy of a slice that was just made has to wait for it. */
	set_direct(ret_piece, region, offset, joined, access);
	return 0;
}

int
vmmem_next_piece(const struct vmmem_collection *collection, uint64_t gpa,
		 uint64_t len, uint32_t access, bool acquire,
		 struct vmmem_slice *ret_piece)
{
	return next_piece(collection, gpa, len, access, acquire, ret_piece);
}

VMMEM_API int
vmmem_collection_next_slice(const struct vmmem_collection *collection,
			    uint64_t gpa, uint64_t len, uint32_t access,
			    struct vmmem_slice *ret_slice)
{
	if (collection == NULL || ret_slice == NULL ||
	    (access & ~ACCESS_KNOWN) != 0)
		return VMMEM_EINVAL;
	if (len == 0) {
		set_empty(ret_slice, access);
		return 0;
	}
	return next_piece(collection, gpa, len, access, true, ret_slice);
}

VMMEM_API void
vmmem_slice_release(const struct vmmem_slice *slice)
{
	if (slice != NULL && slice->owner != NULL)
		vmmem_region_release(slice->owner,
				     slice->log_offset -
					     slice->owner->bitmap_offset,
				     slice->len, slice->access, slice->host);
}

VMMEM_API int
vmmem_slice_offset(const struct vmmem_slice *slice, uint64_t offset,
		   struct vmmem_slice *ret_slice)
{
	if (slice == NULL)
		return VMMEM_EINVAL;
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
		return VMMEM_EINVAL;
	rc = vmmem_slice_offset(slice, at, &second);
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
		return VMMEM_EINVAL;
	if (len == 0)
		return 0;
	if (!vmmem_inline_is_within(slice, offset, len))
		return VMMEM_EOUTOFRANGE;
	/* The caller's writing comes before this, for the compiler too. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* Relaxed: who starts logging waits for writes under way. */
	if (__atomic_load_n(slice->logging, __ATOMIC_RELAXED) == 0)
		return 0;
	/* Const is for programs; the word is a bitmap's first. */
	bitmap = (struct vmmem_bitmap *)(uintptr_t)slice->logging;
	return vmmem_bitmap_mark_within(bitmap, slice->log_offset + offset,
					len);
}
