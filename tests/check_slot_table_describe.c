/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What becomes a slot, by itself and as its caller describes it. */
#include "plans.h"

#include <vmmem/slot_table.h>

static int
never_read(void *opaque, uint64_t offset, void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	(void)buf;
	(void)len;
	return -EIO;
}

START_TEST(regions_without_a_slot)
{
	struct vmmem_region_ops ops = { .size = sizeof(ops),
					.read = never_read };
	struct vmmem_region *custom;

	assert_ok(vmmem_region_new_custom(3, 5, &ops, NULL, &custom));
	plan_for(MAP(custom, region_with(LEN, LEN, VMMEM_PROT_WRITE)));
	expect_count(0);
}
END_TEST

START_TEST(slots_are_of_whole_pages)
{
	struct vmmem_collection *map;

	map = MAP(region_of(LEN + 16, LEN));
	assert_code(vmmem_slot_plan_new(slots, map, &plan), VMMEM_ESLOTALIGN);
	vmmem_collection_unref(map);
	map = MAP(region_of(LEN, LEN - 16));
	assert_code(vmmem_slot_plan_new(slots, map, &plan), VMMEM_ESLOTALIGN);
	vmmem_collection_unref(map);
	ck_assert_ptr_null(plan);
}
END_TEST

static int answer;
static uint32_t set_flags;

static int
describe(void *opaque, const struct vmmem_region *region,
	 struct vmmem_slot *slot)
{
	ck_assert_ptr_eq(opaque, &answer);
	ck_assert_uint_eq(slot->gpa, vmmem_region_start(region));
	slot->flags ^= set_flags;
	/* Not what a description is for. */
	slot->gpa = 1;
	slot->len = 1;
	slot->region = NULL;
	return answer;
}

START_TEST(described_by_the_caller)
{
	struct vmmem_slot_table_options options = { .size = sizeof(options),
					       .describe = describe,
					       .opaque = &answer };
	struct vmmem_region *region = region_of(LEN, LEN);
	struct vmmem_collection *map = MAP(vmmem_region_ref(region));

	vmmem_slot_table_free(slots);
	make(&options);
	answer = 0;
	set_flags = VMMEM_SLOT_LOG;
	plan_for(vmmem_collection_ref(map));
	ck_assert_uint_eq(op_at(0).slot.flags, VMMEM_SLOT_LOG);
	ck_assert_uint_eq(op_at(0).slot.gpa, LEN);
	ck_assert_ptr_eq(op_at(0).slot.region, region);
	do_all();
	set_flags = 0;
	/* It has its slot, and is not asked about again of itself. */
	plan_for(vmmem_collection_ref(map));
	expect_count(0);
	assert_ok(vmmem_slot_table_redescribe(slots));
	/* Until it is carried out, each plan asks. */
	plan_for(vmmem_collection_ref(map));
	plan_for(vmmem_collection_ref(map));
	expect_count(1);
	expect_op(0, VMMEM_SLOT_OP_CHANGE, 0, LEN);
	ck_assert_uint_eq(op_at(0).old_flags, VMMEM_SLOT_LOG);
	ck_assert_uint_eq(op_at(0).slot.flags, 0);
	do_all();
	set_flags = VMMEM_SLOT_NONE;
	plan_for(vmmem_collection_ref(map));
	expect_count(0);
	assert_ok(vmmem_slot_table_redescribe(slots));
	plan_for(vmmem_collection_ref(map));
	expect_op(0, VMMEM_SLOT_OP_DELETE, 0, LEN);

	answer = -EXDEV;
	plan = vmmem_slot_plan_free(plan);
	assert_code(vmmem_slot_plan_new(slots, map, &plan), -EXDEV);
	answer = 1;
	assert_code(vmmem_slot_plan_new(slots, map, &plan), VMMEM_ECALLBACK);
	answer = 0;
	set_flags = 16;
	assert_code(vmmem_slot_plan_new(slots, map, &plan), VMMEM_EARGUMENT);
	/* Without a descriptor. */
	set_flags = VMMEM_SLOT_GUEST_MEMFD;
	assert_code(vmmem_slot_plan_new(slots, map, &plan), VMMEM_EARGUMENT);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
}
END_TEST

static uint32_t memfd_flag;

static int
describe_memfd(void *opaque, const struct vmmem_region *region,
	       struct vmmem_slot *slot)
{
	(void)opaque;
	(void)region;
	slot->flags |= memfd_flag;
	slot->guest_memfd = 5;
	slot->guest_memfd_offset = memfd_flag != 0 ? 3 * LEN : 3;
	return 0;
}

/* Without the flag there is no guest_memfd, whatever else is said. */
START_TEST(described_with_guest_memfd)
{
	struct vmmem_slot_table_options options = { .size = sizeof(options),
					       .describe = describe_memfd };

	vmmem_slot_table_free(slots);
	make(&options);
	memfd_flag = _i != 0 ? VMMEM_SLOT_GUEST_MEMFD : 0;
	plan_for(MAP(region_of(LEN, LEN)));
	expect_count(1);
	ck_assert_uint_eq(op_at(0).slot.flags, memfd_flag);
	ck_assert_int_eq(op_at(0).slot.guest_memfd, _i != 0 ? 5 : -1);
	ck_assert_uint_eq(op_at(0).slot.guest_memfd_offset,
			  _i != 0 ? 3 * LEN : 0);
	do_all();
}
END_TEST

