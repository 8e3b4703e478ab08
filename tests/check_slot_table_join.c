/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Neighbours that are one piece of memory have one slot: the segments of a PC's
 * shadow memory over one RAM, or what is left of a region that was cut.
 */
#include <stdio.h>

#include "plans.h"
#include "rng.h"

#include <vmmem/slot_table.h>

#define MIB UINT64_C(0x100000)
#define RAM_LEN (64 * MIB)
#define SEGMENT (4 * PAGE)
#define SEGMENTS 13

static struct vmmem_region *ram;

static void
setup_ram(void)
{
	setup();
	/* Where it is itself is in no map of these tests. */
	ram = region_of(UINT64_C(1) << 40, RAM_LEN);
}

static void
teardown_ram(void)
{
	teardown();
	vmmem_region_unref(ram);
}

static void
make_with(const struct vmmem_slot_table_options *options)
{
	/* A plan is of the table that it was made for. */
	plan = vmmem_slot_plan_free(plan);
	vmmem_slot_table_free(slots);
	make(options);
}

/* view() shows [offset, offset + len) of the RAM at 'gpa'. */
static struct vmmem_region *
view(uint64_t gpa, uint64_t len, uint64_t offset, int read_only)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_region_builder_set_alias(builder, ram, offset);
	if (read_only)
		vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

/* pam() is a PC's RAM in 15 pieces; bits say which segments are read-only. */
static struct vmmem_collection *
pam(unsigned int read_only)
{
	struct vmmem_region *regions[SEGMENTS + 2];
	uint64_t at = MIB;
	size_t i;

	regions[0] = view(0, MIB, 0, 0);
	for (i = 0; i < SEGMENTS; i++, at += SEGMENT)
		regions[i + 1] = view(at, SEGMENT, at,
				      (read_only >> i & 1) != 0);
	regions[SEGMENTS + 1] = view(at, 2 * MIB, at, 0);
	return map_of(regions, SEGMENTS + 2);
}

static void
expect_slot(uint64_t gpa, uint64_t len, uint32_t regions, uint32_t flags)
{
	struct vmmem_slot slot;

	assert_ok(vmmem_slot_table_find(slots, gpa, &slot));
	ck_assert_uint_eq(slot.gpa, gpa);
	ck_assert_uint_eq(slot.len, len);
	ck_assert_uint_eq(slot.region_count, regions);
	ck_assert_uint_eq(slot.flags, flags);
	ck_assert_uint_eq(vmmem_region_start(slot.region), gpa);
	ck_assert_ptr_eq(slot.host, expect_host(ram) + gpa);
}

START_TEST(segments_of_one_ram)
{
	plan_for(pam(0));
	expect_count(1);
	do_all();
	expect_slot(0, 3 * MIB + SEGMENTS * SEGMENT, SEGMENTS + 2, 0);
	plan_for(pam(0));
	/* Other objects, and the same bytes. */
	expect_count(1);
	expect_op(0, VMMEM_SLOT_OP_KEEP, 0, 0);
	do_all();
}
END_TEST

/* What is long stays when a segment comes back, for the guest runs there. */
START_TEST(segment_that_is_flipped)
{
	const uint64_t at = MIB + 3 * SEGMENT;
	struct vmmem_collection *map;

	plan_for(pam(0));
	do_all();
	plan_for(pam(1 << 3));
	expect_count(4);
	do_all();
	expect_slot(0, at, 4, 0);
	expect_slot(at, SEGMENT, 1, VMMEM_SLOT_READ_ONLY);
	expect_slot(at + SEGMENT, 2 * MIB + 9 * SEGMENT, 10, 0);
	map = pam(0);
	plan_for(vmmem_collection_ref(map));
	expect_count(4);
	expect_op(0, VMMEM_SLOT_OP_DELETE, 1, at);
	expect_op(3, VMMEM_SLOT_OP_CREATE, 1, at);
	do_all();
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 3);
	/* Nothing is left to do, and it stays so. */
	plan_for(map);
	expect_count(0);
}
END_TEST

