/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Which memory has pages, by guest address. */
#include <vmmem/error.h>
#include <vmmem/residency.h>

#include "base/api.h"
#include "map/collection_priv.h"
#include "map/translate.h"

VMMEM_API int
vmmem_collection_next_populated(const struct vmmem_collection *collection,
				uint64_t gpa, uint64_t len, uint64_t *ret_gpa,
				uint64_t *ret_len)
{
	uint64_t first, end, last, offset, found = 0;
	size_t at;
	int rc;

	if (collection == NULL || ret_gpa == NULL || ret_len == NULL)
		return VMMEM_EARGUMENT;
	if (len != 0 && len - 1 > UINT64_MAX - gpa)
		return VMMEM_EWRAPS;
	last = gpa + (len - 1);
	/* The question is about memory, whatever the translation is. */
	collection = vmmem_translate_physical(collection);
	at = collection->count != 0 ? vmmem_collection_search(collection, gpa) :
				      0;
	for (; len != 0 && at < collection->count &&
	       collection->starts[at] <= last;
	     at++) {
		first = collection->starts[at];
		offset = first < gpa ? gpa - first : 0;
		end = collection->regions[at]->last;
		if (end > last)
			end = last;
		/* The region that the search found may end below 'gpa'. */
		if (first + offset > end)
			continue;
		rc = vmmem_region_next_populated(
			collection->regions[at], offset,
			end - (first + offset) + 1, &offset, &found);
		if (rc != 0)
			return rc;
		if (found != 0) {
			*ret_gpa = first + offset;
			*ret_len = found;
			return 0;
		}
	}
	*ret_gpa = gpa + len;
	*ret_len = 0;
	return 0;
}
