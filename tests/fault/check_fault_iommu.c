/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Each call on the way to an iotlb, an iommu and a translated collection fails
 * once, and so do sleeping and the barrier.
 */
#include "fault.h"
#include "iotlbs.h"
#include "suite.h"

#include <stdalign.h>
#include <string.h>

#define RW (VMMEM_PROT_READ | VMMEM_PROT_WRITE)
#define LEN UINT64_C(0x100)

static alignas(16) unsigned char memory[2][LEN];
static char marker;
static struct vmmem_iotlb *const no_iotlb = (void *)&marker;
static struct vmmem_iommu *const no_iommu = (void *)&marker;

static bool
fired(const char *function)
{
	return inject_fired() != NULL && strcmp(inject_fired(), function) == 0;
}

/*
 * survived() is what failed in a call that returned 0: the barrier's
 * registration, which the library does without, or a barrier that was asked
 * again.  The sweep is told of it as of any other failure.
 */
static int
survived(bool fired_before)
{
	return !fired_before && fired("syscall") ? inject_code() : 0;
}

static void
keep(int *rc, int code)
{
	if (*rc == 0)
		*rc = code;
}

static struct vmmem_iotlb *
new_iotlb(int *rc)
{
	struct vmmem_iotlb *iotlb = no_iotlb;
	bool before = inject_fired() != NULL;
	int code = iotlb_of(100, &iotlb);

	if (code != 0) {
		REQUIRE(iotlb == no_iotlb);
		keep(rc, code);
		return NULL;
	}
	keep(rc, survived(before));
	REQUIRE(vmmem_iotlb_map(iotlb, 0x5000, 0, LEN, RW) == 0);
	return iotlb;
}

/* Sections work with the barrier and without. */
static int
iotlb(void)
{
	struct vmmem_iotlb *one;
	uint64_t section;
	size_t count;
	bool before;
	int rc = 0, code;

	one = new_iotlb(&rc);
	if (one == NULL)
		return rc;
	section = vmmem_iotlb_enter(one);
	vmmem_iotlb_leave(one, section);
	before = inject_fired() != NULL;
	code = vmmem_iotlb_synchronize(one, VMMEM_FOREVER);
	keep(&rc, code != 0 ? code : survived(before));
	/* What failed once is not broken. */
	REQUIRE(code == 0 || vmmem_iotlb_synchronize(one, VMMEM_FOREVER) == 0);
	/* Changing it needs nothing of the system. */
	REQUIRE(vmmem_iotlb_unmap(one, 0x5010, 0x10) == 0);
	REQUIRE(vmmem_iotlb_lookup(one, 0x5000, LEN, RW, NULL, 0, &count) ==
		VMMEM_EIOMMUMISS);
	REQUIRE(count == 3);
	vmmem_iotlb_unref(one);
	return rc;
}

static int
later(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
      uint32_t reason)
{
	(void)opaque;
	(void)iova;
	(void)len;
	(void)access;
	(void)reason;
	return VMMEM_IOMMU_LATER;
}

static int
region(size_t i, struct vmmem_region **ret_region)
{
	*ret_region = no_region;
	return vmmem_region_new_external(i * LEN, LEN, memory[i], ret_region);
}

/* with_map() has a map through an iommu, of one region. */
static int
with_map(int (*use)(struct vmmem_collection *map, struct vmmem_iommu *iommu),
	 uint32_t flags)
{
	struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = flags == 0 ? later : NULL,
		.timeout_ns = 1000,
		.flags = flags,
	};
	struct vmmem_collection *physical = no_collection;
	struct vmmem_collection *map = no_collection;
	struct vmmem_iommu *iommu = no_iommu;
	struct vmmem_iotlb *one;
	struct vmmem_region *first;
	int rc = 0, code;

	code = region(0, &first);
	if (code != 0)
		return failed_region(code, first);
	code = vmmem_collection_new(&first, 1, &physical);
	vmmem_region_unref(first);
	if (code != 0)
		return failed_collection(code, physical);
	one = new_iotlb(&rc);
	if (one != NULL) {
		code = vmmem_iommu_new(one, &options, &iommu);
		REQUIRE(code == 0 || iommu == no_iommu);
		if (code == 0) {
			code = vmmem_collection_new_translated(iommu, physical,
							       &map);
			REQUIRE(code == 0 || map == no_collection);
			if (code == 0)
				code = use(map, iommu);
			if (map != no_collection)
				vmmem_collection_unref(map);
			vmmem_iommu_unref(iommu);
		}
		keep(&rc, code);
		vmmem_iotlb_unref(one);
	}
	vmmem_collection_unref(physical);
	return rc;
}

