/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The collections of a lineage stand in a list, by age, and the lineage holds
 * their regions: as many references to a region as there are runs of
 * neighbours in the list that have it.  So a collection that joins takes a
 * reference to what it alone has, the inserted region.  One that leaves ends
 * the runs of which it was the last, and makes one run of two where both its
 * neighbours have what it has not.
 *
 * It need not look for these among all regions where it knows in which one it
 * differs from a neighbour: what it has in common with that neighbour is in a
 * run that goes on.
 */
#include "lineage.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "collection_priv.h"

struct vmmem_lineage {
	/* Held for a few steps; for all regions only in leave_slowly(). */
	pthread_mutex_t lock;
	struct vmmem_collection *newest;
};

int
vmmem_lineage_found(struct vmmem_collection *collection)
{
	struct vmmem_lineage *lineage;
	size_t i;
	int rc;

	lineage = malloc(sizeof(*lineage));
	if (lineage == NULL)
		return -ENOMEM;
	rc = pthread_mutex_init(&lineage->lock, NULL);
	if (rc != 0) {
		free(lineage);
		return -rc;
	}
	lineage->newest = collection;
	collection->lineage = lineage;
	collection->older = NULL;
	collection->newer = NULL;
	collection->changed = NULL;
	for (i = 0; i < collection->count; i++)
		vmmem_region_ref(collection->regions[i]);
	return 0;
}

bool
vmmem_lineage_join(struct vmmem_collection *collection,
		   struct vmmem_collection *older,
		   struct vmmem_region *changed, bool inserted)
{
	struct vmmem_lineage *lineage = older->lineage;
	bool joins;

	collection->lineage = lineage;
	collection->older = older;
	collection->newer = NULL;
	collection->changed = changed;
	collection->inserted = inserted;
	pthread_mutex_lock(&lineage->lock);
	joins = lineage->newest == older;
	if (joins) {
		lineage->newest = collection;
		older->newer = collection;
	}
	pthread_mutex_unlock(&lineage->lock);
	if (joins && inserted)
		vmmem_region_ref(changed);
	return joins;
}

/* has() tells whether there is a collection, and 'region' in it. */
static bool
has(const struct vmmem_collection *collection,
    const struct vmmem_region *region)
{
	return collection != NULL && collection->count != 0 &&
	       collection->regions[vmmem_search(collection, region->start)] ==
		       region;
}

/*
 * leave_quickly() is for one that differs from a neighbour in the region
 * 'changed', which is its own, or else the neighbour's.
 */
static size_t
leave_quickly(struct vmmem_collection *collection,
	      struct vmmem_region *changed, bool own,
	      const struct vmmem_collection *other)
{
	const bool others = has(other, changed);

	if (own && !others) {
		collection->regions[0] = changed;
		return 1;
	}
	/* Never the last reference: two runs were counted. */
	if (!own && others)
		vmmem_region_unref(changed);
	return 0;
}

static size_t
leave_slowly(struct vmmem_collection *collection)
{
	const struct vmmem_collection *older = collection->older;
	const struct vmmem_collection *newer = collection->newer;
	size_t left = 0, i;

	/* First, as the regions of the collection are overwritten below. */
	for (i = 0; older != NULL && i < older->count; i++) {
		struct vmmem_region *region = older->regions[i];

		if (has(newer, region) && !has(collection, region))
			vmmem_region_unref(region);
	}
	for (i = 0; i < collection->count; i++) {
		struct vmmem_region *region = collection->regions[i];

		if (!has(older, region) && !has(newer, region))
			collection->regions[left++] = region;
	}
	return left;
}

size_t
vmmem_lineage_leave(struct vmmem_collection *collection)
{
	struct vmmem_lineage *lineage = collection->lineage;
	struct vmmem_collection *older, *newer;
	size_t left;

	pthread_mutex_lock(&lineage->lock);
	older = collection->older;
	newer = collection->newer;
	if (older == NULL && newer == NULL)
		left = collection->count;
	else if (newer != NULL && newer->changed != NULL)
		left = leave_quickly(collection, newer->changed,
				     !newer->inserted, older);
	else if (older != NULL && collection->changed != NULL)
		left = leave_quickly(collection, collection->changed,
				     collection->inserted, newer);
	else
		left = leave_slowly(collection);

	if (older != NULL)
		older->newer = newer;
	if (newer != NULL) {
		newer->older = older;
		newer->changed = NULL;
	} else {
		lineage->newest = older;
	}
	pthread_mutex_unlock(&lineage->lock);

	if (older == NULL && newer == NULL) {
		/* Nobody can join any more, so nobody has the lock. */
		pthread_mutex_destroy(&lineage->lock);
		free(lineage);
	}
	return left;
}
