/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What each function that takes a collection does with a translated one. */
#include <errno.h>

#include "iommus.h"
#include "suite.h"

START_TEST(integers)
{
	uint64_t i, u64;
	uint32_t u32;
	uint16_t u16;
	uint8_t u8;

	/* Two pages the other way round, and across them. */
	see_map(IOVA, 0x3000, 0x1000, RW);
	see_map(IOVA + 0x1000, 0x1000, 0x1000, RW);
	for (i = 0; i < 20; i++) {
		assert_ok(vmmem_collection_write_le64(see.map, IOVA + 0xff0 + i,
						      0x0807060504030201));
		assert_ok(vmmem_collection_read_le64(see.map, IOVA + 0xff0 + i,
						     &u64));
		ck_assert_uint_eq(u64, 0x0807060504030201);
		assert_ok(vmmem_collection_read_be32(see.map,
						     IOVA + 0xff0 + i, &u32));
		ck_assert_uint_eq(u32, 0x01020304);
		assert_ok(vmmem_collection_read_le16(see.map,
						     IOVA + 0xff0 + i, &u16));
		ck_assert_uint_eq(u16, 0x0201);
		assert_ok(vmmem_collection_read_u8(see.map, IOVA + 0xff0 + i,
						   &u8));
		ck_assert_uint_eq(u8, 1);
	}
	ck_assert_uint_eq(*host_of(see.physical, 0x1005), 0x03);
}
END_TEST

/* What is wrong with an atomic, in the order in which it is found. */
START_TEST(atomics_are_refused)
{
	struct vmmem_collection *m = see.map;
	uint64_t u64 = 5;
	uint32_t u32 = 5;

	see_map(IOVA, 0x3000, 0x1000, RW);
	see_map(IOVA + 0x1000, 0x1000, 0x1000, R);
	see_map(IOVA + 0x2004, 0x2000, 0x100, RW); /* differs modulo 16 */
	see_map(IOVA + 0x3000, LEN, 0x1000, RW);   /* no region there */
	assert_code(vmmem_collection_load_u64(m, IOVA + 0x8000,
					      VMMEM_ORDER_ACQUIRE, &u64),
		    VMMEM_EIOMMUMISS);
	assert_code(vmmem_collection_load_u64(m, IOVA + 0xffc,
					      VMMEM_ORDER_ACQUIRE, &u64),
		    VMMEM_ECROSS);
	assert_code(vmmem_collection_load_u32(m, IOVA + 2, VMMEM_ORDER_ACQUIRE,
					      &u32),
		    VMMEM_EMISALIGNED);
	answer = VMMEM_EDENIED;
	assert_code(vmmem_collection_store_u32(m, IOVA + 0x1000, 1,
					       VMMEM_ORDER_RELEASE),
		    VMMEM_EDENIED);
	assert_code(vmmem_collection_fetch_add_u32(m, IOVA + 0x1000, 1,
						   VMMEM_ORDER_RELAXED, NULL),
		    VMMEM_EDENIED);
	assert_code(vmmem_collection_load_u64(m, IOVA + 0x2008,
					      VMMEM_ORDER_ACQUIRE, &u64),
		    VMMEM_ECONGRUENCE);
	assert_code(vmmem_collection_load_u64(m, IOVA + 0x3000,
					      VMMEM_ORDER_ACQUIRE, &u64),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_load_u64(m, IOVA, VMMEM_ORDER_RELEASE,
					      &u64),
		    VMMEM_EORDER);
	ck_assert_uint_eq(u64, 5);
	ck_assert_uint_eq(u32, 5);
	/* Four bytes are aligned all the same. */
	assert_ok(vmmem_collection_load_u32(m, IOVA + 0x2008,
					    VMMEM_ORDER_ACQUIRE, &u32));
	/* A load needs less. */
	assert_ok(vmmem_collection_load_u64(m, IOVA + 0x1000,
					    VMMEM_ORDER_ACQUIRE, &u64));
}
END_TEST

