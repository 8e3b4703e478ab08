/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Each call on the way to a bitmap, a harvester or a tracked region fails once,
 * and so does each barrier: then no mark is lost.
 */
#include "fault.h"
#include "suite.h"

#include <stdalign.h>
#include <string.h>

#define PAGE UINT64_C(64)
#define GPA UINT64_C(0x12340000)

/* The bits of the one are allocated, those of the other are mapped. */
#define SHORT_LEN (100 * PAGE)
#define LONG_LEN (UINT64_C(100000) * PAGE)

static alignas(16) unsigned char memory[SHORT_LEN];
static uint64_t external_bits[2];

static char marker;
static struct vmmem_bitmap *const no_bitmap = (void *)&marker;
static struct vmmem_harvester *const no_harvester = (void *)&marker;

/* Whether this system has the barrier at all. */
static bool has_barrier;
/* Whether the bitmap that was made last has: else it always logs. */
static bool with_barrier;

static void
find_barrier(void)
{
	struct vmmem_bitmap *bitmap;

	ck_assert_int_eq(vmmem_bitmap_new(PAGE, 0, PAGE, &bitmap), 0);
	has_barrier = vmmem_bitmap_is_logging(bitmap) == 0;
	vmmem_bitmap_unref(bitmap);
}

static bool
fired(const char *function)
{
	return inject_fired() != NULL && strcmp(inject_fired(), function) == 0;
}

/*
 * survived() is for a call that returned 0: if something failed in it, that
 * was the barrier's registration, which the library does without, or it asked
 * the barrier again.  The sweep is told of it as of any other failure.
 */
static int
survived(bool fired_before)
{
	if (fired_before || inject_fired() == NULL || fired("munmap"))
		return 0;
	REQUIRE(fired("syscall"));
	return inject_code();
}

/* A first code that is kept. */
static void
keep(int *rc, int code)
{
	if (*rc == 0)
		*rc = code;
}

/*
 * new_bitmap() notes in 'rc' what failed, and returns NULL only if there is no
 * bitmap: one that cannot have the barrier logs from the start.
 */
static struct vmmem_bitmap *
new_bitmap(uint64_t len, int *rc)
{
	struct vmmem_bitmap *bitmap = no_bitmap;
	bool before = inject_fired() != NULL;
	int code = vmmem_bitmap_new(len, 0, PAGE, &bitmap);

	if (code != 0) {
		REQUIRE(bitmap == no_bitmap);
		keep(rc, code);
		return NULL;
	}
	code = survived(before);
	with_barrier = code == 0 && has_barrier;
	REQUIRE(vmmem_bitmap_is_logging(bitmap) == !with_barrier);
	keep(rc, code);
	return bitmap;
}

static int
bitmap_of(uint64_t len)
{
	struct vmmem_bitmap *bitmap;
	int rc = 0;

	bitmap = new_bitmap(len, &rc);
	if (bitmap == NULL)
		return rc;
	REQUIRE(vmmem_bitmap_count(bitmap) == 0);
	REQUIRE(vmmem_bitmap_mark(bitmap, len - 1, 1) == 0);
	REQUIRE(vmmem_bitmap_test(bitmap, len - 1) == 1);
	REQUIRE(vmmem_bitmap_count(bitmap) == 1);
	vmmem_bitmap_unref(bitmap);
	return rc;
}

static int
short_bitmap(void)
{
	return bitmap_of(SHORT_LEN);
}

static int
long_bitmap(void)
{
	return bitmap_of(LONG_LEN);
}

static unsigned int released;

static void
release(void *opaque)
{
	REQUIRE(opaque == external_bits);
	released++;
}

static int
external_bitmap(void)
{
	struct vmmem_bitmap *bitmap = no_bitmap;
	int rc;

	released = 0;
	rc = vmmem_bitmap_new_external(external_bits, sizeof(external_bits),
				       SHORT_LEN, PAGE, release, external_bits,
				       &bitmap);
	REQUIRE(released == 0);
	if (rc != 0) {
		REQUIRE(bitmap == no_bitmap);
		return rc;
	}
	vmmem_bitmap_unref(bitmap);
	REQUIRE(released == 1);
	return 0;
}

