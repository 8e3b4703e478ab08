/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <vmmem/error.h>
#include <vmmem/inline.h>
#include <vmmem/io.h>

#include "api.h"
#include "collection_priv.h"
#include "io_priv.h"

/* So that each public function is one, without a branch on how it moves. */
#define INLINE inline __attribute__((__always_inline__))

/* The ways to move bytes. */
#define FROM_FD 0U
#define TO_FD 1U
#define SOME 2U
#define AT 4U

static INLINE struct vmmem_io
io_of(int fd, unsigned int how, uint64_t offset)
{
	return (struct vmmem_io){
		.fd = fd,
		.to_fd = (how & TO_FD) != 0,
		.some = (how & SOME) != 0,
		.at = (how & AT) != 0,
		.offset = offset,
	};
}

static INLINE uint32_t
access_of(const struct vmmem_io *io)
{
	return io->to_fd ? VMMEM_PROT_READ : VMMEM_PROT_WRITE;
}

/* report() stores a count where the caller wants one, and returns 'rc'. */
static INLINE int
report(uint64_t *ret_done, uint64_t done, int rc)
{
	if (ret_done != NULL)
		*ret_done = done;
	return rc;
}

/*
 * prefix() tells how many bytes of the ranges, from the first on, are mapped
 * and permit the access.  Returns 0 if that is all, else why not.
 */
static int
prefix(const struct vmmem_collection *collection, uint32_t access,
       const struct vmmem_range *ranges, size_t count, uint64_t *ret_len)
{
	uint64_t good, bad = 0;
	size_t i;
	int rc = 0;

	*ret_len = 0;
	for (i = 0; i < count && rc == 0; i++) {
		good = ranges[i].len;
		rc = vmmem_check(collection, ranges[i].gpa, good, access,
				 &bad);
		if (rc == VMMEM_EOVERFLOW)
			good = 0 - ranges[i].gpa;
		else if (rc != 0)
			good = bad - ranges[i].gpa;
		if (good > UINT64_MAX - *ret_len) {
			good = UINT64_MAX - *ret_len;
			rc = VMMEM_EOVERFLOW;
		}
		*ret_len += good;
	}
	return rc;
}

/* several() moves a list of ranges. */
static int
several(const struct vmmem_collection *collection,
	const struct vmmem_range *ranges, size_t count, struct vmmem_io *io,
	uint64_t *ret_done)
{
	uint64_t len, done = 0;
	int short_of, beyond, rc = 0;

	short_of = prefix(collection, access_of(io), ranges, count, &len);
	if (short_of != 0 && !io->some)
		return report(ret_done, 0, short_of);
	if (len != 0) {
		beyond = vmmem_io_clip(io, &len);
		if (beyond != 0 && (!io->some || len == 0))
			return report(ret_done, 0, beyond);
		if (beyond != 0)
			short_of = beyond;
		rc = vmmem_io_ranges(io, collection, ranges, len, &done);
	}
	return report(ret_done, done, rc != 0 ? rc : short_of);
}

static __attribute__((__noinline__)) int
one_of_several(const struct vmmem_collection *collection, uint64_t gpa,
	       uint64_t len, struct vmmem_io *io, uint64_t *ret_done)
{
	const struct vmmem_range range = { gpa, len };

	return several(collection, &range, 1, io, ret_done);
}

static int
ranges_io(const struct vmmem_collection *collection,
	  const struct vmmem_range *ranges, size_t count, int fd,
	  unsigned int how, uint64_t offset, uint64_t *ret_done)
{
	struct vmmem_io io = io_of(fd, how, offset);

	if (collection == NULL || (ranges == NULL && count != 0))
		return VMMEM_EINVAL;
	return several(collection, ranges, count, &io, ret_done);
}

/* flat() moves all of a slice, which permits it and is not empty. */
static INLINE int
flat(struct vmmem_io *io, struct vmmem_slice *slice, uint64_t *ret_done)
{
	uint64_t done, wanted;
	int64_t moved;
	int beyond, rc;

	beyond = vmmem_io_clip(io, &slice->len);
	if (beyond != 0 && (!io->some || slice->len == 0))
		return report(ret_done, 0, beyond);
	wanted = slice->len < VMMEM_IO_CALL_MAX ? slice->len :
						  VMMEM_IO_CALL_MAX;
	moved = vmmem_io_once(io, slice->host, wanted);
	if (likely(moved == (int64_t)slice->len)) {
		if (!io->to_fd)
			vmmem_inline_written(slice, 0, slice->len);
		return report(ret_done, slice->len, beyond);
	}
	rc = vmmem_io_flat(io, slice, wanted, moved, &done);
	return report(ret_done, done, rc != 0 ? rc : beyond);
}

