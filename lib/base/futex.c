/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Sleeping until a word changes, by futex(2). */
#include "base/futex.h"

#include <vmmem/error.h>

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NS_PER_S 1000000000

int
vmmem_futex_wait(const uint32_t *word, uint32_t value,
		 const struct timespec *deadline)
{
	int before = errno;
	int rc = 0;

	/* With a bitset the time is absolute, and of the monotonic clock. */
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
		    value, deadline, NULL, FUTEX_BITSET_MATCH_ANY) != 0)
		rc = -errno;
	errno = before;
	if (rc == -ETIMEDOUT)
		return VMMEM_ETIMEOUT;
	/* The word had changed already, or a signal came. */
	return rc == -EAGAIN || rc == -EINTR ? 0 : rc;
}

void
vmmem_futex_wake(const uint32_t *word)
{
	int before = errno;

	/* Fails only for an address that is not mapped. */
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX,
		NULL, NULL, 0);
	errno = before;
}

struct timespec
vmmem_futex_deadline(uint64_t ns)
{
	struct timespec deadline;

	/* Cannot fail: every Linux has this clock. */
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	/* 584 years at the most, which no clock here is near the end of. */
	deadline.tv_sec += (time_t)(ns / NS_PER_S);
	deadline.tv_nsec += (long)(ns % NS_PER_S);
	if (deadline.tv_nsec >= NS_PER_S) {
		deadline.tv_nsec -= NS_PER_S;
		deadline.tv_sec++;
	}
	return deadline;
}

bool
vmmem_futex_is_past(const struct timespec *deadline)
{
	const struct timespec now = vmmem_futex_deadline(0);

	return now.tv_sec > deadline->tv_sec ||
	       (now.tv_sec == deadline->tv_sec &&
		now.tv_nsec >= deadline->tv_nsec);
}
