/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/slice.h - a checked window into one piece of guest memory.
 *
 * A device looks its ring up once and holds on to the slice: from then on an
 * access is a comparison and a load.  A slice knows where the memory is, how
 * long it is, what may be done with it, and where writes are logged.  It is a
 * plain struct of the caller's, to be copied and dropped at will; only a slice
 * that vmmem_region_slice(), vmmem_collection_slice() or
 * vmmem_collection_next_slice() gave must be released.
 *
 * A slice is good as long as the reference to the region or collection it came
 * from.  Any number of threads may use one at once.
 *
 * Every function checks its range against the slice.  Offsets are in bytes
 * from the slice's start; zero bytes at any offset succeed and do nothing.
 * Codes that the functions on a slice return:
 *   VMMEM_EOUTOFRANGE  the range does not lie within the slice
 *   VMMEM_EDENIED      the slice does not permit the access
 *   VMMEM_EARGUMENT    a pointer that must not be is NULL
 *   VMMEM_EPRIVATE     a byte of the range is private to the guest by now
 *                      (vmmem/private.h)
 *   VMMEM_EGONE        the memory is gone; only after vmmem_fault_enable()
 * On failure nothing is moved and no output is written, except with
 * VMMEM_EGONE: bytes before the failure may have been moved.
 *
 * No access tears, as vmmem/access.h says: an aligned group of 1, 2, 4 or 8
 * bytes is one access, whatever function moves it.  Every write is marked in
 * the region's bitmap while logging is on.  No function takes a lock
 * or allocates; all may run in a signal handler.
 *
 * <vmmem/inline.h> compiles the integer and atomic functions, and
 * vmmem_slice_sub(), into the caller.  struct vmmem_slice is one of the two
 * layouts that programs may read; it is frozen with 1.0.
 *
 * Bindings: read the members where they lie, and do not copy the struct just
 * after the call that filled it.  A copy reads with wide loads what the call
 * wrote with narrow stores, and waits for them: several nanoseconds.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_SLICE_H
#define VMMEM_SLICE_H

#include <vmmem/base.h>
#include <vmmem/collection.h>
#include <vmmem/region.h>

VMMEM_BEGIN_DECLS

/*
 * In 'access' of a slice: every access is a call of the library, from
 * <vmmem/inline.h> too.  The library sets it, and no caller asks for it.
 * Slices have it that are made while faults are caught (vmmem/fault.h), and all
 * slices of a regular file without F_SEAL_SHRINK, which somebody may cut
 * short.  Since: 0.9.
 */
#define VMMEM_SLICE_CALL 0x40U

/*
 * In 'access' of a slice, in place of VMMEM_PROT_READ and VMMEM_PROT_WRITE:
 * every access asks whether its bytes are private now, and returns
 * VMMEM_EPRIVATE if one is.  Slices of regions with a guest_memfd have these
 * (vmmem/private.h).  Programs do not access such a slice through 'host'.
 * Since: 0.9.
 */
#define VMMEM_SLICE_ASK_READ 0x100U
#define VMMEM_SLICE_ASK_WRITE 0x200U

/*
 * In 'flags' of a slice: memory was mapped for it, and its release unmaps it.
 */
#define VMMEM_SLICE_FLAG_ACQUIRED 1U

/*
 * struct vmmem_slice: programs may read every member except 'logging',
 * 'log_offset' and 'reserved', which are the library's.  'logging' points to a
 * word that is not 0 while writes are to be marked; it is never NULL.  A
 * caller that writes through 'host' calls vmmem_slice_mark() afterwards.
 *
 * 'region' is borrowed from where the slice came from.  If a slice joins
 * several regions, 'region' is the region of the first byte.  'gpa' is the
 * first byte's guest physical address in 'region': through an iommu the
 * address that the translation led to.  A slice of zero bytes has no region,
 * and its 'gpa' is 0.
 *
 * It is 64 bytes, a cache line.  Since: 0.9 in this form.
 */
