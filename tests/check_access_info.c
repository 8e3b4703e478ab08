/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Accesses of which more is said, and what callbacks get to see. */
#include <vmmem/access.h>
#include <vmmem/atomic.h>
#include <vmmem/region_builder.h>

#include "guest.h"
#include "suite.h"

#define RAM UINT64_C(0)
#define ROM UINT64_C(0x4000)
#define MAPPED_ROM UINT64_C(0x8000)
#define DEVICE UINT64_C(0xc000)
#define LEN UINT64_C(0x4000)

/* What the last calls of the device were. */
static struct {
	uint8_t bytes[LEN];
	size_t calls;
	uint64_t offset;
	size_t len[8];
	struct vmmem_access_info info;
} device;

static struct vmmem_collection *map;
static uint8_t *ram;

static void
called(uint64_t offset, size_t len, const struct vmmem_access_info *info)
{
	ck_assert_ptr_nonnull(info);
	ck_assert_uint_ge(info->size, sizeof(*info));
	ck_assert_uint_lt(device.calls, ARRAY_LEN(device.len));
	device.len[device.calls++] = len;
	device.offset = offset;
	device.info = *info;
}

static int
device_read(void *opaque, uint64_t offset, void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	(void)opaque;
	called(offset, len, info);
	memcpy(buf, device.bytes + offset, len);
	return 0;
}

static int
device_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	     const struct vmmem_access_info *info)
{
	(void)opaque;
	called(offset, len, info);
	memcpy(device.bytes + offset, buf, len);
	return 0;
}

/* RAM, a ROM that shows other memory, one that is mapped so, and a device. */
static void
setup(void)
{
	static const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.read = device_read,
		.write = device_write,
	};
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *regions[4] = { NULL }, *flash = region_of(0, LEN);

	memset(&device, 0, sizeof(device));
	regions[0] = region_of(RAM, LEN);
	ram = expect_host(regions[0]);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	vmmem_region_builder_set_range(builder, ROM, LEN);
	vmmem_region_builder_set_alias(builder, flash, 0);
	assert_ok(vmmem_region_builder_build(builder, &regions[1]));
	vmmem_region_builder_set_range(builder, MAPPED_ROM, LEN);
	vmmem_region_builder_set_anonymous(builder);
	assert_ok(vmmem_region_builder_build(builder, &regions[2]));
	vmmem_region_builder_set_range(builder, DEVICE, LEN);
	vmmem_region_builder_set_custom(builder, &ops, NULL);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ |
							     VMMEM_PROT_WRITE);
	assert_ok(vmmem_region_builder_build(builder, &regions[3]));
	map = guest_of(regions, 4);
	vmmem_region_unref(flash);
	vmmem_region_builder_free(builder);
}

static void
teardown(void)
{
	vmmem_collection_unref(map);
}

/* What a program for a device may rely on: one access is one call. */
START_TEST(widths)
{
	uint8_t bytes[64] = { 0 };
	uint64_t value;

	assert_ok(vmmem_collection_write_u32(map, DEVICE + 4, 1));
	ck_assert_uint_eq(device.calls, 1);
	ck_assert_uint_eq(device.len[0], 4);
	ck_assert_uint_eq(device.offset, 4);
	ck_assert_uint_eq(device.info.flags, 0);
	ck_assert_uint_eq(device.info.requester, 0);
	/* Neither long nor misaligned ones are split. */
	assert_ok(vmmem_collection_read(map, DEVICE + 8, bytes, 12, NULL));
	assert_ok(vmmem_collection_read_u64(map, DEVICE + 3, &value));
	assert_ok(vmmem_collection_write(map, DEVICE + 1, bytes, 63, NULL));
	ck_assert_uint_eq(device.calls, 4);
	ck_assert_uint_eq(device.len[1], 12);
	ck_assert_uint_eq(device.len[2], 8);
	ck_assert_uint_eq(device.len[3], 63);
	/* From another region into it: its part. */
	assert_ok(vmmem_collection_read_u32(map, DEVICE - 2,
					    (uint32_t *)(void *)&value));
	ck_assert_uint_eq(device.len[4], 2);
	ck_assert_uint_eq(device.offset, 0);
	/* Atomics are for memory: a callback could not keep their promise. */
	assert_code(vmmem_collection_store_u16(map, DEVICE + 2, 7,
					       VMMEM_ORDER_RELAXED),
		    VMMEM_ENOHOST);
	ck_assert_uint_eq(device.calls, 5);
}
END_TEST

