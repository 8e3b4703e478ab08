/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "fault.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char marker;
struct vmmem_region *const no_region = (void *)&marker;
struct vmmem_collection *const no_collection = (void *)&marker;

int
failed_region(int rc, const struct vmmem_region *region)
{
	REQUIRE(rc != 0);
	REQUIRE(region == no_region);
	return rc;
}

int
failed_collection(int rc, const struct vmmem_collection *collection)
{
	REQUIRE(rc != 0);
	REQUIRE(collection == no_collection);
	return rc;
}

uint64_t
fault_page(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

int
fault_file(void)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fault", MFD_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(ftruncate(fd, (off_t)(2 * fault_page())), 0);
	}
	return fd;
}

/* The system's own list, beside what the wrappers saw. */
static unsigned int
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

void
fault_note(const char *function)
{
	const char *path = getenv("VMMEM_FAULT_LOG");
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(dprintf(fd, "%s\n", function), 0);
	close(fd);
}

static void
expect_nothing_left(const char *fired, unsigned int n)
{
	struct inject_live live = inject_live();

	if (fired == NULL)
		fired = "nothing";
	ck_assert_msg(live.allocations == 0, "%u blocks left after %s, call %u",
		      live.allocations, fired, n);
	ck_assert_msg(live.mappings == 0, "%u mappings left after %s, call %u",
		      live.mappings, fired, n);
	ck_assert_msg(live.descriptors == 0,
		      "%u descriptors left after %s, call %u", live.descriptors,
		      fired, n);
	ck_assert_msg(inject_held() == 0, "%u locks held after %s, call %u",
		      inject_held(), fired, n);
	ck_assert_msg(live.strangers == 0,
		      "%u strangers given back after %s, call %u",
		      live.strangers, fired, n);
}

static void
run_whole(scenario_fn scenario, int baseline)
{
	int rc;

	inject_start(0, 0, false);
	rc = scenario();
	inject_stop();
	ck_assert_ptr_null(inject_fired());
	ck_assert_int_eq(rc, baseline);
	expect_nothing_left(NULL, 0);
}

const char *const *fault_survived;

/* Failing to give something back is no failure of the caller's. */
static bool
is_clean_up(const char *function)
{
	return strcmp(function, "munmap") == 0 ||
	       strcmp(function, "close") == 0;
}

/* Nor is what can be done without. */
static bool
is_survived(const char *function)
{
	const char *const *one;

	for (one = fault_survived; one != NULL && *one != NULL; one++) {
		if (strcmp(function, *one) == 0)
			return true;
	}
	return is_clean_up(function);
}

static unsigned int
sweep(scenario_fn scenario, int baseline, int error, bool clean_up)
{
	unsigned int before = open_descriptors();
	const char *fired;
	unsigned int n = 0;
	int rc;

	do {
		unsigned int left;

		n++;
		inject_start(n, error, clean_up);
		rc = scenario();
		inject_stop();
		fired = inject_fired();
		left = inject_reclaim();

		if (fired == NULL || is_survived(fired))
			ck_assert_int_eq(rc, baseline);
		else
			ck_assert_msg(rc == inject_code(),
				      "%d, not %d, after %s, call %u", rc,
				      inject_code(), fired, n);
		if (!clean_up)
			ck_assert_uint_eq(left, fired != NULL &&
							strcmp(fired,
							       "munmap") == 0);
		expect_nothing_left(fired, n);
		ck_assert_uint_eq(open_descriptors(), before);
		if (fired != NULL)
			fault_note(fired);
		run_whole(scenario, baseline);
		ck_assert_uint_eq(open_descriptors(), before);
	} while (fired != NULL);
	return n - 1;
}

void
fault_sweep(scenario_fn scenario, int baseline)
{
	static const int errors[] = { EPERM, ENFILE, EIO };
	unsigned int calls;
	size_t i;

	/* Whatever is made once and kept is made now. */
	fault_file();
	run_whole(scenario, baseline);
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		calls = sweep(scenario, baseline, errors[i], false);
		ck_assert_uint_gt(calls, 0);
		calls = sweep(scenario, baseline, errors[i], true);
		ck_assert_uint_gt(calls, 0);
	}
}

int
fault_call(scenario_fn scenario, const char *function, int error)
{
	unsigned int n = 0;
	int rc;

	do {
		inject_start(++n, error, false);
		rc = scenario();
		inject_stop();
		ck_assert_ptr_nonnull(inject_fired());
	} while (strcmp(inject_fired(), function) != 0);
	return rc;
}
