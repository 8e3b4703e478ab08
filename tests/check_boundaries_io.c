/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * All forms of reading and writing by descriptor, with all pairs of an address,
 * or an offset in a slice, and a length at which arithmetic goes wrong, at all
 * such offsets of the file.
 */
#include "io_forms.h"
#include "spans.h"
#include "suite.h"

#define FILE_PAGES UINT64_C(3)

/*
 * What reading a file of FILE_PAGES, or writing to where all goes, returns of
 * 'len' bytes of which the guest, or the slice, has 'good' and then 'why'.
 */
static int
expect_transfer(const struct form *form, uint64_t good, int why, uint64_t len,
		uint64_t at, uint64_t *ret_done)
{
	const uint64_t room = at <= INT64_MAX ? INT64_MAX - at : 0;

	*ret_done = 0;
	if (len == 0)
		return 0;
	if (why != 0 && (!form->some || good == 0))
		return why;
	if (form->at && good > room) {
		if (!form->some || room == 0)
			return VMMEM_EFILERANGE;
		good = room;
		why = VMMEM_EFILERANGE;
	}
	*ret_done = good;
	if (!form->to_fd) {
		*ret_done = common(at, good, 0, FILE_PAGES * PAGE);
		if (*ret_done < good)
			/* Some: what is short has come to its end. */
			return form->some && *ret_done != 0 ? VMMEM_EPARTIAL :
							      VMMEM_EEOF;
	}
	return why;
}

/* One range of the guest, or of a slice, and one place in the file. */
static void
try_transfer(const struct form *form, int fd, uint64_t gpa, uint64_t offset,
	     uint64_t len, uint64_t at)
{
	const uint32_t access = form->to_fd ? VMMEM_PROT_READ :
					      VMMEM_PROT_WRITE;
	const struct vmmem_range chain[] = { { TOP, 0 }, { gpa, len } };
	uint64_t good, want_done, done = 77;
	struct vmmem_slice slice;
	int why, want, rc;

	if (!form->to_fd && !form->at)
		HOLDS(lseek(fd, (off_t)at, SEEK_SET) == (off_t)at, at, 0, 0);
	if (form->side == SLICE) {
		good = common(offset, len, 0, spans[3].len);
		why = good < len ? VMMEM_EOUTOFRANGE : 0;
		want = expect_transfer(form, good, why, len, at, &want_done);
		gpa = spans[3].start + offset;
		assert_ok(vmmem_region_slice(spans[3].region, 0, spans[3].len,
					     access, &slice));
		rc = form_part(form, &slice, offset, len, fd, at, &done);
	} else {
		why = expect_check(gpa, len, access, &good);
		want = expect_transfer(form, good, why, len, at, &want_done);
		if (form->side == RANGE)
			rc = form_range(form, map, gpa, len, fd, at, &done);
		else
			rc = form_ranges(form, map, chain, 2, fd, at, &done);
	}
	CODE(rc, want, form->side == SLICE ? offset : gpa, len, at);
	HOLDS(done == want_done, gpa, len, at);
	expect_marks(gpa, form->to_fd ? 0 : done);
	expect_bytes(gpa, form->to_fd ? 0 : done, 0xee);
}

/* A file of FILE_PAGES, or where all that is written goes. */
static int
open_file(const struct form *form)
{
	uint8_t page[PAGE];
	size_t i;
	int fd;

	if (form->to_fd) {
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		return fd;
	}
	fd = file_of(FILE_PAGES * PAGE);
	memset(page, 0xee, sizeof(page));
	for (i = 0; i < FILE_PAGES; i++)
		ck_assert_int_eq(pwrite(fd, page, PAGE, (off_t)(i * PAGE)),
				 (ssize_t)PAGE);
	return fd;
}

START_TEST(transfers)
{
	const struct form *form = &forms[_i];
	int fd = open_file(form);
	uint64_t at, len;
	size_t i, j;

	for (i = 0; i < ADDRESSES * LENGTHS; i++) {
		at = address(i / LENGTHS);
		len = length(i % LENGTHS);
		/* There a callback refuses, or is endless. */
		if (form->side != SLICE &&
		    common(at, len, spans[4].start, spans[4].len) != 0)
			continue;
		for (j = 0; j < (form->at ? NUMBERS : 1); j++) {
			/* That is where the file stands. */
			if (numbers[j] != VMMEM_IO_POSITION)
				try_transfer(form, fd, at, at, len,
					     numbers[j]);
		}
	}
	close(fd);
}
END_TEST

/* Ranges that are mapped, each of them, and together pass 2^64. */
START_TEST(chains)
{
	struct vmmem_range chain[5];
	uint64_t done, len;
	size_t count;
	int fd = open_file(&forms[0]), rc, want, i;

	for (count = 0; count < ARRAY_LEN(chain); count++)
		chain[count] = (struct vmmem_range){ spans[4].start,
						     UINT64_C(1) << 62 };
	for (i = 0; i < FORMS; i++) {
		const struct form *form = &forms[i];

		if (form->side != CHAIN || form->some || form->to_fd)
			continue;
		for (count = 1; count <= ARRAY_LEN(chain); count++) {
			len = count * (UINT64_C(1) << 62);
			done = 77;
			rc = form_ranges(form, map, chain, count, fd, 0,
					 &done);
			want = form->at && len > INT64_MAX ? VMMEM_EFILERANGE :
							     -EXDEV;
			CODE(rc, count < 4 ? want : VMMEM_EWRAPS, i, count,
			     0);
			HOLDS(done == 0, i, count, done);
		}
	}
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("boundaries_io");
	TCase *tcase = tcase_create("boundaries_io");

	tcase_add_checked_fixture(tcase, spans_setup, spans_teardown);
	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, transfers, 0, FORMS);
	tcase_add_test(tcase, chains);
	suite_add_tcase(suite, tcase);
	return suite;
}
