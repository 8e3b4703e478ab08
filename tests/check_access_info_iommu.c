/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Accesses of which more is said, through an iommu. */
#include <vmmem/access.h>
#include <vmmem/bitmap.h>
#include <vmmem/region_builder.h>

#include "device.h"
#include "iommus.h"
#include "suite.h"

/* The guest: RAM with a log, a ROM of other memory, one mapped so, a device. */
#define RAM UINT64_C(0)
#define ROM HALF
#define MAPPED_ROM (2 * HALF)
#define DEVICE (3 * HALF)
#define PART UINT64_C(0x1000)

static const struct vmmem_access_info debug = {
	.size = sizeof(debug),
	.flags = VMMEM_ACCESS_DEBUG,
};
static const struct vmmem_access_info ram_only = {
	.size = sizeof(ram_only),
	.flags = VMMEM_ACCESS_RAM_ONLY,
};
static struct device device;
static struct vmmem_region *ram, *flash;
static uint8_t bytes[64];
static size_t done;

static void
setup(void)
{
	const struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = see_miss,
	};
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *regions[4] = { NULL };

	device_init(&device);
	memset(&asked, 0, sizeof(asked));
	answer = VMMEM_EIOMMUMISS;
	ram = regions[0] = tracked_region(RAM, HALF);
	flash = tracked_region(0, HALF);
	vmmem_region_builder_set_range(builder, ROM, HALF);
	vmmem_region_builder_set_alias(builder, flash, 0);
	vmmem_region_builder_set_protection(builder, R);
	assert_ok(vmmem_region_builder_build(builder, &regions[1]));
	vmmem_region_builder_free(builder);
	regions[2] = region_with(MAPPED_ROM, HALF, R);
	assert_ok(vmmem_region_new_custom(DEVICE, DEVICE_LEN, &device_ops,
					  &device, &regions[3]));
	see.physical = guest_of(regions, 4);
	assert_ok(iotlb_of(64, &see.iotlb));
	assert_ok(vmmem_iommu_new(see.iotlb, &options, &see.iommu));
	assert_ok(vmmem_collection_new_translated(see.iommu, see.physical,
						  &see.map));
	pattern(bytes, sizeof(bytes), 7);
	done = 99;
}

static void
teardown(void)
{
	see_close();
	flash = vmmem_region_unref(flash);
}

static int
write_with(uint64_t iova, size_t len, const struct vmmem_access_info *info)
{
	return vmmem_collection_write_with(see.map, iova, bytes, len, info,
					   &done);
}

/* A breakpoint where a device may only read, in RAM and in a ROM. */
START_TEST(debug_writes)
{
	struct vmmem_bitmap *log = vmmem_region_bitmap(ram);

	see_map(IOVA, RAM, PART, R);
	see_map(IOVA + PART, ROM, PART, R);
	assert_code(write_with(IOVA + 8, 4, NULL), VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq((size_t)asked.count, 1);
	assert_ok(vmmem_bitmap_start_logging(log));
	assert_ok(vmmem_bitmap_start_logging(vmmem_region_bitmap(flash)));
	/* From one into the other: all of it, and marked where it is. */
	assert_ok(write_with(IOVA + PART - 4, 8, &debug));
	ck_assert_uint_eq(done, 8);
	ck_assert_uint_eq((size_t)asked.count, 1);
	ck_assert_mem_eq(expect_host(ram) + PART - 4, bytes, 4);
	ck_assert_mem_eq(expect_host(flash), bytes + 4, 4);
	ck_assert_uint_eq(vmmem_bitmap_count(log), 1);
	ck_assert_int_eq(vmmem_bitmap_test(log, 0), 1);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(flash)), 1);
	/* One that permits nothing is there; for all others it is not. */
	see_map(IOVA + 2 * PART, RAM + PART, PART, 0);
	assert_ok(write_with(IOVA + 2 * PART, 8, &debug));
	ck_assert_mem_eq(expect_host(ram) + PART, bytes, 8);
	ck_assert_uint_eq(vmmem_bitmap_count(log), 2);
}
END_TEST

