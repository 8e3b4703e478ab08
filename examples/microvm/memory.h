/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The machine's memory.  All functions return 0 or a code of the library. */
#ifndef MEMORY_H
#define MEMORY_H

#include <vmmem/vmmem.h>

/* Low RAM, and the ROM with the guest's program at two addresses. */
int memory_at_power_on(struct vmmem_collection **ret_map);

/* A new map: 'map' and the RAM that is plugged in later. */
int memory_with_hotplug(const struct vmmem_collection *map,
			struct vmmem_collection **ret_map);

#endif
