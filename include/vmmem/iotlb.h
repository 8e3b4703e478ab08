/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/iotlb.h - a cache of translations from I/O virtual addresses.
 *
 * An iotlb holds ranges of I/O virtual addresses (iova), each with the guest
 * physical address (gpa) that it begins at and what it permits: nothing,
 * reading, writing or both.  Ranges have any length and any alignment.  What is
 * mapped later replaces what was there; ranges beside each other that go on in
 * the target too, and permit the same, are one entry.
 *
 * It never has more entries than its capacity.  When a change needs more, the
 * entry that was used the longest ago is evicted.  Look-ups and mapping are
 * use.  Between two calls of vmmem_iotlb_map() all uses are alike; of entries
 * whose use is alike the one with the lowest address is evicted.  An iotlb that
 * is made with VMMEM_IOTLB_NO_EVICT refuses the change instead: it is a table,
 * for a device model whose client says what to map and does not answer for
 * misses (VFIO_USER_DMA_MAP, the MAP request of virtio-iommu).
 *
 * Any thread may call any of these functions at any time.  Looking up takes no
 * lock, allocates nothing and waits for nobody; it is for signal handlers too.
 * What changes the cache takes a lock that lookers-up never take, allocates
 * nothing, and cannot fail for want of memory.
 *
 * What is promised about changes:
 *   - A look-up, or an access through an iommu (vmmem/iommu.h), that begins
 *     after vmmem_iotlb_unmap() or vmmem_iotlb_map() has returned does not see
 *     what was there before.
 *   - An access that began earlier may still use it.  When
 *     vmmem_iotlb_synchronize() has returned, each such access is over.
 * So a program that takes pages from a device unmaps them, synchronizes, and
 * then gives the pages to others.
 *
 * In all functions a range of no bytes succeeds and does nothing, at any iova.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_IOTLB_H
#define VMMEM_IOTLB_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

struct vmmem_iotlb;

/* The greatest capacity: above that, what is mapped is no cache's work. */
#define VMMEM_IOTLB_CAPACITY_MAX 1048576

/* The kinds of a piece of a look-up. */
#define VMMEM_IOTLB_HIT 0    /* mapped, and permits the access */
#define VMMEM_IOTLB_MISS 1   /* not mapped */
#define VMMEM_IOTLB_DENIED 2 /* mapped, but does not permit the access */

/*
 * One piece of a range that was looked up.  The struct is final: the caller has
 * arrays of it.  What later versions have to say will be in 'reserved', which
 * is 0 until then.
 */
struct vmmem_iotlb_piece {
	uint64_t iova;
	uint64_t len;	 /* never 0 */
	uint64_t gpa;	 /* where the piece leads; 0 for a miss */
	uint64_t cookie; /* what it was mapped with; 0 for a miss */
	uint32_t access; /* what its entry permits; 0 for a miss */
	uint32_t state;	 /* VMMEM_IOTLB_HIT, _MISS or _DENIED */
	uint64_t reserved[3];
};

/* The most entries of an iotlb, unless the options say otherwise. */
#define VMMEM_IOTLB_CAPACITY_DEFAULT 4096

/* No entry is evicted: a change that needs more room is VMMEM_ENOROOM. */
#define VMMEM_IOTLB_NO_EVICT 1U

/*
 * struct vmmem_iotlb_options is what an iotlb is made with; zero is good for
 * all that is not needed.  Members are only ever added at the end.  Since: 0.9.
 */
struct vmmem_iotlb_options {
	/* sizeof(struct vmmem_iotlb_options) */
	size_t size;
	/* The most entries; 0: VMMEM_IOTLB_CAPACITY_DEFAULT. */
	uint64_t capacity;
	/* VMMEM_IOTLB_NO_EVICT, or 0. */
	uint32_t flags;
	uint32_t reserved; /* 0 */
};

/*
 * vmmem_iotlb_new() makes an empty iotlb.  'options' may be NULL: then it has
 * the default capacity, and evicts.  It takes all its memory now:
 * vmmem_iotlb_memory() says how much.  The caller owns one reference.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     the capacity is above VMMEM_IOTLB_CAPACITY_MAX; 'flags'
 *                       has an unknown bit; 'reserved' is not 0; 'ret_iotlb' is
 *                       NULL
 *   VMMEM_ESTRUCTSIZE   the size of 'options' is that of no version
 *   VMMEM_ESTRUCTNEWER  'options' has members set that this version does not
 *                       know
 *   -errno              -ENOMEM from the allocator, or what
 *                       pthread_mutex_init(3) said
 * Since: 0.9.
 */
