/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Private memory of a file is discarded by mappings in its place.  A guest that
 * discards in small parts gets a code long before the process has no mapping
 * left, and what takes no more mappings is always done.
 */
#include <vmmem/discard.h>

#include "memory.h"
#include "rng.h"
#include "suite.h"

#define PAGE UINT64_C(4096)

static uint64_t most; /* mappings that the system lets a process have */
static uint64_t pages;
static struct vmmem_region *region;
static uint8_t *host;
static int fd;

static uint64_t
read_most(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
	unsigned long long number = 0;

	if (file == NULL)
		return 0;
	(void)!fscanf(file, "%llu", &number);
	fclose(file);
	return number;
}

const char *
skip_reason(void)
{
	if (memory_skip_reason() != NULL)
		return memory_skip_reason();
	if (page_size() != PAGE)
		return "needs pages of 4 KiB";
	most = read_most();
	/* Where it is larger, as some systems have it, this takes minutes. */
	return most > 1000 && most < 200000 ? NULL :
					      "needs vm.max_map_count below "
					      "200000";
}

static uint64_t
count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	uint64_t count = 0;
	int c;

	ck_assert_ptr_nonnull(file);
	while ((c = getc(file)) != EOF)
		count += c == '\n';
	fclose(file);
	return count;
}

static struct vmmem_region *
private_region(uint64_t len)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *made = NULL;

	vmmem_region_builder_set_range(builder, 0, len);
	vmmem_region_builder_set_file(builder, fd, 0, VMMEM_FILE_PRIVATE);
	assert_ok(vmmem_region_builder_build(builder, &made));
	vmmem_region_builder_free(builder);
	return made;
}

static void
setup(void)
{
	uint64_t i;

	most = read_most();
	pages = most + 1000;
	fd = file_of(pages * PAGE);
	for (i = 0; i < pages; i++)
		ck_assert_int_eq(pwrite(fd, "x", 1, (off_t)(i * PAGE)), 1);
	region = private_region(pages * PAGE);
	host = expect_host(region);
}

static void
teardown(void)
{
	vmmem_region_unref(region);
	close(fd);
}

/* Every other page from 'from' on, until that is refused; how many went. */
static uint64_t
discard_every_other(struct vmmem_region *of, uint64_t from)
{
	uint64_t i, discarded, count = 0;
	int rc = 0;

	for (i = from; i < pages && rc == 0; i += 2) {
		rc = vmmem_region_discard(of, i * PAGE, PAGE, 0, &discarded);
		ck_assert_uint_eq(discarded, rc == 0 ? PAGE : 0);
		count += rc == 0;
	}
	assert_code(rc, VMMEM_ENODISCARD);
	return count;
}

START_TEST(every_other_page)
{
	struct vmmem_region *other = NULL;
	uint64_t count, i, discarded;

	count = discard_every_other(region, 1);
	ck_assert_uint_ge(count, most / 8);
	ck_assert_uint_le(count_mappings(), most / 2 + 500);
	for (i = 0; i < pages; i++)
		ck_assert_uint_eq(host[i * PAGE],
				  i % 2 == 1 && i / 2 < count ? 0 : 'x');
	/* Others are not in want of anything, and nor is a region's end. */
	assert_ok(vmmem_region_new_anonymous(0, PAGE, &other));
	vmmem_region_unref(other);
	/* Again what went already, and what joins its neighbours. */
	assert_ok(vmmem_region_discard(region, PAGE, PAGE, 0, &discarded));
	assert_ok(vmmem_region_discard(region, 2 * PAGE, PAGE, 0, &discarded));
	assert_ok(vmmem_region_discard(region, PAGE, 9 * PAGE, 0, &discarded));
	/* That made room for a few more. */
	ck_assert_uint_gt(discard_every_other(region, 2 * count + 1), 0);
	/* Zeroes at the ends of a range that is refused are not written. */
	assert_code(vmmem_region_discard(region, (pages - 9) * PAGE - 8,
					 2 * PAGE, 0, &discarded),
		    VMMEM_ENODISCARD);
	ck_assert_uint_eq(discarded, 0);
	ck_assert_uint_eq(host[(pages - 9) * PAGE], 'x');
	/* All of it: one mapping, and then there is room again. */
	assert_ok(vmmem_region_discard(region, 0, pages * PAGE, 0,
				       &discarded));
	ck_assert_uint_le(count_mappings(), 500);
	for (i = 0; i < pages; i++)
		ck_assert_uint_eq(host[i * PAGE], 0);
}
END_TEST

