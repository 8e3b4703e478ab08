/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What may not become dearer with each one more.  The processor time of few is
 * compared with that of sixteen times as many, each by itself: if the cost of
 * one grew with their number it would be sixteen times as much.
 */
#include <stdlib.h>
#include <time.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

#define FEW ((size_t)1000)
#define MANY (16 * FEW)
#define TIMES 6

static unsigned char memory[0x1000] __attribute__((__aligned__(16)));

/* A space, and a region that comes and goes. */
static struct vmmem_space *space;
static struct vmmem_region *region;

static void
setup(void)
{
	struct vmmem_collection *map = NULL;

	assert_ok(vmmem_collection_new_empty(&map));
	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
	assert_ok(vmmem_region_new_external(0, sizeof(memory), memory,
					    &region));
}

static void
teardown(void)
{
	vmmem_region_unref(region);
	vmmem_space_unref(space);
}

static double
seconds(void)
{
	struct timespec time;

	ck_assert_int_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time), 0);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The time of each of 'count' things that are done one after the other. */
typedef void (*many_fn)(size_t count);

static double
each(many_fn many, size_t count)
{
	double start = seconds();

	many(count);
	return (seconds() - start) / (double)count;
}

static void
assert_not_dearer(many_fn many)
{
	double few, dear;

	many(FEW); /* what is only done once */
	few = each(many, FEW);
	dear = each(many, MANY);
	ck_assert_msg(dear < TIMES * few, "%.0f ns, of many %.0f ns",
		      few * 1e9, dear * 1e9);
}

static void
change(size_t i)
{
	if (i % 2 == 0)
		assert_ok(vmmem_space_insert(space, region));
	else
		assert_ok(vmmem_space_remove(space, 0, sizeof(memory), NULL));
}

/* Updates while a reader stays in its section. */
static void
seen(size_t count)
{
	struct vmmem_reader *reader;
	size_t i;

	assert_ok(vmmem_reader_new(space, NULL, &reader));
	ck_assert_ptr_nonnull(vmmem_reader_enter(reader));
	for (i = 0; i < count; i++)
		change(i);
	ck_assert_uint_eq(vmmem_space_retired(space), count);
	vmmem_reader_leave(reader);
	vmmem_reader_free(reader);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
}

START_TEST(updates_that_are_seen)
{
	assert_not_dearer(seen);
}
END_TEST

/* Updates while somebody holds each map. */
static void
held(size_t count)
{
	struct vmmem_collection **maps = calloc(count, sizeof(*maps));
	size_t i;

	ck_assert_ptr_nonnull(maps);
	for (i = 0; i < count; i++) {
		maps[i] = vmmem_space_get(space);
		change(i);
	}
	ck_assert_uint_eq(vmmem_space_retired(space), count);
	for (i = 0; i < count; i++)
		vmmem_collection_unref(maps[i]);
	free(maps);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
}

START_TEST(updates_that_are_held)
{
	assert_not_dearer(held);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("growth");
	TCase *tcase = tcase_create("growth");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, updates_that_are_seen);
	tcase_add_test(tcase, updates_that_are_held);
	suite_add_tcase(suite, tcase);
	return suite;
}
