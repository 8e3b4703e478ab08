/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/inline.h - the accessors of a slice, and a reader's sections, compiled
 * into the caller.
 *
 * Include this where a call per access is too much.  The functions are those of
 * vmmem/slice.h, vmmem/slice_atomic.h and vmmem/reader.h, by the same names,
 * with the same checks and codes.
 *
 * Only the good case is here: a good access to a slice that does not have
 * VMMEM_SLICE_CALL.  In any other case a body calls the library, which does
 * what the exported function of the same name does, and returns what that
 * returns.  So the library alone decides which code an access gets, and makes
 * each access to a slice with VMMEM_SLICE_CALL in 'access' itself: with
 * vmmem/fault.h, every access to memory that is gone returns VMMEM_EGONE.
 *
 * A program that includes this header reads struct vmmem_slice and struct
 * vmmem_reader; from 1.0 on these layouts do not change while the library's
 * soname stays.  Names that begin with vmmem_inline_ are not for use.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_INLINE_H
#define VMMEM_INLINE_H

#include <vmmem/atomic.h>
#include <vmmem/base.h>
#include <vmmem/reader.h>
#include <vmmem/slice.h>
#include <vmmem/slice_atomic.h>

#ifndef VMMEM_NO_INLINE

VMMEM_BEGIN_DECLS

/* Guest memory as integers, whatever type the compiler thinks it has. */
typedef uint8_t vmmem_inline_u8;
typedef uint16_t __attribute__((__may_alias__)) vmmem_inline_u16;
typedef uint32_t __attribute__((__may_alias__)) vmmem_inline_u32;
typedef uint64_t __attribute__((__may_alias__)) vmmem_inline_u64;

/* Sets of orders, a bit for each: those of a load, of a store, and all. */
#define VMMEM_INLINE_LOADS 0x25U
#define VMMEM_INLINE_STORES 0x29U
#define VMMEM_INLINE_ORDERS 0x3dU

VMMEM_INLINE_PART int
vmmem_inline_order_is_in(int order, unsigned int set)
{
	return order >= 0 && order <= VMMEM_ORDER_SEQ_CST &&
	       (set >> order & 1U) != 0;
}

/*
 * One order that is at least as strong as both: what the success of a
 * compare-exchange must have, and the acquire of its failure.
 */
VMMEM_INLINE_PART int
vmmem_inline_join(int success, int failure)
{
	if (success == VMMEM_ORDER_SEQ_CST || failure == VMMEM_ORDER_SEQ_CST)
		return VMMEM_ORDER_SEQ_CST;
	if (failure == VMMEM_ORDER_RELAXED)
		return success;
	if (success == VMMEM_ORDER_RELEASE || success == VMMEM_ORDER_ACQ_REL)
		return VMMEM_ORDER_ACQ_REL;
	return VMMEM_ORDER_ACQUIRE;
}

VMMEM_INLINE_PART int
vmmem_inline_is_within(const struct vmmem_slice *slice, uint64_t offset,
		       uint64_t size)
{
	return size <= slice->len && offset <= slice->len - size;
}

VMMEM_INLINE_PART void *
vmmem_inline_at(const struct vmmem_slice *slice, uint64_t offset)
{
	return (unsigned char *)slice->host + offset;
}

/*
 * vmmem_inline_is_good() tells whether the 'size' bytes at 'offset', a power of
 * two, are aligned, permitted, and the caller's own business.
 */
VMMEM_INLINE_PART int
vmmem_inline_is_good(const struct vmmem_slice *slice, uint64_t offset,
		     uint64_t size, uint32_t need)
{
	return vmmem_inline_is_within(slice, offset, size) &&
	       ((uintptr_t)vmmem_inline_at(slice, offset) & (size - 1)) == 0 &&
	       (slice->access & (need | VMMEM_SLICE_CALL)) == need;
}

