/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * KVM follows which pages are private.  No machine that tests meet tells private
 * pages from shared ones, so this is a KVM of our own.
 */
#define GMEM_REAL(function) __real_##function
#include <sys/stat.h>

long __real_syscall(long number, ...);

#include "end_kvm.h"
#include "fake_kvm.h"
#include "fault.h"
#include "gmem.h"
#include "suite.h"

#include <vmmem/kvm.h>

#define P FAKE_PAGE
#define GPA (16 * P)
#define LEN (8 * P)

static int fd;
static struct vmmem_space *space;
static struct vmmem_region *region, *plain;
static struct vmmem_kvm *kvm;

const char *
skip_reason(void)
{
	return fake_kvm_missing() != NULL ? fake_kvm_missing() :
					    gmem_missing();
}

/* A region of which the first two pages are shared, and a plain one behind. */
static void
setup(void)
{
	struct vmmem_region_builder *builder;
	struct vmmem_region *regions[2];
	struct vmmem_collection *map;

	fd = gmem_new(LEN + P);
	builder = gmem_builder(GPA, LEN, fd, P);
	vmmem_region_builder_set_tracking(builder, 0);
	ck_assert_int_eq(vmmem_region_builder_build(builder, &region), 0);
	vmmem_region_builder_free(builder);
	ck_assert_int_eq(vmmem_region_set_private(region, 0, 2 * P, 0), 0);
	plain = region_of(GPA + LEN, P);
	regions[0] = region;
	regions[1] = plain;
	ck_assert_int_eq(vmmem_collection_new(regions, 2, &map), 0);
	ck_assert_int_eq(vmmem_space_new(map, NULL, &space), 0);
	vmmem_collection_unref(map);
	fake_kvm_open(false);
	fake.attributes = FAKE_ATTRIBUTE_PRIVATE;
	inject_ioctl = fake_kvm_ioctl;
}

static void
start(const struct vmmem_kvm_options *options)
{
	ck_assert_int_eq(vmmem_kvm_new(space, fake.fd, options, &kvm), 0);
}

static void
teardown(void)
{
	end_kvm(kvm);
	kvm = NULL;
	inject_ioctl = NULL;
	fake_kvm_close();
	vmmem_space_unref(space);
	vmmem_region_unref(region);
	vmmem_region_unref(plain);
	close(fd);
}

/* What KVM knows of the region's pages: 'p' or '-' for each. */
static void
expect(const char *pages)
{
	size_t i;

	for (i = 0; i < FAKE_ATTRIBUTE_PAGES; i++) {
		const bool within = i >= GPA / P && i < (GPA + LEN) / P;
		const bool is = fake.attribute[i] == FAKE_ATTRIBUTE_PRIVATE;

		ck_assert_msg(is == (within && pages[i - GPA / P] == 'p'),
			      "page %zu of %s", i, pages);
	}
}

static const struct fake_slot *
slot_at(uint64_t gpa)
{
	size_t i;

	for (i = 0; i < FAKE_SLOTS; i++)
		if (fake.slots[i].is.len != 0 && fake.slots[i].is.gpa == gpa)
			return &fake.slots[i];
	return NULL;
}

START_TEST(slots_have_the_guest_memfd)
{
	const struct fake_slot *slot;
	struct vmmem_slot seen;
	uint64_t offset, len;
	void *host;
	int own;

	start(NULL);
	slot = slot_at(GPA);
	ck_assert_ptr_nonnull(slot);
	ck_assert_uint_eq(slot->is.flags, FAKE_MEM_GUEST_MEMFD);
	ck_assert_int_eq(vmmem_region_guest_memfd(region, &own, &offset), 0);
	ck_assert_int_eq((int)slot->is.guest_memfd, own);
	ck_assert_uint_eq(slot->is.guest_memfd_offset, P);
	ck_assert_int_eq(vmmem_region_host_address(region, 0, &host, &len),
			 0);
	ck_assert_uint_eq(slot->is.host, (uintptr_t)host);
	ck_assert_uint_eq(slot_at(GPA + LEN)->is.flags, 0);
	ck_assert_int_eq(vmmem_kvm_slot_find(kvm, GPA, &seen), 0);
	ck_assert_uint_eq(seen.flags, VMMEM_SLOT_GUEST_MEMFD);
	expect("--pppppp");
}
END_TEST

