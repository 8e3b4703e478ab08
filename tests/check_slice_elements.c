/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Slices as arrays of elements, integers and structs, of any size. */
#include "slices.h"
#include "suite.h"

#define BEFORE 16
#define AROUND 0x200

static const size_t sizes[] = { 1, 2, 3, 4, 8, 16, 24 };

static struct vmmem_region *region;
static uint8_t *host;
static uint8_t model[AROUND];

static void
setup(void)
{
	region = region_of(0x1000, 0x1000);
	host = expect_host(region);
}

static void
teardown(void)
{
	region = vmmem_region_unref(region);
}

static void
begin(void)
{
	pattern(host, AROUND, 11);
	memcpy(model, host, AROUND);
}

static int
same(void)
{
	return memcmp(host, model, AROUND) == 0;
}

/* Each range of elements in and around a slice of 5 and a bit. */
START_TEST(ranges)
{
	const size_t size = sizes[_i];
	const uint64_t len = 5 * size + size / 2;
	const struct vmmem_slice slice = slice_of(region, BEFORE, len);
	uint8_t buf[24 * 8 + 1], wanted[24 * 8 + 1];
	uint64_t index;
	size_t count;
	int good;

	for (index = 0; index < 8; index++) {
		for (count = 0; count < 8; count++) {
			good = count == 0 || (index + count) * size <= len;
			begin();
			memset(buf, 0xee, sizeof(buf));
			memcpy(wanted, buf, sizeof(buf));
			if (good)
				memcpy(wanted + 1,
				       model + BEFORE + index * size,
				       count * size);
			EXPECT_CODE(vmmem_slice_read_elements(&slice, index,
							      size, count,
							      buf + 1),
				    good ? 0 : VMMEM_EOUTOFRANGE);
			EXPECT(memcmp(buf, wanted, sizeof(buf)) == 0);
			EXPECT(same());

			pattern(buf, sizeof(buf), 50);
			if (good)
				memcpy(model + BEFORE + index * size, buf + 1,
				       count * size);
			EXPECT_CODE(vmmem_slice_write_elements(&slice, index,
							       size, count,
							       buf + 1),
				    good ? 0 : VMMEM_EOUTOFRANGE);
			EXPECT(same());
		}
	}
}
END_TEST

START_TEST(single)
{
	const size_t size = sizes[_i];
	const struct vmmem_slice slice = slice_of(region, BEFORE, 5 * size);
	uint8_t buf[25], wanted[25];
	uint64_t index;

	for (index = 0; index < 7; index++) {
		begin();
		memset(buf, 0xee, sizeof(buf));
		memcpy(wanted, buf, sizeof(buf));
		if (index < 5)
			memcpy(wanted + 1, model + BEFORE + index * size,
			       size);
		assert_code(vmmem_slice_load_element(&slice, index, size,
						     buf + 1),
			    index < 5 ? 0 : VMMEM_EOUTOFRANGE);
		ck_assert_mem_eq(buf, wanted, sizeof(buf));
		pattern(buf, sizeof(buf), 50);
		if (index < 5)
			memcpy(model + BEFORE + index * size, buf + 1, size);
		assert_code(vmmem_slice_store_element(&slice, index, size,
						      buf + 1),
			    index < 5 ? 0 : VMMEM_EOUTOFRANGE);
		ck_assert(same());
	}
}
END_TEST

/* Within one array and between two that overlap, as memmove() would. */
START_TEST(copying)
{
	const size_t size = sizes[_i];
	const struct vmmem_slice target = slice_of(region, BEFORE, 10 * size);
	struct vmmem_slice source;
	uint64_t to, from, shift;
	size_t count;
	int good;

	for (shift = 0; shift < 2 * size; shift++) {
		source = slice_of(region, BEFORE + shift, 10 * size);
		for (to = 0; to < 7; to++) {
			for (from = 0; from < 7; from++) {
				count = (size_t)(to + 2 * from + shift) % 7;
				good = count == 0 || (to + count <= 10 &&
						      from + count <= 10);
				begin();
				if (good)
					memmove(model + BEFORE + to * size,
						model + BEFORE + shift +
							from * size,
						count * size);
				EXPECT_CODE(vmmem_slice_copy_elements(
						    &target, to, &source,
						    from, size, count),
					    good ? 0 : VMMEM_EOUTOFRANGE);
				EXPECT(same());
			}
		}
	}
}
END_TEST