static INLINE int
range_io(const struct vmmem_collection *collection, uint64_t gpa, uint64_t len,
	 int fd, unsigned int how, uint64_t offset, uint64_t *ret_done)
{
	struct vmmem_io io = io_of(fd, how, offset);
	const struct vmmem_region *region;
	const struct vmmem_entry *entry;
	struct vmmem_slice slice;
	uint64_t at;

	if (collection == NULL)
		return VMMEM_EINVAL;
	if (len == 0)
		return report(ret_done, 0, 0);
	entry = vmmem_find_direct(collection, gpa, len, access_of(&io), &at);
	if (!likely(entry != NULL))
		return one_of_several(collection, gpa, len, &io, ret_done);
	region = vmmem_region_of(collection, entry);
	slice = (struct vmmem_slice){
		.host = entry->host + at,
		.len = len,
		.logging = entry->logging,
		.log_offset = region->bitmap_offset + at,
	};
	return flat(&io, &slice, ret_done);
}

static INLINE int
slice_io(const struct vmmem_slice *slice, uint64_t offset, uint64_t len,
	 int fd, unsigned int how, uint64_t file_offset, uint64_t *ret_done)
{
	struct vmmem_io io = io_of(fd, how, file_offset);
	struct vmmem_slice part;
	uint64_t more;
	int beyond = 0, rc;

	if (slice == NULL)
		return VMMEM_EINVAL;
	if (len == 0)
		return report(ret_done, 0, 0);
	if (!vmmem_inline_is_within(slice, offset, len)) {
		beyond = VMMEM_EOUTOFRANGE;
		more = offset < slice->len ? slice->len - offset : 0;
		if (!io.some || more == 0)
			return report(ret_done, 0, beyond);
		len = more;
	}
	if ((access_of(&io) & ~slice->access) != 0)
		return report(ret_done, 0, VMMEM_EPERM);
	part = *slice;
	part.host = vmmem_inline_at(slice, offset);
	part.len = len;
	part.log_offset += offset;
	rc = flat(&io, &part, ret_done);
	return rc != 0 ? rc : beyond;
}

VMMEM_API int
vmmem_collection_read_from_fd(const struct vmmem_collection *collection,
			      uint64_t gpa, uint64_t len, int fd,
			      uint64_t *ret_done)
{
	return range_io(collection, gpa, len, fd, FROM_FD, 0, ret_done);
}

VMMEM_API int
vmmem_collection_read_from_fd_at(const struct vmmem_collection *collection,
				 uint64_t gpa, uint64_t len, int fd,
				 uint64_t file_offset, uint64_t *ret_done)
{
	return range_io(collection, gpa, len, fd, FROM_FD | AT, file_offset,
			ret_done);
}

VMMEM_API int
vmmem_collection_read_some_from_fd(const struct vmmem_collection *collection,
				   uint64_t gpa, uint64_t len, int fd,
				   uint64_t *ret_done)
{
	return range_io(collection, gpa, len, fd, FROM_FD | SOME, 0, ret_done);
}

VMMEM_API int
vmmem_collection_read_some_from_fd_at(
	const struct vmmem_collection *collection, uint64_t gpa, uint64_t len,
	int fd, uint64_t file_offset, uint64_t *ret_done)
{
	return range_io(collection, gpa, len, fd, FROM_FD | SOME | AT,
			file_offset, ret_done);
}

VMMEM_API int
vmmem_collection_write_to_fd(const struct vmmem_collection *collection,
			     uint64_t gpa, uint64_t len, int fd,
			     uint64_t *ret_done)
{
	return range_io(collection, gpa, len, fd, TO_FD, 0, ret_done);
}

VMMEM_API int
vmmem_collection_write_to_fd_at(const struct vmmem_collection *collection,
				uint64_t gpa, uint64_t len, int fd,
				uint64_t file_offset, uint64_t *ret_done)
{
	return range_io(collection, gpa, len, fd, TO_FD | AT, file_offset,
			ret_done);
}

VMMEM_API int
vmmem_collection_write_some_to_fd(const struct vmmem_collection *collection,
				  uint64_t gpa, uint64_t len, int fd,
				  uint64_t *ret_done)
{
	return range_io(collection, gpa, len, fd, TO_FD | SOME, 0, ret_done);
}

VMMEM_API int
vmmem_collection_write_some_to_fd_at(const struct vmmem_collection *collection,
				     uint64_t gpa, uint64_t len, int fd,
				     uint64_t file_offset, uint64_t *ret_done)
{
	return range_io(collection, gpa, len, fd, TO_FD | SOME | AT,
			file_offset, ret_done);
}

VMMEM_API int
vmmem_collection_readv_from_fd(const struct vmmem_collection *collection,
			       const struct vmmem_range *ranges, size_t count,
			       int fd, uint64_t *ret_done)
{
	return ranges_io(collection, ranges, count, fd, FROM_FD, 0, ret_done);
}

