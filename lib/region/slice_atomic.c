/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Integers and atomics on a slice.  The bodies of vmmem/inline.h are the good
 * case of these functions, and call them in all other cases: so these functions
 * decide what an access returns.  They return a code if memory is gone, and
 * access the memory of any slice, VMMEM_SLICE_CALL or not.
 */
#include <vmmem/error.h>
#include <vmmem/slice.h>
#include <vmmem/slice_atomic.h>

#include "base/api.h"
#include "guest/guest_atomic.h"
#include "region/slice_priv.h"

static VMMEM_ALWAYS_INLINE bool
is_aligned(const struct vmmem_slice *slice, uint64_t offset, uint64_t size)
{
	return ((uintptr_t)vmmem_slice_host(slice, offset) & (size - 1)) == 0;
}

/*
 * What check() returns if the slice does not permit an access without asking:
 * the twin of the function, with the same arguments, goes on.  So the good case
 * has no call in it, and keeps nothing for after one.
 */
#define ASK 1

/* check() tells whether an atomic of 'size' bytes may be done at 'offset'. */
static VMMEM_ALWAYS_INLINE int
check(const struct vmmem_slice *slice, uint64_t offset, uint64_t size,
      uint32_t need)
{
	if (!vmmem_slice_holds(slice, offset, size))
		return VMMEM_EOUTOFRANGE;
	if (!is_aligned(slice, offset, size))
		return VMMEM_EMISALIGNED;
	if (!likely((need & ~slice->access) == 0))
		return ASK;
	return 0;
}

#define LOAD(bits)                                                         \
	static VMMEM_COLD int ask_load_u##bits(                            \
		const struct vmmem_slice *slice, uint64_t offset,          \
		int order, uint##bits##_t *ret_value)                      \
	{                                                                  \
		struct vmmem_slice plain;                                  \
		int rc;                                                    \
                                                                           \
		rc = vmmem_slice_unasked(slice, offset, (bits) / 8,        \
					 VMMEM_PROT_READ, &plain);         \
		return rc != 0 ? rc :                                      \
				 vmmem_slice_load_u##bits(&plain, offset,  \
							  order,           \
							  ret_value);      \
	}                                                                  \
                                                                           \
	VMMEM_API int vmmem_slice_load_u##bits(                            \
		const struct vmmem_slice *slice, uint64_t offset,          \
		int order, uint##bits##_t *ret_value)                      \
	{                                                                  \
		uint##bits##_t value;                                      \
		int rc;                                                    \
                                                                           \
		if (slice == NULL || ret_value == NULL)                    \
			return VMMEM_EARGUMENT;                            \
		if (!vmmem_order_is_in(order, VMMEM_ORDERS_LOAD))          \
			return VMMEM_EORDER;                               \
		rc = check(slice, offset, (bits) / 8, VMMEM_PROT_READ);    \
		if (rc == ASK)                                             \
			return ask_load_u##bits(slice, offset, order,      \
						ret_value);                \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_load_u##bits(                            \
			vmmem_slice_host(slice, offset), order, &value);   \
		if (likely(rc == 0))                                       \
			*ret_value = value;                                \
		return rc;                                                 \
	}

#define STORE(bits)                                                        \
	static VMMEM_COLD int ask_store_u##bits(                           \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t value, int order)                           \
	{                                                                  \
		struct vmmem_slice plain;                                  \
		int rc;                                                    \
                                                                           \
		rc = vmmem_slice_unasked(slice, offset, (bits) / 8,        \
					 VMMEM_PROT_WRITE, &plain);        \
		return rc != 0 ? rc :                                      \
				 vmmem_slice_store_u##bits(&plain, offset, \
							   value, order);  \
	}                                                                  \
                                                                           \
	VMMEM_API int vmmem_slice_store_u##bits(                           \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t value, int order)                           \
	{                                                                  \
		int rc;                                                    \
                                                                           \
		if (slice == NULL)                                         \
			return VMMEM_EARGUMENT;                            \
		if (!vmmem_order_is_in(order, VMMEM_ORDERS_STORE))         \
			return VMMEM_EORDER;                               \
		rc = check(slice, offset, (bits) / 8, VMMEM_PROT_WRITE);   \
		if (rc == ASK)                                             \
			return ask_store_u##bits(slice, offset, value,     \
						 order);                   \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_store_u##bits(                           \
			vmmem_slice_host(slice, offset), value, order);    \
		if (likely(rc == 0))                                       \
			vmmem_slice_written(slice, offset, (bits) / 8);    \
		return rc;                                                 \
	}

