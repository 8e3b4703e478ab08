/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Collections that are seen through an iommu. */
#include "map/translate.h"

#include <vmmem/error.h>

#include <errno.h>
#include <stdlib.h>

#include "dirty/bitmap_priv.h"
#include "region/private_priv.h"
#include "region/slice_priv.h"

VMMEM_API int
vmmem_collection_new_translated(struct vmmem_iommu *iommu,
				struct vmmem_collection *physical,
				struct vmmem_collection **ret_collection)
{
	struct vmmem_translation *translation;
	struct vmmem_collection *collection;

	if (iommu == NULL || physical == NULL || ret_collection == NULL ||
	    physical->translation != NULL)
		return VMMEM_EARGUMENT;
	translation = calloc(1, sizeof(*translation));
	if (translation == NULL)
		return -ENOMEM;
	collection = vmmem_collection_shadow(physical);
	if (collection == NULL) {
		free(translation);
		return -ENOMEM;
	}
	translation->iommu = vmmem_iommu_ref(iommu);
	translation->iotlb = iommu->iotlb;
	translation->log = iommu->log != NULL ? iommu : NULL;
	translation->physical = vmmem_collection_ref(physical);
	translation->word.word = &collection->count;
	translation->word.off = physical->count;
	collection->translation = translation;
	vmmem_iommu_attach(iommu, &translation->word);
	*ret_collection = collection;
	return 0;
}

int
vmmem_translate_like(const struct vmmem_collection *collection,
		     struct vmmem_collection *physical,
		     struct vmmem_collection **ret_collection)
{
	int rc;

	rc = vmmem_collection_new_translated(collection->translation->iommu,
					     physical, ret_collection);
	vmmem_collection_unref(physical);
	return rc;
}

int
vmmem_translate_insert(const struct vmmem_collection *collection,
		       struct vmmem_region *region,
		       struct vmmem_collection **ret_collection)
{
	struct vmmem_collection *larger;
	int rc;

	rc = vmmem_collection_insert(vmmem_translate_physical(collection),
				     region, &larger);
	return rc != 0 ? rc :
			 vmmem_translate_like(collection, larger,
					      ret_collection);
}

int
vmmem_translate_remove(const struct vmmem_collection *collection,
		       uint64_t gpa, uint64_t len,
		       struct vmmem_collection **ret_collection,
		       struct vmmem_region **ret_region)
{
	struct vmmem_collection *smaller;
	struct vmmem_region *region;
	int rc;

	rc = vmmem_collection_remove(vmmem_translate_physical(collection), gpa,
				     len, &smaller, &region);
	if (rc != 0)
		return rc;
	rc = vmmem_translate_like(collection, smaller, ret_collection);
	if (rc == 0 && ret_region != NULL)
		*ret_region = region;
	else
		vmmem_region_unref(region);
	return rc;
}

void
vmmem_translate_free(struct vmmem_translation *translation)
{
	vmmem_iommu_detach(translation->iommu, &translation->word);
	vmmem_collection_unref(translation->physical);
	vmmem_iommu_unref(translation->iommu);
	free(translation);
}

VMMEM_API struct vmmem_collection *
vmmem_collection_physical(const struct vmmem_collection *collection)
{
	return collection != NULL && collection->translation != NULL ?
		       collection->translation->physical :
		       NULL;
}

