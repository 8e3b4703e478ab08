/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What the exhaustive tests share: small windows of the address space, a
 * layout of up to three regions, and the reference that the library is
 * compared with.  The reference calculates in 128 bits, where nothing wraps.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <check.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmmem/vmmem.h>

__extension__ typedef unsigned __int128 wide;

#define LAYOUT_MAX 3
#define TOP (UINT64_MAX)

/* A region and what is known of it. */
struct piece {
	uint64_t start;
	uint64_t last;
	uint32_t access;
	bool host;
	struct vmmem_region *region;
	unsigned char *bytes; /* of the first address; NULL: none are kept */
	alignas(16) unsigned char arena[64];
};

/* A set of pieces, not always a good one. */
struct layout {
	struct piece *pieces[LAYOUT_MAX];
	size_t count;
	struct vmmem_collection *collection;
};

/* A window of 'size' addresses. */
struct window {
	uint64_t base;
	unsigned int size;
};

/*
 * Both ends of the address space and one boundary in between, where the low
 * 32 bits wrap.
 */
static inline struct window
window_at(int index, unsigned int size)
{
	const uint64_t bases[] = {
		0,
		TOP - size + 1,
		(UINT64_C(1) << 32) - 4,
	};

	return (struct window){ bases[index], size };
}
#define WINDOWS 3

/* The size of windows is less where everything is slow. */
static inline unsigned int
window_size(unsigned int size, unsigned int slow)
{
	const char *scale = getenv("VMMEM_TEST_SCALE");

	return scale != NULL && strtoull(scale, NULL, 0) > 1 ? slow : size;
}

/* What the test looks at, for the report. */
struct probe {
	uint64_t gpa, len, other;
};

/* Check's own assertions write to a file each time; these do when they fail. */
#define REQUIRE(condition)                                                 \
	do {                                                               \
		if (!(condition))                                          \
			ck_abort_msg("%s", #condition);                    \
	} while (0)
#define EXPECT(layout, probe, condition)                                   \
	do {                                                               \
		if (!(condition))                                          \
			layout_fail(layout, probe, #condition, __LINE__);  \
	} while (0)

static inline _Noreturn void
layout_fail(const struct layout *layout, struct probe probe, const char *what,
	    int line)
{
	char text[512] = "";
	size_t i, at;

	for (i = 0; i < layout->count; i++) {
		at = strlen(text);
		snprintf(text + at, sizeof(text) - at,
			 " [%#" PRIx64 ", %#" PRIx64 "] access %" PRIu32 "%s",
			 layout->pieces[i]->start, layout->pieces[i]->last,
			 layout->pieces[i]->access,
			 layout->pieces[i]->host ? "" : " custom");
	}
	ck_abort_msg("line %d: %s; gpa %#" PRIx64 " len %#" PRIx64
		     " other %#" PRIx64 " in%s",
		     line, what, probe.gpa, probe.len, probe.other, text);
	abort();
}

/* Every address has a byte of its own, as far as windows are concerned. */
static inline unsigned char
tag(uint64_t gpa)
{
	return (unsigned char)(gpa * 5 + 0x31);
}

static inline struct piece *
reference_find(const struct layout *layout, wide gpa)
{
	size_t i;

	for (i = 0; i < layout->count; i++) {
		if (layout->pieces[i]->start <= gpa &&
		    gpa <= layout->pieces[i]->last)
			return layout->pieces[i];
	}
	return NULL;
}

/*
 * reference_reach() walks along [gpa, gpa + len) as far as it is good, and
 * says why it goes no further.
 */
static inline int
reference_reach(const struct layout *layout, uint64_t gpa, uint64_t len,
		uint32_t access, uint64_t *ret_good)
{
	wide end = (wide)gpa + len;
	wide at = gpa;
	int rc = 0;

	while (at < end && rc == 0) {
		const struct piece *piece = reference_find(layout, at);

		if (at > TOP)
			rc = VMMEM_EWRAPS;
		else if (piece == NULL)
			rc = VMMEM_EBADADDR;
		else if ((piece->access & access) != access)
			rc = VMMEM_EDENIED;
		else
			at = (wide)piece->last + 1;
	}
	if (at > end)
		at = end;
	*ret_good = (uint64_t)(at - gpa);
	return rc;
}

static int
piece_read(void *opaque, uint64_t offset, void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	const struct piece *piece = opaque;
	unsigned char *to = buf;
	size_t i;

	(void)info;
	REQUIRE(len != 0);
	REQUIRE((wide)piece->start + offset + len - 1 <= piece->last);
	for (i = 0; i < len; i++)
		to[i] = piece->bytes != NULL ? piece->bytes[offset + i] :
					       tag(piece->start + offset + i);
	return 0;
}

static int
piece_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	const struct piece *piece = opaque;

	(void)info;
	REQUIRE(len != 0);
	REQUIRE((wide)piece->start + offset + len - 1 <= piece->last);
	if (piece->bytes != NULL)
		memcpy(piece->bytes + offset, buf, len);
	return 0;
}

/* All bytes of the pieces are their tags, and all bytes around them 0xee. */
static inline void
piece_reset(struct piece *piece)
{
	uint64_t i;

	if (piece->bytes == NULL)
		return;
	memset(piece->arena, 0xee, sizeof(piece->arena));
	for (i = 0; i <= piece->last - piece->start; i++)
		piece->bytes[i] = tag(piece->start + i);
}

/* A piece of at most 16 addresses has its bytes in its arena. */
static inline void
piece_open(struct piece *piece, uint64_t start, uint64_t last, uint32_t access,
	   bool host)
{
	static const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.read = piece_read,
		.write = piece_write,
	};
	struct vmmem_region_builder *builder = vmmem_region_builder_new();

	piece->start = start;
	piece->last = last;
	piece->access = access;
	piece->host = host;
	piece->bytes = last - start < 16 ?
			       piece->arena + 16 + start % 16 :
			       NULL;
	piece_reset(piece);
	REQUIRE(builder != NULL);
	vmmem_region_builder_set_range(builder, start, last - start + 1);
	if (host)
		vmmem_region_builder_set_external(builder, piece->bytes, NULL,
						  NULL);
	else
		vmmem_region_builder_set_custom(builder, &ops, piece);
	vmmem_region_builder_set_protection(builder, access);
	REQUIRE(vmmem_region_builder_build(builder, &piece->region) == 0);
	vmmem_region_builder_free(builder);
}

