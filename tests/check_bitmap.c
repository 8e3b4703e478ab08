/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* vmmem/bitmap.h, one function after the other.  Words: check_bitmap_words.c */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

#include "suite.h"

#define KIB(n) ((uint64_t)(n) << 10)
#define GIB(n) ((uint64_t)(n) << 30)
#define TIB(n) ((uint64_t)(n) << 40)

/* An assert of Check's own writes to a file, which is slow in a loop. */
#define expect(condition)                               \
	do {                                            \
		if (!(condition))                       \
			ck_abort_msg("%s", #condition); \
	} while (0)

static struct vmmem_bitmap *
new_bitmap(uint64_t len, uint64_t page_size)
{
	struct vmmem_bitmap *bitmap;

	ck_assert_int_eq(vmmem_bitmap_new(len, 0, page_size, NULL, &bitmap), 0);
	return bitmap;
}

/* check_next() asks for the next dirty range, and says what it must be. */
static void
check_next(const struct vmmem_bitmap *bitmap, uint64_t offset,
	   uint64_t expected, uint64_t expected_len)
{
	uint64_t start = 1, len = 1;

	ck_assert_int_eq(vmmem_bitmap_next(bitmap, offset, &start, &len), 0);
	ck_assert_uint_eq(start, expected);
	ck_assert_uint_eq(len, expected_len);
}

START_TEST(new_refuses)
{
	static const uint64_t bad_pages[] = {
		0, 1, 2, 32, 63, 65, 96, 100, 192, 4097, GIB(1) + 64, UINT64_MAX
	};
	struct vmmem_bitmap *none = (void *)&none, *bitmap = none;
	uint64_t word;
	size_t i;

	for (i = 0; i < sizeof(bad_pages) / sizeof(bad_pages[0]); i++) {
		ck_assert_int_eq(vmmem_bitmap_new(4096, 0, bad_pages[i], NULL,
						  &bitmap),
				 VMMEM_EARGUMENT);
		ck_assert_int_eq(vmmem_bitmap_new_external(&word, sizeof(word),
							   64, bad_pages[i],
							   NULL, NULL, NULL,
							   &bitmap),
				 VMMEM_EARGUMENT);
	}
	ck_assert_int_eq(vmmem_bitmap_new(4096, 4095, 64, NULL, &bitmap),
			 VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_new(4096, 0, 64, NULL, NULL),
			 VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_new(0, 0, 64, NULL, &bitmap),
			 VMMEM_EZEROLEN);
	ck_assert_ptr_eq(bitmap, none);
}
END_TEST

START_TEST(null_is_no_bitmap)
{
	struct vmmem_bitmap *bitmap = new_bitmap(64, 64);
	uint64_t start = 7, len = 7;

	ck_assert_ptr_null(vmmem_bitmap_ref(NULL));
	ck_assert_ptr_null(vmmem_bitmap_unref(NULL));
	ck_assert_uint_eq(vmmem_bitmap_len(NULL), 0);
	ck_assert_uint_eq(vmmem_bitmap_page_size(NULL), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(NULL, 0, 1), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_test(NULL, 0), 0);
	ck_assert_int_eq(vmmem_bitmap_clear(NULL, 0, 1), VMMEM_EARGUMENT);
	ck_assert_uint_eq(vmmem_bitmap_count(NULL), 0);
	ck_assert_int_eq(vmmem_bitmap_next(NULL, 0, &start, &len),
			 VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_next(bitmap, 0, NULL, &len),
			 VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_next(bitmap, 0, &start, NULL),
			 VMMEM_EARGUMENT);
	ck_assert_uint_eq(start, 7);
	ck_assert_uint_eq(len, 7);
	ck_assert_int_eq(vmmem_bitmap_grow(NULL, 1), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_start_logging(NULL), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(NULL), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_is_logging(NULL), 0);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* check_ends() marks the first and the last byte, which is all there is. */
static void
check_ends(uint64_t len, uint64_t page_size)
{
	struct vmmem_bitmap *bitmap = new_bitmap(len, page_size);
	uint64_t last = (len - 1) & ~(page_size - 1);

	ck_assert_uint_eq(vmmem_bitmap_len(bitmap), len);
	ck_assert_uint_eq(vmmem_bitmap_page_size(bitmap), page_size);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	check_next(bitmap, 0, len, 0);

	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, len, 1), VMMEM_EOUTOFRANGE);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, len, UINT64_MAX),
			 VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	/* A range past the end, and past 2^64, still marks the last page. */
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, len - 1, UINT64_MAX),
			 VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, len - 1), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, last), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, len), 0);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, UINT64_MAX), 0);
	/* Its bytes end where the bitmap does. */
	check_next(bitmap, 0, last, len - last);
	check_next(bitmap, last, last, len - last);
	check_next(bitmap, len - 1, len - 1, 1);
	check_next(bitmap, len, len, 0);
	check_next(bitmap, UINT64_MAX, len, 0);

	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 1), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), last != 0 ? 2 : 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 0), 1);
	if (last > page_size)
		check_next(bitmap, 0, 0, page_size);

	/* The whole range, however large, has these two marks. */
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 0, UINT64_MAX), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	vmmem_bitmap_unref(bitmap);
}

