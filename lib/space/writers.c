/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A lock that one thread may take and another give back. */
#include "space/writers.h"

#include <sched.h>
#include <stdbool.h>

#include <vmmem/base.h>
#include <vmmem/error.h>

#include "base/futex.h"

#define FREE 0
#define LOCKED 1
/* Locked, and a writer may be asleep: the one that unlocks wakes it. */
#define WAITED_FOR 2

/*
 * try() makes a free lock 'state'.  Writers race for it, and one of them finds
 * FREE.  Acquire: the changes of the last writer are before.
 */
static bool
try(struct vmmem_writers *writers, uint32_t state)
{
	uint32_t expected = FREE;

	return __atomic_compare_exchange_n(&writers->state, &expected, state,
					   false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

int
vmmem_writers_lock(struct vmmem_writers *writers, uint64_t timeout_ns)
{
	const bool forever = timeout_ns == VMMEM_FOREVER;
	struct timespec deadline;
	uint32_t expected;
	int rc;

	if (try(writers, LOCKED))
		return 0;
	if (timeout_ns == 0)
		return VMMEM_ETIMEOUT;
	deadline = vmmem_futex_deadline(forever ? 0 : timeout_ns);
	/* A writer that has waited cannot know that no other waits. */
	while (!try(writers, WAITED_FOR)) {
		expected = LOCKED;
		/*
		 * Relaxed: it publishes nothing.  It races with the writer that
		 * unlocks: either that one finds WAITED_FOR and wakes, or this
		 * fails, and so does the wait below or the next try.
		 */
		(void)__atomic_compare_exchange_n(&writers->state, &expected,
						  WAITED_FOR, false,
						  __ATOMIC_RELAXED,
						  __ATOMIC_RELAXED);
		if (!forever && vmmem_futex_is_past(&deadline))
			return VMMEM_ETIMEOUT;
		rc = vmmem_futex_wait(&writers->state, WAITED_FOR,
				      forever ? NULL : &deadline);
		/* Where futex(2) is forbidden, a writer polls. */
		if (rc != 0)
			sched_yield();
	}
	return 0;
}

void
vmmem_writers_unlock(struct vmmem_writers *writers)
{
	/*
	 * Release: the changes of this writer are before.  Writers that wait
	 * race with it, and say so before they sleep: see vmmem_writers_lock().
	 */
	if (__atomic_exchange_n(&writers->state, FREE, __ATOMIC_RELEASE) ==
	    WAITED_FOR)
		vmmem_futex_wake(&writers->state);
}
