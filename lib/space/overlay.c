/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Overlays: steps of an update that put a region over the ones below it. */
#include <vmmem/error.h>
#include <vmmem/region_builder.h>
#include <vmmem/update.h>

#include <errno.h>

#include "base/api.h"
#include "base/cancel.h"
#include "map/collection_priv.h"
#include "map/translate.h"
#include "space/space_priv.h"

static int
remove_region(struct vmmem_steps *steps, struct vmmem_region *region)
{
	if (!vmmem_steps_has(steps, region))
		return VMMEM_ENOREGION;
	return vmmem_steps_remove(steps, region->start,
				  region->entry.span + 1, NULL);
}

VMMEM_API int
vmmem_update_remove_region(struct vmmem_update *update,
			   struct vmmem_region *region)
{
	int rc, cancel;

	if (!vmmem_update_is_open(update) || region == NULL)
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	rc = remove_region(&update->space->steps, region);
	vmmem_cancel_back(cancel);
	return rc;
}

static int
replace_region(struct vmmem_steps *steps, struct vmmem_region *old_region,
	       struct vmmem_region *new_region)
{
	int rc = remove_region(steps, old_region);

	if (rc != 0)
		return rc;
	rc = vmmem_steps_insert(steps, new_region);
	/*
	 * Cannot fail: a node that a removal has freed, or noted, is used
	 * again.
	 */
	if (rc != 0)
		(void)vmmem_steps_insert(steps, old_region);
	return rc;
}

VMMEM_API int
vmmem_update_replace_region(struct vmmem_update *update,
			    struct vmmem_region *old_region,
			    struct vmmem_region *new_region)
{
	int rc, cancel;

	if (!vmmem_update_is_open(update) || old_region == NULL ||
	    new_region == NULL)
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	/* The update may have had the last reference. */
	vmmem_region_ref(old_region);
	rc = replace_region(&update->space->steps, old_region, new_region);
	vmmem_region_unref(old_region);
	vmmem_cancel_back(cancel);
	return rc;
}

/*
 * make_piece() makes an alias of bytes [first, last] of 'region', in guest
 * addresses, with the protection and the name of 'region'.  An alias has the
 * log, the role and the guest's node of its target as they are, and the target
 * is 'region' itself, also if 'region' is an alias.
 */
static int
make_piece(struct vmmem_region *region, uint64_t first, uint64_t last,
	   struct vmmem_region **ret_piece)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_range(builder, first, last - first + 1);
	vmmem_region_builder_set_alias(builder, region,
				       first - region->start);
	vmmem_region_builder_set_protection(builder,
					    vmmem_region_protection(region));
	vmmem_region_builder_set_name(builder, vmmem_region_name(region));
	rc = vmmem_region_builder_build(builder, ret_piece);
	vmmem_region_builder_free(builder);
	return rc;
}

/* keep() inserts bytes [first, last] of a region that was cut. */
static int
keep(struct vmmem_steps *steps, struct vmmem_region *region, uint64_t first,
     uint64_t last)
{
	struct vmmem_region *piece;
	int rc = make_piece(region, first, last, &piece);

	if (rc != 0)
		return rc;
	rc = vmmem_steps_insert(steps, piece);
	vmmem_region_unref(piece);
	return rc;
}

/* cut() takes the bytes that 'over' covers out of 'region'. */
static int
cut(struct vmmem_steps *steps, struct vmmem_region *region,
    const struct vmmem_region *over)
{
	int rc = vmmem_steps_remove(steps, region->start,
				    region->entry.span + 1, NULL);

	if (rc == 0 && region->start < over->start)
		rc = keep(steps, region, region->start, over->start - 1);
	if (rc == 0 && region->last > over->last)
		rc = keep(steps, region, over->last + 1, region->last);
	return rc;
}

static int
overlay(struct vmmem_steps *steps, struct vmmem_region *region)
{
	const struct vmmem_collection *map;
	size_t i;
	int rc;

	/* So that any failure below is undone without an allocation. */
	rc = vmmem_steps_settle(steps);
	if (rc != 0)
		return rc;
	/* The map does not change while there are steps. */
	map = vmmem_translate_physical(steps->map);
	i = vmmem_collection_first_after(map, region->start);
	if (i > 0 && map->regions[i - 1]->last >= region->start)
		i--;
	for (; rc == 0 && i < map->count && map->starts[i] <= region->last; i++)
		rc = cut(steps, map->regions[i], region);
	if (rc == 0)
		rc = vmmem_steps_insert(steps, region);
	if (rc != 0)
		vmmem_steps_undo(steps);
	return rc;
}

VMMEM_API int
vmmem_update_overlay(struct vmmem_update *update, struct vmmem_region *region)
{
	int rc, cancel;

	if (!vmmem_update_is_open(update) || region == NULL)
		return VMMEM_EARGUMENT;
	/* It covers only itself: there is nothing to do. */
	if (vmmem_steps_has(&update->space->steps, region))
		return 0;
	cancel = vmmem_cancel_off();
	rc = overlay(&update->space->steps, region);
	vmmem_cancel_back(cancel);
	return rc;
}
