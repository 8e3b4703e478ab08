/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The horizon, step by step, with threads that stand still in the middle of
 * something; with membarrier(2), without it, and when it fails.  The functions
 * of lib/base/barrier.c are defined here.
 */
#include <errno.h>

#include <vmmem/vmmem.h>

#include "base/barrier.h"
#include "space/epoch.h"
#include "rng.h"
#include "suite.h"

static bool available = true;
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

static struct vmmem_epoch epoch;

static void
open_epoch(bool with_barrier)
{
	available = with_barrier;
	result = 0;
	barriers = 0;
	ck_assert_int_eq(vmmem_epoch_init(&epoch), 0);
}

static uint64_t
horizon(uint64_t generation)
{
	uint64_t found = UINT64_MAX;

	pthread_mutex_lock(&epoch.lock);
	ck_assert_int_eq(vmmem_epoch_horizon(&epoch, generation, &found), 0);
	pthread_mutex_unlock(&epoch.lock);
	return found;
}

START_TEST(nobody)
{
	open_epoch(_i != 0);
	ck_assert_uint_eq(horizon(2), 2);
	ck_assert_uint_eq(horizon(7), 7);
	ck_assert_int_eq(barriers, _i != 0 ? 2 : 0);
	vmmem_epoch_fini(&epoch);
}
END_TEST

/* A section counts from the moment in which it is about to look. */
START_TEST(sections)
{
	struct vmmem_reader_view view = { .generation = 5 };
	struct vmmem_epoch_reader a = { .hot.view = &view };
	struct vmmem_epoch_reader b = { .hot.view = &view };

	open_epoch(_i != 0);
	vmmem_epoch_add(&epoch, &a);
	vmmem_epoch_add(&epoch, &b);
	ck_assert_uint_eq(a.hot.section,
			  _i != 0 ? 0 : VMMEM_SECTION_FENCED);
	ck_assert_uint_eq(a.hot.nested, _i != 0 ? 0 : 1);
	ck_assert_uint_eq(horizon(5), 5);
	a.hot.section = VMMEM_SECTION_ENTERING;
	/* It sees what it could not have seen before that, and anything newer. */
	ck_assert_uint_eq(horizon(9), 5);
	a.hot.section = 6;
	b.hot.section = 9;
	ck_assert_uint_eq(horizon(9), 6);
	ck_assert_uint_eq(horizon(12), 6);
	a.hot.section = 11;
	ck_assert_uint_eq(horizon(12), 9);
	/* A section that is younger than what is asked for. */
	ck_assert_uint_eq(horizon(4), 4);
	vmmem_epoch_remove(&epoch, &b);
	ck_assert_uint_eq(horizon(12), 11);
	vmmem_epoch_remove(&epoch, &a);
	ck_assert_uint_eq(horizon(12), 12);
	vmmem_epoch_fini(&epoch);
}
END_TEST

/* Whoever passes keeps what he may have loaded, however many come after. */
START_TEST(passing)
{
	unsigned int first, second, third;

	open_epoch(true);
	ck_assert_uint_eq(horizon(2), 2);
	first = vmmem_epoch_enter(&epoch);
	ck_assert_uint_lt(horizon(3), 3);
	/* The phase has changed: this one uses the other counter. */
	second = vmmem_epoch_enter(&epoch);
	ck_assert_uint_ne(first, second);
	ck_assert_uint_lt(horizon(4), 3);
	vmmem_epoch_leave(&epoch, first);
	/* The second came when 3 was the current one. */
	ck_assert_uint_eq(horizon(5), 3);
	third = vmmem_epoch_enter(&epoch);
	ck_assert_uint_ne(second, third);
	ck_assert_uint_le(horizon(6), 5);
	vmmem_epoch_leave(&epoch, second);
	ck_assert_uint_eq(horizon(7), 5);
	vmmem_epoch_leave(&epoch, third);
	ck_assert_uint_eq(horizon(8), 8);
	vmmem_epoch_fini(&epoch);
}
END_TEST

