/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Each helper is tried twice: as the body in the header and, through a pointer
 * that the compiler cannot see through, as the exported function.
 */
#include <vmmem/address.h>

#include "guest.h"
#include "suite.h"

#define UNTOUCHED UINT64_C(0x5555aaaa5555aaaa)

static int (*volatile checked_add)(uint64_t, uint64_t, uint64_t *) =
	vmmem_address_checked_add;
static int (*volatile checked_sub)(uint64_t, uint64_t, uint64_t *) =
	vmmem_address_checked_sub;
static int (*volatile align_up)(uint64_t, uint64_t, uint64_t *) =
	vmmem_address_align_up;
static int (*volatile align_down)(uint64_t, uint64_t, uint64_t *) =
	vmmem_address_align_down;
static int (*volatile range_last)(uint64_t, uint64_t, uint64_t *) =
	vmmem_address_range_last;

/* Two operands, the code that is expected, and the result that goes with 0. */
struct row {
	uint64_t a;
	uint64_t b;
	int code;
	uint64_t result;
};

static const struct row add_rows[] = {
	{ 0, 0, 0, 0 },
	{ 0x1000, 0x234, 0, 0x1234 },
	{ TOP, 0, 0, TOP },
	{ 0, TOP, 0, TOP },
	{ TOP - 1, 1, 0, TOP },
	{ TOP, 1, VMMEM_EWRAPS, 0 },
	{ 1, TOP, VMMEM_EWRAPS, 0 },
	{ TOP, TOP, VMMEM_EWRAPS, TOP - 1 },
	{ UINT64_C(1) << 63, UINT64_C(1) << 63, VMMEM_EWRAPS, 0 },
};

static const struct row sub_rows[] = {
	{ 0, 0, 0, 0 },
	{ 0x1234, 0x234, 0, 0x1000 },
	{ TOP, TOP, 0, 0 },
	{ TOP, 0, 0, TOP },
	{ 0, 1, VMMEM_EWRAPS, TOP },
	{ 0x1000, 0x1001, VMMEM_EWRAPS, TOP },
	{ 0, TOP, VMMEM_EWRAPS, 1 },
};

static const struct row up_rows[] = {
	{ 0, 1, 0, 0 },
	{ TOP, 1, 0, TOP },
	{ 1, 0x1000, 0, 0x1000 },
	{ 0x1000, 0x1000, 0, 0x1000 },
	{ 0x1001, 0x1000, 0, 0x2000 },
	{ TOP - 0xfff, 0x1000, 0, TOP - 0xfff },
	{ TOP - 0x1000, 0x1000, 0, TOP - 0xfff },
	{ TOP - 0xffe, 0x1000, VMMEM_EWRAPS, 0 },
	{ TOP, 2, VMMEM_EWRAPS, 0 },
	{ 1, UINT64_C(1) << 63, 0, UINT64_C(1) << 63 },
	{ (UINT64_C(1) << 63) + 1, UINT64_C(1) << 63, VMMEM_EWRAPS, 0 },
	{ 0x128, 0, VMMEM_EARGUMENT, 0 },
	{ 0x128, 12, VMMEM_EARGUMENT, 0 },
	{ 0, 3, VMMEM_EARGUMENT, 0 },
	{ 0, TOP, VMMEM_EARGUMENT, 0 },
};

static const struct row down_rows[] = {
	{ 0, 1, 0, 0 },
	{ TOP, 1, 0, TOP },
	{ 0xfff, 0x1000, 0, 0 },
	{ 0x1000, 0x1000, 0, 0x1000 },
	{ 0x1fff, 0x1000, 0, 0x1000 },
	{ TOP, 0x1000, 0, TOP - 0xfff },
	{ TOP, UINT64_C(1) << 63, 0, UINT64_C(1) << 63 },
	{ 0x128, 0, VMMEM_EARGUMENT, 0 },
	{ 0x128, 12, VMMEM_EARGUMENT, 0 },
	{ 0, TOP, VMMEM_EARGUMENT, 0 },
};

static const struct row last_rows[] = {
	{ 0, 1, 0, 0 },
	{ 0x1000, 0x1000, 0, 0x1fff },
	{ TOP, 1, 0, TOP },
	{ 0, TOP, 0, TOP - 1 },
	{ 1, TOP, 0, TOP },
	{ TOP - 0xfff, 0x1000, 0, TOP },
	{ TOP - 0xfff, 0x1001, VMMEM_EWRAPS, 0 },
	{ 2, TOP, VMMEM_EWRAPS, 0 },
	{ TOP, 2, VMMEM_EWRAPS, 0 },
	{ TOP, TOP, VMMEM_EWRAPS, 0 },
	{ 0, 0, VMMEM_EZEROLEN, 0 },
	{ TOP, 0, VMMEM_EZEROLEN, 0 },
};

/* The result is there with success, and untouched without. */
static void
expect(const struct row *row, int code, uint64_t result)
{
	assert_code(code, row->code);
	ck_assert_uint_eq(result, row->code == 0 ? row->result : UNTOUCHED);
}

#define TRY(row, function)                                                 \
	do {                                                               \
		uint64_t result_ = UNTOUCHED;                              \
		int code_ = function((row)->a, (row)->b, &result_);        \
		expect(row, code_, result_);                               \
	} while (0)

START_TEST(checked_add_table)
{
	TRY(&add_rows[_i], vmmem_address_checked_add);
	TRY(&add_rows[_i], checked_add);
}
END_TEST

START_TEST(checked_sub_table)
{
	TRY(&sub_rows[_i], vmmem_address_checked_sub);
	TRY(&sub_rows[_i], checked_sub);
}
END_TEST

START_TEST(align_up_table)
{
	TRY(&up_rows[_i], vmmem_address_align_up);
	TRY(&up_rows[_i], align_up);
}
END_TEST

START_TEST(align_down_table)
{
	TRY(&down_rows[_i], vmmem_address_align_down);
	TRY(&down_rows[_i], align_down);
}
END_TEST

START_TEST(range_last_table)
{
	TRY(&last_rows[_i], vmmem_address_range_last);
	TRY(&last_rows[_i], range_last);
}
END_TEST

START_TEST(null_results_are_refused)
{
	assert_code(vmmem_address_checked_add(1, 2, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_address_checked_sub(2, 1, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_address_align_up(1, 2, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_address_align_down(1, 2, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_address_range_last(1, 2, NULL), VMMEM_EARGUMENT);
	assert_code(checked_add(1, 2, NULL), VMMEM_EARGUMENT);
	assert_code(checked_sub(2, 1, NULL), VMMEM_EARGUMENT);
	assert_code(align_up(1, 2, NULL), VMMEM_EARGUMENT);
	assert_code(align_down(1, 2, NULL), VMMEM_EARGUMENT);
	assert_code(range_last(1, 2, NULL), VMMEM_EARGUMENT);
}
END_TEST

#define ADD_TABLE(tcase, test, rows)                                       \
	tcase_add_loop_test(tcase, test, 0, (int)ARRAY_LEN(rows))

Suite *
make_suite(void)
{
	Suite *suite = suite_create("address");
	TCase *tcase = tcase_create("address");

	ADD_TABLE(tcase, checked_add_table, add_rows);
	ADD_TABLE(tcase, checked_sub_table, sub_rows);
	ADD_TABLE(tcase, align_up_table, up_rows);
	ADD_TABLE(tcase, align_down_table, down_rows);
	ADD_TABLE(tcase, range_last_table, last_rows);
	tcase_add_test(tcase, null_results_are_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