struct vmmem_slice {
	void *host;		     /* of the first byte; NULL if len is 0 */
	uint64_t len;		     /* in bytes */
	const uint32_t *logging;     /* the library's */
	uint64_t log_offset;	     /* of the first byte, in the bitmap */
	uint32_t access;	     /* VMMEM_PROT_..., VMMEM_SLICE_... */
	uint32_t flags;		     /* VMMEM_SLICE_FLAG_... */
	struct vmmem_region *region; /* of the first byte; or NULL */
	uint64_t gpa;		     /* of the first byte */
	uint64_t reserved;	     /* the library's */
};

/*
 * vmmem_region_slice() gives the slice [offset, offset + len) of 'region', for
 * 'access', a set of VMMEM_PROT_READ and VMMEM_PROT_WRITE.  A region whose
 * memory is mapped on demand maps it now.
 *
 * Returns 0, or
 *   VMMEM_EOUTOFRANGE  the range does not lie within the region
 *   VMMEM_EDENIED      the region does not permit 'access'
 *   VMMEM_EPRIVATE     a byte of the range is private to the guest
 *   VMMEM_ENOHOST      a custom region that has no host address to give
 *   VMMEM_ECONGRUENCE  acquire() stored a host address that differs from the
 *                      guest address modulo 16
 *   VMMEM_ECALLBACK    acquire() returned a positive value
 *   VMMEM_EARGUMENT    'region' or 'ret_slice' is NULL, 'access' has an unknown
 *                      bit, or acquire() stored NULL
 *   what acquire() returned
 */
VMMEM_NODISCARD int
vmmem_region_slice(struct vmmem_region *region, uint64_t offset, uint64_t len,
		   uint32_t access, struct vmmem_slice *ret_slice);

/*
 * vmmem_collection_slice() gives the slice of the guest's [gpa, gpa + len),
 * which must lie within one region.
 *
 * Returns 0, what vmmem_region_slice() returns except VMMEM_EOUTOFRANGE, or
 *   VMMEM_EBADADDR  a byte of the range lies in no region
 *   VMMEM_EWRAPS    the range passes 2^64 and is mapped up to there
 *   VMMEM_ECROSS    the range is mapped, by more than one region
 */
VMMEM_NODISCARD int
vmmem_collection_slice(const struct vmmem_collection *collection, uint64_t gpa,
		       uint64_t len, uint32_t access,
		       struct vmmem_slice *ret_slice);

/*
 * vmmem_collection_next_slice() gives the longest slice that begins at 'gpa'
 * and is no longer than 'len'.  Regions that touch are joined where they lie
 * side by side in host memory too and are logged side by side in one bitmap,
 * or not at all.  To walk over a range:
 *
 *     for (; len != 0; gpa += step, len -= step) {
 *             rc = vmmem_collection_next_slice(map, gpa, len, access, &slice);
 *             if (rc != 0)
 *                     break;
 *             ...
 *             step = slice.len;
 *             vmmem_slice_release(&slice);
 *     }
 *
 * Returns 0, what vmmem_region_slice() returns except VMMEM_EOUTOFRANGE, or
 *   VMMEM_EBADADDR  the byte at 'gpa' lies in no region
 *   VMMEM_EWRAPS    the range passes 2^64 and is mapped up to there
 */
VMMEM_NODISCARD int
vmmem_collection_next_slice(const struct vmmem_collection *collection,
			    uint64_t gpa, uint64_t len, uint32_t access,
			    struct vmmem_slice *ret_slice);

/*
 * vmmem_slice_from_host() gives a slice of the caller's own 'len' bytes at
 * 'host', for 'access': for a test of a device, or a bounce buffer that is to
 * be used as guest memory is.  It has no region and its 'gpa' is 0, which the
 * caller may change; nothing is ever logged.  The host address of a value
 * decides whether it is aligned.  The memory stays the caller's, and needs no
 * release.
 *
 * Returns 0, or
 *   VMMEM_EWRAPS     the bytes pass the end of the address space
 *   VMMEM_EARGUMENT  'host' is NULL and 'len' is not 0, 'ret_slice' is NULL, or
 *                    'access' has an unknown bit
 * Since: 0.9.
 */
