/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What holds for every function of vmmem/io.h, on files. */
#include "io_forms.h"
#include "suite.h"

/* Three regions that touch, the last of which may only be read, and a hole. */
#define GPA UINT64_C(0x10000)
#define MIDDLE UINT64_C(0x12000)
#define ROM UINT64_C(0x14000)
#define END UINT64_C(0x15000)
/* One that may only be written, and one for all, before a hole. */
#define SINK UINT64_C(0x20000)
#define EDGE UINT64_C(0x30000)
/* And one at the end of all. */
#define LAST (TOP - 0xfff)

#define FILE_LEN 0x3000

static struct vmmem_collection *guest;
static uint8_t bytes[0x10000];
static int file;

static void
setup(void)
{
	struct vmmem_region *regions[] = {
		region_of(GPA, MIDDLE - GPA),
		region_of(MIDDLE, ROM - MIDDLE),
		region_with(ROM, END - ROM, VMMEM_PROT_READ),
		region_with(SINK, 0x1000, VMMEM_PROT_WRITE),
		region_of(EDGE, 0x1000),
		region_of(LAST, 0x1000),
	};

	guest = guest_of(regions, ARRAY_LEN(regions));
	file = file_with_pattern(FILE_LEN, 3);
	errno = EXDEV;
}

static void
teardown(void)
{
	/* errno is no part of the interface, and a signal handler minds. */
	ck_assert_int_eq(errno, EXDEV);
	close(file);
	guest = vmmem_collection_unref(guest);
}

static void
assert_guest(uint64_t gpa, uint64_t file_at, size_t len, unsigned int seed)
{
	assert_ok(vmmem_collection_read(guest, gpa, bytes, len, NULL));
	ck_assert(is_pattern(bytes, file_at, len, seed));
}

static void
assert_file(uint64_t at, size_t from, size_t len, unsigned int seed)
{
	ck_assert_int_eq(pread(file, bytes, len, (off_t)at), (ssize_t)len);
	ck_assert(is_pattern(bytes, from, len, seed));
}

/* The range from 'gpa' on holds a pattern, and around it there are zeros. */
static void
fill_guest(uint64_t gpa, size_t len, unsigned int seed)
{
	pattern(bytes, len, seed);
	assert_ok(vmmem_collection_fill(guest, GPA, ROM - GPA, 0, NULL));
	assert_ok(vmmem_collection_write(guest, gpa, bytes, len, NULL));
}

/* Ranges within one region, and lengths around a page. */
static const struct {
	uint64_t gpa, len, at;
} places[] = {
	{ GPA, 1, 0 },
	{ GPA + 3, 1, 5 },
	{ GPA, 4095, 1 },
	{ GPA + 8, 4096, 0 },
	{ GPA + 1, 4097, 77 },
	{ GPA, MIDDLE - GPA, 0x800 },
	{ MIDDLE - 1, 1, 2 },
	{ MIDDLE, ROM - MIDDLE, 0 },
	{ LAST + 0xff0, 16, 9 },
};

START_TEST(moves_all)
{
	const struct form *form = &forms[_i];
	size_t i;

	for (i = 0; i < ARRAY_LEN(places); i++) {
		const uint64_t gpa = places[i].gpa, len = places[i].len;
		const uint64_t at = places[i].at;

		seek(file, form->at ? 0x123 : at);
		fill_guest(gpa, len, 90);
		assert_moved(form_call(form, guest, gpa, len, file, at, &done),
			     0, len);
		ck_assert_uint_eq(position(file), form->at ? 0x123 : at + len);
		if (form->to_fd) {
			assert_file(at, 0, len, 90);
			close(file);
			file = file_with_pattern(FILE_LEN, 3);
		} else {
			assert_guest(gpa, at, len, 3);
		}
		if (gpa == GPA && len < MIDDLE - GPA)
			ck_assert_uint_eq(*host_of(guest, gpa + len), 0);
		errno = EXDEV;
	}
	/* Nobody has to want the count. */
	seek(file, 0);
	assert_ok(form_call(form, guest, GPA, 9, file, 0, NULL));
	errno = EXDEV;
}
END_TEST

