/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Slices of a collection: of one region, or of as many as lie side by side. */
#include <vmmem/error.h>
#include <vmmem/slice.h>

#include "base/api.h"
#include "base/range.h"
#include "map/collection_priv.h"
#include "map/translate.h"
#include "region/private_priv.h"
#include "region/slice_priv.h"

VMMEM_API int
vmmem_collection_slice(const struct vmmem_collection *collection, uint64_t gpa,
		       uint64_t len, uint32_t access,
		       struct vmmem_slice *ret_slice)
{
	const struct vmmem_region_entry *entry;
	uint64_t offset, bad;
	int rc;

	if (collection == NULL || ret_slice == NULL ||
	    (access & ~VMMEM_SLICE_ACCESS_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	if (len == 0) {
		vmmem_slice_set_empty(ret_slice, access);
		return 0;
	}
	if (collection->translation != NULL)
		return vmmem_translate_slice(collection, gpa, len, access, true,
					     true, ret_slice);
	entry = vmmem_collection_find_entry(collection, gpa, &offset);
	if (entry == NULL)
		return VMMEM_EBADADDR;
	if (likely(vmmem_range_within(entry->span, offset, len) &&
		   vmmem_slice_is_direct(entry, access))) {
		vmmem_slice_set_direct(ret_slice, vmmem_region_of(entry),
				       offset, len, access);
		return 0;
	}
	if (!vmmem_range_within(entry->span, offset, len)) {
		rc = vmmem_collection_check_range(collection, gpa, len, 0,
						  &bad);
		return rc != 0 ? rc : VMMEM_ECROSS;
	}
	return vmmem_region_slice(vmmem_region_of(entry), offset, len, access,
				  ret_slice);
}

/*
 * continues() tells whether 'next', which holds the guest address after 'len'
 * bytes from 'offset' on of another, begins where these end: in the host and in
 * the log.
 */
static inline bool
continues(const struct vmmem_region *region, uint64_t offset, uint64_t len,
	  const struct vmmem_region *next, uint32_t access)
{
	return vmmem_slice_is_direct(&next->entry, access) &&
	       ((next->entry.direct ^ region->entry.direct) &
		VMMEM_SLICE_CALL) == 0 &&
	       next->entry.host == region->entry.host + offset + len &&
	       next->entry.logging == region->entry.logging &&
	       (next->bitmap == NULL ||
		next->bitmap_offset == region->bitmap_offset + offset + len);
}

/* next_piece() is vmmem_collection_next_piece(), for its two callers. */
static VMMEM_ALWAYS_INLINE int
next_piece(const struct vmmem_collection *collection, uint64_t gpa,
	   uint64_t len, uint32_t access, bool acquire,
	   struct vmmem_slice *ret_piece)
{
	const struct vmmem_region_entry *entry;
	struct vmmem_region *region;
	uint64_t offset, more, joined;
	size_t at;

	if (collection->translation != NULL)
		return vmmem_translate_slice(collection, gpa, len, access,
					     false, acquire, ret_piece);
	entry = vmmem_collection_find_index(collection, gpa, &offset, &at);
	if (entry == NULL)
		return VMMEM_EBADADDR;
	more = entry->span - offset;
	/* There are no bytes behind the last address. */
	if (len - 1 > UINT64_MAX - gpa && more == UINT64_MAX - gpa)
		return VMMEM_EWRAPS;
	region = vmmem_region_of(entry);
	joined = len - 1 > more ? more + 1 : len;
	if (!likely(vmmem_slice_is_direct(entry, access))) {
		if (!acquire && vmmem_region_entry_host(entry) == NULL &&
		    (access & ~entry->access) == 0)
			return VMMEM_ENOHOST;
		/* VMMEM_EDENIED comes before VMMEM_EPRIVATE. */
		more = vmmem_private_entry_shared(entry, offset, joined);
		if (more != 0)
			joined = more;
		return vmmem_region_slice(region, offset, joined, access,
					  ret_piece);
	}

	while (joined < len &&
	       (entry = vmmem_collection_next_index(collection, &at)) != NULL &&
	       continues(region, offset, joined, vmmem_region_of(entry),
			 access)) {
		more = len - joined;
		joined += more - 1 > entry->span ? entry->span + 1 : more;
	}
	/* The same, if it was joined up to the last address. */
	if (joined < len && gpa + joined == 0)
		return VMMEM_EWRAPS;
	/* Last, as a copy of a slice that was just made has to wait for it. */
	vmmem_slice_set_direct(ret_piece, region, offset, joined, access);
	return 0;
}

int
vmmem_collection_next_piece(const struct vmmem_collection *collection,
			    uint64_t gpa, uint64_t len, uint32_t access,
			    bool acquire, struct vmmem_slice *ret_piece)
{
	return next_piece(collection, gpa, len, access, acquire, ret_piece);
}

VMMEM_API int
vmmem_collection_next_slice(const struct vmmem_collection *collection,
			    uint64_t gpa, uint64_t len, uint32_t access,
			    struct vmmem_slice *ret_slice)
{
	if (collection == NULL || ret_slice == NULL ||
	    (access & ~VMMEM_SLICE_ACCESS_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	if (len == 0) {
		vmmem_slice_set_empty(ret_slice, access);
		return 0;
	}
	return next_piece(collection, gpa, len, access, true, ret_slice);
}
