/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Address arithmetic: what vm-memory 0.18 does, and whether libvmmem matches
 * it, fixes it or differs on purpose.  docs/conformance.md is the table of all
 * marks.
 */
#include <vmmem/address.h>

#include "guest.h"
#include "suite.h"

/*
 * vm-memory: aligning up to a multiple of zero panics, and so does any other
 * number that is no power of two.
 * fix: a code, and no panic.
 */
START_TEST(i1_align_up_to_zero)
{
	uint64_t aligned = 77;

	assert_code(vmmem_address_align_up(0x128, 0, &aligned),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_address_align_up(0x128, 12, &aligned),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(aligned, 77);
	/* An aligned address at the very top stays, as in vm-memory. */
	assert_ok(vmmem_address_align_up(TOP - 0xfff, 0x1000, &aligned));
	ck_assert_uint_eq(aligned, TOP - 0xfff);
}
END_TEST

/*
 * vm-memory: the unchecked form takes any number, and makes 0x130 of 0x128 for
 * a multiple of 12; past the top it panics or wraps, as the build has it.
 * differ: there is no unchecked form.
 */
START_TEST(i2_no_unchecked_align_up)
{
	uint64_t aligned = 77;

	assert_code(vmmem_address_align_up(0x128, 12, &aligned),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_address_align_up(TOP, 0x1000, &aligned),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(aligned, 77);
}
END_TEST

/*
 * vm-memory: the unchecked sum and difference panic in a debug build and wrap
 * in a release build.
 * differ: there are no unchecked forms.  The checked ones fail with a code; a
 * caller that wants to wrap adds.
 */
START_TEST(i3_no_unchecked_add)
{
	uint64_t result = 77;

	assert_code(vmmem_address_checked_add(TOP, 1, &result),
		    VMMEM_EWRAPS);
	assert_code(vmmem_address_checked_sub(0, 1, &result),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(result, 77);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_i");
	TCase *tcase = tcase_create("conformance_i");

	tcase_add_test(tcase, i1_align_up_to_zero);
	tcase_add_test(tcase, i2_no_unchecked_align_up);
	tcase_add_test(tcase, i3_no_unchecked_add);
	suite_add_tcase(suite, tcase);
	return suite;
}
