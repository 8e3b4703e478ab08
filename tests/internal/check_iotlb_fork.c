/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A child of fork(), where another thread waits for a translation: that thread
 * is not there, and its stack is the child's to use for others.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iommus.h"
#include "iommu/iotlb_priv.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)
#define STACK ((size_t)1 << 20)

static _Alignas(64) unsigned char stack[STACK];

static void *
wait_for_translation(void *unused)
{
	uint64_t value;

	(void)unused;
	assert_ok(vmmem_collection_read_u64(see.map, IOVA, &value));
	return NULL;
}

/*
 * Sanitizers know of frames on that stack, and of who wrote them, and not that
 * their thread is not there: they do not look at these two.
 */
#define NOT_LOOKED_AT __attribute__((__no_sanitize__("address", "thread")))

NOT_LOOKED_AT static void
clear_stack(void)
{
	volatile unsigned char *byte;

	for (byte = stack; byte != stack + STACK; byte++)
		*byte = 0;
}

NOT_LOOKED_AT static bool
is_untouched(void)
{
	const volatile unsigned char *byte;

	for (byte = stack; byte != stack + STACK; byte++) {
		if (*byte != 0)
			return false;
	}
	return true;
}

static pid_t parent;

/* Puts off what it was asked, and in the child has answered it already. */
static int
answered_later(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
	       uint32_t reason)
{
	(void)len;
	(void)access;
	(void)reason;
	if (getpid() != *(const pid_t *)opaque &&
	    vmmem_iotlb_map(see.iotlb, iova & -PAGE, 0, PAGE, RW) != 0)
		return VMMEM_EIOMMUMISS;
	return VMMEM_IOMMU_LATER;
}

/* What the child may do: changes, and waiting itself. */
static int
use_child(void)
{
	uint64_t value;

	/* Where a waiter was there are zeroes: address 0. */
	if (vmmem_iotlb_map(see.iotlb, 0, 0, PAGE, RW) != 0 ||
	    !is_untouched())
		return 1;
	if (vmmem_collection_read_u64(see.map, IOVA + 8 * PAGE, &value) != 0 ||
	    !is_untouched())
		return 2;
	if (vmmem_iotlb_unmap(see.iotlb, 0, PAGE) != 0 ||
	    vmmem_iotlb_map(see.iotlb, 0, 0, PAGE, RW) != 0 || !is_untouched())
		return 3;
	return 0;
}

/* start_waiting() returns when the thread sleeps. */
static pthread_t
start_waiting(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	ck_assert_int_eq(pthread_attr_init(&attributes), 0);
	ck_assert_int_eq(pthread_attr_setstack(&attributes, stack, STACK), 0);
	ck_assert_int_eq(pthread_create(&thread, &attributes,
					wait_for_translation, NULL), 0);
	pthread_attr_destroy(&attributes);
	/* Relaxed: nothing else is looked at. */
	while (__atomic_load_n(&see.iotlb->asleep, __ATOMIC_RELAXED) == 0)
		sched_yield();
	return thread;
}

/* The first thing that the child does is to map, or to wait. */
START_TEST(waiter_is_gone)
{
	pthread_t thread = start_waiting();
	uint64_t value;
	int status;
	pid_t child;

	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		/* As good as another thread's. */
		clear_stack();
		if (_i == 1 &&
		    (vmmem_collection_read_u64(see.map, IOVA + 9 * PAGE,
					       &value) != 0 ||
		     !is_untouched()))
			_exit(4);
		_exit(use_child());
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	/* The parent's is woken up as always. */
	see_map(IOVA, 0, PAGE, RW);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

/* The same of a question in a queue; the child refuses, or asks. */
static int
use_queue(bool refuses)
{
	struct vmmem_iommu_miss miss = { .size = sizeof(miss) };

	if (refuses &&
	    (vmmem_iommu_refuse(see.iommu, 0, UINT64_MAX, -1) != 0 ||
	     !is_untouched()))
		return 1;
	/* What the parent's thread has asked does not stand in its way. */
	if (vmmem_iommu_resolve(see.iommu, IOVA, 8, VMMEM_PROT_READ, 0, NULL,
				NULL) != VMMEM_ETIMEOUT || !is_untouched())
		return 2;
	if (vmmem_iommu_next_miss(see.iommu, &miss) != 0 || miss.len != 8 ||
	    vmmem_iommu_refuse(see.iommu, 0, UINT64_MAX, -1) != 0 ||
	    !is_untouched())
		return 3;
	return 0;
}

START_TEST(question_is_gone)
{
	const struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.timeout_ns = VMMEM_FOREVER,
		.flags = VMMEM_IOMMU_QUEUE_MISSES,
	};
	struct vmmem_iommu_miss miss = { .size = sizeof(miss) };
	pthread_t thread;
	int status;
	pid_t child;

	see_close();
	see_open(64, &options);
	thread = start_waiting();
	/* The descriptor is one for both; so the queue is to be empty. */
	assert_ok(vmmem_iommu_next_miss(see.iommu, &miss));
	ck_assert_uint_eq(miss.len, 8);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		clear_stack();
		_exit(use_queue(_i == 1));
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	see_map(IOVA, 0, PAGE, RW);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

static void
setup(void)
{
	const struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = answered_later,
		.opaque = &parent,
		.timeout_ns = VMMEM_FOREVER,
	};

	parent = getpid();
	see_open(64, &options);
}

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iotlb_fork");
	TCase *tcase = tcase_create("iotlb_fork");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, see_teardown);
	tcase_add_loop_test(tcase, waiter_is_gone, 0, 2);
	tcase_add_loop_test(tcase, question_is_gone, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
