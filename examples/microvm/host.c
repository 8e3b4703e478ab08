/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include <sched.h>
#include <string.h>

#include "host.h"
#include "layout.h"
#include "memory.h"
#include "screen.h"

bool
host_new(struct host *ret_host, struct machine *machine)
{
	struct host host = { .machine = machine };
	int rc;

	rc = memory_at_power_on(&host.space);
	if (rc == 0)
		rc = vmmem_reader_new(host.space, NULL, &host.reader);
	if (rc == 0)
		rc = machine->ops->attach(machine, host.space);
	if (!screen_worked(rc, "no memory")) {
		host_free(&host);
		return false;
	}
	*ret_host = host;
	return true;
}

void
host_free(struct host *host)
{
	/* First whatever shows the memory to a guest, then the memory. */
	host->machine->ops->free(host->machine);
	vmmem_reader_free(host->reader);
	vmmem_space_unref(host->space);
	memset(host, 0, sizeof(*host));
}

bool
host_start(struct host *host)
{
	host->vcpu = vcpu_start(host->machine);
	return host->vcpu != NULL;
}

/*
 * The release makes sure that whoever sees the command also sees what the host
 * did before: arguments, and the memory map.
 */
bool
host_ring(const struct host *host, uint16_t command)
{
	vmmem_le16 word;
	int rc;

	vmmem_le16_set(&word, command);
	rc = vmmem_reader_store_u16(host->reader, MAILBOX, word.raw,
				    VMMEM_ORDER_RELEASE);
	return screen_worked(rc, "cannot ring the guest");
}

bool
host_expect_exit(const struct host *host, const struct vcpu_exit *want,
		 const char *what)
{
	struct vcpu_exit exit;
	bool same;

	vcpu_take_exit(host->vcpu, &exit);
	same = exit.kind == want->kind && exit.address == want->address &&
	       exit.len == want->len && exit.value == want->value;
	if (!same || exit.kind == EXIT_MEMORY_READ ||
	    exit.kind == EXIT_MEMORY_WRITE)
		screen_exit(&exit);
	return screen_check(same, "%s", what);
}

bool
host_expect_report(const struct host *host, uint32_t report, const char *what)
{
	const struct vcpu_exit want = {
		.kind = EXIT_PORT_WRITE, .address = REPORT_PORT,
		.len = 2, .value = report,
	};

	return host_expect_exit(host, &want, what);
}

bool
host_sees_counting(const struct host *host, uint64_t gpa)
{
	uint16_t first = 0, now;
	int rc;

	rc = vmmem_reader_load_u16(host->reader, gpa, VMMEM_ORDER_ACQUIRE,
				   &first);
	now = first;
	while (rc == 0 && now == first && !vcpu_has_exit(host->vcpu)) {
		sched_yield();
		rc = vmmem_reader_load_u16(host->reader, gpa,
					   VMMEM_ORDER_ACQUIRE, &now);
	}
	return rc == 0 && now != first;
}

bool
host_sees_count(const struct host *host, uint64_t gpa, uint32_t since,
		uint32_t count)
{
	uint32_t now = since;
	int rc;

	for (;;) {
		rc = vmmem_reader_read_le32(host->reader, gpa, &now);
		if (rc != 0 || now - since >= count)
			return rc == 0;
		if (vcpu_has_exit(host->vcpu))
			return false;
		sched_yield();
	}
}
