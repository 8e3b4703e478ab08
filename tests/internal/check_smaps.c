/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What is made of /proc/self/smaps, on texts of the test's own: no machine has
 * all kinds of huge pages.  The file is compiled in here, and opens this.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

static struct {
	const char *text;
	size_t at, step;
	int open_error, read_error;
	unsigned int interruptions, opened, closed;
} file;

static int
open_text(const char *path, int flags)
{
	ck_assert_str_eq(path, "/proc/self/smaps");
	ck_assert_int_eq(flags & (O_ACCMODE | O_CLOEXEC),
			 O_RDONLY | O_CLOEXEC);
	if (file.open_error != 0) {
		errno = file.open_error;
		return -1;
	}
	file.opened++;
	return 1234;
}

static ssize_t
read_text(int fd, void *buf, size_t len)
{
	size_t left = strlen(file.text) - file.at;

	ck_assert_int_eq(fd, 1234);
	if (file.interruptions != 0) {
		file.interruptions--;
		errno = EINTR;
		return -1;
	}
	if (file.read_error != 0 && file.at != 0) {
		errno = file.read_error;
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
	file.closed++;
	return 0;
}

#define open open_text
#define read read_text
#define close close_text
#include "region/smaps.c"
#undef open
#undef read
#undef close

#define MIB UINT64_C(0x100000)
#define UNKNOWN UINT64_MAX

/* Lines of a mapping as the system writes them; those that count are given. */
#define MAPPING(range, path, lines)                                        \
	range " rw-p 00000000 00:00 0 " path "\n"                          \
	"Size:               4096 kB\n"                                    \
	"KernelPageSize:        4 kB\n"                                    \
	"Rss:                2048 kB\n"                                    \
	"Anonymous:          2048 kB\n"                                    \
	"LazyFree:              0 kB\n"                                    \
	lines                                                              \
	"Swap:                  0 kB\n"                                    \
	"Locked:             1024 kB\n"                                    \
	"THPeligible:           1\n"                                       \
	"VmFlags: rd wr mr ac sd \n"

/* 4 MiB, of which half is huge; and 2 MiB, all of it. */
#define HALF MAPPING("40000000-40400000", "",                              \
		     "AnonHugePages:      2048 kB\n")
#define ALL MAPPING("50000000-50200000", "/a file",                        \
		    "FilePmdMapped:      2048 kB\n")
#define NONE MAPPING("60000000-60200000", "[heap]",                        \
		     "AnonHugePages:         0 kB\n")
/* A long path, of which a part looks like a line that counts. */
#define LETTERS "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
#define LONG MAPPING("70000000-70200000",                                  \
		     "/" LETTERS LETTERS LETTERS LETTERS LETTERS LETTERS   \
		     "AnonHugePages: 2048 kB",                             \
		     "AnonHugePages:         0 kB\n")
#define EACH(key) MAPPING("40000000-40200000", "", key ":    2048 kB\n")

