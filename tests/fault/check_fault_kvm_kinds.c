/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* KVMs that are not like the one of this machine. */
#include "end_kvm.h"
#include "fake_kvm.h"
#include "fault.h"
#include "suite.h"

#include <vmmem/kvm.h>

#define LEN (4 * FAKE_PAGE)

const char *
skip_reason(void)
{
	return fake_kvm_missing();
}

static struct vmmem_space *space;
static struct vmmem_region *region;

static void
prepare(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_collection *map;

	REQUIRE(builder != NULL);
	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_tracking(builder, FAKE_PAGE);
	REQUIRE(vmmem_region_builder_build(builder, &region) == 0);
	vmmem_region_builder_free(builder);
	REQUIRE(vmmem_collection_new(&region, 1, &map) == 0);
	REQUIRE(vmmem_space_new(map, NULL, &space) == 0);
	vmmem_collection_unref(map);
	fake_kvm_open(false);
	inject_ioctl = fake_kvm_ioctl;
}

static void
clean_up(void)
{
	inject_ioctl = NULL;
	fake_kvm_close();
	vmmem_space_unref(space);
	vmmem_region_unref(region);
}

static int
with_guest_memfd(void *opaque, const struct vmmem_region *described,
		 struct vmmem_slot *slot)
{
	(void)opaque;
	(void)described;
	slot->flags |= VMMEM_SLOT_GUEST_MEMFD;
	slot->guest_memfd = 0;
	return 0;
}

/* A guest_memfd takes both the descriptor and the call that sets one. */
START_TEST(guest_memfd_by_halves)
{
	const struct vmmem_kvm_options options = {
		.size = sizeof(options),
		.describe = with_guest_memfd,
	};
	struct vmmem_kvm *kvm;

	prepare();
	fake.guest_memfd = _i & 1;
	fake.user_memory2 = _i >> 1;
	ck_assert_int_eq(vmmem_kvm_new(space, fake.fd, &options, &kvm),
			 _i == 3 ? 0 : VMMEM_ENOSUPPORT);
	if (_i == 3)
		end_kvm(kvm);
	clean_up();
}
END_TEST

#ifndef __s390x__
/* Wherever a processor's addresses end, a slot is read at the end of them. */
START_TEST(slots_are_parked_at_the_top)
{
	struct vmmem_kvm *kvm;

	prepare();
	fake.address_bits = (unsigned int)_i;
	REQUIRE(vmmem_kvm_new(space, fake.fd, NULL, &kvm) == 0);
	REQUIRE(vmmem_kvm_log_start(kvm, NULL) == 0);
	REQUIRE(fake_kvm_write(0, FAKE_PAGE));
	REQUIRE(vmmem_space_remove(space, 0, LEN, NULL) == 0);
	ck_assert_uint_eq(fake.last_gpa, (UINT64_C(1) << _i) - LEN);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(region)), 1);
	end_kvm(kvm);
	clean_up();
}
END_TEST
#endif

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, kinds of kvm");
	TCase *tcase = tcase_create("kinds");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, guest_memfd_by_halves, 0, 4);
#ifndef __s390x__ /* where KVM moves no slots, so nobody asks it to */
	tcase_add_loop_test(tcase, slots_are_parked_at_the_top, 36, 49);
#endif
	suite_add_tcase(suite, tcase);
	return suite;
}
