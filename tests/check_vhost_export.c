/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The rows of a map, for back ends in other processes and in the kernel. */
#include "device.h"
#include "suite.h"
#include "tables.h"

#include <vmmem/vhost.h>

static int file;

static void
setup(void)
{
	file = sealed_file(FILE_LEN, 1);
	make_vhost(NULL);
}

static void
teardown(void)
{
	close(file);
	drop_vhost();
}

static struct vmmem_region *
file_region(uint64_t gpa, uint64_t len, uint64_t offset)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_new_file(gpa, len, file, offset, &region));
	return region;
}

/* Pieces of one file that touch are one row; what cannot be shared is not. */
START_TEST(exported)
{
	struct vmmem_region *regions[] = {
		file_region(0, PAGE, 0),
		file_region(PAGE, PAGE, PAGE),
		/* touches, but is another part of the file */
		file_region(2 * PAGE, PAGE, 5 * PAGE),
		/* the same file further on, but not beside it */
		file_region(4 * PAGE, PAGE, 6 * PAGE),
		region_of(8 * PAGE, PAGE),
		region_with(9 * PAGE, PAGE, VMMEM_PROT_READ),
		file_region(TOP - PAGE + 1, PAGE, 0),
	};
	struct vmmem_collection *map = guest_of(regions, ARRAY_LEN(regions));
	struct vmmem_vhost_region rows[8], user;
	int fds[8], same = 0;
	size_t count = 77, out = 77, i;
	void *host;

	assert_code(vmmem_vhost_export(NULL, 0, rows, fds, 8, &count, &out),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_export(map, 0, rows, fds, 8, NULL, &out),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_export(map, 0, NULL, fds, 8, &count, &out),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_export(map, 16, rows, fds, 8, &count, &out),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_export(map, VMMEM_VHOST_EXPORT_PRIVATE, rows,
				       fds, 8, &count, &out),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_export(map,
				       VMMEM_VHOST_EXPORT_PRIVATE |
					       VMMEM_VHOST_EXPORT_GUEST_MEMFD,
				       rows, fds, 8, &count, &out),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(count, 77);
	assert_code(vmmem_vhost_export(map, 0, NULL, NULL, 0, &count, NULL),
		    VMMEM_ENOROOM);
	ck_assert_uint_eq(count, 4);
	assert_code(vmmem_vhost_export(map, 0, rows, fds, 1, &count, &out),
		    VMMEM_ENOROOM);
	ck_assert_uint_eq(rows[0].len, 2 * PAGE);
	assert_ok(vmmem_vhost_export(map, 0, rows, fds, 8, &count, &out));
	ck_assert_uint_eq(count, 4);
	ck_assert_uint_eq(out, 2);
	for (i = 0; i < count; i++) {
		ck_assert_uint_eq(rows[i].user_address, rows[i].gpa);
		assert_ok(vmmem_fd_same_file(fds[i], file, &same));
		ck_assert_int_eq(same, 1);
	}
	ck_assert_uint_eq(rows[0].gpa, 0);
	ck_assert_uint_eq(rows[0].len, 2 * PAGE);
	ck_assert_uint_eq(rows[1].offset, 5 * PAGE);
	ck_assert_uint_eq(rows[2].gpa, 4 * PAGE);
	ck_assert_uint_eq(rows[3].gpa, TOP - PAGE + 1);

	/* A back end that takes them sees the same bytes. */
	assert_ok(vmmem_vhost_set_table(vhost, rows, count, fds, count));
	assert_ok(vmmem_collection_write_u8(map, PAGE, 99));
	ck_assert_int_eq(byte_at(PAGE), 99);
	ck_assert_int_eq(byte_at(4 * PAGE), 7);

	/* With host addresses, only what lies side by side is one. */
	assert_ok(vmmem_vhost_export(map, VMMEM_VHOST_EXPORT_HOST, rows, fds, 8,
				     &count, &out));
	ck_assert_uint_eq(out, 2);
	for (i = 0; i < count; i++) {
		user = rows[i];
		host = host_of(map, user.gpa);
		ck_assert_uint_eq(user.user_address, (uintptr_t)host);
	}
	vmmem_collection_unref(map);
}
END_TEST

static struct vmmem_region *
external(uint64_t gpa, uint64_t len, void *host)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_new_external(gpa, len, host, &region));
	return region;
}

