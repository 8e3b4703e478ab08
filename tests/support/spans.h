/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A guest with memory around each boundary of its addresses, and a model of it
 * that says of any range what code is returned, and which bytes and marks there
 * are then.
 */
#ifndef SPANS_H
#define SPANS_H

#include "boundaries.h"

#define RW (VMMEM_PROT_READ | VMMEM_PROT_WRITE)
#define MIDDLE (UINT64_C(1) << 31)
#define FOUR_GIB (UINT64_C(1) << 32)

/* Memory around each boundary, whose host addresses never touch. */
struct span {
	uint64_t start;
	uint64_t len;
	uint32_t access;
	bool host;
	struct vmmem_region *region;
	uint8_t *bytes;
};

static struct span spans[] = {
	{ .start = 0, .len = 2 * PAGE, .access = RW, .host = true },
	{ .start = 2 * PAGE, .len = PAGE, .access = RW, .host = true },
	{ .start = MIDDLE - PAGE,
	  .len = 2 * PAGE,
	  .access = VMMEM_PROT_READ,
	  .host = true },
	{ .start = FOUR_GIB - PAGE,
	  .len = 2 * PAGE,
	  .access = RW,
	  .host = true },
	/* 2^62 bytes and more, which nobody has and a callback pretends. */
	{ .start = UINT64_C(1) << 62,
	  .len = (UINT64_C(1) << 62) + PAGE,
	  .access = RW },
	{ .start = 0 - PAGE, .len = PAGE, .access = RW, .host = true },
};
#define SPANS ARRAY_LEN(spans)
#define ARENA (2 * SPANS * 2 * PAGE)

static uint8_t *arena, pristine[ARENA];
static struct vmmem_collection *map;
static uint64_t discarded_custom;

static inline int
refuse(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
       void **ret_host)
{
	(void)opaque;
	(void)access;
	(void)ret_host;
	/* Whatever was asked for lies within the region. */
	HOLDS(len != 0 && (wide)offset + len <= spans[4].len, offset, len, 0);
	return -EXDEV;
}

static inline int
discard(void *opaque, uint64_t offset, uint64_t len)
{
	(void)opaque;
	HOLDS(len != 0 && (wide)offset + len <= spans[4].len, offset, len, 0);
	discarded_custom = len;
	return 0;
}

static inline void
restore(void)
{
	memcpy(arena, pristine, ARENA);
}

static inline struct vmmem_region *
build(const struct span *span)
{
	static const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.acquire = refuse,
		.discard = discard,
	};
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;

	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, span->start, span->len);
	vmmem_region_builder_set_protection(builder, span->access);
	if (span->host) {
		vmmem_region_builder_set_external(builder, span->bytes, NULL,
						  NULL);
		vmmem_region_builder_set_tracking(builder, PAGE);
	} else {
		vmmem_region_builder_set_custom(builder, &ops, NULL);
	}
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

static inline void
spans_setup(void)
{
	struct vmmem_region *regions[SPANS];
	size_t i;

	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(arena, MAP_FAILED);
	pattern(pristine, ARENA, 0);
	restore();
	for (i = 0; i < SPANS; i++) {
		spans[i].bytes = arena + (2 * i + 1) * 2 * PAGE;
		regions[i] = spans[i].region = build(&spans[i]);
	}
	map = guest_of(regions, SPANS);
	for (i = 0; i < SPANS; i++)
		if (spans[i].host)
			assert_ok(vmmem_bitmap_start_logging(
				vmmem_region_bitmap(spans[i].region)));
}

static inline void
spans_teardown(void)
{
	map = vmmem_collection_unref(map);
	munmap(arena, ARENA);
}

static inline const struct span *
span_at(wide at)
{
	size_t i;

	for (i = 0; i < SPANS; i++)
		if (at >= spans[i].start &&
		    at < (wide)spans[i].start + spans[i].len)
			return &spans[i];
	return NULL;
}

