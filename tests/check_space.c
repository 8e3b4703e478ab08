/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Spaces on one thread: the current map, what is retired, and when it goes. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <vmmem/vmmem.h>

#include "owned.h"
#include "suite.h"

#define COUNT 4

#define MS UINT64_C(1000000)

static struct owned owned[COUNT];
static struct vmmem_space *space;

static uint64_t
gpa_of(unsigned int i)
{
	return i * UINT64_C(0x10000);
}

static struct vmmem_collection *
map_of(unsigned int i)
{
	return guest_of_one(owned_region(&owned[i], gpa_of(i)));
}

static void
setup(void)
{
	struct vmmem_collection *map = map_of(0);

	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
}

static void
teardown(void)
{
	ck_assert_ptr_null(vmmem_space_unref(space));
}

static void
replace(unsigned int i)
{
	struct vmmem_collection *map = map_of(i);

	assert_ok(vmmem_space_replace(space, map));
	vmmem_collection_unref(map);
}

START_TEST(arguments)
{
	struct vmmem_space *none = (void *)&none, *made = none;
	struct vmmem_region *region = NO_REGION;
	struct vmmem_collection *map = vmmem_space_get(space);

	struct vmmem_space_options options = { .size = 8, .name = "x" };

	assert_code(vmmem_space_new(map, NULL, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_space_new(map, &options, &made), VMMEM_ESTRUCTSIZE);
	options.size = sizeof(options);
	options.name = "1234567890123456789012345678901234567890"
		       "123456789012345678901234";
	assert_code(vmmem_space_new(map, &options, &made), VMMEM_ELONGNAME);
	ck_assert_ptr_null(vmmem_space_name(NULL));
	ck_assert_str_eq(vmmem_space_name(space), "");
	ck_assert_ptr_eq(made, none);
	ck_assert_ptr_null(vmmem_space_ref(NULL));
	ck_assert_ptr_null(vmmem_space_unref(NULL));
	ck_assert_ptr_null(vmmem_space_get(NULL));
	ck_assert_uint_eq(vmmem_space_generation(NULL), 0);
	ck_assert_uint_eq(vmmem_space_retired(NULL), 0);
	assert_code(vmmem_space_insert(NULL, vmmem_collection_region(map, 0)),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_space_insert(space, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_space_remove(NULL, 0, 1, &region), VMMEM_EARGUMENT);
	assert_code(vmmem_space_replace(NULL, map), VMMEM_EARGUMENT);
	assert_code(vmmem_space_replace(space, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_space_synchronize(NULL, 0), VMMEM_EARGUMENT);
	assert_code(vmmem_space_before_fork(NULL), VMMEM_EARGUMENT);
	vmmem_space_after_fork_parent(NULL);
	vmmem_space_after_fork_child(NULL);
	ck_assert_ptr_eq(region, NO_REGION);
	vmmem_collection_unref(map);
}
END_TEST

START_TEST(get)
{
	struct vmmem_collection *map = vmmem_space_get(space), *again;

	again = vmmem_space_get(space);
	ck_assert_ptr_eq(map, again);
	vmmem_collection_unref(again);
	replace(1);
	/* What one holds stays, without an end. */
	ck_assert_int_eq(vmmem_collection_contains(map, gpa_of(0)), 1);
	again = vmmem_space_get(space);
	ck_assert_ptr_ne(map, again);
	vmmem_collection_unref(again);
	vmmem_collection_unref(map);
}
END_TEST

START_TEST(generations_grow)
{
	uint64_t before = vmmem_space_generation(space), now;
	unsigned int i;

	for (i = 1; i < COUNT; i++) {
		replace(i);
		now = vmmem_space_generation(space);
		ck_assert_uint_gt(now, before);
		before = now;
	}
	/* What changes nothing is no new map. */
	assert_code(vmmem_space_remove(space, 1, 1, NULL), VMMEM_ENOREGION);
	ck_assert_uint_eq(vmmem_space_generation(space), before);
}
END_TEST

/* Nor does any other space ever have one, whatever its address is. */
START_TEST(generations_are_of_one_space)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	struct vmmem_region *region = region_of(TOP - 0xfff, 0x1000);
	struct vmmem_space *other;
	uint64_t last = vmmem_space_generation(space), now;
	unsigned int i;

	for (i = 1; i < COUNT; i++) {
		assert_ok(vmmem_space_new(map, NULL, &other));
		now = vmmem_space_generation(other);
		ck_assert_uint_gt(now, last);
		assert_ok(vmmem_space_insert(other, region));
		ck_assert_uint_gt(vmmem_space_generation(other), now);
		last = vmmem_space_generation(other);
		replace(i);
		ck_assert_uint_gt(vmmem_space_generation(space), last);
		last = vmmem_space_generation(space);
		vmmem_space_unref(other);
	}
	vmmem_region_unref(region);
	vmmem_collection_unref(map);
}
END_TEST

START_TEST(insert_and_remove)
{
	struct vmmem_region *region = owned_region(&owned[1], gpa_of(1));
	struct vmmem_region *overlap = region_of(gpa_of(1) + 0x800, 0x1000);
	struct vmmem_region *removed = NO_REGION;
	struct vmmem_collection *map;

	assert_ok(vmmem_space_insert(space, region));
	assert_code(vmmem_space_insert(space, overlap), VMMEM_EOVERLAP);
	map = vmmem_space_get(space);
	ck_assert_uint_eq(vmmem_collection_count(map), 2);
	ck_assert_ptr_eq(vmmem_collection_find(map, gpa_of(1)), region);
	vmmem_collection_unref(map);

	assert_code(vmmem_space_remove(space, gpa_of(1), OWNED_LEN - 1,
				       &removed),
		    VMMEM_ENOREGION);
	assert_code(vmmem_space_remove(space, gpa_of(1), 0, &removed),
		    VMMEM_ENOREGION);
	ck_assert_ptr_eq(removed, NO_REGION);
	assert_ok(vmmem_space_remove(space, gpa_of(1), OWNED_LEN, &removed));
	ck_assert_ptr_eq(removed, region);
	map = vmmem_space_get(space);
	ck_assert_uint_eq(vmmem_collection_count(map), 1);
	vmmem_collection_unref(map);

	/* Down to nothing, and up again. */
	assert_ok(vmmem_space_remove(space, gpa_of(0), OWNED_LEN, NULL));
	map = vmmem_space_get(space);
	ck_assert_uint_eq(vmmem_collection_count(map), 0);
	vmmem_collection_unref(map);
	assert_ok(vmmem_space_insert(space, region));
	ck_assert_int_eq(owned_is_released(&owned[0]), 1);
	ck_assert_int_eq(owned_is_released(&owned[1]), 0);

	vmmem_region_unref(removed);
	vmmem_region_unref(region);
	vmmem_region_unref(overlap);
}
END_TEST

/* Writers drop what nobody sees without being asked to. */
START_TEST(writers_drop)
{
	replace(1);
	ck_assert_int_eq(owned_is_released(&owned[0]), 1);
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
	replace(2);
	ck_assert_int_eq(owned_is_released(&owned[1]), 1);
	ck_assert_int_eq(owned_is_released(&owned[2]), 0);
}
END_TEST

struct borrowed {
	struct vmmem_space *space;
	uint64_t section;
};

static void *
leave_elsewhere(void *opaque)
{
	struct borrowed *borrowed = opaque;

	vmmem_space_leave(borrowed->space, borrowed->section);
	return NULL;
}

/* A section without a reader, which another thread may end. */
START_TEST(sections_without_a_reader)
{
	struct borrowed borrowed = { .space = space };
	struct vmmem_collection *map = NULL, *newer = NULL;
	uint64_t again;
	pthread_t thread;

	borrowed.section = vmmem_space_enter(space, &map);
	replace(1);
	again = vmmem_space_enter(space, &newer);
	ck_assert_ptr_ne(map, newer);
	assert_code(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
	ck_assert_int_eq(owned_is_released(&owned[0]), 0);
	ck_assert_int_eq(vmmem_collection_contains(map, gpa_of(0)), 1);
	ck_assert_int_eq(vmmem_collection_contains(newer, gpa_of(1)), 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, leave_elsewhere,
					&borrowed),
			 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	/* The other one sees the current map, and keeps nothing older. */
	(void)!vmmem_space_synchronize(space, 0);
	assert_ok(vmmem_space_synchronize(space, 0));
	ck_assert_int_eq(owned_is_released(&owned[0]), 1);
	vmmem_space_leave(space, again);
	ck_assert_uint_eq(vmmem_space_enter(NULL, &map), 0);
	ck_assert_ptr_null(map);
	vmmem_space_leave(NULL, 0);
}
END_TEST

static char described[1024];

static int
describe_within(void *opaque, struct vmmem_region *region)
{
	(void)region;
	*(int *)opaque = vmmem_space_describe(space, described,
					      sizeof(described), NULL);
	return 0;
}

/* What there is, in words, as far as there is room. */
START_TEST(text)
{
	const struct vmmem_space_options named = { .size = sizeof(named),
						   .name = "a guest" };
	const struct vmmem_reader_options vcpu = { .size = sizeof(vcpu),
						   .name = "vcpu0" };
	const struct vmmem_listener_options ear = { .size = sizeof(ear),
						    .name = "ear",
						    .priority = -3 };
	const struct vmmem_listener_ops ops = { .size = sizeof(ops),
						.added = describe_within };
	struct vmmem_region *region = region_of(0x10000, 0x2000), *alias;
	struct vmmem_collection *map = guest_of_one(region);
	struct vmmem_space *made = NULL, *before = space;
	struct vmmem_listener *listener = NULL;
	struct vmmem_reader *reader = NULL;
	char expected[1024], cut[16];
	int rc_within = -1;
	size_t len = 0, all;

	assert_ok(vmmem_space_new(map, &named, &made));
	space = made;
	assert_ok(vmmem_reader_new(made, &vcpu, &reader));
	assert_ok(vmmem_listener_new(made, &ops, &rc_within, &ear, &listener));
	assert_ok(rc_within);
	assert_ok(vmmem_region_new_alias(0x80000, 0x1000,
					 vmmem_collection_region(map, 0),
					 0x1000, &alias));
	assert_ok(vmmem_space_insert(made, alias));
	vmmem_region_unref(alias);
	(void)vmmem_reader_enter(reader);
	snprintf(expected, sizeof(expected),
		 "space a?guest generation %llu retired %zu\n"
		 "reader vcpu0 in %llu\n"
		 "listener ear priority -3\n"
		 "0000000000010000-0000000000011fff anonymous rw- 0x2000 -\n"
		 "0000000000080000-0000000000080fff alias rw- 0x1000 - "
		 "of -+0x1000\n",
		 (unsigned long long)vmmem_space_generation(made),
		 vmmem_space_retired(made),
		 (unsigned long long)vmmem_space_generation(made));
	assert_ok(vmmem_space_describe(made, described, sizeof(described),
				       &len));
	ck_assert_str_eq(described, expected);
	ck_assert_uint_eq(len, strlen(expected));
	vmmem_reader_leave(reader);
	assert_code(vmmem_space_describe(made, cut, sizeof(cut), &all),
		    VMMEM_ENOROOM);
	ck_assert_str_eq(cut, "space a?guest g");
	assert_code(vmmem_space_describe(made, NULL, 0, &all), VMMEM_ENOROOM);
	assert_code(vmmem_space_describe(made, NULL, 1, &all),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_space_describe(NULL, cut, 1, &all), VMMEM_EARGUMENT);
	assert_ok(vmmem_space_describe(made, described, all + 1, NULL));
	ck_assert_ptr_nonnull(strstr(described, "reader vcpu0 outside\n"));
	vmmem_listener_free(listener);
	vmmem_reader_free(reader);
	vmmem_space_unref(made);
	vmmem_collection_unref(map);
	space = before;
}
END_TEST

/* A space without a map begins with an empty one. */
START_TEST(begins_empty)
{
	const struct vmmem_space_options options = { .size = sizeof(options),
						     .name = "guest" };
	struct vmmem_space *made = NULL;
	struct vmmem_collection *map;

	assert_ok(vmmem_space_new(NULL, &options, &made));
	ck_assert_str_eq(vmmem_space_name(made), "guest");
	map = vmmem_space_get(made);
	ck_assert_uint_eq(vmmem_collection_count(map), 0);
	vmmem_collection_unref(map);
	map = map_of(1);
	assert_ok(vmmem_space_replace(made, map));
	vmmem_collection_unref(map);
	assert_ok(vmmem_space_synchronize(made, VMMEM_FOREVER));
	ck_assert_uint_eq(vmmem_space_retired(made), 0);
	vmmem_space_unref(made);
	ck_assert_int_eq(owned_is_released(&owned[1]), 1);
}
END_TEST

/* It looks again and again, and no longer than it may. */
START_TEST(timeouts)
{
	struct timespec before, after;
	struct vmmem_reader *reader;
	int64_t passed;

	assert_ok(vmmem_reader_new(space, NULL, &reader));
	ck_assert_ptr_nonnull(vmmem_reader_enter(reader));
	replace(1);
	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &before), 0);
	assert_code(vmmem_space_synchronize(space, (uint64_t)_i * MS),
		    VMMEM_ETIMEOUT);
	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &after), 0);
	passed = (after.tv_sec - before.tv_sec) * INT64_C(1000000000) +
		 after.tv_nsec - before.tv_nsec;
	ck_assert_int_ge(passed, _i * INT64_C(1000000));
	ck_assert_int_eq(owned_is_released(&owned[0]), 0);
	vmmem_reader_leave(reader);
	assert_ok(vmmem_space_synchronize(space, (uint64_t)_i * MS));
	ck_assert_int_eq(owned_is_released(&owned[0]), 1);
	vmmem_reader_free(reader);
}
END_TEST

