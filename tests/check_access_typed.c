/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Reading and writing integers: vmmem/access.h. */
#include <vmmem/access.h>

#include "guest.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)
#define ROM UINT64_C(0x3000)
#define SINK UINT64_C(0x4000)
#define HOLE UINT64_C(0x5000)

static struct vmmem_collection *guest;

/*
 * Regions of 4096 bytes, and one so short that an integer may lie in three
 * regions; the last one ends the address space.
 */
static void
setup(void)
{
	struct vmmem_region *regions[] = {
		region_of(PAGE, 0x1000),
		region_of(2 * PAGE, 3),
		region_of(2 * PAGE + 3, 0xffd),
		region_with(ROM, 0x1000, VMMEM_PROT_READ),
		region_with(SINK, 0x1000, VMMEM_PROT_WRITE),
		region_of(TOP - 0xfff, 0x1000),
	};

	guest = guest_of(regions, ARRAY_LEN(regions));
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
}

/* How an integer lies in memory, worked out with shifts. */
enum order { LITTLE, BIG, NATIVE };

static void
expected_bytes(uint64_t value, size_t size, enum order order, uint8_t *bytes)
{
	static const uint16_t one = 1;
	size_t i;

	if (order == NATIVE)
		order = *(const uint8_t *)&one == 1 ? LITTLE : BIG;
	for (i = 0; i < size; i++) {
		size_t shift = 8 * (order == BIG ? size - 1 - i : i);

		bytes[i] = (uint8_t)(value >> shift);
	}
}

static void
peek(uint64_t gpa, uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = *host_of(guest, gpa + i);
}

static void
poke(uint64_t gpa, const uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		*host_of(guest, gpa + i) = bytes[i];
}

/*
 * From 8 bytes before the end of the first region to well into the third:
 * every alignment, and every way to straddle.
 */
#define FIRST_GPA (2 * PAGE - 9)
#define LAST_GPA (2 * PAGE + 12)

