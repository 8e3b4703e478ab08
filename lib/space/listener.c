/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Listeners: telling them of a change, in order, and undoing it. */
#include <vmmem/error.h>
#include <vmmem/listener.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/api.h"
#include "base/cancel.h"
#include "space/listener_priv.h"
#include "base/released_sizes.h"
#include "base/struct_size.h"

struct vmmem_listener {
	TAILQ_ENTRY(vmmem_listener) link;
	struct vmmem_space *space;
	struct vmmem_listener_ops ops;
	void *opaque;
	int32_t priority;
	bool dead; /* freed in a callback: no event is told to it any more */
	char name[VMMEM_SPACE_NAME_MAX + 1];
};

/*
 * A change as a list of events.  Event 0 is begin; then each region of
 * 'regions', first those that are removed; the last event is commit.
 */
struct change {
	struct vmmem_collection *old_map;
	struct vmmem_collection *new_map;
	size_t removed;
	size_t count; /* of regions */
	struct vmmem_region **regions;
};

/*
 * difference() counts the regions that are only in the old map, and those that
 * are only in the new one, and stores them, in ascending order, if the pointers
 * are not NULL.
 */
static void
difference(const struct change *change, struct vmmem_region **removed,
	   size_t *ret_removed, struct vmmem_region **added, size_t *ret_added)
{
	struct vmmem_region *old_region, *new_region;
	size_t i = 0, j = 0;

	*ret_removed = 0;
	*ret_added = 0;
	for (;;) {
		old_region = vmmem_collection_region(change->old_map, i);
		new_region = vmmem_collection_region(change->new_map, j);
		if (old_region == new_region) {
			/*
			 * The common case: of thousands of regions, nearly all
			 * are in both.
			 */
			if (old_region == NULL)
				return;
			i++;
			j++;
		} else if (new_region == NULL ||
			   (old_region != NULL &&
			    vmmem_region_start(old_region) <=
				    vmmem_region_start(new_region))) {
			if (removed != NULL)
				removed[*ret_removed] = old_region;
			(*ret_removed)++;
			i++;
		} else {
			if (added != NULL)
				added[*ret_added] = new_region;
			(*ret_added)++;
			j++;
		}
	}
}

static void
reverse(struct vmmem_region **regions, size_t count)
{
	struct vmmem_region *region;
	size_t i;

	for (i = 0; i < count / 2; i++) {
		region = regions[i];
		regions[i] = regions[count - 1 - i];
		regions[count - 1 - i] = region;
	}
}

/* compare() fills in the change; the caller frees change->regions. */
static int
compare(struct change *change)
{
	size_t added;

	difference(change, NULL, &change->removed, NULL, &added);
	change->count = change->removed + added;
	if (change->count == 0)
		return 0;
	change->regions = reallocarray(NULL, change->count,
				       sizeof(*change->regions));
	if (change->regions == NULL)
		return -ENOMEM;
	difference(change, change->regions, &change->removed,
		   change->regions + change->removed, &added);
	reverse(change->regions, change->removed);
	return 0;
}

/* wants_regions() tells whether a listener asks for more than the two maps. */
static bool
wants_regions(const struct vmmem_listener_list *list)
{
	const struct vmmem_listener *listener;

	TAILQ_FOREACH(listener, list, link) {
		if (listener->ops.removed != NULL ||
		    listener->ops.added != NULL)
			return true;
	}
	return false;
}

static bool
is_removed(const struct change *change, size_t event)
{
	return event >= 1 && event <= change->removed;
}

/* deliver() tells one listener of one event. */
static int
deliver(const struct vmmem_listener *listener, const struct change *change,
	size_t event)
{
	const struct vmmem_listener_ops *ops = &listener->ops;
	int rc = 0;

	if (listener->dead)
		return 0;
	if (event == 0) {
		if (ops->begin != NULL)
			rc = ops->begin(listener->opaque, change->old_map,
					change->new_map);
	} else if (event > change->count) {
		if (ops->commit != NULL)
			rc = ops->commit(listener->opaque, change->old_map,
					 change->new_map);
	} else if (is_removed(change, event)) {
		if (ops->removed != NULL)
			rc = ops->removed(listener->opaque,
					  change->regions[event - 1]);
	} else if (ops->added != NULL) {
		rc = ops->added(listener->opaque, change->regions[event - 1]);
	}
	/* A listener that has freed itself cannot refuse. */
	if (listener->dead)
		return 0;
	return rc > 0 ? VMMEM_ECALLBACK : rc;
}

