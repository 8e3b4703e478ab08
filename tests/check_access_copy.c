/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Copying within guest memory: vmmem_collection_copy(). */
#include <vmmem/access.h>

#include "guest.h"
#include "suite.h"

/* Regions of awkward lengths that touch, so that copies straddle them. */
#define BASE UINT64_C(0x10000)
#define ALL 0x3000
#define ROM (BASE + ALL)
#define SINK (ROM + 0x1000)
#define HOLE (SINK + 0x1000)

static struct vmmem_collection *guest;
static uint8_t before[ALL], expected[ALL], after[ALL];

/* Where the regions before ROM begin, and where that is in this process. */
static const size_t parts[] = { 0, 0x1000, 0x1005, 0x1800, ALL };
static uint8_t *hosts[4];

static void
setup(void)
{
	struct vmmem_region *regions[] = {
		region_of(BASE, 0x1000),
		region_of(BASE + 0x1000, 5),
		region_of(BASE + 0x1005, 0x7fb),
		region_of(BASE + 0x1800, 0x1800),
		region_with(ROM, 0x1000, VMMEM_PROT_READ),
		region_with(SINK, 0x1000, VMMEM_PROT_WRITE),
		region_of(TOP - 0xfff, 0x1000),
	};

	size_t i;

	guest = guest_of(regions, ARRAY_LEN(regions));
	for (i = 0; i < 4; i++)
		hosts[i] = host_of(guest, BASE + parts[i]);
	pattern(before, ALL, 3);
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
}

/* Direct pokes, so that what is tested does not test itself. */
static void
load(uint8_t *bytes)
{
	size_t i;

	for (i = 0; i < 4; i++)
		memcpy(bytes + parts[i], hosts[i], parts[i + 1] - parts[i]);
}

static void
store(const uint8_t *bytes)
{
	size_t i;

	for (i = 0; i < 4; i++)
		memcpy(hosts[i], bytes + parts[i], parts[i + 1] - parts[i]);
}

static void
expect_copy(size_t target, size_t source, size_t len)
{
	uint64_t done = 77;

	store(before);
	memcpy(expected, before, ALL);
	memmove(expected + target, expected + source, len);
	assert_ok(vmmem_collection_copy(guest, BASE + target, BASE + source,
					len, &done));
	ck_assert_uint_eq(done, len);
	load(after);
	ck_assert_msg(memcmp(after, expected, ALL) == 0,
		      "copy of %zu bytes from %#zx to %#zx", len, source,
		      target);
}

static const struct {
	size_t target;
	size_t source;
	size_t len;
} rows[] = {
	/* Within one region, apart. */
	{ 0x100, 0x200, 0x80 },
	{ 0x200, 0x100, 0x80 },
	{ 0x100, 0x201, 0x7f },
	/* Within one region, overlapping, either way, onto itself. */
	{ 0x101, 0x100, 0x300 },
	{ 0x100, 0x101, 0x300 },
	{ 0x108, 0x100, 0xc00 },
	{ 0x100, 0x108, 0xc00 },
	{ 0x103, 0x100, 0xefd },
	{ 0x100, 0x103, 0xefd },
	{ 0x100, 0x100, 0x300 },
	/* Touching, but not overlapping. */
	{ 0x100, 0x200, 0x100 },
	{ 0x200, 0x100, 0x100 },
	/* Across regions, apart. */
	{ 0x2000, 0x0f00, 0x0a00 },
	{ 0x0f00, 0x2000, 0x0a00 },
	{ 0x0ffc, 0x2000, 8 },
	{ 0x2000, 0x0ffc, 8 },
	{ 0x0ffb, 0x17fd, 11 },
	/* Across regions, overlapping, either way. */
	{ 0x0001, 0x0000, 0x2fff },
	{ 0x0000, 0x0001, 0x2fff },
	{ 0x0007, 0x0000, 0x2ff9 },
	{ 0x0000, 0x0007, 0x2ff9 },
	{ 0x1000, 0x0000, 0x2000 },
	{ 0x0000, 0x1000, 0x2000 },
	{ 0x1003, 0x0ffe, 0x0100 },
	{ 0x0ffe, 0x1003, 0x0100 },
	{ 0x0200, 0x0000, 0x2e00 },
	{ 0x0000, 0x0200, 0x2e00 },
	{ 0x0000, 0x0000, 0x3000 },
};

START_TEST(table)
{
	expect_copy(rows[_i].target, rows[_i].source, rows[_i].len);
}
END_TEST

