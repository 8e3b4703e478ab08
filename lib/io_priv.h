/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Moving bytes between a descriptor and guest memory. */
#ifndef IO_PRIV_H
#define IO_PRIV_H

#include <stdbool.h>

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
 * vmmem_io_flat() moves all of a slice, which permits it and is not empty.
 * Returns 0, or what ended it before; in any case how far it came.
 */
int vmmem_io_flat(struct vmmem_io *io, const struct vmmem_slice *slice,
		  uint64_t *ret_done);

/*
 * vmmem_io_ranges() moves the first 'len' bytes, more than 0, of ranges that
 * are mapped and permit it.  Returns as vmmem_io_flat() does.
 */
int vmmem_io_ranges(struct vmmem_io *io,
		    const struct vmmem_collection *collection,
		    const struct vmmem_range *ranges, uint64_t len,
		    uint64_t *ret_done);

#endif