/* After a write: marks it if logging is on. */
VMMEM_INLINE_PART void
vmmem_inline_written(const struct vmmem_slice *slice, uint64_t offset,
		     uint64_t size)
{
	/*
	 * No instruction: keeps the compiler from asking before it writes.
	 * The processor may; the thread that starts logging waits for it.
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* Relaxed: for the same reason. */
	if (__builtin_expect(
		    __atomic_load_n(slice->logging, __ATOMIC_RELAXED) != 0, 0))
		vmmem_slice_mark(slice, offset, size);
}

VMMEM_INLINE int
vmmem_slice_sub(const struct vmmem_slice *slice, uint64_t offset, uint64_t len,
		struct vmmem_slice *ret_slice)
{
	if (__builtin_expect(
		    slice == NULL || ret_slice == NULL || len == 0 ||
			    !vmmem_inline_is_within(slice, offset, len) ||
			    (slice->access & VMMEM_SLICE_CALL) != 0,
		    0))
		return vmmem_inline_call_sub(slice, offset, len, ret_slice);
	*ret_slice = *slice;
	ret_slice->host = vmmem_inline_at(slice, offset);
	ret_slice->len = len;
	ret_slice->log_offset = slice->log_offset + offset;
	ret_slice->flags = 0;
	ret_slice->gpa = slice->gpa + offset;
	return 0;
}

/*
 * Operations on one value.  The built-ins take an order that is not a constant
 * for the strongest one, so each order that processors tell apart is written
 * out; for a constant one, a single instruction is left.  Each stands for the
 * order its caller asked for: the caller's protocol says which threads race.
 */
#define VMMEM_INLINE_OPERATIONS(bits)                                      \
	VMMEM_INLINE_PART uint##bits##_t vmmem_inline_load_u##bits(        \
		const void *host, int order)                               \
	{                                                                  \
		const vmmem_inline_u##bits *at =                           \
			(const vmmem_inline_u##bits *)host;                \
									   \
		if (order == VMMEM_ORDER_RELAXED)                          \
			return __atomic_load_n(at, __ATOMIC_RELAXED);      \
		if (order == VMMEM_ORDER_SEQ_CST)                          \
			return __atomic_load_n(at, __ATOMIC_SEQ_CST);      \
		return __atomic_load_n(at, __ATOMIC_ACQUIRE);              \
	}                                                                  \
									   \
	VMMEM_INLINE_PART void vmmem_inline_store_u##bits(                 \
		void *host, uint##bits##_t value, int order)               \
	{                                                                  \
		vmmem_inline_u##bits *at = (vmmem_inline_u##bits *)host;   \
									   \
		if (order == VMMEM_ORDER_RELAXED)                          \
			__atomic_store_n(at, value, __ATOMIC_RELAXED);     \
		else if (order == VMMEM_ORDER_RELEASE)                     \
			__atomic_store_n(at, value, __ATOMIC_RELEASE);     \
		else                                                       \
			__atomic_store_n(at, value, __ATOMIC_SEQ_CST);     \
	}                                                                  \
									   \
	VMMEM_INLINE_PART uint##bits##_t                                   \
		vmmem_inline_compare_exchange_u##bits(                     \
			void *host, uint##bits##_t expected,               \
			uint##bits##_t desired, int order)                 \
	{                                                                  \
		vmmem_inline_u##bits *at = (vmmem_inline_u##bits *)host;   \
		vmmem_inline_u##bits seen = expected;                      \
									   \
		switch (order) {                                           \
		case VMMEM_ORDER_RELAXED:                                  \
			__atomic_compare_exchange_n(at, &seen, desired, 0, \
						    __ATOMIC_RELAXED,      \
						    __ATOMIC_RELAXED);     \
			break;                                             \
		case VMMEM_ORDER_ACQUIRE:                                  \
			__atomic_compare_exchange_n(at, &seen, desired, 0, \
						    __ATOMIC_ACQUIRE,      \
						    __ATOMIC_ACQUIRE);     \
			break;                                             \
		case VMMEM_ORDER_RELEASE:                                  \
			__atomic_compare_exchange_n(at, &seen, desired, 0, \
						    __ATOMIC_RELEASE,      \
						    __ATOMIC_RELAXED);     \
			break;                                             \
		case VMMEM_ORDER_ACQ_REL:                                  \
			__atomic_compare_exchange_n(at, &seen, desired, 0, \
						    __ATOMIC_ACQ_REL,      \
						    __ATOMIC_ACQUIRE);     \
			break;                                             \
		default:                                                   \
			__atomic_compare_exchange_n(at, &seen, desired, 0, \
						    __ATOMIC_SEQ_CST,      \
						    __ATOMIC_SEQ_CST);     \
			break;                                             \
		}                                                          \
		return seen;                                               \
	}

#define VMMEM_INLINE_MODIFY(name, builtin, bits)                           \
	VMMEM_INLINE_PART uint##bits##_t vmmem_inline_##name##_u##bits(    \
		void *host, uint##bits##_t operand, int order)             \
	{                                                                  \
		vmmem_inline_u##bits *at = (vmmem_inline_u##bits *)host;   \
									   \
		switch (order) {                                           \
		case VMMEM_ORDER_RELAXED:                                  \
			return builtin(at, operand, __ATOMIC_RELAXED);     \
		case VMMEM_ORDER_ACQUIRE:                                  \
			return builtin(at, operand, __ATOMIC_ACQUIRE);     \
		case VMMEM_ORDER_RELEASE:                                  \
			return builtin(at, operand, __ATOMIC_RELEASE);     \
		case VMMEM_ORDER_ACQ_REL:                                  \
			return builtin(at, operand, __ATOMIC_ACQ_REL);     \
		default:                                                   \
			return builtin(at, operand, __ATOMIC_SEQ_CST);     \
		}                                                          \
	}

/* The functions of vmmem/slice_atomic.h, for one width. */
#define VMMEM_INLINE_LOAD(bits)                                            \
	VMMEM_INLINE int vmmem_slice_load_u##bits(                         \
		const struct vmmem_slice *slice, uint64_t offset,          \
		int order, uint##bits##_t *ret_value)                      \
	{                                                                  \
		if (VMMEM_INLINE_IS_BAD(                                   \
			    vmmem_inline_order_is_in(order,                \
						     VMMEM_INLINE_LOADS) && \
				    ret_value != NULL,                     \
			    bits, VMMEM_PROT_READ))                        \
			return vmmem_inline_call_load(                     \
				slice, offset, (bits) / 8, order,          \
				ret_value);                                \
		*ret_value = vmmem_inline_load_u##bits(                    \
			vmmem_inline_at(slice, offset), order);            \
		return 0;                                                  \
	}

