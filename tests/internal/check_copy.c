/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The copy engine moves the right bytes and no others, at every alignment and
 * length that takes another way through it.  That accesses do not tear is the
 * matter of check_tearing.c.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/copy.h"
#include "suite.h"

/* Offsets beyond the widest access, and lengths beyond the unrolled loop. */
#define OFFSETS 20
#define LENGTHS 160

static unsigned char guest[4096] __attribute__((__aligned__(64)));
static unsigned char local[4096] __attribute__((__aligned__(64)));
static unsigned char expected[4096] __attribute__((__aligned__(64)));

/* No two neighbours, and no two groups of 8, are alike. */
static unsigned char
byte_at(size_t i)
{
	return (unsigned char)(i * 167 + i / 256 * 31 + 1);
}

static void
number(unsigned char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = byte_at(i);
}

START_TEST(from_guest)
{
	size_t from = (size_t)_i, to, len;

	number(guest, sizeof(guest));
	for (to = 0; to < OFFSETS; to++) {
		for (len = 0; len < LENGTHS; len++) {
			memset(local, 0xee, 512);
			memset(expected, 0xee, 512);
			memcpy(expected + to, guest + from, len);
			vmmem_copy_from_guest(local + to, guest + from, len);
			ck_assert_mem_eq(local, expected, 512);
		}
	}
}
END_TEST

START_TEST(to_guest)
{
	size_t from = (size_t)_i, to, len;

	number(local, sizeof(local));
	for (to = 0; to < OFFSETS; to++) {
		for (len = 0; len < LENGTHS; len++) {
			memset(guest, 0xee, 512);
			memset(expected, 0xee, 512);
			memcpy(expected + to, local + from, len);
			vmmem_copy_to_guest(guest + to, local + from, len);
			ck_assert_mem_eq(guest, expected, 512);
		}
	}
}
END_TEST

START_TEST(fill)
{
	size_t to = (size_t)_i, len;

	for (len = 0; len < 800; len++) {
		memset(guest, 0xee, 1024);
		memset(expected, 0xee, 1024);
		memset(expected + to, 0x5a, len);
		vmmem_copy_fill(guest + to, 0x5a, len);
		ck_assert_mem_eq(guest, expected, 1024);
	}
}
END_TEST

/* Every overlap of a few chunks, upwards and downwards, as memmove() does. */
START_TEST(within_guest)
{
	size_t from = 256 + (size_t)_i, to, len;

	for (to = 200; to < 330; to++) {
		for (len = 0; len < 1700; len += 1 + len / 9) {
			number(guest, 2560);
			memcpy(expected, guest, 2560);
			memmove(expected + to, expected + from, len);
			vmmem_copy_within_guest(guest + to, guest + from, len);
			ck_assert_mem_eq(guest, expected, 2560);
		}
	}
}
END_TEST

/* Nothing is read or written outside of the range: pages on both sides. */
START_TEST(guard_pages)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len;
	unsigned char *map, *first, *end;

	map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	first = map + page;
	end = first + page;
	ck_assert_int_eq(mprotect(first, page, PROT_READ | PROT_WRITE), 0);
	for (len = 0; len < 700; len++) {
		vmmem_copy_from_guest(local, first, len);
		vmmem_copy_from_guest(local, end - len, len);
		vmmem_copy_to_guest(first, local, len);
		vmmem_copy_to_guest(end - len, local, len);
		vmmem_copy_fill(first, 1, len);
		vmmem_copy_fill(end - len, 1, len);
		vmmem_copy_within_guest(first, end - len, len);
		vmmem_copy_within_guest(end - len, first, len);
	}
	ck_assert_int_eq(munmap(map, 3 * page), 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("copy");
	TCase *tcase = tcase_create("bytes");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, from_guest, 0, OFFSETS);
	tcase_add_loop_test(tcase, to_guest, 0, OFFSETS);
	tcase_add_loop_test(tcase, fill, 0, OFFSETS);
	tcase_add_loop_test(tcase, within_guest, 0, OFFSETS);
	tcase_add_test(tcase, guard_pages);
	suite_add_tcase(suite, tcase);
	return suite;
}
