/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The iommu over an iotlb: misses, and those that wait for an answer. */
#include <vmmem/address.h>
#include <vmmem/error.h>
#include <vmmem/iommu.h>

#include <errno.h>
#include <stdlib.h>

#include "base/api.h"
#include "dirty/bitmap_priv.h"
#include "dirty/logging.h"
#include "base/futex.h"
#include "iommu/iommu_priv.h"
#include "base/struct_size.h"

#define ACCESS_KNOWN (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

/*
 * A handler says that it has mapped what then is not there: another thread may
 * have removed it, or many others needed the room.  So often it is believed.
 */
#define ANSWERS_MAX 64

VMMEM_API int
vmmem_iommu_new(struct vmmem_iotlb *iotlb,
		const struct vmmem_iommu_options *options,
		struct vmmem_iommu **ret_iommu)
{
	struct vmmem_iommu_options known = { 0 };
	struct vmmem_iommu *iommu;
	uint64_t last;
	int rc;

	if (iotlb == NULL || ret_iommu == NULL)
		return VMMEM_EARGUMENT;
	if (options != NULL) {
		rc = vmmem_struct_take(options, &known, sizeof(known),
				       sizeof(known));
		if (rc != 0)
			return rc;
	}
	if (known.log == NULL && known.log_start != 0)
		return VMMEM_EARGUMENT;
	/* A bitmap that has no bytes yet may get some. */
	if (known.log != NULL &&
	    vmmem_address_range_last(known.log_start, known.log->max_len,
				     &last) != 0)
		return VMMEM_EWRAPS;

	iommu = calloc(1, sizeof(*iommu));
	if (iommu == NULL)
		return -ENOMEM;
	rc = pthread_mutex_init(&iommu->lock, NULL);
	if (rc != 0) {
		free(iommu);
		return -rc;
	}
	atomic_init(&iommu->refs, 1);
	LIST_INIT(&iommu->words);
	iommu->iotlb = vmmem_iotlb_ref(iotlb);
	iommu->log = vmmem_bitmap_ref(known.log);
	iommu->log_start = known.log_start;
	iommu->enabled = 1;
	iommu->timeout = known.timeout;
	iommu->miss = known.miss;
	iommu->tell_unlogged = known.unlogged;
	iommu->destroy = known.destroy;
	iommu->opaque = known.opaque;
	*ret_iommu = iommu;
	return 0;
}

VMMEM_API struct vmmem_iommu *
vmmem_iommu_ref(struct vmmem_iommu *iommu)
{
	/*
	 * Relaxed: whoever calls holds a reference already, so the count
	 * cannot reach zero meanwhile, and nothing is published by this.
	 */
	if (iommu != NULL)
		atomic_fetch_add_explicit(&iommu->refs, 1,
					  memory_order_relaxed);
	return iommu;
}

VMMEM_API struct vmmem_iommu *
vmmem_iommu_unref(struct vmmem_iommu *iommu)
{
	/*
	 * Release: this thread's accesses come before the count drops.
	 * Acquire, for the last one: all other threads' come before the end.
	 */
	if (iommu == NULL ||
	    atomic_fetch_sub_explicit(&iommu->refs, 1, memory_order_acq_rel) !=
		    1)
		return NULL;
	vmmem_iotlb_unref(iommu->iotlb);
	vmmem_bitmap_unref(iommu->log);
	pthread_mutex_destroy(&iommu->lock);
	if (iommu->destroy != NULL)
		iommu->destroy(iommu->opaque);
	free(iommu);
	return NULL;
}

VMMEM_API struct vmmem_iotlb *
vmmem_iommu_iotlb(const struct vmmem_iommu *iommu)
{
	return iommu != NULL ? iommu->iotlb : NULL;
}

/*
 * set_word() follows the switch.  Release: as for 'enabled', of which it is a
 * copy.
 */
static void
set_word(const struct vmmem_iommu *iommu, const struct vmmem_iommu_word *word)
{
	__atomic_store_n(word->word, iommu->enabled != 0 ? 0 : word->off,
			 __ATOMIC_RELEASE);
}

VMMEM_API int
vmmem_iommu_set_enabled(struct vmmem_iommu *iommu, int enabled)
{
	const struct vmmem_iommu_word *word;

	if (iommu == NULL)
		return VMMEM_EARGUMENT;
	pthread_mutex_lock(&iommu->lock);
	/* Release: what was mapped before is found by who finds it on. */
	__atomic_store_n(&iommu->enabled, enabled != 0, __ATOMIC_RELEASE);
	LIST_FOREACH(word, &iommu->words, link)
		set_word(iommu, word);
	pthread_mutex_unlock(&iommu->lock);
	/* Who waits for a translation needs none any more. */
	vmmem_iotlb_wake(iommu->iotlb);
	return 0;
}

VMMEM_API int
vmmem_iommu_is_enabled(const struct vmmem_iommu *iommu)
{
	return iommu != NULL && vmmem_iommu_is_on(iommu);
}

