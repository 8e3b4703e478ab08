/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Tables of a hypervisor's memory slots. */
#include <vmmem/error.h>
#include <vmmem/slot_table.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/api.h"
#include "base/cancel.h"
#include "kvm/slot_table_priv.h"
#include "base/struct_size.h"

#define FLAGS_KNOWN                                                        \
	(VMMEM_SLOT_TABLE_CAN_MOVE | VMMEM_SLOT_TABLE_NO_MERGE |            \
	 VMMEM_SLOT_TABLE_SKIP_UNALIGNED)

VMMEM_API int
vmmem_slot_table_new(const struct vmmem_slot_table_options *options,
		     struct vmmem_slot_table **ret_slots)
{
	struct vmmem_slot_table_options known = { .size = sizeof(known) };
	struct vmmem_slot_table *slots;
	int rc;

	if (ret_slots == NULL)
		return VMMEM_EARGUMENT;
	if (options != NULL) {
		rc = vmmem_struct_take(options, &known, sizeof(known),
				       VMMEM_SLOT_TABLE_OPTIONS_SIZE_0_9);
		if (rc != 0)
			return rc;
	}
	if (known.page_size == 0)
		known.page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	if (known.max == 0)
		known.max = UINT32_MAX - known.first;
	if ((known.page_size & (known.page_size - 1)) != 0 ||
	    (known.max_len & (known.page_size - 1)) != 0 ||
	    (known.flags & ~FLAGS_KNOWN) != 0 || known.reserved != 0 ||
	    (known.max != 0 && known.max - 1 > UINT32_MAX - known.first))
		return VMMEM_EARGUMENT;

