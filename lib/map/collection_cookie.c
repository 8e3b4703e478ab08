/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Cookies: pointers that components leave with a collection, once each. */
#include <vmmem/collection.h>
#include <vmmem/error.h>

#include <errno.h>
#include <stdlib.h>

#include "base/api.h"
#include "base/cancel.h"
#include "map/collection_priv.h"

/* A list to which entries are only added, at its head. */
struct vmmem_collection_cookie {
	struct vmmem_cookie own;
	struct vmmem_collection_cookie *next;
	size_t count; /* from here to the end */
};

static const struct vmmem_collection_cookie *
find(const struct vmmem_collection_cookie *cookie, const void *key)
{
	while (cookie != NULL && cookie->own.key != key)
		cookie = cookie->next;
	return cookie;
}

VMMEM_API int
vmmem_collection_set_cookie(struct vmmem_collection *collection,
			    const void *key, void *cookie,
			    void (*destroy)(void *cookie))
{
	struct vmmem_collection_cookie *entry, *head;
	int rc = 0;

	if (collection == NULL || key == NULL || cookie == NULL)
		return VMMEM_EARGUMENT;
	entry = malloc(sizeof(*entry));
	if (entry == NULL)
		return -ENOMEM;
	entry->own = (struct vmmem_cookie){ key, cookie, destroy };
	/*
	 * Acquire: this thread looks at the entries of other threads.
	 * Release: other threads look at this one.  A thread that was faster
	 * may have set the same key, so all entries are looked at again then.
	 */
	head = atomic_load_explicit(&collection->cookies,
				    memory_order_acquire);
	do {
		entry->next = head;
		entry->count = head != NULL ? head->count + 1 : 1;
		if (find(head, key) != NULL)
			rc = VMMEM_EEXISTS;
		else if (entry->count > VMMEM_COLLECTION_COOKIES_MAX)
			rc = VMMEM_ENOROOM;
	} while (rc == 0 &&
		 !atomic_compare_exchange_weak_explicit(
			 &collection->cookies, &head, entry,
			 memory_order_acq_rel, memory_order_acquire));
	if (rc != 0)
		free(entry);
	return rc;
}

VMMEM_API void *
vmmem_collection_cookie(const struct vmmem_collection *collection,
			const void *key)
{
	const struct vmmem_collection_cookie *found;

	if (collection == NULL)
		return NULL;
	/* Acquire: the entry, and what its maker did to the cookie, is seen. */
	found = find(atomic_load_explicit(&collection->cookies,
					  memory_order_acquire),
		     key);
	return found != NULL ? found->own.cookie : NULL;
}

void
vmmem_collection_end_cookies(struct vmmem_collection *collection)
{
	struct vmmem_collection_cookie *entry, *next, *first = NULL;
	int cancel;

	/*
	 * Relaxed: the thread that drops the last reference has synchronized.
	 */
	entry = atomic_load_explicit(&collection->cookies,
				     memory_order_relaxed);
	if (entry == NULL)
		return;
	/* Destroyed in the order in which they were set. */
	for (; entry != NULL; entry = next) {
		next = entry->next;
		entry->next = first;
		first = entry;
	}
	cancel = vmmem_cancel_off();
	for (entry = first; entry != NULL; entry = next) {
		next = entry->next;
		if (entry->own.destroy != NULL)
			entry->own.destroy(entry->own.cookie);
		free(entry);
	}
	vmmem_cancel_back(cancel);
}