/* A start that failed is none; and the barrier is asked for when it matters. */
static int
start(void)
{
	struct vmmem_bitmap *bitmap;
	bool before, logged;
	unsigned int calls;
	int rc = 0, code;

	bitmap = new_bitmap(SHORT_LEN, &rc);
	if (bitmap == NULL)
		return rc;
	logged = vmmem_bitmap_is_logging(bitmap) != 0;
	before = inject_fired() != NULL;
	calls = inject_calls();
	code = vmmem_bitmap_start_logging(bitmap);
	REQUIRE(inject_calls() > calls || !with_barrier);
	if (code != 0) {
		REQUIRE(vmmem_bitmap_is_logging(bitmap) == logged);
		REQUIRE(vmmem_bitmap_stop_logging(bitmap) == VMMEM_EARGUMENT);
		keep(&rc, code);
		REQUIRE(vmmem_bitmap_start_logging(bitmap) == 0);
	} else {
		keep(&rc, survived(before));
	}
	REQUIRE(vmmem_bitmap_is_logging(bitmap) == 1);
	REQUIRE(vmmem_bitmap_stop_logging(bitmap) == 0);
	REQUIRE(vmmem_bitmap_is_logging(bitmap) == logged);
	vmmem_bitmap_unref(bitmap);
	return rc;
}

/* new_harvester() notes what failed, and returns NULL if there is none. */
static struct vmmem_harvester *
new_harvester(struct vmmem_bitmap *bitmap, int *rc)
{
	struct vmmem_harvester *harvester = no_harvester;
	bool before = inject_fired() != NULL;
	bool logged = vmmem_bitmap_is_logging(bitmap) != 0;
	int code = vmmem_harvester_new(bitmap, &harvester);

	if (code != 0) {
		REQUIRE(harvester == no_harvester);
		REQUIRE(vmmem_bitmap_is_logging(bitmap) == logged);
		keep(rc, code);
		return NULL;
	}
	keep(rc, survived(before));
	REQUIRE(vmmem_bitmap_is_logging(bitmap) == 1);
	return harvester;
}

static int
harvester_of(uint64_t len)
{
	struct vmmem_harvester *harvester;
	struct vmmem_bitmap *bitmap;
	int rc = 0;

	bitmap = new_bitmap(len, &rc);
	if (bitmap == NULL)
		return rc;
	harvester = new_harvester(bitmap, &rc);
	/* The harvester alone keeps the bitmap. */
	vmmem_bitmap_unref(bitmap);
	vmmem_harvester_free(harvester);
	return rc;
}

static int
short_harvester(void)
{
	return harvester_of(SHORT_LEN);
}

static int
long_harvester(void)
{
	return harvester_of(LONG_LEN);
}

static bool
has_taken(const struct vmmem_harvester *harvester, uint64_t page)
{
	return vmmem_bitmap_test(vmmem_harvester_taken(harvester),
				 page * PAGE) != 0;
}

/*
 * take() harvests; if that fails the last harvest, 'count' pages, must be as
 * it was, and the next try must succeed.
 */
static void
take(struct vmmem_harvester *harvester, uint64_t count, uint64_t want, int *rc)
{
	const struct vmmem_bitmap *taken = vmmem_harvester_taken(harvester);
	bool before = inject_fired() != NULL;
	uint64_t pages = UINT64_MAX;
	unsigned int calls;
	int code;

	REQUIRE(vmmem_bitmap_count(taken) == count);
	code = vmmem_harvester_take(harvester, &pages);
	if (code != 0) {
		REQUIRE(fired("syscall"));
		REQUIRE(pages == UINT64_MAX);
		REQUIRE(vmmem_bitmap_count(taken) == count);
		keep(rc, code);
		/* No mark is left to move, and yet the barrier is due. */
		calls = inject_calls();
		REQUIRE(vmmem_harvester_take(harvester, &pages) == 0);
		REQUIRE(inject_calls() == calls + 1);
	} else {
		keep(rc, survived(before));
	}
	REQUIRE(pages == want);
	REQUIRE(vmmem_bitmap_count(taken) == want);
}

/* Two harvesters, each of which must have all marks in the end. */
static void
harvest_both(struct vmmem_bitmap *bitmap, struct vmmem_harvester *first,
	     struct vmmem_harvester *second, int *rc)
{
	unsigned int calls = inject_calls();

