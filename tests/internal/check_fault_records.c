/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Two threads at the list of free records, step by step.  The file is compiled
 * in here, and between a look and the exchange that follows another thread may
 * do what it likes.
 */
#include <stdatomic.h>
#include <string.h>

#include <vmmem/fault.h>

#include "suite.h"

static void (*meanwhile)(void);

static void
others(void)
{
	void (*now)(void) = meanwhile;

	meanwhile = NULL;
	if (now != NULL)
		now();
}

#undef atomic_compare_exchange_weak_explicit
#define atomic_compare_exchange_weak_explicit(object, expected, desired,   \
					      success, failure)            \
	(others(), atomic_compare_exchange_strong_explicit(                \
			   object, expected, desired, success, failure))
#include "guest/fault_log.c"

#define COUNT 4

static char memory[2 * COUNT][16];
static struct vmmem_fault_record *records[2 * COUNT];
/* What the other thread has. */
static struct vmmem_fault_record *other_records[COUNT];

static struct vmmem_fault_record *
new_record(void *host)
{
	struct vmmem_fault_record *record = NULL;

	ck_assert_int_eq(vmmem_fault_record_new(host, 15, &record), 0);
	return record;
}

static void
fill_free_list(void)
{
	size_t i;

	for (i = 0; i < COUNT; i++)
		records[i] = new_record(memory[i]);
	for (i = COUNT; i-- > 0;)
		vmmem_fault_record_free(records[i]);
}

/* Each record has one owner. */
static void
expect_all_different(void)
{
	struct vmmem_fault_record *all[3 * COUNT];
	size_t count = 0, i, j;

	for (i = 0; i < 2 * COUNT; i++)
		if (records[i] != NULL)
			all[count++] = records[i];
	for (i = 0; i < COUNT; i++)
		if (other_records[i] != NULL)
			all[count++] = other_records[i];
	for (i = 0; i < count; i++)
		for (j = 0; j < i; j++)
			ck_assert_ptr_ne(all[i], all[j]);
}

static void
take_one(void)
{
	other_records[0] = new_record(memory[COUNT]);
}

static void
take_two_give_the_first(void)
{
	struct vmmem_fault_record *first = new_record(memory[COUNT]);

	other_records[0] = new_record(memory[COUNT + 1]);
	vmmem_fault_record_free(first);
}

static void
take_all_give_the_first(void)
{
	struct vmmem_fault_record *first = new_record(memory[COUNT]);
	size_t i;

	for (i = 1; i < COUNT; i++)
		other_records[i] = new_record(memory[COUNT + i]);
	vmmem_fault_record_free(first);
}

static void
take_and_give(void)
{
	vmmem_fault_record_free(new_record(memory[COUNT]));
}

static void (*const ways[])(void) = {
	take_one, take_two_give_the_first, take_all_give_the_first,
	take_and_give,
};
#define WAYS (int)(sizeof(ways) / sizeof(ways[0]))

START_TEST(while_taking)
{
	size_t i;

	fill_free_list();
	memset(records, 0, sizeof(records));
	meanwhile = ways[_i];
	for (i = 0; i < 2 * COUNT; i++)
		records[i] = new_record(memory[i]);
	expect_all_different();
}
END_TEST

START_TEST(while_giving)
{
	struct vmmem_fault_record *mine = new_record(memory[0]);
	size_t i;

	fill_free_list();
	memset(records, 0, sizeof(records));
	meanwhile = ways[_i];
	vmmem_fault_record_free(mine);
	for (i = 0; i < 2 * COUNT; i++)
		records[i] = new_record(memory[i]);
	expect_all_different();
}
END_TEST

/* Also of those that nobody had before. */
START_TEST(while_taking_new_ones)
{
	size_t i;

	meanwhile = take_one;
	for (i = 0; i < 2 * COUNT; i++)
		records[i] = new_record(memory[i]);
	expect_all_different();
}
END_TEST

