/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "model.h"

#include <string.h>

/* Beside what a transfer may touch of the caller's buffer. */
#define MARGIN 24U
#define MARGIN_BYTE 0xc3
#define UNTOUCHED UINT64_C(0x5aa555aa00ff33cc)

/* What a transfer must return, and how many bytes it must move. */
struct verdict {
	int rc;
	uint64_t done;
};

/* same_region() is how many of 'len' bytes one region has. */
static uint64_t
same_region(const struct map *map, uint64_t gpa, uint64_t len)
{
	uint64_t i;

	for (i = 0; i < len && map_at(map, gpa + i) == map_at(map, gpa); i++)
		;
	return i;
}

static struct verdict
judge(const struct map *map, uint64_t gpa, uint64_t len, uint32_t access,
      bool some)
{
	struct verdict verdict;
	uint64_t good, moved;
	int rc;

	world.gpa = gpa;
	world.len = len;
	verdict.rc = reach(map, gpa, len, access, &good);
	if (verdict.rc != 0 && !some) {
		verdict.done = 0;
		return verdict;
	}
	/* A callback that fails ends either form part-way. */
	rc = stop(map, gpa, good, access == VMMEM_PROT_WRITE, &moved);
	if (rc != 0)
		verdict.rc = rc;
	verdict.done = moved;
	if (rc != 0 && access == VMMEM_PROT_WRITE)
		cells_failed(map, gpa + moved, same_region(map, gpa + moved,
							   good - moved));
	return verdict;
}

static void
transfer_read(struct map *map, bool some)
{
	static unsigned char buf[MARGIN + 16 + TRANSFER_MAX + MARGIN];
	static unsigned char want[sizeof(buf)];
	struct rng *rng = &world.rng;
	uint64_t gpa = pick_address(map);
	size_t len = (size_t)pick_length();
	size_t at = MARGIN + (size_t)rng_below(rng, 16);
	bool count = rng_chance(rng, 90);
	struct verdict verdict;
	size_t done = SIZE_MAX;
	uint64_t i;
	int rc;

	verdict = judge(map, gpa, len, VMMEM_PROT_READ, some);
	memset(buf, MARGIN_BYTE, at + len + MARGIN);
	memset(want, MARGIN_BYTE, at + len + MARGIN);
	for (i = 0; i < verdict.done; i++)
		want[at + i] = *cell_at(map, gpa + i);

	rc = some ? vmmem_collection_read_some(map->collection, gpa, buf + at,
					       len, count ? &done : NULL) :
		    vmmem_collection_read(map->collection, gpa, buf + at, len,
					  count ? &done : NULL);
	EXPECT_CODE(rc, verdict.rc);
	EXPECT(done == (count ? verdict.done : SIZE_MAX));
	EXPECT(memcmp(buf, want, at + len + MARGIN) == 0);
	verify_bytes();
}

static void
transfer_write(struct map *map, bool some)
{
	static unsigned char buf[16 + TRANSFER_MAX];
	struct rng *rng = &world.rng;
	uint64_t gpa = pick_address(map);
	size_t len = (size_t)pick_length();
	size_t at = (size_t)rng_below(rng, 16);
	bool count = rng_chance(rng, 90);
	struct verdict verdict;
	size_t done = SIZE_MAX;
	uint64_t i;
	int rc;

	verdict = judge(map, gpa, len, VMMEM_PROT_WRITE, some);
	for (i = 0; i < len; i++)
		buf[at + i] = (unsigned char)rng_next(rng);
	/* Upwards: where one byte is there twice, the later write stays. */
	for (i = 0; i < verdict.done; i++)
		cell_write(map, gpa + i, buf[at + i]);

	rc = some ? vmmem_collection_write_some(map->collection, gpa, buf + at,
						len, count ? &done : NULL) :
		    vmmem_collection_write(map->collection, gpa, buf + at, len,
					   count ? &done : NULL);
	EXPECT_CODE(rc, verdict.rc);
	EXPECT(done == (count ? verdict.done : SIZE_MAX));
	verify_bytes();
}

