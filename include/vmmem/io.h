/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/io.h - between descriptors and guest memory, without a copy.
 *
 * A _from_fd function reads from a descriptor and writes to the guest; a _to_fd
 * function reads from the guest and writes to the descriptor.  The guest's side
 * is a range, a chain of ranges one after the other, or a part of a slice.  The
 * bytes are at 'file_offset' of a file, whose position stays as it is; or, with
 * VMMEM_IO_POSITION, where the file or stream stands.  'flags' is 0 or a set of
 * VMMEM_IO_....
 *
 * Without VMMEM_IO_SOME a function moves all 'len' bytes.  It checks the
 * guest's range, and then that of the file, before the first byte is moved;
 * then it goes on after transfers that were short until all is moved, the
 * descriptor ends, or something fails.  A descriptor that blocks is waited for.
 *
 * With VMMEM_IO_SOME it moves bytes up to the first that does not lie in the
 * guest's memory, the slice or the range of a file, and ends with the first
 * transfer that is short.  It waits for the first bytes, as read(2) and
 * write(2) do, and not for further bytes once some were moved.
 *
 * Neither form is for descriptors that keep messages apart: one message may
 * become several, or lose its end.  For those there is VMMEM_IO_MESSAGE.
 *
 * In both cases it returns 0 only if all bytes were moved.  'ret_done', which
 * may be NULL, gets the number of bytes that were, with 0 and with any code
 * except VMMEM_EARGUMENT for one of its arguments.  So a transfer that has
 * ended can be resumed at the byte *ret_done: add it to the address, the offset
 * or 'skip', and to 'file_offset', and take it from 'len'.
 *
 * Codes that all of them return:
 *   VMMEM_EEOF        the end of the file or stream (when reading)
 *   -EAGAIN           a descriptor that does not block has no more, or no room
 *   VMMEM_EPARTIAL    with VMMEM_IO_SOME: some bytes were moved, and the call
 *                     would have to wait for more; or a write moved none and
 *                     gave no reason
 *   VMMEM_EFILERANGE  the range of the file passes 2^63 - 1, the last offset
 *                     that a file can have
 *   VMMEM_EGONE       the memory of a region is gone, for example because its
 *                     file was cut short.  The kernel finds it out, also
 *                     without vmmem_fault_enable(), except where the library
 *                     copies bytes through a buffer of its own: such a copy
 *                     is an access as vmmem/access.h says
 *   any other -errno  from read(2), write(2), their kin, or ppoll(2); never
 *                     -EINTR, as the call is repeated
 *   VMMEM_EARGUMENT   the collection or slice is NULL, or 'flags' has an
 *                     unknown bit
 * and of the guest's memory:
 *   VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_EPRIVATE, VMMEM_EWRAPS
 *                     as vmmem/access.h says
 *   VMMEM_EOUTOFRANGE, VMMEM_EDENIED, VMMEM_EPRIVATE
 *                     of a slice, as vmmem/slice.h says
 *   VMMEM_ECALLBACK, VMMEM_ECONGRUENCE, VMMEM_EARGUMENT, and what a custom
 *   region's callback returned, as vmmem/access.h says
 *
 * Zero bytes succeed: neither the descriptor nor the address is looked at.
 *
 * The kernel itself reads and writes regions that have a host address, up to
 * 1024 pieces and 1 GiB with each system call; custom regions that map on
 * demand are acquired for its time.  A region that has only callbacks is copied
 * through a buffer of 4 KiB on the stack, and ends the system call.  If its
 * write() fails, up to that many bytes have been taken from a stream and are
 * lost.
 *
 * A file opened with O_DIRECT may refuse bytes for how they lie in memory, with
 * -EINVAL.  They go through a buffer then, which the library maps (mmap(2)), up
 * to 1 MiB at once.  So reading takes any address, length and offset.  Writing
 * takes any address, while length and offset must be whole blocks of the disk,
 * or it is -EINVAL.
 *
 * Through an iommu (vmmem/iommu.h) each system call stands in a section of the
 * iotlb: a thread that synchronizes waits for it.  Translations are asked for
 * before.
 *
 * Bytes that the kernel has written are marked in the region's bitmap while
 * logging is on, after the transfer and before the return: exactly the bytes
 * that were moved.  After a system call that failed, or was short with
 * O_DIRECT, all bytes that it was given are marked, as it may have written any
 * of them.  The kernel moves bytes in no particular order and in pieces of its
 * own: what vmmem/access.h says of tearing does not hold.
 *
 * Writing to a pipe or socket that nobody reads raises SIGPIPE, and writing to
 * a file beyond RLIMIT_FSIZE raises SIGXFSZ, as write(2) does: unless they are
 * ignored or handled, they end the process; see VMMEM_IO_NO_SIGNAL.  A file
 * opened with O_APPEND is appended to whatever the offset, as pwrite(2) does.
 * No function is a cancellation point: a thread that is cancelled in one ends
 * later.
 *
 * Any thread that holds a reference to the collection or to what the slice came
 * from, also in a signal handler: no lock is taken, no allocator is called, and
 * errno is left alone.  A range within one region, and a slice, take little
 * stack, others some 44 KiB.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_IO_H
