/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The inside of a collection, and how an address finds its region. */
#ifndef COLLECTION_PRIV_H
#define COLLECTION_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>

#include <vmmem/collection.h>

#include "api.h"
#include "range.h"
#include "region_priv.h"

/*
 * What an access needs of a region, beside each other in 32 bytes, so that one
 * cache line serves it and the region itself is not looked at.
 */
struct vmmem_entry {
	uint64_t span;		 /* length - 1 */
	unsigned char *host;	 /* of the first byte, or NULL */
	const uint32_t *logging; /* is not 0 while writes are marked */
	uint32_t access;	 /* what the region permits */
	uint32_t direct;	 /* the same, or 0 if host is NULL */
};

/*
 * The start addresses stand in an array of their own: a search touches
 * nothing else.  The regions stand in theirs because accesses do not.
 */
struct vmmem_collection {
	atomic_size_t refs;
	atomic_size_t kept; /* of these, by spaces */
	size_t count;
	/*
	 * What a search begins with: 'half' is the greatest power of two below
	 * 'count', and the last 'half' starts begin at 'upper'.  Both are 0 if
	 * there is nothing to search.
	 */
	size_t half;
	size_t upper;
	uint64_t *starts;
	struct vmmem_region **regions;
	struct vmmem_entry entries[];
};

/*
 * vmmem_collection_keep() and vmmem_collection_unkeep() are ref and unref for a
 * space, which wants to know whether others hold references.
 */
void vmmem_collection_keep(struct vmmem_collection *collection);
void vmmem_collection_unkeep(struct vmmem_collection *collection);

/*
 * vmmem_collection_is_held() tells whether anybody but spaces may hold a
 * reference.  Once that is false, and nobody can see the collection through
 * this space, it stays false but through another space that keeps it.
 */
bool vmmem_collection_is_held(const struct vmmem_collection *collection);

/* Where 'logging' points for what has no bitmap: never anything but 0. */
extern const uint32_t vmmem_never_logging;

static inline struct vmmem_region *
vmmem_region_of(const struct vmmem_collection *collection,
		const struct vmmem_entry *entry)
{
	return collection->regions[entry - collection->entries];
}

/*
 * vmmem_search() returns the number of the last region that does not start
 * above 'gpa', or 0.  There is a region.
 */
static inline size_t
vmmem_search(const struct vmmem_collection *collection, uint64_t gpa)
{
	const uint64_t *starts = collection->starts;
	size_t step, at, next;

	/*
	 * Written so that the compiler makes conditional moves of it: guests'
	 * addresses cannot be predicted, and a branch that misses costs more
	 * than the search.  The first step leaves a power of two, whichever
	 * way it goes; the halves may overlap.
	 */
	at = collection->upper;
	at &= -(size_t)(starts[at] <= gpa);
	for (step = collection->half / 2; step != 0; step /= 2) {
		next = at + step;
		at = starts[next] <= gpa ? next : at;
	}
	return at;
}

/*
 * vmmem_find() returns the entry that holds 'gpa' and how far into it 'gpa'
 * lies; NULL if none does.
 */
static inline const struct vmmem_entry *
vmmem_find(const struct vmmem_collection *collection, uint64_t gpa,
	   uint64_t *ret_offset)
{
	const struct vmmem_entry *entry;
	size_t at;

	if (!likely(collection->count != 0))
		return NULL;
	at = vmmem_search(collection, gpa);
	entry = &collection->entries[at];
	/*
	 * Below the first start this wraps to at least 2^64 - start, which is
	 * more than the span of any region that begins at start.
	 */
	*ret_offset = gpa - collection->starts[at];
	return *ret_offset <= entry->span ? entry : NULL;
}

/*
 * vmmem_find_direct() returns the entry that holds 'gpa', and how far into it
 * 'gpa' lies, if it holds all of [gpa, gpa + len), permits 'access' and has
 * host addresses: the case that is worth being fast.  NULL says nothing about
 * why.  'len' is not 0.
 */
static inline const struct vmmem_entry *
vmmem_find_direct(const struct vmmem_collection *collection, uint64_t gpa,
		  uint64_t len, uint32_t access, uint64_t *ret_offset)
{
	const struct vmmem_entry *entry;

	entry = vmmem_find(collection, gpa, ret_offset);
	if (entry == NULL ||
	    !vmmem_range_within(entry->span, *ret_offset, len) ||
	    (access & ~entry->direct) != 0)
		return NULL;
	return entry;
}

/*
 * vmmem_mark_entry() marks [offset, offset + len) of an entry, not empty.
 * Returns 0, so that it can be the last call.
 */
int vmmem_mark_entry(const struct vmmem_collection *collection,
		     const struct vmmem_entry *entry, uint64_t offset,
		     uint64_t len);

/* vmmem_written() follows each write: it marks if somebody wants to know. */
static inline void
vmmem_written(const struct vmmem_collection *collection,
	      const struct vmmem_entry *entry, uint64_t offset, uint64_t len)
{
	/*
	 * No instruction: keeps the compiler from asking before it writes.
	 * The processor may; who starts logging waits for that.
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* Relaxed: for the same reason. */
	if (__builtin_expect(
		    __atomic_load_n(entry->logging, __ATOMIC_RELAXED) != 0, 0))
		vmmem_mark_entry(collection, entry, offset, len);
}

/* vmmem_written_all() is that, as the last thing of a function: returns 0. */
static inline int
vmmem_written_all(const struct vmmem_collection *collection,
		  const struct vmmem_entry *entry, uint64_t offset,
		  uint64_t len)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(
		    __atomic_load_n(entry->logging, __ATOMIC_RELAXED) != 0, 0))
		return vmmem_mark_entry(collection, entry, offset, len);
	return 0;
}

/*
 * vmmem_check() is vmmem_collection_check() without the checks of its
 * arguments; 'ret_bad' is not NULL.
 */
int vmmem_check(const struct vmmem_collection *collection, uint64_t gpa,
		uint64_t len, uint32_t access, uint64_t *ret_bad);

#endif
