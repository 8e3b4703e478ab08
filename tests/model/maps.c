/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "model.h"

#include <string.h>

/* The most regions that an operation puts into one array. */
#define ARRAY_MAX 16

/* An output that nobody may have written to. */
static struct vmmem_collection *const no_collection =
	(struct vmmem_collection *)&world;

size_t
map_slots(const struct map *map, struct slot **list)
{
	unsigned int window, index;
	size_t count = 0;

	for (window = 0; window < WINDOWS; window++) {
		for (index = 0; index < WINDOW_SIZE; index++) {
			unsigned int owner = map->owner[window][index];
			struct slot *slot;

			if (owner == 0)
				continue;
			slot = &world.slots[owner - 1];
			EXPECT(count < SLOTS);
			list[count++] = slot;
			index = (unsigned int)(slot->last -
					       window_base(window));
		}
	}
	return count;
}

struct visits {
	struct slot *list[SLOTS];
	size_t count;
	size_t stop;
	size_t seen;
};

static int
visit(void *opaque, struct vmmem_region *region)
{
	struct visits *visits = opaque;

	EXPECT(visits->seen < visits->count);
	EXPECT(region == visits->list[visits->seen]->region);
	return visits->seen++ == visits->stop ? 77 : 0;
}

/* map_verify() compares a collection with its map, region by region. */
void
map_verify(const struct map *map)
{
	const struct vmmem_collection *collection = map->collection;
	struct visits visits = { .count = 0 };
	size_t i;
	int rc;

	visits.count = map_slots(map, visits.list);
	visits.stop = (size_t)rng_below(&world.rng, visits.count + 1);
	EXPECT(vmmem_collection_count(collection) == visits.count);
	EXPECT(vmmem_collection_region(collection, visits.count) == NULL);
	for (i = 0; i < visits.count; i++) {
		const struct slot *slot = visits.list[i];

		EXPECT(vmmem_collection_region(collection, i) == slot->region);
		EXPECT(vmmem_region_start(slot->region) == slot->start);
		EXPECT(vmmem_region_last(slot->region) == slot->last);
		EXPECT(vmmem_collection_find(collection, slot->start) ==
		       slot->region);
		EXPECT(vmmem_collection_find(collection, slot->last) ==
		       slot->region);
	}
	rc = vmmem_collection_for_each(collection, visit, &visits);
	if (visits.stop < visits.count) {
		EXPECT(rc == 77);
		EXPECT(visits.seen == visits.stop + 1);
	} else {
		EXPECT(rc == 0);
		EXPECT(visits.seen == visits.count);
	}
}

void
map_verify_all_addresses(const struct map *map)
{
	unsigned int window, index;

	for (window = 0; window < WINDOWS; window++) {
		for (index = 0; index < WINDOW_SIZE; index++) {
			uint64_t gpa = window_base(window) + index;
			const struct slot *slot = map_at(map, gpa);

			EXPECT(vmmem_collection_find(map->collection, gpa) ==
			       (slot != NULL ? slot->region : NULL));
		}
	}
}

void
map_put(struct map *map)
{
	struct slot *list[SLOTS];
	size_t count = map_slots(map, list);
	size_t i;

	EXPECT(vmmem_collection_unref(map->collection) == NULL);
	for (i = 0; i < count; i++)
		slot_put(list[i]);
	memset(map, 0, sizeof(*map));
}

/*
 * map_adopt() lets the regions of 'list' and their new collection take the
 * place of some map.  All others stay, so old collections live on.
 */
void
map_adopt(struct vmmem_collection *collection, struct slot *const *list,
	  size_t count)
{
	struct map *map = &world.maps[rng_below(&world.rng, MAPS)];
	size_t i;

	EXPECT(collection != NULL && collection != no_collection);
	/* Before the old one goes, which may hold the same regions. */
	for (i = 0; i < count; i++)
		slot_get(list[i]);
	map_put(map);
	map->collection = collection;
	for (i = 0; i < count; i++) {
		const struct slot *slot = list[i];
		uint64_t len = slot->last - slot->start + 1;
		unsigned int window = 0;

		while (slot->start < window_base(window) ||
		       slot->start - window_base(window) >= WINDOW_SIZE)
			window++;
		memset(&map->owner[window][slot->start - window_base(window)],
		       (int)(slot - world.slots) + 1, len);
	}
	map_verify(map);
}

