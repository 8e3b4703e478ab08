/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * All pairs of an offset and a length at which arithmetic goes wrong, for
 * bitmaps of many lengths; and for iotlbs and what is seen through an iommu,
 * all such targets as well.
 */
#include <vmmem/harvester.h>

#include "iotlbs.h"
#include "spans.h"
#include "suite.h"

/* ---- bitmaps ------------------------------------------------------------ */

/* Up to so many pages; longer ones have longer pages. */
#define PAGES_MAX 64

static const struct {
	uint64_t len;
	uint64_t page;
} bitmaps[] = {
	{ 1, 64 },
	{ PAGE, 64 },
	{ PAGE + 1, PAGE },
	{ 10 * PAGE + 1, PAGE },
	{ UINT64_C(1) << 31, UINT64_C(1) << 26 },
	{ (UINT64_C(1) << 32) + 1, UINT64_C(1) << 31 },
	{ (UINT64_C(1) << 63) - 1, UINT64_C(1) << 58 },
	{ (UINT64_C(1) << 63) + 1, UINT64_C(1) << 63 },
	{ UINT64_MAX, UINT64_C(1) << 58 },
	{ UINT64_MAX, UINT64_C(1) << 63 },
};

/* A bit for each page of a bitmap that has a byte of [offset, offset + len). */
static uint64_t
touched(uint64_t size, uint64_t page, uint64_t offset, uint64_t len)
{
	uint64_t bits = 0, i, start;

	len = common(offset, len, 0, size);
	for (i = 0; i <= (size - 1) / page; i++) {
		start = i * page;
		if (common(offset, len, start, least(page, size - start)) != 0)
			bits |= UINT64_C(1) << i;
	}
	return bits;
}

/* The same for pages of which it has all bytes that there are. */
static uint64_t
covered(uint64_t size, uint64_t page, uint64_t offset, uint64_t len)
{
	uint64_t bits = 0, i, start, whole;

	for (i = 0; i <= (size - 1) / page; i++) {
		start = i * page;
		whole = least(page, size - start);
		if (common(offset, len, start, whole) == whole)
			bits |= UINT64_C(1) << i;
	}
	return bits;
}

static uint64_t
bits_of(const struct vmmem_bitmap *bitmap)
{
	vmmem_le64 word;

	assert_ok(vmmem_bitmap_export(bitmap, 0, vmmem_bitmap_len(bitmap),
				      vmmem_bitmap_page_size(bitmap), &word,
				      sizeof(word)));
	return vmmem_le64_get(&word);
}

/* Where the marks go on from 'offset', by looking at each page. */
static void
expect_next(const struct vmmem_bitmap *bitmap, uint64_t bits, uint64_t offset)
{
	const uint64_t size = vmmem_bitmap_len(bitmap),
		       page = vmmem_bitmap_page_size(bitmap);
	uint64_t at, len, first, want_at = size, want_len = 0, i;

	CODE(vmmem_bitmap_next(bitmap, offset, &at, &len), 0, size, offset, 0);
	for (i = 0; i <= (size - 1) / page; i++) {
		first = i * page > offset ? i * page : offset;
		if ((bits >> i & 1) == 0 || offset >= size ||
		    (wide)first >= (wide)(i + 1) * page) {
			if (want_len != 0)
				break;
			continue;
		}
		if (want_len == 0)
			want_at = first;
		want_len += common(first, page - (first - i * page), 0, size);
	}
	HOLDS(at == want_at && len == want_len, size, offset, at);
}

