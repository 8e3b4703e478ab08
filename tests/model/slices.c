/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "model.h"

/* How many pieces a walk looks at. */
#define WALK_MAX 6

static const struct vmmem_slice untouched = {
	.len = UINT64_C(0x5aa555aa00ff33cc),
	.log_offset = 1,
	.access = 77,
};

static unsigned int joined_slices;

bool
slices_were_joined(void)
{
	return joined_slices != 0;
}

static bool
is_untouched(const struct vmmem_slice *slice)
{
	return slice->host == NULL && slice->len == untouched.len &&
	       slice->logging == NULL && slice->log_offset == 1 &&
	       slice->region == NULL && slice->access == 77 &&
	       slice->reserved == 0;
}

static unsigned char *
host_of(const struct place *place)
{
	struct slot *owner = owner_of(place->slot);

	if (!by_callback(place->slot))
		return place->slot->bytes + place->offset;
	return store_bytes(owner) + (place->slot->cells - owner->cells) +
	       place->offset;
}

static bool
must_release(const struct slot *slot)
{
	const struct slot *owner = slot->owner != NULL ? slot->owner : slot;

	return by_callback(slot) && owner->ops->release != NULL;
}

/* Of files of this model anybody may cut a piece off; its memfds are sealed. */
static uint32_t
call_of(const struct slot *first)
{
	const struct vmmem_region *region = first->region;

	if (vmmem_region_alias_target(region) != NULL)
		region = vmmem_region_alias_target(region);
	return vmmem_region_kind(region) == VMMEM_REGION_FILE ?
		       VMMEM_SLICE_CALL :
		       0;
}

/* piece_adopt() keeps a slice whose places are known, with their regions. */
static void
piece_adopt(struct piece *piece, uint64_t gpa, uint32_t access)
{
	const struct vmmem_slice *slice = &piece->slice;
	const struct slot *before = NULL;
	struct slot *first;
	size_t i;

	piece->used = true;
	piece->gpa = gpa;
	EXPECT(slice->len == piece->count);
	EXPECT((slice->access & ~VMMEM_SLICE_CALL) == access);
	EXPECT(slice->reserved == 0);
	EXPECT(slice->logging != NULL);
	if (piece->count == 0) {
		EXPECT(slice->host == NULL && slice->region == NULL);
		EXPECT(*slice->logging == 0);
		return;
	}
	first = piece->places[0].slot;
	EXPECT((slice->access & VMMEM_SLICE_CALL) == call_of(first));
	EXPECT(slice->host == host_of(&piece->places[0]));
	EXPECT(slice->region == first->region);
	EXPECT(slice->gpa == first->start + piece->places[0].offset);
	EXPECT((slice->flags & VMMEM_SLICE_FLAG_ACQUIRED) ==
	       (by_callback(first) ? VMMEM_SLICE_FLAG_ACQUIRED : 0));
	EXPECT((*slice->logging != 0) == log_is_logging(first->log));
	if (must_release(first))
		owner_of(first)->kept++;
	for (i = 0; i < piece->count; i++) {
		struct slot *slot = piece->places[i].slot;

		if (slot == before)
			continue;
		slot_get(slot);
		EXPECT(vmmem_region_ref(slot->region) == slot->region);
		before = slot;
	}
}

static void
piece_drop(struct piece *piece)
{
	struct slot *first = piece->places[0].slot;
	struct slot *before = NULL;
	size_t i;

	if (!piece->used)
		return;
	piece->used = false;
	vmmem_slice_release(&piece->slice);
	if (piece->count != 0 && must_release(first))
		owner_of(first)->kept--;
	verify_bytes();
	for (i = 0; i < piece->count; i++) {
		struct slot *slot = piece->places[i].slot;

		if (slot == before)
			continue;
		EXPECT(vmmem_region_unref(slot->region) == NULL);
		slot_put(slot);
		before = slot;
	}
}

void
pieces_close(void)
{
	unsigned int i;

	for (i = 0; i < PIECES; i++)
		piece_drop(&world.pieces[i]);
}

