/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Descriptors and regions without a host address: those that are callbacks,
 * and those that are mapped on demand.
 */
#include "device.h"
#include "io_forms.h"
#include "slices.h"
#include "suite.h"

/* Memory, a device, memory, grants, memory; they all touch. */
#define GPA UINT64_C(0x10000)
#define DEVICE UINT64_C(0x11000)
#define BETWEEN (DEVICE + DEVICE_LEN)
#define GRANTS (BETWEEN + 0x1000)
#define ABOVE (GRANTS + GRANTS_LEN)
#define END (ABOVE + 0x1000)
#define LEN (END - GPA)

/* A region as large as can be, that does nothing. */
#define HUGE UINT64_C(0x100000)

static struct vmmem_collection *guest;
static struct device device;
static struct grants grants;
static uint8_t bytes[LEN];
static int file;

static int
read_nothing(void *opaque, uint64_t offset, void *buf, size_t len,
	     const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	(void)buf;
	(void)len;
	ck_abort_msg("called");
	return 0;
}

static int
write_nothing(void *opaque, uint64_t offset, const void *buf, size_t len,
	      const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	(void)buf;
	(void)len;
	ck_abort_msg("called");
	return 0;
}

static const struct vmmem_region_ops nothing = {
	.size = sizeof(nothing),
	.read = read_nothing,
	.write = write_nothing,
};

static void
setup(void)
{
	struct vmmem_region *regions[6] = {
		region_of(GPA, DEVICE - GPA),
		NULL,
		region_of(BETWEEN, GRANTS - BETWEEN),
		region_of_grants(GRANTS, &grants),
		region_of(ABOVE, END - ABOVE),
		NULL,
	};

	device_init(&device);
	assert_ok(vmmem_region_new_custom(DEVICE, DEVICE_LEN, &device_ops,
					  &device, &regions[1]));
	assert_ok(vmmem_region_new_custom(HUGE, TOP - HUGE, &nothing, NULL,
					  &regions[5]));
	guest = guest_of(regions, ARRAY_LEN(regions));
	file = file_with_pattern(LEN, 3);
}

static void
teardown(void)
{
	close(file);
	guest = vmmem_collection_unref(guest);
}

/* Everything, through every kind of region. */
START_TEST(moves_all)
{
	const struct form *form = &forms[_i];

	if (form->side == SLICE)
		return;
	if (form->to_fd) {
		pattern(bytes, LEN, 91);
		assert_ok(vmmem_collection_write(guest, GPA, bytes, LEN,
						 NULL));
	}
	grants.acquired = grants.released = 0;
	device.reads = device.writes = 0;
	seek(file, 0);
	assert_moved(form_call(form, guest, GPA, LEN, file, 0, &done), 0, LEN);
	/* A member of a chain ends in the device, and one begins there. */
	ck_assert_uint_ge(grants.acquired, 1);
	ck_assert_uint_le(grants.acquired, 2);
	expect_grants(&grants, grants.acquired);
	ck_assert_uint_eq(grants.acquires[0].access,
			  form->to_fd ? VMMEM_PROT_READ : VMMEM_PROT_WRITE);
	ck_assert_uint_le(device.reads + device.writes, 6);
	if (form->to_fd) {
		ck_assert_uint_eq(device.writes, 0);
		ck_assert_int_eq(pread(file, bytes, LEN, 0), (ssize_t)LEN);
		ck_assert(is_pattern(bytes, 0, LEN, 91));
	} else {
		ck_assert_uint_eq(device.reads, 0);
		assert_ok(vmmem_collection_read(guest, GPA, bytes, LEN, NULL));
		ck_assert(is_pattern(bytes, 0, LEN, 3));
	}
}
END_TEST

/* Slices of what is mapped on demand are acquired by who makes them. */
START_TEST(in_a_slice)
{
	const struct form *form = &forms[_i];

	if (form->side != SLICE)
		return;
	pattern(grants.bytes, GRANTS_LEN, 91);
	seek(file, 0x10);
	assert_moved(form_call(form, guest, GRANTS + 5, 0x400, file, 0x10,
			       &done), 0, 0x400);
	expect_grants(&grants, 1);
	if (form->to_fd)
		ck_assert_int_eq(pread(file, bytes, 0x400, 0x10), 0x400);
	ck_assert(form->to_fd ? is_pattern(bytes, 5, 0x400, 91) :
				is_pattern(grants.bytes + 5, 0x10, 0x400, 3));
}
END_TEST