/* What checking says; 'ret_good' gets the bytes before the first bad one. */
static inline int
expect_check(uint64_t gpa, uint64_t len, uint32_t access, uint64_t *ret_good)
{
	wide at = gpa, end = (wide)gpa + len;
	const struct span *span;
	int rc = 0;

	while (at < end && rc == 0) {
		span = span_at(at);
		if (at == END)
			rc = VMMEM_EWRAPS;
		else if (span == NULL)
			rc = VMMEM_EBADADDR;
		else if ((access & ~span->access) != 0)
			rc = VMMEM_EDENIED;
		else
			at = (wide)span->start + span->len;
	}
	*ret_good = at < end ? (uint64_t)(at - gpa) : len;
	return rc;
}

/* The first piece of a range that is not empty. */
static inline int
expect_piece(uint64_t gpa, uint64_t len, uint32_t access, uint64_t *ret_len)
{
	const struct span *span = span_at(gpa);

	if (span == NULL)
		return VMMEM_EBADADDR;
	*ret_len = least(len, span->start + (span->len - 1) - gpa + 1);
	if (*ret_len < len && (wide)gpa + *ret_len == END)
		return VMMEM_EWRAPS;
	if ((access & ~span->access) != 0)
		return VMMEM_EDENIED;
	return span->host ? 0 : -EXDEV;
}

static inline uint8_t *
host_at(uint64_t gpa)
{
	const struct span *span = span_at(gpa);

	return span->bytes + (gpa - span->start);
}

/* How many pages of a span have a byte of [gpa, gpa + len). */
static inline uint64_t
pages_of(const struct span *span, uint64_t gpa, uint64_t len)
{
	uint64_t bytes = common(gpa, len, span->start, span->len), from;

	if (bytes == 0)
		return 0;
	from = gpa > span->start ? gpa - span->start : 0;
	return (from + (bytes - 1)) / PAGE - from / PAGE + 1;
}

/* Exactly the pages of [gpa, gpa + len) are marked; then they are no more. */
static inline void
expect_marks(uint64_t gpa, uint64_t len)
{
	struct vmmem_bitmap *bitmap;
	size_t i;

	for (i = 0; i < SPANS; i++) {
		if (!spans[i].host)
			continue;
		bitmap = vmmem_region_bitmap(spans[i].region);
		HOLDS(vmmem_bitmap_count(bitmap) ==
			      pages_of(&spans[i], gpa, len),
		      gpa, len, i);
		CODE(vmmem_bitmap_clear(bitmap, 0, TOP), 0, gpa, len, i);
	}
}

/* Of the arena only [gpa, gpa + len) is 'value'; then it is as before. */
static inline void
expect_bytes(uint64_t gpa, uint64_t len, uint8_t value)
{
	static uint8_t want[ARENA];
	uint64_t bytes;
	size_t i;

	memcpy(want, pristine, ARENA);
	for (i = 0; i < SPANS; i++) {
		bytes = common(gpa, len, spans[i].start, spans[i].len);
		if (bytes != 0 && spans[i].host)
			memset(want + (spans[i].bytes - arena) +
				       (gpa > spans[i].start ?
						gpa - spans[i].start :
						0),
			       value, bytes);
	}
	HOLDS(memcmp(want, arena, ARENA) == 0, gpa, len, value);
	if (len != 0)
		restore();
}

/* Addresses: the numbers, and two that run from one region to the next. */
static const uint64_t more_addresses[] = {
	2 * PAGE - 1, 3 * PAGE - 1, FOUR_GIB - PAGE, UINT64_C(1) << 62, TOP - 7,
};
static const uint64_t more_lengths[] = { 2, 8, 2 * PAGE, UINT64_C(1) << 62 };
#define ADDRESSES (NUMBERS + ARRAY_LEN(more_addresses))
#define LENGTHS (NUMBERS + ARRAY_LEN(more_lengths))

static inline uint64_t
address(size_t i)
{
	return i < NUMBERS ? numbers[i] : more_addresses[i - NUMBERS];
}

static inline uint64_t
length(size_t i)
{
	return i < NUMBERS ? numbers[i] : more_lengths[i - NUMBERS];
}

static inline void
each_range(void (*visit)(uint64_t gpa, uint64_t len))
{
	size_t i, j;

	for (i = 0; i < ADDRESSES; i++)
		for (j = 0; j < LENGTHS; j++)
			visit(address(i), length(j));
}

#endif
