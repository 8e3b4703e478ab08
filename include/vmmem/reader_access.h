/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/reader_access.h - an access to a space's current map in one call.
 *
 * Each function vmmem_reader_X() does what vmmem_collection_X() of
 * vmmem/access.h or vmmem/atomic.h does, on the space's current map: it is a
 * section of its own, from vmmem_reader_enter() to vmmem_reader_leave().
 * Within a section of the reader it uses the section's map.  A NULL reader is
 * VMMEM_EARGUMENT.
 *
 * Two calls outside of a section may see two different maps.  A caller whose
 * accesses belong together makes one section around all of them.
 *
 * The thread that uses the reader.  No lock is taken, nothing is allocated and
 * nobody is waited for.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_READER_ACCESS_H
#define VMMEM_READER_ACCESS_H

#include <vmmem/base.h>
#include <vmmem/reader.h>

VMMEM_BEGIN_DECLS

/*
 * vmmem_reader_read() and the others of this group move bytes, as the functions
 * of vmmem/access.h with the same endings do.
 */
VMMEM_NODISCARD int vmmem_reader_read(struct vmmem_reader *reader, uint64_t gpa,
				      void *buf, size_t len, size_t *ret_done);
VMMEM_NODISCARD int vmmem_reader_read_some(struct vmmem_reader *reader,
					   uint64_t gpa, void *buf, size_t len,
					   size_t *ret_done);
VMMEM_NODISCARD int vmmem_reader_write(struct vmmem_reader *reader,
				       uint64_t gpa, const void *buf,
				       size_t len, size_t *ret_done);
VMMEM_NODISCARD int vmmem_reader_write_some(struct vmmem_reader *reader,
					    uint64_t gpa, const void *buf,
					    size_t len, size_t *ret_done);
VMMEM_NODISCARD int vmmem_reader_fill(struct vmmem_reader *reader, uint64_t gpa,
				      uint64_t len, uint8_t value,
				      uint64_t *ret_done);
VMMEM_NODISCARD int vmmem_reader_fill_some(struct vmmem_reader *reader,
					   uint64_t gpa, uint64_t len,
					   uint8_t value, uint64_t *ret_done);
VMMEM_NODISCARD int vmmem_reader_copy(struct vmmem_reader *reader,
				      uint64_t target, uint64_t source,
				      uint64_t len, uint64_t *ret_done);

/*
 * vmmem_reader_read_uN() reads one integer in the host's byte order.
 */
VMMEM_NODISCARD int vmmem_reader_read_u8(struct vmmem_reader *reader,
					 uint64_t gpa, uint8_t *ret_value);
VMMEM_NODISCARD int vmmem_reader_read_u16(struct vmmem_reader *reader,
					  uint64_t gpa, uint16_t *ret_value);
VMMEM_NODISCARD int vmmem_reader_read_u32(struct vmmem_reader *reader,
					  uint64_t gpa, uint32_t *ret_value);
VMMEM_NODISCARD int vmmem_reader_read_u64(struct vmmem_reader *reader,
					  uint64_t gpa, uint64_t *ret_value);

/*
 * vmmem_reader_write_uN() writes one integer in the host's byte order.
 */
VMMEM_NODISCARD int vmmem_reader_write_u8(struct vmmem_reader *reader,
					  uint64_t gpa, uint8_t value);
VMMEM_NODISCARD int vmmem_reader_write_u16(struct vmmem_reader *reader,
					   uint64_t gpa, uint16_t value);
VMMEM_NODISCARD int vmmem_reader_write_u32(struct vmmem_reader *reader,
					   uint64_t gpa, uint32_t value);
VMMEM_NODISCARD int vmmem_reader_write_u64(struct vmmem_reader *reader,
					   uint64_t gpa, uint64_t value);

/*
 * Loads and stores, as vmmem/atomic.h has them.  All other atomics are made
 * with vmmem_collection_...(), in a section of the caller's.
 */
VMMEM_NODISCARD int vmmem_reader_load_u8(struct vmmem_reader *reader,
					 uint64_t gpa, int order,
					 uint8_t *ret_value);
VMMEM_NODISCARD int vmmem_reader_load_u16(struct vmmem_reader *reader,
					  uint64_t gpa, int order,
					  uint16_t *ret_value);
VMMEM_NODISCARD int vmmem_reader_load_u32(struct vmmem_reader *reader,
					  uint64_t gpa, int order,
					  uint32_t *ret_value);
VMMEM_NODISCARD int vmmem_reader_load_u64(struct vmmem_reader *reader,
					  uint64_t gpa, int order,
					  uint64_t *ret_value);
VMMEM_NODISCARD int vmmem_reader_store_u8(struct vmmem_reader *reader,
					  uint64_t gpa, uint8_t value,
					  int order);
VMMEM_NODISCARD int vmmem_reader_store_u16(struct vmmem_reader *reader,
					   uint64_t gpa, uint16_t value,
					   int order);
VMMEM_NODISCARD int vmmem_reader_store_u32(struct vmmem_reader *reader,
					   uint64_t gpa, uint32_t value,
					   int order);
VMMEM_NODISCARD int vmmem_reader_store_u64(struct vmmem_reader *reader,
					   uint64_t gpa, uint64_t value,
					   int order);

VMMEM_END_DECLS

#endif
