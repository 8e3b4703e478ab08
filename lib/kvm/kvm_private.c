/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What KVM knows of private memory: an attribute of each page, beside the
 * slots.  For the slot of a region with a guest_memfd it says what the region
 * says.  A page without such a slot is shared, as another slot may come to lie
 * there.
 */
#include <vmmem/error.h>
#include <vmmem/kvm.h>
#include <vmmem/private.h>

#include "kvm/kvm_priv.h"
#include "kvm/slot_table_priv.h"

/* has_state() tells whether KVM is to know of a slot's private pages. */
static bool
has_state(const struct vmmem_kvm *kvm, const struct vmmem_slot *slot)
{
	uint64_t offset;
	int fd;

	return kvm->attributes &&
	       (slot->flags & VMMEM_SLOT_GUEST_MEMFD) != 0 &&
	       vmmem_region_guest_memfd(slot->region, &fd, &offset) == 0;
}

/* put() has KVM take a range, not empty, for private or shared. */
static int
put(const struct vmmem_kvm *kvm, uint64_t gpa, uint64_t len, bool is_private)
{
	struct vmmem_kvm_attributes attributes = {
		.address = gpa,
		.size = len,
		.attributes = is_private ? VMMEM_KVM_ATTRIBUTE_PRIVATE : 0,
	};

	if (len == 0)
		return 0;
	return vmmem_kvm_ioctl(kvm, VMMEM_KVM_SET_ATTRIBUTES, &attributes);
}

/* show() has KVM take [offset, offset + len) of a region for what it says. */
static int
show(const struct vmmem_kvm *kvm, const struct vmmem_region *region,
     uint64_t offset, uint64_t len)
{
	const uint64_t start = vmmem_region_start(region);
	uint64_t first, count;
	int rc = 0;

	while (len != 0 && rc == 0) {
		rc = vmmem_region_next_private(region, offset, len, &first,
					       &count);
		if (rc == 0)
			rc = put(kvm, start + offset, first - offset, false);
		if (rc == 0)
			rc = put(kvm, start + first, count, true);
		len -= first - offset + count;
		offset = first + count;
	}
	return rc;
}

int
vmmem_kvm_show_private(const struct vmmem_kvm *kvm,
		       const struct vmmem_slot *slot)
{
	if (!has_state(kvm, slot))
		return 0;
	return show(kvm, slot->region, vmmem_slot_offset(slot), slot->len);
}

void
vmmem_kvm_forget_private(const struct vmmem_kvm *kvm,
			 const struct vmmem_slot *slot)
{
	/* If it fails, a slot that comes there is an exit, and no leak. */
	if (has_state(kvm, slot))
		(void)put(kvm, slot->gpa, slot->len, false);
}

/* next_slot() finds the slot that shows a byte of a region, if one does. */
static bool
next_slot(const struct vmmem_kvm *kvm, const struct vmmem_region *region,
	  uint64_t offset, struct vmmem_slot *ret_slot)
{
	return vmmem_slot_table_find(kvm->slots,
				     vmmem_region_start(region) + offset,
				     ret_slot) == 0 &&
	       has_state(kvm, ret_slot);
}

int
vmmem_kvm_converting(void *opaque, struct vmmem_region *region,
		     uint64_t offset, uint64_t len, int to_private)
{
	struct vmmem_kvm *kvm = opaque;
	struct vmmem_slot slot;
	int rc = 0;

	/* In a child there is nothing to be kept in step. */
	if (vmmem_kvm_lock(kvm) != 0)
		return 0;
	/* A region has slots for all of it, or none. */
	if (next_slot(kvm, region, offset, &slot))
		rc = put(kvm, vmmem_region_start(region) + offset, len,
			 to_private != 0);
	vmmem_kvm_unlock(kvm);
	return rc;
}

/*
 * invalidate() has the next update make the slots of a range again, and tell
 * KVM all of their pages.
 */
static void
invalidate(struct vmmem_kvm *kvm, const struct vmmem_region *region,
	   uint64_t offset, uint64_t len)
{
	const uint64_t end = offset + len;
	struct vmmem_slot slot;

	while (offset < end && next_slot(kvm, region, offset, &slot)) {
		(void)vmmem_slot_table_invalidate(kvm->slots, slot.number);
		offset = vmmem_slot_offset(&slot) + slot.len;
	}
	kvm->pending = true;
}

void
vmmem_kvm_converted(void *opaque, struct vmmem_region *region, uint64_t offset,
		    uint64_t len, int to_private, int code)
{
	struct vmmem_kvm *kvm = opaque;
	struct vmmem_slot slot;

	(void)to_private;
	if (code == 0 || vmmem_kvm_lock(kvm) != 0)
		return;
	/* Given up: page by page as it was, which the region says again. */
	if (next_slot(kvm, region, offset, &slot) &&
	    show(kvm, region, offset, len) != 0)
		invalidate(kvm, region, offset, len);
	vmmem_kvm_unlock(kvm);
}
