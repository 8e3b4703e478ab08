/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The inside of a collection, and how an address finds its region. */
#ifndef COLLECTION_PRIV_H
#define COLLECTION_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>

#include <vmmem/collection.h>

#include "range.h"
#include "region_priv.h"

/*
 * What an access needs of a region, beside each other in 32 bytes, so that one
 * cache line serves it and the region itself is never looked at.
 */
struct vmmem_entry {
	uint64_t span;		    /* length - 1 */
	unsigned char *host;	    /* of the first byte, or NULL */
	struct vmmem_region *region;
	uint32_t access;	    /* what the region permits */
	uint32_t direct;	    /* the same, or 0 if host is NULL */
};

/*
 * The start addresses stand in an array of their own: a search touches
 * nothing else.
 */
struct vmmem_collection {
	atomic_size_t refs;
	size_t count;
	uint64_t *starts;
	struct vmmem_entry entries[];
};

/*
 * vmmem_find() returns the entry that holds 'gpa' and how far into it 'gpa'
 * lies; NULL if none does.
 */
static inline const struct vmmem_entry *
vmmem_find(const struct vmmem_collection *collection, uint64_t gpa,
	   uint64_t *ret_offset)
{
	const uint64_t *base = collection->starts;
	size_t count = collection->count;
	const struct vmmem_entry *entry;

	if (count == 0)
		return NULL;
	/*
	 * To the last start that is not above 'gpa'.  Written so that the
	 * compiler makes a conditional move of it: guests' addresses cannot be
	 * predicted, and a branch that misses costs more than the search.
	 */
	while (count > 1) {
		size_t half = count / 2;

		base = base[half] <= gpa ? base + half : base;
		count -= half;
	}
	entry = &collection->entries[base - collection->starts];
	/*
	 * Below the first start this wraps to at least 2^64 - start, which is
	 * more than the span of any region that begins at start.
	 */
	*ret_offset = gpa - *base;
	return *ret_offset <= entry->span ? entry : NULL;
}

/*
 * vmmem_find_direct() returns the host address of [gpa, gpa + len) if one
 * region holds all of it, permits 'access' and has host addresses: the case
 * that is worth being fast.  NULL says nothing about why.  'len' is not 0.
 */
static inline unsigned char *
vmmem_find_direct(const struct vmmem_collection *collection, uint64_t gpa,
		  uint64_t len, uint32_t access)
{
	const struct vmmem_entry *entry;
	uint64_t offset;

	entry = vmmem_find(collection, gpa, &offset);
	if (entry == NULL || !vmmem_range_within(entry->span, offset, len) ||
	    (access & ~entry->direct) != 0)
		return NULL;
	return entry->host + offset;
}

/*
 * vmmem_check() is vmmem_collection_check() without the checks of its
 * arguments; 'ret_bad' is not NULL.
 */
int vmmem_check(const struct vmmem_collection *collection, uint64_t gpa,
		uint64_t len, uint32_t access, uint64_t *ret_bad);

#endif
