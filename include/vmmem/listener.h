/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/listener.h - being told what changes in a space, and having a say.
 *
 * A listener keeps something in step with a space's map: the memory slots of a
 * virtual machine, what an IOMMU may reach, what a device process was sent.  It
 * is told the difference between two maps, before the new one is published:
 *
 *     begin      once, with both maps
 *     removed    for each region that is only in the old one
 *     added      for each region that is only in the new one
 *     commit     once: the last chance to refuse
 *     published  once: the new map is the current one
 *
 * A region is in both maps if it is the same object; regions never change, so
 * one that moves or grows is another region, removed and added.  Each event is
 * told to all listeners before the next: begin, added, commit and published
 * from the lowest priority to the highest, removed from the highest to the
 * lowest; among equals, from the first that was made to the last, and removed
 * the other way.  Removed regions come from the highest address to the lowest,
 * added ones the other way.
 *
 * begin, removed, added and commit return 0, or refuse with a negative code,
 * which becomes that of the update.  Then each listener that was told begin is
 * told the reverse of what it accepted, the last first: 'added' of what was
 * removed, 'removed' of what was added; and in the end 'abort'.  Who refuses an
 * event has done nothing for that event, and is not told its reverse.  What a
 * callback returns while it is told the reverse is ignored: undoing should not
 * fail, and a listener for which it can must see to it itself.
 *
 * Beside changes of the map, a listener is told what vmmem_space_discard()
 * gives back to the system, so that one whose device has pinned those pages can
 * let go of them or object: 'discarding' before the bytes go, of each region's
 * part of the range, from the highest priority to the lowest; and 'discarded'
 * when it is over, the other way.  discarding returns 0, or refuses with a
 * negative code, which becomes that of the discard; then nothing goes.  Who was
 * told discarding and did not refuse is told discarded, with the code that came
 * of it all; if that is not 0, some of the range may be gone all the same.
 *
 * Callbacks run on the thread of the writer, one at a time for each space, with
 * a lock held that other updates wait for: they may read, take references and call
 * vmmem_space_get(), but not update the space nor make or free its listeners.
 * No lock that a reader needs is held.
 *
 * Since: 0.1, all of it.
 */
#ifndef VMMEM_LISTENER_H
#define VMMEM_LISTENER_H

#include <vmmem/base.h>
#include <vmmem/space.h>

VMMEM_BEGIN_DECLS

struct vmmem_listener;

/*
 * struct vmmem_listener_ops is what a listener wants to be told.  'size' is
 * sizeof(struct vmmem_listener_ops); members that are NULL are not called.
 * 'old_map' and 'new_map' are good during the call.
 */
struct vmmem_listener_ops {
	size_t size;

	int (*begin)(void *opaque, struct vmmem_collection *old_map,
		     struct vmmem_collection *new_map);
	int (*removed)(void *opaque, struct vmmem_region *region);
	int (*added)(void *opaque, struct vmmem_region *region);
	int (*commit)(void *opaque, struct vmmem_collection *old_map,
		      struct vmmem_collection *new_map);
	void (*published)(void *opaque, struct vmmem_collection *old_map,
			  struct vmmem_collection *new_map);
	void (*abort)(void *opaque, struct vmmem_collection *old_map,
		      struct vmmem_collection *new_map);

	/* Bytes [offset, offset + len) of a region of the current map. */
	int (*discarding)(void *opaque, struct vmmem_region *region,
			  uint64_t offset, uint64_t len);
	void (*discarded)(void *opaque, struct vmmem_region *region,
			  uint64_t offset, uint64_t len, int code);
};

/*
 * vmmem_listener_new() makes a listener of 'space'.  It is told the current map
 * first, as a change from an empty map, and what changes from then on.  'ops'
 * is copied; 'opaque' is passed to each callback.  The caller frees the
 * listener, which holds a reference to the space.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'space', 'ops' or 'ret_listener' is NULL
 *   VMMEM_ESTRUCTSIZE   ops->size is below that of version 0.1 or above 4096
 *   VMMEM_ESTRUCTNEWER  'ops' has members set that this library does not know
 *   VMMEM_ECALLBACK     a callback returned a positive value
 *   VMMEM_ESELFWAIT     this thread is in a listener's callback of this
 *                       space
 *   -ENOMEM             from the allocator
 *   what the listener refused the current map with
 */
VMMEM_NODISCARD int
vmmem_listener_new(struct vmmem_space *space,
		   const struct vmmem_listener_ops *ops, void *opaque,
		   int32_t priority, struct vmmem_listener **ret_listener);

/*
 * vmmem_listener_free() frees a listener, after it was told that everything is
 * gone: a change from the current map to an empty one, which it cannot refuse.
 * When this returns, no callback runs or will run.  NULL is a no-op.
 *
 * Returns 0, or
 *   VMMEM_ESELFWAIT  this thread is in a listener's callback of this
 *                    space; the listener is as it was
 */
int vmmem_listener_free(struct vmmem_listener *listener);

VMMEM_END_DECLS

#endif