/* A map that is held does not keep those before and after it. */
START_TEST(held_in_the_middle)
{
	struct vmmem_collection *held;

	replace(1);
	held = vmmem_space_get(space);
	replace(2);
	replace(3);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_int_eq(owned_is_released(&owned[0]), 1);
	ck_assert_int_eq(owned_is_released(&owned[1]), 0);
	ck_assert_int_eq(owned_is_released(&owned[2]), 1);
	ck_assert_uint_eq(vmmem_space_retired(space), 1);
	vmmem_collection_unref(held);
	ck_assert_int_eq(owned_is_released(&owned[1]), 0);
	replace(0);
	ck_assert_int_eq(owned_is_released(&owned[1]), 1);
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
}
END_TEST

/* A map may come back while it is retired, and be retired again. */
START_TEST(a_map_that_comes_back)
{
	struct vmmem_collection *held = vmmem_space_get(space);

	replace(1);
	ck_assert_uint_eq(vmmem_space_retired(space), 1);
	assert_ok(vmmem_space_replace(space, held));
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
	vmmem_collection_unref(held);
	ck_assert_int_eq(owned_is_released(&owned[0]), 0);
	ck_assert_int_eq(owned_is_released(&owned[1]), 1);
	replace(2);
	ck_assert_int_eq(owned_is_released(&owned[0]), 1);
}
END_TEST

