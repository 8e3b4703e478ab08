/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem_collection_next_slice(): which regions one slice joins, and walking
 * over a range of the guest by it.
 */
#include "slices.h"
#include "suite.h"

#define ARENA 0x4000

/* Host memory that regions are laid over in any way. */
static _Alignas(4096) uint8_t arena[ARENA];

static void
setup(void)
{
	memset(arena, 0, sizeof(arena));
}

/* Bytes of the arena as a region; 'bitmap' may be NULL. */
static struct vmmem_region *
piece(uint64_t gpa, uint64_t len, size_t at, uint32_t access,
      struct vmmem_bitmap *bitmap, uint64_t bitmap_offset)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;

	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_region_builder_set_external(builder, arena + at, NULL, NULL);
	vmmem_region_builder_set_protection(builder, access);
	vmmem_region_builder_set_bitmap(builder, bitmap, bitmap_offset);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

static struct vmmem_bitmap *
bitmap_of(uint64_t len)
{
	struct vmmem_bitmap *bitmap = NULL;

	assert_ok(vmmem_bitmap_new(len, 0, 64, NULL, &bitmap));
	return bitmap;
}

static void
expect_next(const struct vmmem_collection *map, uint64_t gpa, uint64_t len,
	    uint32_t access, const uint8_t *host, uint64_t wanted)
{
	struct vmmem_slice slice;

	assert_ok(vmmem_collection_next_slice(map, gpa, len, access, &slice));
	ck_assert_ptr_eq(slice.host, host);
	ck_assert_uint_eq(slice.len, wanted);
	ck_assert_uint_eq(slice.access, access);
	ck_assert_uint_eq(slice.flags, 0);
	vmmem_slice_release(&slice);
}

/* Aliases that put the bytes of one region side by side again. */
START_TEST(aliases_join)
{
	struct vmmem_region *target = region_of(0x100000, ARENA);
	uint8_t *host = expect_host(target);
	struct vmmem_region *regions[3];
	struct vmmem_collection *map;

	assert_ok(vmmem_region_new_alias(0, 0x1000, target, 0, &regions[0]));
	assert_ok(vmmem_region_new_alias(0x1000, 0x1000, target, 0x1000,
					 &regions[1]));
	/* Touches them, but its bytes come from elsewhere. */
	assert_ok(vmmem_region_new_alias(0x2000, 0x1000, target, 0x3000,
					 &regions[2]));
	map = guest_of(regions, 3);
	vmmem_region_unref(target);
	expect_next(map, 0, 0x3000, READ_WRITE, host, 0x2000);
	expect_next(map, 0x800, 0x3000, 0, host + 0x800, 0x1800);
	expect_next(map, 0x800, 0x1000, 0, host + 0x800, 0x1000);
	expect_next(map, 0xfff, 2, 0, host + 0xfff, 2);
	expect_next(map, 0xfff, 1, 0, host + 0xfff, 1);
	expect_next(map, 0x1fff, 2, 0, host + 0x1fff, 1);
	expect_next(map, 0x2000, TOP, 0, host + 0x3000, 0x1000);
	vmmem_collection_unref(map);
}
END_TEST

/* A joined slice is one slice to every function. */
START_TEST(use_of_a_joined_slice)
{
	struct vmmem_bitmap *bitmap = bitmap_of(ARENA);
	struct vmmem_region *regions[] = {
		piece(0, 0x1004, 0, READ_WRITE, bitmap, 0x100),
		piece(0x1004, 0x1000, 0x1004, READ_WRITE, bitmap, 0x1104),
	};
	struct vmmem_collection *map = guest_of(regions, 2);
	struct vmmem_slice slice, part;
	uint64_t start, len;

	assert_ok(vmmem_collection_next_slice(map, 0, 0x2000, READ_WRITE,
					      &slice));
	ck_assert_uint_eq(slice.len, 0x2000);
	assert_ok(vmmem_bitmap_start_logging(bitmap));
	/* One access, where by guest address it would be two. */
	assert_ok(vmmem_slice_store_u64(&slice, 0x1000, TOP,
					VMMEM_ORDER_RELEASE));
	assert_ok(vmmem_bitmap_next(bitmap, 0, &start, &len));
	ck_assert_uint_eq(start, 0x1100);
	ck_assert_uint_eq(len, 64);
	assert_ok(vmmem_slice_sub(&slice, 0x1f00, 0x100, &part));
	assert_ok(vmmem_slice_fill(&part, 0x41, 1, 1));
	assert_ok(vmmem_bitmap_next(bitmap, start + len, &start, &len));
	ck_assert_uint_eq(start, 0x2040);
	ck_assert_uint_eq(len, 64);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 2);
	vmmem_collection_unref(map);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/*
 * A page is 16 bytes here, the least that guest and host address agree in; up
 * to four regions of some pages each are laid out in all ways that rows say.
 */
