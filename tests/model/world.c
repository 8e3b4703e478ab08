/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "model.h"

#include <check.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct world world;

_Noreturn void
model_fail(const char *file, int line, const char *what, int64_t got,
	   int64_t want)
{
	ck_abort_msg("%s:%d: %s: got %" PRId64 ", want %" PRId64
		     "; operation %" PRIu64 " (%s) at %#" PRIx64 "+%#" PRIx64
		     "; repeat with VMMEM_TEST_SEED=%#" PRIx64,
		     file, line, what, got, want, world.number,
		     world.operation != NULL ? world.operation->name : "set-up",
		     world.gpa, world.len, world.seed);
	abort();
}

uint64_t
window_base(unsigned int window)
{
	static const uint64_t bases[WINDOWS] = {
		0,
		(UINT64_C(1) << 32) - WINDOW_SIZE / 2,
		UINT64_MAX - WINDOW_SIZE + 1,
	};

	return bases[window];
}

struct slot *
map_at(const struct map *map, uint64_t gpa)
{
	unsigned int window;

	for (window = 0; window < WINDOWS; window++) {
		uint64_t index = gpa - window_base(window);

		if (gpa < window_base(window) || index >= WINDOW_SIZE)
			continue;
		if (map->owner[window][index] == 0)
			return NULL;
		return &world.slots[map->owner[window][index] - 1];
	}
	return NULL;
}

unsigned char *
cell_at(const struct map *map, uint64_t gpa)
{
	struct slot *slot = map_at(map, gpa);

	EXPECT(slot != NULL);
	return slot->cells + (gpa - slot->start);
}

struct slot *
owner_of(struct slot *slot)
{
	return slot->owner != NULL ? slot->owner : slot;
}

void
cell_write(const struct map *map, uint64_t gpa, unsigned char value)
{
	struct slot *slot = map_at(map, gpa);

	*cell_at(map, gpa) = value;
	log_note(slot, gpa - slot->start, true);
}

void
cells_failed(const struct map *map, uint64_t gpa, uint64_t len)
{
	uint64_t i;

	for (i = 0; i < len; i++) {
		struct slot *slot = map_at(map, gpa + i);

		log_note(slot, gpa + i - slot->start, false);
	}
}

int
reach(const struct map *map, uint64_t gpa, uint64_t len, uint32_t access,
      uint64_t *ret_good)
{
	uint64_t good;
	int rc = 0;

	for (good = 0; good < len; good++) {
		const struct slot *slot;

		if (good > UINT64_MAX - gpa) {
			rc = VMMEM_EWRAPS;
			break;
		}
		slot = map_at(map, gpa + good);
		if (slot == NULL) {
			rc = VMMEM_EBADADDR;
			break;
		}
		if ((slot->protection & access) != access) {
			rc = VMMEM_EDENIED;
			break;
		}
	}
	*ret_good = good;
	return rc;
}

bool
by_callback(const struct slot *slot)
{
	return slot->bytes == NULL;
}

int
acquire_code(const struct slot *slot, uint64_t offset)
{
	const struct slot *owner = slot->owner != NULL ? slot->owner : slot;
	uint64_t there = (uint64_t)(slot->cells - owner->cells) + offset;

	if (owner->ops->acquire == NULL)
		return VMMEM_ENOHOST;
	if (owner->acquire_code != 0)
		return owner->acquire_code > 0 ? VMMEM_ECALLBACK :
						 owner->acquire_code;
	if (owner->acquire_lie == STORES_NULL)
		return VMMEM_EARGUMENT;
	if (owner->acquire_lie == STORES_ODD ||
	    (owner->start + there - slot->start - offset) % 16 != 0)
		return VMMEM_ECONGRUENCE;
	return 0;
}

int
broken_code(const struct slot *slot, bool write)
{
	const struct slot *owner = slot->owner != NULL ? slot->owner : slot;
	int code = write ? owner->write_code : owner->read_code;

	if (!by_callback(slot))
		return 0;
	if (write ? owner->ops->write == NULL : owner->ops->read == NULL)
		return acquire_code(slot, 0);
	return code > 0 ? VMMEM_ECALLBACK : code;
}

