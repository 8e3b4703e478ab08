/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * No write is lost: several writers, and harvesters that copy what was
 * dirtied, as a migration does.  check_dirty_duel.c provokes the rarest case.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vmmem/vmmem.h>

#include "suite.h"

#define PAGE UINT64_C(4096)

static long
rounds(long most)
{
	const char *scale = getenv("VMMEM_TEST_SCALE");
	long divisor = scale != NULL ? strtol(scale, NULL, 10) : 1;

	return divisor > 1 ? most / divisor + 1 : most;
}

/* A fixed sequence for each seed: xorshift64. */
static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct vmmem_collection *
tracked_map(uint64_t len, struct vmmem_bitmap **ret_bitmap)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_collection *map;
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, 0, len);
	vmmem_region_builder_set_tracking(builder, PAGE);
	ck_assert_int_eq(vmmem_region_builder_build(builder, &region), 0);
	vmmem_region_builder_free(builder);
	ck_assert_int_eq(vmmem_collection_new(&region, 1, &map), 0);
	*ret_bitmap = vmmem_region_bitmap(region);
	vmmem_region_unref(region);
	return map;
}

/*
 * A migration: writers count their writes to each page, in it; harvesters copy
 * the pages they take.  At last the copies have all the counts.
 */
#define WRITERS	   2
#define HARVESTERS 2
#define PAGES	   256
#define PART	   (PAGE / WRITERS) /* of each page, for each writer */

struct migration {
	struct vmmem_collection *map;
	struct vmmem_bitmap *bitmap;
	atomic_int resting;
	/* Writers go on until there have been some, with them at work. */
	atomic_long harvests[HARVESTERS];
};

struct writer {
	struct migration *migration;
	uint64_t part;
	uint64_t counts[PAGES];
};

struct harvester {
	struct migration *migration;
	bool slow;
	unsigned char *copy;
	atomic_long *harvests;
};

#define LEAST_HARVESTS 30

/* write_noise() writes somewhere in [gpa, gpa + PART), in one of many ways. */
static int
write_noise(struct vmmem_collection *map, uint64_t gpa, uint64_t random)
{
	unsigned char bytes[100];
	uint64_t at = gpa + 64 + random / 16 % (PART - 192);
	uint64_t aligned = at & ~UINT64_C(7);

	switch (random % 8) {
	case 0:
		return vmmem_collection_write_u64(map, at, random);
	case 1:
		return vmmem_collection_store_u64(map, aligned, random,
						  VMMEM_ORDER_RELEASE);
	case 2:
		return vmmem_collection_fetch_or_u32(map, aligned,
						     (uint32_t)random,
						     VMMEM_ORDER_RELAXED, NULL);
	case 3:
		return vmmem_collection_exchange_u64(map, aligned, random,
						     VMMEM_ORDER_ACQ_REL, NULL);
	case 4:
		return vmmem_collection_fill(map, at, random % 100,
					     (uint8_t)random, NULL);
	case 5:
		return vmmem_collection_copy(map, at, gpa, random % 64, NULL);
	case 6:
		return vmmem_collection_write_be16(map, at, (uint16_t)random);
	default:
		memset(bytes, (int)random, sizeof(bytes));
		return vmmem_collection_write(map, at, bytes, sizeof(bytes),
					      NULL);
	}
}

static void *
migration_writer(void *argument)
{
	struct writer *writer = argument;
	struct migration *migration = writer->migration;
	uint64_t random = 1 + writer->part, page, gpa;
	long i, last = rounds(1000000);

	for (i = 0; i < last ||
		    atomic_load(&migration->harvests[0]) < LEAST_HARVESTS ||
		    atomic_load(&migration->harvests[1]) < LEAST_HARVESTS;
	     i++) {
		/* Few pages at a time, so that many marks are skipped. */
		page = (next_random(&random) % 8 + (uint64_t)i / 1000) % PAGES;
		gpa = page * PAGE + writer->part;
		writer->counts[page]++;
		if (vmmem_collection_fetch_add_u64(migration->map, gpa, 1,
						   VMMEM_ORDER_RELAXED,
						   NULL) != 0 ||
		    write_noise(migration->map, gpa, next_random(&random)) != 0)
			abort();
	}
	atomic_fetch_add(&migration->resting, 1);
	return NULL;
}

/* harvest() takes, and copies; if 'lazy', only the first half. */
static void
harvest(struct harvester *harvester, struct vmmem_harvester *handle, bool lazy)
{
	const struct vmmem_bitmap *taken = vmmem_harvester_taken(handle);
	uint64_t pages, at, start, len;

	if (vmmem_harvester_take(handle, &pages) != 0)
		abort();
	for (at = 0;
	     vmmem_bitmap_next(taken, at, &start, &len) == 0 && len != 0;
	     at = start + len) {
		/* It is still there after the next take. */
		if (lazy && start >= PAGES / 2 * PAGE)
			break;
		if (vmmem_collection_read(harvester->migration->map, start,
					  harvester->copy + start, (size_t)len,
					  NULL) != 0)
			abort();
		/* It arrives; now and then somebody takes before we hear. */
		if (lazy && start % (2 * PAGE) == 0 &&
		    vmmem_harvester_take(handle, NULL) != 0)
			abort();
		vmmem_harvester_confirm(handle, start, len);
	}
	atomic_fetch_add(harvester->harvests, 1);
}

