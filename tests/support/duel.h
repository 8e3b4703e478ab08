/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Two threads that meet in the moment in which a store is still in a store
 * buffer: what tests of barriers have in common.
 */
#ifndef DUEL_H
#define DUEL_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64
#define COLD_LINES (UINT64_C(1) << 18)

/* A broken program duels before Check runs: its asserts are of no use. */
static inline void
require(bool good)
{
	if (!good)
		abort();
}

/* A fixed sequence for each seed: xorshift64. */
static inline uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * Each of the two has a processor of its own, if there are two: what a thread
 * has in its store buffer, those who share the processor see.
 */
static cpu_set_t processors;

static inline void
run_on(int number)
{
	cpu_set_t one;
	size_t cpu;

	require(CPU_COUNT(&processors) != 0);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &processors) || number-- != 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
	}
}

static inline void
wait_for(atomic_long *value, long least)
{
	unsigned int spins = 0;

	/* Whoever waits longer than a moment lets others have the core. */
	while (atomic_load_explicit(value, memory_order_acquire) < least) {
		if (++spins % 512 == 0)
			sched_yield();
	}
}

/* The two meet at any moment, whatever takes how long on this machine. */
static inline void
wait_a_little(uint64_t *random)
{
	uint64_t most = UINT64_C(1) << next_random(random) % 13;
	volatile uint64_t left;

	for (left = next_random(random) % most; left > 0; left--)
		;
}

/*
 * Lines enough to miss the cache, for cold_stores(): stores that miss it keep
 * what follows them in the store buffer, which has room for some dozens.
 */
static inline _Atomic uint64_t *
cold_lines(void)
{
	_Atomic uint64_t *cold = malloc(COLD_LINES * LINE);

	require(cold != NULL);
	memset(cold, 1, COLD_LINES * LINE);
	return cold;
}

static inline void
cold_stores(_Atomic uint64_t *cold, int count, uint64_t *random,
	    uint64_t value)
{
	uint64_t line;
	int i;

	for (i = 0; i < count; i++) {
		line = next_random(random) % COLD_LINES;
		atomic_store_explicit(
			&cold[line * LINE / sizeof(*cold)], value,
			memory_order_relaxed);
	}
}

/* Before any thread is made. */
static inline void
find_processors(void)
{
	if (CPU_COUNT(&processors) == 0)
		require(sched_getaffinity(0, sizeof(processors), &processors) ==
			0);
}

#endif
