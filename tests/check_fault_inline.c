/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Memory that is gone has one code, whether a program has included
 * vmmem/inline.h or not: slices that are made while faults are caught have the
 * accessors go through the library, and so do all slices of a file that may be
 * cut short.  Other slices that were made before do not.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/inline.h>

#include "guest.h"
#include "suite.h"

#define READ_WRITE (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

const char *
skip_reason(void)
{
	if (vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS);
	return NULL;
}

static struct vmmem_region *region;
static struct vmmem_collection *guest;
static struct vmmem_slice before, slice;
static sigjmp_buf out;
static unsigned int calls;
static uint64_t page;
static int fd;

/* What the compiler cannot see through is a call. */
static int (*volatile exported_load)(const struct vmmem_slice *, uint64_t, int,
				     uint64_t *) = vmmem_slice_load_u64;
static int (*volatile exported_write)(const struct vmmem_slice *, uint64_t,
				      uint32_t) = vmmem_slice_write_le32;

static void
on_bus(int number)
{
	(void)number;
	calls++;
	siglongjmp(out, 1);
}

static void
setup(void)
{
	page = page_size();
	fd = file_of(2 * page);
	assert_ok(vmmem_region_new_file(0, 2 * page, fd, 0, &region));
	assert_ok(vmmem_collection_new(&region, 1, &guest));
	assert_ok(vmmem_region_slice(region, 0, 2 * page, READ_WRITE, &before));
	ck_assert_int_eq(ftruncate(fd, (off_t)page), 0);
	signal(SIGBUS, on_bus);
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
	assert_ok(vmmem_region_slice(region, 0, 2 * page, READ_WRITE, &slice));
}

static void
teardown(void)
{
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	vmmem_collection_unref(guest);
	vmmem_region_unref(region);
	close(fd);
}

/* What an accessor says of memory that is gone, and of memory that is not. */
#define GONE(bits, call)                                                   \
	do {                                                               \
		uint##bits##_t value = 42;                                 \
                                                                           \
		(void)value;                                               \
		at = page;                                                 \
		assert_code(call, VMMEM_EGONE);                            \
		ck_assert_uint_eq(value, 42);                              \
		at = page - 8;                                             \
		assert_ok(call);                                           \
	} while (0)

#define GONE_ATOMICS(bits)                                                 \
	do {                                                               \
		GONE(bits, vmmem_slice_load_u##bits(                       \
				   &slice, at, VMMEM_ORDER_ACQUIRE,        \
				   &value));                               \
		GONE(bits, vmmem_slice_store_u##bits(                      \
				   &slice, at, 1, VMMEM_ORDER_RELEASE));   \
		GONE(bits, vmmem_slice_exchange_u##bits(                   \
				   &slice, at, 2, VMMEM_ORDER_RELAXED,     \
				   &value));                               \
		GONE(bits, vmmem_slice_fetch_add_u##bits(                  \
				   &slice, at, 3, VMMEM_ORDER_RELAXED,     \
				   &value));                               \
		GONE(bits, vmmem_slice_fetch_or_u##bits(                   \
				   &slice, at, 4, VMMEM_ORDER_RELAXED,     \
				   &value));                               \
		GONE(bits, vmmem_slice_fetch_and_u##bits(                  \
				   &slice, at, 5, VMMEM_ORDER_RELAXED,     \
				   &value));                               \
		GONE(bits, vmmem_slice_compare_exchange_u##bits(           \
				   &slice, at, 6, 7, VMMEM_ORDER_SEQ_CST,  \
				   VMMEM_ORDER_RELAXED, &value));          \
	} while (0)

#define GONE_ORDERED(type, bits)                                           \
	do {                                                               \
		GONE(bits, vmmem_slice_load_##type(                        \
				   &slice, at, VMMEM_ORDER_ACQUIRE,        \
				   &value));                               \
		GONE(bits, vmmem_slice_store_##type(                       \
				   &slice, at, 1, VMMEM_ORDER_RELEASE));   \
	} while (0)

