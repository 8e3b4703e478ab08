/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Updates: several steps as one change, and no change lost. */
#include <errno.h>
#include <pthread.h>

#include <vmmem/vmmem.h>

#include "owned.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)
#define THREADS 4
#define EACH 50

static struct vmmem_space *space;

static void
setup(void)
{
	struct vmmem_collection *map = NULL;

	assert_ok(vmmem_collection_new_empty(&map));
	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
}

static void
teardown(void)
{
	vmmem_space_unref(space);
}

static struct vmmem_update *
begin(void)
{
	struct vmmem_update *update = NULL;

	assert_ok(vmmem_update_new(space, VMMEM_FOREVER, &update));
	ck_assert_ptr_nonnull(update);
	return update;
}

/* Inserts a region of its own at 'gpa', and drops the reference. */
static void
insert(struct vmmem_update *update, uint64_t gpa)
{
	struct vmmem_region *region = region_of(gpa, PAGE);

	assert_ok(vmmem_update_insert(update, region));
	vmmem_region_unref(region);
}

static size_t
current_count(void)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	size_t count = vmmem_collection_count(map);

	vmmem_collection_unref(map);
	return count;
}

START_TEST(arguments)
{
	struct vmmem_update *none = (void *)&none, *update = none;
	struct vmmem_region *region = NO_REGION;
	struct vmmem_collection *map = vmmem_space_get(space);

	assert_code(vmmem_update_new(NULL, 0, &update), VMMEM_EARGUMENT);
	assert_code(vmmem_update_new(space, 0, NULL), VMMEM_EARGUMENT);
	ck_assert_ptr_eq(update, none);
	ck_assert_ptr_null(vmmem_update_collection(NULL));
	assert_code(vmmem_update_insert(NULL, region), VMMEM_EARGUMENT);
	assert_code(vmmem_update_remove(NULL, 0, 1, &region), VMMEM_EARGUMENT);
	assert_code(vmmem_update_replace(NULL, map), VMMEM_EARGUMENT);
	assert_code(vmmem_update_commit(NULL), VMMEM_EARGUMENT);
	ck_assert_ptr_null(vmmem_update_free(NULL));
	ck_assert_ptr_null(vmmem_update_space(NULL));
	update = begin();
	ck_assert_ptr_eq(vmmem_update_space(update), space);
	assert_code(vmmem_update_insert(update, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_update_replace(update, NULL), VMMEM_EARGUMENT);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_ptr_eq(vmmem_update_collection(update), map);
	ck_assert_ptr_null(vmmem_update_free(update));
	vmmem_collection_unref(map);
}
END_TEST

/* All of it, and nobody sees a part of it. */
START_TEST(steps)
{
	struct vmmem_region *region = NULL;
	struct vmmem_collection *map;
	struct vmmem_update *update;
	uint64_t generation;

	update = begin();
	insert(update, 0);
	insert(update, PAGE);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	ck_assert_uint_eq(current_count(), 2);

	generation = vmmem_space_generation(space);
	update = begin();
	assert_ok(vmmem_update_remove(update, 0, PAGE, &region));
	ck_assert_uint_eq(vmmem_region_start(region), 0);
	vmmem_region_unref(region);
	insert(update, 5 * PAGE);
	insert(update, 0);
	ck_assert_uint_eq(vmmem_collection_count(vmmem_update_collection(update)),
			  3);
	ck_assert_uint_eq(current_count(), 2);
	ck_assert_uint_eq(vmmem_space_generation(space), generation);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	ck_assert_uint_gt(vmmem_space_generation(space), generation);

	map = vmmem_space_get(space);
	ck_assert_uint_eq(vmmem_collection_count(map), 3);
	ck_assert_int_eq(vmmem_collection_contains(map, 5 * PAGE), 1);
	vmmem_collection_unref(map);
}
END_TEST

/* A step that fails leaves the update as it was. */
START_TEST(failing_steps)
{
	struct vmmem_region *region = region_of(0x800, PAGE);
	struct vmmem_region *removed = NO_REGION;
	struct vmmem_update *update = begin();

	insert(update, 0);
	assert_code(vmmem_update_insert(update, region), VMMEM_EOVERLAP);
	assert_code(vmmem_update_remove(update, 0, 2 * PAGE, &removed),
		    VMMEM_ENOREGION);
	ck_assert_ptr_eq(removed, NO_REGION);
	insert(update, 2 * PAGE);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	ck_assert_uint_eq(current_count(), 2);
	vmmem_region_unref(region);
}
END_TEST

/* Small regions make way for a large one, and the other way round. */
START_TEST(in_the_same_place)
{
	struct vmmem_region *large = region_of(0, 8 * PAGE), *back = NULL;
	struct vmmem_update *update;
	uint64_t i;

	update = begin();
	for (i = 8; i-- > 0;)
		insert(update, i * PAGE);
	assert_code(vmmem_update_insert(update, large), VMMEM_EOVERLAP);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	ck_assert_uint_eq(current_count(), 8);

	update = begin();
	for (i = 0; i < 8; i++) {
		assert_code(vmmem_update_insert(update, large),
			    VMMEM_EOVERLAP);
		assert_ok(vmmem_update_remove(update, i * PAGE, PAGE, NULL));
		assert_code(vmmem_update_remove(update, i * PAGE, PAGE, NULL),
			    VMMEM_ENOREGION);
	}
	assert_ok(vmmem_update_insert(update, large));
	/* What is added is there for the steps that follow. */
	assert_code(vmmem_update_insert(update, large), VMMEM_EOVERLAP);
	assert_ok(vmmem_update_remove(update, 0, 8 * PAGE, &back));
	ck_assert_ptr_eq(back, large);
	vmmem_region_unref(back);
	assert_ok(vmmem_update_insert(update, large));
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	ck_assert_uint_eq(current_count(), 1);
	vmmem_region_unref(large);
}
END_TEST

/* A region that is taken out and put back was never gone. */
START_TEST(out_and_in)
{
	struct vmmem_region *region = region_of(0, PAGE);
	struct vmmem_update *update = begin();
	uint64_t generation;

	assert_ok(vmmem_update_insert(update, region));
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	generation = vmmem_space_generation(space);
	update = begin();
	assert_ok(vmmem_update_remove(update, 0, PAGE, NULL));
	assert_ok(vmmem_update_insert(update, region));
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	ck_assert_uint_eq(vmmem_space_generation(space), generation);
	/* Another one in its place is another matter. */
	update = begin();
	assert_ok(vmmem_update_remove(update, 0, PAGE, NULL));
	insert(update, 0);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	ck_assert_uint_gt(vmmem_space_generation(space), generation);
	vmmem_region_unref(region);
}
END_TEST

/* The last addresses there are. */
START_TEST(at_the_top)
{
	const uint64_t last_page = UINT64_MAX - (PAGE - 1);
	struct vmmem_region *wide = region_of(last_page - PAGE, 2 * PAGE);
	struct vmmem_update *update = begin();

	insert(update, last_page);
	assert_code(vmmem_update_insert(update, wide), VMMEM_EOVERLAP);
	insert(update, last_page - PAGE);
	assert_code(vmmem_update_remove(update, last_page, 0, NULL),
		    VMMEM_ENOREGION);
	assert_ok(vmmem_update_remove(update, last_page, PAGE, NULL));
	assert_ok(vmmem_update_remove(update, last_page - PAGE, PAGE, NULL));
	assert_ok(vmmem_update_insert(update, wide));
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	ck_assert_uint_eq(current_count(), 1);
	vmmem_region_unref(wide);
}
END_TEST

START_TEST(replace_then_go_on)
{
	struct vmmem_range range = { 0x100000, PAGE };
	struct vmmem_collection *map = guest_of_ranges(&range, 1);
	struct vmmem_update *update = begin();

	insert(update, 0);
	assert_ok(vmmem_update_replace(update, map));
	ck_assert_ptr_eq(vmmem_update_collection(update), map);
	insert(update, 7 * PAGE);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	vmmem_collection_unref(map);
	map = vmmem_space_get(space);
	ck_assert_uint_eq(vmmem_collection_count(map), 2);
	ck_assert_int_eq(vmmem_collection_contains(map, 0), 0);
	vmmem_collection_unref(map);
}
END_TEST

/* What an abort leaves behind is nothing, at once. */
START_TEST(abort_leaves_nothing)
{
	static struct owned owned;
	struct vmmem_region *region = owned_region(&owned, 0);
	struct vmmem_update *update = begin();
	uint64_t generation = vmmem_space_generation(space);

	assert_ok(vmmem_update_insert(update, region));
	vmmem_region_unref(region);
	ck_assert_ptr_null(vmmem_update_free(update));
	ck_assert_int_eq(owned_is_released(&owned), 1);
	ck_assert_uint_eq(current_count(), 0);
	ck_assert_uint_eq(vmmem_space_generation(space), generation);
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
}
END_TEST

/* Nothing is published where nothing changed. */
START_TEST(commit_of_nothing)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	uint64_t generation = vmmem_space_generation(space);
	struct vmmem_update *update = begin();

	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	assert_ok(vmmem_space_replace(space, map));
	ck_assert_uint_eq(vmmem_space_generation(space), generation);
	vmmem_collection_unref(map);
}
END_TEST