#define VMMEM_INLINE_STORE(bits)                                           \
	VMMEM_INLINE int vmmem_slice_store_u##bits(                        \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t value, int order)                           \
	{                                                                  \
		if (VMMEM_INLINE_IS_BAD(                                   \
			    vmmem_inline_order_is_in(order,                \
						     VMMEM_INLINE_STORES), \
			    bits, VMMEM_PROT_WRITE))                       \
			return vmmem_inline_call_store(                    \
				slice, offset, (bits) / 8, order, value);  \
		vmmem_inline_store_u##bits(vmmem_inline_at(slice, offset), \
					   value, order);                  \
		vmmem_inline_written(slice, offset, (bits) / 8);           \
		return 0;                                                  \
	}

#define VMMEM_INLINE_COMPARE_EXCHANGE(bits)                                \
	VMMEM_INLINE int vmmem_slice_compare_exchange_u##bits(             \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t expected, uint##bits##_t desired,           \
		int success, int failure, uint##bits##_t *ret_previous)    \
	{                                                                  \
		uint##bits##_t previous;                                   \
									   \
		if (VMMEM_INLINE_IS_BAD(                                   \
			    vmmem_inline_order_is_in(success,              \
						     VMMEM_INLINE_ORDERS) && \
				    vmmem_inline_order_is_in(              \
					    failure,                       \
					    VMMEM_INLINE_LOADS) &&         \
				    ret_previous != NULL,                  \
			    bits, VMMEM_PROT_READ | VMMEM_PROT_WRITE))     \
			return vmmem_inline_call_compare_exchange(         \
				slice, offset, (bits) / 8, success,        \
				failure, expected, desired,                \
				ret_previous);                             \
		previous = vmmem_inline_compare_exchange_u##bits(          \
			vmmem_inline_at(slice, offset), expected, desired, \
			vmmem_inline_join(success, failure));              \
		if (previous == expected)                                  \
			vmmem_inline_written(slice, offset, (bits) / 8);   \
		*ret_previous = previous;                                  \
		return 0;                                                  \
	}

