/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The inside of a space, for its readers, updates and listeners. */
#ifndef SPACE_PRIV_H
#define SPACE_PRIV_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <vmmem/listener.h>
#include <vmmem/space.h>
#include <vmmem/update.h>

#include "space/epoch.h"
#include "space/writers.h"
#include "map/steps.h"
#include "base/tree.h"

/* One region's part of a range of a map. */
struct vmmem_space_part {
	struct vmmem_region *region;
	uint64_t offset;
	uint64_t len;
};

/*
 * vmmem_space_part_at() is the part that begins at 'gpa', of a range that is
 * not empty and all mapped in 'map', which is plain.
 */
static inline struct vmmem_space_part
vmmem_space_part_at(const struct vmmem_collection *map, uint64_t gpa,
		    uint64_t len)
{
	struct vmmem_space_part part = {
		.region = vmmem_collection_find(map, gpa),
	};
	const uint64_t left = vmmem_region_last(part.region) - gpa;

	part.offset = gpa - vmmem_region_start(part.region);
	part.len = len - 1 <= left ? len : left + 1;
	return part;
}

/* A retired map, which a reader may still see or a caller hold. */
struct vmmem_retired {
	TAILQ_ENTRY(vmmem_retired) link;
	RB_ENTRY(vmmem_retired) by_map;
	struct vmmem_collection *map;
	uint64_t generation; /* of the map that took its place */
	bool held; /* in which list it is */
};

TAILQ_HEAD(vmmem_retired_list, vmmem_retired);
RB_HEAD(vmmem_retired_tree, vmmem_retired);
TAILQ_HEAD(vmmem_listener_list, vmmem_listener);

/* The steps of an update are in the space, as it has one update at a time. */
struct vmmem_update {
	struct vmmem_space *space;
	bool open; /* it has the writers' lock */
};

struct vmmem_space {
	/* Alone in its line: written only when the map changes. */
	_Alignas(VMMEM_CACHE_LINE) struct vmmem_reader_view view;

	/* Which reader sees what.  Its lock also protects the retired maps. */
	struct vmmem_epoch epoch;
	struct vmmem_retired_list retired; /* the oldest first */
	/* Maps that no reader sees, and that were held at the last look. */
	struct vmmem_retired_list held;
	struct vmmem_retired_tree retired_maps; /* of both lists */
	size_t retired_count;

	/*
	 * An update has the writers' lock as long as it is open, also if it
	 * changes threads.  No reader ever takes it.
	 */
	struct vmmem_writers writers;
	struct vmmem_steps steps; /* of the update that is open */

	/*
	 * A thread has this lock while it tells listeners of something, so the
	 * map and the list do not change meanwhile; it is taken after the
	 * writers' lock.  'teller' is that thread, or 0: a callback that would
	 * wait for its own thread gets VMMEM_ESELFWAIT.
	 */
	pthread_mutex_t telling;
	pthread_t teller;
	struct vmmem_listener_list listeners; /* lowest priority first */
	bool dying; /* one of them was freed in a callback */
	struct vmmem_collection *empty; /* what there is before and after all */

	atomic_size_t refs;
	char name[VMMEM_SPACE_NAME_MAX + 1];
};

/*
 * vmmem_space_name_take() copies the name that an object's options say to
 * 'buf', which has room for VMMEM_SPACE_NAME_MAX bytes and a zero; NULL is no
 * name.  Returns 0 or VMMEM_ELONGNAME.
 */
int vmmem_space_name_take(const char *name, char *buf);

/* Whether this thread is in a callback of a listener of this space. */
bool vmmem_space_is_telling(const struct vmmem_space *space);

/*
 * vmmem_space_lock_telling() takes the lock under which listeners are told.
 * Returns 0, or VMMEM_ESELFWAIT in a callback.  Giving it back ends the
 * listeners that were freed in callbacks; the caller has a reference to the
 * space beside theirs.
 */
int vmmem_space_lock_telling(struct vmmem_space *space);
void vmmem_space_unlock_telling(struct vmmem_space *space);

/*
 * vmmem_space_stop_telling() is the same, except that it leaves those listeners
 * to the caller, in 'dead'.
 */
void vmmem_space_stop_telling(struct vmmem_space *space,
			      struct vmmem_listener_list *dead);

/* vmmem_update_is_open() tells whether an update, or NULL, can make steps. */
static inline bool
vmmem_update_is_open(const struct vmmem_update *update)
{
	return update != NULL && update->open;
}

/*
 * vmmem_update_open() begins an update in '*update', which its caller has, and
 * which holds no reference to the space.  vmmem_update_close() ends it unless
 * it was committed.
 */
int vmmem_update_open(struct vmmem_space *space, uint64_t timeout_ns,
		      struct vmmem_update *update);
void vmmem_update_close(struct vmmem_update *update);

/*
 * vmmem_space_publish() makes 'map' the current map, and lists the one before
 * as retired with the help of 'node', which it takes over.  Under both locks.
 */
void vmmem_space_publish(struct vmmem_space *space,
			 struct vmmem_collection *map,
			 struct vmmem_retired *node);

/*
 * vmmem_space_drop_retired() drops the retired maps that nobody sees or holds
 * any more, and stores the generation up to which no reader sees any.  It looks
 * again at a few, or at 'all', of the maps that were held.  Under no lock.
 * Returns 0, or -errno: there was no barrier, and the library does not know
 * what some readers see.
 */
int vmmem_space_drop_retired(struct vmmem_space *space, bool all,
			     uint64_t *ret_horizon);

#endif
