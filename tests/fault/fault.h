/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What the tests that make calls fail have in common. */
#ifndef FAULT_H
#define FAULT_H

#include <check.h>
#include <errno.h>
#include <stdbool.h>

#include <vmmem/vmmem.h>

#include "inject.h"
#include "inject_locks.h"

/*
 * What a scenario asserts with.  Check's own assertions allocate, and would be
 * made to fail in the library's place.
 */
#define REQUIRE(condition)                                                 \
	do {                                                               \
		if (!(condition)) {                                        \
			inject_stop();                                     \
			ck_abort_msg("%s", #condition);                    \
		}                                                          \
	} while (0)

/*
 * A scenario uses the library, gives back all that it got, whether it failed
 * or not, and returns the first code that was not 0.  It asserts that a call
 * that failed left its outputs alone.
 */
typedef int (*scenario_fn)(void);

/*
 * fault_sweep() runs 'scenario' with the first call failing, then with the
 * second, and so on until no call is left; for several values of errno; and
 * all again with every munmap() and close() failing on top.  Each time it must
 * return what failed, leave nothing behind, and succeed when it is run again.
 * 'baseline' is what it returns if nothing is made to fail.
 */
void fault_sweep(scenario_fn scenario, int baseline);

/*
 * fault_survived is a list, which NULL ends, of functions that the scenario can
 * do without: it must succeed if one of those fails.  NULL is none.
 */
extern const char *const *fault_survived;

/* fault_note() notes, for symbols.sh, that this function was made to fail. */
void fault_note(const char *function);

/*
 * fault_call() makes the first call of 'function' in 'scenario' fail with
 * 'error', and no other, and returns what the scenario does.
 */
int fault_call(scenario_fn scenario, const char *function, int error);

/* What outputs are set to before a call. */
extern struct vmmem_region *const no_region;
extern struct vmmem_collection *const no_collection;

/* These assert that the output of a call that returned 'rc' is as it was. */
int failed_region(int rc, const struct vmmem_region *region);
int failed_collection(int rc, const struct vmmem_collection *collection);

/* fault_file() is a file of two pages, open as long as the test runs. */
int fault_file(void);
uint64_t fault_page(void);

#endif
