/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The iommu over an iotlb: misses, and accesses that wait for an answer. */
#include <vmmem/address.h>
#include <vmmem/error.h>
#include <vmmem/iommu.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/api.h"
#include "base/refcount.h"
#include "base/cancel.h"
#include "dirty/bitmap_priv.h"
#include "dirty/logging.h"
#include "base/futex.h"
#include "iommu/iommu_priv.h"
#include "iommu/iommu_queue.h"
#include "base/released_sizes.h"
#include "base/struct_size.h"

/*
 * How often in a row a handler may return 0 while the translation is still
 * missing, before the access fails: another thread may have removed it, or it
 * was evicted.
 */
#define ANSWERS_MAX 64

/* check() makes the checks that need the options alone. */
static int
check(const struct vmmem_iommu_options *options)
{
	const bool queues = (options->flags & VMMEM_IOMMU_QUEUE_MISSES) != 0;
	uint64_t last;

	if ((options->flags & ~VMMEM_IOMMU_QUEUE_MISSES) != 0 ||
	    (queues && options->miss != NULL) ||
	    (!queues && options->misses_max != 0) ||
	    options->misses_max > VMMEM_IOMMU_MISSES_MAX ||
	    (options->log == NULL && options->log_start != 0))
		return VMMEM_EARGUMENT;
	/* A bitmap that has no bytes yet may get some. */
	if (options->log != NULL &&
	    vmmem_address_range_last(options->log_start, options->log->max_len,
				     &last) != 0)
		return VMMEM_EWRAPS;
	return 0;
}

/* allocate() makes the objects of an iommu; the caller sets all else. */
static int
allocate(const struct vmmem_iommu_options *options,
	 struct vmmem_iommu **ret_iommu)
{
	struct vmmem_iommu *iommu = calloc(1, sizeof(*iommu));
	int rc;

	if (iommu == NULL)
		return -ENOMEM;
	rc = -pthread_mutex_init(&iommu->lock, NULL);
	if (rc != 0)
		goto no_lock;
	if ((options->flags & VMMEM_IOMMU_QUEUE_MISSES) != 0)
		rc = vmmem_iommu_queue_new(options->misses_max != 0 ?
						   options->misses_max :
						   VMMEM_IOMMU_MISSES_DEFAULT,
					   &iommu->queue);
	if (rc != 0)
		goto no_queue;
	*ret_iommu = iommu;
	return 0;

no_queue:
	pthread_mutex_destroy(&iommu->lock);
no_lock:
	free(iommu);
	return rc;
}

VMMEM_API int
vmmem_iommu_new(struct vmmem_iotlb *iotlb,
		const struct vmmem_iommu_options *options,
		struct vmmem_iommu **ret_iommu)
{
	struct vmmem_iommu_options known = { 0 };
	struct vmmem_iommu *iommu;
	int rc;

	if (iotlb == NULL || ret_iommu == NULL)
		return VMMEM_EARGUMENT;
	if (options != NULL) {
		rc = vmmem_struct_take(options, &known, sizeof(known),
				       VMMEM_IOMMU_OPTIONS_SIZE_0_9);
		if (rc != 0)
			return rc;
	}
	rc = check(&known);
	if (rc != 0)
		return rc;
	rc = allocate(&known, &iommu);
	if (rc != 0)
		return rc;
	atomic_init(&iommu->refs, 1);
	LIST_INIT(&iommu->words);
	iommu->iotlb = vmmem_iotlb_ref(iotlb);
	iommu->log = vmmem_bitmap_ref(known.log);
	iommu->log_start = known.log_start;
	iommu->enabled = 1;
	iommu->flags = known.flags;
	iommu->timeout_ns = known.timeout_ns;
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
	if (iommu != NULL)
		vmmem_refcount_take(&iommu->refs);
	return iommu;
}

