/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Memory tables made of a map, for front ends and for the kernel. */
#include <vmmem/error.h>
#include <vmmem/fd.h>
#include <vmmem/iommu.h>
#include <vmmem/private.h>
#include <vmmem/vhost.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/api.h"

#define ACCESS (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

#define FLAGS                                                              \
	(VMMEM_VHOST_EXPORT_HOST | VMMEM_VHOST_EXPORT_PRIVATE |            \
	 VMMEM_VHOST_EXPORT_GUEST_MEMFD | VMMEM_VHOST_EXPORT_SHARED_SIDE)

/* Private memory has no file: its host address identifies it. */
static bool
is_private_alone(uint32_t flags)
{
	return (flags & VMMEM_VHOST_EXPORT_PRIVATE) != 0 &&
	       (flags & VMMEM_VHOST_EXPORT_HOST) == 0;
}

/* A row in the making. */
struct row {
	struct vmmem_vhost_region wire;
	int fd; /* or -1 */
};

/* The last file that was looked at: many regions have one descriptor. */
struct known {
	int fd; /* or -1 */
	bool guest_memfd;
};

/* share() gives the row of 'region' a file, if others may get it. */
static int
share(const struct vmmem_region *region, uint32_t flags, struct known *known,
      struct row *row)
{
	struct vmmem_fd_report report = { .size = sizeof(report) };
	uint64_t offset;
	int fd, rc;

	row->fd = -1;
	row->wire.offset = 0;
	if ((vmmem_region_file_flags(region) & VMMEM_FILE_PRIVATE) != 0 ||
	    vmmem_region_file(region, &fd, &offset) != 0)
		return 0;
	if ((flags & VMMEM_VHOST_EXPORT_GUEST_MEMFD) == 0) {
		if (fd != known->fd) {
			rc = vmmem_fd_examine(fd, &report);
			if (rc != 0)
				return rc;
			known->fd = fd;
			known->guest_memfd = report.type ==
					     VMMEM_FD_TYPE_GUEST_MEMFD;
		}
		if (known->guest_memfd)
			return 0;
	}
	row->fd = fd;
	row->wire.offset = offset;
	return 0;
}

/* look() stores whether 'region' gets a row, and fills in the row. */
static int
look(const struct vmmem_region *region, uint32_t flags, struct known *known,
     struct row *row, bool *ret_has)
{
	uint64_t rest;
	void *host;
	int rc;

	*ret_has = false;
	if ((vmmem_region_protection(region) & ACCESS) != ACCESS ||
	    vmmem_region_host_address(region, 0, &host, &rest) != 0)
		return 0;
	rc = share(region, flags, known, row);
	if (rc != 0 ||
	    (row->fd < 0 && (flags & VMMEM_VHOST_EXPORT_PRIVATE) == 0))
		return rc;
	if ((flags & VMMEM_VHOST_EXPORT_SHARED_SIDE) == 0 &&
	    vmmem_region_is_private(region, 0, rest))
		return VMMEM_EPRIVATE;
	*ret_has = true;
	row->wire.gpa = vmmem_region_start(region);
	row->wire.len = rest;
	row->wire.user_address = (flags & VMMEM_VHOST_EXPORT_HOST) != 0 ?
					 (uint64_t)(uintptr_t)host :
					 row->wire.gpa;
	return 0;
}

/*
 * continues() stores whether 'next' begins where 'row' ends, in all members of
 * a row.
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
		   struct vmmem_vhost_region *ret_regions, int *ret_fds,
		   size_t capacity, size_t *ret_count, size_t *ret_left_out)
{
	size_t i, count = 0, left_out = 0;
	struct known known = { .fd = -1 };
	struct row row = { 0 }, next;
	int goes_on, rc;
	bool has;

	if (map == NULL || ret_count == NULL ||
	    (capacity != 0 && (ret_regions == NULL || ret_fds == NULL)) ||
	    (flags & ~FLAGS) != 0 || is_private_alone(flags) ||
	    vmmem_collection_physical(map) != NULL)
		return VMMEM_EARGUMENT;
	for (i = 0; i < vmmem_collection_count(map); i++) {
		rc = look(vmmem_collection_region(map, i), flags, &known,
			  &next, &has);
		if (rc != 0)
			return rc;
		if (!has) {
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
			ret_regions[count - 1] = row.wire;
			ret_fds[count - 1] = row.fd;
		}
	}
	*ret_count = count;
	if (ret_left_out != NULL)
		*ret_left_out = left_out;
	return count > capacity ? VMMEM_ENOROOM : 0;
}