#define VMMEM_INLINE_ATOMIC_MODIFY(name, bits, code)                       \
	VMMEM_INLINE int vmmem_slice_##name##_u##bits(                     \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t operand, int order,                         \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		uint##bits##_t previous;                                   \
									   \
		if (VMMEM_INLINE_IS_BAD(                                   \
			    vmmem_inline_order_is_in(order,                \
						     VMMEM_INLINE_ORDERS), \
			    bits, VMMEM_PROT_READ | VMMEM_PROT_WRITE))     \
			return vmmem_inline_call_modify(                   \
				slice, offset, (code) | (bits) / 8, order, \
				operand, ret_previous);                    \
		previous = vmmem_inline_##name##_u##bits(                  \
			vmmem_inline_at(slice, offset), operand, order);   \
		vmmem_inline_written(slice, offset, (bits) / 8);           \
		if (ret_previous != NULL)                                  \
			*ret_previous = previous;                          \
		return 0;                                                  \
	}

/* True outside the good case of a body; 'others' is about its arguments. */
#define VMMEM_INLINE_IS_BAD(others, bits, need)                            \
	__builtin_expect(slice == NULL || !(others) ||                     \
				 !vmmem_inline_is_good(slice, offset,      \
						       (bits) / 8, need),  \
			 0)

#define VMMEM_INLINE_ALL(bits)                                             \
	VMMEM_INLINE_OPERATIONS(bits)                                      \
	VMMEM_INLINE_MODIFY(exchange, __atomic_exchange_n, bits)           \
	VMMEM_INLINE_MODIFY(fetch_add, __atomic_fetch_add, bits)           \
	VMMEM_INLINE_MODIFY(fetch_or, __atomic_fetch_or, bits)             \
	VMMEM_INLINE_MODIFY(fetch_and, __atomic_fetch_and, bits)           \
	VMMEM_INLINE_LOAD(bits)                                            \
	VMMEM_INLINE_STORE(bits)                                           \
	VMMEM_INLINE_COMPARE_EXCHANGE(bits)                                \
	VMMEM_INLINE_ATOMIC_MODIFY(exchange, bits, 0x100U)                 \
	VMMEM_INLINE_ATOMIC_MODIFY(fetch_add, bits, 0x200U)                \
	VMMEM_INLINE_ATOMIC_MODIFY(fetch_or, bits, 0x300U)                 \
	VMMEM_INLINE_ATOMIC_MODIFY(fetch_and, bits, 0x400U)

VMMEM_INLINE_ALL(8)
VMMEM_INLINE_ALL(16)
VMMEM_INLINE_ALL(32)
VMMEM_INLINE_ALL(64)

/*
 * Integers.  One that is not aligned is not one access, and the library knows
 * how to make it of several.
 */
#define VMMEM_INLINE_INTEGER(bits)                                         \
	VMMEM_INLINE int vmmem_slice_read_u##bits(                         \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t *ret_value)                                 \
	{                                                                  \
		if (VMMEM_INLINE_IS_BAD(ret_value != NULL, bits,           \
					VMMEM_PROT_READ))                  \
			return vmmem_inline_call_load(                     \
				slice, offset, 0x40U | (bits) / 8,         \
				VMMEM_ORDER_RELAXED, ret_value);           \
		*ret_value = vmmem_inline_load_u##bits(                    \
			vmmem_inline_at(slice, offset),                    \
			VMMEM_ORDER_RELAXED);                              \
		return 0;                                                  \
	}                                                                  \
									   \
	VMMEM_INLINE int vmmem_slice_write_u##bits(                        \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t value)                                      \
	{                                                                  \
		if (VMMEM_INLINE_IS_BAD(1, bits, VMMEM_PROT_WRITE))        \
			return vmmem_inline_call_store(                    \
				slice, offset, 0x40U | (bits) / 8,         \
				VMMEM_ORDER_RELAXED, value);               \
		vmmem_inline_store_u##bits(vmmem_inline_at(slice, offset), \
					   value,                          \
					   VMMEM_ORDER_RELAXED);           \
		vmmem_inline_written(slice, offset, (bits) / 8);           \
		return 0;                                                  \
	}

