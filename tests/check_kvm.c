/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Slots on the real KVM.  What a guest finds at an address is the proof: memory
 * or, as an MMIO exit, none.
 */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "end_kvm.h"
#include "guest.h"
#include "suite.h"
#include "vm.h"

#include <vmmem/kvm.h>

#define PAGE UINT64_C(0x1000)
#define LEN (16 * PAGE)

/* Linux 6.8 and later. */
#define CREATE_GUEST_MEMFD _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0xd4, 64)
#define CAP_GUEST_MEMFD 234

const char *
skip_reason(void)
{
	return VM_HAS_GUEST ? vm_missing() : "no guest for this processor";
}

static struct vm vm;
static struct vmmem_space *space;
static struct vmmem_kvm *kvm;

static void
setup(void)
{
	struct vmmem_collection *empty;

	vm_open(&vm);
	vm_add_vcpu(&vm);
	assert_ok(vmmem_collection_new_empty(&empty));
	assert_ok(vmmem_space_new(empty, NULL, &space));
	vmmem_collection_unref(empty);
	kvm = NULL;
}

static void
setup_kvm(void)
{
	setup();
	assert_ok(vmmem_kvm_new(space, vm.fd, NULL, &kvm));
}

static void
teardown(void)
{
	end_kvm(kvm);
	vmmem_space_unref(space);
	vm_close(&vm);
}

static void
insert(struct vmmem_region *region)
{
	assert_ok(vmmem_space_insert(space, region));
	vmmem_region_unref(region);
}

static void
expect_memory(uint64_t gpa, uint8_t value)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	uint8_t found;

	ck_assert_uint_eq(vm_write(&vm, gpa, value), KVM_EXIT_HLT);
	assert_ok(vmmem_collection_read_u8(map, gpa, &found));
	ck_assert_uint_eq(found, value);
	vmmem_collection_unref(map);
}

static void
expect_none(uint64_t gpa)
{
	ck_assert_uint_eq(vm_write(&vm, gpa, 0x5a), KVM_EXIT_MMIO);
}

static struct vmmem_slot
slot_at(uint64_t gpa)
{
	struct vmmem_slot slot;

	assert_ok(vmmem_kvm_slot_find(kvm, gpa, &slot));
	return slot;
}

START_TEST(guest_sees_what_is_inserted)
{
	expect_none(0);
	insert(region_of(0, LEN));
	insert(region_of(1 << 20, LEN));
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 2);
	expect_memory(0, 1);
	expect_memory(LEN - 1, 2);
	expect_none(LEN);
	expect_memory((1 << 20) + PAGE, 3);

	assert_ok(vmmem_space_remove(space, 0, LEN, NULL));
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 1);
	expect_none(0);
	expect_memory(1 << 20, 4);
}
END_TEST

START_TEST(map_that_is_there_already)
{
	insert(region_of(0, LEN));
	insert(region_of(LEN, LEN));
	assert_ok(vmmem_kvm_new(space, vm.fd, NULL, &kvm));
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 2);
	expect_memory(LEN, 1);
}
END_TEST

START_TEST(freeing_takes_the_slots_away)
{
	insert(region_of(0, LEN));
	expect_memory(0, 1);
	end_kvm(kvm);
	expect_none(0);
	/* The numbers are free again too. */
	assert_ok(vmmem_kvm_new(space, vm.fd, NULL, &kvm));
	expect_memory(0, 2);
}
END_TEST

START_TEST(one_update_with_several_changes)
{
	struct vmmem_region *region = region_of(LEN, LEN);
	struct vmmem_update *update;

	insert(region_of(0, LEN));
	assert_ok(vmmem_update_new(space, VMMEM_FOREVER, &update));
	assert_ok(vmmem_update_remove(update, 0, LEN, NULL));
	assert_ok(vmmem_update_insert(update, region));
	expect_memory(0, 1);
	expect_none(LEN);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	vmmem_region_unref(region);
	expect_none(0);
	expect_memory(LEN, 2);
	ck_assert_uint_eq(slot_at(LEN).number, 0);
}
END_TEST

