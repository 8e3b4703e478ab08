/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/iommu.h - guest memory seen through an IOMMU.
 *
 * An iommu translates by an iotlb (vmmem/iotlb.h), and says what happens when
 * that has no answer.  With a collection it gives another collection, the
 * translated one, whose addresses are I/O virtual addresses.  Every function
 * that takes a collection works on it as on any other, with these differences:
 *
 *   - A range is translated piece by piece.  It needs the permission of its
 *     entry in the iotlb and that of the region it leads to.
 *   - VMMEM_EIOMMUMISS: a byte has no translation.  VMMEM_EDENIED: its entry,
 *     or the region, does not permit the access.  VMMEM_EBADADDR: it leads to
 *     where no region is.  And what the miss handler returned, or
 *     VMMEM_ETIMEOUT.
 *   - VMMEM_ECROSS: an access that must be one piece crosses from one entry of
 *     the iotlb, or one region, into the next.
 *   - The guarantees for aligned accesses hold where iova and gpa agree modulo
 *     16, as they do in pages.  Elsewhere an atomic access is refused with
 *     VMMEM_ECONGRUENCE, and others are single accesses where the gpa is
 *     aligned.
 *   - What is all or nothing is checked as a whole before the first byte is
 *     moved.  If another thread removes a translation after that, and nobody
 *     answers for it again, the access ends part-way with the count of bytes.
 *   - vmmem_collection_count(), _at(), _for_each() and _last() speak of the
 *     physical regions behind it, in the order of their gpa.  _insert() and
 *     _remove() change these too, and give a translated collection again.
 *   - _find(), _locate(), _contains() and _offset() translate what they are
 *     given, like an access that needs no permission.
 *
 * Slices, host addresses and iovecs are where the address led when they were
 * made.  Unmapping does not reach them.  Make and use them within a section
 * (vmmem_iotlb_enter()), or make new ones after each change.
 *
 * An access through a translated collection takes no lock and allocates
 * nothing, and may be made in a signal handler if it has a translation or if
 * the miss handler is fit for that.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_IOMMU_H
#define VMMEM_IOMMU_H

#include <vmmem/base.h>
#include <vmmem/bitmap.h>
#include <vmmem/collection.h>
#include <vmmem/iotlb.h>

VMMEM_BEGIN_DECLS

struct vmmem_iommu;

/* A miss handler may return this beside 0 and negative codes. */
#define VMMEM_IOMMU_LATER 1

/* A flag of the options: misses are put into a queue, and nobody is called. */
#define VMMEM_IOMMU_QUEUE_MISSES 1U

/* How many misses such a queue has room for, at most and by default. */
#define VMMEM_IOMMU_MISSES_MAX 4096
#define VMMEM_IOMMU_MISSES_DEFAULT 256

/* Options of an iommu; zero and NULL are good for all of them. */
struct vmmem_iommu_options {
	/* sizeof(struct vmmem_iommu_options) */
	size_t size;

	/*
	 * Called when [iova, iova + len) is missing in the iotlb ('reason' is
	 * VMMEM_IOTLB_MISS), or is there but does not permit 'access'
	 * (VMMEM_IOTLB_DENIED).  The range is the first part of what the access
	 * needs.  Returns
	 *   0                  it has mapped the range, or the first of it: the
	 *                      access looks again
	 *   VMMEM_IOMMU_LATER  somebody will: the access waits until it finds a
	 *                      translation, or until the timeout is over.  The
	 *                      handler is not called again for this address
	 *                      while the access waits, except if a translation
	 *                      came and is gone again, if what came permits
	 *                      less, or after vmmem_iommu_retry()
	 *   a negative code    refused: the access returns that code
	 *
	 * The handler runs on the thread of the access, which holds no lock of
	 * the library; of sections only the caller's own are open.  So the
	 * handler may access memory, also through this iommu, map, unmap and
	 * synchronize.  Several threads may be in it at once.  NULL refuses.
	 */
	int (*miss)(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
		    uint32_t reason);