/* Through a seam, and a chain through any. */
START_TEST(crosses_regions)
{
	const struct form *form = &forms[_i];
	const uint64_t gpa = MIDDLE - 0x777, len = 0x777 + 0x1001;

	if (form->side == SLICE)
		return;
	fill_guest(gpa, len, 90);
	seek(file, 0x10);
	assert_moved(form_call(form, guest, gpa, len, file, 0x10, &done), 0,
		     len);
	if (form->to_fd)
		assert_file(0x10, 0, len, 90);
	else
		assert_guest(gpa, 0x10, len, 3);
	ck_assert_uint_eq(*host_of(guest, gpa - 1), 0);
	ck_assert_uint_eq(*host_of(guest, gpa + len), 0);
	errno = EXDEV;
}
END_TEST

START_TEST(no_bytes_at_all)
{
	const struct form *form = &forms[_i];
	const uint64_t gpa = form->side == SLICE ? ROM : UINT64_C(0x666000);
	const struct vmmem_slice empty = { .len = 0 };

	assert_moved(form_call(form, guest, gpa, 0, -1, TOP, &done), 0, 0);
	assert_ok(form_call(form, guest, gpa, 0, -1, TOP, NULL));
	if (form->side == CHAIN)
		assert_moved(form_ranges(form, guest, NULL, 0, -1, 0, &done),
			     0, 0);
	else if (form->side == SLICE)
		assert_moved(form_part(form, &empty, TOP, 0, -1, 0, &done), 0,
			     0);
}
END_TEST

START_TEST(null_is_invalid)
{
	const struct form *form = &forms[_i];
	const struct vmmem_range range = { GPA, 8 };
	uint64_t done = 77;

	if (form->side == RANGE) {
		assert_code(form_range(form, NULL, GPA, 8, file, 0, &done),
			    VMMEM_EARGUMENT);
	} else if (form->side == CHAIN) {
		assert_code(form_ranges(form, NULL, &range, 1, file, 0, &done),
			    VMMEM_EARGUMENT);
		assert_code(form_ranges(form, guest, NULL, 1, file, 0, &done),
			    VMMEM_EARGUMENT);
	} else {
		assert_code(form_part(form, NULL, 0, 8, file, 0, &done),
			    VMMEM_EARGUMENT);
	}
	ck_assert_uint_eq(done, 77);
}
END_TEST

START_TEST(bad_descriptor)
{
	const struct form *form = &forms[_i];
	int closed = dup(file);

	close(closed);
	assert_moved(form_call(form, guest, GPA, 8, -1, 0, &done), -EBADF, 0);
	assert_moved(form_call(form, guest, GPA, 8, closed, 0, &done), -EBADF,
		     0);
	if (form->side != SLICE)
		assert_moved(form_call(form, guest, MIDDLE - 1, 8, closed, 0,
				       &done), -EBADF, 0);
}
END_TEST

/* What must not be written is not read to, and the other way round. */
START_TEST(permission)
{
	const struct form *form = &forms[_i];
	const uint64_t bad = form->to_fd ? SINK : ROM;
	/* (Emulators refuse to read into what only may be written.) */
	const uint64_t good = form->to_fd ? ROM : EDGE;

	seek(file, 0);
	assert_moved(form_call(form, guest, bad + 4, 8, file, 0, &done),
		     VMMEM_EDENIED, 0);
	ck_assert_uint_eq(position(file), 0);
	assert_moved(form_call(form, guest, good + 4, 8, file, 0, &done), 0,
		     8);
	if (form->side == SLICE || form->to_fd)
		return;
	/* All or nothing, or the bytes before. */
	fill_guest(ROM - 5, 5, 90);
	seek(file, 0);
	assert_moved(form_call(form, guest, ROM - 5, 8, file, 0, &done),
		     VMMEM_EDENIED, form->some ? 5 : 0);
	ck_assert_uint_eq(position(file), form->some && !form->at ? 5 : 0);
	assert_guest(ROM - 5, 0, 5, form->some ? 3 : 90);
	errno = EXDEV;
}
END_TEST

