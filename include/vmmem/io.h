/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/io.h - between descriptors and guest memory, without a copy.
 *
 * read_..._from_fd() reads from a descriptor and writes to the guest;
 * write_..._to_fd() reads from the guest and writes to the descriptor.  With
 * _at the bytes are at 'file_offset' of a file, whose position stays as it is;
 * without, they are where the file or stream stands.  The guest's side is a
 * range, a chain of ranges one after the other (v), or a part of a slice.
 *
 * The plain forms move all 'len' bytes.  They check the guest's range, and then
 * that of the file, before the first byte is moved; then they go on after
 * transfers that were short until all is moved, the descriptor ends, or
 * something fails.  A descriptor that blocks is waited for.
 *
 * The _some forms are for those who take what comes: they move bytes up to the
 * first that the guest's memory, the slice or the file cannot have, and end
 * with the first transfer that is short.  They wait for the first bytes, as
 * read(2) and write(2) do, but for no more once some were moved.
 *
 * Both return 0 only if all bytes were moved.  'ret_done', which may be NULL,
 * gets the number of bytes that were, with 0 and with any code, but where an
 * argument is NULL that must not be.  So a transfer that has ended can be
 * resumed at the byte *ret_done.
 *
 * Codes that all of them return:
 *   VMMEM_EEOF        the end of the file or stream (when reading)
 *   -EAGAIN           a descriptor that does not block has no more, or no room
 *   VMMEM_EPARTIAL    a _some form moved some bytes and would have to wait for
 *                     more; or a write moved none and gave no reason
 *   VMMEM_EFILERANGE  the range of the file passes 2^63 - 1, the last offset
 *                     that a file can have
 *   -EFAULT           the memory of a region is gone: its file was cut short
 *   any other -errno  from read(2), write(2), their kin, or ppoll(2); never
 *                     -EINTR, as the call is repeated
 *   VMMEM_EINVAL      the collection or slice is NULL
 * and of the guest's memory:
 *   VMMEM_EBADADDR, VMMEM_EPERM, VMMEM_EOVERFLOW
 *                     as vmmem/access.h says; for the whole of a chain,
 *                     VMMEM_EOVERFLOW also if its length passes 2^64
 *   VMMEM_EOUTOFRANGE, VMMEM_EPERM
 *                     of a slice, as vmmem/slice.h says
 *   VMMEM_ECALLBACK, VMMEM_ECONGRUENCE, VMMEM_EINVAL, and what a custom
 *   region's callback returned, as vmmem/access.h says
 *
 * Zero bytes succeed: neither the descriptor nor the address is looked at.
 *
 * Regions with a host address are read and written by the kernel itself, up to
 * 1024 pieces and 1 GiB with each system call; custom regions that map on
 * demand are acquired for its time.  Those that only have callbacks go through
 * a buffer of 4 KiB on the stack, and are the end of a system call.  If their
 * write() fails, up to that many bytes have been taken from a stream and are
 * lost.
 *
 * Through an iommu (vmmem/iommu.h) each system call stands in a section of the
 * iotlb: who synchronizes waits for it.  Translations are asked for before.
 *
 * What the kernel has written is marked in the region's bitmap while logging
 * is on, after the transfer and before the return: exactly the bytes that were
 * moved; after a call that failed, or was short with O_DIRECT, all that it was
 * given, as it may have written any of them.  The kernel moves bytes in no
 * particular order and in pieces of its own: what vmmem/access.h says of
 * tearing does not hold.
 *
 * Writing to a pipe or socket that nobody reads raises SIGPIPE, as write(2)
 * does, and a file opened with O_APPEND is appended to whatever the offset, as
 * pwrite(2) does.  No function is a cancellation point: a thread that is
 * cancelled in one ends later.
 *
 * Any thread that holds a reference to the collection or to what the slice came
 * from, also in a signal handler: no lock is taken, nothing is allocated, and
 * errno is left alone.  A range within one region, and a slice, take little
 * stack, others some 44 KiB.
 *
 * Since: 0.1, all of it.
 */
#ifndef VMMEM_IO_H
#define VMMEM_IO_H

#include <vmmem/base.h>
#include <vmmem/collection.h>
#include <vmmem/slice.h>

VMMEM_BEGIN_DECLS

/*
 * vmmem_collection_read_from_fd() reads 'len' bytes to the guest's
 * [gpa, gpa + len), all of them.
 */
