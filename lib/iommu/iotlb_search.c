/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Looking up what has no hint. */
#include "iommu/iotlb_table.h"

VMMEM_HOT void
vmmem_iotlb_search(struct vmmem_iotlb_table *table, uint64_t iova,
		   struct vmmem_iotlb_entry *ret_entry)
{
	const struct vmmem_iotlb_order *order;
	const struct vmmem_iotlb_slot *slot;
	struct vmmem_iotlb_chunk *chunk;
	const size_t hash = vmmem_iotlb_hash(table, iova);
	uint64_t sequence;
	uint32_t id;
	size_t at;

	if (vmmem_iotlb_find_hinted(table, iova, hash ^ 1, ret_entry)) {
		vmmem_iotlb_use(table, ret_entry);
		return;
	}
	do {
		/* Acquire: all of the copy that it names is there. */
		sequence = __atomic_load_n(&table->sequence, __ATOMIC_ACQUIRE);
		order = &table->orders[sequence & 1];
		/* Whatever is read while it changes is the number of a chunk. */
		at = vmmem_iotlb_locate_chunk(order, iova);
		id = VMMEM_IOTLB_LOAD(order->chunks[at]);
		chunk = &table->chunks[id];
		at = vmmem_iotlb_locate_slot(chunk->slots[sequence & 1], iova);
		slot = &chunk->slots[sequence & 1][at];
		ret_entry->last = VMMEM_IOTLB_LOAD(slot->last);
		ret_entry->start = VMMEM_IOTLB_LOAD(slot->start);
		ret_entry->delta = VMMEM_IOTLB_LOAD(slot->delta);
		ret_entry->flags = VMMEM_IOTLB_LOAD(slot->flags);
		/* Relaxed: the loads above acquire, so this comes after them. */
	} while (__atomic_load_n(&table->sequence, __ATOMIC_RELAXED) !=
		 sequence);

	if (ret_entry->flags != 0 && ret_entry->start <= iova &&
	    iova <= ret_entry->last) {
		ret_entry->used = &chunk->used[at];
		vmmem_iotlb_use(table, ret_entry);
		/* Relaxed: hints. */
		__atomic_store_n(&table->hints[hash ^ 1],
				 __atomic_load_n(&table->hints[hash],
						 __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&table->hints[hash],
				 id * VMMEM_IOTLB_CHUNK + (uint32_t)at,
				 __ATOMIC_RELAXED);
		return;
	}
	/* What follows the gap is what was found, or there is nothing. */
	ret_entry->last = ret_entry->flags != 0 && ret_entry->start > iova ?
				  ret_entry->start - 1 :
				  UINT64_MAX;
	ret_entry->start = iova;
	ret_entry->delta = 0;
	ret_entry->flags = 0;
}
