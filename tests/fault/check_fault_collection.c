/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Each call on the way to a collection fails once; collections and regions
 * that are there already stay as they are.
 */
#include "fault.h"
#include "suite.h"

#include <stdalign.h>

#define LEN UINT64_C(0x100)
#define REGIONS 3

static alignas(16) unsigned char memory[REGIONS][LEN];

/* The address of the region 'index'; they touch. */
static uint64_t
gpa_of(size_t index)
{
	return index * LEN;
}

/* make_regions() makes them or leaves nothing. */
static int
make_regions(struct vmmem_region **regions)
{
	size_t i;
	int rc;

	for (i = 0; i < REGIONS; i++) {
		regions[i] = no_region;
		rc = vmmem_region_new_external(gpa_of(i), LEN, memory[i],
					       &regions[i]);
		if (rc == 0)
			continue;
		failed_region(rc, regions[i]);
		while (i > 0)
			vmmem_region_unref(regions[--i]);
		return rc;
	}
	return 0;
}

static void
drop_regions(struct vmmem_region **regions)
{
	size_t i;

	for (i = 0; i < REGIONS; i++)
		vmmem_region_unref(regions[i]);
}

/* That memory is still there is seen by using all of it. */
static void
require_usable(const struct vmmem_collection *collection, size_t count)
{
	REQUIRE(vmmem_collection_count(collection) == count);
	REQUIRE(vmmem_collection_fill(collection, 0, count * LEN, 0x42,
				      NULL) == 0);
	REQUIRE(vmmem_collection_check(collection, 0, count * LEN + 1,
				       VMMEM_PROT_READ, NULL) ==
		VMMEM_EBADADDR);
}

static int
sorted(void)
{
	struct vmmem_collection *collection = no_collection;
	struct vmmem_region *regions[REGIONS];
	int rc = make_regions(regions);

	if (rc != 0)
		return rc;
	rc = vmmem_collection_new(regions, REGIONS, &collection);
	/* From here on the collection alone holds them. */
	drop_regions(regions);
	if (rc != 0)
		return failed_collection(rc, collection);
	require_usable(collection, REGIONS);
	vmmem_collection_unref(collection);
	return 0;
}

static int
unsorted(void)
{
	struct vmmem_collection *collection = no_collection;
	struct vmmem_region *regions[REGIONS], *first;
	int rc = make_regions(regions);

	if (rc != 0)
		return rc;
	first = regions[0];
	regions[0] = regions[REGIONS - 1];
	regions[REGIONS - 1] = first;
	rc = vmmem_collection_new_unsorted(regions, REGIONS, &collection);
	drop_regions(regions);
	if (rc != 0)
		return failed_collection(rc, collection);
	require_usable(collection, REGIONS);
	vmmem_collection_unref(collection);
	return 0;
}

/* Refusals come after allocations here and there: they leave nothing too. */
static int
refused(void)
{
	struct vmmem_collection *collection = no_collection;
	struct vmmem_region *regions[REGIONS], *twice[2], *hole[2];
	int rc = make_regions(regions);
	int second = 0;

	if (rc != 0)
		return rc;
	twice[0] = twice[1] = hole[0] = regions[0];
	hole[1] = NULL;
	rc = vmmem_collection_new_unsorted(twice, 2, &collection);
	if (rc == VMMEM_EOVERLAP) {
		second = vmmem_collection_new_unsorted(hole, 2, &collection);
		rc = second == VMMEM_EARGUMENT ? 0 : second;
	}
	REQUIRE(rc <= 0 && collection == no_collection);
	drop_regions(regions);
	return rc;
}

static int
empty(void)
{
	struct vmmem_collection *collection = no_collection;
	int rc = vmmem_collection_new_empty(&collection);

	if (rc != 0)
		return failed_collection(rc, collection);
	vmmem_collection_unref(collection);
	return 0;
}

static int cookies_ended;

static void
cookie_ended(void *cookie)
{
	(void)cookie;
	cookies_ended++;
}

/* What could not be set is not there, and still has its owner. */
static int
cookie(void)
{
	struct vmmem_collection *collection = no_collection;
	int rc = vmmem_collection_new_empty(&collection), key = 0;

	if (rc != 0)
		return failed_collection(rc, collection);
	cookies_ended = 0;
	rc = vmmem_collection_set_cookie(collection, &key, &key, cookie_ended);
	REQUIRE(vmmem_collection_cookie(collection, &key) ==
		(rc == 0 ? &key : NULL));
	vmmem_collection_unref(collection);
	REQUIRE(cookies_ended == (rc == 0));
	return rc;
}

static int
ranges(void)
{
	static const struct vmmem_range list[] = {
		{ 0, LEN },
		{ LEN, LEN },
		{ 2 * LEN, LEN },
	};
	struct vmmem_collection *collection = no_collection;
	int rc = vmmem_collection_new_ranges(list, 3, NULL, &collection);

	if (rc != 0)
		return failed_collection(rc, collection);
	require_usable(collection, 3);
	vmmem_collection_unref(collection);
	return 0;
}

static int
file_ranges(void)
{
	const struct vmmem_file_range list[] = {
		{ 0, LEN, 0, fault_file(), 0 },
		{ LEN, LEN, 0, -1, 0 },
		{ 2 * LEN, LEN, fault_page(), fault_file(), 0 },
	};
	struct vmmem_collection *collection = no_collection;
	int rc = vmmem_collection_new_file_ranges(list, 3, NULL, &collection);

	if (rc != 0)
		return failed_collection(rc, collection);
	require_usable(collection, 3);
	vmmem_collection_unref(collection);
	return 0;
}

