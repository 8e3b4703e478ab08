/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The machine that runs the guest under KVM.  The library keeps KVM's memory
 * slots equal to the space; what has no slot comes back as an exit.
 */
#include <errno.h>
#include <stdio.h>

#include "machine.h"

#ifdef __x86_64__

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmmem/kvm.h>

/* Intel CPUs need three pages for KVM's own use, where no region may be. */
#define TSS_ADDRESS 0xfffbd000UL

struct kvm_machine {
	struct machine machine;
	int system;
	int vm;
	int vcpu;
	struct kvm_run *run; /* shared with the kernel */
	size_t run_len;
	struct vmmem_kvm *slots;
};

/* What struct vcpu_state holds for this kind of machine. */
struct kvm_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_vcpu_events events;
};

_Static_assert(sizeof(struct kvm_state) <=
		       sizeof(((struct vcpu_state *)0)->bytes),
	       "a vCPU's state is larger than that");

/* From here on each change of the space is one of KVM's slots too. */
static int
kvm_attach(struct machine *machine, struct vmmem_space *space)
{
	struct kvm_machine *kvm = (struct kvm_machine *)machine;

	return vmmem_kvm_new(space, kvm->vm, NULL, &kvm->slots);
}

static int
kvm_log_start(struct machine *machine)
{
	struct kvm_machine *kvm = (struct kvm_machine *)machine;

	return vmmem_kvm_log_start(kvm->slots, NULL);
}

static int
kvm_log_collect(struct machine *machine)
{
	struct kvm_machine *kvm = (struct kvm_machine *)machine;

	return vmmem_kvm_log_collect(kvm->slots, NULL);
}

static int
kvm_log_stop(struct machine *machine)
{
	struct kvm_machine *kvm = (struct kvm_machine *)machine;

	return vmmem_kvm_log_stop(kvm->slots, NULL);
}

static uint32_t
from_bytes(const uint8_t *bytes, uint32_t len)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < len && i < sizeof(value); i++)
		value |= (uint32_t)bytes[i] << (8 * i);
	return value;
}

/* Relaxed, as nothing else is told by it. */
static bool
is_interrupted(struct kvm_machine *kvm)
{
	return __atomic_load_n(&kvm->run->immediate_exit, __ATOMIC_RELAXED);
}

/*
 * KVM looks at this before it lets the guest run, and a signal makes it look.
 * An exit that was not answered yet is completed first, so that the state is
 * that of a vCPU between two instructions.
 */
static void
kvm_interrupt(struct machine *machine)
{
	struct kvm_machine *kvm = (struct kvm_machine *)machine;

	__atomic_store_n(&kvm->run->immediate_exit, 1, __ATOMIC_RELAXED);
}

static void
kvm_run(struct machine *machine, struct vcpu_exit *ret_exit)
{
	struct kvm_machine *kvm = (struct kvm_machine *)machine;
	struct kvm_run *run = kvm->run;
	int rc;

	memset(ret_exit, 0, sizeof(*ret_exit));
	do
		rc = ioctl(kvm->vcpu, KVM_RUN, 0);
	while (rc < 0 && (errno == EINTR || errno == EAGAIN) &&
	       !is_interrupted(kvm));
	if (rc < 0 && is_interrupted(kvm)) {
		ret_exit->kind = EXIT_INTERRUPTED;
		return;
	}
	if (rc < 0) {
		ret_exit->kind = EXIT_ERROR;
		snprintf(ret_exit->text, sizeof(ret_exit->text), "KVM_RUN: %s",
			 vmmem_strerror(-errno));
		return;
	}

	switch (run->exit_reason) {
	case KVM_EXIT_HLT:
		ret_exit->kind = EXIT_HALT;
		return;
	case KVM_EXIT_MMIO:
		/* KVM finishes the guest's read with what is in 'data'. */
		if (!run->mmio.is_write)
			memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		ret_exit->kind = run->mmio.is_write ? EXIT_MEMORY_WRITE
						    : EXIT_MEMORY_READ;
		ret_exit->address = run->mmio.phys_addr;
		ret_exit->len = run->mmio.len;
		ret_exit->value = from_bytes(run->mmio.data, run->mmio.len);
		return;
	case KVM_EXIT_IO:
		if (run->io.direction != KVM_EXIT_IO_OUT || run->io.count != 1)
			break;
		ret_exit->kind = EXIT_PORT_WRITE;
		ret_exit->address = run->io.port;
		ret_exit->len = run->io.size;
		ret_exit->value = from_bytes((const uint8_t *)run +
						     run->io.data_offset,
					     run->io.size);
		return;
	}
	ret_exit->kind = EXIT_ERROR;
	snprintf(ret_exit->text, sizeof(ret_exit->text), "KVM exit reason %u",
		 run->exit_reason);
}

/*
 * All that this guest can change.  One with more of a CPU in use has more:
 * KVM_GET_XSAVE, KVM_GET_MSRS, KVM_GET_LAPIC and others.
 */
