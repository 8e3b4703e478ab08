/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Descriptors of all kinds, and lies about them. */
#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <vmmem/fd.h>

#include "memory.h"
#include "suite.h"

#define LEN UINT64_C(0x4000)
#define ALL_TYPES (2 * VMMEM_FD_TYPE_GUEST_MEMFD - 1)
#define ALL_SEALS                                                          \
	(VMMEM_SEAL_SHRINK | VMMEM_SEAL_GROW | VMMEM_SEAL_SEAL |           \
	 VMMEM_SEAL_WRITE | VMMEM_SEAL_FUTURE_WRITE)

/* A memfd of LEN bytes with 'seals'. */
static int
memfd_with(uint32_t seals)
{
	int fd = memfd_create("untrusted", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)LEN), 0);
	if (seals != 0)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int
disk_file(void)
{
	FILE *file = tmpfile();
	int fd;

	ck_assert_ptr_nonnull(file);
	fd = dup(fileno(file));
	ck_assert_int_ge(fd, 0);
	fclose(file);
	ck_assert_int_eq(ftruncate(fd, (off_t)LEN), 0);
	return fd;
}

static int
again(int fd, int flags)
{
	char path[64];
	int other;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, flags);
	ck_assert_int_ge(other, 0);
	return other;
}

static int
pipe_end(void)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	close(ends[1]);
	return ends[0];
}

static int
socket_end(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static int
directory(void)
{
	return open("/", O_RDONLY | O_DIRECTORY);
}

static int
device(void)
{
	return open("/dev/zero", O_RDWR);
}

static int
event(void)
{
	return eventfd(0, 0);
}

static int
sealed_memfd(void)
{
	return memfd_with(VMMEM_SEAL_SHRINK);
}

static const struct {
	int (*make)(void);
	uint32_t type;
	uint32_t access;
	uint32_t shrinkable;
} kinds[] = {
	{ sealed_memfd, VMMEM_FD_TYPE_MEMORY, 3, 0 },
	{ disk_file, 0, 3, 1 }, /* /tmp may be of either kind */
	{ device, VMMEM_FD_TYPE_DEVICE, 3, 0 },
	{ directory, VMMEM_FD_TYPE_DIRECTORY, VMMEM_PROT_READ, 0 },
	{ pipe_end, VMMEM_FD_TYPE_PIPE, VMMEM_PROT_READ, 0 },
	{ socket_end, VMMEM_FD_TYPE_SOCKET, 3, 0 },
	{ event, VMMEM_FD_TYPE_OTHER, 3, 0 },
};

static struct vmmem_fd_report
examine(int fd)
{
	struct vmmem_fd_report report = { .size = sizeof(report) };

	assert_ok(vmmem_fd_examine(fd, &report));
	ck_assert_uint_eq(report.size, sizeof(report));
	ck_assert_uint_eq(report.reserved, 0);
	ck_assert_uint_eq(report.missing, 0);
	return report;
}

START_TEST(kinds_are_told)
{
	int fd = kinds[_i].make();
	struct vmmem_fd_report report = examine(fd);
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	ck_assert_uint_eq(report.device, status.st_dev);
	ck_assert_uint_eq(report.inode, status.st_ino);
	ck_assert_uint_eq(report.len, (uint64_t)status.st_size);
	ck_assert_uint_eq(report.allocated, (uint64_t)status.st_blocks * 512);
	if (kinds[_i].type != 0)
		ck_assert_uint_eq(report.type, kinds[_i].type);
	ck_assert_uint_eq(report.access, kinds[_i].access);
	ck_assert_uint_eq(report.shrinkable, kinds[_i].shrinkable);
	if (report.type <= VMMEM_FD_TYPE_REGULAR)
		ck_assert_uint_eq(report.page_size, page_size());
	else
		ck_assert_uint_eq(report.page_size, 0);
	close(fd);
}
END_TEST

/* Secret memory has a length, which stays, and no file system. */
START_TEST(secret_memory)
{
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.types = ALL_TYPES - VMMEM_FD_TYPE_OTHER,
		.flags = VMMEM_FD_MAY_SHRINK,
	};
	int fd = -1;

#ifdef SYS_memfd_secret
	fd = (int)syscall(SYS_memfd_secret, 0);
#endif
	if (fd < 0) {
		puts("skipped: no memfd_secret(2)");
		return;
	}
	ck_assert_int_eq(ftruncate(fd, (off_t)LEN), 0);
	ck_assert_int_ne(ftruncate(fd, (off_t)LEN / 2), 0);
	ck_assert_uint_eq(examine(fd).type, VMMEM_FD_TYPE_OTHER);
	ck_assert_uint_eq(examine(fd).shrinkable, 0);
	ck_assert_uint_eq(examine(fd).len, LEN);
	assert_code(vmmem_fd_check(fd, 0, LEN, &rules, NULL), VMMEM_EFILETYPE);
	close(fd);
}
END_TEST

