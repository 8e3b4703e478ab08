/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Bitmaps as words of another page size: all small bitmaps in all pairs of
 * small page sizes, and sizes at which others were known to fail.
 *
 * The model is an array of grains, the smallest pages.  Every other page is a
 * number of them, and the length's last page may have a few of its own only.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vmmem/vmmem.h>

#include "suite.h"

#define GRAIN	  VMMEM_BITMAP_PAGE_MIN
#define KIB(n)	  ((uint64_t)(n) << 10)
#define MIB(n)	  ((uint64_t)(n) << 20)
#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)

/* An assert of Check's own writes to a file, which is slow in a loop. */
#define expect(condition)                               \
	do {                                            \
		if (!(condition))                       \
			ck_abort_msg("%s", #condition); \
	} while (0)

static uint64_t
pages_of(uint64_t len, uint64_t page_size)
{
	return len / page_size + (len % page_size != 0);
}

static bool
bit_of(const vmmem_le64 *words, uint64_t bit)
{
	return vmmem_le64_get(&words[bit / 64]) >> bit % 64 & 1;
}

static void
set_bit(vmmem_le64 *words, uint64_t bit)
{
	vmmem_le64_set(&words[bit / 64], vmmem_le64_get(&words[bit / 64]) |
						 UINT64_C(1) << bit % 64);
}

static void
set_all(vmmem_le64 *words, size_t count, uint64_t value)
{
	size_t i;

	for (i = 0; i < count; i++)
		vmmem_le64_set(&words[i], value);
}

/* All of a bitmap, to 'count' words. */
static int
export_all(const struct vmmem_bitmap *bitmap, uint64_t page_size,
	   vmmem_le64 *words, size_t count)
{
	return vmmem_bitmap_export(bitmap, 0, vmmem_bitmap_len(bitmap),
				   page_size, words, count * sizeof(*words));
}

/* All of 'count' words, as far as there are addresses. */
static int
merge_all(struct vmmem_bitmap *bitmap, uint64_t page_size,
	  const vmmem_le64 *words, size_t count)
{
	uint64_t pages = count * UINT64_C(64);
	uint64_t len = pages > UINT64_MAX / page_size ? UINT64_MAX :
							pages * page_size;

	return vmmem_bitmap_merge(bitmap, 0, len, page_size, words,
				  count * sizeof(*words));
}

START_TEST(refusals)
{
	static const uint64_t bad_pages[] = { 0,  1,   32,  63,
					      65, 100, 192, UINT64_MAX };
	struct vmmem_bitmap *bitmap;
	vmmem_le64 words[3];
	size_t i;

	ck_assert_int_eq(vmmem_bitmap_new(64 * 65, 0, 64, NULL, &bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 64 * 65), 0);
	set_all(words, 3, UNTOUCHED);
	for (i = 0; i < sizeof(bad_pages) / sizeof(bad_pages[0]); i++) {
		ck_assert_int_eq(vmmem_bitmap_export(bitmap, 0, 64 * 65,
						     bad_pages[i], words, 24),
				 VMMEM_EARGUMENT);
		ck_assert_int_eq(vmmem_bitmap_merge(bitmap, 0, 64 * 65,
						    bad_pages[i], words, 24),
				 VMMEM_EARGUMENT);
	}
	ck_assert_int_eq(vmmem_bitmap_export(NULL, 0, 64, 64, words, 24),
			 VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_export(bitmap, 0, 64, 64, NULL, 24),
			 VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_merge(NULL, 0, 64, 64, words, 24),
			 VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_merge(bitmap, 0, 64, 64, NULL, 24),
			 VMMEM_EARGUMENT);
	/* Nothing of nothing, wherever that is. */
	ck_assert_int_eq(vmmem_bitmap_export(bitmap, UINT64_MAX, 0, 64, NULL,
					     0),
			 0);
	ck_assert_int_eq(vmmem_bitmap_merge(bitmap, UINT64_MAX, 0, 64, NULL,
					    0),
			 0);
	/* 65 pages are two words. */
	ck_assert_int_eq(export_all(bitmap, 64, words, 1), VMMEM_EOUTOFRANGE);
	ck_assert_int_eq(export_all(bitmap, 64, words, 0), VMMEM_EOUTOFRANGE);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(vmmem_le64_get(&words[i]), UNTOUCHED);

	ck_assert_int_eq(export_all(bitmap, 64, words, 2), 0);
	ck_assert_uint_eq(vmmem_le64_get(&words[0]), UINT64_MAX);
	ck_assert_uint_eq(vmmem_le64_get(&words[1]), 1);
	ck_assert_uint_eq(vmmem_le64_get(&words[2]), UNTOUCHED);
	/* Words too many are written, too. */
	ck_assert_int_eq(export_all(bitmap, 128, words, 3), 0);
	ck_assert_uint_eq(vmmem_le64_get(&words[0]), (UINT64_C(1) << 33) - 1);
	ck_assert_uint_eq(vmmem_le64_get(&words[1]), 0);
	ck_assert_uint_eq(vmmem_le64_get(&words[2]), 0);
	/* A page that is larger than all there is. */
	ck_assert_int_eq(export_all(bitmap, UINT64_C(1) << 63, words, 1), 0);
	ck_assert_uint_eq(vmmem_le64_get(&words[0]), 1);
	/* Nothing to merge, and a bitmap of nothing. */
	ck_assert_int_eq(merge_all(bitmap, 64, words, 0), 0);
	vmmem_bitmap_unref(bitmap);

	ck_assert_int_eq(vmmem_bitmap_new(0, 64, 64, NULL, &bitmap), 0);
	ck_assert_int_eq(export_all(bitmap, 64, words, 0), 0);
	ck_assert_int_eq(export_all(bitmap, 64, words, 1), 0);
	ck_assert_uint_eq(vmmem_le64_get(&words[0]), 0);
	ck_assert_int_eq(merge_all(bitmap, 64, words, 1), 0);
	set_all(words, 1, 1);
	ck_assert_int_eq(merge_all(bitmap, 64, words, 1), VMMEM_EOUTOFRANGE);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* grains_from() makes the model of a pattern: which grains are dirty. */
static void
grains_from(bool *grains, uint64_t len, uint64_t page_size,
	    const vmmem_le64 *words)
{
	uint64_t grain;

	for (grain = 0; grain * GRAIN < len; grain++)
		grains[grain] = bit_of(words, grain * GRAIN / page_size);
}

/* expect_words() compares words with the model; what is past it is 0. */
static void
expect_words(const vmmem_le64 *words, size_t count, uint64_t page_size,
	     const bool *grains, uint64_t len)
{
	uint64_t page, grain;

	for (page = 0; page < count * 64; page++) {
		bool dirty = false;

		for (grain = page * page_size / GRAIN;
		     grain < (page + 1) * page_size / GRAIN &&
		     grain * GRAIN < len;
		     grain++)
			dirty = dirty || grains[grain];
		expect(bit_of(words, page) == dirty);
	}
}

/*
 * convert() marks in a bitmap what 'pattern' says, in its own pages, and looks
 * at it in other pages; and merges the other pages into a bitmap.
 */
static void
convert(uint64_t len, uint64_t page_size, uint64_t other_size,
	const vmmem_le64 *pattern, bool *grains)
{
	size_t words_len = (size_t)pages_of(len, GRAIN) / 64 + 2;
	uint64_t pages = pages_of(len, page_size), page;
	size_t other_words = (size_t)(pages_of(len, other_size) + 63) / 64;
	vmmem_le64 *words = calloc(words_len, sizeof(*words));
	struct vmmem_bitmap *bitmap, *other;

	expect(words != NULL);
	expect(vmmem_bitmap_new(len, 0, page_size, NULL, &bitmap) == 0);
	expect(vmmem_bitmap_new(len, 0, other_size, NULL, &other) == 0);
	for (page = 0; page < pages; page++) {
		if (bit_of(pattern, page))
			expect(vmmem_bitmap_mark(bitmap, page * page_size, 1) ==
			       0);
	}
	grains_from(grains, len, page_size, pattern);
	set_all(words, words_len, UNTOUCHED);
	expect(export_all(bitmap, other_size, words, other_words) == 0);
	expect_words(words, other_words, other_size, grains, len);
	expect(vmmem_le64_get(&words[other_words]) == UNTOUCHED);

	/* The same through merge, of the bitmap's pages into the other. */
	expect(merge_all(other, page_size, pattern,
			 (size_t)(pages + 63) / 64) == 0);
	expect(export_all(other, other_size, words, words_len) == 0);
	expect_words(words, words_len, other_size, grains, len);
	vmmem_bitmap_unref(other);
	vmmem_bitmap_unref(bitmap);
	free(words);
}

/* All patterns of up to seven pages, in all pairs of five page sizes. */
START_TEST(every_small_bitmap)
{
	uint64_t page_size = (uint64_t)GRAIN << _i / 5;
	uint64_t other_size = (uint64_t)GRAIN << _i % 5;
	bool grains[7 * 16];
	uint64_t pages, pattern, lens[4];
	vmmem_le64 word;
	size_t i;

	for (pages = 1; pages <= 7; pages++) {
		/* With one byte, a part and all of the last page. */
		lens[0] = (pages - 1) * page_size + 1;
		lens[1] = pages * page_size - GRAIN / 2;
		lens[2] = pages * page_size - 1;
		lens[3] = pages * page_size;
		for (i = 0; i < 4; i++) {
			for (pattern = 0; pattern < UINT64_C(1) << pages;
			     pattern++) {
				vmmem_le64_set(&word, pattern);
				convert(lens[i], page_size, other_size, &word,
					grains);
			}
		}
	}
}
END_TEST

/*
 * Page numbers at which conversions with counters of 8 bits hang or lose bits;
 * one bit at a time, and the last byte of all.
 */
START_TEST(page_numbers)
{
	static const uint64_t counts[] = { 63,	64,  65,  127, 128,
					   255, 256, 257, 300, 512 };
	static const uint64_t others[] = { KIB(1), KIB(4), KIB(16), KIB(64),
					   MIB(2) };
	uint64_t pages = counts[_i / 5], other = others[_i % 5];
	uint64_t page, lens[3];
	vmmem_le64 pattern[9];
	bool *grains = calloc(pages * KIB(4) / GRAIN, sizeof(*grains));
	size_t i;

	ck_assert_ptr_nonnull(grains);
	lens[0] = pages * KIB(4);
	lens[1] = lens[0] - 1;
	lens[2] = lens[0] - KIB(4) + 1;
	for (i = 0; i < 3; i++) {
		set_all(pattern, 9, 0);
		convert(lens[i], KIB(4), other, pattern, grains);
		/* The last page, one near it, and some in the middle. */
		for (page = pages - 1; page != 0; page -= page / 3 + 1) {
			set_all(pattern, 9, 0);
			set_bit(pattern, page);
			convert(lens[i], KIB(4), other, pattern, grains);
		}
		/* All, and every third. */
		set_all(pattern, 9, 0);
		for (page = 0; page < pages; page++)
			set_bit(pattern, page);
		convert(lens[i], KIB(4), other, pattern, grains);
		set_all(pattern, 9, 0);
		for (page = 0; page < pages; page += 3)
			set_bit(pattern, page);
		convert(lens[i], KIB(4), other, pattern, grains);
	}
	free(grains);
}
END_TEST

START_TEST(last_byte)
{
	static const uint64_t sizes[] = { 64, 128, KIB(4), KIB(64), MIB(2) };
	uint64_t len = 300 * KIB(4), at, from, to;
	struct vmmem_bitmap *bitmap;
	vmmem_le64 words[300];
	size_t i, j;

	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(vmmem_bitmap_new(len, 0, sizes[i], NULL,
						  &bitmap),
				 0);
		ck_assert_int_eq(vmmem_bitmap_mark(bitmap, len - 1, 1), 0);
		for (j = 0; j < 5; j++) {
			ck_assert_int_eq(export_all(bitmap, sizes[j], words,
						    300),
					 0);
			from = (len - 1) / sizes[i] * sizes[i] / sizes[j];
			to = (len - 1) / sizes[j];
			for (at = 0; at < 300 * 64; at++)
				expect(bit_of(words, at) ==
				       (at >= from && at <= to));
		}
		vmmem_bitmap_unref(bitmap);
	}
}
END_TEST

/* KVM's log of 4 KiB pages, to a bitmap of 64 KiB pages and back. */
START_TEST(kvm_log)
{
	uint64_t len = MIB(64) - KIB(4), page, dirty = 0;
	size_t count = (size_t)(len / KIB(4) + 63) / 64, i;
	vmmem_le64 *log = calloc(count, sizeof(*log));
	vmmem_le64 *back = calloc(count, sizeof(*back));
	struct vmmem_bitmap *bitmap, *again;

	ck_assert_ptr_nonnull(log);
	ck_assert_ptr_nonnull(back);
	for (page = 5; page < len / KIB(4); page += page / 2) {
		set_bit(log, page);
		dirty++;
	}
	set_bit(log, len / KIB(4) - 1);

	ck_assert_int_eq(vmmem_bitmap_new(len, 0, KIB(64), NULL, &bitmap), 0);
	ck_assert_int_eq(merge_all(bitmap, KIB(4), log, count), 0);
	ck_assert_uint_le(vmmem_bitmap_count(bitmap), dirty + 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, len - 1), 1);
	ck_assert_int_eq(export_all(bitmap, KIB(4), back, count), 0);
	for (page = 0; page < count * 64; page++) {
		uint64_t first = page & ~UINT64_C(15), other;
		bool expected = false;

		/* Dirty with all its 15 neighbours, as far as there are any. */
		for (other = first; other < first + 16; other++)
			expected = expected ||
				   (other < len / KIB(4) && bit_of(log, other));
		expect(bit_of(back, page) == (expected && page < len / KIB(4)));
	}
	/* From here on it goes to and fro without a change. */
	ck_assert_int_eq(vmmem_bitmap_new(len, 0, KIB(64), NULL, &again), 0);
	ck_assert_int_eq(merge_all(again, KIB(4), back, count), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(again),
			  vmmem_bitmap_count(bitmap));
	ck_assert_int_eq(export_all(again, KIB(4), log, count), 0);
	for (i = 0; i < count; i++)
		ck_assert_uint_eq(vmmem_le64_get(&log[i]),
				  vmmem_le64_get(&back[i]));
	vmmem_bitmap_unref(bitmap);
	vmmem_bitmap_unref(again);
	free(log);
	free(back);
}
END_TEST

