/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Measuring a row.  The sides take turns, batch by batch, so that whatever
 * else the machine does meanwhile happens to all of them.  What counts is the
 * time this thread had the processor: a batch that was interrupted by another
 * program is not the slower for it, but for the caches.
 */
#include "row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_BATCHES 101
#define COMPARED 4096 /* entries of a table */

struct bench_settings bench_settings = {
	.batches = 25,
	.batch_ns = 2e6,
};

static struct bench_result *results;
static size_t result_count;

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static bench_run *
runner(const struct bench_row *row, enum bench_side side)
{
	if (row->works[side].map == NULL && row->works[side].gpas == NULL)
		return NULL;
	if (row->runs[side] != NULL)
		return row->runs[side];
	switch (side) {
	case OURS:
		return bench_ours[row->run];
	case INLINE:
		return bench_inline[row->run];
	case FLOOR:
		return bench_floor[row->run];
	default:
		return bench_peers[side - CRATE_0_18] != NULL ?
			       bench_peers[side - CRATE_0_18]->runs[row->run] :
			       NULL;
	}
}

/* batch() times 'count' operations; the result is that of one. */
static double
batch(const struct bench_row *row, enum bench_side side, size_t count,
      uint64_t *ret_sum)
{
	bench_run *run = runner(row, side);
	double start;

	if (row->before != NULL)
		row->before(row, side);
	start = now();
	*ret_sum = run(&row->works[side], count);
	return (now() - start) / (double)count;
}

/* calibrate() finds how many operations make a batch long enough. */
static size_t
calibrate(const struct bench_row *row, enum bench_side side)
{
	size_t count = 1;
	uint64_t sum;
	double each;

	if (row->count != 0)
		return row->count;
	for (;;) {
		each = batch(row, side, count, &sum);
		if (each * (double)count >= bench_settings.batch_ns / 4)
			return 1 + (size_t)(bench_settings.batch_ns / each);
		count *= 2;
	}
}

/* A sum that differs says that one of the sides did something else. */
static void
compare(const struct bench_row *row)
{
	const size_t entries = row->works[OURS].mask + 1;
	size_t count = entries < COMPARED ? entries : COMPARED;
	uint64_t sum, expected = 0;
	enum bench_side side;

	for (side = OURS; side < SIDES; side++) {
		if (runner(row, side) == NULL)
			continue;
		batch(row, side, row->count != 0 ? row->count : count, &sum);
		if (side == OURS)
			expected = sum;
		else if (sum != expected) {
			fprintf(stderr, "bench: %s: side %d differs\n",
				row->op, (int)side);
			exit(1);
		}
	}
}

static int
compare_doubles(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static double
median(const double *values, size_t count)
{
	double sorted[MAX_BATCHES];

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), compare_doubles);
	return count % 2 != 0 ?
		       sorted[count / 2] :
		       (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

bool
bench_wants(const char *op)
{
	return bench_settings.rows == NULL ||
	       bench_matches(bench_settings.rows, op);
}

void
bench_measure(const struct bench_row *row)
{
	double times[SIDES][MAX_BATCHES], ratios[MAX_BATCHES];
	size_t counts[SIDES], batches = bench_settings.batches, i;
	struct bench_result *result;
	enum bench_side side, subject;
	uint64_t sum;

	if (!bench_wants(row->op))
		return;
	compare(row);
	for (side = OURS; side < SIDES; side++)
		if (runner(row, side) != NULL)
			counts[side] = calibrate(row, side);
	for (i = 0; i < batches; i++) {
		/* Each time another one begins. */
		for (side = OURS; side < SIDES; side++) {
			enum bench_side turn = (side + i) % SIDES;

			if (runner(row, turn) != NULL)
				times[turn][i] =
					batch(row, turn, counts[turn], &sum);
		}
	}

	results = reallocarray(results, result_count + 1, sizeof(*results));
	bench_must(results == NULL ? -1 : 0, "memory");
	result = &results[result_count++];
	*result = (struct bench_result){ .row = *row };
	subject = row->budget_side;
	for (side = OURS; side < SIDES; side++) {
		if (runner(row, side) == NULL)
			continue;
		result->has[side] = true;
		result->ns[side] = median(times[side], batches);
		/* Of each round, since its two batches are neighbours. */
		for (i = 0; i < batches; i++)
			ratios[i] = times[side][i] / times[subject][i];
		result->ratio[side] = median(ratios, batches);
	}
	if (row->budget != 0) {
		result->budget = row->budget;
		if (row->budget_over_floor)
			result->budget += result->ns[FLOOR];
	}
	bench_print(result);
}

size_t
bench_results(const struct bench_result **ret_results)
{
	*ret_results = results;
	return result_count;
}
