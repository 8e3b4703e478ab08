/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Each call on the way to a dirty log, and to a map that it follows, fails
 * once: then there is no log, or the map stays, and no mark is lost.
 */
#include "fault.h"
#include "suite.h"

#include <stdalign.h>
#include <string.h>
#include <sys/syscall.h>

#define PAGE UINT64_C(64)
#define LEN (4 * PAGE)
#define REGIONS 4

static alignas(16) unsigned char memory[REGIONS][LEN];
static struct vmmem_region *regions[REGIONS];
static struct vmmem_space *space;
static struct vmmem_dirty_log *const no_log = (void *)&memory[0];

static const struct vmmem_dirty_log_options options = {
	.size = sizeof(options),
	.name = "migration",
	.flags = VMMEM_DIRTY_LOG_CLEAN,
};

static struct vmmem_region *
make_region(unsigned int index)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, index * LEN, LEN);
	vmmem_region_builder_set_external(builder, memory[index], NULL, NULL);
	vmmem_region_builder_set_tracking(builder, PAGE);
	ck_assert_int_eq(vmmem_region_builder_build(builder, &region), 0);
	vmmem_region_builder_free(builder);
	return region;
}

static void
setup(void)
{
	unsigned int i;

	for (i = 0; i < REGIONS; i++)
		regions[i] = make_region(i);
}

/* All regions but the last are there from the start. */
static int
make_space(void)
{
	struct vmmem_collection *map;
	int rc = vmmem_collection_new(regions, REGIONS - 1, &map);

	if (rc != 0)
		return rc;
	rc = vmmem_space_new(map, NULL, &space);
	vmmem_collection_unref(map);
	return rc;
}

static void
teardown(void)
{
	unsigned int i;

	for (i = 0; i < REGIONS; i++)
		vmmem_region_unref(regions[i]);
}

static bool
logging(unsigned int region)
{
	return vmmem_bitmap_is_logging(vmmem_region_bitmap(regions[region]));
}

static void
mark(unsigned int region)
{
	REQUIRE(vmmem_bitmap_mark(vmmem_region_bitmap(regions[region]), 0,
				  1) == 0);
}

/* A first code that is kept. */
static void
keep(int *rc, int code)
{
	if (*rc == 0)
		*rc = code;
}

/* What a collect that fails has taken is there after the next one. */
static int
collect(struct vmmem_dirty_log *log, uint64_t want)
{
	uint64_t bytes = UINT64_MAX;
	int rc = vmmem_dirty_log_collect(log, &bytes);

	if (rc != 0) {
		REQUIRE(bytes == UINT64_MAX);
		REQUIRE(strcmp(inject_fired(), "syscall") == 0);
		REQUIRE(vmmem_dirty_log_collect(log, &bytes) == 0);
	}
	REQUIRE(bytes == want);
	return rc;
}

/*
 * tell() is the end of a scenario: a barrier that failed is no failure where
 * the library asks again, or does without it until later.
 */
static int
tell(int rc)
{
	const char *fired = inject_fired();

	return rc == 0 && fired != NULL && strcmp(fired, "syscall") == 0 ?
		       inject_code() :
		       rc;
}

static int
log_it(void)
{
	struct vmmem_dirty_log *log = no_log;
	const bool always = logging(0);
	int rc;

	rc = vmmem_dirty_log_new(space, &options, &log);
	if (rc != 0) {
		REQUIRE(log == no_log);
		REQUIRE(logging(0) == always && logging(2) == always);
		return rc;
	}
	REQUIRE(logging(0) && logging(2));
	mark(0);
	mark(2);
	keep(&rc, collect(log, 2 * PAGE));
	mark(1);
	mark(2);
	keep(&rc, collect(log, 3 * PAGE));
	vmmem_dirty_log_free(log);
	REQUIRE(logging(0) == always && logging(2) == always);
	return rc;
}

static int
logs(void)
{
	int rc = make_space();

	if (rc != 0)
		return rc;
	rc = log_it();
	vmmem_space_unref(space);
	return tell(rc);
}

/* A map that comes while there is a log, and one that has to be refused. */
static int
follow_it(void)
{
	const unsigned int last = REGIONS - 1;
	struct vmmem_dirty_log *log = no_log;
	const bool always = logging(last);
	int rc, code;

	rc = vmmem_dirty_log_new(space, &options, &log);
	if (rc != 0)
		return rc;
	mark(0);
	rc = vmmem_space_insert(space, regions[last]);
	if (rc != 0) {
		REQUIRE(logging(last) == always);
		REQUIRE(logging(0));
		keep(&rc, collect(log, PAGE));
	} else {
		REQUIRE(logging(last));
		mark(last);
		keep(&rc, collect(log, PAGE + LEN));
		code = vmmem_space_remove(space, last * LEN, LEN, NULL);
		if (code != 0) {
			REQUIRE(vmmem_dirty_log_count(log) == PAGE + LEN);
			REQUIRE(vmmem_space_remove(space, last * LEN, LEN,
						   NULL) == 0);
		}
		keep(&rc, code);
		REQUIRE(logging(last) == always);
		REQUIRE(vmmem_dirty_log_count(log) == PAGE);
	}
	vmmem_dirty_log_free(log);
	REQUIRE(logging(0) == always);
	return rc;
}

static int
follows(void)
{
	int rc = make_space();

	if (rc != 0)
		return rc;
	rc = follow_it();
	vmmem_space_unref(space);
	return tell(rc);
}

START_TEST(sweep_logs)
{
	fault_sweep(logs, 0);
}
END_TEST

START_TEST(sweep_follows)
{
	fault_sweep(follows, 0);
}
END_TEST

static unsigned int barriers;

static bool
count_barriers(long number, long arguments[6], long *ret_result)
{
	(void)arguments;
	(void)ret_result;
	barriers += number == SYS_membarrier;
	return false;
}

/* However many regions there are, one barrier starts the logs of all. */
START_TEST(one_barrier_starts_all)
{
	const unsigned int want = logging(0) ? 0 : 1;
	struct vmmem_dirty_log *log;
	int rc;

	ck_assert_int_eq(make_space(), 0);
	barriers = 0;
	inject_start(0, 0, false);
	inject_hook(count_barriers);
	rc = vmmem_dirty_log_new(space, &options, &log);
	inject_stop();
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(barriers, want);
	vmmem_dirty_log_free(log);
	vmmem_space_unref(space);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault_dirty_log");
	TCase *tcase = tcase_create("fault_dirty_log");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, sweep_logs);
	tcase_add_test(tcase, sweep_follows);
	tcase_add_test(tcase, one_barrier_starts_all);
	suite_add_tcase(suite, tcase);
	return suite;
}
