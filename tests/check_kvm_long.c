/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Regions that are longer than a slot of KVM can be. */
#include "logged_vm.h"

#include <vmmem/kvm.h>

#define MOST (7 * PAGE)
#define TIB (UINT64_C(1) << 40)

const char *
skip_reason(void)
{
	return VM_HAS_GUEST ? vm_missing() : "no guest for this processor";
}

/* What the guest writes in any of them is marked where the region has it. */
START_TEST(logged_where_it_is)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .log = (uint32_t)_i,
					     .max_slot_len = MOST };
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	const uint64_t offset = 13 * PAGE;
	struct vmmem_region *region = NULL;
	struct vmmem_bitmap *bitmap = NULL;
	uint64_t page;

	/* In a bitmap that others share. */
	assert_ok(vmmem_bitmap_new(offset + LEN, 0, PAGE, NULL, &bitmap));
	vmmem_region_builder_set_range(builder, GPA, LEN);
	vmmem_region_builder_set_bitmap(builder, bitmap, offset);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	begin_with(&options);
	insert(region);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), (PAGES + 6) / 7);
	assert_ok(vmmem_kvm_log_start(kvm, NULL));
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	assert_ok(vmmem_bitmap_clear(bitmap, 0, UINT64_MAX));
	for (page = 0; page < PAGES; page += 3)
		write_page(page);
	write_page(PAGES - 1);
	assert_ok(vmmem_kvm_log_collect(kvm, region));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), (PAGES + 2) / 3 + 1);
	for (page = 0; page < PAGES; page++)
		ck_assert_int_eq(vmmem_bitmap_test(bitmap,
						   offset + page * PAGE),
				 page % 3 == 0 || page == PAGES - 1);
	/* What was logged until the slots go is not lost. */
	assert_ok(vmmem_bitmap_clear(bitmap, 0, UINT64_MAX));
	write_page(20);
	write_page(22);
	assert_ok(vmmem_space_remove(space, GPA, LEN, NULL));
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 0);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, offset + 20 * PAGE), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, offset + 22 * PAGE), 1);
	if (_i != VMMEM_KVM_LOG_RING)
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 2);
	vmmem_region_unref(region);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* More than KVM has in one slot. */
START_TEST(eight_tebibytes)
{
	struct vmmem_region *region = NULL;
	struct vmmem_slot slot;
	int rc;

	begin(VMMEM_KVM_LOG_GET);
	rc = vmmem_region_new_anonymous(4 * TIB, 8 * TIB, &region);
	/*
	 * An emulator, a limit, or a sanitizer has not as many addresses;
	 * valgrind calls that EINVAL.
	 */
	if (rc == -ENOMEM || rc == -EINVAL)
		return;
	assert_ok(rc);
	rc = vmmem_space_insert(space, region);
	vmmem_region_unref(region);
	/* The machine may not have as many either. */
	if (rc == -EINVAL || rc == -ENOMEM)
		return;
	assert_ok(rc);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 2);
	assert_ok(vmmem_kvm_slot_at(kvm, 1, &slot));
	ck_assert_uint_eq(slot.gpa, 8 * TIB);
	ck_assert_uint_eq(slot.len, 4 * TIB);
}
END_TEST

START_TEST(refused)
{
	struct vmmem_kvm_options options = { .size = sizeof(options) };

	options.max_slot_len = PAGE + 1;
	assert_code(vmmem_kvm_new(space, vm.fd, &options, &kvm),
		    VMMEM_EARGUMENT);
	options.max_slot_len = (PAGE << 30) + PAGE;
	assert_code(vmmem_kvm_new(space, vm.fd, &options, &kvm),
		    VMMEM_EARGUMENT);
	options.max_slot_len = PAGE << 30;
	assert_ok(vmmem_kvm_new(space, vm.fd, &options, &kvm));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("kvm_long");
	TCase *tcase = tcase_create("long");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, logged_where_it_is, VMMEM_KVM_LOG_GET,
			    VMMEM_KVM_LOG_RING + 1);
	tcase_add_test(tcase, eight_tebibytes);
	tcase_add_test(tcase, refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
