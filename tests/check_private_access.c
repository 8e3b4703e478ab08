/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What every way to guest memory makes of a range that is shared in part.  That
 * each single function refuses private bytes, check_marking.c tests.
 */
#include <vmmem/inline.h>
#include <vmmem/vhost.h>

#include "gmem.h"
#include "iotlbs.h"
#include "memory.h"
#include "suite.h"

#define GPA UINT64_C(0x40000000)
#define R VMMEM_PROT_READ
#define W VMMEM_PROT_WRITE
#define RW (R | W)
#define IOVA UINT64_C(0x100000000)

/*
 * Eight pages, of which the fourth and fifth are private, and a plain region
 * behind them.
 */
static uint64_t page, len, hidden, back;
static int fd;
static struct vmmem_region *region, *plain;
static struct vmmem_iotlb *iotlb;
static struct vmmem_iommu *iommu;
static struct vmmem_collection *physical, *map;
static uint64_t base; /* of the first region, as 'map' sees it */
static uint8_t buf[0x100000];

const char *
skip_reason(void)
{
	return gmem_missing();
}

/* 'map' is the physical one, or a view of it. */
static void
open_map(int translated)
{
	struct vmmem_region *regions[2];

	page = page_size();
	len = 8 * page;
	hidden = 3 * page;
	back = 5 * page;
	fd = gmem_new(len);
	region = gmem_region(GPA, len, fd, 0);
	plain = region_of(GPA + len, page);
	assert_ok(vmmem_region_set_private(region, 0, len, 0));
	memset(expect_host(region), 0x11, len);
	assert_ok(vmmem_region_set_private(region, hidden, 2 * page, 1));
	regions[0] = vmmem_region_ref(region);
	regions[1] = vmmem_region_ref(plain);
	physical = guest_of(regions, 2);
	base = GPA;
	map = vmmem_collection_ref(physical);
	if (!translated)
		return;
	base = IOVA;
	assert_ok(iotlb_of(8, &iotlb));
	assert_ok(vmmem_iotlb_map(iotlb, IOVA, GPA, len + page, RW));
	assert_ok(vmmem_iommu_new(iotlb, NULL, &iommu));
	vmmem_collection_unref(map);
	assert_ok(vmmem_collection_new_translated(iommu, physical, &map));
}

static void
teardown(void)
{
	map = vmmem_collection_unref(map);
	physical = vmmem_collection_unref(physical);
	iommu = vmmem_iommu_unref(iommu);
	iotlb = vmmem_iotlb_unref(iotlb);
	region = vmmem_region_unref(region);
	plain = vmmem_region_unref(plain);
	close(fd);
}