/* take_back() tells one listener of the reverse of an event. */
static void
take_back(const struct vmmem_listener *listener, const struct change *change,
	  size_t event)
{
	const struct vmmem_listener_ops *ops = &listener->ops;

	if (listener->dead)
		return;
	if (event == 0) {
		if (ops->abort != NULL)
			ops->abort(listener->opaque, change->old_map,
				   change->new_map);
	} else if (event > change->count) {
		/* It undoes the events that it was told before commit. */
	} else if (is_removed(change, event)) {
		if (ops->added != NULL)
			(void)ops->added(listener->opaque,
					 change->regions[event - 1]);
	} else if (ops->removed != NULL) {
		(void)ops->removed(listener->opaque,
				   change->regions[event - 1]);
	}
}

/*
 * The order in which listeners are told an event, and the reverse of it.  A
 * removal is told to the highest priority first.
 */
static struct vmmem_listener *
first(struct vmmem_listener_list *list, bool downwards)
{
	return downwards ? TAILQ_LAST(list, vmmem_listener_list) :
			   TAILQ_FIRST(list);
}

static struct vmmem_listener *
next(struct vmmem_listener *listener, bool downwards)
{
	return downwards ? TAILQ_PREV(listener, vmmem_listener_list, link) :
			   TAILQ_NEXT(listener, link);
}

/*
 * undo() tells the reverse of what was accepted: of each event before 'event'
 * to all listeners, and of 'event' to the listeners that were told before
 * 'refuser'.
 */
static void
undo(struct vmmem_listener_list *list, const struct change *change,
     size_t event, struct vmmem_listener *refuser)
{
	struct vmmem_listener *listener;
	bool downwards;

	downwards = !is_removed(change, event);
	listener = next(refuser, downwards);
	for (;;) {
		for (; listener != NULL; listener = next(listener, downwards))
			take_back(listener, change, event);
		if (event == 0)
			return;
		event--;
		downwards = !is_removed(change, event);
		listener = first(list, downwards);
	}
}

/* tell() tells 'list' of a change, or undoes it and returns why. */
static int
tell(struct vmmem_listener_list *list, const struct change *change)
{
	struct vmmem_listener *listener;
	bool downwards;
	size_t event;
	int rc;

	for (event = 0; event <= change->count + 1; event++) {
		downwards = is_removed(change, event);
		for (listener = first(list, downwards); listener != NULL;
		     listener = next(listener, downwards)) {
			rc = deliver(listener, change, event);
			if (rc != 0) {
				undo(list, change, event, listener);
				return rc;
			}
		}
	}
	return 0;
}

int
vmmem_listeners_tell(struct vmmem_listener_list *list,
		     struct vmmem_collection *old_map,
		     struct vmmem_collection *new_map)
{
	struct change change = { .old_map = old_map, .new_map = new_map };
	int rc;

	if (wants_regions(list)) {
		rc = compare(&change);
		if (rc != 0)
			return rc;
	}
	rc = tell(list, &change);
	free(change.regions);
	return rc;
}

void
vmmem_listeners_tell_published(struct vmmem_listener_list *list,
			       struct vmmem_collection *old_map,
			       struct vmmem_collection *new_map)
{
	struct vmmem_listener *listener;

	TAILQ_FOREACH(listener, list, link) {
		if (!listener->dead && listener->ops.published != NULL)
			listener->ops.published(listener->opaque, old_map,
						new_map);
	}
}

/* From 'listener' on, towards the highest priority. */
static void
tell_discarded(struct vmmem_listener *listener, struct vmmem_region *region,
	       uint64_t offset, uint64_t len, int code)
{
	for (; listener != NULL; listener = next(listener, false)) {
		if (!listener->dead && listener->ops.discarded != NULL)
			listener->ops.discarded(listener->opaque, region,
						offset, len, code);
	}
}

