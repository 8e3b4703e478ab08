/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The front end's dirty log, and what is exported. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "iotlbs.h"
#include "rng.h"
#include "suite.h"
#include "tables.h"

#include <vmmem/vhost.h>

#define GPA UINT64_C(0x100000)
#define LOG_LEN UINT64_C(64) /* 512 pages */

static int file, log_file;
static uint8_t *bits;

static void
setup(void)
{
	struct vmmem_vhost_region row = row_of(GPA, FILE_LEN, 0);

	file = sealed_file(FILE_LEN, 0);
	log_file = sealed_file(2 * PAGE, 0);
	bits = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		    log_file, 0);
	ck_assert_ptr_ne(bits, MAP_FAILED);
	make_vhost(NULL);
	assert_ok(vmmem_vhost_set_table(vhost, &row, 1, &file, 1));
}

static void
teardown(void)
{
	munmap(bits, 2 * PAGE);
	close(log_file);
	close(file);
	drop_vhost();
}

/* Whether exactly [first, last] of the log at 'log' is set; then clears it. */
static void
expect_pages(uint8_t *log, uint64_t first, uint64_t last)
{
	uint64_t page;

	for (page = 0; page < LOG_LEN * 8; page++)
		ck_assert_int_eq(log[page / 8] >> page % 8 & 1,
				 page >= first && page <= last);
	memset(log, 0, LOG_LEN);
}

/* Bits are by guest page, whatever row; also at an offset within a page. */
START_TEST(marks)
{
	struct vmmem_vhost_region row = row_of(0x1ff000, PAGE, PAGE);
	struct vmmem_bitmap *log;

	ck_assert_ptr_null(vmmem_vhost_log(vhost));
	assert_ok(write_at(GPA, 1));
	assert_ok(vmmem_vhost_set_log(vhost, log_file, 0, LOG_LEN + 7));
	log = vmmem_vhost_log(vhost);
	ck_assert_uint_eq(vmmem_bitmap_len(log), (LOG_LEN + 7) * 8 * PAGE);
	assert_ok(write_at(GPA, 1));
	expect_pages(bits, 0x100, 0x100);
	assert_ok(write_at(GPA + PAGE - 1, PAGE + 2));
	expect_pages(bits, 0x100, 0x102);
	/* A row that comes later is logged too. */
	assert_ok(vmmem_vhost_add(vhost, &row, file));
	ck_assert_ptr_eq(vmmem_vhost_log(vhost), log);
	assert_ok(write_at(0x1ff000, PAGE));
	expect_pages(bits, 0x1ff, 0x1ff);

	/* Another log in its place: the old one is left alone. */
	assert_ok(vmmem_vhost_set_log(vhost, log_file, PAGE + 8, LOG_LEN));
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	assert_ok(write_at(GPA, FILE_LEN));
	expect_pages(bits + PAGE + 8, 0x100, 0x100 + PAGES - 1);
	expect_pages(bits, 1, 0);
	assert_ok(vmmem_vhost_clear_log(vhost));
	assert_ok(vmmem_vhost_clear_log(vhost));
	ck_assert_ptr_null(vmmem_vhost_log(vhost));
	assert_ok(write_at(GPA, FILE_LEN));
	expect_pages(bits + PAGE + 8, 1, 0);
}
END_TEST

/*
 * A log of just as many bytes as the memory needs, which begins and ends with
 * any: cloud-hypervisor makes such, and the protocol counts bytes.  Those around
 * it are somebody else's.
 */
