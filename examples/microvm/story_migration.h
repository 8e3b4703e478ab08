/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#ifndef STORY_MIGRATION_H
#define STORY_MIGRATION_H

#include "host.h"

/*
 * The chapter in which the running guest moves to another machine.  '*host' is
 * that machine's afterwards.
 */
bool story_migration(struct host *host);

#endif
