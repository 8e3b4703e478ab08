/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * How each function of writers.h and readers.h is called.  The memory holds
 * 0x11 everywhere; what is written has no such byte, and what is compared with
 * is what is there, or is not if 'miss' is set.
 */
#ifndef READERS_WRITERS_H
#define READERS_WRITERS_H

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

/*
 * What to write, and where: by guest address, of a map or through a reader, or
 * in a slice.
 */
struct place {
	const struct vmmem_collection *map;
	struct vmmem_reader *reader; /* of a space that has the map */
	uint64_t gpa;
	const struct vmmem_slice *slice, *source;
	uint64_t offset;
	uint64_t len;
	int order;
	int miss;
	int code; /* what came of it */
};

struct path {
	const char *name;
	int (*call)(struct place *place);
	uint64_t size; /* 0: any */
	unsigned int traits;
};

/* The traits of a way to call. */
#define BY_SLICE 1U
#define ALIGNED 2U  /* goes to multiples of its size only */
#define ATOMIC 4U   /* has an order, needs an address, and says so if not */
#define COMPARES 8U /* writes if it finds what it expects */
#define SOME 16U    /* writes what there is */
#define BY_HAND 32U /* marks what its caller has written */

static _Alignas(8) uint8_t local[0x4000];
#define LOCAL ((void *)local)

#define NEW_1 0xee
#define NEW_2 0xeeee
#define NEW_4 0xeeeeeeee
#define NEW_8 0xeeeeeeeeeeeeeeee
#define OLD_1(place) (uint8_t)(0x11 + (place)->miss)
#define OLD_2(place) (uint16_t)(0x1111 + (place)->miss)
#define OLD_4(place) (0x11111111U + (uint32_t)(place)->miss)
#define OLD_8(place) (UINT64_C(0x1111111111111111) + (uint64_t)(place)->miss)
#define TYPE_1 uint8_t
#define TYPE_2 uint16_t
#define TYPE_4 uint32_t
#define TYPE_8 uint64_t

#define TRAITS_at_bytes 0
#define CALL_at_bytes(at, name, size)                                      \
	name(at, place->gpa, memset(local, 0xee, place->len),              \
	     place->len, NULL)
#define TRAITS_at_some SOME
#define CALL_at_some CALL_at_bytes
#define TRAITS_at_fill_some SOME
#define CALL_at_fill_some CALL_at_fill
#define TRAITS_at_fill 0
#define CALL_at_fill(at, name, size)                                       \
	name(at, place->gpa, place->len, 0xee, NULL)
#define TRAITS_at_copy 0
#define CALL_at_copy(at, name, size)                                       \
	name(at, place->gpa, UINT64_C(0x300000), place->len, NULL)
