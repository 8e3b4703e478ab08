/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/base.h - the few macros that the other headers share.
 *
 * None of them is needed to call the library.  VMMEM_INLINE marks a helper
 * whose body the compiler may use in place of a call; it never emits a copy,
 * so what is not inlined calls the exported function of the same name.
 *
 * A program that defines VMMEM_NO_INLINE before it includes any header gets
 * declarations alone: every exported function, and no body.  That is for tools
 * that read the headers for another language.  Every constant is a literal.
 * What is in a header alone is not there; another language has its own way to
 * swap bytes.
 */
#ifndef VMMEM_BASE_H
#define VMMEM_BASE_H

#include <stddef.h>
#include <stdint.h>

#if __SIZEOF_POINTER__ != 8
#error "libvmmem is for 64-bit systems"
#endif

#ifdef __cplusplus
#define VMMEM_BEGIN_DECLS extern "C" {
#define VMMEM_END_DECLS }
#else
#define VMMEM_BEGIN_DECLS
#define VMMEM_END_DECLS
#endif

/*
 * The timeout that never ends.  Every timeout of the library is a uint64_t of
 * nanoseconds; 0 is not to wait at all.
 */
#define VMMEM_FOREVER 0xffffffffffffffffULL

#define VMMEM_NODISCARD __attribute__((__warn_unused_result__))

#ifndef VMMEM_INLINE
#define VMMEM_INLINE                                                       \
	extern __inline__                                                  \
		__attribute__((__gnu_inline__, __visibility__("default")))
#endif

/*
 * A small function that is in a header alone: it calls exported functions, or
 * none, and knows no layout that may change.
 */
#define VMMEM_STATIC_INLINE static __inline__ __attribute__((__unused__))

/*
 * A piece of such a body.  It has no exported function to fall back to, so it
 * is made part of its caller even where nothing is optimised.
 */
#define VMMEM_INLINE_PART                                                  \
	extern __inline__                                                  \
		__attribute__((__gnu_inline__, __always_inline__))

#endif
