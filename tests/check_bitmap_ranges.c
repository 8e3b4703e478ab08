/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Ranges of bitmaps as arrays of bits, of any alignment: what VFIO, vfio-user
 * and KVM ask for.  Each is compared with a look at every byte.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "rng.h"
#include "suite.h"

#define LEN	  UINT64_C(20011)
#define BYTES	  ((size_t)(LEN / 64 + 8))
#define UNTOUCHED 0x5a

static struct rng rng;
static struct vmmem_bitmap *bitmap;
static uint64_t own_page;

static void
setup(void)
{
	rng.state = rng_seed();
	printf("VMMEM_TEST_SEED=0x%" PRIx64 "\n", rng.state);
	fflush(stdout);
}

/* A bitmap of a page size of no choice, with some runs of marks. */
static void
make(uint64_t len)
{
	uint64_t i, at;

	own_page = UINT64_C(64) << rng_below(&rng, 8);
	assert_ok(vmmem_bitmap_new(len, 0, own_page, NULL, &bitmap));
	for (i = rng_below(&rng, 8); i > 0; i--) {
		at = rng_below(&rng, len);
		assert_ok(vmmem_bitmap_mark(bitmap, at,
					    rng_below(&rng, len - at) /
						    (1 + rng_below(&rng, 20))));
	}
}

static bool
bit_of(const uint8_t *bits, uint64_t bit)
{
	return (bits[bit / 8] >> bit % 8 & 1) != 0;
}

