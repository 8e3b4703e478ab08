/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The table of an iotlb: its memory, all of which it has from the start;
 * changes, which are made to copy 0, and then copy 1 becomes the same; and
 * looking up what has no hint.
 */
#include "iommu/iotlb_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where an entry is: which chunk in the order, and where in that. */
struct place {
	size_t chunk;
	size_t at;
};

/* The one thread that writes needs no order to read what it wrote. */
#define OWN(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)

/* Release: see the top of iotlb_table.h. */
#define PUT(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELEASE)

/* When an entry was used; without the region that it led to. */
#define AGE(used) ((used) >> VMMEM_IOTLB_REGION_BITS)

/* It is a hint, for readers and for the writer. */
#define PUT_USED(word, value) \
	__atomic_store_n(&(word), (value), __ATOMIC_RELAXED)

/* An entry cut in two by a replacement that is new itself. */
#define SURPLUS 2

static struct vmmem_iotlb_chunk *
chunk_at(const struct vmmem_iotlb_table *table, size_t index)
{
	return &table->chunks[OWN(table->orders[0].chunks[index])];
}

static uint64_t *
oldest_of(const struct vmmem_iotlb_table *table,
	  const struct vmmem_iotlb_chunk *chunk)
{
	return &table->oldest[chunk - table->chunks];
}

static size_t
chunks_used(const struct vmmem_iotlb_table *table)
{
	return (size_t)OWN(table->orders[0].count);
}

/* touch() notes that slots [at, end) of a chunk are about to change. */
static void
touch(struct vmmem_iotlb_table *table, struct vmmem_iotlb_chunk *chunk,
      size_t at, size_t end)
{
	if (chunk->high == 0) {
		table->touched[table->touched_count++] =
			(uint32_t)(chunk - table->chunks);
		chunk->low = VMMEM_IOTLB_CHUNK;
	}
	if (at < chunk->low)
		chunk->low = (uint32_t)at;
	if (end > chunk->high)
		chunk->high = (uint32_t)end;
}

/* put_slot() sets an entry of a chunk, or what stands behind the last one. */
static void
put_slot(struct vmmem_iotlb_chunk *chunk, size_t at,
	 const struct vmmem_iotlb_entry *entry, uint64_t used)
{
	struct vmmem_iotlb_slot *slot = &chunk->slots[0][at];

	PUT(slot->last, entry->last);
	PUT(slot->start, entry->start);
	PUT(slot->delta, entry->delta);
	PUT(slot->flags, entry->flags);
	PUT(chunk->cookies[0][at], entry->cookie);
	PUT_USED(chunk->used[at], used);
}

static void
get_slot(const struct vmmem_iotlb_chunk *chunk, size_t at,
	 struct vmmem_iotlb_entry *ret_entry, uint64_t *ret_used)
{
	const struct vmmem_iotlb_slot *slot = &chunk->slots[0][at];

	ret_entry->last = OWN(slot->last);
	ret_entry->start = OWN(slot->start);
	ret_entry->delta = OWN(slot->delta);
	ret_entry->flags = OWN(slot->flags);
	ret_entry->cookie = OWN(chunk->cookies[0][at]);
	*ret_used = OWN(chunk->used[at]);
}

/* move_slots() copies entries, from one chunk to another or within one. */
static void
move_slots(struct vmmem_iotlb_chunk *to, size_t to_at,
	   const struct vmmem_iotlb_chunk *from, size_t from_at, size_t count)
{
	const bool up = to == from && to_at > from_at;
	struct vmmem_iotlb_entry entry;
	uint64_t used;
	size_t i, step;

	for (i = 0; i < count; i++) {
		step = up ? count - 1 - i : i;
		get_slot(from, from_at + step, &entry, &used);
		put_slot(to, to_at + step, &entry, used);
	}
}

/* pad() makes nothing of the slots [from, to). */
static void
pad(struct vmmem_iotlb_chunk *chunk, size_t from, size_t to)
{
	static const struct vmmem_iotlb_entry nothing = {
		.start = UINT64_MAX,
		.last = UINT64_MAX,
	};

	for (; from < to; from++)
		put_slot(chunk, from, &nothing, 0);
}

