/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Steps: the regions that an update adds and removes. */
#include "map/steps.h"

#include <errno.h>
#include <stdlib.h>

#include <vmmem/error.h>

#include "map/collection_priv.h"
#include "map/translate.h"

static int
compare(const struct vmmem_step *a, const struct vmmem_step *b)
{
	return (a->start > b->start) - (a->start < b->start);
}

VMMEM_TREE_FUNCTIONS(vmmem_step_tree, vmmem_step, link, compare)

void
vmmem_steps_begin(struct vmmem_steps *steps, struct vmmem_collection *map)
{
	/* The trees are empty, and stay so until there is a step. */
	steps->map = vmmem_collection_ref(map);
}

static size_t *
count_of(struct vmmem_steps *steps, const struct vmmem_step_tree *tree)
{
	return tree == &steps->added ? &steps->added_count :
				       &steps->removed_count;
}

/* drop() undoes a step. */
static void
drop(struct vmmem_steps *steps, struct vmmem_step_tree *tree,
     struct vmmem_step *step)
{
	RB_REMOVE(vmmem_step_tree, tree, step);
	(*count_of(steps, tree))--;
	vmmem_region_unref(step->region);
	if (steps->spare == NULL)
		steps->spare = step;
	else
		free(step);
}

static void
forget(struct vmmem_steps *steps)
{
	struct vmmem_step *step;

	while ((step = RB_ROOT(&steps->added)) != NULL)
		drop(steps, &steps->added, step);
	while ((step = RB_ROOT(&steps->removed)) != NULL)
		drop(steps, &steps->removed, step);
}

void
vmmem_steps_end(struct vmmem_steps *steps, struct vmmem_steps *ret_steps)
{
	*ret_steps = *steps;
	*steps = (struct vmmem_steps){ .spare = ret_steps->spare };
	ret_steps->spare = NULL;
}

void
vmmem_steps_free(struct vmmem_steps *steps)
{
	forget(steps);
	free(steps->spare);
	vmmem_collection_unref(steps->map);
}

/* note() makes a step of a region. */
static int
note(struct vmmem_steps *steps, struct vmmem_step_tree *tree,
     struct vmmem_region *region)
{
	struct vmmem_step *step = steps->spare;

	if (step == NULL)
		step = malloc(sizeof(*step));
	if (step == NULL)
		return -ENOMEM;
	steps->spare = NULL;
	step->start = region->start;
	step->region = vmmem_region_ref(region);
	RB_INSERT(vmmem_step_tree, tree, step);
	(*count_of(steps, tree))++;
	return 0;
}

/* at() is the step of a tree whose region begins at 'start', or NULL. */
static struct vmmem_step *
at(struct vmmem_step_tree *tree, uint64_t start)
{
	struct vmmem_step step = { .start = start };

	return RB_FIND(vmmem_step_tree, tree, &step);
}

/* Whether a step removes 'region', which is in the map. */
static bool
is_removed(struct vmmem_steps *steps, const struct vmmem_region *region)
{
	return !RB_EMPTY(&steps->removed) &&
	       at(&steps->removed, region->start) != NULL;
}

/* Whether 'region' shares an address with an added region. */
static bool
overlaps_added(struct vmmem_steps *steps, const struct vmmem_region *region)
{
	struct vmmem_step step = { .start = region->start };
	struct vmmem_step *next, *last;

	/* The first that does not begin below it, and the one before that. */
	next = RB_NFIND(vmmem_step_tree, &steps->added, &step);
	if (next != NULL && next->start <= region->last)
		return true;
	last = next != NULL ? RB_PREV(vmmem_step_tree, &steps->added, next) :
			      RB_MAX(vmmem_step_tree, &steps->added);
	return last != NULL && last->region->last >= region->start;
}

