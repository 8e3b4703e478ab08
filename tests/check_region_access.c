/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Reading and writing one region by the place in it, in no collection.  Of
 * memory that goes away meanwhile: check_fault.c.
 */
#include <vmmem/vmmem.h>

#include "device.h"
#include "guest.h"
#include "suite.h"

#define GPA UINT64_C(0x100003)
#define LEN UINT64_C(0x3000)
#define PAGE UINT64_C(0x1000)

static struct device device;
static struct vmmem_region *region, *custom;
static uint8_t buf[DEVICE_LEN], copy[DEVICE_LEN];

static struct vmmem_region *
tracked(const struct vmmem_region_ops *ops)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *tracked = NULL;

	vmmem_region_builder_set_range(builder, GPA, LEN);
	vmmem_region_builder_set_tracking(builder, PAGE);
	if (ops != NULL)
		vmmem_region_builder_set_custom(builder, ops, &device);
	assert_ok(vmmem_region_builder_build(builder, &tracked));
	vmmem_region_builder_free(builder);
	return tracked;
}

static void
setup(void)
{
	device_init(&device);
	region = tracked(NULL);
	custom = tracked(&device_ops);
	pattern(buf, sizeof(buf), 3);
	memset(copy, 0, sizeof(copy));
}

static void
teardown(void)
{
	region = vmmem_region_unref(region);
	custom = vmmem_region_unref(custom);
	ck_assert_uint_eq(device.destroyed, 1);
}

START_TEST(all_of_it)
{
	size_t done = 77;

	assert_ok(vmmem_region_write(region, 0, buf, LEN, &done));
	ck_assert_uint_eq(done, LEN);
	ck_assert_mem_eq(expect_host(region), buf, LEN);
	done = 77;
	assert_ok(vmmem_region_read(region, 0, copy, LEN, &done));
	ck_assert_uint_eq(done, LEN);
	ck_assert_mem_eq(copy, buf, LEN);
	assert_ok(vmmem_region_write(region, LEN - 1, &buf[7], 1, NULL));
	assert_ok(vmmem_region_read(region, LEN - 1, copy, 1, NULL));
	ck_assert_uint_eq(copy[0], buf[7]);
}
END_TEST

START_TEST(by_callbacks)
{
	size_t done = 77;

	assert_ok(vmmem_region_write(custom, 0x123, buf, 0x456, &done));
	ck_assert_uint_eq(done, 0x456);
	ck_assert_uint_eq(device.writes, 1);
	ck_assert_uint_eq(device.last_offset, 0x123);
	ck_assert_uint_eq(device.last_len, 0x456);
	ck_assert_mem_eq(device.bytes + 0x123, buf, 0x456);
	done = 77;
	assert_ok(vmmem_region_read(custom, 0x124, copy, 0x400, &done));
	ck_assert_uint_eq(done, 0x400);
	ck_assert_uint_eq(device.reads, 1);
	ck_assert_uint_eq(device.last_offset, 0x124);
	ck_assert_mem_eq(copy, buf + 1, 0x400);
}
END_TEST

/* What an alias shows is elsewhere in its target. */
START_TEST(of_an_alias)
{
	struct vmmem_region *of_memory = NULL, *of_device = NULL;
	uint8_t byte = 0;

	assert_ok(vmmem_region_new_alias(0x2003, 0x1000, region, 0x1800,
					 &of_memory));
	assert_ok(vmmem_region_new_alias(0x2000, 0x1000, custom, 0x1800,
					 &of_device));
	assert_ok(vmmem_region_write(of_memory, 0x10, buf, 0x20, NULL));
	ck_assert_mem_eq(expect_host(region) + 0x1810, buf, 0x20);
	assert_ok(vmmem_region_read(of_memory, 0x11, &byte, 1, NULL));
	ck_assert_uint_eq(byte, buf[1]);
	assert_ok(vmmem_region_write(of_device, 0x10, buf, 0x20, NULL));
	ck_assert_mem_eq(device.bytes + 0x1810, buf, 0x20);
	assert_ok(vmmem_region_read(of_device, 0x11, &byte, 1, NULL));
	ck_assert_uint_eq(device.last_offset, 0x1811);
	ck_assert_uint_eq(byte, buf[1]);
	vmmem_region_unref(of_memory);
	vmmem_region_unref(of_device);
}
END_TEST

