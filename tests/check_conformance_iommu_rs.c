/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Counterparts of the unit tests of vm-memory's iommu.rs, written anew: what
 * each of them asks of an IOTLB or of memory behind an IOMMU, asked of ours,
 * with our own addresses.  All match but where a comment says otherwise.
 */
#include "iommus.h"
#include "suite.h"

static struct vmmem_iotlb_piece pieces[8];
static size_t found;

static int
look(uint64_t iova, uint64_t len, uint32_t access)
{
	return vmmem_iotlb_lookup(see.iotlb, iova, len, access, pieces,
				  ARRAY_LEN(pieces), &found);
}

static void
expect(size_t i, uint32_t state, uint64_t iova, uint64_t len, uint64_t gpa)
{
	ck_assert_uint_lt(i, found);
	ck_assert_uint_eq(pieces[i].state, state);
	ck_assert_uint_eq(pieces[i].iova, iova);
	ck_assert_uint_eq(pieces[i].len, len);
	ck_assert_uint_eq(pieces[i].gpa, gpa);
}

/* Neighbours that go on in the target are found as one. */
START_TEST(merge)
{
	see_map(1001, 77, 50, RW);
	see_map(1051, 127, 70, RW);
	assert_ok(look(1001, 120, RW));
	ck_assert_uint_eq(found, 1);
	expect(0, VMMEM_IOTLB_HIT, 1001, 120, 77);
	/* A part that lies across where they met. */
	assert_ok(look(1050, 2, RW));
	ck_assert_uint_eq(found, 1);
	expect(0, VMMEM_IOTLB_HIT, 1050, 2, 126);
}
END_TEST

/* Neighbours that lead to the same bytes are two. */
START_TEST(no_merge_of_the_same_target)
{
	see_map(1001, 77, 50, RW);
	see_map(1051, 77, 70, RW);
	assert_ok(look(1001, 120, RW));
	ck_assert_uint_eq(found, 2);
	expect(0, VMMEM_IOTLB_HIT, 1001, 50, 77);
	expect(1, VMMEM_IOTLB_HIT, 1051, 70, 77);
}
END_TEST

/* What does not permit the access is reported, and nothing else is. */
START_TEST(permissions)
{
	see_map(1001, 77, 50, R);
	see_map(1051, 177, 70, W);
	assert_code(look(1001, 120, RW), VMMEM_EDENIED);
	ck_assert_uint_eq(found, 2);
	expect(0, VMMEM_IOTLB_DENIED, 1001, 50, 77);
	expect(1, VMMEM_IOTLB_DENIED, 1051, 70, 177);
	assert_code(look(1001, 120, R), VMMEM_EDENIED);
	expect(0, VMMEM_IOTLB_HIT, 1001, 50, 77);
	expect(1, VMMEM_IOTLB_DENIED, 1051, 70, 177);
	assert_code(look(1001, 120, W), VMMEM_EDENIED);
	expect(0, VMMEM_IOTLB_DENIED, 1001, 50, 77);
	expect(1, VMMEM_IOTLB_HIT, 1051, 70, 177);
	assert_ok(look(1001, 120, 0));
	assert_ok(look(1001, 50, R));
	expect(0, VMMEM_IOTLB_HIT, 1001, 50, 77);
	assert_ok(look(1051, 70, W));
	expect(0, VMMEM_IOTLB_HIT, 1051, 70, 177);
}
END_TEST

