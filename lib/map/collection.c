/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Collections: making them, and finding regions in them. */
#include <vmmem/address.h>
#include <vmmem/collection.h>
#include <vmmem/error.h>

#include <errno.h>
#include <stdlib.h>

#include "base/api.h"
#include "base/refcount.h"
#include "dirty/bitmap_priv.h"
#include "map/collection_priv.h"
#include "map/lineage.h"
#include "map/translate.h"
#include "region/private_priv.h"

/*
 * room() rounds a size up to the next eighth.  A map that grows region by
 * region asks for a little more each time.  malloc() takes from mmap() what is
 * larger than the block that was freed last: without the rounding the memory of
 * each map would be mapped, faulted in and unmapped again.
 */
static size_t
room(size_t bytes)
{
	const unsigned int eighth = 3;
	unsigned int bits = 63 - (unsigned int)__builtin_clzll(bytes);
	size_t unit = (size_t)1 << (bits > eighth ? bits - eighth : 0);

	return bytes > SIZE_MAX - unit ? bytes :
					 (bytes + (unit - 1)) & ~(unit - 1);
}

struct vmmem_collection *
vmmem_collection_allocate(size_t count, size_t changes)
{
	const size_t each =
		2 * sizeof(uint64_t) + sizeof(struct vmmem_region *);
	struct vmmem_collection *collection;

	/* The caller has the array of pointers: its size fits. */
	if (changes <= 1)
		changes = 0;
	if (count > (SIZE_MAX - sizeof(*collection) -
		     changes * sizeof(struct vmmem_region *)) /
			    each)
		return NULL;
	collection = malloc(room(sizeof(*collection) + count * each +
				 changes * sizeof(struct vmmem_region *)));
	if (collection == NULL)
		return NULL;
	atomic_init(&collection->refs, 1);
	atomic_init(&collection->kept, 0);
	atomic_init(&collection->cookies, NULL);
	collection->translation = NULL;
	collection->count = count;
	collection->levels =
		count > 1 ? 63 - (size_t)__builtin_clzll(count - 1) : 0;
	collection->upper =
		count > 1 ? count - ((size_t)1 << collection->levels) : 0;
	collection->regions =
		(struct vmmem_region **)&collection->starts[2 * count];
	collection->changed = changes != 0 ? &collection->regions[count] :
					     &collection->one;
	return collection;
}

int
vmmem_collection_finish(struct vmmem_collection *collection,
			const struct vmmem_collection *older)
{
	int rc;

	/* Const is for users: the lineage links the two. */
	if (older != NULL &&
	    vmmem_lineage_join(collection,
			       (struct vmmem_collection *)(uintptr_t)older))
		return 0;
	rc = vmmem_lineage_found(collection);
	if (rc != 0)
		free(collection);
	return rc;
}

static uint64_t
last_of(const struct vmmem_collection *collection, size_t index)
{
	return collection->regions[index]->last;
}

VMMEM_API int
vmmem_collection_new(struct vmmem_region *const *regions, size_t count,
		     struct vmmem_collection **ret_collection)
{
	struct vmmem_collection *collection;
	size_t i;
	int rc;

	if (ret_collection == NULL)
		return VMMEM_EARGUMENT;
	if (count == 0)
		return VMMEM_ENOREGION;
	if (regions == NULL)
		return VMMEM_EARGUMENT;
	for (i = 0; i < count; i++) {
		if (regions[i] == NULL)
			return VMMEM_EARGUMENT;
		if (i == 0)
			continue;
		if (regions[i]->start < regions[i - 1]->start)
			return VMMEM_EUNSORTED;
		if (regions[i]->start <= regions[i - 1]->last)
			return VMMEM_EOVERLAP;
	}

	collection = vmmem_collection_allocate(count, 0);
	if (collection == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		vmmem_collection_put(collection, i, regions[i]);
	rc = vmmem_collection_finish(collection, NULL);
	if (rc == 0)
		*ret_collection = collection;
	return rc;
}

static int
compare_starts(const void *left, const void *right)
{
	const struct vmmem_region *const *a = left;
	const struct vmmem_region *const *b = right;

	return ((*a)->start > (*b)->start) - ((*a)->start < (*b)->start);
}

VMMEM_API int
vmmem_collection_new_unsorted(struct vmmem_region *const *regions,
			      size_t count,
			      struct vmmem_collection **ret_collection)
{
	struct vmmem_region **sorted;
	size_t i;
	int rc;

