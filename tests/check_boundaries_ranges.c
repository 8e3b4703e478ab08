/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * All pairs of an address and a length at which arithmetic goes wrong, for
 * chains, pieces, pins, populating, accesses with an info, loads with a byte
 * order, values of a region, and refusals of a queue of misses.
 */
#include <vmmem/vmmem.h>

#include "spans.h"
#include "suite.h"

static uint8_t buf[4 * PAGE];

/* What moving the bytes returns: memory of callbacks moves none here. */
static int
expect_move(uint64_t gpa, uint64_t len, uint32_t access, uint64_t *ret_good)
{
	int rc = expect_check(gpa, len, access, ret_good);

	if (rc == 0 && common(gpa, len, spans[4].start, spans[4].len) != 0)
		rc = -EXDEV;
	return rc;
}

/* As the only range of a chain, behind one of no bytes and one to be skipped. */
static void
visit_chains(uint64_t gpa, uint64_t len)
{
	const struct vmmem_range chain[] = {
		{ TOP, 0 }, { TOP, 77 }, { gpa, len },
	};
	uint64_t good, bad, filled;
	size_t done = 5;
	int want = expect_move(gpa, len, RW, &good);

	bad = 1;
	filled = 5;
	CODE(vmmem_collection_ranges_fill(map, chain, 3, 77, len, 0xee, 0,
					  &filled, &bad),
	     /* The rest of a chain is as long as any. */
	     want, gpa, len, 0);
	if (want != -EXDEV) {
		HOLDS(filled == (want == 0 ? len : 0), gpa, len, filled);
		expect_marks(gpa, filled);
		expect_bytes(gpa, filled, 0xee);
	} else {
		expect_marks(gpa, filled + 1);
		restore();
	}
	HOLDS(bad == (want == VMMEM_EBADADDR || want == VMMEM_EDENIED ?
			      gpa + good :
			      bad),
	      gpa, len, bad);
	/* One byte more than the chain has. */
	if (len < TOP) {
		CODE(vmmem_collection_ranges_fill(map, chain, 3, 77, len + 1,
						  0xee, 0, &filled, NULL),
		     want != 0 && want != -EXDEV ? want : VMMEM_EOUTOFRANGE,
		     gpa, len, 1);
		HOLDS(filled == 0, gpa, len, filled);
	}
	if (len > sizeof(buf) && (want == 0 || want == -EXDEV))
		return;
	memset(buf, 0xee, sizeof(buf));
	want = len == TOP && want == 0 ? VMMEM_EOUTOFRANGE : want;
	CODE(vmmem_collection_ranges_write(map, chain, 3, 77, buf, len, 0,
					   &done, NULL),
	     want, gpa, len, 2);
	if (want != -EXDEV) {
		expect_marks(gpa, want == 0 ? len : 0);
		expect_bytes(gpa, want == 0 ? len : 0, 0xee);
	} else {
		expect_marks(gpa, done + 1);
		restore();
	}
	CODE(vmmem_collection_ranges_read(map, chain, 3, 77, buf, len, 0,
					  &done, NULL),
	     expect_move(gpa, len, VMMEM_PROT_READ, &good), gpa, len, 3);
}

START_TEST(chains)
{
	each_range(visit_chains);
}
END_TEST

/* Where a chain of two ranges begins, by any skip and any length. */
START_TEST(skips)
{
	const struct vmmem_range chain[] = { { 0, PAGE }, { PAGE, PAGE } };
	uint64_t filled;
	wide end;
	int want;

	FOR_PAIRS(skip, len)
	{
		end = (wide)skip + len;
		want = end <= 2 * PAGE || len == 0 ? 0 : VMMEM_EOUTOFRANGE;
		/* All that is behind, if there is a behind. */
		if (len == VMMEM_IO_REST && skip <= 2 * PAGE)
			want = 0;
		CODE(vmmem_collection_ranges_fill(map, chain, 2, skip, len,
						  0xee, 0, &filled, NULL),
		     want, skip, len, 0);
		end = want != 0 ? 0 : len == VMMEM_IO_REST ? 2 * PAGE - skip :
							    len;
		HOLDS(filled == end, skip, len, filled);
		expect_marks(skip, filled);
		expect_bytes(skip, filled, 0xee);
	}
}
END_TEST

