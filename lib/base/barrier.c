/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A barrier on every thread of the process, by membarrier(2). */
#include "base/barrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
membarrier(int command)
{
	/* glibc has no wrapper. */
	return syscall(SYS_membarrier, command, 0, 0) < 0 ? -errno : 0;
}

bool
vmmem_barrier_available(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

int
vmmem_barrier(void)
{
	int rc;

	rc = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	/* A child that fork() made may not have inherited the registration. */
	if (rc == -EPERM && vmmem_barrier_available())
		rc = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	return rc;
}
