/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Messages to and from the socket, and what is kept for one connection. */
#include "frontend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IOTLB_ENTRIES 4096

uint64_t
message_u64(const struct message *message)
{
	uint64_t value = UINT64_MAX;

	if (message->header.size == sizeof(value))
		memcpy(&value, message->payload, sizeof(value));
	return value;
}

bool
wants_reply(const struct device *device, const struct message *message)
{
	return (message->header.flags & FLAG_NEED_REPLY) != 0 &&
	       (device->protocol_features & PROTOCOL_REPLY_ACK) != 0;
}

struct queue *
device_queue(struct device *device, uint64_t index)
{
	return index < device->queue_count ? &device->queues[index] : NULL;
}

int
reply_with(struct device *device, struct message *message, const void *data,
	   size_t len, int fd)
{
	struct header header = { message->header.request,
				 FLAG_VERSION | FLAG_REPLY, (uint32_t)len };
	struct iovec iov[2] = { { &header, sizeof(header) } };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t sent;

	memcpy(&iov[1].iov_base, &data, sizeof(data));
	iov[1].iov_len = len;
	if (fd >= 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	message->replied = true;
	do
		sent = sendmsg(device->socket, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)(sizeof(header) + len) ? 0 : -EPIPE;
}

int
reply_u64(struct device *device, struct message *message, uint64_t value)
{
	return reply_with(device, message, &value, sizeof(value), -1);
}

/*
 * descriptors_of() is how many may come with a message.  The kernel drops
 * others, which so are never among ours.
 */
static size_t
descriptors_of(const struct device *device, const struct header *header)
{
	size_t rows;

	switch (header->request) {
	case VMMEM_VHOST_SET_MEM_TABLE:
		rows = header->size / sizeof(struct vmmem_vhost_region);
		if (rows > device->rows_max)
			rows = device->rows_max;
		return rows < FDS_MAX ? rows : FDS_MAX;
	case VMMEM_VHOST_ADD_MEM_REG:
	case VMMEM_VHOST_REM_MEM_REG: /* it is not looked at */
	case VMMEM_VHOST_SET_LOG_BASE:
	case SET_LOG_FD:
	case SET_VRING_KICK:
	case SET_VRING_CALL:
	case SET_VRING_ERR:
	case SET_BACKEND_REQ_FD:
	case SET_INFLIGHT_FD:
		return 1;
	default:
		return 0;
	}
}

static void
take_descriptors(struct message *message, struct msghdr *msg)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t len = cmsg->cmsg_len - CMSG_LEN(0);

		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		/* There is room for no more of them than there are here. */
		memcpy(message->fds + message->fd_count, CMSG_DATA(cmsg), len);
		message->fd_count += len / sizeof(int);
	}
}

static void
close_descriptors(struct message *message)
{
	size_t i;

	for (i = 0; i < message->fd_count; i++) {
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	}
	message->fd_count = 0;
}