#define TRAITS_at_integer 0
#define CALL_at_integer(at, name, size)                                    \
	name(at, place->gpa, NEW_##size)
#define TRAITS_at_store (ATOMIC | ALIGNED)
#define CALL_at_store(at, name, size)                                      \
	name(at, place->gpa, NEW_##size, place->order)
#define TRAITS_at_modify (ATOMIC | ALIGNED)
#define CALL_at_modify(at, name, size)                                     \
	name(at, place->gpa, NEW_##size, place->order, NULL)
#define TRAITS_at_compare (ATOMIC | ALIGNED | COMPARES)
#define CALL_at_compare(at, name, size)                                    \
	name(at, place->gpa, OLD_##size(place), NEW_##size,                \
	     place->order, VMMEM_ORDER_RELAXED, (TYPE_##size *)LOCAL)

/* By the place in each region, where a range is mapped and permitted. */
#define TRAITS_region_bytes 0
#define CALL_region_bytes(name, size)                                      \
	write_by_region(name, place, memset(local, 0xee, place->len))
#define TRAITS_region_bytes_out 0
#define CALL_region_bytes_out(name, size) read_by_region(name, place, local)

/* by_region() finds the first piece of what is left. */
static inline int
by_region(const struct place *place, uint32_t access, uint64_t done,
	  struct vmmem_region **ret_region, uint64_t *ret_offset,
	  size_t *ret_len)
{
	const uint64_t gpa = place->gpa + done;
	uint64_t left = place->len - done, there;
	int rc;

	rc = vmmem_collection_check(place->map, gpa, left, access, NULL);
	if (rc == 0 && left != 0)
		rc = vmmem_collection_locate(place->map, gpa, ret_region,
					     ret_offset);
	if (rc != 0 || left == 0)
		return rc;
	there = vmmem_region_len(*ret_region) - *ret_offset;
	*ret_len = (size_t)(left < there ? left : there);
	return 0;
}

static inline int
write_by_region(int (*call)(struct vmmem_region *region, uint64_t offset,
			    const void *buf, size_t len, size_t *ret_done),
		const struct place *place, const uint8_t *buf)
{
	struct vmmem_region *region = NULL;
	uint64_t done = 0, offset = 0;
	size_t len = 0;
	int rc = 0;

	do {
		rc = by_region(place, VMMEM_PROT_WRITE, done, &region, &offset,
			       &len);
		if (rc != 0 || done == place->len)
			return rc;
		rc = call(region, offset, buf + done, len, NULL);
		done += len;
	} while (rc == 0);
	return rc;
}

static inline int
read_by_region(int (*call)(const struct vmmem_region *region, uint64_t offset,
			   void *buf, size_t len, size_t *ret_done),
	       const struct place *place, uint8_t *buf)
{
	struct vmmem_region *region = NULL;
	uint64_t done = 0, offset = 0;
	size_t len = 0;
	int rc = 0;

	do {
		rc = by_region(place, VMMEM_PROT_READ, done, &region, &offset,
			       &len);
		if (rc != 0 || done == place->len)
			return rc;
		rc = call(region, offset, buf + done, len, NULL);
		done += len;
	} while (rc == 0);
	return rc;
}

#define TRAITS_region_fill 0
#define CALL_region_fill(name, size) fill_by_region(name, place)
/* A way to call for each size. */
#define TRAITS_region_store_1 ALIGNED
#define CALL_region_store_1 CALL_region_store
#define TRAITS_region_store_2 ALIGNED
#define CALL_region_store_2 CALL_region_store
#define TRAITS_region_store_4 ALIGNED
#define CALL_region_store_4 CALL_region_store
#define TRAITS_region_store_8 ALIGNED
#define CALL_region_store_8 CALL_region_store
#define TRAITS_region_load_1 ALIGNED
#define CALL_region_load_1 CALL_region_load
#define TRAITS_region_load_2 ALIGNED
#define CALL_region_load_2 CALL_region_load
#define TRAITS_region_load_4 ALIGNED
#define CALL_region_load_4 CALL_region_load
#define TRAITS_region_load_8 ALIGNED
#define CALL_region_load_8 CALL_region_load
#define CALL_region_store(name, size)                                      \
	store_by_region(name, place, size, NEW_##size)
#define CALL_region_load(name, size) load_by_region(name, place, size)

static inline int
fill_by_region(int (*call)(struct vmmem_region *region, uint64_t offset,
			   uint64_t len, uint8_t value, uint64_t *ret_done),
	       const struct place *place)
{
	struct vmmem_region *region = NULL;
	uint64_t done = 0, offset = 0;
	size_t len = 0;
	int rc = 0;

	do {
		rc = by_region(place, VMMEM_PROT_WRITE, done, &region, &offset,
			       &len);
		if (rc != 0 || done == place->len)
			return rc;
		rc = call(region, offset, len, 0xee, NULL);
		done += len;
	} while (rc == 0);
	return rc;
}

static inline int
store_by_region(int (*call)(struct vmmem_region *region, uint64_t offset,
			    uint32_t size, int order, uint64_t value),
		const struct place *place, uint32_t size, uint64_t value)
{
	struct vmmem_region *region = NULL;
	uint64_t offset = 0;
	size_t len = 0;
	int rc;

	rc = by_region(place, VMMEM_PROT_WRITE, 0, &region, &offset, &len);
	return rc != 0 ? rc : call(region, offset, size, place->order, value);
}

static inline int
load_by_region(int (*call)(const struct vmmem_region *region, uint64_t offset,
			   uint32_t size, int order, uint64_t *ret_value),
	       const struct place *place, uint32_t size)
{
	struct vmmem_region *region = NULL;
	uint64_t offset = 0, value = 0;
	size_t len = 0;
	int rc;

	rc = by_region(place, VMMEM_PROT_READ, 0, &region, &offset, &len);
	if (rc == 0)
		rc = call(region, offset, size, place->order, &value);
	return rc;
}

#define TRAITS_slice_bytes BY_SLICE
#define CALL_slice_bytes(name, size)                                       \
	name(place->slice, place->offset, memset(local, 0xee, place->len), \
	     place->len)
#define TRAITS_slice_some (BY_SLICE | SOME)
#define CALL_slice_some(name, size)                                        \
	name(place->slice, place->offset, memset(local, 0xee, place->len), \
	     place->len, NULL)
#define TRAITS_slice_fill BY_SLICE
#define CALL_slice_fill(name, size)                                        \
	name(place->slice, place->offset, place->len, 0xee)
#define TRAITS_slice_copy BY_SLICE
#define CALL_slice_copy(name, size)                                        \
	name(place->slice, place->offset, place->source, 0, place->len)
#define TRAITS_slice_elements BY_SLICE
#define CALL_slice_elements(name, size)                                    \
	name(place->slice, place->offset, 1, place->len,                   \
	     memset(local, 0xee, place->len))
#define TRAITS_slice_copy_elements BY_SLICE
#define CALL_slice_copy_elements(name, size)                               \
	name(place->slice, place->offset, place->source, 0, 1, place->len)
#define TRAITS_slice_element (BY_SLICE | ALIGNED)
#define CALL_slice_element(name, size)                                     \
	name(place->slice, place->offset / 8, 8, memset(local, 0xee, 8))
#define TRAITS_slice_mark (BY_SLICE | BY_HAND)
#define CALL_slice_mark(name, size)                                        \
	write_and_mark(name, place->slice, place->offset, place->len)
#define TRAITS_slice_integer BY_SLICE
#define CALL_slice_integer(name, size)                                     \
	name(place->slice, place->offset, NEW_##size)
#define TRAITS_slice_store (BY_SLICE | ATOMIC | ALIGNED)
#define CALL_slice_store(name, size)                                       \
	name(place->slice, place->offset, NEW_##size, place->order)
#define TRAITS_slice_modify (BY_SLICE | ATOMIC | ALIGNED)
#define CALL_slice_modify(name, size)                                      \
	name(place->slice, place->offset, NEW_##size, place->order, NULL)
#define TRAITS_slice_compare (BY_SLICE | ATOMIC | ALIGNED | COMPARES)
#define CALL_slice_compare(name, size)                                     \
	name(place->slice, place->offset, OLD_##size(place), NEW_##size,   \
	     place->order, VMMEM_ORDER_RELAXED, (TYPE_##size *)LOCAL)

/* What inline bodies call; 'size' is the code of an integer without more. */
#define TRAITS_call_store (BY_SLICE | ATOMIC | ALIGNED)
#define CALL_call_store(name, size)                                        \
	name(place->slice, place->offset, size, place->order, NEW_##size)
#define TRAITS_call_exchange (BY_SLICE | ATOMIC | ALIGNED)
#define CALL_call_exchange(name, size)                                     \
	name(place->slice, place->offset, 0x100 | size, place->order,      \
	     NEW_##size, NULL)
#define TRAITS_call_compare (BY_SLICE | ATOMIC | ALIGNED | COMPARES)
#define CALL_call_compare(name, size)                                      \
	name(place->slice, place->offset, size, place->order,              \
	     VMMEM_ORDER_RELAXED, OLD_##size(place), NEW_##size, LOCAL)
#define TRAITS_call_load (BY_SLICE | ATOMIC | ALIGNED)
#define CALL_call_load(name, size)                                         \
	name(place->slice, place->offset, size, place->order, LOCAL)

#define TRAITS_at_bytes_out 0
#define CALL_at_bytes_out(at, name, size)                                  \
	name(at, place->gpa, local, place->len, NULL)
#define TRAITS_at_integer_out 0
#define CALL_at_integer_out(at, name, size)                                \
	name(at, place->gpa, (TYPE_##size *)LOCAL)
#define TRAITS_at_load (ATOMIC | ALIGNED)
#define CALL_at_load(at, name, size)                                       \
	name(at, place->gpa, place->order, (TYPE_##size *)LOCAL)
#define TRAITS_slice_bytes_out BY_SLICE
#define CALL_slice_bytes_out(name, size)                                   \
	name(place->slice, place->offset, local, place->len)
#define TRAITS_slice_some_out BY_SLICE
#define CALL_slice_some_out(name, size)                                    \
	name(place->slice, place->offset, local, place->len, NULL)
#define TRAITS_slice_integer_out BY_SLICE
#define CALL_slice_integer_out(name, size)                                 \
	name(place->slice, place->offset, (TYPE_##size *)LOCAL)
#define TRAITS_slice_load (BY_SLICE | ATOMIC | ALIGNED)
#define CALL_slice_load(name, size)                                        \
	name(place->slice, place->offset, place->order,                    \
	     (TYPE_##size *)LOCAL)
#define TRAITS_slice_elements_out BY_SLICE
#define CALL_slice_elements_out(name, size)                                \
	name(place->slice, place->offset, 1, place->len, local)
#define TRAITS_slice_element_out (BY_SLICE | ALIGNED)
#define CALL_slice_element_out(name, size)                                 \
	name(place->slice, place->offset / 8, 8, local)

/* The same by a map and by a reader. */
#define TRAITS_collection_bytes TRAITS_at_bytes
#define TRAITS_reader_bytes TRAITS_at_bytes
#define CALL_collection_bytes(name, size) CALL_at_bytes(place->map, name, size)
#define CALL_reader_bytes(name, size) CALL_at_bytes(place->reader, name, size)
#define TRAITS_collection_with 0
#define CALL_collection_with(name, size)                                   \
	name(place->map, place->gpa, memset(local, 0xee, place->len),      \
	     place->len, NULL, NULL)
#define TRAITS_collection_some TRAITS_at_some
#define TRAITS_reader_some TRAITS_at_some
#define CALL_collection_some(name, size) CALL_at_some(place->map, name, size)
#define CALL_reader_some(name, size) CALL_at_some(place->reader, name, size)
#define TRAITS_collection_fill_some TRAITS_at_fill_some
#define TRAITS_reader_fill_some TRAITS_at_fill_some
#define CALL_collection_fill_some(name, size) CALL_at_fill_some(place->map, name, size)
#define CALL_reader_fill_some(name, size) CALL_at_fill_some(place->reader, name, size)
#define TRAITS_collection_fill TRAITS_at_fill
#define TRAITS_reader_fill TRAITS_at_fill
#define CALL_collection_fill(name, size) CALL_at_fill(place->map, name, size)
#define CALL_reader_fill(name, size) CALL_at_fill(place->reader, name, size)
#define TRAITS_collection_copy TRAITS_at_copy
#define TRAITS_reader_copy TRAITS_at_copy
#define CALL_collection_copy(name, size) CALL_at_copy(place->map, name, size)
#define CALL_reader_copy(name, size) CALL_at_copy(place->reader, name, size)
#define TRAITS_collection_integer TRAITS_at_integer
#define TRAITS_reader_integer TRAITS_at_integer
#define CALL_collection_integer(name, size) CALL_at_integer(place->map, name, size)
#define CALL_reader_integer(name, size) CALL_at_integer(place->reader, name, size)
#define TRAITS_collection_store TRAITS_at_store
#define TRAITS_reader_store TRAITS_at_store
#define CALL_collection_store(name, size) CALL_at_store(place->map, name, size)
#define CALL_reader_store(name, size) CALL_at_store(place->reader, name, size)
#define TRAITS_collection_modify TRAITS_at_modify
#define CALL_collection_modify(name, size) CALL_at_modify(place->map, name, size)
#define TRAITS_collection_compare TRAITS_at_compare
#define CALL_collection_compare(name, size) CALL_at_compare(place->map, name, size)
#define TRAITS_collection_with_out 0
#define CALL_collection_with_out(name, size)                               \
	name(place->map, place->gpa, local, place->len, NULL, NULL)
#define TRAITS_collection_bytes_out TRAITS_at_bytes_out
#define TRAITS_reader_bytes_out TRAITS_at_bytes_out
#define CALL_collection_bytes_out(name, size) CALL_at_bytes_out(place->map, name, size)
#define CALL_reader_bytes_out(name, size) CALL_at_bytes_out(place->reader, name, size)
#define TRAITS_collection_integer_out TRAITS_at_integer_out
#define TRAITS_reader_integer_out TRAITS_at_integer_out
#define CALL_collection_integer_out(name, size) CALL_at_integer_out(place->map, name, size)
#define CALL_reader_integer_out(name, size) CALL_at_integer_out(place->reader, name, size)
#define TRAITS_collection_load TRAITS_at_load
#define TRAITS_reader_load TRAITS_at_load
#define CALL_collection_load(name, size) CALL_at_load(place->map, name, size)
#define CALL_reader_load(name, size) CALL_at_load(place->reader, name, size)

#define TRAITS_chain_bytes 0
#define CALL_chain_bytes(name, size)                                       \
	name(place->map, chain_of(place), 2, 0,                            \
	     memset(local, 0xee, place->len), place->len, 0, NULL, NULL)
#define TRAITS_chain_some SOME
#define CALL_chain_some(name, size)                                        \
	name(place->map, chain_of(place), 2, 0,                            \
	     memset(local, 0xee, place->len), place->len,                  \
	     VMMEM_CHAIN_SOME, NULL, NULL)
#define TRAITS_chain_fill 0
#define CALL_chain_fill(name, size)                                        \
	name(place->map, chain_of(place), 2, 0, place->len, 0xee, 0,       \
	     NULL, NULL)
#define TRAITS_chain_fill_some SOME
#define CALL_chain_fill_some(name, size)                                   \
	name(place->map, chain_of(place), 2, 0, place->len, 0xee,          \
	     VMMEM_CHAIN_SOME, NULL, NULL)
#define TRAITS_chain_bytes_out 0
#define CALL_chain_bytes_out(name, size)                                   \
	name(place->map, chain_of(place), 2, 0, local, place->len, 0,      \
	     NULL, NULL)

#define TRAITS_collection_fd 0
#define CALL_collection_fd(name, size)                                     \
	name(place->map, place->gpa, place->len, source_fd(),              \
	     VMMEM_IO_POSITION, 0, NULL)
#define TRAITS_collection_fd_out 0
#define CALL_collection_fd_out(name, size)                                 \
	name(place->map, place->gpa, place->len, sink_fd(),                \
	     VMMEM_IO_POSITION, 0, NULL)
#define TRAITS_collection_fd_at 0
#define CALL_collection_fd_at(name, size)                                  \
	name(place->map, place->gpa, place->len, source_fd(), 0, 0, NULL)
#define TRAITS_collection_fd_at_out 0
#define CALL_collection_fd_at_out(name, size)                              \
	name(place->map, place->gpa, place->len, sink_fd(), 0, 0, NULL)
#define TRAITS_collection_fd_some SOME
#define CALL_collection_fd_some(name, size)                                \
	name(place->map, place->gpa, place->len, source_fd(),              \
	     VMMEM_IO_POSITION, VMMEM_IO_SOME, NULL)
#define TRAITS_collection_fd_some_out 0
#define CALL_collection_fd_some_out(name, size)                            \
	name(place->map, place->gpa, place->len, sink_fd(),                \
	     VMMEM_IO_POSITION, VMMEM_IO_SOME, NULL)
#define TRAITS_collection_fd_some_at SOME
#define CALL_collection_fd_some_at(name, size)                             \
	name(place->map, place->gpa, place->len, source_fd(), 0,           \
	     VMMEM_IO_SOME, NULL)
#define TRAITS_collection_fd_some_at_out 0
#define CALL_collection_fd_some_at_out(name, size)                         \
	name(place->map, place->gpa, place->len, sink_fd(), 0,             \
	     VMMEM_IO_SOME, NULL)
#define TRAITS_collection_fdv 0
#define CALL_collection_fdv(name, size)                                    \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST,             \
	     source_fd(), VMMEM_IO_POSITION, 0, NULL, NULL)
#define TRAITS_collection_fdv_out 0
#define CALL_collection_fdv_out(name, size)                                \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST, sink_fd(),  \
	     VMMEM_IO_POSITION, 0, NULL, NULL)
#define TRAITS_collection_fdv_at 0
#define CALL_collection_fdv_at(name, size)                                 \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST,             \
	     source_fd(), 0, 0, NULL, NULL)
#define TRAITS_collection_fdv_at_out 0
#define CALL_collection_fdv_at_out(name, size)                             \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST, sink_fd(),  \
	     0, 0, NULL, NULL)
#define TRAITS_collection_fdv_some SOME
#define CALL_collection_fdv_some(name, size)                               \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST,             \
	     source_fd(), VMMEM_IO_POSITION, VMMEM_IO_SOME, NULL, NULL)
#define TRAITS_collection_fdv_some_out 0
#define CALL_collection_fdv_some_out(name, size)                           \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST, sink_fd(),  \
	     VMMEM_IO_POSITION, VMMEM_IO_SOME, NULL, NULL)
#define TRAITS_collection_fdv_some_at SOME
#define CALL_collection_fdv_some_at(name, size)                            \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST,             \
	     source_fd(), 0, VMMEM_IO_SOME, NULL, NULL)
#define TRAITS_collection_fdv_some_at_out 0
#define CALL_collection_fdv_some_at_out(name, size)                        \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST, sink_fd(),  \
	     0, VMMEM_IO_SOME, NULL, NULL)
#define TRAITS_slice_fd BY_SLICE
#define CALL_slice_fd(name, size)                                          \
	name(place->slice, place->offset, place->len, source_fd(),         \
	     VMMEM_IO_POSITION, 0, NULL)
#define TRAITS_slice_fd_out BY_SLICE
#define CALL_slice_fd_out(name, size)                                      \
	name(place->slice, place->offset, place->len, sink_fd(),           \
	     VMMEM_IO_POSITION, 0, NULL)
#define TRAITS_slice_fd_at BY_SLICE
#define CALL_slice_fd_at(name, size)                                       \
	name(place->slice, place->offset, place->len, source_fd(), 0, 0,   \
	     NULL)
#define TRAITS_slice_fd_at_out BY_SLICE
#define CALL_slice_fd_at_out(name, size)                                   \
	name(place->slice, place->offset, place->len, sink_fd(), 0, 0,     \
	     NULL)
#define TRAITS_slice_fd_some (BY_SLICE | SOME)
#define CALL_slice_fd_some(name, size)                                     \
	name(place->slice, place->offset, place->len, source_fd(),         \
	     VMMEM_IO_POSITION, VMMEM_IO_SOME, NULL)
#define TRAITS_slice_fd_some_out BY_SLICE
#define CALL_slice_fd_some_out(name, size)                                 \
	name(place->slice, place->offset, place->len, sink_fd(),           \
	     VMMEM_IO_POSITION, VMMEM_IO_SOME, NULL)
#define TRAITS_slice_fd_some_at (BY_SLICE | SOME)
#define CALL_slice_fd_some_at(name, size)                                  \
	name(place->slice, place->offset, place->len, source_fd(), 0,      \
	     VMMEM_IO_SOME, NULL)
#define TRAITS_slice_fd_some_at_out BY_SLICE
#define CALL_slice_fd_some_at_out(name, size)                              \
	name(place->slice, place->offset, place->len, sink_fd(), 0,        \
	     VMMEM_IO_SOME, NULL)

#define TRAITS_collection_fdv_message 0
#define CALL_collection_fdv_message(name, size)                            \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST,             \
	     source_fd(), VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, NULL, NULL)
#define TRAITS_collection_fdv_message_out 0
#define CALL_collection_fdv_message_out(name, size)                        \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST, sink_fd(),  \
	     VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, NULL, NULL)
#define TRAITS_collection_fdv_sparse 0
#define CALL_collection_fdv_sparse(name, size)                             \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST,             \
	     source_fd(), VMMEM_IO_POSITION, VMMEM_IO_SPARSE, NULL, NULL)
#define TRAITS_collection_fdv_sparse_out 0
#define CALL_collection_fdv_sparse_out(name, size)                         \
	name(place->map, chain_of(place), 2, 0, VMMEM_IO_REST, sink_fd(),  \
	     VMMEM_IO_POSITION, VMMEM_IO_SPARSE, NULL, NULL)
#define TRAITS_slice_fd_message BY_SLICE
#define CALL_slice_fd_message(name, size)                                  \
	name(place->slice, place->offset, place->len, source_fd(),         \
	     VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, NULL)
#define TRAITS_slice_fd_message_out BY_SLICE
#define CALL_slice_fd_message_out(name, size)                              \
	name(place->slice, place->offset, place->len, sink_fd(),           \
	     VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, NULL)

/* A file of bytes to write, from its start, and one that takes anything. */
static inline int
source_fd(void)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("source", MFD_CLOEXEC);
		memset(local, 0xee, sizeof(local));
		if (write(fd, local, sizeof(local)) != sizeof(local))
			return -1;
	}
	return lseek(fd, 0, SEEK_SET) == 0 ? fd : -1;
}

static inline int
sink_fd(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return fd;
}

/* The place in two members. */
static inline const struct vmmem_range *
chain_of(const struct place *place)
{
	static struct vmmem_range chain[2];

	chain[0].gpa = place->gpa;
	chain[0].len = place->len / 2;
	chain[1].gpa = place->gpa + place->len / 2;
	chain[1].len = place->len - place->len / 2;
	return chain;
}

/* One who writes through the pointer, and says so afterwards. */
static inline int
write_and_mark(int (*mark)(const struct vmmem_slice *, uint64_t, uint64_t),
	       const struct vmmem_slice *slice, uint64_t offset, uint64_t len)
{
	if (slice != NULL && len <= slice->len && offset <= slice->len - len &&
	    len != 0)
		memset((uint8_t *)slice->host + offset, 0xee, len);
	return mark(slice, offset, len);
}

#define WRITER(name, how, size)                                            \
	static int call_##name##_##how(struct place *place)                \
	{                                                                  \
		return CALL_##how(name, size);                             \
	}
#define READER WRITER
#include "readers.h"
#include "writers.h"
#undef READER
#undef WRITER

#define WRITER(name, how, size)                                            \
	{ #name " as " #how, call_##name##_##how, size, TRAITS_##how },
#define READER WRITER
static const struct path writers[] = {
#include "writers.h"
};
static const struct path readers[] = {
#include "readers.h"
};
#undef READER
#undef WRITER

#endif
