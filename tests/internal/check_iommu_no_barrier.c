/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Sections on a kernel without membarrier(2), where all of them are counted, and
 * on one where it fails.  The functions of lib/base/barrier.c are defined here, so
 * the linker leaves the library's own out.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/barrier.h"
#include "iommu/iotlb_priv.h"
#include "iommus.h"
#include "suite.h"

static bool available;
static int result;
static atomic_int stop;

bool
vmmem_barrier_available(void)
{
	return available;
}

int
vmmem_barrier(void)
{
	return result;
}

static void
open_with(bool barrier, int rc)
{
	available = barrier;
	result = rc;
	see_open(16, NULL);
	see_map(IOVA, 0, 0x1000, RW);
}

START_TEST(sections_are_counted)
{
	uint64_t outer, inner, value;

	open_with(false, -ENOSYS);
	outer = vmmem_iotlb_enter(see.iotlb);
	inner = vmmem_iotlb_enter(see.iotlb);
	ck_assert_uint_eq(see.iotlb->srcu.counts[0] + see.iotlb->srcu.counts[1],
			  2);
	assert_ok(vmmem_collection_read_u64(see.map, IOVA, &value));
	vmmem_iotlb_leave(see.iotlb, inner);
	vmmem_iotlb_leave(see.iotlb, outer);
	ck_assert_uint_eq(see.iotlb->srcu.counts[0], 0);
	ck_assert_uint_eq(see.iotlb->srcu.counts[1], 0);
	assert_ok(vmmem_iotlb_synchronize(see.iotlb, VMMEM_FOREVER));
	see_close();
}
END_TEST

START_TEST(barrier_fails)
{
	open_with(true, -EACCES);
	assert_code(vmmem_iotlb_synchronize(see.iotlb, VMMEM_FOREVER), -EACCES);
	result = 0;
	assert_ok(vmmem_iotlb_synchronize(see.iotlb, VMMEM_FOREVER));
	see_close();
}
END_TEST

static void *
write_one_page(void *unused)
{
	uint64_t i = 0;
	int rc;

	(void)unused;
	while (!atomic_load(&stop)) {
		i = (i + 0x40) % 0xf00;
		rc = vmmem_collection_fill(see.map, IOVA + i, 0x100, 0xee,
					   NULL);
		if (rc != 0 && rc != VMMEM_EIOMMUMISS)
			abort();
	}
	return NULL;
}

/* The same as in check_iommu_threads.c. */
START_TEST(pages_come_back)
{
	const char *scale = getenv("VMMEM_TEST_SCALE");
	long last = scale != NULL ? 2000 / strtol(scale, NULL, 10) + 1 : 2000;
	pthread_t threads[3];
	long round;
	int i;

	open_with(false, -ENOSYS);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
						write_one_page, NULL),
				 0);
	for (round = 0; round < last; round++) {
		assert_ok(vmmem_iotlb_unmap(see.iotlb, IOVA, 0x1000));
		assert_ok(vmmem_iotlb_synchronize(see.iotlb, VMMEM_FOREVER));
		memset(host_of(see.physical, 0), 0x11, 0x1000);
		if (round % 8 == 0)
			sched_yield();
		ck_assert(all_are(host_of(see.physical, 0), 0x11, 0x1000));
		see_map(IOVA, 0, 0x1000, RW);
		sched_yield();
	}
	atomic_store(&stop, 1);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	see_close();
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iommu_no_barrier");
	TCase *tcase = tcase_create("iommu_no_barrier");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, sections_are_counted);
	tcase_add_test(tcase, barrier_fails);
	tcase_add_test(tcase, pages_come_back);
	suite_add_tcase(suite, tcase);
	return suite;
}