static bool
overlap(const struct slot *a, const struct slot *b)
{
	return a->start <= b->last && b->start <= a->last;
}

/* The entry at 'hole' does not count. */
static bool
any_overlap(struct slot *const *list, size_t count, size_t hole)
{
	size_t i, j;

	for (i = 0; i < count; i++) {
		for (j = 0; j < i; j++) {
			if (i != hole && j != hole && overlap(list[i], list[j]))
				return true;
		}
	}
	return false;
}

/*
 * Where an array has several faults, any of their codes is right.  A set of
 * codes is kept as a list.
 */
struct codes {
	int list[ARRAY_MAX * 2];
	size_t count;
};

static void
codes_add(struct codes *codes, int code)
{
	codes->list[codes->count++] = code;
}

static void
expect_one_of(const struct codes *codes, int rc)
{
	size_t i;

	for (i = 0; i < codes->count; i++) {
		if (codes->list[i] == rc) {
			note_code(rc);
			return;
		}
	}
	EXPECT_CODE(rc, codes->count != 0 ? codes->list[0] : 0);
}

/* pick_array() picks regions at random, and often in order. */
static size_t
pick_array(struct slot **list)
{
	struct rng *rng = &world.rng;
	bool compatible = rng_chance(rng, 85);
	bool sorted = rng_chance(rng, 70);
	size_t want = (size_t)rng_below(rng, ARRAY_MAX + 1);
	size_t count = 0;
	size_t tries, i;

	for (tries = 0; tries < 60 && count < want; tries++) {
		struct slot *slot = &world.slots[rng_below(rng, SLOTS)];

		if (slot->region == NULL)
			continue;
		for (i = 0; compatible && i < count; i++) {
			if (overlap(list[i], slot))
				break;
		}
		if (compatible && i < count)
			continue;
		for (i = count++; sorted && i > 0; i--) {
			if (list[i - 1]->start <= slot->start)
				break;
			list[i] = list[i - 1];
		}
		list[i] = slot;
	}
	return count;
}

static int
by_start(const void *a, const void *b)
{
	const struct slot *const *left = a;
	const struct slot *const *right = b;

	return ((*left)->start > (*right)->start) -
	       ((*left)->start < (*right)->start);
}

/* run_array() is both forms of new; they differ in what they refuse. */
static void
run_array(bool sort)
{
	struct vmmem_collection *collection = no_collection;
	struct vmmem_region *regions[ARRAY_MAX] = { NULL };
	struct slot *list[ARRAY_MAX];
	struct codes codes = { .count = 0 };
	size_t count = pick_array(list);
	size_t hole = ARRAY_MAX;
	size_t i;
	int rc;

	if (count != 0 && rng_chance(&world.rng, 3))
		hole = (size_t)rng_below(&world.rng, count);
	if (count == 0)
		codes_add(&codes, VMMEM_ENOREGION);
	if (hole < count)
		codes_add(&codes, VMMEM_EARGUMENT);
	for (i = 0; i < count; i++)
		regions[i] = i == hole ? NULL : list[i]->region;

	/* Unsorted arrays are looked at pair by pair, as far as neighbours. */
	for (i = 1; !sort && i < count; i++) {
		if (i == hole || i - 1 == hole)
			continue;
		if (list[i]->start < list[i - 1]->start)
			codes_add(&codes, VMMEM_EUNSORTED);
		else if (list[i]->start <= list[i - 1]->last)
			codes_add(&codes, VMMEM_EOVERLAP);
	}
	if (sort && any_overlap(list, count, hole))
		codes_add(&codes, VMMEM_EOVERLAP);

	rc = sort ? vmmem_collection_new_unsorted(regions, count, &collection) :
		    vmmem_collection_new(regions, count, &collection);
	expect_one_of(&codes, rc);
	for (i = 0; i < count; i++)
		EXPECT(regions[i] == (i == hole ? NULL : list[i]->region));
	if (rc != 0) {
		EXPECT(collection == no_collection);
		return;
	}
	qsort(list, count, sizeof(list[0]), by_start);
	map_adopt(collection, list, count);
}

