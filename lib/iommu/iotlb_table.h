/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The translations of an iotlb: sorted ranges that do not overlap, each with
 * what to add to its addresses and what it permits.
 *
 * They stand in chunks of 32, and the chunks in order in one array of their
 * last addresses: a look-up is a search there and one in the chunk.  Where a
 * page was found last is kept in an array of hints, so that most look-ups need
 * no search.
 *
 * All except the hints is there twice.  A writer changes one copy while readers
 * look at the other, then has them look at the changed one and brings the other
 * up to it.  Which one to look at is the lowest bit of a sequence number; a
 * reader that finds the number changed when it is done looks again.  So nobody
 * waits for a writer, not even a signal handler that has interrupted one, and a
 * change allocates nothing and cannot fail.
 *
 * What readers look at is only ever reached by atomic accesses.  Stores of a
 * writer release and loads of a reader acquire: a reader that sees any of a
 * change sees the sequence number that the change began with, and repeats.
 *
 * docs/models/translate.pml is a model of it.
 */
#ifndef IOTLB_TABLE_H
#define IOTLB_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"

#define VMMEM_IOTLB_CHUNK 32
/* Two neighbours that have no more than this between them become one. */
#define VMMEM_IOTLB_JOIN 24

/* A flag beside VMMEM_PROT_READ and VMMEM_PROT_WRITE: there is an entry. */
#define VMMEM_IOTLB_PRESENT 4U

/* Addresses that differ above this share no hint: that is how pages are. */
#define VMMEM_IOTLB_HINT_SHIFT 12

/*
 * Behind the last entry of a chunk, 'start' and 'last' are 2^64 - 1, so that a
 * search ends there, and 'flags' is 0.
 */
struct vmmem_iotlb_slot {
	uint64_t last;
	uint64_t start;
	uint64_t delta; /* from an address to its target, modulo 2^64 */
	uint64_t flags;
};

struct vmmem_iotlb_chunk {
	struct vmmem_iotlb_slot slots[2][VMMEM_IOTLB_CHUNK];
	/*
	 * When each entry was last used, by the table's clock; below that, in
	 * VMMEM_IOTLB_REGION_BITS, which region of the physical map it led to.
	 * A hint, that both copies share: a reader that is late may note it
	 * for a neighbour.
	 */
	uint64_t used[VMMEM_IOTLB_CHUNK];
	/* The caller's cookie of each: not for accesses, so apart. */
	uint64_t cookies[2][VMMEM_IOTLB_CHUNK];
	/* The writer's own. */
	uint32_t count;
	/* Slots that differ between the copies are in [low, high). */
	uint32_t low;
	uint32_t high; /* 0: the copies are the same */
};
#define VMMEM_IOTLB_REGION_BITS 16
#define VMMEM_IOTLB_REGION_MASK ((UINT64_C(1) << VMMEM_IOTLB_REGION_BITS) - 1)

/* One copy's order of the chunks. */
struct vmmem_iotlb_order {
	/* The last address of each; of the last one 2^64 - 1. */
	uint64_t *lasts;
	uint32_t *chunks;
	uint64_t count; /* at least 1 */
};

struct vmmem_iotlb_table {
	/* Even or odd: the copy that readers look at. */
	uint64_t sequence;
	/* Goes on after each new entry: what is used later is younger. */
	uint64_t clock;
	struct vmmem_iotlb_chunk *chunks;
	/*
	 * By a hash of the page: the number of a chunk, times
	 * VMMEM_IOTLB_CHUNK, and of a slot in it.  Always of some slot, but
	 * not always of the right one.  Two that stand side by side are for the
	 * same pages: the second is what was the first before.
	 */
	uint32_t *hints;
	uint32_t hash_shift;
	struct vmmem_iotlb_order orders[2];

	/* From here on the writer's own. */
	size_t capacity;
	size_t count;
	/* 'count' after the last change, and how many were evicted. */
	size_t settled;
	uint64_t evicted;
	/* By chunk: none of its entries was last used before that. */
	uint64_t *oldest;
	uint32_t *spare; /* chunks that are not in use */
	size_t spare_count;
	uint32_t *touched;
	size_t touched_count;
	bool order_touched;
	size_t chunk_count; /* of all; only tests ask */
	size_t memory_len;
};

