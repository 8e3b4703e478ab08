/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Another region like one that there is, of each kind. */
#include <vmmem/bitmap.h>

#include "backings.h"
#include "suite.h"

#define PAGE page_size()

const char *
skip_reason(void)
{
	return memory_skip_reason();
}

static struct vmmem_region *
like(struct vmmem_region *region)
{
	struct vmmem_region_builder *other = vmmem_region_builder_new();
	struct vmmem_region *made = NULL;

	vmmem_region_builder_set_like(other, region);
	assert_ok(vmmem_region_builder_build(other, &made));
	vmmem_region_builder_free(other);
	ck_assert_ptr_ne(made, region);
	return made;
}

static void
same_settings(struct vmmem_region *made, struct vmmem_region *region)
{
	struct vmmem_policy_report one = granted(made);
	struct vmmem_policy_report two = granted(region);

	ck_assert_uint_eq(vmmem_region_kind(made), vmmem_region_kind(region));
	ck_assert_uint_eq(vmmem_region_start(made),
			  vmmem_region_start(region));
	ck_assert_uint_eq(vmmem_region_last(made), vmmem_region_last(region));
	ck_assert_uint_eq(vmmem_region_protection(made),
			  vmmem_region_protection(region));
	ck_assert_uint_eq(vmmem_region_role(made), vmmem_region_role(region));
	ck_assert_uint_eq(vmmem_region_guest_node(made),
			  vmmem_region_guest_node(region));
	ck_assert_uint_eq(vmmem_region_file_flags(made),
			  vmmem_region_file_flags(region));
	ck_assert_str_eq(vmmem_region_name(made), vmmem_region_name(region));
	ck_assert_uint_eq(vmmem_bitmap_page_size(vmmem_region_bitmap(made)),
			  vmmem_bitmap_page_size(vmmem_region_bitmap(region)));
	/* What the system made of addresses is not asked for. */
	one.alignment = two.alignment;
	ck_assert_mem_eq(&one, &two, sizeof(one));
}

static int
progress(void *opaque, uint64_t done, uint64_t total)
{
	ck_assert_uint_le(done, total);
	++*(unsigned int *)opaque;
	return 0;
}

static void
set_all(unsigned int *calls)
{
	vmmem_region_builder_set_role(builder, VMMEM_ROLE_PMEM);
	vmmem_region_builder_set_guest_node(builder, 3);
	vmmem_region_builder_set_tracking(builder, 4096);
	vmmem_region_builder_set_logging(builder, 1);
	vmmem_region_builder_set_name(builder, "a name");
	vmmem_region_builder_set_cookie(builder, calls, calls, NULL);
	vmmem_policy_set_guard(policy, PAGE);
	vmmem_policy_set_thp(policy, VMMEM_THP_NO);
	vmmem_policy_set_dont_dump(policy, 1);
	vmmem_policy_set_prefault(policy, 1);
	vmmem_policy_set_progress(policy, progress, calls);
}

START_TEST(memory)
{
	const enum backing backing = (enum backing)_i;
	struct vmmem_region *region, *made;
	unsigned int calls = 0, before;

	set_all(&calls);
	/* With prefaulting, locking takes mlock2(2), which valgrind lacks. */
	if ((backing == ANONYMOUS_LOCKED || backing == MEMFD_LOCKED) &&
	    !can_lock_on_fault())
		return;
	region = region_on(backing, GPA, 4 * PAGE);
	if (region == NULL)
		return;
	before = calls;
	bytes_of(region)[5] = 77;
	made = like(region);
	same_settings(made, region);
	ck_assert_uint_eq(calls, before);
	ck_assert_ptr_null(vmmem_region_cookie(made, &calls));
	/* Its own log, and off. */
	ck_assert_ptr_ne(vmmem_region_bitmap(made),
			 vmmem_region_bitmap(region));
	assert_code(vmmem_bitmap_stop_logging(vmmem_region_bitmap(made)),
		    VMMEM_EARGUMENT);
	/* The same bytes where a file has them. */
	if (backing == SHARED_MEMFD || backing == SHARED_DISK)
		ck_assert_uint_eq(bytes_of(made)[5], 77);
	else if (backing == PRIVATE_MEMFD || backing == PRIVATE_DISK)
		ck_assert_uint_eq(bytes_of(made)[5], BELOW);
	else
		ck_assert_uint_eq(bytes_of(made)[5], 0);
	vmmem_region_unref(made);
	forget(region);
}
END_TEST

