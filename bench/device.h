/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A table of descriptors, as virtio has them. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdint.h>

#define DEVICE_RING 256
#define DEVICE_NEXT 1

struct device_descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

#endif
