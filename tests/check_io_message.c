/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * VMMEM_IO_MESSAGE: what goes to a descriptor is one message, and what comes
 * is one, whatever the guest's memory is and in however many pieces it lies.
 */
#include "messages.h"
#include "suite.h"

#define BIG_LEN (UINT64_C(24) << 20)

/* Exactly one message, of all these bytes, whatever the memory. */
START_TEST(one_out)
{
	const int map = _i / SHAPES, shape = _i % SHAPES;
	const uint64_t len = make_chain(shape);
	static uint8_t want[0x30000];
	const int types[] = { SOCK_DGRAM, SOCK_SEQPACKET };
	size_t i;

	if (is_left_out(shape))
		return;
	for (i = 0; i < 2; i++) {
		open_sockets(types[i]);
		fill_store();
		read_chain(map, shape, want);
		errno = EXDEV;
		assert_moved(to_fd(map, shape, ends[0], &done), 0, len);
		ck_assert_int_eq(errno, EXDEV);
		ck_assert_int_eq(recv(ends[1], frame, sizeof(frame), 0),
				 (ssize_t)len);
		ck_assert_mem_eq(frame, want, len);
		ck_assert_int_eq(recv(ends[1], frame, sizeof(frame), 0), -1);
		close_ends();
	}
}
END_TEST

/* One message in: as long as the room, shorter, and longer. */
START_TEST(one_in)
{
	const int map = _i / SHAPES, shape = _i % SHAPES;
	const uint64_t len = make_chain(shape);
	static uint8_t now[0x30000];
	const int64_t more[] = { 0, -1, -(int64_t)(len / 2), 1, 1000 };
	size_t i, j;

	if (is_left_out(shape))
		return;
	open_sockets(SOCK_DGRAM);
	for (i = 0; i < ARRAY_LEN(more); i++) {
		const uint64_t sent = len + (uint64_t)more[i];
		const uint64_t comes = more[i] > 0 ? len : sent;

		clean();
		for (j = 0; j < sent; j++)
			frame[j] = (uint8_t)(1 + j * 13 % 255);
		ck_assert_int_eq(send(ends[1], frame, sent, 0), (ssize_t)sent);
		ck_assert_int_eq(send(ends[1], "next", 4, 0), 4);
		errno = EXDEV;
		assert_moved(from_fd(map, shape, ends[0], &done),
			     more[i] > 0 ? VMMEM_ENOROOM : 0, comes);
		ck_assert_int_eq(errno, EXDEV);
		read_chain(map, shape, now);
		ck_assert_mem_eq(now, frame, comes);
		ck_assert(all_are(now + comes, 0, len - comes));
		expect_marks(map);
		/* The next one is still the next one. */
		ck_assert_int_eq(recv(ends[0], now, sizeof(now), 0), 4);
	}
}
END_TEST

/* A range, and a slice, are as good as a chain of one. */
START_TEST(ranges_and_slices)
{
	struct vmmem_slice slice;
	uint8_t bytes[64];
	int way;

	open_sockets(SOCK_SEQPACKET);
	assert_ok(vmmem_collection_slice(maps[RAM], 0x100, 0x1000, READ_WRITE,
					 &slice));
	for (way = 0; way < 2; way++) {
		fill_store();
		assert_moved(way ? vmmem_collection_to_fd(
					   maps[RAM], 0x110, 40, ends[0],
					   VMMEM_IO_POSITION,
					   VMMEM_IO_MESSAGE, &done) :
				   vmmem_slice_to_fd(&slice, 0x10, 40,
						     ends[0],
						     VMMEM_IO_POSITION,
						     VMMEM_IO_MESSAGE, &done),
			     0, 40);
		ck_assert_int_eq(recv(ends[1], bytes, 64, 0), 40);
		ck_assert_mem_eq(bytes, store + 0x110, 40);
		memset(bytes, 5, 64);
		clean();
		ck_assert_int_eq(send(ends[1], bytes, 30, 0), 30);
		ck_assert_int_eq(send(ends[1], bytes, 41, 0), 41);
		assert_moved(way ? vmmem_collection_from_fd(
					   maps[RAM], 0x110, 40, ends[0],
					   VMMEM_IO_POSITION,
					   VMMEM_IO_MESSAGE, &done) :
				   vmmem_slice_from_fd(&slice, 0x10, 40,
						       ends[0],
						       VMMEM_IO_POSITION,
						       VMMEM_IO_MESSAGE,
						       &done),
			     0, 30);
		ck_assert(all_are(store + 0x110, 5, 30));
		ck_assert_uint_eq(store[0x110 + 30], 0);
		expect_marks(RAM);
		assert_moved(vmmem_slice_from_fd(&slice, 0x10, 40, ends[0],
						 VMMEM_IO_POSITION,
						 VMMEM_IO_MESSAGE, &done),
			     VMMEM_ENOROOM, 40);
		ck_assert_uint_eq(store[0x110 + 40], 0);
	}
	/* Past the end of a slice, all or nothing. */
	assert_moved(vmmem_slice_to_fd(&slice, 0xfff, 2, ends[0],
				       VMMEM_IO_POSITION, VMMEM_IO_MESSAGE,
				       &done), VMMEM_EOUTOFRANGE, 0);
	ck_assert_int_eq(recv(ends[1], bytes, 64, 0), -1);
	vmmem_slice_release(&slice);
}
END_TEST

