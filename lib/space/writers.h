/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The lock of those who change a space.  It belongs to whoever locked it and
 * not to a thread: an update may be begun on one thread and ended on another,
 * which a mutex of POSIX does not permit.
 */
#ifndef WRITERS_H
#define WRITERS_H

#include <stdint.h>

/* All zero bytes are a lock that is free. */
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