/* Past the first array, and what is found goes to whoever has the memory. */
START_TEST(many)
{
	enum { MANY = 3 * FIRST + 5 };
	static char bytes[MANY][16];
	struct vmmem_fault_record *all[MANY];
	uint64_t offset;
	size_t i;

	/* The tests before this one keep theirs. */
	if (!is_alone())
		return;
	for (i = 0; i < MANY; i++)
		all[i] = new_record(bytes[i]);
	for (i = 0; i < MANY; i++) {
		ck_assert_uint_eq(number_of(all[i]), i);
		ck_assert_ptr_eq(record_at((unsigned int)i), all[i]);
		ck_assert(vmmem_fault_log_add((uintptr_t)bytes[i] + i % 16, 1,
					      VMMEM_FAULT_KIND_BACKING));
	}
	for (i = 0; i < MANY; i++) {
		ck_assert_uint_eq(vmmem_fault_record_count(all[i]), 1);
		ck_assert_uint_eq(vmmem_fault_record_first(all[i], &offset),
				  VMMEM_FAULT_KIND_BACKING);
		ck_assert_uint_eq(offset, i % 16);
		vmmem_fault_record_free(all[i]);
	}
	ck_assert(!vmmem_fault_log_add((uintptr_t)bytes[0], sizeof(bytes),
				       VMMEM_FAULT_KIND_BACKING));
	/* They are had again, with nothing in them. */
	for (i = 0; i < MANY; i++) {
		struct vmmem_fault_record *again = new_record(bytes[i]);

		ck_assert_uint_eq(vmmem_fault_record_count(again), 0);
		ck_assert_uint_eq(vmmem_fault_record_first(again, &offset), 0);
		ck_assert_uint_eq(vmmem_fault_record_last(again, &offset), 0);
	}
	ck_assert_uint_eq(atomic_load(&used), MANY);
}
END_TEST

/* Offsets that do not fit beside the kind are told as the largest that does. */
START_TEST(far_offsets)
{
	const uint64_t most = UINT64_MAX >> 8;
	const uint64_t offsets[] = { most - 1, most, most + 1, UINT64_MAX };
	uint64_t offset;
	size_t i;

	for (i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct vmmem_fault_record *record = new_record(memory[0]);

		vmmem_fault_record_add(record, offsets[i],
				       VMMEM_FAULT_KIND_POISON);
		ck_assert_uint_eq(vmmem_fault_record_first(record, &offset),
				  VMMEM_FAULT_KIND_POISON);
		ck_assert_uint_eq(offset, i == 0 ? most - 1 : most);
		ck_assert_uint_eq(vmmem_fault_record_last(record, &offset),
				  VMMEM_FAULT_KIND_POISON);
		ck_assert_uint_eq(offset, i == 0 ? most - 1 : most);
	}
}
END_TEST

/* A range of lost memory, at both ends of a record's. */
START_TEST(ranges)
{
	static const struct {
		int from;
		uint64_t len;
		int64_t offset; /* -1: not this record's */
	} cases[] = {
		{ -1, 1, -1 }, { 0, 1, 0 },    { 15, 1, 15 },  { 16, 1, -1 },
		{ -1, 2, 0 },  { -8, 8, -1 },  { -8, 9, 0 },   { 15, 9, 15 },
		{ -8, 64, 0 }, { 16, 64, -1 }, { 3, 4096, 3 }, { -9, 1, -1 },
	};
	struct vmmem_fault_record *record;
	uint64_t count = 0, offset;
	size_t i;

	/* The tests before this one have records of the same memory. */
	if (!is_alone())
		return;
	record = new_record(memory[1]);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const bool hit = cases[i].offset >= 0;
		const uintptr_t at = (uintptr_t)memory[1] +
				     (uintptr_t)(intptr_t)cases[i].from;

		ck_assert_int_eq(vmmem_fault_log_add(at, cases[i].len,
						     VMMEM_FAULT_KIND_POISON),
				 hit);
		count += hit;
		ck_assert_uint_eq(vmmem_fault_record_count(record), count);
		if (!hit)
			continue;
		ck_assert_uint_eq(vmmem_fault_record_last(record, &offset),
				  VMMEM_FAULT_KIND_POISON);
		ck_assert_uint_eq(offset, (uint64_t)cases[i].offset);
	}
	vmmem_fault_record_free(record);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault records");
	TCase *tcase = tcase_create("records");

	tcase_add_loop_test(tcase, while_taking, 0, WAYS);
	tcase_add_loop_test(tcase, while_giving, 0, WAYS);
	tcase_add_test(tcase, while_taking_new_ones);
	tcase_add_test(tcase, many);
	tcase_add_test(tcase, far_offsets);
	tcase_add_test(tcase, ranges);
	suite_add_tcase(suite, tcase);
	return suite;
}
