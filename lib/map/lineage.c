/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The collections of a lineage stand in a list, by age, and the lineage holds
 * their regions: as many references to a region as there are runs of
 * neighbours in the list that have it.  So a collection that joins takes a
 * reference to each region that it alone has, the inserted ones.  A collection
 * that leaves ends the runs of which it was the last, and makes one run of two
 * for each region that both its neighbours have and itself has not.
 *
 * It need not compare all regions if it knows in which ones it differs from a
 * neighbour: a region that both have is in a run that continues.
 */
#include "map/lineage.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "map/collection_priv.h"
#include "region/pin_priv.h"
#include "region/replaced.h"

struct vmmem_lineage {
	struct vmmem_collection *newest;
};

/*
 * Of all lineages.  Held for a few steps; for all regions only in
 * leave_slowly().  One lock, as a fork must find none of them held.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The thread that holds it to fork, or 0. */
static pthread_t forker;

void
vmmem_lineage_before_fork(void)
{
	pthread_mutex_lock(&lock);
	vmmem_files_before_fork();
	vmmem_pin_before_fork();
	vmmem_replaced_before_fork();
	/* Relaxed: a thread only compares it with its own number. */
	__atomic_store_n(&forker, pthread_self(), __ATOMIC_RELAXED);
}

bool
vmmem_lineage_after_fork(void)
{
	/*
	 * Relaxed: it is this thread's own number only if this thread stored
	 * it, and has not unlocked since.
	 */
	if (!pthread_equal(__atomic_load_n(&forker, __ATOMIC_RELAXED),
			   pthread_self()))
		return false;
	__atomic_store_n(&forker, 0, __ATOMIC_RELAXED);
	vmmem_replaced_after_fork();
	vmmem_pin_after_fork();
	vmmem_files_after_fork();
	pthread_mutex_unlock(&lock);
	return true;
}

int
vmmem_lineage_found(struct vmmem_collection *collection)
{
	struct vmmem_lineage *lineage;
	size_t i;

	lineage = malloc(sizeof(*lineage));
	if (lineage == NULL)
		return -ENOMEM;
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
		   struct vmmem_collection *older)
{
	struct vmmem_lineage *lineage = older->lineage;
	bool joins;
	size_t i;

	collection->lineage = lineage;
	collection->older = older;
	collection->newer = NULL;
	pthread_mutex_lock(&lock);
	joins = lineage->newest == older;
	if (joins) {
		lineage->newest = collection;
		older->newer = collection;
	}
	pthread_mutex_unlock(&lock);
	for (i = 0; joins && i < collection->inserted; i++)
		vmmem_region_ref(collection->changed[i]);
	return joins;
}

/* has() tells whether there is a collection, and 'region' in it. */
static bool
has(const struct vmmem_collection *collection,
    const struct vmmem_region *region)
{
	return collection != NULL && collection->count != 0 &&
	       collection->regions[vmmem_collection_search(
		       collection, region->start)] == region;
}

/*
 * leave_quickly() is for one that differs from a neighbour in known regions:
 * those from 'first' on up to 'end' are its own, and not the neighbour's; the
 * rest are the neighbour's, and not its own.  'other' is the other neighbour.
 */
static size_t
leave_quickly(struct vmmem_collection *collection,
	      const struct vmmem_collection *known, size_t first, size_t end,
	      const struct vmmem_collection *other)
{
	size_t left = 0, i;

	for (i = 0; i < known->changes; i++) {
		struct vmmem_region *region = known->changed[i];
		const bool own = i >= first && i < end;

		if (own && !has(other, region))
			collection->regions[left++] = region;
		/* Never the last reference: two runs were counted. */
		else if (!own && has(other, region))
			vmmem_region_unref(region);
	}
	return left;
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

	pthread_mutex_lock(&lock);
	older = collection->older;
	newer = collection->newer;
	if (older == NULL && newer == NULL)
		left = collection->count;
	else if (newer != NULL && newer->changed != NULL)
		/* This one has each region that the newer one has not. */
		left = leave_quickly(collection, newer, newer->inserted,
				     newer->changes, older);
	else if (older != NULL && collection->changed != NULL)
		left = leave_quickly(collection, collection, 0,
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
	pthread_mutex_unlock(&lock);

	/* Nobody can join any more. */
	if (older == NULL && newer == NULL)
		free(lineage);
	return left;
}
