/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The IOMMU: what vm-memory 0.18 does, and whether libvmmem matches it, fixes it
 * or differs on purpose.  docs/conformance.md is the table of all marks.
 */
#include <errno.h>

#include "iommus.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)

/*
 * vm-memory: mapping a range of no bytes panics.
 * fix: zero bytes at any address succeed.
 */
START_TEST(g1_map_no_bytes)
{
	assert_ok(vmmem_iotlb_map(see.iotlb, IOVA, 0, 0, RW));
	assert_ok(vmmem_iotlb_map(see.iotlb, TOP, TOP, 0, RW));
	ck_assert_uint_eq(vmmem_iotlb_count(see.iotlb), 0);
}
END_TEST

/*
 * vm-memory: invalidating a range of no bytes panics.
 * fix
 */
START_TEST(g2_unmap_no_bytes)
{
	see_map(IOVA, 0, PAGE, RW);
	assert_ok(vmmem_iotlb_unmap(see.iotlb, IOVA, 0));
	assert_ok(vmmem_iotlb_unmap(see.iotlb, TOP, 0));
	ck_assert_uint_eq(vmmem_iotlb_count(see.iotlb), 1);
}
END_TEST

/*
 * vm-memory: a mapping that ends at 2^64, or past it, panics.
 * fix: the last page can be mapped; what goes past it is a code.
 */
START_TEST(g3_map_the_last_page)
{
	uint8_t byte;

	see_map(UINT64_C(0xfffffffffffff000), 0, PAGE, RW);
	assert_ok(vmmem_collection_write_u8(see.map, TOP, 5));
	assert_ok(vmmem_collection_read_u8(see.physical, PAGE - 1, &byte));
	ck_assert_uint_eq(byte, 5);
	assert_code(vmmem_iotlb_map(see.iotlb, TOP - 0xfff, 0, PAGE + 1, RW),
		    VMMEM_EWRAPS);
}
END_TEST

/*
 * vm-memory: invalidating [0, 2^64 - 1) works.
 * match; and all of it by a function of its own.
 */
START_TEST(g4_unmap_everything)
{
	see_map(IOVA, 0, PAGE, RW);
	see_map(TOP, 0, 1, RW);
	assert_ok(vmmem_iotlb_unmap(see.iotlb, 0, UINT64_MAX));
	ck_assert_uint_eq(vmmem_iotlb_count(see.iotlb), 1);
	vmmem_iotlb_unmap_all(see.iotlb);
	ck_assert_uint_eq(vmmem_iotlb_count(see.iotlb), 0);
}
END_TEST

/*
 * vm-memory: looking up no bytes finds nothing, and that is no error.
 * match
 */
START_TEST(g5_look_up_no_bytes)
{
	struct vmmem_iotlb_piece piece;
	size_t count = 9;

	assert_ok(vmmem_iotlb_lookup(see.iotlb, IOVA, 0, RW, &piece, 1,
				     &count));
	ck_assert_uint_eq(count, 0);
	assert_ok(vmmem_collection_read(see.map, TOP, NULL, 0, NULL));
}
END_TEST

/* The last page is mapped, and so is address 0. */
static void
map_both_ends(void)
{
	see_map(TOP - 0xfff, 0, PAGE, RW);
	see_map(0, PAGE, PAGE, RW);
	assert_ok(vmmem_collection_fill(see.physical, 0, 2 * PAGE, 0x11,
					NULL));
}

/*
 * vm-memory: a check of a range whose end wraps panics, or says yes.
 * fix: VMMEM_EWRAPS.
 */
START_TEST(g6_check_that_wraps)
{
	map_both_ends();
	assert_code(vmmem_collection_check(see.map, TOP - 7, 16, R, NULL),
		    VMMEM_EWRAPS);
	/* Not even what is before the top is there: then that is said. */
	assert_code(vmmem_collection_check(see.map, TOP - 0x1fff, UINT64_MAX,
					   R, NULL),
		    VMMEM_EIOMMUMISS);
}
END_TEST

/*
 * vm-memory: a write to such a range panics, or succeeds and writes nothing.
 * fix: a code, and nothing is written, at either end.
 */
