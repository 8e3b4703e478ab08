/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Access to regions made of callbacks, alone and beside plain memory. */
#include <vmmem/access.h>
#include <vmmem/atomic.h>

#include "device.h"
#include "guest.h"
#include "suite.h"

/* Memory, the device, memory, and an alias of the device; they all touch. */
#define BELOW UINT64_C(0x10000)
#define DEVICE UINT64_C(0x11000)
#define ABOVE (DEVICE + DEVICE_LEN)
#define ALIAS (ABOVE + 0x1000)
#define ALIAS_OFFSET 0x1001
#define ALIAS_LEN 0x1000

static struct device device;
static struct vmmem_collection *guest;
static uint8_t buf[2 * DEVICE_LEN], copy[2 * DEVICE_LEN];

static void
setup(void)
{
	struct vmmem_region *regions[4] = {
		region_of(BELOW, DEVICE - BELOW),
		NULL,
		region_of(ABOVE, ALIAS - ABOVE),
		NULL,
	};

	device_init(&device);
	assert_ok(vmmem_region_new_custom(DEVICE, DEVICE_LEN, &device_ops,
					  &device, &regions[1]));
	assert_ok(vmmem_region_new_alias(ALIAS, ALIAS_LEN, regions[1],
					 ALIAS_OFFSET, &regions[3]));
	guest = guest_of(regions, 4);
	pattern(device.bytes, DEVICE_LEN, 5);
	pattern(buf, sizeof(buf), 99);
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
	ck_assert_uint_eq(device.destroyed, 1);
}

START_TEST(reads_get_offset_and_length)
{
	size_t done = 77;

	assert_ok(vmmem_collection_read(guest, DEVICE + 0x123, buf, 0x456,
					&done));
	ck_assert_uint_eq(done, 0x456);
	ck_assert_uint_eq(device.reads, 1);
	ck_assert_uint_eq(device.last_offset, 0x123);
	ck_assert_uint_eq(device.last_len, 0x456);
	ck_assert_mem_eq(buf, device.bytes + 0x123, 0x456);
	ck_assert_uint_eq(device.writes, 0);
}
END_TEST

START_TEST(writes_get_offset_and_length)
{
	size_t done = 77;

	assert_ok(vmmem_collection_write(guest, DEVICE + 0x123, buf, 0x456,
					 &done));
	ck_assert_uint_eq(done, 0x456);
	ck_assert_uint_eq(device.writes, 1);
	ck_assert_uint_eq(device.last_offset, 0x123);
	ck_assert_uint_eq(device.last_len, 0x456);
	ck_assert_mem_eq(buf, device.bytes + 0x123, 0x456);
	ck_assert_uint_eq(device.reads, 0);
}
END_TEST

/* A register is read once and as a whole: one call for one integer. */
#define TEST_REGISTER(bits)                                                \
	START_TEST(register_##bits)                                        \
	{                                                                  \
		uint##bits##_t value = 0, seen;                            \
                                                                           \
		assert_ok(vmmem_collection_read_u##bits(guest, DEVICE + 5, \
							&value));          \
		ck_assert_uint_eq(device.reads, 1);                        \
		ck_assert_uint_eq(device.last_offset, 5);                  \
		ck_assert_uint_eq(device.last_len, (bits) / 8);            \
		memcpy(&seen, device.bytes + 5, sizeof(seen));             \
		ck_assert_uint_eq(value, seen);                            \
		value = (uint##bits##_t)~value;                            \
		assert_ok(vmmem_collection_write_u##bits(                  \
			guest, DEVICE + DEVICE_LEN - (bits) / 8, value));  \
		ck_assert_uint_eq(device.writes, 1);                       \
		ck_assert_uint_eq(device.last_len, (bits) / 8);            \
		memcpy(&seen,                                              \
		       device.bytes + DEVICE_LEN - (bits) / 8,             \
		       sizeof(seen));                                      \
		ck_assert_uint_eq(value, seen);                            \
	}                                                                  \
	END_TEST

TEST_REGISTER(8)
TEST_REGISTER(16)
TEST_REGISTER(32)
TEST_REGISTER(64)

