/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Memory tables whose files are of huge pages, and rows that do not know: whole
 * huge pages are mapped around them.  Skipped where the pool is empty.
 */
#include <linux/memfd.h>
#include <stdio.h>

#include "pool.h"
#include "suite.h"
#include "tables.h"

#include <vmmem/vhost.h>

#define HUGE UINT64_C(0x200000)
#define HUGE_PAGES 2
#define HUGE_LEN (HUGE_PAGES * HUGE)
/* Each so many bytes the file has another one. */
#define STEP UINT64_C(0x8000)
#define GPA UINT64_C(0x40000000)

static int file, small;
static size_t files_before;
static unsigned long free_before;

const char *
skip_reason(void)
{
	return pool_free(HUGE) >= HUGE_PAGES + 1 ?
		       NULL :
		       "needs three free huge pages of 2 MiB "
		       "(sysctl vm.nr_hugepages=3)";
}

/* The byte at 'offset' of the file. */
static uint8_t
content(uint64_t offset)
{
	return (uint8_t)(offset / STEP + 1);
}

static int
huge_file(unsigned int flags)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB |
					      MFD_HUGE_2MB | flags);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)HUGE_LEN), 0);
	return fd;
}

static void
setup(void)
{
	uint8_t *bytes;
	uint64_t at;

	free_before = pool_free(HUGE);
	file = huge_file(MFD_ALLOW_SEALING);
	/* hugetlbfs has no write(2). */
	bytes = mmap(NULL, HUGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, file,
		     0);
	ck_assert_ptr_ne(bytes, MAP_FAILED);
	for (at = 0; at < HUGE_LEN; at += STEP)
		memset(bytes + at, content(at), STEP);
	munmap(bytes, HUGE_LEN);
	ck_assert_int_eq(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	small = sealed_file(FILE_LEN, 1);
	make_vhost(NULL);
	files_before = open_files();
}

static void
teardown(void)
{
	assert_ok(vmmem_vhost_set_table(vhost, NULL, 0, NULL, 0));
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_uint_eq(open_files(), files_before);
	drop_vhost();
	close(small);
	close(file);
	/* No page is left to anybody. */
	ck_assert_uint_eq(pool_free(HUGE), free_before);
}

/* Rows of the file, each with its guest address and user address as usual. */
static void
set_rows(const struct vmmem_vhost_region *rows, size_t count)
{
	int fds[8];
	size_t i;

	ck_assert_uint_le(count, ARRAY_LEN(fds));
	for (i = 0; i < count; i++)
		fds[i] = file;
	assert_ok(vmmem_vhost_set_table(vhost, rows, count, fds, count));
	ck_assert_uint_eq(shown(), count);
}

/* The row's bytes are the file's, from the first to the last and no further. */
static void
expect_row(size_t index, const struct vmmem_vhost_region *row)
{
	const uint64_t before = row->offset % HUGE;
	struct vmmem_vhost_region got;
	struct vmmem_collection *map;
	struct vmmem_region *mapping;
	uint64_t at, user;
	uint8_t *host;

	assert_ok(vmmem_vhost_at(vhost, index, &got, &mapping));
	ck_assert_mem_eq(&got, row, sizeof(got));
	ck_assert_uint_eq(vmmem_region_len(mapping), row->len);
	ck_assert_uint_eq(vmmem_region_huge_pages(mapping),
			  VMMEM_HUGE_PAGES_YES);
	ck_assert_uint_eq(vmmem_region_page_size(mapping), HUGE);
	host = expect_host(mapping);
	ck_assert_uint_eq((uintptr_t)host % HUGE, before);
	map = vmmem_space_get(space);
	ck_assert_ptr_eq(host_of(map, row->gpa), host);
	vmmem_collection_unref(map);

	for (at = 0; at < row->len; at += STEP)
		ck_assert_int_eq(byte_at(row->gpa + at),
				 content(row->offset + at));
	ck_assert_int_eq(byte_at(row->gpa + row->len - 1),
			 content(row->offset + row->len - 1));
	ck_assert_int_eq(byte_at(row->gpa - 1), VMMEM_EBADADDR);
	ck_assert_int_eq(byte_at(row->gpa + row->len), VMMEM_EBADADDR);

	assert_ok(vmmem_vhost_user_to_gpa(vhost, row->user_address, row->len,
					  &at));
	ck_assert_uint_eq(at, row->gpa);
	assert_ok(vmmem_vhost_gpa_to_user(vhost, row->gpa + row->len - 1, 1,
					  &user));
	ck_assert_uint_eq(user, row->user_address + row->len - 1);
	assert_code(vmmem_vhost_user_to_gpa(vhost, row->user_address,
					    row->len + 1, &at),
		    VMMEM_EUSERADDR);
}

/* Offsets within a huge page, off a page too, and lengths of all kinds. */
static const struct {
	uint64_t offset;
	uint64_t len;
} parts[] = {
	{ 0, 1 },
	{ 0, HUGE },
	{ 0, HUGE_LEN },
	{ 0x10, 0x10 },
	{ PAGE, PAGE },
	{ PAGE - 0x10, HUGE_LEN - PAGE + 0x10 },
	{ HUGE - PAGE, PAGE },
	{ HUGE - PAGE, 2 * PAGE },
	{ HUGE - 0x10, 0x20 },
	{ HUGE - 0x10, HUGE + 0x10 },
	{ HUGE + 0x3f0, 0x12345 },
	{ HUGE_LEN - 0x10, 0x10 },
	{ HUGE_LEN - PAGE, PAGE },
};

START_TEST(one_row)
{
	const struct vmmem_vhost_region row = {
		.gpa = GPA + parts[_i].offset % PAGE,
		.len = parts[_i].len,
		.user_address = UINT64_C(0x7f0000000000) + parts[_i].offset,
		.offset = parts[_i].offset,
	};

	set_rows(&row, 1);
	expect_row(0, &row);
}
END_TEST

/* Three in one huge page, one in two, and one that has some bytes of another. */
START_TEST(several_rows)
{
	const struct vmmem_vhost_region rows[] = {
		row_of(GPA, STEP, 0),
		row_of(GPA + 0x1000000, STEP + 0x30, STEP),
		row_of(GPA + 0x2000000 + 0x7f0, 0x10, 3 * STEP + 0x7f0),
		row_of(GPA + 0x3000000, 2 * STEP, HUGE - STEP),
		row_of(GPA + 0x4000000, HUGE, STEP),
	};
	int fds[] = { small, file };
	struct vmmem_vhost_region two[2];
	size_t i;

	set_rows(rows, ARRAY_LEN(rows));
	for (i = 0; i < ARRAY_LEN(rows); i++)
		expect_row(i, &rows[i]);
	/* They are of one file: what is written in one is there in the other. */
	assert_ok(write_at(GPA + 0x3000000, 1));
	ck_assert_int_eq(byte_at(GPA + 0x4000000 + HUGE - 2 * STEP), 0xee);
	assert_ok(write_at(GPA + 0x4000000, 1));
	ck_assert_int_eq(byte_at(GPA + 0x1000000), 0xee);

	/* Beside a file of small pages each has the pages of its own file. */
	two[0] = row_of(0x1000, PAGE, 3 * PAGE);
	two[1] = row_of(GPA, PAGE, HUGE - 2 * PAGE);
	assert_ok(vmmem_vhost_set_table(vhost, two, 2, fds, 2));
	ck_assert_int_eq(byte_at(0x1000), 4);
	expect_row(1, &two[1]);
}
END_TEST

START_TEST(add_and_remove)
{
	const struct vmmem_vhost_region first = row_of(GPA, STEP, PAGE),
					second = row_of(GPA + HUGE, HUGE,
							HUGE - PAGE);
	struct vmmem_collection *map;
	uint8_t *host;

	assert_ok(vmmem_vhost_add(vhost, &first, file));
	map = vmmem_space_get(space);
	host = host_of(map, GPA);
	vmmem_collection_unref(map);
	assert_ok(vmmem_vhost_add(vhost, &second, file));
	expect_row(0, &first);
	expect_row(1, &second);
	/* The other one stays where it is. */
	map = vmmem_space_get(space);
	ck_assert_ptr_eq(host_of(map, GPA), host);
	vmmem_collection_unref(map);

	assert_ok(vmmem_vhost_remove(vhost, &first));
	assert_code(vmmem_vhost_remove(vhost, &first), VMMEM_ENOREGION);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_int_eq(is_mapped(host - PAGE, PAGE), 0);
	ck_assert_int_eq(byte_at(GPA), VMMEM_EBADADDR);
	expect_row(0, &second);
	/* And a table with a row that was there goes on with its mapping. */
	map = vmmem_space_get(space);
	host = host_of(map, GPA + HUGE);
	vmmem_collection_unref(map);
	set_rows((struct vmmem_vhost_region[]){ second, first }, 2);
	map = vmmem_space_get(space);
	ck_assert_ptr_eq(host_of(map, GPA + HUGE), host);
	vmmem_collection_unref(map);
	expect_row(0, &first);
}
END_TEST

/* The log is by guest pages of 4 KiB, whatever the file's pages are. */
START_TEST(logged)
{
	const struct vmmem_vhost_region rows[] = {
		row_of(0x10000, 4 * PAGE, HUGE - 2 * PAGE),
		row_of(0x30000 + 0x10, PAGE, HUGE + 0x10),
	};
	int log = sealed_file(PAGE, 0);
	uint8_t *bits = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			     log, 0);

	ck_assert_ptr_ne(bits, MAP_FAILED);
	set_rows(rows, 2);
	assert_ok(vmmem_vhost_set_log(vhost, log, 8, 8));
	assert_ok(write_at(0x10000 + 2 * PAGE - 1, 2));
	ck_assert_uint_eq(bits[8 + 2], 3U << 1);
	bits[8 + 2] = 0;
	assert_ok(write_at(0x30000 + 0x10, PAGE));
	ck_assert_uint_eq(bits[8 + 6], 3);
	bits[8 + 6] = 0;
	ck_assert(all_are(bits, 0, PAGE));
	assert_ok(vmmem_vhost_clear_log(vhost));
	munmap(bits, PAGE);

	/* A log can be of huge pages itself, and begin in the middle of one. */
	assert_ok(vmmem_vhost_set_log(vhost, file, HUGE + STEP + 8, 8));
	bits = mmap(NULL, HUGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, file,
		    0);
	ck_assert_ptr_ne(bits, MAP_FAILED);
	memset(bits + HUGE + STEP, 0, 24);
	assert_ok(write_at(0x10000 + PAGE, 1));
	ck_assert(all_are(bits + HUGE + STEP, 0, 10));
	ck_assert_uint_eq(bits[HUGE + STEP + 10], 2);
	ck_assert(all_are(bits + HUGE + STEP + 11, 0, 13));
	assert_code(vmmem_vhost_set_log(vhost, file, HUGE_LEN - 8, 16),
		    VMMEM_EPASTEOF);
	munmap(bits, HUGE_LEN);
	assert_ok(vmmem_vhost_clear_log(vhost));
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	close(log);
}
END_TEST

