/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Transfers that fail, are interrupted, are short, or would have to wait: each
 * call once, and then by script.  What the kernel may have written is marked.
 */
#include "fault.h"
#include "inject_io.h"
#include "suite.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GPA UINT64_C(0x10000)
#define LEN UINT64_C(0x4000)
/* Two regions of LEN bytes that touch, in pages of this size of the log. */
#define PAGE UINT64_C(64)
/* A third one that is callbacks, and one behind it. */
#define CALLS (GPA + 2 * LEN)
#define CALLS_LEN UINT64_C(0x1000)
#define BEHIND (CALLS + CALLS_LEN)
/* 1025 regions of 16 bytes, nowhere side by side. */
#define MANY UINT64_C(0x100000)
#define MANY_COUNT 1025

static uint8_t calls_bytes[CALLS_LEN];
static _Alignas(16) uint8_t many_bytes[MANY_COUNT * 32];
static uint8_t bytes[0x10000];

static int
calls_read(void *opaque, uint64_t offset, void *buf, size_t len,
	   const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	memcpy(buf, calls_bytes + offset, len);
	return 0;
}

static int
calls_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	memcpy(calls_bytes + offset, buf, len);
	return 0;
}

static const struct vmmem_region_ops calls = {
	.size = sizeof(calls),
	.read = calls_read,
	.write = calls_write,
};

/* The world, made once in each test: nothing of it is made to fail. */
static struct vmmem_collection *guest;
static struct vmmem_region *regions[2];
static int file;

static struct vmmem_region *
build(struct vmmem_region_builder *builder)
{
	struct vmmem_region *region = NULL;

	ck_assert_int_eq(vmmem_region_builder_build(builder, &region), 0);
	vmmem_region_builder_free(builder);
	return region;
}

static void
setup(void)
{
	static struct vmmem_region *all[4 + MANY_COUNT];
	struct vmmem_region_builder *builder;
	size_t i;

	for (i = 0; i < 2; i++) {
		builder = vmmem_region_builder_new();
		vmmem_region_builder_set_range(builder, GPA + i * LEN, LEN);
		vmmem_region_builder_set_tracking(builder, PAGE);
		all[i] = regions[i] = build(builder);
		ck_assert_int_eq(vmmem_bitmap_start_logging(
			vmmem_region_bitmap(regions[i])), 0);
	}
	builder = vmmem_region_builder_new();
	vmmem_region_builder_set_range(builder, CALLS, CALLS_LEN);
	vmmem_region_builder_set_custom(builder, &calls, NULL);
	vmmem_region_builder_set_tracking(builder, PAGE);
	all[2] = build(builder);
	ck_assert_int_eq(vmmem_region_new_anonymous(BEHIND, 0x1000, &all[3]),
			 0);
	for (i = 0; i < MANY_COUNT; i++)
		ck_assert_int_eq(vmmem_region_new_external(
			MANY + i * 16, 16, many_bytes + i * 32, &all[4 + i]),
				 0);
	ck_assert_int_eq(vmmem_collection_new(all, 4 + MANY_COUNT, &guest), 0);
	for (i = 0; i < 4 + MANY_COUNT; i++)
		vmmem_region_unref(all[i]);

	file = memfd_create("io", MFD_CLOEXEC);
	ck_assert_int_ge(file, 0);
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256 + 1);
	ck_assert_int_eq(write(file, bytes, sizeof(bytes)), sizeof(bytes));
}

static void
teardown(void)
{
	close(file);
	guest = vmmem_collection_unref(guest);
}

/* ---- each call fails once ------------------------------------------------ */

static int
require_count(int rc, uint64_t done, uint64_t len)
{
	REQUIRE(rc != 0 || done == len);
	REQUIRE(rc == 0 || done < len);
	/* A signal handler's caller minds. */
	REQUIRE(errno == EXDEV);
	return rc;
}

/* Not by lseek(), which is made to fail. */
static void
rewind_file(int fd)
{
	REQUIRE(lseek64(fd, 0, SEEK_SET) == 0);
}

