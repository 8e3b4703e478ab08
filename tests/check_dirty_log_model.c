/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A dirty log against plain arrays: random writes, regions that come and go,
 * sends, and confirmations that come late or not at all.  After each collect
 * the log must say exactly what the model says, and what it calls clean must
 * be on the other side.  Then the same with writers that do not wait.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "guest.h"
#include "rng.h"
#include "suite.h"

#define SLOTS 8
#define SLOT_LEN 2048
#define SLOT_GPA(slot) ((uint64_t)(slot) << 20)

/* The memory that most regions are aliases of. */
#define RAM_LEN 8192
#define RAM_PAGE 256
#define OWN_PAGE 64
#define PAGES_MAX (SLOT_LEN / OWN_PAGE + 1)

/* Ranges that were sent, and whose confirmation is on its way. */
#define FLIGHT 16

struct slot {
	bool used;
	struct vmmem_region *region;
	bool own;        /* its memory and bitmap */
	uint64_t offset; /* in ram */
	uint64_t len, page;
	bool dirty[PAGES_MAX], pending[PAGES_MAX], found[PAGES_MAX];
	bool marked[PAGES_MAX]; /* if it has its own bitmap */
	unsigned char there[SLOT_LEN];
};

struct world {
	struct rng rng;
	struct vmmem_space *space;
	struct vmmem_region *ram;
	struct vmmem_dirty_log *log;
	bool ram_marked[RAM_LEN / RAM_PAGE];
	struct slot slots[SLOTS];
	struct vmmem_dirty_range flight[FLIGHT];
	unsigned int flying;
};

static struct vmmem_region *
tracked(uint64_t gpa, uint64_t len, uint64_t page)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_region_builder_set_tracking(builder, page);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

static uint64_t
page_of(const struct slot *slot, uint64_t byte)
{
	return (slot->offset + byte) / slot->page - slot->offset / slot->page;
}

static uint64_t
pages_of(const struct slot *slot)
{
	return page_of(slot, slot->len - 1) + 1;
}

static void
plug(struct world *world, unsigned int index)
{
	struct slot *slot = &world->slots[index];
	uint64_t i;

	memset(slot, 0, sizeof(*slot));
	slot->used = true;
	slot->own = rng_chance(&world->rng, 25);
	slot->len = 16 * (1 + rng_below(&world->rng, SLOT_LEN / 16));
	slot->page = slot->own ? OWN_PAGE : RAM_PAGE;
	if (slot->own) {
		slot->region = tracked(SLOT_GPA(index), slot->len, OWN_PAGE);
	} else {
		slot->offset = 16 * rng_below(&world->rng,
					      (RAM_LEN - slot->len) / 16 + 1);
		assert_ok(vmmem_region_new_alias(SLOT_GPA(index), slot->len,
						 world->ram, slot->offset,
						 &slot->region));
	}
	assert_ok(vmmem_space_insert(world->space, slot->region));
	memset(slot->there, 0xee, sizeof(slot->there));
	for (i = 0; i < pages_of(slot); i++)
		slot->dirty[i] = true;
}

static void
unplug(struct world *world, unsigned int index)
{
	struct slot *slot = &world->slots[index];

	assert_ok(vmmem_space_remove(world->space, SLOT_GPA(index), slot->len,
				     NULL));
	slot->region = vmmem_region_unref(slot->region);
	slot->used = false;
}

static void
write_some(struct world *world, unsigned int index)
{
	struct slot *slot = &world->slots[index];
	uint64_t at = rng_below(&world->rng, slot->len), i;
	uint64_t len = 1 + rng_below(&world->rng, slot->len - at);
	struct vmmem_collection *map;

	if (rng_chance(&world->rng, 70) && len > 8)
		len = 8;
	map = vmmem_space_get(world->space);
	assert_ok(vmmem_collection_fill(map, SLOT_GPA(index) + at, len,
					(uint8_t)rng_next(&world->rng), NULL));
	vmmem_collection_unref(map);
	for (i = at; i < at + len; i++) {
		if (slot->own)
			slot->marked[i / OWN_PAGE] = true;
		else
			world->ram_marked[(slot->offset + i) / RAM_PAGE] = true;
	}
}

