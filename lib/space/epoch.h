/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Epochs: which readers may still see a map that was replaced.
 *
 * Each map that is published gets a number, its generation.  A reader in a
 * section shows the generation it began with; threads without a reader pass
 * through one of two counters.  The horizon is the highest generation such that
 * no reader sees a map that was replaced by it or before: docs/space.md says
 * why, and docs/models/section.pml proves it.
 */
#ifndef EPOCH_H
#define EPOCH_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <vmmem/reader.h>

#include "base/api.h"

/* A reader's section that has begun and does not know its generation yet. */
#define VMMEM_SECTION_ENTERING 1
/*
 * In no section, of a reader that must make a barrier of its own when it
 * begins one: not 0, so that the inline functions leave it alone.
 */
#define VMMEM_SECTION_FENCED UINT64_MAX
/* Lower than every generation. */
#define VMMEM_GENERATION_NONE VMMEM_SECTION_ENTERING

/* The whole of a reader; a cache line, as its thread often writes to it. */
struct vmmem_epoch_reader {
	_Alignas(VMMEM_CACHE_LINE) struct vmmem_reader hot;
	/* Its thread's alone: sections within the section. */
	uint64_t depth;

	/* From here on under the epoch's lock; 'link' is in its list. */
	LIST_ENTRY(vmmem_epoch_reader) link;
	void *owner; /* the space */
	char name[VMMEM_SPACE_NAME_MAX + 1];
	/* It was seen to make barriers; it was told to make them. */
	bool fenced, asked;
	/* It sees no map that was replaced by this generation or before. */
	uint64_t seen;
};

/* The whole reader, of which the caller has the public beginning. */
static inline struct vmmem_epoch_reader *
vmmem_epoch_reader_of(struct vmmem_reader *reader)
{
	void *whole = reader;

	return whole;
}

/* A power of two. */
#define VMMEM_EPOCH_COUNTERS 8

struct vmmem_epoch_counter {
	_Alignas(VMMEM_CACHE_LINE) uint64_t count;
};

struct vmmem_epoch {
	/*
	 * How many threads without a reader are passing, by phase.  Threads are
	 * spread over several counters, so that few write to the same line.
	 */
	struct vmmem_epoch_counter passing[2][VMMEM_EPOCH_COUNTERS];
	uint64_t phase;

	/* Held while looking, never while waiting or calling back. */
	_Alignas(VMMEM_CACHE_LINE) pthread_mutex_t lock;
	LIST_HEAD(, vmmem_epoch_reader) readers;
	/*
	 * A thread that passes in the current phase entered after the phase
	 * was changed; 'changed_at' is the generation at that time, and
	 * 'passed' the oldest one that a passing thread may see.
	 */
	uint64_t changed_at;
	uint64_t passed;
	/*
	 * No membarrier(2), or none any more: readers make barriers, or were
	 * asked to make them.
	 */
	bool fenced;
};

/*
 * vmmem_epoch_next_generation() returns a number that it has not returned
 * before, for any space, and that is higher than every number that the caller
 * knows of.
 */
uint64_t vmmem_epoch_next_generation(void);

/* vmmem_epoch_init() returns 0 or -errno. */
int vmmem_epoch_init(struct vmmem_epoch *epoch);
void vmmem_epoch_fini(struct vmmem_epoch *epoch);

/* A reader begins outside of sections, with 'hot.view' set by the caller. */
void vmmem_epoch_add(struct vmmem_epoch *epoch,
		     struct vmmem_epoch_reader *reader);
void vmmem_epoch_remove(struct vmmem_epoch *epoch,
			struct vmmem_epoch_reader *reader);

/*
 * vmmem_epoch_enter() and vmmem_epoch_leave() are the ends of a section of a
 * thread without a reader, which loads the map in between, sequentially
 * consistent.  Another thread may leave with the value that enter returned.
 * Threads are spread over counters; vmmem_epoch_enter_at() names the counter.
 */
unsigned int vmmem_epoch_enter(struct vmmem_epoch *epoch);

/* A section is its counter and its phase, in the lowest bit. */
static inline unsigned int
vmmem_epoch_enter_at(struct vmmem_epoch *epoch, unsigned int counter)
{
	unsigned int phase;

	/* Relaxed: a writer waits for a phase that is over all the same. */
	phase = (unsigned int)__atomic_load_n(&epoch->phase, __ATOMIC_RELAXED);
	/*
	 * Sequentially consistent, as is the load that the caller makes next:
	 * a writer that publishes and then finds no count is before that load.
	 */
	__atomic_fetch_add(&epoch->passing[phase][counter].count, 1,
			   __ATOMIC_SEQ_CST);
	return counter * 2 + phase;
}

static inline void
vmmem_epoch_leave(struct vmmem_epoch *epoch, unsigned int section)
{
	const unsigned int counter = section / 2 % VMMEM_EPOCH_COUNTERS;

	/* Release: the caller's use of what it loaded is before this. */
	__atomic_fetch_sub(&epoch->passing[section % 2][counter].count, 1,
			   __ATOMIC_RELEASE);
}

/*
 * vmmem_epoch_leave_fenced() ends the section of a reader that makes barriers,
 * or was asked to: its next section begins with a barrier.
 */
void vmmem_epoch_leave_fenced(struct vmmem_epoch_reader *reader);

/*
 * vmmem_epoch_horizon() stores the generation up to which no reader sees a map
 * that was replaced.  'generation' is the current one.  Under the lock.
 * Returns 0, or -errno: there was no barrier, and it is not known whether some
 * reader is in a section; the horizon is lower then than it may be.
 */
int vmmem_epoch_horizon(struct vmmem_epoch *epoch, uint64_t generation,
			uint64_t *ret_horizon);

/*
 * vmmem_epoch_after_fork_child() ends all sections; for the only thread,
 * under the lock.
 */
void vmmem_epoch_after_fork_child(struct vmmem_epoch *epoch);

#endif
