/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Loads and stores that have a byte order and a memory order, of a collection, a
 * reader and a slice: what lies in memory is worked out with shifts, without
 * asking what the host's byte order is.
 */
#include <string.h>

#include <vmmem/atomic.h>
#include <vmmem/reader_access.h>
#include <vmmem/slice_atomic.h>

#include "guest.h"
#include "suite.h"

#define GPA UINT64_C(0x1000)
#define LEN UINT64_C(64)
#define AT UINT64_C(16)
#define READ_WRITE (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

static struct vmmem_region *region;
static struct vmmem_collection *guest;
static struct vmmem_space *space;
static struct vmmem_reader *reader;
static struct vmmem_slice slice;
static uint8_t *host;

static void
setup(void)
{
	region = region_of(GPA, LEN);
	host = expect_host(region);
	assert_ok(vmmem_collection_new(&region, 1, &guest));
	assert_ok(vmmem_space_new(guest, NULL, &space));
	assert_ok(vmmem_reader_new(space, NULL, &reader));
	assert_ok(vmmem_region_slice(region, 0, LEN, READ_WRITE, &slice));
}

static void
teardown(void)
{
	reader = vmmem_reader_free(reader);
	space = vmmem_space_unref(space);
	guest = vmmem_collection_unref(guest);
	region = vmmem_region_unref(region);
}

/* In memory: 'bytes', and nothing beside them. */
static void
lay_out(uint64_t value, size_t size, int big, uint8_t *bytes)
{
	size_t i;

	for (i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >>
				     8 * (big ? size - 1 - i : i));
}

static const uint64_t values[] = {
	0,
	1,
	UINT64_MAX,
	UINT64_C(0x0123456789abcdef),
	UINT64_C(0xfedcba9876543210),
};

static const int load_orders[] = {
	VMMEM_ORDER_RELAXED, VMMEM_ORDER_ACQUIRE, VMMEM_ORDER_SEQ_CST,
};
static const int store_orders[] = {
	VMMEM_ORDER_RELAXED, VMMEM_ORDER_RELEASE, VMMEM_ORDER_SEQ_CST,
};

/* One way to reach memory: 'handle' and 'at' are its first two arguments. */
#define TRY(object, handle, at, type, bits, big)                           \
	do {                                                               \
		uint##bits##_t got = 42, value = (uint##bits##_t)values[_i]; \
		uint8_t bytes[(bits) / 8], around[LEN];                    \
		size_t i;                                                  \
                                                                           \
		lay_out(value, sizeof(bytes), big, bytes);                 \
		for (i = 0; i < 3; i++) {                                  \
			memset(host, 0x5a, LEN);                           \
			memset(around, 0x5a, LEN);                         \
			memcpy(around + AT, bytes, sizeof(bytes));         \
			assert_ok(vmmem_##object##_store_##type(           \
				handle, at, value, store_orders[i]));      \
			ck_assert_mem_eq(host, around, LEN);               \
			got = (uint##bits##_t)~value;                      \
			assert_ok(vmmem_##object##_load_##type(            \
				handle, at, load_orders[i], &got));        \
			ck_assert_uint_eq(got, value);                     \
		}                                                          \
		/* What is refused changes nothing. */                     \
		got = 42;                                                  \
		assert_code(vmmem_##object##_load_##type(                  \
				    handle, at, VMMEM_ORDER_RELEASE, &got), \
			    VMMEM_EORDER);                                 \
		assert_code(vmmem_##object##_load_##type(handle, (at) + 1, \
							 0, &got),         \
			    VMMEM_EMISALIGNED);                            \
		assert_code(vmmem_##object##_load_##type(                  \
				    handle, (at) + 2 * LEN, 0, &got),      \
			    #object[0] == 's' ? VMMEM_EOUTOFRANGE :        \
						VMMEM_EBADADDR);           \
		assert_code(vmmem_##object##_load_##type(handle, at, 0,    \
							 NULL),            \
			    VMMEM_EARGUMENT);                              \
		assert_code(vmmem_##object##_load_##type(NULL, at, 0,      \
							 &got),            \
			    VMMEM_EARGUMENT);                              \
		ck_assert_uint_eq(got, 42);                                \
		assert_code(vmmem_##object##_store_##type(                 \
				    handle, at, 7, VMMEM_ORDER_ACQUIRE),   \
			    VMMEM_EORDER);                                 \
		assert_code(vmmem_##object##_store_##type(handle,          \
							  (at) + 1, 7, 0), \
			    VMMEM_EMISALIGNED);                            \
		assert_code(vmmem_##object##_store_##type(NULL, at, 7, 0), \
			    VMMEM_EARGUMENT);                              \
		ck_assert_mem_eq(host, around, LEN);                       \
	} while (0)

#define TEST_TYPE(type, bits, big)                                         \
	START_TEST(type)                                                   \
	{                                                                  \
		TRY(collection, guest, GPA + AT, type, bits, big);         \
		TRY(reader, reader, GPA + AT, type, bits, big);            \
		TRY(slice, &slice, AT, type, bits, big);                   \
	}                                                                  \
	END_TEST

TEST_TYPE(le16, 16, 0)
TEST_TYPE(le32, 32, 0)
TEST_TYPE(le64, 64, 0)
TEST_TYPE(be16, 16, 1)
TEST_TYPE(be32, 32, 1)
TEST_TYPE(be64, 64, 1)

Suite *
make_suite(void)
{
	Suite *suite = suite_create("byte_order");
	TCase *tcase = tcase_create("byte_order");
	const int count = sizeof(values) / sizeof(values[0]);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, le16, 0, count);
	tcase_add_loop_test(tcase, le32, 0, count);
	tcase_add_loop_test(tcase, le64, 0, count);
	tcase_add_loop_test(tcase, be16, 0, count);
	tcase_add_loop_test(tcase, be32, 0, count);
	tcase_add_loop_test(tcase, be64, 0, count);
	suite_add_tcase(suite, tcase);
	return suite;
}
