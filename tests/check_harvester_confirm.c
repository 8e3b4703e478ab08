/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What is taken and confirmed, in part, late, or not at all; and ranges. */
#include "harvests.h"
#include "suite.h"

/* Pages of which all is in the range; the last may be a part of one. */
START_TEST(confirms_whole_pages)
{
	struct vmmem_bitmap *bitmap = new_bitmap(1000 * PAGE - 100);
	struct vmmem_harvester *a = new_harvester(bitmap);
	struct vmmem_harvester *b = new_harvester(bitmap);
	const struct vmmem_bitmap *taken = vmmem_harvester_taken(a);

	mark(bitmap, 100, 200);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 999 * PAGE, 1), 0);
	take_pages(a, 201);
	take_pages(b, 201);
	ck_assert_int_eq(vmmem_harvester_confirm(a, 0, 102 * PAGE - 1), 0);
	ck_assert(!has_page(a, 100) && has_page(a, 101));
	ck_assert_int_eq(vmmem_harvester_confirm(a, 110 * PAGE + 1, PAGE), 0);
	ck_assert_int_eq(vmmem_harvester_confirm(a, 297 * PAGE - 1, 2 * PAGE),
			 0);
	ck_assert(has_page(a, 296) && !has_page(a, 297) && has_page(a, 298));
	/* Nothing was taken there; nothing is there. */
	ck_assert_int_eq(vmmem_harvester_confirm(a, 400 * PAGE, 100 * PAGE),
			 0);
	ck_assert_int_eq(vmmem_harvester_confirm(a, 150 * PAGE, 0), 0);
	ck_assert_int_eq(vmmem_harvester_confirm(a, 1000 * PAGE, PAGE), 0);
	ck_assert_int_eq(vmmem_harvester_confirm(a, UINT64_MAX, UINT64_MAX),
			 0);
	ck_assert_uint_eq(vmmem_bitmap_count(taken), 199);
	ck_assert_int_eq(vmmem_harvester_confirm(a, 999 * PAGE,
						 PAGE - 100 - 1),
			 0);
	ck_assert(has_page(a, 999));
	ck_assert_int_eq(vmmem_harvester_confirm(a, 999 * PAGE, PAGE - 100),
			 0);
	ck_assert_uint_eq(vmmem_bitmap_count(taken), 198);
	/* All of it, twice; and others have what they had. */
	ck_assert_int_eq(vmmem_harvester_confirm(a, 0, UINT64_MAX), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(taken), 0);
	ck_assert_int_eq(vmmem_harvester_confirm(a, 0, UINT64_MAX), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_harvester_taken(b)), 201);
	take_pages(a, 0);
	vmmem_harvester_free(a);
	vmmem_harvester_free(b);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* What did not arrive is there again, with all that was marked since. */
