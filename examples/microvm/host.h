/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The host's side of a machine: the space, and this thread's reader of it.
 * Functions that return bool print what went wrong, and count it.
 */
#ifndef HOST_H
#define HOST_H

#include "machine.h"

struct host {
	struct machine *machine;
	struct vmmem_space *space;
	struct vmmem_reader *reader;
	struct vcpu *vcpu; /* NULL while it does not run */
};

/* Gives 'machine' memory as it is at power-on; takes the machine over. */
bool host_new(struct host *ret_host, struct machine *machine);
/* The vCPU does not run. */
void host_free(struct host *host);

bool host_start(struct host *host);

/* Gives the guest a command. */
bool host_ring(const struct host *host, uint16_t command);

/*
 * Waits for the next exit, which should be 'want'.  Accesses to memory that is
 * not there are worth a line of their own, and so is any surprise.
 */
bool host_expect_exit(const struct host *host, const struct vcpu_exit *want,
		      const char *what);
bool host_expect_report(const struct host *host, uint32_t report,
			const char *what);

/*
 * Waits until the 16-bit number at 'gpa' is not what it was: the guest counts,
 * and so is alive.  False if it came to an exit instead.
 */
bool host_sees_counting(const struct host *host, uint64_t gpa);

/* The same, until the 32-bit number at 'gpa' is 'count' more than 'since'. */
bool host_sees_count(const struct host *host, uint64_t gpa, uint32_t since,
		     uint32_t count);

#endif
