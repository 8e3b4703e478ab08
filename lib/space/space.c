/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Spaces: the current map, and the retired maps. */
#include <vmmem/error.h>
#include <vmmem/space.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/api.h"
#include "base/refcount.h"
#include "base/futex.h"
#include "map/collection_priv.h"
#include "map/lineage.h"
#include "space/listener_priv.h"
#include "space/space_priv.h"
#include "base/released_sizes.h"
#include "base/struct_size.h"
#include "base/zalloc.h"

/*
 * How vmmem_space_synchronize() waits: sections are short, so first it only
 * lets other threads run; then it sleeps, longer each time, up to a
 * millisecond.  Readers do not wake it: that would cost each of them a look.
 */
#define YIELDS 8
#define SLEEP_FIRST_NS 20000
#define SLEEP_LAST_NS 1000000

/* How often it looks, if it is not known which readers are in a section. */
#define LOOKS_UNKNOWN 100

/*
 * How many maps that callers held each update looks at again: more than one, so
 * that they are dropped faster than they are retired; not all, so that the cost
 * of an update does not grow with what callers hold.
 */
#define LOOKS 16

static int
compare_maps(const struct vmmem_retired *a, const struct vmmem_retired *b)
{
	const uintptr_t map = (uintptr_t)a->map, other = (uintptr_t)b->map;

	return (map > other) - (map < other);
}

VMMEM_TREE_FUNCTIONS(vmmem_retired_tree, vmmem_retired, by_map, compare_maps)

int
vmmem_space_name_take(const char *name, char *buf)
{
	size_t len = name != NULL ? strnlen(name, VMMEM_SPACE_NAME_MAX + 1) : 0;

	if (len > VMMEM_SPACE_NAME_MAX)
		return VMMEM_ELONGNAME;
	memset(buf, 0, VMMEM_SPACE_NAME_MAX + 1);
	if (len != 0)
		memcpy(buf, name, len);
	return 0;
}

/* init() does all that can fail, for a space that is all zero. */
static int
init(struct vmmem_space *space)
{
	int rc;

	rc = vmmem_collection_new_empty(&space->empty);
	if (rc != 0)
		return rc;
	rc = -pthread_mutex_init(&space->telling, NULL);
	if (rc != 0)
		goto unref_empty;
	rc = vmmem_epoch_init(&space->epoch);
	if (rc == 0)
		return 0;
	pthread_mutex_destroy(&space->telling);
unref_empty:
	vmmem_collection_unref(space->empty);
	return rc;
}

VMMEM_API int
vmmem_space_new(struct vmmem_collection *map,
		const struct vmmem_space_options *options,
		struct vmmem_space **ret_space)
{
	struct vmmem_space_options known = { 0 };
	struct vmmem_collection *none = NULL;
	struct vmmem_space *space;
	int rc = 0;

	if (ret_space == NULL)
		return VMMEM_EARGUMENT;
	if (map == NULL) {
		/*
		 * Not space->empty, which is held as long as the space is
		 * there.
		 */
		rc = vmmem_collection_new_empty(&none);
		if (rc == 0)
			rc = vmmem_space_new(none, options, ret_space);
		vmmem_collection_unref(none);
		return rc;
	}
	if (options != NULL)
		rc = vmmem_struct_take(options, &known, sizeof(known),
				       VMMEM_SPACE_OPTIONS_SIZE_0_9);
	if (rc != 0)
		return rc;
	space = vmmem_zalloc(sizeof(*space));
	if (space == NULL)
		return -ENOMEM;
	rc = vmmem_space_name_take(known.name, space->name);
	if (rc == 0)
		rc = init(space);
	if (rc != 0) {
		free(space);
		return rc;
	}

	TAILQ_INIT(&space->retired);
	TAILQ_INIT(&space->held);
	RB_INIT(&space->retired_maps);
	TAILQ_INIT(&space->listeners);
	atomic_init(&space->refs, 1);
	vmmem_collection_keep(map);
	space->view.current = map;
	space->view.generation = vmmem_epoch_next_generation();
	*ret_space = space;
	return 0;
}