START_TEST(every_page_size)
{
	uint64_t page_size = UINT64_C(1) << _i;

	check_ends(1, page_size);
	check_ends(page_size - 1, page_size);
	check_ends(page_size, page_size);
	check_ends(page_size + 1, page_size);
	check_ends(64 * page_size, page_size);
	check_ends(64 * page_size + 1, page_size);
	check_ends(GIB(4), page_size);
	check_ends(TIB(1) - 1, page_size);
	check_ends(TIB(1), page_size);
}
END_TEST

/* Nothing wraps where a length has all its bits. */
START_TEST(longest)
{
	check_ends(UINT64_MAX, GIB(1));
	check_ends(UINT64_MAX, GIB(4));
	check_ends(UINT64_MAX, TIB(1));
	check_ends(UINT64_MAX, UINT64_C(1) << 63);
	check_ends(UINT64_C(1) << 63, UINT64_C(1) << 63);
	check_ends(1, UINT64_C(1) << 63);
}
END_TEST

START_TEST(references)
{
	struct vmmem_bitmap *bitmap = new_bitmap(4096, 64);

	ck_assert_ptr_eq(vmmem_bitmap_ref(bitmap), bitmap);
	ck_assert_ptr_null(vmmem_bitmap_unref(bitmap));
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 1), 0);
	ck_assert_ptr_null(vmmem_bitmap_unref(bitmap));
}
END_TEST

/*
 * All ranges over a short bitmap with a part of a page at the end.  A page is
 * so long that the first, the last and the middle of it are tried, and the
 * pages are so many that there are whole words among them.
 */
#define SHORT_PAGE  64
#define SHORT_PAGES 200
#define SHORT_LEN   (SHORT_PAGE * (SHORT_PAGES - 1) + 10)

static const uint64_t offsets_in_page[] = { 0, 1, 9, 10, 63 };

/* range_at() gives boundaries in ascending order; false after the last. */
static bool
range_at(unsigned int index, uint64_t *ret_offset)
{
	static const uint64_t pages[] = { 0,   1,   2,	 31,  62,  63,
					  64,  65,  126, 127, 128, 130,
					  191, 192, 197, 198, 199, 200 };

	if (index / 5 >= sizeof(pages) / sizeof(pages[0]))
		return false;
	*ret_offset =
		pages[index / 5] * SHORT_PAGE + offsets_in_page[index % 5];
	return true;
}

