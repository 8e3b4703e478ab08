/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/inline.h - the accessors of a slice, and a reader's sections, compiled
 * into the caller.
 *
 * Include this where a call per access is too much.  Nothing else changes: the
 * functions are those of vmmem/slice.h, vmmem/slice_atomic.h and
 * vmmem/reader.h, by the same names, with the same checks and codes.  Each also
 * exists in the library, compiled from these very bodies, which is what other
 * languages call.  That one survives memory that is gone (vmmem/fault.h); these
 * do not.
 *
 * A program that includes this header reads struct vmmem_slice and struct
 * vmmem_reader; from 1.0 on these layouts do not change while the library's
 * soname stays.  Names that begin with vmmem_inline_ are not for use.
 *
 * Since: 0.1, all of it.
 */
#ifndef VMMEM_INLINE_H
#define VMMEM_INLINE_H

#include <vmmem/base.h>
#include <vmmem/endian.h>
#include <vmmem/error.h>
#include <vmmem/reader.h>
#include <vmmem/slice.h>
#include <vmmem/slice_atomic.h>

VMMEM_BEGIN_DECLS

/* Guest memory as integers, whatever type the compiler thinks it has. */
typedef uint8_t vmmem_inline_u8;
typedef uint16_t __attribute__((__may_alias__)) vmmem_inline_u16;
typedef uint32_t __attribute__((__may_alias__)) vmmem_inline_u32;
typedef uint64_t __attribute__((__may_alias__)) vmmem_inline_u64;

/* Sets of orders, a bit for each: those of a load, of a store, and all. */
#define VMMEM_INLINE_LOADS 0x27U
#define VMMEM_INLINE_STORES 0x29U
#define VMMEM_INLINE_ORDERS 0x3fU

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

/* After a write: marks it if somebody wants to know. */
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
	if (slice == NULL || ret_slice == NULL)
		return VMMEM_EARGUMENT;
	if (len != 0 && !vmmem_inline_is_within(slice, offset, len))
		return VMMEM_EOUTOFRANGE;
	*ret_slice = *slice;
	ret_slice->len = len;
	ret_slice->flags = 0;
	/* Zero bytes are nowhere, whatever the offset. */
	ret_slice->host = len != 0 ? vmmem_inline_at(slice, offset) : NULL;
	ret_slice->log_offset = len != 0 ? slice->log_offset + offset : 0;
	ret_slice->region = len != 0 ? slice->region : NULL;
	ret_slice->gpa = len != 0 ? slice->gpa + offset : 0;
	return 0;
}

/*
 * Operations on one value.  The built-ins take an order that is not a constant
 * for the strongest one, so each order that processors tell apart is written
 * out; for a constant one, a single instruction is left.  Each stands for the
 * order its caller asked for: who races with whom is the caller's protocol.
 *
 * They return 0.  The library compiles the bodies below with operations of its
 * own, by these names, which return a code if the memory is gone.
 */
#ifndef VMMEM_INLINE_HAS_OPERATIONS
#define VMMEM_INLINE_OPERATIONS(bits)                                      \
	VMMEM_INLINE_PART int vmmem_inline_load_u##bits(                   \
		const void *host, int order, uint##bits##_t *ret_value)    \
	{                                                                  \
		const vmmem_inline_u##bits *at =                           \
			(const vmmem_inline_u##bits *)host;                \
									   \
		if (order == VMMEM_ORDER_RELAXED)                          \
			*ret_value = __atomic_load_n(at, __ATOMIC_RELAXED); \
		else if (order == VMMEM_ORDER_SEQ_CST)                     \
			*ret_value = __atomic_load_n(at, __ATOMIC_SEQ_CST); \
		else                                                       \
			*ret_value = __atomic_load_n(at, __ATOMIC_ACQUIRE); \
		return 0;                                                  \
	}                                                                  \
									   \
	VMMEM_INLINE_PART int vmmem_inline_store_u##bits(                  \
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
		return 0;                                                  \
	}                                                                  \
									   \
	VMMEM_INLINE_PART int vmmem_inline_compare_exchange_u##bits(       \
		void *host, uint##bits##_t expected,                       \
		uint##bits##_t desired, int order,                         \
		uint##bits##_t *ret_seen)                                  \
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
		case VMMEM_ORDER_CONSUME:                                  \
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
		*ret_seen = seen;                                          \
		return 0;                                                  \
	}

