/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The descriptors of regions: one for a file, however many regions it has. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "rng.h"
#include "suite.h"

#define REGIONS 100
#define LEN UINT64_C(0x10000)

static struct vmmem_region *
region_at(int fd, uint64_t page)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_new_file(0, page_size(), fd, page * page_size(),
					&region));
	return region;
}

static int
fd_of(const struct vmmem_region *region)
{
	uint64_t offset;
	int fd = -1;

	assert_ok(vmmem_region_file(region, &fd, &offset));
	return fd;
}

/* Another opening of the same file, which is no duplicate. */
static int
reopen(int fd, int flags)
{
	char path[32];
	int other;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, flags);
	ck_assert_int_ge(other, 0);
	return other;
}

static void
assert_same_inode(int fd, int other)
{
	struct stat status, other_status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	ck_assert_int_eq(fstat(other, &other_status), 0);
	ck_assert_uint_eq(status.st_ino, other_status.st_ino);
	ck_assert_uint_eq(status.st_dev, other_status.st_dev);
}

/* A file that is gone when its descriptors are. */
static int
file_on_disk(uint64_t len)
{
	char path[] = "/tmp/check_file.XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)len), 0);
	return fd;
}

/* Of the same descriptor, of duplicates, and of what is opened again. */
static void
assert_one(int fd)
{
	struct vmmem_region *regions[REGIONS];
	size_t before = open_files(), i;
	int other;

	for (i = 0; i < REGIONS; i++) {
		other = i % 3 == 0 ? fd :
			i % 3 == 1 ? dup(fd) :
				     reopen(fd, O_RDWR);
		ck_assert_int_ge(other, 0);
		regions[i] = region_at(other, i % 2);
		if (other != fd)
			close(other);
		ck_assert_int_eq(fd_of(regions[i]), fd_of(regions[0]));
		ck_assert_uint_eq(open_files(), before + 1);
	}
	ck_assert_int_ne(fd_of(regions[0]), fd);
	ck_assert_int_eq(fcntl(fd_of(regions[0]), F_GETFD), FD_CLOEXEC);
	assert_same_inode(fd_of(regions[0]), fd);
	/* It lives as long as the last, whichever that is. */
	for (i = 0; i < REGIONS; i++) {
		if (i == REGIONS / 2)
			continue;
		vmmem_region_unref(regions[i]);
		ck_assert_uint_eq(open_files(), before + 1);
	}
	assert_same_inode(fd_of(regions[REGIONS / 2]), fd);
	vmmem_region_unref(regions[REGIONS / 2]);
	ck_assert_uint_eq(open_files(), before);
}

START_TEST(one_of_memory)
{
	int fd = reopen(file_of(LEN), O_RDWR);

	assert_one(fd);
	/* And again, when nothing is left of the first time. */
	assert_one(fd);
	close(fd);
}
END_TEST

/* On any file system; what is opened again may be another file there. */
START_TEST(one_on_disk)
{
	struct vmmem_region *regions[3];
	int fd = file_on_disk(LEN), copy = dup(fd), again, same = -1;
	size_t before = open_files(), files;

	regions[0] = region_at(fd, 0);
	regions[1] = region_at(copy, 1);
	files = open_files();
	ck_assert_uint_ge(files, before + 1);
	assert_ok(vmmem_fd_same_file(fd, copy, &same));
	ck_assert_uint_eq(files, before + (same ? 1 : 2));
	again = reopen(fd, O_RDWR);
	assert_ok(vmmem_fd_same_file(fd, again, &same));
	regions[2] = region_at(again, 0);
	close(again);
	ck_assert_uint_eq(open_files(), files + (same ? 0 : 1));
	assert_same_inode(fd_of(regions[2]), fd);
	vmmem_region_unref(regions[0]);
	vmmem_region_unref(regions[1]);
	vmmem_region_unref(regions[2]);
	ck_assert_uint_eq(open_files(), before);
	close(copy);
	close(fd);
}
END_TEST

