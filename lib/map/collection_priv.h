/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The inside of a collection, and how an address finds its region. */
#ifndef COLLECTION_PRIV_H
#define COLLECTION_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <vmmem/collection.h>
#include <vmmem/slice.h>

#include "base/api.h"
#include "base/range.h"
#include "region/mark.h"
#include "region/region_priv.h"

/*
 * The collections of a lineage were made one of the other, by inserting and
 * removing regions, each of the newest one.  They hold their regions together:
 * see lineage.c.
 */
struct vmmem_lineage;

/* See collection_cookie.c. */
struct vmmem_collection_cookie;

/*
 * The start addresses stand in an array of their own: a search touches
 * nothing else.  So do the lengths: a search does not look at the region.  The
 * members that an access needs stand in the region, so that a copy of a
 * collection is three words for each region.
 */
struct vmmem_collection {
	/*
	 * 0 in a translated collection while its iommu is on: see translate.h.
	 * No other member that needs no lock ever changes.
	 */
	size_t count;
	/*
	 * The first step of a search: two to the 'levels' is the greatest power
	 * of two below 'count', and that many starts, the last ones, begin at
	 * 'upper'.  Both are 0 if there is nothing to search.
	 */
	size_t levels;
	size_t upper;
	struct vmmem_region **regions; /* behind the lengths */
	struct vmmem_translation *translation; /* NULL of a plain one */
	atomic_size_t refs;
	atomic_size_t kept; /* of these, by spaces */
	_Atomic(struct vmmem_collection_cookie *) cookies;

	/* Under the lineage's lock. */
	struct vmmem_lineage *lineage;
	struct vmmem_collection *older, *newer;
	/*
	 * The regions in which it differs from 'older': the first 'inserted' of
	 * them are in this one, the others in 'older'.  NULL: not known.
	 */
	struct vmmem_region **changed;
	size_t changes;
	size_t inserted;
	struct vmmem_region *one; /* where 'changed' points, if it is one */

	uint64_t starts[]; /* and, behind them, lengths - 1 */
};

/*
 * vmmem_collection_spans() is where the lengths - 1 are, in a plain collection.
 */
static inline const uint64_t *
vmmem_collection_spans(const struct vmmem_collection *collection)
{
	return &collection->starts[collection->count];
}

/*
 * vmmem_collection_allocate() gives a collection of 'count' regions, which are
 * not yet put there, and with room for 'changes' of them in 'changed'; NULL if
 * there is no memory.
 */
struct vmmem_collection *vmmem_collection_allocate(size_t count,
						   size_t changes);

/* vmmem_collection_put() makes 'region' number 'index' of a new collection. */
static inline void
vmmem_collection_put(struct vmmem_collection *collection, size_t index,
		     struct vmmem_region *region)
{
	collection->starts[index] = region->start;
	collection->starts[collection->count + index] = region->entry.span;
	collection->regions[index] = region;
}

/*
 * vmmem_collection_finish() makes a lineage hold the regions of a new
 * collection, which differs from 'older', if that is not NULL, in 'changed'.
 * Returns 0, or -ENOMEM: the collection was freed.
 */
int vmmem_collection_finish(struct vmmem_collection *collection,
			    const struct vmmem_collection *older);

/*
 * vmmem_collection_end_cookies() destroys the cookies of a collection that
 * nobody refers to any more.
 */
void vmmem_collection_end_cookies(struct vmmem_collection *collection);

/*
 * vmmem_collection_first_after() returns the index of the first region that
 * starts above 'gpa'.
 */
size_t vmmem_collection_first_after(const struct vmmem_collection *collection,
				    uint64_t gpa);

/*
 * vmmem_collection_change() makes a collection without the 'removed' regions of
 * another and with the 'added' ones.  Both lists ascend; all that are to be
 * removed are there, and nothing overlaps.  Returns 0 or -ENOMEM.
 */
int vmmem_collection_change(const struct vmmem_collection *collection,
			    struct vmmem_region *const *added,
			    size_t added_count,
			    struct vmmem_region *const *removed,
			    size_t removed_count,
			    struct vmmem_collection **ret_collection);

