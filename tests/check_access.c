/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Moving bytes; integers are in check_access_typed.c. */
#include <vmmem/access.h>

#include "guest.h"
#include "suite.h"

/* What no failing call may leave in a buffer. */
#define CLEAN 0x5a

/*
 * Pages that touch: readable and writable, a second such, read-only,
 * write-only, and a hole; then a page at the very top.
 */
#define FIRST UINT64_C(0x10000)
#define SECOND UINT64_C(0x11000)
#define ROM UINT64_C(0x12000)
#define SINK UINT64_C(0x13000)
#define HOLE UINT64_C(0x14000)
#define TOP_PAGE (TOP - 0xfff)

static struct vmmem_collection *guest;
static uint8_t buf[0x5000];

static void
setup(void)
{
	struct vmmem_region *regions[] = {
		region_of(FIRST, 0x1000),
		region_of(SECOND, 0x1000),
		region_with(ROM, 0x1000, VMMEM_PROT_READ),
		region_with(SINK, 0x1000, VMMEM_PROT_WRITE),
		region_of(TOP_PAGE, 0x1000),
	};

	guest = guest_of(regions, 5);
	memset(buf, CLEAN, sizeof(buf));
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
}

/*
 * What each access to a range gives: the code, and how many bytes from its
 * start on are good.  The plain form moves none of them if not all are.
 */
static const struct {
	uint64_t gpa;
	size_t len;
	int read;
	size_t readable;
	int write;
	size_t writable;
} rows[] = {
	{ FIRST, 1, 0, 1, 0, 1 },
	{ FIRST, 0x1000, 0, 0x1000, 0, 0x1000 },
	{ FIRST + 0xfff, 1, 0, 1, 0, 1 },
	{ FIRST + 0xffd, 7, 0, 7, 0, 7 },
	{ FIRST, 0x2000, 0, 0x2000, 0, 0x2000 },
	{ FIRST + 1, 0x1ffe, 0, 0x1ffe, 0, 0x1ffe },
	{ TOP, 1, 0, 1, 0, 1 },
	{ TOP_PAGE, 0x1000, 0, 0x1000, 0, 0x1000 },
	/* Nothing is looked at for nothing. */
	{ 0, 0, 0, 0, 0, 0 },
	{ HOLE, 0, 0, 0, 0, 0 },
	{ ROM, 0, 0, 0, 0, 0 },
	{ SINK, 0, 0, 0, 0, 0 },
	{ TOP, 0, 0, 0, 0, 0 },
	/* Holes. */
	{ 0, 1, VMMEM_EBADADDR, 0, VMMEM_EBADADDR, 0 },
	{ FIRST - 1, 2, VMMEM_EBADADDR, 0, VMMEM_EBADADDR, 0 },
	{ HOLE, 8, VMMEM_EBADADDR, 0, VMMEM_EBADADDR, 0 },
	{ HOLE - 8, 16, VMMEM_EDENIED, 0, VMMEM_EBADADDR, 8 },
	{ TOP_PAGE - 1, 2, VMMEM_EBADADDR, 0, VMMEM_EBADADDR, 0 },
	/* Permissions. */
	{ ROM, 8, 0, 8, VMMEM_EDENIED, 0 },
	{ ROM - 8, 16, 0, 16, VMMEM_EDENIED, 8 },
	{ FIRST, 0x3000, 0, 0x3000, VMMEM_EDENIED, 0x2000 },
	{ SINK, 8, VMMEM_EDENIED, 0, 0, 8 },
	{ SINK - 8, 16, VMMEM_EDENIED, 8, VMMEM_EDENIED, 0 },
	{ FIRST, 0x4000, VMMEM_EDENIED, 0x3000, VMMEM_EDENIED, 0x2000 },
	/* The first byte that fails decides. */
	{ FIRST, 0x4001, VMMEM_EDENIED, 0x3000, VMMEM_EDENIED, 0x2000 },
	/* The top of the address space is no way to its bottom. */
	{ TOP, 2, VMMEM_EWRAPS, 1, VMMEM_EWRAPS, 1 },
	{ TOP - 7, 16, VMMEM_EWRAPS, 8, VMMEM_EWRAPS, 8 },
	{ TOP_PAGE, 0x1001, VMMEM_EWRAPS, 0x1000, VMMEM_EWRAPS, 0x1000 },
};

/* A byte in guest memory, seen without the functions under test. */
static uint8_t
byte_at(uint64_t gpa)
{
	return *host_of(guest, gpa);
}

