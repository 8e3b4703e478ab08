/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The slow path of an access. */
#ifndef ACCESS_PRIV_H
#define ACCESS_PRIV_H

#include <vmmem/collection.h>

#include "map/collection_priv.h"
#include "map/translate.h"

/*
 * vmmem_access_read_slow() and vmmem_access_write_slow() are
 * vmmem_collection_read() and vmmem_collection_write() without the checks of
 * their arguments and without the short cut; 'ret_done' is not NULL.
 */
int vmmem_access_read_slow(const struct vmmem_collection *collection,
			   uint64_t gpa, void *buf, size_t len,
			   uint64_t *ret_done);
int vmmem_access_write_slow(const struct vmmem_collection *collection,
			    uint64_t gpa, const void *buf, size_t len,
			    uint64_t *ret_done);

/*
 * vmmem_access_read_pieces(), vmmem_access_write_pieces() and
 * vmmem_access_fill_pieces() move bytes up to the first byte that is not
 * mapped, not permitted or gone.
 */
int vmmem_access_read_pieces(const struct vmmem_collection *collection,
			     uint64_t gpa, void *buf, size_t len,
			     uint64_t *ret_done);
int vmmem_access_write_pieces(const struct vmmem_collection *collection,
			      uint64_t gpa, const void *buf, size_t len,
			      uint64_t *ret_done);
int vmmem_access_fill_pieces(const struct vmmem_collection *collection,
			     uint64_t gpa, uint64_t len, uint8_t value,
			     uint64_t *ret_done);

/*
 * A step moves the bytes [offset, offset + len) of one entry, which are those
 * of the access from '*done' on, and adds what it moved to '*done'.  It returns
 * 0, VMMEM_EGONE if memory is gone, or what a callback returned.  'place' is
 * how the bytes were found, or NULL in a plain collection.
 */
typedef int (*vmmem_step_fn)(const struct vmmem_region_entry *entry,
			     uint64_t offset, uint64_t len, uint64_t *done,
			     void *context, const struct vmmem_place *place);

/*
 * vmmem_access_walk() makes one step for each region of [gpa, gpa + len), in
 * ascending order, until a byte is not there, does not permit 'access', or a
 * step fails.
 */
int vmmem_access_walk(const struct vmmem_collection *collection, uint64_t gpa,
		      uint64_t len, uint32_t access, vmmem_step_fn step,
		      void *context, uint64_t *ret_done);

/*
 * vmmem_step_written() follows each write to bytes of an entry, from the byte
 * 'at' on.  'place' is how they were found, or NULL in a plain collection.
 */
static inline void
vmmem_step_written(const struct vmmem_region_entry *entry, uint64_t offset,
		   uint64_t len, const struct vmmem_place *place, uint64_t at)
{
	if (place != NULL)
		vmmem_place_written(place, at, len);
	else
		vmmem_mark_written(entry, offset + at, len);
}

#endif
