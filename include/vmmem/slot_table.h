/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/slot_table.h - the memory slots of a hypervisor, and what it takes to
 * make them those of another memory map.
 *
 * A hypervisor shows memory to a guest in numbered slots: so many bytes at this
 * guest address are the bytes at that host address.  A table of slots knows
 * which slots the hypervisor has.  From the table and a map
 * vmmem_slot_plan_new() makes a plan, a list of the fewest operations that lead
 * from the one to the other.  The hypervisor is told nothing by that: a plan is
 * a dry run.  The caller carries the operations out one by one, in order, and
 * tells the table after each:
 *
 *     rc = vmmem_slot_plan_new(slots, map, &plan);
 *     for (i = 0; rc == 0 && i < vmmem_slot_plan_count(plan); i++) {
 *             rc = vmmem_slot_plan_at(plan, i, &op);
 *             if (rc == 0)
 *                     rc = what the hypervisor says to 'op';
 *             if (rc == 0)
 *                     rc = vmmem_slot_table_done(slots, plan);
 *     }
 *     vmmem_slot_plan_free(plan);
 *
 * If the hypervisor fails half-way, the table still says what it has, and a
 * plan for the old map leads back.  vmmem/kvm.h does all this for KVM.
 *
 * Each region of the map gets a slot, or several if it is longer than a slot
 * may be.  A region without a host address, or one that does not permit
 * reading, gets none: what the guest does there is an exit.
 *
 * Neighbours that are one piece of memory share a slot: aliases of one region
 * whose host addresses follow one another as their guest addresses do, with the
 * same flags and the same log, and without a guest_memfd.  A slot of 1 MiB or
 * more is never deleted only to join it to its neighbours, as the guest finds
 * no memory there between the deletion and the making of the next slot: a
 * neighbour that comes gets a slot of its own, except if there are too few
 * slots.  If part of such a slot changes, it has to be deleted, and what is
 * left of it is made again.  With VMMEM_SLOT_TABLE_NO_MERGE this never happens.
 *
 * A table holds a reference to the region of each slot, so the memory stays
 * mapped for as long as the hypervisor may show it.
 *
 * A table and its plans belong to one thread at a time.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_SLOT_TABLE_H
#define VMMEM_SLOT_TABLE_H

#include <vmmem/base.h>
#include <vmmem/collection.h>
#include <vmmem/region.h>

VMMEM_BEGIN_DECLS

struct vmmem_slot_table;
struct vmmem_slot_plan;

/* The flags of struct vmmem_slot. */
#define VMMEM_SLOT_READ_ONLY 1U	  /* what the guest writes is an exit */
#define VMMEM_SLOT_LOG 2U	  /* the hypervisor logs what is written */
#define VMMEM_SLOT_GUEST_MEMFD 4U /* guest_memfd and its offset are set */
#define VMMEM_SLOT_NONE 8U	  /* no slot for this region */

/*
 * struct vmmem_slot is one slot, or how one should be.  Its size never changes.
 * What later versions add takes the place of reserved words, so that 0 there
 * means what this version does.
 */
struct vmmem_slot {
	uint64_t gpa;
	uint64_t len;
	void *host;
	struct vmmem_region *region; /* borrowed; holds the first byte */
	uint64_t guest_memfd_offset; /* of the first byte, in guest_memfd */
	int32_t guest_memfd;	     /* -1 if there is none */
	uint32_t flags;		     /* a set of VMMEM_SLOT_... */
	uint32_t number;
	uint32_t region_count; /* how many regions it shows bytes of */
	uint64_t reserved[9];  /* 0 */
};

/* The operations: struct vmmem_slot_op's kind. */
#define VMMEM_SLOT_OP_DELETE 1 /* take the slot away */
#define VMMEM_SLOT_OP_MOVE 2   /* show the same at another guest address */
#define VMMEM_SLOT_OP_CHANGE 3 /* the same, with other flags: LOG on or off */
#define VMMEM_SLOT_OP_KEEP 4   /* nothing: another region, the same bytes */
#define VMMEM_SLOT_OP_CREATE 5 /* make a slot of this number */

/*
 * struct vmmem_slot_op is one operation.  'slot' is what the slot is like
 * afterwards; for VMMEM_SLOT_OP_DELETE what it was like before.  Its size never
 * changes either.
 */
struct vmmem_slot_op {
	uint32_t kind;	      /* VMMEM_SLOT_OP_... */
	uint32_t old_flags;   /* before; 0 for VMMEM_SLOT_OP_CREATE */
	uint64_t old_gpa;     /* before; the same unless the slot moves */
	uint64_t reserved[2]; /* 0 */
	struct vmmem_slot slot;
};