/* Each kind is refused but where it is named. */
START_TEST(types)
{
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.flags = VMMEM_FD_MAY_SHRINK,
		.access = VMMEM_PROT_READ,
	};
	int fd = kinds[_i].make();
	uint32_t type = examine(fd).type;
	int code;

	rules.types = ALL_TYPES - type;
	assert_code(vmmem_fd_check(fd, 0, 0, &rules, NULL),
		    VMMEM_EFILETYPE);
	rules.types = 0;
	code = type == VMMEM_FD_TYPE_MEMORY ? 0 : VMMEM_EFILETYPE;
	assert_code(vmmem_fd_check(fd, 0, 0, &rules, NULL), code);
	assert_code(vmmem_fd_check(fd, 0, 0, NULL, NULL),
		    code == 0 && examine(fd).shrinkable ? VMMEM_ESHRINKABLE :
							  code);
	rules.types = type;
	assert_ok(vmmem_fd_check(fd, 0, 0, &rules, NULL));
	close(fd);
}
END_TEST

START_TEST(not_open)
{
	struct vmmem_fd_report report = { .size = sizeof(report),
					       .len = 5 };
	int same = 5, fd = memfd_with(0);
	static const int numbers[] = { -1, -2, INT32_MIN, INT32_MAX, 999999 };
	size_t i;

	for (i = 0; i < ARRAY_LEN(numbers); i++) {
		assert_code(vmmem_fd_examine(numbers[i], &report),
			    -EBADF);
		assert_code(vmmem_fd_check(numbers[i], 0, 0, NULL, &report),
			    -EBADF);
		assert_code(vmmem_fd_same_file(numbers[i], fd, &same),
			    -EBADF);
		assert_code(vmmem_fd_same_file(fd, numbers[i], &same),
			    -EBADF);
	}
	ck_assert_uint_eq(report.len, 5);
	ck_assert_int_eq(same, 5);
	close(fd);
}
END_TEST

/* A descriptor that only names a file can be neither read nor mapped. */
START_TEST(only_a_path)
{
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.types = ALL_TYPES,
		.access = VMMEM_PROT_READ,
		.flags = VMMEM_FD_MAY_SHRINK,
	};
	int fd = memfd_with(VMMEM_SEAL_SHRINK), path = again(fd, O_PATH);
	struct vmmem_fd_report report = examine(path);

	ck_assert_uint_eq(report.access, 0);
	ck_assert_uint_eq(report.type, VMMEM_FD_TYPE_MEMORY);
	assert_code(vmmem_fd_check(path, 0, 1, &rules, NULL),
		    VMMEM_EFILEACCESS);
	/* This comes first. */
	assert_code(vmmem_fd_check(path, 0, 1, NULL, NULL),
		    VMMEM_EFILEACCESS);
	close(path);
	path = open("/", O_PATH);
	assert_code(vmmem_fd_check(path, 0, 0, &rules, NULL),
		    VMMEM_EFILEACCESS);
	close(path);
	close(fd);
}
END_TEST

static const struct {
	int open_flags;
	uint32_t seals;
	uint32_t access;
	int code;
} access_rows[] = {
	{ O_RDWR, 0, 0, 0 },
	{ O_RDWR, 0, VMMEM_PROT_READ, 0 },
	{ O_RDONLY, 0, 0, VMMEM_EFILEACCESS },
	{ O_RDONLY, 0, VMMEM_PROT_READ, 0 },
	{ O_RDONLY, 0, VMMEM_PROT_WRITE, VMMEM_EFILEACCESS },
	{ O_WRONLY, 0, 0, VMMEM_EFILEACCESS },
	{ O_WRONLY, 0, VMMEM_PROT_READ, VMMEM_EFILEACCESS },
	{ O_RDWR, VMMEM_SEAL_WRITE, 0, VMMEM_EFILEACCESS },
	{ O_RDWR, VMMEM_SEAL_WRITE, VMMEM_PROT_READ, 0 },
	{ O_RDWR, VMMEM_SEAL_FUTURE_WRITE, 0, VMMEM_EFILEACCESS },
	{ O_RDWR, VMMEM_SEAL_FUTURE_WRITE, VMMEM_PROT_READ, 0 },
};

