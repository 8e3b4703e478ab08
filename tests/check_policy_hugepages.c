/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Policies, discards and untrusted files of huge pages, skipped without any. */
#include <linux/magic.h>
#include <linux/mman.h>

#include <vmmem/discard.h>
#include <vmmem/fd.h>
#include <vmmem/residency.h>

#include "policy.h"
#include "pool.h"
#include "suite.h"

#define HUGE (2 * MIB)
#define PAGES 3

const char *
skip_reason(void)
{
	if (memory_skip_reason() != NULL)
		return memory_skip_reason();
	return pool_free(HUGE) >= PAGES + 1 ?
		       NULL :
		       "needs four free huge pages of 2 MiB "
		       "(sysctl vm.nr_hugepages=4)";
}

static int
huge_file(void)
{
	/* 21: the page size is 2^21. */
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB |
					      MFD_ALLOW_SEALING |
					      21U << MAP_HUGE_SHIFT);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, PAGES * (off_t)HUGE), 0);
	return fd;
}

/* A region of the huge pages of each kind that the library maps. */
static struct vmmem_region *
huge_region(int kind, uint64_t gpa)
{
	struct vmmem_region *region = NULL;
	int fd = -1;

	vmmem_region_builder_set_range(builder, gpa, PAGES * HUGE);
	vmmem_region_builder_set_huge_page_size(builder, HUGE);
	if (kind == VMMEM_REGION_MEMFD) {
		vmmem_region_builder_set_memfd(builder);
	} else if (kind == VMMEM_REGION_FILE) {
		fd = huge_file();
		vmmem_region_builder_set_file(builder, fd, 0, 0);
	} else {
		vmmem_region_builder_set_anonymous(builder);
	}
	vmmem_region_builder_set_policy(builder, policy);
	assert_ok(vmmem_region_builder_build(builder, &region));
	if (fd >= 0)
		close(fd);
	return region;
}

START_TEST(placed_and_prefaulted)
{
	struct vmmem_residency got = { .size = sizeof(got) };
	unsigned long before = pool_free(HUGE);
	struct vmmem_region *region;
	uint64_t bytes[1], rest;
	uint8_t *host;
	int rc;

	vmmem_policy_set_guard(policy, 1);
	vmmem_policy_set_alignment(policy, GIB);
	vmmem_policy_set_prefault(policy, 2);
	region = huge_region(_i, GIB + HUGE);
	host = expect_host(region);
	ck_assert_uint_eq((uintptr_t)host % GIB, HUGE);
	ck_assert_uint_eq(pool_free(HUGE), before - PAGES);
	ck_assert_uint_eq(granted(region).prefaulted, PAGES * HUGE);
	ck_assert_uint_eq(granted(region).reserve, VMMEM_RESERVE_YES);
	ck_assert(touching_kills(host - 1));
	ck_assert(touching_kills(host + PAGES * HUGE));
	assert_ok(vmmem_region_residency(region, 0, PAGES * HUGE, &got));
	ck_assert_uint_eq(got.resident, PAGES * HUGE);
	ck_assert_uint_eq(got.huge, PAGES * HUGE);
	rc = vmmem_region_nodes(region, 0, PAGES * HUGE, bytes, 1, &rest);
	if (rc != VMMEM_ENOSUPPORT) {
		assert_ok(rc);
		ck_assert_uint_eq(bytes[0] + rest, PAGES * HUGE);
	}
	vmmem_region_unref(region);
	ck_assert_uint_eq(pool_free(HUGE), before);
	ck_assert(!is_mapped(host - 1, 1));
}
END_TEST

/* No guest address within a huge page can agree by more than that page. */
START_TEST(alignment_within_pages)
{
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, 0x1000, HUGE);
	vmmem_region_builder_set_huge_page_size(builder, HUGE);
	vmmem_policy_set_alignment(policy, 2 * HUGE);
	refuse(VMMEM_ECONGRUENCE);
	vmmem_policy_set_alignment(policy, 0x2000);
	refuse(VMMEM_ECONGRUENCE);
	vmmem_policy_set_alignment(policy, 0x1000);
	region = build();
	ck_assert_uint_ge(granted(region).alignment, 0x1000);
	vmmem_region_unref(region);
}
END_TEST

