/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Where a policy puts memory: guards, alignment, sizes of all kinds. */
#include <vmmem/discard.h>

#include "policy.h"
#include "suite.h"

const char *
skip_reason(void)
{
	return memory_skip_reason();
}

START_TEST(guards)
{
	static const uint64_t sizes[] = { 1, 4096, 4097, UINT64_C(1) << 21 };
	struct vmmem_region *region, *alias = NULL;
	uint64_t page = page_size(), guard;
	uint8_t *host;
	size_t i;

	set_kind(_i);
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		vmmem_policy_set_guard(policy, sizes[i]);
		region = build();
		host = expect_host(region);
		guard = granted(region).guard;
		ck_assert_uint_ge(guard, sizes[i]);
		ck_assert_uint_eq(guard % page, 0);
		host[0] = 0;
		host[LEN - 1] = 0;
		ck_assert(!touching_kills(host));
		/* Somebody's, so that nobody else gets them. */
		ck_assert(is_mapped(host - guard, guard));
		ck_assert(is_mapped(host + LEN, guard));
		ck_assert(touching_kills(host - 1));
		ck_assert(touching_kills(host - guard));
		ck_assert(touching_kills(host + LEN));
		ck_assert(touching_kills(host + LEN + guard - 1));
		assert_ok(vmmem_region_new_alias(0, page, region, 0, &alias));
		ck_assert_uint_eq(granted(alias).guard, guard);
		vmmem_region_unref(alias);
		vmmem_region_unref(region);
		/* All of it went. */
		ck_assert(!is_mapped(host - 1, 1));
		ck_assert(!is_mapped(host, LEN));
		ck_assert(!is_mapped(host + LEN, 1));
	}
}
END_TEST

/* Guest addresses that are odd in every way. */
START_TEST(alignment)
{
	static const uint64_t starts[] = { 0, 1, 8, 0xfff, 0x1000, 0x200000,
					   0x3fffff, 0x12345678, TOP - 1 };
	static const uint64_t sizes[] = { 1, 16, 64, 0x1000, 0x10000, 0x200000,
					  UINT64_C(1) << 30 };
	struct vmmem_region *region;
	uint64_t start, size, offset;
	uint8_t *host;
	size_t i;
	int fd;

	start = starts[_i];
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		size = sizes[i];
		vmmem_region_builder_set_range(builder, start,
					       start > TOP - 99 ? 2 : LEN);
		vmmem_policy_set_alignment(policy, size);
		vmmem_region_builder_set_policy(builder, policy);
		vmmem_region_builder_set_anonymous(builder);
		assert_ok(vmmem_region_builder_build(builder, &region));
		host = expect_host(region);
		ck_assert_uint_eq(((uintptr_t)host ^ start) % size, 0);
		ck_assert_uint_ge(granted(region).alignment, size);
		vmmem_region_unref(region);

		/* A memfd tells where in it the region begins. */
		vmmem_region_builder_set_memfd(builder);
		assert_ok(vmmem_region_builder_build(builder, &region));
		host = expect_host(region);
		ck_assert_uint_eq(((uintptr_t)host ^ start) % size, 0);
		host[1] = 0x77;
		assert_ok(vmmem_region_file(region, &fd, &offset));
		ck_assert_int_eq(pread(fd, &start, 1, (off_t)offset + 1), 1);
		ck_assert_uint_eq(start & 0xff, 0x77);
		start = starts[_i];
		vmmem_region_unref(region);
	}
}
END_TEST

/* Regions that a large page fits lie as that wants it, without being told. */
static const struct {
	uint64_t gpa, len;
} large[] = {
	{ 0, GIB },
	{ 0, GIB - 384 * KIB },
	{ MIB, GIB - MIB },
	{ 4 * GIB, 3 * GIB },
	{ 2 * GIB, 1000 * MIB },
	{ 0, 512 * MIB + 4096 },
	{ 0x3000, 8 * MIB },
	{ 5 * MIB - 4096, 3 * MIB + 4096 },
	{ 2 * MIB, 2 * MIB },
	{ TOP - 7 * MIB + 1, 7 * MIB },
};

static void
expect_large(const struct vmmem_region *region, uint64_t gpa, uint64_t len,
	     uint64_t size)
{
	uint8_t *host = expect_host(region), byte = 0;
	uint64_t offset;
	int fd;

	ck_assert_uint_eq(((uintptr_t)host - gpa) % size, 0);
	ck_assert_uint_ge(granted(region).alignment, size);
	host[0] = 7;
	host[len - 1] = 9;
	if (vmmem_region_kind(region) != VMMEM_REGION_MEMFD)
		return;
	/* The offset in the file, too. */
	assert_ok(vmmem_region_file(region, &fd, &offset));
	ck_assert_uint_eq((offset - gpa) % size, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
	ck_assert_uint_eq(byte, 7);
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(offset + len - 1)), 1);
	ck_assert_uint_eq(byte, 9);
	/* What comes before it takes no memory. */
	ck_assert_uint_eq(storage(fd), 2 * page_size());
	/* And goes, as any other. */
	assert_ok(vmmem_region_discard(region, 0, len, 0, NULL));
	ck_assert_uint_eq(storage(fd), 0);
	ck_assert_uint_eq(host[0], 0);
}