	REQUIRE(vmmem_bitmap_mark(bitmap, 0, 1) == 0);
	REQUIRE(vmmem_bitmap_mark(bitmap, 70 * PAGE, PAGE) == 0);
	REQUIRE(inject_calls() == calls);
	take(first, 0, 2, rc);
	REQUIRE(inject_calls() > calls || !with_barrier);
	REQUIRE(has_taken(first, 0) && has_taken(first, 70));

	/* Page 0 has not arrived: it stays. */
	REQUIRE(vmmem_bitmap_mark(bitmap, 99 * PAGE, PAGE) == 0);
	REQUIRE(vmmem_harvester_confirm(first, 70 * PAGE, PAGE) == 0);
	take(first, 1, 2, rc);
	REQUIRE(has_taken(first, 0) && has_taken(first, 99));
	REQUIRE(vmmem_harvester_confirm(first, 0, UINT64_MAX) == 0);

	REQUIRE(vmmem_bitmap_mark(bitmap, 5 * PAGE, PAGE) == 0);
	take(second, 0, 4, rc);
	REQUIRE(has_taken(second, 0) && has_taken(second, 5) &&
		has_taken(second, 70) && has_taken(second, 99));
	take(first, 0, 1, rc);
	REQUIRE(has_taken(first, 5));
	REQUIRE(vmmem_harvester_confirm(first, 0, UINT64_MAX) == 0);
	take(first, 0, 0, rc);
}

static int
harvest(void)
{
	struct vmmem_harvester *first = NULL, *second = NULL;
	struct vmmem_bitmap *bitmap;
	int rc = 0;

	bitmap = new_bitmap(SHORT_LEN, &rc);
	if (bitmap == NULL)
		return rc;
	first = new_harvester(bitmap, &rc);
	if (first != NULL)
		second = new_harvester(bitmap, &rc);
	if (second != NULL)
		harvest_both(bitmap, first, second, &rc);
	vmmem_harvester_free(first);
	vmmem_harvester_free(second);
	vmmem_bitmap_unref(bitmap);
	return rc;
}

/* A harvest of one that fails is complete if another makes the next. */
static int
harvest_in_turn(void)
{
	struct vmmem_harvester *list[2] = { NULL, NULL };
	struct vmmem_bitmap *bitmap;
	unsigned int calls;
	uint64_t pages;
	bool before;
	int rc = 0, code;

	bitmap = new_bitmap(SHORT_LEN, &rc);
	if (bitmap == NULL)
		return rc;
	list[0] = new_harvester(bitmap, &rc);
	if (list[0] != NULL)
		list[1] = new_harvester(bitmap, &rc);
	if (list[1] != NULL) {
		REQUIRE(vmmem_bitmap_mark(bitmap, 3 * PAGE, 2 * PAGE) == 0);
		before = inject_fired() != NULL;
		code = vmmem_harvester_take(list[0], &pages);
		keep(&rc, code != 0 ? code : survived(before));
		calls = inject_calls();
		take(list[1], 0, 2, &rc);
		REQUIRE(code == 0 || inject_calls() == calls + 1);
		if (code != 0)
			take(list[0], 0, 2, &rc);
		REQUIRE(has_taken(list[0], 3) && has_taken(list[0], 4));
		REQUIRE(has_taken(list[1], 3) && has_taken(list[1], 4));
	}
	vmmem_harvester_free(list[0]);
	vmmem_harvester_free(list[1]);
	vmmem_bitmap_unref(bitmap);
	return rc;
}

/* If marks cannot be taken away, all pages in question are marked. */
static int
clear(void)
{
	struct vmmem_harvester *harvester;
	struct vmmem_bitmap *bitmap;
	unsigned int calls;
	bool before;
	int rc = 0, code;

	bitmap = new_bitmap(SHORT_LEN, &rc);
	if (bitmap == NULL)
		return rc;
	harvester = new_harvester(bitmap, &rc);
	if (harvester == NULL) {
		vmmem_bitmap_unref(bitmap);
		return rc;
	}
	REQUIRE(vmmem_bitmap_mark(bitmap, 0, 20 * PAGE) == 0);
	before = inject_fired() != NULL;
	calls = inject_calls();
	code = vmmem_bitmap_clear(bitmap, 1, 12 * PAGE);
	REQUIRE(inject_calls() > calls || !with_barrier);
	if (code != 0) {
		keep(&rc, code);
		REQUIRE(vmmem_bitmap_count(bitmap) == 20);
		take(harvester, 0, 20, &rc);
	} else {
		keep(&rc, survived(before));
		/* The first and the last were not wholly in the range. */
		REQUIRE(vmmem_bitmap_count(bitmap) == 9);
		take(harvester, 0, 9, &rc);
	}
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
	return rc;
}

