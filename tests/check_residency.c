/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What is in memory, counted to the byte. */
#include <vmmem/residency.h>

#include "policy.h"
#include "suite.h"

const char *
skip_reason(void)
{
	return memory_skip_reason();
}

static struct vmmem_residency
residency_of(const struct vmmem_region *region, uint64_t offset, uint64_t len)
{
	struct vmmem_residency got = { .size = sizeof(got) };

	assert_ok(vmmem_region_residency(region, offset, len, &got));
	ck_assert_uint_eq(got.size, sizeof(got));
	return got;
}

static void
expect_resident(const struct vmmem_region *region, uint64_t offset,
		uint64_t len, uint64_t resident)
{
	ck_assert_uint_eq(residency_of(region, offset, len).resident,
			  resident);
}

START_TEST(touched_pages)
{
	uint64_t page = page_size();
	struct vmmem_region *region;
	uint8_t *host;

	set_kind(_i);
	vmmem_region_builder_set_policy(builder, policy);
	assert_ok(vmmem_region_builder_build(builder, &region));
	host = expect_host(region);
	expect_resident(region, 0, LEN, 0);
	host[0] = 1;
	host[2 * page + 7] = 1;
	host[LEN - 1] = 1;
	expect_resident(region, 0, LEN, 3 * page);
	/* Parts of pages count for as much. */
	expect_resident(region, 1, 1, 1);
	expect_resident(region, page - 3, 6, 3);
	expect_resident(region, page, page, 0);
	expect_resident(region, 2 * page + 1, page, page - 1);
	expect_resident(region, LEN - 1, 1, 1);
	expect_resident(region, LEN - page - 1, page + 1, page);
	expect_resident(region, LEN, 0, 0);
	expect_resident(region, TOP, 0, 0);
	vmmem_region_unref(region);
}
END_TEST

/* Whoever made the page: it is in memory. */
START_TEST(written_by_descriptor)
{
	struct vmmem_region *region;
	uint64_t offset, page = page_size();
	int fd;

	vmmem_region_builder_set_memfd(builder);
	assert_ok(vmmem_region_builder_build(builder, &region));
	assert_ok(vmmem_region_file(region, &fd, &offset));
	ck_assert_int_eq(pwrite(fd, "x", 1, (off_t)(3 * page)), 1);
	expect_resident(region, 0, LEN, page);
	expect_resident(region, 3 * page, page, page);
	vmmem_region_unref(region);
}
END_TEST

/* An odd start: the region begins within its first page. */
START_TEST(shifted)
{
	struct vmmem_region *region, *alias = NULL;
	uint64_t page = page_size();

	vmmem_region_builder_set_range(builder, GPA + 8, 2 * page);
	region = build();
	expect_resident(region, 0, 2 * page, page - 8);
	expect_host(region)[2 * page - 1] = 1;
	expect_resident(region, 0, 2 * page, page - 8 + 8);
	assert_ok(vmmem_region_new_alias(0, 2 * page - 16, region, 8,
					 &alias));
	expect_resident(alias, 0, 2 * page - 16, page - 16);
	vmmem_region_unref(alias);
	vmmem_region_unref(region);
}
END_TEST

/* Sparse, and larger than one question to the system. */
START_TEST(large)
{
	uint64_t len = 4 * GIB, page = page_size(), at;
	struct vmmem_region *region;
	uint8_t *host;

	vmmem_region_builder_set_range(builder, GPA, len);
	vmmem_policy_set_guard(policy, page);
	vmmem_policy_set_thp(policy, VMMEM_THP_NO);
	region = build();
	host = expect_host(region);
	for (at = 0; at < len; at += 512 * MIB)
		host[at] = 1;
	host[len - 1] = 1;
	expect_resident(region, 0, len, 9 * page);
	expect_resident(region, 1, len - 2, 9 * page - 2);
	ck_assert_uint_eq(residency_of(region, 0, len).huge, 0);
	vmmem_region_unref(region);
}
END_TEST

/*
 * The system is asked about many pages at once; a range may end with the first
 * byte of a page, wherever the questions meet.
 */
START_TEST(ends_of_questions)
{
	const uint64_t page = page_size(), len = 4100 * page;
	struct vmmem_region *region;
	uint64_t pages, end, on, rest;
	bool nodes;

	vmmem_region_builder_set_range(builder, GPA, len);
	vmmem_policy_set_prefault(policy, 1);
	region = build();
	nodes = vmmem_region_nodes(region, 0, 1, &on, 1, &rest) == 0;
	for (pages = 512; pages <= 4096; pages += 512) {
		for (end = pages * page - 1; end <= pages * page + 1; end++) {
			expect_resident(region, 0, end, end);
			expect_resident(region, 1, end, end);
			if (!nodes)
				continue;
			assert_ok(vmmem_region_nodes(region, 0, end, &on, 1,
						     &rest));
			ck_assert_uint_eq(on + rest, end);
			assert_ok(vmmem_region_nodes(region, page - 1, end,
						     NULL, 0, &rest));
			ck_assert_uint_eq(rest, end);
		}
	}
	expect_resident(region, len - 1, 1, 1);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(locked)
{
	uint64_t page = page_size();
	struct vmmem_region *region = build();
	uint8_t *host = expect_host(region);

	ck_assert_uint_eq(residency_of(region, 0, LEN).locked, 0);
	/* Not mlock(), which sanitizers replace by nothing. */
	ck_assert_int_eq(mlock2(host + page, 2 * page, 0), 0);
	ck_assert_uint_eq(residency_of(region, 0, LEN).locked, 2 * page);
	ck_assert_uint_eq(residency_of(region, 2 * page, LEN - 2 * page).locked,
			  page);
	ck_assert_uint_eq(residency_of(region, page + 5, 7).locked, 7);
	ck_assert_uint_eq(residency_of(region, 3 * page, page).locked, 0);
	vmmem_region_unref(region);
}
END_TEST

/* Whether the system makes transparent huge pages when told to. */
static bool
system_has_thp(void)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
	char line[128] = "";
	bool has;

	if (file == NULL)
		return false;
	has = fgets(line, sizeof(line), file) != NULL &&
	      strstr(line, "[never]") == NULL;
	fclose(file);
	return has;
}

