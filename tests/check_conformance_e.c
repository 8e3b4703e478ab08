/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Slices: what vm-memory 0.18 does, and whether libvmmem matches it, fixes it
 * or differs on purpose.  docs/conformance.md is the table of all marks.  What
 * slices add to A3, A8, A17 and A18 stands here too.
 */
#include "slices.h"
#include "suite.h"

#define GPA UINT64_C(0x1000)
#define LEN 64

static struct vmmem_region *region;
static struct vmmem_collection *guest;
static struct vmmem_slice slice;
static uint8_t *host;

static void
setup(void)
{
	struct vmmem_region *regions[2];

	region = region_of(GPA, LEN);
	host = expect_host(region);
	pattern(host, LEN, 1);
	slice = slice_of(region, 0, LEN);
	regions[0] = vmmem_region_ref(region);
	regions[1] = region_of(GPA + LEN, LEN);
	guest = guest_of(regions, 2);
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
	region = vmmem_region_unref(region);
}

/*
 * vm-memory: copying a slice to an array of a type without size divides by
 * zero and panics.
 * fix: an element of no size is VMMEM_EARGUMENT.
 */
START_TEST(e1_read_elements_of_no_size)
{
	uint8_t buf[4] = { 7, 7, 7, 7 };

	assert_code(vmmem_slice_read_elements(&slice, 0, 0, 4, buf),
		    VMMEM_EARGUMENT);
	ck_assert(all_are(buf, 7, 4));
}
END_TEST

/*
 * vm-memory: the same the other way panics too.
 * fix: as E1.
 */
START_TEST(e2_write_elements_of_no_size)
{
	uint8_t before[LEN], buf[4] = { 7, 7, 7, 7 };

	memcpy(before, host, LEN);
	assert_code(vmmem_slice_write_elements(&slice, 0, 0, 4, buf),
		    VMMEM_EARGUMENT);
	ck_assert_mem_eq(host, before, LEN);
}
END_TEST

/*
 * vm-memory: an array reference of a type without size can be made, and panics
 * when it is copied.
 * fix: as E1; a copy between arrays checks the same.
 */
START_TEST(e3_copy_elements_of_no_size)
{
	uint8_t before[LEN];

	memcpy(before, host, LEN);
	assert_code(vmmem_slice_copy_elements(&slice, 0, &slice, 8, 0, 4),
		    VMMEM_EARGUMENT);
	ck_assert_mem_eq(host, before, LEN);
}
END_TEST

/*
 * vm-memory: the guard of an array of 4 elements of 8 bytes says that it is 4
 * bytes long, so a backing that maps on demand maps too little.
 * fix: lengths are in bytes, and what is acquired is the slice.
 */
START_TEST(e4_lengths_are_bytes)
{
	static struct grants grants;
	struct vmmem_region *device = region_of_grants(0, &grants);
	struct vmmem_slice array;
	uint64_t elements[4] = { 1, 2, 3, 4 };

	assert_ok(vmmem_region_slice(device, 8, 4 * 8, READ_WRITE, &array));
	ck_assert_uint_eq(array.len, 32);
	ck_assert_uint_eq(grants.acquires[0].len, 32);
	assert_ok(vmmem_slice_write_elements(&array, 0, 8, 4, elements));
	ck_assert_mem_eq(grants.bytes + 8, elements, 32);
	vmmem_slice_release(&array);
	expect_grants(&grants, 1);
	vmmem_region_unref(device);
}
END_TEST

/*
 * vm-memory: a number of elements whose bytes pass isize::MAX is TooBig, an
 * error of its own.
 * match: VMMEM_ETOOBIG from 2^64 on; below, it is out of range, as nothing can
 * be that long.
 */