START_TEST(integers_straddle)
{
	uint32_t value = 0;

	assert_ok(vmmem_collection_write_be32(guest, DEVICE - 1, 0x11223344));
	ck_assert_uint_eq(*host_of(guest, DEVICE - 1), 0x11);
	ck_assert_uint_eq(device.bytes[0], 0x22);
	ck_assert_uint_eq(device.bytes[2], 0x44);
	assert_ok(vmmem_collection_read_be32(guest, DEVICE - 1, &value));
	ck_assert_uint_eq(value, 0x11223344);
	assert_ok(vmmem_collection_write_le32(guest, ABOVE - 3, 0x11223344));
	ck_assert_uint_eq(device.bytes[DEVICE_LEN - 3], 0x44);
	ck_assert_uint_eq(*host_of(guest, ABOVE), 0x11);
	assert_ok(vmmem_collection_read_le32(guest, ABOVE - 3, &value));
	ck_assert_uint_eq(value, 0x11223344);
}
END_TEST

START_TEST(straddles_on_both_sides)
{
	const size_t len = 8 + DEVICE_LEN + 8;
	size_t done = 77;

	assert_ok(vmmem_collection_write(guest, DEVICE - 8, buf, len, &done));
	ck_assert_uint_eq(done, len);
	ck_assert_mem_eq(host_of(guest, DEVICE - 8), buf, 8);
	ck_assert_mem_eq(device.bytes, buf + 8, DEVICE_LEN);
	ck_assert_mem_eq(host_of(guest, ABOVE), buf + 8 + DEVICE_LEN, 8);
	assert_ok(vmmem_collection_read_some(guest, DEVICE - 8, copy, len,
					     &done));
	ck_assert_uint_eq(done, len);
	ck_assert_mem_eq(copy, buf, len);
}
END_TEST

START_TEST(alias_adds_its_offset)
{
	size_t done = 77;

	assert_ok(vmmem_collection_read(guest, ALIAS + 7, buf, 100, &done));
	ck_assert_uint_eq(device.last_offset, ALIAS_OFFSET + 7);
	ck_assert_mem_eq(buf, device.bytes + ALIAS_OFFSET + 7, 100);
	assert_ok(vmmem_collection_write_u16(guest, ALIAS + ALIAS_LEN - 2,
					     0xabab));
	ck_assert_uint_eq(device.bytes[ALIAS_OFFSET + ALIAS_LEN - 1], 0xab);
	assert_code(vmmem_collection_write_u16(guest, ALIAS + ALIAS_LEN - 1,
					       1), VMMEM_EBADADDR);
	assert_ok(vmmem_collection_fill(guest, ALIAS, ALIAS_LEN, 0x17, NULL));
	ck_assert(all_are(device.bytes + ALIAS_OFFSET, 0x17, ALIAS_LEN));
	ck_assert_uint_ne(device.bytes[ALIAS_OFFSET - 1], 0x17);
}
END_TEST

START_TEST(fill_reaches_every_byte)
{
	uint64_t done = 77;

	assert_ok(vmmem_collection_fill(guest, DEVICE - 4, DEVICE_LEN + 8,
					0xd1, &done));
	ck_assert_uint_eq(done, DEVICE_LEN + 8);
	ck_assert(all_are(device.bytes, 0xd1, DEVICE_LEN));
	ck_assert(all_are(host_of(guest, DEVICE - 4), 0xd1, 4));
	ck_assert(all_are(host_of(guest, ABOVE), 0xd1, 4));
	ck_assert_uint_eq(device.moved, DEVICE_LEN);
	ck_assert_uint_eq(device.reads, 0);
}
END_TEST

/*
 * Copies to, from, within and across the device, over one another, are what
 * they would be in plain memory.
 */
static const struct {
	uint64_t target;
	uint64_t source;
	uint64_t len;
} copies[] = {
	{ DEVICE, BELOW, 0x1000 },
	{ BELOW, DEVICE, 0x1000 },
	{ DEVICE + 3, BELOW + 1, 0xfff },
	{ DEVICE + 0x2000, DEVICE, 0x1800 },
	{ DEVICE, DEVICE + 0x2000, 0x1800 },
	{ DEVICE + 1, DEVICE, DEVICE_LEN - 1 },
	{ DEVICE, DEVICE + 1, DEVICE_LEN - 1 },
	{ DEVICE + 0x5ff, DEVICE, 0x3000 },
	{ DEVICE, DEVICE + 0x5ff, 0x3000 },
	{ BELOW + 0x800, BELOW, DEVICE_LEN + 0x1000 },
	{ BELOW, BELOW + 0x800, DEVICE_LEN + 0x1800 },
	{ BELOW + 7, BELOW, ALIAS - BELOW - 7 },
	{ BELOW, BELOW + 7, ALIAS - BELOW - 7 },
};

