/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Memory behind an IOMMU: pages of 4 KiB that lie anywhere in 8 regions of
 * 2 GiB.  vm-memory's is IommuMemory over an RwLock<Iotlb>, of 0.18.0 only.
 *
 * In some rows a second thread reads the same pages, or unmaps one that nobody
 * reads and maps it again without a pause; of the side alone whose turn it is.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static int
iotlb_of(size_t capacity, struct vmmem_iotlb **ret_iotlb)
{
	const struct vmmem_iotlb_options options = {
		.size = sizeof(options),
		.capacity = capacity,
	};

	return vmmem_iotlb_new(&options, ret_iotlb);
}

#define REGIONS 8
#define REGION (UINT64_C(2) << 30)
#define PAGE UINT64_C(4096)
#define ADDRESSES 16384
#define MOST 4096
#define RW (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

/* As many reads or changes in a batch, where there is a second thread. */
#define BATCH 20000

struct iommu_peer {
	void *(*new)(const struct bench_range *ranges, size_t count,
		     bool enabled);
	void (*free)(void *map);
	void (*map)(const void *map, uint64_t iova, uint64_t gpa,
		    uint64_t len);
	void (*unmap)(const void *map, uint64_t iova, uint64_t len);
	bench_run *read_u64;
	bench_run *change;
};

#ifdef BENCH_PEERS
extern const struct iommu_peer bench_iommu_peer;
static const struct iommu_peer *const peer = &bench_iommu_peer;
#else
static const struct iommu_peer *const peer;
#endif

static struct {
	struct fixture fixture;
	struct vmmem_iotlb *iotlb;
	struct vmmem_iommu *iommu;
	struct vmmem_collection *map;
	void *peer_map;
	uint64_t iovas[ADDRESSES];
	uint64_t hosts[ADDRESSES];
	/* Of whole pages, for those that change them; and where they lead. */
	uint64_t pages[ADDRESSES];
	uint64_t targets[ADDRESSES];
} world;

/* ---- both sides ---------------------------------------------------------- */

/* A page goes away and comes back, at each address in turn. */
static uint64_t
change(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++) {
		const uint64_t iova = work.gpas[i & work.mask];

		bench_must(vmmem_iotlb_unmap(world.iotlb, iova, work.len),
			   "unmap");
		bench_must(vmmem_iotlb_map(world.iotlb, iova,
					   work.others[i & work.mask],
					   work.len, RW),
			   "map");
	}
	return 0;
}

static void
map_page(uint64_t iova, uint64_t gpa)
{
	bench_must(vmmem_iotlb_map(world.iotlb, iova, gpa, PAGE, RW), "map");
	if (peer != NULL)
		peer->map(world.peer_map, iova, gpa, PAGE);
}

/*
 * open_world() maps 'count' pages, with gaps between them, to pages that lie in
 * another order; and draws addresses of all of them.
 */
static void
open_world(size_t count)
{
	static uint64_t gpas[MOST];
	size_t i, at, offset;

	fixture_large(&world.fixture, REGIONS, REGION, false);
	bench_must(iotlb_of(count + 2, &world.iotlb), "iotlb");
	bench_must(vmmem_iommu_new(world.iotlb, NULL, &world.iommu), "iommu");
	bench_must(vmmem_collection_new_translated(world.iommu,
						   world.fixture.ours,
						   &world.map),
		   "translated collection");
	if (peer != NULL)
		world.peer_map = peer->new(world.fixture.ranges, REGIONS, true);
	for (i = 0; i < count; i++) {
		gpas[i] = i % REGIONS * REGION +
			  (i / REGIONS * 2654435761U % (count / REGIONS)) *
				  PAGE;
		map_page(2 * i * PAGE, gpas[i]);
		memset((void *)(uintptr_t)fixture_host(&world.fixture,
						       gpas[i]),
		       (int)i, PAGE);
	}
	for (i = 0; i < ADDRESSES; i++) {
		at = bench_random(count);
		offset = bench_random(PAGE / 8) * 8;
		world.iovas[i] = 2 * at * PAGE + offset;
		world.hosts[i] = fixture_host(&world.fixture,
					      gpas[at] + offset);
		world.pages[i] = 2 * at * PAGE;
		world.targets[i] = gpas[at];
	}
	/* The one that nobody reads. */
	map_page(2 * count * PAGE, 0);
}

static void
close_world(void)
{
	if (peer != NULL)
		peer->free(world.peer_map);
	vmmem_collection_unref(world.map);
	vmmem_iommu_unref(world.iommu);
	vmmem_iotlb_unref(world.iotlb);
	fixture_free(&world.fixture);
}

/* ---- the second thread --------------------------------------------------- */

enum job { REST, END, READ, CHANGE };

static struct {
	pthread_t thread;
	enum job job;
	/* What it does, for each side in turn; SIDES: nothing. */
	atomic_int side;
	atomic_int seen; /* the side that it has begun to serve */
	uint64_t iova;
} second;

static void
serve(enum bench_side side)
{
	const struct bench_work reads = {
		.map = side == OURS ? (const void *)world.map : world.peer_map,
		.gpas = world.iovas,
		.mask = ADDRESSES - 1,
	};
	const uint64_t target = 0;
	const struct bench_work changes = {
		.map = world.peer_map,
		.gpas = &second.iova,
		.others = &target,
		.len = PAGE,
	};

	if (second.job == READ && side == OURS)
		bench_ours[OP_READ_U64](&reads, 64);
	else if (second.job == READ)
		peer->read_u64(&reads, 64);
	else if (side == OURS)
		change(&changes, 16);
	else
		peer->change(&changes, 16);
}

