/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Each call on the way to a memory table, another one and a log fails once. */
#include "fault.h"
#include "suite.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/vhost.h>

static char marker;
static struct vmmem_vhost *const no_vhost = (void *)&marker;
static int file;

static void
setup(void)
{
	file = memfd_create("vhost", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(ftruncate(file, (off_t)(2 * fault_page())), 0);
	ck_assert_int_eq(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
}

static void
teardown(void)
{
	close(file);
}

/* A barrier that failed is no failure of the library's: check_fault_space.c. */
static int
tell(int rc)
{
	const char *fired = inject_fired();

	return rc == 0 && fired != NULL && strcmp(fired, "syscall") == 0 ?
		       inject_code() :
		       rc;
}

static int
use(struct vmmem_vhost *vhost)
{
	const struct vmmem_vhost_region rows[3] = {
		{ 0, fault_page(), 0, 0 },
		{ 0x100000, 0x100, 0x100000, 0x100 },
		{ 0x200000, fault_page(), 0x200000, 0 },
	};
	const int fds[2] = { file, file };
	struct vmmem_bitmap *log;
	int rc;

	rc = vmmem_vhost_set_table(vhost, rows, 2, fds, 2);
	REQUIRE(vmmem_vhost_count(vhost) == (rc == 0 ? 2 : 0));
	if (rc != 0)
		return rc;
	rc = vmmem_vhost_set_log(vhost, file, 8, 512);
	log = vmmem_vhost_log(vhost);
	REQUIRE((log != NULL) == (rc == 0));
	if (rc != 0)
		return rc;
	rc = vmmem_vhost_add(vhost, &rows[2], file);
	REQUIRE(vmmem_vhost_count(vhost) == (rc == 0 ? 3 : 2));
	REQUIRE(vmmem_vhost_log(vhost) == log);
	if (rc != 0)
		return rc;
	rc = vmmem_vhost_remove(vhost, &rows[0]);
	REQUIRE(vmmem_vhost_count(vhost) == (rc == 0 ? 2 : 3));
	if (rc != 0)
		return rc;
	rc = vmmem_vhost_clear_log(vhost);
	REQUIRE((vmmem_vhost_log(vhost) == NULL) == (rc == 0));
	return rc;
}

static int
tables(void)
{
	struct vmmem_fd_rules rules = { .size = sizeof(rules) };
	struct vmmem_vhost_options options = { .size = sizeof(options),
					       .rules = &rules };
	struct vmmem_vhost *vhost = no_vhost;
	struct vmmem_collection *map = no_collection;
	struct vmmem_space *space;
	int rc;

	rc = vmmem_collection_new_empty(&map);
	if (rc != 0)
		return failed_collection(rc, map);
	rc = vmmem_space_new(map, NULL, &space);
	vmmem_collection_unref(map);
	if (rc != 0)
		return rc;
	rc = vmmem_vhost_new(space, &options, &vhost);
	if (rc == 0) {
		rc = use(vhost);
		vmmem_vhost_free(vhost);
	} else {
		REQUIRE(vhost == no_vhost);
	}
	vmmem_space_unref(space);
	return tell(rc);
}

static int
exports(void)
{
	struct vmmem_vhost_region row;
	struct vmmem_collection *map = no_collection;
	struct vmmem_region *region = no_region;
	size_t count = 77;
	int rc, fd;

	rc = vmmem_region_new_file(0, fault_page(), file, 0, &region);
	if (rc != 0)
		return failed_region(rc, region);
	rc = vmmem_collection_new(&region, 1, &map);
	vmmem_region_unref(region);
	if (rc != 0)
		return failed_collection(rc, map);
	rc = vmmem_vhost_export(map, 0, &row, &fd, 1, &count, NULL);
	REQUIRE(count == (rc == 0 ? 1 : 77));
	vmmem_collection_unref(map);
	return rc;
}

static const scenario_fn scenarios[] = { tables, exports };

START_TEST(sweep)
{
	fault_sweep(scenarios[_i], 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault_vhost");
	TCase *tcase = tcase_create("fault_vhost");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, sweep, 0,
			    sizeof(scenarios) / sizeof(scenarios[0]));
	suite_add_tcase(suite, tcase);
	return suite;
}