VMMEM_API const char *
vmmem_space_name(const struct vmmem_space *space)
{
	return space != NULL ? space->name : NULL;
}

VMMEM_API struct vmmem_space *
vmmem_space_ref(struct vmmem_space *space)
{
	if (space != NULL)
		vmmem_refcount_take(&space->refs);
	return space;
}

/* drop() drops the maps of a list. */
static void
drop(struct vmmem_retired_list *list)
{
	struct vmmem_retired *node;

	while ((node = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, node, link);
		vmmem_collection_unkeep(node->map);
		free(node);
	}
}

VMMEM_API struct vmmem_space *
vmmem_space_unref(struct vmmem_space *space)
{
	if (space == NULL || !vmmem_refcount_drop(&space->refs))
		return NULL;
	/* Readers, listeners and updates hold references: none are left. */
	drop(&space->retired);
	drop(&space->held);
	vmmem_steps_free(&space->steps);
	vmmem_collection_unkeep(space->view.current);
	vmmem_collection_unref(space->empty);
	vmmem_epoch_fini(&space->epoch);
	pthread_mutex_destroy(&space->telling);
	free(space);
	return NULL;
}

VMMEM_API struct vmmem_collection *
vmmem_space_get(struct vmmem_space *space)
{
	struct vmmem_collection *map;
	unsigned int phase;

	if (space == NULL)
		return NULL;
	/* The map's own count is one for all threads, too: no other counter. */
	phase = vmmem_epoch_enter_at(&space->epoch, 0);
	/* Sequentially consistent: vmmem_epoch_enter() says why. */
	map = vmmem_collection_ref(
		__atomic_load_n(&space->view.current, __ATOMIC_SEQ_CST));
	vmmem_epoch_leave(&space->epoch, phase);
	return map;
}

VMMEM_API uint64_t
vmmem_space_enter(struct vmmem_space *space, struct vmmem_collection **ret_map)
{
	unsigned int section;

	if (space == NULL) {
		*ret_map = NULL;
		return 0;
	}
	section = vmmem_epoch_enter(&space->epoch);
	/* Sequentially consistent: vmmem_epoch_enter() says why. */
	*ret_map = __atomic_load_n(&space->view.current, __ATOMIC_SEQ_CST);
	return section;
}

VMMEM_API void
vmmem_space_leave(struct vmmem_space *space, uint64_t section)
{
	if (space != NULL)
		vmmem_epoch_leave(&space->epoch, (unsigned int)section);
}

VMMEM_API uint64_t
vmmem_space_generation(const struct vmmem_space *space)
{
	if (space == NULL)
		return 0;
	/* Acquire: a thread that sees the number finds at least that map. */
	return __atomic_load_n(&space->view.generation, __ATOMIC_ACQUIRE);
}

bool
vmmem_space_is_telling(const struct vmmem_space *space)
{
	/*
	 * Relaxed: it is this thread's own number only if this thread stored
	 * it, and has not unlocked since.
	 */
	return pthread_equal(__atomic_load_n(&space->teller, __ATOMIC_RELAXED),
			     pthread_self());
}

int
vmmem_space_lock_telling(struct vmmem_space *space)
{
	if (vmmem_space_is_telling(space))
		return VMMEM_ESELFWAIT;
	pthread_mutex_lock(&space->telling);
	/* Relaxed: other threads only compare it with their own number. */
	__atomic_store_n(&space->teller, pthread_self(), __ATOMIC_RELAXED);
	return 0;
}

void
vmmem_space_stop_telling(struct vmmem_space *space,
			 struct vmmem_listener_list *dead)
{
	if (space->dying)
		vmmem_listeners_take_dead(space, dead);
	/* Relaxed: for the same reason. */
	__atomic_store_n(&space->teller, 0, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&space->telling);
}

void
vmmem_space_unlock_telling(struct vmmem_space *space)
{
	struct vmmem_listener_list dead = TAILQ_HEAD_INITIALIZER(dead);

	vmmem_space_stop_telling(space, &dead);
	vmmem_listeners_bury(&dead);
}

