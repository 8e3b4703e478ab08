/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The machine that interprets the guest, for hosts without KVM.  It fetches,
 * reads and writes through libvmmem only; what the memory map refuses becomes
 * an exit, as it does under KVM.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "i8086.h"
#include "machine.h"

struct bus {
	const struct vmmem_collection *map;

	/*
	 * The exit that the running instruction caused, if any.  The
	 * instruction still completes: reads give ones, writes are lost.
	 */
	bool has_exit;
	struct vcpu_exit exit;
};

struct soft_machine {
	struct machine machine;
	struct i8086 cpu;
	struct bus bus;
	struct vmmem_reader *reader; /* the vCPU's thread's */
	atomic_bool interrupted;
};

static void
bus_exit(struct bus *bus, enum exit_kind kind, uint64_t address,
	 unsigned int len, uint16_t value)
{
	if (bus->has_exit)
		return;
	bus->has_exit = true;
	bus->exit = (struct vcpu_exit){
		.kind = kind, .address = address, .len = len, .value = value,
	};
}

static void
bus_error(struct bus *bus, const char *what, uint64_t address, int rc)
{
	if (bus->has_exit)
		return;
	bus_exit(bus, EXIT_ERROR, address, 0, 0);
	snprintf(bus->exit.text, sizeof(bus->exit.text), "%s %08llx: %s", what,
		 (unsigned long long)address, vmmem_strerror(rc));
}

uint8_t
bus_fetch(struct bus *bus, uint64_t address)
{
	uint8_t byte = 0;
	int rc = vmmem_collection_read_u8(bus->map, address, &byte);

	if (rc < 0)
		bus_error(bus, "no instruction at", address, rc);
	return byte;
}

/*
 * On an x86, loads acquire and stores release.  The guest relies on that, so
 * it must have it on every host.  What is not aligned is not one access on an
 * 8086 either.
 */
static int
load(const struct vmmem_collection *map, uint64_t address, unsigned int len,
     uint16_t *ret_value)
{
	uint8_t byte = 0;
	int rc;

	if (len == 1) {
		rc = vmmem_collection_load_u8(map, address,
					      VMMEM_ORDER_ACQUIRE, &byte);
		*ret_value = byte;
		return rc;
	}
	if (address % 2 != 0)
		return vmmem_collection_read_le16(map, address, ret_value);
	return vmmem_collection_load_le16(map, address, VMMEM_ORDER_ACQUIRE,
					  ret_value);
}

static int
store(const struct vmmem_collection *map, uint64_t address, unsigned int len,
      uint16_t value)
{
	if (len == 1)
		return vmmem_collection_store_u8(map, address, (uint8_t)value,
						 VMMEM_ORDER_RELEASE);
	if (address % 2 != 0)
		return vmmem_collection_write_le16(map, address, value);
	return vmmem_collection_store_le16(map, address, value,
					   VMMEM_ORDER_RELEASE);
}

uint16_t
bus_read(struct bus *bus, uint64_t address, unsigned int len)
{
	uint16_t ones = len == 1 ? 0xff : 0xffff;
	uint16_t value;
	int rc = load(bus->map, address, len, &value);

	if (rc == 0)
		return value;
	if (rc == VMMEM_EBADADDR)
		bus_exit(bus, EXIT_MEMORY_READ, address, len, ones);
	else
		bus_error(bus, "read of", address, rc);
	return ones;
}

void
bus_write(struct bus *bus, uint64_t address, unsigned int len, uint16_t value)
{
	int rc = store(bus->map, address, len, value);

	if (rc == VMMEM_EBADADDR || rc == VMMEM_EDENIED)
		bus_exit(bus, EXIT_MEMORY_WRITE, address, len, value);
	else if (rc < 0)
		bus_error(bus, "write of", address, rc);
}

