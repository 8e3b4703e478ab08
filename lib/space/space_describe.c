/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A space as text: its readers, its listeners, and the map. */
#include <vmmem/error.h>
#include <vmmem/space.h>

#include <inttypes.h>

#include "base/api.h"
#include "base/cancel.h"
#include "map/describe.h"
#include "space/listener_priv.h"
#include "space/space_priv.h"

_Static_assert(VMMEM_SPACE_NAME_MAX <= VMMEM_REGION_NAME_MAX, "one buffer");

/* put_readers() is called under the lock of the readers. */
static void
put_readers(struct vmmem_text *text, const struct vmmem_epoch *epoch)
{
	const struct vmmem_epoch_reader *reader;
	char name[VMMEM_REGION_NAME_MAX + 1];
	uint64_t section;

	LIST_FOREACH(reader, &epoch->readers, link) {
		/* Relaxed: its thread may change it at once. */
		section = __atomic_load_n(&reader->hot.section,
					  __ATOMIC_RELAXED);
		if (section == 0 || section == VMMEM_SECTION_FENCED)
			vmmem_describe_put(text, "reader %s outside\n",
					   vmmem_describe_name(reader->name,
							       name));
		else
			vmmem_describe_put(text, "reader %s in %" PRIu64 "\n",
					   vmmem_describe_name(reader->name,
							       name),
					   section);
	}
}

/* put_space() is called under the lock of the telling thread. */
static void
put_space(struct vmmem_text *text, struct vmmem_space *space)
{
	const struct vmmem_listener *listener;
	char name[VMMEM_REGION_NAME_MAX + 1];

	vmmem_describe_put(text,
			   "space %s generation %" PRIu64 " retired %zu\n",
			   vmmem_describe_name(space->name, name),
			   vmmem_space_generation(space),
			   vmmem_space_retired(space));
	pthread_mutex_lock(&space->epoch.lock);
	put_readers(text, &space->epoch);
	pthread_mutex_unlock(&space->epoch.lock);
	for (listener = vmmem_listeners_next(space, NULL); listener != NULL;
	     listener = vmmem_listeners_next(space, listener))
		vmmem_describe_put(text, "listener %s priority %" PRId32 "\n",
				   vmmem_describe_name(
					   vmmem_listener_name(listener), name),
				   vmmem_listener_priority(listener));
	vmmem_describe_map(text, space->view.current);
}

VMMEM_API int
vmmem_space_describe(struct vmmem_space *space, char *buf, size_t capacity,
		     size_t *ret_len)
{
	struct vmmem_text text = { .buf = buf, .capacity = capacity };
	int cancel, own;

	if (space == NULL || (buf == NULL && capacity != 0))
		return VMMEM_EARGUMENT;
	cancel = vmmem_cancel_off();
	/* In a callback this thread has the lock already. */
	own = vmmem_space_lock_telling(space);
	put_space(&text, space);
	if (own == 0)
		vmmem_space_unlock_telling(space);
	vmmem_cancel_back(cancel);
	return vmmem_describe_end(&text, ret_len);
}
