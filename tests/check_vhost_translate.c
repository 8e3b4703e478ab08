/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Addresses of the front end, messages of its IOMMU, raw messages. */
#include "iotlbs.h"
#include "slices.h"
#include "suite.h"
#include "tables.h"

#include <vmmem/vhost.h>

static int file;

static void
setup(void)
{
	file = sealed_file(FILE_LEN, 1);
	make_vhost(NULL);
}

static void
teardown(void)
{
	close(file);
	drop_vhost();
}

/*
 * Rows that touch in both worlds, in one only, and at both ends of each:
 *     gpa  [0, P) [P, 2P) [2P, 3P)    [top - P, top]
 *     user [8P, 9P) [9P, 10P) [20P, 21P)   [10P, 11P)
 */
static void
set_rows(void)
{
	const struct vmmem_vhost_region rows[] = {
		{ 0, PAGE, 8 * PAGE, 0 },
		{ PAGE, PAGE, 9 * PAGE, PAGE },
		{ 2 * PAGE, PAGE, 20 * PAGE, 2 * PAGE },
		{ TOP - PAGE + 1, PAGE, 10 * PAGE, 3 * PAGE },
		{ 5 * PAGE, PAGE, TOP - PAGE + 1, 4 * PAGE },
	};
	int fds[] = { file, file, file, file, file };

	assert_ok(vmmem_vhost_set_table(vhost, rows, ARRAY_LEN(rows), fds,
					ARRAY_LEN(fds)));
}

