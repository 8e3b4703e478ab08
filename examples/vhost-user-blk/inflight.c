/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What a back end that comes after one that was killed must know.  The front
 * end keeps this memory for us.  As requests are used in order, it is where the
 * used ring stands: split rings say that themselves, packed ones do not.
 *
 * It is memory of the front end's like any other, which may take it away at any
 * moment: so it is reached through the library alone, by offsets.
 */
#include "frontend.h"
#include "protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VERSION 1U

/* 'wanted' is noted before a descriptor is used, 'settled' after. */
#define AT_VERSION 0 /* 0: nothing was noted */
#define AT_WANTED 4  /* an index, and its wrap at bit 16 */
#define AT_SETTLED 8

static uint64_t
place(const struct queue *queue, uint64_t at)
{
	return (uint64_t)queue->index * INFLIGHT_STRIDE + at;
}

/* Another process reads it, after this one has died: in this order. */
static int
load(const struct queue *queue, uint64_t at, uint32_t *ret_value)
{
	return vmmem_collection_load_u32(queue->device->inflight,
					 place(queue, at), VMMEM_ORDER_SEQ_CST,
					 ret_value);
}

static int
store(const struct queue *queue, uint64_t at, uint32_t value)
{
	return vmmem_collection_store_u32(queue->device->inflight,
					  place(queue, at), value,
					  VMMEM_ORDER_SEQ_CST);
}

int
inflight_note(struct queue *queue, uint16_t used, bool wrap)
{
	uint32_t version;
	int rc;

	if (queue->device->inflight == NULL)
		return 0;
	rc = store(queue, AT_WANTED, used | (uint32_t)wrap << 16);
	if (rc == 0)
		rc = load(queue, AT_VERSION, &version);
	if (rc != 0 || version == VERSION)
		return rc;
	rc = store(queue, AT_SETTLED,
		   queue->next_used | (uint32_t)queue->used_wrap << 16);
	return rc != 0 ? rc : store(queue, AT_VERSION, VERSION);
}

void
inflight_settle(struct queue *queue)
{
	uint32_t wanted;

	/*
	 * The descriptor is used, and that cannot be undone.  If the memory has
	 * gone, the next note finds that, or it is back and says nothing.
	 */
	if (queue->device->inflight != NULL &&
	    load(queue, AT_WANTED, &wanted) == 0)
		(void)store(queue, AT_SETTLED, wanted);
}

/* was_used() tells whether the descriptor at 'settled' was used. */
static bool
was_used(struct queue *queue, uint32_t settled)
{
	bool wrap = (settled >> 16 & 1) != 0;
	uint16_t flags;

	return (settled & 0xffff) < queue->size &&
	       ring_load16(queue,
			   queue->desc + 16 * (uint64_t)(settled & 0xffff) +
				   14,
			   &flags) == 0 &&
	       ((flags & DESC_AVAIL) != 0) == wrap &&
	       ((flags & DESC_USED) != 0) == wrap;
}

int
inflight_recall(struct queue *queue, uint16_t *ret_used, bool *ret_wrap)
{
	uint32_t version, wanted, settled;
	int rc;

	if (queue->device->inflight == NULL)
		return 0;
	rc = load(queue, AT_VERSION, &version);
	if (rc != 0 || version != VERSION)
		return rc;
	rc = load(queue, AT_WANTED, &wanted);
	if (rc == 0)
		rc = load(queue, AT_SETTLED, &settled);
	/* It died between the two: the descriptor tells whether it was used. */
	if (rc == 0 && wanted != settled) {
		if (was_used(queue, settled))
			settled = wanted;
		rc = store(queue, AT_WANTED, settled);
		if (rc == 0)
			rc = store(queue, AT_SETTLED, settled);
	}
	if (rc != 0)
		return rc;
	*ret_used = (uint16_t)settled;
	*ret_wrap = (settled >> 16 & 1) != 0;
	return 1;
}

void
inflight_forget(struct queue *queue)
{
	/* If it has gone there is nothing left to forget. */
	if (queue->device->inflight != NULL)
		(void)store(queue, AT_VERSION, 0);
}

/* ---- the messages ------------------------------------------------------- */

int
inflight_give(struct device *device, struct message *message)
{
	struct inflight_message inflight = { 0 };
	int rc, fd;

	if (message->header.size < sizeof(inflight))
		return -EINVAL;
	memcpy(&inflight, message->payload, sizeof(inflight));
	inflight.mmap_size = QUEUES_MAX * INFLIGHT_STRIDE;
	inflight.mmap_offset = 0;
	fd = memfd_create("inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)inflight.mmap_size) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
		rc = -errno;
	else
		rc = reply_with(device, message, &inflight, sizeof(inflight),
				fd);
	close(fd);
	return rc;
}

void
inflight_drop(struct device *device)
{
	device->inflight = vmmem_collection_unref(device->inflight);
}

/* map() has what a front end has sent as any memory of it is. */
static int
map(const struct device *device, int fd, uint64_t len,
    struct vmmem_collection **ret_collection)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_fd_rules rules = { .size = sizeof(rules) };
	struct vmmem_region *region;
	int rc;

	if (builder == NULL)
		return -ENOMEM;
	device_rules(device, &rules);
	vmmem_region_builder_set_range(builder, 0, len);
	vmmem_region_builder_set_untrusted_file(builder, fd, 0, 0, &rules);
	rc = vmmem_region_builder_build(builder, &region);
	vmmem_region_builder_free(builder);
	if (rc != 0)
		return rc;
	rc = vmmem_collection_new(&region, 1, ret_collection);
	vmmem_region_unref(region);
	return rc;
}

int
inflight_take(struct device *device, const struct message *message)
{
	struct vmmem_collection *collection;
	struct inflight_message inflight;
	unsigned int i;
	int rc;

	if (message->header.size < sizeof(inflight) || message->fd_count != 1)
		return -EINVAL;
	memcpy(&inflight, message->payload, sizeof(inflight));
	if (inflight.mmap_size != QUEUES_MAX * INFLIGHT_STRIDE ||
	    inflight.mmap_offset != 0)
		return -EINVAL;
	for (i = 0; i < device->queue_count; i++) {
		if (device->queues[i].running)
			return -EBUSY;
	}
	rc = map(device, message->fds[0], inflight.mmap_size, &collection);
	if (rc != 0)
		return rc;
	inflight_drop(device);
	device->inflight = collection;
	return 0;
}
