/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Collections made one of the other share who holds their regions.  Whatever
 * is made of which, and dropped in whatever order: a region must live exactly
 * as long as a collection that has it, or a reference to itself.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmmem/vmmem.h>

#include "rng.h"
#include "suite.h"

#define LEN UINT64_C(4096)

/* Regions of the model; each has one place, and so two may be in one place. */
#define REGIONS 24
#define PLACES 16
#define COLLECTIONS 8

static unsigned char memory[LEN] __attribute__((__aligned__(16)));

struct owned {
	struct vmmem_region *region; /* NULL: there is none */
	bool kept;		     /* by us */
	atomic_bool gone;
	uint64_t gpa;
};

struct state {
	struct owned owned[REGIONS];
	struct vmmem_collection *collections[COLLECTIONS];
	bool has[COLLECTIONS][REGIONS];
	size_t latest; /* that was made of another */
};

static void
note_release(void *opaque)
{
	struct owned *owned = opaque;

	ck_assert_msg(!atomic_exchange(&owned->gone, true), "told twice");
}

static void
make(struct owned *owned, uint64_t gpa)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();

	vmmem_region_builder_set_range(builder, gpa, LEN);
	vmmem_region_builder_set_external(builder, memory, note_release,
					  owned);
	atomic_store(&owned->gone, false);
	ck_assert_int_eq(vmmem_region_builder_build(builder, &owned->region),
			 0);
	vmmem_region_builder_free(builder);
	owned->gpa = gpa;
	owned->kept = true;
}

/* verify() compares who lives with who should. */
static void
verify(struct state *state)
{
	size_t i, j;

	for (i = 0; i < REGIONS; i++) {
		struct owned *owned = &state->owned[i];
		bool held = owned->kept;

		if (owned->region == NULL)
			continue;
		for (j = 0; j < COLLECTIONS; j++)
			held |= state->collections[j] != NULL &&
				state->has[j][i];
		ck_assert_msg(atomic_load(&owned->gone) == !held,
			      "region %zu is %s", i,
			      held ? "gone" : "still there");
		if (!held)
			owned->region = NULL;
	}
	for (j = 0; j < COLLECTIONS; j++) {
		size_t count = 0;

		if (state->collections[j] == NULL)
			continue;
		for (i = 0; i < REGIONS; i++) {
			const struct owned *owned = &state->owned[i];

			if (!state->has[j][i])
				continue;
			count++;
			ck_assert_ptr_eq(vmmem_collection_find(
						 state->collections[j],
						 owned->gpa),
					 owned->region);
		}
		ck_assert_uint_eq(vmmem_collection_count(
					  state->collections[j]),
				  count);
	}
}

/* The index of a collection that is there, or not; COLLECTIONS if none. */
static size_t
pick(struct state *state, struct rng *rng, bool there)
{
	size_t start = rng_below(rng, COLLECTIONS), i, at;

	for (i = 0; i < COLLECTIONS; i++) {
		at = (start + i) % COLLECTIONS;
		if ((state->collections[at] != NULL) == there)
			return at;
	}
	return COLLECTIONS;
}

/* What a new one is made of: mostly the latest, as in a program. */
static size_t
pick_origin(struct state *state, struct rng *rng)
{
	if (state->collections[state->latest] != NULL && rng_chance(rng, 80))
		return state->latest;
	return pick(state, rng, true);
}

static void
insert(struct state *state, struct rng *rng)
{
	size_t from = pick_origin(state, rng), to = pick(state, rng, false);
	size_t i = rng_below(rng, REGIONS), other;
	struct owned *owned = &state->owned[i];
	bool overlaps = false;
	int rc;

	if (from == COLLECTIONS || to == COLLECTIONS)
		return;
	if (owned->region == NULL)
		make(owned, rng_below(rng, PLACES) * LEN);
	for (other = 0; other < REGIONS; other++)
		overlaps |= state->has[from][other] &&
			    state->owned[other].gpa == owned->gpa;
	rc = vmmem_collection_insert(state->collections[from], owned->region,
				     &state->collections[to]);
	ck_assert_int_eq(rc, overlaps ? VMMEM_EOVERLAP : 0);
	if (rc != 0)
		return;
	memcpy(state->has[to], state->has[from], sizeof(state->has[to]));
	state->has[to][i] = true;
	state->latest = to;
}