START_TEST(any_bytes)
{
	struct vmmem_vhost_region row;
	uint64_t pages, offset, len, page, i;
	uint8_t want[PAGE];

	for (pages = 1; pages <= 140; pages++) {
		row = row_of(0, pages * PAGE, 0);
		len = (pages - 1) / 8 + 1;
		offset = pages % 3 != 0 ? pages % 17 : 2 * PAGE - len;
		assert_ok(vmmem_vhost_clear_log(vhost));
		if (pages > PAGES)
			ck_assert_int_eq(ftruncate(file, (off_t)row.len), 0);
		assert_ok(vmmem_vhost_set_table(vhost, &row, 1, &file, 1));
		memset(bits, 0xa5, 2 * PAGE);
		memset(bits + offset, 0, len);
		if (len > 1)
			assert_code(vmmem_vhost_set_log(vhost, log_file, offset,
							len - 1),
				    VMMEM_ELOGSHORT);
		assert_ok(vmmem_vhost_set_log(vhost, log_file, offset, len));
		memset(want, 0, len);
		for (page = 0; page < pages; page += 1 + page % 5) {
			assert_ok(write_at(page * PAGE, 1));
			want[page / 8] |= (uint8_t)(1U << page % 8);
			ck_assert_mem_eq(bits + offset, want, len);
		}
		assert_ok(write_at(0, pages * PAGE));
		for (i = 0; i < 2 * PAGE; i++)
			if (i < offset || i >= offset + len)
				ck_assert_int_eq(bits[i], 0xa5);
			else if (i < offset + len - 1)
				ck_assert_int_eq(bits[i], 0xff);
		ck_assert_int_eq(bits[offset + len - 1],
				 0xff >> (8 - ((pages - 1) % 8 + 1)));
	}
}
END_TEST

/* Behind an IOMMU too the log is by guest address, not by iova. */
START_TEST(behind_an_iommu)
{
	const uint64_t iova = 0x80000;
	struct vmmem_collection *map, *seen = NULL;
	struct vmmem_iotlb *iotlb = NULL;
	struct vmmem_iommu *iommu = NULL;

	assert_ok(vmmem_vhost_set_log(vhost, log_file, 0, LOG_LEN));
	assert_ok(iotlb_of(16, &iotlb));
	assert_ok(vmmem_iotlb_map(iotlb, iova, GPA + 5 * PAGE, 2 * PAGE,
				  VMMEM_PROT_READ | VMMEM_PROT_WRITE));
	assert_ok(vmmem_iommu_new(iotlb, NULL, &iommu));
	map = vmmem_space_get(space);
	assert_ok(vmmem_collection_new_translated(iommu, map, &seen));
	assert_ok(vmmem_collection_write_u32(seen, iova + 0x10, 42));
	expect_pages(bits, 0x105, 0x105);
	assert_ok(vmmem_collection_fill(seen, iova + PAGE - 1, 2, 1, NULL));
	expect_pages(bits, 0x105, 0x106);
	vmmem_collection_unref(seen);
	vmmem_collection_unref(map);
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
}
END_TEST

/* The memory stays where it is; descriptors and mappings of old logs go. */
START_TEST(replaced_while_running)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	uint8_t *host = host_of(map, GPA);
	struct vmmem_reader *reader = NULL;
	size_t before = open_files();
	unsigned int i;

	vmmem_collection_unref(map);
	assert_ok(vmmem_reader_new(space, NULL, &reader));
	map = vmmem_reader_enter(reader);
	for (i = 0; i < 100; i++)
		assert_ok(vmmem_vhost_set_log(vhost, log_file,
					      i % 2 * PAGE, LOG_LEN));
	/* The section's map has no log, and is as good as before. */
	ck_assert_ptr_null(vmmem_region_bitmap(vmmem_collection_region(map,
								       0)));
	vmmem_reader_leave(reader);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_uint_eq(open_files(), before + 1);
	map = vmmem_space_get(space);
	ck_assert_ptr_eq(host_of(map, GPA), host);
	vmmem_collection_unref(map);
	assert_ok(vmmem_vhost_clear_log(vhost));
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_uint_eq(open_files(), before);
	vmmem_reader_free(reader);
}
END_TEST

