/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/harvester.h - taking what was dirtied, to send or save or draw it.
 *
 * Any number of harvesters work on one bitmap: migration, a display, a
 * snapshot.  Each sees every write at least once after it was made and after
 * its own last harvest, whatever the others take.  While a bitmap has a
 * harvester, logging is on.
 *
 * A harvest goes: take; copy the pages that are taken; confirm those that have
 * arrived.  What is not confirmed stays taken, and is there after the next take
 * too: to forget a confirmation costs a page that is sent twice, and never one
 * that is lost.  A page that is written while it is copied is marked again and
 * comes with a later harvest.  When writers rest, one more harvest has all that
 * is left.
 *
 * A harvester belongs to one thread at a time; different harvesters of one
 * bitmap may work at once.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_HARVESTER_H
#define VMMEM_HARVESTER_H

#include <vmmem/base.h>
#include <vmmem/bitmap.h>

VMMEM_BEGIN_DECLS

struct vmmem_harvester;

/* Options of a harvester; NULL and zero are good for all of them. */
struct vmmem_harvester_options {
	/* sizeof(struct vmmem_harvester_options) */
	size_t size;

	/* A name, for people; copied.  NULL: no name. */
	const char *name;
};

/*
 * vmmem_harvester_new() makes a harvester of 'bitmap' and switches logging on,
 * as vmmem_bitmap_start_logging() says.  It sees every mark made from now on;
 * marks that nobody took yet may come with its first harvest.  It holds a
 * reference to the bitmap.  'options' may be NULL.  The caller frees it.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'bitmap' or 'ret_harvester' is NULL
 *   VMMEM_ESTRUCTSIZE   the size of 'options' is that of no version
 *   VMMEM_ESTRUCTNEWER  'options' has members set that this version does not
 *                       know
 *   -errno              what mmap(2) or membarrier(2) said; -ENOMEM also from
 *                       the allocator
 */
VMMEM_NODISCARD int
vmmem_harvester_new(struct vmmem_bitmap *bitmap,
		    const struct vmmem_harvester_options *options,
		    struct vmmem_harvester **ret_harvester);

/*
 * vmmem_harvester_free() frees a harvester and returns NULL.  Marks that it
 * has not taken, and pages that were not confirmed, are forgotten for it, not
 * for others.  With a bitmap's last harvester logging stops, unless it was
 * started for itself.  NULL is a no-op.
 */
struct vmmem_harvester *
vmmem_harvester_free(struct vmmem_harvester *harvester);

/*
 * vmmem_harvester_bitmap() returns the bitmap it was made of, borrowed; NULL
 * for NULL.
 */
struct vmmem_bitmap *
vmmem_harvester_bitmap(const struct vmmem_harvester *harvester);

/*
 * vmmem_harvester_name() returns the name it was made with, or NULL.  It is the
 * harvester's and lives as long.
 */
const char *vmmem_harvester_name(const struct vmmem_harvester *harvester);

/*
 * vmmem_harvester_take() takes all marks since the last take, and stores how
 * many pages are taken now, with those that were taken before and are not yet
 * confirmed; 'ret_pages' may be NULL.  They are found in
 * vmmem_harvester_taken().  A thread that reads these pages after the return
 * sees at least the bytes whose marks were taken.
 *
 * If a page that is still taken is marked once more, that mark is for a later
 * take: the page is then taken again after it was confirmed.  So it does not
 * matter whether a confirmation comes before or after the next take.
 *
 * Costs in proportion to what is marked, times the number of harvesters.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'harvester' is NULL
 *   -errno           what membarrier(2) said; no mark is lost, what is taken is
 *                    as it was, and the call can be made again
 */
VMMEM_NODISCARD int vmmem_harvester_take(struct vmmem_harvester *harvester,
					 uint64_t *ret_pages);

/*
 * vmmem_harvester_take_range() does so with the marks of pages that hold a byte
 * of [offset, offset + len), and leaves the others for later.  A part of the
 * range past the end is ignored.  What is marked anywhere in the bitmap is
 * moved on the way, once.
 *
 * Codes as for vmmem_harvester_take().
 */
VMMEM_NODISCARD int
vmmem_harvester_take_range(struct vmmem_harvester *harvester, uint64_t offset,
			   uint64_t len, uint64_t *ret_pages);

/*
 * vmmem_harvester_taken() returns the pages that are taken as a bitmap, to walk
 * with vmmem_bitmap_next() or to export.  It is the harvester's: good until it
 * is freed, changed by the next take and by a confirmation.  NULL for NULL.
 */
const struct vmmem_bitmap *
vmmem_harvester_taken(const struct vmmem_harvester *harvester);

/*
 * vmmem_harvester_confirm() says that what was copied of the taken pages that
 * lie wholly within [offset, offset + len) has arrived: they are no longer
 * taken.  The bitmap's last page counts as whole if the range reaches the end.
 * A part of the range past the end is ignored, so that [0, UINT64_MAX) is all.
 * Other harvesters are not touched.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'harvester' is NULL
 */
int vmmem_harvester_confirm(struct vmmem_harvester *harvester, uint64_t offset,
			    uint64_t len);

VMMEM_END_DECLS

#endif
