/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Misses that the program asks for, with no callback at all. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <unistd.h>

#include "iommus.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)
#define READERS 4

static int fd;

static void
open_with(uint32_t misses_max, uint64_t timeout_ns)
{
	const struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.timeout_ns = timeout_ns,
		.flags = VMMEM_IOMMU_QUEUE_MISSES,
		.misses_max = misses_max,
	};

	see_open(64, &options);
	assert_ok(vmmem_iommu_miss_fd(see.iommu, &fd));
}

static bool
is_readable(void)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	int count = poll(&one, 1, 0);

	ck_assert_int_ge(count, 0);
	return count == 1;
}

/* The miss is as stated, and if 'len' is 0 there is none. */
static void
expect(uint64_t iova, uint64_t len, uint32_t access, uint32_t reason)
{
	struct vmmem_iommu_miss miss = { .size = sizeof(miss) };

	assert_ok(vmmem_iommu_next_miss(see.iommu, &miss));
	ck_assert_uint_eq(miss.len, len);
	if (len == 0)
		return;
	ck_assert_uint_eq(miss.iova, iova);
	ck_assert_uint_eq(miss.access, access);
	ck_assert_uint_eq(miss.reason, reason);
}

static void
expect_none(void)
{
	expect(0, 0, 0, 0);
	ck_assert(!is_readable());
}

static int
ask(uint64_t iova, uint64_t len, uint32_t access)
{
	return vmmem_iommu_resolve(see.iommu, iova, len, access, 0, NULL, NULL);
}

