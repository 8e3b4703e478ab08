/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The inside of an iotlb, for those who translate by it. */
#ifndef IOTLB_PRIV_H
#define IOTLB_PRIV_H

#include <stdatomic.h>
#include <time.h>

#include <vmmem/iotlb.h>

#include "iotlb_table.h"
#include "underway.h"

struct vmmem_iotlb {
	struct vmmem_iotlb_table table;
	struct vmmem_underway underway;
	/*
	 * Goes on whenever an access that waits should look again; it sleeps
	 * there.  'asleep' is how many do, or are about to.
	 */
	uint32_t changes;
	uint32_t asleep;
	/*
	 * Goes on whenever something was, or may have been, removed: the
	 * answer that somebody waits for might be gone before it was seen.
	 */
	uint32_t removals;
	atomic_size_t refs;
	/* Of those who change the table. */
	pthread_mutex_t lock;
};

/* vmmem_iotlb_changes() is to be read before a look-up that may miss. */
static inline uint32_t
vmmem_iotlb_changes(const struct vmmem_iotlb *iotlb)
{
	/* Acquire: the look-up that follows finds at least what came before. */
	return __atomic_load_n(&iotlb->changes, __ATOMIC_ACQUIRE);
}

/*
 * vmmem_iotlb_removals() is to be read before an answer is asked for, and again
 * after a look-up that still misses.
 */
static inline uint32_t
vmmem_iotlb_removals(const struct vmmem_iotlb *iotlb)
{
	/*
	 * Acquire is not needed for what is counted before it is removed: the
	 * look-up that misses acquires.  An eviction is counted after it, and
	 * before the change that whoever waits then wakes up from.
	 */
	return __atomic_load_n(&iotlb->removals, __ATOMIC_RELAXED);
}

/*
 * vmmem_iotlb_wait() sleeps until there was a change since 'changes' was read,
 * or longer ago.  Returns 0, -ETIMEDOUT or another -errno of futex(2).
 */
int vmmem_iotlb_wait(struct vmmem_iotlb *iotlb, uint32_t changes,
		     const struct timespec *deadline);

/* vmmem_iotlb_wake() has all that wait look again. */
void vmmem_iotlb_wake(struct vmmem_iotlb *iotlb);

#endif
