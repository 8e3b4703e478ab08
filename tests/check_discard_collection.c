/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Discarding by guest address, and what is marked as dirty by it. */
#include <vmmem/vmmem.h>

#include "backings.h"
#include "iotlbs.h"
#include "rng.h"
#include "suite.h"

const char *
skip_reason(void)
{
	if (memory_skip_reason() != NULL)
		return memory_skip_reason();
	return page_size() == 4096 ? NULL : "needs pages of 4 KiB";
}

#define PAGES 4
#define EACH (PAGES * UINT64_C(4096))

/* Regions side by side on different backings, in the order of the list. */
static const enum backing side_by_side[] = { ANONYMOUS, MEMFD, PRIVATE_MEMFD,
					     EXTERNAL_SHARED, MEMFD_LOCKED };
#define COUNT ARRAY_LEN(side_by_side)

static struct vmmem_collection *guest;
static struct vmmem_region *parts[COUNT];

static void
make_guest(uint64_t start)
{
	size_t i;

	vmmem_region_builder_set_tracking(builder, 4096);
	for (i = 0; i < COUNT; i++) {
		parts[i] = region_on(side_by_side[i], start + i * EACH, EACH);
		assert_ok(vmmem_bitmap_start_logging(vmmem_region_bitmap(parts[i])));
		pattern(bytes_of(parts[i]), EACH, (unsigned int)i);
	}
	assert_ok(vmmem_collection_new(parts, COUNT, &guest));
}

static void
forget_guest(void)
{
	size_t i;

	for (i = 0; i < COUNT; i++) {
		assert_ok(vmmem_bitmap_stop_logging(vmmem_region_bitmap(parts[i])));
		parts[i] = vmmem_region_unref(parts[i]);
	}
	guest = vmmem_collection_unref(guest);
	munmap(store.bytes, store.len);
}

static uint64_t
marked(size_t part)
{
	return vmmem_bitmap_count(vmmem_region_bitmap(parts[part]));
}

START_TEST(across_backings)
{
	uint64_t start = _i == 0 ? 0 : TOP - COUNT * EACH + 1;
	uint64_t discarded = 99, last;
	size_t i;

	make_guest(start);
	last = EACH * COUNT - 1;
	assert_ok(vmmem_collection_discard(guest, start + 100, last - 199, 0,
					   &discarded));
	ck_assert_uint_eq(discarded, EACH * COUNT - 2 * 4096);
	for (i = 0; i < COUNT; i++) {
		uint8_t *bytes = bytes_of(parts[i]);
		uint64_t from = i == 0 ? 100 : 0;
		uint64_t end = i == COUNT - 1 ? EACH - 100 : EACH;

		ck_assert(all_are(bytes + from, 0, end - from));
		/* All pages of it, also those of which a part was written. */
		ck_assert_uint_eq(marked(i), PAGES);
	}
	ck_assert_uint_eq(bytes_of(parts[0])[99], 99 * 7 % 256);
	forget_guest();
}
END_TEST

START_TEST(marks)
{
	struct vmmem_bitmap *bitmap;

	make_guest(0);
	bitmap = vmmem_region_bitmap(parts[1]);
	assert_ok(vmmem_collection_discard(guest, EACH + 4096 + 1, 4096, 0,
					   NULL));
	ck_assert_uint_eq(marked(1), 2);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 4096), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 8192), 1);
	assert_ok(vmmem_bitmap_clear(bitmap, 0, EACH));
	assert_ok(vmmem_collection_discard(guest, EACH, EACH,
					   VMMEM_DISCARD_UNMARKED, NULL));
	ck_assert_uint_eq(marked(1), 0);
	/* Nobody wants to know: nothing is marked. */
	assert_ok(vmmem_bitmap_stop_logging(bitmap));
	assert_ok(vmmem_collection_discard(guest, EACH, EACH, 0, NULL));
	assert_ok(vmmem_bitmap_start_logging(bitmap));
	ck_assert_uint_eq(marked(1), 0);
	ck_assert_uint_eq(marked(0) + marked(2), 0);
	forget_guest();
}
END_TEST