/* All flipped one by one, and back: the segments are one slot again. */
START_TEST(segments_that_are_flipped_one_by_one)
{
	unsigned int i, flipped = 0;

	plan_for(pam((1 << SEGMENTS) - 1));
	do_all();
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 3);
	for (i = 0; i < SEGMENTS; i++) {
		flipped |= 1U << i;
		plan_for(pam(((1 << SEGMENTS) - 1) & ~flipped));
		do_all();
		ck_assert_uint_le(vmmem_slot_table_count(slots), 4);
	}
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 3);
	expect_slot(0, MIB, 1, 0);
	expect_slot(MIB, SEGMENTS * SEGMENT, SEGMENTS, 0);
}
END_TEST

/* If there are too few slots, what is long is joined as well. */
START_TEST(joined_where_slots_are_few)
{
	struct vmmem_slot_table_options options = { .size = sizeof(options),
						    .max = 3 };
	struct vmmem_collection *map, *more;
	struct vmmem_region *other = region_of(8 * MIB, SEGMENT);

	make_with(&options);
	plan_for(pam(0));
	do_all();
	plan_for(pam(1));
	do_all();
	plan_for(pam(0));
	do_all();
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 3);
	map = pam(0);
	assert_ok(vmmem_collection_insert(map, other, &more));
	vmmem_collection_unref(map);
	plan_for(more);
	do_all();
	ck_assert_uint_eq(vmmem_slot_table_count(slots), 2);
	vmmem_region_unref(other);
	/* And if that does not help. */
	map = pam(1 << 2 | 1 << 4);
	assert_code(vmmem_slot_plan_new(slots, map, &plan), VMMEM_ENOSLOT);
	vmmem_collection_unref(map);
}
END_TEST

START_TEST(what_is_not_one_piece)
{
	struct vmmem_slot_table_options options = {
		.size = sizeof(options), .flags = VMMEM_SLOT_TABLE_NO_MERGE
	};

	/* A gap in the guest; the wrong order; something between. */
	plan_for(MAP(view(0, LEN, 0, 0), view(2 * LEN, LEN, LEN, 0)));
	expect_count(2);
	plan_for(MAP(view(0, LEN, LEN, 0), view(LEN, LEN, 0, 0)));
	expect_count(2);
	plan_for(MAP(view(0, LEN, 0, 0), view(LEN, LEN, LEN + PAGE, 0)));
	expect_count(2);
	plan_for(MAP(view(0, LEN, 0, 0), view(LEN, LEN, LEN, 1)));
	expect_count(2);
	/* Memory of its own, wherever the system has put it. */
	plan_for(MAP(region_of(0, LEN), region_of(LEN, LEN)));
	expect_count(2);
	/* Or nobody wants it. */
	make_with(&options);
	plan_for(pam(0));
	expect_count(SEGMENTS + 2);
}
END_TEST

/* A slot of the longest length may begin and end within regions. */
START_TEST(joined_and_longer_than_a_slot)
{
	struct vmmem_slot_table_options options = { .size = sizeof(options),
						    .max_len = 3 * PAGE };
	struct vmmem_slot slot;

	make_with(&options);
	plan_for(MAP(view(0, 2 * PAGE, 0, 0), view(2 * PAGE, PAGE, 2 * PAGE, 0),
		     view(3 * PAGE, 4 * PAGE, 3 * PAGE, 0),
		     view(7 * PAGE, PAGE, 7 * PAGE, 0)));
	expect_count(3);
	do_all();
	expect_slot(0, 3 * PAGE, 2, 0);
	expect_slot(3 * PAGE, 3 * PAGE, 1, 0);
	assert_ok(vmmem_slot_table_find(slots, 6 * PAGE, &slot));
	ck_assert_uint_eq(slot.len, 2 * PAGE);
	ck_assert_uint_eq(slot.region_count, 2);
	ck_assert_uint_eq(vmmem_region_start(slot.region), 3 * PAGE);
}
END_TEST

/* The rest of the map is not refused for one region. */
START_TEST(odd_regions_are_left_to_exits)
{
	struct vmmem_slot_table_options options = {
		.size = sizeof(options), .flags = VMMEM_SLOT_TABLE_SKIP_UNALIGNED
	};

	make_with(&options);
	plan_for(MAP(region_of(0, LEN), region_of(LEN, PAGE / 4),
		     region_of(2 * LEN + 16, PAGE), region_of(4 * LEN, PAGE)));
	expect_count(2);
	do_all();
	ck_assert_uint_eq(op_at(0).slot.gpa, 0);
	ck_assert_uint_eq(op_at(1).slot.gpa, 4 * LEN);
}
END_TEST

