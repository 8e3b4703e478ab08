/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What is on the disk, so that what is read is known to be right. */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t
mix(uint64_t value)
{
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

static uint64_t
stamp(uint64_t block, uint32_t version)
{
	return mix(block << 32 | version) | 1;
}

static uint64_t
load(const unsigned char *buf, size_t word)
{
	uint64_t value;

	memcpy(&value, buf + 8 * word, sizeof(value));
	return value;
}

static void
store(unsigned char *buf, size_t word, uint64_t value)
{
	memcpy(buf + 8 * word, &value, sizeof(value));
}

void
disk_prepare(unsigned char *buf)
{
	size_t i;

	for (i = 0; i < BLOCK_WORDS; i++)
		store(buf, i, mix(i));
}

/* The first and the last word of each sector. */
static void
put_stamps(unsigned char *buf, uint64_t value)
{
	size_t i;

	for (i = 0; i < BLOCK_WORDS; i += BLOCK_WORDS / SECTORS_OF_BLOCK) {
		store(buf, i, value + i);
		store(buf, i + BLOCK_WORDS / SECTORS_OF_BLOCK - 1, value + i);
	}
}

void
disk_stamp(struct disk *disk, uint64_t block, unsigned char *buf)
{
	put_stamps(buf, stamp(block, ++disk->versions[block]));
}

void
disk_check(const struct disk *disk, uint64_t block, const unsigned char *buf,
	   bool all)
{
	uint64_t want = stamp(block, disk->versions[block]);
	unsigned char good[BLOCK];

	/* The ends: what was cut short has one at most. */
	if (load(buf, 0) != want ||
	    load(buf, BLOCK_WORDS - 1) !=
		    want + BLOCK_WORDS - BLOCK_WORDS / SECTORS_OF_BLOCK)
		die("block %llu has other data", (unsigned long long)block);
	if (!all)
		return;
	disk_prepare(good);
	put_stamps(good, want);
	if (memcmp(buf, good, BLOCK) != 0)
		die("block %llu has other data within",
		    (unsigned long long)block);
}

void
disk_fill(struct disk *disk, const char *path, uint64_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	unsigned char buf[BLOCK];
	uint64_t block;

	disk->blocks = len / BLOCK;
	disk->versions = calloc(disk->blocks, sizeof(disk->versions[0]));
	disk->busy = calloc(disk->blocks, sizeof(disk->busy[0]));
	if (disk->versions == NULL || disk->busy == NULL)
		die("no memory for a model");
	disk_prepare(buf);
	for (block = 0; block < disk->blocks; block++) {
		put_stamps(buf, stamp(block, 0));
		if (pwrite(fd, buf, BLOCK, (off_t)(block * BLOCK)) != BLOCK)
			die("%s: %s", path, strerror(errno));
	}
	/* Nothing is to be written back while others measure. */
	if (fdatasync(fd) != 0 || close(fd) != 0)
		die("%s: %s", path, strerror(errno));
}
