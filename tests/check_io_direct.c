/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Transfers that do not go through the page cache.  What the kernel changes
 * behind the end of the file, and does not count, is marked too.  Buffers that
 * do not lie as the disk wants it are as good as others.
 */
#include <stdio.h>

#include "io_forms.h"
#include "rng.h"
#include "suite.h"

/* As direct reads are aligned, whatever the disk; also a third of all. */
#define BLOCK 0x1000
#define LEN (15 * BLOCK)
#define GPA UINT64_C(0x100000)

/* What the file has, and is no whole number of anything. */
#define IN_FILE (BLOCK + 100)

#define UNTOUCHED 0xee

/* Two descriptors of a new file on the disk, the second a direct one. */
static bool
open_two(int *ret_fd, int *ret_direct)
{
	char path[64];

	*ret_fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*ret_fd < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *ret_fd);
	*ret_direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (*ret_direct < 0)
		close(*ret_fd);
	return *ret_direct >= 0;
}

const char *
skip_reason(void)
{
	int fd, direct;

	if (!open_two(&fd, &direct))
		return "no direct I/O in this directory";
	close(direct);
	close(fd);
	return NULL;
}

START_TEST(short_of_the_end)
{
	const struct form *form = &forms[_i];
	struct vmmem_region_builder *builder;
	struct vmmem_region *region = NULL;
	struct vmmem_collection *one;
	struct vmmem_bitmap *log;
	static uint8_t xs[IN_FILE];
	const uint8_t *host;
	uint64_t done = 0, i;
	int file, unbuffered;

	if (form->to_fd)
		return;
	ck_assert(open_two(&file, &unbuffered));
	/* More than it has may be on the disk; if not, less is changed. */
	(void)!fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 2 * LEN);
	memset(xs, 'x', sizeof(xs));
	ck_assert_int_eq(pwrite(file, xs, sizeof(xs), 0), sizeof(xs));
	ck_assert_int_eq(fsync(file), 0);

	builder = vmmem_region_builder_new();
	vmmem_region_builder_set_range(builder, GPA, LEN);
	vmmem_region_builder_set_tracking(builder, BLOCK);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	log = vmmem_region_bitmap(region);
	host = expect_host(region);
	one = guest_of_one(region);
	assert_ok(vmmem_collection_fill(one, GPA, LEN, UNTOUCHED, NULL));
	assert_ok(vmmem_bitmap_start_logging(log));

	/* The plain forms go on where nothing is aligned, and find the end. */
	assert_code(form_call(form, one, GPA, LEN, unbuffered, 0, &done),
		    form->some ? VMMEM_EPARTIAL : VMMEM_EEOF);
	ck_assert_uint_eq(done, IN_FILE);
	for (i = 0; i < LEN; i++) {
		if (host[i] != UNTOUCHED && !vmmem_bitmap_test(log, i))
			ck_abort_msg("%s: byte %#llx", form->name,
				     (unsigned long long)i);
	}
	vmmem_collection_unref(one);
	close(unbuffered);
	close(file);
}
END_TEST

/* More than goes through the buffer at once. */
#define LARGE UINT64_C(0x300000)

static struct vmmem_collection *guest;
static struct vmmem_bitmap *bitmap;
static int fd = -1, direct = -1;
static uint8_t bytes[LARGE];

static void
setup(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;

	ck_assert(open_two(&fd, &direct));
	vmmem_region_builder_set_range(builder, GPA, LARGE);
	vmmem_region_builder_set_tracking(builder, BLOCK);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	bitmap = vmmem_region_bitmap(region);
	guest = guest_of_one(region);
	assert_ok(vmmem_bitmap_start_logging(bitmap));
}

static void
teardown(void)
{
	vmmem_collection_unref(guest);
	close(direct);
	close(fd);
}

static const struct {
	uint64_t gpa, len, at;
} places[] = {
	{ GPA + 0x10, BLOCK, 0 },
	{ GPA + 1, BLOCK, BLOCK },
	{ GPA + 0x200, 3 * BLOCK, 2 * BLOCK },
	{ GPA + BLOCK - 8, 2 * BLOCK, 0 },
	{ GPA + 7, 0x200000 + BLOCK, BLOCK },
	/* These are for reading only: they are no whole blocks. */
	{ GPA + 0x10, 512, 0 },
	{ GPA, 100, 512 },
	{ GPA + 3, 0x1234, 0x789 },
	{ GPA + 9, 0x100001, 1 },
};

