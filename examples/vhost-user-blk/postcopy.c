/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Postcopy: the guest runs here before its memory has come.  What is missing is
 * fetched by the front end, when it is told of a fault by userfaultfd(2).
 *
 *     ADVISE         we make a userfaultfd and send its descriptor
 *     LISTEN         from now on what is mapped is registered with it
 *     SET_MEM_TABLE, ADD_MEM_REG
 *                    are answered with our addresses, of which faults will be;
 *                    the front end acknowledges when it knows them
 *     END            all is there, and nothing is registered any more
 *
 * A listener of the space registers a mapping before the space shows it, and
 * queues look at another space, which shows it after the acknowledgement.  So
 * nothing touches memory whose faults nobody would know of.
 *
 * A thread that waits for a page waits in the kernel, until the front end has
 * brought it or the range is registered no more.  The thread that reads the
 * socket may wait for that thread.  So when the front end goes, somebody else
 * must see it: the watcher.
 *
 * The descriptor stands for all memory of this process, not just the guest's:
 * who has it can have any of our pages wait, and fill those that are not there.
 * The protocol wants it so.  That is why main.c must be told --postcopy.
 */
#include "frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vmmem/vhost.h>

/* What stands before the rows in a message of memory. */
#define PREFIX 8

struct postcopy {
	struct device *device;
	struct vmmem_listener *listener; /* NULL: advised, not listening */
	pthread_t watcher;
	int stop_fd;
	/* Our addresses were sent, and are not acknowledged. */
	bool awaiting;

	/* The watcher's too. */
	pthread_mutex_t lock;
	int fd; /* -1: it is over */
	struct vmmem_region **regions; /* which are registered */
	size_t count, room;
};

/*
 * open_userfaultfd() wants one whose faults in the kernel wait too.  Without
 * privileges there is UFFD_USER_MODE_ONLY, but it is the kernel that moves data
 * between the file and the guest for us: preadv(2) and io_uring would fail with
 * EFAULT where a page is missing.
 */
static int
open_userfaultfd(void)
{
	const int flags = O_CLOEXEC | O_NONBLOCK;
	/* Memory that is shared, of small pages and of huge ones. */
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_MISSING_SHMEM |
					      UFFD_FEATURE_MISSING_HUGETLBFS };
	int fd, rc = 0;

	fd = (int)syscall(SYS_userfaultfd, flags);
	if (fd < 0)
		rc = -errno;
#ifdef USERFAULTFD_IOC_NEW
	if (rc == -EPERM) {
		int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

		if (device >= 0) {
			fd = ioctl(device, USERFAULTFD_IOC_NEW, flags);
			close(device);
		}
	}
