/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Sections, and waiting for them, step by step and on one thread.  What is in
 * lib/base/barrier.c and lib/base/futex.c is defined here: whoever would sleep looks on
 * while a section ends.
 */
#include <errno.h>
#include <string.h>

#include <vmmem/error.h>

#include "base/barrier.h"
#include "base/futex.h"
#include "suite.h"
#include "iommu/srcu.h"

#define ASSERT_IS(call, want) ck_assert_int_eq(call, want)

static bool available;
static int barrier_result;
static unsigned int barriers;

bool
vmmem_barrier_available(void)
{
	return available;
}

int
vmmem_barrier(void)
{
	barriers++;
	return barrier_result;
}

/* What the one who waits slept at, and what happened meanwhile. */
static const uint32_t *slept_at;
static uint32_t slept_while;
static unsigned int sleeps, wakes;
static const uint32_t *woken;
static int sleep_result;
/* 0: nobody may give a deadline; else the only one. */
static time_t deadline_at;
static void (*meanwhile)(void);

int
vmmem_futex_wait(const uint32_t *word, uint32_t value,
		 const struct timespec *deadline)
{
	if (deadline_at == 0) {
		ck_assert_ptr_null(deadline);
	} else {
		ck_assert_ptr_nonnull(deadline);
		ck_assert_int_eq(deadline->tv_sec, deadline_at);
	}
	/* Else the system would not let it sleep. */
	ck_assert_uint_eq(*word, value);
	slept_at = word;
	slept_while = value;
	sleeps++;
	if (sleep_result != 0)
		return sleep_result;
	ck_assert_uint_lt(sleeps, 10);
	meanwhile();
	return 0;
}

/* It begins at 0, and has only seconds. */
struct timespec
vmmem_futex_deadline(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)ns };
}

void
vmmem_futex_wake(const uint32_t *word)
{
	woken = word;
	wakes++;
}

static struct vmmem_srcu srcu;

static void
open_with(bool with_barrier)
{
	memset(&srcu, 0, sizeof(srcu));
	available = with_barrier;
	barrier_result = sleep_result = 0;
	barriers = sleeps = wakes = 0;
	slept_at = woken = NULL;
	meanwhile = NULL;
	deadline_at = 0;
	vmmem_srcu_init(&srcu);
}

static struct vmmem_srcu_slot *
own_slot(void)
{
	return vmmem_srcu_first(&srcu, vmmem_srcu_self());
}

/* The slot of some other thread. */
static struct vmmem_srcu_slot *
other_slot(void)
{
	size_t own = (size_t)(own_slot() - srcu.slots);

	return &srcu.slots[(own + 20) % VMMEM_SRCU_SLOTS];
}

START_TEST(nobody)
{
	uint32_t before;

	open_with(_i != 0);
	before = srcu.generation;
	ck_assert_uint_ne(before, 0);
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
	ck_assert_uint_eq(srcu.generation, before + 2);
	ck_assert_uint_eq(srcu.waiting, 0);
	ck_assert_uint_eq(barriers, _i != 0 ? 2 : 0);
	ck_assert_uint_eq(sleeps, 0);
}
END_TEST

/* They nest, and the thread that is within one must not wait for it. */
START_TEST(own_sections)
{
	struct vmmem_section outer, inner;

	open_with(true);
	outer = vmmem_srcu_enter(&srcu);
	inner = vmmem_srcu_enter(&srcu);
	ck_assert_ptr_eq(outer.slot, own_slot());
	ck_assert_ptr_eq(inner.slot, own_slot());
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), VMMEM_ESELFWAIT);
	vmmem_srcu_leave(&srcu, inner);
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), VMMEM_ESELFWAIT);
	vmmem_srcu_leave(&srcu, outer);
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
	ck_assert_uint_eq(wakes, 0);
}
END_TEST

/* After 2^32 waits: no generation is that of a slot with no section. */
START_TEST(generations_wrap)
{
	struct vmmem_section section;

	open_with(true);
	srcu.generation = UINT32_MAX;
	section = vmmem_srcu_enter(&srcu);
	ck_assert_uint_eq(own_slot()->state, UINT32_MAX);
	vmmem_srcu_leave(&srcu, section);
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
	section = vmmem_srcu_enter(&srcu);
	ck_assert_uint_ne(own_slot()->state, 0);
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), VMMEM_ESELFWAIT);
	vmmem_srcu_leave(&srcu, section);
}
END_TEST

/* What the other thread does while somebody waits. */
static void
other_leaves(void)
{
	const struct vmmem_section section = { other_slot(), 0 };

	ck_assert_ptr_eq(slept_at, &other_slot()->state);
	vmmem_srcu_leave(&srcu, section);
	ck_assert_ptr_eq(woken, &other_slot()->state);
}