static struct piece *
pick_piece(void)
{
	struct piece *piece = &world.pieces[rng_below(&world.rng, PIECES)];

	piece_drop(piece);
	piece->slice = untouched;
	return piece;
}

static void
set_places(struct piece *piece, struct slot *slot, uint64_t offset,
	   uint64_t len)
{
	uint64_t i;

	for (i = 0; i < len; i++) {
		EXPECT(offset + i <= slot->last - slot->start);
		piece->places[i].slot = slot;
		piece->places[i].offset = offset + i;
	}
	piece->count = (size_t)len;
}

/* slice_code() is of a range that the region has. */
static int
slice_code(const struct slot *slot, uint64_t offset, uint32_t access)
{
	if ((slot->protection & access) != access)
		return VMMEM_EDENIED;
	return by_callback(slot) ? acquire_code(slot, offset) : 0;
}

static uint32_t
pick_slice_access(void)
{
	if (rng_chance(&world.rng, 1))
		return 4 + pick_access();
	return rng_chance(&world.rng, 60) ? 3 : pick_access();
}

static bool
slice_region(struct piece *piece, uint32_t access)
{
	struct rng *rng = &world.rng;
	struct slot *slot = &world.slots[rng_below(rng, SLOTS)];
	uint64_t span, offset, len;
	int rc, want;

	if (slot->region == NULL)
		return false;
	span = slot->last - slot->start;
	offset = rng_below(rng, span + 3);
	len = rng_chance(rng, 50) ? pick_length() : rng_below(rng, span + 3);
	world.gpa = slot->start + offset;
	world.len = len;
	if (access > 3)
		want = VMMEM_EARGUMENT;
	else if (len == 0)
		want = 0;
	else if (offset > span || len - 1 > span - offset)
		want = VMMEM_EOUTOFRANGE;
	else
		want = slice_code(slot, offset, access);
	rc = vmmem_region_slice(slot->region, offset, len, access,
				&piece->slice);
	EXPECT_CODE(rc, want);
	if (rc != 0) {
		EXPECT(is_untouched(&piece->slice));
		return false;
	}
	set_places(piece, slot, offset, len);
	piece_adopt(piece, slot->start + offset, access);
	return true;
}

static bool
slice_map(const struct map *map, struct piece *piece, uint32_t access)
{
	struct rng *rng = &world.rng;
	uint64_t gpa = pick_address(map);
	uint64_t len = rng_chance(rng, 97) ? pick_length() : rng_next(rng);
	struct slot *slot = map_at(map, gpa);
	uint64_t good;
	int rc, want;

	if (slot != NULL && rng_chance(rng, 60))
		len = rng_below(rng, slot->last - gpa + 1) + 1;
	world.gpa = gpa;
	world.len = len;
	if (access > 3) {
		want = VMMEM_EARGUMENT;
	} else if (len == 0) {
		want = 0;
	} else if (slot != NULL && len - 1 <= slot->last - gpa) {
		want = slice_code(slot, gpa - slot->start, access);
	} else {
		want = reach(map, gpa, len, 0, &good);
		if (want == 0)
			want = VMMEM_ECROSS;
	}
	rc = vmmem_collection_slice(map->collection, gpa, len, access,
				    &piece->slice);
	EXPECT_CODE(rc, want);
	if (rc != 0) {
		EXPECT(is_untouched(&piece->slice));
		return false;
	}
	piece->count = 0;
	if (len != 0)
		set_places(piece, slot, gpa - slot->start, len);
	piece_adopt(piece, gpa, access);
	return true;
}

/* follows() tells whether a slice goes on from one place to the next. */
static bool
follows(const struct place *a, const struct place *b, uint32_t access)
{
	const struct slot *from = a->slot, *to = b->slot;

	if (a->slot == b->slot)
		return true;
	if (by_callback(a->slot) || by_callback(b->slot) ||
	    (b->slot->protection & access) != access ||
	    host_of(b) != host_of(a) + 1 || from->log != to->log)
		return false;
	return from->log == NULL || to->log_offset + b->offset ==
					    from->log_offset + a->offset + 1;
}

