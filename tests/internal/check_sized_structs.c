/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Every struct that may grow, given to a public function by a caller that is
 * older than the library, as old, or newer.  tests/abi/next_release.sh runs this
 * program on the library of a next release, in which each struct has a member
 * more, and the program of the next release on this library.
 */
#include <stddef.h>

#include <vmmem/kvm.h>
#include <vmmem/vhost.h>

#include "base/released_sizes.h"
#include "guest.h"
#include "suite.h"

/* What a size may be at most. */
#define SIZE_MOST 4096

/* What stands behind a caller's struct, and is no part of it. */
#define GARBAGE 0xa5

/* give() hands the caller's struct to the library, and returns its code. */
struct row {
	const char *name;
	size_t first; /* bytes in the first version: a literal */
	size_t now;   /* bytes in the headers of this program */
	int filled;   /* by the library, and not by the caller */
	int (*give)(void *caller);
};

static int
give_fd_rules(void *caller)
{
	int fd = memfd_create("sized", MFD_CLOEXEC), rc;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)page_size()), 0);
	((struct vmmem_fd_rules *)caller)->flags = VMMEM_FD_MAY_SHRINK;
	rc = vmmem_fd_check(fd, 0, page_size(), caller, NULL);
	close(fd);
	return rc;
}

static int
give_fd_report(void *caller)
{
	int fd = memfd_create("sized", MFD_CLOEXEC), rc;

	ck_assert_int_ge(fd, 0);
	rc = vmmem_fd_examine(fd, caller);
	close(fd);
	return rc;
}

static int
give_bitmap_options(void *caller)
{
	struct vmmem_bitmap *bitmap = NULL;
	int rc = vmmem_bitmap_new(page_size(), 0, page_size(), caller, &bitmap);

	vmmem_bitmap_unref(bitmap);
	return rc;
}

static int
give_harvester_options(void *caller)
{
	struct vmmem_harvester *harvester = NULL;
	struct vmmem_bitmap *bitmap;
	int rc;

	assert_ok(vmmem_bitmap_new(page_size(), 0, page_size(), NULL, &bitmap));
	rc = vmmem_harvester_new(bitmap, caller, &harvester);
	vmmem_harvester_free(harvester);
	vmmem_bitmap_unref(bitmap);
	return rc;
}

/* The queue is empty, so what is filled in is that there is no miss. */
static int
give_iommu_miss(void *caller)
{
	struct vmmem_iommu_options options = {
		.size = sizeof(options), .flags = VMMEM_IOMMU_QUEUE_MISSES,
	};
	struct vmmem_iommu *iommu;
	struct vmmem_iotlb *iotlb;
	int rc;

	assert_ok(vmmem_iotlb_new(NULL, &iotlb));
	assert_ok(vmmem_iommu_new(iotlb, &options, &iommu));
	rc = vmmem_iommu_next_miss(iommu, caller);
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
	return rc;
}

static int
give_iotlb_options(void *caller)
{
	struct vmmem_iotlb *iotlb = NULL;
	int rc = vmmem_iotlb_new(caller, &iotlb);

	vmmem_iotlb_unref(iotlb);
	return rc;
}

static int
give_iommu_options(void *caller)
{
	struct vmmem_iommu *iommu = NULL;
	struct vmmem_iotlb *iotlb;
	int rc;

	assert_ok(vmmem_iotlb_new(NULL, &iotlb));
	rc = vmmem_iommu_new(iotlb, caller, &iommu);
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
	return rc;
}

static struct vmmem_space *
empty_space(void)
{
	struct vmmem_space *space;

	assert_ok(vmmem_space_new(NULL, NULL, &space));
	return space;
}

static int
give_space_options(void *caller)
{
	struct vmmem_space *space = NULL;
	int rc = vmmem_space_new(NULL, caller, &space);

	vmmem_space_unref(space);
	return rc;
}

static int
give_reader_options(void *caller)
{
	struct vmmem_space *space = empty_space();
	struct vmmem_reader *reader = NULL;
	int rc = vmmem_reader_new(space, caller, &reader);

	vmmem_reader_free(reader);
	vmmem_space_unref(space);
	return rc;
}

static int
give_dirty_log_options(void *caller)
{
	struct vmmem_space *space = empty_space();
	struct vmmem_dirty_log *log = NULL;
	int rc = vmmem_dirty_log_new(space, caller, &log);

	vmmem_dirty_log_free(log);
	vmmem_space_unref(space);
	return rc;
}

