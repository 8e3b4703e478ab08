/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <stdio.h>
#include <sys/stat.h>

#include <vmmem/region.h>

#include "guest.h"
#include "memory.h"
#include "suite.h"

/* An emulator's mappings are not those of what it runs. */
static void
expect_smaps(const struct vmmem_region *region, const char *flag, bool has)
{
	if (memory_skip_reason() == NULL)
		ck_assert_int_eq(smaps_flag(expect_host(region), flag), has);
}

/* Ranges that every kind of region can have, on sparse memory. */
static const struct vmmem_range good_ranges[] = {
	{ 0, 1 },
	{ 0, 4095 },
	{ 0x1000, 4096 },
	{ 0x1000, 4097 },
	{ 0x100000000, (UINT64_C(1) << 31) - 1 },
	{ 0x100000000, (UINT64_C(1) << 31) },
	{ 0, (UINT64_C(1) << 32) - 1 },
	{ 0, (UINT64_C(1) << 32) },
	{ 0x123450, 8 * GIB + 1 },
	{ TOP, 1 },
	{ TOP - 15, 16 },
	{ TOP - 0xfff, 0x1000 },
};

/* What is wrong with a range, whatever is to back it. */
static const struct {
	uint64_t gpa;
	uint64_t len;
	int code;
} bad_ranges[] = {
	{ 0, 0, VMMEM_EZEROLEN },
	{ 0x1000, 0, VMMEM_EZEROLEN },
	{ TOP, 0, VMMEM_EZEROLEN },
	{ TOP, 2, VMMEM_EWRAPS },
	{ TOP - 15, 17, VMMEM_EWRAPS },
	{ 16, TOP, VMMEM_EWRAPS },
};

START_TEST(anonymous_range)
{
	uint64_t gpa = good_ranges[_i].gpa, len = good_ranges[_i].len;
	struct vmmem_region *region = NULL;
	uint8_t *host;

	assert_ok(vmmem_region_new_anonymous(gpa, len, &region));
	expect_range(region, gpa, len);
	host = expect_host(region);
	ck_assert_uint_eq(host[0], 0);
	ck_assert_uint_eq(host[len - 1], 0);
	host[0] = 1;
	host[len - 1] = 2;
	ck_assert_ptr_null(vmmem_region_unref(region));
	ck_assert(!is_mapped(host, 1));
	ck_assert(!is_mapped(host + (len - 1), 1));
}
END_TEST

START_TEST(memfd_range)
{
	uint64_t gpa = good_ranges[_i].gpa, len = good_ranges[_i].len;
	struct vmmem_region *region = NULL;
	size_t files = open_files();
	uint8_t *host;

	assert_ok(vmmem_region_new_memfd(gpa, len, &region));
	expect_range(region, gpa, len);
	ck_assert_uint_eq(open_files(), files + 1);
	host = expect_host(region);
	host[0] = 1;
	host[len - 1] = 2;
	ck_assert_ptr_null(vmmem_region_unref(region));
	ck_assert(!is_mapped(host, 1));
	ck_assert(!is_mapped(host + (len - 1), 1));
	ck_assert_uint_eq(open_files(), files);
}
END_TEST

START_TEST(bad_range)
{
	uint64_t gpa = bad_ranges[_i].gpa, len = bad_ranges[_i].len;
	int code = bad_ranges[_i].code;
	struct vmmem_region *target = region_of(0, 0x1000);
	struct vmmem_region *region = NO_REGION;
	size_t files;
	int fd = file_of(0x1000);

	files = open_files();
	assert_code(vmmem_region_new_anonymous(gpa, len, &region), code);
	assert_code(vmmem_region_new_memfd(gpa, len, &region), code);
	assert_code(vmmem_region_new_file(gpa & ~UINT64_C(15), len == 0 ? 0 :
					  len + (gpa & 15), fd, 0, &region),
		    code);
	assert_code(vmmem_region_new_external(gpa, len,
					      (void *)(0x10000 + (gpa & 15)),
					      &region), code);
	assert_code(vmmem_region_new_alias(gpa, len, target, gpa & 15,
					   &region), code);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_uint_eq(open_files(), files);
	vmmem_region_unref(target);
	close(fd);
}
END_TEST

