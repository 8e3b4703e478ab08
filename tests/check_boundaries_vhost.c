/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A front end that sends each of the numbers at which arithmetic goes wrong, in
 * each field of its rows, its log, its descriptors and the messages of its
 * IOMMU, in pairs and by threes; and asks for what such user addresses mean.
 */
#include "boundaries.h"
#include "iotlbs.h"
#include "suite.h"
#include "tables.h"

#include <vmmem/vhost.h>

#define RW (VMMEM_PROT_READ | VMMEM_PROT_WRITE)
#define LOG_LEN UINT64_C(8)

static int file;
static struct vmmem_iotlb *iotlb;

/* The row that is there, and stays whatever is refused. */
static struct vmmem_vhost_region good_row = {
	.len = PAGE, .user_address = 4 * PAGE,
};

/*
 * Rows at the ends of both worlds.  Some go on in one of these or in both, and
 * some would if the first address were behind the last.
 */
static const struct vmmem_vhost_region rows[] = {
	{ 0, PAGE, (UINT64_C(1) << 32) + 2 * PAGE, 0 },
	{ PAGE, PAGE, UINT64_C(1) << 63, PAGE },
	{ (UINT64_C(1) << 31) - PAGE, 2 * PAGE, 0 - 2 * PAGE, 2 * PAGE },
	{ (UINT64_C(1) << 31) + PAGE, PAGE, 0, 4 * PAGE },
	{ UINT64_C(1) << 32, PAGE, PAGE, 5 * PAGE },
	{ 0 - 2 * PAGE, PAGE, UINT64_C(1) << 32, 6 * PAGE },
	{ 0 - PAGE, PAGE, (UINT64_C(1) << 32) + PAGE, 7 * PAGE },
	{ UINT64_C(1) << 63, PAGE, (UINT64_C(1) << 63) - PAGE, 8 * PAGE },
};
#define ROWS ARRAY_LEN(rows)

static void
setup(void)
{
	struct vmmem_vhost_options options = { .size = sizeof(options) };

	file = sealed_file(FILE_LEN, 1);
	assert_ok(iotlb_of(16, &iotlb));
	options.iotlb = iotlb;
	make_vhost(&options);
}

static void
teardown(void)
{
	drop_vhost();
	iotlb = vmmem_iotlb_unref(iotlb);
	close(file);
}

static void
set_rows(void)
{
	int fds[ROWS];
	size_t i;

	for (i = 0; i < ROWS; i++)
		fds[i] = file;
	assert_ok(vmmem_vhost_set_table(vhost, rows, ROWS, fds, ROWS));
}

/* ---- tables and logs ---------------------------------------------------- */

static int
expect_file(uint64_t offset, uint64_t len)
{
	if ((wide)offset + len > INT64_MAX)
		return VMMEM_EWRAPS;
	return len != 0 && offset + len > FILE_LEN ? VMMEM_EPASTEOF : 0;
}

/* What the good row and this one are together. */
static int
expect_row(const struct vmmem_vhost_region *row, bool logged)
{
	const wide end = (wide)row->gpa + row->len;

	if (row->len == 0)
		return VMMEM_EZEROLEN;
	if (end > END || (wide)row->user_address + row->len > END)
		return VMMEM_EWRAPS;
	if (common(row->gpa, row->len, good_row.gpa, good_row.len) != 0)
		return VMMEM_EOVERLAP;
	if (common(row->user_address, row->len, good_row.user_address,
		   good_row.len) != 0)
		return VMMEM_EUSEROVERLAP;
	if (logged && end > LOG_LEN * 8 * VMMEM_VHOST_LOG_PAGE)
		return VMMEM_ELOGSHORT;
	if (row->gpa % 16 != row->offset % 16)
		return VMMEM_ECONGRUENCE;
	return expect_file(row->offset, row->len);
}

