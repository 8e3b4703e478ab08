/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Having pages made of a region that is there already. */
#include "region/populate.h"

#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/error.h>
#include <vmmem/residency.h>

#include "base/api.h"
#include "base/cancel.h"
#include "base/range.h"
#include "region/prefault.h"
#include "region/private_priv.h"
#include "region/region_priv.h"

/*
 * What is mapped is the owner's, so its protection decides how pages can be
 * made: to make one writable changes nothing that a read-only view shows.
 */
int
vmmem_populate_check(const struct vmmem_region *region, uint64_t offset,
		     uint64_t len)
{
	if (region->host == NULL)
		return VMMEM_ENOHOST;
	if ((vmmem_region_owner(region)->protection & VMMEM_READ_WRITE) == 0)
		return VMMEM_EDENIED;
	/* Pages of the side that does not count are of no use to anybody. */
	return vmmem_private_refuses(region, offset, len);
}

int
vmmem_populate_checked(const struct vmmem_region *region, uint64_t offset,
		       uint64_t len)
{
	const struct vmmem_region *owner = vmmem_region_owner(region);
	const uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
	/* Of memory that others mapped, an owner's word is not built upon. */
	const uint64_t page = owner->map != NULL && owner->page_size > small ?
				      owner->page_size :
				      small;
	/* The whole pages that hold the bytes. */
	const size_t shift = ((uintptr_t)region->host + offset) & (page - 1);
	struct vmmem_prefault work = {
		.address = region->host + offset - shift,
		.len = (size_t)((len + shift + (page - 1)) & -page),
		.page_size = (size_t)page,
		.advice = (owner->protection & VMMEM_PROT_WRITE) != 0 ?
				  MADV_POPULATE_WRITE :
				  MADV_POPULATE_READ,
		.threads = owner->policy.threads,
	};
	uint32_t threads;
	int rc, cancel;

	if (work.threads == 0)
		work.threads = 1;
	/* While there are other threads, this one must not end. */
	cancel = vmmem_cancel_off();
	rc = vmmem_prefault(&work, &threads);
	vmmem_cancel_back(cancel);
	return rc;
}

VMMEM_API int
vmmem_region_populate(const struct vmmem_region *region, uint64_t offset,
		      uint64_t len)
{
	uint64_t span;
	int rc;

	if (region == NULL)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	span = region->last - region->start;
	if (offset > span || !vmmem_range_within(span, offset, len))
		return VMMEM_EOUTOFRANGE;
	rc = vmmem_populate_check(region, offset, len);
	return rc != 0 ? rc : vmmem_populate_checked(region, offset, len);
}
