/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Handles shared by threads, and inherited by a child.  What a collection
 * promises is worth most under ThreadSanitizer, which tools/check runs this
 * with.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

#include "suite.h"

#define THREADS 4
#define PAGE UINT64_C(4096)

/* Check's own assertions write to a file each time. */
#define EXPECT_0(call)                                                     \
	do {                                                               \
		if ((call) != 0)                                           \
			ck_abort_msg("%s", #call);                         \
	} while (0)

/*
 * wait_for() waits until another thread has stored 'want'.  Whoever waits
 * longer than a moment lets others have the core.
 */
static void
wait_for(const struct vmmem_collection *collection, uint64_t gpa, uint32_t want)
{
	unsigned int spins = 0;
	uint32_t value;

	for (;;) {
		EXPECT_0(vmmem_collection_load_u32(
			collection, gpa, VMMEM_ORDER_ACQUIRE, &value));
		if (value == want)
			return;
		if (++spins % 512 == 0)
			sched_yield();
	}
}

static long
rounds(long most)
{
	const char *scale = getenv("VMMEM_TEST_SCALE");
	long divisor = scale != NULL ? strtol(scale, NULL, 10) : 1;

	return divisor > 1 ? most / divisor + 1 : most;
}

struct release {
	void *memory;
	atomic_int count;
};

static void
note_release(void *opaque)
{
	struct release *release = opaque;

	/* What any thread did with the memory happened before this. */
	free(release->memory);
	atomic_fetch_add(&release->count, 1);
}

static struct vmmem_collection *
one_region(struct release *release)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_collection *collection;
	struct vmmem_region *region;

	release->memory = aligned_alloc(PAGE, PAGE);
	ck_assert_ptr_nonnull(release->memory);
	memset(release->memory, 0, PAGE);
	vmmem_region_builder_set_range(builder, 0, PAGE);
	vmmem_region_builder_set_external(builder, release->memory,
					  note_release, release);
	ck_assert_int_eq(vmmem_region_builder_build(builder, &region), 0);
	vmmem_region_builder_free(builder);
	ck_assert_int_eq(vmmem_collection_new(&region, 1, &collection), 0);
	vmmem_region_unref(region);
	return collection;
}

/* Each thread owns a reference and drops it at an unknown time. */
static void *
use_and_drop(void *argument)
{
	struct vmmem_collection *collection = argument;
	struct vmmem_collection *larger;
	struct vmmem_region *region, *other;
	uint64_t value;

	ck_assert_int_eq(vmmem_collection_fetch_add_u64(collection, 64, 1,
							VMMEM_ORDER_RELAXED,
							&value),
			 0);
	region = vmmem_region_ref(vmmem_collection_find(collection, 8));
	ck_assert_int_eq(vmmem_region_new_anonymous(PAGE, PAGE, &other), 0);
	ck_assert_int_eq(vmmem_collection_insert(collection, other, &larger),
			 0);
	vmmem_region_unref(other);
	vmmem_collection_unref(collection);

	/* The region is there still, through the new collection alone. */
	vmmem_region_unref(region);
	ck_assert_int_eq(vmmem_collection_read_u64(larger, 64, &value), 0);
	ck_assert_uint_ge(value, 1);
	ck_assert_int_eq(vmmem_collection_write_u8(larger, PAGE, 1), 0);
	vmmem_collection_unref(larger);
	return NULL;
}

START_TEST(last_user_releases)
{
	long round, last = rounds(2000);

	for (round = 0; round < last; round++) {
		struct release release = { .count = 0 };
		struct vmmem_collection *collection = one_region(&release);
		pthread_t threads[THREADS];
		int i;

		for (i = 0; i < THREADS; i++)
			ck_assert_int_eq(
				pthread_create(&threads[i], NULL,
					       use_and_drop,
					       vmmem_collection_ref(collection)),
				0);
		vmmem_collection_unref(collection);
		for (i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		ck_assert_int_eq(atomic_load(&release.count), 1);
	}
}
END_TEST

/* Counting from many threads loses nothing, in any width. */
struct counting {
	struct vmmem_collection *collection;
	long times;
};

static void *
count(void *argument)
{
	struct counting *counting = argument;
	struct vmmem_collection *c = counting->collection;
	uint64_t expected;
	long i;

	for (i = 0; i < counting->times; i++) {
		EXPECT_0(vmmem_collection_fetch_add_u8(
			c, 0, 1, VMMEM_ORDER_RELAXED, NULL));
		EXPECT_0(vmmem_collection_fetch_add_u16(
			c, 16, 1, VMMEM_ORDER_ACQ_REL, NULL));
		EXPECT_0(vmmem_collection_fetch_add_u32(
			c, 32, 1, VMMEM_ORDER_SEQ_CST, NULL));
		/* The same by compare-exchange, as a device would. */
		for (;;) {
			uint64_t seen;

			EXPECT_0(vmmem_collection_load_u64(
				c, 64, VMMEM_ORDER_RELAXED, &expected));
			EXPECT_0(vmmem_collection_compare_exchange_u64(
				c, 64, expected, expected + 1,
				VMMEM_ORDER_RELEASE, VMMEM_ORDER_ACQUIRE,
				&seen));
			if (seen == expected)
				break;
		}
	}
	return NULL;
}

START_TEST(no_count_is_lost)
{
	struct release release = { .count = 0 };
	struct counting counting = { one_region(&release), rounds(50000) };
	uint64_t total = (uint64_t)counting.times * THREADS;
	pthread_t threads[THREADS];
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	uint8_t u8;
	int i;

	ck_assert_int_eq(vmmem_collection_fill(counting.collection, 0, PAGE, 0,
					       NULL),
			 0);
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, count,
						&counting),
				 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(vmmem_collection_read_u8(counting.collection, 0, &u8),
			 0);
	ck_assert_int_eq(
		vmmem_collection_read_u16(counting.collection, 16, &u16), 0);
	ck_assert_int_eq(
		vmmem_collection_read_u32(counting.collection, 32, &u32), 0);
	ck_assert_int_eq(
		vmmem_collection_read_u64(counting.collection, 64, &u64), 0);
	ck_assert_uint_eq(u8, total & 0xff);
	ck_assert_uint_eq(u16, total & 0xffff);
	ck_assert_uint_eq(u32, total);
	ck_assert_uint_eq(u64, total);
	vmmem_collection_unref(counting.collection);
}
END_TEST

