/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Iotlbs: changes of the table, under a lock, beside lookups without one. */
#include <vmmem/address.h>
#include <vmmem/error.h>
#include <vmmem/iotlb.h>
#include <vmmem/region.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/api.h"
#include "base/refcount.h"
#include "base/futex.h"
#include "base/released_sizes.h"
#include "base/struct_size.h"
#include "base/zalloc.h"
#include "iommu/iotlb_priv.h"

#define FLAGS_KNOWN VMMEM_IOTLB_NO_EVICT

_Static_assert((VMMEM_IOTLB_PRESENT & VMMEM_READ_WRITE) == 0, "both are flags");

VMMEM_API int
vmmem_iotlb_new(const struct vmmem_iotlb_options *options,
		struct vmmem_iotlb **ret_iotlb)
{
	struct vmmem_iotlb_options known = { 0 };
	struct vmmem_iotlb *iotlb;
	int rc;

	if (ret_iotlb == NULL)
		return VMMEM_EARGUMENT;
	if (options != NULL) {
		rc = vmmem_struct_take(options, &known, sizeof(known),
				       VMMEM_IOTLB_OPTIONS_SIZE_0_9);
		if (rc != 0)
			return rc;
	}
	if (known.capacity == 0)
		known.capacity = VMMEM_IOTLB_CAPACITY_DEFAULT;
	if (known.capacity > VMMEM_IOTLB_CAPACITY_MAX ||
	    (known.flags & ~FLAGS_KNOWN) != 0 || known.reserved != 0)
		return VMMEM_EARGUMENT;
	/* Each thread's slot has a cache line of its own. */
	iotlb = vmmem_zalloc(sizeof(*iotlb));
	if (iotlb == NULL)
		return -ENOMEM;
	rc = vmmem_iotlb_table_init(&iotlb->table, (size_t)known.capacity);
	if (rc != 0)
		goto no_table;
	rc = -pthread_mutex_init(&iotlb->lock, NULL);
	if (rc != 0)
		goto no_lock;
	vmmem_srcu_init(&iotlb->srcu);
	iotlb->flags = known.flags;
	atomic_init(&iotlb->refs, 1);
	LIST_INIT(&iotlb->waiters);
	*ret_iotlb = iotlb;
	return 0;

no_lock:
	vmmem_iotlb_table_fini(&iotlb->table);
no_table:
	free(iotlb);
	return rc;
}

VMMEM_API struct vmmem_iotlb *
vmmem_iotlb_ref(struct vmmem_iotlb *iotlb)
{
	if (iotlb != NULL)
		vmmem_refcount_take(&iotlb->refs);
	return iotlb;
}

VMMEM_API struct vmmem_iotlb *
vmmem_iotlb_unref(struct vmmem_iotlb *iotlb)
{
	if (iotlb == NULL || !vmmem_refcount_drop(&iotlb->refs))
		return NULL;
	pthread_mutex_destroy(&iotlb->lock);
	vmmem_iotlb_table_fini(&iotlb->table);
	free(iotlb);
	return NULL;
}

int
vmmem_iotlb_wait(struct vmmem_iotlb *iotlb, uint32_t changes,
		 const struct timespec *deadline)
{
	int rc;

	/*
	 * Sequentially consistent, as in wake(): that counts a change before it
	 * looks whether a thread sleeps, so either the kernel finds that change
	 * here, or wake() finds this.
	 */
	__atomic_fetch_add(&iotlb->asleep, 1, __ATOMIC_SEQ_CST);
	rc = vmmem_futex_wait(&iotlb->changes, changes, deadline);
	/* Relaxed: one wake too many harms nobody. */
	__atomic_fetch_sub(&iotlb->asleep, 1, __ATOMIC_RELAXED);
	return rc;
}

void
vmmem_iotlb_wake(struct vmmem_iotlb *iotlb)
{
	/* The change of the table is before this; and see wait(). */
	__atomic_fetch_add(&iotlb->changes, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&iotlb->asleep, __ATOMIC_SEQ_CST) != 0)
		vmmem_futex_wake(&iotlb->changes);
}