START_TEST(large_pages)
{
	const uint64_t size = page_size() * (page_size() / 8);
	const uint32_t thp = _i / 2 == 1 ? VMMEM_THP_YES : VMMEM_THP_DEFAULT;
	struct vmmem_region *region;
	size_t i;

	/* The table is for pages of 4 KiB. */
	if (page_size() != 4096)
		return;
	for (i = 0; i < ARRAY_LEN(large); i++) {
		set_kind(_i % 2 + 1);
		vmmem_region_builder_set_range(builder, large[i].gpa,
					       large[i].len);
		/* Without any policy, too. */
		vmmem_policy_set_thp(policy, thp);
		vmmem_region_builder_set_policy(builder,
						_i / 2 == 2 ? NULL : policy);
		assert_ok(vmmem_region_builder_build(builder, &region));
		/* One large page is 2 MiB of host memory: not in each file. */
		if (thp != VMMEM_THP_YES)
			expect_large(region, large[i].gpa, large[i].len, size);
		ck_assert_uint_eq(((uintptr_t)expect_host(region) -
				   large[i].gpa) % size, 0);
		vmmem_region_unref(region);
	}
}
END_TEST

/* A file's pages cannot be moved, but its mapping can. */
START_TEST(large_pages_of_files)
{
	const uint64_t size = page_size() * (page_size() / 8);
	struct vmmem_region *region = NULL;
	int fd = file_of(3 * size);

	vmmem_region_builder_set_range(builder, size + page_size(), 2 * size);
	vmmem_region_builder_set_file(builder, fd, page_size(), 0);
	assert_ok(vmmem_region_builder_build(builder, &region));
	ck_assert_uint_eq(((uintptr_t)expect_host(region) - page_size()) %
				  size, 0);
	vmmem_region_unref(region);
	/* One that begins within a page is had as before. */
	vmmem_region_builder_set_range(builder, size + 16, 2 * size);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_unref(region);
	vmmem_region_builder_set_memfd(builder);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

START_TEST(alignment_of_files)
{
	struct vmmem_region *region;

	set_kind(VMMEM_REGION_FILE);
	vmmem_policy_set_alignment(policy, 0x200000);
	region = build();
	ck_assert_uint_ge(granted(region).alignment, 0x200000);
	vmmem_region_unref(region);
	/* The bytes of a file cannot be shifted against its pages. */
	vmmem_region_builder_set_range(builder, GPA + 16, LEN);
	refuse(VMMEM_ECONGRUENCE);
	vmmem_policy_set_alignment(policy, 0);
	vmmem_region_unref(build());
}
END_TEST

START_TEST(too_much_room)
{
	static const uint64_t sizes[] = { TOP, TOP - 4095,
					  UINT64_C(1) << 63,
					  UINT64_C(1) << 62 };
	struct vmmem_region *region = NO_REGION;
	int code;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		vmmem_policy_set_guard(policy, sizes[i]);
		refuse(VMMEM_EWRAPS);
	}
	/* More than any process has room for; valgrind has its own code. */
	vmmem_policy_set_guard(policy, UINT64_C(1) << 60);
	vmmem_region_builder_set_policy(builder, policy);
	code = vmmem_region_builder_build(builder, &region);
	ck_assert(code == -ENOMEM || code == -EINVAL);
	ck_assert_ptr_eq(region, NO_REGION);
	vmmem_policy_set_guard(policy, 0);
	vmmem_policy_set_alignment(policy, UINT64_C(1) << 63);
	refuse(VMMEM_EWRAPS);
}
END_TEST

static const uint64_t lengths[] = {
	1, 4095, 4096, UINT64_C(1) << 31, UINT64_C(1) << 32, 3 * TIB,
};

/* Lengths of all kinds, with all that costs nothing by the byte. */
START_TEST(limits)
{
	uint64_t len = lengths[_i];
	struct vmmem_region *region = NULL;
	uint8_t *host;
	void *at;

	/* Valgrind and emulators have less room. */
	at = mmap(NULL, len, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return;
	munmap(at, len);
	vmmem_policy_set_guard(policy, 1);
	vmmem_policy_set_alignment(policy, 0x200000);
	vmmem_policy_set_dont_dump(policy, 1);
	vmmem_policy_set_dont_fork(policy, 1);
	if (len <= GIB && can_lock_on_fault())
		vmmem_policy_set_lock(policy, VMMEM_LOCK_ON_FAULT);
	vmmem_region_builder_set_range(builder, GPA, len);
	vmmem_region_builder_set_policy(builder, policy);
	assert_ok(vmmem_region_builder_build(builder, &region));
	host = expect_host(region);
	host[0] = 1;
	host[len - 1] = 1;
	vmmem_region_unref(region);

	vmmem_region_builder_set_memfd(builder);
	assert_ok(vmmem_region_builder_build(builder, &region));
	host = expect_host(region);
	host[0] = 1;
	host[len - 1] = 1;
	vmmem_region_unref(region);
	vmmem_region_builder_set_range(builder, GPA, 0);
	refuse(VMMEM_EZEROLEN);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("policy_place");
	TCase *tcase = tcase_create("policy_place");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, guards, FIRST_KIND, END_OF_KINDS);
	tcase_add_loop_test(tcase, alignment, 0, 9);
	tcase_add_loop_test(tcase, large_pages, 0, 6);
	tcase_add_test(tcase, large_pages_of_files);
	tcase_add_test(tcase, alignment_of_files);
	tcase_add_test(tcase, too_much_room);
	tcase_add_loop_test(tcase, limits, 0, (int)ARRAY_LEN(lengths));
	suite_add_tcase(suite, tcase);
	return suite;
}