/* A part of the device, and nothing but that. */
START_TEST(only_the_device)
{
	const struct form *form = &forms[_i];
	static const struct {
		uint64_t offset, len;
	} parts[] = {
		{ 0, 1 },      { 3, 4096 },	  { 8, 4096 },
		{ 1, 4097 },   { 5, 0x3ffb },	  { 0, DEVICE_LEN },
		{ 7, 0x1ff9 }, { DEVICE_LEN - 1, 1 },
	};
	size_t i;

	if (form->side == SLICE)
		return;
	for (i = 0; i < ARRAY_LEN(parts); i++) {
		const uint64_t offset = parts[i].offset, len = parts[i].len;

		memset(device.bytes, 0, DEVICE_LEN);
		pattern(device.bytes + offset, form->to_fd ? len : 0, 91);
		device.moved = 0;
		seek(file, 0x10);
		assert_moved(form_call(form, guest, DEVICE + offset, len, file,
				       0x10, &done), 0, len);
		ck_assert_uint_eq(device.moved, len);
		if (form->to_fd)
			ck_assert_int_eq(pread(file, bytes, len, 0x10),
					 (ssize_t)len);
		else
			ck_assert(is_pattern(device.bytes + offset, 0x10, len,
					     3));
		if (form->to_fd)
			ck_assert(is_pattern(bytes, 0, len, 91));
		ck_assert(all_are(device.bytes, 0, offset));
		ck_assert(all_are(device.bytes + offset + len, 0,
				  DEVICE_LEN - offset - len));
	}
}
END_TEST

/* No call of a callback ends within an aligned group of 8 bytes. */
START_TEST(groups_are_whole)
{
	const struct form *form = &forms[_i];

	if (form->side != RANGE)
		return;
	seek(file, 0);
	assert_moved(form_call(form, guest, DEVICE + 3, 4500, file, 0, &done),
		     0, 4500);
	ck_assert_uint_eq(device.last_offset, 4096);
	ck_assert_uint_eq(device.last_len, 3 + 4500 - 4096);
}
END_TEST

/* A callback that fails, and what has been moved before. */
START_TEST(callback_fails)
{
	const struct form *form = &forms[_i];
	const uint64_t before = 0x20 + 0x1000;

	if (form->side != RANGE)
		return;
	device.fail_from = 0x1000 + 7;
	seek(file, 0);
	assert_moved(form_call(form, guest, DEVICE - 0x20, 0x3000, file, 0,
			       &done), -EIO, before);
	if (!form->to_fd) {
		ck_assert(is_pattern(device.bytes, 0x20, 0x1000, 3));
		ck_assert(all_are(device.bytes + 0x1000, 0, 0x1000));
	} else if (!form->at) {
		ck_assert_uint_eq(position(file), before);
	}
	device.fail_code = 1;
	seek(file, 0);
	assert_moved(form_call(form, guest, DEVICE - 0x20, 0x3000, file, 0,
			       &done), VMMEM_ECALLBACK, before);
	/* That nothing is written after the first byte is no secret. */
	device.fail_from = 0;
	seek(file, 0);
	assert_moved(form_call(form, guest, DEVICE - 0x20, 0x3000, file, 0,
			       &done), VMMEM_ECALLBACK, 0x20);
}
END_TEST

START_TEST(acquiring_fails)
{
	const struct form *form = &forms[_i];
	const uint64_t before = 0x20;

	if (form->side == SLICE)
		return;
	grants.code = -ENXIO;
	seek(file, 0);
	assert_moved(form_call(form, guest, GRANTS - 0x20, 0x100, file, 0,
			       &done), -ENXIO, before);
	grants.code = 1;
	seek(file, 0);
	assert_moved(form_call(form, guest, GRANTS, 0x100, file, 0, &done),
		     VMMEM_ECALLBACK, 0);
	grants.code = 0;
	grants.null = 1;
	assert_moved(form_call(form, guest, GRANTS, 0x100, file, 0, &done),
		     VMMEM_EARGUMENT, 0);
	grants.null = 0;
	grants.skew = 1;
	assert_moved(form_call(form, guest, GRANTS, 0x100, file, 0, &done),
		     VMMEM_ECONGRUENCE, 0);
	/* Of a failing transfer, all that was acquired is released. */
	grants.skew = 0;
	grants.acquired = grants.released = 0;
	assert_moved(form_call(form, guest, GRANTS, 0x100, -1, 0, &done),
		     -EBADF, 0);
	ck_assert_uint_gt(grants.acquired, 0);
	expect_grants(&grants, grants.acquired);
}
END_TEST

