/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Which region holds an address. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define ADDRESSES 65536

static uint64_t *
random_addresses(const struct fixture *fixture)
{
	uint64_t *gpas = bench_alloc(ADDRESSES, sizeof(*gpas));
	size_t i;

	for (i = 0; i < ADDRESSES; i++) {
		const struct bench_range *range =
			&fixture->ranges[bench_random(fixture->count)];

		gpas[i] = range->gpa + bench_random(range->len);
	}
	return gpas;
}

/* verify() sees to it that all sides find the same. */
static void
verify(const struct fixture *fixture, const uint64_t *gpas)
{
	const struct vmmem_region *region;
	uint64_t start;
	size_t i, j;

	for (i = 0; i < ADDRESSES; i += 61) {
		region = vmmem_collection_find(fixture->ours, gpas[i]);
		start = vmmem_region_start(region);
		bench_must(gpas[i] < start, "find");
		for (j = 0; j < PEERS; j++)
			if (bench_peers[j] != NULL)
				bench_must(bench_peers[j]->map_start_of(
						   fixture->peers[j],
						   gpas[i]) != start,
					   "find by the peer");
	}
}

struct size {
	size_t regions;
	double budget, chain_budget;
	double charter[SIDES], chain_charter[SIDES];
};

static const struct size sizes[] = {
	{ .regions = 2 },
	{
		.regions = 8,
		.budget = 3.8,
		.charter = { [CRATE_0_18] = 4.6, [CRATE_0_16] = 4.6,
			     [FLOOR] = 2.5 },
	},
	{ .regions = 64 },
	{
		.regions = 256,
		.budget = 7.2,
		.chain_budget = 20,
		.charter = { [CRATE_0_18] = 11.2, [CRATE_0_16] = 11.2,
			     [FLOOR] = 6.6 },
		.chain_charter = { [CRATE_0_18] = 29, [CRATE_0_16] = 29,
				   [FLOOR] = 18.9 },
	},
	{ .regions = 1024 },
	{
		.regions = 4096,
		.budget = 13,
		.chain_budget = 34,
		.charter = { [CRATE_0_18] = 28, [CRATE_0_16] = 28,
			     [FLOOR] = 12.1 },
		.chain_charter = { [CRATE_0_18] = 71, [CRATE_0_16] = 71,
				   [FLOOR] = 31.6 },
	},
	{ .regions = 16384 },
	{ .regions = 65536 },
};

static void
measure(const struct size *size, bool chain)
{
	struct bench_row row = { .run = chain ? OP_FIND_CHAIN : OP_FIND };
	struct fixture fixture;
	enum bench_side side;
	struct flat flat;
	uint64_t *gpas;
	char op[64];

	snprintf(op, sizeof(op), "find, %zu regions, %s", size->regions,
		 chain ? "chain" : "random");
	if (!bench_wants(op))
		return;
	fixture_small(&fixture, size->regions);
	gpas = random_addresses(&fixture);
	verify(&fixture, gpas);
	flat = (struct flat){ fixture.starts, fixture.count };

	row.op = strdup(op);
	row.figure = chain ? "find, each waits for the last" :
			     "find, random addresses";
	row.figure_x = "regions";
	row.figure_at = (double)size->regions;
	row.figure_base = 2;
	row.budget = chain ? size->chain_budget : size->budget;
	for (side = OURS; side < SIDES; side++) {
		row.works[side].gpas = gpas;
		row.works[side].mask = ADDRESSES - 1;
		row.charter[side] = chain ? size->chain_charter[side] :
					    size->charter[side];
	}
	row.works[OURS].map = fixture.ours;
	row.works[CRATE_0_18].map = fixture.peers[0];
	row.works[CRATE_0_16].map = fixture.peers[1];
	row.works[FLOOR].map = &flat;
	bench_measure(&row);
	free(gpas);
	fixture_free(&fixture);
}

void
bench_find_rows(void)
{
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		measure(&sizes[i], false);
		measure(&sizes[i], true);
	}
}
