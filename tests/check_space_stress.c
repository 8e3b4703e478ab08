/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Readers that read while writers replace the map, threads without a reader,
 * one that holds on to maps for long, and forks in between.  Each map holds
 * three blocks of memory that carry the map's number; a block that its map let
 * go of is poisoned.  So a map that is torn, and memory that is used too late,
 * both show; so does memory that is let go of on a thread that must not.
 * tools/check runs this under ThreadSanitizer.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmmem/inline.h>
#include <vmmem/vmmem.h>

#include "rng.h"
#include "suite.h"

#define READERS 4
#define WRITERS 2
#define BLOCKS 3
#define PAGE UINT64_C(0x1000)
#define POISON UINT64_C(0xdeaddeaddeaddead)
#define HELD 16

/* Check's own assertions write to a file each time. */
#define REQUIRE(condition)                                                 \
	do {                                                               \
		if (!(condition))                                          \
			ck_abort_msg("%s", #condition);                    \
	} while (0)

static struct vmmem_space *space;
/* One whose maps are made one of the other, of a region more or less. */
static struct vmmem_space *other_space;
static atomic_uint_fast64_t next_number, updates_left;
static atomic_int writers_left;
static atomic_uint_fast64_t blocks_made, blocks_gone;

/* Whether this thread may be the one on which memory goes. */
static _Thread_local int may_drop;

struct block {
	_Alignas(16) uint64_t words[PAGE / 8];
};

/* The words as the library sees them: with accesses of one piece. */
static void
set_words(struct block *block, uint64_t value)
{
	size_t i;

	for (i = 0; i < PAGE / 8; i += 64)
		__atomic_store_n(&block->words[i], value, __ATOMIC_RELAXED);
}

static void
drop_block(void *opaque)
{
	struct block *block = opaque;

	REQUIRE(may_drop);
	set_words(block, POISON);
	free(block);
	atomic_fetch_add(&blocks_gone, 1);
}

static struct vmmem_region *
new_region(uint64_t gpa, uint64_t number)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;
	struct block *block = aligned_alloc(16, sizeof(*block));

	REQUIRE(builder != NULL && block != NULL);
	set_words(block, number);
	vmmem_region_builder_set_range(builder, gpa, PAGE);
	vmmem_region_builder_set_external(builder, block, drop_block, block);
	REQUIRE(vmmem_region_builder_build(builder, &region) == 0);
	vmmem_region_builder_free(builder);
	atomic_fetch_add(&blocks_made, 1);
	return region;
}

static struct vmmem_collection *
new_map(void)
{
	const uint64_t number = atomic_fetch_add(&next_number, 1);
	struct vmmem_region *regions[BLOCKS];
	struct vmmem_collection *map = NULL;
	unsigned int i;

	for (i = 0; i < BLOCKS; i++)
		regions[i] = new_region(i * PAGE, number);
	REQUIRE(vmmem_collection_new(regions, BLOCKS, &map) == 0);
	for (i = 0; i < BLOCKS; i++)
		vmmem_region_unref(regions[i]);
	return map;
}

/* The number that all of a map carries. */
static uint64_t
number_of(const struct vmmem_collection *map)
{
	uint64_t first, value;
	unsigned int i;

	REQUIRE(vmmem_collection_read_u64(map, 0, &first) == 0);
	for (i = 1; i < BLOCKS; i++) {
		REQUIRE(vmmem_collection_read_u64(map, i * PAGE + 0x200,
						  &value) == 0);
		REQUIRE(value == first);
	}
	REQUIRE(first != POISON);
	return first;
}

static int
is_running(void)
{
	return atomic_load(&writers_left) != 0;
}

