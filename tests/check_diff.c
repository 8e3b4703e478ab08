/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The difference of two maps. */
#include <string.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "rng.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)
#define PLACES 12

static struct vmmem_region *regions[2][PLACES];

static void
setup(void)
{
	uint64_t i;

	for (i = 0; i < PLACES; i++) {
		regions[0][i] = region_of(i * PAGE, PAGE);
		regions[1][i] = region_of(i * PAGE, PAGE);
	}
}

static void
teardown(void)
{
	size_t i;

	for (i = 0; i < PLACES; i++) {
		vmmem_region_unref(regions[0][i]);
		vmmem_region_unref(regions[1][i]);
	}
}

/* A map of at each place nothing, the one region, or the other. */
static struct vmmem_collection *
map_of(struct vmmem_region **at)
{
	struct vmmem_region *list[PLACES];
	struct vmmem_collection *map = NULL;
	size_t i, count = 0;

	for (i = 0; i < PLACES; i++) {
		if (at[i] != NULL)
			list[count++] = at[i];
	}
	if (count == 0)
		assert_ok(vmmem_collection_new_empty(&map));
	else
		assert_ok(vmmem_collection_new(list, count, &map));
	return map;
}

static void
expect_next(struct vmmem_diff *diff, uint32_t kind,
	    struct vmmem_region **ret_region)
{
	uint32_t found = 99;

	*ret_region = NO_REGION;
	assert_ok(vmmem_diff_next(diff, ret_region, &found));
	ck_assert_uint_eq(found, kind);
	ck_assert(kind != VMMEM_DIFF_END || *ret_region == NULL);
}

static void
expect_difference(struct vmmem_region **before, struct vmmem_region **after)
{
	struct vmmem_collection *old_map = map_of(before),
				*new_map = map_of(after);
	struct vmmem_region *region = NULL;
	struct vmmem_diff *diff = NULL;
	size_t i;

	assert_ok(vmmem_diff_new(old_map, new_map, &diff));
	/* It keeps both. */
	vmmem_collection_unref(old_map);
	vmmem_collection_unref(new_map);
	for (i = PLACES; i-- > 0;) {
		if (before[i] == NULL || before[i] == after[i])
			continue;
		expect_next(diff, VMMEM_DIFF_REMOVED, &region);
		ck_assert_ptr_eq(region, before[i]);
	}
	for (i = 0; i < PLACES; i++) {
		if (after[i] == NULL || before[i] == after[i])
			continue;
		expect_next(diff, VMMEM_DIFF_ADDED, &region);
		ck_assert_ptr_eq(region, after[i]);
	}
	expect_next(diff, VMMEM_DIFF_END, &region);
	expect_next(diff, VMMEM_DIFF_END, &region);
	ck_assert_ptr_null(vmmem_diff_free(diff));
}

START_TEST(any_two_maps)
{
	struct rng rng = { rng_seed() };
	struct vmmem_region *maps[2][PLACES];
	uint64_t rounds = rng_rounds(2000), what;
	size_t i, side;

	while (rounds-- != 0) {
		for (side = 0; side < 2; side++) {
			for (i = 0; i < PLACES; i++) {
				what = rng_below(&rng, 3);
				maps[side][i] =
					what == 2 ? NULL : regions[what][i];
			}
		}
		expect_difference(maps[0], maps[1]);
	}
	memset(maps, 0, sizeof(maps));
	expect_difference(maps[0], maps[1]);
	expect_difference(regions[0], maps[1]);
	expect_difference(maps[0], regions[0]);
	expect_difference(regions[0], regions[1]);
	expect_difference(regions[0], regions[0]);
}
END_TEST

/* One region for many, and many for one. */
START_TEST(of_other_sizes)
{
	struct vmmem_region *wide = region_of(0, 3 * PAGE), *region = NULL;
	struct vmmem_collection *one = guest_of_one(vmmem_region_ref(wide));
	struct vmmem_collection *many = map_of(regions[0]);
	struct vmmem_diff *diff = NULL;
	size_t i;

	assert_ok(vmmem_diff_new(one, many, &diff));
	expect_next(diff, VMMEM_DIFF_REMOVED, &region);
	ck_assert_ptr_eq(region, wide);
	for (i = 0; i < PLACES; i++) {
		expect_next(diff, VMMEM_DIFF_ADDED, &region);
		ck_assert_ptr_eq(region, regions[0][i]);
	}
	expect_next(diff, VMMEM_DIFF_END, &region);
	vmmem_diff_free(diff);
	vmmem_collection_unref(one);
	vmmem_collection_unref(many);
	vmmem_region_unref(wide);
}
END_TEST

START_TEST(arguments)
{
	struct vmmem_collection *map = map_of(regions[0]);
	struct vmmem_region *region = NO_REGION;
	struct vmmem_diff *diff = NULL;
	uint32_t kind = 0;

	assert_code(vmmem_diff_new(map, map, NULL), VMMEM_EARGUMENT);
	assert_ok(vmmem_diff_new(NULL, map, &diff));
	assert_code(vmmem_diff_next(diff, NULL, &kind), VMMEM_EARGUMENT);
	assert_code(vmmem_diff_next(diff, &region, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_diff_next(NULL, &region, &kind), VMMEM_EARGUMENT);
	ck_assert_ptr_eq(region, NO_REGION);
	expect_next(diff, VMMEM_DIFF_ADDED, &region);
	ck_assert_ptr_eq(region, regions[0][0]);
	vmmem_diff_free(diff);
	assert_ok(vmmem_diff_new(NULL, NULL, &diff));
	expect_next(diff, VMMEM_DIFF_END, &region);
	vmmem_diff_free(diff);
	ck_assert_ptr_null(vmmem_diff_free(NULL));
	vmmem_collection_unref(map);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("diff");
	TCase *tcase = tcase_create("diff");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, any_two_maps);
	tcase_add_test(tcase, of_other_sizes);
	suite_add_tcase(suite, tcase);
	return suite;
}
