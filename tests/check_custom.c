/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Regions made of callbacks; how they are accessed is in another file. */
#include <vmmem/region_builder.h>

#include "device.h"
#include "guest.h"
#include "suite.h"

static struct device device;

static void
setup(void)
{
	device_init(&device);
}

START_TEST(calls_only_what_it_must)
{
	struct vmmem_region *region = NULL;
	uint64_t offset, len = 77;
	void *host = &len;
	int fd;

	assert_ok(vmmem_region_new_custom(0x1003, 0x100, &device_ops, &device,
					  &region));
	/* Without a host address there is nothing to be congruent with. */
	expect_range(region, 0x1003, 0x100);
	ck_assert_uint_eq(vmmem_region_kind(region), VMMEM_REGION_CUSTOM);
	ck_assert_uint_eq(vmmem_region_protection(region),
			  VMMEM_PROT_READ | VMMEM_PROT_WRITE);
	ck_assert_uint_eq(vmmem_region_file_flags(region), 0);
	ck_assert_uint_eq(vmmem_region_huge_pages(region),
			  VMMEM_HUGE_PAGES_UNKNOWN);
	ck_assert_uint_eq(vmmem_region_page_size(region), 0);
	ck_assert_ptr_null(vmmem_region_alias_target(region));
	assert_code(vmmem_region_host_address(region, 0, &host, &len),
		    VMMEM_ENOHOST);
	assert_code(vmmem_region_host_address(region, 0x100, &host, &len),
		    VMMEM_EOUTOFRANGE);
	ck_assert_ptr_eq(host, &len);
	ck_assert_uint_eq(len, 77);
	assert_code(vmmem_region_file(region, &fd, &offset), VMMEM_ENOFILE);
	ck_assert_uint_eq(device.hosts, 1);
	ck_assert_uint_eq(device.reads + device.writes, 0);
	vmmem_region_ref(region);
	vmmem_region_unref(region);
	ck_assert_uint_eq(device.destroyed, 0);
	vmmem_region_unref(region);
	ck_assert_uint_eq(device.destroyed, 1);
	ck_assert_uint_eq(device.hosts, 1);
}
END_TEST

START_TEST(table_is_copied)
{
	struct vmmem_region_ops ops = device_ops;
	struct vmmem_region *region = NULL;
	struct vmmem_collection *guest;
	uint8_t byte;

	assert_ok(vmmem_region_new_custom(0, 0x100, &ops, &device, &region));
	memset(&ops, 0, sizeof(ops));
	guest = guest_of_one(region);
	device.bytes[5] = 0x42;
	assert_ok(vmmem_collection_read_u8(guest, 5, &byte));
	ck_assert_uint_eq(byte, 0x42);
	vmmem_collection_unref(guest);
	ck_assert_uint_eq(device.destroyed, 1);
}
END_TEST

START_TEST(destroy_is_optional)
{
	struct vmmem_region_ops ops = device_ops;
	struct vmmem_region *region = NULL;

	ops.destroy = NULL;
	ops.host = NULL;
	assert_ok(vmmem_region_new_custom(0, 0x100, &ops, &device, &region));
	vmmem_region_unref(region);
	ck_assert_uint_eq(device.destroyed, 0);
	ck_assert_uint_eq(device.hosts, 0);
}
END_TEST

/* What cannot be written is read-only, and says so. */
START_TEST(without_write_it_is_read_only)
{
	struct vmmem_region_ops ops = device_ops;
	struct vmmem_region *region = NULL;
	struct vmmem_collection *guest;

	ops.write = NULL;
	assert_ok(vmmem_region_new_custom(0, 0x100, &ops, &device, &region));
	ck_assert_uint_eq(vmmem_region_protection(region), VMMEM_PROT_READ);
	guest = guest_of_one(region);
	assert_code(vmmem_collection_write_u8(guest, 0, 1), VMMEM_EDENIED);
	vmmem_collection_unref(guest);
}
END_TEST

