/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Access by guest address: 8 regions of 2 GiB that touch one another. */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define REGIONS 8
#define REGION (UINT64_C(2) << 30)
#define PAGE UINT64_C(4096)

/* Long enough that no predictor learns it; drawn from few places. */
#define ADDRESSES 16384

static unsigned char buf[PAGE] __attribute__((__aligned__(64)));

struct table {
	uint64_t *gpas;
	uint64_t *hosts;
};

/*
 * make_table() draws addresses of accesses of 'len' bytes from 'places' places,
 * each in a page of its own, and touches what they touch.
 */
static void
make_table(const struct fixture *fixture, struct table *table, size_t places,
	   uint64_t len, uint64_t alignment)
{
	uint64_t *pool = bench_alloc(places, sizeof(*pool));
	size_t i, at;

	for (i = 0; i < places; i++) {
		do {
			pool[i] = bench_random(REGIONS) * REGION +
				  bench_random(REGION / PAGE - 1) * PAGE +
				  bench_random(PAGE / alignment) * alignment;
			/* Small ones within their page, long ones anywhere. */
		} while (len < PAGE && pool[i] % PAGE + len > PAGE);
		at = 0;
		do {
			volatile unsigned char *byte = (unsigned char *)
				(uintptr_t)fixture_host(fixture, pool[i] + at);

			*byte = (unsigned char)bench_random(0);
			at += PAGE - 1;
		} while (at < len);
	}
	table->gpas = bench_alloc(ADDRESSES, sizeof(*table->gpas));
	table->hosts = bench_alloc(ADDRESSES, sizeof(*table->hosts));
	for (i = 0; i < ADDRESSES; i++) {
		table->gpas[i] = pool[bench_random(places)];
		table->hosts[i] = fixture_host(fixture, table->gpas[i]);
	}
	free(pool);
}

static void
free_table(struct table *table)
{
	free(table->gpas);
	free(table->hosts);
}

/* set_works() has all sides work on a map and a table. */
static void
set_works(struct bench_row *row, const struct fixture *fixture,
	  const struct table *table, const struct table *others)
{
	enum bench_side side;

	for (side = OURS; side < SIDES; side++) {
		row->works[side].gpas = table->gpas;
		row->works[side].others = others != NULL ? others->gpas : NULL;
		row->works[side].mask = ADDRESSES - 1;
		row->works[side].buf = buf;
	}
	row->works[OURS].map = fixture->ours;
	row->works[CRATE_0_18].map = fixture->peers[0];
	row->works[CRATE_0_16].map = fixture->peers[1];
	row->works[FLOOR].gpas = table->hosts;
	row->works[FLOOR].others = others != NULL ? others->hosts : NULL;
}

static void
small(const struct fixture *fixture, const struct fixture *logged)
{
	struct bench_row rows[] = {
		{
			.op = "read u64, 8 regions of 2 GiB, random",
			.run = OP_READ_U64,
			.budget = 5,
			.charter = { [CRATE_0_18] = 48, [CRATE_0_16] = 7.5,
				     [FLOOR] = 0.6 },
		},
		{
			.op = "write u64, same",
			.run = OP_WRITE_U64,
		},
		{
			.op = "load u32, acquire",
			.run = OP_LOAD_U32,
			.budget = 4.5,
			.charter = { [CRATE_0_18] = 9.5, [CRATE_0_16] = 6,
				     [FLOOR] = 0.6 },
		},
		{
			.op = "store u32, release",
			.run = OP_STORE_U32,
			.budget = 4.5,
			.charter = { [CRATE_0_18] = 9.5, [CRATE_0_16] = 6 },
		},
		{
			.op = "write u64, with dirty log",
			.run = OP_WRITE_U64_LOGGED,
			.budget = 7,
			.charter = { [CRATE_0_18] = 57.6, [CRATE_0_16] = 11 },
		},
	};
	struct table table, logged_table;
	size_t i;

	make_table(fixture, &table, 512, 8, 8);
	make_table(logged, &logged_table, 512, 8, 8);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].run == OP_WRITE_U64_LOGGED)
			set_works(&rows[i], logged, &logged_table, NULL);
		else
			set_works(&rows[i], fixture, &table, NULL);
		bench_measure(&rows[i]);
	}
	free_table(&table);
	free_table(&logged_table);
}

struct bulk {
	const char *op;
	enum bench_op run;
	uint64_t len, alignment;
	size_t places;
	bool budget;
	double charter_0_18, charter_0_16, charter_floor;
};

