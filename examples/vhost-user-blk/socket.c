/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Messages to and from the socket, and what is kept for one connection. */
#include "frontend.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <vmmem/vhost.h>


/* How long the next front end waits for the one there is to go. */
#define NEXT_NS INT64_C(1000000000)
/* How long after its beginning the rest of a message may come. */
#define REST_NS INT64_C(5000000000)
#define NEVER INT64_MAX
#define NS_PER_MS 1000000

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
	/*
	 * A front end that reads its answers has room for many.  One that
	 * does not is not waited for: its end of the connection may be in the
	 * messages that we have not read, and so never be closed.
	 */
	do
		sent = sendmsg(device->socket, &msg,
			       MSG_NOSIGNAL | MSG_DONTWAIT);
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
close_descriptors(struct device *device, struct message *message)
{
	size_t i;

	for (i = 0; i < message->fd_count; i++) {
		if (message->fds[i] >= 0)
			close_theirs(device, message->fds[i]);
	}
	message->fd_count = 0;
}

/*
 * take_next() takes a connection that somebody else has made.  It waits a
 * little for ours to end, and is turned away then: with it, in what it has
 * sent, there may be the other end of ours, which is never closed before.
 */
static void
take_next(struct device *device)
{
	const struct timespec pause = { .tv_nsec = ACCEPT_PAUSE_NS };

	device->next = accept4(device->listener, NULL, NULL, SOCK_CLOEXEC);
	device->next_until = time_ns() + NEXT_NS;
	if (device->next < 0 && errno != EINTR && errno != ECONNABORTED)
		/* What the system lacks may be there the next time. */
		(void)nanosleep(&pause, NULL);
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * wait_for_more() waits until there may be something to read.  False: the rest
 * of a message has not come in time.  What came with its beginning is kept
 * meanwhile, and that may be the other end of the connection, too.
 */
static bool
wait_for_more(struct device *device)
{
	struct pollfd fds[2] = { { .fd = device->socket, .events = POLLIN },
				 { .fd = -1, .events = POLLIN } };
	int64_t now = time_ns(), until = device->rest_until;

	if (device->next >= 0 && now >= device->next_until) {
		close(device->next);
		device->next = -1;
	}
	if (now >= until)
		return false;
	if (device->next >= 0)
		until = earlier(until, device->next_until);
	else
		fds[1].fd = device->listener;
	/* A millisecond more, so that it is over then. */
	if (poll(fds, 2,
		 until == NEVER ? -1 : (int)((until - now) / NS_PER_MS) + 1) >
		    0 &&
	    fds[0].revents == 0)
		take_next(device);
	return true;
}

/* take() is what recvmsg(2) is, and waits. */
static ssize_t
take(struct device *device, struct msghdr *msg, int flags)
{
	ssize_t got;

	do {
		got = recvmsg(device->socket, msg, flags | MSG_DONTWAIT);
		if (got >= 0 || (errno != EAGAIN && errno != EINTR))
			return got;
	} while (wait_for_more(device));
	return -1;
}

/* receive_all() is for the rest of a message, which has no descriptors. */
static bool
receive_all(struct device *device, void *buf, size_t len)
{
	unsigned char *to = buf;

	while (len != 0) {
		struct iovec iov = { to, len };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t got = take(device, &msg, 0);

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
peek(struct device *device, struct header *header, bool *ret_whole)
{
	struct iovec iov = { header, sizeof(*header) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got = take(device, &msg, MSG_PEEK);

	*ret_whole = got == (ssize_t)sizeof(*header);
	return got > 0;
}

/* receive_header() has the header, with the descriptors that may be. */
static bool
receive_header(struct device *device, struct message *message)
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

	if (!peek(device, &message->header, &whole))
		return false;
	if (whole && makes_sense(&message->header))
		count = descriptors_of(device, &message->header);
	device->rest_until = time_ns() + REST_NS;
	if (count != 0) {
		msg.msg_control = &control;
		/* Not CMSG_SPACE(): one more would fit into its padding. */
		msg.msg_controllen = CMSG_LEN(count * sizeof(int));
	}
	got = take(device, &msg, MSG_CMSG_CLOEXEC);
	if (got <= 0)
		return false;
	take_descriptors(message, &msg);
	if ((msg.msg_flags & MSG_CTRUNC) != 0)
		message->fds[message->fd_count++] = -1;
	return receive_all(device, (char *)&message->header + got,
			   sizeof(message->header) - (size_t)got);
}

static bool
receive(struct device *device, struct message *message)
{
	message->fd_count = 0;
	message->replied = false;
	device->rest_until = NEVER;
	if (!receive_header(device, message))
		return false;
	if (!makes_sense(&message->header)) {
		say(device, "front end: a message that is none\n");
		return false;
	}
	return receive_all(device, message->payload, message->header.size);
}

void
device_rules(const struct device *device, struct vmmem_fd_rules *rules)
{
	if (!device->sealed) {
		rules->types = VMMEM_FD_TYPE_MEMORY | VMMEM_FD_TYPE_HUGETLB;
		/* One of a front end's own file system need never answer. */
		if (device->files)
			rules->types |= VMMEM_FD_TYPE_REGULAR;
		rules->flags = VMMEM_FD_MAY_SHRINK;
		return;
	}
	/*
	 * No seal keeps huge pages: their sender may give them back, and take
	 * all that there are.
	 */
	rules->types = VMMEM_FD_TYPE_MEMORY;
	if (device->survives)
		rules->types |= VMMEM_FD_TYPE_HUGETLB;
}

static int
connect_device(struct device *device, int socket)
{
	struct vmmem_fd_rules rules = { .size = sizeof(rules) };
	struct vmmem_vhost_options options = {
		.size = sizeof(options),
		.rules = &rules,
		.regions_max = device->rows_max,
		.bytes_max = device->bytes_max,
	};
	struct vmmem_collection *map = NULL;
	const int on = 1;
	unsigned int i;
	int rc;

	device->socket = socket;
	/* What is out of band is read like all else, or it could be polled. */
	(void)setsockopt(socket, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
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
	rc = vmmem_iotlb_new(NULL, &device->iotlb);
	if (rc == 0)
		rc = vmmem_collection_new_empty(&map);
	if (rc == 0)
		rc = vmmem_space_new(map, NULL, &device->memory);
	if (rc == 0)
		rc = vmmem_space_new(map, NULL, &device->space);
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

		close_descriptors(device, message);
		if (code != 0)
			say(device, "front end: request %u: %s\n",
			    message->header.request, vmmem_strerror(code));
		if (!message->replied && wants_reply(device, message))
			rc = reply_u64(device, message, code != 0);
		/* Who cannot be told and does not see it has to start again. */
		else if (!message->replied && code != 0)
			rc = code;
	}
	close_descriptors(device, message);
	disconnect_device(device);
	free(message);
}
