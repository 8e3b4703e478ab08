/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "smaps.h"

#include "cancel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/*
 * A mapping is a line "first-end ...", then lines "Key:   N kB", then one line
 * "VmFlags: rd wr ...".  No line but the first, which ends with a path, is
 * longer than this; of that only the beginning counts.
 */
#define LINE_MAX_LEN 256

struct parser {
	uint64_t first; /* what is asked about */
	uint64_t last;
	struct vmmem_smaps sum;

	/* The mapping whose lines are being read. */
	uint64_t at;
	uint64_t end;
	uint64_t huge;

	char line[LINE_MAX_LEN + 1];
	size_t len;
};

/* number() reads digits of 'base', 10 or 16, and moves '*text' behind them. */
static uint64_t
number(const char **text, unsigned int base)
{
	uint64_t value = 0;

	for (;; (*text)++) {
		char c = **text;

		if (c >= '0' && c <= '9')
			value = value * base + (uint64_t)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			value = value * base + (uint64_t)(c - 'a') + 10;
		else
			return value;
	}
}

/* overlap() is how many bytes of the mapping lie in what is asked about. */
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

	if (bytes == 0 || parser->huge == 0 || parser->sum.huge == UINT64_MAX)
		return;
	/* Neighbours that are alike are one mapping: then it is all or none. */
	if (bytes == parser->end - parser->at)
		parser->sum.huge += parser->huge;
	else if (parser->huge == parser->end - parser->at)
		parser->sum.huge += bytes;
	else
		parser->sum.huge = UINT64_MAX;
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
		parser->at = number(&text, 16);
		parser->end = 0;
		parser->huge = 0;
		if (*text == '-') {
			text++;
			parser->end = number(&text, 16);
		}
	} else if (counts_huge(line)) {
		text = strchr(line, ':') + 1;
		while (*text == ' ')
			text++;
		parser->huge += number(&text, 10) * 1024;
	} else if (begins(line, "VmFlags:") && strstr(line, " lo") != NULL) {
		parser->sum.locked += overlap(parser);
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
vmmem_smaps_read(uint64_t first, uint64_t last, struct vmmem_smaps *ret_smaps)
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
	}
	if (fd >= 0)
		close(fd);
	vmmem_cancel_back(cancel);
	if (rc != 0)
		return rc;
	finish(&parser);
	*ret_smaps = parser.sum;
	return 0;
}
