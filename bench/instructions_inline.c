/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <vmmem/inline.h>

#include "instructions.h"

int
inline_slice_load(const struct vmmem_slice *slice, uint64_t offset)
{
	uint64_t value;
	int rc;

	rc = vmmem_slice_load_u64(slice, offset, VMMEM_ORDER_RELAXED, &value);
	__asm__ volatile("" ::"r"(value));
	return rc;
}

void
inline_enter_leave(struct vmmem_reader *reader)
{
	struct vmmem_collection *map = vmmem_reader_enter(reader);

	__asm__ volatile("" ::"r"(map) : "memory");
	vmmem_reader_leave(reader);
}
