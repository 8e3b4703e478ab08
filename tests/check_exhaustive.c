/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Every question about every small memory map.
 *
 * A window is a handful of consecutive addresses, at the bottom of the address
 * space, at its top, or across 2^32.  For each window, layout_all() forms all
 * sets of up to three regions in it.  For each of these sets, the probes below
 * are all addresses from two below the window to two above it, which at both
 * ends of the address space lie at the other end, with all lengths from 0 to
 * more than the window, and with those that are huge or end at 2^64 exactly.
 * So whatever is wrong for some arrangement of a range and at most three
 * regions (touching, apart, ending at 2^64 - 1, ...) is met here.
 */
#include "layout.h"
#include "suite.h"

/* The longest range that is moved, not only checked. */
#define MOVE_MAX 24
#define LENGTHS_MAX 64

static const uint64_t untouched = UINT64_C(0x5aa555aa00ff33cc);

static unsigned int
probe_count(struct window window)
{
	return window.size + 4;
}

static uint64_t
probe_at(struct window window, unsigned int index)
{
	return window.base - 2 + index;
}

static size_t
lengths(struct window window, uint64_t gpa, uint64_t *list)
{
	const uint64_t huge[] = {
		UINT64_C(1) << 32,
		UINT64_C(1) << 63,
		(UINT64_C(1) << 63) + 1,
		TOP - 1,
		TOP,
		/* To the byte before the last, to the last, past it. */
		TOP - gpa,
		TOP - gpa + 1,
		TOP - gpa + 2,
		/* Once around, to just below and just above the start. */
		TOP - window.size,
		-(uint64_t)window.size,
	};
	size_t count = 0;
	uint64_t len;
	size_t i;

	for (len = 0; len < window.size + 4; len++)
		list[count++] = len;
	for (i = 0; i < sizeof(huge) / sizeof(huge[0]); i++)
		list[count++] = huge[i];
	return count;
}

static void
visit_lookups(struct layout *layout, struct window window)
{
	struct vmmem_collection *collection = layout->collection;
	struct probe probe = { 0, 0, 0 };
	uint64_t last = untouched;
	unsigned int i, j;
	int rc;

	rc = vmmem_collection_last(collection, &last);
	if (layout->count == 0) {
		EXPECT(layout, probe, rc == VMMEM_ENOREGION);
		EXPECT(layout, probe, last == untouched);
	} else {
		EXPECT(layout, probe, rc == 0);
		EXPECT(layout, probe,
		       last == layout->pieces[layout->count - 1]->last);
	}
	EXPECT(layout, probe,
	       vmmem_collection_count(collection) == layout->count);

	for (i = 0; i < probe_count(window); i++) {
		uint64_t gpa = probe_at(window, i);
		const struct piece *piece = reference_find(layout, gpa);
		struct vmmem_region *region = NULL;
		uint64_t offset = untouched;

		probe.gpa = gpa;
		EXPECT(layout, probe,
		       vmmem_collection_find(collection, gpa) ==
			       (piece != NULL ? piece->region : NULL));
		EXPECT(layout, probe,
		       vmmem_collection_contains(collection, gpa) ==
			       (piece != NULL));
		rc = vmmem_collection_locate(collection, gpa, &region, &offset);
		if (piece != NULL) {
			EXPECT(layout, probe, rc == 0);
			EXPECT(layout, probe, region == piece->region);
			EXPECT(layout, probe, offset == gpa - piece->start);
		} else {
			EXPECT(layout, probe, rc == VMMEM_EBADADDR);
			EXPECT(layout, probe, region == NULL);
			EXPECT(layout, probe, offset == untouched);
		}

		/* From every probe to every other, wrapping or not. */
		for (j = 0; j < probe_count(window); j++) {
			uint64_t by = probe_at(window, j) - gpa;
			wide sum = (wide)gpa + by;
			uint64_t result = untouched;
			int want = 0;

			probe.other = by;
			if (sum > TOP)
				want = VMMEM_EWRAPS;
			else if (reference_find(layout, sum) == NULL)
				want = VMMEM_EBADADDR;
			rc = vmmem_collection_address_add(collection, gpa, by,
							  &result);
			EXPECT(layout, probe, rc == want);
			EXPECT(layout, probe,
			       result == (want == 0 ? (uint64_t)sum :
						      untouched));
		}
	}
}