START_TEST(one_at_a_time)
{
	struct vmmem_update *none = (void *)&none, *again = none;
	struct vmmem_update *update = begin();
	struct vmmem_region *region = region_of(0, PAGE);
	struct vmmem_listener_ops ops = { .size = sizeof(ops) };
	struct vmmem_listener *listener;

	assert_code(vmmem_update_new(space, 0, &again), VMMEM_ETIMEOUT);
	assert_code(vmmem_update_new(space, 1000000, &again), VMMEM_ETIMEOUT);
	ck_assert_ptr_eq(again, none);
	/* These do not change the map. */
	assert_ok(vmmem_listener_new(space, &ops, NULL, NULL, &listener));
	assert_ok(vmmem_space_discard(space, 0, 0, 0, NULL));
	vmmem_listener_free(listener);
	vmmem_collection_unref(vmmem_space_get(space));
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	vmmem_update_free(update);
	assert_ok(vmmem_space_insert(space, region));
	assert_ok(vmmem_update_new(space, 0, &update));
	vmmem_update_free(update);
	vmmem_region_unref(region);
}
END_TEST

static int
refuse(void *opaque, struct vmmem_region *region)
{
	(void)region;
	(*(int *)opaque)++;
	return vmmem_region_start(region) == PAGE ? -ENOSPC : 0;
}

