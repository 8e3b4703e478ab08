/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Each call on the way to a region fails once: every kind, every setting. */
#include "fault.h"
#include "suite.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>

#define GPA UINT64_C(0x12340000)
#define LEN UINT64_C(0x1000)

static alignas(16) unsigned char memory[LEN];

static int
anonymous(void)
{
	struct vmmem_region *region = no_region;
	int rc = vmmem_region_new_anonymous(GPA + 8, LEN, &region);

	if (rc != 0)
		return failed_region(rc, region);
	vmmem_region_unref(region);
	return 0;
}

static int
memfd(void)
{
	struct vmmem_region *region = no_region;
	int rc = vmmem_region_new_memfd(GPA + 8, LEN, &region);

	if (rc != 0)
		return failed_region(rc, region);
	vmmem_region_unref(region);
	return 0;
}

static int
file(void)
{
	struct vmmem_region *region = no_region;
	int rc = vmmem_region_new_file(GPA, LEN, fault_file(), fault_page(),
				       &region);

	if (rc != 0)
		return failed_region(rc, region);
	vmmem_region_unref(region);
	return 0;
}

static int
external(void)
{
	struct vmmem_region *region = no_region;
	int rc = vmmem_region_new_external(GPA, LEN, memory, &region);

	if (rc != 0)
		return failed_region(rc, region);
	vmmem_region_unref(region);
	return 0;
}

/* An alias of an alias, which outlives both. */
static int
alias(void)
{
	struct vmmem_region *target = no_region;
	struct vmmem_region *first = no_region;
	struct vmmem_region *second = no_region;
	int rc;

	rc = vmmem_region_new_memfd(GPA, LEN, &target);
	if (rc != 0)
		return failed_region(rc, target);
	rc = vmmem_region_new_alias(0, LEN / 2, target, 64, &first);
	if (rc != 0)
		failed_region(rc, first);
	vmmem_region_unref(target);
	if (rc != 0)
		return rc;
	rc = vmmem_region_new_alias(LEN, 64, first, 32, &second);
	if (rc != 0)
		failed_region(rc, second);
	vmmem_region_unref(first);
	if (rc == 0)
		vmmem_region_unref(second);
	return rc;
}

static unsigned int destroyed;

static void
destroy(void *opaque)
{
	(void)opaque;
	destroyed++;
}

static int
host(void *opaque, void **ret_host)
{
	*ret_host = opaque;
	return 0;
}

static int
read_nothing(void *opaque, uint64_t offset, void *buf, size_t len,
	     const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	(void)buf;
	(void)len;
	return 0;
}

static const struct vmmem_region_ops host_ops = {
	.size = sizeof(host_ops),
	.host = host,
	.destroy = destroy,
};

static const struct vmmem_region_ops callback_ops = {
	.size = sizeof(callback_ops),
	.read = read_nothing,
	.destroy = destroy,
};

/* What could not be made is not destroyed, and what was made is, once. */
static int
custom(void)
{
	struct vmmem_region *region = no_region;
	int rc;

	destroyed = 0;
	rc = vmmem_region_new_custom(GPA, LEN, &host_ops, memory, &region);
	if (rc == 0) {
		vmmem_region_unref(region);
		REQUIRE(destroyed == 1);
	} else {
		REQUIRE(destroyed == 0);
		return failed_region(rc, region);
	}
	region = no_region;
	rc = vmmem_region_new_custom(GPA, LEN, &callback_ops, NULL, &region);
	if (rc == 0) {
		vmmem_region_unref(region);
		REQUIRE(destroyed == 2);
	} else {
		REQUIRE(destroyed == 1);
		return failed_region(rc, region);
	}
	return 0;
}

/* Build twice: what failed once must leave the builder fit for use. */
static int
build(struct vmmem_region_builder *builder)
{
	struct vmmem_region *region = no_region;
	int rc = vmmem_region_builder_build(builder, &region);
	int again;

	if (rc == 0) {
		vmmem_region_unref(region);
		return 0;
	}
	failed_region(rc, region);
	again = vmmem_region_builder_build(builder, &region);
	REQUIRE(again == 0 || again == rc);
	if (again == 0)
		vmmem_region_unref(region);
	return rc;
}

/* Every setting; which of them goes with which kind is the caller's affair. */
static struct vmmem_region_builder *
new_builder(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();

	if (builder == NULL)
		return NULL;
	vmmem_region_builder_set_range(builder, GPA, LEN);
	vmmem_region_builder_set_protection(builder,
					    VMMEM_PROT_READ | VMMEM_PROT_WRITE |
						    VMMEM_PROT_EXEC);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	vmmem_region_builder_set_huge_page_size(builder, 0);
	vmmem_region_builder_set_cookie(builder, memory, memory, NULL);
	vmmem_region_builder_set_name(builder, "a name of some length");
	return builder;
}