/* It goes on to its next section before the one who waits looks again. */
static void
other_goes_on(void)
{
	other_leaves();
	other_slot()->state = srcu.generation;
}

/* A signal, or nothing at all: then it leaves. */
static void
other_stays_for_a_while(void)
{
	if (sleeps == 2)
		other_leaves();
}

START_TEST(slots_are_waited_for)
{
	void (*const ways[])(void) = { other_leaves, other_goes_on,
				       other_stays_for_a_while };

	open_with(true);
	other_slot()->owner = 1;
	other_slot()->state = srcu.generation;
	meanwhile = ways[_i];
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
	ck_assert_uint_eq(slept_while, srcu.generation - 1);
	ck_assert_uint_eq(sleeps, ways[_i] == other_stays_for_a_while ? 2 : 1);
	ck_assert_uint_eq(wakes, 1);
	/* Who leaves later need not wake anybody. */
	other_slot()->state = srcu.generation;
	vmmem_srcu_leave(&srcu, (struct vmmem_section){ other_slot(), 0 });
	ck_assert_uint_eq(wakes, 1);
}
END_TEST

/* All slots on the way belong to others: the section is counted. */
static struct vmmem_section
enter_counted(void)
{
	struct vmmem_section section;
	size_t i;

	for (i = 0; available && i < VMMEM_SRCU_SLOTS; i++)
		srcu.slots[i].owner = i + 1;
	section = vmmem_srcu_enter(&srcu);
	ck_assert_ptr_null(section.slot);
	ck_assert_uint_lt(section.before, 2);
	return section;
}

static struct vmmem_section counted;

static void
counted_leaves(void)
{
	ck_assert_ptr_eq(slept_at, &srcu.counts[counted.before]);
	vmmem_srcu_leave(&srcu, counted);
	ck_assert_ptr_eq(woken, slept_at);
}

START_TEST(counts_are_waited_for)
{
	open_with(_i != 0);
	counted = enter_counted();
	meanwhile = counted_leaves;
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
	ck_assert_uint_eq(sleeps, 1);
	ck_assert_uint_eq(slept_while, 1);
	ck_assert_uint_eq(srcu.counts[0], 0);
	ck_assert_uint_eq(srcu.counts[1], 0);
	/* Nobody waits: nobody is woken. */
	vmmem_srcu_leave(&srcu, enter_counted());
	ck_assert_uint_eq(wakes, 1);
}
END_TEST

/*
 * It read the phase, stood still while that phase came to an end, and counts in
 * it now.  Whichever phase that is, it is waited for.
 */
START_TEST(late_counts_are_waited_for)
{
	open_with(false);
	srcu.phase = (uint32_t)_i % 2;
	counted = (struct vmmem_section){ NULL, (uint64_t)(_i / 2) };
	srcu.counts[counted.before]++;
	meanwhile = counted_leaves;
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
	ck_assert_uint_eq(sleeps, 1);
}
END_TEST

static struct vmmem_section newer;

/* Before the one who was waited for leaves, another comes. */
static void
another_comes(void)
{
	newer = vmmem_srcu_enter(&srcu);
	ck_assert_uint_ne(newer.before, counted.before);
	counted_leaves();
	/* In the second turn it is too late for this one not to be there. */
	counted = newer;
	meanwhile = counted_leaves;
}

/* Whoever comes while somebody waits counts in the other phase. */
START_TEST(phases_change)
{
	struct vmmem_section next;

	open_with(false);
	counted = enter_counted();
	meanwhile = another_comes;
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
	next = enter_counted();
	vmmem_srcu_leave(&srcu, next);
	ck_assert_uint_eq(srcu.counts[0], 0);
	ck_assert_uint_eq(srcu.counts[1], 0);
}
END_TEST

/* Of two that are counted only the last one to leave wakes. */
static void
both_leave(void)
{
	vmmem_srcu_leave(&srcu, newer);
	ck_assert_uint_eq(wakes, 0);
	counted_leaves();
}

START_TEST(last_one_wakes)
{
	open_with(false);
	counted = enter_counted();
	newer = enter_counted();
	meanwhile = both_leave;
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
	ck_assert_uint_eq(slept_while, 2);
	ck_assert_uint_eq(wakes, 1);
}
END_TEST