static void *
read_on(void *opaque)
{
	struct vmmem_reader *reader = opaque;
	struct vmmem_collection *map;
	struct vmmem_slice slice = { .len = 0 };
	uint64_t noted = 0, number, last = 0, value;

	do {
		map = vmmem_reader_enter(reader);
		number = number_of(map);
		/* Maps come in the order in which they are numbered, or so. */
		REQUIRE(number + WRITERS >= last);
		last = number;
		if (vmmem_reader_generation(reader) != noted) {
			vmmem_slice_release(&slice);
			REQUIRE(vmmem_collection_slice(map, PAGE, PAGE,
						       VMMEM_PROT_READ,
						       &slice) == 0);
			noted = vmmem_reader_generation(reader);
		}
		REQUIRE(vmmem_slice_load_u64(&slice, 0, VMMEM_ORDER_RELAXED,
					     &value) == 0);
		REQUIRE(value != POISON);
		if (number % 3 == 0) {
			REQUIRE(vmmem_reader_enter(reader) == map);
			REQUIRE(number_of(map) == number);
			vmmem_reader_leave(reader);
		}
		vmmem_reader_leave(reader);
		REQUIRE(vmmem_reader_read_u64(reader, PAGE, &value) == 0);
		REQUIRE(value != POISON);
	} while (is_running());
	return NULL;
}

/* Without a reader of its own. */
static void *
get_on(void *opaque)
{
	struct vmmem_collection *map;

	(void)opaque;
	do {
		map = vmmem_space_get(space);
		number_of(map);
		vmmem_collection_unref(map);
	} while (is_running());
	return NULL;
}

/*
 * Holds the last maps that it saw, each until some others have come, and lets
 * go of them in any order.
 */
static void *
hold_on(void *opaque)
{
	struct vmmem_collection *held[HELD] = { NULL };
	uint64_t numbers[HELD] = { 0 };
	struct rng rng = { (uintptr_t)opaque };
	uint64_t seen;
	size_t i;

	do {
		seen = vmmem_space_generation(space);
		while (vmmem_space_generation(space) == seen && is_running())
			sched_yield();
		i = rng_below(&rng, HELD);
		if (held[i] != NULL)
			REQUIRE(number_of(held[i]) == numbers[i]);
		vmmem_collection_unref(held[i]);
		held[i] = vmmem_space_get(space);
		numbers[i] = number_of(held[i]);
	} while (is_running());
	for (i = 0; i < HELD; i++)
		vmmem_collection_unref(held[i]);
	return NULL;
}

/* In or out, by whoever finds it out or in. */
static void
change_other(void)
{
	struct vmmem_region *region;
	int rc;

	rc = vmmem_space_remove(other_space, BLOCKS * PAGE, PAGE, NULL);
	if (rc == 0)
		return;
	REQUIRE(rc == VMMEM_ENOREGION);
	region = new_region(BLOCKS * PAGE, 0);
	rc = vmmem_space_insert(other_space, region);
	vmmem_region_unref(region);
	REQUIRE(rc == 0 || rc == VMMEM_EOVERLAP);
}

static void *
write_on(void *opaque)
{
	struct vmmem_update *update;
	struct vmmem_collection *map;
	uint64_t left;

	(void)opaque;
	may_drop = 1;
	for (;;) {
		left = atomic_load(&updates_left);
		if (left == 0)
			break;
		atomic_compare_exchange_strong(&updates_left, &left, left - 1);
		/* Numbered under the lock, so that they come in order. */
		REQUIRE(vmmem_update_new(space, VMMEM_FOREVER, &update) == 0);
		map = new_map();
		REQUIRE(vmmem_update_replace(update, map) == 0);
		vmmem_collection_unref(map);
		if (left % 5 != 0)
			REQUIRE(vmmem_update_commit(update) == 0);
		vmmem_update_free(update);
		change_other();
	}
	atomic_fetch_sub(&writers_left, 1);
	return NULL;
}

static void *
synchronize_on(void *opaque)
{
	uint64_t before;

	(void)opaque;
	may_drop = 1;
	do {
		before = vmmem_space_generation(space);
		REQUIRE(vmmem_space_synchronize(space, VMMEM_FOREVER) == 0);
		REQUIRE(vmmem_space_generation(space) >= before);
	} while (is_running());
	return NULL;
}

/* A child has no threads to join, but ThreadSanitizer thinks it has. */
const char *__tsan_default_options(void);

const char *
__tsan_default_options(void)
{
	return "report_thread_leaks=0";
}

