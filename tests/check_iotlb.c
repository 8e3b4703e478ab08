/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "guest.h"
#include "iotlbs.h"
#include "suite.h"

#define R VMMEM_PROT_READ
#define W VMMEM_PROT_WRITE
#define RW (VMMEM_PROT_READ | VMMEM_PROT_WRITE)
#define MOST 64

static struct vmmem_iotlb *iotlb;
static struct vmmem_iotlb_piece pieces[MOST];
static size_t found;

static void
setup(void)
{
	assert_ok(iotlb_of(16, &iotlb));
}

static void
teardown(void)
{
	iotlb = vmmem_iotlb_unref(iotlb);
	ck_assert_ptr_null(iotlb);
}

static int
map(uint64_t iova, uint64_t gpa, uint64_t len, uint32_t access)
{
	return vmmem_iotlb_map(iotlb, iova, gpa, len, access);
}

static int
look(uint64_t iova, uint64_t len, uint32_t access)
{
	return vmmem_iotlb_lookup(iotlb, iova, len, access, pieces, MOST,
				  &found);
}

static void
expect(size_t i, uint32_t state, uint64_t iova, uint64_t len, uint64_t gpa,
       uint32_t access)
{
	ck_assert_uint_gt(found, i);
	ck_assert_uint_eq(pieces[i].state, state);
	ck_assert_uint_eq(pieces[i].iova, iova);
	ck_assert_uint_eq(pieces[i].len, len);
	ck_assert_uint_eq(pieces[i].gpa, gpa);
	ck_assert_uint_eq(pieces[i].access, access);
}

static void
expect_hit(size_t i, uint64_t iova, uint64_t len, uint64_t gpa)
{
	expect(i, VMMEM_IOTLB_HIT, iova, len, gpa, RW);
}

static void
expect_miss(size_t i, uint64_t iova, uint64_t len)
{
	expect(i, VMMEM_IOTLB_MISS, iova, len, 0, 0);
}