	if (ret_collection == NULL)
		return VMMEM_EARGUMENT;
	if (count == 0)
		return VMMEM_ENOREGION;
	if (regions == NULL)
		return VMMEM_EARGUMENT;
	sorted = reallocarray(NULL, count, sizeof(*sorted));
	if (sorted == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		if (regions[i] == NULL) {
			free(sorted);
			return VMMEM_EARGUMENT;
		}
		sorted[i] = regions[i];
	}
	qsort(sorted, count, sizeof(*sorted), compare_starts);
	rc = vmmem_collection_new(sorted, count, ret_collection);
	free(sorted);
	return rc;
}

VMMEM_API int
vmmem_collection_new_empty(struct vmmem_collection **ret_collection)
{
	struct vmmem_collection *collection;
	int rc;

	if (ret_collection == NULL)
		return VMMEM_EARGUMENT;
	collection = vmmem_collection_allocate(0, 0);
	if (collection == NULL)
		return -ENOMEM;
	rc = vmmem_collection_finish(collection, NULL);
	if (rc == 0)
		*ret_collection = collection;
	return rc;
}

VMMEM_API struct vmmem_collection *
vmmem_collection_ref(struct vmmem_collection *collection)
{
	if (collection != NULL)
		vmmem_refcount_take(&collection->refs);
	return collection;
}

VMMEM_API struct vmmem_collection *
vmmem_collection_unref(struct vmmem_collection *collection)
{
	size_t left, i;

	if (collection == NULL ||
	    !vmmem_refcount_drop_likely_last(&collection->refs))
		return NULL;
	/* The physical one holds the regions of a translated one. */
	if (collection->translation != NULL) {
		vmmem_translate_free(collection->translation);
		vmmem_collection_end_cookies(collection);
		free(collection);
		return NULL;
	}
	left = vmmem_lineage_leave(collection);
	for (i = 0; i < left; i++)
		vmmem_region_unref(collection->regions[i]);
	vmmem_collection_end_cookies(collection);
	free(collection);
	return NULL;
}

void
vmmem_collection_keep(struct vmmem_collection *collection)
{
	vmmem_collection_ref(collection);
	/* Relaxed: too small a number only delays. */
	atomic_fetch_add_explicit(&collection->kept, 1, memory_order_relaxed);
}

void
vmmem_collection_unkeep(struct vmmem_collection *collection)
{
	/*
	 * Before the reference is dropped: at no time may 'kept' count a
	 * reference that is gone, as it would hide another holder's.  Release,
	 * and the unref after it releases too, keep that order for a thread in
	 * vmmem_collection_is_held().
	 */
	atomic_fetch_sub_explicit(&collection->kept, 1, memory_order_release);
	vmmem_collection_unref(collection);
}

bool
vmmem_collection_is_held(const struct vmmem_collection *collection)
{
	size_t refs, kept;

	/*
	 * Acquire: a holder dropped its reference after its last use, which is
	 * so before the caller's next step; and the second load is after the
	 * first.  References first: if a space drops its own in between, 'kept'
	 * is too small, and the answer only cautious.
	 */
	refs = atomic_load_explicit(&collection->refs, memory_order_acquire);
	kept = atomic_load_explicit(&collection->kept, memory_order_acquire);
	return refs != kept;
}

VMMEM_API size_t
vmmem_collection_count(const struct vmmem_collection *collection)
{
	return collection != NULL ?
		       vmmem_translate_physical(collection)->count :
		       0;
}

VMMEM_API struct vmmem_region *
vmmem_collection_region(const struct vmmem_collection *collection, size_t index)
{
	if (collection == NULL)
		return NULL;
	collection = vmmem_translate_physical(collection);
	return index < collection->count ? collection->regions[index] : NULL;
}

VMMEM_API int
vmmem_collection_for_each(const struct vmmem_collection *collection,
			  int (*visit)(void *opaque,
				       struct vmmem_region *region),
			  void *opaque)
{
	size_t i;
	int rc = 0;

	if (collection == NULL || visit == NULL)
		return VMMEM_EARGUMENT;
	collection = vmmem_translate_physical(collection);
	for (i = 0; i < collection->count && rc == 0; i++)
		rc = visit(opaque, collection->regions[i]);
	return rc;
}

VMMEM_API struct vmmem_region *
vmmem_collection_find(const struct vmmem_collection *collection, uint64_t gpa)
{
	size_t count, at;

	if (collection == NULL)
		return NULL;
	/* Once: an iommu may be switched on at any time. */
	count = __atomic_load_n(&collection->count, __ATOMIC_RELAXED);
	if (!likely(count != 0))
		return vmmem_translate_region(collection, gpa);
	at = vmmem_collection_search(collection, gpa);
	/*
	 * As in vmmem_collection_find_entry(), except that the region is not
	 * looked at.
	 */
	if (!likely(gpa - collection->starts[at] <=
		    collection->starts[count + at])) {
		__asm__ volatile("");
		return NULL;
	}
	return collection->regions[at];
}

VMMEM_API int
vmmem_collection_next(const struct vmmem_collection *collection, uint64_t gpa,
		      struct vmmem_region **ret_region)
{
	size_t at;

