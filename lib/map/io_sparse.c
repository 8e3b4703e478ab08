/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Sparse transfers: they leave out memory without pages, and holes of files. */
#include <vmmem/error.h>
#include <vmmem/residency.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "map/access_priv.h"
#include "base/cancel.h"
#include "map/collection_priv.h"
#include "region/file_data.h"
#include "map/io_priv.h"

/* Never written; as aligned as a direct descriptor may want it. */
#define ZEROES ((size_t)64 << 10)
static alignas(4096) unsigned char zeroes[ZEROES];

/* A transfer at offsets of a file, or of a stream. */
struct sparse {
	struct vmmem_io io;
	struct vmmem_io_cursor cursor;
	bool is_file; /* that has holes, and offsets */
	uint64_t size; /* of the file, before anything was written */
	uint64_t done;
	uint64_t hole; /* the last bytes that were left out of the file */
};

/* next_range() is how many bytes follow at '*ret_gpa' in one range. */
static uint64_t
next_range(struct vmmem_io_cursor *cursor, uint64_t most, uint64_t *ret_gpa)
{
	uint64_t len;

	while (cursor->at == cursor->range->len) {
		cursor->range++;
		cursor->at = 0;
	}
	*ret_gpa = cursor->range->gpa + cursor->at;
	len = cursor->range->len - cursor->at;
	return len < most ? len : most;
}

static void
move_on(struct sparse *sparse, uint64_t len)
{
	sparse->cursor.at += len;
	sparse->cursor.left -= len;
	sparse->done += len;
}

/*
 * goes_on() tells whether another call may be made, for the next piece, of data
 * or of zeroes.  Of a stream that blocks nobody can say how much room there is,
 * and a write waits until there is enough for all of it; a file has room.
 */
static int
goes_on(const struct sparse *sparse)
{
	return sparse->io.some && !sparse->is_file && sparse->done != 0 ?
		       VMMEM_EPARTIAL :
		       0;
}

/* move_data() moves the next 'len' bytes, in one range. */
static int
move_data(struct sparse *sparse, uint64_t gpa, uint64_t len)
{
	const struct vmmem_range range = { gpa, len };
	uint64_t done = 0;
	int rc;

	rc = vmmem_io_ranges(&sparse->io, sparse->cursor.collection, &range, 0,
			     len, &done);
	move_on(sparse, done);
	if (done != 0)
		sparse->hole = 0;
	return rc;
}

/* ---- to a descriptor ----------------------------------------------------- */

static int
write_zeroes(struct sparse *sparse, uint64_t len)
{
	struct vmmem_slice slice = {
		.host = zeroes,
		.logging = &vmmem_region_never_logging,
	};
	uint64_t done;
	int rc = 0;

	while (rc == 0 && len != 0) {
		rc = goes_on(sparse);
		if (rc != 0)
			break;
		slice.len = len < ZEROES ? len : ZEROES;
		rc = vmmem_io_flat(&sparse->io, &slice, slice.len,
				   vmmem_io_once(&sparse->io, zeroes,
						 slice.len),
				   &done);
		move_on(sparse, done);
		sparse->hole = 0;
		len -= done;
	}
	return rc;
}

/* leave_hole() sees to it that 'len' bytes of the file are one. */
static int
leave_hole(struct sparse *sparse, uint64_t len)
{
	struct vmmem_io *io = &sparse->io;
	int rc;

	/* The file had no bytes there before. */
	if (io->offset < sparse->size) {
		do
			rc = fallocate(io->fd,
				       FALLOC_FL_PUNCH_HOLE |
					       FALLOC_FL_KEEP_SIZE,
				       (off_t)io->offset, (off_t)len);
		while (rc != 0 && errno == EINTR);
		if (rc != 0)
			return errno == EOPNOTSUPP || errno == ENOSYS ?
				       VMMEM_ENODISCARD :
				       -errno;
	}
	io->offset += len;
	move_on(sparse, len);
	sparse->hole += len;
	return 0;
}

static int
leave_out(struct sparse *sparse, uint64_t len)
{
	int rc = VMMEM_ENODISCARD;

	if (len == 0)
		return 0;
	if (sparse->is_file)
		rc = leave_hole(sparse, len);
	return rc == VMMEM_ENODISCARD ? write_zeroes(sparse, len) : rc;
}

static int
write_all(struct sparse *sparse)
{
	uint64_t gpa, len, start, found;
	int rc = 0;

	while (rc == 0 && sparse->cursor.left != 0) {
		len = next_range(&sparse->cursor, sparse->cursor.left, &gpa);
		rc = vmmem_collection_next_populated(sparse->cursor.collection,
						     gpa, len, &start, &found);
		if (rc == 0)
			rc = leave_out(sparse, start - gpa);
		if (rc == 0 && found != 0)
			rc = goes_on(sparse);
		if (rc == 0 && found != 0)
			rc = move_data(sparse, start, found);
	}
	return rc;
}

/*
 * lengthen() makes a file end no sooner than the transfer does.  Not by
 * ftruncate(): if another process makes it longer meanwhile, it stays so.
 */
static int
lengthen(const struct sparse *sparse)
{
	struct vmmem_io last = sparse->io;
	struct stat status;
	int64_t moved;

	if (fstat(last.fd, &status) != 0)
		return -errno;
	if ((uint64_t)status.st_size >= last.offset)
		return 0;
	last.offset--;
	do
		moved = vmmem_io_once(&last, zeroes, 1);
	while (moved == -EINTR);
	/* A direct descriptor takes no single byte. */
	if (moved == -EINVAL && fallocate(last.fd, 0, (off_t)last.offset, 1) ==
					0)
		return 0;
	return moved < 0 ? vmmem_io_code(moved) :
	       moved == 0 ? VMMEM_EPARTIAL :
			    0;
}

