/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* System calls that give a code in place of SIGPIPE or SIGXFSZ. */
#include "region/quiet.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <time.h>

#include "base/cancel.h"

void
vmmem_quiet_begin(struct vmmem_quiet *quiet)
{
	const int error = errno;
	sigset_t both;

	quiet->cancel = vmmem_cancel_off();
	sigemptyset(&both);
	sigaddset(&both, SIGPIPE);
	sigaddset(&both, SIGXFSZ);
	/* Blocked first: a signal that is pending then stays so. */
	pthread_sigmask(SIG_BLOCK, &both, &quiet->mask);
	sigpending(&quiet->pending);
	errno = error;
}

/* take_back() takes a signal that the calling thread has pending, if any. */
static void
take_back(int number)
{
	const struct timespec now = { 0, 0 };
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, number);
	while (sigtimedwait(&one, NULL, &now) < 0 && errno == EINTR)
		continue;
}

void
vmmem_quiet_end(const struct vmmem_quiet *quiet, int rc)
{
	const int number = rc == -EPIPE ? SIGPIPE : SIGXFSZ;
	const int error = errno;

	/* A signal that was pending before is not taken in its place. */
	if ((rc == -EPIPE || rc == -EFBIG) &&
	    sigismember(&quiet->pending, number) != 1)
		take_back(number);
	pthread_sigmask(SIG_SETMASK, &quiet->mask, NULL);
	vmmem_cancel_back(quiet->cancel);
	errno = error;
}
