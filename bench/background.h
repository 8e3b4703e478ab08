/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Threads that work for a side while it is measured, and sleep while others
 * are: a writer that never rests, another reader.
 */
#ifndef BACKGROUND_H
#define BACKGROUND_H

#include "bench.h"

#define BACKGROUND_MAX 4 /* threads for each side */

/* background_add() makes a thread that calls work(opaque) for 'side'. */
void background_add(enum bench_side side, void (*work)(void *opaque),
		    void *opaque);

/* background_turn() is for 'before' of a row. */
void background_turn(const struct bench_row *row, enum bench_side side);

/* background_end() ends all threads. */
void background_end(void);

#endif
