/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Access: what vm-memory 0.18 does, and whether libvmmem matches it, fixes it
 * or differs on purpose.  docs/conformance.md is the table of all marks.
 */
#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

/* Two regions that touch, a hole, a third; nothing at the top. */
#define FIRST UINT64_C(0x1000)
#define SECOND UINT64_C(0x2000)
#define HOLE UINT64_C(0x3000)
#define THIRD UINT64_C(0x4000)
#define END UINT64_C(0x5000)

static struct vmmem_collection *guest;
static uint8_t buf[64];

static void
setup(void)
{
	static const struct vmmem_range ranges[] = {
		{ FIRST, 0x1000 }, { SECOND, 0x1000 }, { THIRD, 0x1000 },
	};

	guest = guest_of_ranges(ranges, 3);
	pattern(buf, sizeof(buf), 1);
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
}

/*
 * vm-memory: a range check of no bytes is true at any address, mapped or not.
 * match: zero bytes are everywhere, and nothing is looked at.
 */
START_TEST(a1_check_of_no_bytes)
{
	assert_ok(vmmem_collection_check(guest, FIRST, 0, 0, NULL));
	assert_ok(vmmem_collection_check(guest, HOLE, 0, 0, NULL));
	assert_ok(vmmem_collection_check(guest, TOP, 0, VMMEM_PROT_WRITE,
					 NULL));
}
END_TEST

/*
 * vm-memory: reading and writing an empty buffer succeeds at any address.
 * match.
 */
START_TEST(a2_empty_buffer)
{
	size_t done = 77;

	assert_ok(vmmem_collection_write(guest, HOLE, buf, 0, &done));
	ck_assert_uint_eq(done, 0);
	done = 77;
	assert_ok(vmmem_collection_read_some(guest, TOP, NULL, 0, &done));
	ck_assert_uint_eq(done, 0);
}
END_TEST

/*
 * vm-memory: a slice of no bytes just past the end of a region is an error,
 * while one of no bytes at the end, asked of the region, is not.
 * fix: one rule for zero bytes, so one past the end is no special case.  The
 * slice itself comes with that layer; its window today is check().
 */
START_TEST(a3_no_bytes_past_the_end)
{
	size_t done = 77;

	assert_ok(vmmem_collection_check(guest, HOLE, 0, VMMEM_PROT_READ,
					 NULL));
	assert_ok(vmmem_collection_check(guest, END, 0, VMMEM_PROT_WRITE,
					 NULL));
	assert_ok(vmmem_collection_read(guest, END, buf, 0, &done));
	ck_assert_uint_eq(done, 0);
}
END_TEST

/*
 * vm-memory: a write that runs into a hole succeeds, with a count that is too
 * small.  Who forgets to look at the count has lost bytes.
 * differ: write() moves all or nothing; write_some() moves as many, tells how
 * many, and says by its code why it stopped.
 */
