/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Slices: where they come from, parts of them, and what each function refuses.
 * What bytes do is in check_slice_bytes.c, walking in check_slice_walk.c, and
 * memory that is mapped on demand in check_slice_acquire.c.
 */
#include "slices.h"
#include "suite.h"

#define GPA UINT64_C(0x10000)
#define LEN UINT64_C(0x1000)

static struct vmmem_region *region;
static struct vmmem_collection *guest;
static uint8_t *host;

static void
setup(void)
{
	region = region_of(GPA, LEN);
	host = expect_host(region);
	assert_ok(vmmem_collection_new(&region, 1, &guest));
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
	region = vmmem_region_unref(region);
}

/* What a program may read of a slice, and what inline accessors read. */
static void
expect_slice(const struct vmmem_slice *slice, const void *at, uint64_t len,
	     uint32_t access)
{
	EXPECT(slice->host == at);
	EXPECT(slice->len == len);
	EXPECT(slice->access == access);
	EXPECT(slice->logging != NULL);
	EXPECT(*slice->logging == 0);
	EXPECT(slice->flags == 0);
	EXPECT(slice->reserved == 0);
	if (at == NULL) {
		EXPECT(slice->region == NULL);
		EXPECT(slice->gpa == 0);
		return;
	}
	EXPECT(slice->region != NULL);
	EXPECT(slice->gpa - vmmem_region_start(slice->region) ==
	       (uint64_t)((const uint8_t *)at - expect_host(slice->region)));
}

START_TEST(members)
{
	struct vmmem_slice slice;
	uint32_t access;

	for (access = 0; access <= READ_WRITE; access++) {
		slice_spoil(&slice);
		assert_ok(vmmem_region_slice(region, 16, 32, access, &slice));
		expect_slice(&slice, host + 16, 32, access);
		vmmem_slice_release(&slice);
		slice_spoil(&slice);
		assert_ok(vmmem_collection_slice(guest, GPA + 5, LEN - 5,
						 access, &slice));
		expect_slice(&slice, host + 5, LEN - 5, access);
		vmmem_slice_release(&slice);
		slice_spoil(&slice);
		assert_ok(vmmem_collection_next_slice(guest, GPA + 7, LEN,
						      access, &slice));
		expect_slice(&slice, host + 7, LEN - 7, access);
		vmmem_slice_release(&slice);
	}
	vmmem_slice_release(NULL);
}
END_TEST

/* Every range that is near a region of one byte to some, at both ends. */
static const uint64_t starts[] = {
	0, 0x1003, (UINT64_C(1) << 32) - 4, 1 /* the top */,
};

START_TEST(region_ranges)
{
	struct vmmem_slice slice;
	struct vmmem_region *small;
	uint64_t len, gpa, offset, size;
	unsigned int i, j;
	uint8_t *at;

	for (len = 1; len <= 20; len += 6) {
		gpa = starts[_i] != 1 ? starts[_i] : TOP - (len - 1);
		small = region_of(gpa, len);
		at = expect_host(small);
		for (i = 0; i < EDGES; i++) {
			for (j = 0; j < EDGES; j++) {
				offset = edge(i);
				size = edge(j);
				slice_spoil(&slice);
				if (!lies_within(len, offset, size)) {
					EXPECT_CODE(vmmem_region_slice(
							    small, offset,
							    size, 0, &slice),
						    VMMEM_EOUTOFRANGE);
					EXPECT(slice_is_spoilt(&slice));
					continue;
				}
				EXPECT_CODE(vmmem_region_slice(small, offset,
							     size, 0,
							     &slice), 0);
				expect_slice(&slice,
					     size != 0 ? at + offset : NULL,
					     size, 0);
			}
		}
		vmmem_region_unref(small);
	}
}
END_TEST

