/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Between a buffer and a chain of ranges, and where it failed. */
#include <sys/uio.h>

#include <vmmem/chain.h>
#include <vmmem/io.h>

#include "device.h"
#include "iommus.h"
#include "suite.h"

/* Two regions that touch, a read-only one behind, then a hole. */
#define SIZE UINT64_C(0x1000)
#define RAM UINT64_C(0x10000)
#define ROM (RAM + 2 * SIZE)
#define HOLE (RAM + 3 * SIZE)
#define DEVICE UINT64_C(0x40000)
#define LAST (TOP - SIZE + 1)

static struct vmmem_collection *guest;
static struct device device;
static uint8_t buf[64];
static uint64_t bad;
static size_t done;

#define UNTOUCHED UINT64_C(0x5a5a)

static void
setup(void)
{
	struct vmmem_region *regions[5];
	size_t i;

	regions[0] = region_of(RAM, SIZE);
	regions[1] = region_of(RAM + SIZE, SIZE);
	regions[2] = region_with(ROM, SIZE, VMMEM_PROT_READ);
	device_init(&device);
	assert_ok(vmmem_region_new_custom(DEVICE, DEVICE_LEN, &device_ops,
					  &device, &regions[3]));
	regions[4] = region_of(LAST, SIZE);
	guest = guest_of(regions, 5);
	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i + 1);
	bad = UNTOUCHED;
	done = 99;
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
}

static int
write_chain(const struct vmmem_range *chain, size_t count, uint64_t skip,
	    size_t len, uint32_t flags)
{
	bad = UNTOUCHED;
	done = 99;
	return vmmem_collection_ranges_write(guest, chain, count, skip, buf,
					     len, flags, &done, &bad);
}

/* 20 bytes: across a seam, nothing at an address that is nowhere, a device. */
static const struct vmmem_range good[] = {
	{ RAM + SIZE - 6, 10 },
	{ HOLE, 0 },
	{ DEVICE + 8, 4 },
	{ RAM, 6 },
};

START_TEST(there_and_back)
{
	uint8_t back[64] = { 0 }, plain[10];
	size_t skip, len, i;

	for (skip = 0; skip <= 20; skip++) {
		for (len = 0; len <= 20 - skip; len++) {
			assert_ok(vmmem_collection_ranges_fill(
				guest, good, 4, 0, VMMEM_IO_REST, 0xff, 0,
				NULL, NULL));
			assert_ok(write_chain(good, 4, skip, len, 0));
			ck_assert_uint_eq(done, len);
			ck_assert_uint_eq(bad, UNTOUCHED);
			assert_ok(vmmem_collection_ranges_read(
				guest, good, 4, 0, back, 20, 0, &done, &bad));
			ck_assert_uint_eq(done, 20);
			for (i = 0; i < 20; i++)
				ck_assert_uint_eq(back[i],
						  i < skip || i >= skip + len ?
							  0xff :
							  buf[i - skip]);
		}
	}
	/* And they are where the ranges say. */
	assert_ok(write_chain(good, 4, 0, 20, 0));
	assert_ok(vmmem_collection_read(guest, RAM + SIZE - 6, plain, 10,
					NULL));
	ck_assert_mem_eq(plain, buf, 10);
	ck_assert_mem_eq(device.bytes + 8, buf + 10, 4);
	assert_ok(vmmem_collection_read(guest, RAM, plain, 6, NULL));
	ck_assert_mem_eq(plain, buf + 14, 6);
}
END_TEST

