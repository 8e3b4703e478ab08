/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What the system says by a signal is a code: SIGXFSZ beyond RLIMIT_FSIZE, and
 * SIGPIPE where nobody reads.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <vmmem/vmmem.h>

#include "io_forms.h"
#include "suite.h"

#define LIMIT UINT64_C(0x100000)
#define LEN (2 * LIMIT)

static volatile sig_atomic_t raised;

static void
on_signal(int number)
{
	(void)number;
	raised++;
}

static void
handle(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	ck_assert_int_eq(sigaction(number, &action, NULL), 0);
}

static void
set_limit(uint64_t limit)
{
	struct rlimit both;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &both), 0);
	both.rlim_cur = limit;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &both), 0);
}

/* The default would end the process. */
static void
setup(void)
{
	handle(SIGXFSZ, SIG_DFL);
	handle(SIGPIPE, SIG_DFL);
	set_limit(LIMIT);
	raised = 0;
}

static void
teardown(void)
{
	set_limit(RLIM_INFINITY);
}

static int
new_region(uint32_t reserve, struct vmmem_region **ret_region)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_policy *policy = vmmem_policy_new();
	int rc;

	vmmem_policy_set_reserve(policy, reserve);
	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_policy(builder, policy);
	rc = vmmem_region_builder_build(builder, ret_region);
	vmmem_policy_free(policy);
	vmmem_region_builder_free(builder);
	return rc;
}

START_TEST(memfds)
{
	struct vmmem_region *region = NO_REGION;
	uint32_t reserve;

	assert_code(vmmem_region_new_memfd(0, LEN, &region), -EFBIG);
	for (reserve = VMMEM_RESERVE_DEFAULT; reserve <= VMMEM_RESERVE_YES;
	     reserve++)
		assert_code(new_region(reserve, &region), -EFBIG);
	ck_assert_ptr_eq(region, NO_REGION);
	assert_ok(vmmem_region_new_memfd(0, LIMIT, &region));
	vmmem_region_unref(region);
	/* Anonymous memory is no file. */
	assert_ok(vmmem_region_new_anonymous(0, LEN, &region));
	vmmem_region_unref(region);
}
END_TEST

/* Nobody's handler is called, and the mask is what it was. */
START_TEST(nothing_is_left)
{
	struct vmmem_region *region = NO_REGION;
	sigset_t before, after;
	int number;

	handle(SIGXFSZ, on_signal);
	sigemptyset(&before);
	sigaddset(&before, SIGUSR1);
	if (_i)
		sigaddset(&before, SIGXFSZ);
	ck_assert_int_eq(sigprocmask(SIG_SETMASK, &before, NULL), 0);
	assert_code(vmmem_region_new_memfd(0, LEN, &region), -EFBIG);
	ck_assert_int_eq(sigprocmask(SIG_SETMASK, NULL, &after), 0);
	for (number = 1; number < 32; number++)
		ck_assert_int_eq(sigismember(&after, number),
				 sigismember(&before, number));
	sigemptyset(&after);
	ck_assert_int_eq(sigprocmask(SIG_SETMASK, &after, NULL), 0);
	ck_assert_int_eq(raised, 0);
}
END_TEST

/* A signal that waits already is the caller's, and still comes. */
START_TEST(one_that_waits)
{
	struct vmmem_region *region = NO_REGION;
	sigset_t both;

	handle(SIGXFSZ, on_signal);
	sigemptyset(&both);
	sigaddset(&both, SIGXFSZ);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &both, NULL), 0);
	ck_assert_int_eq(raise(SIGXFSZ), 0);
	assert_code(vmmem_region_new_memfd(0, LEN, &region), -EFBIG);
	ck_assert_int_eq(raised, 0);
	ck_assert_int_eq(sigprocmask(SIG_UNBLOCK, &both, NULL), 0);
	ck_assert_int_eq(raised, 1);
}
END_TEST

