/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What a vhost object is asked: what is due, host addresses, what was set. */
#include "iotlbs.h"
#include "suite.h"
#include "tables.h"

#include <string.h>

static int file;
static struct vmmem_iotlb *iotlb;

static void
setup(void)
{
	struct vmmem_vhost_options options = { .size = sizeof(options) };

	file = sealed_file(FILE_LEN, 1);
	assert_ok(iotlb_of(16, &iotlb));
	options.iotlb = iotlb;
	make_vhost(&options);
}

static void
teardown(void)
{
	drop_vhost();
	vmmem_iotlb_unref(iotlb);
	close(file);
}

/* Two rows, the second one from the middle of a page of the file. */
static void
set_rows(void)
{
	const struct vmmem_vhost_region rows[2] = {
		row_of(8 * PAGE, 2 * PAGE, 0),
		row_of(0x100, PAGE, 4 * PAGE + 0x100),
	};
	const int fds[2] = { file, file };

	assert_ok(vmmem_vhost_set_table(vhost, rows, 2, fds, 2));
}

static uint32_t
due(uint32_t request, const void *payload, size_t len, const int *fds,
    size_t fd_count)
{
	uint32_t result = 77;

	assert_ok(vmmem_vhost_message(vhost, request, payload, len, fds,
				      fd_count, &result));
	return result;
}

START_TEST(what_is_due)
{
	struct {
		uint32_t count, padding;
		struct vmmem_vhost_region rows[1];
	} table = { .count = 1, .rows = { row_of(0, PAGE, 0) } };
	struct {
		uint64_t padding;
		struct vmmem_vhost_region row;
	} one = { .row = row_of(PAGE, PAGE, PAGE) };
	struct vmmem_vhost_iotlb_msg message = {
		.iova = 0x5000,
		.len = PAGE,
		.user_address = table.rows[0].user_address,
		.access = VMMEM_PROT_READ,
		.type = VMMEM_VHOST_IOTLB_UPDATE,
	};
	uint64_t log[2] = { 8, 0 };
	uint32_t none = 77;

	ck_assert_uint_eq(due(VMMEM_VHOST_SET_MEM_TABLE, &table, sizeof(table),
			      &file, 1),
			  VMMEM_VHOST_DUE_SPACE);
	ck_assert_uint_eq(due(VMMEM_VHOST_ADD_MEM_REG, &one, sizeof(one), &file,
			      1),
			  0);
	ck_assert_uint_eq(due(VMMEM_VHOST_REM_MEM_REG, &one, sizeof(one), NULL,
			      0),
			  VMMEM_VHOST_DUE_SPACE);
	ck_assert_uint_eq(due(VMMEM_VHOST_SET_LOG_BASE, log, sizeof(log), &file,
			      1),
			  VMMEM_VHOST_DUE_SPACE);
	ck_assert_uint_eq(due(VMMEM_VHOST_IOTLB_MSG, &message, sizeof(message),
			      NULL, 0),
			  0);
	message.type = VMMEM_VHOST_IOTLB_INVALIDATE;
	ck_assert_uint_eq(due(VMMEM_VHOST_IOTLB_MSG, &message, sizeof(message),
			      NULL, 0),
			  VMMEM_VHOST_DUE_IOTLB);
	/* Nothing is due of what failed. */
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_REM_MEM_REG, &one,
					sizeof(one), NULL, 0, &none),
		    VMMEM_ENOREGION);
	ck_assert_uint_eq(none, 77);
}
END_TEST

START_TEST(marks)
{
	uint8_t bits[9] = { 0 };
	int log = sealed_file(PAGE, 0);

	assert_code(vmmem_vhost_mark(NULL, 0, 1), VMMEM_EARGUMENT);
	/* No log is no failure. */
	assert_ok(vmmem_vhost_mark(vhost, 0, 1));
	assert_ok(vmmem_vhost_set_log(vhost, log, 0, 8));
	assert_ok(vmmem_vhost_mark(vhost, PAGE - 1, 2));
	assert_ok(vmmem_vhost_mark(vhost, 63 * PAGE, PAGE));
	assert_code(vmmem_vhost_mark(vhost, 63 * PAGE, PAGE + 1),
		    VMMEM_EOUTOFRANGE);
	ck_assert_int_eq(pread(log, bits, 9, 0), 9);
	ck_assert_mem_eq(bits, "\x03\0\0\0\0\0\0\x80\0", 9);
	close(log);
}
END_TEST

