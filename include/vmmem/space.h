/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/space.h - where devices find the current memory map while others
 * replace it.
 *
 * A space holds one collection, the current map.  Readers borrow the map, and
 * writers put another map in its place; neither waits for the other:
 *
 *     device threads  make a reader (vmmem/reader.h) once, and with it borrow
 *                     the map for as long as one access or one request takes
 *     other threads   borrow the map between vmmem_space_enter() and
 *                     vmmem_space_leave(), or take a reference with
 *                     vmmem_space_get()
 *     writers         change the map by an update (vmmem/update.h), or with
 *                     vmmem_space_insert(), _remove() and _replace(), which
 *                     are updates of one step
 *     listeners       are told what changes, before it does, and may refuse
 *                     (vmmem/listener.h)
 *
 * A map that was replaced is retired.  The space keeps its own reference to the
 * retired map until no section can see it and no caller holds a reference.
 * Then a writer, or vmmem_space_synchronize(), drops the map, and unmaps the
 * memory that only this map had.  So a thread that borrows a map, or takes a
 * reference from vmmem_space_get() and drops it again, never unmaps guest
 * memory, however long it took.
 *
 * All functions may be called by any thread that holds a reference to the
 * space.  A child that fork() made may read, through the reader of the thread
 * that forked or by vmmem_space_get(); for all else see
 * vmmem_space_before_fork().
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_SPACE_H
#define VMMEM_SPACE_H

#include <vmmem/base.h>
#include <vmmem/collection.h>
#include <vmmem/region.h>

VMMEM_BEGIN_DECLS

struct vmmem_space;

/* The longest name of a space, a reader or a listener, in bytes. */
#define VMMEM_SPACE_NAME_MAX 63

/*
 * struct vmmem_space_options is what a space may be given.  'size' is
 * sizeof(struct vmmem_space_options).  'name' is copied, for texts; NULL is "".
 * Since: 0.9.
 */
struct vmmem_space_options {
	size_t size;
	const char *name;
};

/*
 * vmmem_space_new() makes a space whose current map is 'map', and takes a
 * reference to 'map'.  If 'map' is NULL, the space begins with an empty map.
 * 'options' may be NULL.  The caller owns one reference to the space.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'ret_space' is NULL
 *   VMMEM_ELONGNAME     the name is longer than VMMEM_SPACE_NAME_MAX
 *   VMMEM_ESTRUCTSIZE   options->size is below that of version 0.9 or above
 *                       4096
 *   VMMEM_ESTRUCTNEWER  'options' has members set that this library does not
 *                       know
 *   -ENOMEM             from the allocator
 *   -errno              what pthread_mutex_init(3) said
 * Since: 0.9 with options.
 */
VMMEM_NODISCARD int vmmem_space_new(struct vmmem_collection *map,
				    const struct vmmem_space_options *options,
				    struct vmmem_space **ret_space);

/*
 * vmmem_space_name() returns the name that the options gave, or "".  The text
 * is the space's.  NULL for NULL.  Since: 0.9.
 */
const char *vmmem_space_name(const struct vmmem_space *space);

/*
 * vmmem_space_ref() takes one more reference and returns 'space'.  NULL stays
 * NULL.
 */
struct vmmem_space *vmmem_space_ref(struct vmmem_space *space);

/*
 * vmmem_space_unref() drops one reference and returns NULL.  Readers, listeners
 * and updates each hold one.  With the last one the space drops its maps, and
 * unmaps.  NULL is a no-op.
 */
struct vmmem_space *vmmem_space_unref(struct vmmem_space *space);

/*
 * vmmem_space_get() returns the current map with a reference for the caller,
 * which drops it with vmmem_collection_unref() at any time and on any thread:
 * that never unmaps anything as long as the space is there.  NULL for NULL.
 *
 * Takes no lock and waits for nobody; may run in a signal handler.  It costs
 * four atomic operations on memory that all callers share, where a reader costs
 * none.
 */
struct vmmem_collection *vmmem_space_get(struct vmmem_space *space);

