/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
#include "model.h"

#include <errno.h>

#define RANGES_MAX 4

/* What may be wrong with ranges: where several are, any code is right. */
struct faults {
	bool count, unsorted, overlap, zero, overflow;
	bool argument, end, congruence, descriptor;
};

static void
expect_fault(const struct faults *faults, int rc)
{
	bool right;

	switch (rc) {
	case VMMEM_ENOREGION:
		right = faults->count;
		break;
	case VMMEM_EUNSORTED:
		right = faults->unsorted;
		break;
	case VMMEM_EOVERLAP:
		right = faults->overlap;
		break;
	case VMMEM_EZEROLEN:
		right = faults->zero;
		break;
	case VMMEM_EWRAPS:
		right = faults->overflow;
		break;
	case VMMEM_EARGUMENT:
		right = faults->argument;
		break;
	case VMMEM_EPASTEOF:
		right = faults->end;
		break;
	case VMMEM_ECONGRUENCE:
		right = faults->congruence;
		break;
	case -EBADF:
		right = faults->descriptor;
		break;
	case 0:
		right = !faults->count && !faults->unsorted &&
			!faults->overlap && !faults->zero &&
			!faults->overflow && !faults->argument &&
			!faults->end && !faults->congruence &&
			!faults->descriptor;
		break;
	default:
		right = false;
		break;
	}
	if (!right)
		EXPECT_CODE(rc, 0);
	EXPECT(right);
	note_code(rc);
}

/*
 * pick_ranges() picks what is good most of the time: in order, apart, in a
 * window, and few enough for the free slots.
 */
static size_t
pick_ranges(struct vmmem_file_range *ranges)
{
	struct rng *rng = &world.rng;
	size_t want = (size_t)rng_below(rng, RANGES_MAX + 1);
	size_t free = 0;
	size_t count, i;

	for (i = 0; i < SLOTS; i++)
		free += world.slots[i].region == NULL;
	if (want > free)
		want = free;
	for (count = 0; count < want; count++) {
		uint64_t gpa, len;

		pick_range(&gpa, &len);
		for (i = count; i > 0 && !rng_chance(rng, 1); i--) {
			if (ranges[i - 1].gpa <= gpa)
				break;
			ranges[i] = ranges[i - 1];
		}
		ranges[i] = (struct vmmem_file_range){ .gpa = gpa,
						       .len = len,
						       .fd = -1 };
	}
	for (i = 0; i < count; i++) {
		/* Rather no overlap. */
		if (i + 1 < count && ranges[i].gpa < ranges[i + 1].gpa &&
		    ranges[i].len > ranges[i + 1].gpa - ranges[i].gpa &&
		    rng_chance(rng, 95))
			ranges[i].len = ranges[i + 1].gpa - ranges[i].gpa;
		if (rng_chance(rng, 1))
			ranges[i].len = 0;
		if (rng_chance(rng, 1))
			ranges[i].len = UINT64_MAX - ranges[i].gpa + 2;
	}
	return count;
}

static void
find_faults(const struct vmmem_file_range *ranges, size_t count,
	    struct faults *faults)
{
	uint64_t end = FILE_PAGES * world.page_size;
	size_t i;

	*faults = (struct faults){ .count = count == 0 };
	for (i = 0; i < count; i++) {
		const struct vmmem_file_range *range = &ranges[i];

		faults->zero |= range->len == 0;
		faults->overflow |= range->len != 0 &&
				    range->len - 1 > UINT64_MAX - range->gpa;
		if (i != 0 && range->gpa < range[-1].gpa)
			faults->unsorted = true;
		else if (i != 0 && range->gpa - range[-1].gpa < range[-1].len)
			faults->overlap = true;

		faults->argument |= range->flags != 0;
		if (range->fd == -1) {
			faults->argument |= range->offset != 0;
			continue;
		}
		faults->descriptor |= range->fd != world.file;
		faults->end |= range->offset > end ||
			       range->len > end - range->offset;
		faults->congruence |= (range->gpa ^ range->offset) % 16 != 0;
	}
}

static void
adopt_ranges(struct vmmem_collection *collection,
	     const struct vmmem_file_range *ranges, size_t count)
{
	struct slot *list[RANGES_MAX];
	size_t i;

	EXPECT(vmmem_collection_count(collection) == count);
	for (i = 0; i < count; i++) {
		struct vmmem_region *region =
			vmmem_collection_region(collection, i);
		struct slot *slot = slot_free();
		bool file = ranges[i].fd != -1;

		EXPECT(slot != NULL);
		slot_adopt(slot, region, ranges[i].gpa, ranges[i].len,
			   file ? VMMEM_REGION_FILE : VMMEM_REGION_ANONYMOUS);
		EXPECT(vmmem_region_kind(region) == slot->kind);
		EXPECT(vmmem_region_protection(region) == slot->protection);
		if (file)
			slot_back_by_file(slot,
					  (unsigned int)(ranges[i].offset /
							 world.page_size),
					  ranges[i].offset % world.page_size);
		list[i] = slot;
	}
	map_adopt(collection, list, count);
}

void
run_new_ranges(struct map *map)
{
	struct vmmem_collection *const nothing =
		(struct vmmem_collection *)&world;
	struct vmmem_collection *collection = nothing;
	struct vmmem_file_range ranges[RANGES_MAX];
	struct vmmem_range plain[RANGES_MAX];
	size_t count = pick_ranges(ranges);
	struct faults faults;
	size_t i;
	int rc;

	(void)map;
	for (i = 0; i < count; i++) {
		plain[i].gpa = ranges[i].gpa;
		plain[i].len = ranges[i].len;
	}
	find_faults(ranges, count, &faults);
	rc = vmmem_collection_new_ranges(plain, count, NULL, &collection);
	expect_fault(&faults, rc);
	if (rc == 0)
		adopt_ranges(collection, ranges, count);
	else
		EXPECT(collection == nothing);
}

void
run_new_file_ranges(struct map *map)
{
	struct vmmem_collection *const nothing =
		(struct vmmem_collection *)&world;
	struct vmmem_collection *collection = nothing;
	struct vmmem_file_range ranges[RANGES_MAX];
	struct rng *rng = &world.rng;
	size_t count = pick_ranges(ranges);
	struct faults faults;
	size_t i;
	int rc;

	(void)map;
	for (i = 0; i < count; i++) {
		struct vmmem_file_range *range = &ranges[i];

		if (rng_chance(rng, 70)) {
			range->fd = rng_chance(rng, 98) ? world.file : 1 << 28;
			range->offset = rng_below(rng, FILE_PAGES + 1) *
						world.page_size +
					rng_below(rng, FILE_WITHIN - 16);
			/* Congruent, as a rule. */
			if (rng_chance(rng, 95))
				range->offset +=
					(range->gpa - range->offset) % 16;
		}
		if (rng_chance(rng, 1))
			range->flags = 4;
	}
	find_faults(ranges, count, &faults);
	rc = vmmem_collection_new_file_ranges(ranges, count, NULL, &collection);
	expect_fault(&faults, rc);
	if (rc == 0)
		adopt_ranges(collection, ranges, count);
	else
		EXPECT(collection == nothing);
}