void
vmmem_iommu_attach(struct vmmem_iommu *iommu, struct vmmem_iommu_word *word)
{
	pthread_mutex_lock(&iommu->lock);
	LIST_INSERT_HEAD(&iommu->words, word, link);
	set_word(iommu, word);
	pthread_mutex_unlock(&iommu->lock);
}

void
vmmem_iommu_detach(struct vmmem_iommu *iommu, struct vmmem_iommu_word *word)
{
	pthread_mutex_lock(&iommu->lock);
	LIST_REMOVE(word, link);
	pthread_mutex_unlock(&iommu->lock);
}

VMMEM_API void
vmmem_iommu_set_timeout(struct vmmem_iommu *iommu, uint64_t timeout)
{
	/* Relaxed: a number by itself. */
	if (iommu != NULL)
		__atomic_store_n(&iommu->timeout, timeout, __ATOMIC_RELAXED);
}

VMMEM_API void
vmmem_iommu_retry(struct vmmem_iommu *iommu)
{
	if (iommu == NULL)
		return;
	/* Release: what the handler will say comes before. */
	__atomic_fetch_add(&iommu->retries, 1, __ATOMIC_RELEASE);
	vmmem_iotlb_wake(iommu->iotlb);
}

/* begin_to_wait() sets the deadline of an access. */
static void
begin_to_wait(const struct vmmem_iommu *iommu, struct vmmem_iommu_wait *wait)
{
	uint64_t timeout = wait->timeout;

	if (wait->begun)
		return;
	/* Relaxed: a number by itself. */
	if (!wait->has_timeout)
		timeout = __atomic_load_n(&iommu->timeout, __ATOMIC_RELAXED);
	wait->begun = true;
	wait->ever = timeout == VMMEM_FOREVER;
	if (!wait->ever)
		wait->deadline = vmmem_futex_deadline(timeout);
}

/* why() is why an entry, or a gap, does not do; or VMMEM_IOTLB_HIT: it does. */
static uint32_t
why(const struct vmmem_iotlb_entry *entry, uint32_t access)
{
	if (entry->flags == 0)
		return VMMEM_IOTLB_MISS;
	return (access & ~entry->flags) == 0 ? VMMEM_IOTLB_HIT :
					       VMMEM_IOTLB_DENIED;
}

/*
 * wait_for_answer() sleeps until 'iova' has what 'access' needs, until it is
 * worth while to ask again, or until the deadline.  Returns 0 or an -errno.
 *
 * The question is open as long as no translation of 'iova' has come: a front end
 * that gets a question twice may answer the second one when the guest has the
 * page back already, so it is asked again only if an answer came and is gone.
 */
static int
wait_for_answer(struct vmmem_iommu *iommu, struct vmmem_iotlb_waiter *waiter,
		uint32_t access, uint32_t reason, uint32_t retries,
		const struct vmmem_iommu_wait *wait)
{
	struct vmmem_iotlb *iotlb = iommu->iotlb;
	struct vmmem_iotlb_entry entry;
	uint32_t changes;
	int rc = 0;

	while (rc == 0 && vmmem_iommu_is_on(iommu)) {
		changes = vmmem_iotlb_changes(iotlb);
		vmmem_iotlb_find(&iotlb->table, waiter->iova, &entry);
		if (reason != why(&entry, access))
			break;
		/* Acquire: see vmmem_iommu_retry(), which wakes after it. */
		if (retries !=
		    __atomic_load_n(&iommu->retries, __ATOMIC_ACQUIRE))
			break;
		/* What came and still denies is an answer, too. */
		if (reason == VMMEM_IOTLB_MISS &&
		    vmmem_iotlb_was_answered(iotlb, waiter))
			break;
		rc = vmmem_iotlb_wait(iotlb, changes,
				      wait->ever ? NULL : &wait->deadline);
	}
	return rc;
}

/* ask() calls the handler, and waits for an answer that comes later. */
static int
ask(struct vmmem_iommu *iommu, uint64_t iova, uint64_t len, uint32_t access,
    uint32_t reason, struct vmmem_iommu_wait *wait)
{
	struct vmmem_iotlb_waiter waiter = { .iova = iova };
	uint32_t retries;
	int rc;

	if (wait->iova != iova || wait->reason != reason) {
		wait->iova = iova;
		wait->reason = reason;
		wait->answers = 0;
	}
	/* Answers that come and go again and again are no reason to stay. */
	if (wait->begun && !wait->ever && vmmem_futex_is_past(&wait->deadline))
		return -ETIMEDOUT;
	/* Acquire: what vmmem_iommu_retry() was called for is seen. */
	retries = __atomic_load_n(&iommu->retries, __ATOMIC_ACQUIRE);
	vmmem_iotlb_before_asking(iommu->iotlb, &waiter);
	rc = iommu->miss(iommu->opaque, iova, len, access, reason);
	if (rc == VMMEM_IOMMU_LATER) {
		begin_to_wait(iommu, wait);
		vmmem_iotlb_add_waiter(iommu->iotlb, &waiter);
		rc = wait_for_answer(iommu, &waiter, access, reason, retries,
				     wait);
		vmmem_iotlb_remove_waiter(iommu->iotlb, &waiter);
		return rc;
	}
	if (rc == 0 && ++wait->answers > ANSWERS_MAX)
		return reason == VMMEM_IOTLB_MISS ? VMMEM_EIOMMUMISS :
						    VMMEM_EDENIED;
	return rc > 0 ? VMMEM_ECALLBACK : rc;
}

