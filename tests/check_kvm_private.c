/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Regions with a guest_memfd on the real KVM.  That it hears of conversions,
 * fault/check_fault_kvm_private.c tests, as few machines know of private pages.
 */
#include "guest.h"
#include "memory.h"
#include "suite.h"
#include "vm.h"

#include <vmmem/kvm.h>

#define LEN (2 * MIB)
#define CAP_MEMORY_ATTRIBUTES 233

static struct vm vm;

const char *
skip_reason(void)
{
	return vm_guest_memfd_missing();
}

/* The slot has both sides, and only the shared one is ever touched. */
START_TEST(converts)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;
	struct vmmem_collection *map;
	struct vmmem_space *space;
	struct vmmem_kvm *kvm = NULL;
	struct vmmem_slot slot;
	uint8_t byte = 0xee;
	int fd, rc;

	vm_open(&vm);
	fd = vm_guest_memfd(vm.fd, LEN, 0);
	ck_assert_int_ge(fd, 0);
	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_guest_memfd(builder, fd, 0);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	close(fd);
	map = guest_of_one(region);
	assert_ok(vmmem_space_new(map, NULL, &space));
	rc = vmmem_kvm_new(space, vm.fd, NULL, &kvm);
	if (rc == -EINVAL || rc == VMMEM_ENOSUPPORT) {
		printf("skipped: this machine has no slots of a guest_memfd: "
		       "%s\n",
		       vmmem_strerror(rc));
	} else {
		assert_ok(rc);
		assert_ok(vmmem_kvm_slot_find(kvm, 0, &slot));
		ck_assert_uint_eq(slot.flags, VMMEM_SLOT_GUEST_MEMFD);
		if (vm_extension(&vm, CAP_MEMORY_ATTRIBUTES) <= 0)
			puts("skipped: this machine knows of no private "
			     "pages, and is told of none");
		assert_code(vmmem_collection_read_u8(map, 0, &byte),
			    VMMEM_EPRIVATE);
		ck_assert_uint_eq(byte, 0xee);
		assert_ok(vmmem_space_convert(space, 0, LEN / 2, 0, NULL));
		assert_ok(vmmem_collection_read_u8(map, 0, &byte));
		ck_assert_uint_eq(byte, 0);
		assert_ok(vmmem_space_convert(space, 0, LEN / 4, 1, NULL));
		assert_code(vmmem_collection_read_u8(map, 0, &byte),
			    VMMEM_EPRIVATE);
		vmmem_kvm_free(kvm);
	}
	vmmem_space_unref(space);
	vmmem_collection_unref(map);
	vm_close(&vm);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("kvm_private");
	TCase *tcase = tcase_create("private");

	tcase_add_test(tcase, converts);
	suite_add_tcase(suite, tcase);
	return suite;
}
