/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The file: by io_uring, or by preadv(2) and its kin where the system has none
 * or forbids it.  Either way the kernel moves the bytes between the file and
 * the guest's memory itself.
 */
#include "device.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

struct engine {
	struct queue *queue;
#ifdef HAVE_LIBURING
	bool by_ring;
	struct io_uring ring;
	bool polling[2]; /* the kick, the stop */
	unsigned int in_ring;
#endif
};

/* read_event() takes what an eventfd has, so that it does not wake again. */
static void
read_event(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

struct engine *
engine_new(struct queue *queue)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (engine == NULL)
		return NULL;
	engine->queue = queue;
#ifdef HAVE_LIBURING
	engine->by_ring = getenv("VHOST_USER_BLK_NO_URING") == NULL &&
			  io_uring_queue_init(DEPTH + 8, &engine->ring, 0) == 0;
#endif
	return engine;
}

void
engine_free(struct engine *engine)
{
#ifdef HAVE_LIBURING
	if (engine != NULL && engine->by_ring)
		io_uring_queue_exit(&engine->ring);
#endif
	free(engine);
}

static void
transfer_now(struct engine *engine, struct request *request)
{
	int fd = engine->queue->device->file;
	ssize_t done;

	do {
		done = request->is_read ?
			       preadv(fd, request->iov, (int)request->iov_count,
				      (off_t)request->offset) :
			       pwritev(fd, request->iov,
				       (int)request->iov_count,
				       (off_t)request->offset);
	} while (done < 0 && errno == EINTR);
	request_transferred(engine->queue, request, done < 0 ? -errno : done);
}

static void
flush_now(struct engine *engine, struct request *request)
{
	int rc = fdatasync(engine->queue->device->file);

	request_transferred(engine->queue, request, rc != 0 ? -errno : 0);
}

static unsigned int
wait_by_poll(struct engine *engine)
{
	struct pollfd fds[2] = {
		{ .fd = engine->queue->kick_fd, .events = POLLIN },
		{ .fd = engine->queue->stop_fd, .events = POLLIN },
	};
	unsigned int woken = 0;

	if (poll(fds, 2, -1) < 0)
		return 0;
	if (fds[0].revents != 0) {
		read_event(fds[0].fd);
		woken |= WOKEN_KICK;
	}
	if (fds[1].revents != 0)
		woken |= WOKEN_STOP;
	return woken;
}

bool
engine_is_busy(const struct engine *engine)
{
#ifdef HAVE_LIBURING
	return engine->in_ring != 0;
#else
	(void)engine;
	return false;
#endif
}

#ifdef HAVE_LIBURING

/* Beside requests, the ring has two polls; DEPTH + 8 is room for all. */
static struct io_uring_sqe *
next_sqe(struct engine *engine)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&engine->ring);

	if (sqe == NULL) {
		io_uring_submit(&engine->ring);
		sqe = io_uring_get_sqe(&engine->ring);
	}
	return sqe;
}

void
engine_transfer(struct engine *engine, struct request *request)
{
	struct io_uring_sqe *sqe;
	int fd = engine->queue->device->file;

	sqe = engine->by_ring ? next_sqe(engine) : NULL;
	if (sqe == NULL) {
		transfer_now(engine, request);
		return;
	}
	if (request->is_read)
		io_uring_prep_readv(sqe, fd, request->iov,
				    (unsigned int)request->iov_count,
				    request->offset);
	else
		io_uring_prep_writev(sqe, fd, request->iov,
				     (unsigned int)request->iov_count,
				     request->offset);
	io_uring_sqe_set_data(sqe, request);
	engine->in_ring++;
}

void
engine_flush(struct engine *engine, struct request *request)
{
	struct io_uring_sqe *sqe;

	sqe = engine->by_ring ? next_sqe(engine) : NULL;
	if (sqe == NULL) {
		flush_now(engine, request);
		return;
	}
	io_uring_prep_fsync(sqe, engine->queue->device->file,
			    IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(sqe, request);
	engine->in_ring++;
}

static void
arm(struct engine *engine, unsigned int which)
{
	int fd = which == 0 ? engine->queue->kick_fd : engine->queue->stop_fd;
	struct io_uring_sqe *sqe;

	if (engine->polling[which])
		return;
	sqe = next_sqe(engine);
	if (sqe == NULL)
		return;
	io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_data(sqe, &engine->polling[which]);
	engine->polling[which] = true;
}

unsigned int
engine_wait(struct engine *engine)
{
	struct io_uring_cqe *cqe;
	unsigned int woken = 0;

	if (!engine->by_ring)
		return wait_by_poll(engine);
	arm(engine, 0);
	/*
	 * A thread that is to stop waits for its requests and nothing else.  If
	 * there are none, it was told after its caller has looked.
	 */
	if (engine->in_ring == 0 || !atomic_load(&engine->queue->stop))
		arm(engine, 1);
	if (io_uring_submit_and_wait(&engine->ring, 1) < 0)
		return 0;
	while (io_uring_peek_cqe(&engine->ring, &cqe) == 0) {
		void *data = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&engine->ring, cqe);
		if (data == &engine->polling[0]) {
			engine->polling[0] = false;
			read_event(engine->queue->kick_fd);
			woken |= WOKEN_KICK;
		} else if (data == &engine->polling[1]) {
			engine->polling[1] = false;
			woken |= WOKEN_STOP;
		} else {
			engine->in_ring--;
			request_transferred(engine->queue, data, result);
		}
	}
	return woken;
}

#else

void
engine_transfer(struct engine *engine, struct request *request)
{
	transfer_now(engine, request);
}

void
engine_flush(struct engine *engine, struct request *request)
{
	flush_now(engine, request);
}

unsigned int
engine_wait(struct engine *engine)
{
	return wait_by_poll(engine);
}

#endif