START_TEST(read_only_region)
{
	struct vmmem_region *ram = region_of(0, LEN);
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *rom;
	uint8_t *host;

	vmmem_region_builder_set_range(builder, LEN, LEN);
	vmmem_region_builder_set_alias(builder, ram, 0);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	assert_ok(vmmem_region_builder_build(builder, &rom));
	vmmem_region_builder_free(builder);
	host = expect_host(ram);
	insert(ram);
	insert(rom);

	expect_memory(0, 7);
	expect_none(LEN);
	ck_assert_uint_eq(host[0], 7);
	ck_assert_uint_eq(slot_at(LEN).flags, VMMEM_SLOT_READ_ONLY);
}
END_TEST

static int
read_zeros(void *opaque, uint64_t offset, void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	memset(buf, 0, len);
	return 0;
}

START_TEST(region_without_a_host_address_stays_an_exit)
{
	struct vmmem_region_ops ops = { .size = sizeof(ops),
					.read = read_zeros };
	struct vmmem_region *region;

	/* Nor need it consist of pages. */
	assert_ok(vmmem_region_new_custom(0x123, 0x45, &ops, NULL, &region));
	insert(region);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 0);
	expect_none(0x123);
}
END_TEST

START_TEST(region_that_is_not_of_pages_is_refused)
{
	struct vmmem_region *odd;

	insert(region_of(0, LEN));
	odd = region_of(LEN + 0x10, PAGE);
	assert_code(vmmem_space_insert(space, odd), VMMEM_ESLOTALIGN);
	vmmem_region_unref(odd);
	odd = region_of(LEN, PAGE + 1);
	assert_code(vmmem_space_insert(space, odd), VMMEM_ESLOTALIGN);
	vmmem_region_unref(odd);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 1);
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 0);
	expect_memory(0, 1);
}
END_TEST

START_TEST(slot_of_the_callers_own_is_in_the_way)
{
	struct vmmem_region *region = region_of(CODE_GPA, PAGE);
	struct vmmem_region *other = region_of(LEN, LEN);
	struct vmmem_update *update;

	insert(region_of(0, LEN));
	assert_ok(vmmem_update_new(space, VMMEM_FOREVER, &update));
	assert_ok(vmmem_update_remove(update, 0, LEN, NULL));
	assert_ok(vmmem_update_insert(update, other));
	assert_ok(vmmem_update_insert(update, region));
	assert_code(vmmem_update_commit(update), -EEXIST);
	vmmem_update_free(update);
	vmmem_region_unref(region);
	vmmem_region_unref(other);

	/* All of it was taken back. */
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 0);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 1);
	expect_memory(0, 1);
	expect_none(LEN);
}
END_TEST

START_TEST(as_many_slots_as_there_are)
{
	uint32_t all = (uint32_t)vm_extension(&vm, KVM_CAP_NR_MEMSLOTS);
	/* One of those is the code's, but nobody has told the library. */
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .first_slot = all - 4 };
	struct vmmem_region *region = region_of(3 * PAGE, PAGE);
	uint64_t i;

	assert_ok(vmmem_kvm_new(space, vm.fd, &options, &kvm));
	for (i = 0; i < 3; i++)
		insert(region_of(i * PAGE, PAGE));
	ck_assert_uint_eq(slot_at(2 * PAGE).number, all - 2);
	/* As KVM has it: it will not let the code's slot be another. */
	assert_code(vmmem_space_insert(space, region), -EINVAL);
	end_kvm(kvm);

	options.max_slots = 3;
	assert_ok(vmmem_kvm_new(space, vm.fd, &options, &kvm));
	assert_code(vmmem_space_insert(space, region), VMMEM_ENOSLOT);
	assert_ok(vmmem_space_remove(space, PAGE, PAGE, NULL));
	insert(region);
	ck_assert_uint_eq(slot_at(3 * PAGE).number, all - 3);
	expect_none(PAGE);
	expect_memory(3 * PAGE, 1);
	end_kvm(kvm);

	options.first_slot = all;
	assert_code(vmmem_kvm_new(space, vm.fd, &options, &kvm),
		    VMMEM_EARGUMENT);
	kvm = NULL;
}
END_TEST

