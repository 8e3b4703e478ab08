/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The model of a walk over kvm's slots: what there should be, told without any
 * of the library's code, and compared with what there is.
 */
#ifndef KVM_MODEL_H
#define KVM_MODEL_H

#include "end_kvm.h"
#include "fake_kvm.h"
#include "fault.h"

#include <vmmem/kvm.h>

#define CELLS 40	     /* of the guest's addresses */
#define CELL (4 * FAKE_PAGE) /* regions begin and end at one */
#define MEMORIES 6	     /* that the regions show parts of */
#define MEMORY_CELLS 8
#define MEMORY_PAGES (MEMORY_CELLS * 4)
#define UNTRACKED (MEMORIES - 1) /* the one without a bitmap */
#define FIRST_SLOT 3
#define MAX_SLOTS 14
#define RING 512 /* entries */
#define REGIONS_MAX CELLS

/* What the model knows of a region. */
struct shown {
	unsigned int cell, cells;
	unsigned int memory, offset; /* in cells */
	bool read_only;
	bool hostless; /* shows nothing: callbacks only */
	bool odd;      /* begins in the middle of a page */
};

struct model {
	struct shown region[REGIONS_MAX]; /* in no order */
	unsigned int count;
	unsigned int all;		/* starts */
	unsigned int starts[MEMORIES];
};

static struct model model; /* what there should be now */
static bool joins;	   /* neighbours that are one piece share a slot */
static struct vmmem_space *space;
static struct vmmem_kvm *kvm;
static uint8_t *host[MEMORIES];

static bool
logs(const struct model *m, const struct shown *shown)
{
	return !shown->read_only &&
	       (m->all != 0 || m->starts[shown->memory] != 0);
}

/* continues() tells whether a region shares the slot of the one before it. */
static bool
continues(const struct model *m, const struct shown *shown)
{
	unsigned int i;

	for (i = 0; i < m->count; i++) {
		const struct shown *before = &m->region[i];

		if (before->cell + before->cells == shown->cell &&
		    before->offset + before->cells == shown->offset &&
		    before->memory == shown->memory &&
		    before->read_only == shown->read_only &&
		    !before->hostless && !shown->hostless)
			return true;
	}
	return false;
}

static unsigned int
slots_wanted(const struct model *m)
{
	unsigned int i, count = 0;

	for (i = 0; i < m->count; i++)
		count += !m->region[i].hostless &&
			 !(joins && continues(m, &m->region[i]));
	return count;
}

/* refusable() tells whether the model can be refused with 'code'. */
static bool
refusable(const struct model *m, int code)
{
	unsigned int i;

	if (code == VMMEM_ENOSLOT)
		return slots_wanted(m) > MAX_SLOTS;
	for (i = 0; i < m->count; i++) {
		const struct shown *shown = &m->region[i];

		if (shown->hostless)
			continue;
		if (code == VMMEM_ESLOTALIGN && shown->odd)
			return true;
		if (code == VMMEM_ENOBITMAP && shown->memory == UNTRACKED &&
		    logs(m, shown))
			return true;
	}
	return false;
}

static bool
must_be_refused(const struct model *m)
{
	return refusable(m, VMMEM_ENOSLOT) || refusable(m, VMMEM_ESLOTALIGN) ||
	       refusable(m, VMMEM_ENOBITMAP);
}

static struct fake_region2
slot_of(const struct model *m, const struct shown *shown)
{
	struct fake_region2 slot = {
		.gpa = shown->cell * CELL,
		.len = shown->cells * CELL,
		.host = (uintptr_t)(host[shown->memory] +
				    shown->offset * CELL),
	};

	if (shown->read_only)
		slot.flags |= KVM_MEM_READONLY;
	if (logs(m, shown))
		slot.flags |= KVM_MEM_LOG_DIRTY_PAGES;
	return slot;
}

/* fake_slot_at() returns the slot that holds an address, or begins there. */
static const struct fake_region2 *
fake_slot_at(uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < FAKE_SLOTS; i++) {
		const struct fake_region2 *is = &fake.slots[i].is;

		if (is->len != 0 && gpa >= is->gpa && gpa - is->gpa < is->len &&
		    (joins || is->gpa == gpa))
			return is;
	}
	return NULL;
}

/* The machine has the slots of the model, no others, and none misnumbered. */
static void
expect_slots(void)
{
	unsigned int i, count = 0;

	for (i = 0; i < FAKE_SLOTS; i++) {
		if (fake.slots[i].is.len == 0)
			continue;
		count++;
		REQUIRE(i >= FIRST_SLOT && i < FIRST_SLOT + MAX_SLOTS);
	}
	REQUIRE(count == slots_wanted(&model));
	for (i = 0; i < model.count; i++) {
		const struct shown *shown = &model.region[i];
		struct fake_region2 want = slot_of(&model, shown);
		const struct fake_region2 *is = fake_slot_at(want.gpa);

		if (shown->hostless)
			continue;
		REQUIRE(is != NULL);
		REQUIRE(is->gpa + is->len >= want.gpa + want.len);
		REQUIRE(is->host + (want.gpa - is->gpa) == want.host);
		REQUIRE(joins || is->len == want.len);
		REQUIRE(is->flags == want.flags);
	}
}

/* What the library says of its slots is what the machine has. */
static void
expect_table(void)
{
	size_t i, count = vmmem_kvm_slot_count(kvm);
	struct vmmem_slot slot;

	for (i = 0; i < count; i++) {
		const struct fake_region2 *is;

		REQUIRE(vmmem_kvm_slot_at(kvm, i, &slot) == 0);
		is = &fake.slots[slot.number].is;
		REQUIRE(is->gpa == slot.gpa && is->len == slot.len);
		REQUIRE(is->host == (uintptr_t)slot.host);
		REQUIRE(((is->flags & KVM_MEM_READONLY) != 0) ==
			((slot.flags & VMMEM_SLOT_READ_ONLY) != 0));
		REQUIRE(((is->flags & KVM_MEM_LOG_DIRTY_PAGES) != 0) ==
			((slot.flags & VMMEM_SLOT_LOG) != 0));
	}
}

static void
expect_space(void)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	unsigned int i;

	REQUIRE(vmmem_collection_count(map) == model.count);
	for (i = 0; i < model.count; i++) {
		const struct shown *shown = &model.region[i];
		uint64_t start = shown->cell * CELL + (shown->odd ? 16 : 0);
		const struct vmmem_region *region =
			vmmem_collection_find(map, start);

		REQUIRE(region != NULL && vmmem_region_start(region) == start);
	}
	vmmem_collection_unref(map);
}

static void
expect_all(void)
{
	REQUIRE(vmmem_kvm_is_pending(kvm) == 0);
	expect_slots();
	expect_table();
	expect_space();
}

/* is_free() tells whether a region of these cells would overlap with none. */
static bool
is_free(const struct model *m, unsigned int cell, unsigned int cells)
{
	unsigned int i;

	for (i = 0; i < m->count; i++)
		if (cell < m->region[i].cell + m->region[i].cells &&
		    m->region[i].cell < cell + cells)
			return false;
	return cell + cells <= CELLS;
}

#endif