#define UNIT UINT64_C(16)

struct layout {
	struct vmmem_region *regions[4];
	size_t count;
	struct vmmem_collection *map;
	struct vmmem_bitmap *bitmaps[3]; /* the first is none */
};

/* What can be between two regions, and whether that joins them. */
static const struct {
	int hole, host_gap, bitmap, bitmap_gap;
	uint32_t access;
	const char *what;
} seams[] = {
	{ 0, 0, 0, 0, READ_WRITE, "nothing" },
	{ 1, 0, 0, 0, READ_WRITE, "a hole in the guest" },
	{ 0, 1, 0, 0, READ_WRITE, "a hole in the host" },
	{ 0, 0, 0, 0, VMMEM_PROT_READ, "no permission to write" },
	{ 0, 0, 0, 0, VMMEM_PROT_WRITE, "no permission to read" },
	{ 0, 0, 1, 0, READ_WRITE, "another bitmap" },
	{ 0, 0, 0, 1, READ_WRITE, "a hole in the bitmap" },
	{ 0, 0, 2, 0, READ_WRITE, "a bitmap, or none any more" },
};
#define SEAMS 8

/*
 * Four regions with three seams between them, from 'base' on; 'first' is the
 * bitmap of the first.  The model of where a slice ends is made beside it.
 */
struct model {
	uint64_t start, len;
	size_t host;
	unsigned int bitmap;
	uint64_t bitmap_offset;
	uint32_t access;
};

static void
lay_out(struct layout *layout, struct model *model, uint64_t base,
	unsigned int first, const unsigned int *between)
{
	uint64_t gpa = base, log = 4 * UNIT;
	unsigned int bitmap = first, i;
	size_t at = UNIT;

	layout->count = 0;
	for (i = 0; i < 4; i++) {
		const uint64_t len = (1 + i % 2) * UNIT;

		model[i] = (struct model){ gpa, len, at, bitmap, log,
					   READ_WRITE };
		if (i > 0)
			model[i].access = seams[between[i - 1]].access;
		layout->regions[layout->count++] =
			piece(gpa, len, at, model[i].access,
			      layout->bitmaps[bitmap],
			      bitmap != 0 ? log : 0);
		gpa += len;
		at += len;
		log += len;
		if (i == 3)
			break;
		gpa += (uint64_t)seams[between[i]].hole * UNIT;
		at += (size_t)seams[between[i]].host_gap * UNIT;
		log += (uint64_t)seams[between[i]].bitmap_gap * UNIT;
		bitmap = (bitmap + (unsigned int)seams[between[i]].bitmap) % 3;
	}
	layout->map = guest_of(layout->regions, layout->count);
}

/* Whether region i of the model goes on where i - 1 ends. */
static int
joins(const struct model *model, unsigned int i, uint32_t access)
{
	const struct model *one = &model[i - 1], *two = &model[i];

	return two->start == one->start + one->len &&
	       two->host == one->host + one->len &&
	       (access & ~two->access) == 0 && two->bitmap == one->bitmap &&
	       (two->bitmap == 0 ||
		two->bitmap_offset == one->bitmap_offset + one->len);
}