/*
 * vmmem_space_enter() begins a section without a reader, on any thread:
 * 'ret_map' gets the current map, which is valid until vmmem_space_leave() with
 * the value that was returned.  It is for callers that have no place to keep a
 * reader: a library whose functions are called on any thread, a task that moves
 * between threads.  Another thread may leave, so a goroutine, a virtual thread
 * of Java or an async task of Rust may keep a section.  Keep it short: it holds
 * every map that is replaced meanwhile.
 *
 * Sections may be nested and may overlap; each may see another map.  Neither
 * call waits or takes a lock, and both may run in a signal handler.  A section
 * costs two atomic operations on a line that few threads share, where a
 * reader's costs none, and vmmem_space_get() costs four.  A section that is
 * never left is waited for by vmmem_space_synchronize(), and by nothing else.
 *
 * For NULL the map is NULL, and leaving is a no-op.  Since: 0.9.
 */
uint64_t vmmem_space_enter(struct vmmem_space *space,
			   struct vmmem_collection **ret_map);
void vmmem_space_leave(struct vmmem_space *space, uint64_t section);

/*
 * vmmem_space_generation() returns the number of the current map: it grows with
 * each map that is published, and never repeats, nor does another space of the
 * process ever have it.  0 for NULL, and only then.
 * The map may have been replaced by the time the number arrives; what is cached
 * is checked with vmmem_reader_generation() instead.  May run in a signal
 * handler.
 */
uint64_t vmmem_space_generation(const struct vmmem_space *space);

/*
 * vmmem_space_insert() puts the current map with 'region' added in its place:
 * vmmem_collection_insert(), as an update of one step.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'space' or 'region' is NULL
 *   VMMEM_EOVERLAP   'region' overlaps with one that is there
 *   what vmmem_update_new() and vmmem_update_commit() return
 */
VMMEM_NODISCARD int vmmem_space_insert(struct vmmem_space *space,
				       struct vmmem_region *region);

/*
 * vmmem_space_remove() takes the region that is exactly [gpa, gpa + len) out of
 * the map: vmmem_collection_remove(), as an update of one step.  'ret_region',
 * if it is not NULL, gets the region with a reference for the caller.  The
 * memory stays mapped while a reader sees, or a caller holds, an older map;
 * vmmem_space_synchronize() waits for readers that see one.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'space' is NULL
 *   VMMEM_ENOREGION  no region is exactly that range
 *   what vmmem_update_new() and vmmem_update_commit() return
 */
VMMEM_NODISCARD int vmmem_space_remove(struct vmmem_space *space, uint64_t gpa,
				       uint64_t len,
				       struct vmmem_region **ret_region);

/*
 * vmmem_space_replace() makes 'map' the current map, and takes a reference.
 * A caller that computes 'map' from the current map must do so in an update, or
 * the change of another writer is lost.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'space' or 'map' is NULL
 *   what vmmem_update_new() and vmmem_update_commit() return
 */
VMMEM_NODISCARD int vmmem_space_replace(struct vmmem_space *space,
					struct vmmem_collection *map);

/*
 * vmmem_space_discard() gives [gpa, gpa + len) of the current map back to the
 * system, as vmmem_collection_discard() does, after all listeners were asked:
 * see vmmem/listener.h and vmmem/discard.h.  The map does not change meanwhile;
 * readers are not kept from reading.  The range is checked as a whole, and all
 * listeners have agreed, before the first byte is discarded.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'space' is NULL
 *   VMMEM_ECALLBACK  a callback returned a positive value
 *   VMMEM_ESELFWAIT  this thread is in a listener's callback of this space
 *   what the listener returned that refused
 *   what vmmem_collection_discard() returned
 */
VMMEM_NODISCARD int vmmem_space_discard(struct vmmem_space *space,
					uint64_t gpa, uint64_t len,
					uint32_t flags,
					uint64_t *ret_discarded);

/*
 * vmmem_space_discard_ranges() does the same for 'count' ranges, as
 * vmmem_collection_discard_ranges() (vmmem/discard.h): it takes the writers'
 * lock once.  Listeners are asked about each region's part of all ranges before
 * the first byte is discarded.  If a listener refuses, 'ret_bad' gets the start
 * of the range that it was asked about.
 *
 * Returns 0, or what vmmem_space_discard() and
 * vmmem_collection_discard_ranges() return.
 * Since: 0.9.
 */
VMMEM_NODISCARD int
vmmem_space_discard_ranges(struct vmmem_space *space,
			   const struct vmmem_range *ranges, size_t count,
			   uint32_t flags, uint64_t *ret_discarded,
			   uint64_t *ret_bad);