START_TEST(mark_takes_whole_pages)
{
	struct vmmem_bitmap *bitmap = new_bitmap(SHORT_LEN, SHORT_PAGE);
	uint64_t first, end, page, count;
	unsigned int i, j;

	for (i = 0; range_at(i, &first); i++) {
		for (j = i; range_at(j, &end); j++) {
			bool out = end > first && end > SHORT_LEN;

			expect(vmmem_bitmap_mark(bitmap, first, end - first) ==
			       (out ? VMMEM_EOUTOFRANGE : 0));
			count = 0;
			for (page = 0; page < SHORT_PAGES; page++) {
				bool dirty = end > first && first < SHORT_LEN &&
					     page >= first / SHORT_PAGE &&
					     page <= (end - 1) / SHORT_PAGE;

				expect(vmmem_bitmap_test(bitmap,
							 page * SHORT_PAGE) ==
				       dirty);
				count += dirty;
			}
			expect(vmmem_bitmap_count(bitmap) == count);
			expect(vmmem_bitmap_clear(bitmap, 0, SHORT_LEN) == 0);
		}
	}
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* A page goes if all its bytes are in the range, as far as it has any. */
START_TEST(clear_takes_whole_pages_only)
{
	struct vmmem_bitmap *bitmap = new_bitmap(SHORT_LEN, SHORT_PAGE);
	uint64_t first, end, page, start, stop;
	unsigned int i, j;

	for (i = 0; range_at(i, &first); i++) {
		for (j = i; range_at(j, &end); j++) {
			expect(vmmem_bitmap_mark(bitmap, 0, SHORT_LEN) == 0);
			expect(vmmem_bitmap_clear(bitmap, first, end - first) ==
			       0);
			for (page = 0; page < SHORT_PAGES; page++) {
				start = page * SHORT_PAGE;
				stop = start + SHORT_PAGE < SHORT_LEN
					       ? start + SHORT_PAGE
					       : SHORT_LEN;
				expect(vmmem_bitmap_test(bitmap, start) ==
				       !(first <= start && stop <= end));
			}
		}
	}
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(next_is_clipped)
{
	struct vmmem_bitmap *bitmap = new_bitmap(1000, 64);

	/* Pages 1, 2 and 3; then 15, of which there are 40 bytes. */
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 100, 100), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 960, 1), 0);
	check_next(bitmap, 0, 64, 192);
	check_next(bitmap, 63, 64, 192);
	check_next(bitmap, 64, 64, 192);
	check_next(bitmap, 65, 65, 191);
	check_next(bitmap, 128, 128, 128);
	check_next(bitmap, 255, 255, 1);
	check_next(bitmap, 256, 960, 40);
	check_next(bitmap, 999, 999, 1);
	check_next(bitmap, 1000, 1000, 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 4);

	/* All of it is one range. */
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 1000), 0);
	check_next(bitmap, 0, 0, 1000);
	check_next(bitmap, 999, 999, 1);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 16);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* The loop that the header prints visits each dirty byte once. */
