/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Changing the map of a space, in steps that are one change. */
#include <vmmem/error.h>
#include <vmmem/update.h>

#include <errno.h>
#include <stdlib.h>

#include "base/api.h"
#include "base/cancel.h"
#include "space/listener_priv.h"
#include "space/space_priv.h"

/* There is one update at a time, so the space has it and nobody allocates. */

VMMEM_API int
vmmem_update_begin(struct vmmem_space *space, struct vmmem_update **ret_update)
{
	int rc;

	if (space == NULL || ret_update == NULL)
		return VMMEM_EARGUMENT;
	rc = vmmem_space_lock_writers(space);
	if (rc != 0)
		return rc;
	space->update.space = vmmem_space_ref(space);
	/* Only writers store it: no atomic load is needed. */
	vmmem_steps_begin(&space->update.steps, space->view.current);
	*ret_update = &space->update;
	return 0;
}

VMMEM_API struct vmmem_collection *
vmmem_update_collection(struct vmmem_update *update)
{
	if (update == NULL || vmmem_steps_settle(&update->steps) != 0)
		return NULL;
	return update->steps.map;
}

VMMEM_API int
vmmem_update_insert(struct vmmem_update *update, struct vmmem_region *region)
{
	int rc, cancel;

	if (update == NULL || region == NULL)
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	rc = vmmem_steps_insert(&update->steps, region);
	vmmem_cancel_back(cancel);
	return rc;
}

VMMEM_API int
vmmem_update_remove(struct vmmem_update *update, uint64_t gpa, uint64_t len,
		    struct vmmem_region **ret_region)
{
	int rc, cancel;

	if (update == NULL)
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	rc = vmmem_steps_remove(&update->steps, gpa, len, ret_region);
	vmmem_cancel_back(cancel);
	return rc;
}

VMMEM_API int
vmmem_update_replace(struct vmmem_update *update, struct vmmem_collection *map)
{
	struct vmmem_steps steps;
	int cancel;

	if (update == NULL || map == NULL)
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	vmmem_steps_end(&update->steps, &steps);
	vmmem_steps_begin(&update->steps, map);
	/* Last, as 'map' may be the very one that is let go. */
	vmmem_steps_free(&steps);
	vmmem_cancel_back(cancel);
	return 0;
}

/* end() ends an update; 'rc' is passed through. */
static int
end(struct vmmem_update *update, int rc)
{
	struct vmmem_space *space = update->space;
	struct vmmem_steps steps;

	vmmem_steps_end(&update->steps, &steps);
	update->space = NULL;
	vmmem_space_unlock_writers(space);
	/* Outside of the lock: it may unmap what the update did not keep. */
	vmmem_steps_free(&steps);
	vmmem_space_unref(space);
	return rc;
}

static int
commit(struct vmmem_update *update)
{
	struct vmmem_collection *old_map, *new_map;
	struct vmmem_retired *node;
	struct vmmem_space *space;
	uint64_t horizon;
	int rc;

	space = update->space;
	old_map = space->view.current;
	rc = vmmem_steps_settle(&update->steps);
	if (rc != 0)
		return end(update, rc);
	new_map = update->steps.map;
	if (new_map == old_map)
		return end(update, 0);
	/* Now, as nothing may fail once the listeners agree. */
	node = malloc(sizeof(*node));
	if (node == NULL)
		return end(update, -ENOMEM);
	rc = vmmem_listeners_tell(&space->listeners, old_map, new_map);
	if (rc != 0) {
		free(node);
		return end(update, rc);
	}
	vmmem_space_publish(space, new_map, node);
	vmmem_listeners_tell_published(&space->listeners, old_map, new_map);
	vmmem_space_ref(space);
	end(update, 0);
	/*
	 * What cannot be dropped now, because somebody sees it or there was no
	 * barrier, is dropped by a later writer.
	 */
	(void)vmmem_space_drop_retired(space, false, &horizon);
	vmmem_space_unref(space);
	return 0;
}

VMMEM_API int
vmmem_update_commit(struct vmmem_update *update)
{
	int rc, cancel;

	if (update == NULL)
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	rc = commit(update);
	vmmem_cancel_back(cancel);
	return rc;
}

VMMEM_API struct vmmem_update *
vmmem_update_abort(struct vmmem_update *update)
{
	int cancel;

	if (update == NULL)
		return NULL;
	cancel = vmmem_cancel_off();
	end(update, 0);
	vmmem_cancel_back(cancel);
	return NULL;
}
