/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What a back end that comes after one that was killed must know.  The front
 * end keeps this memory for us.  As requests are used in order, it is where the
 * used ring stands: split rings say that themselves, packed ones do not.
 */
#include "frontend.h"
#include "protocol.h"

#include <endian.h>
#include <stdatomic.h>

#define VERSION 1U

/* 'wanted' is noted before a descriptor is used, 'settled' after. */
struct inflight {
	_Atomic uint32_t version; /* 0: nothing was noted */
	_Atomic uint32_t wanted, settled; /* index, and its wrap at bit 16 */
	uint32_t reserved;
};

void
inflight_note(struct queue *queue, uint16_t used, bool wrap)
{
	if (queue->inflight == NULL)
		return;
	/* Another process reads it, after this one has died: in this order. */
	atomic_store(&queue->inflight->wanted,
		     used | (uint32_t)wrap << 16);
	if (atomic_load(&queue->inflight->version) != VERSION) {
		atomic_store(&queue->inflight->settled,
			     queue->next_used |
				     (uint32_t)queue->used_wrap << 16);
		atomic_store(&queue->inflight->version, VERSION);
	}
}

void
inflight_settle(struct queue *queue)
{
	if (queue->inflight != NULL)
		atomic_store(&queue->inflight->settled,
			     atomic_load(&queue->inflight->wanted));
}

bool
inflight_recall(struct queue *queue, uint16_t *ret_used, bool *ret_wrap)
{
	uint32_t wanted, settled;
	uint16_t flags;

	if (queue->inflight == NULL ||
	    atomic_load(&queue->inflight->version) != VERSION)
		return false;
	wanted = atomic_load(&queue->inflight->wanted);
	settled = atomic_load(&queue->inflight->settled);
	/* It died between the two: the descriptor tells whether it was used. */
	if (wanted != settled && (settled & 0xffff) < queue->size &&
	    ring_load16(queue,
			queue->desc + 16 * (uint64_t)(settled & 0xffff) + 14,
			&flags) == 0) {
		bool wrap = (settled >> 16 & 1) != 0;

		if (((flags & DESC_AVAIL) != 0) == wrap &&
		    ((flags & DESC_USED) != 0) == wrap)
			settled = wanted;
		atomic_store(&queue->inflight->wanted, settled);
		atomic_store(&queue->inflight->settled, settled);
	}
	*ret_used = (uint16_t)settled;
	*ret_wrap = (settled >> 16 & 1) != 0;
	return true;
}

void
inflight_forget(struct queue *queue)
{
	if (queue->inflight != NULL)
		atomic_store(&queue->inflight->version, 0);
}
