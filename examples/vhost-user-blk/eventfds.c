/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The front end's eventfds, which it has too: it may fill their counters at any
 * time, so that a write(2) waits for ever, and it can undo O_NONBLOCK between
 * any look and the write.  But the kernel signals an eventfd without waiting
 * where one is told when something is done, as io_submit(2) has it.  So a
 * signal is a request that is done at once.
 */
#include "device.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Requests that are done, and of which nobody has taken note, at least. */
#define ROOM 64
/* The kernel has room again at once: this is for when it has no memory. */
#define TRIES 1000

/* take_note() makes room for requests that are done. */
static void
take_note(aio_context_t context)
{
	struct timespec at_once = { 0 };
	struct io_event events[ROOM];

	/* glibc has no wrappers. */
	syscall(SYS_io_getevents, context, 0L, (long)ROOM, events, &at_once);
}

static int
submit(const struct device *device, struct iocb *request)
{
	aio_context_t context = device->aio;
	unsigned int i;

	for (i = 0; i < TRIES; i++) {
		if (syscall(SYS_io_submit, context, 1L, &request) > 0)
			return 0;
		if (errno != EAGAIN)
			return -errno;
		take_note(context);
		/* Others may have taken all of the room again. */
		if (i > 0)
			sched_yield();
	}
	return -EAGAIN;
}

int
eventfds_open(struct device *device)
{
	aio_context_t context = 0;

	device->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->ready_fd < 0 ||
	    syscall(SYS_io_setup, (unsigned int)ROOM, &context) != 0)
		return -errno;
	device->aio = context;
	return 0;
}

void
eventfds_close(struct device *device)
{
	syscall(SYS_io_destroy, (aio_context_t)device->aio);
	close(device->ready_fd);
}

bool
eventfds_is_one(const struct device *device, int fd)
{
	/*
	 * A read to nowhere, which is not done.  But first the kernel looks for
	 * the eventfd, and finds another mistake if it is none.
	 */
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)device->file,
		.aio_buf = UINT64_MAX - 4095,
		.aio_nbytes = 8,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};

	return submit(device, &request) == -EFAULT;
}

void
eventfds_signal(const struct device *device, int fd)
{
	/* What is polled is writable always. */
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = (uint32_t)device->ready_fd,
		.aio_buf = POLLOUT,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};

	(void)submit(device, &request);
}
