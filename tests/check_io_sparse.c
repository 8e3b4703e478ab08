/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * VMMEM_IO_SPARSE: the bytes are those of a transfer without it, while memory
 * that is not there stays so, and files have holes.
 */
#include <sys/resource.h>

#include <vmmem/discard.h>
#include <vmmem/residency.h>

#include "backings.h"
#include "device.h"
#include "rng.h"
#include "suite.h"

#define PAGE UINT64_C(4096)
#define PAGES UINT64_C(64)
#define SIZE (PAGES * PAGE)
#define AT UINT64_C(0x3000) /* in the file */

static uint8_t now[SIZE], want[SIZE];

const char *
skip_reason(void)
{
	if (memory_skip_reason() != NULL)
		return memory_skip_reason();
	return page_size() == PAGE ? NULL : "needs pages of 4 KiB";
}

static struct vmmem_collection *
map_of(struct vmmem_region *region)
{
	struct vmmem_collection *map = NULL;

	assert_ok(vmmem_collection_new(&region, 1, &map));
	return map;
}

static int
save(struct vmmem_collection *map, int fd, uint64_t at, uint64_t *ret_done)
{
	return vmmem_collection_to_fd(map, GPA, SIZE, fd, at, VMMEM_IO_SPARSE,
				      ret_done);
}

static int
load(struct vmmem_collection *map, int fd, uint64_t at, uint64_t *ret_done)
{
	return vmmem_collection_from_fd(map, GPA, SIZE, fd, at,
					VMMEM_IO_SPARSE, ret_done);
}

static uint64_t
file_size(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return (uint64_t)status.st_size;
}

static void
expect_file(int fd, uint64_t at)
{
	ck_assert_int_eq(pread(fd, now, SIZE, (off_t)at), (ssize_t)SIZE);
	ck_assert(memcmp(now, want, SIZE) == 0);
}

/* Pages 2, 3 and 9, and the same in 'want'. */
static void
use_some(struct vmmem_region *region)
{
	static const uint64_t some[] = { 2, 3, 9 };
	size_t i;

	memset(want, 0, SIZE);
	for (i = 0; i < ARRAY_LEN(some); i++) {
		bytes_of(region)[some[i] * PAGE + i] = (uint8_t)(1 + i);
		want[some[i] * PAGE + i] = (uint8_t)(1 + i);
	}
}

/* How much memory a region takes that nobody else uses. */
static uint64_t
taken(struct vmmem_region *region)
{
	uint64_t offset;
	int fd;

	if (vmmem_region_file(region, &fd, &offset) == 0)
		return storage(fd);
	return in_core(bytes_of(region), SIZE);
}

static bool
is_told(enum backing backing)
{
	return backing == ANONYMOUS || backing == MEMFD ||
	       backing == EXTERNAL_PRIVATE;
}

START_TEST(saving)
{
	enum backing backing = (enum backing)_i;
	struct vmmem_region *region = region_on(backing, GPA, SIZE);
	struct vmmem_collection *map;
	uint64_t done = 77;
	int fd = file_of(0);

	if (region == NULL)
		return;
	map = map_of(region);
	if (is_told(backing)) {
		use_some(region);
	} else {
		assert_ok(vmmem_collection_read(map, GPA, want, SIZE, NULL));
		want[5 * PAGE] = 9;
		assert_ok(vmmem_collection_write_u8(map, GPA + 5 * PAGE, 9));
	}
	errno = EXDEV;
	assert_ok(save(map, fd, AT, &done));
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_uint_eq(done, SIZE);
	expect_file(fd, AT);
	ck_assert_uint_eq(file_size(fd), AT + SIZE);
	if (is_told(backing)) {
		ck_assert_uint_eq(taken(region), 3 * PAGE);
		/* And the byte at the end, for the length. */
		ck_assert_uint_le(storage(fd), 4 * PAGE);
	}
	vmmem_collection_unref(map);
	forget(region);
	close(fd);
}
END_TEST

