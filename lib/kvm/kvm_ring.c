/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * KVM's dirty rings.  When a vCPU is about to write to a page that KVM watches,
 * KVM puts the page into the vCPU's ring, so the bytes may come after the
 * entry.  They are there to be read once the library has given the entry back
 * and KVM watches the page again.  The library marks the page then and no
 * earlier: a thread that finds a mark may read at once.  By then KVM may have
 * used the entry for another page, so the library copies each entry.
 *
 * KVM should never run out of entries, as it stops a vCPU before.  However,
 * while KVM emulates many instructions of a vCPU in a row, it may look only
 * between them, and then it writes over the oldest entries.  Rings that lost an
 * entry say nothing certain any more, now or later: KVM does not watch the page
 * of a lost entry again.  So from then on everything that is logged counts as
 * dirty, each time.
 */
#include <vmmem/error.h>
#include <vmmem/kvm.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/api.h"
#include "kvm/kvm_priv.h"

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

/* mark_entry() marks one page, or tells the caller of one of its own slots. */
static void
mark_entry(const struct vmmem_kvm *kvm, const struct vmmem_kvm_gfn *entry)
{
	uint32_t id = entry->slot;
	uint64_t page = entry->offset;
	struct vmmem_slot slot;

	if (id >> 16 == kvm->options.address_space &&
	    vmmem_slot_table_by_number(kvm->slots, id & UINT16_MAX,
				       &slot) == 0) {
		/* An entry of a slot that is gone may be beyond this one. */
		if (page < slot.len / kvm->page_size &&
		    vmmem_region_bitmap(slot.region) != NULL)
			(void)vmmem_kvm_mark(&slot, page * kvm->page_size,
					     kvm->page_size);
	} else if (kvm->options.other_slot != NULL) {
		kvm->options.other_slot(kvm->options.opaque, id, page);
	}
}

static uint32_t
flags_at(const struct vmmem_kvm *kvm, const struct vmmem_kvm_ring *ring,
	 uint32_t index)
{
	/*
	 * Acquire, against KVM on a vCPU's thread: KVM fills an entry in before
	 * it stores DIRTY, and is done with it before it clears the flags.
	 */
	return __atomic_load_n(&entry_at(kvm, ring->entries, index)->flags,
			       __ATOMIC_ACQUIRE);
}

static bool
is_dirty(const struct vmmem_kvm *kvm, const struct vmmem_kvm_ring *ring,
	 uint32_t index)
{
	return (flags_at(kvm, ring, index) & VMMEM_KVM_GFN_DIRTY) != 0;
}

/* fetch_next() copies the next entry, and lets KVM take it back. */
static void
fetch_next(const struct vmmem_kvm *kvm, struct vmmem_kvm_ring *ring)
{
	struct vmmem_kvm_gfn *entry =
		entry_at(kvm, ring->entries, ring->fetch);
	struct vmmem_kvm_gfn *seen = entry_at(kvm, ring->seen, ring->fetch);

	/* Relaxed: KVM stored both before the flags, which were acquired. */
	seen->slot = __atomic_load_n(&entry->slot, __ATOMIC_RELAXED);
	seen->offset = __atomic_load_n(&entry->offset, __ATOMIC_RELAXED);
	/* Release: KVM may fill the entry in again once it sees this. */
	__atomic_store_n(&entry->flags, VMMEM_KVM_GFN_RESET, __ATOMIC_RELEASE);
	ring->fetch++;
}

static void
fetch_ring(struct vmmem_kvm *kvm, struct vmmem_kvm_ring *ring)
{
	const uint32_t end = ring->reset + kvm->ring_entries;
	uint32_t next = ring->fetch;

	/* No more than the ring has, whatever the flags say. */
	while (next != end) {
		if (is_dirty(kvm, ring, next++)) {
			/*
			 * Entries that KVM wrote over count for it as not
			 * given back yet, and it goes on behind them.
			 */
			while (ring->fetch != next)
				fetch_next(kvm, ring);
		} else if (!kvm->rings_lost) {
			break;
		}
	}
	if (ring->fetch == end)
		kvm->rings_lost = true;
}