START_TEST(access_needed)
{
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.access = access_rows[_i].access,
	};
	int fd = memfd_with(VMMEM_SEAL_SHRINK | access_rows[_i].seals);
	int other = again(fd, access_rows[_i].open_flags);

	assert_code(vmmem_fd_check(other, 0, LEN, &rules, NULL),
		    access_rows[_i].code);
	close(other);
	close(fd);
}
END_TEST

static const struct {
	uint32_t has;
	uint32_t require;
	uint32_t add;
	uint32_t warn;
	uint32_t flags;
	int code;
	uint32_t result;
	uint32_t missing;
} seal_rows[] = {
	/* What could be cut short is refused, if it is not permitted. */
	{ 0, 0, 0, 0, 0, VMMEM_ESHRINKABLE, 0, 0 },
	{ 0, 0, 0, 0, VMMEM_FD_MAY_SHRINK, 0, 0, 0 },
	{ VMMEM_SEAL_SHRINK, 0, 0, 0, 0, 0, VMMEM_SEAL_SHRINK, 0 },
	/* Required. */
	{ 0, VMMEM_SEAL_SHRINK, 0, 0, 0, VMMEM_ESEALS, 0, 0 },
	{ VMMEM_SEAL_SHRINK, VMMEM_SEAL_SHRINK | VMMEM_SEAL_GROW, 0, 0, 0,
	  VMMEM_ESEALS, VMMEM_SEAL_SHRINK, 0 },
	{ VMMEM_SEAL_SHRINK, VMMEM_SEAL_SHRINK, 0, 0, 0, 0, VMMEM_SEAL_SHRINK,
	  0 },
	/* Added, and so there if required. */
	{ 0, 0, VMMEM_SEAL_SHRINK, 0, 0, 0, VMMEM_SEAL_SHRINK, 0 },
	{ 0, VMMEM_SEAL_SHRINK, VMMEM_SEAL_SHRINK | VMMEM_SEAL_SEAL, 0, 0, 0,
	  VMMEM_SEAL_SHRINK | VMMEM_SEAL_SEAL, 0 },
	{ VMMEM_SEAL_SEAL, 0, VMMEM_SEAL_SHRINK, 0, 0, VMMEM_ESEALS,
	  VMMEM_SEAL_SEAL, 0 },
	{ VMMEM_SEAL_SEAL | VMMEM_SEAL_SHRINK, 0, VMMEM_SEAL_SHRINK, 0, 0, 0,
	  VMMEM_SEAL_SEAL | VMMEM_SEAL_SHRINK, 0 },
	/* Only reported. */
	{ VMMEM_SEAL_SHRINK, 0, 0, VMMEM_SEAL_SHRINK | VMMEM_SEAL_GROW, 0, 0,
	  VMMEM_SEAL_SHRINK, VMMEM_SEAL_GROW },
	{ 0, 0, 0, ALL_SEALS, VMMEM_FD_MAY_SHRINK, 0, 0, ALL_SEALS },
};

START_TEST(seals)
{
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.require = seal_rows[_i].require,
		.add = seal_rows[_i].add,
		.warn = seal_rows[_i].warn,
		.flags = seal_rows[_i].flags,
	};
	struct vmmem_fd_report report = { .size = sizeof(report),
					       .seals = 99 };
	int fd = memfd_with(seal_rows[_i].has);

	assert_code(vmmem_fd_check(fd, 0, LEN, &rules, &report),
		    seal_rows[_i].code);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS), (int)seal_rows[_i].result);
	if (seal_rows[_i].code == 0) {
		ck_assert_uint_eq(report.seals, seal_rows[_i].result);
		ck_assert_uint_eq(report.missing, seal_rows[_i].missing);
		ck_assert_uint_eq(report.len, LEN);
	} else {
		ck_assert_uint_eq(report.seals, 99);
	}
	close(fd);
}
END_TEST