VMMEM_NODISCARD int vmmem_slice_from_host(void *host, uint64_t len,
					  uint32_t access,
					  struct vmmem_slice *ret_slice);

/*
 * vmmem_slice_bitmap() returns the bitmap in which writes through 'slice' are
 * marked while logging is on, and stores where in it the first byte is, in
 * 'ret_offset', which may be NULL: the region's bitmap, or the log of an iommu.
 * The bitmap is borrowed, and good as long as the slice.  NULL for NULL and for
 * a slice that is never logged; nothing is stored then.  Since: 0.9.
 */
struct vmmem_bitmap *vmmem_slice_bitmap(const struct vmmem_slice *slice,
					uint64_t *ret_offset);

/*
 * vmmem_slice_release() gives a slice back, when neither it nor a slice made
 * from it is used any more, by any thread.  For memory that was mapped on
 * demand this calls the region's release(); for any other, and for a slice
 * made from a slice, there is nothing to call.
 *
 * Afterwards '*slice' is a slice of zero bytes, whatever the memory: 'host' and
 * 'region' are NULL and 'len' is 0, so that any access to a byte of it is
 * VMMEM_EOUTOFRANGE, and releasing it again does nothing.  A struct of zeros
 * may be released too, and becomes the same; so one that is zeros from the
 * start may be released on every path.  A copy of the struct is not changed:
 * of all copies of a slice that was acquired, one is released.  NULL is a
 * no-op.
 */
void vmmem_slice_release(struct vmmem_slice *slice);

/*
 * vmmem_slice_sub() gives the part [offset, offset + len) of 'slice'.
 * 'ret_slice' may be 'slice' itself, unless that must be released.
 */
VMMEM_NODISCARD int vmmem_slice_sub(const struct vmmem_slice *slice,
				    uint64_t offset, uint64_t len,
				    struct vmmem_slice *ret_slice);

/* vmmem_slice_skip() gives what follows the first 'offset' bytes. */
VMMEM_NODISCARD int vmmem_slice_skip(const struct vmmem_slice *slice,
				     uint64_t offset,
				     struct vmmem_slice *ret_slice);

/* vmmem_slice_split() gives the first 'at' bytes, and what follows them. */
VMMEM_NODISCARD int vmmem_slice_split(const struct vmmem_slice *slice,
				      uint64_t at,
				      struct vmmem_slice *ret_first,
				      struct vmmem_slice *ret_second);

/*
 * vmmem_slice_mark() marks [offset, offset + len) as written if logging is on.
 * A caller that writes through 'host' calls it after the write.
 */
int vmmem_slice_mark(const struct vmmem_slice *slice, uint64_t offset,
		     uint64_t len);

/* vmmem_slice_read() copies [offset, offset + len) to 'buf'. */
VMMEM_NODISCARD int vmmem_slice_read(const struct vmmem_slice *slice,
				     uint64_t offset, void *buf, size_t len);

/* vmmem_slice_write() copies 'len' bytes from 'buf' to 'offset'. */
VMMEM_NODISCARD int vmmem_slice_write(const struct vmmem_slice *slice,
				      uint64_t offset, const void *buf,
				      size_t len);

/*
 * vmmem_slice_read_some() copies the bytes from 'offset' on, up to 'len' and
 * to the slice's end.  'ret_done', which may be NULL, gets the count with each
 * code except VMMEM_EARGUMENT.  VMMEM_EOUTOFRANGE: the slice had less than
 * 'len'.
 */
VMMEM_NODISCARD int vmmem_slice_read_some(const struct vmmem_slice *slice,
					  uint64_t offset, void *buf,
					  size_t len, size_t *ret_done);

/* vmmem_slice_write_some() is the same for writing. */
VMMEM_NODISCARD int vmmem_slice_write_some(const struct vmmem_slice *slice,
					   uint64_t offset, const void *buf,
					   size_t len, size_t *ret_done);

