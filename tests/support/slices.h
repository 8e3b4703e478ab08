/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Slices to test on, and a custom region that is mapped on demand. */
#ifndef SLICES_H
#define SLICES_H

#include <vmmem/slice.h>
#include <vmmem/slice_atomic.h>

#include "guest.h"

#define READ_WRITE (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

/*
 * Check's own assertions write to a file each time; these do when they fail,
 * and are for loops that make many.
 */
#define EXPECT(condition)                                                  \
	do {                                                               \
		if (!(condition))                                          \
			ck_abort_msg("%s", #condition);                    \
	} while (0)
#define EXPECT_CODE(call, want)                                            \
	do {                                                               \
		const int got_ = (call);                                   \
		const int want_ = (want);                                  \
                                                                           \
		if (got_ != want_)                                         \
			ck_abort_msg("%s: got %d (%s), not %d (%s)", #call, \
				     got_, vmmem_strerror(got_), want_,    \
				     vmmem_strerror(want_));               \
	} while (0)

static inline struct vmmem_slice
slice_with(struct vmmem_region *region, uint64_t offset, uint64_t len,
	   uint32_t access)
{
	struct vmmem_slice slice;

	EXPECT_CODE(vmmem_region_slice(region, offset, len, access, &slice),
		    0);
	return slice;
}

static inline struct vmmem_slice
slice_of(struct vmmem_region *region, uint64_t offset, uint64_t len)
{
	return slice_with(region, offset, len, READ_WRITE);
}

/* What a failing call must leave in its output. */
static inline void
slice_spoil(struct vmmem_slice *slice)
{
	memset(slice, 0x5a, sizeof(*slice));
}

static inline int
slice_is_spoilt(const struct vmmem_slice *slice)
{
	return all_are(slice, 0x5a, sizeof(*slice));
}

/* Whether [offset, offset + len) lies within 'size' bytes, in 128 bits. */
static inline int
lies_within(uint64_t size, uint64_t offset, uint64_t len)
{
	__extension__ typedef unsigned __int128 wide;

	return len == 0 || (wide)offset + len <= size;
}

/*
 * Offsets and lengths for a slice of at most 24 bytes: all that are near it,
 * and what wraps if it is added carelessly.
 */
#define EDGES 40
static inline uint64_t
edge(unsigned int index)
{
	return index < EDGES - 8 ? index : index - (uint64_t)EDGES;
}

/* What was passed to a callback. */
struct grant {
	uint64_t offset, len;
	uint32_t access;
	void *host;
};

#define GRANTS_LEN 0x1000
#define GRANTS_MAX 64

/* A custom region whose bytes must be acquired before use. */
struct grants {
	_Alignas(16) uint8_t bytes[GRANTS_LEN];

	/* What acquire() does. */
	int code;	  /* fail so, if not 0 */
	int null;	  /* store NULL */
	unsigned int skew; /* store an address that is so much off */

	/* What happened. */
	unsigned int acquired, released;
	struct grant acquires[GRANTS_MAX], releases[GRANTS_MAX];
};

static inline int
grants_acquire(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	       void **ret_host)
{
	struct grants *grants = opaque;
	void *host = grants->bytes + offset + grants->skew;

	if (len == 0 || !lies_within(GRANTS_LEN, offset, len))
		return -EFAULT;
	if (grants->code != 0)
		return grants->code;
	if (grants->null)
		host = NULL;
	grants->acquires[grants->acquired++ % GRANTS_MAX] =
		(struct grant){ offset, len, access, host };
	*ret_host = host;
	return 0;
}

static inline void
grants_release(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	       void *host)
{
	struct grants *grants = opaque;

	grants->releases[grants->released++ % GRANTS_MAX] =
		(struct grant){ offset, len, access, host };
}

static const struct vmmem_region_ops grants_ops = {
	.size = sizeof(grants_ops),
	.acquire = grants_acquire,
	.release = grants_release,
};

/* The region of 'grants' at 'gpa', a multiple of 16. */
static inline struct vmmem_region *
region_of_grants(uint64_t gpa, struct grants *grants)
{
	struct vmmem_region *region = NULL;

	memset(grants, 0, sizeof(*grants));
	assert_ok(vmmem_region_new_custom(gpa, GRANTS_LEN, &grants_ops, grants,
					  &region));
	return region;
}

/* Each acquire() so far was undone by a release() with the same arguments. */
static inline void
expect_grants(const struct grants *grants, unsigned int count)
{
	unsigned int i;

	ck_assert_uint_le(count, GRANTS_MAX);
	ck_assert_uint_eq(grants->acquired, count);
	ck_assert_uint_eq(grants->released, count);
	for (i = 0; i < count; i++) {
		const struct grant *one = &grants->acquires[i];
		const struct grant *two = &grants->releases[i];

		ck_assert_uint_eq(one->offset, two->offset);
		ck_assert_uint_eq(one->len, two->len);
		ck_assert_uint_eq(one->access, two->access);
		ck_assert_ptr_eq(one->host, two->host);
	}
}

#endif
