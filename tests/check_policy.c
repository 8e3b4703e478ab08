/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What a policy asks for is had, as the system itself says; or refused. */
#include <sys/resource.h>

#include "policy.h"
#include "suite.h"

const char *
skip_reason(void)
{
	return memory_skip_reason();
}

START_TEST(nothing_asked_for)
{
	struct vmmem_region *region = build();
	struct vmmem_policy_report got = granted(region);

	ck_assert_uint_eq(got.page_size, page_size());
	ck_assert_uint_eq(got.guard, 0);
	ck_assert_uint_ge(got.alignment, 16);
	ck_assert_uint_eq(got.prefaulted, 0);
	ck_assert_uint_eq(got.threads, 0);
	ck_assert_uint_eq(got.seals, 0);
	ck_assert_uint_eq(got.thp, VMMEM_THP_DEFAULT);
	ck_assert_uint_eq(got.reserve, VMMEM_RESERVE_NO);
	ck_assert_uint_eq(got.lock, VMMEM_LOCK_NO);
	ck_assert_uint_eq(got.dont_dump, 0);
	ck_assert_uint_eq(got.dont_fork, 0);
	vmmem_region_unref(region);
}
END_TEST

/* A builder has a copy: later changes are not its own, and NULL ends it. */
START_TEST(builder_copies)
{
	struct vmmem_region *region = NULL;

	vmmem_policy_set_dont_dump(policy, 1);
	vmmem_region_builder_set_policy(builder, policy);
	vmmem_policy_set_dont_dump(policy, 0);
	assert_ok(vmmem_region_builder_build(builder, &region));
	ck_assert_uint_eq(granted(region).dont_dump, 1);
	vmmem_region_unref(region);
	vmmem_region_builder_set_policy(builder, NULL);
	assert_ok(vmmem_region_builder_build(builder, &region));
	ck_assert_uint_eq(granted(region).dont_dump, 0);
	vmmem_region_unref(region);
}
END_TEST

/* Loops over the kinds that the library maps. */
START_TEST(dump_and_fork)
{
	struct vmmem_region *region;
	uint8_t *host;

	set_kind(_i);
	vmmem_policy_set_dont_dump(policy, 7);
	vmmem_policy_set_dont_fork(policy, -1);
	region = build();
	host = expect_host(region);
	ck_assert(smaps_flag(host, "dd"));
	ck_assert(smaps_flag(host + LEN - 1, "dd"));
	ck_assert(smaps_flag(host, "dc"));
	ck_assert_uint_eq(granted(region).dont_dump, 1);
	ck_assert_uint_eq(granted(region).dont_fork, 1);
	ck_assert(touching_kills(host));
	vmmem_region_unref(region);
	ck_assert(!is_mapped(host, LEN));
}
END_TEST