/* No bytes: a datagram of none, or the end; a stream is what it is. */
START_TEST(no_bytes)
{
	uint8_t bytes[64] = { 1, 2, 3 };

	make_chain(2);
	open_sockets(SOCK_DGRAM);
	ck_assert_int_eq(send(ends[1], bytes, 0, 0), 0);
	assert_moved(from_fd(RAM, 2, ends[0], &done), 0, 0);
	assert_moved(from_fd(CALLS, 2, ends[0], &done), -EAGAIN, 0);
	close_ends();

	open_sockets(SOCK_SEQPACKET);
	shutdown(ends[1], SHUT_WR);
	assert_moved(from_fd(RAM, 2, ends[0], &done), VMMEM_EEOF, 0);
	assert_moved(from_fd(CALLS, 2, ends[0], &done), VMMEM_EEOF, 0);
	close_ends();

	/* Of a stream nothing is taken that is not asked for. */
	open_sockets(SOCK_STREAM);
	ck_assert_int_eq(send(ends[1], frame, 1501, 0), 1501);
	assert_moved(from_fd(DEMAND, 2, ends[0], &done), 0, 1500);
	assert_moved(from_fd(RAM, 2, ends[0], &done), 0, 1);
	close_ends();
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(write(ends[1], frame, 3001), 3001);
	assert_moved(from_fd(RAM, 2, ends[0], &done), 0, 1500);
	assert_moved(from_fd(CALLS, 2, ends[0], &done), 0, 1500);
	assert_moved(from_fd(CALLS, 2, ends[0], &done), 0, 1);
}
END_TEST

/* What cannot be one message is refused before anything was moved. */
START_TEST(refused)
{
	const struct vmmem_range bad[] = { { 0, 100 }, { STORE_LEN - 50, 51 } };
	uint8_t byte;
	int i;

	open_sockets(SOCK_DGRAM);
	ck_assert_int_eq(send(ends[1], frame, 9, 0), 9);
	for (i = 0; i < MAPS; i++) {
		assert_moved(vmmem_collection_ranges_to_fd(
				     maps[i], bad, 2, 0, VMMEM_IO_REST,
				     ends[0], VMMEM_IO_POSITION,
				     VMMEM_IO_MESSAGE, &done, NULL),
			     VMMEM_EBADADDR, 0);
		assert_moved(vmmem_collection_ranges_from_fd(
				     maps[i], bad, 2, 0, VMMEM_IO_REST,
				     ends[0], VMMEM_IO_POSITION,
				     VMMEM_IO_MESSAGE, &done, NULL),
			     VMMEM_EBADADDR, 0);
	}
	/* A callback that refuses: nothing goes, and what is mapped waits. */
	make_chain(5);
	fail_from = 0x10000;
	for (i = DEMAND; i <= CALLS; i++)
		assert_moved(to_fd(i, 5, ends[0], &done), -ENXIO, 0);
	make_chain(3);
	assert_moved(from_fd(DEMAND, 3, ends[0], &done), -ENXIO, 0);
	ck_assert_int_eq(recv(ends[1], &byte, 1, 0), -1);
	ck_assert_int_eq(recv(ends[0], frame, sizeof(frame), 0), 9);
	/* Longer than the system makes them. */
	assert_moved(vmmem_collection_to_fd(maps[RAM], 0, STORE_LEN, ends[0],
					    VMMEM_IO_POSITION,
					    VMMEM_IO_MESSAGE | VMMEM_IO_SOME,
					    NULL),
		     VMMEM_EARGUMENT, 77);
	errno = EXDEV;
}
END_TEST

/* A message that arrived, and a callback that does not take all of it. */
START_TEST(lost_at_the_end)
{
	uint64_t done = 77;

	open_sockets(SOCK_DGRAM);
	memset(frame, 7, 9000);
	ck_assert_int_eq(send(ends[1], frame, 9000, 0), 9000);
	make_chain(7);
	chain[0] = (struct vmmem_range){ 0, 4000 };
	chain[1] = (struct vmmem_range){ 0x4000, 5000 };
	fail_from = 0x4000;
	assert_code(vmmem_collection_ranges_from_fd(
			    maps[CALLS], chain, 2, 0, VMMEM_IO_REST, ends[0],
			    VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, &done, NULL),
		    -ENXIO);
	ck_assert_uint_eq(done, 4000);
	ck_assert(all_are(store, 7, 4000));
}
END_TEST

