/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/kvm.h - the memory slots of a KVM virtual machine, kept in step with a
 * space, and what its vCPUs write, brought into the bitmaps of the regions.
 *
 * A kvm object is a listener of a space (vmmem/listener.h).  When an update is
 * committed, the object makes the slots of the virtual machine those of the new
 * map, with the fewest calls of KVM_SET_USER_MEMORY_REGION (see
 * vmmem/slot_table.h), all in one go when it is told of the commit.  If one of
 * the calls fails, the object undoes the others and refuses the update with the
 * code.  If undoing fails as well, or if another listener refuses and undoing
 * fails then, work is left over: the object knows which slots the virtual
 * machine has, the memory of each slot stays mapped, and the next update, or
 * vmmem_kvm_sync(), does what is left.
 *
 * Each region gets a slot, or several if it is longer than a slot can be.
 * Neighbours that are one piece of memory share a slot, as vmmem/slot_table.h
 * says.  A read-only region gets a read-only slot.  A region without a host
 * address, or one that does not permit reading, gets none: what the guest does
 * there is an exit.  A slot consists of whole pages.  An update with a region
 * that does not is refused, except with VMMEM_KVM_FLAG_SKIP_UNALIGNED.
 *
 * To see what vCPUs write, start logging, and collect before each harvest:
 *
 *     vmmem_kvm_log_start(kvm, NULL);
 *     ...
 *     vmmem_kvm_log_collect(kvm, NULL);       what vCPUs wrote is marked
 *     vmmem_harvester_take(harvester, NULL);  now read what is taken
 *
 * When collect returns 0, every page that a vCPU wrote before the call is
 * marked, or was marked by an earlier collect.  A page that a vCPU writes again
 * is marked again by the next collect.  So collect, take and read, in this
 * order, lose nothing.  The object also collects what a slot logged before it
 * deletes the slot.
 *
 * This header needs no header of Linux.  Where KVM lacks what the caller asks
 * for, the code is VMMEM_ENOSUPPORT.
 *
 * Any thread may call these functions, except in a signal handler.  Calls wait
 * for one another.  In a child that fork() made, KVM refuses all calls: there
 * a kvm object lets every update pass, its functions return VMMEM_EFORKED, and
 * vmmem_kvm_stop() and vmmem_kvm_free() end it without a call to KVM.
 *
 * ioeventfds and coalesced MMIO zones are not kept by this object: they belong
 * to devices, and not to memory.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_KVM_H
#define VMMEM_KVM_H

#include <vmmem/base.h>
#include <vmmem/region.h>
#include <vmmem/slot_table.h>
#include <vmmem/space.h>

VMMEM_BEGIN_DECLS

struct vmmem_kvm;

/* How KVM logs: struct vmmem_kvm_options' log. */
#define VMMEM_KVM_LOG_GET 0 /* KVM_GET_DIRTY_LOG, which also clears */
#define VMMEM_KVM_LOG_CLEAR 1 /* clearing apart, in pieces: shorter pauses */
#define VMMEM_KVM_LOG_ALL_SET 2 /* so, and all is dirty at first: fast start */
#define VMMEM_KVM_LOG_RING 3 /* a ring per vCPU: costs what is dirty */

/* struct vmmem_kvm_options' flags. */
#define VMMEM_KVM_FLAG_LOG_IS_ON 1U /* the caller has enabled 'log' already */
#define VMMEM_KVM_FLAG_NO_MOVE 2U   /* delete and make slots, move none */
#define VMMEM_KVM_FLAG_NO_MERGE 4U   /* no slot shows several regions */
#define VMMEM_KVM_FLAG_SKIP_UNALIGNED 8U /* no slot for what is no whole page */

/*
 * struct vmmem_kvm_options is how to keep slots.  'size' is
 * sizeof(struct vmmem_kvm_options); what is 0 or NULL has the value in
 * parentheses.
 */
struct vmmem_kvm_options {
	size_t size;
	uint32_t address_space; /* of KVM_CAP_MULTI_ADDRESS_SPACE (0) */
	uint32_t first_slot;	/* lower numbers are the caller's (0) */
	uint32_t max_slots;	/* at most (as many as KVM has) */
	int32_t priority;	/* of the listener (0) */
	uint32_t log;		/* VMMEM_KVM_LOG_... (GET) */
	uint32_t ring_entries;	/* per vCPU, a power of two (65536, or what KVM
				   has if that is less); as many as were
				   enabled, if they were already */
	uint32_t flags;		/* a set of VMMEM_KVM_FLAG_... (0) */
	uint32_t reserved;	/* 0 */

