/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <vmmem/collection.h>
#include <vmmem/region_builder.h>

#include "guest.h"
#include "suite.h"

/* Two regions that touch, a hole, and one up to the top. */
static const struct vmmem_range map[] = {
	{ 0x1000, 0x1000 },
	{ 0x2000, 0x800 },
	{ TOP - 0xfff, 0x1000 },
};

START_TEST(new_holds_its_own_references)
{
	struct vmmem_region *regions[2] = { region_of(0, 0x1000),
					    region_of(0x1000, 0x1000) };
	struct vmmem_collection *guest = NULL;
	uint8_t *host = expect_host(regions[1]);

	assert_ok(vmmem_collection_new(regions, 2, &guest));
	ck_assert_uint_eq(vmmem_collection_count(guest), 2);
	ck_assert_ptr_eq(vmmem_collection_region(guest, 0), regions[0]);
	ck_assert_ptr_eq(vmmem_collection_region(guest, 1), regions[1]);
	vmmem_region_unref(regions[0]);
	vmmem_region_unref(regions[1]);
	ck_assert(is_mapped(host, 0x1000));
	ck_assert_ptr_eq(vmmem_collection_ref(guest), guest);
	ck_assert_ptr_null(vmmem_collection_unref(guest));
	ck_assert(is_mapped(host, 0x1000));
	ck_assert_ptr_null(vmmem_collection_unref(guest));
	ck_assert(!is_mapped(host, 0x1000));
}
END_TEST

START_TEST(new_refusals)
{
	struct vmmem_region *a = region_of(0x1000, 0x1000);
	struct vmmem_region *b = region_of(0x2000, 0x1000);
	struct vmmem_region *inside = region_of(0x2800, 0x10);
	struct vmmem_region *unsorted[] = { b, a }, *twice[] = { a, a };
	struct vmmem_region *overlap[] = { a, b, inside };
	struct vmmem_region *missing[] = { a, NULL }, *good[] = { a, b };
	struct vmmem_collection *guest = NO_COLLECTION;

	assert_code(vmmem_collection_new(good, 0, &guest), VMMEM_ENOREGION);
	assert_code(vmmem_collection_new(unsorted, 2, &guest),
		    VMMEM_EUNSORTED);
	assert_code(vmmem_collection_new(twice, 2, &guest), VMMEM_EOVERLAP);
	assert_code(vmmem_collection_new(overlap, 3, &guest), VMMEM_EOVERLAP);
	assert_code(vmmem_collection_new(missing, 2, &guest), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_new(NULL, 1, &guest), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_new(good, 2, NULL), VMMEM_EARGUMENT);
	ck_assert_ptr_eq(guest, NO_COLLECTION);
	vmmem_region_unref(a);
	vmmem_region_unref(b);
	vmmem_region_unref(inside);
}
END_TEST

START_TEST(new_unsorted_sorts)
{
	struct vmmem_region *regions[] = { region_of(TOP, 1),
					   region_of(0x5000, 0x1000),
					   region_of(0, 1),
					   region_of(0x4000, 0x1000) };
	static const size_t order[] = { 2, 3, 1, 0 };
	struct vmmem_region *given[4];
	struct vmmem_collection *guest = NULL;
	size_t i;

	memcpy(given, regions, sizeof(given));
	assert_ok(vmmem_collection_new_unsorted(given, 4, &guest));
	ck_assert_uint_eq(vmmem_collection_count(guest), 4);
	for (i = 0; i < 4; i++)
		ck_assert_ptr_eq(vmmem_collection_region(guest, i),
				 regions[order[i]]);
	/* The caller's array stays as it is. */
	ck_assert_mem_eq(given, regions, sizeof(given));
	for (i = 0; i < 4; i++)
		vmmem_region_unref(regions[i]);
	vmmem_collection_unref(guest);
}
END_TEST

START_TEST(new_unsorted_refusals)
{
	struct vmmem_region *a = region_of(0x1000, 0x1000);
	struct vmmem_region *b = region_of(0x1fff, 0x1000);
	struct vmmem_region *overlap[] = { b, a }, *missing[] = { NULL, a };
	struct vmmem_collection *guest = NO_COLLECTION;

	assert_code(vmmem_collection_new_unsorted(overlap, 0, &guest),
		    VMMEM_ENOREGION);
	assert_code(vmmem_collection_new_unsorted(overlap, 2, &guest),
		    VMMEM_EOVERLAP);
	assert_code(vmmem_collection_new_unsorted(missing, 2, &guest),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_new_unsorted(NULL, 1, &guest),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_new_unsorted(overlap, 2, NULL),
		    VMMEM_EARGUMENT);
	ck_assert_ptr_eq(guest, NO_COLLECTION);
	vmmem_region_unref(a);
	vmmem_region_unref(b);
}
END_TEST

