/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Memory that tells when, and on which thread, the library lets go of it. */
#ifndef OWNED_H
#define OWNED_H

#include <pthread.h>
#include <stdatomic.h>

#include "guest.h"

#define OWNED_LEN UINT64_C(0x1000)

struct owned {
	_Alignas(4096) uint8_t bytes[OWNED_LEN];
	/* Release: what any thread did with the bytes happened before. */
	atomic_int released;
	pthread_t releaser;
};

static inline void
owned_release(void *opaque)
{
	struct owned *owned = opaque;

	owned->releaser = pthread_self();
	atomic_fetch_add(&owned->released, 1);
}

/* A region of the bytes at 'gpa'; the caller has the one reference. */
static inline struct vmmem_region *
owned_region(struct owned *owned, uint64_t gpa)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;

	ck_assert_ptr_nonnull(builder);
	atomic_store(&owned->released, 0);
	vmmem_region_builder_set_range(builder, gpa, OWNED_LEN);
	vmmem_region_builder_set_external(builder, owned->bytes, owned_release,
					  owned);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

static inline int
owned_is_released(struct owned *owned)
{
	return atomic_load(&owned->released);
}

#endif
