/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The inside of a bitmap, for its harvesters and for markers. */
#ifndef BITMAP_PRIV_H
#define BITMAP_PRIV_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>

#include <vmmem/bitmap.h>

#include "dirty/bits.h"

struct vmmem_bitmap {
	/*
	 * Not 0 while writes are to be marked.  First, because slices point
	 * here: this is all that the inline accessors know of a bitmap.
	 */
	uint32_t logging;
	unsigned int page_shift;
	atomic_size_t refs;

	/* Grows under the lock, and is looked at by markers without. */
	uint64_t len;
	uint64_t max_len;
	struct vmmem_bits bits;

	void (*release)(void *opaque);
	void *opaque;
	char *name; /* or NULL */

	/*
	 * Harvesting, starting, stopping and growing take the lock; marking
	 * never does.
	 */
	pthread_mutex_t lock;
	LIST_HEAD(, vmmem_harvester) harvesters;
	size_t starts;	     /* that harvesters made, and others */
	size_t other_starts; /* that vmmem_bitmap_stop_logging() takes back */
	size_t unsure;	     /* of these, without their barrier yet */
	bool always;	  /* logging is never switched off */
	bool barrier_due; /* bits were cleared, the barrier has yet to be */
};

struct vmmem_harvester {
	struct vmmem_bitmap *bitmap;
	char *name; /* or NULL */
	LIST_ENTRY(vmmem_harvester) link;
	/*
	 * Marks that were moved out of the bitmap, by whichever harvester, and
	 * that this one has not taken.  Under the bitmap's lock.
	 */
	struct vmmem_bits pending;
	bool pending_any; /* there may be some */
	/*
	 * What was taken and not confirmed, and how many pages that are; the
	 * bits are this harvester's alone.
	 */
	struct vmmem_bitmap taken;
	uint64_t taken_pages;
};

/*
 * vmmem_bitmap_init() and vmmem_bitmap_fini() make and undo a bitmap within
 * another object; 'like' says how long it is and what its pages are.
 */
int vmmem_bitmap_init(struct vmmem_bitmap *bitmap,
		      const struct vmmem_bitmap *like);
void vmmem_bitmap_fini(struct vmmem_bitmap *bitmap);

/*
 * vmmem_bitmap_drain() moves the marks to all harvesters, and then sees to the
 * barrier.  Under the lock.  Returns 0, or -errno: there was no barrier, and
 * what the harvesters have must not be given out.
 */
int vmmem_bitmap_drain(struct vmmem_bitmap *bitmap);

/* vmmem_bitmap_start_logging() and its reverse, under the lock. */
int vmmem_bitmap_start_locked(struct vmmem_bitmap *bitmap);
void vmmem_bitmap_stop_locked(struct vmmem_bitmap *bitmap);

/*
 * vmmem_bitmap_start_unsure() is vmmem_bitmap_start_logging() without its
 * barrier, and tells whether one is due.  vmmem_bitmap_start_settle() says that
 * it was made, or takes the start back.
 */
bool vmmem_bitmap_start_unsure(struct vmmem_bitmap *bitmap);
void vmmem_bitmap_start_settle(struct vmmem_bitmap *bitmap, bool started);

/*
 * vmmem_bitmap_pages() returns how many pages 'len' bytes are, the last of
 * which may be a part of one.
 */
static inline uint64_t
vmmem_bitmap_pages(uint64_t len, unsigned int page_shift)
{
	return len != 0 ? ((len - 1) >> page_shift) + 1 : 0;
}

/*
 * vmmem_bitmap_whole_pages() stores the pages that lie wholly within
 * [offset, offset + len), of a bitmap of 'size' bytes: [first, end), none if
 * that is empty.  The last page counts as whole if the range reaches the end.
 */
static inline void
vmmem_bitmap_whole_pages(const struct vmmem_bitmap *bitmap, uint64_t size,
			 uint64_t offset, uint64_t len, uint64_t *ret_first,
			 uint64_t *ret_end)
{
	*ret_first = *ret_end = 0;
	if (offset >= size)
		return;
	if (len > size - offset)
		len = size - offset;
	/* Up to the first whole page, and down from the last. */
	*ret_first = vmmem_bitmap_pages(offset, bitmap->page_shift);
	*ret_end = len == size - offset ?
			   vmmem_bitmap_pages(size, bitmap->page_shift) :
			   (offset + len) >> bitmap->page_shift;
}

/* vmmem_bitmap_len_now() is the length; a marker may see it grow. */
static inline uint64_t
vmmem_bitmap_len_now(const struct vmmem_bitmap *bitmap)
{
	/* Relaxed: the bits for the greatest length were there before. */
	return __atomic_load_n(&bitmap->len, __ATOMIC_RELAXED);
}

/*
 * vmmem_bitmap_mark_within() marks the pages of [offset, offset + len), which
 * lies within the bitmap; 'len' is not 0.  Returns 0.
 */
static inline int
vmmem_bitmap_mark_within(struct vmmem_bitmap *bitmap, uint64_t offset,
			 uint64_t len)
{
	uint64_t first = offset >> bitmap->page_shift;
	uint64_t last = (offset + (len - 1)) >> bitmap->page_shift;

	if (__builtin_expect(first == last, 1))
		return vmmem_bits_set_bit(&bitmap->bits, first);
	return vmmem_bits_set(&bitmap->bits, first, last);
}

#endif
