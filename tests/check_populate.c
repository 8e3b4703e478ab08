/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Having pages made, on each backing; and nothing else changes. */
#include <vmmem/bitmap.h>
#include <vmmem/collection.h>
#include <vmmem/discard.h>
#include <vmmem/residency.h>

#include "backings.h"
#include "suite.h"

#define PAGE page_size()
#define SIZE (16 * PAGE)

const char *
skip_reason(void)
{
	return memory_skip_reason();
}

/* How much there is of two pages from 'page' on. */
static uint64_t
there(const struct vmmem_region *region, uint64_t page)
{
	return in_core(bytes_of(region) + page * PAGE, 2 * PAGE);
}

static bool
is_full(enum backing backing)
{
	return backing >= SHARED_MEMFD && backing <= PRIVATE_DISK;
}

START_TEST(backings)
{
	const enum backing backing = (enum backing)_i;
	struct vmmem_region *region;
	struct vmmem_bitmap *bitmap;
	uint8_t before[2];

	vmmem_region_builder_set_tracking(builder, 4096);
	region = region_on(backing, GPA, SIZE);
	if (region == NULL)
		return;
	bitmap = vmmem_region_bitmap(region);
	assert_ok(vmmem_bitmap_start_logging(bitmap));
	if (backing == CUSTOM) {
		assert_code(vmmem_region_populate(region, 0, 1),
			    VMMEM_ENOHOST);
		forget(region);
		return;
	}
	if (backing != ANONYMOUS_LOCKED && backing != MEMFD_LOCKED &&
	    !is_full(backing))
		ck_assert_uint_eq(there(region, 4), 0);
	/* A byte of each of two pages. */
	assert_ok(vmmem_region_populate(region, 5 * PAGE - 1, 2));
	ck_assert_uint_eq(there(region, 4), 2 * PAGE);
	memcpy(before, bytes_of(region) + 5 * PAGE - 1, 2);
	ck_assert_uint_eq(before[0], is_full(backing) ? BELOW : 0);
	ck_assert_uint_eq(before[1], before[0]);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	/* Again is no more. */
	assert_ok(vmmem_region_populate(region, 0, SIZE));
	assert_ok(vmmem_region_populate(region, 0, SIZE));
	ck_assert_uint_eq(in_core(bytes_of(region), SIZE), SIZE);
	forget(region);
}
END_TEST

/* How an alias permits it is not asked; what is mapped is. */
START_TEST(permissions)
{
	struct vmmem_region *region = NULL, *alias = NULL;
	uint32_t protection;

	vmmem_region_builder_set_range(builder, 0, SIZE);
	for (protection = 0; protection < 4; protection++) {
		vmmem_region_builder_set_protection(builder, protection);
		assert_ok(vmmem_region_builder_build(builder, &region));
		assert_code(vmmem_region_populate(region, 0, SIZE),
			    protection == 0 ? VMMEM_EDENIED : 0);
		assert_ok(vmmem_region_populate(region, 0, 0));
		vmmem_region_unref(region);
	}
	region = region_of(0, SIZE);
	vmmem_region_builder_set_range(builder, 2 * PAGE, 4 * PAGE);
	vmmem_region_builder_set_alias(builder, region, 2 * PAGE);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	assert_ok(vmmem_region_builder_build(builder, &alias));
	assert_ok(vmmem_region_populate(alias, PAGE, 2 * PAGE));
	ck_assert_uint_eq(in_core(bytes_of(region), SIZE), 2 * PAGE);
	ck_assert_uint_eq(there(region, 3), 2 * PAGE);
	assert_code(vmmem_region_populate(alias, 3 * PAGE, PAGE + 1),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_populate(alias, TOP, 1), VMMEM_EOUTOFRANGE);
	assert_ok(vmmem_region_populate(alias, TOP, 0));
	assert_code(vmmem_region_populate(NULL, 0, 1), VMMEM_EARGUMENT);
	vmmem_region_unref(alias);
	vmmem_region_unref(region);
}
END_TEST

/* Region by region; and where one cannot, none is begun. */
START_TEST(collections)
{
	struct vmmem_region *regions[4];
	struct vmmem_collection *map = NULL;
	size_t i;

	regions[0] = region_of(0, 4 * PAGE);
	regions[1] = region_of(4 * PAGE, 4 * PAGE);
	regions[2] = region_on(CUSTOM, 8 * PAGE, PAGE);
	regions[3] = region_of(TOP - PAGE + 1, PAGE);
	assert_ok(vmmem_collection_new(regions, 4, &map));
	assert_code(vmmem_collection_populate(map, 3 * PAGE, 6 * PAGE),
		    VMMEM_ENOHOST);
	assert_code(vmmem_collection_populate(map, 3 * PAGE, 7 * PAGE),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(in_core(bytes_of(regions[0]), 4 * PAGE), 0);
	assert_code(vmmem_collection_populate(map, TOP, 2), VMMEM_EWRAPS);
	assert_code(vmmem_collection_populate(NULL, 0, 1), VMMEM_EARGUMENT);
	assert_ok(vmmem_collection_populate(map, TOP - 20 * PAGE, 0));
	assert_ok(vmmem_collection_populate(map, 3 * PAGE, 2 * PAGE));
	ck_assert_uint_eq(in_core(bytes_of(regions[0]), 4 * PAGE), PAGE);
	ck_assert_uint_eq(in_core(bytes_of(regions[1]), 4 * PAGE), PAGE);
	assert_ok(vmmem_collection_populate(map, TOP, 1));
	ck_assert_uint_eq(in_core(bytes_of(regions[3]), PAGE), PAGE);
	/* What was given back can be had again. */
	assert_ok(vmmem_collection_discard(map, 3 * PAGE, 2 * PAGE, 0, NULL));
	ck_assert_uint_eq(in_core(bytes_of(regions[0]), 4 * PAGE), 0);
	assert_ok(vmmem_collection_populate(map, 0, 8 * PAGE));
	ck_assert_uint_eq(in_core(bytes_of(regions[1]), 4 * PAGE), 4 * PAGE);
	vmmem_collection_unref(map);
	for (i = 0; i < 4; i++) {
		if (i != 2)
			vmmem_region_unref(regions[i]);
	}
	forget(regions[2]);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("populate");
	TCase *tcase = tcase_create("populate");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, backings, 0, BACKINGS);
	tcase_add_test(tcase, permissions);
	tcase_add_test(tcase, collections);
	suite_add_tcase(suite, tcase);
	return suite;
}
