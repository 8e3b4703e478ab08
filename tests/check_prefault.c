/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Making all pages beforehand: in threads, with progress, and given up. */
#include <linux/mman.h>
#include <pthread.h>
#include <sched.h>

#include "policy.h"
#include "pool.h"
#include "suite.h"

#define BIG (128 * MIB)

const char *
skip_reason(void)
{
	return memory_skip_reason();
}

struct seen {
	uint64_t calls;
	uint64_t done;
	uint64_t total;
	uint64_t cancel_at; /* the call that returns 'code' */
	int code;
	pthread_t thread;
	bool bad;
};

static int
watch(void *opaque, uint64_t done, uint64_t total)
{
	struct seen *seen = opaque;

	/* On one thread, never falling, never past the end. */
	seen->bad |= !pthread_equal(seen->thread, pthread_self());
	seen->bad |= done < seen->done || done > total || total == 0;
	seen->bad |= seen->calls != 0 && total != seen->total;
	seen->done = done;
	seen->total = total;
	return ++seen->calls == seen->cancel_at ? seen->code : 0;
}

static size_t
threads_now(void)
{
	DIR *dir = opendir("/proc/self/task");
	size_t count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* A thread that was joined may be seen for a moment; not for ever. */
static void
wait_for_threads(size_t count)
{
	while (threads_now() != count)
		sched_yield();
}

static void *
wait_for_end(void *opaque)
{
	pthread_mutex_t *mutex = opaque;

	pthread_mutex_lock(mutex);
	pthread_mutex_unlock(mutex);
	return NULL;
}

/* How many threads there are, with those that come with the first one. */
static size_t
threads_before(void)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;
	size_t count;

	/* ThreadSanitizer starts one of its own beside it. */
	pthread_mutex_lock(&mutex);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_end, &mutex),
			 0);
	count = threads_now() - 1;
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	return count;
}

static const struct {
	int kind;
	uint64_t len;
	uint32_t threads;
} rows[] = {
	{ VMMEM_REGION_ANONYMOUS, 1, 1 },
	{ VMMEM_REGION_ANONYMOUS, 4095, 3 },
	{ VMMEM_REGION_ANONYMOUS, 4096, 1 },
	{ VMMEM_REGION_ANONYMOUS, 4097, VMMEM_PREFAULT_THREADS_MAX },
	{ VMMEM_REGION_ANONYMOUS, LEN, 2 },
	{ VMMEM_REGION_ANONYMOUS, BIG, 1 },
	{ VMMEM_REGION_ANONYMOUS, BIG, 2 },
	{ VMMEM_REGION_ANONYMOUS, BIG + 1, 7 },
	{ VMMEM_REGION_MEMFD, BIG, 1 },
	{ VMMEM_REGION_MEMFD, BIG + 4096, 3 },
	{ VMMEM_REGION_FILE, LEN, 2 },
};

START_TEST(all_pages_are_there)
{
	struct seen seen = { .thread = pthread_self() };
	uint64_t len = rows[_i].len, pages, tasks = threads_before();
	struct vmmem_region *region;
	struct vmmem_policy_report got;

	set_kind(rows[_i].kind);
	vmmem_region_builder_set_range(builder, GPA, len);
	vmmem_policy_set_prefault(policy, rows[_i].threads);
	vmmem_policy_set_progress(policy, watch, &seen);
	vmmem_region_builder_set_policy(builder, policy);
	assert_ok(vmmem_region_builder_build(builder, &region));
	wait_for_threads(tasks);

	pages = (len + page_size() - 1) / page_size() * page_size();
	ck_assert_uint_eq(in_core(expect_host(region), pages), pages);
	got = granted(region);
	ck_assert_uint_eq(got.prefaulted, pages);
	ck_assert_uint_ge(got.threads, 1);
	ck_assert_uint_le(got.threads, rows[_i].threads);
	ck_assert(!seen.bad);
	ck_assert_uint_ge(seen.calls, 1);
	ck_assert_uint_eq(seen.done, pages);
	ck_assert_uint_eq(seen.total, pages);
	vmmem_region_unref(region);
}
END_TEST

/* Reading is all that a ROM permits; of a file it is enough. */
START_TEST(read_only)
{
	struct vmmem_region *region;

	set_kind(VMMEM_REGION_FILE);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	vmmem_policy_set_prefault(policy, 2);
	region = build();
	ck_assert_uint_eq(in_core(expect_host(region), LEN), LEN);
	vmmem_region_unref(region);
}
END_TEST

static const struct {
	int returned;
	int code;
} cancels[] = {
	{ VMMEM_ESTOPPED, VMMEM_ESTOPPED },
	{ -EINTR, -EINTR },
	{ 1, VMMEM_ECALLBACK },
	{ INT32_MAX, VMMEM_ECALLBACK },
	{ INT32_MIN, INT32_MIN },
};