START_TEST(new_checks_its_arguments)
{
	struct vmmem_iotlb *none = (void *)0x5a5a5a50;

	struct vmmem_iotlb_options options = { .size = sizeof(options) };

	assert_code(iotlb_of(VMMEM_IOTLB_CAPACITY_MAX + 1, &none),
		    VMMEM_EARGUMENT);
	assert_code(iotlb_of(SIZE_MAX, &none), VMMEM_EARGUMENT);
	assert_code(iotlb_of(1, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_iotlb_new(NULL, NULL), VMMEM_EARGUMENT);
	options.reserved = 1;
	assert_code(vmmem_iotlb_new(&options, &none), VMMEM_EARGUMENT);
	options.reserved = 0;
	options.flags = 2;
	assert_code(vmmem_iotlb_new(&options, &none), VMMEM_EARGUMENT);
	options.size = 8;
	assert_code(vmmem_iotlb_new(&options, &none), VMMEM_ESTRUCTSIZE);
	ck_assert_ptr_eq(none, (void *)0x5a5a5a50);
}
END_TEST

/* One of a later version may be longer, if what is new there is 0. */
START_TEST(new_with_options)
{
	struct {
		struct vmmem_iotlb_options known;
		uint64_t newer;
	} options = { .known = { .size = sizeof(options) } };
	struct vmmem_iotlb *one = NULL, *none = NULL;

	assert_ok(vmmem_iotlb_new(NULL, &one));
	ck_assert_uint_eq(vmmem_iotlb_capacity(one),
			  VMMEM_IOTLB_CAPACITY_DEFAULT);
	ck_assert_uint_eq(vmmem_iotlb_flags(one), 0);
	vmmem_iotlb_unref(one);
	assert_ok(vmmem_iotlb_new(&options.known, &one));
	ck_assert_uint_eq(vmmem_iotlb_capacity(one),
			  VMMEM_IOTLB_CAPACITY_DEFAULT);
	vmmem_iotlb_unref(one);
	options.known.capacity = 7;
	options.known.flags = VMMEM_IOTLB_NO_EVICT;
	assert_ok(vmmem_iotlb_new(&options.known, &one));
	ck_assert_uint_eq(vmmem_iotlb_capacity(one), 7);
	ck_assert_uint_eq(vmmem_iotlb_flags(one), VMMEM_IOTLB_NO_EVICT);
	vmmem_iotlb_unref(one);
	options.newer = 1;
	assert_code(vmmem_iotlb_new(&options.known, &none), VMMEM_ESTRUCTNEWER);
	ck_assert_ptr_null(none);
}
END_TEST

/* What is stated of the memory holds, at both ends and between. */
START_TEST(memory_is_as_stated)
{
	static const size_t capacities[] = { 1, 2, 16, 100, 4096, 4097, 65536,
					     VMMEM_IOTLB_CAPACITY_MAX };
	struct vmmem_iotlb *one;
	size_t i;

	for (i = 0; i < ARRAY_LEN(capacities); i++) {
		assert_ok(iotlb_of(capacities[i], &one));
		ck_assert_uint_eq(vmmem_iotlb_capacity(one), capacities[i]);
		ck_assert_uint_eq(vmmem_iotlb_count(one), 0);
		ck_assert_uint_le(vmmem_iotlb_memory(one),
				  264 * capacities[i] + 32 * 1024);
		vmmem_iotlb_unref(one);
	}
}
END_TEST

START_TEST(null_is_refused_or_ignored)
{
	ck_assert_ptr_null(vmmem_iotlb_ref(NULL));
	ck_assert_ptr_null(vmmem_iotlb_unref(NULL));
	assert_code(vmmem_iotlb_map(NULL, 0, 0, 1, RW), VMMEM_EARGUMENT);
	assert_code(vmmem_iotlb_unmap(NULL, 0, 1), VMMEM_EARGUMENT);
	vmmem_iotlb_unmap_all(NULL);
	ck_assert_uint_eq(vmmem_iotlb_enter(NULL), 0);
	vmmem_iotlb_leave(NULL, 0);
	assert_code(vmmem_iotlb_lookup(NULL, 0, 1, 0, pieces, 1, &found),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_iotlb_lookup(iotlb, 0, 1, 0, NULL, 1, &found),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_iotlb_lookup(iotlb, 0, 1, 0, pieces, 1, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_iotlb_lookup(iotlb, 0, 1, 8, pieces, 1, &found),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_iotlb_synchronize(NULL, VMMEM_FOREVER),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(vmmem_iotlb_capacity(NULL), 0);
	ck_assert_uint_eq(vmmem_iotlb_count(NULL), 0);
	ck_assert_uint_eq(vmmem_iotlb_evicted(NULL), 0);
	ck_assert_uint_eq(vmmem_iotlb_memory(NULL), 0);
}
END_TEST

START_TEST(references_are_counted)
{
	ck_assert_ptr_eq(vmmem_iotlb_ref(iotlb), iotlb);
	ck_assert_ptr_null(vmmem_iotlb_unref(iotlb));
	assert_ok(map(0, 0, 1, RW));
}
END_TEST

START_TEST(nothing_is_there_at_first)
{
	assert_code(look(0, UINT64_MAX, 0), VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(found, 1);
	expect_miss(0, 0, UINT64_MAX);
	assert_code(look(TOP, 1, 0), VMMEM_EIOMMUMISS);
	expect_miss(0, TOP, 1);
}
END_TEST

/* Ranges of no bytes do nothing, anywhere. */
START_TEST(no_bytes_anywhere)
{
	assert_ok(map(0, 0, 0, RW));
	assert_ok(map(TOP, TOP, 0, 0));
	assert_ok(vmmem_iotlb_unmap(iotlb, TOP, 0));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 0);
	found = 99;
	assert_ok(look(TOP, 0, RW));
	ck_assert_uint_eq(found, 0);
	assert_ok(vmmem_iotlb_lookup(iotlb, 5, 0, RW, NULL, 0, &found));
	/* But arguments are checked. */
	assert_code(map(0, 0, 0, 4), VMMEM_EARGUMENT);
}
END_TEST

/* Any length, any alignment, clipped to what is asked for. */
START_TEST(any_granularity)
{
	assert_ok(map(0x1001, 0x777, 3, RW));
	assert_ok(look(0x1001, 3, RW));
	ck_assert_uint_eq(found, 1);
	expect_hit(0, 0x1001, 3, 0x777);
	assert_ok(look(0x1002, 1, RW));
	expect_hit(0, 0x1002, 1, 0x778);
	assert_code(look(0xfff, 10, RW), VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(found, 3);
	expect_miss(0, 0xfff, 2);
	expect_hit(1, 0x1001, 3, 0x777);
	expect_miss(2, 0x1004, 5);
	assert_ok(map(1ULL << 40, 0, 1ULL << 62, RW));
	assert_ok(look((1ULL << 40) + 5, 1ULL << 61, RW));
	expect_hit(0, (1ULL << 40) + 5, 1ULL << 61, 5);
}
END_TEST

/* What is asked for is reported, part by part, with what is permitted. */
START_TEST(every_failure_is_reported)
{
	assert_ok(map(10, 100, 10, R));
	assert_ok(map(20, 300, 10, W));
	assert_ok(map(30, 500, 10, 0));
	assert_ok(map(50, 700, 10, RW));
	assert_code(look(5, 60, RW), VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(found, 7);
	expect_miss(0, 5, 5);
	expect(1, VMMEM_IOTLB_DENIED, 10, 10, 100, R);
	expect(2, VMMEM_IOTLB_DENIED, 20, 10, 300, W);
	expect(3, VMMEM_IOTLB_DENIED, 30, 10, 500, 0);
	expect_miss(4, 40, 10);
	expect_hit(5, 50, 10, 700);
	expect_miss(6, 60, 5);

	assert_code(look(15, 10, R), VMMEM_EDENIED);
	ck_assert_uint_eq(found, 2);
	expect(0, VMMEM_IOTLB_HIT, 15, 5, 105, R);
	expect(1, VMMEM_IOTLB_DENIED, 20, 5, 300, W);
	assert_code(look(15, 10, W), VMMEM_EDENIED);
	/* Asking for nothing, all that is mapped is a hit. */
	assert_ok(look(12, 26, 0));
	ck_assert_uint_eq(found, 3);
	expect(2, VMMEM_IOTLB_HIT, 30, 8, 500, 0);
}
END_TEST

/* The count is that of all there are, also where there is no room. */
START_TEST(count_without_room)
{
	struct vmmem_iotlb_piece only[2] = { { 0 }, { .iova = 0x5a } };

	assert_ok(map(10, 100, 10, RW));
	assert_ok(map(20, 300, 10, RW));
	assert_code(vmmem_iotlb_lookup(iotlb, 0, 40, R, only, 1, &found),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(found, 4);
	ck_assert_uint_eq(only[0].len, 10);
	ck_assert_uint_eq(only[1].iova, 0x5a);
	assert_code(vmmem_iotlb_lookup(iotlb, 10, 20, R, NULL, 0, &found),
		    VMMEM_ENOROOM);
	ck_assert_uint_eq(found, 2);
}
END_TEST

/* A part of a translation is not given as the whole one. */
START_TEST(no_room_is_no_success)
{
	struct vmmem_iotlb_piece some[3] = { [2] = { .iova = 0x5a } };
	size_t capacity;

	assert_ok(map(0, 0x5000, 0x1000, RW));
	assert_ok(map(0x1000, 0x9000, 0x1000, RW));
	assert_ok(map(0x3000, 0x9000, 0x1000, R));
	assert_ok(map(TOP, 0, 1, RW));
	for (capacity = 0; capacity < 3; capacity++) {
		memset(some, 0, 2 * sizeof(some[0]));
		found = 99;
		assert_code(vmmem_iotlb_lookup(iotlb, 0, 0x2000, R, some,
					       capacity, &found),
			    capacity < 2 ? VMMEM_ENOROOM : 0);
		ck_assert_uint_eq(found, 2);
		ck_assert_uint_eq(some[0].gpa, capacity > 0 ? 0x5000 : 0);
		ck_assert_uint_eq(some[1].gpa, capacity > 1 ? 0x9000 : 0);
		ck_assert_uint_eq(some[2].iova, 0x5a);
	}
	/* What is wrong with the range comes before the room for it. */
	assert_code(vmmem_iotlb_lookup(iotlb, 0, 0x2001, R, some, 1, &found),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(found, 3);
	assert_code(vmmem_iotlb_lookup(iotlb, 0x3000, 1, RW, NULL, 0, &found),
		    VMMEM_EDENIED);
	assert_code(vmmem_iotlb_lookup(iotlb, TOP, 2, RW, NULL, 0, &found),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(found, 1);
}
END_TEST

/* Neighbours that go on in the target are one entry, others are not. */
START_TEST(neighbours_join)
{
	assert_ok(map(0x1000, 0x8000, 0x1000, RW));
	assert_ok(map(0x3000, 0xa000, 0x1000, RW));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 2);
	/* The one between joins all three. */
	assert_ok(map(0x2000, 0x9000, 0x1000, RW));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 1);
	assert_ok(look(0x1800, 0x2000, RW));
	ck_assert_uint_eq(found, 1);
	expect_hit(0, 0x1800, 0x2000, 0x8800);
	/* Not with another permission, and not with another target. */
	assert_ok(map(0x4000, 0xb000, 0x1000, R));
	assert_ok(map(0, 0x8000, 0x1000, RW));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 3);
	/* The displacement may wrap. */
	assert_ok(map(0x10000, 0, 0x1000, RW));
	assert_ok(map(0x11000, 0x1000, 0x1000, RW));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 4);
	/* But the target does not: nothing goes on behind the last address. */
	assert_ok(map(0x20000, TOP - 0xfff, 0x1000, RW));
	assert_ok(map(0x21000, 0, 0x1000, RW));
	assert_ok(map(0x20000, TOP - 0xfff, 0x1000, RW));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 6);
	assert_ok(look(0x20800, 0x1000, RW));
	ck_assert_uint_eq(found, 2);
	expect_hit(0, 0x20800, 0x800, TOP - 0x7ff);
	expect_hit(1, 0x21000, 0x800, 0);
}
END_TEST

/*
 * The last target there is, and the first: with one displacement, but not
 * beside each other.  Whatever is mapped first, no piece leads past 2^64.
 */
START_TEST(not_past_the_last_target)
{
	int i;

	for (i = 0; i < 3; i++) {
		if (i == 0)
			assert_ok(map(0x1000, TOP - 0xfff, 0x1000, RW));
		assert_ok(map(0x2000, 0, 0x1000, RW));
		if (i == 1)
			assert_ok(map(0x1000, TOP - 0xfff, 0x1000, RW));
		/* And with both neighbours there. */
		if (i == 2) {
			assert_ok(map(0, TOP - 0x1fff, 0x1000, RW));
			assert_ok(map(0x1000, TOP - 0xfff, 0x1000, RW));
		}
		ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 2);
		assert_ok(look(0x1800, 0x1000, RW));
		ck_assert_uint_eq(found, 2);
		expect_hit(0, 0x1800, 0x800, TOP - 0x7ff);
		expect_hit(1, 0x2000, 0x800, 0);
		vmmem_iotlb_unmap_all(iotlb);
	}
}
END_TEST

/* The same once more changes nothing. */
START_TEST(duplicates)
{
	int i;

	for (i = 0; i < 10; i++) {
		assert_ok(map(0x1000, 0x8000, 0x1000, RW));
		assert_ok(map(0x1800, 0x8800, 0x100, RW));
	}
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 1);
	assert_ok(look(0x1000, 0x1000, RW));
	expect_hit(0, 0x1000, 0x1000, 0x8000);
}
END_TEST

/* Later mappings replace parts of earlier ones. */
START_TEST(later_overrides)
{
	assert_ok(map(0, 0x10000, 0x5000, RW));
	assert_ok(map(0x1000, 0x90000, 0x1000, RW)); /* the middle */
	assert_ok(map(0x4800, 0xa0000, 0x1000, R));  /* the end, and on */
	assert_code(look(0, 0x6000, RW), VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(found, 5);
	expect_hit(0, 0, 0x1000, 0x10000);
	expect_hit(1, 0x1000, 0x1000, 0x90000);
	expect_hit(2, 0x2000, 0x2800, 0x12000);
	expect(3, VMMEM_IOTLB_DENIED, 0x4800, 0x1000, 0xa0000, R);
	expect_miss(4, 0x5800, 0x800);
	/* All of them at once. */
	assert_ok(map(0, 0, 0x6000, W));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 1);
}
END_TEST

START_TEST(unmap_cuts)
{
	assert_ok(map(0x1000, 0x8000, 0x3000, RW));
	assert_ok(vmmem_iotlb_unmap(iotlb, 0x2000, 0x1000));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 2);
	assert_code(look(0x1000, 0x3000, RW), VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(found, 3);
	expect_hit(0, 0x1000, 0x1000, 0x8000);
	expect_miss(1, 0x2000, 0x1000);
	expect_hit(2, 0x3000, 0x1000, 0xa000);
	assert_ok(vmmem_iotlb_unmap(iotlb, 0x1800, 0x2000));
	assert_code(look(0x1000, 0x3000, RW), VMMEM_EIOMMUMISS);
	expect_hit(0, 0x1000, 0x800, 0x8000);
	expect_hit(2, 0x3800, 0x800, 0xa800);
	/* What is not there may be removed. */
	assert_ok(vmmem_iotlb_unmap(iotlb, 0x100000, 0x1000));
	assert_ok(vmmem_iotlb_unmap(iotlb, 0x1800, 0x2000));
	vmmem_iotlb_unmap_all(iotlb);
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 0);
	vmmem_iotlb_unmap_all(iotlb);
}
END_TEST