#define VMMEM_INLINE_MODIFY(name, builtin, bits)                           \
	VMMEM_INLINE_PART int vmmem_inline_##name##_u##bits(               \
		void *host, uint##bits##_t operand, int order,             \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		vmmem_inline_u##bits *at = (vmmem_inline_u##bits *)host;   \
									   \
		switch (order) {                                           \
		case VMMEM_ORDER_RELAXED:                                  \
			*ret_previous =                                    \
				builtin(at, operand, __ATOMIC_RELAXED);    \
			break;                                             \
		case VMMEM_ORDER_CONSUME:                                  \
		case VMMEM_ORDER_ACQUIRE:                                  \
			*ret_previous =                                    \
				builtin(at, operand, __ATOMIC_ACQUIRE);    \
			break;                                             \
		case VMMEM_ORDER_RELEASE:                                  \
			*ret_previous =                                    \
				builtin(at, operand, __ATOMIC_RELEASE);    \
			break;                                             \
		case VMMEM_ORDER_ACQ_REL:                                  \
			*ret_previous =                                    \
				builtin(at, operand, __ATOMIC_ACQ_REL);    \
			break;                                             \
		default:                                                   \
			*ret_previous =                                    \
				builtin(at, operand, __ATOMIC_SEQ_CST);    \
			break;                                             \
		}                                                          \
		return 0;                                                  \
	}

#define VMMEM_INLINE_ALL(bits)                                             \
	VMMEM_INLINE_OPERATIONS(bits)                                      \
	VMMEM_INLINE_MODIFY(exchange, __atomic_exchange_n, bits)           \
	VMMEM_INLINE_MODIFY(fetch_add, __atomic_fetch_add, bits)           \
	VMMEM_INLINE_MODIFY(fetch_or, __atomic_fetch_or, bits)             \
	VMMEM_INLINE_MODIFY(fetch_and, __atomic_fetch_and, bits)

VMMEM_INLINE_ALL(8)
VMMEM_INLINE_ALL(16)
VMMEM_INLINE_ALL(32)
VMMEM_INLINE_ALL(64)

#undef VMMEM_INLINE_OPERATIONS
#undef VMMEM_INLINE_MODIFY
#undef VMMEM_INLINE_ALL
#endif

/* The functions of vmmem/slice_atomic.h, for one width. */
#define VMMEM_INLINE_CHECK(orders_good, pointers_good, bits, need)         \
	do {                                                               \
		if (slice == NULL || !(pointers_good))                     \
			return VMMEM_EARGUMENT;                               \
		if (!(orders_good))                                        \
			return VMMEM_EORDER;                               \
		if (!vmmem_inline_is_within(slice, offset, (bits) / 8))    \
			return VMMEM_EOUTOFRANGE;                          \
		if (((uintptr_t)vmmem_inline_at(slice, offset) &           \
		     ((bits) / 8 - 1)) != 0)                               \
			return VMMEM_EMISALIGNED;                          \
		if (((need) & ~slice->access) != 0)                        \
			return VMMEM_EDENIED;                                \
	} while (0)

