/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The callbacks of custom regions, which work, fail, and lie. */
#include "model.h"

#include <errno.h>
#include <string.h>

unsigned char *
store_bytes(struct slot *slot)
{
	return slot->store + GUARD + slot->start % 16;
}

int
custom_host(void *opaque, void **ret_host)
{
	*ret_host = store_bytes(opaque);
	return 0;
}

static int
custom_no_host(void *opaque, void **ret_host)
{
	(void)opaque;
	(void)ret_host;
	return VMMEM_ENOHOST;
}

static void
expect_within(const struct slot *slot, uint64_t offset, size_t len)
{
	EXPECT(!slot->ended);
	EXPECT(len != 0);
	EXPECT(offset <= slot->last - slot->start);
	EXPECT(len - 1 <= slot->last - slot->start - offset);
}

static int
custom_read(void *opaque, uint64_t offset, void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	struct slot *slot = opaque;

	(void)info;
	expect_within(slot, offset, len);
	if (slot->read_code == 0)
		memcpy(buf, store_bytes(slot) + offset, len);
	return slot->read_code;
}

static int
custom_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	     const struct vmmem_access_info *info)
{
	struct slot *slot = opaque;

	(void)info;
	expect_within(slot, offset, len);
	EXPECT((slot->protection & VMMEM_PROT_WRITE) != 0);
	if (slot->write_code == 0)
		memcpy(store_bytes(slot) + offset, buf, len);
	return slot->write_code;
}

/* A number for what was acquired, so that a sum tells what was not released. */
static uint64_t
acquisition(uint64_t offset, uint64_t len, uint32_t access, const void *host)
{
	struct rng rng = { (uintptr_t)host ^ offset << 16 ^ len << 32 };

	return rng_next(&rng) + access * rng_next(&rng);
}

static int
custom_acquire(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	       void **ret_host)
{
	struct slot *slot = opaque;
	void *host = store_bytes(slot) + offset;

	expect_within(slot, offset, len);
	EXPECT((access & ~slot->protection) == 0);
	if (slot->acquire_code != 0)
		return slot->acquire_code;
	if (slot->acquire_lie == STORES_NULL)
		host = NULL;
	else if (slot->acquire_lie == STORES_ODD)
		host = store_bytes(slot) + offset + 1;
	if (slot->ops->release != NULL) {
		slot->acquired++;
		slot->acquired_sum += acquisition(offset, len, access, host);
	}
	*ret_host = host;
	return 0;
}

static void
custom_release(void *opaque, uint64_t offset, uint64_t len, uint32_t access,
	       void *host)
{
	struct slot *slot = opaque;

	expect_within(slot, offset, len);
	EXPECT(slot->acquired != 0);
	slot->acquired--;
	slot->acquired_sum -= acquisition(offset, len, access, host);
}

void
slot_ended(void *opaque)
{
	struct slot *slot = opaque;

	EXPECT(!slot->ended);
	slot->ended = true;
}

const struct vmmem_region_ops custom_ops[CUSTOM_OPS] = {
	{
		.size = sizeof(custom_ops[0]),
		.read = custom_read,
		.write = custom_write,
		.destroy = slot_ended,
	},
	{
		.size = sizeof(custom_ops[0]),
		.host = custom_no_host,
		.read = custom_read,
		.write = custom_write,
		.destroy = slot_ended,
	},
	{
		.size = sizeof(custom_ops[0]),
		.read = custom_read,
		.destroy = slot_ended,
	},
	{
		.size = sizeof(custom_ops[0]),
		.host = custom_host,
		.destroy = slot_ended,
	},
	{
		.size = sizeof(custom_ops[0]),
		.acquire = custom_acquire,
		.release = custom_release,
		.destroy = slot_ended,
	},
	{
		.size = sizeof(custom_ops[0]),
		.host = custom_no_host,
		.acquire = custom_acquire,
		.release = custom_release,
		.read = custom_read,
		.write = custom_write,
		.destroy = slot_ended,
	},
	{
		.size = sizeof(custom_ops[0]),
		.acquire = custom_acquire,
		.read = custom_read,
		.destroy = slot_ended,
	},
};

static bool
has_alias(const struct slot *slot)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		if (world.slots[i].region != NULL &&
		    world.slots[i].owner == slot)
			return true;
	}
	return false;
}

/* Callbacks begin to fail, or stop failing. */
void
run_break_region(struct map *map)
{
	static const int codes[] = { 0, 0, 0, 0, -EIO, VMMEM_EPARTIAL, 1,
				     VMMEM_EBADADDR };
	struct slot *slot = &world.slots[rng_below(&world.rng, SLOTS)];

	(void)map;
	if (slot->region == NULL || slot->kind != VMMEM_REGION_CUSTOM)
		return;
	slot->acquire_code = codes[rng_below(&world.rng, 8)];
	slot->acquire_lie = HONEST;
	if (slot->acquire_code == 0 && rng_chance(&world.rng, 30) &&
	    !has_alias(slot))
		slot->acquire_lie = rng_chance(&world.rng, 50) ? STORES_NULL :
								 STORES_ODD;
	slot->read_code = codes[rng_below(&world.rng, 8)];
	slot->write_code = codes[rng_below(&world.rng, 8)];
}
