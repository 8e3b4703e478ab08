/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Regions that are tracked: which settings go together, where a region's
 * writes are marked, and how long its bitmap lives.
 */
#include "slices.h"
#include "suite.h"

#define GPA UINT64_C(0x10000)
#define LEN UINT64_C(0x3000)

static struct vmmem_region_builder *builder;

static void
setup(void)
{
	builder = vmmem_region_builder_new();
	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, GPA, LEN);
}

static void
teardown(void)
{
	builder = vmmem_region_builder_free(builder);
}

static struct vmmem_region *
build(void)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_builder_build(builder, &region));
	return region;
}

static void
refuse(int code)
{
	struct vmmem_region *region = NO_REGION;

	assert_code(vmmem_region_builder_build(builder, &region), code);
	ck_assert_ptr_eq(region, NO_REGION);
}

/* A bitmap of bytes that others own, which says when it is gone. */
static _Alignas(8) uint8_t bits[1024];
static unsigned int released;

static void
release(void *opaque)
{
	ck_assert_ptr_eq(opaque, bits);
	released++;
}

static struct vmmem_bitmap *
bitmap_of(uint64_t len)
{
	struct vmmem_bitmap *bitmap = NULL;

	released = 0;
	memset(bits, 0, sizeof(bits));
	assert_ok(vmmem_bitmap_new_external(bits, sizeof(bits), len, 64,
					    release, bits, NULL, &bitmap));
	return bitmap;
}

START_TEST(untracked)
{
	struct vmmem_region *region = build();

	ck_assert_ptr_null(vmmem_region_bitmap(region));
	ck_assert_uint_eq(vmmem_region_bitmap_offset(region), 0);
	ck_assert_ptr_null(vmmem_region_bitmap(NULL));
	ck_assert_uint_eq(vmmem_region_bitmap_offset(NULL), 0);
	vmmem_region_unref(region);
}
END_TEST