START_TEST(atomics)
{
	struct vmmem_collection *m = see.map;
	uint64_t u64;
	uint16_t u16;

	see_map(IOVA, 0x3000, 0x1000, RW);
	assert_ok(vmmem_collection_store_u64(m, IOVA + 8, 10,
					     VMMEM_ORDER_RELEASE));
	assert_ok(vmmem_collection_fetch_add_u64(m, IOVA + 8, 5,
						 VMMEM_ORDER_SEQ_CST, &u64));
	ck_assert_uint_eq(u64, 10);
	assert_ok(vmmem_collection_fetch_or_u64(m, IOVA + 8, 0x10,
						VMMEM_ORDER_SEQ_CST, NULL));
	assert_ok(vmmem_collection_fetch_and_u64(m, IOVA + 8, 0x1e,
						 VMMEM_ORDER_SEQ_CST, &u64));
	ck_assert_uint_eq(u64, 0x1f);
	assert_ok(vmmem_collection_exchange_u64(m, IOVA + 8, 7,
						VMMEM_ORDER_SEQ_CST, &u64));
	ck_assert_uint_eq(u64, 0x1e);
	assert_ok(vmmem_collection_compare_exchange_u64(
		m, IOVA + 8, 8, 9, VMMEM_ORDER_ACQ_REL, VMMEM_ORDER_RELAXED,
		&u64));
	ck_assert_uint_eq(u64, 7);
	assert_ok(vmmem_collection_compare_exchange_u64(
		m, IOVA + 8, 7, 9, VMMEM_ORDER_ACQ_REL, VMMEM_ORDER_RELAXED,
		&u64));
	assert_ok(vmmem_collection_load_u16(see.physical, 0x3008,
					    VMMEM_ORDER_RELAXED, &u16));
	ck_assert_uint_eq(u16, *(uint8_t *)&(uint16_t){ 1 } == 1 ? 9 : 0);
}
END_TEST

/* Look-ups by address translate, others speak of what is behind. */
/* Stops at the one that it looks for; counts the others. */
static int
visit(void *opaque, struct vmmem_region *region)
{
	struct vmmem_region **left = opaque;

	if (region == left[0])
		return 77;
	left[1] = region;
	return 0;
}