/* What is refused leaves the row that is there, and takes no page. */
START_TEST(refused)
{
	const struct {
		uint64_t len;
		uint64_t offset;
		int code;
	} lies[] = {
		{ 1, HUGE_LEN, VMMEM_EPASTEOF },
		{ HUGE_LEN + 1, 0, VMMEM_EPASTEOF },
		{ HUGE, HUGE + 0x10, VMMEM_EPASTEOF },
		{ HUGE_LEN, 0x10, VMMEM_EPASTEOF },
		{ 0x20, HUGE_LEN - 0x10, VMMEM_EPASTEOF },
		{ INT64_MAX, 0, VMMEM_EPASTEOF },
		{ (uint64_t)INT64_MAX - 0x10 + 1, 0x10, VMMEM_EWRAPS },
		{ HUGE, INT64_MAX & ~(HUGE - 1), VMMEM_EWRAPS },
		{ PAGE, UINT64_MAX & ~(HUGE - 1), VMMEM_EWRAPS },
		{ PAGE, UINT64_MAX & ~UINT64_C(15), VMMEM_EWRAPS },
		{ PAGE, HUGE - 8, VMMEM_ECONGRUENCE },
	};
	const struct vmmem_vhost_region good = row_of(GPA, STEP, PAGE);
	struct vmmem_vhost_region row;
	size_t i;

	set_rows(&good, 1);
	for (i = 0; i < ARRAY_LEN(lies); i++) {
		unsigned long pages = pool_free(HUGE);

		row = row_of(GPA * 2, lies[i].len, lies[i].offset);
		assert_code(vmmem_vhost_add(vhost, &row, file), lies[i].code);
		assert_code(vmmem_vhost_set_table(vhost, &row, 1, &file, 1),
			    lies[i].code);
		ck_assert_uint_eq(pool_free(HUGE), pages);
		ck_assert_uint_eq(open_files(), files_before + 1);
		expect_row(0, &good);
	}
}
END_TEST

