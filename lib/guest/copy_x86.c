/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The same copies for long ranges, on x86-64. */
#include "guest/copy_x86.h"

#ifdef VMMEM_COPY_X86

#include <immintrin.h>
#include <string.h>

#include "guest/guest_access.h"

#define WITH_AVX __attribute__((__target__("avx2")))

/* Not aligned, since the caller's memory need not be. */
typedef uint64_t narrow;
typedef long long wide
	__attribute__((__vector_size__(16), __may_alias__, __aligned__(1)));
typedef long long widest
	__attribute__((__vector_size__(32), __may_alias__, __aligned__(1)));

VMMEM_GUEST_VECTOR(wide, wide, VMMEM_GUEST_AVX, WITH_AVX)
VMMEM_GUEST_VECTOR(widest, widest, VMMEM_GUEST_AVX, WITH_AVX)
/* For functions that any processor can run. */
VMMEM_GUEST_VECTOR(unaided, wide, VMMEM_GUEST_SSE, )

#define vmmem_guest_load_narrow vmmem_guest_load_64
#define vmmem_guest_store_narrow(at, value) vmmem_guest_store_64(at, *(value))

/* One access each; or on to 'gone'. */
#define LOAD(type, value, at)                                              \
	do {                                                               \
		if (!vmmem_guest_load_##type(at, &(value)))                \
			goto gone;                                         \
	} while (0)
#define STORE(type, at, value, gone)                                       \
	do {                                                               \
		if (!vmmem_guest_store_##type(at, &(value)))               \
			goto gone;                                         \
	} while (0)

/*
 * The four stores share one 'target', which does not tell how far they came.
 * The labels gone1 to gone3 add the stores that were made, so that none is made
 * twice.
 */
#define STORE_FOUR(a, b, c, d)                                             \
	do {                                                               \
		STORE(widest, target, a, gone);                            \
		STORE(widest, target + sizeof(widest), b, gone1);          \
		STORE(widest, target + 2 * sizeof(widest), c, gone2);      \
		STORE(widest, target + 3 * sizeof(widest), d, gone3);      \
	} while (0)

/* pick() returns 'pointer' if 'yes' is not 0, and 'spare' if it is. */
static inline void *
pick(size_t yes, void *pointer, void *spare)
{
	pointer = yes != 0 ? pointer : spare;
	/* No instruction: else the compiler may make a branch. */
	__asm__("" : "+r"(pointer));
	return pointer;
}

/*
 * How many accesses of each kind there are depends on 'len' alone, which a
 * processor may learn.  To align one side first makes it depend on the address:
 * a branch that misses costs as much as 256 bytes, and steps without branches
 * were no faster up to 4 KiB.
 */
WITH_AVX size_t
vmmem_copy_long(void *to, const void *from, size_t len)
{
	unsigned char *target = to;
	const unsigned char *source = from;
	const unsigned char *const fours = source + (len & ~(size_t)127);
	size_t blocks = len / sizeof(widest) % 4, made = 0;

#define COPY(type, count)                                                  \
	do {                                                               \
		type value;                                                \
                                                                           \
		LOAD(type, value, source);                                 \
		STORE(type, target, value, gone);                          \
		target += (count);                                         \
		source += (count);                                         \
	} while (0)
	while (source != fours) {
		/* All reads first; an array would go through memory. */
		widest a, b, c, d;

		LOAD(widest, a, source);
		LOAD(widest, b, source + sizeof(widest));
		LOAD(widest, c, source + 2 * sizeof(widest));
		LOAD(widest, d, source + 3 * sizeof(widest));
		STORE_FOUR(a, b, c, d);
		source += 4 * sizeof(widest);
		target += 4 * sizeof(widest);
	}
	for (; blocks != 0; blocks--)
		COPY(widest, 32);
	if ((len & 16) != 0)
		COPY(wide, 16);
	if ((len & 8) != 0)
		COPY(narrow, 8);
#undef COPY
	return 0;
gone3:
	made++;
gone2:
	made++;
gone1:
	made++;
gone:
	return len - (size_t)(target - (unsigned char *)to) -
	       made * sizeof(widest);
}

WITH_AVX size_t
vmmem_copy_fill_long(void *guest, uint8_t value, size_t len)
{
	const __m256i pattern = _mm256_set1_epi8((char)value);
	widest pattern_widest = (widest)pattern;
	wide pattern_wide = (wide)_mm256_castsi256_si128(pattern);
	const narrow pattern_narrow = UINT64_C(0x0101010101010101) * value;
	unsigned char *target = guest;
	size_t blocks = len / sizeof(widest), made = 0;

#define FILL(type, count)                                                  \
	do {                                                               \
		STORE(type, target, pattern_##type, gone);                 \
		target += (count);                                         \
	} while (0)
	for (; blocks >= 4; blocks -= 4) {
		STORE_FOUR(pattern_widest, pattern_widest, pattern_widest,
			   pattern_widest);
		target += 4 * sizeof(widest);
	}
	for (; blocks != 0; blocks--)
		FILL(widest, 32);
	if ((len & 16) != 0)
		FILL(wide, 16);
	if ((len & 8) != 0)
		FILL(narrow, 8);
#undef FILL
	return 0;
gone3:
	made++;
gone2:
	made++;
gone1:
	made++;
gone:
	return len - (size_t)(target - (unsigned char *)guest) -
	       made * sizeof(widest);
}

/*
 * Between addresses that are not aligned alike, each group that is written is
 * the end of one that was read and the beginning of the next.  'carry' has that
 * end, 'bytes' of it, at its low end.
 */
struct shift {
	const unsigned char *source;
	unsigned char *target;
	uint64_t carry;
	unsigned int bytes; /* 1 to 7 */
};

/* SHIFT_ONE() goes on for 8 bytes, with the members of a shift as variables. */
#define SHIFT_ONE()                                                        \
	do {                                                               \
		LOAD(narrow, group, source);                               \
		whole = carry | group << 8 * bytes;                        \
		STORE(narrow, target, whole, gone);                        \
		carry = group >> (64 - 8 * bytes);                         \
		source += 8;                                               \
		target += 8;                                               \
	} while (0)

/*
 * shift_long() goes on for 'len' bytes, a multiple of 32 and not 0, and tells
 * whether they were there; if not, shift->target is where one was not.  The
 * vector of the ends is made of what was read before and what is read now, as
 * each group is to be read once.
 */
WITH_AVX static bool
shift_long(struct shift *shift, size_t len)
{
	const __m128i up = _mm_cvtsi32_si128((int)(8 * shift->bytes));
	const __m128i down = _mm_cvtsi32_si128((int)(64 - 8 * shift->bytes));
	const unsigned char *source = shift->source;
	unsigned char *target = shift->target;
	__m256i before, now, ends;
	widest value;

	before = _mm256_sll_epi64(
		_mm256_set1_epi64x((long long)shift->carry), down);
	for (; len != 0; len -= sizeof(widest)) {
		LOAD(widest, value, source);
		now = (__m256i)value;
		ends = _mm256_permute2x128_si256(before, now, 0x21);
		ends = _mm256_alignr_epi8(now, ends, 8);
		value = (widest)_mm256_or_si256(_mm256_srl_epi64(ends, down),
						_mm256_sll_epi64(now, up));
		STORE(widest, target, value, gone);
		before = now;
		source += sizeof(widest);
		target += sizeof(widest);
	}
	shift->carry = (uint64_t)_mm256_extract_epi64(
		_mm256_srl_epi64(before, down), 3);
	shift->source = source;
	shift->target = target;
	return true;
gone:
	shift->target = target;
	return false;
}

/* Returns how many bytes were written before the memory was gone. */
#define WRITE(bits, size, before)                                          \
	do {                                                               \
		if (!vmmem_guest_store_##bits(                             \
			    pick(count & (size), target + (before), spare), \
			    (uint##bits##_t)(value >> 8 * (before))))      \
			return before;                                     \
	} while (0)

/* write_head() writes 'count' bytes, 0 to 7, up to a multiple of 8. */
static inline size_t
write_head(unsigned char *target, uint64_t value, size_t count)
{
	uint64_t spare[1];

	WRITE(8, 1, 0);
	WRITE(16, 2, (count & 1));
	WRITE(32, 4, (count & 3));
	return count;
}

/* write_tail() writes 'count' bytes, 0 to 7, from a multiple of 8 on. */
static inline size_t
write_tail(unsigned char *target, uint64_t value, size_t count)
{
	uint64_t spare[1];

	WRITE(32, 4, 0);
	WRITE(16, 2, (count & 4));
	WRITE(8, 1, (count & 6));
	return count;
}

size_t
vmmem_copy_unaligned(void *to, const void *from, size_t len)
{
	const unsigned char *source = from;
	unsigned char *target = to, *const end = target + len;
	const size_t head = -(uintptr_t)to & 7;
	size_t read = -(uintptr_t)from & 7, written;
	uint64_t last, group, whole, carry, spare[1];
	unsigned char buf[16];
	unsigned int bytes;
	wide first;

	/* Read as they lie, like the ends of any range: see copy.c. */
	LOAD(narrow, last, source + len - 8);
	LOAD(unaided, first, source);
	memcpy(buf, &first, sizeof(buf));
	/* To where a group ends on each side; what is between waits. */
	read += read < head ? 8 : 0;
	memcpy(&group, buf, sizeof(group));
	written = write_head(target, group, head);
	target += written;
	if (written != head)
		goto gone;
	bytes = (unsigned int)(read - head);
	memcpy(&carry, buf + head, sizeof(carry));
	carry &= UINT64_MAX >> (64 - 8 * bytes);
	source += read;
	len -= read;

	if (len >= VMMEM_COPY_LONG / 2 && vmmem_copy_has_avx()) {
		struct shift shift;
		bool there;

		/* Stores that cross cache lines cost the most of it. */
		for (; (uintptr_t)target % 32 != 0; len -= 8)
			SHIFT_ONE();
		shift = (struct shift){ source, target, carry, bytes };
		there = shift_long(&shift, len & ~(size_t)31);
		target = shift.target;
		if (!there)
			goto gone;
		source = shift.source;
		carry = shift.carry;
		len &= 31;
	}
	for (; len >= 8; len -= 8)
		SHIFT_ONE();

	/* The bytes left to be read, low; in two steps, as it may be 0. */
	group = last >> 8 >> (56 - 8 * len);
	len += bytes;
	whole = carry | group << 8 * bytes;
	STORE(narrow, pick(len & 8, target, spare), whole, gone);
	carry = (len & 8) != 0 ? group >> (64 - 8 * bytes) : whole;
	target += len & 8;
	target += write_tail(target, carry, len & 7);
gone:
	return (size_t)(end - target);
}

#endif