START_TEST(user_addresses)
{
	uint64_t gpa = 77, len = 77;

	assert_code(vmmem_vhost_user_to_gpa(NULL, 0, 1, &gpa), VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_user_to_gpa(vhost, 0, 1, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_user_to_gpa(vhost, 0, 1, &gpa),
		    VMMEM_EUSERADDR);
	set_rows();
	assert_code(vmmem_vhost_user_to_gpa(vhost, 8 * PAGE - 1, 1, &gpa),
		    VMMEM_EUSERADDR);
	assert_code(vmmem_vhost_user_to_gpa(vhost, 11 * PAGE, 1, &gpa),
		    VMMEM_EUSERADDR);
	assert_code(vmmem_vhost_user_to_gpa(vhost, 10 * PAGE, PAGE + 1, &gpa),
		    VMMEM_EUSERADDR);
	assert_code(vmmem_vhost_user_to_gpa(vhost, 9 * PAGE, PAGE + 1, &gpa),
		    VMMEM_ECROSS);
	assert_code(vmmem_vhost_user_to_gpa(vhost, 8 * PAGE, TOP, &gpa),
		    VMMEM_EUSERADDR);
	assert_code(vmmem_vhost_user_to_gpa(vhost, TOP, 2, &gpa),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(gpa, 77);
	assert_ok(vmmem_vhost_user_to_gpa(vhost, 8 * PAGE, 2 * PAGE, &gpa));
	ck_assert_uint_eq(gpa, 0);
	assert_ok(vmmem_vhost_user_to_gpa(vhost, 9 * PAGE - 1, 2, &gpa));
	ck_assert_uint_eq(gpa, PAGE - 1);
	/* The last byte is one. */
	assert_ok(vmmem_vhost_user_to_gpa(vhost, 11 * PAGE - 1, 1, &gpa));
	ck_assert_uint_eq(gpa, TOP);
	assert_ok(vmmem_vhost_user_to_gpa(vhost, TOP, 1, &gpa));
	ck_assert_uint_eq(gpa, 6 * PAGE - 1);
	assert_ok(vmmem_vhost_user_to_gpa(vhost, 0, 0, &gpa));
	ck_assert_uint_eq(gpa, 0);
	assert_ok(vmmem_vhost_user_to_gpa(vhost, 20 * PAGE, 0, &gpa));
	ck_assert_uint_eq(gpa, 2 * PAGE);

	assert_code(vmmem_vhost_user_piece(NULL, 0, 1, &gpa, &len),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_user_piece(vhost, 0, 1, &gpa, &len),
		    VMMEM_EUSERADDR);
	ck_assert_uint_eq(len, 77);
	assert_ok(vmmem_vhost_user_piece(vhost, 8 * PAGE + 1, TOP, &gpa,
					 &len));
	ck_assert_uint_eq(gpa, 1);
	ck_assert_uint_eq(len, 2 * PAGE - 1);
	assert_ok(vmmem_vhost_user_piece(vhost, 8 * PAGE + 1, 5, &gpa, &len));
	ck_assert_uint_eq(len, 5);
	assert_ok(vmmem_vhost_user_piece(vhost, 10 * PAGE, TOP, &gpa, &len));
	ck_assert_uint_eq(len, PAGE);
	assert_ok(vmmem_vhost_user_piece(vhost, 0, 0, &gpa, &len));
	ck_assert_uint_eq(len, 0);
}
END_TEST

/* In one call, in the map that the address belongs to. */
START_TEST(user_slices)
{
	struct vmmem_collection *map;
	struct vmmem_slice slice;

	slice_spoil(&slice);
	assert_ok(vmmem_collection_new_empty(&map));
	assert_code(vmmem_vhost_user_slice(vhost, map, 0, 1, READ_WRITE,
					   &slice),
		    VMMEM_EUSERADDR);
	vmmem_collection_unref(map);
	set_rows();
	map = vmmem_space_get(space);
	assert_code(vmmem_vhost_user_slice(NULL, map, 8 * PAGE, 1, READ_WRITE,
					   &slice),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_user_slice(vhost, NULL, 8 * PAGE, 1,
					   READ_WRITE, &slice),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_user_slice(vhost, map, 8 * PAGE, 1, READ_WRITE,
					   NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_user_slice(vhost, map, 8 * PAGE, 1, 8, &slice),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_user_slice(vhost, map, 7 * PAGE, PAGE + 1,
					   READ_WRITE, &slice),
		    VMMEM_EUSERADDR);
	/* In pieces of the guest; and in one, but of two regions. */
	assert_code(vmmem_vhost_user_slice(vhost, map, 9 * PAGE, PAGE + 1,
					   READ_WRITE, &slice),
		    VMMEM_ECROSS);
	assert_code(vmmem_vhost_user_slice(vhost, map, 9 * PAGE - 1, 2,
					   READ_WRITE, &slice),
		    VMMEM_ECROSS);
	ck_assert(slice_is_spoilt(&slice));
	assert_ok(vmmem_vhost_user_slice(vhost, map, 9 * PAGE + 5, 20,
					 READ_WRITE, &slice));
	ck_assert_ptr_eq(slice.host, host_of(map, PAGE + 5));
	ck_assert_uint_eq(slice.len, 20);
	vmmem_slice_release(&slice);
	assert_ok(vmmem_vhost_user_slice(vhost, map, TOP, 1, VMMEM_PROT_READ,
					 &slice));
	ck_assert_ptr_eq(slice.host, host_of(map, 6 * PAGE - 1));
	vmmem_slice_release(&slice);
	vmmem_collection_unref(map);
}
END_TEST

/* The last guest address is followed by none, not by address 0. */
START_TEST(no_row_follows_the_last)
{
	const struct vmmem_vhost_region rows[] = {
		{ TOP - PAGE + 1, PAGE, 10 * PAGE, 0 },
		{ 0, PAGE, 11 * PAGE, PAGE },
	};
	int fds[] = { file, file };
	uint64_t gpa = 77, len = 77;

	assert_ok(vmmem_vhost_set_table(vhost, rows, 2, fds, 2));
	assert_code(vmmem_vhost_user_to_gpa(vhost, 11 * PAGE - 1, 2, &gpa),
		    VMMEM_ECROSS);
	assert_ok(vmmem_vhost_user_piece(vhost, 11 * PAGE - 1, 2, &gpa, &len));
	ck_assert_uint_eq(gpa, TOP);
	ck_assert_uint_eq(len, 1);
}
END_TEST

START_TEST(guest_addresses)
{
	uint64_t user = 77;

	set_rows();
	assert_code(vmmem_vhost_gpa_to_user(vhost, 3 * PAGE, 1, &user),
		    VMMEM_EBADADDR);
	assert_code(vmmem_vhost_gpa_to_user(vhost, PAGE, PAGE + 1, &user),
		    VMMEM_ECROSS);
	assert_code(vmmem_vhost_gpa_to_user(vhost, TOP, 2, &user),
		    VMMEM_EWRAPS);
	ck_assert_uint_eq(user, 77);
	assert_ok(vmmem_vhost_gpa_to_user(vhost, 0, 2 * PAGE, &user));
	ck_assert_uint_eq(user, 8 * PAGE);
	assert_ok(vmmem_vhost_gpa_to_user(vhost, TOP, 1, &user));
	ck_assert_uint_eq(user, 11 * PAGE - 1);
	assert_ok(vmmem_vhost_gpa_to_user(vhost, 6 * PAGE - 1, 1, &user));
	ck_assert_uint_eq(user, TOP);
}
END_TEST

/* What 'iova' leads to, or a code. */
static int
looked_up(struct vmmem_iotlb *iotlb, uint64_t iova, uint64_t *ret_gpa)
{
	struct vmmem_iotlb_piece found;
	size_t count;
	int rc = vmmem_iotlb_lookup(iotlb, iova, 1, VMMEM_PROT_READ, &found, 1,
				    &count);

	if (rc == 0)
		*ret_gpa = found.gpa;
	return rc;
}

START_TEST(iotlb_messages)
{
	struct vmmem_vhost_options options = { .size = sizeof(options) };
	struct vmmem_vhost_iotlb_msg update = {
		.iova = 0x10000,
		.len = 2 * PAGE,
		.user_address = 9 * PAGE,
		.access = VMMEM_PROT_READ | VMMEM_PROT_WRITE,
		.type = VMMEM_VHOST_IOTLB_UPDATE,
	}, message = update;
	struct vmmem_iotlb *iotlb = NULL;
	uint64_t gpa = 0;

	/* Without an iotlb there is nowhere to put it. */
	assert_code(vmmem_vhost_iotlb_message(vhost, &update), VMMEM_EARGUMENT);
	drop_vhost();
	assert_ok(iotlb_of(64, &iotlb));
	options.iotlb = iotlb;
	make_vhost(&options);
	assert_code(vmmem_vhost_iotlb_message(vhost, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_iotlb_message(vhost, &update), VMMEM_EUSERADDR);
	set_rows();

	/* Two rows beside each other, which are far apart in the guest. */
	assert_ok(vmmem_vhost_iotlb_message(vhost, &update));
	assert_ok(looked_up(iotlb, 0x10000, &gpa));
	ck_assert_uint_eq(gpa, PAGE);
	assert_ok(looked_up(iotlb, 0x10000 + PAGE, &gpa));
	ck_assert_uint_eq(gpa, TOP - PAGE + 1);
	assert_ok(looked_up(iotlb, 0x10000 + 2 * PAGE - 1, &gpa));
	ck_assert_uint_eq(gpa, TOP);
	assert_code(looked_up(iotlb, 0x10000 + 2 * PAGE, &gpa),
		    VMMEM_EIOMMUMISS);

	/* One page too many: not a byte of it is mapped. */
	message.iova = 0x20000;
	message.len++;
	assert_code(vmmem_vhost_iotlb_message(vhost, &message), VMMEM_EUSERADDR);
	assert_code(looked_up(iotlb, 0x20000, &gpa), VMMEM_EIOMMUMISS);
	message.len = TOP;
	assert_code(vmmem_vhost_iotlb_message(vhost, &message), VMMEM_EWRAPS);
	message.len = 2;
	message.iova = TOP;
	assert_code(vmmem_vhost_iotlb_message(vhost, &message), VMMEM_EWRAPS);
	message.iova = 0;
	message.user_address = TOP;
	assert_code(vmmem_vhost_iotlb_message(vhost, &message), VMMEM_EWRAPS);
	message = update;
	message.access = 4;
	assert_code(vmmem_vhost_iotlb_message(vhost, &message), VMMEM_EMESSAGE);
	message.access = 1;
	message.type = VMMEM_VHOST_IOTLB_MISS;
	assert_code(vmmem_vhost_iotlb_message(vhost, &message), VMMEM_EMESSAGE);
	message.type = 0;
	assert_code(vmmem_vhost_iotlb_message(vhost, &message), VMMEM_EMESSAGE);

	message.type = VMMEM_VHOST_IOTLB_INVALIDATE;
	message.len = PAGE;
	assert_ok(vmmem_vhost_iotlb_message(vhost, &message));
	assert_code(looked_up(iotlb, 0x10000, &gpa), VMMEM_EIOMMUMISS);
	assert_ok(looked_up(iotlb, 0x10000 + PAGE, &gpa));
	message.iova = TOP;
	assert_code(vmmem_vhost_iotlb_message(vhost, &message), VMMEM_EWRAPS);
	/* No bytes anywhere are none; from 0 on they are all. */
	message.iova = 0x10000 + PAGE;
	message.len = 0;
	assert_ok(vmmem_vhost_iotlb_message(vhost, &message));
	assert_ok(looked_up(iotlb, 0x10000 + PAGE, &gpa));
	message.iova = 0;
	assert_ok(vmmem_vhost_iotlb_message(vhost, &message));
	ck_assert_uint_eq(vmmem_iotlb_count(iotlb), 0);
	vmmem_iotlb_unref(iotlb);
}
END_TEST

/* Messages as they come from a socket, misaligned, and cut anywhere. */
START_TEST(raw_messages)
{
	struct {
		uint8_t odd;
		struct {
			uint32_t count, padding;
			struct vmmem_vhost_region rows[2];
		} table;
	} __attribute__((packed)) raw = { .table = { .count = 2 } };
	const unsigned char *payload = &raw.odd + 1;
	int fds[2] = { file, file };
	uint64_t log[2] = { 0x200, 0 };
	size_t len;

	raw.table.rows[0] = row_of(0, PAGE, 0);
	raw.table.rows[1] = row_of(PAGE, PAGE, 5 * PAGE);
	for (len = 0; len < sizeof(raw.table); len++)
		assert_code(vmmem_vhost_message(vhost,
						VMMEM_VHOST_SET_MEM_TABLE,
						payload, len, fds, 2, NULL),
			    VMMEM_EMESSAGE);
	assert_ok(vmmem_vhost_message(vhost, VMMEM_VHOST_SET_MEM_TABLE, payload,
				      len, fds, 2, NULL));
	ck_assert_int_eq(byte_at(PAGE), 6);
	raw.table.count = UINT32_MAX;
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_SET_MEM_TABLE,
					payload, len, fds, 2, NULL),
		    VMMEM_EREGIONCOUNT);
	raw.table.count = 1;
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_SET_MEM_TABLE,
					payload, len, fds, 1, NULL),
		    VMMEM_EMESSAGE);

	/* Of one descriptor no second one is looked at. */
	fds[1] = -1;
	raw.table.rows[0] = row_of(0x100000, PAGE, 2 * PAGE);
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_ADD_MEM_REG, payload,
					39, fds, 1, NULL),
		    VMMEM_EMESSAGE);
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_ADD_MEM_REG, payload,
					40, fds, 2, NULL),
		    VMMEM_EDESCRIPTORS);
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_ADD_MEM_REG, payload,
					40, NULL, 0, NULL),
		    VMMEM_EDESCRIPTORS);
	assert_ok(vmmem_vhost_message(vhost, VMMEM_VHOST_ADD_MEM_REG, payload,
				      40, fds, 1, NULL));
	ck_assert_int_eq(byte_at(0x100000), 3);
	assert_ok(vmmem_vhost_message(vhost, VMMEM_VHOST_REM_MEM_REG, payload,
				      40, fds, 1, NULL));
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_REM_MEM_REG, payload,
					40, NULL, 0, NULL),
		    VMMEM_ENOREGION);

	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_SET_LOG_BASE, log, 8,
					fds, 1, NULL),
		    VMMEM_EMESSAGE);
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_SET_LOG_BASE, log,
					16, NULL, 0, NULL),
		    VMMEM_EDESCRIPTORS);
	assert_ok(vmmem_vhost_message(vhost, VMMEM_VHOST_SET_LOG_BASE, log, 16,
				      fds, 1, NULL));
	ck_assert_uint_eq(vmmem_bitmap_len(vmmem_vhost_log(vhost)),
			  0x200 * 8 * PAGE);
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_IOTLB_MSG, payload,
					31, NULL, 0, NULL),
		    VMMEM_EMESSAGE);
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_IOTLB_MSG, payload,
					32, fds, 1, NULL),
		    VMMEM_EDESCRIPTORS);
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_IOTLB_MSG, payload,
					32, NULL, 0, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_message(vhost, 0, payload, 0, NULL, 0, NULL),
		    VMMEM_EMESSAGE);
	assert_code(vmmem_vhost_message(NULL, 5, payload, 8, NULL, 0, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_message(vhost, 5, NULL, 8, NULL, 0, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_vhost_message(vhost, 5, payload, 8, NULL, 1, NULL),
		    VMMEM_EARGUMENT);
}
END_TEST

/* Both point into a struct that others have packed. */
START_TEST(packed_messages)
{
	struct {
		uint8_t odd;
		uint32_t count;
		uint32_t padding;
		struct vmmem_vhost_region row;
		int fds[2];
	} __attribute__((packed)) raw = { .fds = { file, file } };
	int many[VMMEM_VHOST_REGIONS_MAX + 1] = { file };
	const void *payload = (const uint8_t *)&raw + 1;
	const void *fds = (const uint8_t *)payload + 40;

	raw.row = row_of(0, PAGE, 5 * PAGE);
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_ADD_MEM_REG,
					payload, 40, fds, 2, NULL),
		    VMMEM_EDESCRIPTORS);
	assert_ok(vmmem_vhost_message(vhost, VMMEM_VHOST_ADD_MEM_REG, payload,
				      40, fds, 1, NULL));
	ck_assert_int_eq(byte_at(0), 6);
	/* More than any message has. */
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_ADD_MEM_REG,
					payload, 40, many, ARRAY_LEN(many),
					NULL),
		    VMMEM_EDESCRIPTORS);
	raw.count = 1;
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_SET_MEM_TABLE,
					payload, 40, many, ARRAY_LEN(many),
					NULL),
		    VMMEM_EDESCRIPTORS);
	assert_code(vmmem_vhost_message(vhost, VMMEM_VHOST_SET_MEM_TABLE,
					payload, 40, many, SIZE_MAX, NULL),
		    VMMEM_EDESCRIPTORS);
	assert_ok(vmmem_vhost_message(vhost, VMMEM_VHOST_REM_MEM_REG, payload,
				      40, many, ARRAY_LEN(many), NULL));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("vhost_translate");
	TCase *tcase = tcase_create("translate");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, user_addresses);
	tcase_add_test(tcase, user_slices);
	tcase_add_test(tcase, no_row_follows_the_last);
	tcase_add_test(tcase, guest_addresses);
	tcase_add_test(tcase, iotlb_messages);
	tcase_add_test(tcase, raw_messages);
	tcase_add_test(tcase, packed_messages);
	suite_add_tcase(suite, tcase);
	return suite;
}
