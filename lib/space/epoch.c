/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Epochs: which readers may still see a map that was replaced. */
#include "space/epoch.h"

#include <string.h>

#include "base/barrier.h"
#include "iommu/srcu.h"

/* The latest generation of all spaces. */
static uint64_t latest = VMMEM_GENERATION_NONE;

uint64_t
vmmem_epoch_next_generation(void)
{
	/* Relaxed: it orders nothing, and modifications are in one order. */
	return __atomic_add_fetch(&latest, 1, __ATOMIC_RELAXED);
}

int
vmmem_epoch_init(struct vmmem_epoch *epoch)
{
	int rc;

	rc = pthread_mutex_init(&epoch->lock, NULL);
	if (rc != 0)
		return -rc;
	LIST_INIT(&epoch->readers);
	memset(epoch->passing, 0, sizeof(epoch->passing));
	epoch->phase = 0;
	epoch->changed_at = 0;
	epoch->passed = 0;
	epoch->fenced = !vmmem_barrier_available();
	return 0;
}

void
vmmem_epoch_fini(struct vmmem_epoch *epoch)
{
	pthread_mutex_destroy(&epoch->lock);
}

/*
 * rest() puts a reader outside of any section.  ThreadSanitizer does not look:
 * in a child that fork() made, it does not know that the threads of the
 * sections are not there.
 */
__attribute__((__no_sanitize_thread__)) static void
rest(const struct vmmem_epoch *epoch, struct vmmem_epoch_reader *reader)
{
	reader->hot.nested = epoch->fenced ? 1 : 0;
	reader->hot.section = epoch->fenced ? VMMEM_SECTION_FENCED : 0;
	reader->depth = 0;
	reader->fenced = reader->asked = epoch->fenced;
}

void
vmmem_epoch_add(struct vmmem_epoch *epoch, struct vmmem_epoch_reader *reader)
{
	pthread_mutex_lock(&epoch->lock);
	rest(epoch, reader);
	/*
	 * Relaxed: a writer publishes under the lock, so before or after this.
	 */
	reader->seen = __atomic_load_n(&reader->hot.view->generation,
				       __ATOMIC_RELAXED);
	LIST_INSERT_HEAD(&epoch->readers, reader, link);
	pthread_mutex_unlock(&epoch->lock);
}

void
vmmem_epoch_remove(struct vmmem_epoch *epoch, struct vmmem_epoch_reader *reader)
{
	pthread_mutex_lock(&epoch->lock);
	LIST_REMOVE(reader, link);
	pthread_mutex_unlock(&epoch->lock);
}

/* counter_of() returns the number of the counter that this thread uses. */
static unsigned int
counter_of(void)
{
	/* Thread pointers differ in the middle: multiply, take the top. */
	const uint64_t hash =
		(uint64_t)vmmem_srcu_self() * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned int)(hash >> 32) % VMMEM_EPOCH_COUNTERS;
}

unsigned int
vmmem_epoch_enter(struct vmmem_epoch *epoch)
{
	return vmmem_epoch_enter_at(epoch, counter_of());
}

/*
 * is_empty() tells whether no thread that entered before this look is passing
 * in 'phase'.  It looks at one counter after the other; a thread that adds to a
 * counter after the look at that counter entered after this look, whatever the
 * other counters say.
 */
static bool
is_empty(const struct vmmem_epoch *epoch, uint64_t phase)
{
	size_t i;

	for (i = 0; i < VMMEM_EPOCH_COUNTERS; i++) {
		/* Sequentially consistent: see above.  Acquires, too. */
		if (__atomic_load_n(&epoch->passing[phase][i].count,
				    __ATOMIC_SEQ_CST) != 0)
			return false;
	}
	return true;
}

/*
 * look_at_passing() brings 'passed' up to date.  If threads pass all the time,
 * the counters are never both empty; so all threads are made to use one of the
 * two, and the other one becomes empty.
 */
static void
look_at_passing(struct vmmem_epoch *epoch, uint64_t generation)
{
	uint64_t phase = epoch->phase;

	if (!is_empty(epoch, 1 - phase))
		return;
	/*
	 * The threads that are left entered after the phase was changed, when
	 * the counter that they use was empty.
	 */
	epoch->passed = epoch->changed_at;
	if (is_empty(epoch, phase)) {
		epoch->changed_at = generation;
		epoch->passed = generation;
		return;
	}
	epoch->changed_at = generation;
	/* Relaxed: it only says which counter to use. */
	__atomic_store_n(&epoch->phase, 1 - phase, __ATOMIC_RELAXED);
}