	/*
	 * The longest slot in bytes, whole pages (2^30 pages, which is also the
	 * most: 4 TiB in pages of 4 KiB).  KVM has no longer ones than twice
	 * that.
	 */
	uint64_t max_slot_len;

	/*
	 * As struct vmmem_slot_table_options says: excludes regions, or gives
	 * them a guest_memfd.  Called again when logging starts or stops.  A
	 * region for which it sets VMMEM_SLOT_LOG is logged at all times.  Runs
	 * on any thread that calls functions of this header or updates the
	 * space, with the locks of both held, so it calls neither.
	 */
	int (*describe)(void *opaque, const struct vmmem_region *region,
			struct vmmem_slot *slot);

	/*
	 * Called for each entry of a ring that is about a slot of the caller's
	 * own, with the slot's number, the address space in its upper 16 bits,
	 * and the page's number in the slot.  Runs on the same threads.
	 */
	void (*other_slot)(void *opaque, uint32_t slot, uint64_t page);

	/*
	 * Called once, by vmmem_kvm_free(), when no other callback runs or will
	 * run.  Not called if vmmem_kvm_new() failed.
	 */
	void (*destroy)(void *opaque);
	void *opaque;
};

/*
 * vmmem_kvm_new() makes the slots of the virtual machine 'vm_fd', from
 * KVM_CREATE_VM, those of 'space', and keeps them so.  'options' is copied;
 * NULL is the same as all of it 0.  The descriptor stays the caller's and must
 * be open until vmmem_kvm_free().  Before any vCPU is made, if log is
 * VMMEM_KVM_LOG_RING.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'space' or 'ret_kvm' is NULL; 'log' or a flag is
 *                       unknown; 'address_space' is above 65535; 'ring_entries'
 *                       is no power of two; 'max_slot_len' is not whole pages,
 *                       or too many; 'reserved' is not 0; no number from
 *                       'first_slot' on is a slot's
 *   VMMEM_ENOSUPPORT    KVM does not have this way of logging, this many ring
 *                       entries, or this address space
 *   VMMEM_ESTRUCTSIZE   options->size is below that of version 0.9 or above
 *                       4096
 *   VMMEM_ESTRUCTNEWER  'options' has members set that this library does not
 *                       know
 *   -ENOTTY             'vm_fd' is not a virtual machine
 *   VMMEM_ESELFWAIT     this thread is in a listener's callback
 *                       of 'space'
 *   -ENOMEM             from the allocator
 *   -errno              what KVM_CHECK_EXTENSION and KVM_ENABLE_CAP said
 *   what an update can be refused with, see below, for the current map
 *
 * The slot of a region with a guest_memfd (vmmem/private.h) has that too, if it
 * permits writing.  Where the machine tells private pages from shared ones, KVM
 * is told of each page of such a slot what the region says, also when the space
 * converts it; what KVM says to that is the code of the conversion.
 *
 * What an update is refused with:
 *   VMMEM_ENOSLOT     the new map needs more slots than there are
 *   VMMEM_ESLOTALIGN  a region's address, host address or length is not a
 *                     multiple of the page size
 *   VMMEM_ENOSUPPORT  a region is read-only or has a guest_memfd, and KVM has
 *                     no such slots; or one with a guest_memfd is also
 *                     read-only, or to be logged, which KVM cannot do
 *   VMMEM_ENOBITMAP   a region is to be logged and has no bitmap
 *   VMMEM_EARGUMENT, VMMEM_ENOHOST, VMMEM_ECALLBACK
 *                     describe() did what vmmem_slot_plan_new() refuses
 *   -ENOMEM           from the allocator
 *   -errno            what KVM said: -EEXIST if a slot of the caller's own is
 *                     in the way, -EINVAL for addresses beyond those of the
 *                     machine
 *   what describe() returned
 */
VMMEM_NODISCARD int vmmem_kvm_new(struct vmmem_space *space, int vm_fd,
				  const struct vmmem_kvm_options *options,
				  struct vmmem_kvm **ret_kvm);

/*
 * vmmem_kvm_stop() leaves the space, collects what the slots logged, and
 * deletes them.  vCPUs may still run: they find no memory.  The space does not
 * know of the object afterwards, whatever the call returns.  The object has to
 * be freed.  A second call deletes the slots that the first could not.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'kvm' is NULL
 *   VMMEM_ESELFWAIT  this thread is in a listener's callback of the space;
 *                    nothing has changed
 *   -ENOMEM          from the allocator
 *   -errno           what KVM said when a slot should be deleted.  The virtual
 *                    machine can still reach the memory of the slots that are
 *                    left, and the memory stays mapped: call again.
 */