static void
visit_pieces(uint64_t gpa, uint64_t len)
{
	struct vmmem_region *region = NULL;
	uint64_t offset = 77, piece = 77, want_len = 0;
	void *host = NULL;
	size_t i, first;
	bool overlaps = false;
	int want = VMMEM_EZEROLEN;

	for (i = 0; i < SPANS; i++)
		overlaps = overlaps ||
			   common(gpa, len, spans[i].start, spans[i].len) != 0;
	HOLDS(vmmem_collection_overlaps(map, gpa, len) == overlaps, gpa, len,
	      overlaps);
	for (first = 0; first < SPANS; first++)
		if (spans[first].start + (spans[first].len - 1) >= gpa)
			break;
	HOLDS(vmmem_collection_index(map, gpa) == first, gpa, len, first);

	if (len != 0)
		want = expect_piece(gpa, len, 0, &want_len);
	if (want == -EXDEV)
		want = 0;
	CODE(vmmem_collection_piece(map, gpa, len, 0, &region, &offset, &piece,
				    &host),
	     want, gpa, len, 0);
	if (want != 0) {
		HOLDS(region == NULL && offset == 77 && piece == 77, gpa, len,
		      offset);
		return;
	}
	HOLDS(region == spans[first].region, gpa, len, first);
	HOLDS(offset == gpa - spans[first].start, gpa, len, offset);
	HOLDS(piece == want_len, gpa, len, piece);
	HOLDS(host == (spans[first].host ? host_at(gpa) : NULL), gpa, len, 0);
}

START_TEST(pieces)
{
	each_range(visit_pieces);
}
END_TEST

static struct vmmem_space *space;

/* Discards of a chain, populating, and accesses with an info. */
static void
visit_whole(uint64_t gpa, uint64_t len)
{
	const struct vmmem_range chain[] = { { 0, 0 }, { gpa, len } };
	const struct vmmem_access_info ram = {
		.size = sizeof(ram),
		.flags = VMMEM_ACCESS_RAM_ONLY,
	};
	uint64_t good, bad = 1, given = 0;
	int want = expect_check(gpa, len, VMMEM_PROT_WRITE, &good), i, rc;
	size_t done;

	for (i = 0; i < 2; i++) {
		CODE(i == 0 ? vmmem_collection_discard_ranges(
				      map, chain, 2, 0, &given, &bad) :
			      vmmem_space_discard_ranges(space, chain, 2, 0,
							 &given, &bad),
		     want, gpa, len, i);
		HOLDS(given <= (want == 0 ? len : 0), gpa, len, given);
		HOLDS(want == 0 || want == VMMEM_EWRAPS || bad == gpa + good,
		      gpa, len, bad);
		expect_marks(gpa, want == 0 ? len : 0);
		restore();
	}
	rc = vmmem_collection_populate(map, gpa, len);
	want = expect_check(gpa, len, 0, &good);
	if (want == 0 && common(gpa, len, spans[4].start, spans[4].len) != 0)
		want = VMMEM_ENOHOST;
	/* An old kernel, and an emulator, make no pages. */
	HOLDS(rc == want || (want == 0 && rc == VMMEM_ENOSUPPORT), gpa, len,
	      rc);

	want = expect_check(gpa, len, VMMEM_PROT_READ, &good);
	if (common(gpa, good, spans[4].start, spans[4].len) != 0)
		want = VMMEM_ENOHOST;
	if (want != 0 || len <= sizeof(buf)) {
		CODE(vmmem_collection_read_with(map, gpa, buf, len, &ram,
						&done),
		     want, gpa, len, 2);
		HOLDS(done == (want == 0 ? len : 0), gpa, len, done);
	}
	want = expect_check(gpa, len, VMMEM_PROT_WRITE, &good);
	if (common(gpa, good, spans[4].start, spans[4].len) != 0)
		want = VMMEM_ENOHOST;
	if (want != 0 || len <= sizeof(buf)) {
		memset(buf, 0xee, sizeof(buf));
		CODE(vmmem_collection_write_with(map, gpa, buf, len, &ram,
						 &done),
		     want, gpa, len, 3);
		expect_marks(gpa, done);
		expect_bytes(gpa, done, 0xee);
	}
}

START_TEST(whole)
{
	assert_ok(vmmem_space_new(map, NULL, &space));
	each_range(visit_whole);
	vmmem_space_unref(space);
}
END_TEST

/* With a byte order a value is where it is without one, and swapped or not. */
START_TEST(byte_orders)
{
	uint32_t native, little, big;
	size_t i;
	int rc;

	for (i = 0; i < ADDRESSES; i++) {
		const uint64_t gpa = address(i);

		rc = vmmem_collection_load_u32(map, gpa, VMMEM_ORDER_ACQUIRE,
					       &native);
		CODE(vmmem_collection_load_le32(map, gpa, VMMEM_ORDER_ACQUIRE,
						&little),
		     rc, gpa, 4, 0);
		CODE(vmmem_collection_load_be32(map, gpa, VMMEM_ORDER_ACQUIRE,
						&big),
		     rc, gpa, 4, 1);
		HOLDS(rc != 0 || (native == (little < big ? little : big)) ||
			      native == little || native == big,
		      gpa, little, big);
		HOLDS(rc != 0 || little == __builtin_bswap32(big), gpa, little,
		      big);
		rc = vmmem_collection_store_u32(map, gpa, 0,
						VMMEM_ORDER_RELEASE);
		CODE(vmmem_collection_store_le32(map, gpa, 0,
						 VMMEM_ORDER_RELEASE),
		     rc, gpa, 4, 2);
		CODE(vmmem_collection_store_be32(map, gpa, 0,
						 VMMEM_ORDER_RELEASE),
		     rc, gpa, 4, 3);
		expect_marks(gpa, rc == 0 ? 4 : 0);
		restore();
	}
}
END_TEST