/* It is one number for all regions, and goes back with a region. */
START_TEST(two_regions)
{
	struct vmmem_region *two = private_region(pages * PAGE);
	uint64_t count, i;

	for (i = 1; i < most / 8; i += 2)
		assert_ok(vmmem_region_discard(two, i * PAGE, PAGE, 0, NULL));
	count = discard_every_other(region, 1);
	ck_assert_uint_le(count_mappings(), most / 2 + 500);
	vmmem_region_unref(two);
	ck_assert_uint_ge(discard_every_other(region, 2 * count + 3),
			  most / 16);
	ck_assert_uint_le(count_mappings(), most / 2 + 500);
}
END_TEST

/* In sequence, either way, a balloon of any size is one mapping. */
START_TEST(in_sequence)
{
	uint64_t i;

	for (i = 0; i < pages; i++) {
		const uint64_t page = _i == 0 ? i : pages - 1 - i;

		assert_ok(vmmem_region_discard(region, page * PAGE, PAGE, 0,
					       NULL));
	}
	ck_assert_uint_le(count_mappings(), 500);
}
END_TEST

/*
 * One who touches pages in between: then the system does not join mappings that
 * lie side by side, and they are more than there are gaps.
 */
START_TEST(touched_in_between)
{
	uint64_t i, j;

	for (j = 0; j < 4; j++) {
		for (i = j / 2 * pages / 2 + j % 2;
		     i < (j / 2 + 1) * pages / 2; i += 2) {
			int rc = vmmem_region_discard(region, i * PAGE, PAGE,
						      0, NULL);

			ck_assert(rc == 0 || rc == VMMEM_ENODISCARD);
			if (rc == 0)
				host[i * PAGE] = 1;
		}
		ck_assert_uint_le(count_mappings(), most / 2 + 500);
	}
}
END_TEST

START_TEST(at_random)
{
	struct rng rng = { rng_seed() };
	uint8_t *expected = malloc(pages);
	uint64_t rounds = 2 * pages, page, count, i;
	int rc;

	printf("seed %#jx\n", (uintmax_t)rng.state);
	ck_assert_ptr_nonnull(expected);
	memset(expected, 'x', pages);
	while (rounds-- != 0) {
		page = rng_below(&rng, pages);
		count = 1 + rng_below(&rng, 3);
		if (rng_chance(&rng, 1))
			count *= 200;
		if (count > pages - page)
			count = pages - page;
		rc = vmmem_region_discard(region, page * PAGE, count * PAGE,
					  0, NULL);
		ck_assert(rc == 0 || rc == VMMEM_ENODISCARD);
		if (rc == 0)
			memset(expected + page, 0, count);
		page = rng_below(&rng, pages);
		host[page * PAGE] = expected[page] = 3;
		if (rounds % 16384 == 0)
			ck_assert_uint_le(count_mappings(), most / 2 + 500);
	}
	for (i = 0; i < pages; i++)
		if (host[i * PAGE] != expected[i])
			ck_abort_msg("page %ju", (uintmax_t)i);
	free(expected);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("discard_mappings");
	TCase *tcase = tcase_create("discard_mappings");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, every_other_page);
	tcase_add_test(tcase, two_regions);
	tcase_add_loop_test(tcase, in_sequence, 0, 2);
	tcase_add_test(tcase, touched_in_between);
	tcase_add_test(tcase, at_random);
	suite_add_tcase(suite, tcase);
	return suite;
}