/* set_order_last() has the order say where a chunk ends. */
static void
set_order_last(struct vmmem_iotlb_table *table, size_t index)
{
	const struct vmmem_iotlb_chunk *chunk = chunk_at(table, index);
	uint64_t last = UINT64_MAX;

	if (index + 1 != chunks_used(table))
		last = OWN(chunk->slots[0][chunk->count - 1].last);
	if (OWN(table->orders[0].lasts[index]) == last)
		return;
	PUT(table->orders[0].lasts[index], last);
	table->order_touched = true;
}

/* add_chunk() puts a chunk without entries at 'index' of the order. */
static struct vmmem_iotlb_chunk *
add_chunk(struct vmmem_iotlb_table *table, size_t index)
{
	struct vmmem_iotlb_order *order = &table->orders[0];
	/* There is one: see chunks_for(). */
	uint32_t id = table->spare[--table->spare_count];
	struct vmmem_iotlb_chunk *chunk = &table->chunks[id];
	size_t i;

	for (i = chunks_used(table); i > index; i--) {
		PUT(order->lasts[i], OWN(order->lasts[i - 1]));
		PUT(order->chunks[i], OWN(order->chunks[i - 1]));
	}
	PUT(order->chunks[index], id);
	PUT(order->lasts[index], UINT64_MAX);
	PUT(order->count, OWN(order->count) + 1);
	table->order_touched = true;
	chunk->count = 0;
	*oldest_of(table, chunk) = UINT64_MAX;
	touch(table, chunk, 0, VMMEM_IOTLB_CHUNK);
	pad(chunk, 0, VMMEM_IOTLB_CHUNK);
	return chunk;
}

/*
 * drop_chunk() takes a chunk out of the order; it is not the only one.  Hints
 * may still lead to its slots, so nothing is left there.
 */
static void
drop_chunk(struct vmmem_iotlb_table *table, size_t index)
{
	struct vmmem_iotlb_order *order = &table->orders[0];
	size_t count = chunks_used(table) - 1, i;
	struct vmmem_iotlb_chunk *chunk = chunk_at(table, index);

	touch(table, chunk, 0, chunk->count);
	pad(chunk, 0, chunk->count);
	table->spare[table->spare_count++] = OWN(order->chunks[index]);
	for (i = index; i < count; i++) {
		PUT(order->lasts[i], OWN(order->lasts[i + 1]));
		PUT(order->chunks[i], OWN(order->chunks[i + 1]));
	}
	PUT(order->count, (uint64_t)count);
	table->order_touched = true;
	/* The chunk that is now the last one has no end. */
	set_order_last(table, count - 1);
}

