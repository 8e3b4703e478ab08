/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The inside of a kvm object, and the parts of KVM's interface that the headers
 * of older kernels lack.
 */
#ifndef KVM_PRIV_H
#define KVM_PRIV_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include <vmmem/endian.h>
#include <vmmem/error.h>
#include <vmmem/kvm.h>
#include <vmmem/listener.h>

#include "base/cancel.h"

/* Newer than the headers may be: Linux 6.8. */
#ifndef KVM_MEM_GUEST_MEMFD
#define KVM_MEM_GUEST_MEMFD (1UL << 2)
#endif
#ifndef KVM_CAP_USER_MEMORY2
#define KVM_CAP_USER_MEMORY2 231
#endif
#ifndef KVM_CAP_GUEST_MEMFD
#define KVM_CAP_GUEST_MEMFD 234
#endif

#ifndef KVM_CAP_MEMORY_ATTRIBUTES
#define KVM_CAP_MEMORY_ATTRIBUTES 233
#endif

/* struct kvm_memory_attributes, by whichever header. */
struct vmmem_kvm_attributes {
	uint64_t address;
	uint64_t size;
	uint64_t attributes;
	uint64_t flags;
};
#define VMMEM_KVM_SET_ATTRIBUTES                                           \
	_IOW(KVMIO, 0xd2, struct vmmem_kvm_attributes)
#define VMMEM_KVM_ATTRIBUTE_PRIVATE (UINT64_C(1) << 3)

/* struct kvm_userspace_memory_region2, by whichever header. */
struct vmmem_kvm_region2 {
	uint32_t slot;
	uint32_t flags;
	uint64_t guest_phys_addr;
	uint64_t memory_size;
	uint64_t userspace_addr;
	uint64_t guest_memfd_offset;
	uint32_t guest_memfd;
	uint32_t pad1;
	uint64_t pad2[14];
};
#define VMMEM_KVM_SET_REGION2 _IOW(KVMIO, 0x49, struct vmmem_kvm_region2)

/* An entry of a ring, whose flags KVM and we hand to one another. */
struct vmmem_kvm_gfn {
	uint32_t flags;
	uint32_t slot;
	uint64_t offset;
};
#define VMMEM_KVM_GFN_DIRTY 1U /* ours to read */
#define VMMEM_KVM_GFN_RESET 2U /* KVM's to protect again */

struct vmmem_kvm_ring {
	int fd;
	uint32_t reset; /* the first that was not given back to KVM */
	uint32_t fetch; /* the first that was not seen yet */
	struct vmmem_kvm_gfn *entries;
	struct vmmem_kvm_gfn *seen; /* what was in those from reset to fetch */
};

/* How often logging was started for a region and its aliases. */
struct vmmem_kvm_start {
	const struct vmmem_region *root; /* what all of them show */
	uint32_t count;
};

struct vmmem_kvm {
	int fd;
	pid_t pid; /* whose memory the machine sees */
	struct vmmem_kvm_options options;
	struct vmmem_slot_table *slots;
	struct vmmem_listener *listener;
	struct vmmem_space *space; /* the listener has a reference */
	bool follows; /* the space has the listener, perhaps a dead one */
	uint64_t page_size;
	bool read_only;	  /* what KVM has */
	bool guest_memfd;
	bool attributes; /* that tell private pages from shared ones */
	struct vmmem_collection *empty; /* the map of an object that ends */

	/* Guards the members below.  Taken after the space's locks. */
	pthread_mutex_t lock;
	int cancel; /* of the thread that holds it */
	struct vmmem_collection *map; /* the map that the slots should show */
	bool pending;		      /* they do not yet: a run failed */
	bool touched;		      /* the last run has changed something */
	bool closing;		      /* commit() ignores KVM's codes */
	bool freed;		      /* ends when its listener does */
	struct vmmem_kvm *next;	      /* of those in the list of remains */

	uint32_t starts; /* for all */
	struct vmmem_kvm_start *region_starts;
	size_t region_start_count;

	vmmem_le64 *words; /* of the longest slot that logs */
	size_t word_count;

	struct vmmem_kvm_ring *rings;
	size_t ring_count;
	uint32_t ring_entries;
	bool rings_lost; /* KVM lost some of what was in them */
};

/* vmmem_kvm_ioctl() returns what ioctl() did, or -errno. */
int vmmem_kvm_ioctl(const struct vmmem_kvm *kvm, unsigned long request,
		    void *argument);

/* vmmem_kvm_extension() returns what KVM says to KVM_CHECK_EXTENSION. */
int vmmem_kvm_extension(const struct vmmem_kvm *kvm, unsigned long which);

/* The number of a slot as KVM wants it. */
static inline uint32_t
vmmem_kvm_slot_id(const struct vmmem_kvm *kvm, const struct vmmem_slot *slot)
{
	return kvm->options.address_space << 16 | slot->number;
}

/*
 * vmmem_kvm_is_child() tells whether this is a child of fork().  A machine
 * belongs to the memory of the process that made it: there KVM refuses
 * everything, and sees nothing of the child's memory.
 */
bool vmmem_kvm_is_child(const struct vmmem_kvm *kvm);

/*
 * vmmem_kvm_lock() begins every function.  Under the lock the library calls the
 * program back, so the thread is not cancelled until it unlocks.  Queries lock
 * too, so the guarded members may change in a const object.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'kvm' is NULL
 *   VMMEM_EFORKED    this is a child: a thread that the child does not have may
 *                    hold the lock
 */
