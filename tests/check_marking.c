/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Every path that writes guest memory marks it, and nothing else does.  Each
 * function of tests/marking/writers.h, on each kind of region: while logging
 * is off nothing is marked, while it is on exactly the pages that were written
 * are.  Failures and reads mark nothing.
 */
#include "marking/readers_writers.h"
#include "marking/worlds.h"
#include "suite.h"

static const struct kind *kind;

static int
has(const struct path *path, unsigned int trait)
{
	return (path->traits & trait) != 0;
}

static void
open_kind(int index)
{
	kind = &kinds[index];
	world_open(kind);
}

static void
teardown(void)
{
	world_close();
}

/* Bytes [low, high) of a bitmap, in whole pages. */
struct pages {
	uint64_t low, high;
};

/* What of [gpa, gpa + len) the i-th bitmap sees: of the first, of the second. */
static void
written_pages(unsigned int i, uint64_t gpa, uint64_t len, struct pages pages[2])
{
	uint64_t low, high;
	unsigned int j;

	for (j = 0; j < 2; j++) {
		const uint64_t start = GPA + j * LEN;

		pages[j] = (struct pages){ 0, 0 };
		if (world.bitmaps[j] != world.bitmaps[i])
			continue;
		low = gpa > start ? gpa : start;
		high = gpa + len < start + LEN ? gpa + len : start + LEN;
		if (low >= high)
			continue;
		/* From guest addresses to bytes of the bitmap. */
		pages[j].low = (low - start + world.offsets[j]) / PAGE * PAGE;
		pages[j].high = high - start + world.offsets[j];
	}
}

/*
 * Exactly the pages of [gpa, gpa + len) are marked; with 'most', a page may
 * also be clean.
 */
static void
expect_marks(const struct path *path, const char *when, uint64_t gpa,
	     uint64_t len, int most)
{
	struct pages written[2];
	uint64_t page, end;
	unsigned int i;
	int is, must;

	for (i = 0; i < 2; i++) {
		/* What is clean by its count need not be gone through. */
		if ((len == 0 && vmmem_bitmap_count(world.bitmaps[i]) == 0) ||
		    (i == 1 && world.bitmaps[0] == world.bitmaps[1]))
			continue;
		written_pages(i, gpa, len, written);
		end = vmmem_bitmap_len(world.bitmaps[i]);
		for (page = 0; page < end; page += PAGE) {
			is = vmmem_bitmap_test(world.bitmaps[i], page);
			must = (page >= written[0].low &&
				page < written[0].high) ||
			       (page >= written[1].low &&
				page < written[1].high);
			if (is == must || (most && must))
				continue;
			ck_abort_msg("%s, %s, %s: %#jx bytes at %#jx: page "
				     "at %#jx of bitmap %u is %s",
				     path->name, kind->name, when,
				     (uintmax_t)len, (uintmax_t)gpa,
				     (uintmax_t)page, i,
				     is ? "marked" : "clean");
		}
	}
	/* Reading the source is not writing. */
	if (vmmem_bitmap_count(vmmem_region_bitmap(world.source)) != 0)
		ck_abort_msg("%s marks what it reads", path->name);
}

static void
clean(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		assert_ok(vmmem_bitmap_clear(world.bitmaps[i], 0, BITMAP_LEN));
	assert_ok(vmmem_bitmap_clear(vmmem_region_bitmap(world.source), 0,
				     2 * LEN));
}

/* All bytes are 0x11, those to copy from 0xee, and no page is marked. */
static void
reset(void)
{
	assert_ok(vmmem_collection_fill(world.map, GPA, 2 * LEN, 0x11, NULL));
	assert_ok(vmmem_collection_fill(world.map, SOURCE, 2 * LEN, 0xee,
					NULL));
	clean();
	memset(world.touched, 0, sizeof(world.touched));
	world.early = 0;
}