#define VMMEM_IO_H

#include <vmmem/base.h>
#include <vmmem/collection.h>
#include <vmmem/slice.h>

VMMEM_BEGIN_DECLS

/* Move bytes up to the first that cannot be moved, and do not wait for more. */
#define VMMEM_IO_SOME 1U

/*
 * One message, one system call: for descriptors that keep messages apart, such
 * as tap devices and sockets of datagrams.  Not together with VMMEM_IO_SOME.
 *
 * A _to_fd function writes all bytes as one message, or none.  A _from_fd
 * function reads one message; it returns 0 if the message was no longer than
 * 'len', and 'ret_done' gets its length.  A message that one system call cannot
 * move to or from its place in memory is copied through a buffer that the
 * library maps (mmap(2)): one of more than 1024 pieces, of regions that have
 * only callbacks, of more than 16 pieces that are mapped on demand, of
 * translations that an iotlb has no room for, or of several pieces for a device
 * that would make each of them a message.
 *
 * More codes:
 *   VMMEM_ENOROOM   the message was longer than 'len'.  'ret_done' is 'len';
 *                   the rest of the message is lost.  A pipe does not tell.
 *   VMMEM_ETOOBIG   more than 1 GiB to write, or more than 16 MiB that would go
 *                   through the buffer: nothing was moved
 *   VMMEM_EEOF      no bytes came, except from a socket without a connection:
 *                   there it is a message of no bytes, and 0
 *   VMMEM_EPARTIAL  the descriptor took only a part of the message
 *   -errno          also from fstat(2), getsockopt(2) or mmap(2)
 *
 * If a part of the memory cannot be written after a message was read - a
 * callback's write() failed, a translation was removed - the bytes before it
 * are counted and the rest of the message is lost.
 */
#define VMMEM_IO_MESSAGE 2U

/*
 * Raise neither SIGPIPE, where nobody reads a pipe or socket any more, nor
 * SIGXFSZ, where a file would pass RLIMIT_FSIZE: only the code, -EPIPE or
 * -EFBIG.  Both signals are blocked in the calling thread for as long as the
 * call takes; nothing else is changed.  Costs four system calls, some 0.3 us.
 */
#define VMMEM_IO_NO_SIGNAL 4U

/*
 * Leave out memory that has no page.  Not together with VMMEM_IO_MESSAGE, not
 * for slices, and not in a signal handler.
 *
 * A _to_fd function reads only memory that has a page, as
 * vmmem_collection_next_populated() of vmmem/residency.h finds it, so that it
 * makes no page.  The rest is zero: a regular file gets holes there, in place
 * of its bytes; where there are no holes - a pipe, a device, a file opened
 * with O_APPEND, a file system without them - zeroes are written.  The file
 * then has all 'len' bytes, also if they end in a hole.  With VMMEM_IO_SOME a
 * transfer to anything else than a file, or to one with O_APPEND, ends with
 * VMMEM_EPARTIAL where data ends and zeroes begin, or the other way round.
 *
 * A _from_fd function makes no memory for the holes of a regular file: memory
 * that has a page there is zeroed, and memory without a page is zero.  From any
 * other descriptor all bytes are read.
 *
 * 'ret_done' also counts the bytes left out.  Through an iommu none are.  More
 * codes: what vmmem_collection_next_populated() returned, and -errno from
 * fstat(2), fcntl(2), lseek(2) or fallocate(2).
 */
