/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The numbers at which arithmetic on addresses and lengths goes wrong, and a
 * way to say which of them it was.  Models calculate in 128 bits, where nothing
 * wraps.
 */
#ifndef BOUNDARIES_H
#define BOUNDARIES_H

#include <inttypes.h>
#include <stdbool.h>

#include "guest.h"

__extension__ typedef unsigned __int128 wide;

#ifndef PAGE
#define PAGE UINT64_C(0x1000)
#endif
/* One more than the last address there is. */
#define END ((wide)1 << 64)

static const uint64_t numbers[] = {
	0,
	1,
	PAGE - 1,
	PAGE,
	PAGE + 1,
	(UINT64_C(1) << 31) - 1,
	UINT64_C(1) << 31,
	(UINT64_C(1) << 32) - 1,
	UINT64_C(1) << 32,
	(UINT64_C(1) << 63) - 1,
	UINT64_C(1) << 63,
	0 - PAGE,
	UINT64_MAX,
};
#define NUMBERS ARRAY_LEN(numbers)

/* Two numbers, each of them any of the above. */
#define FOR_PAIRS(a, b)                                                    \
	for (size_t a##_ = 0; a##_ < NUMBERS * NUMBERS; a##_++)            \
		for (uint64_t a = numbers[a##_ / NUMBERS],                 \
			      b = numbers[a##_ % NUMBERS], once_ = 1;      \
		     once_ != 0; once_ = 0)

/* Check notes each assertion in a file, which would take most of the time. */
#define HOLDS(condition, a, b, c)                                          \
	do {                                                               \
		if (!(condition))                                          \
			ck_abort_msg("%s:%d: %s, of %#" PRIx64             \
				     ", %#" PRIx64 ", %#" PRIx64,          \
				     __FILE__, __LINE__, #condition,       \
				     (uint64_t)(a), (uint64_t)(b),         \
				     (uint64_t)(c));                       \
	} while (0)

/* 'call' must return 'want'. */
#define CODE(call, want, a, b, c)                                          \
	do {                                                               \
		const int got_ = (call), want_ = (want);                   \
		if (got_ != want_)                                         \
			ck_abort_msg("%s:%d: %s: %d, not %d, of %#" PRIx64 \
				     ", %#" PRIx64 ", %#" PRIx64,          \
				     __FILE__, __LINE__, #call, got_,      \
				     want_, (uint64_t)(a), (uint64_t)(b),  \
				     (uint64_t)(c));                       \
	} while (0)

static inline uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* How many bytes of [a, a + a_len) are in [b, b + b_len). */
static inline uint64_t
common(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	wide from = a > b ? a : b, end = (wide)a + a_len;

	if (end > (wide)b + b_len)
		end = (wide)b + b_len;
	return end > from ? (uint64_t)(end - from) : 0;
}

#endif
