/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A driver of one split ring, which does as Linux' does: each request is one
 * indirect table, there are no more kicks and interrupts than the event indices
 * ask for, and who has nothing to do sleeps until it is interrupted.
 */
#include "front.h"
#include "protocol.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Where things are in a driver's memory. */
#define DESC 0
#define AVAIL 4096
#define USED 8192
#define SLOTS 16384
#define SLOT 1024
#define STATUS 16
#define TABLE 64
#define DATA (SLOTS + SLOT * DEPTH_MAX)
#define PAGES (DEPTH_MAX * BLOCKS_MAX)

#define USED_EVENT (AVAIL + 4 + 2 * RING)
#define AVAIL_EVENT (USED + 4 + 8 * RING)

/* How long a back end may take, in ms, until it counts as stuck. */
#define PATIENCE 60000
/* One of so many requests is looked at in full. */
#define CHECKED 64

struct desc {
	uint64_t address;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The drivers' own memory: what is out of it is a mistake of this program. */
static void
must(int rc)
{
	if (rc != 0)
		die("ring: %s", vmmem_strerror(rc));
}

static uint16_t
load16(const struct driver *driver, uint64_t at)
{
	uint16_t value;

	must(vmmem_slice_load_u16(&driver->memory, at, VMMEM_ORDER_ACQUIRE,
				  &value));
	return le16toh(value);
}

static void
store16(struct driver *driver, uint64_t at, uint16_t value)
{
	must(vmmem_slice_store_u16(&driver->memory, at, htole16(value),
				   VMMEM_ORDER_RELEASE));
}

uint64_t
driver_memory(void)
{
	return DATA + (uint64_t)PAGES * BLOCK;
}

/* The pages of a guest's buffers lie anywhere: no two of them in a row. */
static uint64_t
page(unsigned int slot, unsigned int block)
{
	unsigned int number = slot * BLOCKS_MAX + block;

	return DATA + (uint64_t)((number * 1031U + 7) % PAGES) * BLOCK;
}

void
driver_start(struct driver *driver, struct link *link, struct disk *disk,
	     unsigned int index, unsigned int of)
{
	unsigned int i, k;

	memset(driver, 0, sizeof(*driver));
	driver->link = link;
	driver->disk = disk;
	driver->index = index;
	driver->count = disk->blocks / of;
	driver->first = driver->count * index;
	driver->random = index + 1;
	driver->base = driver_memory() * index;
	must(vmmem_region_slice(link->memory, driver->base, driver_memory(),
				VMMEM_PROT_READ | VMMEM_PROT_WRITE,
				&driver->memory));
	for (i = 0; i < DEPTH_MAX; i++) {
		driver->free[driver->free_count++] = (uint16_t)i;
		for (k = 0; k < BLOCKS_MAX; k++) {
			driver->slots[i].bufs[k] =
				(unsigned char *)driver->memory.host +
				page(i, k);
			disk_prepare(driver->slots[i].bufs[k]);
		}
	}
	driver->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	driver->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (driver->kick < 0 || driver->call < 0)
		die("eventfd: %s", strerror(errno));
	link_ring(link, index, driver->base + DESC, driver->base + AVAIL,
		  driver->base + USED, driver->kick, driver->call);
}

void
driver_stop(struct driver *driver)
{
	if (link_stop(driver->link, driver->index) != driver->avail)
		die("%s: the ring ends elsewhere", driver->link->name);
	close(driver->kick);
	close(driver->call);
}

static uint64_t
choose(struct driver *driver, const struct work *work)
{
	uint64_t block;

	if (work->sequential) {
		if (driver->cursor + work->blocks > driver->count)
			driver->cursor = 0;
		block = driver->first + driver->cursor;
		driver->cursor += work->blocks;
		return block;
	}
	/* Of two requests for one block nobody knows which is first. */
	do {
		driver->random = driver->random *
					 UINT64_C(6364136223846793005) +
				 UINT64_C(1442695040888963407);
		block = driver->first +
			(driver->random >> 33) %
				(driver->count - work->blocks + 1);
	} while (driver->disk->busy[block]);
	return block;
}

static void
submit(struct driver *driver, const struct work *work)
{
	uint16_t index = driver->free[--driver->free_count];
	struct slot *slot = &driver->slots[index];
	uint64_t at = SLOTS + SLOT * (uint64_t)index;
	uint16_t direction = work->write ? 0 : DESC_WRITE;
	struct virtio_blk_outhdr header = {
		.type = htole32(work->write ? VIRTIO_BLK_T_OUT :
					      VIRTIO_BLK_T_IN),
	};
	struct desc table[BLOCKS_MAX + 2], ring;
	uint16_t i;

	slot->block = choose(driver, work);
	driver->disk->busy[slot->block] = true;
	header.sector = htole64(slot->block * SECTORS_OF_BLOCK);
	must(vmmem_slice_write(&driver->memory, at, &header, sizeof(header)));
	must(vmmem_slice_store_u8(&driver->memory, at + STATUS, 0xff,
				  VMMEM_ORDER_RELAXED));
	table[0] = (struct desc){ htole64(driver->base + at),
				  htole32(sizeof(header)), htole16(DESC_NEXT),
				  htole16(1) };
	for (i = 0; i < work->blocks; i++) {
		if (work->write)
			disk_stamp(driver->disk, slot->block + i,
				   slot->bufs[i]);
		table[i + 1] = (struct desc){
			htole64(driver->base + page(index, i)), htole32(BLOCK),
			htole16(direction | DESC_NEXT),
			htole16((uint16_t)(i + 2)),
		};
	}
	table[i + 1] = (struct desc){ htole64(driver->base + at + STATUS),
				      htole32(1), htole16(DESC_WRITE), 0 };
	must(vmmem_slice_write(&driver->memory, at + TABLE, table,
			       (i + 2U) * sizeof(table[0])));
	ring = (struct desc){ htole64(driver->base + at + TABLE),
			      htole32((i + 2U) * (uint32_t)sizeof(table[0])),
			      htole16(DESC_INDIRECT), 0 };
	must(vmmem_slice_write(&driver->memory,
			       DESC + sizeof(ring) * (uint64_t)index, &ring,
			       sizeof(ring)));
	store16(driver, AVAIL + 4 + 2 * (uint64_t)(driver->avail % RING),
		index);
	driver->avail++;
	/* All of it is out before the index says so. */
	store16(driver, AVAIL + 2, driver->avail);
}

/* kick() says that there are requests since 'old', if the back end asks. */
static void
kick(struct driver *driver, uint16_t old)
{
	const uint64_t one = 1;
	uint16_t event;

	/* The index is out before the back end's wish is read. */
	atomic_thread_fence(memory_order_seq_cst);
	event = load16(driver, AVAIL_EVENT);
	if ((uint16_t)(driver->avail - event - 1) >=
	    (uint16_t)(driver->avail - old))
		return;
	driver->kicks++;
	if (write(driver->kick, &one, sizeof(one)) != sizeof(one))
		die("kick: %s", strerror(errno));
}

static void
finish(struct driver *driver, const struct work *work, uint32_t id,
       uint32_t len)
{
	uint32_t want = 1 + (work->write ? 0 : work->blocks * BLOCK);
	struct slot *slot;
	uint8_t status;
	unsigned int i;

	if (id >= DEPTH_MAX)
		die("%s: used a slot that is none", driver->link->name);
	slot = &driver->slots[id];
	must(vmmem_slice_load_u8(&driver->memory,
				 SLOTS + SLOT * (uint64_t)id + STATUS,
				 VMMEM_ORDER_RELAXED, &status));
	if (status != 0 || len != want || !driver->disk->busy[slot->block])
		die("%s: status %u and %u bytes for block %llu",
		    driver->link->name, status, len,
		    (unsigned long long)slot->block);
	driver->requests++;
	for (i = 0; i < work->blocks && !work->write; i++)
		disk_check(driver->disk, slot->block + i, slot->bufs[i],
			   driver->requests % CHECKED == 0);
	driver->disk->busy[slot->block] = false;
	driver->free[driver->free_count++] = (uint16_t)id;
}

/* reap() takes what was used, and returns how much. */
static unsigned int
reap(struct driver *driver, const struct work *work)
{
	uint16_t used = load16(driver, USED + 2);
	unsigned int count = 0;
	uint32_t element[2];

	while (driver->used != used) {
		must(vmmem_slice_read(
			&driver->memory,
			USED + 4 + 8 * (uint64_t)(driver->used % RING),
			element, sizeof(element)));
		driver->used++;
		finish(driver, work, le32toh(element[0]),
		       le32toh(element[1]));
		count++;
	}
	return count;
}

/* wait_used() sleeps until something was used. */
static void
wait_used(struct driver *driver)
{
	struct pollfd fd = { .fd = driver->call, .events = POLLIN };
	uint64_t count;
	int rc;

	store16(driver, USED_EVENT, driver->used);
	/* The wish is out before the ring is looked at again. */
	atomic_thread_fence(memory_order_seq_cst);
	if (load16(driver, USED + 2) != driver->used)
		return;
	driver->waits++;
	rc = poll(&fd, 1, PATIENCE);
	if (rc == 0)
		die("%s: nothing was used", driver->link->name);
	if (rc > 0 && read(driver->call, &count, sizeof(count)) < 0 &&
	    errno != EAGAIN)
		die("call: %s", strerror(errno));
}

void
driver_run(struct driver *driver, const struct work *work, double seconds)
{
	double end = now() + seconds;
	unsigned int under_way = 0, done = work->depth, next_look = 0;
	bool ending = false;

	driver->requests = driver->kicks = driver->waits = 0;
	/* Who looks by itself wants no interrupts: the last that could come. */
	if (work->polling)
		store16(driver, USED_EVENT, (uint16_t)(driver->used - 1));
	while (under_way != 0 || !ending) {
		uint16_t old = driver->avail;

		for (; done != 0 && !ending; done--) {
			submit(driver, work);
			under_way++;
		}
		if (driver->avail != old)
			kick(driver, old);
		if (under_way == 0)
			break;
		done = reap(driver, work);
		while (done == 0) {
			if (!work->polling)
				wait_used(driver);
			done = reap(driver, work);
		}
		under_way -= done;
		if (work->polling)
			store16(driver, USED_EVENT,
				(uint16_t)(driver->used - 1));
		/* The clock is not looked at for each request. */
		if (driver->requests >= next_look) {
			next_look = (unsigned int)driver->requests + 16;
			ending = now() >= end;
		}
	}
}
