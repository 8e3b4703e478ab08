/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Making memory private, and sharing it again. */
#include <pthread.h>
#include <stdatomic.h>

#include "gmem.h"
#include "memory.h"
#include "suite.h"

#define GPA UINT64_C(0x40000000)
#define PRIVATE 1
#define SHARED 0

/*
 * Two regions of eight pages that touch, in one guest_memfd, with a page
 * between them; and a plain one behind.
 */
static uint64_t page, len;
static int fd;
static uint8_t *secret; /* what is in the guest_memfd */
static struct vmmem_region *regions[2], *plain;
static struct vmmem_space *space;
static struct vmmem_listener *listener;

/* What the listener was told, and what it answers. */
static struct {
	unsigned int asked, told;
	uint64_t offset[4], bytes[4];
	struct vmmem_region *region[4];
	int code, to_private;
	int refuses;	     /* with this */
	unsigned int accepts; /* so many first */
	int was_private;     /* the region said so while it was asked */
	int is_private;	     /* and when it heard the end */
} heard;

static int
converting(void *opaque, struct vmmem_region *region, uint64_t offset,
	   uint64_t bytes, int to_private)
{
	ck_assert_ptr_eq(opaque, &heard);
	ck_assert_uint_lt(heard.asked, 4);
	heard.region[heard.asked] = region;
	heard.offset[heard.asked] = offset;
	heard.bytes[heard.asked] = bytes;
	heard.to_private = to_private;
	heard.was_private = vmmem_region_is_private(region, offset, bytes);
	assert_code(vmmem_space_convert(space, GPA, page, to_private, NULL),
		    VMMEM_ESELFWAIT);
	assert_code(vmmem_region_pin(region, offset, 1), VMMEM_ESELFWAIT);
	if (heard.refuses != 0 && heard.asked == heard.accepts)
		return heard.refuses;
	heard.asked++;
	return 0;
}

static void
converted(void *opaque, struct vmmem_region *region, uint64_t offset,
	  uint64_t bytes, int to_private, int code)
{
	(void)opaque;
	ck_assert_uint_lt(heard.told, heard.asked);
	ck_assert_ptr_eq(region, heard.region[heard.told]);
	ck_assert_uint_eq(offset, heard.offset[heard.told]);
	ck_assert_uint_eq(bytes, heard.bytes[heard.told]);
	ck_assert_int_eq(to_private, heard.to_private);
	heard.told++;
	heard.code = code;
	heard.is_private = vmmem_region_is_private(region, offset, bytes);
}

const char *
skip_reason(void)
{
	return gmem_missing();
}

static void
setup(void)
{
	static const struct vmmem_listener_ops ops = {
		.size = sizeof(ops),
		.converting = converting,
		.converted = converted,
	};
	struct vmmem_region *all[3];
	struct vmmem_collection *map;

	page = page_size();
	len = 8 * page;
	fd = gmem_new(2 * len + page);
	secret = mmap(NULL, 2 * len + page, PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, 0);
	ck_assert_ptr_ne(secret, MAP_FAILED);
	regions[0] = gmem_region(GPA, len, fd, 0);
	regions[1] = gmem_region(GPA + len, len, fd, len + page);
	plain = region_of(GPA + 2 * len, page);
	all[0] = vmmem_region_ref(regions[0]);
	all[1] = vmmem_region_ref(regions[1]);
	all[2] = vmmem_region_ref(plain);
	map = guest_of(all, 3);
	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
	memset(&heard, 0, sizeof(heard));
	assert_ok(vmmem_listener_new(space, &ops, &heard, NULL, &listener));
	/* Both sides are full, and all is private. */
	memset(secret, 0x55, 2 * len + page);
	memset(expect_host(regions[0]), 0x11, len);
	memset(expect_host(regions[1]), 0x11, len);
}

static void
teardown(void)
{
	listener = vmmem_listener_free(listener);
	space = vmmem_space_unref(space);
	regions[0] = vmmem_region_unref(regions[0]);
	regions[1] = vmmem_region_unref(regions[1]);
	plain = vmmem_region_unref(plain);
	munmap(secret, 2 * len + page);
	close(fd);
}

static void
expect_bytes(const uint8_t *bytes, uint64_t count, uint8_t value)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		ck_assert_uint_eq(bytes[i], value);
}