/* Either side may be too short. */
START_TEST(copying_out_of_range)
{
	const struct vmmem_slice brief = slice_of(region, BEFORE, 31);
	const struct vmmem_slice ample = slice_of(region, BEFORE + 64, 64);

	begin();
	assert_code(vmmem_slice_copy_elements(&brief, 2, &ample, 0, 8, 2),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_copy_elements(&ample, 0, &brief, 2, 8, 2),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_slice_copy_elements(&brief, 4, &ample, 0, 8, 1),
		    VMMEM_EOUTOFRANGE);
	ck_assert(same());
	assert_ok(vmmem_slice_copy_elements(&brief, 1, &ample, 6, 8, 2));
	memcpy(model + BEFORE + 8, model + BEFORE + 64 + 48, 16);
	ck_assert(same());
}
END_TEST

/* The end of the range in bytes is just below 2^64, or is not. */
static const struct {
	uint64_t index;
	size_t size, count;
	int code;
} products[] = {
	{ UINT64_MAX - 1, 1, 1, VMMEM_EOUTOFRANGE },
	{ UINT64_MAX, 1, 1, VMMEM_ETOOBIG },
	{ UINT64_MAX, 1, SIZE_MAX, VMMEM_ETOOBIG },
	{ 1, 1, SIZE_MAX, VMMEM_ETOOBIG },
	{ 0, 1, SIZE_MAX, VMMEM_EOUTOFRANGE },
	{ 0, SIZE_MAX, 1, VMMEM_EOUTOFRANGE },
	{ 1, SIZE_MAX, 1, VMMEM_ETOOBIG },
	{ 0, SIZE_MAX, 2, VMMEM_ETOOBIG },
	/* None at all are no bytes. */
	{ UINT64_C(1) << 62, 8, 0, 0 },
	{ UINT64_MAX, SIZE_MAX, 0, 0 },
	{ 0, SIZE_MAX, SIZE_MAX, VMMEM_ETOOBIG },
	{ UINT64_MAX, SIZE_MAX, SIZE_MAX, VMMEM_ETOOBIG },
	{ UINT64_MAX / 2 - 1, 2, 1, VMMEM_EOUTOFRANGE },
	{ UINT64_MAX / 2, 2, 1, VMMEM_ETOOBIG },
	{ UINT64_MAX / 24 - 1, 24, 1, VMMEM_EOUTOFRANGE },
	{ UINT64_MAX / 24, 24, 1, VMMEM_ETOOBIG },
	{ 0, 24, SIZE_MAX / 24, VMMEM_EOUTOFRANGE },
	{ 0, 24, SIZE_MAX / 24 + 1, VMMEM_ETOOBIG },
	/* Products that are small modulo 2^64. */
	{ UINT64_C(1) << 61, 8, 1, VMMEM_ETOOBIG },
	{ UINT64_C(1) << 60, 16, 1, VMMEM_ETOOBIG },
	{ 0, (size_t)1 << 32, (size_t)1 << 32, VMMEM_ETOOBIG },
	{ 0, 8, ((size_t)1 << 61) + 1, VMMEM_ETOOBIG },
	{ (UINT64_C(1) << 61) - 1, 8, 2, VMMEM_ETOOBIG },
	{ (UINT64_C(1) << 61) - 1, 8, 1, VMMEM_ETOOBIG },
	{ (UINT64_C(1) << 61) - 2, 8, 1, VMMEM_EOUTOFRANGE },
};

START_TEST(too_big)
{
	const struct vmmem_slice slice = slice_of(region, 0, 64);
	const uint64_t index = products[_i].index;
	const size_t size = products[_i].size, count = products[_i].count;
	const int code = products[_i].code;
	uint8_t buf[64];

	begin();
	memset(buf, 0xee, sizeof(buf));
	assert_code(vmmem_slice_read_elements(&slice, index, size, count,
					      buf), code);
	assert_code(vmmem_slice_write_elements(&slice, index, size, count,
					       buf), code);
	assert_code(vmmem_slice_copy_elements(&slice, index, &slice, 0, size,
					      count), code);
	assert_code(vmmem_slice_copy_elements(&slice, 0, &slice, index, size,
					      count), code);
	if (count == 1) {
		assert_code(vmmem_slice_load_element(&slice, index, size,
						     buf), code);
		assert_code(vmmem_slice_store_element(&slice, index, size,
						      buf), code);
	}
	ck_assert(all_are(buf, 0xee, sizeof(buf)));
	ck_assert(same());
}
END_TEST