/* What is read before its bytes are written, but marked, is lost. */
static void
expect_late(const struct path *path)
{
	if (world.early != 0)
		ck_abort_msg("%s, %s: marked %u pages before it wrote to them",
			     path->name, kind->name, world.early);
}

static void
start(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		assert_ok(vmmem_bitmap_start_logging(world.bitmaps[i]));
		ck_assert_int_eq(vmmem_bitmap_is_logging(world.bitmaps[i]),
				 1);
	}
	assert_ok(vmmem_bitmap_start_logging(vmmem_region_bitmap(world.source)));
}

static void
stop(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		assert_ok(vmmem_bitmap_stop_logging(world.bitmaps[i]));
	assert_ok(vmmem_bitmap_stop_logging(vmmem_region_bitmap(world.source)));
}

/* Where and how much is written; 'len' is for those that write any number. */
static const struct {
	uint64_t at, len;
	int from_end; /* 'at' is where it ends */
} spots[] = {
	{ 0x108, 40, 0 },
	{ 0x180, 17, 1 },	   /* up to the end of a page */
	{ 0x240 - 3, 20, 0 },	   /* across it */
	{ 0x2f1, 0x777, 0 },	   /* several pages */
	{ 0x48, LEN - 0x48, 0 },   /* more than a word of the bitmap */
	{ LEN, 5, 1 },		   /* up to the end of the region */
	{ LEN + 0x48, 9, 0 },	   /* in the other one */
	{ LEN - 1, 7, 0 },	   /* across the seam */
	{ LEN - 0x234, 0x567, 0 }, /* the same, by far */
	{ 2 * LEN, 23, 1 },	   /* up to the end of all */
};

/* What slices do not reach: the seam, and what is before the slice begins. */
#define SLICE_AT UINT64_C(0x48)

/*
 * Makes a call of the spot's bytes.  Returns 0 if the path does not go there;
 * the code is in 'place'.
 */
static int
go(const struct path *path, struct place *place, size_t spot)
{
	const uint64_t size = path->size != 0 ? path->size : spots[spot].len;
	uint64_t at = spots[spot].at;
	struct vmmem_slice slice = { .len = 0 };
	struct vmmem_slice source = { .len = 0 };
	const unsigned int i = at >= LEN && !(at == LEN &&
					      spots[spot].from_end);

	if (spots[spot].from_end)
		at -= size;
	if (has(path, ALIGNED) && at % size != 0)
		return 0;
	place->map = world.map;
	place->reader = world.reader;
	place->gpa = GPA + at;
	place->len = size;
	if (has(path, BY_SLICE)) {
		at -= i * LEN;
		if (kind->backing == CALLS || at + size > LEN)
			return 0;
		slice = slice_of(world.regions[i], SLICE_AT, LEN - SLICE_AT);
		source = slice_of(world.source, 0, 2 * LEN);
		place->slice = &slice;
		place->source = &source;
		place->offset = at - SLICE_AT;
	} else if (has(path, ATOMIC) && !has_host(kind)) {
		return 0;
	} else if (has(path, ALIGNED) && at < LEN && at + size > LEN) {
		return 0;
	}
	place->code = path->call(place);
	vmmem_slice_release(&slice);
	vmmem_slice_release(&source);
	return 1;
}

/* Whether no byte of the place is what it was before. */
static int
has_changed(const struct place *place)
{
	static uint8_t now[2 * LEN];
	uint64_t i;

	assert_ok(vmmem_collection_read(world.map, place->gpa, now,
					place->len, NULL));
	for (i = 0; i < place->len; i++)
		if (now[i] == 0x11)
			return 0;
	return 1;
}

