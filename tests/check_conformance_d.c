/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Regions and collections: what vm-memory 0.18 does, and whether libvmmem
 * matches it, fixes it or differs on purpose.  docs/conformance.md is the
 * table of all marks.
 */
#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

/*
 * vm-memory: a region of length zero panics in a debug build and is made in a
 * release build.
 * fix: refused, by every way to make one.
 */
START_TEST(d1_region_without_bytes)
{
	static _Alignas(16) uint8_t memory[16];
	struct vmmem_region *region = NO_REGION;
	int fd = file_of(0x1000);

	assert_code(vmmem_region_new_anonymous(0x1000, 0, &region),
		    VMMEM_EZEROLEN);
	assert_code(vmmem_region_new_memfd(0x1000, 0, &region),
		    VMMEM_EZEROLEN);
	assert_code(vmmem_region_new_file(0x1000, 0, fd, 0, &region),
		    VMMEM_EZEROLEN);
	assert_code(vmmem_region_new_external(0x1000, 0, memory, &region),
		    VMMEM_EZEROLEN);
	ck_assert_ptr_eq(region, NO_REGION);
	close(fd);
}
END_TEST

/*
 * vm-memory: the last address of a region of length zero lies below its first
 * (and wraps at address 0).
 * fix: there is no such region, so the last address is never below the first.
 */
START_TEST(d2_last_is_never_below_first)
{
	struct vmmem_region *region = NO_REGION;
	uint64_t last = 77;

	assert_code(vmmem_region_new_anonymous(0, 0, &region),
		    VMMEM_EZEROLEN);
	ck_assert_ptr_eq(region, NO_REGION);
	assert_code(vmmem_address_range_last(0x1000, 0, &last),
		    VMMEM_EZEROLEN);
	ck_assert_uint_eq(last, 77);
	region = region_of(0, 1);
	ck_assert_uint_eq(vmmem_region_last(region), 0);
	vmmem_region_unref(region);
}
END_TEST

/*
 * vm-memory: walking memory that holds a region of length zero panics.
 * fix: such a region gets into no collection, by whatever way.
 */
START_TEST(d3_collection_without_empty_regions)
{
	static const struct vmmem_range ranges[] = {
		{ 0, 0x1000 }, { 0x1000, 0 }, { 0x1000, 0x1000 },
	};
	struct vmmem_collection *guest = NO_COLLECTION;

	assert_code(vmmem_collection_new_ranges(ranges, 3, NULL, &guest),
		    VMMEM_EZEROLEN);
	ck_assert_ptr_eq(guest, NO_COLLECTION);
}
END_TEST

/*
 * vm-memory: removing asks for exact start and size; removing the last region
 * gives an empty collection, although one cannot be made of no regions.
 * match.
 */
START_TEST(d4_remove_the_last_region)
{
	struct vmmem_collection *old = guest_of_one(region_of(0x1000, 0x1000));
	struct vmmem_collection *new = NULL;
	struct vmmem_region *region = NULL;

	assert_code(vmmem_collection_remove(old, 0x1000, 0x800, &new, &region),
		    VMMEM_ENOREGION);
	assert_code(vmmem_collection_remove(old, 0x1800, 0x800, &new, &region),
		    VMMEM_ENOREGION);
	assert_ok(vmmem_collection_remove(old, 0x1000, 0x1000, &new,
					  &region));
	ck_assert_uint_eq(vmmem_collection_count(new), 0);
	ck_assert_uint_eq(vmmem_collection_count(old), 1);
	ck_assert_ptr_eq(region, vmmem_collection_region(old, 0));
	vmmem_region_unref(region);
	vmmem_collection_unref(old);
	vmmem_collection_unref(new);
}
END_TEST

/*
 * vm-memory: a collection of no regions is refused, while a default one is
 * empty; the last address of an empty one is 0, as if a byte were there.
 * match, for the code; fix, for the last address, which there is none.
 */
START_TEST(d5_no_regions)
{
	struct vmmem_collection *guest = NO_COLLECTION;
	struct vmmem_region *none[1] = { NULL };
	uint64_t last = 77;

	assert_code(vmmem_collection_new(none, 0, &guest), VMMEM_ENOREGION);
	ck_assert_ptr_eq(guest, NO_COLLECTION);
	assert_ok(vmmem_collection_new_empty(&guest));
	assert_code(vmmem_collection_last(guest, &last), VMMEM_ENOREGION);
	ck_assert_uint_eq(last, 77);
	vmmem_collection_unref(guest);
}
END_TEST

/*
 * vm-memory: regions out of order are one error; an equal start or an overlap
 * is another; touching is none.
 * match.
 */
START_TEST(d6_order_and_overlap)
{
	static const struct {
		struct vmmem_range ranges[2];
		int code;
	} rows[] = {
		{ { { 0x2000, 0x1000 }, { 0x1000, 0x1000 } },
		  VMMEM_EUNSORTED },
		{ { { 0x1000, 0x1000 }, { 0x1000, 0x1000 } },
		  VMMEM_EOVERLAP },
		{ { { 0x1000, 0x1000 }, { 0x1fff, 0x1000 } },
		  VMMEM_EOVERLAP },
		/* Out of order comes first where both are wrong. */
		{ { { 0x1800, 0x1000 }, { 0x1000, 0x1000 } },
		  VMMEM_EUNSORTED },
		{ { { 0x1000, 0x1000 }, { 0x2000, 0x1000 } }, 0 },
	};
	struct vmmem_region *regions[2];
	struct vmmem_collection *guest;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		regions[0] = region_of(rows[i].ranges[0].gpa,
				       rows[i].ranges[0].len);
		regions[1] = region_of(rows[i].ranges[1].gpa,
				       rows[i].ranges[1].len);
		guest = NULL;
		assert_code(vmmem_collection_new(regions, 2, &guest),
			    rows[i].code);
		vmmem_collection_unref(guest);
		guest = NULL;
		assert_code(vmmem_collection_new_ranges(rows[i].ranges, 2, NULL,
							&guest),
			    rows[i].code);
		vmmem_collection_unref(guest);
		vmmem_region_unref(regions[0]);
		vmmem_region_unref(regions[1]);
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_d");
	TCase *tcase = tcase_create("conformance_d");

	tcase_add_test(tcase, d1_region_without_bytes);
	tcase_add_test(tcase, d2_last_is_never_below_first);
	tcase_add_test(tcase, d3_collection_without_empty_regions);
	tcase_add_test(tcase, d4_remove_the_last_region);
	tcase_add_test(tcase, d5_no_regions);
	tcase_add_test(tcase, d6_order_and_overlap);
	suite_add_tcase(suite, tcase);
	return suite;
}
