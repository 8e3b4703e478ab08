/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The file.  What is in the page cache is moved at once, by preadv2(2) and its
 * kin; what would wait for a disk goes by io_uring, where the system has that
 * and permits it.  Either way the kernel moves the bytes between the file and
 * the guest's memory itself.
 */
#include "device.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

/*
 * A transfer that took so long, and a nanosecond for each byte, has held up the
 * queue's thread: so many of the next ones go by the ring, and all that are
 * longer than NOW_MAX.
 */
#define SLOW_NS 100000
#define SHUNNED 16
#define NOW_MAX 1048576

/* Copying so much takes longer than handing it to somebody else. */
#define LONG 65536

struct engine {
	struct queue *queue;
	int epoll; /* the kick and the stop; -1: by the ring */
#ifdef HAVE_LIBURING
	bool by_ring;
	struct io_uring ring;
	bool polling[2]; /* the kick, the stop */
	bool multishot;	 /* polls go on by themselves */
	unsigned int in_ring;
	/* RWF_NOWAIT until the file is known not to have it: [is_read] */
	int flags[2];
	unsigned int shunned; /* transfers left that are not to be tried now */
	struct request *own;  /* to be done when all others have been begun */
#endif
};

/*
 * take_kick() takes what the eventfd has, so that it does not wake again.  Two
 * kicks may be told of and taken at once: then there is nothing to wait for.
 */
static void
take_kick(struct queue *queue)
{
	uint64_t count;
	struct iovec iov = { &count, sizeof(count) };

	(void)!preadv2(queue->kick_fd, &iov, 1, -1, RWF_NOWAIT);
	queue->kicked = true;
}

/*
 * watch() has each event told once: a front end's eventfd may be one that is
 * readable for ever, whatever is read (EFD_SEMAPHORE).
 */
static int
watch(const struct engine *engine, int fd, uint32_t woken)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET,
				     .data.u32 = woken };

	return epoll_ctl(engine->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int
set_up_epoll(struct engine *engine)
{
	engine->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (engine->epoll < 0 ||
	    watch(engine, engine->queue->kick_fd, WOKEN_KICK) != 0 ||
	    watch(engine, engine->queue->stop_fd, WOKEN_STOP) != 0)
		return -errno;
	return 0;
}

int
engine_new(struct queue *queue, struct engine **ret_engine)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	int rc = 0;

	if (engine == NULL)
		return -ENOMEM;
	engine->queue = queue;
	engine->epoll = -1;
#ifdef HAVE_LIBURING
	engine->by_ring = getenv("VHOST_USER_BLK_NO_URING") == NULL &&
			  io_uring_queue_init(DEPTH + 8, &engine->ring, 0) == 0;
	engine->multishot = true;
	engine->flags[0] = engine->flags[1] = RWF_NOWAIT;
	if (!engine->by_ring)
#endif
		rc = set_up_epoll(engine);
	if (rc != 0)
		engine = engine_free(engine);
	*ret_engine = engine;
	return rc;
}

struct engine *
engine_free(struct engine *engine)
{
	if (engine == NULL)
		return NULL;
#ifdef HAVE_LIBURING
	if (engine->by_ring)
		io_uring_queue_exit(&engine->ring);
#endif
	if (engine->epoll >= 0)
		close(engine->epoll);
	free(engine);
	return NULL;
}

