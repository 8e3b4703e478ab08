/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What the files that stand between the library and libc have in common. */
#ifndef INJECT_WRAP_H
#define INJECT_WRAP_H

#include <stdbool.h>

/* The linker gives the real function this name, and ours to its callers. */
#define WRAP(type, name, ...)                                              \
	type __real_##name(__VA_ARGS__);                                   \
	type __wrap_##name(__VA_ARGS__);                                   \
	type __wrap_##name(__VA_ARGS__)

/*
 * inject_fails() tells whether this call is the one that is to fail, and sets
 * errno if so.
 */
bool inject_fails(const char *function);

/* inject_spoil_errno() is for calls that succeed: they may leave anything. */
void inject_spoil_errno(void);

/* inject_was_left() tells whether an munmap() of it was made to fail. */
bool inject_was_left(const void *address);

#endif
