/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Plans: the operations that lead from the slots of a table to those of a map.
 * Both are sorted by guest address, so one walk over both finds what stays.
 */
#include <vmmem/error.h>
#include <vmmem/private.h>
#include <vmmem/slot_table.h>

#include <errno.h>
#include <stdlib.h>

#include "base/api.h"
#include "kvm/slot_table_priv.h"

#define SLOT_FLAGS_KNOWN                                                   \
	(VMMEM_SLOT_READ_ONLY | VMMEM_SLOT_LOG | VMMEM_SLOT_GUEST_MEMFD |  \
	 VMMEM_SLOT_NONE)

/*
 * A slot of this length is not deleted only to be joined to its neighbours: in
 * the meantime the guest finds no memory there.
 */
#define JOIN_BELOW (UINT64_C(1) << 20)

/* There is none on the other side. */
#define NO_PEER SIZE_MAX

/* A slot that is there, or one that the map wants; 'peer' is the other one. */
struct side {
	struct vmmem_slot slot;
	size_t position; /* of one that is there, in the table's order */
	size_t peer;
};

/*
 * The work space of a plan.  Most slots stay as they are, and are in neither
 * list: a plan takes memory only for slots that change.
 */
struct list {
	struct side *sides;
	size_t count;
	size_t len;
};

/*
 * Neighbours that are one piece of memory become one slot, which begins in the
 * region at index 'first' of the map.  There is a run if 'slot' has a region.
 */
struct run {
	struct vmmem_slot slot;
	size_t first;
};

struct work {
	struct vmmem_slot_table *slots;
	const struct vmmem_collection *map;
	struct run run;
	bool join_all; /* also what is long, as there are too few slots */
	struct list have;
	struct list want;
};

static int
push(struct list *list, const struct vmmem_slot *slot, size_t position)
{
	if (list->count == list->len) {
		size_t len = list->len != 0 ? 2 * list->len : 8;
		struct side *sides;

		sides = reallocarray(list->sides, len, sizeof(*sides));
		if (sides == NULL)
			return -ENOMEM;
		list->sides = sides;
		list->len = len;
	}
	list->sides[list->count++] = (struct side){
		.slot = *slot,
		.position = position,
		.peer = NO_PEER,
	};
	return 0;
}

/*
 * part() makes of a slot that is described for all of a run the slot of a part,
 * which begins at 'offset' in it, and ends at 'end' at the latest.
 */
static struct vmmem_slot
part(const struct vmmem_slot_table *slots, const struct vmmem_slot *whole,
     uint64_t offset, uint64_t end)
{
	const uint64_t max = slots->options.max_len;
	struct vmmem_slot slot = *whole;

	slot.gpa += offset;
	slot.len = end - offset;
	if (max != 0 && slot.len > max)
		slot.len = max;
	if (slot.host != NULL)
		slot.host = (unsigned char *)slot.host + offset;
	if (slot.guest_memfd >= 0)
		slot.guest_memfd_offset += offset;
	return slot;
}

/* A newer program may have set what this library does not know. */
static bool
has_reserved(const struct vmmem_slot *slot)
{
	uint64_t all = 0;
	size_t i;

	for (i = 0; i < sizeof(slot->reserved) / sizeof(uint64_t); i++)
		all |= slot->reserved[i];
	return all != 0;
}

/* propose() fills in the slot that describe() may change. */
static void
propose(const struct vmmem_slot_table *slots, struct vmmem_region *region,
	struct vmmem_slot *slot)
{
	const struct vmmem_slot_note note =
		vmmem_slot_table_note(slots, region);
	const uint32_t protection = vmmem_region_protection(region);
	uint64_t len;

