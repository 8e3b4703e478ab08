/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The faults of a region's memory. */
#include <vmmem/error.h>
#include <vmmem/fault.h>

#include "base/api.h"
#include "guest/fault_log.h"
#include "region/region_priv.h"

VMMEM_API uint64_t
vmmem_region_fault_count(const struct vmmem_region *region)
{
	return region != NULL ? vmmem_fault_record_count(region->faults) : 0;
}

VMMEM_API int
vmmem_region_fault_first(const struct vmmem_region *region,
			 uint64_t *ret_offset, uint32_t *ret_kind)
{
	if (region == NULL || ret_offset == NULL || ret_kind == NULL)
		return VMMEM_EARGUMENT;
	*ret_kind = vmmem_fault_record_first(region->faults, ret_offset);
	return 0;
}

VMMEM_API int
vmmem_region_fault_last(const struct vmmem_region *region, uint64_t *ret_offset,
			uint32_t *ret_kind)
{
	if (region == NULL || ret_offset == NULL || ret_kind == NULL)
		return VMMEM_EARGUMENT;
	*ret_kind = vmmem_fault_record_last(region->faults, ret_offset);
	return 0;
}