/* A child lets go of a region; in its place it has something else. */
static int
let_go(struct vmmem_region *region, uint8_t *host, uint64_t guard)
{
	bool guarded = guard != 0 && is_mapped(host - guard, guard);

	/* Valgrind does not know of the hole, so this may replace. */
	if (is_mapped(host, LEN) ||
	    mmap(host, LEN, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != host)
		return 2;
	host[LEN - 1] = 1;
	vmmem_region_unref(region);
	if (!is_mapped(host, LEN) || host[LEN - 1] != 1)
		return 3;
	/* The guards it had, and they went. */
	if (guard != 0 && (!guarded || is_mapped(host - 1, 1) ||
			   is_mapped(host + LEN, 1)))
		return 4;
	return 0;
}

/* Loops over the kinds, without and with guards. */
START_TEST(unref_in_a_child)
{
	const uint64_t guard = _i % 2 != 0 ? 16 * page_size() : 0;
	struct vmmem_region *region;
	uint8_t *host;
	pid_t child;
	int status;

	set_kind(FIRST_KIND + _i / 2);
	vmmem_policy_set_dont_fork(policy, 1);
	vmmem_policy_set_guard(policy, guard);
	region = build();
	host = expect_host(region);
	fflush(NULL);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(let_go(region, host, guard));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	vmmem_region_unref(region);
	ck_assert(!is_mapped(host - guard, LEN + 2 * guard));
}
END_TEST

static const uint32_t seal_sets[] = {
	0,
	VMMEM_SEAL_SHRINK,
	VMMEM_SEAL_SHRINK | VMMEM_SEAL_GROW,
	VMMEM_SEAL_SHRINK | VMMEM_SEAL_GROW | VMMEM_SEAL_SEAL,
	VMMEM_SEAL_SHRINK | VMMEM_SEAL_FUTURE_WRITE,
	VMMEM_SEAL_SHRINK | VMMEM_SEAL_EXEC,
};

/* Whether a file can have a seal: EXEC is of Linux 6.3. */
static bool
can_seal(uint32_t seal)
{
	int fd = memfd_create("seal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool can;

	ck_assert_int_ge(fd, 0);
	can = fcntl(fd, F_ADD_SEALS, seal) == 0;
	close(fd);
	return can;
}

/* What a file in memory may be used for, as the system makes it. */
static unsigned int
mode_of(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return status.st_mode & 07777;
}

static unsigned int
usual_mode(void)
{
	int fd = memfd_create("mode", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	unsigned int mode = mode_of(fd);

	close(fd);
	return mode;
}

START_TEST(seals)
{
	uint32_t want = seal_sets[_i];
	struct vmmem_region *region;
	struct stat status;
	uint64_t offset;
	void *at;
	int fd;

	set_kind(VMMEM_REGION_MEMFD);
	vmmem_policy_set_seals(policy, want);
	if ((want & VMMEM_SEAL_EXEC) != 0 && !can_seal(VMMEM_SEAL_EXEC)) {
		refuse(VMMEM_ENOSUPPORT);
		return;
	}
	/* In any case, where there is such a seal. */
	if (can_seal(VMMEM_SEAL_EXEC))
		want |= VMMEM_SEAL_EXEC;
	region = build();
	assert_ok(vmmem_region_file(region, &fd, &offset));
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS), (int)want);
	ck_assert_int_eq(fstat(fd, &status), 0);
	if ((want & VMMEM_SEAL_EXEC) != 0)
		ck_assert_uint_eq(status.st_mode & 0111, 0);
	ck_assert_uint_eq(granted(region).seals, want);
	/* A seal of the executable bits is one without any. */
	ck_assert_uint_eq(mode_of(fd), (want & VMMEM_SEAL_EXEC) != 0 ?
					       usual_mode() & ~0111U :
					       usual_mode());
	ck_assert_int_eq(ftruncate(fd, 1),
			 (want & VMMEM_SEAL_SHRINK) != 0 ? -1 : 0);
	if ((want & VMMEM_SEAL_SHRINK) != 0)
		expect_host(region)[LEN - 1] = 1;
	/* Who gets the descriptor may read, and write if nothing forbids. */
	at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if ((want & VMMEM_SEAL_FUTURE_WRITE) != 0) {
		ck_assert_ptr_eq(at, MAP_FAILED);
		at = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	}
	ck_assert_ptr_ne(at, MAP_FAILED);
	munmap(at, LEN);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(default_seals)
{
	uint32_t want = VMMEM_SEAL_SHRINK | VMMEM_SEAL_GROW | VMMEM_SEAL_SEAL;
	struct vmmem_region *region;

	if (can_seal(VMMEM_SEAL_EXEC))
		want |= VMMEM_SEAL_EXEC;
	set_kind(VMMEM_REGION_MEMFD);
	region = build();
	ck_assert_uint_eq(granted(region).seals, want);
	vmmem_region_unref(region);
}
END_TEST

/* Seals are for memfds, and of those that it knows. */
START_TEST(seals_refused)
{
	vmmem_policy_set_seals(policy, VMMEM_SEAL_SHRINK);
	refuse(VMMEM_EARGUMENT);
	set_kind(VMMEM_REGION_FILE);
	refuse(VMMEM_EARGUMENT);
	set_kind(VMMEM_REGION_MEMFD);
	vmmem_policy_set_seals(policy, VMMEM_SEAL_WRITE);
	refuse(VMMEM_EARGUMENT);
	vmmem_policy_set_seals(policy, 64);
	refuse(VMMEM_EARGUMENT);
	vmmem_policy_set_seals(policy, UINT32_MAX);
	refuse(VMMEM_EARGUMENT);
}
END_TEST

START_TEST(reserve)
{
	struct vmmem_region *region;
	int fd = file_of(2 * LEN), memfd;
	uint64_t offset;

	vmmem_policy_set_reserve(policy, VMMEM_RESERVE_YES);
	region = build();
	ck_assert(!smaps_flag(expect_host(region), "nr"));
	ck_assert_uint_eq(granted(region).reserve, VMMEM_RESERVE_YES);
	vmmem_region_unref(region);

	/* The blocks of a file are there at once; of no more of it. */
	vmmem_region_builder_set_file(builder, fd, page_size(), 0);
	ck_assert_uint_eq(storage(fd), 0);
	region = build();
	ck_assert_uint_eq(storage(fd), LEN);
	ck_assert_uint_eq(granted(region).reserve, VMMEM_RESERVE_YES);
	vmmem_region_unref(region);
	/* And of the right part: one page of this one is there. */
	vmmem_region_builder_set_file(builder, fd, LEN, 0);
	vmmem_region_unref(build());
	ck_assert_uint_eq(storage(fd), 2 * LEN - page_size());
	set_kind(VMMEM_REGION_MEMFD);
	region = build();
	assert_ok(vmmem_region_file(region, &memfd, &offset));
	ck_assert_uint_eq(storage(memfd), LEN);
	vmmem_region_unref(region);

	vmmem_region_builder_set_anonymous(builder);
	vmmem_policy_set_reserve(policy, VMMEM_RESERVE_NO);
	region = build();
	ck_assert_uint_eq(granted(region).reserve, VMMEM_RESERVE_NO);
	ck_assert(smaps_flag(expect_host(region), "nr"));
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

START_TEST(lock)
{
	struct vmmem_region *region;
	uint8_t *host;

	set_kind(_i);
	vmmem_policy_set_lock(policy, VMMEM_LOCK_ON_FAULT);
	if (!can_lock_on_fault()) {
		refuse(VMMEM_ENOSUPPORT);
		return;
	}
	region = build();
	host = expect_host(region);
	ck_assert_uint_eq(granted(region).lock, VMMEM_LOCK_ON_FAULT);
	ck_assert(smaps_flag(host, "lo"));
	/* What build() itself has touched. */
	ck_assert_uint_le(in_core(host, LEN), page_size());
	vmmem_region_unref(region);

	vmmem_policy_set_lock(policy, VMMEM_LOCK_NOW);
	region = build();
	host = expect_host(region);
	ck_assert_uint_eq(granted(region).lock, VMMEM_LOCK_NOW);
	ck_assert(smaps_flag(host, "lo"));
	ck_assert_uint_eq(in_core(host, LEN), LEN);
	vmmem_region_unref(region);

	vmmem_policy_set_prefault(policy, 2);
	region = build();
	ck_assert_uint_eq(granted(region).lock, VMMEM_LOCK_NOW);
	ck_assert(smaps_flag(expect_host(region), "lo"));
	ck_assert_uint_eq(in_core(expect_host(region), LEN), LEN);
	vmmem_region_unref(region);
}
END_TEST

/* More than the process may lock: told when it is made. */
START_TEST(lock_limit)
{
	const struct rlimit limit = { LEN / 2, LEN / 2 };
	struct vmmem_region *region;
	pid_t child;
	int status, rc;

	vmmem_policy_set_lock(policy, VMMEM_LOCK_NOW);
	vmmem_region_builder_set_policy(builder, policy);
	fflush(NULL);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		/* Root has no limit. */
		if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
		    (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0))
			_exit(2);
		rc = vmmem_region_builder_build(builder, &region);
		_exit(rc == -ENOMEM || rc == -EAGAIN || rc == -EPERM ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

static void
bad_thp(uint32_t value)
{
	vmmem_policy_set_thp(policy, value);
}

static void
bad_reserve(uint32_t value)
{
	vmmem_policy_set_reserve(policy, value);
}

static void
bad_lock(uint32_t value)
{
	vmmem_policy_set_lock(policy, value);
}

static void
bad_numa(uint32_t value)
{
	vmmem_policy_set_numa(policy, value, &(uint32_t){ 0 }, 1);
}

static void
bad_threads(uint32_t value)
{
	vmmem_policy_set_prefault(policy, value + 1021);
}

static void
bad_alignment(uint32_t value)
{
	vmmem_policy_set_alignment(policy, value * UINT64_C(3));
}

static const struct {
	void (*set)(uint32_t value);
	uint32_t first;
} bad_values[] = {
	{ bad_thp, 3 },	 { bad_reserve, 3 }, { bad_lock, 3 },
	{ bad_numa, 4 }, { bad_threads, 4 }, { bad_alignment, 1 },
};

START_TEST(unknown_values)
{
	bad_values[_i].set(bad_values[_i].first);
	refuse(VMMEM_EARGUMENT);
	bad_values[_i].set(UINT32_MAX - 1021);
	refuse(VMMEM_EARGUMENT);
}
END_TEST

START_TEST(contradictions)
{
	static _Alignas(16) uint8_t memory[LEN];
	static const struct vmmem_region_ops ops = { .size = sizeof(ops) };
	struct vmmem_region *target = region_of(0, LEN);
	uint32_t node = 0;

	vmmem_policy_set_numa(policy, VMMEM_NUMA_BIND, NULL, 1);
	refuse(VMMEM_EARGUMENT);
	vmmem_policy_set_numa(policy, VMMEM_NUMA_BIND, NULL, 0);
	refuse(VMMEM_EARGUMENT);
	vmmem_policy_set_numa(policy, VMMEM_NUMA_INTERLEAVE, &node, 0);
	refuse(VMMEM_EARGUMENT);
	vmmem_policy_set_numa(policy, VMMEM_NUMA_DEFAULT, &node, 1);
	refuse(VMMEM_EARGUMENT);
	node = VMMEM_NUMA_NODES_MAX;
	vmmem_policy_set_numa(policy, VMMEM_NUMA_BIND, &node, 1);
	refuse(VMMEM_ENONODE);
	vmmem_policy_set_thp(policy, VMMEM_THP_YES);
	vmmem_region_builder_set_huge_page_size(builder, 0x200000);
	refuse(VMMEM_EARGUMENT);
	vmmem_region_builder_set_huge_page_size(builder, 0);
	vmmem_policy_set_thp(policy, VMMEM_THP_DEFAULT);

	vmmem_policy_set_prefault(policy, 1);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_EXEC);
	refuse(VMMEM_EARGUMENT);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_EXEC);
	refuse(VMMEM_EARGUMENT);
	vmmem_policy_set_prefault(policy, 0);

	/* What the library does not map, it makes no promise for. */
	vmmem_region_builder_set_external(builder, memory, NULL, NULL);
	refuse(VMMEM_EARGUMENT);
	vmmem_region_builder_set_alias(builder, target, 0);
	refuse(VMMEM_EARGUMENT);
	vmmem_region_builder_set_custom(builder, &ops, NULL);
	refuse(VMMEM_EARGUMENT);
	vmmem_region_unref(target);
}
END_TEST

START_TEST(null_policy)
{
	uint32_t node = 0;

	vmmem_policy_set_seals(NULL, 0);
	vmmem_policy_set_thp(NULL, 0);
	vmmem_policy_set_numa(NULL, 0, &node, 1);
	vmmem_policy_set_reserve(NULL, 0);
	vmmem_policy_set_lock(NULL, 0);
	vmmem_policy_set_guard(NULL, 0);
	vmmem_policy_set_alignment(NULL, 0);
	vmmem_policy_set_dont_dump(NULL, 0);
	vmmem_policy_set_dont_fork(NULL, 0);
	vmmem_policy_set_prefault(NULL, 0);
	vmmem_policy_set_progress(NULL, NULL, NULL);
	vmmem_region_builder_set_policy(NULL, policy);
	ck_assert_ptr_null(vmmem_policy_free(NULL));
}
END_TEST

/* Structs of callers who are older or newer. */
START_TEST(size_of_granted)
{
	struct {
		struct vmmem_policy_report known;
		uint64_t more;
	} newer;
	struct vmmem_region *region = build();
	struct vmmem_policy_report *known = &newer.known;

	memset(&newer, 0x5a, sizeof(newer));
	known->size = sizeof(newer);
	assert_ok(vmmem_region_policy_report(region, known));
	ck_assert_uint_eq(known->size, sizeof(newer));
	ck_assert_uint_eq(newer.more, 0);
	ck_assert_uint_eq(known->page_size, page_size());
	known->page_size = 0x5a;
	known->size = sizeof(*known) - 1;
	assert_code(vmmem_region_policy_report(region, known),
		    VMMEM_ESTRUCTSIZE);
	known->size = 4097;
	assert_code(vmmem_region_policy_report(region, known),
		    VMMEM_ESTRUCTSIZE);
	ck_assert_uint_eq(known->page_size, 0x5a);
	assert_code(vmmem_region_policy_report(region, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_region_policy_report(NULL, known), VMMEM_EARGUMENT);
	vmmem_region_unref(region);
}
END_TEST

/* What the library did not map, it knows little of. */
START_TEST(granted_of_others)
{
	static _Alignas(64) uint8_t memory[4096];
	const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.acquire = (int (*)(void *, uint64_t, uint64_t, uint32_t,
				    void **))abort,
	};
	struct vmmem_region *region = NULL;
	struct vmmem_policy_report got;

	assert_ok(vmmem_region_new_external(0, 4096, memory, &region));
	got = granted(region);
	ck_assert_uint_eq(got.reserve, VMMEM_RESERVE_DEFAULT);
	ck_assert_uint_ge(got.alignment, 64);
	ck_assert_uint_eq(got.page_size, 0);
	ck_assert_uint_eq(got.guard, 0);
	vmmem_region_unref(region);
	assert_ok(vmmem_region_new_custom(0, 4096, &ops, NULL, &region));
	got = granted(region);
	ck_assert_uint_eq(got.alignment, 0);
	ck_assert_uint_eq(got.reserve, VMMEM_RESERVE_DEFAULT);
	vmmem_region_unref(region);
	assert_ok(vmmem_region_new_external((uintptr_t)memory, 64, memory,
					    &region));
	ck_assert_uint_eq(granted(region).alignment, UINT64_C(1) << 63);
	vmmem_region_unref(region);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("policy");
	TCase *tcase = tcase_create("policy");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, nothing_asked_for);
	tcase_add_test(tcase, builder_copies);
	tcase_add_loop_test(tcase, dump_and_fork, FIRST_KIND,
			    END_OF_KINDS);
	tcase_add_loop_test(tcase, unref_in_a_child, 0,
			    2 * (END_OF_KINDS - FIRST_KIND));
	tcase_add_loop_test(tcase, seals, 0, (int)ARRAY_LEN(seal_sets));
	tcase_add_test(tcase, default_seals);
	tcase_add_test(tcase, seals_refused);
	tcase_add_test(tcase, reserve);
	tcase_add_loop_test(tcase, lock, FIRST_KIND,
			    END_OF_KINDS);
	tcase_add_test(tcase, lock_limit);
	tcase_add_loop_test(tcase, unknown_values, 0,
			    (int)ARRAY_LEN(bad_values));
	tcase_add_test(tcase, contradictions);
	tcase_add_test(tcase, null_policy);
	tcase_add_test(tcase, size_of_granted);
	tcase_add_test(tcase, granted_of_others);
	suite_add_tcase(suite, tcase);
	return suite;
}
