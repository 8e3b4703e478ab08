/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The functions of vmmem/io.h, all to be called in one way. */
#ifndef IO_FORMS_H
#define IO_FORMS_H

#include <stdbool.h>

#include <vmmem/io.h>

#include "guest.h"

enum side { RANGE, CHAIN, SLICE };

/* A function with its flags, and with an offset of the file or without. */
struct form {
	const char *name;
	enum side side;
	bool to_fd, some, at;
};

#define FORM(name, side, to_fd, some, at)                                  \
	{ #name, side, to_fd, some, at }
#define FORMS_OF(object, side)                                             \
	FORM(object##_from_fd, side, 0, 0, 0),                             \
	FORM(object##_from_fd at, side, 0, 0, 1),                          \
	FORM(object##_from_fd some, side, 0, 1, 0),                        \
	FORM(object##_from_fd some at, side, 0, 1, 1),                     \
	FORM(object##_to_fd, side, 1, 0, 0),                               \
	FORM(object##_to_fd at, side, 1, 0, 1),                            \
	FORM(object##_to_fd some, side, 1, 1, 0),                          \
	FORM(object##_to_fd some at, side, 1, 1, 1)

static const struct form forms[] = {
	FORMS_OF(collection, RANGE),
	FORMS_OF(collection_ranges, CHAIN),
	FORMS_OF(slice, SLICE),
};
#define FORMS ((int)ARRAY_LEN(forms))

static inline uint32_t
form_flags(const struct form *form)
{
	return form->some ? VMMEM_IO_SOME : 0;
}

/* Whoever takes no offset has set the file's position there. */
static inline uint64_t
form_offset(const struct form *form, uint64_t at)
{
	return form->at ? at : VMMEM_IO_POSITION;
}

static inline int
form_range(const struct form *form, const struct vmmem_collection *map,
	   uint64_t gpa, uint64_t len, int fd, uint64_t at, uint64_t *ret_done)
{
	return (form->to_fd ? vmmem_collection_to_fd :
			      vmmem_collection_from_fd)(
		map, gpa, len, fd, form_offset(form, at), form_flags(form),
		ret_done);
}

/* All of a chain. */
static inline int
form_ranges(const struct form *form, const struct vmmem_collection *map,
	    const struct vmmem_range *ranges, size_t count, int fd,
	    uint64_t at, uint64_t *ret_done)
{
	return (form->to_fd ? vmmem_collection_ranges_to_fd :
			      vmmem_collection_ranges_from_fd)(
		map, ranges, count, 0, VMMEM_IO_REST, fd,
		form_offset(form, at), form_flags(form), ret_done, NULL);
}

static inline int
form_part(const struct form *form, const struct vmmem_slice *slice,
	  uint64_t offset, uint64_t len, int fd, uint64_t at,
	  uint64_t *ret_done)
{
	return (form->to_fd ? vmmem_slice_to_fd : vmmem_slice_from_fd)(
		slice, offset, len, fd, form_offset(form, at),
		form_flags(form), ret_done);
}

/* The range, in three members: none, a third, and the rest. */
static inline int
form_chain(const struct form *form, const struct vmmem_collection *map,
	   uint64_t gpa, uint64_t len, int fd, uint64_t at, uint64_t *ret_done)
{
	const struct vmmem_range chain[] = {
		{ gpa, len / 3 },
		{ UINT64_C(0xdead0000), 0 },
		{ gpa + len / 3, len - len / 3 },
	};

	return form_ranges(form, map, chain, 3, fd, at, ret_done);
}

/* In the slice of all of the region where the range begins. */
static inline int
form_slice(const struct form *form, const struct vmmem_collection *map,
	   uint64_t gpa, uint64_t len, int fd, uint64_t at, uint64_t *ret_done)
{
	struct vmmem_region *region;
	struct vmmem_slice slice;
	uint64_t offset;
	int rc;

	assert_ok(vmmem_collection_locate(map, gpa, &region, &offset));
	assert_ok(vmmem_region_slice(region, 0, vmmem_region_len(region),
				     vmmem_region_protection(region) &
					     (VMMEM_PROT_READ |
					      VMMEM_PROT_WRITE),
				     &slice));
	rc = form_part(form, &slice, offset, len, fd, at, ret_done);
	vmmem_slice_release(&slice);
	return rc;
}

/* What a function finds on the stack if it has not put anything there. */
static __attribute__((__noinline__, __unused__)) void
spoil_stack(void)
{
	volatile uint8_t bytes[0x20000];
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = 0xa5;
}

/* form_call() moves [gpa, gpa + len) from or to the file at 'at'. */
static inline int
form_call(const struct form *form, const struct vmmem_collection *map,
	  uint64_t gpa, uint64_t len, int fd, uint64_t at, uint64_t *ret_done)
{
	spoil_stack();
	if (form->side == CHAIN)
		return form_chain(form, map, gpa, len, fd, at, ret_done);
	if (form->side == SLICE)
		return form_slice(form, map, gpa, len, fd, at, ret_done);
	return form_range(form, map, gpa, len, fd, at, ret_done);
}

/* 'call' must return 'want' and count 'count'. */
#define assert_moved(call, want, count)                                    \
	do {                                                               \
		uint64_t done = 77;                                        \
                                                                           \
		assert_code(call, want);                                   \
		ck_assert_uint_eq(done, count);                            \
	} while (0)

static inline void
seek(int fd, uint64_t at)
{
	ck_assert_int_eq(lseek(fd, (off_t)at, SEEK_SET), (off_t)at);
}

static inline uint64_t
position(int fd)
{
	return (uint64_t)lseek(fd, 0, SEEK_CUR);
}

/* A file in memory with a pattern of 'len' bytes. */
static inline int
file_with_pattern(size_t len, unsigned int seed)
{
	uint8_t *bytes = malloc(len + 1);
	int fd = file_of(0);

	ck_assert_ptr_nonnull(bytes);
	pattern(bytes, len, seed);
	ck_assert_int_eq(pwrite(fd, bytes, len, 0), (ssize_t)len);
	free(bytes);
	return fd;
}

/* Whether 'len' bytes are those of the pattern from 'from' on. */
static inline int
is_pattern(const void *bytes, size_t from, size_t len, unsigned int seed)
{
	const uint8_t *byte = bytes;
	size_t i;

	for (i = from; i < from + len; i++)
		if (byte[i - from] != (uint8_t)(i * 7 + i / 256 + seed))
			return 0;
	return 1;
}

#endif
