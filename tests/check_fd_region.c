/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Regions of descriptors that come from somebody else. */
#include <pthread.h>
#include <stdbool.h>
#include <sys/wait.h>

#include <vmmem/fd.h>

#include "memory.h"
#include "suite.h"

#define LEN UINT64_C(0x4000)

static struct vmmem_region_builder *builder;

static void
setup(void)
{
	builder = vmmem_region_builder_new();
	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, 0x10000, LEN);
}

static void
teardown(void)
{
	vmmem_region_builder_free(builder);
}

static int
memfd(uint32_t seals)
{
	int fd = memfd_create("untrusted", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)LEN), 0);
	if (seals != 0)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static struct vmmem_region *
build(void)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_builder_build(builder, &region));
	ck_assert_uint_eq(vmmem_region_kind(region), VMMEM_REGION_FILE);
	return region;
}

static void
refuse(int code)
{
	struct vmmem_region *region = NO_REGION;
	size_t files = open_files();

	assert_code(vmmem_region_builder_build(builder, &region), code);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_uint_eq(open_files(), files);
}

START_TEST(strict_by_default)
{
	int fd = memfd(VMMEM_SEAL_SHRINK), other = memfd(0), pipes[2];
	struct vmmem_region *region;

	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, NULL);
	region = build();
	expect_host(region)[0] = 1;
	vmmem_region_unref(region);
	vmmem_region_builder_set_untrusted_file(builder, other, 0, 0, NULL);
	refuse(VMMEM_ESHRINKABLE);
	ck_assert_int_eq(pipe(pipes), 0);
	vmmem_region_builder_set_untrusted_file(builder, pipes[0], 0, 0, NULL);
	refuse(VMMEM_EFILETYPE);
	vmmem_region_builder_set_untrusted_file(builder, -1, 0, 0, NULL);
	refuse(-EBADF);
	/* Another backing forgets the rules. */
	vmmem_region_builder_set_file(builder, other, 0, 0);
	vmmem_region_unref(build());
	vmmem_region_builder_set_untrusted_file(NULL, fd, 0, 0, NULL);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	close(other);
}
END_TEST

/* The access is what the region needs. */
START_TEST(access_of_the_region)
{
	struct vmmem_fd_rules rules = { .size = sizeof(rules) };
	int fd = memfd(VMMEM_SEAL_SHRINK | VMMEM_SEAL_FUTURE_WRITE);
	char path[64];
	int reader;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY);
	vmmem_region_builder_set_untrusted_file(builder, reader, 0, 0, &rules);
	refuse(VMMEM_EFILEACCESS);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	vmmem_region_unref(build());
	/* Copies are made of what is written: reading will do. */
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ |
							     VMMEM_PROT_WRITE);
	vmmem_region_builder_set_untrusted_file(builder, reader, 0,
						VMMEM_FILE_PRIVATE, &rules);
	vmmem_region_unref(build());
	rules.access = VMMEM_PROT_WRITE;
	vmmem_region_builder_set_untrusted_file(builder, reader, 0,
						VMMEM_FILE_PRIVATE, &rules);
	refuse(VMMEM_EFILEACCESS);
	close(reader);
	close(fd);
}
END_TEST

/* Rules are copied, and a mistake in them is told by build. */
START_TEST(rules_are_copied)
{
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.add = VMMEM_SEAL_SHRINK,
	};
	int fd = memfd(0);

	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, &rules);
	rules.add = 0;
	vmmem_region_unref(build());
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK);
	rules.flags = 4;
	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, &rules);
	refuse(VMMEM_EARGUMENT);
	rules.size = 3;
	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, &rules);
	refuse(VMMEM_ESTRUCTSIZE);
	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, NULL);
	vmmem_region_unref(build());
	close(fd);
}
END_TEST

/* A policy goes with it, but not seals: those are the rules' affair. */
START_TEST(with_a_policy)
{
	struct vmmem_policy *policy = new_policy();
	struct vmmem_policy_report granted = { .size = sizeof(granted) };
	int fd = memfd(VMMEM_SEAL_SHRINK);
	struct vmmem_region *region;

	vmmem_policy_set_guard(policy, 1);
	vmmem_policy_set_dont_dump(policy, 1);
	vmmem_region_builder_set_policy(builder, policy);
	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, NULL);
	region = build();
	assert_ok(vmmem_region_policy_report(region, &granted));
	ck_assert_uint_eq(granted.guard, page_size());
	ck_assert_uint_eq(granted.seals, VMMEM_SEAL_SHRINK);
	vmmem_region_unref(region);
	vmmem_policy_set_seals(policy, VMMEM_SEAL_SHRINK);
	vmmem_region_builder_set_policy(builder, policy);
	refuse(VMMEM_EARGUMENT);
	vmmem_policy_free(policy);
	close(fd);
}
END_TEST

struct peer {
	int fd;
	unsigned int rounds;
	_Atomic int over;
};