/* set_count() stores how many maps are retired; under the epoch's lock. */
static void
set_count(struct vmmem_space *space, size_t count)
{
	/* Relaxed: vmmem_space_retired() reads it without the lock. */
	__atomic_store_n(&space->retired_count, count, __ATOMIC_RELAXED);
}

/* list() makes a map one of the retired ones. */
static void
list(struct vmmem_space *space, struct vmmem_retired *node)
{
	node->held = false;
	TAILQ_INSERT_TAIL(&space->retired, node, link);
	RB_INSERT(vmmem_retired_tree, &space->retired_maps, node);
	set_count(space, space->retired_count + 1);
}

/* unlist() moves one to another list, to be dropped. */
static void
unlist(struct vmmem_space *space, struct vmmem_retired *node,
       struct vmmem_retired_list *unlisted)
{
	TAILQ_REMOVE(node->held ? &space->held : &space->retired, node, link);
	RB_REMOVE(vmmem_retired_tree, &space->retired_maps, node);
	set_count(space, space->retired_count - 1);
	TAILQ_INSERT_TAIL(unlisted, node, link);
}

/* forget() takes 'map' off the list of retired maps, if it is there. */
static void
forget(struct vmmem_space *space, struct vmmem_collection *map,
       struct vmmem_retired_list *forgotten)
{
	struct vmmem_retired key = { .map = map }, *node;

	node = RB_FIND(vmmem_retired_tree, &space->retired_maps, &key);
	if (node != NULL)
		unlist(space, node, forgotten);
}

void
vmmem_space_publish(struct vmmem_space *space, struct vmmem_collection *map,
		    struct vmmem_retired *node)
{
	struct vmmem_retired_list forgotten =
		TAILQ_HEAD_INITIALIZER(forgotten);

	vmmem_collection_keep(map);
	pthread_mutex_lock(&space->epoch.lock);
	/* A map that is current again is no longer to be dropped. */
	forget(space, map, &forgotten);
	node->map = space->view.current;
	node->generation = vmmem_epoch_next_generation();
	/*
	 * Sequentially consistent, for threads without a reader: see
	 * vmmem_epoch_enter().  It releases too: a thread that loads the map
	 * finds it whole.
	 */
	__atomic_store_n(&space->view.current, map, __ATOMIC_SEQ_CST);
	/* Release: a thread that sees the number finds at least this map. */
	__atomic_store_n(&space->view.generation, node->generation,
			 __ATOMIC_RELEASE);
	list(space, node);
	pthread_mutex_unlock(&space->epoch.lock);
	/* The reference just taken outlives it: nothing is unmapped. */
	drop(&forgotten);
}

/* look() moves maps without a holder to 'unseen', and others to 'held'. */
static void
look(struct vmmem_space *space, struct vmmem_retired *node,
     struct vmmem_retired_list *unseen)
{
	if (!vmmem_collection_is_held(node->map)) {
		unlist(space, node, unseen);
		return;
	}
	TAILQ_REMOVE(node->held ? &space->held : &space->retired, node, link);
	node->held = true;
	/* Behind the other maps, which are looked at before. */
	TAILQ_INSERT_TAIL(&space->held, node, link);
}

int
vmmem_space_drop_retired(struct vmmem_space *space, bool all,
			 uint64_t *ret_horizon)
{
	struct vmmem_retired_list unseen = TAILQ_HEAD_INITIALIZER(unseen);
	struct vmmem_retired *node, *next, *last;
	uint64_t horizon;
	size_t looks = 0;
	int rc;

	pthread_mutex_lock(&space->epoch.lock);
	rc = vmmem_epoch_horizon(&space->epoch, space->view.generation,
				 &horizon);
	/* Once round: maps that are still held are put at the end. */
	last = TAILQ_LAST(&space->held, vmmem_retired_list);
	for (node = TAILQ_FIRST(&space->held);
	     node != NULL && (all || looks++ < LOOKS); node = next) {
		next = node != last ? TAILQ_NEXT(node, link) : NULL;
		look(space, node, &unseen);
	}
	while ((node = TAILQ_FIRST(&space->retired)) != NULL &&
	       node->generation <= horizon)
		look(space, node, &unseen);
	pthread_mutex_unlock(&space->epoch.lock);
	/* Outside of the lock: this unmaps, and may run callbacks of owners. */
	drop(&unseen);
	*ret_horizon = horizon;
	return rc;
}

