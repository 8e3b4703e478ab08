/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Memory of zeros that begins with a cache line. */
#ifndef ZALLOC_H
#define ZALLOC_H

#include <stdlib.h>
#include <string.h>

#include "base/api.h"

/* vmmem_zalloc() returns 'len' bytes for free(3), or NULL: there are none. */
static inline void *
vmmem_zalloc(size_t len)
{
	void *memory;

	if (posix_memalign(&memory, VMMEM_CACHE_LINE, len) != 0)
		return NULL;
	return memset(memory, 0, len);
}

#endif
