/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Integers of a fixed byte order, and the helpers that make them. */
#include <stdalign.h>
#include <string.h>

#include <vmmem/endian.h>

#include "suite.h"

/*
 * What a value looks like in memory is worked out with shifts, without asking
 * what the host's byte order is.
 */
static void
expected_bytes(uint64_t value, size_t size, int big, uint8_t *bytes)
{
	size_t i;

	for (i = 0; i < size; i++) {
		size_t shift = 8 * (big ? size - 1 - i : i);

		bytes[i] = (uint8_t)(value >> shift);
	}
}

#define TEST_TYPE(name, bits, big, get, set, from, to)                     \
	_Static_assert(sizeof(vmmem_##name) == bits / 8, "size");          \
	_Static_assert(alignof(vmmem_##name) == alignof(uint##bits##_t),   \
		       "alignment");                                       \
	START_TEST(name)                                                   \
	{                                                                  \
		uint##bits##_t value = (uint##bits##_t)values[_i];         \
		uint8_t bytes[bits / 8];                                   \
		vmmem_##name stored;                                       \
                                                                           \
		expected_bytes(value, sizeof(bytes), big, bytes);          \
		set(&stored, value);                                       \
		ck_assert_mem_eq(&stored, bytes, sizeof(bytes));           \
		ck_assert_uint_eq(get(&stored), value);                    \
		ck_assert_uint_eq(from(value), stored.raw);                \
		ck_assert_uint_eq(to(stored.raw), value);                  \
	}                                                                  \
	END_TEST

static const uint64_t values[] = {
	0,
	1,
	UINT64_MAX,
	UINT64_C(0x0123456789abcdef),
	UINT64_C(0xfedcba9876543210),
	UINT64_C(0x8000000080008080),
};

TEST_TYPE(le16, 16, 0, vmmem_le16_get, vmmem_le16_set, vmmem_le16_from_host,
	  vmmem_le16_to_host)
TEST_TYPE(le32, 32, 0, vmmem_le32_get, vmmem_le32_set, vmmem_le32_from_host,
	  vmmem_le32_to_host)
TEST_TYPE(le64, 64, 0, vmmem_le64_get, vmmem_le64_set, vmmem_le64_from_host,
	  vmmem_le64_to_host)
TEST_TYPE(be16, 16, 1, vmmem_be16_get, vmmem_be16_set, vmmem_be16_from_host,
	  vmmem_be16_to_host)
TEST_TYPE(be32, 32, 1, vmmem_be32_get, vmmem_be32_set, vmmem_be32_from_host,
	  vmmem_be32_to_host)
TEST_TYPE(be64, 64, 1, vmmem_be64_get, vmmem_be64_set, vmmem_be64_from_host,
	  vmmem_be64_to_host)

/* A struct as a guest lays it out: no padding, and each field in its order. */
START_TEST(struct_of_a_guest)
{
	struct descriptor {
		vmmem_le64 addr;
		vmmem_le32 len;
		vmmem_be16 flags;
		vmmem_le16 next;
	} descriptor;
	static const uint8_t expected[] = {
		0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01,
		0x44, 0x33, 0x22, 0x11, 0xaa, 0xbb, 0x02, 0x01,
	};

	_Static_assert(sizeof(struct descriptor) == sizeof(expected),
		       "padding");
	vmmem_le64_set(&descriptor.addr, UINT64_C(0x0123456789abcdef));
	vmmem_le32_set(&descriptor.len, 0x11223344);
	vmmem_be16_set(&descriptor.flags, 0xaabb);
	vmmem_le16_set(&descriptor.next, 0x0102);
	ck_assert_mem_eq(&descriptor, expected, sizeof(expected));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("endian");
	TCase *tcase = tcase_create("endian");
	int count = (int)(sizeof(values) / sizeof(values[0]));

	tcase_add_loop_test(tcase, le16, 0, count);
	tcase_add_loop_test(tcase, le32, 0, count);
	tcase_add_loop_test(tcase, le64, 0, count);
	tcase_add_loop_test(tcase, be16, 0, count);
	tcase_add_loop_test(tcase, be32, 0, count);
	tcase_add_loop_test(tcase, be64, 0, count);
	tcase_add_test(tcase, struct_of_a_guest);
	suite_add_tcase(suite, tcase);
	return suite;
}
