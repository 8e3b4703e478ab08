/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Long copies on x86-64, 32 bytes at a time.
 *
 * Accesses of 16 and 32 bytes are one access where they are aligned and the
 * processor has AVX.  Elsewhere processors split them where 16, 32 or 64 bytes
 * end, and have never been seen to do so within an aligned 8.  So addresses
 * need only be aligned to 8.  ThreadSanitizer knows no such access, and so
 * there is none where it is used.
 */
#ifndef COPY_X86_H
#define COPY_X86_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define VMMEM_COPY_X86
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef VMMEM_COPY_X86
#endif
#endif
#endif

#ifdef VMMEM_COPY_X86

/*
 * Each returns how many bytes it did not move, as the memory behind one was
 * gone: the last ones.  It may be that some of them can be moved.
 *
 * From so many bytes on the functions below are worth it, where
 * vmmem_copy_has_avx().
 */
#define VMMEM_COPY_LONG 256

static inline bool
vmmem_copy_has_avx(void)
{
	return __builtin_cpu_supports("avx2");
}

/*
 * vmmem_copy_long() copies 'len' bytes upwards, a multiple of 8, from or to a
 * guest address that is aligned to 8, or both.
 */
size_t vmmem_copy_long(void *target, const void *source, size_t len);

/* vmmem_copy_fill_long() fills as many bytes. */
size_t vmmem_copy_fill_long(void *guest, uint8_t value, size_t len);

/*
 * vmmem_copy_unaligned() copies upwards between guest addresses that are not
 * aligned alike modulo 8.  'len' is at least VMMEM_COPY_APART.
 */
#define VMMEM_COPY_APART 32
size_t vmmem_copy_unaligned(void *target, const void *source, size_t len);

#endif
#endif
