/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Making transfers short, or fail, by script; see inject.h. */
#ifndef INJECT_IO_H
#define INJECT_IO_H

#include <stddef.h>
#include <stdint.h>

#include "inject.h"

/*
 * inject_transfers() lets the next 'count' system calls that move bytes end as
 * 'script' says, which must stay: a positive number moves no more than so many
 * bytes, 0 moves none, a negative one is that errno.  Later ones are as usual.
 * After inject_start().
 */
void inject_transfers(const int64_t *script, size_t count);

/* Not every emulator has preadv2(): then nothing is said of it. */
bool inject_has_preadv2(void);

/* What was asked for by them since inject_transfers(). */
struct inject_transfers {
	unsigned int calls;
	/* Of the last call. */
	long number;
	int pieces;
	uint64_t len;
	long offset;
};
struct inject_transfers inject_transferred(void);

#endif