/* In a view, marks go to where they are looked for. */
START_TEST(marks_of_an_alias)
{
	struct vmmem_region *alias = NULL;
	struct vmmem_bitmap *bitmap;

	make_guest(0);
	bitmap = vmmem_region_bitmap(parts[0]);
	assert_ok(vmmem_region_new_alias(TIB, 2 * 4096, parts[0], 4096,
					 &alias));
	assert_ok(vmmem_region_discard(alias, 4096, 4096, 0, NULL));
	ck_assert_uint_eq(marked(0), 1);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 2 * 4096), 1);
	vmmem_region_unref(alias);
	forget_guest();
}
END_TEST

/* The range is checked before the first byte goes. */
START_TEST(all_or_nothing)
{
	struct vmmem_region *regions[3] = { NULL };
	struct vmmem_collection *map;
	uint64_t discarded = 99;
	uint8_t *host;

	regions[0] = region_of(0, EACH);
	regions[1] = region_with(EACH, EACH, VMMEM_PROT_READ);
	regions[2] = region_of(TOP - EACH + 1, EACH);
	host = expect_host(regions[0]);
	pattern(host, EACH, 5);
	assert_ok(vmmem_collection_new(regions, 3, &map));

	assert_code(vmmem_collection_discard(map, 0, 2 * EACH, 0, &discarded),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(discarded, 0);
	assert_code(vmmem_collection_discard(map, 2 * EACH, 1, 0, NULL),
		    VMMEM_EBADADDR);
	assert_code(vmmem_collection_discard(map, TOP - 1, 3, 0, NULL),
		    VMMEM_EWRAPS);
	assert_code(vmmem_collection_discard(map, 0, TOP, 0, NULL),
		    VMMEM_EDENIED);
	assert_code(vmmem_collection_discard(map, 0, 1, 4, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_discard(NULL, 0, 1, 0, NULL),
		    VMMEM_EARGUMENT);
	assert_ok(vmmem_collection_discard(map, 3 * EACH, 0, 0, &discarded));
	ck_assert_uint_eq(host[1], (7 + 5) % 256);
	/* The last byte that there is. */
	assert_ok(vmmem_collection_discard(map, TOP, 1, 0, &discarded));
	ck_assert_uint_eq(discarded, 0);
	assert_ok(vmmem_collection_discard(map, TOP - 4095, 4096, 0,
					   &discarded));
	ck_assert_uint_eq(discarded, 4096);
	vmmem_collection_unref(map);
	vmmem_region_unref(regions[2]);
	vmmem_region_unref(regions[1]);
	vmmem_region_unref(regions[0]);
}
END_TEST

/* What cannot be foreseen ends it there; what went before is counted. */
START_TEST(failing_on_the_way)
{
	struct vmmem_region *regions[2] = { NULL };
	struct vmmem_collection *map;
	uint64_t discarded = 99;

	regions[0] = region_of(0, EACH);
	regions[1] = region_on(CUSTOM, EACH, EACH);
	assert_ok(vmmem_collection_new(regions, 2, &map));
	store.returned = -EIO;
	assert_code(vmmem_collection_discard(map, 1, 2 * EACH - 1, 0,
					     &discarded),
		    -EIO);
	ck_assert_uint_eq(discarded, EACH - 4096);
	ck_assert_uint_eq(store.discards, 1);
	vmmem_collection_unref(map);
	vmmem_region_unref(regions[0]);
	forget(regions[1]);
}
END_TEST

/* Any ranges, beside writes, against plain bytes. */
START_TEST(any_ranges)
{
	static uint8_t model[COUNT * EACH], seen[COUNT * EACH];
	struct rng rng = { .state = rng_seed() };
	uint64_t rounds = rng_rounds(400), at, len;
	unsigned int i;

	printf("discard_collection: VMMEM_TEST_SEED=%#llx\n",
	       (unsigned long long)rng.state);
	make_guest(0x40000000);
	for (i = 0; i < COUNT; i++)
		pattern(model + i * EACH, EACH, i);
	for (i = 0; i < rounds; i++) {
		at = rng_below(&rng, sizeof(model));
		len = rng_below(&rng, sizeof(model) - at + 1);
		if (rng_below(&rng, 2) == 0)
			len %= 9000;
		if (rng_below(&rng, 3) == 0) {
			memset(seen, (int)i | 1, len);
			memcpy(model + at, seen, len);
			assert_ok(vmmem_collection_write(guest,
							 0x40000000 + at, seen,
							 len, NULL));
		} else {
			memset(model + at, 0, len);
			assert_ok(vmmem_collection_discard(
				guest, 0x40000000 + at, len, 0, NULL));
		}
		assert_ok(vmmem_collection_read(guest, 0x40000000, seen,
						sizeof(seen), NULL));
		ck_assert_int_eq(memcmp(seen, model, sizeof(model)), 0);
	}
	forget_guest();
}
END_TEST

/* What devices see through an IOMMU is given back by its physical address. */
START_TEST(translated)
{
	struct vmmem_collection *seen = NULL;
	struct vmmem_iotlb *iotlb = NULL;
	struct vmmem_iommu *iommu = NULL;
	struct vmmem_space *space = NULL;
	uint64_t discarded = 0;

	make_guest(0);
	assert_ok(iotlb_of(4, &iotlb));
	assert_ok(vmmem_iommu_new(iotlb, NULL, &iommu));
	assert_ok(vmmem_iommu_set_enabled(iommu, 1));
	assert_ok(vmmem_collection_new_translated(iommu, guest, &seen));
	assert_ok(vmmem_collection_discard(seen, 4096, 4096, 0, &discarded));
	ck_assert_uint_eq(discarded, 4096);
	ck_assert(all_are(bytes_of(parts[0]) + 4096, 0, 4096));
	ck_assert(!all_are(bytes_of(parts[0]), 0, 4096));

	assert_ok(vmmem_space_new(seen, NULL, &space));
	assert_ok(vmmem_space_discard(space, 0, 4096, 0, &discarded));
	ck_assert(all_are(bytes_of(parts[0]), 0, 4096));
	assert_code(vmmem_space_discard(space, COUNT * EACH, 1, 0, NULL),
		    VMMEM_EBADADDR);
	vmmem_space_unref(space);
	vmmem_collection_unref(seen);
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
	forget_guest();
}
END_TEST

/* All ranges are looked at before the first byte goes. */
START_TEST(chain)
{
	const struct vmmem_range all[] = {
		{ 3 * EACH, 4096 }, { TIB, 0 }, { EACH - 4096, 2 * 4096 },
		{ 3 * EACH, 4096 },
	};
	struct vmmem_range bad[] = { { 0, 4096 }, { COUNT * EACH - 1, 2 } };
	uint64_t discarded = 99, where = 99;

	make_guest(0);
	assert_code(vmmem_collection_discard_ranges(guest, bad, 2, 0,
						    &discarded, &where),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(discarded, 0);
	ck_assert_uint_eq(where, COUNT * EACH);
	ck_assert(!all_are(bytes_of(parts[0]), 0, 4096));
	bad[1] = (struct vmmem_range){ TOP, 2 };
	assert_code(vmmem_collection_discard_ranges(guest, bad, 2, 0, NULL,
						    NULL),
		    VMMEM_EBADADDR);

	assert_ok(vmmem_collection_discard_ranges(guest, all, 4, 0, &discarded,
						  &where));
	ck_assert_uint_eq(discarded, 4 * 4096);
	ck_assert_uint_eq(where, COUNT * EACH);
	ck_assert(all_are(bytes_of(parts[3]), 0, 4096));
	ck_assert(all_are(bytes_of(parts[0]) + EACH - 4096, 0, 4096));
	ck_assert(all_are(bytes_of(parts[1]), 0, 4096));
	ck_assert(!all_are(bytes_of(parts[2]), 0, 4096));
	ck_assert_uint_eq(marked(3), 1);
	ck_assert_uint_eq(marked(0), 1);
	ck_assert_uint_eq(marked(2), 0);

	assert_ok(vmmem_collection_discard_ranges(guest, NULL, 0, 0,
						  &discarded, NULL));
	ck_assert_uint_eq(discarded, 0);
	assert_code(vmmem_collection_discard_ranges(guest, NULL, 1, 0, NULL,
						    NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_discard_ranges(NULL, all, 1, 0, NULL,
						    NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_discard_ranges(guest, all, 1, 4, NULL,
						    NULL),
		    VMMEM_EARGUMENT);
	forget_guest();
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("discard_collection");
	TCase *tcase = tcase_create("discard_collection");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, across_backings, 0, 2);
	tcase_add_test(tcase, marks);
	tcase_add_test(tcase, marks_of_an_alias);
	tcase_add_test(tcase, all_or_nothing);
	tcase_add_test(tcase, failing_on_the_way);
	tcase_add_test(tcase, any_ranges);
	tcase_add_test(tcase, translated);
	tcase_add_test(tcase, chain);
	suite_add_tcase(suite, tcase);
	return suite;
}
