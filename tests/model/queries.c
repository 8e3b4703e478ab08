/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "model.h"

/* What an output holds before a call, to see whether it was written. */
#define UNTOUCHED UINT64_C(0x5aa555aa00ff33cc)

void
run_find(struct map *map)
{
	uint64_t gpa = pick_address(map);
	const struct slot *slot = map_at(map, gpa);

	world.gpa = gpa;
	EXPECT(vmmem_collection_find(map->collection, gpa) ==
	       (slot != NULL ? slot->region : NULL));
	EXPECT(vmmem_collection_contains(map->collection, gpa) ==
	       (slot != NULL));
}

void
run_locate(struct map *map)
{
	struct vmmem_region *const nothing = (struct vmmem_region *)&world;
	struct vmmem_region *region = nothing;
	uint64_t gpa = pick_address(map);
	const struct slot *slot = map_at(map, gpa);
	uint64_t offset = UNTOUCHED;
	int rc;

	world.gpa = gpa;
	rc = vmmem_collection_locate(map->collection, gpa, &region, &offset);
	EXPECT_CODE(rc, slot != NULL ? 0 : VMMEM_EBADADDR);
	EXPECT(region == (slot != NULL ? slot->region : nothing));
	EXPECT(offset == (slot != NULL ? gpa - slot->start : UNTOUCHED));
}

void
run_last(struct map *map)
{
	unsigned int window, index;
	uint64_t last = UNTOUCHED;
	uint64_t want = UNTOUCHED;
	int rc;

	for (window = 0; window < WINDOWS; window++) {
		for (index = 0; index < WINDOW_SIZE; index++) {
			if (map->owner[window][index] != 0)
				want = window_base(window) + index;
		}
	}
	rc = vmmem_collection_last(map->collection, &last);
	EXPECT_CODE(rc, want != UNTOUCHED ? 0 : VMMEM_ENOREGION);
	EXPECT(last == want);
}

void
run_check(struct map *map)
{
	struct rng *rng = &world.rng;
	uint64_t gpa = pick_address(map);
	uint64_t len = rng_chance(rng, 90) ? pick_length() : rng_next(rng);
	uint32_t access = pick_access();
	uint64_t bad = UNTOUCHED;
	uint64_t good;
	int rc, want;

	if (rng_chance(rng, 2))
		len = UINT64_MAX;
	world.gpa = gpa;
	world.len = len;
	if (rng_chance(rng, 1)) {
		rc = vmmem_collection_check(map->collection, gpa, len, 8, &bad);
		EXPECT_CODE(rc, VMMEM_EARGUMENT);
		EXPECT(bad == UNTOUCHED);
		return;
	}
	want = reach(map, gpa, len, access, &good);
	rc = vmmem_collection_check(map->collection, gpa, len, access,
				    rng_chance(rng, 10) ? NULL : &bad);
	EXPECT_CODE(rc, want);
	if (want != VMMEM_EBADADDR && want != VMMEM_EDENIED)
		EXPECT(bad == UNTOUCHED);
	else
		EXPECT(bad == gpa + good || bad == UNTOUCHED);
	/* The same again, so that NULL for 'ret_bad' hides nothing. */
	EXPECT(vmmem_collection_check(map->collection, gpa, len, access,
				      &bad) == want);
	if (want == VMMEM_EBADADDR || want == VMMEM_EDENIED)
		EXPECT(bad == gpa + good);
}

void
run_offset(struct map *map)
{
	uint64_t gpa = pick_address(map);
	uint64_t offset = pick_address(map) - gpa;
	uint64_t result = UNTOUCHED;
	int want = 0;
	int rc;

	world.gpa = gpa;
	world.len = offset;
	if (offset > UINT64_MAX - gpa)
		want = VMMEM_EWRAPS;
	else if (map_at(map, gpa + offset) == NULL)
		want = VMMEM_EBADADDR;
	rc = vmmem_collection_address_add(map->collection, gpa, offset,
					  &result);
	EXPECT_CODE(rc, want);
	EXPECT(result == (want == 0 ? gpa + offset : UNTOUCHED));
}

void
run_host_address(struct map *map)
{
	void *const nothing = &world;
	void *host = nothing;
	uint64_t gpa = pick_address(map);
	uint32_t access = pick_access();
	const struct slot *slot = map_at(map, gpa);
	uint64_t len = UNTOUCHED;
	int want = 0;
	int rc;

	world.gpa = gpa;
	if (slot == NULL)
		want = VMMEM_EBADADDR;
	else if ((slot->protection & access) != access)
		want = VMMEM_EDENIED;
	else if (by_callback(slot))
		want = VMMEM_ENOHOST;
	rc = vmmem_collection_host_address(map->collection, gpa, access, &host,
					   &len);
	/* Where two reasons apply, either is right. */
	if (want == VMMEM_EDENIED && by_callback(slot) && rc == VMMEM_ENOHOST)
		want = rc;
	EXPECT_CODE(rc, want);
	if (want == 0) {
		EXPECT(host == slot->bytes + (gpa - slot->start));
		EXPECT(len == slot->last - gpa + 1);
	} else {
		EXPECT(host == nothing);
		EXPECT(len == UNTOUCHED);
	}
}
