/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#ifndef STORY_H
#define STORY_H

#include "machine.h"

/*
 * Runs the guest on 'machine', which it takes over, from power-on to halt, and
 * checks everything that it does.  What was found is in the count of checks.
 * If the story ends early, the guest may still run; its machine is not freed
 * then, and ends with the process.
 */
bool story_tell(struct machine *machine);

#endif