/* The host address of the first byte of the row at 'index', and its row. */
static char *
host_at(size_t index, struct vmmem_vhost_region *ret_row)
{
	struct vmmem_region *mapping = NULL;
	uint64_t rest;
	void *host = NULL;

	assert_ok(vmmem_vhost_at(vhost, index, ret_row, &mapping));
	assert_ok(vmmem_region_host_address(mapping, 0, &host, &rest));
	ck_assert_uint_eq(rest, ret_row->len);
	return host;
}

START_TEST(host_addresses)
{
	struct vmmem_vhost_region row;
	uint64_t gpa = 5, user = 6;
	char *host, stranger = 0;
	size_t i;

	assert_code(vmmem_vhost_host_to_gpa(vhost, &stranger, 1, &gpa),
		    VMMEM_EBADADDR);
	set_rows();
	for (i = 0; i < 2; i++) {
		host = host_at(i, &row);
		assert_ok(vmmem_vhost_host_to_gpa(vhost, host, row.len, &gpa));
		ck_assert_uint_eq(gpa, row.gpa);
		assert_ok(vmmem_vhost_host_to_user(vhost, host + row.len - 1, 1,
						   &user));
		ck_assert_uint_eq(user, row.user_address + row.len - 1);
		assert_code(vmmem_vhost_host_to_user(vhost, host + 1, row.len,
						     &user),
			    VMMEM_ECROSS);
		assert_code(vmmem_vhost_host_to_user(vhost, host + 1,
						     UINT64_MAX, &user),
			    VMMEM_ECROSS);
		assert_ok(vmmem_vhost_host_to_gpa(vhost, host + 7, 0, &gpa));
		ck_assert_uint_eq(gpa, row.gpa + 7);
	}
	/* The page of the file is mapped, but this byte of it is in no row. */
	host = host_at(0, &row);
	ck_assert_uint_eq(row.gpa, 0x100);
	assert_code(vmmem_vhost_host_to_gpa(vhost, host - 1, 1, &gpa),
		    VMMEM_EBADADDR);
	assert_ok(vmmem_vhost_host_to_gpa(vhost, &stranger, 0, &gpa));
	ck_assert_uint_eq(gpa, 0);
	assert_code(vmmem_vhost_host_to_gpa(vhost, NULL, 1, &gpa),
		    VMMEM_EBADADDR);
	assert_code(vmmem_vhost_host_to_gpa(NULL, host, 1, &gpa),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_host_to_user(vhost, host, 1, NULL),
		    VMMEM_EARGUMENT);
	/* Two rows of the same bytes of a file: the lower one that has all. */
	row = row_of(16 * PAGE, PAGE, 0);
	assert_ok(vmmem_vhost_add(vhost, &row, file));
	row = row_of(32 * PAGE, PAGE, 0);
	assert_ok(vmmem_vhost_add(vhost, &row, file));
	host = host_at(2, &row);
	ck_assert_ptr_eq(host, host_at(3, &row));
	assert_ok(vmmem_vhost_host_to_gpa(vhost, host, PAGE, &gpa));
	ck_assert_uint_eq(gpa, 16 * PAGE);
	/* What goes on from an old table keeps its address. */
	host = host_at(0, &row);
	set_rows();
	assert_ok(vmmem_vhost_host_to_gpa(vhost, host, 1, &gpa));
	ck_assert_uint_eq(gpa, 0x100);
}
END_TEST

START_TEST(what_was_set)
{
	struct vmmem_fd_rules rules = { .size = sizeof(rules),
					.flags = VMMEM_FD_MAY_SHRINK };
	struct vmmem_vhost_options options = {
		.size = sizeof(options),
		.rules = &rules,
		.regions_max = 7,
		.bytes_max = 77 * PAGE,
	};

	ck_assert_ptr_eq(vmmem_vhost_space(vhost), space);
	ck_assert_ptr_eq(vmmem_vhost_iotlb(vhost), iotlb);
	ck_assert_ptr_null(vmmem_vhost_rules(vhost));
	ck_assert_uint_eq(vmmem_vhost_regions_max(vhost),
			  VMMEM_VHOST_REGIONS_MAX);
	ck_assert_uint_ne(vmmem_vhost_bytes_max(vhost), 0);
	drop_vhost();
	make_vhost(&options);
	ck_assert_ptr_null(vmmem_vhost_iotlb(vhost));
	ck_assert_uint_eq(vmmem_vhost_rules(vhost)->flags, rules.flags);
	ck_assert_ptr_ne(vmmem_vhost_rules(vhost), &rules);
	ck_assert_uint_eq(vmmem_vhost_regions_max(vhost), 7);
	ck_assert_uint_eq(vmmem_vhost_bytes_max(vhost), 77 * PAGE);
	ck_assert_ptr_null(vmmem_vhost_space(NULL));
	ck_assert_ptr_null(vmmem_vhost_iotlb(NULL));
	ck_assert_ptr_null(vmmem_vhost_rules(NULL));
	ck_assert_uint_eq(vmmem_vhost_regions_max(NULL), 0);
	ck_assert_uint_eq(vmmem_vhost_bytes_max(NULL), 0);
}
END_TEST