#define GONE_INTEGER(type, bits)                                           \
	do {                                                               \
		GONE(bits, vmmem_slice_read_##type(&slice, at, &value));   \
		GONE(bits, vmmem_slice_write_##type(&slice, at, 8));       \
	} while (0)

START_TEST(each_accessor)
{
	uint64_t at;

	GONE_ATOMICS(8);
	GONE_ATOMICS(16);
	GONE_ATOMICS(32);
	GONE_ATOMICS(64);
	GONE_ORDERED(le16, 16);
	GONE_ORDERED(le32, 32);
	GONE_ORDERED(le64, 64);
	GONE_ORDERED(be16, 16);
	GONE_ORDERED(be32, 32);
	GONE_ORDERED(be64, 64);
	GONE_INTEGER(u8, 8);
	GONE_INTEGER(u16, 16);
	GONE_INTEGER(u32, 32);
	GONE_INTEGER(u64, 64);
	GONE_INTEGER(le16, 16);
	GONE_INTEGER(le32, 32);
	GONE_INTEGER(le64, 64);
	GONE_INTEGER(be16, 16);
	GONE_INTEGER(be32, 32);
	GONE_INTEGER(be64, 64);
	ck_assert_uint_eq(calls, 0);
}
END_TEST

/* expect_gone() is for a slice of the second page, however it was made. */
static void
expect_gone(const struct vmmem_slice *made)
{
	uint16_t value = 42;

	ck_assert_uint_eq(made->access, READ_WRITE | VMMEM_SLICE_CALL);
	assert_code(vmmem_slice_load_u16(made, 0, VMMEM_ORDER_ACQUIRE, &value),
		    VMMEM_EGONE);
	assert_code(vmmem_slice_write_le16(made, 0, 1), VMMEM_EGONE);
	ck_assert_uint_eq(value, 42);
	ck_assert_uint_eq(calls, 0);
}

START_TEST(each_maker)
{
	const struct vmmem_range range = { page, page };
	struct vmmem_slice made, second;
	size_t count;

	assert_ok(vmmem_collection_slice(guest, page, page, READ_WRITE, &made));
	expect_gone(&made);
	assert_ok(vmmem_collection_next_slice(guest, page, page, READ_WRITE,
					      &made));
	expect_gone(&made);
	assert_ok(vmmem_collection_slice_list(guest, &range, 1, READ_WRITE,
					      &made, 1, &count, NULL));
	expect_gone(&made);
	assert_ok(vmmem_slice_sub(&slice, page, page, &made));
	expect_gone(&made);
	assert_ok(vmmem_slice_skip(&slice, page, &made));
	expect_gone(&made);
	assert_ok(vmmem_slice_split(&slice, page, &made, &second));
	expect_gone(&second);
	/* The bit is the library's: nobody asks for it. */
	assert_code(vmmem_region_slice(region, 0, 8,
				       READ_WRITE | VMMEM_SLICE_CALL, &made),
		    VMMEM_EARGUMENT);
	vmmem_slice_release(&second);
	ck_assert_uint_eq(second.len, 0);
}
END_TEST

/* The translation leads to the same memory. */
START_TEST(through_an_iommu)
{
	struct vmmem_collection *seen;
	struct vmmem_iommu *iommu;
	struct vmmem_iotlb *iotlb;
	struct vmmem_slice made;

	assert_ok(vmmem_iotlb_new(NULL, &iotlb));
	assert_ok(vmmem_iommu_new(iotlb, NULL, &iommu));
	assert_ok(vmmem_collection_new_translated(iommu, guest, &seen));
	assert_ok(vmmem_iotlb_map(iotlb, 16 * page, page, page, READ_WRITE));
	assert_ok(vmmem_collection_slice(seen, 16 * page, page, READ_WRITE,
					 &made));
	expect_gone(&made);
	ck_assert_uint_eq(made.gpa, page);
	vmmem_collection_unref(seen);
	vmmem_iommu_unref(iommu);
	vmmem_iotlb_unref(iotlb);
}
END_TEST

/* The bit comes with the first of the signals, and goes with the last. */
START_TEST(while_enabled)
{
	struct vmmem_region *plain;
	struct vmmem_slice made;

	assert_ok(vmmem_region_new_anonymous(0, page, &plain));
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_SEGV));
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	assert_ok(vmmem_region_slice(plain, 0, 8, READ_WRITE, &made));
	ck_assert_uint_eq(made.access, READ_WRITE | VMMEM_SLICE_CALL);
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_SEGV));
	assert_ok(vmmem_region_slice(plain, 0, 8, READ_WRITE, &made));
	ck_assert_uint_eq(made.access, READ_WRITE);
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
	vmmem_region_unref(plain);
}
END_TEST

/* access_of() is that of a slice of a file that is sealed so, by an alias. */
static uint32_t
access_of(int seals, uint32_t flags, int by_alias)
{
	int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *file, *alias;
	struct vmmem_slice made;

	ck_assert_int_ge(sealed, 0);
	ck_assert_int_eq(ftruncate(sealed, (off_t)page), 0);
	ck_assert_int_eq(fcntl(sealed, F_ADD_SEALS, seals), 0);
	vmmem_region_builder_set_range(builder, 0, page);
	vmmem_region_builder_set_file(builder, sealed, 0, flags);
	assert_ok(vmmem_region_builder_build(builder, &file));
	assert_ok(vmmem_region_new_alias(page, page, file, 0, &alias));
	assert_ok(vmmem_region_slice(by_alias ? alias : file, 0, 8, READ_WRITE,
				     &made));
	vmmem_region_builder_free(builder);
	vmmem_region_unref(alias);
	vmmem_region_unref(file);
	close(sealed);
	return made.access;
}

