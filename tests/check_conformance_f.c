/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Dirty tracking: what vm-memory 0.18 does, and whether libvmmem matches it,
 * fixes it or differs on purpose.  docs/conformance.md is the table of all
 * marks.
 */
#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x100000)

static struct vmmem_bitmap *
bitmap_of(uint64_t len, uint64_t max_len)
{
	struct vmmem_bitmap *bitmap = NULL;

	assert_ok(vmmem_bitmap_new(len, max_len, PAGE, NULL, &bitmap));
	return bitmap;
}

/* 'pages' of tracked memory at BASE, with logging on. */
static struct vmmem_region *
tracked_region(uint64_t pages)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;

	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, BASE, pages * PAGE);
	vmmem_region_builder_set_tracking(builder, PAGE);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_bitmap_start_logging(vmmem_region_bitmap(region)));
	return region;
}

/* Exactly the bytes [offset, offset + len), whole pages, are marked. */
static void
expect_dirty(const struct vmmem_bitmap *bitmap, uint64_t offset, uint64_t len)
{
	uint64_t found, found_len;

	assert_ok(vmmem_bitmap_next(bitmap, 0, &found, &found_len));
	if (len != 0)
		ck_assert_uint_eq(found, offset);
	ck_assert_uint_eq(found_len, len);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), (len + PAGE - 1) / PAGE);
}

/*
 * vm-memory: the last page of a bitmap may be a part of one: 4097 bytes are
 * two pages.  A page need not be a power of two.
 * match, for the count; differ, for the page size.
 */
START_TEST(f1_last_page_is_a_part)
{
	struct vmmem_bitmap *bitmap = bitmap_of(PAGE + 1, 0);

	assert_ok(vmmem_bitmap_mark(bitmap, 0, PAGE + 1));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 2);
	expect_dirty(bitmap, 0, PAGE + 1);
	vmmem_bitmap_unref(bitmap);
	assert_code(vmmem_bitmap_new(PAGE + 1, 0, PAGE + 1, NULL, &bitmap),
		    VMMEM_EARGUMENT);
}
END_TEST

/*
 * vm-memory: a range that passes 2^64, or the bitmap's end, is cut at the end;
 * what is outside is ignored without a word.
 * fix: what is within is marked, and VMMEM_EOUTOFRANGE tells of the rest.
 */
START_TEST(f2_range_past_the_end)
{
	struct vmmem_bitmap *bitmap = bitmap_of(16 * PAGE, 0);

	assert_code(vmmem_bitmap_mark(bitmap, 14 * PAGE, TOP),
		    VMMEM_EOUTOFRANGE);
	expect_dirty(bitmap, 14 * PAGE, 2 * PAGE);
	assert_code(vmmem_bitmap_mark(bitmap, 16 * PAGE, 1), VMMEM_EOUTOFRANGE);
	assert_code(vmmem_bitmap_mark(bitmap, TOP, TOP), VMMEM_EOUTOFRANGE);
	expect_dirty(bitmap, 14 * PAGE, 2 * PAGE);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, TOP), 0);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/*
 * vm-memory: marking or clearing zero bytes does nothing.
 * match, at any offset.
 */
START_TEST(f3_no_bytes)
{
	struct vmmem_bitmap *bitmap = bitmap_of(16 * PAGE, 0);

	assert_ok(vmmem_bitmap_mark(bitmap, 0, 0));
	assert_ok(vmmem_bitmap_mark(bitmap, TOP, 0));
	expect_dirty(bitmap, 0, 0);
	assert_ok(vmmem_bitmap_mark(bitmap, PAGE, PAGE));
	assert_ok(vmmem_bitmap_clear(bitmap, PAGE, 0));
	assert_ok(vmmem_bitmap_clear(bitmap, TOP, 0));
	expect_dirty(bitmap, PAGE, PAGE);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/*
 * vm-memory: clearing a part of a page clears the page, and so loses what was
 * written to the rest of it.
 * fix: a page is cleared if all of its bytes are.
 */
START_TEST(f4_clear_a_part_of_a_page)
{
	struct vmmem_bitmap *bitmap = bitmap_of(4 * PAGE, 0);

	assert_ok(vmmem_bitmap_mark(bitmap, 0, 4 * PAGE));
	assert_ok(vmmem_bitmap_clear(bitmap, 0, PAGE - 1));
	expect_dirty(bitmap, 0, 4 * PAGE);
	/* Of pages 1 and 3 a byte is not in the range. */
	assert_ok(vmmem_bitmap_clear(bitmap, PAGE + 1, 3 * PAGE - 2));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 3);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 2 * PAGE), 0);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/*
 * vm-memory: the offset of a bitmap's slice is a sum that wraps, so a slice of
 * a slice may mark somewhere else.
 * fix: what a slice marks lies in the slice, and nothing wraps.
 */