static int
one_region(void)
{
	uint64_t done = 77;
	int rc;

	errno = EXDEV;
	rc = vmmem_collection_from_fd(guest, GPA, 64, file, 0, 0, &done);
	rc = require_count(rc, done, 64);
	if (rc != 0)
		return rc;
	rc = vmmem_collection_to_fd(guest, GPA, 64, file, 0, 0, &done);
	return require_count(rc, done, 64);
}

/* The same where the file stands. */
static int
one_region_in_a_stream(void)
{
	uint64_t done = 77;
	int rc;

	rewind_file(file);
	errno = EXDEV;
	rc = vmmem_collection_from_fd(guest, GPA, 64, file, VMMEM_IO_POSITION,
				      0, &done);
	rc = require_count(rc, done, 64);
	if (rc != 0)
		return rc;
	rc = vmmem_collection_to_fd(guest, GPA, 64, file, VMMEM_IO_POSITION, 0,
				    &done);
	return require_count(rc, done, 64);
}

static int
several_regions(void)
{
	const uint64_t len = BEHIND + 0x1000 - GPA;
	uint64_t done = 77;
	int rc;

	errno = EXDEV;
	rc = vmmem_collection_from_fd(guest, GPA, len, file, 0, 0, &done);
	rc = require_count(rc, done, len);
	if (rc != 0)
		return rc;
	rc = vmmem_collection_to_fd(guest, GPA, len, file, 0, 0, &done);
	return require_count(rc, done, len);
}

/* Between the device and what is behind it poll() is asked. */
static int
some(void)
{
	const uint64_t len = BEHIND + 0x1000 - GPA;
	uint64_t done = 77;
	int rc;

	errno = EXDEV;
	rc = vmmem_collection_from_fd(guest, GPA, len, file, 0, VMMEM_IO_SOME,
				      &done);
	rc = require_count(rc, done, len);
	if (rc != 0)
		return rc;
	rc = vmmem_collection_to_fd(guest, GPA, len, file, 0, VMMEM_IO_SOME,
				    &done);
	return require_count(rc, done, len);
}

static int
slice(void)
{
	struct vmmem_slice slice;
	uint64_t done = 77;
	int rc;

	errno = EXDEV;
	REQUIRE(vmmem_collection_slice(guest, GPA, LEN,
				       VMMEM_PROT_READ | VMMEM_PROT_WRITE,
				       &slice) == 0);
	rc = vmmem_slice_from_fd(&slice, 8, 64, file, 0, 0, &done);
	rc = require_count(rc, done, 64);
	if (rc != 0)
		return rc;
	rc = vmmem_slice_to_fd(&slice, 8, 64, file, 0, VMMEM_IO_SOME, &done);
	return require_count(rc, done, 64);
}