START_TEST(huge)
{
	struct vmmem_residency got;
	struct vmmem_region *region;
	uint64_t part;

	vmmem_region_builder_set_range(builder, 0, 8 * MIB);
	vmmem_policy_set_guard(policy, 1);
	vmmem_policy_set_alignment(policy, 2 * MIB);
	vmmem_policy_set_thp(policy, VMMEM_THP_YES);
	vmmem_policy_set_prefault(policy, 1);
	region = build();
	got = residency_of(region, 0, 8 * MIB);
	ck_assert_uint_eq(got.resident, 8 * MIB);
	ck_assert_uint_eq(granted(region).thp, VMMEM_THP_YES);
	ck_assert(smaps_flag(expect_host(region), "hg"));
	if (system_has_thp()) {
		/* Memory may be in too small pieces to have all. */
		ck_assert_uint_le(got.huge, 8 * MIB);
		ck_assert_uint_eq(got.huge % (2 * MIB), 0);
		/*
		 * All, and so each part too; or some of a part, which systems
		 * before Linux 6.7 do not tell.
		 */
		part = residency_of(region, MIB, 3 * MIB).huge;
		if (got.huge == 8 * MIB || got.huge == 0)
			ck_assert_uint_eq(part, got.huge == 0 ? 0 : 3 * MIB);
		else
			ck_assert(part <= 3 * MIB ||
				  part == VMMEM_RESIDENCY_UNKNOWN);
		/* Of a part of a page no more than that. */
		part = residency_of(region, MIB + 5, 7).huge;
		if (got.huge == 8 * MIB || got.huge == 0)
			ck_assert_uint_eq(part, got.huge == 0 ? 0 : 7);
		else
			ck_assert(part <= 7 || part == VMMEM_RESIDENCY_UNKNOWN);
	}
	vmmem_region_unref(region);

	vmmem_policy_set_thp(policy, VMMEM_THP_NO);
	region = build();
	ck_assert_uint_eq(residency_of(region, 0, 8 * MIB).huge, 0);
	ck_assert(smaps_flag(expect_host(region), "nh"));
	ck_assert_uint_eq(granted(region).thp, VMMEM_THP_NO);
	vmmem_region_unref(region);
}
END_TEST

/* What the process has read and written so far, by the system's own count. */
static uint64_t
bytes_moved(void)
{
	FILE *file = fopen("/proc/self/io", "r");
	unsigned long long bytes = 0;

	if (file == NULL)
		return 0;
	(void)!fscanf(file, "rchar: %llu", &bytes);
	fclose(file);
	return bytes;
}

/* To ask about a little costs little, whatever else the process has. */
START_TEST(cost)
{
	uint64_t page = page_size(), before, i;
	struct vmmem_region *region = build();
	uint8_t *many;

	many = mmap(NULL, 4000 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	ck_assert_ptr_ne(many, MAP_FAILED);
	for (i = 0; i < 4000; i += 2)
		ck_assert_int_eq(mprotect(many + i * page, page, PROT_NONE),
				 0);
	expect_host(region)[0] = 1;
	before = bytes_moved();
	expect_resident(region, 0, page, page);
	/* The lines of 4000 mappings are some megabytes. */
	ck_assert_uint_le(bytes_moved() - before, 65536);
	munmap(many, 4000 * page);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(refusals)
{
	const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.acquire = (int (*)(void *, uint64_t, uint64_t, uint32_t,
				    void **))abort,
	};
	struct vmmem_residency got = { .size = sizeof(got), .resident = 5 };
	struct vmmem_region *region = build(), *custom = NULL;

	assert_code(vmmem_region_residency(NULL, 0, 1, &got), VMMEM_EARGUMENT);
	assert_code(vmmem_region_residency(region, 0, 1, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_residency(region, LEN, 1, &got),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_residency(region, 0, LEN + 1, &got),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_residency(region, LEN - 1, TOP, &got),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_residency(region, TOP, TOP, &got),
		    VMMEM_EOUTOFRANGE);
	assert_ok(vmmem_region_new_custom(0, LEN, &ops, NULL, &custom));
	assert_code(vmmem_region_residency(custom, 0, 1, &got), VMMEM_ENOHOST);
	got.size = sizeof(got) - 1;
	assert_code(vmmem_region_residency(region, 0, 1, &got),
		    VMMEM_ESTRUCTSIZE);
	ck_assert_uint_eq(got.resident, 5);
	vmmem_region_unref(custom);
	vmmem_region_unref(region);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("residency");
	TCase *tcase = tcase_create("residency");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, touched_pages, VMMEM_REGION_ANONYMOUS,
			    VMMEM_REGION_MEMFD + 1);
	tcase_add_test(tcase, written_by_descriptor);
	tcase_add_test(tcase, shifted);
	tcase_add_test(tcase, large);
	tcase_add_test(tcase, ends_of_questions);
	tcase_add_test(tcase, locked);
	tcase_add_test(tcase, huge);
	tcase_add_test(tcase, cost);
	tcase_add_test(tcase, refusals);
	suite_add_tcase(suite, tcase);
	return suite;
}