	if (collection == NULL || ret_region == NULL)
		return VMMEM_EARGUMENT;
	collection = vmmem_translate_physical(collection);
	at = vmmem_collection_first_after(collection, gpa);
	if (at > 0 && last_of(collection, at - 1) >= gpa)
		at--;
	if (at == collection->count)
		return VMMEM_ENOREGION;
	*ret_region = collection->regions[at];
	return 0;
}

VMMEM_API int
vmmem_collection_host_to_gpa(const struct vmmem_collection *collection,
			     const void *host, uint64_t *ret_gpa,
			     uint64_t *ret_len)
{
	const struct vmmem_region_entry *entry;
	uint64_t offset;
	size_t i;

	if (collection == NULL || ret_gpa == NULL || ret_len == NULL)
		return VMMEM_EARGUMENT;
	collection = vmmem_translate_physical(collection);
	for (i = 0; i < collection->count; i++) {
		entry = &collection->regions[i]->entry;
		/* Below the region this wraps to more than any has. */
		offset = (uintptr_t)host -
			 (uintptr_t)vmmem_region_entry_host(entry);
		if (vmmem_region_entry_host(entry) == NULL ||
		    offset > entry->span)
			continue;
		*ret_gpa = collection->starts[i] + offset;
		*ret_len = entry->span - offset + 1;
		return 0;
	}
	return VMMEM_EBADADDR;
}

VMMEM_API int
vmmem_collection_locate(const struct vmmem_collection *collection,
			uint64_t gpa, struct vmmem_region **ret_region,
			uint64_t *ret_offset)
{
	const struct vmmem_region_entry *entry;
	struct vmmem_place place;
	uint64_t offset;
	int rc;

	if (collection == NULL || ret_region == NULL || ret_offset == NULL)
		return VMMEM_EARGUMENT;
	if (collection->translation != NULL) {
		rc = vmmem_translate_byte(collection, gpa, 0, &place);
		if (rc != 0)
			return rc;
		*ret_region = vmmem_region_of(place.entry);
		*ret_offset = place.offset;
		return 0;
	}
	entry = vmmem_collection_find_entry(collection, gpa, &offset);
	if (entry == NULL)
		return VMMEM_EBADADDR;
	*ret_region = vmmem_region_of(entry);
	*ret_offset = offset;
	return 0;
}

VMMEM_API int
vmmem_collection_last(const struct vmmem_collection *collection,
		      uint64_t *ret_last)
{
	if (collection == NULL || ret_last == NULL)
		return VMMEM_EARGUMENT;
	collection = vmmem_translate_physical(collection);
	if (collection->count == 0)
		return VMMEM_ENOREGION;
	*ret_last = last_of(collection, collection->count - 1);
	return 0;
}

VMMEM_API int
vmmem_collection_contains(const struct vmmem_collection *collection,
			  uint64_t gpa)
{
	return vmmem_collection_find(collection, gpa) != NULL;
}

int
vmmem_collection_check_range(const struct vmmem_collection *collection,
			     uint64_t gpa, uint64_t len, uint32_t access,
			     uint64_t *ret_bad)
{
	const struct vmmem_region_entry *entry;
	uint64_t offset, here, shared;

	if (len == 0)
		return 0;
	if (collection->translation != NULL)
		return vmmem_translate_check(collection, gpa, len, access, NULL,
					     ret_bad);
	entry = vmmem_collection_find_entry(collection, gpa, &offset);
	while (entry != NULL) {
		if ((access & ~entry->access) != 0) {
			*ret_bad = gpa;
			return VMMEM_EDENIED;
		}
		here = vmmem_range_within(entry->span, offset, len) ?
			       len :
			       entry->span - offset + 1;
		/* A caller that asks for no access asks for memory alone. */
		shared = access != 0 ? vmmem_private_entry_shared(entry, offset,
								  here) :
				       here;
		if (shared != here) {
			*ret_bad = gpa + shared;
			return VMMEM_EPRIVATE;
		}
		if (here == len)
			return 0;
		/* On to the byte after this region, if there is one. */
		len -= here;
		gpa += here - 1;
		if (gpa == UINT64_MAX)
			return VMMEM_EWRAPS;
		gpa++;
		offset = 0;
		entry = vmmem_collection_next_entry(collection, entry);
	}
	*ret_bad = gpa;
	return VMMEM_EBADADDR;
}

VMMEM_API int
vmmem_collection_check(const struct vmmem_collection *collection, uint64_t gpa,
		       uint64_t len, uint32_t access, uint64_t *ret_bad)
{
	uint64_t bad;

	if (collection == NULL || (access & ~VMMEM_READ_WRITE) != 0)
		return VMMEM_EARGUMENT;
	return vmmem_collection_check_range(collection, gpa, len, access,
					    ret_bad != NULL ? ret_bad : &bad);
}

VMMEM_API int
vmmem_collection_address_add(const struct vmmem_collection *collection,
			     uint64_t gpa, uint64_t offset, uint64_t *ret_gpa)
{
	struct vmmem_place place;
	uint64_t sum;
	int rc;

	if (collection == NULL || ret_gpa == NULL)
		return VMMEM_EARGUMENT;
	rc = vmmem_address_checked_add(gpa, offset, &sum);
	if (rc != 0)
		return rc;
	if (collection->translation != NULL)
		rc = vmmem_translate_byte(collection, sum, 0, &place);
	else if (!vmmem_collection_contains(collection, sum))
		rc = VMMEM_EBADADDR;
	if (rc != 0)
		return rc;
	*ret_gpa = sum;
	return 0;
}

VMMEM_API int
vmmem_collection_host_address(const struct vmmem_collection *collection,
			      uint64_t gpa, uint32_t access, void **ret_host,
			      uint64_t *ret_len)
{
	const struct vmmem_region_entry *entry;
	uint64_t offset, shared;

	if (collection == NULL || ret_host == NULL || ret_len == NULL ||
	    (access & ~VMMEM_READ_WRITE) != 0)
		return VMMEM_EARGUMENT;
	if (collection->translation != NULL)
		return vmmem_translate_host(collection, gpa, access, ret_host,
					    ret_len);
	entry = vmmem_collection_find_entry(collection, gpa, &offset);
	if (entry == NULL)
		return VMMEM_EBADADDR;
	if ((access & ~entry->access) != 0)
		return VMMEM_EDENIED;
	if (vmmem_region_entry_host(entry) == NULL)
		return VMMEM_ENOHOST;
	shared = vmmem_private_entry_shared(entry, offset,
					    entry->span - offset + 1);
	if (shared == 0)
		return VMMEM_EPRIVATE;
	*ret_host = vmmem_region_entry_host(entry) + offset;
	*ret_len = shared;
	return 0;
}