/* A descriptor that permits less is not taken for one that permits more. */
START_TEST(other_access)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *writable, *readable = NULL;
	int fd = reopen(file_of(LEN), O_RDWR), reader = reopen(fd, O_RDONLY);

	writable = region_at(fd, 0);
	vmmem_region_builder_set_range(builder, 0, page_size());
	vmmem_region_builder_set_file(builder, reader, 0, 0);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	assert_ok(vmmem_region_builder_build(builder, &readable));
	ck_assert_int_ne(fd_of(readable), fd_of(writable));
	ck_assert_int_eq(fcntl(fd_of(readable), F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_int_eq(fcntl(fd_of(writable), F_GETFL) & O_ACCMODE, O_RDWR);
	vmmem_region_builder_free(builder);
	vmmem_region_unref(readable);
	vmmem_region_unref(writable);
	close(reader);
	close(fd);
}
END_TEST

/* Each opening of a device may be something else: only duplicates are one. */
START_TEST(devices)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *regions[3] = { NULL };
	int fds[3], same[3];
	size_t i;

	fds[0] = open("/dev/zero", O_RDWR);
	fds[1] = open("/dev/zero", O_RDWR);
	fds[2] = dup(fds[0]);
	vmmem_region_builder_set_range(builder, 0, page_size());
	for (i = 0; i < 3; i++) {
		vmmem_region_builder_set_file(builder, fds[i], 0,
					      VMMEM_FILE_PRIVATE);
		assert_ok(vmmem_region_builder_build(builder, &regions[i]));
		assert_ok(vmmem_fd_same_file(fds[0], fds[i], &same[i]));
	}
	ck_assert_int_eq(same[0], 1);
	ck_assert_int_eq(same[1], 0);
	ck_assert_int_ne(fd_of(regions[1]), fd_of(regions[0]));
	/* An old system does not tell. */
	ck_assert_int_eq(fd_of(regions[2]) == fd_of(regions[0]), same[2]);
	for (i = 0; i < 3; i++) {
		vmmem_region_unref(regions[i]);
		close(fds[i]);
	}
	vmmem_region_builder_free(builder);
}
END_TEST

/* A memfd of the library's, and what a peer that got it makes of it. */
START_TEST(of_a_memfd)
{
	struct vmmem_region *region = NULL, *part = NULL;
	size_t before = open_files();
	int fd;

	assert_ok(vmmem_region_new_memfd(0, LEN, &region));
	fd = dup(fd_of(region));
	assert_ok(vmmem_region_new_file(0, page_size(), fd, 0, &part));
	close(fd);
	ck_assert_int_eq(fd_of(part), fd_of(region));
	ck_assert_uint_eq(open_files(), before + 1);
	vmmem_region_unref(region);
	*expect_host(part) = 1;
	ck_assert_int_ge(fcntl(fd_of(part), F_GETFD), 0);
	vmmem_region_unref(part);
	ck_assert_uint_eq(open_files(), before);
}
END_TEST

/* Many files at once, each with its own, in any order. */
START_TEST(many_files)
{
	struct rng rng = { rng_seed() };
	const uint64_t rounds = rng_rounds(3000);
	struct vmmem_region *regions[64] = { NULL };
	int files[8];
	size_t i, which[64] = { 0 }, before;
	uint64_t round;

	printf("VMMEM_TEST_SEED=0x%" PRIx64 "\n", rng.state);
	for (i = 0; i < ARRAY_LEN(files); i++)
		files[i] = i % 2 != 0 ? file_on_disk(LEN) : file_of(LEN);
	before = open_files();
	for (round = 0; round < rounds; round++) {
		i = rng_below(&rng, ARRAY_LEN(regions));
		regions[i] = vmmem_region_unref(regions[i]);
		if (rng_chance(&rng, 30))
			continue;
		which[i] = rng_below(&rng, ARRAY_LEN(files));
		regions[i] = region_at(files[which[i]], 0);
		assert_same_inode(fd_of(regions[i]), files[which[i]]);
		ck_assert_uint_le(open_files(), before + ARRAY_LEN(files));
	}
	for (i = 0; i < ARRAY_LEN(regions); i++)
		vmmem_region_unref(regions[i]);
	ck_assert_uint_eq(open_files(), before);
	for (i = 0; i < ARRAY_LEN(files); i++)
		close(files[i]);
}
END_TEST

#define THREADS 4

static void *
make_and_drop(void *opaque)
{
	const int *fds = opaque;
	const uint64_t rounds = rng_rounds(2000);
	struct vmmem_region *region;
	struct stat status, want;
	uint64_t i, offset;
	int fd;

	for (i = 0; i < rounds; i++) {
		if (vmmem_region_new_file(0, page_size(), fds[i % 2], 0,
					  &region) != 0 ||
		    vmmem_region_file(region, &fd, &offset) != 0 ||
		    fstat(fd, &status) != 0 || fstat(fds[i % 2], &want) != 0 ||
		    status.st_ino != want.st_ino)
			return opaque;
		vmmem_region_unref(region);
	}
	return NULL;
}

/* The last goes while another comes. */
START_TEST(threads)
{
	pthread_t ids[THREADS];
	int fds[2] = { file_of(LEN), file_of(LEN) };
	size_t before = open_files(), i;
	void *failed;

	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&ids[i], NULL, make_and_drop,
						fds),
				 0);
	for (i = 0; i < THREADS; i++) {
		pthread_join(ids[i], &failed);
		ck_assert_ptr_null(failed);
	}
	ck_assert_uint_eq(open_files(), before);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("file");
	TCase *tcase = tcase_create("file");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, one_of_memory);
	tcase_add_test(tcase, one_on_disk);
	tcase_add_test(tcase, other_access);
	tcase_add_test(tcase, devices);
	tcase_add_test(tcase, of_a_memfd);
	tcase_add_test(tcase, many_files);
	tcase_add_test(tcase, threads);
	suite_add_tcase(suite, tcase);
	return suite;
}
