/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * One reader against one writer, over and over: the one thing that the barrier
 * is for is a section that has begun, while the store that shows it is still in
 * the reader's store buffer.  The same source is built again without the
 * barrier (tests/cmake/duels.cmake), and memory must then be let go of under
 * the reader:
 *
 *	EXPECT_LOSS	something is broken
 */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include <vmmem/inline.h>
#include <vmmem/vmmem.h>

#include "duel.h"
#include "suite.h"

#define PAGE UINT64_C(4096)
#define COLD_STORES 40
#define GONE UINT64_MAX

/* Two pieces of memory take turns in being the map's. */
struct piece {
	_Alignas(16) _Atomic uint64_t word;
	uint8_t rest[PAGE - sizeof(uint64_t)];
};

struct duel {
	struct piece pieces[2];
	/* Of each, the map: one that is gone must not even be looked at. */
	_Atomic(struct vmmem_collection *) maps[2];
	struct vmmem_space *space;
	struct vmmem_reader *reader; /* NULL: sections without one */
	_Atomic uint64_t *cold;
	uint64_t random;  /* the writer's */
	atomic_long round; /* that the reader may begin */
	atomic_long ready; /* that the reader has begun */
	atomic_long over;  /* that the reader has ended */
	atomic_long lost;  /* the round in which memory was gone, or 0 */
};

static void
let_go(void *opaque)
{
	struct piece *piece = opaque;

	atomic_store_explicit(&piece->word, GONE, memory_order_relaxed);
}

static struct vmmem_collection *
map_of(struct piece *piece, uint64_t number)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_collection *map;
	struct vmmem_region *region;

	require(builder != NULL);
	atomic_store(&piece->word, number);
	vmmem_region_builder_set_range(builder, 0, PAGE);
	vmmem_region_builder_set_external(builder, piece, let_go, piece);
	require(vmmem_region_builder_build(builder, &region) == 0);
	vmmem_region_builder_free(builder);
	require(vmmem_collection_new(&region, 1, &map) == 0);
	vmmem_region_unref(region);
	return map;
}

static void *
duel_reader(void *argument)
{
	struct duel *duel = argument;
	struct vmmem_collection *map;
	uint64_t random = 1, section = 0, value;
	long round;
	int i;

	run_on(1);
	for (round = 1;; round++) {
		wait_for(&duel->round, round);
		if (atomic_load(&duel->round) == LONG_MAX)
			return NULL;
		atomic_store_explicit(&duel->ready, round,
				      memory_order_release);
		wait_a_little(&random);
		cold_stores(duel->cold, COLD_STORES, &random, (uint64_t)round);
		if (duel->reader != NULL)
			map = vmmem_reader_enter(duel->reader);
		else
			section = vmmem_space_enter(duel->space, &map);
		i = map == atomic_load_explicit(&duel->maps[1],
						memory_order_relaxed);
		wait_a_little(&random);
		value = atomic_load_explicit(&duel->pieces[i].word,
					     memory_order_relaxed);
		if (duel->reader != NULL)
			vmmem_reader_leave(duel->reader);
		else
			vmmem_space_leave(duel->space, section);
		if (value == GONE)
			atomic_store(&duel->lost, round);
		atomic_store_explicit(&duel->over, round,
				      memory_order_release);
	}
}

/* One round: another map, while the reader takes the current one. */
static void
duel_round(struct duel *duel, long round)
{
	struct vmmem_collection *map;
	struct vmmem_update *update;

	map = map_of(&duel->pieces[round % 2], (uint64_t)round);
	atomic_store(&duel->maps[round % 2], map);
	require(vmmem_update_new(duel->space, VMMEM_FOREVER, &update) == 0);
	require(vmmem_update_replace(update, map) == 0);
	vmmem_collection_unref(map);
	atomic_store_explicit(&duel->round, round, memory_order_release);
	wait_for(&duel->ready, round);
	wait_a_little(&duel->random);
	require(vmmem_update_commit(update) == 0);
	vmmem_update_free(update);
	wait_for(&duel->over, round);
	require(vmmem_space_synchronize(duel->space, VMMEM_FOREVER) == 0);
}

/* run_duel() returns the round in which memory went too early, or 0. */
static long
run_duel(long most, bool with_reader)
{
	static struct duel duel;
	struct vmmem_collection *map;
	pthread_t thread;
	long round;

	find_processors();
	memset(&duel, 0, sizeof(duel));
	duel.random = 2;
	duel.cold = cold_lines();
	map = map_of(&duel.pieces[0], 1);
	atomic_store(&duel.maps[0], map);
	require(vmmem_space_new(map, NULL, &duel.space) == 0);
	vmmem_collection_unref(map);
	if (with_reader)
		require(vmmem_reader_new(duel.space, NULL, &duel.reader) == 0);
	require(pthread_create(&thread, NULL, duel_reader, &duel) == 0);
	run_on(0);
	for (round = 1; round <= most && atomic_load(&duel.lost) == 0; round++)
		duel_round(&duel, round);
	atomic_store(&duel.round, LONG_MAX);
	require(pthread_join(thread, NULL) == 0);
	vmmem_reader_free(duel.reader);
	vmmem_space_unref(duel.space);
	free(duel.cold);
	return atomic_load(&duel.lost);
}

#ifdef EXPECT_LOSS

#define BROKEN_ROUNDS 200000

static long lost_in;

const char *
skip_reason(void)
{
	lost_in = run_duel(BROKEN_ROUNDS, true);
	return lost_in == 0 ? "nothing is lost here without the barrier" : NULL;
}

START_TEST(loss_is_seen)
{
	printf("memory went under the reader in round %ld\n", lost_in);
	ck_assert_int_ne(lost_in, 0);
}
END_TEST

#else

START_TEST(no_duel_is_lost)
{
	const char *scale = getenv("VMMEM_TEST_SCALE");
	long divisor = scale != NULL ? strtol(scale, NULL, 10) : 1;

	ck_assert_int_eq(run_duel(divisor > 1 ? 10000 / divisor + 1 : 10000,
				  _i == 0),
			 0);
}
END_TEST

#endif

Suite *
make_suite(void)
{
	Suite *suite = suite_create("section_duel");
	TCase *tcase = tcase_create("duel");

	tcase_set_timeout(tcase, 0);
#ifdef EXPECT_LOSS
	tcase_add_test(tcase, loss_is_seen);
#else
	tcase_add_loop_test(tcase, no_duel_is_lost, 0, 2);
#endif
	suite_add_tcase(suite, tcase);
	return suite;
}
