/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Marking the written bytes of a region, by their offset in it. */
#ifndef MARK_H
#define MARK_H

#include <stdint.h>

#include "dirty/logging.h"
#include "region/region_priv.h"

/*
 * vmmem_mark_entry() marks [offset, offset + len) of an entry, not empty.
 * Returns 0, so that it can be the last call.
 */
int vmmem_mark_entry(const struct vmmem_region_entry *entry, uint64_t offset,
		     uint64_t len);

/* vmmem_mark_written() follows each write: it marks if logging is on. */
static inline void
vmmem_mark_written(const struct vmmem_region_entry *entry, uint64_t offset,
		   uint64_t len)
{
	if (__builtin_expect(vmmem_logging_wants(entry->logging), 0))
		vmmem_mark_entry(entry, offset, len);
}

/*
 * vmmem_mark_written_all() is that, as the last thing of a function: returns 0.
 */
static inline int
vmmem_mark_written_all(const struct vmmem_region_entry *entry, uint64_t offset,
		       uint64_t len)
{
	if (__builtin_expect(vmmem_logging_wants(entry->logging), 0))
		return vmmem_mark_entry(entry, offset, len);
	return 0;
}

#endif
