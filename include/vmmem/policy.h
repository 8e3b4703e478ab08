/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/policy.h - how the library gets the memory of a region, and what the
 * system really gave.
 *
 * A policy gathers settings for memory that the library maps: anonymous,
 * memfd and file regions.  vmmem_region_builder_set_policy() copies them to a
 * builder, so one policy serves any number of regions.  Setters never fail,
 * and do nothing on a NULL policy; vmmem_region_builder_build() checks all of
 * it.  If the system does not give what a setting asks for, build returns a
 * code and nothing stays mapped: no region has less than was asked for.
 *
 * A policy belongs to one thread at a time.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_POLICY_H
#define VMMEM_POLICY_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

struct vmmem_policy;
struct vmmem_region;

/* Seals of a memfd; the numbers are those of F_SEAL_... of <fcntl.h>. */
#define VMMEM_SEAL_SEAL 1U	    /* no more seals */
#define VMMEM_SEAL_SHRINK 2U	    /* it does not get shorter */
#define VMMEM_SEAL_GROW 4U	    /* it does not get longer */
#define VMMEM_SEAL_WRITE 8U	    /* its bytes do not change */
#define VMMEM_SEAL_FUTURE_WRITE 16U /* only older mappings may write */
#define VMMEM_SEAL_EXEC 32U	    /* its executable bits do not change */

/* Transparent huge pages: vmmem_policy_set_thp(). */
#define VMMEM_THP_DEFAULT 0 /* as the system does for all */
#define VMMEM_THP_YES 1	    /* wanted: MADV_HUGEPAGE */
#define VMMEM_THP_NO 2	    /* not wanted: MADV_NOHUGEPAGE */

/* The nodes that pages are taken from: vmmem_policy_set_numa(). */
#define VMMEM_NUMA_DEFAULT 0	/* as the thread does that touches them */
#define VMMEM_NUMA_BIND 1	/* from these nodes only */
#define VMMEM_NUMA_PREFERRED 2	/* from these nodes while they have any */
#define VMMEM_NUMA_INTERLEAVE 3 /* from these nodes in turn */

/* A node's number is below this. */
#define VMMEM_NUMA_NODES_MAX 1024

/* Whether the build reserves memory: vmmem_policy_set_reserve(). */
#define VMMEM_RESERVE_DEFAULT 0 /* of the huge page pool yes, else no */
#define VMMEM_RESERVE_NO 1
#define VMMEM_RESERVE_YES 2

/* Whether memory stays in memory: vmmem_policy_set_lock(). */
#define VMMEM_LOCK_NO 0
#define VMMEM_LOCK_NOW 1      /* all of it, from the start */
#define VMMEM_LOCK_ON_FAULT 2 /* each page from when it is first touched */

/* More threads than this do not prefault. */
#define VMMEM_PREFAULT_THREADS_MAX 1024

/*
 * vmmem_policy_new() returns a policy that asks for nothing.  The caller frees
 * it with vmmem_policy_free().  NULL if there is no memory.
 */
struct vmmem_policy *vmmem_policy_new(void);

/*
 * vmmem_policy_free() frees the policy and returns NULL.  Builders and regions
 * have copies.  NULL is a no-op.
 */
struct vmmem_policy *vmmem_policy_free(struct vmmem_policy *policy);

/*
 * vmmem_policy_set_seals() sets the seals of a memfd, a set of VMMEM_SEAL_...
 * without VMMEM_SEAL_WRITE, which no memory of a guest can have.  Default:
 * SHRINK, GROW and SEAL.  With FUTURE_WRITE a process that gets the descriptor
 * can read only; nothing can be discarded then, either.
 *
 * On Linux 6.3 and later a memfd has EXEC in any case, and no executable bits.
 * To ask for it makes an older system refuse (VMMEM_ENOSUPPORT).
 */
void vmmem_policy_set_seals(struct vmmem_policy *policy, uint32_t seals);

/*
 * vmmem_policy_set_thp() sets one of VMMEM_THP_....  YES is advice:
 * vmmem_region_residency() tells how many bytes became huge pages.  Except with
 * NO, the addresses agree as huge pages need it: see
 * vmmem_policy_set_alignment().
 */
void vmmem_policy_set_thp(struct vmmem_policy *policy, uint32_t thp);

/*
 * vmmem_policy_set_numa() sets one of VMMEM_NUMA_... and the 'count' nodes it
 * is about, whose numbers are copied.  DEFAULT takes none, BIND and INTERLEAVE
 * at least one; PREFERRED with none is the node of the thread that touches.
 * Pages of a file that is neither a memfd nor on tmpfs or hugetlbfs come from
 * the page cache, which heeds no policy.
 */
void vmmem_policy_set_numa(struct vmmem_policy *policy, uint32_t mode,
			   const uint32_t *nodes, size_t count);

/*
 * vmmem_policy_set_reserve() sets one of VMMEM_RESERVE_....  YES reserves
 * memory when the region is built: huge pages of the pool; blocks of a memfd,
 * or of a regular file that is mapped shared (fallocate(2)); for private
 * memory, what the system's overcommit accounting counts.  With NO a shortage
 * is found when a page is touched: then it is a signal.
 */
