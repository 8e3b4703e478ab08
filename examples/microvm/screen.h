/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What the user sees, and the count of checks behind the verdict. */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdbool.h>
#include <vmmem/vmmem.h>

#include "machine.h"

/* Before any output. */
void screen_init(void);

void screen_heading(const char *format, ...)
	__attribute__((__format__(__printf__, 1, 2)));

/* Prints 'map' as a table. */
void screen_map(const char *title, const struct vmmem_collection *map);

/* Prints an exit, in one line. */
void screen_exit(const struct vcpu_exit *exit);

/* Prints and counts one fact that should hold.  Returns 'holds'. */
bool screen_check(bool holds, const char *format, ...)
	__attribute__((__format__(__printf__, 2, 3)));

/* Prints what is worth knowing, and another each time. */
void screen_info(const char *format, ...)
	__attribute__((__format__(__printf__, 1, 2)));

/*
 * Whether a call worked whose code is 'rc'.  If not, this prints why, and
 * counts as a check that failed.
 */
bool screen_worked(int rc, const char *what);

/* Prints the last line.  Returns the exit status. */
int screen_verdict(const char *machine);

#endif