static void
check_from(const struct layout *layout, const struct model *model,
	   uint64_t gpa, uint64_t len, uint32_t access)
{
	uint64_t wanted, offset;
	struct vmmem_slice slice;
	unsigned int i, j;
	int rc;

	slice_spoil(&slice);
	rc = vmmem_collection_next_slice(layout->map, gpa, len, access,
					 &slice);
	for (i = 0; i < 4; i++)
		if (gpa - model[i].start < model[i].len)
			break;
	if (i == 4 || (access & ~model[i].access) != 0) {
		EXPECT_CODE(rc, i == 4 ? VMMEM_EBADADDR : VMMEM_EDENIED);
		EXPECT(slice_is_spoilt(&slice));
		return;
	}
	offset = gpa - model[i].start;
	wanted = model[i].len - offset;
	for (j = i + 1; j < 4 && joins(model, j, access); j++)
		wanted += model[j].len;
	if (len < wanted)
		wanted = len;
	EXPECT_CODE(rc, 0);
	if (slice.len != wanted)
		ck_abort_msg("from %#jx, %ju: %ju and not %ju",
			     (uintmax_t)gpa, (uintmax_t)len,
			     (uintmax_t)slice.len, (uintmax_t)wanted);
	EXPECT(slice.host == arena + model[i].host + offset);
	if (model[i].bitmap != 0)
		EXPECT(slice.log_offset == model[i].bitmap_offset + offset);
	EXPECT(slice.access == access);
	vmmem_slice_release(&slice);
}

/* All seams in all orders, from each address by each length. */
START_TEST(joining)
{
	/* At the bottom, and so that the last byte is the last there is. */
	const uint64_t bases[] = { 0, UINT64_C(1) << 32, 1 };
	struct layout layout = { .count = 0 };
	struct model model[4], probe[4];
	uint64_t base, gpa, len;
	unsigned int between[3], first;
	uint32_t access;

	layout.bitmaps[1] = bitmap_of(0x1000);
	layout.bitmaps[2] = bitmap_of(0x1000);
	between[0] = (unsigned int)_i / SEAMS;
	between[1] = (unsigned int)_i % SEAMS;
	for (between[2] = 0; between[2] < SEAMS; between[2]++) {
		base = bases[between[2] % 3];
		first = (unsigned int)_i % 3;
		if (base == 1) {
			/* How far down it must begin to end at the top. */
			lay_out(&layout, probe, 0, first, between);
			base = 0 - (probe[3].start + probe[3].len);
			vmmem_collection_unref(layout.map);
		}
		lay_out(&layout, model, base, first, between);
		for (access = 0; access <= READ_WRITE; access++) {
			for (gpa = base; gpa < base + 9 * UNIT; gpa += 5) {
				for (len = 1; len <= 9 * UNIT; len += 7) {
					if (len - 1 <= TOP - gpa)
						check_from(&layout, model,
							   gpa, len, access);
				}
				if (gpa > TOP - 5)
					break;
			}
		}
		vmmem_collection_unref(layout.map);
	}
	vmmem_bitmap_unref(layout.bitmaps[1]);
	vmmem_bitmap_unref(layout.bitmaps[2]);
}
END_TEST

/* The walk that vmmem/slice.h prints; returns what ends it. */
static int
walk(const struct vmmem_collection *map, uint64_t gpa, uint64_t len,
     uint64_t *ret_seen, uint64_t *ret_lowest)
{
	struct vmmem_slice slice;
	uint64_t step;
	int rc = 0;

	*ret_seen = 0;
	*ret_lowest = TOP;
	for (; len != 0; gpa += step, len -= step) {
		rc = vmmem_collection_next_slice(map, gpa, len, READ_WRITE,
						 &slice);
		if (rc != 0)
			break;
		ck_assert_uint_gt(slice.len, 0);
		ck_assert_uint_le(slice.len, len);
		step = slice.len;
		*ret_seen += step;
		if (gpa < *ret_lowest)
			*ret_lowest = gpa;
		vmmem_slice_release(&slice);
	}
	return rc;
}