/* An update that has ended does nothing any more, and to no other update. */
START_TEST(after_the_end)
{
	int asked = 0;
	struct vmmem_listener_ops ops = { .size = sizeof(ops),
					  .added = refuse };
	struct vmmem_region *region = region_of(PAGE, PAGE);
	struct vmmem_collection *map = vmmem_space_get(space);
	struct vmmem_update *update = begin(), *other;
	struct vmmem_listener *listener;

	assert_ok(vmmem_listener_new(space, &ops, &asked, NULL, &listener));
	assert_ok(vmmem_update_insert(update, region));
	assert_code(vmmem_update_commit(update), -ENOSPC);
	/* Another one is open by now. */
	other = begin();
	insert(other, 7 * PAGE);
	assert_code(vmmem_update_commit(update), VMMEM_EARGUMENT);
	assert_code(vmmem_update_insert(update, region), VMMEM_EARGUMENT);
	assert_code(vmmem_update_remove(update, 7 * PAGE, PAGE, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_update_replace(update, map), VMMEM_EARGUMENT);
	ck_assert_ptr_null(vmmem_update_collection(update));
	ck_assert_ptr_eq(vmmem_update_space(update), space);
	ck_assert_ptr_null(vmmem_update_free(update));
	assert_ok(vmmem_update_commit(other));
	assert_code(vmmem_update_commit(other), VMMEM_EARGUMENT);
	vmmem_update_free(other);
	ck_assert_int_eq(asked, 2);
	ck_assert_uint_eq(current_count(), 1);
	vmmem_listener_free(listener);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
}
END_TEST

static void *
commit_elsewhere(void *opaque)
{
	return vmmem_update_commit(opaque) == 0 ? NULL : opaque;
}

static void *
free_elsewhere(void *opaque)
{
	return vmmem_update_free(opaque);
}

static void *
begin_elsewhere(void *opaque)
{
	struct vmmem_update **update = opaque;

	return vmmem_update_new(space, VMMEM_FOREVER, update) == 0 ? NULL :
								     opaque;
}

static void
run(void *(*function)(void *), void *argument)
{
	pthread_t thread;
	void *failed;

	ck_assert_int_eq(pthread_create(&thread, NULL, function, argument), 0);
	ck_assert_int_eq(pthread_join(thread, &failed), 0);
	ck_assert_ptr_null(failed);
}

/* An update goes from thread to thread. */
START_TEST(handed_on)
{
	struct vmmem_update *update = NULL;

	run(begin_elsewhere, &update);
	insert(update, 0);
	run(commit_elsewhere, update);
	run(free_elsewhere, update);
	ck_assert_uint_eq(current_count(), 1);
	run(begin_elsewhere, &update);
	run(free_elsewhere, update);
	assert_ok(vmmem_space_remove(space, 0, PAGE, NULL));
}
END_TEST

/*
 * Two writers take turns, and each ends what the other has begun: as a runtime
 * does that moves its tasks between threads.
 */
START_TEST(waiting_for_another)
{
	struct vmmem_update *update = begin(), *next = NULL;
	pthread_t thread;
	void *failed;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		insert(update, i * PAGE);
		/* It waits, most of the time, until the commit. */
		ck_assert_int_eq(pthread_create(&thread, NULL, begin_elsewhere,
						&next),
				 0);
		assert_ok(vmmem_update_commit(update));
		vmmem_update_free(update);
		ck_assert_int_eq(pthread_join(thread, &failed), 0);
		ck_assert_ptr_null(failed);
		update = next;
	}
	vmmem_update_free(update);
	ck_assert_uint_eq(current_count(), 100);
}
END_TEST