/* A file that may be cut short has the bit always, and no other memory. */
START_TEST(files_that_shrink)
{
	const uint32_t with = READ_WRITE | VMMEM_SLICE_CALL;
	struct vmmem_region *memfd;
	struct vmmem_slice made;
	int i;

	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	for (i = 0; i < 2; i++) {
		ck_assert_uint_eq(access_of(0, 0, i), with);
		ck_assert_uint_eq(access_of(F_SEAL_GROW, 0, i), with);
		ck_assert_uint_eq(access_of(0, VMMEM_FILE_PRIVATE, i), with);
		ck_assert_uint_eq(access_of(F_SEAL_SHRINK, 0, i), READ_WRITE);
	}
	assert_ok(vmmem_region_new_memfd(0, page, &memfd));
	assert_ok(vmmem_region_slice(memfd, 0, 8, READ_WRITE, &made));
	ck_assert_uint_eq(made.access, READ_WRITE);
	vmmem_region_unref(memfd);
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
}
END_TEST

/*
 * Neighbours in guest and host memory are no one slice if one of them needs the
 * bit and the other does not.
 */
START_TEST(no_slice_of_both)
{
	struct vmmem_collection *both;
	struct vmmem_region *parts[2];
	struct vmmem_slice made;
	unsigned char *host = before.host;
	uint64_t i;

	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	assert_ok(vmmem_region_new_alias(page, page, region, 0, &parts[0]));
	assert_ok(vmmem_region_new_external(2 * page, page, host + page,
					    &parts[1]));
	assert_ok(vmmem_collection_new(parts, 2, &both));
	for (i = 0; i < 2; i++) {
		assert_ok(vmmem_collection_next_slice(both, page + i * page,
						      (2 - i) * page,
						      READ_WRITE, &made));
		ck_assert_uint_eq(made.len, page);
		ck_assert_uint_eq(made.access,
				  i == 0 ? READ_WRITE | VMMEM_SLICE_CALL :
					   READ_WRITE);
	}
	vmmem_collection_unref(both);
	vmmem_region_unref(parts[0]);
	vmmem_region_unref(parts[1]);
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
}
END_TEST

/* The file may be cut short, so its slices need not be made after enabling. */
START_TEST(of_a_file_made_before)
{
	uint64_t value = 42;

	ck_assert_uint_eq(before.access, READ_WRITE | VMMEM_SLICE_CALL);
	assert_code(vmmem_slice_load_u64(&before, page, VMMEM_ORDER_RELAXED,
					 &value), VMMEM_EGONE);
	assert_code(vmmem_slice_write_le32(&before, page, 1), VMMEM_EGONE);
	ck_assert_uint_eq(value, 42);
	ck_assert_uint_eq(calls, 0);
}
END_TEST

/* What the library cannot know of: which is why enabling comes first. */
START_TEST(made_before)
{
	volatile unsigned int caught = 0;
	struct vmmem_region *external;
	struct vmmem_slice early;
	uint64_t value;

	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	assert_ok(vmmem_region_new_external(0, 2 * page, slice.host, &external));
	assert_ok(vmmem_region_slice(external, 0, 2 * page, READ_WRITE,
				     &early));
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
	ck_assert_uint_eq(early.access, READ_WRITE);
	if (sigsetjmp(out, 1) == 0 &&
	    vmmem_slice_load_u64(&early, page, VMMEM_ORDER_RELAXED,
				 &value) == VMMEM_EGONE)
		caught++;
	if (sigsetjmp(out, 1) == 0 &&
	    vmmem_slice_write_le32(&early, page, 1) == VMMEM_EGONE)
		caught++;
	/* Where the compiler has made a call of it, the library catches it. */
	printf("%u were inlined, %u were called\n", calls, caught);
	ck_assert_uint_eq(calls + caught, 2);
	ck_assert_uint_eq(vmmem_region_fault_count(external), caught);
	vmmem_region_unref(external);
}
END_TEST

START_TEST(called)
{
	uint32_t word = 7;
	uint64_t value;

	assert_code(exported_load(&before, page, VMMEM_ORDER_RELAXED, &value),
		    VMMEM_EGONE);
	assert_code(exported_write(&before, page, 1), VMMEM_EGONE);
	/* Misaligned: not one access, so it is left to the library. */
	assert_code(vmmem_slice_read_u32(&before, page + 1, &word),
		    VMMEM_EGONE);
	assert_code(vmmem_slice_fill(&before, page, 8, 1), VMMEM_EGONE);
	ck_assert_uint_eq(word, 7);
	ck_assert_uint_eq(calls, 0);
	ck_assert_uint_ge(vmmem_region_fault_count(region), 4);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault inline");
	TCase *tcase = tcase_create("inline");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, each_accessor);
	tcase_add_test(tcase, each_maker);
	tcase_add_test(tcase, through_an_iommu);
	tcase_add_test(tcase, while_enabled);
	tcase_add_test(tcase, files_that_shrink);
	tcase_add_test(tcase, no_slice_of_both);
	tcase_add_test(tcase, of_a_file_made_before);
	tcase_add_test(tcase, made_before);
	tcase_add_test(tcase, called);
	suite_add_tcase(suite, tcase);
	return suite;
}
