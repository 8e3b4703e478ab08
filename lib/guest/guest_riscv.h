/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Accesses of riscv64, with a way out each.  There are atomic instructions for
 * 4 and 8 bytes only; less is changed within its aligned 4.
 */
#ifndef GUEST_RISCV_H
#define GUEST_RISCV_H

#define VMMEM_GUEST_PLAIN(bits, load, store)                               \
	VMMEM_INLINE_PART bool vmmem_guest_load_##bits(                    \
		const void *guest, uint##bits##_t *ret_value)              \
	{                                                                  \
		uint64_t value;                                            \
                                                                           \
		VMMEM_ASM_GO("1:\t" load " %[value], %[guest]\n\t"         \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     : [value] "=r"(value)                         \
			     : [guest] "m"(*(const vmmem_guest##bits *)guest) \
			     :                                             \
			     : gone);                                      \
		*ret_value = (uint##bits##_t)value;                        \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}                                                                  \
                                                                           \
	VMMEM_INLINE_PART bool vmmem_guest_store_##bits(                   \
		void *guest, uint##bits##_t value)                         \
	{                                                                  \
		VMMEM_ASM_GO("1:\t" store " %[value], %[guest]\n\t"        \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     : [guest] "=m"(*(vmmem_guest##bits *)guest)   \
			     : [value] "r"((uint64_t)value)                \
			     :                                             \
			     : gone);                                      \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}                                                                  \
                                                                           \
	/* The fences of the C11 mapping: both, so that any order is met. */ \
	VMMEM_INLINE_PART bool vmmem_guest_load_acquire_##bits(            \
		const void *guest, uint##bits##_t *ret_value)              \
	{                                                                  \
		__atomic_thread_fence(__ATOMIC_SEQ_CST);                   \
		if (!vmmem_guest_load_##bits(guest, ret_value))            \
			return false;                                      \
		__atomic_thread_fence(__ATOMIC_ACQUIRE);                   \
		return true;                                               \
	}                                                                  \
                                                                           \
	VMMEM_INLINE_PART bool vmmem_guest_store_release_##bits(           \
		void *guest, uint##bits##_t value)                         \
	{                                                                  \
		__atomic_thread_fence(__ATOMIC_RELEASE);                   \
		return vmmem_guest_store_##bits(guest, value);             \
	}                                                                  \
                                                                           \
	VMMEM_INLINE_PART bool vmmem_guest_store_ordered_##bits(           \
		void *guest, uint##bits##_t value)                         \
	{                                                                  \
		if (!vmmem_guest_store_release_##bits(guest, value))       \
			return false;                                      \
		__atomic_thread_fence(__ATOMIC_SEQ_CST);                   \
		return true;                                               \
	}

/* Registers hold a value of 4 bytes with its sign extended. */
#define VMMEM_GUEST_COMPARE_EXCHANGE(bits, suffix)                         \
	VMMEM_INLINE_PART bool vmmem_guest_compare_exchange_##bits(        \
		void *guest, uint##bits##_t expected,                      \
		uint##bits##_t desired, uint##bits##_t *ret_seen)          \
	{                                                                  \
		int64_t seen, failed;                                      \
                                                                           \
		VMMEM_ASM_GO("1:\tlr" suffix ".aqrl %[seen], %[guest]\n\t" \
			     "bne %[seen], %[expected], 3f\n\t"            \
			     "2:\tsc" suffix                               \
			     ".rl %[failed], %[desired], %[guest]\n\t"     \
			     "bnez %[failed], 1b\n\t"                      \
			     "3:\n\t"                                      \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     VMMEM_GUEST_WAY_OUT(2, gone)                  \
			     : [seen] "=&r"(seen), [failed] "=&r"(failed), \
			       [guest] "+A"(*(vmmem_guest##bits *)guest)   \
			     : [expected] "r"(                            \
				     (int64_t)(int##bits##_t)expected),     \
			       [desired] "r"((int64_t)(int##bits##_t)desired) \
			     : "memory"                                    \
			     : gone);                                      \
		*ret_seen = (uint##bits##_t)seen;                          \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}

/*
 * Within the aligned 4 bytes, which are all there or all gone.  A change of
 * the others is no reason to say that ours are not as expected.
 */
#define VMMEM_GUEST_COMPARE_EXCHANGE_PART(bits)                            \
	VMMEM_INLINE_PART bool vmmem_guest_compare_exchange_##bits(        \
		void *guest, uint##bits##_t expected,                      \
		uint##bits##_t desired, uint##bits##_t *ret_seen)          \
	{                                                                  \
		const unsigned int within = (uintptr_t)guest % 4;          \
		const unsigned int shift = within * 8;                     \
		const uint32_t mask = (uint32_t)UINT##bits##_MAX << shift; \
		void *word = (unsigned char *)guest - within;              \
		uint32_t old, seen;                                        \
                                                                           \
		if (!vmmem_guest_load_32(word, &old))                      \
			return false;                                      \
		for (;; old = seen) {                                      \
			/* A fence in any case: compare with itself. */    \
			uint32_t wanted = old;                             \
                                                                           \
			if ((old & mask) >> shift == expected)             \
				wanted = (old & ~mask) |                   \
					 (uint32_t)desired << shift;       \
			if (!vmmem_guest_compare_exchange_32(word, old,    \
							     wanted, &seen)) \
				return false;                              \
			if (seen == old)                                   \
				break;                                     \
		}                                                          \
		*ret_seen = (uint##bits##_t)(old >> shift);                \
		return true;                                               \
	}

#define VMMEM_GUEST_MODIFY(name, changed, bits)                            \
	VMMEM_INLINE_PART bool vmmem_guest_##name##_##bits(                \
		void *guest, uint##bits##_t operand,                       \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		uint##bits##_t old, seen;                                  \
                                                                           \
		if (!vmmem_guest_load_##bits(guest, &old))                 \
			return false;                                      \
		for (;; old = seen) {                                      \
			if (!vmmem_guest_compare_exchange_##bits(          \
				    guest, old, (uint##bits##_t)(changed), \
				    &seen))                                \
				return false;                              \
			if (seen == old)                                   \
				break;                                     \
		}                                                          \
		*ret_previous = old;                                       \
		return true;                                               \
	}

VMMEM_GUEST_PLAIN(8, "lbu", "sb")
VMMEM_GUEST_PLAIN(16, "lhu", "sh")
VMMEM_GUEST_PLAIN(32, "lwu", "sw")
VMMEM_GUEST_PLAIN(64, "ld", "sd")

VMMEM_GUEST_COMPARE_EXCHANGE(32, ".w")
VMMEM_GUEST_COMPARE_EXCHANGE(64, ".d")
VMMEM_GUEST_COMPARE_EXCHANGE_PART(8)
VMMEM_GUEST_COMPARE_EXCHANGE_PART(16)

#define VMMEM_GUEST_ALL(bits)                                              \
	VMMEM_GUEST_MODIFY(exchange, operand, bits)                        \
	VMMEM_GUEST_MODIFY(fetch_add, old + operand, bits)

VMMEM_GUEST_ALL(8)
VMMEM_GUEST_ALL(16)
VMMEM_GUEST_ALL(32)
VMMEM_GUEST_ALL(64)

#undef VMMEM_GUEST_PLAIN
#undef VMMEM_GUEST_COMPARE_EXCHANGE
#undef VMMEM_GUEST_COMPARE_EXCHANGE_PART
#undef VMMEM_GUEST_MODIFY
#undef VMMEM_GUEST_ALL

#endif
