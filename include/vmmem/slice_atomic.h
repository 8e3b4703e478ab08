/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/slice_atomic.h - atomic operations on a slice.
 *
 * They are the operations of vmmem/atomic.h, with an offset into the slice in
 * place of a guest address.  That header says what each does and which orders
 * it takes.
 * <vmmem/inline.h> compiles them into the caller.
 *
 * Codes that all of them return:
 *   VMMEM_EORDER       the order is unknown, or not one that the operation can
 *                      have
 *   VMMEM_EOUTOFRANGE  the value does not lie within the slice
 *   VMMEM_EMISALIGNED  the guest address of the value is not a multiple of its
 *                      size
 *   VMMEM_EDENIED      the slice does not permit the access: loading needs
 *                      reading, storing needs writing, all others need both
 *   VMMEM_EPRIVATE     a byte of the value is private to the guest by now
 *                      (vmmem/private.h)
 *   VMMEM_EARGUMENT    a pointer that must not be is NULL
 *   VMMEM_EGONE        the memory is gone; only after vmmem_fault_enable()
 * Where several apply, the first of EARGUMENT, EORDER, EOUTOFRANGE,
 * EMISALIGNED, EDENIED, EPRIVATE is returned.  On failure memory and outputs
 * are untouched.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_SLICE_ATOMIC_H
#define VMMEM_SLICE_ATOMIC_H

#include <vmmem/atomic.h>
#include <vmmem/base.h>
#include <vmmem/slice.h>

VMMEM_BEGIN_DECLS

/* vmmem_slice_load_uN() loads the value at 'offset'. */
VMMEM_NODISCARD int
vmmem_slice_load_u8(const struct vmmem_slice *slice, uint64_t offset, int order,
		    uint8_t *ret_value);
VMMEM_NODISCARD int
vmmem_slice_load_u16(const struct vmmem_slice *slice, uint64_t offset,
		     int order, uint16_t *ret_value);
VMMEM_NODISCARD int
vmmem_slice_load_u32(const struct vmmem_slice *slice, uint64_t offset,
		     int order, uint32_t *ret_value);
VMMEM_NODISCARD int
vmmem_slice_load_u64(const struct vmmem_slice *slice, uint64_t offset,
		     int order, uint64_t *ret_value);

/* vmmem_slice_store_uN() stores 'value' at 'offset'. */
VMMEM_NODISCARD int
vmmem_slice_store_u8(const struct vmmem_slice *slice, uint64_t offset,
		     uint8_t value, int order);
VMMEM_NODISCARD int
vmmem_slice_store_u16(const struct vmmem_slice *slice, uint64_t offset,
		      uint16_t value, int order);
VMMEM_NODISCARD int
vmmem_slice_store_u32(const struct vmmem_slice *slice, uint64_t offset,
		      uint32_t value, int order);
VMMEM_NODISCARD int
vmmem_slice_store_u64(const struct vmmem_slice *slice, uint64_t offset,
		      uint64_t value, int order);

/*
 * vmmem_slice_exchange_uN() stores 'value' and gives back what was there.
 * 'ret_previous' may be NULL.
 */