START_TEST(sharing)
{
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(regions[0]);
	uint64_t kept = 99;
	uint8_t *host = expect_host(regions[0]);

	assert_ok(vmmem_bitmap_start_logging(bitmap));
	assert_ok(vmmem_space_convert(space, GPA + 2 * page, 3 * page, SHARED,
				      &kept));
	ck_assert_uint_eq(kept, 0);
	ck_assert_uint_eq(heard.asked, 1);
	ck_assert_uint_eq(heard.told, 1);
	ck_assert_int_eq(heard.code, 0);
	ck_assert_int_eq(heard.to_private, SHARED);
	ck_assert_ptr_eq(heard.region[0], regions[0]);
	ck_assert_uint_eq(heard.offset[0], 2 * page);
	ck_assert_uint_eq(heard.bytes[0], 3 * page);
	/* Not given out before all have agreed. */
	ck_assert_int_eq(heard.was_private, 1);
	ck_assert_int_eq(vmmem_region_is_private(regions[0], 2 * page,
						 3 * page),
			 0);
	ck_assert_int_eq(vmmem_region_is_private(regions[0], page, page), 1);
	ck_assert_int_eq(vmmem_region_is_private(regions[0], 5 * page, 1), 1);
	/* What was private is gone, and nothing beside it. */
	expect_bytes(secret + 2 * page, 3 * page, 0);
	expect_bytes(secret + page, page, 0x55);
	expect_bytes(secret + 5 * page, page, 0x55);
	expect_bytes(host, len, 0x11);
	/* The guest sees other bytes there than before. */
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 3);
	ck_assert_int_eq(vmmem_bitmap_test(bitmap, 2 * page), 1);
	assert_ok(vmmem_bitmap_stop_logging(bitmap));
}
END_TEST

START_TEST(hiding)
{
	uint8_t *host = expect_host(regions[1]), byte;
	struct vmmem_collection *map;
	uint64_t kept = 99;

	assert_ok(vmmem_region_set_private(regions[1], 0, len, SHARED));
	assert_ok(vmmem_space_convert(space, GPA + len + page, page, PRIVATE,
				      &kept));
	ck_assert_uint_eq(kept, 0);
	ck_assert_int_eq(heard.was_private, 1);
	ck_assert_int_eq(heard.to_private, PRIVATE);
	expect_bytes(host + page, page, 0);
	expect_bytes(host, page, 0x11);
	expect_bytes(host + 2 * page, page, 0x11);
	expect_bytes(secret, 2 * len + page, 0x55);
	map = vmmem_space_get(space);
	assert_code(vmmem_collection_read_u8(map, GPA + len + page, &byte),
		    VMMEM_EPRIVATE);
	assert_ok(vmmem_collection_read_u8(map, GPA + len, &byte));
	vmmem_collection_unref(map);
}
END_TEST

/* Over both regions; the hole is of the second's own place in the file. */
START_TEST(several)
{
	assert_ok(vmmem_space_convert(space, GPA + 7 * page, 2 * page, SHARED,
				      NULL));
	ck_assert_uint_eq(heard.asked, 2);
	ck_assert_uint_eq(heard.told, 2);
	ck_assert_ptr_eq(heard.region[1], regions[1]);
	ck_assert_uint_eq(heard.offset[1], 0);
	ck_assert_uint_eq(heard.bytes[1], page);
	expect_bytes(secret, 7 * page, 0x55);
	expect_bytes(secret + 7 * page, page, 0);
	expect_bytes(secret + len, page, 0x55);
	expect_bytes(secret + len + page, page, 0);
	expect_bytes(secret + len + 2 * page, 7 * page, 0x55);
}
END_TEST

/* Nothing is as it was not, and who had agreed is told why. */
START_TEST(listener_refuses)
{
	const int to_private = _i;
	uint64_t kept = 99, at, found;

	assert_ok(vmmem_region_set_private(regions[0], 5 * page, 2 * page,
					   SHARED));
	heard.refuses = -EBUSY;
	heard.accepts = 1;
	assert_code(vmmem_space_convert(space, GPA + 2 * page, 2 * len - 2 *
					page, to_private, &kept),
		    -EBUSY);
	ck_assert_uint_eq(kept, 0);
	ck_assert_uint_eq(heard.asked, 1);
	ck_assert_uint_eq(heard.told, 1);
	ck_assert_int_eq(heard.code, -EBUSY);
	/* Also where a part was so already. */
	ck_assert_int_eq(vmmem_region_is_private(regions[0], 5 * page,
						 2 * page),
			 0);
	assert_ok(vmmem_region_next_private(regions[0], 5 * page, 3 * page,
					    &at, &found));
	ck_assert_uint_eq(at, 7 * page);
	ck_assert_uint_eq(found, page);
	ck_assert_int_eq(vmmem_region_is_private(regions[0], 4 * page, page),
			 1);
	ck_assert_int_eq(vmmem_region_is_private(regions[1], 0, len), 1);
	expect_bytes(secret, 2 * len + page, 0x55);
	expect_bytes(expect_host(regions[0]), len, 0x11);

	heard.refuses = 7;
	heard.accepts = 0;
	heard.asked = heard.told = 0;
	assert_code(vmmem_space_convert(space, GPA, page, to_private, NULL),
		    VMMEM_ECALLBACK);
	ck_assert_uint_eq(heard.told, 0);
	/* And nothing is left in the way. */
	assert_ok(vmmem_region_pin(regions[0], 0, len));
	assert_ok(vmmem_region_unpin(regions[0], 0, len));
}
END_TEST