/* Every small distance and length over the 5-byte region, either way. */
START_TEST(every_small_shape)
{
	size_t source = 0xff8 + (size_t)_i, target, len;

	for (target = 0xff4; target < 0x100c; target++)
		for (len = 0; len <= 24; len += 1 + len / 8)
			expect_copy(target, source, len);
}
END_TEST

static const struct {
	uint64_t target;
	uint64_t source;
	uint64_t len;
	int code;
} bad_rows[] = {
	{ BASE, HOLE, 8, VMMEM_EBADADDR },
	{ HOLE, BASE, 8, VMMEM_EBADADDR },
	{ BASE, HOLE - 1, 2, VMMEM_EDENIED },
	{ HOLE - 1, BASE, 2, VMMEM_EBADADDR },
	{ BASE, BASE - 1, 8, VMMEM_EBADADDR },
	{ BASE - 1, BASE, 8, VMMEM_EBADADDR },
	{ ROM, BASE, 8, VMMEM_EDENIED },
	{ ROM - 1, BASE, 8, VMMEM_EDENIED },
	{ BASE, SINK, 8, VMMEM_EDENIED },
	{ BASE, SINK - 1, 8, VMMEM_EDENIED },
	{ BASE, TOP - 7, 9, VMMEM_EWRAPS },
	{ TOP - 7, BASE, 9, VMMEM_EWRAPS },
	{ TOP, TOP, 2, VMMEM_EWRAPS },
	{ BASE, BASE, TOP, VMMEM_EDENIED },
};

START_TEST(refusals_move_nothing)
{
	uint64_t done = 77;

	store(before);
	assert_code(vmmem_collection_copy(guest, bad_rows[_i].target,
					  bad_rows[_i].source,
					  bad_rows[_i].len, &done),
		    bad_rows[_i].code);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_copy(guest, bad_rows[_i].target,
					  bad_rows[_i].source,
					  bad_rows[_i].len, NULL),
		    bad_rows[_i].code);
	load(after);
	ck_assert_mem_eq(after, before, ALL);
	ck_assert(all_are(host_of(guest, TOP - 0xfff), 0, 0x1000));
}
END_TEST

START_TEST(no_bytes_from_nowhere_to_nowhere)
{
	uint64_t done = 77;

	assert_ok(vmmem_collection_copy(guest, HOLE, 0, 0, &done));
	ck_assert_uint_eq(done, 0);
	assert_ok(vmmem_collection_copy(guest, TOP, TOP, 0, &done));
	assert_ok(vmmem_collection_copy(guest, ROM, SINK, 0, NULL));
}
END_TEST

START_TEST(to_the_top_and_back)
{
	uint64_t done = 77;

	store(before);
	assert_ok(vmmem_collection_copy(guest, TOP - 15, BASE, 16, &done));
	ck_assert_uint_eq(done, 16);
	ck_assert_mem_eq(host_of(guest, TOP - 15), before, 16);
	/* Overlapping, and up to the last byte there is. */
	assert_ok(vmmem_collection_copy(guest, TOP - 14, TOP - 15, 15, &done));
	ck_assert_mem_eq(host_of(guest, TOP - 14), before, 15);
	assert_ok(vmmem_collection_copy(guest, BASE, TOP, 1, NULL));
	ck_assert_uint_eq(*host_of(guest, BASE), before[14]);
}
END_TEST

START_TEST(from_read_only_to_write_only)
{
	uint64_t done = 77;

	assert_ok(vmmem_collection_copy(guest, SINK, ROM, 0x1000, &done));
	ck_assert_uint_eq(done, 0x1000);
	store(before);
	assert_ok(vmmem_collection_copy(guest, BASE + 1, ROM, 0x1000, NULL));
	load(after);
	ck_assert_uint_eq(after[0], before[0]);
	ck_assert(all_are(after + 1, 0, 0x1000));
	ck_assert_mem_eq(after + 0x1001, before + 0x1001, ALL - 0x1001);
}
END_TEST

#define ADD_TABLE(tcase, test, rows)                                       \
	tcase_add_loop_test(tcase, test, 0, (int)ARRAY_LEN(rows))

Suite *
make_suite(void)
{
	Suite *suite = suite_create("access_copy");
	TCase *tcase = tcase_create("access_copy");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_TABLE(tcase, table, rows);
	tcase_add_loop_test(tcase, every_small_shape, 0, 16);
	ADD_TABLE(tcase, refusals_move_nothing, bad_rows);
	tcase_add_test(tcase, no_bytes_from_nowhere_to_nowhere);
	tcase_add_test(tcase, to_the_top_and_back);
	tcase_add_test(tcase, from_read_only_to_write_only);
	suite_add_tcase(suite, tcase);
	return suite;
}
