/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A guest_memfd of KVM is no regular file, and nobody is sent one unasked. */
#include "memory.h"
#include "suite.h"
#include "vm.h"

#include <sys/eventfd.h>

#include <vmmem/fd.h>
#include <vmmem/vhost.h>

#define LEN (2 * MIB)
#define HALF (LEN / 2)
#define RW (VMMEM_PROT_READ | VMMEM_PROT_WRITE)
#define ALL_TYPES (2 * VMMEM_FD_TYPE_GUEST_MEMFD - 1)

/* As Linux 6.8 and later have them; headers may be older. */
#define CAP_GUEST_MEMFD_FLAGS 244
#define MAPPABLE 1U
#define INIT_SHARED 2U

static struct vm vm;

/* A guest_memfd that was made with 'flags', or -1. */
static int
guest_memfd(uint64_t flags)
{
	return vm_guest_memfd(vm.fd, LEN, flags);
}

const char *
skip_reason(void)
{
	return vm_guest_memfd_missing();
}

static void
setup(void)
{
	vm_open(&vm);
}

static void
teardown(void)
{
	vm_close(&vm);
}

/* One that others can map and touch, or -1 and a word why there is no test. */
static int
shared_memory(void)
{
	int known = vm_extension(&vm, CAP_GUEST_MEMFD_FLAGS);

	if (known >= 0 && (known & 3) == 3)
		return guest_memfd(MAPPABLE | INIT_SHARED);
	puts("skipped: KVM has no guest_memfd that can be mapped");
	return -1;
}

static uint32_t
type_of(int fd)
{
	struct vmmem_fd_report report = { .size = sizeof(report) };

	assert_ok(vmmem_fd_examine(fd, &report));
	return report.type;
}

/* Of each kind that there is: it has a type of its own, which is no default. */
START_TEST(has_a_type_of_its_own)
{
	struct vmmem_fd_report report = { .size = sizeof(report) };
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.flags = VMMEM_FD_MAY_SHRINK | VMMEM_FD_MAY_END_EARLY,
	};
	int fd = guest_memfd((uint64_t)_i);

	if (fd < 0) {
		printf("skipped: no guest_memfd with the flags %d\n", _i);
		return;
	}
	/* Nobody can cut it short. */
	ck_assert_int_ne(ftruncate(fd, (off_t)HALF), 0);
	assert_ok(vmmem_fd_examine(fd, &report));
	ck_assert_uint_eq(report.type, VMMEM_FD_TYPE_GUEST_MEMFD);
	ck_assert_uint_eq(report.shrinkable, 0);
	ck_assert_uint_eq(report.len, LEN);
	ck_assert_uint_eq(report.access, RW);

	assert_code(vmmem_fd_check(fd, 0, LEN, NULL, NULL), VMMEM_EFILETYPE);
	assert_code(vmmem_fd_check(fd, 0, LEN, &rules, NULL), VMMEM_EFILETYPE);
	rules.types = VMMEM_FD_TYPE_REGULAR;
	assert_code(vmmem_fd_check(fd, 0, LEN, &rules, NULL), VMMEM_EFILETYPE);
	rules.types = ALL_TYPES - VMMEM_FD_TYPE_GUEST_MEMFD;
	assert_code(vmmem_fd_check(fd, 0, LEN, &rules, NULL), VMMEM_EFILETYPE);
	/* Whoever names it need not say more, as it cannot become shorter. */
	rules.types = VMMEM_FD_TYPE_GUEST_MEMFD;
	rules.flags = 0;
	assert_ok(vmmem_fd_check(fd, 0, LEN, &rules, NULL));
	assert_code(vmmem_fd_check(fd, 0, LEN + 1, &rules, NULL),
		    VMMEM_EPASTEOF);
	close(fd);
}
END_TEST

/* What else KVM and the kernel make of no file system is none. */
START_TEST(others_are_neither)
{
	int event = eventfd(0, 0), vcpu = ioctl(vm.fd, KVM_CREATE_VCPU, 0UL);

	ck_assert_int_ge(vcpu, 0);
	ck_assert_uint_eq(type_of(vm.fd), VMMEM_FD_TYPE_OTHER);
	ck_assert_uint_eq(type_of(vcpu), VMMEM_FD_TYPE_OTHER);
	ck_assert_uint_eq(type_of(event), VMMEM_FD_TYPE_OTHER);
	close(vcpu);
	close(event);
}
END_TEST

