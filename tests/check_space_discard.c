/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Who is asked before memory goes, in which order, and what a refusal does. */
#include <stdio.h>
#include <string.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

#define PAGE UINT64_C(0x10000) /* of any system */
#define EARS 3
#define PARTS 3

struct ear {
	char name;
	struct vmmem_listener *listener;
	unsigned int refuse_at; /* the n-th question; 0: none */
	int code;
	unsigned int asked;
	unsigned int open; /* agreed to, and not yet told of */
};

static struct ear ears[EARS];
static struct vmmem_region *parts[PARTS];
static struct vmmem_space *space;
static char journal[1024];

static void
note(const struct ear *ear, const char *what, struct vmmem_region *region,
     uint64_t offset, uint64_t len, int code)
{
	size_t at = strlen(journal);

	snprintf(journal + at, sizeof(journal) - at, "%c%s%u:%u+%u", ear->name,
		 what, (unsigned int)(vmmem_region_start(region) / PAGE),
		 (unsigned int)(offset / PAGE), (unsigned int)(len / PAGE));
	at = strlen(journal);
	if (code != 0)
		snprintf(journal + at, sizeof(journal) - at, "(%d)", code);
	strcat(journal, " ");
}

static int
discarding(void *opaque, struct vmmem_region *region, uint64_t offset,
	   uint64_t len)
{
	struct ear *ear = opaque;

	note(ear, "?", region, offset, len, 0);
	/* Nothing is gone yet, and nobody may begin anything else. */
	ck_assert_uint_eq(expect_host(region)[offset], 0x11);
	assert_code(vmmem_space_discard(space, 0, 1, 0, NULL), VMMEM_ESELFWAIT);
	if (++ear->asked == ear->refuse_at)
		return ear->code;
	ear->open++;
	return 0;
}

static void
discarded(void *opaque, struct vmmem_region *region, uint64_t offset,
	  uint64_t len, int code)
{
	struct ear *ear = opaque;

	note(ear, "!", region, offset, len, code);
	ck_assert_uint_eq(expect_host(region)[offset], code == 0 ? 0 : 0x11);
	ck_assert_uint_gt(ear->open, 0);
	ear->open--;
}

static void
setup(void)
{
	static const struct vmmem_listener_ops ops = {
		.size = sizeof(ops),
		.discarding = discarding,
		.discarded = discarded,
	};
	static const struct vmmem_listener_ops deaf = { .size = sizeof(deaf) };
	static const int32_t priorities[EARS] = { 5, -5, 0 };
	struct vmmem_listener_options options = { .size = sizeof(options) };
	struct vmmem_listener *unasked;
	struct vmmem_collection *map;
	size_t i;

	for (i = 0; i < PARTS; i++) {
		parts[i] = region_of(4 * i * PAGE, 4 * PAGE);
		memset(expect_host(parts[i]), 0x11, 4 * PAGE);
	}
	assert_ok(vmmem_collection_new(parts, PARTS, &map));
	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
	for (i = 0; i < EARS; i++) {
		ears[i] = (struct ear){ .name = (char)('a' + i) };
		options.priority = priorities[i];
		assert_ok(vmmem_listener_new(space, &ops, &ears[i], &options,
					     &ears[i].listener));
	}
	options.priority = 1;
	assert_ok(vmmem_listener_new(space, &deaf, NULL, &options, &unasked));
	vmmem_listener_free(unasked);
	assert_ok(vmmem_listener_new(space, &deaf, NULL, &options, &unasked));
	journal[0] = '\0';
	/* It goes with the space's last user. */
	vmmem_listener_free(unasked);
}

static void
teardown(void)
{
	size_t i;

	for (i = 0; i < EARS; i++) {
		ck_assert_uint_eq(ears[i].open, 0);
		vmmem_listener_free(ears[i].listener);
	}
	space = vmmem_space_unref(space);
	for (i = 0; i < PARTS; i++)
		vmmem_region_unref(parts[i]);
}

