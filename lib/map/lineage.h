/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Lineages hold the regions of collections that were made one of the other.  If
 * each collection held its own, a change of one region of thousands would count
 * references to all the others, and take as long as that.
 */
#ifndef LINEAGE_H
#define LINEAGE_H

#include <stdbool.h>
#include <stddef.h>

struct vmmem_collection;
struct vmmem_region;

/*
 * vmmem_lineage_found() makes 'collection' the first of a lineage, which takes
 * a reference to each of its regions.  Returns 0 or -errno.
 */
int vmmem_lineage_found(struct vmmem_collection *collection);

/*
 * vmmem_lineage_join() makes 'collection', which says in which regions it
 * differs from 'older', the newest of the lineage of 'older', and takes a
 * reference to each inserted region.  The caller holds these.  Returns false
 * if 'older' is not the newest.
 */
bool vmmem_lineage_join(struct vmmem_collection *collection,
			struct vmmem_collection *older);

/*
 * vmmem_lineage_leave() takes a collection that nobody refers to out of its
 * lineage.  It returns how many of the regions in its array it leaves to the
 * caller to unref, the first ones; no lock is held then.
 */
size_t vmmem_lineage_leave(struct vmmem_collection *collection);

/*
 * vmmem_lineage_before_fork() keeps all other threads out of the functions
 * above, and of those of file.h and replaced.h, until
 * vmmem_lineage_after_fork() by the same thread, in the parent and in the
 * child.  That does nothing, and returns false, if the thread has not called
 * the first.
 */
void vmmem_lineage_before_fork(void);
bool vmmem_lineage_after_fork(void);

#endif
