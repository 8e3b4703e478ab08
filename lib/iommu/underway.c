/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Which threads are in a section, and waiting until these have left it. */
#include "iommu/underway.h"

#include <vmmem/error.h>

#include "base/barrier.h"
#include "base/futex.h"

/* How many slots a thread tries before it counts. */
#define PROBES 8

int
vmmem_underway_init(struct vmmem_underway *underway)
{
	int rc;

	rc = pthread_mutex_init(&underway->lock, NULL);
	if (rc != 0)
		return -rc;
	underway->generation = 1;
	underway->barrier = vmmem_barrier_available();
	return 0;
}

void
vmmem_underway_fini(struct vmmem_underway *underway)
{
	pthread_mutex_destroy(&underway->lock);
}

/*
 * find() returns the slot of this thread, and takes a free one if it has none
 * and 'take' is set; NULL if there is none.
 */
static struct vmmem_underway_slot *
find(struct vmmem_underway *underway, bool take)
{
	const uintptr_t self = vmmem_underway_self();
	struct vmmem_underway_slot *slot;
	uintptr_t owner;
	size_t first, i;

	if (!underway->barrier)
		return NULL;
	first = (size_t)(vmmem_underway_first(underway, self) -
			 underway->slots);
	for (i = 0; i < PROBES; i++) {
		slot = &underway->slots[(first + i) % VMMEM_UNDERWAY_SLOTS];
		/* Relaxed: nothing hangs on it but who may use the slot. */
		owner = __atomic_load_n(&slot->owner, __ATOMIC_RELAXED);
		if (owner == 0 && take &&
		    __atomic_compare_exchange_n(&slot->owner, &owner, self,
						false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return slot;
		if (owner == self)
			return slot;
	}
	return NULL;
}

VMMEM_COLD struct vmmem_section
vmmem_underway_enter_slow(struct vmmem_underway *underway)
{
	struct vmmem_underway_slot *slot = find(underway, true);
	uint32_t phase;

	if (slot != NULL)
		return vmmem_underway_enter_slot(underway, slot);
	/*
	 * Relaxed: a phase that is over by the time that this counts in it is
	 * as good, as each wait waits for both.
	 */
	phase = __atomic_load_n(&underway->phase, __ATOMIC_RELAXED) & 1;
	/* Sequentially consistent: for the fence below, and leave_slow(). */
	__atomic_fetch_add(&underway->counts[phase], 1, __ATOMIC_SEQ_CST);
	/*
	 * A full fence: who waits either sees the count, or has changed what
	 * this section looks at before it looks.
	 */
	__sync_synchronize();
	return (struct vmmem_section){ NULL, phase };
}

VMMEM_COLD void
vmmem_underway_leave_slow(struct vmmem_underway *underway,
			  struct vmmem_section section)
{
	if (section.slot != NULL) {
		/* The state is stored already; somebody may sleep there. */
		vmmem_futex_wake(&section.slot->state);
		return;
	}
	/*
	 * Release: what was done in the section comes before.  Sequentially
	 * consistent, and so the look: who sleeps has set 'waiting' before it
	 * looked at the count.
	 */
	if (__atomic_sub_fetch(&underway->counts[section.before], 1,
			       __ATOMIC_SEQ_CST) == 0 &&
	    __atomic_load_n(&underway->waiting, __ATOMIC_SEQ_CST) != 0)
		vmmem_futex_wake(&underway->counts[section.before]);
}

/* wait_for_slots() waits for sections of before 'generation'. */
static int
wait_for_slots(struct vmmem_underway *underway, uint32_t generation)
{
	struct vmmem_underway_slot *slot;
	uint32_t state;
	size_t i;
	int rc;

	for (i = 0; i < VMMEM_UNDERWAY_SLOTS; i++) {
		slot = &underway->slots[i];
		/*
		 * Acquire: what was done in a section that is over comes
		 * before what the caller does next.
		 */
		state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
		if (state == 0 || state == generation)
			continue;
		/* Any other value is another section, which began later. */
		do {
			rc = vmmem_futex_wait(&slot->state, state, NULL);
			if (rc != 0)
				return rc;
		} while (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) ==
			 state);
	}
	return 0;
}

/*
 * wait_for_counts() waits for those that are counted.  Those that come
 * meanwhile count in the other phase, so that this comes to an end; who was
 * late to count in the old one is waited for too, by the second turn.
 */
static int
wait_for_counts(struct vmmem_underway *underway)
{
	uint32_t phase, count;
	int rc, turn;

	for (turn = 0; turn < 2; turn++) {
		/*
		 * Under the lock, so that nobody else changes it.  The order
		 * is that of the fence: who comes late is waited for too.
		 */
		phase = underway->phase & 1;
		__atomic_store_n(&underway->phase, phase ^ 1, __ATOMIC_SEQ_CST);
		/* As in enter_slow(): the other side of that fence. */
		__sync_synchronize();
		for (;;) {
			/* Acquire, as for slots; see leave_slow() for more. */
			count = __atomic_load_n(&underway->counts[phase],
						__ATOMIC_SEQ_CST);
			if (count == 0)
				break;
			rc = vmmem_futex_wait(&underway->counts[phase], count,
					      NULL);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

int
vmmem_underway_wait(struct vmmem_underway *underway)
{
	const struct vmmem_underway_slot *own = find(underway, false);
	uint32_t generation;
	int rc = 0;

	/* Relaxed: only this thread writes it. */
	if (own != NULL && __atomic_load_n(&own->state, __ATOMIC_RELAXED) != 0)
		return VMMEM_ESELFWAIT;
	pthread_mutex_lock(&underway->lock);
	generation = underway->generation + 1;
	if (generation == 0)
		generation = 1;
	/*
	 * Release: a section that has this generation finds all that was done
	 * before, and need not be waited for.
	 */
	__atomic_store_n(&underway->generation, generation, __ATOMIC_RELEASE);
	/* See leave_slow(), and the barrier for those with slots. */
	__atomic_store_n(&underway->waiting, 1, __ATOMIC_SEQ_CST);
	/*
	 * After this each thread has either its slot's state in memory, or has
	 * yet to look at anything; and who left without a look at 'waiting'
	 * has its slot free in memory.
	 */
	if (underway->barrier)
		rc = vmmem_barrier();
	if (rc == 0)
		rc = wait_for_slots(underway, generation);
	if (rc == 0)
		rc = wait_for_counts(underway);
	/* Relaxed: one who wakes nobody harms nobody. */
	__atomic_store_n(&underway->waiting, 0, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&underway->lock);
	return rc;
}
