/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Collections that are made of another one. */
#include <vmmem/collection.h>
#include <vmmem/error.h>

#include <errno.h>
#include <string.h>

#include "base/api.h"
#include "map/collection_priv.h"
#include "map/translate.h"

/* Up to here a loop is faster than calling memcpy(). */
#define FEW 16

/* copy() copies 'count' regions from 'from' on to where 'to' begins. */
static void
copy(struct vmmem_collection *collection, size_t to,
     const struct vmmem_collection *other, size_t from, size_t count)
{
	uint64_t *spans = &collection->starts[collection->count];
	size_t i;

	if (count > FEW) {
		memcpy(&collection->starts[to], &other->starts[from],
		       count * sizeof(other->starts[0]));
		memcpy(&spans[to], &vmmem_collection_spans(other)[from],
		       count * sizeof(spans[0]));
		memcpy(&collection->regions[to], &other->regions[from],
		       count * sizeof(other->regions[0]));
		return;
	}
	for (i = 0; i < count; i++) {
		collection->starts[to + i] = other->starts[from + i];
		spans[to + i] = vmmem_collection_spans(other)[from + i];
		collection->regions[to + i] = other->regions[from + i];
		/* Without this the compiler makes the loop a memcpy(). */
		__asm__ volatile("");
	}
}

/* differs() notes in which regions a new collection differs from its maker. */
static void
differs(struct vmmem_collection *collection, struct vmmem_region *const *added,
	size_t added_count, struct vmmem_region *const *removed,
	size_t removed_count)
{
	size_t i;

	for (i = 0; i < added_count; i++)
		collection->changed[i] = added[i];
	for (i = 0; i < removed_count; i++)
		collection->changed[added_count + i] = removed[i];
	collection->inserted = added_count;
	collection->changes = added_count + removed_count;
}

struct vmmem_collection *
vmmem_collection_shadow(const struct vmmem_collection *collection)
{
	struct vmmem_collection *shadow =
		vmmem_collection_allocate(collection->count, 0);

	if (shadow != NULL)
		copy(shadow, 0, collection, 0, collection->count);
	return shadow;
}

size_t
vmmem_collection_first_after(const struct vmmem_collection *collection,
			     uint64_t gpa)
{
	size_t low = 0, high = collection->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (collection->starts[middle] <= gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

VMMEM_API int
vmmem_collection_insert(const struct vmmem_collection *collection,
			struct vmmem_region *region,
			struct vmmem_collection **ret_collection)
{
	struct vmmem_collection *larger;
	size_t at;
	int rc;

	if (collection == NULL || region == NULL || ret_collection == NULL)
		return VMMEM_EARGUMENT;
	if (collection->translation != NULL)
		return vmmem_translate_insert(collection, region,
					      ret_collection);
	at = vmmem_collection_first_after(collection, region->start);
	if (at > 0 && collection->regions[at - 1]->last >= region->start)
		return VMMEM_EOVERLAP;
	if (at < collection->count && collection->starts[at] <= region->last)
		return VMMEM_EOVERLAP;

	larger = vmmem_collection_allocate(collection->count + 1, 1);
	if (larger == NULL)
		return -ENOMEM;
	copy(larger, 0, collection, 0, at);
	vmmem_collection_put(larger, at, region);
	copy(larger, at + 1, collection, at, collection->count - at);
	differs(larger, &region, 1, NULL, 0);
	rc = vmmem_collection_finish(larger, collection);
	if (rc == 0)
		*ret_collection = larger;
	return rc;
}

VMMEM_API int
vmmem_collection_remove(const struct vmmem_collection *collection,
			uint64_t gpa, uint64_t len,
			struct vmmem_collection **ret_collection,
			struct vmmem_region **ret_region)
{
	struct vmmem_collection *smaller;
	struct vmmem_region *region;
	size_t at;
	int rc;

	if (collection == NULL || ret_collection == NULL)
		return VMMEM_EARGUMENT;
	if (collection->translation != NULL)
		return vmmem_translate_remove(collection, gpa, len,
					      ret_collection, ret_region);
	at = vmmem_collection_first_after(collection, gpa);
	/* A length of 0 asks for the span 2^64 - 1, which no region has. */
	if (at == 0 || collection->starts[at - 1] != gpa ||
	    vmmem_collection_spans(collection)[at - 1] != len - 1)
		return VMMEM_ENOREGION;
	at--;
	region = collection->regions[at];

	smaller = vmmem_collection_allocate(collection->count - 1, 1);
	if (smaller == NULL)
		return -ENOMEM;
	copy(smaller, 0, collection, 0, at);
	copy(smaller, at, collection, at + 1, collection->count - at - 1);
	differs(smaller, NULL, 0, &region, 1);
	rc = vmmem_collection_finish(smaller, collection);
	if (rc != 0)
		return rc;
	*ret_collection = smaller;
	if (ret_region != NULL)
		*ret_region = vmmem_region_ref(region);
	return 0;
}

/* fill() makes 'result' of the regions of 'older' as they are changed. */
static void
fill(struct vmmem_collection *result, const struct vmmem_collection *older,
     struct vmmem_region *const *added, size_t added_count,
     struct vmmem_region *const *removed, size_t removed_count)
{
	size_t from = 0, to = 0, i = 0, j = 0, at;

	while (i < added_count || j < removed_count) {
		/* Of two at one address, the old one first. */
		const bool out = j < removed_count &&
				 (i == added_count ||
				  removed[j]->start <= added[i]->start);

		at = out ? vmmem_collection_search(older, removed[j]->start) :
			   vmmem_collection_first_after(older, added[i]->start);
		/* The regions below were copied, or removed. */
		if (at > from) {
			copy(result, to, older, from, at - from);
			to += at - from;
			from = at;
		}
		if (out) {
			from = at + 1;
			j++;
		} else {
			vmmem_collection_put(result, to++, added[i++]);
		}
	}
	copy(result, to, older, from, older->count - from);
}

int
vmmem_collection_change(const struct vmmem_collection *collection,
			struct vmmem_region *const *added, size_t added_count,
			struct vmmem_region *const *removed,
			size_t removed_count,
			struct vmmem_collection **ret_collection)
{
	struct vmmem_collection *result;
	int rc;

	result = vmmem_collection_allocate(
		collection->count - removed_count + added_count,
		added_count + removed_count);
	if (result == NULL)
		return -ENOMEM;
	fill(result, collection, added, added_count, removed, removed_count);
	differs(result, added, added_count, removed, removed_count);
	rc = vmmem_collection_finish(result, collection);
	if (rc == 0)
		*ret_collection = result;
	return rc;
}
