/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The guest works for as long as it is left to, so how many steps these are is
 * not known before.  But the pattern runs through all 65536 numbers and then
 * begins again: all that counts is what one run through it adds, how many
 * there were, and the rest.
 */
#include <string.h>

#include "checksum.h"
#include "work.h"

#define PERIOD 65536
#define BLOCKS (WORK_PAGES * WORK_BLOCKS)

/* What was added to the blocks: how often, and the sum of the numbers. */
struct visits {
	uint32_t count[BLOCKS];
	uint32_t sum[BLOCKS];
};

static uint16_t
visit(struct visits *visits, uint16_t number, uint32_t steps)
{
	while (steps-- > 0) {
		uint32_t square, block;

		number = (uint16_t)(number * PATTERN_FACTOR +
				    PATTERN_INCREMENT);
		square = (uint32_t)number * number;
		block = (square >> 26) * WORK_BLOCKS + ((number >> 7) & 31);
		visits->count[block]++;
		visits->sum[block] += number;
	}
	return number;
}

uint32_t
work_expected(uint16_t seed, uint32_t steps, uint16_t ret_words[WORK_TOTAL])
{
	static struct visits whole, rest;
	struct checksum checksum = { 0 };

	memset(&whole, 0, sizeof(whole));
	memset(&rest, 0, sizeof(rest));
	visit(&whole, seed, PERIOD);
	visit(&rest, seed, steps % PERIOD);

	/*
	 * The guest's words are 16 bits wide and its count of steps 32: what
	 * either loses is a multiple of 65536 runs, which add nothing.
	 */
	for (uint32_t i = 0; i < WORK_TOTAL; i++) {
		uint32_t block = i / WORK_WORDS, word = i % WORK_WORDS;
		uint32_t runs = steps / PERIOD;
		uint32_t count = runs * whole.count[block] + rest.count[block];
		uint32_t sum = runs * whole.sum[block] + rest.sum[block];

		ret_words[i] = (uint16_t)(sum + count * word);
		checksum_add(&checksum, ret_words[i]);
	}
	return checksum_get(&checksum);
}