static const scenario_fn scenarios[] = {
	one_region,
	one_region_in_a_stream,
	several_regions,
	some,
	slice,
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

START_TEST(test_scenario)
{
	fault_sweep(scenarios[_i], 0);
}
END_TEST

/* ---- transfers by script ------------------------------------------------- */

static void
clean(void)
{
	size_t i;

	for (i = 0; i < 2; i++)
		ck_assert_int_eq(vmmem_bitmap_clear(
			vmmem_region_bitmap(regions[i]), 0, LEN), 0);
}

/* Exactly the pages of [gpa, gpa + len) are marked. */
static void
expect_marked(uint64_t gpa, uint64_t len)
{
	uint64_t at;

	for (at = 0; at < 2 * LEN; at += PAGE) {
		struct vmmem_bitmap *bitmap =
			vmmem_region_bitmap(regions[at / LEN]);
		int marked = vmmem_bitmap_test(bitmap, at % LEN);
		int wanted = len != 0 && GPA + at + PAGE > gpa &&
			     GPA + at < gpa + len;

		ck_assert_msg(marked == wanted, "page at %#jx is %s",
			      (uintmax_t)at, marked ? "marked" : "clean");
	}
}

static void
expect_guest(uint64_t gpa, uint64_t at, uint64_t len)
{
	static uint8_t now[sizeof(bytes)];

	ck_assert_int_eq(vmmem_collection_read(guest, gpa, now, len, NULL), 0);
	ck_assert_mem_eq(now, bytes + at, len);
}

/* In one region, and across the seam. */
static const uint64_t places[] = { GPA + 0x100, GPA + LEN - 0x100 };
#define WANT UINT64_C(0x1000)

static struct script {
	const char *name;
	int64_t steps[6];
	size_t count;
	/* The exact form's result, and that of the other. */
	int code;
	uint64_t done;
	int some_code;
	uint64_t some_done;
	/* Some call failed: what it was given is marked. */
	int failed;
} scripts[] = {
	{ "short", { 1, 7, 0x100, 3 }, 4, 0, WANT, VMMEM_EPARTIAL, 1, 0 },
	{ "EINTR", { -EINTR, -EINTR }, 2, 0, WANT, 0, WANT, 1 },
	{ "EINTR, short", { -EINTR, 0x80, -EINTR, 0x80 }, 4, 0, WANT,
	  VMMEM_EPARTIAL, 0x80, 1 },
	{ "EAGAIN", { -EAGAIN }, 1, -EAGAIN, 0, -EAGAIN, 0, 1 },
	{ "EAGAIN later", { 0x40, -EAGAIN }, 2, -EAGAIN, 0x40, VMMEM_EPARTIAL,
	  0x40, 1 },
	{ "EIO later", { 0x200, 0x200, -EIO }, 3, -EIO, 0x400, VMMEM_EPARTIAL,
	  0x200, 1 },
	{ "EFAULT", { -EFAULT }, 1, VMMEM_EGONE, 0, VMMEM_EGONE, 0, 1 },
	{ "EFAULT later", { 0x40, -EFAULT }, 2, VMMEM_EGONE, 0x40,
	  VMMEM_EPARTIAL, 0x40, 1 },
	{ "none", { 0 }, 1, VMMEM_EEOF, 0, VMMEM_EEOF, 0, 0 },
	{ "none later", { 0x345, 0 }, 2, VMMEM_EEOF, 0x345, VMMEM_EPARTIAL,
	  0x345, 0 },
};
#define SCRIPTS (sizeof(scripts) / sizeof(scripts[0]))

static void
read_by(const struct script *script, uint64_t gpa, int is_some)
{
	uint64_t done = 77, window;
	unsigned int asked;
	int code = is_some ? script->some_code : script->code;
	uint64_t want = is_some ? script->some_done : script->done;
	int rc;

	ck_assert_int_eq(vmmem_collection_fill(guest, GPA, 2 * LEN, 0, NULL),
			 0);
	clean();
	inject_start(0, 0, false);
	inject_transfers(script->steps, script->count);
	rc = is_some ? vmmem_collection_from_fd(guest, gpa, WANT, file, 0x333,
						VMMEM_IO_SOME, &done) :
		       vmmem_collection_from_fd(guest, gpa, WANT, file, 0x333,
						0, &done);
	inject_stop();
	asked = inject_transferred().calls;
	ck_assert_msg(rc == code && done == want, "%s: %d, not %d; %ju bytes",
		      script->name, rc, code, (uintmax_t)done);
	expect_guest(gpa, 0x333, done);
	/* Nothing is asked for behind the first short one. */
	ck_assert(!is_some || asked <= 3);
	window = done;
	if (script->failed &&
	    (!is_some || script->steps[0] < 0))
		window = WANT;
	expect_marked(gpa, window);
	/* The rest is as it was. */
	ck_assert_int_eq(vmmem_collection_read(guest, gpa + done, bytes, 1,
					       NULL), 0);
	ck_assert_int_eq(bytes[0], 0);
	bytes[0] = 1;
}

START_TEST(reading_by_script)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		read_by(&scripts[_i], places[i], 0);
		read_by(&scripts[_i], places[i], 1);
	}
}
END_TEST

