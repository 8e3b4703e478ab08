/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The bytes of a discard whose page is not discarded. */
#ifndef DISCARD_PART_H
#define DISCARD_PART_H

#include <stdint.h>

#include "region/region_priv.h"

/*
 * vmmem_discard_part() writes zeroes to 'len' bytes of a region's memory within
 * one page of its backing.  If there is no page the bytes are zero already, and
 * it makes none, as far as the system tells.  Returns 0 or VMMEM_EGONE.
 */
int vmmem_discard_part(const struct vmmem_region *region, unsigned char *from,
		       uint64_t len);

#endif
