/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Discarding parts of pages: they read as zero afterwards, and where there was
 * no page none is made.
 */
#include <vmmem/discard.h>
#include <vmmem/residency.h>

#include "backings.h"
#include "pool.h"
#include "suite.h"

#define PAGES 16
#define SIZE (PAGES * UINT64_C(4096))

const char *
skip_reason(void)
{
	if (memory_skip_reason() != NULL)
		return memory_skip_reason();
	return page_size() == 4096 ? NULL : "needs pages of 4 KiB";
}

/* Parts of each page: of one, at its ends, and from one into the next. */
static const struct {
	uint64_t at, len;
} parts[] = {
	{ 100, 200 }, { 4096, 1 }, { 3 * 4096 - 1, 1 }, { 4 * 4096 - 7, 14 },
	{ 6 * 4096 + 1, 4095 }, { 8 * 4096, 4095 }, { SIZE - 8, 8 },
};

static void
discard_parts(struct vmmem_region *region, uint32_t flags)
{
	uint64_t discarded = 99;
	size_t i;

	for (i = 0; i < ARRAY_LEN(parts); i++) {
		assert_ok(vmmem_region_discard(region, parts[i].at,
					       parts[i].len, flags,
					       &discarded));
		ck_assert_uint_eq(discarded, 0);
	}
}

static void
expect_parts_zero(const uint8_t *bytes, uint8_t others)
{
	static uint8_t expected[SIZE];
	size_t i;

	memset(expected, others, SIZE);
	for (i = 0; i < ARRAY_LEN(parts); i++)
		memset(expected + parts[i].at, 0, parts[i].len);
	ck_assert(memcmp(bytes, expected, SIZE) == 0);
}

/* Where there is memory without a file's bytes, or a file that has holes. */
static bool
is_empty(enum backing backing)
{
	return backing == ANONYMOUS || backing == MEMFD ||
	       backing == EXTERNAL_PRIVATE;
}

/* Nothing is there, and nothing comes of it. */
START_TEST(nothing_is_made)
{
	enum backing backing = (enum backing)_i;
	struct vmmem_region *region;
	uint64_t offset;
	int fd;

	if (!is_empty(backing))
		return;
	region = region_on(backing, GPA, SIZE);
	discard_parts(region, 0);
	ck_assert_uint_eq(in_core(bytes_of(region), SIZE), 0);
	if (vmmem_region_file(region, &fd, &offset) == 0)
		ck_assert_uint_eq(storage(fd), 0);
	expect_parts_zero(bytes_of(region), 0);
	forget(region);
}
END_TEST

/* A whole page among them is given back, and counted. */
START_TEST(whole_pages_too)
{
	enum backing backing = (enum backing)_i;
	struct vmmem_region *region;
	uint64_t discarded = 99;

	if (!is_empty(backing))
		return;
	region = region_on(backing, GPA, SIZE);
	assert_ok(vmmem_region_discard(region, 100, 2 * 4096, 0, &discarded));
	ck_assert_uint_eq(discarded, 4096);
	ck_assert_uint_eq(in_core(bytes_of(region), SIZE), 0);
	bytes_of(region)[4096] = 5;
	assert_ok(vmmem_region_discard(region, 100, 2 * 4096, 0, &discarded));
	ck_assert_uint_eq(discarded, 4096);
	ck_assert_uint_eq(in_core(bytes_of(region), SIZE), 0);
	forget(region);
}
END_TEST

/* What is there is zeroed, in whatever it is, and the rest stays. */
START_TEST(what_is_there)
{
	enum backing backing = (enum backing)_i;
	struct vmmem_region *region;

	if (backing == CUSTOM || backing == CUSTOM_HOST)
		return;
	region = region_on(backing, GPA, SIZE);
	if (region == NULL)
		return;
	memset(bytes_of(region), 7, SIZE);
	discard_parts(region, VMMEM_DISCARD_WHOLE_PAGES);
	ck_assert(all_are(bytes_of(region), 7, SIZE));
	discard_parts(region, 0);
	expect_parts_zero(bytes_of(region), 7);
	forget(region);
}
END_TEST

/* Private pages of a file that were never touched: its bytes show no more. */
START_TEST(bytes_of_the_file)
{
	enum backing backing = _i == 0 ? PRIVATE_MEMFD : PRIVATE_DISK;
	struct vmmem_region *region = region_on(backing, GPA, SIZE);
	uint64_t offset;
	uint8_t byte;
	int fd;

	if (region == NULL)
		return;
	discard_parts(region, 0);
	expect_parts_zero(bytes_of(region), BELOW);
	/* Those in the file are as they were. */
	assert_ok(vmmem_region_file(region, &fd, &offset));
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset + 100), 1);
	ck_assert_uint_eq(byte, BELOW);
	forget(region);
}
END_TEST

/* How many bytes of private memory the process has. */
static uint64_t
anonymous_bytes(const void *host, uint64_t len)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long first, end, kib;
	bool within = false;
	uint64_t sum = 0;
	char line[512];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			within = first < (uintptr_t)host + len &&
				 end > (uintptr_t)host;
		else if (within && sscanf(line, "Anonymous: %lu kB", &kib) == 1)
			sum += kib * 1024;
	}
	fclose(file);
	return sum;
}

