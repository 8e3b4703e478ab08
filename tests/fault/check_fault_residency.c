/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What is in memory: each question to the system fails once, and systems that
 * cannot be asked in the newest way, or have no /proc, are asked in others.
 */
#include "fault.h"
#include "suite.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/policy.h>
#include <vmmem/residency.h>

#define MIB (UINT64_C(1) << 20)
#define LEN (8 * MIB)

/* Those of Linux 6.7 and 6.11. */
#define PAGEMAP_SCAN_NUMBER 16
#define PROCMAP_QUERY_NUMBER 17

static struct vmmem_region *region;
static struct vmmem_collection *maps[2];
static uint8_t *host;

static struct vmmem_region *
build(uint32_t thp)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_policy *policy = vmmem_policy_new();
	struct vmmem_region *made = NULL;

	vmmem_policy_set_guard(policy, 1);
	vmmem_policy_set_alignment(policy, 2 * MIB);
	vmmem_policy_set_thp(policy, thp);
	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_policy(builder, policy);
	ck_assert_int_eq(vmmem_region_builder_build(builder, &made), 0);
	vmmem_policy_free(policy);
	vmmem_region_builder_free(builder);
	return made;
}

static void
setup(void)
{
	uint64_t len;
	void *at;

	region = build(VMMEM_THP_NO);
	ck_assert_int_eq(vmmem_region_host_address(region, 0, &at, &len), 0);
	host = at;
	memset(host, 1, 3 * fault_page());
	ck_assert_int_eq(mlock2(host + fault_page(), fault_page(), 0), 0);
}

static void
teardown(void)
{
	inject_ioctl = NULL;
	region = vmmem_region_unref(region);
}

/* An older system's answer, of those that were not there before. */
static int
older(int fd, unsigned long request, void *argument)
{
	const unsigned long number = request & 0xff;

	(void)fd;
	(void)argument;
	if ((request >> 8 & 0xff) != 'f' || (number != PAGEMAP_SCAN_NUMBER &&
					     number != PROCMAP_QUERY_NUMBER))
		return -2;
	errno = ENOTTY;
	return -1;
}

static int
residency(void)
{
	struct vmmem_residency got = { .size = sizeof(got), .resident = 77 };
	int rc = vmmem_region_residency(region, 0, LEN, &got);

	REQUIRE(rc == 0 || got.resident == 77);
	if (rc != 0)
		return rc;
	REQUIRE(got.resident == 3 * fault_page());
	REQUIRE(got.huge == 0);
	REQUIRE(got.locked == fault_page());
	return 0;
}

START_TEST(newest_and_older)
{
	if (_i == 1)
		inject_ioctl = older;
	ck_assert_int_eq(residency(), 0);
	fault_sweep(residency, 0);
}
END_TEST

static struct vmmem_residency got_with;

static int
residency_of_all(void)
{
	got_with = (struct vmmem_residency){ .size = sizeof(got_with) };
	return vmmem_region_residency(region, 0, LEN, &got_with);
}

/* Huge pages are the same number, whoever is asked. */
START_TEST(huge_pages)
{
	struct vmmem_residency newest;
	uint64_t len;
	void *at;

	vmmem_region_unref(region);
	region = build(VMMEM_THP_YES);
	ck_assert_int_eq(vmmem_region_host_address(region, 0, &at, &len), 0);
	memset(at, 1, LEN);
	ck_assert_int_eq(residency_of_all(), 0);
	ck_assert_uint_eq(got_with.resident, LEN);
	newest = got_with;
	inject_ioctl = older;
	inject_start(0, 0, false);
	ck_assert_int_eq(residency_of_all(), 0);
	inject_stop();
	ck_assert_mem_eq(&newest, &got_with, sizeof(newest));
}
END_TEST

/* Which pages there are, of a memfd and of a private file too. */
static struct vmmem_region *others[2];

static int
populated_of(struct vmmem_region *of, uint64_t want)
{
	uint64_t offset = 77, len = 77;
	int rc;

	rc = vmmem_region_next_populated(of, 0, vmmem_region_len(of), &offset,
					 &len);
	REQUIRE(rc == 0 || (offset == 77 && len == 77));
	/* Or all, where the system does not tell. */
	REQUIRE(rc != 0 || offset <= want);
	return rc;
}

static int
populated(void)
{
	int rc = populated_of(region, 0);

	if (rc == 0)
		rc = populated_of(others[0], fault_page());
	if (rc == 0)
		rc = populated_of(others[1], fault_page());
	return rc;
}

static int
populated_memfd(void)
{
	return populated_of(others[0], fault_page());
}

