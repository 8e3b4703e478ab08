/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/listener.h - callbacks that are told each change of a space's map, and
 * may refuse it.
 *
 * A listener keeps something in step with a space's map: the memory slots of a
 * virtual machine, the mappings of an IOMMU, the table of a device process.  A
 * writer tells it the difference between two maps, before the new map is
 * published:
 *
 *     begin      once, with both maps
 *     removed    for each region that is only in the old map
 *     added      for each region that is only in the new map
 *     commit     once: the last chance to refuse
 *     published  once: the new map is the current one
 *
 * A region is in both maps if it is the same object.  Regions never change, so
 * a region that moves or grows is another region: one is removed and one is
 * added.  The writer tells each event to all listeners before the next event:
 * begin, added, commit and published from the lowest priority to the highest,
 * removed from the highest to the lowest.  Among equal priorities the listener
 * that was made first is told first, and of a removal last.  Removed regions
 * come from the highest address to the lowest, added regions the other way.
 *
 * begin, removed, added and commit return 0, or refuse with a negative code,
 * which becomes the code of the update.  Then the writer tells each listener
 * that was told begin the reverse of what this listener accepted, the last
 * event first: 'added' for a region that was removed, 'removed' for a region
 * that was added, and 'abort' in the end.  A listener that refuses an event has
 * done nothing for that event, and is not told its reverse.  The writer ignores
 * what a callback returns while it tells the reverse: undoing should not fail,
 * and a listener whose undoing can fail must do the rest at a later event.
 *
 * Beside changes of the map, a listener is told what vmmem_space_discard()
 * gives back to the system, so that a listener whose device has pinned those
 * pages can unpin them or refuse.  'discarding' is called before the bytes are
 * discarded, for each region's part of the range, from the highest priority to
 * the lowest.  It returns 0, or refuses with a negative code, which becomes the
 * code of the discard; then no byte is discarded.  Each listener whose
 * 'discarding' returned 0 then gets 'discarded' with the result, from the
 * lowest priority to the highest.  If the result is not 0, a part of the range
 * may have been discarded.
 *
 * Of vmmem_space_convert() (vmmem/private.h) a listener is told in the same
 * way: 'converting' for each region's part of the range, from the highest
 * priority to the lowest, which agrees with 0, or refuses with a negative code,
 * and then nothing is converted.  The listener does now what can fail.  Of
 * bytes that become private the region says already that they are; of bytes
 * that become shared it says so when all listeners have agreed.  Each listener
 * whose 'converting' returned 0 then gets 'converted' with the result, from the
 * lowest priority to the highest.  If the result is not 0, the state of each
 * page is as it was, and the listener takes back what it did.  With 0, the side
 * that was left was given back: no 'discarding' is told of it.
 *
 * Callbacks run on the thread of the writer, one at a time for each space.  A
 * callback may read, take references, make and free readers, call
 * vmmem_space_get() and vmmem_space_synchronize(), and free listeners, its own
 * too.  It must not change the space or make a listener of it: that is
 * VMMEM_ESELFWAIT.  Readers need no lock that is held during a callback.  A
 * callback runs within a call of the C library's caller: in Go it is on the
 * goroutine's thread, in Java the virtual thread stays on its carrier until the
 * callback returns.
 *
 * Since: 0.9, all of it.
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
 * 'old_map' and 'new_map' are valid during the call.
 *
 * 'destroy' is called once, when no callback runs or will run any more.  The
 * library holds no lock then, so it may change the space.  It is never called
 * if vmmem_listener_new() failed.
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

	void (*destroy)(void *opaque);

	/* Bytes [offset, offset + len) of a region of the current map. */
	int (*converting)(void *opaque, struct vmmem_region *region,
			  uint64_t offset, uint64_t len, int to_private);
	void (*converted)(void *opaque, struct vmmem_region *region,
			  uint64_t offset, uint64_t len, int to_private,
			  int code);
};

/*
 * struct vmmem_listener_options is what a listener may be given.  'size' is
 * sizeof(struct vmmem_listener_options).  'name' is copied, for texts; NULL is
 * "".  'priority' is its place in the order above.  'flags' is 0.
 */
struct vmmem_listener_options {
	size_t size;
	const char *name;
	int32_t priority;
	uint32_t flags;
};

/*
 * vmmem_listener_new() makes a listener of 'space'.  The listener is told the
 * current map first, as a change from an empty map, and from then on what
 * changes.  'ops' is copied; 'opaque' is passed to each callback.  'options'
 * may be NULL: no name, priority 0.  The caller frees the listener, which holds
 * a reference to the space.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'space', 'ops' or 'ret_listener' is NULL, or a flag is
 *                       unknown
 *   VMMEM_ELONGNAME     the name is longer than VMMEM_SPACE_NAME_MAX
 *   VMMEM_ESTRUCTSIZE   the size of 'ops' or 'options' is below that of version
 *                       0.9 or above 4096
 *   VMMEM_ESTRUCTNEWER  'ops' or 'options' has members set that this library
 *                       does not know
 *   VMMEM_ECALLBACK     a callback returned a positive value
 *   VMMEM_ESELFWAIT     this thread is in a listener's callback of this space
 *   -ENOMEM             from the allocator
 *   what the listener refused the current map with
 */
VMMEM_NODISCARD int
vmmem_listener_new(struct vmmem_space *space,
		   const struct vmmem_listener_ops *ops, void *opaque,
		   const struct vmmem_listener_options *options,
		   struct vmmem_listener **ret_listener);

/*
 * vmmem_listener_free() frees a listener and returns NULL.  It cannot fail.
 *
 * Outside of callbacks of the space, on this thread, the listener is told first
 * that everything is gone: a change from the current map to an empty map, which
 * it cannot refuse.  Then 'destroy' is called.  When the call returns, no
 * callback runs or will run.  The call waits for the callbacks that another
 * thread is in.
 *
 * In a callback of the space, its own or another listener's, the listener is
 * told nothing any more, and has no say in the event that is told.  The writer
 * calls 'destroy' when all listeners were told; until then 'opaque' must stay
 * valid.
 *
 * The handle is not valid after the call.  NULL is a no-op.
 */
struct vmmem_listener *vmmem_listener_free(struct vmmem_listener *listener);

/*
 * What a listener was made with: the space, whose reference is the listener's;
 * its name, or ""; its priority.  NULL and 0 for NULL.
 */
struct vmmem_space *
vmmem_listener_space(const struct vmmem_listener *listener);
const char *vmmem_listener_name(const struct vmmem_listener *listener);
int32_t vmmem_listener_priority(const struct vmmem_listener *listener);

VMMEM_END_DECLS

#endif