int
vmmem_listeners_tell_discarding(struct vmmem_listener_list *list,
				struct vmmem_region *region, uint64_t offset,
				uint64_t len)
{
	struct vmmem_listener *listener;
	int rc;

	for (listener = first(list, true); listener != NULL;
	     listener = next(listener, true)) {
		if (listener->dead || listener->ops.discarding == NULL)
			continue;
		rc = listener->ops.discarding(listener->opaque, region, offset,
					      len);
		if (rc == 0 || listener->dead)
			continue;
		if (rc > 0)
			rc = VMMEM_ECALLBACK;
		tell_discarded(next(listener, false), region, offset, len, rc);
		return rc;
	}
	return 0;
}

void
vmmem_listeners_tell_discarded(struct vmmem_listener_list *list,
			       struct vmmem_region *region, uint64_t offset,
			       uint64_t len, int code)
{
	tell_discarded(first(list, false), region, offset, len, code);
}

int
vmmem_listeners_tell_converting(struct vmmem_listener_list *list,
				struct vmmem_region *region, uint64_t offset,
				uint64_t len, int to_private,
				struct vmmem_listener **ret_refuser)
{
	struct vmmem_listener *listener;
	int rc;

	for (listener = first(list, true); listener != NULL;
	     listener = next(listener, true)) {
		if (listener->dead || listener->ops.converting == NULL)
			continue;
		rc = listener->ops.converting(listener->opaque, region, offset,
					      len, to_private);
		if (rc == 0 || listener->dead)
			continue;
		*ret_refuser = listener;
		return rc > 0 ? VMMEM_ECALLBACK : rc;
	}
	return 0;
}

void
vmmem_listeners_tell_converted(struct vmmem_listener_list *list,
			       struct vmmem_listener *refuser,
			       struct vmmem_region *region, uint64_t offset,
			       uint64_t len, int to_private, int code)
{
	struct vmmem_listener *listener;

	listener = refuser != NULL ? next(refuser, false) : first(list, false);
	for (; listener != NULL; listener = next(listener, false)) {
		if (!listener->dead && listener->ops.converted != NULL)
			listener->ops.converted(listener->opaque, region,
						offset, len, to_private, code);
	}
}

/* insert() puts a listener behind the others of its priority. */
static void
insert(struct vmmem_listener_list *list, struct vmmem_listener *listener)
{
	struct vmmem_listener *other;

	TAILQ_FOREACH(other, list, link) {
		if (other->priority > listener->priority) {
			TAILQ_INSERT_BEFORE(other, listener, link);
			return;
		}
	}
	TAILQ_INSERT_TAIL(list, listener, link);
}

struct vmmem_listener *
vmmem_listeners_next(struct vmmem_space *space,
		     const struct vmmem_listener *listener)
{
	struct vmmem_listener *other;

	other = listener != NULL ? TAILQ_NEXT(listener, link) :
				   TAILQ_FIRST(&space->listeners);
	while (other != NULL && other->dead)
		other = TAILQ_NEXT(other, link);
	return other;
}

void
vmmem_listeners_take_dead(struct vmmem_space *space,
			  struct vmmem_listener_list *dead)
{
	struct vmmem_listener *listener, *next_one;

	space->dying = false;
	for (listener = TAILQ_FIRST(&space->listeners); listener != NULL;
	     listener = next_one) {
		next_one = TAILQ_NEXT(listener, link);
		if (!listener->dead)
			continue;
		TAILQ_REMOVE(&space->listeners, listener, link);
		TAILQ_INSERT_TAIL(dead, listener, link);
	}
}

/* bury() ends a listener that is in no list. */
static void
bury(struct vmmem_listener *listener)
{
	if (listener->ops.destroy != NULL)
		listener->ops.destroy(listener->opaque);
	vmmem_space_unref(listener->space);
	free(listener);
}

void
vmmem_listeners_bury(struct vmmem_listener_list *dead)
{
	struct vmmem_listener *listener;

	while ((listener = TAILQ_FIRST(dead)) != NULL) {
		TAILQ_REMOVE(dead, listener, link);
		bury(listener);
	}
}

