/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Accesses of x86-64, with a way out each.  The processor orders loads with
 * acquire and stores with release; only the compiler must be told, by a signal
 * fence.  What is locked is a full barrier.
 */
#ifndef GUEST_X86_H
#define GUEST_X86_H

/* Any address can be accessed; one that is not aligned is not one access. */
typedef uint8_t vmmem_guest_at8;
typedef uint16_t
	__attribute__((__may_alias__, __aligned__(1))) vmmem_guest_at16;
typedef uint32_t
	__attribute__((__may_alias__, __aligned__(1))) vmmem_guest_at32;
typedef uint64_t
	__attribute__((__may_alias__, __aligned__(1))) vmmem_guest_at64;

/* Small values are extended: nothing of a register's old value is kept. */
#define VMMEM_GUEST_PLAIN(bits, load, store, register_type)                \
	VMMEM_INLINE_PART bool vmmem_guest_load_##bits(                    \
		const void *guest, uint##bits##_t *ret_value)              \
	{                                                                  \
		register_type value;                                       \
                                                                           \
		VMMEM_ASM_GO("1:\t" load " %[guest], %[value]\n\t"         \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     : [value] "=r"(value)                         \
			     : [guest] "m"(                               \
				     *(const vmmem_guest_at##bits *)guest)  \
			     :                                             \
			     : gone);                                      \
		*ret_value = (uint##bits##_t)value;                        \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}                                                                  \
                                                                           \
	VMMEM_INLINE_PART bool vmmem_guest_load_acquire_##bits(            \
		const void *guest, uint##bits##_t *ret_value)              \
	{                                                                  \
		if (!vmmem_guest_load_##bits(guest, ret_value))            \
			return false;                                      \
		__atomic_signal_fence(__ATOMIC_SEQ_CST);                   \
		return true;                                               \
	}                                                                  \
                                                                           \
	VMMEM_INLINE_PART bool vmmem_guest_store_##bits(                   \
		void *guest, uint##bits##_t value)                         \
	{                                                                  \
		VMMEM_ASM_GO("1:\t" store " %[value], %[guest]\n\t"        \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     : [guest] "=m"(*(vmmem_guest_at##bits *)guest) \
			     : [value] "r"(value)                          \
			     :                                             \
			     : gone);                                      \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}                                                                  \
                                                                           \
	VMMEM_INLINE_PART bool vmmem_guest_store_release_##bits(           \
		void *guest, uint##bits##_t value)                         \
	{                                                                  \
		__atomic_signal_fence(__ATOMIC_SEQ_CST);                   \
		return vmmem_guest_store_##bits(guest, value);             \
	}

/* One locked instruction that has 'operand' in and the old value out. */
#define VMMEM_GUEST_MODIFY(name, instruction, bits)                        \
	VMMEM_INLINE_PART bool vmmem_guest_##name##_##bits(                \
		void *guest, uint##bits##_t operand,                       \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		VMMEM_ASM_GO("1:\t" instruction " %[operand], %[guest]\n\t" \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     : [operand] "+r"(operand),                    \
			       [guest] "+m"(*(vmmem_guest##bits *)guest)   \
			     :                                             \
			     : "memory", "cc"                              \
			     : gone);                                      \
		*ret_previous = operand;                                   \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}

#define VMMEM_GUEST_COMPARE_EXCHANGE(bits, instruction)                    \
	VMMEM_INLINE_PART bool vmmem_guest_compare_exchange_##bits(        \
		void *guest, uint##bits##_t expected,                      \
		uint##bits##_t desired, uint##bits##_t *ret_seen)          \
	{                                                                  \
		VMMEM_ASM_GO("1:\t" instruction " %[desired], %[guest]\n\t" \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     : [seen] "+a"(expected),                      \
			       [guest] "+m"(*(vmmem_guest##bits *)guest)   \
			     : [desired] "r"(desired)                      \
			     : "memory", "cc"                              \
			     : gone);                                      \
		*ret_seen = expected;                                      \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}                                                                  \
                                                                           \
	VMMEM_INLINE_PART bool vmmem_guest_store_ordered_##bits(           \
		void *guest, uint##bits##_t value)                         \
	{                                                                  \
		return vmmem_guest_exchange_##bits(guest, value, &value);  \
	}

VMMEM_GUEST_PLAIN(8, "movzbl", "movb", uint32_t)
VMMEM_GUEST_PLAIN(16, "movzwl", "movw", uint32_t)
VMMEM_GUEST_PLAIN(32, "movl", "movl", uint32_t)
VMMEM_GUEST_PLAIN(64, "movq", "movq", uint64_t)

VMMEM_GUEST_MODIFY(exchange, "xchgb", 8)
VMMEM_GUEST_MODIFY(exchange, "xchgw", 16)
VMMEM_GUEST_MODIFY(exchange, "xchgl", 32)
VMMEM_GUEST_MODIFY(exchange, "xchgq", 64)
VMMEM_GUEST_MODIFY(fetch_add, "lock xaddb", 8)
VMMEM_GUEST_MODIFY(fetch_add, "lock xaddw", 16)
VMMEM_GUEST_MODIFY(fetch_add, "lock xaddl", 32)
VMMEM_GUEST_MODIFY(fetch_add, "lock xaddq", 64)

VMMEM_GUEST_COMPARE_EXCHANGE(8, "lock cmpxchgb")
VMMEM_GUEST_COMPARE_EXCHANGE(16, "lock cmpxchgw")
VMMEM_GUEST_COMPARE_EXCHANGE(32, "lock cmpxchgl")
VMMEM_GUEST_COMPARE_EXCHANGE(64, "lock cmpxchgq")

/* With AVX there are other instructions for 16 bytes: the two do not mix. */
#define VMMEM_GUEST_AVX "vmovdqu"
#ifdef __AVX__
#define VMMEM_GUEST_SSE VMMEM_GUEST_AVX
#else
#define VMMEM_GUEST_SSE "movdqu"
#endif

#define VMMEM_GUEST_VECTOR(name, type, instruction, attributes)            \
	VMMEM_INLINE_PART attributes bool vmmem_guest_load_##name(         \
		const void *guest, type *ret_value)                        \
	{                                                                  \
		type value;                                                \
                                                                           \
		VMMEM_ASM_GO("1:\t" instruction " %[from], %[to]\n\t"      \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     : [to] "=x"(value)                            \
			     : [from] "m"(*(const type *)guest)            \
			     :                                             \
			     : gone);                                      \
		*ret_value = value;                                        \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}                                                                  \
                                                                           \
	VMMEM_INLINE_PART attributes bool vmmem_guest_store_##name(        \
		void *guest, const type *value)                            \
	{                                                                  \
		VMMEM_ASM_GO("1:\t" instruction " %[from], %[to]\n\t"      \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     : [to] "=m"(*(type *)guest)                   \
			     : [from] "x"(*value)                          \
			     :                                             \
			     : gone);                                      \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}

#undef VMMEM_GUEST_PLAIN
#undef VMMEM_GUEST_MODIFY
#undef VMMEM_GUEST_COMPARE_EXCHANGE

#endif