START_TEST(all_or_nothing)
{
	uint64_t done = 99;
	size_t moved = 99;

	open_map(_i);
	memset(buf, 0x77, sizeof(buf));
	assert_code(vmmem_collection_read(map, base, buf, len, &moved),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(moved, 0);
	ck_assert_uint_eq(buf[0], 0x77);
	assert_code(vmmem_collection_write(map, base, buf, len + 8, &moved),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_collection_fill(map, base, hidden + 1, 0x77, &done),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_copy(map, base, base + hidden - 8, 16,
					  &done),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_copy(map, base + back - 8, base, 16,
					  &done),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_collection_write_with(map, base, buf, len, NULL,
						&moved),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(moved, 0);
	assert_ok(vmmem_collection_read(map, base, buf, hidden, NULL));
	ck_assert_uint_eq(buf[0], 0x11);
	ck_assert_uint_eq(buf[hidden - 1], 0x11);
	assert_ok(vmmem_collection_copy(map, base + back + 8, base, page,
					&done));
	/* Over the end of the region. */
	assert_ok(vmmem_collection_write(map, base + len - 4, buf, 8, NULL));
}
END_TEST

/* A debugger has no right to them either. */
START_TEST(debugger)
{
	const struct vmmem_access_info info = {
		.size = sizeof(info),
		.flags = VMMEM_ACCESS_DEBUG | VMMEM_ACCESS_RAM_ONLY,
	};
	size_t moved = 99;

	open_map(_i);
	assert_code(vmmem_collection_write_with(map, base + hidden - 4, buf, 8,
						&info, &moved),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(moved, 0);
	assert_code(vmmem_collection_read_with(map, base + hidden - 4, buf, 8,
					       &info, &moved),
		    VMMEM_EPRIVATE);
	assert_ok(vmmem_collection_write_with(map, base + hidden - 4, buf, 4,
					      &info, &moved));
	ck_assert_uint_eq(moved, 4);
}
END_TEST

START_TEST(some)
{
	uint64_t done = 99;
	size_t moved = 99;

	open_map(_i);
	assert_code(vmmem_collection_read_some(map, base + 5, buf, len,
					       &moved),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(moved, hidden - 5);
	assert_code(vmmem_collection_write_some(map, base + 5, buf, len,
						&moved),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(moved, hidden - 5);
	assert_code(vmmem_collection_fill_some(map, base, len, 0x12, &done),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(done, hidden);
	assert_code(vmmem_collection_read_some(map, base + hidden, buf, 1,
					       &moved),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(moved, 0);
	assert_code(vmmem_collection_read_some(map, base + back, buf,
					       4 * page + 1, &moved),
		    _i ? VMMEM_EIOMMUMISS : VMMEM_EBADADDR);
	ck_assert_uint_eq(moved, 4 * page);
}
END_TEST

START_TEST(chains)
{
	struct vmmem_range ranges[2];
	uint64_t bad = 99;
	size_t moved = 99;

	open_map(_i);
	ranges[0] = (struct vmmem_range){ base, 8 };
	ranges[1] = (struct vmmem_range){ base + hidden - 8, 16 };
	assert_code(vmmem_collection_ranges_read(map, ranges, 2, 0, buf, 24, 0,
						 &moved, &bad),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(moved, 0);
	ck_assert_uint_eq(bad, base + hidden);
	bad = 99;
	assert_code(vmmem_collection_ranges_write(map, ranges, 2, 0, buf, 24,
						  VMMEM_CHAIN_SOME, &moved,
						  &bad),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(moved, 16);
	ck_assert_uint_eq(bad, base + hidden);
}
END_TEST

START_TEST(checks)
{
	uint64_t bad = 99;

	open_map(_i);
	assert_code(vmmem_collection_check(map, base, len, R, &bad),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(bad, base + hidden);
	assert_code(vmmem_collection_check(map, base + hidden + 5, 1, W, &bad),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(bad, base + hidden + 5);
	assert_ok(vmmem_collection_check(map, base + back, 4 * page, RW,
					 NULL));
	/* Whether there is memory at all is another question. */
	assert_ok(vmmem_collection_check(map, base, len + page, 0, NULL));
	ck_assert_int_eq(vmmem_collection_contains(map, base + hidden), 1);
}
END_TEST

START_TEST(pieces)
{
	struct vmmem_region *found = NULL;
	uint64_t offset, there;
	uint8_t *first = NULL;
	void *host = NULL;

	open_map(_i);
	first = expect_host(region);
	assert_ok(vmmem_collection_piece(map, base + 5, len, R, &found,
					 &offset, &there, &host));
	ck_assert_ptr_eq(found, region);
	ck_assert_uint_eq(there, hidden - 5);
	ck_assert_ptr_eq(host, first + 5);
	assert_code(vmmem_collection_piece(map, base + hidden, 1, R, &found,
					   &offset, &there, &host),
		    VMMEM_EPRIVATE);
	/* Where nothing is to be accessed, there is nothing to access it by. */
	assert_ok(vmmem_collection_piece(map, base + 5, len, 0, &found,
					 &offset, &there, &host));
	ck_assert_uint_eq(there, len - 5);
	ck_assert_ptr_null(host);

	assert_ok(vmmem_collection_host_address(map, base + back, RW, &host,
						&there));
	ck_assert_ptr_eq(host, first + back);
	ck_assert_uint_eq(there, len - back);
	assert_ok(vmmem_collection_host_address(map, base, RW, &host, &there));
	ck_assert_uint_eq(there, hidden);
	assert_code(vmmem_collection_host_address(map, base + hidden, 0, &host,
						  &there),
		    VMMEM_EPRIVATE);
	assert_ok(vmmem_collection_host_to_gpa(map, first + 7, &offset,
					       &there));
	ck_assert_uint_eq(offset, GPA + 7);
}
END_TEST

START_TEST(iovecs)
{
	struct vmmem_range range;
	struct vmmem_slice slices[4];
	struct iovec iov[4];
	uint64_t bad = 99;
	size_t count = 99;

	open_map(_i);
	assert_code(vmmem_collection_iovec(map, base, len, RW, iov, 4, &count,
					   &bad),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(bad, base + hidden);
	ck_assert_uint_eq(count, 99);
	assert_ok(vmmem_collection_iovec(map, base, hidden, RW, iov, 4, &count,
					 NULL));
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_eq(iov[0].iov_base, expect_host(region));
	ck_assert_uint_eq(iov[0].iov_len, hidden);

	range = (struct vmmem_range){ base, len };
	assert_code(vmmem_collection_slice_list(map, &range, 1, RW, slices, 4,
						&count, &bad),
		    VMMEM_EPRIVATE);
	range = (struct vmmem_range){ base + back, 4 * page };
	assert_ok(vmmem_collection_slice_list(map, &range, 1, RW, slices, 4,
					      &count, &bad));
	ck_assert_uint_eq(count, 2);
	assert_ok(vmmem_slice_list_iovec(slices, 2, RW, iov, 4, &count));
	/* Two regions may lie beside each other in the host. */
	ck_assert_uint_eq(iov[0].iov_len, count == 1 ? 4 * page : 3 * page);
	assert_ok(vmmem_region_set_private(region, back, page, 1));
	assert_code(vmmem_slice_list_iovec(slices, 2, RW, iov, 4, &count),
		    VMMEM_EPRIVATE);
	vmmem_slice_list_release(slices, 2);
}
END_TEST

static struct vmmem_slice
slice_at(uint64_t offset, uint64_t bytes, uint32_t access)
{
	struct vmmem_slice slice;

	assert_ok(vmmem_collection_slice(map, base + offset, bytes, access,
					 &slice));
	return slice;
}

START_TEST(slices)
{
	struct vmmem_slice slice, part;

	open_map(_i);
	assert_code(vmmem_collection_slice(map, base, len, RW, &slice),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_collection_slice(map, base + hidden, 1, 0, &slice),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_collection_slice(map, base + hidden, page + len, R,
					   &slice),
		    _i ? VMMEM_EPRIVATE : VMMEM_EBADADDR);
	assert_code(vmmem_region_slice(region, back - 1, 2, R, &slice),
		    VMMEM_EPRIVATE);
	assert_ok(vmmem_collection_next_slice(map, base + 5, len, RW, &slice));
	ck_assert_uint_eq(slice.len, hidden - 5);
	assert_code(vmmem_collection_next_slice(map, base + hidden, len, RW,
						&slice),
		    VMMEM_EPRIVATE);
	/* It is read in no way that does not ask, and says so. */
	slice = slice_at(0, hidden, RW);
	ck_assert_uint_eq(slice.access,
			  VMMEM_SLICE_CALL | VMMEM_SLICE_ASK_READ |
				  VMMEM_SLICE_ASK_WRITE);
	slice = slice_at(0, hidden, R);
	ck_assert_uint_eq(slice.access,
			  VMMEM_SLICE_CALL | VMMEM_SLICE_ASK_READ);
	assert_code(vmmem_slice_write(&slice, 0, buf, 1), VMMEM_EDENIED);
	assert_code(vmmem_slice_store_u8(&slice, 0, 1, VMMEM_ORDER_RELAXED),
		    VMMEM_EDENIED);
	assert_code(vmmem_slice_write_u8(&slice, 0, 1), VMMEM_EDENIED);
	assert_ok(vmmem_slice_sub(&slice, page, page, &part));
	ck_assert_uint_eq(part.access, slice.access);
	assert_ok(vmmem_slice_read(&part, 0, buf, page));
}
END_TEST

/* What was shared when the slice was made, and is not when it is used. */
START_TEST(slices_that_were_shared)
{
	struct vmmem_slice slice, other;
	uint64_t done = 99;
	uint32_t value = 99;
	int pipes[2];

	open_map(_i);
	slice = slice_at(0, hidden, RW);
	assert_ok(vmmem_slice_sub(&slice, page, 2 * page, &slice));
	other = slice_at(back, page, RW);
	assert_ok(vmmem_slice_load_u32(&slice, page, VMMEM_ORDER_ACQUIRE,
				       &value));
	ck_assert_uint_eq(value, 0x11111111);
	assert_ok(vmmem_slice_store_u32(&slice, page, 5, VMMEM_ORDER_RELEASE));
	assert_ok(vmmem_slice_copy(&other, 0, &slice, 0, page));

	/* The second page of the slice. */
	assert_ok(vmmem_region_set_private(region, 2 * page, page, 1));
	value = 99;
	assert_code(vmmem_slice_load_u32(&slice, page, VMMEM_ORDER_ACQUIRE,
					 &value),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_slice_read_u32(&slice, page, &value),
		    VMMEM_EPRIVATE);
	/* Misaligned and across the border. */
	assert_code(vmmem_slice_read_u32(&slice, page - 3, &value),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_slice_write_u32(&slice, page - 3, 1),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(value, 99);
	assert_ok(vmmem_slice_load_u32(&slice, page - 4, VMMEM_ORDER_ACQUIRE,
				       &value));
	assert_ok(vmmem_slice_read(&slice, 0, buf, page));
	assert_code(vmmem_slice_read(&slice, 0, buf, page + 1),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_slice_copy(&other, 0, &slice, page, page),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_slice_copy(&slice, page, &other, 0, page),
		    VMMEM_EPRIVATE);

	ck_assert_int_eq(pipe(pipes), 0);
	assert_code(vmmem_slice_to_fd(&slice, page - 4, 8, pipes[1],
				      VMMEM_IO_POSITION, 0, &done),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(done, 0);
	assert_ok(vmmem_slice_to_fd(&slice, page - 4, 4, pipes[1],
				    VMMEM_IO_POSITION, 0, &done));
	assert_code(vmmem_slice_from_fd(&slice, page, 4, pipes[0],
					VMMEM_IO_POSITION, VMMEM_IO_SOME,
					&done),
		    VMMEM_EPRIVATE);
	assert_ok(vmmem_slice_from_fd(&slice, page - 4, 4, pipes[0],
				      VMMEM_IO_POSITION, 0, &done));
	close(pipes[0]);
	close(pipes[1]);
	/* Back again. */
	assert_ok(vmmem_region_set_private(region, 2 * page, page, 0));
	assert_ok(vmmem_slice_load_u32(&slice, page, VMMEM_ORDER_ACQUIRE,
				       &value));
}
END_TEST

START_TEST(transfers)
{
	uint64_t done = 99;
	int file;

	open_map(_i);
	file = file_of(2 * len);
	assert_code(vmmem_collection_to_fd(map, base, len, file, 0, 0, &done),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(storage(file), 0);
	assert_code(vmmem_collection_from_fd(map, base + 7, len, file, 0,
					     VMMEM_IO_SOME, &done),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(done, hidden - 7);
	/* One transfer over both regions. */
	assert_ok(vmmem_collection_to_fd(map, base + back, 4 * page, file, 0,
					 0, &done));
	ck_assert_uint_eq(done, 4 * page);
	close(file);
}
END_TEST

START_TEST(atomics)
{
	uint64_t value = 99;

	open_map(_i);
	assert_ok(vmmem_collection_load_u64(map, base + back,
					    VMMEM_ORDER_ACQUIRE, &value));
	ck_assert_uint_eq(value, UINT64_C(0x1111111111111111));
	assert_ok(vmmem_collection_fetch_add_u64(map, base + back, 1,
						 VMMEM_ORDER_SEQ_CST, NULL));
	assert_ok(vmmem_collection_read_u64(map, base + back, &value));
	ck_assert_uint_eq(value, UINT64_C(0x1111111111111112));
	assert_code(vmmem_collection_load_u64(map, base + hidden,
					      VMMEM_ORDER_ACQUIRE, &value),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_collection_load_u64(map, base + hidden + 4,
					      VMMEM_ORDER_ACQUIRE, &value),
		    VMMEM_EMISALIGNED);
	assert_code(vmmem_collection_read_u64(map, base + hidden - 4, &value),
		    VMMEM_EPRIVATE);
}
END_TEST

START_TEST(memory)
{
	struct vmmem_vhost_region rows[2];
	uint64_t at = 99, count = 99;
	size_t found = 99;
	int fds[2];

	open_map(0);
	assert_code(vmmem_region_discard(region, 0, hidden + 1, 0, &count),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(count, 0);
	assert_code(vmmem_collection_discard(map, GPA, len, 0, &count),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(expect_host(region)[0], 0x11);
	assert_code(vmmem_region_next_populated(region, 0, len, &at, &count),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_collection_next_populated(map, GPA + hidden, len, &at,
						    &count),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_region_populate(region, 0, hidden + 1),
		    VMMEM_EPRIVATE);
	assert_code(vmmem_collection_populate(map, GPA, len + page),
		    VMMEM_EPRIVATE);
	assert_ok(vmmem_collection_populate(map, GPA + back, len - back));
	assert_ok(vmmem_region_next_populated(region, back, page, &at,
					      &count));
	ck_assert_uint_eq(count, page);
	assert_ok(vmmem_region_discard(region, back, page, 0, &count));
	ck_assert_uint_eq(count, page);
	ck_assert_uint_eq(expect_host(region)[back], 0);

	assert_code(vmmem_vhost_export(map, 0, rows, fds, 2, &found, NULL),
		    VMMEM_EPRIVATE);
	assert_ok(vmmem_vhost_export(map, VMMEM_VHOST_EXPORT_SHARED_SIDE, rows,
				     fds, 2, &found, NULL));
	ck_assert_uint_eq(found, 1);
	assert_ok(vmmem_region_set_private(region, 0, len, 0));
	assert_ok(vmmem_vhost_export(map, 0, rows, fds, 2, &found, NULL));
	ck_assert_uint_eq(found, 1);
}
END_TEST

START_TEST(by_region)
{
	size_t moved = 99;

	open_map(0);
	assert_code(vmmem_region_read(region, hidden - 1, buf, 2, &moved),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(moved, 0);
	assert_code(vmmem_region_write(region, back - 1, buf, 2, &moved),
		    VMMEM_EPRIVATE);
	ck_assert_uint_eq(moved, 0);
	assert_ok(vmmem_region_write(region, back, buf, page, &moved));
	ck_assert_uint_eq(moved, page);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("private_access");
	TCase *tcase = tcase_create("access");

	/* Each by guest address, and through an iommu. */
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_loop_test(tcase, all_or_nothing, 0, 2);
	tcase_add_loop_test(tcase, debugger, 0, 2);
	tcase_add_loop_test(tcase, some, 0, 2);
	tcase_add_loop_test(tcase, chains, 0, 2);
	tcase_add_loop_test(tcase, checks, 0, 2);
	tcase_add_loop_test(tcase, pieces, 0, 2);
	tcase_add_loop_test(tcase, iovecs, 0, 2);
	tcase_add_loop_test(tcase, slices, 0, 2);
	tcase_add_loop_test(tcase, slices_that_were_shared, 0, 2);
	tcase_add_loop_test(tcase, transfers, 0, 2);
	tcase_add_loop_test(tcase, atomics, 0, 2);
	tcase_add_test(tcase, memory);
	tcase_add_test(tcase, by_region);
	suite_add_tcase(suite, tcase);
	return suite;
}
