/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Transfers: the system calls, and how each result is handled. */
#include <vmmem/error.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <time.h>

#include "base/api.h"
#include "dirty/logging.h"
#include "map/io_priv.h"
#include "region/slice_priv.h"

/*
 * The kernel moves at most INT_MAX bytes, less a page, in one call and is then
 * short without a reason.  This is less, whatever the page size, so that each
 * call that is short is short for a reason.
 */
_Static_assert(VMMEM_IO_CALL_MAX <= INT_MAX - (1 << 20), "one call");

int
vmmem_io_clip(const struct vmmem_io *io, uint64_t *len)
{
	uint64_t room = 0;

	if (!io->at)
		return 0;
	if (io->offset <= INT64_MAX)
		room = INT64_MAX - io->offset;
	if (*len <= room)
		return 0;
	*len = room;
	return VMMEM_EFILERANGE;
}

int64_t
vmmem_io_pieces(struct vmmem_io *io, const struct iovec *iov, size_t count)
{
	int64_t moved;

	if (count == 1)
		return vmmem_io_once(io, iov->iov_base, iov->iov_len);
	moved = vmmem_io_call(io, io->to_fd ? SYS_pwritev2 : SYS_preadv2, iov,
			      count, io->at ? (int64_t)io->offset : -1);
	if (moved != -ENOSYS)
		return moved;
	/* An older system, or an emulator: these two calls are as good. */
	if (io->at)
		return vmmem_io_call(io, io->to_fd ? SYS_pwritev : SYS_preadv,
				     iov, count, (int64_t)io->offset);
	return vmmem_io_call(io, io->to_fd ? SYS_writev : SYS_readv, iov,
			     count, 0);
}

/* ready() tells whether the next call would not have to wait. */
static int
ready(const struct vmmem_io *io)
{
	struct pollfd one = {
		.fd = io->fd,
		.events = io->to_fd ? POLLOUT : POLLIN,
	};
	struct timespec now = { 0, 0 };
	const int error = errno;
	long count;
	int rc;

	/* With all six that a call may have, as in vmmem_io_call(). */
	do
		count = syscall(SYS_ppoll, &one, 1UL, &now, NULL, 0UL, 0L);
	while (count < 0 && errno == EINTR);
	rc = count < 0 ? -errno : count > 0 ? 0 : VMMEM_EPARTIAL;
	errno = error;
	return rc;
}

int
vmmem_io_code(int64_t moved)
{
	return moved == -EFAULT ? VMMEM_EGONE : (int)moved;
}

/*
 * after_call() tells how to go on after a call that was asked for 'wanted'
 * bytes returned 'moved'; 'more' bytes are to follow these.  Returns 0 to go
 * on.
 */
static int
after_call(const struct vmmem_io *io, int64_t moved, uint64_t wanted, bool more)
{
	if (moved == -EINTR)
		return 0;
	if (moved < 0)
		return vmmem_io_code(moved);
	/* A descriptor that takes no bytes may take none for ever. */
	if (moved == 0)
		return io->to_fd ? VMMEM_EPARTIAL : VMMEM_EEOF;
	if (!io->some)
		return 0;
	/* Some bytes are there: from now on it must not wait. */
	if ((uint64_t)moved < wanted)
		return VMMEM_EPARTIAL;
	return more ? ready(io) : 0;
}

/*
 * written_by() is how many bytes a call may have written.  A call that failed:
 * all of them, also if it is repeated.  A call that was short: those it
 * counted.  With O_DIRECT a call writes whole blocks, with bytes of the disk
 * past the file's end, and counts no further than the file's end.
 */
static uint64_t
written_by(const struct vmmem_io *io, int64_t moved, uint64_t wanted)
{
	if (moved < 0 ||
	    ((uint64_t)moved < wanted && vmmem_io_may_be_direct(io)))
		return wanted;
	return (uint64_t)moved;
}

VMMEM_COLD int
vmmem_io_flat(struct vmmem_io *io, const struct vmmem_slice *slice,
	      uint64_t wanted, int64_t moved, uint64_t *ret_done)
{
	uint64_t done = 0;
	int rc;

	for (;;) {
		if (!io->to_fd && vmmem_logging_wants(slice->logging))
			vmmem_slice_mark(slice, done,
					 written_by(io, moved, wanted));
		if (moved == -EINVAL) {
			const struct iovec iov = {
				vmmem_slice_host(slice, done), wanted,
			};

			moved = vmmem_io_aligned(io, &iov, 1, &wanted);
			if (!io->to_fd && moved > 0)
				vmmem_slice_mark(slice, done,
						 (uint64_t)moved);
		}
		if (moved > 0)
			done += (uint64_t)moved;
		rc = after_call(io, moved, wanted, done < slice->len);
		if (rc != 0 || done == slice->len)
			break;
		wanted = slice->len - done;
		if (wanted > VMMEM_IO_CALL_MAX)
			wanted = VMMEM_IO_CALL_MAX;
		moved = vmmem_io_once(io, vmmem_slice_host(slice, done),
				      wanted);
	}
	*ret_done = done;
	return rc;
}

/* run() moves the pieces; 'more' are to follow. */
static int
run(struct vmmem_io_batch *batch, struct vmmem_io *io, bool more)
{
	uint64_t wanted;
	int64_t moved;
	int rc = 0;

	while (rc == 0 && batch->done < batch->len) {
		wanted = batch->len - batch->done;
		moved = vmmem_io_pieces(io, &batch->iov[batch->first],
					batch->count - batch->first);
		if (!io->to_fd && vmmem_io_is_logged(batch))
			vmmem_io_mark(batch, written_by(io, moved, wanted));
		if (moved == -EINVAL) {
			moved = vmmem_io_aligned(io, &batch->iov[batch->first],
						 batch->count - batch->first,
						 &wanted);
			if (!io->to_fd && moved > 0)
				vmmem_io_mark(batch, (uint64_t)moved);
		}
		if (moved > 0)
			vmmem_io_advance(batch, (uint64_t)moved);
		rc = after_call(io, moved, wanted,
				batch->done < batch->len || more);
	}
	return rc;
}

/* Its batch, of some 40 KiB, is on the stack: not part of any caller. */
__attribute__((__noinline__)) int
vmmem_io_ranges(struct vmmem_io *io, const struct vmmem_collection *collection,
		const struct vmmem_range *ranges, uint64_t at, uint64_t len,
		uint64_t *ret_done)
{
	struct vmmem_io_cursor cursor = { collection, ranges, at, len };
	struct vmmem_io_batch batch;
	uint64_t done = 0;
	int rc = 0, refused;

	while (rc == 0 && cursor.left != 0) {
		vmmem_io_fill(&batch, io, &cursor);
		rc = run(&batch, io, cursor.left != 0 && batch.rc == 0);
		refused = vmmem_io_settle(&batch, io, collection);
		done += batch.done;
		if (refused != 0)
			rc = refused;
		if (rc == 0)
			rc = batch.rc;
	}
	*ret_done = done;
	return rc;
}