/* By offset in a region: pins, pages, and values. */
static void
visit_offsets(size_t index, uint64_t offset, uint64_t len)
{
	const struct span *span = &spans[index];
	const bool inside = (wide)offset + len <= span->len;
	const int want = len == 0 || inside ? 0 : VMMEM_EOUTOFRANGE;
	const uint64_t some = want == 0 ? len : 0;
	uint64_t value = 5, filled = 7;
	int rc;

	CODE(vmmem_region_pin(span->region, offset, len), want, index, offset,
	     len);
	HOLDS(vmmem_region_is_pinned(span->region, offset, len) == (some != 0),
	      index, offset, len);
	HOLDS(vmmem_region_is_pinned(span->region, 0, span->len) ==
		      (some != 0),
	      index, offset, len);
	CODE(vmmem_region_discard(span->region, 0, span->len, 0, NULL),
	     some != 0 ? VMMEM_EPINNED : 0, index, offset, len);
	CODE(vmmem_region_unpin(span->region, offset, len), want, index, offset,
	     len);
	HOLDS(!vmmem_region_is_pinned(span->region, 0, span->len), index,
	      offset, len);
	expect_marks(span->start, some != 0 ? 0 : span->len);
	restore();

	rc = vmmem_region_populate(span->region, offset, len);
	HOLDS(rc == want || (want == 0 && rc == VMMEM_ENOSUPPORT), index,
	      offset, len);
	CODE(vmmem_region_fill(span->region, offset, len, 0xee, &filled), want,
	     index, offset, len);
	expect_marks(span->start + offset, some);
	expect_bytes(span->start + offset, some, 0xee);

	rc = (wide)offset + 8 > span->len      ? VMMEM_EOUTOFRANGE :
	     (span->start + offset) % 8 != 0 ? VMMEM_EMISALIGNED :
					       0;
	CODE(vmmem_region_load(span->region, offset, 8, VMMEM_ORDER_ACQUIRE,
			       &value),
	     rc, index, offset, 8);
	CODE(vmmem_region_store(span->region, offset, 8, VMMEM_ORDER_RELEASE,
				value),
	     rc, index, offset, 8);
	expect_marks(span->start + offset, rc == 0 ? 8 : 0);
	CODE(vmmem_region_load(span->region, 0, (uint32_t)len,
			       VMMEM_ORDER_RELAXED, &value),
	     (uint32_t)len == 1 ? 0 : VMMEM_EARGUMENT, index, 0, len);
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

/* The caller's own buffer as a slice. */
START_TEST(own_buffers)
{
	struct vmmem_slice slice;
	int rc;

	FOR_PAIRS(offset, len)
	{
		rc = vmmem_slice_from_host(buf, len, RW, &slice);
		HOLDS(rc == 0 || rc == VMMEM_EWRAPS, offset, len, rc);
		if (rc != 0 || len > sizeof(buf))
			continue;
		rc = (wide)offset + 2 > len    ? VMMEM_EOUTOFRANGE :
		     (uintptr_t)(buf + offset) % 2 != 0 ? VMMEM_EMISALIGNED :
							  0;
		CODE(vmmem_slice_store_be16(&slice, offset, 0x1122,
					    VMMEM_ORDER_RELEASE),
		     rc, offset, len, 0);
		HOLDS(rc != 0 ||
			      (buf[offset] == 0x11 && buf[offset + 1] == 0x22),
		      offset, len, 1);
	}
}
END_TEST

/* A refusal of a range that ends with the last address, or would pass it. */
START_TEST(refusals)
{
	const struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.flags = VMMEM_IOMMU_QUEUE_MISSES,
	};
	struct vmmem_iommu *iommu;
	struct vmmem_iotlb *iotlb;

	assert_ok(vmmem_iotlb_new(NULL, &iotlb));
	assert_ok(vmmem_iommu_new(iotlb, &options, &iommu));
	FOR_PAIRS(iova, len)
		CODE(vmmem_iommu_refuse(iommu, iova, len, -EIO),
		     len != 0 && (wide)iova + len > END ? VMMEM_EWRAPS : 0,
		     iova, len, 0);
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("boundaries of ranges");
	TCase *tcase = tcase_create("boundaries");

	tcase_add_checked_fixture(tcase, spans_setup, spans_teardown);
	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, chains);
	tcase_add_test(tcase, skips);
	tcase_add_test(tcase, pieces);
	tcase_add_test(tcase, whole);
	tcase_add_test(tcase, byte_orders);
	tcase_add_test(tcase, offsets);
	tcase_add_test(tcase, own_buffers);
	tcase_add_test(tcase, refusals);
	suite_add_tcase(suite, tcase);
	return suite;
}
