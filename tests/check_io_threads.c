/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Transfers and harvests at once: what a call had read when it returned is in
 * the copy that the next harvest makes, whichever way it was read.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "rng.h"
#include "slices.h"
#include "suite.h"

#define THREADS 3
#define PAGE UINT64_C(64)
#define PAGES 4 /* of each thread */
#define LEN (THREADS * PAGES * PAGE)
#define GPA UINT64_C(0x100000)

/* A page of version v is full of the number v, as is the file's page v. */
#define VERSIONS 60000

static struct vmmem_collection *guest;
static struct vmmem_harvester *harvester;
static int file;
/* The version that a page has at least: what was read before. */
static atomic_uint written[THREADS * PAGES];
static atomic_uint running;

struct writer {
	pthread_t thread;
	unsigned int first;
	struct rng rng;
};

/* Reads a page of the file in one of several ways. */
static void
read_page(unsigned int way, uint64_t gpa, uint64_t offset)
{
	const struct vmmem_range chain[] = {
		{ gpa + PAGE / 2, PAGE / 2 }, { gpa, PAGE / 2 },
	};
	struct vmmem_slice slice;
	struct iovec iov[2];
	uint64_t done = 0;
	size_t count;
	int rc;

	switch (way) {
	case 0:
		rc = vmmem_collection_from_fd(guest, gpa, PAGE, file, offset,
					      0, &done);
		break;
	case 1:
		rc = vmmem_collection_ranges_from_fd(guest, chain, 2, 0,
						     VMMEM_IO_REST, file,
						     offset, 0, &done, NULL);
		break;
	case 2:
		rc = vmmem_collection_slice(guest, gpa, PAGE,
					    VMMEM_PROT_WRITE, &slice);
		if (rc == 0)
			rc = vmmem_slice_from_fd(&slice, 0, PAGE, file, offset,
						 VMMEM_IO_SOME, &done);
		break;
	default:
		rc = vmmem_collection_iovec_ranges(guest, chain, 2,
						   VMMEM_PROT_WRITE, iov, 2,
						   &count, NULL);
		/* ThreadSanitizer would take preadv() for a data race. */
		if (rc == 0 && syscall(SYS_preadv, file, iov, (long)count,
				       (long)offset, 0L) == (long)PAGE)
			done = PAGE;
		if (rc == 0)
			rc = vmmem_collection_mark_ranges(guest, chain, 2,
							  done);
		break;
	}
	if (rc != 0 || done != PAGE)
		abort();
}

static void *
write_pages(void *opaque)
{
	struct writer *writer = opaque;
	unsigned int versions[PAGES] = { 0 };
	uint64_t left = rng_rounds(PAGES * VERSIONS);
	unsigned int page;

	while (left-- != 0) {
		page = (unsigned int)rng_below(&writer->rng, PAGES);
		if (versions[page] == VERSIONS)
			continue;
		versions[page]++;
		read_page((unsigned int)rng_below(&writer->rng, 4),
			  GPA + (writer->first + page) * PAGE,
			  versions[page] * PAGE);
		/* Release: who sees the number sees that the call is over. */
		atomic_store_explicit(&written[writer->first + page],
				      versions[page], memory_order_release);
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* One harvest: copies what is dirty, and then has what was there before. */
static void
harvest(uint32_t *copy)
{
	unsigned int before[THREADS * PAGES], page;
	uint32_t first, last;
	uint64_t at, start, len;

	for (page = 0; page < THREADS * PAGES; page++)
		before[page] = atomic_load_explicit(&written[page],
						    memory_order_acquire);
	EXPECT_CODE(vmmem_harvester_take(harvester, NULL), 0);
	for (at = 0; at < LEN; at = start + len) {
		EXPECT_CODE(vmmem_bitmap_next(vmmem_harvester_taken(harvester),
					      at, &start, &len), 0);
		if (len == 0)
			break;
		for (at = start; at < start + len; at += PAGE) {
			EXPECT_CODE(vmmem_collection_read_u32(guest, GPA + at,
							      &first), 0);
			EXPECT_CODE(vmmem_collection_read_u32(
				guest, GPA + at + PAGE - 4, &last), 0);
			copy[at / PAGE] = first < last ? first : last;
		}
	}
	EXPECT_CODE(vmmem_harvester_confirm(harvester, 0, UINT64_MAX), 0);
	for (page = 0; page < THREADS * PAGES; page++)
		if (copy[page] < before[page])
			ck_abort_msg("page %u: the copy has version %u, and "
				     "%u was there before", page, copy[page],
				     before[page]);
}

START_TEST(no_page_is_lost)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	static struct writer writers[THREADS];
	uint32_t numbers[PAGE / 4], copy[THREADS * PAGES] = { 0 };
	uint64_t seed = rng_seed();
	struct vmmem_region *region = NULL;
	unsigned int i, j;

	printf("seed %#jx\n", (uintmax_t)seed);
	file = file_of(0);
	for (i = 0; i <= VERSIONS; i++) {
		for (j = 0; j < PAGE / 4; j++)
			numbers[j] = i;
		if (write(file, numbers, PAGE) != PAGE)
			ck_abort_msg("no room");
	}
	vmmem_region_builder_set_range(builder, GPA, LEN);
	vmmem_region_builder_set_tracking(builder, PAGE);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_harvester_new(vmmem_region_bitmap(region), NULL,
				      &harvester));
	guest = guest_of_one(region);

	atomic_store(&running, THREADS);
	for (i = 0; i < THREADS; i++) {
		writers[i].first = i * PAGES;
		writers[i].rng.state = seed + i;
		ck_assert_int_eq(pthread_create(&writers[i].thread, NULL,
						write_pages, &writers[i]), 0);
	}
	do
		harvest(copy);
	while (atomic_load(&running) != 0);
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(writers[i].thread, NULL), 0);
	harvest(copy);
	for (i = 0; i < THREADS * PAGES; i++)
		ck_assert_uint_eq(copy[i], atomic_load(&written[i]));

	vmmem_harvester_free(harvester);
	vmmem_collection_unref(guest);
	close(file);
}
END_TEST

