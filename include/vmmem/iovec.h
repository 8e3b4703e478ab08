/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/iovec.h - guest memory as struct iovec, for readv(2), sendmsg(2),
 * io_uring and other interfaces that take host addresses, without a copy.
 *
 * A chain is an array of ranges, such as the buffers of a virtqueue's
 * descriptors.  Members of no bytes are skipped and their addresses not looked
 * at.  Pieces that follow one another in the host are joined, also where they
 * come from different regions or members of the chain; so the array may be
 * much shorter than the chain.  A range that runs through several regions may
 * also take more than one element.
 *
 * The addresses are good as long as the caller's reference to the collection,
 * or the slices.  A caller that lets the kernel or a device use them keeps that
 * reference until the kernel or the device is done.  Writes through them are
 * not marked as dirty: afterwards, and before it tells anybody of the data, the
 * caller marks the chain by one call of a _mark function.
 *
 * There are two ways.  Where a collection is translated (vmmem/iommu.h), or has
 * memory that is mapped on demand, only the second one is right:
 *   by address  vmmem_collection_iovec_ranges(), then
 *               vmmem_collection_mark_ranges()
 *   by slices   vmmem_collection_slice_list(), vmmem_slice_list_iovec(), then
 *               vmmem_slice_list_mark() and vmmem_slice_list_release()
 * A translation may be removed before the transfer ends.  A slice keeps the
 * place of its bytes in the log, so they are marked where they were written.
 * Memory that is mapped on demand has no address that could be handed out
 * without acquiring it: vmmem_collection_iovec() returns VMMEM_ENOHOST.
 *
 * Any thread that holds the reference, also in a signal handler.  No lock is
 * taken and nothing is allocated.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_IOVEC_H
#define VMMEM_IOVEC_H

#include <vmmem/base.h>
#include <vmmem/collection.h>
#include <vmmem/slice.h>

VMMEM_BEGIN_DECLS

/* The struct of <sys/uio.h>, which the caller includes. */
struct iovec;

/*
 * vmmem_collection_iovec() stores the host memory of the guest's
 * [gpa, gpa + len) in 'iov', which has room for 'capacity' elements, in
 * ascending order of guest address.  'access' is what will be done with it, a
 * set of VMMEM_PROT_READ and VMMEM_PROT_WRITE: WRITE where a device or the
 * kernel stores.
 *
 * 'ret_count' gets the number of elements that it takes, with 0 and also with
 * VMMEM_ENOROOM; 'iov' then has the first 'capacity' of them.  The range is
 * checked to its end in either case.  So 'capacity' 0, with 'iov' NULL, asks
 * how many there are.  With any other code 'ret_count' is not written and the
 * contents of 'iov' are not defined.
 *
 * 'ret_bad', which may be NULL, gets the guest address of the byte that a code
 * is about, with each code except VMMEM_ENOROOM, VMMEM_EWRAPS and
 * VMMEM_EARGUMENT.
 *
 * Returns 0, or
 *   VMMEM_ENOROOM    more than 'capacity' elements are needed
 *   VMMEM_EBADADDR   a byte of the range lies in no region
 *   VMMEM_EDENIED    a byte of the range does not permit 'access'
 *   VMMEM_EPRIVATE   a byte of the range is private to the guest
 *   VMMEM_EWRAPS     the range passes 2^64 and is mapped up to there
 *   VMMEM_ENOHOST    a byte lies in a custom region without a host address
 *   VMMEM_EARGUMENT  'collection' or 'ret_count' is NULL, 'iov' is NULL and
 *                    'capacity' is not 0, or 'access' has an unknown bit
 */
VMMEM_NODISCARD int
vmmem_collection_iovec(const struct vmmem_collection *collection, uint64_t gpa,
		       uint64_t len, uint32_t access, struct iovec *iov,
		       size_t capacity, size_t *ret_count, uint64_t *ret_bad);

/*
 * vmmem_collection_iovec_ranges() is vmmem_collection_iovec() for a chain of
 * 'count' ranges, one after the other.  VMMEM_EARGUMENT also if 'ranges' is
 * NULL and 'count' is not 0.
 */
VMMEM_NODISCARD int
vmmem_collection_iovec_ranges(const struct vmmem_collection *collection,
			      const struct vmmem_range *ranges, size_t count,
			      uint32_t access, struct iovec *iov,
			      size_t capacity, size_t *ret_count,
			      uint64_t *ret_bad);

