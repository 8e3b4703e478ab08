/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Accesses of arm64, with a way out each.  What changes memory is tried, by a
 * pair of exclusive accesses, until nobody came in between: every processor
 * has those.
 */
#ifndef GUEST_ARM64_H
#define GUEST_ARM64_H

/*
 * 'where' says what addresses an instruction takes: "m" any, "Q" one that is
 * in a register.
 */
#define VMMEM_GUEST_LOAD(name, bits, instruction, where)                   \
	VMMEM_INLINE_PART bool vmmem_guest_##name##_##bits(                \
		const void *guest, uint##bits##_t *ret_value)              \
	{                                                                  \
		uint64_t value;                                            \
                                                                           \
		VMMEM_ASM_GO("1:\t" instruction ", %[guest]\n\t"           \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     : [value] "=r"(value)                         \
			     : [guest] where(                              \
				     *(const vmmem_guest##bits *)guest)     \
			     :                                             \
			     : gone);                                      \
		*ret_value = (uint##bits##_t)value;                        \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}

#define VMMEM_GUEST_STORE(name, bits, instruction, where)                  \
	VMMEM_INLINE_PART bool vmmem_guest_##name##_##bits(                \
		void *guest, uint##bits##_t value)                         \
	{                                                                  \
		VMMEM_ASM_GO("1:\t" instruction ", %[guest]\n\t"           \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     : [guest] "=" where(*(vmmem_guest##bits *)guest) \
			     : [value] "r"((uint64_t)value)                \
			     :                                             \
			     : gone);                                      \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}

/*
 * With acquire and release; the signal fence tells the compiler of it.  A
 * store with release and a load with acquire are not reordered: that is
 * sequential consistency.
 */
#define VMMEM_GUEST_ORDERED(bits)                                          \
	VMMEM_INLINE_PART bool vmmem_guest_load_acquire_##bits(            \
		const void *guest, uint##bits##_t *ret_value)              \
	{                                                                  \
		if (!vmmem_guest_load_ordered_##bits(guest, ret_value))    \
			return false;                                      \
		__atomic_signal_fence(__ATOMIC_SEQ_CST);                   \
		return true;                                               \
	}                                                                  \
                                                                           \
	VMMEM_INLINE_PART bool vmmem_guest_store_release_##bits(           \
		void *guest, uint##bits##_t value)                         \
	{                                                                  \
		__atomic_signal_fence(__ATOMIC_SEQ_CST);                   \
		return vmmem_guest_store_with_release_##bits(guest, value); \
	}                                                                  \
                                                                           \
	VMMEM_INLINE_PART bool vmmem_guest_store_ordered_##bits(           \
		void *guest, uint##bits##_t value)                         \
	{                                                                  \
		if (!vmmem_guest_store_release_##bits(guest, value))       \
			return false;                                      \
		__atomic_signal_fence(__ATOMIC_SEQ_CST);                   \
		return true;                                               \
	}

/* 'suffix' is that of the instruction, 'r' how registers are called. */
#define VMMEM_GUEST_COMPARE_EXCHANGE(bits, suffix, r)                      \
	VMMEM_INLINE_PART bool vmmem_guest_compare_exchange_##bits(        \
		void *guest, uint##bits##_t expected,                      \
		uint##bits##_t desired, uint##bits##_t *ret_seen)          \
	{                                                                  \
		uint64_t seen;                                             \
		uint32_t failed;                                           \
                                                                           \
		VMMEM_ASM_GO("1:\tldaxr" suffix " %" r "[seen], %[guest]\n\t" \
			     "cmp %" r "[seen], %" r "[expected]\n\t"      \
			     "b.ne 3f\n\t"                                 \
			     "2:\tstlxr" suffix                            \
			     " %w[failed], %" r "[desired], %[guest]\n\t"  \
			     "cbnz %w[failed], 1b\n\t"                     \
			     "3:\n\t"                                      \
			     VMMEM_GUEST_WAY_OUT(1, gone)                  \
			     VMMEM_GUEST_WAY_OUT(2, gone)                  \
			     : [seen] "=&r"(seen), [failed] "=&r"(failed), \
			       [guest] "+Q"(*(vmmem_guest##bits *)guest)   \
			     : [expected] "r"((uint64_t)expected),         \
			       [desired] "r"((uint64_t)desired)            \
			     : "memory", "cc"                              \
			     : gone);                                      \
		*ret_seen = (uint##bits##_t)seen;                          \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}

/* 'change' stores what is to be in [new], of [previous] and [operand]. */
#define VMMEM_GUEST_MODIFY(name, bits, suffix, r, change)                  \
	VMMEM_INLINE_PART bool vmmem_guest_##name##_##bits(                \
		void *guest, uint##bits##_t operand,                       \
		uint##bits##_t *ret_previous)                              \
	{                                                                  \
		uint64_t previous, changed;                                \
		uint32_t failed;                                           \
                                                                           \
		VMMEM_ASM_GO(                                              \
			"1:\tldaxr" suffix " %" r "[previous], %[guest]\n\t" \
			change "\n\t"                                      \
			"2:\tstlxr" suffix                                 \
			" %w[failed], %" r "[changed], %[guest]\n\t"       \
			"cbnz %w[failed], 1b\n\t"                          \
			VMMEM_GUEST_WAY_OUT(1, gone)                       \
			VMMEM_GUEST_WAY_OUT(2, gone)                       \
			: [previous] "=&r"(previous),                      \
			  [changed] "=&r"(changed), [failed] "=&r"(failed), \
			  [guest] "+Q"(*(vmmem_guest##bits *)guest)        \
			: [operand] "r"((uint64_t)operand)                 \
			: "memory"                                         \
			: gone);                                           \
		*ret_previous = (uint##bits##_t)previous;                  \
		return true;                                               \
	gone:                                                              \
		VMMEM_GUEST_LANDING;                                       \
		return false;                                              \
	}

#define VMMEM_GUEST_ALL(bits, suffix, r)                                   \
	VMMEM_GUEST_LOAD(load, bits, "ldr" suffix " %" r "[value]", "m")   \
	VMMEM_GUEST_LOAD(load_ordered, bits,                               \
			 "ldar" suffix " %" r "[value]", "Q")              \
	VMMEM_GUEST_STORE(store, bits, "str" suffix " %" r "[value]", "m") \
	VMMEM_GUEST_STORE(store_with_release, bits,                        \
			  "stlr" suffix " %" r "[value]", "Q")             \
	VMMEM_GUEST_ORDERED(bits)                                          \
	VMMEM_GUEST_COMPARE_EXCHANGE(bits, suffix, r)                      \
	VMMEM_GUEST_MODIFY(exchange, bits, suffix, r,                      \
			   "mov %x[changed], %x[operand]")                 \
	VMMEM_GUEST_MODIFY(fetch_add, bits, suffix, r,                     \
			   "add %x[changed], %x[previous], %x[operand]")

VMMEM_GUEST_ALL(8, "b", "w")
VMMEM_GUEST_ALL(16, "h", "w")
VMMEM_GUEST_ALL(32, "", "w")
VMMEM_GUEST_ALL(64, "", "x")

#undef VMMEM_GUEST_LOAD
#undef VMMEM_GUEST_STORE
#undef VMMEM_GUEST_ORDERED
#undef VMMEM_GUEST_COMPARE_EXCHANGE
#undef VMMEM_GUEST_MODIFY
#undef VMMEM_GUEST_ALL

#endif