/* From nothing, region by region; each old map is left whole. */
static int
insert(void)
{
	struct vmmem_collection *collection = no_collection;
	struct vmmem_region *regions[REGIONS];
	size_t i;
	int rc = make_regions(regions);

	if (rc != 0)
		return rc;
	rc = vmmem_collection_new_empty(&collection);
	if (rc != 0) {
		drop_regions(regions);
		return failed_collection(rc, collection);
	}
	for (i = 0; i < REGIONS && rc == 0; i++) {
		struct vmmem_collection *larger = no_collection;

		rc = vmmem_collection_insert(collection, regions[i], &larger);
		require_usable(collection, i);
		if (rc != 0) {
			failed_collection(rc, larger);
			break;
		}
		vmmem_collection_unref(collection);
		collection = larger;
	}
	drop_regions(regions);
	require_usable(collection, i);
	vmmem_collection_unref(collection);
	return rc;
}

/* From the top down to nothing, with and without taking the region over. */
static int
remove_all(void)
{
	static const struct vmmem_range list[] = {
		{ 0, LEN },
		{ LEN, LEN },
	};
	struct vmmem_collection *collection = no_collection;
	struct vmmem_collection *smaller;
	struct vmmem_region *region;
	size_t left = 2;
	int rc = vmmem_collection_new_ranges(list, left, NULL, &collection);

	if (rc != 0)
		return failed_collection(rc, collection);
	while (left > 0 && rc == 0) {
		bool take = left == 1;

		smaller = no_collection;
		region = no_region;
		rc = vmmem_collection_remove(collection, gpa_of(left - 1), LEN,
					     &smaller, take ? &region : NULL);
		require_usable(collection, left);
		if (rc != 0) {
			failed_region(rc, region);
			failed_collection(rc, smaller);
			break;
		}
		vmmem_collection_unref(collection);
		collection = smaller;
		left--;
		if (take) {
			REQUIRE(vmmem_region_start(region) == gpa_of(left));
			vmmem_region_unref(region);
		} else {
			REQUIRE(region == no_region);
		}
	}
	require_usable(collection, left);
	vmmem_collection_unref(collection);
	return rc;
}

/* Two collections and an alias share a region that has a file. */
static int
shared(void)
{
	const struct vmmem_file_range list[] = {
		{ 0, LEN, 0, fault_file(), 0 },
	};
	struct vmmem_collection *collection = no_collection;
	struct vmmem_collection *larger = no_collection;
	struct vmmem_region *alias = no_region;
	int rc = vmmem_collection_new_file_ranges(list, 1, NULL, &collection);

	if (rc != 0)
		return failed_collection(rc, collection);
	rc = vmmem_region_new_alias(LEN, LEN,
				    vmmem_collection_region(collection, 0), 0,
				    &alias);
	if (rc == 0) {
		rc = vmmem_collection_insert(collection, alias, &larger);
		vmmem_region_unref(alias);
	} else {
		failed_region(rc, alias);
	}
	require_usable(collection, 1);
	vmmem_collection_unref(collection);
	if (rc != 0)
		return failed_collection(rc, larger);
	require_usable(larger, 2);
	vmmem_collection_unref(larger);
	return 0;
}

/* Two of one: the second cannot share with it who holds the regions. */
static int
branch(void)
{
	struct vmmem_collection *collection = no_collection;
	struct vmmem_collection *first = no_collection;
	struct vmmem_collection *second = no_collection;
	struct vmmem_region *regions[REGIONS];
	int rc = make_regions(regions);

	if (rc != 0)
		return rc;
	rc = vmmem_collection_new(regions, REGIONS - 1, &collection);
	if (rc != 0) {
		drop_regions(regions);
		return failed_collection(rc, collection);
	}
	rc = vmmem_collection_insert(collection, regions[REGIONS - 1], &first);
	if (rc == 0)
		rc = vmmem_collection_insert(collection, regions[REGIONS - 1],
					     &second);
	else
		failed_collection(rc, first);
	drop_regions(regions);
	require_usable(collection, REGIONS - 1);
	vmmem_collection_unref(collection);
	if (first != no_collection) {
		require_usable(first, REGIONS);
		vmmem_collection_unref(first);
	}
	if (rc != 0)
		return failed_collection(rc, second);
	require_usable(second, REGIONS);
	vmmem_collection_unref(second);
	return 0;
}

static const scenario_fn scenarios[] = {
	sorted,
	unsorted,
	refused,
	empty,
	cookie,
	ranges,
	file_ranges,
	insert,
	remove_all,
	shared,
	branch,
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

START_TEST(test_scenario)
{
	fault_sweep(scenarios[_i], 0);
}
END_TEST

/*
 * A map that grows region by region asks for the same size again and again:
 * else each is a little larger than what malloc() has just learned to keep.
 */
START_TEST(test_sizes)
{
	const size_t first = 10000, last = 20000;
	struct vmmem_collection *map = NULL, *larger = NULL;
	size_t size = 0, sizes = 0, i;

	REQUIRE(vmmem_collection_new_empty(&map) == 0);
	for (i = 0; i < last; i++) {
		struct vmmem_region *region = NULL;

		REQUIRE(vmmem_region_new_external(gpa_of(i), LEN, memory[0],
						  &region) == 0);
		REQUIRE(vmmem_collection_insert(map, region, &larger) == 0);
		if (i >= first && inject_malloc_size != size) {
			size = inject_malloc_size;
			sizes++;
		}
		vmmem_region_unref(region);
		vmmem_collection_unref(map);
		map = larger;
	}
	/* Eight for each doubling, and the one it began in. */
	ck_assert_uint_le(sizes, 9);
	vmmem_collection_unref(map);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, collections");
	TCase *tcase = tcase_create("collections");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, test_scenario, 0, SCENARIOS);
	tcase_add_test(tcase, test_sizes);
	suite_add_tcase(suite, tcase);
	return suite;
}