/* A hole behind the range: nothing, or what comes before it. */
START_TEST(hole)
{
	const struct form *form = &forms[_i];
	const uint64_t gpa = form->to_fd ? END - 5 : EDGE + 0xffb;
	const int code = form->side == SLICE ? VMMEM_EOUTOFRANGE :
					       VMMEM_EBADADDR;

	seek(file, 0);
	assert_moved(form_call(form, guest, gpa, 9, file, 0, &done), code,
		     form->some ? 5 : 0);
	ck_assert_uint_eq(position(file), form->some && !form->at ? 5 : 0);
	assert_moved(form_call(form, guest, gpa, TOP, file, 0, &done),
		     form->side != SLICE && form->some ? VMMEM_EBADADDR : code,
		     form->some ? 5 : 0);
	if (form->side != SLICE)
		assert_moved(form_call(form, guest, END, 9, file, 0, &done),
			     VMMEM_EBADADDR, 0);
}
END_TEST

/* Nothing comes after the last address. */
START_TEST(top_of_the_address_space)
{
	const struct form *form = &forms[_i];
	const int code = form->side == SLICE ? VMMEM_EOUTOFRANGE :
					       VMMEM_EWRAPS;

	seek(file, 0);
	assert_moved(form_call(form, guest, TOP - 3, 4, file, 0, &done), 0, 4);
	seek(file, 0);
	/* A chain's next member would begin at 0, where there is nothing. */
	if (form->side == CHAIN)
		return;
	assert_moved(form_call(form, guest, TOP - 3, 5, file, 0, &done), code,
		     form->some ? 4 : 0);
	seek(file, 0);
	assert_moved(form_call(form, guest, TOP - 3, TOP, file, 0, &done),
		     code, form->some ? 4 : 0);
}
END_TEST

/* Less in the file than wanted. */
START_TEST(end_of_file)
{
	const struct form *form = &forms[_i];
	uint64_t at = FILE_LEN - 100;

	if (form->to_fd)
		return;
	fill_guest(GPA, 300, 90);
	seek(file, at);
	assert_moved(form_call(form, guest, GPA, 300, file, at, &done),
		     form->some ? VMMEM_EPARTIAL : VMMEM_EEOF, 100);
	assert_guest(GPA, at, 100, 3);
	assert_ok(vmmem_collection_read(guest, GPA, bytes, 300, NULL));
	pattern(bytes + 300, 300, 90);
	ck_assert_mem_eq(bytes + 100, bytes + 400, 200);
	seek(file, FILE_LEN);
	assert_moved(form_call(form, guest, GPA, 300, file, FILE_LEN, &done),
		     VMMEM_EEOF, 0);
	if (form->at)
		assert_moved(form_call(form, guest, GPA, 1, file,
				       INT64_MAX - 1, &done), VMMEM_EEOF, 0);
	if (form->side == SLICE)
		return;
	seek(file, at);
	assert_moved(form_call(form, guest, MIDDLE - 40, 300, file, at, &done),
		     form->some ? VMMEM_EPARTIAL : VMMEM_EEOF, 100);
	assert_guest(MIDDLE - 40, at, 100, 3);
	ck_assert_uint_eq(*host_of(guest, MIDDLE + 60), 0);
	errno = EXDEV;
}
END_TEST

