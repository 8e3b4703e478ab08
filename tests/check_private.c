/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The guest_memfd of a region, and which of its pages are private. */
#include "gmem.h"
#include "suite.h"
#include "vm.h"

#define PAGES 200 /* more than three words of bits */
#define GPA UINT64_C(0x40000000)

static uint64_t page, len;
static int fd;
static struct vmmem_region *region;

const char *
skip_reason(void)
{
	return gmem_missing();
}

static void
setup(void)
{
	page = page_size();
	len = PAGES * page;
	fd = gmem_new(len + page);
	region = gmem_region(GPA, len, fd, page);
}

static void
teardown(void)
{
	region = vmmem_region_unref(region);
	close(fd);
}

static void
expect_next(uint64_t offset, uint64_t bytes, uint64_t first, uint64_t found)
{
	uint64_t at = 99, count = 99;

	assert_ok(vmmem_region_next_private(region, offset, bytes, &at,
					    &count));
	ck_assert_uint_eq(at, first);
	ck_assert_uint_eq(count, found);
}

START_TEST(begins_private)
{
	ck_assert_int_eq(vmmem_region_is_private(region, 0, 1), 1);
	ck_assert_int_eq(vmmem_region_is_private(region, len - 1, 1), 1);
	expect_next(0, len, 0, len);
	expect_next(5, len - 7, 5, len - 7);
	/* No bytes are nothing, wherever. */
	expect_next(len + 5, 0, len + 5, 0);
	ck_assert_int_eq(vmmem_region_is_private(region, 0, 0), 0);
	ck_assert_int_eq(vmmem_region_is_private(region, len, 1), 0);
	ck_assert_int_eq(vmmem_region_is_private(region, 1, len), 0);
	ck_assert_int_eq(vmmem_region_is_private(NULL, 0, 1), 0);
}
END_TEST

START_TEST(begins_shared)
{
	struct vmmem_region_builder *builder = gmem_builder(GPA, len, fd, 0);
	struct vmmem_region *shared = NULL;

	vmmem_region_builder_set_private(builder, 0);
	assert_ok(vmmem_region_builder_build(builder, &shared));
	ck_assert_int_eq(vmmem_region_is_private(shared, 0, len), 0);
	shared = vmmem_region_unref(shared);
	vmmem_region_builder_set_private(builder, 1);
	assert_ok(vmmem_region_builder_build(builder, &shared));
	ck_assert_int_eq(vmmem_region_is_private(shared, 0, 1), 1);
	vmmem_region_unref(shared);
	vmmem_region_builder_free(builder);
}
END_TEST

/* Each page by itself, and runs of each length, against a plain array. */
START_TEST(state_is_of_pages)
{
	uint8_t is[PAGES];
	uint64_t i, from, count, at, found, end;

	memset(is, 1, sizeof(is));
	srand(7);
	for (i = 0; i < 400; i++) {
		from = (uint64_t)rand() % PAGES;
		count = (uint64_t)rand() % (PAGES - from) + 1;
		assert_ok(vmmem_region_set_private(region, from * page,
						   count * page,
						   (int)(i % 2)));
		memset(&is[from], (int)(i % 2), count);
		for (at = 0; at < PAGES; at++)
			ck_assert_int_eq(vmmem_region_is_private(
						 region, at * page + at, 1),
					 is[at]);
		from = (uint64_t)rand() % PAGES;
		for (at = from; at < PAGES && is[at] == 0; at++)
			continue;
		for (end = at; end < PAGES && is[end] == 1; end++)
			continue;
		assert_ok(vmmem_region_next_private(region, from * page,
						    len - from * page, &at,
						    &found));
		ck_assert_uint_eq(found % page, 0);
		ck_assert_uint_eq(at + found, end * page);
	}
}
END_TEST

START_TEST(setting_is_of_whole_pages)
{
	assert_ok(vmmem_region_set_private(region, 3, 0, 0));
	assert_code(vmmem_region_set_private(region, 1, page, 0),
		    VMMEM_EMISALIGNED);
	assert_code(vmmem_region_set_private(region, 0, page + 1, 0),
		    VMMEM_EMISALIGNED);
	assert_code(vmmem_region_set_private(region, len, page, 0),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_set_private(region, page, len, 0),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_set_private(NULL, 0, page, 0),
		    VMMEM_EARGUMENT);
	expect_next(0, len, 0, len);
}
END_TEST

