/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The dirty log: marking, and taking what is marked. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define PAGE UINT64_C(4096)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define PAGES_PER_WORD UINT64_C(64)
#define ADDRESSES 65536

/* A log on each side; 'mine' is what a harvest of ours needs. */
struct logs {
	void *mine[1]; /* the bitmap */
	struct vmmem_harvester *harvester;
	void *peers[PEERS];
};

static void
logs_make(struct logs *logs, uint64_t len, bool peers)
{
	struct vmmem_bitmap *bitmap;
	size_t i;

	*logs = (struct logs){ .harvester = NULL };
	bench_must(vmmem_bitmap_new(len, 0, PAGE, NULL, &bitmap), "bitmap");
	logs->mine[0] = bitmap;
	bench_must(vmmem_harvester_new(bitmap, NULL, &logs->harvester),
		   "harvester");
	for (i = 0; i < PEERS; i++)
		if (bench_peers[i] != NULL && peers)
			logs->peers[i] = bench_peers[i]->bitmap_new(len, PAGE);
}

static void
logs_free(struct logs *logs)
{
	size_t i;

	vmmem_harvester_free(logs->harvester);
	vmmem_bitmap_unref(logs->mine[0]);
	for (i = 0; i < PEERS; i++)
		if (logs->peers[i] != NULL)
			bench_peers[i]->bitmap_free(logs->peers[i]);
}

/* The logs that the row at hand marks, to be cleaned before each batch. */
static const struct logs *cleaned;

static void
clean(const struct bench_row *row, enum bench_side side)
{
	(void)row;
	if (side == OURS)
		bench_must(vmmem_harvester_take(cleaned->harvester, NULL) ||
				   vmmem_harvester_confirm(cleaned->harvester,
							   0, UINT64_MAX),
			   "take");
	else if (side == CRATE_0_18 || side == CRATE_0_16)
		bench_peers[side - CRATE_0_18]->runs[OP_HARVEST](
			&row->works[side], 1);
}

static void
set_peers(struct bench_row *row, const struct logs *logs)
{
	size_t i;

	for (i = 0; i < PEERS; i++) {
		row->works[CRATE_0_18 + i] = row->works[OURS];
		row->works[CRATE_0_18 + i].map = logs->peers[i];
		if (logs->peers[i] == NULL)
			row->works[CRATE_0_18 + i].gpas = NULL;
	}
}

/* shuffled_pages() returns the first byte of 'count' pages, all different. */
static uint64_t *
shuffled_pages(uint64_t len, size_t count)
{
	const uint64_t stride = len / PAGE / count;
	uint64_t *gpas = bench_alloc(count, sizeof(*gpas)), swap;
	size_t i, j;

	for (i = 0; i < count; i++)
		gpas[i] = (i * stride + bench_random(stride)) * PAGE;
	for (i = count; i > 1; i--) {
		j = bench_random(i);
		swap = gpas[i - 1];
		gpas[i - 1] = gpas[j];
		gpas[j] = swap;
	}
	return gpas;
}

struct marking {
	const char *op;
	uint64_t len;
	bool first; /* on a log that is clean */
	double budget;
	double charter_0_18, charter_floor;
};

static const struct marking markings[] = {
	{ "mark 1 page", 1, false, 3, 3.3, 0 },
	{ "mark 1 page, the first time", 1, true, 0, 0, 0 },
	{ "mark 1 MiB", UINT64_C(1) << 20, false, 0, 0, 0 },
	{ "mark 1 GiB", GIB, false, 5000, 578e3, 2000 },
};

static void
mark(const struct marking *marking)
{
	struct bench_row row = {
		.op = marking->op,
		.run = OP_MARK,
		.budget = marking->budget,
		.charter = { [CRATE_0_18] = marking->charter_0_18,
			     [FLOOR] = marking->charter_floor },
	};
	const uint64_t bytes = marking->len / PAGE / 8;
	struct logs logs;
	uint64_t *gpas;
	void *words;
	size_t i;

	if (!bench_wants(marking->op))
		return;
	logs_make(&logs, GIB, true);
	gpas = shuffled_pages(GIB, ADDRESSES);
	for (i = 0; i < ADDRESSES && marking->len > 1; i++)
		gpas[i] %= GIB - marking->len + 1;
	words = bench_alloc(bytes + 1, 1);
	row.works[OURS].map = logs.mine[0];
	row.works[OURS].gpas = gpas;
	row.works[OURS].mask = ADDRESSES - 1;
	row.works[OURS].len = marking->len;
	set_peers(&row, &logs);
	if (bytes != 0) {
		row.works[FLOOR].map = words;
		row.works[FLOOR].len = bytes;
	}
	if (marking->first) {
		row.count = ADDRESSES;
		row.before = clean;
		cleaned = &logs;
	}
	bench_measure(&row);
	free(words);
	free(gpas);
	logs_free(&logs);
}

#define BY_SIZE "harvest of a clean log"
#define BY_SIZE_FEW "mark 100 pages and harvest"
#define BY_SHARE "mark pages and harvest 1 GiB"

struct harvesting {
	const char *op;
	uint64_t len;
	size_t dirty;
	bool peers;
	const char *figure;
	double budget;
	double charter_0_18, charter_floor;
};