	*slot = (struct vmmem_slot){
		.gpa = vmmem_region_start(region),
		.len = vmmem_region_len(region),
		.region = region,
		.guest_memfd = -1,
		.flags = note.flags,
		.region_count = 1,
	};
	if ((note.flags & VMMEM_SLOT_GUEST_MEMFD) != 0) {
		slot->guest_memfd = note.guest_memfd;
		slot->guest_memfd_offset = note.offset;
	} else if ((protection & VMMEM_PROT_WRITE) != 0 &&
		   vmmem_region_guest_memfd(region, &slot->guest_memfd,
					    &slot->guest_memfd_offset) == 0) {
		/* A slot that is only read shows the shared side alone. */
		slot->flags |= VMMEM_SLOT_GUEST_MEMFD;
	}
	if ((vmmem_region_host_address(region, 0, &slot->host, &len) != 0 &&
	     (note.flags & VMMEM_SLOT_GUEST_MEMFD) == 0) ||
	    (protection & VMMEM_PROT_READ) == 0)
		slot->flags |= VMMEM_SLOT_NONE;
	if ((protection & VMMEM_PROT_WRITE) == 0)
		slot->flags |= VMMEM_SLOT_READ_ONLY;
}

/* describe() fills in the slot that all of 'region' should have. */
static int
describe(const struct vmmem_slot_table *slots, struct vmmem_region *region,
	 struct vmmem_slot *slot)
{
	const struct vmmem_slot_table_options *options = &slots->options;
	uint64_t mask = options->page_size - 1;
	int rc;

	propose(slots, region, slot);
	if (options->describe != NULL) {
		rc = options->describe(options->opaque, region, slot);
		if (rc != 0)
			return rc < 0 ? rc : VMMEM_ECALLBACK;
		slot->gpa = vmmem_region_start(region);
		slot->len = vmmem_region_len(region);
		slot->region = region;
		slot->number = 0;
		slot->region_count = 1;
	}
	if ((slot->flags & ~SLOT_FLAGS_KNOWN) != 0 || has_reserved(slot))
		return VMMEM_EARGUMENT;
	if ((slot->flags & VMMEM_SLOT_NONE) != 0)
		return 0;
	if ((slot->flags & VMMEM_SLOT_GUEST_MEMFD) == 0) {
		if (slot->host == NULL)
			return VMMEM_ENOHOST;
		slot->guest_memfd = -1;
		slot->guest_memfd_offset = 0;
	} else if (slot->guest_memfd < 0) {
		return VMMEM_EARGUMENT;
	}
	if (((slot->gpa | slot->len | (uintptr_t)slot->host |
	      slot->guest_memfd_offset) &
	     mask) == 0)
		return 0;
	if ((options->flags & VMMEM_SLOT_TABLE_SKIP_UNALIGNED) == 0)
		return VMMEM_ESLOTALIGN;
	slot->flags |= VMMEM_SLOT_NONE;
	return 0;
}

/* Where in the bitmap of its region a slot begins. */
static uint64_t
log_at(const struct vmmem_slot *slot)
{
	return vmmem_region_bitmap_offset(slot->region) +
	       vmmem_slot_offset(slot);
}

/*
 * shows() tells whether 'slot' begins with the byte that is at 'offset' from
 * the beginning of 'other', and is of the same kind: a write of the guest there
 * is marked in one place, if at all.
 */
static bool
shows(const struct vmmem_slot *slot, const struct vmmem_slot *other,
      uint64_t offset)
{
	const struct vmmem_bitmap *bitmap = vmmem_region_bitmap(slot->region);
	const bool memfd = other->guest_memfd >= 0;
	const uintptr_t host = (uintptr_t)other->host;

	return (uintptr_t)slot->host == (host != 0 ? host + offset : 0) &&
	       slot->guest_memfd == other->guest_memfd &&
	       slot->guest_memfd_offset ==
		       other->guest_memfd_offset + (memfd ? offset : 0) &&
	       ((slot->flags ^ other->flags) & ~VMMEM_SLOT_LOG) == 0 &&
	       bitmap == vmmem_region_bitmap(other->region) &&
	       (bitmap == NULL || log_at(slot) == log_at(other) + offset);
}

