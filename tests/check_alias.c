/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Regions that show the bytes of another one: vmmem/region.h. */
#include <vmmem/region.h>

#include "guest.h"
#include "suite.h"

START_TEST(shows_its_target)
{
	struct vmmem_region *target = region_of(0x10000, 0x4000);
	struct vmmem_region *alias = NULL, *second = NULL;
	uint8_t *host = expect_host(target);

	assert_ok(vmmem_region_new_alias(0x80000000, 0x2000, target, 0x1000,
					 &alias));
	expect_range(alias, 0x80000000, 0x2000);
	ck_assert_uint_eq(vmmem_region_kind(alias), VMMEM_REGION_ALIAS);
	ck_assert_ptr_eq(vmmem_region_alias_target(alias), target);
	ck_assert_uint_eq(vmmem_region_alias_offset(alias), 0x1000);
	ck_assert_ptr_eq(expect_host(alias), host + 0x1000);
	ck_assert_uint_eq(vmmem_region_page_size(alias), page_size());
	ck_assert_uint_eq(vmmem_region_huge_pages(alias), VMMEM_HUGE_PAGES_NO);

	/* An alias of an alias points to what has the bytes. */
	assert_ok(vmmem_region_new_alias(0x90000, 0x800, alias, 0x800,
					 &second));
	ck_assert_ptr_eq(vmmem_region_alias_target(second), target);
	ck_assert_uint_eq(vmmem_region_alias_offset(second), 0x1800);
	ck_assert_ptr_eq(expect_host(second), host + 0x1800);

	/* Each keeps the bytes, and the last one lets them go. */
	vmmem_region_unref(target);
	vmmem_region_unref(alias);
	ck_assert(is_mapped(host, 0x4000));
	expect_host(second)[0] = 1;
	vmmem_region_unref(second);
	ck_assert(!is_mapped(host, 1));
}
END_TEST

START_TEST(of_a_file_answers_for_it)
{
	uint64_t page = page_size(), offset;
	struct vmmem_region *file = NULL, *alias = NULL;
	int fd = file_of(4 * page), own, alias_fd;

	assert_ok(vmmem_region_new_file(0, 3 * page, fd, page, &file));
	assert_ok(vmmem_region_new_alias(0x100000, page, file, page, &alias));
	assert_ok(vmmem_region_file(file, &own, &offset));
	ck_assert_uint_eq(offset, page);
	assert_ok(vmmem_region_file(alias, &alias_fd, &offset));
	ck_assert_int_eq(alias_fd, own);
	ck_assert_uint_eq(offset, 2 * page);
	ck_assert_uint_eq(vmmem_region_file_flags(alias), 0);
	vmmem_region_unref(alias);
	vmmem_region_unref(file);
	close(fd);
}
END_TEST

START_TEST(permits_what_its_target_does)
{
	struct vmmem_region *target = region_with(0, 0x1000, VMMEM_PROT_READ);
	struct vmmem_region *alias = NULL;

	assert_ok(vmmem_region_new_alias(0x1000, 0x1000, target, 0, &alias));
	ck_assert_uint_eq(vmmem_region_protection(alias), VMMEM_PROT_READ);
	vmmem_region_unref(alias);
	vmmem_region_unref(target);
}
END_TEST

START_TEST(refusals)
{
	struct vmmem_region *target = region_of(0, 0x1000);
	struct vmmem_region *alias = NULL, *region = NO_REGION;

	assert_ok(vmmem_region_new_alias(0x2000, 0x800, target, 0, &alias));
	assert_code(vmmem_region_new_alias(0, 16, NULL, 0, &region),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_new_alias(0, 0x1001, target, 0, &region),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_new_alias(0, 16, target, 0x1000, &region),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_new_alias(0, 17, target, 0xff0, &region),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_new_alias(0, 17, target, TOP - 15, &region),
		    VMMEM_EOUTOFRANGE);
	/* The end of an alias is its own, not that of what it shows. */
	assert_code(vmmem_region_new_alias(0, 0x801, alias, 0, &region),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_new_alias(0, 16, target, 8, &region),
		    VMMEM_ECONGRUENCE);
	assert_code(vmmem_region_new_alias(4, 16, target, 0, &region),
		    VMMEM_ECONGRUENCE);
	ck_assert_ptr_eq(region, NO_REGION);
	assert_ok(vmmem_region_new_alias(8, 16, target, 8, &region));
	vmmem_region_unref(region);
	vmmem_region_unref(alias);
	vmmem_region_unref(target);
}
END_TEST

/* One memory at two guest addresses, as low and high RAM are. */
START_TEST(both_addresses_are_one_memory)
{
	struct vmmem_region *low = region_of(0, 0x2000), *high = NULL;
	struct vmmem_region *regions[2];
	struct vmmem_collection *guest;
	uint32_t value;

	assert_ok(vmmem_region_new_alias(0x100000000, 0x1000, low, 0x1000,
					 &high));
	regions[0] = low;
	regions[1] = high;
	guest = guest_of(regions, 2);
	assert_ok(vmmem_collection_write_u32(guest, 0x1abc, 0xcafef00d));
	assert_ok(vmmem_collection_read_u32(guest, 0x100000abc, &value));
	ck_assert_uint_eq(value, 0xcafef00d);
	assert_ok(vmmem_collection_store_u32(guest, 0x100000ffc, 7,
					     VMMEM_ORDER_RELEASE));
	assert_ok(vmmem_collection_load_u32(guest, 0x1ffc,
					    VMMEM_ORDER_ACQUIRE, &value));
	ck_assert_uint_eq(value, 7);
	assert_code(vmmem_collection_read_u32(guest, 0x100000ffd, &value),
		    VMMEM_EBADADDR);
	vmmem_collection_unref(guest);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("alias");
	TCase *tcase = tcase_create("alias");

	tcase_add_test(tcase, shows_its_target);
	tcase_add_test(tcase, of_a_file_answers_for_it);
	tcase_add_test(tcase, permits_what_its_target_does);
	tcase_add_test(tcase, refusals);
	tcase_add_test(tcase, both_addresses_are_one_memory);
	suite_add_tcase(suite, tcase);
	return suite;
}
