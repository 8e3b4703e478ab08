/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Single accesses to guest memory that can fail.
 *
 * Memory may be gone: its file was cut short, there is no huge page for it, a
 * cell of it is broken.  Touching it raises a signal.  So that a handler can
 * go on from there (fault.c), each instruction that touches guest memory is
 * written out, and a table tells where to go on if that very one faults.  On
 * the good way this costs nothing: the compiler sees one more way out of the
 * instruction, and nobody looks at the table.
 *
 * Each returns whether the access was made, and is one access as C's atomics
 * are: it is neither split, repeated nor left out.
 *
 *   bool vmmem_guest_load_N(const void *guest, uintN_t *ret_value);
 *   bool vmmem_guest_store_N(void *guest, uintN_t value);
 *
 * with relaxed order; and what guest_atomic.h makes the atomics of,
 *
 *   bool vmmem_guest_load_acquire_N(const void *guest, uintN_t *ret_value);
 *   bool vmmem_guest_store_release_N(void *guest, uintN_t value);
 *   bool vmmem_guest_store_ordered_N(void *guest, uintN_t value);
 *   bool vmmem_guest_compare_exchange_N(void *guest, uintN_t expected,
 *                                       uintN_t desired, uintN_t *ret_seen);
 *   bool vmmem_guest_exchange_N(void *guest, uintN_t value,
 *                               uintN_t *ret_previous);
 *   bool vmmem_guest_fetch_add_N(void *guest, uintN_t operand,
 *                                uintN_t *ret_previous);
 *
 * where loading with acquire is good for sequential consistency too, and what
 * is ordered or changes memory has that.  Nothing is stored to an output
 * unless the access was made.
 *
 *   VMMEM_GUEST_VECTOR(NAME, TYPE, INSTRUCTION, ATTRIBUTES)
 *
 * defines, where there are such, two more for a vector of 16 or 32 bytes:
 *
 *   bool vmmem_guest_load_NAME(const void *guest, TYPE *ret_value);
 *   bool vmmem_guest_store_NAME(void *guest, const TYPE *value);
 */
#ifndef GUEST_ACCESS_H
#define GUEST_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmmem/base.h>

/* Guest bytes as integers, whatever type the compiler thinks they have. */
typedef uint8_t vmmem_guest8;
typedef uint16_t __attribute__((__may_alias__)) vmmem_guest16;
typedef uint32_t __attribute__((__may_alias__)) vmmem_guest32;
typedef uint64_t __attribute__((__may_alias__)) vmmem_guest64;

/*
 * The compiler must know instructions with outputs and a second way out.  And
 * ThreadSanitizer sees nothing of an instruction that is written out, so it
 * gets what C has, and faults are not survived.
 */
#if defined(__clang__)
#if __clang_major__ >= 12
#define VMMEM_GUEST_WAYS_OUT 1
#endif
#elif defined(__GNUC__) && __GNUC__ >= 11
#define VMMEM_GUEST_WAYS_OUT 1
#endif

#if defined(__SANITIZE_THREAD__)
#undef VMMEM_GUEST_WAYS_OUT
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef VMMEM_GUEST_WAYS_OUT
#endif
#endif

/*
 * One entry of the table: where the instruction is and where to go on, each
 * relative to its own place, so that nothing is to be relocated.  'at' is a
 * number of a local label, 'gone' a label of C.
 */
struct vmmem_guest_way_out {
	int32_t instruction;
	int32_t target;
};

/*
 * The section of the table.  A linker that takes out what nobody refers to
 * (--gc-sections) must keep it: a reference to its ends is not enough for lld
 * (-z start-stop-gc), nor is one from the code there is.  So it is marked as to
 * be retained.  An assembler that cannot (GNU before 2.36, LLVM before 13)
 * makes one that may get lost, as fault.c then says.
 */
#ifndef VMMEM_GUEST_TABLE
#define VMMEM_GUEST_TABLE "vmmem_ways_out"
#endif
#ifdef VMMEM_NO_RETAIN
#define VMMEM_GUEST_TABLE_FLAGS "\"a\""
#else
#define VMMEM_GUEST_TABLE_FLAGS "\"aR\""
#endif
#define VMMEM_GUEST_IN_TABLE                                               \
	".pushsection " VMMEM_GUEST_TABLE ", " VMMEM_GUEST_TABLE_FLAGS "\n\t"

#define VMMEM_GUEST_WAY_OUT(at, gone)                                      \
	VMMEM_GUEST_IN_TABLE                                               \
	".balign 4\n\t"                                                    \
	".long " #at "b - .\n\t"                                           \
	".long %l[" #gone "] - .\n\t"                                      \
	".popsection\n\t"

/*
 * An instruction with ways out.  Volatile, though the manual says that all of
 * these are: gcc 12.2 takes one with outputs for a computation, and leaves out
 * the access, with its way out, if nobody uses what it loads.
 */
#define VMMEM_ASM_GO __asm__ volatile goto

/*
 * Where a way out leads.  gcc 12.2 loses what it puts on that way if nothing
 * else is there: a caller that returns a constant if memory is gone, and else
 * what was loaded, would return what was in the register.  So something is
 * there, though no instruction, and each way out has such a place of its own.
 */
#define VMMEM_GUEST_LANDING __asm__ __inline__ volatile("")

#if defined(VMMEM_GUEST_WAYS_OUT) && defined(__x86_64__)
#include "guest/guest_x86.h"
#elif defined(VMMEM_GUEST_WAYS_OUT) && defined(__aarch64__)
#include "guest/guest_arm64.h"
#elif defined(VMMEM_GUEST_WAYS_OUT) && defined(__riscv) && __riscv_xlen == 64
#include "guest/guest_riscv.h"
#else
#undef VMMEM_GUEST_WAYS_OUT
#include "guest/guest_c.h"
#endif

#endif
