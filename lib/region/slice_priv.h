/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Slices: making them, and marking writes through them. */
#ifndef SLICE_PRIV_H
#define SLICE_PRIV_H

#include <stdbool.h>

#include <vmmem/slice.h>

#include "base/api.h"
#include "dirty/bitmap_priv.h"
#include "guest/fault_log.h"
#include "region/region_priv.h"

/* The bits that a caller may ask for in the access of a slice. */
#define VMMEM_SLICE_ACCESS_KNOWN (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

/* How far VMMEM_SLICE_ASK_... is from VMMEM_PROT_.... */
#define VMMEM_SLICE_ASK_SHIFT 8
_Static_assert(VMMEM_SLICE_ASK_READ ==
			       VMMEM_PROT_READ << VMMEM_SLICE_ASK_SHIFT &&
		       VMMEM_SLICE_ASK_WRITE ==
			       VMMEM_PROT_WRITE << VMMEM_SLICE_ASK_SHIFT,
	       "a shift turns one into the other");

/* vmmem_slice_permits() is what a slice permits, asking or not. */
static inline uint32_t
vmmem_slice_permits(const struct vmmem_slice *slice)
{
	return (slice->access | slice->access >> VMMEM_SLICE_ASK_SHIFT) &
	       VMMEM_SLICE_ACCESS_KNOWN;
}

/*
 * vmmem_slice_ask() is for an access to bytes of a slice, not empty, that lie
 * within it, whose 'access' does not have the bits: either the slice does not
 * permit it, or it is to be asked.  Returns 0, VMMEM_EDENIED or VMMEM_EPRIVATE.
 */
int vmmem_slice_ask(const struct vmmem_slice *slice, uint64_t offset,
		    uint64_t len, uint32_t access);

/*
 * vmmem_slice_unasked() does so, and if it returns 0 stores a slice of the same
 * bytes that need not be asked.
 */
int vmmem_slice_unasked(const struct vmmem_slice *slice, uint64_t offset,
			uint64_t len, uint32_t access,
			struct vmmem_slice *ret_slice);

/*
 * vmmem_slice_call() is VMMEM_SLICE_CALL if slices that are made now are to
 * have it, else 0.
 */
static VMMEM_ALWAYS_INLINE uint32_t
vmmem_slice_call(void)
{
	/* Relaxed: a caller that wants the bit has enabled it before. */
	return __atomic_load_n(&vmmem_fault_call, __ATOMIC_RELAXED);
}

/* vmmem_slice_holds() tells whether 'size' bytes at 'offset' lie within. */
static VMMEM_ALWAYS_INLINE bool
vmmem_slice_holds(const struct vmmem_slice *slice, uint64_t offset,
		  uint64_t size)
{
	return size <= slice->len && offset <= slice->len - size;
}

static VMMEM_ALWAYS_INLINE void *
vmmem_slice_host(const struct vmmem_slice *slice, uint64_t offset)
{
	return (unsigned char *)slice->host + offset;
}

/* vmmem_slice_written() follows a write, and marks it if logging is on. */
static VMMEM_ALWAYS_INLINE void
vmmem_slice_written(const struct vmmem_slice *slice, uint64_t offset,
		    uint64_t size)
{
	/*
	 * No instruction: keeps the compiler from asking before it writes.
	 * The processor may; the thread that starts logging waits for it.
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* Relaxed: for the same reason. */
	if (!likely(__atomic_load_n(slice->logging, __ATOMIC_RELAXED) == 0))
		vmmem_slice_mark(slice, offset, size);
}

/* vmmem_slice_set_empty() makes a slice of zero bytes. */
static inline void
vmmem_slice_set_empty(struct vmmem_slice *slice, uint32_t access)
{
	*slice = (struct vmmem_slice){
		.logging = &vmmem_region_never_logging,
		.access = access | vmmem_slice_call(),
	};
}

/*
 * vmmem_slice_is_direct() tells whether there is a host address to be accessed
 * so.
 */
static inline bool
vmmem_slice_is_direct(const struct vmmem_region_entry *entry, uint32_t access)
{
	return entry->host != NULL && (access & ~entry->direct) == 0;
}

/*
 * vmmem_slice_set_direct() makes the slice of a region that has a host address.
 */
static inline void
vmmem_slice_set_direct(struct vmmem_slice *slice, struct vmmem_region *region,
		       uint64_t offset, uint64_t len, uint32_t access)
{
	*slice = (struct vmmem_slice){
		.host = region->entry.host + offset,
		.len = len,
		.logging = region->entry.logging,
		.log_offset = region->bitmap_offset + offset,
		.access = access | vmmem_slice_call() |
			  (region->entry.direct & VMMEM_SLICE_CALL),
		.region = region,
		.gpa = region->start + offset,
	};
}

#endif
