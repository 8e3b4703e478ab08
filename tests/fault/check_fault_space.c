/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Each call on the way to a space, a reader, a listener and another map fails
 * once; what is there already stays as it is.
 */
#include "fault.h"
#include "suite.h"

#include <stdalign.h>
#include <string.h>

#define LEN UINT64_C(0x100)

static alignas(16) unsigned char memory[2][LEN];
static struct vmmem_space *const no_space = (void *)&memory[0];
static struct vmmem_reader *const no_reader = (void *)&memory[0];
static struct vmmem_listener *const no_listener = (void *)&memory[0];

/*
 * tell() is the end of a scenario: a barrier that failed is no failure where the
 * library does without it or looks again later, and the sweep is told of it as
 * of any other.
 */
static int
tell(int rc)
{
	const char *fired = inject_fired();

	return rc == 0 && fired != NULL && strcmp(fired, "syscall") == 0 ?
		       inject_code() :
		       rc;
}

/* A map of the 'index'-th memory, or nothing. */
static int
make_map(unsigned int index, struct vmmem_collection **ret_map)
{
	struct vmmem_region *region = no_region;
	int rc;

	rc = vmmem_region_new_external(index * LEN, LEN, memory[index],
				       &region);
	if (rc != 0)
		return failed_region(rc, region);
	*ret_map = no_collection;
	rc = vmmem_collection_new(&region, 1, ret_map);
	vmmem_region_unref(region);
	return rc != 0 ? failed_collection(rc, *ret_map) : 0;
}

static int
make_space(struct vmmem_space **ret_space)
{
	struct vmmem_collection *map;
	int rc = make_map(0, &map);

	if (rc != 0)
		return rc;
	*ret_space = no_space;
	rc = vmmem_space_new(map, NULL, ret_space);
	vmmem_collection_unref(map);
	REQUIRE(rc == 0 || *ret_space == no_space);
	return rc;
}

/* Whether the current map has the region at 'gpa', and 'count' in all. */
static void
require_map(struct vmmem_space *space, uint64_t gpa, size_t count)
{
	struct vmmem_collection *map = vmmem_space_get(space);

	REQUIRE(vmmem_collection_count(map) == count);
	REQUIRE(vmmem_collection_write_u8(map, gpa, 1) == 0);
	vmmem_collection_unref(map);
}

static int
spaces(void)
{
	struct vmmem_reader *reader = no_reader;
	struct vmmem_space *space;
	int rc = make_space(&space);

	if (rc != 0)
		return rc;
	rc = vmmem_reader_new(space, NULL, &reader);
	if (rc == 0) {
		REQUIRE(vmmem_collection_count(vmmem_reader_enter(reader)) == 1);
		vmmem_reader_leave(reader);
		vmmem_reader_free(reader);
	} else {
		REQUIRE(reader == no_reader);
	}
	require_map(space, 0, 1);
	vmmem_space_unref(space);
	return tell(rc);
}

struct count {
	int regions;
	int events;
	int published;
};

static int
count_added(void *opaque, struct vmmem_region *region)
{
	struct count *count = opaque;

	(void)region;
	count->regions++;
	count->events++;
	return 0;
}

static int
count_removed(void *opaque, struct vmmem_region *region)
{
	struct count *count = opaque;

	(void)region;
	count->regions--;
	count->events++;
	return 0;
}

static void
count_published(void *opaque, struct vmmem_collection *old_map,
		struct vmmem_collection *new_map)
{
	struct count *count = opaque;

	(void)old_map;
	(void)new_map;
	count->published++;
}

static const struct vmmem_listener_ops count_ops = {
	.size = sizeof(count_ops),
	.added = count_added,
	.removed = count_removed,
	.published = count_published,
};

/* One that fails is not heard of. */
static int
change(struct vmmem_space *space, struct count *count)
{
	struct vmmem_region *region = no_region, *removed = no_region;
	uint64_t generation = vmmem_space_generation(space);
	struct vmmem_collection *map;
	int rc;

	rc = vmmem_region_new_external(LEN, LEN, memory[1], &region);
	if (rc != 0)
		return failed_region(rc, region);
	rc = vmmem_space_insert(space, region);
	vmmem_region_unref(region);
	if (rc != 0) {
		REQUIRE(count->regions == 1 && count->events == 1);
		REQUIRE(vmmem_space_generation(space) == generation);
		require_map(space, 0, 1);
		return rc;
	}
	REQUIRE(count->regions == 2);
	require_map(space, LEN, 2);

	rc = vmmem_space_remove(space, 0, LEN, &removed);
	if (rc != 0) {
		REQUIRE(removed == no_region && count->regions == 2);
		require_map(space, 0, 2);
		return rc;
	}
	vmmem_region_unref(removed);
	rc = make_map(0, &map);
	if (rc != 0)
		return rc;
	rc = vmmem_space_replace(space, map);
	vmmem_collection_unref(map);
	require_map(space, rc == 0 ? 0 : LEN, 1);
	REQUIRE(count->regions == 1);
	REQUIRE(count->published == (rc == 0 ? 4 : 3));
	return rc;
}

