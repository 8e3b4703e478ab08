/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The hot functions, each called often enough to see what one call takes.
 * tools/instructions runs this under callgrind, which counts instructions and
 * writes one dump for each name.
 */
#include <stdio.h>
#include <stdlib.h>

#include <valgrind/callgrind.h>
#include <vmmem/vmmem.h>

#include "instructions.h"

static int
iotlb_of(size_t capacity, struct vmmem_iotlb **ret_iotlb)
{
	const struct vmmem_iotlb_options options = {
		.size = sizeof(options),
		.capacity = capacity,
	};

	return vmmem_iotlb_new(&options, ret_iotlb);
}

#define CALLS 1000
#define PAGE UINT64_C(4096)
#define GIB (UINT64_C(1) << 30)
#define REGION (UINT64_C(1) << 20)

/* The few addresses that all functions get in turn. */
#define ADDRESSES 64

static struct vmmem_collection *few, *many, *logged;
static struct vmmem_bitmap *bitmap;
static struct vmmem_harvester *harvester;
static struct vmmem_slice slice;
static struct vmmem_space *space;
static struct vmmem_reader *reader;
static struct vmmem_region *inserted;
/* Seen through an iommu with 64 and with 4096 mappings, and with one off. */
static struct vmmem_collection *translated_64, *translated_4096, *untranslated;
static uint64_t iovas_64[ADDRESSES], iovas_4096[ADDRESSES];
static uint64_t few_gpas[ADDRESSES], many_gpas[ADDRESSES];

static void
must(int rc)
{
	if (rc != 0) {
		fprintf(stderr, "instructions: code %d\n", rc);
		exit(1);
	}
}

static void
make(size_t count, struct vmmem_collection **ret_collection, uint64_t *gpas)
{
	struct vmmem_range *ranges = calloc(count, sizeof(*ranges));
	uint64_t random = 1;
	size_t i;

	if (ranges == NULL)
		exit(1);
	for (i = 0; i < count; i++)
		ranges[i] = (struct vmmem_range){ 2 * i * REGION, REGION };
	must(vmmem_collection_new_ranges(ranges, count, NULL, ret_collection));
	free(ranges);
	/* Always the same ones: what is counted must not depend on luck. */
	for (i = 0; i < ADDRESSES; i++) {
		random = random * UINT64_C(6364136223846793005) + 1;
		gpas[i] = 2 * ((random >> 33) % count) * REGION +
			  (random >> 40) % (REGION / 64) * 64;
	}
}

/* make_logged() makes a map of the first of few's regions, with a log. */
static void
make_logged(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, few_gpas[0] / REGION * REGION,
				       REGION);
	vmmem_region_builder_set_tracking(builder, PAGE);
	must(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	must(vmmem_bitmap_start_logging(vmmem_region_bitmap(region)));
	must(vmmem_collection_new(&region, 1, &logged));
	vmmem_region_unref(region);
}

/* make_translated() maps pages of few's regions, with gaps, to others. */
static struct vmmem_collection *
make_translated(size_t count, uint64_t *iovas)
{
	const uint32_t access = VMMEM_PROT_READ | VMMEM_PROT_WRITE;
	struct vmmem_collection *collection;
	struct vmmem_iotlb *iotlb;
	struct vmmem_iommu *iommu;
	uint64_t random = 1;
	size_t i;

	must(iotlb_of(count, &iotlb));
	for (i = 0; i < count; i++)
		must(vmmem_iotlb_map(iotlb, 2 * i * PAGE,
				     i % 8 * 2 * REGION +
					     i * 77 % (REGION / PAGE) * PAGE,
				     PAGE, access));
	must(vmmem_iommu_new(iotlb, NULL, &iommu));
	must(vmmem_collection_new_translated(iommu, few, &collection));
	for (i = 0; i < ADDRESSES; i++) {
		random = random * UINT64_C(6364136223846793005) + 1;
		iovas[i] = 2 * ((random >> 33) % count) * PAGE +
			   (random >> 40) % (PAGE / 8) * 8;
	}
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
	return collection;
}

