/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Discarding, on each backing and through an alias of it: what is in the range
 * reads as zero, what is not stays, and the pages are gone.
 */
#include <vmmem/discard.h>

#include "backings.h"
#include "suite.h"

#define PAGES 5

const char *
skip_reason(void)
{
	if (memory_skip_reason() != NULL)
		return memory_skip_reason();
	return page_size() == 4096 ? NULL : "needs pages of 4 KiB";
}

static bool
is_custom(enum backing backing)
{
	return backing == CUSTOM || backing == CUSTOM_HOST;
}

/* How many bytes of whole pages lie within [from, from + len). */
static uint64_t
whole_pages(uint64_t from, uint64_t len)
{
	uint64_t first = (from + 4095) / 4096, end = (from + len) / 4096;

	return end > first ? (end - first) * 4096 : 0;
}

/* Whether the whole pages of [from, from + len) are not in memory. */
static bool
is_gone(const uint8_t *bytes, uint64_t from, uint64_t len)
{
	uint64_t first = (from + 4095) / 4096 * 4096;
	uint64_t whole = whole_pages(from, len);

	return whole == 0 || in_core(bytes + first, whole) == 0;
}

static void
try_range(struct vmmem_region *region, struct vmmem_region *view,
	  uint64_t shift, enum backing backing, uint64_t from, uint64_t len,
	  uint32_t flags)
{
	static uint8_t expected[PAGES * 4096];
	uint8_t *bytes = bytes_of(region);
	uint64_t whole = is_custom(backing) ? len : whole_pages(from, len);
	uint64_t discarded = 99;
	size_t edge;

	pattern(bytes, sizeof(expected), 3);
	pattern(expected, sizeof(expected), 3);
	if ((flags & VMMEM_DISCARD_WHOLE_PAGES) == 0 || is_custom(backing)) {
		memset(expected + from, 0, len);
	} else if (whole != 0) {
		edge = (from + 4095) / 4096 * 4096;
		memset(expected + edge, 0, whole);
	}
	assert_ok(vmmem_region_discard(view, from - shift, len, flags,
				       &discarded));
	ck_assert_uint_eq(discarded, whole);
	/* Before it is looked at, which brings it back. */
	if (!is_custom(backing))
		ck_assert(is_gone(bytes, from, len));
	ck_assert_msg(memcmp(bytes, expected, sizeof(expected)) == 0,
		      "backing %d, [%llu, +%llu), flags %u", (int)backing,
		      (unsigned long long)from, (unsigned long long)len,
		      flags);
}

static const uint64_t edges[] = { 0, 1, 4095, 4096, 4097, 8191, 8192, 12288,
				  16384, 16385, 20479, 20480 };

/* Every range between two edges, both ways. */
START_TEST(ranges)
{
	enum backing backing = (enum backing)_i;
	struct vmmem_region *region, *alias = NULL;
	size_t i, j;

	if (backing == SHARED_DISK && !disk_has_holes())
		return;
	region = region_on(backing, GPA, PAGES * 4096);
	if (region == NULL)
		return;
	assert_ok(vmmem_region_new_alias(16, PAGES * 4096 - 16, region, 16,
					 &alias));
	for (i = 0; i < ARRAY_LEN(edges); i++) {
		for (j = i; j < ARRAY_LEN(edges); j++) {
			uint64_t len = edges[j] - edges[i];

			try_range(region, region, 0, backing, edges[i], len,
				  0);
			try_range(region, region, 0, backing, edges[i], len,
				  VMMEM_DISCARD_WHOLE_PAGES);
			if (edges[i] >= 16)
				try_range(region, alias, 16, backing, edges[i],
					  len, VMMEM_DISCARD_UNMARKED);
		}
	}
	vmmem_region_unref(alias);
	forget(region);
}
END_TEST

/* The region begins within a page, and ends in one. */
START_TEST(shifted)
{
	static uint8_t expected[PAGES * 4096];
	struct vmmem_region *region;
	uint64_t discarded;
	uint8_t *host;

	if (_i == 0)
		vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_range(builder, 8, sizeof(expected));
	region = build();
	host = expect_host(region);
	pattern(host, sizeof(expected), 1);
	memset(expected, 0, sizeof(expected));
	assert_ok(vmmem_region_discard(region, 0, sizeof(expected), 0,
				       &discarded));
	ck_assert_uint_eq(discarded, (PAGES - 1) * 4096);
	ck_assert_uint_eq(in_core(host - 8 + 4096, (PAGES - 1) * 4096), 0);
	ck_assert_int_eq(memcmp(host, expected, sizeof(expected)), 0);
	vmmem_region_unref(region);
}
END_TEST

