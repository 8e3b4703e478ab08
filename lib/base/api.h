/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Macros that every file of the library shares. */
#ifndef API_H
#define API_H

/*
 * Stands on the definition of each exported function, and nowhere else.  What
 * links the static library keeps its copy to itself: two plugins in a program
 * may have one each, and the calls of each go to its own.
 */
#ifdef VMMEM_STATIC
#define VMMEM_API __attribute__((__visibility__("hidden")))
#else
#define VMMEM_API __attribute__((__visibility__("default")))
#endif

/* All accesses that a caller can ask for. */
#define VMMEM_READ_WRITE (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

/* Keeps what is rare out of the way of what is not. */
#define VMMEM_COLD __attribute__((__noinline__, __cold__))

/* Of all processors that matter here, or a multiple of theirs. */
#define VMMEM_CACHE_LINE 64

/*
 * For hot functions whose only callers are cold: GCC would pass the callers'
 * coldness on.
 */
#define VMMEM_HOT __attribute__((__noinline__, __hot__))

/*
 * For what is fast only as a part of its caller: a struct that goes through
 * memory may be read back wider than it was written, which stalls.
 */
#define VMMEM_ALWAYS_INLINE inline __attribute__((__always_inline__))

#define likely(condition) __builtin_expect(!!(condition), 1)

#endif