/* The same memory, perhaps at another guest address. */
static bool
same_memory(const struct vmmem_slot *a, const struct vmmem_slot *b)
{
	return a->len == b->len && shows(a, b, 0);
}

/*
 * Slots with a guest_memfd can only be made and deleted; and a slot that is
 * stale is the same as no other.
 */
static bool
may_become(const struct work *work, const struct side *have,
	   const struct side *want)
{
	const struct vmmem_slot *is = &have->slot, *should = &want->slot;

	return !vmmem_slot_table_entry_at(work->slots, have->position)
			->invalid &&
	       same_memory(is, should) &&
	       ((is->flags & VMMEM_SLOT_GUEST_MEMFD) == 0 ||
		(is->flags == should->flags && is->gpa == should->gpa));
}

/* is_same() tells whether a slot needs no operation. */
static bool
is_same(const struct vmmem_slot_table_entry *entry,
	const struct vmmem_slot *slot)
{
	return !entry->invalid && entry->slot.region == slot->region &&
	       entry->slot.region_count == slot->region_count &&
	       entry->slot.flags == slot->flags &&
	       same_memory(&entry->slot, slot);
}

/*
 * gather_slot() finds whether one slot changes.  The map wants no slot of the
 * table that begins below it and was not passed yet.
 */
static int
gather_slot(struct work *work, const struct vmmem_slot *slot, size_t *at)
{
	const struct vmmem_slot_table *slots = work->slots;
	const struct vmmem_slot_table_entry *entry = NULL;
	int rc = 0;

	while (rc == 0 && *at < slots->count) {
		entry = vmmem_slot_table_entry_at(slots, *at);
		if (entry->slot.gpa >= slot->gpa)
			break;
		rc = push(&work->have, &entry->slot, (*at)++);
	}
	if (rc != 0 || (slot->flags & VMMEM_SLOT_NONE) != 0)
		return rc;
	if (*at < slots->count && entry->slot.gpa == slot->gpa &&
	    is_same(entry, slot)) {
		(*at)++;
		return 0;
	}
	return push(&work->want, slot, 0);
}

/* gather_part() does so for the bytes [from, to) of a run. */
static int
gather_part(struct work *work, uint64_t from, uint64_t to, size_t *at)
{
	const struct vmmem_collection *map = work->map;
	struct vmmem_slot slot;
	size_t first, last;
	int rc = 0;

	for (; from < to && rc == 0; from += slot.len) {
		slot = part(work->slots, &work->run.slot, from, to);
		first = work->run.first;
		while (vmmem_region_last(vmmem_collection_region(map, first)) <
		       slot.gpa)
			first++;
		last = first;
		while (vmmem_region_last(vmmem_collection_region(map, last)) <
		       vmmem_slot_last(&slot))
			last++;
		/* The slots that follow begin there or later. */
		work->run.first = last;
		slot.region = vmmem_collection_region(map, first);
		slot.region_count = (uint32_t)(last - first + 1);
		rc = gather_slot(work, &slot, at);
	}
	return rc;
}

/*
 * next_keeper() returns the next slot, from index 'i' on, that shows part of
 * the run and is too long to be deleted for its neighbours; NULL if there is
 * none.
 */
static const struct vmmem_slot *
next_keeper(const struct work *work, size_t *i)
{
	const struct vmmem_slot *run = &work->run.slot, *slot;
	const struct vmmem_slot_table *slots = work->slots;

	while (*i < slots->count && !work->join_all) {
		const struct vmmem_slot_table_entry *entry =
			vmmem_slot_table_entry_at(slots, (*i)++);

		slot = &entry->slot;
		if (vmmem_slot_last(slot) > vmmem_slot_last(run))
			return NULL;
		if (!entry->invalid && slot->len >= JOIN_BELOW &&
		    shows(slot, run, slot->gpa - run->gpa))
			return slot;
	}
	return NULL;
}

