/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Pins, and the discards that are underway. */
#ifndef PIN_PRIV_H
#define PIN_PRIV_H

#include <bsd/sys/queue.h>
#include <pthread.h>

#include <vmmem/pin.h>

/* The pins of a region that has the bytes; NULL: there never was one. */
struct vmmem_pin_set;

/* A discard that is underway, of bytes of a region that has them. */
struct vmmem_discarding {
	LIST_ENTRY(vmmem_discarding) link;
	const struct vmmem_region *owner;
	uint64_t offset;
	uint64_t last; /* offset of the last byte */
	pthread_t thread;
};

/*
 * vmmem_pin_begin_discard() notes that [offset, offset + len), not empty, of
 * 'owner' is being discarded, until vmmem_pin_end_discard().  Returns 0, or
 * VMMEM_EPINNED: nothing is noted.
 */
int vmmem_pin_begin_discard(struct vmmem_discarding *discarding,
			    const struct vmmem_region *owner, uint64_t offset,
			    uint64_t len);
void vmmem_pin_end_discard(struct vmmem_discarding *discarding);

/* vmmem_pin_set_free() is for a region that ends: no byte of it is pinned. */
void vmmem_pin_set_free(struct vmmem_pin_set *set);

/*
 * vmmem_pin_before_fork() keeps all other threads out of the functions above,
 * until vmmem_pin_after_fork() in the parent and in the child.  In the child
 * the discards of all other threads are over.
 */
void vmmem_pin_before_fork(void);
void vmmem_pin_after_fork(void);

#endif