START_TEST(region_codes)
{
	struct vmmem_region *rom = region_with(0, LEN, VMMEM_PROT_READ);
	struct vmmem_region *none = region_with(0, LEN, 0);
	struct vmmem_slice slice;

	slice_spoil(&slice);
	assert_code(vmmem_region_slice(NULL, 0, 1, 0, &slice), VMMEM_EARGUMENT);
	assert_code(vmmem_region_slice(NULL, 0, 0, 0, &slice), VMMEM_EARGUMENT);
	assert_code(vmmem_region_slice(region, 0, 1, VMMEM_PROT_EXEC, &slice),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_slice(region, 0, 0, 1U << 31, &slice),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_slice(rom, 0, 1, READ_WRITE, &slice),
		    VMMEM_EDENIED);
	assert_code(vmmem_region_slice(rom, 0, 1, VMMEM_PROT_WRITE, &slice),
		    VMMEM_EDENIED);
	assert_code(vmmem_region_slice(none, 0, 1, VMMEM_PROT_READ, &slice),
		    VMMEM_EDENIED);
	ck_assert(slice_is_spoilt(&slice));
	assert_code(vmmem_region_slice(region, 0, 1, 0, NULL), VMMEM_EARGUMENT);
	assert_ok(vmmem_region_slice(rom, 0, 1, VMMEM_PROT_READ, &slice));
	assert_ok(vmmem_region_slice(none, 0, 1, 0, &slice));
	vmmem_region_unref(rom);
	vmmem_region_unref(none);
}
END_TEST

/* Two regions that touch, a hole, and one that ends with the last byte. */
START_TEST(collection_codes)
{
	struct vmmem_region *regions[] = {
		region_of(0x1000, LEN),
		region_with(0x2000, LEN, VMMEM_PROT_READ),
		region_of(TOP - (2 * LEN - 1), LEN),
		region_of(TOP - (LEN - 1), LEN),
	};
	struct vmmem_collection *map = guest_of(regions, 4);
	const struct {
		uint64_t gpa, len;
		uint32_t access;
		int code;
	} rows[] = {
		{ 0xfff, 1, 0, VMMEM_EBADADDR },
		{ 0xfff, 2, 0, VMMEM_EBADADDR },
		{ 0x3000, 1, 0, VMMEM_EBADADDR },
		{ 0x2fff, 2, 0, VMMEM_EBADADDR },
		{ 0x1fff, 0x1002, 0, VMMEM_EBADADDR },
		{ 0, TOP, 0, VMMEM_EBADADDR },
		{ 0x1000, TOP, 0, VMMEM_EBADADDR },
		{ 0x1fff, 2, 0, VMMEM_ECROSS },
		{ 0x1000, 2 * LEN, VMMEM_PROT_READ, VMMEM_ECROSS },
		{ TOP - LEN, 2, 0, VMMEM_ECROSS },
		{ TOP - (2 * LEN - 1), 2 * LEN, 0, VMMEM_ECROSS },
		{ TOP - (2 * LEN - 1), 2 * LEN + 1, 0, VMMEM_EWRAPS },
		{ TOP, 2, 0, VMMEM_EWRAPS },
		{ TOP, TOP, 0, VMMEM_EWRAPS },
		{ 0x2000, LEN, VMMEM_PROT_WRITE, VMMEM_EDENIED },
		{ 0x2000, LEN, VMMEM_PROT_EXEC, VMMEM_EARGUMENT },
		{ 0x2000, 0, VMMEM_PROT_EXEC, VMMEM_EARGUMENT },
		{ 0x1000, LEN, READ_WRITE, 0 },
		{ 0x2000, LEN, VMMEM_PROT_READ, 0 },
		{ TOP, 1, READ_WRITE, 0 },
		{ TOP - (LEN - 1), LEN, READ_WRITE, 0 },
		{ 0, 0, READ_WRITE, 0 },
		{ TOP, 0, READ_WRITE, 0 },
		{ 0x2000, 0, VMMEM_PROT_WRITE, 0 },
	};
	struct vmmem_slice slice;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		slice_spoil(&slice);
		assert_code(vmmem_collection_slice(map, rows[i].gpa,
						   rows[i].len,
						   rows[i].access, &slice),
			    rows[i].code);
		if (rows[i].code != 0)
			ck_assert(slice_is_spoilt(&slice));
		else
			expect_slice(&slice,
				     rows[i].len != 0 ?
					     host_of(map, rows[i].gpa) :
					     NULL,
				     rows[i].len, rows[i].access);
	}
	assert_code(vmmem_collection_slice(NULL, 0, 0, 0, &slice),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_slice(map, 0, 0, 0, NULL),
		    VMMEM_EARGUMENT);
	vmmem_collection_unref(map);
}
END_TEST