/*
 * vmmem_collection_slice_list() makes slices of a chain of 'count' ranges, in
 * the chain's order, and stores them in 'slices', which has room for 'capacity'
 * of them.  Memory that is mapped on demand is acquired.  Members of no bytes
 * are skipped.  Through an iommu the slices are good within the section of the
 * iotlb in which they were made (vmmem_iotlb_enter()).
 *
 * 'ret_count' gets the number of slices that the chain takes, with 0 and also
 * with VMMEM_ENOROOM.  With 0 the caller owes vmmem_slice_list_release().  With
 * any code nothing is held, and the contents of 'slices' are not defined.
 * 'ret_bad' is as for vmmem_collection_iovec(): a caller that makes one slice
 * and must know where that failed makes a list of one.
 *
 * Returns 0, or
 *   VMMEM_ENOROOM    more than 'capacity' slices are needed
 *   VMMEM_EARGUMENT  'collection' or 'ret_count' is NULL, 'ranges' is NULL and
 *                    'count' is not 0, 'slices' is NULL and 'capacity' is not
 *                    0, or 'access' has an unknown bit
 *   what vmmem_collection_next_slice() returns, for the first member where
 *   that fails
 */
VMMEM_NODISCARD int
vmmem_collection_slice_list(const struct vmmem_collection *collection,
			    const struct vmmem_range *ranges, size_t count,
			    uint32_t access, struct vmmem_slice *slices,
			    size_t capacity, size_t *ret_count,
			    uint64_t *ret_bad);

/*
 * vmmem_slice_list_release() is vmmem_slice_release() for 'count' slices: each
 * is of zero bytes afterwards, and releasing the list again does nothing.  NULL
 * is a no-op.
 */
void vmmem_slice_list_release(struct vmmem_slice *slices, size_t count);

/*
 * vmmem_slice_list_iovec() is vmmem_collection_iovec() for 'count' slices.
 *
 * Returns 0, or
 *   VMMEM_ENOROOM    more than 'capacity' elements are needed
 *   VMMEM_EDENIED    a slice does not permit 'access'
 *   VMMEM_EPRIVATE   a byte of a slice is private to the guest by now
 *   VMMEM_EARGUMENT  as for vmmem_collection_iovec_ranges()
 */
VMMEM_NODISCARD int
vmmem_slice_list_iovec(const struct vmmem_slice *slices, size_t count,
		       uint32_t access, struct iovec *iov, size_t capacity,
		       size_t *ret_count);

/*
 * vmmem_collection_mark() marks the guest's [gpa, gpa + len) as written, in
 * each region that logs writes: for callers that write through host addresses,
 * after they have written.  It marks every mapped byte of the range, also if
 * other bytes of it are not mapped.  Permissions are not looked at.
 *
 * Through an iommu, [gpa, gpa + len) leads where it leads now, which need not
 * be where the caller has written; so callers mark slices instead.  The miss
 * handler is not asked for a translation that is gone.  A log by iova needs no
 * translation.
 *
 * Returns 0, or
 *   VMMEM_EIOMMUMISS  a byte of the range has no translation: it is not marked
 *   VMMEM_EBADADDR    a byte of the range lies in no region
 *   VMMEM_EWRAPS      the range passes 2^64 and is mapped up to there
 *   VMMEM_EARGUMENT   'collection' is NULL
 */
int vmmem_collection_mark(const struct vmmem_collection *collection,
			  uint64_t gpa, uint64_t len);

/*
 * vmmem_collection_mark_ranges() marks the first 'len' bytes of a chain: the
 * number that a device says it has written, or all if it failed and may have
 * written any.
 *
 * Returns 0, what vmmem_collection_mark() returns for the first member where
 * that fails, or
 *   VMMEM_EOUTOFRANGE  the chain has less than 'len' bytes; all are marked
 *   VMMEM_EARGUMENT    'ranges' is NULL and 'count' is not 0
 */
int vmmem_collection_mark_ranges(const struct vmmem_collection *collection,
				 const struct vmmem_range *ranges,
				 size_t count, uint64_t len);

/*
 * vmmem_slice_list_mark() marks the first 'len' bytes of a chain of slices.
 *
 * Returns 0, or
 *   VMMEM_EOUTOFRANGE  the chain has less than 'len' bytes; all are marked
 *   VMMEM_EARGUMENT    'slices' is NULL and 'count' is not 0
 */
int vmmem_slice_list_mark(const struct vmmem_slice *slices, size_t count,
			  uint64_t len);

VMMEM_END_DECLS

#endif
