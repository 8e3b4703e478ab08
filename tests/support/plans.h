/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A table of slots, and a plan for it. */
#ifndef PLANS_H
#define PLANS_H

#include "guest.h"
#include "suite.h"

#include <vmmem/slot_table.h>

#define PAGE page_size()
#define LEN (4 * PAGE)

static struct vmmem_slot_table *slots;
static struct vmmem_slot_plan *plan;

static inline void
make(const struct vmmem_slot_table_options *options)
{
	assert_ok(vmmem_slot_table_new(options, &slots));
	plan = NULL;
}

static inline void
setup(void)
{
	struct vmmem_slot_table_options options = { .size = sizeof(options),
					       .flags = VMMEM_SLOT_TABLE_CAN_MOVE };

	make(&options);
}

static inline void
teardown(void)
{
	vmmem_slot_plan_free(plan);
	vmmem_slot_table_free(slots);
}

/* map_of() takes the references over. */
static inline struct vmmem_collection *
map_of(struct vmmem_region **regions, size_t count)
{
	struct vmmem_collection *map;
	size_t i;

	if (count == 0)
		assert_ok(vmmem_collection_new_empty(&map));
	else
		assert_ok(vmmem_collection_new_unsorted(regions, count, &map));
	for (i = 0; i < count; i++)
		vmmem_region_unref(regions[i]);
	return map;
}

#define MAP(...)                                                           \
	map_of((struct vmmem_region *[]){ __VA_ARGS__ },                   \
	       sizeof((struct vmmem_region *[]){ __VA_ARGS__ }) /          \
		       sizeof(struct vmmem_region *))

/* plan_for() plans, and drops the map: the plan has its own reference. */
static inline void
plan_for(struct vmmem_collection *map)
{
	plan = vmmem_slot_plan_free(plan);
	assert_ok(vmmem_slot_plan_new(slots, map, &plan));
	vmmem_collection_unref(map);
}

static inline void
do_all(void)
{
	size_t i;

	for (i = 0; i < vmmem_slot_plan_count(plan); i++)
		assert_ok(vmmem_slot_table_done(slots, plan));
}

static inline struct vmmem_slot_op
op_at(size_t index)
{
	struct vmmem_slot_op op;

	assert_ok(vmmem_slot_plan_at(plan, index, &op));
	return op;
}

static inline void
expect_op(size_t index, uint32_t kind, uint32_t number, uint64_t gpa)
{
	struct vmmem_slot_op op = op_at(index);

	ck_assert_uint_eq(op.kind, kind);
	ck_assert_uint_eq(op.slot.number, number);
	ck_assert_uint_eq(op.slot.gpa, gpa);
}

static inline void
expect_count(size_t count)
{
	ck_assert_uint_eq(vmmem_slot_plan_count(plan), count);
}

static inline struct vmmem_region *
alias_of(uint64_t gpa, struct vmmem_region *target)
{
	struct vmmem_region *region;

	assert_ok(vmmem_region_new_alias(gpa, vmmem_region_len(target), target,
					 0, &region));
	return region;
}

#endif
