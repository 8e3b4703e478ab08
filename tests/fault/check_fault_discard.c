/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Each call of a discard, and of a look at an untrusted descriptor, fails once. */
#include "fault.h"
#include "suite.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/discard.h>
#include <vmmem/fd.h>
#include <vmmem/pin.h>
#include <vmmem/policy.h>

static uint64_t
len(void)
{
	return 2 * fault_page();
}

/* Discards all of what the builder makes; what failed gave back nothing. */
static int
discard_built(struct vmmem_region_builder *builder)
{
	struct vmmem_region *region = no_region;
	uint64_t discarded = 77;
	int rc;

	rc = vmmem_region_builder_build(builder, &region);
	if (rc != 0)
		return failed_region(rc, region);
	rc = vmmem_region_discard(region, 0, len(), 0, &discarded);
	REQUIRE(discarded == (rc == 0 ? len() : 0));
	vmmem_region_unref(region);
	return rc;
}

static struct vmmem_region_builder *
new_builder(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();

	if (builder != NULL)
		vmmem_region_builder_set_range(builder, 0, len());
	return builder;
}

static int
anonymous(void)
{
	struct vmmem_region_builder *builder = new_builder();
	int rc = -ENOMEM;

	if (builder != NULL)
		rc = discard_built(builder);
	vmmem_region_builder_free(builder);
	return rc;
}

static int
memfd(void)
{
	struct vmmem_region_builder *builder = new_builder();
	int rc = -ENOMEM;

	if (builder != NULL) {
		vmmem_region_builder_set_memfd(builder);
		rc = discard_built(builder);
	}
	vmmem_region_builder_free(builder);
	return rc;
}

/* What could not be pinned is not, and may be discarded. */
static int
pinned(void)
{
	struct vmmem_region *region = no_region;
	int rc, again;

	rc = vmmem_region_new_anonymous(0, len(), &region);
	if (rc != 0)
		return failed_region(rc, region);
	rc = vmmem_region_pin(region, 0, 8);
	REQUIRE(vmmem_region_is_pinned(region, 0, len()) == (rc == 0));
	if (rc == 0) {
		/* A second one, where the first is. */
		again = vmmem_region_pin(region, 8, 8);
		REQUIRE(vmmem_region_is_pinned(region, 8, 8) == (again == 0));
		if (again == 0)
			REQUIRE(vmmem_region_unpin(region, 8, 8) == 0);
		REQUIRE(vmmem_region_unpin(region, 0, 8) == 0);
		rc = again;
	}
	REQUIRE(vmmem_region_is_pinned(region, 0, len()) == 0);
	vmmem_region_unref(region);
	return rc;
}

static bool can_lock;

/* The new pages are to be as the old ones: more that may fail. */
static int
private_file(void)
{
	struct vmmem_region_builder *builder = new_builder();
	struct vmmem_policy *policy = vmmem_policy_new();
	int rc = -ENOMEM;

	if (builder != NULL && policy != NULL) {
		vmmem_policy_set_dont_dump(policy, 1);
		/* Valgrind has no mlock2(). */
		if (can_lock)
			vmmem_policy_set_lock(policy, VMMEM_LOCK_ON_FAULT);
		vmmem_region_builder_set_policy(builder, policy);
		vmmem_region_builder_set_file(builder, fault_file(), 0,
					      VMMEM_FILE_PRIVATE);
		rc = discard_built(builder);
	}
	vmmem_policy_free(policy);
	vmmem_region_builder_free(builder);
	return rc;
}

/*
 * Parts of pages, of memory that nobody has touched: whether there is a page is
 * only asked to make none.
 */
static int
discard_parts(struct vmmem_region_builder *builder)
{
	struct vmmem_region *region = no_region;
	uint64_t discarded = 77;
	int rc;

	rc = vmmem_region_builder_build(builder, &region);
	if (rc != 0)
		return failed_region(rc, region);
	rc = vmmem_region_discard(region, 100, 200, 0, &discarded);
	REQUIRE(discarded == 0);
	vmmem_region_unref(region);
	return rc;
}

static int
parts(void)
{
	struct vmmem_region_builder *builder = new_builder();
	int rc = -ENOMEM;

	if (builder != NULL)
		rc = discard_parts(builder);
	vmmem_region_builder_free(builder);
	return rc;
}

static int
parts_of_private_file(void)
{
	struct vmmem_region_builder *builder = new_builder();
	int rc = -ENOMEM;

	if (builder != NULL) {
		vmmem_region_builder_set_file(builder, fault_file(), 0,
					      VMMEM_FILE_PRIVATE);
		rc = discard_parts(builder);
	}
	vmmem_region_builder_free(builder);
	return rc;
}

static unsigned char *outside;