START_TEST(walking)
{
	struct vmmem_region *regions[] = {
		piece(0x1000, 0x1000, 0, READ_WRITE, NULL, 0),
		piece(0x2000, 0x800, 0x2000, READ_WRITE, NULL, 0),
		piece(0x3000, 0x800, 0x3000, VMMEM_PROT_READ, NULL, 0),
	};
	struct vmmem_collection *map = guest_of(regions, 3);
	uint64_t seen, lowest;

	assert_ok(walk(map, 0x1000, 0x1800, &seen, &lowest));
	ck_assert_uint_eq(seen, 0x1800);
	assert_ok(walk(map, 0x1ffe, 4, &seen, &lowest));
	ck_assert_uint_eq(seen, 4);
	assert_code(walk(map, 0x1800, 0x2000, &seen, &lowest),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(seen, 0x1000);
	assert_code(walk(map, 0xfff, 2, &seen, &lowest), VMMEM_EBADADDR);
	ck_assert_uint_eq(seen, 0);
	assert_code(walk(map, 0x3000, 2, &seen, &lowest), VMMEM_EDENIED);
	assert_ok(walk(map, 0, 0, &seen, &lowest));
	vmmem_collection_unref(map);
}
END_TEST

/*
 * Up to the last byte and past it, with address 0 mapped: what is joined, what
 * is not, and what is alone must not go on there.
 */
START_TEST(walking_past_the_top)
{
	struct vmmem_region *regions[] = {
		piece(0, 0x1000, 0x3000, READ_WRITE, NULL, 0),
		piece(TOP - 0x1fff, 0x1000, 0, READ_WRITE, NULL, 0),
		piece(TOP - 0xfff, 0x1000, _i == 0 ? 0x1000 : 0x2000,
		      READ_WRITE, NULL, 0),
	};
	struct vmmem_collection *map = guest_of(regions, 3);
	struct vmmem_slice slice;
	uint64_t seen, lowest;

	assert_ok(walk(map, TOP - 0x1fff, 0x2000, &seen, &lowest));
	ck_assert_uint_eq(seen, 0x2000);
	assert_ok(walk(map, TOP, 1, &seen, &lowest));
	ck_assert_uint_eq(seen, 1);
	assert_code(walk(map, TOP, 2, &seen, &lowest), VMMEM_EWRAPS);
	ck_assert_uint_eq(seen, 0);
	assert_code(walk(map, TOP, TOP, &seen, &lowest), VMMEM_EWRAPS);
	assert_code(walk(map, TOP - 0xfff, 0x1001, &seen, &lowest),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(seen, 0);
	assert_code(walk(map, TOP - 0x1fff, 0x2001, &seen, &lowest),
		    VMMEM_EWRAPS);
	ck_assert_uint_ge(lowest, TOP - 0x1fff);
	assert_code(walk(map, TOP - 0x1000, TOP, &seen, &lowest),
		    VMMEM_EWRAPS);
	ck_assert_uint_ge(lowest, TOP - 0x1000);

	slice_spoil(&slice);
	assert_code(vmmem_collection_next_slice(map, TOP - 7, 9, 0, &slice),
		    VMMEM_EWRAPS);
	ck_assert(slice_is_spoilt(&slice));
	vmmem_collection_unref(map);
}
END_TEST

/* A range past 2^64 that is not mapped up to there ends at the hole. */
START_TEST(hole_below_the_top)
{
	struct vmmem_region *region =
		piece(TOP - 0x1fff, 0x1000, 0, READ_WRITE, NULL, 0);
	struct vmmem_collection *map = guest_of_one(region);
	uint64_t seen, lowest;

	assert_code(walk(map, TOP - 0x1fff, TOP, &seen, &lowest),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(seen, 0x1000);
	assert_code(walk(map, TOP, TOP, &seen, &lowest), VMMEM_EBADADDR);
	vmmem_collection_unref(map);
}
END_TEST

START_TEST(codes)
{
	struct vmmem_region *region =
		piece(0x1000, 0x1000, 0, VMMEM_PROT_READ, NULL, 0);
	struct vmmem_collection *map = guest_of_one(region);
	struct vmmem_slice slice;

	slice_spoil(&slice);
	assert_code(vmmem_collection_next_slice(NULL, 0, 0, 0, &slice),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_next_slice(map, 0x1000, 1,
						VMMEM_PROT_EXEC, &slice),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_next_slice(map, 0x1000, 1,
						VMMEM_PROT_WRITE, &slice),
		    VMMEM_EDENIED);
	ck_assert(slice_is_spoilt(&slice));
	assert_code(vmmem_collection_next_slice(map, 0, 0, 0, NULL),
		    VMMEM_EARGUMENT);
	assert_ok(vmmem_collection_next_slice(map, 0, 0, READ_WRITE, &slice));
	ck_assert_uint_eq(slice.len, 0);
	vmmem_collection_unref(map);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("slice_walk");
	TCase *tcase = tcase_create("slice_walk");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, aliases_join);
	tcase_add_test(tcase, use_of_a_joined_slice);
	tcase_add_loop_test(tcase, joining, 0, SEAMS * SEAMS);
	tcase_add_test(tcase, walking);
	tcase_add_loop_test(tcase, walking_past_the_top, 0, 2);
	tcase_add_test(tcase, hole_below_the_top);
	tcase_add_test(tcase, codes);
	suite_add_tcase(suite, tcase);
	return suite;
}
