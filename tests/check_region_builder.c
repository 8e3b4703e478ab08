/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>

#include <vmmem/region_builder.h>

#include "guest.h"
#include "memory.h"
#include "suite.h"

static struct vmmem_region_builder *builder;

static void
setup(void)
{
	builder = vmmem_region_builder_new();
	ck_assert_ptr_nonnull(builder);
	vmmem_region_builder_set_range(builder, 0x10000, 0x4000);
}

static void
teardown(void)
{
	builder = vmmem_region_builder_free(builder);
	ck_assert_ptr_null(builder);
}

static struct vmmem_region *
build(void)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_builder_build(builder, &region));
	ck_assert_ptr_nonnull(region);
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

static void
expect_kind(uint32_t kind)
{
	struct vmmem_region *region = build();

	ck_assert_uint_eq(vmmem_region_kind(region), kind);
	vmmem_region_unref(region);
}

/* An emulator's mappings are not those of what it runs. */
static void
expect_smaps(const struct vmmem_region *region, const char *flag, bool has)
{
	if (memory_skip_reason() == NULL)
		ck_assert_int_eq(smaps_flag(expect_host(region), flag), has);
}

START_TEST(default_is_anonymous)
{
	struct vmmem_region *region = build();

	expect_range(region, 0x10000, 0x4000);
	ck_assert(all_are(expect_host(region), 0, 0x4000));
	ck_assert_uint_eq(vmmem_region_kind(region), VMMEM_REGION_ANONYMOUS);
	ck_assert_uint_eq(vmmem_region_protection(region),
			  VMMEM_PROT_READ | VMMEM_PROT_WRITE);
	ck_assert_uint_eq(vmmem_region_file_flags(region), 0);
	expect_smaps(region, "nr", true);
	expect_smaps(region, "sh", false);
	ck_assert_ptr_null(vmmem_region_cookie(region, builder));
	ck_assert_str_eq(vmmem_region_name(region), "");
	vmmem_region_unref(region);
}
END_TEST

START_TEST(range_must_be_set)
{
	struct vmmem_region_builder *fresh = vmmem_region_builder_new();
	struct vmmem_region *region = NO_REGION;

	assert_code(vmmem_region_builder_build(fresh, &region),
		    VMMEM_EZEROLEN);
	ck_assert_ptr_eq(region, NO_REGION);
	vmmem_region_builder_free(fresh);

	vmmem_region_builder_set_range(builder, 0x1000, 0);
	refuse(VMMEM_EZEROLEN);
	vmmem_region_builder_set_range(builder, TOP, 2);
	refuse(VMMEM_EWRAPS);
	vmmem_region_builder_set_range(builder, 0, TOP);
	refuse(VMMEM_EWRAPS);
	/* What was refused can be mended. */
	vmmem_region_builder_set_range(builder, TOP, 1);
	vmmem_region_unref(build());
}
END_TEST

static void
ignore(void *opaque)
{
	(void)opaque;
}

START_TEST(last_backing_counts)
{
	static const struct vmmem_region_ops ops = { .size = sizeof(ops) };
	static _Alignas(16) uint8_t memory[0x4000];
	struct vmmem_region *target = region_of(0, 0x4000);
	uint8_t *host = expect_host(target);
	int fd = file_of(0x4000);

	vmmem_region_builder_set_memfd(builder);
	expect_kind(VMMEM_REGION_MEMFD);
	vmmem_region_builder_set_file(builder, fd, 0, 0);
	expect_kind(VMMEM_REGION_FILE);
	vmmem_region_builder_set_external(builder, memory, ignore, NULL);
	expect_kind(VMMEM_REGION_EXTERNAL);
	vmmem_region_builder_set_alias(builder, target, 0);
	expect_kind(VMMEM_REGION_ALIAS);
	/* Again the same, when only the builder holds it. */
	vmmem_region_unref(target);
	vmmem_region_builder_set_alias(builder, target, 0);
	expect_kind(VMMEM_REGION_ALIAS);
	ck_assert(is_mapped(host, 0x4000));
	vmmem_region_builder_set_custom(builder, &ops, NULL);
	ck_assert(!is_mapped(host, 0x4000));
	refuse(VMMEM_EARGUMENT);
	vmmem_region_builder_set_anonymous(builder);
	expect_kind(VMMEM_REGION_ANONYMOUS);
	close(fd);
}
END_TEST