static void
check_path(const struct path *path, int stores)
{
	struct place place = { .order = VMMEM_ORDER_SEQ_CST };
	unsigned int visited = 0;
	int marks; /* before logging is switched on */
	size_t spot;

	for (spot = 0; spot < ARRAY_LEN(spots); spot++) {
		reset();
		/* With external bits, or without membarrier(2), it is on. */
		marks = stores && vmmem_bitmap_is_logging(world.bitmaps[0]);
		if (!go(path, &place, spot))
			continue;
		visited++;
		assert_ok(place.code);
		if (has_changed(&place) != stores)
			ck_abort_msg("%s, %s: wrote %#jx bytes at %#jx?",
				     path->name, kind->name,
				     (uintmax_t)place.len,
				     (uintmax_t)place.gpa);
		expect_marks(path, "off", place.gpa, marks ? place.len : 0, 0);
		reset();
		start();
		go(path, &place, spot);
		assert_ok(place.code);
		expect_marks(path, "on", place.gpa, stores ? place.len : 0, 0);
		expect_late(path);
		stop();
		/* Marks stay, and no more are made. */
		expect_marks(path, "stopped", place.gpa,
			     stores ? place.len : 0, 0);
	}
	/* What needs an address is refused where there is none. */
	if (visited == 0)
		ck_assert(!has_host(kind) && has(path, BY_SLICE | ATOMIC));
}

START_TEST(writing)
{
	size_t i;

	open_kind(_i);
	for (i = 0; i < ARRAY_LEN(writers); i++)
		check_path(&writers[i], 1);
}
END_TEST

START_TEST(reading)
{
	size_t i;

	open_kind(_i);
	for (i = 0; i < ARRAY_LEN(readers); i++)
		check_path(&readers[i], 0);
}
END_TEST

/* One call that must fail with 'code' and may mark the first 'some' bytes. */
static void
refuse(const struct path *path, struct place *place, int code, uint64_t some)
{
	int got;

	reset();
	start();
	got = path->call(place);
	if (got != code)
		ck_abort_msg("%s, %s: got %s, not %s", path->name, kind->name,
			     vmmem_strerror(got), vmmem_strerror(code));
	expect_marks(path, "refused", place->gpa, some, 0);
	stop();
}

/*
 * Past the end, not permitted, misaligned, in no order, nothing: none of it
 * marks, but the part that a _some form wrote.
 */
static void
refuse_collection(const struct path *path)
{
	const uint64_t size = path->size != 0 ? path->size : 7;
	struct place place = {
		.map = world.map,
		.reader = world.reader,
		.order = VMMEM_ORDER_SEQ_CST,
		.len = size,
	};

	if (has(path, ATOMIC) && !has_host(kind)) {
		place.gpa = GPA + 0x100;
		refuse(path, &place, VMMEM_ENOHOST, 0);
	}
	place.gpa = GPA + 2 * LEN - (size - 1);
	refuse(path, &place, VMMEM_EBADADDR, has(path, SOME) ? size - 1 : 0);
	place.gpa = GPA + 2 * LEN;
	refuse(path, &place, VMMEM_EBADADDR, 0);
	place.gpa = TOP - 3;
	refuse(path, &place, VMMEM_EBADADDR, 0);
	place.gpa = ROM + 0x100;
	refuse(path, &place, VMMEM_EDENIED, 0);
	place.gpa = GPA + 0x101;
	if (has(path, ALIGNED) && size > 1)
		refuse(path, &place, VMMEM_EMISALIGNED, 0);
	if (has(path, ATOMIC)) {
		place.order = 99;
		refuse(path, &place, VMMEM_EORDER, 0);
	}
	place.map = NULL;
	place.reader = NULL;
	refuse(path, &place, VMMEM_EARGUMENT, 0);
	if (path->size == 0) {
		place.map = world.map;
		place.reader = world.reader;
		place.len = 0;
		refuse(path, &place, 0, 0);
	}
}

