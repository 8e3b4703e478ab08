/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Lengths around what a page and one system call hold, and more pieces than
 * one call takes.  Large guests are many views of a little memory, and large
 * files have holes, so that neither takes up room.
 */
#include "io_forms.h"
#include "rng.h"
#include "suite.h"

#define GIB (UINT64_C(1) << 30)

/* The memory behind the large guest, and how long that is. */
#define WINDOW (UINT64_C(32) << 20)
#define LARGE (4 * GIB + WINDOW)

/* What marks the end of a file. */
#define MARK 0x1003

static uint8_t bytes[0x20001];

static void
unmap(void *host)
{
	munmap(host, LARGE);
}

/* LARGE bytes at 'gpa', of which every WINDOW shows the same memory. */
static struct vmmem_region *
large_region(uint64_t gpa)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;
	int fd = file_of(WINDOW);
	uint8_t *host;
	uint64_t at;

	host = mmap(NULL, LARGE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(host, MAP_FAILED);
	for (at = 0; at < LARGE; at += WINDOW)
		ck_assert_ptr_eq(mmap(host + at, WINDOW,
				      PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_FIXED, fd, 0),
				 host + at);
	close(fd);
	vmmem_region_builder_set_range(builder, gpa, LARGE);
	vmmem_region_builder_set_external(builder, host, unmap, host);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

/* 2^31 and 2^32 bytes, and one less and more. */
static const uint64_t lengths[] = {
	2 * GIB - 1, 2 * GIB, 4 * GIB - 1, 4 * GIB, 4 * GIB + 1,
};

/*
 * Reading moves all these bytes, which takes a second or two; so each length
 * is read by some forms only.  /dev/null takes any number at once.  A tool that
 * looks at each byte of memory takes minutes even to map it, and sees nothing
 * that is not the same with one length.
 */
static bool
is_worth_it(const struct form *form, uint64_t len)
{
	if (rng_rounds(100) <= 2)
		return form->to_fd && form->some && len == 4 * GIB;
	if (form->to_fd)
		return true;
	if (len == 2 * GIB)
		return form->at == (form->side == CHAIN) &&
		       form->some == (form->side == SLICE) &&
		       (rng_rounds(2) >= 2 || form->side == CHAIN);
	/* Where everything is slow, one read of all these must do. */
	return len == 4 * GIB && rng_rounds(2) >= 2 && form->side != CHAIN &&
	       form->at == (form->side == SLICE);
}

/* The exact forms, and those that take what comes: a file does not wait. */
START_TEST(past_two_gib)
{
	const struct form *form = &forms[_i % FORMS];
	const uint64_t len = lengths[_i / FORMS], at = 0x123;
	struct vmmem_region *regions[2];
	struct vmmem_collection *guest;
	uint64_t gpa = 0x10000;
	int fd, null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (!is_worth_it(form, len))
		return;
	regions[0] = large_region(gpa);
	regions[1] = region_of(gpa + LARGE, 0x1000);
	guest = guest_of(regions, 2);
	/* Not in a slice: across the seam, and so the slow way. */
	if (form->side != SLICE)
		gpa += LARGE + 0x1000 - len;
	fd = file_of(at + len);
	pattern(bytes, MARK, 5);
	ck_assert_int_eq(pwrite(fd, bytes, MARK, (off_t)(at + len - MARK)),
			 MARK);
	seek(fd, at);
	if (form->to_fd) {
		assert_moved(form_call(form, guest, gpa, len, null, at, &done),
			     0, len);
	} else {
		assert_moved(form_call(form, guest, gpa, len, fd, at, &done),
			     0, len);
		ck_assert_uint_eq(position(fd), form->at ? at : at + len);
		assert_ok(vmmem_collection_read(guest, gpa + len - MARK, bytes,
						MARK, NULL));
		ck_assert(is_pattern(bytes, 0, MARK, 5));
		/* The file ends. */
		assert_moved(form_call(form, guest, gpa, len, fd, at + len,
				       &done),
			     VMMEM_EEOF, 0);
	}
	vmmem_collection_unref(guest);
	close(null);
	close(fd);
}
END_TEST

START_TEST(around_a_page)
{
	const struct form *form = &forms[_i];
	const uint64_t page = page_size();
	const uint64_t lens[] = { 0, 1, page - 1, page, page + 1 };
	const uint64_t gpa = 0x100000 - page;
	struct vmmem_region *regions[] = {
		region_of(gpa - page, page),
		region_of(gpa, 3 * page),
	};
	struct vmmem_collection *guest = guest_of(regions, 2);
	size_t i, j;

	ck_assert_uint_le(2 * page, sizeof(bytes) - 1);
	for (i = 0; i < ARRAY_LEN(lens); i++) {
		for (j = 0; j < 3; j++) {
			/* At a seam, behind it, and across. */
			const uint64_t from =
				j < 2		    ? gpa + j :
				form->side == SLICE ? gpa + page - 1 :
						      gpa - 1;
			const uint64_t len = lens[i];
			int fd = file_with_pattern(2 * page, 7);

			pattern(bytes, len, 90);
			assert_ok(vmmem_collection_write(guest, from, bytes,
							 len, NULL));
			assert_moved(form_call(form, guest, from, len, fd, 0,
					       &done), 0, len);
			assert_ok(vmmem_collection_read(guest, from, bytes,
							len + 1, NULL));
			ck_assert(is_pattern(bytes, 0, len,
					     form->to_fd ? 90 : 7));
			ck_assert_int_eq(pread(fd, bytes, 2 * page, 0),
					 (ssize_t)(2 * page));
			ck_assert(is_pattern(bytes, 0, len,
					     form->to_fd ? 90 : 7));
			ck_assert(is_pattern(bytes + len, len, 2 * page - len,
					     7));
			close(fd);
		}
	}
	vmmem_collection_unref(guest);
}
END_TEST

/* How many regions there are: fewer and more than the kernel takes at once. */
static const size_t counts[] = { 1, 2, 1023, 1024, 1025, 2047, 2048, 2049 };

/* Two of these must do where every instruction is slow. */
static bool
is_left_out(size_t count)
{
	return rng_rounds(100) <= 2 && count != 2 && count != 1025;
}

#define EACH 48
#define GAP 16

START_TEST(many_regions)
{
	static _Alignas(16) uint8_t memory[2049 * (EACH + GAP)];
	static struct vmmem_region *regions[2049];
	const struct form *form = &forms[_i % FORMS];
	const size_t count = counts[_i / FORMS], len = count * EACH;
	struct vmmem_collection *guest;
	size_t i;
	int fd;

	/* A slice is of one region. */
	if (form->side == SLICE || is_left_out(count))
		return;
	fd = file_with_pattern(len, 7);
	/* Nowhere side by side in the host. */
	for (i = 0; i < count; i++)
		assert_ok(vmmem_region_new_external(
			i * EACH, EACH, memory + i * (EACH + GAP),
			&regions[i]));
	memset(memory, 0, sizeof(memory));
	for (i = 0; form->to_fd && i < count; i++)
		pattern(memory + i * (EACH + GAP), EACH, (unsigned int)i);
	guest = guest_of(regions, count);
	assert_moved(form_call(form, guest, 0, len, fd, 0, &done), 0, len);
	ck_assert_int_eq(pread(fd, bytes, len, 0), (ssize_t)len);
	for (i = 0; i < count; i++) {
		ck_assert_mem_eq(memory + i * (EACH + GAP), bytes + i * EACH,
				 EACH);
		ck_assert(all_are(memory + i * (EACH + GAP) + EACH, 0, GAP));
	}
	vmmem_collection_unref(guest);
	close(fd);
}
END_TEST

/* A chain of single bytes, from the last to the first. */
START_TEST(many_members)
{
	static struct vmmem_range chain[2049];
	const struct form *form = &forms[_i % FORMS];
	const size_t count = counts[_i / FORMS];
	struct vmmem_collection *guest;
	size_t i;
	int fd;

	if (form->side != CHAIN || is_left_out(count))
		return;
	guest = guest_of_one(region_of(0, 0x1000));
	fd = file_with_pattern(count, 7);
	for (i = 0; i < count; i++)
		chain[i] = (struct vmmem_range){ count - 1 - i, 1 };
	pattern(bytes, count, 90);
	assert_ok(vmmem_collection_write(guest, 0, bytes, count, NULL));
	assert_moved(form_ranges(form, guest, chain, count, fd, 0, &done), 0,
		     count);
	ck_assert_int_eq(pread(fd, bytes, count, 0), (ssize_t)count);
	for (i = 0; i < count; i++)
		ck_assert_uint_eq(*host_of(guest, i), bytes[count - 1 - i]);
	vmmem_collection_unref(guest);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io_limits");
	TCase *tcase = tcase_create("io_limits");

	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, past_two_gib, 0,
			    FORMS * (int)ARRAY_LEN(lengths));
	tcase_add_loop_test(tcase, around_a_page, 0, FORMS);
	tcase_add_loop_test(tcase, many_regions, 0,
			    FORMS * (int)ARRAY_LEN(counts));
	tcase_add_loop_test(tcase, many_members, 0,
			    FORMS * (int)ARRAY_LEN(counts));
	suite_add_tcase(suite, tcase);
	return suite;
}
