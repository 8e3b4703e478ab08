/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Memory that is mapped on demand: each acquire() is undone by one release()
 * with the same arguments, whatever happens in between.
 */
#include "slices.h"
#include "suite.h"

#define GPA UINT64_C(0x40000)

static struct grants grants;
static struct vmmem_region *region;
static struct vmmem_collection *guest;

static void
setup(void)
{
	region = region_of_grants(GPA, &grants);
	assert_ok(vmmem_collection_new(&region, 1, &guest));
	pattern(grants.bytes, GRANTS_LEN, 5);
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
	region = vmmem_region_unref(region);
	ck_assert_uint_eq(grants.acquired, grants.released);
}

static void
expect_grant(const struct grant *grant, uint64_t offset, uint64_t len,
	     uint32_t access)
{
	ck_assert_uint_eq(grant->offset, offset);
	ck_assert_uint_eq(grant->len, len);
	ck_assert_uint_eq(grant->access, access);
	ck_assert_ptr_eq(grant->host, grants.bytes + offset);
}

START_TEST(slices)
{
	struct vmmem_slice one, two, three;

	assert_ok(vmmem_region_slice(region, 16, 32, VMMEM_PROT_READ, &one));
	assert_ok(vmmem_collection_slice(guest, GPA + 5, 7, READ_WRITE, &two));
	assert_ok(vmmem_collection_next_slice(guest, GPA + 100, TOP / 2,
					      VMMEM_PROT_WRITE, &three));
	ck_assert_uint_eq(grants.acquired, 3);
	ck_assert_uint_eq(grants.released, 0);
	expect_grant(&grants.acquires[0], 16, 32, VMMEM_PROT_READ);
	expect_grant(&grants.acquires[1], 5, 7, READ_WRITE);
	expect_grant(&grants.acquires[2], 100, GRANTS_LEN - 100,
		     VMMEM_PROT_WRITE);
	ck_assert_ptr_eq(one.host, grants.bytes + 16);
	ck_assert_uint_eq(one.flags, VMMEM_SLICE_FLAG_ACQUIRED);
	ck_assert_ptr_eq(one.region, region);
	ck_assert_uint_eq(one.gpa, GPA + 16);
	ck_assert_uint_eq(two.gpa, GPA + 5);
	ck_assert_uint_eq(three.gpa, GPA + 100);
	assert_ok(vmmem_slice_write(&two, 0, "granted", 7));
	ck_assert_mem_eq(grants.bytes + 5, "granted", 7);

	vmmem_slice_release(&one);
	vmmem_slice_release(&two);
	vmmem_slice_release(&three);
	expect_grants(&grants, 3);
}
END_TEST

