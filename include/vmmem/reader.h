/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/reader.h - borrowing a space's current map at the cost of a store.
 *
 * A thread that reads a space often makes a reader once.  Between
 * vmmem_reader_enter() and vmmem_reader_leave() it is in a section, and sees
 * one map, whole, whatever writers do:
 *
 *     map = vmmem_reader_enter(reader);
 *     rc = vmmem_collection_read_le16(map, gpa, &index);
 *     if (rc == 0)
 *             rc = vmmem_collection_read(map, ...);
 *     vmmem_reader_leave(reader);
 *
 * Neither call waits, whatever writers do.  A section keeps every map alive
 * that it could see, so keep it short: one access, one request.  To keep a map
 * for longer, take a reference to it within the section, or use
 * vmmem_space_get().
 *
 * A slice or a host address that was looked up in one section is valid in a
 * later section if vmmem_reader_generation() returns the same number in both:
 * one load and a comparison.
 *
 * vmmem/reader_access.h has the accesses of vmmem/access.h, and the loads and
 * stores of vmmem/atomic.h, as sections of one call.  <vmmem/inline.h> compiles
 * enter, leave and generation into the caller.
 *
 * A reader is used by one thread at a time, and another thread may use it next
 * when no section is open.  So a task that a runtime moves between threads
 * keeps no section across a point where it may move: an await of Rust, a
 * blocking call on a virtual thread of Java; Go calls runtime.LockOSThread()
 * first.  vmmem_space_enter() has no such rule.
 *
 * A signal handler uses a reader of its own, and not the reader of the thread
 * that it interrupts.  A thread that ends within a section leaves the section
 * open until another thread calls vmmem_reader_leave() or vmmem_reader_free().
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_READER_H
#define VMMEM_READER_H

#include <vmmem/base.h>
#include <vmmem/collection.h>
#include <vmmem/space.h>

VMMEM_BEGIN_DECLS

/*
 * struct vmmem_reader_view is what a space shows its readers, and struct
 * vmmem_reader begins what vmmem_reader_new() makes.  They are here for
 * <vmmem/inline.h>, and not for use: the layouts are frozen with 1.0.
 */
struct vmmem_reader_view {
	uint64_t generation;
	struct vmmem_collection *current;
};

struct vmmem_reader {
	uint64_t section; /* 0: in none that the inline functions know of */
	uint64_t nested;  /* sections within the section */
	struct vmmem_collection *map; /* what the section sees */
	const struct vmmem_reader_view *view;
};

/*
 * struct vmmem_reader_options is what a reader may be given.  'size' is
 * sizeof(struct vmmem_reader_options).  'name' is copied, for texts; NULL is
 * "".  Since: 0.9.
 */
struct vmmem_reader_options {
	size_t size;
	const char *name;
};

/*
 * vmmem_reader_new() makes a reader of 'space', and takes a reference to the
 * space.  'options' may be NULL.  The caller frees the reader.  The call takes
 * a lock, which a writer holds only while it walks over the readers.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'space' or 'ret_reader' is NULL
 *   VMMEM_ELONGNAME     the name is longer than VMMEM_SPACE_NAME_MAX
 *   VMMEM_ESTRUCTSIZE   options->size is below that of version 0.9 or above
 *                       4096
 *   VMMEM_ESTRUCTNEWER  'options' has members set that this library does not
 *                       know
 *   -ENOMEM             from the allocator
 * Since: 0.9 with options.
 */
VMMEM_NODISCARD int vmmem_reader_new(struct vmmem_space *space,
				     const struct vmmem_reader_options *options,
				     struct vmmem_reader **ret_reader);

/*
 * vmmem_reader_space() returns the space that a reader reads; the reference is
 * the reader's.  vmmem_reader_name() returns the name that the options gave, or
 * "".  NULL for NULL.  Since: 0.9.
 */
struct vmmem_space *vmmem_reader_space(const struct vmmem_reader *reader);
const char *vmmem_reader_name(const struct vmmem_reader *reader);

/*
 * vmmem_reader_free() frees a reader and returns NULL; a section that is open
 * ends.  If the reader held the last reference to the space, the space ends
 * here and its memory is unmapped.  It never waits for an update or a callback,
 * and may be called in one.  NULL is a no-op.
 */
struct vmmem_reader *vmmem_reader_free(struct vmmem_reader *reader);

/*
 * vmmem_reader_enter() begins a section and returns the map it sees, which is
 * valid until the section ends, and longer for a caller that takes a reference.
 * Within a section it begins another one, which sees the same map; each enter
 * needs a leave.  NULL for NULL.
 */
struct vmmem_collection *vmmem_reader_enter(struct vmmem_reader *reader);

/*
 * vmmem_reader_leave() ends the section that the last enter began.  NULL is a
 * no-op, and so is a leave without an enter.
 */
void vmmem_reader_leave(struct vmmem_reader *reader);

/*
 * vmmem_reader_generation() returns the generation of the section's map.  If a
 * later section, of any reader, has the same generation, what was looked up in
 * this section is valid there too.  No map of another space of the process has
 * the same generation.  0 outside of sections and for NULL.
 */
uint64_t vmmem_reader_generation(const struct vmmem_reader *reader);

/*
 * What the bodies of <vmmem/inline.h> call where they do not find the good
 * case:  within a section, and on systems without membarrier(2).  They do what
 * the functions above do that are called so, and are not for use.  Since: 0.9.
 */
struct vmmem_collection *vmmem_inline_call_enter(struct vmmem_reader *reader);
void vmmem_inline_call_leave(struct vmmem_reader *reader);
uint64_t vmmem_inline_call_generation(const struct vmmem_reader *reader);

VMMEM_END_DECLS

#endif