/* Whether it shares one with a region that stays in the map. */
static bool
overlaps_map(struct vmmem_steps *steps, const struct vmmem_region *region)
{
	const struct vmmem_collection *map =
		vmmem_translate_physical(steps->map);
	size_t i = vmmem_collection_first_after(map, region->start);

	if (i > 0 && map->regions[i - 1]->last >= region->start &&
	    !is_removed(steps, map->regions[i - 1]))
		return true;
	for (; i < map->count && map->starts[i] <= region->last; i++) {
		if (!is_removed(steps, map->regions[i]))
			return true;
	}
	return false;
}

int
vmmem_steps_insert(struct vmmem_steps *steps, struct vmmem_region *region)
{
	struct vmmem_step *step;

	if (region == NULL)
		return VMMEM_EARGUMENT;
	if (overlaps_added(steps, region) || overlaps_map(steps, region))
		return VMMEM_EOVERLAP;
	/* A region that is removed and added again stays. */
	step = at(&steps->removed, region->start);
	if (step != NULL && step->region == region) {
		drop(steps, &steps->removed, step);
		return 0;
	}
	return note(steps, &steps->added, region);
}

/* in_map() is the region of the map that begins at 'gpa', or NULL. */
static struct vmmem_region *
in_map(struct vmmem_steps *steps, uint64_t gpa)
{
	const struct vmmem_collection *map =
		vmmem_translate_physical(steps->map);
	size_t i;

	if (map->count == 0)
		return NULL;
	i = vmmem_collection_search(map, gpa);
	return map->starts[i] == gpa && !is_removed(steps, map->regions[i]) ?
		       map->regions[i] :
		       NULL;
}

bool
vmmem_steps_has(struct vmmem_steps *steps, const struct vmmem_region *region)
{
	struct vmmem_step *step = at(&steps->added, region->start);

	return (step != NULL ? step->region : in_map(steps, region->start)) ==
	       region;
}

void
vmmem_steps_undo(struct vmmem_steps *steps)
{
	forget(steps);
}

int
vmmem_steps_remove(struct vmmem_steps *steps, uint64_t gpa, uint64_t len,
		   struct vmmem_region **ret_region)
{
	struct vmmem_step *step = at(&steps->added, gpa);
	struct vmmem_region *region;
	int rc = 0;

	region = step != NULL ? step->region : in_map(steps, gpa);
	/* A length of 0 asks for the span 2^64 - 1, which no region has. */
	if (region == NULL || region->entry.span != len - 1)
		return VMMEM_ENOREGION;
	if (ret_region != NULL)
		vmmem_region_ref(region);
	if (step != NULL)
		drop(steps, &steps->added, step);
	else
		rc = note(steps, &steps->removed, region);
	if (ret_region == NULL)
		return rc;
	if (rc == 0)
		*ret_region = region;
	else
		vmmem_region_unref(region);
	return rc;
}

/* list() stores the regions of a tree, in order. */
static void
list(struct vmmem_step_tree *tree, struct vmmem_region **regions)
{
	struct vmmem_step *step;

	RB_FOREACH(step, vmmem_step_tree, tree)
		*regions++ = step->region;
}

int
vmmem_steps_settle(struct vmmem_steps *steps)
{
	size_t count = steps->added_count + steps->removed_count;
	struct vmmem_region *few[4], **regions = few;
	struct vmmem_collection *map;
	int rc;

	if (count == 0)
		return 0;
	if (count > sizeof(few) / sizeof(few[0])) {
		regions = reallocarray(NULL, count, sizeof(*regions));
		if (regions == NULL)
			return -ENOMEM;
	}
	list(&steps->added, regions);
	list(&steps->removed, regions + steps->added_count);
	rc = vmmem_collection_change(vmmem_translate_physical(steps->map),
				     regions, steps->added_count,
				     regions + steps->added_count,
				     steps->removed_count, &map);
	if (rc == 0 && steps->map->translation != NULL)
		rc = vmmem_translate_like(steps->map, map, &map);
	if (regions != few)
		free(regions);
	if (rc != 0)
		return rc;
	vmmem_collection_unref(steps->map);
	steps->map = map;
	forget(steps);
	return 0;
}
