/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "fixture.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PAGE UINT64_C(4096)
#define SMALL_PAGES 16

struct vmmem_region *
external_region(const struct bench_range *range)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, range->gpa, range->len);
	vmmem_region_builder_set_external(builder, range->host, NULL, NULL);
	bench_must(vmmem_region_builder_build(builder, &region), "region");
	vmmem_region_builder_free(builder);
	return region;
}

/* finish() makes of the ranges, and our regions, what the others have. */
static void
finish(struct fixture *fixture)
{
	size_t i;

	bench_must(vmmem_collection_new(fixture->regions, fixture->count,
					&fixture->ours),
		   "collection");
	for (i = 0; i < PEERS; i++) {
		if (bench_peers[i] == NULL)
			continue;
		fixture->peers[i] =
			fixture->logged ?
				bench_peers[i]->logged_map_new(
					fixture->ranges, fixture->count) :
				bench_peers[i]->map_new(fixture->ranges,
							fixture->count);
	}
	fixture->starts = bench_alloc(fixture->count,
				      sizeof(*fixture->starts));
	for (i = 0; i < fixture->count; i++)
		fixture->starts[i] = fixture->ranges[i].gpa;
}

static void
begin(struct fixture *fixture, size_t count, bool logged)
{
	*fixture = (struct fixture){ .count = count, .logged = logged };
	fixture->ranges = bench_alloc(count, sizeof(*fixture->ranges));
	fixture->regions = bench_alloc(count, sizeof(struct vmmem_region *));
}

static void *
reserve(uint64_t len, int protection)
{
	void *memory;

	memory = mmap(NULL, len, protection,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	bench_must(memory == MAP_FAILED ? -1 : 0, "mmap");
	/*
	 * Else each page of a table may cost 2 MiB, or not, as it pleases the
	 * kernel.
	 */
	madvise(memory, len, MADV_NOHUGEPAGE);
	return memory;
}

/* nowhere() is what backs regions that nobody looks into. */
static void *
nowhere(void)
{
	static void *memory;

	if (memory == NULL)
		memory = reserve(SMALL_PAGES * PAGE, PROT_NONE);
	return memory;
}

void
fixture_small(struct fixture *fixture, size_t count)
{
	uint64_t gpa = 0;
	size_t i;

	begin(fixture, count, false);
	for (i = 0; i < count; i++) {
		gpa += bench_random(4) * PAGE;
		fixture->ranges[i] = (struct bench_range){
			.gpa = gpa,
			.len = (1 + bench_random(SMALL_PAGES)) * PAGE,
			.host = nowhere(),
		};
		gpa += fixture->ranges[i].len;
		fixture->regions[i] = external_region(&fixture->ranges[i]);
	}
	finish(fixture);
}

void
fixture_spaced(struct fixture *fixture, size_t count)
{
	size_t i;

	begin(fixture, count, false);
	for (i = 0; i < count; i++) {
		fixture->ranges[i] = (struct bench_range){
			.gpa = 2 * i * SPACED,
			.len = SPACED,
			.host = nowhere(),
		};
		fixture->regions[i] = external_region(&fixture->ranges[i]);
	}
	finish(fixture);
}

void
fixture_large(struct fixture *fixture, size_t count, uint64_t len, bool logged)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_bitmap *bitmap;
	size_t i;

	begin(fixture, count, logged);
	for (i = 0; i < count; i++) {
		struct bench_range *range = &fixture->ranges[i];

		*range = (struct bench_range){
			.gpa = i * len,
			.len = len,
			.host = reserve(len, PROT_READ | PROT_WRITE),
		};
		vmmem_region_builder_set_range(builder, range->gpa, len);
		vmmem_region_builder_set_external(builder, range->host, NULL,
						  NULL);
		vmmem_region_builder_set_tracking(builder, logged ? PAGE : 0);
		bench_must(vmmem_region_builder_build(builder,
						      &fixture->regions[i]),
			   "region");
		if (!logged)
			continue;
		bitmap = vmmem_region_bitmap(fixture->regions[i]);
		bench_must(vmmem_bitmap_start_logging(bitmap), "logging");
	}
	vmmem_region_builder_free(builder);
	finish(fixture);
}

void
fixture_free(struct fixture *fixture)
{
	size_t i;

	vmmem_collection_unref(fixture->ours);
	for (i = 0; i < fixture->count; i++)
		vmmem_region_unref(fixture->regions[i]);
	for (i = 0; i < PEERS; i++) {
		if (bench_peers[i] == NULL)
			continue;
		if (fixture->logged)
			bench_peers[i]->logged_map_free(fixture->peers[i]);
		else
			bench_peers[i]->map_free(fixture->peers[i]);
	}
	/* What fixture_large() reserved is left: there are few of these. */
	free(fixture->regions);
	free(fixture->ranges);
	free(fixture->starts);
}

uint64_t
fixture_host(const struct fixture *fixture, uint64_t gpa)
{
	size_t i;

	for (i = 0; i < fixture->count; i++) {
		const struct bench_range *range = &fixture->ranges[i];

		if (gpa - range->gpa < range->len)
			return (uintptr_t)range->host + (gpa - range->gpa);
	}
	bench_fail(-1, "an address that is mapped");
}
