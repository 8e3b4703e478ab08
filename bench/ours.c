/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * libvmmem's exported functions: vmmem/inline.h is not included, so each call
 * goes through the procedure linkage table.
 */
#include <vmmem/vmmem.h>

#include "ours.h"

/*
 * Both sides touch what they found, or the chain would not wait for it; no
 * user address has the topmost bit.
 */
static uint64_t
find(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < count; i++)
		sum += (uintptr_t)vmmem_collection_find(
			work.map, work.gpas[i & work.mask]);
	return sum >> 63;
}

static uint64_t
find_chain(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t found = 0;
	size_t i;

	for (i = 0; i < count; i++)
		found = (uintptr_t)vmmem_collection_find(
			work.map, work.gpas[i & work.mask] ^ (found >> 63));
	return found >> 63;
}

static uint64_t
read_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t value, sum = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		bench_must(vmmem_collection_read_u64(
				   work.map, work.gpas[i & work.mask],
				   &value),
			   "read_u64");
		sum += value;
	}
	return sum;
}

static uint64_t
write_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++)
		bench_must(vmmem_collection_write_u64(
				   work.map, work.gpas[i & work.mask], i),
			   "write_u64");
	return 0;
}

static uint64_t
load_u32(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t sum = 0;
	uint32_t value;
	size_t i;

	for (i = 0; i < count; i++) {
		bench_must(vmmem_collection_load_u32(
				   work.map, work.gpas[i & work.mask],
				   VMMEM_ORDER_ACQUIRE, &value),
			   "load_u32");
		sum += value;
	}
	return sum;
}

static uint64_t
store_u32(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++)
		bench_must(vmmem_collection_store_u32(
				   work.map, work.gpas[i & work.mask],
				   (uint32_t)i, VMMEM_ORDER_RELEASE),
			   "store_u32");
	return 0;
}

static uint64_t
read_bytes(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++)
		bench_must(vmmem_collection_read(work.map,
						 work.gpas[i & work.mask],
						 work.buf, work.len, NULL),
			   "read");
	return 0;
}

static uint64_t
write_bytes(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++)
		bench_must(vmmem_collection_write(work.map,
						  work.gpas[i & work.mask],
						  work.buf, work.len, NULL),
			   "write");
	return 0;
}

static uint64_t
copy(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++)
		bench_must(vmmem_collection_copy(
				   work.map, work.gpas[i & work.mask],
				   work.others[i & work.mask], work.len,
				   NULL),
			   "copy");
	return 0;
}

static uint64_t
fill(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++)
		bench_must(vmmem_collection_fill(work.map,
						 work.gpas[i & work.mask],
						 work.len, 0, NULL),
			   "fill");
	return 0;
}

static uint64_t
slice_load_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t value, sum = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		bench_must(vmmem_slice_load_u64(
				   work.map, work.gpas[i & work.mask],
				   VMMEM_ORDER_RELAXED, &value),
			   "slice load");
		sum += value;
	}
	return sum;
}

static uint64_t
slice_read_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t value, sum = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		bench_must(vmmem_slice_read_u64(work.map,
						work.gpas[i & work.mask],
						&value),
			   "slice read");
		sum += value;
	}
	return sum;
}

static uint64_t
slice_write_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++)
		bench_must(vmmem_slice_write_u64(work.map,
						 work.gpas[i & work.mask],
						 i),
			   "slice write");
	return 0;
}

/* The bitmap of a mark, and the harvester of a harvest, are ours to change. */
static void *
changing(const void *map)
{
	return (void *)(uintptr_t)map;
}

static uint64_t
mark(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct vmmem_bitmap *bitmap = changing(work.map);
	size_t i;

	for (i = 0; i < count; i++)
		bench_must(vmmem_bitmap_mark(bitmap,
					     work.gpas[i & work.mask],
					     work.len),
			   "mark");
	return 0;
}

static uint64_t
harvest(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct vmmem_harvester *harvester = changing(work.map);
	uint64_t pages;
	size_t i;

	for (i = 0; i < count; i++)
		bench_must(vmmem_harvester_take(harvester, &pages), "take");
	return 0;
}

static uint64_t
mark_harvest(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct vmmem_bitmap *bitmap = work.items[0];
	uint64_t pages = 0;
	size_t i, j;

	for (i = 0; i < count; i++) {
		for (j = 0; j < work.len; j++)
			bench_must(vmmem_bitmap_mark(bitmap, work.gpas[j], 1),
				   "mark");
		bench_must(vmmem_harvester_take(changing(work.map), &pages),
			   "take");
		bench_must(vmmem_harvester_confirm(changing(work.map), 0,
						   UINT64_MAX),
			   "confirm");
	}
	return pages;
}

static uint64_t
insert(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct vmmem_collection *larger;
	size_t i;

	for (i = 0; i < count; i++) {
		bench_must(vmmem_collection_insert(
				   work.map, work.items[i & work.mask],
				   &larger),
			   "insert");
		vmmem_collection_unref(larger);
	}
	return 0;
}

static uint64_t
remove_region(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct vmmem_collection *smaller;
	struct vmmem_region *region;
	size_t i;

	for (i = 0; i < count; i++) {
		bench_must(vmmem_collection_remove(
				   work.map, work.gpas[i & work.mask],
				   work.others[i & work.mask], &smaller,
				   &region),
			   "remove");
		vmmem_region_unref(region);
		vmmem_collection_unref(smaller);
	}
	return 0;
}

bench_run *const bench_ours[OP_COUNT] = {
	[OP_FIND] = find,
	[OP_FIND_CHAIN] = find_chain,
	[OP_READ_U64] = read_u64,
	[OP_WRITE_U64] = write_u64,
	[OP_WRITE_U64_LOGGED] = write_u64,
	[OP_LOAD_U32] = load_u32,
	[OP_STORE_U32] = store_u32,
	[OP_READ] = read_bytes,
	[OP_WRITE] = write_bytes,
	[OP_COPY] = copy,
	[OP_FILL] = fill,
	[OP_SLICE_LOAD_U64] = slice_load_u64,
	[OP_SLICE_READ_U64] = slice_read_u64,
	[OP_SLICE_WRITE_U64] = slice_write_u64,
	[OP_MARK] = mark,
	[OP_HARVEST] = harvest,
	[OP_MARK_HARVEST] = mark_harvest,
	[OP_INSERT] = insert,
	[OP_REMOVE] = remove_region,
	[OP_ENTER] = ours_enter,
	[OP_ENTER_READ] = ours_enter_read,
	[OP_GET] = ours_get,
	[OP_CHAIN] = ours_chain,
	[OP_RING] = ours_ring,
	[OP_IOVEC] = ours_iovec,
	[OP_READ_FILE] = ours_read_file,
};