/* A file on disk has no seals, and can be given none. */
START_TEST(no_seals_on_disk)
{
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.types = VMMEM_FD_TYPE_REGULAR | VMMEM_FD_TYPE_MEMORY,
		.add = VMMEM_SEAL_SHRINK,
	};
	int fd = disk_file();

	assert_code(vmmem_fd_check(fd, 0, LEN, &rules, NULL),
		    VMMEM_ESEALS);
	rules.add = 0;
	rules.require = VMMEM_SEAL_SHRINK;
	assert_code(vmmem_fd_check(fd, 0, LEN, &rules, NULL),
		    VMMEM_ESEALS);
	rules.require = 0;
	assert_code(vmmem_fd_check(fd, 0, LEN, &rules, NULL),
		    VMMEM_ESHRINKABLE);
	rules.flags = VMMEM_FD_MAY_SHRINK;
	assert_ok(vmmem_fd_check(fd, 0, LEN, &rules, NULL));
	close(fd);
}
END_TEST

static const struct {
	uint64_t offset;
	uint64_t len;
	int code;
} range_rows[] = {
	{ 0, LEN, 0 },
	{ 0, 1, 0 },
	{ 0x3000, 0x1000, 0 },
	{ 0x4000, 0, 0 },
	{ UINT64_C(1) << 62, 0, 0 },
	{ 0, LEN + 1, VMMEM_EPASTEOF },
	{ 0x1000, LEN, VMMEM_EPASTEOF },
	{ 0x4000, 1, VMMEM_EPASTEOF },
	{ 0, INT64_MAX, VMMEM_EPASTEOF },
	{ 0, (uint64_t)INT64_MAX + 1, VMMEM_EWRAPS },
	{ 0x1000, INT64_MAX, VMMEM_EWRAPS },
	{ 0x1000, TOP, VMMEM_EWRAPS },
	{ 0x1000, TOP - 0xfff, VMMEM_EWRAPS },
	{ TOP - 0xfff, 0x1000, VMMEM_EWRAPS },
	{ TOP - 0xfff, 0xfff, VMMEM_EWRAPS },
	{ TOP - 0xfff, 0, VMMEM_EWRAPS },
	{ UINT64_C(1) << 63, TOP, VMMEM_EWRAPS },
	{ 1, 1, VMMEM_EFILEOFFSET },
	{ TOP, 0, VMMEM_EFILEOFFSET },
};

START_TEST(ranges)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NO_REGION;
	uint64_t offset = range_rows[_i].offset, len = range_rows[_i].len;
	int fd = memfd_with(VMMEM_SEAL_SHRINK);

	if (page_size() != 0x1000)
		return;
	assert_code(vmmem_fd_check(fd, offset, len, NULL, NULL),
		    range_rows[_i].code);
	/*
	 * A region of it says the same, if its own range is one, except that it
	 * may begin within a page.
	 */
	vmmem_region_builder_set_range(builder, 0, len);
	vmmem_region_builder_set_untrusted_file(builder, fd, offset, 0, NULL);
	if (len != 0) {
		assert_code(vmmem_region_builder_build(builder, &region),
			    range_rows[_i].code == VMMEM_EFILEOFFSET ?
				    VMMEM_ECONGRUENCE :
				    range_rows[_i].code);
		if (range_rows[_i].code == 0)
			vmmem_region_unref(region);
		else
			ck_assert_ptr_eq(region, NO_REGION);
	}
	vmmem_region_builder_free(builder);
	close(fd);
}
END_TEST

static const uint64_t lengths[] = { 0, 1, 4095, 4096, UINT64_C(1) << 31,
				    UINT64_C(1) << 32, UINT64_C(1) << 40 };

/* Sparse files of every length: up to the end, and no byte more. */
START_TEST(limits)
{
	struct vmmem_fd_report report = { .size = sizeof(report) };
	uint64_t len = lengths[_i];
	int fd = memfd_create("untrusted", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, (off_t)len), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_ok(vmmem_fd_check(fd, 0, len, NULL, &report));
	ck_assert_uint_eq(report.len, len);
	ck_assert_uint_eq(report.allocated, 0);
	ck_assert_uint_eq(report.fs_type, TMPFS_MAGIC);
	assert_code(vmmem_fd_check(fd, 0, len + 1, NULL, NULL),
		    VMMEM_EPASTEOF);
	close(fd);
}
END_TEST

START_TEST(page_sizes)
{
	struct vmmem_fd_rules rules = { .size = sizeof(rules) };
	int fd = memfd_with(VMMEM_SEAL_SHRINK);

	rules.page_size = page_size();
	assert_ok(vmmem_fd_check(fd, 0, LEN, &rules, NULL));
	rules.page_size = 2 * MIB;
	assert_code(vmmem_fd_check(fd, 0, LEN, &rules, NULL),
		    VMMEM_EHUGEPAGE);
	rules.page_size = TOP;
	assert_code(vmmem_fd_check(fd, 0, LEN, &rules, NULL),
		    VMMEM_EHUGEPAGE);
	close(fd);
}
END_TEST

