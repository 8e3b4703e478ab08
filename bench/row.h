/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What was measured, and how it is shown. */
#ifndef ROW_H
#define ROW_H

#include "bench.h"

struct bench_settings {
	const char *rows; /* a pattern; NULL for all */
	size_t batches;
	double batch_ns;
};

struct bench_result {
	struct bench_row row;
	bool has[SIDES];
	double ns[SIDES];
	double ratio[SIDES]; /* to the side that has the budget */
	double budget;	     /* 0 for none */
};

extern struct bench_settings bench_settings;

/* bench_results() stores all results so far, and returns their number. */
size_t bench_results(const struct bench_result **ret_results);

/* bench_matches() tells whether a pattern matches a part of 'op'. */
bool bench_matches(const char *pattern, const char *op);

void bench_print_head(void);
void bench_print(const struct bench_result *result);

/* bench_print_verdict() says what is over its budget. */
void bench_print_verdict(void);

/* bench_write_json() returns 0, or -errno. */
int bench_write_json(const char *path);

/* bench_write_plots() writes a picture for each figure; 0, or -errno. */
int bench_write_plots(const char *directory);

#endif
