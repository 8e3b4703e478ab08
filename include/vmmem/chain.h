/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/chain.h - between a buffer and a chain: ranges of guest addresses that
 * are used as one run of bytes, such as the buffers of a virtqueue's
 * descriptors.
 *
 * Each function works on the bytes [skip, skip + len) of a chain of 'count'
 * ranges, counted through the ranges in their order.  A device that has used
 * some of a chain passes the number as 'skip' the next time, and leaves its
 * array as it is.  Ranges of no bytes, and the bytes before and behind, are not
 * looked at.  A range may run from one region into the next.
 *
 * Without flags a function moves all bytes or none: it checks all of them
 * first.  With VMMEM_CHAIN_SOME it moves bytes up to the first that it cannot
 * move, and up to the end of the chain.
 *
 * 'ret_done', which may be NULL, gets the number of bytes moved, with 0 and
 * with any code except VMMEM_EARGUMENT for an argument.
 *
 * 'ret_bad', which may be NULL, gets the guest address of the byte that the
 * code is about.  It is written with each code except VMMEM_EOUTOFRANGE,
 * VMMEM_EWRAPS and VMMEM_EARGUMENT for an argument.  So nobody needs to ask a
 * second time, which on a translated map (vmmem/iommu.h) would be another
 * access, with another answer.  One range is a chain too: a caller that must
 * know the address of a failure uses these functions in place of those of
 * vmmem/access.h.
 *
 * Returns 0 if all 'len' bytes were moved, or
 *   VMMEM_EOUTOFRANGE  the chain has less than 'skip' + 'len' bytes; also if
 *                      the bytes that it has were moved
 *   VMMEM_EARGUMENT    'collection' is NULL; 'ranges' is NULL and 'count' is
 *                      not 0; 'buf' is NULL and 'len' is not 0; 'flags' has an
 *                      unknown bit
 *   what the functions of vmmem/access.h return
 *
 * What vmmem/access.h says of single accesses, marks, threads and signal
 * handlers holds for each range.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_CHAIN_H
#define VMMEM_CHAIN_H

#include <vmmem/base.h>
#include <vmmem/collection.h>

VMMEM_BEGIN_DECLS

/* Move bytes up to the first that cannot be moved. */
#define VMMEM_CHAIN_SOME 1U

/* vmmem_collection_ranges_read() copies the bytes of the chain to 'buf'. */
VMMEM_NODISCARD int
vmmem_collection_ranges_read(const struct vmmem_collection *collection,
			     const struct vmmem_range *ranges, size_t count,
			     uint64_t skip, void *buf, size_t len,
			     uint32_t flags, size_t *ret_done,
			     uint64_t *ret_bad);

/* vmmem_collection_ranges_write() copies 'buf' to the bytes of the chain. */
VMMEM_NODISCARD int
vmmem_collection_ranges_write(const struct vmmem_collection *collection,
			      const struct vmmem_range *ranges, size_t count,
			      uint64_t skip, const void *buf, size_t len,
			      uint32_t flags, size_t *ret_done,
			      uint64_t *ret_bad);

/*
 * vmmem_collection_ranges_fill() sets each byte of the chain to 'value'.  If
 * 'len' is VMMEM_IO_REST (0xffffffffffffffff, of vmmem/io.h) these are all
 * bytes behind 'skip'; VMMEM_EWRAPS if they are 2^64 or more.
 */
VMMEM_NODISCARD int
vmmem_collection_ranges_fill(const struct vmmem_collection *collection,
			     const struct vmmem_range *ranges, size_t count,
			     uint64_t skip, uint64_t len, uint8_t value,
			     uint32_t flags, uint64_t *ret_done,
			     uint64_t *ret_bad);

VMMEM_END_DECLS

#endif
