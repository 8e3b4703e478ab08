/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Transfers to and from memory that is seen through an IOMMU: where the bytes
 * go, who is asked, what is marked, and that who synchronizes waits for them.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "iotlbs.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)
#define PAGES 16
#define READ_WRITE (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

static struct vmmem_iotlb *iotlb;
static struct vmmem_iommu *iommu;
static struct vmmem_bitmap *log_by_iova;
static struct vmmem_region *ram;
static struct vmmem_collection *physical, *seen;
static int asked, synchronizes;
static uint64_t refused_from;
/* The file that is transferred from iova 0 on, if its position is to be right. */
static int in_step_with = -1;

/* Pages lie backwards behind the IOMMU, so that no two are neighbours. */
static uint64_t
gpa_of(uint64_t iova)
{
	return (PAGES - 1 - iova / PAGE) * PAGE + iova % PAGE;
}

static int
miss(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
     uint32_t reason)
{
	const uint64_t page = iova / PAGE * PAGE;

	(void)opaque;
	(void)len;
	(void)access;
	(void)reason;
	asked++;
	if (iova >= refused_from)
		return -EACCES;
	/*
	 * The first time each page is asked for, the range is checked.  After
	 * that, what comes before is transferred, not only found: it may have
	 * been let go of by now.
	 */
	if (in_step_with >= 0 && asked > PAGES)
		ck_assert_uint_eq((uint64_t)lseek(in_step_with, 0, SEEK_CUR),
				  page);
	/* Not in a section: else this would wait for itself. */
	if (synchronizes)
		assert_ok(vmmem_iotlb_synchronize(iotlb, VMMEM_FOREVER));
	return vmmem_iotlb_map(iotlb, page, gpa_of(page), PAGE, READ_WRITE);
}

static void
open_world(struct vmmem_bitmap *log, size_t capacity)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = miss,
		.log = log,
	};

	vmmem_region_builder_set_range(builder, 0, PAGES * PAGE);
	vmmem_region_builder_set_tracking(builder, PAGE);
	assert_ok(vmmem_region_builder_build(builder, &ram));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_collection_new(&ram, 1, &physical));
	assert_ok(iotlb_of(capacity, &iotlb));
	assert_ok(vmmem_iommu_new(iotlb, &options, &iommu));
	assert_ok(vmmem_iommu_set_enabled(iommu, 1));
	assert_ok(vmmem_collection_new_translated(iommu, physical, &seen));
	assert_ok(vmmem_bitmap_start_logging(vmmem_region_bitmap(ram)));
	asked = 0;
	synchronizes = 0;
	refused_from = TOP;
	in_step_with = -1;
}

static void
setup(void)
{
	open_world(NULL, 64);
}

static void
teardown(void)
{
	vmmem_collection_unref(seen);
	vmmem_collection_unref(physical);
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
	vmmem_region_unref(ram);
	log_by_iova = vmmem_bitmap_unref(log_by_iova);
}

/* A file of a pattern. */
static int
pattern_file(uint64_t len)
{
	static uint8_t bytes[PAGES * PAGE];
	int fd = file_of(len);

	pattern(bytes, len, 5);
	ck_assert_int_eq((int)pwrite(fd, bytes, len, 0), (int)len);
	return fd;
}

/* The guest's 'len' bytes at 'iova' must be the pattern's first. */
static void
expect_pattern(uint64_t iova, uint64_t len)
{
	static uint8_t want[PAGES * PAGE];
	uint64_t i;

	pattern(want, len, 5);
	for (i = 0; i < len; i++)
		if (*host_of(physical, gpa_of(iova + i)) != want[i])
			ck_abort_msg("byte %#jx is wrong", (uintmax_t)i);
}

START_TEST(scattered)
{
	const uint64_t at = PAGE - 100, len = 3 * PAGE;
	int fd = pattern_file(len), out = file_of(0);
	uint8_t back[3 * PAGE], want[3 * PAGE];
	uint64_t done = 0, page;

	assert_ok(vmmem_collection_from_fd(seen, at, len, fd,
					   VMMEM_IO_POSITION, 0, &done));
	ck_assert_uint_eq(done, len);
	expect_pattern(at, len);
	ck_assert_int_eq(asked, 4);
	for (page = 0; page < PAGES; page++)
		ck_assert_int_eq(vmmem_bitmap_test(vmmem_region_bitmap(ram),
						   gpa_of(page * PAGE)),
				 page < 4);

	assert_ok(vmmem_collection_to_fd(seen, at, len, out, VMMEM_IO_POSITION,
					 0, &done));
	ck_assert_int_eq((int)pread(out, back, len, 0), (int)len);
	pattern(want, len, 5);
	ck_assert_mem_eq(back, want, len);
	ck_assert_int_eq(asked, 4);
	close(fd);
	close(out);
}
END_TEST

