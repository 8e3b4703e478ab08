/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Two guests with the same bytes at the same addresses: one through an iommu
 * whose pages lie anywhere, one made of aliases.  Random accesses of all kinds
 * do the same to both, and return the same; so do the marks of their logs.
 *
 * The iotlb is smaller than what is mapped, so most of it is asked for again
 * and again.  VMMEM_TEST_SEED repeats a run.
 */
#include <string.h>

#include "iommus.h"
#include "rng.h"
#include "suite.h"

#define ROUNDS 40000
#define PAGES 32
#define PAGE UINT64_C(0x1000)
/* Seen at addresses that end with the last one. */
#define BASE (TOP - (PAGES * PAGE - 1))
#define NONE PAGES

static struct rng rng;
static uint64_t seed;
static struct vmmem_collection *physical[2], *guest[2];
static struct vmmem_iotlb *iotlb;
static struct vmmem_iommu *iommu;
/* Where each page is, or NONE; and what it permits. */
static uint64_t frames[PAGES];
static uint32_t permits[PAGES];
/* What is removed is pages, so that slices are as long as they are. */
static bool whole_pages;

#define HOLDS(condition)                                                   \
	do {                                                               \
		if (!(condition))                                          \
			ck_abort_msg("seed %#jx: %s", (uintmax_t)seed,     \
				     #condition);                          \
	} while (0)

static int
miss(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
     uint32_t reason)
{
	uint64_t page = (iova - BASE) / PAGE;

	(void)opaque;
	(void)len;
	(void)reason;
	/* As the aliases would say it. */
	if (iova < BASE || frames[page] == NONE)
		return VMMEM_EBADADDR;
	if ((access & ~permits[page]) != 0)
		return VMMEM_EDENIED;
	return vmmem_iotlb_map(iotlb, BASE + page * PAGE, frames[page] * PAGE,
			       PAGE, permits[page]);
}

static struct vmmem_region *
memory(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;

	vmmem_region_builder_set_range(builder, 0, PAGES * PAGE);
	vmmem_region_builder_set_tracking(builder, 64);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_bitmap_start_logging(vmmem_region_bitmap(region)));
	return region;
}

/* The pages shuffled, so that no two go on beside each other. */
static void
draw_pages(void)
{
	uint64_t i, j, swap;

	for (i = 0; i < PAGES; i++) {
		frames[i] = i;
		permits[i] = rng_chance(&rng, 85) ? RW :
			     rng_chance(&rng, 50) ? R :
						    W;
	}
	do {
		for (i = PAGES - 1; i > 0; i--) {
			j = rng_below(&rng, i + 1);
			swap = frames[i];
			frames[i] = frames[j];
			frames[j] = swap;
		}
		for (i = 0; i + 1 < PAGES; i++)
			if (frames[i] + 1 == frames[i + 1])
				break;
	} while (i + 1 < PAGES);
	for (i = 0; i < PAGES; i++)
		if (rng_chance(&rng, 4))
			frames[i] = NONE;
}

static void
make_aliases(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *regions[PAGES];
	size_t i, count = 0;

	for (i = 0; i < PAGES; i++) {
		if (frames[i] == NONE)
			continue;
		vmmem_region_builder_set_range(builder, BASE + i * PAGE, PAGE);
		vmmem_region_builder_set_alias(
			builder, vmmem_collection_region(physical[1], 0),
			frames[i] * PAGE);
		vmmem_region_builder_set_protection(builder, permits[i]);
		assert_ok(vmmem_region_builder_build(builder,
						     &regions[count++]));
	}
	vmmem_region_builder_free(builder);
	guest[1] = guest_of(regions, count);
}

static void
open_both(void)
{
	const struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = miss,
	};

	physical[0] = guest_of_one(memory());
	physical[1] = guest_of_one(memory());
	whole_pages = rng_chance(&rng, 50);
	draw_pages();
	make_aliases();
	assert_ok(iotlb_of(1 + rng_below(&rng, 2 * PAGES), &iotlb));
	assert_ok(vmmem_iommu_new(iotlb, &options, &iommu));
	assert_ok(vmmem_collection_new_translated(iommu, physical[0],
						  &guest[0]));
}

