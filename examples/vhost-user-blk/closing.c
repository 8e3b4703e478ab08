/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Closing what a front end has sent.  A descriptor may be of a file system that
 * it runs (FUSE), which is asked when a file is closed and need never answer, or
 * of a connection that lingers; such a close(2) ends only by itself.  So
 * what is not known to be harmless is closed by a thread of its own.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* So many threads: a front end that makes all wait makes its disk wait too. */
#define CLOSING_MAX 64
/* All that it does is a system call. */
#define STACK 65536

struct closing {
	struct device *device;
	int fd;
};

/* Files in memory know of seals; sockets of AF_UNIX are let go at once. */
static bool
is_harmless(const struct device *device, int fd)
{
	socklen_t len = sizeof(int);
	int domain;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0)
		return domain == AF_UNIX;
	return fcntl(fd, F_GET_SEALS) >= 0 || eventfds_is_one(device, fd);
}

static void *
run(void *opaque)
{
	struct closing *closing = opaque;

	close(closing->fd);
	/* Disks and their counts are there as long as the process. */
	atomic_fetch_sub(&closing->device->closing, 1);
	free(closing);
	return NULL;
}

static bool
begin(struct device *device, int fd)
{
	struct closing *closing = malloc(sizeof(*closing));
	pthread_attr_t attributes;
	pthread_t thread;
	int rc;

	if (closing == NULL)
		return false;
	*closing = (struct closing){ device, fd };
	rc = pthread_attr_init(&attributes);
	if (rc == 0) {
		(void)pthread_attr_setdetachstate(&attributes,
						  PTHREAD_CREATE_DETACHED);
		(void)pthread_attr_setstacksize(&attributes, STACK);
		rc = pthread_create(&thread, &attributes, run, closing);
		pthread_attr_destroy(&attributes);
	}
	if (rc != 0)
		free(closing);
	return rc == 0;
}

void
close_theirs(struct device *device, int fd)
{
	if (!is_harmless(device, fd)) {
		/* Before the thread, which may be done at once. */
		if (atomic_fetch_add(&device->closing, 1) < CLOSING_MAX &&
		    begin(device, fd))
			return;
		atomic_fetch_sub(&device->closing, 1);
	}
	close(fd);
}