START_TEST(g7_write_that_wraps)
{
	uint8_t bytes[16] = { 0 };
	size_t done = 9;

	map_both_ends();
	assert_code(vmmem_collection_write(see.map, TOP - 7, bytes, 16, &done),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(done, 0);
	ck_assert(all_are(host_of(see.physical, 0), 0x11, 2 * PAGE));
}
END_TEST

/*
 * vm-memory: a load at an address whose end wraps panics.
 * fix: a code.  (An aligned one never wraps.)
 */
START_TEST(g8_load_that_wraps)
{
	uint64_t value;

	map_both_ends();
	assert_code(vmmem_collection_load_u64(see.map, TOP - 3,
					      VMMEM_ORDER_ACQUIRE, &value),
		    VMMEM_EWRAPS);
	assert_ok(vmmem_collection_load_u64(see.map, TOP - 7,
					    VMMEM_ORDER_ACQUIRE, &value));
}
END_TEST

/*
 * vm-memory: a store at such an address panics.
 * fix
 */
START_TEST(g9_store_that_wraps)
{
	map_both_ends();
	assert_code(vmmem_collection_store_u32(see.map, TOP, 1,
					       VMMEM_ORDER_RELEASE),
		    VMMEM_EWRAPS);
	ck_assert(all_are(host_of(see.physical, 0), 0x11, 2 * PAGE));
}
END_TEST

/*
 * vm-memory: ranges beside each other that go on in the target are one; a later
 * mapping replaces what it covers; the number of entries has no bound.
 * match, but the number: there is a bound, and the least recently used goes.
 */
START_TEST(g10_any_number_of_entries)
{
	uint64_t i;

	for (i = 0; i < 64; i++)
		see_map(IOVA + i * PAGE, i * PAGE, PAGE, RW);
	ck_assert_uint_eq(vmmem_iotlb_count(see.iotlb), 1);
	for (i = 0; i < 1000; i++)
		see_map(IOVA + i * 2 * PAGE, 0, PAGE / 2, RW);
	ck_assert_uint_le(vmmem_iotlb_count(see.iotlb), 64);
	ck_assert_uint_gt(vmmem_iotlb_evicted(see.iotlb), 0);
}
END_TEST

/*
 * vm-memory: a write whose second page has no translation fails, and nothing
 * is written.
 * match; and the form that wants only some writes the first page's.
 */
START_TEST(g11_second_page_is_missing)
{
	uint8_t bytes[16];
	size_t done = 9;

	memset(bytes, 0x22, sizeof(bytes));
	see_map(IOVA, 0, PAGE, RW);
	assert_code(vmmem_collection_write(see.map, IOVA + PAGE - 8, bytes, 16,
					   &done),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(done, 0);
	ck_assert(all_are(host_of(see.physical, PAGE - 8), 0, 8));
	assert_code(vmmem_collection_write_some(see.map, IOVA + PAGE - 8,
						bytes, 16, &done),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(done, 8);
}
END_TEST

/*
 * vm-memory: the same write while the IOMMU is off succeeds with a short count.
 * differ: all or nothing, on or off; as A4.
 */
START_TEST(g12_second_page_is_missing_while_off)
{
	uint8_t bytes[16] = { 0 };
	size_t done = 9;

	assert_ok(vmmem_iommu_set_enabled(see.iommu, 0));
	assert_code(vmmem_collection_write(see.map, LEN - 8, bytes, 16, &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_write_some(see.map, LEN - 8, bytes, 16,
						&done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 8);
}
END_TEST

/*
 * vm-memory: an address that leads to where there is no memory gives a short
 * count.
 * fix: nothing is moved, and the code tells a hole in the memory from one in
 * the translations.
 */
START_TEST(g13_leads_to_no_memory)
{
	uint8_t bytes[16] = { 0 };
	uint64_t bad = 0;
	size_t done = 9;

	see_map(IOVA, LEN - 8, PAGE, RW);
	assert_code(vmmem_collection_write(see.map, IOVA, bytes, 16, &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_check(see.map, IOVA, 16, W, &bad),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(bad, IOVA + 8);
	/* That is nothing to ask the handler about. */
	ck_assert_int_eq(asked.count, 0);
}
END_TEST

/*
 * vm-memory: dirty pages are marked by iova; what the bitmap does not cover is
 * lost without a word.
 * differ: by region, as vhost-user wants it, unless the iommu is given a log by
 * iova; fix: what that does not cover is counted.
 */
START_TEST(g14_marks_outside_of_the_log)
{
	struct vmmem_iommu_options options = { .size = sizeof(options) };
	struct vmmem_bitmap *log;
	uint64_t where = 0;

	see_close();
	assert_ok(vmmem_bitmap_new(PAGE, 0, PAGE, NULL, &log));
	assert_ok(vmmem_bitmap_start_logging(log));
	options.log = log;
	see_open(8, &options);
	see_map(0, HALF, 4 * PAGE, RW);
	assert_ok(vmmem_collection_write_u8(see.map, 5, 1));
	ck_assert_uint_eq(vmmem_bitmap_count(log), 1);
	ck_assert_uint_eq(vmmem_iommu_unlogged(see.iommu, NULL), 0);
	assert_ok(vmmem_collection_write_u32(see.map, 2 * PAGE, 1));
	ck_assert_uint_eq(vmmem_bitmap_count(log), 1);
	ck_assert_uint_eq(vmmem_iommu_unlogged(see.iommu, &where), 4);
	ck_assert_uint_eq(where, 2 * PAGE);
	vmmem_bitmap_unref(log);
}
END_TEST

/*
 * vm-memory: while the IOMMU is on, the physical memory behind it is not given
 * out by the trait; a method of the type gives it.
 * differ: one function gives it, on or off.
 */
START_TEST(g15_what_is_behind)
{
	ck_assert_ptr_eq(vmmem_collection_physical(see.map), see.physical);
	assert_ok(vmmem_iommu_set_enabled(see.iommu, 0));
	ck_assert_ptr_eq(vmmem_collection_physical(see.map), see.physical);
	ck_assert_ptr_null(vmmem_collection_physical(see.physical));
}
END_TEST

/*
 * vm-memory: an iterator over a translated range holds a lock, and a nested
 * access that misses waits for it for ever.  (BUG-14, which has no mark.)
 * fix: no lock is held; a handler may access memory, map and synchronize.
 */
static int
nested_miss(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
	    uint32_t reason)
{
	uint64_t value;

	(void)opaque;
	(void)reason;
	if (iova < IOVA + PAGE) {
		assert_ok(vmmem_collection_read_u64(see.map, IOVA + PAGE,
						    &value));
		assert_ok(vmmem_iotlb_synchronize(see.iotlb, VMMEM_FOREVER));
	}
	return vmmem_iotlb_map(see.iotlb, iova, 0, len, access);
}

START_TEST(a_miss_within_a_miss)
{
	struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = nested_miss,
	};
	uint64_t value;

	see_close();
	see_open(8, &options);
	assert_ok(vmmem_collection_read_u64(see.map, IOVA, &value));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_g");
	TCase *tcase = tcase_create("conformance_g");

	tcase_add_checked_fixture(tcase, see_setup, see_teardown);
	tcase_add_test(tcase, g1_map_no_bytes);
	tcase_add_test(tcase, g2_unmap_no_bytes);
	tcase_add_test(tcase, g3_map_the_last_page);
	tcase_add_test(tcase, g4_unmap_everything);
	tcase_add_test(tcase, g5_look_up_no_bytes);
	tcase_add_test(tcase, g6_check_that_wraps);
	tcase_add_test(tcase, g7_write_that_wraps);
	tcase_add_test(tcase, g8_load_that_wraps);
	tcase_add_test(tcase, g9_store_that_wraps);
	tcase_add_test(tcase, g10_any_number_of_entries);
	tcase_add_test(tcase, g11_second_page_is_missing);
	tcase_add_test(tcase, g12_second_page_is_missing_while_off);
	tcase_add_test(tcase, g13_leads_to_no_memory);
	tcase_add_test(tcase, g14_marks_outside_of_the_log);
	tcase_add_test(tcase, g15_what_is_behind);
	tcase_add_test(tcase, a_miss_within_a_miss);
	suite_add_tcase(suite, tcase);
	return suite;
}