START_TEST(free_lets_the_target_go)
{
	struct vmmem_region_builder *other = vmmem_region_builder_new();
	struct vmmem_region *target = region_of(0, 0x4000);
	uint8_t *host = expect_host(target);

	vmmem_region_builder_set_alias(other, target, 0);
	vmmem_region_unref(target);
	ck_assert(is_mapped(host, 0x4000));
	ck_assert_ptr_null(vmmem_region_builder_free(other));
	ck_assert(!is_mapped(host, 1));
}
END_TEST

START_TEST(builds_any_number)
{
	struct vmmem_region *first, *second;

	vmmem_region_builder_set_name(builder, "first");
	first = build();
	vmmem_region_builder_set_name(builder, "second");
	vmmem_region_builder_set_range(builder, 0x80000, 0x1000);
	second = build();
	ck_assert_ptr_ne(first, second);
	ck_assert_ptr_ne(expect_host(first), expect_host(second));
	ck_assert_str_eq(vmmem_region_name(first), "first");
	ck_assert_str_eq(vmmem_region_name(second), "second");
	expect_range(first, 0x10000, 0x4000);
	expect_range(second, 0x80000, 0x1000);
	vmmem_region_unref(first);
	vmmem_region_unref(second);
}
END_TEST

START_TEST(null_builder)
{
	static const struct vmmem_region_ops ops = { .size = sizeof(ops) };
	struct vmmem_region *target = region_of(0, 0x1000);
	struct vmmem_region *region = NO_REGION;
	uint8_t *host = expect_host(target);

	vmmem_region_builder_set_range(NULL, 0, 1);
	vmmem_region_builder_set_anonymous(NULL);
	vmmem_region_builder_set_memfd(NULL);
	vmmem_region_builder_set_file(NULL, 0, 0, 0);
	vmmem_region_builder_set_external(NULL, &region, ignore, NULL);
	vmmem_region_builder_set_alias(NULL, target, 0);
	vmmem_region_builder_set_custom(NULL, &ops, NULL);
	vmmem_region_builder_set_protection(NULL, 0);
	vmmem_region_builder_set_huge_page_size(NULL, 0);
	vmmem_region_builder_set_cookie(NULL, &region, &region, ignore);
	vmmem_region_builder_set_name(NULL, "name");
	ck_assert_ptr_null(vmmem_region_builder_free(NULL));
	assert_code(vmmem_region_builder_build(NULL, &region), VMMEM_EARGUMENT);
	assert_code(vmmem_region_builder_build(builder, NULL), VMMEM_EARGUMENT);
	ck_assert_ptr_eq(region, NO_REGION);
	/* No reference was taken to the target by the setter that failed. */
	vmmem_region_unref(target);
	ck_assert(!is_mapped(host, 1));
}
END_TEST

START_TEST(null_backings_are_refused)
{
	vmmem_region_builder_set_external(builder, NULL, ignore, NULL);
	refuse(VMMEM_EARGUMENT);
	vmmem_region_builder_set_alias(builder, NULL, 0);
	refuse(VMMEM_EARGUMENT);
	vmmem_region_builder_set_custom(builder, NULL, NULL);
	refuse(VMMEM_EARGUMENT);
}
END_TEST

static const struct {
	uint32_t flags;
	int code;
} flag_rows[] = {
	{ 0, 0 },
	{ VMMEM_FILE_PRIVATE, 0 },
	/* A memfd is no persistent memory. */
	{ VMMEM_FILE_SYNC, -EOPNOTSUPP },
	{ VMMEM_FILE_PRIVATE | VMMEM_FILE_SYNC, VMMEM_EARGUMENT },
	{ 4, VMMEM_EARGUMENT },
	{ UINT32_C(1) << 31, VMMEM_EARGUMENT },
	{ UINT32_MAX, VMMEM_EARGUMENT },
};

/* qemu-user emulates a Linux that is older than it says. */
static bool
system_validates_flags(int fd)
{
	void *at = mmap(NULL, 0x4000, PROT_READ, MAP_SHARED_VALIDATE, fd, 0);

	return at != MAP_FAILED && munmap(at, 0x4000) == 0;
}