static int
changes(void)
{
	struct vmmem_listener *listener = no_listener;
	struct count count = { 0 };
	struct vmmem_space *space;
	int rc = make_space(&space);

	if (rc != 0)
		return rc;
	rc = vmmem_listener_new(space, &count_ops, &count, NULL, &listener);
	if (rc == 0) {
		rc = change(space, &count);
		/* Undone without an allocation. */
		vmmem_listener_free(listener);
	} else {
		REQUIRE(listener == no_listener);
	}
	REQUIRE(count.regions == 0);
	vmmem_space_unref(space);
	return tell(rc);
}

#define STEPS 6

/* A step that fails is not made; what was asked for is as it was. */
static int
steps_of(struct vmmem_update *update)
{
	struct vmmem_region *region;
	size_t i;
	int rc;

	for (i = 0; i < STEPS; i++) {
		region = no_region;
		rc = vmmem_region_new_external((2 + i) * LEN, LEN, memory[1],
					       &region);
		if (rc != 0)
			return failed_region(rc, region);
		rc = vmmem_update_insert(update, region);
		vmmem_region_unref(region);
		if (rc != 0)
			return rc;
	}
	region = no_region;
	rc = vmmem_update_remove(update, 0, LEN, &region);
	if (rc != 0)
		return failed_region(rc, region);
	vmmem_region_unref(region);
	return 0;
}

static int
several(void)
{
	struct vmmem_collection *map;
	struct vmmem_update *update;
	struct vmmem_space *space;
	int rc = make_space(&space);

	if (rc != 0)
		return rc;
	rc = vmmem_update_new(space, VMMEM_FOREVER, &update);
	if (rc != 0) {
		vmmem_space_unref(space);
		return tell(rc);
	}
	rc = steps_of(update);
	map = rc == 0 ? vmmem_update_collection(update) : NULL;
	REQUIRE(map == NULL || vmmem_collection_count(map) == STEPS);
	if (rc == 0)
		rc = vmmem_update_commit(update);
	vmmem_update_free(update);
	/* If the map could not be made, the commit makes it. */
	require_map(space, rc == 0 ? 2 * LEN : 0, rc == 0 ? STEPS : 1);
	vmmem_space_unref(space);
	if (rc == 0 && map == NULL)
		rc = inject_code();
	return tell(rc);
}

/* No step copies the map: no allocation is as large as that. */
START_TEST(step_sizes)
{
	const size_t count = 1000;
	struct vmmem_collection *map;
	struct vmmem_update *update;
	struct vmmem_space *space;
	size_t i, largest = 0;

	REQUIRE(make_space(&space) == 0);
	REQUIRE(vmmem_update_new(space, VMMEM_FOREVER, &update) == 0);
	for (i = 1; i < count; i++) {
		struct vmmem_region *region;

		REQUIRE(vmmem_region_new_external(i * LEN, LEN, memory[1],
						  &region) == 0);
		inject_malloc_size = 0;
		REQUIRE(vmmem_update_insert(update, region) == 0);
		if (inject_malloc_size > largest)
			largest = inject_malloc_size;
		vmmem_region_unref(region);
	}
	REQUIRE(largest < count);
	REQUIRE(vmmem_update_commit(update) == 0);
	vmmem_update_free(update);
	map = vmmem_space_get(space);
	REQUIRE(vmmem_collection_count(map) == count);
	vmmem_collection_unref(map);
	vmmem_space_unref(space);
}
END_TEST

/*
 * Without a barrier nobody knows what may go: nothing is lost by that, and a
 * later look drops it.
 */
static int
barriers(void)
{
	struct vmmem_collection *map;
	struct vmmem_space *space;
	int rc = make_space(&space);

	if (rc != 0)
		return rc;
	rc = make_map(1, &map);
	if (rc == 0) {
		rc = vmmem_space_replace(space, map);
		vmmem_collection_unref(map);
	}
	if (rc == 0) {
		require_map(space, LEN, 1);
		rc = vmmem_space_synchronize(space, VMMEM_FOREVER);
		REQUIRE(vmmem_space_retired(space) <= (rc != 0));
	}
	vmmem_space_unref(space);
	return tell(rc);
}

