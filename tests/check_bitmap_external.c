/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Bitmaps whose bits are the caller's: the log of vhost-user. */
#include <endian.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

#include "suite.h"

#define expect(condition)                               \
	do {                                            \
		if (!(condition))                       \
			ck_abort_msg("%s", #condition); \
	} while (0)

static long
rounds(long most)
{
	const char *scale = getenv("VMMEM_TEST_SCALE");
	long divisor = scale != NULL ? strtol(scale, NULL, 10) : 1;

	return divisor > 1 ? most / divisor + 1 : most;
}

static void
count_release(void *opaque)
{
	++*(int *)opaque;
}

START_TEST(new_refuses)
{
	struct vmmem_bitmap *none = (void *)&none, *bitmap = none;
	uint64_t words[4] = { 0 };
	int released = 0;

	ck_assert_int_eq(vmmem_bitmap_new_external(NULL, 32, 64, 64,
						   count_release, &released,
						   NULL, &bitmap),
			 VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_new_external(words, 32, 64, 64,
						   count_release, &released,
						   NULL, NULL),
			 VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_new_external(words, 32, 0, 64,
						   count_release, &released,
						   NULL, &bitmap),
			 VMMEM_EZEROLEN);
	/* 7 bytes are 56 pages, 8 bytes are 64, and not a byte more. */
	ck_assert_int_eq(vmmem_bitmap_new_external(words, 7, 56 * 64 + 1, 64,
						   count_release, &released,
						   NULL, &bitmap),
			 VMMEM_EOUTOFRANGE);
	ck_assert_int_eq(vmmem_bitmap_new_external(words, 8, 64 * 64 + 1, 64,
						   count_release, &released,
						   NULL, &bitmap),
			 VMMEM_EOUTOFRANGE);
	ck_assert_int_eq(vmmem_bitmap_new_external(words, 0, 1, 64,
						   count_release, &released,
						   NULL, &bitmap),
			 VMMEM_EOUTOFRANGE);
	ck_assert_int_eq(vmmem_bitmap_new_external(words, 32, UINT64_MAX, 64,
						   count_release, &released,
						   NULL, &bitmap),
			 VMMEM_EOUTOFRANGE);
	ck_assert_ptr_eq(bitmap, none);
	ck_assert_int_eq(released, 0);
}
END_TEST

/* Bit n of byte m is page 8 * m + n; and they are the caller's to the end. */
START_TEST(layout)
{
	union {
		uint64_t words[2];
		unsigned char bytes[16];
	} bits = { .bytes = { 0 } };
	struct vmmem_bitmap *bitmap;
	uint64_t page;
	int released = 0;

	bits.bytes[3] = 0x21;
	ck_assert_int_eq(
		vmmem_bitmap_new_external(&bits, sizeof(bits), 128 * 4096, 4096,
					  count_release, &released, NULL,
					  &bitmap),
		0);
	/* What is set there is marked. */
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 2);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 24 * 4096), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 29 * 4096), 1);
	ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 0, UINT64_MAX), 0);
	ck_assert_uint_eq(bits.words[0] | bits.words[1], 0);

	for (page = 0; page < 128; page++) {
		ck_assert_int_eq(vmmem_bitmap_mark(bitmap, page * 4096, 1), 0);
		ck_assert_uint_eq(bits.bytes[page / 8], 1U << page % 8);
		ck_assert_int_eq(vmmem_bitmap_clear(bitmap, page * 4096, 4096),
				 0);
		ck_assert_uint_eq(bits.bytes[page / 8], 0);
	}
	/* What the owner sets and clears is what the library sees. */
	bits.bytes[15] = 0x80;
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 127 * 4096), 1);
	bits.bytes[15] = 0;
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);

	vmmem_bitmap_ref(bitmap);
	vmmem_bitmap_unref(bitmap);
	ck_assert_int_eq(released, 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, 128 * 4096), 0);
	vmmem_bitmap_unref(bitmap);
	ck_assert_int_eq(released, 1);
	/* Dropping it has not changed the bits. */
	ck_assert_uint_eq(bits.words[0] & bits.words[1], UINT64_MAX);
}
END_TEST