/* All of KVM's own slots, with one page behind them. */
START_TEST(every_slot_that_kvm_has)
{
	size_t all = (size_t)vm_extension(&vm, KVM_CAP_NR_MEMSLOTS) - 1, i;
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .max_slots = (uint32_t)all };
	struct vmmem_region *page = region_of(0, PAGE);
	struct vmmem_region **regions = calloc(all + 1, sizeof(*regions));
	struct vmmem_collection *map;

	ck_assert_ptr_nonnull(regions);
	for (i = 0; i <= all; i++)
		assert_ok(vmmem_region_new_alias(i * PAGE, PAGE, page, 0,
						 &regions[i]));
	vmmem_region_unref(page);
	assert_ok(vmmem_kvm_new(space, vm.fd, &options, &kvm));
	assert_ok(vmmem_collection_new(regions, all + 1, &map));
	assert_code(vmmem_space_replace(space, map), VMMEM_ENOSLOT);
	vmmem_collection_unref(map);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 0);

	/* A few thousand are enough for the time it takes. */
	all = all < 4096 ? all : 4096;
	assert_ok(vmmem_collection_new(regions, all, &map));
	assert_ok(vmmem_space_replace(space, map));
	vmmem_collection_unref(map);
	for (i = 0; i <= (size_t)options.max_slots; i++)
		vmmem_region_unref(regions[i]);
	free(regions);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), all);
	expect_memory((all - 1) * PAGE, 9);
	expect_none(all * PAGE);
}
END_TEST

/* The same memory elsewhere, and as another region. */
START_TEST(memory_that_moves)
{
	struct vmmem_region *memory = region_of(1 << 30, LEN);
	struct vmmem_region *old, *new;
	struct vmmem_update *update;
	uint8_t *host = expect_host(memory);

	assert_ok(vmmem_region_new_alias(0, LEN, memory, 0, &old));
	assert_ok(vmmem_region_new_alias(4 * LEN, LEN, memory, 0, &new));
	vmmem_region_unref(memory);
	insert(old);
	expect_memory(0, 1);
	ck_assert_uint_eq(host[0], 1);
	assert_ok(vmmem_update_new(space, VMMEM_FOREVER, &update));
	assert_ok(vmmem_update_remove(update, 0, LEN, NULL));
	assert_ok(vmmem_update_insert(update, new));
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	expect_none(0);
	expect_memory(4 * LEN, 2);
	ck_assert_uint_eq(host[0], 2);
	ck_assert_ptr_eq(slot_at(4 * LEN).region, new);
	vmmem_region_unref(new);
}
END_TEST

/* shadow() maps RAM as a PC does that shadows its ROM: 13 segments of it. */
#define SEGMENT (4 * PAGE)
#define SEGMENTS 13
#define SHADOW UINT64_C(0xc0000)

static struct vmmem_region *
shadow(struct vmmem_region *ram, uint64_t gpa, uint64_t len, int read_only)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_region_builder_set_alias(builder, ram, gpa);
	if (read_only)
		vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

static void
flip(struct vmmem_region *ram, uint64_t gpa, int read_only)
{
	struct vmmem_region *region = shadow(ram, gpa, SEGMENT, read_only);
	struct vmmem_update *update;

	assert_ok(vmmem_update_new(space, VMMEM_FOREVER, &update));
	assert_ok(vmmem_update_remove(update, gpa, SEGMENT, NULL));
	assert_ok(vmmem_update_insert(update, region));
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	vmmem_region_unref(region);
}

/* The guest sees one RAM, in few slots, whatever its pieces were. */
START_TEST(segments_of_one_ram)
{
	const uint64_t end = SHADOW + SEGMENTS * SEGMENT;
	struct vmmem_region *ram = region_of(UINT64_C(1) << 32, 16 << 20);
	struct vmmem_region *regions[SEGMENTS + 2];
	struct vmmem_collection *map;
	uint64_t gpa;
	size_t i;

	regions[0] = shadow(ram, 0, SHADOW, 0);
	for (i = 0; i < SEGMENTS; i++)
		regions[i + 1] = shadow(ram, SHADOW + i * SEGMENT, SEGMENT, 0);
	regions[SEGMENTS + 1] = shadow(ram, end, (16 << 20) - end, 0);
	assert_ok(vmmem_collection_new(regions, SEGMENTS + 2, &map));
	for (i = 0; i < SEGMENTS + 2; i++)
		vmmem_region_unref(regions[i]);
	assert_ok(vmmem_space_replace(space, map));
	vmmem_collection_unref(map);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 1);
	for (gpa = SHADOW; gpa <= end; gpa += SEGMENT) {
		expect_memory(gpa - 1, 0x11);
		expect_memory(gpa, 0x22);
	}
	for (i = 0; i < SEGMENTS; i++) {
		flip(ram, SHADOW + i * SEGMENT, 1);
		expect_none(SHADOW + i * SEGMENT);
		expect_none(SHADOW + (i + 1) * SEGMENT - 1);
		expect_memory(SHADOW + (i + 1) * SEGMENT, 0x33);
	}
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 3);
	for (i = 0; i < SEGMENTS; i++) {
		flip(ram, SHADOW + i * SEGMENT, 0);
		expect_memory(SHADOW + i * SEGMENT, 0x44);
	}
	ck_assert_uint_le(vmmem_kvm_slot_count(kvm), 3);
	vmmem_region_unref(ram);
}
END_TEST