START_TEST(queries_refuse)
{
	uint64_t at = 99, found = 99;
	int theirs = 99;

	assert_code(vmmem_region_next_private(NULL, 0, 1, &at, &found),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_next_private(region, 0, 1, NULL, &found),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_next_private(region, 0, 1, &at, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_next_private(region, 1, len, &at, &found),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_next_private(region, len, 1, &at, &found),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_guest_memfd(NULL, &theirs, &at),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_guest_memfd(region, NULL, &at),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_guest_memfd(region, &theirs, NULL),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(at, 99);
	ck_assert_uint_eq(found, 99);
	ck_assert_int_eq(theirs, 99);
}
END_TEST

/* What has no guest_memfd is all shared, and can be nothing else. */
START_TEST(others_have_none)
{
	struct vmmem_region *plain = region_of(0, len);
	uint64_t at, found;
	int theirs;

	assert_code(vmmem_region_guest_memfd(plain, &theirs, &at),
		    VMMEM_ENOFILE);
	assert_code(vmmem_region_set_private(plain, 0, page, 1),
		    VMMEM_ENOFILE);
	ck_assert_int_eq(vmmem_region_is_private(plain, 0, len), 0);
	assert_ok(vmmem_region_next_private(plain, 0, len, &at, &found));
	ck_assert_uint_eq(at, len);
	ck_assert_uint_eq(found, 0);
	vmmem_region_unref(plain);
}
END_TEST

/* Regions of one file share a descriptor, which is not the caller's. */
START_TEST(descriptor_is_kept)
{
	struct vmmem_region *other = gmem_region(GPA, page, fd, 0);
	int mine = -1, theirs = -1, same = 0;
	size_t open_now = open_files();
	uint64_t at;

	assert_ok(vmmem_region_guest_memfd(region, &mine, &at));
	ck_assert_uint_eq(at, page);
	assert_ok(vmmem_region_guest_memfd(other, &theirs, &at));
	ck_assert_uint_eq(at, 0);
	if (gmem_is_told_apart(fd))
		ck_assert_int_eq(mine, theirs);
	ck_assert_int_ne(mine, fd);
	ck_assert_int_ne(fcntl(mine, F_GETFD) & FD_CLOEXEC, 0);
	assert_ok(vmmem_fd_same_file(mine, fd, &same));
	if (gmem_is_told_apart(fd))
		ck_assert_int_eq(same, 1);
	/* The kind, and the file, are those of the shared side. */
	ck_assert_uint_eq(vmmem_region_kind(region), VMMEM_REGION_MEMFD);
	assert_ok(vmmem_region_file(region, &theirs, &at));
	ck_assert_int_ne(mine, theirs);
	vmmem_region_unref(other);
	/* Its memfd; and its own descriptor where it has one. */
	ck_assert_uint_eq(open_files(),
			  open_now - (gmem_is_told_apart(fd) ? 1 : 2));
}
END_TEST

START_TEST(alias_sees_the_same)
{
	struct vmmem_region *alias = NULL;
	uint64_t at, found;
	int mine, theirs;

	assert_ok(vmmem_region_new_alias(0, 4 * page, region, 10 * page,
					 &alias));
	ck_assert_int_eq(vmmem_region_is_private(alias, 0, 1), 1);
	assert_ok(vmmem_region_set_private(region, 11 * page, page, 0));
	assert_ok(vmmem_region_next_private(alias, page, 3 * page, &at,
					    &found));
	ck_assert_uint_eq(at, 2 * page);
	ck_assert_uint_eq(found, 2 * page);
	assert_ok(vmmem_region_set_private(alias, 0, page, 0));
	expect_next(9 * page, len - 9 * page, 9 * page, page);
	expect_next(10 * page, len - 10 * page, 12 * page, len - 12 * page);
	assert_ok(vmmem_region_guest_memfd(alias, &theirs, &at));
	ck_assert_uint_eq(at, 11 * page);
	assert_ok(vmmem_region_guest_memfd(region, &mine, &at));
	ck_assert_int_eq(mine, theirs);
	vmmem_region_unref(alias);

	/* Its pages are those of the target. */
	assert_ok(vmmem_region_new_alias(16, 4 * page, region, page + 16,
					 &alias));
	assert_code(vmmem_region_set_private(alias, 0, page, 0),
		    VMMEM_EMISALIGNED);
	assert_ok(vmmem_region_set_private(alias, page - 16, page, 0));
	expect_next(page, 3 * page, page, page);
	vmmem_region_unref(alias);
}
END_TEST

static void
refused(struct vmmem_region_builder *builder, int code)
{
	struct vmmem_region *none = NO_REGION;
	size_t open_now = open_files();

	assert_code(vmmem_region_builder_build(builder, &none), code);
	ck_assert_ptr_eq(none, NO_REGION);
	ck_assert_uint_eq(open_files(), open_now);
	ck_assert_str_ne(vmmem_region_builder_why(builder), "");
	vmmem_region_builder_free(builder);
}

static int
no_read(void *opaque, uint64_t offset, void *buf, size_t bytes,
	const struct vmmem_access_info *info)
{
	(void)opaque;
	(void)offset;
	(void)info;
	memset(buf, 0, bytes);
	return 0;
}

/* Each of several ranges has its own place in one guest_memfd. */
START_TEST(ranges)
{
	const struct vmmem_range two[] = { { GPA, page },
					   { GPA + 4 * page, 2 * page } };
	struct vmmem_region_builder *like = gmem_builder(0, 1, fd, 2 * page);
	struct vmmem_collection *map = NULL;
	uint64_t at = 99;
	int own;

	assert_ok(vmmem_collection_new_ranges(two, 2, like, &map));
	assert_ok(vmmem_region_guest_memfd(vmmem_collection_region(map, 0),
					   &own, &at));
	ck_assert_uint_eq(at, 2 * page);
	assert_ok(vmmem_region_guest_memfd(vmmem_collection_region(map, 1),
					   &own, &at));
	ck_assert_uint_eq(at, 6 * page);
	map = vmmem_collection_unref(map);
	vmmem_region_builder_set_guest_memfd(like, fd, len - 4 * page);
	assert_code(vmmem_collection_new_ranges(two, 2, like, &map),
		    VMMEM_EPASTEOF);
	vmmem_region_builder_free(like);
}
END_TEST

START_TEST(building_refuses)
{
	const struct vmmem_region_ops ops = { .size = sizeof(ops),
					      .read = no_read };
	struct vmmem_region_builder *builder;
	int plain = file_of(len);

	refused(gmem_builder(GPA, len, plain, 0), VMMEM_EFILETYPE);
	refused(gmem_builder(GPA, len, fd, 2 * page), VMMEM_EPASTEOF);
	refused(gmem_builder(GPA, len, fd, TOP - page + 1), VMMEM_EWRAPS);
	refused(gmem_builder(GPA, len, fd, 16), VMMEM_EFILEOFFSET);
	refused(gmem_builder(GPA + 16, page, fd, 0), VMMEM_EMISALIGNED);
	refused(gmem_builder(GPA, page + 16, fd, 0), VMMEM_EMISALIGNED);
	refused(gmem_builder(GPA, len, 12345, 0), -EBADF);
	builder = gmem_builder(GPA, page, fd, 0);
	vmmem_region_builder_set_alias(builder, region, 0);
	vmmem_region_builder_set_tracking(builder, 0);
	refused(builder, VMMEM_EARGUMENT);
	builder = gmem_builder(GPA, len, fd, 0);
	vmmem_region_builder_set_custom(builder, &ops, NULL);
	refused(builder, VMMEM_EARGUMENT);
	if (gmem_is_told_apart(fd)) {
		builder = gmem_builder(GPA, page, fd, page);
		vmmem_region_builder_set_file(builder, fd, 0, 0);
		refused(builder, VMMEM_EARGUMENT);
	}
	/* None at all is none. */
	builder = gmem_builder(GPA, page, -1, 16);
	region = vmmem_region_unref(region);
	assert_ok(vmmem_region_builder_build(builder, &region));
	ck_assert_int_eq(vmmem_region_is_private(region, 0, 1), 0);
	vmmem_region_builder_free(builder);
	close(plain);
}
END_TEST

/* The real thing. */
/* All pairs of an offset and a length at which sums go wrong, by a model. */
START_TEST(by_numbers)
{
	const uint64_t numbers[] = {
		0,
		1,
		page - 1,
		page,
		page + 1,
		63 * page,
		64 * page,
		128 * page,
		len - page,
		len - 1,
		len,
		len + 1,
		UINT64_C(1) << 32,
		(UINT64_C(1) << 32) + page,
		UINT64_C(1) << 63,
		TOP - page + 1,
		TOP - len + 1,
		TOP - 1,
		TOP,
	};
	const size_t count = ARRAY_LEN(numbers);
	const uint64_t from = 60 * page, to = 70 * page;
	uint64_t offset, bytes, first, end, at, found;
	bool inside, crosses;
	size_t i, j, k;
	int want;

	for (i = 0; i < count * count; i++) {
		offset = numbers[i / count];
		bytes = numbers[i % count];
		inside = offset < len && bytes <= len - offset;
		assert_ok(vmmem_region_set_private(region, 0, len, 0));
		assert_ok(vmmem_region_set_private(region, from, to - from, 1));

		/* [60, 70) are private, and nothing else. */
		crosses = inside && bytes != 0 && offset < to &&
			  offset + bytes > from;
		ck_assert_int_eq(vmmem_region_is_private(region, offset, bytes),
				 crosses);
		at = found = 99;
		assert_code(vmmem_region_next_private(region, offset, bytes,
						      &at, &found),
			    inside || bytes == 0 ? 0 : VMMEM_EOUTOFRANGE);
		first = !inside && bytes != 0 ? 99 :
			!crosses	      ? offset + bytes :
			offset < from	      ? from :
						offset;
		end = offset + bytes < to ? offset + bytes : to;
		ck_assert_uint_eq(at, first);
		ck_assert_uint_eq(found, !inside && bytes != 0 ? 99 :
					 crosses ? end - first :
						   0);

		for (k = 0; k < 2; k++) {
			want = bytes == 0 ? 0 :
			       !inside	  ? VMMEM_EOUTOFRANGE :
			       (offset | bytes) % page != 0 ?
					    VMMEM_EMISALIGNED :
					    0;
			assert_code(vmmem_region_set_private(region, offset,
							     bytes, k == 0),
				    want);
			/* Each page is what was said of it last. */
			for (j = 0; j < PAGES; j++) {
				bool hit = want == 0 && bytes != 0 &&
					   j * page >= offset &&
					   j * page - offset < bytes;

				ck_assert_int_eq(
					vmmem_region_is_private(
						region, j * page, page),
					hit ? k == 0 :
					      j * page >= from && j * page < to);
			}
		}
	}
}
END_TEST

START_TEST(of_kvm)
{
	uint64_t at = 0;
	struct vm vm;
	int real, mine = -1;
	uint8_t byte = 0xee;

	if (vm_missing() != NULL) {
		printf("skipped: %s\n", vm_missing());
		return;
	}
	vm_open(&vm);
	real = vm_guest_memfd(vm.fd, len, 0);
	if (real < 0) {
		printf("skipped: KVM makes no guest_memfd: %s\n",
		       strerror(errno));
	} else {
		region = vmmem_region_unref(region);
		region = gmem_region(GPA, len, real, 0);
		assert_ok(vmmem_region_guest_memfd(region, &mine, &at));
		ck_assert_int_ne(mine, real);
		assert_code(vmmem_region_read(region, 0, &byte, 1, NULL),
			    VMMEM_EPRIVATE);
		ck_assert_uint_eq(byte, 0xee);
		refused(gmem_builder(GPA, len, real, page), VMMEM_EPASTEOF);
		close(real);
	}
	vm_close(&vm);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("private");
	TCase *tcase = tcase_create("state");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, begins_private);
	tcase_add_test(tcase, begins_shared);
	tcase_add_test(tcase, state_is_of_pages);
	tcase_add_test(tcase, setting_is_of_whole_pages);
	tcase_add_test(tcase, queries_refuse);
	tcase_add_test(tcase, others_have_none);
	tcase_add_test(tcase, descriptor_is_kept);
	tcase_add_test(tcase, alias_sees_the_same);
	tcase_add_test(tcase, ranges);
	tcase_add_test(tcase, building_refuses);
	tcase_add_test(tcase, by_numbers);
	tcase_add_test(tcase, of_kvm);
	suite_add_tcase(suite, tcase);
	return suite;
}
