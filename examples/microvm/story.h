/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#ifndef STORY_H
#define STORY_H

#include "machine.h"

/*
 * Runs the guest on 'machine' from power-on to halt, and checks everything
 * that it does.  Returns whether the vCPU came to its end; what was found is
 * in the count of checks.
 */
bool story_tell(struct machine *machine);

#endif