START_TEST(copies_as_memory_does)
{
	const size_t all = ALIAS - BELOW;
	uint64_t target = copies[_i].target, source = copies[_i].source;
	uint64_t done = 77;

	memcpy(host_of(guest, BELOW), buf, DEVICE - BELOW);
	memcpy(host_of(guest, ABOVE), buf + 3, ALIAS - ABOVE);
	memcpy(copy, buf, DEVICE - BELOW);
	memcpy(copy + (DEVICE - BELOW), device.bytes, DEVICE_LEN);
	memcpy(copy + (ABOVE - BELOW), buf + 3, ALIAS - ABOVE);
	memmove(copy + (target - BELOW), copy + (source - BELOW),
		copies[_i].len);
	assert_ok(vmmem_collection_copy(guest, target, source, copies[_i].len,
					&done));
	ck_assert_uint_eq(done, copies[_i].len);
	assert_ok(vmmem_collection_read(guest, BELOW, buf, all, NULL));
	ck_assert_mem_eq(buf, copy, all);
}
END_TEST

/* What a callback returns is passed on, and the bytes before it counted. */
static const struct {
	int callback;
	int code;
} failures[] = {
	{ -EIO, -EIO },
	{ -EFAULT, -EFAULT },
	{ VMMEM_EPARTIAL, VMMEM_EPARTIAL },
	{ 1, VMMEM_ECALLBACK },
	{ INT32_MAX, VMMEM_ECALLBACK },
};

START_TEST(failure_is_passed_on)
{
	int code = failures[_i].code;
	uint64_t wide = 77;
	size_t done = 77;
	uint32_t value = 77;

	device.fail_from = 0;
	device.fail_code = failures[_i].callback;
	memset(host_of(guest, BELOW), 0x33, 0x1000);
	memset(copy, 0, sizeof(copy));
	assert_code(vmmem_collection_read(guest, DEVICE - 8, copy, 16, &done),
		    code);
	ck_assert_uint_eq(done, 8);
	ck_assert(all_are(copy, 0x33, 8));
	ck_assert(all_are(copy + 8, 0, 8));
	done = 77;
	assert_code(vmmem_collection_read_some(guest, DEVICE - 8, copy, 16,
					       &done), code);
	ck_assert_uint_eq(done, 8);
	done = 77;
	assert_code(vmmem_collection_write(guest, DEVICE - 8, buf, 16, &done),
		    code);
	ck_assert_uint_eq(done, 8);
	ck_assert_mem_eq(host_of(guest, DEVICE - 8), buf, 8);
	done = 77;
	assert_code(vmmem_collection_write_some(guest, DEVICE - 8, buf, 16,
						&done), code);
	ck_assert_uint_eq(done, 8);
	assert_code(vmmem_collection_fill(guest, DEVICE - 8, 16, 1, &wide),
		    code);
	ck_assert_uint_eq(wide, 8);
	wide = 77;
	assert_code(vmmem_collection_fill_some(guest, DEVICE - 8, 16, 1,
					       &wide), code);
	ck_assert_uint_eq(wide, 8);
	assert_code(vmmem_collection_read_u32(guest, DEVICE, &value), code);
	assert_code(vmmem_collection_read_u32(guest, DEVICE - 2, &value),
		    code);
	ck_assert_uint_eq(value, 77);
	assert_code(vmmem_collection_write_u32(guest, DEVICE, 1), code);
	assert_code(vmmem_collection_copy(guest, DEVICE, BELOW, 8, &wide),
		    code);
	ck_assert_uint_eq(wide, 0);
	assert_code(vmmem_collection_read(guest, DEVICE, copy, 1, NULL), code);
	ck_assert_uint_eq(device.moved, 0);
}
END_TEST

/* The count is what the device took, however the library cut it up. */
START_TEST(fill_counts_what_was_moved)
{
	uint64_t done = 77;

	device.fail_from = 0x2345;
	assert_code(vmmem_collection_fill(guest, DEVICE - 4, DEVICE_LEN,
					  0xd1, &done), -EIO);
	ck_assert_uint_eq(done, 4 + device.moved);
	device.moved = 0;
	assert_code(vmmem_collection_fill_some(guest, DEVICE, DEVICE_LEN,
					       0xd2, &done), -EIO);
	ck_assert_uint_eq(done, device.moved);
}
END_TEST

/* The bytes that were copied are the first ones ... */
START_TEST(copy_stopped_on_the_way_up)
{
	uint64_t done = 77;

	device.fail_from = 0x2345;
	assert_code(vmmem_collection_copy(guest, BELOW, BELOW + 0x800,
					  0x4000, &done), -EIO);
	/* The source meets the first bad byte 0x800 bytes before. */
	ck_assert_uint_le(done, 0x1000 + 0x2345 - 0x800);
	ck_assert_uint_ge(done, 0x800);
	/* What the device held before it was copied to itself. */
	pattern(copy, 0x800, 5);
	ck_assert_mem_eq(host_of(guest, BELOW + 0x800), copy, 0x800);
	assert_code(vmmem_collection_copy(guest, BELOW, DEVICE + 0x2345, 1,
					  &done), -EIO);
	ck_assert_uint_eq(done, 0);
}
END_TEST

