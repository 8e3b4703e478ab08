/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Guest memory as struct iovec, and marking what was written through it. */
#include <sys/uio.h>

#include <vmmem/iovec.h>

#include "device.h"
#include "slices.h"
#include "suite.h"

/*
 * Regions of 0x1000 bytes.  A and B touch in the host too, but are logged
 * apart; C follows in the guest only, D in the host only.
 */
#define A UINT64_C(0x10000)
#define B UINT64_C(0x11000)
#define C UINT64_C(0x12000)
#define ROM UINT64_C(0x13000)
#define D UINT64_C(0x20000)
/* One that is callbacks, one mapped on demand, and one at the end of all. */
#define DEVICE UINT64_C(0x30000)
#define GRANTS UINT64_C(0x40000)
#define LAST (TOP - 0xfff)
#define SIZE UINT64_C(0x1000)
#define PAGE UINT64_C(64)

static _Alignas(16) uint8_t memory[4 * 0x1000];
static struct vmmem_collection *guest;
static struct vmmem_region *logged[3];
static struct device device;
static struct grants grants;
static struct iovec iov[16];

/* What the array holds before a call, and behind what a call stored. */
#define UNTOUCHED ((void *)(uintptr_t)0x5a50)

static struct vmmem_region *
external(uint64_t gpa, uint8_t *host, uint32_t protection, int tracked)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;

	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, gpa, SIZE);
	vmmem_region_builder_set_external(builder, host, NULL, NULL);
	vmmem_region_builder_set_protection(builder, protection);
	if (tracked)
		vmmem_region_builder_set_tracking(builder, PAGE);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	if (tracked)
		assert_ok(vmmem_bitmap_start_logging(vmmem_region_bitmap(region)));
	return region;
}

static void
setup(void)
{
	struct vmmem_region *regions[8];
	size_t i;

	regions[0] = external(A, memory, READ_WRITE, 1);
	regions[1] = external(B, memory + SIZE, READ_WRITE, 1);
	regions[2] = external(C, memory + 3 * SIZE, READ_WRITE, 1);
	regions[3] = region_with(ROM, SIZE, VMMEM_PROT_READ);
	regions[4] = external(D, memory + 2 * SIZE, READ_WRITE, 0);
	device_init(&device);
	assert_ok(vmmem_region_new_custom(DEVICE, DEVICE_LEN, &device_ops,
					  &device, &regions[5]));
	regions[6] = region_of_grants(GRANTS, &grants);
	regions[7] = region_of(LAST, SIZE);
	for (i = 0; i < 3; i++)
		logged[i] = vmmem_region_ref(regions[i]);
	guest = guest_of(regions, ARRAY_LEN(regions));
	for (i = 0; i < ARRAY_LEN(iov); i++)
		iov[i] = (struct iovec){ UNTOUCHED, 0x5a };
}

static void
teardown(void)
{
	size_t i;

	for (i = 0; i < 3; i++)
		vmmem_region_unref(logged[i]);
	guest = vmmem_collection_unref(guest);
}

/* The i-th element is [host, host + len). */
static void
expect(size_t i, const void *host, size_t len)
{
	ck_assert_ptr_eq(iov[i].iov_base, host);
	ck_assert_uint_eq(iov[i].iov_len, len);
}

/* What is known of a range: its elements by the host's address. */
static const struct {
	uint64_t gpa, len;
	uint32_t access;
	size_t count;
	struct {
		size_t at, len; /* in 'memory' */
	} want[2];
} ranges[] = {
	{ A, 1, READ_WRITE, 1, { { 0, 1 } } },
	{ A + 5, SIZE - 5, VMMEM_PROT_READ, 1, { { 5, SIZE - 5 } } },
	/* Joined, though it is two regions and two logs. */
	{ A + SIZE - 1, 2, VMMEM_PROT_WRITE, 1, { { SIZE - 1, 2 } } },
	{ A, 2 * SIZE, 0, 1, { { 0, 2 * SIZE } } },
	/* Not joined: elsewhere in the host. */
	{ B, 2 * SIZE, READ_WRITE, 2, { { SIZE, SIZE }, { 3 * SIZE, SIZE } } },
	{ A + 3, 3 * SIZE - 4, READ_WRITE, 2,
	  { { 3, 2 * SIZE - 3 }, { 3 * SIZE, SIZE - 1 } } },
};

