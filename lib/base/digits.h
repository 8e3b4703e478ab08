/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Numbers in what the system says as text. */
#ifndef DIGITS_H
#define DIGITS_H

#include <stdint.h>

/* vmmem_digits() reads digits of 'base', 10 or 16, and moves '*text' on. */
static inline uint64_t
vmmem_digits(const char **text, unsigned int base)
{
	uint64_t value = 0;

	for (;; (*text)++) {
		char c = **text;

		if (c >= '0' && c <= '9')
			value = value * base + (uint64_t)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			value = value * base + (uint64_t)(c - 'a') + 10;
		else
			return value;
	}
}

#endif