/* A long region is several slots, each with its part of the file. */
START_TEST(parts_of_a_region)
{
	const struct vmmem_kvm_options options = {
		.size = sizeof(options),
		.max_slot_len = 4 * P,
	};

	start(&options);
	ck_assert_uint_eq(slot_at(GPA + 4 * P)->is.guest_memfd_offset, 5 * P);
	expect("--pppppp");
	ck_assert_int_eq(vmmem_space_convert(space, GPA + 3 * P, 2 * P, 0,
					     NULL),
			 0);
	expect("--p--ppp");
}
END_TEST

START_TEST(converting)
{
	start(NULL);
	ck_assert_int_eq(vmmem_space_convert(space, GPA + P, 2 * P, 1, NULL),
			 0);
	expect("-ppppppp");
	ck_assert_int_eq(vmmem_space_convert(space, GPA + 4 * P, 4 * P, 0,
					     NULL),
			 0);
	expect("-ppp----");
}
END_TEST

/* What KVM refuses does not happen. */
START_TEST(kvm_refuses)
{
	start(NULL);
	fake.fail_from = fake.calls + 1;
	fake.fail_to = fake.fail_from;
	fake.fail_with = ENOMEM;
	ck_assert_int_eq(vmmem_space_convert(space, GPA, LEN, _i, NULL),
			 -ENOMEM);
	expect("--pppppp");
	ck_assert_int_eq(vmmem_region_is_private(region, 0, 2 * P), 0);
	ck_assert_int_eq(vmmem_region_is_private(region, 2 * P, P), 1);
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 0);
}
END_TEST

static int
refuse(void *opaque, struct vmmem_region *of, uint64_t offset, uint64_t len,
       int to_private)
{
	const int *fails = opaque;

	(void)of;
	(void)offset;
	(void)len;
	(void)to_private;
	/* What KVM is told next, to take it back, fails. */
	if (*fails != 0) {
		fake.fail_from = fake.calls + 1;
		fake.fail_to = fake.calls + 1;
		fake.fail_with = ENOMEM;
	}
	return -EBUSY;
}

/* Another listener refuses after KVM was told, and KVM hears of it. */
START_TEST(taken_back)
{
	static const struct vmmem_listener_ops ops = {
		.size = sizeof(ops),
		.converting = refuse,
	};
	const struct vmmem_listener_options options = {
		.size = sizeof(options),
		.priority = -1,
	};
	struct vmmem_listener *listener;
	int fails = _i >> 1;

	start(NULL);
	ck_assert_int_eq(vmmem_listener_new(space, &ops, &fails, &options,
					    &listener),
			 0);
	ck_assert_int_eq(vmmem_space_convert(space, GPA + P, 2 * P, _i & 1,
					     NULL),
			 -EBUSY);
	ck_assert_int_eq(vmmem_region_is_private(region, P, P), 0);
	ck_assert_int_eq(vmmem_region_is_private(region, 2 * P, P), 1);
	/* If that fails, the slot is made anew as soon as KVM lets it. */
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), fails);
	ck_assert_int_eq(vmmem_kvm_sync(kvm), 0);
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 0);
	expect("--pppppp");
	ck_assert_uint_eq(slot_at(GPA)->is.flags, FAKE_MEM_GUEST_MEMFD);
	vmmem_listener_free(listener);
}
END_TEST

