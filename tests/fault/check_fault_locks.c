/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Nothing fails here.  What takes a lock and cannot fail is called once, so
 * that inject_locks.c sees all locks of the library taken and given back.
 */
#include "fault.h"
#include "iotlbs.h"
#include "suite.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN UINT64_C(0x4000)
#define RW (VMMEM_PROT_READ | VMMEM_PROT_WRITE)
#define OK(call) ck_assert_int_eq(call, 0)

START_TEST(bitmaps)
{
	struct vmmem_harvester *harvester;
	struct vmmem_bitmap *bitmap;

	OK(vmmem_bitmap_new(LEN, 2 * LEN, 0x1000, NULL, &bitmap));
	OK(vmmem_bitmap_start_logging(bitmap));
	OK(vmmem_bitmap_grow(bitmap, 2 * LEN));
	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, 3 * LEN),
			 VMMEM_EOUTOFRANGE);
	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, LEN), VMMEM_EARGUMENT);
	OK(vmmem_harvester_new(bitmap, NULL, &harvester));
	OK(vmmem_bitmap_clear(bitmap, 0, LEN));
	OK(vmmem_bitmap_stop_logging(bitmap));
	ck_assert_uint_eq(inject_held(), 0);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(iommus)
{
	struct vmmem_iotlb *iotlb;
	struct vmmem_iommu *iommu;

	OK(iotlb_of(2, &iotlb));
	OK(vmmem_iommu_new(iotlb, NULL, &iommu));
	OK(vmmem_iotlb_map(iotlb, 0, 0, LEN, RW));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 1);
	ck_assert_uint_eq(vmmem_iotlb_evicted(iotlb), 0);
	OK(vmmem_iommu_set_enabled(iommu, 0));
	vmmem_iotlb_unmap_all(iotlb);
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 0);
	OK(vmmem_iotlb_synchronize(iotlb, VMMEM_FOREVER));
	ck_assert_uint_eq(inject_held(), 0);
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
}
END_TEST

static struct vmmem_space *
new_space(void)
{
	struct vmmem_collection *map;
	struct vmmem_space *space;

	OK(vmmem_collection_new_ranges(&(struct vmmem_range){ 0, LEN }, 1, NULL,
				       &map));
	OK(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
	return space;
}

/*
 * The writers' lock, that of the readers, and four for all: maps, files, pins,
 * and what was replaced in files.
 */
START_TEST(forks)
{
	struct vmmem_space *spaces[2] = { new_space(), new_space() };
	size_t i;
	pid_t pid;
	int status;

	for (i = 0; i < 2; i++) {
		OK(vmmem_space_before_fork(spaces[i]));
		ck_assert_uint_eq(inject_held(), 2 * (i + 1) + 4);
	}
	pid = fork();
	if (pid == 0) {
		for (i = 0; i < 2; i++)
			vmmem_space_after_fork_child(spaces[i]);
		_exit(inject_held() != 0 ||
		      vmmem_space_remove(spaces[0], 0, LEN, NULL) != 0);
	}
	for (i = 0; i < 2; i++)
		vmmem_space_after_fork_parent(spaces[i]);
	ck_assert_uint_eq(inject_held(), 0);
	OK(vmmem_space_remove(spaces[0], 0, LEN, NULL));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	for (i = 0; i < 2; i++)
		vmmem_space_unref(spaces[i]);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, locks");
	TCase *tcase = tcase_create("locks");

	tcase_add_test(tcase, bitmaps);
	tcase_add_test(tcase, iommus);
	tcase_add_test(tcase, forks);
	suite_add_tcase(suite, tcase);
	return suite;
}
