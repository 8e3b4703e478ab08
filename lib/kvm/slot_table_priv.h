/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The inside of a table of slots and of a plan. */
#ifndef SLOT_TABLE_PRIV_H
#define SLOT_TABLE_PRIV_H

#include <stdbool.h>

#include <vmmem/slot_table.h>

struct vmmem_slot_table_entry {
	struct vmmem_slot slot; /* without a region: a number that is free */
	bool invalid;		/* the hypervisor may have another, or none */
	bool doomed;		/* while planning: will be deleted */
};

/* The caller's settings for a region, without a callback. */
struct vmmem_slot_note {
	struct vmmem_region *region; /* NULL: there is none */
	uint32_t flags;		     /* VMMEM_SLOT_NONE or _GUEST_MEMFD */
	int32_t guest_memfd;
	uint64_t offset;
};

struct vmmem_slot_table {
	struct vmmem_slot_table_options options;

	/* By number, from options.first on. */
	struct vmmem_slot_table_entry *pool;
	size_t pool_len;

	/* The indices in 'pool' of those that are there, by guest address. */
	uint32_t *order;
	size_t order_len;
	size_t count;

	/* No number below it is free. */
	size_t lowest_free;

	struct vmmem_slot_note *notes;
	size_t note_count;
	size_t note_len;

	/* How often descriptions changed, and up to which plans followed. */
	uint64_t asked;
	uint64_t described;

	uint64_t serial; /* grows with each change */
};

struct vmmem_slot_plan {
	struct vmmem_collection *map;
	const struct vmmem_slot_table *slots;
	uint64_t serial; /* that of the table as it was, or as we left it */
	uint64_t asked;	 /* the same */
	struct vmmem_slot_op *ops;
	size_t count;
	size_t next; /* the first that was not done yet */
};

/* vmmem_slot_table_note() returns a region's note, or one without a region. */
struct vmmem_slot_note
vmmem_slot_table_note(const struct vmmem_slot_table *slots,
		      const struct vmmem_region *region);

/*
 * vmmem_slot_table_put_note() sets a region's note; without flags it takes it
 * away, after which setting one again cannot fail.  Returns 0,
 * VMMEM_ENOREGION or -ENOMEM.
 */
int vmmem_slot_table_put_note(struct vmmem_slot_table *slots,
			      struct vmmem_region *region,
			      struct vmmem_slot_note note);

/* vmmem_slot_table_drop_notes() drops the notes of regions that are gone. */
void vmmem_slot_table_drop_notes(struct vmmem_slot_table *slots,
				 struct vmmem_collection *old_map,
				 struct vmmem_collection *new_map);

/* The entry at 'index' in the order of guest addresses. */
static inline struct vmmem_slot_table_entry *
vmmem_slot_table_entry_at(const struct vmmem_slot_table *slots, size_t index)
{
	return &slots->pool[slots->order[index]];
}

static inline uint64_t
vmmem_slot_last(const struct vmmem_slot *slot)
{
	return slot->gpa + (slot->len - 1);
}

/* Where in its region a slot begins. */
static inline uint64_t
vmmem_slot_offset(const struct vmmem_slot *slot)
{
	return slot->gpa - vmmem_region_start(slot->region);
}

/* The region that a region and all of its aliases show. */
static inline const struct vmmem_region *
vmmem_slot_root(const struct vmmem_region *region)
{
	const struct vmmem_region *target = vmmem_region_alias_target(region);

	return target != NULL ? target : region;
}

/*
 * vmmem_slot_table_position() returns the index of the first slot that starts
 * above 'gpa', the count if none does.
 */
size_t vmmem_slot_table_position(const struct vmmem_slot_table *slots,
				 uint64_t gpa);

/*
 * vmmem_slot_table_reserve() makes room for 'count' slots with numbers below
 * first + 'numbers', so that no done operation needs any.
 */
int vmmem_slot_table_reserve(struct vmmem_slot_table *slots, size_t count,
			     size_t numbers);

#endif