static int
do_access(struct vmmem_collection *map, struct vmmem_iommu *iommu)
{
	(void)iommu;
	REQUIRE(vmmem_collection_write_u64(map, 0x5008, 42) == 0);
	REQUIRE(memory[0][8] == 42 || memory[0][15] == 42);
	return 0;
}

static int
access_memory(void)
{
	return with_map(do_access, 0);
}

/* A new map of a translated one. */
static int
do_change(struct vmmem_collection *map, struct vmmem_iommu *iommu)
{
	struct vmmem_collection *larger = no_collection;
	struct vmmem_collection *smaller = no_collection;
	struct vmmem_region *second, *removed = no_region;
	int rc;

	(void)iommu;
	rc = region(1, &second);
	if (rc != 0)
		return failed_region(rc, second);
	rc = vmmem_collection_insert(map, second, &larger);
	vmmem_region_unref(second);
	if (rc != 0)
		return failed_collection(rc, larger);
	REQUIRE(vmmem_collection_count(larger) == 2);
	rc = vmmem_collection_remove(larger, 0, LEN, &smaller, &removed);
	vmmem_collection_unref(larger);
	if (rc != 0) {
		REQUIRE(removed == no_region);
		return failed_collection(rc, smaller);
	}
	vmmem_region_unref(removed);
	vmmem_collection_unref(smaller);
	return 0;
}

static int
change(void)
{
	return with_map(do_change, 0);
}

/* Who cannot sleep does not wait; the code is that of the system. */
static int
do_wait(struct vmmem_collection *map, struct vmmem_iommu *iommu)
{
	uint64_t value = 5;
	int rc;

	(void)iommu;
	rc = vmmem_collection_read_u64(map, 0x9000, &value);
	REQUIRE(rc != 0 && value == 5);
	return rc == VMMEM_ETIMEOUT ? 0 : rc;
}

static int
wait_for_answer(void)
{
	return with_map(do_wait, 0);
}

/*
 * An access that cannot tell of its miss fails, and leaves none in the queue.
 * If what was told cannot be taken back, the miss was taken all the same.
 */
static int
do_queue(struct vmmem_collection *map, struct vmmem_iommu *iommu)
{
	struct vmmem_iommu_miss miss = { .size = sizeof(miss) };
	bool before;
	int rc;

	rc = do_wait(map, iommu);
	if (rc != 0 && rc != inject_code())
		return rc;
	before = inject_fired() != NULL;
	REQUIRE(vmmem_iommu_next_miss(iommu, &miss) == 0);
	keep(&rc, survived(before));
	REQUIRE(miss.len == 8 || (miss.len == 0 && rc != 0));
	REQUIRE(vmmem_iommu_refuse(iommu, 0, UINT64_MAX, -EACCES) == 0);
	REQUIRE(vmmem_iommu_next_miss(iommu, &miss) == 0 && miss.len == 0);
	return rc;
}

static int
queue(void)
{
	return with_map(do_queue, VMMEM_IOMMU_QUEUE_MISSES);
}

static const scenario_fn scenarios[] = { iotlb, access_memory, change,
					 wait_for_answer, queue };

START_TEST(sweep)
{
	fault_sweep(scenarios[_i], 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault_iommu");
	TCase *tcase = tcase_create("fault_iommu");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, sweep, 0,
			    sizeof(scenarios) / sizeof(scenarios[0]));
	suite_add_tcase(suite, tcase);
	return suite;
}