/* build() makes a region, and notes whether it is one that always logs. */
static int
build(struct vmmem_region_builder *builder, bool own)
{
	struct vmmem_region *region = no_region;
	bool before = inject_fired() != NULL;
	bool always;
	int rc = vmmem_region_builder_build(builder, &region);

	if (rc != 0)
		return failed_region(rc, region);
	rc = survived(before);
	always = rc != 0 || !has_barrier;
	if (own)
		REQUIRE(vmmem_bitmap_is_logging(vmmem_region_bitmap(region)) ==
			always);
	vmmem_region_unref(region);
	return rc;
}

static int
tracked_anonymous(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_range(builder, GPA, LONG_LEN);
	vmmem_region_builder_set_tracking(builder, PAGE);
	rc = build(builder, true);
	vmmem_region_builder_free(builder);
	return rc;
}

static int
tracked_memfd(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	vmmem_region_builder_set_range(builder, GPA, SHORT_LEN);
	vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_tracking(builder, PAGE);
	rc = build(builder, true);
	vmmem_region_builder_free(builder);
	return rc;
}

static void
count_release(void *opaque)
{
	REQUIRE(opaque == memory);
	released++;
}

/* The owner hears of regions that were built, not of bitmaps that failed. */
static int
tracked_external(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = no_region;
	bool before;
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	released = 0;
	vmmem_region_builder_set_range(builder, GPA, SHORT_LEN);
	vmmem_region_builder_set_external(builder, memory, count_release,
					  memory);
	vmmem_region_builder_set_tracking(builder, PAGE);
	before = inject_fired() != NULL;
	rc = vmmem_region_builder_build(builder, &region);
	vmmem_region_builder_free(builder);
	REQUIRE(released == 0);
	if (rc != 0)
		return failed_region(rc, region);
	rc = survived(before);
	vmmem_region_unref(region);
	REQUIRE(released == 1);
	return rc;
}

/* The builder holds the bitmap, and one that was refused leaves no trace. */
static int
shared_bitmap(void)
{
	struct vmmem_region_builder *builder;
	struct vmmem_region *region = no_region;
	struct vmmem_bitmap *bitmap;
	int rc = 0, code;

	bitmap = new_bitmap(SHORT_LEN, &rc);
	if (bitmap == NULL)
		return rc;
	builder = vmmem_region_builder_new();
	if (builder == NULL) {
		vmmem_bitmap_unref(bitmap);
		return -ENOMEM;
	}
	vmmem_region_builder_set_range(builder, GPA, SHORT_LEN / 2);
	vmmem_region_builder_set_bitmap(builder, bitmap, SHORT_LEN / 2 + 1);
	vmmem_bitmap_unref(bitmap);
	code = vmmem_region_builder_build(builder, &region);
	REQUIRE(code == VMMEM_EOUTOFRANGE || code == inject_code());
	if (code != VMMEM_EOUTOFRANGE)
		keep(&rc, code);
	failed_region(code, region);

	vmmem_region_builder_set_bitmap(builder, bitmap, SHORT_LEN / 2);
	keep(&rc, build(builder, false));
	vmmem_region_builder_set_bitmap(builder, NULL, 0);
	vmmem_region_builder_free(builder);
	return rc;
}

static const scenario_fn scenarios[] = {
	short_bitmap,	 long_bitmap,	  external_bitmap, start,
	short_harvester, long_harvester,  harvest,	   harvest_in_turn,
	clear,		 tracked_anonymous, tracked_memfd,
	tracked_external, shared_bitmap,
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

START_TEST(test_scenario)
{
	find_barrier();
	fault_sweep(scenarios[_i], 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, bitmaps");
	TCase *tcase = tcase_create("bitmaps");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, test_scenario, 0, SCENARIOS);
	suite_add_tcase(suite, tcase);
	return suite;
}
