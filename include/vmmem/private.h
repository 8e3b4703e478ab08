/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/private.h - memory of a guest that its hypervisor must not touch.
 *
 * A region of a confidential guest has two sides: bytes that the guest shares
 * are in the region's ordinary backing, private ones are in a guest_memfd
 * (vmmem_region_builder_set_guest_memfd()).  The region knows of each page
 * which side counts.  An alias has the state of its target.
 *
 * Every function that reads, writes, slices or discards refuses private bytes
 * with VMMEM_EPRIVATE, and touches nothing: all or nothing, and the functions
 * that do what they can stop before the first private byte.  A slice of such a
 * region is of shared bytes, and looks at the state again at every access.
 *
 * An access and a conversion of the same bytes may run at once.  The shared
 * backing stays mapped, so an access that has looked at the state before the
 * conversion changes it does no harm: it reads or writes shared bytes that the
 * guest does not see any more.  The library cannot look at the state for the
 * kernel or a peer that has an iovec or a host address: see vmmem/pin.h.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_PRIVATE_H
#define VMMEM_PRIVATE_H

#include <vmmem/base.h>
#include <vmmem/region.h>

VMMEM_BEGIN_DECLS

struct vmmem_space;

/*
 * vmmem_region_guest_memfd() stores the guest_memfd of a region, and where in
 * it the region's first byte is.  The descriptor is the library's, and open as
 * long as the region.  An alias answers for its target.  Any thread that holds
 * a reference, also in a signal handler.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  an argument is NULL
 *   VMMEM_ENOFILE    the region has no guest_memfd
 */
int vmmem_region_guest_memfd(const struct vmmem_region *region, int *ret_fd,
			     uint64_t *ret_offset);

/*
 * vmmem_region_set_private() says that the bytes [offset, offset + len) of a
 * region, whole pages, are private from now on, or shared if 'is_private' is 0.
 * It changes what access functions refuse and nothing else: neither KVM nor a
 * listener is told, and no memory is given back.  Zero bytes are nothing to do.
 *
 * Any thread, also in a signal handler; of two calls for one page the last
 * counts.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'region' is NULL
 *   VMMEM_EOUTOFRANGE  the range does not lie within the region
 *   VMMEM_ENOFILE      the region has no guest_memfd
 *   VMMEM_EMISALIGNED  the range is not of whole pages, of the region that has
 *                      the bytes
 */
VMMEM_NODISCARD int
vmmem_region_set_private(struct vmmem_region *region, uint64_t offset,
			 uint64_t len, int is_private);

/*
 * vmmem_region_is_private() returns 1 if a byte of [offset, offset + len) of a
 * region is private, else 0: also for NULL, for no bytes, for a range that does
 * not lie within the region, and where there is no guest_memfd.  Any thread,
 * also in a signal handler.
 */
int vmmem_region_is_private(const struct vmmem_region *region,
			    uint64_t offset, uint64_t len);

/*
 * vmmem_region_next_private() finds the first private bytes of
 * [offset, offset + len) of a region: it stores where they begin, and how many
 * there are up to the next shared byte or the end of the range.  If there are
 * none it stores the end of the range, and 0.  The pages between two answers
 * are the shared ones.  Any thread, also in a signal handler.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    an argument is NULL
 *   VMMEM_EOUTOFRANGE  the range does not lie within the region
 */
int vmmem_region_next_private(const struct vmmem_region *region,
			      uint64_t offset, uint64_t len,
			      uint64_t *ret_offset, uint64_t *ret_len);

/*
 * vmmem_space_convert() makes the bytes [gpa, gpa + len) of the current map
 * private, or shared if 'to_private' is 0: what a guest asks its hypervisor
 * for.  They are whole pages of regions with a guest_memfd, as guest physical
 * addresses.  Pages that are so already stay so.  Zero bytes are nothing to do.
 *
 * The range is checked as a whole.  To private, the regions refuse the bytes
 * from then on; the listeners of the space are asked ('converting' in
 * vmmem/listener.h), and the kvm object of the space tells KVM; to shared, the
 * regions give them out after that.  Then the bytes of the side that was left
 * are given back to the system, and marked as dirty: from the shared side by a
 * discard, from the guest_memfd by a hole.  If a listener refuses, the state is
 * as it was before.
 *
 * 'ret_kept', which may be NULL, gets how many bytes could not be given back,
 * of a conversion that was done all the same: they are still in memory, on the
 * side that does not count.  0 with each code.
 *
 * The call waits for writers of the space, and for conversions and discards of
 * it, in other threads.  A region of several spaces is converted in one of them
 * at a time.  Any thread that holds a reference to the space; not in a signal
 * handler.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'space' is NULL
 *   VMMEM_EBADADDR     a byte of the range lies in no region
 *   VMMEM_EWRAPS       the range passes 2^64
 *   VMMEM_ENOFILE      a region of the range has no guest_memfd
 *   VMMEM_EMISALIGNED  the range is not of whole pages, of the regions that
 *                      have the bytes
 *   VMMEM_EPINNED      a byte of the range is pinned (vmmem/pin.h)
 *   VMMEM_ESELFWAIT    this thread is in a listener's callback of this space
 *   VMMEM_ECALLBACK    a listener returned a positive value
 *   -ENOMEM            from the allocator
 *   what a listener refused with
 */
VMMEM_NODISCARD int
vmmem_space_convert(struct vmmem_space *space, uint64_t gpa, uint64_t len,
		    int to_private, uint64_t *ret_kept);

VMMEM_END_DECLS

#endif
