/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The dirty pages of one region that a dirty log follows. */
#ifndef DIRTY_PART_H
#define DIRTY_PART_H

#include <stdbool.h>

#include <vmmem/region.h>

#include "dirty/bits.h"

struct vmmem_dirty_source;

struct vmmem_dirty_part {
	/* Compared, and used only while a map has the region. */
	const struct vmmem_region *region;
	/* Where its marks come from; NULL for a region without a bitmap. */
	struct vmmem_dirty_source *source;
	uint64_t number; /* of all parts of the log, this one's own */
	uint64_t start, last;

	/*
	 * Where in its bitmap the region begins, and the pages of the bitmap
	 * that have bytes of it: 'pages' of them, from 'first' on.
	 */
	uint64_t offset;
	uint64_t first, pages;
	unsigned int page_shift;

	/*
	 * A bit for each of these pages.  'found' are those of the dirty ones
	 * that the caller was told of: a mark of one of these waits in
	 * 'pending', as it is younger than a confirmation that may come.
	 */
	struct vmmem_bits dirty, pending, found;
	uint64_t dirty_pages;
	bool pending_any; /* there may be some */

	/* While a change of the map is told: in the new map, and only there. */
	bool staged, fresh;
};

/*
 * vmmem_dirty_part_new() makes the part of 'region', of which nothing is dirty.
 * Returns 0 or -errno.
 */
int vmmem_dirty_part_new(const struct vmmem_region *region,
			 struct vmmem_dirty_part **ret_part);
void vmmem_dirty_part_free(struct vmmem_dirty_part *part);

/* vmmem_dirty_part_fill() makes all of it dirty. */
void vmmem_dirty_part_fill(struct vmmem_dirty_part *part);

/*
 * vmmem_dirty_part_settle() makes dirty what is pending and was confirmed.
 * vmmem_dirty_part_take() makes dirty, or pending, what 'marks' say, which are
 * the bits of the whole bitmap.
 */
void vmmem_dirty_part_settle(struct vmmem_dirty_part *part);
void vmmem_dirty_part_take(struct vmmem_dirty_part *part,
			   const struct vmmem_bits *marks);

/* vmmem_dirty_part_count() returns how many bytes are dirty. */
uint64_t vmmem_dirty_part_count(const struct vmmem_dirty_part *part);

/*
 * vmmem_dirty_part_next() stores the first dirty bytes from 'gpa' on, which is
 * in the region, and notes that they were found; or it returns false.
 */
bool vmmem_dirty_part_next(struct vmmem_dirty_part *part, uint64_t gpa,
			   uint64_t *ret_gpa, uint64_t *ret_len);

/*
 * vmmem_dirty_part_confirm() takes the pages that lie wholly in [gpa, last],
 * which is in the region, from what is dirty.
 */
void vmmem_dirty_part_confirm(struct vmmem_dirty_part *part, uint64_t gpa,
			      uint64_t last);

#endif
