/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The same operations with vmmem/inline.h, for those that it has.  The slice
 * is a variable of the function, as the crate's is after its compiler is done.
 */
#include <vmmem/inline.h>
#include <vmmem/vmmem.h>

#include "bench.h"
#include "device.h"

static uint64_t
slice_load_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	const struct vmmem_slice slice =
		*(const struct vmmem_slice *)work.map;
	uint64_t value, sum = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		if (vmmem_slice_load_u64(&slice,
					 work.gpas[i & work.mask],
					 VMMEM_ORDER_RELAXED, &value) != 0)
			bench_must(-1, "slice load");
		sum += value;
	}
	return sum;
}

static uint64_t
slice_read_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	const struct vmmem_slice slice =
		*(const struct vmmem_slice *)work.map;
	uint64_t value, sum = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		if (vmmem_slice_read_u64(&slice,
					 work.gpas[i & work.mask],
					 &value) != 0)
			bench_must(-1, "slice read");
		sum += value;
	}
	return sum;
}

static uint64_t
slice_write_u64(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	const struct vmmem_slice slice =
		*(const struct vmmem_slice *)work.map;
	size_t i;

	for (i = 0; i < count; i++)
		if (vmmem_slice_write_u64(&slice,
					  work.gpas[i & work.mask], i) != 0)
			bench_must(-1, "slice write");
	return 0;
}

static uint64_t
enter(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct vmmem_reader *reader = (void *)(uintptr_t)work.map;
	size_t i;

	for (i = 0; i < count; i++) {
		if (vmmem_reader_enter(reader) == NULL)
			bench_must(-1, "take");
		vmmem_reader_leave(reader);
	}
	return 0;
}

static uint64_t
enter_read(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct vmmem_reader *reader = (void *)(uintptr_t)work.map;
	uint64_t value, sum = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		bench_must(vmmem_collection_read_u64(vmmem_reader_enter(reader),
						     work.gpas[i & work.mask],
						     &value),
			   "read_u64");
		vmmem_reader_leave(reader);
		sum += value;
	}
	return sum;
}

static uint64_t
ring(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	const struct vmmem_slice slice =
		*(const struct vmmem_slice *)work.map;
	uint64_t addr, sum = 0;
	uint32_t len;
	size_t i, j;

	for (i = 0; i < count; i++)
		for (j = 0; j < DEVICE_RING; j++) {
			if (vmmem_slice_read_u64(&slice, j * 16, &addr) != 0 ||
			    vmmem_slice_read_u32(&slice, j * 16 + 8, &len) !=
				    0)
				bench_must(-1, "descriptor");
			sum += addr + len;
		}
	return sum;
}

bench_run *const bench_inline[OP_COUNT] = {
	[OP_SLICE_LOAD_U64] = slice_load_u64,
	[OP_SLICE_READ_U64] = slice_read_u64,
	[OP_SLICE_WRITE_U64] = slice_write_u64,
	[OP_ENTER] = enter,
	[OP_ENTER_READ] = enter_read,
	[OP_RING] = ring,
};
