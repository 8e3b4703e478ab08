/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Pointers that components hang on regions and collections, and their end. */
#include <pthread.h>
#include <stdbool.h>

#include <vmmem/region_builder.h>

#include "guest.h"
#include "memory.h"
#include "suite.h"

#define LEN UINT64_C(0x4000)

static struct vmmem_region_builder *builder;

/* What was destroyed, in order, and what it must come after. */
static char ended[16];
static size_t ends;
static const uint8_t *unmapped;

static const int key, other_key;
static char first = 'a', second = 'b', third = 'c';

static void
setup(void)
{
	builder = vmmem_region_builder_new();
	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, 0x10000, LEN);
	memset(ended, 0, sizeof(ended));
	ends = 0;
	unmapped = NULL;
}

static void
teardown(void)
{
	vmmem_region_builder_free(builder);
}

static void
end(void *cookie)
{
	ck_assert_uint_lt(ends, sizeof(ended) - 1);
	ended[ends++] = *(char *)cookie;
	if (unmapped != NULL)
		ck_assert(!is_mapped(unmapped, LEN));
}

static struct vmmem_region *
build(void)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_builder_build(builder, &region));
	return region;
}

/* Two components, neither of which sees the other's. */
START_TEST(by_key)
{
	struct vmmem_region *region;

	vmmem_region_builder_set_cookie(builder, &key, &first, end);
	vmmem_region_builder_set_cookie(builder, &other_key, &second, end);
	region = build();
	ck_assert_ptr_eq(vmmem_region_cookie(region, &key), &first);
	ck_assert_ptr_eq(vmmem_region_cookie(region, &other_key), &second);
	ck_assert_ptr_null(vmmem_region_cookie(region, &first));
	ck_assert_ptr_null(vmmem_region_cookie(region, NULL));
	ck_assert_str_eq(ended, "");
	vmmem_region_ref(region);
	vmmem_region_unref(region);
	ck_assert_str_eq(ended, "");
	vmmem_region_unref(region);
	ck_assert_str_eq(ended, "ab");
}
END_TEST

/* What is set again is replaced in its place, what is taken back is gone. */
START_TEST(set_again)
{
	vmmem_region_builder_set_cookie(builder, &key, &first, end);
	vmmem_region_builder_set_cookie(builder, &other_key, &second, end);
	vmmem_region_builder_set_cookie(builder, &key, &third, end);
	vmmem_region_unref(build());
	ck_assert_str_eq(ended, "cb");
	vmmem_region_builder_set_cookie(builder, &key, NULL, end);
	vmmem_region_builder_set_cookie(builder, &key, NULL, NULL);
	vmmem_region_unref(build());
	ck_assert_str_eq(ended, "cbb");
	/* Without a destructor nobody is told. */
	vmmem_region_builder_set_cookie(builder, &other_key, &second, NULL);
	vmmem_region_unref(build());
	ck_assert_str_eq(ended, "cbb");
}
END_TEST

static int
no_bytes(void *opaque, uint64_t offset, void *buf, size_t len,
	 const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	memset(buf, 0, len);
	return 0;
}

static void
custom_end(void *opaque)
{
	end(opaque);
}

/* For every kind: once for each region, after all else of it. */
START_TEST(every_kind)
{
	static const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.read = no_bytes,
		.destroy = custom_end,
	};
	static _Alignas(16) uint8_t memory[LEN];
	struct vmmem_region *target = region_of(0, LEN), *region;
	const char *expected = "a";
	int fd = file_of(LEN);

	vmmem_region_builder_set_cookie(builder, &key, &first, end);
	switch (_i) {
	case VMMEM_REGION_ANONYMOUS:
		break;
	case VMMEM_REGION_MEMFD:
		vmmem_region_builder_set_memfd(builder);
		break;
	case VMMEM_REGION_FILE:
		vmmem_region_builder_set_file(builder, fd, 0, 0);
		break;
	case VMMEM_REGION_EXTERNAL:
		vmmem_region_builder_set_external(builder, memory, custom_end,
						  &second);
		expected = "ba";
		break;
	case VMMEM_REGION_ALIAS:
		vmmem_region_builder_set_alias(builder, target, 0);
		break;
	default:
		vmmem_region_builder_set_custom(builder, &ops, &second);
		expected = "ba";
		break;
	}
	region = build();
	ck_assert_uint_eq(vmmem_region_kind(region), (uint32_t)_i);
	if (_i <= VMMEM_REGION_FILE)
		unmapped = expect_host(region);
	vmmem_region_unref(region);
	ck_assert_str_eq(ended, expected);
	/* An alias is what ends here; its target has no cookie of this. */
	vmmem_region_unref(target);
	unmapped = NULL;
	vmmem_region_unref(build());
	ck_assert_uint_eq(ends, 2 * strlen(expected));
	close(fd);
}
END_TEST

