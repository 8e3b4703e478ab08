/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * How many bytes each struct that may grow had in the first version that had
 * it.  A caller's struct that is shorter is no such struct.  These are
 * literals:  sizeof would grow with the struct, and refuse every program that
 * was compiled before.  'tools/abi update' adds the line of a new struct, and
 * changes a line only as long as no release has it.
 */
#ifndef RELEASED_SIZES_H
#define RELEASED_SIZES_H

#define VMMEM_ACCESS_INFO_SIZE_0_9 16
#define VMMEM_BITMAP_OPTIONS_SIZE_0_9 16
#define VMMEM_DIRTY_LOG_OPTIONS_SIZE_0_9 48
#define VMMEM_FD_REPORT_SIZE_0_9 80
#define VMMEM_FD_RULES_SIZE_0_9 40
#define VMMEM_HARVESTER_OPTIONS_SIZE_0_9 16
#define VMMEM_IOMMU_MISS_SIZE_0_9 32
#define VMMEM_IOMMU_OPTIONS_SIZE_0_9 72
#define VMMEM_IOTLB_OPTIONS_SIZE_0_9 24
#define VMMEM_KVM_OPTIONS_SIZE_0_9 80
#define VMMEM_LISTENER_OPS_SIZE_0_9 96
#define VMMEM_LISTENER_OPTIONS_SIZE_0_9 24
#define VMMEM_POLICY_REPORT_SIZE_0_9 80
#define VMMEM_READER_OPTIONS_SIZE_0_9 16
#define VMMEM_REGION_OPS_SIZE_0_9 64
#define VMMEM_RESIDENCY_SIZE_0_9 32
#define VMMEM_SLOT_TABLE_OPTIONS_SIZE_0_9 64
#define VMMEM_SPACE_OPTIONS_SIZE_0_9 16
#define VMMEM_VHOST_OPTIONS_SIZE_0_9 40

#endif
