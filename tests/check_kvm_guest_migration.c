/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A running guest of two vCPUs is moved to another machine by KVM's dirty log,
 * cleared when it is read or apart.  See kvm/mover.h.  With rings:
 * check_kvm_guest_ring.c.
 */
#include "suite.h"

#ifdef __x86_64__

#include "kvm/mover.h"
#include "rng.h"

#include <vmmem/kvm.h>

const char *
skip_reason(void)
{
	return vm_missing(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
			  "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2");
}

static const uint32_t logs[] = {
	VMMEM_KVM_LOG_GET, VMMEM_KVM_LOG_CLEAR, VMMEM_KVM_LOG_ALL_SET,
};

START_TEST(guest_moves)
{
	for (uint64_t i = 0; i < rng_rounds(5) && i < MOST_MOVES; i++)
		move_guest(logs[_i], i % 2 == 0 ? SLOW : FAST);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, guest_moves, 0, ARRAY_LEN(logs));
}

#else

const char *
skip_reason(void)
{
	return "the guest is x86, this machine is not";
}

static void
add_tests(TCase *tcase)
{
	(void)tcase;
}

#endif

Suite *
make_suite(void)
{
	Suite *suite = suite_create("kvm_guest_migration");
	TCase *tcase = tcase_create("kvm_guest_migration");

	tcase_set_timeout(tcase, 0);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	return suite;
}