static void
remove_one(struct state *state, struct rng *rng)
{
	size_t from = pick_origin(state, rng), to = pick(state, rng, false);
	size_t i = rng_below(rng, REGIONS);
	struct vmmem_region *region;

	if (from == COLLECTIONS || to == COLLECTIONS || !state->has[from][i])
		return;
	ck_assert_int_eq(vmmem_collection_remove(state->collections[from],
						 state->owned[i].gpa, LEN,
						 &state->collections[to],
						 &region),
			 0);
	ck_assert_ptr_eq(region, state->owned[i].region);
	vmmem_region_unref(region);
	memcpy(state->has[to], state->has[from], sizeof(state->has[to]));
	state->has[to][i] = false;
	state->latest = to;
}

/* step() makes one step of an update, if it can be made; 'has' follows. */
static void
step(struct state *state, struct rng *rng, struct vmmem_update *update,
     bool *has)
{
	size_t i = rng_below(rng, REGIONS), other;
	struct owned *owned = &state->owned[i];
	struct vmmem_region *region = NULL;
	bool overlaps = false;

	if (owned->region == NULL)
		make(owned, rng_below(rng, PLACES) * LEN);
	for (other = 0; other < REGIONS; other++)
		overlaps |= has[other] &&
			    state->owned[other].gpa == owned->gpa;
	if (has[i] && rng_chance(rng, 80)) {
		ck_assert_int_eq(vmmem_update_remove(update, owned->gpa, LEN,
						     &region),
				 0);
		ck_assert_ptr_eq(region, owned->region);
		vmmem_region_unref(region);
		has[i] = false;
	} else {
		ck_assert_int_eq(vmmem_update_insert(update, owned->region),
				 overlaps ? VMMEM_EOVERLAP : 0);
		has[i] |= !overlaps;
		if (!overlaps)
			ck_assert_int_eq(vmmem_update_remove(
						 update, owned->gpa, LEN + 1,
						 NULL),
					 VMMEM_ENOREGION);
	}
	if (rng_chance(rng, 10))
		ck_assert_ptr_nonnull(vmmem_update_collection(update));
}

/* several() makes a collection that differs in several regions. */
static void
several(struct state *state, struct rng *rng)
{
	size_t from = pick_origin(state, rng), to = pick(state, rng, false);
	size_t steps = 1 + rng_below(rng, 8);
	struct vmmem_update *update;
	struct vmmem_space *space;

	if (from == COLLECTIONS || to == COLLECTIONS)
		return;
	ck_assert_int_eq(vmmem_space_new(state->collections[from], NULL, &space), 0);
	ck_assert_int_eq(vmmem_update_new(space, VMMEM_FOREVER, &update), 0);
	memcpy(state->has[to], state->has[from], sizeof(state->has[to]));
	while (steps-- > 0)
		step(state, rng, update, state->has[to]);
	state->collections[to] =
		vmmem_collection_ref(vmmem_update_collection(update));
	vmmem_update_free(update);
	vmmem_space_unref(space);
	state->latest = to;
}

static void
found(struct state *state, struct rng *rng)
{
	size_t to = pick(state, rng, false);
	struct vmmem_region *regions[PLACES];
	size_t count = 0, i;

	if (to == COLLECTIONS)
		return;
	memset(state->has[to], 0, sizeof(state->has[to]));
	for (i = 0; i < REGIONS && count < PLACES; i++) {
		struct owned *owned = &state->owned[i];
		bool overlaps = false;
		size_t other;

		if (owned->region == NULL || rng_chance(rng, 50))
			continue;
		for (other = 0; other < i; other++)
			overlaps |= state->has[to][other] &&
				    state->owned[other].gpa == owned->gpa;
		if (overlaps)
			continue;
		regions[count++] = owned->region;
		state->has[to][i] = true;
	}
	if (count == 0)
		ck_assert_int_eq(vmmem_collection_new_empty(
					 &state->collections[to]),
				 0);
	else
		ck_assert_int_eq(vmmem_collection_new_unsorted(
					 regions, count,
					 &state->collections[to]),
				 0);
}

static void
drop(struct state *state, struct rng *rng)
{
	size_t at = pick(state, rng, true);

	if (at == COLLECTIONS)
		return;
	vmmem_collection_unref(state->collections[at]);
	state->collections[at] = NULL;
}

/* Either we keep a region for ourselves, or not: one that is somewhere. */
static void
keep(struct state *state, struct rng *rng)
{
	struct owned *owned = &state->owned[rng_below(rng, REGIONS)];

	if (owned->region == NULL)
		return;
	if (owned->kept)
		vmmem_region_unref(owned->region);
	else
		vmmem_region_ref(owned->region);
	owned->kept = !owned->kept;
}

static void
finish(struct state *state)
{
	size_t i;

	for (i = 0; i < COLLECTIONS; i++) {
		vmmem_collection_unref(state->collections[i]);
		state->collections[i] = NULL;
		verify(state);
	}
	for (i = 0; i < REGIONS; i++) {
		if (state->owned[i].kept)
			vmmem_region_unref(state->owned[i].region);
		state->owned[i].kept = false;
	}
	verify(state);
}