/* There is always one who passes, and yet the horizon moves on. */
START_TEST(passing_without_an_end)
{
	unsigned int phase, next;
	uint64_t generation, last = 0, found;

	open_epoch(true);
	phase = vmmem_epoch_enter(&epoch);
	for (generation = 2; generation < 100; generation++) {
		found = horizon(generation);
		ck_assert_uint_ge(found, last);
		ck_assert_uint_lt(found, generation);
		if (generation > 6)
			ck_assert_uint_ge(found, generation - 3);
		last = found;
		next = vmmem_epoch_enter(&epoch);
		vmmem_epoch_leave(&epoch, phase);
		phase = next;
	}
	vmmem_epoch_leave(&epoch, phase);
	vmmem_epoch_fini(&epoch);
}
END_TEST

/* Who read an old phase and was late counts all the same. */
START_TEST(late_in_the_old_phase)
{
	unsigned int old;

	open_epoch(true);
	horizon(2);
	old = vmmem_epoch_enter(&epoch);
	vmmem_epoch_leave(&epoch, old);
	epoch.phase = 1 - old % 2;
	__atomic_fetch_add(&epoch.passing[old % 2][old / 2].count, 1,
			   __ATOMIC_SEQ_CST);
	ck_assert_uint_lt(horizon(9), 9);
	vmmem_epoch_leave(&epoch, old);
	ck_assert_uint_eq(horizon(9), 9);
	vmmem_epoch_fini(&epoch);
}
END_TEST

#define PASSING 8

/* Threads that pass, in any order; 'since' is what was current as one came. */
static struct {
	unsigned int phase[PASSING];
	uint64_t since[PASSING];
	size_t count;
} inside;

static void
come(uint64_t generation)
{
	inside.phase[inside.count] = vmmem_epoch_enter(&epoch);
	inside.since[inside.count++] = generation;
}

static void
go(size_t which)
{
	vmmem_epoch_leave(&epoch, inside.phase[which]);
	inside.count--;
	inside.phase[which] = inside.phase[inside.count];
	inside.since[which] = inside.since[inside.count];
}

/* What somebody may still see is never past the horizon; nor does it stick. */
START_TEST(passing_in_any_order)
{
	struct rng rng = { rng_seed() };
	uint64_t rounds = rng_rounds(5000), generation = 2, start;
	const uint64_t seed = rng.state;
	size_t i, step;

	open_epoch(_i != 0);
	while (rounds-- != 0) {
		for (step = 0; step < 60; step++) {
			uint64_t what = rng_below(&rng, 4), found;

			if (what == 0 && inside.count < PASSING)
				come(generation);
			else if (what == 1 && inside.count != 0)
				go(rng_below(&rng, inside.count));
			else if (what == 2)
				generation++;
			if (what != 3)
				continue;
			found = horizon(generation);
			for (i = 0; i < inside.count; i++)
				ck_assert_msg(found <= inside.since[i],
					      "VMMEM_TEST_SEED=%llu",
					      (unsigned long long)seed);
			if (inside.count == 0)
				ck_assert_uint_eq(found, generation);
		}
		while (inside.count != 0)
			go(0);
		/* Somebody is always there, and none for long. */
		start = generation;
		come(generation);
		for (step = 0; step < 4; step++) {
			generation++;
			come(generation);
			go(0);
			horizon(generation);
		}
		ck_assert_msg(horizon(generation) > start,
			      "VMMEM_TEST_SEED=%llu",
			      (unsigned long long)seed);
		go(0);
	}
	vmmem_epoch_fini(&epoch);
}
END_TEST

static int
horizon_without(uint64_t generation, uint64_t *ret_found)
{
	int rc;

	pthread_mutex_lock(&epoch.lock);
	rc = vmmem_epoch_horizon(&epoch, generation, ret_found);
	pthread_mutex_unlock(&epoch.lock);
	return rc;
}

/*
 * The barrier is forbidden later: readers are asked to make it.  Of one that has
 * not been in a section since, it is not known whether it is about to see what
 * it could see when the barrier was made last.
 */