static bool
is_marked(const struct world *world, const struct slot *slot, uint64_t page)
{
	return slot->own ? slot->marked[page] :
			   world->ram_marked[slot->offset / RAM_PAGE + page];
}

static void
model_collect(struct world *world)
{
	struct slot *slot;
	bool any = false;
	uint64_t page;

	for (slot = world->slots; slot < world->slots + SLOTS; slot++) {
		for (page = 0; slot->used && page < pages_of(slot); page++) {
			bool mark = slot->pending[page] ||
				    is_marked(world, slot, page);

			slot->pending[page] = slot->found[page] && mark;
			slot->dirty[page] |= mark;
		}
		memset(slot->marked, 0, sizeof(slot->marked));
		any |= slot->used && !slot->own;
	}
	/* Nobody took them if nothing of it is in the space. */
	if (any)
		memset(world->ram_marked, 0, sizeof(world->ram_marked));
}

/* What the log calls dirty is what the model does, byte by byte. */
static void
compare(struct world *world)
{
	bool found[SLOTS][SLOT_LEN] = { { false } };
	struct vmmem_dirty_range range = { 0 };
	struct slot *slot;
	uint64_t bytes = 0, i;
	unsigned int index;

	for (;;) {
		assert_ok(vmmem_dirty_log_next(world->log, &range));
		if (range.len == 0)
			break;
		index = (unsigned int)(range.gpa >> 20);
		ck_assert_uint_lt(index, SLOTS);
		slot = &world->slots[index];
		ck_assert(slot->used);
		ck_assert_uint_ne(range.region, 0);
		for (i = range.gpa - SLOT_GPA(index); range.len-- > 0; i++) {
			ck_assert_uint_lt(i, slot->len);
			ck_assert(!found[index][i]);
			found[index][i] = true;
			range.gpa++;
		}
		range.len = 0;
	}
	for (index = 0; index < SLOTS; index++) {
		slot = &world->slots[index];
		for (i = 0; slot->used && i < slot->len; i++) {
			ck_assert_int_eq(found[index][i],
					 slot->dirty[page_of(slot, i)]);
			bytes += found[index][i];
			slot->found[page_of(slot, i)] = found[index][i];
		}
	}
	ck_assert_uint_eq(vmmem_dirty_log_count(world->log), bytes);
}

/* What is clean after a collect has arrived as it is. */
static void
check_clean(struct world *world)
{
	struct vmmem_collection *map = vmmem_space_get(world->space);
	unsigned char here[SLOT_LEN];
	const struct slot *slot;
	unsigned int index;
	uint64_t i;

	for (index = 0; index < SLOTS; index++) {
		slot = &world->slots[index];
		if (!slot->used)
			continue;
		assert_ok(vmmem_collection_read(map, SLOT_GPA(index), here,
						(size_t)slot->len, NULL));
		for (i = 0; i < slot->len; i++)
			ck_assert(slot->dirty[page_of(slot, i)] ||
				  here[i] == slot->there[i]);
	}
	vmmem_collection_unref(map);
}

static void
collect(struct world *world)
{
	uint64_t bytes;

	assert_ok(vmmem_dirty_log_collect(world->log, &bytes));
	model_collect(world);
	/* To look at it all is to find all of it. */
	if (rng_chance(&world->rng, 30))
		compare(world);
	check_clean(world);
}

static void
confirm(struct world *world, const struct vmmem_dirty_range *range, bool stale)
{
	const unsigned int index = (unsigned int)(range->gpa >> 20);
	struct slot *slot = &world->slots[index];
	const uint64_t at = range->gpa - SLOT_GPA(index);
	bool whole, any;
	uint64_t page, i;

	assert_ok(vmmem_dirty_log_confirm(world->log, range));
	for (page = 0; !stale && page < pages_of(slot); page++) {
		whole = true;
		any = false;
		for (i = 0; i < slot->len; i++) {
			if (page_of(slot, i) != page)
				continue;
			whole &= i >= at && i < at + range->len;
			any = true;
		}
		if (whole && any)
			slot->dirty[page] = slot->found[page] = false;
	}
}

/* Which regions are the same as when a range was found. */
static uint64_t number_of[SLOTS];

/*
 * forget_earlier() forgets what is in flight of these bytes: only the last time
 * that they were sent may be confirmed.  Confirmations are for whole pages.
 */