VMMEM_NODISCARD int vmmem_iotlb_new(const struct vmmem_iotlb_options *options,
				    struct vmmem_iotlb **ret_iotlb);

/* vmmem_iotlb_ref() takes one more reference and returns 'iotlb'. */
struct vmmem_iotlb *vmmem_iotlb_ref(struct vmmem_iotlb *iotlb);

/*
 * vmmem_iotlb_unref() drops one reference and returns NULL; the last one frees.
 * NULL is a no-op.  Not in a signal handler.
 */
struct vmmem_iotlb *vmmem_iotlb_unref(struct vmmem_iotlb *iotlb);

/*
 * vmmem_iotlb_map() has [iova, iova + len) lead to [gpa, gpa + len), with
 * 'access' permitted: a set of VMMEM_PROT_READ and VMMEM_PROT_WRITE, or 0 for
 * a range that is known and permits nothing.  Accesses that wait for a
 * translation look again.  Not in a signal handler.
 *
 * Returns 0, or
 *   VMMEM_EWRAPS     one of the two ranges passes 2^64; nothing is changed
 *   VMMEM_ENOROOM    the iotlb does not evict, and has not enough entries left;
 *                    nothing is changed
 *   VMMEM_EARGUMENT  'iotlb' is NULL, or 'access' has an unknown bit
 */
VMMEM_NODISCARD int vmmem_iotlb_map(struct vmmem_iotlb *iotlb, uint64_t iova,
				    uint64_t gpa, uint64_t len,
				    uint32_t access);

/*
 * vmmem_iotlb_map_cookie() does the same, and vmmem_iotlb_lookup() gives
 * 'cookie' back with each piece of the range: a number of the caller's, which
 * the library does not look at.  vmmem_iotlb_map() is with cookie 0.  Ranges
 * with different cookies are not joined.  Codes as for vmmem_iotlb_map().
 *
 * Since: 0.9.
 */
VMMEM_NODISCARD int vmmem_iotlb_map_cookie(struct vmmem_iotlb *iotlb,
					   uint64_t iova, uint64_t gpa,
					   uint64_t len, uint32_t access,
					   uint64_t cookie);

/*
 * vmmem_iotlb_unmap() removes what there is of [iova, iova + len); what is not
 * there needs no removing.  An entry that reaches further keeps the rest.  Not
 * in a signal handler.
 *
 * In an iotlb that does not evict, a hole in the middle of an entry needs one
 * entry more.  If no more ranges are mapped than the capacity, and they do not
 * overlap, each of them can be unmapped.
 *
 * Returns 0, or
 *   VMMEM_EWRAPS     the range passes 2^64; what lies below it is removed all
 *                    the same
 *   VMMEM_ENOROOM    the iotlb does not evict, and an entry that would be cut
 *                    in two has no room for the second; nothing is removed
 *   VMMEM_EARGUMENT  'iotlb' is NULL
 */
int vmmem_iotlb_unmap(struct vmmem_iotlb *iotlb, uint64_t iova, uint64_t len);

/*
 * vmmem_iotlb_unmap_all() removes everything.  NULL is a no-op.  Not in a
 * signal handler.
 */
void vmmem_iotlb_unmap_all(struct vmmem_iotlb *iotlb);

