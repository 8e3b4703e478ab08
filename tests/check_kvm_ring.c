/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The dirty rings of the real KVM. */
#include "logged_vm.h"

#include <vmmem/kvm.h>

const char *
skip_reason(void)
{
	const char *reason = vm_missing();

	if (!VM_HAS_GUEST)
		return "no guest for this processor";
	if (reason == NULL && !vm_logs(VMMEM_KVM_LOG_RING))
		reason = "KVM has no dirty rings";
	return reason;
}

/* Rings that are full many times over, and slots of the caller's own. */
static unsigned int others;

static void
count_other(void *opaque, uint32_t slot, uint64_t page)
{
	ck_assert_ptr_eq(opaque, &others);
	ck_assert_uint_eq(slot, 7);
	ck_assert_uint_eq(page, 2);
	others++;
}

START_TEST(rings)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .first_slot = 8,
					     .log = VMMEM_KVM_LOG_RING,
					     .ring_entries = 1024,
					     .other_slot = count_other,
					     .opaque = &others };
	struct vmmem_region *region, *own;
	struct kvm_userspace_memory_region slot = {
		.slot = 7,
		.flags = KVM_MEM_LOG_DIRTY_PAGES,
		.guest_phys_addr = ALIAS,
		.memory_size = LEN,
	};
	unsigned int round;
	uint64_t page;

	begin_with(&options);
	assert_code(vmmem_kvm_add_vcpu(kvm, vm.vcpu), VMMEM_EEXISTS);
	region = tracked(GPA, PAGE);
	own = region_of(ALIAS, LEN);
	insert(region);
	slot.userspace_addr = (uintptr_t)expect_host(own);
	ck_assert_int_eq(ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &slot), 0);
	assert_ok(vmmem_kvm_log_start(kvm, NULL));
	for (round = 0; round < 20; round++) {
		for (page = 0; page < PAGES; page++)
			write_page(page);
		assert_ok(vmmem_kvm_log_collect(kvm, NULL));
		ck_assert_uint_eq(
			vmmem_bitmap_count(vmmem_region_bitmap(region)),
			PAGES);
		assert_ok(vmmem_bitmap_clear(vmmem_region_bitmap(region), 0,
					     LEN));
	}
	ck_assert_uint_eq(vm_write(&vm, ALIAS + 2 * PAGE, 1), KVM_EXIT_HLT);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	ck_assert_uint_eq(others, 1);
	write_page(4);
	assert_ok(vmmem_kvm_remove_vcpu(kvm, vm.vcpu));
	EXPECT(region, 4);
	assert_code(vmmem_kvm_remove_vcpu(kvm, vm.vcpu), VMMEM_EARGUMENT);
	slot.memory_size = 0;
	ck_assert_int_eq(ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &slot), 0);
	vmmem_region_unref(region);
	vmmem_region_unref(own);
}
END_TEST

/* The guest is stopped until somebody collects. */
START_TEST(ring_that_is_full)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .log = VMMEM_KVM_LOG_RING,
					     .ring_entries = 256 };
	struct vmmem_region *region;
	uint32_t reason = KVM_EXIT_HLT;
	uint64_t page, full = 0;

	begin_with(&options);
	region = tracked(GPA, PAGE);
	insert(region);
	assert_ok(vmmem_kvm_log_start(kvm, NULL));
	for (page = 0; page < PAGES; page++) {
		reason = vm_write(&vm, GPA + page * PAGE, 1);
		if (reason != KVM_EXIT_DIRTY_RING_FULL)
			continue;
		full++;
		assert_ok(vmmem_kvm_log_collect(kvm, NULL));
		write_page(page);
	}
	ck_assert_uint_gt(full, 0);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(region)),
			  PAGES);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(more_entries_than_there_can_be)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .log = VMMEM_KVM_LOG_RING,
					     .ring_entries = 1U << 31 };

	assert_code(vmmem_kvm_new(space, vm.fd, &options, &kvm),
		    VMMEM_ENOSUPPORT);
	ck_assert_ptr_null(kvm);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("kvm's dirty rings");
	TCase *tcase = tcase_create("rings");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, rings);
	tcase_add_test(tcase, ring_that_is_full);
	tcase_add_test(tcase, more_entries_than_there_can_be);
	suite_add_tcase(suite, tcase);
	return suite;
}