/* The first write of all is marked; a start is the caller's to take back. */
START_TEST(logging_from_the_start)
{
	struct vmmem_region *region, *alias = NULL;
	struct vmmem_bitmap *bitmap;

	vmmem_region_builder_set_logging(builder, 1);
	vmmem_region_builder_set_tracking(builder, 4096);
	region = build();
	bitmap = vmmem_region_bitmap(region);
	assert_ok(vmmem_region_write(region, 5, "x", 1, NULL));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 1);
	/* An alias starts that of its target once more. */
	vmmem_region_builder_set_tracking(builder, 0);
	vmmem_region_builder_set_alias(builder, region, 0);
	assert_ok(vmmem_region_builder_build(builder, &alias));
	assert_ok(vmmem_bitmap_stop_logging(bitmap));
	assert_ok(vmmem_region_write(region, LEN - 1, "x", 1, NULL));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 2);
	assert_ok(vmmem_bitmap_stop_logging(bitmap));
	assert_code(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	vmmem_region_unref(alias);
	/* Off is off again; and what failed has started nothing. */
	vmmem_region_builder_set_logging(builder, 0);
	assert_ok(vmmem_region_builder_build(builder, &alias));
	assert_code(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	vmmem_region_builder_set_logging(builder, 2);
	vmmem_region_builder_set_tracking(builder, 4096);
	assert_code(vmmem_region_builder_build(builder, &alias),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	vmmem_region_unref(alias);
	vmmem_region_unref(region);
}
END_TEST

/* Its own bitmap: as long as the region, in pages as asked for, and off. */
static const uint64_t page_sizes[] = { 64, 4096, 65536, UINT64_C(1) << 30 };

START_TEST(own_bitmap)
{
	const uint64_t size = page_sizes[_i];
	struct vmmem_region *region, *other;
	struct vmmem_bitmap *bitmap;

	vmmem_region_builder_set_tracking(builder, size);
	region = build();
	bitmap = vmmem_region_bitmap(region);
	ck_assert_ptr_nonnull(bitmap);
	ck_assert_uint_eq(vmmem_region_bitmap_offset(region), 0);
	ck_assert_uint_eq(vmmem_bitmap_len(bitmap), LEN);
	ck_assert_uint_eq(vmmem_bitmap_page_size(bitmap), size);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	/* Each region that is built has one. */
	other = build();
	ck_assert_ptr_nonnull(vmmem_region_bitmap(other));
	ck_assert_ptr_ne(vmmem_region_bitmap(other), bitmap);
	vmmem_region_unref(other);
	/* The caller may keep it when the region is gone. */
	vmmem_bitmap_ref(bitmap);
	vmmem_region_unref(region);
	assert_ok(vmmem_bitmap_mark(bitmap, LEN - 1, 1));
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(page_size_refused)
{
	const uint64_t bad[] = { 1, 32, 63, 65, 96, 4095, TOP };
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		vmmem_region_builder_set_tracking(builder, bad[i]);
		refuse(VMMEM_EARGUMENT);
	}
	vmmem_region_builder_set_tracking(builder, 0);
	vmmem_region_unref(build());
}
END_TEST

/* A builder is as it was, and keeps no bitmap of a region that failed. */
START_TEST(shared_bitmap)
{
	struct vmmem_bitmap *bitmap = bitmap_of(2 * LEN);
	struct vmmem_region *low, *high;

	vmmem_region_builder_set_bitmap(builder, bitmap, 1);
	low = build();
	ck_assert_ptr_eq(vmmem_region_bitmap(low), bitmap);
	ck_assert_uint_eq(vmmem_region_bitmap_offset(low), 1);
	vmmem_region_builder_set_bitmap(builder, bitmap, LEN);
	high = build();
	ck_assert_uint_eq(vmmem_region_bitmap_offset(high), LEN);
	vmmem_bitmap_unref(bitmap);
	vmmem_region_builder_set_bitmap(builder, NULL, 0);
	ck_assert_ptr_eq(vmmem_region_bitmap(low), bitmap);
	vmmem_region_unref(low);
	ck_assert_uint_eq(released, 0);
	vmmem_region_unref(high);
	ck_assert_uint_eq(released, 1);
	low = build();
	ck_assert_ptr_null(vmmem_region_bitmap(low));
	vmmem_region_unref(low);
}
END_TEST

START_TEST(builder_holds_the_bitmap)
{
	struct vmmem_bitmap *bitmap = bitmap_of(LEN);
	struct vmmem_region *region;

	vmmem_region_builder_set_bitmap(builder, bitmap, 0);
	vmmem_bitmap_unref(bitmap);
	/* The same once more: it must not be let go first. */
	vmmem_region_builder_set_bitmap(builder, bitmap, 0);
	ck_assert_uint_eq(released, 0);
	region = build();
	builder = vmmem_region_builder_free(builder);
	ck_assert_uint_eq(released, 0);
	vmmem_region_unref(region);
	ck_assert_uint_eq(released, 1);
}
END_TEST

/* The region's last byte is the bitmap's last byte at most. */
START_TEST(past_the_end_of_the_bitmap)
{
	const struct {
		uint64_t len, offset;
		int code;
	} rows[] = {
		{ LEN, 0, 0 },
		{ LEN, 1, VMMEM_EOUTOFRANGE },
		{ LEN - 1, 0, VMMEM_EOUTOFRANGE },
		{ 1, 0, VMMEM_EOUTOFRANGE },
		{ 2 * LEN, LEN, 0 },
		{ 2 * LEN, LEN + 1, VMMEM_EOUTOFRANGE },
		{ 2 * LEN, 2 * LEN - 1, VMMEM_EOUTOFRANGE },
		{ 2 * LEN, 2 * LEN, VMMEM_EOUTOFRANGE },
		{ 2 * LEN, TOP, VMMEM_EOUTOFRANGE },
		{ 2 * LEN, TOP - LEN + 1, VMMEM_EOUTOFRANGE },
		{ 2 * LEN, TOP - LEN + 2, VMMEM_EOUTOFRANGE },
	};
	struct vmmem_bitmap *bitmap;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		bitmap = bitmap_of(rows[i].len);
		vmmem_region_builder_set_bitmap(builder, bitmap,
						rows[i].offset);
		if (rows[i].code == 0)
			vmmem_region_unref(build());
		else
			refuse(rows[i].code);
		vmmem_region_builder_set_bitmap(builder, NULL, 0);
		ck_assert_uint_eq(released, 0);
		vmmem_bitmap_unref(bitmap);
		ck_assert_uint_eq(released, 1);
	}
}
END_TEST

/* One that can grow need not be longer than its length is now. */
START_TEST(growing_bitmap)
{
	struct vmmem_bitmap *bitmap;
	struct vmmem_region *region;
	struct vmmem_collection *guest;

	assert_ok(vmmem_bitmap_new(LEN - 1, 2 * LEN, 64, NULL, &bitmap));
	vmmem_region_builder_set_bitmap(builder, bitmap, 0);
	refuse(VMMEM_EOUTOFRANGE);
	assert_ok(vmmem_bitmap_grow(bitmap, LEN));
	region = build();
	assert_ok(vmmem_bitmap_start_logging(bitmap));
	guest = guest_of_one(region);
	assert_ok(vmmem_collection_write_u8(guest, GPA + LEN - 1, 1));
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, LEN - 1), 1);
	vmmem_collection_unref(guest);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* An alias, and an alias of it, are tracked where the bytes are. */