/* What a readable byte holds: only writable ones were given a value. */
static uint8_t
value_at(uint64_t gpa, size_t i)
{
	return gpa + i < ROM || gpa + i > HOLE ? (uint8_t)(i * 7 + 1) : 0;
}

static void
prepare(uint64_t gpa, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (value_at(gpa, i) != 0)
			*host_of(guest, gpa + i) = value_at(gpa, i);
}

static void
expect_read(uint64_t gpa, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (buf[i] != value_at(gpa, i))
			ck_abort_msg("byte %#zx is %#x, not %#x", i, buf[i],
				     value_at(gpa, i));
	ck_assert(all_are(buf + count, CLEAN, sizeof(buf) - count));
}

START_TEST(read_table)
{
	uint64_t gpa = rows[_i].gpa;
	size_t len = rows[_i].len, good = rows[_i].readable, done = 77;
	size_t all = rows[_i].read == 0 ? len : 0;

	prepare(gpa, good);
	assert_code(vmmem_collection_read(guest, gpa, buf, len, &done),
		    rows[_i].read);
	ck_assert_uint_eq(done, all);
	expect_read(gpa, all);
	assert_code(vmmem_collection_read(guest, gpa, buf, len, NULL),
		    rows[_i].read);

	memset(buf, CLEAN, sizeof(buf));
	done = 77;
	assert_code(vmmem_collection_read_some(guest, gpa, buf, len, &done),
		    rows[_i].read);
	ck_assert_uint_eq(done, good);
	expect_read(gpa, good);
	assert_code(vmmem_collection_read_some(guest, gpa, buf, len, NULL),
		    rows[_i].read);
}
END_TEST

/* Every byte that can be looked at is what it should be. */
static void
expect_written(uint64_t gpa, size_t count, const uint8_t *expected)
{
	static const uint64_t pages[] = { FIRST, SECOND, ROM, TOP_PAGE };
	size_t page, i;

	for (page = 0; page < ARRAY_LEN(pages); page++) {
		const uint8_t *host = host_of(guest, pages[page]);

		for (i = 0; i < 0x1000; i++) {
			uint64_t offset = pages[page] + i - gpa;
			uint8_t want = offset < count ? expected[offset] : 0;

			if (host[i] != want)
				ck_abort_msg("byte %#zx of page %zu is %#x, "
					     "not %#x", i, page, host[i],
					     want);
		}
	}
}

static void
clear(void)
{
	memset(host_of(guest, FIRST), 0, 0x1000);
	memset(host_of(guest, SECOND), 0, 0x1000);
	memset(host_of(guest, TOP_PAGE), 0, 0x1000);
}

START_TEST(write_table)
{
	uint64_t gpa = rows[_i].gpa;
	size_t len = rows[_i].len, good = rows[_i].writable, done = 77;
	size_t all = rows[_i].write == 0 ? len : 0;

	pattern(buf, sizeof(buf), 1);
	assert_code(vmmem_collection_write(guest, gpa, buf, len, &done),
		    rows[_i].write);
	ck_assert_uint_eq(done, all);
	expect_written(gpa, all, buf);
	assert_code(vmmem_collection_write(guest, gpa, buf, len, NULL),
		    rows[_i].write);

	clear();
	done = 77;
	assert_code(vmmem_collection_write_some(guest, gpa, buf, len, &done),
		    rows[_i].write);
	ck_assert_uint_eq(done, good);
	expect_written(gpa, good, buf);
	assert_code(vmmem_collection_write_some(guest, gpa, buf, len, NULL),
		    rows[_i].write);
}
END_TEST

/* expect_bytes_of() wants 'value' in each of 'len' bytes of 'map'. */
static void
expect_bytes_of(const struct vmmem_collection *map, uint64_t gpa, size_t len,
		uint8_t value)
{
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t got = (uint8_t)~value;

		assert_ok(vmmem_collection_read_u8(map, gpa + i, &got));
		if (got != value)
			ck_abort_msg("byte %#zx is %#x and not %#x", i, got,
				     value);
	}
}

START_TEST(fill_table)
{
	uint64_t gpa = rows[_i].gpa, len = rows[_i].len, done = 77;
	size_t good = rows[_i].writable;
	size_t all = rows[_i].write == 0 ? rows[_i].len : 0;

	memset(buf, 0xc3, sizeof(buf));
	assert_code(vmmem_collection_fill(guest, gpa, len, 0xc3, &done),
		    rows[_i].write);
	ck_assert_uint_eq(done, all);
	expect_written(gpa, all, buf);
	assert_code(vmmem_collection_fill(guest, gpa, len, 0xc3, NULL),
		    rows[_i].write);

	clear();
	done = 77;
	assert_code(vmmem_collection_fill_some(guest, gpa, len, 0xc3, &done),
		    rows[_i].write);
	ck_assert_uint_eq(done, good);
	expect_written(gpa, good, buf);
	assert_code(vmmem_collection_fill_some(guest, gpa, len, 0xc3, NULL),
		    rows[_i].write);
}
END_TEST

