/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Ways to find the region of an address that were thought of for
 * lib/map/collection_priv.h, next to the one that is there.  All are inlined into
 * the loop that measures them: what counts is how they compare.
 *
 * Regions have random sizes, of 1 to 16 pages, and random gaps.  'chain' waits
 * for each result before it asks for the next; 'runs' asks for addresses of
 * which seven of eight are in the region of the one before.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "map/collection_priv.h"

#define ADDRESSES 65536
#define CALLS 400000
#define BATCHES 15
#define PAGE UINT64_C(4096)

static uint64_t state;

static uint64_t
draw(uint64_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % limit;
}

struct map {
	size_t count;
	uint64_t first, range; /* for interpolation */
	uint64_t *starts;
	uint64_t *last; /* of each region */
	/* The same in the order of a search, from 1 on; and which is which. */
	uint64_t *eytzinger;
	uint32_t *rank;
	struct vmmem_collection *collection;
	size_t hint;
};

/* As it is. */
static inline size_t
written_out(struct map *map, uint64_t gpa)
{
	return vmmem_collection_search(map->collection, gpa);
}

static inline size_t
loop(struct map *map, uint64_t gpa)
{
	const uint64_t *base = map->starts;
	size_t count = map->count, half;

	while (count > 1) {
		half = count / 2;
		base = base[half] <= gpa ? base + half : base;
		count -= half;
	}
	return (size_t)(base - map->starts);
}

/* With a branch for each step, as textbooks and the crate have it. */
static inline size_t
branches(struct map *map, uint64_t gpa)
{
	size_t low = 0, high = map->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (map->starts[middle] <= gpa) {
			__asm__ volatile("");
			low = middle;
		} else {
			__asm__ volatile("");
			high = middle;
		}
	}
	return low;
}

static inline size_t
eytzinger(struct map *map, uint64_t gpa, bool prefetch)
{
	size_t at = 1;

	while (at <= map->count) {
		if (prefetch)
			__builtin_prefetch(&map->eytzinger[at * 8]);
		at = 2 * at + (map->eytzinger[at] <= gpa);
	}
	/* Back up to where it last went to the right. */
	at >>= __builtin_ctzll(at) + 1;
	return at != 0 ? map->rank[at] : 0;
}

static inline size_t
eytzinger_plain(struct map *map, uint64_t gpa)
{
	return eytzinger(map, gpa, false);
}

static inline size_t
eytzinger_prefetch(struct map *map, uint64_t gpa)
{
	return eytzinger(map, gpa, true);
}

__extension__ typedef unsigned __int128 product;

/* A guess from where the address lies in the map, and on from there. */
static inline size_t
interpolation(struct map *map, uint64_t gpa)
{
	size_t at = (size_t)((product)(gpa - map->first) *
			     map->count / map->range);

	while (at + 1 < map->count && map->starts[at + 1] <= gpa)
		at++;
	while (at > 0 && map->starts[at] > gpa)
		at--;
	return at;
}

/* First the region of the last answer. */
static inline size_t
hint(struct map *map, uint64_t gpa)
{
	size_t at = map->hint;

	if (gpa - map->starts[at] <= map->last[at] - map->starts[at])
		return at;
	return map->hint = vmmem_collection_search(map->collection, gpa);
}

static uint64_t gpas[ADDRESSES];

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* A loop of its own for each, or the one would wait as the other does. */
#define MEASURE(name)                                                      \
	static double name##_time(struct map *map, bool chain)             \
	{                                                                  \
		double start = now();                                      \
		size_t found = 0, i;                                       \
									   \
		if (chain)                                                 \
			for (i = 0; i < CALLS; i++) {                      \
				found = name(map, gpas[i % ADDRESSES] ^    \
							  found >> 32);    \
				/* Which the compiler must not know is 0. */ \
				__asm__ volatile("" : "+r"(found));        \
			}                                                  \
		else                                                       \
			for (i = 0; i < CALLS; i++) {                      \
				found = name(map, gpas[i % ADDRESSES]);    \
				__asm__ volatile("" ::"r"(found));         \
			}                                                  \
		__asm__ volatile("" ::"r"(found));                         \
		return (now() - start) / CALLS;                            \
	}

