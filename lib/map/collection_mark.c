/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Marking written bytes, by guest address. */
#include "map/collection_priv.h"
#include "map/translate.h"

int
vmmem_collection_mark_range(const struct vmmem_collection *collection,
			    uint64_t gpa, uint64_t len)
{
	const struct vmmem_region_entry *entry;
	uint64_t first, last, end, bad;
	size_t at;

	if (len == 0)
		return 0;
	if (collection->translation != NULL)
		return vmmem_translate_mark(collection, gpa, len);
	last = len - 1 > UINT64_MAX - gpa ? UINT64_MAX : gpa + (len - 1);
	at = collection->count != 0 ? vmmem_collection_search(collection, gpa) :
				      0;
	for (; at < collection->count && collection->starts[at] <= last; at++) {
		entry = &collection->regions[at]->entry;
		first = collection->starts[at];
		end = collection->regions[at]->last;
		if (first < gpa)
			first = gpa;
		if (end > last)
			end = last;
		/* The region that the search found may end below 'gpa'. */
		if (first <= end)
			vmmem_mark_written(entry,
					   first - collection->starts[at],
					   end - first + 1);
	}
	return vmmem_collection_check_range(collection, gpa, len, 0, &bad);
}
