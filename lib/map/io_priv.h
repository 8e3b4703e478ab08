/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Transfers between a descriptor and guest memory: the inside. */
#ifndef IO_PRIV_H
#define IO_PRIV_H

#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <vmmem/collection.h>
#include <vmmem/slice.h>

#include "iommu/srcu.h"

struct vmmem_iotlb;

/* The most bytes of one system call; see io_transfer.c. */
#define VMMEM_IO_CALL_MAX (UINT64_C(1) << 30)

/* The bytes without a host address that go through the stack at once. */
#define VMMEM_IO_BOUNCE 4096

/* The kernel takes no more pieces in one call: UIO_MAXIOV. */
#define VMMEM_IO_PIECES 1024

/* Pieces of memory mapped on demand that a batch holds at once. */
#define VMMEM_IO_HELD 16

struct vmmem_io {
	int fd;
	bool to_fd; /* from the guest to the descriptor */
	bool some;  /* ends with the first transfer that is short */
	bool message;
	bool sparse;
	bool at;    /* at 'offset', else where the file stands */
	uint64_t offset;
};

/*
 * vmmem_io_clip() shortens '*len', which is not 0, to the bytes that a file can
 * have from io->offset on.  Returns 0, or VMMEM_EFILERANGE if these are fewer.
 */
int vmmem_io_clip(const struct vmmem_io *io, uint64_t *len);

/*
 * vmmem_io_call_flags() makes a system call that moves bytes, and returns the
 * count or -errno; errno stays as it was.
 *
 * It is syscall() because read() and its kin can be cancelled, also after the
 * kernel has written: then no code would mark those bytes, nor release acquired
 * memory.  And ThreadSanitizer takes their writes for accesses of the thread,
 * which race with the rightful accesses of others to guest memory.
 */
static inline int64_t
vmmem_io_call_flags(struct vmmem_io *io, long number, const void *what,
		    size_t count, int64_t at, long flags)
{
	const int error = errno;
	long moved;

	/* The one before the last is the high half of 'at', not used. */
	moved = syscall(number, (long)io->fd, what, count, (long)at, 0L,
			flags);
	if (moved < 0) {
		moved = -errno;
		errno = error;
		return moved;
	}
	io->offset += (uint64_t)moved;
	return moved;
}

static inline int64_t
vmmem_io_call(struct vmmem_io *io, long number, const void *what, size_t count,
	      int64_t at)
{
	return vmmem_io_call_flags(io, number, what, count, at, 0);
}

/*
 * vmmem_io_once() makes one system call for one piece, by the calls that cost
 * the system least.  Part of its caller, because returning from a function is
 * slow after a system call.
 */
static inline int64_t
vmmem_io_once(struct vmmem_io *io, const void *host, size_t len)
{
	if (io->at)
		return vmmem_io_call(io,
				     io->to_fd ? SYS_pwrite64 : SYS_pread64,
				     host, len, (int64_t)io->offset);
	return vmmem_io_call(io, io->to_fd ? SYS_write : SYS_read, host, len,
			     0);
}

/* vmmem_io_pieces() makes one system call for several pieces, or one. */
int64_t vmmem_io_pieces(struct vmmem_io *io, const struct iovec *iov,
			size_t count);

/*
 * vmmem_io_code() is the library's code for -errno of a call that failed: if
 * memory is gone, that of an access that finds it gone.
 */
int vmmem_io_code(int64_t moved);

/*
 * vmmem_io_flat() continues with a slice, which permits the access, after a
 * first call for its first 'wanted' bytes that returned 'moved'.  Returns 0 if
 * all of the slice was moved, or the code that ended it before; stores in any
 * case how many bytes were moved.
 */
int vmmem_io_flat(struct vmmem_io *io, const struct vmmem_slice *slice,
		  uint64_t wanted, int64_t moved, uint64_t *ret_done);

/* The rest of the ranges. */
struct vmmem_io_cursor {
	const struct vmmem_collection *collection;
	const struct vmmem_range *range;
	uint64_t at;   /* what of 'range' is behind */
	uint64_t left; /* in all */
};

/* Where a piece is logged. */
struct vmmem_io_log {
	const uint32_t *logging;
	uint64_t offset;
};

/* The pieces of one call, or of several if they are short. */
struct vmmem_io_batch {
	size_t first; /* that is not done */
	size_t count;
	uint64_t len;
	uint64_t done;
	int rc; /* why there is no piece after these; 0: there is */

	/*
	 * Bytes without a host address: always the last piece, so that no byte
	 * has been read behind bytes that a callback refuses.
	 */
	uint64_t bounce_gpa;
	uint64_t bounce_len;

