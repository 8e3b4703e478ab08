/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A small virtual machine under the real KVM, for tests.  Its memory is what
 * the test makes of it; vCPUs begin in real mode, with all segments 0.
 */
#ifndef VCPU_H
#define VCPU_H

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>
#include <vmmem/error.h>

/* Intel CPUs need three pages for KVM's own use, where no region may be. */
#define VM_TSS 0xfffbd000UL

/* vcpu_run() returns this, or KVM's reason for the exit. */
#define VCPU_STOPPED UINT32_MAX

/*
 * ck_assert() tells a file of each success, which is too slow for what threads
 * do all the time: these only tell of a failure.
 */
#define NEED(condition, ...)                       \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

#define NEED_OK(call)                                                    \
	do {                                                             \
		int need_rc_ = (call);                                   \
		NEED(need_rc_ == 0, "%s: %s", #call,                     \
		     vmmem_strerror(need_rc_));                          \
	} while (0)

struct vm {
	int system;
	int fd;
};

struct vcpu {
	int fd;
	struct kvm_run *run; /* shared with the kernel */
	size_t run_len;
};

/* A call of KVM that has to work. */
static inline int
vm_ioctl(int fd, unsigned long request, void *argument, const char *name)
{
	int rc = ioctl(fd, request, argument);

	ck_assert_msg(rc >= 0, "%s: %s", name, vmmem_strerror(-errno));
	return rc;
}

#define VM_IOCTL(fd, request, argument) \
	vm_ioctl(fd, request, argument, #request)

/* Why there can be no such machine here, or NULL.  'cap' 0 asks for none. */
static inline const char *
vm_missing(int cap, const char *cap_name)
{
	static char reason[128];
	int system = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	if (system < 0) {
		snprintf(reason, sizeof(reason), "cannot open /dev/kvm: %s",
			 vmmem_strerror(-errno));
		return reason;
	}
	reason[0] = '\0';
	vm = ioctl(system, KVM_CREATE_VM, 0);
	if (vm < 0)
		snprintf(reason, sizeof(reason), "KVM makes no machine: %s",
			 vmmem_strerror(-errno));
	else if (ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0)
		snprintf(reason, sizeof(reason),
			 "KVM has no KVM_CAP_IMMEDIATE_EXIT");
	else if (cap != 0 && ioctl(vm, KVM_CHECK_EXTENSION, cap) <= 0)
		snprintf(reason, sizeof(reason), "KVM has no %s", cap_name);
	if (vm >= 0)
		close(vm);
	close(system);
	return reason[0] != '\0' ? reason : NULL;
}

static inline void
vm_on_kick(int signal)
{
	(void)signal; /* that it comes is what ends KVM_RUN */
}

static inline void
vm_open(struct vm *vm)
{
	const struct sigaction kick = { .sa_handler = vm_on_kick };

	sigaction(SIGUSR1, &kick, NULL);
	vm->system = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(vm->system, 0);
	vm->fd = VM_IOCTL(vm->system, KVM_CREATE_VM, NULL);
	VM_IOCTL(vm->fd, KVM_SET_TSS_ADDR, (void *)VM_TSS);
}

static inline void
vm_close(struct vm *vm)
{
	close(vm->fd);
	close(vm->system);
}

static inline void
vcpu_open(const struct vm *vm, unsigned long id, struct vcpu *vcpu)
{
	vcpu->fd = VM_IOCTL(vm->fd, KVM_CREATE_VCPU, (void *)id);
	vcpu->run_len = (size_t)VM_IOCTL(vm->system, KVM_GET_VCPU_MMAP_SIZE,
					 NULL);
	vcpu->run = mmap(NULL, vcpu->run_len, PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu->fd, 0);
	ck_assert_ptr_ne(vcpu->run, MAP_FAILED);
}

static inline void
vcpu_close(struct vcpu *vcpu)
{
	munmap(vcpu->run, vcpu->run_len);
	close(vcpu->fd);
}

/* Sets the vCPU to begin at 'ip', with two registers for the program. */
static inline void
vcpu_reset(struct vcpu *vcpu, uint16_t ip, uint16_t si, uint16_t bp)
{
	struct kvm_regs regs = {
		.rip = ip, .rsi = si, .rbp = bp, .rflags = 2,
	};
	struct kvm_sregs sregs;
	struct kvm_segment *segments[] = {
		&sregs.cs, &sregs.ds, &sregs.es,
		&sregs.fs, &sregs.gs, &sregs.ss,
	};

	VM_IOCTL(vcpu->fd, KVM_GET_SREGS, &sregs);
	for (size_t i = 0; i < sizeof(segments) / sizeof(*segments); i++) {
		segments[i]->base = 0;
		segments[i]->selector = 0;
	}
	VM_IOCTL(vcpu->fd, KVM_SET_SREGS, &sregs);
	VM_IOCTL(vcpu->fd, KVM_SET_REGS, &regs);
}

/* Makes 'to' what 'from' is, but for memory; neither runs. */
static inline void
vcpu_move(const struct vcpu *from, const struct vcpu *to)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_vcpu_events events;

	VM_IOCTL(from->fd, KVM_GET_REGS, &regs);
	VM_IOCTL(from->fd, KVM_GET_SREGS, &sregs);
	VM_IOCTL(from->fd, KVM_GET_FPU, &fpu);
	VM_IOCTL(from->fd, KVM_GET_VCPU_EVENTS, &events);
	VM_IOCTL(to->fd, KVM_SET_SREGS, &sregs);
	VM_IOCTL(to->fd, KVM_SET_REGS, &regs);
	VM_IOCTL(to->fd, KVM_SET_FPU, &fpu);
	VM_IOCTL(to->fd, KVM_SET_VCPU_EVENTS, &events);
}

/*
 * Runs until the next exit.  What the guest reads where there is no memory are
 * ones.  Who asked for a stop (vcpu_stop()) gets VCPU_STOPPED, after what the
 * guest was in the middle of was completed.
 */
static inline uint32_t
vcpu_run(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	while (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
		/* Relaxed: nothing but this is told by it. */
		if (errno == EINTR && __atomic_load_n(&run->immediate_exit,
						      __ATOMIC_RELAXED))
			return VCPU_STOPPED;
		NEED(errno == EINTR || errno == EAGAIN, "KVM_RUN: %s",
		     vmmem_strerror(-errno));
	}
	if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write)
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
	return run->exit_reason;
}

/* Has vcpu_run() on 'thread' return VCPU_STOPPED, now and ever after. */
static inline void
vcpu_stop(struct vcpu *vcpu, pthread_t thread)
{
	/* In this order: a signal that comes too early is no loss. */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELAXED);
	pthread_kill(thread, SIGUSR1);
}

/* What the guest wrote, after an exit: 32 bits to a port, or to an address. */
static inline uint32_t
vcpu_port_value(const struct vcpu *vcpu)
{
	uint32_t value;

	memcpy(&value, (const uint8_t *)vcpu->run + vcpu->run->io.data_offset,
	       sizeof(value));
	return value;
}

static inline uint32_t
vcpu_mmio_value(const struct vcpu *vcpu)
{
	uint32_t value;

	memcpy(&value, vcpu->run->mmio.data, sizeof(value));
	return value;
}

#endif
