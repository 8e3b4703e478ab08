/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Sections of readers, which hold the map of a space in place. */
#include <vmmem/error.h>
#include <vmmem/reader.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/api.h"
#include "space/space_priv.h"
#include "base/struct_size.h"

/* The size of the options in version 0.9. */
#define OPTIONS_SIZE_0_9 16

/* The public part is where the whole begins. */
_Static_assert(offsetof(struct vmmem_epoch_reader, hot) == 0, "a prefix");

VMMEM_API int
vmmem_reader_new(struct vmmem_space *space,
		 const struct vmmem_reader_options *options,
		 struct vmmem_reader **ret_reader)
{
	struct vmmem_reader_options known = { 0 };
	struct vmmem_epoch_reader *reader;
	void *memory;
	int rc = 0;

	if (space == NULL || ret_reader == NULL)
		return VMMEM_EARGUMENT;
	if (options != NULL)
		rc = vmmem_struct_take(options, &known, sizeof(known),
				       OPTIONS_SIZE_0_9);
	if (rc != 0)
		return rc;
	if (posix_memalign(&memory, VMMEM_CACHE_LINE, sizeof(*reader)) != 0)
		return -ENOMEM;
	reader = memory;
	memset(reader, 0, sizeof(*reader));
	rc = vmmem_space_name_take(known.name, reader->name);
	if (rc != 0) {
		free(reader);
		return rc;
	}
	reader->hot.view = &space->view;
	reader->owner = vmmem_space_ref(space);
	vmmem_epoch_add(&space->epoch, reader);
	*ret_reader = &reader->hot;
	return 0;
}

VMMEM_API struct vmmem_reader *
vmmem_reader_free(struct vmmem_reader *reader)
{
	struct vmmem_epoch_reader *all = vmmem_epoch_reader_of(reader);
	struct vmmem_space *space;

	if (reader == NULL)
		return NULL;
	space = all->owner;
	/* The lock orders what a section saw before what writers drop. */
	vmmem_epoch_remove(&space->epoch, all);
	free(all);
	vmmem_space_unref(space);
	return NULL;
}

/* whole() is all of a reader, to be looked at. */
static const struct vmmem_epoch_reader *
whole(const struct vmmem_reader *reader)
{
	const void *memory = reader;

	return memory;
}

VMMEM_API struct vmmem_space *
vmmem_reader_space(const struct vmmem_reader *reader)
{
	return reader != NULL ? whole(reader)->owner : NULL;
}

VMMEM_API const char *
vmmem_reader_name(const struct vmmem_reader *reader)
{
	return reader != NULL ? whole(reader)->name : NULL;
}

VMMEM_API struct vmmem_collection *
vmmem_reader_enter_slow(struct vmmem_reader *reader)
{
	uint64_t generation;

	if (reader == NULL)
		return NULL;
	/* Only its own thread stores it: no other order is needed. */
	if (reader->section != 0 && reader->section != VMMEM_SECTION_FENCED) {
		vmmem_epoch_reader_of(reader)->depth++;
		/* Relaxed: a writer may add one, to be noticed some time. */
		__atomic_fetch_add(&reader->nested, 1, __ATOMIC_RELAXED);
		return reader->map;
	}
	/* What vmmem_reader_enter() does, with a barrier of its own. */
	__atomic_store_n(&reader->section, VMMEM_SECTION_ENTERING,
			 __ATOMIC_RELAXED);
	/* Pairs with the fence in vmmem_epoch_horizon(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	generation = __atomic_load_n(&reader->view->generation,
				     __ATOMIC_ACQUIRE);
	/* Acquire: the map is found whole, and no older than its number. */
	reader->map = __atomic_load_n(&reader->view->current, __ATOMIC_ACQUIRE);
	/* Release: what earlier sections saw comes before. */
	__atomic_store_n(&reader->section, generation, __ATOMIC_RELEASE);
	return reader->map;
}

VMMEM_API void
vmmem_reader_leave_slow(struct vmmem_reader *reader)
{
	struct vmmem_epoch_reader *all = vmmem_epoch_reader_of(reader);

	if (reader == NULL)
		return;
	if (all->depth != 0) {
		all->depth--;
		/* Relaxed: see vmmem_reader_enter_slow(). */
		__atomic_fetch_sub(&reader->nested, 1, __ATOMIC_RELAXED);
		return;
	}
	/* What else is counted leads one here that makes barriers. */
	vmmem_epoch_leave_fenced(all);
}
