/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Pipes, sockets and devices: transfers that are short, that would have to
 * wait, and that end.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "device.h"
#include "io_forms.h"
#include "suite.h"

/* Three regions that touch; the second is a custom one. */
#define GPA UINT64_C(0x10000)
#define DEVICE UINT64_C(0x12000)
#define ABOVE (DEVICE + DEVICE_LEN)
#define END (ABOVE + 0x2000)

/* A seam without the device. */
#define TWO UINT64_C(0x40000)
#define SEAM UINT64_C(0x40040)

static struct vmmem_collection *guest;
static struct device device;
static uint8_t bytes[0x20000];
static int ends[2];

static void
setup(void)
{
	struct vmmem_region *regions[5] = {
		region_of(GPA, DEVICE - GPA),
		NULL,
		region_of(ABOVE, END - ABOVE),
		region_of(TWO, SEAM - TWO),
		region_of(SEAM, 0x100000),
	};

	device_init(&device);
	assert_ok(vmmem_region_new_custom(DEVICE, DEVICE_LEN, &device_ops,
					  &device, &regions[1]));
	guest = guest_of(regions, ARRAY_LEN(regions));
	ends[0] = ends[1] = -1;
}

static void
shut(int which)
{
	if (ends[which] >= 0)
		ck_assert_int_eq(close(ends[which]), 0);
	ends[which] = -1;
}

static void
teardown(void)
{
	shut(0);
	shut(1);
	guest = vmmem_collection_unref(guest);
}

static void
open_pipe(int flags)
{
	ck_assert_int_eq(pipe2(ends, flags | O_CLOEXEC), 0);
}

static void
open_sockets(int type)
{
	ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
}

/* Puts bytes [from, from + len) of the pattern into the stream. */
static void
put(size_t from, size_t len)
{
	pattern(bytes, from + len, 3);
	ck_assert_int_eq(write(ends[1], bytes + from, len), (ssize_t)len);
}

static void
assert_guest(uint64_t gpa, size_t from, size_t len)
{
	assert_ok(vmmem_collection_read(guest, gpa, bytes, len, NULL));
	ck_assert(is_pattern(bytes, from, len, 3));
}

/* Whether this form reads streams. */
static bool
reads(const struct form *form)
{
	return !form->to_fd && !form->at;
}

static uint64_t
place_of(const struct form *form)
{
	return form->side == SLICE ? SEAM : SEAM - 0x20;
}

/* Each read gives one packet, however much is asked for. */
START_TEST(packets)
{
	const struct form *form = &forms[_i];
	const uint64_t gpa = place_of(form);
	size_t i;

	if (!reads(form))
		return;
	open_sockets(SOCK_SEQPACKET);
	for (i = 0; i < 4; i++)
		put(i * 16, 16);
	assert_ok(vmmem_collection_fill(guest, gpa, 0x100, 0, NULL));
	if (form->some) {
		for (i = 0; i < 4; i++)
			assert_moved(form_call(form, guest, gpa + i * 16, 0x80,
					       ends[0], 0, &done),
				     VMMEM_EPARTIAL, 16);
	} else {
		assert_moved(form_call(form, guest, gpa, 64, ends[0], 0,
				       &done), 0, 64);
	}
	assert_guest(gpa, 0, 64);
	ck_assert_uint_eq(*host_of(guest, gpa + 64), 0);
}
END_TEST

/* Two regions that touch and log, in pages of 4 KiB. */
#define LOG UINT64_C(0x200000)
#define LOG_SEAM (LOG + 0x8000)
#define LOG_END (LOG_SEAM + 0x10000)

static struct vmmem_region *
tracked_region(uint64_t gpa, uint64_t len)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_region_builder_set_tracking(builder, 0x1000);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_bitmap_start_logging(vmmem_region_bitmap(region)));
	return region;
}