/* Where a file stands, and that it moves on. */
START_TEST(positions)
{
	struct vmmem_region *region = region_on(MEMFD, GPA, SIZE);
	struct vmmem_collection *map = map_of(region);
	uint64_t done = 77;
	int fd = file_of(0);

	use_some(region);
	ck_assert_int_eq(lseek(fd, (off_t)AT, SEEK_SET), (off_t)AT);
	assert_ok(save(map, fd, VMMEM_IO_POSITION, &done));
	ck_assert_uint_eq(done, SIZE);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), (off_t)(AT + SIZE));
	expect_file(fd, AT);
	/* With an offset it stays. */
	assert_ok(save(map, fd, 0, &done));
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), (off_t)(AT + SIZE));
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	assert_ok(load(map, fd, VMMEM_IO_POSITION, &done));
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), (off_t)SIZE);
	ck_assert_uint_eq(taken(region), 3 * PAGE);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

/* What a file had is gone, and what lies around it stays. */
START_TEST(over_old_bytes)
{
	struct vmmem_region *region = region_on(MEMFD, GPA, SIZE);
	struct vmmem_collection *map = map_of(region);
	int fd = _i == 0 ? file_of(AT + SIZE + PAGE) :
			   disk_file(AT + SIZE + PAGE);
	uint8_t byte = 0;

	if (fd < 0)
		return;
	fill_file(fd, AT + SIZE + PAGE);
	use_some(region);
	assert_ok(save(map, fd, AT, NULL));
	expect_file(fd, AT);
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(AT - 1)), 1);
	ck_assert_uint_eq(byte, BELOW);
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(AT + SIZE)), 1);
	ck_assert_uint_eq(byte, BELOW);
	ck_assert_uint_eq(file_size(fd), AT + SIZE + PAGE);
	fsync(fd);
	if (_i == 0)
		ck_assert_uint_eq(storage(fd), AT + 3 * PAGE + PAGE);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

/* Where there are no holes there are zeroes. */
START_TEST(streams)
{
	struct vmmem_region *region = region_on(MEMFD, GPA, SIZE);
	struct vmmem_collection *map = map_of(region);
	uint64_t done = 77;
	int ends[2], fd;

	use_some(region);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, (int)(2 * SIZE)), 0);
	assert_ok(save(map, ends[1], VMMEM_IO_POSITION, &done));
	ck_assert_uint_eq(done, SIZE);
	ck_assert_int_eq(read(ends[0], now, SIZE), (ssize_t)SIZE);
	ck_assert(memcmp(now, want, SIZE) == 0);
	ck_assert_uint_eq(taken(region), 3 * PAGE);
	/* From one, everything is what comes. */
	ck_assert_int_eq(write(ends[1], want, SIZE), (ssize_t)SIZE);
	assert_ok(load(map, ends[0], VMMEM_IO_POSITION, &done));
	ck_assert_uint_eq(done, SIZE);
	assert_ok(vmmem_collection_read(map, GPA, now, SIZE, NULL));
	ck_assert(memcmp(now, want, SIZE) == 0);
	close(ends[0]);
	close(ends[1]);

	/* Appended, whatever the offset. */
	assert_ok(vmmem_region_discard(region, 0, SIZE, 0, NULL));
	use_some(region);
	fd = file_of(0);
	ck_assert_int_eq(write(fd, "abc", 3), 3);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_APPEND), 0);
	assert_ok(save(map, fd, 0, &done));
	expect_file(fd, 3);
	ck_assert_uint_eq(file_size(fd), 3 + SIZE);
	ck_assert_uint_eq(taken(region), 3 * PAGE);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

