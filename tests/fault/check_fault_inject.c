/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The injector itself: each function that it stands before fails when told to,
 * works when not, and is counted.
 */
#include "fault.h"
#include "suite.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* A compiler drops a block that nobody looks at. */
static void
touch(void *block)
{
	*(volatile char *)block = 1;
}

/* Each returns 0, or -errno; and gives back what it got. */
static int
use_block(void *block)
{
	if (block == NULL)
		return -errno;
	touch(block);
	free(block);
	return 0;
}

static int
call_malloc(void)
{
	return use_block(malloc(16));
}

static int
call_calloc(void)
{
	return use_block(calloc(4, 4));
}

/* A compiler that sees a NULL makes malloc() of it. */
static void *volatile none;

static int
call_realloc(void)
{
	return use_block(realloc(none, 16));
}

static int
call_reallocarray(void)
{
	return use_block(reallocarray(none, 4, 4));
}

static int
call_posix_memalign(void)
{
	void *block;
	int error = posix_memalign(&block, 64, 64);

	return error != 0 ? -error : use_block(block);
}

static int
call_strdup(void)
{
	return use_block(strdup("text"));
}

static int
call_mmap(void)
{
	size_t len = fault_page();
	void *address = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);

	if (address == MAP_FAILED)
		return -errno;
	return munmap(address, len) != 0 ? -errno : 0;
}

static int
call_madvise(void)
{
	size_t len = fault_page();
	void *address = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	int rc = 0;

	if (address == MAP_FAILED)
		return -errno;
	if (madvise(address, len, MADV_NORMAL) != 0)
		rc = -errno;
	return munmap(address, len) != 0 ? -errno : rc;
}

static int
call_memfd_create(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	return close(fd) != 0 ? -errno : 0;
}

