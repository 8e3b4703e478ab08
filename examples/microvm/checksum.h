/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Fletcher-32, as the guest computes it: with the carry brought round. */
#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <stdint.h>

struct checksum {
	uint32_t low, high;
};

static inline uint32_t
checksum_round(uint32_t sum)
{
	return (sum & 0xffff) + (sum >> 16);
}

static inline void
checksum_add(struct checksum *checksum, uint16_t word)
{
	checksum->low = checksum_round(checksum->low + word);
	checksum->high = checksum_round(checksum->high + checksum->low);
}

static inline uint32_t
checksum_get(const struct checksum *checksum)
{
	return checksum->high << 16 | checksum->low;
}

#endif
