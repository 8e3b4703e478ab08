/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * From the slots that are there to those that a map wants.  Both are sorted by
 * guest address, so what stays is found by walking over both at once.
 */
#include <vmmem/error.h>
#include <vmmem/slot_table.h>

#include <errno.h>
#include <stdlib.h>

#include "base/api.h"
#include "kvm/slot_table_priv.h"

#define SLOT_FLAGS_KNOWN                                                   \
	(VMMEM_SLOT_READ_ONLY | VMMEM_SLOT_LOG | VMMEM_SLOT_GUEST_MEMFD |  \
	 VMMEM_SLOT_NONE)

/* Nobody on the other side. */
#define NO_MATE SIZE_MAX

/* One that is there, or one that is wanted, and which of the others it is. */
struct side {
	struct vmmem_slot slot;
	size_t position; /* of one that is there, in the table's order */
	size_t mate;
};

/*
 * What a plan is made in.  Most slots stay as they are, and are in neither
 * list: a plan takes memory for what changes only.
 */
struct list {
	struct side *sides;
	size_t count;
	size_t len;
};

struct work {
	struct vmmem_slot_table *slots;
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
		.mate = NO_MATE,
	};
	return 0;
}

/*
 * part() makes a slot that is described for all of a region one for what begins
 * at 'offset' in it.
 */
static struct vmmem_slot
part(const struct vmmem_slot_table *slots, const struct vmmem_slot *whole,
     uint64_t offset)
{
	const uint64_t max = slots->options.max_len;
	struct vmmem_slot slot = *whole;

	slot.gpa += offset;
	slot.len -= offset;
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

/* describe() fills in how the slot of all of 'region' should be. */
static int
describe(const struct vmmem_slot_table *slots, struct vmmem_region *region,
	 struct vmmem_slot *slot)
{
	const struct vmmem_slot_table_options *options = &slots->options;
	uint32_t protection = vmmem_region_protection(region);
	uint64_t mask = options->page_size - 1, len;
	int rc;

	*slot = (struct vmmem_slot){
		.gpa = vmmem_region_start(region),
		.len = vmmem_region_len(region),
		.region = region,
		.guest_memfd = -1,
		.region_count = 1,
	};
	if (vmmem_region_host_address(region, 0, &slot->host, &len) != 0 ||
	    (protection & VMMEM_PROT_READ) == 0)
		slot->flags |= VMMEM_SLOT_NONE;
	if ((protection & VMMEM_PROT_WRITE) == 0)
		slot->flags |= VMMEM_SLOT_READ_ONLY;
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
	     mask) != 0)
		return VMMEM_ESLOTALIGN;
	return 0;
}

/* Whether what is written to two slots is marked in one place, if at all. */
static bool
same_log(const struct vmmem_slot *a, const struct vmmem_slot *b)
{
	const struct vmmem_bitmap *bitmap = vmmem_region_bitmap(a->region);

	return bitmap == vmmem_region_bitmap(b->region) &&
	       (bitmap == NULL ||
		vmmem_region_bitmap_offset(a->region) + vmmem_slot_offset(a) ==
			vmmem_region_bitmap_offset(b->region) +
				vmmem_slot_offset(b));
}

/* Memory that is the same but for where the guest sees it. */
static bool
same_memory(const struct vmmem_slot *a, const struct vmmem_slot *b)
{
	return a->len == b->len && a->host == b->host &&
	       a->guest_memfd == b->guest_memfd &&
	       a->guest_memfd_offset == b->guest_memfd_offset &&
	       ((a->flags ^ b->flags) & ~VMMEM_SLOT_LOG) == 0 &&
	       same_log(a, b);
}

/*
 * Slots with a guest_memfd can be made and deleted, and nothing else; and what
 * is spoilt is the same as nothing.
 */
static bool
may_become(const struct work *work, const struct side *have,
	   const struct side *want)
{
	const struct vmmem_slot *is = &have->slot, *should = &want->slot;

	return !vmmem_slot_table_entry_at(work->slots,
					  have->position)->spoilt &&
		same_memory(is, should) &&
		((is->flags & VMMEM_SLOT_GUEST_MEMFD) == 0 ||
		 (is->flags == should->flags && is->gpa == should->gpa));
}

/* is_same() tells whether nothing at all is to be done. */
static bool
is_same(const struct vmmem_slot_table_entry *entry,
	const struct vmmem_slot *slot)
{
	return !entry->spoilt && entry->slot.region == slot->region &&
	       entry->slot.flags == slot->flags &&
	       same_memory(&entry->slot, slot);
}

/*
 * gather_slot() finds whether one slot changes.  All that are there and begin
 * below it are wanted by nobody.
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

/*
 * gather_region() does so for the slots of a region.  A region never changes,
 * so one that has its slots is not even asked for its address, unless
 * descriptions have changed.
 */