static void
check_range(const struct layout *layout, struct probe probe)
{
	uint32_t access;

	for (access = 0; access < 4; access++) {
		uint64_t bad = untouched;
		uint64_t good;
		int rc, want;

		probe.other = access;
		want = reference_reach(layout, probe.gpa, probe.len, access,
				       &good);
		rc = vmmem_collection_check(layout->collection, probe.gpa,
					    probe.len, access, &bad);
		EXPECT(layout, probe, rc == want);
		if (want == VMMEM_EBADADDR || want == VMMEM_EDENIED)
			EXPECT(layout, probe, bad == probe.gpa + good);
		else
			EXPECT(layout, probe, bad == untouched);
	}
}

/* The bytes of [gpa, gpa + done) are 'turned' from their tags; no others. */
static void
expect_turned(struct layout *layout, struct probe probe, uint64_t done,
	      unsigned char turned)
{
	size_t i, j;

	for (i = 0; i < layout->count; i++) {
		struct piece *piece = layout->pieces[i];
		size_t from = (size_t)(piece->bytes - piece->arena);
		size_t len = (size_t)(piece->last - piece->start + 1);

		for (j = 0; j < len; j++) {
			uint64_t gpa = piece->start + j;
			unsigned char want = tag(gpa);

			if (gpa >= probe.gpa && gpa - probe.gpa < done)
				want = turned;
			EXPECT(layout, probe, piece->arena[from + j] == want);
			piece->arena[from + j] = tag(gpa);
		}
		EXPECT(layout, probe, piece->arena[from - 1] == 0xee);
		EXPECT(layout, probe, piece->arena[from + len] == 0xee);
	}
}

static void
read_range(const struct layout *layout, struct probe probe, bool some)
{
	unsigned char buf[MOVE_MAX + 1];
	uint64_t good, i;
	size_t done = 77;
	int rc, want;

	want = reference_reach(layout, probe.gpa, probe.len, VMMEM_PROT_READ,
			       &good);
	if (want != 0 && !some)
		good = 0;
	memset(buf, 0xdd, sizeof(buf));
	rc = some ? vmmem_collection_read_some(layout->collection, probe.gpa,
					       buf, (size_t)probe.len, &done) :
		    vmmem_collection_read(layout->collection, probe.gpa, buf,
					  (size_t)probe.len, &done);
	EXPECT(layout, probe, rc == want);
	EXPECT(layout, probe, done == good);
	for (i = 0; i < sizeof(buf); i++)
		EXPECT(layout, probe,
		       buf[i] == (i < good ? tag(probe.gpa + i) : 0xdd));
}

static void
write_range(struct layout *layout, struct probe probe, bool some)
{
	static const unsigned char turned[MOVE_MAX] = { 0 };
	uint64_t good;
	size_t done = 77;
	int rc, want;

	want = reference_reach(layout, probe.gpa, probe.len, VMMEM_PROT_WRITE,
			       &good);
	if (want != 0 && !some)
		good = 0;
	rc = some ? vmmem_collection_write_some(layout->collection, probe.gpa,
						turned, (size_t)probe.len,
						&done) :
		    vmmem_collection_write(layout->collection, probe.gpa,
					   turned, (size_t)probe.len, &done);
	EXPECT(layout, probe, rc == want);
	EXPECT(layout, probe, done == good);
	expect_turned(layout, probe, good, 0);
}