#endif
	if (fd < 0)
		return rc;
	if (ioctl(fd, UFFDIO_API, &api) != 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

bool
postcopy_possible(void)
{
	int fd = open_userfaultfd();

	if (fd < 0) {
		fprintf(stderr, "no postcopy: userfaultfd: %s\n",
			vmmem_strerror(fd));
		return false;
	}
	close(fd);
	return true;
}

/* ---- what is registered ------------------------------------------------- */

static int
range_of(const struct vmmem_region *region, struct uffdio_range *ret_range)
{
	const uint64_t page = vmmem_region_page_size(region);
	uint64_t before, len;
	void *host;
	int rc;

	rc = vmmem_region_host_address(region, 0, &host, &len);
	if (rc != 0)
		return rc;
	/* A row may begin and end within a page, of which all is mapped. */
	before = page == 0 ? 0 : (uintptr_t)host % page;
	len += before;
	ret_range->start = (uintptr_t)host - before;
	ret_range->len = page == 0 ? len : (len + page - 1) / page * page;
	return 0;
}

static int
register_region(const struct postcopy *postcopy,
		const struct vmmem_region *region)
{
	struct uffdio_register args = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int rc;

	rc = range_of(region, &args.range);
	if (rc != 0)
		return rc;
	if (ioctl(postcopy->fd, UFFDIO_REGISTER, &args) != 0)
		return -errno;
	/* It is all that the front end does with our descriptor. */
	if ((args.ioctls & BIT(_UFFDIO_WAKE)) == 0)
		return -EOPNOTSUPP;
	return 0;
}

/* unregister() wakes who waits there; it goes on with what is there. */
static void
unregister(const struct postcopy *postcopy, const struct vmmem_region *region)
{
	struct uffdio_range range;

	if (postcopy->fd >= 0 && range_of(region, &range) == 0)
		(void)ioctl(postcopy->fd, UFFDIO_UNREGISTER, &range);
}

/* The lock is held. */
static void
finish(struct postcopy *postcopy)
{
	size_t i;

	if (postcopy->fd < 0)
		return;
	/* The front end has the descriptor too: closing ours is not enough. */
	for (i = 0; i < postcopy->count; i++)
		unregister(postcopy, postcopy->regions[i]);
	close(postcopy->fd);
	postcopy->fd = -1;
}

static int
keep(struct postcopy *postcopy, struct vmmem_region *region)
{
	size_t i, room = postcopy->room != 0 ? 2 * postcopy->room : 16;
	struct vmmem_region **regions;
	int rc;

	for (i = 0; i < postcopy->count; i++) {
		if (postcopy->regions[i] == region)
			return 0;
	}
	if (postcopy->count == postcopy->room) {
		regions = realloc(postcopy->regions, room * sizeof(*regions));
		if (regions == NULL)
			return -ENOMEM;
		postcopy->regions = regions;
		postcopy->room = room;
	}
	rc = postcopy->fd < 0 ? -EPIPE : register_region(postcopy, region);
	if (rc == 0)
		postcopy->regions[postcopy->count++] = vmmem_region_ref(region);
	return rc;
}

/* The space is about to show a region: refusing it leaves the old table. */
static int
added(void *opaque, struct vmmem_region *region)
{
	struct vmmem_region *pages = vmmem_region_alias_target(region);
	struct postcopy *postcopy = opaque;
	int rc;

	if (pages == NULL)
		pages = region;
	pthread_mutex_lock(&postcopy->lock);
	rc = keep(postcopy, pages);
	pthread_mutex_unlock(&postcopy->lock);
	return rc;
}

static bool
is_mapped(const struct vmmem_vhost *vhost, const struct vmmem_region *region)
{
	struct vmmem_region *mapping;
	size_t i;

	for (i = 0; vmmem_vhost_at(vhost, i, NULL, &mapping) == 0; i++) {
		if (mapping == region)
			return true;
	}
	return false;
}

void
postcopy_trim(struct device *device)
{
	struct postcopy *postcopy = device->postcopy;
	size_t i, count = 0;

	/* Until the table is acknowledged, queues see the one before. */
	if (postcopy == NULL || postcopy->awaiting)
		return;
	pthread_mutex_lock(&postcopy->lock);
	for (i = 0; i < postcopy->count; i++) {
		struct vmmem_region *region = postcopy->regions[i];

		if (is_mapped(device->vhost, region)) {
			postcopy->regions[count++] = region;
		} else {
			unregister(postcopy, region);
			vmmem_region_unref(region);
		}
	}
	postcopy->count = count;
	pthread_mutex_unlock(&postcopy->lock);
}

/* ---- the phases --------------------------------------------------------- */

static void *
watch(void *opaque)
{
	struct postcopy *postcopy = opaque;
	struct pollfd fds[2] = {
		{ .fd = postcopy->device->socket, .events = POLLRDHUP },
		{ .fd = postcopy->stop_fd, .events = POLLIN },
	};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&postcopy->lock);
	finish(postcopy);
	pthread_mutex_unlock(&postcopy->lock);
	return NULL;
}

static int
advise(struct device *device, int *ret_fd)
{
	struct postcopy *postcopy;
	int fd;

	if (device->postcopy != NULL)
		return -EBUSY;
	fd = open_userfaultfd();
	if (fd < 0)
		return fd;
	postcopy = calloc(1, sizeof(*postcopy));
	if (postcopy == NULL) {
		close(fd);
		return -ENOMEM;
	}
	postcopy->device = device;
	postcopy->fd = fd;
	postcopy->stop_fd = -1;
	pthread_mutex_init(&postcopy->lock, NULL);
	device->postcopy = postcopy;
	*ret_fd = fd;
	return 0;
}

static int
listen_for_faults(struct device *device)
{
	const struct vmmem_listener_ops ops = { .size = sizeof(ops),
						.added = added };
	struct postcopy *postcopy = device->postcopy;
	int rc;

	if (postcopy == NULL)
		return -EINVAL;
	/* What is mapped already may be touched, and its address not told. */
	if (postcopy->listener != NULL || vmmem_vhost_count(device->vhost) != 0)
		return -EBUSY;
	postcopy->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = postcopy->stop_fd < 0 ? -errno : 0;
	if (rc == 0)
		rc = vmmem_listener_new(device->memory, &ops, postcopy, NULL,
					&postcopy->listener);
	if (rc == 0) {
		rc = -pthread_create(&postcopy->watcher, NULL, watch, postcopy);
		if (rc != 0) {
			vmmem_listener_free(postcopy->listener);
			postcopy->listener = NULL;
		}
	}
	if (rc != 0 && postcopy->stop_fd >= 0) {
		close(postcopy->stop_fd);
		postcopy->stop_fd = -1;
	}
	return rc;
}

