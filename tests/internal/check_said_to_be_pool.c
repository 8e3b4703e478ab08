/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What is done with pages of the pool, on a machine without any: the system's
 * pages, in a region that says that they are such.
 */
#include "region/discard_part.h"
#include "memory.h"
#include "region/populated.h"
#include "suite.h"

#define PAGES 4

static struct vmmem_region region;

const char *
skip_reason(void)
{
	return memory_skip_reason();
}

static void
setup(void)
{
	region = (struct vmmem_region){
		.last = PAGES * page_size() - 1,
		.huge_pages = VMMEM_HUGE_PAGES_YES,
		.page_size = page_size(),
		.fd = -1,
	};
}

static unsigned char *
map(uint32_t kind, int flags)
{
	void *at = mmap(NULL, PAGES * page_size(), PROT_READ | PROT_WRITE,
			flags, region.fd, 0);

	ck_assert_ptr_ne(at, MAP_FAILED);
	region.kind = kind;
	region.mapping_flags = (uint32_t)flags;
	region.host = region.pages = at;
	return at;
}

/* The page tables are not asked for those: mincore(2) alone tells. */
START_TEST(discarded_parts)
{
	unsigned char *at = map(VMMEM_REGION_ANONYMOUS,
				MAP_PRIVATE | MAP_ANONYMOUS);

	at[1] = at[2] = at[3] = 7;
	assert_ok(vmmem_discard_part(&region, at + 2, 1));
	ck_assert_uint_eq(at[1], 7);
	ck_assert_uint_eq(at[2], 0);
	ck_assert_uint_eq(at[3], 7);
	/* Where there is none, none is made. */
	assert_ok(vmmem_discard_part(&region, at + 2 * page_size() + 5, 9));
	ck_assert_uint_eq(in_core(at, PAGES * page_size()), page_size());
	munmap(at, PAGES * page_size());
}
END_TEST

static void
expect_next(const struct vmmem_populated *walk, uint64_t from, uint64_t first,
	    uint64_t behind)
{
	uint64_t start, end;

	assert_ok(vmmem_populated_next(walk, from * page_size(),
				       PAGES * page_size(), &start, &end));
	ck_assert_uint_eq(start, first * page_size());
	ck_assert_uint_eq(end, behind * page_size());
}

/* Pages that only others have mapped are there too; looking maps none. */
START_TEST(pages_of_others)
{
	struct vmmem_populated walk;
	unsigned char *at;

	region.fd = memfd_create("pool", MFD_CLOEXEC);
	ck_assert_int_ge(region.fd, 0);
	ck_assert_int_eq(ftruncate(region.fd,
				   (off_t)(PAGES * page_size())), 0);
	at = map(VMMEM_REGION_MEMFD, MAP_SHARED);
	at[2 * page_size()] = 7;
	ck_assert_int_eq(pwrite(region.fd, "x", 1, 9), 1);
	assert_ok(vmmem_populated_open(&region, &walk));
	expect_next(&walk, 0, 0, 1);
	expect_next(&walk, 1, 2, 3);
	expect_next(&walk, 3, PAGES, PAGES);
	vmmem_populated_close(&walk);
	munmap(at, PAGES * page_size());
	close(region.fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("said_to_be_pool");
	TCase *tcase = tcase_create("said_to_be_pool");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, discarded_parts);
	tcase_add_test(tcase, pages_of_others);
	suite_add_tcase(suite, tcase);
	return suite;
}