START_TEST(next_visits_all)
{
	struct vmmem_bitmap *bitmap = new_bitmap(GIB(1), 4096);
	uint64_t at, start, len, ranges = 0, bytes = 0, page;

	for (page = 5; page * 4096 < GIB(1); page = page * 3 + 1)
		ck_assert_int_eq(vmmem_bitmap_mark(bitmap, page * 4096, 4097),
				 0);
	for (at = 0;
	     vmmem_bitmap_next(bitmap, at, &start, &len) == 0 && len != 0;
	     at = start + len) {
		ck_assert_uint_ge(start, at);
		ck_assert_uint_eq(len, 8192);
		ranges++;
		bytes += len;
	}
	ck_assert_uint_eq(ranges, 10);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), bytes / 4096);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(zero_bytes_are_nothing)
{
	struct vmmem_bitmap *bitmap = new_bitmap(4096, 64);

	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 0), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 4095, 0), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 4096, 0), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, UINT64_MAX, 0), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 4096), 0);
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 64, 0), 0);
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, UINT64_MAX, 0), 0);
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 4096, UINT64_MAX), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 64);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(grow_adds_clean_pages)
{
	struct vmmem_bitmap *bitmap;

	ck_assert_int_eq(vmmem_bitmap_new(100, 10000, 64, NULL, &bitmap), 0);
	/* Page 1 has 36 bytes; marked, it stays so with all of its 64. */
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 10000),
			 VMMEM_EOUTOFRANGE);
	check_next(bitmap, 0, 0, 100);
	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, 99), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, 10001), VMMEM_EOUTOFRANGE);
	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, UINT64_MAX),
			 VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(vmmem_bitmap_len(bitmap), 100);

	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, 100), 0);
	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, 10000), 0);
	ck_assert_uint_eq(vmmem_bitmap_len(bitmap), 10000);
	check_next(bitmap, 0, 0, 128);
	check_next(bitmap, 128, 10000, 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 9999, 1), 0);
	check_next(bitmap, 128, 9984, 16);
	/* It is longer now, and so its last page is another one. */
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 64, 63), 0);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 64), 1);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(grow_from_nothing)
{
	struct vmmem_bitmap *bitmap;

	ck_assert_int_eq(vmmem_bitmap_new(0, TIB(1), 4096, NULL, &bitmap), 0);
	ck_assert_uint_eq(vmmem_bitmap_len(bitmap), 0);
	ck_assert_uint_eq(vmmem_bitmap_page_size(bitmap), 4096);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	check_next(bitmap, 0, 0, 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 1), VMMEM_EOUTOFRANGE);
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 0, 1), 0);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 0), 0);
	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, TIB(1)), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, TIB(1) - 1, 1), 0);
	check_next(bitmap, 0, TIB(1) - 4096, 4096);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* Starts are counted, and whoever made marks may make them in any case. */
