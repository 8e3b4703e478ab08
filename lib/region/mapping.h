/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The mappings of this process, one by one. */
#ifndef MAPPING_H
#define MAPPING_H

#include <stdbool.h>
#include <stdint.h>

struct vmmem_mapping {
	uint64_t first; /* address */
	uint64_t last;
	bool shared;
	bool has_file; /* also a memfd, and shared memory without a name */
};

/*
 * vmmem_mapping_at() finds the mapping that holds 'address', or the next one.
 * It costs some microseconds from Linux 6.11 on, and with older systems as much
 * as there are mappings below.
 *
 * Returns 0; VMMEM_ENOREGION if there is none; VMMEM_ENOSUPPORT if the system
 * does not tell; or -errno.
 */
int vmmem_mapping_at(uint64_t address, struct vmmem_mapping *ret_mapping);

#endif