/* gather_run() does so for a run, and ends it: long slots stay in it. */
static int
gather_run(struct work *work, size_t *at)
{
	const uint64_t gpa = work->run.slot.gpa, len = work->run.slot.len;
	const struct vmmem_slot *keeper;
	uint64_t offset = 0, end;
	size_t i;
	int rc = 0;

	if (work->run.slot.region == NULL)
		return 0;
	i = gpa != 0 ? vmmem_slot_table_position(work->slots, gpa - 1) : 0;
	while (offset < len && rc == 0) {
		keeper = next_keeper(work, &i);
		end = keeper != NULL ? keeper->gpa - gpa : len;
		rc = gather_part(work, offset, end, at);
		offset = end;
		if (keeper == NULL || rc != 0)
			continue;
		end += keeper->len;
		rc = gather_part(work, offset, end, at);
		offset = end;
	}
	work->run.slot.region = NULL;
	return rc;
}

/* is_next() tells whether 'slot' is one piece with the run, and follows it. */
static bool
is_next(const struct work *work, const struct vmmem_slot *slot)
{
	const struct vmmem_slot *run = &work->run.slot;

	return run->region != NULL &&
	       (work->slots->options.flags & VMMEM_SLOT_TABLE_NO_MERGE) == 0 &&
	       (slot->flags & VMMEM_SLOT_GUEST_MEMFD) == 0 &&
	       slot->gpa - 1 == vmmem_slot_last(run) &&
	       slot->flags == run->flags &&
	       vmmem_slot_root(slot->region) == vmmem_slot_root(run->region) &&
	       shows(slot, run, run->len);
}

/* touches() tells whether two regions are neighbours with the same root. */
static bool
touches(const struct vmmem_region *low, const struct vmmem_region *high)
{
	return low != NULL && high != NULL &&
	       vmmem_region_last(low) == vmmem_region_start(high) - 1 &&
	       vmmem_slot_root(low) == vmmem_slot_root(high);
}

/*
 * may_join() tells whether the region at 'index', whose shortest slot has 'len'
 * bytes, could be in a run of several.
 */
static bool
may_join(const struct work *work, size_t index, uint64_t len)
{
	const struct vmmem_region *region =
		vmmem_collection_region(work->map, index);

	if ((work->slots->options.flags & VMMEM_SLOT_TABLE_NO_MERGE) != 0 ||
	    (len >= JOIN_BELOW && !work->join_all))
		return false;
	return (index > 0 &&
		touches(vmmem_collection_region(work->map, index - 1),
			region)) ||
	       touches(region,
		       vmmem_collection_region(work->map, index + 1));
}

/*
 * has_slots() tells whether the region at 'index' has its slots, from 'at' on,
 * and will have them: no neighbour shares one.  Then 'at' is moved behind them.
 * A region never changes, so describe() need not be called.
 */
static bool
has_slots(const struct work *work, size_t index, size_t *at)
{
	const struct vmmem_slot_table *slots = work->slots;
	const struct vmmem_region *region =
		vmmem_collection_region(work->map, index);
	const uint64_t start = vmmem_region_start(region);
	const uint64_t len = vmmem_region_len(region);
	uint64_t offset = 0, shortest = len;
	size_t i = *at;

	while (offset < len && i < slots->count) {
		const struct vmmem_slot_table_entry *entry =
			vmmem_slot_table_entry_at(slots, i++);

		if (entry->slot.region != region || entry->invalid ||
		    entry->slot.region_count != 1 ||
		    entry->slot.gpa - start != offset)
			return false;
		offset += entry->slot.len;
		if (entry->slot.len < shortest)
			shortest = entry->slot.len;
	}
	if (offset != len || may_join(work, index, shortest))
		return false;
	*at = i;
	return true;
}

/*
 * passes_over() tells whether nothing is to be done for a region, as it has its
 * slots.  Then the run before it is ended, and 'at' is behind them.
 */
