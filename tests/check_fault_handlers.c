/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The library's handlers among those of others, below and on top.  That signals
 * of others are passed on as they came is the matter of
 * check_fault_compared.c.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"
#include "suite.h"

#define BOTH (VMMEM_FAULT_SIGNAL_BUS | VMMEM_FAULT_SIGNAL_SEGV)

const char *
skip_reason(void)
{
	if (vmmem_fault_enable(BOTH) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(BOTH);
	return NULL;
}

static sigjmp_buf out;

/* A signal as the kernel would send it. */
static void
fake(int number, int code, void *address)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = number;
	info.si_code = code;
	info.si_addr = address;
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), number,
		    &info) != 0)
		_exit(98);
}

static int
is_same(const struct sigaction *a, const struct sigaction *b)
{
	/* The C library adds a flag of its own on some processors. */
	const int flags = (int)(SA_SIGINFO | SA_NODEFER | SA_RESETHAND |
				SA_ONSTACK | SA_RESTART);

	return a->sa_handler == b->sa_handler &&
	       (a->sa_flags & flags) == (b->sa_flags & flags) &&
	       memcmp(&a->sa_mask, &b->sa_mask, 8) == 0;
}

static struct vmmem_region *region;
static struct vmmem_collection *map;
static unsigned int first_calls, second_calls;
static struct sigaction below;
static int fd;

static void
first(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	first_calls++;
	siglongjmp(out, 1);
}

/* Counts, and calls what it found installed. */
static void
second(int number, siginfo_t *info, void *context)
{
	second_calls++;
	below.sa_sigaction(number, info, context);
}

static void
install(void (*handler)(int, siginfo_t *, void *), struct sigaction *ret_old)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handler;
	action.sa_flags = SA_SIGINFO;
	ck_assert_int_eq(sigaction(SIGBUS, &action, ret_old), 0);
}

static void
setup(void)
{
	fd = file_of(2 * page_size());
	assert_ok(vmmem_region_new_file(0, 2 * page_size(), fd, 0, &region));
	assert_ok(vmmem_collection_new(&region, 1, &map));
	ck_assert_int_eq(ftruncate(fd, (off_t)page_size()), 0);
	first_calls = second_calls = 0;
}

static void
teardown(void)
{
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(fd);
}

static int
touch(void)
{
	uint8_t byte;

	return vmmem_collection_read_u8(map, page_size(), &byte);
}

/* A fault that is nobody's but the test's. */
static void
own_fault(void)
{
	const volatile uint8_t *host = host_of(map, 0);

	if (sigsetjmp(out, 1) == 0)
		(void)host[page_size()];
}

static void
expect_calls(unsigned int one, unsigned int two)
{
	ck_assert_uint_eq(first_calls, one);
	ck_assert_uint_eq(second_calls, two);
}

START_TEST(counted)
{
	struct sigaction before, now, untouched;

	install(first, NULL);
	sigaction(SIGBUS, NULL, &before);
	sigaction(SIGSEGV, NULL, &untouched);
	assert_code(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_fault_enable(0), VMMEM_EARGUMENT);
	assert_code(vmmem_fault_enable(4), VMMEM_EARGUMENT);
	assert_code(vmmem_fault_enable(UINT32_MAX), VMMEM_EARGUMENT);
	assert_code(vmmem_fault_disable(0), VMMEM_EARGUMENT);
	assert_code(vmmem_fault_disable(8 | BOTH), VMMEM_EARGUMENT);

	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
	sigaction(SIGSEGV, NULL, &now);
	ck_assert(is_same(&now, &untouched));
	assert_ok(vmmem_fault_enable(BOTH));
	sigaction(SIGSEGV, NULL, &now);
	ck_assert(!is_same(&now, &untouched));
	assert_code(touch(), VMMEM_EGONE);
	own_fault();
	expect_calls(1, 0);
	assert_ok(vmmem_fault_disable(BOTH));
	sigaction(SIGSEGV, NULL, &now);
	ck_assert(is_same(&now, &untouched));
	/* One of two: nothing is undone. */
	assert_code(vmmem_fault_disable(BOTH), VMMEM_EARGUMENT);
	assert_code(touch(), VMMEM_EGONE);
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	sigaction(SIGBUS, NULL, &now);
	ck_assert(is_same(&now, &before));
	assert_code(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS),
		    VMMEM_EARGUMENT);
	/* Not any more. */
	if (sigsetjmp(out, 1) == 0)
		ck_abort_msg("came back with %d", touch());
	expect_calls(2, 0);
	ck_assert_uint_eq(vmmem_region_fault_count(region), 2);
}
END_TEST