START_TEST(of_a_range)
{
	size_t i, j, count = 77;

	for (i = 0; i < ARRAY_LEN(ranges); i++) {
		assert_ok(vmmem_collection_iovec(guest, ranges[i].gpa,
						 ranges[i].len,
						 ranges[i].access, iov,
						 ranges[i].count, &count,
						 NULL));
		ck_assert_uint_eq(count, ranges[i].count);
		for (j = 0; j < count; j++)
			expect(j, memory + ranges[i].want[j].at,
			       ranges[i].want[j].len);
		expect(2, UNTOUCHED, 0x5a);
	}
	/* Up to the last byte of all. */
	assert_ok(vmmem_collection_iovec(guest, LAST, SIZE, READ_WRITE, iov, 1,
					 &count, NULL));
	expect(0, host_of(guest, LAST), SIZE);
}
END_TEST

START_TEST(no_bytes)
{
	const struct vmmem_range none[] = { { TOP, 0 }, { 0x666000, 0 } };
	const struct vmmem_slice empty = { .len = 0 };
	size_t count = 77;

	assert_ok(vmmem_collection_iovec(guest, 0x666000, 0, READ_WRITE, NULL,
					 0, &count, NULL));
	ck_assert_uint_eq(count, 0);
	count = 77;
	assert_ok(vmmem_collection_iovec_ranges(guest, none, 2, READ_WRITE,
						iov, 16, &count, NULL));
	ck_assert_uint_eq(count, 0);
	count = 77;
	assert_ok(vmmem_collection_iovec_ranges(guest, NULL, 0, READ_WRITE,
						iov, 16, &count, NULL));
	ck_assert_uint_eq(count, 0);
	count = 77;
	assert_ok(vmmem_slice_list_iovec(&empty, 1, READ_WRITE, iov, 16,
					 &count));
	ck_assert_uint_eq(count, 0);
	assert_ok(vmmem_slice_list_iovec(NULL, 0, READ_WRITE, iov, 16,
					 &count));
	expect(0, UNTOUCHED, 0x5a);
	assert_ok(vmmem_collection_mark(guest, 0x666000, 0));
	assert_ok(vmmem_collection_mark_ranges(guest, none, 2, 0));
	assert_ok(vmmem_collection_mark_ranges(guest, NULL, 0, 0));
	assert_ok(vmmem_slice_list_mark(NULL, 0, 0));
}
END_TEST

/* Seven members, two of them empty, that are four pieces of host memory. */
static const struct vmmem_range chain[] = {
	{ A + 0x10, 0x20 }, { A + 0x30, 0x40 }, { 0x666000, 0 },
	{ C, SIZE },	    { TOP, 0 },		{ B + SIZE - 8, 8 },
	{ D, 0x100 },	    { A, 1 },
};
#define CHAIN ARRAY_LEN(chain)
#define PIECES 4
#define BYTES (0x60 + SIZE + 8 + 0x100 + 1)

static void
expect_chain(size_t count)
{
	static const struct {
		size_t at, len;
	} want[PIECES] = {
		{ 0x10, 0x60 },
		{ 3 * SIZE, SIZE },
		/* D lies behind B in the host. */
		{ 2 * SIZE - 8, 8 + 0x100 },
		{ 0, 1 },
	};
	size_t i;

	for (i = 0; i < count; i++)
		expect(i, memory + want[i].at, want[i].len);
	expect(count, UNTOUCHED, 0x5a);
}

START_TEST(of_a_chain)
{
	size_t count = 77;

	assert_ok(vmmem_collection_iovec_ranges(guest, chain, CHAIN,
						VMMEM_PROT_WRITE, iov, PIECES,
						&count, NULL));
	ck_assert_uint_eq(count, PIECES);
	expect_chain(PIECES);
}
END_TEST