START_TEST(e5_too_many_elements)
{
	uint64_t buf = 7;

	assert_code(vmmem_slice_read_elements(&slice, 0, 8,
					      (SIZE_MAX >> 3) + 1, &buf),
		    VMMEM_ETOOBIG);
	assert_code(vmmem_slice_load_element(&slice, UINT64_C(1) << 61, 8,
					     &buf),
		    VMMEM_ETOOBIG);
	assert_code(vmmem_slice_read_elements(&slice, 0, 8, SIZE_MAX >> 3,
					      &buf),
		    VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(buf, 7);
}
END_TEST

/*
 * vm-memory: an offset past the end fails with an error that holds the host
 * address.
 * fix: VMMEM_EOUTOFRANGE, a code; its text holds no address.
 */
START_TEST(e6_offset_past_the_end)
{
	struct vmmem_slice rest;
	const char *text;

	slice_spoil(&rest);
	assert_code(vmmem_slice_skip(&slice, LEN + 1, &rest),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_skip(&slice, TOP, &rest),
		    VMMEM_EOUTOFRANGE);
	ck_assert(slice_is_spoilt(&rest));
	text = vmmem_strerror(VMMEM_EOUTOFRANGE);
	ck_assert_ptr_null(strpbrk(text, "0123456789%"));
	assert_ok(vmmem_slice_skip(&slice, LEN, &rest));
	ck_assert_uint_eq(rest.len, 0);
}
END_TEST

/*
 * vm-memory: a part that does not lie within its slice is out of bounds; where
 * offset plus length wraps, that is Overflow.
 * match: VMMEM_EOUTOFRANGE for both, as both say the same of the range.
 */
START_TEST(e7_part_past_the_end)
{
	struct vmmem_slice part;

	slice_spoil(&part);
	assert_code(vmmem_slice_sub(&slice, 1, LEN, &part),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_sub(&slice, LEN, 1, &part),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_sub(&slice, 2, TOP, &part),
		    VMMEM_EOUTOFRANGE);
	ck_assert(slice_is_spoilt(&part));
	assert_ok(vmmem_slice_sub(&slice, 0, LEN, &part));
	ck_assert_ptr_eq(part.host, host);
}
END_TEST

/*
 * vm-memory: an access that begins at the end or behind it is out of bounds,
 * one that begins before it moves what fits and says how much.
 * match: read_some() and write_some() give the count with the code.  read() and
 * write() move nothing then.
 */
START_TEST(e8_access_past_the_end)
{
	uint8_t buf[8] = { 0 };
	size_t done = 7;

	assert_code(vmmem_slice_read(&slice, LEN, buf, 1), VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_write(&slice, LEN + 5, buf, 1),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_read_some(&slice, LEN, buf, 1, &done),
		    VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_slice_read_some(&slice, LEN - 3, buf, 8, &done),
		    VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(done, 3);
	ck_assert_mem_eq(buf, host + LEN - 3, 3);
	ck_assert(all_are(buf + 3, 0, 5));
	assert_code(vmmem_slice_read(&slice, LEN - 3, buf, 8),
		    VMMEM_EOUTOFRANGE);
}
END_TEST

/*
 * vm-memory: an atomic is checked for its bounds first, then for the alignment
 * of its host address; the error holds that address.
 * match: in that order, by guest address, and as codes.
 */
START_TEST(e9_atomic_bounds_then_alignment)
{
	uint32_t value = 7;

	assert_code(vmmem_slice_load_u32(&slice, LEN - 3, VMMEM_ORDER_RELAXED,
					 &value),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_load_u32(&slice, LEN - 5, VMMEM_ORDER_RELAXED,
					 &value),
		    VMMEM_EMISALIGNED);
	ck_assert_uint_eq(value, 7);
	assert_ok(vmmem_slice_load_u32(&slice, LEN - 4, VMMEM_ORDER_RELAXED,
				       &value));
}
END_TEST

/*
 * vm-memory: bytes become an object in place only if there are exactly as many
 * and they are aligned; a type without size never does.
 * differ: an element is copied to an object of the caller, so its place in the
 * guest need not be aligned, and its size is what the caller says.
 */
START_TEST(e10_object_of_bytes)
{
	struct {
		uint32_t a;
		uint64_t b;
	} object;
	struct vmmem_slice odd;

	assert_ok(vmmem_slice_skip(&slice, 3, &odd));
	assert_ok(vmmem_slice_load_element(&odd, 1, sizeof(object), &object));
	ck_assert_mem_eq(&object, host + 3 + sizeof(object), sizeof(object));
	assert_code(vmmem_slice_load_element(&odd, 0, 0, &object),
		    VMMEM_EARGUMENT);
}
END_TEST

/*
 * vm-memory: an index past the end of an array panics.
 * fix: VMMEM_EOUTOFRANGE; indices come from guests.
 */
START_TEST(e11_index_past_the_end)
{
	uint64_t element = 7;

	assert_ok(vmmem_slice_load_element(&slice, LEN / 8 - 1, 8, &element));
	assert_code(vmmem_slice_load_element(&slice, LEN / 8, 8, &element),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_store_element(&slice, LEN / 8, 8, &element),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_store_element(&slice, TOP / 16, 8, &element),
		    VMMEM_EOUTOFRANGE);
	ck_assert_mem_eq(&element, host + LEN - 8, 8);
}
END_TEST

/*
 * vm-memory: a slice of no bytes just past the end of the guest is an error.
 * fix: zero bytes at any address succeed.
 */
START_TEST(a3_slice_of_no_bytes)
{
	struct vmmem_slice none;

	assert_ok(vmmem_collection_slice(guest, GPA + 2 * LEN, 0, READ_WRITE,
					 &none));
	ck_assert_uint_eq(none.len, 0);
	assert_ok(vmmem_collection_slice(guest, TOP, 0, READ_WRITE, &none));
	assert_ok(vmmem_slice_sub(&slice, LEN + 1, 0, &none));
	ck_assert_uint_eq(none.len, 0);
}
END_TEST

/*
 * vm-memory: a slice that crosses into the next region is an error, one that
 * other causes have too.
 * match: VMMEM_ECROSS, which says that the bytes are there.
 */
START_TEST(a8_slice_across_regions)
{
	struct vmmem_slice across;

	slice_spoil(&across);
	assert_code(vmmem_collection_slice(guest, GPA + LEN - 1, 2, 0,
					   &across),
		    VMMEM_ECROSS);
	assert_code(vmmem_collection_slice(guest, GPA + LEN - 1, LEN + 2, 0,
					   &across),
		    VMMEM_EBADADDR);
	ck_assert(slice_is_spoilt(&across));
}
END_TEST

/*
 * vm-memory: get_slices() hands out a range piece by piece, up to the first
 * hole, and never joins regions; after an error it is at its end, and callers
 * that stop on errors do not learn of it.
 * match: next_slice() does, and joins what lies side by side; its code says why
 * there is no next piece, and the caller still has the address.
 */
START_TEST(a17_slices_of_a_range)
{
	uint64_t gpa = GPA + 16, len = 3 * LEN, seen = 0, step;
	struct vmmem_slice piece;
	int rc = 0;

	for (; len != 0; gpa += step, len -= step) {
		rc = vmmem_collection_next_slice(guest, gpa, len, READ_WRITE,
						 &piece);
		if (rc != 0)
			break;
		step = piece.len;
		seen += step;
		vmmem_slice_release(&piece);
	}
	assert_code(rc, VMMEM_EBADADDR);
	ck_assert_uint_eq(seen, 2 * LEN - 16);
	ck_assert_uint_eq(gpa, GPA + 2 * LEN);
}
END_TEST

/*
 * vm-memory: zero bytes at an unmapped address are an error to try_access(),
 * and an empty walk to get_slices().
 * fix: zero bytes succeed; the walk makes no step.
 */
START_TEST(a18_walk_of_no_bytes)
{
	struct vmmem_slice none;

	assert_ok(vmmem_collection_next_slice(guest, 0, 0, READ_WRITE,
					      &none));
	ck_assert_uint_eq(none.len, 0);
	ck_assert_ptr_null(none.host);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_e");
	TCase *tcase = tcase_create("conformance_e");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, e1_read_elements_of_no_size);
	tcase_add_test(tcase, e2_write_elements_of_no_size);
	tcase_add_test(tcase, e3_copy_elements_of_no_size);
	tcase_add_test(tcase, e4_lengths_are_bytes);
	tcase_add_test(tcase, e5_too_many_elements);
	tcase_add_test(tcase, e6_offset_past_the_end);
	tcase_add_test(tcase, e7_part_past_the_end);
	tcase_add_test(tcase, e8_access_past_the_end);
	tcase_add_test(tcase, e9_atomic_bounds_then_alignment);
	tcase_add_test(tcase, e10_object_of_bytes);
	tcase_add_test(tcase, e11_index_past_the_end);
	tcase_add_test(tcase, a3_slice_of_no_bytes);
	tcase_add_test(tcase, a8_slice_across_regions);
	tcase_add_test(tcase, a17_slices_of_a_range);
	tcase_add_test(tcase, a18_walk_of_no_bytes);
	suite_add_tcase(suite, tcase);
	return suite;
}
