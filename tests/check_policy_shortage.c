/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A file system that is full: told when the region is made, not by SIGBUS. */
#include <sched.h>
#include <sys/mount.h>

#include <vmmem/collection.h>
#include <vmmem/residency.h>

#include "policy.h"
#include "suite.h"

static char directory[] = "/tmp/vmmem-shortage-XXXXXX";
static int file = -1;

/* A small file system that only this process sees. */
static const char *
mount_small(void)
{
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0)
		return "may not make mounts of its own";
	if (mkdtemp(directory) == NULL)
		return "no directory in /tmp";
	if (mount("tmpfs", directory, "tmpfs", 0, "size=64k") != 0) {
		rmdir(directory);
		return "may not mount a tmpfs";
	}
	file = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	umount2(directory, MNT_DETACH);
	rmdir(directory);
	return file >= 0 ? NULL : "the tmpfs has no O_TMPFILE";
}

const char *
skip_reason(void)
{
	const char *reason = memory_skip_reason();

	return reason != NULL ? reason : mount_small();
}

#define SPARSE MIB

static void
use_file(void)
{
	ck_assert_int_eq(ftruncate(file, 0), 0);
	ck_assert_int_eq(ftruncate(file, (off_t)SPARSE), 0);
	vmmem_region_builder_set_range(builder, 0, SPARSE);
	vmmem_region_builder_set_file(builder, file, 0, 0);
}

START_TEST(reserve)
{
	use_file();
	vmmem_policy_set_reserve(policy, VMMEM_RESERVE_YES);
	refuse(-ENOSPC);
	/* What there is room for can be had. */
	vmmem_region_builder_set_range(builder, 0, 32 * KIB);
	vmmem_region_unref(build());
	ck_assert_uint_ge(storage(file), 32 * KIB);
}
END_TEST

START_TEST(prefault)
{
	uint32_t threads;

	for (threads = 1; threads <= 2; threads++) {
		use_file();
		vmmem_policy_set_prefault(policy, threads);
		refuse(VMMEM_ESHORTAGE);
	}
}
END_TEST

/* Later, of a region that was built without. */
START_TEST(populate)
{
	struct vmmem_region *region = NULL;
	struct vmmem_collection *map = NULL;

	use_file();
	vmmem_region_builder_set_policy(builder, policy);
	assert_ok(vmmem_region_builder_build(builder, &region));
	assert_ok(vmmem_collection_new(&region, 1, &map));
	assert_ok(vmmem_region_populate(region, 0, 32 * KIB));
	assert_code(vmmem_region_populate(region, 0, SPARSE), VMMEM_ESHORTAGE);
	assert_code(vmmem_collection_populate(map, 0, SPARSE),
		    VMMEM_ESHORTAGE);
	/* The memory that there is not may also be that of a shorter file. */
	ck_assert_int_eq(ftruncate(file, 0), 0);
	assert_code(vmmem_region_populate(region, 0, 1), VMMEM_ESHORTAGE);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(lock)
{
	struct vmmem_region *region = NO_REGION;
	int rc;

	use_file();
	vmmem_policy_set_lock(policy, VMMEM_LOCK_NOW);
	vmmem_region_builder_set_policy(builder, policy);
	rc = vmmem_region_builder_build(builder, &region);
	/* Which of the system's codes is its affair. */
	ck_assert_int_lt(rc, 0);
	ck_assert_int_gt(rc, -4096);
	ck_assert_ptr_eq(region, NO_REGION);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("policy_shortage");
	TCase *tcase = tcase_create("policy_shortage");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, reserve);
	tcase_add_test(tcase, prefault);
	tcase_add_test(tcase, populate);
	tcase_add_test(tcase, lock);
	suite_add_tcase(suite, tcase);
	return suite;
}
