/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Bitmaps and harvesters, and what a harvest must be. */
#ifndef HARVESTS_H
#define HARVESTS_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include <vmmem/vmmem.h>

#define PAGE UINT64_C(4096)

static inline struct vmmem_bitmap *
new_bitmap(uint64_t len)
{
	struct vmmem_bitmap *bitmap;

	ck_assert_int_eq(vmmem_bitmap_new(len, 0, PAGE, NULL, &bitmap), 0);
	return bitmap;
}

static inline struct vmmem_harvester *
new_harvester(struct vmmem_bitmap *bitmap)
{
	struct vmmem_harvester *harvester;

	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &harvester), 0);
	return harvester;
}

static inline void
mark(struct vmmem_bitmap *bitmap, uint64_t page, uint64_t pages)
{
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, page * PAGE, pages * PAGE),
			 0);
}

/*
 * take_pages() harvests, when the last harvest has arrived, and says how many
 * pages it must be.
 */
static inline void
take_pages(struct vmmem_harvester *harvester, uint64_t expected)
{
	uint64_t pages = UINT64_MAX;

	ck_assert_int_eq(vmmem_harvester_confirm(harvester, 0, UINT64_MAX), 0);
	ck_assert_int_eq(vmmem_harvester_take(harvester, &pages), 0);
	ck_assert_uint_eq(pages, expected);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_harvester_taken(harvester)),
			  expected);
}

static inline bool
has_page(struct vmmem_harvester *harvester, uint64_t page)
{
	return vmmem_bitmap_test(vmmem_harvester_taken(harvester),
				 page * PAGE) == 1;
}

#endif
