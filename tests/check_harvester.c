/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* vmmem/harvester.h, one after the other.  With threads: check_dirty_stress.c
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "harvests.h"
#include "suite.h"

#define MIB(n) ((uint64_t)(n) << 20)
#define TIB(n) ((uint64_t)(n) << 40)

START_TEST(refusals)
{
	struct vmmem_harvester *none = (void *)&none, *harvester = none;
	struct vmmem_bitmap *bitmap = new_bitmap(PAGE);
	uint64_t pages = 7;

	ck_assert_int_eq(vmmem_harvester_new(NULL, NULL, &harvester),
			 VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, NULL),
			 VMMEM_EARGUMENT);
	ck_assert_ptr_eq(harvester, none);
	ck_assert_ptr_null(vmmem_harvester_free(NULL));
	ck_assert_int_eq(vmmem_harvester_take(NULL, &pages), VMMEM_EARGUMENT);
	ck_assert_uint_eq(pages, 7);
	ck_assert_ptr_null(vmmem_harvester_taken(NULL));
	ck_assert_int_eq(vmmem_harvester_take_range(NULL, 0, 1, &pages),
			 VMMEM_EARGUMENT);
	ck_assert_uint_eq(pages, 7);
	ck_assert_int_eq(vmmem_harvester_confirm(NULL, 0, 1), VMMEM_EARGUMENT);
	/* Nothing was started by a call that failed. */
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* Whoever is newer than the library has members that it does not know. */
struct newer_options {
	struct vmmem_harvester_options known;
	uint64_t later;
};

START_TEST(options_of_any_release)
{
	struct vmmem_bitmap *bitmap = new_bitmap(PAGE);
	struct vmmem_harvester *none = (void *)&none, *harvester = none;
	struct newer_options newer = { .known.size = sizeof(newer) };
	char name[] = "migration";

	newer.later = 1;
	ck_assert_int_eq(vmmem_harvester_new(bitmap, &newer.known, &harvester),
			 VMMEM_ESTRUCTNEWER);
	/* That of 0.9 is 16. */
	newer.known.size = 15;
	ck_assert_int_eq(vmmem_harvester_new(bitmap, &newer.known, &harvester),
			 VMMEM_ESTRUCTSIZE);
	ck_assert_ptr_eq(harvester, none);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	newer.known.size = 16;
	newer.known.name = name;
	ck_assert_int_eq(vmmem_harvester_new(bitmap, &newer.known, &harvester),
			 0);
	name[0] = 'X';
	ck_assert_str_eq(vmmem_harvester_name(harvester), "migration");
	ck_assert_ptr_eq(vmmem_harvester_bitmap(harvester), bitmap);
	vmmem_harvester_free(harvester);
	harvester = new_harvester(bitmap);
	ck_assert_ptr_null(vmmem_harvester_name(harvester));
	ck_assert_ptr_null(vmmem_harvester_name(NULL));
	ck_assert_ptr_null(vmmem_harvester_bitmap(NULL));
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(switches_logging)
{
	struct vmmem_bitmap *bitmap = new_bitmap(PAGE);
	int always = vmmem_bitmap_is_logging(bitmap);
	struct vmmem_harvester *first = new_harvester(bitmap), *second;

	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	/* A harvester's start is its own. */
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	second = new_harvester(bitmap);
	ck_assert_ptr_null(vmmem_harvester_free(first));
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	/* What was started for itself goes on after the last one. */
	ck_assert_int_eq(vmmem_bitmap_start_logging(bitmap), 0);
	vmmem_harvester_free(second);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), always);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(takes_what_is_marked)
{
	struct vmmem_bitmap *bitmap = new_bitmap(1000 * PAGE - 1);
	struct vmmem_harvester *harvester = new_harvester(bitmap);
	const struct vmmem_bitmap *taken = vmmem_harvester_taken(harvester);
	uint64_t start, len;

	ck_assert_uint_eq(vmmem_bitmap_len(taken), 1000 * PAGE - 1);
	ck_assert_uint_eq(vmmem_bitmap_page_size(taken), PAGE);
	ck_assert_uint_eq(vmmem_bitmap_count(taken), 0);
	take_pages(harvester, 0);

	mark(bitmap, 10, 100);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 1000 * PAGE - 2, 1), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 101);
	take_pages(harvester, 101);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_next(taken, 0, &start, &len), 0);
	ck_assert_uint_eq(start, 10 * PAGE);
	ck_assert_uint_eq(len, 100 * PAGE);
	ck_assert_int_eq(vmmem_bitmap_next(taken, start + len, &start, &len),
			 0);
	ck_assert_uint_eq(start, 999 * PAGE);
	ck_assert_uint_eq(len, PAGE - 1);

	/* A mark that is made meanwhile is for the next harvest. */
	mark(bitmap, 10, 1);
	ck_assert_uint_eq(vmmem_bitmap_count(taken), 101);
	ck_assert_int_eq(vmmem_harvester_confirm(harvester, 0, UINT64_MAX), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(taken), 0);
	ck_assert_int_eq(vmmem_harvester_take(harvester, NULL), 0);
	ck_assert_ptr_eq(vmmem_harvester_taken(harvester), taken);
	ck_assert_uint_eq(vmmem_bitmap_count(taken), 1);
	ck_assert(has_page(harvester, 10));
	take_pages(harvester, 0);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* Marks from before, that nobody took, come with the first harvest. */
