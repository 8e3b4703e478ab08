/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/fault.h - surviving guest memory that goes away.
 *
 * Another process may cut the file behind a region short, the system may have
 * no huge page when one is first touched, a cell of memory may break.  Touching
 * such memory raises SIGBUS, which kills the process.  A program that asks for
 * it with vmmem_fault_enable() survives: the function that touched the memory
 * returns VMMEM_EGONE, and the region tells what happened.
 *
 * That holds for every function of the library that moves guest bytes: those of
 * vmmem/access.h, vmmem/atomic.h, vmmem/slice.h and vmmem/slice_atomic.h.
 * Where one of them reports a count, it is that of the bytes moved before the
 * fault, and whatever was written is marked.  What a buffer that was read to
 * holds beyond the count is not defined.  "All or nothing" is about addresses:
 * a fault may stop an access part-way, and bytes before it have then been
 * moved.  Memory that comes back can be used again at once.
 *
 * It holds for the external bits of a bitmap, too (vmmem/bitmap.h), which a
 * peer may share: marks in memory that is gone are lost, there are none in it,
 * and the function that marks or looks does not fail.
 *
 * It holds for the accessors of <vmmem/inline.h> with slices of a file that
 * could be cut short when its region was built, and with all slices that were
 * made after vmmem_fault_enable(): those have VMMEM_SLICE_CALL, and their
 * accesses are calls of the library.  An access to another slice, that was made
 * before, is an instruction of the caller's.  So enable first, and make slices
 * then.
 *
 * It does not hold for accesses of the caller through a host address, nor for
 * faults of the caller's buffer.  Such a fault is handled as if the library
 * were not there.
 *
 * The kernel kills a thread that faults while it blocks the signal; nothing in
 * a process can change that.  So a thread that accesses guest memory must not
 * block SIGBUS, and a handler of SIGBUS must not access guest memory.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_FAULT_H
#define VMMEM_FAULT_H

#include <vmmem/base.h>
#include <vmmem/region.h>

VMMEM_BEGIN_DECLS

/* Which signals are caught. */
#define VMMEM_FAULT_SIGNAL_BUS 1U  /* SIGBUS: there is no memory */
#define VMMEM_FAULT_SIGNAL_SEGV 2U /* SIGSEGV: unmapped, or not permitted */

/* The kind of a fault. */
#define VMMEM_FAULT_KIND_NONE 0	   /* nothing yet */
#define VMMEM_FAULT_KIND_BACKING 1 /* nothing behind it: file, huge page */
#define VMMEM_FAULT_KIND_POISON 2 /* touched, and the hardware had lost it */
#define VMMEM_FAULT_KIND_POISON_AHEAD 3 /* lost, but not touched yet */
#define VMMEM_FAULT_KIND_UNMAPPED 4	   /* not mapped in this process */
#define VMMEM_FAULT_KIND_DENIED 5	   /* mapped without that access */
#define VMMEM_FAULT_KIND_ON_DEMAND 6 /* mapped on demand: not told apart */

/*
 * vmmem_fault_enable() makes access functions survive faults that raise
 * 'signals', a set of VMMEM_FAULT_SIGNAL_BUS and VMMEM_FAULT_SIGNAL_SEGV.  It
 * installs a handler for each and keeps the one that was there: a signal that
 * is not about an access of the library's to guest memory reaches that one as
 * if the library were not there, with its flags and its mask, also where it is
 * to kill the process.
 *
 * Take VMMEM_FAULT_SIGNAL_SEGV only if no other handler is to resolve such
 * faults, as one that tracks writes with mprotect(2) would.
 *
 * Calls are counted, per signal.  Each makes sure that the handler is in place
 * and puts it on top again if somebody has installed another since; so call it
 * after what installs handlers of its own.
 *
 * The hardware may find memory broken before it is touched, and the kernel may
 * then send SIGBUS to say so (BUS_MCEERR_AO).  If the memory is a region's,
 * the region tells, and the signal goes on to a handler that was there.  If
 * there was none, the signal does not kill the process.
 *
 * Any thread; not in a signal handler.  A child that fork() made has what its
 * parent had, unless the parent was in this function, or in
 * vmmem_fault_disable(), on another thread: then it must not call either.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT   'signals' is 0, or has an unknown bit
 *   VMMEM_ENOSUPPORT  not on this processor, or not in this build of the
 *                     library (ThreadSanitizer; or a static one of which the
 *                     linker has taken out the table)
 *   VMMEM_EHANDLERS   handlers were put on top of the library's, and left
 *                     there, eight times
 *   -errno            what sigaction(2) said
 * On failure nothing has changed.
 */
VMMEM_NODISCARD int vmmem_fault_enable(uint32_t signals);

/*
 * vmmem_fault_disable() undoes one vmmem_fault_enable() for 'signals'.  The
 * last one for a signal puts back the handler that was there before.  If
 * somebody has installed another on top meanwhile, that stays; the library's,
 * which that one may call, then only passes signals on.
 *
 * Threads and fork() as for vmmem_fault_enable().
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'signals' is 0, has an unknown bit, or is not enabled
 *   -errno           what sigaction(2) said of one signal; that one, and what
 *                    comes after it in the list above, stays enabled
 */
int vmmem_fault_disable(uint32_t signals);

/*
 * The queries below are about faults since the region was made and while they
 * were caught.  An alias answers for its target, with offsets in that.  Any
 * thread that holds a reference to the region, also in a signal handler.
 */

/*
 * vmmem_region_fault_count() returns how many faults there were; 0 for NULL.
 * An access that failed has met at least one.
 */
uint64_t vmmem_region_fault_count(const struct vmmem_region *region);

/*
 * vmmem_region_fault_first() stores where in the region the first fault was, in
 * bytes, and its kind, one of VMMEM_FAULT_...: VMMEM_FAULT_KIND_NONE at 0 if
 * there was none.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'region', 'ret_offset' or 'ret_kind' is NULL
 */
VMMEM_NODISCARD int vmmem_region_fault_first(const struct vmmem_region *region,
					     uint64_t *ret_offset,
					     uint32_t *ret_kind);

/* vmmem_region_fault_last() is the same for the last fault. */
VMMEM_NODISCARD int vmmem_region_fault_last(const struct vmmem_region *region,
					    uint64_t *ret_offset,
					    uint32_t *ret_kind);

VMMEM_END_DECLS

#endif
