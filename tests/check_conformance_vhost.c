/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What other back ends get wrong about memory tables: see docs/conformance.md. */
#include "suite.h"
#include "tables.h"

#include <vmmem/vhost.h>

static int file, log_file;
static uint8_t *bits;

static void
setup(void)
{
	file = sealed_file(FILE_LEN, 1);
	log_file = sealed_file(PAGE, 0);
	bits = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, log_file, 0);
	ck_assert_ptr_ne(bits, MAP_FAILED);
	make_vhost(NULL);
}

static void
teardown(void)
{
	munmap(bits, PAGE);
	close(file);
	close(log_file);
	drop_vhost();
}

static void
set_one(uint64_t gpa, uint64_t len)
{
	struct vmmem_vhost_region row = row_of(gpa, len, 0);

	assert_ok(vmmem_vhost_set_table(vhost, &row, 1, &file, 1));
}

/* DPDK: the last bytes of a region are never found, and so never logged. */
START_TEST(last_byte_is_logged)
{
	struct vmmem_vhost_region row = row_of(0, 2 * PAGE, 0);
	uint64_t gpa = 0;

	set_one(0, 2 * PAGE);
	assert_ok(vmmem_vhost_set_log(vhost, log_file, 0, 8));
	assert_ok(vmmem_vhost_user_to_gpa(
		vhost, row.user_address + 2 * PAGE - 1, 1, &gpa));
	ck_assert_uint_eq(gpa, 2 * PAGE - 1);
	assert_ok(write_at(gpa, 1));
	ck_assert_uint_eq(bits[0], 2);
}
END_TEST

/* DPDK: 0 is both the first address of the guest and a failure. */
START_TEST(address_0_is_no_failure)
{
	uint64_t gpa = 1;

	set_one(0, PAGE);
	assert_ok(vmmem_vhost_user_to_gpa(vhost, row_of(0, 1, 0).user_address,
					  PAGE, &gpa));
	ck_assert_uint_eq(gpa, 0);
}
END_TEST

/* DPDK: rows that overlap are taken, and the first one wins. */
START_TEST(overlap_is_refused)
{
	struct vmmem_vhost_region row = row_of(PAGE - 0x10, PAGE, 0);

	set_one(0, PAGE);
	assert_code(vmmem_vhost_add(vhost, &row, file), VMMEM_EOVERLAP);
}
END_TEST

/* libvhost-user: an address past the log ends the process. */
START_TEST(log_that_is_too_short)
{
	set_one(63 * PAGE, 2 * PAGE);
	assert_code(vmmem_vhost_set_log(vhost, log_file, 0, 8),
		    VMMEM_ELOGSHORT);
	set_one(62 * PAGE, 2 * PAGE);
	assert_ok(vmmem_vhost_set_log(vhost, log_file, 0, 8));
	assert_ok(write_at(63 * PAGE, PAGE));
	ck_assert_uint_eq(bits[7], 0x80);
}
END_TEST

/* libvhost-user: a range is cut at an end that is a sum, which may wrap. */
START_TEST(end_of_the_address_space)
{
	uint64_t user = 0;

	set_one(TOP - PAGE + 1, PAGE);
	assert_ok(vmmem_vhost_gpa_to_user(vhost, TOP - 1, 2, &user));
	assert_code(vmmem_vhost_gpa_to_user(vhost, TOP - 1, 3, &user),
		    VMMEM_EWRAPS);
	assert_ok(write_at(TOP, 1));
	ck_assert_int_eq(write_at(TOP, 2), VMMEM_EWRAPS);
}
END_TEST

/* rust-vmm's vhost: a map is computed before the lock, and a change is lost. */
START_TEST(no_change_is_lost)
{
	struct vmmem_region *other = region_of(0x200000, PAGE);
	struct vmmem_vhost_region row = row_of(0x100000, PAGE, 0);

	set_one(0, PAGE);
	assert_ok(vmmem_space_insert(space, other));
	assert_ok(vmmem_vhost_add(vhost, &row, file));
	ck_assert_uint_eq(shown(), 3);
	vmmem_region_unref(other);
}
END_TEST

/* A descriptor that was passed twice, and is closed at once by the caller. */
START_TEST(duplicated_descriptors)
{
	struct vmmem_vhost_region rows[2] = { row_of(0, PAGE, 0),
					      row_of(PAGE, PAGE, PAGE) };
	int fds[2] = { dup(file), dup(file) };

	assert_ok(vmmem_vhost_set_table(vhost, rows, 2, fds, 2));
	close(fds[0]);
	close(fds[1]);
	ck_assert_int_eq(byte_at(0), 1);
	ck_assert_int_eq(byte_at(PAGE), 2);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_vhost");
	TCase *tcase = tcase_create("vhost");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, last_byte_is_logged);
	tcase_add_test(tcase, address_0_is_no_failure);
	tcase_add_test(tcase, overlap_is_refused);
	tcase_add_test(tcase, log_that_is_too_short);
	tcase_add_test(tcase, end_of_the_address_space);
	tcase_add_test(tcase, no_change_is_lost);
	tcase_add_test(tcase, duplicated_descriptors);
	suite_add_tcase(suite, tcase);
	return suite;
}