static void
try_bitmap(struct vmmem_bitmap *bitmap, struct vmmem_harvester *harvester,
	   uint64_t offset, uint64_t len)
{
	const uint64_t size = vmmem_bitmap_len(bitmap),
		       page = vmmem_bitmap_page_size(bitmap),
		       all = touched(size, page, 0, size),
		       bits = touched(size, page, offset, len);
	const struct vmmem_bitmap *taken;
	uint64_t count;
	size_t i;

	CODE(vmmem_bitmap_mark(bitmap, offset, len),
	     len == 0 || (wide)offset + len <= size ? 0 : VMMEM_EOUTOFRANGE,
	     size, offset, len);
	HOLDS(bits_of(bitmap) == bits, size, offset, len);
	HOLDS(vmmem_bitmap_count(bitmap) ==
		      (uint64_t)__builtin_popcountll(bits),
	      size, offset, len);
	for (i = 0; i < NUMBERS; i++) {
		expect_next(bitmap, bits, numbers[i]);
		HOLDS(vmmem_bitmap_test(bitmap, numbers[i]) ==
			      (numbers[i] < size &&
			       (bits >> numbers[i] / page & 1) != 0),
		      size, offset, numbers[i]);
	}
	/* What is taken is confirmed in part, and taken in part. */
	CODE(vmmem_harvester_take(harvester, &count), 0, size, offset, len);
	CODE(vmmem_harvester_confirm(harvester, 0, TOP), 0, size, offset, len);
	CODE(vmmem_bitmap_mark(bitmap, 0, size), 0, size, offset, len);
	CODE(vmmem_harvester_take_range(harvester, offset, len, &count), 0,
	     size, offset, len);
	taken = vmmem_harvester_taken(harvester);
	HOLDS(bits_of(taken) == bits, size, offset, len);
	HOLDS(count == (uint64_t)__builtin_popcountll(bits), size, offset, len);
	CODE(vmmem_harvester_take(harvester, &count), 0, size, offset, len);
	HOLDS(bits_of(taken) == all, size, offset, len);
	CODE(vmmem_harvester_confirm(harvester, offset, len), 0, size, offset,
	     len);
	HOLDS(bits_of(taken) == (all & ~covered(size, page, offset, len)), size,
	      offset, len);
	CODE(vmmem_harvester_confirm(harvester, 0, TOP), 0, size, offset, len);
	HOLDS(bits_of(taken) == 0, size, offset, len);

	CODE(vmmem_bitmap_mark(bitmap, 0, size), 0, size, offset, len);
	CODE(vmmem_bitmap_clear(bitmap, offset, len), 0, size, offset, len);
	HOLDS(bits_of(bitmap) == (all & ~covered(size, page, offset, len)),
	      size, offset, len);
	CODE(vmmem_bitmap_clear(bitmap, 0, TOP), 0, size, offset, len);
	HOLDS(bits_of(bitmap) == 0, size, offset, len);
}

