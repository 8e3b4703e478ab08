/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Reads and writes with a struct vmmem_access_info. */
#include <vmmem/access.h>
#include <vmmem/error.h>

#include "map/access_priv.h"
#include "base/api.h"
#include "base/struct_size.h"
#include "map/collection_priv.h"
#include "guest/copy.h"
#include "region/private_priv.h"

#define FLAGS_KNOWN (VMMEM_ACCESS_DEBUG | VMMEM_ACCESS_RAM_ONLY)

struct access {
	struct vmmem_access_info info;
	unsigned char *to;	   /* of a read */
	const unsigned char *from; /* of a write */
};

/* Whether the region, or the one whose bytes it shows, can be written. */
static bool
can_be_written(const struct vmmem_region *region)
{
	const struct vmmem_region *owner = vmmem_region_owner(region);

	if (owner->host == NULL)
		return owner->ops.write != NULL || owner->ops.acquire != NULL;
	return (owner->protection & VMMEM_PROT_WRITE) != 0;
}

/* step_check() moves nothing, and finds out whether each byte can be moved. */
static int
step_check(const struct vmmem_region_entry *entry, uint64_t offset,
	   uint64_t len, uint64_t *done, void *context,
	   const struct vmmem_place *place)
{
	const struct access *access = context;

	(void)offset;
	(void)place;
	if (access->from != NULL &&
	    (access->info.flags & VMMEM_ACCESS_DEBUG) != 0 &&
	    !can_be_written(vmmem_region_of(entry)))
		return VMMEM_EDENIED;
	if ((access->info.flags & VMMEM_ACCESS_RAM_ONLY) != 0 &&
	    vmmem_region_entry_host(entry) == NULL)
		return VMMEM_ENOHOST;
	*done += len;
	return 0;
}

static int
step_read(const struct vmmem_region_entry *entry, uint64_t offset, uint64_t len,
	  uint64_t *done, void *context, const struct vmmem_place *place)
{
	const unsigned char *host = vmmem_region_entry_host(entry);
	const struct access *access = context;
	unsigned char *to = access->to + *done;
	size_t left;
	int rc;

	rc = step_check(entry, offset, 0, done, context, place);
	if (rc != 0)
		return rc;
	if (host == NULL)
		return vmmem_region_call_read_with(vmmem_region_of(entry),
						   offset, to, len,
						   &access->info, done);
	left = vmmem_copy_from_guest(to, host + offset, len);
	*done += len - left;
	return left != 0 ? VMMEM_EGONE : 0;
}

static int
step_write(const struct vmmem_region_entry *entry, uint64_t offset,
	   uint64_t len, uint64_t *done, void *context,
	   const struct vmmem_place *place)
{
	const struct access *access = context;
	const unsigned char *from = access->from + *done;
	unsigned char *host = vmmem_region_entry_host(entry);
	size_t left;
	int rc;

	/* In a translated collection the translation may have changed. */
	rc = step_check(entry, offset, 0, done, context, place);
	if (rc != 0)
		return rc;
	if (host == NULL) {
		rc = vmmem_region_call_write_with(vmmem_region_of(entry),
						  offset, from, len,
						  &access->info, done);
		/* A callback that failed may have written some of it. */
		vmmem_step_written(entry, offset, len, place, 0);
		return rc;
	}
	left = vmmem_copy_to_guest(host + offset, from, len);
	if (left != len)
		vmmem_step_written(entry, offset, len - left, place, 0);
	*done += len - left;
	return left != 0 ? VMMEM_EGONE : 0;
}

static int
take_info(const struct vmmem_access_info *info,
	  struct vmmem_access_info *ret_info)
{
	int rc = 0;

	*ret_info = vmmem_region_plain_access;
	if (info != NULL)
		rc = vmmem_struct_take(info, ret_info, sizeof(*ret_info),
				       VMMEM_ACCESS_INFO_SIZE_0_9);
	if (rc == 0 && (ret_info->flags & ~FLAGS_KNOWN) != 0)
		rc = VMMEM_EARGUMENT;
	/* Callbacks get all that this library knows. */
	ret_info->size = sizeof(*ret_info);
	return rc;
}

/* move() checks all, and then moves all. */
static int
move(const struct vmmem_collection *collection, uint64_t gpa, size_t len,
     uint32_t needed, vmmem_step_fn step, struct access *access,
     size_t *ret_done)
{
	uint64_t done = 0;
	int rc;

	/* A debugger may write memory that the guest may not. */
	if ((access->info.flags & VMMEM_ACCESS_DEBUG) != 0 &&
	    needed == VMMEM_PROT_WRITE)
		needed = 0;
	rc = vmmem_access_walk(collection, gpa, len, needed, step_check, access,
			       &done);
	if (rc == 0)
		rc = vmmem_access_walk(collection, gpa, len, needed, step,
				       access, &done);
	else
		done = 0;
	if (ret_done != NULL)
		*ret_done = (size_t)done;
	return rc;
}

VMMEM_API int
vmmem_collection_read_with(const struct vmmem_collection *collection,
			   uint64_t gpa, void *buf, size_t len,
			   const struct vmmem_access_info *info,
			   size_t *ret_done)
{
	struct access access = { .to = buf };
	int rc;

	if (collection == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	rc = take_info(info, &access.info);
	if (rc != 0)
		return rc;
	return move(collection, gpa, len, VMMEM_PROT_READ, step_read, &access,
		    ret_done);
}

VMMEM_API int
vmmem_collection_write_with(const struct vmmem_collection *collection,
			    uint64_t gpa, const void *buf, size_t len,
			    const struct vmmem_access_info *info,
			    size_t *ret_done)
{
	struct access access = { .from = buf };
	int rc;

	if (collection == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	rc = take_info(info, &access.info);
	if (rc != 0)
		return rc;
	return move(collection, gpa, len, VMMEM_PROT_WRITE, step_write,
		    &access, ret_done);
}