START_TEST(empty_has_nothing)
{
	struct vmmem_region *region = NO_REGION;
	struct vmmem_collection *guest = NULL, *smaller = NO_COLLECTION;
	uint64_t value = 77, bad = 77;
	void *host = &value;

	assert_code(vmmem_collection_new_empty(NULL), VMMEM_EARGUMENT);
	assert_ok(vmmem_collection_new_empty(&guest));
	ck_assert_uint_eq(vmmem_collection_count(guest), 0);
	ck_assert_ptr_null(vmmem_collection_region(guest, 0));
	ck_assert_ptr_null(vmmem_collection_find(guest, 0));
	ck_assert_int_eq(vmmem_collection_contains(guest, 0), 0);
	ck_assert_int_eq(vmmem_collection_contains(guest, TOP), 0);
	assert_code(vmmem_collection_last(guest, &value), VMMEM_ENOREGION);
	assert_code(vmmem_collection_locate(guest, 0, &region, &value),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_address_add(guest, 0, 0, &value),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_host_address(guest, 0, 0, &host, &value),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_next(guest, 0, &region), VMMEM_ENOREGION);
	assert_code(vmmem_collection_host_to_gpa(guest, host, &value, &value),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_remove(guest, 0, 0, &smaller, &region),
		    VMMEM_ENOREGION);
	ck_assert_ptr_eq(smaller, NO_COLLECTION);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_ptr_eq(host, &value);
	ck_assert_uint_eq(value, 77);
	assert_code(vmmem_collection_check(guest, 5, 1, 0, &bad),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(bad, 5);
	assert_ok(vmmem_collection_check(guest, 5, 0, 0, &bad));
	vmmem_collection_unref(guest);
}
END_TEST

START_TEST(ranges_make_regions)
{
	struct vmmem_collection *guest = guest_of_ranges(map, 3);
	size_t i;

	ck_assert_uint_eq(vmmem_collection_count(guest), 3);
	for (i = 0; i < 3; i++) {
		struct vmmem_region *region = vmmem_collection_region(guest, i);

		expect_range(region, map[i].gpa, map[i].len);
		ck_assert_uint_eq(vmmem_region_kind(region),
				  VMMEM_REGION_ANONYMOUS);
		expect_host(region);
	}
	vmmem_collection_unref(guest);
}
END_TEST

START_TEST(ranges_leave_no_reference_behind)
{
	struct vmmem_collection *guest = guest_of_ranges(map, 3);
	uint8_t *first = host_of(guest, 0x1000);
	uint8_t *last = host_of(guest, TOP);

	vmmem_collection_unref(guest);
	ck_assert(!is_mapped(first, 1));
	ck_assert(!is_mapped(last, 1));
}
END_TEST

static const struct {
	struct vmmem_range ranges[3];
	size_t count;
	int code;
} bad_ranges[] = {
	{ { { 0, 1 } }, 0, VMMEM_ENOREGION },
	{ { { 0, 0 } }, 1, VMMEM_EZEROLEN },
	{ { { 0, 16 }, { 16, 0 } }, 2, VMMEM_EZEROLEN },
	{ { { TOP, 2 } }, 1, VMMEM_EWRAPS },
	{ { { 0, 16 }, { 0x1000, TOP } }, 2, VMMEM_EWRAPS },
	{ { { 0x1000, 16 }, { 0, 16 } }, 2, VMMEM_EUNSORTED },
	{ { { 0, 16 }, { 15, 16 } }, 2, VMMEM_EOVERLAP },
	{ { { 0, 16 }, { 0, 16 } }, 2, VMMEM_EOVERLAP },
	{ { { 0, 16 }, { 16, TOP - 16 }, { TOP - 1, 1 } }, 3,
	  VMMEM_EOVERLAP },
};

START_TEST(bad_range)
{
	struct vmmem_collection *guest = NO_COLLECTION;
	struct vmmem_file_range with_files[3];
	size_t i;

	assert_code(vmmem_collection_new_ranges(bad_ranges[_i].ranges,
						bad_ranges[_i].count, NULL,
						&guest),
		    bad_ranges[_i].code);
	for (i = 0; i < 3; i++)
		with_files[i] = (struct vmmem_file_range){
			.gpa = bad_ranges[_i].ranges[i].gpa,
			.len = bad_ranges[_i].ranges[i].len,
			.fd = -1,
		};
	assert_code(vmmem_collection_new_file_ranges(
			    with_files, bad_ranges[_i].count, NULL,
						&guest),
		    bad_ranges[_i].code);
	ck_assert_ptr_eq(guest, NO_COLLECTION);
}
END_TEST

START_TEST(ranges_null_pointers)
{
	struct vmmem_file_range file = { .len = 1, .fd = -1 };
	struct vmmem_collection *guest = NO_COLLECTION;

	assert_code(vmmem_collection_new_ranges(NULL, 1, NULL, &guest),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_new_ranges(map, 3, NULL, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_new_file_ranges(NULL, 1, NULL, &guest),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_new_file_ranges(&file, 1, NULL, NULL),
		    VMMEM_EARGUMENT);
	ck_assert_ptr_eq(guest, NO_COLLECTION);
}
END_TEST

START_TEST(file_ranges_map_files)
{
	uint64_t page = page_size(), offset;
	int fd = file_of(3 * page), own;
	struct vmmem_file_range ranges[] = {
		{ .gpa = 0, .len = page, .offset = page, .fd = fd },
		{ .gpa = page, .len = page, .fd = -1 },
		{ .gpa = 2 * page, .len = page, .fd = fd },
	};
	struct vmmem_collection *guest = NULL;
	uint8_t bytes[2] = { 0x12, 0x34 };
	size_t files = open_files();

	assert_ok(vmmem_collection_new_file_ranges(ranges, 3, NULL, &guest));
	ck_assert_uint_eq(open_files(), files + 1);
	ck_assert_uint_eq(vmmem_region_kind(vmmem_collection_region(guest, 0)),
			  VMMEM_REGION_FILE);
	ck_assert_uint_eq(vmmem_region_kind(vmmem_collection_region(guest, 1)),
			  VMMEM_REGION_ANONYMOUS);
	assert_ok(vmmem_region_file(vmmem_collection_region(guest, 0), &own,
				    &offset));
	ck_assert_int_ne(own, fd);
	ck_assert_uint_eq(offset, page);
	ck_assert_int_eq(pwrite(fd, &bytes[0], 1, (off_t)page), 1);
	ck_assert_int_eq(pwrite(fd, &bytes[1], 1, 0), 1);
	ck_assert_uint_eq(*host_of(guest, 0), 0x12);
	ck_assert_uint_eq(*host_of(guest, 2 * page), 0x34);
	vmmem_collection_unref(guest);
	ck_assert_uint_eq(open_files(), files);
	/* The caller's descriptor is still the caller's. */
	ck_assert_int_eq(pread(fd, bytes, 1, 0), 1);
	close(fd);
}
END_TEST

static void
count_ends(void *cookie)
{
	++*(int *)cookie;
}

/* All that a builder says, for each range: a map that can be migrated. */
START_TEST(ranges_like_a_builder)
{
	struct vmmem_region_builder *like = vmmem_region_builder_new();
	const uint64_t page = page_size();
	const struct vmmem_file_range ranges[] = {
		{ .gpa = 0, .len = page, .fd = -1 },
		{ .gpa = 4 * page,
		  .len = page,
		  .fd = file_of(page),
		  .flags = VMMEM_FILE_PRIVATE },
	};
	struct vmmem_bitmap *log = NULL;
	struct vmmem_collection *guest = NULL;
	struct vmmem_region *region;
	int ends = 0;
	size_t i;

	assert_ok(vmmem_bitmap_new(8 * page, 0, page, &log));
	vmmem_region_builder_set_range(like, 99, 0);
	vmmem_region_builder_set_memfd(like);
	vmmem_region_builder_set_name(like, "ram");
	vmmem_region_builder_set_bitmap(like, log, page);
	vmmem_region_builder_set_cookie(like, &ends, &ends, count_ends);
	assert_ok(vmmem_collection_new_file_ranges(ranges, 2, like, &guest));
	for (i = 0; i < 2; i++) {
		region = vmmem_collection_region(guest, i);
		expect_range(region, ranges[i].gpa, page);
		ck_assert_str_eq(vmmem_region_name(region), "ram");
		ck_assert_ptr_eq(vmmem_region_cookie(region, &ends), &ends);
		ck_assert_ptr_eq(vmmem_region_bitmap(region), log);
		ck_assert_uint_eq(vmmem_region_bitmap_offset(region),
				  page + ranges[i].gpa);
	}
	region = vmmem_collection_region(guest, 0);
	ck_assert_uint_eq(vmmem_region_kind(region), VMMEM_REGION_MEMFD);
	region = vmmem_collection_region(guest, 1);
	ck_assert_uint_eq(vmmem_region_kind(region), VMMEM_REGION_FILE);
	ck_assert_uint_eq(vmmem_region_file_flags(region), VMMEM_FILE_PRIVATE);
	ck_assert_int_eq(ends, 0);
	vmmem_collection_unref(guest);
	ck_assert_int_eq(ends, 2);
	vmmem_region_builder_free(like);
	vmmem_bitmap_unref(log);
	close(ranges[1].fd);
}
END_TEST

START_TEST(ranges_like_refused)
{
	static const struct vmmem_range ranges[] = { { 0, 64 }, { 4096, 64 } };
	struct vmmem_region_builder *like = vmmem_region_builder_new();
	struct vmmem_collection *guest = NO_COLLECTION;
	struct vmmem_bitmap *log = NULL;

	assert_ok(vmmem_bitmap_new(4096 + 64, 0, 64, &log));
	vmmem_region_builder_set_file(like, 0, 0, 0);
	assert_code(vmmem_collection_new_ranges(ranges, 2, like, &guest),
		    VMMEM_EARGUMENT);
	ck_assert_ptr_nonnull(strstr(vmmem_region_builder_why(like), "memfd"));
	vmmem_region_builder_set_anonymous(like);
	vmmem_region_builder_set_bitmap(like, log, 1);
	assert_code(vmmem_collection_new_ranges(ranges, 2, like, &guest),
		    VMMEM_EOUTOFRANGE);
	ck_assert_ptr_nonnull(strstr(vmmem_region_builder_why(like), "bitmap"));
	vmmem_region_builder_set_bitmap(like, log, UINT64_MAX);
	assert_code(vmmem_collection_new_ranges(ranges, 2, like, &guest),
		    VMMEM_EOUTOFRANGE);
	ck_assert_ptr_eq(guest, NO_COLLECTION);
	vmmem_region_builder_set_bitmap(like, log, 0);
	assert_ok(vmmem_collection_new_ranges(ranges, 2, like, &guest));
	ck_assert_str_eq(vmmem_region_builder_why(like), "");
	vmmem_collection_unref(guest);
	vmmem_region_builder_free(like);
	vmmem_bitmap_unref(log);
}
END_TEST

START_TEST(file_ranges_refusals)
{
	uint64_t page = page_size();
	int fd = file_of(2 * page);
	/* The first range is good: nothing of it may stay behind. */
	struct vmmem_file_range ranges[] = {
		{ .gpa = 0, .len = page, .fd = fd },
		{ .gpa = 2 * page, .len = page, .fd = fd, .offset = page },
	};
	const struct vmmem_file_range good = ranges[1];
	struct vmmem_collection *guest = NO_COLLECTION;
	size_t files = open_files();

#define REFUSED(member, value, code)                                       \
	do {                                                               \
		ranges[1] = good;                                          \
		ranges[1].member = (value);                                \
		assert_code(vmmem_collection_new_file_ranges(               \
				    ranges, 2, NULL, &guest),              \
			    code);                                         \
	} while (0)

	REFUSED(flags, 3, VMMEM_EARGUMENT);
	REFUSED(flags, 4, VMMEM_EARGUMENT);
	REFUSED(flags, UINT32_MAX, VMMEM_EARGUMENT);
	REFUSED(fd, -1, VMMEM_EARGUMENT); /* its offset is not 0 */
	REFUSED(fd, -2, -EBADF);
	REFUSED(fd, 1000000, -EBADF);
	REFUSED(offset, 8, VMMEM_ECONGRUENCE);
	REFUSED(offset, 2 * page, VMMEM_EPASTEOF);
	REFUSED(offset, (uint64_t)INT64_MAX + 1, VMMEM_EWRAPS);
	REFUSED(gpa, 2 * page + 8, VMMEM_ECONGRUENCE);
	REFUSED(len, 0, VMMEM_EZEROLEN);
	ck_assert_ptr_eq(guest, NO_COLLECTION);
	ck_assert_uint_eq(open_files(), files);
	close(fd);
}
END_TEST

START_TEST(insert_leaves_the_old_one)
{
	struct vmmem_collection *old = guest_of_ranges(map, 3), *new = NULL;
	struct vmmem_region *region = region_of(0x2800, 0x1000);
	uint8_t *host = expect_host(region);

	assert_ok(vmmem_collection_insert(old, region, &new));
	ck_assert_uint_eq(vmmem_collection_count(old), 3);
	ck_assert_uint_eq(vmmem_collection_count(new), 4);
	ck_assert_ptr_null(vmmem_collection_find(old, 0x2800));
	ck_assert_ptr_eq(vmmem_collection_find(new, 0x2800), region);
	ck_assert_ptr_eq(vmmem_collection_region(new, 2), region);
	ck_assert_ptr_eq(vmmem_collection_region(new, 0),
			 vmmem_collection_region(old, 0));
	vmmem_region_unref(region);
	vmmem_collection_unref(old);
	/* What both had lives on in the new one. */
	ck_assert_uint_eq(*host_of(new, 0x1000), 0);
	ck_assert(is_mapped(host, 0x1000));
	vmmem_collection_unref(new);
	ck_assert(!is_mapped(host, 1));
}
END_TEST

static const struct {
	struct vmmem_range range;
	int code;
	size_t index; /* of the new region, with success */
} insert_rows[] = {
	{ { 0, 0x1000 }, 0, 0 },
	{ { 0xfff, 1 }, 0, 0 },
	{ { 0x2800, 0x10 }, 0, 2 },
	{ { TOP - 0x1000, 1 }, 0, 2 },
	{ { 0, 0x1001 }, VMMEM_EOVERLAP, 0 },
	{ { 0, 0x100000 }, VMMEM_EOVERLAP, 0 },
	{ { 0x1000, 0x1000 }, VMMEM_EOVERLAP, 0 },
	{ { 0x1800, 1 }, VMMEM_EOVERLAP, 0 },
	{ { 0x27ff, 0x1000 }, VMMEM_EOVERLAP, 0 },
	{ { TOP, 1 }, VMMEM_EOVERLAP, 0 },
	{ { TOP - 0x1000, 2 }, VMMEM_EOVERLAP, 0 },
};

START_TEST(insert_table)
{
	struct vmmem_collection *old = guest_of_ranges(map, 3);
	struct vmmem_collection *new = NO_COLLECTION;
	struct vmmem_region *region = region_of(insert_rows[_i].range.gpa,
						insert_rows[_i].range.len);

	assert_code(vmmem_collection_insert(old, region, &new),
		    insert_rows[_i].code);
	if (insert_rows[_i].code == 0) {
		ck_assert_ptr_eq(vmmem_collection_region(new,
							 insert_rows[_i].index),
				 region);
		vmmem_collection_unref(new);
	} else {
		ck_assert_ptr_eq(new, NO_COLLECTION);
	}
	ck_assert_uint_eq(vmmem_collection_count(old), 3);
	vmmem_region_unref(region);
	vmmem_collection_unref(old);
}
END_TEST

START_TEST(remove_hands_the_region_back)
{
	struct vmmem_collection *old = guest_of_ranges(map, 3), *new = NULL;
	struct vmmem_region *region = NULL;
	uint8_t *host = host_of(old, 0x2000);

	assert_ok(vmmem_collection_remove(old, 0x2000, 0x800, &new, &region));
	ck_assert_ptr_eq(region, vmmem_collection_region(old, 1));
	ck_assert_uint_eq(vmmem_collection_count(old), 3);
	ck_assert_uint_eq(vmmem_collection_count(new), 2);
	ck_assert_ptr_null(vmmem_collection_find(new, 0x2000));
	ck_assert_ptr_eq(vmmem_collection_find(old, 0x2000), region);
	ck_assert_ptr_eq(vmmem_collection_region(new, 1),
			 vmmem_collection_region(old, 2));
	vmmem_collection_unref(old);
	/* The caller's reference is what keeps it. */
	ck_assert(is_mapped(host, 0x800));
	vmmem_region_unref(region);
	ck_assert(!is_mapped(host, 1));
	vmmem_collection_unref(new);
}
END_TEST

START_TEST(remove_without_asking_for_the_region)
{
	struct vmmem_collection *old = guest_of_ranges(map, 3), *new = NULL;
	uint8_t *host = host_of(old, 0x1000);

	assert_ok(vmmem_collection_remove(old, 0x1000, 0x1000, &new, NULL));
	vmmem_collection_unref(old);
	ck_assert(!is_mapped(host, 1));
	ck_assert_uint_eq(vmmem_collection_count(new), 2);
	vmmem_collection_unref(new);
}
END_TEST

START_TEST(remove_asks_for_exactly_one_region)
{
	static const struct vmmem_range wrong[] = {
		{ 0x1000, 0xfff }, { 0x1000, 0x1001 },    { 0x1000, 0 },
		{ 0x1001, 0xfff }, { 0x1000, 0x1800 },    { 0, 0x1000 },
		{ 0x3000, 0x800 }, { TOP - 0xfff, 0 },    { TOP, 1 },
		{ 0x1000, TOP },   { TOP - 0xfff, TOP },
	};
	struct vmmem_collection *old = guest_of_ranges(map, 3);
	struct vmmem_collection *new = NO_COLLECTION;
	struct vmmem_region *region = NO_REGION;

	assert_code(vmmem_collection_remove(old, wrong[_i].gpa, wrong[_i].len,
					    &new, &region),
		    VMMEM_ENOREGION);
	ck_assert_ptr_eq(new, NO_COLLECTION);
	ck_assert_ptr_eq(region, NO_REGION);
	vmmem_collection_unref(old);
}
END_TEST

START_TEST(change_null_pointers)
{
	struct vmmem_collection *guest = guest_of_ranges(map, 3);
	struct vmmem_collection *new = NO_COLLECTION;
	struct vmmem_region *region = NO_REGION, *good = region_of(0, 16);

	assert_code(vmmem_collection_insert(NULL, good, &new), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_insert(guest, NULL, &new),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_insert(guest, good, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_remove(NULL, 0x1000, 0x1000, &new,
					    &region),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_remove(guest, 0x1000, 0x1000, NULL,
					    &region),
		    VMMEM_EARGUMENT);
	ck_assert_ptr_eq(new, NO_COLLECTION);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_ptr_null(vmmem_collection_ref(NULL));
	ck_assert_ptr_null(vmmem_collection_unref(NULL));
	vmmem_region_unref(good);
	vmmem_collection_unref(guest);
}
END_TEST

/* One region may be in many collections, and twice the way to go. */
START_TEST(regions_are_shared_between_collections)
{
	struct vmmem_region *region = region_of(0, 0x1000);
	struct vmmem_collection *first = NULL, *second = NULL;
	uint32_t value;

	assert_ok(vmmem_collection_new(&region, 1, &first));
	assert_ok(vmmem_collection_new(&region, 1, &second));
	vmmem_region_unref(region);
	assert_ok(vmmem_collection_write_u32(first, 8, 0x12345678));
	vmmem_collection_unref(first);
	assert_ok(vmmem_collection_read_u32(second, 8, &value));
	ck_assert_uint_eq(value, 0x12345678);
	vmmem_collection_unref(second);
}
END_TEST

#define ADD_TABLE(tcase, test, rows)                                       \
	tcase_add_loop_test(tcase, test, 0, (int)ARRAY_LEN(rows))

Suite *
make_suite(void)
{
	Suite *suite = suite_create("collection");
	TCase *tcase = tcase_create("collection");

	tcase_add_test(tcase, new_holds_its_own_references);
	tcase_add_test(tcase, new_refusals);
	tcase_add_test(tcase, new_unsorted_sorts);
	tcase_add_test(tcase, new_unsorted_refusals);
	tcase_add_test(tcase, empty_has_nothing);
	tcase_add_test(tcase, ranges_make_regions);
	tcase_add_test(tcase, ranges_leave_no_reference_behind);
	ADD_TABLE(tcase, bad_range, bad_ranges);
	tcase_add_test(tcase, ranges_null_pointers);
	tcase_add_test(tcase, file_ranges_map_files);
	tcase_add_test(tcase, ranges_like_a_builder);
	tcase_add_test(tcase, ranges_like_refused);
	tcase_add_test(tcase, file_ranges_refusals);
	tcase_add_test(tcase, insert_leaves_the_old_one);
	ADD_TABLE(tcase, insert_table, insert_rows);
	tcase_add_test(tcase, remove_hands_the_region_back);
	tcase_add_test(tcase, remove_without_asking_for_the_region);
	tcase_add_loop_test(tcase, remove_asks_for_exactly_one_region, 0, 11);
	tcase_add_test(tcase, change_null_pointers);
	tcase_add_test(tcase, regions_are_shared_between_collections);
	suite_add_tcase(suite, tcase);
	return suite;
}
