/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Counts of references.  An object begins with one. */
#ifndef REFCOUNT_H
#define REFCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/api.h"

/* vmmem_refcount_take() adds a reference, for a caller that holds one. */
static VMMEM_ALWAYS_INLINE void
vmmem_refcount_take(atomic_size_t *refs)
{
	/*
	 * Relaxed: the caller holds a reference already, so the count cannot
	 * reach zero meanwhile, and nothing is published by this.
	 */
	atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* vmmem_refcount_drop() drops one, and tells whether it was the last. */
static VMMEM_ALWAYS_INLINE bool
vmmem_refcount_drop(atomic_size_t *refs)
{
	/*
	 * Release: what this thread did with the object comes before the count
	 * drops.  Acquire, for the last one: what all other threads did comes
	 * before the end of the object.
	 */
	return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

/* vmmem_refcount_drop_likely_last() is that without a locked instruction. */
static VMMEM_ALWAYS_INLINE bool
vmmem_refcount_drop_likely_last(atomic_size_t *refs)
{
	/*
	 * Acquire: if this is the last reference, and so no thread can take
	 * another, what all other threads did came before they dropped theirs.
	 */
	return atomic_load_explicit(refs, memory_order_acquire) == 1 ||
	       vmmem_refcount_drop(refs);
}

#endif
