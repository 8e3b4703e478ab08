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
struct vmmem_place {
	const struct vmmem_collection *map;
	const struct vmmem_region_entry *entry;
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
 * vmmem_translate() finds the place of [iova, iova + len), or of its first
 * bytes, in a collection of either kind: 'len' is not 0.  If there is no
 * translation it asks the miss handler and waits; without 'wait' it returns
 * VMMEM_EIOMMUMISS.  If it returns 0, the caller must call
 * vmmem_translate_end().
 *
 * Returns 0, or what an access returns.
 */
int vmmem_translate(const struct vmmem_collection *collection, uint64_t iova,
		    uint64_t len, uint32_t access,
		    struct vmmem_iommu_wait *wait,
		    struct vmmem_place *ret_place);

/*
 * vmmem_translate_all() does the same for a range that must be one piece: else
 * VMMEM_ECROSS, if all of it is there.
 */
int vmmem_translate_all(const struct vmmem_collection *collection,
			uint64_t iova, uint64_t len, uint32_t access,
			struct vmmem_place *ret_place);

/* vmmem_translate_end() ends the section. */
static VMMEM_ALWAYS_INLINE void
vmmem_translate_end(const struct vmmem_place *place)
{
	if (place->iotlb != NULL)
		vmmem_srcu_leave(&place->iotlb->srcu, place->section);
}

/*
 * vmmem_translate_permits() tells whether an entry is there and permits
 * 'access'.
 */
static VMMEM_ALWAYS_INLINE bool
vmmem_translate_permits(const struct vmmem_iotlb_entry *entry, uint32_t access)
{
	const uint64_t needed = access | VMMEM_IOTLB_PRESENT;

	return (entry->flags & needed) == needed;
}

/*
 * vmmem_translate_find() is vmmem_collection_find_entry() of 'gpa' in the
 * physical map.  The region that the entry led to last is tried first, and the
 * one found is noted.
 */
static VMMEM_ALWAYS_INLINE const struct vmmem_region_entry *
vmmem_translate_find(const struct vmmem_collection *physical, uint64_t gpa,
		     const struct vmmem_iotlb_entry *found,
		     uint64_t *ret_offset)
{
	size_t at = found->use & VMMEM_IOTLB_REGION_MASK;
	const struct vmmem_region_entry *entry;

	/* Other maps may be seen through the same iotlb. */
	if (likely(at < physical->count)) {
		*ret_offset = gpa - physical->starts[at];
		entry = &physical->regions[at]->entry;
		if (likely(*ret_offset <= entry->span))
			return entry;
	}
	if (physical->count == 0)
		return NULL;
	at = vmmem_collection_search(physical, gpa);
	entry = &physical->regions[at]->entry;
	*ret_offset = gpa - physical->starts[at];
	/*
	 * As in vmmem_collection_find_entry(): below the first start this
	 * wraps.
	 */
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
 * vmmem_translate_direct() is vmmem_collection_find_direct() for a translated
 * collection: it finds a place that is one piece, with a host address, without
 * asking the miss handler.  If it returns true, the caller must call
 * vmmem_translate_end(); false does not tell the reason.
 */
static VMMEM_ALWAYS_INLINE bool
vmmem_translate_direct(const struct vmmem_collection *collection, uint64_t iova,
		       uint64_t len, uint32_t access,
		       struct vmmem_place *ret_place)
{
	const struct vmmem_translation *translation = collection->translation;
	const struct vmmem_collection *physical = translation->physical;
	struct vmmem_iotlb *iotlb = translation->iotlb;
	struct vmmem_iotlb_entry found;

	/* Acquire: as vmmem_iommu_is_on(), of which this is a copy. */
	if (!likely(__atomic_load_n(&collection->count, __ATOMIC_ACQUIRE) ==
		    0))
		return false;
	ret_place->section = vmmem_srcu_enter(&iotlb->srcu);
	vmmem_iotlb_find(&iotlb->table, iova, &found);
	if (likely(vmmem_translate_permits(&found, access) &&
		   vmmem_range_within(found.last - iova, 0, len))) {
		ret_place->entry =
			vmmem_translate_find(physical, iova + found.delta,
					     &found, &ret_place->offset);
		if (likely(ret_place->entry != NULL &&
			   vmmem_range_within(ret_place->entry->span,
					      ret_place->offset, len) &&
			   (access & ~ret_place->entry->direct) == 0)) {
			ret_place->map = physical;
			ret_place->len = len;
			ret_place->iova = iova;
			ret_place->log = translation->log;
			ret_place->iotlb = iotlb;
			return true;
		}
	}
	vmmem_srcu_leave(&iotlb->srcu, ret_place->section);
	return false;
}

/*
 * vmmem_place_written() follows each write to [at, at + len) of a place,
 * as vmmem_mark_written() does for a plain collection.
 */
static inline void
vmmem_place_written(const struct vmmem_place *place, uint64_t at, uint64_t len)
{
	if (place->log != NULL)
		vmmem_iommu_mark(place->log, place->iova + at, len);
	else
		vmmem_mark_written(place->entry, place->offset + at, len);
}

/*
 * vmmem_translate_byte() finds the place of one byte, for a caller that does
 * not access it: no section is open when it returns.
 */
int vmmem_translate_byte(const struct vmmem_collection *collection,
			 uint64_t iova, uint32_t access,
			 struct vmmem_place *ret_place);

/*
 * vmmem_translate_region() is the region it leads to; NULL too of a plain one.
 */
struct vmmem_region *
vmmem_translate_region(const struct vmmem_collection *collection,
		       uint64_t iova);

/*
 * vmmem_translate_mark() is vmmem_collection_mark_range() for a translated one.
 */
int vmmem_translate_mark(const struct vmmem_collection *collection,
			 uint64_t iova, uint64_t len);

/*
 * vmmem_translate_host() is vmmem_collection_host_address() for a translated
 * one.
 */
int vmmem_translate_host(const struct vmmem_collection *collection,
			 uint64_t iova, uint32_t access, void **ret_host,
			 uint64_t *ret_len);

/*
 * vmmem_translate_check() is vmmem_collection_check_range() for a collection of
 * either kind, where an access has begun to wait.  'wait' may be NULL.
 */
int vmmem_translate_check(const struct vmmem_collection *collection,
			  uint64_t iova, uint64_t len, uint32_t access,
			  struct vmmem_iommu_wait *wait, uint64_t *ret_bad);

/*
 * vmmem_translate_slice() is vmmem_collection_slice() for one, and if not
 * 'whole' vmmem_collection_next_piece(); without the checks of their arguments,
 * and 'len' is not 0.
 */
int vmmem_translate_slice(const struct vmmem_collection *collection,
			  uint64_t iova, uint64_t len, uint32_t access,
			  bool whole, bool acquire,
			  struct vmmem_slice *ret_slice);

/*
 * vmmem_translate_piece() is vmmem_collection_next_piece(), with 'acquire',
 * except that it never asks the miss handler and so may be called in a section:
 * VMMEM_EIOMMUMISS where it would have to ask.
 */
int vmmem_translate_piece(const struct vmmem_collection *collection,
			  uint64_t iova, uint64_t len, uint32_t access,
			  struct vmmem_slice *ret_piece);

/*
 * vmmem_translate_physical() is the collection that has the regions of any
 * collection.
 */
static inline const struct vmmem_collection *
vmmem_translate_physical(const struct vmmem_collection *collection)
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

/* vmmem_translate_free() frees the translation of a collection. */
void vmmem_translate_free(struct vmmem_translation *translation);

#endif
