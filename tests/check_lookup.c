/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What asks a collection without changing it: vmmem/collection.h. */
#include <vmmem/collection.h>

#include "device.h"
#include "guest.h"
#include "suite.h"

/* Two regions that touch, a hole, and one up to the top. */
static const struct vmmem_range map[] = {
	{ 0x1000, 0x1000 },
	{ 0x2000, 0x800 },
	{ TOP - 0xfff, 0x1000 },
};

static struct vmmem_collection *guest;

static void
setup(void)
{
	guest = guest_of_ranges(map, 3);
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
}

#define NOWHERE 99

static const struct {
	uint64_t gpa;
	size_t index;
	uint64_t offset;
} find_rows[] = {
	{ 0, NOWHERE, 0 },
	{ 0xfff, NOWHERE, 0 },
	{ 0x1000, 0, 0 },
	{ 0x1fff, 0, 0xfff },
	{ 0x2000, 1, 0 },
	{ 0x27ff, 1, 0x7ff },
	{ 0x2800, NOWHERE, 0 },
	{ TOP - 0x1000, NOWHERE, 0 },
	{ TOP - 0xfff, 2, 0 },
	{ TOP, 2, 0xfff },
};

START_TEST(find_table)
{
	uint64_t gpa = find_rows[_i].gpa, offset = 77, found = 77, len = 77;
	struct vmmem_region *expected, *region = NO_REGION;
	uint64_t back = 0, left = 0;
	void *host = &offset, *direct;

	if (find_rows[_i].index == NOWHERE) {
		ck_assert_ptr_null(vmmem_collection_find(guest, gpa));
		ck_assert_int_eq(vmmem_collection_contains(guest, gpa), 0);
		assert_code(vmmem_collection_locate(guest, gpa, &region,
						    &offset),
			    VMMEM_EBADADDR);
		assert_code(vmmem_collection_host_address(guest, gpa, 0, &host,
							  &len),
			    VMMEM_EBADADDR);
		ck_assert_ptr_eq(region, NO_REGION);
		ck_assert_ptr_eq(host, &offset);
		ck_assert_uint_eq(offset, 77);
		ck_assert_uint_eq(len, 77);
		return;
	}
	expected = vmmem_collection_region(guest, find_rows[_i].index);
	ck_assert_ptr_eq(vmmem_collection_find(guest, gpa), expected);
	ck_assert_int_eq(vmmem_collection_contains(guest, gpa), 1);
	assert_ok(vmmem_collection_locate(guest, gpa, &region, &offset));
	ck_assert_ptr_eq(region, expected);
	ck_assert_uint_eq(offset, find_rows[_i].offset);
	assert_ok(vmmem_collection_host_address(guest, gpa, 0, &host, &len));
	assert_ok(vmmem_region_host_address(expected, offset, &direct,
					    &found));
	ck_assert_ptr_eq(host, direct);
	ck_assert_uint_eq(len, found);
	ck_assert_uint_eq(len, map[find_rows[_i].index].len - offset);
	assert_ok(vmmem_collection_host_to_gpa(guest, host, &back, &left));
	ck_assert_uint_eq(back, gpa);
	ck_assert_uint_eq(left, len);
}
END_TEST

START_TEST(next_table)
{
	const uint64_t gpa = find_rows[_i].gpa;
	struct vmmem_region *region = NO_REGION;
	size_t i;

	assert_ok(vmmem_collection_next(guest, gpa, &region));
	for (i = 0; vmmem_region_last(vmmem_collection_region(guest, i)) < gpa;)
		i++;
	ck_assert_ptr_eq(region, vmmem_collection_region(guest, i));
}
END_TEST

START_TEST(next_above_all)
{
	struct vmmem_collection *low = guest_of_ranges(map, 2);
	struct vmmem_region *region = NO_REGION;

	assert_code(vmmem_collection_next(low, 0x2800, &region),
		    VMMEM_ENOREGION);
	assert_code(vmmem_collection_next(low, TOP, &region), VMMEM_ENOREGION);
	ck_assert_ptr_eq(region, NO_REGION);
	assert_ok(vmmem_collection_next(low, 0x27ff, &region));
	ck_assert_ptr_eq(region, vmmem_collection_region(low, 1));
	vmmem_collection_unref(low);
}
END_TEST

/* As the header says it: is any byte mapped? */
static int
any_is_mapped(uint64_t gpa, uint64_t len)
{
	struct vmmem_region *region;

	return vmmem_collection_next(guest, gpa, &region) == 0 &&
	       (vmmem_region_start(region) <= gpa ||
		vmmem_region_start(region) - gpa < len);
}