START_TEST(all_agree)
{
	uint64_t count = 99;

	assert_ok(vmmem_space_discard(space, PAGE, 2 * PAGE, 0, &count));
	ck_assert_uint_eq(count, 2 * PAGE);
	ck_assert_str_eq(journal, "a?0:1+2 c?0:1+2 b?0:1+2 "
				  "b!0:1+2 c!0:1+2 a!0:1+2 ");
	ck_assert_uint_eq(expect_host(parts[0])[0], 0x11);
	ck_assert_uint_eq(expect_host(parts[0])[3 * PAGE], 0x11);
}
END_TEST

/* Each region's part, before the first of them goes. */
START_TEST(parts_of_regions)
{
	uint64_t count = 99;

	assert_ok(vmmem_space_discard(space, 3 * PAGE, 6 * PAGE, 0, &count));
	ck_assert_uint_eq(count, 6 * PAGE);
	ck_assert_str_eq(journal,
			 "a?0:3+1 c?0:3+1 b?0:3+1 "
			 "a?4:0+4 c?4:0+4 b?4:0+4 "
			 "a?8:0+1 c?8:0+1 b?8:0+1 "
			 "b!0:3+1 c!0:3+1 a!0:3+1 "
			 "b!4:0+4 c!4:0+4 a!4:0+4 "
			 "b!8:0+1 c!8:0+1 a!8:0+1 ");
}
END_TEST

/* The middle one of three refuses the second part: all is as it was. */
START_TEST(refused)
{
	uint64_t count = 99;

	ears[2].refuse_at = 2;
	ears[2].code = -EBUSY;
	assert_code(vmmem_space_discard(space, 3 * PAGE, 6 * PAGE, 0, &count),
		    -EBUSY);
	ck_assert_uint_eq(count, 0);
	ck_assert_str_eq(journal,
			 "a?0:3+1 c?0:3+1 b?0:3+1 "
			 "a?4:0+4 c?4:0+4 a!4:0+4(-16) "
			 "b!0:3+1(-16) c!0:3+1(-16) a!0:3+1(-16) ");
	ck_assert(all_are(expect_host(parts[0]), 0x11, 4 * PAGE));
	ck_assert(all_are(expect_host(parts[1]), 0x11, 4 * PAGE));
	/* Asked again, it agrees. */
	assert_ok(vmmem_space_discard(space, 3 * PAGE, 6 * PAGE, 0, &count));
	ck_assert_uint_eq(count, 6 * PAGE);
}
END_TEST

START_TEST(bad_answer)
{
	ears[0].refuse_at = 1;
	ears[0].code = 7;
	assert_code(vmmem_space_discard(space, 0, PAGE, 0, NULL),
		    VMMEM_ECALLBACK);
	ck_assert_str_eq(journal, "a?0:0+1 ");
}
END_TEST

/* Nobody is asked for what cannot be. */
START_TEST(not_asked)
{
	uint64_t count = 99;

	assert_code(vmmem_space_discard(NULL, 0, 1, 0, &count),
		    VMMEM_EARGUMENT);
	ck_assert_uint_eq(count, 0);
	assert_code(vmmem_space_discard(space, 0, 1, 4, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_space_discard(space, 12 * PAGE, 1, 0, NULL),
		    VMMEM_EBADADDR);
	assert_code(vmmem_space_discard(space, PAGE, 12 * PAGE, 0, NULL),
		    VMMEM_EBADADDR);
	assert_code(vmmem_space_discard(space, PAGE, TOP, 0, NULL),
		    VMMEM_EBADADDR);
	assert_ok(vmmem_space_discard(space, TOP, 0, 0, &count));
	ck_assert_str_eq(journal, "");
	ck_assert(all_are(expect_host(parts[0]), 0x11, 4 * PAGE));
}
END_TEST

static int
no_discard(void *opaque, uint64_t offset, uint64_t len)
{
	(void)opaque;
	(void)offset;
	(void)len;
	return -EIO;
}

static int
host(void *opaque, void **ret_host)
{
	*ret_host = opaque;
	return 0;
}

/* It could not be done after all: they are told of that too. */
START_TEST(failed)
{
	static const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.host = host,
		.discard = no_discard,
	};
	static _Alignas(16) uint8_t memory[PAGE];
	struct vmmem_region *custom;

	memset(memory, 0x11, sizeof(memory));
	assert_ok(vmmem_region_new_custom(16 * PAGE, PAGE, &ops, memory,
					  &custom));
	assert_ok(vmmem_space_insert(space, custom));
	assert_code(vmmem_space_discard(space, 16 * PAGE, PAGE, 0, NULL),
		    -EIO);
	ck_assert_str_eq(journal, "a?16:0+1 c?16:0+1 b?16:0+1 b!16:0+1(-5) "
				  "c!16:0+1(-5) a!16:0+1(-5) ");
	assert_ok(vmmem_space_remove(space, 16 * PAGE, PAGE, NULL));
	vmmem_region_unref(custom);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
}
END_TEST