/* What a child that only reads may do. */
static int
child_reads(struct vmmem_reader *reader)
{
	struct vmmem_collection *map = vmmem_space_get(space);

	number_of(map);
	vmmem_collection_unref(map);
	number_of(vmmem_reader_enter(reader));
	vmmem_reader_leave(reader);
	return 0;
}

/* And what one may whose parent has prepared for it. */
static int
child_writes(struct vmmem_reader *reader)
{
	struct vmmem_collection *map;

	may_drop = 1;
	vmmem_space_after_fork_child(space);
	vmmem_space_after_fork_child(other_space);
	child_reads(reader);
	change_other();
	map = new_map();
	REQUIRE(vmmem_space_replace(space, map) == 0);
	vmmem_collection_unref(map);
	/* No thread is left that could be in a section. */
	REQUIRE(vmmem_space_synchronize(space, 0) == 0);
	return child_reads(reader);
}

static void
fork_once(struct vmmem_reader *reader, int prepared)
{
	int status;
	pid_t child;

	if (prepared) {
		REQUIRE(vmmem_space_before_fork(space) == 0);
		REQUIRE(vmmem_space_before_fork(other_space) == 0);
	}
	child = fork();
	if (child == 0)
		_exit(prepared ? child_writes(reader) : child_reads(reader));
	if (prepared) {
		vmmem_space_after_fork_parent(other_space);
		vmmem_space_after_fork_parent(space);
	}
	REQUIRE(child > 0);
	REQUIRE(waitpid(child, &status, 0) == child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "the child ended with status %#x", (unsigned int)status);
}

static void
run(uint64_t updates, unsigned int forks)
{
	pthread_t threads[READERS + WRITERS + 3];
	struct vmmem_reader *readers[READERS], *own;
	struct vmmem_collection *map;
	unsigned int i, count = 0;

	may_drop = 1;
	atomic_store(&updates_left, updates);
	atomic_store(&writers_left, WRITERS);
	map = new_map();
	REQUIRE(vmmem_space_new(map, NULL, &space) == 0);
	vmmem_collection_unref(map);
	map = new_map();
	REQUIRE(vmmem_space_new(map, NULL, &other_space) == 0);
	vmmem_collection_unref(map);
	REQUIRE(vmmem_reader_new(space, NULL, &own) == 0);
	for (i = 0; i < READERS; i++) {
		REQUIRE(vmmem_reader_new(space, NULL, &readers[i]) == 0);
		REQUIRE(pthread_create(&threads[count++], NULL, read_on,
				       readers[i]) == 0);
	}
	REQUIRE(pthread_create(&threads[count++], NULL, get_on, NULL) == 0);
	REQUIRE(pthread_create(&threads[count++], NULL, hold_on,
			       (void *)(uintptr_t)updates) == 0);
	REQUIRE(pthread_create(&threads[count++], NULL, synchronize_on,
			       NULL) == 0);
	for (i = 0; i < WRITERS; i++)
		REQUIRE(pthread_create(&threads[count++], NULL, write_on,
				       NULL) == 0);
	for (i = 0; i < forks; i++)
		fork_once(own, i % 2 == 0);
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);

	vmmem_space_unref(other_space);
	REQUIRE(vmmem_space_synchronize(space, VMMEM_FOREVER) == 0);
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
	/* Nothing but the current map is left, and then nothing. */
	ck_assert_uint_eq(atomic_load(&blocks_gone) + BLOCKS,
			  atomic_load(&blocks_made));
	for (i = 0; i < READERS; i++)
		vmmem_reader_free(readers[i]);
	vmmem_reader_free(own);
	vmmem_space_unref(space);
	ck_assert_uint_eq(atomic_load(&blocks_gone), atomic_load(&blocks_made));
}

START_TEST(readers_and_writers)
{
	run(rng_rounds(30000), 0);
}
END_TEST

START_TEST(with_forks)
{
	run(rng_rounds(6000), (unsigned int)rng_rounds(60));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("space_stress");
	TCase *tcase = tcase_create("space_stress");

	tcase_set_timeout(tcase, 500);
	tcase_add_test(tcase, readers_and_writers);
	tcase_add_test(tcase, with_forks);
	suite_add_tcase(suite, tcase);
	return suite;
}
