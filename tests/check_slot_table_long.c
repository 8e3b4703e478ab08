/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Regions that are longer than a slot may be. */
#include "plans.h"

#include <vmmem/slot_table.h>

#define MOST (3 * PAGE)
#define LONG (8 * PAGE)

static unsigned int asked;
static int guest_memfd; /* -1: none */

static int
describe(void *opaque, const struct vmmem_region *region,
	 struct vmmem_slot *slot)
{
	(void)opaque;
	asked++;
	ck_assert_uint_eq(slot->len, vmmem_region_len(region));
	ck_assert_uint_eq(slot->gpa, vmmem_region_start(region));
	if (guest_memfd >= 0) {
		slot->flags |= VMMEM_SLOT_GUEST_MEMFD;
		slot->guest_memfd = guest_memfd;
		slot->guest_memfd_offset = 5 * PAGE;
	}
	return 0;
}

static void
setup_long(void)
{
	struct vmmem_slot_table_options options = {
		.size = sizeof(options),
		.flags = VMMEM_SLOT_TABLE_CAN_MOVE,
		.describe = describe,
		.max_len = MOST,
	};

	asked = 0;
	guest_memfd = -1;
	make(&options);
}

/* The slot at 'index' shows [offset, offset + len) of a region. */
static void
expect_slot(size_t index, struct vmmem_region *region, uint64_t offset,
	    uint64_t len)
{
	struct vmmem_slot slot, found;

	assert_ok(vmmem_slot_table_at(slots, index, &slot));
	ck_assert_ptr_eq(slot.region, region);
	ck_assert_uint_eq(slot.gpa, vmmem_region_start(region) + offset);
	ck_assert_uint_eq(slot.len, len);
	ck_assert_ptr_eq(slot.host, expect_host(region) + offset);
	assert_ok(vmmem_slot_table_find(slots, slot.gpa + len - 1, &found));
	ck_assert_uint_eq(found.number, slot.number);
}

START_TEST(several_slots)
{
	struct vmmem_region *region = region_of(LEN, LONG);
	struct vmmem_region *other = region_of(LEN + LONG, 2 * PAGE);
	struct vmmem_region *exact = region_of(0, MOST);

	plan_for(MAP(vmmem_region_ref(region), vmmem_region_ref(other),
		     vmmem_region_ref(exact)));
	expect_count(5);
	ck_assert_uint_eq(asked, 3);
	do_all();
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 5);
	expect_slot(0, exact, 0, MOST);
	expect_slot(1, region, 0, MOST);
	expect_slot(2, region, MOST, MOST);
	expect_slot(3, region, 2 * MOST, 2 * PAGE);
	expect_slot(4, other, 0, 2 * PAGE);

	/* Nothing changes, asked or not. */
	plan_for(MAP(vmmem_region_ref(region), vmmem_region_ref(other),
		     vmmem_region_ref(exact)));
	expect_count(0);
	ck_assert_uint_eq(asked, 3);
	assert_ok(vmmem_slot_table_redescribe(slots));
	plan_for(MAP(vmmem_region_ref(region), vmmem_region_ref(other),
		     vmmem_region_ref(exact)));
	expect_count(0);
	ck_assert_uint_eq(asked, 6);

	/* All of it goes, and nothing else. */
	plan_for(MAP(other, exact));
	expect_count(3);
	do_all();
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 2);
	vmmem_region_unref(region);
}
END_TEST

/* What is not what the table says is made again, and only that. */
START_TEST(one_is_invalid)
{
	struct vmmem_region *region = region_of(0, LONG);

	plan_for(MAP(vmmem_region_ref(region)));
	do_all();
	assert_ok(vmmem_slot_table_invalidate(slots, 1));
	plan_for(MAP(region));
	expect_count(2);
	expect_op(0, VMMEM_SLOT_OP_DELETE, 1, MOST);
	expect_op(1, VMMEM_SLOT_OP_CREATE, 1, MOST);
	do_all();
	expect_slot(1, region, MOST, MOST);
}
END_TEST