/* What a slice is after its release: of no bytes, and nobody's. */
static void
expect_released(const struct vmmem_slice *slice)
{
	uint8_t value = 7;

	ck_assert_uint_eq(slice->flags, 0);
	ck_assert_ptr_null(slice->region);
	ck_assert_uint_eq(slice->gpa, 0);
	ck_assert_ptr_null(slice->host);
	ck_assert_uint_eq(slice->len, 0);
	assert_code(vmmem_slice_read_u8(slice, 0, &value), VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(value, 7);
	assert_code(vmmem_slice_fill(slice, 0, 1, 9), VMMEM_EOUTOFRANGE);
	assert_ok(vmmem_slice_fill(slice, 0, 0, 9));
	assert_ok(vmmem_slice_mark(slice, 0, 0));
}

/* An error path and a cleanup path may both release. */
START_TEST(released_twice)
{
	struct vmmem_slice slice = { .len = 0 }, again;
	struct vmmem_region *plain = region_of(0, 0x1000);

	vmmem_slice_release(&slice);
	expect_released(&slice);
	assert_ok(vmmem_region_slice(region, 16, 32, READ_WRITE, &slice));
	assert_ok(vmmem_region_slice(region, 16, 32, READ_WRITE, &again));
	vmmem_slice_release(&slice);
	expect_released(&slice);
	vmmem_slice_release(&slice);
	expect_released(&slice);
	ck_assert_uint_eq(grants.acquired, 2);
	ck_assert_uint_eq(grants.released, 1);
	expect_grant(&grants.releases[0], 16, 32, READ_WRITE);
	vmmem_slice_release(&again);
	expect_grants(&grants, 2);

	assert_ok(vmmem_region_slice(plain, 16, 32, READ_WRITE, &slice));
	vmmem_slice_release(&slice);
	expect_released(&slice);
	vmmem_slice_release(&slice);
	vmmem_region_unref(plain);
	/* It reads nothing of a region that is gone. */
	expect_released(&slice);
}
END_TEST

/* What is made from a slice is the slice's to release. */
START_TEST(parts_are_not_released)
{
	struct vmmem_slice whole, part, first, second;

	assert_ok(vmmem_region_slice(region, 0, 64, READ_WRITE, &whole));
	assert_ok(vmmem_slice_sub(&whole, 0, 64, &part));
	ck_assert_uint_eq(part.flags, 0);
	vmmem_slice_release(&part);
	assert_ok(vmmem_slice_skip(&whole, 0, &part));
	ck_assert_uint_eq(part.flags, 0);
	vmmem_slice_release(&part);
	assert_ok(vmmem_slice_split(&whole, 20, &first, &second));
	ck_assert_uint_eq(first.flags, 0);
	ck_assert_uint_eq(second.flags, 0);
	ck_assert_ptr_eq(second.region, region);
	ck_assert_uint_eq(second.gpa, GPA + 20);
	vmmem_slice_release(&first);
	vmmem_slice_release(&second);
	ck_assert_uint_eq(grants.released, 0);
	vmmem_slice_release(&whole);
	expect_grants(&grants, 1);
}
END_TEST

START_TEST(nothing_is_not_acquired)
{
	struct vmmem_slice slice;

	assert_ok(vmmem_region_slice(region, 0, 0, READ_WRITE, &slice));
	vmmem_slice_release(&slice);
	assert_ok(vmmem_collection_slice(guest, GPA, 0, READ_WRITE, &slice));
	vmmem_slice_release(&slice);
	assert_ok(vmmem_collection_next_slice(guest, GPA, 0, 0, &slice));
	vmmem_slice_release(&slice);
	assert_code(vmmem_region_slice(region, GRANTS_LEN, 1, 0, &slice),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_collection_slice(guest, GPA - 1, 2, 0, &slice),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(grants.acquired, 0);
	ck_assert_uint_eq(grants.released, 0);
}
END_TEST

/* A failing acquire() is not released; one that lied is. */
static const struct {
	int code;
	int null;
	unsigned int skew;
	int wanted;
	unsigned int releases;
} failures[] = {
	{ -EACCES, 0, 0, -EACCES, 0 },
	{ -4095, 0, 0, -4095, 0 },
	{ VMMEM_EDENIED, 0, 0, VMMEM_EDENIED, 0 },
	{ -1000000, 0, 0, -1000000, 0 },
	{ 1, 0, 0, VMMEM_ECALLBACK, 0 },
	{ INT32_MAX, 0, 0, VMMEM_ECALLBACK, 0 },
	{ 0, 1, 0, VMMEM_EARGUMENT, 1 },
	{ 0, 0, 1, VMMEM_ECONGRUENCE, 1 },
	{ 0, 0, 8, VMMEM_ECONGRUENCE, 1 },
	{ 0, 0, 15, VMMEM_ECONGRUENCE, 1 },
};

START_TEST(failing)
{
	const int wanted = failures[_i].wanted;
	const unsigned int releases = failures[_i].releases;
	struct vmmem_slice slice;
	uint8_t buf[8] = "unread";
	size_t done = 7;
	uint64_t value = 7;

	slice_spoil(&slice);
	grants.code = failures[_i].code;
	grants.null = failures[_i].null;
	grants.skew = failures[_i].skew;
	assert_code(vmmem_region_slice(region, 16, 8, READ_WRITE, &slice),
		    wanted);
	assert_code(vmmem_collection_slice(guest, GPA, 8, VMMEM_PROT_READ,
					   &slice), wanted);
	assert_code(vmmem_collection_next_slice(guest, GPA, 8, 0, &slice),
		    wanted);
	ck_assert(slice_is_spoilt(&slice));
	expect_grants(&grants, 3 * releases);

	/* There are no read() and write(): accesses come here too. */
	assert_code(vmmem_collection_read(guest, GPA, buf, 8, &done), wanted);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_read_u64(guest, GPA + 8, &value),
		    wanted);
	assert_code(vmmem_collection_write(guest, GPA, buf, 8, &done),
		    wanted);
	ck_assert_uint_eq(done, 0);
	ck_assert_str_eq((char *)buf, "unread");
	ck_assert_uint_eq(value, 7);
	expect_grants(&grants, 6 * releases);
}
END_TEST

/* Accesses by guest address acquire what they touch, and let go of it. */
START_TEST(accesses)
{
	uint8_t buf[100], wanted[100];
	uint64_t value = 0;
	size_t done;

	memcpy(wanted, grants.bytes + 10, sizeof(wanted));
	assert_ok(vmmem_collection_read(guest, GPA + 10, buf, 100, &done));
	ck_assert_mem_eq(buf, wanted, sizeof(wanted));
	expect_grants(&grants, 1);
	expect_grant(&grants.acquires[0], 10, 100, VMMEM_PROT_READ);
	assert_ok(vmmem_collection_write(guest, GPA + 300, buf, 100, &done));
	ck_assert_mem_eq(grants.bytes + 300, wanted, sizeof(wanted));
	expect_grants(&grants, 2);
	expect_grant(&grants.acquires[1], 300, 100, VMMEM_PROT_WRITE);

	assert_ok(vmmem_collection_write_le64(guest, GPA + 11, 0x1122));
	assert_ok(vmmem_collection_read_le64(guest, GPA + 11, &value));
	ck_assert_uint_eq(value, 0x1122);
	expect_grants(&grants, 4);
	assert_ok(vmmem_collection_fill(guest, GPA, 3000, 0x61, &value));
	ck_assert_uint_eq(value, 3000);
	ck_assert(all_are(grants.bytes, 0x61, 3000));
	assert_ok(vmmem_collection_copy(guest, GPA + 3000, GPA + 2990, 600,
					&value));
	ck_assert(all_are(grants.bytes, 0x61, 3010));
	ck_assert_uint_eq(grants.acquired, grants.released);
	/* An atomic cannot wait for a callback. */
	assert_code(vmmem_collection_load_u64(guest, GPA,
					      VMMEM_ORDER_RELAXED, &value),
		    VMMEM_ENOHOST);
}
END_TEST

static int
read_zeros(void *opaque, uint64_t offset, void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	memset(buf, 0, len);
	return 0;
}

/* read() is preferred where it is there; slices and writes still acquire. */
START_TEST(read_and_acquire)
{
	struct vmmem_region_ops ops = grants_ops;
	struct vmmem_region *both;
	struct vmmem_collection *map;
	struct vmmem_slice slice;
	uint8_t buf[8];

	ops.read = read_zeros;
	assert_ok(vmmem_region_new_custom(0, GRANTS_LEN, &ops, &grants,
					  &both));
	ck_assert_uint_eq(vmmem_region_protection(both), READ_WRITE);
	map = guest_of_one(both);
	assert_ok(vmmem_collection_read(map, 0, buf, 8, NULL));
	ck_assert(all_are(buf, 0, 8));
	ck_assert_uint_eq(grants.acquired, 0);
	assert_ok(vmmem_collection_write(map, 0, buf, 8, NULL));
	ck_assert(all_are(grants.bytes, 0, 8));
	assert_ok(vmmem_collection_slice(map, 0, 8, VMMEM_PROT_READ, &slice));
	vmmem_slice_release(&slice);
	expect_grants(&grants, 2);
	vmmem_collection_unref(map);
}
END_TEST

/* The target's callbacks are asked for the target's offsets. */
START_TEST(alias)
{
	struct vmmem_region *view, *rom;
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_collection *map;
	struct vmmem_slice slice;
	uint8_t buf[8];

	assert_ok(vmmem_region_new_alias(0, 0x100, region, 0x200, &view));
	assert_ok(vmmem_region_slice(view, 0x10, 0x20, READ_WRITE, &slice));
	ck_assert_ptr_eq(slice.host, grants.bytes + 0x210);
	vmmem_slice_release(&slice);
	expect_grants(&grants, 1);
	expect_grant(&grants.acquires[0], 0x210, 0x20, READ_WRITE);
	map = guest_of_one(view);
	assert_ok(vmmem_collection_read(map, 0xf8, buf, 8, NULL));
	ck_assert_mem_eq(buf, grants.bytes + 0x2f8, 8);
	expect_grants(&grants, 2);
	expect_grant(&grants.acquires[1], 0x2f8, 8, VMMEM_PROT_READ);
	vmmem_collection_unref(map);

	/* A view that permits less is refused before anything is mapped. */
	vmmem_region_builder_set_range(builder, 0, 0x100);
	vmmem_region_builder_set_alias(builder, region, 0x200);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	assert_ok(vmmem_region_builder_build(builder, &rom));
	vmmem_region_builder_free(builder);
	assert_code(vmmem_region_slice(rom, 0, 8, READ_WRITE, &slice),
		    VMMEM_EDENIED);
	expect_grants(&grants, 2);
	vmmem_region_unref(rom);
}
END_TEST

/* A slice of a tracked region is released by its offset in the region. */
START_TEST(tracked)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *log, *view;
	struct vmmem_bitmap *bitmap;
	struct vmmem_slice slice;

	assert_ok(vmmem_bitmap_new(0x10000, 0, 64, NULL, &bitmap));
	vmmem_region_builder_set_range(builder, GPA, GRANTS_LEN);
	vmmem_region_builder_set_custom(builder, &grants_ops, &grants);
	vmmem_region_builder_set_bitmap(builder, bitmap, 0x1230);
	assert_ok(vmmem_region_builder_build(builder, &log));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_bitmap_start_logging(bitmap));

	assert_ok(vmmem_region_slice(log, 0x40, 0x20, READ_WRITE, &slice));
	assert_ok(vmmem_slice_store_u32(&slice, 0x1c, 1,
					VMMEM_ORDER_RELAXED));
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 0x1230 + 0x5c), 1);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 1);
	vmmem_slice_release(&slice);
	expect_grants(&grants, 1);
	expect_grant(&grants.acquires[0], 0x40, 0x20, READ_WRITE);

	assert_ok(vmmem_region_new_alias(0, 0x100, log, 0x300, &view));
	assert_ok(vmmem_region_slice(view, 0x40, 0x20, READ_WRITE, &slice));
	assert_ok(vmmem_slice_fill(&slice, 0, 1, 1));
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 0x1230 + 0x340), 1);
	vmmem_slice_release(&slice);
	expect_grants(&grants, 2);
	expect_grant(&grants.acquires[1], 0x340, 0x20, READ_WRITE);
	vmmem_region_unref(view);
	vmmem_region_unref(log);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* On-demand regions that touch are acquired one by one. */