VMMEM_NODISCARD int vmmem_kvm_stop(struct vmmem_kvm *kvm);

/*
 * vmmem_kvm_free() does what vmmem_kvm_stop() does, as far as it can, frees,
 * and returns NULL.  It cannot fail, and may be called anywhere except in a
 * callback of this object: also within an update and in a callback of another
 * listener of the space.  NULL is a no-op.
 *
 * If KVM does not delete a slot, the memory of that slot stays mapped.  Each
 * later vmmem_kvm_new(), vmmem_kvm_sync(), vmmem_kvm_stop() and
 * vmmem_kvm_free() of any object tries again; until one of them succeeds the
 * library keeps a duplicate of the descriptor.  If there is no descriptor left
 * for that (EMFILE), the memory stays mapped as long as the process lives.  A
 * caller that must know calls vmmem_kvm_stop() before.
 */
struct vmmem_kvm *vmmem_kvm_free(struct vmmem_kvm *kvm);

/*
 * vmmem_kvm_space() returns the space, for as long as the object follows it;
 * NULL after vmmem_kvm_stop(), and for NULL.  The object has a reference to it,
 * and the caller gets none.
 */
struct vmmem_space *vmmem_kvm_space(const struct vmmem_kvm *kvm);

/*
 * vmmem_kvm_sync() does what is left over after a failure.  If nothing is left
 * over it does nothing.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'kvm' is NULL
 *   VMMEM_EFORKED    this process is a child
 *   what an update can be refused with; the rest is still left over
 */
VMMEM_NODISCARD int vmmem_kvm_sync(struct vmmem_kvm *kvm);

/*
 * vmmem_kvm_is_pending() returns 1 if work is left over after a failure, else
 * 0; 0 for NULL.
 */
int vmmem_kvm_is_pending(const struct vmmem_kvm *kvm);

/* vmmem_kvm_slot_count() returns how many slots it keeps; 0 for NULL. */
size_t vmmem_kvm_slot_count(const struct vmmem_kvm *kvm);

/*
 * vmmem_kvm_slot_at() stores the slot at 'index', in ascending order of guest
 * address from 0 on, as the virtual machine has it.  The region pointer is
 * valid until the next update.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'kvm' or 'ret_slot' is NULL
 *   VMMEM_EFORKED      this process is a child
 *   VMMEM_EOUTOFRANGE  'index' is not below the count
 */
VMMEM_NODISCARD int vmmem_kvm_slot_at(const struct vmmem_kvm *kvm, size_t index,
				      struct vmmem_slot *ret_slot);

/*
 * vmmem_kvm_slot_find() stores the slot that holds the guest address 'gpa', in
 * the same way.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'kvm' or 'ret_slot' is NULL
 *   VMMEM_EFORKED    this process is a child
 *   VMMEM_EBADADDR   no slot holds 'gpa'
 */
VMMEM_NODISCARD int vmmem_kvm_slot_find(const struct vmmem_kvm *kvm,
					uint64_t gpa,
					struct vmmem_slot *ret_slot);

/*
 * vmmem_kvm_exclude() sets that a region gets no slot: what the guest does
 * there is an exit.  vmmem_kvm_set_guest_memfd() sets that its slot has the
 * guest_memfd of that descriptor, from 'offset' on.  vmmem_kvm_unset() takes
 * back either.  Each is about this region, and not about aliases of it.  The
 * region may be in the space already: then its slot is changed at once.
 * Otherwise it is made so when the region is inserted.
 *
 * The object holds a reference to the region until the setting is taken back,
 * an update removes the region from the space, or the object is freed.  The
 * descriptor stays the caller's and is open for as long.
 *
 * Return 0, or
 *   VMMEM_EARGUMENT  'kvm' or 'region' is NULL, 'guest_memfd' is negative
 *   VMMEM_ENOREGION  vmmem_kvm_unset(): nothing is set for the region
 *   VMMEM_EFORKED    this process is a child
 *   what an update can be refused with
 * After a failure the setting is as it was before.
 */
VMMEM_NODISCARD int vmmem_kvm_exclude(struct vmmem_kvm *kvm,
				      struct vmmem_region *region);
VMMEM_NODISCARD int vmmem_kvm_set_guest_memfd(struct vmmem_kvm *kvm,
					      struct vmmem_region *region,
					      int guest_memfd,
					      uint64_t offset);
VMMEM_NODISCARD int vmmem_kvm_unset(struct vmmem_kvm *kvm,
				    struct vmmem_region *region);

