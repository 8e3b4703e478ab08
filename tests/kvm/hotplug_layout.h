/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What hotplug_guest.S and the tests that run it agree on: plain numbers, as
 * the assembler reads this too.
 */
#ifndef HOTPLUG_LAYOUT_H
#define HOTPLUG_LAYOUT_H

/* RAM that is always there, and the windows that come and go. */
#define RAM_LEN 0x10000
#define WINDOWS 4
#define WINDOW_SEGMENT 0x4000
#define WINDOW_STRIDE 0x1000 /* in segments */
#define WINDOW_GPA(i) ((WINDOW_SEGMENT + (i) * WINDOW_STRIDE) << 4)
#define WINDOW_LEN 0x2000

/*
 * The first page of a window has the host's pattern, which the guest leaves
 * alone.  In the second one the guest stores and counts, 32 bits wide.
 */
#define WINDOW_LAP 0x1000   /* the number of the lap */
#define WINDOW_COUNT 0x1010 /* incremented once per lap */
#define WINDOW_HOST 0x1020  /* and on: the host's threads write here */

/* In RAM. */
#define PROGRAM 0x1000
#define LAP 0x500  /* 32-bit: counts the laps */
#define TELL 0x504 /* not 0: report each lap; 0: one in 65536 */

/* After a lap: a 32-bit out to this port, of its number. */
#define REPORT_PORT 0x80

#endif