/*
 * Release and acquire, as a ring uses them: data is written plainly, then its
 * number is stored with release; whoever loads the number with acquire finds
 * the data.
 */
static void *
produce(void *argument)
{
	struct counting *counting = argument;
	uint32_t i;

	for (i = 1; i <= (uint32_t)counting->times; i++) {
		EXPECT_0(vmmem_collection_write_u32(counting->collection, 256,
						    i * 3));
		EXPECT_0(vmmem_collection_store_u32(counting->collection, 128,
						    i, VMMEM_ORDER_RELEASE));
		wait_for(counting->collection, 192, i);
	}
	return NULL;
}

START_TEST(release_publishes)
{
	struct release release = { .count = 0 };
	struct counting counting = { one_region(&release), rounds(20000) };
	pthread_t thread;
	uint32_t i, value;

	ck_assert_int_eq(vmmem_collection_fill(counting.collection, 0, PAGE, 0,
					       NULL),
			 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, produce, &counting), 0);
	for (i = 1; i <= (uint32_t)counting.times; i++) {
		wait_for(counting.collection, 128, i);
		EXPECT_0(vmmem_collection_read_u32(counting.collection, 256,
						   &value));
		if (value != i * 3)
			ck_abort_msg("found %u of %u", value, i);
		EXPECT_0(vmmem_collection_store_u32(counting.collection, 192,
						    i, VMMEM_ORDER_RELEASE));
	}
	pthread_join(thread, NULL);
	vmmem_collection_unref(counting.collection);
}
END_TEST

/*
 * A child has its own copy of every handle: it reads, writes, changes its map
 * and drops it, and the parent's is as before.  Private memory is the child's
 * own, shared memory is not.
 */
START_TEST(fork_inherits)
{
	struct vmmem_collection *collection, *smaller = NULL;
	struct vmmem_region *regions[2];
	uint32_t value;
	int status;
	pid_t child;

	ck_assert_int_eq(vmmem_region_new_anonymous(0, PAGE, &regions[0]), 0);
	ck_assert_int_eq(vmmem_region_new_memfd(PAGE, PAGE, &regions[1]), 0);
	ck_assert_int_eq(vmmem_collection_new(regions, 2, &collection), 0);
	ck_assert_int_eq(vmmem_collection_write_u32(collection, 0, 1), 0);
	ck_assert_int_eq(vmmem_collection_write_u32(collection, PAGE, 1), 0);

	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		int good;

		good = vmmem_collection_write_u32(collection, 0, 2) == 0 &&
		       vmmem_collection_write_u32(collection, PAGE, 2) == 0 &&
		       vmmem_collection_remove(collection, 0, PAGE, &smaller,
					       NULL) == 0 &&
		       vmmem_collection_count(smaller) == 1;
		vmmem_collection_unref(smaller);
		vmmem_collection_unref(collection);
		vmmem_region_unref(regions[0]);
		vmmem_region_unref(regions[1]);
		_exit(good ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);

	ck_assert_uint_eq(vmmem_collection_count(collection), 2);
	ck_assert_int_eq(vmmem_collection_read_u32(collection, 0, &value), 0);
	ck_assert_uint_eq(value, 1);
	ck_assert_int_eq(vmmem_collection_read_u32(collection, PAGE, &value),
			 0);
	ck_assert_uint_eq(value, 2);
	vmmem_collection_unref(collection);
	vmmem_region_unref(regions[0]);
	vmmem_region_unref(regions[1]);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("threads");
	TCase *tcase = tcase_create("threads");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, last_user_releases);
	tcase_add_test(tcase, no_count_is_lost);
	tcase_add_test(tcase, release_publishes);
	tcase_add_test(tcase, fork_inherits);
	suite_add_tcase(suite, tcase);
	return suite;
}
