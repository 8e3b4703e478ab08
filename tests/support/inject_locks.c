/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "inject_locks.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "inject_wrap.h"

#define HELD_MAX 256
#define MADE_MAX 4096

static struct {
	const pthread_mutex_t *mutex;
	pthread_t owner;
} held[HELD_MAX];

static const void *made[MADE_MAX];

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);

/* Of the list of those that are held. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;

/* Returns where the mutex stands in the list, HELD_MAX if it does not. */
static unsigned int
find(const pthread_mutex_t *mutex)
{
	unsigned int i;

	for (i = 0; i < HELD_MAX && held[i].mutex != mutex; i++)
		;
	return i;
}

/* The program's own data, from the linker: mutexes there need not be made. */
extern const char __data_start[], _end[];

/* Returns where it stands in the list of those that were made. */
static unsigned int
find_made(const void *mutex)
{
	unsigned int i;

	for (i = 0; i < MADE_MAX && made[i] != mutex; i++)
		;
	return i;
}

static bool
is_made(const void *mutex)
{
	const uintptr_t at = (uintptr_t)mutex;

	return (at >= (uintptr_t)__data_start && at < (uintptr_t)_end) ||
	       find_made(mutex) != MADE_MAX;
}

static void
refuse(const char *what)
{
	fprintf(stderr, "a mutex %s\n", what);
	abort();
}

void
inject_made(const void *mutex)
{
	unsigned int i;

	__real_pthread_mutex_lock(&list_lock);
	i = find_made(NULL);
	if (i == MADE_MAX)
		refuse("is one too many");
	made[i] = mutex;
	__real_pthread_mutex_unlock(&list_lock);
}

WRAP(int, pthread_mutex_lock, pthread_mutex_t *mutex)
{
	unsigned int i;
	int rc;

	__real_pthread_mutex_lock(&list_lock);
	if (!is_made(mutex))
		refuse("is locked that was never made");
	i = find(mutex);
	if (i != HELD_MAX && pthread_equal(held[i].owner, pthread_self()))
		refuse("is locked by the thread that holds it");
	__real_pthread_mutex_unlock(&list_lock);
	rc = __real_pthread_mutex_lock(mutex);
	if (rc != 0)
		refuse("cannot be locked");
	__real_pthread_mutex_lock(&list_lock);
	i = find(NULL);
	if (i == HELD_MAX)
		refuse("is one too many");
	held[i].mutex = mutex;
	held[i].owner = pthread_self();
	__real_pthread_mutex_unlock(&list_lock);
	return 0;
}

WRAP(int, pthread_mutex_trylock, pthread_mutex_t *mutex)
{
	unsigned int i;
	int rc;

	__real_pthread_mutex_lock(&list_lock);
	if (!is_made(mutex))
		refuse("is locked that was never made");
	rc = __real_pthread_mutex_trylock(mutex);
	if (rc == 0) {
		i = find(NULL);
		if (i == HELD_MAX)
			refuse("is one too many");
		held[i].mutex = mutex;
		held[i].owner = pthread_self();
	}
	__real_pthread_mutex_unlock(&list_lock);
	return rc;
}

WRAP(int, pthread_mutex_unlock, pthread_mutex_t *mutex)
{
	unsigned int i;

	__real_pthread_mutex_lock(&list_lock);
	i = find(mutex);
	if (i == HELD_MAX || !pthread_equal(held[i].owner, pthread_self()))
		refuse("is unlocked by a thread that does not hold it");
	held[i].mutex = NULL;
	__real_pthread_mutex_unlock(&list_lock);
	return __real_pthread_mutex_unlock(mutex);
}

WRAP(int, pthread_mutex_destroy, pthread_mutex_t *mutex)
{
	unsigned int i;

	__real_pthread_mutex_lock(&list_lock);
	if (find(mutex) != HELD_MAX)
		refuse("is destroyed while it is held");
	if (!is_made(mutex))
		refuse("is destroyed that was never made");
	i = find_made(mutex);
	if (i != MADE_MAX)
		made[i] = NULL;
	__real_pthread_mutex_unlock(&list_lock);
	/* Memory that was given back looks like one that somebody holds. */
	if (__real_pthread_mutex_destroy(mutex) != 0)
		refuse("is destroyed that is none");
	return 0;
}

unsigned int
inject_held(void)
{
	unsigned int count = 0, i;

	__real_pthread_mutex_lock(&list_lock);
	for (i = 0; i < HELD_MAX; i++)
		count += held[i].mutex != NULL &&
			 pthread_equal(held[i].owner, pthread_self());
	__real_pthread_mutex_unlock(&list_lock);
	return count;
}