static void
clean(uint8_t value)
{
	assert_ok(vmmem_collection_fill(guest, GPA, LARGE, value, NULL));
	assert_ok(vmmem_bitmap_clear(bitmap, 0, LARGE));
}

/* Exactly the pages of the range. */
static void
expect_marks(uint64_t gpa, uint64_t len)
{
	uint64_t at;

	for (at = 0; at < LARGE; at += BLOCK)
		ck_assert_int_eq(vmmem_bitmap_test(bitmap, at),
				 len != 0 && GPA + at + BLOCK > gpa &&
					 GPA + at < gpa + len);
}

START_TEST(anywhere)
{
	const struct form *form = &forms[_i];
	static uint8_t now[LARGE], fresh[LARGE];
	size_t i;

	pattern(fresh, LARGE, 9);
	for (i = 0; i < ARRAY_LEN(places); i++) {
		const uint64_t gpa = places[i].gpa, len = places[i].len;
		const uint64_t at = places[i].at;

		if (form->to_fd && (len | at) % BLOCK != 0)
			continue;
		/* Where every instruction is slow, the small ones must do. */
		if (rng_rounds(100) <= 2 && len > 0x10000)
			continue;
		memcpy(bytes, fresh, LARGE);
		ck_assert_int_eq(pwrite(fd, bytes, LARGE, 0), LARGE);
		ck_assert_int_eq(fsync(fd), 0);
		clean(UNTOUCHED);
		if (form->to_fd)
			assert_ok(vmmem_collection_write(guest, gpa,
							 bytes + 1, len,
							 NULL));
		assert_ok(vmmem_bitmap_clear(bitmap, 0, LARGE));
		seek(direct, at);
		errno = EXDEV;
		assert_moved(form_call(form, guest, gpa, len, direct, at,
				       &done), 0, len);
		ck_assert_int_eq(errno, EXDEV);
		ck_assert_uint_eq(position(direct), form->at ? at : at + len);
		expect_marks(gpa, form->to_fd ? 0 : len);
		ck_assert_int_eq(pread(fd, now, LARGE, 0), LARGE);
		if (form->to_fd)
			memmove(bytes + at, bytes + 1, len);
		ck_assert_mem_eq(now, bytes, LARGE);
		assert_ok(vmmem_collection_read(guest, gpa - 1 + (gpa == GPA),
						now, len + 1, NULL));
		if (gpa != GPA)
			ck_assert_uint_eq(now[0], UNTOUCHED);
		if (!form->to_fd)
			ck_assert_mem_eq(now + (gpa != GPA), bytes + at, len);
	}
}
END_TEST

/* The file ends: there, within a block, and before. */
START_TEST(ends)
{
	const struct form *form = &forms[_i];
	const uint64_t in_file = 3 * BLOCK + 77;
	static uint8_t now[LARGE];
	uint64_t at;

	if (form->to_fd)
		return;
	pattern(bytes, in_file, 5);
	ck_assert_int_eq(pwrite(fd, bytes, in_file, 0), (ssize_t)in_file);
	ck_assert_int_eq(fsync(fd), 0);
	for (at = in_file - 2 * BLOCK; at <= in_file + 1; at += BLOCK / 2) {
		const uint64_t there = at < in_file ? in_file - at : 0;

		clean(UNTOUCHED);
		seek(direct, at);
		assert_moved(form_call(form, guest, GPA + 5, 4 * BLOCK, direct,
				       at, &done),
			     form->some && there != 0 ? VMMEM_EPARTIAL :
							VMMEM_EEOF,
			     there);
		assert_ok(vmmem_collection_read(guest, GPA + 5, now, 4 * BLOCK,
						NULL));
		ck_assert_mem_eq(now, bytes + at, there);
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io_direct");
	TCase *tcase = tcase_create("io_direct");

	tcase_add_loop_test(tcase, short_of_the_end, 0, FORMS);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("unaligned");
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, anywhere, 0, FORMS);
	tcase_add_loop_test(tcase, ends, 0, FORMS);
	suite_add_tcase(suite, tcase);
	return suite;
}
