/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What can be said of huge pages where the system has none to give; with them,
 * check_hugepages.c says the rest.
 */
#include <vmmem/region_builder.h>

#include "guest.h"
#include "suite.h"

static struct vmmem_region_builder *builder;

static void
setup(void)
{
	builder = vmmem_region_builder_new();
	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, 0x10000, 0x4000);
}

static void
teardown(void)
{
	builder = vmmem_region_builder_free(builder);
	ck_assert_ptr_null(builder);
}

static struct vmmem_region *
build(void)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_builder_build(builder, &region));
	return region;
}

static void
refuse(int code)
{
	struct vmmem_region *region = NO_REGION;
	size_t files = open_files();

	assert_code(vmmem_region_builder_build(builder, &region), code);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_uint_eq(open_files(), files);
}

static const uint64_t bad_huge_sizes[] = {
	1, 4095, 3 << 20, (UINT64_C(1) << 21) + 4096, TOP,
	/* Powers of two that no system has a pool of. */
	UINT64_C(1) << 40, UINT64_C(1) << 63,
};

START_TEST(bad_page_size)
{
	uint64_t size = bad_huge_sizes[_i];

	/* Even if the length suits it; a length of 2^63 cannot be mapped. */
	if (size <= UINT64_C(1) << 40)
		vmmem_region_builder_set_range(builder, 0, size);
	vmmem_region_builder_set_huge_page_size(builder, size);
	refuse(VMMEM_EHUGEPAGE);
	vmmem_region_builder_set_memfd(builder);
	refuse(VMMEM_EHUGEPAGE);
}
END_TEST

START_TEST(refusals)
{
	int fd = file_of(0x400000);

	/* The system's own page size is not a huge one. */
	vmmem_region_builder_set_huge_page_size(builder, page_size());
	refuse(VMMEM_EHUGEPAGE);
	/* A length that is not whole pages. */
	vmmem_region_builder_set_huge_page_size(builder, 0x200000);
	vmmem_region_builder_set_range(builder, 0, 0x200000 + 0x1000);
	refuse(VMMEM_EHUGEPAGE);
	vmmem_region_builder_set_memfd(builder);
	refuse(VMMEM_EHUGEPAGE);
	/* A file that is not on hugetlbfs. */
	vmmem_region_builder_set_range(builder, 0, 0x200000);
	vmmem_region_builder_set_file(builder, fd, 0, 0);
	refuse(VMMEM_EHUGEPAGE);
	vmmem_region_builder_set_huge_page_size(builder, 0);
	vmmem_region_unref(build());
	close(fd);
}
END_TEST

/* Of external memory only the owner knows. */
START_TEST(external_is_a_statement)
{
	static _Alignas(16) uint8_t memory[0x4000];
	struct vmmem_region *region, *alias = NULL;

	vmmem_region_builder_set_external(builder, memory, NULL, NULL);
	vmmem_region_builder_set_huge_page_size(builder, 0x200000);
	region = build();
	ck_assert_uint_eq(vmmem_region_huge_pages(region),
			  VMMEM_HUGE_PAGES_YES);
	ck_assert_uint_eq(vmmem_region_page_size(region), 0x200000);
	assert_ok(vmmem_region_new_alias(0, 0x1000, region, 0, &alias));
	ck_assert_uint_eq(vmmem_region_huge_pages(alias), VMMEM_HUGE_PAGES_YES);
	ck_assert_uint_eq(vmmem_region_page_size(alias), 0x200000);
	vmmem_region_unref(alias);
	vmmem_region_unref(region);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("huge_refusals");
	TCase *tcase = tcase_create("huge_refusals");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, bad_page_size, 0,
			    (int)ARRAY_LEN(bad_huge_sizes));
	tcase_add_test(tcase, refusals);
	tcase_add_test(tcase, external_is_a_statement);
	suite_add_tcase(suite, tcase);
	return suite;
}
