/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Each call on the way to what a policy asks for fails once. */
#include "fault.h"
#include "suite.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/policy.h>
#include <vmmem/residency.h>

#define GPA UINT64_C(0x12340000)
#define LEN UINT64_C(0x8000)
#define MIB (UINT64_C(1) << 20)

static int
progress(void *opaque, uint64_t done, uint64_t total)
{
	(void)opaque;
	REQUIRE(done <= total);
	return 0;
}

/* Valgrind has no mlock2(). */
static bool can_lock;

static void
setup(void)
{
	void *at = mmap(NULL, fault_page(), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(at, MAP_FAILED);
	can_lock = mlock2(at, fault_page(), MLOCK_ONFAULT) == 0;
	munmap(at, fault_page());
}

/* All that can be asked for, but what a machine may lack. */
static struct vmmem_policy *
ask(void)
{
	struct vmmem_policy *policy = vmmem_policy_new();

	if (policy == NULL)
		return NULL;
	vmmem_policy_set_guard(policy, 1);
	vmmem_policy_set_alignment(policy, 2 * MIB);
	vmmem_policy_set_dont_dump(policy, 1);
	vmmem_policy_set_dont_fork(policy, 1);
	vmmem_policy_set_reserve(policy, VMMEM_RESERVE_YES);
	if (can_lock)
		vmmem_policy_set_lock(policy, VMMEM_LOCK_ON_FAULT);
	vmmem_policy_set_progress(policy, progress, NULL);
	return policy;
}

/* Builds, asks what came of it, and builds again if that failed. */
static int
build(struct vmmem_region_builder *builder)
{
	struct vmmem_policy_report granted = { .size = sizeof(granted),
		.seals = 77 };
	struct vmmem_residency got = { .size = sizeof(got), .resident = 77 };
	struct vmmem_region *region = no_region;
	uint64_t rest = 77;
	int rc, again;

	rc = vmmem_region_builder_build(builder, &region);
	if (rc != 0) {
		failed_region(rc, region);
		again = vmmem_region_builder_build(builder, &region);
		REQUIRE(again == 0 || again == rc);
		if (again == 0)
			vmmem_region_unref(region);
		return rc;
	}
	rc = vmmem_region_policy_report(region, &granted);
	REQUIRE(rc == 0 || granted.seals == 77);
	if (rc == 0) {
		rc = vmmem_region_residency(region, 0,
					    vmmem_region_len(region), &got);
		REQUIRE(rc == 0 || got.resident == 77);
	}
	if (rc == 0) {
		rc = vmmem_region_nodes(region, 0, 1, NULL, 0, &rest);
		/* A system without NUMA says so each time. */
		if (rc == VMMEM_ENOSUPPORT)
			rc = 0;
		else
			REQUIRE(rc == 0 || rest == 77);
	}
	vmmem_region_unref(region);
	return rc;
}

/* What 'set' adds is asked for as well; 'kind' is the backing. */
static int
run(uint32_t kind, uint64_t len, void (*set)(struct vmmem_policy *policy))
{
	struct vmmem_region_builder *builder;
	struct vmmem_policy *policy = ask();
	int rc = -ENOMEM;

	if (policy == NULL)
		return rc;
	set(policy);
	builder = vmmem_region_builder_new();
	if (builder != NULL) {
		vmmem_region_builder_set_range(builder, GPA, len);
		vmmem_region_builder_set_policy(builder, policy);
		if (kind == VMMEM_REGION_MEMFD)
			vmmem_region_builder_set_memfd(builder);
		else if (kind == VMMEM_REGION_FILE)
			vmmem_region_builder_set_file(builder, fault_file(),
						      0, 0);
		rc = build(builder);
		vmmem_region_builder_free(builder);
	}
	vmmem_policy_free(policy);
	return rc;
}

static void
add_nothing(struct vmmem_policy *policy)
{
	(void)policy;
}

static void
add_one_thread(struct vmmem_policy *policy)
{
	vmmem_policy_set_prefault(policy, 1);
}

static void
add_threads(struct vmmem_policy *policy)
{
	vmmem_policy_set_prefault(policy, 2);
	if (can_lock)
		vmmem_policy_set_lock(policy, VMMEM_LOCK_NOW);
}

static void
add_thp(struct vmmem_policy *policy)
{
	vmmem_policy_set_thp(policy, VMMEM_THP_YES);
	vmmem_policy_set_lock(policy, VMMEM_LOCK_NOW);
}

static void
add_node(struct vmmem_policy *policy)
{
	const uint32_t node = 0;

	vmmem_policy_set_numa(policy, VMMEM_NUMA_BIND, &node, 1);
}

static void
add_seals(struct vmmem_policy *policy)
{
	vmmem_policy_set_seals(policy, VMMEM_SEAL_SHRINK |
					       VMMEM_SEAL_FUTURE_WRITE);
}

static void
add_exec_seal(struct vmmem_policy *policy)
{
	vmmem_policy_set_seals(policy, VMMEM_SEAL_EXEC);
}

static int
anonymous(void)
{
	return run(VMMEM_REGION_ANONYMOUS, LEN, add_nothing);
}

static int
anonymous_prefaulted(void)
{
	return run(VMMEM_REGION_ANONYMOUS, LEN, add_one_thread);
}

static int
anonymous_threads(void)
{
	return run(VMMEM_REGION_ANONYMOUS, 2 * MIB + 1, add_threads);
}

static int
memfd(void)
{
	return run(VMMEM_REGION_MEMFD, LEN, add_nothing);
}

static int
memfd_sealed(void)
{
	return run(VMMEM_REGION_MEMFD, LEN, add_seals);
}

static int
memfd_exec_sealed(void)
{
	return run(VMMEM_REGION_MEMFD, LEN, add_exec_seal);
}

static int
file(void)
{
	return run(VMMEM_REGION_FILE, 2 * fault_page(), add_nothing);
}

static int
with_thp(void)
{
	return run(VMMEM_REGION_ANONYMOUS, LEN, add_thp);
}

static int
with_node(void)
{
	return run(VMMEM_REGION_ANONYMOUS, LEN, add_node);
}

static const scenario_fn scenarios[] = {
	anonymous,    anonymous_prefaulted, anonymous_threads, memfd,
	memfd_sealed, memfd_exec_sealed,    file,	       with_thp,
	with_node,
};

START_TEST(test_scenario)
{
	/* A system without NUMA or such; the other scenarios do not need it. */
	if (scenarios[_i]() == VMMEM_ENOSUPPORT)
		return;
	fault_sweep(scenarios[_i], 0);
}
END_TEST

/* What is tried again, and what is given a better name. */
static const struct {
	scenario_fn scenario;
	const char *function;
	int error;
	int code;
} names[] = {
	{ memfd, "fallocate", EINTR, 0 },
	{ memfd, "fallocate", EOPNOTSUPP, VMMEM_ENOSUPPORT },
	{ memfd, "fallocate", ENOSPC, -ENOSPC },
	{ memfd_sealed, "mmap", EINVAL, -EINVAL },
	{ anonymous_threads, "pthread_create", EAGAIN, -EAGAIN },
	{ anonymous, "mlock2", ENOMEM, -ENOMEM },
	/* The first system call of all is get_mempolicy(). */
	{ anonymous, "syscall", ENOSYS, 0 },
	{ anonymous, "syscall", EPERM, -EPERM },
	/* Here it is mbind(). */
	{ with_node, "syscall", ENOSYS, VMMEM_ENOSUPPORT },
	{ with_node, "syscall", EINVAL, VMMEM_ENONODE },
	{ with_node, "syscall", EPERM, -EPERM },
	/* The first advice of all is about huge pages. */
	{ with_thp, "madvise", EINVAL, VMMEM_ENOSUPPORT },
	{ with_thp, "madvise", ENOMEM, -ENOMEM },
	{ memfd_sealed, "fcntl", EINVAL, VMMEM_ENOSUPPORT },
	{ memfd_sealed, "fcntl", EBUSY, -EBUSY },
	{ memfd, "fcntl", EINVAL, -EINVAL },
};
#define NAMES (sizeof(names) / sizeof(names[0]))

START_TEST(test_names)
{
	/* The rest of it must work here. */
	if (names[_i].scenario() != 0 ||
	    (!can_lock && strcmp(names[_i].function, "mlock2") == 0))
		return;
	ck_assert_int_eq(fault_call(names[_i].scenario, names[_i].function,
				    names[_i].error),
			 names[_i].code);
}
END_TEST

/* A timer that leaves time for one page, or two. */
START_TEST(test_interrupted)
{
	inject_uninterrupted = (uint64_t)(_i + 1) * fault_page();
	ck_assert_int_eq(memfd(), 0);
	inject_uninterrupted = 0;
}
END_TEST

/* Also where the system does not have the seal: it comes before. */
START_TEST(test_mode)
{
	ck_assert_int_eq(fault_call(memfd_exec_sealed, "fchmod", EPERM),
			 -EPERM);
}
END_TEST

/* Without that seal it is left to the system, which may forbid the call. */
START_TEST(test_mode_is_left)
{
	const scenario_fn scenario = _i == 0 ? memfd : memfd_sealed;
	unsigned int n = 0;
	int rc;

	do {
		inject_start(++n, EPERM, false);
		rc = scenario();
		inject_stop();
		ck_assert(inject_fired() == NULL ||
			  strcmp(inject_fired(), "fchmod") != 0);
	} while (inject_fired() != NULL);
	ck_assert(rc == 0 || rc == VMMEM_ENOSUPPORT);
}
END_TEST

/* Only prefaulting asks the system for advice here. */
static int
only_prefault(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_policy *policy = vmmem_policy_new();
	struct vmmem_region *region = no_region;
	int rc = -ENOMEM;

	if (builder != NULL && policy != NULL) {
		vmmem_policy_set_prefault(policy, 1);
		vmmem_region_builder_set_range(builder, GPA, LEN);
		vmmem_region_builder_set_policy(builder, policy);
		rc = vmmem_region_builder_build(builder, &region);
		if (rc != 0)
			failed_region(rc, region);
		else
			vmmem_region_unref(region);
	}
	vmmem_policy_free(policy);
	vmmem_region_builder_free(builder);
	return rc;
}

START_TEST(test_prefault_names)
{
	if (only_prefault() != 0)
		return;
	ck_assert_int_eq(fault_call(only_prefault, "madvise", EINTR), 0);
	ck_assert_int_eq(fault_call(only_prefault, "madvise", EFAULT),
			 VMMEM_ESHORTAGE);
	ck_assert_int_eq(fault_call(only_prefault, "madvise", EINVAL),
			 VMMEM_ENOSUPPORT);
	ck_assert_int_eq(fault_call(only_prefault, "madvise", ENOMEM),
			 -ENOMEM);
	ck_assert_int_eq(fault_call(only_prefault, "madvise", EHWPOISON),
			 -EHWPOISON);
}
END_TEST

static sigset_t mask_of_program, can_be_blocked;
static unsigned int threads_begun;

/* The handlers are the program's: none of them is for a thread of ours. */
static void
look_at_mask(const char *function)
{
	sigset_t mask;
	int number;

	if (strcmp(function, "pthread_create") != 0)
		return;
	threads_begun++;
	REQUIRE(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
	for (number = 1; number < NSIG; number++) {
		REQUIRE(sigismember(&mask, number) ==
			sigismember(&can_be_blocked, number));
	}
}

START_TEST(test_threads_take_no_signals)
{
	sigset_t after;
	int number;

	if (anonymous_threads() != 0)
		return;
	/* Not SIGKILL, what the C library uses, nor what an emulator does. */
	sigfillset(&mask_of_program);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &mask_of_program, NULL),
			 0);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &can_be_blocked),
			 0);
	ck_assert_int_eq(sigismember(&can_be_blocked, SIGUSR1), 1);
	sigemptyset(&mask_of_program);
	sigaddset(&mask_of_program, SIGUSR2);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &mask_of_program, NULL),
			 0);
	inject_start(0, 0, false);
	inject_before(look_at_mask);
	ck_assert_int_eq(anonymous_threads(), 0);
	inject_stop();
	ck_assert_uint_eq(threads_begun, 1);
	/* And for the program nothing has changed. */
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
	for (number = 1; number < NSIG; number++)
		ck_assert_int_eq(sigismember(&after, number),
				 sigismember(&mask_of_program, number));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, policies");
	TCase *tcase = tcase_create("policies");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, test_scenario, 0,
			    sizeof(scenarios) / sizeof(scenarios[0]));
	tcase_add_loop_test(tcase, test_names, 0, NAMES);
	tcase_add_loop_test(tcase, test_interrupted, 0, 2);
	tcase_add_test(tcase, test_mode);
	tcase_add_loop_test(tcase, test_mode_is_left, 0, 2);
	tcase_add_test(tcase, test_threads_take_no_signals);
	tcase_add_test(tcase, test_prefault_names);
	suite_add_tcase(suite, tcase);
	return suite;
}