static void
forget_earlier(struct world *world, const struct vmmem_dirty_range *range)
{
	unsigned int i = 0;

	while (i < world->flying) {
		if (world->flight[i].region == range->region &&
		    world->flight[i].gpa < range->gpa + range->len + RAM_PAGE &&
		    range->gpa < world->flight[i].gpa + world->flight[i].len +
					 RAM_PAGE)
			world->flight[i] = world->flight[--world->flying];
		else
			i++;
	}
}

static void
send_some(struct world *world)
{
	struct vmmem_dirty_range range = { 0 };
	struct vmmem_collection *map;
	struct slot *slot;
	unsigned int index;
	uint64_t i;

	range.gpa = SLOT_GPA(rng_below(&world->rng, SLOTS)) +
		    rng_below(&world->rng, SLOT_LEN);
	assert_ok(vmmem_dirty_log_next(world->log, &range));
	if (range.len == 0)
		return;
	slot = &world->slots[range.gpa >> 20];
	for (i = 0; i < range.len; i++)
		slot->found[page_of(slot, range.gpa % SLOT_GPA(1) + i)] = true;
	if (rng_chance(&world->rng, 50))
		range.len = 1 + rng_below(&world->rng, range.len);
	index = (unsigned int)(range.gpa >> 20);
	slot = &world->slots[index];
	number_of[index] = range.region;
	forget_earlier(world, &range);
	map = vmmem_space_get(world->space);
	assert_ok(vmmem_collection_read(
		map, range.gpa, slot->there + (range.gpa - SLOT_GPA(index)),
		(size_t)range.len, NULL));
	vmmem_collection_unref(map);
	if (world->flying < FLIGHT && rng_chance(&world->rng, 50))
		world->flight[world->flying++] = range;
	else if (rng_chance(&world->rng, 80))
		confirm(world, &range, false);
}

static void
land(struct world *world)
{
	struct vmmem_dirty_range range;
	unsigned int index, at;

	if (world->flying == 0)
		return;
	at = (unsigned int)rng_below(&world->rng, world->flying);
	range = world->flight[at];
	world->flight[at] = world->flight[--world->flying];
	index = (unsigned int)(range.gpa >> 20);
	confirm(world, &range,
		!world->slots[index].used || number_of[index] != range.region);
}

static void
step(struct world *world)
{
	const unsigned int index = (unsigned int)rng_below(&world->rng, SLOTS);
	const uint64_t choice = rng_below(&world->rng, 100);

	if (choice < 4 && !world->slots[index].used) {
		plug(world, index);
		/* No range was found in it yet. */
		number_of[index] = 0;
	} else if (choice < 6 && world->slots[index].used) {
		unplug(world, index);
	} else if (choice < 45) {
		if (world->slots[index].used)
			write_some(world, index);
	} else if (choice < 75) {
		send_some(world);
	} else if (choice < 90) {
		land(world);
	} else {
		collect(world);
	}
}

static void
open_world(struct world *world)
{
	struct vmmem_collection *map;

	memset(world, 0, sizeof(*world));
	memset(number_of, 0, sizeof(number_of));
	assert_ok(vmmem_collection_new_empty(&map));
	assert_ok(vmmem_space_new(map, NULL, &world->space));
	vmmem_collection_unref(map);
	world->ram = tracked(0, RAM_LEN, RAM_PAGE);
}

static void
close_world(struct world *world)
{
	unsigned int index;

	vmmem_dirty_log_free(world->log);
	for (index = 0; index < SLOTS; index++)
		vmmem_region_unref(world->slots[index].region);
	vmmem_region_unref(world->ram);
	vmmem_space_unref(world->space);
}

/* All of it is sent and arrives. */
static void
send_all(struct world *world)
{
	struct vmmem_dirty_range range = { 0 };
	struct vmmem_collection *map;
	unsigned int index;

	for (;;) {
		assert_ok(vmmem_dirty_log_next(world->log, &range));
		if (range.len == 0)
			break;
		index = (unsigned int)(range.gpa >> 20);
		/* A map that is no older than the range. */
		map = vmmem_space_get(world->space);
		/* It may have been unplugged meanwhile. */
		if (vmmem_collection_read(
			    map, range.gpa,
			    world->slots[index].there +
				    (range.gpa - SLOT_GPA(index)),
			    (size_t)range.len, NULL) == 0)
			assert_ok(vmmem_dirty_log_confirm(world->log, &range));
		vmmem_collection_unref(map);
	}
}

