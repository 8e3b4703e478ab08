/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Counterparts of the unit tests of vm-memory's region.rs, written anew: what
 * each of them asks of a collection, asked of ours, with our own memory maps.
 * All match but where a comment says otherwise.
 */
#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

/* Regions touch, lie apart, and need not be whole pages. */
static const struct vmmem_range three[] = {
	{ 0x40, 0x600 },
	{ 0x640, 0x200 },
	{ 0x2000, 0x900 },
};

/* Both ways to make one: of regions, and of ranges. */
static int
both(const struct vmmem_range *ranges, size_t count,
     struct vmmem_collection **ret_of_regions,
     struct vmmem_collection **ret_of_ranges)
{
	struct vmmem_region *regions[8] = { NULL };
	int rc, rc_ranges;
	size_t i;

	ck_assert_uint_le(count, ARRAY_LEN(regions));
	for (i = 0; i < count; i++)
		regions[i] = region_of(ranges[i].gpa, ranges[i].len);
	rc = vmmem_collection_new(regions, count, ret_of_regions);
	for (i = 0; i < count; i++)
		vmmem_region_unref(regions[i]);
	rc_ranges = vmmem_collection_new_ranges(ranges, count, NULL,
						ret_of_ranges);
	ck_assert_int_eq(rc, rc_ranges);
	return rc;
}

static void
refused(const struct vmmem_range *ranges, size_t count, int code)
{
	struct vmmem_collection *first = NO_COLLECTION;
	struct vmmem_collection *second = NO_COLLECTION;

	assert_code(both(ranges, count, &first, &second), code);
	ck_assert_ptr_eq(first, NO_COLLECTION);
	ck_assert_ptr_eq(second, NO_COLLECTION);
}

START_TEST(no_memory_region)
{
	refused(three, 0, VMMEM_ENOREGION);
}
END_TEST

START_TEST(overlapping_memory_regions)
{
	static const struct vmmem_range by_one[] = { { 0x10, 0x31 },
						     { 0x40, 0x10 } };
	static const struct vmmem_range inside[] = { { 0x10, 0x1000 },
						     { 0x80, 1 } };

	refused(by_one, 2, VMMEM_EOVERLAP);
	refused(inside, 2, VMMEM_EOVERLAP);
}
END_TEST

/* differ: vmmem_collection_new_unsorted() is there for who cannot sort. */
START_TEST(unsorted_memory_regions)
{
	static const struct vmmem_range ranges[] = { { 0x2000, 0x10 },
						     { 0x1000, 0x10 } };
	struct vmmem_region *regions[] = { region_of(0x2000, 0x10),
					   region_of(0x1000, 0x10) };
	struct vmmem_collection *guest;

	refused(ranges, 2, VMMEM_EUNSORTED);
	guest = guest_of(regions, 2);
	ck_assert_uint_eq(vmmem_region_start(vmmem_collection_region(guest, 0)),
			  0x1000);
	vmmem_collection_unref(guest);
}
END_TEST

static void
expect_three(struct vmmem_collection *guest)
{
	uint64_t last = 0;
	size_t i;

	ck_assert_uint_eq(vmmem_collection_count(guest), 3);
	assert_ok(vmmem_collection_last(guest, &last));
	ck_assert_uint_eq(last, 0x28ff);
	for (i = 0; i < 3; i++) {
		struct vmmem_region *region = vmmem_collection_region(guest, i);

		expect_range(region, three[i].gpa, three[i].len);
		ck_assert_ptr_eq(vmmem_collection_find(guest, three[i].gpa),
				 region);
	}
	vmmem_collection_unref(guest);
}

START_TEST(valid_memory_regions)
{
	struct vmmem_collection *first = NULL, *second = NULL;

	assert_ok(vmmem_collection_new_empty(&first));
	ck_assert_uint_eq(vmmem_collection_count(first), 0);
	vmmem_collection_unref(first);
	assert_ok(both(three, 3, &first, &second));
	expect_three(first);
	expect_three(second);
}
END_TEST

START_TEST(insert_region)
{
	static const struct vmmem_range more[] = {
		{ 0x1000, 0x10 }, { 0, 0x40 }, { 0x3000, 0x30 },
		{ 0x840, 0x10 },
	};
	static const uint64_t starts[] = { 0,      0x40,   0x640, 0x840,
					   0x1000, 0x2000, 0x3000 };
	struct vmmem_collection *old = guest_of_ranges(three, 3);
	struct vmmem_collection *guest = vmmem_collection_ref(old);
	struct vmmem_collection *larger = NULL;
	struct vmmem_region *region;
	size_t i;

	for (i = 0; i < ARRAY_LEN(more); i++) {
		region = region_of(more[i].gpa, more[i].len);
		assert_ok(vmmem_collection_insert(guest, region, &larger));
		vmmem_region_unref(region);
		vmmem_collection_unref(guest);
		guest = larger;
	}
	region = region_of(0x1000, 0x10);
	larger = NO_COLLECTION;
	assert_code(vmmem_collection_insert(guest, region, &larger),
		    VMMEM_EOVERLAP);
	ck_assert_ptr_eq(larger, NO_COLLECTION);
	vmmem_region_unref(region);
	ck_assert_uint_eq(vmmem_collection_count(old), 3);
	ck_assert_uint_eq(vmmem_collection_count(guest), ARRAY_LEN(starts));
	for (i = 0; i < ARRAY_LEN(starts); i++)
		ck_assert_uint_eq(vmmem_region_start(
					  vmmem_collection_region(guest, i)),
				  starts[i]);
	vmmem_collection_unref(guest);
	vmmem_collection_unref(old);
}
END_TEST

