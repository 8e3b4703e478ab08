/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A map as text. */
#include <vmmem/error.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/api.h"
#include "map/collection_priv.h"
#include "map/translate.h"

/* The longest line: two names, and all numbers at their longest. */
#define LINE_MAX_BYTES (2 * VMMEM_REGION_NAME_MAX + 160)

/* The caller's buffer, and how many bytes there are in all. */
struct text {
	char *buf;
	size_t capacity;
	size_t len;
};

static const char *
kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[VMMEM_REGION_ANONYMOUS] = "anonymous",
		[VMMEM_REGION_MEMFD] = "memfd",
		[VMMEM_REGION_FILE] = "file",
		[VMMEM_REGION_EXTERNAL] = "external",
		[VMMEM_REGION_ALIAS] = "alias",
		[VMMEM_REGION_CUSTOM] = "custom",
	};

	if (kind >= sizeof(names) / sizeof(names[0]) || names[kind] == NULL)
		return "other";
	return names[kind];
}

/* copy_name() copies a name, of which no byte may end or disguise a line. */
static const char *
copy_name(const struct vmmem_region *region, char *to)
{
	size_t i;

	if (region->name[0] == '\0')
		return "-";
	for (i = 0; region->name[i] != '\0'; i++)
		to[i] = region->name[i] > ' ' && region->name[i] < 0x7f ?
				region->name[i] :
				'?';
	to[i] = '\0';
	return to;
}

/* put() adds what fits, and counts all. */
static void
put(struct text *text, const char *line, size_t len)
{
	size_t room = 0;

	/* A byte is kept for the zero at the end. */
	if (text->len < text->capacity)
		room = text->capacity - text->len - 1;
	if (room != 0)
		memcpy(text->buf + text->len, line, len < room ? len : room);
	text->len += len;
}

static void
put_region(struct text *text, const struct vmmem_region *region)
{
	char line[LINE_MAX_BYTES], name[VMMEM_REGION_NAME_MAX + 1];
	int len;

	len = snprintf(line, sizeof(line),
		       "%016" PRIx64 "-%016" PRIx64 " %s %c%c%c 0x%" PRIx64
		       " %s",
		       region->start, region->last, kind_name(region->kind),
		       (region->protection & VMMEM_PROT_READ) != 0 ? 'r' : '-',
		       (region->protection & VMMEM_PROT_WRITE) != 0 ? 'w' :
								      '-',
		       (region->protection & VMMEM_PROT_EXEC) != 0 ? 'x' : '-',
		       region->entry.span + 1, copy_name(region, name));
	put(text, line, (size_t)len);
	if (region->target != NULL) {
		len = snprintf(line, sizeof(line), " of %s+0x%" PRIx64,
			       copy_name(region->target, name),
			       region->target_offset);
		put(text, line, (size_t)len);
	}
	put(text, "\n", 1);
}

VMMEM_API int
vmmem_collection_describe(const struct vmmem_collection *collection, char *buf,
			  size_t capacity, size_t *ret_len)
{
	struct text text = { .buf = buf, .capacity = capacity };
	size_t i;

	if (collection == NULL || (buf == NULL && capacity != 0))
		return VMMEM_EARGUMENT;
	collection = vmmem_physical(collection);
	for (i = 0; i < collection->count; i++)
		put_region(&text, collection->regions[i]);
	if (capacity != 0)
		buf[text.len < capacity ? text.len : capacity - 1] = '\0';
	if (ret_len != NULL)
		*ret_len = text.len;
	return text.len < capacity ? 0 : VMMEM_ENOROOM;
}
