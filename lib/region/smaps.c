/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Huge pages of a range, as /proc/self/smaps has them. */
#include "region/smaps.h"

#include "base/cancel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/digits.h"

/*
 * A mapping is a line "first-end ...", then lines "Key:   N kB", among others.
 * Only the first line, which ends with a path, may be longer than this; of that
 * only the beginning counts.
 */
#define LINE_MAX_LEN 256

struct parser {
	uint64_t first; /* the range of the question */
	uint64_t last;
	uint64_t sum;

	/* The mapping whose lines are being read. */
	uint64_t at;
	uint64_t end;
	uint64_t huge;

	char line[LINE_MAX_LEN + 1];
	size_t len;
};

/* overlap() is how many bytes of the mapping lie in the range. */
static uint64_t
overlap(const struct parser *parser)
{
	uint64_t from = parser->at, last = parser->end - 1;

	if (parser->end == 0 || last < parser->first || from > parser->last)
		return 0;
	if (from < parser->first)
		from = parser->first;
	if (last > parser->last)
		last = parser->last;
	return last - from + 1;
}

/* finish() adds up the mapping that was read, if any. */
static void
finish(struct parser *parser)
{
	uint64_t bytes = overlap(parser);

	if (bytes == 0 || parser->huge == 0 || parser->sum == UINT64_MAX)
		return;
	/* Neighbours that are alike are one mapping: then it is all or none. */
	if (bytes == parser->end - parser->at)
		parser->sum += parser->huge;
	else if (parser->huge == parser->end - parser->at)
		parser->sum += bytes;
	else
		parser->sum = UINT64_MAX;
}

static bool
begins(const char *line, const char *with)
{
	return strncmp(line, with, strlen(with)) == 0;
}

static bool
counts_huge(const char *line)
{
	return begins(line, "AnonHugePages:") ||
	       begins(line, "ShmemPmdMapped:") ||
	       begins(line, "FilePmdMapped:") ||
	       begins(line, "Shared_Hugetlb:") ||
	       begins(line, "Private_Hugetlb:");
}

static void
parse_line(struct parser *parser)
{
	const char *line = parser->line, *text;

	/* Keys begin with a capital letter, addresses have none. */
	if (*line < 'A' || *line > 'Z') {
		finish(parser);
		text = line;
		parser->at = vmmem_digits(&text, 16);
		parser->end = 0;
		parser->huge = 0;
		if (*text == '-') {
			text++;
			parser->end = vmmem_digits(&text, 16);
		}
	} else if (counts_huge(line)) {
		text = strchr(line, ':') + 1;
		while (*text == ' ')
			text++;
		parser->huge += vmmem_digits(&text, 10) * 1024;
	}
}

static void
parse(struct parser *parser, const char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			parser->line[parser->len] = '\0';
			parse_line(parser);
			parser->len = 0;
		} else if (parser->len < LINE_MAX_LEN) {
			parser->line[parser->len++] = bytes[i];
		}
	}
}

int
vmmem_smaps_huge(uint64_t first, uint64_t last, uint64_t *ret_bytes)
{
	struct parser parser = { .first = first, .last = last };
	const int cancel = vmmem_cancel_off();
	char buf[4096];
	ssize_t got = 0;
	int fd, rc = 0;

	fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		rc = -errno;
	while (rc == 0) {
		got = read(fd, buf, sizeof(buf));
		if (got > 0)
			parse(&parser, buf, (size_t)got);
		else if (got < 0 && errno != EINTR)
			rc = -errno;
		else if (got == 0)
			break;
		/* They come in ascending order. */
		if (parser.at > last)
			break;
	}
	if (fd >= 0)
		close(fd);
	vmmem_cancel_back(cancel);
	if (rc != 0)
		return rc;
	finish(&parser);
	*ret_bytes = parser.sum;
	return 0;
}
