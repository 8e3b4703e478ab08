/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Text in the caller's buffer: what fits is there, and all is counted. */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include <stddef.h>

#include <vmmem/collection.h>
#include <vmmem/region.h>

/* The longest line: two names, and all numbers at their longest. */
#define VMMEM_TEXT_LINE (2 * VMMEM_REGION_NAME_MAX + 160)

struct vmmem_text {
	char *buf;
	size_t capacity;
	size_t len; /* of all, whether it fits or not */
};

/* vmmem_describe_put() adds text of at most VMMEM_TEXT_LINE bytes. */
__attribute__((__format__(__printf__, 2, 3))) void
vmmem_describe_put(struct vmmem_text *text, const char *format, ...);

/*
 * vmmem_describe_name() copies a name to 'to', without bytes that end or
 * disguise a line, and returns 'to'; "-" for no name.  'name' may be NULL.
 */
const char *vmmem_describe_name(const char *name,
				char to[VMMEM_REGION_NAME_MAX + 1]);

/* vmmem_describe_map() adds a line for each region of a collection. */
void vmmem_describe_map(struct vmmem_text *text,
			const struct vmmem_collection *collection);

/*
 * vmmem_describe_end() ends the text with a zero byte.  Returns 0, or
 * VMMEM_ENOROOM if some of it did not fit; 'ret_len', which may be NULL, gets
 * the length of all.
 */
int vmmem_describe_end(struct vmmem_text *text, size_t *ret_len);

#endif
