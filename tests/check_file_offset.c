/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Regions of a file that begin within a page of it. */
#include <stdbool.h>
#include <sys/stat.h>

#include <vmmem/slot_table.h>
#include <vmmem/vhost.h>
#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

#define PAGE ((uint64_t)page_size())
#define PAGES 8
#define GPA UINT64_C(0x40000000)

static struct vmmem_region_builder *builder;
static uint8_t *content; /* what the file holds, as it should be */
static int file;

/* VMMEM_FILE_... of the regions that are built. */
static uint32_t how;

static void
setup(void)
{
	uint64_t at;

	how = 0;
	builder = vmmem_region_builder_new();
	content = malloc(PAGES * PAGE);
	for (at = 0; at < PAGES * PAGE; at++)
		content[at] = (uint8_t)(1 + at % 251);
	file = memfd_create("offset", MFD_ALLOW_SEALING);
	/* Page by page: a part of what is written at once may stay. */
	for (at = 0; at < PAGES * PAGE; at += PAGE)
		ck_assert_int_eq(pwrite(file, content + at, PAGE, (off_t)at),
				 (ssize_t)PAGE);
	ck_assert_int_eq(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
}

static void
teardown(void)
{
	vmmem_region_builder_free(builder);
	free(content);
	close(file);
}

/* Nothing but what 'content' says was changed in the file. */
static void
expect_file(void)
{
	uint8_t *found = malloc(PAGES * PAGE);

	ck_assert_int_eq(pread(file, found, PAGES * PAGE, 0),
			 (ssize_t)(PAGES * PAGE));
	ck_assert(memcmp(found, content, PAGES * PAGE) == 0);
	free(found);
}

static struct vmmem_region *
build(uint64_t gpa, uint64_t offset, uint64_t len, bool untrusted)
{
	struct vmmem_region *region = NULL;

	vmmem_region_builder_set_range(builder, gpa, len);
	if (untrusted)
		vmmem_region_builder_set_untrusted_file(builder, file, offset,
							how, NULL);
	else
		vmmem_region_builder_set_file(builder, file, offset, how);
	assert_ok(vmmem_region_builder_build(builder, &region));
	expect_range(region, gpa, len);
	return region;
}

static void
expect_bytes(const struct vmmem_region *region, uint64_t offset)
{
	const uint8_t *host = expect_host(region);
	uint64_t found;
	int fd;

	ck_assert(memcmp(host, content + offset, vmmem_region_len(region)) ==
		  0);
	assert_ok(vmmem_region_file(region, &fd, &found));
	ck_assert_uint_eq(found, offset);
}

/* Offsets and lengths of no order; shared and private, trusted or not. */
START_TEST(any_offset)
{
	const bool private = (_i & 1) != 0, untrusted = (_i & 2) != 0;
	struct vmmem_region *region;
	uint64_t offset, len, gpa;
	uint8_t *host;

	how = private ? VMMEM_FILE_PRIVATE : 0;
	for (offset = 0; offset < 3 * PAGE; offset += 0xf7) {
		for (len = 1; len < 4 * PAGE; len = 2 * len + 0x31) {
			/* Below the offset in the page, and above it. */
			gpa = (len % 2 != 0 ? GPA : 0) + offset % 16;
			region = build(gpa, offset, len, untrusted);
			expect_bytes(region, offset);
			host = expect_host(region);
			host[0] ^= 0xff;
			host[len - 1] ^= 0x55;
			if (!private) {
				content[offset] ^= 0xff;
				content[offset + len - 1] ^= 0x55;
			}
			expect_file();
			vmmem_region_unref(region);
		}
	}
}
END_TEST

/* In a map there is the range and nothing else. */
START_TEST(in_a_map)
{
	const uint64_t offset = PAGE - 0x30, len = PAGE + 0x35;
	struct vmmem_collection *map =
		guest_of_one(build(0x10, offset, len, false));
	uint8_t byte = 0;

	assert_ok(vmmem_collection_read_u8(map, 0x10, &byte));
	ck_assert_uint_eq(byte, content[offset]);
	assert_ok(vmmem_collection_read_u8(map, 0x10 + len - 1, &byte));
	ck_assert_uint_eq(byte, content[offset + len - 1]);
	assert_code(vmmem_collection_read_u8(map, 0xf, &byte), VMMEM_EBADADDR);
	assert_code(vmmem_collection_read_u8(map, 0x10 + len, &byte),
		    VMMEM_EBADADDR);
	vmmem_collection_unref(map);
}
END_TEST

START_TEST(refused)
{
	const uint64_t end = PAGES * PAGE;
	struct vmmem_region *region = NO_REGION;
	size_t files = open_files();
	uint64_t off;

	vmmem_region_builder_set_range(builder, GPA + 7, 0x100);
	for (off = 0; off < 64; off++) {
		if (off % 16 == 7)
			continue;
		vmmem_region_builder_set_file(builder, file, PAGE + off, 0);
		assert_code(vmmem_region_builder_build(builder, &region),
			    VMMEM_ECONGRUENCE);
	}
	vmmem_region_builder_set_range(builder, GPA, 0x10);
	vmmem_region_builder_set_file(builder, file, end - 0x10, 0);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_unref(region);
	region = NO_REGION;
	vmmem_region_builder_set_range(builder, GPA, 0x11);
	assert_code(vmmem_region_builder_build(builder, &region),
		    VMMEM_EPASTEOF);
	vmmem_region_builder_set_untrusted_file(builder, file, end - 0x10, 0,
						NULL);
	assert_code(vmmem_region_builder_build(builder, &region),
		    VMMEM_EPASTEOF);
	vmmem_region_builder_set_untrusted_file(builder, file, INT64_MAX - 0xf,
						0, NULL);
	assert_code(vmmem_region_builder_build(builder, &region),
		    VMMEM_EWRAPS);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_uint_eq(open_files(), files);
}
END_TEST

static uint64_t
allocated(void)
{
	struct stat status;

	ck_assert_int_eq(fstat(file, &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

/* Discarded are whole pages of the file, and of the others the bytes. */
START_TEST(discards)
{
	const bool private = _i != 0;
	const uint64_t offset = PAGE + 0x230, len = 4 * PAGE;
	const uint64_t from = 0x10, count = 3 * PAGE + 0x123;
	struct vmmem_region *region;
	uint64_t before, discarded = 0, at;
	uint8_t *host;

	how = private ? VMMEM_FILE_PRIVATE : 0;
	region = build(GPA, offset, len, false);
	host = expect_host(region);
	before = allocated();
	assert_ok(vmmem_region_discard(region, from, count, 0, &discarded));
	/* Before they are read, which makes them again. */
	if (!private)
		ck_assert_uint_eq(before - allocated(), 2 * PAGE);
	for (at = 0; at < len; at++)
		ck_assert_uint_eq(host[at],
				  at >= from && at - from < count ?
					  0 :
					  content[offset + at]);
	ck_assert_uint_eq(discarded, 2 * PAGE);
	if (!private)
		memset(content + offset + from, 0, count);
	expect_file();
	/* The pages that the region has only a part of are never given back. */
	assert_ok(vmmem_region_discard(region, 0, len,
				       VMMEM_DISCARD_WHOLE_PAGES, &discarded));
	ck_assert_uint_eq(discarded, 3 * PAGE);
	if (!private)
		memset(content + 2 * PAGE, 0, 3 * PAGE);
	expect_file();
	vmmem_region_unref(region);
}
END_TEST

START_TEST(resident)
{
	const uint64_t offset = 0x340, len = 2 * PAGE;
	struct vmmem_residency residency = { .size = sizeof(residency) };
	struct vmmem_region *region = build(GPA, offset, len, false);

	assert_ok(vmmem_region_residency(region, 0, len, &residency));
	ck_assert_uint_eq(residency.resident, len);
	ck_assert_uint_eq(vmmem_region_page_size(region), PAGE);
	assert_ok(vmmem_region_discard(region, 0, len, 0, NULL));
	assert_ok(vmmem_region_residency(region, 0, len, &residency));
	/* The page in the middle is gone. */
	ck_assert_uint_eq(residency.resident, len - PAGE);
	vmmem_region_unref(region);
}
END_TEST

/* A policy's alignment and guard hold for the pages around it, too. */
START_TEST(policies)
{
	const uint64_t aligns[] = { 64, 0x100, PAGE, UINT64_C(2) << 20 };
	struct vmmem_policy *policy = vmmem_policy_new();
	struct vmmem_region *region = NO_REGION;
	uint8_t *host;
	size_t i;

	vmmem_policy_set_guard(policy, PAGE);
	for (i = 0; i < ARRAY_LEN(aligns); i++) {
		vmmem_policy_set_alignment(policy, aligns[i]);
		vmmem_region_builder_set_policy(builder, policy);
		region = build(GPA + 0x4c0, PAGE + 0x4c0, PAGE, false);
		host = expect_host(region);
		ck_assert_uint_eq((uintptr_t)host % aligns[i],
				  (GPA + 0x4c0) % aligns[i]);
		expect_bytes(region, PAGE + 0x4c0);
		vmmem_region_unref(region);
		/* Congruent modulo 16, and not by that. */
		region = NO_REGION;
		vmmem_region_builder_set_range(builder, GPA + 0x4d0, PAGE);
		assert_code(vmmem_region_builder_build(builder, &region),
			    VMMEM_ECONGRUENCE);
		ck_assert_ptr_eq(region, NO_REGION);
	}
	vmmem_policy_free(policy);
}
END_TEST

/* What is not whole pages cannot be a slot of KVM; rows can be anything. */
START_TEST(told_to_others)
{
	struct vmmem_slot_table_options options = { .size = sizeof(options) };
	struct vmmem_collection *map =
		guest_of_one(build(GPA, 0x100, PAGE, false));
	struct vmmem_vhost_region row;
	struct vmmem_slot_plan *plan = NULL;
	struct vmmem_slot_table *slots = NULL;
	size_t count = 0;
	int fd;

	assert_ok(vmmem_slot_table_new(&options, &slots));
	assert_code(vmmem_slot_plan_new(slots, map, &plan), VMMEM_ESLOTALIGN);
	vmmem_slot_table_free(slots);
	assert_ok(vmmem_vhost_export(map, 0, &row, &fd, 1, &count, NULL));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(row.gpa, GPA);
	ck_assert_uint_eq(row.offset, 0x100);
	ck_assert_uint_eq(row.len, PAGE);
	vmmem_collection_unref(map);
}
END_TEST

/*
 * Regions with room for the large pages of the system, whatever their address
 * and offset are.
 */
START_TEST(large)
{
	const uint64_t len = UINT64_C(16) << 20, end = len + PAGE;
	const uint64_t starts[] = { 0, GPA, GPA + 0x10, GPA + 0x800 };
	const uint64_t offsets[] = { 0, 0x10, 0x800, PAGE - 0x10 };
	uint64_t start = starts[_i / 4], offset = offsets[_i % 4];
	const uint8_t at_end[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct vmmem_region *region;
	uint8_t *host;

	ck_assert_int_eq(fcntl(file, F_GET_SEALS), F_SEAL_SHRINK);
	ck_assert_int_eq(ftruncate(file, (off_t)end), 0);
	ck_assert_int_eq(pwrite(file, at_end, 8, (off_t)(offset + len - 8)), 8);
	region = build(start, offset, len, false);
	host = expect_host(region);
	ck_assert_uint_eq(((uintptr_t)host ^ offset) % PAGE, 0);
	ck_assert(memcmp(host, content + offset, PAGE) == 0);
	ck_assert(memcmp(host + len - 8, at_end, 8) == 0);
	vmmem_region_unref(region);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("file_offset");
	TCase *tcase = tcase_create("file_offset");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, any_offset, 0, 4);
	tcase_add_test(tcase, in_a_map);
	tcase_add_test(tcase, refused);
	tcase_add_loop_test(tcase, discards, 0, 2);
	tcase_add_test(tcase, resident);
	tcase_add_test(tcase, policies);
	tcase_add_test(tcase, told_to_others);
	tcase_add_loop_test(tcase, large, 0, 16);
	suite_add_tcase(suite, tcase);
	return suite;
}
