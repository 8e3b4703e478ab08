/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What /proc/self/smaps says of a range of host addresses. */
#ifndef SMAPS_H
#define SMAPS_H

#include <stdint.h>

/*
 * vmmem_smaps_huge() adds up how many bytes of [first, last] this process has
 * mapped in huge pages; UINT64_MAX if it cannot be told.  The system goes over
 * all that the process has mapped at lower addresses, too, and no further.
 *
 * Returns 0 or -errno: -ENOENT if there is no such file.
 */
int vmmem_smaps_huge(uint64_t first, uint64_t last, uint64_t *ret_bytes);

#endif
