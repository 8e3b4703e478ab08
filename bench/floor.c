/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What the operations would cost if nothing were checked: the addresses are
 * those of the host, and may be trusted.
 */
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "fixture.h"

/* The number of the region, by start addresses that stand in one array. */
static inline size_t
search(const struct flat *flat, uint64_t gpa)
{
	const uint64_t *base = flat->starts;
	size_t count = flat->count, half;

	while (count > 1) {
		half = count / 2;
		base = base[half] <= gpa ? base + half : base;
		count -= half;
	}
	return (size_t)(base - flat->starts);
}

static uint64_t
find(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < count; i++)
		sum += search(work.map, work.gpas[i & work.mask]);
	return sum >> 63;
}

static uint64_t
find_chain(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t found = 0;
	size_t i;

	for (i = 0; i < count; i++)
		found = search(work.map,
			       work.gpas[i & work.mask] ^ (found >> 63));
	return found >> 63;
}

static void *
pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

static uint64_t
load_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < count; i++)
		sum += __atomic_load_n(
			(uint64_t *)pointer(work.gpas[i & work.mask]),
			__ATOMIC_RELAXED);
	return sum;
}

static uint64_t
store_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++)
		__atomic_store_n(
			(uint64_t *)pointer(work.gpas[i & work.mask]), i,
			__ATOMIC_RELAXED);
	return 0;
}

static uint64_t
load_u32(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < count; i++)
		sum += __atomic_load_n(
			(uint32_t *)pointer(work.gpas[i & work.mask]),
			__ATOMIC_ACQUIRE);
	return sum;
}

static uint64_t
store_u32(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++)
		__atomic_store_n(
			(uint32_t *)pointer(work.gpas[i & work.mask]),
			(uint32_t)i, __ATOMIC_RELEASE);
	return 0;
}

/* Across two regions there is a second piece; 'others' tells where it is. */
static uint64_t
read_bytes(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	unsigned char *buf = work.buf;
	size_t i, first;

	for (i = 0; i < count; i++) {
		if (work.others == NULL) {
			memcpy(buf, pointer(work.gpas[i & work.mask]),
			       work.len);
		} else {
			first = work.len / 2;
			memcpy(buf, pointer(work.gpas[i & work.mask]),
			       first);
			memcpy(buf + first,
			       pointer(work.others[i & work.mask]),
			       work.len - first);
		}
		bench_keep();
	}
	return 0;
}

static uint64_t
write_bytes(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++) {
		memcpy(pointer(work.gpas[i & work.mask]), work.buf,
		       work.len);
		bench_keep();
	}
	return 0;
}

static uint64_t
copy(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++) {
		memmove(pointer(work.gpas[i & work.mask]),
			pointer(work.others[i & work.mask]), work.len);
		bench_keep();
	}
	return 0;
}

static uint64_t
fill(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	size_t i;

	for (i = 0; i < count; i++) {
		memset(pointer(work.gpas[i & work.mask]), 0, work.len);
		bench_keep();
	}
	return 0;
}

static uint64_t
slice_load_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	const unsigned char *host = work.map;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < count; i++)
		sum += __atomic_load_n(
			(const uint64_t *)(const void *)(
				host + work.gpas[i & work.mask]),
			__ATOMIC_RELAXED);
	return sum;
}

static uint64_t
slice_write_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	unsigned char *host = pointer((uintptr_t)work.map);
	size_t i;

	for (i = 0; i < count; i++)
		__atomic_store_n((uint64_t *)(void *)(
					 host + work.gpas[i & work.mask]),
				 i, __ATOMIC_RELAXED);
	return 0;
}

/* Words that are all set, with nobody else about; 'map' has them. */
static uint64_t
mark(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t *words = pointer((uintptr_t)work.map);
	size_t i;

	for (i = 0; i < count; i++) {
		memset(words, 0xff, work.len);
		bench_keep();
	}
	return 0;
}

/* 'len' bytes of a summary that says that there is nothing. */
static uint64_t
harvest(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	const uint64_t *words = work.map;
	uint64_t any = 0;
	size_t i, j;

	for (i = 0; i < count; i++)
		for (j = 0; j < work.len / sizeof(*words); j++)
			any |= __atomic_load_n(&words[j], __ATOMIC_RELAXED);
	return any;
}

/* A mark of one's own that others may look at, and the pointer. */
static uint64_t
enter(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	uint64_t *slot = pointer((uintptr_t)work.map);
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		__atomic_store_n(slot, i + 1, __ATOMIC_RELAXED);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		sum |= __atomic_load_n((const uintptr_t *)&work.gpas,
				       __ATOMIC_RELAXED);
		__atomic_store_n(slot, 0, __ATOMIC_RELEASE);
	}
	return sum >> 63;
}

static uint64_t
ring(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	const volatile struct device_descriptor *table = work.map;
	uint64_t sum = 0;
	size_t i, j;

	for (i = 0; i < count; i++)
		for (j = 0; j < DEVICE_RING; j++)
			sum += table[j].addr + table[j].len;
	return sum;
}

/* The system call alone, into the host's memory. */
static uint64_t
read_file(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	const int fd = (int)(intptr_t)work.items;
	size_t i;

	for (i = 0; i < count; i++) {
		device_rewind(fd, i);
		if (read(fd, (void *)(uintptr_t)work.gpas[i & work.mask],
			 work.len) != (ssize_t)work.len)
			bench_fail(0, "read(2)");
	}
	return 0;
}

bench_run *const bench_floor[OP_COUNT] = {
	[OP_FIND] = find,
	[OP_FIND_CHAIN] = find_chain,
	[OP_READ_U64] = load_u64,
	[OP_WRITE_U64] = store_u64,
	[OP_WRITE_U64_LOGGED] = store_u64,
	[OP_LOAD_U32] = load_u32,
	[OP_STORE_U32] = store_u32,
	[OP_READ] = read_bytes,
	[OP_WRITE] = write_bytes,
	[OP_COPY] = copy,
	[OP_FILL] = fill,
	[OP_SLICE_LOAD_U64] = slice_load_u64,
	[OP_SLICE_READ_U64] = slice_load_u64,
	[OP_SLICE_WRITE_U64] = slice_write_u64,
	[OP_MARK] = mark,
	[OP_HARVEST] = harvest,
	[OP_ENTER] = enter,
	[OP_RING] = ring,
	[OP_READ_FILE] = read_file,
};