START_TEST(any_history)
{
	static struct state state;
	struct rng rng = { rng_seed() };
	const uint64_t rounds = rng_rounds(100000);
	uint64_t round;

	printf("VMMEM_TEST_SEED=0x%" PRIx64 "\n", rng.state);
	fflush(stdout);
	for (round = 0; round < rounds; round++) {
		switch (rng_below(&rng, 16)) {
		case 0:
			found(&state, &rng);
			break;
		case 1:
		case 2:
			keep(&state, &rng);
			break;
		case 3:
		case 4:
		case 5:
			drop(&state, &rng);
			break;
		case 6:
		case 7:
			several(&state, &rng);
			break;
		case 8:
		case 9:
			remove_one(&state, &rng);
			break;
		default:
			insert(&state, &rng);
			break;
		}
		verify(&state);
		if (round % 1024 == 1023)
			finish(&state);
	}
	finish(&state);
}
END_TEST

/*
 * A region that comes back: it is in the first and in the third collection, and
 * not in the one between them, which goes first.
 */
START_TEST(comes_back)
{
	static struct owned owned;
	struct vmmem_collection *with, *without, *again;
	struct vmmem_region *region;

	make(&owned, 0);
	region = owned.region;
	ck_assert_int_eq(vmmem_collection_new(&region, 1, &with), 0);
	ck_assert_int_eq(vmmem_collection_remove(with, 0, LEN, &without,
						 NULL),
			 0);
	ck_assert_int_eq(vmmem_collection_insert(without, region, &again), 0);
	vmmem_region_unref(region);
	vmmem_collection_unref(without);
	vmmem_collection_unref(with);
	ck_assert(!atomic_load(&owned.gone));
	vmmem_collection_unref(again);
	ck_assert(atomic_load(&owned.gone));
}
END_TEST

#define THREADS 4
#define SHARED 6

/* What each thread makes new collections of. */
static struct vmmem_collection *shared;
static struct owned thread_owned[THREADS];

static void *
change(void *argument)
{
	struct owned *owned = argument;
	struct rng rng = { owned->gpa + 1 };
	struct vmmem_collection *mine = vmmem_collection_ref(shared), *next;
	const uint64_t rounds = rng_rounds(5000);
	uint64_t round;
	bool inserted = false;

	for (round = 0; round < rounds; round++) {
		if (!inserted)
			ck_assert_int_eq(vmmem_collection_insert(
						 mine, owned->region, &next),
					 0);
		else
			ck_assert_int_eq(vmmem_collection_remove(
						 mine, owned->gpa, LEN, &next,
						 NULL),
					 0);
		inserted = !inserted;
		vmmem_collection_unref(mine);
		mine = next;
		ck_assert_uint_eq(vmmem_collection_count(mine),
				  SHARED + inserted);
		/* Now and then from where all others are, too. */
		if (rng_chance(&rng, 10)) {
			vmmem_collection_unref(mine);
			mine = vmmem_collection_ref(shared);
			inserted = false;
		}
	}
	vmmem_collection_unref(mine);
	return NULL;
}

START_TEST(threads)
{
	static struct owned base[SHARED];
	struct vmmem_region *regions[SHARED];
	pthread_t thread[THREADS];
	size_t i;

	for (i = 0; i < SHARED; i++) {
		make(&base[i], i * LEN);
		regions[i] = base[i].region;
	}
	ck_assert_int_eq(vmmem_collection_new(regions, SHARED, &shared), 0);
	for (i = 0; i < SHARED; i++)
		vmmem_region_unref(regions[i]);
	for (i = 0; i < THREADS; i++) {
		make(&thread_owned[i], (SHARED + i) * LEN);
		ck_assert_int_eq(pthread_create(&thread[i], NULL, change,
						&thread_owned[i]),
				 0);
	}
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	for (i = 0; i < SHARED; i++)
		ck_assert(!atomic_load(&base[i].gone));
	vmmem_collection_unref(shared);
	for (i = 0; i < SHARED; i++)
		ck_assert(atomic_load(&base[i].gone));
	for (i = 0; i < THREADS; i++) {
		ck_assert(!atomic_load(&thread_owned[i].gone));
		vmmem_region_unref(thread_owned[i].region);
		ck_assert(atomic_load(&thread_owned[i].gone));
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("lineage");
	TCase *tcase = tcase_create("lineage");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, any_history);
	tcase_add_test(tcase, comes_back);
	tcase_add_test(tcase, threads);
	suite_add_tcase(suite, tcase);
	return suite;
}
