/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The dirty log of the real KVM, in each of its ways. */
#include "logged_vm.h"

#include <vmmem/dirty_log.h>
#include <vmmem/kvm.h>

const char *
skip_reason(void)
{
	return VM_HAS_GUEST ? vm_missing() : "no guest for this processor";
}

/* Starts, and takes away what is dirty only because it is the first time. */
static void
start(struct vmmem_region *region, int log, const struct vmmem_region *tracked)
{
	assert_ok(vmmem_kvm_log_start(kvm, region));
	if (!all_set_at_first(log))
		return;
	assert_ok(vmmem_kvm_log_collect(kvm, region));
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(tracked)),
			  PAGES);
	assert_ok(vmmem_bitmap_clear(vmmem_region_bitmap(tracked), 0, LEN));
}

START_TEST(what_the_guest_writes_is_collected)
{
	struct vmmem_region *region;

	begin(_i);
	region = tracked(GPA, PAGE);
	insert(region);
	write_page(0);
	start(NULL, _i, region);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	expect_clean(region);
	/* On both sides of words of 64, and at the ends. */
	write_page(0);
	write_page(63);
	write_page(64);
	write_page(130);
	write_page(PAGES - 1);
	expect_clean(region);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	EXPECT(region, 0, 63, 64, 130, PAGES - 1);
	/* And only once, but again when written again. */
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	expect_clean(region);
	write_page(64);
	write_page(64);
	write_page(65);
	assert_ok(vmmem_kvm_log_collect(kvm, region));
	EXPECT(region, 64, 65);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(what_is_logged_when_it_stops_is_collected)
{
	struct vmmem_region *region;

	begin(_i);
	region = tracked(GPA, PAGE);
	insert(region);
	start(NULL, _i, region);
	write_page(5);
	assert_ok(vmmem_kvm_log_stop(kvm, NULL));
	EXPECT(region, 5);
	write_page(6);
	assert_code(vmmem_kvm_log_collect(kvm, region), VMMEM_ENOREGION);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	expect_clean(region);
	/* Starts are counted. */
	start(NULL, _i, region);
	assert_ok(vmmem_kvm_log_start(kvm, NULL));
	assert_ok(vmmem_kvm_log_stop(kvm, NULL));
	write_page(7);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	EXPECT(region, 7);
	assert_ok(vmmem_kvm_log_stop(kvm, NULL));
	assert_code(vmmem_kvm_log_stop(kvm, NULL), VMMEM_EARGUMENT);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(one_region_of_two)
{
	struct vmmem_region *one, *other;

	begin(_i);
	one = tracked(GPA, PAGE);
	other = tracked(GPA + LEN, PAGE);
	insert(one);
	insert(other);
	start(other, _i, other);
	write_page(1);
	write_page(PAGES + 2);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	expect_clean(one);
	EXPECT(other, 2);
	assert_code(vmmem_kvm_log_collect(kvm, one), VMMEM_ENOREGION);
	assert_code(vmmem_kvm_log_stop(kvm, one), VMMEM_EARGUMENT);
	assert_ok(vmmem_kvm_log_stop(kvm, other));
	write_page(PAGES + 3);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	expect_clean(other);
	vmmem_region_unref(one);
	vmmem_region_unref(other);
}
END_TEST

/* All of a slot is dirty where KVM cannot move it out of the guest's way. */
START_TEST(removing_loses_no_mark)
{
	struct vmmem_region *region;

	begin(_i);
	region = tracked(GPA, PAGE);
	insert(region);
	start(NULL, _i, region);
	write_page(3);
	write_page(77);
	assert_ok(vmmem_space_remove(space, GPA, LEN, NULL));
	EXPECT(region, 3, 77);
	/* The number goes to another; nothing of the old one comes to it. */
	insert(region);
	assert_ok(vmmem_space_remove(space, GPA, LEN, NULL));
	if (all_set_at_first(_i))
		assert_ok(vmmem_bitmap_clear(vmmem_region_bitmap(region), 0,
					     LEN));
	expect_clean(region);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(freeing_loses_no_mark)
{
	struct vmmem_region *region;

	begin(_i);
	region = tracked(GPA, PAGE);
	insert(region);
	start(NULL, _i, region);
	write_page(9);
	end_kvm(kvm);
	kvm = NULL;
	EXPECT(region, 9);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(removing_where_slots_cannot_move)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .flags = VMMEM_KVM_FLAG_NO_MOVE };
	struct vmmem_region *region;

	begin_with(&options);
	region = tracked(GPA, PAGE);
	insert(region);
	assert_ok(vmmem_kvm_log_start(kvm, NULL));
	write_page(3);
	assert_ok(vmmem_space_remove(space, GPA, LEN, NULL));
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(region)),
			  PAGES);
	vmmem_region_unref(region);
}
END_TEST