START_TEST(sees_untaken_marks)
{
	struct vmmem_bitmap *bitmap = new_bitmap(100 * PAGE);
	struct vmmem_harvester *first, *second;

	mark(bitmap, 1, 1);
	first = new_harvester(bitmap);
	take_pages(first, 1);
	/* Marks that were taken before it was made do not come. */
	second = new_harvester(bitmap);
	take_pages(second, 0);
	vmmem_harvester_free(first);
	vmmem_harvester_free(second);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(each_sees_each_mark)
{
	struct vmmem_bitmap *bitmap = new_bitmap(1000 * PAGE);
	struct vmmem_harvester *a = new_harvester(bitmap);
	struct vmmem_harvester *b = new_harvester(bitmap);
	struct vmmem_harvester *c;

	mark(bitmap, 1, 1);
	take_pages(a, 1);
	c = new_harvester(bitmap);
	mark(bitmap, 2, 1);
	mark(bitmap, 1, 1);
	take_pages(a, 2);
	mark(bitmap, 700, 3);
	take_pages(c, 5);
	take_pages(b, 5);
	take_pages(a, 3);
	ck_assert(has_page(a, 702) && !has_page(a, 1));
	ck_assert(has_page(b, 1) && has_page(b, 2) && has_page(b, 700));
	take_pages(c, 0);
	/* Another one's takes change nothing of what was taken. */
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_harvester_taken(b)), 5);
	vmmem_harvester_free(b);
	mark(bitmap, 3, 1);
	take_pages(a, 1);
	take_pages(c, 1);
	vmmem_harvester_free(a);
	vmmem_harvester_free(c);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* What one who is freed had not taken is still there for the others. */
START_TEST(free_forgets)
{
	struct vmmem_bitmap *bitmap = new_bitmap(10 * PAGE);
	struct vmmem_harvester *a = new_harvester(bitmap);
	struct vmmem_harvester *b = new_harvester(bitmap);

	mark(bitmap, 1, 1);
	take_pages(a, 1);
	mark(bitmap, 2, 1);
	vmmem_harvester_free(a);
	take_pages(b, 2);
	mark(bitmap, 3, 1);
	vmmem_harvester_free(b);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 1);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(holds_the_bitmap)
{
	struct vmmem_bitmap *bitmap = new_bitmap(10 * PAGE);
	struct vmmem_harvester *harvester = new_harvester(bitmap);

	mark(bitmap, 1, 1);
	vmmem_bitmap_unref(bitmap);
	take_pages(harvester, 1);
	vmmem_harvester_free(harvester);
}
END_TEST

