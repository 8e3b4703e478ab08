/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Slots of KVM: making, changing and deleting one. */
#include <vmmem/error.h>
#include <vmmem/kvm.h>

#include <errno.h>
#include <sys/ioctl.h>

#include "kvm/kvm_priv.h"

int
vmmem_kvm_ioctl(const struct vmmem_kvm *kvm, unsigned long request,
		void *argument)
{
	int rc;

	do
		rc = ioctl(kvm->fd, request, argument);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : rc;
}

int
vmmem_kvm_extension(const struct vmmem_kvm *kvm, unsigned long which)
{
	return vmmem_kvm_ioctl(kvm, KVM_CHECK_EXTENSION, (void *)which);
}

int
vmmem_kvm_set(struct vmmem_kvm *kvm, const struct vmmem_slot *slot)
{
	/* The first part of this is the older struct. */
	struct vmmem_kvm_region2 region = {
		.slot = vmmem_kvm_slot_id(kvm, slot),
		.guest_phys_addr = slot->gpa,
		.memory_size = slot->len,
		.userspace_addr = (uintptr_t)slot->host,
	};
	unsigned long request = KVM_SET_USER_MEMORY_REGION;
	int rc;

	if ((slot->flags & VMMEM_SLOT_READ_ONLY) != 0)
		region.flags |= KVM_MEM_READONLY;
	if ((slot->flags & VMMEM_SLOT_LOG) != 0)
		region.flags |= KVM_MEM_LOG_DIRTY_PAGES;
	if ((slot->flags & VMMEM_SLOT_GUEST_MEMFD) != 0) {
		region.flags |= (uint32_t)KVM_MEM_GUEST_MEMFD;
		region.guest_memfd = (uint32_t)slot->guest_memfd;
		region.guest_memfd_offset = slot->guest_memfd_offset;
		request = VMMEM_KVM_SET_REGION2;
	}
	/* First, so that the guest never finds the wrong side. */
	rc = vmmem_kvm_show_private(kvm, slot);
	if (rc == 0)
		rc = vmmem_kvm_ioctl(kvm, request, &region);
	if (rc != 0)
		vmmem_kvm_forget_private(kvm, slot);
	return rc;
}

/* unset() has KVM delete a slot. */
static int
unset(struct vmmem_kvm *kvm, const struct vmmem_slot *slot)
{
	/* A length of 0 tells KVM to delete. */
	struct kvm_userspace_memory_region region = {
		.slot = vmmem_kvm_slot_id(kvm, slot),
	};

	return vmmem_kvm_ioctl(kvm, KVM_SET_USER_MEMORY_REGION, &region);
}

/* Too far up, taken, or a move, which this KVM cannot do. */
static bool
is_no_place(int rc)
{
	return rc == -EINVAL || rc == -EEXIST || rc == -EFAULT;
}

/*
 * park() moves a slot out of the guest's way, to the top of what may be its
 * address space: vCPUs do not write to it any more, and its log is still there.
 */
static int
park(struct vmmem_kvm *kvm, const struct vmmem_slot *slot)
{
	/* How many bits a guest address has, on one processor or another. */
	static const unsigned char widths[] = { 52, 48, 47, 46, 45, 44, 43,
						42, 41, 40, 39, 38, 37, 36 };
	struct vmmem_slot away = *slot;
	int rc = -EINVAL;
	size_t i;

	if ((kvm->options.flags & VMMEM_KVM_FLAG_NO_MOVE) != 0)
		return rc;
	for (i = 0; i < sizeof(widths) && is_no_place(rc); i++) {
		uint64_t end = UINT64_C(1) << widths[i];

		if (slot->len > end)
			break;
		away.gpa = end - slot->len;
		/* At its own address the guest would still reach it. */
		if (away.gpa <= slot->gpa + (slot->len - 1) &&
		    slot->gpa <= end - 1)
			continue;
		rc = vmmem_kvm_set(kvm, &away);
	}
	return rc;
}

/*
 * delete_unparked() is for a KVM that cannot move slots.  A vCPU may write
 * between a last look at the log and the end of it, so all of the slot counts
 * as dirty.
 */
static int
delete_unparked(struct vmmem_kvm *kvm, const struct vmmem_slot *slot)
{
	int rc = unset(kvm, slot);

	return rc != 0 ? rc : vmmem_kvm_mark(slot, 0, slot->len);
}

int
vmmem_kvm_delete(struct vmmem_kvm *kvm, const struct vmmem_slot *slot)
{
	int rc;

	if ((slot->flags & VMMEM_SLOT_LOG) == 0) {
		rc = unset(kvm, slot);
		if (rc == 0)
			vmmem_kvm_forget_private(kvm, slot);
		return rc;
	}
	if (vmmem_kvm_has_rings(kvm)) {
		/* Entries stay in the rings when the slot is deleted. */
		rc = unset(kvm, slot);
		/* If they cannot be given back now, they will be later. */
		if (rc == 0)
			(void)vmmem_kvm_harvest(kvm);
		return rc;
	}

	rc = park(kvm, slot);
	if (is_no_place(rc))
		return delete_unparked(kvm, slot);
	if (rc != 0)
		return rc;
	if (vmmem_kvm_fetch(kvm, slot, false) != 0)
		(void)vmmem_kvm_mark(slot, 0, slot->len);
	rc = unset(kvm, slot);
	/* Back; if that fails too, KVM's slot differs from the table. */
	if (rc != 0 && vmmem_kvm_set(kvm, slot) != 0) {
		(void)vmmem_slot_table_invalidate(kvm->slots, slot->number);
		kvm->touched = true;
	}
	return rc;
}
