/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/access.h - reading and writing guest memory by guest physical
 * address.
 *
 * Every function works on a range that may run from one region into the next.
 * The plain forms are all or nothing: the whole range is checked first, and if
 * a byte of it is not mapped or does not permit the access, no byte is moved.
 * The _some forms move bytes up to the first byte that cannot be moved.
 * vmmem_collection_check() tells where that byte lies.
 *
 * Codes that all of them return:
 *   VMMEM_EBADADDR   a byte of the range lies in no region
 *   VMMEM_EDENIED    a byte of the range does not permit the access
 *   VMMEM_EPRIVATE   a byte of the range is private to the guest
 *                    (vmmem/private.h)
 *   VMMEM_EWRAPS     the range passes 2^64 and is mapped up to there
 *   VMMEM_EARGUMENT  'collection', or another pointer that must not be, is NULL
 *   VMMEM_EGONE      the memory is gone; only after vmmem_fault_enable() (see
 *                    vmmem/fault.h), else a signal is raised
 *   VMMEM_ECALLBACK  a custom region's callback returned a positive value
 *   VMMEM_ECONGRUENCE, VMMEM_EARGUMENT
 *                    a custom region's acquire() stored a host address that
 *                    differs from the guest address modulo 16, or NULL
 *   what a custom region's callback returned.  This and VMMEM_EGONE are the
 *   two ways in which a plain form can stop part-way.  The bytes before were
 *   then moved, and 'ret_done' tells how many.
 *
 * 'ret_done', where there is one, gets the number of bytes moved, with 0 and
 * with any code, except if an argument is NULL that must not be.  It may be
 * NULL.
 *
 * An access of 1, 2, 4 or 8 bytes at a guest address that is a multiple of its
 * size is one access to memory, which no other thread, vCPU or device ever
 * sees half done; however the caller's buffer is aligned.  So is each aligned
 * group of 8 bytes within a longer one.  (A group of which a part lies in
 * another region is one access for each region.)  Between groups the order of
 * accesses is not promised: use vmmem/atomic.h to publish data.
 *
 * Any thread that holds a reference to the collection, also in a signal
 * handler: no lock is taken and nothing is allocated.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_ACCESS_H
#define VMMEM_ACCESS_H

#include <vmmem/base.h>
#include <vmmem/collection.h>

VMMEM_BEGIN_DECLS

/*
 * vmmem_collection_read() copies the guest's [gpa, gpa + len) to 'buf', all of
 * it or nothing.  'buf' may be NULL if 'len' is 0.
 */
VMMEM_NODISCARD int
vmmem_collection_read(const struct vmmem_collection *collection, uint64_t gpa,
		      void *buf, size_t len, size_t *ret_done);

/*
 * vmmem_collection_read_some() copies as many bytes from 'gpa' on as it can,
 * up to 'len', to 'buf'.  Returns 0 if that was all; else the code says why
 * the byte at gpa + *ret_done could not be read.
 */
VMMEM_NODISCARD int
vmmem_collection_read_some(const struct vmmem_collection *collection,
			   uint64_t gpa, void *buf, size_t len,
			   size_t *ret_done);

/*
 * vmmem_collection_write() copies 'len' bytes from 'buf' to the guest's
 * [gpa, gpa + len), all of it or nothing.  'buf' may be NULL if 'len' is 0.
 */
VMMEM_NODISCARD int
vmmem_collection_write(const struct vmmem_collection *collection, uint64_t gpa,
		       const void *buf, size_t len, size_t *ret_done);

/*
 * vmmem_collection_write_some() copies as many bytes to 'gpa' and on as it
 * can, up to 'len', from 'buf'.  Returns 0 if that was all; else the code says
 * why the byte at gpa + *ret_done could not be written.
 */
VMMEM_NODISCARD int
vmmem_collection_write_some(const struct vmmem_collection *collection,
			    uint64_t gpa, const void *buf, size_t len,
			    size_t *ret_done);

