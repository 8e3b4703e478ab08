/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Moving a running guest's memory: everything once, then, round by round, what
 * was written meanwhile, and a last time with the vCPU stopped.
 */
#ifndef MIGRATE_H
#define MIGRATE_H

#include "machine.h"

#define MIGRATE_PAGE 4096

/* One region that is moved. */
struct migrate_part {
	struct vmmem_region *region; /* borrowed from the map */
	uint64_t pages;
	/* Of each page: how often it was sent again, and in which round last. */
	uint32_t *again;
	uint32_t *last_round;
};

struct migration {
	struct machine *machine; /* whose memory is moved */
	struct vmmem_dirty_log *log; /* of the space that is moved */
	struct vmmem_collection *from, *to;
	struct migrate_part *parts;
	size_t count;

	/* Of the last round. */
	uint32_t round;
	uint64_t sent; /* in pages */
	double seconds;
	uint64_t left; /* pages that were written while it was sent */
};

/*
 * All functions return 0 or a code of the library.
 *
 * migrate_start() logs, from now on, what is written to the regions of
 * 'machine' that have a bitmap.  'to' has the same regions.
 */
int migrate_start(struct migration *migration, struct machine *machine,
		  struct vmmem_space *from, struct vmmem_space *to);

/*
 * migrate_send() sends all pages in the first round, and then those that were
 * written since the last; migrate_look() looks how many are left by now.
 */
int migrate_send(struct migration *migration);
int migrate_look(struct migration *migration);

int migrate_end(struct migration *migration);

/*
 * Whether both machines have the same bytes everywhere, moved or not.  Stores
 * a hash of either's.
 */
int migrate_compare(const struct migration *migration, bool *ret_same,
		    uint64_t ret_hashes[2]);

#endif
