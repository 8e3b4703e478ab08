/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Policies: applying them, and asking the system what it gave. */
#include <vmmem/error.h>
#include <vmmem/policy.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/api.h"
#include "region/policy_priv.h"
#include "region/prefault.h"
#include "region/quiet.h"
#include "region/region_priv.h"
#include "base/struct_size.h"

_Static_assert(VMMEM_SEAL_SEAL == F_SEAL_SEAL &&
		       VMMEM_SEAL_SHRINK == F_SEAL_SHRINK &&
		       VMMEM_SEAL_GROW == F_SEAL_GROW &&
		       VMMEM_SEAL_WRITE == F_SEAL_WRITE &&
		       VMMEM_SEAL_FUTURE_WRITE == F_SEAL_FUTURE_WRITE,
	       "passed to fcntl() as they are");

/* Newer than the oldest headers that serve: Linux 5.15 and 6.9. */
#define MODE_PREFERRED_MANY 5
#define MODE_WEIGHTED_INTERLEAVE 6

/* Flags that the system may put beside the mode. */
#define MODE_MASK 0xff

static int
advise(void *address, size_t len, int advice)
{
	return madvise(address, len, advice) != 0 ? -errno : 0;
}

static int
mode_of(const struct vmmem_policy_settings *policy)
{
	switch (policy->numa) {
	case VMMEM_NUMA_BIND:
		return MPOL_BIND;
	case VMMEM_NUMA_INTERLEAVE:
		return MPOL_INTERLEAVE;
	default:
		/* The older mode takes one node, or the thread's own. */
		return policy->node_count > 1 ? MODE_PREFERRED_MANY :
						MPOL_PREFERRED;
	}
}

static int
bind_nodes(const struct vmmem_policy_settings *policy, void *address,
	   size_t len)
{
	/* One more than there are bits: the system subtracts one. */
	unsigned long max = VMMEM_NUMA_NODES_MAX + 1;
	bool empty = policy->node_count == 0;

	/* glibc has no wrapper. */
	if (syscall(SYS_mbind, address, len, mode_of(policy),
		    empty ? NULL : policy->nodes, empty ? 0UL : max,
		    0UL) == 0)
		return 0;
	switch (errno) {
	case ENOSYS:
		return VMMEM_ENOSUPPORT;
	case EINVAL:
		/* A node that is not there, or not for this process. */
		return VMMEM_ENONODE;
	default:
		return -errno;
	}
}

int
vmmem_policy_advise(const struct vmmem_policy_settings *policy, void *address,
		    size_t len)
{
	int rc = 0;

	if (policy->thp != VMMEM_THP_DEFAULT) {
		rc = advise(address, len,
			    policy->thp == VMMEM_THP_YES ? MADV_HUGEPAGE :
							   MADV_NOHUGEPAGE);
		if (rc == -EINVAL)
			rc = VMMEM_ENOSUPPORT;
	}
	if (rc == 0 && policy->dont_dump)
		rc = advise(address, len, MADV_DONTDUMP);
	if (rc == 0 && policy->dont_fork)
		rc = advise(address, len, MADV_DONTFORK);
	if (rc == 0 && policy->numa != VMMEM_NUMA_DEFAULT)
		rc = bind_nodes(policy, address, len);
	return rc;
}

int
vmmem_policy_lock(void *address, size_t len, uint32_t how)
{
	unsigned int flags = how == VMMEM_LOCK_ON_FAULT ? MLOCK_ONFAULT : 0;

	if (mlock2(address, len, flags) == 0)
		return 0;
	/* Older than Linux 4.4, or something between that is. */
	return errno == EINVAL && flags != 0 ? VMMEM_ENOSUPPORT : -errno;
}

/*
 * One call allocates so much at most, and less if a signal interrupts it: many
 * kernels then undo all that it did, and a timer may send the next too soon.
 */
#define ALLOCATION ((uint64_t)64 << 20)

/* allocate() gives a region's file all its blocks. */
static int
allocate(const struct vmmem_region *region)
{
	uint64_t offset = region->fd_offset, most = ALLOCATION;
	uint64_t left = region->last - region->start + 1, len;

	while (left != 0) {
		len = left < most ? left : most;
		if (fallocate(region->fd, FALLOC_FL_KEEP_SIZE, (off_t)offset,
			      (off_t)len) == 0) {
			offset += len;
			left -= len;
		} else if (errno != EINTR) {
			return errno == EOPNOTSUPP ? VMMEM_ENOSUPPORT : -errno;
		} else if (len > region->page_size) {
			most = len / 2;
		}
	}
	return 0;
}

/*
 * reserve_blocks() reserves what mmap() does not: the blocks of a file.  mmap()
 * itself has reserved the pages of the huge page pool.
 */
static int
reserve_blocks(const struct vmmem_region *region)
{
	struct vmmem_quiet quiet;
	int rc;

	if (region->policy.reserve != VMMEM_RESERVE_YES ||
	    !vmmem_region_is_shared(region) ||
	    region->huge_pages != VMMEM_HUGE_PAGES_NO)
		return 0;
	/* Prefaulting does as much, and where it may takes huge pages. */
	if (region->policy.threads != 0 &&
	    (region->protection & VMMEM_PROT_WRITE) != 0)
		return 0;
	/* If a peer has cut the file, the process may pass its limit. */
	vmmem_quiet_begin(&quiet);
	rc = allocate(region);
	vmmem_quiet_end(&quiet, rc);
	return rc;
}