START_TEST(odd_regions_are_left_to_exits)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .flags = VMMEM_KVM_FLAG_SKIP_UNALIGNED |
						      VMMEM_KVM_FLAG_NO_MERGE };

	assert_ok(vmmem_kvm_new(space, vm.fd, &options, &kvm));
	insert(region_of(0, LEN));
	insert(region_of(LEN, PAGE / 4));
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 1);
	expect_memory(LEN - 1, 1);
	expect_none(LEN);
}
END_TEST

static int guest_memfd = -1;

static int
private_memory(void *opaque, const struct vmmem_region *region,
	       struct vmmem_slot *slot)
{
	(void)opaque;
	if (vmmem_region_start(region) == 0) {
		slot->flags |= VMMEM_SLOT_GUEST_MEMFD;
		slot->guest_memfd = guest_memfd;
		slot->guest_memfd_offset = PAGE;
	}
	return 0;
}

/* The slots, and what is said of regions, are not what an iommu shows. */
START_TEST(behind_an_iommu)
{
	struct vmmem_collection *empty, *translated;
	struct vmmem_region *region = region_of(LEN, LEN);
	struct vmmem_iotlb *iotlb;
	struct vmmem_iommu *iommu;

	assert_ok(vmmem_iotlb_new(NULL, &iotlb));
	assert_ok(vmmem_iommu_new(iotlb, NULL, &iommu));
	assert_ok(vmmem_collection_new_empty(&empty));
	assert_ok(vmmem_collection_new_translated(iommu, empty, &translated));
	assert_ok(vmmem_space_replace(space, translated));
	assert_ok(vmmem_kvm_exclude(kvm, region));
	assert_ok(vmmem_space_insert(space, region));
	expect_none(LEN);
	assert_ok(vmmem_space_remove(space, LEN, LEN, NULL));
	assert_code(vmmem_kvm_unset(kvm, region), VMMEM_ENOREGION);
	ck_assert_uint_eq(vmmem_iommu_misses(iommu), 0);
	vmmem_collection_unref(translated);
	vmmem_collection_unref(empty);
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(regions_that_are_excluded)
{
	struct vmmem_region *region = region_of(LEN, LEN);

	assert_ok(vmmem_kvm_exclude(kvm, region));
	insert(region_of(0, LEN));
	insert(vmmem_region_ref(region));
	expect_memory(0, 1);
	expect_none(LEN);
	/* At once, where it is there already. */
	assert_ok(vmmem_kvm_unset(kvm, region));
	expect_memory(LEN, 2);
	assert_code(vmmem_kvm_unset(kvm, region), VMMEM_ENOREGION);
	assert_ok(vmmem_kvm_exclude(kvm, region));
	expect_none(LEN);
	/* Removing forgets it. */
	assert_ok(vmmem_space_remove(space, LEN, LEN, NULL));
	insert(vmmem_region_ref(region));
	expect_memory(LEN, 3);
	/* A descriptor that is no guest_memfd: all is as it was before. */
	ck_assert_int_ne(vmmem_kvm_set_guest_memfd(kvm, region, vm.system, 0),
			 0);
	expect_memory(LEN, 4);
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 0);
	assert_code(vmmem_kvm_unset(kvm, region), VMMEM_ENOREGION);

	assert_code(vmmem_kvm_exclude(NULL, region), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_exclude(kvm, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_unset(NULL, region), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_unset(kvm, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_set_guest_memfd(NULL, region, 0, 0),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_set_guest_memfd(kvm, NULL, 0, 0),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_set_guest_memfd(kvm, region, -1, 0),
		    VMMEM_EARGUMENT);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(region_with_a_guest_memfd)
{
	struct vmmem_kvm_options options = { .size = sizeof(options) };
	struct vmmem_region *region = region_of(0, LEN);
	struct {
		uint64_t size, flags, reserved[6];
	} create = { .size = PAGE + LEN };

	/* By a callback, and without. */
	if (_i == 0)
		options.describe = private_memory;
	assert_ok(vmmem_kvm_new(space, vm.fd, &options, &kvm));
	guest_memfd = 0;
	if (vm_extension(&vm, CAP_GUEST_MEMFD) > 0)
		guest_memfd = ioctl(vm.fd, CREATE_GUEST_MEMFD, &create);
	ck_assert_int_ge(guest_memfd, 0);
	if (_i != 0)
		assert_ok(vmmem_kvm_set_guest_memfd(kvm, region, guest_memfd,
						    PAGE));
	if (guest_memfd == 0) {
		assert_code(vmmem_space_insert(space, region),
			    VMMEM_ENOSUPPORT);
		vmmem_region_unref(region);
		return;
	}
	assert_ok(vmmem_space_insert(space, region));
	ck_assert_uint_eq(slot_at(0).flags, VMMEM_SLOT_GUEST_MEMFD);
	ck_assert_uint_eq(slot_at(0).guest_memfd_offset, PAGE);
	/* KVM cannot log it. */
	assert_code(vmmem_kvm_log_start(kvm, region), VMMEM_ENOSUPPORT);
	vmmem_region_unref(region);
	assert_ok(vmmem_space_remove(space, 0, LEN, NULL));
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 0);
	expect_none(0);
	/* What is no guest_memfd is refused by KVM itself. */
	close(guest_memfd);
	guest_memfd = vm.system;
	region = region_of(0, LEN);
	if (_i != 0)
		assert_ok(vmmem_kvm_set_guest_memfd(kvm, region, guest_memfd,
						    0));
	assert_code(vmmem_space_insert(space, region), -EINVAL);
	vmmem_region_unref(region);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 0);
}
END_TEST

static int
refuse(void *opaque, struct vmmem_collection *old_map,
       struct vmmem_collection *new_map)
{
	(void)old_map;
	(void)new_map;
	return *(int *)opaque;
}

/* Told before or after the one that refuses, in the commit. */
START_TEST(another_listener_refuses)
{
	struct vmmem_listener_ops ops = { .size = sizeof(ops),
					  .commit = refuse };
	const struct vmmem_listener_options options = {
		.size = sizeof(options),
		.priority = _i,
	};
	struct vmmem_region *region = region_of(LEN, LEN);
	struct vmmem_listener *listener;
	int code = 0;

	insert(region_of(0, LEN));
	assert_ok(vmmem_listener_new(space, &ops, &code, &options,
				     &listener));
	code = -EXDEV;
	assert_code(vmmem_space_insert(space, region), -EXDEV);
	assert_code(vmmem_space_remove(space, 0, LEN, NULL), -EXDEV);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 1);
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 0);
	expect_memory(0, 1);
	expect_none(LEN);
	code = 0;
	assert_ok(vmmem_space_insert(space, region));
	expect_memory(LEN, 2);
	vmmem_region_unref(region);
	vmmem_listener_free(listener);
}
END_TEST

