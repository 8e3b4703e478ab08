/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Slices of the caller's own memory, and the bitmap that a slice is marked in.
 */
#include <string.h>

#include <vmmem/atomic.h>
#include <vmmem/bitmap.h>
#include <vmmem/fault.h>
#include <vmmem/iommu.h>
#include <vmmem/region_builder.h>
#include <vmmem/slice_atomic.h>

#include "guest.h"
#include "slices.h"
#include "suite.h"

#define LEN UINT64_C(0x1000)

START_TEST(every_function_takes_it)
{
	uint64_t memory[8] = { 0 }, seen;
	struct vmmem_slice own, part;
	uint8_t bytes[4] = { 1, 2, 3, 4 };

	slice_spoil(&own);
	assert_ok(vmmem_slice_from_host(memory, sizeof(memory), READ_WRITE,
					&own));
	ck_assert_ptr_eq(own.host, memory);
	ck_assert_uint_eq(own.len, sizeof(memory));
	ck_assert_uint_eq(own.access, READ_WRITE);
	ck_assert_uint_eq(own.flags, 0);
	ck_assert_uint_eq(own.gpa, 0);
	ck_assert_ptr_null(own.region);
	assert_ok(vmmem_slice_store_u64(&own, 8, TOP, VMMEM_ORDER_RELEASE));
	ck_assert_uint_eq(memory[1], TOP);
	assert_ok(vmmem_slice_fetch_add_u64(&own, 8, 2, VMMEM_ORDER_SEQ_CST,
					    &seen));
	ck_assert_uint_eq(memory[1], 1);
	assert_code(vmmem_slice_load_u64(&own, 4, VMMEM_ORDER_RELAXED, &seen),
		    VMMEM_EMISALIGNED);
	assert_ok(vmmem_slice_write(&own, 3, bytes, 4));
	ck_assert_mem_eq((uint8_t *)memory + 3, bytes, 4);
	assert_ok(vmmem_slice_mark(&own, 0, 8));

	/* What the caller says of its address goes on in the parts. */
	own.gpa = 0x10000;
	assert_ok(vmmem_slice_sub(&own, 8, 16, &part));
	ck_assert_uint_eq(part.gpa, 0x10008);
	ck_assert_ptr_eq(part.host, &memory[1]);
	assert_code(vmmem_slice_fill(&part, 0, 17, 1), VMMEM_EOUTOFRANGE);
	vmmem_slice_release(&part);
	vmmem_slice_release(&own);
	ck_assert_uint_eq(own.len, 0);
	ck_assert_uint_eq(memory[1], 1);
}
END_TEST

START_TEST(permissions)
{
	uint64_t memory = 7;
	struct vmmem_slice own;
	uint8_t byte;

	assert_ok(vmmem_slice_from_host(&memory, 8, VMMEM_PROT_READ, &own));
	assert_code(vmmem_slice_write_u8(&own, 0, 1), VMMEM_EDENIED);
	assert_ok(vmmem_slice_from_host(&memory, 8, 0, &own));
	assert_code(vmmem_slice_read_u8(&own, 0, &byte), VMMEM_EDENIED);
	ck_assert_uint_eq(memory, 7);
}
END_TEST

START_TEST(arguments)
{
	struct vmmem_slice own;
	uint64_t memory;
	void *last = (void *)(uintptr_t)(UINTPTR_MAX - 7);

	slice_spoil(&own);
	assert_code(vmmem_slice_from_host(&memory, 8, 0, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_from_host(NULL, 8, 0, &own), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_from_host(&memory, 8, VMMEM_PROT_EXEC, &own),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_from_host(&memory, 8, VMMEM_SLICE_CALL, &own),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_slice_from_host(last, 9, 0, &own), VMMEM_EWRAPS);
	assert_code(vmmem_slice_from_host(&memory, TOP, 0, &own),
		    VMMEM_EWRAPS);
	ck_assert(slice_is_spoilt(&own));
	assert_ok(vmmem_slice_from_host(last, 8, 0, &own));
	assert_ok(vmmem_slice_from_host(NULL, 0, READ_WRITE, &own));
	ck_assert_ptr_null(own.host);
	assert_ok(vmmem_slice_from_host(&memory, 0, READ_WRITE, &own));
	ck_assert_ptr_null(own.host);
	ck_assert_ptr_null(own.region);
}
END_TEST

/* The one of the region, where its bytes begin; none for what has none. */
START_TEST(bitmap_of_a_region)
{
	struct vmmem_region *plain = region_of(0, LEN), *tracked;
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_slice slice = { .len = 0 };
	uint64_t offset = 42;

	ck_assert_ptr_null(vmmem_slice_bitmap(NULL, &offset));
	ck_assert_ptr_null(vmmem_slice_bitmap(&slice, &offset));
	assert_ok(vmmem_region_slice(plain, 0, 16, READ_WRITE, &slice));
	ck_assert_ptr_null(vmmem_slice_bitmap(&slice, &offset));
	ck_assert_uint_eq(offset, 42);
	vmmem_region_unref(plain);

	vmmem_region_builder_set_range(builder, LEN, LEN);
	vmmem_region_builder_set_tracking(builder, 64);
	assert_ok(vmmem_region_builder_build(builder, &tracked));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_region_slice(tracked, 80, 16, READ_WRITE, &slice));
	ck_assert_ptr_eq(vmmem_slice_bitmap(&slice, NULL),
			 vmmem_region_bitmap(tracked));
	ck_assert_ptr_eq(vmmem_slice_bitmap(&slice, &offset),
			 vmmem_region_bitmap(tracked));
	ck_assert_uint_eq(offset, 80);
	assert_ok(vmmem_slice_skip(&slice, 8, &slice));
	ck_assert_ptr_eq(vmmem_slice_bitmap(&slice, &offset),
			 vmmem_region_bitmap(tracked));
	ck_assert_uint_eq(offset, 88);
	vmmem_slice_release(&slice);
	ck_assert_ptr_null(vmmem_slice_bitmap(&slice, &offset));
	vmmem_region_unref(tracked);
}
END_TEST

/* A fence has nothing to show to one thread, except that it returns. */
START_TEST(fences)
{
	static const int orders[] = { 0, 1, 2, 3, 4, 5, 6, -1, INT32_MAX };
	void (*volatile fence)(int) = vmmem_fence;
	size_t i;

	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		fence(orders[i]);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("slice_own");
	TCase *tcase = tcase_create("slice_own");

	tcase_add_test(tcase, every_function_takes_it);
	tcase_add_test(tcase, permissions);
	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, bitmap_of_a_region);
	tcase_add_test(tcase, fences);
	suite_add_tcase(suite, tcase);
	return suite;
}