static bool
passes_over(struct work *work, size_t index, size_t *at, int *rc)
{
	const struct vmmem_region *region =
		vmmem_collection_region(work->map, index);
	size_t first = *at, next;

	/* The slots of the run come before. */
	if (work->run.slot.region != NULL) {
		first = vmmem_slot_table_position(work->slots,
						  vmmem_region_start(region));
		if (first-- == 0)
			return false;
	}
	next = first;
	if (!has_slots(work, index, &next))
		return false;
	*rc = gather_run(work, at);
	/* The map wants no slot between; the next slot finds those. */
	if (*rc == 0 && *at != first)
		return false;
	*at = next;
	return true;
}

/* gather_region() adds a region to the run, or ends it and begins another. */
static int
gather_region(struct work *work, size_t index, bool ask, size_t *at)
{
	struct vmmem_region *region =
		vmmem_collection_region(work->map, index);
	struct vmmem_slot slot;
	int rc = 0;

	if (!ask && passes_over(work, index, at, &rc))
		return rc;
	rc = describe(work->slots, region, &slot);
	if (rc != 0)
		return rc;
	if ((slot.flags & VMMEM_SLOT_NONE) == 0 && is_next(work, &slot)) {
		work->run.slot.len += slot.len;
		return 0;
	}
	rc = gather_run(work, at);
	if (rc != 0)
		return rc;
	if ((slot.flags & VMMEM_SLOT_NONE) != 0)
		return gather_slot(work, &slot, at);
	work->run = (struct run){ .slot = slot, .first = index };
	return 0;
}

/* gather() finds what changes. */
static int
gather(struct work *work)
{
	const struct vmmem_slot_table *slots = work->slots;
	bool ask = slots->described != slots->asked;
	size_t count = vmmem_collection_count(work->map), at = 0, i;
	int rc = 0;

	for (i = 0; i < count && rc == 0; i++)
		rc = gather_region(work, i, ask, &at);
	if (rc == 0)
		rc = gather_run(work, &at);
	for (; at < slots->count && rc == 0; at++)
		rc = push(&work->have, &vmmem_slot_table_entry_at(slots,
								  at)->slot,
			  at);
	if (rc == 0 && slots->count - work->have.count + work->want.count >
			       slots->options.max)
		return VMMEM_ENOSLOT;
	return rc;
}

static void
pair(struct work *work, size_t have, size_t want)
{
	work->have.sides[have].peer = want;
	work->want.sides[want].peer = have;
}

/* Slots that have their place already. */
static void
find_stayers(struct work *work)
{
	size_t have = 0, want = 0;

	while (have < work->have.count && want < work->want.count) {
		const struct side *is = &work->have.sides[have];
		const struct side *should = &work->want.sides[want];
		uint64_t gpa = is->slot.gpa;

		if (gpa == should->slot.gpa && may_become(work, is, should))
			pair(work, have, want);
		if (gpa <= should->slot.gpa)
			have++;
		if (gpa >= should->slot.gpa)
			want++;
	}
}

/* find_have() returns the one at that position; NULL if it does not change. */
static const struct side *
find_have(const struct work *work, size_t position)
{
	size_t low = 0, high = work->have.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (work->have.sides[middle].position < position)
			low = middle + 1;
		else
			high = middle;
	}
	return low < work->have.count &&
			       work->have.sides[low].position == position ?
		       &work->have.sides[low] :
		       NULL;
}

/*
 * in_the_way() tells whether what should become 'slot' would have to wait for
 * another that moves.  Those that stay are not there, as maps do not overlap.
 */
static bool
in_the_way(const struct work *work, const struct vmmem_slot *slot,
	   const struct side *self)
{
	const struct vmmem_slot_table *slots = work->slots;
	size_t i = vmmem_slot_table_position(slots, vmmem_slot_last(slot));

	while (i-- > 0 &&
	       vmmem_slot_last(&vmmem_slot_table_entry_at(slots, i)->slot) >=
		       slot->gpa) {
		const struct side *other = find_have(work, i);

		if (other != NULL && other != self && other->peer != NO_PEER)
			return true;
	}
	return false;
}