VMMEM_API struct vmmem_iommu *
vmmem_iommu_unref(struct vmmem_iommu *iommu)
{
	int cancel;

	if (iommu == NULL || !vmmem_refcount_drop(&iommu->refs))
		return NULL;
	cancel = vmmem_cancel_off();
	vmmem_iotlb_unref(iommu->iotlb);
	vmmem_bitmap_unref(iommu->log);
	vmmem_iommu_queue_free(iommu->queue);
	pthread_mutex_destroy(&iommu->lock);
	if (iommu->destroy != NULL)
		iommu->destroy(iommu->opaque);
	free(iommu);
	vmmem_cancel_back(cancel);
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
	/* Release: an access that finds it on finds earlier translations. */
	__atomic_store_n(&iommu->enabled, enabled != 0, __ATOMIC_RELEASE);
	LIST_FOREACH(word, &iommu->words, link)
		set_word(iommu, word);
	pthread_mutex_unlock(&iommu->lock);
	/* Accesses that wait for a translation need none any more. */
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
vmmem_iommu_set_timeout(struct vmmem_iommu *iommu, uint64_t timeout_ns)
{
	/* Relaxed: a number by itself. */
	if (iommu != NULL)
		__atomic_store_n(&iommu->timeout_ns, timeout_ns,
				 __ATOMIC_RELAXED);
}

VMMEM_API uint64_t
vmmem_iommu_timeout(const struct vmmem_iommu *iommu)
{
	/* Relaxed: a number by itself. */
	return iommu != NULL ?
		       __atomic_load_n(&iommu->timeout_ns, __ATOMIC_RELAXED) :
		       0;
}

VMMEM_API uint32_t
vmmem_iommu_flags(const struct vmmem_iommu *iommu)
{
	return iommu != NULL ? iommu->flags : 0;
}

VMMEM_API struct vmmem_bitmap *
vmmem_iommu_log(const struct vmmem_iommu *iommu, uint64_t *ret_start)
{
	if (iommu == NULL || iommu->log == NULL)
		return NULL;
	if (ret_start != NULL)
		*ret_start = iommu->log_start;
	return iommu->log;
}

VMMEM_API void
vmmem_iommu_retry(struct vmmem_iommu *iommu)
{
	if (iommu == NULL)
		return;
	/* Release: the changes that the handler uses are before. */
	__atomic_fetch_add(&iommu->retries, 1, __ATOMIC_RELEASE);
	vmmem_iotlb_wake(iommu->iotlb);
}

/* begin_to_wait() sets the deadline of an access. */
static void
begin_to_wait(const struct vmmem_iommu *iommu, struct vmmem_iommu_wait *wait)
{
	uint64_t timeout_ns = wait->timeout_ns;

	if (wait->begun)
		return;
	/* Relaxed: a number by itself. */
	if (!wait->has_timeout)
		timeout_ns = __atomic_load_n(&iommu->timeout_ns,
					     __ATOMIC_RELAXED);
	wait->begun = true;
	wait->ever = timeout_ns == VMMEM_FOREVER;
	if (!wait->ever)
		wait->deadline = vmmem_futex_deadline(timeout_ns);
}

/* why() returns why an entry, or a gap, does not do; or VMMEM_IOTLB_HIT. */
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
 * worth while to ask again, or until the deadline.  Returns 0, VMMEM_ETIMEOUT
 * or a -errno.
 *
 * The question is open as long as no translation of 'iova' has come: a front
 * end that gets a question twice may answer the second one when the guest has
 * the page back already, so it is asked again only if an answer came and is
 * gone.
 */
static int
wait_for_answer(struct vmmem_iommu *iommu, struct vmmem_iotlb_waiter *waiter,
		const struct vmmem_iommu_question *question, uint32_t retries,
		const struct vmmem_iommu_wait *wait)
{
	struct vmmem_iotlb *iotlb = iommu->iotlb;
	const uint32_t reason = question->item.reason;
	struct vmmem_iotlb_entry entry;
	uint32_t changes;
	int rc = 0;

	while (rc == 0 && vmmem_iommu_is_on(iommu)) {
		changes = vmmem_iotlb_changes(iotlb);
		vmmem_iotlb_find(&iotlb->table, waiter->iova, &entry);
		if (reason != why(&entry, question->item.access))
			break;
		/* Acquire: see vmmem_iommu_retry(), which wakes after it. */
		if (retries !=
		    __atomic_load_n(&iommu->retries, __ATOMIC_ACQUIRE))
			break;
		/* An answer came, and was taken back. */
		if (vmmem_iotlb_was_answered(iotlb, waiter))
			break;
		/* After 'changes' was read: what ends it wakes after that. */
		if (iommu->queue != NULL &&
		    vmmem_iommu_queue_is_over(iommu->queue, question))
			break;
		rc = vmmem_iotlb_wait(iotlb, changes,
				      wait->ever ? NULL : &wait->deadline);
	}
	return rc;
}

/* put_question() asks the handler, or puts the question into the queue. */
static int
put_question(struct vmmem_iommu *iommu, struct vmmem_iommu_question *question)
{
	const struct vmmem_iommu_item *item = &question->item;
	int rc;

	if (iommu->queue == NULL)
		return iommu->miss(iommu->opaque, item->iova, item->len,
				   item->access, item->reason);
	rc = vmmem_iommu_queue_ask(iommu->queue, question);
	return rc == 0 ? VMMEM_IOMMU_LATER : rc;
}

/* end_question() returns 'rc', or the code of a refusal. */
static int
end_question(struct vmmem_iommu *iommu, struct vmmem_iommu_question *question,
	     int rc)
{
	int refused;
	bool wake;

	if (iommu->queue == NULL)
		return rc;
	refused = vmmem_iommu_queue_end(iommu->queue, question, &wake);
	if (wake)
		vmmem_iotlb_wake(iommu->iotlb);
	return refused != 0 ? refused : rc;
}

/* ask() asks, and waits for an answer that comes later. */
static int
ask(struct vmmem_iommu *iommu, const struct vmmem_iommu_item *item,
    struct vmmem_iommu_wait *wait)
{
	struct vmmem_iommu_question question = { .item = *item };
	const uint32_t reason = item->reason;
	struct vmmem_iotlb_waiter waiter = {
		.iova = item->iova,
		.denied = reason == VMMEM_IOTLB_DENIED ? item->access : 0,
	};
	uint32_t retries;
	int rc;

	if (wait->iova != item->iova || wait->reason != reason) {
		wait->iova = item->iova;
		wait->reason = reason;
		wait->answers = 0;
	}
	/* The deadline holds also if answers are removed again and again. */
	if (wait->begun && !wait->ever && vmmem_futex_is_past(&wait->deadline))
		return VMMEM_ETIMEOUT;
	/* Acquire: the changes before vmmem_iommu_retry() are seen. */
	retries = __atomic_load_n(&iommu->retries, __ATOMIC_ACQUIRE);
	vmmem_iotlb_before_asking(iommu->iotlb, &waiter);
	rc = put_question(iommu, &question);
	if (rc == VMMEM_IOMMU_LATER) {
		begin_to_wait(iommu, wait);
		vmmem_iotlb_add_waiter(iommu->iotlb, &waiter);
		rc = wait_for_answer(iommu, &waiter, &question, retries, wait);
		vmmem_iotlb_remove_waiter(iommu->iotlb, &waiter);
		return end_question(iommu, &question, rc);
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
	struct vmmem_iommu_item item = {
		.iova = iova,
		.len = len,
		.access = access,
		.reason = why(entry, access),
	};

	/* Relaxed: a count. */
	__atomic_fetch_add(&iommu->misses, 1, __ATOMIC_RELAXED);
	if (iommu->miss == NULL && iommu->queue == NULL)
		return item.reason == VMMEM_IOTLB_MISS ? VMMEM_EIOMMUMISS :
							 VMMEM_EDENIED;
	/*
	 * Only the part of the access that is all missing, or all of one entry;
	 * it ends at 2^64 - 1 at the latest.
	 */
	if (len - 1 > entry->last - iova)
		item.len = entry->last - iova + 1;
	return ask(iommu, &item, wait);
}

VMMEM_API int
vmmem_iommu_miss_fd(const struct vmmem_iommu *iommu, int *ret_fd)
{
	if (iommu == NULL || ret_fd == NULL || iommu->queue == NULL)
		return VMMEM_EARGUMENT;
	*ret_fd = vmmem_iommu_queue_fd(iommu->queue);
	return 0;
}

VMMEM_API int
vmmem_iommu_next_miss(struct vmmem_iommu *iommu,
		      struct vmmem_iommu_miss *ret_miss)
{
	struct vmmem_iommu_miss miss = { 0 };
	struct vmmem_iotlb_entry entry;
	struct vmmem_iommu_item item, asked;
	int rc;

	if (iommu == NULL || ret_miss == NULL || iommu->queue == NULL)
		return VMMEM_EARGUMENT;
	/* Before the first item is taken: it would be lost. */
	rc = vmmem_struct_check(ret_miss, VMMEM_IOMMU_MISS_SIZE_0_9);
	if (rc != 0)
		return rc;
	while (vmmem_iommu_queue_take(iommu->queue, &item)) {
		/* An answer to another question may have answered this one. */
		vmmem_iotlb_find(&iommu->iotlb->table, item.iova, &entry);
		asked = item;
		item.reason = why(&entry, item.access);
		if (item.reason == VMMEM_IOTLB_HIT) {
			/* It may have come before the question, and may go. */
			vmmem_iommu_queue_dropped(iommu->queue, &asked);
			vmmem_iotlb_wake(iommu->iotlb);
			continue;
		}
		miss.iova = item.iova;
		miss.len = item.len;
		miss.access = item.access;
		miss.reason = item.reason;
		break;
	}
	return vmmem_struct_give(&miss, sizeof(miss), VMMEM_IOMMU_MISS_SIZE_0_9,
				 ret_miss);
}

VMMEM_API int
vmmem_iommu_refuse(struct vmmem_iommu *iommu, uint64_t iova, uint64_t len,
		   int code)
{
	uint64_t last;

	if (iommu == NULL || iommu->queue == NULL || code >= 0)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	if (vmmem_address_range_last(iova, len, &last) != 0)
		return VMMEM_EWRAPS;
	vmmem_iommu_queue_refuse(iommu->queue, iova, last, code);
	vmmem_iotlb_wake(iommu->iotlb);
	return 0;
}

/* tell_bad() stores the part of [iova, iova + len) that an access lacks. */
static void
tell_bad(const struct vmmem_iotlb_entry *entry, uint64_t iova, uint64_t len,
	 uint64_t *ret_bad, uint64_t *ret_bad_len)
{
	if (len - 1 > entry->last - iova)
		len = entry->last - iova + 1;
	if (ret_bad != NULL)
		*ret_bad = iova;
	if (ret_bad_len != NULL)
		*ret_bad_len = len;
}

VMMEM_API int
vmmem_iommu_resolve(struct vmmem_iommu *iommu, uint64_t iova, uint64_t len,
		    uint32_t access, uint64_t timeout_ns, uint64_t *ret_bad,
		    uint64_t *ret_bad_len)
{
	struct vmmem_iommu_wait wait = {
		.has_timeout = true,
		.timeout_ns = timeout_ns,
	};
	struct vmmem_iotlb_entry entry;
	int rc = 0;

	if (iommu == NULL || (access & ~VMMEM_READ_WRITE) != 0)
		return VMMEM_EARGUMENT;
	while (len != 0 && vmmem_iommu_is_on(iommu)) {
		vmmem_iotlb_find(&iommu->iotlb->table, iova, &entry);
		if (why(&entry, access) != VMMEM_IOTLB_HIT) {
			rc = vmmem_iommu_miss(iommu, &entry, iova, len, access,
					      &wait);
			if (rc == 0)
				continue;
			tell_bad(&entry, iova, len, ret_bad, ret_bad_len);
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

/* lose() counts bytes that are not in the log, and calls back. */
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