static void
transfer_fill(struct map *map, bool some)
{
	struct rng *rng = &world.rng;
	uint64_t gpa = pick_address(map);
	uint64_t len = rng_chance(rng, 90) ? pick_length() : rng_next(rng);
	unsigned char value = (unsigned char)rng_next(rng);
	bool count = rng_chance(rng, 90);
	struct verdict verdict;
	uint64_t done = UNTOUCHED;
	uint64_t i;
	int rc;

	verdict = judge(map, gpa, len, VMMEM_PROT_WRITE, some);
	for (i = 0; i < verdict.done; i++)
		cell_write(map, gpa + i, value);
	rc = some ? vmmem_collection_fill_some(map->collection, gpa, len, value,
					       count ? &done : NULL) :
		    vmmem_collection_fill(map->collection, gpa, len, value,
					  count ? &done : NULL);
	EXPECT_CODE(rc, verdict.rc);
	EXPECT(done == (count ? verdict.done : UNTOUCHED));
	verify_bytes();
}

void
run_read(struct map *map)
{
	transfer_read(map, false);
}

void
run_read_some(struct map *map)
{
	transfer_read(map, true);
}

void
run_write(struct map *map)
{
	transfer_write(map, false);
}

void
run_write_some(struct map *map)
{
	transfer_write(map, true);
}

void
run_fill(struct map *map)
{
	transfer_fill(map, false);
}

void
run_fill_some(struct map *map)
{
	transfer_fill(map, true);
}

/*
 * tangled() tells whether two of the addresses that a copy deals with, one of
 * them of the target, show the same cell.  What is copied is then not defined.
 */
static bool
tangled(const struct map *map, uint64_t target, uint64_t source, uint64_t len)
{
	static uint64_t stamp[sizeof(world.cells)];
	static uint64_t address[sizeof(world.cells)];
	uint64_t i;

	for (i = 0; i < len; i++) {
		size_t cell = (size_t)(cell_at(map, target + i) -
				       &world.cells[0][0]);

		if (stamp[cell] == world.number + 1)
			return true;
		stamp[cell] = world.number + 1;
		address[cell] = target + i;
	}
	for (i = 0; i < len; i++) {
		size_t cell = (size_t)(cell_at(map, source + i) -
				       &world.cells[0][0]);

		if (stamp[cell] == world.number + 1 &&
		    address[cell] != source + i)
			return true;
	}
	return false;
}

static unsigned char *
byte_at(const struct map *map, uint64_t gpa)
{
	struct slot *slot = map_at(map, gpa);
	struct slot *owner = slot->owner != NULL ? slot->owner : slot;
	uint64_t offset = (uint64_t)(slot->cells - owner->cells) +
			  (gpa - slot->start);

	if (owner->backed)
		return owner->store + GUARD + owner->start % 16 + offset;
	return owner->bytes + offset;
}

/* pick_copy() picks two ranges; often such as overlap and are good. */
static void
pick_copy(const struct map *map, uint64_t *ret_target, uint64_t *ret_source,
	  uint64_t *ret_len)
{
	struct rng *rng = &world.rng;
	uint64_t source = pick_address(map);
	uint64_t target = pick_address(map);
	uint64_t len = rng_chance(rng, 97) ? pick_length() : rng_next(rng);
	uint64_t good, shift;

	if (rng_chance(rng, 35)) {
		/* Within one stretch, as long as it is, a bit up or down. */
		reach(map, source, TRANSFER_MAX,
		      VMMEM_PROT_READ | VMMEM_PROT_WRITE, &good);
		shift = rng_below(rng, good < 40 ? good + 1 : 40);
		target = source + shift;
		len = good - shift;
	} else if (rng_chance(rng, 20)) {
		target = source + rng_below(rng, len + 4);
	}
	if (rng_chance(rng, 50)) {
		*ret_target = target;
		*ret_source = source;
	} else {
		*ret_target = source;
		*ret_source = target;
	}
	*ret_len = len;
}