/* Those below one that refuses are told; it is not, nor are those above. */
START_TEST(several_listeners)
{
	const struct vmmem_listener_ops refusing = {
		.size = sizeof(refusing),
		.converting = converting,
		.converted = converted,
	};
	const struct vmmem_listener_options below = {
		.size = sizeof(below),
		.priority = -1,
	};
	struct vmmem_listener *lower = NULL;

	assert_ok(vmmem_listener_new(space, &refusing, &heard, &below,
				     &lower));
	assert_ok(vmmem_region_set_private(regions[0], 0, page, SHARED));
	heard.refuses = VMMEM_EPINNED;
	heard.accepts = 1; /* the higher one */
	assert_code(vmmem_space_convert(space, GPA, page, PRIVATE, NULL),
		    VMMEM_EPINNED);
	/* It is told when all is as it was. */
	ck_assert_int_eq(heard.was_private, 1);
	ck_assert_int_eq(heard.is_private, 0);
	ck_assert_uint_eq(heard.asked, 1);
	ck_assert_uint_eq(heard.told, 1);
	ck_assert_int_eq(heard.code, VMMEM_EPINNED);
	vmmem_listener_free(lower);
}
END_TEST

START_TEST(pins)
{
	assert_ok(vmmem_region_set_private(regions[0], 0, len, SHARED));
	assert_ok(vmmem_region_pin(regions[0], 7 * page + 5, 1));
	assert_code(vmmem_space_convert(space, GPA, 2 * len, PRIVATE, NULL),
		    VMMEM_EPINNED);
	ck_assert_uint_eq(heard.asked, 0);
	ck_assert_int_eq(vmmem_region_is_private(regions[0], 0, len), 0);
	assert_ok(vmmem_space_convert(space, GPA, 7 * page, PRIVATE, NULL));
	assert_ok(vmmem_region_unpin(regions[0], 7 * page + 5, 1));
	/* What comes before it in the range can be pinned again. */
	assert_ok(vmmem_region_pin(regions[1], 0, 1));
	assert_code(vmmem_space_convert(space, GPA, 2 * len, SHARED, NULL),
		    VMMEM_EPINNED);
	assert_ok(vmmem_region_pin(regions[0], 0, 1));
	assert_ok(vmmem_region_unpin(regions[0], 0, 1));
	assert_ok(vmmem_region_unpin(regions[1], 0, 1));
	assert_ok(vmmem_space_convert(space, GPA, 2 * len, PRIVATE, NULL));
}
END_TEST