/* All ranges, whole words among them, and nothing next to them. */
START_TEST(ranges)
{
	uint64_t words[6];
	struct vmmem_bitmap *bitmap;
	uint64_t first, last, i;

	memset(words, 0, sizeof(words));
	/* The first and the last word belong to somebody else. */
	ck_assert_int_eq(vmmem_bitmap_new_external(words + 1, 32, 200 * 64, 64,
						   NULL, NULL, NULL, &bitmap),
			 0);
	for (first = 0; first < 200; first++) {
		for (last = first; last < 200; last++) {
			unsigned char *bytes = (unsigned char *)(words + 1);

			expect(vmmem_bitmap_mark(bitmap, first * 64,
						 (last - first) * 64 + 1) == 0);
			for (i = 0; i < 256; i++) {
				expect((bytes[i / 8] >> i % 8 & 1) ==
				       (i >= first && i <= last));
			}
			expect(vmmem_bitmap_count(bitmap) == last - first + 1);
			expect(vmmem_bitmap_clear(bitmap, first * 64,
						  (last - first + 1) * 64) ==
			       0);
		}
	}
	for (i = 0; i < 6; i++)
		ck_assert_uint_eq(words[i], 0);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

#define GUARD 4096

/*
 * Bytes that begin and end anywhere, up to memory that is not there: what is
 * next to them is not touched, and each operation does what it does of words.
 */
START_TEST(any_bytes)
{
	unsigned char *page = mmap(NULL, 2 * GUARD, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const size_t len = (size_t)_i % 24 + 1, after = (size_t)_i / 24;
	const uint64_t pages = 8 * len - (size_t)_i % 8;
	struct vmmem_harvester *harvester;
	struct vmmem_bitmap *bitmap;
	uint64_t first, i, taken;
	unsigned char *bytes;

	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_int_eq(mprotect(page + GUARD, GUARD, PROT_NONE), 0);
	bytes = page + GUARD - after - len;
	memset(page, 0x3c, GUARD);
	memset(bytes, 0, len);
	ck_assert_int_eq(vmmem_bitmap_new_external(bytes, len, pages * 64, 64,
						   NULL, NULL, NULL, &bitmap),
			 0);
	for (first = 0; first < pages; first += 1 + first % 3) {
		uint64_t last = first + (first * 7 + 3) % (pages - first);

		expect(vmmem_bitmap_mark(bitmap, first * 64,
					 (last - first) * 64 + 1) == 0);
		for (i = 0; i < 8 * len; i++)
			expect((bytes[i / 8] >> i % 8 & 1) ==
			       (i >= first && i <= last));
		expect(vmmem_bitmap_test(bitmap, last * 64) == 1);
		expect(vmmem_bitmap_count(bitmap) == last - first + 1);
		expect(vmmem_bitmap_clear(bitmap, first * 64,
					  (last - first + 1) * 64) == 0);
		expect(vmmem_bitmap_count(bitmap) == 0);
	}
	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &harvester), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 0, pages * 64), 0);
	ck_assert_int_eq(vmmem_harvester_take(harvester, &taken), 0);
	ck_assert_uint_eq(taken, pages);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
	for (i = 0; i < GUARD; i++)
		expect(page[i] == (page + i < bytes || page + i >= bytes + len ?
					   0x3c :
					   0));
	munmap(page, 2 * GUARD);
}
END_TEST

/* Bits past the last page are no pages, whoever set them. */
START_TEST(stray_bits)
{
	uint64_t words[2] = { UINT64_MAX, UINT64_MAX };
	struct vmmem_harvester *harvester;
	struct vmmem_bitmap *bitmap;
	uint64_t start, len, pages;
	vmmem_le64 exported[2];

	ck_assert_int_eq(vmmem_bitmap_new_external(words, sizeof(words),
						   9 * 64 + 1, 64, NULL, NULL,
						   NULL, &bitmap),
			 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 10);
	ck_assert_int_eq(vmmem_bitmap_next(bitmap, 0, &start, &len), 0);
	ck_assert_uint_eq(start, 0);
	ck_assert_uint_eq(len, 9 * 64 + 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 10 * 64), 0);
	ck_assert_int_eq(vmmem_bitmap_export(bitmap, 0, 9 * 64 + 1, 64,
					     exported, 16),
			 0);
	ck_assert_uint_eq(vmmem_le64_get(&exported[0]), 0x3ff);
	ck_assert_uint_eq(vmmem_le64_get(&exported[1]), 0);

	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &harvester), 0);
	ck_assert_int_eq(vmmem_harvester_take(harvester, &pages), 0);
	ck_assert_uint_eq(pages, 10);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_harvester_taken(harvester)),
			  10);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* Whoever harvests in another process cannot switch logging on here. */
START_TEST(logging_is_always_on)
{
	struct vmmem_bitmap *bitmap;
	uint64_t word = 0;

	ck_assert_int_eq(vmmem_bitmap_new_external(&word, sizeof(word), 64, 64,
						   NULL, NULL, NULL, &bitmap),
			 0);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	ck_assert_int_eq(vmmem_bitmap_start_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), 0);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	ck_assert_int_eq(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	/* It has no room to grow. */
	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, 64), 0);
	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, 65), VMMEM_EOUTOFRANGE);
	ck_assert_int_eq(vmmem_bitmap_grow(bitmap, 63), VMMEM_EARGUMENT);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/* A harvester in this process takes the bits from the shared words. */
