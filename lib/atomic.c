/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <vmmem/atomic.h>
#include <vmmem/error.h>

#include "api.h"
#include "collection_priv.h"
#include "copy.h"

_Static_assert(VMMEM_ORDER_RELAXED == __ATOMIC_RELAXED &&
	       VMMEM_ORDER_CONSUME == __ATOMIC_CONSUME &&
	       VMMEM_ORDER_ACQUIRE == __ATOMIC_ACQUIRE &&
	       VMMEM_ORDER_RELEASE == __ATOMIC_RELEASE &&
	       VMMEM_ORDER_ACQ_REL == __ATOMIC_ACQ_REL &&
	       VMMEM_ORDER_SEQ_CST == __ATOMIC_SEQ_CST,
	       "users pass C11's own orders");

/* Sets of orders, a bit for each. */
#define ORDER(order) (1U << (order))
#define ORDERS_LOAD                                                        \
	(ORDER(VMMEM_ORDER_RELAXED) | ORDER(VMMEM_ORDER_CONSUME) |         \
	 ORDER(VMMEM_ORDER_ACQUIRE) | ORDER(VMMEM_ORDER_SEQ_CST))
#define ORDERS_STORE                                                       \
	(ORDER(VMMEM_ORDER_RELAXED) | ORDER(VMMEM_ORDER_RELEASE) |         \
	 ORDER(VMMEM_ORDER_SEQ_CST))
#define ORDERS_ALL                                                         \
	(ORDERS_LOAD | ORDERS_STORE | ORDER(VMMEM_ORDER_ACQ_REL))

#define READ_WRITE (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

static inline bool
order_is_in(int order, unsigned int set)
{
	return order >= 0 && order <= VMMEM_ORDER_SEQ_CST &&
	       (set & ORDER(order)) != 0;
}

/*
 * locate() returns the host address of the 'size' bytes at 'gpa', which is
 * aligned because 'gpa' is; or NULL, and refuse() knows why.
 */
static inline void *
locate(const struct vmmem_collection *collection, uint64_t gpa, uint64_t size,
       uint32_t access)
{
	if (!likely((gpa & (size - 1)) == 0))
		return NULL;
	return vmmem_find_direct(collection, gpa, size, access);
}

static VMMEM_COLD int
refuse(const struct vmmem_collection *collection, uint64_t gpa, uint64_t size,
       uint32_t access)
{
	const struct vmmem_entry *entry;
	uint64_t offset, bad;
	int rc;

	rc = vmmem_check(collection, gpa, size, 0, &bad);
	if (rc != 0)
		return rc;
	entry = vmmem_find(collection, gpa, &offset);
	if (!vmmem_range_within(entry->span, offset, size))
		return VMMEM_ECROSS;
	if ((gpa & (size - 1)) != 0)
		return VMMEM_EMISALIGNED;
	if ((access & ~entry->access) != 0)
		return VMMEM_EPERM;
	return VMMEM_ENOHOST;
}

/*
 * The built-ins take an order that is not a constant for the strongest one, so
 * each order that a processor tells apart is written out.  Every operation
 * below stands for "the order the caller asked for": who races with whom is
 * the caller's protocol.
 */