static void
try_row(const struct vmmem_vhost_region *row, bool logged)
{
	const struct vmmem_vhost_region both[] = { *row, good_row };
	const int want = expect_row(row, logged), fds[] = { file, file };
	const uint64_t generation = vmmem_space_generation(space);
	uint8_t payload[8 + sizeof(*row)] = { 0 };

	memcpy(payload + 8, row, sizeof(*row));
	CODE(vmmem_vhost_message(vhost, VMMEM_VHOST_ADD_MEM_REG, payload,
				 sizeof(payload), fds, 1, NULL),
	     want, row->gpa, row->len, row->offset);
	if (want == 0) {
		HOLDS(vmmem_vhost_count(vhost) == 2, row->gpa, row->len, 0);
		CODE(vmmem_vhost_message(vhost, VMMEM_VHOST_REM_MEM_REG,
					 payload, sizeof(payload), NULL, 0,
					 NULL),
		     0, row->gpa, row->len, row->offset);
	} else {
		CODE(vmmem_vhost_set_table(vhost, both, 2, fds, 2), want,
		     row->gpa, row->len, row->user_address);
		CODE(vmmem_vhost_message(vhost, VMMEM_VHOST_REM_MEM_REG,
					 payload, sizeof(payload), NULL, 0,
					 NULL),
		     VMMEM_ENOREGION, row->gpa, row->len, row->offset);
		HOLDS(vmmem_space_generation(space) == generation, row->gpa,
		      row->len, row->user_address);
	}
	HOLDS(vmmem_vhost_count(vhost) == 1, row->gpa, row->len, want);
}

/* Without a log, and with one that ends below most of these addresses. */
START_TEST(of_rows)
{
	const bool logged = _i != 0;
	struct vmmem_vhost_region row;
	size_t i, files;

	good_row.gpa = logged ? 0 : 4 * PAGE;
	assert_ok(vmmem_vhost_set_table(vhost, &good_row, 1, &file, 1));
	if (logged)
		assert_ok(vmmem_vhost_set_log(vhost, file, 0, LOG_LEN));
	files = open_files();
	FOR_PAIRS(address, len) {
		for (i = 0; i < NUMBERS; i++) {
			row = row_of(address, len, numbers[i]);
			row.user_address = UINT64_C(1) << 40;
			try_row(&row, logged);
			row.offset = address % 16;
			row.user_address = numbers[i];
			try_row(&row, logged);
		}
	}
	ck_assert_int_eq(byte_at(good_row.gpa), 1);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	ck_assert_uint_eq(open_files(), files);
}
END_TEST

START_TEST(of_logs)
{
	static const uint64_t more[] = { 7,  8,  9,		16,
					 23, 24, FILE_LEN - 8, FILE_LEN };
	const size_t count = NUMBERS + ARRAY_LEN(more);
	struct vmmem_bitmap *before;
	uint64_t offset, len;
	size_t i, j;
	int want;

	assert_ok(vmmem_vhost_set_table(vhost, &good_row, 1, &file, 1));
	for (i = 0; i < count * count; i++) {
		j = i / count;
		offset = j < NUMBERS ? numbers[j] : more[j - NUMBERS];
		j = i % count;
		len = j < NUMBERS ? numbers[j] : more[j - NUMBERS];
		want = len == 0 ? VMMEM_EZEROLEN : expect_file(offset, len);
		/* In pages of 4 KiB, 8 to a byte. */
		if (want == 0 && good_row.gpa + good_row.len >
					 len * 8 * VMMEM_VHOST_LOG_PAGE)
			want = VMMEM_ELOGSHORT;
		before = vmmem_vhost_log(vhost);
		CODE(vmmem_vhost_set_log(vhost, file, offset, len), want,
		     offset, len, 0);
		if (want == 0)
			HOLDS(vmmem_bitmap_len(vmmem_vhost_log(vhost)) ==
				      len * 8 * VMMEM_VHOST_LOG_PAGE,
			      offset, len, 0);
		else
			HOLDS(vmmem_vhost_log(vhost) == before, offset, len,
			      want);
	}
}
END_TEST