#define COMPARE_EXCHANGE(bits)                                             \
	static VMMEM_COLD int ask_compare_exchange_u##bits(                \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t expected, uint##bits##_t desired,           \
		int success, int failure, uint##bits##_t *ret_previous)    \
	{                                                                  \
		struct vmmem_slice plain;                                  \
		int rc;                                                    \
                                                                           \
		rc = vmmem_slice_unasked(slice, offset, (bits) / 8,        \
					 VMMEM_READ_WRITE, &plain);        \
		return rc != 0 ? rc :                                      \
				 vmmem_slice_compare_exchange_u##bits(     \
					 &plain, offset, expected,         \
					 desired, success, failure,        \
					 ret_previous);                    \
	}                                                                  \
                                                                           \
	VMMEM_API int vmmem_slice_compare_exchange_u##bits(                \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t expected, uint##bits##_t desired,           \
		int success, int failure, uint##bits##_t *ret_previous)    \
	{                                                                  \
		uint##bits##_t previous;                                   \
		int rc;                                                    \
                                                                           \
		if (slice == NULL || ret_previous == NULL)                 \
			return VMMEM_EARGUMENT;                            \
		if (!vmmem_order_is_in(success, VMMEM_ORDERS_ALL) ||       \
		    !vmmem_order_is_in(failure, VMMEM_ORDERS_LOAD))        \
			return VMMEM_EORDER;                               \
		rc = check(slice, offset, (bits) / 8, VMMEM_READ_WRITE);   \
		if (rc == ASK)                                             \
			return ask_compare_exchange_u##bits(               \
				slice, offset, expected, desired, success, \
				failure, ret_previous);                    \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_compare_exchange_u##bits(                \
			vmmem_slice_host(slice, offset), expected,         \
			desired, vmmem_order_join(success, failure),       \
			&previous);                                        \
		if (!likely(rc == 0))                                      \
			return rc;                                         \
		/* A value that was not stored is not marked. */           \
		if (previous == expected)                                  \
			vmmem_slice_written(slice, offset, (bits) / 8);    \
		*ret_previous = previous;                                  \
		return 0;                                                  \
	}

#define MODIFY(name, bits)                                                 \
	static VMMEM_COLD int ask_##name##_u##bits(                        \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t operand, int order,                         \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		struct vmmem_slice plain;                                  \
		int rc;                                                    \
                                                                           \
		rc = vmmem_slice_unasked(slice, offset, (bits) / 8,        \
					 VMMEM_READ_WRITE, &plain);        \
		return rc != 0 ? rc :                                      \
				 vmmem_slice_##name##_u##bits(             \
					 &plain, offset, operand, order,   \
					 ret_previous);                    \
	}                                                                  \
                                                                           \
	VMMEM_API int vmmem_slice_##name##_u##bits(                        \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t operand, int order,                         \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		uint##bits##_t previous;                                   \
		int rc;                                                    \
                                                                           \
		if (slice == NULL)                                         \
			return VMMEM_EARGUMENT;                            \
		if (!vmmem_order_is_in(order, VMMEM_ORDERS_ALL))           \
			return VMMEM_EORDER;                               \
		rc = check(slice, offset, (bits) / 8, VMMEM_READ_WRITE);   \
		if (rc == ASK)                                             \
			return ask_##name##_u##bits(slice, offset,         \
						    operand, order,        \
						    ret_previous);         \
		if (rc != 0)                                               \
			return rc;                                         \
		rc = vmmem_atomic_##name##_u##bits(                        \
			vmmem_slice_host(slice, offset), operand, order,   \
			&previous);                                        \
		if (!likely(rc == 0))                                      \
			return rc;                                         \
		vmmem_slice_written(slice, offset, (bits) / 8);            \
		if (ret_previous != NULL)                                  \
			*ret_previous = previous;                          \
		return 0;                                                  \
	}

#define ALL(bits)                                                          \
	LOAD(bits)                                                         \
	STORE(bits)                                                        \
	COMPARE_EXCHANGE(bits)                                             \
	MODIFY(exchange, bits)                                             \
	MODIFY(fetch_add, bits)                                            \
	MODIFY(fetch_or, bits)                                             \
	MODIFY(fetch_and, bits)

ALL(8)
ALL(16)
ALL(32)
ALL(64)

/*
 * Integers.  One that is not aligned is not one access, and one that is not
 * permitted gets its code, by moving bytes.
 */
#define INTEGER(bits)                                                      \
	VMMEM_API int vmmem_slice_read_u##bits(                            \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t *ret_value)                                 \
	{                                                                  \
		uint##bits##_t value;                                      \
		int rc;                                                    \
                                                                           \
		if (slice == NULL || ret_value == NULL)                    \
			return VMMEM_EARGUMENT;                            \
		if (likely(check(slice, offset, (bits) / 8,                \
				 VMMEM_PROT_READ) == 0))                   \
			rc = vmmem_atomic_load_u##bits(                    \
				vmmem_slice_host(slice, offset),           \
				VMMEM_ORDER_RELAXED, &value);              \
		else                                                       \
			rc = vmmem_slice_read(slice, offset, &value,       \
					      sizeof(value));              \
		if (likely(rc == 0))                                       \
			*ret_value = value;                                \
		return rc;                                                 \
	}                                                                  \
                                                                           \
	VMMEM_API int vmmem_slice_write_u##bits(                           \
		const struct vmmem_slice *slice, uint64_t offset,          \
		uint##bits##_t value)                                      \
	{                                                                  \
		int rc;                                                    \
                                                                           \
		if (slice == NULL)                                         \
			return VMMEM_EARGUMENT;                            \
		if (!likely(check(slice, offset, (bits) / 8,               \
				  VMMEM_PROT_WRITE) == 0))                 \
			return vmmem_slice_write(slice, offset, &value,    \
						 sizeof(value));           \
		rc = vmmem_atomic_store_u##bits(                           \
			vmmem_slice_host(slice, offset), value,            \
			VMMEM_ORDER_RELAXED);                              \
		if (likely(rc == 0))                                       \
			vmmem_slice_written(slice, offset, (bits) / 8);    \
		return rc;                                                 \
	}

INTEGER(8)
INTEGER(16)
INTEGER(32)
INTEGER(64)
