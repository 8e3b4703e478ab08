/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The socket to a back end. */
#include "front.h"
#include "protocol.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <vmmem/vhost.h>

#define ROWS 8

/* What Linux' driver uses, with or without the configuration that goes with. */
#define WANTED                                                           \
	(F_BLK_SEG_MAX | F_BLK_BLK_SIZE | F_BLK_FLUSH | F_BLK_MQ |       \
	 F_BLK_DISCARD | F_BLK_WRITE_ZEROES | F_INDIRECT | F_EVENT_IDX | \
	 F_PROTOCOL_FEATURES | F_VERSION_1)
#define NEEDED (F_INDIRECT | F_EVENT_IDX | F_PROTOCOL_FEATURES | F_VERSION_1)
#define PROTOCOL_WANTED (PROTOCOL_MQ | PROTOCOL_REPLY_ACK | PROTOCOL_CONFIG)

static void
send_message(struct link *link, uint32_t request, uint32_t flags,
	     const void *payload, size_t len, const int *fds, size_t fd_count)
{
	struct header header = { request, FLAG_VERSION | flags,
				 (uint32_t)len };
	struct iovec iov[2] = { { &header, sizeof(header) } };
	union {
		char bytes[CMSG_SPACE(ROWS * sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	memcpy(&iov[1].iov_base, &payload, sizeof(payload));
	iov[1].iov_len = len;
	if (fd_count != 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
	}
	if (sendmsg(link->socket, &msg, MSG_NOSIGNAL) !=
	    (ssize_t)(sizeof(header) + len))
		die("%s: request %u cannot be sent: %s", link->name, request,
		    strerror(errno));
}

static void
receive_reply(struct link *link, uint32_t request, void *payload, size_t len)
{
	struct header header;

	if (recv(link->socket, &header, sizeof(header), MSG_WAITALL) !=
		    (ssize_t)sizeof(header) ||
	    header.request != request || header.size != len ||
	    recv(link->socket, payload, len, MSG_WAITALL) != (ssize_t)len)
		die("%s: no answer to request %u", link->name, request);
}

static uint64_t
get_u64(struct link *link, uint32_t request)
{
	uint64_t value;

	send_message(link, request, 0, NULL, 0, NULL, 0);
	receive_reply(link, request, &value, sizeof(value));
	return value;
}

static void
set(struct link *link, uint32_t request, const void *payload, size_t len,
    const int *fds, size_t fd_count)
{
	bool asked = (link->protocol_features & PROTOCOL_REPLY_ACK) != 0;
	uint64_t result = 0;

	send_message(link, request, asked ? FLAG_NEED_REPLY : 0, payload, len,
		     fds, fd_count);
	if (asked)
		receive_reply(link, request, &result, sizeof(result));
	if (result != 0)
		die("%s: request %u was refused", link->name, request);
}

static void
set_u64(struct link *link, uint32_t request, uint64_t value)
{
	set(link, request, &value, sizeof(value), NULL, 0);
}

static void
send_memory(struct link *link)
{
	struct {
		uint32_t count, padding;
		struct vmmem_vhost_region rows[ROWS];
	} table = { 0 };
	int fds[ROWS];
	size_t count;
	int rc;

	rc = vmmem_vhost_export(link->map, VMMEM_VHOST_EXPORT_HOST, table.rows,
				fds, ROWS, &count, NULL);
	if (rc != 0)
		die("the memory has no rows: %s", vmmem_strerror(rc));
	table.count = (uint32_t)count;
	set(link, VMMEM_VHOST_SET_MEM_TABLE, &table,
	    offsetof(__typeof__(table), rows) + count * sizeof(table.rows[0]),
	    fds, count);
}

static void
read_config(struct link *link)
{
	struct virtio_blk_config config;
	/* Who knows less of it than these headers refuses to answer for more. */
	struct config_message message = {
		.size = offsetof(struct virtio_blk_config,
				 max_secure_erase_sectors),
	};
	size_t len = offsetof(struct config_message, bytes) + message.size;

	send_message(link, GET_CONFIG, 0, &message, len, NULL, 0);
	receive_reply(link, GET_CONFIG, &message, len);
	memcpy(&config, message.bytes, message.size);
	link->sectors = config.capacity;
}

void
link_open(struct link *link, const char *name, const char *path,
	  uint64_t memory_len)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int rc;

	memset(link, 0, sizeof(*link));
	link->name = name;
	if (strlen(path) >= sizeof(address.sun_path))
		die("%s: too long", path);
	strcpy(address.sun_path, path);
	link->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link->socket < 0 ||
	    connect(link->socket, (struct sockaddr *)&address,
		    sizeof(address)) != 0)
		die("%s: %s", path, strerror(errno));
	/* A memfd that cannot be cut short. */
	rc = vmmem_region_new_memfd(0, memory_len, &link->memory);
	if (rc == 0)
		rc = vmmem_collection_new(&link->memory, 1, &link->map);
	if (rc != 0)
		die("no memory: %s", vmmem_strerror(rc));
	link->features = get_u64(link, GET_FEATURES) & WANTED;
	if ((link->features & NEEDED) != NEEDED)
		die("%s: features are missing", name);
	link->protocol_features =
		get_u64(link, GET_PROTOCOL_FEATURES) & PROTOCOL_WANTED;
	send_message(link, SET_PROTOCOL_FEATURES, 0, &link->protocol_features,
		     sizeof(uint64_t), NULL, 0);
	set(link, SET_OWNER, NULL, 0, NULL, 0);
	set_u64(link, SET_FEATURES, link->features);
	read_config(link);
	send_memory(link);
}

/* ring_user() is what the back end is told of an address of a ring. */
static uint64_t
ring_user(const struct link *link, uint64_t gpa)
{
	uint64_t len;
	void *host;

	if (vmmem_region_host_address(link->memory, gpa, &host, &len) != 0)
		die("a ring is outside of memory");
	return (uint64_t)(uintptr_t)host;
}

void
link_ring(struct link *link, unsigned int index, uint64_t desc, uint64_t avail,
	  uint64_t used, int kick, int call)
{
	struct ring_state size = { index, RING }, zero = { index, 0 };
	struct ring_state one = { index, 1 };
	struct ring_address address = {
		.index = index,
		.desc = ring_user(link, desc),
		.used = ring_user(link, used),
		.avail = ring_user(link, avail),
	};
	uint64_t value = index;

	set(link, SET_VRING_NUM, &size, sizeof(size), NULL, 0);
	set(link, SET_VRING_BASE, &zero, sizeof(zero), NULL, 0);
	set(link, SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
	set(link, SET_VRING_KICK, &value, sizeof(value), &kick, 1);
	set(link, SET_VRING_CALL, &value, sizeof(value), &call, 1);
	set(link, SET_VRING_ENABLE, &one, sizeof(one), NULL, 0);
}

uint32_t
link_stop(struct link *link, unsigned int index)
{
	struct ring_state state = { index, 0 };

	send_message(link, GET_VRING_BASE, 0, &state, sizeof(state), NULL, 0);
	receive_reply(link, GET_VRING_BASE, &state, sizeof(state));
	return state.value;
}

void
link_close(struct link *link)
{
	close(link->socket);
	vmmem_collection_unref(link->map);
	vmmem_region_unref(link->memory);
}