/* Given up on, nothing of it stays, not even the last word about it. */
START_TEST(cancel)
{
	uint32_t threads;
	uint64_t tasks = threads_before();

	vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_name(builder, "to-be-given-up");
	vmmem_region_builder_set_range(builder, GPA, BIG);
	vmmem_policy_set_guard(policy, 4096);
	for (threads = 1; threads <= 3; threads++) {
		struct seen seen = {
			.thread = pthread_self(),
			.cancel_at = 1,
			.code = cancels[_i].returned,
		};

		vmmem_policy_set_prefault(policy, threads);
		vmmem_policy_set_progress(policy, watch, &seen);
		refuse(cancels[_i].code);
		ck_assert(!seen.bad);
		ck_assert_uint_eq(seen.calls, 1);
		ck_assert(!maps_name("to-be-given-up"));
		wait_for_threads(tasks);
	}
	/* The builder is as it was. */
	vmmem_policy_set_prefault(policy, 1);
	vmmem_policy_set_progress(policy, NULL, NULL);
	vmmem_region_unref(build());
}
END_TEST

/* The last call may still say no. */
START_TEST(cancel_at_the_end)
{
	struct seen seen = {
		.thread = pthread_self(),
		.cancel_at = 2,
		.code = VMMEM_ESTOPPED,
	};

	vmmem_policy_set_prefault(policy, 1);
	vmmem_policy_set_progress(policy, watch, &seen);
	refuse(VMMEM_ESTOPPED);
	ck_assert_uint_eq(seen.done, seen.total);
}
END_TEST

/* Terabytes report early, and can be given up on at once. */
START_TEST(three_terabytes)
{
	struct seen seen = {
		.thread = pthread_self(),
		.cancel_at = 1,
		.code = VMMEM_ESTOPPED,
	};
	void *at = mmap(NULL, 3 * TIB, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	/* Valgrind and emulators have less room. */
	if (at == MAP_FAILED)
		return;
	munmap(at, 3 * TIB);
	vmmem_region_builder_set_range(builder, 0, 3 * TIB);
	vmmem_policy_set_prefault(policy, 2);
	vmmem_policy_set_progress(policy, watch, &seen);
	refuse(VMMEM_ESTOPPED);
	ck_assert_uint_eq(seen.total, 3 * TIB);
	ck_assert_uint_le(seen.done, 4 * 64 * MIB);
}
END_TEST

static volatile sig_atomic_t on_other_thread, on_this_thread;
static pthread_t caller;

static void
handler(int number)
{
	(void)number;
	if (pthread_equal(pthread_self(), caller))
		on_this_thread++;
	else
		on_other_thread++;
}

static int
signal_process(void *opaque, uint64_t done, uint64_t total)
{
	(void)opaque;
	(void)done;
	(void)total;
	return kill(getpid(), SIGUSR1) == 0 ? 0 : -errno;
}

/* The program's handlers run on the program's threads. */
START_TEST(signals_stay_here)
{
	struct sigaction action = { .sa_handler = handler };
	sigset_t before, after, usr1;

	caller = pthread_self();
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	/* As it is blocked here, it would go to any thread that takes it. */
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	vmmem_region_builder_set_range(builder, GPA, BIG);
	vmmem_policy_set_prefault(policy, 4);
	vmmem_policy_set_progress(policy, signal_process, NULL);
	vmmem_region_unref(build());
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	ck_assert_int_eq(sigismember(&after, SIGUSR1), 1);
	ck_assert_int_eq(sigismember(&after, SIGUSR2),
			 sigismember(&before, SIGUSR2));
	pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
	ck_assert_int_ge(on_this_thread, 1);
	ck_assert_int_eq(on_other_thread, 0);
}
END_TEST

/* Huge pages that nobody put by: no SIGBUS later, but a code now. */
START_TEST(shortage)
{
	/* More than there are. */
	vmmem_region_builder_set_range(builder, 0,
				       (pool_free(2 * MIB) + 8) * 2 * MIB);
	vmmem_region_builder_set_huge_page_size(builder, 2 * MIB);
	vmmem_policy_set_reserve(policy, VMMEM_RESERVE_NO);
	vmmem_policy_set_prefault(policy, 2);
	vmmem_region_builder_set_policy(builder, policy);
	refuse(VMMEM_ESHORTAGE);
	vmmem_region_builder_set_memfd(builder);
	refuse(VMMEM_ESHORTAGE);
	/* With the pages put by it is known before. */
	vmmem_policy_set_reserve(policy, VMMEM_RESERVE_YES);
	refuse(-ENOMEM);
	vmmem_region_builder_set_anonymous(builder);
	refuse(-ENOMEM);
}
END_TEST

/* The system may have none, and valgrind knows of none. */
static bool
has_huge_pages(void)
{
	void *at = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
				MAP_HUGETLB | 21 << MAP_HUGE_SHIFT,
			-1, 0);

	if (at == MAP_FAILED)
		return false;
	munmap(at, 2 * MIB);
	return true;
}

Suite *
make_suite(void)
{
	Suite *suite = suite_create("prefault");
	TCase *tcase = tcase_create("prefault");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, all_pages_are_there, 0,
			    (int)ARRAY_LEN(rows));
	tcase_add_test(tcase, read_only);
	tcase_add_loop_test(tcase, cancel, 0, (int)ARRAY_LEN(cancels));
	tcase_add_test(tcase, cancel_at_the_end);
	tcase_add_test(tcase, three_terabytes);
	tcase_add_test(tcase, signals_stay_here);
	if (has_huge_pages())
		tcase_add_test(tcase, shortage);
	suite_add_tcase(suite, tcase);
	return suite;
}