/* No file has a byte at 2^63 - 1. */
START_TEST(end_of_all_files)
{
	const struct form *form = &forms[_i];
	const char *path = form->to_fd ? "/dev/null" : "/dev/zero";
	const uint64_t gpa = form->side == SLICE ? GPA : MIDDLE - 3;
	int fd;

	if (!form->at)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	fill_guest(GPA, MIDDLE - GPA, 90);
	errno = EXDEV;
	assert_moved(form_call(form, guest, gpa, 8, fd, INT64_MAX - 8, &done),
		     0, 8);
	assert_moved(form_call(form, guest, gpa, 8, fd, INT64_MAX - 5, &done),
		     VMMEM_EFILERANGE, form->some ? 5 : 0);
	assert_moved(form_call(form, guest, gpa, 8, fd, INT64_MAX, &done),
		     VMMEM_EFILERANGE, 0);
	assert_moved(form_call(form, guest, gpa, 1, fd, INT64_MAX, &done),
		     VMMEM_EFILERANGE, 0);
	/* That is VMMEM_IO_POSITION, and this is no offset either. */
	assert_moved(form_call(form, guest, gpa, 1, fd,
			       (UINT64_C(1) << 63) + 1, &done),
		     VMMEM_EFILERANGE, 0);
	/* What lseek(2) returns when it fails is not where the file stands. */
	assert_moved(form_call(form, guest, gpa, 1, fd, (uint64_t)(off_t)-1,
			       &done), VMMEM_EFILERANGE, 0);
	assert_moved(form_call(form, guest, gpa, 1, fd, (uint64_t)-ENXIO,
			       &done), VMMEM_EFILERANGE, 0);
	assert_moved(form_call(form, guest, gpa, 8, fd, TOP - 7, &done),
		     VMMEM_EFILERANGE, 0);
	close(fd);
}
END_TEST

/* A bit that nobody knows, also where nothing would be moved. */
START_TEST(unknown_flags)
{
	const struct vmmem_range range = { GPA, 8 };
	struct vmmem_slice slice;
	const uint32_t flags = 1U << _i;
	uint64_t done = 77, len;

	assert_ok(vmmem_collection_slice(guest, GPA, 8, VMMEM_PROT_READ |
					 VMMEM_PROT_WRITE, &slice));
	for (len = 0; len <= 8; len += 8) {
		assert_code(vmmem_collection_from_fd(guest, GPA, len, file, 0,
						     flags, &done),
			    VMMEM_EARGUMENT);
		assert_code(vmmem_collection_to_fd(guest, GPA, len, file, 0,
						   flags, &done),
			    VMMEM_EARGUMENT);
		assert_code(vmmem_collection_ranges_from_fd(
				    guest, &range, 1, 0, len, file, 0, flags,
				    &done, NULL),
			    VMMEM_EARGUMENT);
		assert_code(vmmem_collection_ranges_to_fd(
				    guest, &range, 1, 0, len, file, 0, flags,
				    &done, NULL),
			    VMMEM_EARGUMENT);
		assert_code(vmmem_slice_from_fd(&slice, 0, len, file, 0, flags,
						&done), VMMEM_EARGUMENT);
		assert_code(vmmem_slice_to_fd(&slice, 0, len, file, 0, flags,
					      &done), VMMEM_EARGUMENT);
	}
	ck_assert_uint_eq(done, 77);
}
END_TEST

