/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A kernel without membarrier(2), and one in which it fails.  The functions of
 * lib/barrier.c are defined here, so the linker leaves the library's own out.
 */
#include <errno.h>
#include <stdint.h>

#include <vmmem/vmmem.h>

#include "barrier.h"
#include "suite.h"

#define PAGE UINT64_C(4096)
#define LEN  (1000 * PAGE)

static bool available;
static int result;
static int barriers;

bool
vmmem_barrier_available(void)
{
	return available;
}

int
vmmem_barrier(void)
{
	barriers++;
	return result;
}

static struct vmmem_bitmap *
new_bitmap(bool with_barrier)
{
	struct vmmem_bitmap *bitmap;

	available = with_barrier;
	result = 0;
	ck_assert_int_eq(vmmem_bitmap_new(LEN, 0, PAGE, &bitmap), 0);
	barriers = 0;
	return bitmap;
}

/* Logging is never off, and nobody asks for a barrier that is not there. */
START_TEST(not_available)
{
	struct vmmem_bitmap *bitmap = new_bitmap(false);
	struct vmmem_harvester *a, *b;
	uint64_t pages;

	result = -ENOSYS;
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	ck_assert_int_eq(vmmem_bitmap_stop(bitmap), VMMEM_EINVAL);
	ck_assert_int_eq(vmmem_bitmap_start(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_stop(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);

	ck_assert_int_eq(vmmem_harvester_new(bitmap, &a), 0);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, &b), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 200 * PAGE), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 1), 0);
	ck_assert_int_eq(vmmem_harvester_take(a, &pages), 0);
	ck_assert_uint_eq(pages, 200);
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 0, 50 * PAGE), 0);
	ck_assert_int_eq(vmmem_harvester_take(b, &pages), 0);
	ck_assert_uint_eq(pages, 150);
	ck_assert_int_eq(barriers, 0);
	vmmem_harvester_free(a);
	vmmem_harvester_free(b);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(start_fails)
{
	struct vmmem_bitmap *bitmap = new_bitmap(true);
	struct vmmem_harvester *none = (void *)&none, *harvester = none;

	result = -EPERM;
	ck_assert_int_eq(vmmem_bitmap_start(bitmap), -EPERM);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_stop(bitmap), VMMEM_EINVAL);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, &harvester), -EPERM);
	ck_assert_ptr_eq(harvester, none);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 0);
	result = 0;
	ck_assert_int_eq(vmmem_bitmap_start(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* No mark is lost, the last harvest is as it was, the call can be repeated. */
START_TEST(take_fails)
{
	struct vmmem_bitmap *bitmap = new_bitmap(true);
	struct vmmem_harvester *a, *b;
	uint64_t pages = 7;

	ck_assert_int_eq(vmmem_harvester_new(bitmap, &a), 0);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, &b), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, PAGE, PAGE), 0);
	ck_assert_int_eq(vmmem_harvester_take(a, NULL), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 5 * PAGE, 2 * PAGE), 0);

	result = -ENOMEM;
	ck_assert_int_eq(vmmem_harvester_take(a, &pages), -ENOMEM);
	ck_assert_uint_eq(pages, 7);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_harvester_taken(a)), 1);
	ck_assert_int_eq(vmmem_bitmap_test(vmmem_harvester_taken(a), PAGE), 1);
	/*
	 * The bits are clear by now, but nobody gets them before a barrier
	 * was made: neither who failed nor who finds nothing to clear.
	 */
	ck_assert_int_eq(vmmem_harvester_take(b, &pages), -ENOMEM);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_harvester_taken(b)), 0);
	ck_assert_int_eq(vmmem_harvester_take(a, &pages), -ENOMEM);

	result = 0;
	barriers = 0;
	ck_assert_int_eq(vmmem_harvester_take(b, &pages), 0);
	ck_assert_uint_eq(pages, 3);
	ck_assert_int_eq(barriers, 1);
	ck_assert_int_eq(vmmem_harvester_take(a, &pages), 0);
	ck_assert_uint_eq(pages, 3);
	/* One was enough for both; and nothing marked needs none. */
	ck_assert_int_eq(vmmem_harvester_confirm(a, 0, LEN), 0);
	ck_assert_int_eq(vmmem_harvester_take(a, &pages), 0);
	ck_assert_uint_eq(pages, 0);
	ck_assert_int_eq(barriers, 1);
	vmmem_harvester_free(a);
	vmmem_harvester_free(b);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* All pages that were to be cleared are marked, for every harvester. */
START_TEST(clear_fails)
{
	struct vmmem_bitmap *bitmap = new_bitmap(true);
	struct vmmem_harvester *a, *b;
	uint64_t pages;

	ck_assert_int_eq(vmmem_harvester_new(bitmap, &a), 0);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, &b), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 10 * PAGE, PAGE), 0);
	ck_assert_int_eq(vmmem_harvester_take(a, &pages), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 11 * PAGE, PAGE), 0);
	result = -ENOMEM;
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 9 * PAGE, 4 * PAGE),
			 -ENOMEM);
	result = 0;
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 4);
	ck_assert_int_eq(vmmem_harvester_take(b, &pages), 0);
	ck_assert_uint_eq(pages, 4);
	ck_assert_int_eq(vmmem_harvester_confirm(a, 0, LEN), 0);
	ck_assert_int_eq(vmmem_harvester_take(a, &pages), 0);
	ck_assert_uint_eq(pages, 4);
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 0, LEN), 0);
	vmmem_harvester_free(a);
	vmmem_harvester_free(b);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* Only the first start needs to wait for writers; the next ones find it on. */
START_TEST(barriers_are_counted)
{
	struct vmmem_bitmap *bitmap = new_bitmap(true);
	struct vmmem_harvester *harvester;
	uint64_t words[16] = { 0 };

	ck_assert_int_eq(vmmem_bitmap_start(bitmap), 0);
	ck_assert_int_eq(barriers, 1);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, &harvester), 0);
	ck_assert_int_eq(vmmem_bitmap_stop(bitmap), 0);
	ck_assert_int_eq(barriers, 1);
	ck_assert_int_eq(vmmem_harvester_take(harvester, NULL), 0);
	ck_assert_int_eq(barriers, 1);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, LEN), 0);
	ck_assert_int_eq(vmmem_harvester_take(harvester, NULL), 0);
	ck_assert_int_eq(barriers, 2);
	vmmem_harvester_free(harvester);
	ck_assert_int_eq(vmmem_bitmap_start(bitmap), 0);
	ck_assert_int_eq(barriers, 3);
	vmmem_bitmap_unref(bitmap);

	/* External bits are marked by locked instructions: none at all. */
	ck_assert_int_eq(vmmem_bitmap_new_external(words, sizeof(words), LEN,
						   PAGE, NULL, NULL, &bitmap),
			 0);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, &harvester), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, LEN), 0);
	ck_assert_int_eq(vmmem_harvester_take(harvester, NULL), 0);
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 0, LEN), 0);
	ck_assert_int_eq(barriers, 3);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("barrier_failure");
	TCase *tcase = tcase_create("barrier");

	tcase_add_test(tcase, not_available);
	tcase_add_test(tcase, start_fails);
	tcase_add_test(tcase, take_fails);
	tcase_add_test(tcase, clear_fails);
	tcase_add_test(tcase, barriers_are_counted);
	suite_add_tcase(suite, tcase);
	return suite;
}