static void *
migration_harvester(void *argument)
{
	struct harvester *harvester = argument;
	struct migration *migration = harvester->migration;
	struct vmmem_harvester *handle;
	int i;

	/* The writers may be at work: so is the copy of all, after this. */
	if (vmmem_harvester_new(migration->bitmap, NULL, &handle) != 0)
		abort();
	if (vmmem_collection_read(migration->map, 0, harvester->copy,
				  PAGES * PAGE, NULL) != 0)
		abort();
	while (atomic_load(&migration->resting) < WRITERS) {
		harvest(harvester, handle,
			harvester->slow && *harvester->harvests % 3 == 0);
		for (i = 0; harvester->slow && i < 20; i++)
			sched_yield();
	}
	/* The last round: what was put back, and what was written since. */
	harvest(harvester, handle, false);
	vmmem_harvester_free(handle);
	return NULL;
}

START_TEST(copies_are_complete)
{
	struct migration migration = { .resting = 0 };
	struct writer writers[WRITERS] = { 0 };
	struct harvester harvesters[HARVESTERS] = { 0 };
	pthread_t threads[WRITERS + HARVESTERS];
	unsigned char *source = malloc(PAGES * PAGE);
	uint64_t page, count;
	int i, n;

	ck_assert_ptr_nonnull(source);
	migration.map = tracked_map(PAGES * PAGE, &migration.bitmap);
	for (i = 0; i < WRITERS; i++) {
		writers[i].migration = &migration;
		writers[i].part = PART * (uint64_t)i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
						migration_writer, &writers[i]),
				 0);
	}
	for (i = 0; i < HARVESTERS; i++) {
		harvesters[i].migration = &migration;
		harvesters[i].slow = i != 0;
		harvesters[i].harvests = &migration.harvests[i];
		harvesters[i].copy = malloc(PAGES * PAGE);
		ck_assert_ptr_nonnull(harvesters[i].copy);
		ck_assert_int_eq(pthread_create(&threads[WRITERS + i], NULL,
						migration_harvester,
						&harvesters[i]),
				 0);
	}
	for (i = 0; i < WRITERS + HARVESTERS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);

	ck_assert_int_eq(vmmem_collection_read(migration.map, 0, source,
					       PAGES * PAGE, NULL),
			 0);
	for (n = 0; n < HARVESTERS; n++) {
		for (page = 0; page < PAGES; page++) {
			for (i = 0; i < WRITERS; i++) {
				memcpy(&count,
				       harvesters[n].copy + page * PAGE +
					       writers[i].part,
				       sizeof(count));
				ck_assert_uint_eq(count,
						  writers[i].counts[page]);
			}
			ck_assert_msg(memcmp(harvesters[n].copy + page * PAGE,
					     source + page * PAGE, PAGE) == 0,
				      "harvester %d, page %d", n, (int)page);
		}
		free(harvesters[n].copy);
	}
	/* Nobody is left to log for. */
	ck_assert_int_eq(vmmem_bitmap_stop_logging(migration.bitmap),
			 VMMEM_EARGUMENT);
	vmmem_collection_unref(migration.map);
	free(source);
}
END_TEST

/*
 * A bitmap that grows while it is marked and harvested: whoever may mark at
 * the new end finds it taken.
 */
#define GROWN (UINT64_C(1) << 20)

struct growth {
	struct vmmem_bitmap *bitmap;
	atomic_bool *marked;
	atomic_bool done;
};

static void *
grow_and_mark(void *argument)
{
	struct growth *growth = argument;
	uint64_t page;

	for (page = 0; page < GROWN / 64; page++) {
		if (vmmem_bitmap_grow(growth->bitmap, (page + 1) * 64) != 0)
			abort();
		/* From before the end, so that words are marked whole. */
		if (vmmem_bitmap_mark(
			    growth->bitmap, page < 300 ? 0 : (page - 300) * 64,
			    301 * 64) != (page < 300 ? VMMEM_EOUTOFRANGE : 0))
			abort();
	}
	atomic_store(&growth->done, true);
	return NULL;
}

START_TEST(growth_is_harvested)
{
	struct growth growth = { .done = false };
	struct vmmem_harvester *harvester;
	const struct vmmem_bitmap *taken;
	uint64_t at, start, len, page, seen_pages = 0;
	bool *seen = calloc(GROWN / 64, sizeof(*seen)), last;
	pthread_t thread;

	ck_assert_ptr_nonnull(seen);
	ck_assert_int_eq(vmmem_bitmap_new(0, GROWN, 64, NULL,
					  &growth.bitmap), 0);
	ck_assert_int_eq(vmmem_harvester_new(growth.bitmap, NULL,
					     &harvester), 0);
	taken = vmmem_harvester_taken(harvester);
	ck_assert_int_eq(pthread_create(&thread, NULL, grow_and_mark, &growth),
			 0);
	do {
		last = atomic_load(&growth.done);
		ck_assert_int_eq(vmmem_harvester_take(harvester, NULL), 0);
		for (at = 0; vmmem_bitmap_next(taken, at, &start, &len) == 0 &&
			     len != 0;
		     at = start + len) {
			for (page = start / 64; page < (start + len) / 64;
			     page++)
				seen[page] = true;
		}
		vmmem_harvester_confirm(harvester, 0, UINT64_MAX);
	} while (!last);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	for (page = 0; page < GROWN / 64; page++)
		seen_pages += seen[page];
	ck_assert_uint_eq(seen_pages, GROWN / 64);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(growth.bitmap);
	free(seen);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("dirty_stress");
	TCase *tcase = tcase_create("threads");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, copies_are_complete);
	tcase_add_test(tcase, growth_is_harvested);
	suite_add_tcase(suite, tcase);
	return suite;
}
