/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Whether faults can be survived. */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>

/*
 * vmmem_fault_has_table() tells whether the linker has left the table of ways
 * out in the library: this file's part of it, and where nothing has it kept
 * those of others, too, as a linker may leave one.
 */
bool vmmem_fault_has_table(void);

#endif
