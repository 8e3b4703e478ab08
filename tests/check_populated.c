/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Which memory there is, on each backing; and looking makes none. */
#include <vmmem/collection.h>
#include <vmmem/discard.h>
#include <vmmem/residency.h>

#include "backings.h"
#include "suite.h"

#define PAGES 64
#define PAGE UINT64_C(4096)
#define SIZE (PAGES * PAGE)

/* A character for each page: whether it is there. */
static char found[PAGES + 1];

const char *
skip_reason(void)
{
	if (memory_skip_reason() != NULL)
		return memory_skip_reason();
	return page_size() == PAGE ? NULL : "needs pages of 4 KiB";
}

/* Walks over [offset, offset + len), which are whole pages of the region. */
static const char *
walk(struct vmmem_region *region, uint64_t offset, uint64_t len)
{
	uint64_t at = offset, start, part, i;
	const uint64_t end = offset + len;

	memset(found, '.', PAGES);
	found[len / PAGE] = '\0';
	for (;;) {
		assert_ok(vmmem_region_next_populated(region, at, end - at,
						      &start, &part));
		ck_assert_uint_ge(start, at);
		ck_assert_uint_le(part, end - start);
		if (part == 0)
			break;
		ck_assert_uint_eq(start % PAGE, 0);
		ck_assert_uint_eq(part % PAGE, 0);
		for (i = start; i < start + part; i += PAGE)
			found[(i - offset) / PAGE] = 'x';
		at = start + part;
	}
	ck_assert_uint_eq(start, end);
	return found;
}

#define assert_walk(region, text)                                          \
	do {                                                               \
		char wanted[PAGES + 1];                                    \
									   \
		memset(wanted, '.', PAGES);                                \
		wanted[PAGES] = '\0';                                      \
		memcpy(wanted, text, strlen(text));                        \
		ck_assert_str_eq(walk(region, 0, SIZE), wanted);           \
	} while (0)

static void
touch(struct vmmem_region *region, const char *where, uint8_t value)
{
	size_t i;

	for (i = 0; where[i] != '\0'; i++) {
		if (where[i] == 'x')
			bytes_of(region)[i * PAGE + 77] = value;
	}
}

static bool
is_told(enum backing backing)
{
	return backing == ANONYMOUS || backing == MEMFD ||
	       backing == EXTERNAL_PRIVATE;
}

START_TEST(backings)
{
	enum backing backing = (enum backing)_i;
	struct vmmem_region *region = region_on(backing, GPA, SIZE);
	uint64_t offset;
	volatile uint8_t byte;
	int fd;

	if (region == NULL)
		return;
	if (!is_told(backing)) {
		/* Full, or nobody can tell. */
		ck_assert_ptr_null(strchr(walk(region, 0, SIZE), '.'));
		forget(region);
		return;
	}
	assert_walk(region, "");
	touch(region, "x.xx...x", 1);
	assert_walk(region, "x.xx...x");
	/* To look at other pages of private memory is to make none. */
	if (backing != MEMFD) {
		byte = bytes_of(region)[20 * PAGE];
		ck_assert_uint_eq(byte, 0);
	}
	assert_walk(region, "x.xx...x");
	ck_assert_uint_le(in_core(bytes_of(region), SIZE), 5 * PAGE);
	/* A shared file has pages whoever made them. */
	if (vmmem_region_file(region, &fd, &offset) == 0) {
		ck_assert_int_eq(pwrite(fd, "y", 1,
					(off_t)(offset + 5 * PAGE)), 1);
		ck_assert_int_eq(lseek(fd, 3, SEEK_SET), 3);
		assert_walk(region, "x.xx.x.x");
		ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 3);
		ck_assert_uint_eq(storage(fd), 5 * PAGE);
	}
	assert_ok(vmmem_region_discard(region, PAGE, 5 * PAGE, 0, NULL));
	assert_walk(region, "x......x");
	assert_ok(vmmem_region_discard(region, 0, SIZE, 0, NULL));
	assert_walk(region, "");
	forget(region);
}
END_TEST