/* No byte of it is moved, nothing is marked, no callback is called. */
static const struct {
	uint64_t offset;
	size_t len;
	int code;
} rows[] = {
	{ 0, LEN + 1, VMMEM_EOUTOFRANGE },
	{ 1, LEN, VMMEM_EOUTOFRANGE },
	{ LEN - 1, 2, VMMEM_EOUTOFRANGE },
	{ LEN, 1, VMMEM_EOUTOFRANGE },
	{ TOP, 1, VMMEM_EOUTOFRANGE },
	{ TOP, 2, VMMEM_EOUTOFRANGE },
	{ TOP - 1, 3, VMMEM_EOUTOFRANGE },
	/* Would be within it if it wrapped. */
	{ TOP - 15, 0x20, VMMEM_EOUTOFRANGE },
	{ 1, SIZE_MAX, VMMEM_EOUTOFRANGE },
	/* Nothing is looked at for nothing. */
	{ 0, 0, 0 },
	{ LEN, 0, 0 },
	{ TOP, 0, 0 },
};

START_TEST(out_of_range)
{
	struct vmmem_region *both[] = { region, custom };
	size_t i, done;

	for (i = 0; i < ARRAY_LEN(both); i++) {
		assert_ok(vmmem_bitmap_start_logging(vmmem_region_bitmap(both[i])));
		done = 77;
		assert_code(vmmem_region_read(both[i], rows[_i].offset, copy,
					      rows[_i].len, &done),
			    rows[_i].code);
		ck_assert_uint_eq(done, 0);
		done = 77;
		assert_code(vmmem_region_write(both[i], rows[_i].offset, buf,
					       rows[_i].len, &done),
			    rows[_i].code);
		ck_assert_uint_eq(done, 0);
		ck_assert_uint_eq(
			vmmem_bitmap_count(vmmem_region_bitmap(both[i])), 0);
	}
	ck_assert(all_are(copy, 0, sizeof(copy)));
	ck_assert(all_are(expect_host(region), 0, LEN));
	ck_assert_uint_eq(device.reads + device.writes, 0);
}
END_TEST

START_TEST(not_permitted)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *rom = region_with(0, PAGE, VMMEM_PROT_READ);
	struct vmmem_region *none = region_with(0, PAGE, 0);
	struct vmmem_region *sink = NULL;
	size_t done = 77;

	assert_ok(vmmem_region_read(rom, 0, copy, PAGE, NULL));
	assert_code(vmmem_region_write(rom, 0, buf, 1, &done), VMMEM_EDENIED);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_region_read(none, 0, copy, 1, &done), VMMEM_EDENIED);
	assert_code(vmmem_region_write(none, 0, buf, 1, &done), VMMEM_EDENIED);
	assert_ok(vmmem_region_write(none, 0, NULL, 0, &done));
	vmmem_region_builder_set_range(builder, 0, PAGE);
	vmmem_region_builder_set_custom(builder, &device_ops, &device);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_WRITE);
	assert_ok(vmmem_region_builder_build(builder, &sink));
	vmmem_region_builder_free(builder);
	assert_code(vmmem_region_read(sink, 0, copy, 1, &done), VMMEM_EDENIED);
	assert_ok(vmmem_region_write(sink, 0, buf, 1, &done));
	vmmem_region_unref(rom);
	vmmem_region_unref(none);
	vmmem_region_unref(sink);
	ck_assert_uint_eq(device.destroyed, 1);
	device.destroyed = 0;
}
END_TEST

/* A callback that fails ends it; what it may have written is marked. */
START_TEST(failing_callbacks)
{
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(custom);
	size_t done = 77;

	assert_ok(vmmem_bitmap_start_logging(bitmap));
	device.fail_from = PAGE;
	assert_code(vmmem_region_read(custom, PAGE - 1, copy, 2, &done), -EIO);
	ck_assert_uint_eq(done, 0);
	done = 77;
	assert_code(vmmem_region_write(custom, PAGE - 1, buf, 2, &done), -EIO);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 2);
	device.fail_code = 1;
	assert_code(vmmem_region_read(custom, PAGE, copy, 1, &done),
		    VMMEM_ECALLBACK);
}
END_TEST

/* The bytes of the low 'size' bytes of a value, as the host stores them. */
static const uint8_t *
low_bytes(const uint64_t *value, uint32_t size)
{
	const uint16_t one = 1;
	const uint8_t *first = (const uint8_t *)value;

	return *(const uint8_t *)&one == 1 ? first :
					     first + sizeof(*value) - size;
}

