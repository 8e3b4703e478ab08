/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Random operations compared with a model; model/model.h says how.
 *
 * The seed is fresh in each run and printed on failure; VMMEM_TEST_SEED
 * repeats a run.  VMMEM_TEST_LONG and VMMEM_TEST_SCALE are in support/rng.h.
 */
#include "model/model.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

#define ROUNDS UINT64_C(2000000)
/* A world is made anew now and then, to see beginnings and ends too. */
#define WORLD_ROUNDS 40000

static const struct operation operations[] = {
	{ "make region", 30, run_make_region },
	{ "drop region", 20, run_drop_region },
	{ "break region", 12, run_break_region },
	{ "new", 5, run_new },
	{ "new unsorted", 5, run_new_unsorted },
	{ "new empty", 2, run_new_empty },
	{ "new ranges", 4, run_new_ranges },
	{ "new file ranges", 4, run_new_file_ranges },
	{ "insert", 60, run_insert },
	{ "remove", 10, run_remove },
	{ "find", 40, run_find },
	{ "locate", 40, run_locate },
	{ "last", 8, run_last },
	{ "check", 100, run_check },
	{ "offset", 40, run_offset },
	{ "host address", 40, run_host_address },
	{ "read", 90, run_read },
	{ "read some", 60, run_read_some },
	{ "write", 90, run_write },
	{ "write some", 60, run_write_some },
	{ "fill", 30, run_fill },
	{ "fill some", 20, run_fill_some },
	{ "copy", 90, run_copy },
	{ "typed read", 90, run_typed_read },
	{ "typed write", 90, run_typed_write },
	{ "atomic", 180, run_atomic },
	{ "log", 60, run_log },
	{ "harvest", 60, run_harvest },
	{ "slice", 150, run_slice },
	{ "walk", 50, run_walk },
	{ "kept slice", 80, run_kept_slice },
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* How often each operation gave each code; the last two are 0 and -errno. */
#define CODES 40
#define CODE_ZERO (CODES - 1)
#define CODE_ERRNO (CODES - 2)
static uint64_t notes[OPERATIONS][CODES];

static size_t
code_index(int code)
{
	if (code == 0)
		return CODE_ZERO;
	if (code > VMMEM_EARGUMENT)
		return CODE_ERRNO;
	EXPECT(VMMEM_EARGUMENT - code < CODE_ERRNO);
	return (size_t)(VMMEM_EARGUMENT - code);
}

void
note_code(int code)
{
	if (world.operation != NULL)
		notes[world.operation - operations][code_index(code)]++;
}

bool
noted_code(const struct operation *operation, int code)
{
	return notes[operation - operations][code_index(code)] != 0;
}

void
expect_code(const char *file, int line, int got, int want)
{
	if (got != want)
		model_fail(file, line, "code", got, want);
	note_code(got);
}

static const struct operation *
pick_operation(void)
{
	uint64_t total = 0;
	uint64_t choice;
	size_t i;

	for (i = 0; i < OPERATIONS; i++)
		total += operations[i].weight;
	choice = rng_below(&world.rng, total);
	for (i = 0; choice >= operations[i].weight; i++)
		choice -= operations[i].weight;
	return &operations[i];
}

static void
run_world(uint64_t rounds)
{
	uint64_t i;

	world_open();
	for (i = 0; i < rounds; i++) {
		struct map *map =
			&world.maps[rng_below(&world.rng, MAPS)];

		world.operation = pick_operation();
		world.number++;
		world.gpa = world.len = 0;
		world.operation->run(map);
		/* Maps that nothing was done to must be as they were. */
		if (i % 16 == 0)
			map_verify(&world.maps[i / 16 % MAPS]);
		if (i % 4096 == 0)
			map_verify_all_addresses(map);
	}
	world_close();
	world.operation = NULL;
}

/* A run in which something never happened would prove nothing about it. */
static void
expect_coverage(void)
{
	static const struct {
		const char *name;
		int codes[14];
	} expected[] = {
		{ "make region",
		  { 0, VMMEM_EZEROLEN, VMMEM_EWRAPS, VMMEM_ECONGRUENCE,
		    VMMEM_EOUTOFRANGE, VMMEM_EARGUMENT } },
		{ "new",
		  { 0, VMMEM_ENOREGION, VMMEM_EUNSORTED, VMMEM_EOVERLAP,
		    VMMEM_EARGUMENT } },
		{ "new unsorted",
		  { 0, VMMEM_ENOREGION, VMMEM_EOVERLAP, VMMEM_EARGUMENT } },
		{ "new ranges",
		  { 0, VMMEM_ENOREGION, VMMEM_EOVERLAP, VMMEM_EZEROLEN,
		    VMMEM_EWRAPS } },
		{ "new file ranges",
		  { 0, VMMEM_ENOREGION, VMMEM_EOVERLAP, VMMEM_EZEROLEN,
		    VMMEM_EARGUMENT, VMMEM_EPASTEOF, VMMEM_ECONGRUENCE } },
		{ "insert", { 0, VMMEM_EOVERLAP } },
		{ "remove", { 0, VMMEM_ENOREGION } },
		{ "locate", { 0, VMMEM_EBADADDR } },
		{ "last", { 0, VMMEM_ENOREGION } },
		{ "check",
		  { 0, VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_EWRAPS } },
		{ "offset", { 0, VMMEM_EBADADDR, VMMEM_EWRAPS } },
		{ "host address",
		  { 0, VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_ENOHOST } },
		{ "read",
		  { 0, VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_EWRAPS,
		    VMMEM_ECALLBACK, -EIO } },
		{ "read some",
		  { 0, VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_EWRAPS,
		    VMMEM_ECALLBACK, -EIO } },
		{ "write",
		  { 0, VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_EWRAPS,
		    VMMEM_ECALLBACK, -EIO } },
		{ "write some",
		  { 0, VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_EWRAPS,
		    VMMEM_ECALLBACK, -EIO } },
		{ "fill", { 0, VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_EWRAPS } },
		{ "fill some",
		  { 0, VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_EWRAPS } },
		{ "copy",
		  { 0, VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_EWRAPS,
		    VMMEM_ECALLBACK, -EIO } },
		{ "typed read",
		  { 0, VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_EWRAPS,
		    VMMEM_ECALLBACK, -EIO } },
		{ "typed write",
		  { 0, VMMEM_EBADADDR, VMMEM_EDENIED, VMMEM_EWRAPS,
		    VMMEM_ECALLBACK, -EIO } },
		{ "atomic",
		  { 0, VMMEM_EORDER, VMMEM_EBADADDR, VMMEM_EWRAPS,
		    VMMEM_ECROSS, VMMEM_EMISALIGNED, VMMEM_EDENIED,
		    VMMEM_ENOHOST } },
		{ "log", { 0, VMMEM_EOUTOFRANGE, VMMEM_EARGUMENT } },
		{ "harvest", { 0 } },
		{ "slice",
		  { 0, VMMEM_EARGUMENT, VMMEM_EOUTOFRANGE, VMMEM_EDENIED,
		    VMMEM_ENOHOST, VMMEM_ECONGRUENCE, VMMEM_ECALLBACK, -EIO,
		    VMMEM_EBADADDR, VMMEM_EWRAPS, VMMEM_ECROSS,
		    VMMEM_EORDER, VMMEM_EMISALIGNED } },
		{ "walk",
		  { 0, VMMEM_EDENIED, VMMEM_ENOHOST, VMMEM_ECONGRUENCE,
		    VMMEM_ECALLBACK, -EIO, VMMEM_EBADADDR,
		    VMMEM_EWRAPS } },
		{ "kept slice",
		  { 0, VMMEM_EOUTOFRANGE, VMMEM_EDENIED, VMMEM_EARGUMENT,
		    VMMEM_ETOOBIG, VMMEM_EORDER, VMMEM_EMISALIGNED } },
	};
	size_t i, j, k;

	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		for (j = 0; operations[j].name != NULL; j++) {
			if (strcmp(operations[j].name, expected[i].name) == 0)
				break;
		}
		for (k = 0; k == 0 || expected[i].codes[k] != 0; k++)
			ck_assert_msg(noted_code(&operations[j],
						 expected[i].codes[k]),
				      "%s never gave %s",
				      expected[i].name,
				      vmmem_error_name(expected[i].codes[k]));
	}
	ck_assert_msg(slices_were_joined(), "no slice was of two regions");
}

START_TEST(test_model)
{
	uint64_t left = rng_rounds(ROUNDS);
	bool whole = left >= ROUNDS;

	world.seed = rng_seed();
	world.rng.state = world.seed;
	while (left != 0) {
		uint64_t rounds = left < WORLD_ROUNDS ? left : WORLD_ROUNDS;

		run_world(rounds);
		left -= rounds;
	}
	if (whole)
		expect_coverage();
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("model");
	TCase *tcase = tcase_create("random operations");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, test_model);
	suite_add_tcase(suite, tcase);
	return suite;
}