VMMEM_API struct vmmem_iommu *
vmmem_collection_iommu(const struct vmmem_collection *collection)
{
	return collection != NULL && collection->translation != NULL ?
		       collection->translation->iommu :
		       NULL;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * find_place() finds 'gpa' in the physical map: 'len' bytes of which 'span' + 1
 * are beside each other for the iommu.
 */
static int
find_place(const struct vmmem_collection *physical, uint64_t gpa, uint64_t span,
	   uint64_t len, uint32_t access, struct vmmem_place *place)
{
	place->map = physical;
	place->entry =
		vmmem_collection_find_entry(physical, gpa, &place->offset);
	if (place->entry == NULL)
		return VMMEM_EBADADDR;
	if ((access & ~place->entry->access) != 0)
		return VMMEM_EDENIED;
	/* Fits: no region has 2^64 bytes. */
	place->reach = least(span, place->entry->span - place->offset) + 1;
	if (access != 0)
		place->reach = vmmem_private_entry_shared(
			place->entry, place->offset, place->reach);
	if (place->reach == 0)
		return VMMEM_EPRIVATE;
	place->len = least(len, place->reach);
	return 0;
}

/* untranslated() is vmmem_translate() where the address is a physical one. */
static int
untranslated(const struct vmmem_collection *physical, uint64_t gpa,
	     uint64_t len, uint32_t access, struct vmmem_place *ret_place)
{
	int rc;

	rc = find_place(physical, gpa, UINT64_MAX - gpa, len, access,
			ret_place);
	if (rc != 0)
		return rc;
	ret_place->before = ret_place->offset;
	ret_place->iotlb = NULL;
	ret_place->iova = gpa;
	ret_place->log = NULL;
	return 0;
}

int
vmmem_translate(const struct vmmem_collection *collection, uint64_t iova,
		uint64_t len, uint32_t access, struct vmmem_iommu_wait *wait,
		struct vmmem_place *ret_place)
{
	const struct vmmem_translation *translation = collection->translation;
	struct vmmem_iotlb_entry found;
	struct vmmem_iommu *iommu;
	struct vmmem_iotlb *iotlb;
	int rc;

	if (translation == NULL)
		return untranslated(collection, iova, len, access, ret_place);
	iommu = translation->iommu;
	iotlb = translation->iotlb;
	while (vmmem_iommu_is_on(iommu)) {
		ret_place->section = vmmem_srcu_enter(&iotlb->srcu);
		vmmem_iotlb_find(&iotlb->table, iova, &found);
		if (vmmem_translate_permits(&found, access)) {
			rc = find_place(translation->physical,
					iova + found.delta, found.last - iova,
					len, access, ret_place);
			if (rc != 0) {
				vmmem_srcu_leave(&iotlb->srcu,
						 ret_place->section);
				return rc;
			}
			ret_place->before =
				least(iova - found.start, ret_place->offset);
			ret_place->iotlb = iotlb;
			ret_place->iova = iova;
			ret_place->log = translation->log;
			return 0;
		}
		vmmem_srcu_leave(&iotlb->srcu, ret_place->section);
		if (wait == NULL)
			return VMMEM_EIOMMUMISS;
		rc = vmmem_iommu_miss(iommu, &found, iova, len, access, wait);
		if (rc != 0)
			return rc;
	}
	/* It is off: the slow path is as in the physical map. */
	return untranslated(translation->physical, iova, len, access,
			    ret_place);
}

int
vmmem_translate_byte(const struct vmmem_collection *collection, uint64_t iova,
		     uint32_t access, struct vmmem_place *ret_place)
{
	struct vmmem_iommu_wait wait = { 0 };
	int rc;

	rc = vmmem_translate(collection, iova, 1, access, &wait, ret_place);
	if (rc == 0)
		vmmem_translate_end(ret_place);
	return rc;
}

VMMEM_COLD struct vmmem_region *
vmmem_translate_region(const struct vmmem_collection *collection, uint64_t iova)
{
	struct vmmem_place place;

	if (collection->translation == NULL ||
	    vmmem_translate_byte(collection, iova, 0, &place) != 0)
		return NULL;
	return vmmem_region_of(place.entry);
}

/*
 * skip() returns how many bytes of [iova, iova + len) have no memory for the
 * same reason as the first: no translation, or one to no region.  0: the first
 * has memory by now.
 */
static uint64_t
skip(const struct vmmem_translation *translation, uint64_t iova, uint64_t len)
{
	const struct vmmem_collection *physical = translation->physical;
	struct vmmem_iotlb *iotlb = translation->iotlb;
	struct vmmem_iotlb_entry found;
	struct vmmem_section section;
	uint64_t gpa, offset, span;
	size_t at;

	section = vmmem_srcu_enter(&iotlb->srcu);
	vmmem_iotlb_find(&iotlb->table, iova, &found);
	vmmem_srcu_leave(&iotlb->srcu, section);
	span = found.last - iova;
	if (found.flags != 0 && physical->count != 0) {
		gpa = iova + found.delta;
		if (vmmem_collection_find_entry(physical, gpa, &offset) != NULL)
			return 0;
		at = vmmem_collection_search(physical, gpa);
		if (physical->starts[at] < gpa)
			at++;
		if (at < physical->count)
			span = least(span, physical->starts[at] - gpa - 1);
	}
	return least(len - 1, span) + 1;
}

int
vmmem_translate_mark(const struct vmmem_collection *collection, uint64_t iova,
		     uint64_t len)
{
	const struct vmmem_translation *translation = collection->translation;
	struct vmmem_place place;
	uint64_t piece;
	int rc = 0, failed;

	/* A log by iova needs no translation, which may be gone by now. */
	if (translation->log != NULL && vmmem_iommu_is_on(translation->iommu)) {
		if (len - 1 <= UINT64_MAX - iova) {
			vmmem_iommu_mark(translation->log, iova, len);
			return 0;
		}
		if (iova != UINT64_MAX)
			vmmem_iommu_mark(translation->log, iova,
					 UINT64_MAX - iova);
		vmmem_iommu_mark(translation->log, UINT64_MAX, 1);
		return VMMEM_EWRAPS;
	}
	/* Bytes behind others that have no memory are marked, too. */
	while (vmmem_iommu_is_on(translation->iommu)) {
		/*
		 * The guest may have the page back: the handler is not asked.
		 */
		failed =
			vmmem_translate(collection, iova, len, 0, NULL, &place);
		if (failed == 0) {
			vmmem_place_written(&place, 0, place.len);
			vmmem_translate_end(&place);
			piece = place.len;
		} else {
			piece = skip(translation, iova, len);
			if (piece == 0)
				continue;
			if (rc == 0)
				rc = failed;
		}
		if (piece == len)
			return rc;
		if (piece - 1 == UINT64_MAX - iova)
			return rc != 0 ? rc : VMMEM_EWRAPS;
		iova += piece;
		len -= piece;
	}
	failed = vmmem_collection_mark_range(translation->physical, iova, len);
	return rc != 0 ? rc : failed;
}

int
vmmem_translate_host(const struct vmmem_collection *collection, uint64_t iova,
		     uint32_t access, void **ret_host, uint64_t *ret_len)
{
	struct vmmem_place place;
	uint64_t shared;
	int rc;

	rc = vmmem_translate_byte(collection, iova, access, &place);
	if (rc != 0)
		return rc;
	if (vmmem_region_entry_host(place.entry) == NULL)
		return VMMEM_ENOHOST;
	shared = vmmem_private_entry_shared(place.entry, place.offset,
					    place.reach);
	if (shared == 0)
		return VMMEM_EPRIVATE;
	*ret_host = vmmem_region_entry_host(place.entry) + place.offset;
	*ret_len = shared;
	return 0;
}

int
vmmem_translate_check(const struct vmmem_collection *collection, uint64_t iova,
		      uint64_t len, uint32_t access,
		      struct vmmem_iommu_wait *wait, uint64_t *ret_bad)
{
	struct vmmem_iommu_wait own = { 0 };
	struct vmmem_place place;
	int rc;

	if (wait == NULL)
		wait = &own;
	while (len != 0) {
		rc = vmmem_translate(collection, iova, len, access, wait,
				     &place);
		if (rc != 0) {
			*ret_bad = iova;
			return rc;
		}
		vmmem_translate_end(&place);
		if (place.len == len)
			break;
		if (place.len - 1 == UINT64_MAX - iova)
			return VMMEM_EWRAPS;
		iova += place.len;
		len -= place.len;
	}
	return 0;
}

int
vmmem_translate_all(const struct vmmem_collection *collection, uint64_t iova,
		    uint64_t len, uint32_t access,
		    struct vmmem_place *ret_place)
{
	struct vmmem_iommu_wait wait = { 0 };
	struct vmmem_place place;
	uint64_t bad;
	int rc, turn;

	/*
	 * The rest of a piece may be missing.  When all of it is there, by
	 * asking for it, it may be one.
	 */
	for (turn = 0; turn < 2; turn++) {
		rc = vmmem_translate(collection, iova, len, access, &wait,
				     &place);
		if (rc != 0)
			return rc;
		if (place.len == len) {
			*ret_place = place;
			return 0;
		}
		vmmem_translate_end(&place);
		if (turn == 0)
			rc = vmmem_translate_check(collection, iova, len,
						   access, &wait, &bad);
		if (rc != 0)
			return rc;
	}
	return VMMEM_ECROSS;
}

/* log_slice() makes a slice mark by iova the writes through it. */
static int
log_slice(const struct vmmem_place *place, bool whole,
	  struct vmmem_slice *slice)
{
	const struct vmmem_iommu *iommu = place->log;
	uint64_t offset, covered;

	/* A slice that is only read from is never marked. */
	if ((vmmem_slice_permits(slice) & VMMEM_PROT_WRITE) == 0)
		return 0;
	covered = vmmem_iommu_logged(iommu, place->iova, slice->len, &offset);
	if (covered == 0 || (whole && covered != slice->len))
		return VMMEM_EUNLOGGED;
	slice->len = covered;
	slice->logging = &iommu->log->logging;
	slice->log_offset = offset;
	return 0;
}

/*
 * place_slice() makes a slice of a place, and ends its section.
 */
static int
place_slice(const struct vmmem_place *place, uint64_t len, uint32_t access,
	    bool whole, bool acquire, struct vmmem_slice *ret_slice)
{
	struct vmmem_slice slice;
	int rc;

	/* There are no bytes behind the last address. */
	if (len - 1 > UINT64_MAX - place->iova &&
	    place->len - 1 == UINT64_MAX - place->iova) {
		vmmem_translate_end(place);
		return VMMEM_EWRAPS;
	}
	/*
	 * A slice that is acquired is given back as long as it was, so no log
	 * may cut it short.
	 */
	if ((place->log != NULL || !acquire) &&
	    vmmem_region_entry_host(place->entry) == NULL) {
		vmmem_translate_end(place);
		return VMMEM_ENOHOST;
	}
	rc = vmmem_region_slice(vmmem_region_of(place->entry), place->offset,
				place->len, access, &slice);
	if (rc == 0 && place->log != NULL)
		rc = log_slice(place, whole, &slice);
	vmmem_translate_end(place);
	if (rc == 0)
		*ret_slice = slice;
	return rc;
}

int
vmmem_translate_slice(const struct vmmem_collection *collection, uint64_t iova,
		      uint64_t len, uint32_t access, bool whole, bool acquire,
		      struct vmmem_slice *ret_slice)
{
	struct vmmem_iommu_wait wait = { 0 };
	struct vmmem_place place;
	int rc;

	rc = whole ? vmmem_translate_all(collection, iova, len, access,
					 &place) :
		     vmmem_translate(collection, iova, len, access, &wait,
				     &place);
	return rc != 0 ? rc :
			 place_slice(&place, len, access, whole, acquire,
				     ret_slice);
}

int
vmmem_translate_piece(const struct vmmem_collection *collection, uint64_t iova,
		      uint64_t len, uint32_t access,
		      struct vmmem_slice *ret_piece)
{
	struct vmmem_place place;
	int rc;

	rc = vmmem_translate(collection, iova, len, access, NULL, &place);
	return rc != 0 ?
		       rc :
		       place_slice(&place, len, access, false, true, ret_piece);
}