/*
 * vmmem_collection_keep() and vmmem_collection_unkeep() are ref and unref for a
 * space, which wants to know whether others hold references.
 */
void vmmem_collection_keep(struct vmmem_collection *collection);
void vmmem_collection_unkeep(struct vmmem_collection *collection);

/*
 * vmmem_collection_is_held() tells whether a holder other than spaces may have
 * a reference.  Once it is false, and no reader can see the collection through
 * this space, it stays false unless another space keeps the collection.
 */
bool vmmem_collection_is_held(const struct vmmem_collection *collection);

/*
 * A step moves 'at' on by 'step' if the start there is not above 'gpa'.
 * Guests' addresses cannot be predicted, and a branch that misses costs more
 * than the search: so this is to be a conditional move.  The statement without
 * an instruction keeps compilers from making branches of a row of them.
 */
#define VMMEM_SEARCH_STEP(step)                                            \
	do {                                                               \
		const size_t next = at + (step);                           \
									   \
		at = starts[next] <= gpa ? next : at;                      \
		__asm__("" : "+r"(at));                                    \
	} while (0)

/*
 * vmmem_collection_search() returns the number of the last region that does not
 * start above 'gpa', or 0.  There is a region.
 *
 * Up to 512 regions the steps are written out, and a jump leads to the first
 * that is needed: it can be predicted, since maps seldom change.  A loop took
 * 6.3 ns for 256 regions, and 18 when each search waited for the last; this
 * takes 5.7 and 16.
 */
static VMMEM_ALWAYS_INLINE size_t
vmmem_collection_search(const struct vmmem_collection *collection, uint64_t gpa)
{
	const uint64_t *starts = collection->starts;
	size_t at = 0, step;

	/*
	 * This step leaves a power of two, whichever way it goes; the halves
	 * may overlap.
	 */
	__asm__("" : "+r"(at));
	VMMEM_SEARCH_STEP(collection->upper);
	switch (collection->levels) {
	default:
		for (step = (size_t)1 << (collection->levels - 1); step > 128;
		     step /= 2)
			VMMEM_SEARCH_STEP(step);
		/* fallthrough */
	case 8:
		VMMEM_SEARCH_STEP(128);
		/* fallthrough */
	case 7:
		VMMEM_SEARCH_STEP(64);
		/* fallthrough */
	case 6:
		VMMEM_SEARCH_STEP(32);
		/* fallthrough */
	case 5:
		VMMEM_SEARCH_STEP(16);
		/* fallthrough */
	case 4:
		VMMEM_SEARCH_STEP(8);
		/* fallthrough */
	case 3:
		VMMEM_SEARCH_STEP(4);
		/* fallthrough */
	case 2:
		VMMEM_SEARCH_STEP(2);
		/* fallthrough */
	case 1:
		VMMEM_SEARCH_STEP(1);
		/* fallthrough */
	case 0:
		return at;
	}
}

/*
 * vmmem_collection_find_index() returns the entry that holds 'gpa', its number,
 * and how far into it 'gpa' lies; NULL if none does.
 */
static VMMEM_ALWAYS_INLINE const struct vmmem_region_entry *
vmmem_collection_find_index(const struct vmmem_collection *collection,
			    uint64_t gpa, uint64_t *ret_offset, size_t *ret_at)
{
	const struct vmmem_region_entry *entry;
	size_t at;

	/* Relaxed: the switch of an iommu is the only thing that races. */
	if (!likely(__atomic_load_n(&collection->count, __ATOMIC_RELAXED) !=
		    0))
		return NULL;
	*ret_at = at = vmmem_collection_search(collection, gpa);
	entry = &collection->regions[at]->entry;
	/*
	 * Below the first start this wraps to at least 2^64 - start, which is
	 * more than the span of any region that begins at start.
	 *
	 * A branch, and no conditional move: the use of the entry need not wait
	 * for its span.
	 */
	*ret_offset = gpa - collection->starts[at];
	if (!likely(*ret_offset <= entry->span)) {
		__asm__ volatile("");
		return NULL;
	}
	return entry;
}