#define VMMEM_INLINE_ATOMIC(bits)                                          \
	VMMEM_INLINE int vmmem_slice_load_u##bits(                         \
		const struct vmmem_slice *slice, uint64_t offset,          \
		int order, uint##bits##_t *ret_value)                      \
	{                                                                  \
		uint##bits##_t value;                                      \
		int rc;                                                    \
									   \
		VMMEM_INLINE_CHECK(                                        \
			vmmem_inline_order_is_in(order,                    \
						 VMMEM_INLINE_LOADS),      \
			ret_value != NULL, bits, VMMEM_PROT_READ);         \
		rc = vmmem_inline_load_u##bits(                            \
			vmmem_inline_at(slice, offset), order, &value);    \
		if (rc != 0)                                               \
			return rc;                                         \
		*ret_value = value;                                        \
		return 0;                                                  \
	}                                                                  \
									   \
	VMMEM_INLINE int vmmem_slice_store_u##bits(                        \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t value, int order)                           \
	{                                                                  \
		int rc;                                                    \
									   \
		VMMEM_INLINE_CHECK(                                        \
			vmmem_inline_order_is_in(order,                    \
						 VMMEM_INLINE_STORES),     \
			1, bits, VMMEM_PROT_WRITE);                        \
		rc = vmmem_inline_store_u##bits(                           \
			vmmem_inline_at(slice, offset), value, order);     \
		if (rc != 0)                                               \
			return rc;                                         \
		vmmem_inline_written(slice, offset, (bits) / 8);           \
		return 0;                                                  \
	}                                                                  \
									   \
	VMMEM_INLINE int vmmem_slice_compare_exchange_u##bits(             \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t expected, uint##bits##_t desired,           \
		int success, int failure, uint##bits##_t *ret_previous)    \
	{                                                                  \
		uint##bits##_t previous;                                   \
		int rc;                                                    \
									   \
		VMMEM_INLINE_CHECK(                                        \
			vmmem_inline_order_is_in(success,                  \
						 VMMEM_INLINE_ORDERS) &&   \
				vmmem_inline_order_is_in(                  \
					failure, VMMEM_INLINE_LOADS),      \
			ret_previous != NULL, bits,                        \
			VMMEM_PROT_READ | VMMEM_PROT_WRITE);               \
		rc = vmmem_inline_compare_exchange_u##bits(                \
			vmmem_inline_at(slice, offset), expected, desired, \
			vmmem_inline_join(success, failure), &previous);   \
		if (rc != 0)                                               \
			return rc;                                         \
		if (previous == expected)                                  \
			vmmem_inline_written(slice, offset, (bits) / 8);   \
		*ret_previous = previous;                                  \
		return 0;                                                  \
	}

#define VMMEM_INLINE_ATOMIC_MODIFY(name, bits)                             \
	VMMEM_INLINE int vmmem_slice_##name##_u##bits(                     \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t operand, int order,                         \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		uint##bits##_t previous;                                   \
		int rc;                                                    \
									   \
		VMMEM_INLINE_CHECK(                                        \
			vmmem_inline_order_is_in(order,                    \
						 VMMEM_INLINE_ORDERS),     \
			1, bits, VMMEM_PROT_READ | VMMEM_PROT_WRITE);      \
		rc = vmmem_inline_##name##_u##bits(                        \
			vmmem_inline_at(slice, offset), operand, order,    \
			&previous);                                        \
		if (rc != 0)                                               \
			return rc;                                         \
		vmmem_inline_written(slice, offset, (bits) / 8);           \
		if (ret_previous != NULL)                                  \
			*ret_previous = previous;                          \
		return 0;                                                  \
	}

#define VMMEM_INLINE_ALL(bits)                                             \
	VMMEM_INLINE_ATOMIC(bits)                                          \
	VMMEM_INLINE_ATOMIC_MODIFY(exchange, bits)                         \
	VMMEM_INLINE_ATOMIC_MODIFY(fetch_add, bits)                        \
	VMMEM_INLINE_ATOMIC_MODIFY(fetch_or, bits)                         \
	VMMEM_INLINE_ATOMIC_MODIFY(fetch_and, bits)

VMMEM_INLINE_ALL(8)
VMMEM_INLINE_ALL(16)
VMMEM_INLINE_ALL(32)
VMMEM_INLINE_ALL(64)

/*
 * Integers in the byte order of their TYPE.  One that is not aligned is not
 * one access, and the library knows how to make it of several.
 */
#define VMMEM_INLINE_INTEGER(type, holder, bits, get, set)                 \
	VMMEM_INLINE int vmmem_slice_read_##type(                          \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t *ret_value)                                 \
	{                                                                  \
		holder stored;                                             \
		int rc;                                                    \
									   \
		if (slice == NULL || ret_value == NULL)                    \
			return VMMEM_EARGUMENT;                               \
		if (!vmmem_inline_is_within(slice, offset, (bits) / 8))    \
			return VMMEM_EOUTOFRANGE;                          \
		if (((uintptr_t)vmmem_inline_at(slice, offset) &           \
		     ((bits) / 8 - 1)) == 0 &&                             \
		    (slice->access & VMMEM_PROT_READ) != 0) {              \
			rc = vmmem_inline_load_u##bits(                    \
				vmmem_inline_at(slice, offset),            \
				VMMEM_ORDER_RELAXED, &stored.raw);         \
		} else {                                                   \
			rc = vmmem_slice_read(slice, offset, &stored,      \
					      sizeof(stored));             \
		}                                                          \
		if (rc != 0)                                               \
			return rc;                                         \
		*ret_value = get(&stored);                                 \
		return 0;                                                  \
	}                                                                  \
									   \
	VMMEM_INLINE int vmmem_slice_write_##type(                         \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t value)                                      \
	{                                                                  \
		holder stored;                                             \
		int rc;                                                    \
									   \
		if (slice == NULL)                                         \
			return VMMEM_EARGUMENT;                               \
		if (!vmmem_inline_is_within(slice, offset, (bits) / 8))    \
			return VMMEM_EOUTOFRANGE;                          \
		set(&stored, value);                                       \
		if (((uintptr_t)vmmem_inline_at(slice, offset) &           \
		     ((bits) / 8 - 1)) != 0 ||                             \
		    (slice->access & VMMEM_PROT_WRITE) == 0)               \
			return vmmem_slice_write(slice, offset, &stored,   \
						 sizeof(stored));          \
		rc = vmmem_inline_store_u##bits(                           \
			vmmem_inline_at(slice, offset), stored.raw,        \
			VMMEM_ORDER_RELAXED);                              \
		if (rc != 0)                                               \
			return rc;                                         \
		vmmem_inline_written(slice, offset, (bits) / 8);           \
		return 0;                                                  \
	}