	slots = calloc(1, sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	slots->options = known;
	*ret_slots = slots;
	return 0;
}

VMMEM_API struct vmmem_slot_table *
vmmem_slot_table_free(struct vmmem_slot_table *slots)
{
	size_t i;
	int cancel;

	if (slots == NULL)
		return NULL;
	cancel = vmmem_cancel_off();
	for (i = 0; i < slots->count; i++)
		vmmem_region_unref(vmmem_slot_table_entry_at(slots,
							     i)->slot.region);
	for (i = 0; i < slots->note_count; i++)
		vmmem_region_unref(slots->notes[i].region);
	free(slots->notes);
	if (slots->options.destroy != NULL)
		slots->options.destroy(slots->options.opaque);
	free(slots->order);
	free(slots->pool);
	free(slots);
	vmmem_cancel_back(cancel);
	return NULL;
}

VMMEM_API size_t
vmmem_slot_table_count(const struct vmmem_slot_table *slots)
{
	return slots != NULL ? slots->count : 0;
}

VMMEM_API int
vmmem_slot_table_at(const struct vmmem_slot_table *slots, size_t index,
		    struct vmmem_slot *ret_slot)
{
	if (slots == NULL || ret_slot == NULL)
		return VMMEM_EARGUMENT;
	if (index >= slots->count)
		return VMMEM_EOUTOFRANGE;
	*ret_slot = vmmem_slot_table_entry_at(slots, index)->slot;
	return 0;
}

/* find_number() returns NULL if there is no such slot. */
static struct vmmem_slot_table_entry *
find_number(const struct vmmem_slot_table *slots, uint32_t number)
{
	struct vmmem_slot_table_entry *entry;

	if (number < slots->options.first ||
	    number - slots->options.first >= slots->pool_len)
		return NULL;
	entry = &slots->pool[number - slots->options.first];
	return entry->slot.region != NULL ? entry : NULL;
}

VMMEM_API int
vmmem_slot_table_by_number(const struct vmmem_slot_table *slots,
			   uint32_t number, struct vmmem_slot *ret_slot)
{
	const struct vmmem_slot_table_entry *entry;

	if (slots == NULL || ret_slot == NULL)
		return VMMEM_EARGUMENT;
	entry = find_number(slots, number);
	if (entry == NULL)
		return VMMEM_ENOREGION;
	*ret_slot = entry->slot;
	return 0;
}

size_t
vmmem_slot_table_position(const struct vmmem_slot_table *slots, uint64_t gpa)
{
	size_t low = 0, high = slots->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (vmmem_slot_table_entry_at(slots, middle)->slot.gpa <= gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

VMMEM_API int
vmmem_slot_table_find(const struct vmmem_slot_table *slots, uint64_t gpa,
		      struct vmmem_slot *ret_slot)
{
	const struct vmmem_slot *slot;
	size_t position;

	if (slots == NULL || ret_slot == NULL)
		return VMMEM_EARGUMENT;
	position = vmmem_slot_table_position(slots, gpa);
	if (position == 0)
		return VMMEM_EBADADDR;
	slot = &vmmem_slot_table_entry_at(slots, position - 1)->slot;
	if (gpa > vmmem_slot_last(slot))
		return VMMEM_EBADADDR;
	*ret_slot = *slot;
	return 0;
}

/* grown() returns the new length of an array that must hold 'want'. */
static size_t
grown(size_t len, size_t want)
{
	size_t half_more = len + len / 2;

	return want > half_more ? want : half_more;
}

int
vmmem_slot_table_reserve(struct vmmem_slot_table *slots, size_t count,
			 size_t numbers)
{
	if (count > slots->order_len) {
		size_t len = grown(slots->order_len, count);
		uint32_t *order;

		order = reallocarray(slots->order, len, sizeof(*order));
		if (order == NULL)
			return -ENOMEM;
		slots->order = order;
		slots->order_len = len;
	}
	if (numbers > slots->pool_len) {
		size_t len = grown(slots->pool_len, numbers);
		struct vmmem_slot_table_entry *pool;

		pool = reallocarray(slots->pool, len, sizeof(*pool));
		if (pool == NULL)
			return -ENOMEM;
		memset(&pool[slots->pool_len], 0,
		       (len - slots->pool_len) * sizeof(*pool));
		slots->pool = pool;
		slots->pool_len = len;
	}
	return 0;
}

/* take_out() takes an entry out of the order, and does not change it. */
static void
take_out(struct vmmem_slot_table *slots,
	 const struct vmmem_slot_table_entry *entry)
{
	size_t position = vmmem_slot_table_position(slots, entry->slot.gpa) - 1;

	slots->count--;
	memmove(&slots->order[position], &slots->order[position + 1],
		(slots->count - position) * sizeof(slots->order[0]));
}

static void
put_in(struct vmmem_slot_table *slots,
       const struct vmmem_slot_table_entry *entry)
{
	size_t position = vmmem_slot_table_position(slots, entry->slot.gpa);

	memmove(&slots->order[position + 1], &slots->order[position],
		(slots->count - position) * sizeof(slots->order[0]));
	slots->order[position] = (uint32_t)(entry - slots->pool);
	slots->count++;
}

VMMEM_API int
vmmem_slot_table_done(struct vmmem_slot_table *slots,
		      struct vmmem_slot_plan *plan)
{
	struct vmmem_slot_table_entry *entry;
	struct vmmem_region *old;
	const struct vmmem_slot_op *op;
	size_t number;

	if (slots == NULL || plan == NULL)
		return VMMEM_EARGUMENT;
	if (plan->slots != slots || plan->serial != slots->serial)
		return VMMEM_EARGUMENT;
	if (plan->next == plan->count)
		return VMMEM_EOUTOFRANGE;

	op = &plan->ops[plan->next];
	number = op->slot.number - slots->options.first;
	entry = &slots->pool[number];
	old = entry->slot.region;
	switch (op->kind) {
	case VMMEM_SLOT_OP_DELETE:
		take_out(slots, entry);
		*entry = (struct vmmem_slot_table_entry){ .invalid = false };
		if (number < slots->lowest_free)
			slots->lowest_free = number;
		break;
	case VMMEM_SLOT_OP_MOVE:
		take_out(slots, entry);
		/* fallthrough */
	case VMMEM_SLOT_OP_CREATE:
		entry->slot = op->slot;
		vmmem_region_ref(op->slot.region);
		put_in(slots, entry);
		if (number == slots->lowest_free)
			slots->lowest_free++;
		break;
	default:
		entry->slot = op->slot;
		vmmem_region_ref(op->slot.region);
		break;
	}
	plan->next++;
	plan->serial = ++slots->serial;
	if (plan->next == plan->count)
		slots->described = plan->asked;
	/* Last: it may unmap, and call the region's owner. */
	vmmem_region_unref(old);
	return 0;
}

VMMEM_API int
vmmem_slot_table_invalidate(struct vmmem_slot_table *slots, uint32_t number)
{
	struct vmmem_slot_table_entry *entry;

	if (slots == NULL)
		return VMMEM_EARGUMENT;
	entry = find_number(slots, number);
	if (entry == NULL)
		return VMMEM_ENOREGION;
	entry->invalid = true;
	slots->serial++;
	return 0;
}

VMMEM_API int
vmmem_slot_table_redescribe(struct vmmem_slot_table *slots)
{
	if (slots == NULL)
		return VMMEM_EARGUMENT;
	slots->asked++;
	return 0;
}