static void *
run_second(void *unused)
{
	int side;

	(void)unused;
	while ((side = atomic_load(&second.side)) != -1) {
		if (side == OURS || side == CRATE_0_18)
			serve((enum bench_side)side);
		else
			sched_yield();
		atomic_store(&second.seen, side);
	}
	return NULL;
}

/* Before a batch the second thread turns to its side. */
static void
turn_to(const struct bench_row *row, enum bench_side side)
{
	(void)row;
	atomic_store(&second.side, (int)side);
	while (atomic_load(&second.seen) != (int)side)
		sched_yield();
}

/* ---- rows ---------------------------------------------------------------- */

static void
measure(const char *op, size_t count, enum job job, double budget,
	double charter)
{
	struct bench_row row = {
		.op = op,
		.run = OP_READ_U64,
		.budget = budget,
		.charter = { [CRATE_0_18] = charter },
	};
	enum bench_side side;

	if (!bench_wants(op))
		return;
	for (side = OURS; side < SIDES; side++) {
		row.works[side].gpas = NULL;
		row.works[side].mask = ADDRESSES - 1;
	}
	row.works[OURS].map = world.map;
	row.works[OURS].gpas = world.iovas;
	if (peer != NULL) {
		row.works[CRATE_0_18].map = world.peer_map;
		row.works[CRATE_0_18].gpas = world.iovas;
		row.runs[CRATE_0_18] = peer->read_u64;
	}
	row.works[FLOOR].gpas = world.hosts;
	if (job == REST) {
		bench_measure(&row);
		return;
	}
	row.count = BATCH;
	row.before = turn_to;
	second.job = job;
	second.iova = 2 * count * PAGE;
	atomic_store(&second.side, SIDES);
	atomic_store(&second.seen, SIDES);
	bench_must(pthread_create(&second.thread, NULL, run_second, NULL),
		   "thread");
	bench_measure(&row);
	atomic_store(&second.side, -1);
	pthread_join(second.thread, NULL);
}

static void
measure_changes(const char *op)
{
	struct bench_row row = { .op = op, .run = OP_READ_U64 };

	if (!bench_wants(op))
		return;
	row.works[OURS] = (struct bench_work){
		.map = world.map,
		.gpas = world.pages,
		.others = world.targets,
		.mask = ADDRESSES - 1,
		.len = PAGE,
	};
	row.runs[OURS] = change;
	if (peer != NULL) {
		row.works[CRATE_0_18] = row.works[OURS];
		row.works[CRATE_0_18].map = world.peer_map;
		row.runs[CRATE_0_18] = peer->change;
	}
	bench_measure(&row);
}

static void
measure_off(void)
{
	static uint64_t gpas[ADDRESSES];
	struct bench_row row = {
		.op = "iommu off, read u64, random",
		.run = OP_READ_U64,
	};
	void *off = NULL;
	size_t i;

	if (!bench_wants(row.op))
		return;
	for (i = 0; i < ADDRESSES; i++)
		gpas[i] = world.targets[i] + world.iovas[i] % PAGE;
	row.works[OURS] = (struct bench_work){
		.map = world.map,
		.gpas = gpas,
		.mask = ADDRESSES - 1,
	};
	/* The same without an iommu, for comparison. */
	row.works[INLINE] = row.works[OURS];
	row.works[INLINE].map = world.fixture.ours;
	row.runs[INLINE] = bench_ours[OP_READ_U64];
	if (peer != NULL) {
		off = peer->new(world.fixture.ranges, REGIONS, false);
		row.works[CRATE_0_18] = row.works[OURS];
		row.works[CRATE_0_18].map = off;
		row.runs[CRATE_0_18] = peer->read_u64;
	}
	row.works[FLOOR] = row.works[OURS];
	row.works[FLOOR].map = NULL;
	row.works[FLOOR].gpas = world.hosts;
	bench_must(vmmem_iommu_set_enabled(world.iommu, 0), "off");
	bench_measure(&row);
	bench_must(vmmem_iommu_set_enabled(world.iommu, 1), "on");
	if (off != NULL)
		peer->free(off);
}

static void
note(void)
{
	static const size_t counts[] = { 64, MOST };
	struct vmmem_iotlb *iotlb;
	size_t i;

	if (!bench_wants("iotlb memory"))
		return;
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		bench_must(iotlb_of(counts[i], &iotlb), "iotlb");
		bench_note("iotlb memory, %zu entries: %zu bytes for each",
			   counts[i], vmmem_iotlb_memory(iotlb) / counts[i]);
		vmmem_iotlb_unref(iotlb);
	}
}

void
bench_iommu_rows(void)
{
	if (!bench_wants("iommu read u64, 64 mappings, random") &&
	    !bench_wants("iommu read u64, 4096 mappings, random") &&
	    !bench_wants("iommu off, read u64, random") &&
	    !bench_wants("iommu read u64, 64 mappings, two threads") &&
	    !bench_wants("iommu read u64, 64 mappings, while another changes") &&
	    !bench_wants("iotlb unmap and map, 64 entries") &&
	    !bench_wants("iotlb unmap and map, 4096 entries"))
		return;
	open_world(64);
	measure("iommu read u64, 64 mappings, random", 64, REST, 15, 117);
	measure("iommu read u64, 64 mappings, two threads", 64, READ, 0, 0);
	measure("iommu read u64, 64 mappings, while another changes", 64,
		CHANGE, 0, 0);
	measure_changes("iotlb unmap and map, 64 entries");
	measure_off();
	close_world();

	open_world(MOST);
	measure("iommu read u64, 4096 mappings, random", MOST, REST, 35, 225);
	measure("iommu read u64, 4096 mappings, two threads", MOST, READ, 0,
		0);
	measure("iommu read u64, 4096 mappings, while another changes", MOST,
		CHANGE, 0, 0);
	measure_changes("iotlb unmap and map, 4096 entries");
	close_world();
	note();
}