static void
check_all_arrived(struct world *world)
{
	unsigned int index;

	for (index = 0; index < SLOTS; index++) {
		memset(world->slots[index].dirty, 0,
		       sizeof(world->slots[index].dirty));
	}
	check_clean(world);
}

START_TEST(as_the_model)
{
	const uint64_t seed = rng_seed();
	static struct world world;
	uint64_t i;
	unsigned int index;

	printf("VMMEM_TEST_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	open_world(&world);
	world.rng.state = seed;
	for (index = 0; index < SLOTS / 2; index++)
		plug(&world, index);
	assert_ok(vmmem_dirty_log_new(world.space, NULL, &world.log));
	for (i = rng_rounds(10000); i > 0; i--)
		step(&world);
	/* What was in flight is never confirmed. */
	assert_ok(vmmem_dirty_log_collect(world.log, NULL));
	send_all(&world);
	assert_ok(vmmem_dirty_log_collect(world.log, NULL));
	send_all(&world);
	ck_assert_uint_eq(vmmem_dirty_log_count(world.log), 0);
	check_all_arrived(&world);
	close_world(&world);
}
END_TEST

/* Writers that do not wait, of which one plugs memory in and out. */
static atomic_bool stop;

static void *
write_on(void *arg)
{
	struct world *world = arg;
	struct rng rng = { .state = 1 };
	struct vmmem_collection *map;

	while (!atomic_load(&stop)) {
		map = vmmem_space_get(world->space);
		/* Where nothing is, nothing is written. */
		(void)!vmmem_collection_write_u32(
			map,
			SLOT_GPA(rng_below(&rng, SLOTS)) +
				rng_below(&rng, SLOT_LEN),
			(uint32_t)rng_next(&rng));
		vmmem_collection_unref(map);
	}
	return NULL;
}

static void *
plug_on(void *arg)
{
	struct world *world = arg;

	struct slot *slot = &world->slots[SLOTS - 1];
	struct vmmem_region *region;

	/* Each time another region, of which the other side has nothing. */
	while (!atomic_load(&stop)) {
		assert_ok(vmmem_space_remove(world->space,
					     SLOT_GPA(SLOTS - 1), slot->len,
					     NULL));
		assert_ok(vmmem_region_new_alias(SLOT_GPA(SLOTS - 1),
						 slot->len, world->ram,
						 slot->offset, &region));
		assert_ok(vmmem_space_insert(world->space, region));
		vmmem_region_unref(region);
	}
	return NULL;
}

START_TEST(under_writers)
{
	static struct world world;
	pthread_t writer, plugger;
	unsigned int index;
	uint64_t i;

	open_world(&world);
	world.rng.state = 7;
	for (index = 0; index < SLOTS; index++) {
		do {
			if (world.slots[index].used)
				unplug(&world, index);
			plug(&world, index);
		} while (index == SLOTS - 1 && world.slots[index].own);
	}
	assert_ok(vmmem_dirty_log_new(world.space, NULL, &world.log));
	atomic_store(&stop, false);
	ck_assert_int_eq(pthread_create(&writer, NULL, write_on, &world), 0);
	ck_assert_int_eq(pthread_create(&plugger, NULL, plug_on, &world), 0);
	for (i = rng_rounds(300); i > 0; i--) {
		assert_ok(vmmem_dirty_log_collect(world.log, NULL));
		send_all(&world);
	}
	atomic_store(&stop, true);
	ck_assert_int_eq(pthread_join(writer, NULL), 0);
	ck_assert_int_eq(pthread_join(plugger, NULL), 0);
	assert_ok(vmmem_dirty_log_collect(world.log, NULL));
	send_all(&world);
	ck_assert_uint_eq(vmmem_dirty_log_count(world.log), 0);
	check_all_arrived(&world);
	close_world(&world);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("dirty_log_model");
	TCase *tcase = tcase_create("dirty_log_model");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, as_the_model);
	tcase_add_test(tcase, under_writers);
	suite_add_tcase(suite, tcase);
	return suite;
}
