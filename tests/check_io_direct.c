/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Reads that do not go through the page cache: what the kernel changes behind
 * the end of the file, and does not count, is marked too.
 */
#include <stdio.h>

#include "io_forms.h"
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
	*ret_direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
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
	struct vmmem_collection *guest;
	struct vmmem_bitmap *bitmap;
	static uint8_t bytes[IN_FILE];
	const uint8_t *host;
	uint64_t done = 0, i;
	int fd, direct;

	if (form->to_fd)
		return;
	ck_assert(open_two(&fd, &direct));
	/* More than it has may be on the disk; if not, less is changed. */
	(void)!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 2 * LEN);
	memset(bytes, 'x', sizeof(bytes));
	ck_assert_int_eq(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	ck_assert_int_eq(fsync(fd), 0);

	builder = vmmem_region_builder_new();
	vmmem_region_builder_set_range(builder, GPA, LEN);
	vmmem_region_builder_set_tracking(builder, BLOCK);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	bitmap = vmmem_region_bitmap(region);
	host = expect_host(region);
	guest = guest_of_one(region);
	assert_ok(vmmem_collection_fill(guest, GPA, UNTOUCHED, LEN, NULL));
	assert_ok(vmmem_bitmap_start(bitmap));

	/* The plain forms try to go on where nothing is aligned. */
	ck_assert_int_ne(form_call(form, guest, GPA, LEN, direct, 0, &done), 0);
	ck_assert_uint_eq(done, IN_FILE);
	for (i = 0; i < LEN; i++) {
		if (host[i] != UNTOUCHED && !vmmem_bitmap_test(bitmap, i))
			ck_abort_msg("%s: byte %#llx", form->name,
				     (unsigned long long)i);
	}
	vmmem_collection_unref(guest);
	close(direct);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io_direct");
	TCase *tcase = tcase_create("io_direct");

	tcase_add_loop_test(tcase, short_of_the_end, 0, FORMS);
	suite_add_tcase(suite, tcase);
	return suite;
}