START_TEST(file_flags)
{
	const uint32_t flags = flag_rows[_i].flags;
	struct vmmem_region *region;
	int fd = file_of(0x4000);

	vmmem_region_builder_set_file(builder, fd, 0, flags);
	if (flags == VMMEM_FILE_SYNC && !system_validates_flags(fd)) {
		close(fd);
		return;
	}
	if (flag_rows[_i].code != 0) {
		refuse(flag_rows[_i].code);
	} else {
		region = build();
		ck_assert_uint_eq(vmmem_region_file_flags(region), flags);
		expect_smaps(region, "sh", flags == 0);
		vmmem_region_unref(region);
	}
	/* The flags are the file's, and go with it. */
	vmmem_region_builder_set_anonymous(builder);
	expect_kind(VMMEM_REGION_ANONYMOUS);
	close(fd);
}
END_TEST

START_TEST(private_file_keeps_its_writes)
{
	int fd = file_of(0x4000);
	struct vmmem_region *region, *alias;
	uint8_t byte = 1;

	vmmem_region_builder_set_file(builder, fd, 0, VMMEM_FILE_PRIVATE);
	region = build();
	ck_assert_uint_eq(vmmem_region_file_flags(region), VMMEM_FILE_PRIVATE);
	vmmem_region_builder_set_alias(builder, region, 0);
	alias = build();
	ck_assert_uint_eq(vmmem_region_file_flags(alias), VMMEM_FILE_PRIVATE);
	vmmem_region_unref(alias);
	expect_host(region)[0] = 0xee;
	ck_assert_int_eq(pread(fd, &byte, 1, 0), 1);
	ck_assert_uint_eq(byte, 0);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

/* A file open for reading only can back a region that is so too. */
START_TEST(read_only_file)
{
	int fd = file_of(0x4000), reader;
	struct vmmem_region *region;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY);
	ck_assert_int_ge(reader, 0);
	vmmem_region_builder_set_file(builder, reader, 0, 0);
	refuse(-EACCES);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	region = build();
	ck_assert_uint_eq(vmmem_region_protection(region), VMMEM_PROT_READ);
	vmmem_region_unref(region);
	close(reader);
	close(fd);
}
END_TEST

/* What was mapped, the system's own list says. */
static void
expect_mapped_as(const uint8_t *host, const char *permissions)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long first, end;
	char line[512], seen[8];
	int found = 0;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &first, &end, seen) != 3)
			continue;
		if ((uintptr_t)host < first || (uintptr_t)host >= end)
			continue;
		ck_assert_str_eq(seen, permissions);
		found++;
	}
	fclose(maps);
	ck_assert_int_eq(found, 1);
}

static const struct {
	uint32_t protection;
	uint32_t result;
	const char *mapped;
} protection_rows[] = {
	{ 0, 0, "---p" },
	{ VMMEM_PROT_READ, VMMEM_PROT_READ, "r--p" },
	{ VMMEM_PROT_WRITE, VMMEM_PROT_WRITE, "-w-p" },
	{ VMMEM_PROT_READ | VMMEM_PROT_WRITE,
	  VMMEM_PROT_READ | VMMEM_PROT_WRITE, "rw-p" },
	{ VMMEM_PROT_READ | VMMEM_PROT_EXEC,
	  VMMEM_PROT_READ | VMMEM_PROT_EXEC, "r-xp" },
};

