/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A machine is one vCPU and the space where it finds its memory.  There are
 * two kinds: one runs the guest under KVM (kvm.c), one interprets it (soft.c).
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmmem/vmmem.h>

/* Why the vCPU stopped. */
enum exit_kind {
	EXIT_PORT_WRITE,
	EXIT_MEMORY_READ,  /* where the map has nothing; the guest got ones */
	EXIT_MEMORY_WRITE, /* where the map has nothing that can be written */
	EXIT_HALT,
	EXIT_INTERRUPTED, /* somebody asked for it; the guest did nothing */
	EXIT_ERROR, /* the vCPU cannot go on: 'text' says why */
};

struct vcpu_exit {
	enum exit_kind kind;
	uint64_t address; /* guest physical address, or port */
	uint32_t len;	  /* 1, 2 or 4 bytes */
	uint32_t value;	  /* what the guest wrote, or read */
	char text[80];
};

/*
 * All that a vCPU is, but for memory, in bytes that only a machine of the same
 * kind understands.
 */
struct vcpu_state {
	size_t len;
	uint8_t bytes[4096];
};

struct machine;

struct machine_ops {
	const char *name;

	/* Makes another machine of this kind, as those below do. */
	struct machine *(*another)(char *reason, size_t reason_len);

	/*
	 * Makes what 'space' holds the guest's memory, from now on: what the
	 * guest does after it learnt of a change, it does to the new map.
	 * Called once, before the vCPU runs.  Returns 0 or a code for
	 * vmmem_strerror(); so do the others that return int.
	 */
	int (*attach)(struct machine *machine, struct vmmem_space *space);

	/* Runs the vCPU until its next exit.  One thread calls this. */
	void (*run)(struct machine *machine, struct vcpu_exit *ret_exit);

	/*
	 * Has run() return with EXIT_INTERRUPTED, now and whenever it is
	 * called again.  The caller also sends the running thread a signal.
	 */
	void (*interrupt)(struct machine *machine);

	/*
	 * From log_start() to log_stop(), log_collect() marks in the bitmaps
	 * of the regions what the guest wrote since it was last called.
	 */
	int (*log_start)(struct machine *machine);
	int (*log_collect)(struct machine *machine);
	int (*log_stop)(struct machine *machine);

	/* The vCPU does not run, or did not yet. */
	int (*save)(struct machine *machine, struct vcpu_state *ret_state);
	int (*load)(struct machine *machine, const struct vcpu_state *state);

	/* The vCPU does not run any more. */
	void (*free)(struct machine *machine);
};

/* Each kind of machine begins with this. */
struct machine {
	const struct machine_ops *ops;
};

/*
 * Both make a machine without memory, its vCPU about to start at the reset
 * vector.  NULL on failure, and then 'reason' says why.
 */
struct machine *kvm_machine_new(char *reason, size_t reason_len);
struct machine *soft_machine_new(char *reason, size_t reason_len);

/*
 * A vCPU is the thread that runs a machine.  It hands over one exit at a time
 * and goes on at once; it waits only if the one before was not taken yet.
 * After EXIT_HALT or EXIT_ERROR there is no other.
 */
struct vcpu;

struct vcpu *vcpu_start(struct machine *machine);
void vcpu_take_exit(struct vcpu *vcpu, struct vcpu_exit *ret_exit);
bool vcpu_has_exit(struct vcpu *vcpu);
/*
 * Stops the vCPU between two instructions, and ends the thread.  Returns
 * whether it ran until then and all its exits were taken.
 */
bool vcpu_stop(struct vcpu *vcpu);
/* After the last exit was taken. */
void vcpu_join(struct vcpu *vcpu);

#endif
