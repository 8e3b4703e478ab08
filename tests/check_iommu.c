/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The object: misses, waiting, the switch, the logs. */
#include <errno.h>

#include "iommus.h"
#include "suite.h"

START_TEST(new_checks_its_arguments)
{
	struct vmmem_iommu_options options = { .size = sizeof(options) };
	struct vmmem_iommu *none = (void *)0x5a5a5a50;
	struct vmmem_bitmap *log;

	assert_code(vmmem_iommu_new(NULL, NULL, &none), VMMEM_EARGUMENT);
	assert_code(vmmem_iommu_new(see.iotlb, NULL, NULL), VMMEM_EARGUMENT);
	options.size = 8;
	assert_code(vmmem_iommu_new(see.iotlb, &options, &none),
		    VMMEM_ESTRUCTSIZE);
	options.size = 5000;
	assert_code(vmmem_iommu_new(see.iotlb, &options, &none),
		    VMMEM_ESTRUCTSIZE);
	options.size = sizeof(options);
	options.log_start = 1;
	assert_code(vmmem_iommu_new(see.iotlb, &options, &none),
		    VMMEM_EARGUMENT);
	assert_ok(vmmem_bitmap_new(0x2000, 0, 0x1000, NULL, &log));
	options.log = log;
	options.log_start = TOP - 0x1ffe;
	assert_code(vmmem_iommu_new(see.iotlb, &options, &none),
		    VMMEM_EWRAPS);
	ck_assert_ptr_eq(none, (void *)0x5a5a5a50);
	/* One that ends with the last byte is good. */
	options.log_start = TOP - 0x1fff;
	assert_ok(vmmem_iommu_new(see.iotlb, &options, &none));
	vmmem_bitmap_unref(log);
	vmmem_iommu_unref(none);
}
END_TEST

START_TEST(options_of_a_newer_program)
{
	struct {
		struct vmmem_iommu_options known;
		uint64_t more;
	} newer = { .known.size = sizeof(newer) };
	struct vmmem_iommu *iommu;

	assert_ok(vmmem_iommu_new(see.iotlb, &newer.known, &iommu));
	vmmem_iommu_unref(iommu);
	newer.more = 1;
	assert_code(vmmem_iommu_new(see.iotlb, &newer.known, &iommu),
		    VMMEM_ESTRUCTNEWER);
}
END_TEST

