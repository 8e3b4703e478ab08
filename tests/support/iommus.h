/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A small guest that is seen through an iommu, for the tests of that. */
#ifndef IOMMUS_H
#define IOMMUS_H

#include <stdatomic.h>

#include "guest.h"
#include "iotlbs.h"

#define R VMMEM_PROT_READ
#define W VMMEM_PROT_WRITE
#define RW (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

/* Two regions that touch; the second has a log. */
#define HALF UINT64_C(0x8000)
#define LEN (2 * HALF)

/* Where what is mapped on demand is seen: IOVA is gpa 0. */
#define IOVA UINT64_C(0x100000)

static struct {
	struct vmmem_iotlb *iotlb;
	struct vmmem_iommu *iommu;
	struct vmmem_collection *physical;
	struct vmmem_collection *map;
} see;

/* What the handler was asked, up to as often as it keeps. */
#define ASKED 64
static struct {
	/* Threads count without order: each needs only a place of its own. */
	atomic_int count;
	uint64_t iova[ASKED];
	uint64_t len[ASKED];
	uint32_t access[ASKED];
	uint32_t reason[ASKED];
} asked;

/* What it does: returns this, or maps the range, or the page it begins in. */
#define ANSWER_MAP 1001
#define ANSWER_MAP_PAGE 1002
static int answer;

static inline int
see_miss(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
	 uint32_t reason)
{
	int at = atomic_fetch_add_explicit(&asked.count, 1,
					   memory_order_relaxed);

	(void)opaque;
	if (at < ASKED) {
		asked.iova[at] = iova;
		asked.len[at] = len;
		asked.access[at] = access;
		asked.reason[at] = reason;
	}
	if (answer == ANSWER_MAP_PAGE) {
		iova &= ~UINT64_C(0xfff);
		len = 0x1000;
	} else if (answer != ANSWER_MAP) {
		return answer;
	}
	return vmmem_iotlb_map(see.iotlb, iova, iova - IOVA, len, RW);
}

static inline void
see_map(uint64_t iova, uint64_t gpa, uint64_t len, uint32_t access)
{
	assert_ok(vmmem_iotlb_map(see.iotlb, iova, gpa, len, access));
}

/* A region that logs, in pages of 4 KiB. */
static inline struct vmmem_region *
tracked_region(uint64_t gpa, uint64_t len)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;

	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_region_builder_set_tracking(builder, 0x1000);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

/* 'options' may be NULL: then see_miss() is the handler. */
static inline void
see_open(size_t capacity, const struct vmmem_iommu_options *options)
{
	const struct vmmem_iommu_options standard = {
		.size = sizeof(standard),
		.miss = see_miss,
	};
	struct vmmem_region *regions[2];

	memset(&asked, 0, sizeof(asked));
	answer = VMMEM_EIOMMUMISS;
	regions[0] = region_of(0, HALF);
	regions[1] = tracked_region(HALF, HALF);
	see.physical = guest_of(regions, 2);
	assert_ok(iotlb_of(capacity, &see.iotlb));
	assert_ok(vmmem_iommu_new(see.iotlb,
				  options != NULL ? options : &standard,
				  &see.iommu));
	assert_ok(vmmem_collection_new_translated(see.iommu, see.physical,
						  &see.map));
}

static inline void
see_close(void)
{
	see.map = vmmem_collection_unref(see.map);
	see.physical = vmmem_collection_unref(see.physical);
	see.iommu = vmmem_iommu_unref(see.iommu);
	see.iotlb = vmmem_iotlb_unref(see.iotlb);
}

static inline void
see_setup(void)
{
	see_open(64, NULL);
}

static inline void
see_teardown(void)
{
	see_close();
}

#endif
