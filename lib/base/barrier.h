/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A full memory barrier on every thread of this process.  The caller pays for
 * it, so that writers need no barrier of their own: see docs/marking.md.
 */
#ifndef BARRIER_H
#define BARRIER_H

#include <stdbool.h>

/*
 * vmmem_barrier_available() registers the process for vmmem_barrier(), as the
 * kernel wants, and tells whether that worked.
 */
bool vmmem_barrier_available(void);

/* vmmem_barrier() returns 0, or -errno; then there was no barrier. */
int vmmem_barrier(void);

#endif