/* What a callback of a listener frees: a device that goes takes its KVM along. */
struct freer {
	struct vmmem_kvm *kvm;
	unsigned int destroyed;
};

static int
free_kvm(void *opaque, struct vmmem_collection *old_map,
	 struct vmmem_collection *new_map)
{
	struct freer *freer = opaque;

	(void)old_map;
	(void)new_map;
	freer->kvm = vmmem_kvm_free(freer->kvm);
	return 0;
}

static void
count_destroyed(void *opaque)
{
	struct freer *freer = opaque;

	freer->destroyed++;
}

/* By a listener that is told before the object, or after it. */
START_TEST(freed_in_a_callback_of_the_space)
{
	struct freer freer = { .kvm = NULL };
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .destroy = count_destroyed,
					     .opaque = &freer };
	struct vmmem_listener_ops ops = { .size = sizeof(ops),
					  .commit = free_kvm };
	struct vmmem_listener_options place = { .size = sizeof(place),
						.priority = _i };
	struct vmmem_listener *listener;
	const size_t files = open_files();

	insert(region_of(0, LEN));
	assert_ok(vmmem_listener_new(space, &ops, &freer, &place, &listener));
	assert_ok(vmmem_kvm_new(space, vm.fd, &options, &freer.kvm));
	expect_memory(0, 1);
	insert(region_of(LEN, LEN));
	ck_assert_uint_eq(freer.destroyed, 1);
	expect_none(0);
	expect_none(LEN);
	/* Nothing keeps the machine, and it is told nothing any more. */
	ck_assert_uint_eq(open_files(), files);
	insert(region_of(2 * LEN, LEN));
	expect_none(2 * LEN);
	vmmem_listener_free(listener);
	assert_ok(vmmem_kvm_new(space, vm.fd, NULL, &kvm));
	expect_memory(2 * LEN, 1);
}
END_TEST