/* Somebody installs a handler on top, which calls ours; and leaves it there. */
START_TEST(replaced)
{
	struct sigaction now;
	unsigned int i;

	install(first, NULL);
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
	install(second, &below);
	assert_code(touch(), VMMEM_EGONE);
	expect_calls(0, 1);
	own_fault();
	expect_calls(1, 2);

	/* Ours only passes on; theirs stays. */
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	sigaction(SIGBUS, NULL, &now);
	ck_assert(now.sa_sigaction == second);
	own_fault();
	expect_calls(2, 3);
	if (sigsetjmp(out, 1) == 0)
		ck_abort_msg("came back with %d", touch());
	expect_calls(3, 4);

	/* On top of theirs, which calls ours: not for ever. */
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
	assert_code(touch(), VMMEM_EGONE);
	expect_calls(3, 4);
	own_fault();
	expect_calls(4, 5);
	/* Theirs goes; enabling again sees to ours. */
	install(first, NULL);
	if (sigsetjmp(out, 1) == 0)
		ck_abort_msg("came back with %d", touch());
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
	assert_code(touch(), VMMEM_EGONE);
	own_fault();
	expect_calls(6, 5);
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	sigaction(SIGBUS, NULL, &now);
	ck_assert(now.sa_sigaction == first);

	/* Three are down there; five more, and that is it. */
	for (i = 0; i < 6; i++) {
		assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
		install(first, NULL);
	}
	assert_code(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS),
		    VMMEM_EHANDLERS);
	assert_code(vmmem_fault_enable(BOTH), VMMEM_EHANDLERS);
	sigaction(SIGBUS, NULL, &now);
	ck_assert(now.sa_sigaction == first);
	sigaction(SIGSEGV, NULL, &now);
	ck_assert(now.sa_handler == SIG_DFL ||
		  (now.sa_flags & SA_SIGINFO) != 0);
	for (i = 0; i < 6; i++)
		assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	assert_code(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS),
		    VMMEM_EARGUMENT);
}
END_TEST

/* Again and again, on and off: nothing is used up. */
START_TEST(often)
{
	unsigned int i;

	install(first, NULL);
	for (i = 0; i < 100; i++) {
		assert_ok(vmmem_fault_enable(BOTH));
		assert_code(touch(), VMMEM_EGONE);
		own_fault();
		assert_ok(vmmem_fault_disable(BOTH));
	}
	expect_calls(100, 0);
}
END_TEST

/* Memory that was lost, but not touched, is known to its region. */
START_TEST(ahead)
{
	uint8_t *host = host_of(map, 0);
	uint64_t offset;
	uint32_t kind;
	pid_t pid;
	int status;

	signal(SIGBUS, SIG_DFL);
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
	fake(SIGBUS, BUS_MCEERR_AO, host + 5);
	assert_ok(vmmem_region_fault_first(region, &offset, &kind));
	ck_assert_uint_eq(vmmem_region_fault_count(region), 1);
	ck_assert_uint_eq(offset, 5);
	ck_assert_uint_eq(kind, VMMEM_FAULT_KIND_POISON_AHEAD);
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));

	install(first, NULL);
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
	if (sigsetjmp(out, 1) == 0) {
		fake(SIGBUS, BUS_MCEERR_AO, host + 6);
		ck_abort_msg("the handler was not called");
	}
	expect_calls(1, 0);
	assert_ok(vmmem_region_fault_last(region, &offset, &kind));
	ck_assert_uint_eq(offset, 6);
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));

	/* What is no region's is no affair of ours. */
	pid = fork();
	if (pid == 0) {
		const struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGBUS, SIG_DFL);
		if (vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS) != 0)
			_exit(1);
		fake(SIGBUS, BUS_MCEERR_AO, &pid);
		_exit(2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}
END_TEST

/* In a handler of another signal, and in a child. */
static volatile sig_atomic_t code_in_handler;

static void
on_user(int number)
{
	(void)number;
	errno = ERANGE;
	code_in_handler = touch();
	if (errno != ERANGE)
		code_in_handler = 0;
}

START_TEST(elsewhere)
{
	int status;
	pid_t pid;

	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
	signal(SIGUSR1, on_user);
	raise(SIGUSR1);
	ck_assert_int_eq(code_in_handler, VMMEM_EGONE);
	pid = fork();
	if (pid == 0)
		_exit(touch() == VMMEM_EGONE &&
		      vmmem_region_fault_count(region) == 2 &&
		      vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS) == 0 &&
		      vmmem_fault_enable(BOTH) == 0 &&
		      touch() == VMMEM_EGONE ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(vmmem_region_fault_count(region), 1);
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault handlers");
	TCase *tcase = tcase_create("handlers");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, counted);
	tcase_add_test(tcase, replaced);
	tcase_add_test(tcase, often);
	tcase_add_test(tcase, ahead);
	tcase_add_test(tcase, elsewhere);
	suite_add_tcase(suite, tcase);
	return suite;
}
