/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The current map, while others replace it or do not. */
#include <stdlib.h>

#include "background.h"
#include "fixture.h"

#define REGIONS 8
#define REGION (UINT64_C(2) << 30)
#define PAGE UINT64_C(4096)
#define ADDRESSES 16384
#define PLACES 512

/* How many operations another reader makes before it looks whose turn it is. */
#define ROUND 256

/* One map, replaceable, on each side. */
struct world {
	struct fixture fixture;
	struct vmmem_space *space;
	struct vmmem_reader *readers[2];
	/* The same regions once more, to replace the other with. */
	struct vmmem_collection *other;
	void *peers[PEERS];
	uint64_t slot; /* the floor's */
};

static void
world_make(struct world *world)
{
	size_t i;

	fixture_large(&world->fixture, REGIONS, REGION, false);
	bench_must(vmmem_space_new(world->fixture.ours, NULL, &world->space),
		   "space");
	for (i = 0; i < 2; i++)
		bench_must(vmmem_reader_new(world->space, NULL,
					    &world->readers[i]),
			   "reader");
	bench_must(vmmem_collection_new(world->fixture.regions, REGIONS,
					&world->other),
		   "collection");
	for (i = 0; i < PEERS; i++)
		if (bench_peers[i] != NULL)
			world->peers[i] = bench_peers[i]->atomic_new(
				world->fixture.peers[i]);
}

static void
world_free(struct world *world)
{
	size_t i;

	for (i = 0; i < 2; i++)
		vmmem_reader_free(world->readers[i]);
	vmmem_space_unref(world->space);
	vmmem_collection_unref(world->other);
	for (i = 0; i < PEERS; i++)
		if (bench_peers[i] != NULL)
			bench_peers[i]->atomic_free(world->peers[i]);
	fixture_free(&world->fixture);
}

static void
replace_ours(void *opaque)
{
	struct world *world = opaque;

	bench_must(vmmem_space_replace(world->space, world->other),
		   "replace");
	bench_must(vmmem_space_replace(world->space, world->fixture.ours),
		   "replace");
}

struct peer_writer {
	const struct bench_peer *peer;
	void *atomic, *map;
};

static void
replace_peers(void *opaque)
{
	const struct peer_writer *writer = opaque;

	writer->peer->atomic_replace(writer->atomic, writer->map);
	writer->peer->atomic_replace(writer->atomic, writer->map);
}

struct other_reader {
	bench_run *run;
	struct bench_work work;
};

static void
read_on(void *opaque)
{
	const struct other_reader *reader = opaque;

	reader->run(&reader->work, ROUND);
}

static void
set_works(struct bench_row *row, struct world *world, const uint64_t *gpas)
{
	enum bench_side side;
	size_t i;

	for (side = OURS; side < SIDES; side++) {
		row->works[side].gpas = gpas;
		row->works[side].mask = ADDRESSES - 1;
	}
	row->works[OURS].map = world->readers[0];
	row->works[INLINE].map = world->readers[0];
	row->works[FLOOR].map = &world->slot;
	for (i = 0; i < PEERS; i++)
		row->works[CRATE_0_18 + i].map = world->peers[i];
	if (row->run != OP_ENTER)
		row->works[FLOOR] = (struct bench_work){ .map = NULL };
}

/* With whom a row is measured: a writer, and other readers. */
static void
with(struct bench_row *row, struct world *world, bool writer, bool reader)
{
	static struct peer_writer writers[PEERS];
	static struct other_reader readers[SIDES];
	enum bench_side side;
	size_t i;

	if (writer)
		background_add(OURS, replace_ours, world);
	if (reader) {
		readers[OURS].run = bench_ours[row->run];
		readers[OURS].work = row->works[OURS];
		readers[OURS].work.map = world->readers[1];
		background_add(OURS, read_on, &readers[OURS]);
	}
	for (i = 0; i < PEERS; i++) {
		if (bench_peers[i] == NULL)
			continue;
		side = CRATE_0_18 + i;
		writers[i] = (struct peer_writer){
			bench_peers[i],
			world->peers[i],
			world->fixture.peers[i],
		};
		if (writer)
			background_add(side, replace_peers, &writers[i]);
		if (!reader)
			continue;
		readers[side].run = bench_peers[i]->runs[row->run];
		readers[side].work = row->works[side];
		background_add(side, read_on, &readers[side]);
	}
	if (writer || reader)
		row->before = background_turn;
}

static const struct {
	const char *op;
	enum bench_op run;
	double budget;
	enum bench_side budget_side;
	double charter_0_18, charter_0_16;
	bool writer, reader;
} rows[] = {
	{ "current map, enter and leave", OP_ENTER, 4.4, OURS, 4.4, 0, false,
	  false },
	{ "current map, enter and leave, inline", OP_ENTER, 0.8, INLINE, 4.4,
	  0, false, false },
	{ "enter, read u64, leave", OP_ENTER_READ, 8, OURS, 50, 12, false,
	  false },
	{ "enter, read u64, leave, with a writer", OP_ENTER_READ, 15, OURS,
	  224, 0, true, false },
	{ "enter, read u64, leave, two readers", OP_ENTER_READ, 0, OURS, 0, 0,
	  false, true },
	{ "same, two readers and a writer", OP_ENTER_READ, 0, OURS, 0, 0, true,
	  true },
	{ "current map by reference, get and unref", OP_GET, 0, OURS, 0, 0,
	  false, false },
};

static void
measure(struct world *world, size_t index, const uint64_t *gpas)
{
	struct bench_row row = {
		.op = rows[index].op,
		.run = rows[index].run,
		.budget = rows[index].budget,
		.budget_side = rows[index].budget_side,
		.charter = { [CRATE_0_18] = rows[index].charter_0_18,
			     [CRATE_0_16] = rows[index].charter_0_16 },
	};

	if (!bench_wants(row.op))
		return;
	set_works(&row, world, gpas);
	if (row.run == OP_GET)
		row.works[OURS].map = world->space;
	with(&row, world, rows[index].writer, rows[index].reader);
	bench_measure(&row);
	background_end();
}

void
bench_space_rows(void)
{
	uint64_t *gpas = bench_alloc(ADDRESSES, sizeof(*gpas));
	uint64_t pool[PLACES];
	struct world world = { .slot = 0 };
	size_t i;

	world_make(&world);
	for (i = 0; i < PLACES; i++) {
		pool[i] = bench_random(REGIONS * REGION / 8) * 8;
		*(volatile uint64_t *)(uintptr_t)fixture_host(&world.fixture,
							      pool[i]) = i;
	}
	for (i = 0; i < ADDRESSES; i++)
		gpas[i] = pool[bench_random(PLACES)];
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		measure(&world, i, gpas);
	world_free(&world);
	free(gpas);
}
