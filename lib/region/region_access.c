/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Bytes of one region, by their place in it. */
#include <vmmem/error.h>
#include <vmmem/region.h>

#include "base/api.h"
#include "guest/copy.h"
#include "base/range.h"
#include "region/mark.h"
#include "region/private_priv.h"
#include "region/region_priv.h"

/* check() is for [offset, offset + len), not empty. */
static int
check(const struct vmmem_region *region, uint64_t offset, size_t len,
      uint32_t access)
{
	const struct vmmem_entry *entry = &region->entry;

	if (offset > entry->span ||
	    !vmmem_range_within(entry->span, offset, len))
		return VMMEM_EOUTOFRANGE;
	if ((access & ~entry->access) != 0)
		return VMMEM_EDENIED;
	return vmmem_entry_shared(entry, offset, len) != len ? VMMEM_EPRIVATE :
							       0;
}

VMMEM_API int
vmmem_region_read(const struct vmmem_region *region, uint64_t offset,
		  void *buf, size_t len, size_t *ret_done)
{
	uint64_t done = 0;
	int rc = 0;

	if (region == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	if (len != 0)
		rc = check(region, offset, len, VMMEM_PROT_READ);
	if (rc == 0 && len != 0 && region->host != NULL) {
		done = len - vmmem_copy_from_guest(buf, region->host + offset,
						   len);
		rc = done != len ? VMMEM_EGONE : 0;
	} else if (rc == 0 && len != 0) {
		rc = vmmem_region_call_read(region, offset, buf, len, &done);
	}
	if (ret_done != NULL)
		*ret_done = (size_t)done;
	return rc;
}

VMMEM_API int
vmmem_region_write(struct vmmem_region *region, uint64_t offset,
		   const void *buf, size_t len, size_t *ret_done)
{
	uint64_t done = 0, marked;
	int rc = 0;

	if (region == NULL || (buf == NULL && len != 0))
		return VMMEM_EARGUMENT;
	if (len != 0)
		rc = check(region, offset, len, VMMEM_PROT_WRITE);
	if (rc == 0 && len != 0) {
		if (region->host != NULL) {
			done = len - vmmem_copy_to_guest(region->host + offset,
							 buf, len);
			rc = done != len ? VMMEM_EGONE : 0;
			marked = done;
		} else {
			rc = vmmem_region_call_write(region, offset, buf, len,
						     &done);
			/* A callback that failed may have written some. */
			marked = len;
		}
		if (marked != 0)
			vmmem_written(&region->entry, offset, marked);
	}
	if (ret_done != NULL)
		*ret_done = (size_t)done;
	return rc;
}