	/*
	 * In a translated collection: the section that is open while its pieces
	 * are used, so that a thread that synchronizes waits for the system
	 * call.
	 */
	struct vmmem_iotlb *iotlb;
	struct vmmem_section section;

	size_t held_count;
	struct vmmem_slice held[VMMEM_IO_HELD];
	struct vmmem_io_log logs[VMMEM_IO_PIECES];
	struct iovec iov[VMMEM_IO_PIECES];
	alignas(VMMEM_IO_BOUNCE) unsigned char bounce[VMMEM_IO_BOUNCE];
};

/*
 * vmmem_io_fill() takes the pieces from the cursor on, as many as one call can
 * have.
 */
void vmmem_io_fill(struct vmmem_io_batch *batch, const struct vmmem_io *io,
		   struct vmmem_io_cursor *cursor);

/* vmmem_io_is_logged() is whether a piece that is not done is to be marked. */
bool vmmem_io_is_logged(const struct vmmem_io_batch *batch);

/* vmmem_io_mark() marks the first 'len' bytes of those that are not done. */
void vmmem_io_mark(const struct vmmem_io_batch *batch, uint64_t len);

/* vmmem_io_advance() goes on by 'len' bytes. */
void vmmem_io_advance(struct vmmem_io_batch *batch, uint64_t len);

/*
 * vmmem_io_settle() ends the use of the pieces: it passes the bytes for memory
 * without a host address to the callback, and releases memory that was mapped
 * on demand.  Returns 0, or what the callback returned.
 */
int vmmem_io_settle(struct vmmem_io_batch *batch, const struct vmmem_io *io,
		    const struct vmmem_collection *collection);

/*
 * vmmem_io_ranges() moves 'len' bytes, more than 0, of ranges that are mapped
 * and permit it: those behind the first 'at' of the first range.  Returns as
 * vmmem_io_flat() does.
 */
int vmmem_io_ranges(struct vmmem_io *io,
		    const struct vmmem_collection *collection,
		    const struct vmmem_range *ranges, uint64_t at,
		    uint64_t len, uint64_t *ret_done);

/*
 * vmmem_io_message() moves one message by one system call, to or from 'len'
 * bytes of ranges that permit it, and vmmem_io_message_flat() to or from a
 * slice.  They return as io.h says of VMMEM_IO_MESSAGE, and always store how
 * many bytes were moved.
 */
int vmmem_io_message(struct vmmem_io *io,
		     const struct vmmem_collection *collection,
		     const struct vmmem_range *ranges, uint64_t at,
		     uint64_t len, uint64_t *ret_done);
int vmmem_io_message_flat(struct vmmem_io *io, const struct vmmem_slice *slice,
			  uint64_t *ret_done);

/*
 * vmmem_io_sparse() is vmmem_io_ranges() that leaves out memory without pages,
 * as io.h says of VMMEM_IO_SPARSE.
 */
int vmmem_io_sparse(struct vmmem_io *io,
		    const struct vmmem_collection *collection,
		    const struct vmmem_range *ranges, uint64_t at,
		    uint64_t len, uint64_t *ret_done);

/* Memory of the library's own, in whole pages, for as long as a call takes. */
struct vmmem_io_buffer {
	unsigned char *bytes;
	size_t len;
};

/*
 * vmmem_io_buffer_get() maps at least 'len' bytes; 'populate' if all of them
 * will be written.  Unlike an allocator it may be called in a signal handler.
 * Returns 0 or -errno; errno stays as it was.
 */
int vmmem_io_buffer_get(struct vmmem_io_buffer *buffer, size_t len,
			bool populate);
void vmmem_io_buffer_put(struct vmmem_io_buffer *buffer);

/*
 * vmmem_io_may_be_direct() tells whether bytes bypass the page cache; true also
 * if that is not known.
 */
bool vmmem_io_may_be_direct(const struct vmmem_io *io);

/*
 * vmmem_io_aligned() moves the first bytes of pieces through an aligned buffer,
 * after a call that asked for '*wanted' of them returned -EINVAL: a direct
 * descriptor may refuse how they lie.  Returns as the call; '*wanted' becomes
 * how many were asked for.
 */
int64_t vmmem_io_aligned(struct vmmem_io *io, const struct iovec *iov,
			 size_t count, uint64_t *wanted);

/*
 * vmmem_io_copy() copies 'len' bytes from the guest to a buffer, or to the
 * guest, which is marked, and goes on to behind them.  Returns as an access
 * does; in any case how many bytes were copied.
 */
int vmmem_io_copy(struct vmmem_io_cursor *cursor, void *bytes, uint64_t len,
		  bool from_guest, uint64_t *ret_done);

#endif
