/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Each call that is about a guest_memfd fails once. */
#define GMEM_REAL(function) __real_##function
#include <sys/stat.h>

long __real_syscall(long number, ...);
int __real_fstat(int fd, struct stat *ret_stat);

#include "fault.h"
#include "gmem.h"
#include "suite.h"

#define GPA UINT64_C(0x12340000)

static int fd;
static struct vmmem_region_builder *builder;

const char *
skip_reason(void)
{
	return gmem_missing();
}

static int
build(void)
{
	struct vmmem_region *region = no_region;
	int rc = vmmem_region_builder_build(builder, &region);

	if (rc != 0)
		return failed_region(rc, region);
	vmmem_region_unref(region);
	return 0;
}

static struct vmmem_space *space;

/* What cannot be given back is counted, and is no failure. */
static const char *const counted[] = { "fallocate", "madvise", NULL };

static int
convert(void)
{
	int rc = vmmem_space_convert(space, GPA, 2 * page_size(), 0, NULL);

	if (rc == 0)
		rc = vmmem_space_convert(space, GPA, 2 * page_size(), 1, NULL);
	return rc;
}

/* A range whose state cannot be noted stays as it is. */
START_TEST(converting)
{
	struct vmmem_region *region;
	struct vmmem_collection *map;
	uint64_t kept = 99;

	fd = gmem_new(4 * page_size());
	builder = gmem_builder(GPA, 4 * page_size(), fd, 0);
	vmmem_region_builder_set_tracking(builder, 0);
	ck_assert_int_eq(vmmem_region_builder_build(builder, &region), 0);
	vmmem_region_builder_free(builder);
	ck_assert_int_eq(vmmem_collection_new(&region, 1, &map), 0);
	ck_assert_int_eq(vmmem_space_new(map, NULL, &space), 0);
	vmmem_collection_unref(map);
	fault_survived = counted;
	fault_sweep(convert, 0);
	fault_survived = NULL;

	/* Each side's hole in turn. */
	inject_start(3, EIO, false);
	ck_assert_int_eq(vmmem_space_convert(space, GPA, page_size(), 0,
					     &kept),
			 0);
	inject_stop();
	ck_assert_str_eq(inject_fired(), "fallocate");
	ck_assert_uint_eq(kept, page_size());
	ck_assert_int_eq(vmmem_region_is_private(region, 0, page_size()), 0);
	inject_start(3, EOPNOTSUPP, false);
	ck_assert_int_eq(vmmem_space_convert(space, GPA, page_size(), 1,
					     &kept),
			 0);
	inject_stop();
	ck_assert_str_eq(inject_fired(), "fallocate");
	ck_assert_uint_eq(kept, page_size());
	ck_assert_int_eq(vmmem_region_is_private(region, 0, page_size()), 1);
	vmmem_space_unref(space);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

START_TEST(building)
{
	fd = gmem_new(4 * page_size());
	builder = gmem_builder(GPA, 4 * page_size(), fd, 0);
	/* A log can do without a barrier. */
	vmmem_region_builder_set_tracking(builder, 0);
	fault_sweep(build, 0);
	/* Where another region has the file already. */
	vmmem_region_builder_set_file(builder, fault_file(), 0, 0);
	vmmem_region_builder_set_range(builder, GPA, fault_page());
	fault_sweep(build, 0);
	vmmem_region_builder_free(builder);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault_private");
	TCase *tcase = tcase_create("private");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, building);
	tcase_add_test(tcase, converting);
	suite_add_tcase(suite, tcase);
	return suite;
}