static void
refuse_slice(const struct path *path)
{
	const uint64_t size = path->size != 0 ? path->size : 7;
	struct vmmem_slice slice, rom, source, none;
	struct place place = {
		.slice = &slice,
		.source = &source,
		.order = VMMEM_ORDER_SEQ_CST,
		.len = size,
	};

	if (kind->backing == CALLS) {
		assert_code(vmmem_region_slice(world.regions[0], 0, 8,
					       READ_WRITE, &slice),
			    VMMEM_ENOHOST);
		return;
	}
	slice = slice_of(world.regions[0], SLICE_AT, 0x100);
	rom = slice_with(world.regions[0], SLICE_AT, 0x100, VMMEM_PROT_READ);
	source = slice_of(world.source, 0, LEN);
	none = slice_of(world.regions[0], 0, 0);

	place.offset = 0x100 - (size - 1);
	place.gpa = GPA + SLICE_AT + place.offset;
	/* An element's place is a multiple of its size, by its index. */
	if (has(path, ATOMIC) || !has(path, ALIGNED))
		refuse(path, &place, VMMEM_EOUTOFRANGE,
		       has(path, SOME) ? size - 1 : 0);
	place.offset = 0x100;
	refuse(path, &place, VMMEM_EOUTOFRANGE, 0);
	place.offset = TOP - 63;
	refuse(path, &place, VMMEM_EOUTOFRANGE, 0);
	place.slice = &none;
	place.offset = 0;
	refuse(path, &place, VMMEM_EOUTOFRANGE, 0);
	place.slice = &rom;
	/* Whoever marks by hand has written by hand. */
	if (!has(path, BY_HAND))
		refuse(path, &place, VMMEM_EDENIED, 0);
	place.slice = &slice;
	if (has(path, ATOMIC)) {
		place.offset = 1;
		if (size > 1)
			refuse(path, &place, VMMEM_EMISALIGNED, 0);
		place.offset = 0;
		place.order = 99;
		refuse(path, &place, VMMEM_EORDER, 0);
	}
	place.slice = NULL;
	refuse(path, &place, VMMEM_EARGUMENT, 0);
	if (path->size == 0) {
		place.slice = &slice;
		place.len = 0;
		refuse(path, &place, 0, 0);
	}
	vmmem_slice_release(&slice);
	vmmem_slice_release(&rom);
	vmmem_slice_release(&source);
}

START_TEST(refusing)
{
	size_t i;

	open_kind(_i);
	for (i = 0; i < ARRAY_LEN(writers); i++) {
		if (has(&writers[i], BY_SLICE))
			refuse_slice(&writers[i]);
		else
			refuse_collection(&writers[i]);
	}
}
END_TEST

/* hide() makes all bytes of both regions private, or shared again. */
static void
hide(int is_private)
{
	struct vmmem_region *region;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		region = vmmem_region_alias_target(world.regions[i]);
		if (region == NULL)
			region = world.regions[i];
		assert_ok(vmmem_region_set_private(
			region, 0, vmmem_region_len(region), is_private));
	}
}

/* One call of bytes that became private after all was prepared. */
static void
check_private(const struct path *path)
{
	const uint64_t size = path->size != 0 ? path->size : 40;
	struct vmmem_slice slice = slice_of(world.regions[0], SLICE_AT, 0x200);
	struct vmmem_slice source = slice_of(world.source, 0, LEN);
	struct place place = {
		.map = world.map,
		.reader = world.reader,
		.gpa = GPA + SLICE_AT + 0x38,
		.slice = &slice,
		.source = &source,
		.offset = 0x38,
		.order = VMMEM_ORDER_SEQ_CST,
		.len = size,
	};
	int code;

	reset();
	start();
	memset(local, 0x77, sizeof(local));
	hide(1);
	code = path->call(&place);
	hide(0);
	stop();
	if (code != VMMEM_EPRIVATE)
		ck_abort_msg("%s, %s: got %s of private bytes", path->name,
			     kind->name, vmmem_strerror(code));
	expect_marks(path, "private", place.gpa, 0, 0);
	if (vmmem_collection_read(world.map, GPA, local, LEN, NULL) != 0 ||
	    memchr(local, 0xee, LEN) != NULL)
		ck_abort_msg("%s, %s: wrote to private bytes", path->name,
			     kind->name);
	vmmem_slice_release(&slice);
	vmmem_slice_release(&source);
}