/* receive_all() is for the rest of a message, which has no descriptors. */
static bool
receive_all(int socket, void *buf, size_t len)
{
	unsigned char *to = buf;

	while (len != 0) {
		ssize_t got = recv(socket, to, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		len -= (size_t)got;
	}
	return true;
}

static bool
makes_sense(const struct header *header)
{
	return (header->flags & FLAG_VERSION_MASK) == FLAG_VERSION &&
	       header->size <= PAYLOAD_MAX;
}

/*
 * peek() looks at a header that is there as a whole; one that is not is read
 * without descriptors.
 */
static bool
peek(int socket, struct header *header, bool *ret_whole)
{
	ssize_t got;

	do
		got = recv(socket, header, sizeof(*header), MSG_PEEK);
	while (got < 0 && errno == EINTR);
	*ret_whole = got == (ssize_t)sizeof(*header);
	return got > 0;
}

/* receive_header() has the header, with the descriptors that may be. */
static bool
receive_header(const struct device *device, struct message *message)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { &message->header, sizeof(message->header) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t count = 0;
	bool whole;
	ssize_t got;

	if (!peek(device->socket, &message->header, &whole))
		return false;
	if (whole && makes_sense(&message->header))
		count = descriptors_of(device, &message->header);
	if (count != 0) {
		msg.msg_control = &control;
		/* Not CMSG_SPACE(): one more would fit into its padding. */
		msg.msg_controllen = CMSG_LEN(count * sizeof(int));
	}
	do
		got = recvmsg(device->socket, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return false;
	take_descriptors(message, &msg);
	if ((msg.msg_flags & MSG_CTRUNC) != 0)
		message->fds[message->fd_count++] = -1;
	return receive_all(device->socket, (char *)&message->header + got,
			   sizeof(message->header) - (size_t)got);
}

static bool
receive(const struct device *device, struct message *message)
{
	message->fd_count = 0;
	message->replied = false;
	if (!receive_header(device, message))
		return false;
	if (!makes_sense(&message->header)) {
		fprintf(stderr, "front end: a message that is none\n");
		return false;
	}
	return receive_all(device->socket, message->payload,
			   message->header.size);
}

void
device_rules(const struct device *device, struct vmmem_foreign_rules *rules)
{
	/* What memory-backend-file may be, on any file system. */
	if (!device->sealed) {
		rules->types = VMMEM_FILE_MEMORY | VMMEM_FILE_HUGETLB |
			       VMMEM_FILE_REGULAR;
		rules->flags = VMMEM_FOREIGN_MAY_SHRINK;
		return;
	}
	/*
	 * No seal keeps huge pages: their sender may give them back, and take
	 * all that there are.
	 */
	rules->types = VMMEM_FILE_MEMORY;
	if (device->survives)
		rules->types |= VMMEM_FILE_HUGETLB;
}

static int
connect_device(struct device *device, int socket)
{
	struct vmmem_foreign_rules rules = { .size = sizeof(rules) };
	struct vmmem_vhost_options options = {
		.size = sizeof(options),
		.rules = &rules,
		.regions_max = device->rows_max,
		.bytes_max = device->bytes_max,
	};
	struct vmmem_collection *map = NULL;
	unsigned int i;
	int rc;

	device->socket = socket;
	device->backend_fd = -1;
	device->features = device->protocol_features = 0;
	for (i = 0; i < QUEUES_MAX; i++) {
		struct queue *queue = &device->queues[i];

		memset(queue, 0, sizeof(*queue));
		queue->device = device;
		queue->index = i;
		queue->kick_fd = queue->call_fd = queue->error_fd = -1;
		queue->stop_fd = -1;
		pthread_mutex_init(&queue->signal_lock, NULL);
	}
	rc = vmmem_iotlb_new(IOTLB_ENTRIES, &device->iotlb);
	if (rc == 0)
		rc = vmmem_collection_new_empty(&map);
	if (rc == 0)
		rc = vmmem_space_new(map, &device->memory);
	if (rc == 0)
		rc = vmmem_space_new(map, &device->space);
	vmmem_collection_unref(map);
	options.iotlb = device->iotlb;
	device_rules(device, &rules);
	if (rc == 0)
		rc = vmmem_vhost_new(device->memory, &options, &device->vhost);
	return rc;
}

static void
disconnect_device(struct device *device)
{
	unsigned int i;

	/* Queues may wait for pages that nobody brings any more. */
	postcopy_end(device);
	for (i = 0; i < QUEUES_MAX; i++) {
		struct queue *queue = &device->queues[i];

		queue_stop(queue);
		if (queue->kick_fd >= 0)
			close(queue->kick_fd);
		if (queue->call_fd >= 0)
			close(queue->call_fd);
		if (queue->error_fd >= 0)
			close(queue->error_fd);
		pthread_mutex_destroy(&queue->signal_lock);
	}
	inflight_drop(device);
	device->vhost = vmmem_vhost_free(device->vhost);
	device->space = vmmem_space_unref(device->space);
	device->memory = vmmem_space_unref(device->memory);
	device->iommu = vmmem_iommu_unref(device->iommu);
	device->iotlb = vmmem_iotlb_unref(device->iotlb);
	if (device->backend_fd >= 0)
		close(device->backend_fd);
	device->backend_fd = -1;
}

void
serve(struct device *device, int socket)
{
	struct message *message = calloc(1, sizeof(*message));
	int rc = message == NULL ? -ENOMEM : connect_device(device, socket);

	if (message == NULL)
		return;
	while (rc == 0 && receive(device, message)) {
		int code = handle(device, message);

		close_descriptors(message);
		if (code != 0)
			fprintf(stderr, "front end: request %u: %s\n",
				message->header.request, vmmem_strerror(code));
		if (!message->replied && wants_reply(device, message))
			rc = reply_u64(device, message, code != 0);
		/* Who cannot be told and does not see it has to start again. */
		else if (!message->replied && code != 0)
			rc = code;
	}
	close_descriptors(message);
	disconnect_device(device);
	free(message);
}