/* What a random map has at each page: which of RAM's, and whether read-only. */
#define PAGES 4096
#define NOTHING SIZE_MAX

struct world {
	size_t page[PAGES];
	bool read_only[PAGES];
};

static struct vmmem_collection *
random_map(struct rng *rng, struct world *world)
{
	struct vmmem_region *regions[PAGES];
	size_t at = 0, from = 0, count = 0, i, len;

	while (at < PAGES) {
		bool read_only = rng_below(rng, 4) == 0;

		len = 1 + (size_t)rng_below(rng, rng_below(rng, 4) == 0 ?
							 900 :
							 30);
		if (len > PAGES - at)
			len = PAGES - at;
		/* Mostly straight on. */
		if (rng_below(rng, 8) == 0)
			from = (size_t)rng_below(rng, 2 * PAGES);
		for (i = at; i < at + len; i++) {
			world->page[i] = from + i;
			world->read_only[i] = read_only;
		}
		if (rng_below(rng, 8) == 0)
			for (i = at; i < at + len; i++)
				world->page[i] = NOTHING;
		else
			regions[count++] = view(at * PAGE, len * PAGE,
						(from + at) * PAGE, read_only);
		at += len;
	}
	return map_of(regions, count);
}

/* expect_world() expects the slots to show just that. */
static void
expect_world(const struct world *world, const struct vmmem_collection *map)
{
	const uint8_t *host = expect_host(ram);
	struct vmmem_region *region;
	struct vmmem_slot slot;
	size_t i;
	int rc;

	for (i = 0; i < PAGES; i++) {
		rc = vmmem_slot_table_find(slots, i * PAGE, &slot);
		if (world->page[i] == NOTHING) {
			assert_code(rc, VMMEM_EBADADDR);
			continue;
		}
		assert_ok(rc);
		ck_assert_ptr_eq((uint8_t *)slot.host + (i * PAGE - slot.gpa),
				 host + world->page[i] * PAGE);
		ck_assert_uint_eq(slot.flags, world->read_only[i] ?
						      VMMEM_SLOT_READ_ONLY :
						      0);
		region = vmmem_collection_find(map, slot.gpa);
		ck_assert_ptr_eq(slot.region, region);
	}
}

START_TEST(random_maps)
{
	struct vmmem_slot_table_options options = { .size = sizeof(options) };
	struct vmmem_collection *map;
	static struct world world;
	const uint64_t seed = rng_seed() + (uint64_t)_i;
	struct rng rng = { seed };
	size_t i, regions = 0, had = 0;

	printf("seed %#llx\n", (unsigned long long)seed);
	if (rng_below(&rng, 2) == 0)
		options.flags = VMMEM_SLOT_TABLE_CAN_MOVE;
	if (rng_below(&rng, 2) == 0)
		options.max_len = (1 + rng_below(&rng, 300)) * PAGE;
	make_with(&options);
	for (i = 0; i < rng_rounds(8); i++) {
		map = random_map(&rng, &world);
		plan_for(vmmem_collection_ref(map));
		do_all();
		expect_world(&world, map);
		plan_for(vmmem_collection_ref(map));
		expect_count(0);
		regions += vmmem_collection_count(map);
		had += vmmem_slot_table_count(slots);
		vmmem_collection_unref(map);
	}
	if (options.max_len == 0)
		ck_assert_uint_lt(had, regions);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("joined slots");
	TCase *tcase = tcase_create("join");

	tcase_add_checked_fixture(tcase, setup_ram, teardown_ram);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, segments_of_one_ram);
	tcase_add_test(tcase, segment_that_is_flipped);
	tcase_add_test(tcase, segments_that_are_flipped_one_by_one);
	tcase_add_test(tcase, joined_where_slots_are_few);
	tcase_add_test(tcase, what_is_not_one_piece);
	tcase_add_test(tcase, joined_and_longer_than_a_slot);
	tcase_add_test(tcase, odd_regions_are_left_to_exits);
	tcase_add_loop_test(tcase, random_maps, 0, 4);
	suite_add_tcase(suite, tcase);
	return suite;
}
