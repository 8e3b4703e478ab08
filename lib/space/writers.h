/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The lock of a space's writers.  No thread owns it: one may lock it and
 * another unlock it, as an update may be begun on one thread and ended on
 * another, which a mutex of POSIX does not permit.
 */
#ifndef WRITERS_H
#define WRITERS_H

#include <stdint.h>

/* A lock of zero bytes is free. */
struct vmmem_writers {
	uint32_t state;
};

/*
 * vmmem_writers_lock() waits until the lock is free, for 'timeout_ns' or for
 * ever.  Returns 0 or VMMEM_ETIMEOUT.
 */
int vmmem_writers_lock(struct vmmem_writers *writers, uint64_t timeout_ns);
void vmmem_writers_unlock(struct vmmem_writers *writers);

#endif
