/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Readers: their sections hold the map of a space in place. */
#include "base/api.h"

/*
 * The definitions below take the place of the header's bodies, with the
 * visibility of this library, shared or static.
 */
#define VMMEM_INLINE extern __inline__ __attribute__((__gnu_inline__))

#include <vmmem/error.h>
#include <vmmem/reader.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "space/space_priv.h"
#include "base/released_sizes.h"
#include "base/struct_size.h"
#include "base/zalloc.h"

/* The whole begins with the public part. */
_Static_assert(offsetof(struct vmmem_epoch_reader, hot) == 0, "a prefix");

VMMEM_API int
vmmem_reader_new(struct vmmem_space *space,
		 const struct vmmem_reader_options *options,
		 struct vmmem_reader **ret_reader)
{
	struct vmmem_reader_options known = { 0 };
	struct vmmem_epoch_reader *reader;
	int rc = 0;

	if (space == NULL || ret_reader == NULL)
		return VMMEM_EARGUMENT;
	if (options != NULL)
		rc = vmmem_struct_take(options, &known, sizeof(known),
				       VMMEM_READER_OPTIONS_SIZE_0_9);
	if (rc != 0)
		return rc;
	reader = vmmem_zalloc(sizeof(*reader));
	if (reader == NULL)
		return -ENOMEM;
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
	/*
	 * The lock orders the section's accesses before the drops of writers.
	 */
	vmmem_epoch_remove(&space->epoch, all);
	free(all);
	vmmem_space_unref(space);
	return NULL;
}

/* whole() returns all of a reader, for reading. */
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

/* enter_slow() begins a section within one, or with a barrier of its own. */
static VMMEM_COLD struct vmmem_collection *
enter_slow(struct vmmem_reader *reader)
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
	/* As vmmem_reader_enter(), with a barrier of its own. */
	__atomic_store_n(&reader->section, VMMEM_SECTION_ENTERING,
			 __ATOMIC_RELAXED);
	/* Pairs with the fence in vmmem_epoch_horizon(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	generation = __atomic_load_n(&reader->view->generation,
				     __ATOMIC_ACQUIRE);
	/* Acquire: the map is found whole, and no older than its number. */
	reader->map = __atomic_load_n(&reader->view->current, __ATOMIC_ACQUIRE);
	/* Release: the accesses of earlier sections are before. */
	__atomic_store_n(&reader->section, generation, __ATOMIC_RELEASE);
	return reader->map;
}

/*
 * This is vmmem/inline.h's vmmem_reader_enter(), which a file that defines the
 * function cannot include.  docs/space.md says why it is right.
 */
VMMEM_API struct vmmem_collection *
vmmem_reader_enter(struct vmmem_reader *reader)
{
	const struct vmmem_reader_view *view;
	struct vmmem_collection *map;
	uint64_t generation;

	/* Only its own thread stores 'section': no order is needed here. */
	if (!likely(reader != NULL && reader->section == 0))
		return enter_slow(reader);
	view = reader->view;
	/*
	 * Relaxed, and no instruction for the fence, which only keeps the
	 * compiler from loading first.  The processor may; a writer makes every
	 * thread pass a barrier before it looks which are in a section.
	 */
	__atomic_store_n(&reader->section, VMMEM_SECTION_ENTERING,
			 __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* Acquire: the map loaded next is at least the one of this number. */
	generation = __atomic_load_n(&view->generation, __ATOMIC_ACQUIRE);
	/* Acquire: the map is found whole. */
	map = __atomic_load_n(&view->current, __ATOMIC_ACQUIRE);
	reader->map = map;
	/*
	 * Release: a writer that sees this section, and none before it, drops
	 * what earlier sections saw after they saw it.
	 */
	__atomic_store_n(&reader->section, generation, __ATOMIC_RELEASE);
	return map;
}

/* leave_slow() ends a section within one, or of a reader with barriers. */
static VMMEM_COLD void
leave_slow(struct vmmem_reader *reader)
{
	struct vmmem_epoch_reader *all = vmmem_epoch_reader_of(reader);

	if (reader == NULL)
		return;
	if (all->depth != 0) {
		all->depth--;
		/* Relaxed: see enter_slow(). */
		__atomic_fetch_sub(&reader->nested, 1, __ATOMIC_RELAXED);
		return;
	}
	/*
	 * The rest of the count is that of ask(): this reader makes barriers.
	 */
	vmmem_epoch_leave_fenced(all);
}

VMMEM_API void
vmmem_reader_leave(struct vmmem_reader *reader)
{
	/* Relaxed: a writer may ask for barriers by it, to be noticed later. */
	if (!likely(reader != NULL &&
		    __atomic_load_n(&reader->nested, __ATOMIC_RELAXED) == 0))
		leave_slow(reader);
	else
		/* Release: the accesses of the section are before its end. */
		__atomic_store_n(&reader->section, 0, __ATOMIC_RELEASE);
}

VMMEM_API uint64_t
vmmem_reader_generation(const struct vmmem_reader *reader)
{
	/* A reader that makes barriers shows it outside of sections. */
	return reader == NULL || reader->section == VMMEM_SECTION_FENCED ?
		       0 :
		       reader->section;
}

/*
 * The inline bodies call these functions, which have names of their own: a body
 * that called its own name would call itself.
 */
VMMEM_API struct vmmem_collection *
vmmem_inline_call_enter(struct vmmem_reader *reader)
{
	return vmmem_reader_enter(reader);
}

VMMEM_API void
vmmem_inline_call_leave(struct vmmem_reader *reader)
{
	vmmem_reader_leave(reader);
}

VMMEM_API uint64_t
vmmem_inline_call_generation(const struct vmmem_reader *reader)
{
	return vmmem_reader_generation(reader);
}