START_TEST(null_is_refused_or_ignored)
{
	struct vmmem_collection *map;

	ck_assert_ptr_null(vmmem_iommu_ref(NULL));
	ck_assert_ptr_null(vmmem_iommu_unref(NULL));
	ck_assert_ptr_null(vmmem_iommu_iotlb(NULL));
	ck_assert_ptr_null(vmmem_collection_physical(NULL));
	ck_assert_ptr_null(vmmem_collection_physical(see.physical));
	assert_code(vmmem_iommu_set_enabled(NULL, 1), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_iommu_is_enabled(NULL), 0);
	vmmem_iommu_set_timeout(NULL, 1);
	vmmem_iommu_retry(NULL);
	ck_assert_uint_eq(vmmem_iommu_misses(NULL), 0);
	ck_assert_uint_eq(vmmem_iommu_unlogged(NULL, NULL), 0);
	assert_code(vmmem_iommu_resolve(NULL, 0, 1, R, 0, NULL, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_iommu_resolve(see.iommu, 0, 1, 8, 0, NULL, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_new_translated(NULL, see.physical, &map),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_new_translated(see.iommu, NULL, &map),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_new_translated(see.iommu, see.physical,
						    NULL), VMMEM_EARGUMENT);
	/* No IOMMU behind an IOMMU. */
	assert_code(vmmem_collection_new_translated(see.iommu, see.map, &map),
		    VMMEM_EARGUMENT);
}
END_TEST

static int destroyed;

static void
note_destroyed(void *opaque)
{
	ck_assert_ptr_eq(opaque, &destroyed);
	destroyed++;
}

/* A collection holds all that it needs, and the owner is told once. */
START_TEST(lifetimes)
{
	struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.destroy = note_destroyed,
		.opaque = &destroyed,
	};
	struct vmmem_range range = { 0, 0x1000 };
	struct vmmem_collection *physical, *map;
	struct vmmem_iommu *iommu, *failed = NULL;
	struct vmmem_iotlb *iotlb;
	uint8_t byte;

	destroyed = 0;
	assert_ok(iotlb_of(4, &iotlb));
	assert_ok(vmmem_iotlb_map(iotlb, 0x9000, 0, 0x1000, RW));
	assert_ok(vmmem_iommu_new(iotlb, &options, &iommu));
	ck_assert_ptr_eq(vmmem_iommu_iotlb(iommu), iotlb);
	ck_assert_uint_eq(vmmem_iommu_flags(iommu), 0);
	/* Of one that could not be made nobody is told. */
	options.log_start = 1;
	assert_code(vmmem_iommu_new(iotlb, &options, &failed), VMMEM_EARGUMENT);
	ck_assert_int_eq(destroyed, 0);
	physical = guest_of_ranges(&range, 1);
	assert_ok(vmmem_collection_new_translated(iommu, physical, &map));
	ck_assert_ptr_eq(vmmem_collection_physical(map), physical);
	ck_assert_ptr_eq(vmmem_collection_iommu(map), iommu);
	ck_assert_ptr_null(vmmem_collection_iommu(physical));
	ck_assert_ptr_null(vmmem_collection_iommu(NULL));
	vmmem_iotlb_unref(iotlb);
	vmmem_collection_unref(physical);
	ck_assert_ptr_null(vmmem_iommu_unref(iommu));
	assert_ok(vmmem_collection_write_u8(map, 0x9fff, 7));
	assert_ok(vmmem_collection_read_u8(map, 0x9fff, &byte));
	ck_assert_uint_eq(byte, 7);
	ck_assert_int_eq(destroyed, 0);
	vmmem_collection_unref(map);
	ck_assert_int_eq(destroyed, 1);
}
END_TEST

/* What a vfio-user client has mapped is there, or it is told that it is not. */
START_TEST(a_table_of_a_client)
{
	const struct vmmem_iotlb_options keeps = {
		.size = sizeof(keeps),
		.capacity = 2,
		.flags = VMMEM_IOTLB_NO_EVICT,
	};
	struct vmmem_collection *map;
	struct vmmem_iotlb *table;
	struct vmmem_iommu *iommu;
	uint32_t value;
	uint64_t i;

	assert_ok(vmmem_iotlb_new(&keeps, &table));
	assert_ok(vmmem_iommu_new(table, NULL, &iommu));
	assert_ok(vmmem_collection_new_translated(iommu, see.physical, &map));
	for (i = 0; i < 3; i++)
		assert_code(vmmem_iotlb_map(table, i << 20, i * 0x2000, 0x1000,
					    RW),
			    i < 2 ? 0 : VMMEM_ENOROOM);
	assert_ok(vmmem_collection_read_u32(map, 0, &value));
	assert_ok(vmmem_collection_read_u32(map, 1 << 20, &value));
	assert_code(vmmem_collection_read_u32(map, 2 << 20, &value),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(vmmem_iotlb_evicted(table), 0);
	vmmem_collection_unref(map);
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(table);
}
END_TEST

/* What was set is there to be asked for. */
START_TEST(the_log_and_the_timeout)
{
	struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.timeout_ns = 5,
		.log_start = 0x3000,
	};
	struct vmmem_iommu *iommu;
	uint64_t start = 7;

	assert_ok(vmmem_bitmap_new(0x1000, 0x1000, 0x1000, NULL,
				   &options.log));
	assert_ok(vmmem_iommu_new(see.iotlb, &options, &iommu));
	ck_assert_ptr_eq(vmmem_iommu_log(iommu, NULL), options.log);
	ck_assert_ptr_eq(vmmem_iommu_log(iommu, &start), options.log);
	ck_assert_uint_eq(start, 0x3000);
	ck_assert_uint_eq(vmmem_iommu_timeout(iommu), 5);
	vmmem_iommu_set_timeout(iommu, VMMEM_FOREVER);
	ck_assert_uint_eq(vmmem_iommu_timeout(iommu), VMMEM_FOREVER);
	vmmem_iommu_unref(iommu);
	vmmem_bitmap_unref(options.log);
	start = 7;
	ck_assert_ptr_null(vmmem_iommu_log(see.iommu, &start));
	ck_assert_ptr_null(vmmem_iommu_log(NULL, &start));
	ck_assert_uint_eq(start, 7);
	ck_assert_uint_eq(vmmem_iommu_timeout(NULL), 0);
	ck_assert_uint_eq(vmmem_iommu_flags(NULL), 0);
}
END_TEST

START_TEST(without_a_handler)
{
	struct vmmem_collection *map;
	struct vmmem_iommu *iommu;
	uint64_t bad = 0;
	uint8_t byte;

	assert_ok(vmmem_iommu_new(see.iotlb, NULL, &iommu));
	assert_ok(vmmem_collection_new_translated(iommu, see.physical, &map));
	assert_code(vmmem_collection_read_u8(map, IOVA, &byte),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(vmmem_iommu_misses(iommu), 1);
	see_map(IOVA, 0, 0x1000, W);
	assert_code(vmmem_collection_read_u8(map, IOVA, &byte), VMMEM_EDENIED);
	assert_ok(vmmem_collection_write_u8(map, IOVA, 1));
	assert_code(vmmem_collection_check(map, IOVA, 0x1001, W, &bad),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(bad, IOVA + 0x1000);
	vmmem_collection_unref(map);
	vmmem_iommu_unref(iommu);
}
END_TEST

/* The handler is told the range that is missing, within what was asked. */
START_TEST(handler_answers_at_once)
{
	uint64_t value;

	see_map(IOVA + 0x1000, 0, 0x1000, RW);
	answer = ANSWER_MAP;
	assert_ok(vmmem_collection_fill(see.map, IOVA + 0xff0, 0x1020, 5,
					NULL));
	/* Before what is mapped, and behind it. */
	ck_assert_int_eq(asked.count, 2);
	ck_assert_uint_eq(asked.iova[0], IOVA + 0xff0);
	ck_assert_uint_eq(asked.len[0], 0x10);
	ck_assert_uint_eq(asked.access[0], W);
	ck_assert_uint_eq(asked.reason[0], VMMEM_IOTLB_MISS);
	ck_assert_uint_eq(asked.iova[1], IOVA + 0x2000);
	ck_assert_uint_eq(asked.len[1], 0x10);
	/* Now it is there. */
	assert_ok(vmmem_collection_read_u64(see.map, IOVA + 0x2008, &value));
	ck_assert_uint_eq(value, 0x0505050505050505);
	ck_assert_int_eq(asked.count, 2);
	ck_assert_uint_eq(vmmem_iommu_misses(see.iommu), 2);
}
END_TEST

START_TEST(handler_is_told_of_a_denial)
{
	uint8_t bytes[0x20];

	see_map(IOVA, 0, 0x10, W);
	see_map(IOVA + 0x10, 0x10, 0x1000, RW);
	answer = -EACCES;
	assert_code(vmmem_collection_read(see.map, IOVA + 8, bytes, 0x20,
					  NULL),
		    -EACCES);
	ck_assert_int_eq(asked.count, 1);
	ck_assert_uint_eq(asked.iova[0], IOVA + 8);
	ck_assert_uint_eq(asked.len[0], 8);
	ck_assert_uint_eq(asked.access[0], R);
	ck_assert_uint_eq(asked.reason[0], VMMEM_IOTLB_DENIED);
	/* It may permit more. */
	answer = ANSWER_MAP;
	assert_ok(vmmem_collection_read(see.map, IOVA + 8, bytes, 0x20, NULL));
}
END_TEST

/* Nothing is moved if what comes later is refused. */
START_TEST(refused_as_a_whole)
{
	uint8_t bytes[0x20] = { 0 };
	size_t done = 99;

	see_map(IOVA, 0, 0x1000, RW);
	assert_ok(vmmem_collection_fill(see.map, IOVA, 0x1000, 0x77, NULL));
	answer = VMMEM_EBADADDR;
	memset(bytes, 0x11, sizeof(bytes));
	assert_code(vmmem_collection_write(see.map, IOVA + 0xff0, bytes, 0x20,
					   &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
	ck_assert(all_are(host_of(see.physical, 0), 0x77, 0x1000));
	ck_assert_uint_eq(asked.iova[0], IOVA + 0x1000);
	/* Some is what there is. */
	assert_code(vmmem_collection_write_some(see.map, IOVA + 0xff0, bytes,
						0x20, &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0x10);
	ck_assert(all_are(host_of(see.physical, 0xff0), 0x11, 0x10));
}
END_TEST

START_TEST(handler_says_something_else)
{
	uint8_t byte;

	answer = 7;
	assert_code(vmmem_collection_read_u8(see.map, IOVA, &byte),
		    VMMEM_ECALLBACK);
	/* It says that it has, again and again, but has not. */
	answer = 0;
	assert_code(vmmem_collection_read_u8(see.map, IOVA, &byte),
		    VMMEM_EIOMMUMISS);
	ck_assert_int_gt(asked.count, 2);
	ck_assert_int_lt(asked.count, 1000);
	see_map(IOVA, 0, 0x1000, W);
	assert_code(vmmem_collection_read_u8(see.map, IOVA, &byte),
		    VMMEM_EDENIED);
}
END_TEST

/* The iotlb has one entry, and the access needs many. */
START_TEST(smaller_than_an_access)
{
	uint8_t bytes[0x3000];
	size_t done;

	see_close();
	see_open(1, NULL);
	answer = ANSWER_MAP_PAGE;
	pattern(host_of(see.physical, 0), sizeof(bytes), 3);
	assert_ok(vmmem_collection_read(see.map, IOVA + 0x800, bytes, 0x2800,
					&done));
	ck_assert_uint_eq(done, 0x2800);
	ck_assert_mem_eq(bytes, host_of(see.physical, 0x800), 0x2800);
	ck_assert_uint_eq(vmmem_iotlb_count(see.iotlb), 1);
	assert_ok(vmmem_collection_copy(see.map, IOVA + 0x10, IOVA, 0x2000,
					NULL));
	ck_assert_mem_eq(host_of(see.physical, 0x810), bytes, 0x1800);
}
END_TEST

/* A handler that reads memory, through the iommu too, and synchronizes. */
static int
busy_handler(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
	     uint32_t reason)
{
	uint64_t table;

	(void)opaque;
	(void)len;
	(void)reason;
	if (iova >= IOVA + 0x10000)
		return vmmem_iotlb_map(see.iotlb, IOVA + 0x10000, 0x1000,
				       0x1000, RW);
	/* Its own miss is answered by the line above. */
	assert_ok(vmmem_collection_read_u64(see.map, IOVA + 0x10008, &table));
	assert_ok(vmmem_collection_write_u64(see.physical, 0x1010, 1));
	assert_ok(vmmem_iotlb_unmap(see.iotlb, 0, 0x1000));
	assert_ok(vmmem_iotlb_synchronize(see.iotlb, VMMEM_FOREVER));
	return vmmem_iotlb_map(see.iotlb, iova & ~UINT64_C(0xfff), table,
			       0x1000, access);
}

START_TEST(handler_touches_memory)
{
	struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = busy_handler,
	};
	uint64_t value;

	see_close();
	see_open(16, &options);
	assert_ok(vmmem_collection_write_u64(see.physical, 0x1008, 0x2000));
	assert_ok(vmmem_collection_write_u64(see.physical, 0x2ff8, 42));
	assert_ok(vmmem_collection_read_u64(see.map, IOVA + 0xff8, &value));
	ck_assert_uint_eq(value, 42);
}
END_TEST

START_TEST(a_timeout_of_nothing)
{
	uint8_t byte;

	answer = VMMEM_IOMMU_LATER;
	assert_code(vmmem_collection_read_u8(see.map, IOVA, &byte),
		    VMMEM_ETIMEOUT);
	ck_assert_int_eq(asked.count, 1);
	vmmem_iommu_set_timeout(see.iommu, 1000);
	assert_code(vmmem_collection_read_u8(see.map, IOVA, &byte),
		    VMMEM_ETIMEOUT);
	assert_code(vmmem_iommu_resolve(see.iommu, IOVA, 5, R, 1, NULL, NULL),
		    VMMEM_ETIMEOUT);
}
END_TEST

START_TEST(resolve)
{
	uint64_t bad = 5, bad_len = 6;

	see_map(IOVA, 0, 0x1000, RW);
	assert_ok(vmmem_iommu_resolve(see.iommu, IOVA, 0x1000, RW, 0,
				      &bad, NULL));
	assert_ok(vmmem_iommu_resolve(see.iommu, TOP, 0, RW, 0, &bad, NULL));
	assert_ok(vmmem_iommu_resolve(see.iommu, IOVA, 0x1000, 0, 0,
				      &bad, NULL));
	ck_assert_int_eq(asked.count, 0);
	ck_assert_uint_eq(bad, 5);
	/* Without a permission too, there has to be a translation. */
	assert_code(vmmem_iommu_resolve(see.iommu, IOVA + 0xfff, 2, 0, 0,
					&bad, NULL),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(bad, IOVA + 0x1000);
	ck_assert_uint_eq(asked.len[0], 1);
	asked.count = 0;
	answer = -EACCES;
	assert_code(vmmem_iommu_resolve(see.iommu, IOVA + 0xfff, 0x10, R, 0,
					&bad, &bad_len),
		    -EACCES);
	ck_assert_uint_eq(bad, IOVA + 0x1000);
	ck_assert_uint_eq(bad_len, 0xf);
	ck_assert_uint_eq(asked.len[0], 0xf);
	/* No further than what is missing, or of one entry. */
	see_map(IOVA + 0x2000, 0, 0x1000, R);
	assert_code(vmmem_iommu_resolve(see.iommu, IOVA, 0x4000, R, 0, NULL,
					&bad_len),
		    -EACCES);
	ck_assert_uint_eq(bad_len, 0x1000);
	assert_code(vmmem_iommu_resolve(see.iommu, IOVA + 0x2800, 0x4000, W, 0,
					&bad, &bad_len),
		    -EACCES);
	ck_assert_uint_eq(bad, IOVA + 0x2800);
	ck_assert_uint_eq(bad_len, 0x800);
	assert_ok(vmmem_iotlb_unmap(see.iotlb, IOVA + 0x2000, 0x1000));
	see_map(TOP - 0xf, 0, 0x10, R);
	assert_code(vmmem_iommu_resolve(see.iommu, TOP - 7, 9, R, 0,
					&bad, NULL),
		    VMMEM_EWRAPS);
	/* While it is off nothing needs a translation. */
	assert_ok(vmmem_iommu_set_enabled(see.iommu, 0));
	assert_ok(vmmem_iommu_resolve(see.iommu, 0x77000, 5, RW, 0,
				      &bad, NULL));
}
END_TEST

START_TEST(switched_on_and_off)
{
	struct vmmem_collection *second;
	uint64_t value;

	assert_ok(vmmem_collection_new_translated(see.iommu, see.physical,
						  &second));
	see_map(0x1000, 0, 0x1000, RW);
	assert_ok(vmmem_collection_write_u64(see.physical, 0, 1));
	assert_ok(vmmem_collection_write_u64(see.physical, 0x1000, 2));
	ck_assert_int_eq(vmmem_iommu_is_enabled(see.iommu), 1);
	assert_ok(vmmem_collection_read_u64(see.map, 0x1000, &value));
	ck_assert_uint_eq(value, 1);

	assert_ok(vmmem_iommu_set_enabled(see.iommu, 0));
	ck_assert_int_eq(vmmem_iommu_is_enabled(see.iommu), 0);
	assert_ok(vmmem_collection_read_u64(see.map, 0x1000, &value));
	ck_assert_uint_eq(value, 2);
	assert_ok(vmmem_collection_read_u64(second, 0x1000, &value));
	ck_assert_uint_eq(value, 2);
	assert_ok(vmmem_collection_read_u64(see.map, 0, &value));
	/* What the fast ways do not do is as without an iommu, too. */
	assert_code(vmmem_collection_read_u64(see.map, LEN, &value),
		    VMMEM_EBADADDR);
	assert_ok(vmmem_collection_copy(see.map, 0x2ff8, 0x1000, 0x10, NULL));
	assert_ok(vmmem_collection_check(see.map, 0, LEN, RW, NULL));
	ck_assert_int_eq(asked.count, 0);
	/* One that is made now is off too. */
	vmmem_collection_unref(second);
	assert_ok(vmmem_collection_new_translated(see.iommu, see.physical,
						  &second));
	assert_ok(vmmem_collection_read_u64(second, 0x1000, &value));
	ck_assert_uint_eq(value, 2);

	assert_ok(vmmem_iommu_set_enabled(see.iommu, 2));
	assert_ok(vmmem_collection_read_u64(second, 0x1000, &value));
	ck_assert_uint_eq(value, 1);
	answer = -EACCES;
	assert_code(vmmem_collection_read_u64(see.map, 0, &value), -EACCES);
	vmmem_collection_unref(second);
}
END_TEST

/* Marks by what is written: in the region's own bitmap, at its place there. */
START_TEST(log_of_the_target)
{
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(
		vmmem_collection_region(see.physical, 1));

	ck_assert_ptr_nonnull(bitmap);
	assert_ok(vmmem_bitmap_start_logging(bitmap));
	see_map(IOVA, HALF + 0x1000, 0x1000, RW);
	assert_ok(vmmem_collection_write_u32(see.map, IOVA + 0xffc, 1));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 0x1000), 1);
	assert_ok(vmmem_bitmap_stop_logging(bitmap));
	ck_assert_uint_eq(vmmem_iommu_unlogged(see.iommu, NULL), 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iommu");
	TCase *tcase = tcase_create("iommu");

	tcase_add_checked_fixture(tcase, see_setup, see_teardown);
	tcase_add_test(tcase, new_checks_its_arguments);
	tcase_add_test(tcase, options_of_a_newer_program);
	tcase_add_test(tcase, null_is_refused_or_ignored);
	tcase_add_test(tcase, lifetimes);
	tcase_add_test(tcase, without_a_handler);
	tcase_add_test(tcase, handler_answers_at_once);
	tcase_add_test(tcase, handler_is_told_of_a_denial);
	tcase_add_test(tcase, refused_as_a_whole);
	tcase_add_test(tcase, handler_says_something_else);
	tcase_add_test(tcase, smaller_than_an_access);
	tcase_add_test(tcase, handler_touches_memory);
	tcase_add_test(tcase, a_timeout_of_nothing);
	tcase_add_test(tcase, a_table_of_a_client);
	tcase_add_test(tcase, the_log_and_the_timeout);
	tcase_add_test(tcase, resolve);
	tcase_add_test(tcase, switched_on_and_off);
	tcase_add_test(tcase, log_of_the_target);
	suite_add_tcase(suite, tcase);
	return suite;
}