START_TEST(too_short)
{
	uint64_t filled = 99;

	assert_code(write_chain(good, 4, 1, 20, 0), VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(bad, UNTOUCHED);
	assert_code(write_chain(good, 4, 1, 20, VMMEM_CHAIN_SOME),
		    VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(done, 19);
	assert_code(write_chain(good, 4, 21, 1, VMMEM_CHAIN_SOME),
		    VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(done, 0);
	assert_code(write_chain(NULL, 0, 0, 1, 0), VMMEM_EOUTOFRANGE);
	/* What a difference below 0 becomes. */
	assert_code(write_chain(good, 4, 0, SIZE_MAX, 0), VMMEM_EOUTOFRANGE);
	ck_assert_uint_eq(done, 0);
	assert_ok(write_chain(NULL, 0, 5, 0, 0));
	ck_assert_uint_eq(done, 0);
	assert_ok(vmmem_collection_ranges_fill(guest, good, 4, 20,
					       VMMEM_IO_REST, 1, 0, &filled,
					       NULL));
	ck_assert_uint_eq(filled, 0);
	assert_code(vmmem_collection_ranges_fill(guest, good, 4, 21,
						 VMMEM_IO_REST, 1, 0, NULL,
						 NULL),
		    VMMEM_EOUTOFRANGE);
}
END_TEST

/* The last range fails at its sixth byte, with this code. */
static const struct {
	struct vmmem_range range;
	int code;
} failing[] = {
	{ { ROM - 5, 8 }, VMMEM_EDENIED },
	{ { DEVICE + DEVICE_LEN - 5, 8 }, VMMEM_EBADADDR },
	{ { TOP - 4, 8 }, VMMEM_EWRAPS },
};

START_TEST(fails_somewhere)
{
	const struct vmmem_range chain[] = {
		{ RAM + 16, 8 }, { HOLE, 0 }, failing[_i].range,
	};
	const int code = failing[_i].code;
	const uint64_t at = code == VMMEM_EWRAPS ? UNTOUCHED :
						   chain[2].gpa + 5;
	uint64_t filled;

	assert_code(write_chain(chain, 3, 2, 14, 0), code);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(bad, at);
	ck_assert_uint_eq(*host_of(guest, RAM + 18), 0);
	ck_assert_uint_eq(device.writes, 0);
	assert_code(write_chain(chain, 3, 2, 14, VMMEM_CHAIN_SOME), code);
	ck_assert_uint_eq(done, 11);
	ck_assert_uint_eq(bad, at);
	ck_assert_mem_eq(host_of(guest, RAM + 18), buf, 6);
	bad = UNTOUCHED;
	assert_code(vmmem_collection_ranges_fill(guest, chain, 3, 0,
						 VMMEM_IO_REST, 7,
						 VMMEM_CHAIN_SOME, &filled,
						 &bad),
		    code);
	ck_assert_uint_eq(filled, 13);
	ck_assert_uint_eq(bad, at);
	/* Nobody wants to know. */
	assert_code(vmmem_collection_ranges_write(guest, chain, 3, 2, buf, 14,
						  0, NULL, NULL),
		    code);
}
END_TEST

/* The same of those that only find the place. */
START_TEST(others_tell_too)
{
	const struct vmmem_range chain[] = {
		{ RAM + 16, 8 }, { HOLE, 0 }, failing[_i].range,
	};
	const int code = failing[_i].code;
	const uint64_t at = code == VMMEM_EWRAPS ? UNTOUCHED :
						   chain[2].gpa + 5;
	struct vmmem_slice slices[8];
	struct iovec iov[8];
	uint64_t moved;
	size_t count;

	/* A device has no address at all, so that is what is bad there. */
	if (_i != 1) {
		bad = UNTOUCHED;
		assert_code(vmmem_collection_iovec_ranges(
				    guest, chain, 3, VMMEM_PROT_WRITE, iov, 8,
				    &count, &bad),
			    code);
		ck_assert_uint_eq(bad, at);
		bad = UNTOUCHED;
		assert_code(vmmem_collection_slice_list(
				    guest, chain, 3, VMMEM_PROT_WRITE, slices,
				    8, &count, &bad),
			    code);
		ck_assert_uint_eq(bad, at);
	} else {
		assert_code(vmmem_collection_iovec(
				    guest, chain[2].gpa, 4, VMMEM_PROT_WRITE,
				    iov, 8, &count, &bad),
			    VMMEM_ENOHOST);
		ck_assert_uint_eq(bad, chain[2].gpa);
	}
	/* Checked before the descriptor is looked at. */
	bad = UNTOUCHED;
	assert_code(vmmem_collection_ranges_from_fd(guest, chain, 3, 2, 14, -1,
						    0, 0, &moved, &bad),
		    code);
	ck_assert_uint_eq(bad, at);
	ck_assert_uint_eq(moved, 0);
}
END_TEST

START_TEST(a_callback_fails)
{
	device.fail_from = 10;
	assert_code(write_chain(good, 4, 0, 20, 0), device.fail_code);
	ck_assert_uint_eq(done, 10);
	ck_assert_uint_eq(bad, DEVICE + 8);
}
END_TEST

START_TEST(arguments)
{
	uint8_t byte;

	assert_code(vmmem_collection_ranges_read(NULL, good, 4, 0, &byte, 1, 0,
						 &done, &bad),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_ranges_read(guest, NULL, 4, 0, &byte, 1,
						 0, &done, &bad),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_ranges_read(guest, good, 4, 0, NULL, 1, 0,
						 &done, &bad),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_ranges_write(guest, good, 4, 0, NULL, 1,
						  0, &done, &bad),
		    VMMEM_EARGUMENT);
	assert_code(write_chain(good, 4, 0, 1, 2), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_ranges_fill(guest, good, 4, 0, 1, 0, 2,
						 NULL, NULL),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(done, 99);
	ck_assert_uint_eq(bad, UNTOUCHED);
	assert_ok(vmmem_collection_ranges_read(guest, NULL, 0, 0, NULL, 0, 0,
					       &done, &bad));
	ck_assert_uint_eq(done, 0);
}
END_TEST

/* More bytes than can be counted, and ranges that wrap before 'skip'. */
START_TEST(without_end)
{
	const struct vmmem_range chain[] = {
		{ RAM, UINT64_MAX }, { RAM, UINT64_MAX }, { RAM, 4 },
	};
	uint64_t filled;

	assert_ok(vmmem_collection_ranges_write(guest, chain, 3, 8, buf, 8, 0,
						NULL, NULL));
	assert_ok(vmmem_collection_ranges_write(guest, chain, 3, UINT64_MAX,
						buf, 8, 0, NULL, NULL));
	ck_assert_mem_eq(host_of(guest, RAM), buf, 8);
	assert_code(vmmem_collection_ranges_fill(guest, chain, 3, 0,
						 VMMEM_IO_REST, 0, 0, &filled,
						 &bad),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(bad, ROM);
}
END_TEST

/* One question for each byte that is missing, and then it is known where. */
START_TEST(through_an_iommu)
{
	const struct vmmem_range chain[] = {
		{ IOVA + 0x1000 - 8, 8 }, { IOVA + 0x3000 - 4, 8 },
	};
	struct vmmem_slice slices[4];
	struct iovec iov[4];
	uint64_t moved;
	size_t count;
	int before;

	see_setup();
	see_map(IOVA, 0x3000, 0x1000, RW);
	see_map(IOVA + 0x2000, 0x4000, 0x1000, R);
	answer = VMMEM_EIOMMUMISS;
	before = asked.count;
	assert_code(vmmem_collection_ranges_read(see.map, chain, 2, 0, buf, 16,
						 0, &done, &bad),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(bad, IOVA + 0x3000);
	ck_assert_uint_eq(done, 0);
	ck_assert_int_eq(asked.count, before + 1);
	assert_code(vmmem_collection_ranges_read(see.map, chain, 2, 0, buf, 16,
						 VMMEM_CHAIN_SOME, &done, &bad),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(bad, IOVA + 0x3000);
	ck_assert_uint_eq(done, 12);
	/* What is only read is not written, whatever the handler says of it. */
	answer = VMMEM_EDENIED;
	assert_code(vmmem_collection_ranges_write(see.map, chain, 2, 0, buf,
						  16, 0, &done, &bad),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(bad, IOVA + 0x3000 - 4);
	answer = VMMEM_EIOMMUMISS;
	bad = 0;
	assert_code(vmmem_collection_iovec_ranges(see.map, chain, 2, R, iov, 4,
						  &count, &bad),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(bad, IOVA + 0x3000);
	bad = 0;
	assert_code(vmmem_collection_slice_list(see.map, chain, 2, R, slices,
						4, &count, &bad),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(bad, IOVA + 0x3000);
	bad = 0;
	assert_code(vmmem_collection_ranges_to_fd(see.map, chain, 2, 0,
						  VMMEM_IO_REST, -1, 0, 0,
						  &moved, &bad),
		    VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(bad, IOVA + 0x3000);
	see_close();
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("chain");
	TCase *tcase = tcase_create("chain");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, there_and_back);
	tcase_add_test(tcase, too_short);
	tcase_add_loop_test(tcase, fails_somewhere, 0, ARRAY_LEN(failing));
	tcase_add_loop_test(tcase, others_tell_too, 0, ARRAY_LEN(failing));
	tcase_add_test(tcase, a_callback_fails);
	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, without_end);
	tcase_add_test(tcase, through_an_iommu);
	suite_add_tcase(suite, tcase);
	return suite;
}