/* A slice cannot be had, so this is not called. */
static int
never_read(void *opaque, uint64_t offset, void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	ck_abort_msg("read(%ju, %zu) to %p", (uintmax_t)offset, len, buf);
	return -EIO;
}

START_TEST(without_host_address)
{
	struct vmmem_slice slice;
	struct vmmem_region *device;
	struct vmmem_collection *map;
	const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.read = never_read,
	};

	assert_ok(vmmem_region_new_custom(0, 64, &ops, NULL, &device));
	assert_ok(vmmem_collection_new(&device, 1, &map));
	slice_spoil(&slice);
	assert_code(vmmem_region_slice(device, 0, 8, VMMEM_PROT_READ, &slice),
		    VMMEM_ENOHOST);
	assert_code(vmmem_collection_slice(map, 0, 8, VMMEM_PROT_READ, &slice),
		    VMMEM_ENOHOST);
	assert_code(vmmem_collection_next_slice(map, 0, 8, VMMEM_PROT_READ,
						&slice),
		    VMMEM_ENOHOST);
	ck_assert(slice_is_spoilt(&slice));
	vmmem_collection_unref(map);
	vmmem_region_unref(device);
}
END_TEST

/* A part is where it says, or refused and the output untouched. */
START_TEST(parts)
{
	struct vmmem_slice slice, part, first, second;
	uint64_t len, offset, size;
	unsigned int i, j;
	int good;

	for (len = 0; len <= 20; len += 5) {
		slice = slice_of(region, 32, len);
		for (i = 0; i < EDGES; i++) {
			offset = edge(i);
			for (j = 0; j < EDGES; j++) {
				size = edge(j);
				good = lies_within(len, offset, size);
				slice_spoil(&part);
				EXPECT_CODE(vmmem_slice_sub(&slice, offset,
							    size, &part),
					    good ? 0 : VMMEM_EOUTOFRANGE);
				if (!good)
					EXPECT(slice_is_spoilt(&part));
				else if (size != 0)
					expect_slice(&part, host + 32 + offset,
						     size, READ_WRITE);
				else
					EXPECT(part.len == 0);
			}
			good = offset <= len;
			slice_spoil(&part);
			slice_spoil(&first);
			slice_spoil(&second);
			EXPECT_CODE(vmmem_slice_skip(&slice, offset, &part),
				    good ? 0 : VMMEM_EOUTOFRANGE);
			EXPECT_CODE(vmmem_slice_split(&slice, offset, &first,
						      &second),
				    good ? 0 : VMMEM_EOUTOFRANGE);
			if (!good) {
				EXPECT(slice_is_spoilt(&part));
				EXPECT(slice_is_spoilt(&first));
				EXPECT(slice_is_spoilt(&second));
				continue;
			}
			EXPECT(first.len == offset);
			EXPECT(second.len == len - offset);
			EXPECT(part.len == len - offset);
			if (offset != 0)
				expect_slice(&first, host + 32, offset,
					     READ_WRITE);
			if (offset != len) {
				expect_slice(&second, host + 32 + offset,
					     len - offset, READ_WRITE);
				expect_slice(&part, second.host, second.len,
					     READ_WRITE);
			}
		}
	}
}
END_TEST

