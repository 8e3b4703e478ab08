/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A bitmap with up to four harvesters against sets of pages: random steps, and
 * everything is compared after each.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmmem/vmmem.h>

#include "suite.h"

#define PAGE	   64
#define PAGES	   300
#define HARVESTERS 4

/* An assert of Check's own writes to a file, which is slow in a loop. */
#define expect(condition)                               \
	do {                                            \
		if (!(condition))                       \
			ck_abort_msg("%s", #condition); \
	} while (0)

struct harvester {
	struct vmmem_harvester *handle; /* NULL if there is none */
	bool pending[PAGES];
	bool taken[PAGES];
};

struct world {
	struct vmmem_bitmap *bitmap;
	uint64_t len;
	bool marked[PAGES];
	struct harvester harvesters[HARVESTERS];
	uint64_t random;
	int always; /* logging cannot be switched off here */
};

static long
rounds(long most)
{
	const char *scale = getenv("VMMEM_TEST_SCALE");
	long divisor = scale != NULL ? strtol(scale, NULL, 10) : 1;

	return divisor > 1 ? most / divisor + 1 : most;
}

static uint64_t
next_random(struct world *world, uint64_t below)
{
	world->random ^= world->random << 13;
	world->random ^= world->random >> 7;
	world->random ^= world->random << 17;
	return world->random % below;
}

static void
compare(const struct vmmem_bitmap *bitmap, const bool *pages, uint64_t len)
{
	uint64_t page, count = 0;

	expect(vmmem_bitmap_len(bitmap) == len);
	for (page = 0; page < PAGES; page++) {
		expect(vmmem_bitmap_test(bitmap, page * PAGE) == pages[page]);
		count += pages[page];
	}
	expect(vmmem_bitmap_count(bitmap) == count);
}

static void
step_mark(struct world *world, uint64_t offset, uint64_t len)
{
	uint64_t page, end = offset + len;
	bool out = len != 0 && end > world->len;

	expect(vmmem_bitmap_mark(world->bitmap, offset, len) ==
	       (out ? VMMEM_EOUTOFRANGE : 0));
	if (end > world->len)
		end = world->len;
	if (len == 0 || offset >= end)
		return;
	for (page = offset / PAGE; page * PAGE < end; page++)
		world->marked[page] = true;
}

static void
step_clear(struct world *world, uint64_t offset, uint64_t len)
{
	uint64_t page, start, stop;
	int i;

	expect(vmmem_bitmap_clear(world->bitmap, offset, len) == 0);
	for (page = 0; page * PAGE < world->len; page++) {
		start = page * PAGE;
		stop = start + PAGE < world->len ? start + PAGE : world->len;
		if (start < offset || stop > offset + len)
			continue;
		world->marked[page] = false;
		for (i = 0; i < HARVESTERS; i++)
			world->harvesters[i].pending[page] = false;
	}
}

/* What is taken stays so, and what is pending for it stays pending. */
static void
step_take(struct world *world, struct harvester *harvester, uint64_t offset,
	  uint64_t len)
{
	uint64_t pages, page, count = 0;
	int i;

	if (offset == 0 && len == UINT64_MAX)
		expect(vmmem_harvester_take(harvester->handle, &pages) == 0);
	else
		expect(vmmem_harvester_take_range(harvester->handle, offset,
						  len, &pages) == 0);
	for (page = 0; page < PAGES; page++) {
		uint64_t start = page * PAGE, stop = start + PAGE;

		for (i = 0; i < HARVESTERS && world->marked[page]; i++) {
			if (world->harvesters[i].handle != NULL)
				world->harvesters[i].pending[page] = true;
		}
		world->marked[page] = false;
		if (harvester->pending[page] && !harvester->taken[page] &&
		    len != 0 && stop > offset &&
		    (start < offset || start - offset < len)) {
			harvester->taken[page] = true;
			harvester->pending[page] = false;
		}
		count += harvester->taken[page];
	}
	expect(pages == count);
}

static void
step_confirm(struct world *world, struct harvester *harvester, uint64_t offset,
	     uint64_t len)
{
	uint64_t page;

	expect(vmmem_harvester_confirm(harvester->handle, offset, len) == 0);
	for (page = 0; page * PAGE < world->len; page++) {
		uint64_t start = page * PAGE, stop = start + PAGE;

		if (stop > world->len)
			stop = world->len;
		if (start >= offset &&
		    (len > UINT64_MAX - offset || stop <= offset + len))
			harvester->taken[page] = false;
	}
}

static void
step_new_or_free(struct world *world, struct harvester *harvester)
{
	if (harvester->handle != NULL) {
		vmmem_harvester_free(harvester->handle);
		memset(harvester, 0, sizeof(*harvester));
	} else {
		expect(vmmem_harvester_new(world->bitmap, NULL,
					   &harvester->handle) ==
		       0);
	}
}

static void
step(struct world *world)
{
	struct harvester *harvester =
		&world->harvesters[next_random(world, HARVESTERS)];
	uint64_t offset = next_random(world, PAGES * PAGE);
	uint64_t len =
		next_random(world, UINT64_C(1) << next_random(world, 15));

	switch (next_random(world, 12)) {
	case 0:
		step_clear(world, offset, len);
		break;
	case 1:
		step_new_or_free(world, harvester);
		break;
	case 2:
		if (world->len < PAGES * PAGE && next_random(world, 8) == 0)
			world->len +=
				next_random(world, PAGES * PAGE - world->len) +
				1;
		expect(vmmem_bitmap_grow(world->bitmap, world->len) == 0);
		break;
	case 3:
	case 4:
		if (harvester->handle != NULL)
			step_take(world, harvester, 0, UINT64_MAX);
		break;
	case 5:
		if (harvester->handle != NULL)
			step_take(world, harvester, offset, len);
		break;
	case 6:
		if (harvester->handle != NULL)
			step_confirm(world, harvester, 0, UINT64_MAX);
		break;
	case 7:
		if (harvester->handle != NULL)
			step_confirm(world, harvester, offset, len);
		break;
	default:
		step_mark(world, offset, len);
	}
}

static void
compare_all(const struct world *world)
{
	int i, logging = world->always;

	compare(world->bitmap, world->marked, world->len);
	for (i = 0; i < HARVESTERS; i++) {
		const struct harvester *harvester = &world->harvesters[i];

		if (harvester->handle == NULL)
			continue;
		compare(vmmem_harvester_taken(harvester->handle),
			harvester->taken, world->len);
		logging = 1;
	}
	expect(vmmem_bitmap_is_logging(world->bitmap) == logging);
}

START_TEST(random_steps)
{
	const char *given = getenv("VMMEM_TEST_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 0)
				      : UINT64_C(0x4a2e0000) + (uint64_t)_i;
	struct world world = { .random = seed != 0 ? seed : 1, .len = 1000 };
	long n, last = rounds(100000);
	int i;

	printf("random_steps %d: VMMEM_TEST_SEED=%#llx\n", _i,
	       (unsigned long long)seed);
	ck_assert_int_eq(vmmem_bitmap_new(world.len, PAGES * PAGE, PAGE, NULL,
					  &world.bitmap),
			 0);
	world.always = vmmem_bitmap_is_logging(world.bitmap);
	for (n = 0; n < last; n++) {
		step(&world);
		if (n % 8 == 0)
			compare_all(&world);
	}
	/* At last everyone has all there is. */
	for (i = 0; i < HARVESTERS; i++) {
		if (world.harvesters[i].handle != NULL)
			step_take(&world, &world.harvesters[i], 0,
				  UINT64_MAX);
	}
	compare_all(&world);
	for (i = 0; i < HARVESTERS; i++)
		vmmem_harvester_free(world.harvesters[i].handle);
	vmmem_bitmap_unref(world.bitmap);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("harvester_model");
	TCase *tcase = tcase_create("model");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, random_steps, 0, 4);
	suite_add_tcase(suite, tcase);
	return suite;
}
