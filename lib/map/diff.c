/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Diffs: the difference of two maps, without callbacks. */
#include <vmmem/diff.h>
#include <vmmem/error.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/api.h"

struct vmmem_diff {
	struct vmmem_collection *old_map;
	struct vmmem_collection *new_map;
	/*
	 * Going down, how many regions are left below; going up, how many were
	 * passed.
	 */
	size_t old_index;
	size_t new_index;
	bool up; /* all that was removed has been told */
};

VMMEM_API int
vmmem_diff_new(struct vmmem_collection *old_map,
	       struct vmmem_collection *new_map, struct vmmem_diff **ret_diff)
{
	struct vmmem_diff *diff;

	if (ret_diff == NULL)
		return VMMEM_EARGUMENT;
	diff = calloc(1, sizeof(*diff));
	if (diff == NULL)
		return -ENOMEM;
	diff->old_map = vmmem_collection_ref(old_map);
	diff->new_map = vmmem_collection_ref(new_map);
	diff->old_index = vmmem_collection_count(old_map);
	diff->new_index = vmmem_collection_count(new_map);
	*ret_diff = diff;
	return 0;
}

VMMEM_API struct vmmem_diff *
vmmem_diff_free(struct vmmem_diff *diff)
{
	if (diff == NULL)
		return NULL;
	vmmem_collection_unref(diff->old_map);
	vmmem_collection_unref(diff->new_map);
	free(diff);
	return NULL;
}

/*
 * next_removed() goes down both maps, always past the higher of two regions, or
 * past both; of two different ones at one address the new one goes first.
 */
static struct vmmem_region *
next_removed(struct vmmem_diff *diff)
{
	struct vmmem_region *old_region, *new_region = NULL;

	while (diff->old_index != 0) {
		old_region = vmmem_collection_region(diff->old_map,
						     diff->old_index - 1);
		if (diff->new_index != 0)
			new_region = vmmem_collection_region(
				diff->new_map, diff->new_index - 1);
		if (diff->new_index == 0 ||
		    vmmem_region_start(new_region) <
			    vmmem_region_start(old_region)) {
			diff->old_index--;
			return old_region;
		}
		if (old_region == new_region)
			diff->old_index--;
		diff->new_index--;
	}
	return NULL;
}

/* next_added() does the same on the way up, with the maps exchanged. */
static struct vmmem_region *
next_added(struct vmmem_diff *diff)
{
	struct vmmem_region *old_region, *new_region;

	for (;;) {
		new_region = vmmem_collection_region(diff->new_map,
						     diff->new_index);
		if (new_region == NULL)
			return NULL;
		old_region = vmmem_collection_region(diff->old_map,
						     diff->old_index);
		if (old_region == NULL ||
		    vmmem_region_start(new_region) <
			    vmmem_region_start(old_region)) {
			diff->new_index++;
			return new_region;
		}
		if (old_region == new_region)
			diff->new_index++;
		diff->old_index++;
	}
}

VMMEM_API int
vmmem_diff_next(struct vmmem_diff *diff, struct vmmem_region **ret_region,
		uint32_t *ret_kind)
{
	struct vmmem_region *region = NULL;
	uint32_t kind = VMMEM_DIFF_REMOVED;

	if (diff == NULL || ret_region == NULL || ret_kind == NULL)
		return VMMEM_EARGUMENT;
	if (!diff->up)
		region = next_removed(diff);
	if (region == NULL && !diff->up) {
		diff->up = true;
		diff->old_index = 0;
		diff->new_index = 0;
	}
	if (region == NULL) {
		region = next_added(diff);
		kind = region != NULL ? VMMEM_DIFF_ADDED : VMMEM_DIFF_END;
	}
	*ret_region = region;
	*ret_kind = kind;
	return 0;
}
