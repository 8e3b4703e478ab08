/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Memory tables made of a map, for front ends and for the kernel. */
#include <vmmem/error.h>
#include <vmmem/iommu.h>
#include <vmmem/vhost.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/api.h"

#define ACCESS (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

#define FLAGS (VMMEM_VHOST_EXPORT_HOST | VMMEM_VHOST_EXPORT_PRIVATE)

/* A row in the making. */
struct row {
	struct vmmem_vhost_region wire;
	int fd; /* or -1 */
};

/* look() says whether 'region' is to have a row, and what that is then. */
static bool
look(const struct vmmem_region *region, uint32_t flags, struct row *row)
{
	uint64_t rest;
	void *host;

	if ((vmmem_region_protection(region) & ACCESS) != ACCESS ||
	    vmmem_region_host_address(region, 0, &host, &rest) != 0)
		return false;
	if ((vmmem_region_mapping_flags(region) & (uint32_t)MAP_TYPE) !=
		    MAP_SHARED ||
	    vmmem_region_file(region, &row->fd, &row->wire.offset) != 0) {
		if ((flags & VMMEM_VHOST_EXPORT_PRIVATE) == 0)
			return false;
		row->fd = -1;
		row->wire.offset = 0;
	}
	row->wire.gpa = vmmem_region_start(region);
	row->wire.len = rest;
	row->wire.user_address = (flags & VMMEM_VHOST_EXPORT_HOST) != 0 ?
					 (uint64_t)(uintptr_t)host :
					 row->wire.gpa;
	return true;
}

/*
 * continues() stores whether 'next' goes on where 'row' ends, in all that a row
 * says.
 */
static int
continues(const struct row *row, const struct row *next, int *ret_continues)
{
	const struct vmmem_vhost_region *low = &row->wire, *high = &next->wire;

	*ret_continues = high->gpa - low->gpa == low->len &&
			 high->user_address >= low->user_address &&
			 high->user_address - low->user_address == low->len;
	if (row->fd < 0 || next->fd < 0) {
		*ret_continues = *ret_continues && next->fd == row->fd;
		return 0;
	}
	*ret_continues = *ret_continues && high->offset >= low->offset &&
			 high->offset - low->offset == low->len;
	/* Regions of one file have one descriptor as a rule. */
	return *ret_continues && next->fd != row->fd ?
		       vmmem_fd_same_file(row->fd, next->fd, ret_continues) : 0;
}

VMMEM_API int
vmmem_vhost_export(const struct vmmem_collection *map, uint32_t flags,
		   struct vmmem_vhost_region *regions, int *fds,
		   size_t capacity, size_t *ret_count, size_t *ret_left_out)
{
	size_t i, count = 0, left_out = 0;
	struct row row = { 0 }, next;
	int goes_on, rc;

	if (map == NULL || ret_count == NULL ||
	    (capacity != 0 && (regions == NULL || fds == NULL)) ||
	    (flags & ~FLAGS) != 0 || flags == VMMEM_VHOST_EXPORT_PRIVATE ||
	    vmmem_collection_physical(map) != NULL)
		return VMMEM_EARGUMENT;
	for (i = 0; i < vmmem_collection_count(map); i++) {
		if (!look(vmmem_collection_region(map, i), flags, &next)) {
			left_out++;
			continue;
		}
		goes_on = 0;
		rc = count != 0 ? continues(&row, &next, &goes_on) : 0;
		if (rc != 0)
			return rc;
		if (goes_on) {
			row.wire.len += next.wire.len;
		} else {
			row = next;
			count++;
		}
		/* Again and again, as it grows. */
		if (count <= capacity) {
			regions[count - 1] = row.wire;
			fds[count - 1] = row.fd;
		}
	}
	*ret_count = count;
	if (ret_left_out != NULL)
		*ret_left_out = left_out;
	return count > capacity ? VMMEM_ENOROOM : 0;
}
