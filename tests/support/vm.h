/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A virtual machine of the real KVM with one vCPU that writes a byte wherever
 * the test says.  Its code is in a slot of the test's own, out of the way.
 */
#ifndef VM_H
#define VM_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Check's own assertions note each that holds, which is not for threads. */
#define VM_REQUIRE(condition)                                              \
	do {                                                               \
		if (!(condition))                                          \
			ck_abort_msg("%s", #condition);                    \
	} while (0)

struct vm {
	int system;
	int fd;
	int vcpu;
	struct kvm_run *run;
	size_t run_len;
	uint8_t *code;
};

/* The slot with the code is the highest that there is. */
#define CODE_GPA UINT64_C(0xf0000000)
#define CODE_LEN 0x1000

/* Intel's processors need three pages that no slot is at. */
#define TSS_GPA 0xfffbd000UL

/* vm_missing() returns why there can be no machine, NULL if there can. */
static inline const char *
vm_missing(void)
{
	static char reason[128];
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		snprintf(reason, sizeof(reason), "/dev/kvm: %s",
			 strerror(errno));
		return reason;
	}
	/* An emulator opens it, and knows none of its calls. */
	if (ioctl(fd, KVM_GET_API_VERSION, 0UL) < 0) {
		snprintf(reason, sizeof(reason), "/dev/kvm: %s",
			 strerror(errno));
		close(fd);
		return reason;
	}
	close(fd);
	return NULL;
}

/*
 * vm_guest_memfd() makes a guest_memfd of a machine, or returns -1.  As Linux 6.8
 * and later have it; headers may be older.
 */
static inline int
vm_guest_memfd(int machine, uint64_t len, uint64_t flags)
{
	uint64_t create[8] = { len, flags };

	return ioctl(machine, _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0xd4, 64),
		     create);
}

/* vm_guest_memfd_missing() returns why KVM makes none, NULL if it does. */
static inline const char *
vm_guest_memfd_missing(void)
{
	static char reason[128];
	int kvm, machine, fd;

	if (vm_missing() != NULL)
		return vm_missing();
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	machine = ioctl(kvm, KVM_CREATE_VM, 0UL);
	fd = machine >= 0 ? vm_guest_memfd(machine, 1 << 21, 0) : -1;
	if (fd < 0)
		snprintf(reason, sizeof(reason), "KVM makes no guest_memfd: %s",
			 strerror(errno));
	close(kvm);
	if (machine >= 0)
		close(machine);
	if (fd < 0)
		return reason;
	close(fd);
	return NULL;
}

static inline int
vm_extension(const struct vm *vm, unsigned long which)
{
	return ioctl(vm->fd, KVM_CHECK_EXTENSION, which);
}

static inline void
vm_open(struct vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	vm->vcpu = -1;
	vm->system = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(vm->system, 0);
	vm->fd = ioctl(vm->system, KVM_CREATE_VM, 0UL);
	ck_assert_int_ge(vm->fd, 0);
}

/* vm_logs() tells whether KVM can log that way: VMMEM_KVM_LOG_.... */
static inline bool
vm_logs(int way)
{
	static const unsigned long extension[] = {
		KVM_CAP_USER_MEMORY,
		KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		KVM_CAP_DIRTY_LOG_RING,
	};
	static const int need[] = { 1, 1, 3, 4096 };
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int have = ioctl(fd, KVM_CHECK_EXTENSION, extension[way]);

	close(fd);
	return have >= need[way] &&
	       (need[way] > 3 || (have & need[way]) == need[way]);
}

/* VM_ADD_WAYS() adds a test for each way of logging that there is. */
#define VM_ADD_WAYS(tcase, test)                                           \
	do {                                                               \
		int way_;                                                  \
									   \
		for (way_ = 0; way_ < 4; way_++)                           \
			if (vm_logs(way_))                                 \
				tcase_add_loop_test(tcase, test, way_,     \
						    way_ + 1);             \
	} while (0)

static inline void
vm_say_skipped(void)
{
	int way;

	for (way = 0; way < 4; way++)
		if (!vm_logs(way))
			printf("skipped: KVM cannot log in way %d\n", way);
}

static inline void
vm_close(struct vm *vm)
{
	if (vm->run != NULL)
		munmap(vm->run, vm->run_len);
	if (vm->vcpu >= 0)
		close(vm->vcpu);
	close(vm->fd);
	close(vm->system);
	if (vm->code != NULL)
		munmap(vm->code, CODE_LEN);
}

#ifdef __x86_64__

#define VM_HAS_GUEST 1

/* mov %al, %es:(%di); hlt */
static const uint8_t vm_code[] = { 0x26, 0x88, 0x05, 0xf4 };

static inline void
vm_add_vcpu(struct vm *vm)
{
	struct kvm_userspace_memory_region slot = {
		.slot = (uint32_t)vm_extension(vm, KVM_CAP_NR_MEMSLOTS) - 1,
		.guest_phys_addr = CODE_GPA,
		.memory_size = CODE_LEN,
	};

	ck_assert_int_eq(ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_GPA), 0);
	vm->code = mmap(NULL, CODE_LEN, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(vm->code, MAP_FAILED);
	memcpy(vm->code, vm_code, sizeof(vm_code));
	slot.userspace_addr = (uintptr_t)vm->code;
	ck_assert_int_eq(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot), 0);

	vm->vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, 0UL);
	ck_assert_int_ge(vm->vcpu, 0);
	vm->run_len = (size_t)ioctl(vm->system, KVM_GET_VCPU_MMAP_SIZE, 0UL);
	vm->run = mmap(NULL, vm->run_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		       vm->vcpu, 0);
	ck_assert_ptr_ne(vm->run, MAP_FAILED);
}

/*
 * vm_write() has the guest write 'value' to 'gpa' and returns why it stopped:
 * KVM_EXIT_HLT if there was memory, KVM_EXIT_MMIO if there was none.
 */
static inline uint32_t
vm_write(struct vm *vm, uint64_t gpa, uint8_t value)
{
	struct kvm_regs regs = { .rax = value, .rflags = 2 };
	struct kvm_sregs sregs;

	VM_REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cs.base = CODE_GPA;
	sregs.es.base = gpa;
	VM_REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	VM_REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
	while (ioctl(vm->vcpu, KVM_RUN, 0UL) != 0)
		VM_REQUIRE(errno == EINTR || errno == EAGAIN);
	if (vm->run->exit_reason == KVM_EXIT_MMIO) {
		VM_REQUIRE(vm->run->mmio.phys_addr == gpa);
		VM_REQUIRE(vm->run->mmio.is_write == 1);
		VM_REQUIRE(vm->run->mmio.data[0] == value);
		/* What is half done has to be finished, up to the hlt. */
		while (ioctl(vm->vcpu, KVM_RUN, 0UL) != 0)
			VM_REQUIRE(errno == EINTR || errno == EAGAIN);
		VM_REQUIRE(vm->run->exit_reason == KVM_EXIT_HLT);
		return KVM_EXIT_MMIO;
	}
	return vm->run->exit_reason;
}

#else

#define VM_HAS_GUEST 0

static inline void
vm_add_vcpu(struct vm *vm)
{
	(void)vm;
	ck_abort_msg("no guest code for this processor");
}

static inline uint32_t
vm_write(struct vm *vm, uint64_t gpa, uint8_t value)
{
	(void)vm;
	(void)gpa;
	(void)value;
	return 0;
}

#endif

#endif
