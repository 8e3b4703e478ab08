/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Huge pages of a range of host addresses, as /proc/self/smaps has them. */
#ifndef SMAPS_H
#define SMAPS_H

#include <stdint.h>

/*
 * vmmem_smaps_huge() adds up how many bytes of [first, last] this process has
 * mapped in huge pages; UINT64_MAX if that is not known.  The system also walks
 * over all mappings of the process at lower addresses, and no further.
 *
 * Returns 0 or -errno: -ENOENT if there is no such file.
 */
int vmmem_smaps_huge(uint64_t first, uint64_t last, uint64_t *ret_bytes);

#endif