START_TEST(aliases)
{
	struct vmmem_bitmap *bitmap = bitmap_of(2 * LEN);
	struct vmmem_region *target, *view, *deeper;

	vmmem_region_builder_set_bitmap(builder, bitmap, 0x100);
	target = build();
	assert_ok(vmmem_region_new_alias(0, 0x1000, target, 0x1010, &view));
	assert_ok(vmmem_region_new_alias(0, 0x100, view, 0x20, &deeper));
	ck_assert_ptr_eq(vmmem_region_bitmap(view), bitmap);
	ck_assert_uint_eq(vmmem_region_bitmap_offset(view), 0x1110);
	ck_assert_ptr_eq(vmmem_region_bitmap(deeper), bitmap);
	ck_assert_uint_eq(vmmem_region_bitmap_offset(deeper), 0x1130);

	/* They keep it with their target. */
	vmmem_region_builder_set_bitmap(builder, NULL, 0);
	vmmem_bitmap_unref(bitmap);
	vmmem_region_unref(target);
	vmmem_region_unref(view);
	ck_assert_uint_eq(released, 0);
	vmmem_region_unref(deeper);
	ck_assert_uint_eq(released, 1);
}
END_TEST

/* An alias of what is not tracked may be; and who shows it shows its log. */
START_TEST(alias_with_a_log)
{
	struct vmmem_bitmap *bitmap = bitmap_of(2 * LEN);
	struct vmmem_region *target = build(), *view, *deeper;

	vmmem_region_builder_set_alias(builder, target, 0x1000);
	vmmem_region_builder_set_range(builder, 0, 0x1000);
	vmmem_region_builder_set_bitmap(builder, bitmap, 0x100);
	view = build();
	assert_ok(vmmem_region_new_alias(0, 0x100, view, 0x20, &deeper));
	ck_assert_ptr_null(vmmem_region_bitmap(target));
	ck_assert_ptr_eq(vmmem_region_bitmap(view), bitmap);
	ck_assert_uint_eq(vmmem_region_bitmap_offset(view), 0x100);
	ck_assert_ptr_eq(vmmem_region_bitmap(deeper), bitmap);
	ck_assert_uint_eq(vmmem_region_bitmap_offset(deeper), 0x120);
	ck_assert_ptr_eq(vmmem_region_alias_target(deeper), target);
	/* It is a log like any other: it must reach, and is the only one. */
	vmmem_region_builder_set_bitmap(builder, bitmap, 2 * LEN - 0xfff);
	refuse(VMMEM_EOUTOFRANGE);
	vmmem_region_builder_set_bitmap(builder, bitmap, 0);
	vmmem_region_builder_set_alias(builder, view, 0);
	refuse(VMMEM_EARGUMENT);

	vmmem_region_builder_set_alias(builder, target, 0);
	vmmem_region_builder_set_bitmap(builder, NULL, 0);
	vmmem_bitmap_unref(bitmap);
	vmmem_region_unref(target);
	vmmem_region_unref(view);
	ck_assert_uint_eq(released, 0);
	vmmem_region_unref(deeper);
	ck_assert_uint_eq(released, 1);
}
END_TEST