/* Where there was a private page another slot finds a shared one. */
START_TEST(slots_that_go)
{
	struct vmmem_region *gone = NULL;

	start(NULL);
	ck_assert_int_eq(vmmem_space_remove(space, GPA, LEN, &gone), 0);
	ck_assert_ptr_null(slot_at(GPA));
	expect("--------");
	/* Without a slot nobody is told. */
	fake.attribute_calls = 0;
	ck_assert_int_eq(vmmem_space_insert(space, gone), 0);
	expect("--pppppp");
	ck_assert_int_eq(vmmem_kvm_exclude(kvm, gone), 0);
	expect("--------");
	fake.attribute_calls = 0;
	ck_assert_int_eq(vmmem_space_convert(space, GPA, LEN, 1, NULL), 0);
	ck_assert_uint_eq(fake.attribute_calls, 0);
	ck_assert_int_eq(vmmem_kvm_unset(kvm, gone), 0);
	expect("pppppppp");
	vmmem_region_unref(gone);
}
END_TEST

/* A slot that cannot be made leaves no page private. */
START_TEST(slot_fails)
{
	struct vmmem_region *gone = NULL;

	start(NULL);
	ck_assert_int_eq(vmmem_space_remove(space, GPA, LEN, &gone), 0);
	/* The first two are about the pages. */
	fake.fail_from = fake.calls + (unsigned int)_i;
	fake.fail_to = fake.fail_from;
	fake.fail_with = ENOMEM;
	ck_assert_int_eq(vmmem_space_insert(space, gone), -ENOMEM);
	ck_assert_ptr_null(slot_at(GPA));
	expect("--------");
	ck_assert_int_eq(vmmem_space_insert(space, gone), 0);
	expect("--pppppp");
	vmmem_region_unref(gone);
}
END_TEST

/* A machine without attributes has slots all the same, and is told nothing. */
START_TEST(without_attributes)
{
	fake.attributes = 0;
	start(NULL);
	ck_assert_uint_eq(slot_at(GPA)->is.flags, FAKE_MEM_GUEST_MEMFD);
	ck_assert_int_eq(vmmem_space_convert(space, GPA, LEN, 1, NULL), 0);
	ck_assert_uint_eq(fake.attribute_calls, 0);
	ck_assert_int_eq(vmmem_region_is_private(region, 0, P), 1);
}
END_TEST

/* One without guest_memfds has no slot for it. */
START_TEST(without_guest_memfd)
{
	fake.guest_memfd = 0;
	ck_assert_int_eq(vmmem_kvm_new(space, fake.fd, NULL, &kvm),
			 VMMEM_ENOSUPPORT);
	fake.guest_memfd = 1;
	start(NULL);
}
END_TEST

/* What the program says of a region goes before what the region has. */
START_TEST(by_hand)
{
	start(NULL);
	ck_assert_int_eq(vmmem_kvm_set_guest_memfd(kvm, region, fd, 0), 0);
	ck_assert_int_eq((int)slot_at(GPA)->is.guest_memfd, fd);
	ck_assert_uint_eq(slot_at(GPA)->is.guest_memfd_offset, 0);
}
END_TEST

/* A view that is only read is of the shared side. */
START_TEST(read_only_view)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *view = NULL;

	start(NULL);
	vmmem_region_builder_set_range(builder, 0, P);
	vmmem_region_builder_set_alias(builder, region, P);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	ck_assert_int_eq(vmmem_region_builder_build(builder, &view), 0);
	vmmem_region_builder_free(builder);
	ck_assert_int_eq(vmmem_space_insert(space, view), 0);
	ck_assert_uint_eq(slot_at(0)->is.flags, KVM_MEM_READONLY);
	expect("--pppppp");
	vmmem_region_unref(view);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault_kvm_private");
	TCase *tcase = tcase_create("private");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, slots_have_the_guest_memfd);
	tcase_add_test(tcase, parts_of_a_region);
	tcase_add_test(tcase, converting);
	tcase_add_loop_test(tcase, kvm_refuses, 0, 2);
	tcase_add_loop_test(tcase, taken_back, 0, 4);
	tcase_add_test(tcase, slots_that_go);
	tcase_add_loop_test(tcase, slot_fails, 1, 4);
	tcase_add_test(tcase, without_attributes);
	tcase_add_test(tcase, without_guest_memfd);
	tcase_add_test(tcase, by_hand);
	tcase_add_test(tcase, read_only_view);
	suite_add_tcase(suite, tcase);
	return suite;
}