/* Bits past the end are refused, and no bit before it is lost for that. */
START_TEST(bits_past_the_end)
{
	static const uint64_t pages[] = { 1, 63, 64, 65, 100, 128 };
	uint64_t count = pages[_i], bad, page;
	struct vmmem_bitmap *bitmap;
	vmmem_le64 words[3];

	for (bad = count; bad < 192; bad++) {
		/* All up to the bad one, in one run. */
		ck_assert_int_eq(vmmem_bitmap_new(count * KIB(4) - 7, 0, 64,
						  NULL, &bitmap),
				 0);
		set_all(words, 3, 0);
		for (page = 0; page <= bad; page++)
			set_bit(words, page);
		expect(merge_all(bitmap, KIB(4), words, 3) ==
		       VMMEM_EOUTOFRANGE);
		expect(vmmem_bitmap_count(bitmap) == count * 64);
		vmmem_bitmap_unref(bitmap);

		/* The bad one alone, and one that is good. */
		ck_assert_int_eq(vmmem_bitmap_new(count * KIB(4) - 7, 0,
						  KIB(64), NULL, &bitmap),
				 0);
		set_all(words, 3, 0);
		set_bit(words, bad);
		expect(merge_all(bitmap, KIB(4), words, 3) ==
		       VMMEM_EOUTOFRANGE);
		expect(vmmem_bitmap_count(bitmap) == 0);
		set_bit(words, 0);
		expect(merge_all(bitmap, KIB(4), words, 3) ==
		       VMMEM_EOUTOFRANGE);
		expect(vmmem_bitmap_count(bitmap) == 1);
		vmmem_bitmap_unref(bitmap);
	}
}
END_TEST