/* The last byte there is can be mapped, and nothing wraps. */
START_TEST(up_to_the_top)
{
	assert_ok(map(TOP - 0xfff, 0x1000, 0x1000, RW));
	assert_ok(map(0, TOP - 0xfff, 0x1000, RW));
	assert_ok(look(TOP, 1, RW));
	expect_hit(0, TOP, 1, 0x1fff);
	assert_ok(look(0xfff, 1, RW));
	expect_hit(0, 0xfff, 1, TOP);
	/* All is there up to the top, but the range goes on. */
	assert_code(look(TOP - 0xf, 0x20, RW), VMMEM_EWRAPS);
	ck_assert_uint_eq(found, 1);
	expect_hit(0, TOP - 0xf, 0x10, 0x1ff0);
	assert_code(look(TOP - 0x1fff, UINT64_MAX, RW), VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(found, 2);
	expect_miss(0, TOP - 0x1fff, 0x1000);

	assert_code(map(TOP, 0, 2, RW), VMMEM_EWRAPS);
	assert_code(map(0, TOP, 2, RW), VMMEM_EWRAPS);
	assert_ok(map(1, 0, UINT64_MAX, RW));
	assert_ok(look(TOP, 1, RW));
	expect_hit(0, TOP, 1, TOP - 1);
	assert_code(map(2, 0, UINT64_MAX, RW), VMMEM_EWRAPS);
	/* What lies below 2^64 is removed all the same. */
	assert_code(vmmem_iotlb_unmap(iotlb, TOP - 0xff, 0x101),
		    VMMEM_EWRAPS);
	assert_code(look(TOP - 0x1ff, 0x200, RW), VMMEM_EIOMMUMISS);
	expect_miss(1, TOP - 0xff, 0x100);
}
END_TEST

/* There are never more than the capacity, and the oldest goes first. */
START_TEST(least_recently_used_goes_first)
{
	uint64_t i;

	for (i = 0; i < 16; i++)
		assert_ok(map(i * 0x2000, i * 0x1000, 0x1000, RW));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 16);
	ck_assert_uint_eq(vmmem_iotlb_evicted(iotlb), 0);
	/* All but one are used: it goes, though others are as old. */
	for (i = 0; i < 16; i++)
		if (i != 9)
			assert_ok(look(i * 0x2000, 1, R));
	assert_ok(map(0x100000, 0, 0x1000, RW));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 16);
	ck_assert_uint_eq(vmmem_iotlb_evicted(iotlb), 1);
	assert_code(look(9 * 0x2000, 1, R), VMMEM_EIOMMUMISS);
	/* Of those that are alike the lowest goes. */
	assert_ok(map(0x200000, 0, 0x1000, RW));
	assert_code(look(0, 1, R), VMMEM_EIOMMUMISS);
	assert_ok(look(0x2000, 1, R));
	/* Being denied is use too. */
	assert_ok(map(0x2000, 0x1000, 0x1000, R));
	for (i = 2; i < 16; i++)
		if (i != 5)
			(void)look(i * 0x2000, 1, R);
	assert_ok(look(0x100000, 1, R));
	assert_ok(look(0x200000, 1, R));
	assert_code(look(0x2000, 1, W), VMMEM_EDENIED);
	assert_ok(map(0x300000, 0, 0x1000, RW));
	assert_ok(look(0x2000, 1, R));
	assert_code(look(5 * 0x2000, 1, R), VMMEM_EIOMMUMISS);
	/* What was just added is not what goes. */
	for (i = 0; i < 100; i++) {
		assert_ok(map(0x1000000 + i * 0x2000, 0, 0x1000, RW));
		assert_ok(look(0x1000000 + i * 0x2000, 0x1000, RW));
		ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 16);
	}
}
END_TEST

