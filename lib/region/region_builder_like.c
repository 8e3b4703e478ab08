/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Settings for another region like one that there is. */
#include <vmmem/bitmap.h>
#include <vmmem/region_builder.h>

#include "base/api.h"
#include "region/region_priv.h"

/* back() sets the backing of the region, as far as another can have it. */
static void
back(struct vmmem_region_builder *builder, struct vmmem_region *region)
{
	switch (region->kind) {
	case VMMEM_REGION_ANONYMOUS:
		vmmem_region_builder_set_anonymous(builder);
		break;
	case VMMEM_REGION_MEMFD:
		vmmem_region_builder_set_memfd(builder);
		break;
	case VMMEM_REGION_FILE:
		/* It has the descriptor, so it stays until building. */
		vmmem_region_ref(region);
		vmmem_region_builder_set_file(builder, region->fd,
					      region->fd_offset,
					      vmmem_region_file_flags(region));
		vmmem_region_builder_settings(builder)->like = region;
		break;
	case VMMEM_REGION_ALIAS:
		vmmem_region_builder_set_alias(builder, region->target,
					       region->target_offset);
		break;
	case VMMEM_REGION_EXTERNAL:
		vmmem_region_builder_set_external(builder, NULL, NULL, NULL);
		break;
	default:
		vmmem_region_builder_set_custom(builder, NULL, NULL);
		break;
	}
}

/* tracking_of() is the page size of a log of its own; 0 if there is none. */
static uint64_t
tracking_of(const struct vmmem_region *region)
{
	if (region->bitmap == NULL ||
	    (region->target != NULL && region->target->bitmap != NULL))
		return 0;
	return vmmem_bitmap_page_size(region->bitmap);
}

VMMEM_API void
vmmem_region_builder_set_like(struct vmmem_region_builder *builder,
			      struct vmmem_region *region)
{
	struct vmmem_region_settings *settings;

	if (builder == NULL || region == NULL)
		return;
	/* The current settings may have the only reference to the region. */
	vmmem_region_ref(region);
	settings = vmmem_region_builder_settings(builder);
	back(builder, region);
	settings->gpa = region->start;
	settings->len = region->last - region->start + 1;
	settings->role = region->role;
	settings->guest_node = region->guest_node;
	settings->huge_page_size = region->huge_pages == VMMEM_HUGE_PAGES_YES ?
					   region->page_size :
					   0;
	vmmem_region_builder_set_protection(builder, region->protection);
	settings->policy = region->policy;
	/* That was told of the other one, and may be gone. */
	settings->policy.progress = NULL;
	settings->policy.opaque = NULL;
	vmmem_region_builder_set_bitmap(builder, NULL, 0);
	vmmem_region_builder_set_tracking(builder, tracking_of(region));
	vmmem_region_builder_set_logging(builder, 0);
	/* Its bytes are those of one region. */
	vmmem_region_builder_set_guest_memfd(builder, -1, 0);
	vmmem_region_builder_set_private(builder, 1);
	vmmem_region_builder_set_name(builder, region->name);
	vmmem_region_unref(region);
}
