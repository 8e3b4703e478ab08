/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * All pairs of an address and a length at which arithmetic goes wrong, for what
 * a guest can choose of its own memory and check_exhaustive does not try:
 * slices, iovecs, marks, discards, residency.
 */
#include <sys/uio.h>

#include "memory.h"
#include "spans.h"
#include "suite.h"

static const uint32_t accesses[] = { 0, VMMEM_PROT_READ, RW };

static void
visit_slices(uint64_t gpa, uint64_t len)
{
	const struct vmmem_slice untouched = { .len = 77 };
	struct vmmem_slice slice;
	uint64_t good, piece;
	uint32_t access;
	size_t i;
	int want;

	for (i = 0; i < ARRAY_LEN(accesses); i++) {
		access = accesses[i];
		piece = 0;
		want = len != 0 ? expect_piece(gpa, len, access, &piece) : 0;
		slice = untouched;
		CODE(vmmem_collection_next_slice(map, gpa, len, access, &slice),
		     want, gpa, len, access);
		HOLDS(slice.len == (want == 0 ? piece : 77), gpa, len, access);
		HOLDS(want != 0 || len == 0 || slice.host == host_at(gpa), gpa,
		      len, access);

		/* All of it in one, or why not. */
		if (len != 0 && want != VMMEM_EBADADDR && piece < len) {
			want = expect_check(gpa, len, 0, &good);
			if (want == 0)
				want = VMMEM_ECROSS;
		}
		slice = untouched;
		CODE(vmmem_collection_slice(map, gpa, len, access, &slice),
		     want, gpa, len, access);
		HOLDS(slice.len == (want == 0 ? len : 77), gpa, len, access);
	}
}

START_TEST(slices)
{
	each_range(visit_slices);
}
END_TEST

static void
visit_iovecs(uint64_t gpa, uint64_t len)
{
	const struct vmmem_range chain[] = {
		{ TOP, 0 }, { gpa, len }, { 0, 1 }
	};
	struct iovec iov[8];
	uint64_t at, left, piece, total;
	size_t i, n, count;
	int want;

	for (i = 0; i < ARRAY_LEN(accesses); i++) {
		want = 0;
		n = 0;
		for (at = gpa, left = len; left != 0 && want == 0;) {
			want = expect_piece(at, left, accesses[i], &piece);
			/* Without a host address there is nothing to give. */
			if (want == -EXDEV)
				want = VMMEM_ENOHOST;
			at += piece;
			left -= piece;
			n++;
		}
		count = 77;
		CODE(vmmem_collection_iovec(map, gpa, len, accesses[i], iov,
					    ARRAY_LEN(iov), &count, NULL),
		     want, gpa, len, i);
		HOLDS(count == (want == 0 ? n : 77), gpa, len, i);
		for (n = 0, total = 0; want == 0 && n < count; n++)
			total += iov[n].iov_len;
		HOLDS(want != 0 || total == len, gpa, len, i);
		CODE(vmmem_collection_iovec_ranges(map, chain, 3, accesses[i],
						   NULL, 0, &count, NULL),
		     want != 0 ? want : VMMEM_ENOROOM, gpa, len, i);
	}
}

START_TEST(iovecs)
{
	each_range(visit_iovecs);
}
END_TEST

static void
visit_marks(uint64_t gpa, uint64_t len)
{
	const struct vmmem_range range = { gpa, len };
	uint64_t good, done;
	size_t i;
	int want;

	CODE(vmmem_collection_mark(map, gpa, len),
	     expect_check(gpa, len, 0, &good), gpa, len, 0);
	expect_marks(gpa, len);
	/* What was written of a range, or of more than that. */
	for (i = 0; i < NUMBERS; i++) {
		done = least(len, numbers[i]);
		want = expect_check(gpa, done, 0, &good);
		if (want == 0 && done < numbers[i])
			want = VMMEM_EOUTOFRANGE;
		CODE(vmmem_collection_mark_ranges(map, &range, 1, numbers[i]),
		     want, gpa, len, numbers[i]);
		expect_marks(gpa, done);
	}
}

START_TEST(marks)
{
	each_range(visit_marks);
}
END_TEST

static struct vmmem_space *space;
/* Whether advice is taken: an emulator may say yes and do nothing. */
static bool advised;