/* An entry that is cut in two may be one too many. */
START_TEST(cutting_needs_room_too)
{
	uint64_t i;

	for (i = 0; i < 16; i++)
		assert_ok(map(i * 0x4000, i * 0x1000, 0x3000, RW));
	assert_ok(vmmem_iotlb_unmap(iotlb, 0x5000, 0x1000));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 16);
	ck_assert_uint_eq(vmmem_iotlb_evicted(iotlb), 1);
	assert_code(look(0, 1, R), VMMEM_EIOMMUMISS);
	assert_ok(map(0x9000, 0, 0x1000, R));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 16);
	ck_assert_uint_eq(vmmem_iotlb_evicted(iotlb), 3);
	assert_ok(look(0x9000, 0x1000, R));
}
END_TEST

START_TEST(one_entry_is_enough)
{
	struct vmmem_iotlb *one;
	size_t count;

	assert_ok(iotlb_of(1, &one));
	assert_ok(vmmem_iotlb_map(one, 0, 0, 0x3000, RW));
	/* Its two rests both go, for what is new. */
	assert_ok(vmmem_iotlb_map(one, 0x1000, 0, 0x1000, RW));
	ck_assert_uint_eq(vmmem_iotlb_count(one), 1);
	assert_ok(vmmem_iotlb_lookup(one, 0x1000, 0x1000, RW, pieces, 1,
				     &count));
	/* Of the rests that are left the lower one goes: as old, and lower. */
	assert_ok(vmmem_iotlb_unmap(one, 0x1800, 0x100));
	ck_assert_uint_eq(vmmem_iotlb_count(one), 1);
	assert_ok(vmmem_iotlb_lookup(one, 0x1900, 0x700, RW, pieces, 1,
				     &count));
	vmmem_iotlb_unref(one);
}
END_TEST

