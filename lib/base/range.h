/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The one form in which the library asks whether a range lies within an
 * object.  An object is 'span' = length - 1, so that one which ends at
 * 2^64 - 1 needs no 65th bit.
 */
#ifndef RANGE_H
#define RANGE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * vmmem_range_within() tells whether the 'len' bytes from 'offset' on lie
 * within an object.  'offset' is at most 'span' and 'len' is not 0.
 */
static inline bool
vmmem_range_within(uint64_t span, uint64_t offset, uint64_t len)
{
	return len - 1 <= span - offset;
}

#endif
