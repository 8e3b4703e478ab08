/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A shared log that goes away: what a hostile front end of vhost-user does to
 * the back end that marks in it.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

#define PAGE UINT64_C(4096)
/* The guest's bytes for which a byte of the log stands. */
#define STANDS_FOR (8 * PAGE)

static struct vmmem_bitmap *shared_log;
static unsigned char *bits;
static uint64_t log_len, cut;
static int fd;

const char *
skip_reason(void)
{
	if (vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS);
	return NULL;
}

static void
setup(void)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	log_len = 4 * page;
	cut = 2 * page;
	fd = memfd_create("log", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)log_len), 0);
	bits = mmap(NULL, log_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(bits, MAP_FAILED);
	assert_ok(vmmem_bitmap_new_external(bits, log_len, log_len * STANDS_FOR,
					    PAGE, NULL, NULL, NULL,
					    &shared_log));
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
}

static void
teardown(void)
{
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	shared_log = vmmem_bitmap_unref(shared_log);
	munmap(bits, log_len);
	close(fd);
}

static void
cut_short(uint64_t len)
{
	ck_assert_int_eq(ftruncate(fd, (off_t)len), 0);
}

/* Marks beyond the cut are lost, those before it are as ever. */
START_TEST(marks)
{
	const uint64_t gone = cut * STANDS_FOR, last = gone - PAGE;
	uint64_t i;

	cut_short(cut);
	assert_ok(vmmem_bitmap_mark(shared_log, gone, 1));
	assert_ok(vmmem_bitmap_mark(shared_log, log_len * STANDS_FOR - 1, 1));
	/* Whole words, and all that there is. */
	assert_ok(vmmem_bitmap_mark(shared_log, gone, gone));
	ck_assert_uint_eq(vmmem_bitmap_count(shared_log), 0);
	/* From one side to the other. */
	assert_ok(vmmem_bitmap_mark(shared_log, last - 199 * PAGE, 1000 * PAGE));
	ck_assert_uint_eq(vmmem_bitmap_count(shared_log), 200);
	ck_assert_int_eq(vmmem_bitmap_test(shared_log, last), 1);
	ck_assert_int_eq(vmmem_bitmap_test(shared_log, gone), 0);
	for (i = 0; i < 25; i++)
		ck_assert_int_eq(bits[cut - 25 + i], 0xff);
	ck_assert_int_eq(bits[cut - 26], 0);

	/* It comes back, and is a log again. */
	cut_short(log_len);
	ck_assert_int_eq(bits[cut], 0);
	assert_ok(vmmem_bitmap_mark(shared_log, gone, 2 * PAGE));
	ck_assert_int_eq(bits[cut], 3);
	ck_assert_uint_eq(vmmem_bitmap_count(shared_log), 202);
}
END_TEST

/* Whoever looks sees no marks where there is nothing. */
START_TEST(looks)
{
	const uint64_t gone = cut * STANDS_FOR, all = 2 * gone;
	struct vmmem_harvester *harvester;
	const struct vmmem_bitmap *taken;
	uint64_t start, len, pages;
	vmmem_le64 *words = calloc(log_len / 8, sizeof(*words));

	ck_assert_ptr_nonnull(words);
	assert_ok(vmmem_bitmap_mark(shared_log, 0, all));
	cut_short(cut);
	assert_ok(vmmem_bitmap_next(shared_log, 0, &start, &len));
	ck_assert_uint_eq(start, 0);
	ck_assert_uint_eq(len, gone);
	assert_ok(vmmem_bitmap_next(shared_log, gone, &start, &len));
	ck_assert_uint_eq(len, 0);
	assert_ok(vmmem_bitmap_export(shared_log, 0, all, PAGE, words,
				      log_len));
	ck_assert_uint_eq(vmmem_le64_get(&words[cut / 8 - 1]), UINT64_MAX);
	ck_assert_uint_eq(vmmem_le64_get(&words[cut / 8]), 0);
	/* Clearing, and taking, what is half gone. */
	assert_ok(vmmem_bitmap_clear(shared_log, gone - 3 * PAGE, 6 * PAGE));
	ck_assert_uint_eq(vmmem_bitmap_count(shared_log), cut * 8 - 3);
	assert_ok(vmmem_harvester_new(shared_log, NULL, &harvester));
	assert_ok(vmmem_harvester_take(harvester, &pages));
	ck_assert_uint_eq(pages, cut * 8 - 3);
	taken = vmmem_harvester_taken(harvester);
	ck_assert_uint_eq(vmmem_bitmap_count(taken), pages);
	ck_assert_uint_eq(vmmem_bitmap_count(shared_log), 0);
	assert_ok(vmmem_harvester_confirm(harvester, 0, UINT64_MAX));
	/* All of it. */
	cut_short(0);
	assert_ok(vmmem_bitmap_mark(shared_log, 0, all));
	assert_ok(vmmem_harvester_take(harvester, &pages));
	ck_assert_uint_eq(pages, 0);
	harvester = vmmem_harvester_free(harvester);
	free(words);
}
END_TEST

/* The guest's memory is written, and only its log is gone. */
START_TEST(writes)
{
	const unsigned char data[3] = { 1, 2, 3 };
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_collection *map;
	struct vmmem_region *region;
	unsigned char back[3];

	vmmem_region_builder_set_range(builder, 0, 16 * PAGE);
	vmmem_region_builder_set_bitmap(builder, shared_log, 0);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_collection_new(&region, 1, &map));
	cut_short(0);
	assert_ok(vmmem_collection_write(map, PAGE - 1, data, 3, NULL));
	assert_ok(vmmem_collection_store_u32(map, 4 * PAGE, 5,
					     VMMEM_ORDER_RELEASE));
	assert_ok(vmmem_collection_read(map, PAGE - 1, back, 3, NULL));
	ck_assert_mem_eq(data, back, 3);
	/* The memory of the guest has met no fault. */
	ck_assert_uint_eq(vmmem_region_fault_count(region), 0);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault_log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, marks);
	tcase_add_test(tcase, looks);
	tcase_add_test(tcase, writes);
	suite_add_tcase(suite, tcase);
	return suite;
}
