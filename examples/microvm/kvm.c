/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The machine that runs the guest under KVM.  Each region of the memory map
 * becomes one of KVM's memory slots; what has no slot comes back as an exit.
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

#define SLOTS 32 /* as many as the oldest KVM has */

/* Intel CPUs need three pages for KVM's own use, where no region may be. */
#define TSS_ADDRESS 0xfffbd000UL

struct kvm_machine {
	struct machine machine;
	int system;
	int vm;
	int vcpu;
	struct kvm_run *run; /* shared with the kernel */
	size_t run_len;

	/* Which region each slot shows.  A slot without one is free. */
	struct vmmem_region *slot[SLOTS];
};

static bool
has_region(const struct vmmem_collection *map,
	   const struct vmmem_region *region)
{
	return vmmem_collection_find(map, vmmem_region_start(region)) == region;
}

static bool
has_slot(const struct kvm_machine *kvm, const struct vmmem_region *region)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (kvm->slot[i] == region)
			return true;
	return false;
}

/* A slot of length 0 is how KVM wants a slot to be deleted. */
static int
delete_slot(struct kvm_machine *kvm, size_t i)
{
	struct kvm_userspace_memory_region slot = { .slot = (uint32_t)i };

	if (ioctl(kvm->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return -errno;
	/* Not a moment earlier: the guest could still reach the memory. */
	kvm->slot[i] = vmmem_region_unref(kvm->slot[i]);
	return 0;
}

static int
add_slot(struct kvm_machine *kvm, struct vmmem_region *region)
{
	struct kvm_userspace_memory_region slot = {
		.guest_phys_addr = vmmem_region_start(region),
		.memory_size = vmmem_region_len(region),
	};
	void *host;
	uint64_t len;
	size_t i = 0;
	int rc;

	while (i < SLOTS && kvm->slot[i] != NULL)
		i++;
	if (i == SLOTS)
		return -ENOSPC;

	rc = vmmem_region_host_address(region, 0, &host, &len);
	if (rc == VMMEM_ENOHOST)
		return 0; /* callbacks only: its accesses stay exits */
	if (rc < 0)
		return rc;

	slot.slot = (uint32_t)i;
	slot.userspace_addr = (uintptr_t)host;
	if ((vmmem_region_protection(region) & VMMEM_PROT_WRITE) == 0)
		slot.flags = KVM_MEM_READONLY;
	if (ioctl(kvm->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return -errno;
	kvm->slot[i] = vmmem_region_ref(region);
	return 0;
}

/*
 * Regions never change, so a region that is in both maps keeps its slot and
 * the vCPU its translations.
 */
static int
kvm_set_memory(struct machine *machine, struct vmmem_collection *map)
{
	struct kvm_machine *kvm = (struct kvm_machine *)machine;
	int rc = 0;

	for (size_t i = 0; i < SLOTS && rc == 0; i++)
		if (kvm->slot[i] != NULL && !has_region(map, kvm->slot[i]))
			rc = delete_slot(kvm, i);
	for (size_t i = 0; i < vmmem_collection_count(map) && rc == 0; i++)
		if (!has_slot(kvm, vmmem_collection_at(map, i)))
			rc = add_slot(kvm, vmmem_collection_at(map, i));
	return rc;
}

static uint32_t
from_bytes(const uint8_t *bytes, uint32_t len)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < len && i < sizeof(value); i++)
		value |= (uint32_t)bytes[i] << (8 * i);
	return value;
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
	while (rc < 0 && (errno == EINTR || errno == EAGAIN));
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

static void
kvm_free(struct machine *machine)
{
	struct kvm_machine *kvm = (struct kvm_machine *)machine;

	if (kvm->run != NULL)
		munmap(kvm->run, kvm->run_len);
	if (kvm->vcpu >= 0)
		close(kvm->vcpu);
	if (kvm->vm >= 0)
		close(kvm->vm);
	if (kvm->system >= 0)
		close(kvm->system);
	/* Last: the slots above went with the VM's last descriptor. */
	for (size_t i = 0; i < SLOTS; i++)
		vmmem_region_unref(kvm->slot[i]);
	free(kvm);
}

static const struct machine_ops kvm_ops = {
	.name = "KVM",
	.set_memory = kvm_set_memory,
	.run = kvm_run,
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
