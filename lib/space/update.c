/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Changing the map of a space, in steps that are one change. */
#include <vmmem/error.h>
#include <vmmem/update.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/api.h"
#include "base/cancel.h"
#include "space/listener_priv.h"
#include "space/space_priv.h"

int
vmmem_update_open(struct vmmem_space *space, uint64_t timeout_ns,
		  struct vmmem_update *update)
{
	int rc;

	/* The writer would wait for the callback that it is in. */
	if (vmmem_space_is_telling(space))
		return VMMEM_ESELFWAIT;
	rc = vmmem_writers_lock(&space->writers, timeout_ns);
	if (rc != 0)
		return rc;
	update->space = space;
	update->open = true;
	/* Only writers store it: no atomic load is needed. */
	vmmem_steps_begin(&space->steps, space->view.current);
	return 0;
}

void
vmmem_update_close(struct vmmem_update *update)
{
	struct vmmem_space *space = update->space;
	struct vmmem_steps steps;
	int cancel;

	if (!update->open)
		return;
	cancel = vmmem_cancel_off();
	vmmem_steps_end(&space->steps, &steps);
	update->open = false;
	vmmem_writers_unlock(&space->writers);
	/*
	 * Outside of the lock: it may unmap regions that the update did not
	 * keep.
	 */
	vmmem_steps_free(&steps);
	vmmem_cancel_back(cancel);
}

VMMEM_API int
vmmem_update_new(struct vmmem_space *space, uint64_t timeout_ns,
		 struct vmmem_update **ret_update)
{
	struct vmmem_update *update;
	int rc;

	if (space == NULL || ret_update == NULL)
		return VMMEM_EARGUMENT;
	update = malloc(sizeof(*update));
	if (update == NULL)
		return -ENOMEM;
	rc = vmmem_update_open(space, timeout_ns, update);
	if (rc != 0) {
		free(update);
		return rc;
	}
	vmmem_space_ref(space);
	*ret_update = update;
	return 0;
}

VMMEM_API struct vmmem_update *
vmmem_update_free(struct vmmem_update *update)
{
	struct vmmem_space *space;
	int cancel;

	if (update == NULL)
		return NULL;
	cancel = vmmem_cancel_off();
	space = update->space;
	vmmem_update_close(update);
	free(update);
	vmmem_space_unref(space);
	vmmem_cancel_back(cancel);
	return NULL;
}

VMMEM_API struct vmmem_space *
vmmem_update_space(const struct vmmem_update *update)
{
	return update != NULL ? update->space : NULL;
}

VMMEM_API struct vmmem_collection *
vmmem_update_collection(struct vmmem_update *update)
{
	if (!vmmem_update_is_open(update) ||
	    vmmem_steps_settle(&update->space->steps) != 0)
		return NULL;
	return update->space->steps.map;
}

VMMEM_API int
vmmem_update_insert(struct vmmem_update *update, struct vmmem_region *region)
{
	int rc, cancel;

	if (!vmmem_update_is_open(update) || region == NULL)
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	rc = vmmem_steps_insert(&update->space->steps, region);
	vmmem_cancel_back(cancel);
	return rc;
}

VMMEM_API int
vmmem_update_remove(struct vmmem_update *update, uint64_t gpa, uint64_t len,
		    struct vmmem_region **ret_region)
{
	int rc, cancel;

	if (!vmmem_update_is_open(update))
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	rc = vmmem_steps_remove(&update->space->steps, gpa, len, ret_region);
	vmmem_cancel_back(cancel);
	return rc;
}

VMMEM_API int
vmmem_update_replace(struct vmmem_update *update, struct vmmem_collection *map)
{
	struct vmmem_steps steps;
	int cancel;

	if (!vmmem_update_is_open(update) || map == NULL)
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	vmmem_steps_end(&update->space->steps, &steps);
	vmmem_steps_begin(&update->space->steps, map);
	/* Last, as 'map' may be the very one whose reference is dropped. */
	vmmem_steps_free(&steps);
	vmmem_cancel_back(cancel);
	return 0;
}

