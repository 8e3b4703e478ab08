/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A thread that is cancelled (pthread_cancel(3)) ends in the next function of
 * the system that waits, and close(2) and the callbacks of a program may be
 * such.  Under a lock it would take that along; half-way through taking
 * something apart, it would leave the rest; and it would leave threads that
 * work on its stack.  So from vmmem_cancel_off() to vmmem_cancel_back() it goes
 * on, and ends later.
 */
#ifndef CANCEL_H
#define CANCEL_H

#include <pthread.h>

/* vmmem_cancel_off() returns what vmmem_cancel_back() wants. */
static inline int
vmmem_cancel_off(void)
{
	int state;

	/* Fails only for a state that there is not. */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

static inline void
vmmem_cancel_back(int state)
{
	(void)pthread_setcancelstate(state, &state);
}

#endif
