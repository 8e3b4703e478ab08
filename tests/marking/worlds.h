/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Two tracked regions that touch, of each kind there is, for check_marking.c:
 * where their bytes come from, and in which bitmap they are logged.
 */
#ifndef WORLDS_H
#define WORLDS_H

#include "gmem.h"
#include "iotlbs.h"
#include "slices.h"

#define GPA UINT64_C(0x100000)
#define LEN UINT64_C(0x2000)
/* A view of the first region that permits reading only. */
#define ROM UINT64_C(0x200000)
/* Bytes to copy from, tracked too, so that reading them is seen. */
#define SOURCE UINT64_C(0x300000)

/* Where in its target an alias begins, and how long that target is. */
#define SHIFT UINT64_C(0x610)
#define TARGET_LEN (LEN + 0x1000)

#define PAGE UINT64_C(64)
#define BITMAP_LEN UINT64_C(0x10000)

struct world {
	struct vmmem_region *regions[2];
	struct vmmem_region *source;
	struct vmmem_collection *map;
	struct vmmem_reader *reader; /* of a space that has the map */
	/* Where each region is marked, and from which byte on. */
	struct vmmem_bitmap *bitmaps[2];
	uint64_t offsets[2];

	/* What callbacks reach, and from which byte on they do not. */
	_Alignas(4096) uint8_t bytes[2][TARGET_LEN];
	uint64_t fail_from[2];

	/* Pages of each bitmap that callbacks have written to. */
	uint8_t touched[2][BITMAP_LEN / PAGE];
	/* How many pages were marked before anything was written to them. */
	unsigned int early;
	/* Where in the bitmap the callbacks' first byte is. */
	uint64_t first[2];
};

static struct world world;

/* 'opaque' is the first of a region's bytes. */
static inline int
world_fails(void *opaque, uint64_t offset, uint64_t len)
{
	const unsigned int i = opaque == (void *)world.bytes[0] ? 0 : 1;

	return offset + len > world.fail_from[i];
}

static inline int
world_host(void *opaque, void **ret_host)
{
	*ret_host = opaque;
	return 0;
}

static inline int
world_read(void *opaque, uint64_t offset, void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	(void)info;
	memcpy(buf, (uint8_t *)opaque + offset, len);
	return 0;
}

/* Marks come after the bytes: no page has one that nobody wrote to yet. */
static inline void
world_look(unsigned int i, uint64_t offset, uint64_t len)
{
	uint64_t at = (world.first[i] + offset) / PAGE;
	const uint64_t last = (world.first[i] + offset + (len - 1)) / PAGE;

	for (; at <= last; at++) {
		world.early += !world.touched[i][at] &&
			       vmmem_bitmap_test(world.bitmaps[i], at * PAGE);
		world.touched[i][at] = 1;
	}
}

static inline int
world_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	int fails = world_fails(opaque, offset, len);

	(void)info;
	world_look(opaque == (void *)world.bytes[0] ? 0 : 1, offset, len);
	/* One that fails has written a part of it. */
	memcpy((uint8_t *)opaque + offset, buf, fails ? (len + 1) / 2 : len);
	return fails ? -EIO : 0;
}

static inline int
world_acquire(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	      void **ret_host)
{
	if ((access & VMMEM_PROT_WRITE) != 0 &&
	    world_fails(opaque, offset, len))
		return -EIO;
	*ret_host = (uint8_t *)opaque + offset;
	return 0;
}

static const struct vmmem_region_ops host_ops = {
	.size = sizeof(host_ops),
	.host = world_host,
};

static const struct vmmem_region_ops call_ops = {
	.size = sizeof(call_ops),
	.read = world_read,
	.write = world_write,
};

static const struct vmmem_region_ops acquire_ops = {
	.size = sizeof(acquire_ops),
	.acquire = world_acquire,
};

enum backing {
	ANONYMOUS,
	MEMFD,
	FILES,
	EXTERNAL,
	HOST,
	CALLS,
	ACQUIRE,
	/* A memfd, with a guest_memfd in which there is nothing at first. */
	TWO_SIDES
};
enum tracking { OWN, SHARED, BITS };

