/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Regions of the huge page pool; skipped where the pool is empty. */
#include <linux/mman.h>

#include <vmmem/region_builder.h>

#include "guest.h"
#include "pool.h"
#include "memory.h"
#include "suite.h"

#define HUGE UINT64_C(0x200000)

const char *
skip_reason(void)
{
	return pool_free(HUGE) >= 2 ?
		       NULL :
		       "needs two free huge pages of 2 MiB "
		       "(sysctl vm.nr_hugepages=2)";
}

static struct vmmem_region_builder *builder;

static void
setup(void)
{
	builder = vmmem_region_builder_new();
	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, 0x1000, HUGE);
	vmmem_region_builder_set_huge_page_size(builder, HUGE);
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
	ck_assert_uint_eq(vmmem_region_huge_pages(region),
			  VMMEM_HUGE_PAGES_YES);
	ck_assert_uint_eq(vmmem_region_page_size(region), HUGE);
	return region;
}

/* Whole pages at an aligned host address, whatever the guest address is. */
START_TEST(anonymous)
{
	struct vmmem_region *region = build(), *alias = NULL;
	uint8_t *host = expect_host(region);

	ck_assert_uint_eq((uintptr_t)host % HUGE, 0);
	ck_assert(smaps_flag(host, "ht"));
	host[0] = 1;
	host[HUGE - 1] = 2;
	assert_ok(vmmem_region_new_alias(0x10000000, 0x1000, region, 0x1000,
					 &alias));
	ck_assert_uint_eq(vmmem_region_huge_pages(alias), VMMEM_HUGE_PAGES_YES);
	ck_assert_uint_eq(vmmem_region_page_size(alias), HUGE);
	vmmem_region_unref(alias);
	vmmem_region_unref(region);
	ck_assert(!is_mapped(host, HUGE));
}
END_TEST

START_TEST(memfd)
{
	struct vmmem_region *region;
	size_t files = open_files();
	uint64_t offset;
	int fd;

	vmmem_region_builder_set_memfd(builder);
	region = build();
	ck_assert_uint_eq(vmmem_region_kind(region), VMMEM_REGION_MEMFD);
	assert_ok(vmmem_region_file(region, &fd, &offset));
	ck_assert_int_ne(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK, 0);
	expect_host(region)[HUGE - 1] = 1;
	vmmem_region_unref(region);
	ck_assert_uint_eq(open_files(), files);
}
END_TEST

/* A file tells its page size itself; a wrong one asked for is refused. */
START_TEST(file)
{
	/* 21: the page size is 2^21. */
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB |
					      21U << MAP_HUGE_SHIFT);
	struct vmmem_policy *policy = vmmem_policy_new();
	struct vmmem_region *region = NO_REGION;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 2 * (off_t)HUGE), 0);
	vmmem_region_builder_set_file(builder, fd, HUGE, 0);
	region = build();
	expect_host(region)[0] = 1;
	vmmem_region_unref(region);

	/* Reserved also where nobody has said what its pages are. */
	vmmem_region_builder_set_huge_page_size(builder, 0);
	region = build();
	ck_assert(!smaps_flag(expect_host(region), "nr"));
	vmmem_region_unref(region);
	vmmem_policy_set_reserve(policy, VMMEM_RESERVE_NO);
	vmmem_region_builder_set_policy(builder, policy);
	region = build();
	ck_assert(smaps_flag(expect_host(region), "nr"));
	vmmem_region_unref(region);

	/* From within a page of the file, of which all is mapped. */
	vmmem_region_builder_set_file(builder, fd, page_size(), 0);
	vmmem_region_builder_set_range(builder, 0, page_size());
	region = build();
	ck_assert_uint_eq((uintptr_t)expect_host(region) % HUGE, page_size());
	vmmem_region_unref(region);

	region = NO_REGION;
	vmmem_region_builder_set_file(builder, fd, 0, 0);
	vmmem_region_builder_set_huge_page_size(builder, UINT64_C(1) << 30);
	vmmem_region_builder_set_range(builder, 0, UINT64_C(1) << 30);
	assert_code(vmmem_region_builder_build(builder, &region),
		    VMMEM_EHUGEPAGE);
	ck_assert_ptr_eq(region, NO_REGION);
	vmmem_policy_free(policy);
	close(fd);
}
END_TEST

/* More than the pool can reserve: refused now, not killed when touched. */
START_TEST(too_many)
{
	struct vmmem_region *region = NO_REGION;

	vmmem_region_builder_set_range(builder, 0, UINT64_C(1) << 45);
	assert_code(vmmem_region_builder_build(builder, &region), -ENOMEM);
	ck_assert_ptr_eq(region, NO_REGION);
}
END_TEST

/* The same of a file whose pages nobody has spoken of. */
START_TEST(too_long_a_file)
{
	const uint64_t len = UINT64_C(1) << 45;
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB |
					      21U << MAP_HUGE_SHIFT);
	struct vmmem_region *region = NO_REGION;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)len), 0);
	assert_code(vmmem_region_new_file(0, len, fd, 0, &region), -ENOMEM);
	ck_assert_ptr_eq(region, NO_REGION);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("hugepages");
	TCase *tcase = tcase_create("hugepages");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, anonymous);
	tcase_add_test(tcase, memfd);
	tcase_add_test(tcase, file);
	tcase_add_test(tcase, too_many);
	tcase_add_test(tcase, too_long_a_file);
	suite_add_tcase(suite, tcase);
	return suite;
}