/* Just the pages of [gpa, gpa + len) are marked; and then not any more. */
static void
assert_marks(const struct vmmem_collection *map, uint64_t gpa, uint64_t len)
{
	const uint64_t first = gpa & ~UINT64_C(0xfff);
	struct vmmem_region *region;
	uint64_t page, offset;

	for (page = LOG; page < LOG_END; page += 0x1000) {
		struct vmmem_bitmap *bitmap;

		assert_ok(vmmem_collection_locate(map, page, &region, &offset));
		bitmap = vmmem_region_bitmap(region);
		ck_assert_msg(vmmem_bitmap_test(bitmap, offset) ==
				      (page >= first && page < gpa + len),
			      "page %u of [0x%x, +0x%x)",
			      (unsigned int)((page - LOG) / 0x1000),
			      (unsigned int)(gpa - LOG), (unsigned int)len);
		assert_ok(vmmem_bitmap_clear(bitmap, offset, 0x1000));
	}
}

/* Each part of a transfer is marked where it was written. */
START_TEST(packets_are_marked)
{
	const struct form *form = &forms[_i];
	struct vmmem_region *regions[2] = {
		tracked_region(LOG, LOG_SEAM - LOG),
		tracked_region(LOG_SEAM, LOG_END - LOG_SEAM),
	};
	struct vmmem_collection *map = guest_of(regions, 2);
	const uint64_t len = 0x6000;
	uint64_t packet, gpa, sent, part;

	open_sockets(SOCK_SEQPACKET);
	for (packet = 500; reads(form) && packet < len; packet += 700) {
		/* Within a region, and from one into the other. */
		gpa = packet % 200 == 100 || form->side == SLICE ?
			      LOG_SEAM + packet :
			      LOG + 0x4000 + packet % 0x1000;
		for (sent = 0; sent < len; sent += part) {
			part = len - sent < packet ? len - sent : packet;
			put(sent, part);
		}
		if (!form->some) {
			assert_moved(form_call(form, map, gpa, len, ends[0], 0,
					       &done), 0, len);
			assert_marks(map, gpa, len);
			continue;
		}
		assert_moved(form_call(form, map, gpa, len, ends[0], 0, &done),
			     VMMEM_EPARTIAL, packet);
		assert_marks(map, gpa, packet);
		while (recv(ends[0], bytes, 1, MSG_DONTWAIT) > 0)
			;
	}
	vmmem_collection_unref(map);
}
END_TEST

/* The end of a stream is told from one that has no more for now. */
START_TEST(would_block_or_end)
{
	const struct form *form = &forms[_i];
	const uint64_t gpa = place_of(form);
	const int none = form->some ? VMMEM_EPARTIAL : -EAGAIN;

	if (!reads(form))
		return;
	open_pipe(O_NONBLOCK);
	assert_moved(form_call(form, guest, gpa, 100, ends[0], 0, &done),
		     -EAGAIN, 0);
	put(0, 60);
	assert_moved(form_call(form, guest, gpa, 100, ends[0], 0, &done), none,
		     60);
	assert_guest(gpa, 0, 60);
	/* Resumed where it stopped. */
	put(60, 30);
	assert_moved(form_call(form, guest, gpa + 60, 40, ends[0], 0, &done),
		     none, 30);
	put(90, 10);
	assert_moved(form_call(form, guest, gpa + 90, 10, ends[0], 0, &done),
		     0, 10);
	assert_guest(gpa, 0, 100);
	put(100, 5);
	shut(1);
	assert_moved(form_call(form, guest, gpa + 100, 10, ends[0], 0, &done),
		     form->some ? VMMEM_EPARTIAL : VMMEM_EEOF, 5);
	assert_moved(form_call(form, guest, gpa + 105, 5, ends[0], 0, &done),
		     VMMEM_EEOF, 0);
	assert_guest(gpa, 0, 105);
}
END_TEST

