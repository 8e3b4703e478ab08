/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What is said of a front end.  It may do wrong as often as it likes, and would
 * fill the disk that the log is on.
 */
#include "device.h"

#include <stdarg.h>
#include <stdio.h>

/* So many lines in so many seconds. */
#define LINES_MAX 20
#define PERIOD_NS INT64_C(10000000000)

void
say(struct device *device, const char *format, ...)
{
	int64_t period = time_ns() / PERIOD_NS;
	unsigned int lines;
	va_list args;

	/* Other threads may say something too: a line more harms nobody. */
	if (atomic_exchange(&device->said_in, period) != period)
		atomic_store(&device->said, 0);
	lines = atomic_fetch_add(&device->said, 1);
	if (lines > LINES_MAX)
		return;
	if (lines == LINES_MAX) {
		fprintf(stderr, "front end: and so on\n");
		return;
	}
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}
