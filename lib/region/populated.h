/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Which parts of a region's memory have pages. */
#ifndef POPULATED_H
#define POPULATED_H

#include <stdbool.h>
#include <stdint.h>

#include "region/file_data.h"
#include "region/pagemap.h"
#include "region/region_priv.h"

/* A walk over one region that is no alias. */
struct vmmem_populated {
	const struct vmmem_region *owner;
	bool tables; /* page tables tell, or some of it */
	bool file;   /* the file's holes tell, or some of it */
	bool hidden; /* large pages may be there that only others have mapped */
	struct vmmem_pagemap pagemap;
	struct vmmem_file_data data;
};

/*
 * vmmem_populated_open() begins a walk.  If the system does not tell, the walk
 * finds all bytes.  Returns 0 or -errno.
 */
int vmmem_populated_open(const struct vmmem_region *owner,
			 struct vmmem_populated *ret_walk);
void vmmem_populated_close(const struct vmmem_populated *walk);

/*
 * vmmem_populated_next() finds the first bytes of the region that have pages,
 * in [from, end) of it.  Both results are 'end' if there are none.  The run
 * need not be the longest: more may follow at once.  Returns 0 or -errno.
 */
int vmmem_populated_next(const struct vmmem_populated *walk, uint64_t from,
			 uint64_t end, uint64_t *ret_from, uint64_t *ret_end);

#endif
