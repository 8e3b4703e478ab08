/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A kernel without membarrier(2), and one in which it fails.  The functions of
 * lib/base/barrier.c are defined here, so the linker leaves the library's own out.
 */
#include <errno.h>
#include <stdint.h>

#include <vmmem/vmmem.h>

#include "base/barrier.h"
#include "suite.h"

#define PAGE UINT64_C(4096)
#define LEN  (1000 * PAGE)

static bool available;
static int result;
static int barriers;
static void (*meanwhile)(void); /* called once, by the next barrier */

bool
vmmem_barrier_available(void)
{
	return available;
}

int
vmmem_barrier(void)
{
	void (*call)(void) = meanwhile;
	const int answer = result;

	barriers++;
	meanwhile = NULL;
	if (call != NULL)
		call();
	return answer;
}

static struct vmmem_bitmap *
new_bitmap(bool with_barrier)
{
	struct vmmem_bitmap *bitmap;

	available = with_barrier;
	result = 0;
	ck_assert_int_eq(vmmem_bitmap_new(LEN, 0, PAGE, NULL, &bitmap), 0);
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
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_start_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);

	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &a), 0);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &b), 0);
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
	ck_assert_int_eq(vmmem_bitmap_start_logging(bitmap), -EPERM);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &harvester), -EPERM);
	ck_assert_ptr_eq(harvester, none);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 0);
	result = 0;
	ck_assert_int_eq(vmmem_bitmap_start_logging(bitmap), 0);
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

	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &a), 0);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &b), 0);
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

	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &a), 0);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &b), 0);
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

	ck_assert_int_eq(vmmem_bitmap_start_logging(bitmap), 0);
	ck_assert_int_eq(barriers, 1);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &harvester), 0);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), 0);
	ck_assert_int_eq(barriers, 1);
	ck_assert_int_eq(vmmem_harvester_take(harvester, NULL), 0);
	ck_assert_int_eq(barriers, 1);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, LEN), 0);
	ck_assert_int_eq(vmmem_harvester_take(harvester, NULL), 0);
	ck_assert_int_eq(barriers, 2);
	vmmem_harvester_free(harvester);
	ck_assert_int_eq(vmmem_bitmap_start_logging(bitmap), 0);
	ck_assert_int_eq(barriers, 3);
	vmmem_bitmap_unref(bitmap);

	/* External bits are marked by locked instructions: none at all. */
	ck_assert_int_eq(vmmem_bitmap_new_external(words, sizeof(words), LEN,
						   PAGE, NULL, NULL, NULL,
						   &bitmap),
			 0);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &harvester), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, LEN), 0);
	ck_assert_int_eq(vmmem_harvester_take(harvester, NULL), 0);
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 0, LEN), 0);
	ck_assert_int_eq(barriers, 3);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* Three regions with a log, two of which share it, and one without. */
static struct vmmem_bitmap *logs[2];

static struct vmmem_collection *
logged_map(void)
{
	struct vmmem_region *regions[4] = { NULL };
	struct vmmem_collection *map = NULL;
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	size_t i;

	for (i = 0; i < 2; i++)
		logs[i] = new_bitmap(true);
	for (i = 0; i < 4; i++) {
		vmmem_region_builder_set_range(builder, i * LEN, LEN / 2);
		vmmem_region_builder_set_bitmap(
			builder, i < 3 ? logs[i / 2] : NULL, i % 2 * LEN / 2);
		ck_assert_int_eq(vmmem_region_builder_build(builder,
							    &regions[i]), 0);
	}
	ck_assert_int_eq(vmmem_collection_new(regions, 4, &map), 0);
	for (i = 0; i < 4; i++)
		vmmem_region_unref(regions[i]);
	vmmem_region_builder_free(builder);
	barriers = 0;
	meanwhile = NULL;
	return map;
}

static void
free_map(struct vmmem_collection *map)
{
	vmmem_collection_unref(map);
	vmmem_bitmap_unref(logs[0]);
	vmmem_bitmap_unref(logs[1]);
}

static int
logging(void)
{
	return vmmem_bitmap_is_logging(logs[0]) +
	       2 * vmmem_bitmap_is_logging(logs[1]);
}

START_TEST(one_barrier_starts_all)
{
	struct vmmem_collection *map = logged_map();
	struct vmmem_harvester *harvester;

	ck_assert_int_eq(vmmem_collection_start_logging(map), 0);
	ck_assert_int_eq(barriers, 1);
	ck_assert_int_eq(logging(), 3);
	/* What is on needs none. */
	ck_assert_int_eq(vmmem_harvester_new(logs[1], NULL, &harvester), 0);
	ck_assert_int_eq(barriers, 1);
	/* One too many: at the shared one, somebody else seems to be. */
	ck_assert_int_eq(vmmem_collection_start_logging(map), 0);
	ck_assert_int_eq(barriers, 2);
	ck_assert_int_eq(vmmem_collection_stop_logging(map), 0);
	ck_assert_int_eq(logging(), 3);
	ck_assert_int_eq(vmmem_collection_stop_logging(map), 0);
	ck_assert_int_eq(logging(), 2);
	ck_assert_int_eq(vmmem_collection_stop_logging(map), VMMEM_EARGUMENT);
	ck_assert_int_eq(logging(), 2);
	vmmem_harvester_free(harvester);
	ck_assert_int_eq(logging(), 0);
	/* The first is started for both regions that have it. */
	ck_assert_int_eq(vmmem_collection_start_logging(map), 0);
	ck_assert_int_eq(barriers, 3);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(logs[0]), 0);
	ck_assert_int_eq(logging(), 3);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(logs[0]), 0);
	ck_assert_int_eq(logging(), 2);
	/* The others are stopped all the same. */
	ck_assert_int_eq(vmmem_collection_stop_logging(map), VMMEM_EARGUMENT);
	ck_assert_int_eq(logging(), 0);
	free_map(map);
}
END_TEST