int
stop(const struct map *map, uint64_t gpa, uint64_t len, bool write,
     uint64_t *ret_good)
{
	uint64_t good;

	for (good = 0; good < len; good++) {
		int rc = broken_code(map_at(map, gpa + good), write);

		if (rc != 0) {
			*ret_good = good;
			return rc;
		}
	}
	*ret_good = len;
	return 0;
}

/*
 * The store is compared with what is around the region: nothing there may
 * change either.
 */
void
verify_bytes(void)
{
	uint64_t len;
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		const struct slot *slot = &world.slots[i];

		if (slot->region == NULL || slot->owner != NULL)
			continue;
		EXPECT(!slot->ended);
		EXPECT(slot->acquired == slot->kept);
		EXPECT(slot->acquired != 0 || slot->acquired_sum == 0);
		len = slot->last - slot->start + 1;
		if (slot->backed)
			EXPECT(memcmp(slot->store, world.cells[i],
				      GUARD + 16 + len + GUARD) == 0);
		else
			EXPECT(memcmp(slot->bytes, slot->cells, len) == 0);
	}
	verify_logs();
}

/* Near the ends of regions, of windows and of holes is where mistakes are. */
uint64_t
pick_address(const struct map *map)
{
	struct rng *rng = &world.rng;
	uint64_t choice = rng_below(rng, 100);
	const struct slot *slot = &world.slots[rng_below(rng, SLOTS)];
	uint64_t base = window_base((unsigned int)rng_below(rng, WINDOWS));
	unsigned int tries;

	/* Rather a region of this map than any. */
	for (tries = 0; tries < 12; tries++) {
		if (slot->region != NULL && map_at(map, slot->start) == slot)
			break;
		slot = &world.slots[rng_below(rng, SLOTS)];
	}
	if (choice < 85 && slot->region != NULL) {
		if (choice < 20)
			return slot->start - 4 + rng_below(rng, 16);
		if (choice < 40)
			return slot->last - 20 + rng_below(rng, 24);
		return slot->start +
		       rng_below(rng, slot->last - slot->start + 1);
	}
	if (choice < 92)
		return base + rng_below(rng, WINDOW_SIZE);
	if (choice < 97)
		return base - 8 + rng_below(rng, 16);
	return rng_next(rng);
}

/* A length of which the caller may have that much memory. */
uint64_t
pick_length(void)
{
	struct rng *rng = &world.rng;
	uint64_t choice = rng_below(rng, 100);

	if (choice < 50)
		return rng_below(rng, 17);
	if (choice < 80)
		return rng_below(rng, 80);
	if (choice < 97)
		return rng_below(rng, 600);
	return rng_below(rng, TRANSFER_MAX + 1);
}

uint32_t
pick_access(void)
{
	return (uint32_t)rng_below(&world.rng, 4);
}

void
world_open(void)
{
	uint64_t seed = world.seed;
	uint64_t number = world.number;
	struct rng rng = world.rng;
	unsigned int i;

	memset(&world, 0, sizeof(world));
	world.seed = seed;
	world.number = number;
	world.rng = rng;
	world.page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	world.file = memfd_create("model", MFD_CLOEXEC);
	EXPECT(world.file >= 0);
	EXPECT(ftruncate(world.file,
			 (off_t)(FILE_PAGES * world.page_size)) == 0);
	for (i = 0; i < MAPS; i++) {
		struct vmmem_collection *collection;

		EXPECT(vmmem_collection_new_empty(&collection) == 0);
		world.maps[i].collection = collection;
	}
	logs_open();
}

/* With the last references, every owner must have been told. */
void
world_close(void)
{
	unsigned int i;

	pieces_close();
	for (i = 0; i < MAPS; i++)
		map_put(&world.maps[i]);
	for (i = 0; i < SLOTS; i++) {
		struct slot *slot = &world.slots[i];

		if (slot->region == NULL || !slot->held)
			continue;
		slot->held = false;
		EXPECT(vmmem_region_unref(slot->region) == NULL);
		slot_put(slot);
	}
	for (i = 0; i < SLOTS; i++)
		EXPECT(world.slots[i].region == NULL);
	logs_close();
	EXPECT(close(world.file) == 0);
}
