/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* From which nodes memory comes; one node is enough to ask for it. */
#include <sys/syscall.h>

#include <vmmem/residency.h>

#include "policy.h"
#include "suite.h"

const char *
skip_reason(void)
{
	int mode;

	if (memory_skip_reason() != NULL)
		return memory_skip_reason();
	if (syscall(SYS_get_mempolicy, &mode, NULL, 0UL, NULL, 0UL) != 0 ||
	    access("/sys/devices/system/node/node0", F_OK) != 0)
		return "needs a kernel with NUMA, and its node 0";
	return NULL;
}

static const struct {
	uint32_t mode;
	size_t count;
	uint64_t nodes;
} modes[] = {
	{ VMMEM_NUMA_BIND, 1, 1 },
	{ VMMEM_NUMA_INTERLEAVE, 1, 1 },
	{ VMMEM_NUMA_PREFERRED, 1, 1 },
	/* The node of who touches it, which is no named one. */
	{ VMMEM_NUMA_PREFERRED, 0, 0 },
	{ VMMEM_NUMA_DEFAULT, 0, 0 },
};

START_TEST(each_mode)
{
	static const int kinds[] = { VMMEM_REGION_ANONYMOUS,
				     VMMEM_REGION_MEMFD };
	const uint32_t nodes[] = { 0, 0, 0 };
	struct vmmem_region *region, *alias = NULL;
	struct vmmem_policy_report got;
	size_t i;

	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		set_kind(kinds[i]);
		vmmem_policy_set_numa(policy, modes[_i].mode, nodes,
				      modes[_i].count);
		region = build();
		got = granted(region);
		if (modes[_i].count != 0)
			ck_assert_uint_eq(got.numa, modes[_i].mode);
		ck_assert_uint_eq(got.nodes, modes[_i].nodes);
		assert_ok(vmmem_region_new_alias(0, 4096, region, 4096,
						 &alias));
		ck_assert_uint_eq(granted(alias).nodes, modes[_i].nodes);
		vmmem_region_unref(alias);
		vmmem_region_unref(region);
	}
}
END_TEST

/* The same node many times is one node. */
START_TEST(nodes_are_a_set)
{
	const uint32_t nodes[] = { 0, 0, 0 };
	struct vmmem_region *region;

	vmmem_policy_set_numa(policy, VMMEM_NUMA_PREFERRED, nodes, 3);
	region = build();
	ck_assert_uint_eq(granted(region).numa, VMMEM_NUMA_PREFERRED);
	ck_assert_uint_eq(granted(region).nodes, 1);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(nodes_that_are_not_there)
{
	const uint32_t missing[] = { 0, VMMEM_NUMA_NODES_MAX - 1 };
	const uint32_t beyond[] = { 0, VMMEM_NUMA_NODES_MAX };
	uint32_t mode;

	for (mode = VMMEM_NUMA_BIND; mode <= VMMEM_NUMA_INTERLEAVE; mode++) {
		/* The system ignores those beside one that is there. */
		vmmem_policy_set_numa(policy, mode, &missing[1], 1);
		refuse(VMMEM_ENONODE);
		vmmem_policy_set_numa(policy, mode, beyond, 2);
		refuse(VMMEM_ENONODE);
		vmmem_policy_set_numa(policy, mode, &(uint32_t){ UINT32_MAX },
				      1);
		refuse(VMMEM_ENONODE);
	}
	/* A setting that was wrong is forgotten with the next. */
	vmmem_policy_set_numa(policy, VMMEM_NUMA_BIND, missing, 1);
	vmmem_region_unref(build());
}
END_TEST

/* How much is where: what was touched, to the byte. */
START_TEST(histogram)
{
	uint64_t page = page_size(), bytes[2], rest;
	struct vmmem_region *region;
	const uint32_t node = 0;
	uint8_t *host;

	set_kind(_i);
	vmmem_policy_set_numa(policy, VMMEM_NUMA_BIND, &node, 1);
	vmmem_region_builder_set_policy(builder, policy);
	assert_ok(vmmem_region_builder_build(builder, &region));
	host = expect_host(region);
	assert_ok(vmmem_region_nodes(region, 0, LEN, bytes, 2, &rest));
	ck_assert_uint_eq(bytes[0], 0);
	ck_assert_uint_eq(bytes[1], 0);
	ck_assert_uint_eq(rest, LEN);
	host[page] = 1;
	host[3 * page] = 1;
	assert_ok(vmmem_region_nodes(region, 0, LEN, bytes, 2, &rest));
	ck_assert_uint_eq(bytes[0], 2 * page);
	ck_assert_uint_eq(rest, LEN - 2 * page);
	/* Parts of pages, on both sides. */
	assert_ok(vmmem_region_nodes(region, page + 5, 2 * page, bytes, 1,
				     &rest));
	ck_assert_uint_eq(bytes[0], page - 5 + 5);
	ck_assert_uint_eq(rest, page);
	/* No node is asked about; no byte. */
	assert_ok(vmmem_region_nodes(region, 0, LEN, NULL, 0, &rest));
	ck_assert_uint_eq(rest, LEN);
	assert_ok(vmmem_region_nodes(region, TOP, 0, bytes, 1, &rest));
	ck_assert_uint_eq(bytes[0] + rest, 0);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(histogram_refuses)
{
	const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.acquire = (int (*)(void *, uint64_t, uint64_t, uint32_t,
				    void **))abort,
	};
	struct vmmem_region *region = build(), *custom = NULL;
	uint64_t bytes = 5, rest = 5;

	assert_code(vmmem_region_nodes(NULL, 0, 1, &bytes, 1, &rest),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_nodes(region, 0, 1, NULL, 1, &rest),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_nodes(region, 0, 1, &bytes, 1, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_nodes(region, 0, 1, &bytes,
				       VMMEM_NUMA_NODES_MAX + 1, &rest),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_region_nodes(region, LEN, 1, &bytes, 1, &rest),
		    VMMEM_EOUTOFRANGE);
	assert_code(vmmem_region_nodes(region, 1, TOP, &bytes, 1, &rest),
		    VMMEM_EOUTOFRANGE);
	assert_ok(vmmem_region_new_custom(0, LEN, &ops, NULL, &custom));
	assert_code(vmmem_region_nodes(custom, 0, 1, &bytes, 1, &rest),
		    VMMEM_ENOHOST);
	ck_assert_uint_eq(bytes, 5);
	ck_assert_uint_eq(rest, 5);
	vmmem_region_unref(custom);
	vmmem_region_unref(region);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("policy_numa");
	TCase *tcase = tcase_create("policy_numa");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, each_mode, 0, (int)ARRAY_LEN(modes));
	tcase_add_test(tcase, nodes_are_a_set);
	tcase_add_test(tcase, nodes_that_are_not_there);
	tcase_add_loop_test(tcase, histogram, VMMEM_REGION_ANONYMOUS,
			    VMMEM_REGION_MEMFD + 1);
	tcase_add_test(tcase, histogram_refuses);
	suite_add_tcase(suite, tcase);
	return suite;
}