/* All or nothing is checked, and asked for, before the first byte. */
START_TEST(refused)
{
	int fd = pattern_file(4 * PAGE);
	uint64_t done = 42;

	refused_from = 2 * PAGE;
	assert_code(vmmem_collection_from_fd(seen, 0, 4 * PAGE, fd,
					     VMMEM_IO_POSITION, 0, &done),
		    -EACCES);
	ck_assert_uint_eq(done, 0);
	ck_assert_int_eq((int)lseek(fd, 0, SEEK_CUR), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(ram)), 0);

	assert_code(vmmem_collection_from_fd(seen, 0, 4 * PAGE, fd,
					     VMMEM_IO_POSITION, VMMEM_IO_SOME,
					     &done),
		    -EACCES);
	ck_assert_uint_eq(done, 2 * PAGE);
	expect_pattern(0, 2 * PAGE);
	close(fd);
}
END_TEST

/* The handler is never called within the transfer's own section. */
START_TEST(the_handler_may_synchronize)
{
	int fd = pattern_file(4 * PAGE);
	const struct vmmem_range chain[] = {
		{ 0, PAGE }, { 7 * PAGE, PAGE }, { PAGE, 2 * PAGE },
	};
	uint64_t done = 0;

	synchronizes = 1;
	assert_ok(vmmem_collection_ranges_from_fd(seen, chain, 3, 0,
						  VMMEM_IO_REST, fd,
						  VMMEM_IO_POSITION, 0,
						  &done, NULL));
	ck_assert_uint_eq(done, 4 * PAGE);
	expect_pattern(0, PAGE);
	close(fd);
}
END_TEST

/*
 * With room for one page only, each is asked for again when its turn comes, and
 * the one before is gone then.
 */
START_TEST(room_for_one)
{
	int fd = pattern_file(PAGES * PAGE);
	uint64_t done = 0;

	teardown();
	open_world(NULL, 1);
	synchronizes = 1;
	in_step_with = fd;
	assert_ok(vmmem_collection_from_fd(seen, 0, PAGES * PAGE, fd,
					   VMMEM_IO_POSITION, 0, &done));
	ck_assert_uint_eq(done, PAGES * PAGE);
	expect_pattern(0, PAGES * PAGE);
	ck_assert_int_ge(asked, 2 * PAGES - 1);
	close(fd);
}
END_TEST

/* What the log does not cover is written and counted, by transfers too. */
START_TEST(log_by_iova_is_too_short)
{
	int fd = pattern_file(3 * PAGE);
	uint64_t done = 0, iova = 0;

	teardown();
	assert_ok(vmmem_bitmap_new(PAGE, 0, PAGE, NULL, &log_by_iova));
	assert_ok(vmmem_bitmap_start_logging(log_by_iova));
	open_world(log_by_iova, 64);
	assert_ok(vmmem_collection_from_fd(seen, 0, 3 * PAGE, fd,
					   VMMEM_IO_POSITION, 0, &done));
	ck_assert_uint_eq(done, 3 * PAGE);
	expect_pattern(0, 3 * PAGE);
	ck_assert_uint_eq(vmmem_bitmap_count(log_by_iova), 1);
	ck_assert_uint_eq(vmmem_iommu_unlogged(iommu, &iova), 2 * PAGE);
	close(fd);
}
END_TEST