/* vmmem_collection_find_entry() is the same without the number. */
static VMMEM_ALWAYS_INLINE const struct vmmem_region_entry *
vmmem_collection_find_entry(const struct vmmem_collection *collection,
			    uint64_t gpa, uint64_t *ret_offset)
{
	size_t at;

	return vmmem_collection_find_index(collection, gpa, ret_offset, &at);
}

/*
 * vmmem_collection_next_index() goes on from number '*at' to the region that
 * begins right behind its end, and returns its entry; NULL if none does.
 */
static inline const struct vmmem_region_entry *
vmmem_collection_next_index(const struct vmmem_collection *collection,
			    size_t *at)
{
	const uint64_t last = collection->regions[*at]->last;

	/* Behind the last address there is no region at all. */
	if (++*at == collection->count ||
	    collection->starts[*at] != last + 1)
		return NULL;
	return &collection->regions[*at]->entry;
}

/*
 * vmmem_collection_next_entry() returns the entry of the region that begins
 * right behind another's end; NULL if none does.
 */
static inline const struct vmmem_region_entry *
vmmem_collection_next_entry(const struct vmmem_collection *collection,
			    const struct vmmem_region_entry *entry)
{
	const uint64_t last = vmmem_region_of(entry)->last;
	size_t at;

	if (last == UINT64_MAX)
		return NULL;
	at = vmmem_collection_search(collection, last + 1);
	return collection->starts[at] == last + 1 ?
		       &collection->regions[at]->entry :
		       NULL;
}

/*
 * vmmem_collection_find_direct() returns the entry that holds 'gpa', and how
 * far into it 'gpa' lies, if it holds all of [gpa, gpa + len), permits 'access'
 * and has host addresses: the case that is worth being fast.  NULL does not
 * tell the reason.  'len' is not 0.
 */
static VMMEM_ALWAYS_INLINE const struct vmmem_region_entry *
vmmem_collection_find_direct(const struct vmmem_collection *collection,
			     uint64_t gpa, uint64_t len, uint32_t access,
			     uint64_t *ret_offset)
{
	const struct vmmem_region_entry *entry;

	entry = vmmem_collection_find_entry(collection, gpa, ret_offset);
	if (entry == NULL ||
	    !vmmem_range_within(entry->span, *ret_offset, len) ||
	    (access & ~entry->direct) != 0)
		return NULL;
	return entry;
}

/*
 * vmmem_collection_shadow() makes a collection of the same regions, which does
 * not hold them, to be made a translated one; NULL if there is no memory.
 */
struct vmmem_collection *
vmmem_collection_shadow(const struct vmmem_collection *collection);

/*
 * vmmem_collection_check_range() is vmmem_collection_check() without the checks
 * of its arguments; 'ret_bad' is not NULL.
 */
int vmmem_collection_check_range(const struct vmmem_collection *collection,
				 uint64_t gpa, uint64_t len, uint32_t access,
				 uint64_t *ret_bad);

/*
 * vmmem_collection_next_piece() is vmmem_collection_next_slice() without the
 * checks of its arguments; 'len' is not 0.  All code that hands host addresses
 * to the kernel, or stores them in an iovec, gets them here, piece by piece.
 * Without 'acquire' memory that is mapped on demand is VMMEM_ENOHOST.
 */
int vmmem_collection_next_piece(const struct vmmem_collection *collection,
				uint64_t gpa, uint64_t len, uint32_t access,
				bool acquire, struct vmmem_slice *ret_piece);

/*
 * vmmem_collection_mark_range() marks [gpa, gpa + len), wherever it is mapped.
 * Returns 0, or what vmmem_collection_check_range() returns for the whole
 * range.
 */
int vmmem_collection_mark_range(const struct vmmem_collection *collection,
				uint64_t gpa, uint64_t len);

#endif