static int
kvm_save(struct machine *machine, struct vcpu_state *ret_state)
{
	struct kvm_machine *kvm = (struct kvm_machine *)machine;
	struct kvm_state state;

	memset(&state, 0, sizeof(state));
	if (ioctl(kvm->vcpu, KVM_GET_REGS, &state.regs) < 0 ||
	    ioctl(kvm->vcpu, KVM_GET_SREGS, &state.sregs) < 0 ||
	    ioctl(kvm->vcpu, KVM_GET_FPU, &state.fpu) < 0 ||
	    ioctl(kvm->vcpu, KVM_GET_VCPU_EVENTS, &state.events) < 0)
		return -errno;
	ret_state->len = sizeof(state);
	memcpy(ret_state->bytes, &state, sizeof(state));
	return 0;
}

static int
kvm_load(struct machine *machine, const struct vcpu_state *saved)
{
	struct kvm_machine *kvm = (struct kvm_machine *)machine;
	struct kvm_state state;

	if (saved->len != sizeof(state))
		return -EINVAL;
	memcpy(&state, saved->bytes, sizeof(state));
	if (ioctl(kvm->vcpu, KVM_SET_SREGS, &state.sregs) < 0 ||
	    ioctl(kvm->vcpu, KVM_SET_REGS, &state.regs) < 0 ||
	    ioctl(kvm->vcpu, KVM_SET_FPU, &state.fpu) < 0 ||
	    ioctl(kvm->vcpu, KVM_SET_VCPU_EVENTS, &state.events) < 0)
		return -errno;
	return 0;
}

static void
kvm_free(struct machine *machine)
{
	struct kvm_machine *kvm = (struct kvm_machine *)machine;

	vmmem_kvm_free(kvm->slots);
	if (kvm->run != NULL)
		munmap(kvm->run, kvm->run_len);
	if (kvm->vcpu >= 0)
		close(kvm->vcpu);
	if (kvm->vm >= 0)
		close(kvm->vm);
	if (kvm->system >= 0)
		close(kvm->system);
	free(kvm);
}

static const struct machine_ops kvm_ops = {
	.name = "KVM",
	.another = kvm_machine_new,
	.attach = kvm_attach,
	.run = kvm_run,
	.interrupt = kvm_interrupt,
	.log_start = kvm_log_start,
	.log_collect = kvm_log_collect,
	.log_stop = kvm_log_stop,
	.save = kvm_save,
	.load = kvm_load,
	.free = kvm_free,
};

/* Returns what failed, with errno, or NULL. */
static const char *
kvm_open(struct kvm_machine *kvm)
{
	void *run;
	int len;

	kvm->system = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm->system < 0)
		return "cannot open /dev/kvm";
	errno = ENOTSUP;
	if (ioctl(kvm->system, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return "/dev/kvm has another API version";
	if (ioctl(kvm->system, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) <= 0)
		return "KVM has no read-only memory";
	if (ioctl(kvm->system, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0)
		return "KVM has no way to stop a vCPU at once";

	kvm->vm = ioctl(kvm->system, KVM_CREATE_VM, 0);
	if (kvm->vm < 0)
		return "KVM makes no machine";
	if (ioctl(kvm->vm, KVM_SET_TSS_ADDR, TSS_ADDRESS) < 0)
		return "KVM refuses a TSS address";
	kvm->vcpu = ioctl(kvm->vm, KVM_CREATE_VCPU, 0);
	if (kvm->vcpu < 0)
		return "KVM makes no vCPU";

	len = ioctl(kvm->system, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (len < 0)
		return "KVM tells no vCPU size";
	kvm->run_len = (size_t)len;
	run = mmap(NULL, kvm->run_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		   kvm->vcpu, 0);
	if (run == MAP_FAILED)
		return "cannot map the vCPU";
	kvm->run = run;
	return NULL;
}

/*
 * KVM hands out a vCPU as it is after reset: in real mode, at the reset
 * vector.  That is just what we want, so no register is set here.
 */
struct machine *
kvm_machine_new(char *reason, size_t reason_len)
{
	struct kvm_machine *kvm = calloc(1, sizeof(*kvm));
	const char *failed;

	if (kvm == NULL) {
		snprintf(reason, reason_len, "%s", vmmem_strerror(-ENOMEM));
		return NULL;
	}
	kvm->machine.ops = &kvm_ops;
	kvm->system = kvm->vm = kvm->vcpu = -1;
	failed = kvm_open(kvm);
	if (failed != NULL) {
		snprintf(reason, reason_len, "%s: %s", failed,
			 vmmem_strerror(-errno));
		kvm_free(&kvm->machine);
		return NULL;
	}
	return &kvm->machine;
}

#else

struct machine *
kvm_machine_new(char *reason, size_t reason_len)
{
	snprintf(reason, reason_len, "the guest is x86, this host is not");
	return NULL;
}

#endif
