/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Plans: what leads from the slots that are there to those of a map. */
#include "plans.h"

#include <vmmem/slot_table.h>

START_TEST(from_nothing)
{
	struct vmmem_region *low = region_of(0, LEN);
	struct vmmem_region *high = region_with(4 * LEN, LEN, VMMEM_PROT_READ);
	struct vmmem_slot slot;

	plan_for(MAP(high, low));
	expect_count(2);
	expect_op(0, VMMEM_SLOT_OP_CREATE, 0, 0);
	expect_op(1, VMMEM_SLOT_OP_CREATE, 1, 4 * LEN);
	slot = op_at(0).slot;
	ck_assert_ptr_eq(slot.host, expect_host(low));
	ck_assert_ptr_eq(slot.region, low);
	ck_assert_uint_eq(slot.len, LEN);
	ck_assert_uint_eq(slot.flags, 0);
	ck_assert_int_eq(slot.guest_memfd, -1);
	ck_assert_uint_eq(op_at(1).slot.flags, VMMEM_SLOT_READ_ONLY);
	/* A plan is only a plan. */
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 0);

	assert_ok(vmmem_slot_table_done(slots, plan));
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 1);
	assert_ok(vmmem_slot_table_done(slots, plan));
	assert_ok(vmmem_slot_table_at(slots, 1, &slot));
	ck_assert_ptr_eq(slot.region, high);
	assert_ok(vmmem_slot_table_by_number(slots, 0, &slot));
	ck_assert_ptr_eq(slot.region, low);
	assert_ok(vmmem_slot_table_find(slots, LEN - 1, &slot));
	ck_assert_ptr_eq(slot.region, low);
	assert_code(vmmem_slot_table_find(slots, LEN, &slot), VMMEM_EBADADDR);
	assert_ok(vmmem_slot_table_find(slots, 5 * LEN - 1, &slot));
	ck_assert_ptr_eq(slot.region, high);
	assert_code(vmmem_slot_table_by_number(slots, 2, &slot),
		    VMMEM_ENOREGION);
	assert_code(vmmem_slot_table_at(slots, 2, &slot), VMMEM_EOUTOFRANGE);
}
END_TEST

START_TEST(the_same_map_again_is_nothing_to_do)
{
	struct vmmem_region *region = region_of(0, LEN);

	plan_for(MAP(vmmem_region_ref(region)));
	do_all();
	plan_for(MAP(region));
	expect_count(0);
}
END_TEST

START_TEST(deletions_come_first_and_numbers_are_reused)
{
	struct vmmem_region *stays = region_of(2 * LEN, LEN);

	plan_for(MAP(region_of(0, LEN), region_of(LEN, LEN),
		     vmmem_region_ref(stays), region_of(3 * LEN, LEN)));
	do_all();
	/* Two go, three come, one of them where one was. */
	plan_for(MAP(region_of(0, 2 * LEN), stays, region_of(3 * LEN, LEN),
		     region_of(8 * LEN, LEN)));
	expect_count(6);
	expect_op(0, VMMEM_SLOT_OP_DELETE, 3, 3 * LEN);
	expect_op(1, VMMEM_SLOT_OP_DELETE, 1, LEN);
	expect_op(2, VMMEM_SLOT_OP_DELETE, 0, 0);
	expect_op(3, VMMEM_SLOT_OP_CREATE, 0, 0);
	expect_op(4, VMMEM_SLOT_OP_CREATE, 1, 3 * LEN);
	expect_op(5, VMMEM_SLOT_OP_CREATE, 3, 8 * LEN);
	do_all();
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 4);
	plan_for(map_of(NULL, 0));
	expect_count(4);
	do_all();
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 0);
}
END_TEST

START_TEST(another_region_of_the_same_bytes_is_kept)
{
	struct vmmem_region *memory = region_of(0, LEN);
	struct vmmem_region *twin = alias_of(0, memory);
	struct vmmem_slot slot;

	plan_for(MAP(memory));
	do_all();
	plan_for(MAP(vmmem_region_ref(twin)));
	expect_count(1);
	expect_op(0, VMMEM_SLOT_OP_KEEP, 0, 0);
	do_all();
	assert_ok(vmmem_slot_table_at(slots, 0, &slot));
	ck_assert_ptr_eq(slot.region, twin);
	vmmem_region_unref(twin);
}
END_TEST