/* Filling needs no buffer, so it is tried with every length. */
static void
fill_range(struct layout *layout, struct probe probe, bool some)
{
	uint64_t done = 77;
	uint64_t good;
	int rc, want;

	want = reference_reach(layout, probe.gpa, probe.len, VMMEM_PROT_WRITE,
			       &good);
	if (want != 0 && !some)
		good = 0;
	rc = some ? vmmem_collection_fill_some(layout->collection, probe.gpa,
					       probe.len, 0xf1, &done) :
		    vmmem_collection_fill(layout->collection, probe.gpa,
					  probe.len, 0xf1, &done);
	EXPECT(layout, probe, rc == want);
	EXPECT(layout, probe, done == good);
	expect_turned(layout, probe, good, 0xf1);
}

static void
visit_ranges(struct layout *layout, struct window window)
{
	uint64_t list[LENGTHS_MAX];
	struct probe probe;
	unsigned int i;
	size_t count, j;

	probe.other = 0;
	for (i = 0; i < probe_count(window); i++) {
		probe.gpa = probe_at(window, i);
		count = lengths(window, probe.gpa, list);
		for (j = 0; j < count; j++) {
			probe.len = list[j];
			check_range(layout, probe);
			fill_range(layout, probe, false);
			fill_range(layout, probe, true);
			if (probe.len > MOVE_MAX)
				continue;
			read_range(layout, probe, false);
			read_range(layout, probe, true);
			write_range(layout, probe, false);
			write_range(layout, probe, true);
		}
	}
}

/* What an atomic access of 'size' bytes must return: see vmmem/atomic.h. */
static int
atomic_code(const struct layout *layout, uint64_t gpa, unsigned int size,
	    uint32_t access)
{
	const struct piece *piece = reference_find(layout, gpa);
	uint64_t good;
	int rc;

	rc = reference_reach(layout, gpa, size, 0, &good);
	if (rc != 0)
		return rc;
	if (gpa + (size - 1) > piece->last)
		return VMMEM_ECROSS;
	if (gpa % size != 0)
		return VMMEM_EMISALIGNED;
	if ((piece->access & access) != access)
		return VMMEM_EDENIED;
	return piece->host ? 0 : VMMEM_ENOHOST;
}

#define ATOMIC(suffix, type)                                               \
	do {                                                               \
		const uint32_t both = VMMEM_PROT_READ | VMMEM_PROT_WRITE;  \
		unsigned int size = sizeof(type);                          \
		type value = 0x7e;                                         \
		type expected = 0x7e;                                      \
                                                                           \
		probe.len = size;                                          \
		want = atomic_code(layout, gpa, size, VMMEM_PROT_READ);    \
		rc = vmmem_collection_load_##suffix(                       \
			collection, gpa, VMMEM_ORDER_ACQUIRE, &value);     \
		EXPECT(layout, probe, rc == want);                         \
		for (j = 0; want == 0 && j < size; j++)                    \
			((unsigned char *)&expected)[j] = tag(gpa + j);    \
		EXPECT(layout, probe, value == expected);                  \
                                                                           \
		want = atomic_code(layout, gpa, size, both);               \
		value = 0x7e;                                              \
		rc = vmmem_collection_fetch_and_##suffix(                  \
			collection, gpa, 0, VMMEM_ORDER_SEQ_CST, &value);  \
		EXPECT(layout, probe, rc == want);                         \
		EXPECT(layout, probe,                                      \
		       value == (want == 0 ? expected : (type)0x7e));      \
		expect_turned(layout, probe, want == 0 ? size : 0, 0);     \
                                                                           \
		want = atomic_code(layout, gpa, size, VMMEM_PROT_WRITE);   \
		rc = vmmem_collection_store_##suffix(                      \
			collection, gpa, 0, VMMEM_ORDER_RELEASE);          \
		EXPECT(layout, probe, rc == want);                         \
		expect_turned(layout, probe, want == 0 ? size : 0, 0);     \
	} while (0)