static int
built_anonymous(void)
{
	struct vmmem_region_builder *builder = new_builder();
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_anonymous(builder);
	rc = build(builder);
	vmmem_region_builder_free(builder);
	return rc;
}

static int
built_memfd(void)
{
	struct vmmem_region_builder *builder = new_builder();
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_memfd(builder);
	rc = build(builder);
	vmmem_region_builder_free(builder);
	return rc;
}

static int
built_file(void)
{
	struct vmmem_region_builder *builder = new_builder();
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_file(builder, fault_file(), 0,
				      VMMEM_FILE_PRIVATE);
	rc = build(builder);
	vmmem_region_builder_free(builder);
	return rc;
}

/* The owner is told of each region that was built, and of no other. */
static int
built_external(void)
{
	struct vmmem_region_builder *builder = new_builder();
	struct vmmem_region *region = no_region;
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	destroyed = 0;
	vmmem_region_builder_set_external(builder, memory, destroy, NULL);
	rc = vmmem_region_builder_build(builder, &region);
	vmmem_region_builder_free(builder);
	REQUIRE(destroyed == 0);
	if (rc != 0)
		return failed_region(rc, region);
	vmmem_region_unref(region);
	REQUIRE(destroyed == 1);
	return 0;
}

/* The builder holds the target, and lets go of it for another backing. */
static int
built_alias(void)
{
	struct vmmem_region_builder *builder = new_builder();
	struct vmmem_region *target = no_region;
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	rc = vmmem_region_new_anonymous(GPA, LEN, &target);
	if (rc != 0) {
		vmmem_region_builder_free(builder);
		return failed_region(rc, target);
	}
	vmmem_region_builder_set_alias(builder, target, 0);
	vmmem_region_unref(target);
	rc = build(builder);
	if (rc == 0) {
		vmmem_region_builder_set_memfd(builder);
		rc = build(builder);
	}
	vmmem_region_builder_free(builder);
	return rc;
}

static int
built_custom(void)
{
	struct vmmem_region_builder *builder = new_builder();
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_custom(builder, &callback_ops, NULL);
	rc = build(builder);
	vmmem_region_builder_free(builder);
	return rc;
}

/* A log that others have, too, is as it was where building fails. */
static int
built_logging(void)
{
	struct vmmem_region_builder *builder = new_builder();
	struct vmmem_bitmap *bitmap = NULL;
	int rc = -ENOMEM;

	if (builder != NULL)
		rc = vmmem_bitmap_new(LEN, 0, 4096, NULL, &bitmap);
	vmmem_region_builder_set_bitmap(builder, bitmap, 0);
	vmmem_region_builder_set_logging(builder, 1);
	if (rc == 0) {
		rc = build(builder);
		/* Of which one built, now or when it was done again. */
		REQUIRE(vmmem_bitmap_stop_logging(bitmap) == 0);
		REQUIRE(vmmem_bitmap_stop_logging(bitmap) == VMMEM_EARGUMENT);
	}
	/* The library does without a barrier, or asks for it again. */
	if (rc == 0 && inject_fired() != NULL &&
	    strcmp(inject_fired(), "syscall") == 0)
		rc = inject_code();
	vmmem_bitmap_unref(bitmap);
	vmmem_region_builder_free(builder);
	return rc;
}

static int
built_like(void)
{
	struct vmmem_region_builder *builder = new_builder();
	struct vmmem_region *region = no_region;
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	rc = vmmem_region_new_file(GPA, LEN, fault_file(), 0, &region);
	if (rc == 0) {
		vmmem_region_builder_set_like(builder, region);
		vmmem_region_unref(region);
		rc = build(builder);
	} else {
		failed_region(rc, region);
	}
	vmmem_region_builder_free(builder);
	return rc;
}

static const scenario_fn scenarios[] = {
	anonymous,
	memfd,
	file,
	external,
	alias,
	custom,
	built_anonymous,
	built_memfd,
	built_file,
	built_external,
	built_alias,
	built_custom,
	built_logging,
	built_like,
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

START_TEST(test_scenario)
{
	fault_sweep(scenarios[_i], 0);
}
END_TEST

/* Huge pages may be there or not; no failure on the way may leave anything. */
#define HUGE_SIZE UINT64_C(0x200000)

static int
build_huge(bool shared)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = no_region;
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_range(builder, 0, HUGE_SIZE);
	vmmem_region_builder_set_huge_page_size(builder, HUGE_SIZE);
	if (shared)
		vmmem_region_builder_set_memfd(builder);
	rc = vmmem_region_builder_build(builder, &region);
	vmmem_region_builder_free(builder);
	if (rc != 0)
		return failed_region(rc, region);
	vmmem_region_unref(region);
	return 0;
}