/*
 * The length stands beside the address, as in all functions of a range: a page
 * of zeros is a page of zeros, and not no bytes of the value 4096.
 */
START_TEST(fill_with_zeros)
{
	const size_t len = 4096;
	uint64_t done = 77;
	struct vmmem_collection *pages;
	struct vmmem_slice slice;

	assert_ok(vmmem_collection_new_ranges(
		&(struct vmmem_range){ .gpa = 0, .len = 2 * len }, 1, NULL,
		&pages));

	assert_ok(vmmem_collection_fill(pages, 0, 2 * len, 0x5a, &done));
	ck_assert_uint_eq(done, 2 * len);
	assert_ok(vmmem_collection_fill(pages, 0, len, 0, &done));
	ck_assert_uint_eq(done, len);
	expect_bytes_of(pages, 0, len, 0);
	expect_bytes_of(pages, len, len, 0x5a);

	assert_ok(vmmem_collection_fill_some(pages, len, len, 0, &done));
	ck_assert_uint_eq(done, len);
	expect_bytes_of(pages, len, len, 0);

	assert_ok(vmmem_collection_slice(pages, 0, 2 * len,
					 VMMEM_PROT_WRITE, &slice));
	assert_ok(vmmem_slice_fill(&slice, 0, 2 * len, 0xa5));
	assert_ok(vmmem_slice_fill(&slice, len, len, 0));
	expect_bytes_of(pages, 0, len, 0xa5);
	expect_bytes_of(pages, len, len, 0);
	vmmem_slice_release(&slice);
	vmmem_collection_unref(pages);
}
END_TEST

/* After a failure, check() tells where; and the count says the same. */
START_TEST(check_tells_where)
{
	uint64_t gpa = rows[_i].gpa, bad = 0;
	size_t len = rows[_i].len;
	int code;

	code = vmmem_collection_check(guest, gpa, len, VMMEM_PROT_READ, &bad);
	assert_code(code, rows[_i].read);
	if (code == VMMEM_EBADADDR || code == VMMEM_EDENIED)
		ck_assert_uint_eq(bad, gpa + rows[_i].readable);
	code = vmmem_collection_check(guest, gpa, len, VMMEM_PROT_WRITE, &bad);
	assert_code(code, rows[_i].write);
	if (code == VMMEM_EBADADDR || code == VMMEM_EDENIED)
		ck_assert_uint_eq(bad, gpa + rows[_i].writable);
}
END_TEST

/* Every start and length around a region's end, from every buffer offset. */
START_TEST(every_small_shape)
{
	uint8_t from[64], to[64];
	size_t start, len, shift = (size_t)_i;

	for (start = 0; start < 32; start++) {
		for (len = 0; len <= 40; len++) {
			uint64_t gpa = SECOND - 16 + start;
			size_t done = 77;

			memset(host_of(guest, SECOND - 32), 0, 32);
			memset(host_of(guest, SECOND), 0, 64);
			pattern(from, sizeof(from), (unsigned int)len);
			assert_ok(vmmem_collection_write(
				guest, gpa, from + shift, len, &done));
			ck_assert_uint_eq(done, len);
			ck_assert_uint_eq(byte_at(gpa - 1), 0);
			ck_assert_uint_eq(byte_at(gpa + len), 0);
			memset(to, CLEAN, sizeof(to));
			assert_ok(vmmem_collection_read(
				guest, gpa, to + shift, len, &done));
			ck_assert_mem_eq(to + shift, from + shift, len);
			ck_assert(all_are(to, CLEAN, shift));
			ck_assert(all_are(to + shift + len, CLEAN,
					  sizeof(to) - shift - len));
		}
	}
}
END_TEST