static int
prefault(struct vmmem_region *region)
{
	struct vmmem_prefault work = {
		.address = region->pages,
		.len = region->pages_len,
		.page_size = (size_t)region->page_size,
		.advice = (region->protection & VMMEM_PROT_WRITE) != 0 ?
				  MADV_POPULATE_WRITE :
				  MADV_POPULATE_READ,
		.threads = region->policy.threads,
		.progress = region->policy.progress,
		.opaque = region->policy.opaque,
	};

	/* A device whose pages nobody knows has at least the system's. */
	if (work.page_size == 0)
		work.page_size = (size_t)sysconf(_SC_PAGESIZE);
	return vmmem_prefault(&work, &region->policy.threads);
}

int
vmmem_policy_apply(struct vmmem_region *region)
{
	const struct vmmem_policy_settings *policy = &region->policy;
	uint32_t lock = policy->lock;
	int rc;

	rc = vmmem_policy_advise(policy, region->pages, region->pages_len);
	if (rc == 0)
		rc = reserve_blocks(region);
	/*
	 * Several threads make pages faster than mlock2() does, and with
	 * progress; the limit on locked memory is still found out now.
	 */
	if (policy->threads != 0 && lock == VMMEM_LOCK_NOW)
		lock = VMMEM_LOCK_ON_FAULT;
	if (rc == 0 && lock != VMMEM_LOCK_NO)
		rc = vmmem_policy_lock(region->pages, region->pages_len, lock);
	if (rc == 0 && policy->threads != 0)
		rc = prefault(region);
	return rc;
}

/* seals_of() asks for the seals; a file that can have none has none. */
static int
seals_of(const struct vmmem_region *region, uint32_t *ret_seals)
{
	int seals;

	*ret_seals = 0;
	if (region->fd < 0)
		return 0;
	seals = fcntl(region->fd, F_GET_SEALS);
	if (seals < 0)
		return errno == EINVAL ? 0 : -errno;
	*ret_seals = (uint32_t)seals;
	return 0;
}

static int
nodes_of(const struct vmmem_region *region, uint32_t *ret_numa,
	 uint64_t *ret_nodes)
{
	unsigned long nodes[VMMEM_NUMA_NODES_MAX / VMMEM_NODE_BITS] = { 0 };
	int mode;

	*ret_numa = VMMEM_NUMA_DEFAULT;
	*ret_nodes = 0;
	if (region->host == NULL)
		return 0;
	if (syscall(SYS_get_mempolicy, &mode, nodes,
		    (unsigned long)VMMEM_NUMA_NODES_MAX, region->host,
		    (unsigned long)MPOL_F_ADDR) != 0)
		return errno == ENOSYS ? 0 : -errno;
	switch (mode & MODE_MASK) {
	case MPOL_BIND:
		*ret_numa = VMMEM_NUMA_BIND;
		break;
	case MPOL_PREFERRED:
	case MODE_PREFERRED_MANY:
		*ret_numa = VMMEM_NUMA_PREFERRED;
		break;
	case MPOL_INTERLEAVE:
	case MODE_WEIGHTED_INTERLEAVE:
		*ret_numa = VMMEM_NUMA_INTERLEAVE;
		break;
	default:
		return 0;
	}
	*ret_nodes = nodes[0];
	return 0;
}

static uint32_t
reserve_of(const struct vmmem_region *region)
{
	uint32_t flags = region->mapping_flags;
	bool shared = (flags & (uint32_t)MAP_TYPE) != MAP_PRIVATE;

	if (region->map == NULL)
		return VMMEM_RESERVE_DEFAULT;
	if ((flags & (uint32_t)MAP_NORESERVE) != 0)
		return VMMEM_RESERVE_NO;
	if (region->huge_pages == VMMEM_HUGE_PAGES_YES || !shared)
		return VMMEM_RESERVE_YES;
	/*
	 * mmap() reserves nothing of a file; reserve_blocks() did if it was
	 * asked.
	 */
	return region->policy.reserve == VMMEM_RESERVE_YES ? VMMEM_RESERVE_YES :
							      VMMEM_RESERVE_NO;
}

/* The greatest power of two modulo which two addresses agree. */
static uint64_t
agreement(uint64_t gpa, const unsigned char *host)
{
	uint64_t differ = gpa ^ (uintptr_t)host;

	if (host == NULL)
		return 0;
	return differ != 0 ? differ & -differ : UINT64_C(1) << 63;
}

VMMEM_API int
vmmem_region_policy_report(const struct vmmem_region *region,
			   struct vmmem_policy_report *ret_granted)
{
	struct vmmem_policy_report granted = { 0 };
	const struct vmmem_region *owner;
	int rc;

	if (region == NULL || ret_granted == NULL)
		return VMMEM_EARGUMENT;
	owner = vmmem_region_owner(region);
	rc = seals_of(owner, &granted.seals);
	if (rc == 0)
		rc = nodes_of(owner, &granted.numa, &granted.nodes);
	if (rc != 0)
		return rc;
	granted.page_size = owner->page_size;
	granted.guard = owner->guard;
	granted.alignment = agreement(region->start, region->host);
	if (owner->policy.threads != 0)
		granted.prefaulted = owner->pages_len;
	granted.threads = owner->policy.threads;
	granted.thp = owner->policy.thp;
	granted.reserve = reserve_of(owner);
	granted.lock = owner->policy.lock;
	granted.dont_dump = owner->policy.dont_dump;
	granted.dont_fork = owner->policy.dont_fork;
	return vmmem_struct_give(&granted, sizeof(granted),
				 VMMEM_POLICY_REPORT_SIZE_0_9,
				 ret_granted);
}