START_TEST(walking)
{
	static struct grants more;
	struct vmmem_region *regions[] = {
		vmmem_region_ref(region),
		region_of_grants(GPA + GRANTS_LEN, &more),
	};
	struct vmmem_collection *map = guest_of(regions, 2);
	struct vmmem_slice slice;

	assert_ok(vmmem_collection_next_slice(map, GPA + 8, 2 * GRANTS_LEN,
					      VMMEM_PROT_READ, &slice));
	ck_assert_uint_eq(slice.len, GRANTS_LEN - 8);
	ck_assert_uint_eq(more.acquired, 0);
	vmmem_slice_release(&slice);
	assert_ok(vmmem_collection_next_slice(map, GPA + GRANTS_LEN, 9,
					      VMMEM_PROT_READ, &slice));
	ck_assert_uint_eq(slice.len, 9);
	vmmem_slice_release(&slice);
	expect_grants(&grants, 1);
	expect_grants(&more, 1);
	vmmem_collection_unref(map);
}
END_TEST

/* release() is optional; so are read() and write() beside acquire(). */
/* How often, and what its owner releases once more. */
struct twice {
	struct vmmem_slice slice;
	unsigned int released;
};

static unsigned char bytes_of_twice[16] __attribute__((aligned(16)));

static int
acquire_twice(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	      void **ret_host)
{
	(void)opaque;
	(void)len;
	(void)access;
	*ret_host = bytes_of_twice + offset;
	return 0;
}