static int
compare_hosts(const void *a, const void *b)
{
	uintptr_t left = (uintptr_t)(*(struct side *const *)a)->slot.host;
	uintptr_t right = (uintptr_t)(*(struct side *const *)b)->slot.host;

	return left < right ? -1 : left > right;
}

/* unpaired() gathers those without a peer, by host address. */
static size_t
unpaired(const struct list *list, struct side **found)
{
	size_t count = 0, i;

	for (i = 0; i < list->count; i++)
		if (list->sides[i].peer == NO_PEER)
			found[count++] = &list->sides[i];
	qsort(found, count, sizeof(struct side *), compare_hosts);
	return count;
}

/* pair_movers() pairs slots that show the same memory. */
static void
pair_movers(struct work *work, struct side **have, size_t have_count,
	    struct side **want, size_t want_count)
{
	size_t i, at, first = 0;

	for (i = 0; i < have_count; i++) {
		uintptr_t host = (uintptr_t)have[i]->slot.host;

		while (first < want_count &&
		       (uintptr_t)want[first]->slot.host < host)
			first++;
		for (at = first; at < want_count &&
				 (uintptr_t)want[at]->slot.host == host;
		     at++) {
			if (want[at]->peer != NO_PEER ||
			    !may_become(work, have[i], want[at]))
				continue;
			pair(work, (size_t)(have[i] - work->have.sides),
			     (size_t)(want[at] - work->want.sides));
			break;
		}
	}
}

/* The same memory at another guest address. */
static int
find_movers(struct work *work)
{
	struct side **have, **want;
	size_t have_count, want_count, i;

	if (work->have.count == 0 || work->want.count == 0)
		return 0;
	have = calloc(work->have.count + work->want.count, sizeof(*have));
	if (have == NULL)
		return -ENOMEM;
	have_count = unpaired(&work->have, have);
	want = have + have_count;
	want_count = unpaired(&work->want, want);
	pair_movers(work, have, have_count, want, want_count);
	/* A slot whose place is taken is deleted and made again. */
	for (i = 0; i < have_count; i++) {
		struct side *peer;

		if (have[i]->peer == NO_PEER)
			continue;
		peer = &work->want.sides[have[i]->peer];
		if (in_the_way(work, &peer->slot, have[i]))
			peer->peer = have[i]->peer = NO_PEER;
	}
	free(have);
	return 0;
}

/* give_numbers() gives those that are new the lowest numbers that are free. */
static int
give_numbers(struct work *work)
{
	struct vmmem_slot_table *slots = work->slots;
	size_t next = slots->lowest_free, count = 0, i;

	for (i = 0; i < work->have.count; i++) {
		const struct side *have = &work->have.sides[i];
		size_t number = have->slot.number - slots->options.first;

		if (have->peer != NO_PEER)
			continue;
		slots->pool[number].doomed = true;
		if (number < next)
			next = number;
	}
	for (i = 0; i < work->want.count; i++) {
		struct side *want = &work->want.sides[i];

		if (want->peer != NO_PEER) {
			want->slot.number =
				work->have.sides[want->peer].slot.number;
			continue;
		}
		while (next < slots->pool_len && !slots->pool[next].doomed &&
		       slots->pool[next].slot.region != NULL)
			next++;
		want->slot.number = slots->options.first + (uint32_t)next++;
		count = next;
	}
	for (i = 0; i < work->have.count; i++)
		slots->pool[work->have.sides[i].slot.number -
			    slots->options.first]
			.doomed = false;
	return vmmem_slot_table_reserve(slots, slots->count + work->want.count,
					count);
}

static void
emit(struct vmmem_slot_plan *plan, uint32_t kind, const struct vmmem_slot *is,
     const struct vmmem_slot *should)
{
	plan->ops[plan->count++] = (struct vmmem_slot_op){
		.kind = kind,
		.slot = *should,
		.old_gpa = is != NULL ? is->gpa : should->gpa,
		.old_flags = is != NULL ? is->flags : 0,
	};
}