/* The host's own order, in the same form as the others. */
#define VMMEM_INLINE_NATIVE(bits)                                          \
	typedef struct {                                                   \
		uint##bits##_t raw;                                        \
	} vmmem_inline_native##bits;
#define VMMEM_INLINE_GET(stored) ((stored)->raw)
#define VMMEM_INLINE_SET(stored, value) ((stored)->raw = (value))

VMMEM_INLINE_NATIVE(8)
VMMEM_INLINE_NATIVE(16)
VMMEM_INLINE_NATIVE(32)
VMMEM_INLINE_NATIVE(64)

VMMEM_INLINE_INTEGER(u8, vmmem_inline_native8, 8, VMMEM_INLINE_GET,
		     VMMEM_INLINE_SET)
VMMEM_INLINE_INTEGER(u16, vmmem_inline_native16, 16, VMMEM_INLINE_GET,
		     VMMEM_INLINE_SET)
VMMEM_INLINE_INTEGER(u32, vmmem_inline_native32, 32, VMMEM_INLINE_GET,
		     VMMEM_INLINE_SET)
VMMEM_INLINE_INTEGER(u64, vmmem_inline_native64, 64, VMMEM_INLINE_GET,
		     VMMEM_INLINE_SET)
VMMEM_INLINE_INTEGER(le16, vmmem_le16, 16, vmmem_le16_get, vmmem_le16_set)
VMMEM_INLINE_INTEGER(le32, vmmem_le32, 32, vmmem_le32_get, vmmem_le32_set)
VMMEM_INLINE_INTEGER(le64, vmmem_le64, 64, vmmem_le64_get, vmmem_le64_set)
VMMEM_INLINE_INTEGER(be16, vmmem_be16, 16, vmmem_be16_get, vmmem_be16_set)
VMMEM_INLINE_INTEGER(be32, vmmem_be32, 32, vmmem_be32_get, vmmem_be32_set)
VMMEM_INLINE_INTEGER(be64, vmmem_be64, 64, vmmem_be64_get, vmmem_be64_set)

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
		return vmmem_reader_enter_slow(reader);
	view = reader->view;
	/*
	 * Relaxed, and no instruction for the fence, which only keeps the
	 * compiler from loading first.  The processor may; a writer makes every
	 * thread pass a barrier before it asks who is in a section.
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
		vmmem_reader_leave_slow(reader);
		return;
	}
	/* Release: what the section saw comes before its end. */
	__atomic_store_n(&reader->section, 0, __ATOMIC_RELEASE);
}

VMMEM_INLINE uint64_t
vmmem_reader_generation(const struct vmmem_reader *reader)
{
	/* All ones: no section, of a reader that makes barriers. */
	return reader == NULL || reader->section == UINT64_MAX ?
		       0 :
		       reader->section;
}

#undef VMMEM_INLINE_CHECK
#undef VMMEM_INLINE_ATOMIC
#undef VMMEM_INLINE_ATOMIC_MODIFY
#undef VMMEM_INLINE_ALL
#undef VMMEM_INLINE_INTEGER
#undef VMMEM_INLINE_NATIVE
#undef VMMEM_INLINE_GET
#undef VMMEM_INLINE_SET

VMMEM_END_DECLS

#endif
