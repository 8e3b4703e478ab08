/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Every way to make a small memory map, right or wrong, and maps that span the
 * whole address space.
 *
 * In a window of a few addresses: all sequences of up to three regions, in any
 * order, with and without overlap, are given to both forms of new; every
 * region is inserted into every layout of up to two others; and from every
 * layout of up to three, every range is removed, of which exactly those that
 * are there may go.
 *
 * A window cannot hold a region of 2^63 bytes.  So the last test takes the
 * addresses at which 64-bit arithmetic goes wrong as the only ends that
 * regions and ranges have, and forms all layouts and all ranges of them.
 */
#include "layout.h"
#include "suite.h"

static const uint64_t untouched = UINT64_C(0x5aa555aa00ff33cc);

/* A table of all regions of a window: [start * size + last]. */
static struct piece *table;
static unsigned int table_size;

static void
table_open(struct window window)
{
	unsigned int start, last;
	size_t count = (size_t)window.size * window.size;

	table_size = window.size;
	table = aligned_alloc(alignof(struct piece), count * sizeof(*table));
	REQUIRE(table != NULL);
	memset(table, 0, count * sizeof(*table));
	for (start = 0; start < window.size; start++) {
		for (last = start; last < window.size; last++)
			piece_open(&table[start * window.size + last],
				   window.base + start, window.base + last,
				   VMMEM_PROT_READ | VMMEM_PROT_WRITE, true);
	}
}

static void
table_close(void)
{
	size_t i;

	for (i = 0; i < (size_t)table_size * table_size; i++)
		piece_close(&table[i]);
	free(table);
}

/* Do they share an address?  Asked of each address, not calculated. */
static bool
share(const struct piece *a, const struct piece *b)
{
	uint64_t i;

	for (i = 0; i <= a->last - a->start; i++) {
		if (a->start + i >= b->start && a->start + i <= b->last)
			return true;
	}
	return false;
}

static bool
shares_any(const struct layout *layout, const struct piece *piece)
{
	size_t i;

	for (i = 0; i < layout->count; i++) {
		if (share(layout->pieces[i], piece))
			return true;
	}
	return false;
}

/* The collection must hold exactly these pieces, in ascending order. */
static void
expect_regions(const struct layout *layout, struct probe probe,
	       const struct vmmem_collection *collection)
{
	size_t i, j;

	EXPECT(layout, probe,
	       vmmem_collection_count(collection) == layout->count);
	for (i = 0; i < layout->count; i++) {
		const struct piece *piece = layout->pieces[i];
		size_t below = 0;

		for (j = 0; j < layout->count; j++)
			below += layout->pieces[j]->start < piece->start;
		EXPECT(layout, probe,
		       vmmem_collection_region(collection, below) ==
			       piece->region);
	}
}

static void
sequence_new(struct layout *layout)
{
	const struct probe probe = { 0, 0, 0 };
	struct vmmem_region *regions[LAYOUT_MAX] = { NULL };
	struct vmmem_collection *collection = NULL;
	bool unsorted = false, next_overlap = false, any_overlap = false;
	size_t i, j;
	int rc;

	for (i = 0; i < layout->count; i++) {
		const struct piece *piece = layout->pieces[i];

		regions[i] = piece->region;
		if (i > 0 && piece->start < layout->pieces[i - 1]->start)
			unsorted = true;
		else if (i > 0 && share(piece, layout->pieces[i - 1]))
			next_overlap = true;
		for (j = 0; j < i; j++)
			any_overlap |= share(piece, layout->pieces[j]);
	}

	rc = vmmem_collection_new(regions, layout->count, &collection);
	if (unsorted || next_overlap) {
		/* Of two faults, either may be found first. */
		EXPECT(layout, probe,
		       (unsorted && rc == VMMEM_EUNSORTED) ||
			       (next_overlap && rc == VMMEM_EOVERLAP));
		EXPECT(layout, probe, collection == NULL);
	} else {
		EXPECT(layout, probe, rc == 0);
		expect_regions(layout, probe, collection);
		collection = vmmem_collection_unref(collection);
	}

	rc = vmmem_collection_new_unsorted(regions, layout->count, &collection);
	if (any_overlap) {
		EXPECT(layout, probe, rc == VMMEM_EOVERLAP);
		EXPECT(layout, probe, collection == NULL);
	} else {
		EXPECT(layout, probe, rc == 0);
		expect_regions(layout, probe, collection);
		collection = vmmem_collection_unref(collection);
	}
}

