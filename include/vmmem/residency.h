/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/residency.h - what of memory is there now, and where.
 *
 * These functions ask the system, page by page, so they take time in
 * proportion to the range, whatever else the process has mapped; and what they
 * say may be old when they return.  They change nothing, except those that
 * populate.
 *
 * Any thread that holds a reference; not in a signal handler.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_RESIDENCY_H
#define VMMEM_RESIDENCY_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

struct vmmem_collection;
struct vmmem_region;

/* A number that the system does not report. */
#define VMMEM_RESIDENCY_UNKNOWN 0xffffffffffffffffULL

/*
 * struct vmmem_residency counts bytes of a range.  The caller sets 'size' to
 * sizeof(struct vmmem_residency).  Members are only ever added at the end;
 * those that the library does not know become 0.
 */
struct vmmem_residency {
	size_t size;
	/*
	 * In memory, for any reason: pages of a file count also if only
	 * another process or the page cache has them.
	 */
	uint64_t resident;
	/*
	 * In huge pages, of the pool or transparent ones, that this process
	 * has mapped as such.  Before Linux 6.7 the system reports the number
	 * of transparent ones for whole mappings only: VMMEM_RESIDENCY_UNKNOWN
	 * if the mapping is larger than the range.  Guard pages on both sides
	 * (vmmem_policy_set_guard()) make a region a mapping of its own, so
	 * that the number for the whole region is known.
	 */
	uint64_t huge;
	/* Covered by mlock(2): those of them that are resident stay so. */
	uint64_t locked;
};

/*
 * vmmem_region_residency() counts the bytes of [offset, offset + len) of
 * 'region' that are in memory.  If the range covers a page in part, that part
 * counts.
 *
 * It needs /proc/self for the number of transparent huge pages, and, if some of
 * the range are locked, for that of locked bytes: without /proc/self these two
 * are VMMEM_RESIDENCY_UNKNOWN.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'region' or 'ret_residency' is NULL
 *   VMMEM_EOUTOFRANGE  the range is not within the region; zero bytes always
 *                      are
 *   VMMEM_ENOHOST      the region has no host address
 *   VMMEM_ESTRUCTSIZE  ret_residency->size is below that of version 0.9 or
 *                      above 4096
 *   -errno             what mincore(2), msync(2) or asking /proc/self said
 */
VMMEM_NODISCARD int
vmmem_region_residency(const struct vmmem_region *region, uint64_t offset,
		       uint64_t len, struct vmmem_residency *ret_residency);

/*
 * vmmem_region_nodes() stores how many bytes of [offset, offset + len) of
 * 'region' are on the NUMA node 0, 1, ... 'count' - 1, in an array of 'count',
 * and how many are on none of them in 'ret_rest': pages that this process has
 * not mapped, because it never touched them, or that are on other nodes.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT   'region' or 'ret_rest' is NULL, or 'ret_bytes' is and
 *                     'count' is not 0; 'count' is above VMMEM_NUMA_NODES_MAX
 *   VMMEM_EOUTOFRANGE, VMMEM_ENOHOST
 *                     as for vmmem_region_residency()
 *   VMMEM_ENOSUPPORT  the system has no NUMA
 *   -errno            what move_pages(2) said
 */
VMMEM_NODISCARD int
vmmem_region_nodes(const struct vmmem_region *region, uint64_t offset,
		   uint64_t len, uint64_t *ret_bytes, size_t count,
		   uint64_t *ret_rest);

