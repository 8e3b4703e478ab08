/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/pin.h - bytes of a region that must stay while a device or the kernel
 * uses them.
 *
 * A request that is underway by a host address - io_uring, a DMA engine, an
 * iovec - ends in the page that is there when it ends.  If a balloon discards
 * that page in between, what the request reads to it is lost without a code.
 * A caller pins the bytes before it submits the request, and unpins them
 * afterwards: meanwhile each discard of one of them is VMMEM_EPINNED, by
 * whichever function and region it is asked for.
 *
 * A pin is of bytes, and so of each region that shows them: a region and its
 * aliases have their pins together.  External memory that is shown by two
 * regions that know nothing of each other has not.  What others do to a file,
 * with a descriptor or a mapping of their own, is not seen.
 *
 * A pin holds a reference to its region: the memory stays mapped until it is
 * unpinned, also if the region is removed from every map meanwhile.  Removing
 * is never refused; the guest no longer sees what the request then writes.
 *
 * Any thread that holds a reference to the region; not in a signal handler.  In
 * a child that fork() made, only if no other thread was in one of these
 * functions or in a discard at the fork: vmmem_space_before_fork()
 * (vmmem/space.h) sees to that.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_PIN_H
#define VMMEM_PIN_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

struct vmmem_region;

/* How many different ranges of a region and its aliases may be pinned. */
#define VMMEM_PINS_MAX 4096

/*
 * vmmem_region_pin() pins [offset, offset + len) of 'region', and returns when
 * no discard of these bytes is underway any more.  A range may be pinned
 * several times, and is then unpinned as often; ranges may overlap.  Zero bytes
 * are not pinned.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'region' is NULL
 *   VMMEM_EOUTOFRANGE  the range is not within the region
 *   VMMEM_ENOROOM      VMMEM_PINS_MAX other ranges are pinned
 *   VMMEM_ESELFWAIT    this thread is in the callback of a custom region that
 *                      discards these bytes
 *   -ENOMEM            from the allocator
 */
VMMEM_NODISCARD int vmmem_region_pin(struct vmmem_region *region,
				     uint64_t offset, uint64_t len);

/*
 * vmmem_region_unpin() takes back one vmmem_region_pin() of the same region
 * and range.  With the last one the pin's reference to the region is dropped,
 * which may unmap memory on this thread.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'region' is NULL
 *   VMMEM_EOUTOFRANGE  the range is not within the region
 *   VMMEM_ENOREGION    this range of this region is not pinned
 */
int vmmem_region_unpin(struct vmmem_region *region, uint64_t offset,
		       uint64_t len);

/*
 * vmmem_region_is_pinned() returns 1 if a byte of [offset, offset + len) is
 * pinned, by this region or another that shows it; else 0, as for NULL and for
 * a range that is not within the region.
 */
int vmmem_region_is_pinned(const struct vmmem_region *region, uint64_t offset,
			   uint64_t len);

VMMEM_END_DECLS

#endif