START_TEST(all_start_or_none)
{
	struct vmmem_collection *map = logged_map();

	ck_assert_int_eq(vmmem_bitmap_start_logging(logs[1]), 0);
	ck_assert_int_eq(barriers, 1);
	result = -ENOMEM;
	ck_assert_int_eq(vmmem_collection_start_logging(map), -ENOMEM);
	ck_assert_int_eq(barriers, 2);
	ck_assert_int_eq(logging(), 2);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(logs[0]), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(logs[1]), 0);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(logs[1]), VMMEM_EARGUMENT);
	ck_assert_int_eq(logging(), 0);
	result = 0;
	ck_assert_int_eq(vmmem_collection_start_logging(map), 0);
	ck_assert_int_eq(logging(), 3);
	free_map(map);
}
END_TEST

/* Starts of others while the barrier of all is not made yet. */
static void
start_and_stop(void)
{
	ck_assert_int_eq(vmmem_bitmap_start_logging(logs[0]), 0);
	ck_assert_int_eq(logging(), 3);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(logs[0]), 0);
	ck_assert_int_eq(logging(), 3);
}

static void
start_to_stay(void)
{
	result = 0;
	ck_assert_int_eq(vmmem_bitmap_start_logging(logs[0]), 0);
}

static void
start_and_fail(void)
{
	ck_assert_int_eq(vmmem_bitmap_start_logging(logs[0]), -EPERM);
	ck_assert_int_eq(logging(), 3);
}

START_TEST(starts_meanwhile)
{
	struct vmmem_collection *map = logged_map();

	/* It knows not of the other one's barrier: it makes its own. */
	meanwhile = start_and_stop;
	ck_assert_int_eq(vmmem_collection_start_logging(map), 0);
	ck_assert_int_eq(barriers, 2);
	ck_assert_int_eq(logging(), 3);
	ck_assert_int_eq(vmmem_collection_stop_logging(map), 0);
	ck_assert_int_eq(logging(), 0);
	/* Its own was good, if the other one's was not. */
	result = -EPERM;
	meanwhile = start_to_stay;
	ck_assert_int_eq(vmmem_collection_start_logging(map), -EPERM);
	ck_assert_int_eq(barriers, 4);
	ck_assert_int_eq(logging(), 1);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(logs[0]), 0);
	/* Its own was not. */
	result = -EPERM;
	meanwhile = start_and_fail;
	ck_assert_int_eq(vmmem_collection_start_logging(map), -EPERM);
	ck_assert_int_eq(barriers, 6);
	ck_assert_int_eq(logging(), 0);
	/* Once it is made, others rely on it. */
	result = 0;
	ck_assert_int_eq(vmmem_collection_start_logging(map), 0);
	ck_assert_int_eq(vmmem_bitmap_start_logging(logs[0]), 0);
	ck_assert_int_eq(barriers, 7);
	free_map(map);
}
END_TEST

START_TEST(start_all_without_barriers)
{
	struct vmmem_collection *map = logged_map();
	struct vmmem_bitmap *always = new_bitmap(false);
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;
	struct vmmem_collection *one = NULL, *none = NULL;

	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_bitmap(builder, always, 0);
	ck_assert_int_eq(vmmem_region_builder_build(builder, &region), 0);
	ck_assert_int_eq(vmmem_collection_new(&region, 1, &one), 0);
	vmmem_region_unref(region);
	vmmem_region_builder_free(builder);
	vmmem_bitmap_unref(always);
	ck_assert_int_eq(vmmem_collection_new_empty(&none), 0);
	result = -ENOSYS;
	ck_assert_int_eq(vmmem_collection_start_logging(one), 0);
	ck_assert_int_eq(vmmem_collection_stop_logging(one), 0);
	ck_assert_int_eq(vmmem_collection_stop_logging(one), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_collection_start_logging(none), 0);
	ck_assert_int_eq(vmmem_collection_stop_logging(none), 0);
	ck_assert_int_eq(vmmem_collection_start_logging(NULL), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_collection_stop_logging(NULL), VMMEM_EARGUMENT);
	ck_assert_int_eq(barriers, 0);
	vmmem_collection_unref(one);
	vmmem_collection_unref(none);
	free_map(map);
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
	tcase_add_test(tcase, one_barrier_starts_all);
	tcase_add_test(tcase, all_start_or_none);
	tcase_add_test(tcase, starts_meanwhile);
	tcase_add_test(tcase, start_all_without_barriers);
	suite_add_tcase(suite, tcase);
	return suite;
}
