/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Bytes that must stay: what is refused, and for how long. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

#define PAGE UINT64_C(0x10000) /* of any system */
#define LEN (4 * PAGE)
#define TIB (UINT64_C(1) << 40)

static struct vmmem_region *region;
static struct vmmem_collection *map;

static void
setup(void)
{
	assert_ok(vmmem_region_new_memfd(0, LEN, &region));
	assert_ok(vmmem_collection_new(&region, 1, &map));
}

static void
teardown(void)
{
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
}

static int
discard(uint64_t offset, uint64_t len)
{
	return vmmem_region_discard(region, offset, len, 0, NULL);
}

START_TEST(refuses)
{
	uint64_t discarded = 99;

	memset(expect_host(region), 0x11, LEN);
	assert_ok(vmmem_region_pin(region, PAGE + 8, 4));
	/* From the byte before to the byte behind. */
	assert_ok(discard(PAGE, 8));
	assert_ok(discard(PAGE + 12, 1));
	assert_code(discard(PAGE, 9), VMMEM_EPINNED);
	assert_code(discard(PAGE + 11, 1), VMMEM_EPINNED);
	assert_code(discard(PAGE + 9, 1), VMMEM_EPINNED);
	assert_code(vmmem_region_discard(region, 0, LEN, 0, &discarded),
		    VMMEM_EPINNED);
	ck_assert_uint_eq(discarded, 0);
	assert_code(vmmem_region_discard(region, 0, LEN,
					 VMMEM_DISCARD_WHOLE_PAGES, NULL),
		    VMMEM_EPINNED);
	assert_code(vmmem_collection_discard(map, PAGE, PAGE, 0, NULL),
		    VMMEM_EPINNED);
	ck_assert_uint_eq(expect_host(region)[0], 0x11);
	ck_assert_uint_eq(expect_host(region)[PAGE + 8], 0x11);
	assert_ok(discard(2 * PAGE, PAGE));
	assert_ok(vmmem_region_unpin(region, PAGE + 8, 4));
	assert_ok(discard(0, LEN));
	ck_assert(all_are(expect_host(region), 0, LEN));
}
END_TEST

/* Each pin is taken back by itself, whatever overlaps. */
START_TEST(counts)
{
	ck_assert_int_eq(vmmem_region_is_pinned(region, 0, LEN), 0);
	assert_ok(vmmem_region_pin(region, 0, PAGE));
	assert_ok(vmmem_region_pin(region, 0, PAGE));
	assert_ok(vmmem_region_pin(region, 8, PAGE));
	assert_ok(vmmem_region_pin(region, 0, 1));
	assert_ok(vmmem_region_unpin(region, 0, PAGE));
	assert_ok(vmmem_region_unpin(region, 0, 1));
	ck_assert_int_eq(vmmem_region_is_pinned(region, 0, 1), 1);
	assert_ok(vmmem_region_unpin(region, 0, PAGE));
	ck_assert_int_eq(vmmem_region_is_pinned(region, 0, 8), 0);
	ck_assert_int_eq(vmmem_region_is_pinned(region, 0, 9), 1);
	assert_code(vmmem_region_unpin(region, 0, PAGE), VMMEM_ENOREGION);
	assert_code(vmmem_region_unpin(region, 8, PAGE - 1), VMMEM_ENOREGION);
	assert_ok(vmmem_region_unpin(region, 8, PAGE));
	ck_assert_int_eq(vmmem_region_is_pinned(region, 0, LEN), 0);
	assert_code(vmmem_region_unpin(region, 8, PAGE), VMMEM_ENOREGION);
}
END_TEST

START_TEST(arguments)
{
	assert_code(vmmem_region_pin(NULL, 0, 1), VMMEM_EARGUMENT);
	assert_code(vmmem_region_unpin(NULL, 0, 1), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_region_is_pinned(NULL, 0, 1), 0);
	assert_code(vmmem_region_pin(region, LEN, 1), VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_pin(region, 0, LEN + 1), VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_pin(region, 1, UINT64_MAX),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_unpin(region, LEN, 1), VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_unpin(region, 0, 1), VMMEM_ENOREGION);
	assert_ok(vmmem_region_pin(region, TOP, 0));
	assert_ok(vmmem_region_unpin(region, TOP, 0));
	ck_assert_int_eq(vmmem_region_is_pinned(region, LEN, 1), 0);
	ck_assert_int_eq(vmmem_region_is_pinned(region, 0, 0), 0);
}
END_TEST