static void
make_untranslated(void)
{
	struct vmmem_iotlb *iotlb;
	struct vmmem_iommu *iommu;

	must(iotlb_of(1, &iotlb));
	must(vmmem_iommu_new(iotlb, NULL, &iommu));
	must(vmmem_collection_new_translated(iommu, few, &untranslated));
	must(vmmem_iommu_set_enabled(iommu, 0));
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
}

/* nothing() is the loop, which is taken off from what the others take. */
static void
nothing(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		__asm__ volatile("" ::"r"(few_gpas[i % ADDRESSES]) : "memory");
}

static void
find_8(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		(void)vmmem_collection_find(few, few_gpas[i % ADDRESSES]);
}

static void
find_256(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		(void)vmmem_collection_find(many, many_gpas[i % ADDRESSES]);
}

static void
read_8_bytes(void)
{
	uint64_t value;
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_read(few, few_gpas[i % ADDRESSES],
					   &value, sizeof(value), NULL));
}

static void
write_8_bytes(void)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_write(few, few_gpas[i % ADDRESSES],
					    &value, sizeof(value), NULL));
}

static void
read_64_bytes(void)
{
	char buf[64];
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_read(few, few_gpas[i % ADDRESSES], buf,
					   sizeof(buf), NULL));
}

static void
read_64_bytes_odd(void)
{
	char buf[64];
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_read(few, few_gpas[i % ADDRESSES] + 1 +
							i % 7,
					   buf, sizeof(buf), NULL));
}

static void
read_4096_bytes(void)
{
	char buf[PAGE];
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_read(few,
					   few_gpas[i % ADDRESSES] & ~(PAGE - 1),
					   buf, sizeof(buf), NULL));
}

static void
copy_64_bytes_odd(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_copy(few, few_gpas[i % ADDRESSES] + 1,
					   few_gpas[(i + 1) % ADDRESSES] + 4,
					   64, NULL));
}

static void
read_u64(void)
{
	uint64_t value;
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_read_u64(few, few_gpas[i % ADDRESSES],
					       &value));
}

static void
iommu_read_64(void)
{
	uint64_t value;
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_read_u64(
			translated_64, iovas_64[i % ADDRESSES], &value));
}

static void
iommu_read_4096(void)
{
	uint64_t value;
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_read_u64(
			translated_4096, iovas_4096[i % ADDRESSES], &value));
}

static void
iommu_off_read(void)
{
	uint64_t value;
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_read_u64(
			untranslated, few_gpas[i % ADDRESSES], &value));
}

static void
write_u64(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_write_u64(few, few_gpas[i % ADDRESSES],
						i));
}

static void
write_u64_logged(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_write_u64(logged, few_gpas[0], i));
}

static void
load_u32(void)
{
	uint32_t value;
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_load_u32(few, few_gpas[i % ADDRESSES],
					       VMMEM_ORDER_ACQUIRE, &value));
}

static void
store_u32(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_collection_store_u32(few, few_gpas[i % ADDRESSES],
						0, VMMEM_ORDER_RELEASE));
}

static void
slice_load_inline(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(inline_slice_load(&slice, i % ADDRESSES * 8));
}

static void
slice_load(void)
{
	uint64_t value;
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_slice_load_u64(&slice, i % ADDRESSES * 8,
					  VMMEM_ORDER_RELAXED, &value));
}

static void
mark_page(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_bitmap_mark(bitmap, few_gpas[i % ADDRESSES] % GIB,
				       1));
}

static void
harvest_1_gib_clean(void)
{
	uint64_t pages;
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_harvester_take(harvester, &pages));
}