void
postcopy_end(struct device *device)
{
	struct postcopy *postcopy = device->postcopy;
	const uint64_t one = 1;
	size_t i;

	if (postcopy == NULL)
		return;
	if (postcopy->listener != NULL) {
		/* Whatever wakes it, it ends by finishing. */
		(void)!write(postcopy->stop_fd, &one, sizeof(one));
		pthread_join(postcopy->watcher, NULL);
		vmmem_listener_free(postcopy->listener);
		close(postcopy->stop_fd);
	}
	finish(postcopy);
	for (i = 0; i < postcopy->count; i++)
		vmmem_region_unref(postcopy->regions[i]);
	pthread_mutex_destroy(&postcopy->lock);
	free(postcopy->regions);
	free(postcopy);
	device->postcopy = NULL;
}

static int
check(const struct device *device, const struct message *message)
{
	if ((device->protocol_features & PROTOCOL_PAGEFAULT) == 0 ||
	    message->header.size != 0)
		return VMMEM_EMESSAGE;
	return message->fd_count != 0 ? VMMEM_EDESCRIPTORS : 0;
}

int
postcopy_message(struct device *device, struct message *message)
{
	int rc = check(device, message), fd = -1;

	switch (message->header.request) {
	case POSTCOPY_ADVISE:
		if (rc == 0)
			rc = advise(device, &fd);
		/* No descriptor comes with it: that is how it fails. */
		if (reply_with(device, message, NULL, 0, fd) != 0)
			return -EPIPE;
		return rc;
	case POSTCOPY_LISTEN:
		return rc != 0 ? rc : listen_for_faults(device);
	default:
		if (rc == 0 && device->postcopy == NULL)
			rc = -EINVAL;
		if (rc == 0)
			postcopy_end(device);
		return rc;
	}
}

/* ---- memory while we listen --------------------------------------------- */

bool
postcopy_listens(const struct device *device)
{
	return device->postcopy != NULL && device->postcopy->listener != NULL;
}

bool
postcopy_acknowledges(struct device *device, const struct message *message)
{
	const uint32_t request = message->header.request;

	if (!postcopy_listens(device) || message->fd_count != 0 ||
	    message_u64(message) != 0)
		return false;
	/*
	 * It is a number, 0, under the request it is about.  QEMU has one for
	 * all that it has added and removed, under the last of these; and under
	 * no request if there was nothing to do.
	 */
	switch (request) {
	case VMMEM_VHOST_SET_MEM_TABLE: /* or a table with no rows */
		if (!device->postcopy->awaiting)
			return false;
		break;
	case 0:
	case VMMEM_VHOST_ADD_MEM_REG:
	case VMMEM_VHOST_REM_MEM_REG:
		break;
	default:
		return false;
	}
	device->postcopy->awaiting = false;
	return true;
}

bool
postcopy_permits(const struct device *device, uint32_t request)
{
	/* What else looks at memory shall not see what is not acknowledged. */
	return !postcopy_listens(device) || !device->postcopy->awaiting ||
	       request == VMMEM_VHOST_ADD_MEM_REG || request == POSTCOPY_END;
}

static int
our_address(const struct vmmem_vhost *vhost, uint64_t gpa,
	    uint64_t *ret_address)
{
	struct vmmem_vhost_region row;
	struct vmmem_region *mapping;
	uint64_t len;
	void *host;
	size_t i;
	int rc;

	for (i = 0; vmmem_vhost_at(vhost, i, &row, &mapping) == 0; i++) {
		if (row.gpa != gpa)
			continue;
		rc = vmmem_region_host_address(mapping, 0, &host, &len);
		if (rc == 0)
			*ret_address = (uintptr_t)host;
		return rc;
	}
	return VMMEM_ENOREGION;
}

int
postcopy_reply(struct device *device, struct message *message)
{
	struct vmmem_vhost_region row;
	size_t at;
	int rc;

	/* It has been understood, so it is made of whole rows. */
	for (at = PREFIX; at < message->header.size; at += sizeof(row)) {
		memcpy(&row, message->payload + at, sizeof(row));
		rc = our_address(device->vhost, row.gpa, &row.user_address);
		if (rc != 0)
			return rc;
		memcpy(message->payload + at, &row, sizeof(row));
	}
	device->postcopy->awaiting = true;
	return reply_with(device, message, message->payload,
			  message->header.size, -1);
}
