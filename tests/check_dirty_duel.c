/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * One writer against one harvester, over and over: the one thing that the
 * barrier is for is a mark that is skipped, or not made because logging is off,
 * while the data is still in the writer's store buffer.  The same source is
 * built again with a step taken out (tests/cmake/dirty_duel.cmake), and a write
 * must then be lost:
 *
 *	EXPECT_LOSS	something is broken
 *	MARK_FIRST	this program marks before it writes
 */
#include <limits.h>
#include <stdio.h>

#include <vmmem/vmmem.h>

#include "duel.h"
#include "suite.h"

#define PAGE UINT64_C(4096)

static struct vmmem_collection *
tracked_map(uint64_t len, struct vmmem_bitmap **ret_bitmap)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_collection *map;
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, 0, len);
	vmmem_region_builder_set_tracking(builder, PAGE);
	require(vmmem_region_builder_build(builder, &region) == 0);
	vmmem_region_builder_free(builder);
	require(vmmem_collection_new(&region, 1, &map) == 0);
	*ret_bitmap = vmmem_region_bitmap(region);
	vmmem_region_unref(region);
	return map;
}

/*
 * A duel: in each round one thread writes one number, and another one harvests
 * at the same time.  Then the writer rests, and one more harvest must have
 * what the first one has not.
 */
enum duel_kind {
	DUEL_MARK,   /* a plain store, and vmmem_bitmap_mark() */
	DUEL_ACCESS, /* an access function of the library */
	DUEL_START,  /* the same, while logging is switched on */
	DUELS
};

/*
 * Stores that miss the cache keep what follows them in the store buffer, which
 * has room for some dozens.  Between a mark and the data there is more time to
 * lose: as much as a harvest takes.
 */
#ifdef MARK_FIRST
#define COLD_STORES 4000
#else
#define COLD_STORES 40
#endif

struct duel {
	enum duel_kind kind;
	struct vmmem_collection *map;
	struct vmmem_bitmap *bitmap;
	_Atomic uint64_t *data; /* at the guest address 0 */
	_Atomic uint64_t *cold;
	uint64_t random;     /* the harvester's */
	atomic_long round;   /* that the writer may begin */
	atomic_long ready;   /* that the writer has begun */
	atomic_long written; /* that the writer has ended */
};

static void
duel_write(struct duel *duel, uint64_t *random, uint64_t number)
{
#ifdef MARK_FIRST
	vmmem_bitmap_mark(duel->bitmap, 0, sizeof(number));
	cold_stores(duel->cold, COLD_STORES, random, number);
	atomic_store_explicit(duel->data, number, memory_order_relaxed);
#else
	cold_stores(duel->cold, COLD_STORES, random, number);
	if (duel->kind == DUEL_MARK) {
		atomic_store_explicit(duel->data, number, memory_order_relaxed);
		vmmem_bitmap_mark(duel->bitmap, 0, sizeof(number));
	} else {
		require(vmmem_collection_store_u64(duel->map, 0, number,
						   VMMEM_ORDER_RELAXED) == 0);
	}
#endif
}

static void *
duel_writer(void *argument)
{
	struct duel *duel = argument;
	uint64_t random = 1;
	long round;

	run_on(1);
	for (round = 1;; round++) {
		wait_for(&duel->round, round);
		if (atomic_load(&duel->round) == LONG_MAX)
			return NULL;
		/* So that the mark below can be skipped. */
		if (duel->kind != DUEL_START)
			vmmem_bitmap_mark(duel->bitmap, 0, 1);
		atomic_store_explicit(&duel->ready, round,
				      memory_order_release);
		wait_a_little(&random);
		duel_write(duel, &random, (uint64_t)round);
		atomic_store_explicit(&duel->written, round,
				      memory_order_release);
	}
}

static uint64_t
duel_copy(struct duel *duel, struct vmmem_harvester *harvester, uint64_t copy)
{
	uint64_t pages;

	require(vmmem_harvester_take(harvester, &pages) == 0);
	if (pages == 0)
		return copy;
	copy = atomic_load_explicit(duel->data, memory_order_relaxed);
	require(vmmem_harvester_confirm(harvester, 0, UINT64_MAX) == 0);
	return copy;
}

