/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/discard.h - giving memory back to the system: balloons, virtio-mem,
 * free page reporting.
 *
 * After a discard all bytes of the range read as zero, for all users of the
 * memory.  The pages that lie wholly within the range are given back; the next
 * access to one makes a zeroed page.  If the range covers a page in part, the
 * covered bytes become zero, and the page stays; where there is no page none is
 * made, as far as the system tells.  Pages are those of the backing: a huge
 * page of the pool is given back only as a whole.
 *
 * Each backing has its own means:
 *
 *   anonymous            MADV_DONTNEED; of locked memory MADV_DONTNEED_LOCKED
 *   memfd, shared file   a hole in the file, for all processes that have it
 *   private file         zeroed memory in place of the file's pages, which
 *                        the region sees no more
 *   external, device     MADV_REMOVE if it is a shared mapping of a file,
 *                        MADV_DONTNEED if it is private and anonymous
 *   custom               the callback 'discard'
 *   alias                as its target
 *
 * A region without such means is VMMEM_ENODISCARD, and is left as it was.
 * Zeroes are never written instead, except to the ends of a range.
 *
 * Memory in place of a file's pages is a mapping of its own.  So that a guest
 * cannot use up the mappings that a process may have, the discards of all
 * regions together take no more than half of vm.max_map_count; a discard that
 * would take more is VMMEM_ENODISCARD.  A discard that takes no more mappings
 * than it gives back, such as one of a whole region, is always done.
 *
 * An access that runs at the same time is before or after, page by page.
 * Devices and other processes that use the memory by other ways (VFIO, RDMA:
 * whatever pins pages) must be told beforehand: they would keep the old pages.
 * vmmem_space_discard() of vmmem/space.h does.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_DISCARD_H
#define VMMEM_DISCARD_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

struct vmmem_collection;
struct vmmem_range;
struct vmmem_region;

/* Leave the bytes of pages that the range covers only in part as they are. */
#define VMMEM_DISCARD_WHOLE_PAGES 1U
/* Do not mark the range as dirty, though its bytes change. */
#define VMMEM_DISCARD_UNMARKED 2U

/*
 * vmmem_region_discard() discards [offset, offset + len) of 'region'.  'flags'
 * is a set of VMMEM_DISCARD_....  The range is marked as dirty, as bytes that
 * were written are; also if the discard fails part-way.
 *
 * How many bytes of whole pages were given back is stored in 'ret_discarded',
 * success or not; it may be NULL.  Of a custom region it is
 * 'len', as soon as the callback has returned 0.
 *
 * Any thread that holds a reference; not in a signal handler.  In a child that
 * fork() made, only if no other thread was discarding or pinning memory at the
 * fork: vmmem_space_before_fork() (vmmem/space.h) sees to that, of any space.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'region' is NULL, or an unknown bit in 'flags'
 *   VMMEM_EOUTOFRANGE  the range is not within the region; zero bytes always
 *                      are
 *   VMMEM_EDENIED      the region does not permit writing
 *   VMMEM_EPRIVATE     a byte of the range is private to the guest
 *                      (vmmem/private.h); nothing was changed
 *   VMMEM_EPINNED      a byte of the range is pinned (vmmem/pin.h); nothing was
 *                      changed
 *   VMMEM_EGONE        the memory of a page covered in part is gone; only after
 *                      vmmem_fault_enable()
 *   VMMEM_ENODISCARD   there is no means: external memory that is a private
 *                      mapping of a file, or locked, or not writable; a file
 *                      system without holes; a private mapping of hugetlbfs; a
 *                      custom region without the callback; huge pages that are
 *                      private, before Linux 5.18; or too many mappings would
 *                      take the place of parts of a private file
 *   VMMEM_ECALLBACK    the callback returned a positive value
 *   what the callback returned
 *   -errno             what madvise(2), fallocate(2), mmap(2) or what restores
 *                      the region's policy said: -EPERM for a memfd that is
 *                      sealed with VMMEM_SEAL_FUTURE_WRITE, -ENOMEM if the
 *                      process has used up its mappings otherwise
 */
VMMEM_NODISCARD int vmmem_region_discard(const struct vmmem_region *region,
					 uint64_t offset, uint64_t len,
					 uint32_t flags,
					 uint64_t *ret_discarded);

/*
 * vmmem_collection_discard() discards [gpa, gpa + len), region by region, as
 * vmmem_region_discard() does.  The range is checked as a whole before the
 * first byte is discarded.  For a translated collection, too, it is a range of
 * guest physical addresses: the call gives back memory, not a mapping.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'collection' is NULL, or an unknown bit in 'flags'
 *   VMMEM_EBADADDR   a byte of the range is in no region
 *   VMMEM_EWRAPS     the range passes 2^64
 *   VMMEM_EDENIED    a region of the range does not permit writing
 *   VMMEM_EPRIVATE   a byte of the range is private to the guest
 *   what vmmem_region_discard() returned; the regions before were discarded
 */
VMMEM_NODISCARD int
vmmem_collection_discard(const struct vmmem_collection *collection,
			 uint64_t gpa, uint64_t len, uint32_t flags,
			 uint64_t *ret_discarded);

/*
 * vmmem_collection_discard_ranges() discards each of 'count' ranges, as
 * vmmem_collection_discard() does: free page reporting and balloons name a
 * chain of them.  All ranges are checked before the first byte is discarded.
 * They may be in any order, and overlap.  'ret_discarded' gets the sum.
 *
 * 'ret_bad', which may be NULL, gets a guest address with each code except
 * VMMEM_EWRAPS and VMMEM_EARGUMENT: that of the byte that is not mapped or not
 * permitted, and nothing was discarded; or the start of the range whose discard
 * failed.  Then the ranges before it were discarded.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  also if 'ranges' is NULL and 'count' is not 0
 *   what vmmem_collection_discard() returns
 * Since: 0.9.
 */
VMMEM_NODISCARD int
vmmem_collection_discard_ranges(const struct vmmem_collection *collection,
				const struct vmmem_range *ranges, size_t count,
				uint32_t flags, uint64_t *ret_discarded,
				uint64_t *ret_bad);

VMMEM_END_DECLS

#endif