/* Lengths of payloads, of which no more is there, and of their arrays. */
START_TEST(of_messages)
{
	static const uint32_t requests[] = {
		VMMEM_VHOST_SET_MEM_TABLE, VMMEM_VHOST_SET_LOG_BASE,
		VMMEM_VHOST_IOTLB_MSG, VMMEM_VHOST_ADD_MEM_REG,
		VMMEM_VHOST_REM_MEM_REG,
	};
	static const uint32_t payload[2] = { 1 };
	const int fds[] = { file };
	size_t i;
	int want;

	FOR_PAIRS(len, count) {
		for (i = 0; i < ARRAY_LEN(requests); i++)
			CODE(vmmem_vhost_message(vhost, requests[i], payload,
						 len, fds, count, NULL),
			     VMMEM_EMESSAGE, requests[i], len, count);
		CODE(vmmem_vhost_message(vhost, (uint32_t)len, payload, 1, fds,
					 count, NULL),
		     VMMEM_EMESSAGE, len, count, 0);
		want = len > VMMEM_VHOST_REGIONS_MAX ? VMMEM_EREGIONCOUNT :
		       len != count		     ? VMMEM_EDESCRIPTORS :
							     0;
		CODE(vmmem_vhost_set_table(vhost, &good_row, len, fds, count),
		     want, len, count, 0);
		HOLDS(want != 0 || vmmem_vhost_count(vhost) == len, len, count,
		      0);
		CODE(vmmem_vhost_at(vhost, len, NULL, NULL),
		     len < vmmem_vhost_count(vhost) ? 0 : VMMEM_EOUTOFRANGE,
		     len, count, 0);
	}
}
END_TEST

/* ---- user addresses ----------------------------------------------------- */

static uint64_t
key_of(const struct vmmem_vhost_region *row, bool user)
{
	return user ? row->user_address : row->gpa;
}

static const struct vmmem_vhost_region *
find(wide at, bool user)
{
	size_t i;

	for (i = 0; i < ROWS; i++)
		if (at >= key_of(&rows[i], user) &&
		    at < (wide)key_of(&rows[i], user) + rows[i].len)
			return &rows[i];
	return NULL;
}

/*
 * What [key, key + len) leads to, and how much of it in one piece.  'user'
 * tells which address is asked for.
 */
static int
expect_target(uint64_t key, uint64_t len, bool user, uint64_t *ret_target,
	      uint64_t *ret_piece)
{
	const wide end = (wide)key + len;
	const struct vmmem_vhost_region *row = find(key, user);
	wide at = key, target = 0, here;
	bool together = true;

	*ret_piece = 0;
	if (row != NULL)
		target = (wide)key_of(row, !user) +
			 (key - key_of(row, user));
	*ret_target = (uint64_t)target;
	while (at < end) {
		if (at == END)
			return VMMEM_EWRAPS;
		row = find(at, user);
		if (row == NULL)
			return user ? VMMEM_EUSERADDR : VMMEM_EBADADDR;
		here = (wide)key_of(row, !user) + (at - key_of(row, user));
		together = together && here == target + (at - key);
		at = (wide)key_of(row, user) + row->len;
		if (together)
			*ret_piece = (uint64_t)((at < end ? at : end) - key);
	}
	return together ? 0 : VMMEM_ECROSS;
}

/* The rows' own ends, beside the numbers. */
static uint64_t
key_at(size_t i, bool user)
{
	const size_t row = (i - NUMBERS) / 2 % ROWS;

	if (i < NUMBERS)
		return numbers[i];
	return i % 2 == 0 ? key_of(&rows[row], user) :
			    key_of(&rows[row], user) + (rows[row].len - 1);
}