#define TEST_TYPE(type, bits, order)                                       \
	START_TEST(type)                                                   \
	{                                                                  \
		static const uint64_t values[] = {                         \
			0, 1, TOP, UINT64_C(0x0123456789abcdef),           \
			UINT64_C(0xfedcba9876543210),                      \
		};                                                         \
		uint##bits##_t value, seen;                                \
		uint8_t expected[(bits) / 8], found[(bits) / 8 + 2];       \
		uint64_t gpa;                                              \
		size_t i;                                                  \
                                                                           \
		for (gpa = FIRST_GPA; gpa <= LAST_GPA; gpa++) {            \
			for (i = 0; i < ARRAY_LEN(values); i++) {          \
				value = (uint##bits##_t)values[i];         \
				expected_bytes(value, sizeof(value),       \
					       order, expected);           \
				memset(found, 0x5a, sizeof(found));        \
				poke(gpa - 1, found, sizeof(found));       \
				assert_ok(vmmem_collection_write_##type(   \
					guest, gpa, value));               \
				peek(gpa - 1, found, sizeof(found));       \
				ck_assert_mem_eq(found + 1, expected,      \
						 sizeof(value));           \
				ck_assert_uint_eq(found[0], 0x5a);         \
				ck_assert_uint_eq(                         \
					found[sizeof(value) + 1], 0x5a);   \
				/* The bytes, not what was written. */     \
				expected[0] ^= 0xff;                       \
				poke(gpa, expected, sizeof(value));        \
				assert_ok(vmmem_collection_read_##type(    \
					guest, gpa, &seen));               \
				expected_bytes(seen, sizeof(value), order, \
					       found);                     \
				ck_assert_mem_eq(found, expected,          \
						 sizeof(value));           \
			}                                                  \
		}                                                          \
	}                                                                  \
	END_TEST                                                           \
                                                                           \
	START_TEST(type##_refusals)                                        \
	{                                                                  \
		const uint64_t size = (bits) / 8;                          \
		uint##bits##_t seen = 0x5a;                                \
		uint8_t bytes[(bits) / 8];                                 \
                                                                           \
		assert_code(vmmem_collection_read_##type(NULL, PAGE,       \
							 &seen),           \
			    VMMEM_EARGUMENT);                                 \
		assert_code(vmmem_collection_read_##type(guest, PAGE,      \
							 NULL),            \
			    VMMEM_EARGUMENT);                                 \
		assert_code(vmmem_collection_write_##type(NULL, PAGE, 1),  \
			    VMMEM_EARGUMENT);                                 \
		assert_code(vmmem_collection_read_##type(guest, HOLE,      \
							 &seen),           \
			    VMMEM_EBADADDR);                               \
		assert_code(vmmem_collection_write_##type(guest, HOLE, 1), \
			    VMMEM_EBADADDR);                               \
		assert_code(vmmem_collection_read_##type(guest, SINK,      \
							 &seen),           \
			    VMMEM_EDENIED);                                  \
		assert_code(vmmem_collection_write_##type(guest, ROM, 1),  \
			    VMMEM_EDENIED);                                  \
		assert_ok(vmmem_collection_write_##type(guest, SINK, 1));  \
		ck_assert_uint_eq(seen, 0x5a);                             \
		assert_ok(vmmem_collection_read_##type(guest, ROM,         \
						       &seen));            \
		ck_assert_uint_eq(seen, 0);                                \
		/* The last place where it fits, and the first it does     \
		 * not. */                                                 \
		assert_ok(vmmem_collection_write_##type(                   \
			guest, TOP - (size - 1), 1));                      \
		if (size == 1)                                             \
			return;                                            \
		seen = 0x5a;                                               \
		assert_code(vmmem_collection_read_##type(                  \
				    guest, TOP - (size - 2), &seen),       \
			    VMMEM_EWRAPS);                              \
		assert_code(vmmem_collection_write_##type(                 \
				    guest, TOP - (size - 2),               \
				    (uint##bits##_t)TOP),                  \
			    VMMEM_EWRAPS);                              \
		assert_code(vmmem_collection_read_##type(                  \
				    guest, PAGE - 1, &seen),               \
			    VMMEM_EBADADDR);                               \
		assert_code(vmmem_collection_read_##type(                  \
				    guest, SINK - 1, &seen),               \
			    VMMEM_EDENIED);                                  \
		ck_assert_uint_eq(seen, 0x5a);                             \
		/* All or nothing, also where the first bytes are good. */ \
		assert_code(vmmem_collection_write_##type(                 \
				    guest, ROM - 1, (uint##bits##_t)TOP),  \
			    VMMEM_EDENIED);                                  \
		peek(ROM - 1, bytes, 1);                                   \
		ck_assert_uint_eq(bytes[0], 0);                            \
	}                                                                  \
	END_TEST

TEST_TYPE(u8, 8, NATIVE)
TEST_TYPE(u16, 16, NATIVE)
TEST_TYPE(u32, 32, NATIVE)
TEST_TYPE(u64, 64, NATIVE)
TEST_TYPE(le16, 16, LITTLE)
TEST_TYPE(le32, 32, LITTLE)
TEST_TYPE(le64, 64, LITTLE)
TEST_TYPE(be16, 16, BIG)
TEST_TYPE(be32, 32, BIG)
TEST_TYPE(be64, 64, BIG)

Suite *
make_suite(void)
{
	Suite *suite = suite_create("access_typed");
	TCase *tcase = tcase_create("access_typed");

	tcase_add_checked_fixture(tcase, setup, teardown);
#define ADD(type)                                                          \
	tcase_add_test(tcase, type);                                       \
	tcase_add_test(tcase, type##_refusals)
	ADD(u8);
	ADD(u16);
	ADD(u32);
	ADD(u64);
	ADD(le16);
	ADD(le32);
	ADD(le64);
	ADD(be16);
	ADD(be32);
	ADD(be64);
	suite_add_tcase(suite, tcase);
	return suite;
}
