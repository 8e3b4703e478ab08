/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The machine's memory.  All functions return 0 or a code of the library. */
#ifndef MEMORY_H
#define MEMORY_H

#include <vmmem/vmmem.h>

/* A space with low RAM, and the ROM with the guest's program twice. */
int memory_at_power_on(struct vmmem_space **ret_space);

/* The RAM that is plugged in later, and out again. */
int memory_insert_hotplug(struct vmmem_space *space);
int memory_remove_hotplug(struct vmmem_space *space,
			  struct vmmem_region **ret_region);

#endif