/* Two slots that show the same bytes, one of them from the middle on. */
START_TEST(aliases_share_a_bitmap)
{
	struct vmmem_region *region, *alias;

	begin(_i);
	region = tracked(GPA, PAGE);
	assert_ok(vmmem_region_new_alias(ALIAS, LEN - 100 * PAGE, region,
					 100 * PAGE, &alias));
	insert(region);
	insert(alias);
	start(alias, _i, region);
	write_page(1);
	ck_assert_uint_eq(vm_write(&vm, ALIAS + PAGE, 2), KVM_EXIT_HLT);
	assert_ok(vmmem_kvm_log_collect(kvm, region));
	EXPECT(region, 1, 101);
	ck_assert_uint_eq(vm_write(&vm, ALIAS + 2 * PAGE, 2), KVM_EXIT_HLT);
	assert_ok(vmmem_space_remove(space, ALIAS, LEN - 100 * PAGE, NULL));
	EXPECT(region, 102);
	/* The other one goes on. */
	write_page(4);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	EXPECT(region, 4);
	vmmem_region_unref(alias);
	vmmem_region_unref(region);
}
END_TEST

/* What moves takes its log along. */
START_TEST(moving_loses_no_mark)
{
	struct vmmem_region *region, *here, *there;
	struct vmmem_update *update;

	begin(_i);
	region = tracked(0, PAGE);
	assert_ok(vmmem_region_new_alias(GPA, LEN, region, 0, &here));
	assert_ok(vmmem_region_new_alias(ALIAS, LEN, region, 0, &there));
	insert(here);
	start(NULL, _i, region);
	write_page(8);
	assert_ok(vmmem_update_new(space, VMMEM_FOREVER, &update));
	assert_ok(vmmem_update_remove(update, GPA, LEN, NULL));
	assert_ok(vmmem_update_insert(update, there));
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	ck_assert_uint_eq(vm_write(&vm, ALIAS, 2), KVM_EXIT_HLT);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	EXPECT(region, 0, 8);
	vmmem_region_unref(here);
	vmmem_region_unref(there);
	vmmem_region_unref(region);
}
END_TEST

/* Bitmaps with larger and smaller pages than KVM's. */
START_TEST(page_sizes_are_converted)
{
	struct vmmem_region *coarse, *fine;
	struct vmmem_bitmap *bitmap;

	begin(_i);
	coarse = tracked(GPA, 16 * PAGE);
	fine = tracked(GPA + LEN, 512);
	insert(coarse);
	insert(fine);
	assert_ok(vmmem_kvm_log_start(kvm, NULL));
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	bitmap = vmmem_region_bitmap(coarse);
	assert_ok(vmmem_bitmap_clear(bitmap, 0, LEN));
	assert_ok(vmmem_bitmap_clear(vmmem_region_bitmap(fine), 0, LEN));
	write_page(17);
	write_page(PAGES - 1);
	write_page(PAGES + 1);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 2);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 16 * PAGE), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, LEN - 1), 1);
	bitmap = vmmem_region_bitmap(fine);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), PAGE / 512);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, PAGE), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 2 * PAGE - 1), 1);
	vmmem_region_unref(coarse);
	vmmem_region_unref(fine);
}
END_TEST