/* Whether a byte of [first, end) is marked, by asking for each. */
static bool
any_marked(uint64_t first, uint64_t end)
{
	for (; first < end; first++)
		if (vmmem_bitmap_test(bitmap, first) != 0)
			return true;
	return false;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

START_TEST(exports)
{
	uint64_t round, rounds = rng_rounds(300);

	for (round = 0; round < rounds; round++) {
		uint64_t offset = rng_below(&rng, LEN), other, page, pages;
		uint64_t len = 1 + rng_below(&rng, LEN - offset);
		uint8_t bits[BYTES + 16], *at = bits + rng_below(&rng, 8);
		size_t bytes;

		make(LEN);
		other = UINT64_C(64) << rng_below(&rng, 9);
		pages = (len - 1) / other + 1;
		bytes = (size_t)(pages + 7) / 8;
		memset(bits, UNTOUCHED, sizeof(bits));
		assert_code(vmmem_bitmap_export(bitmap, offset, len, other, at,
						bytes - 1),
			    VMMEM_EOUTOFRANGE);
		ck_assert(all_are(bits, UNTOUCHED, sizeof(bits)));
		assert_ok(vmmem_bitmap_export(bitmap, offset, len, other, at,
					      bytes + 1));
		ck_assert_uint_eq(at[bytes], 0);
		ck_assert(all_are(bits, UNTOUCHED, (size_t)(at - bits)));
		ck_assert(all_are(at + bytes + 1, UNTOUCHED, 4));
		for (page = 0; page < bytes * 8; page++) {
			uint64_t first = least(page * other, len);
			uint64_t end = least((page + 1) * other, len);

			if (bit_of(at, page) !=
			    any_marked(offset + first, offset + end))
				ck_abort_msg("page %" PRIu64 " of %" PRIu64
					     " from %" PRIu64 " on",
					     page, other, offset);
		}
		vmmem_bitmap_unref(bitmap);
	}
}
END_TEST

START_TEST(merges)
{
	uint64_t round, rounds = rng_rounds(300);

	for (round = 0; round < rounds; round++) {
		uint64_t offset = rng_below(&rng, LEN), other, page, pages, i;
		uint64_t len = 1 + rng_below(&rng, LEN - offset);
		uint8_t bits[BYTES + 16], *at = bits + rng_below(&rng, 8);
		struct vmmem_bitmap *want = NULL;
		size_t bytes;

		make(LEN);
		assert_ok(vmmem_bitmap_clear(bitmap, 0, UINT64_MAX));
		assert_ok(vmmem_bitmap_new(LEN, 0, own_page, NULL, &want));
		other = UINT64_C(64) << rng_below(&rng, 9);
		pages = (len - 1) / other + 1;
		bytes = (size_t)(pages + 7) / 8;
		for (i = 0; i < sizeof(bits); i++)
			bits[i] = (uint8_t)(rng_chance(&rng, 20) ?
						    UINT8_MAX :
						    rng_next(&rng) &
							    rng_next(&rng));
		for (page = 0; page < pages; page++)
			if (bit_of(at, page))
				assert_ok(vmmem_bitmap_mark(
					want, offset + page * other,
					least(other, len - page * other)));
		assert_code(vmmem_bitmap_merge(bitmap, offset, len, other, at,
					       bytes - 1),
			    VMMEM_EOUTOFRANGE);
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
		/* Bits past the range are not looked at. */
		assert_ok(vmmem_bitmap_merge(bitmap, offset, len, other, at,
					     bytes + rng_below(&rng, 3)));
		for (i = 0; i < LEN; i += 64)
			ck_assert_int_eq(vmmem_bitmap_test(bitmap, i),
					 vmmem_bitmap_test(want, i));
		vmmem_bitmap_unref(want);
		vmmem_bitmap_unref(bitmap);
	}
}
END_TEST

/* The report for [64 MiB, 128 MiB) of one log for 256 MiB. */
START_TEST(a_report_of_a_range)
{
	const uint64_t from = UINT64_C(64) << 20, len = UINT64_C(64) << 20;
	uint8_t report[2048] = { 1 << 3, [2047] = 1 << 7 }, back[2048];
	uint64_t start, count;

	assert_ok(vmmem_bitmap_new(UINT64_C(256) << 20, 0, 4096, NULL,
				   &bitmap));
	assert_ok(vmmem_bitmap_merge(bitmap, from, len, 4096, report,
				     sizeof(report)));
	assert_ok(vmmem_bitmap_next(bitmap, 0, &start, &count));
	ck_assert_uint_eq(start, from + 3 * 4096);
	ck_assert_uint_eq(count, 4096);
	assert_ok(vmmem_bitmap_next(bitmap, start + count, &start, &count));
	ck_assert_uint_eq(start, from + len - 4096);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 2);
	assert_ok(vmmem_bitmap_export(bitmap, from, len, 4096, back,
				      sizeof(back)));
	ck_assert_mem_eq(back, report, sizeof(back));
	assert_ok(vmmem_bitmap_export(bitmap, from - 4096, len, 4096, back,
				      sizeof(back)));
	ck_assert_uint_eq(back[0], 1 << 4);
	ck_assert_uint_eq(back[2047], 0);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* Past the end: nothing is written, and what there is is marked. */
START_TEST(past_the_end)
{
	uint8_t bits[4] = { UNTOUCHED, UNTOUCHED, UNTOUCHED, UNTOUCHED };

	assert_ok(vmmem_bitmap_new(1000, 0, 64, NULL, &bitmap));
	assert_code(vmmem_bitmap_export(bitmap, 0, 1001, 64, bits, 4),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_bitmap_export(bitmap, 1000, 1, 64, bits, 4),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_bitmap_export(bitmap, UINT64_MAX, 2, 64, bits, 4),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_bitmap_export(bitmap, 1, UINT64_MAX,
					UINT64_C(1) << 63, bits, 4),
		    VMMEM_EOUTOFRANGE);
	ck_assert(all_are(bits, UNTOUCHED, 4));
	/* The last page ends past the end; the next one begins there. */
	memset(bits, 0xff, 4);
	assert_ok(vmmem_bitmap_merge(bitmap, 960, 64, 64, bits, 1));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 1);
	assert_code(vmmem_bitmap_merge(bitmap, 896, 1024, 64, bits, 4),
		    VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 2);
	assert_code(vmmem_bitmap_merge(bitmap, UINT64_MAX - 5, 1024, 64, bits,
				       4),
		    VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 2);
	memset(bits, 0, 4);
	assert_ok(vmmem_bitmap_merge(bitmap, UINT64_MAX - 5, 1024, 64, bits,
				     4));
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* The last addresses, whose end is no number. */
START_TEST(at_the_top)
{
	const uint64_t page = UINT64_C(1) << 60;
	uint8_t bits[3] = { 0, 1 << 7, 0xff };

	assert_ok(vmmem_bitmap_new(UINT64_MAX, 0, page, NULL, &bitmap));
	assert_ok(vmmem_bitmap_merge(bitmap, 0, UINT64_MAX, page, bits, 2));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, UINT64_MAX - 1), 1);
	bits[1] = 0;
	assert_ok(vmmem_bitmap_export(bitmap, page, UINT64_MAX - page, page,
				      bits, 3));
	ck_assert_uint_eq(bits[0], 0);
	ck_assert_uint_eq(bits[1], 1 << 6);
	ck_assert_uint_eq(bits[2], 0);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("bitmap_ranges");
	TCase *tcase = tcase_create("ranges");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, exports);
	tcase_add_test(tcase, merges);
	tcase_add_test(tcase, a_report_of_a_range);
	tcase_add_test(tcase, past_the_end);
	tcase_add_test(tcase, at_the_top);
	suite_add_tcase(suite, tcase);
	return suite;
}