static int
call_fcntl(void)
{
	int fd = fcntl(fault_file(), F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return -errno;
	return close(fd) != 0 ? -errno : 0;
}

static int
call_ftruncate(void)
{
	return ftruncate(fault_file(), (off_t)fault_page()) != 0 ? -errno : 0;
}

static int
call_fstat(void)
{
	struct stat status;

	return fstat(fault_file(), &status) != 0 ? -errno : 0;
}

static int
call_fstatfs(void)
{
	struct statfs status;

	return fstatfs(fault_file(), &status) != 0 ? -errno : 0;
}

static int
call_ioctl(void)
{
	return ioctl(fault_file(), FIOCLEX, NULL) != 0 ? -errno : 0;
}

static int
call_sigaction(void)
{
	struct sigaction action;

	return sigaction(SIGBUS, NULL, &action) != 0 ? -errno : 0;
}

static int
call_pthread_mutex_init(void)
{
	pthread_mutex_t mutex;
	int error = pthread_mutex_init(&mutex, NULL);

	if (error != 0)
		return -error;
	return -pthread_mutex_destroy(&mutex);
}

/* One with all six arguments. */
static int
call_syscall(void)
{
	size_t len = fault_page();
#ifdef __s390x__
	/* Six arguments are one too many for this machine's registers. */
	unsigned long arguments[6] = { 0, len, PROT_READ, MAP_SHARED,
				       (unsigned long)fault_file(), len };
	long address = syscall(SYS_mmap, arguments);
#else
	long address = syscall(SYS_mmap, NULL, len, (long)PROT_READ,
			       (long)MAP_SHARED, (long)fault_file(), (long)len);
#endif

	if (address == -1)
		return -errno;
	/* Not through munmap(), which would find a stranger. */
	return syscall(SYS_munmap, address, len) != 0 ? -errno : 0;
}

static const struct {
	const char *calls[3]; /* that can fail, in their order */
	scenario_fn run;
} functions[] = {
	{ { "malloc" }, call_malloc },
	{ { "calloc" }, call_calloc },
	{ { "realloc" }, call_realloc },
	{ { "reallocarray" }, call_reallocarray },
	{ { "posix_memalign" }, call_posix_memalign },
	{ { "strdup" }, call_strdup },
	{ { "mmap", "munmap" }, call_mmap },
	{ { "mmap", "madvise", "munmap" }, call_madvise },
	{ { "memfd_create", "close" }, call_memfd_create },
	{ { "fcntl", "close" }, call_fcntl },
	{ { "ftruncate" }, call_ftruncate },
	{ { "fstat" }, call_fstat },
	{ { "fstatfs" }, call_fstatfs },
	{ { "ioctl" }, call_ioctl },
	{ { "pthread_mutex_init" }, call_pthread_mutex_init },
	{ { "sigaction" }, call_sigaction },
	{ { "syscall", "syscall" }, call_syscall },
};
#define FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

START_TEST(test_function)
{
	unsigned int n, left;
	int rc;

	fault_file();
	for (n = 0; n < 4; n++) {
		const char *want = NULL;

		if (n > 0 && n <= 3)
			want = functions[_i].calls[n - 1];
		inject_start(n, EPERM, false);
		rc = functions[_i].run();
		inject_stop();
		left = inject_reclaim();
		ck_assert_pstr_eq(inject_fired(), want);
		if (want == NULL) {
			ck_assert_int_eq(rc, 0);
		} else {
			ck_assert_int_eq(rc, inject_code());
			ck_assert_int_eq(rc, _i < 6 ? -ENOMEM : -EPERM);
			ck_assert_uint_eq(left, strcmp(want, "munmap") == 0);
		}
		ck_assert_uint_eq(inject_live().allocations, 0);
		ck_assert_uint_eq(inject_live().mappings, 0);
		ck_assert_uint_eq(inject_live().descriptors, 0);
		ck_assert_uint_eq(inject_live().strangers, 0);
	}
}
END_TEST

/* What is kept is counted, and what is not ours is noticed. */
START_TEST(test_leaks)
{
	size_t len = fault_page();
	char *block;
	void *address;
	int fd;

	inject_start(0, 0, false);
	block = malloc(8);
	if (block != NULL)
		touch(block);
	block = realloc(block, 1 << 20);
	if (block != NULL)
		touch(block);
	address = mmap(NULL, 2 * len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	fd = memfd_create("test", MFD_CLOEXEC);
	inject_stop();
	ck_assert_ptr_nonnull(block);
	ck_assert_ptr_ne(address, MAP_FAILED);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(inject_live().allocations, 1);
	ck_assert_uint_eq(inject_live().mappings, 1);
	ck_assert_uint_eq(inject_live().descriptors, 1);
	ck_assert_uint_eq(inject_live().strangers, 0);
	free(block);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_uint_eq(inject_live().allocations, 0);
	ck_assert_uint_eq(inject_live().descriptors, 0);

	ck_assert_int_eq(munmap(address, 2 * len), 0);
	ck_assert_uint_eq(inject_live().mappings, 0);

	/* A mapping in two parts, and what was there before. */
	block = malloc(8);
	ck_assert_ptr_nonnull(block);
	touch(block);
	fd = memfd_create("test", MFD_CLOEXEC);
	inject_start(0, 0, false);
	address = mmap(NULL, 2 * len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	munmap(address, len);
	munmap((char *)address + len, len);
	free(block);
	close(fd);
	inject_stop();
	ck_assert_uint_eq(inject_live().strangers, 4);
	ck_assert_uint_eq(inject_live().mappings, 1);
}
END_TEST

/* With 'clean_up' every close and munmap fails, and no other call. */
START_TEST(test_clean_up)
{
	int closed, unmapped, freed;

	inject_start(0, EIO, true);
	closed = call_memfd_create();
	unmapped = call_mmap();
	freed = call_malloc();
	inject_stop();
	ck_assert_int_eq(closed, -EIO);
	ck_assert_int_eq(unmapped, -EIO);
	ck_assert_int_eq(freed, 0);
	ck_assert_ptr_null(inject_fired());
	ck_assert_uint_eq(inject_live().mappings, 1);
	ck_assert_uint_eq(inject_live().descriptors, 0);
	ck_assert_uint_eq(inject_reclaim(), 1);
	ck_assert_uint_eq(inject_live().mappings, 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault injector");
	TCase *tcase = tcase_create("injector");

	tcase_add_loop_test(tcase, test_function, 0, FUNCTIONS);
	tcase_add_test(tcase, test_leaks);
	tcase_add_test(tcase, test_clean_up);
	suite_add_tcase(suite, tcase);
	return suite;
}