/* One value, in the host's order; of a device one call of that width. */
START_TEST(values)
{
	static const uint32_t sizes[] = { 1, 2, 4, 8 };
	const uint64_t value = UINT64_C(0x8877665544332211);
	struct vmmem_region *alias = NULL;
	uint64_t got, mask, at;
	uint32_t size;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		size = sizes[i];
		mask = UINT64_MAX >> (64 - 8 * size);
		/* The guest address is aligned: the region begins at 3. */
		at = 16 * size - GPA % size;
		assert_ok(vmmem_region_store(region, at, size,
					     VMMEM_ORDER_SEQ_CST, value));
		ck_assert_mem_eq(expect_host(region) + at,
				 low_bytes(&value, size), size);
		ck_assert_uint_eq(expect_host(region)[at + size], 0);
		assert_ok(vmmem_region_load(region, at, size,
					    VMMEM_ORDER_ACQUIRE, &got));
		ck_assert_uint_eq(got, value & mask);
		assert_ok(vmmem_region_store(custom, at, size,
					     VMMEM_ORDER_RELEASE, value));
		ck_assert_uint_eq(device.writes, i + 1);
		ck_assert_uint_eq(device.last_offset, at);
		ck_assert_uint_eq(device.last_len, size);
		ck_assert_mem_eq(device.bytes + at, low_bytes(&value, size),
				 size);
		assert_ok(vmmem_region_load(custom, at, size,
					    VMMEM_ORDER_SEQ_CST, &got));
		ck_assert_uint_eq(device.reads, i + 1);
		ck_assert_uint_eq(device.last_len, size);
		ck_assert_uint_eq(got, value & mask);
	}
	assert_ok(vmmem_region_new_alias(0x2000, 8, custom, 0x100, &alias));
	assert_ok(vmmem_region_store(alias, 4, 4, VMMEM_ORDER_RELAXED, 1));
	ck_assert_uint_eq(device.last_offset, 0x104);
	assert_ok(vmmem_region_load(alias, 0, 8, VMMEM_ORDER_RELAXED, &got));
	/* Half of it was written, the upper one on a little-endian host. */
	ck_assert(got == UINT64_C(1) << 32 || got == 1);
	ck_assert_int_eq(got == 1, low_bytes(&value, 1) != (const void *)&value);
	vmmem_region_unref(alias);
}
END_TEST

static const struct {
	uint64_t offset;
	uint32_t size;
	int order; /* bad for both */
	int code;
} values_refused_rows[] = {
	{ 5, 0, 0, VMMEM_EARGUMENT },
	{ 5, 3, 99, VMMEM_EARGUMENT },
	{ 5, 16, 0, VMMEM_EARGUMENT },
	{ 5, 0x80000008, 0, VMMEM_EARGUMENT },
	{ LEN, 8, VMMEM_ORDER_ACQ_REL, VMMEM_EORDER },
	{ 5, 8, 1, VMMEM_EORDER },
	{ 5, 8, -1, VMMEM_EORDER },
	{ LEN - 1, 2, 0, VMMEM_EOUTOFRANGE },
	{ LEN, 1, 0, VMMEM_EOUTOFRANGE },
	{ TOP, 8, 0, VMMEM_EOUTOFRANGE },
	{ 0, 2, 0, VMMEM_EMISALIGNED },
	{ 4, 8, 0, VMMEM_EMISALIGNED },
	/* Of a region that permits nothing. */
	{ 5, 8, 0, VMMEM_EDENIED },
};

START_TEST(values_refused)
{
	struct vmmem_region *none = region_with(GPA, LEN, 0);
	struct vmmem_region *all[] = { none, region, custom };
	const uint64_t offset = values_refused_rows[_i].offset;
	const uint32_t size = values_refused_rows[_i].size;
	const int order = values_refused_rows[_i].order;
	const int code = values_refused_rows[_i].code;
	uint64_t got = 77;
	size_t i;

	for (i = 0; i < (code == VMMEM_EDENIED ? 1 : ARRAY_LEN(all)); i++) {
		assert_code(vmmem_region_load(all[i], offset, size, order,
					      &got), code);
		ck_assert_uint_eq(got, 77);
		assert_code(vmmem_region_store(all[i], offset, size, order,
					       ~UINT64_C(0)), code);
	}
	assert_code(vmmem_region_load(NULL, 5, 8, 0, &got), VMMEM_EARGUMENT);
	assert_code(vmmem_region_load(region, 5, 8, 0, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_load(region, 5, 8, VMMEM_ORDER_RELEASE, &got),
		    VMMEM_EORDER);
	assert_code(vmmem_region_store(NULL, 5, 8, 0, 1), VMMEM_EARGUMENT);
	assert_code(vmmem_region_store(region, 5, 8, VMMEM_ORDER_ACQUIRE, 1),
		    VMMEM_EORDER);
	ck_assert(all_are(expect_host(region), 0, LEN));
	ck_assert_uint_eq(device.reads + device.writes, 0);
	vmmem_region_unref(none);
}
END_TEST

START_TEST(values_of_failing_callbacks)
{
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(custom);
	uint64_t got = 77;

	assert_ok(vmmem_bitmap_start_logging(bitmap));
	device.fail_from = 0;
	assert_code(vmmem_region_load(custom, 5, 8, 0, &got), -EIO);
	ck_assert_uint_eq(got, 77);
	assert_code(vmmem_region_store(custom, 5, 8, 0, 1), -EIO);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 1);
	device.fail_code = 1;
	assert_code(vmmem_region_store(custom, 5, 8, 0, 1), VMMEM_ECALLBACK);
}
END_TEST