START_TEST(protection)
{
	struct vmmem_region *region;

	vmmem_region_builder_set_protection(builder,
					    protection_rows[_i].protection);
	region = build();
	ck_assert_uint_eq(vmmem_region_protection(region),
			  protection_rows[_i].result);
	expect_mapped_as(expect_host(region), protection_rows[_i].mapped);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(unknown_protection_is_refused)
{
	vmmem_region_builder_set_protection(builder, 8);
	refuse(VMMEM_EARGUMENT);
	vmmem_region_builder_set_protection(builder, UINT32_MAX);
	refuse(VMMEM_EARGUMENT);
}
END_TEST

/* A ROM: the owner writes to it, the guest may only read it. */
START_TEST(read_only_alias_of_writable_memory)
{
	struct vmmem_region *target = region_of(0, 0x4000), *rom;

	vmmem_region_builder_set_alias(builder, target, 0);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	rom = build();
	ck_assert_uint_eq(vmmem_region_protection(rom), VMMEM_PROT_READ);
	expect_host(target)[5] = 0x99;
	ck_assert_uint_eq(expect_host(rom)[5], 0x99);
	vmmem_region_unref(rom);
	vmmem_region_unref(target);
}
END_TEST

/* An alias never gives more than there is. */
START_TEST(alias_does_not_add_permissions)
{
	struct vmmem_region *target = region_with(0, 0x4000, VMMEM_PROT_READ);
	struct vmmem_region *alias;

	vmmem_region_builder_set_alias(builder, target, 0);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ |
						     VMMEM_PROT_WRITE);
	alias = build();
	ck_assert_uint_eq(vmmem_region_protection(alias), VMMEM_PROT_READ);
	vmmem_region_unref(alias);
	vmmem_region_unref(target);
}
END_TEST

static void
count_release(void *opaque)
{
	(*(int *)opaque)++;
}

START_TEST(release_is_called_once_for_each_region)
{
	static _Alignas(16) uint8_t memory[0x4000];
	struct vmmem_region *first, *second, *alias = NULL;
	struct vmmem_collection *guest = NULL;
	int released = 0;

	vmmem_region_builder_set_external(builder, memory, count_release,
					  &released);
	first = build();
	second = build();
	assert_ok(vmmem_region_new_alias(0, 0x1000, first, 0, &alias));
	assert_ok(vmmem_collection_new(&first, 1, &guest));
	vmmem_region_unref(second);
	ck_assert_int_eq(released, 1);
	vmmem_region_unref(first);
	vmmem_collection_unref(guest);
	ck_assert_int_eq(released, 1);
	vmmem_region_unref(alias);
	ck_assert_int_eq(released, 2);
}
END_TEST

START_TEST(release_is_not_called_on_failure)
{
	static _Alignas(16) uint8_t memory[0x4000];
	int released = 0;

	vmmem_region_builder_set_external(builder, memory + 1, count_release,
					  &released);
	refuse(VMMEM_ECONGRUENCE);
	vmmem_region_builder_set_range(builder, 1, 0);
	refuse(VMMEM_EZEROLEN);
	ck_assert_int_eq(released, 0);
	vmmem_region_builder_set_anonymous(builder);
	ck_assert_int_eq(released, 0);
}
END_TEST

/* An alias is what its target is, until something else is said. */
START_TEST(role_and_guest_node)
{
	struct vmmem_region *target = build(), *alias;

	ck_assert_uint_eq(vmmem_region_role(NULL), 0);
	ck_assert_uint_eq(vmmem_region_guest_node(NULL),
			  VMMEM_GUEST_NODE_NONE);
	ck_assert_uint_eq(vmmem_region_role(target), VMMEM_ROLE_RAM);
	ck_assert_uint_eq(vmmem_region_guest_node(target),
			  VMMEM_GUEST_NODE_NONE);
	vmmem_region_unref(target);
	vmmem_region_builder_set_role(NULL, 1);
	vmmem_region_builder_set_guest_node(NULL, 1);
	vmmem_region_builder_set_role(builder, VMMEM_ROLE_PMEM);
	vmmem_region_builder_set_guest_node(builder, 7);
	target = build();
	ck_assert_uint_eq(vmmem_region_role(target), VMMEM_ROLE_PMEM);
	ck_assert_uint_eq(vmmem_region_guest_node(target), 7);
	vmmem_region_builder_set_alias(builder, target, 0);
	vmmem_region_builder_set_role(builder, 0);
	vmmem_region_builder_set_guest_node(builder, VMMEM_GUEST_NODE_NONE);
	alias = build();
	ck_assert_uint_eq(vmmem_region_role(alias), VMMEM_ROLE_PMEM);
	ck_assert_uint_eq(vmmem_region_guest_node(alias), 7);
	vmmem_region_unref(alias);
	vmmem_region_builder_set_role(builder, VMMEM_ROLE_ROM);
	vmmem_region_builder_set_guest_node(builder, 0);
	alias = build();
	ck_assert_uint_eq(vmmem_region_role(alias), VMMEM_ROLE_ROM);
	ck_assert_uint_eq(vmmem_region_guest_node(alias), 0);
	vmmem_region_unref(alias);
	vmmem_region_unref(target);
}
END_TEST

