/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Huge pages that are not to be had when they are touched: memory that was
 * mapped without a reservation, more than the pool has.  No page need be there
 * for that; with vm.nr_hugepages set, those that are there are used first.
 */
#include <linux/mman.h>
#include <stdio.h>

#include "guest.h"
#include "suite.h"

#define HUGE UINT64_C(0x200000)
#define DIRECTORY "/sys/kernel/mm/hugepages/hugepages-2048kB/"
/* More are not to be taken from whoever needs them. */
#define MOST 64

static unsigned long
number_in(const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned long number = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lu", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

/* How many pages there can be at most. */
static unsigned long
pages(void)
{
	return number_in(DIRECTORY "free_hugepages") +
	       number_in(DIRECTORY "nr_overcommit_hugepages");
}

const char *
skip_reason(void)
{
	int fd;

	if (vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS);
	/* 21: the page size is 2^21. */
	fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB |
					  21U << MAP_HUGE_SHIFT);
	if (fd < 0)
		return "needs a kernel with huge pages of 2 MiB";
	close(fd);
	if (pages() > MOST)
		return "there are too many free huge pages to use up";
	return NULL;
}

static void
shortage(int with_memfd)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_policy *policy = vmmem_policy_new();
	const uint64_t count = pages() + 1;
	struct vmmem_collection *map;
	struct vmmem_region *region;
	uint64_t i, offset, done;
	uint32_t kind;
	uint8_t byte;

	vmmem_region_builder_set_range(builder, 0, count * HUGE);
	vmmem_region_builder_set_huge_page_size(builder, HUGE);
	if (with_memfd)
		vmmem_region_builder_set_memfd(builder);
	vmmem_policy_set_reserve(policy, VMMEM_RESERVE_NO);
	vmmem_region_builder_set_policy(builder, policy);
	vmmem_policy_free(policy);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	ck_assert_uint_eq(vmmem_region_page_size(region), HUGE);
	map = guest_of_one(vmmem_region_ref(region));

	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
	for (i = 0; i < count; i++) {
		if (vmmem_collection_write_u8(map, i * HUGE + 5, 1) != 0)
			break;
	}
	/* Somebody else may have taken some meanwhile; one is lacking. */
	ck_assert_uint_lt(i, count);
	assert_code(vmmem_collection_write_u8(map, i * HUGE + 5, 1),
		    VMMEM_EGONE);
	assert_code(vmmem_collection_read_u8(map, i * HUGE + 5, &byte),
		    VMMEM_EGONE);
	assert_ok(vmmem_region_fault_first(region, &offset, &kind));
	ck_assert_uint_eq(offset, i * HUGE + 5);
	ck_assert_uint_eq(kind, VMMEM_FAULT_KIND_BACKING);
	ck_assert_uint_eq(vmmem_region_fault_count(region), 3);

	/* What there is can be used up to its last byte. */
	if (i > 0) {
		assert_code(vmmem_collection_fill(map, i * HUGE - 100, 200, 7,
						  &done), VMMEM_EGONE);
		ck_assert_uint_eq(done, 100);
		assert_ok(vmmem_collection_read_u8(map, i * HUGE - 1, &byte));
		ck_assert_uint_eq(byte, 7);
	}
	printf("%ju of %ju huge pages\n", (uintmax_t)i, (uintmax_t)count);
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
}

START_TEST(private_memory)
{
	shortage(0);
}
END_TEST

START_TEST(shared_memory)
{
	shortage(1);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault, huge pages");
	TCase *tcase = tcase_create("shortage");

	tcase_add_test(tcase, private_memory);
	tcase_add_test(tcase, shared_memory);
	suite_add_tcase(suite, tcase);
	return suite;
}
