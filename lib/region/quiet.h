/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * System calls that fail with a code alone, where they would raise a signal
 * too: SIGXFSZ for a file that would pass RLIMIT_FSIZE, and SIGPIPE.  Neither
 * is to end the process, and to ask for the limit before would be a race.
 */
#ifndef QUIET_H
#define QUIET_H

#include <signal.h>

/* The state of the calling thread before. */
struct vmmem_quiet {
	int cancel;
	sigset_t mask;
	sigset_t pending;
};

/*
 * vmmem_quiet_begin() blocks both signals in the calling thread.  The system
 * sends them to the thread that made the call, so that no other one gets them.
 * Nor does it end if it is cancelled, which would leave them blocked.  Nothing
 * else is changed; errno stays as it was.
 */
void vmmem_quiet_begin(struct vmmem_quiet *quiet);

/*
 * vmmem_quiet_end() undoes it.  'rc' is the result of the calls between: after
 * -EPIPE or -EFBIG it takes back the signal, unless the thread had it pending.
 */
void vmmem_quiet_end(const struct vmmem_quiet *quiet, int rc);

#endif
