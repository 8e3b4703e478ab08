/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Walking over a map region by region, and the map as text. */
#include <stdio.h>
#include <string.h>

#include <vmmem/collection.h>

#include "device.h"
#include "iommus.h"
#include "suite.h"

#define SIZE UINT64_C(0x1000)
#define RAM UINT64_C(0x10000)
#define ROM (RAM + SIZE)
#define DEVICE (RAM + 2 * SIZE)
#define LAST (TOP - SIZE + 1)

static struct vmmem_collection *guest;
static struct device device;

static void
setup(void)
{
	struct vmmem_region *regions[4];

	regions[0] = region_of(RAM, SIZE);
	regions[1] = region_with(ROM, SIZE, VMMEM_PROT_READ);
	device_init(&device);
	assert_ok(vmmem_region_new_custom(DEVICE, DEVICE_LEN, &device_ops,
					  &device, &regions[2]));
	regions[3] = region_of(LAST, SIZE);
	/* guest_of() takes the references over. */
	guest = guest_of(regions, 4);
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
}

/* Walks as a caller does; returns how many pieces there were. */
static int
walk(const struct vmmem_collection *map, uint64_t gpa, uint64_t len,
     uint32_t access, size_t *ret_count)
{
	struct vmmem_region *region;
	uint64_t offset, here;
	void *host;
	int rc;

	for (*ret_count = 0; len != 0; ++*ret_count) {
		rc = vmmem_collection_piece(map, gpa, len, access, &region,
					    &offset, &here, &host);
		if (rc != 0)
			return rc;
		ck_assert_uint_gt(here, 0);
		ck_assert_uint_le(here, len);
		ck_assert_uint_le(offset + here, vmmem_region_len(region));
		gpa += here;
		len -= here;
	}
	return 0;
}