/*
 * vmmem_kvm_log_start() has KVM log what vCPUs write to 'region', through
 * whichever alias; NULL for all regions, those that come later too.  Read-only
 * slots are left out.  Starts are counted, for each region and for all; those
 * of a region are forgotten when the last slot that shows it goes.
 *
 * From the return on, vCPUs' writes are collected.  What the library itself
 * writes is logged as vmmem/bitmap.h says: make the harvester first.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT   'kvm' is NULL
 *   VMMEM_EFORKED     this process is a child
 *   VMMEM_ENOREGION   no slot shows the region
 *   VMMEM_ENOBITMAP   a region has no bitmap
 *   VMMEM_ENOSUPPORT  a region has a guest_memfd
 *   -ENOMEM           from the allocator
 *   -errno            what KVM said
 *   what describe() returned, and what else an update can be refused with
 * After a failure nothing was started.
 */
VMMEM_NODISCARD int vmmem_kvm_log_start(struct vmmem_kvm *kvm,
					struct vmmem_region *region);

/*
 * vmmem_kvm_log_stop() takes one vmmem_kvm_log_start() of the same 'region', or
 * NULL, back.  What was logged is collected before logging ends; marks stay.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'kvm' is NULL, or there is no start to take back
 *   VMMEM_EFORKED    this process is a child
 *   -ENOMEM          from the allocator
 *   -errno           what KVM said
 *   what describe() returned, and what else an update can be refused with
 * After any code except the first two the start is taken back, and slots may go
 * on logging until vmmem_kvm_sync() or the next update.
 */
VMMEM_NODISCARD int vmmem_kvm_log_stop(struct vmmem_kvm *kvm,
				       struct vmmem_region *region);

/*
 * vmmem_kvm_log_collect() marks in the regions' bitmaps what vCPUs wrote since
 * the last time to 'region', through whichever alias; NULL for all regions.
 * With rings it is always all.  A mark may be one page too many, and with
 * VMMEM_KVM_LOG_ALL_SET the first ones are; none is missing.  Until the first
 * collect KVM does not watch those pages, so all that was read before it counts
 * as written since: collect once before the first page is sent, not after, or
 * all is sent twice.  If KVM lost what was in a ring, which it should not, all
 * pages are marked, this time and from then on.  Allocates nothing.
 *
 * With rings, also call it when a vCPU ends with KVM_EXIT_DIRTY_RING_FULL; and
 * for the last time after all vCPUs have left KVM_RUN.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'kvm' is NULL
 *   VMMEM_ENOREGION  no slot that logs shows the region
 *   VMMEM_EFORKED    this process is a child
 *   -errno           what KVM said.  All that could be collected was collected,
 *                    and nothing was lost: marks that are missing come with the
 *                    next collect that returns 0.  Until then no page counts as
 *                    clean.
 */
VMMEM_NODISCARD int vmmem_kvm_log_collect(struct vmmem_kvm *kvm,
					  struct vmmem_region *region);

/*
 * vmmem_kvm_log_collect_all() is vmmem_kvm_log_collect() of all regions, in the
 * shape of a callback that gets one pointer: 'kvm' is the object.  It is what
 * the 'collect' of a dirty log of the space wants (vmmem/dirty_log.h).
 */
VMMEM_NODISCARD int vmmem_kvm_log_collect_all(void *kvm);

/*
 * vmmem_kvm_add_vcpu() maps the ring of the vCPU 'vcpu_fd', from
 * KVM_CREATE_VCPU, to collect from it.  Before the vCPU runs, and if log is
 * VMMEM_KVM_LOG_RING only.  The descriptor stays the caller's.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'kvm' is NULL, or does not log with rings
 *   VMMEM_EEXISTS    this descriptor was added already
 *   VMMEM_EFORKED    this process is a child
 *   -ENOMEM          from the allocator
 *   -errno           what mmap(2) said
 */
VMMEM_NODISCARD int vmmem_kvm_add_vcpu(struct vmmem_kvm *kvm, int vcpu_fd);

/*
 * vmmem_kvm_remove_vcpu() collects for the last time from a vCPU that will not
 * run again, and unmaps its ring.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'kvm' is NULL, or the descriptor was not added
 *   VMMEM_EFORKED    this process is a child
 *   -errno           what KVM said; the vCPU is still there
 */
VMMEM_NODISCARD int vmmem_kvm_remove_vcpu(struct vmmem_kvm *kvm, int vcpu_fd);

VMMEM_END_DECLS

#endif
