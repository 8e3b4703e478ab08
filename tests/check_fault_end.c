/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Files that end before their region does, where the rules permit that. */
#include <linux/memfd.h>
#include <stdbool.h>

#include <vmmem/vhost.h>
#include <vmmem/vmmem.h>

#include "tables.h"
#include "suite.h"

#define BOTH (VMMEM_FAULT_SIGNAL_BUS | VMMEM_FAULT_SIGNAL_SEGV)
#define GPA UINT64_C(0x100000)
#define LEN (8 * PAGE)
#define END (3 * PAGE)

static const struct vmmem_fd_rules lenient = {
	.size = sizeof(lenient),
	.flags = VMMEM_FD_MAY_END_EARLY | VMMEM_FD_MAY_SHRINK,
};

const char *
skip_reason(void)
{
	if (vmmem_fault_enable(BOTH) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(BOTH);
	return page_size() != PAGE ? "the system has other pages" : NULL;
}

static void
setup(void)
{
	assert_ok(vmmem_fault_enable(BOTH));
}

static void
teardown(void)
{
	assert_ok(vmmem_fault_disable(BOTH));
}

static int
build(int fd, uint64_t offset, uint32_t flags, struct vmmem_region **ret_region)
{
	struct vmmem_fd_rules rules = { .size = sizeof(rules),
					     .flags = flags };
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	int rc;

	vmmem_region_builder_set_range(builder, GPA, LEN);
	vmmem_region_builder_set_untrusted_file(builder, fd, offset, 0, &rules);
	rc = vmmem_region_builder_build(builder, ret_region);
	vmmem_region_builder_free(builder);
	return rc;
}

/* What there is is there, what is not is a code, and it may come. */
START_TEST(ends_early)
{
	struct vmmem_region *region = NULL;
	struct vmmem_collection *map;
	int fd = file_of(END);
	uint64_t done = 77;
	uint8_t buf[2 * PAGE] = { 0 };

	assert_ok(build(fd, 0, lenient.flags, &region));
	ck_assert_uint_eq(vmmem_region_len(region), LEN);
	map = guest_of_one(region);
	assert_ok(vmmem_collection_fill(map, GPA, END, 0x42, NULL));
	assert_code(vmmem_collection_read(map, GPA + END - PAGE, buf,
					  sizeof(buf), &done),
		    VMMEM_EGONE);
	ck_assert_uint_eq(done, PAGE);
	assert_code(vmmem_collection_write_u8(map, GPA + END, 1),
		    VMMEM_EGONE);
	assert_code(vmmem_collection_write_u8(map, GPA + LEN - 1, 1),
		    VMMEM_EGONE);
	assert_code(vmmem_collection_write_u8(map, GPA + LEN, 1),
		    VMMEM_EBADADDR);
	ck_assert_int_eq(ftruncate(fd, (off_t)LEN), 0);
	assert_ok(vmmem_collection_write_u8(map, GPA + LEN - 1, 1));
	vmmem_collection_unref(map);
	close(fd);
}
END_TEST

/* The file has not even the byte at the offset, or ends within a page. */
START_TEST(where_it_ends)
{
	static const uint64_t ends[] = { 0, 1, PAGE, PAGE + 1, 3 * PAGE - 1 };
	struct vmmem_region *region = NULL;
	struct vmmem_collection *map;
	uint64_t end = ends[_i], offset = PAGE + 0x20, at;
	int fd = file_of(end);

	assert_ok(build(fd, offset, lenient.flags, &region));
	map = guest_of_one(region);
	for (at = 0; at < LEN; at += 0x10) {
		/* The last page is whole, as the system has it. */
		bool there = (offset + at) / PAGE * PAGE < end;

		assert_code(vmmem_collection_write_u8(map, GPA + at, 1),
			    there ? 0 : VMMEM_EGONE);
	}
	vmmem_collection_unref(map);
	close(fd);
}
END_TEST

/* Each flag permits what it says, and no more. */
START_TEST(refusals)
{
	struct vmmem_fd_rules rules = { .size = sizeof(rules) };
	struct vmmem_region *region = NO_REGION;
	int fd = file_of(END), sealed = sealed_file(END, 0);

	assert_code(build(fd, 0, 0, &region), VMMEM_ESHRINKABLE);
	assert_code(build(fd, 0, VMMEM_FD_MAY_SHRINK, &region),
		    VMMEM_EPASTEOF);
	assert_code(build(fd, 0, VMMEM_FD_MAY_END_EARLY, &region),
		    VMMEM_ESHRINKABLE);
	assert_code(build(sealed, 0, 0, &region), VMMEM_EPASTEOF);
	assert_code(build(sealed, INT64_MAX - 0xf, lenient.flags, &region),
		    VMMEM_EWRAPS);
	assert_code(build(sealed, 0, 4, &region), VMMEM_EARGUMENT);
	ck_assert_ptr_eq(region, NO_REGION);
	assert_code(vmmem_fd_check(sealed, 0, LEN, &rules, NULL),
		    VMMEM_EPASTEOF);
	rules.flags = VMMEM_FD_MAY_END_EARLY;
	assert_ok(vmmem_fd_check(sealed, 0, LEN, &rules, NULL));
	assert_code(vmmem_fd_check(sealed, PAGE, INT64_MAX, &rules, NULL),
		    VMMEM_EWRAPS);
	assert_ok(build(sealed, 0, VMMEM_FD_MAY_END_EARLY, &region));
	vmmem_region_unref(region);
	close(sealed);
	close(fd);
}
END_TEST

/* A row of which the front end's file has a part. */
START_TEST(rows)
{
	struct vmmem_vhost_options options = { .size = sizeof(options),
					       .rules = &lenient };
	struct vmmem_vhost_region row = row_of(GPA, LEN, PAGE);
	int fd = sealed_file(END, 1);

	make_vhost(NULL);
	assert_code(vmmem_vhost_set_table(vhost, &row, 1, &fd, 1),
		    VMMEM_EPASTEOF);
	drop_vhost();
	make_vhost(&options);
	assert_ok(vmmem_vhost_set_table(vhost, &row, 1, &fd, 1));
	ck_assert_int_eq(byte_at(GPA), 2);
	ck_assert_int_eq(byte_at(GPA + PAGE), 3);
	ck_assert_int_eq(byte_at(GPA + 2 * PAGE), VMMEM_EGONE);
	/* And again, as it is mapped. */
	assert_ok(vmmem_vhost_set_table(vhost, &row, 1, &fd, 1));
	assert_ok(vmmem_vhost_set_table(vhost, NULL, 0, NULL, 0));
	drop_vhost();
	close(fd);
}
END_TEST

/* Mapping past its end would make such a file longer. */
START_TEST(huge_pages)
{
	struct vmmem_region *region = NO_REGION;
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB |
					      21U << MFD_HUGE_SHIFT);

	if (fd < 0)
		return;
	assert_code(build(fd, 0, lenient.flags, &region), VMMEM_EPASTEOF);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault_end");
	TCase *tcase = tcase_create("end");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, ends_early);
	tcase_add_loop_test(tcase, where_it_ends, 0, 5);
	tcase_add_test(tcase, refusals);
	tcase_add_test(tcase, rows);
	tcase_add_test(tcase, huge_pages);
	suite_add_tcase(suite, tcase);
	return suite;
}
