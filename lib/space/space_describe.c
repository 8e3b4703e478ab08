/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A space as text: its readers, its listeners, and the map. */
#include <vmmem/error.h>
#include <vmmem/space.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/api.h"
#include "base/cancel.h"
#include "space/listener_priv.h"
#include "space/space_priv.h"

/* Two names at their longest, and the numbers of a line. */
#define LINE_MAX_BYTES 320

/* The caller's buffer, and how many bytes there are in all. */
struct text {
	char *buf;
	size_t capacity;
	size_t len;
};

static const char *const kinds[] = {
	[VMMEM_REGION_ANONYMOUS] = "anonymous",
	[VMMEM_REGION_MEMFD] = "memfd",
	[VMMEM_REGION_FILE] = "file",
	[VMMEM_REGION_EXTERNAL] = "external",
	[VMMEM_REGION_ALIAS] = "alias",
	[VMMEM_REGION_CUSTOM] = "custom",
};

/* put() adds a line as far as it fits, and counts all of it. */
__attribute__((__format__(__printf__, 2, 3))) static void
put(struct text *text, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	size_t room = 0, len;
	va_list arguments;
	int printed;

	va_start(arguments, format);
	printed = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (printed < 0)
		return;
	len = (size_t)printed < sizeof(line) ? (size_t)printed :
					       sizeof(line) - 1;
	/* A byte is kept for the zero at the end. */
	if (text->len < text->capacity)
		room = text->capacity - text->len - 1;
	if (room != 0)
		memcpy(text->buf + text->len, line, len < room ? len : room);
	text->len += len;
}

/*
 * fair() copies a name to 'to', without bytes that end or disguise a line, and
 * returns 'to'.  No name is longer than that.
 */
static const char *
fair(const char *name, char to[VMMEM_REGION_NAME_MAX + 1])
{
	size_t i;

	if (name[0] == '\0')
		return "-";
	for (i = 0; i < VMMEM_REGION_NAME_MAX && name[i] != '\0'; i++)
		to[i] = name[i] > ' ' && name[i] < 0x7f ? name[i] : '?';
	to[i] = '\0';
	return to;
}
_Static_assert(VMMEM_SPACE_NAME_MAX <= VMMEM_REGION_NAME_MAX, "one buffer");

static void
put_region(struct text *text, const struct vmmem_region *region)
{
	const struct vmmem_region *target = vmmem_region_alias_target(region);
	const uint32_t protection = vmmem_region_protection(region);
	const uint32_t kind = vmmem_region_kind(region);
	char name[VMMEM_REGION_NAME_MAX + 1];

	put(text, "%016" PRIx64 "-%016" PRIx64 " %s %c%c%c 0x%" PRIx64 " %s",
	    vmmem_region_start(region), vmmem_region_last(region),
	    kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[kind] != NULL ?
		    kinds[kind] :
		    "other",
	    (protection & VMMEM_PROT_READ) != 0 ? 'r' : '-',
	    (protection & VMMEM_PROT_WRITE) != 0 ? 'w' : '-',
	    (protection & VMMEM_PROT_EXEC) != 0 ? 'x' : '-',
	    vmmem_region_last(region) - vmmem_region_start(region) + 1,
	    fair(vmmem_region_name(region), name));
	if (target != NULL)
		put(text, " of %s+0x%" PRIx64,
		    fair(vmmem_region_name(target), name),
		    vmmem_region_alias_offset(region));
	put(text, "\n");
}

/* put_readers() is called under the lock of the readers. */
static void
put_readers(struct text *text, const struct vmmem_epoch *epoch)
{
	const struct vmmem_epoch_reader *reader;
	char name[VMMEM_REGION_NAME_MAX + 1];
	uint64_t section;

	LIST_FOREACH(reader, &epoch->readers, link) {
		/* Relaxed: its thread may change it at once. */
		section = __atomic_load_n(&reader->hot.section,
					  __ATOMIC_RELAXED);
		if (section == 0 || section == VMMEM_SECTION_FENCED)
			put(text, "reader %s outside\n",
			    fair(reader->name, name));
		else
			put(text, "reader %s in %" PRIu64 "\n",
			    fair(reader->name, name), section);
	}
}

/* put_space() is called under the lock of the telling thread. */
static void
put_space(struct text *text, struct vmmem_space *space)
{
	struct vmmem_collection *map = space->view.current;
	const struct vmmem_listener *listener;
	char name[VMMEM_REGION_NAME_MAX + 1];
	size_t i, count = vmmem_collection_count(map);

	put(text, "space %s generation %" PRIu64 " retired %zu\n",
	    fair(space->name, name), vmmem_space_generation(space),
	    vmmem_space_retired(space));
	pthread_mutex_lock(&space->epoch.lock);
	put_readers(text, &space->epoch);
	pthread_mutex_unlock(&space->epoch.lock);
	for (listener = vmmem_listeners_next(space, NULL); listener != NULL;
	     listener = vmmem_listeners_next(space, listener))
		put(text, "listener %s priority %" PRId32 "\n",
		    fair(vmmem_listener_name(listener), name),
		    vmmem_listener_priority(listener));
	for (i = 0; i < count; i++)
		put_region(text, vmmem_collection_region(map, i));
}

VMMEM_API int
vmmem_space_describe(struct vmmem_space *space, char *buf, size_t capacity,
		     size_t *ret_len)
{
	struct text text = { .buf = buf, .capacity = capacity };
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
	if (capacity != 0)
		buf[text.len < capacity ? text.len : capacity - 1] = '\0';
	if (ret_len != NULL)
		*ret_len = text.len;
	return text.len < capacity ? 0 : VMMEM_ENOROOM;
}