	/*
	 * Called when bytes were written that the log by iova does not cover,
	 * after they were counted.  On the thread of the access, and within its
	 * section: it must not synchronize.  NULL: nobody is told.
	 */
	void (*unlogged)(void *opaque, uint64_t iova, uint64_t len);

	/*
	 * Called once, when the last reference is dropped, on that thread;
	 * never if vmmem_iommu_new() fails.  May be NULL.
	 */
	void (*destroy)(void *opaque);
	void *opaque;

	/*
	 * How long an access waits for answers that come later, in nanoseconds
	 * from the moment at which its first wait begins, all its waits
	 * together.  0: not at all.  VMMEM_FOREVER: until they come.
	 */
	uint64_t timeout_ns;

	/*
	 * Where writes are marked while the iommu is on.  NULL: in the bitmaps
	 * of the regions that are written, as without an iommu.  Else here, by
	 * iova, and only here: the byte at 'log_start' + n is byte n of the
	 * bitmap.  The iommu takes a reference.
	 */
	struct vmmem_bitmap *log;
	uint64_t log_start;

	/* VMMEM_IOMMU_QUEUE_MISSES, with no 'miss'; or 0.  Since: 0.9. */
	uint32_t flags;
	/*
	 * The most misses in the queue; 0: VMMEM_IOMMU_MISSES_DEFAULT.  More of
	 * them, each at another address, are refused with VMMEM_ENOROOM until
	 * some were taken.  Since: 0.9.
	 */
	uint32_t misses_max;
};

/*
 * A miss, as vmmem_iommu_next_miss() gives it: what a miss handler is told.
 * 'size' is sizeof(struct vmmem_iommu_miss), set by the caller; later versions
 * may add members at the end.  Since: 0.9.
 */
struct vmmem_iommu_miss {
	size_t size;
	uint64_t iova;
	uint64_t len;	 /* 0: there is none */
	uint32_t access; /* what the access needs */
	uint32_t reason; /* VMMEM_IOTLB_MISS or VMMEM_IOTLB_DENIED */
};

/*
 * vmmem_iommu_new() makes an iommu that translates by 'iotlb', of which it
 * takes a reference; several may use one.  It is on.  'options' may be NULL:
 * misses are refused and the regions' own logs are used.  The caller owns one
 * reference.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'iotlb' or 'ret_iommu' is NULL; there is no log and
 *                       'log_start' is not 0; 'flags' has an unknown bit;
 *                       QUEUE_MISSES and 'miss' are both set; 'misses_max' is
 *                       above VMMEM_IOMMU_MISSES_MAX, or set without
 *                       QUEUE_MISSES
 *   VMMEM_EWRAPS        the log, from 'log_start' on, passes 2^64
 *   VMMEM_ESTRUCTSIZE   the size of 'options' is that of no version
 *   VMMEM_ESTRUCTNEWER  'options' has members set that this version does not
 *                       know
 *   -errno              -ENOMEM from the allocator, or what eventfd(2) or
 *                       pthread_mutex_init(3) said
 */
VMMEM_NODISCARD int
vmmem_iommu_new(struct vmmem_iotlb *iotlb,
		const struct vmmem_iommu_options *options,
		struct vmmem_iommu **ret_iommu);

/* vmmem_iommu_ref() takes one more reference and returns 'iommu'. */
struct vmmem_iommu *vmmem_iommu_ref(struct vmmem_iommu *iommu);

/*
 * vmmem_iommu_unref() drops one reference and returns NULL; translated
 * collections have one each.  NULL is a no-op.  Not in a signal handler.
 */
struct vmmem_iommu *vmmem_iommu_unref(struct vmmem_iommu *iommu);

/* vmmem_iommu_iotlb() returns the iotlb, borrowed; NULL for NULL. */
struct vmmem_iotlb *vmmem_iommu_iotlb(const struct vmmem_iommu *iommu);

