/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/harvester.h - taking what was dirtied, to send or save or draw it.
 *
 * Any number of harvesters work on one bitmap: migration, a display, a
 * snapshot.  Each sees every write at least once after it was made and after
 * its own last harvest, whatever the others take.  While a bitmap has a
 * harvester, logging is on.
 *
 * A harvest goes: take; copy the pages that were taken; and if some could not
 * be sent, put them back.  A page that is written while it is copied is marked
 * again and comes with the next harvest.  When writers rest, one more harvest
 * has all that is left.
 *
 * A harvester belongs to one thread at a time; different harvesters of one
 * bitmap may work at once.
 *
 * Since: 0.1, all of it.
 */
#ifndef VMMEM_HARVESTER_H
#define VMMEM_HARVESTER_H

#include <vmmem/base.h>
#include <vmmem/bitmap.h>

VMMEM_BEGIN_DECLS

struct vmmem_harvester;

/*
 * vmmem_harvester_new() makes a harvester of 'bitmap' and switches logging on,
 * as vmmem_bitmap_start() says.  It sees every mark made from now on; marks
 * that nobody took yet may come with its first harvest.  It holds a reference
 * to the bitmap.  The caller frees it.
 *
 * Returns 0, or
 *   VMMEM_EINVAL  'bitmap' or 'ret_harvester' is NULL
 *   -errno        what mmap(2) or membarrier(2) said; -ENOMEM also from the
 *                 allocator
 */
VMMEM_NODISCARD int vmmem_harvester_new(struct vmmem_bitmap *bitmap,
					struct vmmem_harvester **ret_harvester);

/*
 * vmmem_harvester_free() frees a harvester and returns NULL.  Marks that it
 * has not taken are forgotten for it, not for others.  With a bitmap's last
 * harvester logging stops, unless it was started for itself.  NULL is a no-op.
 */
struct vmmem_harvester *
vmmem_harvester_free(struct vmmem_harvester *harvester);

/*
 * vmmem_harvester_take() takes all marks since the last take, with what was
 * put back, and stores how many pages these are; 'ret_pages' may be NULL.
 * They are found in vmmem_harvester_taken(), in place of the last harvest.
 * Whoever reads these pages after the return sees at least the bytes whose
 * marks were taken.
 *
 * Costs in proportion to what is marked, times the number of harvesters.
 *
 * Returns 0, or
 *   VMMEM_EINVAL  'harvester' is NULL
 *   -errno        what membarrier(2) said; no mark is lost, the last harvest
 *                 is as it was, and the call can be made again
 */
VMMEM_NODISCARD int vmmem_harvester_take(struct vmmem_harvester *harvester,
					 uint64_t *ret_pages);

/*
 * vmmem_harvester_taken() returns the pages of the last harvest as a bitmap,
 * to walk with vmmem_bitmap_next() or to export.  It is the harvester's: good
 * until it is freed, changed by the next take.  NULL for NULL.
 */
const struct vmmem_bitmap *
vmmem_harvester_taken(const struct vmmem_harvester *harvester);

/*
 * vmmem_harvester_put_back() gives the taken pages that hold a byte of
 * [offset, offset + len) back: they are no longer taken, and come again with
 * this harvester's next harvest.  Other harvesters are not touched.
 *
 * Returns 0, or
 *   VMMEM_EINVAL  'harvester' is NULL
 */
int vmmem_harvester_put_back(struct vmmem_harvester *harvester,
			     uint64_t offset, uint64_t len);

VMMEM_END_DECLS

#endif