/* Sections nest; synchronizing waits for none that is over. */
START_TEST(sections)
{
	uint64_t outer, inner;

	assert_ok(vmmem_iotlb_synchronize(iotlb, VMMEM_FOREVER));
	assert_ok(vmmem_iotlb_synchronize(iotlb, 0));
	outer = vmmem_iotlb_enter(iotlb);
	inner = vmmem_iotlb_enter(iotlb);
	assert_code(vmmem_iotlb_synchronize(iotlb, VMMEM_FOREVER),
		    VMMEM_ESELFWAIT);
	vmmem_iotlb_leave(iotlb, inner);
	assert_code(vmmem_iotlb_synchronize(iotlb, VMMEM_FOREVER),
		    VMMEM_ESELFWAIT);
	vmmem_iotlb_leave(iotlb, outer);
	assert_ok(vmmem_iotlb_synchronize(iotlb, VMMEM_FOREVER));
}
END_TEST

static struct vmmem_iotlb *
table_of(size_t capacity)
{
	const struct vmmem_iotlb_options options = {
		.size = sizeof(options),
		.capacity = capacity,
		.flags = VMMEM_IOTLB_NO_EVICT,
	};
	struct vmmem_iotlb *table = NULL;

	assert_ok(vmmem_iotlb_new(&options, &table));
	return table;
}