/* What may wait for the first bytes does not wait for the next. */
START_TEST(some_do_not_wait)
{
	const struct form *form = &forms[_i];
	const uint64_t gpa = DEVICE - 16;
	size_t i;

	if (!reads(form) || !form->some || form->side == SLICE)
		return;
	open_pipe(0);
	put(0, 48);
	/* After the device's bytes a call ends, and with it the pipe. */
	assert_moved(form_call(form, guest, gpa, 48, ends[0], 0, &done), 0,
		     48);
	for (i = 0; i < 3; i++) {
		put(0, 16 + DEVICE_LEN);
		assert_moved(form_call(form, guest, gpa, 16 + DEVICE_LEN + 100,
				       ends[0], 0, &done), VMMEM_EPARTIAL,
			     16 + DEVICE_LEN);
		assert_guest(gpa, 0, 16 + DEVICE_LEN);
	}
	/* And where there is more, it is had. */
	put(0, 16 + DEVICE_LEN + 100);
	assert_moved(form_call(form, guest, gpa, 16 + DEVICE_LEN + 100,
			       ends[0], 0, &done), 0, 16 + DEVICE_LEN + 100);
	assert_guest(gpa, 0, 16 + DEVICE_LEN + 100);
	/*
	 * Also that there is no more at all.  (A chain's last call goes on
	 * behind the device, and is short.)
	 */
	put(0, 16 + DEVICE_LEN);
	shut(1);
	assert_moved(form_call(form, guest, gpa, 16 + DEVICE_LEN + 100,
			       ends[0], 0, &done),
		     form->side == CHAIN ? VMMEM_EPARTIAL : VMMEM_EEOF,
		     16 + DEVICE_LEN);
}
END_TEST

/* A socket that does not block takes what fits, and then some more. */
START_TEST(full_socket)
{
	const struct form *form = &forms[_i];
	const uint64_t gpa = place_of(form), len = 0xc0000;
	uint64_t sent = 0, got = 0;
	unsigned int stops = 0;
	ssize_t count;

	if (!form->to_fd || form->at)
		return;
	open_sockets(SOCK_STREAM | SOCK_NONBLOCK);
	for (sent = 0; sent < len; sent += sizeof(bytes) / 2) {
		pattern(bytes, sizeof(bytes) / 2, (unsigned int)(sent >> 16));
		assert_ok(vmmem_collection_write(guest, gpa + sent, bytes,
						 sizeof(bytes) / 2, NULL));
	}
	sent = 0;
	while (got < len) {
		uint64_t done = 77;
		int rc = 0;

		if (sent < len)
			rc = form_call(form, guest, gpa + sent, len - sent,
				       ends[1], 0, &done);
		if (sent < len) {
			ck_assert_uint_le(done, len - sent);
			sent += done;
			ck_assert(sent < len || rc == 0);
			ck_assert(sent == len || rc == -EAGAIN ||
				  (form->some && rc == VMMEM_EPARTIAL &&
				   done > 0));
			stops += rc != 0;
		}
		while ((count = read(ends[0], bytes, 0x1234)) > 0) {
			static uint8_t now[0x1234];

			assert_ok(vmmem_collection_read(guest, gpa + got, now,
							(size_t)count, NULL));
			ck_assert_mem_eq(now, bytes, (size_t)count);
			got += (uint64_t)count;
		}
		ck_assert_int_eq(errno, EAGAIN);
	}
	ck_assert_uint_gt(stops, 0);
	ck_assert_uint_eq(sent, len);
}
END_TEST

static void *
drain(void *counted)
{
	uint64_t *total = counted;
	uint8_t buf[777];
	ssize_t count;

	while ((count = read(ends[0], buf, sizeof(buf))) > 0)
		*total += (uint64_t)count;
	return NULL;
}