START_TEST(f5_slice_offsets_do_not_wrap)
{
	struct vmmem_region *region = tracked_region(16);
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(region);
	struct vmmem_slice slice, part;

	assert_ok(vmmem_region_slice(region, 8 * PAGE, 4 * PAGE,
				     VMMEM_PROT_WRITE, &slice));
	assert_code(vmmem_slice_sub(&slice, TOP - PAGE, 1, &part),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_skip(&slice, TOP - PAGE, &part),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_mark(&slice, TOP - PAGE, 1), VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_write_u8(&slice, TOP - PAGE, 1),
		    VMMEM_EOUTOFRANGE);
	expect_dirty(bitmap, 0, 0);
	assert_ok(vmmem_slice_skip(&slice, PAGE, &part));
	assert_ok(vmmem_slice_sub(&part, PAGE, PAGE, &part));
	assert_ok(vmmem_slice_mark(&part, PAGE - 1, 1));
	expect_dirty(bitmap, 10 * PAGE, PAGE);
	vmmem_slice_release(&slice);
	vmmem_region_unref(region);
}
END_TEST

/*
 * vm-memory: a bitmap is enlarged by a number of bytes; the sum panics in a
 * debug build and wraps in a release build, so that the bitmap shrinks.  It
 * needs the bitmap for itself alone.
 * fix: it grows to a length, never above a maximum and never back, while
 * others use it.
 */