/* Cuts its file short and makes it long again, until it may no more. */
static void *
tug(void *opaque)
{
	struct peer *peer = opaque;

	while (peer->over == 0) {
		if (ftruncate(peer->fd, 0) != 0)
			break;
		if (ftruncate(peer->fd, (off_t)LEN) != 0)
			break;
	}
	return NULL;
}

/*
 * Whatever the peer does meanwhile: what was checked stays.  Either the file
 * was too short at that moment, or it can be touched up to its end.
 */
START_TEST(racing_peer)
{
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.add = VMMEM_SEAL_SHRINK,
	};
	struct vmmem_region *region = NULL;
	unsigned int round, built = 0, refused = 0;
	int rc;

	for (round = 0; round < 300; round++) {
		struct peer peer = { .fd = memfd(0) };
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL, tug, &peer),
				 0);
		vmmem_region_builder_set_untrusted_file(builder, peer.fd, 0, 0,
							&rules);
		rc = vmmem_region_builder_build(builder, &region);
		if (rc == 0) {
			uint8_t *host = expect_host(region);

			host[0] = host[LEN - 1] = 1;
			vmmem_region_unref(region);
			built++;
		} else {
			assert_code(rc, VMMEM_EPASTEOF);
			refused++;
		}
		peer.over = 1;
		pthread_join(thread, NULL);
		close(peer.fd);
	}
	ck_assert_uint_eq(built + refused, round);
}
END_TEST

/* Whether another process sees this one's lock on a file. */
static bool
is_locked(const char *path)
{
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct flock lock = { .l_type = F_WRLCK,
				      .l_whence = SEEK_SET };
		int fd = open(path, O_RDWR);

		_exit(fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 ?
			      lock.l_type != F_UNLCK :
			      2);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 1;
}

/*
 * What is refused is not opened once more either: to close that again asks its
 * file system, and one that a peer runs need never answer.  It shows by locks,
 * which a process loses with the first descriptor of the file that it closes.
 */
START_TEST(refused_untouched)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[] = "/tmp/vmmem-fd-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)LEN), 0);
	ck_assert_int_eq(fcntl(fd, F_SETLK, &lock), 0);
	ck_assert(is_locked(path));
	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, NULL);
	/* On tmpfs it is memory, and could be cut short. */
	refuse(fcntl(fd,
		     F_GET_SEALS) >= 0 ? VMMEM_ESHRINKABLE : VMMEM_EFILETYPE);
	ck_assert(is_locked(path));
	unlink(path);
	close(fd);
}
END_TEST

static uint64_t
allocated(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

/* populates() is whether advice makes pages of a file. */
static bool
populates(void)
{
	int fd = memfd(0);
	void *at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bool done;

	ck_assert_ptr_ne(at, MAP_FAILED);
	(void)madvise(at, LEN, MADV_POPULATE_WRITE);
	done = allocated(fd) == LEN;
	ck_assert_int_eq(munmap(at, LEN), 0);
	close(fd);
	return done;
}

/*
 * The pages of somebody else's file are not made by mapping it, also where all
 * memory is to be locked: who owns it may bring them later.  What is asked for
 * in so many words is done.
 */
START_TEST(pages_of_others)
{
	const uint64_t page = page_size();
	struct vmmem_policy *policy = vmmem_policy_new();
	struct vmmem_region *region;
	/* Prefaulting is advice, which an emulator ignores. */
	const bool advised = populates();
	int fd = memfd(F_SEAL_SHRINK);

	/* With little to lock at once it may be that nothing more is mapped. */
	if (mlockall(MCL_FUTURE) != 0 || geteuid() != 0) {
		munlockall();
		vmmem_policy_free(policy);
		close(fd);
		return;
	}
	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, NULL);
	region = build();
	ck_assert_uint_eq(allocated(fd), 0);
	expect_host(region)[LEN / 2] = 1;
	ck_assert_uint_eq(allocated(fd), page);
	vmmem_region_unref(region);

	vmmem_policy_set_lock(policy, VMMEM_LOCK_NOW);
	vmmem_region_builder_set_policy(builder, policy);
	vmmem_region_unref(build());
	ck_assert_uint_eq(allocated(fd), LEN);
	close(fd);
	fd = memfd(F_SEAL_SHRINK);
	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, NULL);
	vmmem_policy_set_lock(policy, VMMEM_LOCK_NO);
	vmmem_policy_set_prefault(policy, 1);
	vmmem_region_builder_set_policy(builder, policy);
	vmmem_region_unref(build());
	if (advised)
		ck_assert_uint_eq(allocated(fd), LEN);
	munlockall();
	vmmem_policy_free(policy);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fd_region");
	TCase *tcase = tcase_create("fd_region");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, strict_by_default);
	tcase_add_test(tcase, access_of_the_region);
	tcase_add_test(tcase, rules_are_copied);
	tcase_add_test(tcase, with_a_policy);
	tcase_add_test(tcase, racing_peer);
	tcase_add_test(tcase, refused_untouched);
	tcase_add_test(tcase, pages_of_others);
	suite_add_tcase(suite, tcase);
	return suite;
}
