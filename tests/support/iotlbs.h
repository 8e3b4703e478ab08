/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#ifndef IOTLBS_H
#define IOTLBS_H

#include <vmmem/iotlb.h>

/* An iotlb with so many entries, which evicts. */
static inline int
iotlb_of(size_t capacity, struct vmmem_iotlb **ret_iotlb)
{
	const struct vmmem_iotlb_options options = {
		.size = sizeof(options),
		.capacity = capacity,
	};

	return vmmem_iotlb_new(&options, ret_iotlb);
}

#endif