static const struct bulk bulks[] = {
	{ "read 64 bytes, random", OP_READ, 64, 8, 512, true, 49, 9.4, 2.6 },
	{ "read 64 bytes, odd addresses", OP_READ, 64, 1, 512, false, 0, 0, 0 },
	{ "write 64 bytes, random", OP_WRITE, 64, 8, 512, true, 0, 0, 0 },
	{ "write 64 bytes, odd addresses", OP_WRITE, 64, 1, 512, false, 0, 0,
	  0 },
	{ "read 16 bytes, random", OP_READ, 16, 16, 512, false, 0, 0, 0 },
	{ "read 1500 bytes, random", OP_READ, 1500, 8, 64, false, 0, 0, 0 },
	{ "read 4096 bytes, random", OP_READ, 4096, 8, 64, true, 107, 55, 63 },
	{ "read 4096 bytes, odd addresses", OP_READ, 4096, 1, 64, false, 0, 0,
	  0 },
	{ "write 4096 bytes, random", OP_WRITE, 4096, 8, 64, true, 0, 0, 0 },
	{ "write 4096 bytes, odd addresses", OP_WRITE, 4096, 1, 64, false, 0,
	  0, 0 },
	{ "copy 4096 bytes within the guest", OP_COPY, 4096, 8, 64, false, 0,
	  0, 0 },
	{ "copy 4096 bytes, odd addresses", OP_COPY, 4096, 1, 64, false, 0, 0,
	  0 },
	{ "copy 64 bytes, odd addresses", OP_COPY, 64, 1, 512, false, 0, 0,
	  0 },
	{ "fill 4096 bytes", OP_FILL, 4096, 8, 64, false, 0, 0, 0 },
};

static void
bulk(const struct fixture *fixture, const struct bulk *bulk)
{
	struct bench_row row = {
		.op = bulk->op,
		.run = bulk->run,
		.budget = bulk->budget ? 6 : 0,
		.budget_over_floor = bulk->budget,
		.charter = { [CRATE_0_18] = bulk->charter_0_18,
			     [CRATE_0_16] = bulk->charter_0_16,
			     [FLOOR] = bulk->charter_floor },
	};
	struct table table, others;
	enum bench_side side;

	make_table(fixture, &table, bulk->places, bulk->len, bulk->alignment);
	make_table(fixture, &others, bulk->places, bulk->len, bulk->alignment);
	set_works(&row, fixture, &table, bulk->run == OP_COPY ? &others : NULL);
	for (side = OURS; side < SIDES; side++)
		row.works[side].len = bulk->len;
	bench_measure(&row);
	free_table(&table);
	free_table(&others);
}

/* The same as above, and below it, with faults caught: for the difference. */
static void
surviving(const struct fixture *fixture)
{
	struct bench_row row = {
		.op = "read u64, surviving faults",
		.run = OP_READ_U64,
	};
	const struct bulk long_read = {
		.op = "read 4096 bytes, surviving faults",
		.run = OP_READ,
		.len = 4096,
		.alignment = 8,
		.places = 64,
	};
	struct table table;

	/* Not on every processor. */
	if (vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS) != 0)
		return;
	make_table(fixture, &table, 512, 8, 8);
	set_works(&row, fixture, &table, NULL);
	bench_measure(&row);
	free_table(&table);
	if (bench_wants(long_read.op))
		bulk(fixture, &long_read);
	bench_must(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS),
		   "fault_disable");
}

static void
across(const struct fixture *fixture)
{
	struct bench_row row = {
		.op = "512 bytes across two regions",
		.run = OP_READ,
		.budget = 18,
		.charter = { [CRATE_0_18] = 58, [FLOOR] = 9 },
	};
	struct table table, others;
	enum bench_side side;
	size_t i;

	make_table(fixture, &table, 1, 512, 8);
	make_table(fixture, &others, 1, 512, 8);
	for (i = 0; i < ADDRESSES; i++) {
		uint64_t border = (1 + bench_random(REGIONS - 1)) * REGION;

		table.gpas[i] = border - 256;
		table.hosts[i] = fixture_host(fixture, border - 256);
		others.hosts[i] = fixture_host(fixture, border);
		memset((void *)(uintptr_t)table.hosts[i], 1, 256);
		memset((void *)(uintptr_t)others.hosts[i], 1, 256);
	}
	set_works(&row, fixture, &table, &others);
	for (side = OURS; side < SIDES; side++)
		row.works[side].len = 512;
	bench_measure(&row);
	free_table(&table);
	free_table(&others);
}

void
bench_access_rows(void)
{
	struct fixture fixture, logged;
	size_t i;

	fixture_large(&fixture, REGIONS, REGION, false);
	fixture_large(&logged, REGIONS, REGION, true);
	small(&fixture, &logged);
	for (i = 0; i < sizeof(bulks) / sizeof(bulks[0]); i++)
		if (bench_wants(bulks[i].op))
			bulk(&fixture, &bulks[i]);
	surviving(&fixture);
	if (bench_wants("512 bytes across two regions"))
		across(&fixture);
	fixture_free(&fixture);
	fixture_free(&logged);
}
