/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "model.h"

#include <string.h>

bool
pages_has(const struct pages *pages, uint64_t page)
{
	return (pages->words[page / 64] >> page % 64 & 1) != 0;
}

void
pages_add(struct pages *pages, uint64_t page)
{
	EXPECT(page < LOG_PAGES);
	pages->words[page / 64] |= UINT64_C(1) << page % 64;
}

bool
log_is_logging(const struct log *log)
{
	unsigned int i;

	if (log == NULL)
		return false;
	for (i = 0; i < LOG_HARVESTERS; i++) {
		if (log->harvesters[i].harvester != NULL)
			return true;
	}
	return log->always || log->starts != 0;
}

void
log_mark(struct log *log, const struct pages *pages)
{
	unsigned int i, j;

	for (i = 0; i < LOG_WORDS; i++) {
		log->marks.words[i] |= pages->words[i];
		for (j = 0; j < LOG_HARVESTERS; j++)
			log->harvesters[j].must.words[i] |= pages->words[i];
	}
}

/*
 * log_range() is the pages that hold a byte of a range, which may go past the
 * end; or, if 'whole', of which the range has all bytes.
 */
struct pages
log_range(const struct log *log, uint64_t offset, uint64_t len, bool whole)
{
	uint64_t end = len > UINT64_MAX - offset ? UINT64_MAX : offset + len;
	struct pages pages = { { 0 } };
	uint64_t page;

	for (page = 0; page * log->page_size < log->len; page++) {
		uint64_t first = page * log->page_size;
		uint64_t after = first + log->page_size;

		if (after > log->len)
			after = log->len;
		if (offset >= after || end <= first || len == 0)
			continue;
		if (!whole || (offset <= first && end >= after))
			pages_add(&pages, page);
	}
	return pages;
}

void
log_note(struct slot *slot, uint64_t offset, bool sure)
{
	struct log *log = slot->log;
	struct pages pages = { { 0 } };
	uint64_t page;

	if (!log_is_logging(log))
		return;
	page = (slot->log_offset + offset) / log->page_size;
	if (!sure) {
		pages_add(&log->maybe, page);
	} else if (!pages_has(&log->marks, page)) {
		pages_add(&pages, page);
		log_mark(log, &pages);
	}
}

static void
verify_taken(const struct log *log)
{
	vmmem_le64 words[LOG_WORDS];
	unsigned int i, j;

	for (i = 0; i < LOG_HARVESTERS; i++) {
		const struct log_harvester *harvester = &log->harvesters[i];

		if (harvester->harvester == NULL)
			continue;
		EXPECT(vmmem_bitmap_export(
			       vmmem_harvester_taken(harvester->harvester),
			       0, log->len, log->page_size, words,
			       sizeof(words)) == 0);
		for (j = 0; j < LOG_WORDS; j++)
			EXPECT(vmmem_le64_get(&words[j]) ==
			       harvester->taken.words[j]);
	}
}

/* verify_log() also settles what callbacks that failed have marked. */
static void
verify_log(struct log *log)
{
	vmmem_le64 words[LOG_WORDS];
	struct pages extra;
	unsigned int i;

	EXPECT(vmmem_bitmap_is_logging(log->bitmap) == log_is_logging(log));
	EXPECT(vmmem_bitmap_export(log->bitmap, 0, log->len, log->page_size,
				   words, sizeof(words)) == 0);
	for (i = 0; i < LOG_WORDS; i++) {
		uint64_t marks = vmmem_le64_get(&words[i]);

		extra.words[i] = marks & ~log->marks.words[i];
		EXPECT((log->marks.words[i] & ~marks) == 0);
		EXPECT((extra.words[i] & ~log->maybe.words[i]) == 0);
		log->maybe.words[i] = 0;
	}
	log_mark(log, &extra);
	verify_taken(log);
}

void
verify_logs(void)
{
	unsigned int i;

	for (i = 0; i < LOGS; i++) {
		if (world.logs[i].bitmap != NULL)
			verify_log(&world.logs[i]);
	}
}

static void
ended(void *opaque)
{
	struct log *log = opaque;

	EXPECT(log->told && !log->ended);
	log->ended = true;
}

static void
log_adopt(struct log *log, struct vmmem_bitmap *bitmap, uint64_t page_size,
	  uint64_t len, uint64_t max_len)
{
	log->bitmap = bitmap;
	log->page_size = page_size;
	log->len = len;
	log->max_len = max_len;
	/* So it is on a kernel that has no barrier. */
	log->always = vmmem_bitmap_is_logging(bitmap) != 0;
	EXPECT(log->always || !log->told);
	EXPECT(vmmem_bitmap_page_size(bitmap) == page_size);
	EXPECT(vmmem_bitmap_len(bitmap) == len);
}

struct log *
log_own(struct slot *slot, struct vmmem_bitmap *bitmap, uint64_t page_size,
	uint64_t len)
{
	struct log *log = &world.logs[slot - world.slots];

	EXPECT(log->bitmap == NULL);
	memset(log, 0, sizeof(*log));
	log_adopt(log, bitmap, page_size, len, len);
	return log;
}

/* Harvesters outlive the region, and keep the bitmap until here. */
static void
log_drop(struct log *log)
{
	unsigned int i;

	for (i = 0; i < LOG_HARVESTERS; i++)
		EXPECT(vmmem_harvester_free(log->harvesters[i].harvester) ==
		       NULL);
	EXPECT(log->ended == log->told);
	memset(log, 0, sizeof(*log));
}

void
log_put(struct log *log)
{
	EXPECT(log->users != 0);
	if (--log->users == 0 && log < &world.logs[SLOTS])
		log_drop(log);
}

void
logs_open(void)
{
	struct rng *rng = &world.rng;
	unsigned int i;

	for (i = SLOTS; i < LOGS; i++) {
		struct log *log = &world.logs[i];
		struct vmmem_bitmap *bitmap;
		uint64_t page_size = UINT64_C(64) << rng_below(rng, 4);
		uint64_t most = LOG_PAGES * page_size;
		uint64_t len = 1 + rng_below(rng, most);

		/* Bits of the caller's, and their own bits that grow or not. */
		log->told = i == SLOTS;
		if (log->told) {
			most = len;
			EXPECT(vmmem_bitmap_new_external(
				       log->external, sizeof(log->external),
				       len, page_size, ended, log, NULL,
				       &bitmap) == 0);
		} else {
			if (i == SLOTS + 1)
				most = len;
			EXPECT(vmmem_bitmap_new(len, most, page_size, NULL,
						&bitmap) == 0);
		}
		log_adopt(log, bitmap, page_size, len, most);
	}
}

void
logs_close(void)
{
	unsigned int i, j;

	for (i = 0; i < LOGS; i++) {
		struct log *log = &world.logs[i];

		if (i < SLOTS) {
			EXPECT(log->bitmap == NULL);
			continue;
		}
		for (j = 0; j < LOG_HARVESTERS; j++)
			log->harvesters[j].harvester = vmmem_harvester_free(
				log->harvesters[j].harvester);
		EXPECT(!log->ended);
		EXPECT(vmmem_bitmap_unref(log->bitmap) == NULL);
		log_drop(log);
	}
}