/* Aliases side by side have one slot, and one log, at each one's place. */
START_TEST(joined_slots_mark_the_right_pages)
{
	struct vmmem_region *region = tracked(UINT64_C(1) << 32, PAGE);
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(region);
	struct vmmem_region *low, *middle, *high;

	begin(_i);
	assert_ok(vmmem_region_new_alias(GPA, 20 * PAGE, region, 10 * PAGE,
					 &low));
	assert_ok(vmmem_region_new_alias(GPA + 20 * PAGE, 70 * PAGE, region,
					 30 * PAGE, &middle));
	assert_ok(vmmem_region_new_alias(GPA + 90 * PAGE, 90 * PAGE, region,
					 100 * PAGE, &high));
	insert(low);
	insert(high);
	insert(middle);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 1);
	assert_ok(vmmem_kvm_log_start(kvm, high));
	assert_ok(vmmem_kvm_log_collect(kvm, low));
	assert_ok(vmmem_bitmap_clear(bitmap, 0, LEN));
	write_page(0);
	write_page(19);
	write_page(20);
	write_page(91);
	write_page(179);
	assert_ok(vmmem_kvm_log_collect(kvm, middle));
	EXPECT(region, 10, 29, 30, 101, 189);
	/* When the middle goes, what is logged of all three is not lost. */
	write_page(5);
	write_page(25);
	assert_ok(vmmem_space_remove(space, GPA + 20 * PAGE, 70 * PAGE, NULL));
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 2);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 15 * PAGE), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 35 * PAGE), 1);
	vmmem_region_unref(low);
	vmmem_region_unref(middle);
	vmmem_region_unref(high);
	vmmem_region_unref(region);
}
END_TEST

/* The dirty log of the space has KVM's in it, by guest address. */
START_TEST(dirty_log_of_the_space)
{
	struct vmmem_dirty_log_options options = {
		.size = sizeof(options), .collect = vmmem_kvm_log_collect_all
	};
	struct vmmem_region *region = tracked(GPA, PAGE);
	struct vmmem_dirty_range range;
	struct vmmem_dirty_log *log;
	uint64_t bytes;

	begin(_i);
	options.opaque = kvm;
	insert(region);
	assert_ok(vmmem_dirty_log_new(space, &options, &log));
	assert_ok(vmmem_kvm_log_start(kvm, NULL));
	assert_ok(vmmem_dirty_log_collect(log, &bytes));
	/* All is to be sent once: what KVM says at first is in it. */
	ck_assert_uint_eq(bytes, LEN);
	memset(&range, 0, sizeof(range));
	do {
		assert_ok(vmmem_dirty_log_next(log, &range));
		assert_ok(vmmem_dirty_log_confirm(log, &range));
	} while (range.len != 0);
	assert_ok(vmmem_dirty_log_collect(log, &bytes));
	ck_assert_uint_eq(bytes, 0);
	write_page(7);
	assert_ok(vmmem_dirty_log_collect(log, &bytes));
	ck_assert_uint_eq(bytes, PAGE);
	memset(&range, 0, sizeof(range));
	assert_ok(vmmem_dirty_log_next(log, &range));
	ck_assert_uint_eq(range.gpa, GPA + 7 * PAGE);
	vmmem_dirty_log_free(log);
	assert_code(vmmem_kvm_log_collect_all(NULL), VMMEM_EARGUMENT);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(region_without_a_bitmap_cannot_be_logged)
{
	struct vmmem_region *plain, *with;

	begin(_i);
	plain = region_of(GPA + LEN, LEN);
	with = tracked(GPA, PAGE);
	insert(with);
	insert(plain);
	assert_code(vmmem_kvm_log_start(kvm, plain), VMMEM_ENOBITMAP);
	assert_code(vmmem_kvm_log_start(kvm, NULL), VMMEM_ENOBITMAP);
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 0);
	assert_code(vmmem_kvm_log_collect(kvm, with), VMMEM_ENOREGION);
	assert_ok(vmmem_kvm_log_start(kvm, with));
	assert_ok(vmmem_space_remove(space, GPA + LEN, LEN, NULL));
	assert_ok(vmmem_kvm_log_start(kvm, NULL));
	/* Nor can one come while all are. */
	assert_code(vmmem_space_insert(space, plain), VMMEM_ENOBITMAP);
	/* One that is not there. */
	assert_code(vmmem_kvm_log_start(kvm, plain), VMMEM_ENOREGION);
	vmmem_region_unref(plain);
	vmmem_region_unref(with);
}
END_TEST