/* A file with holes: no pages for them, and zeroes where there are pages. */
START_TEST(loading)
{
	enum backing backing = (enum backing)_i;
	struct vmmem_region *region = region_on(backing, GPA, SIZE);
	struct vmmem_collection *map;
	struct vmmem_bitmap *bitmap;
	uint64_t done = 77;
	int fd = file_of(AT + SIZE);

	if (region == NULL)
		return;
	map = map_of(region);
	memset(want, 0, SIZE);
	memset(want + 4 * PAGE, 'd', 3 * PAGE);
	ck_assert_int_eq(pwrite(fd, want + 4 * PAGE, 3 * PAGE,
				(off_t)(AT + 4 * PAGE)), 3 * (ssize_t)PAGE);
	/* Two pages, one of which the file has. */
	assert_ok(vmmem_collection_write_u8(map, GPA + 5 * PAGE, 1));
	assert_ok(vmmem_collection_write_u8(map, GPA + 20 * PAGE + 8, 1));
	bitmap = vmmem_region_bitmap(region);
	ck_assert_ptr_null(bitmap);
	errno = EXDEV;
	assert_ok(load(map, fd, AT, &done));
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_uint_eq(done, SIZE);
	if (is_told(backing))
		ck_assert_uint_eq(taken(region), 4 * PAGE);
	assert_ok(vmmem_collection_read(map, GPA, now, SIZE, NULL));
	ck_assert(memcmp(now, want, SIZE) == 0);
	vmmem_collection_unref(map);
	forget(region);
	close(fd);
}
END_TEST