START_TEST(host_address_is_used_for_all)
{
	struct vmmem_region *region = NULL;
	struct vmmem_collection *guest;
	uint32_t value;

	device.has_host = 1;
	assert_ok(vmmem_region_new_custom(0x1000, 0x800, &device_ops, &device,
					  &region));
	ck_assert_ptr_eq(expect_host(region), device.bytes);
	ck_assert_uint_eq(vmmem_region_file_flags(region), 0);
	guest = guest_of_one(region);
	assert_ok(vmmem_collection_write_u32(guest, 0x1010, 0x11223344));
	assert_ok(vmmem_collection_read_u32(guest, 0x1010, &value));
	ck_assert_uint_eq(value, 0x11223344);
	ck_assert_mem_eq(device.bytes + 0x10, &value, 4);
	assert_ok(vmmem_collection_fetch_add_u32(guest, 0x1010, 1,
						 VMMEM_ORDER_SEQ_CST, NULL));
	assert_ok(vmmem_collection_fill(guest, 0x1400, 0x400, 9, NULL));
	assert_ok(vmmem_collection_copy(guest, 0x1000, 0x1400, 16, NULL));
	ck_assert(all_are(device.bytes, 9, 16));
	ck_assert_uint_eq(device.reads + device.writes, 0);
	vmmem_collection_unref(guest);
	ck_assert_uint_eq(device.destroyed, 1);
}
END_TEST

START_TEST(host_address_needs_no_other_callback)
{
	struct vmmem_region_ops ops = device_ops;
	struct vmmem_region *region = NULL;

	ops.read = NULL;
	ops.write = NULL;
	device.has_host = 1;
	assert_ok(vmmem_region_new_custom(0, 0x800, &ops, &device, &region));
	ck_assert_uint_eq(vmmem_region_protection(region),
			  VMMEM_PROT_READ | VMMEM_PROT_WRITE);
	vmmem_region_unref(region);
}
END_TEST

/* A custom region that failed still belongs to its caller. */
static void
refuse(uint64_t gpa, uint64_t len, const struct vmmem_region_ops *ops, int code)
{
	struct vmmem_region *region = NO_REGION;

	assert_code(vmmem_region_new_custom(gpa, len, ops, &device, &region),
		    code);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_uint_eq(device.destroyed, 0);
}

START_TEST(refusals)
{
	struct vmmem_region_ops ops = device_ops;

	refuse(0, 0, &device_ops, VMMEM_EZEROLEN);
	refuse(TOP, 2, &device_ops, VMMEM_EWRAPS);
	refuse(0, 16, NULL, VMMEM_EARGUMENT);
	assert_code(vmmem_region_new_custom(0, 16, &device_ops, &device, NULL),
		    VMMEM_EARGUMENT);
	ops.read = NULL;
	refuse(0, 16, &ops, VMMEM_EARGUMENT);
	ops.host = NULL;
	refuse(0, 16, &ops, VMMEM_EARGUMENT);
}
END_TEST

START_TEST(host_callback_refusals)
{
	device.has_host = 1;
	refuse(8, 16, &device_ops, VMMEM_ECONGRUENCE);
	device.host_at = (void *)(UINTPTR_MAX - 15);
	refuse(0, 17, &device_ops, VMMEM_EWRAPS);
	device.host_null = 1;
	refuse(0, 16, &device_ops, VMMEM_EARGUMENT);
	device.host_code = -EIO;
	refuse(0, 16, &device_ops, -EIO);
	device.host_code = VMMEM_EDENIED;
	refuse(0, 16, &device_ops, VMMEM_EDENIED);
	device.host_code = 1;
	refuse(0, 16, &device_ops, VMMEM_ECALLBACK);
}
END_TEST

/* As large as a region can be: nothing is mapped. */
START_TEST(may_be_of_any_size)
{
	struct vmmem_region *region = NULL;
	struct vmmem_collection *guest;
	uint8_t byte;

	assert_ok(vmmem_region_new_custom(1, TOP, &device_ops, &device,
					  &region));
	expect_range(region, 1, TOP);
	guest = guest_of_one(region);
	assert_ok(vmmem_collection_check(guest, 1, TOP, VMMEM_PROT_READ,
					 NULL));
	assert_code(vmmem_collection_check(guest, 2, TOP, 0, NULL),
		    VMMEM_EWRAPS);
	/* The device ends before; that is its own affair. */
	device.fail_from = DEVICE_LEN;
	assert_code(vmmem_collection_read_u8(guest, TOP, &byte), -EIO);
	ck_assert_uint_eq(device.last_offset, TOP - 1);
	vmmem_collection_unref(guest);
}
END_TEST

