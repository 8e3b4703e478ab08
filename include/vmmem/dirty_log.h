/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/dirty_log.h - what was written to the memory of a space, by guest
 * address, for a migration or a snapshot.
 *
 * A dirty log follows a space: every region that has a bitmap, whatever the
 * bitmap is shared with and wherever the region lies in it, and every region
 * that is plugged in later.  A whole migration is:
 *
 *     do {
 *             struct vmmem_dirty_range range = { 0 };
 *
 *             last = few bytes are left, and the writers have been stopped;
 *             rc = vmmem_dirty_log_collect(log, &bytes);
 *             while (rc == 0) {
 *                     rc = vmmem_dirty_log_next(log, &range);
 *                     if (rc != 0 || range.len == 0)
 *                             break;
 *                     rc = send(range.gpa, range.len);
 *                     if (rc == 0)
 *                             rc = vmmem_dirty_log_confirm(log, &range);
 *             }
 *     } while (rc == 0 && !last);
 *
 * At first all of a region is dirty, so the first round sends everything.
 * What is dirty stays so until it is confirmed: a send that fails and an early
 * return lose nothing, and a forgotten confirmation costs bytes that are sent
 * twice.  A page that is written after it was sent is dirty again after a later
 * collect, also if its confirmation arrives after that collect.  If the writers
 * rest, one more collect has all that is left.
 *
 * A region that leaves the space leaves the log, with what was dirty of it:
 * its memory is no longer the guest's.  The caller tells the other side that
 * the region is gone.  A region that comes is dirty as a whole, also if the
 * same memory was in the space before, as another region.  Memory that is in
 * the space at two addresses is in the log at both.
 *
 * A log may be used by several threads, which wait for one another; the space
 * may change meanwhile.  No lock that a reader or a marker needs is held.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_DIRTY_LOG_H
#define VMMEM_DIRTY_LOG_H

#include <vmmem/base.h>
#include <vmmem/space.h>

VMMEM_BEGIN_DECLS

struct vmmem_dirty_log;

/* Flags of vmmem_dirty_log_options. */
/* Memory that is in the space when the log is made is not dirty. */
#define VMMEM_DIRTY_LOG_CLEAN 1U
/* Regions that are written without a bitmap are left out, not refused. */
#define VMMEM_DIRTY_LOG_SKIP_UNLOGGED 2U

/* Options of a log; NULL and zero are good for all of them. */
struct vmmem_dirty_log_options {
	/* sizeof(struct vmmem_dirty_log_options) */
	size_t size;

	/* A name, for people; copied.  NULL: no name. */
	const char *name;

	/*
	 * Called by each vmmem_dirty_log_collect(), before it takes the marks:
	 * brings marks from elsewhere into the bitmaps of the regions, as
	 * vmmem_kvm_log_collect_all() does.  Returns 0, or a negative code,
	 * which becomes that of the collect.  On the thread of the collect,
	 * with no lock held.
	 */
	int (*collect)(void *opaque);

	/* Called once, when the log is freed.  Never if it was not made. */
	void (*destroy)(void *opaque);
	void *opaque;

	uint32_t flags;
	uint32_t reserved; /* 0 */
};

/*
 * A range of dirty bytes, [gpa, gpa + len), which is in one region.  'region'
 * is a number that says in which: a confirmation that arrives when another
 * region has taken its place confirms nothing.  This struct never grows.
 */
struct vmmem_dirty_range {
	uint64_t gpa;
	uint64_t len;
	uint64_t region;
};

/*
 * vmmem_dirty_log_new() makes the dirty log of 'space' and switches the logging
 * of all its regions on, with one barrier for all of them.  'options' may be
 * NULL.  The caller frees the log, which holds a reference to the space.
 *
 * The log refuses a region that may be written and has no bitmap, here and when
 * it is plugged in later: the insertion then returns VMMEM_ENOBITMAP.  With
 * VMMEM_DIRTY_LOG_SKIP_UNLOGGED the log leaves it out.  It always leaves out a
 * region that may not be written and has no bitmap, as that does not change.
 * vmmem_dirty_log_next_unlogged() lists what is left out.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'space' or 'ret_log' is NULL; a flag is unknown
 *   VMMEM_ENOBITMAP     a region may be written and has no bitmap
 *   VMMEM_ESTRUCTSIZE   the size of 'options' is that of no version
 *   VMMEM_ESTRUCTNEWER  'options' has members set that this version does not
 *                       know
 *   VMMEM_ESELFWAIT     this thread is in a listener's callback of this space
 *   -errno              what mmap(2), membarrier(2) or pthread_mutex_init(3)
 *                       said; -ENOMEM also from the allocator
 */