/* More of cookies is in check_cookie.c. */
START_TEST(cookie_and_name)
{
	char name[] = "low RAM";
	struct vmmem_region *region, *other;
	int cookie = 0;

	vmmem_region_builder_set_cookie(builder, &cookie, &cookie, NULL);
	vmmem_region_builder_set_name(builder, name);
	/* Copied: what the caller does to its string does not matter. */
	name[0] = 'X';
	region = build();
	ck_assert_ptr_eq(vmmem_region_cookie(region, &cookie), &cookie);
	ck_assert_str_eq(vmmem_region_name(region), "low RAM");

	vmmem_region_builder_set_cookie(builder, &cookie, NULL, NULL);
	vmmem_region_builder_set_name(builder, NULL);
	other = build();
	ck_assert_ptr_null(vmmem_region_cookie(other, &cookie));
	ck_assert_str_eq(vmmem_region_name(other), "");
	ck_assert_str_eq(vmmem_region_name(region), "low RAM");
	vmmem_region_unref(other);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(name_length)
{
	char name[VMMEM_REGION_NAME_MAX + 2];
	struct vmmem_region *region;

	memset(name, 'n', sizeof(name));
	name[VMMEM_REGION_NAME_MAX + 1] = '\0';
	vmmem_region_builder_set_name(builder, name);
	refuse(VMMEM_ELONGNAME);
	name[VMMEM_REGION_NAME_MAX] = '\0';
	vmmem_region_builder_set_name(builder, name);
	/* The longest name goes for a memfd too. */
	vmmem_region_builder_set_memfd(builder);
	region = build();
	ck_assert_str_eq(vmmem_region_name(region), name);
	vmmem_region_unref(region);
	vmmem_region_builder_set_name(builder, "");
	region = build();
	ck_assert_str_eq(vmmem_region_name(region), "");
	vmmem_region_unref(region);
}
END_TEST

START_TEST(memfd_carries_the_name)
{
	struct vmmem_region *region;
	char path[64], link[128];
	uint64_t offset;
	ssize_t len;
	int fd;

	vmmem_region_builder_set_memfd(builder);
	vmmem_region_builder_set_name(builder, "high-ram");
	region = build();
	assert_ok(vmmem_region_file(region, &fd, &offset));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link) - 1);
	ck_assert_int_gt(len, 0);
	link[len] = '\0';
	ck_assert_ptr_nonnull(strstr(link, "memfd:high-ram"));
	vmmem_region_unref(region);
}
END_TEST

#define ADD_TABLE(tcase, test, rows)                                       \
	tcase_add_loop_test(tcase, test, 0, (int)ARRAY_LEN(rows))

Suite *
make_suite(void)
{
	Suite *suite = suite_create("region_builder");
	TCase *tcase = tcase_create("region_builder");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, default_is_anonymous);
	tcase_add_test(tcase, range_must_be_set);
	tcase_add_test(tcase, last_backing_counts);
	tcase_add_test(tcase, free_lets_the_target_go);
	tcase_add_test(tcase, builds_any_number);
	tcase_add_test(tcase, null_builder);
	tcase_add_test(tcase, null_backings_are_refused);
	ADD_TABLE(tcase, file_flags, flag_rows);
	tcase_add_test(tcase, private_file_keeps_its_writes);
	tcase_add_test(tcase, read_only_file);
	ADD_TABLE(tcase, protection, protection_rows);
	tcase_add_test(tcase, unknown_protection_is_refused);
	tcase_add_test(tcase, read_only_alias_of_writable_memory);
	tcase_add_test(tcase, alias_does_not_add_permissions);
	tcase_add_test(tcase, release_is_called_once_for_each_region);
	tcase_add_test(tcase, release_is_not_called_on_failure);
	tcase_add_test(tcase, role_and_guest_node);
	tcase_add_test(tcase, cookie_and_name);
	tcase_add_test(tcase, name_length);
	tcase_add_test(tcase, memfd_carries_the_name);
	suite_add_tcase(suite, tcase);
	return suite;
}