/* An alias of what is tracked takes no setting; a region has one bitmap. */
START_TEST(contradictions)
{
	struct vmmem_bitmap *bitmap = bitmap_of(2 * LEN);
	struct vmmem_region *target;

	vmmem_region_builder_set_tracking(builder, 64);
	target = build();
	vmmem_region_builder_set_tracking(builder, 64);
	vmmem_region_builder_set_bitmap(builder, bitmap, 0);
	refuse(VMMEM_EARGUMENT);
	vmmem_region_builder_set_alias(builder, target, 0);
	vmmem_region_builder_set_tracking(builder, 0);
	refuse(VMMEM_EARGUMENT);
	vmmem_region_builder_set_bitmap(builder, NULL, 0);
	vmmem_region_builder_set_tracking(builder, 64);
	refuse(VMMEM_EARGUMENT);
	vmmem_region_builder_set_tracking(builder, 0);
	vmmem_region_unref(build());
	vmmem_region_unref(target);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

START_TEST(null_builder)
{
	struct vmmem_bitmap *bitmap = bitmap_of(LEN);

	vmmem_region_builder_set_tracking(NULL, 64);
	vmmem_region_builder_set_bitmap(NULL, bitmap, 0);
	/* It took no reference. */
	vmmem_bitmap_unref(bitmap);
	ck_assert_uint_eq(released, 1);
}
END_TEST

/* Memory of others stays theirs if the region is not made. */
START_TEST(owner_is_not_told_of_a_failure)
{
	struct vmmem_bitmap *bitmap = bitmap_of(1);
	static uint8_t byte;

	vmmem_region_builder_set_external(builder,
					  (void *)((uintptr_t)&byte &
						   ~(uintptr_t)15),
					  release, bits);
	vmmem_region_builder_set_bitmap(builder, bitmap, 0);
	refuse(VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(released, 0);
	vmmem_region_builder_set_bitmap(builder, NULL, 0);
	vmmem_bitmap_unref(bitmap);
	ck_assert_uint_eq(released, 1);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("tracking");
	TCase *tcase = tcase_create("tracking");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, untracked);
	tcase_add_test(tcase, logging_from_the_start);
	tcase_add_loop_test(tcase, own_bitmap, 0,
			    (int)ARRAY_LEN(page_sizes));
	tcase_add_test(tcase, page_size_refused);
	tcase_add_test(tcase, shared_bitmap);
	tcase_add_test(tcase, builder_holds_the_bitmap);
	tcase_add_test(tcase, past_the_end_of_the_bitmap);
	tcase_add_test(tcase, growing_bitmap);
	tcase_add_test(tcase, aliases);
	tcase_add_test(tcase, alias_with_a_log);
	tcase_add_test(tcase, contradictions);
	tcase_add_test(tcase, null_builder);
	tcase_add_test(tcase, owner_is_not_told_of_a_failure);
	suite_add_tcase(suite, tcase);
	return suite;
}