START_TEST(options)
{
	struct vmmem_iommu_options wrong = { .size = sizeof(wrong) };
	struct vmmem_iommu_miss miss = { .size = sizeof(miss) };
	struct vmmem_iommu *none = NULL;

	open_with(0, 77);
	ck_assert_uint_eq(vmmem_iommu_flags(see.iommu),
			  VMMEM_IOMMU_QUEUE_MISSES);
	ck_assert_uint_eq(vmmem_iommu_timeout(see.iommu), 77);
	wrong.flags = 2;
	assert_code(vmmem_iommu_new(see.iotlb, &wrong, &none), VMMEM_EARGUMENT);
	wrong.flags = VMMEM_IOMMU_QUEUE_MISSES;
	wrong.miss = see_miss;
	assert_code(vmmem_iommu_new(see.iotlb, &wrong, &none), VMMEM_EARGUMENT);
	wrong.miss = NULL;
	wrong.misses_max = VMMEM_IOMMU_MISSES_MAX + 1;
	assert_code(vmmem_iommu_new(see.iotlb, &wrong, &none), VMMEM_EARGUMENT);
	wrong.misses_max = 1;
	wrong.flags = 0;
	assert_code(vmmem_iommu_new(see.iotlb, &wrong, &none), VMMEM_EARGUMENT);
	ck_assert_ptr_null(none);

	assert_code(vmmem_iommu_miss_fd(NULL, &fd), VMMEM_EARGUMENT);
	assert_code(vmmem_iommu_miss_fd(see.iommu, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_iommu_next_miss(NULL, &miss), VMMEM_EARGUMENT);
	assert_code(vmmem_iommu_next_miss(see.iommu, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_iommu_refuse(NULL, 0, 1, -1), VMMEM_EARGUMENT);
	assert_code(vmmem_iommu_refuse(see.iommu, 0, 1, 0), VMMEM_EARGUMENT);
	assert_code(vmmem_iommu_refuse(see.iommu, 0, 1, 1), VMMEM_EARGUMENT);
	assert_code(vmmem_iommu_refuse(see.iommu, 2, UINT64_MAX, -1),
		    VMMEM_EWRAPS);
	assert_ok(vmmem_iommu_refuse(see.iommu, UINT64_MAX, 0, -1));
	see_close();
	/* Without a queue. */
	see_open(64, NULL);
	assert_code(vmmem_iommu_miss_fd(see.iommu, &fd), VMMEM_EARGUMENT);
	assert_code(vmmem_iommu_next_miss(see.iommu, &miss), VMMEM_EARGUMENT);
	assert_code(vmmem_iommu_refuse(see.iommu, 0, 1, -1), VMMEM_EARGUMENT);
	see_close();
}
END_TEST

/* A program with one thread: the access fails, is answered for, and repeated. */
START_TEST(one_thread)
{
	uint64_t value;

	open_with(0, 0);
	expect_none();
	assert_code(vmmem_collection_read_u64(see.map, IOVA + 8, &value),
		    VMMEM_ETIMEOUT);
	ck_assert(is_readable());
	expect(IOVA + 8, 8, R, VMMEM_IOTLB_MISS);
	ck_assert(!is_readable());
	expect_none();
	see_map(IOVA, 0, PAGE, R);
	assert_ok(vmmem_collection_read_u64(see.map, IOVA + 8, &value));
	expect_none();
	/* It is there, but not for this. */
	assert_code(vmmem_collection_write_u64(see.map, IOVA + 8, 1),
		    VMMEM_ETIMEOUT);
	expect(IOVA + 8, 8, W, VMMEM_IOTLB_DENIED);
	see_close();
}
END_TEST

/* The size of a miss is the caller's, and nothing is lost if that is wrong. */
START_TEST(sizes)
{
	struct {
		struct vmmem_iommu_miss miss;
		uint64_t newer;
	} larger = { .miss = { .size = sizeof(larger) }, .newer = 5 };
	struct vmmem_iommu_miss wrong = { .size = 8 };

	open_with(0, 0);
	assert_code(ask(0, 1, R), VMMEM_ETIMEOUT);
	assert_code(vmmem_iommu_next_miss(see.iommu, &wrong),
		    VMMEM_ESTRUCTSIZE);
	assert_ok(vmmem_iommu_next_miss(see.iommu, &larger.miss));
	ck_assert_uint_eq(larger.miss.len, 1);
	ck_assert_uint_eq(larger.newer, 0);
	see_close();
}
END_TEST

START_TEST(duplicates_are_one)
{
	open_with(0, 0);
	assert_code(ask(0x100, 0x100, RW), VMMEM_ETIMEOUT);
	assert_code(ask(0x100, 0x100, RW), VMMEM_ETIMEOUT);
	assert_code(ask(0x180, 0x80, R), VMMEM_ETIMEOUT);
	/* Not these: before it, behind it. */
	assert_code(ask(0xff, 2, R), VMMEM_ETIMEOUT);
	assert_code(ask(0x1ff, 2, W), VMMEM_ETIMEOUT);
	expect(0x100, 0x100, RW, VMMEM_IOTLB_MISS);
	expect(0xff, 2, R, VMMEM_IOTLB_MISS);
	expect(0x1ff, 2, W, VMMEM_IOTLB_MISS);
	expect_none();
	/* What needs more than was asked for is asked. */
	assert_code(ask(0, 1, R), VMMEM_ETIMEOUT);
	assert_code(ask(0, 1, W), VMMEM_ETIMEOUT);
	expect(0, 1, R, VMMEM_IOTLB_MISS);
	expect(0, 1, W, VMMEM_IOTLB_MISS);
	/* Nobody waits any more: it is asked again. */
	assert_code(ask(0, 1, W), VMMEM_ETIMEOUT);
	expect(0, 1, W, VMMEM_IOTLB_MISS);
	expect_none();
	see_close();
}
END_TEST

/* One answer may be for several. */
START_TEST(answered_meanwhile)
{
	open_with(0, 0);
	assert_code(ask(0x100, 8, R), VMMEM_ETIMEOUT);
	assert_code(ask(0x200, 8, R), VMMEM_ETIMEOUT);
	assert_code(ask(0x2000, 8, R), VMMEM_ETIMEOUT);
	assert_code(ask(0x300, 8, W), VMMEM_ETIMEOUT);
	expect(0x100, 8, R, VMMEM_IOTLB_MISS);
	see_map(0, 0, PAGE, R);
	expect(0x2000, 8, R, VMMEM_IOTLB_MISS);
	expect(0x300, 8, W, VMMEM_IOTLB_DENIED);
	expect_none();
	see_close();
}
END_TEST

/* A guest cannot have the queue grow. */
START_TEST(full)
{
	open_with(2, 0);
	assert_code(ask(0, 1, R), VMMEM_ETIMEOUT);
	assert_code(ask(0x10, 1, R), VMMEM_ETIMEOUT);
	assert_code(ask(0x20, 1, R), VMMEM_ENOROOM);
	assert_code(ask(0x10, 1, R), VMMEM_ETIMEOUT);
	expect(0, 1, R, VMMEM_IOTLB_MISS);
	assert_code(ask(0x20, 1, R), VMMEM_ETIMEOUT);
	assert_code(ask(0x30, 1, R), VMMEM_ENOROOM);
	/* What is refused makes room, too. */
	assert_ok(vmmem_iommu_refuse(see.iommu, 0, 0x11, -EACCES));
	ck_assert(is_readable());
	assert_code(ask(0x30, 1, R), VMMEM_ETIMEOUT);
	assert_ok(vmmem_iommu_refuse(see.iommu, 0, 0x100, -EACCES));
	expect_none();
	see_close();
}
END_TEST

/* It is said that it is not to be read; but nothing breaks. */
START_TEST(read_by_the_program)
{
	uint64_t count;

	open_with(0, 0);
	assert_code(ask(0, 1, R), VMMEM_ETIMEOUT);
	ck_assert_int_eq(read(fd, &count, sizeof(count)), sizeof(count));
	assert_code(ask(0x10, 1, R), VMMEM_ETIMEOUT);
	expect(0, 1, R, VMMEM_IOTLB_MISS);
	expect(0x10, 1, R, VMMEM_IOTLB_MISS);
	expect_none();
	assert_code(ask(0x20, 1, R), VMMEM_ETIMEOUT);
	ck_assert(is_readable());
	see_close();
}
END_TEST

/* ---- with threads -------------------------------------------------------- */

static int outcomes[READERS];

static void *
read_one(void *opaque)
{
	int *outcome = opaque;
	uint64_t value;

	*outcome = vmmem_collection_read_u64(see.map, IOVA, &value);
	return NULL;
}

static void
wait_for_misses(uint64_t count)
{
	while (vmmem_iommu_misses(see.iommu) < count)
		sched_yield();
}

/* next() waits for a miss with poll(2), as a program would. */
static struct vmmem_iommu_miss
next(void)
{
	struct vmmem_iommu_miss miss = { .size = sizeof(miss) };
	struct pollfd one = { .fd = fd, .events = POLLIN };

	do {
		ck_assert_int_eq(poll(&one, 1, -1), 1);
		assert_ok(vmmem_iommu_next_miss(see.iommu, &miss));
	} while (miss.len == 0);
	return miss;
}

/* All wait for the same page: one question, one answer. */
START_TEST(one_answer_for_all)
{
	pthread_t threads[READERS];
	struct vmmem_iommu_miss miss;
	int i, round;

	open_with(0, VMMEM_FOREVER);
	for (round = 1; round <= 50; round++) {
		for (i = 0; i < READERS; i++)
			ck_assert_int_eq(pthread_create(&threads[i], NULL,
							read_one,
							&outcomes[i]),
					 0);
		miss = next();
		ck_assert_uint_eq(miss.iova, IOVA);
		wait_for_misses((uint64_t)(round * READERS));
		see_map(IOVA, 0, PAGE, R);
		for (i = 0; i < READERS; i++) {
			pthread_join(threads[i], NULL);
			assert_ok(outcomes[i]);
		}
		expect_none();
		assert_ok(vmmem_iotlb_unmap(see.iotlb, IOVA, PAGE));
	}
	see_close();
}
END_TEST

START_TEST(refused)
{
	pthread_t threads[READERS];
	int i;

	open_with(0, VMMEM_FOREVER);
	for (i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_one,
						&outcomes[i]),
				 0);
	/* One that comes after a refusal asks again. */
	for (i = 0; i < READERS; i++) {
		while (pthread_tryjoin_np(threads[i], NULL) != 0) {
			assert_ok(vmmem_iommu_refuse(see.iommu, IOVA, 1,
						     VMMEM_EDENIED));
			sched_yield();
		}
		assert_code(outcomes[i], VMMEM_EDENIED);
	}
	expect_none();
	see_close();
}
END_TEST

static void *
need_the_rest(void *opaque)
{
	int *outcome = opaque;

	*outcome = vmmem_iommu_resolve(see.iommu, IOVA + 4, 4, R,
				       VMMEM_FOREVER, NULL, NULL);
	return NULL;
}

/* Whoever did not ask, as another had asked already, asks if that one goes. */
START_TEST(the_one_behind)
{
	struct vmmem_iommu_miss miss;
	pthread_t first, second;

	open_with(0, VMMEM_FOREVER);
	ck_assert_int_eq(pthread_create(&first, NULL, read_one, &outcomes[0]),
			 0);
	miss = next();
	ck_assert_uint_eq(miss.iova, IOVA);
	ck_assert_int_eq(pthread_create(&second, NULL, need_the_rest,
					&outcomes[1]),
			 0);
	wait_for_misses(2);
	assert_ok(vmmem_iommu_refuse(see.iommu, IOVA, 1, VMMEM_EDENIED));
	pthread_join(first, NULL);
	assert_code(outcomes[0], VMMEM_EDENIED);
	miss = next();
	ck_assert_uint_eq(miss.iova, IOVA + 4);
	ck_assert_uint_eq(miss.len, 4);
	see_map(IOVA, 0, PAGE, R);
	pthread_join(second, NULL);
	assert_ok(outcomes[1]);
	expect_none();
	see_close();
}
END_TEST

/* The switch, and asking again, reach those that wait. */
START_TEST(off_and_retry)
{
	pthread_t thread;

	open_with(0, VMMEM_FOREVER);
	ck_assert_int_eq(pthread_create(&thread, NULL, need_the_rest,
					&outcomes[0]),
			 0);
	ck_assert_uint_eq(next().iova, IOVA + 4);
	vmmem_iommu_retry(see.iommu);
	ck_assert_uint_eq(next().iova, IOVA + 4);
	assert_ok(vmmem_iommu_set_enabled(see.iommu, 0));
	pthread_join(thread, NULL);
	assert_ok(outcomes[0]);
	see_close();
}
END_TEST

/*
 * A program that answers, and soon takes all answers back.  A question whose
 * answer came before it, and was gone after the program had passed over it, is
 * not forgotten.
 */
#define TURNS 200000

static atomic_uint turns;

static void *
take_turns(void *opaque)
{
	const uint64_t *first = opaque;
	unsigned int i;
	int rc = 0;

	for (i = 0; i < TURNS && rc == 0; i++)
		rc = vmmem_iommu_resolve(see.iommu,
					 IOVA + (*first + i) % 16 * PAGE,
					 (1 + i % 2) * PAGE, R, VMMEM_FOREVER,
					 NULL, NULL);
	/* Relaxed: the main thread counts. */
	atomic_fetch_add_explicit(&turns, 1, memory_order_relaxed);
	return rc == 0 ? NULL : opaque;
}

START_TEST(answers_that_go_at_once)
{
	struct vmmem_iommu_miss miss = { .size = sizeof(miss) };
	uint64_t first[READERS];
	pthread_t threads[READERS];
	void *failed;
	size_t i;

	open_with(0, VMMEM_FOREVER);
	atomic_init(&turns, 0);
	for (i = 0; i < READERS; i++) {
		first[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_turns,
						&first[i]),
				 0);
	}
	while (atomic_load_explicit(&turns, memory_order_relaxed) != READERS) {
		assert_ok(vmmem_iommu_next_miss(see.iommu, &miss));
		if (miss.len != 0) {
			assert_ok(vmmem_iotlb_map(see.iotlb, miss.iova, 0,
						  miss.len, miss.access));
			continue;
		}
		vmmem_iotlb_unmap_all(see.iotlb);
		sched_yield();
	}
	for (i = 0; i < READERS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
	see_close();
}
END_TEST

static void *
write_one(void *opaque)
{
	int *outcome = opaque;

	*outcome = vmmem_collection_write_u64(see.map, IOVA, 1);
	return NULL;
}

/* A right that is given and taken back at once: the writer asks again. */
START_TEST(right_that_goes_at_once)
{
	struct vmmem_iommu_miss miss = { .size = sizeof(miss) };
	pthread_t thread;
	int round;

	open_with(0, VMMEM_FOREVER);
	for (round = 0; round < 1000; round++) {
		see_map(IOVA, 0, PAGE, R);
		ck_assert_int_eq(pthread_create(&thread, NULL, write_one,
						&outcomes[0]),
				 0);
		ck_assert_uint_eq(next().reason, VMMEM_IOTLB_DENIED);
		see_map(IOVA, 0, PAGE, RW);
		see_map(IOVA, 0, PAGE, R);
		/* Either it was quick enough, or there is a question again. */
		do {
			if (pthread_tryjoin_np(thread, NULL) == 0)
				break;
			assert_ok(vmmem_iommu_next_miss(see.iommu, &miss));
			sched_yield();
		} while (miss.len == 0);
		if (miss.len != 0) {
			see_map(IOVA, 0, PAGE, RW);
			pthread_join(thread, NULL);
			miss.len = 0;
		}
		assert_ok(outcomes[0]);
	}
	see_close();
}
END_TEST

/* A translation that denies the access goes: that is another question. */
START_TEST(denied_then_gone)
{
	pthread_t thread;
	int all;

	for (all = 0; all < 2; all++) {
		open_with(0, VMMEM_FOREVER);
		see_map(IOVA, 0, PAGE, R);
		ck_assert_int_eq(pthread_create(&thread, NULL, write_one,
						&outcomes[0]),
				 0);
		ck_assert_uint_eq(next().reason, VMMEM_IOTLB_DENIED);
		if (all)
			vmmem_iotlb_unmap_all(see.iotlb);
		else
			assert_ok(vmmem_iotlb_unmap(see.iotlb, IOVA, PAGE));
		ck_assert_uint_eq(next().reason, VMMEM_IOTLB_MISS);
		see_map(IOVA, 0, PAGE, RW);
		pthread_join(thread, NULL);
		assert_ok(outcomes[0]);
		expect_none();
		see_close();
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iommu_queue");
	TCase *tcase = tcase_create("iommu_queue");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, options);
	tcase_add_test(tcase, one_thread);
	tcase_add_test(tcase, sizes);
	tcase_add_test(tcase, duplicates_are_one);
	tcase_add_test(tcase, answered_meanwhile);
	tcase_add_test(tcase, full);
	tcase_add_test(tcase, read_by_the_program);
	tcase_add_test(tcase, one_answer_for_all);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, the_one_behind);
	tcase_add_test(tcase, off_and_retry);
	tcase_add_test(tcase, answers_that_go_at_once);
	tcase_add_test(tcase, right_that_goes_at_once);
	tcase_add_test(tcase, denied_then_gone);
	suite_add_tcase(suite, tcase);
	return suite;
}
