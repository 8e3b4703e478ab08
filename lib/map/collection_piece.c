/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Walking over a map region by region. */
#include <vmmem/error.h>

#include "base/api.h"
#include "map/collection_priv.h"
#include "map/translate.h"
#include "region/private_priv.h"

VMMEM_API size_t
vmmem_collection_index(const struct vmmem_collection *collection, uint64_t gpa)
{
	size_t at;

	if (collection == NULL)
		return 0;
	collection = vmmem_translate_physical(collection);
	at = vmmem_collection_first_after(collection, gpa);
	return at > 0 && collection->regions[at - 1]->last >= gpa ? at - 1 :
								     at;
}

VMMEM_API int
vmmem_collection_overlaps(const struct vmmem_collection *collection,
			  uint64_t gpa, uint64_t len)
{
	size_t at;

	if (collection == NULL || len == 0)
		return 0;
	collection = vmmem_translate_physical(collection);
	at = vmmem_collection_index(collection, gpa);
	if (at == collection->count)
		return 0;
	return collection->starts[at] <= gpa ||
	       collection->starts[at] - gpa < len;
}

/* The results for a piece. */
struct piece {
	const struct vmmem_region_entry *entry;
	uint64_t offset;
	uint64_t len;
};

/* translated_piece() finds the piece of a translated collection. */
static int
translated_piece(const struct vmmem_collection *collection, uint64_t iova,
		 uint64_t len, uint32_t access, struct piece *ret_piece)
{
	struct vmmem_iommu_wait wait = { 0 };
	struct vmmem_place place;
	int rc;

	rc = vmmem_translate(collection, iova, len, access, &wait, &place);
	if (rc != 0)
		return rc;
	vmmem_translate_end(&place);
	*ret_piece = (struct piece){ place.entry, place.offset, place.len };
	return 0;
}

/* find_piece() finds the piece of a plain one. */
static int
find_piece(const struct vmmem_collection *collection, uint64_t gpa,
	   uint64_t len, uint32_t access, struct piece *ret_piece)
{
	const struct vmmem_region_entry *entry;
	uint64_t offset;

	entry = vmmem_collection_find_entry(collection, gpa, &offset);
	if (entry == NULL)
		return VMMEM_EBADADDR;
	if ((access & ~entry->access) != 0)
		return VMMEM_EDENIED;
	if (!vmmem_range_within(entry->span, offset, len))
		len = entry->span - offset + 1;
	if (access != 0)
		len = vmmem_private_entry_shared(entry, offset, len);
	if (len == 0)
		return VMMEM_EPRIVATE;
	*ret_piece = (struct piece){ entry, offset, len };
	return 0;
}

VMMEM_API int
vmmem_collection_piece(const struct vmmem_collection *collection, uint64_t gpa,
		       uint64_t len, uint32_t access,
		       struct vmmem_region **ret_region, uint64_t *ret_offset,
		       uint64_t *ret_len, void **ret_host)
{
	unsigned char *host;
	struct piece piece;
	int rc;

	if (collection == NULL || ret_region == NULL || ret_offset == NULL ||
	    ret_len == NULL || (access & ~VMMEM_READ_WRITE) != 0)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return VMMEM_EZEROLEN;
	rc = (collection->translation != NULL ? translated_piece : find_piece)(
		collection, gpa, len, access, &piece);
	if (rc != 0)
		return rc;
	/* There are no bytes behind the last address. */
	if (piece.len != len && piece.len - 1 == UINT64_MAX - gpa)
		return VMMEM_EWRAPS;
	*ret_region = vmmem_region_of(piece.entry);
	*ret_offset = piece.offset;
	*ret_len = piece.len;
	if (ret_host == NULL)
		return 0;
	/* Where no access was asked for, some of it may be private. */
	host = vmmem_region_entry_host(piece.entry);
	*ret_host = host != NULL && vmmem_private_entry_shared(piece.entry,
							       piece.offset,
							       piece.len) ==
					    piece.len ?
			    host + piece.offset :
			    NULL;
	return 0;
}