/* An UPDATE of two pieces, and room for one: not a byte of it is mapped. */
START_TEST(a_table_that_is_full)
{
	const struct vmmem_iotlb_options keeps = {
		.size = sizeof(keeps),
		.capacity = 1,
		.flags = VMMEM_IOTLB_NO_EVICT,
	};
	struct vmmem_vhost_options options = { .size = sizeof(options) };
	struct vmmem_vhost_iotlb_msg update = {
		.iova = 0x10000,
		.len = 2 * PAGE,
		.user_address = PAGE,
		.access = VMMEM_PROT_READ,
		.type = VMMEM_VHOST_IOTLB_UPDATE,
	};
	struct vmmem_vhost_region rows[2] = { row_of(0, PAGE, 0),
					      row_of(8 * PAGE, PAGE, PAGE) };
	const int fds[2] = { file, file };

	drop_vhost();
	vmmem_iotlb_unref(iotlb);
	assert_ok(vmmem_iotlb_new(&keeps, &iotlb));
	options.iotlb = iotlb;
	make_vhost(&options);
	rows[0].user_address = PAGE;
	rows[1].user_address = 2 * PAGE;
	assert_ok(vmmem_vhost_set_table(vhost, rows, 2, fds, 2));
	assert_code(vmmem_vhost_iotlb_message(vhost, &update), VMMEM_ENOROOM);
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 0);
	update.len = PAGE;
	assert_ok(vmmem_vhost_iotlb_message(vhost, &update));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 1);
}
END_TEST

/* In any order, many rows are found by either address. */
START_TEST(rows_in_any_order)
{
	enum { COUNT = VMMEM_VHOST_REGIONS_MAX };
	static struct vmmem_vhost_region rows[COUNT];
	static int fds[COUNT];
	uint64_t found;
	size_t i, at;

	for (i = 0; i < COUNT; i++) {
		/* 7 and 509 have no divisor in common. */
		at = _i == 0 ? i : _i == 1 ? COUNT - 1 - i : i * 7 % COUNT;
		rows[i] = row_of(2 * i * PAGE, PAGE, i % PAGES * PAGE);
		rows[i].user_address = 2 * at * PAGE;
		fds[i] = file;
	}
	assert_ok(vmmem_vhost_set_table(vhost, rows, COUNT, fds, COUNT));
	for (i = 0; i < COUNT; i++) {
		assert_ok(vmmem_vhost_user_to_gpa(vhost, rows[i].user_address,
						  PAGE, &found));
		ck_assert_uint_eq(found, rows[i].gpa);
		assert_ok(vmmem_vhost_gpa_to_user(vhost, rows[i].gpa, PAGE,
						  &found));
		ck_assert_uint_eq(found, rows[i].user_address);
		assert_code(vmmem_vhost_user_to_gpa(vhost,
						    rows[i].user_address + PAGE,
						    1, &found),
			    VMMEM_EUSERADDR);
	}
	rows[3].user_address = rows[COUNT - 1].user_address + PAGE - 1;
	assert_code(vmmem_vhost_set_table(vhost, rows, COUNT, fds, COUNT),
		    VMMEM_EUSEROVERLAP);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("vhost_queries");
	TCase *tcase = tcase_create("vhost_queries");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, what_is_due);
	tcase_add_test(tcase, marks);
	tcase_add_test(tcase, host_addresses);
	tcase_add_test(tcase, what_was_set);
	tcase_add_test(tcase, a_table_that_is_full);
	tcase_add_loop_test(tcase, rows_in_any_order, 0, 3);
	suite_add_tcase(suite, tcase);
	return suite;
}