/* One file by many descriptors, and many files. */
START_TEST(identity)
{
	int fd = memfd_with(0), other = memfd_with(0), copy = dup(fd);
	int reader = again(fd, O_RDONLY), same = 9;

	ck_assert_uint_eq(examine(fd).inode, examine(reader).inode);
	ck_assert_uint_eq(examine(fd).device, examine(reader).device);
	assert_ok(vmmem_fd_same_file(fd, fd, &same));
	ck_assert_int_eq(same, 1);
	assert_ok(vmmem_fd_same_file(fd, copy, &same));
	ck_assert_int_eq(same, 1);
	assert_ok(vmmem_fd_same_file(reader, fd, &same));
	ck_assert_int_eq(same, 1);
	assert_ok(vmmem_fd_same_file(fd, other, &same));
	ck_assert_int_eq(same, 0);
	assert_code(vmmem_fd_same_file(fd, fd, NULL), VMMEM_EARGUMENT);
	close(fd);
	close(other);
	close(copy);
	close(reader);
}
END_TEST

START_TEST(bad_rules)
{
	struct vmmem_fd_rules good = { .size = sizeof(good) };
	struct vmmem_fd_rules rules;
	struct vmmem_fd_report report = { .size = 1 };
	struct {
		struct vmmem_fd_rules known;
		uint64_t more;
	} newer = { .known = { .size = sizeof(newer) } };
	int fd = memfd_with(0);

#define REFUSED(member, value, code)                                       \
	do {                                                               \
		rules = good;                                              \
		rules.member = (value);                                    \
		assert_code(vmmem_fd_check(fd, 0, 1, &rules, NULL),   \
			    code);                                         \
	} while (0)

	REFUSED(types, 1024, VMMEM_EARGUMENT);
	REFUSED(types, UINT32_MAX, VMMEM_EARGUMENT);
	REFUSED(access, VMMEM_PROT_EXEC, VMMEM_EARGUMENT);
	REFUSED(require, 64, VMMEM_EARGUMENT);
	REFUSED(add, 64, VMMEM_EARGUMENT);
	REFUSED(warn, UINT32_MAX, VMMEM_EARGUMENT);
	REFUSED(flags, 4, VMMEM_EARGUMENT);
	REFUSED(size, sizeof(rules) - 1, VMMEM_ESTRUCTSIZE);
	REFUSED(size, 4097, VMMEM_ESTRUCTSIZE);
	REFUSED(size, 0, VMMEM_ESTRUCTSIZE);
	newer.known.flags = VMMEM_FD_MAY_SHRINK;
	assert_ok(vmmem_fd_check(fd, 0, 1, &newer.known, NULL));
	newer.more = 1;
	assert_code(vmmem_fd_check(fd, 0, 1, &newer.known, NULL),
		    VMMEM_ESTRUCTNEWER);

	assert_code(vmmem_fd_examine(fd, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_fd_examine(fd, &report), VMMEM_ESTRUCTSIZE);
	/* Before a seal is added that cannot be taken back. */
	good.add = VMMEM_SEAL_SHRINK;
	assert_code(vmmem_fd_check(fd, 0, 1, &good, &report),
		    VMMEM_ESTRUCTSIZE);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS), 0);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fd");
	TCase *tcase = tcase_create("fd");

	tcase_add_loop_test(tcase, kinds_are_told, 0, (int)ARRAY_LEN(kinds));
	tcase_add_test(tcase, secret_memory);
	tcase_add_loop_test(tcase, types, 0, (int)ARRAY_LEN(kinds));
	tcase_add_test(tcase, not_open);
	tcase_add_test(tcase, only_a_path);
	tcase_add_loop_test(tcase, access_needed, 0,
			    (int)ARRAY_LEN(access_rows));
	tcase_add_loop_test(tcase, seals, 0, (int)ARRAY_LEN(seal_rows));
	tcase_add_test(tcase, no_seals_on_disk);
	tcase_add_loop_test(tcase, ranges, 0, (int)ARRAY_LEN(range_rows));
	tcase_add_loop_test(tcase, limits, 0, (int)ARRAY_LEN(lengths));
	tcase_add_test(tcase, page_sizes);
	tcase_add_test(tcase, identity);
	tcase_add_test(tcase, bad_rules);
	suite_add_tcase(suite, tcase);
	return suite;
}