/* The rules, for a hugetlb file as for any other. */
START_TEST(by_rules)
{
	struct vmmem_fd_rules rules = { .size = sizeof(rules) };
	struct vmmem_vhost_options options = { .size = sizeof(options),
					       .rules = &rules };
	struct vmmem_vhost_region row = row_of(GPA, STEP, HUGE - PAGE);
	struct vmmem_vhost *other = NULL;
	int open_file = huge_file(MFD_ALLOW_SEALING), never = huge_file(0);
	char name[64];
	int read_only;

	/* The strictest: it must not be able to become shorter. */
	assert_code(vmmem_vhost_add(vhost, &row, open_file),
		    VMMEM_ESHRINKABLE);
	assert_code(vmmem_vhost_add(vhost, &row, never), VMMEM_ESHRINKABLE);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	read_only = open(name, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(read_only, 0);
	assert_code(vmmem_vhost_add(vhost, &row, read_only),
		    VMMEM_EFILEACCESS);
	close(read_only);

	/* Only small pages, only huge ones, and neither. */
	rules.page_size = page_size();
	assert_ok(vmmem_vhost_new(space, &options, &other));
	assert_code(vmmem_vhost_add(other, &row, file), VMMEM_EHUGEPAGE);
	other = vmmem_vhost_free(other);
	rules.page_size = HUGE * 512;
	assert_ok(vmmem_vhost_new(space, &options, &other));
	assert_code(vmmem_vhost_add(other, &row, file), VMMEM_EHUGEPAGE);
	other = vmmem_vhost_free(other);
	rules.page_size = HUGE;
	assert_ok(vmmem_vhost_new(space, &options, &other));
	row.offset = PAGE;
	assert_code(vmmem_vhost_add(other, &row, small), VMMEM_EHUGEPAGE);
	row.offset = HUGE - PAGE;
	assert_ok(vmmem_vhost_add(other, &row, file));
	ck_assert_int_eq(byte_at(GPA), content(row.offset));
	/* The log must be of such pages then, too. */
	assert_code(vmmem_vhost_set_log(other, small, 0, PAGE),
		    VMMEM_EHUGEPAGE);
	assert_ok(vmmem_vhost_remove(other, &row));
	other = vmmem_vhost_free(other);

	/* Who may shrink is taken; who is to be sealed is sealed. */
	rules.page_size = 0;
	rules.flags = VMMEM_FD_MAY_SHRINK;
	assert_ok(vmmem_vhost_new(space, &options, &other));
	assert_ok(vmmem_vhost_add(other, &row, never));
	ck_assert_int_eq(byte_at(GPA), 0);
	assert_ok(vmmem_vhost_remove(other, &row));
	other = vmmem_vhost_free(other);
	rules.flags = 0;
	rules.add = VMMEM_SEAL_SHRINK;
	assert_ok(vmmem_vhost_new(space, &options, &other));
	assert_code(vmmem_vhost_add(other, &row, never), VMMEM_ESEALS);
	assert_ok(vmmem_vhost_add(other, &row, open_file));
	ck_assert_int_ne(fcntl(open_file, F_GET_SEALS) & F_SEAL_SHRINK, 0);
	assert_ok(vmmem_vhost_remove(other, &row));
	other = vmmem_vhost_free(other);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	close(never);
	close(open_file);
}
END_TEST

/*
 * A file larger than any pool: who made it reserves its pages, or has others
 * wait for them (virtio-mem).  Those that are not touched take nothing.
 */
START_TEST(larger_than_the_pool)
{
	const uint64_t len = UINT64_C(1) << 40;
	const struct vmmem_vhost_region row = row_of(0, len - PAGE, PAGE);
	unsigned long pages = pool_free(HUGE);
	int fd = huge_file(MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, (off_t)len), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_ok(vmmem_vhost_add(vhost, &row, fd));
	ck_assert_uint_eq(pool_free(HUGE), pages);
	ck_assert_int_eq(byte_at(len - 2 * PAGE), 0);
	ck_assert_uint_eq(pool_free(HUGE), pages - 1);
	assert_ok(vmmem_vhost_remove(vhost, &row));
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	close(fd);
}
END_TEST

/* What a table shows can be exported again, as rows of the same bytes. */
START_TEST(exported)
{
	const struct vmmem_vhost_region rows[] = {
		row_of(GPA, 2 * STEP, HUGE - STEP),
		row_of(GPA + 2 * STEP, PAGE, HUGE + STEP),
		row_of(GPA + HUGE, 0x30, 0x40),
	};
	struct vmmem_vhost_region out[4];
	struct vmmem_collection *map;
	size_t count = 0, left = 9;
	int fds[4], same = 0;

	set_rows(rows, 3);
	map = vmmem_space_get(space);
	assert_ok(vmmem_vhost_export(map, 0, out, fds, 4, &count, &left));
	ck_assert_uint_eq(left, 0);
	/* The first two go on in the guest and in the file. */
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(out[0].gpa, GPA);
	ck_assert_uint_eq(out[0].len, 2 * STEP + PAGE);
	ck_assert_uint_eq(out[0].offset, HUGE - STEP);
	ck_assert_uint_eq(out[1].gpa, GPA + HUGE);
	ck_assert_uint_eq(out[1].len, 0x30);
	ck_assert_uint_eq(out[1].offset, 0x40);
	assert_ok(vmmem_fd_same_file(fds[0], file, &same));
	ck_assert_int_eq(same, 1);
	/* Each is mapped by itself, so in the host they are two. */
	assert_ok(vmmem_vhost_export(map, VMMEM_VHOST_EXPORT_HOST, out, fds, 4,
				     &count, NULL));
	ck_assert_uint_eq(count, 3);
	vmmem_collection_unref(map);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("vhost_huge");
	TCase *tcase = tcase_create("vhost_huge");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, one_row, 0, (int)ARRAY_LEN(parts));
	tcase_add_test(tcase, several_rows);
	tcase_add_test(tcase, add_and_remove);
	tcase_add_test(tcase, logged);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, by_rules);
	tcase_add_test(tcase, larger_than_the_pool);
	tcase_add_test(tcase, exported);
	suite_add_tcase(suite, tcase);
	return suite;
}