VMMEM_API int
vmmem_collection_readv_from_fd_at(const struct vmmem_collection *collection,
				  const struct vmmem_range *ranges,
				  size_t count, int fd, uint64_t file_offset,
				  uint64_t *ret_done)
{
	return ranges_io(collection, ranges, count, fd, FROM_FD | AT,
			 file_offset, ret_done);
}

VMMEM_API int
vmmem_collection_readv_some_from_fd(const struct vmmem_collection *collection,
				    const struct vmmem_range *ranges,
				    size_t count, int fd, uint64_t *ret_done)
{
	return ranges_io(collection, ranges, count, fd, FROM_FD | SOME, 0,
			 ret_done);
}

VMMEM_API int
vmmem_collection_readv_some_from_fd_at(
	const struct vmmem_collection *collection,
	const struct vmmem_range *ranges, size_t count, int fd,
	uint64_t file_offset, uint64_t *ret_done)
{
	return ranges_io(collection, ranges, count, fd, FROM_FD | SOME | AT,
			 file_offset, ret_done);
}

VMMEM_API int
vmmem_collection_writev_to_fd(const struct vmmem_collection *collection,
			      const struct vmmem_range *ranges, size_t count,
			      int fd, uint64_t *ret_done)
{
	return ranges_io(collection, ranges, count, fd, TO_FD, 0, ret_done);
}

VMMEM_API int
vmmem_collection_writev_to_fd_at(const struct vmmem_collection *collection,
				 const struct vmmem_range *ranges, size_t count,
				 int fd, uint64_t file_offset,
				 uint64_t *ret_done)
{
	return ranges_io(collection, ranges, count, fd, TO_FD | AT, file_offset,
			 ret_done);
}

VMMEM_API int
vmmem_collection_writev_some_to_fd(const struct vmmem_collection *collection,
				   const struct vmmem_range *ranges,
				   size_t count, int fd, uint64_t *ret_done)
{
	return ranges_io(collection, ranges, count, fd, TO_FD | SOME, 0,
			 ret_done);
}

VMMEM_API int
vmmem_collection_writev_some_to_fd_at(
	const struct vmmem_collection *collection,
	const struct vmmem_range *ranges, size_t count, int fd,
	uint64_t file_offset, uint64_t *ret_done)
{
	return ranges_io(collection, ranges, count, fd, TO_FD | SOME | AT,
			 file_offset, ret_done);
}

VMMEM_API int
vmmem_slice_read_from_fd(const struct vmmem_slice *slice, uint64_t offset,
			 uint64_t len, int fd, uint64_t *ret_done)
{
	return slice_io(slice, offset, len, fd, FROM_FD, 0, ret_done);
}

VMMEM_API int
vmmem_slice_read_from_fd_at(const struct vmmem_slice *slice, uint64_t offset,
			    uint64_t len, int fd, uint64_t file_offset,
			    uint64_t *ret_done)
{
	return slice_io(slice, offset, len, fd, FROM_FD | AT, file_offset,
			ret_done);
}

VMMEM_API int
vmmem_slice_read_some_from_fd(const struct vmmem_slice *slice, uint64_t offset,
			      uint64_t len, int fd, uint64_t *ret_done)
{
	return slice_io(slice, offset, len, fd, FROM_FD | SOME, 0, ret_done);
}

VMMEM_API int
vmmem_slice_read_some_from_fd_at(const struct vmmem_slice *slice,
				 uint64_t offset, uint64_t len, int fd,
				 uint64_t file_offset, uint64_t *ret_done)
{
	return slice_io(slice, offset, len, fd, FROM_FD | SOME | AT,
			file_offset, ret_done);
}

VMMEM_API int
vmmem_slice_write_to_fd(const struct vmmem_slice *slice, uint64_t offset,
			uint64_t len, int fd, uint64_t *ret_done)
{
	return slice_io(slice, offset, len, fd, TO_FD, 0, ret_done);
}

VMMEM_API int
vmmem_slice_write_to_fd_at(const struct vmmem_slice *slice, uint64_t offset,
			   uint64_t len, int fd, uint64_t file_offset,
			   uint64_t *ret_done)
{
	return slice_io(slice, offset, len, fd, TO_FD | AT, file_offset,
			ret_done);
}

VMMEM_API int
vmmem_slice_write_some_to_fd(const struct vmmem_slice *slice, uint64_t offset,
			     uint64_t len, int fd, uint64_t *ret_done)
{
	return slice_io(slice, offset, len, fd, TO_FD | SOME, 0, ret_done);
}

VMMEM_API int
vmmem_slice_write_some_to_fd_at(const struct vmmem_slice *slice,
				uint64_t offset, uint64_t len, int fd,
				uint64_t file_offset, uint64_t *ret_done)
{
	return slice_io(slice, offset, len, fd, TO_FD | SOME | AT, file_offset,
			ret_done);
}
