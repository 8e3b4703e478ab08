/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The settings of a policy; a builder and a region hold copies. */
#ifndef POLICY_PRIV_H
#define POLICY_PRIV_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <vmmem/policy.h>

#define VMMEM_NODE_BITS (sizeof(unsigned long) * CHAR_BIT)

struct vmmem_policy_settings {
	bool set;	     /* something was asked for */
	bool seals_set;	     /* else the usual ones */
	bool nodes_missing;  /* a NULL array */
	bool nodes_too_high; /* a number that no node has */
	bool dont_dump;
	bool dont_fork;
	uint32_t seals;
	uint32_t thp;
	uint32_t numa;
	uint32_t reserve;
	uint32_t lock;
	uint32_t threads;
	size_t node_count; /* different ones */
	uint64_t guard;
	uint64_t alignment;
	int (*progress)(void *opaque, uint64_t done, uint64_t total);
	void *opaque;
	unsigned long nodes[VMMEM_NUMA_NODES_MAX / VMMEM_NODE_BITS];
};

struct vmmem_policy {
	struct vmmem_policy_settings settings;
};

struct vmmem_region_settings;

/*
 * vmmem_policy_check() says what is wrong with the policy of 'settings', as
 * far as that can be told before anything is mapped.
 */
int vmmem_policy_check(struct vmmem_region_settings *settings);

/*
 * vmmem_policy_advise() gives [address, address + len), whole pages that were
 * just mapped, the settings that need no page: advice and nodes.
 */
int vmmem_policy_advise(const struct vmmem_policy_settings *policy,
			void *address, size_t len);

/* vmmem_policy_lock() locks pages; 'how' is one of VMMEM_LOCK_.... */
int vmmem_policy_lock(void *address, size_t len, uint32_t how);

/*
 * vmmem_policy_apply() applies the whole policy to the region's pages, which
 * were just mapped: vmmem_policy_advise(), reserving, locking, prefaulting.
 */
int vmmem_policy_apply(struct vmmem_region *region);

#endif