/* Whole huge pages go back to the pool, parts of them are zeroed. */
START_TEST(discard)
{
	struct vmmem_region *region = huge_region(_i, 0);
	uint8_t *host = expect_host(region);
	unsigned long used;
	uint64_t discarded;

	memset(host, 0x11, PAGES * HUGE);
	used = pool_free(HUGE);
	assert_ok(vmmem_region_discard(region, HUGE - 5, HUGE + 10, 0,
				       &discarded));
	ck_assert_uint_eq(discarded, HUGE);
	ck_assert_uint_eq(in_core(host + HUGE, HUGE), 0);
	ck_assert_uint_eq(in_core(host, HUGE), HUGE);
	ck_assert_uint_eq(pool_free(HUGE), used + 1);
	ck_assert(all_are(host, 0x11, HUGE - 5));
	ck_assert(all_are(host + HUGE - 5, 0, HUGE + 10));
	ck_assert(all_are(host + 2 * HUGE + 5, 0x11, HUGE - 5));

	/* As a balloon asks: small pages. */
	assert_ok(vmmem_region_discard(region, 4096, 4096, 0, &discarded));
	ck_assert_uint_eq(discarded, 0);
	ck_assert(all_are(host + 4096, 0, 4096));
	ck_assert_uint_eq(host[8192], 0x11);
	assert_ok(vmmem_region_discard(region, 0, 3 * 4096,
				       VMMEM_DISCARD_WHOLE_PAGES, &discarded));
	ck_assert_uint_eq(host[0], 0x11);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(discard_of_private_file)
{
	struct vmmem_region *region;
	uint64_t discarded = 9;
	int fd = huge_file();

	vmmem_region_builder_set_range(builder, 0, HUGE);
	vmmem_region_builder_set_file(builder, fd, 0, VMMEM_FILE_PRIVATE);
	region = build();
	assert_code(vmmem_region_discard(region, 0, HUGE, 0, &discarded),
		    VMMEM_ENODISCARD);
	ck_assert_uint_eq(discarded, 0);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

START_TEST(untrusted)
{
	struct vmmem_fd_report report = { .size = sizeof(report) };
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.add = VMMEM_SEAL_SHRINK,
		.page_size = HUGE,
	};
	struct vmmem_region *region = NULL;
	int fd = huge_file();

	assert_code(vmmem_fd_check(fd, 0, HUGE, NULL, NULL),
		    VMMEM_ESHRINKABLE);
	assert_ok(vmmem_fd_check(fd, HUGE, HUGE, &rules, &report));
	ck_assert_uint_eq(report.type, VMMEM_FD_TYPE_HUGETLB);
	ck_assert_uint_eq(report.page_size, HUGE);
	ck_assert_uint_eq(report.fs_type, HUGETLBFS_MAGIC);
	ck_assert_uint_eq(report.len, PAGES * HUGE);
	ck_assert_uint_eq(report.seals, VMMEM_SEAL_SHRINK);
	assert_code(vmmem_fd_check(fd, page_size(), 1, &rules, NULL),
		    VMMEM_EFILEOFFSET);
	assert_code(vmmem_fd_check(fd, HUGE, PAGES * HUGE, &rules, NULL),
		    VMMEM_EPASTEOF);
	rules.page_size = GIB;
	assert_code(vmmem_fd_check(fd, 0, HUGE, &rules, NULL),
		    VMMEM_EHUGEPAGE);
	rules.types = VMMEM_FD_TYPE_MEMORY;
	assert_code(vmmem_fd_check(fd, 0, HUGE, &rules, NULL),
		    VMMEM_EFILETYPE);
	vmmem_region_builder_set_range(builder, 0, HUGE);
	vmmem_region_builder_set_untrusted_file(builder, fd, HUGE, 0, NULL);
	assert_ok(vmmem_region_builder_build(builder, &region));
	ck_assert_uint_eq(vmmem_region_huge_pages(region),
			  VMMEM_HUGE_PAGES_YES);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("policy_hugepages");
	TCase *tcase = tcase_create("policy_hugepages");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, placed_and_prefaulted, FIRST_KIND,
			    END_OF_KINDS);
	tcase_add_test(tcase, alignment_within_pages);
	tcase_add_loop_test(tcase, discard, FIRST_KIND, END_OF_KINDS);
	tcase_add_test(tcase, discard_of_private_file);
	tcase_add_test(tcase, untrusted);
	suite_add_tcase(suite, tcase);
	return suite;
}
