/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * writer DEVICE FIRST COUNT POOL - runs in the guest.  It writes and reads 4
 * KiB blocks [FIRST, FIRST + COUNT) of a device at random, past the page cache,
 * from and to POOL MiB of memory, and keeps a model of what must be there.
 * Every block that is read must be as in the model.  It says "writing" when it
 * has begun, and on SIGTERM reads all blocks and says how that went.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK 4096
#define WORDS (BLOCK / 8)
#define SHOWN_AFTER 200

static volatile sig_atomic_t stop;

static void
on_term(int signal)
{
	(void)signal;
	stop = 1;
}

static uint64_t
mix(uint64_t value)
{
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

static uint64_t
word(uint64_t block, uint64_t version, unsigned int index)
{
	return mix(block * WORDS + index + mix(version));
}

static void
fail(const char *what, uint64_t block)
{
	printf("WRITER failed: %s at block %llu\n", what,
	       (unsigned long long)block);
	exit(1);
}

static void
check(int fd, uint64_t first, uint64_t block, const uint64_t *model,
      uint64_t *buf)
{
	unsigned int i;

	if (pread(fd, buf, BLOCK, (off_t)((first + block) * BLOCK)) != BLOCK)
		fail("read", block);
	/* Nobody knows what was there before it was first written. */
	if (model[block] == 0)
		return;
	for (i = 0; i < WORDS; i++) {
		if (buf[i] != word(block, model[block], i))
			fail("other data", block);
	}
}

int
main(int argc, char **argv)
{
	uint64_t first, count, pool_len, block, writes = 0, version = 0, i;
	struct sigaction action = { .sa_handler = on_term };
	uint64_t random = 1, *model;
	unsigned char *pool;
	int fd;

	if (argc != 5)
		return 2;
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	first = strtoull(argv[2], NULL, 10);
	count = strtoull(argv[3], NULL, 10);
	pool_len = strtoull(argv[4], NULL, 10) << 20;
	model = calloc(count, sizeof(*model));
	pool = mmap(NULL, pool_len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (model == NULL || pool == MAP_FAILED)
		fail("no memory", 0);
	/* All of it is to be there, wherever the kernel finds it. */
	for (i = 0; i < pool_len; i += BLOCK)
		pool[i] = 1;
	sigaction(SIGTERM, &action, NULL);
	while (!stop) {
		uint64_t *buf = (void *)(pool + (random >> 20) %
							(pool_len / BLOCK) *
							BLOCK);

		random = mix(random + UINT64_C(0x9e3779b97f4a7c15));
		block = random % count;
		if ((random >> 40) % 3 == 0) {
			check(fd, first, block, model, buf);
			continue;
		}
		version++;
		for (i = 0; i < WORDS; i++)
			buf[i] = word(block, version, (unsigned int)i);
		if (pwrite(fd, buf, BLOCK,
			   (off_t)((first + block) * BLOCK)) != BLOCK)
			fail("write", block);
		model[block] = version;
		if (++writes == SHOWN_AFTER) {
			printf("WRITER writing\n");
			fflush(stdout);
		}
	}
	for (block = 0; block < count; block++)
		check(fd, first, block, model, (uint64_t *)(void *)pool);
	printf("WRITER good: %llu writes\n", (unsigned long long)writes);
	return 0;
}