static void
write_by(const struct script *script, uint64_t gpa, int is_some)
{
	static uint8_t now[WANT];
	uint64_t done = 77;
	int code = is_some ? script->some_code : script->code;
	uint64_t want = is_some ? script->some_done : script->done;
	int rc;

	/* One who takes nothing has not ended. */
	if (code == VMMEM_EEOF)
		code = VMMEM_EPARTIAL;
	ck_assert_int_eq(vmmem_collection_write(guest, gpa, bytes + 5, WANT,
						NULL), 0);
	clean();
	memset(now, 0, sizeof(now));
	ck_assert_int_eq(pwrite(file, now, WANT, 0x333), WANT);
	inject_start(0, 0, false);
	inject_transfers(script->steps, script->count);
	rc = is_some ? vmmem_collection_to_fd(guest, gpa, WANT, file, 0x333,
					      VMMEM_IO_SOME, &done) :
		       vmmem_collection_to_fd(guest, gpa, WANT, file, 0x333, 0,
					      &done);
	inject_stop();
	ck_assert_msg(rc == code && done == want, "%s: %d, not %d; %ju bytes",
		      script->name, rc, code, (uintmax_t)done);
	ck_assert_int_eq(pread(file, now, WANT, 0x333), WANT);
	ck_assert_mem_eq(now, bytes + 5, done);
	ck_assert(done == WANT || now[done] == 0);
	expect_marked(gpa, 0);
}

START_TEST(writing_by_script)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		write_by(&scripts[_i], places[i], 0);
		write_by(&scripts[_i], places[i], 1);
	}
}
END_TEST

/* Short transfers through what is callbacks: no byte is lost or moved twice. */
START_TEST(short_through_callbacks)
{
	static const int64_t steps[] = { 0x10, -EINTR, 0x11, 0x777, 1,
					 0x800, -EINTR, 2, 3, 5 };
	const uint64_t gpa = CALLS - 0x20, len = 0x20 + CALLS_LEN + 0x30;
	static uint8_t now[0x2000];
	uint64_t done = 77;

	inject_start(0, 0, false);
	inject_transfers(steps, 10);
	ck_assert_int_eq(vmmem_collection_from_fd(guest, gpa, len, file, 0x100,
						  0, &done), 0);
	inject_stop();
	ck_assert_uint_eq(done, len);
	expect_guest(gpa, 0x100, len);
	inject_start(0, 0, false);
	inject_transfers(steps, 10);
	ck_assert_int_eq(vmmem_collection_to_fd(guest, gpa, len, file, 0x4000,
						0, &done), 0);
	inject_stop();
	ck_assert_uint_eq(done, len);
	ck_assert_int_eq(pread(file, now, len, 0x4000), (ssize_t)len);
	ck_assert_mem_eq(now, bytes + 0x100, len);
}
END_TEST

/* One call takes what it can: 1024 pieces, and then the last. */
START_TEST(calls_are_few)
{
	struct inject_transfers seen;
	uint64_t done = 77;

	inject_start(0, 0, false);
	inject_transfers(NULL, 0);
	ck_assert_int_eq(vmmem_collection_from_fd(guest, MANY, 1024 * 16, file,
						  0, 0, &done), 0);
	seen = inject_transferred();
	ck_assert_uint_eq(seen.calls, 1);
	ck_assert_int_eq(seen.pieces, 1024);
	ck_assert_int_eq(vmmem_collection_from_fd(guest, MANY, MANY_COUNT * 16,
						  file, 7, 0, &done), 0);
	seen = inject_transferred();
	ck_assert_uint_eq(seen.calls, 3);
	ck_assert_int_eq(seen.pieces, 1);
	ck_assert_int_eq(seen.offset, 7 + 1024 * 16);
	inject_stop();
	expect_guest(MANY, 7, MANY_COUNT * 16);
	inject_start(0, 0, false);
	inject_transfers(NULL, 0);
	ck_assert_int_eq(vmmem_collection_to_fd(guest, GPA, 2 * LEN, file, 0,
						0, &done), 0);
	seen = inject_transferred();
	ck_assert_uint_eq(seen.calls, 1);
	ck_assert_int_le(seen.pieces, 2);
	/* Where the file stands, no offset is told. */
	ck_assert_int_eq(vmmem_collection_to_fd(guest, GPA, 2 * LEN, file,
						VMMEM_IO_POSITION, 0,
						&done), 0);
	seen = inject_transferred();
	ck_assert(!inject_has_preadv2() || seen.offset == -1);
	inject_stop();
}
END_TEST

