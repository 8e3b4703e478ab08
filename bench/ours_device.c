/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Exported functions, in the company in which devices call them. */
#include <vmmem/vmmem.h>

#include <sys/uio.h>

#include "device.h"
#include "ours.h"

uint64_t
ours_enter(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct vmmem_reader *reader = (void *)(uintptr_t)work.map;
	size_t i;

	for (i = 0; i < count; i++) {
		bench_must(vmmem_reader_enter(reader) == NULL, "take");
		vmmem_reader_leave(reader);
	}
	return 0;
}

uint64_t
ours_get(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct vmmem_space *space = (void *)(uintptr_t)work.map;
	size_t i;

	for (i = 0; i < count; i++)
		vmmem_collection_unref(vmmem_space_get(space));
	return 0;
}

uint64_t
ours_enter_read(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct vmmem_reader *reader = (void *)(uintptr_t)work.map;
	uint64_t value, sum = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		bench_must(vmmem_reader_read_u64(reader,
						 work.gpas[i & work.mask],
						 &value),
			   "reader_read_u64");
		sum += value;
	}
	return sum;
}

uint64_t
ours_chain(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct device_descriptor one;
	struct vmmem_slice slice;
	uint64_t gpa, sum = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		gpa = work.gpas[i & work.mask];
		do {
			bench_must(vmmem_collection_read(work.map, gpa, &one,
							 sizeof(one), NULL),
				   "descriptor");
			bench_must(vmmem_collection_slice(work.map, one.addr,
							  one.len,
							  VMMEM_PROT_READ,
							  &slice),
				   "buffer");
			bench_keep();
			sum += slice.len;
			gpa = work.others[0] + one.next * sizeof(one);
		} while ((one.flags & DEVICE_NEXT) != 0);
	}
	return sum;
}

uint64_t
ours_ring(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct device_descriptor one;
	uint64_t sum = 0;
	size_t i, j;

	for (i = 0; i < count; i++)
		for (j = 0; j < DEVICE_RING; j++) {
			bench_must(vmmem_slice_read(work.map, j * sizeof(one),
						    &one, sizeof(one)),
				   "descriptor");
			sum += one.addr + one.len;
		}
	return sum;
}

uint64_t
ours_iovec(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	struct iovec iov[8];
	struct vmmem_slice slice;
	uint64_t gpa, len, sum = 0;
	size_t i, used;

	for (i = 0; i < count; i++) {
		gpa = work.gpas[i & work.mask];
		used = 0;
		for (len = work.len; len != 0; len -= slice.len) {
			bench_must(vmmem_collection_next_slice(
					   work.map, gpa, len,
					   VMMEM_PROT_READ, &slice),
				   "next slice");
			iov[used++] = (struct iovec){ slice.host, slice.len };
			gpa += slice.len;
		}
		bench_keep();
		sum += used + iov[used - 1].iov_len;
	}
	return sum;
}

uint64_t
ours_read_file(const struct bench_work *given, size_t count)
{
	const struct bench_work work = *given;
	const int fd = (int)(intptr_t)work.items;
	size_t i;

	for (i = 0; i < count; i++) {
		device_rewind(fd, i);
		bench_must(vmmem_collection_from_fd(work.map,
						    work.gpas[i & work.mask],
						    work.len, fd,
						    VMMEM_IO_POSITION, 0,
						    NULL),
			   "read from a file");
	}
	return 0;
}
