/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* One huge page of 1 GiB, with all that goes with it; skipped without any. */
#include <vmmem/discard.h>
#include <vmmem/residency.h>

#include "policy.h"
#include "pool.h"
#include "suite.h"

const char *
skip_reason(void)
{
	if (memory_skip_reason() != NULL)
		return memory_skip_reason();
	return pool_free(GIB) >= 1 ?
		       NULL :
		       "needs a free huge page of 1 GiB (echo 1 > /sys/kernel/"
		       "mm/hugepages/hugepages-1048576kB/nr_hugepages)";
}

START_TEST(whole_life)
{
	struct vmmem_residency got = { .size = sizeof(got) };
	unsigned long before = pool_free(GIB);
	struct vmmem_region *region;
	uint64_t discarded;

	if (_i == VMMEM_REGION_MEMFD)
		vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_range(builder, 4 * GIB, GIB);
	vmmem_region_builder_set_huge_page_size(builder, GIB);
	vmmem_policy_set_guard(policy, 1);
	vmmem_policy_set_alignment(policy, GIB);
	vmmem_policy_set_prefault(policy, 2);
	vmmem_policy_set_dont_dump(policy, 1);
	region = build();
	ck_assert_uint_ge(granted(region).alignment, GIB);
	ck_assert_uint_eq(granted(region).page_size, GIB);
	ck_assert_uint_eq(pool_free(GIB), before - 1);
	assert_ok(vmmem_region_residency(region, 0, GIB, &got));
	ck_assert_uint_eq(got.huge, GIB);
	assert_ok(vmmem_region_discard(region, 0, GIB, 0, &discarded));
	ck_assert_uint_eq(discarded, GIB);
	ck_assert_uint_eq(pool_free(GIB), before);
	vmmem_region_unref(region);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("policy_gigapages");
	TCase *tcase = tcase_create("policy_gigapages");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, whole_life, VMMEM_REGION_ANONYMOUS,
			    VMMEM_REGION_MEMFD + 1);
	suite_add_tcase(suite, tcase);
	return suite;
}
