/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What /proc/self/smaps says of a range of host addresses. */
#ifndef SMAPS_H
#define SMAPS_H

#include <stdint.h>

struct vmmem_smaps {
	uint64_t huge; /* bytes in huge pages; UINT64_MAX: cannot be told */
	uint64_t locked;
};

/*
 * vmmem_smaps_read() sums up what is mapped at [first, last].  Returns 0 or
 * -errno: -ENOENT if the system has no such file.
 */
int vmmem_smaps_read(uint64_t first, uint64_t last,
		     struct vmmem_smaps *ret_smaps);

#endif
