/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A queue's thread.  It looks at guest memory in sections of its reader: one
 * section takes chains from the ring, has the file read and written in place,
 * and lasts until all of them are used.  So memory that a request is using
 * stays mapped, and whoever takes memory away waits for sections only.
 */
#include "device.h"
#include "protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/*
 * Who has nothing to do looks at the ring for so long before it sleeps: a kick
 * and a wake-up take longer than many requests.  If nothing comes, it is not
 * tried the next time, then not the next two times, and so on.
 */
#define SPIN_NS 32000
#define SPIN_SKIPS_MAX 256

/* How long a front end may think about a translation. */
#define TRANSLATION_NS UINT64_C(10000000000)

/*
 * How long after some memory was removed what is not there may be on its way: a
 * front end removes a row and adds it again when its size changes, with rings
 * running.
 */
#define COMING_NS INT64_C(1000000000)

/*
 * How often a chain is translated and then not begun, as translations go again,
 * before it is given up.  One that needs more than the iotlb has never begins.
 */
#define TRANSLATIONS_MAX 100

/* Whose thread this is; NULL of others. */
static _Thread_local const struct queue *own;

bool
queue_is_ending(void)
{
	return own != NULL && atomic_load(&own->stop);
}

bool
queue_is_in_section(void)
{
	return own != NULL && own->map != NULL;
}

static const struct ring_ops *
ops_of(const struct queue *queue)
{
	return (queue->features & F_PACKED) != 0 ? &packed_ring : &split_ring;
}

static void
report(struct queue *queue, const char *what, int rc)
{
	say(queue->device, "queue %u: %s: %s\n", queue->index, what,
	    vmmem_strerror(rc));
}

void
queue_failed(struct queue *queue, int rc, uint64_t address, uint64_t len,
	     uint32_t access)
{
	/* Only a miss can be made good. */
	if (rc != VMMEM_EIOMMUMISS)
		return;
	queue->missing_range = (struct vmmem_range){ address, len };
	queue_missed(queue, &queue->missing_range, 1, access);
}

void
queue_missed(struct queue *queue, const struct vmmem_range *ranges,
	     size_t count, uint32_t access)
{
	queue->missing = ranges;
	queue->missing_count = count;
	queue->missing_access = access;
}