/* All parts of all ranges, before the first of them goes. */
START_TEST(chain)
{
	static const struct vmmem_range ranges[] = {
		{ 9 * PAGE, PAGE }, { TOP, 0 }, { 3 * PAGE, 2 * PAGE },
	};
	static const struct vmmem_range bad[] = {
		{ 0, PAGE }, { 11 * PAGE, 2 * PAGE },
	};
	uint64_t count = 99, where = 99;

	assert_ok(vmmem_space_discard_ranges(space, ranges, 3, 0, &count,
					     &where));
	ck_assert_uint_eq(count, 3 * PAGE);
	ck_assert_uint_eq(where, 99);
	ck_assert_str_eq(journal, "a?8:1+1 c?8:1+1 b?8:1+1 "
				  "a?0:3+1 c?0:3+1 b?0:3+1 "
				  "a?4:0+1 c?4:0+1 b?4:0+1 "
				  "b!8:1+1 c!8:1+1 a!8:1+1 "
				  "b!0:3+1 c!0:3+1 a!0:3+1 "
				  "b!4:0+1 c!4:0+1 a!4:0+1 ");
	journal[0] = '\0';
	assert_code(vmmem_space_discard_ranges(space, bad, 2, 0, &count,
					       &where),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(count, 0);
	ck_assert_uint_eq(where, 12 * PAGE);
	assert_code(vmmem_space_discard_ranges(space, NULL, 1, 0, &count,
					       &where),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_space_discard_ranges(NULL, ranges, 1, 0, &count,
					       &where),
		    VMMEM_EARGUMENT);
	ck_assert_str_eq(journal, "");
	assert_ok(vmmem_space_discard_ranges(space, NULL, 0, 0, NULL, NULL));
}
END_TEST

/* One refuses the second range: nothing goes, and each is told so. */
START_TEST(chain_refused)
{
	static const struct vmmem_range ranges[] = {
		{ 0, PAGE }, { 4 * PAGE, PAGE }, { 8 * PAGE, PAGE },
	};
	uint64_t count = 99, where = 99;

	ears[2].refuse_at = 2;
	ears[2].code = -EBUSY;
	assert_code(vmmem_space_discard_ranges(space, ranges, 3, 0, &count,
					       &where),
		    -EBUSY);
	ck_assert_uint_eq(count, 0);
	ck_assert_uint_eq(where, 4 * PAGE);
	ck_assert_str_eq(journal,
			 "a?0:0+1 c?0:0+1 b?0:0+1 "
			 "a?4:0+1 c?4:0+1 a!4:0+1(-16) "
			 "b!0:0+1(-16) c!0:0+1(-16) a!0:0+1(-16) ");
	ck_assert(all_are(expect_host(parts[0]), 0x11, 4 * PAGE));
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("space_discard");
	TCase *tcase = tcase_create("space_discard");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, all_agree);
	tcase_add_test(tcase, parts_of_regions);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, bad_answer);
	tcase_add_test(tcase, not_asked);
	tcase_add_test(tcase, failed);
	tcase_add_test(tcase, chain);
	tcase_add_test(tcase, chain_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