/* What a client has mapped stays mapped, and it is told of what does not fit. */
START_TEST(a_table_does_not_evict)
{
	struct vmmem_iotlb *table = table_of(2);
	size_t count;

	assert_ok(vmmem_iotlb_map(table, 0, 0x10000, 0x1000, RW));
	assert_ok(vmmem_iotlb_map(table, 0x2000, 0x20000, 0x1000, RW));
	assert_code(vmmem_iotlb_map(table, 0x4000, 0x30000, 0x1000, RW),
		    VMMEM_ENOROOM);
	/* Nor across what is there: neither the old nor the new goes. */
	assert_code(vmmem_iotlb_map(table, 0x2800, 0x30000, 0x1000, RW),
		    VMMEM_ENOROOM);
	assert_ok(vmmem_iotlb_lookup(table, 0, 0x1000, RW, pieces, 1, &count));
	assert_ok(vmmem_iotlb_lookup(table, 0x2000, 0x1000, RW, pieces, 1,
				     &count));
	assert_code(vmmem_iotlb_lookup(table, 0x3000, 0x800, RW, pieces, 1,
				       &count),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(vmmem_iotlb_evicted(table), 0);
	/* One that takes its place, or joins, fits. */
	assert_ok(vmmem_iotlb_map(table, 0x2000, 0x30000, 0x1000, RW));
	assert_ok(vmmem_iotlb_map(table, 0x3000, 0x31000, 0x1000, RW));
	/* A hole in one of them does not, and then there is none. */
	assert_code(vmmem_iotlb_unmap(table, 0x2800, 0x100), VMMEM_ENOROOM);
	assert_ok(vmmem_iotlb_lookup(table, 0x2000, 0x2000, RW, pieces, 1,
				     &count));
	assert_ok(vmmem_iotlb_unmap(table, 0x3000, 0x1000));
	assert_ok(vmmem_iotlb_unmap(table, 0, 0x1000));
	assert_ok(vmmem_iotlb_unmap(table, 0x2800, 0x100));
	ck_assert_uint_eq(vmmem_iotlb_count(table), 2);
	vmmem_iotlb_unmap_all(table);
	ck_assert_uint_eq(vmmem_iotlb_count(table), 0);
	vmmem_iotlb_unref(table);
}
END_TEST

/* A number of the caller's comes back with each piece. */
START_TEST(cookies)
{
	size_t count;

	assert_ok(vmmem_iotlb_map_cookie(iotlb, 0, 0, 0x1000, RW, 7));
	assert_ok(vmmem_iotlb_map_cookie(iotlb, 0x1000, 0x1000, 0x1000, RW,
					 UINT64_MAX));
	assert_ok(vmmem_iotlb_map(iotlb, 0x2000, 0x2000, 0x1000, RW));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 3);
	assert_ok(vmmem_iotlb_map_cookie(iotlb, 0x400, 0x400, 0x100, RW, 8));
	assert_code(vmmem_iotlb_lookup(iotlb, 0, 0x4000, RW, pieces, MOST,
				       &count),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(count, 6);
	ck_assert_uint_eq(pieces[0].cookie, 7);
	ck_assert_uint_eq(pieces[1].cookie, 8);
	ck_assert_uint_eq(pieces[2].cookie, 7);
	ck_assert_uint_eq(pieces[3].cookie, UINT64_MAX);
	ck_assert_uint_eq(pieces[4].cookie, 0);
	ck_assert_uint_eq(pieces[5].cookie, 0);
	ck_assert_uint_eq(pieces[5].reserved[2], 0);
	/* Alike in all, they are one. */
	assert_ok(vmmem_iotlb_map_cookie(iotlb, 0x1000, 0x1000, 0x1000, RW, 0));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 4);
	assert_code(vmmem_iotlb_map_cookie(NULL, 0, 0, 1, RW, 1),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_iotlb_map_cookie(iotlb, UINT64_MAX, 0, 2, RW, 1),
		    VMMEM_EWRAPS);
}
END_TEST