/* All three sides of a transfer, each with the flag and a message without. */
static int
transfer(int side, struct vmmem_collection *guest, uint64_t len, int fd,
	 uint64_t at, uint32_t flags, uint64_t *ret_done)
{
	const struct vmmem_range chain[] = { { 0, len / 2 },
					     { len / 2, len - len / 2 } };
	struct vmmem_slice slice;

	if (side == RANGE)
		return vmmem_collection_to_fd(guest, 0, len, fd, at, flags,
					      ret_done);
	if (side == CHAIN)
		return vmmem_collection_ranges_to_fd(guest, chain, 2, 0, len,
						     fd, at, flags, ret_done,
						     NULL);
	assert_ok(vmmem_collection_slice(guest, 0, len, VMMEM_PROT_READ,
					 &slice));
	return vmmem_slice_to_fd(&slice, 0, len, fd, at, flags, ret_done);
}

START_TEST(files)
{
	struct vmmem_region *region = NULL;
	struct vmmem_collection *guest;
	int fd = file_of(0);

	assert_ok(vmmem_region_new_anonymous(0, LEN, &region));
	guest = guest_of_one(region);
	errno = EXDEV;
	/* Up to the limit it goes, and then there is the code. */
	assert_moved(transfer(_i, guest, LEN, fd, 0x1000, VMMEM_IO_NO_SIGNAL,
			      &done), -EFBIG, LIMIT - 0x1000);
	assert_moved(transfer(_i, guest, LEN, fd, 0,
			      VMMEM_IO_NO_SIGNAL | VMMEM_IO_SOME, &done),
		     VMMEM_EPARTIAL, LIMIT);
	assert_moved(transfer(_i, guest, 8, fd, LIMIT,
			      VMMEM_IO_NO_SIGNAL | VMMEM_IO_MESSAGE, &done),
		     -EFBIG, 0);
	ck_assert_int_eq(errno, EXDEV);
	/* Without the flag it is as write(2) does. */
	handle(SIGXFSZ, on_signal);
	assert_moved(transfer(_i, guest, 8, fd, LIMIT, 0, &done), -EFBIG, 0);
	ck_assert_int_eq(raised, 1);
	assert_moved(transfer(_i, guest, 8, fd, LIMIT, VMMEM_IO_NO_SIGNAL,
			      &done), -EFBIG, 0);
	ck_assert_int_eq(raised, 1);
	vmmem_collection_unref(guest);
	close(fd);
}
END_TEST

START_TEST(pipes_and_sockets)
{
	struct vmmem_region *region = NULL;
	struct vmmem_collection *guest;
	int ends[2], i;

	assert_ok(vmmem_region_new_anonymous(0, LEN, &region));
	guest = guest_of_one(region);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(i == 0 ? pipe(ends) :
				 socketpair(AF_UNIX, i == 1 ? SOCK_STREAM :
							      SOCK_SEQPACKET,
					    0, ends), 0);
		close(ends[0]);
		assert_moved(transfer(_i, guest, 100, ends[1],
				      VMMEM_IO_POSITION, VMMEM_IO_NO_SIGNAL,
				      &done), -EPIPE, 0);
		assert_moved(transfer(_i, guest, 100, ends[1],
				      VMMEM_IO_POSITION,
				      VMMEM_IO_NO_SIGNAL | VMMEM_IO_MESSAGE,
				      &done), -EPIPE, 0);
		close(ends[1]);
	}
	vmmem_collection_unref(guest);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("quiet");
	TCase *tcase = tcase_create("quiet");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, memfds);
	tcase_add_loop_test(tcase, nothing_is_left, 0, 2);
	tcase_add_test(tcase, one_that_waits);
	tcase_add_loop_test(tcase, files, 0, 3);
	tcase_add_loop_test(tcase, pipes_and_sockets, 0, 3);
	suite_add_tcase(suite, tcase);
	return suite;
}