/* With room for 0 to 3 of 4: what there is, and how many there are. */
START_TEST(too_little_room)
{
	size_t count = 77;

	assert_code(vmmem_collection_iovec_ranges(
			    guest, chain, CHAIN, READ_WRITE,
			    _i == 0 ? NULL : iov, (size_t)_i, &count, NULL),
		    VMMEM_ENOROOM);
	ck_assert_uint_eq(count, PIECES);
	expect_chain((size_t)_i);
	if (_i == 0) {
		assert_code(vmmem_collection_iovec(guest, A, 3 * SIZE, 0, NULL,
						   0, &count, NULL),
			    VMMEM_ENOROOM);
		ck_assert_uint_eq(count, 2);
	}
	/* The rest is looked at, too. */
	count = 77;
	assert_code(vmmem_collection_iovec(guest, A, 5 * SIZE, 0, iov, 0,
					   &count, NULL), VMMEM_EBADADDR);
	assert_code(vmmem_collection_iovec(guest, A, 4 * SIZE,
					   VMMEM_PROT_WRITE, iov, 1, &count,
					   NULL),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(count, 77);
}
END_TEST

START_TEST(refusals)
{
	const struct vmmem_range bad[] = { { A, 8 }, { DEVICE - 1, 1 } };
	size_t count = 77;

	assert_code(vmmem_collection_iovec(guest, A, 5 * SIZE, READ_WRITE, iov,
					   16, &count, NULL), VMMEM_EDENIED);
	assert_code(vmmem_collection_iovec(guest, A, 5 * SIZE, VMMEM_PROT_READ,
					   iov, 16, &count,
					   NULL), VMMEM_EBADADDR);
	assert_code(vmmem_collection_iovec(guest, 0, 1, 0, iov, 16, &count,
					   NULL),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_iovec(guest, LAST, SIZE + 1, 0, iov, 16,
					   &count, NULL), VMMEM_EWRAPS);
	assert_code(vmmem_collection_iovec(guest, TOP, TOP, 0, iov, 16,
					   &count, NULL), VMMEM_EWRAPS);
	assert_code(vmmem_collection_iovec(guest, DEVICE, 1, READ_WRITE, iov,
					   16, &count, NULL), VMMEM_ENOHOST);
	assert_code(vmmem_collection_iovec(guest, GRANTS, 1, READ_WRITE, iov,
					   16, &count, NULL), VMMEM_ENOHOST);
	assert_code(vmmem_collection_iovec_ranges(guest, bad, 2, READ_WRITE,
						  iov, 16, &count, NULL),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_iovec(NULL, A, 1, 0, iov, 16, &count,
					   NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_iovec(guest, A, 1, 8, iov, 16, &count,
					   NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_iovec(guest, A, 1, 0, NULL, 1, &count,
					   NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_iovec(guest, A, 1, 0, iov, 1, NULL, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_iovec_ranges(guest, NULL, 1, 0, iov, 1,
						  &count,
						  NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_list_iovec(NULL, 1, 0, iov, 1, &count),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_mark(NULL, A, 1), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_mark_ranges(NULL, bad, 1, 1),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_mark_ranges(guest, NULL, 1, 1),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_list_mark(NULL, 1, 1), VMMEM_EARGUMENT);
	ck_assert_uint_eq(count, 77);
	ck_assert_uint_eq(grants.acquired, 0);
	ck_assert_uint_eq(device.reads + device.writes, 0);
}
END_TEST

/* ---- marking ------------------------------------------------------------- */

/* How many bytes of the chain's first 'len' lie in a page of the log. */
static int
is_written(size_t region, uint64_t page, uint64_t len)
{
	static const uint64_t starts[] = { A, B, C };
	size_t i;

	for (i = 0; i < CHAIN && len != 0; i++) {
		const uint64_t from = chain[i].gpa - starts[region];
		const uint64_t piece =
			chain[i].len < len ? chain[i].len : len;

		if (chain[i].gpa >= starts[region] && from < SIZE &&
		    piece != 0 && from < page + PAGE && page < from + piece)
			return 1;
		len -= piece;
	}
	return 0;
}

static void
expect_marks(uint64_t len)
{
	uint64_t page;
	size_t i;

	for (i = 0; i < 3; i++) {
		struct vmmem_bitmap *bitmap = vmmem_region_bitmap(logged[i]);

		for (page = 0; page < SIZE; page += PAGE)
			if (vmmem_bitmap_test(bitmap, page) !=
			    is_written(i, page, len))
				ck_abort_msg("%ju bytes: page %#jx of %zu",
					     (uintmax_t)len, (uintmax_t)page,
					     i);
		assert_ok(vmmem_bitmap_clear(bitmap, 0, SIZE));
	}
}

/* The first bytes of a chain, however many. */
START_TEST(marks_what_was_written)
{
	uint64_t len;

	expect_marks(0);
	for (len = 0; len <= BYTES; len++) {
		assert_ok(vmmem_collection_mark_ranges(guest, chain, CHAIN,
						       len));
		expect_marks(len);
	}
	/* A device that says it wrote more has written it all. */
	assert_code(vmmem_collection_mark_ranges(guest, chain, CHAIN,
						 BYTES + 1),
		    VMMEM_EOUTOFRANGE);
	expect_marks(BYTES);
	assert_code(vmmem_collection_mark_ranges(guest, chain, CHAIN, TOP),
		    VMMEM_EOUTOFRANGE);
	expect_marks(BYTES);
}
END_TEST

static uint64_t
marked_in(size_t region)
{
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(logged[region]);
	uint64_t count = vmmem_bitmap_count(bitmap);

	assert_ok(vmmem_bitmap_clear(bitmap, 0, SIZE));
	return count;
}

/* What is mapped is marked, whatever else there is in the range. */
START_TEST(marks_ranges)
{
	const struct vmmem_range torn[] = {
		{ A, 1 }, { 0x666000, 10 }, { C + 2 * PAGE, 1 },
	};
	struct vmmem_collection *alone;

	assert_ok(vmmem_collection_mark(guest, A + PAGE - 1, 2));
	ck_assert_uint_eq(marked_in(0), 2);
	assert_ok(vmmem_collection_mark(guest, A + SIZE - 1, 2 + SIZE));
	ck_assert_uint_eq(marked_in(0), 1);
	ck_assert_uint_eq(marked_in(1), SIZE / PAGE);
	ck_assert_uint_eq(marked_in(2), 1);
	assert_code(vmmem_collection_mark(guest, A - 0x100, 0x101),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(marked_in(0), 1);
	assert_code(vmmem_collection_mark(guest, 0, TOP), VMMEM_EBADADDR);
	ck_assert_uint_eq(marked_in(0) + marked_in(1) + marked_in(2),
			  3 * SIZE / PAGE);
	assert_code(vmmem_collection_mark(guest, A + 1, TOP), VMMEM_EBADADDR);
	ck_assert_uint_eq(marked_in(0) + marked_in(1) + marked_in(2),
			  3 * SIZE / PAGE);
	assert_code(vmmem_collection_mark(guest, TOP, 2), VMMEM_EWRAPS);
	assert_code(vmmem_collection_mark(guest, ROM + SIZE, 0x100),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_mark(guest, 0, 0x100), VMMEM_EBADADDR);
	ck_assert_uint_eq(marked_in(0) + marked_in(1) + marked_in(2), 0);
	/* A range in the hole behind a region that is logged. */
	alone = guest_of_one(vmmem_region_ref(logged[1]));
	assert_code(vmmem_collection_mark(alone, B + SIZE, 1), VMMEM_EBADADDR);
	assert_code(vmmem_collection_mark(alone, B + SIZE + 0x100, TOP),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(marked_in(1), 0);
	vmmem_collection_unref(alone);
	/* What is not logged is no failure, nor what may not be written. */
	assert_ok(vmmem_collection_mark(guest, D, SIZE));
	assert_ok(vmmem_collection_mark(guest, ROM, SIZE));
	assert_code(vmmem_collection_mark_ranges(guest, torn, 3, 12),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(marked_in(0), 1);
	ck_assert_uint_eq(marked_in(2), 1);
	/* Off, nothing is marked. */
	assert_ok(vmmem_bitmap_stop_logging(vmmem_region_bitmap(logged[0])));
	if (!vmmem_bitmap_is_logging(vmmem_region_bitmap(logged[0]))) {
		assert_ok(vmmem_collection_mark(guest, A, SIZE));
		ck_assert_uint_eq(marked_in(0), 0);
	}
}
END_TEST

START_TEST(empty_collection)
{
	struct vmmem_collection *empty = NULL;
	size_t count = 77;

	assert_ok(vmmem_collection_new_empty(&empty));
	assert_code(vmmem_collection_mark(empty, 0, 1), VMMEM_EBADADDR);
	assert_code(vmmem_collection_iovec(empty, 0, 1, 0, iov, 1, &count,
					   NULL),
		    VMMEM_EBADADDR);
	assert_ok(vmmem_collection_iovec(empty, 0, 0, 0, iov, 1, &count, NULL));
	ck_assert_uint_eq(count, 0);
	vmmem_collection_unref(empty);
}
END_TEST

/* ---- slices -------------------------------------------------------------- */

static struct vmmem_slice
slice_at(uint64_t gpa, uint64_t len, uint32_t access)
{
	struct vmmem_slice slice;

	assert_ok(vmmem_collection_slice(guest, gpa, len, access, &slice));
	return slice;
}

START_TEST(of_slices)
{
	struct vmmem_slice slices[CHAIN + 1];
	size_t i, count = 77;

	for (i = 0; i < CHAIN; i++)
		slices[i] = slice_at(chain[i].gpa, chain[i].len, READ_WRITE);
	assert_ok(vmmem_slice_list_iovec(slices, CHAIN, VMMEM_PROT_WRITE, iov,
					 PIECES, &count));
	ck_assert_uint_eq(count, PIECES);
	expect_chain(PIECES);
	count = 77;
	assert_code(vmmem_slice_list_iovec(slices, CHAIN, VMMEM_PROT_WRITE,
					   NULL, 0, &count), VMMEM_ENOROOM);
	ck_assert_uint_eq(count, PIECES);
	for (i = 0; i <= BYTES; i += 31) {
		assert_ok(vmmem_slice_list_mark(slices, CHAIN, i));
		expect_marks(i);
	}
	assert_code(vmmem_slice_list_mark(slices, CHAIN, BYTES + 1),
		    VMMEM_EOUTOFRANGE);
	expect_marks(BYTES);
	/* The permission is that of each. */
	slices[CHAIN] = slice_at(A, 1, VMMEM_PROT_READ);
	count = 77;
	assert_code(vmmem_slice_list_iovec(slices, CHAIN + 1, VMMEM_PROT_WRITE,
					   iov, 16, &count), VMMEM_EDENIED);
	ck_assert_uint_eq(count, 77);
	assert_code(vmmem_slice_list_iovec(slices, CHAIN + 1, 4, iov, 16,
					   &count), VMMEM_EARGUMENT);
	assert_ok(vmmem_slice_list_iovec(slices, CHAIN + 1, VMMEM_PROT_READ,
					 iov, 16, &count));
}
END_TEST

/* Memory on demand is acquired by whoever makes the slices. */
START_TEST(of_grants)
{
	struct vmmem_slice slices[2];
	size_t i, count = 77;

	slices[0] = slice_at(GRANTS, 0x100, VMMEM_PROT_WRITE);
	slices[1] = slice_at(GRANTS + 0x100, 0x100, VMMEM_PROT_WRITE);
	assert_ok(vmmem_slice_list_iovec(slices, 2, VMMEM_PROT_WRITE, iov, 16,
					 &count));
	ck_assert_uint_eq(count, 1);
	expect(0, grants.bytes, 0x200);
	assert_ok(vmmem_slice_list_mark(slices, 2, 0x200));
	for (i = 0; i < 2; i++)
		vmmem_slice_release(&slices[i]);
	expect_grants(&grants, 2);
}
END_TEST

/* A list is of the same places as the iovec, and marks where they are. */
START_TEST(list_of_a_chain)
{
	struct vmmem_slice slices[16];
	size_t i, needed = 77, count = 77;

	assert_code(vmmem_collection_slice_list(guest, chain, CHAIN, READ_WRITE,
						NULL, 0, &needed, NULL),
		    VMMEM_ENOROOM);
	ck_assert_uint_ge(needed, PIECES);
	ck_assert_uint_le(needed, 16);
	assert_ok(vmmem_collection_slice_list(guest, chain, CHAIN, READ_WRITE,
					      slices, needed, &count, NULL));
	ck_assert_uint_eq(count, needed);
	assert_ok(vmmem_slice_list_iovec(slices, count, VMMEM_PROT_WRITE, iov,
					 PIECES, &count));
	ck_assert_uint_eq(count, PIECES);
	expect_chain(PIECES);
	for (i = 0; i <= BYTES; i += 31) {
		assert_ok(vmmem_slice_list_mark(slices, needed, i));
		expect_marks(i);
	}
	vmmem_slice_list_release(slices, needed);
	vmmem_slice_list_release(NULL, 5);
}
END_TEST

/* What is mapped on demand is held with 0, and not with any code. */
START_TEST(list_of_grants)
{
	const struct vmmem_range two[] = {
		{ GRANTS, 0x100 }, { A, 0 }, { GRANTS + 0x200, 0x80 },
	};
	const struct vmmem_range hole[] = {
		{ GRANTS, 0x100 }, { D + SIZE, 1 },
	};
	struct vmmem_slice slices[2];
	size_t i, count = 77;

	assert_ok(vmmem_collection_slice_list(guest, two, 3, VMMEM_PROT_WRITE,
					      slices, 2, &count, NULL));
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(grants.acquired - grants.released, 2);
	vmmem_slice_list_release(slices, 2);
	expect_grants(&grants, 2);
	for (i = 0; i < 2; i++) {
		ck_assert_uint_eq(slices[i].flags, 0);
		ck_assert_ptr_null(slices[i].host);
		ck_assert_uint_eq(slices[i].len, 0);
	}
	vmmem_slice_list_release(slices, 2);
	expect_grants(&grants, 2);
	count = 77;
	assert_code(vmmem_collection_slice_list(guest, two, 3, VMMEM_PROT_WRITE,
						slices, 1, &count, NULL),
		    VMMEM_ENOROOM);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(grants.acquired, 4);
	ck_assert_uint_eq(grants.released, 4);
	count = 77;
	assert_code(vmmem_collection_slice_list(guest, hole, 2,
						VMMEM_PROT_WRITE, slices, 2,
						&count, NULL),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(count, 77);
	ck_assert_uint_eq(grants.acquired, 5);
	ck_assert_uint_eq(grants.released, 5);
}
END_TEST

START_TEST(list_checks_its_arguments)
{
	struct vmmem_slice slice;
	size_t count = 77;

	assert_code(vmmem_collection_slice_list(NULL, chain, 1, 0, &slice, 1,
						&count, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_slice_list(guest, NULL, 1, 0, &slice, 1,
						&count, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_slice_list(guest, chain, 1, 4, &slice, 1,
						&count, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_slice_list(guest, chain, 1, 0, NULL, 1,
						&count, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_slice_list(guest, chain, 1, 0, &slice, 1,
						NULL, NULL), VMMEM_EARGUMENT);
	ck_assert_uint_eq(count, 77);
	assert_ok(vmmem_collection_slice_list(guest, NULL, 0, 0, NULL, 0,
					      &count, NULL));
	ck_assert_uint_eq(count, 0);
}
END_TEST

/* ---- used ---------------------------------------------------------------- */

START_TEST(readv_and_mark)
{
	int fd = file_of(0x1000);
	uint8_t want[0x1000], now[0x100];
	size_t count = 77;
	ssize_t got;

	pattern(want, sizeof(want), 1);
	ck_assert_int_eq(pwrite(fd, want, 0xfff, 0), 0xfff);
	assert_ok(vmmem_collection_iovec_ranges(guest, chain, CHAIN,
						VMMEM_PROT_WRITE, iov, 16,
						&count, NULL));
	ck_assert_int_eq(ftruncate(fd, 0xfff), 0);
	got = readv(fd, iov, (int)count);
	ck_assert_int_eq(got, 0xfff);
	assert_ok(vmmem_collection_mark_ranges(guest, chain, CHAIN,
					       (uint64_t)got));
	assert_ok(vmmem_collection_read(guest, A + 0x10, now, 0x60, NULL));
	ck_assert_mem_eq(now, want, 0x60);
	assert_ok(vmmem_collection_read(guest, C, now, 0x100, NULL));
	ck_assert_mem_eq(now, want + 0x60, 0x100);
	expect_marks(0xfff);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iovec");
	TCase *tcase = tcase_create("iovec");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, of_a_range);
	tcase_add_test(tcase, no_bytes);
	tcase_add_test(tcase, of_a_chain);
	tcase_add_loop_test(tcase, too_little_room, 0, PIECES);
	tcase_add_test(tcase, refusals);
	tcase_add_test(tcase, marks_what_was_written);
	tcase_add_test(tcase, marks_ranges);
	tcase_add_test(tcase, empty_collection);
	tcase_add_test(tcase, of_slices);
	tcase_add_test(tcase, of_grants);
	tcase_add_test(tcase, list_of_a_chain);
	tcase_add_test(tcase, list_of_grants);
	tcase_add_test(tcase, list_checks_its_arguments);
	tcase_add_test(tcase, readv_and_mark);
	suite_add_tcase(suite, tcase);
	return suite;
}