static void
close_both(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		vmmem_collection_unref(guest[i]);
		vmmem_collection_unref(physical[i]);
	}
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
}

/* Addresses before the first and past the last page, too. */
static uint64_t
draw_address(void)
{
	uint64_t gpa = BASE - 64 + rng_below(&rng, PAGES * PAGE + 64);

	return rng_chance(&rng, 30) ? gpa & ~UINT64_C(7) : gpa;
}

static uint64_t
draw_len(void)
{
	switch (rng_below(&rng, 4)) {
	case 0:
		return rng_below(&rng, 17);
	case 1:
		return rng_below(&rng, 300);
	default:
		return rng_below(&rng, 5 * PAGE);
	}
}

static uint8_t bufs[2][PAGES * PAGE];

static void
one_transfer(uint64_t what)
{
	uint64_t gpa = draw_address(), other = draw_address(), len = draw_len();
	uint8_t value = (uint8_t)rng_next(&rng);
	uint64_t bad[2] = { 0, 0 }, filled[2] = { 9, 9 };
	size_t done[2] = { 9, 9 };
	uint32_t access = (uint32_t)rng_below(&rng, 4);
	int rc[2], i;

	if (what >= 2 && what <= 3) {
		pattern(bufs[0], len, value);
		memcpy(bufs[1], bufs[0], len);
	}
	for (i = 0; i < 2; i++) {
		switch (what) {
		case 0:
			rc[i] = vmmem_collection_read(guest[i], gpa, bufs[i],
						      len, &done[i]);
			break;
		case 1:
			rc[i] = vmmem_collection_read_some(guest[i], gpa,
							   bufs[i], len,
							   &done[i]);
			break;
		case 2:
			rc[i] = vmmem_collection_write(guest[i], gpa, bufs[i],
						       len, &done[i]);
			break;
		case 3:
			rc[i] = vmmem_collection_write_some(guest[i], gpa,
							    bufs[i], len,
							    &done[i]);
			break;
		case 4:
			rc[i] = vmmem_collection_fill(guest[i], gpa, len,
						      value, &filled[i]);
			break;
		case 5:
			rc[i] = vmmem_collection_fill_some(
				guest[i], gpa, len, value, &filled[i]);
			break;
		case 6:
			rc[i] = vmmem_collection_copy(guest[i], gpa, other,
						      len, &filled[i]);
			break;
		default:
			rc[i] = vmmem_collection_check(guest[i], gpa, len,
						       access, &bad[i]);
			break;
		}
	}
	HOLDS(rc[0] == rc[1]);
	HOLDS(done[0] == done[1]);
	HOLDS(filled[0] == filled[1]);
	HOLDS(bad[0] == bad[1]);
	if (what <= 1 && done[0] != 9)
		HOLDS(memcmp(bufs[0], bufs[1], done[0]) == 0);
}

static void
one_value(uint64_t what)
{
	uint64_t gpa = draw_address(), value = rng_next(&rng);
	uint64_t u64[2] = { 0, 0 };
	uint32_t u32[2] = { 0, 0 };
	uint16_t u16[2] = { 0, 0 };
	int rc[2], i;

	for (i = 0; i < 2; i++) {
		switch (what) {
		case 0:
			rc[i] = vmmem_collection_read_u64(guest[i], gpa,
							  &u64[i]);
			break;
		case 1:
			rc[i] = vmmem_collection_write_u64(guest[i], gpa,
							   value);
			break;
		case 2:
			rc[i] = vmmem_collection_read_be16(guest[i], gpa,
							   &u16[i]);
			break;
		case 3:
			rc[i] = vmmem_collection_load_u32(
				guest[i], gpa, VMMEM_ORDER_ACQUIRE, &u32[i]);
			break;
		case 4:
			rc[i] = vmmem_collection_store_u64(
				guest[i], gpa, value, VMMEM_ORDER_RELEASE);
			break;
		case 5:
			rc[i] = vmmem_collection_fetch_add_u32(
				guest[i], gpa, (uint32_t)value,
				VMMEM_ORDER_SEQ_CST, &u32[i]);
			break;
		case 6:
			rc[i] = vmmem_collection_compare_exchange_u16(
				guest[i], gpa, (uint16_t)(value % 3),
				(uint16_t)value, VMMEM_ORDER_SEQ_CST,
				VMMEM_ORDER_RELAXED, &u16[i]);
			break;
		default:
			rc[i] = vmmem_collection_exchange_u64(
				guest[i], gpa, value, VMMEM_ORDER_RELAXED,
				&u64[i]);
			break;
		}
	}
	HOLDS(rc[0] == rc[1]);
	HOLDS(u64[0] == u64[1] && u32[0] == u32[1] && u16[0] == u16[1]);
}

