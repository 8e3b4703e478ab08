/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Split rings. */
#include "device.h"
#include "protocol.h"

#include <endian.h>
#include <errno.h>

struct desc {
	uint64_t address;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

static uint64_t
used_event(const struct queue *queue)
{
	return queue->avail + 4 + 2 * (uint64_t)queue->size;
}

static uint64_t
avail_event(const struct queue *queue)
{
	return queue->used + 4 + 8 * (uint64_t)queue->size;
}

/*
 * Requests are used in the order in which they came, so that where the used
 * ring stands is where a back end that comes after us goes on.
 */
static int
start(struct queue *queue)
{
	uint16_t used;
	int rc = ring_load16(queue, queue->used + 2, &used);

	if (rc != 0)
		return rc;
	queue->next_used = queue->put_used = used;
	/* The base may be that of a back end that died with some taken. */
	queue->next_avail = queue->device->inflight != NULL ?
				    used :
				    (uint16_t)queue->base;
	return 0;
}

/* walk() follows a chain through a table; a loop ends at its length. */
static int
walk(struct queue *queue, struct chain *chain, uint64_t table, uint32_t size,
     uint16_t at, bool indirect)
{
	bool copied = indirect && size <= RANGES;
	struct desc desc, copy[RANGES];
	uint32_t steps;
	int rc;

	/* One read instead of many. */
	if (copied) {
		rc = ring_read(queue, table, copy, size * sizeof(desc));
		if (rc != 0)
			return rc;
	}
	for (steps = 0; steps < size; steps++) {
		uint16_t flags;

		if (at >= size)
			return -EPROTO;
		rc = 0;
		if (copied)
			desc = copy[at];
		else
			rc = ring_read(queue, table + 16 * (uint64_t)at, &desc,
				       sizeof(desc));
		if (rc != 0)
			return rc;
		flags = le16toh(desc.flags);
		if ((flags & DESC_INDIRECT) != 0) {
			uint32_t len = le32toh(desc.len);

			if (indirect || (flags & DESC_NEXT) != 0 ||
			    (queue->features & F_INDIRECT) == 0 || len == 0 ||
			    len % sizeof(desc) != 0 ||
			    len / sizeof(desc) > RING_MAX)
				return -EPROTO;
			return walk(queue, chain, le64toh(desc.address),
				    len / (uint32_t)sizeof(desc), 0, true);
		}
		rc = add_descriptor(chain, le64toh(desc.address),
				    le32toh(desc.len), flags);
		if (rc != 0 || (flags & DESC_NEXT) == 0)
			return rc;
		at = le16toh(desc.next);
	}
	return -EPROTO;
}

static int
has_more(struct queue *queue)
{
	uint16_t avail;
	int rc;

	rc = ring_load16(queue, queue->avail + 2, &avail);
	if (rc != 0)
		return rc;
	if (avail == queue->next_avail)
		return 0;
	/* A driver cannot have more under way than there are slots. */
	return (uint16_t)(avail - queue->next_avail) > queue->size ? -EPROTO :
								     1;
}

static int
peek(struct queue *queue, struct chain *chain)
{
	uint16_t head;
	int rc;

	rc = has_more(queue);
	if (rc <= 0)
		return rc;
	rc = ring_load16(queue,
			 queue->avail + 4 +
				 2 * (uint64_t)(queue->next_avail %
						queue->size),
			 &head);
	if (rc != 0)
		return rc;
	chain->id = head;
	chain->slots = 1;
	rc = walk(queue, chain, queue->desc, queue->size, head, false);
	return rc != 0 ? rc : 1;
}

static void
take(struct queue *queue, const struct chain *chain)
{
	(void)chain;
	queue->next_avail++;
}

static int
put(struct queue *queue, const struct chain *chain, uint32_t written)
{
	const uint32_t element[2] = { htole32(chain->id), htole32(written) };
	uint64_t slot = queue->used + 4 +
			8 * (uint64_t)(queue->put_used % queue->size);
	int rc;

	rc = vmmem_collection_write(queue->map, slot, element, sizeof(element),
				    NULL);
	if (rc != 0) {
		queue_failed(queue, rc, slot, sizeof(element),
			     VMMEM_PROT_WRITE);
		return rc;
	}
	queue->put_used++;
	return 0;
}

static int
publish(struct queue *queue)
{
	int rc = ring_store16(queue, queue->used + 2, queue->put_used);

	if (rc == 0)
		queue->next_used = queue->put_used;
	else
		queue->put_used = queue->next_used;
	return rc;
}

static bool
wants_signal(struct queue *queue, uint16_t count)
{
	uint16_t value;

	/* The used index is out before the driver's wish is read. */
	atomic_thread_fence(memory_order_seq_cst);
	if ((queue->features & F_EVENT_IDX) == 0)
		return ring_load16(queue, queue->avail, &value) != 0 ||
		       (value & 1) == 0;
	if (ring_load16(queue, used_event(queue), &value) != 0)
		return true;
	return (uint16_t)(queue->next_used - value - 1) < count;
}

static int
want_kick(struct queue *queue)
{
	int rc = 0;

	if ((queue->features & F_EVENT_IDX) != 0)
		rc = ring_store16(queue, avail_event(queue),
				  queue->next_avail);
	/* The wish is out before the ring is looked at again. */
	atomic_thread_fence(memory_order_seq_cst);
	return rc;
}

static uint32_t
base(const struct queue *queue)
{
	return (uint16_t)(queue->next_avail - queue->under_way);
}

const struct ring_ops split_ring = {
	.start = start,
	.has_more = has_more,
	.peek = peek,
	.take = take,
	.put = put,
	.publish = publish,
	.wants_signal = wants_signal,
	.want_kick = want_kick,
	.base = base,
};