START_TEST(of_translations)
{
	const bool user = _i != 0;
	uint64_t key, want_target, want_piece, target, piece;
	size_t i, j;
	int want;

	set_rows();
	for (i = 0; i < NUMBERS + 2 * ROWS; i++) {
		for (j = 0; j < NUMBERS; j++) {
			const uint64_t len = numbers[j];

			key = key_at(i, user);
			want = expect_target(key, len, user, &want_target,
					     &want_piece);
			target = 77;
			CODE(user ? vmmem_vhost_user_to_gpa(vhost, key, len,
							    &target) :
				    vmmem_vhost_gpa_to_user(vhost, key, len,
							    &target),
			     want, key, len, user);
			HOLDS(target == (want == 0 ? want_target : 77), key,
			      len, target);
			if (!user)
				continue;
			target = piece = 77;
			want = want_piece != 0 || len == 0 ? 0 :
							     VMMEM_EUSERADDR;
			CODE(vmmem_vhost_user_piece(vhost, key, len, &target,
						    &piece),
			     want, key, len, 0);
			HOLDS(piece == (want == 0 ? want_piece : 77), key, len,
			      piece);
			HOLDS(target == (want != 0 ? 77 :
					 len == 0  ? 0 :
						     want_target),
			      key, len, target);
		}
	}
}
END_TEST

/* Whether 'iova' leads to 'gpa' now. */
static bool
leads_to(uint64_t iova, uint64_t gpa)
{
	struct vmmem_iotlb_piece piece;
	size_t count;

	return vmmem_iotlb_lookup(iotlb, iova, 1, RW, &piece, 1, &count) == 0 &&
	       piece.gpa == gpa;
}

static void
try_update(uint64_t iova, uint64_t len, uint64_t user)
{
	struct vmmem_vhost_iotlb_msg message = {
		.iova = iova,
		.len = len,
		.user_address = user,
		.access = RW,
		.type = VMMEM_VHOST_IOTLB_UPDATE,
	};
	uint64_t target, piece;
	int want;

	want = expect_target(user, len, true, &target, &piece);
	/* Several pieces are several entries. */
	if (want == VMMEM_ECROSS)
		want = 0;
	if (len != 0 &&
	    ((wide)iova + len > END || (wide)user + len > END))
		want = VMMEM_EWRAPS;
	vmmem_iotlb_unmap_all(iotlb);
	CODE(vmmem_vhost_message(vhost, VMMEM_VHOST_IOTLB_MSG, &message,
				 sizeof(message), NULL, 0, NULL),
	     want, iova, len, user);
	if (want != 0 || len == 0) {
		HOLDS(vmmem_iotlb_count(iotlb) == 0, iova, len, user);
		return;
	}
	HOLDS(leads_to(iova, target), iova, len, user);
	HOLDS(leads_to(iova + (piece - 1), target + (piece - 1)), iova, len,
	      user);
	(void)expect_target(user + (len - 1), 1, true, &target, &piece);
	HOLDS(leads_to(iova + (len - 1), target), iova, len, user);

	/* And away again, by the same range. */
	message.type = VMMEM_VHOST_IOTLB_INVALIDATE;
	CODE(vmmem_vhost_iotlb_message(vhost, &message), 0, iova, len, user);
	HOLDS(vmmem_iotlb_count(iotlb) == 0, iova, len, user);
}