/* struct vmmem_slot_table_options' flags. */
#define VMMEM_SLOT_TABLE_CAN_MOVE 1U /* it moves a slot in one operation */
#define VMMEM_SLOT_TABLE_NO_MERGE 2U  /* no slot shows several regions */
/* A region that is not whole pages gets no slot, and not VMMEM_ESLOTALIGN. */
#define VMMEM_SLOT_TABLE_SKIP_UNALIGNED 4U

/*
 * struct vmmem_slot_table_options is what a table is like.  'size' is
 * sizeof(struct vmmem_slot_table_options); what is 0 or NULL has the value in
 * parentheses.
 */
struct vmmem_slot_table_options {
	size_t size;
	uint32_t first;	    /* the lowest number of a slot (0) */
	uint32_t max;	    /* how many slots at most (2^32 - 1 - first) */
	uint64_t page_size; /* what slots are made of, a power of two (the
			       system's) */
	uint32_t flags;	    /* a set of VMMEM_SLOT_TABLE_... (0) */
	uint32_t reserved;  /* 0 */

	/*
	 * The longest slot, in bytes, whole pages (no limit).  What is longer
	 * has several slots, each of this length except the last.
	 */
	uint64_t max_len;

	/*
	 * Called for each region that has no slot of its own, for each plan,
	 * and for all regions after vmmem_slot_table_redescribe().  'slot' says
	 * what the table would do: the range, the host address or NULL,
	 * VMMEM_SLOT_READ_ONLY or not, VMMEM_SLOT_NONE where there would be
	 * no slot, and the guest_memfd of a region that has one and permits
	 * writing (vmmem/private.h).  The callback may change the host address,
	 * the flags, guest_memfd and its offset.  For a region that shares a
	 * slot it is called for each plan, and has to give the same answer
	 * until vmmem_slot_table_redescribe().  It returns 0, or a negative
	 * code, which becomes that of the plan.  (Nothing is changed)
	 */
	int (*describe)(void *opaque, const struct vmmem_region *region,
			struct vmmem_slot *slot);

	/* Called once, when the table is freed: nothing uses 'opaque' then. */
	void (*destroy)(void *opaque);
	void *opaque;
};

/*
 * vmmem_slot_table_new() makes a table without slots.  'options' is copied;
 * NULL is the same as all of it 0.  The caller frees the table.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'ret_slots' is NULL; the page size is not a power of
 *                       two; 'max_len' is not whole pages; an unknown flag;
 *                       'reserved' is not 0; the last number is above 2^32 - 1
 *   VMMEM_ESTRUCTSIZE   options->size is below that of version 0.9 or above
 *                       4096
 *   VMMEM_ESTRUCTNEWER  'options' has members set that this library does not
 *                       know
 *   -ENOMEM             from the allocator
 */
VMMEM_NODISCARD int
vmmem_slot_table_new(const struct vmmem_slot_table_options *options,
		     struct vmmem_slot_table **ret_slots);

/*
 * vmmem_slot_table_free() frees a table and returns NULL.  The table drops its
 * references to the regions, so the hypervisor must not show them any more.
 * NULL is a no-op.
 */
struct vmmem_slot_table *vmmem_slot_table_free(struct vmmem_slot_table *slots);

/* vmmem_slot_table_count() returns how many slots there are; 0 for NULL. */
size_t vmmem_slot_table_count(const struct vmmem_slot_table *slots);

/*
 * vmmem_slot_table_at() stores the slot at 'index', in ascending order of guest
 * address from 0 on.  The region pointer is valid as long as the slot is in the
 * table.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'slots' or 'ret_slot' is NULL
 *   VMMEM_EOUTOFRANGE  'index' is not below the count
 */
VMMEM_NODISCARD int vmmem_slot_table_at(const struct vmmem_slot_table *slots,
					size_t index,
					struct vmmem_slot *ret_slot);

/*
 * vmmem_slot_table_by_number() stores the slot of that number.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'slots' or 'ret_slot' is NULL
 *   VMMEM_ENOREGION  there is no such slot
 */
VMMEM_NODISCARD int
vmmem_slot_table_by_number(const struct vmmem_slot_table *slots,
			   uint32_t number, struct vmmem_slot *ret_slot);

/*
 * vmmem_slot_table_find() stores the slot that holds the guest address 'gpa'.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'slots' or 'ret_slot' is NULL
 *   VMMEM_EBADADDR   no slot holds 'gpa'
 */
VMMEM_NODISCARD int vmmem_slot_table_find(const struct vmmem_slot_table *slots,
					  uint64_t gpa,
					  struct vmmem_slot *ret_slot);

