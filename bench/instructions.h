/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What bench/instructions.c has from the file that includes inline.h. */
#ifndef INSTRUCTIONS_H
#define INSTRUCTIONS_H

#include <vmmem/reader.h>
#include <vmmem/slice.h>

/* inline_slice_load() is one load that is compiled into its caller. */
int inline_slice_load(const struct vmmem_slice *slice, uint64_t offset);

/* inline_enter_leave() is the pair, likewise. */
void inline_enter_leave(struct vmmem_reader *reader);

#endif