static void
visit_discards(uint64_t gpa, uint64_t len)
{
	uint64_t good, given = 77;
	int want = expect_check(gpa, len, VMMEM_PROT_WRITE, &good), i;

	for (i = 0; i < 2; i++) {
		discarded_custom = 0;
		given = 77;
		CODE(i == 0 ? vmmem_collection_discard(map, gpa, len, 0,
						       &given) :
			      vmmem_space_discard(space, gpa, len, 0, &given),
		     want, gpa, len, i);
		HOLDS(given <= (want == 0 ? len : 0), gpa, len, given);
		HOLDS(discarded_custom ==
			      (want != 0 ? 0 :
					   common(gpa, len, spans[4].start,
						  spans[4].len)),
		      gpa, len, i);
		expect_marks(gpa, want == 0 ? len : 0);
		if (advised)
			expect_bytes(gpa, want == 0 ? len : 0, 0);
		else
			restore();
	}
}

START_TEST(discards)
{
	advised = memory_skip_reason() == NULL;
	assert_ok(vmmem_space_new(map, NULL, &space));
	each_range(visit_discards);
	vmmem_space_unref(space);
}
END_TEST

/* By offset in a region, and in a slice of all of it. */
static void
visit_offsets(size_t index, uint64_t offset, uint64_t len)
{
	static uint8_t buf[2 * PAGE];
	const struct span *span = &spans[index];
	const bool inside = (wide)offset + len <= span->len;
	const int want = len == 0 || inside ? 0 : VMMEM_EOUTOFRANGE;
	const uint64_t done = len != 0 && inside ? len : 0,
		       some = common(offset, len, 0, span->len);
	struct vmmem_residency residency = { .size = sizeof(residency) };
	uint64_t gpa = span->start + offset, given, rest;
	struct vmmem_slice slice, part, second;
	size_t moved;

	CODE(vmmem_region_residency(span->region, offset, len, &residency),
	     want, index, offset, len);
	HOLDS(residency.resident == done, index, offset, len);
	given = rest = 0;
	if (vmmem_region_nodes(span->region, 0, 0, &given, 1, &rest) !=
		    VMMEM_ENOSUPPORT &&
	    want != 0)
		CODE(vmmem_region_nodes(span->region, offset, len, &given, 1,
					&rest),
		     want, index, offset, len);
	CODE(vmmem_region_discard(span->region, offset, len,
				  VMMEM_DISCARD_WHOLE_PAGES, &given),
	     want, index, offset, len);
	HOLDS(given <= done && given % page_size() == 0, index, offset, len);
	expect_marks(gpa, done);
	restore();

	CODE(vmmem_region_slice(span->region, offset, len, RW, &slice), want,
	     index, offset, len);
	assert_ok(vmmem_region_slice(span->region, 0, span->len, RW, &slice));
	CODE(vmmem_slice_sub(&slice, offset, len, &part), want, index, offset,
	     len);
	CODE(vmmem_slice_split(&slice, offset, &part, &second),
	     offset <= span->len ? 0 : VMMEM_EOUTOFRANGE, index, offset, len);
	CODE(vmmem_slice_mark(&slice, offset, len), want, index, offset, len);
	expect_marks(gpa, done);
	CODE(vmmem_slice_fill(&slice, offset, len, 0xee), want, index, offset,
	     len);
	expect_marks(gpa, done);
	expect_bytes(gpa, done, 0xee);
	CODE(vmmem_slice_copy(&slice, offset, &slice, 0, len), want, index,
	     offset, len);
	expect_marks(gpa, done);
	CODE(vmmem_slice_copy(&slice, 0, &slice, offset, len), want, index,
	     offset, len);
	expect_marks(span->start, done);
	restore();
	/* Longer than the buffer, so only what is refused. */
	if (want != 0) {
		CODE(vmmem_slice_read(&slice, offset, buf, len), want, index,
		     offset, len);
		CODE(vmmem_slice_write(&slice, offset, buf, len), want, index,
		     offset, len);
	}
	memset(buf, 0xee, sizeof(buf));
	CODE(vmmem_slice_write_some(&slice, offset, buf, len, &moved),
	     some == len ? 0 : VMMEM_EOUTOFRANGE, index, offset, len);
	HOLDS(moved == some, index, offset, len);
	expect_marks(gpa, some);
	expect_bytes(gpa, some, 0xee);
}

START_TEST(offsets)
{
	static const size_t tried[] = { 0, 1, 3, 5 };
	size_t i;

	for (i = 0; i < ARRAY_LEN(tried); i++)
		FOR_PAIRS(offset, len)
			visit_offsets(tried[i], offset, len);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("boundaries");
	TCase *tcase = tcase_create("boundaries");

	tcase_add_checked_fixture(tcase, spans_setup, spans_teardown);
	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, slices);
	tcase_add_test(tcase, iovecs);
	tcase_add_test(tcase, marks);
	tcase_add_test(tcase, discards);
	tcase_add_test(tcase, offsets);
	suite_add_tcase(suite, tcase);
	return suite;
}
