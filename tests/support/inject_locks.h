/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Looking on as mutexes are locked and unlocked: a thread that unlocks what it
 * does not hold, locks what it does hold or what was never made, or destroys
 * what somebody holds, ends the program.  A lock that was left out is noticed
 * so, without a race.
 *
 * A child must be made while no other thread is in the library.
 */
#ifndef INJECT_LOCKS_H
#define INJECT_LOCKS_H

/* inject_made() is told of each mutex that was made. */
void inject_made(const void *mutex);

/* inject_held() is how many mutexes this thread holds. */
unsigned int inject_held(void);

#endif