/* One map in two spaces goes when both have let go. */
START_TEST(one_map_in_two_spaces)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	struct vmmem_space *other;

	assert_ok(vmmem_space_new(map, NULL, &other));
	vmmem_collection_unref(map);
	replace(1);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
	ck_assert_int_eq(owned_is_released(&owned[0]), 0);
	map = map_of(2);
	assert_ok(vmmem_space_replace(other, map));
	vmmem_collection_unref(map);
	ck_assert_int_eq(owned_is_released(&owned[0]), 1);
	ck_assert_uint_eq(vmmem_space_retired(other), 0);
	vmmem_space_unref(other);
	ck_assert_int_eq(owned_is_released(&owned[2]), 1);
}
END_TEST

/* The end of a space is the end of what it alone held, retired or not. */
START_TEST(the_end)
{
	struct vmmem_collection *held = vmmem_space_get(space);

	replace(1);
	ck_assert_ptr_eq(vmmem_space_ref(space), space);
	vmmem_space_unref(space);
	ck_assert_int_eq(owned_is_released(&owned[1]), 0);
	vmmem_space_unref(space);
	ck_assert_int_eq(owned_is_released(&owned[1]), 1);
	ck_assert_int_eq(owned_is_released(&owned[0]), 0);
	/* Without the space, the last one to let go unmaps. */
	vmmem_collection_unref(held);
	ck_assert_int_eq(owned_is_released(&owned[0]), 1);
	setup();
}
END_TEST

