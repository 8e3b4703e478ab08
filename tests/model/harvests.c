/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <string.h>

#include "model.h"

/* Enough for any bitmap in the smallest pages. */
#define UNIT_WORDS (LOG_WORDS * 8)

/* Often one that regions share. */
static struct log *
pick_log(void)
{
	struct rng *rng = &world.rng;
	unsigned int tries;

	for (tries = 0; tries < 12; tries++) {
		struct log *log = &world.logs[rng_below(rng, LOGS)];

		if (log->bitmap != NULL)
			return log;
	}
	return &world.logs[SLOTS + rng_below(rng, SHARED_LOGS)];
}

static uint64_t
pick_log_len(const struct log *log)
{
	struct rng *rng = &world.rng;

	if (rng_chance(rng, 3))
		return rng_next(rng);
	return rng_chance(rng, 50) ? rng_below(rng, 3 * log->page_size) :
				     rng_below(rng, log->len + 70);
}

static void
pages_remove(struct pages *pages, const struct pages *gone)
{
	unsigned int i;

	for (i = 0; i < LOG_WORDS; i++)
		pages->words[i] &= ~gone->words[i];
}

static unsigned int
pages_count(const struct pages *pages)
{
	unsigned int count = 0;
	uint64_t page;

	for (page = 0; page < LOG_PAGES; page++)
		count += pages_has(pages, page);
	return count;
}

static void
switch_logging(struct log *log)
{
	if (rng_chance(&world.rng, 50)) {
		EXPECT_CODE(vmmem_bitmap_start_logging(log->bitmap), 0);
		log->starts++;
	} else if (log->starts != 0) {
		EXPECT_CODE(vmmem_bitmap_stop_logging(log->bitmap), 0);
		log->starts--;
	} else if (log->always || !log_is_logging(log)) {
		/* A stop too many would be at a harvester's expense. */
		unsigned int i;

		for (i = 0; i < LOG_HARVESTERS; i++) {
			if (log->harvesters[i].harvester != NULL)
				return;
		}
		EXPECT_CODE(vmmem_bitmap_stop_logging(log->bitmap),
			    VMMEM_EARGUMENT);
	}
}

static void
mark(struct log *log)
{
	uint64_t offset = rng_below(&world.rng, log->len + 70);
	uint64_t len = pick_log_len(log);
	struct pages pages = log_range(log, offset, len, false);
	bool out = len != 0 &&
		   (offset >= log->len || len > log->len - offset);

	world.gpa = offset;
	world.len = len;
	EXPECT_CODE(vmmem_bitmap_mark(log->bitmap, offset, len),
		    out ? VMMEM_EOUTOFRANGE : 0);
	log_mark(log, &pages);
}

static void
clear(struct log *log)
{
	uint64_t offset = rng_below(&world.rng, log->len + 70);
	uint64_t len = pick_log_len(log);
	struct pages pages = log_range(log, offset, len, true);
	unsigned int i;

	world.gpa = offset;
	world.len = len;
	EXPECT_CODE(vmmem_bitmap_clear(log->bitmap, offset, len), 0);
	pages_remove(&log->marks, &pages);
	for (i = 0; i < LOG_HARVESTERS; i++) {
		pages_remove(&log->harvesters[i].must, &pages);
		pages_remove(&log->harvesters[i].may, &pages);
	}
}

static void
grow(struct log *log)
{
	struct rng *rng = &world.rng;
	uint64_t len = rng_chance(rng, 80) ? log->len + rng_below(rng, 100) :
					     rng_below(rng, log->max_len + 2);
	int want = 0;

	if (len > log->max_len)
		want = VMMEM_EOUTOFRANGE;
	else if (len < log->len)
		want = VMMEM_EARGUMENT;
	EXPECT_CODE(vmmem_bitmap_grow(log->bitmap, len), want);
	if (want == 0)
		log->len = len;
	EXPECT(vmmem_bitmap_len(log->bitmap) == log->len);
}

