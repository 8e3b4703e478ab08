/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What one front end may have of what all disks of the process share, so that
 * the others go on whatever it sends: descriptors and addresses.  Each disk has
 * as much as the others, and no message makes it more.
 */
#include "device.h"

#include <sys/resource.h>

#include <vmmem/vhost.h>

/*
 * Descriptors of a connection: the socket, one that is turned away, the channel
 * for requests, those of a log, of inflight memory and of what takes their
 * places, what is sent of new inflight memory, two of postcopy.
 */
#define OF_CONNECTION 10
/* The kick, the call, the error, the stop, and the engine's. */
#define OF_QUEUE 5
/* One in the message, one in the table, one in the table before that. */
#define OF_ROW 3
/* What a front end gets in any case, as not all of them need all. */
#define ROWS_LEAST 8

/* Half of the addresses is for all else. */
#define ELSE 2
/* The memory of a table, and of the one before that. */
#define TABLES 2

/* addresses() is how many the process may have. */
static uint64_t
addresses(void)
{
	struct rlimit limit;
	/* The stack is at the top. */
	uint64_t most = UINT64_C(2)
			<< (63 - __builtin_clzll((uintptr_t)&limit));

	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < most)
		most = limit.rlim_cur;
	return most;
}

void
limits_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	/* If it cannot be, it stays what it was. */
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* descriptors() is how many more the process may have. */
static uint64_t
descriptors(int last_fd)
{
	/* Numbers are given from the lowest: all below are in use. */
	uint64_t used = (uint64_t)last_fd + 1;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < used)
		return 0;
	return limit.rlim_cur - used;
}

bool
limits_set(struct device *device, size_t disks, int last_fd)
{
	uint64_t needed = OF_CONNECTION + OF_QUEUE * device->queue_count;
	uint64_t share = descriptors(last_fd) / disks, rows = ROWS_LEAST;
	bool enough = share >= needed + OF_ROW;

	if (enough)
		rows = (share - needed) / OF_ROW;
	if (rows > VMMEM_VHOST_REGIONS_MAX)
		rows = VMMEM_VHOST_REGIONS_MAX;
	device->rows_max = (uint32_t)rows;
	device->bytes_max = addresses() / ELSE / TABLES / disks;
	return enough;
}