/* A stream ends in the device: what came is there. */
START_TEST(end_within_the_device)
{
	const struct form *form = &forms[_i];

	if (form->side == SLICE || form->to_fd)
		return;
	ck_assert_int_eq(ftruncate(file, 0x20 + 0x1234), 0);
	seek(file, 0);
	assert_moved(form_call(form, guest, DEVICE - 0x20, 0x3000, file, 0,
			       &done),
		     form->some ? VMMEM_EPARTIAL : VMMEM_EEOF, 0x20 + 0x1234);
	ck_assert(is_pattern(device.bytes, 0x20, 0x1234, 3));
	ck_assert(all_are(device.bytes + 0x1234, 0, 0x100));
}
END_TEST

/* More pieces on demand than are held at once. */
START_TEST(many_grants)
{
	const struct form *form = &forms[_i];
	struct vmmem_range chain[GRANTS_MAX];
	size_t i;

	if (form->side != CHAIN)
		return;
	for (i = 0; i < GRANTS_MAX; i++)
		chain[i] = (struct vmmem_range){ GRANTS + i * 48, 17 };
	seek(file, 0);
	assert_moved(form_ranges(form, guest, chain, GRANTS_MAX, file, 0,
				 &done), 0, 17 * GRANTS_MAX);
	ck_assert_uint_eq(grants.acquired, GRANTS_MAX);
	ck_assert_uint_eq(grants.released, GRANTS_MAX);
	for (i = 0; !form->to_fd && i < GRANTS_MAX; i++)
		ck_assert(is_pattern(grants.bytes + i * 48, i * 17, 17, 3));
}
END_TEST

/*
 * O_DIRECT wants addresses, lengths and offsets to be aligned.  They stay so,
 * also where bytes go through a buffer.
 */
START_TEST(direct)
{
	const struct form *form = &forms[_i];
	const uint64_t gpa = form->side == SLICE ? ABOVE : GPA;
	const uint64_t len = form->side == SLICE ? 0x1000 : 0x3000;
	char name[] = "check-io-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(name), 0);
	pattern(bytes, 0x4000, form->to_fd ? 91 : 3);
	ck_assert_int_eq(write(fd, bytes, 0x4000), 0x4000);
	assert_ok(vmmem_collection_write(guest, gpa, bytes, len, NULL));
	/* Not every file system has it, and some want more than 4096. */
	if (form->side == CHAIN || fcntl(fd, F_SETFL, O_DIRECT) != 0 ||
	    pread(fd, host_of(guest, GPA), 0x1000, 0) != 0x1000) {
		close(fd);
		return;
	}
	seek(fd, 0x1000);
	assert_moved(form_call(form, guest, gpa, len, fd, 0x1000, &done), 0,
		     len);
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
	ck_assert_int_eq(pread(fd, bytes, len, 0x1000), (ssize_t)len);
	assert_ok(vmmem_collection_read(guest, gpa, bytes + len, len, NULL));
	ck_assert_mem_eq(bytes, bytes + len, len);
	close(fd);
}
END_TEST

/* No callback is called before all is checked. */
START_TEST(checks_come_first)
{
	const struct form *form = &forms[_i];
	const struct vmmem_range chain[] = {
		{ HUGE, UINT64_C(1) << 63 },
		{ HUGE, UINT64_C(1) << 63 },
	};

	if (form->side == SLICE || form->some)
		return;
	assert_moved(form_call(form, guest, DEVICE, LEN, file, 0, &done),
		     VMMEM_EBADADDR, 0);
	if (form->at)
		assert_moved(form_call(form, guest, DEVICE, 16, file,
				       INT64_MAX - 15, &done),
			     VMMEM_EFILERANGE, 0);
	ck_assert_uint_eq(device.reads + device.writes, 0);
	if (form->side != CHAIN)
		return;
	/* Its length has 65 bits. */
	assert_moved(form_ranges(form, guest, chain, 2, file, 0, &done),
		     VMMEM_EWRAPS, 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io_custom");
	TCase *tcase = tcase_create("io_custom");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, moves_all, 0, FORMS);
	tcase_add_loop_test(tcase, in_a_slice, 0, FORMS);
	tcase_add_loop_test(tcase, only_the_device, 0, FORMS);
	tcase_add_loop_test(tcase, groups_are_whole, 0, FORMS);
	tcase_add_loop_test(tcase, callback_fails, 0, FORMS);
	tcase_add_loop_test(tcase, acquiring_fails, 0, FORMS);
	tcase_add_loop_test(tcase, end_within_the_device, 0, FORMS);
	tcase_add_loop_test(tcase, many_grants, 0, FORMS);
	tcase_add_loop_test(tcase, direct, 0, FORMS);
	tcase_add_loop_test(tcase, checks_come_first, 0, FORMS);
	suite_add_tcase(suite, tcase);
	return suite;
}