/*
 * forget_others() empties a list that a child has got by fork(): those threads
 * are the parent's, and the child may use their stacks for something else.
 * Under the lock.
 */
static void
forget_others(struct vmmem_iotlb *iotlb)
{
	if (!LIST_EMPTY(&iotlb->waiters) && iotlb->waiting_in != getpid())
		LIST_INIT(&iotlb->waiters);
}

/* is_answer() tells whether 'flags' of a translation answer a waiter. */
static bool
is_answer(const struct vmmem_iotlb_waiter *waiter, uint64_t flags)
{
	if (waiter->denied == 0)
		return flags != 0;
	/* Where there is no translation any more, the waiter asks anew. */
	return flags == 0 || (waiter->denied & ~flags) == 0;
}

/*
 * may_be_taken_back() tells whether an answer may have come and gone while the
 * question was asked.  Where there was no translation, that takes a map and a
 * removal.  Where a translation denied the access, two maps do it as well: one
 * that grants the access, and one that denies it again.
 */
static bool
may_be_taken_back(const struct vmmem_iotlb *iotlb,
		  const struct vmmem_iotlb_waiter *waiter)
{
	const uint32_t maps = iotlb->maps - waiter->maps;

	if (maps == 0)
		return false;
	return waiter->removals != iotlb->removals ||
	       (waiter->denied != 0 && maps > 1);
}

void
vmmem_iotlb_add_waiter(struct vmmem_iotlb *iotlb,
		       struct vmmem_iotlb_waiter *waiter)
{
	struct vmmem_iotlb_entry entry;

	pthread_mutex_lock(&iotlb->lock);
	/* A translation of now may be gone before the waiter looks. */
	vmmem_iotlb_find(&iotlb->table, waiter->iova, &entry);
	waiter->answered = is_answer(waiter, entry.flags) ||
			   may_be_taken_back(iotlb, waiter);
	forget_others(iotlb);
	iotlb->waiting_in = getpid();
	LIST_INSERT_HEAD(&iotlb->waiters, waiter, link);
	pthread_mutex_unlock(&iotlb->lock);
}

void
vmmem_iotlb_remove_waiter(struct vmmem_iotlb *iotlb,
			  struct vmmem_iotlb_waiter *waiter)
{
	pthread_mutex_lock(&iotlb->lock);
	LIST_REMOVE(waiter, link);
	pthread_mutex_unlock(&iotlb->lock);
}

bool
vmmem_iotlb_was_answered(struct vmmem_iotlb *iotlb,
			 const struct vmmem_iotlb_waiter *waiter)
{
	bool answered;

	pthread_mutex_lock(&iotlb->lock);
	answered = waiter->answered;
	pthread_mutex_unlock(&iotlb->lock);
	return answered;
}

