/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Sleeping until a word changes; deadlines. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include <vmmem/error.h>

#include "base/futex.h"
#include "suite.h"

#define NS_PER_S UINT64_C(1000000000)

static uint64_t
ns_of(struct timespec time)
{
	ck_assert_int_ge(time.tv_nsec, 0);
	ck_assert_int_lt(time.tv_nsec, (long)NS_PER_S);
	return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static uint64_t
now(void)
{
	struct timespec time;

	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &time), 0);
	return ns_of(time);
}

START_TEST(deadlines)
{
	static const uint64_t after[] = {
		0,		  1,		999999999,   1000000000,
		1000000001,	  1999999999,	123456789012345,
		3600 * NS_PER_S,
	};
	size_t i;

	for (i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		uint64_t before = now(), found;

		found = ns_of(vmmem_futex_deadline(after[i]));
		ck_assert_uint_ge(found, before + after[i]);
		ck_assert_uint_le(found, now() + after[i]);
	}
	/* The longest that there is does not wrap into the past. */
	ck_assert_int_gt(vmmem_futex_deadline(UINT64_MAX).tv_sec,
			 (time_t)(now() / NS_PER_S));
}
END_TEST

START_TEST(no_sleep)
{
	struct timespec past = { 0, 0 };
	uint32_t word = 5;

	errno = EXDEV;
	/* It has another value: whether there is a deadline or not. */
	ck_assert_int_eq(vmmem_futex_wait(&word, 4, NULL), 0);
	ck_assert_int_eq(vmmem_futex_wait(&word, 4, &past), 0);
	ck_assert_int_eq(vmmem_futex_wait(&word, 5, &past), VMMEM_ETIMEOUT);
	past = vmmem_futex_deadline(1000);
	ck_assert_int_eq(vmmem_futex_wait(&word, 5, &past), VMMEM_ETIMEOUT);
	vmmem_futex_wake(&word);
	ck_assert_int_eq(errno, EXDEV);
	past.tv_nsec = -1;
	ck_assert_int_eq(vmmem_futex_wait(&word, 5, &past), -EINVAL);
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

#define SLEEPERS 3
static uint32_t shared;
static unsigned int awake;

static void *
sleep_once(void *unused)
{
	while (__atomic_load_n(&shared, __ATOMIC_ACQUIRE) == 0) {
		if (vmmem_futex_wait(&shared, 0, NULL) != 0)
			break;
	}
	__atomic_fetch_add(&awake, 1, __ATOMIC_RELEASE);
	return unused;
}

/* All of them are woken, by one call after the change. */
START_TEST(all_wake)
{
	pthread_t threads[SLEEPERS];
	int i;

	shared = 0;
	for (i = 0; i < SLEEPERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, sleep_once,
						NULL),
				 0);
	sched_yield();
	__atomic_store_n(&shared, 1, __ATOMIC_RELEASE);
	vmmem_futex_wake(&shared);
	for (i = 0; i < SLEEPERS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_uint_eq(awake, SLEEPERS);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("futex");
	TCase *tcase = tcase_create("futex");

	tcase_add_test(tcase, deadlines);
	tcase_add_test(tcase, no_sleep);
	tcase_add_test(tcase, all_wake);
	suite_add_tcase(suite, tcase);
	return suite;
}
