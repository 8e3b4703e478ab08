/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "background.h"

#include <pthread.h>
#include <sched.h>

#define NOBODY SIDES
#define OVER (SIDES + 1)

struct thread {
	pthread_t thread;
	enum bench_side side;
	void (*work)(void *opaque);
	void *opaque;
};

static struct thread threads[SIDES * BACKGROUND_MAX];
static size_t count;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned int turn = NOBODY; /* also read without the lock */
static size_t busy;		   /* threads that are at work */

static void
set_turn(unsigned int next)
{
	/* Relaxed: the lock orders it for those who sleep. */
	__atomic_store_n(&turn, next, __ATOMIC_RELAXED);
}

static unsigned int
get_turn(void)
{
	return __atomic_load_n(&turn, __ATOMIC_RELAXED);
}

static void *
run(void *opaque)
{
	struct thread *thread = opaque;

	pthread_mutex_lock(&lock);
	while (turn != OVER) {
		if (turn != thread->side) {
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		busy++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
		while (get_turn() == thread->side)
			thread->work(thread->opaque);
		pthread_mutex_lock(&lock);
		busy--;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void
background_add(enum bench_side side, void (*work)(void *opaque), void *opaque)
{
	struct thread *thread = &threads[count++];

	*thread = (struct thread){
		.side = side,
		.work = work,
		.opaque = opaque,
	};
	bench_must(-pthread_create(&thread->thread, NULL, run, thread),
		   "thread");
}

void
background_turn(const struct bench_row *row, enum bench_side side)
{
	size_t wanted = 0, i;

	(void)row;
	/* These two have the same map. */
	if (side == INLINE)
		side = OURS;
	for (i = 0; i < count; i++)
		wanted += threads[i].side == side;
	pthread_mutex_lock(&lock);
	if (turn != side) {
		/* First those of the last side go to sleep. */
		set_turn(NOBODY);
		while (busy != 0)
			pthread_cond_wait(&changed, &lock);
		set_turn(side);
		pthread_cond_broadcast(&changed);
		while (busy != wanted)
			pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
}

void
background_end(void)
{
	size_t i;

	pthread_mutex_lock(&lock);
	set_turn(OVER);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	for (i = 0; i < count; i++)
		pthread_join(threads[i].thread, NULL);
	count = 0;
	set_turn(NOBODY);
}