/* sequences() goes through all sequences of regions, whatever they are. */
static void
sequences(struct layout *layout)
{
	size_t i;

	if (layout->count != 0)
		sequence_new(layout);
	if (layout->count == LAYOUT_MAX)
		return;
	for (i = 0; i < (size_t)table_size * table_size; i++) {
		if (table[i].region == NULL)
			continue;
		layout->pieces[layout->count++] = &table[i];
		sequences(layout);
		layout->count--;
	}
}

START_TEST(test_new)
{
	struct layout layout = { .count = 0 };

	table_open(window_at(_i, window_size(9, 3)));
	sequences(&layout);
	table_close();
}
END_TEST

static void
visit_insert(struct layout *layout, struct window window)
{
	size_t i;

	(void)window;
	for (i = 0; i < (size_t)table_size * table_size; i++) {
		struct vmmem_collection *collection = NULL;
		struct piece *piece = &table[i];
		struct probe probe = { piece->start,
				       piece->last - piece->start + 1, 0 };
		struct layout grown = *layout;
		int rc;

		if (piece->region == NULL)
			continue;
		rc = vmmem_collection_insert(layout->collection, piece->region,
					     &collection);
		if (shares_any(layout, piece)) {
			EXPECT(layout, probe, rc == VMMEM_EOVERLAP);
			EXPECT(layout, probe, collection == NULL);
		} else {
			EXPECT(layout, probe, rc == 0);
			grown.pieces[grown.count++] = piece;
			expect_regions(&grown, probe, collection);
			vmmem_collection_unref(collection);
		}
		expect_regions(layout, probe, layout->collection);
	}
}

START_TEST(test_insert)
{
	struct window window = window_at(_i, window_size(16, 6));

	table_open(window);
	layout_all(window, 1, LAYOUT_MAX - 1, visit_insert);
	table_close();
}
END_TEST

static void
remove_range(const struct layout *layout, struct probe probe)
{
	struct vmmem_collection *collection = NULL;
	struct vmmem_region *region = NULL;
	struct layout shrunk = { .count = 0 };
	const struct piece *removed = NULL;
	size_t i;
	int rc;

	for (i = 0; i < layout->count; i++) {
		struct piece *piece = layout->pieces[i];

		if (piece->start == probe.gpa &&
		    (wide)piece->start + probe.len == (wide)piece->last + 1)
			removed = piece;
		else
			shrunk.pieces[shrunk.count++] = piece;
	}
	rc = vmmem_collection_remove(layout->collection, probe.gpa, probe.len,
				     &collection, &region);
	if (removed == NULL) {
		EXPECT(layout, probe, rc == VMMEM_ENOREGION);
		EXPECT(layout, probe, collection == NULL);
		EXPECT(layout, probe, region == NULL);
	} else {
		EXPECT(layout, probe, rc == 0);
		EXPECT(layout, probe, region == removed->region);
		expect_regions(&shrunk, probe, collection);
		vmmem_region_unref(region);
		vmmem_collection_unref(collection);
	}
	expect_regions(layout, probe, layout->collection);
}

static void
visit_remove(struct layout *layout, struct window window)
{
	struct probe probe = { 0, 0, 0 };
	unsigned int i;

	for (i = 0; i < window.size + 4; i++) {
		probe.gpa = window.base - 2 + i;
		for (probe.len = 0; probe.len < window.size + 4; probe.len++)
			remove_range(layout, probe);
		/* Lengths that end at 2^64, or a full turn further. */
		for (probe.len = TOP - window.size - 2; probe.len != 0;
		     probe.len++)
			remove_range(layout, probe);
		probe.len = UINT64_C(1) << 63;
		remove_range(layout, probe);
	}
}

START_TEST(test_remove)
{
	layout_all(window_at(_i, window_size(14, 6)), 1, LAYOUT_MAX,
		   visit_remove);
}
END_TEST

/* Where 64-bit arithmetic goes wrong. */
static const uint64_t ends[] = {
	0,
	1,
	15,
	(UINT64_C(1) << 32) - 1,
	UINT64_C(1) << 32,
	(UINT64_C(1) << 63) - 1,
	UINT64_C(1) << 63,
	(UINT64_C(1) << 63) + 1,
	TOP - 15,
	TOP - 1,
	TOP,
};
#define ENDS (sizeof(ends) / sizeof(ends[0]))
static struct piece spans[ENDS][ENDS];

