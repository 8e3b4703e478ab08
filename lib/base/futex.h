/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Sleeping until a word of this process changes. */
#ifndef FUTEX_H
#define FUTEX_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/*
 * vmmem_futex_wait() sleeps while '*word' is 'value', until another thread
 * wakes the waiters of that word.  'deadline' is of the monotonic clock; NULL
 * for none.
 *
 * Returns 0, also without a reason, so that the caller looks again;
 * VMMEM_ETIMEOUT when the deadline is over; or another -errno of futex(2).
 * errno is left alone.
 */
int vmmem_futex_wait(const uint32_t *word, uint32_t value,
		     const struct timespec *deadline);

/* vmmem_futex_wake() wakes all waiters of 'word'.  errno is left alone. */
void vmmem_futex_wake(const uint32_t *word);

/*
 * vmmem_futex_deadline() is 'ns' nanoseconds from now; far away if that wraps.
 */
struct timespec vmmem_futex_deadline(uint64_t ns);

/* vmmem_futex_is_past() tells whether a deadline is over. */
bool vmmem_futex_is_past(const struct timespec *deadline);

#endif