/* The last use of a target may be an alias: then both end, one by one. */
START_TEST(alias_and_target)
{
	struct vmmem_region *target, *alias;

	vmmem_region_builder_set_cookie(builder, &key, &first, end);
	target = build();
	vmmem_region_builder_set_alias(builder, target, 0);
	vmmem_region_builder_set_cookie(builder, &key, &second, end);
	alias = build();
	ck_assert_ptr_eq(vmmem_region_cookie(alias, &key), &second);
	ck_assert_ptr_eq(vmmem_region_cookie(target, &key), &first);
	vmmem_region_builder_set_anonymous(builder);
	vmmem_region_unref(target);
	ck_assert_str_eq(ended, "");
	vmmem_region_unref(alias);
	ck_assert_str_eq(ended, "ab");
}
END_TEST

/* What was not built still has its owner. */
START_TEST(not_built)
{
	struct vmmem_region *region = NO_REGION;

	vmmem_region_builder_set_cookie(builder, &key, &first, end);
	vmmem_region_builder_set_file(builder, -1, 0, 0);
	assert_code(vmmem_region_builder_build(builder, &region), -EBADF);
	vmmem_region_builder_set_alias(builder, NULL, 0);
	assert_code(vmmem_region_builder_build(builder, &region),
		    VMMEM_EARGUMENT);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_str_eq(ended, "");
}
END_TEST

START_TEST(refused)
{
	static const int keys[VMMEM_REGION_COOKIES_MAX + 3];
	struct vmmem_region *region = NO_REGION;
	size_t i;

	vmmem_region_builder_set_cookie(builder, NULL, &first, end);
	assert_code(vmmem_region_builder_build(builder, &region),
		    VMMEM_EARGUMENT);
	ck_assert_str_eq(vmmem_region_builder_why(builder),
			 "The key of a cookie is NULL");
	vmmem_region_builder_set_cookie(builder, NULL, NULL, NULL);

	for (i = 0; i < VMMEM_REGION_COOKIES_MAX; i++)
		vmmem_region_builder_set_cookie(builder, &keys[i], &first,
						end);
	vmmem_region_unref(build());
	ck_assert_uint_eq(ends, VMMEM_REGION_COOKIES_MAX);
	for (; i < ARRAY_LEN(keys); i++) {
		vmmem_region_builder_set_cookie(builder, &keys[i], &second,
						end);
		assert_code(vmmem_region_builder_build(builder, &region),
			    VMMEM_EARGUMENT);
		ck_assert_str_eq(vmmem_region_builder_why(builder),
				 "There are too many cookies");
	}
	ck_assert_ptr_eq(region, NO_REGION);
	/* Those are lost, so a region without them is not built either. */
	vmmem_region_builder_set_cookie(builder, &keys[0], NULL, NULL);
	ends = 0;
	assert_code(vmmem_region_builder_build(builder, &region),
		    VMMEM_EARGUMENT);
	ck_assert_str_eq(vmmem_region_builder_why(builder),
			 "There are too many cookies");
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_uint_eq(ends, 0);
}
END_TEST

/* Unplugged memory is gone when it is gone, not when the map is new. */
START_TEST(after_the_last_holder)
{
	struct vmmem_collection *map, *smaller = NULL;

	vmmem_region_builder_set_cookie(builder, &key, &first, end);
	map = guest_of_one(build());
	unmapped = expect_host(vmmem_collection_region(map, 0));
	assert_ok(vmmem_collection_remove(map, 0x10000, LEN, &smaller, NULL));
	ck_assert_str_eq(ended, "");
	vmmem_collection_unref(map);
	ck_assert_str_eq(ended, "a");
	vmmem_collection_unref(smaller);
	ck_assert_str_eq(ended, "a");
}
END_TEST

