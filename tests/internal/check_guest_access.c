/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Single accesses to memory that is gone: whoever makes one finds itself on the
 * way out, with what it has there.  gcc 12.2 lost it, see VMMEM_GUEST_LANDING:
 * so these are the callers that are most like that.
 */
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/vmmem.h>

#include "guest/guest_access.h"
#include "suite.h"

static unsigned char *gone, *there;

const char *
skip_reason(void)
{
	if (vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS);
	return NULL;
}

static void
setup(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const int fd = memfd_create("gone", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)page), 0);
	there = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(there, MAP_FAILED);
	close(fd);
	gone = there + page;
	ck_assert_int_eq(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS), 0);
}

static void
teardown(void)
{
	ck_assert_int_eq(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS), 0);
}

#define NOINLINE __attribute__((__noinline__))

/* A value if there is one, else a constant; the same with work between. */
#define CALLERS(bits)                                                      \
	static NOINLINE uint##bits##_t or_zero_##bits(const void *guest)   \
	{                                                                  \
		uint##bits##_t value;                                      \
                                                                           \
		if (!vmmem_guest_load_acquire_##bits(guest, &value))       \
			return 0;                                          \
		return value;                                              \
	}                                                                  \
                                                                           \
	static NOINLINE uint##bits##_t or_seven_##bits(const void *guest)  \
	{                                                                  \
		uint##bits##_t value;                                      \
                                                                           \
		return vmmem_guest_load_##bits(guest, &value) ? value : 7; \
	}                                                                  \
                                                                           \
	/* Whether it is there is all that is asked. */                    \
	static NOINLINE bool is_there_##bits(const void *guest)            \
	{                                                                  \
		uint##bits##_t value;                                      \
                                                                           \
		return vmmem_guest_load_##bits(guest, &value);             \
	}                                                                  \
                                                                           \
	static NOINLINE uint##bits##_t exchanged_##bits(void *guest)       \
	{                                                                  \
		uint##bits##_t value;                                      \
                                                                           \
		return vmmem_guest_exchange_##bits(guest, 99, &value) ?    \
			       value :                                     \
			       7;                                          \
	}                                                                  \
                                                                           \
	static NOINLINE uint##bits##_t added_##bits(void *guest)           \
	{                                                                  \
		uint##bits##_t value;                                      \
                                                                           \
		return vmmem_guest_fetch_add_##bits(guest, 1, &value) ?    \
			       value :                                     \
			       7;                                          \
	}                                                                  \
                                                                           \
	static NOINLINE uint##bits##_t compared_##bits(void *guest)        \
	{                                                                  \
		uint##bits##_t seen;                                       \
                                                                           \
		return vmmem_guest_compare_exchange_##bits(guest, 100, 50, \
							   &seen) ?        \
			       seen :                                      \
			       7;                                          \
	}                                                                  \
                                                                           \
	static NOINLINE int stored_##bits(void *guest)                     \
	{                                                                  \
		return vmmem_guest_store_##bits(guest, 50) &&              \
				       vmmem_guest_store_release_##bits(   \
					       guest, 51) ?                \
			       1 :                                         \
			       2;                                          \
	}                                                                  \
                                                                           \
	START_TEST(accesses_##bits)                                        \
	{                                                                  \
		ck_assert_uint_eq(or_zero_##bits(gone), 0);                \
		ck_assert_uint_eq(or_seven_##bits(gone), 7);               \
		ck_assert(!is_there_##bits(gone));                         \
		ck_assert_uint_eq(exchanged_##bits(gone), 7);              \
		ck_assert_uint_eq(added_##bits(gone), 7);                  \
		ck_assert_uint_eq(compared_##bits(gone), 7);               \
		ck_assert_int_eq(stored_##bits(gone), 2);                  \
                                                                           \
		ck_assert_int_eq(stored_##bits(there), 1);                 \
		ck_assert_uint_eq(or_zero_##bits(there), 51);              \
		ck_assert_uint_eq(or_seven_##bits(there), 51);             \
		ck_assert(is_there_##bits(there));                         \
		ck_assert_uint_eq(exchanged_##bits(there), 51);            \
		ck_assert_uint_eq(added_##bits(there), 99);                \
		ck_assert_uint_eq(compared_##bits(there), 100);            \
		ck_assert_uint_eq(or_zero_##bits(there), 50);              \
	}                                                                  \
	END_TEST

CALLERS(8)
CALLERS(16)
CALLERS(32)
CALLERS(64)

Suite *
make_suite(void)
{
	Suite *suite = suite_create("guest_access");
	TCase *tcase = tcase_create("guest_access");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, accesses_8);
	tcase_add_test(tcase, accesses_16);
	tcase_add_test(tcase, accesses_32);
	tcase_add_test(tcase, accesses_64);
	suite_add_tcase(suite, tcase);
	return suite;
}
