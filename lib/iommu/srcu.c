/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Which threads are in a section, and waiting until these have left it. */
#include "iommu/srcu.h"

#include <vmmem/base.h>
#include <vmmem/error.h>

#include <time.h>

#include "base/barrier.h"
#include "base/futex.h"

/* How many slots a thread tries before it counts. */
#define PROBES 8

void
vmmem_srcu_init(struct vmmem_srcu *srcu)
{
	srcu->generation = 1;
	srcu->barrier = vmmem_barrier_available();
}

/*
 * find() returns the slot of this thread, and takes a free one if it has none
 * and 'take' is set; NULL if there is none.
 */
static struct vmmem_srcu_slot *
find(struct vmmem_srcu *srcu, bool take)
{
	const uintptr_t self = vmmem_srcu_self();
	struct vmmem_srcu_slot *slot;
	uintptr_t owner;
	size_t first, i;

	if (!srcu->barrier)
		return NULL;
	first = (size_t)(vmmem_srcu_first(srcu, self) - srcu->slots);
	for (i = 0; i < PROBES; i++) {
		slot = &srcu->slots[(first + i) % VMMEM_SRCU_SLOTS];
		/* Relaxed: it only says which thread may use the slot. */
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
vmmem_srcu_enter_slow(struct vmmem_srcu *srcu)
{
	struct vmmem_srcu_slot *slot = find(srcu, true);
	uint32_t phase;

	if (slot != NULL)
		return vmmem_srcu_enter_slot(srcu, slot);
	/*
	 * Relaxed: a phase that is over by the time that this counts in it is
	 * as good, as each wait waits for both.
	 */
	phase = __atomic_load_n(&srcu->phase, __ATOMIC_RELAXED) & 1;
	/* Sequentially consistent: for the fence below, and leave_slow(). */
	__atomic_fetch_add(&srcu->counts[phase], 1, __ATOMIC_SEQ_CST);
	/*
	 * A full fence: a thread that waits either sees the count, or has
	 * changed what this section looks at before it looks.
	 */
	__sync_synchronize();
	return (struct vmmem_section){ NULL, phase };
}

VMMEM_COLD void
vmmem_srcu_leave_slow(struct vmmem_srcu *srcu, struct vmmem_section section)
{
	if (section.slot != NULL) {
		/* The state is stored already; a waiter may sleep there. */
		vmmem_futex_wake(&section.slot->state);
		return;
	}
	/*
	 * Release: the accesses of the section are before.  Sequentially
	 * consistent, and so the look: a waiter has set 'waiting' before it
	 * looked at the count.
	 */
	if (__atomic_sub_fetch(&srcu->counts[section.before], 1,
			       __ATOMIC_SEQ_CST) == 0 &&
	    __atomic_load_n(&srcu->waiting, __ATOMIC_SEQ_CST) != 0)
		vmmem_futex_wake(&srcu->counts[section.before]);
}

/* The values of 'turn'. */
enum { FREE, TAKEN, WANTED };

/* take_turn() returns 0, or what vmmem_futex_wait() returns. */
static int
take_turn(struct vmmem_srcu *srcu, const struct timespec *deadline)
{
	uint32_t was = FREE;
	int rc;

	/*
	 * Acquire, both: what the wait before this one has stored of
	 * generation and phase is there.
	 */
	if (__atomic_compare_exchange_n(&srcu->turn, &was, TAKEN, false,
					__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return 0;
	while (__atomic_exchange_n(&srcu->turn, WANTED, __ATOMIC_ACQUIRE) !=
	       FREE) {
		rc = vmmem_futex_wait(&srcu->turn, WANTED, deadline);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static void
end_turn(struct vmmem_srcu *srcu)
{
	/* Release: see take_turn().  A caller that sleeps there has said so. */
	if (__atomic_exchange_n(&srcu->turn, FREE, __ATOMIC_RELEASE) == WANTED)
		vmmem_futex_wake(&srcu->turn);
}

/* wait_for_slots() waits for sections of before 'generation'. */
static int
wait_for_slots(struct vmmem_srcu *srcu, uint32_t generation,
	       const struct timespec *deadline)
{
	struct vmmem_srcu_slot *slot;
	uint32_t state;
	size_t i;
	int rc;

	for (i = 0; i < VMMEM_SRCU_SLOTS; i++) {
		slot = &srcu->slots[i];
		/*
		 * Acquire: what was done in a section that is over comes
		 * before what the caller does next.
		 */
		state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
		if (state == 0 || state == generation)
			continue;
		/* Any other value is another section, which began later. */
		do {
			rc = vmmem_futex_wait(&slot->state, state, deadline);
			if (rc != 0)
				return rc;
		} while (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) ==
			 state);
	}
	return 0;
}

/*
 * wait_for_counts() waits for the sections that are counted.  Sections that
 * begin meanwhile count in the other phase, so that this ends; the second turn
 * also waits for a section that was late to count in the old phase.  A wait
 * that gives up leaves nothing undone: the next one waits for both.
 */
static int
wait_for_counts(struct vmmem_srcu *srcu, const struct timespec *deadline)
{
	uint32_t phase, count;
	int rc, turn;

	for (turn = 0; turn < 2; turn++) {
		/*
		 * In this thread's turn, so that nobody else changes it.  The
		 * order is that of the fence: a section that comes late is
		 * waited for too.
		 */
		phase = srcu->phase & 1;
		__atomic_store_n(&srcu->phase, phase ^ 1, __ATOMIC_SEQ_CST);
		/* As in enter_slow(): the other side of that fence. */
		__sync_synchronize();
		for (;;) {
			/* Acquire, as for slots; see leave_slow() for more. */
			count = __atomic_load_n(&srcu->counts[phase],
						__ATOMIC_SEQ_CST);
			if (count == 0)
				break;
			rc = vmmem_futex_wait(&srcu->counts[phase], count,
					      deadline);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

/* wait_in_turn() is vmmem_srcu_wait() when no other thread is in it. */
static int
wait_in_turn(struct vmmem_srcu *srcu, const struct timespec *deadline)
{
	uint32_t generation = srcu->generation + 1;
	int rc = 0;

	if (generation == 0)
		generation = 1;
	/*
	 * Release: a section that has this generation sees all changes before
	 * it, and the wait need not wait for it.
	 */
	__atomic_store_n(&srcu->generation, generation, __ATOMIC_RELEASE);
	/* See leave_slow(), and the barrier for those with slots. */
	__atomic_store_n(&srcu->waiting, 1, __ATOMIC_SEQ_CST);
	/*
	 * After this each thread has either its slot's state in memory, or has
	 * yet to look at anything; and a thread that left without a look at
	 * 'waiting' has its slot free in memory.
	 */
	if (srcu->barrier)
		rc = vmmem_barrier();
	if (rc == 0)
		rc = wait_for_slots(srcu, generation, deadline);
	if (rc == 0)
		rc = wait_for_counts(srcu, deadline);
	/* Relaxed: a wake without a sleeper does no harm. */
	__atomic_store_n(&srcu->waiting, 0, __ATOMIC_RELAXED);
	return rc;
}

int
vmmem_srcu_wait(struct vmmem_srcu *srcu, uint64_t timeout_ns)
{
	const struct vmmem_srcu_slot *own = find(srcu, false);
	const struct timespec *deadline = NULL;
	struct timespec time;
	int rc;

	/* Relaxed: only this thread writes it. */
	if (own != NULL && __atomic_load_n(&own->state, __ATOMIC_RELAXED) != 0)
		return VMMEM_ESELFWAIT;
	if (timeout_ns != VMMEM_FOREVER) {
		time = vmmem_futex_deadline(timeout_ns);
		deadline = &time;
	}
	rc = take_turn(srcu, deadline);
	if (rc != 0)
		return rc;
	rc = wait_in_turn(srcu, deadline);
	end_turn(srcu);
	return rc;
}
