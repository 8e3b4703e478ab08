/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The front end's messages.  One thread reads them, and answers one after the
 * other; nothing in them is trusted.
 */
#include "device.h"
#include "frontend.h"
#include "protocol.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <vmmem/vhost.h>

#define PROTOCOL_FEATURES                                                  \
	(PROTOCOL_MQ | PROTOCOL_LOG_SHMFD | PROTOCOL_REPLY_ACK |           \
	 PROTOCOL_BACKEND_REQ | PROTOCOL_CONFIG | PROTOCOL_INFLIGHT_SHMFD | \
	 PROTOCOL_CONFIGURE_MEM_SLOTS)

static uint64_t
features(const struct device *device)
{
	return F_BLK_SIZE_MAX | F_BLK_SEG_MAX | F_BLK_BLK_SIZE | F_BLK_FLUSH |
	       F_BLK_MQ | F_LOG_ALL | F_INDIRECT | F_EVENT_IDX |
	       F_PROTOCOL_FEATURES | F_VERSION_1 | F_ACCESS_PLATFORM |
	       F_PACKED |
	       (device->read_only ? F_BLK_RO :
				    F_BLK_DISCARD | F_BLK_WRITE_ZEROES);
}

static uint64_t
protocol_features(const struct device *device)
{
	return PROTOCOL_FEATURES |
	       (device->may_postcopy ? PROTOCOL_PAGEFAULT : 0);
}

/* ---- where rings are ---------------------------------------------------- */

static int
translate(struct queue *queue, uint64_t address, uint64_t len, uint64_t *ret)
{
	/* With an iommu a ring is told by I/O virtual address. */
	if (queue->device->iommu != NULL) {
		*ret = address;
		return 0;
	}
	return vmmem_vhost_user_to_gpa(queue->device->vhost, address, len, ret);
}

/* find_ring() stores where the parts of a ring are that the front end tells. */
static int
find_ring(struct queue *queue, const uint64_t told[3], uint64_t places[3])
{
	bool packed = (queue->device->features & F_PACKED) != 0;
	uint64_t size = queue->size;
	int rc;

	rc = translate(queue, told[0], 16 * size, &places[0]);
	if (rc == 0)
		rc = translate(queue, told[1], packed ? 4 : 6 + 2 * size,
			       &places[1]);
	if (rc == 0)
		rc = translate(queue, told[2], packed ? 4 : 6 + 8 * size,
			       &places[2]);
	return rc;
}

static bool
has_moved(const struct queue *queue, const uint64_t places[3])
{
	return queue->desc != places[0] || queue->avail != places[1] ||
	       queue->used != places[2];
}

static void
set_places(struct queue *queue, const uint64_t places[3])
{
	queue->desc = places[0];
	queue->avail = places[1];
	queue->used = places[2];
}

/*
 * follow() has rings be where the front end's addresses of them lead now, if
 * they lead anywhere.  One that runs is stopped first: what it has under way
 * ends where it was.  Returns which of them are to be started again, as bits.
 */
static uint32_t
follow(struct device *device)
{
	uint32_t stopped = 0;
	uint64_t places[3];
	unsigned int i;

	/* With an iommu it is translations that move. */
	for (i = 0; i < device->queue_count && device->iommu == NULL; i++) {
		struct queue *queue = &device->queues[i];

		if (!queue->addressed ||
		    find_ring(queue, queue->told, places) != 0 ||
		    !has_moved(queue, places))
			continue;
		if (queue->running)
			stopped |= UINT32_C(1) << i;
		queue_stop(queue);
		set_places(queue, places);
	}
	return stopped;
}

static int
go_on(struct device *device, uint32_t stopped)
{
	unsigned int i;
	int rc = 0, failed;

	for (i = 0; i < device->queue_count; i++) {
		failed = (stopped >> i & 1) != 0 ?
				 queue_start(&device->queues[i]) :
				 0;
		rc = rc != 0 ? rc : failed;
	}
	return rc;
}

/* ---- memory ------------------------------------------------------------- */

/* has_lost() tells whether memory of the map 'old' is not in 'map'. */
static bool
has_lost(const struct vmmem_collection *old,
	 const struct vmmem_collection *map)
{
	const struct vmmem_region *region;
	size_t i;

	for (i = 0; i < vmmem_collection_count(old); i++) {
		region = vmmem_collection_region(old, i);
		if (vmmem_collection_check(map, vmmem_region_start(region),
					   vmmem_region_len(region), 0,
					   NULL) != 0)
			return true;
	}
	return false;
}