static struct vmmem_region *
external(void *host)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_external(builder, host, NULL, NULL);
	vmmem_region_builder_set_tracking(builder, PAGE);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

/* What is logged of the slot belongs to one of the two. */
START_TEST(the_same_bytes_with_another_bitmap_are_another_slot)
{
	struct vmmem_region *memory = region_of(LEN, LEN);

	plan_for(MAP(external(expect_host(memory))));
	do_all();
	plan_for(MAP(external(expect_host(memory))));
	expect_count(2);
	vmmem_region_unref(memory);
}
END_TEST

START_TEST(other_bytes_are_another_slot)
{
	plan_for(MAP(region_of(0, LEN)));
	do_all();
	plan_for(MAP(region_of(0, LEN)));
	expect_count(2);
	expect_op(0, VMMEM_SLOT_OP_DELETE, 0, 0);
	expect_op(1, VMMEM_SLOT_OP_CREATE, 0, 0);
}
END_TEST

START_TEST(read_only_is_another_slot)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *memory = region_of(0, LEN), *rom;

	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_alias(builder, memory, 0);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	assert_ok(vmmem_region_builder_build(builder, &rom));
	vmmem_region_builder_free(builder);
	plan_for(MAP(memory));
	do_all();
	plan_for(MAP(rom));
	expect_count(2);
}
END_TEST

START_TEST(the_same_bytes_elsewhere_are_moved)
{
	struct vmmem_region *memory = region_of(0, LEN);
	struct vmmem_region *there = alias_of(7 * LEN, memory);
	struct vmmem_slot slot;

	plan_for(MAP(memory, region_of(LEN, LEN)));
	do_all();
	plan_for(MAP(there));
	expect_count(2);
	expect_op(0, VMMEM_SLOT_OP_DELETE, 1, LEN);
	expect_op(1, VMMEM_SLOT_OP_MOVE, 0, 7 * LEN);
	ck_assert_uint_eq(op_at(1).old_gpa, 0);
	do_all();
	assert_ok(vmmem_slot_table_at(slots, 0, &slot));
	ck_assert_uint_eq(slot.gpa, 7 * LEN);
	assert_code(vmmem_slot_table_find(slots, 0, &slot), VMMEM_EBADADDR);
}
END_TEST

/* By half its length; and two that change places, which cannot be. */
START_TEST(moves_that_overlap)
{
	struct vmmem_region *a = region_of(0, LEN), *b = region_of(LEN, LEN);
	size_t i, moves = 0, deletes = 0;

	plan_for(MAP(vmmem_region_ref(a)));
	do_all();
	plan_for(MAP(alias_of(LEN / 2, a)));
	expect_count(1);
	expect_op(0, VMMEM_SLOT_OP_MOVE, 0, LEN / 2);
	plan_for(MAP(vmmem_region_ref(a), vmmem_region_ref(b)));
	do_all();
	plan_for(MAP(alias_of(LEN, a), alias_of(0, b)));
	for (i = 0; i < vmmem_slot_plan_count(plan); i++) {
		moves += op_at(i).kind == VMMEM_SLOT_OP_MOVE;
		deletes += op_at(i).kind == VMMEM_SLOT_OP_DELETE;
	}
	ck_assert_uint_eq(moves, 1);
	ck_assert_uint_eq(deletes, 1);
	expect_count(3);
	/* The one that moves finds its place empty. */
	ck_assert_uint_eq(op_at(0).kind, VMMEM_SLOT_OP_DELETE);
	do_all();
	vmmem_region_unref(a);
	vmmem_region_unref(b);
}
END_TEST