/*
 * publish() asks the listeners to agree to 'new_map', and makes it the current
 * one.  Under both locks.
 */
static int
publish(struct vmmem_space *space, struct vmmem_collection *new_map)
{
	struct vmmem_collection *old_map = space->view.current;
	struct vmmem_retired *node;
	int rc;

	/* Now, as nothing may fail once the listeners agree. */
	node = malloc(sizeof(*node));
	if (node == NULL)
		return -ENOMEM;
	rc = vmmem_listeners_tell(&space->listeners, old_map, new_map);
	if (rc != 0) {
		free(node);
		return rc;
	}
	vmmem_space_publish(space, new_map, node);
	vmmem_listeners_tell_published(&space->listeners, old_map, new_map);
	return 0;
}

static int
commit(struct vmmem_update *update)
{
	struct vmmem_listener_list dead = TAILQ_HEAD_INITIALIZER(dead);
	struct vmmem_space *space = update->space;
	uint64_t horizon;
	int rc;

	rc = vmmem_steps_settle(&space->steps);
	if (rc != 0 || space->steps.map == space->view.current)
		return rc;
	rc = vmmem_space_lock_telling(space);
	if (rc != 0)
		return rc;
	rc = publish(space, space->steps.map);
	vmmem_space_stop_telling(space, &dead);
	vmmem_update_close(update);
	/*
	 * Outside of both locks: a callback of an owner may change the space.
	 */
	vmmem_listeners_bury(&dead);
	if (rc != 0)
		return rc;
	/*
	 * A map that cannot be dropped now, because a reader sees it or there
	 * was no barrier, is dropped by a later writer.
	 */
	(void)vmmem_space_drop_retired(space, false, &horizon);
	return 0;
}

VMMEM_API int
vmmem_update_commit(struct vmmem_update *update)
{
	int rc, cancel;

	if (!vmmem_update_is_open(update))
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	rc = commit(update);
	vmmem_update_close(update);
	vmmem_cancel_back(cancel);
	return rc;
}

VMMEM_API int
vmmem_space_insert(struct vmmem_space *space, struct vmmem_region *region)
{
	struct vmmem_update update;
	int rc;

	if (space == NULL || region == NULL)
		return VMMEM_EARGUMENT;
	rc = vmmem_update_open(space, VMMEM_FOREVER, &update);
	if (rc != 0)
		return rc;
	rc = vmmem_update_insert(&update, region);
	if (rc == 0)
		rc = vmmem_update_commit(&update);
	vmmem_update_close(&update);
	return rc;
}

VMMEM_API int
vmmem_space_remove(struct vmmem_space *space, uint64_t gpa, uint64_t len,
		   struct vmmem_region **ret_region)
{
	struct vmmem_region *region = NULL;
	struct vmmem_update update;
	int rc;

	if (space == NULL)
		return VMMEM_EARGUMENT;
	rc = vmmem_update_open(space, VMMEM_FOREVER, &update);
	if (rc != 0)
		return rc;
	rc = vmmem_update_remove(&update, gpa, len,
				 ret_region != NULL ? &region : NULL);
	if (rc == 0)
		rc = vmmem_update_commit(&update);
	vmmem_update_close(&update);
	if (rc == 0 && ret_region != NULL)
		*ret_region = region;
	else
		vmmem_region_unref(region);
	return rc;
}

VMMEM_API int
vmmem_space_replace(struct vmmem_space *space, struct vmmem_collection *map)
{
	struct vmmem_update update;
	int rc;

	if (space == NULL || map == NULL)
		return VMMEM_EARGUMENT;
	rc = vmmem_update_open(space, VMMEM_FOREVER, &update);
	if (rc != 0)
		return rc;
	rc = vmmem_update_replace(&update, map);
	if (rc == 0)
		rc = vmmem_update_commit(&update);
	vmmem_update_close(&update);
	return rc;
}
