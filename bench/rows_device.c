/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What devices do: descriptors, a ring of them, buffers without a copy. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "fixture.h"

#define REGIONS 8
#define REGION (UINT64_C(2) << 30)
#define CHAINS 64
#define TABLE UINT64_C(0x10000)
#define LONGEST 1500

/* fill_table() makes CHAINS chains of three, in random order. */
static void
fill_table(const struct fixture *fixture, uint64_t *heads)
{
	struct device_descriptor *table = (void *)(uintptr_t)fixture_host(
		fixture, TABLE);
	uint16_t order[DEVICE_RING];
	size_t i, j;

	for (i = 0; i < DEVICE_RING; i++)
		order[i] = (uint16_t)i;
	for (i = DEVICE_RING; i > 1; i--) {
		uint16_t swap = order[i - 1];

		j = bench_random(i);
		order[i - 1] = order[j];
		order[j] = swap;
	}
	for (i = 0; i < DEVICE_RING; i++) {
		struct device_descriptor *one = &table[order[i]];
		bool last = i % 3 == 2 || i == DEVICE_RING - 1;

		one->addr = bench_random(REGIONS) * REGION +
			    bench_random((REGION - LONGEST) / 8) * 8;
		one->len = (uint32_t)(16 + bench_random(LONGEST - 16));
		one->flags = last ? 0 : DEVICE_NEXT;
		one->next = last ? 0 : order[i + 1];
	}
	for (i = 0; i < CHAINS; i++)
		heads[i] = TABLE + order[3 * i] * sizeof(*table);
}

static void
chains(const struct fixture *fixture)
{
	struct bench_row row = {
		.op = "translate a chain of 3 descriptors",
		.run = OP_CHAIN,
	};
	uint64_t heads[CHAINS], table = TABLE;
	enum bench_side side;

	fill_table(fixture, heads);
	for (side = OURS; side < FLOOR; side++) {
		row.works[side].gpas = heads;
		row.works[side].others = &table;
		row.works[side].mask = CHAINS - 1;
	}
	row.works[OURS].map = fixture->ours;
	row.works[CRATE_0_18].map = fixture->peers[0];
	row.works[CRATE_0_16].map = fixture->peers[1];
	bench_measure(&row);
}

static void
ring(const struct fixture *fixture)
{
	struct bench_row row = {
		.op = "walk a ring of 256 descriptors",
		.run = OP_RING,
	};
	const uint64_t len = DEVICE_RING * sizeof(struct device_descriptor);
	void *host = (void *)(uintptr_t)fixture_host(fixture, TABLE);
	uint64_t heads[CHAINS];
	void *peers[PEERS] = { NULL };
	struct vmmem_slice slice;
	size_t i;

	fill_table(fixture, heads);
	bench_must(vmmem_collection_slice(fixture->ours, TABLE, len,
					  VMMEM_PROT_READ, &slice),
		   "slice");
	row.works[OURS].map = &slice;
	row.works[INLINE].map = &slice;
	row.works[FLOOR].map = host;
	for (i = 0; i < PEERS; i++) {
		if (bench_peers[i] != NULL)
			peers[i] = bench_peers[i]->slice_new(host, len);
		row.works[CRATE_0_18 + i].map = peers[i];
	}
	bench_measure(&row);
	vmmem_slice_release(&slice);
	for (i = 0; i < PEERS; i++)
		if (peers[i] != NULL)
			bench_peers[i]->slice_free(peers[i]);
}

#define SMALL (UINT64_C(256) << 10)
#define SMALL_REGIONS 64
#define STARTS 1024

static void
iovecs(void)
{
	struct bench_row row = {
		.op = "iovec of 1 MiB over 4 regions",
		.run = OP_IOVEC,
	};
	uint64_t gpas[STARTS];
	struct fixture fixture;
	enum bench_side side;
	size_t i;

	if (!bench_wants(row.op))
		return;
	fixture_large(&fixture, SMALL_REGIONS, SMALL, false);
	for (i = 0; i < STARTS; i++)
		gpas[i] = bench_random(SMALL_REGIONS - 3) * SMALL;
	for (side = OURS; side < FLOOR; side++) {
		row.works[side].gpas = gpas;
		row.works[side].mask = STARTS - 1;
		row.works[side].len = 4 * SMALL;
	}
	row.works[OURS].map = fixture.ours;
	row.works[CRATE_0_18].map = fixture.peers[0];
	row.works[CRATE_0_16].map = fixture.peers[1];
	bench_measure(&row);
	fixture_free(&fixture);
}

/* A file in memory, read to places in all regions. */
static void
file(const struct fixture *fixture)
{
	struct bench_row row = {
		.op = "read 4 KiB from a memfd",
		.run = OP_READ_FILE,
		.budget = 10,
		.budget_over_floor = true,
		.charter = { [CRATE_0_18] = 577, [FLOOR] = 522 },
	};
	static unsigned char piece[DEVICE_PIECE];
	uint64_t gpas[STARTS], hosts[STARTS];
	enum bench_side side;
	size_t i;
	int fd;

	if (!bench_wants(row.op))
		return;
	fd = memfd_create("bench", MFD_CLOEXEC);
	if (fd < 0)
		bench_fail(0, "memfd_create(2)");
	for (i = 0; i < DEVICE_PIECES; i++)
		if (write(fd, piece, sizeof(piece)) != sizeof(piece))
			bench_fail(0, "write(2)");
	for (i = 0; i < STARTS; i++) {
		/* Few enough pages that what is measured is not the cache. */
		gpas[i] = bench_random(REGIONS) * REGION +
			  bench_random(64) * DEVICE_PIECE;
		hosts[i] = fixture_host(fixture, gpas[i]);
		memset((void *)(uintptr_t)hosts[i], 1, DEVICE_PIECE);
	}
	for (side = OURS; side < SIDES; side++) {
		row.works[side].gpas = side == FLOOR ? hosts : gpas;
		row.works[side].mask = STARTS - 1;
		row.works[side].len = DEVICE_PIECE;
		row.works[side].items = (void *)(intptr_t)fd;
	}
	row.works[OURS].map = fixture->ours;
	row.works[CRATE_0_18].map = fixture->peers[0];
	row.works[CRATE_0_16].map = fixture->peers[1];
	bench_measure(&row);
	close(fd);
}

void
bench_device_rows(void)
{
	struct fixture fixture;

	fixture_large(&fixture, REGIONS, REGION, false);
	chains(&fixture);
	ring(&fixture);
	iovecs();
	file(&fixture);
	fixture_free(&fixture);
}