/* take() fills in a listener from the arguments of its maker. */
static int
take(struct vmmem_listener *listener, const struct vmmem_listener_ops *ops,
     void *opaque, const struct vmmem_listener_options *options)
{
	struct vmmem_listener_options known = { 0 };
	int rc;

	rc = vmmem_struct_take(ops, &listener->ops, sizeof(listener->ops),
			       VMMEM_LISTENER_OPS_SIZE_0_9);
	if (rc == 0 && options != NULL)
		rc = vmmem_struct_take(options, &known, sizeof(known),
				       VMMEM_LISTENER_OPTIONS_SIZE_0_9);
	if (rc != 0)
		return rc;
	if (known.flags != 0)
		return VMMEM_EARGUMENT;
	listener->opaque = opaque;
	listener->priority = known.priority;
	return vmmem_space_name_take(known.name, listener->name);
}

/* join() tells a new listener the map, and adds it to the space's listeners. */
static int
join(struct vmmem_space *space, struct vmmem_listener *listener)
{
	struct vmmem_listener_list alone = TAILQ_HEAD_INITIALIZER(alone);
	int rc;

	rc = vmmem_space_lock_telling(space);
	if (rc != 0)
		return rc;
	TAILQ_INSERT_TAIL(&alone, listener, link);
	rc = vmmem_listeners_tell(&alone, space->empty, space->view.current);
	if (rc == 0) {
		vmmem_listeners_tell_published(&alone, space->empty,
					       space->view.current);
		TAILQ_REMOVE(&alone, listener, link);
		insert(&space->listeners, listener);
		listener->space = vmmem_space_ref(space);
	}
	vmmem_space_unlock_telling(space);
	return rc;
}

VMMEM_API int
vmmem_listener_new(struct vmmem_space *space,
		   const struct vmmem_listener_ops *ops, void *opaque,
		   const struct vmmem_listener_options *options,
		   struct vmmem_listener **ret_listener)
{
	struct vmmem_listener *listener;
	int rc, cancel;

	if (space == NULL || ops == NULL || ret_listener == NULL)
		return VMMEM_EARGUMENT;
	listener = calloc(1, sizeof(*listener));
	if (listener == NULL)
		return -ENOMEM;
	rc = take(listener, ops, opaque, options);
	if (rc == 0) {
		cancel = vmmem_cancel_off();
		rc = join(space, listener);
		vmmem_cancel_back(cancel);
	}
	if (rc != 0) {
		free(listener);
		return rc;
	}
	*ret_listener = listener;
	return 0;
}

/*
 * take_leave() tells a listener that all regions are removed, under the lock.
 */
static void
take_leave(struct vmmem_space *space, struct vmmem_listener *listener)
{
	struct vmmem_collection *map = space->view.current;
	size_t i;

	TAILQ_REMOVE(&space->listeners, listener, link);
	/* Told without a list of regions, as this must not fail. */
	if (listener->ops.begin != NULL)
		(void)listener->ops.begin(listener->opaque, map, space->empty);
	for (i = vmmem_collection_count(map); i-- > 0;) {
		if (listener->ops.removed != NULL)
			(void)listener->ops.removed(listener->opaque,
						    vmmem_collection_region(map,
									    i));
	}
	if (listener->ops.commit != NULL)
		(void)listener->ops.commit(listener->opaque, map,
					   space->empty);
	if (listener->ops.published != NULL)
		listener->ops.published(listener->opaque, map, space->empty);
}

VMMEM_API struct vmmem_listener *
vmmem_listener_free(struct vmmem_listener *listener)
{
	struct vmmem_space *space;
	int cancel;

	if (listener == NULL)
		return NULL;
	space = listener->space;
	cancel = vmmem_cancel_off();
	if (vmmem_space_lock_telling(space) != 0) {
		/*
		 * This thread has the lock already, in a callback: the list
		 * stays as it is until the event was told.
		 */
		listener->dead = true;
		space->dying = true;
	} else {
		take_leave(space, listener);
		vmmem_space_unlock_telling(space);
		bury(listener);
	}
	vmmem_cancel_back(cancel);
	return NULL;
}

VMMEM_API struct vmmem_space *
vmmem_listener_space(const struct vmmem_listener *listener)
{
	return listener != NULL ? listener->space : NULL;
}

VMMEM_API const char *
vmmem_listener_name(const struct vmmem_listener *listener)
{
	return listener != NULL ? listener->name : NULL;
}

VMMEM_API int32_t
vmmem_listener_priority(const struct vmmem_listener *listener)
{
	return listener != NULL ? listener->priority : 0;
}
