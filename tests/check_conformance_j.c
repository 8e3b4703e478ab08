/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What vm-memory's atomically replaceable map does and does not do, and what
 * went wrong around it and its rivals: docs/conformance.md, part J.
 */
#include <vmmem/vmmem.h>

#include "owned.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)

static struct owned owned;
static struct vmmem_space *space;

static void
setup(void)
{
	struct vmmem_collection *map = guest_of_one(owned_region(&owned, 0));

	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
}

static void
teardown(void)
{
	vmmem_space_unref(space);
}

static void
insert(uint64_t gpa)
{
	struct vmmem_region *region = region_of(gpa, PAGE);

	assert_ok(vmmem_space_insert(space, region));
	vmmem_region_unref(region);
}

/* A snapshot stays what it was. */
START_TEST(j1_snapshots_stay)
{
	struct vmmem_collection *before = vmmem_space_get(space), *after;
	uint8_t byte;

	insert(0x10000);
	assert_ok(vmmem_space_remove(space, 0, OWNED_LEN, NULL));
	after = vmmem_space_get(space);
	ck_assert_uint_eq(vmmem_collection_count(before), 1);
	assert_ok(vmmem_collection_write_u8(before, 5, 7));
	assert_ok(vmmem_collection_read_u8(before, 5, &byte));
	ck_assert_uint_eq(byte, 7);
	assert_code(vmmem_collection_read_u8(after, 5, &byte), VMMEM_EBADADDR);
	assert_ok(vmmem_collection_read_u8(after, 0x10000, &byte));
	vmmem_collection_unref(before);
	vmmem_collection_unref(after);
}
END_TEST

/*
 * There, whoever holds the last guard unmaps, be it a vCPU.  Here a thread that
 * holds on to an old map, and one that reads it, let go without unmapping.
 */
static void *
let_go(void *opaque)
{
	vmmem_collection_unref(opaque);
	return NULL;
}

START_TEST(readers_do_not_unmap)
{
	struct vmmem_collection *held = vmmem_space_get(space);
	struct vmmem_reader *reader;
	pthread_t thread;

	assert_ok(vmmem_reader_new(space, NULL, &reader));
	vmmem_reader_enter(reader);
	assert_ok(vmmem_space_remove(space, 0, OWNED_LEN, NULL));
	ck_assert_int_eq(pthread_create(&thread, NULL, let_go, held), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(owned_is_released(&owned), 0);
	vmmem_reader_leave(reader);
	ck_assert_int_eq(owned_is_released(&owned), 0);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_int_eq(owned_is_released(&owned), 1);
	ck_assert(pthread_equal(owned.releaser, pthread_self()));
	vmmem_reader_free(reader);
}
END_TEST

/*
 * There, a map is computed from the current one before the lock is taken, and
 * of two writers one may undo the other's work.  Here the second writer finds
 * the first one's region in what it begins with, or waits.
 */
struct writer {
	uint64_t gpa;
	int rc;
};

static void *
insert_one(void *opaque)
{
	struct writer *writer = opaque;
	struct vmmem_region *region;

	writer->rc = vmmem_region_new_anonymous(writer->gpa, PAGE, &region);
	if (writer->rc != 0)
		return NULL;
	writer->rc = vmmem_space_insert(space, region);
	vmmem_region_unref(region);
	return NULL;
}

START_TEST(updates_are_not_lost)
{
	struct writer writer = { .gpa = 0x20000 };
	struct vmmem_collection *map;
	struct vmmem_region *region;
	struct vmmem_update *update;
	pthread_t thread;

	assert_ok(vmmem_update_new(space, VMMEM_FOREVER, &update));
	/* It begins when this one is over, whatever comes first. */
	ck_assert_int_eq(pthread_create(&thread, NULL, insert_one, &writer),
			 0);
	region = region_of(0x10000, PAGE);
	assert_ok(vmmem_update_insert(update, region));
	vmmem_region_unref(region);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	pthread_join(thread, NULL);
	assert_ok(writer.rc);
	map = vmmem_space_get(space);
	ck_assert_uint_eq(vmmem_collection_count(map), 3);
	vmmem_collection_unref(map);
}
END_TEST

/* There, more than eight guards of a thread take another, slower way. */
START_TEST(any_number_of_guards)
{
	struct vmmem_collection *held[100];
	struct vmmem_reader *reader;
	size_t i;

	assert_ok(vmmem_reader_new(space, NULL, &reader));
	for (i = 0; i < 100; i++) {
		held[i] = vmmem_space_get(space);
		ck_assert_ptr_eq(vmmem_reader_enter(reader), held[0]);
	}
	for (i = 0; i < 100; i++) {
		vmmem_reader_leave(reader);
		vmmem_collection_unref(held[i]);
	}
	assert_ok(vmmem_space_remove(space, 0, OWNED_LEN, NULL));
	ck_assert_int_eq(owned_is_released(&owned), 1);
	vmmem_reader_free(reader);
}
END_TEST

/* There is no way to wait for those who see an old map; and no number. */
START_TEST(waiting_and_numbers)
{
	uint64_t generation = vmmem_space_generation(space);
	struct vmmem_reader *reader;

	assert_ok(vmmem_reader_new(space, NULL, &reader));
	vmmem_reader_enter(reader);
	insert(0x10000);
	ck_assert_uint_gt(vmmem_space_generation(space), generation);
	assert_code(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
	vmmem_reader_leave(reader);
	assert_ok(vmmem_space_synchronize(space, 0));
	vmmem_reader_free(reader);
}
END_TEST

/*
 * A vhost-user target of another project unmapped its memory when a new table
 * came, under a copy that was going on (SPDK, 3132).
 */
START_TEST(remap_during_a_copy)
{
	static uint8_t buf[OWNED_LEN];
	struct vmmem_collection *map, *other;
	struct vmmem_range range = { 0, PAGE };
	struct vmmem_reader *reader;

	assert_ok(vmmem_reader_new(space, NULL, &reader));
	map = vmmem_reader_enter(reader);
	pattern(owned.bytes, OWNED_LEN, 3);
	assert_ok(vmmem_collection_read(map, 0, buf, OWNED_LEN / 2, NULL));
	other = guest_of_ranges(&range, 1);
	assert_ok(vmmem_space_replace(space, other));
	vmmem_collection_unref(other);
	ck_assert_int_eq(owned_is_released(&owned), 0);
	assert_ok(vmmem_collection_read(map, OWNED_LEN / 2,
					buf + OWNED_LEN / 2, OWNED_LEN / 2,
					NULL));
	ck_assert_mem_eq(buf, owned.bytes, OWNED_LEN);
	vmmem_reader_leave(reader);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_int_eq(owned_is_released(&owned), 1);
	vmmem_reader_free(reader);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_j");
	TCase *tcase = tcase_create("conformance_j");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, j1_snapshots_stay);
	tcase_add_test(tcase, readers_do_not_unmap);
	tcase_add_test(tcase, updates_are_not_lost);
	tcase_add_test(tcase, any_number_of_guards);
	tcase_add_test(tcase, waiting_and_numbers);
	tcase_add_test(tcase, remap_during_a_copy);
	suite_add_tcase(suite, tcase);
	return suite;
}
