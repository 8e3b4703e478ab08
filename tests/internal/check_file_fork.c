/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A child of fork(), where another thread has the files' lock for ever: it may
 * drop its regions, and that does not wait for a thread that it does not have.
 */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

#include "region/file.h"
#include "guest.h"
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
	assert_ok(vmmem_space_new(map, &space));
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

Suite *
make_suite(void)
{
	Suite *suite = suite_create("file_fork");
	TCase *tcase = tcase_create("file_fork");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, child_drops);
	tcase_add_test(tcase, dead_in_the_tree);
	tcase_add_test(tcase, child_builds);
	suite_add_tcase(suite, tcase);
	return suite;
}
