/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/update.h - a change of a space's map, of any number of steps, that
 * happens as a whole or not at all.
 *
 *     rc = vmmem_update_begin(space, &update);
 *     if (rc != 0)
 *             return rc;
 *     rc = vmmem_update_remove(update, gpa, len, NULL);
 *     if (rc == 0)
 *             rc = vmmem_update_insert(update, region);
 *     if (rc != 0) {
 *             vmmem_update_abort(update);
 *             return rc;
 *     }
 *     return vmmem_update_commit(update);
 *
 * An update holds the writers' lock from begin to commit or abort: what it is
 * computed from is what it replaces, and no change of another writer is lost.
 * Readers do not notice it.  It belongs to the thread that began it.  Writers
 * wait for one another; a thread that is in an update, or in a listener's
 * callback, of a space cannot begin another one of it.
 *
 * Since: 0.1, all of it.
 */
#ifndef VMMEM_UPDATE_H
#define VMMEM_UPDATE_H

#include <vmmem/base.h>
#include <vmmem/space.h>

VMMEM_BEGIN_DECLS

struct vmmem_update;

/*
 * vmmem_update_begin() waits for other writers and begins an update.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'space' or 'ret_update' is NULL
 *   VMMEM_ESELFWAIT  this thread is in an update or in a listener's callback of
 *                    this space
 */
VMMEM_NODISCARD int vmmem_update_begin(struct vmmem_space *space,
				       struct vmmem_update **ret_update);

/*
 * vmmem_update_collection() returns the map as the steps so far make it: the current
 * one at first.  It is good until the next step or the end of the update; take
 * a reference to keep it.  NULL for NULL, and if there is no memory to make it;
 * the update is as before then.
 *
 * The map is made when it is asked for, and at the commit.  So steps are cheap,
 * however many there are, and asking after each of them is not.
 */
struct vmmem_collection *vmmem_update_collection(struct vmmem_update *update);

/*
 * vmmem_update_insert() adds 'region'.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'update' or 'region' is NULL
 *   VMMEM_EOVERLAP   'region' overlaps with one that is there
 *   -ENOMEM          from the allocator
 * After a failure the update is as before the step, and may go on.
 */
VMMEM_NODISCARD int vmmem_update_insert(struct vmmem_update *update,
					struct vmmem_region *region);

/*
 * vmmem_update_remove() takes out the region that is exactly [gpa, gpa + len).
 * 'ret_region', if it is not NULL, gets the region with a reference for the
 * caller.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'update' is NULL
 *   VMMEM_ENOREGION  no region is exactly that range
 *   -ENOMEM          from the allocator
 * After a failure the update is as before the step, and may go on.
 */
VMMEM_NODISCARD int vmmem_update_remove(struct vmmem_update *update,
					uint64_t gpa, uint64_t len,
					struct vmmem_region **ret_region);

/*
 * vmmem_update_replace() makes 'map' what the next step begins with, or what
 * commit publishes.  It takes a reference.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'update' or 'map' is NULL
 */
VMMEM_NODISCARD int vmmem_update_replace(struct vmmem_update *update,
					 struct vmmem_collection *map);

/*
 * vmmem_update_commit() tells the listeners what changes, publishes the map and
 * ends the update, whatever it returns.  If a listener refuses, those that were
 * told are told the reverse, and the map stays what it was.  An update that
 * ends with the map it began with, or whose steps cancel each other, does
 * nothing.
 *
 * From the return on, a section that a reader begins sees the new map.  Maps
 * that nobody sees or holds any more are dropped on the way, without waiting;
 * of those that somebody held, some by this commit and the rest by later ones.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'update' is NULL
 *   VMMEM_ECALLBACK  a listener returned a positive value
 *   -ENOMEM          from the allocator; no listener was told
 *   what a listener refused with
 */
VMMEM_NODISCARD int vmmem_update_commit(struct vmmem_update *update);

/*
 * vmmem_update_abort() ends the update; the map stays what it was, and no
 * listener is told.  Returns NULL.  NULL is a no-op.
 */
struct vmmem_update *vmmem_update_abort(struct vmmem_update *update);

VMMEM_END_DECLS

#endif