VMMEM_NODISCARD int
vmmem_dirty_log_new(struct vmmem_space *space,
		    const struct vmmem_dirty_log_options *options,
		    struct vmmem_dirty_log **ret_log);

/*
 * vmmem_dirty_log_free() frees a log, stops the logging that it started, and
 * returns NULL.  It cannot fail; NULL is a no-op.  It waits for the callbacks
 * that another thread is in.  In a callback of the space the log is freed when
 * all listeners were told; 'destroy' of the options is called then.
 */
struct vmmem_dirty_log *vmmem_dirty_log_free(struct vmmem_dirty_log *log);

/*
 * vmmem_dirty_log_space() returns the space, borrowed, and
 * vmmem_dirty_log_name() the name that the log was made with, or NULL, which
 * lives as long as the log.  NULL for NULL.
 */
struct vmmem_space *vmmem_dirty_log_space(const struct vmmem_dirty_log *log);
const char *vmmem_dirty_log_name(const struct vmmem_dirty_log *log);

/*
 * vmmem_dirty_log_collect() calls the callback 'collect', if there is one,
 * takes all marks since the last collect, and stores how many bytes are dirty
 * now, with those that were dirty before and are not yet confirmed.
 * 'ret_bytes' may be NULL.  A thread that reads the dirty bytes after the
 * return sees at least the writes whose marks were taken.  It costs in
 * proportion to what is marked, and to the number of regions.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'log' is NULL
 *   VMMEM_ECALLBACK  the callback returned a positive value
 *   -errno           what membarrier(2) said
 *   what the callback returned
 * After a failure no mark is lost, and the call can be made again.
 */
VMMEM_NODISCARD int vmmem_dirty_log_collect(struct vmmem_dirty_log *log,
					    uint64_t *ret_bytes);

/*
 * vmmem_dirty_log_count() returns how many bytes are dirty and not confirmed,
 * as of the last collect.  0 for NULL.
 */
uint64_t vmmem_dirty_log_count(struct vmmem_dirty_log *log);

/*
 * vmmem_dirty_log_next() finds the first dirty range behind 'range', and
 * stores it there; if there is none, it stores zeros.  The caller reads the
 * bytes through a map that it gets from the space after this call: an older one
 * may have another region there.  A range of zeros begins
 * with the lowest address; one of which only 'len' is 0 begins with its 'gpa'.
 * Ranges have no greatest length: a sender divides them.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  a pointer is NULL
 */
VMMEM_NODISCARD int vmmem_dirty_log_next(struct vmmem_dirty_log *log,
					 struct vmmem_dirty_range *range);

/*
 * vmmem_dirty_log_confirm() says that the bytes of 'range' have arrived as
 * they were when they were read, after vmmem_dirty_log_next() found them: pages
 * that lie in the range as a whole are no longer dirty.  The range may be a
 * part of what was found, with the same 'region'.  What the region's ends cut
 * off of a page counts as being in the range.  If the region has left the
 * space, the call does nothing.
 *
 * If bytes were sent several times, the caller confirms them when those of the
 * last time have arrived: an answer to an earlier time, passed on after that,
 * could hide a write that came between.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  a pointer is NULL
 */
int vmmem_dirty_log_confirm(struct vmmem_dirty_log *log,
			    const struct vmmem_dirty_range *range);

/*
 * vmmem_dirty_log_next_unlogged() does as vmmem_dirty_log_next() with the
 * regions that are not in the log, each of them one range.
 */
VMMEM_NODISCARD int
vmmem_dirty_log_next_unlogged(struct vmmem_dirty_log *log,
			      struct vmmem_dirty_range *range);

VMMEM_END_DECLS

#endif
