/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The system calls, and what is done with what they return. */
#include <vmmem/error.h>
#include <vmmem/inline.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdalign.h>
#include <sys/uio.h>
#include <time.h>

#include "access_priv.h"
#include "api.h"
#include "collection_priv.h"
#include "io_priv.h"
#include "translate.h"

/* The kernel takes no more in one call: UIO_MAXIOV. */
#define PIECES 1024

/* Pieces of memory mapped on demand that a batch holds at once. */
#define HELD 16

/*
 * The kernel moves at most INT_MAX bytes, less a page, in one call and is then
 * short without a reason.  Calls that ask for less than that, whatever its
 * page size, keep such a transfer apart from those that are short for one.
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

/* call() is vmmem_io_once() for several pieces, or one. */
static int64_t
call(struct vmmem_io *io, const struct iovec *iov, size_t count)
{
	int64_t moved;

	if (count == 1)
		return vmmem_io_once(io, iov->iov_base, iov->iov_len);
	moved = vmmem_io_call(io, io->to_fd ? SYS_pwritev2 : SYS_preadv2, iov,
			      count, io->at ? (int64_t)io->offset : -1);
	if (moved != -ENOSYS)
		return moved;
	/* An older system, or an emulator; these two are as good. */
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

/*
 * code_of() is the library's code for what a call returned that failed: that
 * memory is gone is the same condition as where an access finds it out.
 */
static int
code_of(int64_t moved)
{
	return moved == -EFAULT ? VMMEM_EFAULT : (int)moved;
}

/*
 * judge() tells how to go on after a call that was asked for 'wanted' bytes
 * returned 'moved'; 'more' bytes are to follow these.  Returns 0 to go on.
 */
static int
judge(const struct vmmem_io *io, int64_t moved, uint64_t wanted, bool more)
{
	if (moved == -EINTR)
		return 0;
	if (moved < 0)
		return code_of(moved);
	/* A descriptor that takes no bytes may do so for ever. */
	if (moved == 0)
		return io->to_fd ? VMMEM_EPARTIAL : VMMEM_EEOF;
	if (!io->some)
		return 0;
	/* Some bytes are there: from now on it must not wait. */
	if ((uint64_t)moved < wanted)
		return VMMEM_EPARTIAL;
	return more ? ready(io) : 0;
}

/* is_direct() tells whether bytes do not come through the page cache. */
static bool
is_direct(const struct vmmem_io *io)
{
	const int error = errno;
	const int flags = fcntl(io->fd, F_GETFL);

	/* If nobody can tell, it may be. */
	errno = error;
	return flags < 0 || (flags & O_DIRECT) != 0;
}

/*
 * written_by() is how many bytes a call may have written.  One that failed: any
 * of them, also where it is repeated.  One that was short: those it counted.
 * But a direct one writes whole blocks, and what else the disk has for the
 * file, and counts no further than the file's end.
 */
static uint64_t
written_by(const struct vmmem_io *io, int64_t moved, uint64_t wanted)
{
	if (moved < 0 || ((uint64_t)moved < wanted && is_direct(io)))
		return wanted;
	return (uint64_t)moved;
}

/* is_logged() tells whether what has been written is to be marked. */
static bool
is_logged(const uint32_t *logging)
{
	/* Relaxed: who starts logging waits for what was written before. */
	return __atomic_load_n(logging, __ATOMIC_RELAXED) != 0;
}

VMMEM_COLD int
vmmem_io_flat(struct vmmem_io *io, const struct vmmem_slice *slice,
	      uint64_t wanted, int64_t moved, uint64_t *ret_done)
{
	uint64_t done = 0;
	int rc;

	for (;;) {
		if (!io->to_fd && is_logged(slice->logging))
			vmmem_slice_mark(slice, done,
					 written_by(io, moved, wanted));
		if (moved > 0)
			done += (uint64_t)moved;
		rc = judge(io, moved, wanted, done < slice->len);
		if (rc != 0 || done == slice->len)
			break;
		wanted = slice->len - done;
		if (wanted > VMMEM_IO_CALL_MAX)
			wanted = VMMEM_IO_CALL_MAX;
		moved = vmmem_io_once(io, vmmem_inline_at(slice, done),
				      wanted);
	}
	*ret_done = done;
	return rc;
}

/* What is left of the ranges. */
struct cursor {
	const struct vmmem_collection *collection;
	const struct vmmem_range *range;
	uint64_t at;   /* what of 'range' is behind */
	uint64_t left; /* in all */
};

/* Where a piece is logged. */
struct log {
	const uint32_t *logging;
	uint64_t offset;
};

/* The pieces of one call, or of several if they are short. */
struct batch {
	size_t first; /* that is not done */
	size_t count;
	uint64_t len;
	uint64_t done;
	int rc; /* why there is no piece after these; 0: there is */

	/*
	 * Bytes without a host address: the last piece if there is one, so
	 * that nothing has been read behind bytes that a callback refuses.
	 */
	uint64_t bounce_gpa;
	uint64_t bounce_len;

	/*
	 * Of a translated collection: the section that is open while its pieces
	 * are used, so that who synchronizes waits for the system call.
	 */
	struct vmmem_iotlb *iotlb;
	struct vmmem_section section;

	size_t held_count;
	struct vmmem_slice held[HELD];
	struct log logs[PIECES];
	struct iovec iov[PIECES];
	alignas(VMMEM_IO_BOUNCE) unsigned char bounce[VMMEM_IO_BOUNCE];
};

/*
 * bounce() makes the piece at 'gpa', up to 'len' bytes, one of the stack.  If
 * they are for the descriptor they are read now.
 */
static int
bounce(struct batch *batch, const struct vmmem_io *io,
       const struct cursor *cursor, uint64_t gpa, uint64_t len,
       struct vmmem_slice *ret_piece)
{
	/* To where a group of 8 ends, so that none is cut in two. */
	uint64_t piece = VMMEM_IO_BOUNCE - gpa % 8;

	if (piece > len)
		piece = len;
	if (io->to_fd) {
		batch->rc = vmmem_read_slow(cursor->collection, gpa,
					    batch->bounce, piece, &piece);
		if (piece == 0)
			return batch->rc;
	}
	batch->bounce_gpa = gpa;
	batch->bounce_len = piece;
	*ret_piece = (struct vmmem_slice){
		.host = batch->bounce,
		.len = piece,
		.logging = &vmmem_never_logging,
	};
	return 0;
}

static void
enter(struct batch *batch, const struct vmmem_collection *collection)
{
	if (batch->iotlb != NULL)
		return;
	batch->iotlb = collection->translation->iotlb;
	batch->section = vmmem_underway_enter(&batch->iotlb->underway);
}

static void
leave(struct batch *batch)
{
	if (batch->iotlb == NULL)
		return;
	vmmem_underway_leave(&batch->iotlb->underway, batch->section);
	batch->iotlb = NULL;
}

/* What piece_of() returns if the batch is to end before the piece. */
#define NOT_YET 1

/*
 * seen_piece() is piece_of() of a translated collection.  Nobody is asked for a
 * translation, and no callback is called, within the section: what needs that
 * is the first of its batch, or waits for the next one.
 */
static int
seen_piece(struct batch *batch, const struct vmmem_io *io,
	   const struct cursor *cursor, uint64_t gpa, uint64_t len,
	   uint32_t access, struct vmmem_slice *ret_piece)
{
	struct vmmem_iommu_wait wait = { 0 };
	struct vmmem_seen seen;
	int rc;

	for (;;) {
		enter(batch, cursor->collection);
		rc = vmmem_see_piece(cursor->collection, gpa, len, access,
				     ret_piece);
		/* What the log does not cover is counted where it bounces. */
		if (rc != VMMEM_EIOMMUMISS && rc != VMMEM_ENOHOST &&
		    rc != VMMEM_EUNLOGGED)
			return rc;
		if (batch->count != 0)
			return NOT_YET;
		leave(batch);
		if (rc != VMMEM_EIOMMUMISS)
			return bounce(batch, io, cursor, gpa, len, ret_piece);
		/*
		 * For the first piece alone, and not for all that is left: an
		 * iotlb may have room for no more.
		 */
		rc = vmmem_see(cursor->collection, gpa, len, access, &wait,
			       &seen);
		if (rc != 0)
			return rc;
		vmmem_unsee(&seen);
	}
}

/* piece_of() gives the next piece: of the guest's memory, or of the stack. */
static int
piece_of(struct batch *batch, const struct vmmem_io *io,
	 const struct cursor *cursor, uint64_t gpa, uint64_t len,
	 uint32_t access, struct vmmem_slice *ret_piece)
{
	int rc;

	if (cursor->collection->translation != NULL)
		return seen_piece(batch, io, cursor, gpa, len, access,
				  ret_piece);
	rc = vmmem_next_piece(cursor->collection, gpa, len, access, true,
			      ret_piece);
	if (rc == VMMEM_ENOHOST)
		rc = bounce(batch, io, cursor, gpa, len, ret_piece);
	return rc;
}

/* fill() takes the pieces from the cursor on, as many as one call can have. */
static void
fill(struct batch *batch, const struct vmmem_io *io, struct cursor *cursor)
{
	const uint32_t access = io->to_fd ? VMMEM_PROT_READ : VMMEM_PROT_WRITE;
	struct vmmem_slice piece;
	uint64_t gpa, len;
	int rc;

	batch->first = 0;
	batch->count = 0;
	batch->len = 0;
	batch->done = 0;
	batch->rc = 0;
	batch->bounce_len = 0;
	batch->held_count = 0;
	batch->iotlb = NULL;
	while (cursor->left != 0 && batch->count < PIECES &&
	       batch->held_count < HELD && batch->len < VMMEM_IO_CALL_MAX &&
	       batch->bounce_len == 0) {
		while (cursor->at == cursor->range->len) {
			cursor->range++;
			cursor->at = 0;
		}
		gpa = cursor->range->gpa + cursor->at;
		len = cursor->range->len - cursor->at;
		if (len > cursor->left)
			len = cursor->left;
		if (len > VMMEM_IO_CALL_MAX - batch->len)
			len = VMMEM_IO_CALL_MAX - batch->len;
		rc = piece_of(batch, io, cursor, gpa, len, access, &piece);
		if (rc != 0) {
			batch->rc = rc != NOT_YET ? rc : 0;
			return;
		}
		if (piece.owner != NULL)
			batch->held[batch->held_count++] = piece;
		batch->iov[batch->count].iov_base = piece.host;
		batch->iov[batch->count].iov_len = piece.len;
		batch->logs[batch->count].logging = piece.logging;
		batch->logs[batch->count].offset = piece.log_offset;
		batch->count++;
		batch->len += piece.len;
		cursor->at += piece.len;
		cursor->left -= piece.len;
	}
}

/* is_any_logged() is is_logged() for all pieces that are not done. */
static bool
is_any_logged(const struct batch *batch)
{
	size_t i;

	for (i = batch->first; i < batch->count; i++) {
		if (is_logged(batch->logs[i].logging))
			return true;
	}
	return false;
}

/* mark() marks the first 'len' bytes of those that are not done. */
static void
mark(const struct batch *batch, uint64_t len)
{
	size_t i;

	for (i = batch->first; len != 0; i++) {
		const struct vmmem_slice piece = {
			.len = batch->iov[i].iov_len,
			.logging = batch->logs[i].logging,
			.log_offset = batch->logs[i].offset,
		};
		const uint64_t part = len < piece.len ? len : piece.len;

		vmmem_inline_written(&piece, 0, part);
		len -= part;
	}
}

/* advance() goes on by 'len' bytes. */
static void
advance(struct batch *batch, uint64_t len)
{
	struct iovec *iov = &batch->iov[batch->first];

	batch->done += len;
	while (len != 0 && len >= iov->iov_len) {
		len -= iov->iov_len;
		iov++;
		batch->first++;
	}
	if (len != 0) {
		iov->iov_base = (unsigned char *)iov->iov_base + len;
		iov->iov_len -= len;
		batch->logs[batch->first].offset += len;
	}
}

/* run() moves the pieces; 'more' are to follow. */
static int
run(struct batch *batch, struct vmmem_io *io, bool more)
{
	uint64_t wanted;
	int64_t moved;
	int rc = 0;

	while (rc == 0 && batch->done < batch->len) {
		wanted = batch->len - batch->done;
		moved = call(io, &batch->iov[batch->first],
			     batch->count - batch->first);
		if (!io->to_fd && is_any_logged(batch))
			mark(batch, written_by(io, moved, wanted));
		if (moved > 0)
			advance(batch, (uint64_t)moved);
		rc = judge(io, moved, wanted,
			   batch->done < batch->len || more);
	}
	return rc;
}

/*
 * settle() gives what came for memory without a host address to its owner, and
 * releases what was mapped on demand.  Returns 0, or what the owner said.
 */
static int
settle(struct batch *batch, const struct vmmem_io *io,
       const struct vmmem_collection *collection)
{
	const uint64_t before = batch->len - batch->bounce_len;
	uint64_t given;
	size_t i;
	int rc = 0;

	if (!io->to_fd && batch->done > before) {
		rc = vmmem_write_slow(collection, batch->bounce_gpa,
				      batch->bounce, batch->done - before,
				      &given);
		batch->done = before + given;
	}
	for (i = 0; i < batch->held_count; i++)
		vmmem_slice_release(&batch->held[i]);
	return rc;
}

/* Its batch, of some 40 KiB, is on the stack: not part of any caller. */
__attribute__((__noinline__)) int
vmmem_io_ranges(struct vmmem_io *io, const struct vmmem_collection *collection,
		const struct vmmem_range *ranges, uint64_t at, uint64_t len,
		uint64_t *ret_done)
{
	struct cursor cursor = { collection, ranges, at, len };
	struct batch batch;
	uint64_t done = 0;
	int rc = 0, refused;

	while (rc == 0 && cursor.left != 0) {
		fill(&batch, io, &cursor);
		rc = run(&batch, io, cursor.left != 0 && batch.rc == 0);
		leave(&batch);
		refused = settle(&batch, io, collection);
		done += batch.done;
		if (refused != 0)
			rc = refused;
		if (rc == 0)
			rc = batch.rc;
	}
	*ret_done = done;
	return rc;
}