/* A pipe that blocks takes all, however slowly somebody reads. */
START_TEST(blocking_pipe)
{
	const struct form *form = &forms[_i];
	uint64_t total = 0;
	pthread_t thread;

	if (!form->to_fd || form->at)
		return;
	open_pipe(0);
	ck_assert_int_eq(pthread_create(&thread, NULL, drain, &total), 0);
	assert_moved(form_call(form, guest, place_of(form), 0xfff00, ends[1],
			       0, &done), 0, 0xfff00);
	shut(1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(total, 0xfff00);
}
END_TEST

static void *
feed(void *unused)
{
	size_t at;

	/* In pieces that meet no boundary of the guest's. */
	for (at = 0; at < sizeof(bytes); at += 37) {
		size_t len = sizeof(bytes) - at;

		if (write(ends[1], bytes + at, len < 37 ? len : 37) < 0)
			abort();
	}
	shut(1);
	return unused;
}

/* The exact forms wait until they have it all. */
START_TEST(slow_pipe)
{
	const struct form *form = &forms[_i];
	static uint8_t now[sizeof(bytes)];
	const uint64_t gpa = place_of(form);
	pthread_t thread;

	if (!reads(form) || form->some)
		return;
	open_pipe(0);
	pattern(bytes, sizeof(bytes), 3);
	ck_assert_int_eq(pthread_create(&thread, NULL, feed, NULL), 0);
	assert_moved(form_call(form, guest, gpa, sizeof(bytes), ends[0], 0,
			       &done), 0, sizeof(bytes));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	assert_ok(vmmem_collection_read(guest, gpa, now, sizeof(now), NULL));
	ck_assert(is_pattern(now, 0, sizeof(now), 3));
}
END_TEST

/* Positions in a stream are the system's to refuse. */
START_TEST(no_offsets_in_streams)
{
	const struct form *form = &forms[_i];

	if (!form->at)
		return;
	open_pipe(O_NONBLOCK);
	assert_moved(form_call(form, guest, SEAM, 8, ends[form->to_fd], 0,
			       &done), -ESPIPE, 0);
	assert_moved(form_call(form, guest, SEAM, 0, ends[form->to_fd], 0,
			       &done), 0, 0);
}
END_TEST

/* Nobody reads any more. */
START_TEST(broken_pipe)
{
	const struct form *form = &forms[_i];
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);

	if (form->to_fd && !form->at) {
		open_pipe(0);
		shut(0);
		assert_moved(form_call(form, guest, SEAM, 8, ends[1], 0,
				       &done), -EPIPE, 0);
	}
	signal(SIGPIPE, before);
}
END_TEST

static int
device_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(character_devices)
{
	const struct form *form = &forms[_i];
	const uint64_t gpa = place_of(form);
	int zero = device_file("/dev/zero", O_RDWR);
	int null = device_file("/dev/null", O_RDWR);
	int full = device_file("/dev/full", O_RDWR);
	int noise = device_file("/dev/urandom", O_RDONLY);
	int here = device_file("/", O_RDONLY | O_DIRECTORY);

	if (form->to_fd) {
		assert_moved(form_call(form, guest, gpa, 0x3000, zero, 0,
				       &done), 0, 0x3000);
		assert_moved(form_call(form, guest, gpa, 0x3000, null, 0,
				       &done), 0, 0x3000);
		assert_moved(form_call(form, guest, gpa, 0x3000, full, 0,
				       &done), -ENOSPC, 0);
		assert_moved(form_call(form, guest, gpa, 0x3000, noise, 0,
				       &done), -EBADF, 0);
	} else {
		assert_ok(vmmem_collection_fill(guest, gpa, 0x3001, 1, NULL));
		assert_moved(form_call(form, guest, gpa, 0x3000, zero, 0,
				       &done), 0, 0x3000);
		assert_ok(vmmem_collection_read(guest, gpa, bytes, 0x3001,
						NULL));
		ck_assert(all_are(bytes, 0, 0x3000) && bytes[0x3000] == 1);
		assert_moved(form_call(form, guest, gpa, 0x3000, null, 0,
				       &done), VMMEM_EEOF, 0);
		assert_moved(form_call(form, guest, gpa, 0x80, noise, 0,
				       &done), 0, 0x80);
		assert_ok(vmmem_collection_read(guest, gpa, bytes, 0x80,
						NULL));
		ck_assert(!all_are(bytes, 0, 0x80));
		assert_moved(form_call(form, guest, gpa, 0x80, here, 0, &done),
			     -EISDIR, 0);
	}
	close(zero);
	close(null);
	close(full);
	close(noise);
	close(here);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io_streams");
	TCase *tcase = tcase_create("io_streams");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, packets, 0, FORMS);
	tcase_add_loop_test(tcase, packets_are_marked, 0, FORMS);
	tcase_add_loop_test(tcase, would_block_or_end, 0, FORMS);
	tcase_add_loop_test(tcase, some_do_not_wait, 0, FORMS);
	tcase_add_loop_test(tcase, full_socket, 0, FORMS);
	tcase_add_loop_test(tcase, blocking_pipe, 0, FORMS);
	tcase_add_loop_test(tcase, slow_pipe, 0, FORMS);
	tcase_add_loop_test(tcase, no_offsets_in_streams, 0, FORMS);
	tcase_add_loop_test(tcase, broken_pipe, 0, FORMS);
	tcase_add_loop_test(tcase, character_devices, 0, FORMS);
	suite_add_tcase(suite, tcase);
	return suite;
}