/* An update keeps its space. */
START_TEST(update_outlives_the_reference)
{
	struct vmmem_update *update = begin();

	insert(update, 0);
	vmmem_space_unref(space);
	insert(update, PAGE);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	setup();
}
END_TEST

/*
 * Each writer reads the map, and writes one with a region more.  With the
 * reading outside of the lock, writers would undo each other's work.
 */
static void *
write_regions(void *opaque)
{
	const uint64_t base = (uint64_t)(uintptr_t)opaque << 32;
	struct vmmem_collection *map = NULL;
	struct vmmem_region *region = NULL;
	struct vmmem_update *update;
	unsigned int i;

	for (i = 0; i < EACH; i++) {
		if (vmmem_region_new_anonymous(base + i * PAGE, PAGE,
					       &region) != 0 ||
		    vmmem_update_new(space, VMMEM_FOREVER, &update) != 0 ||
		    vmmem_collection_insert(vmmem_update_collection(update),
					    region, &map) != 0 ||
		    vmmem_update_replace(update, map) != 0 ||
		    vmmem_update_commit(update) != 0)
			return opaque;
		vmmem_update_free(update);
		vmmem_collection_unref(map);
		vmmem_region_unref(region);
	}
	return NULL;
}

START_TEST(no_update_is_lost)
{
	pthread_t threads[THREADS];
	void *failed;
	uintptr_t i;

	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
						write_regions,
						(void *)(i + 1)),
				 0);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	ck_assert_uint_eq(current_count(), THREADS * EACH);
}
END_TEST

/* view() makes an alias: what PAM shows of RAM or ROM. */
static struct vmmem_region *
view(struct vmmem_region *target, uint64_t gpa, uint64_t len, uint64_t offset,
     uint32_t protection)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;

	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_region_builder_set_alias(builder, target, offset);
	vmmem_region_builder_set_protection(builder, protection);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

static void
overlay(struct vmmem_region *region)
{
	struct vmmem_update *update = begin();

	assert_ok(vmmem_update_overlay(update, region));
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
}