START_TEST(callbacks_get_it)
{
	struct vmmem_access_info info = {
		.size = sizeof(info),
		.flags = VMMEM_ACCESS_DEBUG,
		.requester = 0x108,
	};
	uint8_t bytes[8] = { 0 };
	size_t done = 99;

	assert_ok(vmmem_collection_read_with(map, DEVICE, bytes, 8, &info,
					     &done));
	ck_assert_uint_eq(done, 8);
	ck_assert_uint_eq(device.info.flags, VMMEM_ACCESS_DEBUG);
	ck_assert_uint_eq(device.info.requester, 0x108);
	info.requester = 0x109;
	assert_ok(vmmem_collection_write_with(map, DEVICE, bytes, 3, &info,
					      &done));
	ck_assert_uint_eq(done, 3);
	ck_assert_uint_eq(device.info.requester, 0x109);
	/* Nothing said is what the plain forms say. */
	assert_ok(vmmem_collection_write_with(map, DEVICE, bytes, 3, NULL,
					      NULL));
	ck_assert_uint_eq(device.info.flags, 0);
	ck_assert_uint_eq(device.info.requester, 0);
	assert_code(vmmem_collection_write_with(map, ROM, bytes, 3, NULL, NULL),
		    VMMEM_EDENIED);
}
END_TEST

/* A breakpoint in a ROM. */
START_TEST(debug_writes_read_only_memory)
{
	const struct vmmem_access_info debug = {
		.size = sizeof(debug),
		.flags = VMMEM_ACCESS_DEBUG,
	};
	const uint8_t trap = 0xcc;
	uint8_t byte = 0, two[2] = { 1, 2 };
	size_t done = 99;

	assert_ok(vmmem_collection_write_with(map, ROM + 5, &trap, 1, &debug,
					      &done));
	ck_assert_uint_eq(done, 1);
	assert_ok(vmmem_collection_read_u8(map, ROM + 5, &byte));
	ck_assert_uint_eq(byte, trap);
	/* What is mapped read-only cannot be written; all or nothing. */
	assert_code(vmmem_collection_write_with(map, MAPPED_ROM, &trap, 1,
						&debug, &done),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_write_with(map, MAPPED_ROM - 1, two, 2,
						&debug, &done),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(done, 0);
	assert_ok(vmmem_collection_read_u8(map, MAPPED_ROM - 1, &byte));
	ck_assert_uint_eq(byte, 0);
	assert_code(vmmem_collection_write_with(map, DEVICE + LEN, two, 1,
						&debug, &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
}
END_TEST

START_TEST(ram_only_calls_nobody)
{
	const struct vmmem_access_info info = {
		.size = sizeof(info),
		.flags = VMMEM_ACCESS_RAM_ONLY,
	};
	uint8_t bytes[4] = { 1, 2, 3, 4 };
	size_t done = 99;

	assert_ok(vmmem_collection_write_with(map, RAM + 8, bytes, 4, &info,
					      &done));
	ck_assert_uint_eq(done, 4);
	ck_assert_uint_eq(ram[11], 4);
	assert_ok(vmmem_collection_read_with(map, RAM + 8, bytes, 4, &info,
					     &done));
	assert_code(vmmem_collection_read_with(map, DEVICE, bytes, 4, &info,
					       &done),
		    VMMEM_ENOHOST);
	ck_assert_uint_eq(done, 0);
	/* Not a byte before it either. */
	bytes[0] = 77;
	assert_code(vmmem_collection_read_with(map, DEVICE - 2, bytes, 4,
					       &info, &done),
		    VMMEM_ENOHOST);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(bytes[0], 77);
	assert_code(vmmem_collection_write_with(map, DEVICE, bytes, 4, &info,
						&done),
		    VMMEM_ENOHOST);
	ck_assert_uint_eq(device.calls, 0);
}
END_TEST

/* A newer program's struct, an older one's, and garbage. */
START_TEST(refused)
{
	struct {
		struct vmmem_access_info info;
		uint64_t more;
	} newer = { { .size = sizeof(newer) }, 0 };
	struct vmmem_access_info info = { .size = sizeof(info) };
	uint8_t byte = 0;
	size_t done = 99;

	assert_ok(vmmem_collection_read_with(map, 0, &byte, 1, &newer.info,
					     NULL));
	newer.more = 1;
	assert_code(vmmem_collection_read_with(map, 0, &byte, 1, &newer.info,
					       &done),
		    VMMEM_ESTRUCTNEWER);
	info.size = 15;
	assert_code(vmmem_collection_write_with(map, 0, &byte, 1, &info,
						&done),
		    VMMEM_ESTRUCTSIZE);
	info.size = sizeof(info);
	info.flags = 4;
	assert_code(vmmem_collection_write_with(map, 0, &byte, 1, &info,
						&done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_read_with(NULL, 0, &byte, 1, NULL, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_read_with(map, 0, NULL, 1, NULL, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_write_with(map, 0, NULL, 1, NULL, &done),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(done, 99);
	/* Zero bytes are anywhere. */
	assert_ok(vmmem_collection_write_with(map, TOP, NULL, 0, NULL, &done));
	ck_assert_uint_eq(done, 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("access_info");
	TCase *tcase = tcase_create("access_info");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, widths);
	tcase_add_test(tcase, callbacks_get_it);
	tcase_add_test(tcase, debug_writes_read_only_memory);
	tcase_add_test(tcase, ram_only_calls_nobody);
	tcase_add_test(tcase, refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