START_TEST(hostile)
{
	struct vmmem_vhost_region row = row_of(0x200000, PAGE, 0);
	int shrinkable = file_of(2 * PAGE);
	size_t before = open_files();

	assert_ok(vmmem_vhost_set_log(vhost, log_file, 0, LOG_LEN));
	assert_code(vmmem_vhost_set_log(vhost, log_file, 0, 0),
		    VMMEM_EZEROLEN);
	assert_code(vmmem_vhost_set_log(vhost, log_file, 3, 0),
		    VMMEM_EZEROLEN);
	assert_code(vmmem_vhost_set_log(vhost, log_file, 2 * PAGE, LOG_LEN),
		    VMMEM_EPASTEOF);
	assert_code(vmmem_vhost_set_log(vhost, log_file, 2 * PAGE - 8,
					LOG_LEN),
		    VMMEM_EPASTEOF);
	assert_code(vmmem_vhost_set_log(vhost, log_file, 0, UINT64_MAX),
		    VMMEM_EWRAPS);
	assert_code(vmmem_vhost_set_log(vhost, log_file,
					UINT64_MAX & ~UINT64_C(7), 8),
		    VMMEM_EWRAPS);
	assert_code(vmmem_vhost_set_log(vhost, -1, 0, LOG_LEN), -EBADF);
	assert_code(vmmem_vhost_set_log(vhost, shrinkable, 0, LOG_LEN),
		    VMMEM_ESHRINKABLE);
	/* 0x110 pages are not enough to the last byte of the row. */
	assert_code(vmmem_vhost_set_log(vhost, log_file, 0, 0x20),
		    VMMEM_ELOGSHORT);
	assert_code(vmmem_vhost_add(vhost, &row, file), VMMEM_ELOGSHORT);
	assert_code(vmmem_vhost_set_table(vhost, &row, 1, &file, 1),
		    VMMEM_ELOGSHORT);
	/* The old log is in use, and nothing else is left. */
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_uint_eq(open_files(), before + 1);
	assert_ok(write_at(GPA, 1));
	expect_pages(bits, 0x100, 0x100);
	close(shrinkable);
}
END_TEST

/* Devices write all the time while logs come and go: no write is lost. */
#define DEVICES 2
/* A device comes back to a page after so many numbers. */
#define TURN (PAGES / DEVICES)

static atomic_int stop;
static atomic_uint written[PAGES];

static void *
device(void *opaque)
{
	unsigned int number = (unsigned int)(uintptr_t)opaque, count = 0, page;
	struct vmmem_reader *reader = NULL;

	assert_ok(vmmem_reader_new(space, NULL, &reader));
	while (!atomic_load(&stop)) {
		count++;
		page = (number + DEVICES * count) % PAGES;
		assert_ok(vmmem_reader_write_u32(
			reader, GPA + page * PAGE + 4 * number, count));
		/* Who sees this number must find the write in the log. */
		atomic_store(&written[page], count);
	}
	vmmem_reader_free(reader);
	return NULL;
}

static void
migrate(uint8_t *log)
{
	unsigned int before[PAGES], page, copied;
	struct vmmem_collection *map;

	assert_ok(vmmem_vhost_set_log(vhost, log_file,
				      (uint64_t)(log - bits), LOG_LEN));
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	map = vmmem_space_get(space);
	for (page = 0; page < PAGES; page++)
		before[page] = atomic_load(&written[page]);
	/*
	 * Wait until a page was written twice: the first of these numbers may
	 * be of a write that was over before the log began.
	 */
	while (atomic_load(&written[0]) - before[0] < 2 * TURN)
		sched_yield();
	for (page = 0; page < PAGES; page++) {
		unsigned int now = atomic_load(&written[page]);
		uint8_t mark;

		if (now - before[page] < 2 * TURN)
			continue;
		mark = __atomic_load_n(&log[(0x100 + page) / 8],
				       __ATOMIC_ACQUIRE);
		ck_assert_int_eq(mark >> (0x100 + page) % 8 & 1, 1);
		assert_ok(vmmem_collection_read_u32(
			map, GPA + page * PAGE + 4 * (page % DEVICES),
			&copied));
		ck_assert_uint_ge(copied, now);
	}
	vmmem_collection_unref(map);
	assert_ok(vmmem_vhost_clear_log(vhost));
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	memset(log, 0, LOG_LEN);
}

START_TEST(devices_running)
{
	uint64_t i, rounds = rng_rounds(300);
	pthread_t threads[DEVICES];
	uintptr_t number;

	for (number = 0; number < DEVICES; number++)
		ck_assert_int_eq(pthread_create(&threads[number], NULL, device,
						(void *)number),
				 0);
	for (i = 0; i < rounds; i++)
		migrate(bits + i % 2 * PAGE);
	atomic_store(&stop, 1);
	for (number = 0; number < DEVICES; number++)
		pthread_join(threads[number], NULL);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("vhost_log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, marks);
	tcase_add_test(tcase, any_bytes);
	tcase_add_test(tcase, behind_an_iommu);
	tcase_add_test(tcase, replaced_while_running);
	tcase_add_test(tcase, hostile);
	tcase_add_test(tcase, devices_running);
	suite_add_tcase(suite, tcase);
	return suite;
}