/* What cannot be had again must be set again. */
START_TEST(others)
{
	struct vmmem_region_builder *other = vmmem_region_builder_new();
	struct vmmem_region *region = region_on((enum backing)_i, GPA, PAGE);
	struct vmmem_region *made = NO_REGION;

	vmmem_region_builder_set_like(other, region);
	assert_code(vmmem_region_builder_build(other, &made),
		    VMMEM_EARGUMENT);
	ck_assert_ptr_eq(made, NO_REGION);
	vmmem_region_builder_set_memfd(other);
	assert_ok(vmmem_region_builder_build(other, &made));
	ck_assert_uint_eq(vmmem_region_len(made), PAGE);
	vmmem_region_unref(made);
	vmmem_region_builder_free(other);
	forget(region);
}
END_TEST

/* A view: of what its target is, tracked there or by itself. */
START_TEST(aliases)
{
	struct vmmem_region *target, *first, *alias = NULL, *made;

	if (_i == 1)
		vmmem_region_builder_set_tracking(builder, 4096);
	target = region_on(MEMFD, GPA, 4 * PAGE);
	vmmem_region_builder_set_tracking(builder, 0);
	assert_ok(vmmem_region_new_alias(0, 2 * PAGE, target, PAGE, &first));
	vmmem_region_builder_set_policy(builder, NULL);
	vmmem_region_builder_set_range(builder, 16, PAGE);
	vmmem_region_builder_set_alias(builder, first, 16);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	vmmem_region_builder_set_role(builder, VMMEM_ROLE_ROM);
	if (_i == 0)
		vmmem_region_builder_set_tracking(builder, 128);
	assert_ok(vmmem_region_builder_build(builder, &alias));
	made = like(alias);
	same_settings(made, alias);
	ck_assert_ptr_eq(vmmem_region_alias_target(made), target);
	ck_assert_uint_eq(vmmem_region_alias_offset(made), PAGE + 16);
	ck_assert_ptr_eq(bytes_of(made), bytes_of(alias));
	ck_assert_int_eq(vmmem_region_bitmap(made) ==
				 vmmem_region_bitmap(alias),
			 _i == 1);
	vmmem_region_unref(made);
	vmmem_region_unref(alias);
	vmmem_region_unref(first);
	vmmem_region_unref(target);
}
END_TEST

/* The builder keeps a file, and lets it go when something else is set. */
START_TEST(descriptors)
{
	struct vmmem_region_builder *other = vmmem_region_builder_new();
	struct vmmem_region *region, *made = NULL;
	const size_t files = open_files();

	region = region_on(SHARED_MEMFD, GPA, 2 * PAGE);
	vmmem_region_builder_set_like(other, region);
	vmmem_region_unref(region);
	ck_assert_uint_eq(open_files(), files + 1);
	vmmem_region_builder_set_range(other, 0, PAGE);
	assert_ok(vmmem_region_builder_build(other, &made));
	ck_assert_uint_eq(open_files(), files + 1);
	ck_assert(all_are(expect_host(made), BELOW, PAGE));
	/* Also of itself, and of what is the builder's alone. */
	vmmem_region_builder_set_like(other, made);
	vmmem_region_unref(made);
	vmmem_region_builder_set_like(other, NULL);
	vmmem_region_builder_set_like(NULL, region);
	vmmem_region_builder_set_logging(NULL, 1);
	vmmem_region_builder_set_anonymous(other);
	ck_assert_uint_eq(open_files(), files);
	region = region_on(SHARED_MEMFD, GPA, 2 * PAGE);
	vmmem_region_builder_set_like(other, region);
	vmmem_region_unref(region);
	vmmem_region_builder_free(other);
	ck_assert_uint_eq(open_files(), files);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("region_builder_like");
	TCase *tcase = tcase_create("region_builder_like");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, memory, 0, EXTERNAL_PRIVATE);
	tcase_add_loop_test(tcase, others, EXTERNAL_PRIVATE, BACKINGS);
	tcase_add_loop_test(tcase, aliases, 0, 2);
	tcase_add_test(tcase, descriptors);
	suite_add_tcase(suite, tcase);
	return suite;
}