/* Cleared is cleared for all who have not taken it; what is taken stays. */
START_TEST(clear_reaches_all)
{
	struct vmmem_bitmap *bitmap = new_bitmap(100 * PAGE);
	struct vmmem_harvester *a = new_harvester(bitmap);
	struct vmmem_harvester *b = new_harvester(bitmap);

	mark(bitmap, 10, 10);
	take_pages(a, 10);
	/* Once more: pending for the first one, behind what is taken. */
	mark(bitmap, 10, 1);
	ck_assert_int_eq(vmmem_harvester_take(a, NULL), 0);
	mark(bitmap, 50, 1);
	/* Of pages 14 and 50 a byte is not in the range. */
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 0, 15 * PAGE - 1), 0);
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 50 * PAGE + 1, PAGE), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_harvester_taken(a)), 10);
	take_pages(b, 7);
	ck_assert(has_page(b, 14) && has_page(b, 50) && !has_page(b, 13));
	take_pages(a, 1);
	ck_assert(has_page(a, 50));
	vmmem_harvester_free(a);
	vmmem_harvester_free(b);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(grow_reaches_all)
{
	struct vmmem_bitmap *bitmap;
	struct vmmem_harvester *a;

	ck_assert_int_eq(vmmem_bitmap_new(PAGE + 1, 1000 * PAGE, PAGE, NULL,
					  &bitmap),
			 0);
	a = new_harvester(bitmap);
	mark(bitmap, 0, 1);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, PAGE, 1), 0);
	take_pages(a, 2);
	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, 1000 * PAGE), 0);
	ck_assert_uint_eq(vmmem_bitmap_len(vmmem_harvester_taken(a)),
			  1000 * PAGE);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_harvester_taken(a)), 2);
	mark(bitmap, 999, 1);
	/* Page 1 ends further on now: what was its end is not all of it. */
	ck_assert_int_eq(vmmem_harvester_confirm(a, 0, PAGE + 1), 0);
	ck_assert_int_eq(vmmem_harvester_take(a, NULL), 0);
	ck_assert(has_page(a, 1) && has_page(a, 999) && !has_page(a, 0));
	take_pages(a, 0);
	vmmem_harvester_free(a);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* A harvest is exported as any bitmap is: the log that migration sends. */
START_TEST(taken_is_exported)
{
	struct vmmem_bitmap *bitmap = new_bitmap(128 * PAGE);
	struct vmmem_harvester *harvester = new_harvester(bitmap);
	const struct vmmem_bitmap *taken = vmmem_harvester_taken(harvester);
	vmmem_le64 words[4];

	mark(bitmap, 3, 1);
	mark(bitmap, 100, 1);
	take_pages(harvester, 2);
	ck_assert_int_eq(vmmem_bitmap_export(taken, 0, 128 * PAGE, PAGE, words,
					     16),
			 0);
	ck_assert_uint_eq(vmmem_le64_get(&words[0]), 8);
	ck_assert_uint_eq(vmmem_le64_get(&words[1]), UINT64_C(1) << 36);
	ck_assert_int_eq(vmmem_bitmap_export(taken, 0, 128 * PAGE, PAGE / 2,
					     words, 32),
			 0);
	ck_assert_uint_eq(vmmem_le64_get(&words[0]), 0xc0);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* A child harvests its own copy, the parent is as it was. */
START_TEST(fork_inherits)
{
	struct vmmem_bitmap *bitmap = new_bitmap(100 * PAGE);
	struct vmmem_harvester *harvester = new_harvester(bitmap);
	uint64_t pages;
	int status;
	pid_t child;

	mark(bitmap, 7, 2);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		bool good = vmmem_bitmap_mark(bitmap, 0, 1) == 0 &&
			    vmmem_harvester_take(harvester, &pages) == 0 &&
			    pages == 3;

		vmmem_harvester_free(harvester);
		vmmem_bitmap_unref(bitmap);
		_exit(good ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	take_pages(harvester, 2);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/*
 * How much of the new, large mappings is resident.  'before' is /proc/self/maps
 * from before they were made.
 */
#define MAPS 4096

struct maps {
	size_t count;
	uintptr_t start[MAPS];
	uintptr_t end[MAPS];
};

static void
read_maps(struct maps *maps)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];

	ck_assert_ptr_nonnull(file);
	maps->count = 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		ck_assert_uint_lt(maps->count, MAPS);
		ck_assert_int_eq(sscanf(line, "%zx-%zx",
					&maps->start[maps->count],
					&maps->end[maps->count]),
				 2);
		maps->count++;
	}
	fclose(file);
}

static uint64_t
count_resident(uintptr_t start, uintptr_t end)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = (end - start) / size, i;
	unsigned char *present = malloc(pages);
	uint64_t sum = 0;

	ck_assert_ptr_nonnull(present);
	ck_assert_int_eq(mincore((void *)start, end - start, present), 0);
	for (i = 0; i < pages; i++)
		sum += present[i] & 1;
	free(present);
	return sum;
}

/* resident_pages() also stores how long these mappings are. */
static uint64_t
resident_pages(const struct maps *before, uint64_t least, uint64_t *ret_len)
{
	static struct maps now;
	uint64_t sum = 0;
	size_t i, j;

	*ret_len = 0;
	read_maps(&now);
	for (i = 0; i < now.count; i++) {
		/* The kernel may have joined it with what was there. */
		for (j = 0; j < before->count; j++) {
			if (before->start[j] == now.start[i])
				now.start[i] = before->end[j];
			if (before->end[j] == now.end[i])
				now.end[i] = before->start[j];
		}
		if (now.end[i] <= now.start[i] ||
		    now.end[i] - now.start[i] < least)
			continue;
		*ret_len += now.end[i] - now.start[i];
		sum += count_resident(now.start[i], now.end[i]);
	}
	return sum;
}