/* vmmem_slice_fill() sets [offset, offset + len) to 'value'. */
VMMEM_NODISCARD int vmmem_slice_fill(const struct vmmem_slice *slice,
				     uint64_t offset, uint64_t len,
				     uint8_t value);

/*
 * vmmem_slice_copy() copies 'len' bytes from one slice to another, or within
 * one.  They may overlap: the target ends up with what the source held before.
 * The library does not know that two mappings of the same bytes at different
 * host addresses overlap: the bytes of the target are then not defined.
 */
VMMEM_NODISCARD int vmmem_slice_copy(const struct vmmem_slice *target,
				     uint64_t target_offset,
				     const struct vmmem_slice *source,
				     uint64_t source_offset, uint64_t len);

/*
 * The slice as an array of elements of 'element_size' bytes each, from its
 * start on: integers, descriptors, any struct.  These move elements [index,
 * index + count), and besides the codes above return
 *   VMMEM_EARGUMENT  'element_size' is 0
 *   VMMEM_ETOOBIG    'count' is not 0, and (index + count) * element_size is
 *                    2^64 or more
 * An element of 1, 2, 4 or 8 bytes at an aligned address is one access.
 */
VMMEM_NODISCARD int
vmmem_slice_read_elements(const struct vmmem_slice *slice, uint64_t index,
			  size_t element_size, size_t count, void *buf);
VMMEM_NODISCARD int
vmmem_slice_write_elements(const struct vmmem_slice *slice, uint64_t index,
			   size_t element_size, size_t count, const void *buf);

/*
 * vmmem_slice_copy_elements() copies 'count' elements from one array to
 * another; they may overlap.
 */
VMMEM_NODISCARD int
vmmem_slice_copy_elements(const struct vmmem_slice *target,
			  uint64_t target_index,
			  const struct vmmem_slice *source,
			  uint64_t source_index, size_t element_size,
			  size_t count);

/* vmmem_slice_load_element() reads one element. */
VMMEM_NODISCARD int
vmmem_slice_load_element(const struct vmmem_slice *slice, uint64_t index,
			 size_t element_size, void *ret_element);

/* vmmem_slice_store_element() writes one element. */
VMMEM_NODISCARD int
vmmem_slice_store_element(const struct vmmem_slice *slice, uint64_t index,
			  size_t element_size, const void *element);

/*
 * vmmem_slice_read_uN() reads one integer at 'offset', which need not be
 * aligned, in the host's byte order; for others see vmmem/endian_access.h.
 */
VMMEM_NODISCARD int vmmem_slice_read_u8(const struct vmmem_slice *slice,
					uint64_t offset, uint8_t *ret_value);
VMMEM_NODISCARD int vmmem_slice_read_u16(const struct vmmem_slice *slice,
					 uint64_t offset, uint16_t *ret_value);
VMMEM_NODISCARD int vmmem_slice_read_u32(const struct vmmem_slice *slice,
					 uint64_t offset, uint32_t *ret_value);
VMMEM_NODISCARD int vmmem_slice_read_u64(const struct vmmem_slice *slice,
					 uint64_t offset, uint64_t *ret_value);

/*
 * vmmem_slice_write_uN() writes one integer at 'offset', which need not be
 * aligned, in the host's byte order.
 */
VMMEM_NODISCARD int vmmem_slice_write_u8(const struct vmmem_slice *slice,
					 uint64_t offset, uint8_t value);
VMMEM_NODISCARD int vmmem_slice_write_u16(const struct vmmem_slice *slice,
					  uint64_t offset, uint16_t value);
VMMEM_NODISCARD int vmmem_slice_write_u32(const struct vmmem_slice *slice,
					  uint64_t offset, uint32_t value);
VMMEM_NODISCARD int vmmem_slice_write_u64(const struct vmmem_slice *slice,
					  uint64_t offset, uint64_t value);

VMMEM_END_DECLS

#endif
