/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Prefaulting: threads make pages ahead of their use. */
#include "region/prefault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <vmmem/error.h>

/*
 * A piece is what one call of the system makes, so it bounds how long a cancel
 * takes and how often there is progress: the greater 16 ms or so, of pages of
 * 4 KiB.  Small regions are cut so that all threads have some.
 */
#define PIECE_MIN ((size_t)2 << 20)
#define PIECE_MAX ((size_t)64 << 20)
#define PIECES_PER_THREAD 16

struct work {
	const struct vmmem_prefault *prefault;
	size_t piece;
	size_t pieces;
	atomic_size_t next; /* the number of the next piece to take */
	atomic_size_t done; /* bytes made */
	atomic_int code;    /* the first failure: nobody takes another piece */
};

static int
populate(const struct vmmem_prefault *prefault, size_t offset, size_t len)
{
	int rc;

	do {
		rc = madvise(prefault->address + offset, len,
			     prefault->advice);
	} while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return 0;
	switch (errno) {
	case EFAULT:
		/* A touch would have been SIGBUS. */
		return VMMEM_ESHORTAGE;
	case EINVAL:
		/* The arguments are valid, so the system is older than 5.14. */
		return VMMEM_ENOSUPPORT;
	default:
		return -errno;
	}
}

static void
fail(struct work *work, int code)
{
	int none = 0;

	/*
	 * Relaxed: only the code is passed on, and the threads are joined
	 * before it is returned.  The first failure is kept.
	 */
	atomic_compare_exchange_strong_explicit(&work->code, &none, code,
						memory_order_relaxed,
						memory_order_relaxed);
}

/* next_piece() makes one piece; false if there is none left to make. */
static bool
next_piece(struct work *work)
{
	const struct vmmem_prefault *prefault = work->prefault;
	size_t number, offset, len;
	int rc;

	/* Relaxed: a late look costs one more piece. */
	if (atomic_load_explicit(&work->code, memory_order_relaxed) != 0)
		return false;
	/* Relaxed: each number is given once, whatever the order. */
	number = atomic_fetch_add_explicit(&work->next, 1,
					   memory_order_relaxed);
	if (number >= work->pieces)
		return false;
	offset = number * work->piece;
	len = prefault->len - offset;
	if (len > work->piece)
		len = work->piece;
	rc = populate(prefault, offset, len);
	if (rc != 0) {
		fail(work, rc);
		return false;
	}
	/* Relaxed: a count, of pages that nobody reads before all is over. */
	atomic_fetch_add_explicit(&work->done, len, memory_order_relaxed);
	return true;
}

static void *
worker(void *opaque)
{
	while (next_piece(opaque))
		continue;
	return NULL;
}

/* report() tells the progress; it is a count, so relaxed will do. */
static void
report(struct work *work)
{
	const struct vmmem_prefault *prefault = work->prefault;
	int rc;

	if (prefault->progress == NULL)
		return;
	rc = prefault->progress(prefault->opaque,
				atomic_load_explicit(&work->done,
						     memory_order_relaxed),
				prefault->len);
	if (rc != 0)
		fail(work, rc > 0 ? VMMEM_ECALLBACK : rc);
}

/*
 * start() starts up to 'count' threads and returns how many; it fails the work
 * if it cannot start all.  They inherit a mask of all signals: the handlers
 * are the program's, and run on its own threads.
 */
static size_t
start(struct work *work, pthread_t *threads, size_t count)
{
	sigset_t all, before;
	size_t started;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (started = 0; started < count; started++) {
		error = pthread_create(&threads[started], NULL, worker, work);
		if (error != 0) {
			fail(work, -error);
			break;
		}
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

static size_t
round_up(size_t size, size_t page_size)
{
	return (size + (page_size - 1)) / page_size * page_size;
}

int
vmmem_prefault(const struct vmmem_prefault *prefault, uint32_t *ret_threads)
{
	struct work work = { .prefault = prefault };
	size_t count = prefault->threads, started, i;
	pthread_t *threads = NULL;

	work.piece = prefault->len / count / PIECES_PER_THREAD;
	if (work.piece < PIECE_MIN)
		work.piece = PIECE_MIN;
	if (work.piece > PIECE_MAX)
		work.piece = PIECE_MAX;
	/* Does not pass SIZE_MAX: what can be mapped is far below. */
	work.piece = round_up(work.piece, prefault->page_size);
	work.pieces = (prefault->len - 1) / work.piece + 1;
	/* No more threads than pieces. */
	if (count > work.pieces)
		count = work.pieces;

	/* This thread is one of them. */
	started = 0;
	if (count > 1) {
		threads = calloc(count - 1, sizeof(*threads));
		if (threads == NULL)
			return -ENOMEM;
		started = start(&work, threads, count - 1);
	}
	while (next_piece(&work))
		report(&work);
	for (i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	/* Once more if others made the last pieces, or this one had none. */
	if (atomic_load_explicit(&work.code, memory_order_relaxed) == 0)
		report(&work);
	*ret_threads = (uint32_t)count;
	/* Relaxed: the threads were joined. */
	return atomic_load_explicit(&work.code, memory_order_relaxed);
}