static void
release_twice(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	      void *host)
{
	struct twice *twice = opaque;

	ck_assert_uint_eq(len, 8);
	ck_assert_uint_eq(access, READ_WRITE);
	ck_assert_ptr_eq(host, bytes_of_twice + offset);
	twice->released++;
	/* Within its own release a slice is empty already. */
	vmmem_slice_release(&twice->slice);
}

START_TEST(released_in_its_own_release)
{
	const struct vmmem_region_ops ops = { .size = sizeof(ops),
					      .acquire = acquire_twice,
					      .release = release_twice };
	struct twice twice = { .released = 0 };
	struct vmmem_region *custom;

	assert_ok(vmmem_region_new_custom(0, sizeof(bytes_of_twice), &ops,
					  &twice, &custom));
	assert_ok(vmmem_region_slice(custom, 8, 8, READ_WRITE, &twice.slice));
	vmmem_slice_release(&twice.slice);
	ck_assert_uint_eq(twice.released, 1);
	expect_released(&twice.slice);
	vmmem_slice_release(&twice.slice);
	ck_assert_uint_eq(twice.released, 1);
	vmmem_region_unref(custom);
}
END_TEST

START_TEST(without_release)
{
	struct vmmem_region_ops ops = grants_ops;
	struct vmmem_region *keep;
	struct vmmem_slice slice;

	ops.release = NULL;
	assert_ok(vmmem_region_new_custom(0, GRANTS_LEN, &ops, &grants,
					  &keep));
	assert_ok(vmmem_region_slice(keep, 0, 8, READ_WRITE, &slice));
	vmmem_slice_release(&slice);
	ck_assert_uint_eq(grants.acquired, 1);
	ck_assert_uint_eq(grants.released, 0);
	grants.acquired = 0;
	vmmem_region_unref(keep);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("slice_acquire");
	TCase *tcase = tcase_create("slice_acquire");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, slices);
	tcase_add_test(tcase, released_twice);
	tcase_add_test(tcase, parts_are_not_released);
	tcase_add_test(tcase, nothing_is_not_acquired);
	tcase_add_loop_test(tcase, failing, 0, (int)ARRAY_LEN(failures));
	tcase_add_test(tcase, accesses);
	tcase_add_test(tcase, read_and_acquire);
	tcase_add_test(tcase, alias);
	tcase_add_test(tcase, tracked);
	tcase_add_test(tcase, walking);
	tcase_add_test(tcase, released_in_its_own_release);
	tcase_add_test(tcase, without_release);
	suite_add_tcase(suite, tcase);
	return suite;
}
