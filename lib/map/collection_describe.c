/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A collection as text, and the text that a space adds to. */
#include <vmmem/error.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/api.h"
#include "map/collection_priv.h"
#include "map/describe.h"
#include "map/translate.h"

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

const char *
vmmem_describe_name(const char *name, char to[VMMEM_REGION_NAME_MAX + 1])
{
	size_t i;

	if (name == NULL || name[0] == '\0')
		return "-";
	for (i = 0; i < VMMEM_REGION_NAME_MAX && name[i] != '\0'; i++)
		to[i] = name[i] > ' ' && name[i] < 0x7f ? name[i] : '?';
	to[i] = '\0';
	return to;
}

void
vmmem_describe_put(struct vmmem_text *text, const char *format, ...)
{
	char line[VMMEM_TEXT_LINE];
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

static void
put_region(struct vmmem_text *text, const struct vmmem_region *region)
{
	char name[VMMEM_REGION_NAME_MAX + 1];

	vmmem_describe_put(
		text,
		"%016" PRIx64 "-%016" PRIx64 " %s %c%c%c 0x%" PRIx64 " %s",
		region->start, region->last, kind_name(region->kind),
		(region->protection & VMMEM_PROT_READ) != 0 ? 'r' : '-',
		(region->protection & VMMEM_PROT_WRITE) != 0 ? 'w' : '-',
		(region->protection & VMMEM_PROT_EXEC) != 0 ? 'x' : '-',
		region->entry.span + 1,
		vmmem_describe_name(region->name, name));
	if (region->target != NULL)
		vmmem_describe_put(text, " of %s+0x%" PRIx64,
				   vmmem_describe_name(region->target->name,
						       name),
				   region->target_offset);
	vmmem_describe_put(text, "\n");
}

void
vmmem_describe_map(struct vmmem_text *text,
		   const struct vmmem_collection *collection)
{
	size_t i;

	collection = vmmem_translate_physical(collection);
	for (i = 0; i < collection->count; i++)
		put_region(text, collection->regions[i]);
}

int
vmmem_describe_end(struct vmmem_text *text, size_t *ret_len)
{
	if (text->capacity != 0)
		text->buf[text->len < text->capacity ? text->len :
						       text->capacity - 1] =
			'\0';
	if (ret_len != NULL)
		*ret_len = text->len;
	return text->len < text->capacity ? 0 : VMMEM_ENOROOM;
}

VMMEM_API int
vmmem_collection_describe(const struct vmmem_collection *collection, char *buf,
			  size_t capacity, size_t *ret_len)
{
	struct vmmem_text text = { .buf = buf, .capacity = capacity };

	if (collection == NULL || (buf == NULL && capacity != 0))
		return VMMEM_EARGUMENT;
	vmmem_describe_map(&text, collection);
	return vmmem_describe_end(&text, ret_len);
}