/* An iovec is of the places, and what was written is marked by iova. */
START_TEST(iovecs)
{
	struct vmmem_range range = { 0, 2 * PAGE };
	struct iovec iov[4];
	size_t count = 0;
	uint64_t section;

	section = vmmem_iotlb_enter(iotlb);
	assert_ok(vmmem_collection_iovec(seen, 0, 2 * PAGE, VMMEM_PROT_WRITE,
					 iov, 4, &count, NULL));
	ck_assert_uint_eq(count, 2);
	ck_assert_ptr_eq(iov[0].iov_base, host_of(physical, gpa_of(0)));
	ck_assert_ptr_eq(iov[1].iov_base, host_of(physical, gpa_of(PAGE)));
	vmmem_iotlb_leave(iotlb, section);
	assert_ok(vmmem_collection_mark_ranges(seen, &range, 1, PAGE + 1));
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(ram)), 2);
	ck_assert_int_eq(vmmem_bitmap_test(vmmem_region_bitmap(ram),
					   gpa_of(PAGE)),
			 1);
}
END_TEST

/* A thread, what it does, and whether it is asleep in the kernel. */
struct helper {
	atomic_int tid;
	atomic_int done;
	int fd;
};

static int
is_asleep(const struct helper *helper)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat",
		 atomic_load(&helper->tid));
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(file);
	return state == 'S';
}

static void
wait_until_asleep(const struct helper *helper)
{
	while (atomic_load(&helper->tid) == 0 ||
	       (!is_asleep(helper) && !atomic_load(&helper->done)))
		sched_yield();
}

static void *
transfer(void *opaque)
{
	struct helper *helper = opaque;
	uint64_t done = 0;

	atomic_store(&helper->tid, (int)syscall(SYS_gettid));
	assert_ok(vmmem_collection_from_fd(seen, 0, 2 * PAGE, helper->fd,
					   VMMEM_IO_POSITION, 0, &done));
	atomic_store(&helper->done, 1);
	return NULL;
}

static void *
synchronize(void *opaque)
{
	struct helper *helper = opaque;

	atomic_store(&helper->tid, (int)syscall(SYS_gettid));
	assert_ok(vmmem_iotlb_synchronize(iotlb, VMMEM_FOREVER));
	/* All of it is there: nothing comes into the pages any more. */
	expect_pattern(0, 2 * PAGE);
	atomic_store(&helper->done, 1);
	return NULL;
}

START_TEST(synchronize_waits_for_transfers)
{
	struct helper reader = { .fd = -1 }, waiter = { .fd = -1 };
	uint8_t bytes[2 * PAGE];
	pthread_t threads[2];
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	reader.fd = ends[0];
	/* Both pages in one system call, which waits for the first byte. */
	assert_ok(vmmem_iotlb_map(iotlb, 0, gpa_of(0), PAGE, READ_WRITE));
	assert_ok(vmmem_iotlb_map(iotlb, PAGE, gpa_of(PAGE), PAGE,
				  READ_WRITE));
	ck_assert_int_eq(pthread_create(&threads[0], NULL, transfer, &reader),
			 0);
	wait_until_asleep(&reader);
	assert_ok(vmmem_iotlb_unmap(iotlb, 0, 2 * PAGE));
	ck_assert_int_eq(pthread_create(&threads[1], NULL, synchronize,
					&waiter),
			 0);
	wait_until_asleep(&waiter);
	ck_assert_int_eq(atomic_load(&waiter.done), 0);
	pattern(bytes, sizeof(bytes), 5);
	ck_assert_int_eq((int)write(ends[1], bytes, sizeof(bytes)),
			 (int)sizeof(bytes));
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	ck_assert_int_eq(atomic_load(&waiter.done), 1);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* Switched off, it is the memory behind it. */
START_TEST(switched_off)
{
	int fd = pattern_file(2 * PAGE);
	uint8_t want[2 * PAGE];
	uint64_t done = 0;

	assert_ok(vmmem_iommu_set_enabled(iommu, 0));
	assert_ok(vmmem_collection_from_fd(seen, 0, 2 * PAGE, fd,
					   VMMEM_IO_POSITION, 0, &done));
	pattern(want, sizeof(want), 5);
	ck_assert_mem_eq(host_of(physical, 0), want, sizeof(want));
	ck_assert_int_eq(asked, 0);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io_iommu");
	TCase *tcase = tcase_create("io_iommu");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, scattered);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, the_handler_may_synchronize);
	tcase_add_test(tcase, room_for_one);
	tcase_add_test(tcase, log_by_iova_is_too_short);
	tcase_add_test(tcase, iovecs);
	tcase_add_test(tcase, synchronize_waits_for_transfers);
	tcase_add_test(tcase, switched_off);
	suite_add_tcase(suite, tcase);
	return suite;
}