/*
 * 16 TiB in pages of 4 KiB are 512 MiB of bits.  Of these, nothing is touched
 * until marks are made, and then as many pages of memory as there are marks.
 */
START_TEST(untouched_costs_nothing)
{
	static struct maps before;
	struct vmmem_harvester *harvester;
	struct vmmem_bitmap *bitmap;
	uint64_t i, len, clean, dirty, start, range;

	/*
	 * One huge page would hide all there is to see.  qemu-user does not
	 * know this call, nor does it tell which memory was touched.
	 */
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
		return;
	read_maps(&before);
	bitmap = new_bitmap(TIB(16));
	harvester = new_harvester(bitmap);
	take_pages(harvester, 0);
	take_pages(harvester, 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_next(bitmap, 0, &start, &range), 0);
	ck_assert_uint_eq(range, 0);
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 0, UINT64_MAX), 0);
	clean = resident_pages(&before, MIB(512), &len);
	/* The bitmap, what is pending and what is taken. */
	ck_assert_uint_ge(len, MIB(3 * 512));
	/*
	 * The top of the summaries, 128 KiB each, was read but not written.
	 * ThreadSanitizer has some more of its own.
	 */
	ck_assert_uint_le(clean * (uint64_t)sysconf(_SC_PAGESIZE), MIB(8));

	for (i = 0; i < 100; i++)
		mark(bitmap, i * (TIB(16) / PAGE / 100), 1);
	take_pages(harvester, 100);
	take_pages(harvester, 0);
	dirty = resident_pages(&before, MIB(512), &len);
	/* A page of bits and one of each summary, in all three. */
	ck_assert_uint_ge(dirty, 100);
	ck_assert_uint_le(dirty, clean + 100 * 3 * 3);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* A guest of 16 TiB: marks here and there are found, and no others. */
START_TEST(huge_guest)
{
	const uint64_t len = UINT64_C(1) << 44;
	const uint64_t marks[] = {
		0,	     0x3f,	  0x40,		0xfff,
		0x1000,	     0x3ffff,	  0x40000,	0xffffff,
		0x1000000,   0x40000000,  0x7fffffff,	(len >> 12) - 1,
	};
	struct vmmem_harvester *harvester;
	struct vmmem_bitmap *bitmap;
	uint64_t offset = 0, found, pages;
	int turn;
	size_t i;

	assert_ok(vmmem_bitmap_new(len, 0, 0x1000, NULL, &bitmap));
	assert_ok(vmmem_harvester_new(bitmap, NULL, &harvester));
	/* Again, when the words above them may still be there. */
	for (turn = 0; turn < 2; turn++) {
		for (i = 0; i < ARRAY_LEN(marks); i++)
			vmmem_bitmap_mark(bitmap, marks[i] << 12, 1);
		for (i = 0; i < ARRAY_LEN(marks); i++)
			ck_assert_int_eq(vmmem_bitmap_test(bitmap,
							   marks[i] << 12), 1);
		assert_ok(vmmem_harvester_take(harvester, &pages));
		ck_assert_uint_eq(pages, ARRAY_LEN(marks));
		for (offset = 0, pages = 0;; offset += found) {
			assert_ok(vmmem_bitmap_next(
				vmmem_harvester_taken(harvester), offset,
				&offset, &found));
			if (found == 0)
				break;
			pages += found >> 12;
		}
		ck_assert_uint_eq(pages, ARRAY_LEN(marks));
	}
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("harvester");
	TCase *tcase = tcase_create("harvester");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, refusals);
	tcase_add_test(tcase, options_of_any_release);
	tcase_add_test(tcase, switches_logging);
	tcase_add_test(tcase, takes_what_is_marked);
	tcase_add_test(tcase, sees_untaken_marks);
	tcase_add_test(tcase, each_sees_each_mark);
	tcase_add_test(tcase, free_forgets);
	tcase_add_test(tcase, holds_the_bitmap);
	tcase_add_test(tcase, clear_reaches_all);
	tcase_add_test(tcase, grow_reaches_all);
	tcase_add_test(tcase, taken_is_exported);
	tcase_add_test(tcase, fork_inherits);
	tcase_add_test(tcase, untouched_costs_nothing);
	tcase_add_test(tcase, huge_guest);
	suite_add_tcase(suite, tcase);
	return suite;
}