static int
gather_region(struct work *work, struct vmmem_region *region, bool ask,
	      size_t *at)
{
	const struct vmmem_slot_table *slots = work->slots;
	uint64_t start = vmmem_region_start(region), offset = 0;
	uint64_t len = vmmem_region_len(region);
	struct vmmem_slot whole = { .region = NULL }, slot;
	int rc = 0;

	for (; offset < len && rc == 0; offset += slot.len) {
		if (!ask && *at < slots->count) {
			const struct vmmem_slot_table_entry *entry =
				vmmem_slot_table_entry_at(slots, *at);

			slot = entry->slot;
			if (slot.region == region && !entry->spoilt &&
			    slot.gpa - start == offset) {
				(*at)++;
				continue;
			}
		}
		if (whole.region == NULL)
			rc = describe(slots, region, &whole);
		if (rc != 0)
			break;
		/* What gets no slot is one step, however many it would be. */
		slot = (whole.flags & VMMEM_SLOT_NONE) != 0 ?
			       whole :
			       part(slots, &whole, offset);
		rc = gather_slot(work, &slot, at);
	}
	return rc;
}

/* gather() finds what changes. */
static int
gather(struct work *work, const struct vmmem_collection *map)
{
	const struct vmmem_slot_table *slots = work->slots;
	bool ask = slots->described != slots->asked;
	size_t count = vmmem_collection_count(map), at = 0, i;
	int rc = 0;

	for (i = 0; i < count && rc == 0; i++)
		rc = gather_region(work, vmmem_collection_region(map, i), ask,
				   &at);
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
	work->have.sides[have].mate = want;
	work->want.sides[want].mate = have;
}

/* What has its place already. */
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

		if (other != NULL && other != self && other->mate != NO_MATE)
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

/* loners() gathers those without a mate, by host address. */
static size_t
loners(const struct list *list, struct side **found)
{
	size_t count = 0, i;

	for (i = 0; i < list->count; i++)
		if (list->sides[i].mate == NO_MATE)
			found[count++] = &list->sides[i];
	qsort(found, count, sizeof(struct side *), compare_hosts);
	return count;
}

/* pair_movers() pairs what shows the same memory. */
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
			if (want[at]->mate != NO_MATE ||
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
	have_count = loners(&work->have, have);
	want = have + have_count;
	want_count = loners(&work->want, want);
	pair_movers(work, have, have_count, want, want_count);
	/* Those whose place is taken are deleted and made again. */
	for (i = 0; i < have_count; i++) {
		struct side *mate;

		if (have[i]->mate == NO_MATE)
			continue;
		mate = &work->want.sides[have[i]->mate];
		if (in_the_way(work, &mate->slot, have[i]))
			mate->mate = have[i]->mate = NO_MATE;
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

		if (have->mate != NO_MATE)
			continue;
		slots->pool[number].doomed = true;
		if (number < next)
			next = number;
	}
	for (i = 0; i < work->want.count; i++) {
		struct side *want = &work->want.sides[i];

		if (want->mate != NO_MATE) {
			want->slot.number =
				work->have.sides[want->mate].slot.number;
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
		if (side->mate == NO_MATE)
			emit(plan, VMMEM_SLOT_OP_DELETE, &side->slot,
			     &side->slot);
	}
	for (i = 0; i < work->have.count; i++) {
		side = &work->have.sides[i];
		if (side->mate == NO_MATE)
			continue;
		is = &side->slot;
		should = &work->want.sides[side->mate].slot;
		if (is->gpa != should->gpa)
			emit(plan, VMMEM_SLOT_OP_MOVE, is, should);
		else if (is->flags != should->flags)
			emit(plan, VMMEM_SLOT_OP_CHANGE, is, should);
		else
			emit(plan, VMMEM_SLOT_OP_KEEP, is, should);
	}
	for (i = 0; i < work->want.count; i++) {
		side = &work->want.sides[i];
		if (side->mate == NO_MATE)
			emit(plan, VMMEM_SLOT_OP_CREATE, NULL, &side->slot);
	}
}

/* make() makes the plan of what was found out. */
static int
make(const struct work *work, struct vmmem_collection *map,
     struct vmmem_slot_plan **ret_plan)
{
	struct vmmem_slot_plan *plan = calloc(1, sizeof(*plan));

	if (plan == NULL)
		return -ENOMEM;
	/* No more than one for each that goes or comes. */
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
	struct work work = { .slots = slots };
	int rc;

	if (slots == NULL || map == NULL || ret_plan == NULL)
		return VMMEM_EARGUMENT;
	rc = gather(&work, map);
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