static void
visit_atomics(struct layout *layout, struct window window)
{
	struct vmmem_collection *collection = layout->collection;
	struct probe probe = { 0, 0, 0 };
	unsigned int i, j;
	int rc, want;

	for (i = 0; i < probe_count(window); i++) {
		uint64_t gpa = probe_at(window, i);

		probe.gpa = gpa;
		ATOMIC(u8, uint8_t);
		ATOMIC(u16, uint16_t);
		ATOMIC(u32, uint32_t);
		ATOMIC(u64, uint64_t);
	}
}

static void
copy_range(struct layout *layout, struct probe probe)
{
	uint64_t target = probe.gpa;
	uint64_t source = probe.other;
	uint64_t done = 77;
	uint64_t good, i;
	int from, to, rc;

	from = reference_reach(layout, source, probe.len, VMMEM_PROT_READ,
			       &good);
	to = reference_reach(layout, target, probe.len, VMMEM_PROT_WRITE,
			     &good);
	rc = vmmem_collection_copy(layout->collection, target, source,
				   probe.len, &done);
	if (from != 0 || to != 0) {
		/* Which of the two is looked at first is not promised. */
		EXPECT(layout, probe, rc != 0 && (rc == from || rc == to));
		EXPECT(layout, probe, done == 0);
		expect_turned(layout, probe, 0, 0);
		return;
	}
	EXPECT(layout, probe, rc == 0);
	EXPECT(layout, probe, done == probe.len);
	/* Byte by byte what the source held, then as if nothing had been. */
	for (i = 0; i < probe.len; i++) {
		struct piece *piece = reference_find(layout, target + i);
		unsigned char *byte =
			&piece->bytes[target + i - piece->start];

		EXPECT(layout, probe, *byte == tag(source + i));
		*byte = tag(target + i);
	}
	expect_turned(layout, probe, 0, 0);
}

static void
visit_copies(struct layout *layout, struct window window)
{
	uint64_t list[LENGTHS_MAX];
	struct probe probe;
	unsigned int i, j;
	size_t count, k;

	for (i = 0; i < probe_count(window); i++) {
		probe.gpa = probe_at(window, i);
		count = lengths(window, probe.gpa, list);
		for (j = 0; j < probe_count(window); j++) {
			probe.other = probe_at(window, j);
			for (k = 0; k < count; k++) {
				probe.len = list[k];
				copy_range(layout, probe);
			}
		}
	}
}

/* Larger windows, plain memory only: all that is arithmetic. */
START_TEST(test_arithmetic)
{
	struct window window = window_at(_i, window_size(14, 7));

	layout_all(window, 1, LAYOUT_MAX, visit_lookups);
	layout_all(window, 1, LAYOUT_MAX, visit_ranges);
}
END_TEST

/* Smaller windows, and each region of each kind: permissions, callbacks. */
START_TEST(test_kinds)
{
	struct window window = window_at(_i, window_size(7, 4));

	layout_all(window, KINDS, LAYOUT_MAX, visit_ranges);
}
END_TEST

/* Room for one aligned access of 8 bytes, and all that is next to it. */
START_TEST(test_atomics)
{
	layout_all(window_at(_i, window_size(12, 10)), 1, LAYOUT_MAX,
		   visit_atomics);
	layout_all(window_at(_i, window_size(12, 10)), KINDS, 2, visit_atomics);
}
END_TEST

START_TEST(test_copies)
{
	layout_all(window_at(_i, window_size(8, 5)), 1, LAYOUT_MAX,
		   visit_copies);
	layout_all(window_at(_i, window_size(5, 4)), KINDS, 2, visit_copies);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("exhaustive");
	TCase *tcase = tcase_create("all layouts, all ranges");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, test_arithmetic, 0, WINDOWS);
	tcase_add_loop_test(tcase, test_kinds, 0, WINDOWS);
	tcase_add_loop_test(tcase, test_atomics, 0, WINDOWS);
	tcase_add_loop_test(tcase, test_copies, 0, WINDOWS);
	suite_add_tcase(suite, tcase);
	return suite;
}