/* A range of a log, as a rule within it, in pages of another size. */
static uint64_t
pick_words(const struct log *log, uint64_t *ret_offset, uint64_t *ret_len)
{
	struct rng *rng = &world.rng;
	uint64_t page_size = UINT64_C(64) << rng_below(rng, 6);

	*ret_offset = rng_chance(rng, 30) ? 0 : rng_below(rng, log->len + 1);
	*ret_len = rng_chance(rng, 90) ?
			   rng_below(rng, log->len - *ret_offset + 1) :
			   rng_below(rng, 2 * log->len + 1);
	/* What the words that there are can tell of. */
	if (*ret_len > UNIT_WORDS * 64 * page_size)
		*ret_len = UNIT_WORDS * 64 * page_size;
	return page_size;
}

static void
merge(struct log *log)
{
	struct rng *rng = &world.rng;
	unsigned char bits[8 * UNIT_WORDS + 8], *at = bits + rng_below(rng, 8);
	uint64_t offset, len, page_size = pick_words(log, &offset, &len);
	uint64_t pages = (len + page_size - 1) / page_size, page;
	size_t bytes = (size_t)(pages + 7) / 8, i;
	int want = 0;

	for (i = 0; i < 8 * UNIT_WORDS; i++)
		/* Runs, few bits, or none. */
		at[i] = (unsigned char)(rng_chance(rng, 30) ?
						UINT8_MAX :
						rng_next(rng) & rng_next(rng) &
							rng_next(rng));
	if (rng_chance(rng, 30))
		memset(at, 0, bytes);
	if (bytes != 0 && rng_chance(rng, 3)) {
		EXPECT_CODE(vmmem_bitmap_merge(log->bitmap, offset, len,
					       page_size, at, bytes - 1),
			    VMMEM_EOUTOFRANGE);
		return;
	}
	for (page = 0; page < pages; page++) {
		uint64_t start = offset + page * page_size;
		uint64_t most = len - page * page_size;
		struct pages touched;

		if ((at[page / 8] >> page % 8 & 1) == 0)
			continue;
		if (start >= log->len)
			want = VMMEM_EOUTOFRANGE;
		touched = log_range(log, start,
				    most < page_size ? most : page_size, false);
		log_mark(log, &touched);
	}
	EXPECT_CODE(vmmem_bitmap_merge(log->bitmap, offset, len, page_size, at,
				       bytes),
		    want);
}

/* The marks of a range as an array in pages of another size. */
static void
look_at_words(const struct log *log)
{
	struct rng *rng = &world.rng;
	unsigned char bits[8 * UNIT_WORDS + 9], *at = bits + rng_below(rng, 8);
	uint64_t offset, len, page_size = pick_words(log, &offset, &len);
	uint64_t pages = (len + page_size - 1) / page_size, page, byte;
	size_t bytes = (size_t)rng_below(rng, 8 * UNIT_WORDS + 1);
	bool out = len != 0 &&
		   (offset >= log->len || len > log->len - offset);
	int rc;

	memset(bits, 0x5a, sizeof(bits));
	rc = vmmem_bitmap_export(log->bitmap, offset, len, page_size, at,
				 bytes);
	EXPECT_CODE(rc, out || bytes * 8 < pages ? VMMEM_EOUTOFRANGE : 0);
	EXPECT(at[bytes] == 0x5a);
	EXPECT(rc == 0 || at[0] == 0x5a);
	for (page = 0; page < bytes * 8 && rc == 0; page++) {
		bool any = false;

		for (byte = page * page_size;
		     byte < (page + 1) * page_size && byte < len; byte++)
			any |= pages_has(&log->marks,
					 (offset + byte) / log->page_size);
		EXPECT((at[page / 8] >> page % 8 & 1) == any);
	}
}

static void
look_at_next(const struct log *log, uint64_t from)
{
	uint64_t at = from, start = log->len, end, offset, len;

	while (at < log->len && !pages_has(&log->marks, at / log->page_size))
		at = (at / log->page_size + 1) * log->page_size;
	if (at < log->len)
		start = at;
	end = start;
	while (end < log->len && pages_has(&log->marks, end / log->page_size))
		end = (end / log->page_size + 1) * log->page_size;
	if (end > log->len)
		end = log->len;
	EXPECT(vmmem_bitmap_next(log->bitmap, from, &offset, &len) == 0);
	EXPECT(offset == start);
	EXPECT(len == end - start);
}

