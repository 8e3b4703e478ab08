/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Transfers between a descriptor and guest memory: the public functions. */
#include <vmmem/error.h>
#include <vmmem/io.h>

#include "base/api.h"
#include "map/chain_priv.h"
#include "map/collection_priv.h"
#include "map/io_priv.h"
#include "region/quiet.h"
#include "region/slice_priv.h"

/* So that each public function is one function in the object code. */
#define INLINE inline __attribute__((__always_inline__))

#define FLAGS_KNOWN                                                        \
	(VMMEM_IO_SOME | VMMEM_IO_MESSAGE | VMMEM_IO_NO_SIGNAL |           \
	 VMMEM_IO_SPARSE)

/* Which way the bytes go. */
#define FROM_FD false
#define TO_FD true

/* The guest's side of a transfer: a slice, or a chain if that is NULL. */
struct guest {
	const struct vmmem_slice *slice;
	uint64_t offset;

	const struct vmmem_collection *collection;
	struct vmmem_chain chain;
	uint64_t skip;
	uint64_t *ret_bad; /* or NULL */

	uint64_t len;
};

static INLINE struct vmmem_io
io_of(int fd, bool to_fd, uint64_t offset, uint32_t flags)
{
	return (struct vmmem_io){
		.fd = fd,
		.to_fd = to_fd,
		.some = (flags & VMMEM_IO_SOME) != 0,
		.message = (flags & VMMEM_IO_MESSAGE) != 0,
		.sparse = (flags & VMMEM_IO_SPARSE) != 0,
		.at = offset != VMMEM_IO_POSITION,
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

/* is_of_address() tells whether a code is about one byte of the guest's. */
static bool
is_of_address(int rc)
{
	return rc != 0 && rc != VMMEM_EOUTOFRANGE && rc != VMMEM_EWRAPS;
}

/* several() moves the next 'len' bytes of a chain. */
static int
several(const struct vmmem_collection *collection,
	const struct vmmem_chain *chain, uint64_t len, struct vmmem_io *io,
	uint64_t *ret_done, uint64_t *ret_bad)
{
	uint64_t done = 0;
	int short_of, beyond, rc = 0;

	short_of = vmmem_chain_check(collection, access_of(io), chain, len,
				     &len);
	if (short_of != 0 && !io->some) {
		if (is_of_address(short_of))
			vmmem_chain_tell(chain, len, ret_bad);
		return report(ret_done, 0, short_of);
	}
	if (len != 0) {
		beyond = vmmem_io_clip(io, &len);
		if (beyond != 0 && (!io->some || len == 0))
			return report(ret_done, 0, beyond);
		if (beyond != 0)
			short_of = beyond;
		rc = (io->message ? vmmem_io_message :
		      io->sparse  ? vmmem_io_sparse :
				    vmmem_io_ranges)(
			io, collection, chain->range, chain->at, len, &done);
	}
	if (rc == 0)
		rc = short_of;
	if (is_of_address(rc))
		vmmem_chain_tell(chain, done, ret_bad);
	return report(ret_done, done, rc);
}

/* flat() moves all of a slice, which permits the access and is not empty. */
static INLINE int
flat(struct vmmem_io *io, struct vmmem_slice *slice, uint64_t *ret_done)
{
	uint64_t done, wanted;
	int64_t moved;
	int beyond, rc;

	beyond = vmmem_io_clip(io, &slice->len);
	if (beyond != 0 && (!io->some || slice->len == 0))
		return report(ret_done, 0, beyond);
	if (!likely(!io->message)) {
		rc = vmmem_io_message_flat(io, slice, &done);
		return report(ret_done, done, rc);
	}
	wanted = slice->len < VMMEM_IO_CALL_MAX ? slice->len :
						  VMMEM_IO_CALL_MAX;
	moved = vmmem_io_once(io, slice->host, wanted);
	if (likely(moved == (int64_t)slice->len)) {
		if (!io->to_fd)
			vmmem_slice_written(slice, 0, slice->len);
		return report(ret_done, slice->len, beyond);
	}
	rc = vmmem_io_flat(io, slice, wanted, moved, &done);
	return report(ret_done, done, rc != 0 ? rc : beyond);
}

/* part_of_slice() moves a part of a slice, which is not empty. */
static INLINE int
part_of_slice(const struct vmmem_slice *slice, uint64_t offset, uint64_t len,
	      struct vmmem_io *io, uint64_t *ret_done)
{
	struct vmmem_slice part;
	uint64_t more;
	int beyond = 0, rc;

	if (!vmmem_slice_holds(slice, offset, len)) {
		beyond = VMMEM_EOUTOFRANGE;
		more = offset < slice->len ? slice->len - offset : 0;
		if (!io->some || more == 0)
			return report(ret_done, 0, beyond);
		len = more;
	}
	if (likely((access_of(io) & ~slice->access) == 0)) {
		part = *slice;
	} else {
		rc = vmmem_slice_unasked(slice, offset, len, access_of(io),
					 &part);
		if (rc != 0)
			return report(ret_done, 0, rc);
	}
	part.host = vmmem_slice_host(slice, offset);
	part.len = len;
	part.log_offset += offset;
	rc = flat(io, &part, ret_done);
	return rc != 0 ? rc : beyond;
}

/* move() makes a transfer that is not empty. */
static int
move(struct guest *guest, struct vmmem_io *io, uint64_t *ret_done)
{
	if (guest->slice != NULL)
		return part_of_slice(guest->slice, guest->offset, guest->len,
				     io, ret_done);
	vmmem_chain_skip(&guest->chain, guest->skip);
	return several(guest->collection, &guest->chain, guest->len, io,
		       ret_done, guest->ret_bad);
}

/* any() makes a transfer of no single range, or with more flags than one. */
static __attribute__((__noinline__)) int
any(struct guest *guest, struct vmmem_io *io, uint32_t flags,
    uint64_t *ret_done)
{
	struct vmmem_quiet quiet;
	int rc;

	if ((flags & ~FLAGS_KNOWN) != 0 ||
	    (io->message && (io->some || io->sparse)) ||
	    (io->sparse && guest->slice != NULL))
		return VMMEM_EARGUMENT;
	if (guest->slice == NULL &&
	    (guest->collection == NULL ||
	     (guest->chain.range == NULL && guest->chain.count != 0)))
		return VMMEM_EARGUMENT;
	if (guest->len == 0)
		return report(ret_done, 0, 0);
	if ((flags & VMMEM_IO_NO_SIGNAL) == 0)
		return move(guest, io, ret_done);
	vmmem_quiet_begin(&quiet);
	rc = move(guest, io, ret_done);
	vmmem_quiet_end(&quiet, rc);
	return rc;
}

/* any_range() is any() for one range. */
static __attribute__((__noinline__)) int
any_range(const struct vmmem_collection *collection, uint64_t gpa,
	  uint64_t len, struct vmmem_io *io, uint32_t flags,
	  uint64_t *ret_done)
{
	const struct vmmem_range range = { gpa, len };
	struct guest guest = {
		.collection = collection,
		.chain = { &range, 1, 0 },
		.len = len,
	};

	return any(&guest, io, flags, ret_done);
}

static INLINE int
range_io(const struct vmmem_collection *collection, uint64_t gpa, uint64_t len,
	 int fd, bool to_fd, uint64_t offset, uint32_t flags,
	 uint64_t *ret_done)
{
	struct vmmem_io io = io_of(fd, to_fd, offset, flags);
	const struct vmmem_region *region;
	const struct vmmem_region_entry *entry = NULL;
	struct vmmem_slice slice;
	uint64_t at;

	if (collection != NULL && len != 0 && (flags & ~VMMEM_IO_SOME) == 0)
		entry = vmmem_collection_find_direct(collection, gpa, len,
						     access_of(&io), &at);
	if (!likely(entry != NULL))
		return any_range(collection, gpa, len, &io, flags, ret_done);
	region = vmmem_region_of(entry);
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
	 int fd, bool to_fd, uint64_t file_offset, uint32_t flags,
	 uint64_t *ret_done)
{
	struct vmmem_io io = io_of(fd, to_fd, file_offset, flags);
	struct guest guest = {
		.slice = slice,
		.offset = offset,
		.len = len,
	};

	if (slice != NULL && len != 0 && (flags & ~VMMEM_IO_SOME) == 0)
		return part_of_slice(slice, offset, len, &io, ret_done);
	/* Without a slice it is NULL, as there is no collection either. */
	return any(&guest, &io, flags, ret_done);
}

VMMEM_API int
vmmem_collection_from_fd(const struct vmmem_collection *collection,
			 uint64_t gpa, uint64_t len, int fd,
			 uint64_t file_offset, uint32_t flags,
			 uint64_t *ret_done)
{
	return range_io(collection, gpa, len, fd, FROM_FD, file_offset, flags,
			ret_done);
}

VMMEM_API int
vmmem_collection_to_fd(const struct vmmem_collection *collection, uint64_t gpa,
		       uint64_t len, int fd, uint64_t file_offset,
		       uint32_t flags, uint64_t *ret_done)
{
	return range_io(collection, gpa, len, fd, TO_FD, file_offset, flags,
			ret_done);
}

VMMEM_API int
vmmem_collection_ranges_from_fd(const struct vmmem_collection *collection,
				const struct vmmem_range *ranges, size_t count,
				uint64_t skip, uint64_t len, int fd,
				uint64_t file_offset, uint32_t flags,
				uint64_t *ret_done, uint64_t *ret_bad)
{
	struct vmmem_io io = io_of(fd, FROM_FD, file_offset, flags);
	struct guest guest = {
		.collection = collection,
		.chain = { ranges, count, 0 },
		.skip = skip,
		.ret_bad = ret_bad,
		.len = len,
	};

	return any(&guest, &io, flags, ret_done);
}

VMMEM_API int
vmmem_collection_ranges_to_fd(const struct vmmem_collection *collection,
			      const struct vmmem_range *ranges, size_t count,
			      uint64_t skip, uint64_t len, int fd,
			      uint64_t file_offset, uint32_t flags,
			      uint64_t *ret_done, uint64_t *ret_bad)
{
	struct vmmem_io io = io_of(fd, TO_FD, file_offset, flags);
	struct guest guest = {
		.collection = collection,
		.chain = { ranges, count, 0 },
		.skip = skip,
		.ret_bad = ret_bad,
		.len = len,
	};

	return any(&guest, &io, flags, ret_done);
}

VMMEM_API int
vmmem_slice_from_fd(const struct vmmem_slice *slice, uint64_t offset,
		    uint64_t len, int fd, uint64_t file_offset, uint32_t flags,
		    uint64_t *ret_done)
{
	return slice_io(slice, offset, len, fd, FROM_FD, file_offset, flags,
			ret_done);
}

VMMEM_API int
vmmem_slice_to_fd(const struct vmmem_slice *slice, uint64_t offset,
		  uint64_t len, int fd, uint64_t file_offset, uint32_t flags,
		  uint64_t *ret_done)
{
	return slice_io(slice, offset, len, fd, TO_FD, file_offset, flags,
			ret_done);
}