START_TEST(described_without_a_host_address)
{
	struct vmmem_slot_table_options options = { .size = sizeof(options),
					       .describe = describe,
					       .opaque = &answer };
	struct vmmem_region_ops ops = { .size = sizeof(ops),
					.read = never_read };
	struct vmmem_collection *map;
	struct vmmem_region *custom;

	vmmem_slot_table_free(slots);
	make(&options);
	answer = 0;
	set_flags = VMMEM_SLOT_NONE;
	assert_ok(vmmem_region_new_custom(0, LEN, &ops, NULL, &custom));
	map = MAP(custom);
	assert_code(vmmem_slot_plan_new(slots, map, &plan), VMMEM_ENOHOST);
	vmmem_collection_unref(map);
}
END_TEST

/* A member of a later version is not one that this library knows. */
static int
describe_more(void *opaque, const struct vmmem_region *region,
	      struct vmmem_slot *slot)
{
	size_t i;

	(void)region;
	for (i = 0; i < ARRAY_LEN(slot->reserved); i++)
		ck_assert_uint_eq(slot->reserved[i], 0);
	slot->reserved[*(size_t *)opaque] = 1;
	return 0;
}

START_TEST(described_by_a_newer_caller)
{
	size_t word;
	struct vmmem_slot_table_options options = { .size = sizeof(options),
					       .describe = describe_more,
					       .opaque = &word };
	struct vmmem_collection *map = MAP(region_of(0, LEN));

	vmmem_slot_table_free(slots);
	make(&options);
	for (word = 0; word < 9; word++)
		assert_code(vmmem_slot_plan_new(slots, map, &plan),
			    VMMEM_EARGUMENT);
	vmmem_collection_unref(map);
}
END_TEST

/* What a language without callbacks says. */
START_TEST(set_without_a_callback)
{
	struct vmmem_region_ops ops = { .size = sizeof(ops),
					.read = never_read };
	struct vmmem_region *region = region_of(LEN, LEN);
	struct vmmem_region *custom;
	struct vmmem_collection *map;

	assert_ok(vmmem_region_new_custom(4 * LEN, LEN, &ops, NULL, &custom));
	map = MAP(region_of(0, LEN), vmmem_region_ref(region),
		  vmmem_region_ref(custom));
	assert_ok(vmmem_slot_table_exclude(slots, region));
	plan_for(vmmem_collection_ref(map));
	expect_count(1);
	expect_op(0, VMMEM_SLOT_OP_CREATE, 0, 0);
	do_all();
	/* The last setting counts, and memory only of the guest has no host. */
	assert_ok(vmmem_slot_table_set_guest_memfd(slots, region, 5, 3 * LEN));
	assert_ok(vmmem_slot_table_set_guest_memfd(slots, custom, 6, 0));
	plan_for(vmmem_collection_ref(map));
	/* It cannot be written through its callbacks, so it is read-only. */
	expect_count(2);
	ck_assert_uint_eq(op_at(0).slot.flags, VMMEM_SLOT_GUEST_MEMFD);
	ck_assert_int_eq(op_at(0).slot.guest_memfd, 5);
	ck_assert_uint_eq(op_at(0).slot.guest_memfd_offset, 3 * LEN);
	ck_assert_int_eq(op_at(1).slot.guest_memfd, 6);
	ck_assert_ptr_null(op_at(1).slot.host);
	do_all();
	assert_ok(vmmem_slot_table_unset(slots, region));
	assert_ok(vmmem_slot_table_unset(slots, custom));
	plan_for(vmmem_collection_ref(map));
	expect_count(3);
	expect_op(0, VMMEM_SLOT_OP_DELETE, 2, 4 * LEN);
	expect_op(2, VMMEM_SLOT_OP_CREATE, 1, LEN);
	ck_assert_int_eq(op_at(2).slot.guest_memfd, -1);

	assert_code(vmmem_slot_table_unset(slots, region), VMMEM_ENOREGION);
	assert_code(vmmem_slot_table_unset(slots, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_unset(NULL, region), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_exclude(slots, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_exclude(NULL, region), VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_set_guest_memfd(NULL, region, 0, 0),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_set_guest_memfd(slots, NULL, 0, 0),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slot_table_set_guest_memfd(slots, region, -1, 0),
		    VMMEM_EARGUMENT);
	/* What is set is held, and freed with the table. */
	assert_ok(vmmem_slot_table_exclude(slots, region));
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	vmmem_region_unref(custom);
}
END_TEST

static void
count(void *opaque)
{
	++*(unsigned int *)opaque;
}

START_TEST(destroy_is_called_once)
{
	unsigned int destroyed = 0;
	struct vmmem_slot_table_options options = { .size = sizeof(options),
					       .destroy = count,
					       .opaque = &destroyed };

	vmmem_slot_table_free(slots);
	make(&options);
	slots = vmmem_slot_table_free(slots);
	ck_assert_uint_eq(destroyed, 1);
	/* Not if there is no table. */
	options.reserved = 1;
	assert_code(vmmem_slot_table_new(&options, &slots), VMMEM_EARGUMENT);
	ck_assert_uint_eq(destroyed, 1);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("what becomes a slot");
	TCase *tcase = tcase_create("slots");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, regions_without_a_slot);
	tcase_add_test(tcase, slots_are_of_whole_pages);
	tcase_add_test(tcase, described_by_the_caller);
	tcase_add_loop_test(tcase, described_with_guest_memfd, 0, 2);
	tcase_add_test(tcase, described_without_a_host_address);
	tcase_add_test(tcase, described_by_a_newer_caller);
	tcase_add_test(tcase, destroy_is_called_once);
	tcase_add_test(tcase, set_without_a_callback);
	suite_add_tcase(suite, tcase);
	return suite;
}