/* A range that is all there, or all missing: then 'flags' is 0. */
struct vmmem_iotlb_entry {
	uint64_t start;
	uint64_t last;
	uint64_t delta;
	uint64_t flags;
	/* Set by vmmem_iotlb_find_cookie() and by writers only. */
	uint64_t cookie;
	/* Where its use is noted, and what was; if it is there. */
	uint64_t *used;
	uint64_t use;
};

/*
 * vmmem_iotlb_table_init() makes room for 'capacity' entries, at least 1 and at
 * most VMMEM_IOTLB_CAPACITY_MAX.  All bytes of 'table' are zero before.
 * Returns 0 or -ENOMEM.
 */
int vmmem_iotlb_table_init(struct vmmem_iotlb_table *table, size_t capacity);
void vmmem_iotlb_table_fini(struct vmmem_iotlb_table *table);

/*
 * The writer's, one at a time.  Of 'entry' all is given except its use; 'flags'
 * is what it permits.  Setting replaces what was there, joins with neighbours
 * alike, and drops the entries that have not been used for longest if there are
 * too many.  Clearing [first, last] may cut an entry in two, and then drops one
 * likewise.
 */
void vmmem_iotlb_table_set(struct vmmem_iotlb_table *table,
			   const struct vmmem_iotlb_entry *entry);
void vmmem_iotlb_table_clear(struct vmmem_iotlb_table *table, uint64_t first,
			     uint64_t last);

/*
 * The writer's: how many entries there would be, before any is dropped, if
 * [entry->start, entry->last] were cleared; and then, unless 'flags' is 0, set.
 */
size_t vmmem_iotlb_table_count_with(const struct vmmem_iotlb_table *table,
				    const struct vmmem_iotlb_entry *entry);

/* Loads of what a writer may be changing: see the top. */
#define VMMEM_IOTLB_LOAD(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE)

/*
 * vmmem_iotlb_step() is a half of a search: 'last' is where the lower half from
 * 'at' on ends.  A conditional move, as in vmmem_collection_search().
 */
static VMMEM_ALWAYS_INLINE size_t
vmmem_iotlb_step(const uint64_t *last, size_t at, size_t half, uint64_t iova)
{
	return VMMEM_IOTLB_LOAD(*last) < iova ? at + half : at;
}

/*
 * vmmem_iotlb_locate_chunk() is the number, in an order, of the chunk that
 * holds 'iova' or what follows it.
 */
static VMMEM_ALWAYS_INLINE size_t
vmmem_iotlb_locate_chunk(const struct vmmem_iotlb_order *order, uint64_t iova)
{
	size_t count = VMMEM_IOTLB_LOAD(order->count), at = 0, half;

	while (count > 1) {
		half = count / 2;
		at = vmmem_iotlb_step(&order->lasts[at + half - 1], at, half,
				      iova);
		count -= half;
	}
	return at;
}

/*
 * vmmem_iotlb_locate_slot() is the number of the slot in a chunk that holds
 * 'iova' or what follows it; or of the last of all.
 */
static VMMEM_ALWAYS_INLINE size_t
vmmem_iotlb_locate_slot(const struct vmmem_iotlb_slot *slots, uint64_t iova)
{
	size_t at = 0;

	at = vmmem_iotlb_step(&slots[at + 15].last, at, 16, iova);
	at = vmmem_iotlb_step(&slots[at + 7].last, at, 8, iova);
	at = vmmem_iotlb_step(&slots[at + 3].last, at, 4, iova);
	at = vmmem_iotlb_step(&slots[at + 1].last, at, 2, iova);
	at = vmmem_iotlb_step(&slots[at].last, at, 1, iova);
	return at;
}
_Static_assert(VMMEM_IOTLB_CHUNK == 32, "five halves");

/*
 * vmmem_iotlb_hash() is the number of the hint for the page of 'iova'; or else
 * it is beside that, at the number that differs in the lowest bit.
 */
