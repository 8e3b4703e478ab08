/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Memory tables of vhost-user: rows set, added, removed; and refused. */
#include "suite.h"
#include "tables.h"

#include <stdio.h>
#include <sys/socket.h>

#include <vmmem/vhost.h>

static int file, second;
static size_t files_before;

static void
setup(void)
{
	file = sealed_file(FILE_LEN, 1);
	second = sealed_file(FILE_LEN, 101);
	make_vhost(NULL);
	files_before = open_files();
}

static void
teardown(void)
{
	assert_ok(vmmem_vhost_set_table(vhost, NULL, 0, NULL, 0));
	ck_assert_uint_eq(shown(), 0);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	/* No descriptor was left, whatever was refused. */
	ck_assert_uint_eq(open_files(), files_before);
	drop_vhost();
	close(file);
	close(second);
}

static void
set_one(uint64_t gpa, uint64_t len, uint64_t offset)
{
	struct vmmem_vhost_region row = row_of(gpa, len, offset);

	assert_ok(vmmem_vhost_set_table(vhost, &row, 1, &file, 1));
}

START_TEST(arguments)
{
	struct vmmem_vhost *none = (void *)&none, *other = none;
	struct vmmem_vhost_region row = row_of(0, PAGE, 0);
	struct vmmem_fd_rules rules = { .size = sizeof(rules) };
	struct vmmem_vhost_options options = { .size = sizeof(options) };
	struct {
		struct vmmem_vhost_options options;
		uint64_t more;
	} newer = { .options.size = sizeof(newer), .more = 1 };

	assert_code(vmmem_vhost_new(NULL, NULL, &other), VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_new(space, NULL, NULL), VMMEM_EARGUMENT);
	options.size = sizeof(options) - 1;
	assert_code(vmmem_vhost_new(space, &options, &other),
		    VMMEM_ESTRUCTSIZE);
	assert_code(vmmem_vhost_new(space, &newer.options, &other),
		    VMMEM_ESTRUCTNEWER);
	options.size = sizeof(options);
	options.flags = 1;
	assert_code(vmmem_vhost_new(space, &options, &other), VMMEM_EARGUMENT);
	options.flags = 0;
	options.regions_max = VMMEM_VHOST_REGIONS_MAX + 1;
	assert_code(vmmem_vhost_new(space, &options, &other), VMMEM_EARGUMENT);
	options.regions_max = 0;
	options.rules = &rules;
	rules.flags = UINT32_MAX;
	assert_code(vmmem_vhost_new(space, &options, &other), VMMEM_EARGUMENT);
	rules.flags = 0;
	rules.size = 1;
	assert_code(vmmem_vhost_new(space, &options, &other),
		    VMMEM_ESTRUCTSIZE);
	ck_assert_ptr_eq(other, none);
	newer.more = 0;
	assert_ok(vmmem_vhost_new(space, &newer.options, &other));
	vmmem_vhost_free(other);

	ck_assert_ptr_null(vmmem_vhost_free(NULL));
	assert_code(vmmem_vhost_set_table(NULL, &row, 1, &file, 1),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_set_table(vhost, NULL, 1, &file, 1),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_set_table(vhost, &row, 1, NULL, 1),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_add(NULL, &row, file), VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_add(vhost, NULL, file), VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_remove(NULL, &row), VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_remove(vhost, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_set_log(NULL, file, 0, 8), VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_clear_log(NULL), VMMEM_EARGUMENT);
	ck_assert_ptr_null(vmmem_vhost_log(NULL));
	ck_assert_uint_eq(vmmem_vhost_count(NULL), 0);
	assert_code(vmmem_vhost_at(NULL, 0, NULL, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_at(vhost, 0, NULL, NULL), VMMEM_EOUTOFRANGE);
}
END_TEST

/* Rows in any order, several of one file, and what devices then see. */
START_TEST(table)
{
	struct vmmem_vhost_region rows[] = {
		row_of(0x100000, 2 * PAGE, 4 * PAGE),
		row_of(UINT64_MAX - PAGE + 1, PAGE, 0),
		row_of(0, PAGE, 0),
	}, got;
	int fds[] = { file, second, second };
	struct vmmem_region *mapping;
	size_t i;

	rows[1].user_address = UINT64_MAX - PAGE + 1;
	assert_ok(vmmem_vhost_set_table(vhost, rows, 3, fds, 3));
	ck_assert_uint_eq(vmmem_vhost_count(vhost), 3);
	ck_assert_uint_eq(shown(), 3);
	ck_assert_int_eq(byte_at(0x100000), 5);
	ck_assert_int_eq(byte_at(0x100000 + PAGE), 6);
	ck_assert_int_eq(byte_at(0x100000 + 2 * PAGE), VMMEM_EBADADDR);
	ck_assert_int_eq(byte_at(UINT64_MAX - PAGE + 1), 101);
	ck_assert_int_eq(byte_at(0), 101);
	for (i = 0; i < 3; i++) {
		assert_ok(vmmem_vhost_at(vhost, i, &got, &mapping));
		ck_assert_mem_eq(&got, &rows[i == 0 ? 2 : i - 1], sizeof(got));
		ck_assert_uint_eq(vmmem_region_len(mapping), got.len);
	}
	assert_code(vmmem_vhost_at(vhost, 3, &got, &mapping),
		    VMMEM_EOUTOFRANGE);

	/* Another table in its place. */
	set_one(0x2000, PAGE, 3 * PAGE);
	ck_assert_int_eq(byte_at(0), VMMEM_EBADADDR);
	ck_assert_int_eq(byte_at(0x2000), 4);
}
END_TEST

/* An offset that is no multiple of a page: QEMU splits where it likes. */
START_TEST(offsets)
{
	struct vmmem_vhost_region row = row_of(0x5010, 0x100, PAGE - 0x10);

	row.gpa = 0x5000 - 0x10;
	assert_ok(vmmem_vhost_set_table(vhost, &row, 1, &file, 1));
	ck_assert_int_eq(byte_at(0x5000), 2);
	ck_assert_int_eq(byte_at(0x5000 - 0x11), VMMEM_EBADADDR);
	ck_assert_int_eq(byte_at(0x5000 + 0xf0), VMMEM_EBADADDR);
	row.gpa++;
	assert_code(vmmem_vhost_set_table(vhost, &row, 1, &file, 1),
		    VMMEM_ECONGRUENCE);
	ck_assert_int_eq(byte_at(0x5000), 2);
}
END_TEST

/*
 * Rows with room for large pages: they begin anywhere in one, and the system
 * can map those of the file, where they lie whole within the row.
 */
START_TEST(large_offsets)
{
	const uint64_t large = UINT64_C(2) << 20, len = 8 * large;
	const uint64_t cuts[] = { 0x800, 0x10, 0xc0000, 0xff800, large - 0x10,
				  large + 0x800 };
	const uint64_t cut = cuts[_i];
	struct vmmem_vhost_region rows[2];
	struct vmmem_region *mapping;
	void *host;
	uint64_t rest;
	int fds[2];

	fds[0] = fds[1] = sealed_file(len, 0);
	rows[0] = row_of(0x100000000, cut, 0);
	rows[1] = row_of(0x100000000 + cut, len - cut, cut);
	ck_assert_int_eq(pwrite(fds[0], "\7", 1, (off_t)cut - 1), 1);
	ck_assert_int_eq(pwrite(fds[0], "\10", 1, (off_t)cut), 1);
	ck_assert_int_eq(pwrite(fds[0], "\11", 1, (off_t)len - 1), 1);
	assert_ok(vmmem_vhost_set_table(vhost, rows, 2, fds, 2));
	ck_assert_int_eq(byte_at(0x100000000 + cut - 1), 7);
	ck_assert_int_eq(byte_at(0x100000000 + cut), 8);
	ck_assert_int_eq(byte_at(0x100000000 + len - 1), 9);
	assert_ok(vmmem_vhost_at(vhost, 1, NULL, &mapping));
	assert_ok(vmmem_region_host_address(mapping, 0, &host, &rest));
	if (page_size() == 4096 && cut % 4096 == 0)
		ck_assert_uint_eq(((uintptr_t)host ^ cut) % large, 0);
	close(fds[0]);
}
END_TEST

START_TEST(add_and_remove)
{
	struct vmmem_vhost_region row = row_of(0x100000, PAGE, 2 * PAGE), not;

	set_one(0, PAGE, 0);
	assert_ok(vmmem_vhost_add(vhost, &row, second));
	ck_assert_int_eq(byte_at(0), 1);
	ck_assert_int_eq(byte_at(0x100000), 103);
	/* A row is known by three of its members. */
	not = row;
	not.gpa += PAGE;
	assert_code(vmmem_vhost_remove(vhost, &not), VMMEM_ENOREGION);
	not = row;
	not.len -= 1;
	assert_code(vmmem_vhost_remove(vhost, &not), VMMEM_ENOREGION);
	not = row;
	not.user_address += 1;
	assert_code(vmmem_vhost_remove(vhost, &not), VMMEM_ENOREGION);
	not = row;
	not.offset = 77;
	assert_ok(vmmem_vhost_remove(vhost, &not));
	assert_code(vmmem_vhost_remove(vhost, &row), VMMEM_ENOREGION);
	ck_assert_int_eq(byte_at(0x100000), VMMEM_EBADADDR);
	ck_assert_int_eq(byte_at(0), 1);
	row = row_of(0, PAGE, 0);
	assert_ok(vmmem_vhost_remove(vhost, &row));
	ck_assert_uint_eq(vmmem_vhost_count(vhost), 0);
	assert_ok(vmmem_vhost_add(vhost, &row, second));
	ck_assert_int_eq(byte_at(0), 101);
}
END_TEST

/* More rows than the 8 of old back ends, up to 509, and no more. */
START_TEST(many_rows)
{
	static struct vmmem_vhost_region rows[VMMEM_VHOST_REGIONS_MAX + 1];
	static int fds[VMMEM_VHOST_REGIONS_MAX + 1];
	struct vmmem_vhost_options few = { .size = sizeof(few),
					   .regions_max = 2 };
	struct vmmem_vhost *other = NULL;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		/* From the highest down. */
		rows[i] = row_of((ARRAY_LEN(rows) - i) * 2 * PAGE, PAGE,
				 i % PAGES * PAGE);
		fds[i] = file;
	}
	assert_code(vmmem_vhost_set_table(vhost, rows, ARRAY_LEN(rows), fds,
					  ARRAY_LEN(fds)),
		    VMMEM_EREGIONCOUNT);
	ck_assert_uint_eq(shown(), 0);
	assert_ok(vmmem_vhost_set_table(vhost, rows, VMMEM_VHOST_REGIONS_MAX,
					fds, VMMEM_VHOST_REGIONS_MAX));
	ck_assert_uint_eq(shown(), VMMEM_VHOST_REGIONS_MAX);
	/* One descriptor of one file, not one for each row. */
	ck_assert_uint_eq(open_files(), files_before + 1);
	for (i = 0; i < VMMEM_VHOST_REGIONS_MAX; i++)
		ck_assert_int_eq(byte_at(rows[i].gpa), (int)(i % PAGES + 1));
	assert_code(vmmem_vhost_add(vhost, &rows[i], file),
		    VMMEM_EREGIONCOUNT);
	assert_ok(vmmem_vhost_remove(vhost, &rows[7]));
	assert_ok(vmmem_vhost_add(vhost, &rows[i], file));
	ck_assert_int_eq(byte_at(rows[i].gpa), (int)(i % PAGES + 1));

	assert_ok(vmmem_vhost_new(space, &few, &other));
	assert_code(vmmem_vhost_set_table(other, rows, 3, fds, 3),
		    VMMEM_EREGIONCOUNT);
	vmmem_vhost_free(other);
}
END_TEST

/*
 * Memory that is used by nobody costs its owner nothing, but it takes addresses
 * of the process that maps it: what rows and log may take has a bound.
 */
START_TEST(too_many_bytes)
{
	struct vmmem_vhost_options options = { .size = sizeof(options),
					       .bytes_max = 4 * PAGE };
	struct vmmem_vhost_region rows[] = {
		row_of(0, 2 * PAGE, 0), row_of(2 * PAGE, PAGE, 2 * PAGE),
		/* Less than a page is a page, and across two it is both. */
		row_of(4 * PAGE - 16, 32, 8 * PAGE - 16),
	};
	const int fds[] = { file, file, file };
	int vast = sealed_file(UINT64_C(1) << 46, 0);
	struct vmmem_vhost_region huge = row_of(0, UINT64_C(1) << 46, 0);
	struct vmmem_vhost *other = NULL;

	assert_ok(vmmem_vhost_new(space, &options, &other));
	assert_code(vmmem_vhost_set_table(other, &huge, 1, &vast, 1),
		    VMMEM_EREGIONBYTES);
	assert_code(vmmem_vhost_set_table(other, rows, 3, fds, 3),
		    VMMEM_EREGIONBYTES);
	assert_ok(vmmem_vhost_set_table(other, rows, 2, fds, 2));
	assert_code(vmmem_vhost_add(other, &rows[2], file),
		    VMMEM_EREGIONBYTES);
	/* The log counts too, but one that takes its place is not added. */
	assert_code(vmmem_vhost_set_log(other, second, PAGE - 1, 2),
		    VMMEM_EREGIONBYTES);
	assert_ok(vmmem_vhost_set_log(other, second, 0, PAGE));
	assert_ok(vmmem_vhost_set_log(other, second, PAGE, 1));
	assert_code(vmmem_vhost_set_table(other, rows, 3, fds, 3),
		    VMMEM_EREGIONBYTES);
	assert_ok(vmmem_vhost_set_table(other, rows + 1, 2, fds, 2));
	assert_ok(vmmem_vhost_remove(other, &rows[2]));
	assert_ok(vmmem_vhost_add(other, &rows[0], file));
	assert_ok(vmmem_vhost_clear_log(other));
	assert_ok(vmmem_vhost_set_log(other, second, PAGE, PAGE));
	assert_ok(vmmem_vhost_set_table(other, NULL, 0, NULL, 0));
	vmmem_vhost_free(other);

	/* As many as there are. */
	options.size = sizeof(options);
	options.bytes_max = UINT64_MAX;
	assert_ok(vmmem_vhost_new(space, &options, &other));
	assert_ok(vmmem_vhost_set_table(other, rows, 3, fds, 3));
	assert_ok(vmmem_vhost_set_table(other, NULL, 0, NULL, 0));
	vmmem_vhost_free(other);
	options.size = sizeof(options) - 1;
	assert_code(vmmem_vhost_new(space, &options, &other),
		    VMMEM_ESTRUCTSIZE);
	close(vast);
}
END_TEST

/* Nobody has said how much one front end may have: others get theirs. */
START_TEST(bytes_for_others)
{
	struct vmmem_vhost_region row = row_of(0, UINT64_C(1) << 46, 0);
	struct vmmem_vhost *other = NULL;
	int vast, rc;
	void *heap;

	assert_ok(vmmem_vhost_new(space, NULL, &other));
	for (; row.len >= 1 << 20; row.len >>= 1) {
		vast = sealed_file(row.len, 0);
		do {
			row.user_address = row.gpa;
			rc = vmmem_vhost_add(other, &row, vast);
			row.gpa += rc == 0 ? row.len : 0;
		} while (rc == 0);
		close(vast);
		assert_code(rc, VMMEM_EREGIONBYTES);
	}
	ck_assert_uint_gt(vmmem_vhost_count(other), 0);
	heap = malloc(1 << 26);
	ck_assert_ptr_nonnull(heap);
	free(heap);
	row = row_of(UINT64_C(1) << 62, FILE_LEN, 0);
	assert_ok(vmmem_vhost_add(vhost, &row, file));
	assert_ok(vmmem_vhost_set_table(other, NULL, 0, NULL, 0));
	vmmem_vhost_free(other);
}
END_TEST

/* Each lie has a code, and the map stays what it was. */
START_TEST(hostile_rows)
{
	const uint64_t end = UINT64_MAX;
	struct vmmem_vhost_region good = row_of(0x100000, PAGE, 0);
	const struct {
		struct vmmem_vhost_region row;
		int code;
	} lies[] = {
		{ { 0, 0, 0, 0 }, VMMEM_EZEROLEN },
		{ { end, 2, 0, 0 }, VMMEM_EWRAPS },
		{ { 0, end, 2, 0 }, VMMEM_EWRAPS },
		{ { end - PAGE + 2, PAGE, 0, 0 }, VMMEM_EWRAPS },
		{ { 0, PAGE, end - PAGE + 2, 0 }, VMMEM_EWRAPS },
		{ { 0, PAGE, 0, end & ~(PAGE - 1) }, VMMEM_EWRAPS },
		{ { 0, PAGE, 0, INT64_MAX & ~(PAGE - 1) }, VMMEM_EWRAPS },
		{ { 0x200000, end >> 1, 0x7f0000200000, 0 },
		  VMMEM_EPASTEOF },
		{ { 0x200000, (end >> 1) + 1, 0x7f0000200000, 0 },
		  VMMEM_EWRAPS },
		{ { 0, PAGE, 0, FILE_LEN }, VMMEM_EPASTEOF },
		{ { 0, FILE_LEN + 1, 0, 0 }, VMMEM_EPASTEOF },
		{ { 0, FILE_LEN, 0, PAGE }, VMMEM_EPASTEOF },
		{ { 8, PAGE, 0, 0 }, VMMEM_ECONGRUENCE },
		{ { 0, PAGE, 0, 4 }, VMMEM_ECONGRUENCE },
		{ { 0x100000, PAGE, 0, 0 }, VMMEM_EOVERLAP },
		{ { 0x100ff0, PAGE, 0, 0 }, VMMEM_EOVERLAP },
		{ { 0x100000 - 0x10, 0x20, 0, 0 }, VMMEM_EOVERLAP },
		{ { 0, 0x200000, 0, 0 }, VMMEM_EOVERLAP },
		{ { 0, PAGE, 0x7f0000100000, 0 }, VMMEM_EUSEROVERLAP },
		{ { 0, PAGE, 0x7f0000100fff, 0 }, VMMEM_EUSEROVERLAP },
		{ { 0, PAGE, 0x7f0000100000 - PAGE + 1, 0 },
		  VMMEM_EUSEROVERLAP },
	};
	struct vmmem_vhost_region rows[2];
	int fds[2] = { file, file };
	uint64_t generation;
	size_t i;

	assert_ok(vmmem_vhost_set_table(vhost, &good, 1, &file, 1));
	generation = vmmem_space_generation(space);
	for (i = 0; i < ARRAY_LEN(lies); i++) {
		assert_code(vmmem_vhost_add(vhost, &lies[i].row, file),
			    lies[i].code);
		rows[0] = lies[i].row;
		rows[1] = good;
		assert_code(vmmem_vhost_set_table(vhost, rows, 2, fds, 2),
			    lies[i].code);
		rows[0] = good;
		rows[1] = lies[i].row;
		assert_code(vmmem_vhost_set_table(vhost, rows, 2, fds, 2),
			    lies[i].code);
		ck_assert_uint_eq(vmmem_vhost_count(vhost), 1);
		ck_assert_int_eq(byte_at(0x100000), 1);
	}
	assert_code(vmmem_vhost_set_table(vhost, rows, 2, fds, 1),
		    VMMEM_EDESCRIPTORS);
	assert_code(vmmem_vhost_set_table(vhost, rows, 1, fds, 2),
		    VMMEM_EDESCRIPTORS);
	assert_code(vmmem_vhost_set_table(vhost, NULL, 0, fds, 1),
		    VMMEM_EDESCRIPTORS);
	ck_assert_uint_eq(vmmem_space_generation(space), generation);
}
END_TEST

/* Descriptors of every wrong kind, also as the last of several. */
START_TEST(hostile_files)
{
	struct vmmem_vhost_region rows[2] = { row_of(0, PAGE, 0),
					      row_of(0x100000, PAGE, PAGE) };
	int fds[2] = { file, -1 }, pair[2], shrinkable = file_of(FILE_LEN);
	char link[64];
	struct {
		int fd;
		int code;
	} lies[7];
	size_t i;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	lies[0].fd = -1;
	lies[0].code = -EBADF;
	lies[1].fd = pair[0];
	lies[1].code = VMMEM_EFILETYPE;
	lies[2].fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lies[2].code = VMMEM_EFILETYPE;
	lies[3].fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	lies[3].code = VMMEM_EFILETYPE;
	lies[4].fd = shrinkable;
	lies[4].code = VMMEM_ESHRINKABLE;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	lies[5].fd = open(link, O_RDONLY | O_CLOEXEC);
	lies[5].code = VMMEM_EFILEACCESS;
	lies[6].fd = sealed_file(PAGE, 1);
	lies[6].code = VMMEM_EPASTEOF;

	files_before = open_files();
	set_one(0, PAGE, 7 * PAGE);
	for (i = 0; i < ARRAY_LEN(lies); i++) {
		size_t open_now = open_files();

		fds[1] = lies[i].fd;
		assert_code(vmmem_vhost_set_table(vhost, rows, 2, fds, 2),
			    lies[i].code);
		assert_code(vmmem_vhost_add(vhost, &rows[1], lies[i].fd),
			    lies[i].code);
		ck_assert_uint_eq(open_files(), open_now);
		ck_assert_int_eq(byte_at(0), 8);
		ck_assert_uint_eq(shown(), 1);
	}
	for (i = 1; i < ARRAY_LEN(lies); i++) {
		close(lies[i].fd);
		files_before--;
	}
	close(pair[1]);
	files_before--;
}
END_TEST

/* Rules can permit what the strictest ones do not; they are copied. */
START_TEST(rules)
{
	struct vmmem_fd_rules lenient = {
		.size = sizeof(lenient), .flags = VMMEM_FD_MAY_SHRINK,
	};
	struct vmmem_vhost_options options = { .size = sizeof(options),
					       .rules = &lenient };
	struct vmmem_vhost_region row = row_of(0, PAGE, 0);
	int shrinkable = file_of(FILE_LEN);
	struct vmmem_vhost *other = NULL;

	assert_ok(vmmem_vhost_new(space, &options, &other));
	lenient.flags = 0;
	assert_ok(vmmem_vhost_add(other, &row, shrinkable));
	assert_ok(vmmem_vhost_set_table(other, &row, 1, &shrinkable, 1));
	/* What goes on is checked like what is new. */
	ck_assert_int_eq(ftruncate(shrinkable, (off_t)PAGE - 1), 0);
	assert_code(vmmem_vhost_set_table(other, &row, 1, &shrinkable, 1),
		    VMMEM_EPASTEOF);
	ck_assert_uint_eq(vmmem_vhost_count(other), 1);
	assert_ok(vmmem_vhost_remove(other, &row));
	vmmem_vhost_free(other);
	close(shrinkable);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
}
END_TEST

/* A device does not say what it is mapped in: then it is the system's pages. */
START_TEST(devices)
{
	const struct vmmem_fd_rules any = {
		.size = sizeof(any),
		.types = VMMEM_FD_TYPE_DEVICE,
	};
	const struct vmmem_vhost_options options = { .size = sizeof(options),
						     .rules = &any };
	struct vmmem_vhost_region row = row_of(0, PAGE, PAGE / 2);
	struct vmmem_vhost *other = NULL;
	int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(zero, 0);
	assert_code(vmmem_vhost_add(vhost, &row, zero), VMMEM_EFILETYPE);
	assert_ok(vmmem_vhost_new(space, &options, &other));
	assert_ok(vmmem_vhost_add(other, &row, zero));
	ck_assert_int_eq(byte_at(0), 0);
	ck_assert_int_eq(byte_at(PAGE - 1), 0);
	ck_assert_int_eq(byte_at(PAGE), VMMEM_EBADADDR);
	assert_ok(vmmem_vhost_remove(other, &row));
	vmmem_vhost_free(other);
	close(zero);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
}
END_TEST

/* What stays in the table stays where it is in the host. */
START_TEST(mappings_go_on)
{
	struct vmmem_vhost_region rows[2] = {
		row_of(0, 2 * PAGE, 0), row_of(0x100000, PAGE, 2 * PAGE)
	};
	int fds[2] = { file, file }, duplicate = fcntl(file, F_DUPFD_CLOEXEC, 0);
	struct vmmem_collection *map;
	struct vmmem_region *before, *after;
	uint8_t *host;

	assert_ok(vmmem_vhost_set_table(vhost, rows, 1, fds, 1));
	map = vmmem_space_get(space);
	host = host_of(map, 0);
	before = vmmem_collection_region(map, 0);
	fds[0] = duplicate;
	assert_ok(vmmem_vhost_set_table(vhost, rows, 2, fds, 2));
	vmmem_collection_unref(map);
	map = vmmem_space_get(space);
	ck_assert_ptr_eq(host_of(map, 0), host);
	/* The very region: listeners are told of the second only. */
	after = vmmem_collection_region(map, 0);
	ck_assert_ptr_eq(after, before);
	vmmem_collection_unref(map);

	/* At another address, or of another file, it is another one. */
	rows[0].gpa += 0x200000;
	assert_ok(vmmem_vhost_set_table(vhost, rows, 2, fds, 2));
	map = vmmem_space_get(space);
	ck_assert_ptr_eq(host_of(map, 0x200000), host);
	vmmem_collection_unref(map);
	fds[0] = second;
	assert_ok(vmmem_vhost_set_table(vhost, rows, 2, fds, 2));
	ck_assert_int_eq(byte_at(0x200000), 101);
	close(duplicate);
}
END_TEST

/*
 * Two openings of a device have one device and inode, and are not the same
 * memory for that.
 */
START_TEST(openings_of_a_device)
{
	struct vmmem_fd_rules any = { .size = sizeof(any),
					   .types = VMMEM_FD_TYPE_DEVICE };
	struct vmmem_vhost_options options = { .size = sizeof(options),
					       .rules = &any };
	struct vmmem_vhost_region row = row_of(0, PAGE, 0), got[2];
	int first = open("/dev/zero", O_RDWR), other, fds[2];
	struct vmmem_region *regions[2] = { NULL, NULL };
	struct vmmem_collection *map;
	struct vmmem_vhost *lenient;
	size_t count;

	ck_assert_int_ge(first, 0);
	other = open("/dev/zero", O_RDWR);
	assert_ok(vmmem_vhost_new(space, &options, &lenient));
	assert_ok(vmmem_vhost_set_table(lenient, &row, 1, &first, 1));
	map = vmmem_space_get(space);
	assert_ok(vmmem_collection_write_u8(map, 0, 77));
	vmmem_collection_unref(map);
	assert_ok(vmmem_vhost_set_table(lenient, &row, 1, &other, 1));
	ck_assert_int_eq(byte_at(0), 0);
	assert_ok(vmmem_vhost_set_table(lenient, NULL, 0, NULL, 0));
	vmmem_vhost_free(lenient);

	/* Nor are they one row. */
	assert_ok(vmmem_region_new_file(0, PAGE, first, 0, &regions[0]));
	assert_ok(vmmem_region_new_file(PAGE, PAGE, other, PAGE, &regions[1]));
	map = guest_of(regions, 2);
	assert_ok(vmmem_vhost_export(map, 0, got, fds, 2, &count, NULL));
	ck_assert_uint_eq(count, 2);
	vmmem_collection_unref(map);
	close(first);
	close(other);
}
END_TEST

/* What others have put into the space is theirs. */
START_TEST(beside_others)
{
	struct vmmem_region *rom = region_of(0xf0000000, PAGE);
	struct vmmem_vhost_region row = row_of(0xf0000000, PAGE, 0);

	assert_ok(vmmem_space_insert(space, rom));
	set_one(0, PAGE, 0);
	ck_assert_uint_eq(shown(), 2);
	assert_code(vmmem_vhost_add(vhost, &row, file), VMMEM_EOVERLAP);
	ck_assert_uint_eq(vmmem_vhost_count(vhost), 1);
	assert_ok(vmmem_vhost_set_table(vhost, NULL, 0, NULL, 0));
	ck_assert_uint_eq(shown(), 1);
	/* And if somebody takes a row's region away, nobody minds. */
	set_one(0, PAGE, 0);
	assert_ok(vmmem_space_remove(space, 0, PAGE, NULL));
	set_one(0, PAGE, PAGE);
	ck_assert_int_eq(byte_at(0), 2);
	assert_ok(vmmem_space_remove(space, 0xf0000000, PAGE, NULL));
	vmmem_region_unref(rom);
}
END_TEST

static int
refuse(void *opaque, struct vmmem_region *region)
{
	(void)region;
	return *(int *)opaque;
}

START_TEST(refused_by_a_listener)
{
	struct vmmem_listener_ops ops = { .size = sizeof(ops),
					  .added = refuse };
	struct vmmem_vhost_region row = row_of(0x100000, PAGE, 0);
	struct vmmem_listener *listener = NULL;
	int code = 0;

	set_one(0, PAGE, 0);
	assert_ok(vmmem_listener_new(space, &ops, &code, NULL, &listener));
	code = -EXDEV;
	assert_code(vmmem_vhost_add(vhost, &row, file), -EXDEV);
	ck_assert_uint_eq(vmmem_vhost_count(vhost), 1);
	ck_assert_int_eq(byte_at(0), 1);
	code = 0;
	assert_ok(vmmem_vhost_add(vhost, &row, file));
	vmmem_listener_free(listener);
}
END_TEST

/* A device's section keeps its map; memory goes when it is over. */
START_TEST(under_a_reader)
{
	struct vmmem_vhost_region row = row_of(0, PAGE, 0);
	struct vmmem_reader *reader = NULL;
	struct vmmem_collection *map;
	uint8_t *host, byte;

	set_one(0, PAGE, 0);
	assert_ok(vmmem_reader_new(space, NULL, &reader));
	map = vmmem_reader_enter(reader);
	host = host_of(map, 0);
	assert_ok(vmmem_vhost_remove(vhost, &row));
	assert_ok(vmmem_collection_read_u8(map, 0, &byte));
	ck_assert_uint_eq(byte, 1);
	assert_code(vmmem_space_synchronize(space, 0), VMMEM_ETIMEOUT);
	ck_assert_int_eq(is_mapped(host, PAGE), 1);
	vmmem_reader_leave(reader);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_int_eq(is_mapped(host, PAGE), 0);
	vmmem_reader_free(reader);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("vhost");
	TCase *tcase = tcase_create("vhost");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, table);
	tcase_add_test(tcase, offsets);
	tcase_add_loop_test(tcase, large_offsets, 0, 6);
	tcase_add_test(tcase, add_and_remove);
	tcase_add_test(tcase, many_rows);
	tcase_add_test(tcase, too_many_bytes);
	tcase_add_test(tcase, bytes_for_others);
	tcase_add_test(tcase, hostile_rows);
	tcase_add_test(tcase, hostile_files);
	tcase_add_test(tcase, rules);
	tcase_add_test(tcase, devices);
	tcase_add_test(tcase, mappings_go_on);
	tcase_add_test(tcase, openings_of_a_device);
	tcase_add_test(tcase, beside_others);
	tcase_add_test(tcase, refused_by_a_listener);
	tcase_add_test(tcase, under_a_reader);
	suite_add_tcase(suite, tcase);
	return suite;
}