/*
 * vmmem_region_next_populated() finds the first bytes of [offset, offset + len)
 * of 'region' that have a page: in memory, swapped out, or on the file system
 * of a file.  All other bytes are zero, and reading them may make pages.  If
 * the range covers a page in part, that part counts.
 *
 * 'ret_offset' and 'ret_len' get the first such bytes; the bytes after them may
 * have pages too.  'ret_len' is 0, and 'ret_offset' the end, if there are none.
 * To visit all:
 *
 *     for (at = 0; vmmem_region_next_populated(region, at, end - at, &start,
 *                                              &len) == 0 &&
 *                  len != 0; at = start + len)
 *
 * It looks at:
 *
 *   anonymous     this process' page tables
 *   memfd, file   the file's holes, so also at pages that others made; of a
 *                 private file also the page tables
 *   huge pages of the pool
 *                 this process' page tables; of pages of a memfd or file that
 *                 only others have mapped, whether they are zero.  Each call
 *                 then takes time in proportion to the region
 *   external      the page tables, where it is private memory without a file
 *   alias         as its target
 *
 * Where the system does not tell, the whole range is taken to have pages: other
 * external memory, custom regions, devices, private mappings of huge pages of
 * the pool, and without /proc.  Pages that were only read may be left out.
 *
 * A file that may not be opened a second time (/proc/self/fd) is asked by its
 * descriptor, and stands elsewhere for the time of the call.  In a child that
 * fork() made, private files are as for vmmem_region_discard().
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    a pointer is NULL
 *   VMMEM_EOUTOFRANGE  the range is not within the region; zero bytes always
 *                      are
 *   VMMEM_EPRIVATE     a byte of the range is private to the guest
 *                      (vmmem/private.h): its pages cannot be told
 *   -errno             what lseek(2), fstat(2) or asking /proc/self said
 */
VMMEM_NODISCARD int
vmmem_region_next_populated(const struct vmmem_region *region, uint64_t offset,
			    uint64_t len, uint64_t *ret_offset,
			    uint64_t *ret_len);

/*
 * vmmem_collection_next_populated() finds the first bytes of the guest's
 * [gpa, gpa + len) that have a page, in one region, as
 * vmmem_region_next_populated() does.  Addresses in no region have no page.
 * For a translated collection, too, it is a range of guest physical addresses.
 *
 * Returns 0, what vmmem_region_next_populated() returned, or
 *   VMMEM_EARGUMENT  a pointer is NULL
 *   VMMEM_EWRAPS     the range passes 2^64
 */
VMMEM_NODISCARD int
vmmem_collection_next_populated(const struct vmmem_collection *collection,
				uint64_t gpa, uint64_t len, uint64_t *ret_gpa,
				uint64_t *ret_len);

/*
 * vmmem_region_populate() has all pages made that hold bytes of
 * [offset, offset + len) of 'region', so that to touch them takes no time later
 * and never fails for lack of memory: what a guest is about to get, by hotplug
 * or out of a balloon.  No byte changes, and nothing is marked as dirty.
 *
 * Pages are made to be written where the memory was mapped for that
 * (MADV_POPULATE_WRITE), else to be read; of an alias, whatever it permits
 * itself, so that a read-only view of RAM does so too.  Where the region's
 * policy prefaults, as many threads do it, which are as there; its progress
 * callback is not called.  External memory and that of a custom region's host()
 * are made in the system's pages, if the region permits what the owner's
 * mapping does.
 *
 * A page that userfaultfd(2) has to deliver is waited for.  On failure some of
 * the pages may have been made, and stay.  What is discarded meanwhile, or
 * later, has no page again.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'region' is NULL
 *   VMMEM_EOUTOFRANGE  the range is not within the region; zero bytes always
 *                      are
 *   VMMEM_ENOHOST      the region has no host address
 *   VMMEM_EDENIED      the memory may be neither read nor written
 *   VMMEM_EPRIVATE     a byte of the range is private to the guest
 *   VMMEM_ESHORTAGE    the system had no page left: the pool or the file system
 *                      is full, or the file was cut short
 *   VMMEM_ENOSUPPORT   the system cannot do it: it is older than Linux 5.14, or
 *                      the memory is a device's
 *   -errno             what madvise(2) or pthread_create(3) said; -ENOMEM also
 *                      from the allocator
 */
VMMEM_NODISCARD int
vmmem_region_populate(const struct vmmem_region *region, uint64_t offset,
		      uint64_t len);

/*
 * vmmem_collection_populate() is vmmem_region_populate() for the guest's
 * [gpa, gpa + len), region by region.  All of the range is checked before the
 * first page is made.  Of a translated collection it is a range of guest
 * physical addresses all the same.
 *
 * Returns 0, what vmmem_region_populate() returned, or
 *   VMMEM_EARGUMENT  'collection' is NULL
 *   VMMEM_EBADADDR   a byte of the range lies in no region
 *   VMMEM_EWRAPS     the range passes 2^64 and is mapped up to there
 */
VMMEM_NODISCARD int
vmmem_collection_populate(const struct vmmem_collection *collection,
			  uint64_t gpa, uint64_t len);

VMMEM_END_DECLS

#endif
