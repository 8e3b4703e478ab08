/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Transfers between files and guest memory: what vm-memory 0.18 does, and
 * whether libvmmem matches it, fixes it or differs on purpose.
 * docs/conformance.md is the table of all marks.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

/* Two regions that touch. */
#define FIRST UINT64_C(0x1000)
#define SECOND UINT64_C(0x2000)
#define SIZE UINT64_C(0x1000)

static struct vmmem_collection *guest;
static uint8_t buf[64], seen[64];
static int ends[2];

static void
setup(void)
{
	static const struct vmmem_range ranges[] = {
		{ FIRST, SIZE }, { SECOND, SIZE },
	};

	guest = guest_of_ranges(ranges, 2);
	pattern(buf, sizeof(buf), 1);
	/* A source that gives one packet of 16 bytes with each read. */
	ck_assert_int_eq(socketpair(AF_UNIX,
				    SOCK_SEQPACKET | SOCK_CLOEXEC |
					    SOCK_NONBLOCK, 0, ends), 0);
}

static void
teardown(void)
{
	close(ends[0]);
	close(ends[1]);
	guest = vmmem_collection_unref(guest);
}

static void
send_packets(size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		ck_assert_int_eq(write(ends[1], buf + i * 16, 16), 16);
}

/* A file that takes 'room' bytes, and what follows is refused. */
static rlim_t
limit_files(rlim_t room)
{
	struct rlimit limit;
	rlim_t before;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	before = limit.rlim_cur;
	limit.rlim_cur = room;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	return before;
}

/*
 * vm-memory: reading to a range of several regions makes one read for each.
 * If the first is short, the next one's bytes still go to the start of the
 * next region: bytes are misplaced, and the sum is returned.
 * fix: one read for all, gone on with at the very byte where it stopped.
 */
START_TEST(b1_short_reads_across_regions)
{
	uint64_t done = 77;

	send_packets(4);
	assert_ok(vmmem_collection_from_fd(guest, SECOND - 32, 64, ends[0],
					   VMMEM_IO_POSITION, 0, &done));
	ck_assert_uint_eq(done, 64);
	assert_ok(vmmem_collection_read(guest, SECOND - 32, seen, 64, NULL));
	ck_assert_mem_eq(seen, buf, 64);

	/* Who takes what comes gets it at the start of the range. */
	assert_ok(vmmem_collection_fill(guest, FIRST, 2 * SIZE, 0, NULL));
	send_packets(2);
	assert_code(vmmem_collection_from_fd(guest, SECOND - 32, 64, ends[0],
					     VMMEM_IO_POSITION, VMMEM_IO_SOME,
					     &done),
		    VMMEM_EPARTIAL);
	ck_assert_uint_eq(done, 16);
	ck_assert_mem_eq(host_of(guest, SECOND - 32), buf, 16);
	ck_assert(all_are(host_of(guest, SECOND - 16), 0, 16));
	ck_assert(all_are(host_of(guest, SECOND), 0, 64));
}
END_TEST

/*
 * vm-memory: the form that reads all does not go on after a short read.
 * fix: it does.
 */
START_TEST(b2_exact_reads_go_on)
{
	uint64_t done = 77;

	send_packets(4);
	assert_ok(vmmem_collection_from_fd(guest, FIRST, 64, ends[0],
					   VMMEM_IO_POSITION, 0, &done));
	ck_assert_uint_eq(done, 64);
	ck_assert_mem_eq(host_of(guest, FIRST), buf, 64);
}
END_TEST

/*
 * vm-memory: the same form of a slice does go on.
 * match.
 */
START_TEST(b3_exact_reads_of_a_slice)
{
	struct vmmem_slice slice;
	uint64_t done = 77;

	assert_ok(vmmem_collection_slice(guest, FIRST, SIZE,
					 VMMEM_PROT_WRITE, &slice));
	send_packets(4);
	assert_ok(vmmem_slice_from_fd(&slice, 8, 64, ends[0],
				      VMMEM_IO_POSITION, 0, &done));
	ck_assert_uint_eq(done, 64);
	ck_assert_mem_eq(host_of(guest, FIRST + 8), buf, 64);
}
END_TEST

