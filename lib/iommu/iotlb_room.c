/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The memory of an iotlb's table, all of which it has from the start. */
#include "iommu/iotlb_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An entry cut in two by a replacement that is new itself. */
#define SURPLUS 2

/*
 * chunks_for() is how many chunks there may be: two that are neighbours have
 * more than VMMEM_IOTLB_JOIN entries, one is over, and one is new.
 */
static size_t
chunks_for(size_t entries)
{
	return 2 * (entries / (VMMEM_IOTLB_JOIN + 1)) + 4;
}

/* hash_bits_for() has some four hints for each entry, but 64 at least. */
static unsigned int
hash_bits_for(size_t capacity)
{
	unsigned int bits = 6;

	while ((size_t)1 << bits < 4 * capacity)
		bits++;
	return bits;
}

int
vmmem_iotlb_table_init(struct vmmem_iotlb_table *table, size_t capacity)
{
	const size_t count = chunks_for(capacity + SURPLUS);
	const unsigned int hash_bits = hash_bits_for(capacity);
	const size_t chunks_len = count * sizeof(struct vmmem_iotlb_chunk);
	/* The order, twice; ages; the spare and touched chunks; the hints. */
	const size_t lasts_len = 3 * count * sizeof(uint64_t);
	const size_t ids_len = 4 * count * sizeof(uint32_t);
	const size_t hints_len = sizeof(uint32_t) << hash_bits;
	void *memory;
	uint32_t *ids;
	size_t i;
	int rc;

	table->memory_len = chunks_len + lasts_len + ids_len + hints_len;
	/* A slot is half a cache line. */
	rc = posix_memalign(&memory, 64, table->memory_len);
	if (rc != 0)
		return -rc;
	table->chunks = memory;
	table->orders[0].lasts = (uint64_t *)&table->chunks[count];
	table->orders[1].lasts = &table->orders[0].lasts[count];
	table->oldest = &table->orders[1].lasts[count];
	ids = (uint32_t *)&table->oldest[count];
	table->orders[0].chunks = ids;
	table->orders[1].chunks = ids + count;
	table->spare = ids + 2 * count;
	table->touched = ids + 3 * count;
	/* All of them lead to the first chunk, which is in use at first. */
	table->hints = memset(ids + 4 * count, 0, hints_len);
	table->hash_shift = 64 - hash_bits;
	table->chunk_count = count;
	table->capacity = capacity;
	table->clock = 1;
	for (i = 0; i < count; i++) {
		table->chunks[i].high = 0;
		table->spare[i] = (uint32_t)(count - 1 - i);
	}
	table->spare_count = count;
	vmmem_iotlb_table_start(table);
	return 0;
}

void
vmmem_iotlb_table_fini(struct vmmem_iotlb_table *table)
{
	free(table->chunks);
}