static int
listen(const struct vmmem_listener_ops *ops,
       const struct vmmem_listener_options *options)
{
	struct vmmem_listener *listener = NULL;
	struct vmmem_space *space = empty_space();
	int rc = vmmem_listener_new(space, ops, NULL, options, &listener);

	vmmem_listener_free(listener);
	vmmem_space_unref(space);
	return rc;
}

static int
give_listener_ops(void *caller)
{
	return listen(caller, NULL);
}

static int
give_listener_options(void *caller)
{
	struct vmmem_listener_ops ops = { .size = sizeof(ops) };

	return listen(&ops, caller);
}

static int
give_policy_report(void *caller)
{
	struct vmmem_region *region = region_of(0, page_size());
	int rc = vmmem_region_policy_report(region, caller);

	vmmem_region_unref(region);
	return rc;
}

static int
give_residency(void *caller)
{
	struct vmmem_region *region = region_of(0, page_size());
	int rc = vmmem_region_residency(region, 0, page_size(), caller);

	vmmem_region_unref(region);
	return rc;
}

static int
read_zeroes(void *opaque, uint64_t offset, void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	(void)opaque;
	(void)offset;
	(void)info;
	memset(buf, 0, len);
	return 0;
}

static int
give_region_ops(void *caller)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region = NULL;
	int rc;

	ck_assert_ptr_nonnull(builder);
	((struct vmmem_region_ops *)caller)->read = read_zeroes;
	vmmem_region_builder_set_range(builder, 0, page_size());
	vmmem_region_builder_set_custom(builder, caller, NULL);
	rc = vmmem_region_builder_build(builder, &region);
	vmmem_region_builder_free(builder);
	vmmem_region_unref(region);
	return rc;
}

static int
give_access_info(void *caller)
{
	struct vmmem_region *region = region_of(0, page_size());
	struct vmmem_collection *map;
	unsigned char byte;
	int rc;

	assert_ok(vmmem_collection_new(&region, 1, &map));
	rc = vmmem_collection_read_with(map, 0, &byte, 1, caller, NULL);
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	return rc;
}

/* The struct is looked at before KVM is: what is no KVM does. */
static int
give_kvm_options(void *caller)
{
	struct vmmem_space *space = empty_space();
	struct vmmem_kvm *kvm = NULL;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int rc = vmmem_kvm_new(space, fd, caller, &kvm);

	ck_assert_ptr_null(kvm);
	close(fd);
	vmmem_space_unref(space);
	/* An emulator of a processor does not know the call. */
	return rc == -ENOTTY || rc == -ENOSYS ? 0 : rc;
}

static int
give_slot_table_options(void *caller)
{
	struct vmmem_slot_table *slots = NULL;
	int rc = vmmem_slot_table_new(caller, &slots);

	vmmem_slot_table_free(slots);
	return rc;
}

static int
give_vhost_options(void *caller)
{
	struct vmmem_space *space = empty_space();
	struct vmmem_vhost *vhost = NULL;
	int rc = vmmem_vhost_new(space, caller, &vhost);

	vmmem_vhost_free(vhost);
	vmmem_space_unref(space);
	return rc;
}