/* duel_round() returns whether the copy has the number in the end. */
static bool
duel_round(struct duel *duel, struct vmmem_harvester *harvester, long round)
{
	uint64_t copy = (uint64_t)round - 1;

	atomic_store_explicit(&duel->round, round, memory_order_release);
	wait_for(&duel->ready, round);
	wait_a_little(&duel->random);
	if (duel->kind == DUEL_START) {
		require(vmmem_harvester_new(duel->bitmap, NULL,
					    &harvester) == 0);
		copy = atomic_load_explicit(duel->data, memory_order_relaxed);
	} else {
		copy = duel_copy(duel, harvester, copy);
	}
	wait_for(&duel->written, round);
	copy = duel_copy(duel, harvester, copy);
	if (duel->kind == DUEL_START)
		vmmem_harvester_free(harvester);
	return copy == (uint64_t)round;
}

/* run_duel() returns the round in which a write was lost, or 0. */
static long
run_duel(enum duel_kind kind, long most)
{
	struct vmmem_harvester *harvester = NULL;
	struct duel duel = { .kind = kind, .random = 2 };
	pthread_t thread;
	uint64_t len;
	void *host;
	long round, lost = 0;

	find_processors();
	duel.map = tracked_map(PAGE, &duel.bitmap);
	require(vmmem_collection_host_address(duel.map, 0, VMMEM_PROT_WRITE,
					      &host, &len) == 0);
	duel.data = host;
	duel.cold = cold_lines();
	if (kind != DUEL_START)
		require(vmmem_harvester_new(duel.bitmap, NULL,
					    &harvester) == 0);
	require(pthread_create(&thread, NULL, duel_writer, &duel) == 0);
	run_on(0);
	for (round = 1; round <= most && lost == 0; round++) {
		if (!duel_round(&duel, harvester, round))
			lost = round;
	}
	atomic_store(&duel.round, LONG_MAX);
	require(pthread_join(thread, NULL) == 0);
	vmmem_harvester_free(harvester);
	vmmem_collection_unref(duel.map);
	free(duel.cold);
	return lost;
}

#ifdef EXPECT_LOSS

#define BROKEN_ROUNDS 200000

static long lost_in[DUELS];

/* Of marks before data, only this program's own can be out of place. */
#ifdef MARK_FIRST
#define BROKEN_DUELS (DUEL_MARK + 1)
#else
#define BROKEN_DUELS DUELS
#endif

const char *
skip_reason(void)
{
	static char reason[80];
	int kind;

	for (kind = 0; kind < BROKEN_DUELS; kind++) {
		lost_in[kind] = run_duel((enum duel_kind)kind, BROKEN_ROUNDS);
		if (lost_in[kind] == 0) {
			snprintf(reason, sizeof(reason),
				 "duel %d loses nothing here in %d rounds",
				 kind, BROKEN_ROUNDS);
			return reason;
		}
	}
	return NULL;
}

START_TEST(loss_is_seen)
{
	printf("duel %d lost a write in round %ld\n", _i, lost_in[_i]);
	ck_assert_int_ne(lost_in[_i], 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("dirty_duel, broken");
	TCase *tcase = tcase_create("duels");

	tcase_add_loop_test(tcase, loss_is_seen, 0, BROKEN_DUELS);
	suite_add_tcase(suite, tcase);
	return suite;
}

#else

static long
rounds(long most)
{
	const char *scale = getenv("VMMEM_TEST_SCALE");
	long divisor = scale != NULL ? strtol(scale, NULL, 10) : 1;

	return divisor > 1 ? most / divisor + 1 : most;
}

START_TEST(no_duel_is_lost)
{
	ck_assert_int_eq(run_duel((enum duel_kind)_i, rounds(10000)), 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("dirty_duel");
	TCase *tcase = tcase_create("duels");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, no_duel_is_lost, 0, DUELS);
	suite_add_tcase(suite, tcase);
	return suite;
}

#endif
