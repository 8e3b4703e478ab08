/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What a slice is made of. */
#ifndef SLICE_PRIV_H
#define SLICE_PRIV_H

#include <stdbool.h>

#include <vmmem/slice.h>

#include "dirty/bitmap_priv.h"
#include "region/region_priv.h"

/* What the access of a slice may be. */
#define VMMEM_SLICE_ACCESS_KNOWN (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

/* vmmem_slice_set_empty() makes a slice of zero bytes, of anywhere. */
static inline void
vmmem_slice_set_empty(struct vmmem_slice *slice, uint32_t access)
{
	*slice = (struct vmmem_slice){
		.logging = &vmmem_never_logging,
		.access = access,
	};
}

/*
 * vmmem_slice_is_direct() tells whether there is a host address to be accessed
 * so.
 */
static inline bool
vmmem_slice_is_direct(const struct vmmem_entry *entry, uint32_t access)
{
	return entry->host != NULL && (access & ~entry->direct) == 0;
}

/*
 * vmmem_slice_set_direct() makes the slice of a region that has a host address.
 */
static inline void
vmmem_slice_set_direct(struct vmmem_slice *slice, struct vmmem_region *region,
		       uint64_t offset, uint64_t len, uint32_t access)
{
	*slice = (struct vmmem_slice){
		.host = region->entry.host + offset,
		.len = len,
		.logging = region->entry.logging,
		.log_offset = region->bitmap_offset + offset,
		.access = access,
		.region = region,
		.gpa = region->start + offset,
	};
}

#endif
