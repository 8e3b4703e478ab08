/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Translated collections, and how their addresses lead to memory.
 *
 * A translated collection has the entries of the physical one, and its count is
 * 0 while the iommu is on.  So each search for an entry finds none and takes
 * its slow path, which looks at 'translation'; a plain collection pays nothing.
 * While the iommu is off the count is that of the entries, and the fast paths
 * are those of a plain collection.
 */
#ifndef TRANSLATE_H
#define TRANSLATE_H

#include <vmmem/slice.h>

#include "map/collection_priv.h"
#include "iommu/iommu_priv.h"

struct vmmem_translation {
	struct vmmem_iotlb *iotlb; /* the iommu's */
	struct vmmem_collection *physical;
	struct vmmem_iommu *log; /* the iommu, if it marks by iova, or NULL */
	struct vmmem_iommu *iommu;
	struct vmmem_iommu_word word;
};

/*
 * The place that an address leads to: bytes [offset, offset + len) of one entry
 * of 'map', which is plain.  While it is used, its section is open.
 */
struct vmmem_seen {
	const struct vmmem_collection *map;
	const struct vmmem_entry *entry;
	uint64_t offset;
	uint64_t len;	 /* of those that were asked for */
	uint64_t reach;	 /* of all from 'offset' on that are seen with them */
	uint64_t before; /* of all before 'offset' that are */
	uint64_t iova;
	struct vmmem_iommu *log; /* whose log to mark; NULL: the entry's */
	struct vmmem_iotlb *iotlb; /* NULL: the iommu is off, no section */
	struct vmmem_section section;
};

/*
 * vmmem_see() finds the place of [iova, iova + len), or of its first bytes, in
 * a collection of either kind: 'len' is not 0.  If there is no translation it
 * asks the miss handler and waits; without 'wait' it returns VMMEM_EIOMMUMISS.
 * If it returns 0, the caller must call vmmem_unsee().
 *
 * Returns 0, or what an access returns.
 */
int vmmem_see(const struct vmmem_collection *collection, uint64_t iova,
	      uint64_t len, uint32_t access, struct vmmem_iommu_wait *wait,
	      struct vmmem_seen *ret_seen);

/*
 * vmmem_see_all() does the same for a range that must be one piece: else
 * VMMEM_ECROSS, if all of it is there.
 */
int vmmem_see_all(const struct vmmem_collection *collection, uint64_t iova,
		  uint64_t len, uint32_t access, struct vmmem_seen *ret_seen);

/* vmmem_unsee() ends the section. */
static VMMEM_ALWAYS_INLINE void
vmmem_unsee(const struct vmmem_seen *seen)
{
	if (seen->iotlb != NULL)
		vmmem_underway_leave(&seen->iotlb->underway, seen->section);
}

/* vmmem_see_permits() tells whether an entry is there and permits 'access'. */
static VMMEM_ALWAYS_INLINE bool
vmmem_see_permits(const struct vmmem_iotlb_entry *entry, uint32_t access)
{
	const uint64_t needed = access | VMMEM_IOTLB_PRESENT;

	return (entry->flags & needed) == needed;
}

/*
 * vmmem_see_place() is vmmem_find() of 'gpa' in the physical map.  The region
 * that the entry led to last is tried first, and the one found is noted.
 */
static VMMEM_ALWAYS_INLINE const struct vmmem_entry *
vmmem_see_place(const struct vmmem_collection *physical, uint64_t gpa,
		const struct vmmem_iotlb_entry *found, uint64_t *ret_offset)
{
	size_t at = found->use & VMMEM_IOTLB_REGION_MASK;
	const struct vmmem_entry *entry;

	/* Other maps may be seen through the same iotlb. */
	if (likely(at < physical->count)) {
		*ret_offset = gpa - physical->starts[at];
		entry = &physical->regions[at]->entry;
		if (likely(*ret_offset <= entry->span))
			return entry;
	}
	if (physical->count == 0)
		return NULL;
	at = vmmem_search(physical, gpa);
	entry = &physical->regions[at]->entry;
	*ret_offset = gpa - physical->starts[at];
	/* As in vmmem_find(): below the first start this wraps. */
	if (*ret_offset > entry->span)
		return NULL;
	/*
	 * Relaxed: a hint.  A number that does not fit leads to another region,
	 * which the check above refuses.
	 */
	__atomic_store_n(found->used,
			 (found->use & ~VMMEM_IOTLB_REGION_MASK) |
				 (at & VMMEM_IOTLB_REGION_MASK),
			 __ATOMIC_RELAXED);
	return entry;
}

/*
 * vmmem_see_direct() is vmmem_find_direct() for a translated collection: it
 * finds a place that is one piece, with a host address, without asking the miss
 * handler.  If it returns true, the caller must call vmmem_unsee(); false does
 * not tell the reason.
 */