/* find_next() finds the places of the next slice, if there is one. */
static int
find_next(const struct map *map, struct piece *piece, uint64_t gpa,
	  uint64_t len, uint32_t access)
{
	struct slot *slot = map_at(map, gpa);
	uint64_t i;
	int rc;

	piece->count = 0;
	if (access > 3)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	if (slot == NULL)
		return VMMEM_EBADADDR;
	for (i = 0; i < len; i++) {
		/* A slice does not end where the addresses do. */
		if (i > UINT64_MAX - gpa)
			return VMMEM_EWRAPS;
		slot = map_at(map, gpa + i);
		if (slot == NULL)
			break;
		piece->places[i].slot = slot;
		piece->places[i].offset = gpa + i - slot->start;
		if (i != 0 && !follows(&piece->places[i - 1],
				       &piece->places[i], access))
			break;
	}
	slot = piece->places[0].slot;
	rc = slice_code(slot, gpa - slot->start, access);
	if (rc == 0)
		piece->count = (size_t)i;
	return rc;
}

static bool
slice_next(const struct map *map, struct piece *piece, uint64_t gpa,
	   uint64_t len, uint32_t access)
{
	int rc, want;

	world.gpa = gpa;
	world.len = len;
	want = find_next(map, piece, gpa, len, access);
	rc = vmmem_collection_next_slice(map->collection, gpa, len, access,
					 &piece->slice);
	/* Where two reasons apply, either is right. */
	if (want == VMMEM_EWRAPS && rc != 0 &&
	    rc == slice_code(map_at(map, gpa), gpa - map_at(map, gpa)->start,
			     access))
		want = rc;
	EXPECT_CODE(rc, want);
	if (rc != 0) {
		EXPECT(is_untouched(&piece->slice));
		return false;
	}
	if (piece->count != 0 &&
	    piece->places[0].slot != piece->places[piece->count - 1].slot)
		joined_slices++;
	piece_adopt(piece, gpa, access);
	return true;
}

/* use() accesses a slice, or a part of it. */
static void
use(const struct piece *piece)
{
	struct view view = { piece, 0, piece->slice };
	unsigned int times = 1 + (unsigned int)rng_below(&world.rng, 3);

	while (times-- != 0)
		view_access(&view);
}

void
run_slice(struct map *map)
{
	struct rng *rng = &world.rng;
	struct piece *piece = pick_piece();
	uint32_t access = pick_slice_access();
	uint64_t choice = rng_below(rng, 100);
	bool got;

	if (choice < 40)
		got = slice_region(piece, access);
	else if (choice < 80)
		got = slice_map(map, piece, access);
	else
		got = slice_next(map, piece, pick_address(map), pick_length(),
				 access);
	if (!got)
		return;
	use(piece);
	if (rng_chance(rng, 50))
		piece_drop(piece);
}

/* The loop of vmmem/slice.h. */
void
run_walk(struct map *map)
{
	struct rng *rng = &world.rng;
	uint64_t gpa = pick_address(map);
	uint64_t len = rng_chance(rng, 97) ? pick_length() : rng_next(rng);
	uint32_t access = rng_chance(rng, 50) ? 1 : pick_access();
	unsigned int count;

	for (count = 0; len != 0 && count < WALK_MAX; count++) {
		struct piece *piece = pick_piece();

		if (!slice_next(map, piece, gpa, len, access))
			return;
		EXPECT(piece->slice.len != 0);
		use(piece);
		gpa += piece->slice.len;
		len -= piece->slice.len;
		piece_drop(piece);
	}
}

/* Maps and regions have changed since it was made. */
void
run_kept_slice(struct map *map)
{
	struct piece *piece = &world.pieces[rng_below(&world.rng, PIECES)];

	(void)map;
	if (!piece->used)
		return;
	world.gpa = piece->gpa;
	world.len = piece->count;
	use(piece);
}