/*
 * vmmem_slot_plan_new() makes the list of operations that leads from the slots
 * of the table to those that 'map' wants.  Deletions come first, so each new
 * slot finds its number and its place free.  Numbers are reused, the lowest
 * first.
 *
 * A slot stays as it is if range, host address, guest_memfd and bitmap are the
 * same and both or neither are read-only.  The slots of the table are as
 * before, and the table has room for what is planned.  The plan holds a
 * reference to 'map'; the caller frees it.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT   'slots', 'map' or 'ret_plan' is NULL; describe() set an
 *                     unknown flag or a reserved word, or
 *                     VMMEM_SLOT_GUEST_MEMFD without a descriptor
 *   VMMEM_ENOHOST     describe() took VMMEM_SLOT_NONE away from a region that
 *                     has neither a host address nor a guest_memfd
 *   VMMEM_ENOSLOT     the map wants more slots than there may be
 *   VMMEM_ESLOTALIGN  guest address, host address, length or offset in
 *                     guest_memfd of a region that should have a slot is not a
 *                     multiple of the page size
 *   VMMEM_ECALLBACK   describe() returned a positive value
 *   -ENOMEM           from the allocator
 *   what describe() returned
 */
VMMEM_NODISCARD int
vmmem_slot_plan_new(struct vmmem_slot_table *slots,
		    struct vmmem_collection *map,
		    struct vmmem_slot_plan **ret_plan);

/*
 * vmmem_slot_plan_free() frees a plan, carried out or not, and returns NULL.
 * NULL is a no-op.
 */
struct vmmem_slot_plan *
vmmem_slot_plan_free(struct vmmem_slot_plan *plan);

/* vmmem_slot_plan_count() returns how many operations; 0 for NULL. */
size_t vmmem_slot_plan_count(const struct vmmem_slot_plan *plan);

/*
 * vmmem_slot_plan_at() stores the operation at 'index', from 0 on.  The region
 * pointer is valid until the plan is freed; for VMMEM_SLOT_OP_DELETE, until
 * vmmem_slot_table_done() for that operation.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'plan' or 'ret_op' is NULL
 *   VMMEM_EOUTOFRANGE  'index' is not below the count
 */
VMMEM_NODISCARD int vmmem_slot_plan_at(const struct vmmem_slot_plan *plan,
				       size_t index,
				       struct vmmem_slot_op *ret_op);

/*
 * vmmem_slot_table_done() tells the table that the hypervisor has carried out
 * the next operation of the plan: the first call is about the operation at
 * index 0, the second about that at 1.  Once another plan was carried out, or
 * vmmem_slot_table_invalidate() was called, a plan is stale.  For a deletion
 * the table drops its reference to the region, which may unmap memory on this
 * thread.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'slots' or 'plan' is NULL, or the plan is of another
 *                      table or stale
 *   VMMEM_EOUTOFRANGE  all operations were done
 */
VMMEM_NODISCARD int vmmem_slot_table_done(struct vmmem_slot_table *slots,
					  struct vmmem_slot_plan *plan);

/*
 * vmmem_slot_table_invalidate() tells the table that the slot of that number is
 * not what the table says, because something failed on the way.  The next plan
 * deletes the slot, and makes another if the map wants one.  Plans that were
 * made before are stale.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'slots' is NULL
 *   VMMEM_ENOREGION  there is no such slot
 */
int vmmem_slot_table_invalidate(struct vmmem_slot_table *slots,
				uint32_t number);

/*
 * vmmem_slot_table_exclude() sets that a region gets no slot: what the guest
 * does there is an exit.  vmmem_slot_table_set_guest_memfd() sets that its slot
 * has the guest_memfd of that descriptor, from 'offset' on; then it needs no
 * host address.  vmmem_slot_table_unset() takes back either.  A region has one
 * of these settings, the last one.  They are about this object, not about
 * aliases of it.  They do without a callback what describe() does with one, and
 * describe(), if there is one, finds them in 'slot' and may change them.
 *
 * Plans that are made from then on are about all regions again, as after
 * vmmem_slot_table_redescribe().  The table holds a reference to the region
 * until the setting is taken back or the table is freed.  The descriptor stays
 * the caller's and is open for as long.
 *
 * Return 0, or
 *   VMMEM_EARGUMENT  'slots' or 'region' is NULL, 'guest_memfd' is negative
 *   VMMEM_ENOREGION  vmmem_slot_table_unset(): nothing is set for it
 *   -ENOMEM          from the allocator: the other two
 */
VMMEM_NODISCARD int vmmem_slot_table_exclude(struct vmmem_slot_table *slots,
					     struct vmmem_region *region);
VMMEM_NODISCARD int
vmmem_slot_table_set_guest_memfd(struct vmmem_slot_table *slots,
				 struct vmmem_region *region, int guest_memfd,
				 uint64_t offset);
int vmmem_slot_table_unset(struct vmmem_slot_table *slots,
			   struct vmmem_region *region);

/*
 * vmmem_slot_table_redescribe() tells the table that describe() may give other
 * answers than before: plans call it for all regions again, until one of them
 * was carried out to the end.  Plans that were made before do not change.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'slots' is NULL
 */
int vmmem_slot_table_redescribe(struct vmmem_slot_table *slots);

VMMEM_END_DECLS

#endif
