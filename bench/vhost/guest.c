/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * guest-bench DEVICE random|sequential read|write LENGTH DEPTH SECONDS MARK
 *
 * runs in the guest, and keeps DEPTH transfers of LENGTH bytes under way for so
 * long.  Each block of 4 KiB begins and ends with its number, mixed; what is
 * written has MARK after that, which the host looks for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define WORDS (BLOCK / 8)
#define DEPTH_MAX 128

static void
fail(const char *what)
{
	printf("GUEST failed: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
mix(uint64_t value)
{
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return value ^ value >> 27;
}

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void
stamp(uint64_t *buf, uint64_t offset, size_t len, uint64_t mark)
{
	uint64_t block = offset / BLOCK;

	for (; len != 0; len -= BLOCK, block++, buf += WORDS) {
		buf[0] = buf[WORDS - 1] = mix(block + 1);
		buf[1] = mark;
	}
}

static void
check(const uint64_t *buf, uint64_t offset, size_t len)
{
	uint64_t block = offset / BLOCK;

	for (; len != 0; len -= BLOCK, block++, buf += WORDS) {
		if (buf[0] != mix(block + 1) || buf[WORDS - 1] != buf[0])
			fail("other data");
	}
}

int
main(int argc, char **argv)
{
	struct iocb iocbs[DEPTH_MAX] = { 0 }, *list[DEPTH_MAX];
	uint64_t size, random = 1, cursor = 0, mark, requests = 0;
	bool sequential, is_write, ending = false;
	struct io_event events[DEPTH_MAX];
	aio_context_t context = 0;
	double begin, seconds;
	long depth, count, i;
	unsigned char *pool = NULL;
	size_t len;
	int fd;

	if (argc != 8)
		return 2;
	sequential = strcmp(argv[2], "sequential") == 0;
	is_write = strcmp(argv[3], "write") == 0;
	len = strtoul(argv[4], NULL, 10);
	depth = strtol(argv[5], NULL, 10);
	seconds = strtod(argv[6], NULL);
	mark = strtoull(argv[7], NULL, 10);
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) != 0 ||
	    syscall(SYS_io_setup, depth, &context) != 0)
		fail(argv[1]);
	if (depth > DEPTH_MAX || posix_memalign((void **)&pool, BLOCK,
						(size_t)depth * len) != 0)
		fail("depth");
	memset(pool, 0, (size_t)depth * len);
	for (i = 0; i < depth; i++) {
		iocbs[i].aio_fildes = (uint32_t)fd;
		iocbs[i].aio_lio_opcode = is_write ? IOCB_CMD_PWRITE :
						     IOCB_CMD_PREAD;
		iocbs[i].aio_buf = (uintptr_t)(pool + (size_t)i * len);
		iocbs[i].aio_nbytes = len;
		events[i].obj = (uintptr_t)&iocbs[i];
	}
	begin = now();
	for (count = depth; count != 0;) {
		for (i = 0; i < count && !ending; i++) {
			struct iocb *iocb = (void *)(uintptr_t)events[i].obj;

			random = mix(random + UINT64_C(0x9e3779b97f4a7c15));
			cursor = sequential ? (cursor + 1) % (size / len) :
					      random % (size / len);
			iocb->aio_offset = (int64_t)(cursor * len);
			if (is_write)
				stamp((void *)(uintptr_t)iocb->aio_buf,
				      cursor * len, len, mark);
			list[i] = iocb;
		}
		if (!ending && syscall(SYS_io_submit, context, count, list) !=
				       count)
			fail("io_submit");
		if (ending)
			depth -= count;
		if (depth == 0)
			break;
		count = syscall(SYS_io_getevents, context, 1, depth, events,
				NULL);
		if (count <= 0)
			fail("io_getevents");
		for (i = 0; i < count; i++) {
			const struct iocb *iocb =
				(void *)(uintptr_t)events[i].obj;

			if (events[i].res != (int64_t)len)
				fail("a transfer");
			if (!is_write)
				check((void *)(uintptr_t)iocb->aio_buf,
				      (uint64_t)iocb->aio_offset, len);
		}
		requests += (uint64_t)count;
		ending = now() - begin >= seconds;
	}
	printf("GUEST %llu requests in %.6f s\n",
	       (unsigned long long)requests, now() - begin);
	return 0;
}