/* All or nothing, as ever. */
START_TEST(debug_refused)
{
	see_map(IOVA, RAM, PART, RW);
	see_map(IOVA + PART, MAPPED_ROM, PART, RW);
	see_map(IOVA + 2 * PART, UINT64_C(1) << 40, PART, RW);
	assert_code(write_with(IOVA + PART - 4, 8, &debug), VMMEM_EDENIED);
	ck_assert_uint_eq(done, 0);
	assert_code(write_with(IOVA + 2 * PART, 8, &debug), VMMEM_EBADADDR);
	ck_assert_uint_eq((size_t)asked.count, 0);
	/* What is not there is asked for, and needs no permission. */
	vmmem_iotlb_unmap(see.iotlb, IOVA + PART, PART);
	assert_code(write_with(IOVA + PART - 4, 8, &debug), VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq((size_t)asked.count, 1);
	ck_assert_uint_eq(asked.iova[0], IOVA + PART);
	ck_assert_uint_eq(asked.len[0], 4);
	ck_assert_uint_eq(asked.access[0], 0);
	ck_assert(all_are(expect_host(ram), 0, HALF));
	answer = ANSWER_MAP_PAGE;
	assert_ok(write_with(IOVA + PART - 4, 8, &debug));
	ck_assert_mem_eq(expect_host(ram) + PART - 4, bytes, 8);
}
END_TEST

/* No device is called, also for what is before it; the handler is none. */
START_TEST(ram_only_calls_no_device)
{
	uint8_t copy[8] = { 0 };

	see_map(IOVA, RAM, PART, RW);
	see_map(IOVA + PART, DEVICE, PART, RW);
	assert_code(write_with(IOVA + PART - 4, 8, &ram_only), VMMEM_ENOHOST);
	ck_assert_uint_eq(done, 0);
	ck_assert(all_are(expect_host(ram), 0, HALF));
	assert_code(vmmem_collection_read_with(see.map, IOVA + PART - 4, copy,
					       8, &ram_only, &done),
		    VMMEM_ENOHOST);
	ck_assert(all_are(copy, 0, sizeof(copy)));
	ck_assert_uint_eq(device.reads + device.writes, 0);
	assert_ok(write_with(IOVA + PART - 4, 4, &ram_only));
	ck_assert_uint_eq(done, 4);
	answer = ANSWER_MAP_PAGE;
	assert_ok(vmmem_collection_read_with(see.map, IOVA + 2 * PART, copy, 8,
					     &ram_only, &done));
	ck_assert_uint_eq((size_t)asked.count, 1);
	ck_assert_uint_eq(asked.access[0], R);
	/* With the device allowed it is one call of its part. */
	assert_ok(write_with(IOVA + PART - 4, 8, NULL));
	ck_assert_uint_eq(device.writes, 1);
	ck_assert_uint_eq(device.last_len, 4);
	ck_assert_mem_eq(device.bytes, bytes + 4, 4);
}
END_TEST

/* While the iommu is off the addresses are the guest's. */
START_TEST(switched_off)
{
	vmmem_iommu_set_enabled(see.iommu, 0);
	assert_ok(write_with(ROM + 4, 8, &debug));
	ck_assert_mem_eq(expect_host(flash) + 4, bytes, 8);
	assert_code(write_with(MAPPED_ROM, 8, &debug), VMMEM_EDENIED);
	assert_code(write_with(DEVICE, 8, &ram_only), VMMEM_ENOHOST);
	assert_ok(write_with(DEVICE, 8, &debug));
	ck_assert_uint_eq(device.writes, 1);
	ck_assert_uint_eq((size_t)asked.count, 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("access_info_iommu");
	TCase *tcase = tcase_create("access_info_iommu");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, debug_writes);
	tcase_add_test(tcase, debug_refused);
	tcase_add_test(tcase, ram_only_calls_no_device);
	tcase_add_test(tcase, switched_off);
	suite_add_tcase(suite, tcase);
	return suite;
}
