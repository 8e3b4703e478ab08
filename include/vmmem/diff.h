/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/diff.h - which regions two maps do not have in common, one at a time.
 *
 * A listener (vmmem/listener.h) is told what changes by callbacks.  A program
 * in a language without callbacks for C, or one that looks only now and then,
 * keeps a reference to the map that it saw last, and compares:
 *
 *     new_map = vmmem_space_get(space);
 *     rc = vmmem_diff_new(old_map, new_map, &diff);
 *     while (rc == 0) {
 *             rc = vmmem_diff_next(diff, &region, &kind);
 *             if (rc != 0 || kind == VMMEM_DIFF_END)
 *                     break;
 *             ...
 *     }
 *     vmmem_diff_free(diff);
 *     vmmem_collection_unref(old_map);
 *     old_map = new_map;
 *
 * vmmem_space_generation() says at the cost of a load whether there is anything
 * new.  Unlike a listener, such a program is told after the change, and cannot
 * refuse it.  Memory of 'old_map' stays mapped as long as it has the reference.
 *
 * A diff is used by one thread at a time.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_DIFF_H
#define VMMEM_DIFF_H

#include <vmmem/base.h>
#include <vmmem/collection.h>

VMMEM_BEGIN_DECLS

struct vmmem_diff;

/* The kinds of a region in the difference of two maps. */
#define VMMEM_DIFF_END 0
#define VMMEM_DIFF_REMOVED 1
#define VMMEM_DIFF_ADDED 2

/*
 * vmmem_diff_new() compares 'old_map' with 'new_map', and takes a reference to
 * each.  A map that is NULL has no regions.  The caller frees the diff.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'ret_diff' is NULL
 *   -ENOMEM          from the allocator
 */
VMMEM_NODISCARD int vmmem_diff_new(struct vmmem_collection *old_map,
				   struct vmmem_collection *new_map,
				   struct vmmem_diff **ret_diff);

/* vmmem_diff_free() frees a diff and returns NULL.  NULL is a no-op. */
struct vmmem_diff *vmmem_diff_free(struct vmmem_diff *diff);

/*
 * vmmem_diff_next() goes to the next region that is in one of the maps alone,
 * and stores it in 'ret_region': first the removed regions, from the highest
 * address to the lowest, then the added ones, the other way, as listeners are
 * told.  The region is valid until the diff is freed; take a reference to keep
 * it.  A region is in both maps if it is the same object.
 *
 * 'ret_kind' gets VMMEM_DIFF_REMOVED if the region is only in the old map,
 * VMMEM_DIFF_ADDED if it is only in the new map, and VMMEM_DIFF_END if there is
 * no further region; then 'ret_region' gets NULL.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  a pointer is NULL
 */
VMMEM_NODISCARD int vmmem_diff_next(struct vmmem_diff *diff,
				    struct vmmem_region **ret_region,
				    uint32_t *ret_kind);

VMMEM_END_DECLS

#endif
