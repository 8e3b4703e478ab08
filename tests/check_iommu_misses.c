/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Misses under threads: answers that come later, too late, or not at all. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "iommus.h"
#include "suite.h"

#define READERS 3
#define PAGE UINT64_C(0x1000)

static long
rounds(long most)
{
	const char *scale = getenv("VMMEM_TEST_SCALE");
	long divisor = scale != NULL ? strtol(scale, NULL, 10) : 1;

	return divisor > 1 ? most / divisor + 1 : most;
}

static atomic_int stop;

#define QUEUE 64
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static uint64_t queue[QUEUE];
static int queued;
static atomic_int refuse;

static int
ask_later(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
	  uint32_t reason)
{
	int i;

	(void)opaque;
	(void)len;
	(void)access;
	(void)reason;
	if (atomic_load(&refuse))
		return -EACCES;
	pthread_mutex_lock(&queue_lock);
	/* A page may be asked for by several, and several times. */
	iova &= ~(PAGE - 1);
	for (i = 0; i < queued && queue[i] != iova; i++)
		;
	if (i == QUEUE)
		abort();
	queue[i] = iova;
	if (i == queued)
		queued++;
	pthread_cond_signal(&queue_filled);
	pthread_mutex_unlock(&queue_lock);
	return VMMEM_IOMMU_LATER;
}

/* The front-end: it answers everything, and takes away what it likes. */
static void *
answer_all(void *unused)
{
	unsigned int n = 0;
	uint64_t iova;

	(void)unused;
	for (;;) {
		pthread_mutex_lock(&queue_lock);
		while (queued == 0 && !atomic_load(&stop))
			pthread_cond_wait(&queue_filled, &queue_lock);
		if (queued == 0) {
			pthread_mutex_unlock(&queue_lock);
			return NULL;
		}
		iova = queue[--queued];
		pthread_mutex_unlock(&queue_lock);
		see_map(iova, iova - IOVA, PAGE, RW);
		if (++n % 5 == 0)
			assert_ok(vmmem_iotlb_unmap(see.iotlb, IOVA,
						    n % 16 * PAGE));
	}
}

static void *
storm(void *number)
{
	uint64_t i, last = (uint64_t)rounds(3000), value;
	uint64_t me = (uint64_t)(uintptr_t)number;

	for (i = 0; i < last; i++) {
		uint64_t at = (i * 0x12345 + me * 0x777) % (LEN - 8);

		if (vmmem_collection_read_u64(see.map, IOVA + at, &value) != 0)
			abort();
	}
	return NULL;
}

static void
open_later(size_t capacity)
{
	struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = ask_later,
		.timeout_ns = VMMEM_FOREVER,
	};

	see_close();
	see_open(capacity, &options);
	queued = 0;
	atomic_store(&refuse, 0);
	atomic_store(&stop, 0);
}

static void
end_answers(pthread_t front_end)
{
	pthread_mutex_lock(&queue_lock);
	atomic_store(&stop, 1);
	pthread_cond_signal(&queue_filled);
	pthread_mutex_unlock(&queue_lock);
	pthread_join(front_end, NULL);
}

/* Far more pages than entries, and all of them asked for by all. */
START_TEST(miss_storm)
{
	pthread_t threads[READERS], front_end;
	int i;

	open_later(3);
	ck_assert_int_eq(pthread_create(&front_end, NULL, answer_all, NULL),
			 0);
	for (i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, storm,
						(void *)(intptr_t)i),
				 0);
	for (i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	end_answers(front_end);
	ck_assert_uint_gt(vmmem_iommu_misses(see.iommu), 0);
	ck_assert_uint_le(vmmem_iotlb_count(see.iotlb), 3);
}
END_TEST

static atomic_int outcome;

static void *
one_read(void *unused)
{
	uint8_t byte;

	(void)unused;
	atomic_store(&outcome,
		     vmmem_collection_read_u8(see.map, IOVA, &byte));
	return NULL;
}

static pthread_t
begin_to_wait(void)
{
	uint64_t misses = vmmem_iommu_misses(see.iommu);
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, one_read, NULL), 0);
	while (vmmem_iommu_misses(see.iommu) == misses)
		sched_yield();
	return thread;
}

START_TEST(put_off_then_refused)
{
	pthread_t thread;

	open_later(8);
	thread = begin_to_wait();
	/* Another range does not help, nor does another permission. */
	see_map(IOVA + PAGE, 0, PAGE, RW);
	see_map(IOVA, 0, PAGE, W);
	atomic_store(&refuse, 1);
	vmmem_iommu_retry(see.iommu);
	pthread_join(thread, NULL);
	ck_assert_int_eq(atomic_load(&outcome), -EACCES);
}
END_TEST

START_TEST(put_off_then_answered)
{
	pthread_t thread;

	open_later(8);
	thread = begin_to_wait();
	/* An access that waits is not under way. */
	assert_ok(vmmem_iotlb_synchronize(see.iotlb, VMMEM_FOREVER));
	see_map(IOVA, 0, 1, R);
	pthread_join(thread, NULL);
	ck_assert_int_eq(atomic_load(&outcome), 0);
}
END_TEST

