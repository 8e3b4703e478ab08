/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* One memory map, on each side. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <vmmem/vmmem.h>

#include "bench.h"

struct fixture {
	size_t count;
	struct bench_range *ranges;
	struct vmmem_region **regions;
	struct vmmem_collection *ours;
	void *peers[PEERS];
	bool logged;
	uint64_t *starts; /* for the floor */
};

/* What a search in a flat array has to do with. */
struct flat {
	const uint64_t *starts;
	size_t count;
};

/*
 * fixture_small() makes 'count' regions of random sizes, with random gaps, all
 * of which are backed by one piece of address space that nobody touches.
 */
void fixture_small(struct fixture *fixture, size_t count);

/* fixture_spaced() makes them all of SPACED bytes, with gaps as large. */
#define SPACED UINT64_C(32768)
void fixture_spaced(struct fixture *fixture, size_t count);

/*
 * fixture_large() makes 'count' regions of 'len' bytes that touch one another,
 * of memory that is there when it is touched.  If 'logged', writes are marked.
 */
void fixture_large(struct fixture *fixture, size_t count, uint64_t len,
		   bool logged);

void fixture_free(struct fixture *fixture);

/* fixture_host() returns where the byte at 'gpa' is. */
uint64_t fixture_host(const struct fixture *fixture, uint64_t gpa);

/* external_region() makes a region of 'range' on our side. */
struct vmmem_region *external_region(const struct bench_range *range);

#endif