static const struct {
	const char *text;
	uint64_t first, len;
	uint64_t huge;
} cases[] = {
	{ "", 0x40000000, 1, 0 },
	{ HALF, 0x40000000, 4 * MIB, 2 * MIB },
	{ HALF, 0x3fffffff, 4 * MIB + 2, 2 * MIB },
	{ HALF, 0, UINT64_MAX, 2 * MIB },
	/* Which half it is, nobody can say. */
	{ HALF, 0x40000000, 4 * MIB - 1, UNKNOWN },
	{ HALF, 0x40000001, 4 * MIB - 1, UNKNOWN },
	{ HALF, 0x40000000, 2 * MIB, UNKNOWN },
	{ HALF, 0x40000000, 1, UNKNOWN },
	{ HALF, 0x403fffff, 1, UNKNOWN },
	{ HALF, 0x40400000, 1, 0 },
	{ HALF, 0x3fffffff, 1, 0 },
	{ HALF ALL, 0x40200000, 0x20000000, UNKNOWN },
	{ ALL HALF ALL, 0x403fffff, 0x20000000, UNKNOWN },
	/* All of it is: so is each part. */
	{ ALL, 0x50000000, 2 * MIB, 2 * MIB },
	{ ALL, 0x50000000, 5, 5 },
	{ ALL, 0x500ffff0, 0x20, 0x20 },
	{ ALL, 0x501fffff, 7, 1 },
	{ ALL, 0x4fffffff, 2, 1 },
	{ ALL, 0x50200000, 7, 0 },
	{ NONE, 0x60000000, 2 * MIB, 0 },
	{ NONE, 0x60100000, 4 * MIB, 0 },
	{ HALF ALL NONE LONG, 0, UINT64_MAX, 4 * MIB },
	{ LONG, 0x70000000, 2 * MIB, 0 },
	{ EACH("AnonHugePages"), 0x40000000, 2 * MIB, 2 * MIB },
	{ EACH("ShmemPmdMapped"), 0x40000000, 2 * MIB, 2 * MIB },
	{ EACH("FilePmdMapped"), 0x40000000, 2 * MIB, 2 * MIB },
	{ EACH("Shared_Hugetlb"), 0x40000000, 2 * MIB, 2 * MIB },
	{ EACH("Private_Hugetlb"), 0x40000000, 2 * MIB, 2 * MIB },
	{ EACH("ShmemHugePages"), 0x40000000, 2 * MIB, 0 },
	{ EACH("Hugetlb"), 0x40000000, 2 * MIB, 0 },
	/* Two of them in one mapping. */
	{ MAPPING("40000000-40400000", "", "ShmemPmdMapped:     2048 kB\n"
		  "Shared_Hugetlb:     2048 kB\n"),
	  0x40000000, 4, 4 },
	/* All digits, and the end of all addresses. */
	{ MAPPING("123456789abc-123456989abc", "",
		  "AnonHugePages:      2048 kB\n"),
	  UINT64_C(0x123456789abc), 2 * MIB, 2 * MIB },
	{ MAPPING("ffffffffff600000-ffffffffff601000", "[vsyscall]", ""),
	  UINT64_C(0xffffffffff600800), UINT64_C(0x9ff800), 0 },
	{ MAPPING("40000000-40200000", "", "AnonHugePages:    1970 kB\n"),
	  0x40000000, 2 * MIB, 1970 * 1024 },
};

static void
show(const char *text, size_t step)
{
	memset(&file, 0, sizeof(file));
	file.text = text;
	file.step = step;
}

START_TEST(texts)
{
	static const size_t steps[] = { 1, 7, 1000, 1000000 };
	uint64_t got = 1;
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		show(cases[_i].text, steps[i]);
		file.interruptions = 3;
		ck_assert_int_eq(vmmem_smaps_huge(cases[_i].first,
						  cases[_i].first +
							  (cases[_i].len - 1),
						  &got),
				 0);
		ck_assert_uint_eq(got, cases[_i].huge);
		ck_assert_uint_eq(file.opened, 1);
		ck_assert_uint_eq(file.closed, 1);
	}
}
END_TEST

START_TEST(failures)
{
	uint64_t got = 1;

	show(ALL, 10);
	file.open_error = ENOENT;
	ck_assert_int_eq(vmmem_smaps_huge(0, 1, &got), -ENOENT);
	ck_assert_uint_eq(file.closed, 0);
	show(ALL, 10);
	file.read_error = EIO;
	ck_assert_int_eq(vmmem_smaps_huge(0, UINT64_MAX, &got), -EIO);
	ck_assert_uint_eq(file.closed, 1);
	ck_assert_uint_eq(got, 1);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("smaps");
	TCase *tcase = tcase_create("smaps");

	tcase_add_loop_test(tcase, texts, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tcase, failures);
	suite_add_tcase(suite, tcase);
	return suite;
}