/* vmmem/slice.h: 'host' is NULL if 'len' is 0, however the slice was made. */
START_TEST(empty_slices)
{
	struct vmmem_slice whole = slice_of(region, 0, 16), slice, rest;

	assert_ok(vmmem_region_slice(region, TOP, 0, READ_WRITE, &slice));
	expect_slice(&slice, NULL, 0, READ_WRITE);
	assert_ok(vmmem_collection_slice(guest, 0, 0, READ_WRITE, &slice));
	expect_slice(&slice, NULL, 0, READ_WRITE);
	assert_ok(vmmem_collection_next_slice(guest, TOP, 0, 0, &slice));
	expect_slice(&slice, NULL, 0, 0);
	assert_ok(vmmem_slice_sub(&whole, 4, 0, &slice));
	expect_slice(&slice, NULL, 0, READ_WRITE);
	assert_ok(vmmem_slice_sub(&whole, TOP, 0, &slice));
	expect_slice(&slice, NULL, 0, READ_WRITE);
	assert_ok(vmmem_slice_skip(&whole, 16, &slice));
	expect_slice(&slice, NULL, 0, READ_WRITE);
	assert_ok(vmmem_slice_split(&whole, 0, &slice, &rest));
	expect_slice(&slice, NULL, 0, READ_WRITE);
	assert_ok(vmmem_slice_split(&whole, 16, &rest, &slice));
	expect_slice(&slice, NULL, 0, READ_WRITE);
}
END_TEST

/* An empty slice is a slice: nothing of it, anywhere, can be had. */
START_TEST(use_of_an_empty_slice)
{
	struct vmmem_slice whole = slice_of(region, 0, 16);
	struct vmmem_slice empties[3], part;
	uint8_t byte = 7;
	uint64_t value = 7;
	size_t i, done = 7;

	assert_ok(vmmem_region_slice(region, 3, 0, READ_WRITE, &empties[0]));
	assert_ok(vmmem_slice_sub(&whole, 8, 0, &empties[1]));
	assert_ok(vmmem_slice_skip(&whole, 16, &empties[2]));
	for (i = 0; i < ARRAY_LEN(empties); i++) {
		struct vmmem_slice *empty = &empties[i];

		assert_ok(vmmem_slice_read(empty, 5, NULL, 0));
		assert_ok(vmmem_slice_write(empty, TOP, NULL, 0));
		assert_ok(vmmem_slice_fill(empty, TOP, 0, 1));
		assert_ok(vmmem_slice_mark(empty, TOP, 0));
		assert_ok(vmmem_slice_copy(empty, 1, empty, 2, 0));
		assert_ok(vmmem_slice_sub(empty, 1, 0, &part));
		assert_ok(vmmem_slice_skip(empty, 0, &part));
		assert_code(vmmem_slice_skip(empty, 1, &part),
			    VMMEM_EOUTOFRANGE);
		assert_code(vmmem_slice_read(empty, 0, &byte, 1),
			    VMMEM_EOUTOFRANGE);
		assert_code(vmmem_slice_write(empty, 0, &byte, 1),
			    VMMEM_EOUTOFRANGE);
		assert_code(vmmem_slice_fill(empty, 0, 1, 9),
			    VMMEM_EOUTOFRANGE);
		assert_code(vmmem_slice_mark(empty, 0, 1), VMMEM_EOUTOFRANGE);
		assert_code(vmmem_slice_copy(empty, 0, &whole, 0, 1),
			    VMMEM_EOUTOFRANGE);
		assert_code(vmmem_slice_copy(&whole, 0, empty, 0, 1),
			    VMMEM_EOUTOFRANGE);
		assert_code(vmmem_slice_read_some(empty, 0, &byte, 1, &done),
			    VMMEM_EOUTOFRANGE);
		ck_assert_uint_eq(done, 0);
		assert_code(vmmem_slice_read_u64(empty, 0, &value),
			    VMMEM_EOUTOFRANGE);
		assert_code(vmmem_slice_write_u8(empty, 0, 1),
			    VMMEM_EOUTOFRANGE);
		assert_code(vmmem_slice_load_u64(empty, 0, VMMEM_ORDER_RELAXED,
						 &value),
			    VMMEM_EOUTOFRANGE);
		vmmem_slice_release(empty);
	}
	ck_assert_uint_eq(value, 7);
	ck_assert(all_are(host, 0, 32));
}
END_TEST

