/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A builder and a policy for each test, and what came of them. */
#ifndef POLICY_H
#define POLICY_H

#include <vmmem/policy.h>
#include <vmmem/region_builder.h>

#include "memory.h"

#define GPA UINT64_C(0x12340000)
#define LEN UINT64_C(0x40000)

static struct vmmem_region_builder *builder;
static struct vmmem_policy *policy;

static inline void
setup(void)
{
	policy = new_policy();
	builder = vmmem_region_builder_new();
	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, GPA, LEN);
}

static inline void
teardown(void)
{
	ck_assert_ptr_null(vmmem_region_builder_free(builder));
	ck_assert_ptr_null(vmmem_policy_free(policy));
}

static inline struct vmmem_region *
build(void)
{
	struct vmmem_region *region = NULL;

	vmmem_region_builder_set_policy(builder, policy);
	assert_ok(vmmem_region_builder_build(builder, &region));
	ck_assert(all_are(expect_host(region), 0, 64));
	return region;
}

static inline void
refuse(int code)
{
	struct vmmem_region *region = NO_REGION;
	size_t files = open_files();

	vmmem_region_builder_set_policy(builder, policy);
	assert_code(vmmem_region_builder_build(builder, &region), code);
	ck_assert_ptr_eq(region, NO_REGION);
	ck_assert_uint_eq(open_files(), files);
}

static inline struct vmmem_policy_report
granted(const struct vmmem_region *region)
{
	struct vmmem_policy_report granted = { .size = sizeof(granted) };

	assert_ok(vmmem_region_policy_report(region, &granted));
	ck_assert_uint_eq(granted.size, sizeof(granted));
	return granted;
}

static inline void
set_kind(int kind)
{
	static int fd = -1;

	if (fd < 0)
		fd = file_of(2 * LEN);
	if (kind == VMMEM_REGION_MEMFD)
		vmmem_region_builder_set_memfd(builder);
	else if (kind == VMMEM_REGION_FILE)
		vmmem_region_builder_set_file(builder, fd, page_size(), 0);
}

/* The kinds that the library maps, for loop tests. */
#define FIRST_KIND VMMEM_REGION_ANONYMOUS
#define END_OF_KINDS (VMMEM_REGION_FILE + 1)

#endif
