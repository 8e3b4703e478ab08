/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Atomic operations by guest address.  The operations themselves are those of
 * guest_atomic.h: here is only how an address finds its place.
 */
#include <vmmem/atomic.h>
#include <vmmem/error.h>

#include "base/api.h"
#include "map/atomic_priv.h"
#include "map/collection_priv.h"
#include "region/private_priv.h"
#include "guest/guest_atomic.h"

_Static_assert(VMMEM_ORDER_RELAXED == __ATOMIC_RELAXED &&
	       VMMEM_ORDER_ACQUIRE == __ATOMIC_ACQUIRE &&
	       VMMEM_ORDER_RELEASE == __ATOMIC_RELEASE &&
	       VMMEM_ORDER_ACQ_REL == __ATOMIC_ACQ_REL &&
	       VMMEM_ORDER_SEQ_CST == __ATOMIC_SEQ_CST,
	       "users pass C11's own orders");

/*
 * locate() returns the entry that holds the 'size' bytes at 'gpa', which are
 * aligned in the host because 'gpa' is; or NULL, and the twin in
 * translate_atomic.c knows why.
 */
static VMMEM_ALWAYS_INLINE const struct vmmem_region_entry *
locate(const struct vmmem_collection *collection, uint64_t gpa, uint64_t size,
       uint32_t access, uint64_t *ret_offset)
{
	if (!likely((gpa & (size - 1)) == 0))
		return NULL;
	return vmmem_collection_find_direct(collection, gpa, size, access,
					    ret_offset);
}

#define LOAD(bits)                                                         \
	VMMEM_API int vmmem_collection_load_u##bits(                       \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		int order, uint##bits##_t *ret_value)                      \
	{                                                                  \
		const struct vmmem_region_entry *entry;                    \
		uint##bits##_t value;                                      \
		uint64_t offset;                                           \
		int rc;                                                    \
                                                                           \
		if (collection == NULL || ret_value == NULL)               \
			return VMMEM_EARGUMENT;                            \
		if (!vmmem_order_is_in(order, VMMEM_ORDERS_LOAD))          \
			return VMMEM_EORDER;                               \
		entry = locate(collection, gpa, (bits) / 8,                \
			       VMMEM_PROT_READ, &offset);                  \
		if (!likely(entry != NULL))                                \
			return vmmem_translate_load_u##bits(               \
				collection, gpa, order, ret_value);        \
		rc = vmmem_atomic_load_u##bits(entry->host + offset,       \
					       order, &value);             \
		if (!likely(rc == 0))                                      \
			return rc;                                         \
		*ret_value = value;                                        \
		return 0;                                                  \
	}

#define STORE(bits)                                                        \
	VMMEM_API int vmmem_collection_store_u##bits(                      \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t value, int order)                           \
	{                                                                  \
		const struct vmmem_region_entry *entry;                    \
		uint64_t offset;                                           \
		int rc;                                                    \
                                                                           \
		if (collection == NULL)                                    \
			return VMMEM_EARGUMENT;                            \
		if (!vmmem_order_is_in(order, VMMEM_ORDERS_STORE))         \
			return VMMEM_EORDER;                               \
		entry = locate(collection, gpa, (bits) / 8,                \
			       VMMEM_PROT_WRITE, &offset);                 \
		if (!likely(entry != NULL))                                \
			return vmmem_translate_store_u##bits(              \
				collection, gpa, value, order);            \
		rc = vmmem_atomic_store_u##bits(entry->host + offset,      \
						value, order);             \
		if (!likely(rc == 0))                                      \
			return rc;                                         \
		vmmem_mark_written(entry, offset, (bits) / 8);             \
		return 0;                                                  \
	}

#define MODIFY(name, bits)                                                 \
	VMMEM_API int vmmem_collection_##name##_u##bits(                   \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t operand, int order,                         \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		const struct vmmem_region_entry *entry;                    \
		uint##bits##_t previous;                                   \
		uint64_t offset;                                           \
		int rc;                                                    \
                                                                           \
		if (collection == NULL)                                    \
			return VMMEM_EARGUMENT;                            \
		if (!vmmem_order_is_in(order, VMMEM_ORDERS_ALL))           \
			return VMMEM_EORDER;                               \
		entry = locate(collection, gpa, (bits) / 8,                \
			       VMMEM_READ_WRITE, &offset);                 \
		if (!likely(entry != NULL))                                \
			return vmmem_translate_##name##_u##bits(           \
				collection, gpa, operand, order,           \
				ret_previous);                             \
		rc = vmmem_atomic_##name##_u##bits(                        \
			entry->host + offset, operand, order, &previous);  \
		if (!likely(rc == 0))                                      \
			return rc;                                         \
		vmmem_mark_written(entry, offset, (bits) / 8);             \
		if (ret_previous != NULL)                                  \
			*ret_previous = previous;                          \
		return 0;                                                  \
	}

#define COMPARE_EXCHANGE(bits)                                             \
	VMMEM_API int vmmem_collection_compare_exchange_u##bits(           \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t expected, uint##bits##_t desired,           \
		int success, int failure, uint##bits##_t *ret_previous)    \
	{                                                                  \
		const struct vmmem_region_entry *entry;                    \
		uint##bits##_t previous;                                   \
		uint64_t offset;                                           \
		int rc;                                                    \
                                                                           \
		if (collection == NULL || ret_previous == NULL)            \
			return VMMEM_EARGUMENT;                            \
		if (!vmmem_order_is_in(success, VMMEM_ORDERS_ALL) ||       \
		    !vmmem_order_is_in(failure, VMMEM_ORDERS_LOAD))        \
			return VMMEM_EORDER;                               \
		entry = locate(collection, gpa, (bits) / 8,                \
			       VMMEM_READ_WRITE, &offset);                 \
		if (!likely(entry != NULL))                                \
			return vmmem_translate_compare_exchange_u##bits(   \
				collection, gpa, expected, desired,        \
				vmmem_order_join(success, failure),        \
				ret_previous);                             \
		rc = vmmem_atomic_compare_exchange_u##bits(                \
			entry->host + offset, expected, desired,           \
			vmmem_order_join(success, failure), &previous);    \
		if (!likely(rc == 0))                                      \
			return rc;                                         \
		/* A value that was not stored is not marked. */           \
		if (previous == expected)                                  \
			vmmem_mark_written(entry, offset, (bits) / 8);     \
		*ret_previous = previous;                                  \
		return 0;                                                  \
	}

#define ALL(bits)                                                          \
	LOAD(bits)                                                         \
	STORE(bits)                                                        \
	MODIFY(exchange, bits)                                             \
	MODIFY(fetch_add, bits)                                            \
	MODIFY(fetch_or, bits)                                             \
	MODIFY(fetch_and, bits)                                            \
	COMPARE_EXCHANGE(bits)

ALL(8)
ALL(16)
ALL(32)
ALL(64)


VMMEM_API void
vmmem_fence(int order)
{
	/*
	 * Each is the fence that its caller asked for; the protocol says who
	 * races.
	 */
	if (order == VMMEM_ORDER_ACQUIRE)
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	else if (order == VMMEM_ORDER_RELEASE)
		__atomic_thread_fence(__ATOMIC_RELEASE);
	else if (order == VMMEM_ORDER_ACQ_REL)
		__atomic_thread_fence(__ATOMIC_ACQ_REL);
	else if (order != VMMEM_ORDER_RELAXED)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
