/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A child of fork(), where another thread has the files' lock for ever: it may
 * drop its regions, and that does not wait for a thread that it does not have.
 * What vmmem_space_before_fork() adds to that.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

#include "region/file.h"
#include "guest.h"
#include "region/replaced.h"
#include "suite.h"

static int
exit_code(pid_t child)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(child_drops)
{
	struct vmmem_region *regions[2] = { NULL, NULL };
	int fd = file_of(2 * page_size()), i, own;
	uint64_t offset;
	pid_t child;

	for (i = 0; i < 2; i++)
		assert_ok(vmmem_region_new_file(0, page_size(), fd, 0,
						&regions[i]));
	assert_ok(vmmem_region_file(regions[0], &own, &offset));
	vmmem_files_before_fork();
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		vmmem_region_unref(regions[0]);
		if (fcntl(own, F_GETFD) < 0)
			_exit(1);
		vmmem_region_unref(regions[1]);
		_exit(fcntl(own, F_GETFD) < 0 ? 0 : 2);
	}
	vmmem_files_after_fork();
	ck_assert_int_eq(exit_code(child), 0);
	/* The parent has its own. */
	ck_assert_int_ge(fcntl(own, F_GETFD), 0);
	vmmem_region_unref(regions[0]);
	vmmem_region_unref(regions[1]);
	ck_assert_int_lt(fcntl(own, F_GETFD), 0);
	close(fd);
}
END_TEST

/* A file that died while another thread had the lock is found dead. */
START_TEST(dead_in_the_tree)
{
	struct vmmem_region *region = NULL;
	int fd = file_of(2 * page_size()), own;
	size_t before = open_files();
	uint64_t offset;

	assert_ok(vmmem_region_new_file(0, page_size(), fd, 0, &region));
	vmmem_files_before_fork();
	vmmem_region_unref(region);
	vmmem_files_after_fork();
	ck_assert_uint_eq(open_files(), before);
	assert_ok(vmmem_region_new_file(0, page_size(), fd, 0, &region));
	assert_ok(vmmem_region_file(region, &own, &offset));
	ck_assert_int_ge(fcntl(own, F_GETFD), 0);
	vmmem_region_unref(region);
	ck_assert_uint_eq(open_files(), before);
	close(fd);
}
END_TEST

/* vmmem_space_before_fork() sees to it that a child may build. */
START_TEST(child_builds)
{
	struct vmmem_collection *map = NULL;
	struct vmmem_region *region = NULL;
	struct vmmem_space *space;
	int fd = file_of(page_size());
	pid_t child;

	assert_ok(vmmem_collection_new_empty(&map));
	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
	assert_ok(vmmem_space_before_fork(space));
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		vmmem_space_after_fork_child(space);
		if (vmmem_region_new_file(0, page_size(), fd, 0, &region) != 0)
			_exit(1);
		vmmem_region_unref(region);
		_exit(0);
	}
	vmmem_space_after_fork_parent(space);
	ck_assert_int_eq(exit_code(child), 0);
	assert_ok(vmmem_region_new_file(0, page_size(), fd, 0, &region));
	vmmem_region_unref(region);
	vmmem_space_unref(space);
	close(fd);
}
END_TEST

static atomic_bool over;

/* Has the lock of what was replaced as good as always. */
static void *
replace_all_the_time(void *opaque)
{
	struct vmmem_replaced *replaced = opaque;

	while (!atomic_load(&over)) {
		if (vmmem_replaced_begin(replaced, 0, 1) != 0)
			return NULL;
		sched_yield();
		vmmem_replaced_end(replaced, 0, 1, false);
	}
	return replaced;
}

/* And may discard, and ask what there is. */
START_TEST(child_discards)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	/* Where a child finds it too, in which the thread is not. */
	static struct vmmem_replaced *replaced;
	struct vmmem_collection *map = NULL;
	struct vmmem_region *region = NULL;
	int fd = file_of(page_size()), i, rc;
	struct vmmem_space *space;
	uint64_t at, len;
	pthread_t thread;
	void *result;
	pid_t child;

	replaced = vmmem_replaced_new(1);
	vmmem_region_builder_set_range(builder, 0, page_size());
	vmmem_region_builder_set_file(builder, fd, 0, VMMEM_FILE_PRIVATE);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_collection_new_empty(&map));
	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
	ck_assert_int_eq(pthread_create(&thread, NULL, replace_all_the_time,
					replaced), 0);
	for (i = 0; i < 20; i++) {
		assert_ok(vmmem_space_before_fork(space));
		child = fork();
		ck_assert_int_ge(child, 0);
		if (child == 0) {
			/* One that waits for ever ends by a signal. */
			alarm(10);
			vmmem_space_after_fork_child(space);
			rc = vmmem_region_next_populated(
				region, 0, page_size(), &at, &len);
			if (rc == 0)
				rc = vmmem_region_discard(region, 0,
							  page_size(), 0,
							  NULL);
			_exit(rc != 0);
		}
		vmmem_space_after_fork_parent(space);
		ck_assert_int_eq(exit_code(child), 0);
	}
	atomic_store(&over, true);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, replaced);
	vmmem_replaced_free(replaced);
	vmmem_region_unref(region);
	vmmem_space_unref(space);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("file_fork");
	TCase *tcase = tcase_create("file_fork");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, child_drops);
	tcase_add_test(tcase, dead_in_the_tree);
	tcase_add_test(tcase, child_builds);
	tcase_add_test(tcase, child_discards);
	suite_add_tcase(suite, tcase);
	return suite;
}