START_TEST(without_moving)
{
	struct vmmem_region *memory = region_of(0, LEN);
	struct vmmem_region *there = alias_of(7 * LEN, memory);

	vmmem_slot_table_free(slots);
	make(NULL);
	plan_for(MAP(memory));
	do_all();
	plan_for(MAP(there));
	expect_count(2);
	expect_op(0, VMMEM_SLOT_OP_DELETE, 0, 0);
	expect_op(1, VMMEM_SLOT_OP_CREATE, 0, 7 * LEN);
}
END_TEST

START_TEST(no_more_slots_than_there_are)
{
	struct vmmem_slot_table_options options = { .size = sizeof(options),
					       .first = 5,
					       .max = 2 };
	struct vmmem_collection *map;

	vmmem_slot_table_free(slots);
	make(&options);
	map = MAP(region_of(0, LEN), region_of(LEN, LEN),
		  region_of(2 * LEN, LEN));
	assert_code(vmmem_slot_plan_new(slots, map, &plan), VMMEM_ENOSLOT);
	vmmem_collection_unref(map);
	plan_for(MAP(region_of(0, LEN), region_of(LEN, LEN)));
	expect_op(0, VMMEM_SLOT_OP_CREATE, 5, 0);
	expect_op(1, VMMEM_SLOT_OP_CREATE, 6, LEN);
	do_all();
	/* What goes makes room for what comes. */
	plan_for(MAP(region_of(0, LEN), region_of(2 * LEN, LEN)));
	do_all();
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 2);
}
END_TEST

/* The last page that there is. */
START_TEST(slot_at_the_end_of_all_addresses)
{
	struct vmmem_slot slot;

	plan_for(MAP(region_of(TOP - (LEN - 1), LEN)));
	do_all();
	assert_ok(vmmem_slot_table_find(slots, TOP, &slot));
	ck_assert_uint_eq(slot.gpa, TOP - (LEN - 1));
	plan_for(MAP(region_of(0, LEN), region_of(TOP - (LEN - 1), LEN)));
	expect_count(3);
	do_all();
}
END_TEST

START_TEST(a_plan_is_done_in_order_and_once)
{
	struct vmmem_slot_plan *stale;
	struct vmmem_slot slot;

	plan_for(MAP(region_of(0, LEN), region_of(LEN, LEN)));
	assert_ok(vmmem_slot_table_done(slots, plan));
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 1);
	assert_ok(vmmem_slot_table_find(slots, 0, &slot));
	stale = plan;
	plan = NULL;
	plan_for(map_of(NULL, 0));
	do_all();
	assert_code(vmmem_slot_table_done(slots, stale), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_done(slots, plan), VMMEM_EOUTOFRANGE);
	vmmem_slot_plan_free(stale);
}
END_TEST

/* What the hypervisor has is not known: it is made anew. */
START_TEST(invalid_slot_is_made_again)
{
	struct vmmem_region *region = region_of(0, LEN);

	plan_for(MAP(vmmem_region_ref(region)));
	do_all();
	assert_ok(vmmem_slot_table_invalidate(slots, 0));
	assert_code(vmmem_slot_table_invalidate(slots, 1), VMMEM_ENOREGION);
	plan_for(MAP(vmmem_region_ref(region)));
	expect_count(2);
	expect_op(0, VMMEM_SLOT_OP_DELETE, 0, 0);
	expect_op(1, VMMEM_SLOT_OP_CREATE, 0, 0);
	do_all();
	plan_for(MAP(region));
	expect_count(0);
}
END_TEST

static void
gone(void *opaque)
{
	(*(int *)opaque)++;
}

/* The memory stays until the slot is gone, whoever has dropped it. */
START_TEST(table_holds_what_it_shows)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	static uint8_t memory[1 << 17];
	struct vmmem_region *region;
	int count = 0;

	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_external(
		builder,
		(void *)(((uintptr_t)memory + PAGE - 1) & ~(PAGE - 1)), gone,
		&count);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	plan_for(MAP(region));
	do_all();
	plan = vmmem_slot_plan_free(plan);
	ck_assert_int_eq(count, 0);
	plan_for(map_of(NULL, 0));
	do_all();
	ck_assert_int_eq(count, 1);
}
END_TEST

