/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The kvm object: its memory slots follow the map of a space. */
#include <vmmem/error.h>
#include <vmmem/kvm.h>
#include <vmmem/update.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/api.h"
#include "kvm/kvm_priv.h"
#include "kvm/slot_table_priv.h"
#include "base/struct_size.h"

#define FLAGS_KNOWN                                                        \
	(VMMEM_KVM_FLAG_LOG_IS_ON | VMMEM_KVM_FLAG_NO_MOVE |               \
	 VMMEM_KVM_FLAG_NO_MERGE | VMMEM_KVM_FLAG_SKIP_UNALIGNED)

/* The number of slots of a KVM that is too old to tell it. */
#define SLOTS_OF_OLD 32

/* KVM takes one page less than twice as many in a slot; huge ones fit. */
#define SLOT_PAGES (UINT64_C(1) << 30)

bool
vmmem_kvm_is_child(const struct vmmem_kvm *kvm)
{
	return getpid() != kvm->pid;
}

/* describe() describes the slot that 'region' should have. */
static int
describe(void *opaque, const struct vmmem_region *region,
	 struct vmmem_slot *slot)
{
	const struct vmmem_kvm *kvm = opaque;
	int rc = 0;

	if (kvm->options.describe != NULL)
		rc = kvm->options.describe(kvm->options.opaque, region, slot);
	if (rc != 0 || (slot->flags & VMMEM_SLOT_NONE) != 0)
		return rc;
	if ((slot->flags & VMMEM_SLOT_READ_ONLY) != 0) {
		/* Nobody writes there, so there is nothing to log. */
		slot->flags &= ~VMMEM_SLOT_LOG;
		if (!kvm->read_only)
			return VMMEM_ENOSUPPORT;
	} else if (vmmem_kvm_wants_log(kvm, region)) {
		slot->flags |= VMMEM_SLOT_LOG;
	}
	if ((slot->flags & VMMEM_SLOT_GUEST_MEMFD) != 0 &&
	    (!kvm->guest_memfd ||
	     (slot->flags & (VMMEM_SLOT_READ_ONLY | VMMEM_SLOT_LOG)) != 0))
		return VMMEM_ENOSUPPORT;
	if ((slot->flags & VMMEM_SLOT_LOG) != 0 &&
	    vmmem_region_bitmap(region) == NULL)
		return VMMEM_ENOBITMAP;
	return 0;
}

