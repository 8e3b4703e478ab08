/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A front end of vhost-user-blk that measures its back end: the socket, the
 * disk's contents, and a driver of split rings as Linux has one.
 */
#ifndef FRONT_H
#define FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmmem/inline.h>
#include <vmmem/vmmem.h>

#define BLOCK 4096
#define BLOCK_WORDS (BLOCK / 8)
#define SECTORS_OF_BLOCK (BLOCK / 512)
#define QUEUES_MAX 8
#define RING 128 /* slots, which is what QEMU gives a queue */
#define DEPTH_MAX 64
#define BLOCKS_MAX 32 /* of one request: 128 KiB */

/* die() is for what cannot be measured; it tells where and ends. */
_Noreturn void die(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* ---- link.c: the socket ------------------------------------------------- */

struct link {
	const char *name;
	int socket;
	uint64_t features, protocol_features;
	uint64_t sectors;
	struct vmmem_region *memory;
	struct vmmem_collection *map;
};

/* link_open() connects, agrees on features and sends the memory. */
void link_open(struct link *link, const char *name, const char *path,
	       uint64_t memory_len);
void link_ring(struct link *link, unsigned int index, uint64_t desc,
	       uint64_t avail, uint64_t used, int kick, int call);
/* link_stop() ends a ring, and returns where it stands. */
uint32_t link_stop(struct link *link, unsigned int index);
void link_close(struct link *link);

/* ---- disk.c: what must be on the disk ----------------------------------- */

/*
 * A block has the same words as all others, but for two in each sector that
 * say which block this is, and how often it was written.
 */
struct disk {
	uint32_t *versions; /* of each block */
	bool *busy;	    /* a request for it is under way */
	uint64_t blocks;
};

void disk_fill(struct disk *disk, const char *path, uint64_t len);
/* disk_prepare() makes a buffer good for stamps. */
void disk_prepare(unsigned char *buf);
/* disk_stamp() makes it the next version of a block. */
void disk_stamp(struct disk *disk, uint64_t block, unsigned char *buf);
/* disk_check() looks at one stamp, or at everything. */
void disk_check(const struct disk *disk, uint64_t block,
		const unsigned char *buf, bool all);

/* ---- driver.c: one queue ------------------------------------------------ */

struct work {
	bool write, sequential, polling;
	unsigned int blocks; /* of one request */
	unsigned int depth;
};

struct slot {
	uint64_t block;
	unsigned char *bufs[BLOCKS_MAX];
};

struct driver {
	struct link *link;
	struct disk *disk;
	unsigned int index;
	uint64_t first, count; /* its part of the disk, in blocks */
	int kick, call;

	uint64_t base; /* of what follows, in the guest's memory */
	struct vmmem_slice memory;
	uint16_t avail, used;
	uint16_t free[RING];
	unsigned int free_count;
	struct slot slots[DEPTH_MAX];

	uint64_t random, cursor;
	uint64_t requests, kicks, waits;
};

/* The guest memory of one driver. */
uint64_t driver_memory(void);
void driver_start(struct driver *driver, struct link *link, struct disk *disk,
		  unsigned int index, unsigned int of);
void driver_stop(struct driver *driver);
/* driver_run() works for so long, and until nothing is under way. */
void driver_run(struct driver *driver, const struct work *work,
		double seconds);

double now(void);

#endif