/* A range that fits 2^64 but no process. */
START_TEST(more_than_a_process_can_map)
{
	struct vmmem_region *region = NO_REGION;

	assert_code(vmmem_region_new_anonymous(0, TOP, &region),
		    VMMEM_EWRAPS);
	assert_code(vmmem_region_new_anonymous(1, TOP, &region),
		    VMMEM_EWRAPS);
	assert_code(vmmem_region_new_memfd(0, TOP, &region), VMMEM_EWRAPS);
	ck_assert_ptr_eq(region, NO_REGION);
}
END_TEST

START_TEST(anonymous_queries)
{
	struct vmmem_region *region = region_of(0x1000, 0x2000);
	uint64_t offset = 77;
	int fd = 77;

	ck_assert_uint_eq(vmmem_region_kind(region), VMMEM_REGION_ANONYMOUS);
	ck_assert_uint_eq(vmmem_region_protection(region),
			  VMMEM_PROT_READ | VMMEM_PROT_WRITE);
	expect_smaps(region, "nr", true);
	expect_smaps(region, "sh", false);
	ck_assert_uint_eq(vmmem_region_huge_pages(region), VMMEM_HUGE_PAGES_NO);
	ck_assert_uint_eq(vmmem_region_page_size(region), page_size());
	ck_assert_ptr_null(vmmem_region_alias_target(region));
	ck_assert_uint_eq(vmmem_region_alias_offset(region), 0);
	ck_assert_ptr_null(vmmem_region_cookie(region, &bad_ranges));
	ck_assert_str_eq(vmmem_region_name(region), "");
	assert_code(vmmem_region_file(region, &fd, &offset), VMMEM_ENOFILE);
	ck_assert_int_eq(fd, 77);
	ck_assert_uint_eq(offset, 77);
	vmmem_region_unref(region);
}
END_TEST

/* The library makes guest and host address agree, wherever the region is. */
START_TEST(odd_address_is_congruent)
{
	uint64_t gpa = 0x7ff0 + (uint64_t)_i, offset;
	struct vmmem_region *private = NULL, *shared = NULL;
	uint8_t in_file = 0;
	uint8_t *host;
	int fd;

	assert_ok(vmmem_region_new_anonymous(gpa, 100, &private));
	host = expect_host(private);
	ck_assert(all_are(host, 0, 100));

	assert_ok(vmmem_region_new_memfd(gpa, 100, &shared));
	host = expect_host(shared);
	host[0] = 0xa5;
	assert_ok(vmmem_region_file(shared, &fd, &offset));
	ck_assert_int_eq(pread(fd, &in_file, 1, (off_t)offset), 1);
	ck_assert_uint_eq(in_file, 0xa5);
	vmmem_region_unref(shared);
	vmmem_region_unref(private);
}
END_TEST

