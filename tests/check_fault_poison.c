/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Memory that the hardware has lost, as the kernel makes it up on request.  It
 * takes rights to ask, and a page of the machine's memory each time.
 */
#include <signal.h>
#include <sys/prctl.h>

#include "guest.h"
#include "suite.h"

#define PAGES 8

static uint8_t *
memory_of(int flags)
{
	void *host = mmap(NULL, PAGES * page_size(), PROT_READ | PROT_WRITE,
			  flags | MAP_ANONYMOUS, -1, 0);

	return host != MAP_FAILED ? host : NULL;
}

const char *
skip_reason(void)
{
	uint8_t *host;
	int rc;

	if (vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS);
	host = memory_of(MAP_PRIVATE);
	if (host == NULL)
		return "out of memory";
	host[0] = 1;
	rc = madvise(host, page_size(), MADV_HWPOISON);
	munmap(host, PAGES * page_size());
	return rc == 0 ? NULL :
			 "needs the right, and a kernel, to poison memory "
			 "(CAP_SYS_ADMIN, CONFIG_MEMORY_FAILURE)";
}

static void
poisoned(int flags)
{
	const uint64_t page = page_size();
	uint8_t buf[64] = { 0 }, *host = memory_of(flags);
	struct vmmem_collection *map;
	struct vmmem_region *region;
	uint64_t offset, count;
	uint32_t kind;
	size_t done;

	ck_assert_ptr_nonnull(host);
	memset(host, 0x11, PAGES * page);
	assert_ok(vmmem_region_new_external(0, PAGES * page, host, &region));
	map = guest_of_one(vmmem_region_ref(region));
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));

	ck_assert_int_eq(madvise(host + 2 * page, page, MADV_HWPOISON), 0);
	assert_code(vmmem_collection_read(map, 2 * page - 7, buf, 64, &done),
		    VMMEM_EGONE);
	ck_assert_uint_eq(done, 7);
	ck_assert_uint_eq(buf[6], 0x11);
	ck_assert_uint_eq(buf[7], 0);
	assert_code(vmmem_collection_write(map, 2 * page - 7, buf, 64, &done),
		    VMMEM_EGONE);
	ck_assert_uint_eq(done, 7);
	assert_ok(vmmem_region_fault_last(region, &offset, &kind));
	ck_assert_uint_eq(kind, VMMEM_FAULT_KIND_POISON);
	ck_assert_uint_eq(offset, 2 * page);
	count = vmmem_region_fault_count(region);
	ck_assert_uint_ge(count, 2);
	/* The other pages are as good as ever. */
	assert_ok(vmmem_collection_read(map, 3 * page, buf, 64, &done));
	ck_assert_uint_eq(buf[0], 0x11);

	/* Who wants to know early is told before anybody touches it. */
	ck_assert_int_eq(prctl(PR_MCE_KILL, PR_MCE_KILL_SET,
			       PR_MCE_KILL_EARLY, 0, 0), 0);
	ck_assert_int_eq(madvise(host + 4 * page, page, MADV_HWPOISON), 0);
	assert_ok(vmmem_region_fault_last(region, &offset, &kind));
	ck_assert_uint_eq(kind, VMMEM_FAULT_KIND_POISON_AHEAD);
	ck_assert_uint_eq(offset, 4 * page);
	ck_assert_uint_eq(vmmem_region_fault_count(region), count + 1);
	ck_assert_int_eq(prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0), 0);

	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	munmap(host, PAGES * page);
}

START_TEST(private_memory)
{
	poisoned(MAP_PRIVATE);
}
END_TEST

START_TEST(shared_memory)
{
	poisoned(MAP_SHARED);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault, poison");
	TCase *tcase = tcase_create("poison");

	tcase_add_test(tcase, private_memory);
	tcase_add_test(tcase, shared_memory);
	suite_add_tcase(suite, tcase);
	return suite;
}
