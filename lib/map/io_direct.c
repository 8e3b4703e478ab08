/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Descriptors that bypass the page cache (O_DIRECT), and guest buffers that are
 * not aligned for them.
 */
#include <fcntl.h>

#include "guest/copy.h"
#include "map/io_priv.h"

/* The largest alignment that a disk needs; a page has it. */
#define BLOCK UINT64_C(4096)

/* The most bytes that go through the buffer at once. */
#define CHUNK ((uint64_t)1 << 20)

/* flags_of() returns the flags of the open file, or -errno. */
static int
flags_of(const struct vmmem_io *io)
{
	const int error = errno;
	int flags = fcntl(io->fd, F_GETFL);

	if (flags < 0)
		flags = -errno;
	errno = error;
	return flags;
}

bool
vmmem_io_may_be_direct(const struct vmmem_io *io)
{
	const int flags = flags_of(io);

	return flags < 0 || (flags & O_DIRECT) != 0;
}

/*
 * is_aligned() tells whether the pieces, and the offset that they are read
 * from, are aligned, so that neither is the reason for -EINVAL.
 */
static bool
is_aligned(uint64_t offset, const struct iovec *iov, size_t count)
{
	uint64_t bits = offset;
	size_t i;

	for (i = 0; i < count; i++)
		bits |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return bits % BLOCK == 0;
}

/* take() copies 'len' bytes from the pieces, and returns how many it copied. */
static uint64_t
take(unsigned char *bytes, const struct iovec *iov, uint64_t len)
{
	uint64_t done = 0, part, left = 0;

	for (; done < len && left == 0; iov++) {
		part = len - done < iov->iov_len ? len - done : iov->iov_len;
		left = vmmem_copy_from_guest_any(bytes + done, iov->iov_base,
						 (size_t)part);
		done += part - left;
	}
	return done;
}

/* give() copies 'len' bytes to the pieces, and returns how many it copied. */
static uint64_t
give(const unsigned char *bytes, const struct iovec *iov, uint64_t len)
{
	uint64_t done = 0, part, left = 0;

	for (; done < len && left == 0; iov++) {
		part = len - done < iov->iov_len ? len - done : iov->iov_len;
		left = vmmem_copy_to_guest_any(iov->iov_base, bytes + done,
					       (size_t)part);
		done += part - left;
	}
	return done;
}

static int64_t
write_aligned(struct vmmem_io *io, const struct iovec *iov, uint64_t wanted)
{
	struct vmmem_io_buffer buffer;
	int64_t moved;
	int rc;

	rc = vmmem_io_buffer_get(&buffer, (size_t)wanted, true);
	if (rc != 0)
		return rc;
	moved = -EFAULT;
	if (take(buffer.bytes, iov, wanted) == wanted)
		moved = vmmem_io_once(io, buffer.bytes, wanted);
	vmmem_io_buffer_put(&buffer);
	return moved;
}

/* read_aligned() reads whole blocks, and copies the wanted bytes out. */
static int64_t
read_aligned(const struct vmmem_io *io, const struct iovec *iov,
	     uint64_t wanted)
{
	const uint64_t head = io->offset % BLOCK;
	struct vmmem_io blocks = *io;
	struct vmmem_io_buffer buffer;
	uint64_t came = 0, given;
	int64_t moved;
	int rc;

	rc = vmmem_io_buffer_get(&buffer,
				 (size_t)(head + wanted + (BLOCK - 1)) /
					 BLOCK * BLOCK,
				 true);
	if (rc != 0)
		return rc;
	blocks.offset -= head;
	moved = vmmem_io_once(&blocks, buffer.bytes, buffer.len);
	/* The file may end before the wanted bytes. */
	if (moved > 0 && (uint64_t)moved > head)
		came = (uint64_t)moved - head;
	if (came > wanted)
		came = wanted;
	given = give(buffer.bytes + head, iov, came);
	vmmem_io_buffer_put(&buffer);
	if (moved < 0)
		return moved;
	return given == 0 && came != 0 ? -EFAULT : (int64_t)given;
}

/* stands() finds the position of a file, which must have one. */
static int64_t
stands(const struct vmmem_io *io)
{
	const int error = errno;
	int64_t offset = lseek(io->fd, 0, SEEK_CUR);

	if (offset < 0)
		offset = -errno;
	errno = error;
	return offset;
}

/* move_on() moves the position of a file, as read(2) does, by 'moved'. */
static int64_t
move_on(struct vmmem_io *io, int64_t moved)
{
	const int error = errno;

	if (moved > 0 && !io->at && lseek(io->fd, moved, SEEK_CUR) < 0)
		moved = -errno;
	else if (moved > 0)
		io->offset += (uint64_t)moved;
	errno = error;
	return moved;
}

int64_t
vmmem_io_aligned(struct vmmem_io *io, const struct iovec *iov, size_t count,
		 uint64_t *wanted)
{
	struct vmmem_io from = *io;
	const int flags = flags_of(io);
	int64_t offset;

	if (flags < 0)
		return flags;
	if ((flags & O_DIRECT) == 0)
		return -EINVAL;
	if (!io->to_fd && !io->at) {
		offset = stands(io);
		if (offset < 0)
			return offset;
		from.at = true;
		from.offset = (uint64_t)offset;
	}
	if (is_aligned(io->to_fd ? 0 : from.offset, iov, count))
		return -EINVAL;
	if (*wanted > CHUNK)
		*wanted = CHUNK;
	if (io->to_fd)
		return write_aligned(io, iov, *wanted);
	return move_on(io, read_aligned(&from, iov, *wanted));
}
