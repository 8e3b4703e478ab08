/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Having pages made of a region that is there already. */
#ifndef POPULATE_H
#define POPULATE_H

#include <stdint.h>

struct vmmem_region;

/*
 * vmmem_populate_check() says whether pages of a range, which is within the
 * region and not empty, can be made at all: 0, VMMEM_ENOHOST, VMMEM_EDENIED or
 * VMMEM_EPRIVATE.
 */
int vmmem_populate_check(const struct vmmem_region *region, uint64_t offset,
			 uint64_t len);

/*
 * vmmem_populate_checked() is vmmem_region_populate() of a range that is within
 * the region and not empty, after vmmem_populate_check().
 */
int vmmem_populate_checked(const struct vmmem_region *region, uint64_t offset,
			   uint64_t len);

#endif