/*
 * vmmem_collection_read_with() and vmmem_collection_write_with() are
 * vmmem_collection_read() and vmmem_collection_write(), with 'info' about the
 * access, which may be NULL.  Callbacks of custom regions get 'info'.
 *
 * VMMEM_ACCESS_DEBUG: the call also writes memory that is read-only for the
 * guest, say for a debugger's breakpoint, if the memory itself can be written:
 * an alias of writable memory, and a custom region that has write() or
 * acquire().  Any other read-only memory is VMMEM_EDENIED.  Bytes that are
 * written are marked.
 *
 * Of a translated collection the translation need not permit anything either:
 * it must be there, and is asked for like that of an access that needs no
 * permission.
 *
 * VMMEM_ACCESS_RAM_ONLY: no callback of a region is called, so that a search or
 * a dump changes no device.  A translated collection's miss handler is asked.
 *
 * Returns what these two functions return, and
 *   VMMEM_ENOHOST    VMMEM_ACCESS_RAM_ONLY, and a byte has no host address;
 *                    nothing was moved
 *   VMMEM_EARGUMENT  'info' has an unknown flag
 *   VMMEM_ESTRUCTSIZE, VMMEM_ESTRUCTNEWER
 *                    the size of 'info' is wrong, or it has members set that
 *                    this library does not know
 * With these two and VMMEM_EARGUMENT 'ret_done' is not written.  Since: 0.9.
 */
VMMEM_NODISCARD int
vmmem_collection_read_with(const struct vmmem_collection *collection,
			   uint64_t gpa, void *buf, size_t len,
			   const struct vmmem_access_info *info,
			   size_t *ret_done);
VMMEM_NODISCARD int
vmmem_collection_write_with(const struct vmmem_collection *collection,
			    uint64_t gpa, const void *buf, size_t len,
			    const struct vmmem_access_info *info,
			    size_t *ret_done);

/*
 * vmmem_collection_fill() sets each byte of the guest's [gpa, gpa + len) to
 * 'value', all of it or nothing.
 */
VMMEM_NODISCARD int
vmmem_collection_fill(const struct vmmem_collection *collection, uint64_t gpa,
		      uint64_t len, uint8_t value, uint64_t *ret_done);

/*
 * vmmem_collection_fill_some() sets bytes from 'gpa' on to 'value', as many as
 * it can, up to 'len'.  Returns 0 if that was all; else the code says why the
 * byte at gpa + *ret_done could not be written.
 */
VMMEM_NODISCARD int
vmmem_collection_fill_some(const struct vmmem_collection *collection,
			   uint64_t gpa, uint64_t len, uint8_t value,
			   uint64_t *ret_done);

/*
 * vmmem_collection_copy() copies the guest's [source, source + len) to
 * [target, target + len), all of it or nothing.  The ranges may overlap: the
 * target ends up with what the source held before.  That holds for guest
 * addresses.  Where two ranges meet only through an alias, the bytes of the
 * target are not defined; the copy never leaves the two ranges.
 *
 * When a callback or a fault stops it part-way, the '*ret_done' bytes that were
 * copied are the first ones, or the last ones if target > source and they
 * overlap.
 */
VMMEM_NODISCARD int
vmmem_collection_copy(const struct vmmem_collection *collection,
		      uint64_t target, uint64_t source, uint64_t len,
		      uint64_t *ret_done);

/*
 * vmmem_collection_read_uN() reads one integer at 'gpa', which need not be
 * aligned, in the host's byte order; for others see vmmem/endian_access.h.  On
 * failure 'ret_value' is not written.
 */
VMMEM_NODISCARD int
vmmem_collection_read_u8(const struct vmmem_collection *collection,
			 uint64_t gpa, uint8_t *ret_value);
VMMEM_NODISCARD int
vmmem_collection_read_u16(const struct vmmem_collection *collection,
			  uint64_t gpa, uint16_t *ret_value);
VMMEM_NODISCARD int
vmmem_collection_read_u32(const struct vmmem_collection *collection,
			  uint64_t gpa, uint32_t *ret_value);
VMMEM_NODISCARD int
vmmem_collection_read_u64(const struct vmmem_collection *collection,
			  uint64_t gpa, uint64_t *ret_value);

/*
 * vmmem_collection_write_uN() writes one integer at 'gpa', which need not be
 * aligned, in the host's byte order.
 */
VMMEM_NODISCARD int
vmmem_collection_write_u8(const struct vmmem_collection *collection,
			  uint64_t gpa, uint8_t value);
VMMEM_NODISCARD int
vmmem_collection_write_u16(const struct vmmem_collection *collection,
			   uint64_t gpa, uint16_t value);
VMMEM_NODISCARD int
vmmem_collection_write_u32(const struct vmmem_collection *collection,
			   uint64_t gpa, uint32_t value);
VMMEM_NODISCARD int
vmmem_collection_write_u64(const struct vmmem_collection *collection,
			   uint64_t gpa, uint64_t value);

VMMEM_END_DECLS

#endif
