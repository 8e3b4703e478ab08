/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The regions that are plugged in and out, with a pattern in each that says
 * which one it is; and the stamp, a region that says of each map what is in
 * it.  So whoever sees a map can tell whether it is whole, and whoever sees
 * memory, whether it is the right one.
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "hotplug_layout.h"
#include "suite.h"
#include "vcpu.h"

#define PATTERN_LEN 0x1000

/* What memory is full of that nobody may use. */
#define POISON 0xdb

/*
 * Blocks of memory for windows.  What is not plugged in is full of POISON, and
 * must be so still when it is used again: nobody wrote to it.
 */
#define BLOCKS 64

struct pool {
	pthread_mutex_t lock;
	uint8_t *memory;
	size_t free[BLOCKS], count;
};

static struct pool pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* On other threads this stays 0: they only read maps, and never release. */
static _Thread_local int is_writer;

static inline void
pool_open(void)
{
	pool.memory = mmap(NULL, BLOCKS * WINDOW_LEN, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(pool.memory, MAP_FAILED);
	memset(pool.memory, POISON, BLOCKS * WINDOW_LEN);
	for (pool.count = 0; pool.count < BLOCKS; pool.count++)
		pool.free[pool.count] = pool.count;
	is_writer = 1;
}

static inline void
pool_close(void)
{
	ck_assert_uint_eq(pool.count, BLOCKS);
	ck_assert(all_are(pool.memory, POISON, BLOCKS * WINDOW_LEN));
	munmap(pool.memory, BLOCKS * WINDOW_LEN);
}

static inline size_t
pool_count(void)
{
	size_t count;

	pthread_mutex_lock(&pool.lock);
	count = pool.count;
	pthread_mutex_unlock(&pool.lock);
	return count;
}

static inline void
pool_release(void *block)
{
	ck_assert_msg(is_writer, "a reader's thread releases memory");
	memset(block, POISON, WINDOW_LEN);
	pthread_mutex_lock(&pool.lock);
	ck_assert_uint_lt(pool.count, BLOCKS);
	pool.free[pool.count++] =
		(size_t)((uint8_t *)block - pool.memory) / WINDOW_LEN;
	pthread_mutex_unlock(&pool.lock);
}

static inline uint8_t *
pool_take(void)
{
	uint8_t *block;
	size_t i;

	pthread_mutex_lock(&pool.lock);
	ck_assert_msg(pool.count > 0, "blocks were not given back");
	/* The one that waited longest, so that who is late is found out. */
	block = pool.memory + pool.free[0] * WINDOW_LEN;
	pool.count--;
	for (i = 0; i < pool.count; i++)
		pool.free[i] = pool.free[i + 1];
	pthread_mutex_unlock(&pool.lock);
	ck_assert_msg(all_are(block, POISON, WINDOW_LEN),
		      "memory was written after it was released");
	return block;
}

/* The word at 'index' of the pattern of a window's region. */
static inline uint64_t
pattern_word(uint32_t serial, unsigned int window, size_t index)
{
	return ((uint64_t)serial << 32 | window << 16 | index) *
	       UINT64_C(0x9e3779b97f4a7c15);
}

/*
 * A region for a window, with its pattern.  Odd ones are of memory of the
 * library's own, which is unmapped when they go.
 */
static inline struct vmmem_region *
window_region(unsigned int window, uint32_t serial)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;
	uint8_t *block = NULL;
	uint64_t *words;
	size_t i;

	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, WINDOW_GPA(window),
				       WINDOW_LEN);
	if (serial % 2 == 0) {
		block = pool_take();
		memset(block, 0, WINDOW_LEN);
		vmmem_region_builder_set_external(builder, block, pool_release,
						  block);
	}
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	words = (uint64_t *)(void *)expect_host(region);
	for (i = 0; i < PATTERN_LEN / sizeof(*words); i++)
		words[i] = pattern_word(serial, window, i);
	return region;
}

/*
 * What a region holds that was taken out, after all readers have let go.
 * 'first' and 'last' are laps of the guest, before it was plugged in and after
 * it was taken out.
 */
static inline void
expect_window(const struct vmmem_region *region, unsigned int window,
	      uint32_t serial, uint32_t first, uint32_t last)
{
	const uint8_t *bytes = expect_host(region);
	const uint64_t *words = (const uint64_t *)(const void *)bytes;
	uint32_t lap;
	size_t i;

	for (i = 0; i < PATTERN_LEN / sizeof(*words); i++)
		NEED(words[i] == pattern_word(serial, window, i),
		     "word %zu of the pattern is broken", i);
	memcpy(&lap, bytes + WINDOW_LAP, sizeof(lap));
	ck_assert_msg(lap == 0 || (lap >= first && lap <= last),
		      "lap %u is not from %u to %u", lap, first, last);
	ck_assert(all_are(bytes + WINDOW_LAP + 4, 0, 12));
	ck_assert(all_are(bytes + WINDOW_COUNT + 4, 0, 12));
	ck_assert(all_are(bytes + WINDOW_HOST + 0x40, 0,
			  WINDOW_LEN - WINDOW_HOST - 0x40));
}

/* The stamp: a region without a host address, which KVM has no slot for. */
#define STAMP_GPA 0x20000
#define STAMP_LEN 0x1000

struct stamp {
	uint32_t map;		  /* its number */
	uint32_t serial[WINDOWS]; /* what is plugged in, 0 for nothing */
};

static inline int
stamp_read(void *opaque, uint64_t offset, void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	const struct stamp *stamp = opaque;

	(void)info;
	if (len > sizeof(*stamp) || offset > sizeof(*stamp) - len)
		return -EIO;
	memcpy(buf, (const uint8_t *)stamp + offset, len);
	return 0;
}

static inline void
stamp_destroy(void *opaque)
{
	ck_assert_msg(is_writer, "a reader's thread destroys a region");
	memset(opaque, POISON, sizeof(struct stamp));
	free(opaque);
}

static inline struct vmmem_region *
stamp_region(const struct stamp *stamp)
{
	static const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.read = stamp_read,
		.destroy = stamp_destroy,
	};
	struct stamp *copy = malloc(sizeof(*copy));
	struct vmmem_region *region;

	ck_assert_ptr_nonnull(copy);
	*copy = *stamp;
	assert_ok(vmmem_region_new_custom(STAMP_GPA, STAMP_LEN, &ops, copy,
					  &region));
	return region;
}

/*
 * Whether 'map' is whole: has what its stamp says, and the patterns of just
 * that.  'chance' says where to look.  Returns the stamp's number.
 */
static inline uint32_t
expect_whole(const struct vmmem_collection *map, uint64_t chance)
{
	struct stamp stamp;
	unsigned int i;

	NEED_OK(vmmem_collection_read(map, STAMP_GPA, &stamp, sizeof(stamp),
				      NULL));
	for (i = 0; i < WINDOWS; i++) {
		size_t index = (chance >> (8 * i)) & 0xff;
		uint64_t gpa = WINDOW_GPA(i) + index * sizeof(uint64_t);
		uint64_t word = 0;
		int rc = vmmem_collection_read_u64(map, gpa, &word);

		if (stamp.serial[i] == 0) {
			NEED(rc == VMMEM_EBADADDR,
			     "map %u has a window %u that it should not",
			     stamp.map, i);
			continue;
		}
		NEED(rc == 0, "map %u lacks window %u: %s", stamp.map, i,
		     vmmem_strerror(rc));
		NEED(word == pattern_word(stamp.serial[i], i, index),
		     "window %u does not hold what map %u says", i,
		     stamp.map);
	}
	return stamp.map;
}

#endif