START_TEST(harvested_here)
{
	struct vmmem_harvester *harvester;
	struct vmmem_bitmap *bitmap;
	uint64_t words[8] = { 0 }, pages;
	size_t i;

	ck_assert_int_eq(vmmem_bitmap_new_external(words, sizeof(words),
						   512 * 4096, 4096, NULL, NULL,
						   NULL, &bitmap),
			 0);
	ck_assert_int_eq(vmmem_harvester_new(bitmap, NULL, &harvester), 0);
	ck_assert_int_eq(vmmem_bitmap_mark(bitmap, 100 * 4096, 200 * 4096), 0);
	ck_assert_int_eq(vmmem_harvester_take(harvester, &pages), 0);
	ck_assert_uint_eq(pages, 200);
	for (i = 0; i < 8; i++)
		ck_assert_uint_eq(words[i], 0);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
}
END_TEST

/*
 * The other side of a shared log, in another process with a mapping of its
 * own: it takes words by exchange, and keeps what it saw.  Nothing is lost,
 * however often the bits are marked again.
 */
#define SHARED_PAGES 1024
#define SHARED_WORDS (SHARED_PAGES / 64)

struct shared {
	_Atomic uint64_t log[SHARED_WORDS];
	uint64_t seen[SHARED_WORDS]; /* the child's; read when it has ended */
	_Atomic uint32_t data[SHARED_PAGES];
	uint32_t copy[SHARED_PAGES]; /* the child's, likewise */
	atomic_int begun;
	atomic_int done;
};

/* The child: it copies the data of what it takes. */
static int
peer(int fd)
{
	struct shared *shared = mmap(NULL, sizeof(*shared),
				     PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t word;
	bool last;
	size_t i;

	if (shared == MAP_FAILED)
		return 1;
	atomic_store(&shared->begun, 1);
	do {
		last = atomic_load(&shared->done) != 0;
		for (i = 0; i < SHARED_WORDS; i++) {
			word = le64toh(atomic_exchange(&shared->log[i], 0));
			shared->seen[i] |= word;
			for (; word != 0; word &= word - 1) {
				size_t page =
					i * 64 + (size_t)__builtin_ctzll(word);

				shared->copy[page] =
					atomic_load(&shared->data[page]);
			}
		}
	} while (!last);
	return 0;
}

START_TEST(shared_with_a_process)
{
	int fd = memfd_create("log", MFD_CLOEXEC), status;
	struct vmmem_bitmap *bitmap;
	struct shared *shared;
	uint32_t number, last = (uint32_t)rounds(300000);
	uint64_t page, i;
	pid_t child;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, sizeof(*shared)), 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	ck_assert_int_eq(vmmem_bitmap_new_external(shared->log,
						   sizeof(shared->log),
						   SHARED_PAGES * 4096, 4096,
						   NULL, NULL, NULL, &bitmap),
			 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(peer(fd));
	while (atomic_load(&shared->begun) == 0)
		sched_yield();

	for (number = 1; number <= last; number++) {
		page = number % 13 * 70;
		if (number % 1000 != 0) {
			atomic_store_explicit(&shared->data[page], number,
					      memory_order_relaxed);
			expect(vmmem_bitmap_mark(bitmap, page * 4096, 1) == 0);
			continue;
		}
		/* A long range, which is marked in whole words. */
		for (i = page; i < SHARED_PAGES; i++)
			atomic_store_explicit(&shared->data[i], number,
					      memory_order_relaxed);
		expect(vmmem_bitmap_mark(bitmap, page * 4096,
					 (SHARED_PAGES - page) * 4096) == 0);
	}
	atomic_store(&shared->done, 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);

	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	for (page = 0; page < SHARED_PAGES; page++) {
		expect(shared->copy[page] == atomic_load(&shared->data[page]));
		/* Nothing comes that was not marked. */
		expect((shared->copy[page] != 0) ==
		       (shared->seen[page / 64] >> page % 64 & 1));
	}
	ck_assert_uint_ne(shared->copy[70], 0);
	vmmem_bitmap_unref(bitmap);
	munmap(shared, sizeof(*shared));
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("bitmap_external");
	TCase *tcase = tcase_create("external");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, new_refuses);
	tcase_add_test(tcase, layout);
	tcase_add_test(tcase, ranges);
	tcase_add_loop_test(tcase, any_bytes, 0, 24 * 9);
	tcase_add_test(tcase, stray_bits);
	tcase_add_test(tcase, logging_is_always_on);
	tcase_add_test(tcase, harvested_here);
	tcase_add_test(tcase, shared_with_a_process);
	suite_add_tcase(suite, tcase);
	return suite;
}
