/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Making a new map of an old one: a region more, a region less. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define CHANGES 64

struct change {
	size_t regions;
	double budget;
	double charter_0_18;
};

static const struct change changes[] = {
	{ 2, 0, 0 },	     { 8, 60, 92 },	    { 64, 0, 0 },
	{ 512, 800, 4805 }, { 4096, 5000, 39400 }, { 65536, 0, 0 },
};

static void
insert(const struct change *change)
{
	struct bench_row row = {
		.run = OP_INSERT,
		.budget = change->budget,
		.charter = { [CRATE_0_18] = change->charter_0_18 },
	};
	void *items[1 + PEERS][CHANGES];
	struct fixture fixture;
	char op[64];
	size_t i, j;

	snprintf(op, sizeof(op), "insert into %zu regions", change->regions);
	if (!bench_wants(op))
		return;
	fixture_spaced(&fixture, change->regions);
	for (i = 0; i < CHANGES; i++) {
		struct bench_range range =
			fixture.ranges[bench_random(fixture.count)];

		range.gpa += SPACED;
		items[0][i] = external_region(&range);
		for (j = 0; j < PEERS; j++)
			if (bench_peers[j] != NULL)
				items[1 + j][i] =
					bench_peers[j]->region_new(&range);
	}
	row.op = strdup(op);
	row.figure = "insert";
	row.figure_x = "regions";
	row.figure_at = (double)change->regions;
	row.figure_base = 2;
	row.works[OURS].map = fixture.ours;
	row.works[OURS].items = items[0];
	row.works[OURS].mask = CHANGES - 1;
	for (j = 0; j < PEERS; j++) {
		row.works[CRATE_0_18 + j] = row.works[OURS];
		row.works[CRATE_0_18 + j].map = fixture.peers[j];
		row.works[CRATE_0_18 + j].items = items[1 + j];
	}
	bench_measure(&row);
	for (i = 0; i < CHANGES; i++) {
		vmmem_region_unref(items[0][i]);
		for (j = 0; j < PEERS; j++)
			if (bench_peers[j] != NULL)
				bench_peers[j]->region_free(items[1 + j][i]);
	}
	fixture_free(&fixture);
}

static void
remove_one(const struct change *change)
{
	struct bench_row row = { .run = OP_REMOVE };
	uint64_t starts[CHANGES], lens[CHANGES];
	struct fixture fixture;
	char op[64];
	size_t i;

	snprintf(op, sizeof(op), "remove from %zu regions", change->regions);
	if (!bench_wants(op))
		return;
	fixture_spaced(&fixture, change->regions);
	for (i = 0; i < CHANGES; i++) {
		starts[i] = fixture.ranges[bench_random(fixture.count)].gpa;
		lens[i] = SPACED;
	}
	row.op = strdup(op);
	row.figure = "remove";
	row.figure_x = "regions";
	row.figure_at = (double)change->regions;
	row.figure_base = 2;
	row.works[OURS].map = fixture.ours;
	row.works[OURS].gpas = starts;
	row.works[OURS].others = lens;
	row.works[OURS].mask = CHANGES - 1;
	for (i = 0; i < PEERS; i++) {
		row.works[CRATE_0_18 + i] = row.works[OURS];
		row.works[CRATE_0_18 + i].map = fixture.peers[i];
	}
	bench_measure(&row);
	fixture_free(&fixture);
}

/* Both sides take their memory from malloc(). */
static size_t
allocated(void)
{
	return mallinfo2().uordblks;
}

static void
note(void)
{
	enum { COUNT = 1024 };
	static struct bench_range ranges[COUNT];
	struct vmmem_region *regions[COUNT];
	struct vmmem_collection *collection;
	size_t before, region, map, peer[PEERS] = { 0 }, i;

	if (!bench_wants("memory per region"))
		return;
	for (i = 0; i < COUNT; i++)
		ranges[i] = (struct bench_range){ i * SPACED, SPACED,
						  (void *)(uintptr_t)SPACED };
	before = allocated();
	for (i = 0; i < COUNT; i++)
		regions[i] = external_region(&ranges[i]);
	region = allocated() - before;
	before = allocated();
	bench_must(vmmem_collection_new(regions, COUNT, &collection),
		   "collection");
	map = allocated() - before;
	vmmem_collection_unref(collection);
	for (i = 0; i < COUNT; i++)
		vmmem_region_unref(regions[i]);
	for (i = 0; i < PEERS; i++) {
		void *other;

		if (bench_peers[i] == NULL)
			continue;
		before = allocated();
		other = bench_peers[i]->map_new(ranges, COUNT);
		peer[i] = allocated() - before;
		bench_peers[i]->map_free(other);
	}
	bench_note("memory per region: %zu bytes and %zu in each collection; "
		   "vm-memory 0.18.0 %zu, 0.16.2 %zu with one collection",
		   region / COUNT, map / COUNT, peer[0] / COUNT,
		   peer[1] / COUNT);
}

void
bench_change_rows(void)
{
	size_t i;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		insert(&changes[i]);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		remove_one(&changes[i]);
	note();
}