START_TEST(filling)
{
	struct vmmem_region *both[] = { region, custom };
	struct vmmem_bitmap *bitmap;
	const uint8_t *bytes;
	uint64_t done;
	size_t i;

	for (i = 0; i < ARRAY_LEN(both); i++) {
		bitmap = vmmem_region_bitmap(both[i]);
		bytes = i == 0 ? expect_host(region) : device.bytes;
		done = 77;
		assert_ok(vmmem_region_fill(both[i], 5, LEN - 6, 0xab, &done));
		ck_assert_uint_eq(done, LEN - 6);
		ck_assert(all_are(bytes, 0, 5));
		ck_assert(all_are(bytes + 5, 0xab, LEN - 6));
		ck_assert_uint_eq(bytes[LEN - 1], 0);
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
		assert_ok(vmmem_bitmap_start_logging(bitmap));
		assert_ok(vmmem_region_fill(both[i], PAGE - 1, 2, 1, NULL));
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 2);
		assert_ok(vmmem_region_fill(both[i], TOP, 0, 1, &done));
		ck_assert_uint_eq(done, 0);
		done = 77;
		assert_code(vmmem_region_fill(both[i], LEN - 1, 2, 1, &done),
			    VMMEM_EOUTOFRANGE);
		ck_assert_uint_eq(done, 0);
		assert_code(vmmem_region_fill(both[i], 1, TOP, 1, NULL),
			    VMMEM_EOUTOFRANGE);
	}
	assert_code(vmmem_region_fill(NULL, 0, 1, 1, &done), VMMEM_EARGUMENT);
	/* What a callback did before one failed is told. */
	device.fail_from = 0x2000;
	assert_code(vmmem_region_fill(custom, 0, LEN, 2, &done), -EIO);
	ck_assert_uint_gt(done, 0x1800);
	ck_assert_uint_le(done, 0x2000);
	ck_assert(all_are(device.bytes, 2, done));
}
END_TEST

START_TEST(exactly_what_is_written_is_marked)
{
	struct vmmem_region *both[] = { region, custom };
	struct vmmem_bitmap *bitmap;
	size_t i;

	for (i = 0; i < ARRAY_LEN(both); i++) {
		bitmap = vmmem_region_bitmap(both[i]);
		assert_ok(vmmem_region_write(both[i], 0, buf, LEN, NULL));
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
		assert_ok(vmmem_bitmap_start_logging(bitmap));
		assert_ok(vmmem_region_read(both[i], 0, copy, LEN, NULL));
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
		assert_ok(vmmem_region_write(both[i], PAGE - 1, buf, 1, NULL));
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 1);
		ck_assert_int_eq(vmmem_bitmap_test(bitmap, 0), 1);
		assert_ok(vmmem_region_write(both[i], 2 * PAGE - 1, buf, 2,
					     NULL));
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 3);
	}
}
END_TEST

START_TEST(wrong_arguments)
{
	size_t done = 77;

	assert_code(vmmem_region_read(NULL, 0, copy, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_write(NULL, 0, buf, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_read(region, 0, NULL, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_write(region, 0, NULL, 1, &done),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(done, 77);
	assert_ok(vmmem_region_read(region, 0, NULL, 0, &done));
	ck_assert_uint_eq(done, 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("region_access");
	TCase *tcase = tcase_create("region_access");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, all_of_it);
	tcase_add_test(tcase, by_callbacks);
	tcase_add_test(tcase, of_an_alias);
	tcase_add_loop_test(tcase, out_of_range, 0, (int)ARRAY_LEN(rows));
	tcase_add_test(tcase, not_permitted);
	tcase_add_test(tcase, failing_callbacks);
	tcase_add_test(tcase, values);
	tcase_add_loop_test(tcase, values_refused, 0,
			    (int)ARRAY_LEN(values_refused_rows));
	tcase_add_test(tcase, values_of_failing_callbacks);
	tcase_add_test(tcase, filling);
	tcase_add_test(tcase, exactly_what_is_written_is_marked);
	tcase_add_test(tcase, wrong_arguments);
	suite_add_tcase(suite, tcase);
	return suite;
}