/* A hole is a hole for everybody who has the file. */
START_TEST(storage_is_given_back)
{
	enum backing backing = (enum backing)_i;
	struct vmmem_region *region;
	uint64_t offset, before;
	uint8_t byte = 1;
	int fd;

	if (backing == SHARED_DISK && !disk_has_holes())
		return;
	region = region_on(backing, GPA, PAGES * 4096);
	assert_ok(vmmem_region_file(region, &fd, &offset));
	pattern(bytes_of(region), PAGES * 4096, 2);
	fsync(fd);
	before = storage(fd);
	assert_ok(vmmem_region_discard(region, 4096, 3 * 4096, 0, NULL));
	ck_assert_uint_eq(storage(fd), before - 3 * 4096);
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset + 4096), 1);
	ck_assert_uint_eq(byte, 0);
	forget(region);
}
END_TEST

/* A private file shows no longer, and the file is as it was. */
START_TEST(private_file)
{
	struct vmmem_region *region;
	uint64_t offset;
	uint8_t byte = 0, *host;
	int fd;

	vmmem_policy_set_dont_dump(policy, 1);
	vmmem_policy_set_dont_fork(policy, 1);
	region = region_on(PRIVATE_MEMFD, GPA, PAGES * 4096);
	host = bytes_of(region);
	ck_assert_uint_eq(host[4096], BELOW);
	assert_ok(vmmem_region_discard(region, 4096, 2 * 4096, 0, NULL));
	ck_assert(all_are(host + 4096, 0, 2 * 4096));
	ck_assert(all_are(host, BELOW, 4096));
	ck_assert(all_are(host + 3 * 4096, BELOW, 4096));
	/* What was asked for holds for the new pages. */
	ck_assert(smaps_flag(host + 4096, "dd"));
	ck_assert(smaps_flag(host + 4096, "dc"));
	assert_ok(vmmem_region_file(region, &fd, &offset));
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset + 4096), 1);
	ck_assert_uint_eq(byte, BELOW);
	vmmem_region_unref(region);
	ck_assert(!is_mapped(host, PAGES * 4096));
}
END_TEST

