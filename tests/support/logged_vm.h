/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A machine with one region whose dirty log is looked at. */
#ifndef LOGGED_VM_H
#define LOGGED_VM_H

#include "end_kvm.h"
#include "guest.h"
#include "suite.h"
#include "vm.h"

#include <vmmem/kvm.h>

#define PAGE UINT64_C(0x1000)
#define PAGES 200
#define LEN (PAGES * PAGE)
#define GPA UINT64_C(0x100000)
#define ALIAS UINT64_C(0x4000000)

static struct vm vm;
static struct vmmem_space *space;
static struct vmmem_kvm *kvm;
static inline bool
all_set_at_first(int log)
{
	return log == VMMEM_KVM_LOG_ALL_SET;
}

static inline void
setup(void)
{
	struct vmmem_collection *empty;

	kvm = NULL;
	vm_open(&vm);
	assert_ok(vmmem_collection_new_empty(&empty));
	assert_ok(vmmem_space_new(empty, NULL, &space));
	vmmem_collection_unref(empty);
}

/* begin_with() is the rest of it, that needs to know how to log. */
static inline void
begin_with(const struct vmmem_kvm_options *options)
{
	assert_ok(vmmem_kvm_new(space, vm.fd, options, &kvm));
	vm_add_vcpu(&vm);
	if (options->log == VMMEM_KVM_LOG_RING)
		assert_ok(vmmem_kvm_add_vcpu(kvm, vm.vcpu));
}

static inline void
begin(int log)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .log = (uint32_t)log };

	begin_with(&options);
}

static inline void
teardown(void)
{
	end_kvm(kvm);
	vmmem_space_unref(space);
	vm_close(&vm);
}

/* A region of PAGES pages with a bitmap in pages of 'page'. */
static inline struct vmmem_region *
tracked(uint64_t gpa, uint64_t page)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, gpa, LEN);
	vmmem_region_builder_set_tracking(builder, page);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

static inline void
insert(struct vmmem_region *region)
{
	assert_ok(vmmem_space_insert(space, region));
}

static inline void
write_page(uint64_t page)
{
	ck_assert_uint_eq(vm_write(&vm, GPA + page * PAGE, 1), KVM_EXIT_HLT);
}

/* expect_marks() expects 'pages' to be all that is marked, and unmarks. */
static inline void
expect_marks(const struct vmmem_region *region, const uint64_t *pages,
	     size_t count)
{
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(region);
	size_t i;

	for (i = 0; i < count; i++)
		ck_assert_msg(vmmem_bitmap_test(bitmap, pages[i] * PAGE) == 1,
			      "page %u is missing", (unsigned int)pages[i]);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), count);
	assert_ok(vmmem_bitmap_clear(bitmap, 0, vmmem_bitmap_len(bitmap)));
}

#define EXPECT(region, ...)                                                \
	do {                                                               \
		const uint64_t pages_[] = { __VA_ARGS__ };                 \
		expect_marks(region, pages_, ARRAY_LEN(pages_));           \
	} while (0)

static inline void
expect_clean(const struct vmmem_region *region)
{
	expect_marks(region, NULL, 0);
}

#endif