/* move_now() is the system call: what it moved, or -errno. */
static int64_t
move_now(struct engine *engine, const struct request *request, int flags)
{
	int fd = engine->queue->device->file;
	int count = (int)request->iov_count;
	off_t offset = (off_t)request->offset;
	ssize_t done;

	do {
		done = request->is_read ?
			       preadv2(fd, request->iov, count, offset, flags) :
			       pwritev2(fd, request->iov, count, offset, flags);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

static void
transfer_now(struct engine *engine, struct request *request)
{
	request_transferred(engine->queue, request,
			    move_now(engine, request, 0));
}

static void
flush_now(struct engine *engine, struct request *request)
{
	int rc = fdatasync(engine->queue->device->file);

	request_transferred(engine->queue, request, rc != 0 ? -errno : 0);
}

static unsigned int
wait_by_epoll(struct engine *engine)
{
	struct epoll_event events[2];
	unsigned int woken = 0;
	int count, i;

	count = epoll_wait(engine->epoll, events, 2, -1);
	for (i = 0; i < count; i++)
		woken |= events[i].data.u32;
	if ((woken & WOKEN_KICK) != 0)
		take_kick(engine->queue);
	return woken;
}

bool
engine_is_busy(const struct engine *engine)
{
#ifdef HAVE_LIBURING
	return engine->in_ring != 0 || engine->own != NULL;
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

/*
 * try_now() does a transfer if that does not wait.  A file that cannot tell is
 * taken at its word until it was slow.
 */
static bool
try_now(struct engine *engine, struct request *request)
{
	int *flags = &engine->flags[request->is_read];
	int64_t len = (int64_t)request->data_len, result, begin;

	if (engine->shunned != 0 || len > NOW_MAX) {
		engine->shunned -= engine->shunned != 0;
		return false;
	}
	if (*flags != 0) {
		result = move_now(engine, request, *flags);
		if (result == -EOPNOTSUPP)
			*flags = 0;
		else if (result != len)
			return false;
	}
	if (*flags == 0) {
		/* If it does wait, what is to go by the ring does not. */
		if (io_uring_sq_ready(&engine->ring) != 0)
			(void)io_uring_submit(&engine->ring);
		begin = time_ns();
		result = move_now(engine, request, 0);
		if (time_ns() - begin > SLOW_NS + len)
			engine->shunned = SHUNNED;
	}
	request_transferred(engine->queue, request, result);
	return true;
}

/* polled() takes what a poll says; one that was the last is armed again. */
static unsigned int
polled(struct engine *engine, unsigned int which,
       const struct io_uring_cqe *cqe)
{
	if ((cqe->flags & IORING_CQE_F_MORE) == 0)
		engine->polling[which] = false;
	/* Before Linux 5.13. */
	if (cqe->res == -EINVAL && engine->multishot) {
		engine->multishot = false;
		return 0;
	}
	if (which == 0)
		take_kick(engine->queue);
	return which == 0 ? WOKEN_KICK : WOKEN_STOP;
}

/*
 * reap() sees to what is done, and returns WOKEN_....  What comes meanwhile is
 * for the next time: a front end may kick without pause.
 */
static unsigned int
reap(struct engine *engine)
{
	unsigned int woken = 0, left = io_uring_cq_ready(&engine->ring);
	struct io_uring_cqe *cqe;

	while (left-- != 0 && io_uring_peek_cqe(&engine->ring, &cqe) == 0) {
		void *data = io_uring_cqe_get_data(cqe);

		if (data == &engine->polling[0]) {
			woken |= polled(engine, 0, cqe);
		} else if (data == &engine->polling[1]) {
			woken |= polled(engine, 1, cqe);
		} else {
			engine->in_ring--;
			request_transferred(engine->queue, data, cqe->res);
		}
		io_uring_cqe_seen(&engine->ring, cqe);
	}
	return woken;
}

/* by_ring() has the kernel do a transfer, and if 'async' by another thread. */
static void
by_ring(struct engine *engine, struct request *request, bool async)
{
	struct io_uring_sqe *sqe = next_sqe(engine);
	int fd = engine->queue->device->file;

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
	if (async) {
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
		(void)io_uring_submit(&engine->ring);
	}
}

/*
 * Long reads that come together are copied by the kernel's threads, but for the
 * first: one that is alone is done soonest by who has it, when it is known that
 * no others are to be begun before.  Writes to one file exclude each other.
 */
void
engine_transfer(struct engine *engine, struct request *request)
{
	const struct queue *queue = engine->queue;
	bool is_long = request->is_read && request->data_len >= LONG;

	if (!engine->by_ring)
		transfer_now(engine, request);
	else if (is_long && queue->under_way == 0 &&
		 queue->quantum == QUANTUM_MIN)
		engine->own = request;
	else if (is_long || !try_now(engine, request))
		by_ring(engine, request, is_long);
}

/* do_own() does what was left to the end, and tells if there was something. */
static bool
do_own(struct engine *engine)
{
	struct request *request = engine->own;

	engine->own = NULL;
	if (request != NULL && !try_now(engine, request))
		by_ring(engine, request, false);
	return request != NULL;
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
	if (engine->multishot)
		io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	else
		io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_data(sqe, &engine->polling[which]);
	engine->polling[which] = true;
}

unsigned int
engine_wait(struct engine *engine, bool blocking)
{
	if (!engine->by_ring)
		return blocking ? wait_by_epoll(engine) : 0;
	/* There is something to use, or to be waited for the next time. */
	if (do_own(engine))
		blocking = false;
	if (!blocking && engine->in_ring == 0)
		return 0;
	arm(engine, 0);
	/*
	 * A thread that is to stop waits for its requests and nothing else.  If
	 * there are none, it was told after its caller has looked.
	 */
	if (engine->in_ring == 0 || !atomic_load(&engine->queue->stop))
		arm(engine, 1);
	if (io_uring_submit_and_wait(&engine->ring, blocking ? 1 : 0) < 0)
		return 0;
	return reap(engine);
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
engine_wait(struct engine *engine, bool blocking)
{
	return blocking ? wait_by_epoll(engine) : 0;
}

#endif