/* reserve() makes room to collect the longest slot of the plan that logs. */
static int
reserve(struct vmmem_kvm *kvm, const struct vmmem_slot_plan *plan)
{
	size_t i, count = vmmem_slot_plan_count(plan);
	struct vmmem_slot_op op;
	int rc;

	for (i = 0; i < count; i++) {
		rc = vmmem_slot_plan_at(plan, i, &op);
		if (rc == 0 && (op.slot.flags & VMMEM_SLOT_LOG) != 0)
			rc = vmmem_kvm_log_reserve(kvm, op.slot.len);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* carry_out() makes KVM do the operations of the plan. */
static int
carry_out(struct vmmem_kvm *kvm, const struct vmmem_slot_op *op)
{
	int rc = 0;

	switch (op->kind) {
	case VMMEM_SLOT_OP_KEEP:
		return 0;
	case VMMEM_SLOT_OP_DELETE:
		return vmmem_kvm_delete(kvm, &op->slot);
	default:
		/* KVM drops the log together with the flag. */
		if ((op->old_flags & ~op->slot.flags & VMMEM_SLOT_LOG) != 0)
			rc = vmmem_kvm_fetch(kvm, &op->slot, false);
		return rc != 0 ? rc : vmmem_kvm_set(kvm, &op->slot);
	}
}

int
vmmem_kvm_run(struct vmmem_kvm *kvm, struct vmmem_collection *map)
{
	struct vmmem_slot_plan *plan;
	struct vmmem_slot_op op;
	size_t i, count;
	int rc;

	kvm->touched = false;
	rc = vmmem_slot_plan_new(kvm->slots, map, &plan);
	if (rc != 0)
		return rc;
	rc = reserve(kvm, plan);
	count = vmmem_slot_plan_count(plan);
	for (i = 0; i < count && rc == 0; i++) {
		rc = vmmem_slot_plan_at(plan, i, &op);
		if (rc == 0)
			rc = carry_out(kvm, &op);
		if (rc != 0)
			break;
		kvm->touched = true;
		rc = vmmem_slot_table_done(kvm->slots, plan);
	}
	vmmem_slot_plan_free(plan);
	return rc;
}

int
vmmem_kvm_settle(struct vmmem_kvm *kvm)
{
	int rc = vmmem_kvm_run(kvm, kvm->map);

	kvm->pending = rc != 0;
	/* Regions that had a slot until now only because a run had failed. */
	if (rc == 0)
		vmmem_kvm_forget_starts(kvm);
	return rc;
}

void
vmmem_kvm_undo(struct vmmem_kvm *kvm)
{
	/* If this fails too, that is noted, and done later. */
	if (kvm->touched || kvm->pending)
		(void)vmmem_kvm_settle(kvm);
}

void
vmmem_kvm_set_map(struct vmmem_kvm *kvm, struct vmmem_collection *map)
{
	vmmem_collection_ref(map);
	vmmem_collection_unref(kvm->map);
	kvm->map = map;
}

/*
 * All at once, and as late as can be: between the deletion of a slot and the
 * making of the next the guest finds no memory there.
 */
static int
commit(void *opaque, struct vmmem_collection *old_map,
       struct vmmem_collection *new_map)
{
	struct vmmem_kvm *kvm = opaque;
	int rc;

	(void)old_map;
	if (vmmem_kvm_lock(kvm) != 0)
		return 0;
	rc = vmmem_kvm_run(kvm, new_map);
	if (rc == 0 || kvm->closing) {
		vmmem_kvm_set_map(kvm, new_map);
		kvm->pending = rc != 0;
	} else {
		vmmem_kvm_undo(kvm);
	}
	vmmem_kvm_unlock(kvm);
	return rc;
}

static void
published(void *opaque, struct vmmem_collection *old_map,
	  struct vmmem_collection *new_map)
{
	struct vmmem_kvm *kvm = opaque;

	if (vmmem_kvm_lock(kvm) != 0)
		return;
	vmmem_kvm_forget_starts(kvm);
	vmmem_slot_table_drop_notes(kvm->slots, old_map, new_map);
	vmmem_kvm_unlock(kvm);
}

/* Another listener has refused, before or after our commit. */
static void
abort_update(void *opaque, struct vmmem_collection *old_map,
	     struct vmmem_collection *new_map)
{
	struct vmmem_kvm *kvm = opaque;

	(void)new_map;
	if (vmmem_kvm_lock(kvm) != 0)
		return;
	if (kvm->map != old_map || kvm->pending) {
		vmmem_kvm_set_map(kvm, old_map);
		(void)vmmem_kvm_settle(kvm);
	}
	vmmem_kvm_unlock(kvm);
}

/* find_out() asks KVM what it has, and limits the options to that. */
static int
find_out(struct vmmem_kvm *kvm)
{
	uint32_t slots, read_only, memfd, memory2, spaces, attributes, left;
	const struct {
		unsigned long which;
		uint32_t *has;
	} asked[] = {
		{ KVM_CAP_NR_MEMSLOTS, &slots },
		{ KVM_CAP_READONLY_MEM, &read_only },
		{ KVM_CAP_GUEST_MEMFD, &memfd },
		{ KVM_CAP_USER_MEMORY2, &memory2 },
		{ KVM_CAP_MEMORY_ATTRIBUTES, &attributes },
		{ KVM_CAP_MULTI_ADDRESS_SPACE, &spaces },
	};
	size_t i;

	for (i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		int rc = vmmem_kvm_extension(kvm, asked[i].which);

		if (rc < 0)
			return rc;
		*asked[i].has = (uint32_t)rc;
	}
	if (slots == 0)
		slots = SLOTS_OF_OLD;
	kvm->read_only = read_only != 0;
	kvm->guest_memfd = memfd != 0 && memory2 != 0;
	kvm->attributes = (attributes & VMMEM_KVM_ATTRIBUTE_PRIVATE) != 0;
	/* Most KVMs have one address space, and answer 0. */
	if (kvm->options.address_space != 0 &&
	    kvm->options.address_space >= spaces)
		return VMMEM_ENOSUPPORT;
	if (kvm->options.first_slot >= slots)
		return VMMEM_EARGUMENT;
	left = slots - kvm->options.first_slot;
	if (kvm->options.max_slots == 0 || kvm->options.max_slots > left)
		kvm->options.max_slots = left;
	return 0;
}

static int
take_options(struct vmmem_kvm *kvm, const struct vmmem_kvm_options *options)
{
	struct vmmem_kvm_options *known = &kvm->options;
	int rc;

	if (options != NULL) {
		rc = vmmem_struct_take(options, known, sizeof(*known),
				       VMMEM_KVM_OPTIONS_SIZE_0_9);
		if (rc != 0)
			return rc;
	}
	if (known->log > VMMEM_KVM_LOG_RING || known->reserved != 0 ||
	    (known->flags & ~FLAGS_KNOWN) != 0 ||
	    known->address_space > UINT16_MAX ||
	    known->max_slot_len % kvm->page_size != 0 ||
	    known->max_slot_len / kvm->page_size > SLOT_PAGES ||
	    (known->ring_entries & (known->ring_entries - 1)) != 0)
		return VMMEM_EARGUMENT;
	return 0;
}

static int
make_slots(struct vmmem_kvm *kvm)
{
	struct vmmem_slot_table_options options = {
		.size = sizeof(options),
		.first = kvm->options.first_slot,
		.max = kvm->options.max_slots,
		.page_size = kvm->page_size,
		.describe = describe,
		.opaque = kvm,
		.max_len = kvm->options.max_slot_len != 0 ?
				   kvm->options.max_slot_len :
				   kvm->page_size * SLOT_PAGES,
	};

#ifndef __s390x__ /* where KVM moves none */
	if ((kvm->options.flags & VMMEM_KVM_FLAG_NO_MOVE) == 0)
		options.flags |= VMMEM_SLOT_TABLE_CAN_MOVE;
#endif
	if ((kvm->options.flags & VMMEM_KVM_FLAG_NO_MERGE) != 0)
		options.flags |= VMMEM_SLOT_TABLE_NO_MERGE;
	if ((kvm->options.flags & VMMEM_KVM_FLAG_SKIP_UNALIGNED) != 0)
		options.flags |= VMMEM_SLOT_TABLE_SKIP_UNALIGNED;
	return vmmem_slot_table_new(&options, &kvm->slots);
}

VMMEM_API int
vmmem_kvm_new(struct vmmem_space *space, int vm_fd,
	      const struct vmmem_kvm_options *options,
	      struct vmmem_kvm **ret_kvm)
{
	static const struct vmmem_listener_ops ops = {
		.size = sizeof(ops),
		.commit = commit,
		.published = published,
		.abort = abort_update,
		.destroy = vmmem_kvm_listener_gone,
		.converting = vmmem_kvm_converting,
		.converted = vmmem_kvm_converted,
	};
	struct vmmem_listener_options listener = {
		.size = sizeof(listener),
		.name = "kvm",
	};
	struct vmmem_kvm *kvm;
	int rc;

	if (space == NULL || ret_kvm == NULL)
		return VMMEM_EARGUMENT;
	vmmem_kvm_retry();
	kvm = calloc(1, sizeof(*kvm));
	if (kvm == NULL)
		return -ENOMEM;
	kvm->fd = vm_fd;
	kvm->pid = getpid();
	kvm->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	rc = -pthread_mutex_init(&kvm->lock, NULL);
	if (rc != 0) {
		free(kvm);
		return rc;
	}
	rc = take_options(kvm, options);
	listener.priority = kvm->options.priority;
	if (rc == 0)
		rc = find_out(kvm);
	if (rc == 0)
		rc = make_slots(kvm);
	if (rc == 0)
		rc = vmmem_collection_new_empty(&kvm->empty);
	if (rc == 0)
		kvm->map = vmmem_collection_ref(kvm->empty);
	if (rc == 0)
		rc = vmmem_kvm_log_enable(kvm);
	/* The space may be followed, and left, before the call returns. */
	kvm->follows = rc == 0;
	if (rc == 0)
		rc = vmmem_listener_new(space, &ops, kvm, &listener,
					&kvm->listener);
	if (rc != 0) {
		kvm->follows = false;
		kvm->options.destroy = NULL;
		vmmem_kvm_free(kvm);
		return rc;
	}
	kvm->space = space;
	*ret_kvm = kvm;
	return 0;
}

VMMEM_API struct vmmem_space *
vmmem_kvm_space(const struct vmmem_kvm *kvm)
{
	return kvm != NULL ? kvm->space : NULL;
}

VMMEM_API int
vmmem_kvm_sync(struct vmmem_kvm *kvm)
{
	int rc = vmmem_kvm_lock(kvm);

	if (rc != 0)
		return rc;
	if (kvm->pending)
		rc = vmmem_kvm_settle(kvm);
	vmmem_kvm_unlock(kvm);
	vmmem_kvm_retry();
	return rc;
}

VMMEM_API int
vmmem_kvm_is_pending(const struct vmmem_kvm *kvm)
{
	int pending;

	if (vmmem_kvm_lock(kvm) != 0)
		return 0;
	pending = kvm->pending;
	vmmem_kvm_unlock(kvm);
	return pending;
}

VMMEM_API size_t
vmmem_kvm_slot_count(const struct vmmem_kvm *kvm)
{
	size_t count;

	if (vmmem_kvm_lock(kvm) != 0)
		return 0;
	count = vmmem_slot_table_count(kvm->slots);
	vmmem_kvm_unlock(kvm);
	return count;
}

VMMEM_API int
vmmem_kvm_slot_at(const struct vmmem_kvm *kvm, size_t index,
		  struct vmmem_slot *ret_slot)
{
	int rc = vmmem_kvm_lock(kvm);

	if (rc != 0)
		return rc;
	rc = vmmem_slot_table_at(kvm->slots, index, ret_slot);
	vmmem_kvm_unlock(kvm);
	return rc;
}

VMMEM_API int
vmmem_kvm_slot_find(const struct vmmem_kvm *kvm, uint64_t gpa,
		    struct vmmem_slot *ret_slot)
{
	int rc = vmmem_kvm_lock(kvm);

	if (rc != 0)
		return rc;
	rc = vmmem_slot_table_find(kvm->slots, gpa, ret_slot);
	vmmem_kvm_unlock(kvm);
	return rc;
}

/* put_note() sets a region's note, and makes the slots follow it. */
static int
put_note(struct vmmem_kvm *kvm, struct vmmem_region *region,
	 struct vmmem_slot_note note)
{
	struct vmmem_slot_note old;
	int rc;

	if (region == NULL)
		return VMMEM_EARGUMENT;
	rc = vmmem_kvm_lock(kvm);
	if (rc != 0)
		return rc;
	old = vmmem_slot_table_note(kvm->slots, region);
	rc = vmmem_slot_table_put_note(kvm->slots, region, note);
	if (rc == 0) {
		rc = vmmem_kvm_run(kvm, kvm->map);
		if (rc == 0) {
			kvm->pending = false;
		} else {
			(void)vmmem_slot_table_put_note(kvm->slots, region,
							old);
			vmmem_kvm_undo(kvm);
		}
	}
	vmmem_kvm_unlock(kvm);
	return rc;
}

VMMEM_API int
vmmem_kvm_exclude(struct vmmem_kvm *kvm, struct vmmem_region *region)
{
	const struct vmmem_slot_note note = { .flags = VMMEM_SLOT_NONE };

	return put_note(kvm, region, note);
}

VMMEM_API int
vmmem_kvm_set_guest_memfd(struct vmmem_kvm *kvm, struct vmmem_region *region,
			  int guest_memfd, uint64_t offset)
{
	const struct vmmem_slot_note note = {
		.flags = VMMEM_SLOT_GUEST_MEMFD,
		.guest_memfd = guest_memfd,
		.offset = offset,
	};

	return guest_memfd < 0 ? VMMEM_EARGUMENT :
				 put_note(kvm, region, note);
}

VMMEM_API int
vmmem_kvm_unset(struct vmmem_kvm *kvm, struct vmmem_region *region)
{
	const struct vmmem_slot_note none = { .region = NULL };

	return put_note(kvm, region, none);
}

VMMEM_API int
vmmem_kvm_log_start(struct vmmem_kvm *kvm, struct vmmem_region *region)
{
	int rc = vmmem_kvm_lock(kvm);

	if (rc != 0)
		return rc;
	rc = vmmem_kvm_start(kvm, region);
	vmmem_kvm_unlock(kvm);
	return rc;
}

VMMEM_API int
vmmem_kvm_log_stop(struct vmmem_kvm *kvm, struct vmmem_region *region)
{
	int rc = vmmem_kvm_lock(kvm);

	if (rc != 0)
		return rc;
	rc = vmmem_kvm_stop_log(kvm, region);
	vmmem_kvm_unlock(kvm);
	return rc;
}

VMMEM_API int
vmmem_kvm_log_collect(struct vmmem_kvm *kvm, struct vmmem_region *region)
{
	int rc = vmmem_kvm_lock(kvm);

	if (rc != 0)
		return rc;
	rc = vmmem_kvm_collect(kvm, region);
	vmmem_kvm_unlock(kvm);
	return rc;
}

VMMEM_API int
vmmem_kvm_log_collect_all(void *kvm)
{
	return vmmem_kvm_log_collect(kvm, NULL);
}