static const struct harvesting harvestings[] = {
	{ "harvest 1 GiB, clean", GIB, 0, true, BY_SIZE, 200, 10.7e3, 70 },
	{ "harvest 32 GiB, clean", 32 * GIB, 0, true, BY_SIZE, 0, 0, 0 },
	{ "harvest 1 TiB, clean", TIB, 0, true, BY_SIZE, 0, 0, 0 },
	{ "harvest 16 TiB, clean", 16 * TIB, 0, false, BY_SIZE, 0, 0, 0 },
	{ "mark 100 pages and harvest 1 GiB", GIB, 100, true, BY_SIZE_FEW, 0,
	  0, 0 },
	{ "mark 100 pages and harvest 32 GiB", 32 * GIB, 100, true,
	  BY_SIZE_FEW, 0, 0, 0 },
	{ "mark 100 pages and harvest 1 TiB", TIB, 100, true, BY_SIZE_FEW, 0,
	  0, 0 },
	{ "mark 100 pages and harvest 16 TiB", 16 * TIB, 100, false,
	  BY_SIZE_FEW, 0, 0, 0 },
	{ "mark 10000 pages and harvest 1 TiB", TIB, 10000, true, NULL, 0, 0,
	  0 },
	/* Of 262144: from a thousandth of a hundredth to all. */
	{ "mark 3 pages and harvest 1 GiB", GIB, 3, true, BY_SHARE, 0, 0, 0 },
	{ "mark 30 pages and harvest 1 GiB", GIB, 30, true, BY_SHARE, 0, 0,
	  0 },
	{ "mark 300 pages and harvest 1 GiB", GIB, 300, true, BY_SHARE, 0, 0,
	  0 },
	{ "mark 3000 pages and harvest 1 GiB", GIB, 3000, true, BY_SHARE, 0,
	  0, 0 },
	{ "mark 10000 pages and harvest 1 GiB", GIB, 10000, true, BY_SHARE, 0,
	  0, 0 },
	{ "mark 30000 pages and harvest 1 GiB", GIB, 30000, true, BY_SHARE, 0,
	  0, 0 },
	{ "mark all pages and harvest 1 GiB", GIB, 262144, true, BY_SHARE, 0,
	  0, 0 },
};

static void
harvest(const struct harvesting *harvesting)
{
	struct bench_row row = {
		.op = harvesting->op,
		.run = harvesting->dirty != 0 ? OP_MARK_HARVEST : OP_HARVEST,
		.budget = harvesting->budget,
		.charter = { [CRATE_0_18] = harvesting->charter_0_18,
			     [FLOOR] = harvesting->charter_floor },
	};
	uint64_t *gpas, words;
	struct logs logs;
	void *summary;

	if (!bench_wants(harvesting->op))
		return;
	row.figure = harvesting->figure;
	if (harvesting->figure != NULL &&
	    strcmp(harvesting->figure, BY_SHARE) == 0) {
		row.figure_x = "pages marked, of 262144";
		row.figure_at = (double)harvesting->dirty;
		row.figure_base = 10;
	} else {
		row.figure_x = "GiB tracked";
		row.figure_at = (double)harvesting->len / (double)GIB;
		row.figure_base = 2;
	}
	logs_make(&logs, harvesting->len, harvesting->peers);
	gpas = harvesting->dirty != 0 ?
		       shuffled_pages(harvesting->len, harvesting->dirty) :
		       bench_alloc(1, sizeof(*gpas));
	/*
	 * A summary has a bit for each word of bits; of a large one, there is
	 * a summary too.
	 */
	words = harvesting->len / PAGE / PAGES_PER_WORD / PAGES_PER_WORD;
	if (harvesting->len > GIB)
		words /= PAGES_PER_WORD;
	summary = bench_alloc(words, sizeof(uint64_t));
	row.works[OURS].map = logs.harvester;
	row.works[OURS].gpas = gpas;
	row.works[OURS].items = logs.mine;
	row.works[OURS].len = harvesting->dirty;
	set_peers(&row, &logs);
	if (harvesting->dirty == 0) {
		row.works[FLOOR].map = summary;
		row.works[FLOOR].len = words * sizeof(uint64_t);
	}
	bench_measure(&row);
	free(summary);
	free(gpas);
	logs_free(&logs);
}

/* memory() stores how much the process has mapped, and has in memory. */
static void
memory(uint64_t *ret_mapped, uint64_t *ret_resident)
{
	FILE *file = fopen("/proc/self/statm", "re");
	int fields = 0;

	if (file != NULL) {
		fields = fscanf(file, "%" SCNu64 " %" SCNu64, ret_mapped,
				ret_resident);
		fclose(file);
	}
	bench_must(fields == 2 ? 0 : -1, "/proc/self/statm");
}

static void
note(void)
{
	uint64_t mapped[2], resident[2];
	struct vmmem_bitmap *bitmap;

	if (!bench_wants("memory per tracked GiB"))
		return;
	memory(&mapped[0], &resident[0]);
	bench_must(vmmem_bitmap_new(TIB, 0, PAGE, NULL, &bitmap), "bitmap");
	memory(&mapped[1], &resident[1]);
	vmmem_bitmap_unref(bitmap);
	bench_note("memory per tracked GiB: %" PRIu64 " bytes of address "
		   "space, %" PRIu64 " of memory while clean (1 TiB: %" PRIu64
		   " KiB)",
		   (mapped[1] - mapped[0]) * PAGE / 1024,
		   (resident[1] - resident[0]) * PAGE / 1024,
		   (resident[1] - resident[0]) * PAGE / 1024);
}

void
bench_dirty_rows(void)
{
	size_t i;

	for (i = 0; i < sizeof(markings) / sizeof(markings[0]); i++)
		mark(&markings[i]);
	for (i = 0; i < sizeof(harvestings) / sizeof(harvestings[0]); i++)
		harvest(&harvestings[i]);
	note();
}
