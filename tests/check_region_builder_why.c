/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Each setting that is wrong is named, and no two causes alike. */
#include <vmmem/error.h>
#include <vmmem/fd.h>

#include "policy.h"
#include "suite.h"

/* Something else that goes wrong: the code, and what the sentence names. */
struct row {
	void (*set)(void);
	int code;
	const char *names;
};

static _Alignas(16) uint8_t bytes[0x100];
static struct vmmem_region *other;

static void
no_place(void)
{
}

static void
file_flag(void)
{
	vmmem_region_builder_set_file(builder, 0, 0, 4);
}

static void
file_flags(void)
{
	vmmem_region_builder_set_file(builder, 0, 0,
				      VMMEM_FILE_PRIVATE | VMMEM_FILE_SYNC);
}

static void
file_rules(void)
{
	const struct vmmem_fd_rules rules = {
		.size = sizeof(rules),
		.flags = UINT32_C(1) << 31,
	};

	vmmem_region_builder_set_untrusted_file(builder, 0, 0, 0, &rules);
}

static void
protection(void)
{
	vmmem_region_builder_set_protection(builder, 8);
}

static void
role(void)
{
	vmmem_region_builder_set_role(builder, VMMEM_ROLE_RESERVED + 1);
}

static void
external(void)
{
	vmmem_region_builder_set_external(builder, NULL, NULL, NULL);
}

static void
alias(void)
{
	vmmem_region_builder_set_alias(builder, NULL, 0);
}

static void
custom(void)
{
	vmmem_region_builder_set_custom(builder, NULL, NULL);
}

static int
no_host(void *opaque, void **ret_host)
{
	(void)opaque;
	*ret_host = NULL;
	return 0;
}

static void
custom_host(void)
{
	static const struct vmmem_region_ops ops = { .size = sizeof(ops),
						     .host = no_host };

	vmmem_region_builder_set_custom(builder, &ops, NULL);
}

static void
custom_empty(void)
{
	static const struct vmmem_region_ops ops = { .size = sizeof(ops) };

	vmmem_region_builder_set_custom(builder, &ops, NULL);
}

static void
tracking(void)
{
	vmmem_region_builder_set_tracking(builder, 63);
}

static void
tracking_twice(void)
{
	struct vmmem_bitmap *bitmap = NULL;

	assert_ok(vmmem_bitmap_new(LEN, 0, 4096, NULL, &bitmap));
	vmmem_region_builder_set_bitmap(builder, bitmap, 0);
	vmmem_region_builder_set_tracking(builder, 4096);
	vmmem_bitmap_unref(bitmap);
}

static void
tracked_alias(void)
{
	struct vmmem_region *target = NULL;

	vmmem_region_builder_set_tracking(builder, 4096);
	assert_ok(vmmem_region_builder_build(builder, &target));
	vmmem_region_builder_set_alias(builder, target, 0);
	vmmem_region_unref(target);
}

static void
logging(void)
{
	vmmem_region_builder_set_logging(builder, 1);
}

static void
policy_of_external(void)
{
	vmmem_policy_set_guard(policy, 1);
	vmmem_region_builder_set_external(builder, bytes, NULL, NULL);
}

static void
policy_seals(void)
{
	vmmem_policy_set_seals(policy, VMMEM_SEAL_GROW);
}

static void
policy_seal(void)
{
	vmmem_region_builder_set_memfd(builder);
	vmmem_policy_set_seals(policy, VMMEM_SEAL_WRITE);
}

static void
policy_thp(void)
{
	vmmem_policy_set_thp(policy, 3);
}

static void
policy_reserve(void)
{
	vmmem_policy_set_reserve(policy, 3);
}

static void
policy_lock(void)
{
	vmmem_policy_set_lock(policy, 3);
}

static void
policy_threads(void)
{
	vmmem_policy_set_prefault(policy, VMMEM_PREFAULT_THREADS_MAX + 1);
}

static void
policy_alignment(void)
{
	vmmem_policy_set_alignment(policy, 3);
}

static void
policy_thp_huge(void)
{
	vmmem_policy_set_thp(policy, VMMEM_THP_YES);
	vmmem_region_builder_set_huge_page_size(builder, UINT64_C(1) << 21);
}

static void
policy_prefault(void)
{
	vmmem_policy_set_prefault(policy, 1);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_EXEC);
}

static void
policy_nodes(void)
{
	vmmem_policy_set_numa(policy, VMMEM_NUMA_BIND, NULL, 1);
}

static void
policy_numa(void)
{
	vmmem_policy_set_numa(policy, 4, NULL, 0);
}

static void
policy_no_mode(void)
{
	const uint32_t node = 0;

	vmmem_policy_set_numa(policy, VMMEM_NUMA_DEFAULT, &node, 1);
}

static void
policy_no_nodes(void)
{
	vmmem_policy_set_numa(policy, VMMEM_NUMA_BIND, NULL, 0);
}

static void
node_too_high(void)
{
	const uint32_t node = VMMEM_NUMA_NODES_MAX;

	vmmem_policy_set_numa(policy, VMMEM_NUMA_BIND, &node, 1);
}

static void
callbacks_size(void)
{
	static const struct vmmem_region_ops ops = { .size = 1 };

	vmmem_region_builder_set_custom(builder, &ops, NULL);
}

static void
alias_range(void)
{
	vmmem_region_builder_set_alias(builder, other, 1);
}

