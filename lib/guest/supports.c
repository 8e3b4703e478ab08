/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The features of the loaded library, and the sizes of the structs it knows. */
#include <vmmem/bitmap.h>
#include <vmmem/dirty_log.h>
#include <vmmem/fault.h>
#include <vmmem/fd.h>
#include <vmmem/harvester.h>
#include <vmmem/iommu.h>
#include <vmmem/iotlb.h>
#include <vmmem/listener.h>
#include <vmmem/policy.h>
#include <vmmem/reader.h>
#include <vmmem/region.h>
#include <vmmem/residency.h>
#include <vmmem/space.h>
#include <vmmem/version.h>

#include "base/api.h"
#include "base/barrier.h"
#include "guest/fault.h"

VMMEM_API int
vmmem_supports(uint32_t feature)
{
	switch (feature) {
	case VMMEM_FEATURE_FAULT_SURVIVAL:
		return vmmem_fault_has_table();
	case VMMEM_FEATURE_MEMBARRIER:
		return vmmem_barrier_available();
	default:
		return 0;
	}
}

/* In the order of their numbers; tests/abi/sized.sh wants each of them. */
static const size_t sizes[] = {
	[VMMEM_STRUCT_FD_REPORT] = sizeof(struct vmmem_fd_report),
	[VMMEM_STRUCT_FD_RULES] = sizeof(struct vmmem_fd_rules),
	[VMMEM_STRUCT_IOMMU_OPTIONS] = sizeof(struct vmmem_iommu_options),
	[VMMEM_STRUCT_LISTENER_OPS] = sizeof(struct vmmem_listener_ops),
	[VMMEM_STRUCT_POLICY_REPORT] = sizeof(struct vmmem_policy_report),
	[VMMEM_STRUCT_REGION_OPS] = sizeof(struct vmmem_region_ops),
	[VMMEM_STRUCT_RESIDENCY] = sizeof(struct vmmem_residency),
	[VMMEM_STRUCT_BITMAP_OPTIONS] = sizeof(struct vmmem_bitmap_options),
	[VMMEM_STRUCT_DIRTY_LOG_OPTIONS] =
		sizeof(struct vmmem_dirty_log_options),
	[VMMEM_STRUCT_HARVESTER_OPTIONS] =
		sizeof(struct vmmem_harvester_options),
	[VMMEM_STRUCT_IOMMU_MISS] = sizeof(struct vmmem_iommu_miss),
	[VMMEM_STRUCT_IOTLB_OPTIONS] = sizeof(struct vmmem_iotlb_options),
	[VMMEM_STRUCT_LISTENER_OPTIONS] = sizeof(struct vmmem_listener_options),
	[VMMEM_STRUCT_READER_OPTIONS] = sizeof(struct vmmem_reader_options),
	[VMMEM_STRUCT_SPACE_OPTIONS] = sizeof(struct vmmem_space_options),
	[VMMEM_STRUCT_ACCESS_INFO] = sizeof(struct vmmem_access_info),
};

VMMEM_API size_t
vmmem_struct_size(uint32_t which)
{
	return which < sizeof(sizes) / sizeof(sizes[0]) ? sizes[which] : 0;
}