static void
one_slice(void)
{
	uint64_t gpa = draw_address(), len = draw_len();
	uint32_t access = (uint32_t)rng_below(&rng, 4);
	bool next = whole_pages && rng_chance(&rng, 50);
	struct vmmem_slice slices[2];
	int rc[2], i;

	memset(slices, 0, sizeof(slices));
	for (i = 0; i < 2; i++) {
		rc[i] = next ? vmmem_collection_next_slice(
				       guest[i], gpa, len, access, &slices[i]) :
			       vmmem_collection_slice(guest[i], gpa, len,
						      access, &slices[i]);
		if (rc[i] == 0 && (access & W) != 0)
			HOLDS(vmmem_slice_fill(&slices[i], 0,
					       slices[i].len,
					       (uint8_t)(gpa + len)) == 0);
	}
	/* Whether it permits the access is found out first, through an iommu. */
	if (rc[0] == VMMEM_EDENIED && rc[1] != 0)
		return;
	HOLDS(rc[0] == rc[1]);
	HOLDS(slices[0].len == slices[1].len);
	HOLDS(slices[0].log_offset == slices[1].log_offset);
}

/* Nothing that is removed is missed: it is asked for again. */
static void
disturb(void)
{
	uint64_t mask = whole_pages ? PAGE - 1 : 0;
	uint64_t from = rng_below(&rng, PAGES * PAGE / 2) & ~mask;
	uint64_t len = rng_below(&rng, PAGES * PAGE / 2) & ~mask;

	HOLDS(vmmem_iotlb_unmap(iotlb, BASE + from, len) == 0);
	if (rng_chance(&rng, 5))
		vmmem_iotlb_unmap_all(iotlb);
}

static void
compare(void)
{
	struct vmmem_bitmap *logs[2];
	uint64_t at;
	int i;

	HOLDS(memcmp(host_of(physical[0], 0), host_of(physical[1], 0),
		     PAGES * PAGE) == 0);
	for (i = 0; i < 2; i++)
		logs[i] = vmmem_region_bitmap(
			vmmem_collection_region(physical[i], 0));
	for (at = 0; at < PAGES * PAGE; at += 64)
		HOLDS(vmmem_bitmap_test(logs[0], at) ==
		      vmmem_bitmap_test(logs[1], at));
	for (i = 0; i < 2; i++)
		HOLDS(vmmem_bitmap_clear(logs[i], 0, PAGES * PAGE) == 0);
}

START_TEST(both_do_the_same)
{
	uint64_t rounds = rng_rounds(ROUNDS), i, what;

	seed = rng_seed();
	rng.state = seed;
	open_both();
	for (i = 1; i <= rounds; i++) {
		what = rng_below(&rng, 100);
		if (what < 45)
			one_transfer(rng_below(&rng, 8));
		else if (what < 80)
			one_value(rng_below(&rng, 8));
		else if (what < 92)
			one_slice();
		else
			disturb();
		if (i % 16 == 0)
			compare();
		if (i % 2000 == 0) {
			close_both();
			open_both();
		}
	}
	compare();
	close_both();
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iommu_duel");
	TCase *tcase = tcase_create("iommu_duel");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, both_do_the_same);
	suite_add_tcase(suite, tcase);
	return suite;
}