START_TEST(put_off_then_switched_off)
{
	pthread_t thread;

	open_later(8);
	thread = begin_to_wait();
	assert_ok(vmmem_iommu_set_enabled(see.iommu, 0));
	pthread_join(thread, NULL);
	/* IOVA is no gpa. */
	ck_assert_int_eq(atomic_load(&outcome), VMMEM_EBADADDR);
}
END_TEST

/* The deadline is kept though others have it look again all the time. */
START_TEST(put_off_for_too_long)
{
	pthread_t thread;

	open_later(8);
	vmmem_iommu_set_timeout(see.iommu, 1000 * 1000);
	/* Before it waits: it may be back at once. */
	atomic_store(&outcome, 1);
	thread = begin_to_wait();
	while (atomic_load(&outcome) == 1) {
		see_map(IOVA + PAGE, 0, PAGE, RW);
		sched_yield();
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(atomic_load(&outcome), VMMEM_ETIMEOUT);
}
END_TEST

/* ---- one question for one miss ------------------------------------------- */

static atomic_int questions;
/* The answer comes and goes before the handler has returned. */
static int too_quick;

static int
count_and_put_off(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
		  uint32_t reason)
{
	(void)opaque;
	(void)len;
	(void)access;
	(void)reason;
	if (too_quick-- > 0) {
		see_map(iova, 0, PAGE, RW);
		assert_ok(vmmem_iotlb_unmap(see.iotlb, iova, PAGE));
	}
	atomic_fetch_add(&questions, 1);
	return VMMEM_IOMMU_LATER;
}

static pthread_t
begin_to_wait_and_count(int quick)
{
	struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = count_and_put_off,
		.timeout_ns = VMMEM_FOREVER,
	};
	pthread_t thread;

	see_close();
	see_open(8, &options);
	too_quick = quick;
	atomic_store(&questions, 0);
	atomic_store(&outcome, 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, one_read, NULL), 0);
	while (atomic_load(&questions) == 0)
		sched_yield();
	return thread;
}

/*
 * While the answer is still to come, what is mapped, removed and evicted of
 * others is no reason to ask again: the guest may have the page back when the
 * second question is looked at.
 */
START_TEST(asked_once)
{
	pthread_t thread = begin_to_wait_and_count(0);
	uint64_t i;

	for (i = 1; i <= 3000 && atomic_load(&questions) == 1; i++) {
		see_map(IOVA + i * 2 * PAGE, 0, PAGE, RW);
		assert_ok(vmmem_iotlb_unmap(see.iotlb, IOVA, PAGE));
		if (i % 3 == 0)
			vmmem_iotlb_unmap_all(see.iotlb);
		sched_yield();
	}
	ck_assert_uint_eq(i, 3001);
	see_map(IOVA, 0, PAGE, R);
	pthread_join(thread, NULL);
	ck_assert_int_eq(atomic_load(&outcome), 0);
	ck_assert_int_eq(atomic_load(&questions), 1);
}
END_TEST

/* What came and went is asked for again, or it would be waited for for ever. */
START_TEST(asked_again)
{
	pthread_t thread = begin_to_wait_and_count(0);
	int before;

	while (atomic_load(&outcome) == 1) {
		before = atomic_load(&questions);
		see_map(IOVA, 0, PAGE, RW);
		assert_ok(vmmem_iotlb_unmap(see.iotlb, 0, UINT64_MAX));
		/* It was seen, or it was missed and is asked for. */
		while (atomic_load(&outcome) == 1 &&
		       atomic_load(&questions) == before)
			sched_yield();
		if (before == 20)
			see_map(IOVA, 0, PAGE, RW);
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(atomic_load(&outcome), 0);
}
END_TEST

START_TEST(asked_again_if_too_quick)
{
	pthread_t thread = begin_to_wait_and_count(3);

	while (atomic_load(&questions) != 4)
		sched_yield();
	see_map(IOVA, 0, PAGE, RW);
	pthread_join(thread, NULL);
	ck_assert_int_eq(atomic_load(&outcome), 0);
	ck_assert_int_eq(atomic_load(&questions), 4);
}
END_TEST

/* Answers that come and go do not carry an access past its deadline. */
START_TEST(asked_again_until_the_deadline)
{
	struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = count_and_put_off,
		.timeout_ns = 1000 * 1000,
	};
	uint8_t byte;

	see_close();
	see_open(8, &options);
	too_quick = INT32_MAX;
	assert_code(vmmem_collection_read_u8(see.map, IOVA, &byte),
		    VMMEM_ETIMEOUT);
	too_quick = 0;
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iommu_misses");
	TCase *tcase = tcase_create("iommu_misses");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, see_setup, see_teardown);
	tcase_add_test(tcase, miss_storm);
	tcase_add_test(tcase, put_off_then_refused);
	tcase_add_test(tcase, put_off_then_answered);
	tcase_add_test(tcase, put_off_then_switched_off);
	tcase_add_test(tcase, put_off_for_too_long);
	tcase_add_test(tcase, asked_once);
	tcase_add_test(tcase, asked_again);
	tcase_add_test(tcase, asked_again_if_too_quick);
	tcase_add_test(tcase, asked_again_until_the_deadline);
	suite_add_tcase(suite, tcase);
	return suite;
}