/* What a chain is made of, and in which order. */
START_TEST(chains)
{
	struct vmmem_range chain[] = {
		{ ROM - 7, 7 },		      { 0x666000, 0 },
		{ MIDDLE - 9, 20 },	      { TOP, 0 },
		{ TOP, 1 },		      { GPA + 0x100, 1 },
		{ GPA + 0x101, 0x1000 },      { ROM, 0 },
	};
	const uint64_t len = 7 + 20 + 1 + 1 + 0x1000;
	uint64_t at = 0x20;
	size_t i;

	fill_guest(GPA, 0x2000, 90);
	assert_moved(vmmem_collection_ranges_from_fd(guest, chain,
						     ARRAY_LEN(chain), 0,
						     VMMEM_IO_REST, file, at,
						     0, &done, NULL),
		     0, len);
	for (i = 0; i < ARRAY_LEN(chain); i++) {
		if (chain[i].len == 0)
			continue;
		assert_guest(chain[i].gpa, at, chain[i].len, 3);
		at += chain[i].len;
	}
	seek(file, 1);
	assert_moved(vmmem_collection_ranges_to_fd(guest, chain,
						   ARRAY_LEN(chain), 0,
						   VMMEM_IO_REST, file,
						   VMMEM_IO_POSITION, 0,
						   &done, NULL),
		     0, len);
	assert_file(1, 0x20, len, 3);
	/* One bad member: nothing, or what comes before it. */
	chain[4].gpa = END;
	assert_moved(vmmem_collection_ranges_to_fd(guest, chain,
						   ARRAY_LEN(chain), 0,
						   VMMEM_IO_REST, file, 0, 0,
						   &done, NULL),
		     VMMEM_EBADADDR, 0);
	assert_file(1, 0x20, len, 3);
	assert_moved(vmmem_collection_ranges_to_fd(guest, chain,
						   ARRAY_LEN(chain), 0,
						   VMMEM_IO_REST, file, 0,
						   VMMEM_IO_SOME, &done, NULL),
		     VMMEM_EBADADDR, 27);
	assert_file(0, 0x20, 27, 3);
	/* Bytes that are there twice are read twice; the last ones stay. */
	chain[0].gpa = chain[2].gpa = GPA;
	assert_moved(vmmem_collection_ranges_from_fd(guest, chain, 3, 0,
						     VMMEM_IO_REST, file, 0, 0,
						     &done, NULL), 0, 27);
	assert_guest(GPA, 0x20 + 7, 20, 3);
	errno = EXDEV;
}
END_TEST

/* Every part of a chain: [skip, skip + len) of it, or all behind 'skip'. */
START_TEST(parts_of_a_chain)
{
	const struct vmmem_range chain[] = {
		{ TOP, 0 }, { MIDDLE - 2, 5 }, { 0x666000, 0 }, { GPA, 4 },
		{ GPA + 8, 3 }, { 0x666000, 0 },
	};
	const uint64_t len = 12, total = len + 1;
	uint64_t skip, part;

	for (skip = 0; skip < len; skip++) {
		for (part = 1; part <= len - skip; part++) {
			fill_guest(GPA, 0x2000, 90);
			assert_moved(vmmem_collection_ranges_from_fd(
					     guest, chain, ARRAY_LEN(chain),
					     skip, part, file, 0x40 + skip, 0,
					     &done, NULL),
				     0, part);
			/* Only that, and at its place. */
			assert_ok(vmmem_collection_ranges_to_fd(
				guest, chain, ARRAY_LEN(chain), 0, len, file,
				FILE_LEN, 0, NULL, NULL));
			assert_file(FILE_LEN + skip, 0x40 + skip, part, 3);
			ck_assert_int_eq(pread(file, bytes, len, FILE_LEN),
					 (ssize_t)len);
			ck_assert(skip == 0 ||
				  bytes[skip - 1] !=
					  (uint8_t)((0x40 + skip - 1) * 7 +
						    3));
		}
		assert_moved(vmmem_collection_ranges_to_fd(
				     guest, chain, ARRAY_LEN(chain), skip,
				     VMMEM_IO_REST, file, 0, 0, &done, NULL),
			     0, len - skip);
		assert_moved(vmmem_collection_ranges_to_fd(
				     guest, chain, ARRAY_LEN(chain), skip,
				     total - skip, file, 0, 0, &done, NULL),
			     VMMEM_EOUTOFRANGE, 0);
		assert_moved(vmmem_collection_ranges_to_fd(
				     guest, chain, ARRAY_LEN(chain), skip,
				     total - skip, file, 0, VMMEM_IO_SOME,
				     &done, NULL),
			     VMMEM_EOUTOFRANGE, len - skip);
	}
	/* At its end there are no bytes, and behind it there is nothing. */
	assert_moved(vmmem_collection_ranges_from_fd(
			     guest, chain, ARRAY_LEN(chain), len,
			     VMMEM_IO_REST, -1, 0, 0, &done, NULL), 0, 0);
	for (skip = len; skip <= len + 1; skip++)
		assert_moved(vmmem_collection_ranges_from_fd(
				     guest, chain, ARRAY_LEN(chain), skip, 1,
				     file, 0, VMMEM_IO_SOME, &done, NULL),
			     VMMEM_EOUTOFRANGE, 0);
	assert_moved(vmmem_collection_ranges_from_fd(
			     guest, chain, ARRAY_LEN(chain), TOP,
			     VMMEM_IO_REST, file, 0, 0, &done, NULL),
		     VMMEM_EOUTOFRANGE, 0);
	assert_moved(vmmem_collection_ranges_from_fd(
			     guest, chain, ARRAY_LEN(chain), TOP, 0, -1, 0, 0,
			     &done, NULL), 0, 0);
	errno = EXDEV;
}
END_TEST

