/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The atomic operations on one value of guest memory, as the library makes
 * them: they return a code where memory is gone.  Those of vmmem/inline.h are
 * C's own.
 */
#ifndef GUEST_ATOMIC_H
#define GUEST_ATOMIC_H

#include <stdbool.h>

#include <vmmem/atomic.h>
#include <vmmem/error.h>

#include "base/api.h"
#include "guest/guest_access.h"

/*
 * Each atomic has the order that its caller asked for, or a stronger one: the
 * caller's protocol says which threads race.  The stronger order is taken where
 * the processor has it for free, and for all that changes memory, where it
 * costs little beside the call and the search.
 */
#ifdef __x86_64__
#define VMMEM_GUEST_IS_ORDERED 1
#else
#define VMMEM_GUEST_IS_ORDERED 0
#endif

#define VMMEM_GUEST_CODE(there) ((there) ? 0 : VMMEM_EGONE)

#define VMMEM_GUEST_VALUE(bits)                                            \
	static VMMEM_ALWAYS_INLINE int vmmem_atomic_load_u##bits(          \
		const void *host, int order, uint##bits##_t *ret_value)    \
	{                                                                  \
		if (!VMMEM_GUEST_IS_ORDERED &&                             \
		    order == VMMEM_ORDER_RELAXED)                          \
			return VMMEM_GUEST_CODE(                           \
				vmmem_guest_load_##bits(host, ret_value)); \
		return VMMEM_GUEST_CODE(                                   \
			vmmem_guest_load_acquire_##bits(host, ret_value)); \
	}                                                                  \
                                                                           \
	static VMMEM_ALWAYS_INLINE int vmmem_atomic_store_u##bits(         \
		void *host, uint##bits##_t value, int order)               \
	{                                                                  \
		if (!VMMEM_GUEST_IS_ORDERED &&                             \
		    order == VMMEM_ORDER_RELAXED)                          \
			return VMMEM_GUEST_CODE(                           \
				vmmem_guest_store_##bits(host, value));    \
		if (order == VMMEM_ORDER_RELAXED ||                        \
		    order == VMMEM_ORDER_RELEASE)                          \
			return VMMEM_GUEST_CODE(                           \
				vmmem_guest_store_release_##bits(host,     \
								 value));  \
		return VMMEM_GUEST_CODE(                                   \
			vmmem_guest_store_ordered_##bits(host, value));    \
	}                                                                  \
                                                                           \
	static VMMEM_ALWAYS_INLINE int vmmem_atomic_compare_exchange_u##bits( \
		void *host, uint##bits##_t expected,                       \
		uint##bits##_t desired, int order,                         \
		uint##bits##_t *ret_seen)                                  \
	{                                                                  \
		(void)order;                                               \
		return VMMEM_GUEST_CODE(vmmem_guest_compare_exchange_##bits( \
			host, expected, desired, ret_seen));               \
	}

#define VMMEM_GUEST_DIRECT(name, bits)                                     \
	static VMMEM_ALWAYS_INLINE int vmmem_atomic_##name##_u##bits(      \
		void *host, uint##bits##_t operand, int order,             \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		(void)order;                                               \
		return VMMEM_GUEST_CODE(vmmem_guest_##name##_##bits(       \
			host, operand, ret_previous));                     \
	}

/* An operation without an instruction is tried until no write interfered. */
#define VMMEM_GUEST_LOOP(name, operator, bits)                             \
	static VMMEM_ALWAYS_INLINE int vmmem_atomic_##name##_u##bits(      \
		void *host, uint##bits##_t operand, int order,             \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		uint##bits##_t old, seen;                                  \
                                                                           \
		(void)order;                                               \
		if (!vmmem_guest_load_##bits(host, &old))                  \
			return VMMEM_EGONE;                               \
		for (;; old = seen) {                                      \
			if (!vmmem_guest_compare_exchange_##bits(          \
				    host, old,                             \
				    (uint##bits##_t)(old operator operand), \
				    &seen))                                \
				return VMMEM_EGONE;                       \
			if (seen == old)                                   \
				break;                                     \
		}                                                          \
		*ret_previous = old;                                       \
		return 0;                                                  \
	}

#define VMMEM_GUEST_OPERATIONS(bits)                                       \
	VMMEM_GUEST_VALUE(bits)                                            \
	VMMEM_GUEST_DIRECT(exchange, bits)                                 \
	VMMEM_GUEST_DIRECT(fetch_add, bits)                                \
	VMMEM_GUEST_LOOP(fetch_or, |, bits)                                \
	VMMEM_GUEST_LOOP(fetch_and, &, bits)

VMMEM_GUEST_OPERATIONS(8)
VMMEM_GUEST_OPERATIONS(16)
VMMEM_GUEST_OPERATIONS(32)
VMMEM_GUEST_OPERATIONS(64)

#undef VMMEM_GUEST_VALUE
#undef VMMEM_GUEST_DIRECT
#undef VMMEM_GUEST_LOOP
#undef VMMEM_GUEST_OPERATIONS

/* Sets of orders, a bit for each: those of a load, of a store, and all. */
#define VMMEM_ORDERS_LOAD 0x25U
#define VMMEM_ORDERS_STORE 0x29U
#define VMMEM_ORDERS_ALL 0x3dU

static VMMEM_ALWAYS_INLINE bool
vmmem_order_is_in(int order, unsigned int set)
{
	return order >= 0 && order <= VMMEM_ORDER_SEQ_CST &&
	       (set >> order & 1U) != 0;
}

/*
 * vmmem_order_join() is one order that is at least as strong as both: what the
 * success of a compare-exchange must have, and the acquire of its failure.
 */
static VMMEM_ALWAYS_INLINE int
vmmem_order_join(int success, int failure)
{
	if (success == VMMEM_ORDER_SEQ_CST || failure == VMMEM_ORDER_SEQ_CST)
		return VMMEM_ORDER_SEQ_CST;
	if (failure == VMMEM_ORDER_RELAXED)
		return success;
	if (success == VMMEM_ORDER_RELEASE || success == VMMEM_ORDER_ACQ_REL)
		return VMMEM_ORDER_ACQ_REL;
	return VMMEM_ORDER_ACQUIRE;
}

#endif