START_TEST(forbidden_later)
{
	struct vmmem_reader_view view = { .generation = 2 };
	struct vmmem_epoch_reader a = { .hot.view = &view };
	struct vmmem_epoch_reader b = { .hot.view = &view };
	struct vmmem_epoch_reader late = { .hot.view = &view };
	uint64_t found;

	open_epoch(true);
	vmmem_epoch_add(&epoch, &a);
	vmmem_epoch_add(&epoch, &b);
	ck_assert_uint_eq(horizon(3), 3);
	view.generation = 5;
	result = -EPERM;
	ck_assert_int_eq(horizon_without(5, &found), -EPERM);
	ck_assert_uint_eq(found, 3);
	/* One in a section shows what it sees; and asking is done once. */
	vmmem_reader_enter(&a.hot);
	ck_assert_uint_eq(a.hot.section, 5);
	ck_assert_int_eq(horizon_without(6, &found), -EPERM);
	ck_assert_uint_eq(found, 3);
	ck_assert_uint_eq(a.hot.nested, 1);
	/* Within it there are others, which end first. */
	vmmem_reader_enter(&a.hot);
	vmmem_reader_leave(&a.hot);
	ck_assert_uint_eq(a.hot.section, 5);
	vmmem_reader_leave(&a.hot);
	ck_assert_uint_eq(a.hot.section, VMMEM_SECTION_FENCED);
	ck_assert_uint_eq(vmmem_reader_generation(&a.hot), 0);
	ck_assert_int_eq(horizon_without(6, &found), -EPERM);
	ck_assert_uint_eq(found, 3);
	/* The other is in one: all is known, and no barrier is asked for. */
	vmmem_reader_enter(&b.hot);
	ck_assert_int_eq(horizon_without(6, &found), 0);
	ck_assert_uint_eq(found, 5);
	vmmem_reader_leave(&b.hot);
	ck_assert_int_eq(horizon_without(6, &found), 0);
	ck_assert_uint_eq(found, 6);
	barriers = 0;
	ck_assert_uint_eq(horizon(7), 7);
	/* Those that are made now make barriers from the beginning. */
	vmmem_epoch_add(&epoch, &late);
	ck_assert_uint_eq(late.hot.section, VMMEM_SECTION_FENCED);
	ck_assert_uint_eq(horizon(8), 8);
	view.generation = 8;
	vmmem_reader_enter(&late.hot);
	ck_assert_uint_eq(horizon(9), 8);
	vmmem_reader_leave(&late.hot);
	ck_assert_uint_eq(horizon(9), 9);
	ck_assert_int_eq(barriers, 0);
	vmmem_epoch_remove(&epoch, &a);
	vmmem_epoch_remove(&epoch, &b);
	vmmem_epoch_remove(&epoch, &late);
	vmmem_epoch_fini(&epoch);
}
END_TEST

/* It may be forbidden to some threads only: who may helps all. */
START_TEST(forbidden_to_some)
{
	struct vmmem_reader_view view = { .generation = 2 };
	struct vmmem_epoch_reader idle = { .hot.view = &view };
	uint64_t found;

	open_epoch(true);
	vmmem_epoch_add(&epoch, &idle);
	result = -EPERM;
	ck_assert_int_eq(horizon_without(5, &found), -EPERM);
	ck_assert_uint_eq(found, 2);
	result = 0;
	ck_assert_int_eq(horizon_without(6, &found), 0);
	ck_assert_uint_eq(found, 6);
	result = -EPERM;
	ck_assert_int_eq(horizon_without(7, &found), -EPERM);
	ck_assert_uint_eq(found, 6);
	vmmem_epoch_remove(&epoch, &idle);
	ck_assert_int_eq(horizon_without(7, &found), 0);
	ck_assert_uint_eq(found, 7);
	vmmem_epoch_fini(&epoch);
}
END_TEST