/* What is skipped or left out may be anywhere; nothing wraps to address 0. */
START_TEST(parts_that_are_not_there)
{
	const struct vmmem_range chain[] = {
		{ 0x666000, 8 }, { GPA, 8 }, { END, UINT64_C(1) << 63 },
		{ TOP - 3, UINT64_C(1) << 63 },
	};
	const uint64_t half = UINT64_C(1) << 63;

	assert_moved(vmmem_collection_ranges_from_fd(guest, chain, 4, 8, 8,
						     file, 0, 0, &done,
						     NULL), 0, 8);
	assert_moved(vmmem_collection_ranges_from_fd(guest, chain, 4, 7, 8,
						     file, 0, 0, &done, NULL),
		     VMMEM_EBADADDR, 0);
	assert_moved(vmmem_collection_ranges_from_fd(guest, chain, 4, 8, 9,
						     file, 0, 0, &done, NULL),
		     VMMEM_EBADADDR, 0);
	assert_moved(vmmem_collection_ranges_from_fd(
			     guest, chain, 4, 8, 9, file, 0, VMMEM_IO_SOME,
			     &done, NULL), VMMEM_EBADADDR, 8);
	/* The last four addresses, and then one that there is not. */
	assert_moved(vmmem_collection_ranges_from_fd(
			     guest, chain, 4, half + 16, 4, file, 0, 0, &done,
						     NULL),
		     0, 4);
	assert_moved(vmmem_collection_ranges_from_fd(
			     guest, chain, 4, half + 16, 5, file, 0,
			     VMMEM_IO_SOME, &done, NULL), VMMEM_EWRAPS, 4);
	assert_moved(vmmem_collection_ranges_from_fd(
			     guest, chain, 4, half + 20, 1, file, 0,
			     VMMEM_IO_SOME, &done, NULL), VMMEM_EWRAPS, 0);
	assert_moved(vmmem_collection_ranges_from_fd(
			     guest, chain, 4, half + 20, half, file, 0, 0,
			     &done, NULL), VMMEM_EWRAPS, 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io");
	TCase *tcase = tcase_create("io");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, moves_all, 0, FORMS);
	tcase_add_loop_test(tcase, crosses_regions, 0, FORMS);
	tcase_add_loop_test(tcase, no_bytes_at_all, 0, FORMS);
	tcase_add_loop_test(tcase, null_is_invalid, 0, FORMS);
	tcase_add_loop_test(tcase, bad_descriptor, 0, FORMS);
	tcase_add_loop_test(tcase, permission, 0, FORMS);
	tcase_add_loop_test(tcase, hole, 0, FORMS);
	tcase_add_loop_test(tcase, top_of_the_address_space, 0, FORMS);
	tcase_add_loop_test(tcase, end_of_file, 0, FORMS);
	tcase_add_loop_test(tcase, end_of_all_files, 0, FORMS);
	tcase_add_loop_test(tcase, unknown_flags, 4, 32);
	tcase_add_test(tcase, chains);
	tcase_add_test(tcase, parts_of_a_chain);
	tcase_add_test(tcase, parts_that_are_not_there);
	suite_add_tcase(suite, tcase);
	return suite;
}