void vmmem_policy_set_reserve(struct vmmem_policy *policy, uint32_t reserve);

/* vmmem_policy_set_lock() sets one of VMMEM_LOCK_...: mlock2(2). */
void vmmem_policy_set_lock(struct vmmem_policy *policy, uint32_t lock);

/*
 * vmmem_policy_set_guard() puts at least 'bytes' bytes that nobody can access
 * before and after the region's pages; 0, the default, for none.  Rounded up
 * to whole pages.  The bytes between a region's last byte and the end of its
 * last page are no guard.
 */
void vmmem_policy_set_guard(struct vmmem_policy *policy, uint64_t bytes);

/*
 * vmmem_policy_set_alignment() makes guest and host address agree modulo
 * 'bytes', a power of two; 0 for the default.  A hypervisor maps huge pages to
 * the guest only where the two agree modulo that page size.
 *
 * The default is 16; and, without a policy too, the size of transparent huge
 * pages (2 MiB where pages have 4 KiB) if one fits the region, the region
 * begins with a page, and neither huge pages of the pool nor VMMEM_THP_NO are
 * asked for.  In a memfd of the library's the offsets then agree as well, so
 * that the file may be longer than the region, by less than a huge page that is
 * never touched.
 */
void vmmem_policy_set_alignment(struct vmmem_policy *policy, uint64_t bytes);

/*
 * vmmem_policy_set_dont_dump() leaves the memory out of core dumps if
 * 'dont_dump' is not 0.
 */
void vmmem_policy_set_dont_dump(struct vmmem_policy *policy, int dont_dump);

/*
 * vmmem_policy_set_dont_fork() keeps the memory from children if 'dont_fork'
 * is not 0.  A child must not access the region; it may unref it, and its own
 * mappings in that place stay.
 */
void vmmem_policy_set_dont_fork(struct vmmem_policy *policy, int dont_fork);

/*
 * vmmem_policy_set_prefault() makes all pages while the region is built, by
 * 'threads' threads of which the caller's is one; 0, the default, for none.  If
 * the system has no page to give, build returns a code.  The threads run no
 * code of the caller's, have all signals blocked, and are gone when build
 * returns.
 */
void vmmem_policy_set_prefault(struct vmmem_policy *policy, uint32_t threads);

/*
 * vmmem_policy_set_progress() has 'progress' called while prefaulting, on the
 * thread that builds, with no lock held: after each piece that this thread
 * made, at most 64 MiB or a page, and at the end.  'done' of 'total' bytes
 * are there; 'done' never falls.  The pages are not yet the guest's, and their
 * number is rounded up to whole pages.  If it returns a negative code, the
 * threads stop after the piece they are at, all is unmapped, and build returns
 * that code; VMMEM_ESTOPPED is there for it.  A positive value is passed on
 * as VMMEM_ECALLBACK.  NULL, the default, for none.
 */
void vmmem_policy_set_progress(struct vmmem_policy *policy,
			       int (*progress)(void *opaque, uint64_t done,
					       uint64_t total),
			       void *opaque);

/*
 * struct vmmem_policy_report is what a region really has.  The caller sets
 * 'size' to sizeof(struct vmmem_policy_report).  Members are only ever added at
 * the end; those that the library does not know become 0.
 */
struct vmmem_policy_report {
	size_t size;
	uint64_t page_size;  /* as vmmem_region_page_size() */
	uint64_t guard;	     /* bytes before, and after, the pages */
	uint64_t alignment;  /* guest and host agree modulo this power of 2 */
	uint64_t prefaulted; /* bytes that were made when it was built */
	uint64_t nodes;	     /* those of 'numa' below 64, as bits */
	uint32_t threads;    /* that prefaulted */
	uint32_t seals;	     /* of its file, now; 0 if it can have none */
	uint32_t thp;	     /* VMMEM_THP_... */
	uint32_t numa;	     /* VMMEM_NUMA_..., as the system has it now */
	uint32_t reserve;    /* VMMEM_RESERVE_NO or _YES; or DEFAULT: unknown */
	uint32_t lock;	     /* VMMEM_LOCK_... */
	uint32_t dont_dump;  /* 0 or 1 */
	uint32_t dont_fork;  /* 0 or 1 */
};

/*
 * vmmem_region_policy_report() stores what 'region' was given.  An alias
 * answers for its target, except for the alignment.  Of external memory and
 * custom regions only 'page_size', 'alignment', 'nodes' and 'numa' are known.
 * Without a host address 'alignment' is 0; where guest and host address agree
 * in all 64 bits it is 2^63.  On a system without NUMA 'numa' is
 * VMMEM_NUMA_DEFAULT.
 *
 * Any thread that holds a reference.  Makes system calls.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'region' or 'ret_granted' is NULL
 *   VMMEM_ESTRUCTSIZE  ret_granted->size is below that of version 0.9 or above
 *                      4096
 *   -errno             what fcntl(2) or get_mempolicy(2) said
 */
VMMEM_NODISCARD int
vmmem_region_policy_report(const struct vmmem_region *region,
			   struct vmmem_policy_report *ret_granted);

VMMEM_END_DECLS

#endif