/* An owner that is told of the end may use the space. */
static void
use_space(void *opaque)
{
	struct vmmem_collection *map;

	(void)opaque;
	map = vmmem_space_get(space);
	ck_assert_uint_eq(vmmem_collection_count(map), 1);
	vmmem_collection_unref(map);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	replace(3);
}

START_TEST(release_calls_back)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;
	struct vmmem_collection *map;

	vmmem_region_builder_set_range(builder, 0, OWNED_LEN);
	vmmem_region_builder_set_external(builder, owned[1].bytes, use_space,
					  NULL);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	map = guest_of_one(region);
	assert_ok(vmmem_space_replace(space, map));
	vmmem_collection_unref(map);
	replace(2);
	map = vmmem_space_get(space);
	ck_assert_int_eq(vmmem_collection_contains(map, gpa_of(3)), 1);
	vmmem_collection_unref(map);
}
END_TEST

/* Many maps, each as it was when it was taken. */
START_TEST(many_maps)
{
	struct vmmem_collection *maps[200];
	struct vmmem_region *region;
	size_t i;

	for (i = 0; i < 200; i++) {
		maps[i] = vmmem_space_get(space);
		region = region_of((i + 1) * 0x10000, 0x1000);
		assert_ok(vmmem_space_insert(space, region));
		vmmem_region_unref(region);
	}
	ck_assert_uint_eq(vmmem_space_retired(space), 200);
	for (i = 0; i < 200; i++)
		ck_assert_uint_eq(vmmem_collection_count(maps[i]), i + 1);
	/* Let go of in an order of no meaning. */
	for (i = 0; i < 200; i++)
		vmmem_collection_unref(maps[i * 77 % 200]);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
}
END_TEST

