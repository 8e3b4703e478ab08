/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/update.h - a change of a space's map, of any number of steps, that
 * happens as a whole or not at all.
 *
 *     rc = vmmem_update_new(space, VMMEM_FOREVER, &update);
 *     if (rc != 0)
 *             return rc;
 *     rc = vmmem_update_remove(update, gpa, len, NULL);
 *     if (rc == 0)
 *             rc = vmmem_update_insert(update, region);
 *     if (rc == 0)
 *             rc = vmmem_update_commit(update);
 *     vmmem_update_free(update);
 *     return rc;
 *
 * An update is open from vmmem_update_new() to vmmem_update_commit() or
 * vmmem_update_free(), whichever comes first.  A space has one open update at a
 * time, and other writers wait for its end: so the map that the update begins
 * with is the map that it replaces, and no change of another writer is lost.
 * Readers do not notice an update.
 *
 * An update belongs to the holder of its handle, and not to a thread.  One
 * thread may begin it, another may make steps, and a third may commit or free
 * it, one after the other.  So an update may be kept across a goroutine's
 * switch of threads, on a virtual thread of Java and across an await of Rust.
 *
 * For the same reason the library cannot see that a caller waits for its own
 * update.  While an update of a space is open, its holder must not begin
 * another one of that space, or call vmmem_space_insert(), _remove(),
 * _replace() or _before_fork(): that call would wait for ever, or until its
 * timeout.  Listeners may be made and freed, and memory may be discarded.
 *
 * Where several spaces change together there is an update of each, and each is
 * published by its own commit.  Begin the updates in the same order everywhere,
 * or two writers wait for each other; commit them in the order in which readers
 * may see the change.  If a later commit is refused, the earlier spaces have
 * changed: undo that by updates of the reverse steps.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_UPDATE_H
#define VMMEM_UPDATE_H

#include <vmmem/base.h>
#include <vmmem/space.h>

VMMEM_BEGIN_DECLS

struct vmmem_update;

/*
 * vmmem_update_new() waits until no other update of 'space' is open, for
 * 'timeout_ns' nanoseconds, and begins an update.  VMMEM_FOREVER waits without
 * an end; 0 does not wait.  The update holds a reference to the space.  The
 * caller frees the update with vmmem_update_free().
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'space' or 'ret_update' is NULL
 *   VMMEM_ETIMEOUT   another update was open for all of the time
 *   VMMEM_ESELFWAIT  this thread is in a listener's callback of this space
 *   -ENOMEM          from the allocator
 */
VMMEM_NODISCARD int vmmem_update_new(struct vmmem_space *space,
				     uint64_t timeout_ns,
				     struct vmmem_update **ret_update);

/*
 * vmmem_update_free() frees an update and returns NULL.  If the update is open,
 * it ends here: the map stays what it was, and no listener is told.  NULL is a
 * no-op.
 */
struct vmmem_update *vmmem_update_free(struct vmmem_update *update);

/*
 * vmmem_update_space() returns the space that an update changes, also after the
 * commit.  The reference is the update's.  NULL for NULL.
 */
struct vmmem_space *vmmem_update_space(const struct vmmem_update *update);

/*
 * vmmem_update_collection() returns the map that the steps so far lead to: the
 * current map at first.  The pointer is valid until the next step or the end of
 * the update; take a reference to keep the map.  Returns NULL for NULL, after
 * the commit, and if there is no memory to make the map; then the update stays
 * as it was.
 *
 * The library makes the map when the caller asks for it, and at the commit.  So
 * steps are cheap, however many there are, and asking after each of them is
 * not.
 */
struct vmmem_collection *vmmem_update_collection(struct vmmem_update *update);

/*
 * vmmem_update_insert() adds 'region'.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'update' or 'region' is NULL, or the update was committed
 *   VMMEM_EOVERLAP   'region' overlaps with a region of the map
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
 *   VMMEM_EARGUMENT  'update' is NULL, or the update was committed
 *   VMMEM_ENOREGION  no region is exactly that range
 *   -ENOMEM          from the allocator
 * After a failure the update is as before the step, and may go on.
 */
VMMEM_NODISCARD int vmmem_update_remove(struct vmmem_update *update,
					uint64_t gpa, uint64_t len,
					struct vmmem_region **ret_region);

/*
 * vmmem_update_remove_region() takes 'region' itself out of the map, and not
 * another region of the same range.
 *
 * vmmem_update_replace_region() takes 'old_region' out and adds 'new_region',
 * whose range may be another one.  Both or neither happens.
 *
 * Return 0, or
 *   VMMEM_EARGUMENT  an argument is NULL, or the update was committed
 *   VMMEM_ENOREGION  the region to take out is not in the map
 *   VMMEM_EOVERLAP   'new_region' overlaps with another region of the map
 *   -ENOMEM          from the allocator
 * After a failure the update is as before the step, and may go on.
 */
VMMEM_NODISCARD int vmmem_update_remove_region(struct vmmem_update *update,
					       struct vmmem_region *region);
VMMEM_NODISCARD int
vmmem_update_replace_region(struct vmmem_update *update,
			    struct vmmem_region *old_region,
			    struct vmmem_region *new_region);

/*
 * vmmem_update_overlay() adds 'region' and cuts away whatever the map has at
 * its addresses: a ROM over RAM, a window of a device, a segment that is
 * shadowed.  A region that 'region' covers as a whole is taken out.  Of a
 * region that sticks out, the rest stays, as one or two aliases of it: with its
 * bytes, its protection, its log and its name.  The aliases have no cookie;
 * their vmmem_region_alias_target() leads to the region that was made first.
 *
 * The region that was cut does not come back when 'region' is taken out: then
 * there is a hole.  To show the old bytes again, overlay an alias of them with
 * the same range.  That cuts nothing, so a map does not grow however often a
 * window is switched.
 *
 * Each call makes the map of the steps before it, as vmmem_update_collection()
 * does.  A region that is in the map already stays as it is.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'update' or 'region' is NULL, or the update was committed
 *   -ENOMEM          from the allocator
 *   what vmmem_region_builder_build() says of an alias
 * After a failure the update is as before the step, and may go on.
 */
VMMEM_NODISCARD int vmmem_update_overlay(struct vmmem_update *update,
					 struct vmmem_region *region);

/*
 * vmmem_update_replace() makes 'map' the map that the next step begins with, or
 * that the commit publishes.  The update takes a reference to it.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'update' or 'map' is NULL, or the update was committed
 */
VMMEM_NODISCARD int vmmem_update_replace(struct vmmem_update *update,
					 struct vmmem_collection *map);

/*
 * vmmem_update_commit() tells the listeners what changes, publishes the map and
 * ends the update, whatever it returns.  The caller frees the update
 * afterwards.  If a listener refuses, the listeners that were told are told the
 * reverse, and the map stays what it was.  An update that ends with the map it
 * began with, or whose steps cancel each other, does nothing.
 *
 * A section that a reader begins after the return sees the new map.  The commit
 * drops maps that no reader sees and that nobody holds, without waiting.  It
 * looks at some of the maps that somebody held before, and later commits look
 * at the rest.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'update' is NULL, or the update was committed before
 *   VMMEM_ECALLBACK  a listener returned a positive value
 *   VMMEM_ESELFWAIT  this thread is in a listener's callback of this space
 *   -ENOMEM          from the allocator; no listener was told
 *   what a listener refused with
 */
VMMEM_NODISCARD int vmmem_update_commit(struct vmmem_update *update);

VMMEM_END_DECLS

#endif