#define VMMEM_IO_SPARSE 8U

/*
 * A file offset: the position of the file or stream, which then moves on.  No
 * offset of a file is as high, and no failed call returns it: the -1 of a
 * lseek(2), and every negative errno, are VMMEM_EFILERANGE.
 */
#define VMMEM_IO_POSITION 0x8000000000000000ULL

/* A length: to the end of the chain. */
#define VMMEM_IO_REST 0xffffffffffffffffULL

/*
 * vmmem_collection_from_fd() reads 'len' bytes to the guest's
 * [gpa, gpa + len).
 */
VMMEM_NODISCARD int
vmmem_collection_from_fd(const struct vmmem_collection *collection,
			 uint64_t gpa, uint64_t len, int fd,
			 uint64_t file_offset, uint32_t flags,
			 uint64_t *ret_done);

/* vmmem_collection_to_fd() writes the guest's [gpa, gpa + len). */
VMMEM_NODISCARD int
vmmem_collection_to_fd(const struct vmmem_collection *collection, uint64_t gpa,
		       uint64_t len, int fd, uint64_t file_offset,
		       uint32_t flags, uint64_t *ret_done);

/*
 * vmmem_collection_ranges_from_fd() reads to the bytes [skip, skip + len) of a
 * chain of 'count' ranges, filling each range before the next; for example the
 * buffers of a virtqueue's descriptors.  With VMMEM_IO_REST it is all bytes
 * after 'skip'.  Ranges of no bytes, and the bytes before and behind, are not
 * looked at.
 *
 * 'ret_bad', which may be NULL, gets the guest address of the first byte that
 * was not moved, with a code that is about the guest's memory.  With a code
 * about the descriptor it may be written too, and then means nothing.
 *
 * More codes:
 *   VMMEM_EOUTOFRANGE  the chain has less than 'skip', or 'skip' + 'len', bytes
 *   VMMEM_EWRAPS       also if the rest of the chain is 2^64 bytes or more
 *   VMMEM_EARGUMENT    also if 'ranges' is NULL and 'count' is not 0
 */
VMMEM_NODISCARD int
vmmem_collection_ranges_from_fd(const struct vmmem_collection *collection,
				const struct vmmem_range *ranges, size_t count,
				uint64_t skip, uint64_t len, int fd,
				uint64_t file_offset, uint32_t flags,
				uint64_t *ret_done, uint64_t *ret_bad);

/* vmmem_collection_ranges_to_fd() writes the same bytes of a chain. */
VMMEM_NODISCARD int
vmmem_collection_ranges_to_fd(const struct vmmem_collection *collection,
			      const struct vmmem_range *ranges, size_t count,
			      uint64_t skip, uint64_t len, int fd,
			      uint64_t file_offset, uint32_t flags,
			      uint64_t *ret_done, uint64_t *ret_bad);

/*
 * vmmem_slice_from_fd() reads 'len' bytes to [offset, offset + len) of a slice.
 */
VMMEM_NODISCARD int
vmmem_slice_from_fd(const struct vmmem_slice *slice, uint64_t offset,
		    uint64_t len, int fd, uint64_t file_offset, uint32_t flags,
		    uint64_t *ret_done);

/* vmmem_slice_to_fd() writes [offset, offset + len) of a slice. */
VMMEM_NODISCARD int
vmmem_slice_to_fd(const struct vmmem_slice *slice, uint64_t offset,
		  uint64_t len, int fd, uint64_t file_offset, uint32_t flags,
		  uint64_t *ret_done);

VMMEM_END_DECLS

#endif
