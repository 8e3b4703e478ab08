/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Surviving faults, with each call on the way failing once: what was not
 * installed changes nothing, what could not be put back still works; and a
 * region for which there is no record is not made.
 */
#include "fault.h"
#include "suite.h"

#include <signal.h>
#include <string.h>

#define BOTH (VMMEM_FAULT_SIGNAL_BUS | VMMEM_FAULT_SIGNAL_SEGV)

/* What cannot be made to fail. */
int __real_sigaction(int number, const struct sigaction *action,
		     struct sigaction *ret_old);

static const int numbers[] = { SIGBUS, SIGSEGV };
static _Alignas(16) unsigned char memory[16];

static bool
is_as(const struct sigaction *before)
{
	struct sigaction now;
	size_t i;

	for (i = 0; i < 2; i++) {
		__real_sigaction(numbers[i], NULL, &now);
		if (now.sa_handler != before[i].sa_handler ||
		    now.sa_flags != before[i].sa_flags)
			return false;
	}
	return true;
}

static int
handlers(void)
{
	struct sigaction before[2];
	int rc, again;
	size_t i;

	for (i = 0; i < 2; i++)
		__real_sigaction(numbers[i], NULL, &before[i]);
	rc = vmmem_fault_enable(BOTH);
	if (rc != 0) {
		REQUIRE(is_as(before));
		REQUIRE(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS) == VMMEM_EARGUMENT);
		REQUIRE(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_SEGV) ==
			VMMEM_EARGUMENT);
		return rc;
	}
	REQUIRE(!is_as(before));
	rc = vmmem_fault_disable(BOTH);
	if (rc != 0) {
		/* Nothing, or the first of the two, was undone. */
		REQUIRE(!is_as(before));
		again = vmmem_fault_disable(BOTH);
		if (again == VMMEM_EARGUMENT)
			again = vmmem_fault_disable(VMMEM_FAULT_SIGNAL_SEGV);
		REQUIRE(again == 0);
	}
	REQUIRE(is_as(before));
	return rc;
}

START_TEST(test_handlers)
{
	if (vmmem_fault_enable(BOTH) == VMMEM_ENOSUPPORT)
		return;
	ck_assert_int_eq(vmmem_fault_disable(BOTH), 0);
	fault_sweep(handlers, 0);
}
END_TEST

/*
 * Records are kept for the next region, so this is no sweep: one array of them
 * is allocated when the first is used up, and stays.
 */
#define REGIONS 65

START_TEST(test_records)
{
	struct vmmem_region *regions[REGIONS], *last = no_region;
	unsigned int i, made = 0;
	int rc;

	for (i = 0; i + 1 < REGIONS; i++)
		ck_assert_int_eq(vmmem_region_new_external(0, 16, memory,
							   &regions[i]), 0);
	do {
		inject_start(made + 1, 0, false);
		rc = vmmem_region_new_external(0, 16, memory, &last);
		inject_stop();
		made++;
		if (inject_fired() == NULL)
			break;
		ck_assert_int_eq(rc, -ENOMEM);
		failed_region(rc, last);
		ck_assert_uint_eq(inject_live().allocations, 0);
	} while (made < 10);
	ck_assert_int_eq(rc, 0);
	/* The region, and the array. */
	ck_assert_uint_eq(made, 3);
	ck_assert_uint_eq(inject_live().allocations, 2);
	ck_assert_uint_eq(vmmem_region_fault_count(last), 0);
	vmmem_region_unref(last);
	for (i = 0; i + 1 < REGIONS; i++)
		vmmem_region_unref(regions[i]);
	ck_assert_uint_eq(inject_live().allocations, 1);
}
END_TEST

static unsigned int late_calls;

static void
late(int number)
{
	(void)number;
	late_calls++;
}

/* Another thread installs a handler after the first look, and before ours. */
static void
install_late(const char *function)
{
	static unsigned int looks;
	struct sigaction action;

	if (strcmp(function, "sigaction") != 0 || ++looks != 2)
		return;
	memset(&action, 0, sizeof(action));
	action.sa_handler = late;
	REQUIRE(__real_sigaction(SIGBUS, &action, NULL) == 0);
}

/* It is the one that a signal of others is passed on to, and put back. */
START_TEST(test_late_handler)
{
	struct sigaction now;

	if (vmmem_fault_enable(BOTH) == VMMEM_ENOSUPPORT)
		return;
	ck_assert_int_eq(vmmem_fault_disable(BOTH), 0);
	inject_start(0, 0, false);
	inject_before(install_late);
	ck_assert_int_eq(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS), 0);
	inject_stop();
	__real_sigaction(SIGBUS, NULL, &now);
	ck_assert(now.sa_handler != late);
	ck_assert_int_eq(raise(SIGBUS), 0);
	ck_assert_uint_eq(late_calls, 1);
	ck_assert_int_eq(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS), 0);
	__real_sigaction(SIGBUS, NULL, &now);
	ck_assert(now.sa_handler == late);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, handlers");
	TCase *tcase = tcase_create("handlers");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, test_handlers);
	tcase_add_test(tcase, test_records);
	tcase_add_test(tcase, test_late_handler);
	suite_add_tcase(suite, tcase);
	return suite;
}