static inline int
vmmem_kvm_lock(const struct vmmem_kvm *kvm)
{
	struct vmmem_kvm *locked = (struct vmmem_kvm *)(uintptr_t)kvm;
	int cancel;

	if (kvm == NULL)
		return VMMEM_EARGUMENT;
	if (vmmem_kvm_is_child(kvm))
		return VMMEM_EFORKED;
	cancel = vmmem_cancel_off();
	pthread_mutex_lock(&locked->lock);
	locked->cancel = cancel;
	return 0;
}

static inline void
vmmem_kvm_unlock(const struct vmmem_kvm *kvm)
{
	struct vmmem_kvm *locked = (struct vmmem_kvm *)(uintptr_t)kvm;
	const int cancel = kvm->cancel;

	pthread_mutex_unlock(&locked->lock);
	vmmem_cancel_back(cancel);
}

/* These need the lock.  vmmem_kvm_set() makes KVM make or change a slot. */
int vmmem_kvm_set(struct vmmem_kvm *kvm, const struct vmmem_slot *slot);

/*
 * vmmem_kvm_show_private() tells KVM which pages of a slot are private, before
 * there is the slot; vmmem_kvm_forget_private() takes it back when that is
 * gone.
 */
int vmmem_kvm_show_private(const struct vmmem_kvm *kvm,
			   const struct vmmem_slot *slot);
void vmmem_kvm_forget_private(const struct vmmem_kvm *kvm,
			      const struct vmmem_slot *slot);

/* vmmem_kvm_run() makes the slots those of 'map', or as many as it can. */
int vmmem_kvm_run(struct vmmem_kvm *kvm, struct vmmem_collection *map);

/* vmmem_kvm_settle() completes the slots of the current map. */
int vmmem_kvm_settle(struct vmmem_kvm *kvm);

/* vmmem_kvm_undo() does, if a run that failed has left anything. */
void vmmem_kvm_undo(struct vmmem_kvm *kvm);

/* vmmem_kvm_set_map() notes the map that the slots should show. */
void vmmem_kvm_set_map(struct vmmem_kvm *kvm, struct vmmem_collection *map);

/* vmmem_kvm_wants_log() tells whether to log a region. */
bool vmmem_kvm_wants_log(const struct vmmem_kvm *kvm,
			 const struct vmmem_region *region);

/* vmmem_kvm_forget_starts() forgets those of regions without a slot. */
void vmmem_kvm_forget_starts(struct vmmem_kvm *kvm);

/* vmmem_kvm_log_enable() enables the way of logging that was asked for. */
int vmmem_kvm_log_enable(struct vmmem_kvm *kvm);

/* vmmem_kvm_log_reserve() makes room to collect a slot of 'len' bytes. */
int vmmem_kvm_log_reserve(struct vmmem_kvm *kvm, uint64_t len);

/*
 * vmmem_kvm_fetch() marks the pages that a slot has logged; a later write to
 * one is logged again if the slot still logs.
 */
int vmmem_kvm_fetch(struct vmmem_kvm *kvm, const struct vmmem_slot *slot,
		    bool goes_on);

/* vmmem_kvm_delete() deletes a slot and loses no page that it logged. */
int vmmem_kvm_delete(struct vmmem_kvm *kvm, const struct vmmem_slot *slot);

/* vmmem_kvm_mark() marks bytes that a slot shows. */
int vmmem_kvm_mark(const struct vmmem_slot *slot, uint64_t offset,
		   uint64_t len);

static inline bool
vmmem_kvm_has_rings(const struct vmmem_kvm *kvm)
{
	return kvm->options.log == VMMEM_KVM_LOG_RING;
}

/* vmmem_kvm_harvest() marks the entries of the rings and gives them back. */
int vmmem_kvm_harvest(struct vmmem_kvm *kvm);

void vmmem_kvm_drop_rings(struct vmmem_kvm *kvm);

/*
 * vmmem_kvm_start(), vmmem_kvm_stop_log() and vmmem_kvm_collect() are what
 * vmmem/kvm.h says of vmmem_kvm_log_start(), _stop() and _collect().
 */
int vmmem_kvm_start(struct vmmem_kvm *kvm, const struct vmmem_region *region);
int vmmem_kvm_stop_log(struct vmmem_kvm *kvm,
		       const struct vmmem_region *region);
int vmmem_kvm_collect(struct vmmem_kvm *kvm,
		      const struct vmmem_region *region);

/*
 * These two need no lock.  vmmem_kvm_destroy() frees an object, and the slots
 * of it that are left for ever with their regions.  vmmem_kvm_retry() deletes
 * slots that KVM has kept from freed objects.
 */
void vmmem_kvm_destroy(struct vmmem_kvm *kvm);
void vmmem_kvm_retry(void);

/* These are callbacks of the listener. */
int vmmem_kvm_converting(void *opaque, struct vmmem_region *region,
			 uint64_t offset, uint64_t len, int to_private);
void vmmem_kvm_converted(void *opaque, struct vmmem_region *region,
			 uint64_t offset, uint64_t len, int to_private,
			 int code);

/* vmmem_kvm_listener_gone() is the listener's 'destroy'. */
void vmmem_kvm_listener_gone(void *opaque);

#endif
