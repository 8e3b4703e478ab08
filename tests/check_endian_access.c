/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Integers of guest memory in a byte order, by address, through a reader and in
 * a slice: the bytes, the values, and what is left after a failure.
 */
#include <stdbool.h>

#include <vmmem/endian_access.h>
#include <vmmem/space.h>

#include "guest.h"
#include "suite.h"

#define GPA UINT64_C(0x10000)
#define LEN 4096
#define NOTHING 0x5a

static struct vmmem_region *region;
static struct vmmem_collection *map;
static struct vmmem_space *space;
static struct vmmem_reader *reader;
static struct vmmem_slice slice;

static void
setup(void)
{
	region = region_of(GPA, LEN);
	map = guest_of((struct vmmem_region *[]){ vmmem_region_ref(region) },
		       1);
	assert_ok(vmmem_space_new(map, NULL, &space));
	assert_ok(vmmem_reader_new(space, NULL, &reader));
	assert_ok(vmmem_collection_slice(map, GPA, LEN,
					 VMMEM_PROT_READ | VMMEM_PROT_WRITE,
					 &slice));
}

static void
teardown(void)
{
	vmmem_slice_release(&slice);
	reader = vmmem_reader_free(reader);
	space = vmmem_space_unref(space);
	map = vmmem_collection_unref(map);
	region = vmmem_region_unref(region);
}

/* The bytes of 'value', worked out without asking for the host's order. */
static void
expect_in_memory(uint64_t at, uint64_t value, size_t size, bool big)
{
	uint8_t byte;
	size_t i;

	for (i = 0; i < size; i++) {
		const size_t shift = 8 * (big ? size - 1 - i : i);

		assert_ok(vmmem_region_read(region, at + i, &byte, 1, NULL));
		ck_assert_uint_eq(byte, value >> shift & 0xff);
	}
}

/*
 * All of a type: 'at' is aligned, 'odd' is not, and the last places are where
 * one byte too many is asked for, at the end and at 2^64 - 1.
 */
#define ALL(object, type, bits, big, start)                                \
	do {                                                               \
		const uint64_t v = (uint##bits##_t)0x0123456789abcdef;     \
		const uint64_t size = (bits) / 8, at = 64, odd = 129;      \
		const uint64_t wrong[] = { LEN - size + 1, LEN,            \
					   UINT64_C(1) << 63,              \
					   UINT64_MAX - (start) };         \
		uint##bits##_t got = NOTHING;                              \
		size_t i;                                                  \
                                                                           \
		assert_ok(vmmem_##object##_write_##type(                   \
			object_##object, (start) + odd,                    \
			(uint##bits##_t)v));                               \
		expect_in_memory(odd, v, size, big);                       \
		assert_ok(vmmem_##object##_read_##type(                    \
			object_##object, (start) + odd, &got));            \
		ck_assert_uint_eq(got, v);                                 \
		assert_ok(vmmem_##object##_store_##type(                   \
			object_##object, (start) + at,                     \
			(uint##bits##_t)~v, VMMEM_ORDER_RELEASE));         \
		expect_in_memory(at, (uint##bits##_t)~v, size, big);       \
		assert_ok(vmmem_##object##_load_##type(                    \
			object_##object, (start) + at,                     \
			VMMEM_ORDER_ACQUIRE, &got));                       \
		ck_assert_uint_eq(got, (uint##bits##_t)~v);                \
		got = NOTHING;                                             \
		for (i = 0; i < ARRAY_LEN(wrong); i++) {                   \
			uint##bits##_t same = NOTHING;                     \
			const uint64_t place = (start) + wrong[i];         \
			int rc;                                            \
                                                                           \
			rc = vmmem_##object##_read_u##bits(                \
				object_##object, place, &same);            \
			ck_assert_int_lt(rc, 0);                           \
			assert_code(vmmem_##object##_read_##type(          \
					    object_##object, place, &got), \
				    rc);                                   \
			assert_code(vmmem_##object##_write_##type(         \
					    object_##object, place, 1),    \
				    rc);                                   \
			rc = vmmem_##object##_load_u##bits(                \
				object_##object, place,                    \
				VMMEM_ORDER_ACQUIRE, &same);               \
			ck_assert_int_lt(rc, 0);                           \
			assert_code(vmmem_##object##_load_##type(          \
					    object_##object, place,        \
					    VMMEM_ORDER_ACQUIRE, &got),    \
				    rc);                                   \
			assert_code(vmmem_##object##_store_##type(         \
					    object_##object, place, 1,     \
					    VMMEM_ORDER_RELEASE),          \
				    rc);                                   \
		}                                                          \
		ck_assert_uint_eq(got, NOTHING);                           \
		assert_code(vmmem_##object##_read_##type(                  \
				    object_##object, (start) + at, NULL),  \
			    VMMEM_EARGUMENT);                              \
		assert_code(vmmem_##object##_load_##type(                  \
				    object_##object, (start) + at,         \
				    VMMEM_ORDER_RELEASE, &got),            \
			    VMMEM_EORDER);                                 \
		assert_code(vmmem_##object##_store_##type(                 \
				    object_##object, (start) + at, 1,      \
				    VMMEM_ORDER_ACQUIRE),                  \
			    VMMEM_EORDER);                                 \
		assert_code(vmmem_##object##_read_##type(NULL, start,      \
							 &got),            \
			    VMMEM_EARGUMENT);                              \
		assert_code(vmmem_##object##_write_##type(NULL, start, 1), \
			    VMMEM_EARGUMENT);                              \
		expect_in_memory(at, (uint##bits##_t)~v, size, big);       \
	} while (0)

#define object_collection map
#define object_reader reader
#define object_slice &slice

#define TEST_OBJECT(object, start)                                         \
	START_TEST(of_##object)                                            \
	{                                                                  \
		ALL(object, le16, 16, false, start);                       \
		ALL(object, le32, 32, false, start);                       \
		ALL(object, le64, 64, false, start);                       \
		ALL(object, be16, 16, true, start);                        \
		ALL(object, be32, 32, true, start);                        \
		ALL(object, be64, 64, true, start);                        \
	}                                                                  \
	END_TEST

TEST_OBJECT(collection, GPA)
TEST_OBJECT(reader, GPA)
TEST_OBJECT(slice, UINT64_C(0))

Suite *
make_suite(void)
{
	Suite *suite = suite_create("endian_access");
	TCase *tcase = tcase_create("endian_access");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, of_collection);
	tcase_add_test(tcase, of_reader);
	tcase_add_test(tcase, of_slice);
	suite_add_tcase(suite, tcase);
	return suite;
}