VMMEM_COLD int
vmmem_iommu_miss(struct vmmem_iommu *iommu,
		 const struct vmmem_iotlb_entry *entry, uint64_t iova,
		 uint64_t len, uint32_t access, struct vmmem_iommu_wait *wait)
{
	const uint32_t reason = why(entry, access);

	/* Relaxed: a count. */
	__atomic_fetch_add(&iommu->misses, 1, __ATOMIC_RELAXED);
	if (iommu->miss == NULL)
		return reason == VMMEM_IOTLB_MISS ? VMMEM_EIOMMUMISS :
						    VMMEM_EDENIED;
	/*
	 * No more of the access than is all missing, or all of one entry; which
	 * ends at 2^64 - 1 at the latest.
	 */
	if (len - 1 > entry->last - iova)
		len = entry->last - iova + 1;
	return ask(iommu, iova, len, access, reason, wait);
}

VMMEM_API int
vmmem_iommu_resolve(struct vmmem_iommu *iommu, uint64_t iova, uint64_t len,
		    uint32_t access, uint64_t timeout, uint64_t *ret_bad)
{
	struct vmmem_iommu_wait wait = {
		.has_timeout = true,
		.timeout = timeout,
	};
	struct vmmem_iotlb_entry entry;
	int rc = 0;

	if (iommu == NULL || (access & ~ACCESS_KNOWN) != 0)
		return VMMEM_EARGUMENT;
	while (len != 0 && vmmem_iommu_is_on(iommu)) {
		vmmem_iotlb_find(&iommu->iotlb->table, iova, &entry);
		if (why(&entry, access) != VMMEM_IOTLB_HIT) {
			rc = vmmem_iommu_miss(iommu, &entry, iova, len, access,
					      &wait);
			if (rc == 0)
				continue;
			if (ret_bad != NULL)
				*ret_bad = iova;
			return rc;
		}
		if (len - 1 <= entry.last - iova)
			break;
		if (entry.last == UINT64_MAX)
			return VMMEM_EWRAPS;
		len -= entry.last - iova + 1;
		iova = entry.last + 1;
	}
	return 0;
}

VMMEM_API uint64_t
vmmem_iommu_misses(const struct vmmem_iommu *iommu)
{
	/* Relaxed: a count. */
	return iommu != NULL ?
		       __atomic_load_n(&iommu->misses, __ATOMIC_RELAXED) :
		       0;
}

VMMEM_API uint64_t
vmmem_iommu_unlogged(const struct vmmem_iommu *iommu, uint64_t *ret_iova)
{
	uint64_t count;

	if (iommu == NULL)
		return 0;
	/* Acquire, the count: its address, or a later one, is there. */
	count = __atomic_load_n(&iommu->unlogged, __ATOMIC_ACQUIRE);
	if (count != 0 && ret_iova != NULL)
		*ret_iova = __atomic_load_n(&iommu->unlogged_iova,
					    __ATOMIC_RELAXED);
	return count;
}

uint64_t
vmmem_iommu_logged(const struct vmmem_iommu *iommu, uint64_t iova,
		   uint64_t len, uint64_t *ret_offset)
{
	const uint64_t size = vmmem_bitmap_len_now(iommu->log);
	const uint64_t offset = iova - iommu->log_start;

	/* Below the start this wraps, past any size there may be. */
	if (offset >= size)
		return 0;
	*ret_offset = offset;
	return len < size - offset ? len : size - offset;
}

/* lose() counts bytes that are not in the log, and tells. */
static VMMEM_COLD void
lose(struct vmmem_iommu *iommu, uint64_t iova, uint64_t len)
{
	/* Relaxed: of two that race, either is the latest. */
	__atomic_store_n(&iommu->unlogged_iova, iova, __ATOMIC_RELAXED);
	/* Release: with the address. */
	__atomic_fetch_add(&iommu->unlogged, len, __ATOMIC_RELEASE);
	if (iommu->tell_unlogged != NULL)
		iommu->tell_unlogged(iommu->opaque, iova, len);
}

void
vmmem_iommu_mark(struct vmmem_iommu *iommu, uint64_t iova, uint64_t len)
{
	struct vmmem_bitmap *log = iommu->log;
	uint64_t offset, within, below;

	if (!vmmem_logging_wants(&log->logging))
		return;
	if (iova < iommu->log_start) {
		below = iommu->log_start - iova;
		if (below > len)
			below = len;
		lose(iommu, iova, below);
		iova += below;
		len -= below;
	}
	if (len == 0)
		return;
	within = vmmem_iommu_logged(iommu, iova, len, &offset);
	if (within != 0)
		vmmem_bitmap_mark_within(log, offset, within);
	if (within != len)
		lose(iommu, iova + within, len - within);
}