START_TEST(lookups)
{
	struct vmmem_region *seen[2] = { NULL, NULL };
	struct vmmem_region *region, *second;
	uint64_t value, len;
	void *host;

	see_map(IOVA, HALF + 0x1000, 0x2000, R);
	second = vmmem_collection_region(see.physical, 1);
	ck_assert_uint_eq(vmmem_collection_count(see.map), 2);
	ck_assert_ptr_eq(vmmem_collection_region(see.map, 1), second);
	ck_assert_ptr_null(vmmem_collection_region(see.map, 2));
	ck_assert_int_eq(vmmem_collection_for_each(see.map, visit, seen), 0);
	ck_assert_ptr_eq(seen[1], second);
	seen[0] = second;
	ck_assert_int_eq(vmmem_collection_for_each(see.map, visit, seen), 77);
	ck_assert_ptr_eq(seen[1], vmmem_collection_region(see.physical, 0));
	assert_ok(vmmem_collection_last(see.map, &value));
	ck_assert_uint_eq(value, LEN - 1);

	ck_assert_ptr_eq(vmmem_collection_find(see.map, IOVA + 0x1fff), second);
	ck_assert_ptr_null(vmmem_collection_find(see.map, IOVA + 0x2000));
	/* These ask the physical one. */
	assert_ok(vmmem_collection_next(see.map, LEN - 1, &region));
	ck_assert_ptr_eq(region, second);
	assert_code(vmmem_collection_next(see.map, IOVA, &region),
		    VMMEM_ENOREGION);
	host = host_of(see.physical, HALF + 5);
	assert_ok(vmmem_collection_host_to_gpa(see.map, host, &value, &len));
	ck_assert_uint_eq(value, HALF + 5);
	ck_assert_uint_eq(len, HALF - 5);
	ck_assert_int_eq(vmmem_collection_contains(see.map, IOVA), 1);
	ck_assert_int_eq(vmmem_collection_contains(see.map, 0x1000), 0);
	assert_ok(vmmem_collection_locate(see.map, IOVA + 5, &region, &value));
	ck_assert_ptr_eq(region, second);
	ck_assert_uint_eq(value, 0x1005);
	assert_code(vmmem_collection_locate(see.map, 5, &region, &value),
		    VMMEM_EIOMMUMISS);
	assert_ok(vmmem_collection_address_add(see.map, IOVA - 5, 5, &value));
	ck_assert_uint_eq(value, IOVA);
	assert_code(vmmem_collection_address_add(see.map, IOVA, 0x2000, &value),
		    VMMEM_EIOMMUMISS);
	assert_code(vmmem_collection_address_add(see.map, TOP, 1, &value),
		    VMMEM_EWRAPS);
	assert_ok(vmmem_collection_host_address(see.map, IOVA + 0x800, R,
						&host, &len));
	ck_assert_ptr_eq(host, host_of(see.physical, HALF + 0x1800));
	ck_assert_uint_eq(len, 0x1800);
	assert_code(vmmem_collection_host_address(see.map, IOVA, W, &host,
						  &len),
		    VMMEM_EIOMMUMISS);
	/* Seen past the end of the region, it ends there. */
	see_map(0x500000, LEN - 0x1000, 0x3000, RW);
	assert_ok(vmmem_collection_host_address(see.map, 0x500000, W, &host,
						&len));
	ck_assert_uint_eq(len, 0x1000);
	assert_code(vmmem_collection_check(see.map, 0x500000, 0x3000, R,
					   &value),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(value, 0x501000);
}
END_TEST

/* A changed map is seen through the same iommu. */
START_TEST(insert_and_remove)
{
	struct vmmem_region *region = region_of(LEN, 0x1000), *removed;
	struct vmmem_collection *larger, *smaller;

	see_map(IOVA, LEN, 0x1000, RW);
	assert_code(vmmem_collection_write_u8(see.map, IOVA, 1),
		    VMMEM_EBADADDR);
	assert_ok(vmmem_collection_insert(see.map, region, &larger));
	ck_assert_ptr_nonnull(vmmem_collection_physical(larger));
	assert_ok(vmmem_collection_write_u8(larger, IOVA, 1));
	assert_code(vmmem_collection_insert(larger, region, &smaller),
		    VMMEM_EOVERLAP);
	assert_ok(vmmem_collection_remove(larger, LEN, 0x1000, &smaller,
					  &removed));
	ck_assert_ptr_eq(removed, region);
	assert_code(vmmem_collection_write_u8(smaller, IOVA, 1),
		    VMMEM_EBADADDR);
	assert_ok(vmmem_collection_write_u8(larger, IOVA, 1));
	assert_code(vmmem_collection_remove(larger, 1, 1, &smaller, NULL),
		    VMMEM_ENOREGION);
	vmmem_collection_unref(larger);
	vmmem_collection_unref(smaller);
	vmmem_region_unref(removed);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(slices)
{
	struct vmmem_slice slice = { .len = 99 };
	uint64_t at, step, total = 0;
	uint32_t value;

	see_map(IOVA, 0x3000, 0x1000, RW);
	see_map(IOVA + 0x1000, HALF - 0x800, 0x1000, RW); /* two regions */
	see_map(IOVA + 0x2000, 0x1000, 0x1000, R);
	assert_ok(vmmem_collection_slice(see.map, IOVA + 0x10, 0xff0, RW,
					 &slice));
	ck_assert_ptr_eq(slice.host, host_of(see.physical, 0x3010));
	assert_ok(vmmem_slice_write_u32(&slice, 0xfec, 7));
	assert_ok(vmmem_collection_read_u32(see.map, IOVA + 0xffc, &value));
	ck_assert_uint_eq(value, 7);
	vmmem_slice_release(&slice);
	assert_code(vmmem_collection_slice(see.map, IOVA, 0x1001, R, &slice),
		    VMMEM_ECROSS);
	assert_code(vmmem_collection_slice(see.map, IOVA + 0x1000, 0x1000, R,
					   &slice),
		    VMMEM_ECROSS);
	assert_code(vmmem_collection_slice(see.map, IOVA + 0x2000, 1, W,
					   &slice),
		    VMMEM_EIOMMUMISS);
	assert_code(vmmem_collection_slice(see.map, 0, 1, R, &slice),
		    VMMEM_EIOMMUMISS);
	assert_ok(vmmem_collection_slice(see.map, 0, 0, W, &slice));
	ck_assert_uint_eq(slice.len, 0);

	for (at = IOVA; at < IOVA + 0x3000; at += step) {
		assert_ok(vmmem_collection_next_slice(
			see.map, at, IOVA + 0x3000 - at, R, &slice));
		total++;
		step = slice.len;
		vmmem_slice_release(&slice);
	}
	ck_assert_uint_eq(total, 4);
	assert_code(vmmem_collection_next_slice(see.map, at, 1, R, &slice),
		    VMMEM_EIOMMUMISS);
	see_map(TOP, 0x10, 1, R);
	assert_ok(vmmem_collection_next_slice(see.map, TOP, 1, R, &slice));
	assert_code(vmmem_collection_next_slice(see.map, TOP, 2, R, &slice),
		    VMMEM_EWRAPS);
}
END_TEST

/* What is missing of a slice is asked for, and may be one piece with the rest. */
START_TEST(slices_are_asked_for)
{
	struct vmmem_slice slice = { .len = 99 };

	answer = ANSWER_MAP_PAGE;
	see_map(IOVA, 0, 0x1000, RW);
	assert_ok(vmmem_collection_slice(see.map, IOVA + 0x800, 0x1800, RW,
					 &slice));
	ck_assert_uint_eq(slice.len, 0x1800);
	ck_assert_ptr_eq(slice.host, host_of(see.physical, 0x800));
	ck_assert_int_eq(asked.count, 1);
	ck_assert_uint_eq(asked.iova[0], IOVA + 0x1000);
	vmmem_slice_release(&slice);
	/* It is not one piece, though all of it is there. */
	see_map(IOVA + 0x4000, 0x2000, 0x1000, RW);
	assert_code(vmmem_collection_slice(see.map, IOVA + 0x4000, 0x2000, RW,
					   &slice),
		    VMMEM_ECROSS);
	ck_assert_int_eq(asked.count, 2);
	/* A handler that does not answer is asked once. */
	answer = -ENXIO;
	assert_code(vmmem_collection_slice(see.map, IOVA + 0x5000, 0x2000, RW,
					   &slice),
		    -ENXIO);
	ck_assert_int_eq(asked.count, 3);
}
END_TEST

/* At the top of the iova space, and at the top of what it leads to. */
START_TEST(nothing_wraps)
{
	uint8_t bytes[0x20];
	uint64_t bad;
	size_t done;

	see_map(TOP - 0xfff, 0x1000, 0x1000, RW);
	see_map(0, 0x2000, 0x1000, RW);
	pattern(host_of(see.physical, 0x1000), 0x1000, 5);
	assert_ok(vmmem_collection_read(see.map, TOP - 0xf, bytes, 0x10,
					NULL));
	ck_assert_mem_eq(bytes, host_of(see.physical, 0x1ff0), 0x10);
	assert_code(vmmem_collection_read(see.map, TOP - 0xf, bytes, 0x20,
					  &done),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_read_some(see.map, TOP - 0xf, bytes, 0x20,
					       &done),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(done, 0x10);
	assert_code(vmmem_collection_fill(see.map, TOP, UINT64_MAX, 1, NULL),
		    VMMEM_EWRAPS);
	assert_code(vmmem_collection_check(see.map, TOP, 2, R, &bad),
		    VMMEM_EWRAPS);
	assert_code(vmmem_collection_copy(see.map, TOP - 7, 0, 0x10, NULL),
		    VMMEM_EWRAPS);
	assert_ok(vmmem_collection_write(see.map, TOP, NULL, 0, &done));
}
END_TEST

/* A log by iova of what is written, however it is written. */
static struct {
	int count;
	uint64_t iova;
	uint64_t len;
} lost;

static void
note_lost(void *opaque, uint64_t iova, uint64_t len)
{
	(void)opaque;
	lost.count++;
	lost.iova = iova;
	lost.len = len;
}

static struct vmmem_bitmap *
open_logged(void)
{
	struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = see_miss,
		.unlogged = note_lost,
		.log_start = IOVA,
	};
	struct vmmem_bitmap *log;

	memset(&lost, 0, sizeof(lost));
	see_close();
	assert_ok(vmmem_bitmap_new(0x4000, 0x8000, 0x1000, NULL, &log));
	options.log = log;
	see_open(16, &options);
	see_map(IOVA - 0x1000, HALF, 0x6000, RW);
	return log;
}

/*
 * The kernel is writing when the translation goes.  What it wrote is marked
 * where it is; by its iova it cannot be found any more, which is a code, and
 * nobody is asked: the guest may have the page back.
 */
START_TEST(marks_after_the_translation_is_gone)
{
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(
		vmmem_collection_region(see.physical, 1));
	const struct vmmem_range chain[] = {
		{ IOVA + 0xff0, 0x20 }, { IOVA + 0x3000, 0x1000 },
	};
	struct vmmem_slice list[4];
	uint64_t section;
	size_t count;

	answer = VMMEM_IOMMU_LATER;
	assert_ok(vmmem_bitmap_start_logging(bitmap));
	see_map(IOVA, HALF + 0x5000, 0x1000, RW);
	see_map(IOVA + 0x1000, HALF + 0x2000, 0x1000, RW);
	see_map(IOVA + 0x3000, HALF, 0x1000, RW);
	section = vmmem_iotlb_enter(see.iotlb);
	assert_ok(vmmem_collection_slice_list(see.map, chain, 2, W, list, 4,
					      &count, NULL));
	ck_assert_uint_eq(count, 3);
	vmmem_iotlb_unmap_all(see.iotlb);
	assert_code(vmmem_collection_mark_ranges(see.map, chain, 2, 0x1020),
		    VMMEM_EIOMMUMISS);
	ck_assert_int_eq(asked.count, 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	assert_ok(vmmem_slice_list_mark(list, count, 0x1020));
	vmmem_iotlb_leave(see.iotlb, section);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 3);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 0x5000), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 0x2000), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 0), 1);
	assert_ok(vmmem_bitmap_stop_logging(bitmap));
}
END_TEST