/*
 * vmmem_iotlb_lookup() tells what [iova, iova + len) is for 'access', piece by
 * piece in ascending order, without a gap between them.  A miss is as long as
 * nothing is mapped; each other piece is what the range has of one entry.  With
 * 'access' 0 all that is mapped is a hit.
 *
 * It stores as many pieces as there are, up to 'capacity', and in 'ret_count'
 * how many there are in all, whatever it returns except VMMEM_EARGUMENT.  The
 * range is looked up to its end, also where there is no room.  So 'capacity' 0,
 * with 'ret_pieces' NULL, asks how many there are.  If others change the iotlb
 * meanwhile, each piece is what was true at one moment of the call.
 *
 * With 0, and only then, 'ret_pieces' has the translation of the whole range.
 *
 * Returns 0 if all pieces are hits and are stored, or
 *   VMMEM_EIOMMUMISS  a piece is a miss
 *   VMMEM_EDENIED     none is a miss, but one is denied
 *   VMMEM_EWRAPS      all pieces are hits up to 2^64 - 1; the range is longer
 *   VMMEM_ENOROOM     all pieces are hits, and there are more than 'capacity'
 *   VMMEM_EARGUMENT   'iotlb' or 'ret_count' is NULL, 'ret_pieces' is NULL and
 *                     'capacity' is not 0, or 'access' has an unknown bit
 */
VMMEM_NODISCARD int vmmem_iotlb_lookup(const struct vmmem_iotlb *iotlb,
				       uint64_t iova, uint64_t len,
				       uint32_t access,
				       struct vmmem_iotlb_piece *ret_pieces,
				       size_t capacity, size_t *ret_count);

/*
 * vmmem_iotlb_enter() begins a section, of accesses that belong together: what
 * is looked up in it, and slices and host addresses that are made of it, are
 * good until vmmem_iotlb_leave(), as vmmem_iotlb_synchronize() waits for it.
 * Each access through an iommu is such a section by itself, so this is only for
 * callers that hold on to what an address led to.
 *
 * It returns what to leave with, on the same thread of the system: a section
 * must not be open where a task may move to another thread (a goroutine, a
 * future).  Sections nest.  A thread that synchronizes waits for a section as
 * long as that lasts, or until its timeout is over: keep a section short.  With
 * NULL vmmem_iotlb_enter() returns 0, and vmmem_iotlb_leave() does nothing.
 */
uint64_t vmmem_iotlb_enter(struct vmmem_iotlb *iotlb);
void vmmem_iotlb_leave(struct vmmem_iotlb *iotlb, uint64_t section);

/*
 * vmmem_iotlb_synchronize() waits until each section and each access through
 * the iotlb that began before the call is over, for 'timeout_ns' nanoseconds at
 * most; VMMEM_FOREVER is without an end, and 0 only looks.  It sleeps
 * meanwhile, and holds no lock that an access or a change needs.  Sections and
 * accesses that begin later are not waited for.  An access that waits for a
 * translation is in no section.
 *
 * If the calling thread is itself in a section, the call returns
 * VMMEM_ESELFWAIT where the library can detect that.  It cannot on systems
 * without membarrier(2), nor for some threads of a process with more than 128.
 * Then the call waits until the timeout is over.
 *
 * Returns 0, or
 *   VMMEM_ETIMEOUT   a section or an access is not over; nothing else is known
 *   VMMEM_ESELFWAIT  the calling thread is itself in a section
 *   VMMEM_EARGUMENT  'iotlb' is NULL
 *   -errno           what membarrier(2) or futex(2) said; nothing is known then
 * Since: 0.9.
 */
VMMEM_NODISCARD int vmmem_iotlb_synchronize(struct vmmem_iotlb *iotlb,
					    uint64_t timeout_ns);

/* vmmem_iotlb_capacity() returns the most entries it has; 0 for NULL. */
size_t vmmem_iotlb_capacity(const struct vmmem_iotlb *iotlb);

/* vmmem_iotlb_flags() returns the flags that it was made with.  Since: 0.9. */
uint32_t vmmem_iotlb_flags(const struct vmmem_iotlb *iotlb);

/* vmmem_iotlb_count() returns the entries there are; 0 for NULL. */
size_t vmmem_iotlb_count(const struct vmmem_iotlb *iotlb);

/* vmmem_iotlb_evicted() returns how many were evicted; 0 for NULL. */
uint64_t vmmem_iotlb_evicted(const struct vmmem_iotlb *iotlb);

/*
 * vmmem_iotlb_memory() returns the bytes that it has taken: at most 264 for
 * each entry of the capacity, and 32 KiB.  Most of it is touched when entries
 * are there for the first time.  0 for NULL.
 */
size_t vmmem_iotlb_memory(const struct vmmem_iotlb *iotlb);

VMMEM_END_DECLS

#endif
