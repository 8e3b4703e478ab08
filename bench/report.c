/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The table, the verdict and the file. */
#include "row.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OP_WIDTH 42
#define MAX_CELLS 512

/* What noise is left in a median of a busy machine. */
#define TOLERANCE 1.05

bool
bench_matches(const char *pattern, const char *op)
{
	char *anywhere;
	bool matches;

	bench_must(asprintf(&anywhere, "*%s*", pattern) < 0 ? -1 : 0,
		   "memory");
	matches = fnmatch(anywhere, op, FNM_CASEFOLD) == 0;
	free(anywhere);
	return matches;
}

static void
print_ns(bool has, double ns)
{
	if (!has)
		printf(" %9s", "-");
	else if (ns < 9.995)
		printf(" %9.2f", ns);
	else if (ns < 99.95)
		printf(" %9.1f", ns);
	else
		printf(" %9.0f", ns);
}

static void
print_ratio(bool has, double ratio)
{
	if (has)
		printf(" %7.*fx", ratio < 9.95 ? 2 : ratio < 99.5 ? 1 : 0,
		       ratio);
	else
		printf(" %8s", "-");
}

void
bench_print_head(void)
{
	printf("%-*s %9s %9s %9s %9s %9s %9s %8s %8s %8s\n", OP_WIDTH,
	       "ns per operation", "libvmmem", "inline", "0.18.0", "0.16.2",
	       "floor", "budget", "/0.18.0", "/0.16.2", "/floor");
}

void
bench_print(const struct bench_result *result)
{
	enum bench_side side;
	double floor = result->ratio[FLOOR];

	printf("%-*s", OP_WIDTH, result->row.op);
	for (side = OURS; side < SIDES; side++)
		print_ns(result->has[side], result->ns[side]);
	print_ns(result->budget != 0, result->budget);
	/* How many times as fast as the crate, and as slow as the floor. */
	print_ratio(result->has[CRATE_0_18], result->ratio[CRATE_0_18]);
	print_ratio(result->has[CRATE_0_16], result->ratio[CRATE_0_16]);
	print_ratio(result->has[FLOOR] && floor > 0,
		    floor > 0 ? 1 / floor : 0);
	printf("\n");
	fflush(stdout);
}

void
bench_note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
}

static int
compare_doubles(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/*
 * scale() is how much slower this machine is than the one of the budgets, by
 * what both have measured of the peers and the floor: the middle one of all.
 */
static double
scale(const struct bench_result *results, size_t count)
{
	double scales[MAX_CELLS];
	enum bench_side side;
	size_t cells = 0, i;

	for (i = 0; i < count; i++)
		for (side = CRATE_0_18; side < SIDES; side++)
			if (results[i].has[side] && cells < MAX_CELLS &&
			    results[i].row.charter[side] != 0)
				scales[cells++] = results[i].ns[side] /
						  results[i].row.charter[side];
	if (cells == 0)
		return 1;
	qsort(scales, cells, sizeof(*scales), compare_doubles);
	return scales[cells / 2];
}

/* complain() says what a row takes too many times as long as. */
static void
complain(unsigned int *complaints, const struct bench_result *result,
	 const char *what, double times)
{
	if (times <= TOLERANCE)
		return;
	if ((*complaints)++ == 0)
		printf("%s:", result->row.op);
	else
		printf(",");
	printf(" %.2f times %s", times, what);
}

void
bench_print_verdict(void)
{
	const struct bench_result *results, *result;
	size_t count = bench_results(&results), met = 0, budgets = 0, i;
	double slower = scale(results, count), limit;
	unsigned int complaints;

	printf("\nThis machine, or what others leave of it, is %.2f times as "
	       "slow as the one of the budgets.\n", slower);
	for (i = 0; i < count; i++) {
		result = &results[i];
		complaints = 0;
		if (result->budget != 0) {
			limit = result->row.budget * slower;
			if (result->row.budget_over_floor)
				limit += result->ns[FLOOR];
			budgets++;
			if (result->ns[result->row.budget_side] <=
			    limit * TOLERANCE)
				met++;
			else
				complain(&complaints, result,
					 "its budget",
					 result->ns[result->row.budget_side] /
						 limit);
		}
		if (result->has[CRATE_0_18])
			complain(&complaints, result, "0.18.0",
				 1 / result->ratio[CRATE_0_18]);
		if (result->has[CRATE_0_16])
			complain(&complaints, result, "0.16.2",
				 1 / result->ratio[CRATE_0_16]);
		if (complaints != 0)
			printf("\n");
	}
	printf("%zu of %zu budgets met, each times %.2f.\n", met, budgets,
	       slower);
}

static void
json_number(FILE *file, const char *name, bool has, double ns)
{
	if (has)
		fprintf(file, ", \"%s\": %.3f", name, ns);
	else
		fprintf(file, ", \"%s\": null", name);
}

int
bench_write_json(const char *path)
{
	static const char *const names[SIDES] = {
		"ours_ns", "inline_ns", "crate_0_18_ns", "crate_0_16_ns",
		"floor_ns",
	};
	const struct bench_result *results;
	size_t count = bench_results(&results), i;
	enum bench_side side;
	FILE *file;

	file = fopen(path, "we");
	if (file == NULL)
		return -errno;
	fprintf(file, "[");
	for (i = 0; i < count; i++) {
		/* No name of ours has a character that JSON escapes. */
		fprintf(file, "%s\n  {\"op\": \"%s\"", i == 0 ? "" : ",",
			results[i].row.op);
		for (side = OURS; side < SIDES; side++)
			json_number(file, names[side], results[i].has[side],
				    results[i].ns[side]);
		json_number(file, "budget_ns", results[i].budget != 0,
			    results[i].budget);
		fprintf(file, "}");
	}
	fprintf(file, "\n]\n");
	return fclose(file) != 0 ? -errno : 0;
}