/* Lengths around the limits of 32 bits, on memory that is hardly touched. */
START_TEST(large_lengths)
{
	static const uint64_t lens[] = {
		(UINT64_C(1) << 31) - 1, UINT64_C(1) << 31,
		(UINT64_C(1) << 32) - 1, UINT64_C(1) << 32,
		(UINT64_C(1) << 32) + 1,
	};
	uint64_t len = lens[_i], done = 77;
	struct vmmem_region *regions[] = {
		region_of(0, len),
		region_with(len, 0x1000, VMMEM_PROT_READ),
	};
	struct vmmem_collection *large = guest_of(regions, 2);
	uint8_t byte = 0;
	size_t count = 77;

	assert_ok(vmmem_collection_check(large, 0, len, VMMEM_PROT_WRITE,
					 NULL));
	assert_code(vmmem_collection_fill(large, 0, len + 1, 1, &done),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(done, 0);
	assert_ok(vmmem_collection_fill(large, len - 1, 1, 0x77, &done));
	assert_ok(vmmem_collection_read(large, len - 1, &byte, 1, &count));
	ck_assert_uint_eq(byte, 0x77);
	ck_assert_uint_eq(count, 1);
	assert_ok(vmmem_collection_copy(large, 0, len - 1, 1, &done));
	ck_assert_uint_eq(*host_of(large, 0), 0x77);
	/* Refused before a byte is moved, however much it would be. */
	assert_code(vmmem_collection_read(large, 0, &byte, SIZE_MAX, &count),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(count, 0);
	assert_code(vmmem_collection_write(large, 0, &byte, len + 1, &count),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(count, 0);
	assert_code(vmmem_collection_fill(large, 0, TOP, 1, &done),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(*host_of(large, 0), 0x77);
	vmmem_collection_unref(large);
}
END_TEST

START_TEST(null_pointers)
{
	uint64_t wide = 77;
	size_t done = 77;

	assert_code(vmmem_collection_read(NULL, FIRST, buf, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_read(guest, FIRST, NULL, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_read_some(NULL, FIRST, buf, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_read_some(guest, FIRST, NULL, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_write(NULL, FIRST, buf, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_write(guest, FIRST, NULL, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_write_some(NULL, FIRST, buf, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_write_some(guest, FIRST, NULL, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_fill(NULL, FIRST, 1, 1, &wide),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_fill_some(NULL, FIRST, 1, 1, &wide),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_copy(NULL, FIRST, FIRST, 1, &wide),
		    VMMEM_EARGUMENT);
	/* With this code, and with it alone, no count is written. */
	ck_assert_uint_eq(done, 77);
	ck_assert_uint_eq(wide, 77);
	ck_assert(all_are(buf, CLEAN, sizeof(buf)));
	ck_assert_uint_eq(byte_at(FIRST), 0);
}
END_TEST

START_TEST(null_buffer_of_no_bytes)
{
	size_t done = 77;

	assert_ok(vmmem_collection_read(guest, HOLE, NULL, 0, &done));
	ck_assert_uint_eq(done, 0);
	done = 77;
	assert_ok(vmmem_collection_read_some(guest, HOLE, NULL, 0, &done));
	ck_assert_uint_eq(done, 0);
	done = 77;
	assert_ok(vmmem_collection_write(guest, HOLE, NULL, 0, &done));
	ck_assert_uint_eq(done, 0);
	done = 77;
	assert_ok(vmmem_collection_write_some(guest, HOLE, NULL, 0, &done));
	ck_assert_uint_eq(done, 0);
	assert_ok(vmmem_collection_read(guest, FIRST, NULL, 0, NULL));
}
END_TEST

/* What a region has is its length, not the page that backs it. */
START_TEST(region_ends_where_it_says)
{
	struct vmmem_collection *odd = guest_of_one(region_of(3, 100));
	size_t done = 77;

	assert_ok(vmmem_collection_write(odd, 3, buf, 100, &done));
	ck_assert_uint_eq(done, 100);
	assert_code(vmmem_collection_write(odd, 3, buf, 101, &done),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_write(odd, 2, buf, 1, &done),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_write(odd, 103, buf, 1, &done),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_read_some(odd, 100, buf, 100, &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 3);
	vmmem_collection_unref(odd);
}
END_TEST

#define ADD_TABLE(tcase, test, rows)                                       \
	tcase_add_loop_test(tcase, test, 0, (int)ARRAY_LEN(rows))

Suite *
make_suite(void)
{
	Suite *suite = suite_create("access");
	TCase *tcase = tcase_create("access");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_TABLE(tcase, read_table, rows);
	ADD_TABLE(tcase, write_table, rows);
	ADD_TABLE(tcase, fill_table, rows);
	tcase_add_test(tcase, fill_with_zeros);
	ADD_TABLE(tcase, check_tells_where, rows);
	tcase_add_loop_test(tcase, every_small_shape, 0, 8);
	tcase_add_loop_test(tcase, large_lengths, 0, 5);
	tcase_add_test(tcase, null_pointers);
	tcase_add_test(tcase, null_buffer_of_no_bytes);
	tcase_add_test(tcase, region_ends_where_it_says);
	suite_add_tcase(suite, tcase);
	return suite;
}
