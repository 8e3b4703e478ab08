/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Discards of a region, after all checks. */
#ifndef DISCARD_PRIV_H
#define DISCARD_PRIV_H

#include <stdint.h>

#include <vmmem/discard.h>

#define VMMEM_DISCARD_KNOWN                                                \
	(VMMEM_DISCARD_WHOLE_PAGES | VMMEM_DISCARD_UNMARKED)

/*
 * vmmem_discard_checked() is vmmem_region_discard() after all checks; 'len' is
 * not 0.  It adds to what 'ret_discarded' has.
 */
int vmmem_discard_checked(const struct vmmem_region *region, uint64_t offset,
			  uint64_t len, uint32_t flags,
			  uint64_t *ret_discarded);

#endif
