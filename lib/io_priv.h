/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Moving bytes between a descriptor and guest memory. */
#ifndef IO_PRIV_H
#define IO_PRIV_H

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vmmem/collection.h>
#include <vmmem/slice.h>

/* The most bytes of one system call; see io_transfer.c. */
#define VMMEM_IO_CALL_MAX (UINT64_C(1) << 30)

/* The bytes without a host address that go through the stack at once. */
#define VMMEM_IO_BOUNCE 4096

struct vmmem_io {
	int fd;
	bool to_fd; /* from the guest to the descriptor */
	bool some;  /* ends with the first transfer that is short */
	bool at;    /* at 'offset', else where the file stands */
	uint64_t offset;
};

/*
 * vmmem_io_clip() shortens '*len', which is not 0, to what the file can have
 * from io->offset on.  Returns 0, or VMMEM_EFILERANGE if that is less.
 */
int vmmem_io_clip(const struct vmmem_io *io, uint64_t *len);

/*
 * vmmem_io_call() makes a system call that moves bytes, and returns the count
 * or -errno; errno stays as it was.
 *
 * It is syscall() because read() and its kin can be cancelled, also after the
 * kernel has written: nobody would mark that, nor release what was acquired.
 * And ThreadSanitizer takes what they write for accesses of the thread, which
 * race with those of everybody who, rightly, uses guest memory meanwhile.
 */
static inline int64_t
vmmem_io_call(struct vmmem_io *io, long number, const void *what, size_t count,
	      int64_t at)
{
	const int error = errno;
	long moved;

	/* The last two are the high half of 'at', not used, and the flags. */
	moved = syscall(number, (long)io->fd, what, count, (long)at, 0L, 0L);
	if (moved < 0) {
		moved = -errno;
		errno = error;
		return moved;
	}
	io->offset += (uint64_t)moved;
	return moved;
}

/*
 * vmmem_io_once() makes one system call for one piece, by the calls that cost
 * the system least.  Part of its caller, because what returns after a system
 * call is slow.
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

/*
 * vmmem_io_flat() goes on with a slice, which permits it, after a first call
 * for its first 'wanted' bytes that returned 'moved'.  Returns 0 if all of it
 * was moved, or what ended it before; in any case how far it came.
 */
int vmmem_io_flat(struct vmmem_io *io, const struct vmmem_slice *slice,
		  uint64_t wanted, int64_t moved, uint64_t *ret_done);

/*
 * vmmem_io_ranges() moves 'len' bytes, more than 0, of ranges that are mapped
 * and permit it: those behind the first 'at' of the first range.  Returns as
 * vmmem_io_flat() does.
 */
int vmmem_io_ranges(struct vmmem_io *io,
		    const struct vmmem_collection *collection,
		    const struct vmmem_range *ranges, uint64_t at,
		    uint64_t len, uint64_t *ret_done);

#endif