START_TEST(what_is_wrong_is_refused)
{
	struct vmmem_slot_table_options options = { .size = sizeof(options) };
	struct {
		struct vmmem_slot_table_options options;
		uint64_t more;
	} newer = { .more = 1 };
	struct vmmem_slot_table *none = (void *)&options;
	struct vmmem_slot_plan *no_plan = (void *)&options;
	struct vmmem_collection *map = map_of(NULL, 0);
	struct vmmem_slot slot;
	struct vmmem_slot_op op;

	assert_code(vmmem_slot_table_new(NULL, NULL), VMMEM_EARGUMENT);
	options.page_size = 3;
	assert_code(vmmem_slot_table_new(&options, &none), VMMEM_EARGUMENT);
	options.page_size = 0;
	options.flags = 8;
	assert_code(vmmem_slot_table_new(&options, &none), VMMEM_EARGUMENT);
	options.flags = 0;
	options.reserved = 1;
	assert_code(vmmem_slot_table_new(&options, &none), VMMEM_EARGUMENT);
	options.reserved = 0;
	options.first = UINT32_MAX;
	options.max = 2;
	assert_code(vmmem_slot_table_new(&options, &none), VMMEM_EARGUMENT);
	options.size = 8;
	assert_code(vmmem_slot_table_new(&options, &none), VMMEM_ESTRUCTSIZE);
	options.size = 5000;
	assert_code(vmmem_slot_table_new(&options, &none), VMMEM_ESTRUCTSIZE);
	newer.options.size = sizeof(newer);
	assert_code(vmmem_slot_table_new(&newer.options, &none),
		    VMMEM_ESTRUCTNEWER);
	ck_assert_ptr_eq(none, &options);

	assert_code(vmmem_slot_plan_new(NULL, map, &no_plan), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_plan_new(slots, NULL, &no_plan),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slot_plan_new(slots, map, NULL), VMMEM_EARGUMENT);
	ck_assert_ptr_eq(no_plan, &options);
	plan_for(map);
	assert_code(vmmem_slot_plan_at(NULL, 0, &op), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_plan_at(plan, 0, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_plan_at(plan, 0, &op), VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slot_table_done(NULL, plan), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_done(slots, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_at(NULL, 0, &slot), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_at(slots, 0, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_find(NULL, 0, &slot), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_find(slots, 0, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_find(slots, 0, &slot), VMMEM_EBADADDR);
	assert_code(vmmem_slot_table_by_number(NULL, 0, &slot),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_by_number(slots, 0, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_invalidate(NULL, 0), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_redescribe(NULL), VMMEM_EARGUMENT);
	ck_assert_uint_eq(vmmem_slot_table_count(NULL), 0);
	ck_assert_uint_eq(vmmem_slot_plan_count(NULL), 0);
	ck_assert_ptr_null(vmmem_slot_table_free(NULL));
	ck_assert_ptr_null(vmmem_slot_plan_free(NULL));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("slots");
	TCase *tcase = tcase_create("slots");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, from_nothing);
	tcase_add_test(tcase, the_same_map_again_is_nothing_to_do);
	tcase_add_test(tcase, deletions_come_first_and_numbers_are_reused);
	tcase_add_test(tcase, another_region_of_the_same_bytes_is_kept);
	tcase_add_test(tcase,
		       the_same_bytes_with_another_bitmap_are_another_slot);
	tcase_add_test(tcase, other_bytes_are_another_slot);
	tcase_add_test(tcase, read_only_is_another_slot);
	tcase_add_test(tcase, the_same_bytes_elsewhere_are_moved);
	tcase_add_test(tcase, moves_that_overlap);
	tcase_add_test(tcase, without_moving);
	tcase_add_test(tcase, no_more_slots_than_there_are);
	tcase_add_test(tcase, slot_at_the_end_of_all_addresses);
	tcase_add_test(tcase, a_plan_is_done_in_order_and_once);
	tcase_add_test(tcase, invalid_slot_is_made_again);
	tcase_add_test(tcase, table_holds_what_it_shows);
	tcase_add_test(tcase, what_is_wrong_is_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
