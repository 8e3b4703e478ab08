/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Messages: one message, one system call.  A message that a call cannot take
 * as it lies in the guest's memory is gathered in a buffer.
 */
#include <vmmem/error.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include "map/access_priv.h"
#include "base/api.h"
#include "map/io_priv.h"
#include "region/slice_priv.h"

/* The longest message that is gathered, so that no peer decides on more. */
#define GATHERED_MAX ((uint64_t)16 << 20)

/* As <linux/fs.h> has it, which older headers do not. */
#define FLAG_DSYNC 2

/*
 * The kinds of a descriptor that matter here.  A socket tells that a message
 * was longer than the room for it.  A stream may keep no messages, so a call
 * must take no more bytes from it than the caller wants.  With all others,
 * mostly devices, one more byte of room shows that a message was longer.
 */
enum kind { SOCKET, STREAM, DEVICE };

/* Neither 0 nor a code: a call cannot take the pieces as they lie. */
#define NOT_AT_ONCE 1

/* The result of a call, or of several if signals interrupted some. */
struct outcome {
	int64_t moved; /* or -errno */
	bool cut;      /* the message was longer */
	bool failed;   /* some call did, and may have written any of it */
};

/* find_kind() finds the kind of a descriptor, for 'count' pieces. */
static int
find_kind(const struct vmmem_io *io, size_t count, enum kind *ret_kind)
{
	const int error = errno;
	struct stat status;
	int rc = 0;

	*ret_kind = STREAM;
	/* All write one piece alike. */
	if (io->to_fd && count == 1)
		return 0;
	if (fstat(io->fd, &status) != 0)
		rc = -errno;
	else if (S_ISSOCK(status.st_mode))
		*ret_kind = SOCKET;
	else if (!S_ISFIFO(status.st_mode) && !S_ISREG(status.st_mode) &&
		 !S_ISBLK(status.st_mode))
		*ret_kind = DEVICE;
	errno = error;
	return rc;
}

/*
 * nothing_code() tells what a result of no bytes means: a message, from a
 * socket without a connection, which has no end; else the end, as for read(2).
 */