static int
huge_anonymous(void)
{
	return build_huge(false);
}

static int
huge_memfd(void)
{
	return build_huge(true);
}

START_TEST(test_huge)
{
	fault_sweep(huge_anonymous, huge_anonymous());
	fault_sweep(huge_memfd, huge_memfd());
}
END_TEST

/* How the system says that it has no such pages; only then is it told so. */
START_TEST(test_no_huge_pages)
{
	ck_assert_int_eq(fault_call(huge_anonymous, "mmap", EINVAL),
			 VMMEM_EHUGEPAGE);
	ck_assert_int_eq(fault_call(huge_anonymous, "mmap", ENOMEM), -ENOMEM);
	ck_assert_int_eq(fault_call(anonymous, "mmap", EINVAL), -EINVAL);
	ck_assert_int_eq(fault_call(huge_memfd, "memfd_create", ENODEV),
			 VMMEM_EHUGEPAGE);
	ck_assert_int_eq(fault_call(huge_memfd, "memfd_create", EMFILE),
			 -EMFILE);
	ck_assert_int_eq(fault_call(memfd, "memfd_create", ENODEV), -ENODEV);
	inject_memfd_flags = MFD_HUGETLB;
	ck_assert_int_eq(huge_memfd(), VMMEM_EHUGEPAGE);
	inject_memfd_flags = MFD_CLOEXEC;
	ck_assert_int_eq(memfd(), -EINVAL);
	inject_memfd_flags = 0;
}
END_TEST

/* A system that has no memfds which cannot be executed has others. */
START_TEST(test_no_noexec_seal)
{
	ck_assert_int_eq(fault_call(memfd, "memfd_create", EINVAL), 0);
	/* One that was set up to have no others says so. */
	ck_assert_int_eq(fault_call(memfd, "memfd_create", EACCES), -EACCES);
	inject_memfd_flags = 8; /* MFD_NOEXEC_SEAL, which headers may lack */
	ck_assert_int_eq(memfd(), 0);
	inject_memfd_flags = 0;
}
END_TEST

/* Whether advice brings locked pages away; an emulator has another answer. */
static int
can_drop_locked(void)
{
	size_t page = (size_t)fault_page();
	unsigned char resident = 1;
	unsigned char *at = mmap(NULL, page, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(at, MAP_FAILED);
	*at = 1;
	(void)mlock(at, page);
	/* MADV_DONTNEED_LOCKED, which headers may lack, or the plain one. */
	if (madvise(at, page, 24) != 0)
		(void)madvise(at, page, MADV_DONTNEED);
	ck_assert_int_eq(mincore(at, page, &resident), 0);
	ck_assert_int_eq(munmap(at, page), 0);
	return (resident & 1) == 0;
}

/* Where nothing can be unmapped, at least the pages go. */
START_TEST(test_pages_go)
{
	struct vmmem_region *region = NULL;
	unsigned char resident = 0;
	uint64_t len;
	void *host;

	if (_i == 1 && !can_drop_locked())
		return;
	ck_assert_int_eq(vmmem_region_new_anonymous(0, fault_page(), &region),
			 0);
	ck_assert_int_eq(vmmem_region_host_address(region, 0, &host, &len), 0);
	memset(host, 1, len);
	/* Locked, if the process may. */
	if (_i == 1)
		(void)mlock(host, len);
	ck_assert_int_eq(mincore(host, len, &resident), 0);
	ck_assert_int_eq(resident & 1, 1);
	inject_start(1, ENOMEM, false);
	vmmem_region_unref(region);
	inject_stop();
	ck_assert_str_eq(inject_fired(), "munmap");
	ck_assert_int_eq(mincore(host, len, &resident), 0);
	ck_assert_int_eq(resident & 1, 0);
	ck_assert_int_eq(munmap(host, len), 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, regions");
	TCase *tcase = tcase_create("regions");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, test_scenario, 0, SCENARIOS);
	tcase_add_test(tcase, test_huge);
	tcase_add_test(tcase, test_no_huge_pages);
	tcase_add_test(tcase, test_no_noexec_seal);
	tcase_add_loop_test(tcase, test_pages_go, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