static const struct kind {
	enum backing backing;
	enum tracking tracking;
	int alias;
	const char *name;
	int translated;
} kinds[] = {
	{ ANONYMOUS, OWN, 0, "anonymous", 0 },
	{ MEMFD, OWN, 0, "memfd", 0 },
	{ FILES, OWN, 0, "file", 0 },
	{ EXTERNAL, OWN, 0, "external", 0 },
	{ HOST, OWN, 0, "custom with a host address", 0 },
	{ CALLS, OWN, 0, "custom with callbacks", 0 },
	{ ACQUIRE, OWN, 0, "custom on demand", 0 },
	{ ANONYMOUS, SHARED, 0, "one bitmap for two", 0 },
	{ CALLS, SHARED, 0, "one bitmap for two, callbacks", 0 },
	{ ANONYMOUS, BITS, 0, "external bits", 0 },
	{ ANONYMOUS, OWN, 1, "aliases", 0 },
	{ MEMFD, SHARED, 1, "aliases, one bitmap for two", 0 },
	{ CALLS, OWN, 1, "aliases of callbacks", 0 },
	{ ACQUIRE, SHARED, 1, "aliases on demand, one bitmap", 0 },
	{ TWO_SIDES, OWN, 0, "guest_memfd", 0 },
	{ TWO_SIDES, SHARED, 1, "aliases of a guest_memfd, one bitmap", 0 },
	{ TWO_SIDES, OWN, 0, "guest_memfd, through an iommu", 1 },
	{ ANONYMOUS, OWN, 0, "anonymous, through an iommu", 1 },
	{ CALLS, SHARED, 0, "one bitmap for two, callbacks, iommu", 1 },
	{ ACQUIRE, OWN, 1, "aliases on demand, iommu", 1 },
};
#define KINDS ((int)ARRAY_LEN(kinds))

/* Whether its bytes have an address that never changes. */
static inline int
has_host(const struct kind *kind)
{
	return kind->backing != CALLS && kind->backing != ACQUIRE;
}

static inline struct vmmem_region *
world_build(struct vmmem_region_builder *builder)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_builder_build(builder, &region));
	return region;
}

/* A region that is no alias; what stands behind 'i' is the i-th's. */
static inline struct vmmem_region *
world_back(const struct kind *kind, unsigned int i, uint64_t len,
	   struct vmmem_bitmap *bitmap, uint64_t offset)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;
	int fd = -1;

	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, GPA + i * LEN, len);
	if (kind->backing == TWO_SIDES) {
		fd = gmem_missing() == NULL ? gmem_new(len) : -1;
		vmmem_region_builder_set_memfd(builder);
		vmmem_region_builder_set_guest_memfd(builder, fd, 0);
		vmmem_region_builder_set_private(builder, 0);
	} else if (kind->backing == MEMFD) {
		vmmem_region_builder_set_memfd(builder);
	} else if (kind->backing == FILES) {
		fd = file_of(LEN + len);
		vmmem_region_builder_set_file(builder, fd, LEN, 0);
	} else if (kind->backing == EXTERNAL) {
		vmmem_region_builder_set_external(builder, world.bytes[i],
						  NULL, NULL);
	} else if (kind->backing != ANONYMOUS) {
		vmmem_region_builder_set_custom(
			builder,
			kind->backing == HOST  ? &host_ops :
			kind->backing == CALLS ? &call_ops :
						 &acquire_ops,
			world.bytes[i]);
	}
	if (bitmap == NULL)
		vmmem_region_builder_set_tracking(builder, PAGE);
	else
		vmmem_region_builder_set_bitmap(builder, bitmap, offset);
	region = world_build(builder);
	vmmem_region_builder_free(builder);
	if (fd >= 0)
		close(fd);
	return region;
}