/* Nothing reads or writes bytes that the guest has not shared. */
START_TEST(private_bytes)
{
	size_t i;

	open_kind(_i);
	if (vmmem_region_is_private(world.regions[0], 0, 1) ||
	    kind->backing != TWO_SIDES || gmem_missing() != NULL)
		return;
	for (i = 0; i < ARRAY_LEN(writers); i++)
		if (!has(&writers[i], BY_HAND))
			check_private(&writers[i]);
	for (i = 0; i < ARRAY_LEN(readers); i++)
		check_private(&readers[i]);
}
END_TEST

/* A compare-exchange that finds another value writes nothing. */
START_TEST(comparing_in_vain)
{
	struct place place = {
		.order = VMMEM_ORDER_SEQ_CST,
		.miss = 1,
	};
	unsigned int found = 0;
	size_t i;

	open_kind(_i);
	for (i = 0; i < ARRAY_LEN(writers); i++) {
		if (!has(&writers[i], COMPARES))
			continue;
		found++;
		reset();
		start();
		if (go(&writers[i], &place, 0)) {
			assert_ok(place.code);
			ck_assert(!has_changed(&place));
			expect_marks(&writers[i], "in vain", 0, 0, 0);
		}
		stop();
	}
	ck_assert_uint_eq(found, 9);
}
END_TEST

/* Each byte that is not as it was lies in a marked page. */
static void
expect_changes_marked(const struct path *path)
{
	static uint8_t now[2 * LEN];
	unsigned int region;
	uint64_t i;

	assert_ok(vmmem_collection_read(world.map, GPA, now, 2 * LEN, NULL));
	for (i = 0; i < 2 * LEN; i++) {
		region = i >= LEN;
		if (now[i] != 0x11 &&
		    !vmmem_bitmap_test(world.bitmaps[region],
				       world.offsets[region] + i % LEN))
			ck_abort_msg("%s, %s: byte %#jx was written and is "
				     "not marked", path->name, kind->name,
				     (uintmax_t)i);
	}
}

/*
 * A callback that fails in the middle: what was written before is marked, what
 * comes after is not, and the piece that failed may be.
 */
static void
check_failing(const struct path *path)
{
	struct place place = {
		.map = world.map,
		.reader = world.reader,
		.gpa = GPA + LEN - 0x80,
		.len = 0xa00,
	};

	reset();
	/* Into the second region, which fails from some byte on. */
	world.fail_from[1] = 0x500;
	if (path->size != 0) {
		world.fail_from[1] = 0;
		place.gpa = GPA + LEN - path->size / 2;
		place.len = path->size;
	}
	if (kind->alias)
		world.fail_from[1] += SHIFT;
	start();
	assert_code(path->call(&place), -EIO);
	expect_marks(path, "failing", place.gpa, place.len, 1);
	expect_late(path);
	expect_changes_marked(path);
	stop();
	world.fail_from[1] = TOP;
}

START_TEST(failing)
{
	size_t i;

	open_kind(_i);
	/* Elsewhere there is no callback that could. */
	if (has_host(kind))
		return;
	/* What goes to multiples of its size is never in two regions. */
	for (i = 0; i < ARRAY_LEN(writers); i++)
		if (!has(&writers[i], BY_SLICE | ATOMIC | ALIGNED))
			check_failing(&writers[i]);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("marking");
	TCase *tcase = tcase_create("marking");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_loop_test(tcase, writing, 0, KINDS);
	tcase_add_loop_test(tcase, reading, 0, KINDS);
	tcase_add_loop_test(tcase, refusing, 0, KINDS);
	tcase_add_loop_test(tcase, private_bytes, 0, KINDS);
	tcase_add_loop_test(tcase, comparing_in_vain, 0, KINDS);
	tcase_add_loop_test(tcase, failing, 0, KINDS);
	suite_add_tcase(suite, tcase);
	return suite;
}