START_TEST(element_of_no_size)
{
	const struct vmmem_slice slice = slice_of(region, 0, 64);
	uint8_t buf[8] = { 0 };

	assert_code(vmmem_slice_read_elements(&slice, 0, 0, 1, buf),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_write_elements(&slice, 0, 0, 1, buf),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_copy_elements(&slice, 0, &slice, 0, 0, 1),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_load_element(&slice, 0, 0, buf),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_store_element(&slice, 0, 0, buf),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_read_elements(&slice, 0, 0, 0, NULL),
		    VMMEM_EARGUMENT);
}
END_TEST

START_TEST(no_elements)
{
	const struct vmmem_slice slice = slice_of(region, 0, 64);
	const struct vmmem_slice rom =
		slice_with(region, 0, 64, VMMEM_PROT_READ);

	begin();
	assert_ok(vmmem_slice_read_elements(&slice, 1000, 8, 0, NULL));
	assert_ok(vmmem_slice_write_elements(&slice, 1000, 8, 0, NULL));
	assert_ok(vmmem_slice_write_elements(&rom, 0, 8, 0, NULL));
	assert_ok(vmmem_slice_copy_elements(&slice, 1000, &slice, 999, 8, 0));
	ck_assert(same());
}
END_TEST

START_TEST(pointers_and_permissions)
{
	const struct vmmem_slice slice = slice_of(region, 0, 64);
	const struct vmmem_slice rom =
		slice_with(region, 0, 64, VMMEM_PROT_READ);
	const struct vmmem_slice port =
		slice_with(region, 0, 64, VMMEM_PROT_WRITE);
	uint8_t buf[16];

	begin();
	memset(buf, 0xee, sizeof(buf));
	assert_code(vmmem_slice_read_elements(NULL, 0, 8, 1, buf),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_read_elements(&slice, 0, 8, 1, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_write_elements(NULL, 0, 8, 1, buf),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_write_elements(&slice, 0, 8, 1, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_copy_elements(NULL, 0, &slice, 0, 8, 1),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_copy_elements(&slice, 0, NULL, 0, 8, 1),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_load_element(NULL, 0, 8, buf), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_load_element(&slice, 0, 8, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_store_element(NULL, 0, 8, buf),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_store_element(&slice, 0, 8, NULL),
		    VMMEM_EARGUMENT);

	assert_code(vmmem_slice_write_elements(&rom, 0, 8, 2, buf),
		    VMMEM_EDENIED);
	assert_code(vmmem_slice_store_element(&rom, 0, 8, buf), VMMEM_EDENIED);
	assert_code(vmmem_slice_read_elements(&port, 0, 8, 2, buf),
		    VMMEM_EDENIED);
	assert_code(vmmem_slice_load_element(&port, 0, 8, buf), VMMEM_EDENIED);
	assert_code(vmmem_slice_copy_elements(&rom, 0, &slice, 1, 8, 1),
		    VMMEM_EDENIED);
	assert_code(vmmem_slice_copy_elements(&slice, 0, &port, 1, 8, 1),
		    VMMEM_EDENIED);
	ck_assert(all_are(buf, 0xee, sizeof(buf)));
	ck_assert(same());
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("slice_elements");
	TCase *tcase = tcase_create("slice_elements");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, ranges, 0, (int)ARRAY_LEN(sizes));
	tcase_add_loop_test(tcase, single, 0, (int)ARRAY_LEN(sizes));
	tcase_add_loop_test(tcase, copying, 0, (int)ARRAY_LEN(sizes));
	tcase_add_test(tcase, copying_out_of_range);
	tcase_add_loop_test(tcase, too_big, 0, (int)ARRAY_LEN(products));
	tcase_add_test(tcase, element_of_no_size);
	tcase_add_test(tcase, no_elements);
	tcase_add_test(tcase, pointers_and_permissions);
	suite_add_tcase(suite, tcase);
	return suite;
}
