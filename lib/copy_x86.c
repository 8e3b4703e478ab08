/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "copy_x86.h"

#ifdef VMMEM_COPY_X86

#include <immintrin.h>
#include <string.h>

#define WITH_AVX __attribute__((__target__("avx2")))

/*
 * Volatile wherever guest memory is meant: the one access that is written is
 * the one that is made.  Not aligned, since the caller's memory need not be.
 */
typedef uint64_t narrow __attribute__((__may_alias__, __aligned__(1)));
typedef long long wide
	__attribute__((__vector_size__(16), __may_alias__, __aligned__(1)));
typedef long long widest
	__attribute__((__vector_size__(32), __may_alias__, __aligned__(1)));

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
WITH_AVX void
vmmem_copy_long(void *to, const void *from, size_t len)
{
	unsigned char *target = to;
	const unsigned char *source = from;
	size_t blocks = len / sizeof(widest);

#define COPY(type, count)                                                  \
	do {                                                               \
		*(volatile type *)target = *(const volatile type *)source; \
		target += (count);                                         \
		source += (count);                                         \
	} while (0)
	for (; blocks >= 4; blocks -= 4) {
		const volatile widest *read = (const volatile widest *)source;
		volatile widest *write = (volatile widest *)target;
		/* All reads first; an array would go through memory. */
		widest a = read[0], b = read[1], c = read[2], d = read[3];

		write[0] = a;
		write[1] = b;
		write[2] = c;
		write[3] = d;
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
}

WITH_AVX void
vmmem_fill_long(void *guest, uint8_t value, size_t len)
{
	const __m256i pattern = _mm256_set1_epi8((char)value);
	unsigned char *target = guest;
	size_t blocks = len / sizeof(widest);

#define FILL(type, count)                                                  \
	do {                                                               \
		*(volatile type *)target = *(const type *)&pattern;        \
		target += (count);                                         \
	} while (0)
	for (; blocks >= 4; blocks -= 4) {
		FILL(widest, 32);
		FILL(widest, 32);
		FILL(widest, 32);
		FILL(widest, 32);
	}
	for (; blocks != 0; blocks--)
		FILL(widest, 32);
	if ((len & 16) != 0)
		FILL(wide, 16);
	if ((len & 8) != 0)
		FILL(narrow, 8);
#undef FILL
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

/* shift_one() goes on for 8 bytes. */
static inline void
shift_one(struct shift *shift)
{
	uint64_t group = *(const volatile narrow *)shift->source;

	*(volatile narrow *)shift->target = shift->carry |
					    group << 8 * shift->bytes;
	shift->carry = group >> (64 - 8 * shift->bytes);
	shift->source += 8;
	shift->target += 8;
}

/*
 * shift_long() goes on for 'len' bytes, a multiple of 32 and not 0.  The vector
 * of the ends is made of what was read before and what is read now, as each
 * group is to be read once.
 */
WITH_AVX static void
shift_long(struct shift *shift, size_t len)
{
	const __m128i up = _mm_cvtsi32_si128((int)(8 * shift->bytes));
	const __m128i down = _mm_cvtsi32_si128((int)(64 - 8 * shift->bytes));
	const unsigned char *source = shift->source;
	unsigned char *target = shift->target;
	__m256i before, now, ends;

	before = _mm256_sll_epi64(
		_mm256_set1_epi64x((long long)shift->carry), down);
	for (; len != 0; len -= sizeof(widest)) {
		now = (__m256i)*(const volatile widest *)source;
		ends = _mm256_permute2x128_si256(before, now, 0x21);
		ends = _mm256_alignr_epi8(now, ends, 8);
		*(volatile widest *)target = (widest)_mm256_or_si256(
			_mm256_srl_epi64(ends, down),
			_mm256_sll_epi64(now, up));
		before = now;
		source += sizeof(widest);
		target += sizeof(widest);
	}
	shift->carry = (uint64_t)_mm256_extract_epi64(
		_mm256_srl_epi64(before, down), 3);
	shift->source = source;
	shift->target = target;
}

#define WRITE(type, size, before)                                          \
	(*(volatile type *)pick(count & (size), target + (before), spare) = \
		 (type)(value >> 8 * (before)))

typedef uint32_t half __attribute__((__may_alias__, __aligned__(1)));
typedef uint16_t quarter __attribute__((__may_alias__, __aligned__(1)));

/* write_head() writes 'count' bytes, 0 to 7, up to a multiple of 8. */
static inline void
write_head(unsigned char *target, uint64_t value, size_t count)
{
	uint64_t spare[1];

	WRITE(uint8_t, 1, 0);
	WRITE(quarter, 2, count & 1);
	WRITE(half, 4, count & 3);
}

/* write_tail() writes 'count' bytes, 0 to 7, from a multiple of 8 on. */
static inline void
write_tail(unsigned char *target, uint64_t value, size_t count)
{
	uint64_t spare[1];

	WRITE(half, 4, 0);
	WRITE(quarter, 2, count & 4);
	WRITE(uint8_t, 1, count & 6);
}

void
vmmem_copy_apart(void *to, const void *from, size_t len)
{
	struct shift shift = { .source = from, .target = to };
	/* Read as they lie, like the ends of any range: see copy.c. */
	const uint64_t last = *(const volatile narrow *)(shift.source + len -
							 8);
	const size_t head = -(uintptr_t)to & 7;
	size_t read = -(uintptr_t)from & 7;
	uint64_t group, spare[1];
	unsigned char buf[16];

	/* To where a group ends on each side; what is between waits. */
	read += read < head ? 8 : 0;
	*(wide *)buf = *(const volatile wide *)shift.source;
	write_head(shift.target, *(const narrow *)buf, head);
	shift.bytes = (unsigned int)(read - head);
	shift.carry = *(const narrow *)(buf + head) &
		      (UINT64_MAX >> (64 - 8 * shift.bytes));
	shift.source += read;
	shift.target += head;
	len -= read;

	if (len >= VMMEM_COPY_LONG / 2 && vmmem_copy_has_avx()) {
		/* Stores that cross cache lines cost the most of it. */
		for (; (uintptr_t)shift.target % 32 != 0; len -= 8)
			shift_one(&shift);
		shift_long(&shift, len & ~(size_t)31);
		len &= 31;
	}
	for (; len >= 8; len -= 8)
		shift_one(&shift);

	/* What is left to be read, at the low end; in two steps as it may be 0. */
	group = last >> 8 >> (56 - 8 * len);
	len += shift.bytes;
	*(volatile narrow *)pick(len & 8, shift.target, spare) =
		shift.carry | group << 8 * shift.bytes;
	shift.carry = (len & 8) != 0 ? group >> (64 - 8 * shift.bytes) :
				       shift.carry | group << 8 * shift.bytes;
	write_tail(shift.target + (len & 8), shift.carry, len & 7);
}

#endif