START_TEST(of_iotlb_messages)
{
	struct vmmem_vhost_iotlb_msg message = {
		.type = VMMEM_VHOST_IOTLB_INVALIDATE,
	};
	size_t i;

	set_rows();
	FOR_PAIRS(iova, len) {
		for (i = 0; i < NUMBERS + 2 * ROWS; i++)
			try_update(iova, len, key_at(i, true));
		message.iova = iova;
		message.len = len;
		vmmem_iotlb_unmap_all(iotlb);
		assert_ok(vmmem_iotlb_map(iotlb, 0, 0, TOP, RW));
		CODE(vmmem_vhost_iotlb_message(vhost, &message),
		     (wide)iova + len > END && len != 0 ? VMMEM_EWRAPS : 0,
		     iova, len, 0);
		/* No bytes from 0 on are all. */
		HOLDS(leads_to(iova, iova) ==
			      (len == 0 && iova != 0 && iova != TOP),
		      iova, len, 0);
		HOLDS((vmmem_iotlb_count(iotlb) == 0) ==
			      (iova == 0 && (len == 0 || len == TOP)),
		      iova, len, 0);
	}
}
END_TEST

/* ---- descriptors, and what is exported ---------------------------------- */

START_TEST(of_files)
{
	const struct vmmem_fd_rules any = {
		.size = sizeof(any), .types = VMMEM_FD_TYPE_DEVICE,
	};
	struct vmmem_region *region;
	int zero = open("/dev/zero", O_RDWR | O_CLOEXEC), want;

	ck_assert_int_ge(zero, 0);
	FOR_PAIRS(offset, len) {
		want = offset % page_size() != 0 ? VMMEM_EFILEOFFSET :
						   expect_file(offset, len);
		CODE(vmmem_fd_check(file, offset, len, NULL, NULL), want,
		     offset, len, 0);
		/* A device has no end but that of all files. */
		CODE(vmmem_fd_check(zero, offset, len, &any, NULL),
		     (wide)offset + len > INT64_MAX ? VMMEM_EWRAPS : 0,
		     offset, len, 1);
		/* A region has bytes, and may begin within a page. */
		want = expect_file(offset, len);
		if (len == 0)
			want = VMMEM_EZEROLEN;
		else if (want == 0 && offset % 16 != 0)
			want = VMMEM_ECONGRUENCE;
		region = NO_REGION;
		CODE(vmmem_region_new_file(0, len, file, offset, &region),
		     want, offset, len, 2);
		HOLDS((region != NO_REGION) == (want == 0), offset, len, 2);
		if (want == 0)
			vmmem_region_unref(region);
	}
	close(zero);
}
END_TEST

/* Whatever room is said to be there, no more is written than there is. */
START_TEST(of_exports)
{
	struct vmmem_vhost_region out[ROWS], rest[ROWS];
	struct vmmem_collection *map;
	size_t i, count, left, room;
	int fds[ROWS];

	set_rows();
	map = vmmem_space_get(space);
	for (i = 0; i < NUMBERS; i++) {
		count = left = 77;
		room = (size_t)least(numbers[i], 5);
		memset(out, 0x77, sizeof(out));
		memset(rest, 0x77, sizeof(rest));
		CODE(vmmem_vhost_export(map, 0, out, fds, numbers[i], &count,
					&left),
		     numbers[i] < 5 ? VMMEM_ENOROOM : 0, numbers[i], 0, 0);
		/* Three of them go on in another: in the guest and the file. */
		HOLDS(count == 5 && left == 0, numbers[i], count, left);
		HOLDS(memcmp(&out[room], rest, (ROWS - room) * sizeof(*rest)) ==
			      0,
		      numbers[i], count, room);
	}
	HOLDS(out[4].gpa == 0 - 2 * PAGE, out[4].gpa, 0, 0);
	HOLDS(out[4].len == 2 * PAGE, out[4].len, 0, 0);
	vmmem_collection_unref(map);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("boundaries_vhost");
	TCase *tcase = tcase_create("boundaries_vhost");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, of_rows, 0, 2);
	tcase_add_test(tcase, of_logs);
	tcase_add_test(tcase, of_messages);
	tcase_add_loop_test(tcase, of_translations, 0, 2);
	tcase_add_test(tcase, of_iotlb_messages);
	tcase_add_test(tcase, of_files);
	tcase_add_test(tcase, of_exports);
	suite_add_tcase(suite, tcase);
	return suite;
}