/*
 * vmmem_collection_new_translated() makes the collection of what is seen of
 * 'physical' through 'iommu'.  It takes a reference to both.  The caller owns
 * one to the collection.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  a pointer is NULL, or 'physical' is translated itself
 *   -ENOMEM          from the allocator
 */
VMMEM_NODISCARD int
vmmem_collection_new_translated(struct vmmem_iommu *iommu,
				struct vmmem_collection *physical,
				struct vmmem_collection **ret_collection);

/*
 * vmmem_collection_physical() returns the collection behind a translated one,
 * borrowed; NULL if 'collection' is not translated, or NULL.
 */
struct vmmem_collection *
vmmem_collection_physical(const struct vmmem_collection *collection);

/*
 * vmmem_collection_iommu() returns the iommu of a translated collection,
 * borrowed; NULL if 'collection' is not translated, or NULL.  Since: 0.9.
 */
struct vmmem_iommu *
vmmem_collection_iommu(const struct vmmem_collection *collection);

/*
 * vmmem_iommu_set_enabled() switches translation on, or off if 'enabled' is 0,
 * for all translated collections of 'iommu'.  While it is off they are what is
 * behind them: addresses are gpas, nothing is looked up, accesses cost what
 * they cost without an iommu and are marked in the regions' own logs.
 *
 * An access that begins after the return goes the new way.  Accesses that wait
 * for a translation go on without.  vmmem_iotlb_synchronize() waits for
 * accesses that began while it was on, not for those that began while it was
 * off: stop a device before its accesses begin to be translated.  Not in a
 * signal handler.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'iommu' is NULL
 */
int vmmem_iommu_set_enabled(struct vmmem_iommu *iommu, int enabled);

/* vmmem_iommu_is_enabled() returns 1 if it is on, else 0; 0 for NULL. */
int vmmem_iommu_is_enabled(const struct vmmem_iommu *iommu);

/*
 * vmmem_iommu_set_timeout() changes the timeout, for accesses that begin to
 * wait after it.  NULL is a no-op.
 */
void vmmem_iommu_set_timeout(struct vmmem_iommu *iommu, uint64_t timeout_ns);

/* vmmem_iommu_timeout() returns the timeout; 0 for NULL.  Since: 0.9. */
uint64_t vmmem_iommu_timeout(const struct vmmem_iommu *iommu);

/* vmmem_iommu_flags() returns the flags of the options.  Since: 0.9. */
uint32_t vmmem_iommu_flags(const struct vmmem_iommu *iommu);

/*
 * vmmem_iommu_log() returns the log by iova, borrowed, or NULL if there is
 * none; then 'ret_start', which may be NULL, is not written.  Else it gets the
 * iova of the log's first byte.  Since: 0.9.
 */
struct vmmem_bitmap *vmmem_iommu_log(const struct vmmem_iommu *iommu,
				     uint64_t *ret_start);

/*
 * vmmem_iommu_resolve() sees to it that each byte of [iova, iova + len) has a
 * translation that permits 'access'.  It asks the miss handler and waits as an
 * access does, for 'timeout_ns' nanoseconds instead of the iommu's timeout.  So
 * an access that must not wait longer than its own deadline calls this first.
 * Whether the address leads to memory is not looked at.  Translations may go
 * again at any time; if the range needs more entries than the iotlb has, the
 * first are gone in the end.
 *
 * With any code except VMMEM_EWRAPS and VMMEM_EARGUMENT, 'ret_bad' gets the
 * address of the first byte that fails, and 'ret_bad_len' how many bytes of the
 * range, from that one on, fail together: those that are all missing, or all of
 * one entry.  Both may be NULL.
 *
 * Returns 0, also while the iommu is off, or
 *   VMMEM_EIOMMUMISS, VMMEM_EDENIED
 *                    as for accesses, if there is no handler, or if the
 *                    handler returned 0 many times and mapped nothing
 *   VMMEM_ECALLBACK  the handler returned a positive value of no meaning
 *   VMMEM_EWRAPS     all is there up to 2^64 - 1, and the range is longer
 *   VMMEM_EARGUMENT  'iommu' is NULL, or 'access' has an unknown bit
 *   VMMEM_ETIMEOUT   an answer has not come in time
 *   -errno           what futex(2) said
 *   what the handler returned
 */