static void
emit_all(const struct work *work, struct vmmem_slot_plan *plan)
{
	const struct vmmem_slot *is, *should;
	const struct side *side;
	size_t i;

	for (i = work->have.count; i-- > 0;) {
		side = &work->have.sides[i];
		if (side->peer == NO_PEER)
			emit(plan, VMMEM_SLOT_OP_DELETE, &side->slot,
			     &side->slot);
	}
	for (i = 0; i < work->have.count; i++) {
		side = &work->have.sides[i];
		if (side->peer == NO_PEER)
			continue;
		is = &side->slot;
		should = &work->want.sides[side->peer].slot;
		if (is->gpa != should->gpa)
			emit(plan, VMMEM_SLOT_OP_MOVE, is, should);
		else if (is->flags != should->flags)
			emit(plan, VMMEM_SLOT_OP_CHANGE, is, should);
		else
			emit(plan, VMMEM_SLOT_OP_KEEP, is, should);
	}
	for (i = 0; i < work->want.count; i++) {
		side = &work->want.sides[i];
		if (side->peer == NO_PEER)
			emit(plan, VMMEM_SLOT_OP_CREATE, NULL, &side->slot);
	}
}

/* make() makes the plan of the lists. */
static int
make(const struct work *work, struct vmmem_collection *map,
     struct vmmem_slot_plan **ret_plan)
{
	struct vmmem_slot_plan *plan = calloc(1, sizeof(*plan));

	if (plan == NULL)
		return -ENOMEM;
	/* At most one operation for each slot that is deleted or made. */
	plan->ops = calloc(work->have.count + work->want.count + 1,
			   sizeof(*plan->ops));
	if (plan->ops == NULL) {
		free(plan);
		return -ENOMEM;
	}
	plan->map = vmmem_collection_ref(map);
	plan->slots = work->slots;
	plan->serial = work->slots->serial;
	plan->asked = work->slots->asked;
	emit_all(work, plan);
	if (plan->count == 0)
		work->slots->described = plan->asked;
	*ret_plan = plan;
	return 0;
}

VMMEM_API int
vmmem_slot_plan_new(struct vmmem_slot_table *slots,
		    struct vmmem_collection *map,
		    struct vmmem_slot_plan **ret_plan)
{
	struct work work = { .slots = slots, .map = map };
	int rc;

	if (slots == NULL || map == NULL || ret_plan == NULL)
		return VMMEM_EARGUMENT;
	rc = gather(&work);
	if (rc == VMMEM_ENOSLOT) {
		/*
		 * Joining: the guest may miss some memory for a moment, to have
		 * all.
		 */
		work.have.count = work.want.count = 0;
		work.join_all = true;
		rc = gather(&work);
	}
	if (rc == 0) {
		find_stayers(&work);
		if ((slots->options.flags & VMMEM_SLOT_TABLE_CAN_MOVE) != 0)
			rc = find_movers(&work);
	}
	if (rc == 0)
		rc = give_numbers(&work);
	if (rc == 0)
		rc = make(&work, map, ret_plan);
	free(work.have.sides);
	free(work.want.sides);
	return rc;
}

VMMEM_API struct vmmem_slot_plan *
vmmem_slot_plan_free(struct vmmem_slot_plan *plan)
{
	if (plan == NULL)
		return NULL;
	vmmem_collection_unref(plan->map);
	free(plan->ops);
	free(plan);
	return NULL;
}

VMMEM_API size_t
vmmem_slot_plan_count(const struct vmmem_slot_plan *plan)
{
	return plan != NULL ? plan->count : 0;
}

VMMEM_API int
vmmem_slot_plan_at(const struct vmmem_slot_plan *plan, size_t index,
		   struct vmmem_slot_op *ret_op)
{
	if (plan == NULL || ret_op == NULL)
		return VMMEM_EARGUMENT;
	if (index >= plan->count)
		return VMMEM_EOUTOFRANGE;
	*ret_op = plan->ops[index];
	return 0;
}
