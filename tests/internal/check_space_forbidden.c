/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A program forbids membarrier(2) to itself while devices run: what is replaced
 * goes on to be dropped, and never what a device sees.  The functions of
 * lib/base/barrier.c are defined here, over the real ones.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vmmem/inline.h>
#include <vmmem/vmmem.h>

#include "base/barrier.h"
#include "suite.h"

#define LEN 64
#define SLOTS 256
#define READERS 3
#define ROUNDS 30000
#define ALLOWED 1000 /* updates before it is forbidden */

static atomic_bool forbidden;
static atomic_int stop;
static atomic_uint lookers;

bool
vmmem_barrier_available(void)
{
	return syscall(SYS_membarrier,
		       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

int
vmmem_barrier(void)
{
	if (atomic_load(&forbidden))
		return -EPERM;
	return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0,
		       0) != 0 ?
		       -errno :
		       0;
}

const char *
skip_reason(void)
{
	return vmmem_barrier_available() ? NULL : "there is no membarrier(2)";
}

/* Memory that says whether it may be seen. */
static struct {
	_Alignas(64) unsigned char bytes[LEN];
	atomic_bool used;
} slots[SLOTS];

#define SEEN UINT64_C(0x1111111111111111)
#define GONE UINT64_C(0xeeeeeeeeeeeeeeee)

static void
set(size_t slot, uint64_t value)
{
	uint64_t *words = (uint64_t *)(void *)slots[slot].bytes;

	__atomic_store_n(words, value, __ATOMIC_RELAXED);
}

static void
release(void *opaque)
{
	const size_t slot = (size_t)(uintptr_t)opaque;

	set(slot, GONE);
	atomic_store(&slots[slot].used, false);
}

/* One that nobody sees, or none. */
static size_t
free_slot(void)
{
	static size_t next;
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		next = (next + 1) % SLOTS;
		if (!atomic_load(&slots[next].used))
			return next;
	}
	return SLOTS;
}

static struct vmmem_collection *
map_of(size_t slot)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_collection *map = NULL;
	struct vmmem_region *region = NULL;

	set(slot, SEEN);
	atomic_store(&slots[slot].used, true);
	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_external(builder, slots[slot].bytes, release,
					  (void *)(uintptr_t)slot);
	ck_assert_int_eq(vmmem_region_builder_build(builder, &region), 0);
	vmmem_region_builder_free(builder);
	ck_assert_int_eq(vmmem_collection_new(&region, 1, &map), 0);
	vmmem_region_unref(region);
	return map;
}

static struct vmmem_space *space;
static struct vmmem_reader *readers[READERS];

/* One by the inline functions, the others by those of the library. */
static void *
device(void *opaque)
{
	const size_t number = (size_t)(uintptr_t)opaque;
	struct vmmem_reader *reader = readers[number];
	struct vmmem_collection *map;
	uint64_t value;
	uintptr_t bad = 0;

	while (atomic_load_explicit(&stop, memory_order_relaxed) == 0) {
		if (number == 0) {
			map = vmmem_reader_enter(reader);
			if (vmmem_collection_read_u64(map, 0, &value) != 0 ||
			    value != SEEN)
				bad = 1;
			vmmem_reader_leave(reader);
		} else if (vmmem_reader_read_u64(reader, 0, &value) != 0 ||
			   value != SEEN) {
			bad = 1;
		}
		if (number != 0)
			atomic_fetch_add_explicit(&lookers, 1,
						  memory_order_relaxed);
	}
	return (void *)bad;
}

START_TEST(while_devices_run)
{
	struct vmmem_collection *map = map_of(0);
	pthread_t threads[READERS];
	size_t i, slot;
	void *bad;

	ck_assert_int_eq(vmmem_space_new(map, NULL, &space), 0);
	vmmem_collection_unref(map);
	for (i = 0; i < READERS; i++) {
		ck_assert_int_eq(vmmem_reader_new(space, NULL, &readers[i]), 0);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, device,
						(void *)(uintptr_t)i),
				 0);
	}
	for (i = 0; i < ROUNDS; i++) {
		if (i == ALLOWED)
			atomic_store(&forbidden, true);
		while ((slot = free_slot()) == SLOTS) {
			/* As soon as all have been in a section, some go. */
			sched_yield();
			(void)!vmmem_space_synchronize(space, 0);
		}
		map = map_of(slot);
		if (vmmem_space_replace(space, map) != 0)
			ck_abort();
		vmmem_collection_unref(map);
	}
	ck_assert_int_eq(vmmem_space_synchronize(space, VMMEM_FOREVER), 0);
	ck_assert_uint_eq(vmmem_space_retired(space), 0);
	atomic_store(&stop, 1);
	for (i = 0; i < READERS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &bad), 0);
		ck_assert_ptr_null(bad);
		vmmem_reader_free(readers[i]);
	}
	ck_assert_uint_gt(atomic_load(&lookers), 0);
	vmmem_space_unref(space);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("space_forbidden");
	TCase *tcase = tcase_create("forbidden");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, while_devices_run);
	suite_add_tcase(suite, tcase);
	return suite;
}