START_TEST(part_of_itself)
{
	struct vmmem_slice slice = slice_of(region, 16, 64);

	assert_ok(vmmem_slice_sub(&slice, 8, 40, &slice));
	expect_slice(&slice, host + 24, 40, READ_WRITE);
	assert_ok(vmmem_slice_skip(&slice, 8, &slice));
	expect_slice(&slice, host + 32, 32, READ_WRITE);
	assert_code(vmmem_slice_sub(&slice, 8, 25, &slice),
		    VMMEM_EOUTOFRANGE);
	expect_slice(&slice, host + 32, 32, READ_WRITE);
}
END_TEST

/* Parts have the permissions of the whole, and nothing adds to them. */
START_TEST(parts_of_a_read_only_slice)
{
	struct vmmem_slice slice = slice_with(region, 0, 64, VMMEM_PROT_READ);
	struct vmmem_slice part, rest;

	assert_ok(vmmem_slice_sub(&slice, 8, 8, &part));
	ck_assert_uint_eq(part.access, VMMEM_PROT_READ);
	assert_code(vmmem_slice_write(&part, 0, "x", 1), VMMEM_EDENIED);
	assert_ok(vmmem_slice_split(&slice, 8, &part, &rest));
	assert_code(vmmem_slice_fill(&part, 0, 1, 1), VMMEM_EDENIED);
	assert_code(vmmem_slice_fill(&rest, 0, 1, 1), VMMEM_EDENIED);
	ck_assert(all_are(host, 0, 64));
}
END_TEST

START_TEST(null_pointers)
{
	const struct vmmem_slice slice = slice_of(region, 0, 64);
	struct vmmem_slice part;
	uint8_t byte;
	size_t done = 7;

	slice_spoil(&part);
	assert_code(vmmem_slice_sub(NULL, 0, 0, &part), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_sub(&slice, 0, 0, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_skip(NULL, 0, &part), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_skip(&slice, 0, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_split(NULL, 0, &part, &part), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_split(&slice, 0, NULL, &part), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_split(&slice, 0, &part, NULL), VMMEM_EARGUMENT);
	ck_assert(slice_is_spoilt(&part));
	assert_code(vmmem_slice_mark(NULL, 0, 0), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_read(NULL, 0, &byte, 1), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_read(&slice, 0, NULL, 1), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_write(NULL, 0, &byte, 1), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_write(&slice, 0, NULL, 1), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_read_some(NULL, 0, &byte, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_read_some(&slice, 0, NULL, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_write_some(NULL, 0, &byte, 1, &done),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_write_some(&slice, 0, NULL, 1, &done),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(done, 7);
	assert_code(vmmem_slice_fill(NULL, 0, 1, 0), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_copy(NULL, 0, &slice, 0, 1), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_copy(&slice, 0, NULL, 0, 1), VMMEM_EARGUMENT);
	assert_ok(vmmem_slice_read_some(&slice, 0, &byte, 1, NULL));
	assert_ok(vmmem_slice_write_some(&slice, 0, &byte, 1, NULL));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("slice");
	TCase *tcase = tcase_create("slice");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, members);
	tcase_add_loop_test(tcase, region_ranges, 0, (int)ARRAY_LEN(starts));
	tcase_add_test(tcase, region_codes);
	tcase_add_test(tcase, collection_codes);
	tcase_add_test(tcase, without_host_address);
	tcase_add_test(tcase, parts);
	tcase_add_test(tcase, empty_slices);
	tcase_add_test(tcase, use_of_an_empty_slice);
	tcase_add_test(tcase, part_of_itself);
	tcase_add_test(tcase, parts_of_a_read_only_slice);
	tcase_add_test(tcase, null_pointers);
	suite_add_tcase(suite, tcase);
	return suite;
}