/* Into 256 regions, by the lineage: each old one would be counted else. */
static void
insert_256(void)
{
	struct vmmem_collection *larger;
	size_t i;

	for (i = 0; i < CALLS; i++) {
		must(vmmem_collection_insert(many, inserted, &larger));
		vmmem_collection_unref(larger);
	}
}

static void
enter_leave(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++) {
		(void)vmmem_reader_enter(reader);
		vmmem_reader_leave(reader);
	}
}

static void
enter_leave_inline(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		inline_enter_leave(reader);
}

static void
reader_read_u64(void)
{
	uint64_t value;
	size_t i;

	for (i = 0; i < CALLS; i++)
		must(vmmem_reader_read_u64(reader, few_gpas[i % ADDRESSES],
					   &value));
}

static void
space_get(void)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		vmmem_collection_unref(vmmem_space_get(space));
}

static const struct {
	const char *name;
	void (*run)(void);
} functions[] = {
	{ "nothing", nothing },
	{ "find_8", find_8 },
	{ "find_256", find_256 },
	{ "read_8_bytes", read_8_bytes },
	{ "write_8_bytes", write_8_bytes },
	{ "read_64_bytes", read_64_bytes },
	{ "read_64_bytes_odd", read_64_bytes_odd },
	{ "read_4096_bytes", read_4096_bytes },
	{ "copy_64_bytes_odd", copy_64_bytes_odd },
	{ "read_u64", read_u64 },
	{ "iommu_read_64", iommu_read_64 },
	{ "iommu_read_4096", iommu_read_4096 },
	{ "iommu_off_read", iommu_off_read },
	{ "write_u64", write_u64 },
	{ "write_u64_logged", write_u64_logged },
	{ "load_u32", load_u32 },
	{ "store_u32", store_u32 },
	{ "slice_load", slice_load },
	{ "slice_load_inline", slice_load_inline },
	{ "mark_page", mark_page },
	{ "harvest_1_gib_clean", harvest_1_gib_clean },
	{ "insert_256", insert_256 },
	{ "enter_leave", enter_leave },
	{ "enter_leave_inline", enter_leave_inline },
	{ "reader_read_u64", reader_read_u64 },
	{ "space_get", space_get },
};

/* One place to dump from, for each function. */
static void
measure(const char *name, void (*run)(void))
{
	/* What is done once only is not what is counted. */
	run();
	if (run == harvest_1_gib_clean) {
		/* mark_page() left marks. */
		must(vmmem_harvester_take(harvester, NULL));
		must(vmmem_harvester_confirm(harvester, 0, UINT64_MAX));
	}
	CALLGRIND_ZERO_STATS;
	run();
	CALLGRIND_DUMP_STATS_AT(name);
}

int
main(void)
{
	struct vmmem_region *region;
	size_t i;

	make(8, &few, few_gpas);
	make(256, &many, many_gpas);
	make_logged();
	translated_64 = make_translated(64, iovas_64);
	translated_4096 = make_translated(4096, iovas_4096);
	make_untranslated();
	region = vmmem_collection_region(few, 0);
	must(vmmem_region_slice(region, 0, REGION,
				VMMEM_PROT_READ | VMMEM_PROT_WRITE, &slice));
	must(vmmem_bitmap_new(GIB, 0, PAGE, NULL, &bitmap));
	must(vmmem_harvester_new(bitmap, NULL, &harvester));
	must(vmmem_region_new_anonymous(REGION, REGION, &inserted));
	must(vmmem_space_new(few, NULL, &space));
	must(vmmem_reader_new(space, NULL, &reader));
	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		measure(functions[i].name, functions[i].run);

	vmmem_reader_free(reader);
	vmmem_space_unref(space);
	vmmem_region_unref(inserted);
	vmmem_slice_release(&slice);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
	vmmem_collection_unref(translated_64);
	vmmem_collection_unref(translated_4096);
	vmmem_collection_unref(untranslated);
	vmmem_collection_unref(few);
	vmmem_collection_unref(many);
	vmmem_collection_unref(logged);
	return 0;
}