VMMEM_INLINE_INTEGER(8)
VMMEM_INLINE_INTEGER(16)
VMMEM_INLINE_INTEGER(32)
VMMEM_INLINE_INTEGER(64)

/* Each fence stands for what its caller asked for. */
VMMEM_INLINE void
vmmem_fence(int order)
{
	if (order == VMMEM_ORDER_ACQUIRE)
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	else if (order == VMMEM_ORDER_RELEASE)
		__atomic_thread_fence(__ATOMIC_RELEASE);
	else if (order == VMMEM_ORDER_ACQ_REL)
		__atomic_thread_fence(__ATOMIC_ACQ_REL);
	else if (order != VMMEM_ORDER_RELAXED)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/*
 * A reader's sections.  docs/space.md says why they are right, and
 * docs/models/section.pml checks it.
 */
VMMEM_INLINE struct vmmem_collection *
vmmem_reader_enter(struct vmmem_reader *reader)
{
	const struct vmmem_reader_view *view;
	struct vmmem_collection *map;
	uint64_t generation;

	/* Only its own thread stores 'section': no order is needed here. */
	if (reader == NULL || reader->section != 0)
		return vmmem_inline_call_enter(reader);
	view = reader->view;
	/*
	 * Relaxed, and no instruction for the fence, which only keeps the
	 * compiler from loading first.  The processor may; a writer makes every
	 * thread pass a barrier before it looks which are in a section.
	 */
	__atomic_store_n(&reader->section, 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* Acquire: the map loaded next is at least the one of this number. */
	generation = __atomic_load_n(&view->generation, __ATOMIC_ACQUIRE);
	/* Acquire: the map is found whole. */
	map = __atomic_load_n(&view->current, __ATOMIC_ACQUIRE);
	reader->map = map;
	/*
	 * Release: a writer that sees this section, and none before it, drops
	 * what earlier sections saw after they saw it.
	 */
	__atomic_store_n(&reader->section, generation, __ATOMIC_RELEASE);
	return map;
}

VMMEM_INLINE void
vmmem_reader_leave(struct vmmem_reader *reader)
{
	/* Relaxed: a writer may ask for barriers by it, to be noticed later. */
	if (reader == NULL ||
	    __atomic_load_n(&reader->nested, __ATOMIC_RELAXED) != 0) {
		vmmem_inline_call_leave(reader);
		return;
	}
	/* Release: the accesses of the section are before its end. */
	__atomic_store_n(&reader->section, 0, __ATOMIC_RELEASE);
}

VMMEM_INLINE uint64_t
vmmem_reader_generation(const struct vmmem_reader *reader)
{
	/* All ones: no section, of a reader that makes barriers. */
	if (reader == NULL || reader->section == 0xffffffffffffffffULL)
		return vmmem_inline_call_generation(reader);
	return reader->section;
}

#undef VMMEM_INLINE_LOADS
#undef VMMEM_INLINE_STORES
#undef VMMEM_INLINE_ORDERS
#undef VMMEM_INLINE_OPERATIONS
#undef VMMEM_INLINE_MODIFY
#undef VMMEM_INLINE_LOAD
#undef VMMEM_INLINE_STORE
#undef VMMEM_INLINE_COMPARE_EXCHANGE
#undef VMMEM_INLINE_ATOMIC_MODIFY
#undef VMMEM_INLINE_IS_BAD
#undef VMMEM_INLINE_SAME
#undef VMMEM_INLINE_ALL
#undef VMMEM_INLINE_ORDERED
#undef VMMEM_INLINE_INTEGER

VMMEM_END_DECLS

#endif

#endif
