/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The inside of an iommu, for the collections that are seen through it. */
#ifndef IOMMU_PRIV_H
#define IOMMU_PRIV_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include <vmmem/iommu.h>

#include "iommu/iotlb_priv.h"

struct vmmem_iommu_queue;

/*
 * A word that is 0 while the iommu is on, and 'off' while it is off: the count
 * of regions that a translated collection lets the fast paths see.
 */
struct vmmem_iommu_word {
	LIST_ENTRY(vmmem_iommu_word) link;
	size_t *word;
	size_t off;
};

struct vmmem_iommu {
	struct vmmem_iotlb *iotlb;
	struct vmmem_bitmap *log;
	uint64_t log_start;
	uint32_t enabled;
	uint32_t flags;
	/* Changes when accesses that wait should ask again. */
	uint32_t retries;
	uint64_t timeout_ns;
	uint64_t misses;
	uint64_t unlogged;
	uint64_t unlogged_iova;

	int (*miss)(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
		    uint32_t reason);
	void (*tell_unlogged)(void *opaque, uint64_t iova, uint64_t len);
	void (*destroy)(void *opaque);
	void *opaque;
	/* The queue for misses without a handler; NULL: they are refused. */
	struct vmmem_iommu_queue *queue;

	atomic_size_t refs;
	/* The lock of threads that switch, and of the list. */
	pthread_mutex_t lock;
	LIST_HEAD(, vmmem_iommu_word) words;
};

/* How an access waits, over all its pieces.  All bytes are 0 at first. */
struct vmmem_iommu_wait {
	bool begun;
	bool ever; /* there is no deadline */
	struct timespec deadline;
	/* The last question. */
	uint64_t iova;
	uint32_t reason;
	/* How often the handler said 0 for it. */
	unsigned int answers;
	/* The caller's, if 'has_timeout'; else the iommu's is taken. */
	bool has_timeout;
	uint64_t timeout_ns;
};

static inline bool
vmmem_iommu_is_on(const struct vmmem_iommu *iommu)
{
	/* Acquire: translations made before it was switched on are found. */
	return __atomic_load_n(&iommu->enabled, __ATOMIC_ACQUIRE) != 0;
}

/*
 * vmmem_iommu_miss() handles a miss: 'entry' is the iotlb's for the byte at
 * 'iova', and is not enough for [iova, iova + len) and 'access'.  Not in a
 * section.
 *
 * Returns 0: look again; or what the access returns.
 */
int vmmem_iommu_miss(struct vmmem_iommu *iommu,
		     const struct vmmem_iotlb_entry *entry, uint64_t iova,
		     uint64_t len, uint32_t access,
		     struct vmmem_iommu_wait *wait);

/*
 * vmmem_iommu_mark() marks [iova, iova + len) in the log by iova, if it logs.
 */
void vmmem_iommu_mark(struct vmmem_iommu *iommu, uint64_t iova, uint64_t len);

/*
 * vmmem_iommu_logged() is how many bytes from 'iova' on the log covers, at most
 * 'len'; and where in the log they begin.
 */
uint64_t vmmem_iommu_logged(const struct vmmem_iommu *iommu, uint64_t iova,
			    uint64_t len, uint64_t *ret_offset);

/*
 * vmmem_iommu_attach() makes 'word' follow the switch, and vmmem_iommu_detach()
 * ends that.
 */
void vmmem_iommu_attach(struct vmmem_iommu *iommu,
			struct vmmem_iommu_word *word);
void vmmem_iommu_detach(struct vmmem_iommu *iommu,
			struct vmmem_iommu_word *word);

#endif
