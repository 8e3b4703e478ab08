/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What every test program has: main() is in support/main.c. */
#ifndef SUITE_H
#define SUITE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Each test program defines this. */
Suite *make_suite(void);

/*
 * A test program that needs something a machine may lack also defines this:
 * it returns why the test cannot run, or NULL if it can.
 */
const char *skip_reason(void);

/*
 * is_alone() is whether each test has a process of its own.  Under valgrind it
 * has not, and what a process does once was done before.
 */
static inline __attribute__((__unused__)) int
is_alone(void)
{
	const char *fork = getenv("CK_FORK");

	return fork == NULL || strcmp(fork, "no") != 0;
}

#endif