/* let_others_run() is the wait before look number 'look'. */
static void
let_others_run(unsigned int look)
{
	struct timespec time = { .tv_nsec = SLEEP_LAST_NS };

	if (look < YIELDS) {
		sched_yield();
		return;
	}
	if (look - YIELDS < 6)
		time.tv_nsec = SLEEP_FIRST_NS << (look - YIELDS);
	/* A signal may end it early: then the next look is early. */
	(void)nanosleep(&time, NULL);
}

VMMEM_API int
vmmem_space_synchronize(struct vmmem_space *space, uint64_t timeout_ns)
{
	const bool forever = timeout_ns == VMMEM_FOREVER;
	struct timespec deadline;
	uint64_t wanted, horizon;
	unsigned int look = 0;
	int rc;

	if (space == NULL)
		return VMMEM_EARGUMENT;
	deadline = vmmem_futex_deadline(forever ? 0 : timeout_ns);
	wanted = vmmem_space_generation(space);
	for (;;) {
		rc = vmmem_space_drop_retired(space, true, &horizon);
		if (horizon >= wanted)
			return 0;
		/* A reader of which nothing is known may stay so for ever. */
		if (forever ? rc != 0 && look >= LOOKS_UNKNOWN :
			      timeout_ns == 0 ||
				      vmmem_futex_is_past(&deadline))
			return rc != 0 ? rc : VMMEM_ETIMEOUT;
		let_others_run(look);
		if (look < UINT32_MAX)
			look++;
	}
}

VMMEM_API size_t
vmmem_space_retired(const struct vmmem_space *space)
{
	if (space == NULL)
		return 0;
	/* Relaxed: it races with writers; the number is a hint. */
	return __atomic_load_n(&space->retired_count, __ATOMIC_RELAXED);
}

VMMEM_API int
vmmem_space_before_fork(struct vmmem_space *space)
{
	bool locked;
	int rc;

	if (space == NULL)
		return VMMEM_EARGUMENT;
	/*
	 * The order in which writers take the locks: writers, telling, epoch,
	 * lineage.  With several spaces an earlier call has locked the lineage
	 * already: unlock it, and lock it last again.
	 */
	locked = vmmem_lineage_after_fork();
	rc = vmmem_space_is_telling(space) ? VMMEM_ESELFWAIT : 0;
	if (rc == 0) {
		/* Cannot fail without a timeout. */
		(void)vmmem_writers_lock(&space->writers, VMMEM_FOREVER);
		(void)vmmem_space_lock_telling(space);
		pthread_mutex_lock(&space->epoch.lock);
	}
	if (rc == 0 || locked)
		vmmem_lineage_before_fork();
	return rc;
}

VMMEM_API void
vmmem_space_after_fork_parent(struct vmmem_space *space)
{
	struct vmmem_listener_list dead = TAILQ_HEAD_INITIALIZER(dead);

	if (space == NULL)
		return;
	/* With several spaces, the first call does it for all. */
	(void)vmmem_lineage_after_fork();
	pthread_mutex_unlock(&space->epoch.lock);
	vmmem_space_stop_telling(space, &dead);
	vmmem_writers_unlock(&space->writers);
	/* Outside of both locks: an owner that is told may change the space. */
	vmmem_listeners_bury(&dead);
}

VMMEM_API void
vmmem_space_after_fork_child(struct vmmem_space *space)
{
	if (space == NULL)
		return;
	vmmem_epoch_after_fork_child(&space->epoch);
	vmmem_space_after_fork_parent(space);
}