static atomic_int stage;

static void *
stay_in_a_section(void *unused)
{
	uint64_t section = vmmem_iotlb_enter(iotlb);

	(void)unused;
	atomic_store(&stage, 1);
	while (atomic_load(&stage) != 2)
		sched_yield();
	vmmem_iotlb_leave(iotlb, section);
	return NULL;
}

static void *
wait_for_it(void *unused)
{
	(void)unused;
	return vmmem_iotlb_synchronize(iotlb, VMMEM_FOREVER) == 0 ? NULL :
								     iotlb;
}

/* Nor does one that waits for ever keep another waiting. */
START_TEST(a_section_that_stays)
{
	pthread_t thread, waiter;
	void *result;
	int i;

	atomic_store(&stage, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, stay_in_a_section, NULL),
			 0);
	while (atomic_load(&stage) != 1)
		sched_yield();
	assert_code(vmmem_iotlb_synchronize(iotlb, 0), VMMEM_ETIMEOUT);
	assert_code(vmmem_iotlb_synchronize(iotlb, 1000), VMMEM_ETIMEOUT);
	ck_assert_int_eq(pthread_create(&waiter, NULL, wait_for_it, NULL), 0);
	for (i = 0; i < 100; i++) {
		assert_code(vmmem_iotlb_synchronize(iotlb, 1000),
			    VMMEM_ETIMEOUT);
		sched_yield();
	}
	atomic_store(&stage, 2);
	pthread_join(thread, NULL);
	pthread_join(waiter, &result);
	ck_assert_ptr_null(result);
	assert_ok(vmmem_iotlb_synchronize(iotlb, 0));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iotlb");
	TCase *tcase = tcase_create("iotlb");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, new_checks_its_arguments);
	tcase_add_test(tcase, new_with_options);
	tcase_add_test(tcase, a_table_does_not_evict);
	tcase_add_test(tcase, cookies);
	tcase_add_test(tcase, memory_is_as_stated);
	tcase_add_test(tcase, null_is_refused_or_ignored);
	tcase_add_test(tcase, references_are_counted);
	tcase_add_test(tcase, nothing_is_there_at_first);
	tcase_add_test(tcase, no_bytes_anywhere);
	tcase_add_test(tcase, any_granularity);
	tcase_add_test(tcase, every_failure_is_reported);
	tcase_add_test(tcase, count_without_room);
	tcase_add_test(tcase, no_room_is_no_success);
	tcase_add_test(tcase, neighbours_join);
	tcase_add_test(tcase, not_past_the_last_target);
	tcase_add_test(tcase, duplicates);
	tcase_add_test(tcase, later_overrides);
	tcase_add_test(tcase, unmap_cuts);
	tcase_add_test(tcase, up_to_the_top);
	tcase_add_test(tcase, least_recently_used_goes_first);
	tcase_add_test(tcase, cutting_needs_room_too);
	tcase_add_test(tcase, one_entry_is_enough);
	tcase_add_test(tcase, sections);
	tcase_add_test(tcase, a_section_that_stays);
	suite_add_tcase(suite, tcase);
	return suite;
}