/* finish() adds a hole at the end, which has to be in the file to count. */
static int
finish(struct sparse *sparse)
{
	int rc = 0;

	if (sparse->hole != 0)
		rc = lengthen(sparse);
	if (rc != 0) {
		sparse->done -= sparse->hole;
		sparse->io.offset -= sparse->hole;
	}
	return rc;
}

/* ---- from a descriptor --------------------------------------------------- */

/* zero() zeroes the pages of the next 'len' bytes, in one range. */
static int
zero(struct sparse *sparse, uint64_t gpa, uint64_t len)
{
	const struct vmmem_collection *collection = sparse->cursor.collection;
	uint64_t end = gpa + len, start, found, part;
	int rc = 0;

	while (rc == 0 && gpa != end) {
		rc = vmmem_collection_next_populated(collection, gpa,
						     end - gpa, &start,
						     &found);
		if (rc != 0)
			break;
		sparse->io.offset += start - gpa;
		move_on(sparse, start - gpa);
		for (gpa = start; rc == 0 && found != 0; found -= part) {
			part = found < ZEROES ? found : ZEROES;
			rc = vmmem_access_write_slow(collection, gpa, zeroes,
						     (size_t)part, &part);
			sparse->io.offset += part;
			move_on(sparse, part);
			gpa += part;
		}
	}
	return rc;
}

static int
read_all(struct sparse *sparse)
{
	struct vmmem_file_data data;
	uint64_t gpa, len, from, end;
	int rc;

	rc = vmmem_file_data_open(sparse->io.fd, &data);
	if (rc != 0)
		return rc;
	while (rc == 0 && sparse->cursor.left != 0) {
		len = next_range(&sparse->cursor, sparse->cursor.left, &gpa);
		/*
		 * Behind its end the file has no holes: that is told by read.
		 */
		from = end = sparse->io.offset;
		if (from < sparse->size) {
			if (len > sparse->size - from)
				len = sparse->size - from;
			rc = vmmem_file_data_next(&data, from, from + len,
						  &from, &end);
		}
		if (rc != 0)
			break;
		if (from > sparse->io.offset)
			rc = zero(sparse, gpa, from - sparse->io.offset);
		else
			rc = move_data(sparse, gpa,
				       end > from ? end - from : len);
	}
	vmmem_file_data_close(&data);
	return rc;
}

/* ---- both ---------------------------------------------------------------- */

/*
 * look_at() finds out what the descriptor is.  A file that is appended to is a
 * stream: it has no offsets to leave out.
 */
static int
look_at(struct sparse *sparse)
{
	struct vmmem_io *io = &sparse->io;
	struct stat status;
	off_t stands;
	int flags;

	if (fstat(io->fd, &status) != 0)
		return -errno;
	flags = fcntl(io->fd, F_GETFL);
	if (flags < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) ||
	    (io->to_fd && (flags & O_APPEND) != 0))
		return 0;
	if (!io->at) {
		stands = lseek(io->fd, 0, SEEK_CUR);
		if (stands < 0)
			return -errno;
		io->offset = (uint64_t)stands;
		io->at = true;
	}
	sparse->is_file = true;
	sparse->size = (uint64_t)status.st_size;
	return 0;
}

/* run() makes the transfer; the caller's errno is not to change. */
static int
run(struct sparse *sparse, bool has_position)
{
	uint64_t len = sparse->cursor.left;
	int rc, finished = 0;

	rc = look_at(sparse);
	if (rc != 0)
		return rc;
	/* Any other descriptor has no holes, and is read as usual. */
	if (!sparse->io.to_fd && !sparse->is_file)
		return vmmem_io_ranges(&sparse->io, sparse->cursor.collection,
				       sparse->cursor.range, sparse->cursor.at,
				       len, &sparse->done);
	/* No file has a byte behind that. */
	if (sparse->is_file && vmmem_io_clip(&sparse->io, &len) != 0)
		return VMMEM_EFILERANGE;
	if (sparse->io.to_fd) {
		rc = write_all(sparse);
		finished = finish(sparse);
	} else {
		rc = read_all(sparse);
	}
	/* If a signal came with it, vmmem_quiet_end() must know the code. */
	if (rc == 0 || finished == -EFBIG)
		rc = finished;
	if (sparse->is_file && has_position && sparse->done != 0 &&
	    lseek(sparse->io.fd, (off_t)sparse->io.offset, SEEK_SET) < 0 &&
	    rc == 0)
		rc = -errno;
	return rc;
}

int
vmmem_io_sparse(struct vmmem_io *io, const struct vmmem_collection *collection,
		const struct vmmem_range *ranges, uint64_t at, uint64_t len,
		uint64_t *ret_done)
{
	struct sparse sparse = {
		.io = *io,
		.cursor = { collection, ranges, at, len },
	};
	const int error = errno;
	int cancel, rc;

	/* Through an iommu, addresses are not those of memory. */
	if (collection->translation != NULL)
		return vmmem_io_ranges(io, collection, ranges, at, len,
				       ret_done);
	/* fallocate(2) is a cancellation point, and no transfer is one. */
	cancel = vmmem_cancel_off();
	rc = run(&sparse, !io->at);
	vmmem_cancel_back(cancel);
	*ret_done = sparse.done;
	errno = error;
	return rc;
}
