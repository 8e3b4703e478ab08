/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What vmmem/inline.h compiles into a program is the program's: its faults are
 * not caught, and go to the program's own handler.  Where it calls the
 * library, they are.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

#include <vmmem/inline.h>

#include "guest.h"
#include "suite.h"

const char *
skip_reason(void)
{
	if (vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS);
	return NULL;
}

static struct vmmem_region *region;
static struct vmmem_slice slice;
static sigjmp_buf out;
static unsigned int calls;
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
	const uint64_t page = page_size();

	fd = file_of(2 * page);
	assert_ok(vmmem_region_new_file(0, 2 * page, fd, 0, &region));
	assert_ok(vmmem_region_slice(region, 0, 2 * page,
				     VMMEM_PROT_READ | VMMEM_PROT_WRITE,
				     &slice));
	ck_assert_int_eq(ftruncate(fd, (off_t)page), 0);
	signal(SIGBUS, on_bus);
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));
}

static void
teardown(void)
{
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	vmmem_region_unref(region);
	close(fd);
}

START_TEST(inlined)
{
	volatile unsigned int caught = 0;
	uint64_t value;

	if (sigsetjmp(out, 1) == 0 &&
	    vmmem_slice_load_u64(&slice, page_size(), VMMEM_ORDER_RELAXED,
				 &value) == VMMEM_EGONE)
		caught++;
	if (sigsetjmp(out, 1) == 0 &&
	    vmmem_slice_write_le32(&slice, page_size(), 1) == VMMEM_EGONE)
		caught++;
	/* Where the compiler has made a call of it, the library catches it. */
	printf("%u were inlined, %u were called\n", calls, caught);
	ck_assert_uint_eq(calls + caught, 2);
	ck_assert_uint_eq(vmmem_region_fault_count(region), caught);
}
END_TEST

START_TEST(called)
{
	uint32_t word = 7;
	uint64_t value;

	assert_code(exported_load(&slice, page_size(), VMMEM_ORDER_RELAXED,
				  &value), VMMEM_EGONE);
	assert_code(exported_write(&slice, page_size(), 1), VMMEM_EGONE);
	/* Misaligned: not one access, so it is left to the library. */
	assert_code(vmmem_slice_read_u32(&slice, page_size() + 1, &word),
		    VMMEM_EGONE);
	assert_code(vmmem_slice_fill(&slice, page_size(), 8, 1), VMMEM_EGONE);
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
	tcase_add_test(tcase, inlined);
	tcase_add_test(tcase, called);
	suite_add_tcase(suite, tcase);
	return suite;
}