START_TEST(moved_and_kept)
{
	struct vmmem_region *memory = region_of(0, LONG), *alias = NULL;
	struct vmmem_region *tail = NULL;
	size_t i;

	plan_for(MAP(vmmem_region_ref(memory)));
	do_all();
	/* Another region of the same bytes, in the same place and elsewhere. */
	plan_for(MAP(alias_of(0, memory)));
	expect_count(3);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(op_at(i).kind, VMMEM_SLOT_OP_KEEP);
	do_all();
	alias = alias_of(LONG, memory);
	plan_for(MAP(vmmem_region_ref(alias)));
	expect_count(3);
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(op_at(i).kind, VMMEM_SLOT_OP_MOVE);
		ck_assert_uint_eq(op_at(i).old_gpa, i * MOST);
	}
	do_all();
	expect_slot(1, alias, MOST, MOST);
	/* A region that has a part of it: that part is there already. */
	assert_ok(vmmem_region_new_alias(LONG + MOST, LONG - MOST, memory,
					 MOST, &tail));
	plan_for(MAP(vmmem_region_ref(tail)));
	expect_count(3);
	ck_assert_uint_eq(op_at(0).kind, VMMEM_SLOT_OP_DELETE);
	ck_assert_uint_eq(op_at(1).kind, VMMEM_SLOT_OP_KEEP);
	ck_assert_uint_eq(op_at(2).kind, VMMEM_SLOT_OP_KEEP);
	do_all();
	expect_slot(0, tail, 0, MOST);
	expect_slot(1, tail, MOST, LONG - 2 * MOST);
	vmmem_region_unref(tail);
	vmmem_region_unref(alias);
	vmmem_region_unref(memory);
}
END_TEST

/* Any descriptor may be one, also the first one of all. */
START_TEST(offsets_in_a_guest_memfd)
{
	struct vmmem_region *region = region_of(0, LONG);
	struct vmmem_slot slot;
	size_t i;

	guest_memfd = _i * 42;
	plan_for(MAP(region));
	do_all();
	ck_assert_uint_eq(asked, 1);
	for (i = 0; i < 3; i++) {
		assert_ok(vmmem_slot_table_at(slots, i, &slot));
		ck_assert_int_eq(slot.guest_memfd, _i * 42);
		ck_assert_uint_eq(slot.guest_memfd_offset,
				  5 * PAGE + i * MOST);
	}
}
END_TEST

static int
none(void *opaque, uint64_t offset, void *buf, size_t len,
     const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	(void)buf;
	(void)len;
	return -EIO;
}

/* What gets no slot costs nothing, however many it would be. */
START_TEST(no_slots)
{
	struct vmmem_region *after = region_of(UINT64_C(1) << 62, PAGE);
	const struct vmmem_region_ops ops = { .size = sizeof(ops),
					      .read = none };
	struct vmmem_region *custom = NULL;

	assert_ok(vmmem_region_new_custom(0, UINT64_C(1) << 62, &ops, NULL,
					  &custom));
	plan_for(MAP(vmmem_region_ref(custom), vmmem_region_ref(after)));
	expect_count(1);
	ck_assert_uint_eq(asked, 2);
	do_all();
	expect_slot(0, after, 0, PAGE);
	/* Where there were some, they go. */
	plan_for(MAP(region_of(PAGE, LONG), vmmem_region_ref(after)));
	do_all();
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 4);
	plan_for(MAP(custom, after));
	expect_count(3);
	do_all();
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 1);
}
END_TEST

START_TEST(refused)
{
	struct vmmem_slot_table_options options = { .size = sizeof(options),
					       .max = 2,
					       .max_len = MOST + 1 };
	struct vmmem_slot_table *none = (void *)&options, *made = none;
	struct vmmem_collection *map = MAP(region_of(0, LONG));

	assert_code(vmmem_slot_table_new(&options, &made), VMMEM_EARGUMENT);
	ck_assert_ptr_eq(made, none);
	/* As many as there are in all. */
	options.max_len = MOST;
	assert_ok(vmmem_slot_table_new(&options, &made));
	assert_code(vmmem_slot_plan_new(made, map, &plan), VMMEM_ENOSLOT);
	vmmem_slot_table_free(made);
	options.max = 3;
	assert_ok(vmmem_slot_table_new(&options, &made));
	assert_ok(vmmem_slot_plan_new(made, map, &plan));
	plan = vmmem_slot_plan_free(plan);
	vmmem_slot_table_free(made);
	vmmem_collection_unref(map);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("slot_table_long");
	TCase *tcase = tcase_create("long");

	tcase_add_checked_fixture(tcase, setup_long, teardown);
	tcase_add_test(tcase, several_slots);
	tcase_add_test(tcase, one_is_invalid);
	tcase_add_test(tcase, moved_and_kept);
	tcase_add_loop_test(tcase, offsets_in_a_guest_memfd, 0, 2);
	tcase_add_test(tcase, no_slots);
	tcase_add_test(tcase, refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