/* A hole in the middle, then nothing at all. */
START_TEST(invalidation)
{
	see_map(1001, 77, 100, RW);
	assert_ok(look(1001, 100, RW));
	expect(0, VMMEM_IOTLB_HIT, 1001, 100, 77);
	assert_ok(vmmem_iotlb_unmap(see.iotlb, 1040, 5));
	assert_ok(look(1001, 39, RW));
	expect(0, VMMEM_IOTLB_HIT, 1001, 39, 77);
	assert_code(look(1001, 100, RW), VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(found, 3);
	expect(1, VMMEM_IOTLB_MISS, 1040, 5, 0);
	assert_ok(look(1045, 56, RW));
	expect(0, VMMEM_IOTLB_HIT, 1045, 56, 121);
	vmmem_iotlb_unmap_all(see.iotlb);
	assert_code(look(1001, 100, RW), VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(found, 1);
	expect(0, VMMEM_IOTLB_MISS, 1001, 100, 0);
}
END_TEST

/* Two ranges of memory that lie apart, with bytes that count up. */
#define LOW UINT64_C(0x3000)
#define HIGH UINT64_C(0x9000)
#define PART UINT64_C(0x80)
#define SEEN UINT64_C(0x51000)

static void
open_parts(size_t parts, uint8_t first)
{
	const struct vmmem_range ranges[2] = { { LOW, PART }, { HIGH, PART } };
	const struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = see_miss,
	};
	uint8_t bytes[PART];
	size_t i, j;

	memset(&asked, 0, sizeof(asked));
	answer = VMMEM_EIOMMUMISS;
	see.physical = guest_of_ranges(ranges, parts);
	for (i = 0; i < parts; i++) {
		for (j = 0; j < PART; j++)
			bytes[j] = (uint8_t)(first + i * PART + j);
		assert_ok(vmmem_collection_write(see.physical, ranges[i].gpa,
						 bytes, PART, NULL));
	}
	assert_ok(iotlb_of(8, &see.iotlb));
	assert_ok(vmmem_iommu_new(see.iotlb, &options, &see.iommu));
	assert_ok(vmmem_collection_new_translated(see.iommu, see.physical,
						  &see.map));
}

static void
expect_bytes(const struct vmmem_collection *map, uint64_t iova, uint64_t len,
	     uint8_t first)
{
	uint8_t bytes[2 * PART];
	uint64_t i;

	assert_ok(vmmem_collection_read(map, iova, bytes, len, NULL));
	for (i = 0; i < len; i++)
		ck_assert_uint_eq(bytes[i], (uint8_t)(first + i));
}

/* Reading fails, and the handler is told exactly what is missing. */
static void
expect_missing(uint64_t iova, uint64_t len, uint64_t bad, uint64_t bad_len)
{
	uint8_t bytes[2 * PART + 1];
	uint64_t where;

	asked.count = 0;
	assert_code(vmmem_collection_read(see.map, iova, bytes, len, NULL),
		    VMMEM_EIOMMUMISS);
	ck_assert_int_eq(asked.count, 1);
	ck_assert_uint_eq(asked.iova[0], bad);
	ck_assert_uint_eq(asked.len[0], bad_len);
	assert_code(vmmem_collection_check(see.map, iova, len, R, &where),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(where, bad);
}

START_TEST(memory_that_is_mapped_before)
{
	open_parts(2, 0);
	see_map(SEEN, LOW, PART, R);
	see_map(SEEN + PART, HIGH, PART, R);
	assert_ok(vmmem_collection_check(see.map, SEEN, 2 * PART, 0, NULL));
	assert_ok(vmmem_collection_check(see.map, SEEN, 2 * PART, R, NULL));
	answer = VMMEM_EDENIED;
	assert_code(vmmem_collection_check(see.map, SEEN, 2 * PART, W, NULL),
		    VMMEM_EDENIED);
	assert_code(vmmem_collection_check(see.map, SEEN, 2 * PART, RW, NULL),
		    VMMEM_EDENIED);
	answer = VMMEM_EIOMMUMISS;
	assert_code(vmmem_collection_check(see.map, SEEN - 1, 1, 0, NULL),
		    VMMEM_EIOMMUMISS);
	assert_code(vmmem_collection_check(see.map, SEEN + 2 * PART, 1, 0,
					   NULL),
		    VMMEM_EIOMMUMISS);
	expect_bytes(see.map, SEEN, 2 * PART, 0);
	expect_missing(SEEN - 1, 1, SEEN - 1, 1);
	expect_missing(SEEN + 2 * PART, 1, SEEN + 2 * PART, 1);
	expect_missing(SEEN, 2 * PART + 1, SEEN + 2 * PART, 1);
}
END_TEST

/* The handler of these maps to 'next_gpa' what it is asked for. */
static uint64_t next_gpa;

static int
map_next(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
	 uint32_t reason)
{
	answer = next_gpa == 0 ? VMMEM_EIOMMUMISS : 0;
	(void)see_miss(opaque, iova, len, access, reason);
	if (answer != 0)
		return answer;
	assert_ok(vmmem_iotlb_map(see.iotlb, iova, next_gpa, len, access));
	next_gpa = 0;
	return 0;
}

static void
use_map_next(void)
{
	const struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = map_next,
	};

	see.map = vmmem_collection_unref(see.map);
	see.iommu = vmmem_iommu_unref(see.iommu);
	assert_ok(vmmem_iommu_new(see.iotlb, &options, &see.iommu));
	assert_ok(vmmem_collection_new_translated(see.iommu, see.physical,
						  &see.map));
}

static void
expect_asked(uint64_t iova, uint64_t len, uint32_t reason)
{
	ck_assert_int_eq(asked.count, 1);
	ck_assert_uint_eq(asked.iova[0], iova);
	ck_assert_uint_eq(asked.len[0], len);
	ck_assert_uint_eq(asked.reason[0], reason);
	asked.count = 0;
}

START_TEST(memory_that_is_mapped_on_demand)
{
	static const uint32_t accesses[] = { 0, R, W, RW };
	size_t i;

	open_parts(2, 0);
	use_map_next();
	for (i = 0; i < ARRAY_LEN(accesses); i++)
		assert_code(vmmem_collection_check(see.map, SEEN, 2 * PART,
						   accesses[i], NULL),
			    VMMEM_EIOMMUMISS);
	expect_missing(SEEN, 2 * PART, SEEN, 2 * PART);
	expect_missing(SEEN - 1, 1, SEEN - 1, 1);
	asked.count = 0;

	next_gpa = LOW;
	expect_bytes(see.map, SEEN, PART, 0);
	expect_asked(SEEN, PART, VMMEM_IOTLB_MISS);
	next_gpa = HIGH;
	expect_bytes(see.map, SEEN, 2 * PART, 0);
	expect_asked(SEEN + PART, PART, VMMEM_IOTLB_MISS);
	/* There, but for writing only. */
	see_map(SEEN, LOW, PART, W);
	next_gpa = LOW;
	expect_bytes(see.map, SEEN, 2 * PART, 0);
	expect_asked(SEEN, PART, VMMEM_IOTLB_DENIED);
}
END_TEST

/* Other memory behind the same iommu. */
START_TEST(memory_is_replaced)
{
	struct vmmem_collection *old, *other;

	open_parts(2, 42);
	other = see.physical;
	vmmem_collection_unref(see.map);
	vmmem_iommu_unref(see.iommu);
	vmmem_iotlb_unref(see.iotlb);

	open_parts(1, 0);
	use_map_next();
	see_map(SEEN, LOW, PART, R);
	expect_bytes(see.map, SEEN, PART, 0);
	expect_missing(SEEN, 2 * PART, SEEN + PART, PART);
	asked.count = 0;

	/* There it is one with its memory exchanged; here it is a new one. */
	old = see.map;
	assert_ok(vmmem_collection_new_translated(see.iommu, other, &see.map));
	next_gpa = HIGH;
	expect_bytes(see.map, SEEN, 2 * PART, 42);
	expect_asked(SEEN + PART, PART, VMMEM_IOTLB_MISS);
	/* The old one is as it was, but for what is mapped. */
	expect_bytes(old, SEEN, PART, 0);
	assert_ok(look(SEEN, 2 * PART, R));
	ck_assert_uint_eq(found, 2);
	expect(0, VMMEM_IOTLB_HIT, SEEN, PART, LOW);
	expect(1, VMMEM_IOTLB_HIT, SEEN + PART, PART, HIGH);
	assert_code(vmmem_collection_check(old, SEEN, 2 * PART, R, NULL),
		    VMMEM_EBADADDR);
	vmmem_collection_unref(old);
	vmmem_collection_unref(other);
}
END_TEST

/* Pages are marked by iova, when they are written and not before. */
START_TEST(dirty_bitmap)
{
	struct vmmem_iommu_options options = { .size = sizeof(options) };
	struct vmmem_bitmap *log, *own;
	struct vmmem_slice slice;
	uint8_t bytes[0x10];

	assert_ok(vmmem_bitmap_new(SEEN + 0x2000, 0, 0x1000, NULL, &log));
	assert_ok(vmmem_bitmap_start_logging(log));
	options.log = log;
	see_open(8, &options);
	own = vmmem_region_bitmap(vmmem_collection_region(see.physical, 1));
	assert_ok(vmmem_bitmap_start_logging(own));
	see_map(SEEN, HALF, 0x2000, RW);

	assert_ok(vmmem_collection_read(see.map, SEEN, bytes, sizeof(bytes),
					NULL));
	assert_ok(vmmem_collection_slice(see.map, SEEN, 0x2000, W, &slice));
	ck_assert_uint_eq(vmmem_bitmap_count(log), 0);
	assert_ok(vmmem_slice_store_u32(&slice, 0, 42, VMMEM_ORDER_RELAXED));
	ck_assert_uint_eq(vmmem_bitmap_count(log), 1);
	ck_assert_int_eq(vmmem_bitmap_test(log, SEEN), 1);
	assert_ok(vmmem_bitmap_clear(log, SEEN, 0x1000));
	assert_ok(vmmem_slice_store_u32(&slice, 0x1000, 23,
					VMMEM_ORDER_RELAXED));
	ck_assert_uint_eq(vmmem_bitmap_count(log), 1);
	ck_assert_int_eq(vmmem_bitmap_test(log, SEEN + 0x1000), 1);
	/* Where it leads to stays clean. */
	ck_assert_uint_eq(vmmem_bitmap_count(own), 0);
	vmmem_bitmap_unref(log);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_iommu_rs");
	TCase *tlb = tcase_create("iotlb"), *memory = tcase_create("memory");

	tcase_add_checked_fixture(tlb, see_setup, see_teardown);
	tcase_add_test(tlb, merge);
	tcase_add_test(tlb, no_merge_of_the_same_target);
	tcase_add_test(tlb, permissions);
	tcase_add_test(tlb, invalidation);
	suite_add_tcase(suite, tlb);
	tcase_add_checked_fixture(memory, NULL, see_teardown);
	tcase_add_test(memory, memory_that_is_mapped_before);
	tcase_add_test(memory, memory_that_is_mapped_on_demand);
	tcase_add_test(memory, memory_is_replaced);
	tcase_add_test(memory, dirty_bitmap);
	suite_add_tcase(suite, memory);
	return suite;
}