/* A whole space whose readers make barriers of their own. */
START_TEST(space_without_a_barrier)
{
	struct vmmem_collection *map, *other;
	struct vmmem_reader *reader;
	struct vmmem_space *space;

	available = false;
	barriers = 0;
	ck_assert_int_eq(vmmem_collection_new_empty(&map), 0);
	ck_assert_int_eq(vmmem_collection_new_empty(&other), 0);
	ck_assert_int_eq(vmmem_space_new(map, NULL, &space), 0);
	ck_assert_int_eq(vmmem_reader_new(space, NULL, &reader), 0);
	ck_assert_uint_eq(vmmem_reader_generation(reader), 0);
	vmmem_reader_leave(reader);

	ck_assert_ptr_eq(vmmem_reader_enter(reader), map);
	ck_assert_ptr_eq(vmmem_reader_enter(reader), map);
	ck_assert_uint_eq(vmmem_reader_generation(reader),
			  vmmem_space_generation(space));
	vmmem_reader_leave(reader);
	ck_assert_int_eq(vmmem_space_replace(space, other), 0);
	ck_assert_int_eq(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
	vmmem_reader_leave(reader);
	vmmem_reader_leave(reader);
	ck_assert_uint_eq(vmmem_reader_generation(reader), 0);
	ck_assert_int_eq(vmmem_space_synchronize(space, 0), 0);
	ck_assert_ptr_eq(vmmem_reader_enter(reader), other);
	ck_assert_int_eq(vmmem_space_before_fork(space), 0);
	/* As in a child: what was open is over. */
	vmmem_space_after_fork_child(space);
	ck_assert_uint_eq(vmmem_reader_generation(reader), 0);
	ck_assert_ptr_eq(vmmem_reader_enter(reader), other);
	vmmem_reader_leave(reader);
	ck_assert_int_eq(barriers, 0);
	vmmem_reader_free(reader);
	vmmem_space_unref(space);
	vmmem_collection_unref(map);
	vmmem_collection_unref(other);
}
END_TEST

static struct vmmem_space *
new_space(void)
{
	struct vmmem_collection *map;
	struct vmmem_space *space;

	ck_assert_int_eq(vmmem_collection_new_empty(&map), 0);
	ck_assert_int_eq(vmmem_space_new(map, NULL, &space), 0);
	vmmem_collection_unref(map);
	return space;
}

static void
replace_and_use(struct vmmem_space *space, struct vmmem_reader *reader)
{
	struct vmmem_collection *map;

	ck_assert_int_eq(vmmem_collection_new_empty(&map), 0);
	ck_assert_int_eq(vmmem_space_replace(space, map), 0);
	ck_assert_ptr_eq(vmmem_reader_enter(reader), map);
	vmmem_reader_leave(reader);
	vmmem_collection_unref(map);
}

/* What is replaced goes all the same, once readers have been in a section. */
START_TEST(forbidden_in_a_space)
{
	struct vmmem_reader *reader, *idle;
	struct vmmem_space *space;
	unsigned int i;

	available = true;
	result = 0;
	space = new_space();
	ck_assert_int_eq(vmmem_reader_new(space, NULL, &reader), 0);
	ck_assert_int_eq(vmmem_reader_new(space, NULL, &idle), 0);
	result = -EPERM;
	for (i = 0; i < 100; i++)
		replace_and_use(space, reader);
	/* Whether it is in a section is not known, and may never be. */
	ck_assert_uint_eq(vmmem_space_retired(space), 100);
	ck_assert_int_eq(vmmem_space_synchronize(space, 0), -EPERM);
	ck_assert_int_eq(vmmem_space_synchronize(space, 1000000), -EPERM);
	ck_assert_int_eq(vmmem_space_synchronize(space, VMMEM_FOREVER), -EPERM);
	ck_assert_ptr_nonnull(vmmem_reader_enter(idle));
	ck_assert_int_eq(vmmem_space_synchronize(space, 0), 0);
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
	vmmem_reader_leave(idle);
	/* From here on each update drops what the one before has replaced. */
	for (i = 0; i < 100; i++) {
		replace_and_use(space, reader);
		ck_assert_uint_le(vmmem_space_retired(space), 1);
	}
	ck_assert_int_eq(vmmem_space_synchronize(space, VMMEM_FOREVER), 0);
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
	vmmem_reader_free(reader);
	vmmem_reader_free(idle);
	vmmem_space_unref(space);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("epoch");
	TCase *tcase = tcase_create("epoch");

	tcase_add_loop_test(tcase, nobody, 0, 2);
	tcase_add_loop_test(tcase, sections, 0, 2);
	tcase_add_test(tcase, passing);
	tcase_add_test(tcase, passing_without_an_end);
	tcase_add_test(tcase, late_in_the_old_phase);
	tcase_add_test(tcase, forbidden_later);
	tcase_add_test(tcase, forbidden_to_some);
	tcase_add_test(tcase, forbidden_in_a_space);
	tcase_add_loop_test(tcase, passing_in_any_order, 0, 2);
	tcase_add_test(tcase, space_without_a_barrier);
	suite_add_tcase(suite, tcase);
	return suite;
}