/*
 * Where membarrier(2) is missing when a space is made, readers make barriers of
 * their own; where it fails later, the commit is still a commit.
 */
static void
run_with_failing(unsigned int n)
{
	struct vmmem_collection *map, *second;
	struct vmmem_reader *reader;
	struct vmmem_space *space;
	const char *fired;

	ck_assert_int_eq(make_map(0, &map), 0);
	ck_assert_int_eq(make_map(1, &second), 0);
	inject_start(n, EPERM, false);
	if (vmmem_space_new(map, NULL, &space) != 0) {
		inject_stop();
		vmmem_collection_unref(map);
		vmmem_collection_unref(second);
		return;
	}
	inject_stop();
	fired = inject_fired();
	ck_assert(fired == NULL || strcmp(fired, "syscall") == 0);
	vmmem_collection_unref(map);
	ck_assert_int_eq(vmmem_reader_new(space, NULL, &reader), 0);
	ck_assert_ptr_nonnull(vmmem_reader_enter(reader));

	/* The first call of a commit allocates; the barrier comes after. */
	inject_start(2, EPERM, false);
	ck_assert_int_eq(vmmem_space_replace(space, second), 0);
	inject_stop();
	if (fired == NULL)
		ck_assert_str_eq(inject_fired(), "syscall");
	ck_assert_uint_eq(vmmem_space_retired(space), 1);
	ck_assert_int_eq(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
	vmmem_reader_leave(reader);
	ck_assert_int_eq(vmmem_space_synchronize(space, 0), 0);
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
	vmmem_reader_free(reader);
	vmmem_space_unref(space);
	vmmem_collection_unref(second);
}

START_TEST(missing_barriers)
{
	unsigned int n;

	for (n = 0; n < 6; n++)
		run_with_failing(n);
}
END_TEST

/* A ROM in the middle: two aliases, or the map as it was. */
static int
covered(void)
{
	struct vmmem_collection *map;
	struct vmmem_region *region = no_region;
	struct vmmem_update *update;
	struct vmmem_space *space;
	int rc = make_space(&space);

	if (rc != 0)
		return rc;
	rc = vmmem_update_new(space, VMMEM_FOREVER, &update);
	if (rc != 0) {
		vmmem_space_unref(space);
		return tell(rc);
	}
	rc = vmmem_region_new_external(LEN / 4, LEN / 4, memory[1], &region);
	if (rc == 0) {
		rc = vmmem_update_overlay(update, region);
		vmmem_region_unref(region);
		map = vmmem_update_collection(update);
		/* Afterwards, too, there may be no memory for it. */
		if (map != NULL)
			REQUIRE(vmmem_collection_count(map) ==
				(rc == 0 ? 3 : 1));
		else
			rc = inject_code();
	}
	vmmem_update_free(update);
	require_map(space, 0, 1);
	vmmem_space_unref(space);
	return tell(rc);
}

static int
differences(void)
{
	struct vmmem_diff *none = (void *)&none, *diff = none;
	int rc = vmmem_diff_new(NULL, NULL, &diff);

	if (rc != 0)
		REQUIRE(diff == none);
	else
		vmmem_diff_free(diff);
	return tell(rc);
}

static int
empty_space(void)
{
	struct vmmem_space *none = (void *)&none, *space = none;
	int rc = vmmem_space_new(NULL, NULL, &space);

	if (rc != 0)
		REQUIRE(space == none);
	else
		vmmem_space_unref(space);
	return tell(rc);
}

static const struct {
	scenario_fn scenario;
	int baseline;
} scenarios[] = {
	{ spaces, 0 },
	{ changes, 0 },
	{ several, 0 },
	{ barriers, 0 },
	{ empty_space, 0 },
	{ differences, 0 },
	{ covered, 0 },
};

START_TEST(sweep)
{
	fault_sweep(scenarios[_i].scenario, scenarios[_i].baseline);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault_space");
	TCase *tcase = tcase_create("fault_space");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, missing_barriers);
	tcase_add_test(tcase, step_sizes);
	tcase_add_loop_test(tcase, sweep, 0,
			    sizeof(scenarios) / sizeof(scenarios[0]));
	suite_add_tcase(suite, tcase);
	return suite;
}