START_TEST(pieces)
{
	struct vmmem_region *region = NULL;
	uint64_t offset = 0, len = 0;
	void *host = &offset;
	size_t count;

	assert_ok(vmmem_collection_piece(guest, RAM + 8, SIZE,
					 VMMEM_PROT_READ, &region, &offset,
					 &len, &host));
	ck_assert_ptr_eq(region, vmmem_collection_region(guest, 0));
	ck_assert_uint_eq(offset, 8);
	ck_assert_uint_eq(len, SIZE - 8);
	ck_assert_ptr_eq(host, host_of(guest, RAM + 8));
	assert_ok(vmmem_collection_piece(guest, DEVICE + 8, 4, RW,
					 &region, &offset, &len, &host));
	ck_assert_ptr_eq(region, vmmem_collection_region(guest, 2));
	ck_assert_uint_eq(offset, 8);
	ck_assert_uint_eq(len, 4);
	ck_assert_ptr_null(host);
	assert_ok(vmmem_collection_piece(guest, TOP, 1, RW, &region,
					 &offset, &len, NULL));
	ck_assert_ptr_eq(region, vmmem_collection_region(guest, 3));

	assert_ok(walk(guest, RAM, 2 * SIZE + DEVICE_LEN, VMMEM_PROT_READ,
		       &count));
	ck_assert_uint_eq(count, 3);
	assert_code(walk(guest, RAM, 2 * SIZE, VMMEM_PROT_WRITE, &count),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(count, 1);
	assert_code(walk(guest, RAM, 2 * SIZE + DEVICE_LEN + 1, 0, &count),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(count, 3);
	assert_ok(walk(guest, LAST, SIZE, RW, &count));
	ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(no_pieces)
{
	struct vmmem_region *region = NO_REGION;
	uint64_t offset = 77, len = 77;
	void *host = &offset;

	assert_code(vmmem_collection_piece(guest, RAM - 1, 4, 0, &region,
					   &offset, &len, &host),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_piece(guest, TOP - 1, 3, 0, &region,
					   &offset, &len, &host),
		    VMMEM_EWRAPS);
	assert_code(vmmem_collection_piece(guest, RAM, 0, 0, &region, &offset,
					   &len, &host),
		    VMMEM_EZEROLEN);
	assert_code(vmmem_collection_piece(guest, RAM, 1, 8, &region, &offset,
					   &len, &host),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_piece(NULL, RAM, 1, 0, &region, &offset,
					   &len, &host),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_piece(guest, RAM, 1, 0, NULL, &offset,
					   &len, &host),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_piece(guest, RAM, 1, 0, &region, NULL,
					   &len, &host),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_piece(guest, RAM, 1, 0, &region, &offset,
					   NULL, &host),
		    VMMEM_EARGUMENT);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_uint_eq(offset, 77);
	ck_assert_uint_eq(len, 77);
	ck_assert_ptr_eq(host, &offset);
}
END_TEST

START_TEST(translated)
{
	struct vmmem_region *region = NULL;
	uint64_t offset = 0, len = 0;
	size_t count;
	void *host;

	see_setup();
	see_map(IOVA, 0x3000, 0x1000, RW);
	see_map(IOVA + 0x1000, HALF - 0x800, 0x1000, RW);
	assert_ok(vmmem_collection_piece(see.map, IOVA + 8, 0x2000, W, &region,
					 &offset, &len, &host));
	ck_assert_ptr_eq(region, vmmem_collection_region(see.physical, 0));
	ck_assert_uint_eq(offset, 0x3008);
	ck_assert_uint_eq(len, 0xff8);
	ck_assert_ptr_eq(host, host_of(see.physical, 0x3008));
	assert_ok(walk(see.map, IOVA, 0x2000, R, &count));
	ck_assert_uint_eq(count, 3);
	assert_code(walk(see.map, IOVA, 0x2001, R, &count), VMMEM_EIOMMUMISS);
	ck_assert_uint_eq(count, 3);
	/* It is the regions that are looked for, however devices see them. */
	ck_assert_uint_eq(vmmem_collection_index(see.map, HALF), 1);
	ck_assert_int_eq(vmmem_collection_overlaps(see.map, LEN, 1), 0);
	ck_assert_int_eq(vmmem_collection_overlaps(see.map, LEN - 1, 2), 1);
	see_close();
}
END_TEST

static const struct {
	uint64_t gpa, len;
	size_t index;
	int overlaps;
} ranges[] = {
	{ 0, 1, 0, 0 },
	{ 0, RAM, 0, 0 },
	{ 0, RAM + 1, 0, 1 },
	{ 0, UINT64_MAX, 0, 1 },
	{ RAM - 1, 1, 0, 0 },
	{ RAM, 1, 0, 1 },
	{ RAM, 0, 0, 0 },
	{ ROM - 1, 1, 0, 1 },
	{ ROM, 1, 1, 1 },
	{ DEVICE + DEVICE_LEN - 1, 1, 2, 1 },
	{ DEVICE + DEVICE_LEN, 1, 3, 0 },
	{ DEVICE + DEVICE_LEN, LAST - (DEVICE + DEVICE_LEN), 3, 0 },
	{ DEVICE + DEVICE_LEN, LAST - (DEVICE + DEVICE_LEN) + 1, 3, 1 },
	{ DEVICE + DEVICE_LEN, UINT64_MAX, 3, 1 },
	{ TOP, 1, 3, 1 },
	{ TOP, UINT64_MAX, 3, 1 },
};

START_TEST(index_and_overlaps)
{
	struct vmmem_collection *empty;
	size_t i;

	for (i = 0; i < ARRAY_LEN(ranges); i++) {
		ck_assert_uint_eq(vmmem_collection_index(guest, ranges[i].gpa),
				  ranges[i].index);
		ck_assert_int_eq(vmmem_collection_overlaps(
					 guest, ranges[i].gpa, ranges[i].len),
				 ranges[i].overlaps);
	}
	ck_assert_uint_eq(vmmem_collection_index(NULL, 0), 0);
	ck_assert_int_eq(vmmem_collection_overlaps(NULL, 0, UINT64_MAX), 0);
	assert_ok(vmmem_collection_new_empty(&empty));
	ck_assert_uint_eq(vmmem_collection_index(empty, 0), 0);
	ck_assert_int_eq(vmmem_collection_overlaps(empty, 0, UINT64_MAX), 0);
	vmmem_collection_unref(empty);
	assert_ok(vmmem_collection_remove(guest, LAST, SIZE, &empty, NULL));
	ck_assert_uint_eq(vmmem_collection_index(empty, LAST), 3);
	vmmem_collection_unref(empty);
}
END_TEST

static const char text[] =
	"0000000000010000-0000000000010fff anonymous rw- 0x1000 -\n"
	"0000000000011000-0000000000011fff anonymous r-- 0x1000 -\n"
	"0000000000012000-0000000000015fff custom rw- 0x4000 -\n"
	"fffffffffffff000-ffffffffffffffff anonymous rw- 0x1000 -\n";

START_TEST(described)
{
	char buf[sizeof(text) + 8];
	size_t capacity, len;

	for (capacity = 0; capacity <= sizeof(buf); capacity++) {
		memset(buf, '!', sizeof(buf));
		len = 77;
		assert_code(vmmem_collection_describe(
				    guest, capacity == 0 ? NULL : buf,
				    capacity, &len),
			    capacity < sizeof(text) ? VMMEM_ENOROOM : 0);
		ck_assert_uint_eq(len, sizeof(text) - 1);
		if (capacity == 0)
			continue;
		if (len > capacity - 1)
			len = capacity - 1;
		ck_assert_mem_eq(buf, text, len);
		ck_assert_int_eq(buf[len], '\0');
		if (capacity < sizeof(buf))
			ck_assert_int_eq(buf[capacity], '!');
	}
	assert_ok(vmmem_collection_describe(guest, buf, sizeof(buf), NULL));
	assert_code(vmmem_collection_describe(NULL, buf, 1, &len),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_describe(guest, NULL, 1, &len),
		    VMMEM_EARGUMENT);
}
END_TEST

/* No name ends a line, and no address of the host's is in it. */
START_TEST(described_names)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *two[2];
	struct vmmem_collection *map;
	char buf[1024], longest[VMMEM_REGION_NAME_MAX + 1];

	memset(longest, 'n', VMMEM_REGION_NAME_MAX);
	longest[VMMEM_REGION_NAME_MAX] = '\0';
	longest[1] = '\n';
	longest[2] = ' ';
	longest[3] = '\x1b';
	vmmem_region_builder_set_range(builder, RAM, SIZE);
	vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_name(builder, longest);
	assert_ok(vmmem_region_builder_build(builder, &two[0]));
	vmmem_region_builder_set_range(builder, 2 * RAM, 0x10);
	vmmem_region_builder_set_alias(builder, two[0], 0x20);
	vmmem_region_builder_set_name(builder, "rom");
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	assert_ok(vmmem_region_builder_build(builder, &two[1]));
	vmmem_region_builder_free(builder);
	map = guest_of(two, 2);
	assert_ok(vmmem_collection_describe(map, buf, sizeof(buf), NULL));
	memcpy(longest + 1, "???", 3);
	ck_assert_ptr_nonnull(strstr(
		buf, "0000000000010000-0000000000010fff memfd rw- 0x1000 "
		     "n???"));
	ck_assert_ptr_nonnull(strstr(
		buf, "\n0000000000020000-000000000002000f alias r-- 0x10 "
		     "rom of "));
	ck_assert_ptr_nonnull(strstr(buf, longest));
	ck_assert_str_eq(buf + strlen(buf) - 6, "+0x20\n");
	ck_assert_ptr_eq(strchr(strchr(buf, '\n') + 1, '\n'),
			 buf + strlen(buf) - 1);
	vmmem_collection_unref(map);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("collection_piece");
	TCase *tcase = tcase_create("collection_piece");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, pieces);
	tcase_add_test(tcase, no_pieces);
	tcase_add_test(tcase, translated);
	tcase_add_test(tcase, index_and_overlaps);
	tcase_add_test(tcase, described);
	tcase_add_test(tcase, described_names);
	suite_add_tcase(suite, tcase);
	return suite;
}