static VMMEM_ALWAYS_INLINE bool
vmmem_see_direct(const struct vmmem_collection *collection, uint64_t iova,
		 uint64_t len, uint32_t access, struct vmmem_seen *ret_seen)
{
	const struct vmmem_translation *translation = collection->translation;
	const struct vmmem_collection *physical = translation->physical;
	struct vmmem_iotlb *iotlb = translation->iotlb;
	struct vmmem_iotlb_entry found;

	/* Acquire: as vmmem_iommu_is_on(), of which this is a copy. */
	if (!likely(__atomic_load_n(&collection->count, __ATOMIC_ACQUIRE) ==
		    0))
		return false;
	ret_seen->section = vmmem_underway_enter(&iotlb->underway);
	vmmem_iotlb_find(&iotlb->table, iova, &found);
	if (likely(vmmem_see_permits(&found, access) &&
		   vmmem_range_within(found.last - iova, 0, len))) {
		ret_seen->entry =
			vmmem_see_place(physical, iova + found.delta, &found,
					&ret_seen->offset);
		if (likely(ret_seen->entry != NULL &&
			   vmmem_range_within(ret_seen->entry->span,
					      ret_seen->offset, len) &&
			   (access & ~ret_seen->entry->direct) == 0)) {
			ret_seen->map = physical;
			ret_seen->len = len;
			ret_seen->iova = iova;
			ret_seen->log = translation->log;
			ret_seen->iotlb = iotlb;
			return true;
		}
	}
	vmmem_underway_leave(&iotlb->underway, ret_seen->section);
	return false;
}

/*
 * vmmem_seen_written() follows each write to [at, at + len) of what is seen, as
 * vmmem_written() does for a plain collection.
 */
static inline void
vmmem_seen_written(const struct vmmem_seen *seen, uint64_t at, uint64_t len)
{
	if (seen->log != NULL)
		vmmem_iommu_mark(seen->log, seen->iova + at, len);
	else
		vmmem_written(seen->entry, seen->offset + at, len);
}

/*
 * vmmem_see_one() finds the place of one byte, for a caller that does not
 * access it: no section is open when it returns.
 */
int vmmem_see_one(const struct vmmem_collection *collection, uint64_t iova,
		  uint32_t access, struct vmmem_seen *ret_seen);

/* vmmem_see_region() is the region it leads to; NULL too of a plain one. */
struct vmmem_region *
vmmem_see_region(const struct vmmem_collection *collection, uint64_t iova);

/* vmmem_see_mark() is vmmem_mark_guest() for a translated one. */
int vmmem_see_mark(const struct vmmem_collection *collection, uint64_t iova,
		   uint64_t len);

/* vmmem_see_host() is vmmem_collection_host_address() for a translated one. */
int vmmem_see_host(const struct vmmem_collection *collection, uint64_t iova,
		   uint32_t access, void **ret_host, uint64_t *ret_len);

/*
 * vmmem_see_check() is vmmem_check() for a translated collection.  'wait' may
 * be NULL.
 */
int vmmem_see_check(const struct vmmem_collection *collection, uint64_t iova,
		    uint64_t len, uint32_t access,
		    struct vmmem_iommu_wait *wait, uint64_t *ret_bad);

/*
 * vmmem_see_slice() is vmmem_collection_slice() for one, and if not 'whole'
 * vmmem_next_piece(); without the checks of their arguments, and 'len' is not
 * 0.
 */
int vmmem_see_slice(const struct vmmem_collection *collection, uint64_t iova,
		    uint64_t len, uint32_t access, bool whole, bool acquire,
		    struct vmmem_slice *ret_slice);

/*
 * vmmem_see_piece() is vmmem_next_piece(), with 'acquire', except that it never
 * asks the miss handler and so may be called in a section: VMMEM_EIOMMUMISS
 * where it would have to ask.
 */
int vmmem_see_piece(const struct vmmem_collection *collection, uint64_t iova,
		    uint64_t len, uint32_t access,
		    struct vmmem_slice *ret_piece);

/* vmmem_physical() is the collection that has the regions of any collection. */
static inline const struct vmmem_collection *
vmmem_physical(const struct vmmem_collection *collection)
{
	return collection->translation != NULL ?
		       collection->translation->physical :
		       collection;
}

/*
 * vmmem_translate_insert() and vmmem_translate_remove() are the two functions
 * of a collection for a translated one, without the checks of their arguments.
 */
int vmmem_translate_insert(const struct vmmem_collection *collection,
			   struct vmmem_region *region,
			   struct vmmem_collection **ret_collection);
int vmmem_translate_remove(const struct vmmem_collection *collection,
			   uint64_t gpa, uint64_t len,
			   struct vmmem_collection **ret_collection,
			   struct vmmem_region **ret_region);

/*
 * vmmem_translate_like() makes a translated collection of 'physical', as
 * 'collection' is one, and takes over the reference to 'physical'.
 */
int vmmem_translate_like(const struct vmmem_collection *collection,
			 struct vmmem_collection *physical,
			 struct vmmem_collection **ret_collection);

/* vmmem_translation_free() frees the translation of a collection. */
void vmmem_translation_free(struct vmmem_translation *translation);

#endif