/* Locked it stays, but it does not come back by itself. */
START_TEST(locked_private_file)
{
	struct vmmem_region *region = NULL;
	uint8_t *host;
	int fd;

	if (!can_lock_on_fault())
		return;
	fd = file_of(LEN);
	vmmem_region_builder_set_file(builder, fd, 0, VMMEM_FILE_PRIVATE);
	vmmem_policy_set_lock(policy, VMMEM_LOCK_NOW);
	region = build();
	host = expect_host(region);
	assert_ok(vmmem_region_discard(region, 0, LEN, 0, NULL));
	ck_assert_uint_eq(in_core(host, LEN), 0);
	ck_assert(smaps_flag(host, "lo"));
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

static void
expect_refused(struct vmmem_region *region, const uint8_t *bytes, int code)
{
	static uint8_t expected[PAGES * 4096];
	uint64_t discarded = 99;

	pattern((uint8_t *)(uintptr_t)bytes, sizeof(expected), 9);
	pattern(expected, sizeof(expected), 9);
	assert_code(vmmem_region_discard(region, 5, sizeof(expected) - 10, 0,
					 &discarded),
		    code);
	ck_assert_uint_eq(discarded, 0);
	ck_assert_int_eq(memcmp(bytes, expected, sizeof(expected)), 0);
}

/* What there is no way to give back stays as it is. */
START_TEST(no_means)
{
	const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.read = store_read,
		.write = store_write,
	};
	struct vmmem_region *region = NULL;
	int fd = file_of(PAGES * 4096);
	uint64_t len = PAGES * 4096;

	/* External, private pages of a file: the file's bytes would show. */
	map_store(len, MAP_PRIVATE, fd);
	assert_ok(vmmem_region_new_external(GPA, len, store.bytes, &region));
	expect_refused(region, store.bytes, VMMEM_ENODISCARD);
	forget(region);

	/*
	 * External and locked: shared or not cannot be told.  Not by mlock(),
	 * which sanitizers replace by nothing.
	 */
	map_store(len, MAP_SHARED, fd);
	ck_assert_int_eq(mlock2(store.bytes, len, 0), 0);
	assert_ok(vmmem_region_new_external(GPA, len, store.bytes, &region));
	expect_refused(region, store.bytes, VMMEM_ENODISCARD);
	forget(region);
	map_store(len, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	ck_assert_int_eq(mlock2(store.bytes, len, 0), 0);
	assert_ok(vmmem_region_new_external(GPA, len, store.bytes, &region));
	expect_refused(region, store.bytes, VMMEM_ENODISCARD);
	forget(region);

	map_store(len, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	assert_ok(vmmem_region_new_custom(GPA, len, &ops, &store, &region));
	expect_refused(region, store.bytes, VMMEM_ENODISCARD);
	forget(region);
	close(fd);
}
END_TEST

START_TEST(sealed_against_writing)
{
	struct vmmem_region *region;

	vmmem_region_builder_set_memfd(builder);
	vmmem_policy_set_seals(policy, VMMEM_SEAL_FUTURE_WRITE);
	region = build();
	expect_refused(region, expect_host(region), -EPERM);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(callback_codes)
{
	static const int returned[] = { -EIO, VMMEM_ENODISCARD, 1, INT32_MAX };
	struct vmmem_region *region;
	size_t i;

	region = region_on(CUSTOM, GPA, PAGES * 4096);
	for (i = 0; i < ARRAY_LEN(returned); i++) {
		store.returned = returned[i];
		expect_refused(region, store.bytes,
			       returned[i] > 0 ? VMMEM_ECALLBACK : returned[i]);
	}
	ck_assert_uint_eq(store.discards, i);
	forget(region);
}
END_TEST

START_TEST(refusals)
{
	struct vmmem_region *region = region_of(GPA, PAGES * 4096);
	struct vmmem_region *rom;
	uint64_t discarded = 99;
	size_t len = PAGES * 4096;

	assert_code(vmmem_region_discard(NULL, 0, 1, 0, &discarded),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(discarded, 0);
	assert_code(vmmem_region_discard(region, 0, 1, 4, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_discard(region, 0, 1, UINT32_MAX, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_discard(region, len, 1, 0, NULL),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_discard(region, 0, len + 1, 0, NULL),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_discard(region, 1, TOP, 0, NULL),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_discard(region, TOP, TOP, 0, NULL),
		    VMMEM_EOUTOFRANGE);
	/* No bytes are anywhere. */
	assert_ok(vmmem_region_discard(region, TOP, 0, 0, &discarded));
	ck_assert_uint_eq(discarded, 0);

	/* Discarding changes bytes, so it needs the right to write. */
	vmmem_region_builder_set_range(builder, GPA, len);
	vmmem_region_builder_set_alias(builder, region, 0);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	assert_ok(vmmem_region_builder_build(builder, &rom));
	expect_refused(rom, expect_host(region), VMMEM_EDENIED);
	vmmem_region_unref(rom);
	vmmem_region_unref(region);
}
END_TEST

static const uint64_t lengths[] = { 1, 4095, 4096, UINT64_C(1) << 31,
				    UINT64_C(1) << 32 };

/* Sparse memory of any length, of which three pages are there. */
START_TEST(limits)
{
	uint64_t len = lengths[_i], whole = len / 4096 * 4096, discarded;
	static const enum backing backings[] = { ANONYMOUS, MEMFD,
						 PRIVATE_MEMFD,
						 EXTERNAL_PRIVATE,
						 EXTERNAL_MEMFD };
	struct vmmem_region *region;
	uint8_t *host;
	size_t i;

	for (i = 0; i < ARRAY_LEN(backings); i++) {
		/* That file is filled, which would take long. */
		if (backings[i] == PRIVATE_MEMFD && len > MIB)
			continue;
		region = region_on(backings[i], GPA, len);
		host = bytes_of(region);
		host[0] = host[len / 2] = host[len - 1] = 1;
		assert_ok(vmmem_region_discard(region, 0, len, 0, &discarded));
		ck_assert_uint_eq(discarded, whole);
		ck_assert(whole == 0 || in_core(host, whole) == 0);
		ck_assert_uint_eq(host[0] | host[len / 2] | host[len - 1], 0);
		forget(region);
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("discard");
	TCase *tcase = tcase_create("discard");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, ranges, 0, BACKINGS);
	tcase_add_loop_test(tcase, shifted, 0, 2);
	tcase_add_loop_test(tcase, storage_is_given_back, MEMFD,
			    SHARED_DISK + 1);
	tcase_add_test(tcase, private_file);
	tcase_add_test(tcase, locked_private_file);
	tcase_add_test(tcase, no_means);
	tcase_add_test(tcase, sealed_against_writing);
	tcase_add_test(tcase, callback_codes);
	tcase_add_test(tcase, refusals);
	tcase_add_loop_test(tcase, limits, 0, (int)ARRAY_LEN(lengths));
	suite_add_tcase(suite, tcase);
	return suite;
}