void
vmmem_epoch_leave_fenced(struct vmmem_epoch_reader *reader)
{
	/* Release: the accesses of the section are before its end. */
	__atomic_store_n(&reader->hot.section, VMMEM_SECTION_FENCED,
			 __ATOMIC_RELEASE);
}

/*
 * ask() makes all readers use barriers: it counts a nested section that no
 * reader has begun, which leads each reader to the slow vmmem_reader_leave()
 * when its next section ends.
 */
static void
ask(struct vmmem_epoch *epoch)
{
	struct vmmem_epoch_reader *reader;

	epoch->fenced = true;
	LIST_FOREACH(reader, &epoch->readers, link) {
		if (reader->asked)
			continue;
		reader->asked = true;
		/*
		 * Relaxed: a reader that sees it later answers later.  Its own
		 * thread adds and subtracts, too.
		 */
		__atomic_fetch_add(&reader->hot.nested, 1, __ATOMIC_RELAXED);
	}
}

/* all_fenced() tells whether every reader is known to make barriers. */
static bool
all_fenced(const struct vmmem_epoch *epoch)
{
	const struct vmmem_epoch_reader *reader;

	if (!epoch->fenced)
		return false;
	LIST_FOREACH(reader, &epoch->readers, link) {
		if (!reader->fenced)
			return false;
	}
	return true;
}

/*
 * look_at() updates the generation up to which a reader sees nothing that was
 * replaced.  'rc' is the result of the barrier.  Without a barrier it is not
 * known whether a reader that shows no section, and makes no barriers, has
 * begun one.
 */
static int
look_at(struct vmmem_epoch_reader *reader, uint64_t generation, int rc,
	uint64_t *ret_seen)
{
	/* Acquire: the accesses of a section that is over are before. */
	const uint64_t section = __atomic_load_n(&reader->hot.section,
						 __ATOMIC_ACQUIRE);

	if (section == VMMEM_SECTION_FENCED) {
		reader->fenced = true;
		reader->seen = generation;
	} else if (section == 0 && rc == 0) {
		reader->seen = generation;
	} else if (section > reader->seen) {
		/* Its later sections loaded their numbers later. */
		reader->seen = section;
	}
	/* A reader that is about to begin a section may see all later maps. */
	*ret_seen = reader->seen < generation ? reader->seen : generation;
	return section == 0 ? rc : 0;
}

int
vmmem_epoch_horizon(struct vmmem_epoch *epoch, uint64_t generation,
		    uint64_t *ret_horizon)
{
	uint64_t horizon = generation, seen;
	struct vmmem_epoch_reader *reader;
	int rc = 0, barrier = 0;

	if (!all_fenced(epoch)) {
		/*
		 * The fence below, with the readers' barrier made for them: a
		 * reader that has not shown its section by now will load what
		 * is current, and the generation, after this.
		 */
		barrier = vmmem_barrier();
		if (barrier != 0)
			ask(epoch);
	}
	/*
	 * Pairs with the fence that a reader which makes barriers makes as it
	 * enters: either its section is seen here, or it sees what is current.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	LIST_FOREACH(reader, &epoch->readers, link) {
		if (look_at(reader, generation, barrier, &seen) != 0)
			rc = barrier;
		if (seen < horizon)
			horizon = seen;
	}
	look_at_passing(epoch, generation);
	*ret_horizon = epoch->passed < horizon ? epoch->passed : horizon;
	return rc;
}

void
vmmem_epoch_after_fork_child(struct vmmem_epoch *epoch)
{
	struct vmmem_epoch_reader *reader;
	size_t i;

	LIST_FOREACH(reader, &epoch->readers, link)
		rest(epoch, reader);
	/* Relaxed: there is no other thread. */
	for (i = 0; i < VMMEM_EPOCH_COUNTERS; i++) {
		__atomic_store_n(&epoch->passing[0][i].count, 0,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&epoch->passing[1][i].count, 0,
				 __ATOMIC_RELAXED);
	}
}
