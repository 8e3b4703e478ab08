/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What is made of /proc/self/maps where the system cannot be asked for one
 * mapping, on texts of the test's own.  The file is compiled in here, and opens
 * this.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "suite.h"

static struct {
	const char *text;
	size_t at, step;
	bool interrupted;
} file;

static int
open_text(const char *path, int flags)
{
	ck_assert_str_eq(path, "/proc/self/maps");
	ck_assert_int_eq(flags & (O_ACCMODE | O_CLOEXEC),
			 O_RDONLY | O_CLOEXEC);
	return 1234;
}

static int
no_ioctl(int fd, unsigned long request, void *argument)
{
	(void)request;
	(void)argument;
	ck_assert_int_eq(fd, 1234);
	errno = ENOTTY;
	return -1;
}

/* Each other call is interrupted. */
static ssize_t
read_text(int fd, void *buf, size_t len)
{
	size_t left = strlen(file.text) - file.at;

	ck_assert_int_eq(fd, 1234);
	file.interrupted = !file.interrupted;
	if (file.interrupted) {
		errno = EINTR;
		return -1;
	}
	if (len > file.step)
		len = file.step;
	if (len > left)
		len = left;
	memcpy(buf, file.text + file.at, len);
	file.at += len;
	return (ssize_t)len;
}

static int
close_text(int fd)
{
	ck_assert_int_eq(fd, 1234);
	return 0;
}

#define open open_text
#define ioctl no_ioctl
#define read read_text
#define close close_text
#include "region/mapping.c"
#undef open
#undef ioctl
#undef read
#undef close

#define LETTERS "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"

static const char maps[] =
	"10000000-10001000 r-xp 00000000 08:01 77    /a file\n"
	"20000000-20003000 rw-p 00000000 00:00 0 \n"
	"30000000-30001000 rw-s 00002000 00:05 1234  /" LETTERS LETTERS LETTERS
	LETTERS "\n"
	"7ffc12345000-7ffc12367000 rw-p 00000000 00:00 0    [stack]\n";

static const struct {
	uint64_t address;
	int rc;
	struct vmmem_mapping mapping;
} cases[] = {
	{ 0, 0, { 0x10000000, 0x10000fff, false, true } },
	{ 0x10000fff, 0, { 0x10000000, 0x10000fff, false, true } },
	{ 0x10001000, 0, { 0x20000000, 0x20002fff, false, false } },
	{ 0x20002fff, 0, { 0x20000000, 0x20002fff, false, false } },
	{ 0x30000000, 0, { 0x30000000, 0x30000fff, true, true } },
	{ 0x30001000, 0,
	  { UINT64_C(0x7ffc12345000), UINT64_C(0x7ffc12366fff), false,
	    false } },
	{ UINT64_C(0x7ffc12367000), VMMEM_ENOREGION, { 0 } },
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

/* However little a call reads: also one byte. */
START_TEST(texts)
{
	static const size_t steps[] = { 1, 2, 7, 100, 100000 };
	struct vmmem_mapping got;
	size_t i;

	file.text = maps;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		file.step = steps[i];
		file.at = 0;
		ck_assert_int_eq(vmmem_mapping_at(cases[_i].address, &got),
				 cases[_i].rc);
		if (cases[_i].rc != 0)
			continue;
		ck_assert_uint_eq(got.first, cases[_i].mapping.first);
		ck_assert_uint_eq(got.last, cases[_i].mapping.last);
		ck_assert(got.shared == cases[_i].mapping.shared);
		ck_assert(got.has_file == cases[_i].mapping.has_file);
	}
}
END_TEST

START_TEST(not_understood)
{
	static const char *const lines[] = { "what is this\n", "\n",
					     "10000000-10001000\n",
					     "10000000-10001000 rw-p 0\n" };
	struct vmmem_mapping got;

	file.text = lines[_i];
	file.at = 0;
	file.step = 3;
	ck_assert_int_eq(vmmem_mapping_at(0, &got), VMMEM_ENOSUPPORT);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("mapping");
	TCase *tcase = tcase_create("mapping");

	tcase_add_loop_test(tcase, texts, 0, (int)CASES);
	tcase_add_loop_test(tcase, not_understood, 0, 4);
	suite_add_tcase(suite, tcase);
	return suite;
}
