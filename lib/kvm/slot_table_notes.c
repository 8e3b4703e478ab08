/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Notes: settings of the caller for single regions, in place of a callback.
 * Few regions have a note, so they are searched one by one.
 */
#include <vmmem/error.h>
#include <vmmem/slot_table.h>

#include <errno.h>
#include <stdlib.h>

#include "base/api.h"
#include "kvm/slot_table_priv.h"

static size_t
find(const struct vmmem_slot_table *slots, const struct vmmem_region *region)
{
	size_t i = 0;

	while (i < slots->note_count && slots->notes[i].region != region)
		i++;
	return i;
}

struct vmmem_slot_note
vmmem_slot_table_note(const struct vmmem_slot_table *slots,
		      const struct vmmem_region *region)
{
	static const struct vmmem_slot_note none = { .region = NULL };
	const size_t i = find(slots, region);

	return i < slots->note_count ? slots->notes[i] : none;
}

static void
take_off(struct vmmem_slot_table *slots, size_t i)
{
	struct vmmem_region *region = slots->notes[i].region;

	slots->notes[i] = slots->notes[--slots->note_count];
	slots->asked++;
	vmmem_region_unref(region);
}

int
vmmem_slot_table_put_note(struct vmmem_slot_table *slots,
			  struct vmmem_region *region,
			  struct vmmem_slot_note note)
{
	const size_t i = find(slots, region);
	struct vmmem_slot_note *notes;

	if (note.flags == 0) {
		if (i == slots->note_count)
			return VMMEM_ENOREGION;
		take_off(slots, i);
		return 0;
	}
	if (i == slots->note_len) {
		notes = reallocarray(slots->notes, i + 1, sizeof(*notes));
		if (notes == NULL)
			return -ENOMEM;
		slots->notes = notes;
		slots->note_len = i + 1;
	}
	note.region = region;
	if (i == slots->note_count) {
		vmmem_region_ref(region);
		slots->note_count++;
	}
	slots->notes[i] = note;
	slots->asked++;
	return 0;
}

/* has() tells whether a map has a region, whatever translates the map. */
static bool
has(const struct vmmem_collection *map, const struct vmmem_region *region)
{
	const size_t index =
		vmmem_collection_index(map, vmmem_region_start(region));

	return vmmem_collection_region(map, index) == region;
}

void
vmmem_slot_table_drop_notes(struct vmmem_slot_table *slots,
			    struct vmmem_collection *old_map,
			    struct vmmem_collection *new_map)
{
	size_t i = slots->note_count;

	while (i-- > 0) {
		const struct vmmem_region *region = slots->notes[i].region;

		if (has(old_map, region) && !has(new_map, region))
			take_off(slots, i);
	}
}

VMMEM_API int
vmmem_slot_table_exclude(struct vmmem_slot_table *slots,
			 struct vmmem_region *region)
{
	const struct vmmem_slot_note note = { .flags = VMMEM_SLOT_NONE };

	if (slots == NULL || region == NULL)
		return VMMEM_EARGUMENT;
	return vmmem_slot_table_put_note(slots, region, note);
}

VMMEM_API int
vmmem_slot_table_set_guest_memfd(struct vmmem_slot_table *slots,
				 struct vmmem_region *region, int guest_memfd,
				 uint64_t offset)
{
	const struct vmmem_slot_note note = {
		.flags = VMMEM_SLOT_GUEST_MEMFD,
		.guest_memfd = guest_memfd,
		.offset = offset,
	};

	if (slots == NULL || region == NULL || guest_memfd < 0)
		return VMMEM_EARGUMENT;
	return vmmem_slot_table_put_note(slots, region, note);
}

VMMEM_API int
vmmem_slot_table_unset(struct vmmem_slot_table *slots,
		       struct vmmem_region *region)
{
	const struct vmmem_slot_note none = { .region = NULL };

	if (slots == NULL || region == NULL)
		return VMMEM_EARGUMENT;
	return vmmem_slot_table_put_note(slots, region, none);
}