/* The bitmap that both regions share, if they do; the caller unrefs it. */
static inline struct vmmem_bitmap *
world_bitmap(const struct kind *kind)
{
	static _Alignas(8) uint8_t bits[BITMAP_LEN / PAGE / 8];
	struct vmmem_bitmap *bitmap = NULL;

	memset(bits, 0, sizeof(bits));
	if (kind->tracking == SHARED)
		assert_ok(vmmem_bitmap_new(BITMAP_LEN, 0, PAGE, NULL, &bitmap));
	if (kind->tracking == BITS)
		assert_ok(vmmem_bitmap_new_external(bits, sizeof(bits),
						    BITMAP_LEN, PAGE, NULL,
						    NULL, NULL, &bitmap));
	return bitmap;
}

/* The i-th region, or a view of a part of another that stands elsewhere. */
static inline void
world_add(const struct kind *kind, unsigned int i, struct vmmem_bitmap *bitmap)
{
	/* So that pages of the log begin within pages of the region. */
	uint64_t offset = bitmap != NULL ? 0x1234 + i * 0x7010 : 0;
	struct vmmem_region *target;

	world.first[i] = offset;
	if (kind->alias) {
		target = world_back(kind, i, TARGET_LEN, bitmap, offset);
		assert_ok(vmmem_region_new_alias(GPA + i * LEN, LEN, target,
						 SHIFT, &world.regions[i]));
		vmmem_region_unref(target);
		offset += SHIFT;
	} else {
		world.regions[i] = world_back(kind, i, LEN, bitmap, offset);
	}
	world.offsets[i] = offset;
	world.bitmaps[i] = vmmem_region_bitmap(world.regions[i]);
	ck_assert_ptr_nonnull(world.bitmaps[i]);
	ck_assert_uint_eq(vmmem_region_bitmap_offset(world.regions[i]),
			  offset);
	world.fail_from[i] = TOP;
}

/* All addresses lead to themselves. */
static inline void
world_translate(void)
{
	const uint32_t all = VMMEM_PROT_READ | VMMEM_PROT_WRITE;
	struct vmmem_collection *physical = world.map;
	struct vmmem_iotlb *iotlb;
	struct vmmem_iommu *iommu;

	assert_ok(iotlb_of(1, &iotlb));
	assert_ok(vmmem_iotlb_map(iotlb, 0, 0, UINT64_MAX, all));
	assert_ok(vmmem_iotlb_map(iotlb, UINT64_MAX, UINT64_MAX, 1, all));
	assert_ok(vmmem_iommu_new(iotlb, NULL, &iommu));
	assert_ok(vmmem_collection_new_translated(iommu, physical, &world.map));
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
	vmmem_collection_unref(physical);
}

static inline void
world_open(const struct kind *kind)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_bitmap *bitmap = world_bitmap(kind);
	struct vmmem_region *regions[4];
	struct vmmem_space *space;
	unsigned int i;

	for (i = 0; i < 2; i++)
		world_add(kind, i, bitmap);
	vmmem_bitmap_unref(bitmap);

	vmmem_region_builder_set_range(builder, SOURCE, 2 * LEN);
	vmmem_region_builder_set_tracking(builder, PAGE);
	world.source = world_build(builder);
	vmmem_region_builder_set_tracking(builder, 0);
	vmmem_region_builder_set_range(builder, ROM, LEN);
	vmmem_region_builder_set_alias(builder, world.regions[0], 0);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	regions[2] = world_build(builder);
	vmmem_region_builder_free(builder);

	regions[0] = vmmem_region_ref(world.regions[0]);
	regions[1] = vmmem_region_ref(world.regions[1]);
	regions[3] = vmmem_region_ref(world.source);
	world.map = guest_of(regions, 4);
	if (kind->translated)
		world_translate();
	assert_ok(vmmem_space_new(world.map, NULL, &space));
	assert_ok(vmmem_reader_new(space, NULL, &world.reader));
	vmmem_space_unref(space);
}

static inline void
world_close(void)
{
	world.reader = vmmem_reader_free(world.reader);
	world.map = vmmem_collection_unref(world.map);
	world.regions[0] = vmmem_region_unref(world.regions[0]);
	world.regions[1] = vmmem_region_unref(world.regions[1]);
	world.source = vmmem_region_unref(world.source);
}

#endif
