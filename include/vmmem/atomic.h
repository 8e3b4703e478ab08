/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/atomic.h - atomic operations on guest memory, by guest physical
 * address.  They publish data to vCPUs and devices, and take it from them.
 *
 * Values are in the host's byte order.  vmmem/endian_access.h has loads and
 * stores in others, and for all else callers convert with vmmem/endian.h.
 * Each function is there for 8, 16, 32 and 64 bits.  The address must be a
 * multiple of the size, and the value must lie within one region that has a
 * host address.
 *
 * Codes that all of them return:
 *   VMMEM_EBADADDR     a byte of the value lies in no region
 *   VMMEM_EMISALIGNED  'gpa' is not a multiple of the size
 *   VMMEM_ECROSS       the value is mapped, by more than one region
 *   VMMEM_EDENIED      the region does not permit the access: loading needs
 *                      reading, storing needs writing, all others need both
 *   VMMEM_ENOHOST      a custom region without a host address
 *   VMMEM_EPRIVATE     a byte of the value is private to the guest
 *                      (vmmem/private.h)
 *   VMMEM_EGONE        the memory is gone; only after vmmem_fault_enable()
 *   VMMEM_EORDER       the order is unknown, or not one that the operation can
 *                      have
 *   VMMEM_EWRAPS       the value would pass 2^64
 *   VMMEM_EARGUMENT    a pointer is NULL
 * Where several apply, the first of EARGUMENT, EORDER, EBADADDR, EWRAPS,
 * ECROSS, EMISALIGNED, EDENIED, ENOHOST, EPRIVATE, EGONE is returned.  On
 * failure memory and outputs are untouched.
 *
 * Any thread that holds a reference to the collection, also in a signal
 * handler: no lock is taken and nothing is allocated.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_ATOMIC_H
#define VMMEM_ATOMIC_H

#include <vmmem/base.h>
#include <vmmem/collection.h>

VMMEM_BEGIN_DECLS

/*
 * Memory orders, with the meaning and the numbers that C11's memory_order has
 * in gcc and clang.  Consume, 1, is not among them: it is VMMEM_EORDER.
 */
#define VMMEM_ORDER_RELAXED 0
#define VMMEM_ORDER_ACQUIRE 2
#define VMMEM_ORDER_RELEASE 3
#define VMMEM_ORDER_ACQ_REL 4
#define VMMEM_ORDER_SEQ_CST 5

/*
 * vmmem_collection_load_uN() loads the value at 'gpa'.  The order is RELAXED,
 * ACQUIRE or SEQ_CST.
 */
VMMEM_NODISCARD int
vmmem_collection_load_u8(const struct vmmem_collection *collection,
			 uint64_t gpa, int order, uint8_t *ret_value);
VMMEM_NODISCARD int
vmmem_collection_load_u16(const struct vmmem_collection *collection,
			  uint64_t gpa, int order, uint16_t *ret_value);
VMMEM_NODISCARD int
vmmem_collection_load_u32(const struct vmmem_collection *collection,
			  uint64_t gpa, int order, uint32_t *ret_value);
VMMEM_NODISCARD int
vmmem_collection_load_u64(const struct vmmem_collection *collection,
			  uint64_t gpa, int order, uint64_t *ret_value);

/*
 * vmmem_collection_store_uN() stores 'value' at 'gpa'.  The order is RELAXED,
 * RELEASE or SEQ_CST.
 */
VMMEM_NODISCARD int
vmmem_collection_store_u8(const struct vmmem_collection *collection,
			  uint64_t gpa, uint8_t value, int order);
VMMEM_NODISCARD int
vmmem_collection_store_u16(const struct vmmem_collection *collection,
			   uint64_t gpa, uint16_t value, int order);
VMMEM_NODISCARD int
vmmem_collection_store_u32(const struct vmmem_collection *collection,
			   uint64_t gpa, uint32_t value, int order);
VMMEM_NODISCARD int
vmmem_collection_store_u64(const struct vmmem_collection *collection,
			   uint64_t gpa, uint64_t value, int order);

/*
 * vmmem_collection_exchange_uN() stores 'value' at 'gpa' and gives back the
 * value before, as one step.  'ret_previous' may be NULL.  Any order.
 */