START_TEST(unconfirmed_stays)
{
	struct vmmem_bitmap *bitmap = new_bitmap(1000 * PAGE);
	struct vmmem_harvester *a = new_harvester(bitmap);
	uint64_t pages = 0;

	mark(bitmap, 100, 10);
	take_pages(a, 10);
	/* One was sent, the next could not be; the rest is not even tried. */
	ck_assert_int_eq(vmmem_harvester_confirm(a, 100 * PAGE, PAGE), 0);
	mark(bitmap, 500, 1);
	ck_assert_int_eq(vmmem_harvester_take(a, &pages), 0);
	ck_assert_uint_eq(pages, 10);
	ck_assert(!has_page(a, 100) && has_page(a, 101) && has_page(a, 109) &&
		  has_page(a, 500));
	/* And again, however often. */
	ck_assert_int_eq(vmmem_harvester_take(a, &pages), 0);
	ck_assert_uint_eq(pages, 10);
	take_pages(a, 0);
	vmmem_harvester_free(a);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/*
 * A page is sent and written again; the next take comes before the
 * confirmation, which is not for that write.
 */
START_TEST(late_confirmation)
{
	struct vmmem_bitmap *bitmap = new_bitmap(1000 * PAGE);
	struct vmmem_harvester *a = new_harvester(bitmap);
	uint64_t pages = 0;

	mark(bitmap, 7, 3);
	take_pages(a, 3);
	mark(bitmap, 8, 1);
	ck_assert_int_eq(vmmem_harvester_take(a, &pages), 0);
	ck_assert_uint_eq(pages, 3);
	ck_assert_int_eq(vmmem_harvester_confirm(a, 7 * PAGE, 3 * PAGE), 0);
	ck_assert_int_eq(vmmem_harvester_take(a, &pages), 0);
	ck_assert_uint_eq(pages, 1);
	ck_assert(has_page(a, 8));
	take_pages(a, 0);
	/* The same where ranges are taken. */
	mark(bitmap, 7, 3);
	ck_assert_int_eq(vmmem_harvester_take_range(a, 0, 9 * PAGE, &pages),
			 0);
	ck_assert_uint_eq(pages, 2);
	mark(bitmap, 8, 1);
	ck_assert_int_eq(vmmem_harvester_take_range(a, 8 * PAGE, 1, &pages),
			 0);
	ck_assert_uint_eq(pages, 2);
	ck_assert_int_eq(vmmem_harvester_confirm(a, 0, UINT64_MAX), 0);
	take_pages(a, 2);
	ck_assert(has_page(a, 8) && has_page(a, 9));
	vmmem_harvester_free(a);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* Chunk by chunk; a page that the range has a byte of is in it. */
START_TEST(takes_ranges)
{
	struct vmmem_bitmap *bitmap = new_bitmap(1000 * PAGE - 1);
	struct vmmem_harvester *a = new_harvester(bitmap);
	struct vmmem_harvester *b = new_harvester(bitmap);
	uint64_t at, pages = 7;

	ck_assert_int_eq(vmmem_harvester_take_range(a, 0, PAGE, &pages), 0);
	ck_assert_uint_eq(pages, 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 1000 * PAGE - 1), 0);
	ck_assert_int_eq(vmmem_harvester_take_range(a, 100 * PAGE - 1, 2,
						    &pages),
			 0);
	ck_assert_uint_eq(pages, 2);
	ck_assert(has_page(a, 99) && has_page(a, 100));
	/* Nothing, there and past the end. */
	ck_assert_int_eq(vmmem_harvester_take_range(a, 50 * PAGE, 0, &pages),
			 0);
	ck_assert_int_eq(vmmem_harvester_take_range(a, 1000 * PAGE - 1,
						    UINT64_MAX, &pages),
			 0);
	ck_assert_int_eq(vmmem_harvester_take_range(a, UINT64_MAX, UINT64_MAX,
						    &pages),
			 0);
	ck_assert_uint_eq(pages, 2);
	/* What was left comes, and what another took is its own. */
	take_pages(b, 1000);
	for (at = 0; at < 1000; at += 130) {
		ck_assert_int_eq(vmmem_harvester_confirm(a, 0, UINT64_MAX), 0);
		ck_assert_int_eq(vmmem_harvester_take_range(a, at * PAGE,
							    130 * PAGE,
							    &pages),
				 0);
		ck_assert_uint_eq(pages, at == 0   ? 128 :
					 at == 910 ? 90 :
						     130);
	}
	take_pages(a, 0);
	take_pages(b, 0);
	vmmem_harvester_free(a);
	vmmem_harvester_free(b);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("harvester_confirm");
	TCase *tcase = tcase_create("confirm");

	tcase_add_test(tcase, confirms_whole_pages);
	tcase_add_test(tcase, unconfirmed_stays);
	tcase_add_test(tcase, late_confirmation);
	tcase_add_test(tcase, takes_ranges);
	suite_add_tcase(suite, tcase);
	return suite;
}