/* TAKEN() has what a caller fills in, FILLED() what the library does. */
#define ROW(type, TYPE, is_filled)                                         \
	{                                                                  \
		.name = "struct vmmem_" #type,                             \
		.first = VMMEM_##TYPE##_SIZE_0_9,                          \
		.now = sizeof(struct vmmem_##type), .filled = is_filled,   \
		.give = give_##type,                                       \
	}
#define TAKEN(type, TYPE) ROW(type, TYPE, 0)
#define FILLED(type, TYPE) ROW(type, TYPE, 1)

/* tests/abi/sized.sh wants a row of each. */
static const struct row rows[] = {
	TAKEN(access_info, ACCESS_INFO),
	TAKEN(bitmap_options, BITMAP_OPTIONS),
	TAKEN(dirty_log_options, DIRTY_LOG_OPTIONS),
	FILLED(fd_report, FD_REPORT),
	TAKEN(fd_rules, FD_RULES),
	TAKEN(harvester_options, HARVESTER_OPTIONS),
	FILLED(iommu_miss, IOMMU_MISS),
	TAKEN(iommu_options, IOMMU_OPTIONS),
	TAKEN(iotlb_options, IOTLB_OPTIONS),
	TAKEN(kvm_options, KVM_OPTIONS),
	TAKEN(listener_ops, LISTENER_OPS),
	TAKEN(listener_options, LISTENER_OPTIONS),
	FILLED(policy_report, POLICY_REPORT),
	TAKEN(reader_options, READER_OPTIONS),
	TAKEN(region_ops, REGION_OPS),
	FILLED(residency, RESIDENCY),
	TAKEN(slot_table_options, SLOT_TABLE_OPTIONS),
	TAKEN(space_options, SPACE_OPTIONS),
	TAKEN(vhost_options, VHOST_OPTIONS),
};

/* Two of the longest, so that what lies behind is seen too. */
static union {
	unsigned char bytes[2 * SIZE_MOST];
	size_t size;
	uint64_t aligned;
} caller;

/*
 * give() gives the library a struct whose size member says 'size', of zeroes,
 * with garbage behind it.
 */
static int
give(const struct row *row, size_t size)
{
	size_t len = size < sizeof(caller) ? size : sizeof(caller);
	size_t i;
	int rc;

	/* A row stores members that the first version has. */
	if (len < row->first)
		len = row->first;
	memset(caller.bytes, GARBAGE, sizeof(caller));
	memset(caller.bytes, 0, len);
	caller.size = size;
	rc = row->give(&caller);
	for (i = len; i < sizeof(caller) && caller.bytes[i] == GARBAGE; i++)
		continue;
	ck_assert_msg(i == sizeof(caller),
		      "%s of %zu bytes: byte %zu was written", row->name, size,
		      i);
	ck_assert_uint_eq(caller.size, size);
	return rc;
}

static void
expect(const struct row *row, size_t size, int want)
{
	int rc = give(row, size);

	ck_assert_msg(rc == want, "%s of %zu bytes: got %d (%s), not %d",
		      row->name, size, rc, vmmem_strerror(rc), want);
}

START_TEST(the_first_version_is_taken)
{
	ck_assert_uint_le(rows[_i].first, rows[_i].now);
	expect(&rows[_i], rows[_i].first, 0);
}
END_TEST

START_TEST(each_size_between_is_taken)
{
	size_t size;

	for (size = rows[_i].first; size <= rows[_i].now; size++)
		expect(&rows[_i], size, 0);
}
END_TEST

START_TEST(a_newer_one_that_is_zero_behind_is_taken)
{
	static const size_t more[] = { 1, 4, 8, 16, 64, 1000 };
	size_t i;

	for (i = 0; i < ARRAY_LEN(more); i++)
		expect(&rows[_i], rows[_i].now + more[i], 0);
	expect(&rows[_i], SIZE_MOST, 0);
}
END_TEST

/* set() is give() with one byte of a long struct set: its code. */
static int
set(const struct row *row, size_t size, size_t at)
{
	memset(caller.bytes, GARBAGE, sizeof(caller));
	memset(caller.bytes, 0, size);
	caller.size = size;
	caller.bytes[at] = 1;
	return row->give(&caller);
}

/* Far behind what a next release may have: nobody knows these bytes. */
START_TEST(a_newer_one_that_uses_what_is_unknown_is_refused)
{
	static const size_t sizes[] = { 1024, 2048, SIZE_MOST };
	const struct row *row = &rows[_i];
	size_t i, at;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		for (at = sizes[i] - 9; at < sizes[i]; at++) {
			/* What the library fills in has no such refusal. */
			if (row->filled) {
				assert_ok(set(row, sizes[i], at));
				ck_assert_uint_eq(caller.bytes[at], 0);
			} else {
				assert_code(set(row, sizes[i], at),
					    VMMEM_ESTRUCTNEWER);
			}
		}
	}
}
END_TEST

START_TEST(what_is_no_size_is_refused)
{
	const struct row *row = &rows[_i];
	const size_t sizes[] = { 0, 1, sizeof(size_t), row->first / 2,
				 row->first - 1, SIZE_MOST + 1,
				 sizeof(caller), SIZE_MAX / 2, SIZE_MAX };
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++)
		expect(row, sizes[i], VMMEM_ESTRUCTSIZE);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("sized_structs");
	TCase *tcase = tcase_create("each");
	const int count = (int)ARRAY_LEN(rows);

	/* Sanitizers and valgrind take their time. */
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, the_first_version_is_taken, 0, count);
	tcase_add_loop_test(tcase, each_size_between_is_taken, 0, count);
	tcase_add_loop_test(tcase, a_newer_one_that_is_zero_behind_is_taken,
			    0, count);
	tcase_add_loop_test(
		tcase, a_newer_one_that_uses_what_is_unknown_is_refused, 0,
		count);
	tcase_add_loop_test(tcase, what_is_no_size_is_refused, 0, count);
	suite_add_tcase(suite, tcase);
	return suite;
}