/* ... or the last ones, where the target is ahead of the source. */
START_TEST(copy_stopped_on_the_way_down)
{
	const uint64_t len = 0x1000 + DEVICE_LEN + 0x800;
	uint64_t done = 77;

	memset(host_of(guest, ABOVE), 0x44, 0x1000);
	device.fail_from = 0;
	assert_code(vmmem_collection_copy(guest, BELOW + 0x800, BELOW, len,
					  &done), -EIO);
	ck_assert_uint_eq(done, 0x800);
	ck_assert(all_are(host_of(guest, ABOVE + 0x800), 0x44, 0x800));

	pattern(host_of(guest, ABOVE), 0x800, 12);
	pattern(copy, 0x800, 12);
	device.fail_from = DEVICE_LEN - 1;
	assert_code(vmmem_collection_copy(guest, BELOW + 0x800, BELOW, len,
					  &done), -EIO);
	ck_assert_uint_eq(done, 0x800);
	ck_assert_mem_eq(host_of(guest, ABOVE + 0x800), copy, 0x800);
}
END_TEST

START_TEST(checks_come_before_callbacks)
{
	uint64_t done = 77;
	size_t count = 77;

	assert_code(vmmem_collection_read(guest, DEVICE, copy,
					  sizeof(copy), &count),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_fill(guest, DEVICE, TOP, 1, &done),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_copy(guest, 0, DEVICE, 16, &done),
		    VMMEM_EBADADDR);
	assert_ok(vmmem_collection_read(guest, DEVICE, copy, 0, &count));
	assert_ok(vmmem_collection_fill(guest, DEVICE, 0, 1, &done));
	ck_assert_uint_eq(device.reads + device.writes, 0);
}
END_TEST

START_TEST(no_host_address_no_atomics)
{
	uint64_t value = 77, len = 77;
	void *host = &len;

	assert_code(vmmem_collection_load_u64(guest, DEVICE, 0, &value),
		    VMMEM_ENOHOST);
	assert_code(vmmem_collection_host_address(guest, DEVICE, 0, &host,
						  &len), VMMEM_ENOHOST);
	assert_code(vmmem_collection_host_address(guest, ALIAS, 0, &host,
						  &len), VMMEM_ENOHOST);
	ck_assert_uint_eq(value, 77);
	ck_assert_uint_eq(len, 77);
	ck_assert_ptr_eq(host, &len);
	ck_assert_uint_eq(device.reads, 0);
}
END_TEST

#define ADD_TABLE(tcase, test, rows)                                       \
	tcase_add_loop_test(tcase, test, 0, (int)ARRAY_LEN(rows))

/* No group of 8 aligned bytes is filled by two calls. */
START_TEST(fill_cuts_no_group)
{
	uint64_t done = 77;

	device.fail_from = 1100;
	assert_code(vmmem_collection_fill(guest, DEVICE + 3, 2000, 0x5a, &done),
		    -EIO);
	ck_assert_uint_eq(done, 1024 - 3);
	ck_assert_uint_eq(device.last_offset, 1024);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("custom_access");
	TCase *tcase = tcase_create("custom_access");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, reads_get_offset_and_length);
	tcase_add_test(tcase, writes_get_offset_and_length);
	tcase_add_test(tcase, register_8);
	tcase_add_test(tcase, register_16);
	tcase_add_test(tcase, register_32);
	tcase_add_test(tcase, register_64);
	tcase_add_test(tcase, integers_straddle);
	tcase_add_test(tcase, straddles_on_both_sides);
	tcase_add_test(tcase, alias_adds_its_offset);
	tcase_add_test(tcase, fill_reaches_every_byte);
	ADD_TABLE(tcase, copies_as_memory_does, copies);
	ADD_TABLE(tcase, failure_is_passed_on, failures);
	tcase_add_test(tcase, fill_counts_what_was_moved);
	tcase_add_test(tcase, copy_stopped_on_the_way_up);
	tcase_add_test(tcase, copy_stopped_on_the_way_down);
	tcase_add_test(tcase, checks_come_before_callbacks);
	tcase_add_test(tcase, no_host_address_no_atomics);
	tcase_add_test(tcase, fill_cuts_no_group);
	suite_add_tcase(suite, tcase);
	return suite;
}
