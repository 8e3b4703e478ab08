/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Marking the written bytes of a region, by their offset in it. */
#include "region/mark.h"

#include "dirty/bitmap_priv.h"

/* Not cold: while logging is on, each write comes here. */
__attribute__((__noinline__)) int
vmmem_mark_entry(const struct vmmem_region_entry *entry, uint64_t offset,
		 uint64_t len)
{
	const struct vmmem_region *region = vmmem_region_of(entry);

	/* Const is for readers; the word is a bitmap's first. */
	return vmmem_bitmap_mark_within(
		(struct vmmem_bitmap *)(uintptr_t)entry->logging,
		region->bitmap_offset + offset, len);
}
