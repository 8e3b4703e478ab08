/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <stdint.h>
#include <stdio.h>

#include <vmmem/version.h>

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

Suite *
make_suite(void)
{
	Suite *suite = suite_create("version");
	TCase *tcase = tcase_create("version");

	tcase_add_test(tcase, number_is_that_of_the_headers);
	tcase_add_test(tcase, text_is_that_of_the_number);
	suite_add_tcase(suite, tcase);
	return suite;
}