START_TEST(next_tells_whether_any_byte_is_mapped)
{
	ck_assert(!any_is_mapped(0, 0x1000));
	ck_assert(any_is_mapped(0, 0x1001));
	ck_assert(any_is_mapped(0x27ff, 1));
	ck_assert(!any_is_mapped(0x2800, TOP - 0xfff - 0x2800));
	ck_assert(any_is_mapped(0x2800, TOP - 0xffe - 0x2800));
	ck_assert(any_is_mapped(TOP, 1));
	ck_assert(any_is_mapped(0, TOP));
}
END_TEST

/* Bytes in the middle of 'host' are a region, others before and behind not. */
START_TEST(host_to_gpa_of_borders)
{
	static _Alignas(4096) uint8_t host[0x3000];
	uint64_t gpa = 77, len = 77;
	struct vmmem_region *region = NULL;
	struct vmmem_collection *one;

	assert_ok(vmmem_region_new_external(TOP - 0xfff, 0x1000, host + 0x1000,
					    &region));
	one = guest_of_one(region);
	assert_code(vmmem_collection_host_to_gpa(one, host + 0xfff, &gpa, &len),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_host_to_gpa(one, host + 0x2000, &gpa,
						 &len), VMMEM_EBADADDR);
	assert_code(vmmem_collection_host_to_gpa(one, NULL, &gpa, &len),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_host_to_gpa(one, (void *)UINTPTR_MAX, &gpa,
						 &len), VMMEM_EBADADDR);
	ck_assert_uint_eq(gpa, 77);
	ck_assert_uint_eq(len, 77);
	assert_ok(vmmem_collection_host_to_gpa(one, host + 0x1000, &gpa, &len));
	ck_assert_uint_eq(gpa, TOP - 0xfff);
	ck_assert_uint_eq(len, 0x1000);
	assert_ok(vmmem_collection_host_to_gpa(one, host + 0x1fff, &gpa, &len));
	ck_assert_uint_eq(gpa, TOP);
	ck_assert_uint_eq(len, 1);
	vmmem_collection_unref(one);
}
END_TEST

/* Of regions with the same bytes the lowest; one of callbacks has no host. */
START_TEST(host_to_gpa_of_others)
{
	static struct device device;
	struct vmmem_region *regions[4] = { NULL, region_of(0x8000, 0x2000) };
	struct vmmem_collection *mixed;
	uint64_t gpa = 77, len = 77;
	uint8_t *host = expect_host(regions[1]);

	device_init(&device);
	assert_ok(vmmem_region_new_custom(0, 0x1000, &device_ops, &device,
					  &regions[0]));
	assert_ok(vmmem_region_new_alias(0x4000, 0x800, regions[1], 0x1000,
					 &regions[2]));
	assert_ok(vmmem_region_new_alias(0x6000, 0x1000, regions[1], 0x1000,
					 &regions[3]));
	mixed = guest_of(regions, 4);
	assert_ok(vmmem_collection_host_to_gpa(mixed, host + 0x1100, &gpa,
					       &len));
	ck_assert_uint_eq(gpa, 0x4100);
	ck_assert_uint_eq(len, 0x700);
	assert_ok(vmmem_collection_host_to_gpa(mixed, host + 0x1800, &gpa,
					       &len));
	ck_assert_uint_eq(gpa, 0x6800);
	ck_assert_uint_eq(len, 0x800);
	assert_ok(vmmem_collection_host_to_gpa(mixed, host + 0xfff, &gpa,
					       &len));
	ck_assert_uint_eq(gpa, 0x8fff);
	ck_assert_uint_eq(len, 0x1001);
	assert_code(vmmem_collection_host_to_gpa(mixed, device.bytes, &gpa,
						 &len), VMMEM_EBADADDR);
	assert_code(vmmem_collection_host_to_gpa(mixed, NULL, &gpa, &len),
		    VMMEM_EBADADDR);
	vmmem_collection_unref(mixed);
}
END_TEST