static void
huge_page_size(void)
{
	vmmem_region_builder_set_huge_page_size(builder, 3);
}

static void
congruence(void)
{
	vmmem_region_builder_set_external(builder, bytes + 1, NULL, NULL);
}

static const struct row rows[] = {
	{ no_place, VMMEM_EARGUMENT, "no place" },
	{ file_flag, VMMEM_EARGUMENT, "flags" },
	{ file_flags, VMMEM_EARGUMENT, "flags" },
	{ file_rules, VMMEM_EARGUMENT, "rules" },
	{ protection, VMMEM_EARGUMENT, "protection" },
	{ role, VMMEM_EARGUMENT, "role" },
	{ external, VMMEM_EARGUMENT, "external" },
	{ alias, VMMEM_EARGUMENT, "target" },
	{ custom, VMMEM_EARGUMENT, "callbacks" },
	{ custom_host, VMMEM_EARGUMENT, "host()" },
	{ custom_empty, VMMEM_EARGUMENT, "read()" },
	{ tracking, VMMEM_EARGUMENT, "page size to track" },
	{ tracking_twice, VMMEM_EARGUMENT, "bitmap" },
	{ tracked_alias, VMMEM_EARGUMENT, "alias" },
	{ logging, VMMEM_EARGUMENT, "Logging" },
	{ policy_of_external, VMMEM_EARGUMENT, "policy" },
	{ policy_seals, VMMEM_EARGUMENT, "seals" },
	{ policy_seal, VMMEM_EARGUMENT, "seal" },
	{ policy_thp, VMMEM_EARGUMENT, "transparent" },
	{ policy_reserve, VMMEM_EARGUMENT, "reserving" },
	{ policy_lock, VMMEM_EARGUMENT, "locking" },
	{ policy_threads, VMMEM_EARGUMENT, "threads" },
	{ policy_alignment, VMMEM_EARGUMENT, "alignment" },
	{ policy_thp_huge, VMMEM_EARGUMENT, "huge page size" },
	{ policy_prefault, VMMEM_EARGUMENT, "prefaults" },
	{ policy_nodes, VMMEM_EARGUMENT, "array of nodes" },
	{ policy_numa, VMMEM_EARGUMENT, "mode is unknown" },
	{ policy_no_mode, VMMEM_EARGUMENT, "nodes" },
	{ policy_no_nodes, VMMEM_EARGUMENT, "no nodes" },
	{ node_too_high, VMMEM_ENONODE, "node" },
	{ callbacks_size, VMMEM_ESTRUCTSIZE, "size" },
	{ alias_range, VMMEM_EOUTOFRANGE, "alias" },
	{ huge_page_size, VMMEM_EHUGEPAGE, "huge page size" },
	{ congruence, VMMEM_ECONGRUENCE, "16" },
};

/* What the row makes wrong, as build() says it. */
static const char *
why(const struct row *row)
{
	struct vmmem_region *region = NO_REGION;
	const char *said;

	row->set();
	vmmem_region_builder_set_policy(builder, policy);
	assert_code(vmmem_region_builder_build(
			    builder, row->set == no_place ? NULL : &region),
		    row->code);
	ck_assert_ptr_eq(region, NO_REGION);
	said = vmmem_region_builder_why(builder);
	/* It is constant, and so outlives the builder. */
	vmmem_policy_free(policy);
	vmmem_region_builder_free(builder);
	setup();
	return said;
}

START_TEST(named)
{
	const struct row *row = &rows[_i];
	const char *said;
	size_t i;

	other = NULL;
	assert_ok(vmmem_region_new_anonymous(GPA, LEN, &other));
	said = why(row);
	ck_assert_msg(strstr(said, row->names) != NULL, "%s: %s", row->names,
		      said);
	ck_assert_str_ne(said, vmmem_strerror(row->code));
	ck_assert_int_ne(said[strlen(said) - 1], '.');
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		if (i != (size_t)_i)
			ck_assert_str_ne(why(&rows[i]), said);
	}
	vmmem_region_unref(other);
}
END_TEST

START_TEST(of_the_last_build)
{
	struct vmmem_region *region = NO_REGION;

	ck_assert_str_eq(vmmem_region_builder_why(NULL), "");
	ck_assert_str_eq(vmmem_region_builder_why(builder), "");
	vmmem_region_builder_set_protection(builder, 8);
	ck_assert_str_eq(vmmem_region_builder_why(builder), "");
	refuse(VMMEM_EARGUMENT);
	ck_assert_str_ne(vmmem_region_builder_why(builder), "");
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	vmmem_region_unref(build());
	ck_assert_str_eq(vmmem_region_builder_why(builder), "");

	/* The code alone says what these are. */
	vmmem_region_builder_set_range(builder, 0, 0);
	refuse(VMMEM_EZEROLEN);
	ck_assert_str_eq(vmmem_region_builder_why(builder),
			 vmmem_strerror(VMMEM_EZEROLEN));
	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_file(builder, -1, 0, 0);
	refuse(-EBADF);
	ck_assert_str_eq(vmmem_region_builder_why(builder),
			 vmmem_strerror(-EBADF));
	assert_code(vmmem_region_builder_build(NULL, &region),
		    VMMEM_EARGUMENT);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("region_builder_why");
	TCase *tcase = tcase_create("region_builder_why");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, named, 0, (int)ARRAY_LEN(rows));
	tcase_add_test(tcase, of_the_last_build);
	suite_add_tcase(suite, tcase);
	return suite;
}