static void
look(const struct log *log)
{
	uint64_t at = rng_below(&world.rng, log->len + 70);

	world.gpa = at;
	EXPECT(vmmem_bitmap_count(log->bitmap) == pages_count(&log->marks));
	EXPECT(vmmem_bitmap_test(log->bitmap, at) ==
	       (at < log->len && pages_has(&log->marks, at / log->page_size)));
	look_at_next(log, at);
	look_at_words(log);
}

void
run_log(struct map *map)
{
	struct log *log = pick_log();
	uint64_t choice = rng_below(&world.rng, 100);

	(void)map;
	if (choice < 30)
		switch_logging(log);
	else if (choice < 45)
		mark(log);
	else if (choice < 60)
		clear(log);
	else if (choice < 65)
		grow(log);
	else if (choice < 75)
		merge(log);
	else
		look(log);
	verify_logs();
}

/*
 * taken() is what a harvest of 'range' leads to.  What was taken stays so, and
 * what is pending for it stays pending; else all in the range is taken that
 * must be, and perhaps what may be.
 */
static void
taken(struct log *log, struct log_harvester *harvester,
      const struct pages *range)
{
	vmmem_le64 words[LOG_WORDS];
	unsigned int i;

	EXPECT(vmmem_bitmap_export(vmmem_harvester_taken(harvester->harvester),
				   0, log->len, log->page_size, words,
				   sizeof(words)) == 0);
	for (i = 0; i < LOG_WORDS; i++) {
		uint64_t got = vmmem_le64_get(&words[i]);
		uint64_t old = harvester->taken.words[i];
		uint64_t fresh = range->words[i] & ~old;

		EXPECT((old & ~got) == 0);
		EXPECT((harvester->must.words[i] & fresh & ~got) == 0);
		EXPECT((got & ~old &
			~(fresh & (harvester->must.words[i] |
				   harvester->may.words[i]))) == 0);
		harvester->taken.words[i] = got;
		harvester->must.words[i] &= ~fresh;
		harvester->may.words[i] &= ~fresh;
	}
}

static void
take(struct log *log, struct log_harvester *harvester)
{
	static const struct pages none;
	struct rng *rng = &world.rng;
	uint64_t pages = UINT64_MAX;
	uint64_t offset = rng_below(rng, log->len + 70);
	uint64_t len = pick_log_len(log);
	struct pages range;

	if (rng_chance(rng, 50)) {
		offset = 0;
		len = UINT64_MAX;
		EXPECT_CODE(vmmem_harvester_take(harvester->harvester, &pages),
			    0);
	} else {
		EXPECT_CODE(vmmem_harvester_take_range(harvester->harvester,
						       offset, len, &pages),
			    0);
	}
	range = log_range(log, offset, len, false);
	taken(log, harvester, &range);
	EXPECT(pages == pages_count(&harvester->taken));
	/* Other harvesters have them, but nobody else finds them here. */
	log->marks = none;
}

static void
confirm(const struct log *log, struct log_harvester *harvester)
{
	uint64_t offset = rng_below(&world.rng, log->len + 70);
	uint64_t len = pick_log_len(log);
	struct pages pages;

	if (rng_chance(&world.rng, 50)) {
		offset = 0;
		len = UINT64_MAX;
	}
	pages = log_range(log, offset, len, true);
	world.gpa = offset;
	world.len = len;
	EXPECT_CODE(vmmem_harvester_confirm(harvester->harvester, offset, len),
		    0);
	pages_remove(&harvester->taken, &pages);
}

void
run_harvest(struct map *map)
{
	static const struct log_harvester nothing;
	struct rng *rng = &world.rng;
	struct log *log = pick_log();
	struct log_harvester *harvester =
		&log->harvesters[rng_below(rng, LOG_HARVESTERS)];
	uint64_t choice = rng_below(rng, 100);

	(void)map;
	if (harvester->harvester == NULL) {
		if (choice < 60)
			return;
		*harvester = nothing;
		harvester->may = log->marks;
		EXPECT_CODE(vmmem_harvester_new(log->bitmap, NULL,
						&harvester->harvester), 0);
	} else if (choice < 50) {
		take(log, harvester);
	} else if (choice < 85) {
		confirm(log, harvester);
	} else {
		harvester->harvester =
			vmmem_harvester_free(harvester->harvester);
		EXPECT(harvester->harvester == NULL);
	}
	verify_logs();
}
