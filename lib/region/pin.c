/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Pins: bytes that must stay, so that a discard of them is refused. */
#include "region/pin_priv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <vmmem/error.h>

#include "base/api.h"
#include "base/cancel.h"
#include "base/futex.h"
#include "base/range.h"
#include "base/tree.h"
#include "region/region_priv.h"

/* A range that was pinned, as often as 'count' says. */
struct pin {
	RB_ENTRY(pin) link;
	struct vmmem_region *region; /* that was named, and is held */
	uint64_t offset;	     /* in the region that has the bytes */
	uint64_t last;
	uint64_t count;
};

RB_HEAD(pin_tree, pin);

struct vmmem_pin_set {
	struct pin_tree pins;
	size_t count;
};

/*
 * Of all regions.  Held for a few steps, never during a discard: the discard is
 * in a list for as long, and a thread that pins a part of it sleeps until
 * 'ended' changes.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, vmmem_discarding) underway = LIST_HEAD_INITIALIZER(underway);
static uint32_t ended;
static unsigned int sleepers; /* with the lock */
static pid_t forker;	      /* with the lock */

static int
order(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
compare(const struct pin *a, const struct pin *b)
{
	int by_offset = order(a->offset, b->offset);
	int by_last = order(a->last, b->last);

	if (by_offset != 0)
		return by_offset;
	if (by_last != 0)
		return by_last;
	return order((uintptr_t)a->region, (uintptr_t)b->region);
}

VMMEM_TREE_FUNCTIONS(pin_tree, pin, link, compare)

/* is_pinned() looks at pins that begin up to 'last', a bounded number. */
static bool
is_pinned(const struct vmmem_region *owner, uint64_t offset, uint64_t last)
{
	struct pin *pin;

	if (owner->pins == NULL)
		return false;
	RB_FOREACH(pin, pin_tree, &owner->pins->pins) {
		if (pin->offset > last)
			return false;
		if (pin->last >= offset)
			return true;
	}
	return false;
}

/* wait_for_end() sleeps until a discard has ended, without the lock. */
static void
wait_for_end(void)
{
	const uint32_t seen = ended;

	sleepers++;
	pthread_mutex_unlock(&lock);
	(void)vmmem_futex_wait(&ended, seen, NULL);
	pthread_mutex_lock(&lock);
	sleepers--;
}

/*
 * wait_for_discards() waits until no byte of a range is being discarded.
 * Returns 0, or VMMEM_ESELFWAIT if it is by this thread, in a callback.
 */
static int
wait_for_discards(const struct pin *pin, const struct vmmem_region *owner)
{
	const struct vmmem_discarding *other;

again:
	LIST_FOREACH(other, &underway, link) {
		if (other->owner != owner || other->offset > pin->last ||
		    other->last < pin->offset)
			continue;
		if (pthread_equal(other->thread, pthread_self()))
			return VMMEM_ESELFWAIT;
		wait_for_end();
		goto again;
	}
	return 0;
}

/* insert() counts a pin, and takes it over if its range is a new one. */
static int
insert(struct vmmem_pin_set *set, struct pin *pin, bool *ret_taken)
{
	struct pin *same = RB_FIND(pin_tree, &set->pins, pin);

	if (same != NULL) {
		same->count++;
		return 0;
	}
	if (set->count == VMMEM_PINS_MAX)
		return VMMEM_ENOROOM;
	RB_INSERT(pin_tree, &set->pins, pin);
	set->count++;
	vmmem_region_ref(pin->region);
	*ret_taken = true;
	return 0;
}

/* check() makes of a range what is searched for; 1 if there are no bytes. */
static int
check(struct vmmem_region *region, uint64_t offset, uint64_t len,
      struct pin *ret_pin)
{
	if (region == NULL)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 1;
	if (offset > region->entry.span ||
	    !vmmem_range_within(region->entry.span, offset, len))
		return VMMEM_EOUTOFRANGE;
	*ret_pin = (struct pin){
		.region = region,
		.offset = region->target_offset + offset,
		.last = region->target_offset + offset + (len - 1),
		.count = 1,
	};
	return 0;
}

/* place() puts a pin where its region's are, with the lock. */
static int
place(struct vmmem_region *owner, struct vmmem_pin_set **spare,
      struct pin *pin, bool *ret_taken)
{
	int rc = wait_for_discards(pin, owner);

	if (rc != 0)
		return rc;
	if (owner->pins == NULL) {
		owner->pins = *spare;
		*spare = NULL;
	}
	return insert(owner->pins, pin, ret_taken);
}

VMMEM_API int
vmmem_region_pin(struct vmmem_region *region, uint64_t offset, uint64_t len)
{
	struct vmmem_pin_set *spare;
	struct pin wanted, *pin;
	bool taken = false;
	int rc, cancel;

	rc = check(region, offset, len, &wanted);
	if (rc != 0)
		return rc == 1 ? 0 : rc;
	/* Before the lock, of which the second is needed once for a region. */
	pin = malloc(sizeof(*pin));
	spare = calloc(1, sizeof(*spare));
	if (pin == NULL || spare == NULL) {
		free(pin);
		free(spare);
		return -ENOMEM;
	}
	*pin = wanted;
	cancel = vmmem_cancel_off();
	pthread_mutex_lock(&lock);
	rc = place(vmmem_region_owner(region), &spare, pin, &taken);
	pthread_mutex_unlock(&lock);
	vmmem_cancel_back(cancel);
	free(spare);
	if (!taken)
		free(pin);
	return rc;
}

VMMEM_API int
vmmem_region_unpin(struct vmmem_region *region, uint64_t offset, uint64_t len)
{
	struct pin wanted, *pin = NULL;
	struct vmmem_pin_set *set;
	bool is_last = false;
	int rc;

	rc = check(region, offset, len, &wanted);
	if (rc != 0)
		return rc == 1 ? 0 : rc;
	pthread_mutex_lock(&lock);
	set = vmmem_region_owner(region)->pins;
	if (set != NULL)
		pin = RB_FIND(pin_tree, &set->pins, &wanted);
	if (pin != NULL && --pin->count == 0) {
		RB_REMOVE(pin_tree, &set->pins, pin);
		set->count--;
		is_last = true;
	}
	pthread_mutex_unlock(&lock);
	if (pin == NULL)
		return VMMEM_ENOREGION;
	if (is_last) {
		free(pin);
		vmmem_region_unref(region);
	}
	return 0;
}

VMMEM_API int
vmmem_region_is_pinned(const struct vmmem_region *region, uint64_t offset,
		       uint64_t len)
{
	const struct vmmem_region *owner;
	struct pin wanted;
	bool pinned;

	if (check((struct vmmem_region *)(uintptr_t)region, offset, len,
		  &wanted) != 0)
		return 0;
	owner = vmmem_region_owner(region);
	pthread_mutex_lock(&lock);
	pinned = is_pinned(owner, wanted.offset, wanted.last);
	pthread_mutex_unlock(&lock);
	return pinned;
}

int
vmmem_pin_begin_discard(struct vmmem_discarding *discarding,
			const struct vmmem_region *owner, uint64_t offset,
			uint64_t len)
{
	bool pinned;

	discarding->owner = owner;
	discarding->offset = offset;
	discarding->last = offset + (len - 1);
	discarding->thread = pthread_self();
	pthread_mutex_lock(&lock);
	pinned = is_pinned(owner, offset, discarding->last);
	if (!pinned)
		LIST_INSERT_HEAD(&underway, discarding, link);
	pthread_mutex_unlock(&lock);
	return pinned ? VMMEM_EPINNED : 0;
}

void
vmmem_pin_end_discard(struct vmmem_discarding *discarding)
{
	bool wake;

	pthread_mutex_lock(&lock);
	LIST_REMOVE(discarding, link);
	/*
	 * Release, with the lock: a thread that sleeps read it with the lock,
	 * and looks at the list again after it has changed.
	 */
	__atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
	wake = sleepers != 0;
	pthread_mutex_unlock(&lock);
	if (wake)
		vmmem_futex_wake(&ended);
}

void
vmmem_pin_set_free(struct vmmem_pin_set *set)
{
	free(set);
}

void
vmmem_pin_before_fork(void)
{
	pthread_mutex_lock(&lock);
	forker = getpid();
}

void
vmmem_pin_after_fork(void)
{
	struct vmmem_discarding *other, *next;

	if (getpid() != forker) {
		/* The threads that were in them are not in the child. */
		for (other = LIST_FIRST(&underway); other != NULL;
		     other = next) {
			next = LIST_NEXT(other, link);
			if (!pthread_equal(other->thread, pthread_self()))
				LIST_REMOVE(other, link);
		}
		sleepers = 0;
	}
	pthread_mutex_unlock(&lock);
}
