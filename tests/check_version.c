/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <stdint.h>
#include <stdio.h>

#include <vmmem/vmmem.h>

#include "suite.h"

START_TEST(number_is_that_of_the_headers)
{
	ck_assert_uint_eq(vmmem_version(), VMMEM_VERSION);
	ck_assert_uint_eq(vmmem_version() >> 16, VMMEM_VERSION_MAJOR);
	ck_assert_uint_eq(vmmem_version() >> 8 & 0xff, VMMEM_VERSION_MINOR);
	ck_assert_uint_eq(vmmem_version() & 0xff, VMMEM_VERSION_PATCH);
}
END_TEST

START_TEST(text_is_that_of_the_number)
{
	char expected[64];

	snprintf(expected, sizeof(expected), "%d.%d.%d", VMMEM_VERSION_MAJOR,
		 VMMEM_VERSION_MINOR, VMMEM_VERSION_PATCH);
	ck_assert_str_eq(vmmem_version_string(), expected);
	ck_assert_ptr_eq(vmmem_version_string(), vmmem_version_string());
}
END_TEST

START_TEST(what_is_supported_is_what_works)
{
	int rc = vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS);

	ck_assert_int_eq(vmmem_supports(VMMEM_FEATURE_FAULT_SURVIVAL),
			 rc != VMMEM_ENOSUPPORT);
	if (rc == 0)
		ck_assert_int_eq(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS),
				 0);
	/* Whether or not the system has it: the same at each call. */
	rc = vmmem_supports(VMMEM_FEATURE_MEMBARRIER);
	ck_assert(rc == 0 || rc == 1);
	ck_assert_int_eq(vmmem_supports(VMMEM_FEATURE_MEMBARRIER), rc);
}
END_TEST

START_TEST(what_is_unknown_is_not_supported)
{
	ck_assert_int_eq(vmmem_supports(0), 0);
	ck_assert_int_eq(vmmem_supports(VMMEM_FEATURE_MEMBARRIER + 1000), 0);
	ck_assert_int_eq(vmmem_supports(UINT32_MAX), 0);
}
END_TEST

START_TEST(sizes_are_those_of_the_headers)
{
#define SAME(number, type)                                                 \
	ck_assert_uint_eq(vmmem_struct_size(VMMEM_STRUCT_##number),        \
			  sizeof(struct vmmem_##type))
	SAME(FD_REPORT, fd_report);
	SAME(FD_RULES, fd_rules);
	SAME(IOMMU_OPTIONS, iommu_options);
	SAME(LISTENER_OPS, listener_ops);
	SAME(POLICY_REPORT, policy_report);
	SAME(REGION_OPS, region_ops);
	SAME(RESIDENCY, residency);
	SAME(BITMAP_OPTIONS, bitmap_options);
	SAME(DIRTY_LOG_OPTIONS, dirty_log_options);
	SAME(HARVESTER_OPTIONS, harvester_options);
	SAME(IOMMU_MISS, iommu_miss);
	SAME(IOTLB_OPTIONS, iotlb_options);
	SAME(LISTENER_OPTIONS, listener_options);
	SAME(READER_OPTIONS, reader_options);
	SAME(SPACE_OPTIONS, space_options);
	SAME(ACCESS_INFO, access_info);
	ck_assert_uint_eq(vmmem_struct_size(0), 0);
	ck_assert_uint_eq(vmmem_struct_size(1000), 0);
	ck_assert_uint_eq(vmmem_struct_size(UINT32_MAX), 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("version");
	TCase *tcase = tcase_create("version");

	tcase_add_test(tcase, number_is_that_of_the_headers);
	tcase_add_test(tcase, text_is_that_of_the_number);
	tcase_add_test(tcase, what_is_supported_is_what_works);
	tcase_add_test(tcase, what_is_unknown_is_not_supported);
	tcase_add_test(tcase, sizes_are_those_of_the_headers);
	suite_add_tcase(suite, tcase);
	return suite;
}