static inline void
piece_close(struct piece *piece)
{
	piece->region = vmmem_region_unref(piece->region);
}

static inline int
layout_new(struct layout *layout)
{
	struct vmmem_region *regions[LAYOUT_MAX] = { NULL };
	size_t i;

	for (i = 0; i < layout->count; i++)
		regions[i] = layout->pieces[i]->region;
	if (layout->count == 0)
		return vmmem_collection_new_empty(&layout->collection);
	return vmmem_collection_new(regions, layout->count,
				    &layout->collection);
}

/*
 * layouts_in() is the number of layouts: k regions are 2k ends, chosen among
 * 'size' addresses and k more, as two ends may be one address, and each region
 * has one of 'kinds'.
 */
static inline uint64_t
layouts_in(unsigned int size, unsigned int kinds, unsigned int most)
{
	uint64_t total = 0;
	uint64_t powers = 1;
	unsigned int k, i;

	for (k = 0; k <= most; k++) {
		uint64_t ways = 1;

		for (i = 1; i <= 2 * k; i++)
			ways = ways * (size + k + 1 - i) / i;
		total += ways * powers;
		powers *= kinds;
	}
	return total;
}

/*
 * layout_all() visits every layout of at most 'most' regions that lie in a
 * window of 'size' addresses, in ascending order and without overlap.  Of each
 * range there are 'kinds' pieces; 'table' has them at
 * [(start * size + last) * kinds + kind].
 */
struct all {
	struct piece *table;
	unsigned int size, kinds, most;
	void (*visit)(struct layout *layout, struct window window);
	struct window window;
	struct layout layout;
	uint64_t visited;
};

static inline void
layout_all_from(struct all *all, unsigned int first)
{
	struct layout *layout = &all->layout;
	unsigned int start, last, kind;

	REQUIRE(layout_new(layout) == 0);
	all->visit(layout, all->window);
	all->visited++;
	layout->collection = vmmem_collection_unref(layout->collection);
	if (layout->count == all->most)
		return;
	for (start = first; start < all->size; start++) {
		for (last = start; last < all->size; last++) {
			for (kind = 0; kind < all->kinds; kind++) {
				layout->pieces[layout->count++] =
					&all->table[(start * all->size + last) *
							    all->kinds +
						    kind];
				layout_all_from(all, last + 1);
				layout->count--;
			}
		}
	}
}

/* The kinds of pieces: plain memory comes first. */
#define KINDS 5

static inline void
layout_all(struct window window, unsigned int kinds, unsigned int most,
	   void (*visit)(struct layout *layout, struct window window))
{
	static const struct {
		uint32_t access;
		bool host;
	} kind_of[KINDS] = {
		{ VMMEM_PROT_READ | VMMEM_PROT_WRITE, true },
		{ VMMEM_PROT_READ | VMMEM_PROT_WRITE, false },
		{ VMMEM_PROT_READ, true },
		{ VMMEM_PROT_WRITE, true },
		{ 0, true },
	};
	struct all all = {
		.size = window.size,
		.kinds = kinds,
		.most = most,
		.visit = visit,
		.window = window,
	};
	size_t count = (size_t)window.size * window.size * kinds;
	size_t i;

	all.table = aligned_alloc(alignof(struct piece),
				  count * sizeof(*all.table));
	REQUIRE(all.table != NULL);
	memset(all.table, 0, count * sizeof(*all.table));
	for (i = 0; i < count; i++) {
		uint64_t start = i / kinds / window.size;
		uint64_t last = i / kinds % window.size;

		if (start <= last)
			piece_open(&all.table[i], window.base + start,
				   window.base + last,
				   kind_of[i % kinds].access,
				   kind_of[i % kinds].host);
	}
	layout_all_from(&all, 0);
	REQUIRE(all.visited == layouts_in(window.size, kinds, most));
	for (i = 0; i < count; i++)
		piece_close(&all.table[i]);
	free(all.table);
}

#endif
