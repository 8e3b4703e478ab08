/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* VMMEM_IO_MESSAGE with pipes and devices, which do not say what they keep. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "messages.h"
#include "suite.h"

/* Pipes that keep messages. */
START_TEST(packets_in_a_pipe)
{
	const int map = _i;

	make_chain(2);
	ck_assert_int_eq(pipe2(ends, O_DIRECT | O_NONBLOCK | O_CLOEXEC), 0);
	fill_store();
	assert_moved(to_fd(map, 2, ends[1], &done), 0, 1500);
	assert_moved(to_fd(map, 2, ends[1], &done), 0, 1500);
	clean();
	assert_moved(from_fd(map, 2, ends[0], &done), 0, 1500);
	ck_assert_int_eq(read(ends[0], frame, sizeof(frame)), 1500);
}
END_TEST

/*
 * Devices that the system would call once for each piece: an inotify
 * descriptor, whose events of 16 and 32 bytes come only whole, and as many as
 * fit.
 */
START_TEST(devices_take_one_piece)
{
	char name[] = "check-io-message-XXXXXX";
	const int map = _i;
	const struct vmmem_range small[] = { { 0x40, 8 }, { 0x2040, 24 } };
	struct inotify_event event;
	int fd, watch;

	ends[0] = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	ck_assert_int_ge(ends[0], 0);
	fd = mkostemp(name, O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	watch = inotify_add_watch(ends[0], name, IN_OPEN | IN_MODIFY);
	ck_assert_int_ge(watch, 0);
	ck_assert_int_eq(unlink(name), 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	clean();
	/* One piece of 8 bytes would be refused. */
	assert_moved(vmmem_collection_ranges_from_fd(
			     maps[map], small, 2, 0, VMMEM_IO_REST, ends[0],
			     VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, &done, NULL),
		     0, sizeof(event));
	assert_ok(vmmem_collection_read(maps[map], 0x40, &event, 8, NULL));
	assert_ok(vmmem_collection_read(maps[map], 0x2040,
					(uint8_t *)&event + 8,
					sizeof(event) - 8, NULL));
	ck_assert_int_eq(event.wd, watch);
	ck_assert_uint_eq(event.mask, IN_MODIFY);
	/* And a slice of one piece has room for one more byte all the same. */
	ck_assert_int_eq(write(fd, "x", 1), 1);
	assert_moved(vmmem_collection_from_fd(maps[map], 0x100, 64, ends[0],
					      VMMEM_IO_POSITION,
					      VMMEM_IO_MESSAGE, &done),
		     0, sizeof(event));
	close(fd);
}
END_TEST

/* One that is written in pieces: eight bytes are a message, fewer are none. */
START_TEST(devices_get_one_piece)
{
	const int map = _i;
	const struct vmmem_range halves[] = { { 0x41, 3 }, { 0x2040, 5 } };
	uint64_t number = 5, got = 0;

	ends[0] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_ge(ends[0], 0);
	assert_ok(vmmem_collection_write(maps[map], 0x41, &number, 3, NULL));
	assert_ok(vmmem_collection_write(maps[map], 0x2040,
					 (uint8_t *)&number + 3, 5, NULL));
	assert_moved(vmmem_collection_ranges_to_fd(
			     maps[map], halves, 2, 0, VMMEM_IO_REST, ends[0],
			     VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, &done, NULL),
		     0, 8);
	clean();
	assert_moved(vmmem_collection_ranges_from_fd(
			     maps[map], halves, 2, 0, VMMEM_IO_REST, ends[0],
			     VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, &done, NULL),
		     0, 8);
	assert_ok(vmmem_collection_read(maps[map], 0x41, &got, 3, NULL));
	assert_ok(vmmem_collection_read(maps[map], 0x2040,
					(uint8_t *)&got + 3, 5, NULL));
	ck_assert_uint_eq(got, 5);
}
END_TEST

#define ETHERTYPE 0x88b5 /* for experiments */

/* A tap device, and a socket that sees what goes through it. */
static bool
open_tap(void)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE),
	};

	ends[0] = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (ends[0] < 0 || ioctl(ends[0], TUNSETIFF, &request) != 0)
		return false;
	ends[1] = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			 htons(ETHERTYPE));
	if (ends[1] < 0 || ioctl(ends[1], SIOCGIFINDEX, &request) != 0)
		return false;
	at.sll_ifindex = request.ifr_ifindex;
	request.ifr_flags = IFF_UP | IFF_NOARP;
	return ioctl(ends[1], SIOCSIFFLAGS, &request) == 0 &&
	       bind(ends[1], (const struct sockaddr *)&at, sizeof(at)) == 0;
}

/* Frames of a tap device, in pieces: each is one. */
START_TEST(tap)
{
	const int map = _i;
	const struct vmmem_range pieces[] = { { 0, 14 }, { 0x3000, 100 },
					      { 0x5ff0, 200 } };
	static uint8_t now[2000];
	int rc;

	if (!open_tap())
		return;
	fill_store();
	memset(frame, 0, sizeof(frame));
	memset(frame, 0xff, 6);
	frame[12] = ETHERTYPE >> 8;
	frame[13] = ETHERTYPE & 0xff;
	assert_ok(vmmem_collection_write(maps[map], 0, frame, 14, NULL));
	assert_moved(vmmem_collection_ranges_to_fd(
			     maps[map], pieces, 3, 0, VMMEM_IO_REST, ends[0],
			     VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, &done, NULL),
		     0, 314);
	ck_assert_int_eq(recv(ends[1], now, sizeof(now), 0), 314);
	ck_assert_int_eq(recv(ends[1], now, sizeof(now), 0), -1);
	/* One that is as long as the room, and one that is longer. */
	ck_assert_int_eq(send(ends[1], frame, 314, 0), 314);
	ck_assert_int_eq(send(ends[1], frame, 1000, 0), 1000);
	ck_assert_int_eq(send(ends[1], frame, 314, 0), 314);
	for (rc = 0; rc == 0;) {
		uint64_t done = 77;

		/* The system may have frames of its own to send. */
		clean();
		rc = vmmem_collection_ranges_from_fd(
			maps[map], pieces, 3, 0, VMMEM_IO_REST, ends[0],
			VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, &done, NULL);
		ck_assert_uint_le(done, 314);
	}
	assert_code(rc, VMMEM_ENOROOM);
	assert_ok(vmmem_collection_read(maps[map], 0, now, 14, NULL));
	ck_assert_mem_eq(now, frame, 14);
	assert_moved(vmmem_collection_ranges_from_fd(
			     maps[map], pieces, 3, 0, VMMEM_IO_REST, ends[0],
			     VMMEM_IO_POSITION, VMMEM_IO_MESSAGE, &done, NULL),
		     0, 314);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io_message_devices");
	TCase *tcase = tcase_create("io_message_devices");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, packets_in_a_pipe, 0, MAPS);
	tcase_add_loop_test(tcase, devices_take_one_piece, 0, MAPS);
	tcase_add_loop_test(tcase, devices_get_one_piece, 0, MAPS);
	tcase_add_loop_test(tcase, tap, 0, MAPS);
	suite_add_tcase(suite, tcase);
	return suite;
}