/*
 * vmmem_space_synchronize() waits until no reader sees a map that was replaced
 * before the call, and then drops the space's references to all retired maps
 * that nobody holds, which unmaps what is only theirs.  It does not wait for
 * references that others keep.  It waits for 'timeout_ns' nanoseconds;
 * VMMEM_FOREVER waits without an end, and 0 does not wait.
 *
 * Not from within a section of the calling thread in this space, except with a
 * timeout: the library does not know on which thread a section is, so the call
 * waits for its own caller, and VMMEM_FOREVER never returns.  Not from a signal
 * handler.  It may be called in a listener.  A thread that waits here can be
 * cancelled (pthread_cancel(3)).
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'space' is NULL
 *   VMMEM_ETIMEOUT   a reader still sees an older map; the maps that no reader
 *                    sees any more were dropped all the same
 *   -errno           what membarrier(2) said, in place of VMMEM_ETIMEOUT, and
 *                    with VMMEM_FOREVER within a second: it is not known
 *                    whether a reader is in a section.  Each reader makes
 *                    barriers of its own when its next section is over, and
 *                    then this returns 0
 * Since: 0.9 with this timeout.
 */
VMMEM_NODISCARD int vmmem_space_synchronize(struct vmmem_space *space,
					    uint64_t timeout_ns);

/*
 * vmmem_space_retired() returns how many maps were replaced and are not dropped
 * yet, because a reader may see them or a caller holds a reference, or because
 * no writer has looked since.  0 for NULL.
 */
size_t vmmem_space_retired(const struct vmmem_space *space);

/*
 * vmmem_space_describe() writes the space as text, for people: a line for the
 * space, one for each reader, one for each listener in the order of their
 * priorities, and one for each region of the current map in ascending order.
 *
 *     space NAME generation N retired N
 *     reader NAME outside
 *     reader NAME in N
 *     listener NAME priority N
 *     START-LAST KIND PROTECTION LENGTH NAME
 *     START-LAST alias PROTECTION LENGTH NAME of NAME+OFFSET
 *
 * Numbers of a region are hexadecimal, others are decimal; 'in' is followed by
 * the generation that the section sees, or 1.  An object without a name is "-".
 * Bytes of a name that are not printable, and spaces, are "?".  No host address
 * is told.  Programs should not read the text: words may be added to a line.
 *
 * 'buf' gets as much as fits into 'capacity' bytes, always with a zero byte at
 * the end.  'ret_len', which may be NULL, gets the length of all of the text
 * without that byte, with 0 and with VMMEM_ENOROOM.  'buf' may be NULL if
 * 'capacity' is 0.  Waits for callbacks that another thread is in; may be
 * called in a callback, and not in a signal handler.
 *
 * Returns 0, or
 *   VMMEM_ENOROOM    the text is longer than 'capacity' - 1 bytes
 *   VMMEM_EARGUMENT  'space' is NULL, or 'buf' is and 'capacity' is not 0
 * Since: 0.9.
 */
VMMEM_NODISCARD int vmmem_space_describe(struct vmmem_space *space, char *buf,
					 size_t capacity, size_t *ret_len);

/*
 * A process that forks while other threads use a space, and whose child then
 * uses it for more than reading, calls vmmem_space_before_fork() and then
 * fork(); after that the parent calls vmmem_space_after_fork_parent(), and the
 * child vmmem_space_after_fork_child().  In between, other threads wait if they
 * change or drop a map, describe the space, discard a part of a private file,
 * or ask which parts of one are populated; the calling thread must do none of
 * this.  Readers do not wait.  With several spaces each call is made for all of
 * them, in the order in which their updates are nested elsewhere, if they are.
 *
 * The child's space is a copy of its own: the sections of all readers are over
 * in it, as the threads that were in them are not there, and its changes are
 * not the parent's.  Its listeners are told of them, so one that holds what the
 * two processes share, such as a virtual machine, must know in which it runs.
 *
 * Not from within a section of the calling thread, and not with an open update
 * of the caller, which the call would wait for.  after_fork_... of a NULL space
 * are no-ops.
 *
 * vmmem_space_before_fork() returns 0, or
 *   VMMEM_EARGUMENT  'space' is NULL
 *   VMMEM_ESELFWAIT  this thread is in a listener's callback of this space;
 *                    then fork without it
 */
VMMEM_NODISCARD int vmmem_space_before_fork(struct vmmem_space *space);
void vmmem_space_after_fork_parent(struct vmmem_space *space);
void vmmem_space_after_fork_child(struct vmmem_space *space);

VMMEM_END_DECLS

#endif