/* What was read or zeroed is marked, what was left out is as it was. */
START_TEST(marks)
{
	struct vmmem_region *region;
	struct vmmem_collection *map;
	struct vmmem_bitmap *bitmap;
	int fd = file_of(SIZE);
	uint64_t at;

	vmmem_region_builder_set_tracking(builder, PAGE);
	region = region_on(MEMFD, GPA, SIZE);
	bitmap = vmmem_region_bitmap(region);
	map = map_of(region);
	ck_assert_int_eq(pwrite(fd, "d", 1, 4 * (off_t)PAGE), 1);
	assert_ok(vmmem_collection_write_u8(map, GPA + 20 * PAGE + 8, 1));
	assert_ok(vmmem_bitmap_start_logging(bitmap));
	assert_ok(load(map, fd, 0, NULL));
	for (at = 0; at < SIZE; at += PAGE)
		ck_assert_int_eq(vmmem_bitmap_test(bitmap, at),
				 at == 4 * PAGE || at == 20 * PAGE);
	/* Saving marks nothing. */
	assert_ok(vmmem_bitmap_clear(bitmap, 0, SIZE));
	assert_ok(save(map, fd, 0, NULL));
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

/* The file ends, within a hole or before. */
START_TEST(ends)
{
	struct vmmem_region *region = region_on(MEMFD, GPA, SIZE);
	struct vmmem_collection *map = map_of(region);
	uint64_t done = 77;
	int fd = file_of(10 * PAGE + 5);

	ck_assert_int_eq(pwrite(fd, "d", 1, 4 * (off_t)PAGE), 1);
	assert_code(load(map, fd, 0, &done), VMMEM_EEOF);
	ck_assert_uint_eq(done, 10 * PAGE + 5);
	assert_code(load(map, fd, 10 * PAGE, &done), VMMEM_EEOF);
	ck_assert_uint_eq(done, 5);
	assert_code(load(map, fd, 20 * PAGE, &done), VMMEM_EEOF);
	ck_assert_uint_eq(done, 0);
	assert_code(load(map, fd, INT64_MAX - 5, &done), VMMEM_EFILERANGE);
	assert_code(save(map, fd, INT64_MAX - 5, &done), VMMEM_EFILERANGE);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(taken(region), PAGE);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

/* A limit on files: what is counted is in the file. */
START_TEST(limited)
{
	struct vmmem_region *region = region_on(MEMFD, GPA, SIZE);
	struct vmmem_collection *map = map_of(region);
	struct rlimit limit;
	uint64_t done = 77;
	int fd = file_of(0);

	use_some(region);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 5 * PAGE;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_code(vmmem_collection_to_fd(
			    map, GPA, SIZE, fd, 0,
			    VMMEM_IO_SPARSE | VMMEM_IO_NO_SIGNAL, &done),
		    -EFBIG);
	limit.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_uint_eq(done, 4 * PAGE);
	ck_assert_uint_eq(file_size(fd), done);
	/* And it can be resumed there. */
	assert_ok(vmmem_collection_to_fd(map, GPA + done, SIZE - done, fd,
					 done, VMMEM_IO_SPARSE, NULL));
	expect_file(fd, 0);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

static int
fails(void *opaque, uint64_t offset, void *buf, size_t len,
      const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	(void)buf;
	(void)len;
	return -EIO;
}

/*
 * Behind a hole something else fails, and then the hole is beyond the limit:
 * no signal is left behind, whichever code it is.
 */
START_TEST(limited_and_failed)
{
	static const struct vmmem_region_ops ops = { .size = sizeof(ops),
						     .read = fails };
	struct vmmem_region *regions[2] = { region_on(MEMFD, GPA, SIZE) };
	struct vmmem_collection *map = NULL;
	struct rlimit limit;
	uint64_t done = 77;
	int fd = file_of(0);

	assert_ok(vmmem_region_new_custom(GPA + SIZE, PAGE, &ops, NULL,
					  &regions[1]));
	assert_ok(vmmem_collection_new(regions, 2, &map));
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 5 * PAGE;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_code(vmmem_collection_to_fd(
			    map, GPA, SIZE + PAGE, fd, 0,
			    VMMEM_IO_SPARSE | VMMEM_IO_NO_SIGNAL, &done),
		    -EFBIG);
	limit.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(file_size(fd), 0);
	/* Without a limit it is the other one, and the hole counts. */
	assert_code(vmmem_collection_to_fd(
			    map, GPA, SIZE + PAGE, fd, 0,
			    VMMEM_IO_SPARSE | VMMEM_IO_NO_SIGNAL, &done),
		    -EIO);
	ck_assert_uint_eq(done, SIZE);
	ck_assert_uint_eq(file_size(fd), SIZE);
	vmmem_collection_unref(map);
	vmmem_region_unref(regions[0]);
	vmmem_region_unref(regions[1]);
	close(fd);
}
END_TEST

/* Once some bytes were moved it does not wait, wherever data and holes end. */
START_TEST(some)
{
	struct vmmem_region *region = region_on(MEMFD, GPA, SIZE);
	struct vmmem_collection *map = map_of(region);
	uint64_t done = 77, room = 16 * PAGE, at;
	int pipe[2];

	use_some(region);
	ck_assert_int_eq(pipe2(pipe, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(pipe[1], F_SETPIPE_SZ, (int)room), (int)room);
	/* Zeroes, data, zeroes, data, and twice the most zeroes at once. */
	for (at = 0; at < 40 * PAGE; at += done) {
		assert_code(vmmem_collection_to_fd(
				    map, GPA + at, SIZE - at, pipe[1],
				    VMMEM_IO_POSITION,
				    VMMEM_IO_SPARSE | VMMEM_IO_SOME, &done),
			    VMMEM_EPARTIAL);
		ck_assert_uint_ne(done, 0);
		ck_assert_uint_le(done, room);
		ck_assert_int_eq(read(pipe[0], now, SIZE), (ssize_t)done);
		ck_assert(memcmp(now, want + at, done) == 0);
	}
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(pipe[0]);
	close(pipe[1]);
}
END_TEST

/* Chains, seams, callbacks, any pattern: as without the flag. */
START_TEST(at_random)
{
	static struct device device;
	struct vmmem_region *regions[4], *alias = NULL;
	struct vmmem_collection *map;
	struct vmmem_range chain[4];
	struct rng rng = { rng_seed() };
	uint64_t rounds = rng_rounds(200), i, len, done, skip;
	int plain = file_of(0), sparse = file_of(0);
	static uint8_t other[4 * SIZE];
	static uint8_t bytes[4 * SIZE];

	printf("seed %#jx\n", (uintmax_t)rng.state);
	device_init(&device);
	regions[0] = region_on(MEMFD, GPA, SIZE);
	regions[1] = region_on(ANONYMOUS, GPA + SIZE, SIZE);
	assert_ok(vmmem_region_new_custom(GPA + 2 * SIZE, DEVICE_LEN,
					  &device_ops, &device, &regions[2]));
	assert_ok(vmmem_region_new_alias(GPA + 2 * SIZE + DEVICE_LEN,
					 SIZE - 48, regions[0], 48, &alias));
	regions[3] = alias;
	map = guest_of(regions, 4);
	while (rounds-- != 0) {
		for (i = 0, len = 0; i < 4; i++) {
			chain[i].gpa = GPA + rng_below(&rng, 2 * SIZE);
			chain[i].len = rng_below(&rng, SIZE);
			len += chain[i].len;
		}
		if (rng_chance(&rng, 20)) {
			assert_ok(vmmem_collection_discard(
				map, GPA, 2 * SIZE, 0, NULL));
		}
		for (i = rng_below(&rng, 8); i != 0; i--)
			assert_ok(vmmem_collection_write_u64(
				map, GPA + rng_below(&rng, 2 * SIZE),
				rng_next(&rng)));
		skip = rng_below(&rng, len + 1);
		/* First sparse: without the flag pages are made. */
		ck_assert_int_eq(ftruncate(sparse, 0), 0);
		ck_assert_int_eq(ftruncate(plain, 0), 0);
		if (rng_chance(&rng, 50)) {
			memset(bytes, (int)rng_below(&rng, 256), len);
			ck_assert_int_eq(pwrite(sparse, bytes, len / 2, 0),
					 (ssize_t)(len / 2));
			ck_assert_int_eq(pwrite(plain, bytes, len / 2, 0),
					 (ssize_t)(len / 2));
		}
		assert_ok(vmmem_collection_ranges_to_fd(
			map, chain, 4, skip, VMMEM_IO_REST, sparse, 5,
			VMMEM_IO_SPARSE, &done, NULL));
		ck_assert_uint_eq(done, len - skip);
		assert_ok(vmmem_collection_ranges_to_fd(
			map, chain, 4, skip, VMMEM_IO_REST, plain, 5, 0,
			NULL, NULL));
		ck_assert_uint_eq(file_size(plain), file_size(sparse));
		ck_assert_int_eq(pread(plain, bytes, sizeof(bytes), 0),
				 pread(sparse, other, sizeof(other), 0));
		ck_assert(memcmp(bytes, other, file_size(plain)) == 0);

		/* And back, over what is there now. */
		memset(bytes, 0, sizeof(bytes));
		ck_assert_int_eq(ftruncate(sparse, (off_t)chain[0].len), 0);
		ck_assert_int_eq(pread(sparse, bytes, chain[0].len, 0),
				 (ssize_t)chain[0].len);
		assert_ok(vmmem_collection_ranges_from_fd(
			map, chain, 1, 0, VMMEM_IO_REST, sparse, 0,
			VMMEM_IO_SPARSE, &done, NULL));
		ck_assert_uint_eq(done, chain[0].len);
		assert_ok(vmmem_collection_read(map, chain[0].gpa, other,
						chain[0].len, NULL));
		ck_assert(memcmp(bytes, other, chain[0].len) == 0);
	}
	vmmem_collection_unref(map);
	close(plain);
	close(sparse);
}
END_TEST

/* Not through the page cache, and the last page is a hole. */
START_TEST(direct)
{
	struct vmmem_region *region = region_on(MEMFD, GPA, SIZE);
	struct vmmem_collection *map = map_of(region);
	uint64_t done = 77;
	int fd = disk_file(0);

	if (fd < 0 || fcntl(fd, F_SETFL, O_DIRECT) != 0)
		return;
	use_some(region);
	assert_ok(save(map, fd, 0, &done));
	ck_assert_uint_eq(done, SIZE);
	ck_assert_uint_eq(file_size(fd), SIZE);
	ck_assert_uint_eq(taken(region), 3 * PAGE);
	assert_ok(load(map, fd, VMMEM_IO_POSITION, &done));
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
	expect_file(fd, 0);
	assert_ok(vmmem_collection_read(map, GPA, now, SIZE, NULL));
	ck_assert(memcmp(now, want, SIZE) == 0);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

/* Pages of the pool, if there are any, and one that only another has mapped. */
START_TEST(huge_pages)
{
	const uint64_t huge = 2 * MIB;
	struct vmmem_region *region = NULL;
	struct vmmem_collection *map;
	uint64_t offset, before, done = 77;
	int fd, out = file_of(0);
	uint8_t *other, byte = 0;

	vmmem_region_builder_set_range(builder, 0, 8 * huge);
	vmmem_region_builder_set_huge_page_size(builder, huge);
	vmmem_region_builder_set_memfd(builder);
	if (vmmem_region_builder_build(builder, &region) != 0)
		return;
	map = map_of(region);
	expect_host(region)[3 * huge] = 5;
	assert_ok(vmmem_region_file(region, &fd, &offset));
	other = mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(other, MAP_FAILED);
	other[huge - 1] = 6;
	before = storage(fd);
	ck_assert_uint_eq(before, 2 * huge);
	assert_ok(vmmem_collection_to_fd(map, 0, 8 * huge, out, 0,
					 VMMEM_IO_SPARSE, &done));
	ck_assert_uint_eq(done, 8 * huge);
	ck_assert_uint_eq(storage(fd), before);
	ck_assert_uint_le(storage(out), 2 * huge + PAGE);
	ck_assert_int_eq(pread(out, &byte, 1, (off_t)(3 * huge)), 1);
	ck_assert_uint_eq(byte, 5);
	ck_assert_int_eq(pread(out, &byte, 1, (off_t)(huge - 1)), 1);
	ck_assert_uint_eq(byte, 6);
	assert_ok(vmmem_collection_from_fd(map, 0, 8 * huge, out, 0,
					   VMMEM_IO_SPARSE, &done));
	ck_assert_uint_le(storage(fd), before + huge);
	munmap(other, huge);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(out);
}
END_TEST

START_TEST(refusals)
{
	struct vmmem_region *region = region_on(MEMFD, GPA, SIZE);
	struct vmmem_collection *map = map_of(region);
	struct vmmem_slice slice;
	uint64_t done = 77;
	int fd = file_of(0);

	assert_ok(vmmem_collection_slice(map, GPA, SIZE, VMMEM_PROT_READ |
					 VMMEM_PROT_WRITE, &slice));
	assert_code(vmmem_slice_to_fd(&slice, 0, 8, fd, 0, VMMEM_IO_SPARSE,
				      &done), VMMEM_EARGUMENT);
	assert_code(vmmem_slice_from_fd(&slice, 0, 8, fd, 0, VMMEM_IO_SPARSE,
					&done), VMMEM_EARGUMENT);
	assert_code(vmmem_collection_to_fd(map, GPA, 8, fd, 0,
					   VMMEM_IO_SPARSE | VMMEM_IO_MESSAGE,
					   &done), VMMEM_EARGUMENT);
	ck_assert_uint_eq(done, 77);
	assert_code(vmmem_collection_to_fd(map, GPA, SIZE + 1, fd, 0,
					   VMMEM_IO_SPARSE, &done),
		    VMMEM_EBADADDR);
	assert_code(save(map, -1, 0, &done), -EBADF);
	ck_assert_uint_eq(done, 0);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("io_sparse");
	TCase *tcase = tcase_create("io_sparse");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, saving, 0, BACKINGS);
	tcase_add_test(tcase, positions);
	tcase_add_loop_test(tcase, over_old_bytes, 0, 2);
	tcase_add_test(tcase, streams);
	tcase_add_loop_test(tcase, loading, 0, BACKINGS);
	tcase_add_test(tcase, marks);
	tcase_add_test(tcase, ends);
	tcase_add_test(tcase, limited);
	tcase_add_test(tcase, limited_and_failed);
	tcase_add_test(tcase, some);
	tcase_add_test(tcase, at_random);
	tcase_add_test(tcase, direct);
	tcase_add_test(tcase, huge_pages);
	tcase_add_test(tcase, refusals);
	suite_add_tcase(suite, tcase);
	return suite;
}