static struct vmmem_region *
region_of_file(uint64_t gpa, uint64_t len, int fd, uint64_t offset)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_new_file(gpa, len, fd, offset, &region));
	return region;
}

/* A peer that sends one gets no region of it. */
START_TEST(untrusted)
{
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.types = VMMEM_FD_TYPE_REGULAR | VMMEM_FD_TYPE_MEMORY,
		.flags = VMMEM_FD_MAY_SHRINK,
	};
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NO_REGION;
	int fd = shared_memory();

	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, &rules);
	if (fd >= 0)
		assert_code(vmmem_region_builder_build(builder, &region),
			    VMMEM_EFILETYPE);
	ck_assert_ptr_eq(region, NO_REGION);
	rules.types |= VMMEM_FD_TYPE_GUEST_MEMFD;
	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, &rules);
	if (fd >= 0) {
		assert_ok(vmmem_region_builder_build(builder, &region));
		vmmem_region_unref(region);
		close(fd);
	}
	vmmem_region_builder_free(builder);
}
END_TEST

static void
expect_rows(const struct vmmem_collection *map, uint32_t flags, size_t rows,
	    size_t left_out, int first_fd)
{
	struct vmmem_vhost_region row[4];
	size_t count = 77, out = 77;
	int fds[4], same = 0;

	assert_ok(vmmem_vhost_export(map, flags, row, fds, 4, &count, &out));
	ck_assert_uint_eq(count, rows);
	ck_assert_uint_eq(out, left_out);
	ck_assert_uint_eq(row[0].gpa, rows == 1 ? 2 * LEN : 0);
	ck_assert_uint_eq(row[0].offset, 0);
	if (first_fd < 0) {
		ck_assert_int_eq(fds[0], -1);
		return;
	}
	assert_ok(vmmem_fd_same_file(fds[0], first_fd, &same));
	/*
	 * All of them have one inode: only F_DUPFD_QUERY, of Linux 6.10, tells
	 * them apart, and valgrind does not know it.
	 */
	if (fcntl(first_fd, 1024 + 3, first_fd) == 1)
		ck_assert_int_eq(same, 1);
}

/* It is sent to a back end only if the caller says so. */
START_TEST(exported)
{
	int fd = shared_memory(), file;
	struct vmmem_region *regions[3];
	struct vmmem_collection *map;
	size_t i;

	if (fd < 0)
		return;
	file = memfd_create("ram", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(file, (off_t)LEN), 0);
	regions[0] = region_of_file(0, HALF, fd, 0);
	regions[1] = region_of_file(LEN, HALF, fd, HALF);
	regions[2] = region_of_file(2 * LEN, LEN, file, 0);
	assert_ok(vmmem_collection_new(regions, 3, &map));
	for (i = 0; i < 3; i++)
		vmmem_region_unref(regions[i]);

	expect_rows(map, 0, 1, 2, file);
	expect_rows(map, VMMEM_VHOST_EXPORT_HOST, 1, 2, file);
	expect_rows(map, VMMEM_VHOST_EXPORT_GUEST_MEMFD, 3, 0, fd);
	/* The kernel is given addresses, and survives what is private. */
	expect_rows(map, VMMEM_VHOST_EXPORT_HOST | VMMEM_VHOST_EXPORT_PRIVATE,
		    3, 0, -1);
	expect_rows(map,
		    VMMEM_VHOST_EXPORT_HOST | VMMEM_VHOST_EXPORT_PRIVATE |
			    VMMEM_VHOST_EXPORT_GUEST_MEMFD,
		    3, 0, fd);
	vmmem_collection_unref(map);
	close(file);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fd_guest_memfd");
	TCase *tcase = tcase_create("fd_guest_memfd");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, has_a_type_of_its_own, 0, 4);
	tcase_add_test(tcase, others_are_neither);
	tcase_add_test(tcase, untrusted);
	tcase_add_test(tcase, exported);
	suite_add_tcase(suite, tcase);
	return suite;
}