/* What comes behind a gap, or what leads nowhere, is marked all the same. */
START_TEST(marks_behind_gaps)
{
	struct vmmem_bitmap *own = vmmem_region_bitmap(
		vmmem_collection_region(see.physical, 1));

	assert_ok(vmmem_bitmap_start_logging(own));
	/* A page, a gap, a page that leads nowhere, the page behind it. */
	see_map(IOVA, HALF, 0x1000, RW);
	see_map(IOVA + 0x2000, LEN, 0x1000, RW);
	see_map(IOVA + 0x3000, HALF + 0x1000, 0x1000, RW);
	assert_code(vmmem_collection_mark(see.map, IOVA + 8, 0x3000),
		    VMMEM_EIOMMUMISS);
	ck_assert_int_eq(vmmem_bitmap_test(own, 0), 1);
	ck_assert_int_eq(vmmem_bitmap_test(own, 0x1000), 1);
	ck_assert_uint_eq(vmmem_bitmap_count(own), 2);
	assert_ok(vmmem_bitmap_clear(own, 0, HALF));

	/* From above the last region's end, and from nowhere up to memory. */
	assert_code(vmmem_collection_mark(see.map, IOVA + 0x2000, 0x1001),
		    VMMEM_EBADADDR);
	ck_assert_int_eq(vmmem_bitmap_test(own, 0x1000), 1);
	ck_assert_uint_eq(vmmem_bitmap_count(own), 1);
	assert_ok(vmmem_bitmap_clear(own, 0, HALF));
	see_map(IOVA + 0x4000, UINT64_C(0) - 0x1000, 0x1000, RW);
	see_map(IOVA + 0x5000, HALF, 0x1000, RW);
	assert_code(vmmem_collection_mark(see.map, IOVA + 0x4000, 0x2000),
		    VMMEM_EBADADDR);
	ck_assert_int_eq(vmmem_bitmap_test(own, 0), 1);
	assert_ok(vmmem_bitmap_clear(own, 0, HALF));

	/* Off, it is as without an iommu. */
	assert_ok(vmmem_iommu_set_enabled(see.iommu, 0));
	assert_code(vmmem_collection_mark(see.map, LEN - 1, 2),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(vmmem_bitmap_count(own), 1);
}
END_TEST

/* One entry across a hole between two regions, one of which is at the top. */
START_TEST(marks_behind_holes)
{
	const uint64_t high = UINT64_C(0) - 0x1000;
	struct vmmem_region *regions[2];
	struct vmmem_collection *holes, *map;
	struct vmmem_bitmap *logs[2];
	int i;

	regions[0] = tracked_region(0x1000, 0x1000);
	regions[1] = tracked_region(high - 0x1000, 0x2000);
	for (i = 0; i < 2; i++) {
		logs[i] = vmmem_region_bitmap(regions[i]);
		assert_ok(vmmem_bitmap_start_logging(logs[i]));
	}
	holes = guest_of(regions, 2);
	assert_ok(vmmem_collection_new_translated(see.iommu, holes, &map));
	see_map(0, 0, high, RW);
	assert_code(vmmem_collection_mark(map, 0, high), VMMEM_EBADADDR);
	ck_assert_uint_eq(vmmem_bitmap_count(logs[0]), 1);
	ck_assert_uint_eq(vmmem_bitmap_count(logs[1]), 1);
	ck_assert_int_eq(vmmem_bitmap_test(logs[1], 0), 1);
	see_map(high, high, 0x1000, RW);
	assert_code(vmmem_collection_mark(map, high - 0x2000, 0x8000),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(vmmem_bitmap_count(logs[1]), 2);
	assert_code(vmmem_collection_mark(map, high, 0x8000),
		    VMMEM_EWRAPS);
	vmmem_collection_unref(map);
	vmmem_collection_unref(holes);
}
END_TEST

START_TEST(log_by_iova)
{
	struct vmmem_bitmap *log = open_logged();
	struct vmmem_bitmap *own = vmmem_region_bitmap(
		vmmem_collection_region(see.physical, 1));
	uint64_t where = 7;

	/* Logging is off at first. */
	assert_ok(vmmem_collection_write_u8(see.map, IOVA, 1));
	assert_ok(vmmem_collection_write_u8(see.map, IOVA - 1, 1));
	ck_assert_uint_eq(vmmem_bitmap_count(log), 0);
	ck_assert_uint_eq(vmmem_iommu_unlogged(see.iommu, &where), 0);
	ck_assert_uint_eq(where, 7);
	assert_ok(vmmem_bitmap_start_logging(log));
	assert_ok(vmmem_bitmap_start_logging(own));
	assert_ok(vmmem_collection_write_u8(see.map, IOVA, 1));
	ck_assert_int_eq(vmmem_bitmap_test(log, 0), 1);
	assert_ok(vmmem_collection_write_u64(see.map, IOVA + 0xffc, 1));
	ck_assert_int_eq(vmmem_bitmap_test(log, 0x1000), 1);
	assert_ok(vmmem_collection_store_u32(see.map, IOVA + 0x2000, 1,
					     VMMEM_ORDER_RELEASE));
	assert_ok(vmmem_collection_fill(see.map, IOVA + 0x3000, 2, 1, NULL));
	ck_assert_uint_eq(vmmem_bitmap_count(log), 4);
	/* There, and only there. */
	ck_assert_uint_eq(vmmem_bitmap_count(own), 0);
	/* Past its end, and before its start: counted and told. */
	ck_assert_int_eq(lost.count, 0);
	assert_ok(vmmem_collection_fill(see.map, IOVA + 0x3ff0, 0x20, 2,
					NULL));
	ck_assert_int_eq(lost.count, 1);
	ck_assert_uint_eq(lost.iova, IOVA + 0x4000);
	ck_assert_uint_eq(lost.len, 0x10);
	assert_ok(vmmem_collection_fill(see.map, IOVA - 3, 5, 2, NULL));
	ck_assert_uint_eq(lost.iova, IOVA - 3);
	ck_assert_uint_eq(lost.len, 3);
	assert_ok(vmmem_collection_write_u64(see.map, IOVA - 0x100, 2));
	ck_assert_uint_eq(vmmem_iommu_unlogged(see.iommu, &where), 0x10 + 11);
	ck_assert_uint_eq(where, IOVA - 0x100);
	/* It grows while it is used. */
	assert_ok(vmmem_bitmap_grow(log, 0x8000));
	assert_ok(vmmem_collection_write_u64(see.map, IOVA + 0x4000, 2));
	ck_assert_int_eq(lost.count, 3);
	ck_assert_int_eq(vmmem_bitmap_test(log, 0x4000), 1);
	/* Off, the region's own is what counts. */
	assert_ok(vmmem_iommu_set_enabled(see.iommu, 0));
	assert_ok(vmmem_collection_write_u64(see.map, HALF, 2));
	ck_assert_uint_eq(vmmem_bitmap_count(own), 1);
	vmmem_bitmap_unref(log);
}
END_TEST

/* What overlaps is copied from its end: it is marked where it was written. */
START_TEST(copies_log_by_iova)
{
	struct vmmem_bitmap *log = open_logged();
	uint64_t page;

	assert_ok(vmmem_bitmap_start_logging(log));
	assert_ok(vmmem_collection_copy(see.map, IOVA + 0x1ff8, IOVA + 0x1000,
					0x1008, NULL));
	for (page = 0; page < 4; page++)
		ck_assert_int_eq(vmmem_bitmap_test(log, page * 0x1000),
				 page == 1 || page == 2);
	ck_assert_int_eq(lost.count, 0);
	/* The same, of several pieces. */
	assert_ok(vmmem_bitmap_clear(log, 0, 0x4000));
	assert_ok(vmmem_iotlb_unmap(see.iotlb, IOVA - 0x1000, 0x6000));
	for (page = 0; page < 4; page++)
		see_map(IOVA + page * 0x1000, HALF + (3 - page) * 0x1000,
			0x1000, RW);
	assert_ok(vmmem_collection_copy(see.map, IOVA + 0x1ff8, IOVA + 0x1000,
					0x1008, NULL));
	for (page = 0; page < 4; page++)
		ck_assert_int_eq(vmmem_bitmap_test(log, page * 0x1000),
				 page == 1 || page == 2);
	vmmem_bitmap_unref(log);
}
END_TEST

START_TEST(slices_log_by_iova)
{
	struct vmmem_bitmap *log = open_logged();
	struct vmmem_slice slice = { .len = 99 };

	assert_ok(vmmem_bitmap_start_logging(log));
	assert_ok(vmmem_collection_slice(see.map, IOVA + 0x1800, 0x1000, RW,
					 &slice));
	assert_ok(vmmem_slice_write_u8(&slice, 0xfff, 1));
	ck_assert_uint_eq(vmmem_bitmap_count(log), 1);
	ck_assert_int_eq(vmmem_bitmap_test(log, 0x2000), 1);
	/* What the log does not cover cannot be had for writing. */
	assert_code(vmmem_collection_slice(see.map, IOVA + 0x3000, 0x1001, W,
					   &slice),
		    VMMEM_EUNLOGGED);
	assert_code(vmmem_collection_slice(see.map, IOVA - 1, 1, W, &slice),
		    VMMEM_EUNLOGGED);
	assert_ok(vmmem_collection_slice(see.map, IOVA - 1, 1, R, &slice));
	assert_ok(vmmem_collection_next_slice(see.map, IOVA + 0x3000, 0x2000,
					      W, &slice));
	ck_assert_uint_eq(slice.len, 0x1000);
	assert_code(vmmem_collection_next_slice(see.map, IOVA + 0x4000, 0x1000,
						W, &slice),
		    VMMEM_EUNLOGGED);
	vmmem_bitmap_unref(log);
}
END_TEST

/* Custom regions are reached by their callbacks, through an iommu too. */
static uint8_t custom_bytes[0x1000];

static int
custom_read(void *opaque, uint64_t offset, void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	memcpy(buf, custom_bytes + offset, len);
	return 0;
}

static int
custom_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	     const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	if (offset >= 0x800)
		return -EIO;
	memcpy(custom_bytes + offset, buf, len);
	return 0;
}

START_TEST(custom_regions)
{
	const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.read = custom_read,
		.write = custom_write,
	};
	struct vmmem_collection *map;
	struct vmmem_slice slice;
	struct vmmem_region *region;
	uint64_t filled;
	uint32_t value;
	size_t done;
	void *host;

	assert_ok(vmmem_region_new_custom(LEN, sizeof(custom_bytes), &ops,
					  NULL, &region));
	assert_ok(vmmem_collection_insert(see.map, region, &map));
	vmmem_region_unref(region);
	see_map(IOVA, LEN + 0x7f0, 0x20, RW);
	see_map(IOVA + 0x20, 0, 0x1000, RW);
	assert_ok(vmmem_collection_write_u32(map, IOVA + 0xc, 5));
	assert_ok(vmmem_collection_read_u32(map, IOVA + 0xc, &value));
	ck_assert_uint_eq(value, 5);
	assert_code(vmmem_collection_write_u32(map, IOVA + 0x10, 5), -EIO);
	assert_code(vmmem_collection_load_u32(map, IOVA, VMMEM_ORDER_ACQUIRE,
					      &value),
		    VMMEM_ENOHOST);
	assert_code(vmmem_collection_slice(map, IOVA, 1, R, &slice),
		    VMMEM_ENOHOST);
	assert_code(vmmem_collection_host_address(map, IOVA, R, &host, &filled),
		    VMMEM_ENOHOST);
	assert_ok(vmmem_collection_host_address(map, IOVA + 0x20, R, &host,
						&filled));
	ck_assert_ptr_eq(host, host_of(see.physical, 0));
	ck_assert_uint_eq(filled, 0x1000);
	assert_code(vmmem_collection_fill(map, IOVA + 0x10, 0x20, 1, &filled),
		    -EIO);
	ck_assert_uint_eq(filled, 0);
	assert_ok(vmmem_collection_write(map, IOVA, custom_bytes, 0x10, &done));
	assert_ok(vmmem_collection_copy(map, IOVA + 0x21, IOVA + 1, 0x20,
					NULL));
	vmmem_collection_unref(map);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iommu_access");
	TCase *tcase = tcase_create("iommu_access");

	tcase_add_checked_fixture(tcase, see_setup, see_teardown);
	tcase_add_test(tcase, integers);
	tcase_add_test(tcase, atomics_are_refused);
	tcase_add_test(tcase, atomics);
	tcase_add_test(tcase, lookups);
	tcase_add_test(tcase, insert_and_remove);
	tcase_add_test(tcase, slices);
	tcase_add_test(tcase, slices_are_asked_for);
	tcase_add_test(tcase, nothing_wraps);
	tcase_add_test(tcase, marks_after_the_translation_is_gone);
	tcase_add_test(tcase, marks_behind_gaps);
	tcase_add_test(tcase, marks_behind_holes);
	tcase_add_test(tcase, log_by_iova);
	tcase_add_test(tcase, copies_log_by_iova);
	tcase_add_test(tcase, slices_log_by_iova);
	tcase_add_test(tcase, custom_regions);
	suite_add_tcase(suite, tcase);
	return suite;
}
