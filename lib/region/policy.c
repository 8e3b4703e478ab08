/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Policies: how the library gets memory. */
#include <vmmem/error.h>
#include <vmmem/policy.h>

#include <errno.h>
#include <stdlib.h>

#include "base/api.h"
#include "region/policy_priv.h"
#include "region/region_priv.h"

/* Without WRITE: the region itself could not be mapped. */
#define SEALS_KNOWN                                                        \
	(VMMEM_SEAL_SEAL | VMMEM_SEAL_SHRINK | VMMEM_SEAL_GROW |           \
	 VMMEM_SEAL_FUTURE_WRITE | VMMEM_SEAL_EXEC)

VMMEM_API struct vmmem_policy *
vmmem_policy_new(void)
{
	return calloc(1, sizeof(struct vmmem_policy));
}

VMMEM_API struct vmmem_policy *
vmmem_policy_free(struct vmmem_policy *policy)
{
	free(policy);
	return NULL;
}

/* change() begins each setter; it returns NULL if there is no policy. */
static struct vmmem_policy_settings *
change(struct vmmem_policy *policy)
{
	if (policy == NULL)
		return NULL;
	policy->settings.set = true;
	return &policy->settings;
}

VMMEM_API void
vmmem_policy_set_seals(struct vmmem_policy *policy, uint32_t seals)
{
	struct vmmem_policy_settings *settings = change(policy);

	if (settings == NULL)
		return;
	settings->seals = seals;
	settings->seals_set = true;
}

VMMEM_API void
vmmem_policy_set_thp(struct vmmem_policy *policy, uint32_t thp)
{
	struct vmmem_policy_settings *settings = change(policy);

	if (settings != NULL)
		settings->thp = thp;
}

VMMEM_API void
vmmem_policy_set_numa(struct vmmem_policy *policy, uint32_t mode,
		      const uint32_t *nodes, size_t count)
{
	struct vmmem_policy_settings *settings = change(policy);
	size_t i;

	if (settings == NULL)
		return;
	settings->numa = mode;
	settings->nodes_missing = nodes == NULL && count != 0;
	settings->nodes_too_high = false;
	settings->node_count = 0;
	for (i = 0; i < sizeof(settings->nodes) / sizeof(unsigned long); i++)
		settings->nodes[i] = 0;
	for (i = 0; i < count && nodes != NULL; i++) {
		unsigned long *word, bit;

		if (nodes[i] >= VMMEM_NUMA_NODES_MAX) {
			settings->nodes_too_high = true;
			return;
		}
		word = &settings->nodes[nodes[i] / VMMEM_NODE_BITS];
		bit = 1UL << nodes[i] % VMMEM_NODE_BITS;
		settings->node_count += (*word & bit) == 0;
		*word |= bit;
	}
}

VMMEM_API void
vmmem_policy_set_reserve(struct vmmem_policy *policy, uint32_t reserve)
{
	struct vmmem_policy_settings *settings = change(policy);

	if (settings != NULL)
		settings->reserve = reserve;
}

VMMEM_API void
vmmem_policy_set_lock(struct vmmem_policy *policy, uint32_t lock)
{
	struct vmmem_policy_settings *settings = change(policy);

	if (settings != NULL)
		settings->lock = lock;
}

VMMEM_API void
vmmem_policy_set_guard(struct vmmem_policy *policy, uint64_t bytes)
{
	struct vmmem_policy_settings *settings = change(policy);

	if (settings != NULL)
		settings->guard = bytes;
}

VMMEM_API void
vmmem_policy_set_alignment(struct vmmem_policy *policy, uint64_t bytes)
{
	struct vmmem_policy_settings *settings = change(policy);

	if (settings != NULL)
		settings->alignment = bytes;
}

VMMEM_API void
vmmem_policy_set_dont_dump(struct vmmem_policy *policy, int dont_dump)
{
	struct vmmem_policy_settings *settings = change(policy);

	if (settings != NULL)
		settings->dont_dump = dont_dump != 0;
}

