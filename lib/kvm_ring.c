/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * KVM's dirty rings.  A vCPU that is about to write to a page that is watched
 * puts it into its ring, so the bytes may come after the entry: they are there
 * to be read once KVM has been given the entry back and watches the page again.
 * So it is marked then and no earlier: who finds a mark, on any thread, may read
 * at once.  KVM may use the entry for another page by then, so each is copied.
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
entry_at(const struct vmmem_kvm *kvm, struct vmmem_kvm_gfn *entries,
	 uint32_t index)
{
	return &entries[index & (kvm->ring_entries - 1)];
}

/* mark_entry() marks one page, whosever slot it is in. */
static void
mark_entry(const struct vmmem_kvm *kvm, const struct vmmem_kvm_gfn *entry)
{
	uint32_t id = entry->slot;
	uint64_t page = entry->offset;
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

/* fetch_ring() copies the entries that are new, and has KVM take them back. */
static void
fetch_ring(const struct vmmem_kvm *kvm, struct vmmem_kvm_ring *ring)
{
	/* No more than there are, whatever the flags say. */
	while (ring->fetch - ring->reset != kvm->ring_entries) {
		struct vmmem_kvm_gfn *entry =
			entry_at(kvm, ring->entries, ring->fetch);
		struct vmmem_kvm_gfn *seen =
			entry_at(kvm, ring->seen, ring->fetch);

		/* Acquire: KVM fills the entry in before it says DIRTY. */
		if ((__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) &
		     VMMEM_KVM_GFN_DIRTY) == 0)
			break;
		/* Relaxed: the flags say that KVM is done with them. */
		seen->slot = __atomic_load_n(&entry->slot, __ATOMIC_RELAXED);
		seen->offset = __atomic_load_n(&entry->offset,
					       __ATOMIC_RELAXED);
		/* Release: KVM may fill it in again once it sees this. */
		__atomic_store_n(&entry->flags, VMMEM_KVM_GFN_RESET,
				 __ATOMIC_RELEASE);
		ring->fetch++;
	}
}

/*
 * mark_ring() marks what was fetched.  If giving back failed, these entries
 * stay: their pages may be written without a new entry, and are marked again
 * when it succeeds.
 */
static void
mark_ring(const struct vmmem_kvm *kvm, struct vmmem_kvm_ring *ring,
	  bool given_back)
{
	uint32_t i;

	for (i = ring->reset; i != ring->fetch; i++)
		mark_entry(kvm, entry_at(kvm, ring->seen, i));
	if (given_back)
		ring->reset = ring->fetch;
}

int
vmmem_kvm_harvest(struct vmmem_kvm *kvm)
{
	bool any = false;
	size_t i;
	int rc;

	for (i = 0; i < kvm->ring_count; i++) {
		fetch_ring(kvm, &kvm->rings[i]);
		any = any || kvm->rings[i].fetch != kvm->rings[i].reset;
	}
	if (!any)
		return 0;
	rc = vmmem_kvm_ioctl(kvm, KVM_RESET_DIRTY_RINGS, NULL);
	for (i = 0; i < kvm->ring_count; i++)
		mark_ring(kvm, &kvm->rings[i], rc >= 0);
	return rc < 0 ? rc : 0;
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
	struct vmmem_kvm_gfn *seen;
	void *entries;
	int rc;

	if (find_ring(kvm, vcpu_fd) != NULL)
		return -EEXIST;
	rings = reallocarray(kvm->rings, kvm->ring_count + 1, sizeof(*rings));
	if (rings == NULL)
		return -ENOMEM;
	kvm->rings = rings;
	seen = calloc(kvm->ring_entries, sizeof(*seen));
	if (seen == NULL)
		return -ENOMEM;
	entries = mmap(NULL, ring_bytes(kvm), PROT_READ | PROT_WRITE,
		       MAP_SHARED, vcpu_fd,
		       (off_t)(KVM_DIRTY_LOG_PAGE_OFFSET * kvm->page_size));
	if (entries == MAP_FAILED) {
		rc = -errno;
		free(seen);
		return rc;
	}
	rings[kvm->ring_count++] = (struct vmmem_kvm_ring){
		.fd = vcpu_fd,
		.entries = entries,
		.seen = seen,
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
	free(ring->seen);
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

	for (i = 0; i < kvm->ring_count; i++) {
		munmap(kvm->rings[i].entries, ring_bytes(kvm));
		free(kvm->rings[i].seen);
	}
	free(kvm->rings);
}