START_TEST(memfd_is_sealed)
{
	struct vmmem_region *region = NULL;
	struct stat status;
	uint64_t offset;
	int fd, seals;

	assert_ok(vmmem_region_new_memfd(0, 0x3000, &region));
	ck_assert_uint_eq(vmmem_region_kind(region), VMMEM_REGION_MEMFD);
	ck_assert_uint_eq(vmmem_region_file_flags(region), 0);
	expect_smaps(region, "nr", true);
	expect_smaps(region, "sh", true);
	ck_assert_uint_eq(vmmem_region_huge_pages(region), VMMEM_HUGE_PAGES_NO);
	ck_assert_uint_eq(vmmem_region_page_size(region), page_size());
	assert_ok(vmmem_region_file(region, &fd, &offset));
	ck_assert_uint_eq(offset, 0);
	seals = fcntl(fd, F_GET_SEALS);
	ck_assert_int_ne(seals, -1);
	ck_assert_int_ne(seals & F_SEAL_SHRINK, 0);
	ck_assert_int_ne(seals & F_SEAL_GROW, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);

	/* What the seals are for: nobody takes the memory away. */
	ck_assert_int_eq(ftruncate(fd, 0), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(fstat(fd, &status), 0);
	ck_assert_int_ge(status.st_size, 0x3000);
	vmmem_region_unref(region);
}
END_TEST

/* Descriptors that standard streams had: what is printed is not for guests. */
START_TEST(memfd_is_no_stream)
{
	struct vmmem_region *region = NULL;
	size_t files = open_files();
	uint64_t offset;
	int saved, fd;

	saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	ck_assert_int_ge(saved, 0);
	close(STDIN_FILENO);
	assert_ok(vmmem_region_new_memfd(0, page_size(), &region));
	ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
	ck_assert_int_eq(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
	assert_ok(vmmem_region_file(region, &fd, &offset));
	ck_assert_int_gt(fd, STDERR_FILENO);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	vmmem_region_unref(region);
	ck_assert_uint_eq(open_files(), files);
}
END_TEST

START_TEST(file_is_shared_and_duplicated)
{
	uint64_t page = page_size(), offset;
	struct vmmem_region *region = NULL;
	int fd = file_of(3 * page), own;
	struct stat status, own_status;
	size_t files = open_files();
	uint8_t byte = 0x11;
	uint8_t *host;

	ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)page), 1);
	assert_ok(vmmem_region_new_file(0x4000, 2 * page, fd, page, &region));
	expect_range(region, 0x4000, 2 * page);
	ck_assert_uint_eq(vmmem_region_kind(region), VMMEM_REGION_FILE);
	ck_assert_uint_eq(vmmem_region_file_flags(region), 0);
	expect_smaps(region, "nr", true);
	expect_smaps(region, "sh", true);
	ck_assert_uint_eq(vmmem_region_protection(region),
			  VMMEM_PROT_READ | VMMEM_PROT_WRITE);
	ck_assert_uint_eq(vmmem_region_huge_pages(region), VMMEM_HUGE_PAGES_NO);
	ck_assert_uint_eq(vmmem_region_page_size(region), page);
	ck_assert_uint_eq(open_files(), files + 1);
	assert_ok(vmmem_region_file(region, &own, &offset));
	ck_assert_uint_eq(offset, page);
	ck_assert_int_ne(own, fd);
	ck_assert_int_ne(fcntl(own, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(fstat(fd, &status), 0);
	ck_assert_int_eq(fstat(own, &own_status), 0);
	ck_assert(status.st_ino == own_status.st_ino &&
		  status.st_dev == own_status.st_dev);

	/* The caller's descriptor is not needed any more. */
	close(fd);
	host = expect_host(region);
	ck_assert_uint_eq(host[0], 0x11);
	host[1] = 0x22;
	ck_assert_int_eq(pread(own, &byte, 1, (off_t)page + 1), 1);
	ck_assert_uint_eq(byte, 0x22);
	vmmem_region_unref(region);
	ck_assert(!is_mapped(host, 1));
	ck_assert_uint_eq(open_files(), files - 1);
}
END_TEST

START_TEST(file_refusals)
{
	uint64_t page = page_size();
	/* The greatest file offset that is a multiple of the page size. */
	uint64_t far = (uint64_t)INT64_MAX + 1 - page;
	int fd = file_of(2 * page + 5), pipes[2], directory, reader, closed;
	struct vmmem_region *region = NO_REGION;
	char path[64];
	size_t files;

	ck_assert_int_eq(pipe(pipes), 0);
	directory = open("/", O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(directory, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY);
	ck_assert_int_ge(reader, 0);
	closed = dup(fd);
	close(closed);
	files = open_files();

#define REFUSED(gpa, len, fd, offset, code)                                \
	assert_code(vmmem_region_new_file(gpa, len, fd, offset, &region), code)

	REFUSED(0, page, fd, 1, VMMEM_ECONGRUENCE);
	REFUSED(0, page, fd, page - 1, VMMEM_ECONGRUENCE);
	REFUSED(15, 16, fd, 16, VMMEM_ECONGRUENCE);
	REFUSED(1, page - 9, fd, page + 9, VMMEM_ECONGRUENCE);
	REFUSED(8, page + 6, fd, page + 8, VMMEM_EPASTEOF);
	REFUSED(0, 2 * page + 6, fd, 0, VMMEM_EPASTEOF);
	REFUSED(0, page + 6, fd, page, VMMEM_EPASTEOF);
	REFUSED(0, 6, fd, 2 * page, VMMEM_EPASTEOF);
	REFUSED(0, 1, fd, 3 * page, VMMEM_EPASTEOF);
	REFUSED(0, page - 1, fd, far, VMMEM_EPASTEOF);
	REFUSED(0, page, fd, far, VMMEM_EWRAPS);
	REFUSED(0, 1, fd, far + page, VMMEM_EWRAPS);
	REFUSED(0, 1, fd, TOP + 1 - page, VMMEM_EWRAPS);
	REFUSED(8, page, fd, 0, VMMEM_ECONGRUENCE);
	REFUSED(1, page, fd, 0, VMMEM_ECONGRUENCE);
	REFUSED(0, page, -1, 0, -EBADF);
	REFUSED(0, page, closed, 0, -EBADF);
	REFUSED(0, page, reader, 0, -EACCES);
	ck_assert_int_lt(vmmem_region_new_file(0, page, directory, 0, &region),
			 0);
	ck_assert_int_lt(vmmem_region_new_file(0, page, pipes[0], 0, &region),
			 0);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_uint_eq(open_files(), files);

	/* Up to the last byte of the file is not past its end. */
	assert_ok(vmmem_region_new_file(0, 2 * page + 5, fd, 0, &region));
	vmmem_region_unref(region);
	assert_ok(vmmem_region_new_file(0, 5, fd, 2 * page, &region));
	vmmem_region_unref(region);
	ck_assert_uint_eq(open_files(), files);
	close(reader);
	close(directory);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}
END_TEST

/* A device has no size that could be passed. */
START_TEST(file_may_be_a_device)
{
	int fd = open("/dev/zero", O_RDWR);
	struct vmmem_region *region = NULL;

	ck_assert_int_ge(fd, 0);
	assert_ok(vmmem_region_new_file(0, 0x2000, fd, 0, &region));
	close(fd);
	ck_assert(all_are(expect_host(region), 0, 0x2000));
	vmmem_region_unref(region);
}
END_TEST

START_TEST(external_is_the_callers)
{
	static _Alignas(4096) uint8_t memory[8192];
	struct vmmem_region *region = NULL;
	uint64_t offset;
	int fd;

	assert_ok(vmmem_region_new_external(0x9001, 4096, memory + 1,
					    &region));
	expect_range(region, 0x9001, 4096);
	ck_assert_ptr_eq(expect_host(region), memory + 1);
	ck_assert_uint_eq(vmmem_region_kind(region), VMMEM_REGION_EXTERNAL);
	ck_assert_uint_eq(vmmem_region_file_flags(region), 0);
	ck_assert_uint_eq(vmmem_region_huge_pages(region),
			  VMMEM_HUGE_PAGES_UNKNOWN);
	ck_assert_uint_eq(vmmem_region_page_size(region), 0);
	ck_assert_uint_eq(vmmem_region_protection(region),
			  VMMEM_PROT_READ | VMMEM_PROT_WRITE);
	assert_code(vmmem_region_file(region, &fd, &offset), VMMEM_ENOFILE);
	vmmem_region_unref(region);
	ck_assert(is_mapped(memory, sizeof(memory)));
}
END_TEST

START_TEST(external_refusals)
{
	static _Alignas(16) uint8_t memory[64];
	struct vmmem_region *region = NO_REGION;
	uintptr_t high = UINTPTR_MAX - 15;

	assert_code(vmmem_region_new_external(0, 16, NULL, &region),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_new_external(1, 16, memory, &region),
		    VMMEM_ECONGRUENCE);
	assert_code(vmmem_region_new_external(0, 16, memory + 8, &region),
		    VMMEM_ECONGRUENCE);
	assert_code(vmmem_region_new_external(0, 17, (void *)high, &region),
		    VMMEM_EWRAPS);
	ck_assert_ptr_eq(region, NO_REGION);
}
END_TEST

START_TEST(null_outputs_are_refused)
{
	static _Alignas(16) uint8_t memory[16];
	struct vmmem_region *region = region_of(0, 0x1000);
	int fd = file_of(0x1000);
	size_t files = open_files();

	assert_code(vmmem_region_new_anonymous(0, 1, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_region_new_memfd(0, 1, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_region_new_file(0, 1, fd, 0, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_region_new_external(0, 16, memory, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_new_alias(0, 16, region, 0, NULL),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(open_files(), files);
	close(fd);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(host_address_refusals)
{
	struct vmmem_region *region = region_of(0, 0x1000);
	uint64_t len = 77;
	void *host = &len;

	assert_code(vmmem_region_host_address(NULL, 0, &host, &len),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_host_address(region, 0, NULL, &len),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_host_address(region, 0, &host, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_host_address(region, 0x1000, &host, &len),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_host_address(region, TOP, &host, &len),
		    VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(len, 77);
	ck_assert_ptr_eq(host, &len);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(file_query_refusals)
{
	struct vmmem_region *region = NULL;
	uint64_t offset = 77;
	int fd = 77;

	assert_ok(vmmem_region_new_memfd(0, 0x1000, &region));
	assert_code(vmmem_region_file(NULL, &fd, &offset), VMMEM_EARGUMENT);
	assert_code(vmmem_region_file(region, NULL, &offset), VMMEM_EARGUMENT);
	assert_code(vmmem_region_file(region, &fd, NULL), VMMEM_EARGUMENT);
	ck_assert_int_eq(fd, 77);
	ck_assert_uint_eq(offset, 77);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(null_region_answers_nothing)
{
	ck_assert_ptr_null(vmmem_region_ref(NULL));
	ck_assert_ptr_null(vmmem_region_unref(NULL));
	ck_assert_uint_eq(vmmem_region_start(NULL), 0);
	ck_assert_uint_eq(vmmem_region_last(NULL), 0);
	ck_assert_uint_eq(vmmem_region_len(NULL), 0);
	ck_assert_uint_eq(vmmem_region_kind(NULL), 0);
	ck_assert_uint_eq(vmmem_region_protection(NULL), 0);
	ck_assert_uint_eq(vmmem_region_file_flags(NULL), 0);
	ck_assert_uint_eq(vmmem_region_huge_pages(NULL), 0);
	ck_assert_uint_eq(vmmem_region_page_size(NULL), 0);
	ck_assert_ptr_null(vmmem_region_alias_target(NULL));
	ck_assert_uint_eq(vmmem_region_alias_offset(NULL), 0);
	ck_assert_ptr_null(vmmem_region_cookie(NULL, NULL));
	ck_assert_ptr_null(vmmem_region_name(NULL));
}
END_TEST

START_TEST(memory_lives_as_long_as_a_reference)
{
	struct vmmem_region *region = region_of(0, 0x100000);
	uint8_t *host = expect_host(region);

	ck_assert_ptr_eq(vmmem_region_ref(region), region);
	ck_assert_ptr_eq(vmmem_region_ref(region), region);
	ck_assert_ptr_null(vmmem_region_unref(region));
	ck_assert(is_mapped(host, 0x100000));
	ck_assert_ptr_null(vmmem_region_unref(region));
	ck_assert(is_mapped(host, 0x100000));
	ck_assert_ptr_null(vmmem_region_unref(region));
	ck_assert(!is_mapped(host, 1));
	ck_assert(!is_mapped(host + 0xfffff, 1));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("region");
	TCase *tcase = tcase_create("region");

	tcase_add_loop_test(tcase, anonymous_range, 0,
			    (int)ARRAY_LEN(good_ranges));
	tcase_add_loop_test(tcase, memfd_range, 0,
			    (int)ARRAY_LEN(good_ranges));
	tcase_add_loop_test(tcase, bad_range, 0, (int)ARRAY_LEN(bad_ranges));
	tcase_add_test(tcase, more_than_a_process_can_map);
	tcase_add_test(tcase, anonymous_queries);
	tcase_add_loop_test(tcase, odd_address_is_congruent, 0, 17);
	tcase_add_test(tcase, memfd_is_sealed);
	tcase_add_test(tcase, memfd_is_no_stream);
	tcase_add_test(tcase, file_is_shared_and_duplicated);
	tcase_add_test(tcase, file_refusals);
	tcase_add_test(tcase, file_may_be_a_device);
	tcase_add_test(tcase, external_is_the_callers);
	tcase_add_test(tcase, external_refusals);
	tcase_add_test(tcase, null_outputs_are_refused);
	tcase_add_test(tcase, host_address_refusals);
	tcase_add_test(tcase, file_query_refusals);
	tcase_add_test(tcase, null_region_answers_nothing);
	tcase_add_test(tcase, memory_lives_as_long_as_a_reference);
	suite_add_tcase(suite, tcase);
	return suite;
}
