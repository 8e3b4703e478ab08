/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A running guest of two vCPUs is moved to another machine by KVM's dirty
 * rings; also by one that may lose what is in them.  See kvm/mover.h.
 */
#include "suite.h"

#ifdef __x86_64__

#include "kvm/mover.h"
#include "rng.h"

#include <vmmem/kvm.h>

const char *
skip_reason(void)
{
	return vm_missing(KVM_CAP_DIRTY_LOG_RING, "KVM_CAP_DIRTY_LOG_RING");
}

START_TEST(guest_moves)
{
	for (uint64_t i = 0; i < rng_rounds(5) && i < MOST_MOVES; i++)
		move_guest(VMMEM_KVM_LOG_RING, i % 2 == 0 ? SLOW : FAST);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_test(tcase, guest_moves);
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
	Suite *suite = suite_create("kvm_guest_ring");
	TCase *tcase = tcase_create("kvm_guest_ring");

	tcase_set_timeout(tcase, 0);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	return suite;
}