START_TEST(stopped_and_then_freed)
{
	insert(region_of(0, LEN));
	ck_assert_ptr_eq(vmmem_kvm_space(kvm), space);
	assert_ok(vmmem_kvm_stop(kvm));
	expect_none(0);
	ck_assert_ptr_null(vmmem_kvm_space(kvm));
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 0);
	/* It does not follow any more, and stopping again does nothing. */
	insert(region_of(LEN, LEN));
	expect_none(LEN);
	assert_ok(vmmem_kvm_stop(kvm));
	assert_ok(vmmem_kvm_sync(kvm));
}
END_TEST

START_TEST(child_leaves_the_parents_machine_alone)
{
	int status;
	pid_t pid;

	insert(region_of(0, LEN));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct vmmem_slot slot;
		int ok;

		vmmem_space_after_fork_child(space);
		ok = vmmem_space_remove(space, 0, LEN, NULL) == 0 &&
		     vmmem_kvm_slot_find(kvm, 0, &slot) == VMMEM_EFORKED &&
		     vmmem_kvm_log_start(kvm, NULL) == VMMEM_EFORKED &&
		     vmmem_kvm_sync(kvm) == VMMEM_EFORKED &&
		     vmmem_kvm_stop(kvm) == 0 &&
		     vmmem_kvm_free(kvm) == NULL;
		vmmem_space_unref(space);
		_exit(ok ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	expect_memory(0, 1);
}
END_TEST

/* It says that it runs, under the lock, and stays there until it may go. */
static int
describe_for_long(void *opaque, const struct vmmem_region *region,
		  struct vmmem_slot *slot)
{
	/* Looked at once: the test may take it away meanwhile. */
	const int fd = *(const int *)opaque;
	char byte = 0;

	(void)region;
	(void)slot;
	if (fd >= 0)
		return write(fd, &byte, 1) + read(fd, &byte, 1) != 2;
	return 0;
}

static void *
start_logging(void *opaque)
{
	(void)opaque;
	return vmmem_kvm_log_start(kvm, NULL) == VMMEM_ENOBITMAP ? NULL : kvm;
}

/* A child can free what another thread of the parent is busy with. */
START_TEST(child_frees_what_is_in_use)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .describe = describe_for_long };
	int ends[2], end = -1, status;
	pthread_t thread;
	void *failed;
	char byte = 0;
	pid_t pid;

	options.opaque = &end;
	assert_ok(vmmem_kvm_new(space, vm.fd, &options, &kvm));
	insert(region_of(0, LEN));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	end = ends[1];
	ck_assert_int_eq(pthread_create(&thread, NULL, start_logging, NULL),
			 0);
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	assert_ok(vmmem_space_before_fork(space));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		vmmem_space_after_fork_child(space);
		_exit(vmmem_kvm_free(kvm) == NULL ? 0 : 1);
	}
	vmmem_space_after_fork_parent(space);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	end = -1;
	ck_assert_int_eq(write(ends[0], &byte, 1), 1);
	ck_assert_int_eq(pthread_join(thread, &failed), 0);
	ck_assert_ptr_null(failed);
	expect_memory(0, 1);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(what_is_wrong_is_refused)
{
	struct vmmem_kvm_options options = { .size = sizeof(options) };
	struct vmmem_kvm *none = (void *)&options;
	struct vmmem_slot slot;

	assert_code(vmmem_kvm_new(NULL, vm.fd, NULL, &none), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_new(space, vm.fd, NULL, NULL), VMMEM_EARGUMENT);
	/* Another descriptor than a machine's, and none. */
	assert_code(vmmem_kvm_new(space, fileno(stdin), NULL, &none), -ENOTTY);
	assert_code(vmmem_kvm_new(space, -1, NULL, &none), -EBADF);
	options.size = 8;
	assert_code(vmmem_kvm_new(space, vm.fd, &options, &none),
		    VMMEM_ESTRUCTSIZE);
	options.size = sizeof(options);
	options.log = 4;
	assert_code(vmmem_kvm_new(space, vm.fd, &options, &none),
		    VMMEM_EARGUMENT);
	options.log = 0;
	options.flags = 16;
	assert_code(vmmem_kvm_new(space, vm.fd, &options, &none),
		    VMMEM_EARGUMENT);
	options.flags = 0;
	options.reserved = 1;
	assert_code(vmmem_kvm_new(space, vm.fd, &options, &none),
		    VMMEM_EARGUMENT);
	options.reserved = 0;
	options.ring_entries = 3;
	assert_code(vmmem_kvm_new(space, vm.fd, &options, &none),
		    VMMEM_EARGUMENT);
	options.ring_entries = 0;
	options.address_space = 0x10000;
	assert_code(vmmem_kvm_new(space, vm.fd, &options, &none),
		    VMMEM_EARGUMENT);
	options.address_space = 0xffff;
	assert_code(vmmem_kvm_new(space, vm.fd, &options, &none),
		    VMMEM_ENOSUPPORT);
	ck_assert_ptr_eq(none, &options);

	assert_code(vmmem_kvm_sync(NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_slot_at(NULL, 0, &slot), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_slot_at(kvm, 0, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_slot_at(kvm, 0, &slot), VMMEM_EOUTOFRANGE);
	assert_code(vmmem_kvm_slot_find(NULL, 0, &slot), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_slot_find(kvm, 0, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_slot_find(kvm, 0, &slot), VMMEM_EBADADDR);
	assert_code(vmmem_kvm_log_start(NULL, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_log_stop(NULL, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_log_stop(kvm, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_log_collect(NULL, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_add_vcpu(NULL, 0), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_add_vcpu(kvm, vm.vcpu), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_remove_vcpu(NULL, 0), VMMEM_EARGUMENT);
	assert_code(vmmem_kvm_remove_vcpu(kvm, vm.vcpu), VMMEM_EARGUMENT);
	ck_assert_uint_eq(vmmem_kvm_slot_count(NULL), 0);
	ck_assert_int_eq(vmmem_kvm_is_pending(NULL), 0);
	assert_code(vmmem_kvm_stop(NULL), VMMEM_EARGUMENT);
	ck_assert_ptr_null(vmmem_kvm_space(NULL));
	ck_assert_ptr_null(vmmem_kvm_free(NULL));
	assert_ok(vmmem_kvm_sync(kvm));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("kvm");
	TCase *ready = tcase_create("ready");
	TCase *bare = tcase_create("bare");

	tcase_add_checked_fixture(ready, setup_kvm, teardown);
	tcase_set_timeout(ready, 60);
	tcase_add_test(ready, guest_sees_what_is_inserted);
	tcase_add_test(ready, freeing_takes_the_slots_away);
	tcase_add_test(ready, one_update_with_several_changes);
	tcase_add_test(ready, read_only_region);
	tcase_add_test(ready, region_without_a_host_address_stays_an_exit);
	tcase_add_test(ready, region_that_is_not_of_pages_is_refused);
	tcase_add_test(ready, slot_of_the_callers_own_is_in_the_way);
	tcase_add_test(ready, memory_that_moves);
	tcase_add_test(ready, behind_an_iommu);
	tcase_add_test(ready, regions_that_are_excluded);
	tcase_add_test(ready, segments_of_one_ram);
	tcase_add_loop_test(ready, another_listener_refuses, -1, 2);
	tcase_add_test(ready, stopped_and_then_freed);
	tcase_add_test(ready, child_leaves_the_parents_machine_alone);
	tcase_add_test(ready, what_is_wrong_is_refused);
	suite_add_tcase(suite, ready);

	tcase_add_checked_fixture(bare, setup, teardown);
	tcase_set_timeout(bare, 60);
	tcase_add_test(bare, map_that_is_there_already);
	tcase_add_loop_test(bare, freed_in_a_callback_of_the_space, -1, 2);
	tcase_add_test(bare, odd_regions_are_left_to_exits);
	tcase_add_test(bare, as_many_slots_as_there_are);
	tcase_add_test(bare, every_slot_that_kvm_has);
	tcase_add_loop_test(bare, region_with_a_guest_memfd, 0, 2);
	tcase_add_test(bare, child_frees_what_is_in_use);
	suite_add_tcase(suite, bare);
	return suite;
}
