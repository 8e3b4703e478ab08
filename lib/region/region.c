/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Regions: references, the end of a region, and queries. */
#include <vmmem/bitmap.h>
#include <vmmem/error.h>
#include <vmmem/region.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/api.h"
#include "base/refcount.h"
#include "base/cancel.h"
#include "guest/fault_log.h"
#include "region/pin_priv.h"
#include "region/private_priv.h"
#include "region/region_priv.h"
#include "region/replaced.h"
#include "base/unmap.h"

const uint32_t vmmem_region_never_logging;

VMMEM_API struct vmmem_region *
vmmem_region_ref(struct vmmem_region *region)
{
	if (region != NULL)
		vmmem_refcount_take(&region->refs);
	return region;
}

static void
unmap(const struct vmmem_region *region)
{
	unsigned char *first = region->map, *end = first + region->map_len;
	unsigned char *pages_end = region->pages + region->pages_len;

	if (region->mapper == 0 || region->mapper == getpid()) {
		vmmem_unmap(first, region->map_len);
		return;
	}
	/* A child has only the guards: its own mappings may lie between. */
	if (region->pages != first)
		vmmem_unmap(first, (size_t)(region->pages - first));
	if (end != pages_end)
		vmmem_unmap(pages_end, (size_t)(end - pages_end));
}

/* undo() frees all that a region has, except the region itself. */
static void
undo(struct vmmem_region *region)
{
	/* First: another mapping may be placed there afterwards. */
	if (region->target == NULL)
		vmmem_fault_record_free(region->faults);
	if (region->map != NULL)
		unmap(region);
	/* Linux closes the descriptor even where close() fails. */
	if (region->file != NULL)
		vmmem_file_unref(region->file);
	else if (region->fd >= 0)
		close(region->fd);
	vmmem_private_free(region->secret);
	vmmem_pin_set_free(region->pins);
	vmmem_replaced_free(region->replaced);
	vmmem_bitmap_unref(region->bitmap);
	vmmem_region_unref(region->target);
}

void
vmmem_region_free(struct vmmem_region *region)
{
	undo(region);
	free(region);
}

/* tell() calls the owners' callbacks when nothing is left of a region. */
static void
tell(const struct vmmem_region *region)
{
	size_t i;

	if (region->release != NULL)
		region->release(region->opaque);
	for (i = 0; i < region->cookie_count; i++) {
		if (region->cookies[i].destroy != NULL)
			region->cookies[i].destroy(region->cookies[i].cookie);
	}
}

VMMEM_API struct vmmem_region *
vmmem_region_unref(struct vmmem_region *region)
{
	int cancel;

	if (region == NULL ||
	    !vmmem_refcount_drop_likely_last(&region->refs))
		return NULL;

	/* The caller may hold a lock, or have more to drop. */
	cancel = vmmem_cancel_off();
	undo(region);
	/* Last, so that the owners find nothing of the region left. */
	tell(region);
	free(region);
	vmmem_cancel_back(cancel);
	return NULL;
}

VMMEM_API uint64_t
vmmem_region_start(const struct vmmem_region *region)
{
	return region != NULL ? region->start : 0;
}

VMMEM_API uint64_t
vmmem_region_last(const struct vmmem_region *region)
{
	return region != NULL ? region->last : 0;
}

VMMEM_API uint64_t
vmmem_region_len(const struct vmmem_region *region)
{
	/* Fits: a region is made from a 64-bit length. */
	return region != NULL ? region->last - region->start + 1 : 0;
}

VMMEM_API uint32_t
vmmem_region_kind(const struct vmmem_region *region)
{
	return region != NULL ? region->kind : 0;
}

VMMEM_API uint32_t
vmmem_region_role(const struct vmmem_region *region)
{
	return region != NULL ? region->role : 0;
}

VMMEM_API uint32_t
vmmem_region_guest_node(const struct vmmem_region *region)
{
	return region != NULL ? region->guest_node : VMMEM_GUEST_NODE_NONE;
}

VMMEM_API uint32_t
vmmem_region_protection(const struct vmmem_region *region)
{
	return region != NULL ? region->protection : 0;
}

VMMEM_API uint32_t
vmmem_region_file_flags(const struct vmmem_region *region)
{
	const struct vmmem_region *owner;
	uint32_t flags = 0;

	if (region == NULL)
		return 0;
	owner = vmmem_region_owner(region);
	if (owner->kind != VMMEM_REGION_FILE)
		return 0;
	if (!vmmem_region_is_shared(owner))
		flags |= VMMEM_FILE_PRIVATE;
	if ((owner->mapping_flags & (uint32_t)MAP_SYNC) != 0)
		flags |= VMMEM_FILE_SYNC;
	return flags;
}

VMMEM_API uint32_t
vmmem_region_huge_pages(const struct vmmem_region *region)
{
	return region != NULL ? region->huge_pages : VMMEM_HUGE_PAGES_UNKNOWN;
}

VMMEM_API uint64_t
vmmem_region_page_size(const struct vmmem_region *region)
{
	return region != NULL ? region->page_size : 0;
}

VMMEM_API int
vmmem_region_host_address(const struct vmmem_region *region, uint64_t offset,
			  void **ret_host, uint64_t *ret_len)
{
	uint64_t span;

	if (region == NULL || ret_host == NULL || ret_len == NULL)
		return VMMEM_EARGUMENT;
	span = region->last - region->start;
	if (offset > span)
		return VMMEM_EOUTOFRANGE;
	if (region->host == NULL)
		return VMMEM_ENOHOST;
	*ret_host = region->host + offset;
	*ret_len = span - offset + 1;
	return 0;
}

VMMEM_API int
vmmem_region_file(const struct vmmem_region *region, int *ret_fd,
		  uint64_t *ret_offset)
{
	const struct vmmem_region *owner;

	if (region == NULL || ret_fd == NULL || ret_offset == NULL)
		return VMMEM_EARGUMENT;
	owner = vmmem_region_owner(region);
	if (owner->fd < 0)
		return VMMEM_ENOFILE;
	*ret_fd = owner->fd;
	*ret_offset = owner->fd_offset + region->target_offset;
	return 0;
}

VMMEM_API struct vmmem_region *
vmmem_region_alias_target(const struct vmmem_region *region)
{
	return region != NULL ? region->target : NULL;
}

VMMEM_API uint64_t
vmmem_region_alias_offset(const struct vmmem_region *region)
{
	return region != NULL ? region->target_offset : 0;
}

VMMEM_API struct vmmem_bitmap *
vmmem_region_bitmap(const struct vmmem_region *region)
{
	return region != NULL ? region->bitmap : NULL;
}

VMMEM_API uint64_t
vmmem_region_bitmap_offset(const struct vmmem_region *region)
{
	return region != NULL ? region->bitmap_offset : 0;
}

VMMEM_API void *
vmmem_region_cookie(const struct vmmem_region *region, const void *key)
{
	size_t i;

	if (region == NULL)
		return NULL;
	for (i = 0; i < region->cookie_count; i++) {
		if (region->cookies[i].key == key)
			return region->cookies[i].cookie;
	}
	return NULL;
}

VMMEM_API const char *
vmmem_region_name(const struct vmmem_region *region)
{
	return region != NULL ? region->name : NULL;
}

