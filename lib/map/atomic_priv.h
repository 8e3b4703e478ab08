/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The slow paths of the atomics: refusing, and translating.  Arguments are
 * checked; a compare-exchange has one order.
 */
#ifndef ATOMIC_PRIV_H
#define ATOMIC_PRIV_H

#include <vmmem/collection.h>

/*
 * vmmem_atomic_refuse() returns why the 'size' bytes at 'gpa' of a plain
 * collection are not there in one piece, aligned, with a host address; or 0:
 * they are shared bytes of a region with private state.
 */
int vmmem_atomic_refuse(const struct vmmem_collection *collection,
			uint64_t gpa, uint64_t size, uint32_t access);

#define VMMEM_SEE_MODIFY(name, bits)                                       \
	int vmmem_translate_##name##_u##bits(                              \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t operand, int order,                         \
		uint##bits##_t *ret_previous)

#define VMMEM_SEE(bits)                                                    \
	int vmmem_translate_load_u##bits(                                  \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		int order, uint##bits##_t *ret_value);                     \
	int vmmem_translate_store_u##bits(                                 \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t value, int order);                          \
	VMMEM_SEE_MODIFY(exchange, bits);                                  \
	VMMEM_SEE_MODIFY(fetch_add, bits);                                 \
	VMMEM_SEE_MODIFY(fetch_or, bits);                                  \
	VMMEM_SEE_MODIFY(fetch_and, bits);                                 \
	int vmmem_translate_compare_exchange_u##bits(                      \
		const struct vmmem_collection *collection, uint64_t gpa,   \
		uint##bits##_t expected, uint##bits##_t desired,           \
		int order, uint##bits##_t *ret_previous);

VMMEM_SEE(8)
VMMEM_SEE(16)
VMMEM_SEE(32)
VMMEM_SEE(64)

#endif