START_TEST(collection_by_key)
{
	struct vmmem_collection *map = guest_of_one(region_of(0, LEN));
	struct vmmem_collection *larger = NULL;
	struct vmmem_region *region = region_of(LEN, LEN);

	ck_assert_ptr_null(vmmem_collection_cookie(map, &key));
	assert_ok(vmmem_collection_set_cookie(map, &key, &first, end));
	assert_ok(vmmem_collection_set_cookie(map, &other_key, &second, end));
	assert_code(vmmem_collection_set_cookie(map, &key, &third, end),
		    VMMEM_EEXISTS);
	ck_assert_ptr_eq(vmmem_collection_cookie(map, &key), &first);
	ck_assert_ptr_eq(vmmem_collection_cookie(map, &other_key), &second);
	ck_assert_ptr_null(vmmem_collection_cookie(map, NULL));
	ck_assert_ptr_null(vmmem_collection_cookie(NULL, &key));

	/* What is made of it is another map. */
	assert_ok(vmmem_collection_insert(map, region, &larger));
	ck_assert_ptr_null(vmmem_collection_cookie(larger, &key));
	assert_ok(vmmem_collection_set_cookie(larger, &key, &third, end));
	vmmem_region_unref(region);
	vmmem_collection_ref(map);
	vmmem_collection_unref(map);
	ck_assert_str_eq(ended, "");
	vmmem_collection_unref(map);
	ck_assert_str_eq(ended, "ab");
	vmmem_collection_unref(larger);
	ck_assert_str_eq(ended, "abc");
}
END_TEST

START_TEST(collection_refused)
{
	static const int keys[VMMEM_COLLECTION_COOKIES_MAX];
	struct vmmem_collection *map = NULL;
	size_t i;

	assert_ok(vmmem_collection_new_empty(&map));
	assert_code(vmmem_collection_set_cookie(NULL, &key, &first, end),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_set_cookie(map, NULL, &first, end),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_collection_set_cookie(map, &key, NULL, end),
		    VMMEM_EARGUMENT);
	for (i = 0; i < VMMEM_COLLECTION_COOKIES_MAX; i++)
		assert_ok(vmmem_collection_set_cookie(map, &keys[i], &first,
						      NULL));
	assert_code(vmmem_collection_set_cookie(map, &key, &first, end),
		    VMMEM_ENOROOM);
	assert_code(vmmem_collection_set_cookie(map, &keys[0], &first, end),
		    VMMEM_EEXISTS);
	vmmem_collection_unref(map);
	ck_assert_str_eq(ended, "");
}
END_TEST

/* Regions first: the cookie's table is of regions that are let go. */
START_TEST(collection_after_its_regions)
{
	struct vmmem_collection *map;

	vmmem_region_builder_set_cookie(builder, &key, &first, end);
	map = guest_of_one(build());
	assert_ok(vmmem_collection_set_cookie(map, &key, &second, end));
	vmmem_collection_unref(map);
	ck_assert_str_eq(ended, "ab");
}
END_TEST

#define SETTERS 4

struct setter {
	pthread_t thread;
	struct vmmem_collection *map;
	int rc;
};

static pthread_barrier_t start;

static void *
set_once(void *opaque)
{
	struct setter *setter = opaque;

	pthread_barrier_wait(&start);
	setter->rc = vmmem_collection_set_cookie(setter->map, &key, setter,
						 NULL);
	/* Whoever won, it is there now. */
	ck_assert_ptr_nonnull(vmmem_collection_cookie(setter->map, &key));
	return NULL;
}

/* Of several threads one succeeds, and all find its cookie. */
START_TEST(collection_race)
{
	struct setter setters[SETTERS];
	struct vmmem_collection *map = NULL;
	int round, won, i;

	for (round = 0; round < 200; round++) {
		assert_ok(vmmem_collection_new_empty(&map));
		ck_assert_int_eq(pthread_barrier_init(&start, NULL, SETTERS),
				 0);
		for (i = 0; i < SETTERS; i++) {
			setters[i].map = map;
			ck_assert_int_eq(pthread_create(&setters[i].thread,
							NULL, set_once,
							&setters[i]),
					 0);
		}
		for (won = i = 0; i < SETTERS; i++) {
			ck_assert_int_eq(pthread_join(setters[i].thread, NULL),
					 0);
			if (setters[i].rc == 0) {
				won++;
				ck_assert_ptr_eq(vmmem_collection_cookie(map,
									 &key),
						 &setters[i]);
			} else {
				assert_code(setters[i].rc, VMMEM_EEXISTS);
			}
		}
		ck_assert_int_eq(won, 1);
		pthread_barrier_destroy(&start);
		vmmem_collection_unref(map);
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("cookie");
	TCase *tcase = tcase_create("cookie");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, by_key);
	tcase_add_test(tcase, set_again);
	tcase_add_loop_test(tcase, every_kind, VMMEM_REGION_ANONYMOUS,
			    VMMEM_REGION_CUSTOM + 1);
	tcase_add_test(tcase, alias_and_target);
	tcase_add_test(tcase, not_built);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, after_the_last_holder);
	tcase_add_test(tcase, collection_by_key);
	tcase_add_test(tcase, collection_refused);
	tcase_add_test(tcase, collection_after_its_regions);
	tcase_add_test(tcase, collection_race);
	suite_add_tcase(suite, tcase);
	return suite;
}
