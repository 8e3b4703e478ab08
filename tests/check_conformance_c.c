/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The top of the address space: what vm-memory 0.18 does, and whether libvmmem
 * matches it, fixes it or differs on purpose.  docs/conformance.md is the
 * table of all marks.
 */
#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

/* The last page there is, and the first, which must not be its neighbour. */
#define TOP_PAGE (TOP - 0xfff)

static struct vmmem_collection *guest;
static uint8_t buf[32];

static void
setup(void)
{
	static const struct vmmem_range ranges[] = {
		{ 0, 0x1000 },
		{ TOP_PAGE, 0x1000 },
	};

	guest = guest_of_ranges(ranges, 2);
	pattern(buf, sizeof(buf), 1);
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
}

/*
 * vm-memory: a mapped region whose last byte is 2^64 - 1 cannot be made: its
 * end does not fit.
 * fix: ends are inclusive, so every kind of region may end there.
 */
START_TEST(c1_region_up_to_the_last_byte)
{
	struct vmmem_region *region = vmmem_collection_region(guest, 1);
	struct vmmem_region *past = NO_REGION;
	uint64_t last = 0;

	ck_assert_uint_eq(vmmem_region_last(region), TOP);
	ck_assert_uint_eq(vmmem_region_len(region), 0x1000);
	assert_ok(vmmem_collection_last(guest, &last));
	ck_assert_uint_eq(last, TOP);
	assert_ok(vmmem_collection_write_u8(guest, TOP, 0xab));
	ck_assert_uint_eq(*host_of(guest, TOP), 0xab);
	assert_code(vmmem_region_new_anonymous(TOP_PAGE, 0x1001, &past),
		    VMMEM_EWRAPS);
	ck_assert_ptr_eq(past, NO_REGION);
}
END_TEST

/*
 * vm-memory: with a region of the caller's own that does end there, a write
 * past the top goes on at address 0 and reports that all went well.
 * fix: nothing wraps.  write() moves nothing, and bytes at 0 stay.
 */
START_TEST(c2_write_past_the_top)
{
	size_t done = 77;

	assert_code(vmmem_collection_write(guest, TOP - 7, buf, 16, &done),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_write_some(guest, TOP - 7, buf, 16,
						&done), VMMEM_EWRAPS);
	ck_assert_uint_eq(done, 8);
	ck_assert_mem_eq(host_of(guest, TOP - 7), buf, 8);
	ck_assert(all_are(host_of(guest, 0), 0, 16));
}
END_TEST

/*
 * vm-memory: a range that passes 2^64 is in range if address 0 is mapped.
 * fix: it is not, and the code says that it is the end of the address space,
 * not a hole.
 */
START_TEST(c3_check_past_the_top)
{
	assert_ok(vmmem_collection_check(guest, TOP - 7, 8, 0, NULL));
	assert_code(vmmem_collection_check(guest, TOP - 7, 9, 0, NULL),
		    VMMEM_EWRAPS);
	assert_code(vmmem_collection_check(guest, TOP_PAGE, TOP, 0, NULL),
		    VMMEM_EWRAPS);
}
END_TEST

/*
 * vm-memory: a read past the top goes on at address 0 too.
 * fix: as for writes; typed reads, fills and copies as well.
 */
START_TEST(c4_read_past_the_top)
{
	uint8_t seen[16];
	uint64_t value = 77, wide = 77;
	size_t done = 77;

	memset(seen, 0x5a, sizeof(seen));
	memset(host_of(guest, 0), 0x11, 16);
	assert_code(vmmem_collection_read(guest, TOP - 7, seen, 16, &done),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(done, 0);
	ck_assert(all_are(seen, 0x5a, 16));
	assert_code(vmmem_collection_read_some(guest, TOP - 7, seen, 16,
					       &done), VMMEM_EWRAPS);
	ck_assert_uint_eq(done, 8);
	ck_assert(all_are(seen + 8, 0x5a, 8));
	assert_code(vmmem_collection_read_u64(guest, TOP - 3, &value),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(value, 77);
	assert_code(vmmem_collection_fill(guest, TOP - 7, 16, 9, &wide),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(wide, 0);
	assert_code(vmmem_collection_copy(guest, 0, TOP - 7, 16, &wide),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(wide, 0);
	ck_assert(all_are(host_of(guest, 0), 0x11, 16));
}
END_TEST

/*
 * vm-memory: walking a range to exactly 2^64 goes on with the region at 0.
 * fix: an access that ends with the last byte ends; so do an address plus
 * offset and an atomic.
 */
START_TEST(c5_end_exactly_at_the_top)
{
	uint64_t sum = 77, seen = 77;
	size_t done = 77;

	assert_ok(vmmem_collection_write(guest, TOP - 15, buf, 16, &done));
	ck_assert_uint_eq(done, 16);
	ck_assert_mem_eq(host_of(guest, TOP - 15), buf, 16);
	ck_assert(all_are(host_of(guest, 0), 0, 16));
	assert_ok(vmmem_collection_load_u64(guest, TOP - 7,
					    VMMEM_ORDER_ACQUIRE, &seen));
	ck_assert_mem_eq(&seen, buf + 8, 8);
	assert_code(vmmem_collection_load_u64(guest, TOP - 3,
					      VMMEM_ORDER_ACQUIRE, &seen),
		    VMMEM_EWRAPS);
	assert_ok(vmmem_collection_address_add(guest, TOP_PAGE, 0xfff, &sum));
	ck_assert_uint_eq(sum, TOP);
	assert_code(vmmem_collection_address_add(guest, TOP_PAGE, 0x1000, &sum),
		    VMMEM_EWRAPS);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_c");
	TCase *tcase = tcase_create("conformance_c");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, c1_region_up_to_the_last_byte);
	tcase_add_test(tcase, c2_write_past_the_top);
	tcase_add_test(tcase, c3_check_past_the_top);
	tcase_add_test(tcase, c4_read_past_the_top);
	tcase_add_test(tcase, c5_end_exactly_at_the_top);
	suite_add_tcase(suite, tcase);
	return suite;
}