START_TEST(which_pages)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	uint64_t offset, len;
	int i;

	if (_i == 1)
		inject_ioctl = older;
	for (i = 0; i < 2; i++) {
		vmmem_region_builder_set_range(builder, 0, 2 * fault_page());
		if (i == 0)
			vmmem_region_builder_set_memfd(builder);
		else
			vmmem_region_builder_set_file(builder, fault_file(),
						      0, VMMEM_FILE_PRIVATE);
		ck_assert_int_eq(vmmem_region_builder_build(builder,
							    &others[i]), 0);
		ck_assert_int_eq(vmmem_collection_new(&others[i], 1, &maps[i]),
				 0);
		ck_assert_int_eq(vmmem_collection_write_u8(
			maps[i], fault_page(), 1), 0);
	}
	vmmem_region_builder_free(builder);
	ck_assert_int_eq(populated(), 0);
	fault_sweep(populated, 0);
	/* Only the first of them is opened for page tables. */
	ck_assert_int_eq(fault_call(populated, "open", EACCES), 0);
	ck_assert_int_eq(fault_call(populated_memfd, "open", EACCES), 0);
	ck_assert_int_eq(fault_call(populated_memfd, "lseek", EINVAL), 0);
	ck_assert_int_eq(fault_call(populated_memfd, "lseek", EIO), -EIO);
	/* Not under an emulator, which has no such file. */
	ck_assert_int_eq(vmmem_region_next_populated(region, 0, LEN, &offset,
						     &len), 0);
	if (_i == 1 && len != LEN)
		ck_assert_int_eq(fault_call(populated, "pread", EINTR), 0);
	for (i = 0; i < 2; i++) {
		vmmem_collection_unref(maps[i]);
		vmmem_region_unref(others[i]);
	}
}
END_TEST

static int
populated_first(void)
{
	return populated_of(region, 0);
}

/* What finds out, once for a process, whether the tables are about it. */
START_TEST(first_time)
{
	static const struct {
		const char *function;
		int code;
	} calls[] = {
		{ "mmap", -ENOMEM },
		{ "mprotect", -ENOMEM },
		{ "madvise", 0 },
	};

	/* Nobody is asked where there is no such file. */
	if (!is_alone() || access("/proc/self/pagemap", R_OK) != 0)
		return;
	ck_assert_int_eq(fault_call(populated_first, calls[_i].function,
				    ENOMEM), calls[_i].code);
}
END_TEST

/* What is tried again, and what is done without. */
static const struct {
	const char *function;
	int error;
	int is_older;
	int code;
} names[] = {
	{ "read", EINTR, 1, 0 },
	{ "ioctl", EINTR, 0, 0 },
	{ "ioctl", ENOTTY, 0, 0 },
	{ "ioctl", EINVAL, 0, 0 },
	{ "ioctl", EPERM, 0, -EPERM },
	{ "open", ENOENT, 0, 0 },
	{ "open", EACCES, 0, 0 },
	{ "open", EMFILE, 0, -EMFILE },
	{ "msync", ENOMEM, 0, 0 },
	{ "msync", EPERM, 0, -EPERM },
	{ "mincore", EAGAIN, 0, -EAGAIN },
};
#define NAMES (sizeof(names) / sizeof(names[0]))

START_TEST(test_names)
{
	if (names[_i].is_older)
		inject_ioctl = older;
	/* What is found out once and kept is found out now. */
	ck_assert_int_eq(residency_of_all(), 0);
	ck_assert_int_eq(fault_call(residency_of_all, names[_i].function,
				    names[_i].error), names[_i].code);
}
END_TEST

static struct vmmem_region *threaded;

static int
populate(void)
{
	return vmmem_region_populate(region, 0, LEN);
}

static int
populate_map(void)
{
	return vmmem_collection_populate(maps[0], 0, 4 * MIB + 1);
}

/* Making pages, by one thread and by two. */
START_TEST(populating)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_policy *policy = vmmem_policy_new();

	vmmem_policy_set_prefault(policy, 2);
	vmmem_region_builder_set_range(builder, 0, 4 * MIB + 1);
	vmmem_region_builder_set_policy(builder, policy);
	ck_assert_int_eq(vmmem_region_builder_build(builder, &threaded), 0);
	ck_assert_int_eq(vmmem_collection_new(&threaded, 1, &maps[0]), 0);
	fault_sweep(populate, 0);
	fault_sweep(populate_map, 0);
	ck_assert_int_eq(fault_call(populate, "madvise", EFAULT),
			 VMMEM_ESHORTAGE);
	ck_assert_int_eq(fault_call(populate, "madvise", EINVAL),
			 VMMEM_ENOSUPPORT);
	ck_assert_int_eq(fault_call(populate, "madvise", EINTR), 0);
	ck_assert_int_eq(fault_call(populate_map, "pthread_create", EAGAIN),
			 -EAGAIN);
	maps[0] = vmmem_collection_unref(maps[0]);
	vmmem_region_unref(threaded);
	vmmem_policy_free(policy);
	vmmem_region_builder_free(builder);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, residency");
	TCase *tcase = tcase_create("residency");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, newest_and_older, 0, 2);
	tcase_add_test(tcase, huge_pages);
	tcase_add_loop_test(tcase, which_pages, 0, 2);
	tcase_add_test(tcase, populating);
	tcase_add_loop_test(tcase, first_time, 0, 3);
	tcase_add_loop_test(tcase, test_names, 0, (int)NAMES);
	suite_add_tcase(suite, tcase);
	return suite;
}
