/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The steps of an update: regions to add to a collection and to remove from it.
 * The collection is made of all steps at once: a step costs the logarithm of
 * their number, and not a copy of the collection.
 */
#ifndef STEPS_H
#define STEPS_H

#include <stdbool.h>
#include <stddef.h>

#include <vmmem/collection.h>

#include "base/tree.h"

struct vmmem_step {
	RB_ENTRY(vmmem_step) link;
	uint64_t start; /* of the region */
	struct vmmem_region *region; /* a reference is held */
};

RB_HEAD(vmmem_step_tree, vmmem_step);

struct vmmem_steps {
	/* The map that is changed; a reference is held. */
	struct vmmem_collection *map;
	/* By address.  Removed regions are in 'map', added ones are not. */
	struct vmmem_step_tree added;
	struct vmmem_step_tree removed;
	size_t added_count;
	size_t removed_count;
	/* For the next step, so that a change of one region allocates none. */
	struct vmmem_step *spare;
};

/*
 * vmmem_steps_begin() takes a reference to 'map', which is as yet unchanged.
 * 'steps' are those that were ended last, or zeros.
 */
void vmmem_steps_begin(struct vmmem_steps *steps,
		       struct vmmem_collection *map);

/*
 * vmmem_steps_end() moves the steps to 'ret_steps', whose vmmem_steps_free() is
 * due: that drops the references, and so may unmap.
 */
void vmmem_steps_end(struct vmmem_steps *steps, struct vmmem_steps *ret_steps);
void vmmem_steps_free(struct vmmem_steps *steps);

/* These are vmmem_collection_insert() and _remove(), for the steps so far. */
int vmmem_steps_insert(struct vmmem_steps *steps, struct vmmem_region *region);
int vmmem_steps_remove(struct vmmem_steps *steps, uint64_t gpa, uint64_t len,
		       struct vmmem_region **ret_region);

/* vmmem_steps_has() tells whether this very region is in the resulting map. */
bool vmmem_steps_has(struct vmmem_steps *steps,
		     const struct vmmem_region *region);

/* vmmem_steps_undo() forgets the steps since they were settled last. */
void vmmem_steps_undo(struct vmmem_steps *steps);

/*
 * vmmem_steps_settle() makes the collection of 'map' and the steps, which is
 * 'map' for the next ones.  Returns 0, or -ENOMEM: nothing has changed.
 */
int vmmem_steps_settle(struct vmmem_steps *steps);

#endif
