/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "screen_migration.h"

/* A character of a round's picture, in pages. */
#define GROUP 8

/* A row of the large picture, in characters of a page each. */
#define ROW 64

static const char shades[] = ".:+*#";

/* From none to all of 'most', in steps of a quarter. */
static char
shade_of_part(uint64_t count, uint64_t most)
{
	return shades[(count * 4 + (most - 1)) / most];
}

static uint64_t
count_sent(const struct migrate_part *part, uint64_t first, uint64_t pages,
	   uint32_t round)
{
	uint64_t count = 0;

	for (uint64_t i = first; i < first + pages; i++)
		count += part->last_round[i] == round;
	return count;
}

void
screen_round_head(void)
{
	printf("  What was sent: a character is %d KiB, \"%c\" nothing of it "
	       "to \"%c\" all.\n",
	       GROUP * MIGRATE_PAGE / 1024, shades[0], shades[4]);
}

void
screen_round(const struct migration *migration, const char *note)
{
	double mib = (double)migration->sent * MIGRATE_PAGE / (1 << 20);

	printf("  round %2" PRIu32 " %5" PRIu64 " pages %6.0f MiB/s %5" PRIu64
	       " left  |",
	       migration->round, migration->sent,
	       migration->seconds > 0 ? mib / migration->seconds : 0,
	       migration->left);
	for (size_t i = 0; i < migration->count; i++) {
		const struct migrate_part *part = &migration->parts[i];

		for (uint64_t page = 0; page < part->pages; page += GROUP) {
			uint64_t most = part->pages - page < GROUP
						? part->pages - page
						: GROUP;

			putchar(shade_of_part(count_sent(part, page, most,
							 migration->round),
					      most));
		}
		putchar('|');
	}
	printf("%s%s\n", *note != '\0' ? "  " : "", note);
}

void
screen_heat(const struct migration *migration)
{
	printf("  How often a page was sent again: a character is %d KiB, "
	       "\"%c\" never,\n  \"%c\" once, \"%c\" twice, \"%c\" three "
	       "times, \"%c\" more.\n",
	       MIGRATE_PAGE / 1024, shades[0], shades[1], shades[2], shades[3],
	       shades[4]);
	for (size_t i = 0; i < migration->count; i++) {
		const struct migrate_part *part = &migration->parts[i];
		uint64_t start = vmmem_region_start(part->region);

		for (uint64_t page = 0; page < part->pages; page++) {
			uint32_t again = part->again[page];

			if (page % ROW == 0)
				printf("  %08" PRIx64 "  |",
				       start + page * MIGRATE_PAGE);
			putchar(shades[again < 4 ? again : 4]);
			if (page % ROW == ROW - 1 || page == part->pages - 1)
				printf("|\n");
		}
	}
}