VMMEM_API void
vmmem_policy_set_dont_fork(struct vmmem_policy *policy, int dont_fork)
{
	struct vmmem_policy_settings *settings = change(policy);

	if (settings != NULL)
		settings->dont_fork = dont_fork != 0;
}

VMMEM_API void
vmmem_policy_set_prefault(struct vmmem_policy *policy, uint32_t threads)
{
	struct vmmem_policy_settings *settings = change(policy);

	if (settings != NULL)
		settings->threads = threads;
}

VMMEM_API void
vmmem_policy_set_progress(struct vmmem_policy *policy,
			  int (*progress)(void *opaque, uint64_t done,
					  uint64_t total),
			  void *opaque)
{
	struct vmmem_policy_settings *settings = change(policy);

	if (settings == NULL)
		return;
	settings->progress = progress;
	settings->opaque = opaque;
}

static int
check_nodes(struct vmmem_region_settings *settings)
{
	const struct vmmem_policy_settings *policy = &settings->policy;
	const int code = VMMEM_EARGUMENT;

	if (policy->nodes_missing)
		return vmmem_region_refuse(
			settings, code, "The policy's array of nodes is NULL");
	if (policy->numa > VMMEM_NUMA_INTERLEAVE)
		return vmmem_region_refuse(settings, code,
					   "The policy's NUMA mode is unknown");
	if (policy->nodes_too_high)
		return vmmem_region_refuse(
			settings, VMMEM_ENONODE,
			"The policy has a node that none can be");
	if (policy->numa == VMMEM_NUMA_DEFAULT)
		return policy->node_count == 0 ?
			       0 :
			       vmmem_region_refuse(
				       settings, code,
				       "The policy has nodes without a "
				       "NUMA mode");
	if (policy->numa != VMMEM_NUMA_PREFERRED && policy->node_count == 0)
		return vmmem_region_refuse(
			settings, code, "The policy's NUMA mode has no nodes");
	return 0;
}

/* check_values() finds values that are wrong for every region. */
static int
check_values(struct vmmem_region_settings *settings)
{
	const struct vmmem_policy_settings *policy = &settings->policy;
	const char *why = NULL;

	if (policy->seals_set && settings->kind != VMMEM_REGION_MEMFD)
		why = "The policy has seals, and the backing is no memfd";
	else if (policy->seals_set && (policy->seals & ~SEALS_KNOWN) != 0)
		why = "The policy has a seal that memory cannot have";
	else if (policy->thp > VMMEM_THP_NO)
		why = "The policy's value for transparent huge pages is "
		      "unknown";
	else if (policy->reserve > VMMEM_RESERVE_YES)
		why = "The policy's value for reserving is unknown";
	else if (policy->lock > VMMEM_LOCK_ON_FAULT)
		why = "The policy's value for locking is unknown";
	else if (policy->threads > VMMEM_PREFAULT_THREADS_MAX)
		why = "The policy has too many threads to prefault";
	else if ((policy->alignment & (policy->alignment - 1)) != 0)
		why = "The policy's alignment is not a power of two";
	return why != NULL ?
		       vmmem_region_refuse(settings, VMMEM_EARGUMENT, why) :
		       0;
}

int
vmmem_policy_check(struct vmmem_region_settings *settings)
{
	const struct vmmem_policy_settings *policy = &settings->policy;
	const uint32_t touching = VMMEM_PROT_READ | VMMEM_PROT_WRITE;
	int rc;

	if (!policy->set)
		return 0;
	if (settings->kind > VMMEM_REGION_FILE)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"A policy is for memory that the library "
			"maps");
	rc = check_values(settings);
	if (rc != 0)
		return rc;
	if (policy->thp != VMMEM_THP_DEFAULT && settings->huge_page_size != 0)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"The policy's transparent huge pages "
			"contradict the huge page size");
	/* Memory that may not be accessed cannot be prefaulted. */
	if (policy->threads != 0 && (settings->protection & touching) == 0)
		return vmmem_region_refuse(
			settings, VMMEM_EARGUMENT,
			"The policy prefaults what the protection "
			"does not let touch");
	return check_nodes(settings);
}
