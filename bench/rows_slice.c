/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What devices hold on to: a slice that fits the first cache. */
#include <stdlib.h>

#include "fixture.h"

#define LEN UINT64_C(32768)
#define ADDRESSES 4096

static struct vmmem_region *
make_region(void *host, bool logged)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_external(builder, host, NULL, NULL);
	vmmem_region_builder_set_tracking(builder, logged ? 4096 : 0);
	bench_must(vmmem_region_builder_build(builder, &region), "region");
	vmmem_region_builder_free(builder);
	if (logged)
		bench_must(vmmem_bitmap_start_logging(vmmem_region_bitmap(region)),
			   "logging");
	return region;
}

static void
measure(const char *op, enum bench_op run, bool budget, bool logged)
{
	struct bench_row row = {
		.op = op,
		.run = run,
		.budget = budget ? 0.6 : 0,
		.budget_side = INLINE,
	};
	void *peers[PEERS] = { NULL };
	struct vmmem_region *region;
	struct vmmem_slice slice;
	enum bench_side side;
	uint64_t *offsets;
	void *host;
	size_t i;

	if (!bench_wants(op))
		return;
	if (budget) {
		row.charter[CRATE_0_18] = 0.55;
		row.charter[FLOOR] = 0.27;
	}
	host = bench_alloc(LEN, 1);
	region = make_region(host, logged);
	bench_must(vmmem_region_slice(region, 0, LEN,
				      VMMEM_PROT_READ | VMMEM_PROT_WRITE,
				      &slice),
		   "slice");
	offsets = bench_alloc(ADDRESSES, sizeof(*offsets));
	for (i = 0; i < ADDRESSES; i++) {
		offsets[i] = bench_random(LEN / 8) * 8;
		((uint64_t *)host)[i] = bench_random(0);
	}
	/* The crate's slices come without a bitmap here. */
	for (i = 0; i < PEERS && !logged; i++)
		if (bench_peers[i] != NULL)
			peers[i] = bench_peers[i]->slice_new(host, LEN);

	for (side = OURS; side < SIDES; side++) {
		row.works[side].gpas = offsets;
		row.works[side].mask = ADDRESSES - 1;
	}
	row.works[OURS].map = &slice;
	row.works[INLINE].map = &slice;
	row.works[FLOOR].map = host;
	for (i = 0; i < PEERS; i++) {
		row.works[CRATE_0_18 + i].map = peers[i];
		if (peers[i] == NULL)
			row.works[CRATE_0_18 + i].gpas = NULL;
	}
	bench_measure(&row);

	for (i = 0; i < PEERS; i++)
		if (peers[i] != NULL)
			bench_peers[i]->slice_free(peers[i]);
	vmmem_slice_release(&slice);
	vmmem_region_unref(region);
	free(offsets);
	free(host);
}

void
bench_slice_rows(void)
{
	measure("slice load u64", OP_SLICE_LOAD_U64, true, false);
	measure("slice read u64", OP_SLICE_READ_U64, false, false);
	measure("slice write u64", OP_SLICE_WRITE_U64, false, false);
	measure("slice write u64, with dirty log", OP_SLICE_WRITE_U64, false,
		true);
}