/* A ROM over RAM, and RAM again, over and over: three pieces, not more. */
START_TEST(overlays)
{
	const uint32_t rw = VMMEM_PROT_READ | VMMEM_PROT_WRITE;
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *ram, *rom = region_of(0, PAGE), *shown, *piece;
	struct vmmem_collection *map;
	unsigned int i;
	uint8_t byte;

	vmmem_region_builder_set_range(builder, 0, 16 * PAGE);
	vmmem_region_builder_set_name(builder, "ram");
	vmmem_region_builder_set_role(builder, VMMEM_ROLE_PMEM);
	vmmem_region_builder_set_guest_node(builder, 3);
	vmmem_region_builder_set_tracking(builder, PAGE);
	assert_ok(vmmem_region_builder_build(builder, &ram));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_space_insert(space, ram));
	for (i = 0; i < 10; i++) {
		shown = i % 2 == 0 ?
				view(rom, 12 * PAGE, PAGE, 0, VMMEM_PROT_READ) :
				view(ram, 12 * PAGE, PAGE, 12 * PAGE, rw);
		overlay(shown);
		vmmem_region_unref(shown);
		ck_assert_uint_eq(current_count(), 3);
		map = vmmem_space_get(space);
		byte = (uint8_t)(i + 1);
		assert_code(vmmem_collection_write(map, 12 * PAGE, &byte, 1,
						   NULL),
			    i % 2 == 0 ? VMMEM_EDENIED : 0);
		assert_ok(vmmem_collection_read(map, 12 * PAGE, &byte, 1,
						NULL));
		ck_assert_uint_eq(byte, i % 2 == 0 ? 0 : i + 1);
		vmmem_collection_unref(map);
	}
	map = vmmem_space_get(space);
	for (i = 0; i < 3; i += 2) {
		piece = vmmem_collection_region(map, i);
		ck_assert_uint_eq(vmmem_region_start(piece),
				  i == 0 ? 0 : 13 * PAGE);
		ck_assert_uint_eq(vmmem_region_last(piece),
				  (i == 0 ? 12 : 16) * PAGE - 1);
		ck_assert_str_eq(vmmem_region_name(piece), "ram");
		ck_assert_uint_eq(vmmem_region_protection(piece), rw);
		ck_assert_uint_eq(vmmem_region_role(piece), VMMEM_ROLE_PMEM);
		ck_assert_uint_eq(vmmem_region_guest_node(piece), 3);
		ck_assert_ptr_eq(vmmem_region_bitmap(piece),
				 vmmem_region_bitmap(ram));
		ck_assert_ptr_eq(vmmem_region_alias_target(piece), ram);
		ck_assert_uint_eq(vmmem_region_bitmap_offset(piece),
				  i == 0 ? 0 : 13 * PAGE);
	}
	vmmem_collection_unref(map);
	vmmem_region_unref(rom);
	vmmem_region_unref(ram);
}
END_TEST

/* Of several, and of a view that is read-only and has a log of its own. */
START_TEST(overlay_of_many)
{
	struct vmmem_region *wide = region_of(PAGE, 3 * PAGE), *piece;
	struct vmmem_region *bytes = region_of(0, 2 * PAGE);
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *logged = NULL;
	struct vmmem_bitmap *bitmap = NULL;
	struct vmmem_update *update = begin();
	struct vmmem_collection *map;

	assert_ok(vmmem_bitmap_new(16 * PAGE, 16 * PAGE, PAGE, NULL,
				   &bitmap));
	vmmem_region_builder_set_range(builder, 3 * PAGE, 2 * PAGE);
	vmmem_region_builder_set_alias(builder, bytes, 0);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	/* Its own, and not those of the bytes behind it. */
	vmmem_region_builder_set_role(builder, VMMEM_ROLE_ROM);
	vmmem_region_builder_set_guest_node(builder, 1);
	vmmem_region_builder_set_bitmap(builder, bitmap, 4 * PAGE);
	assert_ok(vmmem_region_builder_build(builder, &logged));
	vmmem_region_builder_free(builder);
	insert(update, 0);
	insert(update, PAGE);
	insert(update, 2 * PAGE);
	assert_ok(vmmem_update_insert(update, logged));
	assert_ok(vmmem_update_overlay(update, wide));
	assert_ok(vmmem_update_overlay(update, wide));
	assert_ok(vmmem_update_commit(update));
	assert_code(vmmem_update_overlay(update, wide), VMMEM_EARGUMENT);
	assert_code(vmmem_update_overlay(NULL, wide), VMMEM_EARGUMENT);
	vmmem_update_free(update);
	map = vmmem_space_get(space);
	ck_assert_uint_eq(vmmem_collection_count(map), 3);
	ck_assert_ptr_eq(vmmem_collection_find(map, 3 * PAGE), wide);
	piece = vmmem_collection_find(map, 4 * PAGE);
	ck_assert_uint_eq(vmmem_region_start(piece), 4 * PAGE);
	ck_assert_uint_eq(vmmem_region_protection(piece), VMMEM_PROT_READ);
	ck_assert_uint_eq(vmmem_region_role(piece), VMMEM_ROLE_ROM);
	ck_assert_uint_eq(vmmem_region_guest_node(piece), 1);
	ck_assert_ptr_eq(vmmem_region_bitmap(piece), bitmap);
	ck_assert_uint_eq(vmmem_region_bitmap_offset(piece), 5 * PAGE);
	ck_assert_uint_eq(vmmem_region_alias_offset(piece), PAGE);
	vmmem_collection_unref(map);
	vmmem_bitmap_unref(bitmap);
	vmmem_region_unref(wide);
	vmmem_region_unref(bytes);
	vmmem_region_unref(logged);
}
END_TEST