VMMEM_NODISCARD int
vmmem_slice_exchange_u8(const struct vmmem_slice *slice, uint64_t offset,
			uint8_t value, int order, uint8_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_exchange_u16(const struct vmmem_slice *slice, uint64_t offset,
			 uint16_t value, int order, uint16_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_exchange_u32(const struct vmmem_slice *slice, uint64_t offset,
			 uint32_t value, int order, uint32_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_exchange_u64(const struct vmmem_slice *slice, uint64_t offset,
			 uint64_t value, int order, uint64_t *ret_previous);

/*
 * vmmem_slice_compare_exchange_uN() stores 'desired' if 'expected' is there,
 * and gives back what was there.  The page is marked only if it stored.
 */
VMMEM_NODISCARD int
vmmem_slice_compare_exchange_u8(const struct vmmem_slice *slice,
				uint64_t offset, uint8_t expected,
				uint8_t desired, int success, int failure,
				uint8_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_compare_exchange_u16(const struct vmmem_slice *slice,
				 uint64_t offset, uint16_t expected,
				 uint16_t desired, int success, int failure,
				 uint16_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_compare_exchange_u32(const struct vmmem_slice *slice,
				 uint64_t offset, uint32_t expected,
				 uint32_t desired, int success, int failure,
				 uint32_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_compare_exchange_u64(const struct vmmem_slice *slice,
				 uint64_t offset, uint64_t expected,
				 uint64_t desired, int success, int failure,
				 uint64_t *ret_previous);

/*
 * vmmem_slice_fetch_add_uN() adds 'operand', modulo 2^N,
 * and gives back what was there.  'ret_previous' may be NULL.
 */
VMMEM_NODISCARD int
vmmem_slice_fetch_add_u8(const struct vmmem_slice *slice, uint64_t offset,
			 uint8_t operand, int order, uint8_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_fetch_add_u16(const struct vmmem_slice *slice, uint64_t offset,
			  uint16_t operand, int order, uint16_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_fetch_add_u32(const struct vmmem_slice *slice, uint64_t offset,
			  uint32_t operand, int order, uint32_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_fetch_add_u64(const struct vmmem_slice *slice, uint64_t offset,
			  uint64_t operand, int order, uint64_t *ret_previous);

/*
 * vmmem_slice_fetch_or_uN() sets the bits of 'operand'
 * and gives back what was there.  'ret_previous' may be NULL.
 */
VMMEM_NODISCARD int
vmmem_slice_fetch_or_u8(const struct vmmem_slice *slice, uint64_t offset,
			uint8_t operand, int order, uint8_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_fetch_or_u16(const struct vmmem_slice *slice, uint64_t offset,
			 uint16_t operand, int order, uint16_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_fetch_or_u32(const struct vmmem_slice *slice, uint64_t offset,
			 uint32_t operand, int order, uint32_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_fetch_or_u64(const struct vmmem_slice *slice, uint64_t offset,
			 uint64_t operand, int order, uint64_t *ret_previous);

/*
 * vmmem_slice_fetch_and_uN() clears the bits that are not in 'operand'
 * and gives back what was there.  'ret_previous' may be NULL.
 */
VMMEM_NODISCARD int
vmmem_slice_fetch_and_u8(const struct vmmem_slice *slice, uint64_t offset,
			 uint8_t operand, int order, uint8_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_fetch_and_u16(const struct vmmem_slice *slice, uint64_t offset,
			  uint16_t operand, int order, uint16_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_fetch_and_u32(const struct vmmem_slice *slice, uint64_t offset,
			  uint32_t operand, int order, uint32_t *ret_previous);
VMMEM_NODISCARD int
vmmem_slice_fetch_and_u64(const struct vmmem_slice *slice, uint64_t offset,
			  uint64_t operand, int order, uint64_t *ret_previous);

/*
 * The functions below are for the bodies of <vmmem/inline.h>, which call them
 * outside the good case, and for no other use.  Each does what the exported
 * function does that 'code' stands for: the size in bytes, with 0x40 if it is
 * one of vmmem/slice.h that reads or writes; 0x100 for an exchange, 0x200 for
 * fetch_add, 0x300 for fetch_or, 0x400 for fetch_and.  An unknown 'code' is
 * VMMEM_EARGUMENT.
 * Since: 0.9.
 */
VMMEM_NODISCARD int vmmem_inline_call_load(const struct vmmem_slice *slice,
					   uint64_t offset, uint32_t code,
					   int order, void *ret_value);
VMMEM_NODISCARD int vmmem_inline_call_store(const struct vmmem_slice *slice,
					    uint64_t offset, uint32_t code,
					    int order, uint64_t value);
VMMEM_NODISCARD int vmmem_inline_call_modify(const struct vmmem_slice *slice,
					     uint64_t offset, uint32_t code,
					     int order, uint64_t operand,
					     void *ret_previous);
VMMEM_NODISCARD int
vmmem_inline_call_compare_exchange(const struct vmmem_slice *slice,
				   uint64_t offset, uint32_t code,
				   int success, int failure,
				   uint64_t expected, uint64_t desired,
				   void *ret_previous);
VMMEM_NODISCARD int vmmem_inline_call_sub(const struct vmmem_slice *slice,
					  uint64_t offset, uint64_t len,
					  struct vmmem_slice *ret_slice);

VMMEM_END_DECLS

#endif