static VMMEM_ALWAYS_INLINE size_t
vmmem_iotlb_hash(const struct vmmem_iotlb_table *table, uint64_t iova)
{
	/* Pages beside each other, and any power of two apart, spread well. */
	return (iova >> VMMEM_IOTLB_HINT_SHIFT) *
		       UINT64_C(0x9e3779b97f4a7c15) >>
	       table->hash_shift;
}

/* vmmem_iotlb_use() notes that an entry was used just now. */
static VMMEM_ALWAYS_INLINE void
vmmem_iotlb_use(const struct vmmem_iotlb_table *table,
		struct vmmem_iotlb_entry *entry)
{
	/*
	 * Relaxed, all: a hint.  It costs a store once for each tick of the
	 * clock; between two the line stays shared.
	 */
	const uint64_t clock = __atomic_load_n(&table->clock, __ATOMIC_RELAXED);

	entry->use = __atomic_load_n(entry->used, __ATOMIC_RELAXED);
	if (likely(entry->use >> VMMEM_IOTLB_REGION_BITS == clock))
		return;
	entry->use = clock << VMMEM_IOTLB_REGION_BITS |
		     (entry->use & VMMEM_IOTLB_REGION_MASK);
	__atomic_store_n(entry->used, entry->use, __ATOMIC_RELAXED);
}

/* vmmem_iotlb_search() is vmmem_iotlb_find() where the first hint is wrong. */
void vmmem_iotlb_search(const struct vmmem_iotlb_table *table, uint64_t iova,
			struct vmmem_iotlb_entry *ret_entry);

/*
 * vmmem_iotlb_find_hinted() finds the entry that holds 'iova' if it is where
 * the hint with this number leads.
 */
static VMMEM_ALWAYS_INLINE bool
vmmem_iotlb_find_hinted(const struct vmmem_iotlb_table *table, uint64_t iova,
			size_t hash, struct vmmem_iotlb_entry *ret_entry)
{
	const struct vmmem_iotlb_slot *slot;
	struct vmmem_iotlb_chunk *chunk;
	uint64_t sequence;
	uint32_t hint;

	/* Acquire: all of the copy that it names is there. */
	sequence = __atomic_load_n(&table->sequence, __ATOMIC_ACQUIRE);
	/* Relaxed: what it leads to is looked at. */
	hint = __atomic_load_n(&table->hints[hash], __ATOMIC_RELAXED);
	chunk = &table->chunks[hint / VMMEM_IOTLB_CHUNK];
	slot = &chunk->slots[sequence & 1][hint % VMMEM_IOTLB_CHUNK];
	ret_entry->last = VMMEM_IOTLB_LOAD(slot->last);
	ret_entry->start = VMMEM_IOTLB_LOAD(slot->start);
	ret_entry->delta = VMMEM_IOTLB_LOAD(slot->delta);
	ret_entry->flags = VMMEM_IOTLB_LOAD(slot->flags);
	ret_entry->used = &chunk->used[hint % VMMEM_IOTLB_CHUNK];
	/* Relaxed: the loads above acquire, so this comes after them. */
	return likely(__atomic_load_n(&table->sequence, __ATOMIC_RELAXED) ==
			      sequence &&
		      ret_entry->start <= iova && iova <= ret_entry->last &&
		      ret_entry->flags != 0);
}

/*
 * vmmem_iotlb_find() gives the entry that holds 'iova', and notes that it was
 * used; or the gap.  Any thread, any time.
 */
static VMMEM_ALWAYS_INLINE void
vmmem_iotlb_find(const struct vmmem_iotlb_table *table, uint64_t iova,
		 struct vmmem_iotlb_entry *ret_entry)
{
	if (vmmem_iotlb_find_hinted(table, iova, vmmem_iotlb_hash(table, iova),
				    ret_entry))
		vmmem_iotlb_use(table, ret_entry);
	else
		vmmem_iotlb_search(table, iova, ret_entry);
}

/* vmmem_iotlb_find_cookie() does so, and gives its cookie too; 0 of a gap. */
void vmmem_iotlb_find_cookie(const struct vmmem_iotlb_table *table,
			     uint64_t iova,
			     struct vmmem_iotlb_entry *ret_entry);

#endif