/* By the region itself, and not by its range. */
START_TEST(by_region)
{
	struct vmmem_region *region = region_of(0, PAGE),
			    *twin = region_of(0, PAGE),
			    *wide = region_of(0, 2 * PAGE);
	struct vmmem_update *update = begin();

	assert_code(vmmem_update_remove_region(update, region),
		    VMMEM_ENOREGION);
	assert_ok(vmmem_update_insert(update, region));
	insert(update, PAGE);
	assert_code(vmmem_update_remove_region(update, twin), VMMEM_ENOREGION);
	assert_code(vmmem_update_replace_region(update, twin, region),
		    VMMEM_ENOREGION);
	assert_code(vmmem_update_replace_region(update, region, wide),
		    VMMEM_EOVERLAP);
	ck_assert_uint_eq(
		vmmem_collection_count(vmmem_update_collection(update)), 2);
	assert_code(vmmem_update_replace_region(update, region, wide),
		    VMMEM_EOVERLAP);
	assert_ok(vmmem_update_replace_region(update, region, twin));
	assert_code(vmmem_update_remove_region(update, region),
		    VMMEM_ENOREGION);
	assert_ok(vmmem_update_remove_region(update, twin));
	assert_code(vmmem_update_remove_region(NULL, twin), VMMEM_EARGUMENT);
	assert_code(vmmem_update_remove_region(update, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_update_replace_region(update, NULL, twin),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_update_replace_region(update, twin, NULL),
		    VMMEM_EARGUMENT);
	assert_ok(vmmem_update_commit(update));
	assert_code(vmmem_update_remove_region(update, twin), VMMEM_EARGUMENT);
	vmmem_update_free(update);
	ck_assert_uint_eq(current_count(), 1);
	vmmem_region_unref(region);
	vmmem_region_unref(twin);
	vmmem_region_unref(wide);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("update");
	TCase *tcase = tcase_create("update");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, steps);
	tcase_add_test(tcase, failing_steps);
	tcase_add_test(tcase, in_the_same_place);
	tcase_add_test(tcase, out_and_in);
	tcase_add_test(tcase, at_the_top);
	tcase_add_test(tcase, replace_then_go_on);
	tcase_add_test(tcase, abort_leaves_nothing);
	tcase_add_test(tcase, commit_of_nothing);
	tcase_add_test(tcase, one_at_a_time);
	tcase_add_test(tcase, after_the_end);
	tcase_add_test(tcase, handed_on);
	tcase_add_test(tcase, waiting_for_another);
	tcase_add_test(tcase, overlays);
	tcase_add_test(tcase, overlay_of_many);
	tcase_add_test(tcase, by_region);
	tcase_add_test(tcase, update_outlives_the_reference);
	tcase_add_test(tcase, no_update_is_lost);
	suite_add_tcase(suite, tcase);
	return suite;
}
