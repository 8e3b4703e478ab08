/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Random numbers for tests that can be repeated, and how many to draw. */
#ifndef RNG_H
#define RNG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

struct rng {
	uint64_t state;
};

/* splitmix64: every state is a good one, so any number can be a seed. */
static inline uint64_t
rng_next(struct rng *rng)
{
	uint64_t value = rng->state += 0x9e3779b97f4a7c15;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

/* rng_below() is from 0 to bound - 1; no test minds the tiny bias. */
static inline uint64_t
rng_below(struct rng *rng, uint64_t bound)
{
	return rng_next(rng) % bound;
}

static inline bool
rng_chance(struct rng *rng, unsigned int percent)
{
	return rng_below(rng, 100) < percent;
}

/* rng_seed() is VMMEM_TEST_SEED if that is set, else fresh. */
static inline uint64_t
rng_seed(void)
{
	const char *text = getenv("VMMEM_TEST_SEED");
	uint64_t seed = 0;

	if (text != NULL && *text != '\0')
		return strtoull(text, NULL, 0);
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		abort();
	return seed;
}

/*
 * rng_rounds() is 'rounds', 20 times as many if VMMEM_TEST_LONG is 1, divided
 * by VMMEM_TEST_SCALE, which is for slow runs (valgrind, sanitizers).
 */
static inline uint64_t
rng_rounds(uint64_t rounds)
{
	const char *more = getenv("VMMEM_TEST_LONG");
	const char *text = getenv("VMMEM_TEST_SCALE");
	uint64_t scale = text != NULL ? strtoull(text, NULL, 0) : 1;

	if (more != NULL && more[0] == '1')
		rounds *= 20;
	return scale > 1 ? rounds / scale + 1 : rounds;
}

#endif
