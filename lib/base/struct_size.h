/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Structs of callers that may be older or newer than the library.  Their first
 * member is their size.
 */
#ifndef STRUCT_SIZE_H
#define STRUCT_SIZE_H

#include <stddef.h>
#include <string.h>

#include <vmmem/error.h>

#include "base/released_sizes.h"

/* No struct ever gets there: a number above is garbage and no size. */
#define VMMEM_STRUCT_SIZE_MAX 4096

/*
 * vmmem_struct_check() says whether the caller's struct has a likely size: not
 * below that of its first version, 'first_size'.
 */
static inline int
vmmem_struct_check(const void *caller, size_t first_size)
{
	size_t size;

	memcpy(&size, caller, sizeof(size));
	return size < first_size || size > VMMEM_STRUCT_SIZE_MAX ?
		       VMMEM_ESTRUCTSIZE :
		       0;
}

/*
 * vmmem_struct_take() copies the caller's struct to 'known', which is
 * 'known_size' bytes, of which its first version had 'first_size': a literal of
 * released_sizes.h.  What an older caller does not have becomes zero; what a
 * newer one has must be zero.
 */
static inline int
vmmem_struct_take(const void *caller, void *known, size_t known_size,
		  size_t first_size)
{
	const unsigned char *bytes = caller;
	size_t size, i;

	if (vmmem_struct_check(caller, first_size) != 0)
		return VMMEM_ESTRUCTSIZE;
	memcpy(&size, caller, sizeof(size));
	for (i = known_size; i < size; i++) {
		if (bytes[i] != 0)
			return VMMEM_ESTRUCTNEWER;
	}
	memset(known, 0, known_size);
	memcpy(known, caller, size < known_size ? size : known_size);
	return 0;
}

/*
 * vmmem_struct_give() is the way back: it fills in the caller's struct, except
 * the size that stands in it, from 'known'.  An older caller gets what it has
 * room for; what a newer one has beyond that becomes zero.
 */
static inline int
vmmem_struct_give(const void *known, size_t known_size, size_t first_size,
		  void *caller)
{
	unsigned char *bytes = caller;
	const unsigned char *from = known;
	size_t size, count;

	if (vmmem_struct_check(caller, first_size) != 0)
		return VMMEM_ESTRUCTSIZE;
	memcpy(&size, caller, sizeof(size));
	count = size < known_size ? size : known_size;
	memcpy(bytes + sizeof(size), from + sizeof(size), count - sizeof(size));
	memset(bytes + count, 0, size - count);
	return 0;
}

#endif