/*
 * copy_limit() finds the first byte, counted from the end at which the copy
 * begins, that a callback is going to refuse; 'len' if none is.
 */
static uint64_t
copy_limit(const struct map *map, uint64_t target, uint64_t source,
	   uint64_t len, bool downwards)
{
	uint64_t i;

	for (i = 0; i < len; i++) {
		uint64_t at = downwards ? len - 1 - i : i;

		if (broken_code(map_at(map, source + at), false) != 0 ||
		    broken_code(map_at(map, target + at), true) != 0)
			break;
	}
	return i;
}

/*
 * copy_code() is 'rc' if some callback would return it, else another code that
 * is right.  Bytes go through a buffer, so reading may fail well before writing
 * does; of several callbacks that fail, any can be the first.
 */
static int
copy_code(const struct map *map, uint64_t target, uint64_t source,
	  uint64_t len, int rc)
{
	int want = 0;
	uint64_t i;

	for (i = 0; i < len; i++) {
		int from = broken_code(map_at(map, source + i), false);
		int to = broken_code(map_at(map, target + i), true);

		if ((from != 0 && from == rc) || (to != 0 && to == rc))
			return rc;
		if (from != 0 || to != 0)
			want = from != 0 ? from : to;
	}
	return want;
}

/* note_copy() marks what was copied; what was not may have been tried. */
static void
note_copy(const struct map *map, uint64_t target, uint64_t len, uint64_t done,
	  bool downwards)
{
	uint64_t i;

	for (i = 0; i < len; i++) {
		uint64_t gpa = target + (downwards ? len - 1 - i : i);
		struct slot *slot = map_at(map, gpa);

		log_note(slot, gpa - slot->start, i < done);
	}
}

void
run_copy(struct map *map)
{
	static unsigned char old[TRANSFER_MAX];
	uint64_t source, target, len;
	uint64_t done = UNTOUCHED;
	uint64_t good, limit, i, at;
	int from, to, rc, want;
	bool downwards;

	pick_copy(map, &target, &source, &len);
	downwards = target > source && target - source < len;
	world.gpa = target;
	world.len = len;
	from = reach(map, source, len, VMMEM_PROT_READ, &good);
	to = reach(map, target, len, VMMEM_PROT_WRITE, &good);
	if (from != 0 || to != 0) {
		rc = vmmem_collection_copy(map->collection, target, source, len,
					   &done);
		/* Which of the two is looked at first is not promised. */
		want = from != 0 && (to == 0 || rc == from) ? from : to;
		EXPECT_CODE(rc, want);
		EXPECT(done == 0);
		verify_bytes();
		return;
	}

	limit = copy_limit(map, target, source, len, downwards);
	for (i = 0; i < len; i++)
		old[i] = *cell_at(map, source + i);
	if (tangled(map, target, source, len)) {
		rc = vmmem_collection_copy(map->collection, target, source, len,
					   &done);
		EXPECT_CODE(rc, copy_code(map, target, source, len, rc));
		EXPECT(rc == 0 ? done == len : done <= limit);
		/* Whatever it is now; that no other byte changed is sure. */
		for (i = 0; i < len; i++)
			*cell_at(map, target + i) = *byte_at(map, target + i);
		note_copy(map, target, len, done, downwards);
		verify_bytes();
		return;
	}

	rc = vmmem_collection_copy(map->collection, target, source, len, &done);
	EXPECT_CODE(rc, copy_code(map, target, source, len, rc));
	EXPECT(rc == 0 ? done == len : done <= limit);
	for (i = 0; i < done; i++) {
		at = downwards ? len - 1 - i : i;
		*cell_at(map, target + at) = old[at];
	}
	note_copy(map, target, len, done, downwards);
	verify_bytes();
}