/* Page numbers times page sizes beyond 2^64 do not come round again. */
START_TEST(products_do_not_wrap)
{
	struct vmmem_bitmap *bitmap;
	vmmem_le64 words[2];
	uint64_t start, len;

	ck_assert_int_eq(vmmem_bitmap_new(KIB(4), 0, 64, NULL, &bitmap), 0);
	set_all(words, 2, 0);
	/* Page 2 of 2^63 bytes would be page 0 again, and is in no range. */
	vmmem_le64_set(&words[0], 4);
	vmmem_le64_set(&words[1], 1);
	ck_assert_int_eq(merge_all(bitmap, UINT64_C(1) << 63, words, 2), 0);
	vmmem_le64_set(&words[0], 2);
	ck_assert_int_eq(merge_all(bitmap, UINT64_C(1) << 63, words, 1),
			 VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	vmmem_le64_set(&words[0], 1);
	vmmem_le64_set(&words[1], 0);
	ck_assert_int_eq(merge_all(bitmap, UINT64_C(1) << 63, words, 2), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 64);
	vmmem_bitmap_unref(bitmap);

	/* The last page of all ends at 2^64, which is not a number. */
	ck_assert_int_eq(
		vmmem_bitmap_new(UINT64_MAX, 0, UINT64_C(1) << 62, NULL,
				 &bitmap), 0);
	vmmem_le64_set(&words[0], 2);
	ck_assert_int_eq(merge_all(bitmap, UINT64_C(1) << 63, words, 1), 0);
	ck_assert_int_eq(vmmem_bitmap_next(bitmap, 0, &start, &len), 0);
	ck_assert_uint_eq(start, UINT64_C(1) << 63);
	ck_assert_uint_eq(len, (UINT64_C(1) << 63) - 1);
	ck_assert_int_eq(export_all(bitmap, UINT64_C(1) << 62, words, 1), 0);
	ck_assert_uint_eq(vmmem_le64_get(&words[0]), 12);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("bitmap_words");
	TCase *tcase = tcase_create("words");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, refusals);
	tcase_add_loop_test(tcase, every_small_bitmap, 0, 25);
	tcase_add_loop_test(tcase, page_numbers, 0, 50);
	tcase_add_test(tcase, last_byte);
	tcase_add_test(tcase, kvm_log);
	tcase_add_loop_test(tcase, bits_past_the_end, 0, 6);
	tcase_add_test(tcase, products_do_not_wrap);
	suite_add_tcase(suite, tcase);
	return suite;
}