/*
 * give_back() makes KVM watch the pages of 'count' entries again.  Since Linux
 * 6.16 a signal that is pending ends the call early, and KVM may have taken
 * entries back then whose pages it does not watch.  So none is let through; and
 * if KVM took back less for another reason, that is a loss.
 */
static int
give_back(struct vmmem_kvm *kvm, uint64_t count)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = vmmem_kvm_ioctl(kvm, KVM_RESET_DIRTY_RINGS, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc >= 0 && (uint64_t)rc < count)
		kvm->rings_lost = true;
	return rc < 0 ? rc : 0;
}

/*
 * resume() makes KVM continue to take entries back, if KVM waits at an entry
 * that nobody will give back.  If KVM writes over an entry that was given back,
 * before KVM has taken it, KVM comes to it twice.  The second time KVM finds no
 * flags, and stops there.  All entries behind it stay given, in the end the
 * ring is full for ever, and the vCPU stands still.
 *
 * The entries that are given and not taken end at 'fetch'.  KVM does not say
 * where it stopped.  It is before those, and no entry between has flags.  So
 * the library gives the entries between one after the other, from the end,
 * until KVM has taken the last one.  Never more: KVM would then take entries
 * that it has not filled.
 */
static void
resume(struct vmmem_kvm *kvm, struct vmmem_kvm_ring *ring)
{
	const uint32_t last = ring->fetch - 1;
	const uint32_t first = ring->fetch - kvm->ring_entries;
	uint32_t at = ring->fetch;

	while (at != first &&
	       flags_at(kvm, ring, at - 1) == VMMEM_KVM_GFN_RESET)
		at--;
	while (at != first &&
	       flags_at(kvm, ring, last) == VMMEM_KVM_GFN_RESET &&
	       flags_at(kvm, ring, at - 1) == 0) {
		at--;
		/* Release: as in fetch_next(), though there is nothing new. */
		__atomic_store_n(&entry_at(kvm, ring->entries, at)->flags,
				 VMMEM_KVM_GFN_RESET, __ATOMIC_RELEASE);
		if (give_back(kvm, 1) != 0)
			return;
	}
}

/* mark_all() marks all bytes of all slots that log. */
static void
mark_all(const struct vmmem_kvm *kvm)
{
	size_t i, count = vmmem_slot_table_count(kvm->slots);
	struct vmmem_slot slot;

	for (i = 0; i < count; i++)
		if (vmmem_slot_table_at(kvm->slots, i, &slot) == 0 &&
		    (slot.flags & VMMEM_SLOT_LOG) != 0)
			(void)vmmem_kvm_mark(&slot, 0, slot.len);
}

/*
 * mark_ring() marks the fetched entries.  If giving back failed, these entries
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
	uint64_t entries = 0;
	size_t i;
	int rc = 0;

	for (i = 0; i < kvm->ring_count; i++) {
		fetch_ring(kvm, &kvm->rings[i]);
		entries += kvm->rings[i].fetch - kvm->rings[i].reset;
	}
	if (entries != 0)
		rc = give_back(kvm, entries);
	for (i = 0; i < kvm->ring_count && kvm->rings_lost && rc == 0; i++)
		resume(kvm, &kvm->rings[i]);
	for (i = 0; i < kvm->ring_count; i++)
		mark_ring(kvm, &kvm->rings[i], rc == 0);
	if (kvm->rings_lost)
		mark_all(kvm);
	return rc;
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
		return VMMEM_EEXISTS;
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
	int rc = vmmem_kvm_lock(kvm);

	if (rc != 0)
		return rc;
	rc = vmmem_kvm_has_rings(kvm) ? add_locked(kvm, vcpu_fd) :
					VMMEM_EARGUMENT;
	vmmem_kvm_unlock(kvm);
	return rc;
}

static int
remove_locked(struct vmmem_kvm *kvm, int vcpu_fd)
{
	struct vmmem_kvm_ring *ring = find_ring(kvm, vcpu_fd);
	int rc;

	if (ring == NULL)
		return VMMEM_EARGUMENT;
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
	int rc = vmmem_kvm_lock(kvm);

	if (rc != 0)
		return rc;
	rc = remove_locked(kvm, vcpu_fd);
	vmmem_kvm_unlock(kvm);
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
	kvm->rings = NULL;
	kvm->ring_count = 0;
}