VMMEM_NODISCARD int
vmmem_collection_read_from_fd(const struct vmmem_collection *collection,
			      uint64_t gpa, uint64_t len, int fd,
			      uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_collection_read_from_fd_at(const struct vmmem_collection *collection,
				 uint64_t gpa, uint64_t len, int fd,
				 uint64_t file_offset, uint64_t *ret_done);

/* vmmem_collection_read_some_from_fd() reads what comes, up to 'len' bytes. */
VMMEM_NODISCARD int
vmmem_collection_read_some_from_fd(const struct vmmem_collection *collection,
				   uint64_t gpa, uint64_t len, int fd,
				   uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_collection_read_some_from_fd_at(
	const struct vmmem_collection *collection, uint64_t gpa, uint64_t len,
	int fd, uint64_t file_offset, uint64_t *ret_done);

/*
 * vmmem_collection_write_to_fd() writes the guest's [gpa, gpa + len), all of
 * it.
 */
VMMEM_NODISCARD int
vmmem_collection_write_to_fd(const struct vmmem_collection *collection,
			     uint64_t gpa, uint64_t len, int fd,
			     uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_collection_write_to_fd_at(const struct vmmem_collection *collection,
				uint64_t gpa, uint64_t len, int fd,
				uint64_t file_offset, uint64_t *ret_done);

/* vmmem_collection_write_some_to_fd() writes what goes, up to 'len' bytes. */
VMMEM_NODISCARD int
vmmem_collection_write_some_to_fd(const struct vmmem_collection *collection,
				  uint64_t gpa, uint64_t len, int fd,
				  uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_collection_write_some_to_fd_at(const struct vmmem_collection *collection,
				     uint64_t gpa, uint64_t len, int fd,
				     uint64_t file_offset, uint64_t *ret_done);

/*
 * vmmem_collection_readv_from_fd() reads to a chain of 'count' ranges, filling
 * each before the next; for example the buffers of a virtqueue's descriptors.
 * Ranges of no bytes are skipped.  VMMEM_EINVAL also if 'ranges' is NULL and
 * 'count' is not 0.
 */
VMMEM_NODISCARD int
vmmem_collection_readv_from_fd(const struct vmmem_collection *collection,
			       const struct vmmem_range *ranges, size_t count,
			       int fd, uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_collection_readv_from_fd_at(const struct vmmem_collection *collection,
				  const struct vmmem_range *ranges,
				  size_t count, int fd, uint64_t file_offset,
				  uint64_t *ret_done);

/* vmmem_collection_readv_some_from_fd() reads what comes. */
VMMEM_NODISCARD int
vmmem_collection_readv_some_from_fd(const struct vmmem_collection *collection,
				    const struct vmmem_range *ranges,
				    size_t count, int fd, uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_collection_readv_some_from_fd_at(
	const struct vmmem_collection *collection,
	const struct vmmem_range *ranges, size_t count, int fd,
	uint64_t file_offset, uint64_t *ret_done);

/* vmmem_collection_writev_to_fd() writes a chain of 'count' ranges. */
VMMEM_NODISCARD int
vmmem_collection_writev_to_fd(const struct vmmem_collection *collection,
			      const struct vmmem_range *ranges, size_t count,
			      int fd, uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_collection_writev_to_fd_at(const struct vmmem_collection *collection,
				 const struct vmmem_range *ranges, size_t count,
				 int fd, uint64_t file_offset,
				 uint64_t *ret_done);

/* vmmem_collection_writev_some_to_fd() writes what goes. */
VMMEM_NODISCARD int
vmmem_collection_writev_some_to_fd(const struct vmmem_collection *collection,
				   const struct vmmem_range *ranges,
				   size_t count, int fd, uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_collection_writev_some_to_fd_at(
	const struct vmmem_collection *collection,
	const struct vmmem_range *ranges, size_t count, int fd,
	uint64_t file_offset, uint64_t *ret_done);

/*
 * vmmem_slice_read_from_fd() reads 'len' bytes to [offset, offset + len) of a
 * slice, all of them.
 */
VMMEM_NODISCARD int
vmmem_slice_read_from_fd(const struct vmmem_slice *slice, uint64_t offset,
			 uint64_t len, int fd, uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_slice_read_from_fd_at(const struct vmmem_slice *slice, uint64_t offset,
			    uint64_t len, int fd, uint64_t file_offset,
			    uint64_t *ret_done);

/*
 * vmmem_slice_read_some_from_fd() reads what comes, up to 'len' bytes or the
 * end of the slice.
 */
VMMEM_NODISCARD int
vmmem_slice_read_some_from_fd(const struct vmmem_slice *slice, uint64_t offset,
			      uint64_t len, int fd, uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_slice_read_some_from_fd_at(const struct vmmem_slice *slice,
				 uint64_t offset, uint64_t len, int fd,
				 uint64_t file_offset, uint64_t *ret_done);

/* vmmem_slice_write_to_fd() writes [offset, offset + len) of a slice. */
VMMEM_NODISCARD int
vmmem_slice_write_to_fd(const struct vmmem_slice *slice, uint64_t offset,
			uint64_t len, int fd, uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_slice_write_to_fd_at(const struct vmmem_slice *slice, uint64_t offset,
			   uint64_t len, int fd, uint64_t file_offset,
			   uint64_t *ret_done);

/* vmmem_slice_write_some_to_fd() writes what goes. */
VMMEM_NODISCARD int
vmmem_slice_write_some_to_fd(const struct vmmem_slice *slice, uint64_t offset,
			     uint64_t len, int fd, uint64_t *ret_done);
VMMEM_NODISCARD int
vmmem_slice_write_some_to_fd_at(const struct vmmem_slice *slice,
				uint64_t offset, uint64_t len, int fd,
				uint64_t file_offset, uint64_t *ret_done);

VMMEM_END_DECLS

#endif
