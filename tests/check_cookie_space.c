/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* On which thread a region's cookie ends: never on a reader's of a space. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

#define LEN UINT64_C(0x1000)
#define READERS 3

static struct vmmem_space *space;
static struct vmmem_region_builder *builder;
static pthread_barrier_t barrier;
static const int key;

static _Thread_local bool is_reader;
/* Relaxed, all of them: counts, and the barrier or a join comes before a look. */
static atomic_uint ended, ended_by_readers, stop;

static void
end(void *cookie)
{
	(void)cookie;
	atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed);
	if (is_reader)
		atomic_fetch_add_explicit(&ended_by_readers, 1,
					  memory_order_relaxed);
}

static unsigned int
count_of(atomic_uint *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

static struct vmmem_region *
with_cookie(void)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_builder_build(builder, &region));
	return region;
}

static void
setup(void)
{
	struct vmmem_region *region;

	builder = vmmem_region_builder_new();
	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_cookie(builder, &key, &barrier, end);
	atomic_store_explicit(&ended, 0, memory_order_relaxed);
	atomic_store_explicit(&ended_by_readers, 0, memory_order_relaxed);
	atomic_store_explicit(&stop, 0, memory_order_relaxed);
	region = with_cookie();
	assert_ok(vmmem_space_new(NULL, NULL, &space));
	assert_ok(vmmem_space_insert(space, region));
	vmmem_region_unref(region);
}

static void
teardown(void)
{
	vmmem_region_builder_free(builder);
}

/* The ways to see a map. */
enum way { READER, ENTERED, REFERENCE, WAYS };

static void *
see(void *opaque)
{
	const enum way way = *(const enum way *)opaque;
	struct vmmem_collection *map = NULL;
	struct vmmem_reader *reader = NULL;
	uint64_t section = 0;
	uint8_t byte;

	is_reader = true;
	if (way == READER) {
		assert_ok(vmmem_reader_new(space, NULL, &reader));
		map = vmmem_reader_enter(reader);
	} else if (way == ENTERED) {
		section = vmmem_space_enter(space, &map);
	} else {
		map = vmmem_space_get(space);
	}
	pthread_barrier_wait(&barrier);
	/* Here a writer takes the region out. */
	pthread_barrier_wait(&barrier);
	assert_ok(vmmem_collection_read_u8(map, 5, &byte));
	if (way == READER)
		vmmem_reader_leave(reader);
	else if (way == ENTERED)
		vmmem_space_leave(space, section);
	else
		vmmem_collection_unref(map);
	vmmem_reader_free(reader);
	return NULL;
}

static void
write_another(void)
{
	struct vmmem_region *region = region_of(LEN, LEN);

	assert_ok(vmmem_space_insert(space, region));
	vmmem_region_unref(region);
}

/* Not while it is seen, not by who sees it: by who looks after that. */
START_TEST(after_the_section)
{
	const enum way way = (enum way)(_i % WAYS);
	pthread_t thread;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, see,
					(void *)(uintptr_t)&way), 0);
	pthread_barrier_wait(&barrier);
	assert_ok(vmmem_space_remove(space, 0, LEN, NULL));
	assert_code(vmmem_space_synchronize(space, 0),
		    way == REFERENCE ? 0 : VMMEM_ETIMEOUT);
	ck_assert_uint_eq(count_of(&ended), 0);
	pthread_barrier_wait(&barrier);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(count_of(&ended), 0);
	if (_i / WAYS == 0)
		assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	else if (_i / WAYS == 1)
		write_another();
	else
		space = vmmem_space_unref(space);
	ck_assert_uint_eq(count_of(&ended), 1);
	ck_assert_uint_eq(count_of(&ended_by_readers), 0);
	vmmem_space_unref(space);
	pthread_barrier_destroy(&barrier);
}
END_TEST

static void *
read_on(void *opaque)
{
	struct vmmem_collection *map;
	struct vmmem_reader *reader = NULL;
	uint64_t section;
	uint8_t byte;

	(void)opaque;
	is_reader = true;
	assert_ok(vmmem_reader_new(space, NULL, &reader));
	pthread_barrier_wait(&barrier);
	while (count_of(&stop) == 0) {
		map = vmmem_reader_enter(reader);
		assert_ok(vmmem_collection_read_u8(map, 5, &byte));
		vmmem_reader_leave(reader);
		section = vmmem_space_enter(space, &map);
		assert_ok(vmmem_collection_read_u8(map, 5, &byte));
		vmmem_space_leave(space, section);
		map = vmmem_space_get(space);
		assert_ok(vmmem_collection_read_u8(map, 5, &byte));
		vmmem_collection_unref(map);
	}
	vmmem_reader_free(reader);
	return NULL;
}

/* The region is another one all the time. */
START_TEST(while_many_read)
{
	const unsigned int rounds = 500;
	struct vmmem_collection *map;
	pthread_t threads[READERS];
	unsigned int i;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, READERS + 1), 0);
	for (i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on,
						NULL), 0);
	pthread_barrier_wait(&barrier);
	for (i = 0; i < rounds; i++) {
		map = guest_of_one(with_cookie());
		assert_ok(vmmem_space_replace(space, map));
		vmmem_collection_unref(map);
	}
	atomic_store_explicit(&stop, 1, memory_order_relaxed);
	for (i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_uint_eq(count_of(&ended), rounds);
	vmmem_space_unref(space);
	ck_assert_uint_eq(count_of(&ended), rounds + 1);
	ck_assert_uint_eq(count_of(&ended_by_readers), 0);
	pthread_barrier_destroy(&barrier);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("cookie_space");
	TCase *tcase = tcase_create("cookie_space");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, after_the_section, 0, 3 * WAYS);
	tcase_add_test(tcase, while_many_read);
	suite_add_tcase(suite, tcase);
	return suite;
}