/* What an alias shows is its target's. */
START_TEST(aliases)
{
	struct vmmem_region *alias;

	assert_ok(vmmem_region_new_alias(TIB, 2 * PAGE, region, PAGE, &alias));
	assert_ok(vmmem_region_pin(alias, 8, 8));
	ck_assert_int_eq(vmmem_region_is_pinned(region, PAGE + 15, 1), 1);
	ck_assert_int_eq(vmmem_region_is_pinned(region, PAGE + 16, 1), 0);
	ck_assert_int_eq(vmmem_region_is_pinned(region, 8, 8), 0);
	assert_code(discard(PAGE, PAGE), VMMEM_EPINNED);
	assert_code(vmmem_region_discard(alias, 0, PAGE, 0, NULL),
		    VMMEM_EPINNED);
	/* Another handle of the same bytes is no pin of it. */
	assert_code(vmmem_region_unpin(region, PAGE + 8, 8), VMMEM_ENOREGION);
	assert_ok(vmmem_region_pin(region, PAGE, 9));
	assert_ok(vmmem_region_unpin(alias, 8, 8));
	assert_code(vmmem_region_discard(alias, 0, 1, 0, NULL), VMMEM_EPINNED);
	assert_ok(vmmem_region_unpin(region, PAGE, 9));
	assert_ok(vmmem_region_discard(alias, 0, PAGE, 0, NULL));
	vmmem_region_unref(alias);
}
END_TEST

static unsigned int released;

static void
release(void *opaque)
{
	(void)opaque;
	released++;
}

/* It is the pin's until it goes, whatever becomes of the maps. */
START_TEST(keeps_the_memory)
{
	static _Alignas(16) uint8_t memory[64];
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_collection *guest, *empty;
	struct vmmem_region *external, *alias;

	vmmem_region_builder_set_range(builder, 0, sizeof(memory));
	vmmem_region_builder_set_external(builder, memory, release, NULL);
	assert_ok(vmmem_region_builder_build(builder, &external));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_region_new_alias(TIB, 32, external, 0, &alias));
	vmmem_region_unref(external);
	assert_ok(vmmem_collection_new(&alias, 1, &guest));
	vmmem_region_unref(alias);
	assert_ok(vmmem_region_pin(alias, 0, 8));
	assert_ok(vmmem_region_pin(alias, 0, 8));
	assert_ok(vmmem_collection_remove(guest, TIB, 32, &empty, NULL));
	vmmem_collection_unref(guest);
	vmmem_collection_unref(empty);
	ck_assert_uint_eq(released, 0);
	assert_ok(vmmem_region_unpin(alias, 0, 8));
	ck_assert_uint_eq(released, 0);
	assert_ok(vmmem_region_unpin(alias, 0, 8));
	ck_assert_uint_eq(released, 1);
}
END_TEST

START_TEST(bounded)
{
	uint64_t i;

	for (i = 0; i < VMMEM_PINS_MAX; i++)
		assert_ok(vmmem_region_pin(region, 2 * i, 1));
	assert_code(vmmem_region_pin(region, 1, 1), VMMEM_ENOROOM);
	ck_assert_int_eq(vmmem_region_is_pinned(region, 1, 1), 0);
	/* Again is no more. */
	assert_ok(vmmem_region_pin(region, 0, 1));
	assert_ok(vmmem_region_unpin(region, 0, 1));
	assert_ok(vmmem_region_unpin(region, 0, 1));
	assert_ok(vmmem_region_pin(region, 1, 1));
	assert_ok(vmmem_region_unpin(region, 1, 1));
	for (i = 1; i < VMMEM_PINS_MAX; i++)
		assert_ok(vmmem_region_unpin(region, 2 * i, 1));
	assert_ok(discard(0, LEN));
}
END_TEST

/* A space's listeners are asked, and told of what came of it. */
START_TEST(of_a_space)
{
	struct vmmem_space *space;
	uint64_t discarded = 99;

	assert_ok(vmmem_space_new(map, NULL, &space));
	assert_ok(vmmem_region_pin(region, 0, 1));
	assert_code(vmmem_space_discard(space, 0, PAGE, 0, &discarded),
		    VMMEM_EPINNED);
	ck_assert_uint_eq(discarded, 0);
	assert_ok(vmmem_space_discard(space, PAGE, PAGE, 0, NULL));
	assert_ok(vmmem_region_unpin(region, 0, 1));
	assert_ok(vmmem_space_discard(space, 0, PAGE, 0, NULL));
	vmmem_space_unref(space);
}
END_TEST

/* A discard that takes its time, in a callback. */
static struct {
	struct vmmem_region *region;
	atomic_int begun;  /* the callback runs */
	atomic_int called; /* the other thread goes to pin */
	atomic_int over;   /* the callback is about to return */
} slow;

static int
slow_discard(void *opaque, uint64_t offset, uint64_t len)
{
	int turns;

	(void)opaque;
	/* The thread would wait for itself; elsewhere it need not wait. */
	assert_code(vmmem_region_pin(slow.region, offset + len - 1, 8),
		    VMMEM_ESELFWAIT);
	assert_ok(vmmem_region_pin(slow.region, offset + len, 8));
	assert_ok(vmmem_region_unpin(slow.region, offset + len, 8));
	atomic_store(&slow.begun, 1);
	while (atomic_load(&slow.called) == 0)
		sched_yield();
	for (turns = 0; turns < 1000; turns++)
		sched_yield();
	atomic_store(&slow.over, 1);
	return 0;
}