/* The end of a walk, and parts of pages. */
START_TEST(bounds)
{
	struct vmmem_region *region, *alias = NULL;
	uint64_t start = 7, len = 7;

	region = region_on(_i == 0 ? ANONYMOUS : MEMFD, GPA, SIZE);
	touch(region, "..xx", 1);
	assert_ok(vmmem_region_next_populated(region, 5, 0, &start, &len));
	ck_assert_uint_eq(start, 5);
	ck_assert_uint_eq(len, 0);
	assert_ok(vmmem_region_next_populated(region, 5, 2 * PAGE - 5, &start,
					      &len));
	ck_assert_uint_eq(start, 2 * PAGE);
	ck_assert_uint_eq(len, 0);
	assert_ok(vmmem_region_next_populated(region, 5, 2 * PAGE - 4, &start,
					      &len));
	ck_assert_uint_eq(start, 2 * PAGE);
	ck_assert_uint_eq(len, 1);
	assert_ok(vmmem_region_next_populated(region, 3 * PAGE + 9, 30, &start,
					      &len));
	ck_assert_uint_eq(start, 3 * PAGE + 9);
	ck_assert_uint_eq(len, 30);
	assert_ok(vmmem_region_next_populated(region, 4 * PAGE - 1, SIZE / 2,
					      &start, &len));
	ck_assert_uint_eq(start, 4 * PAGE - 1);
	ck_assert_uint_eq(len, 1);
	assert_ok(vmmem_region_new_alias(16, SIZE - 2 * PAGE - 16, region,
					 2 * PAGE + 16, &alias));
	assert_ok(vmmem_region_next_populated(alias, 0, PAGE, &start, &len));
	ck_assert_uint_eq(start, 0);
	ck_assert_uint_eq(len, PAGE);
	assert_ok(vmmem_region_next_populated(alias, PAGE - 16, SIZE / 2,
					      &start, &len));
	ck_assert_uint_eq(start, PAGE - 16);
	ck_assert_uint_eq(len, PAGE);
	assert_ok(vmmem_region_next_populated(alias, 2 * PAGE - 16, SIZE / 2,
					      &start, &len));
	ck_assert_uint_eq(len, 0);

	start = len = 7;
	assert_code(vmmem_region_next_populated(NULL, 0, 1, &start, &len),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_next_populated(region, 0, 1, NULL, &len),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_next_populated(region, 0, 1, &start, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_next_populated(region, 0, SIZE + 1, &start,
						&len), VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_next_populated(region, SIZE, 1, &start, &len),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_next_populated(region, 1, TOP, &start, &len),
		    VMMEM_EOUTOFRANGE);
	assert_ok(vmmem_region_next_populated(region, TOP, 0, &start, &len));
	vmmem_region_unref(alias);
	vmmem_region_unref(region);
}
END_TEST

/* A region that begins within a page. */
START_TEST(shifted)
{
	struct vmmem_region *region = NULL;
	uint64_t start, len;

	vmmem_region_builder_set_range(builder, 8, SIZE);
	if (_i == 1)
		vmmem_region_builder_set_memfd(builder);
	assert_ok(vmmem_region_builder_build(builder, &region));
	expect_host(region)[PAGE - 9] = 1; /* the last byte of page 0 */
	expect_host(region)[PAGE * 2] = 1;
	assert_ok(vmmem_region_next_populated(region, 0, SIZE, &start, &len));
	ck_assert_uint_eq(start, 0);
	ck_assert_uint_eq(len, PAGE - 8);
	assert_ok(vmmem_region_next_populated(region, PAGE - 8,
					      SIZE - PAGE + 8, &start, &len));
	ck_assert_uint_eq(start, 2 * PAGE - 8);
	ck_assert_uint_eq(len, PAGE);
	vmmem_region_unref(region);
}
END_TEST

/* Private memory of a file: its data, copies, and what took its place. */
START_TEST(private_files)
{
	struct vmmem_region *region = NULL;
	int fd = _i == 0 ? file_of(SIZE + PAGE) : disk_file(SIZE + PAGE);

	if (fd < 0)
		return;
	vmmem_region_builder_set_range(builder, GPA, SIZE);
	vmmem_region_builder_set_file(builder, fd, PAGE, VMMEM_FILE_PRIVATE);
	assert_ok(vmmem_region_builder_build(builder, &region));
	assert_walk(region, "");
	ck_assert_int_eq(pwrite(fd, "y", 1, 3 * (off_t)PAGE), 1);
	ck_assert_int_eq(pwrite(fd, "y", 1, 4 * (off_t)PAGE), 1);
	assert_walk(region, "..xx");
	touch(region, "x..x.x", 1);
	assert_walk(region, "x.xx.x");
	/* Replaced pages are no file's, whatever it has there. */
	assert_ok(vmmem_region_discard(region, 0, 4 * PAGE, 0, NULL));
	assert_walk(region, ".....x");
	touch(region, ".x", 1);
	assert_walk(region, ".x...x");
	ck_assert_int_eq(pwrite(fd, "y", 1, 2 * (off_t)PAGE), 1);
	ck_assert_int_eq(pwrite(fd, "y", 1, 6 * (off_t)PAGE), 1);
	ck_assert_int_eq(pwrite(fd, "y", 1, 11 * (off_t)PAGE), 1);
	assert_walk(region, ".x...x....x");
	assert_ok(vmmem_region_discard(region, 10 * PAGE, PAGE, 0, NULL));
	assert_walk(region, ".x...x");
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

/* Memory that is locked as it comes does not mean that nobody can tell. */
START_TEST(locked)
{
	struct vmmem_region *region = region_on(ANONYMOUS, GPA, SIZE);
	int rc = mlockall(MCL_FUTURE);

	touch(region, ".x..x", 1);
	assert_walk(region, ".x..x");
	if (rc == 0)
		ck_assert_int_eq(munlockall(), 0);
	assert_walk(region, ".x..x");
	vmmem_region_unref(region);
}
END_TEST

/* Of a file that another one may not open it is asked by its descriptor. */
START_TEST(foreign_permissions)
{
	struct vmmem_region *region = region_on(MEMFD, GPA, SIZE);
	uint64_t offset;
	int fd;

	assert_ok(vmmem_region_file(region, &fd, &offset));
	touch(region, ".x", 1);
	ck_assert_int_eq(fchmod(fd, 0), 0);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(lseek(fd, 5, SEEK_SET), 5);
	assert_walk(region, ".x");
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 5);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	vmmem_region_unref(region);
}
END_TEST

/* By guest address, over what is no region. */
START_TEST(collections)
{
	struct vmmem_region *regions[] = {
		region_of(0x10000, 4 * PAGE),
		region_of(0x20000, 2 * PAGE),
		region_of(0x20000 + 2 * PAGE, 2 * PAGE),
		region_of(TOP - 2 * PAGE + 1, 2 * PAGE),
	};
	struct vmmem_collection *guest, *none;
	uint64_t gpa = 7, len = 7;

	expect_host(regions[0])[PAGE] = 1;
	expect_host(regions[1])[PAGE] = 1;
	expect_host(regions[2])[0] = 1;
	expect_host(regions[3])[2 * PAGE - 1] = 1;
	guest = guest_of(regions, ARRAY_LEN(regions));
#define NEXT(from, length, want, want_len)                                 \
	do {                                                               \
		assert_ok(vmmem_collection_next_populated(                 \
			guest, from, length, &gpa, &len));                 \
		ck_assert_uint_eq(gpa, want);                              \
		ck_assert_uint_eq(len, want_len);                          \
	} while (0)
	NEXT(0, TOP, 0x11000, PAGE);
	NEXT(0x11000, 5, 0x11000, 5);
	NEXT(0x12000, TOP - 0x12000, 0x21000, PAGE);
	NEXT(0x22000, TOP - 0x22000, 0x22000, PAGE);
	/* The last byte of all is not within the first of these. */
	NEXT(0x23000, TOP - 0x23000, TOP - PAGE + 1, PAGE - 1);
	NEXT(TOP, 1, TOP, 1);
	NEXT(0x23000, 0x100000, 0x123000, 0);
	NEXT(0x13fff, 0xc001, 0x20000, 0);
	NEXT(0x666000, 0, 0x666000, 0);
	NEXT(TOP - 2 * PAGE + 1, PAGE, TOP - PAGE + 1, 0);
	assert_code(vmmem_collection_next_populated(guest, TOP, 2, &gpa, &len),
		    VMMEM_EWRAPS);
	assert_code(vmmem_collection_next_populated(NULL, 0, 1, &gpa, &len),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_next_populated(guest, 0, 1, NULL, &len),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_next_populated(guest, 0, 1, &gpa, NULL),
		    VMMEM_EARGUMENT);
	vmmem_collection_unref(guest);
	assert_ok(vmmem_collection_new_empty(&none));
	guest = none;
	NEXT(5, 10, 15, 0);
	vmmem_collection_unref(none);
}
END_TEST

/* Pages of the pool, if there are any: 2 MiB each. */
START_TEST(huge_pages)
{
	const uint64_t huge = 2 * MIB;
	struct vmmem_region *region = NULL;
	uint64_t start, len, offset;
	uint8_t *host, *other;
	int fd;

	vmmem_region_builder_set_range(builder, 0, 8 * huge);
	vmmem_region_builder_set_huge_page_size(builder, huge);
	if (_i == 1)
		vmmem_region_builder_set_memfd(builder);
	if (vmmem_region_builder_build(builder, &region) != 0)
		return;
	host = expect_host(region);
	assert_ok(vmmem_region_next_populated(region, 0, 8 * huge, &start,
					      &len));
	ck_assert_uint_eq(len, 0);
	host[3 * huge + 5] = 1;
	assert_ok(vmmem_region_next_populated(region, 100, 7 * huge, &start,
					      &len));
	ck_assert_uint_eq(start, 3 * huge);
	ck_assert_uint_eq(len, huge);
	if (vmmem_region_file(region, &fd, &offset) == 0) {
		/* One that only another mapping has: with a byte, and zero. */
		other = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE,
			     MAP_SHARED, fd, (off_t)huge);
		ck_assert_ptr_ne(other, MAP_FAILED);
		other[huge - 1] = 1;
		other[huge] = 0;
		assert_ok(vmmem_region_next_populated(region, 0, 8 * huge,
						      &start, &len));
		ck_assert_uint_eq(start, huge);
		ck_assert_uint_eq(len, huge);
		assert_ok(vmmem_region_next_populated(region, 2 * huge,
						      6 * huge, &start, &len));
		ck_assert_uint_eq(start, 3 * huge);
		munmap(other, 2 * huge);
	}
	assert_ok(vmmem_region_next_populated(region, 4 * huge, 4 * huge,
					      &start, &len));
	ck_assert_uint_eq(len, 0);
	vmmem_region_unref(region);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("populated");
	TCase *tcase = tcase_create("populated");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, backings, 0, BACKINGS);
	tcase_add_loop_test(tcase, bounds, 0, 2);
	tcase_add_loop_test(tcase, shifted, 0, 2);
	tcase_add_loop_test(tcase, private_files, 0, 2);
	tcase_add_test(tcase, locked);
	tcase_add_test(tcase, foreign_permissions);
	tcase_add_test(tcase, collections);
	tcase_add_loop_test(tcase, huge_pages, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