START_TEST(refuses)
{
	uint64_t kept = 99;

	assert_code(vmmem_space_convert(NULL, GPA, page, PRIVATE, &kept),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(kept, 0);
	assert_code(vmmem_space_convert(space, GPA + len, len + page, SHARED,
					NULL),
		    VMMEM_ENOFILE);
	assert_code(vmmem_space_convert(space, GPA - page, 2 * page, SHARED,
					NULL),
		    VMMEM_EBADADDR);
	assert_code(vmmem_space_convert(space, GPA + len, 2 * len, SHARED,
					NULL),
		    VMMEM_EBADADDR);
	assert_code(vmmem_space_convert(space, GPA + 16, page, SHARED, NULL),
		    VMMEM_EMISALIGNED);
	assert_code(vmmem_space_convert(space, GPA, page + 16, SHARED, NULL),
		    VMMEM_EMISALIGNED);
	assert_ok(vmmem_space_convert(space, 3, 0, SHARED, NULL));
	ck_assert_uint_eq(heard.asked, 0);
	ck_assert_int_eq(vmmem_region_is_private(regions[0], 0, len), 1);
	expect_bytes(secret, 2 * len + page, 0x55);
}
END_TEST

/* Two views of one region in one range, and a refusal. */
START_TEST(aliases)
{
	struct vmmem_region *alias = NULL;

	assert_ok(vmmem_region_new_alias(GPA - page, page, regions[0],
					 3 * page, &alias));
	assert_ok(vmmem_space_insert(space, alias));
	vmmem_region_unref(alias);
	assert_ok(vmmem_region_set_private(regions[0], 3 * page, page,
					   SHARED));
	heard.refuses = -EIO;
	heard.accepts = 1;
	assert_code(vmmem_space_convert(space, GPA - page, 5 * page, PRIVATE,
					NULL),
		    -EIO);
	ck_assert_int_eq(vmmem_region_is_private(regions[0], 3 * page, page),
			 0);
	heard.refuses = 0;
	heard.asked = heard.told = 0;
	assert_ok(vmmem_space_convert(space, GPA - page, page, PRIVATE, NULL));
	ck_assert_int_eq(vmmem_region_is_private(regions[0], 3 * page, 1), 1);
	expect_bytes(expect_host(regions[0]) + 3 * page, page, 0);
	assert_ok(vmmem_space_convert(space, GPA - page, page, SHARED, NULL));
	expect_bytes(secret + 3 * page, page, 0);
	expect_bytes(secret + 4 * page, page, 0x55);
}
END_TEST

/* What is mapped, in ascending order; and what its conversion returns. */
struct mapped {
	uint64_t start, last;
	struct vmmem_region *region;
	int code;
};

/* The first code of the parts of a range that is mapped. */
static int
expect_convert(const struct mapped *all, size_t count, uint64_t gpa,
	       uint64_t bytes)
{
	const uint64_t last = gpa + (bytes - 1);
	size_t i;

	for (i = 0; i < count; i++) {
		const uint64_t from = gpa > all[i].start ? gpa : all[i].start;
		const uint64_t to = last < all[i].last ? last : all[i].last;

		if (from > to)
			continue;
		if (all[i].code != 0)
			return all[i].code;
		if (from % page != 0 || (to + 1) % page != 0)
			return VMMEM_EMISALIGNED;
	}
	return 0;
}

/* All pairs of an address and a length at which sums go wrong. */
START_TEST(by_numbers)
{
	struct vmmem_region *top = gmem_region(TOP - page + 1, page, fd, len);
	const struct mapped all[] = {
		{ GPA, GPA + len - 1, regions[0], 0 },
		{ GPA + len, GPA + 2 * len - 1, regions[1], 0 },
		{ GPA + 2 * len, GPA + 2 * len + page - 1, plain,
		  VMMEM_ENOFILE },
		{ TOP - page + 1, TOP, top, 0 },
	};
	const uint64_t numbers[] = {
		0,
		1,
		page - 1,
		page,
		page + 1,
		len,
		2 * len,
		2 * len + page,
		GPA - 1,
		GPA,
		GPA + 1,
		GPA + len - page,
		GPA + len,
		GPA + 2 * len,
		UINT64_C(1) << 32,
		UINT64_C(1) << 63,
		TOP - page,
		TOP - page + 1,
		TOP - page + 2,
		TOP - 1,
		TOP,
	};
	const size_t count = ARRAY_LEN(numbers);
	struct vmmem_collection *map;
	uint64_t gpa, bytes, kept;
	size_t i, j;
	int want;

	listener = vmmem_listener_free(listener);
	assert_ok(vmmem_space_insert(space, top));
	map = vmmem_space_get(space);
	for (i = 0; i < 2 * count * count; i++) {
		gpa = numbers[i / 2 / count];
		bytes = numbers[i / 2 % count];
		want = vmmem_collection_check(map, gpa, bytes, 0, NULL);
		if (want == 0 && bytes != 0)
			want = expect_convert(all, ARRAY_LEN(all), gpa, bytes);
		kept = 99;
		assert_code(vmmem_space_convert(space, gpa, bytes,
						i % 2 == 0 ? SHARED : PRIVATE,
						&kept),
			    want);
		ck_assert_uint_eq(kept, 0);
		/* The first time all of it is shared, and nothing else. */
		for (j = 0; j < ARRAY_LEN(all); j++) {
			uint64_t at;

			for (at = all[j].start; all[j].code == 0;
			     at += page) {
				bool hit = want == 0 && bytes != 0 &&
					   at >= gpa && at - gpa < bytes;

				ck_assert_int_eq(
					vmmem_region_is_private(
						all[j].region,
						at - all[j].start, page),
					!hit || i % 2 != 0);
				if (at + (page - 1) == all[j].last)
					break;
			}
		}
	}
	vmmem_collection_unref(map);
	vmmem_region_unref(top);
}
END_TEST

/* Of memory that cannot be given back it is said how much there is. */
START_TEST(kept)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *locked = NULL;
	uint64_t bytes = 99, expected;
	void *memory;
	int file;

	/* For a private mapping of a file there is no means. */
	file = file_of(page);
	memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, file,
		      0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	close(file);
	/* An emulator ignores advice, and says that it took it. */
	expected = madvise(memory, page, MADV_REMOVE) == 0 ? 0 : page;
	vmmem_region_builder_set_range(builder, GPA - page, page);
	vmmem_region_builder_set_external(builder, memory, NULL, NULL);
	vmmem_region_builder_set_guest_memfd(builder, fd, 0);
	assert_ok(vmmem_region_builder_build(builder, &locked));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_space_insert(space, locked));
	assert_ok(vmmem_space_convert(space, GPA - page, page, SHARED,
				      &bytes));
	ck_assert_uint_eq(bytes, 0);
	assert_ok(vmmem_space_convert(space, GPA - page, 2 * page, PRIVATE,
				      &bytes));
	ck_assert_uint_eq(bytes, expected);
	ck_assert_int_eq(vmmem_region_is_private(locked, 0, page), 1);
	assert_ok(vmmem_space_remove(space, GPA - page, page, NULL));
	vmmem_region_unref(locked);
	munmap(memory, page);
}
END_TEST