VMMEM_NODISCARD int
vmmem_collection_exchange_u8(const struct vmmem_collection *collection,
			     uint64_t gpa, uint8_t value, int order,
			     uint8_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_exchange_u16(const struct vmmem_collection *collection,
			      uint64_t gpa, uint16_t value, int order,
			      uint16_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_exchange_u32(const struct vmmem_collection *collection,
			      uint64_t gpa, uint32_t value, int order,
			      uint32_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_exchange_u64(const struct vmmem_collection *collection,
			      uint64_t gpa, uint64_t value, int order,
			      uint64_t *ret_previous);

/*
 * vmmem_collection_compare_exchange_uN() stores 'desired' at 'gpa' if
 * 'expected' is there, and gives back the value before, as one step: the
 * exchange was made exactly if *ret_previous == expected.  There are no
 * spurious failures.  'success' is any order; 'failure', the order of the load
 * where nothing is stored, is RELAXED, ACQUIRE or SEQ_CST.  Memory
 * must permit writing even if nothing is stored.
 */
VMMEM_NODISCARD int
vmmem_collection_compare_exchange_u8(const struct vmmem_collection *collection,
				     uint64_t gpa, uint8_t expected,
				     uint8_t desired, int success, int failure,
				     uint8_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_compare_exchange_u16(const struct vmmem_collection *collection,
				      uint64_t gpa, uint16_t expected,
				      uint16_t desired, int success,
				      int failure, uint16_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_compare_exchange_u32(const struct vmmem_collection *collection,
				      uint64_t gpa, uint32_t expected,
				      uint32_t desired, int success,
				      int failure, uint32_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_compare_exchange_u64(const struct vmmem_collection *collection,
				      uint64_t gpa, uint64_t expected,
				      uint64_t desired, int success,
				      int failure, uint64_t *ret_previous);

/*
 * vmmem_collection_fetch_add_uN() adds 'operand' to the value at 'gpa', modulo
 * 2^N, and gives back the value before, as one step.
 * 'ret_previous' may be NULL.  Any order.
 */
VMMEM_NODISCARD int
vmmem_collection_fetch_add_u8(const struct vmmem_collection *collection,
			      uint64_t gpa, uint8_t operand, int order,
			      uint8_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_fetch_add_u16(const struct vmmem_collection *collection,
			       uint64_t gpa, uint16_t operand, int order,
			       uint16_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_fetch_add_u32(const struct vmmem_collection *collection,
			       uint64_t gpa, uint32_t operand, int order,
			       uint32_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_fetch_add_u64(const struct vmmem_collection *collection,
			       uint64_t gpa, uint64_t operand, int order,
			       uint64_t *ret_previous);

/*
 * vmmem_collection_fetch_or_uN() sets in the value at 'gpa' the bits of
 * 'operand' and gives back the value before, as one step.
 * 'ret_previous' may be NULL.  Any order.
 */
VMMEM_NODISCARD int
vmmem_collection_fetch_or_u8(const struct vmmem_collection *collection,
			     uint64_t gpa, uint8_t operand, int order,
			     uint8_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_fetch_or_u16(const struct vmmem_collection *collection,
			      uint64_t gpa, uint16_t operand, int order,
			      uint16_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_fetch_or_u32(const struct vmmem_collection *collection,
			      uint64_t gpa, uint32_t operand, int order,
			      uint32_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_fetch_or_u64(const struct vmmem_collection *collection,
			      uint64_t gpa, uint64_t operand, int order,
			      uint64_t *ret_previous);

/*
 * vmmem_collection_fetch_and_uN() clears in the value at 'gpa' the bits that
 * are not in 'operand' and gives back the value before, as one step.
 * 'ret_previous' may be NULL.  Any order.
 */
VMMEM_NODISCARD int
vmmem_collection_fetch_and_u8(const struct vmmem_collection *collection,
			      uint64_t gpa, uint8_t operand, int order,
			      uint8_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_fetch_and_u16(const struct vmmem_collection *collection,
			       uint64_t gpa, uint16_t operand, int order,
			       uint16_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_fetch_and_u32(const struct vmmem_collection *collection,
			       uint64_t gpa, uint32_t operand, int order,
			       uint32_t *ret_previous);
VMMEM_NODISCARD int
vmmem_collection_fetch_and_u64(const struct vmmem_collection *collection,
			       uint64_t gpa, uint64_t operand, int order,
			       uint64_t *ret_previous);

/*
 * vmmem_fence() is a fence like C11's atomic_thread_fence(): it orders the
 * calling thread's accesses to memory before it and after it, through the
 * library or not.  Programs in C may use C's own.  VMMEM_ORDER_RELAXED is no
 * fence; an unknown order counts as VMMEM_ORDER_SEQ_CST, the strongest.  Any
 * thread, any time.  Since: 0.9.
 */
void vmmem_fence(int order);

VMMEM_END_DECLS

#endif
