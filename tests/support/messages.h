/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Guests of four kinds of memory, and chains in them, to send messages of. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <sys/socket.h>

#include <vmmem/vmmem.h>

#include "io_forms.h"
#include "iotlbs.h"
#include "rng.h"
#include "slices.h"

#define PAGE UINT64_C(0x1000)
#define STORE_LEN UINT64_C(0x28000)

/* The guest: memory, the same on demand, and by callbacks; 'seen' is below. */
static _Alignas(4096) uint8_t store[STORE_LEN];
static struct vmmem_collection *maps[4];
static struct vmmem_bitmap *bitmaps[4];
static unsigned int acquired, released;
static struct vmmem_iotlb *iotlb;
static struct vmmem_iommu *iommu;
static int ends[2];
static uint8_t frame[0x30000];
static uint64_t fail_from;

enum { RAM, DEMAND, CALLS, SEEN, MAPS };

static inline int
acquire(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	void **ret_host)
{
	(void)opaque;
	(void)access;
	if (offset + len > fail_from)
		return -ENXIO;
	acquired++;
	*ret_host = store + offset;
	return 0;
}

static inline void
release(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	void *host)
{
	(void)opaque;
	(void)len;
	(void)access;
	ck_assert_ptr_eq(host, store + offset);
	released++;
}

static inline int
call_read(void *opaque, uint64_t offset, void *buf, size_t len,
	  const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	if (offset + len > fail_from)
		return -ENXIO;
	memcpy(buf, store + offset, len);
	return 0;
}

static inline int
call_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	if (offset + len > fail_from)
		return -ENXIO;
	memcpy(store + offset, buf, len);
	return 0;
}

static const struct vmmem_region_ops demand_ops = {
	.size = sizeof(demand_ops),
	.acquire = acquire,
	.release = release,
};
static const struct vmmem_region_ops call_ops = {
	.size = sizeof(call_ops),
	.read = call_read,
	.write = call_write,
};

/* Pages lie backwards behind the IOMMU, and it has room for 4. */
static inline int
miss(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
     uint32_t reason)
{
	const uint64_t page = iova / PAGE * PAGE;

	(void)opaque;
	(void)len;
	(void)access;
	(void)reason;
	return vmmem_iotlb_map(iotlb, page, STORE_LEN - PAGE - page, PAGE,
			       READ_WRITE);
}

static inline void
open_maps(void)
{
	const struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = miss,
	};
	int i;

	for (i = 0; i < SEEN; i++) {
		struct vmmem_region_builder *builder =
			vmmem_region_builder_new();
		struct vmmem_region *region = NULL;

		vmmem_region_builder_set_range(builder, 0, STORE_LEN);
		if (i == RAM)
			vmmem_region_builder_set_external(builder, store, NULL,
							  NULL);
		else
			vmmem_region_builder_set_custom(
				builder, i == DEMAND ? &demand_ops : &call_ops,
				NULL);
		vmmem_region_builder_set_tracking(builder, PAGE);
		assert_ok(vmmem_region_builder_build(builder, &region));
		vmmem_region_builder_free(builder);
		bitmaps[i] = vmmem_region_bitmap(region);
		assert_ok(vmmem_bitmap_start_logging(bitmaps[i]));
		maps[i] = guest_of_one(region);
	}
	assert_ok(iotlb_of(4, &iotlb));
	assert_ok(vmmem_iommu_new(iotlb, &options, &iommu));
	assert_ok(vmmem_iommu_set_enabled(iommu, 1));
	assert_ok(vmmem_collection_new_translated(iommu, maps[RAM],
						  &maps[SEEN]));
	bitmaps[SEEN] = bitmaps[RAM];
}

static inline void
open_sockets(int type)
{
	const int room = 4 << 20;
	int i;

	ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC |
				    SOCK_NONBLOCK, 0, ends), 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(setsockopt(ends[i], SOL_SOCKET,
					    SO_SNDBUFFORCE, &room,
					    sizeof(room)), 0);
}

static inline void
close_ends(void)
{
	if (ends[0] >= 0)
		close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	ends[0] = ends[1] = -1;
}

static inline void
setup(void)
{
	ends[0] = ends[1] = -1;
	acquired = released = 0;
	fail_from = TOP;
	open_maps();
	errno = EXDEV;
}

static inline void
teardown(void)
{
	int i;

	close_ends();
	ck_assert_uint_eq(acquired, released);
	for (i = MAPS - 1; i >= 0; i--)
		maps[i] = vmmem_collection_unref(maps[i]);
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
}

/* Chains: how many pieces, how long, how far apart. */
static const struct {
	size_t count;
	uint64_t each, stride;
} shapes[] = {
	{ 1, 60, 0x2000 },   { 1, 9000, 0x4000 },   { 2, 750, 0x2000 },
	{ 16, 1500, 0x2000 }, { 17, 1500, 0x2000 },  { 19, 1500, 0x2000 },
	{ 1023, 16, 64 },    { 1024, 16, 64 },	    { 1025, 16, 64 },
	{ 1100, 16, 64 },    { 1, 65549, 0x20000 }, { 8, 8192, 0x4000 },
};
#define SHAPES ((int)ARRAY_LEN(shapes))

static struct vmmem_range chain[1200];

static inline uint64_t
make_chain(int shape)
{
	size_t i;

	for (i = 0; i < shapes[shape].count; i++)
		chain[i] = (struct vmmem_range){ i * shapes[shape].stride,
						 shapes[shape].each };
	return shapes[shape].count * shapes[shape].each;
}

/* The chain's bytes of a map, in order. */
static inline void
read_chain(int map, int shape, uint8_t *to)
{
	size_t i;

	for (i = 0; i < shapes[shape].count; i++)
		assert_ok(vmmem_collection_read(
			maps[map], chain[i].gpa,
			to + i * shapes[shape].each, chain[i].len, NULL));
}

static inline void
clean(void)
{
	int i;

	memset(store, 0, sizeof(store));
	for (i = 0; i < SEEN; i++)
		assert_ok(vmmem_bitmap_clear(bitmaps[i], 0, STORE_LEN));
}

/* Each page that has a byte of a message, and no other, is marked. */
static inline void
expect_marks(int map)
{
	uint64_t page;

	for (page = 0; page < STORE_LEN; page += PAGE)
		ck_assert_int_eq(vmmem_bitmap_test(bitmaps[map], page),
				 !all_are(store + page, 0, PAGE));
}

static inline int
to_fd(int map, int shape, int fd, uint64_t *ret_done)
{
	return vmmem_collection_ranges_to_fd(
		maps[map], chain, shapes[shape].count, 0, VMMEM_IO_REST, fd,
		VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, ret_done, NULL);
}

static inline int
from_fd(int map, int shape, int fd, uint64_t *ret_done)
{
	return vmmem_collection_ranges_from_fd(
		maps[map], chain, shapes[shape].count, 0, VMMEM_IO_REST, fd,
		VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, ret_done, NULL);
}

static inline void
fill_store(void)
{
	static uint8_t filled[STORE_LEN];
	size_t i;

	if (filled[0] == 0)
		for (i = 0; i < STORE_LEN; i++)
			filled[i] = (uint8_t)(1 + i * 7 % 255);
	memcpy(store, filled, STORE_LEN);
}

/* Where every instruction is slow, these must do. */
static inline bool
is_left_out(int shape)
{
	return rng_rounds(100) <= 2 && shape != 1 && shape != 5 && shape != 9;
}

#endif
