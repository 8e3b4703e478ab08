/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What a region tells of memory that has gone away. */
#include "slices.h"
#include "suite.h"

#define BOTH (VMMEM_FAULT_SIGNAL_BUS | VMMEM_FAULT_SIGNAL_SEGV)

#define LEN UINT64_C(0x8000)
#define CUT UINT64_C(0x3000)

const char *
skip_reason(void)
{
	if (vmmem_fault_enable(BOTH) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(BOTH);
	return NULL;
}

static struct vmmem_region *ram;
static int fd;

static void
setup(void)
{
	fd = file_of(LEN);
	ram = region_of(0, LEN);
	assert_ok(vmmem_fault_enable(BOTH));
}

static void
teardown(void)
{
	assert_ok(vmmem_fault_disable(BOTH));
	ram = vmmem_region_unref(ram);
	close(fd);
}

/* Custom memory that is mapped on demand, from a file that is cut short. */
static unsigned int mapped;

static int
acquire(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	void **ret_host)
{
	(void)len;
	(void)access;
	mapped++;
	*ret_host = (uint8_t *)opaque + offset;
	return 0;
}

static void
release(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	void *host)
{
	(void)opaque;
	(void)offset;
	(void)len;
	(void)access;
	(void)host;
	mapped--;
}

START_TEST(on_demand)
{
	const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.acquire = acquire,
		.release = release,
	};
	struct vmmem_region *region, *view;
	struct vmmem_slice slice;
	struct vmmem_collection *guest;
	uint64_t offset, filled;
	uint8_t buf[64] = { 0 };
	uint32_t kind;
	size_t done;
	void *host;

	host = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(host, MAP_FAILED);
	assert_ok(vmmem_region_new_custom(0, LEN, &ops, host, &region));
	assert_ok(vmmem_region_new_alias(0, LEN - 0x1000, region, 0x1000,
					 &view));
	guest = guest_of_one(view);
	ck_assert_int_eq(ftruncate(fd, (off_t)CUT), 0);
	assert_code(vmmem_collection_read(guest, CUT - 0x1000 - 3, buf, 64,
					  &done), VMMEM_EGONE);
	ck_assert_uint_eq(done, 3);
	assert_code(vmmem_collection_write(guest, CUT - 0x1000 - 3, buf, 64,
					   &done), VMMEM_EGONE);
	ck_assert_uint_eq(done, 3);
	assert_code(vmmem_collection_fill(guest, CUT - 0x1000 - 3, 64, 1,
					  &filled), VMMEM_EGONE);
	ck_assert_uint_eq(filled, 3);
	assert_code(vmmem_collection_copy(guest, CUT - 0x1000 - 8, 0x100, 64,
					  &filled), VMMEM_EGONE);
	ck_assert_uint_eq(filled, 8);
	assert_code(vmmem_collection_write_u32(guest, CUT, 1), VMMEM_EGONE);
	ck_assert_uint_eq(mapped, 0);
	ck_assert_uint_eq(vmmem_region_fault_count(region), 5);
	assert_ok(vmmem_region_fault_first(region, &offset, &kind));
	ck_assert_uint_eq(offset, CUT);
	ck_assert_uint_eq(kind, VMMEM_FAULT_KIND_ON_DEMAND);

	/* A slice is survived too; nobody can tell whose memory it was. */
	assert_ok(vmmem_region_slice(region, 0, LEN, READ_WRITE, &slice));
	assert_code(vmmem_slice_read(&slice, CUT - 1, buf, 2), VMMEM_EGONE);
	ck_assert_uint_eq(vmmem_region_fault_count(region), 5);
	vmmem_slice_release(&slice);
	vmmem_collection_unref(guest);
	vmmem_region_unref(region);
	ck_assert_int_eq(munmap(host, LEN), 0);
}
END_TEST

static void
expect_report(const struct vmmem_region *region, uint64_t count,
	      uint64_t first, uint32_t first_kind, uint64_t last,
	      uint32_t last_kind)
{
	uint64_t offset = 99;
	uint32_t kind = 99;

	ck_assert_uint_eq(vmmem_region_fault_count(region), count);
	assert_ok(vmmem_region_fault_first(region, &offset, &kind));
	ck_assert_uint_eq(offset, first);
	ck_assert_uint_eq(kind, first_kind);
	assert_ok(vmmem_region_fault_last(region, &offset, &kind));
	ck_assert_uint_eq(offset, last);
	ck_assert_uint_eq(kind, last_kind);
}

