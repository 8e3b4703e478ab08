/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * lib/dirty/bits.c against an array of bools: every range of small sizes, and
 * random steps on sizes that fill all levels.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dirty/bits.h"
#include "suite.h"

static long
rounds(long most)
{
	const char *scale = getenv("VMMEM_TEST_SCALE");
	long divisor = scale != NULL ? strtol(scale, NULL, 10) : 1;

	return divisor > 1 ? most / divisor + 1 : most;
}

/* An assert of Check's own writes to a file, which is slow in a loop. */
#define expect(condition)                               \
	do {                                            \
		if (!(condition))                       \
			ck_abort_msg("%s", #condition); \
	} while (0)

/* The same thing twice. */
struct pair {
	struct vmmem_bits bits;
	bool *model;
	uint64_t count;
	unsigned char *external; /* its bytes, and others, if they are external */
};

/*
 * How a pair is made: with skipping, without, or of external bytes that begin
 * with a word, or in the middle of one.
 */
enum kind { SKIP, NO_SKIP, EXTERNAL, MIDDLE, KINDS };
#define INTO 5 /* bytes */

static struct pair
pair_new(uint64_t count, enum kind kind)
{
	struct pair pair = { .count = count };

	pair.model = calloc(count, sizeof(*pair.model));
	ck_assert_ptr_nonnull(pair.model);
	if (kind == EXTERNAL || kind == MIDDLE) {
		const size_t into = kind == MIDDLE ? INTO : 0;

		/* No more than there must be: whoever goes past it is seen. */
		pair.external = calloc(into + (count + 7) / 8, 1);
		ck_assert_ptr_nonnull(pair.external);
		vmmem_bits_init_external(&pair.bits, pair.external + into,
					 (count + 7) / 8, count);
	} else {
		ck_assert_int_eq(
			vmmem_bits_init(&pair.bits, count, kind == SKIP), 0);
	}
	return pair;
}

static void
pair_free(struct pair *pair)
{
	vmmem_bits_destroy(&pair->bits);
	free(pair->external);
	free(pair->model);
}

static void
pair_set(struct pair *pair, uint64_t first, uint64_t last)
{
	vmmem_bits_set(&pair->bits, first, last);
	memset(pair->model + first, 1, last - first + 1);
}

static void
pair_clear(struct pair *pair, uint64_t first, uint64_t last)
{
	vmmem_bits_clear(&pair->bits, first, last);
	memset(pair->model + first, 0, last - first + 1);
}

static uint64_t
model_next(const struct pair *pair, uint64_t first, uint64_t last, bool value)
{
	while (first <= last && pair->model[first] != value)
		first++;
	return first;
}

/* A summary may say "may" of what is empty, but must of what is not. */
static void
check_summaries(const struct vmmem_bits *bits)
{
	uint64_t i;
	int level;

	if (bits->external)
		return;
	for (level = 0; level + 1 < VMMEM_BITS_LEVELS; level++) {
		for (i = 0; i < bits->counts[level]; i++) {
			if (bits->words[level][i] == 0)
				continue;
			expect(i / 64 < bits->counts[level + 1]);
			expect((bits->words[level + 1][i / 64] >> i % 64) & 1);
		}
	}
}

/* pair_check() compares each bit, by walking from run to run. */
static void
pair_check(const struct pair *pair)
{
	uint64_t at = 0, last = pair->count - 1, next;

	while (at <= last) {
		next = vmmem_bits_next(&pair->bits, at, last);
		expect(next == model_next(pair, at, last, true));
		if (next > last)
			break;
		at = vmmem_bits_next_clear(&pair->bits, next, last);
		expect(at == model_next(pair, next, last, false));
	}
	check_summaries(&pair->bits);
	for (at = 0, next = 0; at <= last; at++)
		next += pair->model[at];
	expect(vmmem_bits_count(&pair->bits, pair->count) == next);
}

struct drained {
	struct pair *pair;
	uint64_t words;
	uint64_t next; /* the least index that may come */
};

/* Words come once each, in order, and have what the model has. */
static void
take_word(uint64_t index, uint64_t word, void *context)
{
	struct drained *drained = context;
	struct pair *pair = drained->pair;
	uint64_t i;

	expect(index >= drained->next);
	expect(word != 0);
	drained->next = index + 1;
	drained->words++;
	for (i = 0; i < 64; i++) {
		uint64_t bit = index * 64 + i;
		bool expected = bit < pair->count && pair->model[bit];

		expect(((word >> i) & 1) == expected);
		if (expected)
			pair->model[bit] = false;
	}
}

static void
pair_drain(struct pair *pair)
{
	struct drained drained = { .pair = pair };
	uint64_t i;
	bool any;
	int level;

	any = vmmem_bits_drain(&pair->bits, take_word, &drained);
	expect(any == (drained.words != 0));
	expect(model_next(pair, 0, pair->count - 1, true) == pair->count);
	/*
	 * Nothing is left, in the summaries neither.  The bits of a caller end
	 * with a byte, not a word: the model has looked at those.
	 */
	for (level = pair->external == NULL ? 0 : 1;
	     level < VMMEM_BITS_LEVELS; level++) {
		for (i = 0; i < pair->bits.counts[level]; i++)
			expect(pair->bits.words[level][i] == 0);
	}
}

static const uint64_t small_sizes[] = { 1,  2,	 3,   63,  64,	65,
					66, 127, 128, 129, 191, 200 };
#define SMALL_SIZES (sizeof(small_sizes) / sizeof(small_sizes[0]))

/* Each range of a small size, set in what is clear. */
START_TEST(every_range_is_set)
{
	uint64_t count = small_sizes[(size_t)_i % SMALL_SIZES];
	struct pair pair =
		pair_new(count, (enum kind)((size_t)_i / SMALL_SIZES));
	uint64_t first, last;

	pair_check(&pair);
	pair_drain(&pair);
	for (first = 0; first < count; first++) {
		for (last = first; last < count; last++) {
			pair_set(&pair, first, last);
			pair_check(&pair);
			pair_drain(&pair);
		}
	}
	pair_free(&pair);
}
END_TEST

/* Each range of a small size, cleared in what is set, and set again. */
START_TEST(every_range_is_cleared)
{
	uint64_t count = small_sizes[(size_t)_i % SMALL_SIZES];
	struct pair pair =
		pair_new(count, (enum kind)((size_t)_i / SMALL_SIZES));
	uint64_t first, last;

	pair_set(&pair, 0, count - 1);
	for (first = 0; first < count; first++) {
		for (last = first; last < count; last++) {
			pair_clear(&pair, first, last);
			pair_check(&pair);
			pair_set(&pair, first, last);
			expect(vmmem_bits_next_clear(&pair.bits, 0,
						     count - 1) == count);
		}
	}
	pair_free(&pair);
}
END_TEST

/* Each range that is asked of, with some bits set in and around it. */
START_TEST(every_range_is_searched)
{
	uint64_t count = 130, first, last;
	struct pair pair = pair_new(count, (enum kind)_i);

	pair_set(&pair, 3, 3);
	pair_set(&pair, 62, 66);
	pair_set(&pair, 129, 129);
	for (first = 0; first < count; first++) {
		for (last = first; last < count; last++) {
			expect(vmmem_bits_next(&pair.bits, first, last) ==
			       model_next(&pair, first, last, true));
			expect(vmmem_bits_next_clear(&pair.bits, first, last) ==
			       model_next(&pair, first, last, false));
		}
	}
	pair_free(&pair);
}
END_TEST

/* check_one_range() sets a range of what is clear, and clears it again. */
static void
check_one_range(struct vmmem_bits *bits, uint64_t count, uint64_t first,
		uint64_t last)
{
	vmmem_bits_set(bits, first, last);
	expect(vmmem_bits_next(bits, 0, count - 1) == first);
	expect(vmmem_bits_next_clear(bits, first, count - 1) == last + 1);
	expect(vmmem_bits_next(bits, last + 1, count - 1) == count);
	check_summaries(bits);
	vmmem_bits_clear(bits, first, last);
	expect(vmmem_bits_next(bits, 0, count - 1) == count);
}

/* Around where one word of a summary, at each level, gives way to the next. */
START_TEST(summaries_have_edges)
{
	static const uint64_t edges[] = { 64 * 64, 2 * 64 * 64, 64 * 64 * 64 };
	uint64_t count = 64 * 64 * 64 + 64 * 64 + 5, first, last;
	struct pair pair = pair_new(count, (enum kind)_i);
	size_t i, j;

	for (i = 0; i < 3; i++) {
		for (j = i; j < 3; j++) {
			for (first = edges[i] - 65; first <= edges[i] + 65;
			     first += 13) {
				last = edges[j] - 64;
				for (; last <= edges[j] + 66; last += 13) {
					if (last >= first)
						check_one_range(&pair.bits,
								count, first,
								last);
				}
			}
		}
	}
	pair_free(&pair);
}
END_TEST

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void
random_step(struct pair *pair, uint64_t *random)
{
	uint64_t first = next_random(random) % pair->count, last;
	uint64_t len = UINT64_C(1) << next_random(random) % 20;

	last = first + next_random(random) % len;
	if (last >= pair->count)
		last = pair->count - 1;
	switch (next_random(random) % 16) {
	case 0:
		pair_drain(pair);
		break;
	case 1:
	case 2:
	case 3:
	case 4:
		pair_clear(pair, first, last);
		break;
	case 14:
	case 15:
		vmmem_bits_set_bit(&pair->bits, first);
		pair->model[first] = true;
		break;
	case 5:
		expect(vmmem_bits_next(&pair->bits, first, last) ==
		       model_next(pair, first, last, true));
		break;
	case 6:
		expect(vmmem_bits_next_clear(&pair->bits, first, last) ==
		       model_next(pair, first, last, false));
		break;
	default:
		pair_set(pair, first, last);
	}
}

START_TEST(random_steps)
{
	static const uint64_t sizes[] = { 1000, 4096, 5000, 64 * 64 * 64,
					  300001 };
	const char *given = getenv("VMMEM_TEST_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 0)
				      : UINT64_C(0x5eed0000) + (uint64_t)_i;
	uint64_t random = seed != 0 ? seed : 1;
	struct pair pair = pair_new(sizes[_i / KINDS], (enum kind)(_i % KINDS));
	long step, last = rounds(300);

	/* Check shows what was printed by a test that failed. */
	printf("random_steps %d: VMMEM_TEST_SEED=%#llx\n", _i,
	       (unsigned long long)seed);
	for (step = 0; step < last; step++) {
		random_step(&pair, &random);
		if (step % 4 == 0)
			pair_check(&pair);
	}
	pair_check(&pair);
	pair_drain(&pair);
	pair_free(&pair);
}
END_TEST

START_TEST(masks_and_words)
{
	uint64_t external[2] = { 0, 0 }, word;
	struct vmmem_bits bits;
	unsigned int first, count;

	for (first = 0; first < 64; first++) {
		for (count = 1; count <= 64 - first; count++) {
			word = vmmem_bits_mask(first, count);
			ck_assert_int_eq(__builtin_popcountll(word),
					 (int)count);
			ck_assert_int_eq(__builtin_ctzll(word), (int)first);
			ck_assert_int_eq(__builtin_clzll(word),
					 (int)(64 - first - count));
		}
	}

	/* External words are little-endian whatever the machine is. */
	vmmem_bits_init_external(&bits, external, sizeof(external), 128);
	vmmem_bits_set(&bits, 9, 9);
	vmmem_bits_set(&bits, 64, 64);
	ck_assert_uint_eq(external[0], htole64(UINT64_C(1) << 9));
	ck_assert_uint_eq(((unsigned char *)external)[1], 2);
	ck_assert_uint_eq(((unsigned char *)external)[8], 1);
	ck_assert_uint_eq(vmmem_bits_word(&bits, 0), UINT64_C(1) << 9);
	vmmem_bits_clear(&bits, 9, 9);
	ck_assert_uint_eq(external[0], 0);
	vmmem_bits_destroy(&bits);
}
END_TEST

/* What is for bits that nobody else looks at, against what is for all. */
START_TEST(bits_of_ones_own)
{
	struct pair pair = pair_new(64 * 64 * 64 + 1, SKIP);
	uint64_t word, i;
	int level;

	for (word = 0; word < pair.bits.counts[0]; word = word * 2 + 1) {
		vmmem_bits_add(&pair.bits, word, 1);
		pair.model[word * 64] = true;
	}
	vmmem_bits_add(&pair.bits, 64 * 64, 1);
	pair.model[64 * 64 * 64] = true;
	vmmem_bits_add(&pair.bits, 1, UINT64_C(6) << 60);
	memset(pair.model + 64 + 61, 1, 2);
	pair_check(&pair);

	vmmem_bits_empty(&pair.bits);
	for (level = 0; level < VMMEM_BITS_LEVELS; level++) {
		for (i = 0; i < pair.bits.counts[level]; i++)
			expect(pair.bits.words[level][i] == 0);
	}
	pair_free(&pair);
}
END_TEST

/* A summary that says "may" of empty words misleads nobody. */
START_TEST(stale_summary)
{
	struct pair pair = pair_new(5000, SKIP);

	pair_set(&pair, 100, 4900);
	pair_clear(&pair, 100, 4899);
	ck_assert_uint_ne(pair.bits.words[1][0], 0);
	pair_check(&pair);
	pair_drain(&pair);
	pair_set(&pair, 100, 100);
	pair_check(&pair);
	pair_free(&pair);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("bits");
	TCase *tcase = tcase_create("bits");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, every_range_is_set, 0,
			    (int)SMALL_SIZES * KINDS);
	tcase_add_loop_test(tcase, every_range_is_cleared, 0,
			    (int)SMALL_SIZES * KINDS);
	tcase_add_loop_test(tcase, every_range_is_searched, 0, KINDS);
	tcase_add_loop_test(tcase, summaries_have_edges, 0, KINDS);
	tcase_add_loop_test(tcase, random_steps, 0, 5 * KINDS);
	tcase_add_test(tcase, masks_and_words);
	tcase_add_test(tcase, bits_of_ones_own);
	tcase_add_test(tcase, stale_summary);
	suite_add_tcase(suite, tcase);
	return suite;
}