/* Whoever takes host addresses gets all memory that there is. */
START_TEST(exported_for_the_kernel)
{
	static _Alignas(4096) uint8_t bytes[0x4000];
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *regions[] = {
		/* side by side in both worlds; and in the guest alone */
		external(0, 0x1000, bytes),
		external(0x1000, 0x1000, bytes + 0x1000),
		external(0x2000, 0x1000, bytes + 0x3000),
		/* in the host alone */
		external(0x4000, 0x1000, bytes + 0x2000),
		region_with(0x8000, 0x1000, VMMEM_PROT_READ),
		region_of(0x100000, PAGE),
		file_region(0x200000, PAGE, PAGE),
		NULL,
		NULL,
	};
	const uint64_t gpas[] = { 0,	    0x2000,   0x4000,  0x100000,
				  0x200000, 0x300000, 0x400000 };
	struct vmmem_vhost_region rows[8];
	struct vmmem_collection *map;
	struct device device;
	size_t count, out, i;
	int fds[8];

	device_init(&device);
	device.has_host = 1;
	assert_ok(vmmem_region_new_custom(0x300000, 0x1000, &device_ops,
					  &device, &regions[7]));
	vmmem_region_builder_set_range(builder, 0x400000, PAGE);
	vmmem_region_builder_set_file(builder, file, PAGE, VMMEM_FILE_PRIVATE);
	assert_ok(vmmem_region_builder_build(builder, &regions[8]));
	vmmem_region_builder_free(builder);
	map = guest_of(regions, ARRAY_LEN(regions));
	assert_ok(vmmem_vhost_export(map, VMMEM_VHOST_EXPORT_HOST, rows, fds, 8,
				     &count, &out));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(out, 8);
	assert_ok(vmmem_vhost_export(map,
				     VMMEM_VHOST_EXPORT_HOST |
					     VMMEM_VHOST_EXPORT_PRIVATE,
				     rows, fds, 8, &count, &out));
	ck_assert_uint_eq(count, ARRAY_LEN(gpas));
	ck_assert_uint_eq(out, 1);
	for (i = 0; i < count; i++) {
		ck_assert_uint_eq(rows[i].gpa, gpas[i]);
		ck_assert_uint_eq(rows[i].user_address,
				  (uintptr_t)host_of(map, gpas[i]));
		ck_assert_uint_eq(rows[i].offset, i == 4 ? PAGE : 0);
		ck_assert(i == 4 ? fds[i] >= 0 : fds[i] == -1);
	}
	ck_assert_uint_eq(rows[0].len, 0x2000);
	ck_assert_uint_eq(rows[1].len, 0x1000);
	vmmem_collection_unref(map);
}
END_TEST

/* What one table shows is exported with its own offsets, also mid-page. */
START_TEST(exported_again)
{
	struct vmmem_vhost_region row = row_of(0x5100, 0x200, 0x1100), got;
	struct vmmem_collection *map;
	size_t count;
	int fd;

	assert_ok(vmmem_vhost_set_table(vhost, &row, 1, &file, 1));
	map = vmmem_space_get(space);
	assert_ok(vmmem_vhost_export(map, 0, &got, &fd, 1, &count, NULL));
	ck_assert_uint_eq(count, 1);
	row.user_address = row.gpa;
	ck_assert_mem_eq(&got, &row, sizeof(row));
	vmmem_collection_unref(map);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("vhost_export");
	TCase *tcase = tcase_create("export");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, exported);
	tcase_add_test(tcase, exported_for_the_kernel);
	tcase_add_test(tcase, exported_again);
	suite_add_tcase(suite, tcase);
	return suite;
}