/*
 * publish() has the queues see what the front end's memory is now.  When it
 * returns, none of them sees or uses what was before.
 */
static int
publish(struct device *device)
{
	struct vmmem_collection *map = vmmem_space_get(device->memory), *seen;
	struct vmmem_collection *old = vmmem_space_get(device->space);
	struct vmmem_collection *physical = vmmem_collection_physical(old);
	bool lost = has_lost(physical != NULL ? physical : old, map);
	int rc;

	vmmem_collection_unref(old);
	if (device->iommu != NULL) {
		rc = vmmem_collection_new_translated(device->iommu, map, &seen);
		vmmem_collection_unref(map);
		if (rc != 0)
			return rc;
		map = seen;
	}
	rc = vmmem_space_replace(device->space, map);
	vmmem_collection_unref(map);
	if (rc != 0)
		return rc;
	/* Sections last as long as there is work: now they are to end. */
	atomic_fetch_add(&device->epoch, 1);
	device_map_changed(device, lost);
	rc = vmmem_space_synchronize(device->space, VMMEM_FOREVER);
	if (rc == 0)
		rc = vmmem_space_synchronize(device->memory, VMMEM_FOREVER);
	if (rc == 0)
		postcopy_trim(device);
	return rc;
}

/* show() does, and has rings that are elsewhere by that go on from there. */
static int
show(struct device *device)
{
	uint32_t stopped = follow(device);
	int rc = publish(device), failed = go_on(device, stopped);

	return rc != 0 ? rc : failed;
}

static int
memory_message(struct device *device, struct message *message)
{
	const uint32_t request = message->header.request;
	uint32_t due;
	int rc;

	rc = vmmem_vhost_message(device->vhost, request, message->payload,
				 message->header.size, message->fds,
				 message->fd_count, &due);
	if (rc != 0) {
		postcopy_trim(device);
		return rc;
	}
	if (request == VMMEM_VHOST_IOTLB_MSG) {
		if ((due & VMMEM_VHOST_DUE_IOTLB) == 0)
			return 0;
		atomic_fetch_add(&device->epoch, 1);
		return vmmem_iotlb_synchronize(device->iotlb, VMMEM_FOREVER);
	}
	/* User addresses may mean something else now, or nothing. */
	if (request == VMMEM_VHOST_SET_MEM_TABLE ||
	    request == VMMEM_VHOST_REM_MEM_REG)
		vmmem_iotlb_unmap_all(device->iotlb);
	/* Queues see it when the front end can answer their faults. */
	if (postcopy_listens(device) &&
	    (request == VMMEM_VHOST_SET_MEM_TABLE ||
	     request == VMMEM_VHOST_ADD_MEM_REG))
		return postcopy_reply(device, message);
	return show(device);
}

