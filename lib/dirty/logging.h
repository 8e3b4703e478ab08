/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The question that each writer asks after it has written. */
#ifndef LOGGING_H
#define LOGGING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/api.h"

/*
 * vmmem_logging_wants() tells whether what the calling thread has written is to
 * be marked.  'logging' is the first word of a bitmap, or a word that is always
 * 0.
 */
static VMMEM_ALWAYS_INLINE bool
vmmem_logging_wants(const uint32_t *logging)
{
	/*
	 * No instruction: keeps the compiler from asking before it writes.
	 * The processor may ask early; the thread that starts logging waits
	 * for it, by a barrier on every thread.
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* Relaxed: for the same reason. */
	return __atomic_load_n(logging, __ATOMIC_RELAXED) != 0;
}

#endif