/*
 * A caller that was compiled with a later version passes a longer table.  It
 * works as long as what is new in it is not used.
 */
struct newer_ops {
	struct vmmem_region_ops known;
	unsigned char more[4097];
};

START_TEST(newer_caller)
{
	static const struct {
		size_t size;
		size_t set; /* which byte after the known ones is not 0 */
		int code;
	} rows[] = {
		{ sizeof(struct vmmem_region_ops) + 1, 0, 0 },
		{ sizeof(struct vmmem_region_ops) + 64, 0, 0 },
		{ 4096, 0, 0 },
		/* Beyond the size: not a part of it. */
		{ sizeof(struct vmmem_region_ops) + 8, 9, 0 },
		{ sizeof(struct vmmem_region_ops) + 8, 1,
		  VMMEM_ESTRUCTNEWER },
		{ sizeof(struct vmmem_region_ops) + 8, 8,
		  VMMEM_ESTRUCTNEWER },
		{ 4096, 4096 - sizeof(struct vmmem_region_ops),
		  VMMEM_ESTRUCTNEWER },
		{ 4097, 0, VMMEM_ESTRUCTSIZE },
		{ SIZE_MAX, 0, VMMEM_ESTRUCTSIZE },
		{ sizeof(struct vmmem_region_ops) - 1, 0, VMMEM_ESTRUCTSIZE },
		{ sizeof(size_t), 0, VMMEM_ESTRUCTSIZE },
		{ 0, 0, VMMEM_ESTRUCTSIZE },
	};
	static struct newer_ops ops;
	struct vmmem_region *region = NULL;

	ck_assert_int_lt(_i, (int)ARRAY_LEN(rows));
	memset(&ops, 0, sizeof(ops));
	ops.known = device_ops;
	ops.known.size = rows[_i].size;
	if (rows[_i].set != 0)
		ops.more[rows[_i].set - 1] = 1;
	if (rows[_i].code != 0) {
		refuse(0, 16, &ops.known, rows[_i].code);
		/* It was not asked anything either. */
		ck_assert_uint_eq(device.hosts, 0);
		return;
	}
	assert_ok(vmmem_region_new_custom(0, 16, &ops.known, &device,
					  &region));
	vmmem_region_unref(region);
	ck_assert_uint_eq(device.destroyed, 1);
}
END_TEST

START_TEST(builder_makes_them_too)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region_ops ops = device_ops;
	struct vmmem_region *region = NULL;
	int cookie;

	vmmem_region_builder_set_range(builder, 0x1000, 0x100);
	vmmem_region_builder_set_custom(builder, &ops, &device);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	vmmem_region_builder_set_cookie(builder, &device, &cookie, NULL);
	vmmem_region_builder_set_name(builder, "device");
	assert_ok(vmmem_region_builder_build(builder, &region));
	ck_assert_uint_eq(vmmem_region_protection(region), VMMEM_PROT_READ);
	ck_assert_ptr_eq(vmmem_region_cookie(region, &device), &cookie);
	ck_assert_str_eq(vmmem_region_name(region), "device");
	vmmem_region_unref(region);
	ck_assert_uint_eq(device.destroyed, 1);

	/* Read when it is built, not when it is set. */
	region = NO_REGION;
	ops.size = 1;
	assert_code(vmmem_region_builder_build(builder, &region),
		    VMMEM_ESTRUCTSIZE);
	ck_assert_ptr_eq(region, NO_REGION);
	vmmem_region_builder_free(builder);
	ck_assert_uint_eq(device.destroyed, 1);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("custom");
	TCase *tcase = tcase_create("custom");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, calls_only_what_it_must);
	tcase_add_test(tcase, table_is_copied);
	tcase_add_test(tcase, destroy_is_optional);
	tcase_add_test(tcase, without_write_it_is_read_only);
	tcase_add_test(tcase, host_address_is_used_for_all);
	tcase_add_test(tcase, host_address_needs_no_other_callback);
	tcase_add_test(tcase, refusals);
	tcase_add_test(tcase, host_callback_refusals);
	tcase_add_test(tcase, may_be_of_any_size);
	tcase_add_loop_test(tcase, newer_caller, 0, 12);
	tcase_add_test(tcase, builder_makes_them_too);
	suite_add_tcase(suite, tcase);
	return suite;
}