/* What many held and let go of is dropped by writers, a few at a time. */
START_TEST(writers_drop_many)
{
	struct vmmem_collection *maps[200];
	struct vmmem_region *region;
	size_t i, before, updates = 0;

	for (i = 0; i < 200; i++) {
		maps[i] = vmmem_space_get(space);
		region = region_of((i + 1) * 0x10000, 0x1000);
		assert_ok(vmmem_space_insert(space, region));
		vmmem_region_unref(region);
	}
	/* One in the middle stays held. */
	for (i = 0; i < 200; i++) {
		if (i != 100)
			vmmem_collection_unref(maps[i]);
	}
	do {
		before = vmmem_space_retired(space);
		assert_ok(vmmem_space_remove(space, ++updates * 0x10000,
					     0x1000, NULL));
		ck_assert_uint_lt(vmmem_space_retired(space), before);
	} while (vmmem_space_retired(space) > 1);
	ck_assert_uint_eq(vmmem_collection_count(maps[100]), 101);
	vmmem_collection_unref(maps[100]);
	assert_ok(vmmem_space_remove(space, ++updates * 0x10000, 0x1000,
				     NULL));
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
}
END_TEST

/* Maps that come back from among many that are seen, and many that are held. */
START_TEST(back_from_many)
{
	struct vmmem_collection *maps[100];
	struct vmmem_reader *reader;
	struct vmmem_region *region;
	size_t i;

	assert_ok(vmmem_reader_new(space, NULL, &reader));
	for (i = 0; i < 100; i++) {
		if (i == 50)
			ck_assert_ptr_nonnull(vmmem_reader_enter(reader));
		maps[i] = vmmem_space_get(space);
		region = region_of((i + 1) * 0x10000, 0x1000);
		assert_ok(vmmem_space_insert(space, region));
		vmmem_region_unref(region);
	}
	ck_assert_uint_eq(vmmem_space_retired(space), 100);
	/* Each leaves the list as it comes; what it replaces is listed. */
	for (i = 0; i < 100; i++) {
		assert_ok(vmmem_space_replace(space, maps[i * 37 % 100]));
		ck_assert_uint_eq(vmmem_space_retired(space), 100);
	}
	for (i = 0; i < 100; i++)
		vmmem_collection_unref(maps[i]);
	vmmem_reader_leave(reader);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
	vmmem_reader_free(reader);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("space");
	TCase *tcase = tcase_create("space");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, get);
	tcase_add_test(tcase, generations_grow);
	tcase_add_test(tcase, generations_are_of_one_space);
	tcase_add_test(tcase, insert_and_remove);
	tcase_add_test(tcase, writers_drop);
	tcase_add_test(tcase, sections_without_a_reader);
	tcase_add_test(tcase, text);
	tcase_add_test(tcase, begins_empty);
	tcase_add_loop_test(tcase, timeouts, 0, 4);
	tcase_add_test(tcase, held_in_the_middle);
	tcase_add_test(tcase, a_map_that_comes_back);
	tcase_add_test(tcase, one_map_in_two_spaces);
	tcase_add_test(tcase, the_end);
	tcase_add_test(tcase, release_calls_back);
	tcase_add_test(tcase, many_maps);
	tcase_add_test(tcase, writers_drop_many);
	tcase_add_test(tcase, back_from_many);
	suite_add_tcase(suite, tcase);
	return suite;
}
