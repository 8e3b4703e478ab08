/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The inside of an iotlb, for the code that translates by it. */
#ifndef IOTLB_PRIV_H
#define IOTLB_PRIV_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include <vmmem/iotlb.h>

#include "iommu/iotlb_table.h"
#include "iommu/srcu.h"

/* A question that was put off, on the stack of the access that waits. */
struct vmmem_iotlb_waiter {
	LIST_ENTRY(vmmem_iotlb_waiter) link;
	uint64_t iova;
	/*
	 * The access that the translation of 'iova' denied when the waiter
	 * asked; 0 if there was no translation.
	 */
	uint32_t denied;
	/* An answer has come since then, or may have. */
	bool answered;
	/* The two counts just before the question was asked. */
	uint32_t maps;
	uint32_t removals;
};

struct vmmem_iotlb {
	struct vmmem_iotlb_table table;
	struct vmmem_srcu srcu;
	uint32_t flags; /* VMMEM_IOTLB_NO_EVICT */
	/*
	 * Changes whenever an access that waits should look again; it sleeps
	 * there.  'asleep' is how many sleep, or are about to.
	 */
	uint32_t changes;
	uint32_t asleep;
	/*
	 * Counts of maps and removals: an answer that is taken back while its
	 * question is still being asked counts at least two of them.
	 */
	uint32_t maps;
	uint32_t removals;
	atomic_size_t refs;
	/* The lock of threads that change the table, and of the list. */
	pthread_mutex_t lock;
	LIST_HEAD(, vmmem_iotlb_waiter) waiters;
	pid_t waiting_in; /* whose threads these are */
};

/* vmmem_iotlb_changes() is to be read before a look-up that may miss. */
static inline uint32_t
vmmem_iotlb_changes(const struct vmmem_iotlb *iotlb)
{
	/* Acquire: the look-up that follows finds at least what came before. */
	return __atomic_load_n(&iotlb->changes, __ATOMIC_ACQUIRE);
}

/*
 * A question is noted in three steps.  vmmem_iotlb_before_asking() comes before
 * the miss handler is called, and takes no lock: a handler that puts nothing
 * off may run in a signal handler.  If the answer is to come later, a waiter is
 * added to the list, and removed again before its frame is gone.
 */
static inline void
vmmem_iotlb_before_asking(const struct vmmem_iotlb *iotlb,
			  struct vmmem_iotlb_waiter *waiter)
{
	/*
	 * Relaxed: the handler asks after this, and the thread that answers
	 * counts under the lock; adding the waiter takes the same lock.
	 */
	waiter->maps = __atomic_load_n(&iotlb->maps, __ATOMIC_RELAXED);
	waiter->removals = __atomic_load_n(&iotlb->removals, __ATOMIC_RELAXED);
}

void vmmem_iotlb_add_waiter(struct vmmem_iotlb *iotlb,
			    struct vmmem_iotlb_waiter *waiter);
void vmmem_iotlb_remove_waiter(struct vmmem_iotlb *iotlb,
			       struct vmmem_iotlb_waiter *waiter);

/*
 * vmmem_iotlb_was_answered() tells whether an answer has come for a waiter that
 * is in the list; after a look-up that found none, so it was taken back.
 */
bool vmmem_iotlb_was_answered(struct vmmem_iotlb *iotlb,
			      const struct vmmem_iotlb_waiter *waiter);

/*
 * vmmem_iotlb_wait() sleeps until there was a change since 'changes' was read,
 * or longer ago.  Returns 0, VMMEM_ETIMEOUT or a -errno of futex(2).
 */
int vmmem_iotlb_wait(struct vmmem_iotlb *iotlb, uint32_t changes,
		     const struct timespec *deadline);

/* vmmem_iotlb_wake() makes all accesses that wait look again. */
void vmmem_iotlb_wake(struct vmmem_iotlb *iotlb);

#endif