/* Slots next to the first one are as good, and kept. */
START_TEST(neighbours)
{
	size_t first, taken = (size_t)_i;
	struct vmmem_section section;
	size_t i;

	open_with(true);
	first = (size_t)(own_slot() - srcu.slots);
	for (i = 0; i < taken; i++)
		srcu.slots[(first + i) % VMMEM_SRCU_SLOTS].owner = 1;
	section = vmmem_srcu_enter(&srcu);
	if (section.slot == NULL) {
		ck_assert_uint_ge(taken, 8);
	} else {
		ck_assert_ptr_eq(
			section.slot,
			&srcu.slots[(first + taken) % VMMEM_SRCU_SLOTS]);
		ck_assert_uint_eq(section.slot->owner, vmmem_srcu_self());
		ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER),
			  VMMEM_ESELFWAIT);
	}
	vmmem_srcu_leave(&srcu, section);
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
	ck_assert_uint_eq(sleeps, 0);
	/* A wait takes no slot. */
	if (taken == 0)
		own_slot()->owner = 0;
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
	ck_assert(taken != 0 || own_slot()->owner == 0);
}
END_TEST

START_TEST(failures)
{
	open_with(true);
	other_slot()->state = srcu.generation;
	barrier_result = -EPERM;
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), -EPERM);
	ck_assert_uint_eq(sleeps, 0);
	ck_assert_uint_eq(srcu.waiting, 0);
	barrier_result = 0;
	sleep_result = -ENOSYS;
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), -ENOSYS);
	ck_assert_uint_eq(sleeps, 1);
	ck_assert_uint_eq(srcu.waiting, 0);
	other_slot()->state = 0;
	srcu.counts[_i] = 1;
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), -ENOSYS);
	ck_assert_uint_eq(sleeps, 2);
	ck_assert_uint_eq(srcu.waiting, 0);
	/* Nobody was left out for it. */
	srcu.counts[_i] = 0;
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
}
END_TEST

/* A section that does not end: a slot's, or one that is counted. */
START_TEST(time_is_over)
{
	uint32_t *state = _i == 0 ? &other_slot()->state : &srcu.counts[_i - 1];

	open_with(true);
	*state = srcu.generation;
	deadline_at = 7;
	sleep_result = VMMEM_ETIMEOUT;
	ASSERT_IS(vmmem_srcu_wait(&srcu, 7), VMMEM_ETIMEOUT);
	ASSERT_IS(vmmem_srcu_wait(&srcu, 7), VMMEM_ETIMEOUT);
	ck_assert_uint_eq(sleeps, 2);
	ck_assert_ptr_eq(slept_at, state);
	ck_assert_uint_eq(srcu.waiting, 0);
	ck_assert_uint_eq(srcu.turn, 0);
	/* It is waited for as before. */
	deadline_at = 0;
	sleep_result = -ENOSYS;
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), -ENOSYS);
	*state = 0;
	ASSERT_IS(vmmem_srcu_wait(&srcu, VMMEM_FOREVER), 0);
}
END_TEST

/* What the thread does whose turn it is. */
static void
its_turn_ends(void)
{
	ck_assert_ptr_eq(slept_at, &srcu.turn);
	if (sleeps < 3)
		return;
	/* That some thread sleeps there is to be seen. */
	ck_assert_uint_eq(srcu.turn, 2);
	srcu.turn = 0;
}

/* Waits come one after the other, and each has its own deadline. */
START_TEST(turns)
{
	open_with(_i != 0);
	srcu.turn = 1;
	meanwhile = its_turn_ends;
	deadline_at = 9;
	ASSERT_IS(vmmem_srcu_wait(&srcu, 9), 0);
	ck_assert_uint_eq(sleeps, 3);
	ck_assert_uint_eq(srcu.turn, 0);
	/* It cannot know whether another one sleeps there. */
	ck_assert_ptr_eq(woken, &srcu.turn);
	ck_assert_uint_eq(wakes, 1);
	srcu.turn = 1;
	sleep_result = VMMEM_ETIMEOUT;
	ASSERT_IS(vmmem_srcu_wait(&srcu, 9), VMMEM_ETIMEOUT);
	/* The turn is still the other thread's. */
	ck_assert_uint_eq(srcu.turn, 2);
	ck_assert_uint_eq(srcu.waiting, 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("srcu");
	TCase *tcase = tcase_create("srcu");

	tcase_add_loop_test(tcase, nobody, 0, 2);
	tcase_add_test(tcase, own_sections);
	tcase_add_test(tcase, generations_wrap);
	tcase_add_loop_test(tcase, slots_are_waited_for, 0, 3);
	tcase_add_loop_test(tcase, counts_are_waited_for, 0, 2);
	tcase_add_loop_test(tcase, late_counts_are_waited_for, 0, 4);
	tcase_add_test(tcase, phases_change);
	tcase_add_test(tcase, last_one_wakes);
	tcase_add_loop_test(tcase, neighbours, 0, 12);
	tcase_add_loop_test(tcase, failures, 0, 2);
	tcase_add_loop_test(tcase, time_is_over, 0, 3);
	tcase_add_loop_test(tcase, turns, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
