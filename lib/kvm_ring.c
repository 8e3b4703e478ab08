/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * KVM's dirty rings.  A vCPU that is about to write to a page that is watched
 * puts it into its ring, so the bytes may come after the entry: they are there
 * to be read once KVM has been given the entry back and watches the page again.
 */
#include <vmmem/error.h>
#include <vmmem/kvm.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "api.h"
#include "kvm_priv.h"

static size_t
ring_bytes(const struct vmmem_kvm *kvm)
{
	return kvm->ring_entries * sizeof(struct vmmem_kvm_gfn);
}

static struct vmmem_kvm_gfn *
entry_at(const struct vmmem_kvm *kvm, const struct vmmem_kvm_ring *ring,
	 uint32_t index)
{
	return &ring->entries[index & (kvm->ring_entries - 1)];
}

/* mark_entry() marks one page, whosever slot it is in. */
static void
mark_entry(const struct vmmem_kvm *kvm, const struct vmmem_kvm_gfn *entry)
{
	/*
	 * Relaxed: who comes here has seen by the flags that the entry was
	 * filled in; or it is read a second time, and may be another by now,
	 * which is as dirty.
	 */
	uint32_t id = __atomic_load_n(&entry->slot, __ATOMIC_RELAXED);
	uint64_t page = __atomic_load_n(&entry->offset, __ATOMIC_RELAXED);
	struct vmmem_slot slot;

	if (id >> 16 == kvm->options.address_space &&
	    vmmem_slots_by_number(kvm->slots, id & UINT16_MAX, &slot) == 0) {
		/* An entry of a slot that is gone may be beyond this one. */
		if (page < slot.len / kvm->page_size &&
		    vmmem_region_bitmap(slot.region) != NULL)
			(void)vmmem_kvm_mark(&slot, page * kvm->page_size,
					     kvm->page_size);
	} else if (kvm->options.other_slot != NULL) {
		kvm->options.other_slot(kvm->options.opaque, id, page);
	}
}

/* harvest_ring() tells whether there is anything to give back. */
static bool
harvest_ring(const struct vmmem_kvm *kvm, struct vmmem_kvm_ring *ring)
{
	struct vmmem_kvm_gfn *entry;
	uint32_t i;

	/*
	 * Left over from a time when giving back failed: their pages may have
	 * been written since, without a new entry.
	 */
	for (i = ring->reset; i != ring->fetch; i++)
		mark_entry(kvm, entry_at(kvm, ring, i));
	for (;;) {
		/* No more than there are, whatever the flags say. */
		if (ring->fetch - ring->reset == kvm->ring_entries)
			break;
		entry = entry_at(kvm, ring, ring->fetch);
		/* Acquire: KVM fills the entry in before it says DIRTY. */
		if ((__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) &
		     VMMEM_KVM_GFN_DIRTY) == 0)
			break;
		mark_entry(kvm, entry);
		/* Release: KVM may fill it in again once it sees this. */
		__atomic_store_n(&entry->flags, VMMEM_KVM_GFN_RESET,
				 __ATOMIC_RELEASE);
		ring->fetch++;
	}
	return ring->fetch != ring->reset;
}

int
vmmem_kvm_harvest(struct vmmem_kvm *kvm)
{
	bool any = false;
	size_t i;
	int rc;

	for (i = 0; i < kvm->ring_count; i++)
		if (harvest_ring(kvm, &kvm->rings[i]))
			any = true;
	if (!any)
		return 0;
	rc = vmmem_kvm_ioctl(kvm, KVM_RESET_DIRTY_RINGS, NULL);
	if (rc < 0)
		return rc;
	for (i = 0; i < kvm->ring_count; i++)
		kvm->rings[i].reset = kvm->rings[i].fetch;
	return 0;
}

static struct vmmem_kvm_ring *
find_ring(const struct vmmem_kvm *kvm, int vcpu_fd)
{
	size_t i;

	for (i = 0; i < kvm->ring_count; i++)
		if (kvm->rings[i].fd == vcpu_fd)
			return &kvm->rings[i];
	return NULL;
}

static int
add_locked(struct vmmem_kvm *kvm, int vcpu_fd)
{
	struct vmmem_kvm_ring *rings;
	void *entries;

	if (find_ring(kvm, vcpu_fd) != NULL)
		return -EEXIST;
	rings = reallocarray(kvm->rings, kvm->ring_count + 1, sizeof(*rings));
	if (rings == NULL)
		return -ENOMEM;
	kvm->rings = rings;
	entries = mmap(NULL, ring_bytes(kvm), PROT_READ | PROT_WRITE,
		       MAP_SHARED, vcpu_fd,
		       (off_t)(KVM_DIRTY_LOG_PAGE_OFFSET * kvm->page_size));
	if (entries == MAP_FAILED)
		return -errno;
	rings[kvm->ring_count++] = (struct vmmem_kvm_ring){
		.fd = vcpu_fd,
		.entries = entries,
	};
	return 0;
}

VMMEM_API int
vmmem_kvm_add_vcpu(struct vmmem_kvm *kvm, int vcpu_fd)
{
	int rc;

	if (kvm == NULL || !vmmem_kvm_has_rings(kvm))
		return VMMEM_EINVAL;
	if (vmmem_kvm_is_child(kvm))
		return -EIO;
	pthread_mutex_lock(&kvm->lock);
	rc = add_locked(kvm, vcpu_fd);
	pthread_mutex_unlock(&kvm->lock);
	return rc;
}

static int
remove_locked(struct vmmem_kvm *kvm, int vcpu_fd)
{
	struct vmmem_kvm_ring *ring = find_ring(kvm, vcpu_fd);
	int rc;

	if (ring == NULL)
		return VMMEM_EINVAL;
	rc = vmmem_kvm_harvest(kvm);
	if (rc != 0)
		return rc;
	munmap(ring->entries, ring_bytes(kvm));
	*ring = kvm->rings[--kvm->ring_count];
	return 0;
}

VMMEM_API int
vmmem_kvm_remove_vcpu(struct vmmem_kvm *kvm, int vcpu_fd)
{
	int rc;

	if (kvm == NULL)
		return VMMEM_EINVAL;
	if (vmmem_kvm_is_child(kvm))
		return -EIO;
	pthread_mutex_lock(&kvm->lock);
	rc = remove_locked(kvm, vcpu_fd);
	pthread_mutex_unlock(&kvm->lock);
	return rc;
}

void
vmmem_kvm_drop_rings(struct vmmem_kvm *kvm)
{
	size_t i;

	for (i = 0; i < kvm->ring_count; i++)
		munmap(kvm->rings[i].entries, ring_bytes(kvm));
	free(kvm->rings);
}