/* ask() sends the front end a miss; the answer is a message like any other. */
static int
ask(void *opaque, uint64_t iova, uint64_t len, uint32_t access, uint32_t reason)
{
	struct device *device = opaque;
	struct {
		struct header header;
		struct vmmem_vhost_iotlb_msg iotlb;
	} __attribute__((packed)) miss = {
		.header = { BACKEND_IOTLB_MSG, FLAG_VERSION,
			    sizeof(struct vmmem_vhost_iotlb_msg) },
		.iotlb = { .iova = iova, .len = len,
			   .access = (uint8_t)access,
			   .type = VMMEM_VHOST_IOTLB_MISS },
	};
	ssize_t sent;

	(void)reason;
	if (queue_is_ending())
		return VMMEM_ESTOPPED;
	/*
	 * An invalidation waits for the section to end, so the answer may have
	 * to wait too.  The queue asks when it is out of it, and once: a second
	 * question for a page may be read when the guest has that back already.
	 */
	if (queue_is_in_section())
		return VMMEM_EIOMMUMISS;
	pthread_mutex_lock(&device->backend_lock);
	/* A front end that does not read them is not waited for. */
	sent = send(device->backend_fd, &miss, sizeof(miss),
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	pthread_mutex_unlock(&device->backend_lock);
	return sent == (ssize_t)sizeof(miss) ? VMMEM_IOMMU_LATER :
					       VMMEM_EIOMMUMISS;
}

/* start_if_ready() starts a ring that has all that it needs. */
static int
start_if_ready(struct queue *queue)
{
	if (queue->running || !queue->addressed || queue->size == 0 ||
	    queue->kick_fd < 0 || !queue->enabled)
		return 0;
	return queue_start(queue);
}

/* may_change() stops a ring whose thread still waits for the first kick. */
static bool
may_change(struct queue *queue)
{
	if (queue->running && !atomic_load(&queue->started))
		queue_stop(queue);
	return !queue->running;
}

/* set_iommu() has addresses of queues translated, or not. */
static int
set_iommu(struct device *device, bool wanted)
{
	struct vmmem_iommu_options options = {
		.size = sizeof(options), .miss = ask, .opaque = device,
	};

	/* In a section nobody waits: queue.c asks outside of it. */
	if (wanted)
		return vmmem_iommu_new(device->iotlb, &options,
				       &device->iommu);
	device->iommu = vmmem_iommu_unref(device->iommu);
	vmmem_iotlb_unmap_all(device->iotlb);
	return 0;
}

/* take_features() is set_features() for features that may change. */
static int
take_features(struct device *device, uint64_t wanted)
{
	bool translated = (wanted & F_ACCESS_PLATFORM) != 0;
	bool changed = translated != (device->iommu != NULL);
	unsigned int i;
	int rc = 0;

	if (changed)
		rc = set_iommu(device, translated);
	if (rc == 0 && (wanted & F_LOG_ALL) == 0 &&
	    vmmem_vhost_log(device->vhost) != NULL) {
		rc = vmmem_vhost_clear_log(device->vhost);
		changed = true;
	}
	if (rc == 0 && changed)
		rc = show(device);
	if (rc != 0)
		return rc;
	device->features = wanted;
	/* A front end that does not know SET_VRING_ENABLE does not send it. */
	for (i = 0; i < QUEUES_MAX; i++)
		if ((wanted & F_PROTOCOL_FEATURES) == 0)
			device->queues[i].enabled = true;
	return 0;
}

static int
set_features(struct device *device, uint64_t wanted)
{
	bool free_to = true;
	unsigned int i;
	int rc = 0, failed;

	if ((wanted & ~features(device)) != 0)
		return -EINVAL;
	for (i = 0; i < device->queue_count; i++)
		free_to = may_change(&device->queues[i]) && free_to;
	/* Rings go by them; but the log may come and go while they do. */
	if (((wanted ^ device->features) & ~F_LOG_ALL) != 0 && !free_to)
		rc = -EBUSY;
	if (rc == 0)
		rc = take_features(device, wanted);
	for (i = 0; i < device->queue_count; i++) {
		failed = start_if_ready(&device->queues[i]);
		rc = rc != 0 ? rc : failed;
	}
	return rc;
}

static int
set_protocol_features(struct device *device, uint64_t wanted)
{
	if ((wanted & ~protocol_features(device)) != 0)
		return -EINVAL;
	device->protocol_features = wanted;
	return 0;
}

/* ---- rings -------------------------------------------------------------- */

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int
set_size(struct queue *queue, uint32_t size)
{
	bool packed = (queue->device->features & F_PACKED) != 0;

	if (size == 0 || size > RING_MAX ||
	    (!packed && (size & (size - 1)) != 0) || !may_change(queue))
		return -EINVAL;
	queue->size = size;
	return start_if_ready(queue);
}

static int
set_address(struct queue *queue, const struct ring_address *address)
{
	const uint64_t told[3] = { address->desc, address->avail,
				   address->used };
	uint64_t places[3];
	int rc;

	/* The log of the used ring is by guest address, like any other. */
	if (queue->size == 0)
		return -EINVAL;
	rc = find_ring(queue, told, places);
	if (rc != 0)
		return rc;
	/* When a migration begins, it is said again that they are logged. */
	if (!may_change(queue) && has_moved(queue, places))
		return -EBUSY;
	memcpy(queue->told, told, sizeof(told));
	if (queue->running)
		return 0;
	set_places(queue, places);
	queue->addressed = true;
	return start_if_ready(queue);
}

/* set_fd() gives a ring one of its eventfds, or takes it away. */
static int
set_fd(struct device *device, struct message *message)
{
	uint64_t value = message_u64(message);
	struct queue *queue = device_queue(device, value & RING_INDEX);
	bool none = (value & RING_NO_FD) != 0;
	int fd = -1;

	if (queue == NULL || message->fd_count != (none ? 0 : 1) ||
	    (!none && !eventfds_is_one(device, message->fds[0])))
		return -EINVAL;
	if (!none) {
		fd = message->fds[0];
		message->fds[0] = -1;
	}
	if (message->header.request == SET_VRING_KICK) {
		queue_stop(queue);
		close_fd(&queue->kick_fd);
		queue->kick_fd = fd;
		return start_if_ready(queue);
	}
	pthread_mutex_lock(&queue->signal_lock);
	if (message->header.request == SET_VRING_CALL) {
		close_fd(&queue->call_fd);
		queue->call_fd = fd;
	} else {
		close_fd(&queue->error_fd);
		queue->error_fd = fd;
	}
	pthread_mutex_unlock(&queue->signal_lock);
	return 0;
}

static int
ring_message(struct device *device, struct message *message)
{
	const struct ring_state *state = (const void *)message->payload;
	const struct ring_address *address = (const void *)message->payload;
	size_t want = message->header.request == SET_VRING_ADDR ?
			      sizeof(*address) :
			      sizeof(*state);
	struct queue *queue = message->header.size == want ?
				      device_queue(device, state->index) :
				      NULL;

	if (queue == NULL)
		return -EINVAL;
	switch (message->header.request) {
	case SET_VRING_NUM:
		return set_size(queue, state->value);
	case SET_VRING_ADDR:
		return set_address(queue, address);
	case SET_VRING_BASE:
		if (!may_change(queue))
			return -EINVAL;
		queue->base = state->value;
		return start_if_ready(queue);
	case SET_VRING_ENABLE:
		queue->enabled = state->value != 0;
		if (queue->enabled)
			return start_if_ready(queue);
		queue_stop(queue);
		return 0;
	default: {
		struct ring_state reply = { .index = state->index };

		queue_stop(queue);
		atomic_store(&queue->started, false);
		close_fd(&queue->kick_fd);
		inflight_forget(queue);
		reply.value = queue->base;
		return reply_with(device, message, &reply, sizeof(reply), -1);
	}
	}
}

/* ---- the rest ----------------------------------------------------------- */

static int
get_config(struct device *device, struct message *message)
{
	struct virtio_blk_config config = {
		.capacity = device->sectors,
		.size_max = SEGMENT_MAX,
		.seg_max = SEGMENTS,
		.blk_size = SECTOR,
		.num_queues = (uint16_t)device->queue_count,
		.max_discard_sectors = UINT32_MAX / SECTOR,
		.max_discard_seg = DISCARD_SEGMENTS,
		.discard_sector_alignment = 1,
		.max_write_zeroes_sectors = UINT32_MAX / SECTOR,
		.max_write_zeroes_seg = DISCARD_SEGMENTS,
		.write_zeroes_may_unmap = 1,
	};
	struct config_message reply = { 0 };
	unsigned char space[sizeof(reply.bytes)] = { 0 };
	const size_t head = offsetof(struct config_message, bytes);
	uint32_t size;

	if (message->header.size < head)
		return reply_with(device, message, NULL, 0, -1);
	memcpy(&reply, message->payload, head);
	size = reply.size;
	if (size > sizeof(reply.bytes) ||
	    message->header.size != head + size ||
	    reply.offset > sizeof(space) - size)
		return reply_with(device, message, NULL, 0, -1);
	memcpy(space, &config, sizeof(config));
	memcpy(reply.bytes, space + reply.offset, size);
	return reply_with(device, message, &reply, head + size, -1);
}

/*
 * set_config() refuses a guest's writes, as there is nothing to write to.  But
 * a front end that cannot be told is not left for what its guest does.
 */
static int
set_config(const struct device *device, const struct message *message)
{
	const struct config_message *config = (const void *)message->payload;
	const size_t head = offsetof(struct config_message, bytes);
	bool migrates = message->header.size >= head &&
			config->flags == CONFIG_MIGRATION;

	return migrates || !wants_reply(device, message) ? 0 : -EPERM;
}

/*
 * Whether it is one of a pair of stream sockets of AF_UNIX, as socketpair(2)
 * makes them: that has a peer, without a name.  The other end of a connection
 * to us has one with a name, and if we kept it, the connection would never end.
 */
static bool
is_one_of_a_pair(int fd)
{
	struct sockaddr_un peer;
	socklen_t len = sizeof(int), peer_len = sizeof(peer);
	int domain, type;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       domain == AF_UNIX && type == SOCK_STREAM &&
	       getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
	       peer_len == offsetof(struct sockaddr_un, sun_path);
}

/*
 * silence() has nothing come by it, as nothing is read from it: what is sent,
 * and not read, may have descriptors, of which one could be that end, too.
 */
static void
silence(int fd)
{
	const int on = 1;
	char bytes[4096];

	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	(void)shutdown(fd, SHUT_RD);
	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static int
set_backend_fd(struct device *device, struct message *message)
{
	if (message->fd_count != 1 || !is_one_of_a_pair(message->fds[0]))
		return -EINVAL;
	silence(message->fds[0]);
	pthread_mutex_lock(&device->backend_lock);
	close_fd(&device->backend_fd);
	device->backend_fd = message->fds[0];
	pthread_mutex_unlock(&device->backend_lock);
	message->fds[0] = -1;
	return 0;
}

static int
end_postcopy(struct device *device, struct message *message)
{
	int rc = postcopy_message(device, message);

	/* What was not acknowledged needs it no more. */
	if (rc == 0)
		rc = show(device);
	return reply_u64(device, message, rc != 0) != 0 ? -EIO : rc;
}

static int
handle_ring(struct device *device, struct message *message)
{
	switch (message->header.request) {
	case SET_VRING_NUM:
	case SET_VRING_ADDR:
	case SET_VRING_BASE:
	case GET_VRING_BASE:
	case SET_VRING_ENABLE:
		return ring_message(device, message);
	case SET_VRING_KICK:
	case SET_VRING_CALL:
	case SET_VRING_ERR:
		return set_fd(device, message);
	default:
		return VMMEM_EMESSAGE;
	}
}

int
handle(struct device *device, struct message *message)
{
	if (postcopy_acknowledges(device, message))
		return show(device);
	if (!postcopy_permits(device, message->header.request))
		return VMMEM_EMESSAGE;
	switch (message->header.request) {
	case GET_FEATURES:
		return reply_u64(device, message, features(device));
	case SET_FEATURES:
		return set_features(device, message_u64(message));
	case GET_PROTOCOL_FEATURES:
		return reply_u64(device, message, protocol_features(device));
	case SET_PROTOCOL_FEATURES:
		return set_protocol_features(device, message_u64(message));
	case SET_OWNER:
	case RESET_OWNER:
	case SET_LOG_FD: /* who has the log need not be told of marks */
		return 0;
	case SET_CONFIG:
		return set_config(device, message);
	case GET_QUEUE_NUM:
		return reply_u64(device, message, device->queue_count);
	case GET_MAX_MEM_SLOTS:
		return reply_u64(device, message, device->rows_max);
	case VMMEM_VHOST_SET_LOG_BASE:
		/* Without it the log is in no file, and there is no answer. */
		if ((device->protocol_features & PROTOCOL_LOG_SHMFD) == 0)
			return VMMEM_EMESSAGE;
		/* fallthrough */
	case VMMEM_VHOST_IOTLB_MSG: {
		int rc = memory_message(device, message);

		/* These are answered in any case. */
		return reply_u64(device, message, rc != 0) != 0 ? -EIO : rc;
	}
	case VMMEM_VHOST_SET_MEM_TABLE:
	case VMMEM_VHOST_ADD_MEM_REG:
	case VMMEM_VHOST_REM_MEM_REG:
		return memory_message(device, message);
	case SET_BACKEND_REQ_FD:
		return set_backend_fd(device, message);
	case GET_CONFIG:
		return get_config(device, message);
	case GET_INFLIGHT_FD:
		return inflight_give(device, message);
	case SET_INFLIGHT_FD:
		return inflight_take(device, message);
	case POSTCOPY_ADVISE:
	case POSTCOPY_LISTEN:
		return postcopy_message(device, message);
	case POSTCOPY_END:
		return end_postcopy(device, message);
	default:
		return handle_ring(device, message);
	}
}