static int
soft_attach(struct machine *machine, struct vmmem_space *space)
{
	struct soft_machine *soft = (struct soft_machine *)machine;

	return vmmem_reader_new(space, NULL, &soft->reader);
}

/*
 * One instruction, in a section of its own.  What tells the guest of a change
 * of the map is stored after the new map was published, so an instruction that
 * saw the one is followed by one that sees the other.
 */
static enum i8086_event
step(struct soft_machine *soft)
{
	enum i8086_event event;

	soft->bus.map = vmmem_reader_enter(soft->reader);
	event = i8086_step(&soft->cpu, &soft->bus);
	vmmem_reader_leave(soft->reader);
	return event;
}

static void
soft_run(struct machine *machine, struct vcpu_exit *ret_exit)
{
	struct soft_machine *soft = (struct soft_machine *)machine;
	struct i8086 *cpu = &soft->cpu;
	struct bus *bus = &soft->bus;

	bus->has_exit = false;
	while (!bus->has_exit) {
		/* Nothing hangs on it: a thread that sees it late stops late. */
		if (atomic_load_explicit(&soft->interrupted,
					 memory_order_relaxed)) {
			bus_exit(bus, EXIT_INTERRUPTED, 0, 0, 0);
			break;
		}
		switch (step(soft)) {
		case I8086_NONE:
			break;
		case I8086_PAUSE:
			sched_yield();
			break;
		case I8086_OUT:
			bus_exit(bus, EXIT_PORT_WRITE, cpu->port, cpu->out_len,
				 cpu->out);
			break;
		case I8086_HALT:
			bus_exit(bus, EXIT_HALT, 0, 0, 0);
			break;
		case I8086_UNKNOWN:
			bus_exit(bus, EXIT_ERROR, 0, 0, 0);
			snprintf(bus->exit.text, sizeof(bus->exit.text),
				 "unknown instruction at %04x:%04x",
				 (unsigned int)cpu->segment[CS],
				 (unsigned int)cpu->ip);
			break;
		}
	}
	*ret_exit = bus->exit;
}

static void
soft_interrupt(struct machine *machine)
{
	struct soft_machine *soft = (struct soft_machine *)machine;

	atomic_store(&soft->interrupted, true);
}

/* The library marks what this vCPU writes: it has no other way to write. */
static int
soft_log(struct machine *machine)
{
	(void)machine;
	return 0;
}

static int
soft_save(struct machine *machine, struct vcpu_state *ret_state)
{
	struct soft_machine *soft = (struct soft_machine *)machine;

	ret_state->len = sizeof(soft->cpu);
	memcpy(ret_state->bytes, &soft->cpu, sizeof(soft->cpu));
	return 0;
}

static int
soft_load(struct machine *machine, const struct vcpu_state *state)
{
	struct soft_machine *soft = (struct soft_machine *)machine;

	if (state->len != sizeof(soft->cpu))
		return -EINVAL;
	memcpy(&soft->cpu, state->bytes, sizeof(soft->cpu));
	return 0;
}

static void
soft_free(struct machine *machine)
{
	struct soft_machine *soft = (struct soft_machine *)machine;

	vmmem_reader_free(soft->reader);
	free(soft);
}

static const struct machine_ops soft_ops = {
	.name = "software",
	.another = soft_machine_new,
	.attach = soft_attach,
	.run = soft_run,
	.interrupt = soft_interrupt,
	.log_start = soft_log,
	.log_collect = soft_log,
	.log_stop = soft_log,
	.save = soft_save,
	.load = soft_load,
	.free = soft_free,
};

struct machine *
soft_machine_new(char *reason, size_t reason_len)
{
	struct soft_machine *soft = calloc(1, sizeof(*soft));

	if (soft == NULL) {
		snprintf(reason, reason_len, "out of memory");
		return NULL;
	}
	soft->machine.ops = &soft_ops;
	atomic_init(&soft->interrupted, false);
	i8086_reset(&soft->cpu);
	return &soft->machine;
}