VMMEM_NODISCARD int vmmem_iommu_resolve(struct vmmem_iommu *iommu,
					uint64_t iova, uint64_t len,
					uint32_t access, uint64_t timeout_ns,
					uint64_t *ret_bad,
					uint64_t *ret_bad_len);

/*
 * vmmem_iommu_retry() has each access that waits ask the miss handler again, if
 * the translation that it needs is still missing; so that the handler can
 * refuse a miss that it has put off.  NULL is a no-op.
 */
void vmmem_iommu_retry(struct vmmem_iommu *iommu);

/*
 * An iommu with VMMEM_IOMMU_QUEUE_MISSES is for programs that cannot be called
 * by any thread: those in a language without callbacks, or with one event loop.
 * An access that misses puts that into the queue and waits for an answer, as
 * after VMMEM_IOMMU_LATER; with a timeout of 0 it fails at once, and the
 * program repeats it after it has answered.  Of misses that wait for the same
 * bytes the queue has one.  The answer to a miss is vmmem_iotlb_map(), or
 * vmmem_iommu_refuse().  Such an access must not be made in a signal handler.
 */

/*
 * vmmem_iommu_miss_fd() stores a descriptor that is readable while there are
 * misses in the queue: for poll(2) and epoll(7).  It is the iommu's.  Do not
 * read it; vmmem_iommu_next_miss() does.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  a pointer is NULL, or the iommu has no queue
 * Since: 0.9.
 */
VMMEM_NODISCARD int vmmem_iommu_miss_fd(const struct vmmem_iommu *iommu,
					int *ret_fd);

/*
 * vmmem_iommu_next_miss() takes the oldest miss out of the queue, and leaves
 * out those that have got what they need meanwhile.  It never waits: if there
 * is none, the miss has 'len' 0.  Any thread; each miss is given to one.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    a pointer is NULL, or the iommu has no queue
 *   VMMEM_ESTRUCTSIZE  the size in 'ret_miss' is that of no version
 * Since: 0.9.
 */
VMMEM_NODISCARD int vmmem_iommu_next_miss(struct vmmem_iommu *iommu,
					  struct vmmem_iommu_miss *ret_miss);

/*
 * vmmem_iommu_refuse() has each access that waits return 'code', a negative one
 * of the caller's choice, if the first byte that it misses, 'iova' of its miss,
 * lies in [iova, iova + len).  Such misses are taken out of the queue too.  An
 * access that comes later asks again: a range that is to be refused for longer
 * is mapped with access 0.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'iommu' is NULL or has no queue, or 'code' is not negative
 *   VMMEM_EWRAPS     the range passes 2^64; nothing is refused
 * Since: 0.9.
 */
VMMEM_NODISCARD int vmmem_iommu_refuse(struct vmmem_iommu *iommu, uint64_t iova,
				       uint64_t len, int code);

/* vmmem_iommu_misses() returns how often a translation was not there. */
uint64_t vmmem_iommu_misses(const struct vmmem_iommu *iommu);

/*
 * vmmem_iommu_unlogged() returns how many bytes were written, while the log by
 * iova was logging, that it does not cover.  'ret_iova', which may be NULL,
 * gets the address of the latest such byte range, if there was any.
 */
uint64_t vmmem_iommu_unlogged(const struct vmmem_iommu *iommu,
			      uint64_t *ret_iova);

VMMEM_END_DECLS

#endif