static void
whole_check(const struct layout *layout, struct probe probe)
{
	unsigned char buf[8];
	uint64_t bad = untouched;
	uint64_t good, i;
	size_t done;
	int rc, want;

	want = reference_reach(layout, probe.gpa, probe.len, VMMEM_PROT_READ,
			       &good);
	rc = vmmem_collection_check(layout->collection, probe.gpa, probe.len,
				    VMMEM_PROT_READ, &bad);
	EXPECT(layout, probe, rc == want);
	EXPECT(layout, probe,
	       bad == (want == VMMEM_EBADADDR ? probe.gpa + good : untouched));

	if (probe.len > sizeof(buf))
		return;
	rc = vmmem_collection_read_some(layout->collection, probe.gpa, buf,
					(size_t)probe.len, &done);
	EXPECT(layout, probe, rc == want);
	EXPECT(layout, probe, done == good);
	for (i = 0; i < good; i++)
		EXPECT(layout, probe, buf[i] == tag(probe.gpa + i));
}

static void
whole_lookup(const struct layout *layout, struct probe probe)
{
	const struct piece *piece = reference_find(layout, probe.gpa);
	wide sum = (wide)probe.gpa + probe.len;
	struct vmmem_region *region;
	uint64_t offset, result;
	int rc, want = 0;

	rc = vmmem_collection_locate(layout->collection, probe.gpa, &region,
				     &offset);
	EXPECT(layout, probe, rc == (piece != NULL ? 0 : VMMEM_EBADADDR));
	if (piece != NULL) {
		EXPECT(layout, probe, region == piece->region);
		EXPECT(layout, probe, offset == probe.gpa - piece->start);
	}
	if (sum > TOP)
		want = VMMEM_EWRAPS;
	else if (reference_find(layout, sum) == NULL)
		want = VMMEM_EBADADDR;
	rc = vmmem_collection_address_add(layout->collection, probe.gpa,
					  probe.len, &result);
	EXPECT(layout, probe, rc == want);
	if (want == 0)
		EXPECT(layout, probe, result == sum);
}

static void
whole_layout(struct layout *layout)
{
	struct probe probe = { 0, 0, 0 };
	size_t i, j, k;

	REQUIRE(layout_new(layout) == 0);
	for (i = 0; i < ENDS; i++) {
		probe.gpa = ends[i];
		/* Each address from there, each length, and those around. */
		for (j = 0; j < ENDS; j++) {
			for (k = 0; k < 3; k++) {
				probe.len = ends[j] - ends[i] + k;
				whole_check(layout, probe);
				whole_lookup(layout, probe);
				probe.len = ends[j] - 1 + k;
				whole_check(layout, probe);
				whole_lookup(layout, probe);
			}
		}
	}
	for (i = 0; i < layout->count; i++) {
		probe.gpa = layout->pieces[i]->start;
		probe.len = layout->pieces[i]->last - probe.gpa;
		remove_range(layout, probe);
		probe.len++;
		remove_range(layout, probe);
		probe.len++;
		remove_range(layout, probe);
	}
	layout->collection = vmmem_collection_unref(layout->collection);
}

static uint64_t whole_visited;

static void
whole_layouts(struct layout *layout, size_t first)
{
	size_t start, last;

	whole_layout(layout);
	whole_visited++;
	if (layout->count == LAYOUT_MAX)
		return;
	for (start = first; start < ENDS; start++) {
		for (last = start; last < ENDS; last++) {
			/* No length has 65 bits: all of it is no region. */
			if (spans[start][last].region == NULL)
				continue;
			layout->pieces[layout->count++] = &spans[start][last];
			whole_layouts(layout, last + 1);
			layout->count--;
		}
	}
}

START_TEST(test_whole_space)
{
	struct layout layout = { .count = 0 };
	size_t start, last;

	for (start = 0; start < ENDS; start++) {
		for (last = start; last < ENDS; last++) {
			if (ends[last] - ends[start] != TOP)
				piece_open(&spans[start][last], ends[start],
					   ends[last],
					   VMMEM_PROT_READ | VMMEM_PROT_WRITE,
					   false);
		}
	}
	whole_layouts(&layout, 0);
	/* Only the one of all 2^64 addresses is left out. */
	REQUIRE(whole_visited == layouts_in(ENDS, 1, LAYOUT_MAX) - 1);
	for (start = 0; start < ENDS; start++) {
		for (last = start; last < ENDS; last++)
			piece_close(&spans[start][last]);
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("exhaustive maps");
	TCase *tcase = tcase_create("all maps");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, test_new, 0, WINDOWS);
	tcase_add_loop_test(tcase, test_insert, 0, WINDOWS);
	tcase_add_loop_test(tcase, test_remove, 0, WINDOWS);
	tcase_add_test(tcase, test_whole_space);
	suite_add_tcase(suite, tcase);
	return suite;
}