void
device_init_locks(struct device *device)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&device->backend_lock, NULL);
	pthread_mutex_init(&device->map_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&device->map_changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void
device_map_changed(struct device *device, bool removed)
{
	pthread_mutex_lock(&device->map_lock);
	device->map_changes++;
	if (removed)
		device->removed_ns = time_ns();
	pthread_cond_broadcast(&device->map_changed);
	pthread_mutex_unlock(&device->map_lock);
}

bool
queue_may_come(const struct queue *queue)
{
	struct device *device = queue->device;
	bool may;

	pthread_mutex_lock(&device->map_lock);
	may = device->map_changes != queue->map_seen ||
	      (device->removed_ns != 0 &&
	       time_ns() - device->removed_ns < COMING_NS);
	pthread_mutex_unlock(&device->map_lock);
	return may;
}

/*
 * wait_for_map() waits until the memory is not what the section saw; if not
 * 'ever', only as long as some may be on its way.  It tells whether it is worth
 * while to look again.
 */
static bool
wait_for_map(struct queue *queue, bool ever)
{
	struct device *device = queue->device;
	struct timespec end;
	bool changed = false;
	int64_t ns;
	int rc = 0;

	pthread_mutex_lock(&device->map_lock);
	ns = device->removed_ns + COMING_NS;
	end.tv_sec = (time_t)(ns / 1000000000);
	end.tv_nsec = (long)(ns % 1000000000);
	while (rc == 0 && !atomic_load(&queue->stop)) {
		changed = device->map_changes != queue->map_seen;
		if (changed || (!ever && device->removed_ns == 0))
			break;
		rc = ever ? pthread_cond_wait(&device->map_changed,
					      &device->map_lock) :
			    pthread_cond_timedwait(&device->map_changed,
						   &device->map_lock, &end);
	}
	pthread_mutex_unlock(&device->map_lock);
	return changed || atomic_load(&queue->stop);
}

int
ring_read(struct queue *queue, uint64_t address, void *buf, size_t len)
{
	int rc = vmmem_collection_read(queue->map, address, buf, len, NULL);

	if (rc != 0)
		queue_failed(queue, rc, address, len, VMMEM_PROT_READ);
	return rc;
}

int
ring_load16(struct queue *queue, uint64_t address, uint16_t *ret_value)
{
	int rc = vmmem_collection_load_le16(queue->map, address,
					    VMMEM_ORDER_ACQUIRE, ret_value);

	if (rc != 0)
		queue_failed(queue, rc, address, 2, VMMEM_PROT_READ);
	return rc;
}

int
ring_store16(struct queue *queue, uint64_t address, uint16_t value)
{
	int rc = vmmem_collection_store_le16(queue->map, address, value,
					     VMMEM_ORDER_RELEASE);

	if (rc != 0)
		queue_failed(queue, rc, address, 2, VMMEM_PROT_WRITE);
	return rc;
}

int
add_descriptor(struct chain *chain, uint64_t address, uint32_t len,
	       uint16_t flags)
{
	bool writable = (flags & DESC_WRITE) != 0;

	if (chain->count == RANGES)
		return -EPROTO;
	/* What the device writes comes after all that it reads. */
	if (!writable && chain->readable != chain->count)
		return -EPROTO;
	chain->ranges[chain->count].gpa = address;
	chain->ranges[chain->count].len = len;
	chain->count++;
	if (!writable)
		chain->readable++;
	return 0;
}

static void
enter(struct queue *queue)
{
	struct device *device = queue->device;

	queue->missing_count = 0;
	/* Before the map is taken: a change between the two is seen again. */
	pthread_mutex_lock(&device->map_lock);
	queue->map_seen = device->map_changes;
	pthread_mutex_unlock(&device->map_lock);
	queue->map = vmmem_reader_enter(queue->reader);
	if (device->iommu != NULL)
		queue->section = vmmem_iotlb_enter(device->iotlb);
}

static void
leave(struct queue *queue)
{
	if (queue->device->iommu != NULL)
		vmmem_iotlb_leave(queue->device->iotlb, queue->section);
	vmmem_reader_leave(queue->reader);
	queue->map = NULL;
}

/* signal_by() signals by one of the eventfds that may change at any time. */
static void
signal_by(struct queue *queue, const int *fd)
{
	pthread_mutex_lock(&queue->signal_lock);
	if (*fd >= 0)
		eventfds_signal(queue->device, *fd);
	pthread_mutex_unlock(&queue->signal_lock);
}

/*
 * use_done() puts what is done into the ring, in the order it came.  What the
 * driver is not told of, for want of a translation, is put there once more.
 */
static int
use_done(struct queue *queue)
{
	const struct ring_ops *ops = ops_of(queue);
	unsigned int count = 0;
	uint16_t slots = 0;
	int rc = 0, published;

	while (count != queue->under_way) {
		struct request *request =
			&queue->requests[(queue->first + count) % DEPTH];

		if (!request->done)
			break;
		rc = ops->put(queue, &request->chain, request->written);
		if (rc != 0)
			break;
		slots = (uint16_t)(slots + request->chain.slots);
		count++;
	}
	if (count == 0)
		return rc;
	published = ops->publish != NULL ? ops->publish(queue) : 0;
	if (published != 0)
		return published;
	queue->first = (queue->first + count) % DEPTH;
	queue->under_way -= count;
	if (ops->wants_signal(queue, slots))
		signal_by(queue, &queue->call_fd);
	return rc;
}

/*
 * take_new() begins what is in the ring, as far as there is room; 1 if there
 * may be more, and something done to be used first.
 */
static int
take_new(struct queue *queue)
{
	const struct ring_ops *ops = ops_of(queue);
	struct request *request;
	uint64_t moved = 0;
	int rc;

	while (queue->under_way < DEPTH) {
		request = &queue->requests[(queue->first + queue->under_way) %
					   DEPTH];
		memset(&request->chain, 0, offsetof(struct chain, ranges));
		request->done = false;
		request->written = 0;
		request->data_len = 0;
		rc = ops->peek(queue, &request->chain);
		if (rc == 0)
			queue->kicked = false;
		if (rc <= 0)
			return rc;
		rc = request_begin(queue, request);
		if (rc != 0)
			return rc;
		ops->take(queue, &request->chain);
		queue->under_way++;
		queue->translations = 0;
		queue->gives_up = false;
		moved += request->done ? request->data_len : 0;
		if (moved >= queue->quantum) {
			queue->quantum = moved < QUANTUM_MAX / 2 ? moved * 2 :
								   QUANTUM_MAX;
			return 1;
		}
	}
	return 0;
}

int64_t
time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* spin() is whether something has come while it was looked for. */
static bool
spin(struct queue *queue, unsigned int epoch)
{
	const struct ring_ops *ops = ops_of(queue);
	unsigned int i;
	int64_t end;

	if (queue->spin_skip != 0) {
		queue->spin_skip--;
		return false;
	}
	end = time_ns() + SPIN_NS;
	do {
		for (i = 0; i < 16; i++) {
			if (ops->has_more(queue) != 0) {
				queue->spin_skips = 1;
				return true;
			}
		}
		if (atomic_load(&queue->stop) ||
		    atomic_load(&queue->device->epoch) != epoch)
			return false;
	} while (time_ns() < end);
	queue->spin_skip = queue->spin_skips;
	if (queue->spin_skips < SPIN_SKIPS_MAX)
		queue->spin_skips *= 2;
	return false;
}

/*
 * section() works until there is nothing to do, or until somebody wants the
 * section to end.  A code says that the ring cannot be used.
 */
static int
section(struct queue *queue)
{
	const unsigned int epoch = atomic_load(&queue->device->epoch);
	bool ending = false, more;
	int rc = 0, used;

	enter(queue);
	for (;;) {
		ending = ending || atomic_load(&queue->stop) ||
			 atomic_load(&queue->device->epoch) != epoch;
		if (rc == 0 && !ending)
			rc = take_new(queue);
		more = rc > 0;
		used = use_done(queue);
		if (rc >= 0)
			rc = used;
		if (more && rc == 0) {
			(void)engine_wait(queue->engine, false);
			continue;
		}
		/* In any case the kernel is done with the memory first. */
		if (queue->under_way == 0 ||
		    (used != 0 && !engine_is_busy(queue->engine))) {
			/* After much work, a wake-up is little. */
			bool much = queue->quantum >= QUANTUM_MAX;

			queue->quantum = QUANTUM_MIN;
			if (rc == 0 && !ending && !much && spin(queue, epoch))
				continue;
			break;
		}
		/* A kick may bring more to do beside what is under way. */
		(void)engine_wait(queue->engine, true);
	}
	if (rc == 0 && !ending)
		rc = ops_of(queue)->want_kick(queue);
	if (rc == 0 && !ending)
		rc = ops_of(queue)->has_more(queue);
	leave(queue);
	/* Asked to end, it has not looked whether there is more. */
	return rc == 0 && ending ? 1 : rc;
}

/*
 * translate() waits, outside of sections, for what was missing in one: for all
 * of a chain's data at once, so that it is not walked again for each page.
 */
static int
translate(struct queue *queue)
{
	bool data = queue->missing != &queue->missing_range;
	size_t i;
	int rc = 0;

	if (data && ++queue->translations > TRANSLATIONS_MAX)
		rc = -ETIMEDOUT;
	for (i = 0; i < queue->missing_count && rc == 0; i++)
		rc = vmmem_iommu_resolve(queue->device->iommu,
					 queue->missing[i].gpa,
					 queue->missing[i].len,
					 queue->missing_access, TRANSLATION_NS,
					 NULL, NULL);
	/* Without its data a request can still be told that it failed. */
	if (rc != 0 && rc != VMMEM_ESTOPPED && data && !queue->gives_up) {
		queue->gives_up = true;
		rc = 0;
	}
	return rc;
}

/*
 * make_good() does what there is to be done about a code, and returns 0 if the
 * ring is to be looked at again.
 */
static int
make_good(struct queue *queue, int rc)
{
	bool gone = rc == VMMEM_EBADADDR || rc == -EAGAIN ||
		    rc == VMMEM_EGONE;

	if (rc == VMMEM_EIOMMUMISS && queue->missing_count != 0)
		rc = translate(queue);
	else if (gone && (wait_for_map(queue, false) || rc == -EAGAIN))
		rc = 0;
	if (rc == 0 || rc == VMMEM_ESTOPPED)
		return rc;
	/* The driver must reset the device. */
	report(queue, "the ring is broken", rc);
	signal_by(queue, &queue->error_fd);
	/* Unless it is not the driver's fault, and its memory comes back. */
	return gone && wait_for_map(queue, true) ? 0 : rc;
}

/* begin() finds out where the ring stands, in a section of its own. */
static int
begin(struct queue *queue)
{
	int rc;

	enter(queue);
	rc = ops_of(queue)->start(queue);
	leave(queue);
	queue->ready = rc == 0;
	return rc != 0 ? rc : 1;
}

static void *
run(void *opaque)
{
	struct queue *queue = opaque;
	int rc;

	own = queue;
	while (!atomic_load(&queue->stop)) {
		if (!atomic_load(&queue->started)) {
			if ((engine_wait(queue->engine, true) & WOKEN_KICK) !=
			    0)
				atomic_store(&queue->started, true);
			continue;
		}
		rc = queue->ready ? section(queue) : begin(queue);
		if (rc < 0) {
			rc = make_good(queue, rc);
			if (rc == 0)
				continue;
			/* What is not used is done again by the next start. */
			break;
		}
		/* More has come, or a section was asked to end. */
		if (rc > 0 || atomic_load(&queue->stop))
			continue;
		(void)engine_wait(queue->engine, true);
	}
	/* It was for the ring, and is for the next start of it. */
	if (queue->kicked)
		signal_by(queue, &queue->kick_fd);
	return NULL;
}

static void
clean_up(struct queue *queue)
{
	queue->engine = engine_free(queue->engine);
	queue->reader = vmmem_reader_free(queue->reader);
	free(queue->requests);
	queue->requests = NULL;
	if (queue->stop_fd >= 0)
		close(queue->stop_fd);
	queue->stop_fd = -1;
}

int
queue_start(struct queue *queue)
{
	int rc;

	queue->features = queue->device->features;
	queue->first = queue->under_way = 0;
	queue->missing_count = 0;
	queue->translations = 0;
	queue->gives_up = false;
	queue->ready = queue->kicked = false;
	queue->quantum = QUANTUM_MIN;
	queue->spin_skip = 0;
	queue->spin_skips = 1;
	atomic_store(&queue->stop, false);
	/* A back end that died may have taken the kick with it. */
	if (queue->device->inflight != NULL)
		atomic_store(&queue->started, true);
	queue->requests = calloc(DEPTH, sizeof(queue->requests[0]));
	queue->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = queue->requests == NULL ? -ENOMEM : 0;
	if (rc == 0 && queue->stop_fd < 0)
		rc = -errno;
	if (rc == 0)
		rc = vmmem_reader_new(queue->device->space, NULL, &queue->reader);
	if (rc == 0)
		rc = engine_new(queue, &queue->engine);
	if (rc == 0)
		rc = -pthread_create(&queue->thread, NULL, run, queue);
	queue->running = rc == 0;
	if (rc != 0) {
		report(queue, "not started", rc);
		clean_up(queue);
	}
	return rc;
}

void
queue_stop(struct queue *queue)
{
	const uint64_t one = 1;

	if (!queue->running)
		return;
	atomic_store(&queue->stop, true);
	(void)!write(queue->stop_fd, &one, sizeof(one));
	/* Whoever stops it would bring the translation or memory it waits for. */
	vmmem_iommu_retry(queue->device->iommu);
	pthread_mutex_lock(&queue->device->map_lock);
	pthread_cond_broadcast(&queue->device->map_changed);
	pthread_mutex_unlock(&queue->device->map_lock);
	pthread_join(queue->thread, NULL);
	/* All that was taken is used, unless the ring cannot be written. */
	if (queue->ready)
		queue->base = ops_of(queue)->base(queue);
	queue->running = false;
	clean_up(queue);
}