/* A thread that reads and writes as long as it may. */
static struct {
	struct vmmem_collection *map;
	atomic_int stop;
	atomic_uint wrong, moved;
} device;

static void *
access_memory(void *opaque)
{
	struct vmmem_slice slice;
	uint64_t value = 1;
	int rc, turn;

	(void)opaque;
	/* Relaxed: the flag and the counts are all that is passed on. */
	for (turn = 0; !atomic_load_explicit(&device.stop,
					     memory_order_relaxed);
	     turn++) {
		const uint64_t gpa = GPA + (uint64_t)(turn % 8) * page;

		rc = turn % 3 == 0 ?
			     vmmem_collection_read_u64(device.map, gpa,
						       &value) :
			     vmmem_collection_write_u64(device.map, gpa, 3);
		if (turn % 3 == 2) {
			rc = vmmem_collection_slice(device.map, gpa, page,
						    VMMEM_PROT_WRITE, &slice);
			if (rc == 0)
				rc = vmmem_slice_fill(&slice, 0, page, 3);
		}
		if (rc == 0)
			atomic_fetch_add_explicit(&device.moved, 1,
						  memory_order_relaxed);
		else if (rc != VMMEM_EPRIVATE)
			atomic_fetch_add_explicit(&device.wrong, 1,
						  memory_order_relaxed);
	}
	return NULL;
}

/* Who looked before a conversion touches the shared side, and lives. */
START_TEST(accesses_meanwhile)
{
	pthread_t thread;
	unsigned int turn = 0;

	listener = vmmem_listener_free(listener);
	device.map = vmmem_space_get(space);
	atomic_store(&device.stop, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, access_memory, NULL),
			 0);
	while (turn < 500 || (atomic_load(&device.moved) < 500 &&
			      turn < 1000000)) {
		assert_ok(vmmem_space_convert(space, GPA, len,
					      (int)(turn % 2), NULL));
		turn++;
	}
	atomic_store(&device.stop, 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(atomic_load(&device.wrong), 0);
	ck_assert_uint_ge(atomic_load(&device.moved), 500);
	device.map = vmmem_collection_unref(device.map);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("private_convert");
	TCase *tcase = tcase_create("convert");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, sharing);
	tcase_add_test(tcase, hiding);
	tcase_add_test(tcase, several);
	tcase_add_loop_test(tcase, listener_refuses, 0, 2);
	tcase_add_test(tcase, several_listeners);
	tcase_add_test(tcase, pins);
	tcase_add_test(tcase, refuses);
	tcase_add_test(tcase, aliases);
	tcase_add_test(tcase, by_numbers);
	tcase_add_test(tcase, kept);
	tcase_add_test(tcase, accesses_meanwhile);
	suite_add_tcase(suite, tcase);
	return suite;
}