/* A region that comes while all are logged is, too; a ROM need not be. */
START_TEST(regions_that_come_later)
{
	struct vmmem_region *region, *rom;
	struct vmmem_slot slot;

	begin(_i);
	assert_ok(vmmem_kvm_log_start(kvm, NULL));
	region = tracked(GPA, PAGE);
	rom = region_with(ALIAS, LEN, VMMEM_PROT_READ);
	insert(region);
	insert(rom);
	write_page(11);
	assert_ok(vmmem_kvm_log_collect(kvm, NULL));
	if (all_set_at_first(_i))
		ck_assert_uint_eq(
			vmmem_bitmap_count(vmmem_region_bitmap(region)),
			PAGES);
	else
		EXPECT(region, 11);
	assert_ok(vmmem_kvm_slot_find(kvm, ALIAS, &slot));
	ck_assert_uint_eq(slot.flags, VMMEM_SLOT_READ_ONLY);
	vmmem_region_unref(region);
	vmmem_region_unref(rom);
}
END_TEST

/* A start for a region is over when it goes. */
START_TEST(starts_of_a_region_that_goes)
{
	struct vmmem_region *region;

	begin(_i);
	region = tracked(GPA, PAGE);
	insert(region);
	start(region, _i, region);
	assert_ok(vmmem_space_remove(space, GPA, LEN, NULL));
	assert_code(vmmem_kvm_log_stop(kvm, region), VMMEM_EARGUMENT);
	insert(region);
	assert_code(vmmem_kvm_log_collect(kvm, region), VMMEM_ENOREGION);
	vmmem_region_unref(region);
}
END_TEST

/* Somebody else may have enabled it already. */
START_TEST(enabled_already)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .log = (uint32_t)_i };
	struct vmmem_kvm *second;

	if (_i == VMMEM_KVM_LOG_RING)
		options.ring_entries = 1024;
	assert_ok(vmmem_kvm_new(space, vm.fd, &options, &second));
	end_kvm(second);
	options.flags = VMMEM_KVM_FLAG_LOG_IS_ON;
	begin_with(&options);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("kvm's dirty log");
	TCase *each = tcase_create("each way");
	TCase *some = tcase_create("some ways");

	vm_say_skipped();
	tcase_add_checked_fixture(each, setup, teardown);
	tcase_set_timeout(each, 60);
	VM_ADD_WAYS(each, what_the_guest_writes_is_collected);
	VM_ADD_WAYS(each, what_is_logged_when_it_stops_is_collected);
	VM_ADD_WAYS(each, one_region_of_two);
	VM_ADD_WAYS(each, removing_loses_no_mark);
	VM_ADD_WAYS(each, freeing_loses_no_mark);
	VM_ADD_WAYS(each, aliases_share_a_bitmap);
	VM_ADD_WAYS(each, moving_loses_no_mark);
	VM_ADD_WAYS(each, page_sizes_are_converted);
	VM_ADD_WAYS(each, joined_slots_mark_the_right_pages);
	VM_ADD_WAYS(each, dirty_log_of_the_space);
	VM_ADD_WAYS(each, region_without_a_bitmap_cannot_be_logged);
	VM_ADD_WAYS(each, regions_that_come_later);
	VM_ADD_WAYS(each, starts_of_a_region_that_goes);
	VM_ADD_WAYS(each, enabled_already);
	suite_add_tcase(suite, each);

	tcase_add_checked_fixture(some, setup, teardown);
	tcase_set_timeout(some, 60);
	tcase_add_test(some, removing_where_slots_cannot_move);
	suite_add_tcase(suite, some);
	return suite;
}
