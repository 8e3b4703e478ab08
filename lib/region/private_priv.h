/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Which bytes of a region are private, page by page. */
#ifndef PRIVATE_PRIV_H
#define PRIVATE_PRIV_H

#include <stdbool.h>

#include "base/api.h"
#include "region/region_priv.h"

/* The guest_memfd of a region, and the state of each page; see private.c. */
struct vmmem_private;

/*
 * vmmem_private_make() gives a region that is half made the guest_memfd of the
 * settings, if they have one.  Returns 0, or what building returns.
 */
int vmmem_private_make(struct vmmem_region *region,
		       struct vmmem_region_settings *settings);

/* vmmem_private_free() is for a region that goes.  NULL is a no-op. */
void vmmem_private_free(struct vmmem_private *state);

/*
 * vmmem_private_shared() is how many of the bytes [offset, offset + len) of a
 * region, from the first one on, are shared: all of them where there is no
 * state.  'len' is not 0, and the range lies within the region.
 */
uint64_t vmmem_private_shared(const struct vmmem_region *region,
			      uint64_t offset, uint64_t len);

/* vmmem_private_refuses() is VMMEM_EPRIVATE if one of them is private, or 0. */
int vmmem_private_refuses(const struct vmmem_region *region, uint64_t offset,
			  uint64_t len);

/*
 * vmmem_private_entry_shared() is vmmem_private_shared() of an entry: no more
 * than a look at it where there is a host address to be accessed without
 * asking.
 */
static inline uint64_t
vmmem_private_entry_shared(const struct vmmem_region_entry *entry,
			   uint64_t offset, uint64_t len)
{
	return likely(entry->host != NULL) ?
		       len :
		       vmmem_private_shared(vmmem_region_of(entry), offset,
					    len);
}

/*
 * vmmem_region_entry_host() is where the bytes of an entry are, shared ones
 * where there is private state; NULL if only callbacks reach them.  It stands
 * in the entry's own cache line.
 */
static inline unsigned char *
vmmem_region_entry_host(const struct vmmem_region_entry *entry)
{
	return vmmem_region_of(entry)->host;
}

/*
 * vmmem_private_words() is how many words vmmem_private_save() fills for
 * [offset, offset + len), and vmmem_private_restore() takes back.
 */
size_t vmmem_private_words(const struct vmmem_region *region, uint64_t offset,
			   uint64_t len);
void vmmem_private_save(const struct vmmem_region *region, uint64_t offset,
			uint64_t len, uint64_t *words);
void vmmem_private_restore(struct vmmem_region *region, uint64_t offset,
			   uint64_t len, const uint64_t *words);

/*
 * vmmem_private_check() tells whether [offset, offset + len) of a region, not
 * empty, can be converted: 0 or what vmmem_region_set_private() returns.
 */
int vmmem_private_check(const struct vmmem_region *region, uint64_t offset,
			uint64_t len);

/* vmmem_private_put() sets the state of a range that was checked. */
void vmmem_private_put(struct vmmem_region *region, uint64_t offset,
		       uint64_t len, bool is_private);

/*
 * vmmem_private_drop() gives back what the guest_memfd has of a range that was
 * checked.  Returns 0, VMMEM_ENODISCARD, or -errno of fallocate(2).
 */
int vmmem_private_drop(const struct vmmem_region *region, uint64_t offset,
		       uint64_t len);

#endif