#define LOAD(bits)                                                         \
	VMMEM_API int vmmem_collection_load_u##bits(                       \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		int order, uint##bits##_t *ret_value)                      \
	{                                                                  \
		void *host;                                                \
                                                                           \
		if (collection == NULL || ret_value == NULL)               \
			return VMMEM_EINVAL;                               \
		if (!order_is_in(order, ORDERS_LOAD))                      \
			return VMMEM_EORDER;                               \
		host = locate(collection, gpa, (bits) / 8,                 \
			      VMMEM_PROT_READ);                            \
		if (!likely(host != NULL))                                 \
			return refuse(collection, gpa, (bits) / 8,         \
				      VMMEM_PROT_READ);                    \
		switch (order) {                                           \
		case VMMEM_ORDER_RELAXED:                                  \
			*ret_value = __atomic_load_n(                      \
				(vmmem_guest##bits *)host,                 \
				__ATOMIC_RELAXED);                         \
			break;                                             \
		case VMMEM_ORDER_SEQ_CST:                                  \
			*ret_value = __atomic_load_n(                      \
				(vmmem_guest##bits *)host,                 \
				__ATOMIC_SEQ_CST);                         \
			break;                                             \
		default:                                                   \
			*ret_value = __atomic_load_n(                      \
				(vmmem_guest##bits *)host,                 \
				__ATOMIC_ACQUIRE);                         \
			break;                                             \
		}                                                          \
		return 0;                                                  \
	}

#define STORE(bits)                                                        \
	VMMEM_API int vmmem_collection_store_u##bits(                      \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t value, int order)                           \
	{                                                                  \
		void *host;                                                \
                                                                           \
		if (collection == NULL)                                    \
			return VMMEM_EINVAL;                               \
		if (!order_is_in(order, ORDERS_STORE))                     \
			return VMMEM_EORDER;                               \
		host = locate(collection, gpa, (bits) / 8,                 \
			      VMMEM_PROT_WRITE);                           \
		if (!likely(host != NULL))                                 \
			return refuse(collection, gpa, (bits) / 8,         \
				      VMMEM_PROT_WRITE);                   \
		switch (order) {                                           \
		case VMMEM_ORDER_RELAXED:                                  \
			__atomic_store_n((vmmem_guest##bits *)host, value, \
					 __ATOMIC_RELAXED);                \
			break;                                             \
		case VMMEM_ORDER_RELEASE:                                  \
			__atomic_store_n((vmmem_guest##bits *)host, value, \
					 __ATOMIC_RELEASE);                \
			break;                                             \
		default:                                                   \
			__atomic_store_n((vmmem_guest##bits *)host, value, \
					 __ATOMIC_SEQ_CST);                \
			break;                                             \
		}                                                          \
		return 0;                                                  \
	}

/* An operation that reads and writes, as the built-in 'builtin' does. */
#define MODIFY(name, builtin, bits)                                        \
	VMMEM_API int vmmem_collection_##name##_u##bits(                   \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t operand, int order,                         \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		uint##bits##_t previous;                                   \
		void *host;                                                \
                                                                           \
		if (collection == NULL)                                    \
			return VMMEM_EINVAL;                               \
		if (!order_is_in(order, ORDERS_ALL))                       \
			return VMMEM_EORDER;                               \
		host = locate(collection, gpa, (bits) / 8,                 \
			      READ_WRITE);                                 \
		if (!likely(host != NULL))                                 \
			return refuse(collection, gpa, (bits) / 8,         \
				      READ_WRITE);                         \
		switch (order) {                                           \
		case VMMEM_ORDER_RELAXED:                                  \
			previous = builtin((vmmem_guest##bits *)host,      \
					   operand, __ATOMIC_RELAXED);     \
			break;                                             \
		case VMMEM_ORDER_CONSUME:                                  \
		case VMMEM_ORDER_ACQUIRE:                                  \
			previous = builtin((vmmem_guest##bits *)host,      \
					   operand, __ATOMIC_ACQUIRE);     \
			break;                                             \
		case VMMEM_ORDER_RELEASE:                                  \
			previous = builtin((vmmem_guest##bits *)host,      \
					   operand, __ATOMIC_RELEASE);     \
			break;                                             \
		case VMMEM_ORDER_ACQ_REL:                                  \
			previous = builtin((vmmem_guest##bits *)host,      \
					   operand, __ATOMIC_ACQ_REL);     \
			break;                                             \
		default:                                                   \
			previous = builtin((vmmem_guest##bits *)host,      \
					   operand, __ATOMIC_SEQ_CST);     \
			break;                                             \
		}                                                          \
		if (ret_previous != NULL)                                  \
			*ret_previous = previous;                          \
		return 0;                                                  \
	}

/*
 * join() gives one order that is at least as strong as both: what the success
 * must have, and the acquire of the failure.
 */
static int
join(int success, int failure)
{
	if (success == VMMEM_ORDER_SEQ_CST || failure == VMMEM_ORDER_SEQ_CST)
		return VMMEM_ORDER_SEQ_CST;
	if (failure == VMMEM_ORDER_RELAXED)
		return success;
	/* The failure acquires. */
	if (success == VMMEM_ORDER_RELEASE || success == VMMEM_ORDER_ACQ_REL)
		return VMMEM_ORDER_ACQ_REL;
	return VMMEM_ORDER_ACQUIRE;
}

#define EXCHANGE_IF(bits, success, failure)                                \
	(void)__atomic_compare_exchange_n((vmmem_guest##bits *)host,       \
					  &previous, desired, 0, success,  \
					  failure)

#define COMPARE_EXCHANGE(bits)                                             \
	VMMEM_API int vmmem_collection_compare_exchange_u##bits(           \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t expected, uint##bits##_t desired,           \
		int success, int failure, uint##bits##_t *ret_previous)    \
	{                                                                  \
		uint##bits##_t previous = expected;                        \
		void *host;                                                \
                                                                           \
		if (collection == NULL || ret_previous == NULL)            \
			return VMMEM_EINVAL;                               \
		if (!order_is_in(success, ORDERS_ALL) ||                   \
		    !order_is_in(failure, ORDERS_LOAD))                    \
			return VMMEM_EORDER;                               \
		host = locate(collection, gpa, (bits) / 8,                 \
			      READ_WRITE);                                 \
		if (!likely(host != NULL))                                 \
			return refuse(collection, gpa, (bits) / 8,         \
				      READ_WRITE);                         \
		switch (join(success, failure)) {                          \
		case VMMEM_ORDER_RELAXED:                                  \
			EXCHANGE_IF(bits, __ATOMIC_RELAXED,                \
				    __ATOMIC_RELAXED);                     \
			break;                                             \
		case VMMEM_ORDER_CONSUME:                                  \
		case VMMEM_ORDER_ACQUIRE:                                  \
			EXCHANGE_IF(bits, __ATOMIC_ACQUIRE,                \
				    __ATOMIC_ACQUIRE);                     \
			break;                                             \
		case VMMEM_ORDER_RELEASE:                                  \
			EXCHANGE_IF(bits, __ATOMIC_RELEASE,                \
				    __ATOMIC_RELAXED);                     \
			break;                                             \
		case VMMEM_ORDER_ACQ_REL:                                  \
			EXCHANGE_IF(bits, __ATOMIC_ACQ_REL,                \
				    __ATOMIC_ACQUIRE);                     \
			break;                                             \
		default:                                                   \
			EXCHANGE_IF(bits, __ATOMIC_SEQ_CST,                \
				    __ATOMIC_SEQ_CST);                     \
			break;                                             \
		}                                                          \
		*ret_previous = previous;                                  \
		return 0;                                                  \
	}

#define ALL(bits)                                                          \
	LOAD(bits)                                                         \
	STORE(bits)                                                        \
	MODIFY(exchange, __atomic_exchange_n, bits)                        \
	MODIFY(fetch_add, __atomic_fetch_add, bits)                        \
	MODIFY(fetch_or, __atomic_fetch_or, bits)                          \
	MODIFY(fetch_and, __atomic_fetch_and, bits)                        \
	COMPARE_EXCHANGE(bits)

ALL(8)
ALL(16)
ALL(32)
ALL(64)