/* What regions tell, each of its own; an alias of its target. */
START_TEST(reports)
{
	const uint64_t page = page_size();
	struct vmmem_region *region, *alias, *same;
	struct vmmem_collection *guest;
	uint64_t offset = 99;
	uint32_t kind = 99;
	uint8_t byte;
	void *host;

	host = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(host, MAP_FAILED);
	assert_ok(vmmem_region_new_external(0, 4 * page, host, &region));
	assert_ok(vmmem_region_new_external(0x100000, 4 * page, host, &same));
	assert_ok(vmmem_region_new_alias(0x200000, page, region, 2 * page,
					 &alias));
	expect_report(region, 0, 0, VMMEM_FAULT_KIND_NONE, 0,
		      VMMEM_FAULT_KIND_NONE);

	ck_assert_int_eq(mprotect(host, 2 * page, PROT_READ), 0);
	ck_assert_int_eq(munmap((uint8_t *)host + 2 * page, page), 0);
	guest = guest_of_one(vmmem_region_ref(region));
	assert_ok(vmmem_collection_read_u8(guest, 0, &byte));
	assert_code(vmmem_collection_write_u8(guest, page + 7, 1),
		    VMMEM_EGONE);
	expect_report(region, 1, page + 7, VMMEM_FAULT_KIND_DENIED, page + 7,
		      VMMEM_FAULT_KIND_DENIED);
	vmmem_collection_unref(guest);

	guest = guest_of_one(vmmem_region_ref(alias));
	assert_code(vmmem_collection_read_u8(guest, 0x200000 + 9, &byte),
		    VMMEM_EGONE);
	vmmem_collection_unref(guest);
	expect_report(region, 2, page + 7, VMMEM_FAULT_KIND_DENIED,
		      2 * page + 9, VMMEM_FAULT_KIND_UNMAPPED);
	expect_report(alias, 2, page + 7, VMMEM_FAULT_KIND_DENIED, 2 * page + 9,
		      VMMEM_FAULT_KIND_UNMAPPED);
	/* The other region of the same memory has lost it too. */
	expect_report(same, 2, page + 7, VMMEM_FAULT_KIND_DENIED, 2 * page + 9,
		      VMMEM_FAULT_KIND_UNMAPPED);
	expect_report(ram, 0, 0, VMMEM_FAULT_KIND_NONE, 0,
		      VMMEM_FAULT_KIND_NONE);

	/* The next region at that place has a record of its own. */
	vmmem_region_unref(same);
	vmmem_region_unref(alias);
	vmmem_region_unref(region);
	assert_ok(vmmem_region_new_external(0, 4 * page, host, &region));
	expect_report(region, 0, 0, VMMEM_FAULT_KIND_NONE, 0,
		      VMMEM_FAULT_KIND_NONE);
	vmmem_region_unref(region);

	ck_assert_uint_eq(vmmem_region_fault_count(NULL), 0);
	assert_code(vmmem_region_fault_first(NULL, &offset, &kind),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_fault_first(ram, NULL, &kind),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_fault_first(ram, &offset, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_fault_last(NULL, &offset, &kind),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_fault_last(ram, NULL, &kind), VMMEM_EARGUMENT);
	assert_code(vmmem_region_fault_last(ram, &offset, NULL),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(offset, 99);
	ck_assert_uint_eq(kind, 99);
	ck_assert_int_eq(munmap(host, 4 * page), 0);
}
END_TEST

/* More regions than fit into one array of records; each tells of itself. */
#define MANY 300
START_TEST(many_regions)
{
	static struct vmmem_region *regions[MANY];
	const uint64_t page = page_size();
	struct vmmem_collection *guest;
	uint8_t byte, *host;
	unsigned int round;
	uint64_t i;

	host = mmap(NULL, MANY * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	ck_assert_ptr_ne(host, MAP_FAILED);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < MANY; i++)
			assert_ok(vmmem_region_new_external(
				i * page, page, host + i * page, &regions[i]));
		assert_ok(vmmem_collection_new(regions, MANY, &guest));
		for (i = 0; i < MANY; i += 1 + i % 3)
			assert_code(vmmem_collection_read_u8(
					    guest, i * page + i, &byte),
				    VMMEM_EGONE);
		for (i = 0; i < MANY; i++) {
			if (i % 3 != 1)
				continue;
			ck_assert_uint_le(vmmem_region_fault_count(regions[i]),
					  1);
		}
		for (i = 0; i < MANY; i += 1 + i % 3)
			expect_report(regions[i], 1, i, VMMEM_FAULT_KIND_DENIED,
				      i, VMMEM_FAULT_KIND_DENIED);
		vmmem_collection_unref(guest);
		for (i = 0; i < MANY; i++)
			vmmem_region_unref(regions[i]);
	}
	ck_assert_int_eq(munmap(host, MANY * page), 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault reports");
	TCase *tcase = tcase_create("reports");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, on_demand);
	tcase_add_test(tcase, reports);
	tcase_add_test(tcase, many_regions);
	suite_add_tcase(suite, tcase);
	return suite;
}