START_TEST(f6_grow)
{
	struct vmmem_bitmap *bitmap = bitmap_of(16 * PAGE, 32 * PAGE);

	assert_ok(vmmem_bitmap_mark(bitmap, 15 * PAGE, PAGE));
	assert_code(vmmem_bitmap_grow(bitmap, TOP), VMMEM_EOUTOFRANGE);
	assert_code(vmmem_bitmap_grow(bitmap, 32 * PAGE + 1),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_bitmap_grow(bitmap, 16 * PAGE - 1), VMMEM_EARGUMENT);
	ck_assert_uint_eq(vmmem_bitmap_len(bitmap), 16 * PAGE);
	assert_ok(vmmem_bitmap_grow(bitmap, 32 * PAGE));
	ck_assert_uint_eq(vmmem_bitmap_len(bitmap), 32 * PAGE);
	expect_dirty(bitmap, 15 * PAGE, PAGE);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/*
 * vm-memory: a write that ends early has written its first part, and marked
 * exactly that.
 * match, for write_some(); differ, for write(), which writes and marks nothing
 * then.
 */
START_TEST(f7_partial_write)
{
	static const uint8_t bytes[4 * 4096];
	struct vmmem_region *region = tracked_region(16);
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(region);
	struct vmmem_collection *guest = guest_of_one(vmmem_region_ref(region));
	struct vmmem_slice slice;
	size_t done = 77;

	assert_code(vmmem_collection_write(guest, BASE + 14 * PAGE, bytes,
					   sizeof(bytes), &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
	expect_dirty(bitmap, 0, 0);
	assert_code(vmmem_collection_write_some(guest, BASE + 14 * PAGE, bytes,
						sizeof(bytes), &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 2 * PAGE);
	expect_dirty(bitmap, 14 * PAGE, 2 * PAGE);

	/* The same through a slice, which ends before the region. */
	assert_ok(vmmem_bitmap_clear(bitmap, 0, TOP));
	assert_ok(vmmem_region_slice(region, PAGE, PAGE + 1, VMMEM_PROT_WRITE,
				     &slice));
	assert_code(vmmem_slice_write(&slice, 0, bytes, 2 * PAGE),
		    VMMEM_EOUTOFRANGE);
	expect_dirty(bitmap, 0, 0);
	assert_code(vmmem_slice_write_some(&slice, 0, bytes, 4 * PAGE, &done),
		    VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(done, PAGE + 1);
	expect_dirty(bitmap, PAGE, 2 * PAGE);
	vmmem_slice_release(&slice);
	vmmem_collection_unref(guest);
	vmmem_region_unref(region);
}
END_TEST

/*
 * vm-memory: if reading from a file fails, all of the slice is marked, as the
 * system may have written some of it.
 * match, for all that the failing call was given; after a call that succeeds,
 * exactly what it read is marked.  Who calls read(2) himself can do the same.
 */
START_TEST(f8_failed_transfer)
{
	struct vmmem_region *region = tracked_region(16);
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(region);
	struct vmmem_collection *guest = guest_of_one(vmmem_region_ref(region));
	struct vmmem_slice slice;
	int fd = open("/", O_RDONLY | O_CLOEXEC), file = file_of(PAGE + 1);
	uint64_t done = 77;

	ck_assert_int_ge(fd, 0);
	/* The end of the file is no failure. */
	assert_code(vmmem_collection_from_fd(guest, BASE + PAGE, 4 * PAGE,
					     file, VMMEM_IO_POSITION, 0,
					     &done),
		    VMMEM_EEOF);
	ck_assert_uint_eq(done, PAGE + 1);
	expect_dirty(bitmap, PAGE, 2 * PAGE);
	assert_ok(vmmem_bitmap_clear(bitmap, 0, 16 * PAGE));
	/* Nor is what is refused before the system is asked. */
	assert_code(vmmem_collection_from_fd(guest, BASE + 15 * PAGE, 2 * PAGE,
					     file, VMMEM_IO_POSITION, 0, NULL),
		    VMMEM_EBADADDR);
	expect_dirty(bitmap, 0, 0);
	assert_code(vmmem_collection_from_fd(guest, BASE + PAGE, 3 * PAGE, fd,
					     VMMEM_IO_POSITION, 0, &done),
		    -EISDIR);
	ck_assert_uint_eq(done, 0);
	expect_dirty(bitmap, PAGE, 3 * PAGE);
	assert_ok(vmmem_bitmap_clear(bitmap, 0, 16 * PAGE));
	assert_ok(vmmem_region_slice(region, PAGE, 3 * PAGE, VMMEM_PROT_WRITE,
				     &slice));
	/* A directory cannot be read. */
	ck_assert_int_lt(read(fd, slice.host, slice.len), 0);
	assert_ok(vmmem_slice_mark(&slice, 0, slice.len));
	expect_dirty(bitmap, PAGE, 3 * PAGE);
	vmmem_slice_release(&slice);
	vmmem_collection_unref(guest);
	vmmem_region_unref(region);
	close(file);
	close(fd);
}
END_TEST

/*
 * vm-memory: copying from an empty buffer, and writing zero bytes, marks
 * nothing.
 * match, for each function that takes a length or a count.
 */
START_TEST(f9_nothing_written_nothing_marked)
{
	struct vmmem_region *region = tracked_region(16);
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(region);
	struct vmmem_collection *guest = guest_of_one(vmmem_region_ref(region));
	struct vmmem_slice slice;

	assert_ok(vmmem_collection_write(guest, BASE, NULL, 0, NULL));
	assert_ok(vmmem_collection_write_some(guest, BASE, NULL, 0, NULL));
	assert_ok(vmmem_collection_fill(guest, BASE, 0, 1, NULL));
	assert_ok(vmmem_collection_fill_some(guest, BASE, 0, 1, NULL));
	assert_ok(vmmem_collection_copy(guest, BASE, BASE + PAGE, 0, NULL));
	assert_ok(vmmem_region_slice(
		region, 0, PAGE, VMMEM_PROT_READ | VMMEM_PROT_WRITE, &slice));
	assert_ok(vmmem_slice_write(&slice, 0, NULL, 0));
	assert_ok(vmmem_slice_write_some(&slice, 0, NULL, 0, NULL));
	assert_ok(vmmem_slice_fill(&slice, 0, 0, 1));
	assert_ok(vmmem_slice_copy(&slice, 0, &slice, 64, 0));
	assert_ok(vmmem_slice_write_elements(&slice, 0, 8, 0, NULL));
	assert_ok(vmmem_slice_copy_elements(&slice, 0, &slice, 1, 8, 0));
	assert_ok(vmmem_slice_mark(&slice, 0, 0));
	expect_dirty(bitmap, 0, 0);
	/* Nor does reading. */
	assert_ok(vmmem_collection_copy(guest, BASE, BASE + PAGE, 8, NULL));
	expect_dirty(bitmap, 0, PAGE);
	vmmem_slice_release(&slice);
	vmmem_collection_unref(guest);
	vmmem_region_unref(region);
}
END_TEST

/*
 * vm-memory: what is stored through a reference to an atomic, or through a host
 * address, is never marked.
 * fix, for atomics, which mark as all else does; match, for a host address,
 * whose user calls vmmem_slice_mark().
 */
START_TEST(f10_atomics_and_host_addresses)
{
	struct vmmem_region *region = tracked_region(16);
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(region);
	struct vmmem_collection *guest = guest_of_one(vmmem_region_ref(region));
	struct vmmem_slice slice;
	uint64_t value;
	uint8_t *host;

	assert_ok(vmmem_collection_store_u64(guest, BASE, 1,
					     VMMEM_ORDER_RELEASE));
	assert_ok(vmmem_collection_fetch_add_u32(guest, BASE + PAGE, 1,
						 VMMEM_ORDER_RELAXED, NULL));
	assert_ok(vmmem_region_slice(region, 2 * PAGE, 4 * PAGE,
				     VMMEM_PROT_READ | VMMEM_PROT_WRITE,
				     &slice));
	assert_ok(vmmem_slice_exchange_u16(&slice, 0, 1, VMMEM_ORDER_SEQ_CST,
					   NULL));
	assert_ok(vmmem_slice_store_u8(&slice, PAGE, 1, VMMEM_ORDER_RELAXED));
	expect_dirty(bitmap, 0, 4 * PAGE);
	/* Loading marks nothing. */
	assert_ok(vmmem_slice_load_u64(&slice, 2 * PAGE, VMMEM_ORDER_ACQUIRE,
				       &value));
	expect_dirty(bitmap, 0, 4 * PAGE);

	host = slice.host;
	host[2 * PAGE] = 1;
	expect_dirty(bitmap, 0, 4 * PAGE);
	assert_ok(vmmem_slice_mark(&slice, 2 * PAGE, 1));
	expect_dirty(bitmap, 0, 5 * PAGE);
	vmmem_slice_release(&slice);
	vmmem_collection_unref(guest);
	vmmem_region_unref(region);
}
END_TEST

/*
 * vm-memory: bytes past a bitmap's length, but in its last page, count to that
 * page: they are marked, cleared and tested.
 * differ: they are past the end, and count to none.
 */
START_TEST(f11_bytes_past_the_length)
{
	struct vmmem_bitmap *bitmap = bitmap_of(PAGE + 1, 0);

	assert_code(vmmem_bitmap_mark(bitmap, PAGE + 1, 1), VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	assert_ok(vmmem_bitmap_mark(bitmap, PAGE, 1));
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, PAGE), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, PAGE + 1), 0);
	assert_ok(vmmem_bitmap_clear(bitmap, PAGE + 1, PAGE - 1));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 1);
	/* All that there is of it is one byte. */
	assert_ok(vmmem_bitmap_clear(bitmap, PAGE, 1));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_f");
	TCase *tcase = tcase_create("f");

	tcase_add_test(tcase, f1_last_page_is_a_part);
	tcase_add_test(tcase, f2_range_past_the_end);
	tcase_add_test(tcase, f3_no_bytes);
	tcase_add_test(tcase, f4_clear_a_part_of_a_page);
	tcase_add_test(tcase, f5_slice_offsets_do_not_wrap);
	tcase_add_test(tcase, f6_grow);
	tcase_add_test(tcase, f7_partial_write);
	tcase_add_test(tcase, f8_failed_transfer);
	tcase_add_test(tcase, f9_nothing_written_nothing_marked);
	tcase_add_test(tcase, f10_atomics_and_host_addresses);
	tcase_add_test(tcase, f11_bytes_past_the_length);
	suite_add_tcase(suite, tcase);
	return suite;
}