START_TEST(of_bitmaps)
{
	struct vmmem_harvester *harvester = NULL;
	struct vmmem_bitmap *bitmap = NULL;

	assert_ok(vmmem_bitmap_new(bitmaps[_i].len, 0, bitmaps[_i].page, NULL,
				   &bitmap));
	assert_ok(vmmem_harvester_new(bitmap, NULL, &harvester));
	FOR_PAIRS(offset, len)
		try_bitmap(bitmap, harvester, offset, len);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* Words of another page size, at both ends: whatever bit of them is set. */
START_TEST(of_words)
{
	const uint64_t size = bitmaps[_i].len, page = bitmaps[_i].page;
	struct vmmem_bitmap *bitmap = NULL;
	uint64_t shift, bit, pages, all;
	vmmem_le64 words[2];

	assert_ok(vmmem_bitmap_new(size, 0, page, NULL, &bitmap));
	for (shift = 0; shift < 64; shift++) {
		const uint64_t other = UINT64_C(1) << shift;
		const int good = shift >= 6 ? 0 : VMMEM_EARGUMENT;

		pages = good == 0 ? (size - 1) / other + 1 : 0;
		/* What the bits stand for, as far as there are addresses. */
		all = other > TOP / 128 ? TOP : 128 * other;
		CODE(vmmem_bitmap_export(bitmap, 0, size, other, words, 16),
		     pages > 128 ? VMMEM_EOUTOFRANGE : good, size, page, other);
		for (bit = 0; bit < 128; bit++) {
			memset(words, 0, sizeof(words));
			vmmem_le64_set(&words[bit / 64], UINT64_C(1)
								 << bit % 64);
			CODE(vmmem_bitmap_merge(bitmap, 0, all, other, words,
						16),
			     good != 0			? good :
			     bit > (all - 1) / other	? 0 :
			     bit >= pages		? VMMEM_EOUTOFRANGE :
							  0,
			     size, other, bit);
			HOLDS(bits_of(bitmap) ==
				      (bit < pages ?
					       touched(size, page, bit * other,
						       other) :
					       0),
			      size, other, bit);
			CODE(vmmem_bitmap_clear(bitmap, 0, TOP), 0, size, other,
			     bit);
		}
	}
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* ---- an iotlb of one range ---------------------------------------------- */

/* What a look-up of [iova, iova + len) gives where [start, start + size) is. */
static void
expect_lookup(struct vmmem_iotlb *iotlb, uint64_t start, uint64_t size,
	      uint64_t gpa, uint64_t iova, uint64_t len)
{
	const wide end = (wide)iova + len < END ? (wide)iova + len : END;
	struct vmmem_iotlb_piece pieces[4];
	size_t count = 77, i;
	bool missing = false;
	wide at = iova, to;
	int rc;

	rc = vmmem_iotlb_lookup(iotlb, iova, len, VMMEM_PROT_READ, pieces, 4,
				&count);
	for (i = 0; at < end; i++) {
		const bool hit = at >= start && at < (wide)start + size;

		to = hit ? (wide)start + size : at < start ? start : END;
		to = size == 0 ? END : to;
		to = to < end ? to : end;
		HOLDS(i < count && i < 4, start, iova, len);
		HOLDS(pieces[i].iova == at, start, iova, len);
		HOLDS(pieces[i].len == (uint64_t)(to - at), start, iova, len);
		HOLDS(pieces[i].state == (hit ? VMMEM_IOTLB_HIT :
						VMMEM_IOTLB_MISS),
		      start, iova, len);
		HOLDS(pieces[i].gpa ==
			      (hit ? gpa + ((uint64_t)at - start) : 0),
		      start, iova, len);
		missing |= !hit;
		at = to;
	}
	HOLDS(count == i, start, iova, len);
	HOLDS(rc == (missing			   ? VMMEM_EIOMMUMISS :
		     (wide)iova + len > END ? VMMEM_EWRAPS :
						     0),
	      start, iova, len);
}

static void
try_iotlb(struct vmmem_iotlb *iotlb, uint64_t start, uint64_t size,
	  uint64_t gpa)
{
	const bool fits = (wide)start + size <= END && (wide)gpa + size <= END;
	const uint64_t have = fits ? size : 0;
	const int want = fits || size == 0 ? 0 : VMMEM_EWRAPS;
	wide from, to, end;

	vmmem_iotlb_unmap_all(iotlb);
	CODE(vmmem_iotlb_map(iotlb, start, gpa, size, RW), want, start, size,
	     gpa);
	FOR_PAIRS(iova, len)
		expect_lookup(iotlb, start, have, gpa, iova, len);
	FOR_PAIRS(iova, len) {
		CODE(vmmem_iotlb_map(iotlb, start, gpa, size, RW), want, start,
		     size, gpa);
		CODE(vmmem_iotlb_unmap(iotlb, iova, len),
		     (wide)iova + len > END && len != 0 ? VMMEM_EWRAPS : 0,
		     start, iova, len);
		/* What is left below the range, and what above it. */
		end = (wide)start + have;
		from = len == 0 ? end : iova < start ? start : iova;
		from = from < end ? from : end;
		to = len == 0 ? end : (wide)iova + len;
		to = to > start ? to : start;
		to = to < end ? to : end;
		expect_lookup(iotlb, start, (uint64_t)(from - start), gpa,
			      start, (uint64_t)(from - start));
		if (to < end)
			expect_lookup(iotlb, (uint64_t)to, (uint64_t)(end - to),
				      gpa + (uint64_t)(to - start),
				      (uint64_t)to, (uint64_t)(end - to));
		HOLDS(vmmem_iotlb_count(iotlb) ==
			      (uint64_t)(from > start) + (to < end),
		      start, iova, len);
	}
}

START_TEST(of_iotlbs)
{
	struct vmmem_iotlb *iotlb = NULL;

	assert_ok(iotlb_of(4, &iotlb));
	FOR_PAIRS(start, size)
		try_iotlb(iotlb, start, size, numbers[_i]);
	vmmem_iotlb_unref(iotlb);
}
END_TEST

/* ---- memory that is seen through an iommu ------------------------------- */

/* Each address is itself, and marks are made by address. */
START_TEST(of_iommus)
{
	struct vmmem_iommu_options options = { .size = sizeof(options),
					       .log_start = numbers[_i] };
	struct vmmem_collection *seen = NULL;
	struct vmmem_iotlb *iotlb = NULL;
	struct vmmem_iommu *iommu = NULL;
	const uint64_t size = 10 * PAGE;
	uint64_t lost = 0, good, bad, marked;
	int rc, want;

	assert_ok(vmmem_bitmap_new(size, 0, PAGE, NULL, &options.log));
	assert_ok(iotlb_of(4, &iotlb));
	rc = vmmem_iommu_new(iotlb, &options, &iommu);
	assert_code(rc,
		    (wide)options.log_start + size > END ? VMMEM_EWRAPS : 0);
	if (rc != 0)
		goto out;
	assert_ok(vmmem_bitmap_start_logging(options.log));
	assert_ok(vmmem_collection_new_translated(iommu, map, &seen));
	assert_ok(vmmem_iotlb_map(iotlb, 0, 0, TOP, RW));
	assert_ok(vmmem_iotlb_map(iotlb, TOP, TOP, 1, RW));
	/* Joined: it could not have been made by one call. */
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 1);
	FOR_PAIRS(gpa, len) {
		want = expect_check(gpa, len, VMMEM_PROT_WRITE, &good);
		bad = gpa + len;
		CODE(vmmem_collection_check(seen, gpa, len, VMMEM_PROT_WRITE,
					    &bad),
		     want, gpa, len, 0);
		HOLDS(want == VMMEM_EWRAPS || bad == gpa + good, gpa, len,
		      bad);
		CODE(vmmem_iommu_resolve(iommu, gpa, len, RW, 0, NULL, NULL),
		     (wide)gpa + len > END ? VMMEM_EWRAPS : 0, gpa, len, 0);
		CODE(vmmem_collection_mark(seen, gpa, len),
		     (wide)gpa + len > END ? VMMEM_EWRAPS : 0, gpa, len, 0);
		/* The log has what it covers; all the rest is counted. */
		len = (uint64_t)((wide)gpa + len > END ? END - gpa : len);
		marked = common(gpa, len, options.log_start, size);
		lost += len - marked;
		HOLDS(vmmem_iommu_unlogged(iommu, NULL) == lost, gpa, len,
		      lost);
		good = gpa > options.log_start ? gpa - options.log_start : 0;
		HOLDS(bits_of(options.log) == (marked == 0 ?
						       0 :
						       touched(size, PAGE, good,
							       marked)),
		      gpa, len, marked);
		CODE(vmmem_bitmap_clear(options.log, 0, TOP), 0, gpa, len, 0);
	}
	vmmem_collection_unref(seen);
	vmmem_iommu_unref(iommu);
out:
	vmmem_iotlb_unref(iotlb);
	vmmem_bitmap_unref(options.log);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("boundaries_tables");
	TCase *tcase = tcase_create("boundaries_tables");

	tcase_add_checked_fixture(tcase, spans_setup, spans_teardown);
	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, of_bitmaps, 0, (int)ARRAY_LEN(bitmaps));
	tcase_add_loop_test(tcase, of_words, 0, (int)ARRAY_LEN(bitmaps));
	tcase_add_loop_test(tcase, of_iotlbs, 0, (int)NUMBERS);
	tcase_add_loop_test(tcase, of_iommus, 0, (int)NUMBERS);
	suite_add_tcase(suite, tcase);
	return suite;
}
