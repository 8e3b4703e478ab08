/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* How far a batch of pieces has come, when some of their bytes were moved. */
#include "map/io_priv.h"
#include "suite.h"

#define PIECES 3
/* With one of a single byte, at the beginning, inside and at the end. */
static const size_t lens[][PIECES] = {
	{ 1, 7, 4 },
	{ 7, 1, 4 },
	{ 4, 7, 1 },
};

static unsigned char bytes[16];
static struct vmmem_io_batch batch;

static void
fill(const size_t *len)
{
	size_t i, at = 0;

	memset(&batch, 0, sizeof(batch));
	for (i = 0; i < PIECES; i++) {
		batch.iov[i] = (struct iovec){ bytes + at, len[i] };
		batch.logs[i].offset = 100 + at;
		at += len[i];
	}
	batch.count = PIECES;
	batch.len = at;
}

/* No piece without bytes is left: the next call would be made with it. */
static void
expect_done(const size_t *len, size_t done)
{
	size_t first = 0, end = len[0];
	const struct iovec *iov;

	while (first < PIECES && done >= end) {
		first++;
		if (first < PIECES)
			end += len[first];
	}
	ck_assert_uint_eq(batch.done, done);
	ck_assert_uint_eq(batch.first, first);
	if (first == PIECES)
		return;
	iov = &batch.iov[first];
	ck_assert_ptr_eq(iov->iov_base, bytes + done);
	ck_assert_uint_eq(iov->iov_len, end - done);
	ck_assert_uint_eq(batch.logs[first].offset, 100 + done);
}

/* In one step to each place, and in two. */
START_TEST(steps)
{
	const size_t *len = lens[_i];
	size_t to, by;

	fill(len);
	for (to = 1; to <= batch.len; to++) {
		for (by = 0; by < to; by++) {
			fill(len);
			if (by != 0)
				vmmem_io_advance(&batch, by);
			vmmem_io_advance(&batch, to - by);
			expect_done(len, to);
		}
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io_batch");
	TCase *tcase = tcase_create("io_batch");

	tcase_add_loop_test(tcase, steps, 0, 
			    (int)(sizeof(lens) / sizeof(lens[0])));
	suite_add_tcase(suite, tcase);
	return suite;
}