START_TEST(remove_region)
{
	struct vmmem_collection *old = guest_of_ranges(three, 3), *guest = NULL;
	struct vmmem_region *region = NULL;

	assert_code(vmmem_collection_remove(old, 0x40, 0x10, &guest, &region),
		    VMMEM_ENOREGION);
	assert_code(vmmem_collection_remove(old, 0x1000, 0x10, &guest,
					    &region), VMMEM_ENOREGION);
	/* Two regions that touch are not one. */
	assert_code(vmmem_collection_remove(old, 0x40, 0x800, &guest,
					    &region), VMMEM_ENOREGION);
	assert_ok(vmmem_collection_remove(old, 0x640, 0x200, &guest,
					  &region));
	expect_range(region, 0x640, 0x200);
	ck_assert_uint_eq(vmmem_collection_count(old), 3);
	ck_assert_uint_eq(vmmem_collection_count(guest), 2);
	ck_assert_ptr_null(vmmem_collection_find(guest, 0x640));
	vmmem_region_unref(region);
	vmmem_collection_unref(guest);
	vmmem_collection_unref(old);
}
END_TEST

static int
next_is(void *opaque, struct vmmem_region *region)
{
	const struct vmmem_range **expected = opaque;

	expect_range(region, (*expected)->gpa, (*expected)->len);
	(*expected)++;
	return 0;
}

START_TEST(iterate)
{
	struct vmmem_collection *guest = guest_of_ranges(three, 3);
	const struct vmmem_range *next = three;

	ck_assert_int_eq(vmmem_collection_for_each(guest, next_is, &next), 0);
	ck_assert_ptr_eq(next, three + 3);
	vmmem_collection_unref(guest);
}
END_TEST

START_TEST(address_in_range)
{
	static const uint64_t in[] = { 0x40, 0x300, 0x63f, 0x640, 0x83f,
				       0x2000, 0x28ff };
	static const uint64_t out[] = { 0, 0x3f, 0x840, 0x1fff, 0x2900, TOP };
	struct vmmem_collection *guest = guest_of_ranges(three, 3);
	size_t i;

	for (i = 0; i < ARRAY_LEN(in); i++)
		ck_assert_int_eq(vmmem_collection_contains(guest, in[i]), 1);
	for (i = 0; i < ARRAY_LEN(out); i++)
		ck_assert_int_eq(vmmem_collection_contains(guest, out[i]), 0);
	vmmem_collection_unref(guest);
}
END_TEST

/* differ: what the address is in is given, not the address once more. */
START_TEST(check_address)
{
	struct vmmem_collection *guest = guest_of_ranges(three, 3);
	struct vmmem_region *region = NO_REGION;
	uint64_t offset = 77;

	assert_code(vmmem_collection_locate(guest, 0x1000, &region, &offset),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_locate(guest, 0x2900, &region, &offset),
		    VMMEM_EBADADDR);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_uint_eq(offset, 77);
	assert_ok(vmmem_collection_locate(guest, 0x700, &region, &offset));
	ck_assert_ptr_eq(region, vmmem_collection_region(guest, 1));
	ck_assert_uint_eq(offset, 0xc0);
	vmmem_collection_unref(guest);
}
END_TEST

START_TEST(checked_offset)
{
	static const struct {
		uint64_t gpa;
		uint64_t offset;
		int code;
	} rows[] = {
		{ 0x40, 0x100, 0 },
		/* Into the next region, and over a hole. */
		{ 0x40, 0x7ff, 0 },
		{ 0x640, 0x19c0, 0 },
		{ 0x640, 0x22bf, 0 },
		{ 0x640, 0x22c0, VMMEM_EBADADDR },
		{ 0x40, 0x800, VMMEM_EBADADDR },
		{ 0x40, TOP, VMMEM_EWRAPS },
	};
	struct vmmem_collection *guest = guest_of_ranges(three, 3);
	uint64_t sum;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		sum = 77;
		assert_code(vmmem_collection_address_add(guest, rows[i].gpa,
							 rows[i].offset, &sum),
			    rows[i].code);
		ck_assert_uint_eq(sum, rows[i].code != 0 ?
					       77 :
					       rows[i].gpa + rows[i].offset);
	}
	vmmem_collection_unref(guest);
}
END_TEST

START_TEST(check_range)
{
	static const struct {
		uint64_t gpa;
		uint64_t len;
		int code;
	} rows[] = {
		{ 0x40, 0, 0 },
		{ 0x40, 0x100, 0 },
		{ 0x40, 0x600, 0 },
		{ 0x40, 0x800, 0 },
		{ 0x640, 0x200, 0 },
		{ 0x40, 0x801, VMMEM_EBADADDR },
		{ 0x640, 0x201, VMMEM_EBADADDR },
		{ 0x640, 0x2000, VMMEM_EBADADDR },
		{ 0x2000, TOP, VMMEM_EBADADDR },
	};
	struct vmmem_collection *guest = guest_of_ranges(three, 3);
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_code(vmmem_collection_check(guest, rows[i].gpa,
						   rows[i].len, 0, NULL),
			    rows[i].code);
	vmmem_collection_unref(guest);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_region_rs");
	TCase *tcase = tcase_create("conformance_region_rs");

	tcase_add_test(tcase, no_memory_region);
	tcase_add_test(tcase, overlapping_memory_regions);
	tcase_add_test(tcase, unsorted_memory_regions);
	tcase_add_test(tcase, valid_memory_regions);
	tcase_add_test(tcase, insert_region);
	tcase_add_test(tcase, remove_region);
	tcase_add_test(tcase, iterate);
	tcase_add_test(tcase, address_in_range);
	tcase_add_test(tcase, check_address);
	tcase_add_test(tcase, checked_offset);
	tcase_add_test(tcase, check_range);
	suite_add_tcase(suite, tcase);
	return suite;
}
