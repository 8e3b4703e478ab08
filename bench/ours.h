/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* What ours.c lists and ours_device.c has. */
#ifndef OURS_H
#define OURS_H

#include "bench.h"

bench_run ours_enter, ours_get, ours_enter_read, ours_chain, ours_ring,
	ours_iovec, ours_read_file;

#endif
