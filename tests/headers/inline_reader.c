/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The sections of a reader beside their exported twins, in the common subset of
 * C and C++; see inline_use.c.
 */
#include <stdio.h>

#include <vmmem/inline.h>
#include <vmmem/vmmem.h>

#ifdef CALLS_ONLY
#define TWIN(function, pointer) function
#define ASSIGN(pointer, function) ((void)0)
#else
/* A pointer that the compiler must load, and so cannot see through. */
#define TWIN(function, pointer) pointer
#define ASSIGN(pointer, function) (pointer = (function))
#endif

extern int reader_failures;
extern int reader_twins(struct vmmem_reader *reader);

int reader_failures;

static void
same(const char *name, int good)
{
	if (good)
		return;
	printf("FAIL: %s() and its exported twin differ\n", name);
	reader_failures++;
}

int
reader_twins(struct vmmem_reader *reader)
{
	struct vmmem_collection *(*volatile take)(struct vmmem_reader *) = NULL;
	void (*volatile release)(struct vmmem_reader *) = NULL;
	uint64_t (*volatile generation)(const struct vmmem_reader *) = NULL;
	struct vmmem_collection *map;

	(void)take;
	(void)release;
	(void)generation;
	ASSIGN(take, vmmem_reader_enter);
	ASSIGN(release, vmmem_reader_leave);
	ASSIGN(generation, vmmem_reader_generation);

	same("vmmem_reader_generation",
	     vmmem_reader_generation(reader) ==
		     TWIN(vmmem_reader_generation, generation)(reader));
	map = vmmem_reader_enter(reader);
	same("vmmem_reader_generation",
	     vmmem_reader_generation(reader) ==
		     TWIN(vmmem_reader_generation, generation)(reader));
	/* Within, and then for itself. */
	same("vmmem_reader_enter",
	     TWIN(vmmem_reader_enter, take)(reader) == map);
	vmmem_reader_leave(reader);
	TWIN(vmmem_reader_leave, release)(reader);
	same("vmmem_reader_enter",
	     TWIN(vmmem_reader_enter, take)(reader) == map);
	vmmem_reader_leave(reader);
	same("vmmem_reader_leave", vmmem_reader_generation(reader) == 0);
	return reader_failures;
}

#ifndef CALLS_ONLY
int
main(void)
{
	struct vmmem_collection *map = NULL;
	struct vmmem_reader *reader = NULL;
	struct vmmem_space *space = NULL;

	if (vmmem_collection_new_empty(&map) != 0 ||
	    vmmem_space_new(map, NULL, &space) != 0 ||
	    vmmem_reader_new(space, NULL, &reader) != 0)
		return 2;
	(void)reader_twins(reader);
	(void)reader_twins(NULL);
	vmmem_reader_free(reader);
	vmmem_space_unref(space);
	vmmem_collection_unref(map);
	return reader_failures != 0;
}
#endif