static int
parts_of_external(void)
{
	struct vmmem_region_builder *builder = new_builder();
	int rc = -ENOMEM;

	if (builder != NULL) {
		vmmem_region_builder_set_external(builder, outside, NULL,
						  NULL);
		rc = discard_parts(builder);
	}
	vmmem_region_builder_free(builder);
	return rc;
}

/* Those that ask; of a file also for where it stands, which may be in vain. */
static const char *const asking[] = { "mincore", "open", "ioctl", "pread",
				      "lseek", "read", NULL };

static const scenario_fn parts_scenarios[] = { parts, parts_of_private_file,
					       parts_of_external };

START_TEST(test_parts)
{
	fault_survived = asking;
	fault_sweep(parts_scenarios[_i], 0);
	fault_survived = NULL;
}
END_TEST

static int
external(void)
{
	struct vmmem_region_builder *builder = new_builder();
	int rc = -ENOMEM;

	if (builder != NULL) {
		vmmem_region_builder_set_external(builder, outside, NULL,
						  NULL);
		rc = discard_built(builder);
	}
	vmmem_region_builder_free(builder);
	return rc;
}

static int
untrusted(void)
{
	struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.add = VMMEM_SEAL_SHRINK,
	};
	struct vmmem_fd_report report = { .size = sizeof(report),
					       .len = 77 };
	struct vmmem_region_builder *builder = new_builder();
	struct vmmem_region *region = no_region;
	int rc = -ENOMEM, same = 77, fd;

	if (builder == NULL)
		return rc;
	fd = memfd_create("untrusted", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	rc = fd < 0 ? -errno : 0;
	if (rc == 0 && ftruncate(fd, (off_t)len()) != 0)
		rc = -errno;
	if (rc == 0) {
		rc = vmmem_fd_examine(fd, &report);
		REQUIRE(rc == 0 || report.len == 77);
	}
	if (rc == 0) {
		rc = vmmem_fd_same_file(fd, fd, &same);
		REQUIRE(rc == 0 || same == 77);
	}
	if (rc == 0) {
		vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, &rules);
		rc = vmmem_region_builder_build(builder, &region);
		if (rc != 0)
			failed_region(rc, region);
		else
			vmmem_region_unref(region);
	}
	report.len = 77;
	if (rc == 0) {
		rc = vmmem_fd_check(fd, 0, 1, &rules, &report);
		REQUIRE(rc == 0 || report.len == 77);
	}
	if (fd >= 0)
		close(fd);
	vmmem_region_builder_free(builder);
	/* Nothing but the system could have forbidden to seal it. */
	return rc == VMMEM_ESEALS ? -EPERM : rc;
}

static const scenario_fn scenarios[] = { pinned, anonymous, memfd, private_file,
					 external, untrusted };

static void
setup(void)
{
	void *at;

	outside = mmap(NULL, len(), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(outside, MAP_FAILED);
	at = mmap(NULL, len(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(at, MAP_FAILED);
	can_lock = mlock2(at, len(), MLOCK_ONFAULT) == 0;
	munmap(at, len());
}

START_TEST(test_scenario)
{
	fault_sweep(scenarios[_i], 0);
}
END_TEST

static const struct {
	scenario_fn scenario;
	const char *function;
	int error;
	int code;
} names[] = {
	/* Tried again, by the call that goes for locked pages too. */
	{ anonymous, "madvise", EINVAL, 0 },
	{ anonymous, "madvise", ENOMEM, -ENOMEM },
	{ memfd, "fallocate", EINTR, 0 },
	{ memfd, "fallocate", EOPNOTSUPP, VMMEM_ENODISCARD },
	{ memfd, "fallocate", EPERM, -EPERM },
	{ external, "madvise", EINVAL, 0 },
	{ external, "madvise", EACCES, VMMEM_ENODISCARD },
	{ external, "madvise", EOPNOTSUPP, VMMEM_ENODISCARD },
	{ external, "madvise", ENODEV, VMMEM_ENODISCARD },
	{ external, "madvise", EIO, -EIO },
};

START_TEST(test_names)
{
	ck_assert_int_eq(fault_call(names[_i].scenario, names[_i].function,
				    names[_i].error),
			 names[_i].code);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, discards");
	TCase *tcase = tcase_create("discards");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, test_scenario, 0,
			    sizeof(scenarios) / sizeof(scenarios[0]));
	tcase_add_loop_test(tcase, test_parts, 0,
			    sizeof(parts_scenarios) /
				    sizeof(parts_scenarios[0]));
	tcase_add_loop_test(tcase, test_names, 0,
			    sizeof(names) / sizeof(names[0]));
	suite_add_tcase(suite, tcase);
	return suite;
}