/* A file with holes, and pages that took the place of a file's. */
START_TEST(holes_of_the_file)
{
	struct vmmem_region *region = NULL;
	int fd = _i == 0 ? file_of(SIZE) : disk_file(SIZE);
	uint64_t offset;

	if (fd < 0)
		return;
	vmmem_region_builder_set_range(builder, GPA, SIZE);
	vmmem_region_builder_set_file(builder, fd, 0, VMMEM_FILE_PRIVATE);
	assert_ok(vmmem_region_builder_build(builder, &region));
	discard_parts(region, 0);
	ck_assert_uint_eq(anonymous_bytes(bytes_of(region), SIZE), 0);
	ck_assert_uint_eq(storage(fd), 0);
	/* Nor are there any in memory, of the file's own. */
	ck_assert_uint_eq(in_core(bytes_of(region), SIZE), 0);
	expect_parts_zero(bytes_of(region), 0);
	vmmem_region_unref(region);

	fill_file(fd, SIZE);
	assert_ok(vmmem_region_builder_build(builder, &region));
	assert_ok(vmmem_region_discard(region, 0, SIZE, 0, NULL));
	discard_parts(region, 0);
	ck_assert_uint_eq(anonymous_bytes(bytes_of(region), SIZE), 0);
	ck_assert(all_are(bytes_of(region), 0, SIZE));
	memset(bytes_of(region), 7, SIZE);
	discard_parts(region, 0);
	expect_parts_zero(bytes_of(region), 7);
	assert_ok(vmmem_region_file(region, &fd, &offset));
	vmmem_region_unref(region);
}
END_TEST

/* No hole can be made, but none is needed. */
START_TEST(sealed_against_writing)
{
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, GPA, SIZE);
	vmmem_region_builder_set_memfd(builder);
	vmmem_policy_set_seals(policy, VMMEM_SEAL_FUTURE_WRITE);
	region = build();
	memset(bytes_of(region), 7, SIZE);
	discard_parts(region, 0);
	expect_parts_zero(bytes_of(region), 7);
	vmmem_region_unref(region);
}
END_TEST

/* Pages of the pool: 2 MiB each, if there are any. */
#define HUGE (2 * MIB)

static struct vmmem_region *
huge_region(int shared)
{
	struct vmmem_region *region = NULL;

	vmmem_region_builder_set_range(builder, 0, 4 * HUGE);
	vmmem_region_builder_set_huge_page_size(builder, HUGE);
	if (shared)
		vmmem_region_builder_set_memfd(builder);
	return vmmem_region_builder_build(builder, &region) == 0 ? region :
								   NULL;
}

START_TEST(huge_pages)
{
	struct vmmem_region *region = huge_region(_i);
	unsigned long before;
	uint64_t at, offset;
	uint8_t *host;
	int fd;

	/* "Skipped" is for whole programs. */
	if (region == NULL)
		return;
	host = bytes_of(region);
	before = pool_free(HUGE);
	for (at = 0; at < 4 * HUGE; at += HUGE) {
		assert_ok(vmmem_region_discard(region, at + 100, 200, 0,
					       NULL));
		assert_ok(vmmem_region_discard(region, at + 4096, 65536, 0,
					       NULL));
	}
	ck_assert_uint_eq(pool_free(HUGE), before);
	memset(host + HUGE, 7, HUGE);
	ck_assert_uint_eq(pool_free(HUGE), before - 1);
	assert_ok(vmmem_region_discard(region, HUGE + 4000, 200, 0, NULL));
	ck_assert(all_are(host + HUGE, 7, 4000));
	ck_assert(all_are(host + HUGE + 4000, 0, 200));
	ck_assert(all_are(host + HUGE + 4200, 7, HUGE - 4200));
	/* One that only another mapping of the file has touched. */
	if (vmmem_region_file(region, &fd, &offset) == 0) {
		uint8_t *other = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
				      MAP_SHARED, fd, (off_t)(2 * HUGE));

		ck_assert_ptr_ne(other, MAP_FAILED);
		memset(other, 9, HUGE);
		assert_ok(vmmem_region_discard(region, 2 * HUGE + 8, 16, 0,
					       NULL));
		ck_assert(all_are(other, 9, 8));
		ck_assert(all_are(other + 8, 0, 16));
		ck_assert(all_are(other + 24, 9, 4096));
		munmap(other, HUGE);
	}
	vmmem_region_unref(region);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("discard_parts");
	TCase *tcase = tcase_create("discard_parts");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, nothing_is_made, 0, BACKINGS);
	tcase_add_loop_test(tcase, whole_pages_too, 0, BACKINGS);
	tcase_add_loop_test(tcase, what_is_there, 0, BACKINGS);
	tcase_add_loop_test(tcase, bytes_of_the_file, 0, 2);
	tcase_add_loop_test(tcase, holes_of_the_file, 0, 2);
	tcase_add_test(tcase, sealed_against_writing);
	tcase_add_loop_test(tcase, huge_pages, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