static void *
pin_meanwhile(void *opaque)
{
	(void)opaque;
	while (atomic_load(&slow.begun) == 0)
		sched_yield();
	atomic_store(&slow.called, 1);
	if (vmmem_region_pin(slow.region, 0, 8) != 0)
		return NULL;
	return atomic_load(&slow.over) == 1 ? &slow : NULL;
}

static int
slow_read(void *opaque, uint64_t offset, void *buf, size_t len,
	  const struct vmmem_access_info *info)
{
	(void)opaque;
	(void)info;
	(void)offset;
	memset(buf, 0, len);
	return 0;
}

static int
slow_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	(void)opaque;
	(void)info;
	(void)offset;
	(void)buf;
	(void)len;
	return 0;
}

START_TEST(waits_for_a_discard)
{
	static const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.read = slow_read,
		.write = slow_write,
		.discard = slow_discard,
	};
	pthread_t thread;
	void *waited;

	assert_ok(vmmem_region_new_custom(0, LEN, &ops, NULL, &slow.region));
	ck_assert_int_eq(pthread_create(&thread, NULL, pin_meanwhile, NULL), 0);
	assert_ok(vmmem_region_discard(slow.region, 0, PAGE, 0, NULL));
	ck_assert_int_eq(pthread_join(thread, &waited), 0);
	ck_assert_ptr_nonnull(waited);
	assert_code(vmmem_region_discard(slow.region, 0, PAGE, 0, NULL),
		    VMMEM_EPINNED);
	assert_ok(vmmem_region_unpin(slow.region, 0, 8));
	vmmem_region_unref(slow.region);
}
END_TEST

/* A child has its own. */
START_TEST(in_a_child)
{
	struct vmmem_space *space;
	int status;
	pid_t child;

	assert_ok(vmmem_space_new(map, NULL, &space));
	assert_ok(vmmem_region_pin(region, 0, 8));
	assert_ok(vmmem_space_before_fork(space));
	child = fork();
	if (child == 0) {
		vmmem_space_after_fork_child(space);
		if (discard(0, PAGE) != VMMEM_EPINNED ||
		    vmmem_region_pin(region, PAGE, 8) != 0 ||
		    vmmem_region_unpin(region, 0, 8) != 0 ||
		    discard(0, PAGE) != 0)
			_exit(1);
		_exit(0);
	}
	vmmem_space_after_fork_parent(space);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(vmmem_region_is_pinned(region, 0, 8), 1);
	ck_assert_int_eq(vmmem_region_is_pinned(region, PAGE, 8), 0);
	assert_ok(vmmem_region_unpin(region, 0, 8));
	vmmem_space_unref(space);
}
END_TEST

static void *
discard_slowly(void *opaque)
{
	(void)opaque;
	assert_ok(vmmem_region_discard(slow.region, 0, PAGE, 0, NULL));
	return NULL;
}

/* The thread that discards is not in the child, which waits for nobody. */
START_TEST(in_a_child_of_a_discard)
{
	static const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.read = slow_read,
		.write = slow_write,
		.discard = slow_discard,
	};
	struct vmmem_space *space;
	pthread_t thread;
	int status;
	pid_t child;

	assert_ok(vmmem_region_new_custom(0, LEN, &ops, NULL, &slow.region));
	assert_ok(vmmem_space_new(map, NULL, &space));
	ck_assert_int_eq(pthread_create(&thread, NULL, discard_slowly, NULL),
			 0);
	while (atomic_load(&slow.begun) == 0)
		sched_yield();
	assert_ok(vmmem_space_before_fork(space));
	child = fork();
	if (child == 0) {
		vmmem_space_after_fork_child(space);
		_exit(vmmem_region_pin(slow.region, 0, 8) != 0 ||
		      vmmem_region_unpin(slow.region, 0, 8) != 0);
	}
	vmmem_space_after_fork_parent(space);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	atomic_store(&slow.called, 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	assert_ok(vmmem_region_pin(slow.region, 0, 8));
	assert_ok(vmmem_region_unpin(slow.region, 0, 8));
	vmmem_region_unref(slow.region);
	vmmem_space_unref(space);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("pin");
	TCase *tcase = tcase_create("pin");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, refuses);
	tcase_add_test(tcase, counts);
	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, aliases);
	tcase_add_test(tcase, keeps_the_memory);
	tcase_add_test(tcase, bounded);
	tcase_add_test(tcase, of_a_space);
	tcase_add_test(tcase, waits_for_a_discard);
	tcase_add_test(tcase, in_a_child);
	tcase_add_test(tcase, in_a_child_of_a_discard);
	suite_add_tcase(suite, tcase);
	return suite;
}