static int
nothing_code(const struct vmmem_io *io, enum kind kind)
{
	const int error = errno;
	int type = SOCK_STREAM, rc = 0;
	socklen_t len = sizeof(type);

	if (kind != SOCKET)
		return VMMEM_EEOF;
	if (getsockopt(io->fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
		rc = -errno;
	else if (type == SOCK_STREAM || type == SOCK_SEQPACKET)
		rc = VMMEM_EEOF;
	errno = error;
	return rc;
}

static int64_t
receive(struct vmmem_io *io, struct iovec *iov, size_t count, bool *ret_cut)
{
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = count };
	const int error = errno;
	long moved;

	moved = syscall(SYS_recvmsg, (long)io->fd, &message, 0L, 0L, 0L, 0L);
	if (moved < 0) {
		moved = -errno;
		errno = error;
	}
	*ret_cut = moved >= 0 && (message.msg_flags & MSG_TRUNC) != 0;
	return moved;
}

/*
 * call() moves a message of 'len' bytes in 'count' pieces, behind which there
 * is room for one more.  Returns the bytes, or -errno: -EOPNOTSUPP if a device
 * would take the pieces one by one, as messages of their own.
 */
static int64_t
call(struct vmmem_io *io, enum kind kind, struct iovec *iov, size_t count,
     uint64_t len, bool *ret_cut)
{
	unsigned char more;
	int64_t moved;
	long number;

	*ret_cut = false;
	if (kind == SOCKET && !io->to_fd && !io->at)
		return receive(io, iov, count, ret_cut);
	if (kind != DEVICE)
		return vmmem_io_pieces(io, iov, count);
	number = io->to_fd ? SYS_pwritev2 : SYS_preadv2;
	if (!io->to_fd)
		iov[count++] = (struct iovec){ &more, 1 };
	/*
	 * A device ignores the flag, and the system refuses the flag where
	 * it would call the device once for each piece.
	 */
	moved = vmmem_io_call_flags(io, number, iov, count,
				    io->at ? (int64_t)io->offset : -1,
				    FLAG_DSYNC);
	if (moved == -ENOSYS)
		return -EOPNOTSUPP;
	if (moved <= 0 || (uint64_t)moved <= len)
		return moved;
	*ret_cut = true;
	return (int64_t)len;
}

/* call_whole() is call() for one piece, with room for one more byte. */
static int64_t
call_whole(struct vmmem_io *io, enum kind kind, unsigned char *bytes,
	   uint64_t len, bool *ret_cut)
{
	struct iovec iov[2] = { { bytes, len } };
	int64_t moved;

	*ret_cut = false;
	if (io->to_fd)
		return vmmem_io_once(io, bytes, len);
	if (kind != DEVICE)
		return call(io, kind, iov, 1, len, ret_cut);
	moved = vmmem_io_once(io, bytes, len + 1);
	*ret_cut = moved > 0 && (uint64_t)moved > len;
	return *ret_cut ? (int64_t)len : moved;
}

/* outcome_code() returns the code for the result of a message. */
static int
outcome_code(const struct vmmem_io *io, enum kind kind,
	     const struct outcome *outcome, uint64_t len)
{
	if (outcome->moved < 0)
		return vmmem_io_code(outcome->moved);
	if (io->to_fd)
		return (uint64_t)outcome->moved < len ? VMMEM_EPARTIAL : 0;
	if (outcome->moved == 0)
		return nothing_code(io, kind);
	return outcome->cut ? VMMEM_ENOROOM : 0;
}

/* written_by() is how many bytes may have been written to the guest. */
static uint64_t
written_by(const struct outcome *outcome, uint64_t len)
{
	return outcome->failed ? len : (uint64_t)outcome->moved;
}

/* move() makes the call for pieces until no signal interrupts it. */
static struct outcome
move(struct vmmem_io *io, enum kind kind, struct iovec *iov, size_t count,
     uint64_t len)
{
	struct outcome outcome = { 0 };

	do {
		outcome.moved = call(io, kind, iov, count, len, &outcome.cut);
		outcome.failed |= outcome.moved < 0;
	} while (outcome.moved == -EINTR);
	return outcome;
}

/* move_whole() is move() for bytes in a buffer. */
static struct outcome
move_whole(struct vmmem_io *io, enum kind kind, unsigned char *bytes,
	   uint64_t len)
{
	struct outcome outcome = { 0 };

	do
		outcome.moved = call_whole(io, kind, bytes, len, &outcome.cut);
	while (outcome.moved == -EINTR);
	return outcome;
}

/* The guest's side of a message: a slice, or ranges if that is NULL. */
struct guest {
	const struct vmmem_slice *slice;
	struct vmmem_io_cursor cursor;
	uint64_t len;
};

/* take() copies all bytes from the guest. */
static int
take(const struct guest *guest, unsigned char *bytes)
{
	struct vmmem_io_cursor cursor = guest->cursor;
	uint64_t done;

	if (guest->slice != NULL)
		return vmmem_slice_read(guest->slice, 0, bytes,
					(size_t)guest->len);
	return vmmem_io_copy(&cursor, bytes, guest->len, true, &done);
}

/* give() copies the first 'len' bytes to the guest, and marks them. */
static int
give(const struct guest *guest, unsigned char *bytes, uint64_t len,
     uint64_t *ret_done)
{
	struct vmmem_io_cursor cursor = guest->cursor;
	size_t done = 0;
	int rc;

	if (guest->slice == NULL)
		return vmmem_io_copy(&cursor, bytes, len, false, ret_done);
	rc = vmmem_slice_write_some(guest->slice, 0, bytes, (size_t)len,
				    &done);
	*ret_done = done;
	return rc;
}

/* gather() moves a message through a buffer. */
static int
gather(struct vmmem_io *io, enum kind kind, const struct guest *guest,
       uint64_t *ret_done)
{
	struct vmmem_io_buffer buffer;
	struct outcome outcome;
	int rc, given = 0;

	*ret_done = 0;
	if (guest->len > GATHERED_MAX)
		return VMMEM_ETOOBIG;
	rc = vmmem_io_buffer_get(&buffer, (size_t)guest->len + 1, io->to_fd);
	if (rc != 0)
		return rc;
	if (io->to_fd)
		rc = take(guest, buffer.bytes);
	if (rc == 0) {
		outcome = move_whole(io, kind, buffer.bytes, guest->len);
		rc = outcome_code(io, kind, &outcome, guest->len);
		if (outcome.moved > 0 && io->to_fd)
			*ret_done = (uint64_t)outcome.moved;
		else if (outcome.moved > 0)
			given = give(guest, buffer.bytes,
				     (uint64_t)outcome.moved, ret_done);
	}
	vmmem_io_buffer_put(&buffer);
	return given != 0 ? given : rc;
}

/*
 * clip() shortens the room for a message to what one call can move: no message
 * is longer.  Returns 0, or a code if a message to write is longer.
 */
static int
clip(const struct vmmem_io *io, uint64_t *len)
{
	if (*len <= VMMEM_IO_CALL_MAX)
		return 0;
	*len = VMMEM_IO_CALL_MAX;
	return io->to_fd ? VMMEM_ETOOBIG : 0;
}

int
vmmem_io_message_flat(struct vmmem_io *io, const struct vmmem_slice *slice,
		      uint64_t *ret_done)
{
	struct guest guest = { .slice = slice, .len = slice->len };
	struct iovec iov[2];
	struct outcome outcome;
	enum kind kind;
	int rc;

	*ret_done = 0;
	rc = clip(io, &guest.len);
	if (rc == 0)
		rc = find_kind(io, 1, &kind);
	if (rc != 0)
		return rc;
	iov[0] = (struct iovec){ slice->host, guest.len };
	outcome = move(io, kind, iov, 1, guest.len);
	if (outcome.moved == -EOPNOTSUPP && kind == DEVICE)
		return gather(io, kind, &guest, ret_done);
	if (!io->to_fd)
		vmmem_slice_mark(slice, 0, written_by(&outcome, guest.len));
	if (outcome.moved > 0)
		*ret_done = (uint64_t)outcome.moved;
	return outcome_code(io, kind, &outcome, guest.len);
}

/*
 * at_once() moves a message by the pieces of a batch.  Returns NOT_AT_ONCE if
 * the batch has not all of it, or the descriptor takes only one piece; then
 * nothing was moved.
 */
static int
at_once(struct vmmem_io *io, enum kind kind, struct vmmem_io_batch *batch,
	uint64_t len, int *ret_rc)
{
	struct outcome outcome;

	/* Behind them there must be room for one more. */
	if (batch->len != len || batch->count == VMMEM_IO_PIECES)
		return NOT_AT_ONCE;
	outcome = move(io, kind, batch->iov, batch->count, len);
	if (outcome.moved == -EOPNOTSUPP && kind == DEVICE)
		return NOT_AT_ONCE;
	if (!io->to_fd && vmmem_io_is_logged(batch))
		vmmem_io_mark(batch, written_by(&outcome, len));
	if (outcome.moved > 0)
		batch->done = (uint64_t)outcome.moved;
	*ret_rc = outcome_code(io, kind, &outcome, len);
	return 0;
}

/* Its batch is on the stack: not part of any caller. */
__attribute__((__noinline__)) int
vmmem_io_message(struct vmmem_io *io,
		 const struct vmmem_collection *collection,
		 const struct vmmem_range *ranges, uint64_t at, uint64_t len,
		 uint64_t *ret_done)
{
	struct guest guest = {
		.cursor = { collection, ranges, at, len },
		.len = len,
	};
	struct vmmem_io_cursor cursor;
	struct vmmem_io_batch batch;
	enum kind kind = STREAM;
	int rc, way = 0, refused;

	*ret_done = 0;
	rc = clip(io, &guest.len);
	if (rc != 0)
		return rc;
	guest.cursor.left = guest.len;
	cursor = guest.cursor;
	vmmem_io_fill(&batch, io, &cursor);
	/* First, so that no message is lost for lack of memory. */
	rc = batch.rc;
	if (rc == 0)
		rc = find_kind(io, batch.count, &kind);
	if (rc == 0)
		way = at_once(io, kind, &batch, guest.len, &rc);
	refused = vmmem_io_settle(&batch, io, collection);
	if (way == NOT_AT_ONCE)
		return gather(io, kind, &guest, ret_done);
	*ret_done = batch.done;
	return refused != 0 ? refused : rc;
}