START_TEST(every_one_of_many_is_found)
{
	enum { COUNT = 300 };
	struct vmmem_range ranges[COUNT];
	struct vmmem_collection *many;
	size_t count, i;

	for (i = 0; i < COUNT; i++) {
		ranges[i].gpa = 0x10000 * i + 0x100;
		ranges[i].len = 0x10 + 16 * (i % 5);
	}
	/* Each number of regions is another shape of the search. */
	for (count = 1; count <= COUNT; count += 1 + count / 4) {
		many = guest_of_ranges(ranges, count);
		for (i = 0; i < count; i++) {
			uint64_t first = ranges[i].gpa;
			uint64_t last = first + ranges[i].len - 1;
			struct vmmem_region *region =
				vmmem_collection_region(many, i);

			ck_assert_ptr_eq(vmmem_collection_find(many, first),
					 region);
			ck_assert_ptr_eq(vmmem_collection_find(many, last),
					 region);
			ck_assert_ptr_null(vmmem_collection_find(many,
								 first - 1));
			ck_assert_ptr_null(vmmem_collection_find(many,
								 last + 1));
		}
		ck_assert_ptr_null(vmmem_collection_find(many, TOP));
		vmmem_collection_unref(many);
	}
}
END_TEST

START_TEST(at_and_count)
{
	ck_assert_uint_eq(vmmem_collection_count(guest), 3);
	ck_assert_ptr_nonnull(vmmem_collection_region(guest, 2));
	ck_assert_ptr_null(vmmem_collection_region(guest, 3));
	ck_assert_ptr_null(vmmem_collection_region(guest, SIZE_MAX));
}
END_TEST

struct visits {
	struct vmmem_region *seen[8];
	size_t count;
	size_t stop_at;
	int answer;
};

static int
visit(void *opaque, struct vmmem_region *region)
{
	struct visits *visits = opaque;

	visits->seen[visits->count++] = region;
	return visits->count == visits->stop_at ? visits->answer : 0;
}

START_TEST(for_each_goes_in_order)
{
	struct visits visits = { .count = 0 };
	size_t i;

	ck_assert_int_eq(vmmem_collection_for_each(guest, visit, &visits), 0);
	ck_assert_uint_eq(visits.count, 3);
	for (i = 0; i < 3; i++)
		ck_assert_ptr_eq(visits.seen[i],
				 vmmem_collection_region(guest, i));
}
END_TEST

START_TEST(for_each_stops_when_told)
{
	struct visits visits = { .stop_at = 2, .answer = 42 };
	struct visits last = { .stop_at = 3, .answer = -7 };

	ck_assert_int_eq(vmmem_collection_for_each(guest, visit, &visits), 42);
	ck_assert_uint_eq(visits.count, 2);
	ck_assert_int_eq(vmmem_collection_for_each(guest, visit, &last), -7);
	ck_assert_uint_eq(last.count, 3);
}
END_TEST

START_TEST(last_is_the_highest_address)
{
	struct vmmem_collection *low = guest_of_ranges(map, 2);
	uint64_t last = 77;

	assert_ok(vmmem_collection_last(guest, &last));
	ck_assert_uint_eq(last, TOP);
	assert_ok(vmmem_collection_last(low, &last));
	ck_assert_uint_eq(last, 0x27ff);
	vmmem_collection_unref(low);
}
END_TEST

/* An empty collection is told from one whose only byte is at 0. */
START_TEST(last_may_be_zero)
{
	struct vmmem_collection *one = guest_of_one(region_of(0, 1));
	uint64_t last = 77;

	assert_ok(vmmem_collection_last(one, &last));
	ck_assert_uint_eq(last, 0);
	vmmem_collection_unref(one);
}
END_TEST

static const struct {
	uint64_t gpa;
	uint64_t len;
	int code;
	uint64_t bad;
} check_rows[] = {
	{ 0x1000, 0x1000, 0, 0 },
	{ 0x1000, 0x1800, 0, 0 },
	{ 0x1fff, 2, 0, 0 },
	{ 0x27ff, 1, 0, 0 },
	{ TOP - 0xfff, 0x1000, 0, 0 },
	{ TOP, 1, 0, 0 },
	/* Nothing is looked at for nothing. */
	{ 0, 0, 0, 0 },
	{ 0x2800, 0, 0, 0 },
	{ TOP, 0, 0, 0 },
	{ 0, 1, VMMEM_EBADADDR, 0 },
	{ 0xfff, 2, VMMEM_EBADADDR, 0xfff },
	{ 0x1000, 0x1801, VMMEM_EBADADDR, 0x2800 },
	{ 0x27ff, 2, VMMEM_EBADADDR, 0x2800 },
	{ 0x2800, 1, VMMEM_EBADADDR, 0x2800 },
	{ 0x1000, TOP, VMMEM_EBADADDR, 0x2800 },
	{ TOP - 0x1000, 2, VMMEM_EBADADDR, TOP - 0x1000 },
	{ 0x3000, TOP, VMMEM_EBADADDR, 0x3000 },
	{ TOP, 2, VMMEM_EWRAPS, 0 },
	{ TOP - 0xfff, 0x1001, VMMEM_EWRAPS, 0 },
	{ TOP - 0xfff, TOP, VMMEM_EWRAPS, 0 },
	{ TOP, TOP, VMMEM_EWRAPS, 0 },
};