/* What goes through the buffer, and one call, have a limit. */
START_TEST(limits)
{
	const uint64_t gib = UINT64_C(1) << 30;
	struct vmmem_region *region = NULL;
	struct vmmem_collection *large;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct vmmem_range two[] = { { 0, 1 }, { 0x1000, 0 } };

	fail_from = 0;
	assert_ok(vmmem_region_new_custom(0, 2 * gib, &call_ops, NULL,
					  &region));
	large = guest_of_one(region);
	two[1].len = BIG_LEN;
	open_sockets(SOCK_DGRAM);
	assert_moved(vmmem_collection_ranges_to_fd(
			     large, two, 2, 0, VMMEM_IO_REST, ends[0],
			     VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, &done, NULL),
		     -ENXIO, 0);
	fail_from = 5;
	assert_moved(vmmem_collection_ranges_to_fd(
			     large, two, 2, 0, VMMEM_IO_REST, ends[0],
			     VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, &done, NULL),
		     VMMEM_ETOOBIG, 0);
	assert_moved(vmmem_collection_ranges_from_fd(
			     large, two, 2, 0, VMMEM_IO_REST, ends[0],
			     VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, &done, NULL),
		     VMMEM_ETOOBIG, 0);
	assert_moved(vmmem_collection_to_fd(large, 0, gib + 1, fd,
					    VMMEM_IO_POSITION,
					    VMMEM_IO_MESSAGE, &done),
		     VMMEM_ETOOBIG, 0);
	vmmem_collection_unref(large);

	/* Room for more than any message can have is room. */
	assert_ok(vmmem_region_new_anonymous(0, 2 * gib, &region));
	large = guest_of_one(region);
	ck_assert_int_eq(send(ends[1], frame, 100, 0), 100);
	assert_moved(vmmem_collection_from_fd(large, 0, 2 * gib, ends[0],
					      VMMEM_IO_POSITION,
					      VMMEM_IO_MESSAGE, &done),
		     0, 100);
	assert_moved(vmmem_collection_to_fd(large, 0, gib, fd,
					    VMMEM_IO_POSITION,
					    VMMEM_IO_MESSAGE, &done), 0, gib);
	assert_moved(vmmem_collection_to_fd(large, 0, gib + 1, fd,
					    VMMEM_IO_POSITION,
					    VMMEM_IO_MESSAGE, &done),
		     VMMEM_ETOOBIG, 0);
	vmmem_collection_unref(large);
	close(fd);
}
END_TEST

/* A file is no place for messages, and takes them all the same. */
START_TEST(files)
{
	int fd = file_of(0);

	make_chain(9);
	fill_store();
	read_chain(RAM, 9, frame);
	assert_moved(vmmem_collection_ranges_to_fd(
			     maps[RAM], chain, shapes[9].count, 0,
			     VMMEM_IO_REST, fd, 0x1000, VMMEM_IO_MESSAGE,
			     &done, NULL), 0, 1100 * 16);
	clean();
	assert_moved(vmmem_collection_ranges_from_fd(
			     maps[RAM], chain, shapes[9].count, 0,
			     VMMEM_IO_REST, fd, 0x1000, VMMEM_IO_MESSAGE,
			     &done, NULL), 0, 1100 * 16);
	read_chain(RAM, 9, frame + 0x10000);
	ck_assert_mem_eq(frame, frame + 0x10000, 1100 * 16);
	assert_moved(vmmem_collection_ranges_from_fd(
			     maps[RAM], chain, 3, 0, VMMEM_IO_REST, fd,
			     0x1000 + 1100 * 16 - 5, VMMEM_IO_MESSAGE, &done,
						     NULL),
		     0, 5);
	assert_moved(vmmem_collection_ranges_from_fd(
			     maps[RAM], chain, 3, 0, VMMEM_IO_REST, fd,
			     0x100000, VMMEM_IO_MESSAGE, &done, NULL),
		     VMMEM_EEOF, 0);
	assert_moved(vmmem_collection_ranges_from_fd(
			     maps[RAM], chain, 3, 0, VMMEM_IO_REST, -1,
			     0x100000, VMMEM_IO_MESSAGE, &done,
						     NULL), -EBADF, 0);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io_message");
	TCase *tcase = tcase_create("io_message");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, one_out, 0, MAPS * SHAPES);
	tcase_add_loop_test(tcase, one_in, 0, MAPS * SHAPES);
	tcase_add_test(tcase, ranges_and_slices);
	tcase_add_test(tcase, no_bytes);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, lost_at_the_end);
	tcase_add_test(tcase, limits);
	tcase_add_test(tcase, files);
	suite_add_tcase(suite, tcase);
	return suite;
}
