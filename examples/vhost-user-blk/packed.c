/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Packed rings. */
#include "device.h"
#include "protocol.h"

#include <endian.h>
#include <errno.h>

struct desc {
	uint64_t address;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

#define FLAGS_OFFSET 14

/* How the driver wants to hear of used descriptors, in its event structure. */
#define EVENT_DISABLE 1U
#define EVENT_DESC 2U

static uint64_t
slot(const struct queue *queue, uint16_t index)
{
	return queue->desc + sizeof(struct desc) * (uint64_t)index;
}

/* The counters of a ring in one number, as the front end keeps them. */
static uint32_t
base(const struct queue *queue)
{
	uint32_t avail = queue->next_avail | (uint32_t)queue->avail_wrap << 15;
	uint32_t used = queue->next_used | (uint32_t)queue->used_wrap << 15;

	/* What was taken and not used is the next to come. */
	return (queue->under_way != 0 ? used : avail) | used << 16;
}

static void
advance(const struct queue *queue, uint16_t *at, bool *wrap, uint16_t slots)
{
	uint32_t next = (uint32_t)*at + slots;

	if (next >= queue->size) {
		next -= queue->size;
		*wrap = !*wrap;
	}
	*at = (uint16_t)next;
}

static int
start(struct queue *queue)
{
	int rc;

	queue->next_avail = queue->base & 0x7fff;
	queue->avail_wrap = (queue->base >> 15 & 1) != 0;
	queue->next_used = queue->base >> 16 & 0x7fff;
	queue->used_wrap = (queue->base >> 31) != 0;
	/*
	 * A ring cannot tell where it stands.  Requests are used in order, so
	 * that what an earlier back end has used last says all.
	 */
	rc = inflight_recall(queue, &queue->next_used, &queue->used_wrap);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		queue->next_avail = queue->next_used;
		queue->avail_wrap = queue->used_wrap;
	}
	return queue->next_avail < queue->size &&
			       queue->next_used < queue->size ?
		       0 :
		       -EPROTO;
}

static int
indirect(struct queue *queue, struct chain *chain, const struct desc *table)
{
	uint32_t len = le32toh(table->len), i;
	struct desc desc[RANGES];
	int rc;

	/* All of them are buffers, and a chain has no more. */
	if ((queue->features & F_INDIRECT) == 0 || len == 0 ||
	    len % sizeof(desc[0]) != 0 || len > sizeof(desc))
		return -EPROTO;
	rc = ring_read(queue, le64toh(table->address), desc, len);
	for (i = 0; i < len / sizeof(desc[0]) && rc == 0; i++)
		rc = add_descriptor(chain, le64toh(desc[i].address),
				    le32toh(desc[i].len),
				    le16toh(desc[i].flags) & DESC_WRITE);
	return rc;
}

static int
has_more(struct queue *queue)
{
	const bool wrap = queue->avail_wrap;
	uint16_t flags;
	int rc;

	rc = ring_load16(queue, slot(queue, queue->next_avail) + FLAGS_OFFSET,
			 &flags);
	if (rc != 0)
		return rc;
	return ((flags & DESC_AVAIL) != 0) == wrap &&
	       ((flags & DESC_USED) != 0) != wrap;
}

static int
peek(struct queue *queue, struct chain *chain)
{
	uint16_t at = queue->next_avail, flags;
	bool wrap = queue->avail_wrap;
	struct desc desc;
	int rc;

	/* The flags say that the rest is there: they are loaded first. */
	rc = has_more(queue);
	if (rc <= 0)
		return rc;
	chain->slots = 0;
	do {
		if (chain->slots >= queue->size)
			return -EPROTO;
		rc = ring_read(queue, slot(queue, at), &desc, sizeof(desc));
		if (rc != 0)
			return rc;
		flags = le16toh(desc.flags);
		chain->id = le16toh(desc.id);
		chain->slots++;
		advance(queue, &at, &wrap, 1);
		if ((flags & DESC_INDIRECT) != 0)
			rc = (flags & DESC_NEXT) != 0 ?
				     -EPROTO :
				     indirect(queue, chain, &desc);
		else
			rc = add_descriptor(chain, le64toh(desc.address),
					    le32toh(desc.len), flags);
		if (rc != 0)
			return rc;
	} while ((flags & DESC_NEXT) != 0);
	return 1;
}

static void
take(struct queue *queue, const struct chain *chain)
{
	advance(queue, &queue->next_avail, &queue->avail_wrap, chain->slots);
}

static int
put(struct queue *queue, const struct chain *chain, uint32_t written)
{
	struct {
		uint32_t len;
		uint16_t id;
	} element = { htole32(written), htole16(chain->id) };
	uint16_t flags = queue->used_wrap ? DESC_AVAIL | DESC_USED : 0;
	uint64_t at = slot(queue, queue->next_used);
	uint16_t next = queue->next_used;
	bool wrap = queue->used_wrap;
	int rc;

	advance(queue, &next, &wrap, chain->slots);
	rc = inflight_note(queue, next, wrap);
	if (rc != 0)
		return rc;
	rc = vmmem_collection_write(queue->map, at + 8, &element, 6, NULL);
	if (rc != 0) {
		queue_failed(queue, rc, at + 8, 6, VMMEM_PROT_WRITE);
		return rc;
	}
	/* The flags give it to the driver: they are stored last. */
	rc = ring_store16(queue, at + FLAGS_OFFSET, flags);
	if (rc != 0)
		return rc;
	queue->next_used = next;
	queue->used_wrap = wrap;
	inflight_settle(queue);
	return 0;
}

static bool
wants_signal(struct queue *queue, uint16_t count)
{
	uint16_t event, flags, at;

	atomic_thread_fence(memory_order_seq_cst);
	if (ring_load16(queue, queue->avail + 2, &flags) != 0 ||
	    ring_load16(queue, queue->avail, &event) != 0)
		return true;
	if (flags == EVENT_DISABLE)
		return false;
	if (flags != EVENT_DESC)
		return true;
	at = event & 0x7fff;
	/* In the round before this one. */
	if ((event >> 15 != 0) != queue->used_wrap)
		at = (uint16_t)(at - queue->size);
	return (uint16_t)(queue->next_used - at - 1) < count;
}

static int
want_kick(struct queue *queue)
{
	bool events = (queue->features & F_EVENT_IDX) != 0;
	int rc;

	rc = ring_store16(queue, queue->used,
			  (uint16_t)(queue->next_avail |
				     (unsigned int)queue->avail_wrap << 15));
	if (rc == 0)
		rc = ring_store16(queue, queue->used + 2,
				  events ? EVENT_DESC : 0);
	atomic_thread_fence(memory_order_seq_cst);
	return rc;
}

const struct ring_ops packed_ring = {
	.start = start,
	.has_more = has_more,
	.peek = peek,
	.take = take,
	.put = put,
	.wants_signal = wants_signal,
	.want_kick = want_kick,
	.base = base,
};