START_TEST(check_table)
{
	static const uint32_t accesses[] = {
		0, VMMEM_PROT_READ, VMMEM_PROT_WRITE,
		VMMEM_PROT_READ | VMMEM_PROT_WRITE,
	};
	uint64_t gpa = check_rows[_i].gpa, len = check_rows[_i].len, bad;
	int code = check_rows[_i].code;
	size_t i;

	for (i = 0; i < ARRAY_LEN(accesses); i++) {
		bad = 0x7777;
		assert_code(vmmem_collection_check(guest, gpa, len,
						   accesses[i], &bad), code);
		ck_assert_uint_eq(bad, code == VMMEM_EBADADDR ?
					       check_rows[_i].bad : 0x7777);
		assert_code(vmmem_collection_check(guest, gpa, len,
						   accesses[i], NULL), code);
	}
}
END_TEST

START_TEST(check_sees_permissions)
{
	struct vmmem_region *regions[] = {
		region_of(0, 0x1000),
		region_with(0x1000, 0x1000, VMMEM_PROT_READ),
		region_with(0x2000, 0x1000, VMMEM_PROT_WRITE),
		region_with(0x3000, 0x1000, 0),
	};
	struct vmmem_collection *mixed = guest_of(regions, 4);
	uint64_t bad = 0;

	assert_ok(vmmem_collection_check(mixed, 0, 0x4000, 0, &bad));
	assert_ok(vmmem_collection_check(mixed, 0, 0x2000, VMMEM_PROT_READ,
					 &bad));
	assert_code(vmmem_collection_check(mixed, 0, 0x4000, VMMEM_PROT_READ,
					   &bad), VMMEM_EDENIED);
	ck_assert_uint_eq(bad, 0x2000);
	assert_code(vmmem_collection_check(mixed, 0x800, 0x4000,
					   VMMEM_PROT_WRITE, &bad),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(bad, 0x1000);
	assert_ok(vmmem_collection_check(mixed, 0x2000, 0x1000,
					 VMMEM_PROT_WRITE, &bad));
	assert_code(vmmem_collection_check(mixed, 0x2abc, 1,
					   VMMEM_PROT_READ | VMMEM_PROT_WRITE,
					   &bad), VMMEM_EDENIED);
	ck_assert_uint_eq(bad, 0x2abc);
	assert_code(vmmem_collection_check(mixed, 0x3fff, 1, VMMEM_PROT_WRITE,
					   NULL), VMMEM_EDENIED);
	/* The first byte that fails decides. */
	assert_code(vmmem_collection_check(mixed, 0x3fff, 2, VMMEM_PROT_READ,
					   &bad), VMMEM_EDENIED);
	ck_assert_uint_eq(bad, 0x3fff);
	assert_code(vmmem_collection_check(mixed, 0x3fff, 2, 0, &bad),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(bad, 0x4000);
	/* Nothing is looked at for nothing, permissions neither. */
	assert_ok(vmmem_collection_check(mixed, 0x3000, 0, VMMEM_PROT_READ,
					 &bad));
	vmmem_collection_unref(mixed);
}
END_TEST

START_TEST(host_address_sees_permissions)
{
	struct vmmem_collection *rom =
		guest_of_one(region_with(0, 0x1000, VMMEM_PROT_READ));
	uint64_t len = 77;
	void *host = &len;

	assert_code(vmmem_collection_host_address(rom, 0, VMMEM_PROT_WRITE,
						  &host, &len), VMMEM_EDENIED);
	ck_assert_ptr_eq(host, &len);
	ck_assert_uint_eq(len, 77);
	assert_ok(vmmem_collection_host_address(rom, 0x10, VMMEM_PROT_READ,
						&host, &len));
	ck_assert_uint_eq(len, 0xff0);
	vmmem_collection_unref(rom);
}
END_TEST

static const struct {
	uint64_t gpa;
	uint64_t offset;
	int code;
} offset_rows[] = {
	{ 0x1000, 0, 0 },
	{ 0x1000, 0x17ff, 0 },
	{ 0, 0x1000, 0 },
	/* Over the hole: what lies between is not looked at. */
	{ 0x1000, TOP - 0x1000, 0 },
	{ 0, TOP, 0 },
	{ TOP, 0, 0 },
	{ 0, 0, VMMEM_EBADADDR },
	{ 0x1000, 0x1800, VMMEM_EBADADDR },
	{ 0x1000, 0x10000, VMMEM_EBADADDR },
	{ TOP, 1, VMMEM_EWRAPS },
	/* Would wrap to 0x1000, which is mapped. */
	{ TOP, 0x1001, VMMEM_EWRAPS },
	{ 0x1001, TOP, VMMEM_EWRAPS },
};

START_TEST(offset_table)
{
	uint64_t gpa = offset_rows[_i].gpa, offset = offset_rows[_i].offset;
	uint64_t sum = 0x7777;

	assert_code(vmmem_collection_address_add(guest, gpa, offset, &sum),
		    offset_rows[_i].code);
	ck_assert_uint_eq(sum, offset_rows[_i].code == 0 ? gpa + offset :
							   0x7777);
}
END_TEST

START_TEST(wrong_arguments)
{
	struct vmmem_region *region = NO_REGION;
	uint64_t value = 77;
	void *host = &value;

	ck_assert_uint_eq(vmmem_collection_count(NULL), 0);
	ck_assert_ptr_null(vmmem_collection_region(NULL, 0));
	ck_assert_ptr_null(vmmem_collection_find(NULL, 0));
	ck_assert_int_eq(vmmem_collection_contains(NULL, 0), 0);
	assert_code(vmmem_collection_for_each(NULL, visit, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_for_each(guest, NULL, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_locate(NULL, 0x1000, &region, &value),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_locate(guest, 0x1000, NULL, &value),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_locate(guest, 0x1000, &region, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_last(NULL, &value), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_last(guest, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_check(NULL, 0x1000, 1, 0, &value),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_check(guest, 0x1000, 1, 8, &value),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_check(guest, 0x1000, 1, VMMEM_PROT_EXEC,
					   &value), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_check(guest, 0x1000, 0, UINT32_MAX,
					   &value), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_address_add(NULL, 0x1000, 0, &value),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_address_add(guest, 0x1000, 0, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_host_address(NULL, 0x1000, 0, &host,
						  &value), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_host_address(guest, 0x1000, 0, NULL,
						  &value), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_host_address(guest, 0x1000, 0, &host,
						  NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_host_address(guest, 0x1000, 8, &host,
						  &value), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_next(NULL, 0x1000, &region),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_next(guest, 0x1000, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_host_to_gpa(NULL, host, &value, &value),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_host_to_gpa(guest, host, NULL, &value),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_host_to_gpa(guest, host, &value, NULL),
		    VMMEM_EARGUMENT);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_ptr_eq(host, &value);
	ck_assert_uint_eq(value, 77);
}
END_TEST

#define ADD_TABLE(tcase, test, rows)                                       \
	tcase_add_loop_test(tcase, test, 0, (int)ARRAY_LEN(rows))

Suite *
make_suite(void)
{
	Suite *suite = suite_create("lookup");
	TCase *tcase = tcase_create("lookup");

	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_TABLE(tcase, find_table, find_rows);
	ADD_TABLE(tcase, next_table, find_rows);
	tcase_add_test(tcase, next_above_all);
	tcase_add_test(tcase, next_tells_whether_any_byte_is_mapped);
	tcase_add_test(tcase, host_to_gpa_of_borders);
	tcase_add_test(tcase, host_to_gpa_of_others);
	tcase_add_test(tcase, every_one_of_many_is_found);
	tcase_add_test(tcase, at_and_count);
	tcase_add_test(tcase, for_each_goes_in_order);
	tcase_add_test(tcase, for_each_stops_when_told);
	tcase_add_test(tcase, last_is_the_highest_address);
	tcase_add_test(tcase, last_may_be_zero);
	ADD_TABLE(tcase, check_table, check_rows);
	tcase_add_test(tcase, check_sees_permissions);
	tcase_add_test(tcase, host_address_sees_permissions);
	ADD_TABLE(tcase, offset_table, offset_rows);
	tcase_add_test(tcase, wrong_arguments);
	suite_add_tcase(suite, tcase);
	return suite;
}