/*
 * vm-memory: an error in the second region hides how many bytes came to the
 * first; they have been taken from the source and cannot be had again.
 * fix: the count comes with every code.
 */
START_TEST(b4_error_after_some_bytes)
{
	uint64_t page = page_size(), done = 77;
	struct vmmem_region *regions[2] = { NULL, NULL };
	struct vmmem_collection *other;
	int fd = file_of(2 * page), source = file_of(4 * page);

	send_packets(1);
	assert_code(vmmem_collection_from_fd(guest, SECOND - 8, 64, ends[0],
					     VMMEM_IO_POSITION, 0,
					     &done), -EAGAIN);
	ck_assert_uint_eq(done, 16);
	assert_ok(vmmem_collection_read(guest, SECOND - 8, seen, 16, NULL));
	ck_assert_mem_eq(seen, buf, 16);

	/* The second region's file is cut short, and its memory gone. */
	regions[0] = region_of(0, page);
	assert_ok(vmmem_region_new_file(page, 2 * page, fd, 0, &regions[1]));
	other = guest_of(regions, 2);
	ck_assert_int_eq(ftruncate(fd, (off_t)page), 0);
	assert_code(vmmem_collection_from_fd(other, page - 16, 3 * page,
					     source, VMMEM_IO_POSITION, 0,
					     &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
	assert_code(vmmem_collection_from_fd(other, page - 16, page + 32,
					     source, VMMEM_IO_POSITION, 0,
					     &done),
		    VMMEM_EGONE);
	ck_assert_uint_eq(done, 16 + page);
	ck_assert_int_eq(lseek(source, 0, SEEK_CUR), (off_t)(16 + page));
	vmmem_collection_unref(other);
	close(source);
	close(fd);
}
END_TEST

/*
 * vm-memory: writing a range of several regions to what takes less fails, and
 * how much was written is lost.
 * fix: the count, and why there is no more.
 */
START_TEST(b5_short_writes_across_regions)
{
	int fd = file_of(0);
	uint64_t done = 77;
	rlim_t before;
	int rc;

	assert_ok(vmmem_collection_write(guest, SECOND - 16, buf, 64, NULL));
	before = limit_files(21);
	rc = vmmem_collection_to_fd(guest, SECOND - 16, 64, fd,
				    VMMEM_IO_POSITION, 0, &done);
	limit_files(before);
	assert_code(rc, -EFBIG);
	ck_assert_uint_eq(done, 21);
	ck_assert_int_eq(pread(fd, seen, 64, 0), 21);
	ck_assert_mem_eq(seen, buf, 21);
	/* Resumed where it stopped. */
	assert_ok(vmmem_collection_to_fd(guest, SECOND - 16 + done, 64 - done,
					 fd, VMMEM_IO_POSITION, 0, NULL));
	ck_assert_int_eq(pread(fd, seen, 64, 0), 64);
	ck_assert_mem_eq(seen, buf, 64);
	close(fd);
}
END_TEST

/*
 * vm-memory: a region's form that writes some succeeds with the short count.
 * match: the count is the same.  That it is short has a code.
 */
START_TEST(b6_short_write_of_a_region)
{
	int fd = file_of(0);
	uint64_t done = 77;
	rlim_t before;
	int rc;

	assert_ok(vmmem_collection_write(guest, FIRST, buf, 64, NULL));
	before = limit_files(5);
	rc = vmmem_collection_to_fd(guest, FIRST, 64, fd, VMMEM_IO_POSITION,
				    VMMEM_IO_SOME, &done);
	limit_files(before);
	assert_code(rc, VMMEM_EPARTIAL);
	ck_assert_uint_eq(done, 5);
	ck_assert_int_eq(pread(fd, seen, 64, 0), 5);
	ck_assert_mem_eq(seen, buf, 5);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("conformance_b");
	TCase *tcase = tcase_create("conformance_b");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, b1_short_reads_across_regions);
	tcase_add_test(tcase, b2_exact_reads_go_on);
	tcase_add_test(tcase, b3_exact_reads_of_a_slice);
	tcase_add_test(tcase, b4_error_after_some_bytes);
	tcase_add_test(tcase, b5_short_writes_across_regions);
	tcase_add_test(tcase, b6_short_write_of_a_region);
	suite_add_tcase(suite, tcase);
	return suite;
}
