/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Marks that another thread takes between two looks at them.  The files are
 * compiled in here, and the thread comes just then.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <vmmem/vmmem.h>

#include "dirty/bits.h"
#include "suite.h"

/* The page whose mark goes as soon as it was found. */
static struct vmmem_bitmap *shared;
static bool goes;

static uint64_t
next_clear(const struct vmmem_bits *bits, uint64_t first, uint64_t last);
static void taken(uint64_t page);

#define vmmem_bits_next_clear next_clear
#include "dirty/bitmap.c"
#include "dirty/bitmap_words.c"
#undef vmmem_bits_next_clear

static void
taken(uint64_t page)
{
	const int rc = vmmem_bitmap_clear(shared, page << 12, 1 << 12);

	ck_assert_int_eq(rc, 0);
}

static uint64_t
next_clear(const struct vmmem_bits *bits, uint64_t first, uint64_t last)
{
	if (goes)
		taken(first);
	return vmmem_bits_next_clear(bits, first, last);
}

#define PAGES UINT64_C(100)

static void
setup(void)
{
	ck_assert_int_eq(vmmem_bitmap_new(PAGES << 12, PAGES << 12, 1 << 12,
					  NULL, &shared),
			 0);
	ck_assert_int_eq(vmmem_bitmap_start_logging(shared), 0);
}

static void
teardown(void)
{
	vmmem_bitmap_unref(shared);
}

/* Whoever walks by what is given gets on, and misses no other mark. */
START_TEST(walk)
{
	const uint64_t marked[] = { 0, 1, 5, 63, 66, PAGES - 1 };
	const size_t count = sizeof(marked) / sizeof(marked[0]);
	uint64_t offset = 0, len;
	size_t i;

	for (i = 0; i < count; i++)
		vmmem_bitmap_mark(shared, marked[i] << 12, 1);
	goes = _i != 0;
	for (i = 0; i < count; i++) {
		ck_assert_int_eq(vmmem_bitmap_next(shared, offset, &offset,
						   &len), 0);
		ck_assert_uint_eq(offset, marked[i] << 12);
		if (!goes && i == 0) {
			/* Two neighbours are one. */
			ck_assert_uint_eq(len, 2 << 12);
			i++;
		} else {
			ck_assert_uint_eq(len, 1 << 12);
		}
		offset += len;
	}
	ck_assert_int_eq(vmmem_bitmap_next(shared, offset, &offset, &len), 0);
	ck_assert_uint_eq(len, 0);
}
END_TEST

START_TEST(export)
{
	vmmem_le64 words[2];

	vmmem_bitmap_mark(shared, 3 << 12, 1);
	vmmem_bitmap_mark(shared, 64 << 12, 1);
	goes = _i != 0;
	ck_assert_int_eq(vmmem_bitmap_export(shared, 0, 65 << 12, 1 << 12,
					     words, sizeof(words)), 0);
	ck_assert_uint_eq(vmmem_le64_get(&words[0]), 1 << 3);
	ck_assert_uint_eq(vmmem_le64_get(&words[1]), 1);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("bitmap races");
	TCase *tcase = tcase_create("bitmap races");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, walk, 0, 2);
	tcase_add_loop_test(tcase, export, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