static uint64_t
older(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* join() makes one chunk of 'index' and the next, if they have few entries. */
static void
join(struct vmmem_iotlb_table *table, size_t index)
{
	struct vmmem_iotlb_chunk *chunk, *next;

	if (index + 1 >= chunks_used(table))
		return;
	chunk = chunk_at(table, index);
	next = chunk_at(table, index + 1);
	if (chunk->count + next->count > VMMEM_IOTLB_JOIN)
		return;
	touch(table, chunk, chunk->count, chunk->count + next->count);
	move_slots(chunk, chunk->count, next, 0, next->count);
	chunk->count += next->count;
	*oldest_of(table, chunk) =
		older(*oldest_of(table, chunk), *oldest_of(table, next));
	drop_chunk(table, index + 1);
	set_order_last(table, index);
}

/* split() moves the upper half of a full chunk to a new one behind it. */
static void
split(struct vmmem_iotlb_table *table, size_t index)
{
	enum { half = VMMEM_IOTLB_CHUNK / 2 };
	struct vmmem_iotlb_chunk *chunk = chunk_at(table, index), *next;

	next = add_chunk(table, index + 1);
	move_slots(next, 0, chunk, half, half);
	next->count = half;
	*oldest_of(table, next) = *oldest_of(table, chunk);
	touch(table, chunk, half, VMMEM_IOTLB_CHUNK);
	pad(chunk, half, VMMEM_IOTLB_CHUNK);
	chunk->count = half;
	set_order_last(table, index);
	set_order_last(table, index + 1);
}

/* insert() adds an entry at a place, before what is there. */
static void
insert(struct vmmem_iotlb_table *table, struct place place,
       const struct vmmem_iotlb_entry *entry, uint64_t used)
{
	const size_t left = place.chunk;
	struct vmmem_iotlb_chunk *chunk = chunk_at(table, left);
	bool was_full = chunk->count == VMMEM_IOTLB_CHUNK;

	if (was_full) {
		split(table, left);
		if (place.at > VMMEM_IOTLB_CHUNK / 2) {
			place.chunk++;
			place.at -= VMMEM_IOTLB_CHUNK / 2;
		}
		chunk = chunk_at(table, place.chunk);
	}
	touch(table, chunk, place.at, chunk->count + 1);
	move_slots(chunk, place.at + 1, chunk, place.at,
		   chunk->count - place.at);
	put_slot(chunk, place.at, entry, used);
	chunk->count++;
	*oldest_of(table, chunk) =
		older(*oldest_of(table, chunk), AGE(used));
	table->count++;
	set_order_last(table, place.chunk);
	if (!was_full)
		return;
	/* The halves may be little enough for the neighbours beside them. */
	join(table, left + 1);
	if (left > 0)
		join(table, left - 1);
}

/* take_out() removes 'count' entries of one chunk, from a place on. */
static void
take_out(struct vmmem_iotlb_table *table, struct place place, size_t count)
{
	struct vmmem_iotlb_chunk *chunk = chunk_at(table, place.chunk);
	const size_t rest = chunk->count - place.at - count;

	table->count -= count;
	if (count == chunk->count && chunks_used(table) != 1) {
		drop_chunk(table, place.chunk);
		if (place.chunk > 0)
			join(table, place.chunk - 1);
		return;
	}
	touch(table, chunk, place.at, chunk->count);
	move_slots(chunk, place.at, chunk, place.at + count, rest);
	pad(chunk, place.at + rest, chunk->count);
	chunk->count -= (uint32_t)count;
	/* The only chunk may have no entries, and ends at 2^64 - 1. */
	set_order_last(table, place.chunk);
	/*
	 * With both sides: where many went at once, what is left may be little
	 * enough for the one below even together with the one above.
	 */
	join(table, place.chunk);
	if (place.chunk > 0)
		join(table, place.chunk - 1);
}

/* locate() is the place of the first entry that does not end below 'iova'. */
static struct place
locate(const struct vmmem_iotlb_table *table, uint64_t iova)
{
	const struct vmmem_iotlb_chunk *chunk;
	struct place place;

	place.chunk = vmmem_iotlb_locate_chunk(&table->orders[0], iova);
	chunk = chunk_at(table, place.chunk);
	place.at = vmmem_iotlb_locate_slot(chunk->slots[0], iova);
	/* A full chunk has nothing behind it that would have been found. */
	if (OWN(chunk->slots[0][place.at].last) < iova)
		place.at++;
	return place;
}

/* set_last() changes where an entry ends. */
static void
set_last(struct vmmem_iotlb_table *table, struct place place, uint64_t last)
{
	struct vmmem_iotlb_chunk *chunk = chunk_at(table, place.chunk);

	touch(table, chunk, place.at, place.at + 1);
	PUT(chunk->slots[0][place.at].last, last);
	set_order_last(table, place.chunk);
}

/* clear() removes what there is of [first, last]. */
static void
clear(struct vmmem_iotlb_table *table, uint64_t first, uint64_t last)
{
	struct place place = locate(table, first);
	struct vmmem_iotlb_chunk *chunk;
	struct vmmem_iotlb_entry entry;
	uint64_t used;
	size_t count;

	for (;;) {
		chunk = chunk_at(table, place.chunk);
		if (place.at == chunk->count) {
			if (place.chunk + 1 == chunks_used(table))
				return;
			place = (struct place){ place.chunk + 1, 0 };
			continue;
		}
		get_slot(chunk, place.at, &entry, &used);
		if (entry.start > last)
			return;
		if (entry.start < first) {
			set_last(table, place, first - 1);
			place.at++;
			if (entry.last <= last)
				continue;
			/* The part to remove lies in the middle. */
			entry.start = last + 1;
			insert(table, place, &entry, used);
			return;
		}
		if (entry.last > last) {
			touch(table, chunk, place.at, place.at + 1);
			PUT(chunk->slots[0][place.at].start, last + 1);
			return;
		}
		count = 1;
		while (place.at + count < chunk->count &&
		       OWN(chunk->slots[0][place.at + count].last) <= last)
			count++;
		take_out(table, place, count);
		/* Chunks may have been joined. */
		place = locate(table, first);
	}
}

/*
 * goes_on() tells whether 'high' begins where 'low' ends, in the target too, so
 * that they may be one.  Behind the target's last address there is nothing:
 * address 0 is not next to it, though the displacement is the same.
 */
static bool
goes_on(const struct vmmem_iotlb_entry *low,
	const struct vmmem_iotlb_entry *high)
{
	return low->last + 1 == high->start && low->delta == high->delta &&
	       low->flags == high->flags && low->cookie == high->cookie &&
	       high->start + high->delta != 0;
}

/* An added entry is younger than all that were used before. */
static uint64_t
youngest(const struct vmmem_iotlb_table *table)
{
	return (OWN(table->clock) + 1) << VMMEM_IOTLB_REGION_BITS;
}

static void
use(struct vmmem_iotlb_table *table, struct place place)
{
	PUT_USED(chunk_at(table, place.chunk)->used[place.at],
		 youngest(table));
}

/* add() adds an entry where there is none, or makes a neighbour longer. */
static void
add(struct vmmem_iotlb_table *table, const struct vmmem_iotlb_entry *entry)
{
	struct place place = locate(table, entry->start), before = place;
	struct vmmem_iotlb_chunk *chunk = chunk_at(table, place.chunk);
	struct vmmem_iotlb_entry left = { 0 }, right = { 0 };
	bool joins_left = false, joins_right = false;
	uint64_t used;

	if (place.at > 0) {
		before.at--;
	} else if (place.chunk > 0) {
		before.chunk--;
		before.at = chunk_at(table, before.chunk)->count - 1;
	}
	if (place.at > 0 || place.chunk > 0) {
		get_slot(chunk_at(table, before.chunk), before.at, &left,
			 &used);
		joins_left = goes_on(&left, entry);
	}
	/* The entry behind the last one of a chunk begins the next chunk. */
	if (place.at < chunk->count) {
		get_slot(chunk, place.at, &right, &used);
		joins_right = goes_on(entry, &right);
	}

	if (joins_left) {
		set_last(table, before, joins_right ? right.last : entry->last);
		use(table, before);
		if (joins_right)
			take_out(table, place, 1);
	} else if (joins_right) {
		touch(table, chunk, place.at, place.at + 1);
		PUT(chunk->slots[0][place.at].start, entry->start);
		use(table, place);
	} else {
		insert(table, place, entry, youngest(table));
	}
}

/*
 * scan() finds the entry of a chunk that has not been used for longest, the
 * first of several, and with that knows how old the chunk is.
 */
static size_t
scan(const struct vmmem_iotlb_table *table,
     const struct vmmem_iotlb_chunk *chunk)
{
	uint64_t oldest = UINT64_MAX, used;
	size_t at = 0, i;

	for (i = 0; i < chunk->count; i++) {
		used = AGE(OWN(chunk->used[i]));
		if (used >= oldest)
			continue;
		oldest = used;
		at = i;
	}
	*oldest_of(table, chunk) = oldest;
	return at;
}

/* evict() drops the entry that has not been used for longest. */
static void
evict(struct vmmem_iotlb_table *table)
{
	uint64_t oldest, own;
	struct place place;
	size_t i;

	/*
	 * A chunk's entries may be younger than is known of it, as readers use
	 * them meanwhile, but not older.  So the one that seems to be the
	 * oldest is looked at, until one is as old as it seems.
	 */
	do {
		place.chunk = 0;
		oldest = UINT64_MAX;
		for (i = 0; i < chunks_used(table); i++) {
			own = table->oldest[OWN(table->orders[0].chunks[i])];
			if (own >= oldest)
				continue;
			oldest = own;
			place.chunk = i;
		}
		place.at = scan(table, chunk_at(table, place.chunk));
	} while (*oldest_of(table, chunk_at(table, place.chunk)) != oldest);
	take_out(table, place, 1);
	/* Relaxed: as for 'settled'. */
	__atomic_store_n(&table->evicted, table->evicted + 1, __ATOMIC_RELAXED);
}

/* begin() has readers look at copy 1, so that copy 0 may be changed. */
static void
begin(struct vmmem_iotlb_table *table)
{
	/* Release: copy 1 is what the last change has made of it. */
	PUT(table->sequence, OWN(table->sequence) + 1);
}

static void
copy_chunk(struct vmmem_iotlb_chunk *chunk)
{
	const struct vmmem_iotlb_slot *from = chunk->slots[0];
	struct vmmem_iotlb_slot *to = chunk->slots[1];
	size_t i;

	for (i = chunk->low; i < chunk->high; i++) {
		PUT(to[i].last, OWN(from[i].last));
		PUT(to[i].start, OWN(from[i].start));
		PUT(to[i].delta, OWN(from[i].delta));
		PUT(to[i].flags, OWN(from[i].flags));
		PUT(chunk->cookies[1][i], OWN(chunk->cookies[0][i]));
	}
	chunk->high = 0;
}

/* finish() has them look at copy 0, and makes copy 1 the same. */
static void
finish(struct vmmem_iotlb_table *table)
{
	const struct vmmem_iotlb_order *from = &table->orders[0];
	struct vmmem_iotlb_order *to = &table->orders[1];
	size_t i;

	/* Relaxed: a number by itself, for those that ask without the lock. */
	__atomic_store_n(&table->settled, table->count, __ATOMIC_RELAXED);
	/* Release: all of copy 0 comes before it. */
	PUT(table->sequence, OWN(table->sequence) + 1);
	for (i = 0; i < table->touched_count; i++)
		copy_chunk(&table->chunks[table->touched[i]]);
	table->touched_count = 0;
	if (!table->order_touched)
		return;
	for (i = 0; i < chunks_used(table); i++) {
		PUT(to->lasts[i], OWN(from->lasts[i]));
		PUT(to->chunks[i], OWN(from->chunks[i]));
	}
	PUT(to->count, OWN(from->count));
	table->order_touched = false;
}

void
vmmem_iotlb_table_set(struct vmmem_iotlb_table *table,
		      const struct vmmem_iotlb_entry *entry)
{
	begin(table);
	clear(table, entry->start, entry->last);
	add(table, entry);
	while (table->count > table->capacity)
		evict(table);
	finish(table);
	/* Release: a use of an entry after this is younger than now. */
	PUT(table->clock, OWN(table->clock) + 2);
}

void
vmmem_iotlb_table_clear(struct vmmem_iotlb_table *table, uint64_t first,
			uint64_t last)
{
	begin(table);
	clear(table, first, last);
	/* An entry that was cut in two may be one too many. */
	while (table->count > table->capacity)
		evict(table);
	finish(table);
}

/* get_at() stores the entry at a place, and whether there is one. */
static bool
get_at(const struct vmmem_iotlb_table *table, struct place place,
       struct vmmem_iotlb_entry *ret_entry)
{
	const struct vmmem_iotlb_chunk *chunk = chunk_at(table, place.chunk);
	uint64_t used;

	if (place.at == chunk->count) {
		place = (struct place){ place.chunk + 1, 0 };
		if (place.chunk == chunks_used(table))
			return false;
		chunk = chunk_at(table, place.chunk);
	}
	get_slot(chunk, place.at, ret_entry, &used);
	return true;
}

/* get_before() does so with the one before it. */
static bool
get_before(const struct vmmem_iotlb_table *table, struct place place,
	   struct vmmem_iotlb_entry *ret_entry)
{
	if (place.at == 0) {
		if (place.chunk == 0)
			return false;
		place.chunk--;
		place.at = chunk_at(table, place.chunk)->count;
	}
	place.at--;
	return get_at(table, place, ret_entry);
}

/* count_between() is how many entries there are from one place to another. */
static size_t
count_between(const struct vmmem_iotlb_table *table, struct place from,
	      struct place to)
{
	size_t count = to.at, i;

	for (i = from.chunk; i < to.chunk; i++)
		count += chunk_at(table, i)->count;
	return count - from.at;
}

size_t
vmmem_iotlb_table_count_with(const struct vmmem_iotlb_table *table,
			     const struct vmmem_iotlb_entry *entry)
{
	struct place from = locate(table, entry->start);
	struct place to = locate(table, entry->last);
	struct vmmem_iotlb_entry low = { 0 }, high = { 0 };
	size_t count = table->count - count_between(table, from, to);
	bool has_low, has_high;

	/* An entry that begins below the range keeps its part below. */
	has_low = get_at(table, from, &low) && low.start < entry->start;
	if (has_low) {
		low.last = entry->start - 1;
		count++;
	} else {
		has_low = get_before(table, from, &low);
	}
	/* The same above; what the range reaches at all was not counted out. */
	has_high = get_at(table, to, &high);
	if (has_high && high.start <= entry->last) {
		if (high.last > entry->last) {
			high.start = entry->last + 1;
		} else {
			count--;
			to.at++;
			has_high = get_at(table, to, &high);
		}
	}
	if (entry->flags == 0)
		return count;
	return count + 1 - (has_low && goes_on(&low, entry)) -
	       (has_high && goes_on(entry, &high));
}

/* start() makes it an empty table, when the room is there. */
static void
start(struct vmmem_iotlb_table *table)
{
	add_chunk(table, 0);
	finish(table);
	/* Copy 0 is the one that is looked at between two changes. */
	table->sequence = 0;
}

/*
 * chunks_for() is how many chunks there may be: two that are neighbours have
 * more than VMMEM_IOTLB_JOIN entries, one is over, and one is new.
 */
static size_t
chunks_for(size_t entries)
{
	return 2 * (entries / (VMMEM_IOTLB_JOIN + 1)) + 4;
}

/* hash_bits_for() has some four hints for each entry, 64 at least. */
static unsigned int
hash_bits_for(size_t capacity)
{
	unsigned int bits = 6;

	while ((size_t)1 << bits < 4 * capacity)
		bits++;
	return bits;
}

int
vmmem_iotlb_table_init(struct vmmem_iotlb_table *table, size_t capacity)
{
	const size_t count = chunks_for(capacity + SURPLUS);
	const unsigned int hash_bits = hash_bits_for(capacity);
	const size_t chunks_len = count * sizeof(struct vmmem_iotlb_chunk);
	/* The order, twice; ages; the spare and touched chunks; the hints. */
	const size_t lasts_len = 3 * count * sizeof(uint64_t);
	const size_t ids_len = 4 * count * sizeof(uint32_t);
	const size_t hints_len = sizeof(uint32_t) << hash_bits;
	void *memory;
	uint32_t *ids;
	size_t i;
	int rc;

	table->memory_len = chunks_len + lasts_len + ids_len + hints_len;
	/* A slot is half a cache line. */
	rc = posix_memalign(&memory, VMMEM_CACHE_LINE, table->memory_len);
	if (rc != 0)
		return -rc;
	table->chunks = memory;
	table->orders[0].lasts = (uint64_t *)&table->chunks[count];
	table->orders[1].lasts = &table->orders[0].lasts[count];
	table->oldest = &table->orders[1].lasts[count];
	ids = (uint32_t *)&table->oldest[count];
	table->orders[0].chunks = ids;
	table->orders[1].chunks = ids + count;
	table->spare = ids + 2 * count;
	table->touched = ids + 3 * count;
	/* All of them lead to the first chunk, which is in use at first. */
	table->hints = memset(ids + 4 * count, 0, hints_len);
	table->hash_shift = 64 - hash_bits;
	table->chunk_count = count;
	table->capacity = capacity;
	table->clock = 1;
	for (i = 0; i < count; i++) {
		table->chunks[i].high = 0;
		table->spare[i] = (uint32_t)(count - 1 - i);
	}
	table->spare_count = count;
	start(table);
	return 0;
}

void
vmmem_iotlb_table_fini(struct vmmem_iotlb_table *table)
{
	free(table->chunks);
}

VMMEM_HOT void
vmmem_iotlb_search(const struct vmmem_iotlb_table *table, uint64_t iova,
		   struct vmmem_iotlb_entry *ret_entry)
{
	const struct vmmem_iotlb_order *order;
	const struct vmmem_iotlb_slot *slot;
	struct vmmem_iotlb_chunk *chunk;
	const size_t hash = vmmem_iotlb_hash(table, iova);
	uint64_t sequence;
	uint32_t id;
	size_t at;

	if (vmmem_iotlb_find_hinted(table, iova, hash ^ 1, ret_entry)) {
		vmmem_iotlb_use(table, ret_entry);
		return;
	}
	do {
		/* Acquire: all of the copy that it names is there. */
		sequence = __atomic_load_n(&table->sequence, __ATOMIC_ACQUIRE);
		order = &table->orders[sequence & 1];
		/*
		 * Whatever is read while it changes is the number of a chunk.
		 */
		at = vmmem_iotlb_locate_chunk(order, iova);
		id = VMMEM_IOTLB_LOAD(order->chunks[at]);
		chunk = &table->chunks[id];
		at = vmmem_iotlb_locate_slot(chunk->slots[sequence & 1], iova);
		slot = &chunk->slots[sequence & 1][at];
		ret_entry->last = VMMEM_IOTLB_LOAD(slot->last);
		ret_entry->start = VMMEM_IOTLB_LOAD(slot->start);
		ret_entry->delta = VMMEM_IOTLB_LOAD(slot->delta);
		ret_entry->flags = VMMEM_IOTLB_LOAD(slot->flags);
		/*
		 * Relaxed: the loads above acquire, so this comes after them.
		 */
	} while (__atomic_load_n(&table->sequence, __ATOMIC_RELAXED) !=
		 sequence);

	if (ret_entry->flags != 0 && ret_entry->start <= iova &&
	    iova <= ret_entry->last) {
		ret_entry->used = &chunk->used[at];
		vmmem_iotlb_use(table, ret_entry);
		/* Relaxed: hints. */
		__atomic_store_n(&table->hints[hash ^ 1],
				 __atomic_load_n(&table->hints[hash],
						 __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&table->hints[hash],
				 id * VMMEM_IOTLB_CHUNK + (uint32_t)at,
				 __ATOMIC_RELAXED);
		return;
	}
	/* The entry that was found follows the gap, or there is none. */
	ret_entry->last = ret_entry->flags != 0 && ret_entry->start > iova ?
				  ret_entry->start - 1 :
				  UINT64_MAX;
	ret_entry->start = iova;
	ret_entry->delta = 0;
	ret_entry->flags = 0;
}

void
vmmem_iotlb_find_cookie(const struct vmmem_iotlb_table *table, uint64_t iova,
			struct vmmem_iotlb_entry *ret_entry)
{
	const struct vmmem_iotlb_chunk *chunk;
	uint64_t sequence;
	size_t at;

	do {
		/* Acquire: all of the copy that it names is there. */
		sequence = __atomic_load_n(&table->sequence, __ATOMIC_ACQUIRE);
		vmmem_iotlb_find(table, iova, ret_entry);
		ret_entry->cookie = 0;
		if (ret_entry->flags == 0)
			return;
		/* Where its use is noted tells where it is. */
		at = (size_t)((const char *)ret_entry->used -
			      (const char *)table->chunks) /
		     sizeof(*chunk);
		chunk = &table->chunks[at];
		at = (size_t)(ret_entry->used - chunk->used);
		ret_entry->cookie =
			VMMEM_IOTLB_LOAD(chunk->cookies[sequence & 1][at]);
		/*
		 * Relaxed: the load above acquires, so this comes after it.
		 * If it is the same, so was the copy that the entry is of.
		 */
	} while (__atomic_load_n(&table->sequence, __ATOMIC_RELAXED) !=
		 sequence);
}