START_TEST(starts_are_counted)
{
	struct vmmem_bitmap *bitmap = new_bitmap(KIB(4), 64);

	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	/* Where there is no membarrier(2) logging is always on. */
	if (vmmem_bitmap_is_logging(bitmap) != 0) {
		vmmem_bitmap_unref(bitmap);
		return;
	}
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 1), 0);
	ck_assert_int_eq(vmmem_bitmap_start_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	ck_assert_int_eq(vmmem_bitmap_start_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 0), 1);
	ck_assert_int_eq(vmmem_bitmap_start_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* A child marks, clears and starts in its own copy. */
START_TEST(fork_inherits)
{
	struct vmmem_bitmap *bitmap = new_bitmap(KIB(4), 64);
	int status;
	pid_t child;

	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 65), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		bool good = vmmem_bitmap_count(bitmap) == 2 &&
			    vmmem_bitmap_start_logging(bitmap) == 0 &&
			    vmmem_bitmap_clear(bitmap, 0, 64) == 0 &&
			    vmmem_bitmap_mark(bitmap, 1000, 1) == 0 &&
			    vmmem_bitmap_count(bitmap) == 2;

		vmmem_bitmap_unref(bitmap);
		_exit(good ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	check_next(bitmap, 0, 0, 128);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

static void
count_release(void *opaque)
{
	++*(int *)opaque;
}

/* Whoever is newer than the library has members that it does not know. */
struct newer_options {
	struct vmmem_bitmap_options known;
	uint64_t later;
};

static void
options_are(const struct vmmem_bitmap_options *options, int code)
{
	struct vmmem_bitmap *none = (void *)&none, *bitmap = none;
	uint64_t word = 0;
	int released = 0;

	ck_assert_int_eq(vmmem_bitmap_new(64, 0, 64, options, &bitmap), code);
	if (code == 0)
		vmmem_bitmap_unref(bitmap);
	else
		ck_assert_ptr_eq(bitmap, none);
	bitmap = none;
	ck_assert_int_eq(vmmem_bitmap_new_external(&word, sizeof(word), 64, 64,
						   count_release, &released,
						   options, &bitmap),
			 code);
	if (code == 0)
		vmmem_bitmap_unref(bitmap);
	else
		ck_assert_ptr_eq(bitmap, none);
	ck_assert_int_eq(released, code == 0);
}

START_TEST(options_of_any_release)
{
	struct newer_options newer = { .known.size = sizeof(newer) };

	options_are(&newer.known, 0);
	newer.later = 1;
	options_are(&newer.known, VMMEM_ESTRUCTNEWER);
	/* That of 0.9. */
	newer.known.size = 16;
	options_are(&newer.known, 0);
	newer.known.size = 15;
	options_are(&newer.known, VMMEM_ESTRUCTSIZE);
	newer.known.size = 4097;
	options_are(&newer.known, VMMEM_ESTRUCTSIZE);
}
END_TEST

START_TEST(tells_what_it_was_made_with)
{
	char name[] = "low memory";
	const struct vmmem_bitmap_options options = {
		.size = sizeof(options),
		.name = name,
	};
	struct vmmem_bitmap *bitmap, *external;
	uint64_t word = 0;

	ck_assert_int_eq(vmmem_bitmap_new(64, 4096, 64, &options, &bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_new_external(&word, sizeof(word), 128, 64,
						   NULL, NULL, NULL, &external),
			 0);
	/* It was copied. */
	name[0] = 'X';
	ck_assert_str_eq(vmmem_bitmap_name(bitmap), "low memory");
	ck_assert_ptr_null(vmmem_bitmap_name(external));
	ck_assert_uint_eq(vmmem_bitmap_max_len(bitmap), 4096);
	ck_assert_uint_eq(vmmem_bitmap_max_len(external), 128);
	ck_assert_int_eq(vmmem_bitmap_is_external(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_is_external(external), 1);
	ck_assert_ptr_null(vmmem_bitmap_name(NULL));
	ck_assert_uint_eq(vmmem_bitmap_max_len(NULL), 0);
	ck_assert_int_eq(vmmem_bitmap_is_external(NULL), 0);
	vmmem_bitmap_unref(bitmap);
	vmmem_bitmap_unref(external);
}
END_TEST

/* The word is what is asked, as often as it changes. */
START_TEST(logging_is_a_word)
{
	struct vmmem_bitmap *bitmap = new_bitmap(KIB(4), 64);
	const uint32_t *word = vmmem_bitmap_logging(bitmap);
	int turn;

	ck_assert_ptr_null(vmmem_bitmap_logging(NULL));
	ck_assert_ptr_nonnull(word);
	for (turn = 0; turn < 2; turn++) {
		ck_assert_int_eq(__atomic_load_n(word, __ATOMIC_RELAXED) != 0,
				 vmmem_bitmap_is_logging(bitmap));
		ck_assert_int_eq(vmmem_bitmap_start_logging(bitmap), 0);
		ck_assert_uint_ne(__atomic_load_n(word, __ATOMIC_RELAXED), 0);
		ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), 0);
	}
	ck_assert_int_eq(__atomic_load_n(word, __ATOMIC_RELAXED) != 0,
			 vmmem_bitmap_is_logging(bitmap));
	vmmem_bitmap_unref(bitmap);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("bitmap");
	TCase *tcase = tcase_create("bitmap");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, new_refuses);
	tcase_add_test(tcase, null_is_no_bitmap);
	tcase_add_loop_test(tcase, every_page_size, 6, 31);
	tcase_add_test(tcase, longest);
	tcase_add_test(tcase, references);
	tcase_add_test(tcase, mark_takes_whole_pages);
	tcase_add_test(tcase, clear_takes_whole_pages_only);
	tcase_add_test(tcase, next_is_clipped);
	tcase_add_test(tcase, next_visits_all);
	tcase_add_test(tcase, zero_bytes_are_nothing);
	tcase_add_test(tcase, grow_adds_clean_pages);
	tcase_add_test(tcase, grow_from_nothing);
	tcase_add_test(tcase, starts_are_counted);
	tcase_add_test(tcase, fork_inherits);
	tcase_add_test(tcase, options_of_any_release);
	tcase_add_test(tcase, tells_what_it_was_made_with);
	tcase_add_test(tcase, logging_is_a_word);
	suite_add_tcase(suite, tcase);
	return suite;
}
