/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/version.h - the version of these headers and of the loaded library, and
 * what the loaded library can do.
 *
 * This file is the one place where the version is written; SONAMEs, symbol
 * nodes and the packages' files are made of it.
 */
#ifndef VMMEM_VERSION_H
#define VMMEM_VERSION_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

#define VMMEM_VERSION_MAJOR 0
#define VMMEM_VERSION_MINOR 9
#define VMMEM_VERSION_PATCH 0

/* One number that grows with each release: major, minor, patch, 8 bits each. */
#define VMMEM_VERSION                                                      \
	((VMMEM_VERSION_MAJOR << 16) | (VMMEM_VERSION_MINOR << 8) |        \
	 VMMEM_VERSION_PATCH)

/*
 * vmmem_version() returns VMMEM_VERSION of the library that is loaded, which
 * may be newer than the headers a program was compiled with.
 *
 * Any thread, any time, also in a signal handler.  Since: 0.9.
 */
uint32_t vmmem_version(void);

/*
 * vmmem_version_string() returns the loaded library's version as text,
 * "major.minor.patch".  The string is constant and never freed.
 *
 * Any thread, any time, also in a signal handler.  Since: 0.9.
 */
const char *vmmem_version_string(void);

/*
 * The features that vmmem_supports() knows.  A later version of the library has
 * more; no number gets another meaning.
 */
#define VMMEM_FEATURE_FAULT_SURVIVAL 1 /* vmmem_fault_enable() */
#define VMMEM_FEATURE_MEMBARRIER 2 /* membarrier(2), which spares barriers */

/*
 * vmmem_supports() tells whether the library that is loaded can do 'feature',
 * one of VMMEM_FEATURE_..., in this process:
 *   FAULT_SURVIVAL  this build of the library survives accesses to memory that
 *                   is gone, on this processor: vmmem_fault_enable() does not
 *                   return VMMEM_ENOSUPPORT
 *   MEMBARRIER      the kernel has membarrier(2), and the process may call it:
 *                   writers of guest memory and sections of an iotlb need no
 *                   barrier of their own
 * A number that this library does not know is a feature that it does not have.
 *
 * Any thread; not in a signal handler.
 *
 * Returns 1 if the library can, else 0; it never fails.  Since: 0.9.
 */
int vmmem_supports(uint32_t feature);

/*
 * The structs that may grow, for vmmem_struct_size().  Those of vmmem/kvm.h,
 * vmmem/slot_table.h and vmmem/vhost.h are not here: programs run with no other
 * minor version of these libraries than that of their headers.
 */
#define VMMEM_STRUCT_FD_REPORT 1
#define VMMEM_STRUCT_FD_RULES 2
#define VMMEM_STRUCT_IOMMU_OPTIONS 3
#define VMMEM_STRUCT_LISTENER_OPS 4
#define VMMEM_STRUCT_POLICY_REPORT 5
#define VMMEM_STRUCT_REGION_OPS 6
#define VMMEM_STRUCT_RESIDENCY 7
#define VMMEM_STRUCT_BITMAP_OPTIONS 8
#define VMMEM_STRUCT_DIRTY_LOG_OPTIONS 9
#define VMMEM_STRUCT_HARVESTER_OPTIONS 10
#define VMMEM_STRUCT_IOMMU_MISS 11
#define VMMEM_STRUCT_IOTLB_OPTIONS 12
#define VMMEM_STRUCT_LISTENER_OPTIONS 13
#define VMMEM_STRUCT_READER_OPTIONS 14
#define VMMEM_STRUCT_SPACE_OPTIONS 15
#define VMMEM_STRUCT_ACCESS_INFO 16

/*
 * vmmem_struct_size() returns how many bytes the library that is loaded knows
 * of a struct: 'which' is one of VMMEM_STRUCT_....  A member that lies within
 * them may be used, whatever the headers of the program say.  0: it does not
 * know the struct.
 *
 * Any thread, any time, also in a signal handler.  Since: 0.9.
 */
size_t vmmem_struct_size(uint32_t which);

VMMEM_END_DECLS

#endif
