/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Accesses as C has them, which never come back if memory is gone. */
#ifndef GUEST_C_H
#define GUEST_C_H

/*
 * Atomics are what C has for "one access": the plain load or store of every
 * machine.  The orders are those that guest_access.h promises.
 */
#define VMMEM_GUEST_LOAD(name, bits, order)                                \
	VMMEM_INLINE_PART bool vmmem_guest_##name##_##bits(                \
		const void *guest, uint##bits##_t *ret_value)              \
	{                                                                  \
		*ret_value = __atomic_load_n((const vmmem_guest##bits *)guest, \
					     order);                       \
		return true;                                               \
	}

#define VMMEM_GUEST_STORE(name, bits, order)                               \
	VMMEM_INLINE_PART bool vmmem_guest_##name##_##bits(                \
		void *guest, uint##bits##_t value)                         \
	{                                                                  \
		__atomic_store_n((vmmem_guest##bits *)guest, value, order); \
		return true;                                               \
	}

#define VMMEM_GUEST_MODIFY(name, builtin, bits)                            \
	VMMEM_INLINE_PART bool vmmem_guest_##name##_##bits(                \
		void *guest, uint##bits##_t operand,                       \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		*ret_previous = builtin((vmmem_guest##bits *)guest,        \
					operand, __ATOMIC_SEQ_CST);        \
		return true;                                               \
	}

#define VMMEM_GUEST_COMPARE_EXCHANGE(bits)                                 \
	VMMEM_INLINE_PART bool vmmem_guest_compare_exchange_##bits(        \
		void *guest, uint##bits##_t expected,                      \
		uint##bits##_t desired, uint##bits##_t *ret_seen)          \
	{                                                                  \
		vmmem_guest##bits seen = expected;                         \
                                                                           \
		__atomic_compare_exchange_n((vmmem_guest##bits *)guest,    \
					    &seen, desired, 0,             \
					    __ATOMIC_SEQ_CST,              \
					    __ATOMIC_SEQ_CST);             \
		*ret_seen = seen;                                          \
		return true;                                               \
	}

#define VMMEM_GUEST_ALL(bits)                                              \
	VMMEM_GUEST_LOAD(load, bits, __ATOMIC_RELAXED)                     \
	VMMEM_GUEST_LOAD(load_acquire, bits, __ATOMIC_SEQ_CST)             \
	VMMEM_GUEST_STORE(store, bits, __ATOMIC_RELAXED)                   \
	VMMEM_GUEST_STORE(store_release, bits, __ATOMIC_RELEASE)           \
	VMMEM_GUEST_STORE(store_ordered, bits, __ATOMIC_SEQ_CST)           \
	VMMEM_GUEST_COMPARE_EXCHANGE(bits)                                 \
	VMMEM_GUEST_MODIFY(exchange, __atomic_exchange_n, bits)            \
	VMMEM_GUEST_MODIFY(fetch_add, __atomic_fetch_add, bits)

VMMEM_GUEST_ALL(8)
VMMEM_GUEST_ALL(16)
VMMEM_GUEST_ALL(32)
VMMEM_GUEST_ALL(64)

/* Volatile: the one access that is written is the one that is made. */
#define VMMEM_GUEST_AVX
#define VMMEM_GUEST_SSE
#define VMMEM_GUEST_VECTOR(name, type, instruction, attributes)            \
	VMMEM_INLINE_PART attributes bool vmmem_guest_load_##name(         \
		const void *guest, type *ret_value)                        \
	{                                                                  \
		*ret_value = *(const volatile type *)guest;                \
		return true;                                               \
	}                                                                  \
                                                                           \
	VMMEM_INLINE_PART attributes bool vmmem_guest_store_##name(        \
		void *guest, const type *value)                            \
	{                                                                  \
		*(volatile type *)guest = *value;                          \
		return true;                                               \
	}

#undef VMMEM_GUEST_LOAD
#undef VMMEM_GUEST_STORE
#undef VMMEM_GUEST_MODIFY
#undef VMMEM_GUEST_COMPARE_EXCHANGE
#undef VMMEM_GUEST_ALL

#endif