void
run_new(struct map *map)
{
	(void)map;
	run_array(false);
}

void
run_new_unsorted(struct map *map)
{
	(void)map;
	run_array(true);
}

void
run_new_empty(struct map *map)
{
	struct vmmem_collection *collection;

	(void)map;
	/* Rarely, or there would be little to look at. */
	if (!rng_chance(&world.rng, 10))
		return;
	EXPECT_CODE(vmmem_collection_new_empty(&collection), 0);
	map_adopt(collection, NULL, 0);
}

/*
 * pick_follower() finds a region that goes on, in the guest and in memory,
 * where one of 'list' ends, so that there are slices of both; else any.
 */
static struct slot *
pick_follower(struct slot *const *list, size_t count)
{
	uint64_t first = rng_below(&world.rng, SLOTS);
	unsigned int tries;
	size_t i;

	for (tries = 0; tries < SLOTS; tries++) {
		struct slot *slot = &world.slots[(first + tries) % SLOTS];

		if (slot->region == NULL || slot->start == 0)
			continue;
		for (i = 0; i < count; i++) {
			if (list[i]->last == slot->start - 1 &&
			    owner_of(list[i]) == owner_of(slot) &&
			    slot->cells == list[i]->cells + (list[i]->last -
							     list[i]->start +
							     1))
				return slot;
		}
	}
	return &world.slots[first];
}

void
run_insert(struct map *map)
{
	struct vmmem_collection *collection = no_collection;
	struct slot *slot = &world.slots[rng_below(&world.rng, SLOTS)];
	struct slot *list[SLOTS + 1];
	size_t count = map_slots(map, list);
	size_t i;
	int want = 0;
	int rc;

	if (rng_chance(&world.rng, 30))
		slot = pick_follower(list, count);
	if (slot->region == NULL)
		return;
	world.gpa = slot->start;
	world.len = slot->last - slot->start + 1;
	for (i = 0; i < count; i++) {
		if (overlap(list[i], slot))
			want = VMMEM_EOVERLAP;
	}
	rc = vmmem_collection_insert(map->collection, slot->region,
				     &collection);
	EXPECT_CODE(rc, want);
	map_verify(map);
	if (rc != 0) {
		EXPECT(collection == no_collection);
		return;
	}
	list[count++] = slot;
	map_adopt(collection, list, count);
}

void
run_remove(struct map *map)
{
	struct vmmem_collection *collection = no_collection;
	struct vmmem_region *const no_region = (struct vmmem_region *)&world;
	struct vmmem_region *region = no_region;
	struct rng *rng = &world.rng;
	struct slot *list[SLOTS];
	size_t count = map_slots(map, list);
	struct slot *slot = NULL;
	uint64_t gpa = pick_address(map);
	uint64_t len = pick_length();
	bool keep = rng_chance(rng, 80);
	size_t i;
	int rc;

	if (count != 0 && rng_chance(rng, 95)) {
		i = (size_t)rng_below(rng, count);
		gpa = list[i]->start;
		len = list[i]->last - list[i]->start + 1;
		if (rng_chance(rng, 10))
			gpa += rng_below(rng, 3) - 1;
		if (rng_chance(rng, 10))
			len += rng_below(rng, 3) - 1;
	}
	world.gpa = gpa;
	world.len = len;
	for (i = 0; i < count; i++) {
		if (list[i]->start == gpa &&
		    list[i]->last - list[i]->start + 1 == len) {
			slot = list[i];
			list[i] = list[--count];
			break;
		}
	}

	rc = vmmem_collection_remove(map->collection, gpa, len, &collection,
				     keep ? &region : NULL);
	EXPECT_CODE(rc, slot != NULL ? 0 : VMMEM_ENOREGION);
	map_verify(map);
	if (rc != 0) {
		EXPECT(collection == no_collection);
		EXPECT(region == no_region);
		return;
	}
	if (keep) {
		EXPECT(region == slot->region);
		if (slot->held) {
			EXPECT(vmmem_region_unref(region) == NULL);
		} else {
			slot->held = true;
			slot_get(slot);
		}
	}
	map_adopt(collection, list, count);
}