/* ---- the order, without a race ------------------------------------------- */

struct reader {
	pthread_t thread;
	atomic_int id;
	int fd;
	uint64_t gpa;
	atomic_int returned;
	int rc;
};

static void *
read_stream(void *opaque)
{
	struct reader *reader = opaque;

	atomic_store(&reader->id, (int)syscall(SYS_gettid));
	reader->rc = vmmem_collection_from_fd(guest, reader->gpa, 2 * PAGE,
					      reader->fd, VMMEM_IO_POSITION, 0,
					      NULL);
	atomic_store(&reader->returned, 1);
	pthread_testcancel();
	return NULL;
}

/* Waits until a thread waits: for the stream, as there is nothing else. */
static void
wait_until_asleep(struct reader *reader)
{
	char path[64], state = 0;
	FILE *stat;
	int id;

	while ((id = atomic_load(&reader->id)) == 0)
		sched_yield();
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", id);
	while (state != 'S') {
		sched_yield();
		stat = fopen(path, "re");
		ck_assert_ptr_nonnull(stat);
		ck_assert_int_eq(fscanf(stat, "%*d (%*[^)]) %c", &state), 1);
		fclose(stat);
	}
}

/*
 * What is read is marked afterwards, not when the call begins.  That holds for
 * a thread that is cancelled meanwhile, too: it ends after the call.
 */
START_TEST(marked_after_it_came)
{
	const uint64_t places[] = { GPA + PAGE, GPA + LEN - PAGE };
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *regions[2] = { NULL, NULL };
	struct reader reader = { .gpa = places[_i / 2] };
	const int cancelled = _i % 2;
	void *result = NULL;
	uint8_t bytes[2 * PAGE] = { 0 };
	int ends[2], i;

	for (i = 0; i < 2; i++) {
		vmmem_region_builder_set_range(
			builder, GPA + (uint64_t)i * LEN, LEN);
		vmmem_region_builder_set_tracking(builder, PAGE);
		assert_ok(vmmem_region_builder_build(builder, &regions[i]));
		assert_ok(vmmem_bitmap_start_logging(vmmem_region_bitmap(regions[i])));
		vmmem_region_ref(regions[i]);
	}
	vmmem_region_builder_free(builder);
	guest = guest_of((struct vmmem_region *[]){ regions[0], regions[1] },
			 2);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	reader.fd = ends[0];
	ck_assert_int_eq(pthread_create(&reader.thread, NULL, read_stream,
					&reader), 0);
	wait_until_asleep(&reader);
	if (cancelled)
		ck_assert_int_eq(pthread_cancel(reader.thread), 0);
	for (i = 0; i < 2; i++)
		assert_ok(vmmem_bitmap_clear(vmmem_region_bitmap(regions[i]),
					     0, LEN));
	ck_assert_int_eq(write(ends[1], bytes, sizeof(bytes)), sizeof(bytes));
	ck_assert_int_eq(pthread_join(reader.thread, &result), 0);
	ck_assert_int_eq(result == PTHREAD_CANCELED, cancelled);
	ck_assert_int_eq(atomic_load(&reader.returned), 1);
	assert_ok(reader.rc);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(regions[0])) +
				  vmmem_bitmap_count(
					  vmmem_region_bitmap(regions[1])),
			  2);
	for (i = 0; i < 2; i++)
		vmmem_region_unref(regions[i]);
	vmmem_collection_unref(guest);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io_threads");
	TCase *tcase = tcase_create("io_threads");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, no_page_is_lost);
	tcase_add_loop_test(tcase, marked_after_it_came, 0, 4);
	suite_add_tcase(suite, tcase);
	return suite;
}