MEASURE(written_out)
MEASURE(loop)
MEASURE(branches)
MEASURE(eytzinger_plain)
MEASURE(eytzinger_prefetch)
MEASURE(interpolation)
MEASURE(hint)

static const struct {
	const char *name;
	double (*time)(struct map *map, bool chain);
	size_t (*find)(struct map *map, uint64_t gpa);
} ways[] = {
	{ "written out", written_out_time, written_out },
	{ "loop", loop_time, loop },
	{ "branches", branches_time, branches },
	{ "Eytzinger", eytzinger_plain_time, eytzinger_plain },
	{ "Eytzinger, prefetch", eytzinger_prefetch_time, eytzinger_prefetch },
	{ "interpolation", interpolation_time, interpolation },
	{ "last hit first", hint_time, hint },
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static size_t
fill_eytzinger(struct map *map, size_t at, size_t next)
{
	if (at > map->count)
		return next;
	next = fill_eytzinger(map, 2 * at, next);
	map->eytzinger[at] = map->starts[next];
	map->rank[at] = (uint32_t)next++;
	return fill_eytzinger(map, 2 * at + 1, next);
}

static void *
get(size_t size)
{
	void *memory = aligned_alloc(64, (size + 63) & ~(size_t)63);

	if (memory == NULL)
		exit(1);
	return memory;
}

static void
make(struct map *map, size_t count)
{
	struct vmmem_collection *collection;
	uint64_t gpa = 0;
	size_t i;

	*map = (struct map){ .count = count };
	map->starts = get(count * 8);
	map->last = get(count * 8);
	map->eytzinger = get((count + 1) * 8);
	map->rank = get((count + 1) * 4);
	collection = get(sizeof(*collection) + count * 8);
	for (i = 0; i < count; i++) {
		gpa += draw(4) * PAGE;
		map->starts[i] = gpa;
		gpa += (1 + draw(16)) * PAGE;
		map->last[i] = gpa - 1;
		collection->starts[i] = map->starts[i];
	}
	map->first = map->starts[0];
	map->range = gpa - map->first;
	collection->count = count;
	collection->levels = 63 - (size_t)__builtin_clzll(count - 1);
	collection->upper = count - ((size_t)1 << collection->levels);
	map->collection = collection;
	fill_eytzinger(map, 1, 0);
}

static void
draw_addresses(const struct map *map, bool runs)
{
	size_t i, at = 0;

	for (i = 0; i < ADDRESSES; i++) {
		if (!runs || draw(8) == 0)
			at = draw(map->count);
		gpas[i] = map->starts[at] +
			  draw(map->last[at] - map->starts[at] + 1);
	}
}

static int
compare(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* row() measures all ways by turns, and prints the medians. */
static void
row(struct map *map, const char *what, bool chain)
{
	static double times[WAYS][BATCHES];
	size_t i, j;

	for (i = 0; i < ADDRESSES; i += 97)
		for (j = 1; j < WAYS; j++)
			if (ways[j].find(map, gpas[i]) !=
			    ways[0].find(map, gpas[i])) {
				fprintf(stderr, "%s is wrong\n",
					ways[j].name);
				exit(1);
			}
	for (i = 0; i < BATCHES; i++)
		for (j = 0; j < WAYS; j++)
			times[j][i] = ways[j].time(map, chain);
	printf("%6zu %-7s", map->count, what);
	for (j = 0; j < WAYS; j++) {
		qsort(times[j], BATCHES, sizeof(double), compare);
		printf(" %*.2f", 4 + (int)sizeof("prefetch"),
		       times[j][BATCHES / 2]);
	}
	printf("\n");
}

int
main(void)
{
	static const size_t counts[] = { 2, 8, 64, 256, 4096, 65536 };
	struct map map;
	size_t i;

	if (getrandom(&state, sizeof(state), 0) < 0 || state == 0)
		return 1;
	printf("seed 0x%016" PRIx64 "\nregions       ", state);
	for (i = 0; i < WAYS; i++)
		printf(" %*.*s", 4 + (int)sizeof("prefetch"), 12,
		       ways[i].name);
	printf("\n");
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		make(&map, counts[i]);
		draw_addresses(&map, false);
		row(&map, "random", false);
		row(&map, "chain", true);
		draw_addresses(&map, true);
		row(&map, "runs", false);
	}
	return 0;
}
