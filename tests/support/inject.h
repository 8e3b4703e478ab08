/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Making the n-th allocation or system call fail.
 *
 * A test that is linked with this, and with --wrap for each function of
 * fault/wrapped.txt, goes through it whenever it, the static library or Check
 * calls one of them.  Only between inject_start() and inject_stop() is
 * anything counted, remembered or made to fail; one thread at a time.
 */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was taken since inject_start() and has not been given back. */
struct inject_live {
	unsigned int allocations;
	unsigned int mappings;
	unsigned int descriptors;
	/* Given back without having been taken, or only in part. */
	unsigned int strangers;
};

/*
 * inject_start() lets the 'n'-th call from now on fail, none if 'n' is 0: with
 * ENOMEM if it allocates memory, else with 'error'.  With 'clean_up' every
 * munmap() and close() fails too, and those do not count.
 */
void inject_start(unsigned int n, int error, bool clean_up);
void inject_stop(void);

/*
 * inject_ioctl(), if it is set, is asked before the system: it does what
 * ioctl() does, or returns -2 for a descriptor that is not its own.
 */
extern int (*inject_ioctl)(int fd, unsigned long request, void *argument);

/*
 * If it is not 0, fallocate() of more bytes is interrupted by a signal, always.
 * Also outside of inject_start() and inject_stop().
 */
extern uint64_t inject_uninterrupted;

/*
 * Flags that memfd_create() does not know, as on an older system.  Also outside
 * of inject_start() and inject_stop().
 */
extern unsigned int inject_memfd_flags;

/* What malloc() was last asked for, by one thread at a time. */
extern size_t inject_malloc_size;

/* inject_fired() returns what failed as the n-th call; NULL if nothing did. */
const char *inject_fired(void);

/* inject_code() is the negative errno that it failed with. */
int inject_code(void);

/* inject_calls() is how many calls were made since inject_start(). */
unsigned int inject_calls(void);

struct inject_live inject_live(void);

/*
 * inject_reclaim() unmaps what an munmap() that was made to fail has left, and
 * returns how many mappings that were.
 */
unsigned int inject_reclaim(void);

/*
 * inject_hook() lets 'hook' see each syscall() that does not fail, until the
 * next inject_start().  It may change the arguments, or return true and the
 * result.
 */
typedef bool (*inject_hook_fn)(long number, long arguments[6],
			       long *ret_result);
void inject_hook(inject_hook_fn hook);

/*
 * inject_before() calls 'look' before each call that counts, with its name, until
 * the next inject_start().  What it calls itself is to be __real_....
 */
void inject_before(void (*look)(const char *function));

#endif