START_TEST(a4_write_straddling_hole)
{
	size_t done = 77;

	assert_code(vmmem_collection_write(guest, HOLE - 8, buf, 16, &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
	ck_assert(all_are(host_of(guest, HOLE - 8), 0, 8));
	assert_code(vmmem_collection_write_some(guest, HOLE - 8, buf, 16,
						&done), VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 8);
	ck_assert_mem_eq(host_of(guest, HOLE - 8), buf, 8);

	/* Touching regions are no hole, as in vm-memory. */
	assert_ok(vmmem_collection_write(guest, SECOND - 8, buf, 16, &done));
	ck_assert_uint_eq(done, 16);
}
END_TEST

/*
 * vm-memory: the form that wants all fails at a hole, but the bytes before it
 * have been written and stay.
 * fix: the whole range is checked first, so nothing is written.  The address
 * of the first bad byte can be had.
 */
START_TEST(a5_partial_write_of_all)
{
	uint8_t copy[16];
	uint64_t bad = 0;
	size_t done = 77;

	memset(copy, 0x5a, sizeof(copy));
	assert_code(vmmem_collection_write(guest, HOLE - 1, buf, 16, &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(*host_of(guest, HOLE - 1), 0);
	assert_code(vmmem_collection_check(guest, HOLE - 1, 16,
					   VMMEM_PROT_WRITE, &bad),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(bad, HOLE);
	assert_code(vmmem_collection_read(guest, HOLE - 1, copy, 16, &done),
		    VMMEM_EBADADDR);
	ck_assert(all_are(copy, 0x5a, sizeof(copy)));
}
END_TEST

/*
 * vm-memory: an access that begins at an unmapped address is an error of its
 * own, with the address.
 * match: VMMEM_EBADADDR, and check() has the address.
 */
START_TEST(a6_unmapped_start)
{
	uint64_t bad = 0;
	size_t done = 77;

	assert_code(vmmem_collection_write_some(guest, HOLE, buf, 8, &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
	done = 77;
	assert_code(vmmem_collection_read(guest, END, buf, 1, &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_check(guest, END, 1, 0, &bad),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(bad, END);
}
END_TEST

/*
 * vm-memory: a range near 2^64, with nothing mapped there, is not in range.
 * match.
 */
START_TEST(a7_range_near_the_top)
{
	uint64_t bad = 0;

	assert_code(vmmem_collection_check(guest, TOP - 7, 16, 0, &bad),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(bad, TOP - 7);
	assert_code(vmmem_collection_check(guest, TOP, TOP, 0, &bad),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(bad, TOP);
}
END_TEST

/*
 * vm-memory: a slice lies in one region; one that would cross into the next
 * is an error that cannot be told from a misaligned atomic.
 * match, so far as it exists: a host address comes with the length that lies
 * there in one piece, and ends with its region.  The slice itself, with a code
 * of its own for crossing (VMMEM_ECROSS, as atomics have), comes with that
 * layer.
 */
START_TEST(a8_window_within_one_region)
{
	uint64_t len = 0;
	void *host;

	assert_ok(vmmem_collection_host_address(guest, SECOND - 16,
						VMMEM_PROT_READ, &host, &len));
	ck_assert_uint_eq(len, 16);
	ck_assert_ptr_eq(host, host_of(guest, SECOND - 16));
}
END_TEST

/*
 * vm-memory: reading from a file to an offset past the end of a region fails,
 * even for zero bytes; just at the end it succeeds; and a count that is too
 * large is cut down silently.
 * fix: zero bytes succeed anywhere, and a count that is too large is refused,
 * not cut; who wants what fits says so, and is told.
 */
START_TEST(a9_count_beyond_the_end)
{
	int fd = file_of(64);
	uint64_t wide = 77;
	size_t done = 77;

	assert_ok(vmmem_collection_from_fd(guest, END, 0, fd,
					   VMMEM_IO_POSITION, 0, &wide));
	ck_assert_uint_eq(wide, 0);
	assert_ok(vmmem_collection_from_fd(guest, END + 1, 0, fd,
					   VMMEM_IO_POSITION, 0, NULL));
	pattern(host_of(guest, END - 8), 8, 1);
	assert_code(vmmem_collection_from_fd(guest, END - 8, 9, fd,
					     VMMEM_IO_POSITION, 0,
					     &wide), VMMEM_EBADADDR);
	ck_assert_uint_eq(wide, 0);
	ck_assert_mem_eq(host_of(guest, END - 8), buf, 8);
	assert_code(vmmem_collection_from_fd(guest, END - 8, 9, fd,
					     VMMEM_IO_POSITION, VMMEM_IO_SOME,
					     &wide),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(wide, 8);
	close(fd);

	assert_ok(vmmem_collection_write(guest, END, buf, 0, &done));
	ck_assert_uint_eq(done, 0);
	assert_ok(vmmem_collection_write(guest, END + 1, buf, 0, &done));
	assert_ok(vmmem_collection_fill(guest, END + 1, 0, 1, &wide));
	ck_assert_uint_eq(wide, 0);
	assert_code(vmmem_collection_write(guest, END - 8, buf, 9, &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_fill(guest, END - 8, 9, 1, &wide),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(wide, 0);
	ck_assert(all_are(host_of(guest, END - 8), 0, 8));
}
END_TEST

/*
 * vm-memory: moving zero bytes from a file to guest memory succeeds without a
 * look at the address, although the region's own form refuses it (A9).
 * match, and the same in every other function.
 */
START_TEST(a10_transfer_of_no_bytes)
{
	uint64_t done = 77;

	assert_ok(vmmem_collection_from_fd(guest, HOLE, 0, -1,
					   VMMEM_IO_POSITION, 0, &done));
	ck_assert_uint_eq(done, 0);
	done = 77;
	assert_ok(vmmem_collection_from_fd(guest, HOLE, 0, -1,
					   VMMEM_IO_POSITION, VMMEM_IO_SOME,
					   &done));
	ck_assert_uint_eq(done, 0);
	done = 77;
	assert_ok(vmmem_collection_fill_some(guest, HOLE, 0, 1, &done));
	ck_assert_uint_eq(done, 0);
	done = 77;
	assert_ok(vmmem_collection_copy(guest, HOLE, TOP, 0, &done));
	ck_assert_uint_eq(done, 0);
}
END_TEST

/*
 * vm-memory: an atomic at an unmapped address is told from other failures.
 * match.
 */
START_TEST(a11_atomic_unmapped)
{
	uint32_t value = 77;

	assert_code(vmmem_collection_load_u32(guest, HOLE,
					      VMMEM_ORDER_RELAXED, &value),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_store_u32(guest, HOLE, 1,
					       VMMEM_ORDER_RELAXED),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(value, 77);
}
END_TEST

/*
 * vm-memory: an atomic that crosses from one region into the next gives the
 * error that a misaligned one gives.
 * fix: refused too, with a code of its own.
 */
START_TEST(a12_atomic_across_regions)
{
	uint32_t value = 77;

	assert_code(vmmem_collection_load_u32(guest, SECOND - 2,
					      VMMEM_ORDER_RELAXED, &value),
		    VMMEM_ECROSS);
	assert_code(vmmem_collection_store_u32(guest, SECOND - 2, 1,
					       VMMEM_ORDER_RELAXED),
		    VMMEM_ECROSS);
	ck_assert_uint_eq(value, 77);
	ck_assert(all_are(host_of(guest, SECOND - 2), 0, 2));
}
END_TEST

/*
 * vm-memory: a misaligned atomic is refused by the host address, with an
 * error that many causes share.
 * fix: refused by the guest address, with a code of its own.
 */
START_TEST(a13_atomic_misaligned)
{
	uint32_t value = 77;

	assert_code(vmmem_collection_load_u32(guest, FIRST + 2,
					      VMMEM_ORDER_RELAXED, &value),
		    VMMEM_EMISALIGNED);
	assert_code(vmmem_collection_store_u32(guest, FIRST + 2, 1,
					       VMMEM_ORDER_RELAXED),
		    VMMEM_EMISALIGNED);
	ck_assert_uint_eq(value, 77);
	ck_assert(all_are(host_of(guest, FIRST), 0, 8));
}
END_TEST

/*
 * vm-memory: a load with the order release or acquire-release panics.
 * fix: a code.  A library must not end a process for an argument.
 */
START_TEST(a14_load_with_release)
{
	uint64_t value = 77;

	assert_code(vmmem_collection_load_u64(guest, FIRST,
					      VMMEM_ORDER_RELEASE, &value),
		    VMMEM_EORDER);
	assert_code(vmmem_collection_load_u64(guest, FIRST,
					      VMMEM_ORDER_ACQ_REL, &value),
		    VMMEM_EORDER);
	ck_assert_uint_eq(value, 77);
}
END_TEST

/*
 * vm-memory: a store with the order acquire or acquire-release panics.
 * fix: a code, and nothing is stored.
 */
START_TEST(a15_store_with_acquire)
{
	assert_code(vmmem_collection_store_u64(guest, FIRST, 1,
					       VMMEM_ORDER_ACQUIRE),
		    VMMEM_EORDER);
	assert_code(vmmem_collection_store_u64(guest, FIRST, 1,
					       VMMEM_ORDER_ACQ_REL),
		    VMMEM_EORDER);
	ck_assert(all_are(host_of(guest, FIRST), 0, 8));
}
END_TEST

/*
 * vm-memory: an object may lie in two regions, and is written as two pieces.
 * match.
 */
START_TEST(a16_object_across_regions)
{
	uint64_t value = 0;
	size_t done = 77;

	/* 8 bytes before the border and 4 after it. */
	assert_ok(vmmem_collection_write(guest, SECOND - 8, buf, 12, &done));
	ck_assert_uint_eq(done, 12);
	ck_assert_mem_eq(host_of(guest, SECOND - 8), buf, 8);
	ck_assert_mem_eq(host_of(guest, SECOND), buf + 8, 4);
	assert_ok(vmmem_collection_write_be64(guest, SECOND - 3,
					      UINT64_C(0x0102030405060708)));
	ck_assert_uint_eq(*host_of(guest, SECOND - 1), 3);
	ck_assert_uint_eq(*host_of(guest, SECOND), 4);
	assert_ok(vmmem_collection_read_be64(guest, SECOND - 3, &value));
	ck_assert_uint_eq(value, UINT64_C(0x0102030405060708));
}
END_TEST

static int
count_visit(void *opaque, struct vmmem_region *region)
{
	(void)region;
	(*(int *)opaque)++;
	return 0;
}

/*
 * vm-memory: try_access(), deprecated, hands the caller one piece of a range
 * after the other; zero bytes at a mapped address give zero.
 * differ: there is no such callback.  Who wants the pieces asks for a host
 * address with its length, from piece to piece; who wants all regions visits
 * them.  Zero bytes succeed.
 */
START_TEST(a17_pieces_of_a_range)
{
	uint64_t gpa = FIRST + 0x800, len = 0, pieces = 0;
	int visits = 0;
	void *host;

	while (vmmem_collection_host_address(guest, gpa, VMMEM_PROT_READ,
					     &host, &len) == 0) {
		ck_assert_ptr_eq(host, host_of(guest, gpa));
		gpa += len;
		pieces++;
	}
	ck_assert_uint_eq(gpa, HOLE);
	ck_assert_uint_eq(pieces, 2);
	ck_assert_int_eq(vmmem_collection_for_each(guest, count_visit,
						   &visits), 0);
	ck_assert_int_eq(visits, 3);
	assert_ok(vmmem_collection_read_some(guest, FIRST, NULL, 0, NULL));
}
END_TEST

/*
 * vm-memory: try_access() for zero bytes at an unmapped address is an error,
 * against the rule of the other functions.
 * fix: zero bytes succeed here too; for one byte the code says what is wrong.
 */
START_TEST(a18_no_bytes_unmapped)
{
	size_t done = 77;

	assert_ok(vmmem_collection_read_some(guest, HOLE, NULL, 0, &done));
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_read_some(guest, HOLE, buf, 1, &done),
		    VMMEM_EBADADDR);
}
END_TEST

/*
 * vm-memory: address plus offset is there if the sum is mapped: not just past
 * the end of a region, not past 2^64, and whatever lies between.  What is
 * missing is told by one answer for both causes.
 * match, with a code for each cause.
 */
START_TEST(a19_checked_offset)
{
	uint64_t sum = 77;

	assert_ok(vmmem_collection_address_add(guest, FIRST, 0x3010, &sum));
	ck_assert_uint_eq(sum, THIRD + 0x10);
	sum = 77;
	assert_code(vmmem_collection_address_add(guest, FIRST, 0x2000, &sum),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_address_add(guest, THIRD, 0x1000, &sum),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_address_add(guest, FIRST, TOP, &sum),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(sum, 77);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_a");
	TCase *tcase = tcase_create("conformance_a");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a1_check_of_no_bytes);
	tcase_add_test(tcase, a2_empty_buffer);
	tcase_add_test(tcase, a3_no_bytes_past_the_end);
	tcase_add_test(tcase, a4_write_straddling_hole);
	tcase_add_test(tcase, a5_partial_write_of_all);
	tcase_add_test(tcase, a6_unmapped_start);
	tcase_add_test(tcase, a7_range_near_the_top);
	tcase_add_test(tcase, a8_window_within_one_region);
	tcase_add_test(tcase, a9_count_beyond_the_end);
	tcase_add_test(tcase, a10_transfer_of_no_bytes);
	tcase_add_test(tcase, a11_atomic_unmapped);
	tcase_add_test(tcase, a12_atomic_across_regions);
	tcase_add_test(tcase, a13_atomic_misaligned);
	tcase_add_test(tcase, a14_load_with_release);
	tcase_add_test(tcase, a15_store_with_acquire);
	tcase_add_test(tcase, a16_object_across_regions);
	tcase_add_test(tcase, a17_pieces_of_a_range);
	tcase_add_test(tcase, a18_no_bytes_unmapped);
	tcase_add_test(tcase, a19_checked_offset);
	suite_add_tcase(suite, tcase);
	return suite;
}