/* A system that has no preadv2() has those that it came from. */
START_TEST(older_systems)
{
	static const struct {
		int at, to_fd;
		long number;
	} calls_of[] = {
		{ 0, 0, SYS_readv },
		{ 0, 1, SYS_writev },
		{ 1, 0, SYS_preadv },
		{ 1, 1, SYS_pwritev },
	};
	static const int64_t steps[] = { -ENOSYS };
	const uint64_t gpa = GPA + LEN - 8;
	static uint8_t now[16];
	uint64_t done = 77;
	int rc;

	ck_assert_int_eq(vmmem_collection_write(guest, gpa, bytes, 16, NULL),
			 0);
	ck_assert_int_eq(lseek(file, 0x20, SEEK_SET), 0x20);
	inject_start(0, 0, false);
	inject_transfers(NULL, 0);
	inject_transfers(steps, inject_has_preadv2());
	if (calls_of[_i].to_fd)
		rc = calls_of[_i].at ?
			     vmmem_collection_to_fd(guest, gpa, 16, file, 0x20,
						    0, &done) :
			     vmmem_collection_to_fd(guest, gpa, 16, file,
						    VMMEM_IO_POSITION, 0,
						    &done);
	else
		rc = calls_of[_i].at ?
			     vmmem_collection_from_fd(guest, gpa, 16, file,
						      0x20, 0, &done) :
			     vmmem_collection_from_fd(guest, gpa, 16, file,
						      VMMEM_IO_POSITION, 0,
						      &done);
	inject_stop();
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(done, 16);
	ck_assert_uint_eq(inject_transferred().calls,
			  inject_has_preadv2() ? 2 : 1);
	ck_assert_int_eq(inject_transferred().number, calls_of[_i].number);
	ck_assert_int_eq(lseek(file, 0, SEEK_CUR),
			 calls_of[_i].at ? 0x20 : 0x30);
	if (calls_of[_i].to_fd)
		ck_assert_int_eq(pread(file, now, 16, 0x20), 16);
	else
		ck_assert_int_eq(vmmem_collection_read(guest, gpa, now, 16,
						       NULL), 0);
	ck_assert_mem_eq(now, bytes + (calls_of[_i].to_fd ? 0 : 0x20), 16);
}
END_TEST

/* A piece that is short is gone on with at the right place, piece by piece. */
START_TEST(short_among_many)
{
	static const int64_t steps[] = { 15, 1, 17, 31, 16 * 500 + 3, 1 };
	uint64_t done = 77;

	inject_start(0, 0, false);
	inject_transfers(steps, 6);
	ck_assert_int_eq(vmmem_collection_from_fd(guest, MANY, MANY_COUNT * 16,
						  file, 7, 0, &done), 0);
	inject_stop();
	ck_assert_uint_eq(done, MANY_COUNT * 16);
	expect_guest(MANY, 7, MANY_COUNT * 16);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, io");
	TCase *tcase = tcase_create("io");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_scenario, 0, SCENARIOS);
	tcase_add_loop_test(tcase, reading_by_script, 0, SCRIPTS);
	tcase_add_loop_test(tcase, writing_by_script, 0, SCRIPTS);
	tcase_add_test(tcase, short_through_callbacks);
	tcase_add_test(tcase, calls_are_few);
	tcase_add_loop_test(tcase, older_systems, 0, 4);
	tcase_add_test(tcase, short_among_many);
	suite_add_tcase(suite, tcase);
	return suite;
}
