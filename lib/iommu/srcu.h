/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Sections of threads, as SRCU has them: another thread, the waiter, can wait
 * until all threads that are in one have left it.
 *
 * Entering and leaving take a plain store each.  A thread has a slot of its
 * own, which it finds by its thread pointer: no thread-local variable, nothing
 * to register and nothing to clean up, as a thread that has ended leaves its
 * slot free for the next one with the same pointer.  The waiter pays for the
 * order that entering needs, with vmmem_barrier().  A thread that finds no
 * slot, or any thread without membarrier(2), counts in shared counters instead.
 *
 * docs/models/srcu.pml is a model of it.
 */
#ifndef SRCU_H
#define SRCU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"

/* A power of two; 64 bytes each.  More threads than this are rare. */
#define VMMEM_SRCU_SLOTS 128

struct vmmem_srcu_slot {
	/* The thread's pointer; set once, by a compare-exchange, and kept. */
	_Alignas(VMMEM_CACHE_LINE) uintptr_t owner;
	/* 0 outside, else the generation at which its section began. */
	uint32_t state;
};

struct vmmem_srcu {
	/* Each wait has one of its own, never 0. */
	uint32_t generation;
	/* Not 0 while a thread waits: each that leaves a section wakes it. */
	uint32_t waiting;
	/* Sections that have no slot, by the phase in which they began. */
	uint32_t phase;
	uint32_t counts[2];
	/* Waiters have a barrier, so that sections may use slots. */
	bool barrier;
	/*
	 * Waits come one after the other: 0, or 1 while there is one, or 2
	 * while others may sleep here for their turn.  Not a mutex, as a turn
	 * has to come before a deadline of the steady clock.
	 */
	uint32_t turn;
	struct vmmem_srcu_slot slots[VMMEM_SRCU_SLOTS];
};

/* A section that was entered, to leave it by; on the stack of its thread. */
struct vmmem_section {
	struct vmmem_srcu_slot *slot; /* NULL: counted */
	uint64_t before; /* the slot's state before, or the phase */
};

/* vmmem_srcu_init() is called when all bytes are zero. */
void vmmem_srcu_init(struct vmmem_srcu *srcu);

/* The thread pointer, by which no two threads are the same at one time. */
static inline uintptr_t
vmmem_srcu_self(void)
{
#if defined(__powerpc64__)
	/* gcc has no built-in there; this is the same register. */
	return (uintptr_t)pthread_self();
#else
	return (uintptr_t)__builtin_thread_pointer();
#endif
}

/* The slot that a thread tries first. */
static inline struct vmmem_srcu_slot *
vmmem_srcu_first(struct vmmem_srcu *srcu, uintptr_t self)
{
	/* Thread pointers differ in the middle: multiply, take the top. */
	const uint64_t hash = (uint64_t)self * UINT64_C(0x9e3779b97f4a7c15);

	return &srcu->slots[hash >> 57];
}
_Static_assert(VMMEM_SRCU_SLOTS == 1 << (64 - 57), "the top 7 bits");

/* Entering, for a thread whose slot is not the first that it tries. */
struct vmmem_section vmmem_srcu_enter_slow(struct vmmem_srcu *srcu);

/* Leaving a section that is counted, or that a waiter waits for. */
void vmmem_srcu_leave_slow(struct vmmem_srcu *srcu,
			   struct vmmem_section section);

/*
 * vmmem_srcu_enter_slot() enters by a slot of this thread's.  A signal
 * handler may do the same at any point of it, and has left again before this
 * goes on.
 */
static VMMEM_ALWAYS_INLINE struct vmmem_section
vmmem_srcu_enter_slot(struct vmmem_srcu *srcu, struct vmmem_srcu_slot *slot)
{
	/* Relaxed: only this thread writes it. */
	const uint32_t before = __atomic_load_n(&slot->state, __ATOMIC_RELAXED);

	/*
	 * Acquire: a section with the generation of a wait sees the changes
	 * before that wait, which will not wait for this section.
	 */
	if (likely(before == 0))
		__atomic_store_n(&slot->state,
				 __atomic_load_n(&srcu->generation,
						 __ATOMIC_ACQUIRE),
				 __ATOMIC_RELAXED);
	/*
	 * No instruction: the compiler keeps the store before the accesses of
	 * the section.  The waiter's barrier keeps the processor to it.
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return (struct vmmem_section){ slot, before };
}

/* vmmem_srcu_enter() begins a section.  They nest, on one thread. */
static VMMEM_ALWAYS_INLINE struct vmmem_section
vmmem_srcu_enter(struct vmmem_srcu *srcu)
{
	const uintptr_t self = vmmem_srcu_self();
	struct vmmem_srcu_slot *slot = vmmem_srcu_first(srcu, self);

	/* Relaxed: if it is this thread's, this thread has set it. */
	if (!likely(__atomic_load_n(&slot->owner, __ATOMIC_RELAXED) == self))
		return vmmem_srcu_enter_slow(srcu);
	return vmmem_srcu_enter_slot(srcu, slot);
}

/* vmmem_srcu_leave() ends it, on the thread that began it. */
static VMMEM_ALWAYS_INLINE void
vmmem_srcu_leave(struct vmmem_srcu *srcu, struct vmmem_section section)
{
	if (!likely(section.slot != NULL)) {
		vmmem_srcu_leave_slow(srcu, section);
		return;
	}
	/* Release: the accesses of the section are before. */
	__atomic_store_n(&section.slot->state, (uint32_t)section.before,
			 __ATOMIC_RELEASE);
	/* As on the way in: the store before the look, by their barrier. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* Relaxed: for that reason. */
	if (!likely(__atomic_load_n(&srcu->waiting, __ATOMIC_RELAXED) == 0))
		vmmem_srcu_leave_slow(srcu, section);
}

/*
 * vmmem_srcu_wait() waits until each section that began before the call is
 * over, sleeping if it must; for 'timeout_ns' nanoseconds at most, those in
 * which it waits for another such call included.
 *
 * Returns 0, or
 *   VMMEM_ESELFWAIT  this thread is in such a section
 *   VMMEM_ETIMEOUT   one is not over; those that were not looked at may be
 *   -errno           what membarrier(2) or futex(2) said; nothing is known
 */
int vmmem_srcu_wait(struct vmmem_srcu *srcu, uint64_t timeout_ns);

#endif