/* count() adds 1 to a count, under the lock. */
static void
count(uint32_t *counter)
{
	/* Relaxed: see vmmem_iotlb_before_asking(). */
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/*
 * answer() notes for each waiter in [first, last] that it has an answer, if a
 * translation with 'flags', or none if they are 0, is one.  Returns whether any
 * waiter has.  Under the lock.
 */
static bool
answer(struct vmmem_iotlb *iotlb, uint64_t first, uint64_t last, uint64_t flags)
{
	struct vmmem_iotlb_waiter *waiter;
	bool any = false;

	forget_others(iotlb);
	LIST_FOREACH(waiter, &iotlb->waiters, link) {
		if (first > waiter->iova || waiter->iova > last ||
		    !is_answer(waiter, flags))
			continue;
		waiter->answered = true;
		any = true;
	}
	return any;
}

/* clear() removes all of [first, last], and returns what answer() does. */
static bool
clear(struct vmmem_iotlb *iotlb, uint64_t first, uint64_t last)
{
	count(&iotlb->removals);
	vmmem_iotlb_table_clear(&iotlb->table, first, last);
	return answer(iotlb, first, last, 0);
}

/*
 * has_room() tells whether a change, of which no entry may fall victim, is
 * possible.  Under the lock.
 */
static bool
has_room(const struct vmmem_iotlb *iotlb, const struct vmmem_iotlb_entry *entry)
{
	return (iotlb->flags & VMMEM_IOTLB_NO_EVICT) == 0 ||
	       vmmem_iotlb_table_count_with(&iotlb->table, entry) <=
		       iotlb->table.capacity;
}

/* map() puts 'entry' in place of all entries there.  Under the lock. */
static void
map(struct vmmem_iotlb *iotlb, const struct vmmem_iotlb_entry *entry)
{
	const uint64_t evicted = iotlb->table.evicted;

	vmmem_iotlb_table_set(&iotlb->table, entry);
	count(&iotlb->maps);
	(void)answer(iotlb, entry->start, entry->last, entry->flags);
	if (iotlb->table.evicted != evicted)
		count(&iotlb->removals);
}

VMMEM_API int
vmmem_iotlb_map(struct vmmem_iotlb *iotlb, uint64_t iova, uint64_t gpa,
		uint64_t len, uint32_t access)
{
	return vmmem_iotlb_map_cookie(iotlb, iova, gpa, len, access, 0);
}

VMMEM_API int
vmmem_iotlb_map_cookie(struct vmmem_iotlb *iotlb, uint64_t iova, uint64_t gpa,
		       uint64_t len, uint32_t access, uint64_t cookie)
{
	struct vmmem_iotlb_entry entry = {
		.start = iova,
		.delta = gpa - iova,
		.flags = access | VMMEM_IOTLB_PRESENT,
		.cookie = cookie,
	};
	uint64_t gpa_last;
	bool fits;

	if (iotlb == NULL || (access & ~VMMEM_READ_WRITE) != 0)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	if (vmmem_address_range_last(iova, len, &entry.last) != 0 ||
	    vmmem_address_range_last(gpa, len, &gpa_last) != 0)
		return VMMEM_EWRAPS;
	pthread_mutex_lock(&iotlb->lock);
	fits = has_room(iotlb, &entry);
	if (fits)
		map(iotlb, &entry);
	pthread_mutex_unlock(&iotlb->lock);
	if (!fits)
		return VMMEM_ENOROOM;
	vmmem_iotlb_wake(iotlb);
	return 0;
}

VMMEM_API int
vmmem_iotlb_unmap(struct vmmem_iotlb *iotlb, uint64_t iova, uint64_t len)
{
	struct vmmem_iotlb_entry gone = { .start = iova };
	bool fits, wake = false;
	int rc;

	if (iotlb == NULL)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	rc = vmmem_address_range_last(iova, len, &gone.last);
	if (rc != 0)
		gone.last = UINT64_MAX;
	pthread_mutex_lock(&iotlb->lock);
	fits = has_room(iotlb, &gone);
	if (fits)
		wake = clear(iotlb, iova, gone.last);
	pthread_mutex_unlock(&iotlb->lock);
	if (wake)
		vmmem_iotlb_wake(iotlb);
	return fits ? rc : VMMEM_ENOROOM;
}

VMMEM_API void
vmmem_iotlb_unmap_all(struct vmmem_iotlb *iotlb)
{
	bool wake;

	if (iotlb == NULL)
		return;
	pthread_mutex_lock(&iotlb->lock);
	wake = clear(iotlb, 0, UINT64_MAX);
	pthread_mutex_unlock(&iotlb->lock);
	if (wake)
		vmmem_iotlb_wake(iotlb);
}

/* make_piece() makes the piece of [iova, last] in an entry or a gap. */
static void
make_piece(const struct vmmem_iotlb_entry *entry, uint64_t iova, uint64_t last,
	   uint32_t access, struct vmmem_iotlb_piece *ret_piece)
{
	if (entry->last < last)
		last = entry->last;
	*ret_piece = (struct vmmem_iotlb_piece){
		.iova = iova,
		/* 0 for all 2^64 bytes, which nobody can ask for. */
		.len = last - iova + 1,
		.state = VMMEM_IOTLB_MISS,
	};
	if (entry->flags == 0)
		return;
	ret_piece->gpa = iova + entry->delta;
	ret_piece->cookie = entry->cookie;
	ret_piece->access = (uint32_t)entry->flags & VMMEM_READ_WRITE;
	ret_piece->state = (access & ~entry->flags) == 0 ? VMMEM_IOTLB_HIT :
							   VMMEM_IOTLB_DENIED;
}

VMMEM_API int
vmmem_iotlb_lookup(const struct vmmem_iotlb *iotlb, uint64_t iova, uint64_t len,
		   uint32_t access, struct vmmem_iotlb_piece *ret_pieces,
		   size_t capacity, size_t *ret_count)
{
	struct vmmem_iotlb_piece piece;
	struct vmmem_iotlb_entry entry;
	bool missing = false, denied = false;
	uint64_t last;
	size_t found = 0;
	int rc;

	if (iotlb == NULL || ret_count == NULL ||
	    (ret_pieces == NULL && capacity != 0) ||
	    (access & ~VMMEM_READ_WRITE) != 0)
		return VMMEM_EARGUMENT;
	*ret_count = 0;
	if (len == 0)
		return 0;
	rc = vmmem_address_range_last(iova, len, &last);
	if (rc != 0)
		last = UINT64_MAX;
	for (;;) {
		vmmem_iotlb_find_cookie(&iotlb->table, iova, &entry);
		make_piece(&entry, iova, last, access, &piece);
		missing |= piece.state == VMMEM_IOTLB_MISS;
		denied |= piece.state == VMMEM_IOTLB_DENIED;
		if (found < capacity)
			ret_pieces[found] = piece;
		found++;
		if (piece.len - 1 == last - iova)
			break;
		iova += piece.len;
	}
	*ret_count = found;
	if (missing)
		return VMMEM_EIOMMUMISS;
	if (denied)
		return VMMEM_EDENIED;
	/* A part of the range is not to be taken for all of it. */
	return rc == 0 && found > capacity ? VMMEM_ENOROOM : rc;
}

/* A section as one number: its slot + 1, or 0; and the slot's last state. */
VMMEM_API uint64_t
vmmem_iotlb_enter(struct vmmem_iotlb *iotlb)
{
	struct vmmem_section section;
	uint64_t slot = 0;

	if (!likely(iotlb != NULL))
		return 0;
	section = vmmem_srcu_enter(&iotlb->srcu);
	if (section.slot != NULL)
		slot = (uint64_t)(section.slot - iotlb->srcu.slots) + 1;
	return slot << 32 | section.before;
}

VMMEM_API void
vmmem_iotlb_leave(struct vmmem_iotlb *iotlb, uint64_t section)
{
	const uint64_t slot = section >> 32;

	if (!likely(iotlb != NULL))
		return;
	vmmem_srcu_leave(
		&iotlb->srcu,
		(struct vmmem_section){
			.slot = slot != 0 ? &iotlb->srcu.slots[slot - 1] : NULL,
			.before = section & UINT32_MAX,
		});
}

VMMEM_API int
vmmem_iotlb_synchronize(struct vmmem_iotlb *iotlb, uint64_t timeout_ns)
{
	return iotlb != NULL ? vmmem_srcu_wait(&iotlb->srcu, timeout_ns) :
			       VMMEM_EARGUMENT;
}

VMMEM_API size_t
vmmem_iotlb_capacity(const struct vmmem_iotlb *iotlb)
{
	return iotlb != NULL ? iotlb->table.capacity : 0;
}

VMMEM_API uint32_t
vmmem_iotlb_flags(const struct vmmem_iotlb *iotlb)
{
	return iotlb != NULL ? iotlb->flags : 0;
}

VMMEM_API size_t
vmmem_iotlb_count(const struct vmmem_iotlb *iotlb)
{
	/* Relaxed: a number by itself. */
	return iotlb != NULL ? __atomic_load_n(&iotlb->table.settled,
					       __ATOMIC_RELAXED) :
			       0;
}

VMMEM_API uint64_t
vmmem_iotlb_evicted(const struct vmmem_iotlb *iotlb)
{
	/* Relaxed: a number by itself. */
	return iotlb != NULL ? __atomic_load_n(&iotlb->table.evicted,
					       __ATOMIC_RELAXED) :
			       0;
}

VMMEM_API size_t
vmmem_iotlb_memory(const struct vmmem_iotlb *iotlb)
{
	return iotlb != NULL ? sizeof(*iotlb) + iotlb->table.memory_len : 0;
}
