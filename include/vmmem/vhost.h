/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/vhost.h - the memory table of vhost-user, both ways.
 *
 * A back end is told by its front end, over a socket, where the guest's memory
 * is: rows of guest address, length, user address (what the front end calls the
 * same byte) and a descriptor with an offset.  A vhost object turns these
 * messages into the current map of a space (vmmem/space.h), and answers what a
 * user address means.  vmmem_vhost_export() makes the rows a front end sends.
 *
 * Nothing that arrives is trusted.  A message is checked as a whole, all its
 * files are mapped, and then the map changes at once or not at all: after a
 * failure the map, the rows and the log are what they were, and no descriptor
 * and no mapping is left behind.  Descriptors stay the caller's, which closes
 * them after any call, whatever that returned; a mapping has its own.
 *
 * Devices keep running.  A change is published before the call returns; to
 * know that no device still uses what was before, call
 * vmmem_space_synchronize(), and only then reply to the front end.
 *
 * A vhost object belongs to one thread at a time, as a rule the one that reads
 * the socket; the space is for all.  Not in a signal handler.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_VHOST_H
#define VMMEM_VHOST_H

#include <vmmem/base.h>
#include <vmmem/collection.h>
#include <vmmem/fd.h>
#include <vmmem/iotlb.h>
#include <vmmem/slice.h>
#include <vmmem/space.h>

VMMEM_BEGIN_DECLS

struct vmmem_vhost;

/* The most rows that a table can have. */
#define VMMEM_VHOST_REGIONS_MAX 509

/* The pages of the shared log, whatever the pages of the system are. */
#define VMMEM_VHOST_LOG_PAGE 4096

/* The requests that vmmem_vhost_message() knows, by the protocol's numbers. */
#define VMMEM_VHOST_SET_MEM_TABLE 5U
#define VMMEM_VHOST_SET_LOG_BASE 6U
#define VMMEM_VHOST_IOTLB_MSG 22U
#define VMMEM_VHOST_ADD_MEM_REG 37U
#define VMMEM_VHOST_REM_MEM_REG 38U

/* The types of an IOTLB message: the protocol's numbers. */
#define VMMEM_VHOST_IOTLB_MISS 1U
#define VMMEM_VHOST_IOTLB_UPDATE 2U
#define VMMEM_VHOST_IOTLB_INVALIDATE 3U
#define VMMEM_VHOST_IOTLB_ACCESS_FAIL 4U

/*
 * What is due between a message and its reply: vmmem_space_synchronize() of the
 * object's space, vmmem_iotlb_synchronize() of its iotlb.  Since: 0.9.
 */
#define VMMEM_VHOST_DUE_SPACE 1U
#define VMMEM_VHOST_DUE_IOTLB 2U

/*
 * Give the host addresses of this process as user addresses.  The default, the
 * guest addresses, tells a back end nothing about this process.
 */
#define VMMEM_VHOST_EXPORT_HOST 1U

/*
 * Have rows also of what no file can show to another process, for parts of the
 * kernel that take host addresses alone: VHOST_SET_MEM_TABLE of /dev/vhost-net,
 * VFIO_IOMMU_MAP_DMA.  Needs VMMEM_VHOST_EXPORT_HOST.
 */
#define VMMEM_VHOST_EXPORT_PRIVATE 2U

/*
 * Share a guest_memfd of KVM too.  A back end that touches what is private in
 * it gets SIGBUS: only for one that is told which pages are not.
 */
#define VMMEM_VHOST_EXPORT_GUEST_MEMFD 4U

/*
 * Have rows of regions with private bytes (vmmem/private.h) too: the back end
 * gets the shared side, and is to touch nothing that the guest has not shared.
 */
#define VMMEM_VHOST_EXPORT_SHARED_SIDE 8U

/*
 * A row of the table, as it stands in the messages.  This struct and the next
 * are final, as the protocol's messages are: another message is another struct.
 */
struct vmmem_vhost_region {
	uint64_t gpa;
	uint64_t len;
	uint64_t user_address;
	uint64_t offset; /* in the file */
};

/* A message of the front end's IOMMU, as it stands in the protocol. */
struct vmmem_vhost_iotlb_msg {
	uint64_t iova;
	uint64_t len;
	uint64_t user_address;
	uint8_t access; /* VMMEM_PROT_READ, VMMEM_PROT_WRITE */
	uint8_t type;	/* VMMEM_VHOST_IOTLB_... */
	uint16_t padding;  /* not looked at */
	uint32_t padding2; /* nor this */
};

/*
 * struct vmmem_vhost_options is what a vhost object is made with.  'size' is
 * sizeof(struct vmmem_vhost_options); zero and NULL are good for all else.
 * Members are only ever added at the end.
 */
struct vmmem_vhost_options {
	size_t size;
	/*
	 * What descriptors must be, of memory and of the log; copied.  NULL:
	 * the strictest of vmmem/fd.h, memory that cannot be cut short.
	 */
	const struct vmmem_fd_rules *rules;
	/* Where IOTLB messages go; a reference is taken.  NULL: refused. */
	struct vmmem_iotlb *iotlb;
	/* The most rows; 0: VMMEM_VHOST_REGIONS_MAX, which is the most. */
	uint32_t regions_max;
	uint32_t flags; /* 0: there are none yet */
	/*
	 * The most bytes of addresses that rows and log may take, in whole
	 * pages of their files.  0: a quarter of those that the process may
	 * have; UINT64_MAX: any.  A table that takes the place of another is
	 * mapped before the other is unmapped: then it is twice as many.  Each
	 * object counts its own: a program with several front ends gives each a
	 * share.
	 */
	uint64_t bytes_max;
};

/*
 * vmmem_vhost_new() makes a vhost object with an empty table, which changes the
 * map of 'space' and takes a reference to it.  'options' may be NULL.  Regions
 * that others put into the space stay there; each change keeps them.  The
 * caller frees the object.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'space' or 'ret_vhost' is NULL; 'regions_max' is above
 *                    VMMEM_VHOST_REGIONS_MAX; 'flags' or the rules have
 *                    unknown bits
 *   VMMEM_ESTRUCTSIZE, VMMEM_ESTRUCTNEWER
 *                    the size of 'options' or of the rules, or members that
 *                    this library does not know
 *   -ENOMEM          from the allocator
 */
VMMEM_NODISCARD int
vmmem_vhost_new(struct vmmem_space *space,
		const struct vmmem_vhost_options *options,
		struct vmmem_vhost **ret_vhost);

/*
 * vmmem_vhost_free() frees the object and returns NULL.  The space keeps its
 * map: vmmem_vhost_set_table() with no rows takes them away first.  NULL is a
 * no-op.
 */
struct vmmem_vhost *vmmem_vhost_free(struct vmmem_vhost *vhost);

/*
 * vmmem_vhost_set_table() makes the 'count' rows the table, in place of all
 * that was there; fds[i] is the file of regions[i].  They may stand in any
 * order.  What the old table has mapped of the same file and range is not
 * mapped again: the mapping stays, at its host address.  With no rows,
 * 'regions' and 'fds' may be NULL.
 *
 * A file's offset need not be a multiple of its (huge) page size.  Checks are
 * made in the order of the codes, over all rows, before the next.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'vhost' is NULL, or an array is NULL that is needed
 *   VMMEM_EREGIONCOUNT  there are more rows than permitted
 *   VMMEM_EDESCRIPTORS  'fd_count' is not 'count'
 *   VMMEM_EZEROLEN      a row has no bytes
 *   VMMEM_EWRAPS        guest or user addresses of a row pass 2^64
 *   VMMEM_EOVERLAP      rows share a guest address
 *   VMMEM_EUSEROVERLAP  rows share a user address
 *   VMMEM_ELOGSHORT     a row lies beyond what the log covers
 *   VMMEM_ECONGRUENCE   guest address and file offset differ modulo 16
 *   -ENOMEM             from the allocator
 * for a file, in the order of the rows,
 *   what vmmem_fd_check() returns, VMMEM_EWRAPS, VMMEM_EPASTEOF
 *   VMMEM_EREGIONBYTES  with it, more bytes would be mapped than permitted
 *   -errno              what fcntl(2), fstat(2), fstatfs(2) or mmap(2) said
 * and then
 *   VMMEM_EOVERLAP      a row shares a guest address with a region of the space
 *                       that is not this object's
 *   what vmmem_update_new() and vmmem_update_commit() return
 */
VMMEM_NODISCARD int
vmmem_vhost_set_table(struct vmmem_vhost *vhost,
		      const struct vmmem_vhost_region *regions, size_t count,
		      const int *fds, size_t fd_count);

/*
 * vmmem_vhost_add() adds a row.  Codes as for vmmem_vhost_set_table().
 */
VMMEM_NODISCARD int
vmmem_vhost_add(struct vmmem_vhost *vhost,
		const struct vmmem_vhost_region *region, int fd);

/*
 * vmmem_vhost_remove() takes a row away: the one with this guest address,
 * length and user address.  The offset is not looked at.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  a pointer is NULL
 *   VMMEM_ENOREGION  there is no such row
 *   -ENOMEM          from the allocator
 *   what vmmem_update_new() and vmmem_update_commit() return
 */
VMMEM_NODISCARD int
vmmem_vhost_remove(struct vmmem_vhost *vhost,
		   const struct vmmem_vhost_region *region);

/*
 * vmmem_vhost_set_log() has all writes to the table's memory marked in the
 * front end's log, [offset, offset + len) of the file 'fd', in place of an
 * earlier log: bit n of byte m stands for guest page 8 * m + n, in pages of
 * VMMEM_VHOST_LOG_PAGE.  It may begin and end with any byte; no other byte of
 * the file is touched.
 *
 * The memory stays mapped where it is.  Writes under way may still be marked in
 * the old log, or not at all, until vmmem_space_synchronize() has returned 0.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'vhost' is NULL
 *   VMMEM_EZEROLEN      'len' is 0
 *   VMMEM_EREGIONBYTES  with the rows, more bytes would be mapped than
 *                       permitted
 *   VMMEM_ELOGSHORT     a row lies beyond what the log covers
 *   -ENOMEM             from the allocator
 *   what vmmem_fd_check(), vmmem_update_new() and vmmem_update_commit()
 *   return; -errno of the system calls that map
 */
VMMEM_NODISCARD int vmmem_vhost_set_log(struct vmmem_vhost *vhost, int fd,
					uint64_t offset, uint64_t len);

/*
 * vmmem_vhost_clear_log() ends that: writes are not marked any more.  Nothing
 * is done if there is no log.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'vhost' is NULL
 *   -ENOMEM          from the allocator
 *   what vmmem_update_new() and vmmem_update_commit() return
 */
VMMEM_NODISCARD int vmmem_vhost_clear_log(struct vmmem_vhost *vhost);

/* vmmem_vhost_log() returns the log's bitmap, borrowed; NULL if none. */
struct vmmem_bitmap *vmmem_vhost_log(const struct vmmem_vhost *vhost);

/*
 * vmmem_vhost_mark() marks [gpa, gpa + len) in the log, if there is one; after
 * the bytes are written, for those that the library does not write itself.  It
 * is vmmem_bitmap_mark() of vmmem_vhost_log() in one call, on the thread of the
 * object.  Another thread takes its own reference to the log.
 *
 * Returns 0, also if there is no log, or
 *   VMMEM_EOUTOFRANGE  the range reaches past the log; the pages within it are
 *                      marked all the same
 *   VMMEM_EARGUMENT    'vhost' is NULL
 * Since: 0.9.
 */
int vmmem_vhost_mark(struct vmmem_vhost *vhost, uint64_t gpa, uint64_t len);

/*
 * What the object was made with, or is good for in its place: the space and the
 * iotlb, borrowed; the most rows and the most bytes.  NULL or 0 for NULL, and
 * for an iotlb that there is not.  Since: 0.9.
 */
struct vmmem_space *vmmem_vhost_space(const struct vmmem_vhost *vhost);
struct vmmem_iotlb *vmmem_vhost_iotlb(const struct vmmem_vhost *vhost);
uint32_t vmmem_vhost_regions_max(const struct vmmem_vhost *vhost);
uint64_t vmmem_vhost_bytes_max(const struct vmmem_vhost *vhost);

/*
 * vmmem_vhost_rules() returns the object's copy of the rules, borrowed; NULL if
 * they are the strictest, or for NULL.  Since: 0.9.
 */
const struct vmmem_fd_rules *vmmem_vhost_rules(const struct vmmem_vhost *vhost);

/*
 * vmmem_vhost_iotlb_message() does what a message of the front end's IOMMU
 * says: UPDATE maps a range of the iotlb to where the user address leads, piece
 * by piece, INVALIDATE unmaps one; an invalidation of no bytes at address 0 is
 * one of all 2^64, which is how the protocol says it.  After an invalidation
 * call vmmem_iotlb_synchronize() before the reply.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  a pointer is NULL, or the object was made without an iotlb
 *   VMMEM_EMESSAGE   an unknown type or access, or a type that only a back end
 *                    sends
 *   VMMEM_EWRAPS     I/O virtual or user addresses pass 2^64
 *   VMMEM_EUSERADDR  a user address is in no row; nothing is mapped
 *   VMMEM_ENOROOM    the iotlb does not evict, and has not enough entries left;
 *                    nothing of the range is mapped after an UPDATE then
 */
VMMEM_NODISCARD int
vmmem_vhost_iotlb_message(struct vmmem_vhost *vhost,
			  const struct vmmem_vhost_iotlb_msg *message);

/*
 * vmmem_vhost_message() does what a message of the protocol says: one of
 * VMMEM_VHOST_SET_MEM_TABLE, _SET_LOG_BASE, _IOTLB_MSG, _ADD_MEM_REG and
 * _REM_MEM_REG.  'payload' is the 'len' bytes that follow the header, in no
 * particular alignment, and 'fds' the descriptors that came with it: 'fd_count'
 * ints, in no particular alignment either, so that both may point into a packed
 * struct.  A removal may come with descriptors, which are not looked at.
 *
 * 'ret_due', which may be NULL, gets the steps that are due before the reply, a
 * set of VMMEM_VHOST_DUE_SPACE and VMMEM_VHOST_DUE_IOTLB, or 0.  The message is
 * done already.  Until the due steps have returned 0, devices may use memory
 * that it took away.
 *
 * Returns what the function of that message returns, or
 *   VMMEM_EMESSAGE      another request; or the payload's length is not what
 *                       its contents say
 *   VMMEM_EDESCRIPTORS  the wrong number of descriptors
 *   VMMEM_EARGUMENT     'vhost' is NULL, or an array is NULL that is needed
 * Since: 0.9.
 */
VMMEM_NODISCARD int vmmem_vhost_message(struct vmmem_vhost *vhost,
					uint32_t request, const void *payload,
					size_t len, const void *fds,
					size_t fd_count, uint32_t *ret_due);

/* vmmem_vhost_count() returns the number of rows; 0 for NULL. */
size_t vmmem_vhost_count(const struct vmmem_vhost *vhost);

/*
 * vmmem_vhost_at() stores the row at 'index', in ascending order of guest
 * address, and the region that its file is mapped with, for programs that
 * register memory with userfaultfd(2), say.  That region has the bytes of the
 * row, and whole pages of the file are mapped for it: its host addresses,
 * rounded out to multiples of vmmem_region_page_size().  Its guest address
 * means nothing.  It is borrowed and lives as long as the row.  Either output
 * may be NULL.
 *
 * Returns 0, or
 *   VMMEM_EOUTOFRANGE  'index' is not below the count
 *   VMMEM_EARGUMENT    'vhost' is NULL
 */
VMMEM_NODISCARD int vmmem_vhost_at(const struct vmmem_vhost *vhost,
				   size_t index,
				   struct vmmem_vhost_region *ret_region,
				   struct vmmem_region **ret_mapping);

/*
 * vmmem_vhost_user_to_gpa() stores the guest address of [user_address,
 * user_address + len), which may run through several rows if these go on in the
 * guest too.  No bytes at an address in no row give 0.
 *
 * Returns 0, or
 *   VMMEM_EUSERADDR  a byte is in no row
 *   VMMEM_ECROSS     all bytes are in rows, but not in one piece of the guest
 *   VMMEM_EWRAPS     all bytes are there up to 2^64 - 1; the range is longer
 *   VMMEM_EARGUMENT  a pointer is NULL
 */
VMMEM_NODISCARD int vmmem_vhost_user_to_gpa(const struct vmmem_vhost *vhost,
					    uint64_t user_address,
					    uint64_t len, uint64_t *ret_gpa);

/*
 * vmmem_vhost_user_piece() is the same for the longest piece from
 * 'user_address' on that is no longer than 'len', and stores its length.
 *
 * Returns 0, or
 *   VMMEM_EUSERADDR  'user_address' is in no row, and 'len' is not 0
 *   VMMEM_EARGUMENT  a pointer is NULL
 */
VMMEM_NODISCARD int vmmem_vhost_user_piece(const struct vmmem_vhost *vhost,
					   uint64_t user_address, uint64_t len,
					   uint64_t *ret_gpa,
					   uint64_t *ret_len);

/*
 * vmmem_vhost_user_slice() is vmmem_vhost_user_to_gpa(), and then
 * vmmem_collection_slice() (vmmem/slice.h) of 'map', which is the map of the
 * object's space: as a rule what a reader borrowed.
 *
 * Returns what these return.
 */
VMMEM_NODISCARD int
vmmem_vhost_user_slice(const struct vmmem_vhost *vhost,
		       const struct vmmem_collection *map,
		       uint64_t user_address, uint64_t len, uint32_t access,
		       struct vmmem_slice *ret_slice);

/*
 * vmmem_vhost_gpa_to_user() goes the other way, for what is told to the front
 * end.  Codes as for vmmem_vhost_user_to_gpa(), with VMMEM_EBADADDR for a guest
 * address in no row.
 */
VMMEM_NODISCARD int vmmem_vhost_gpa_to_user(const struct vmmem_vhost *vhost,
					    uint64_t gpa, uint64_t len,
					    uint64_t *ret_user_address);

/*
 * vmmem_vhost_host_to_gpa() stores the guest address of the bytes at [host,
 * host + len) of this process, which are of one row; vmmem_vhost_host_to_user()
 * stores the user address, which is what a front end wants to hear of a page
 * fault (userfaultfd(2)).  If several rows have these bytes of a file it is the
 * one with the lowest guest address.  No bytes at an address in no row give 0.
 * Both take time in proportion to the rows.
 *
 * Returns 0, or
 *   VMMEM_EBADADDR   the first byte is in no row
 *   VMMEM_ECROSS     the first byte is in a row, but not all of them
 *   VMMEM_EARGUMENT  'vhost' or the output is NULL
 * Since: 0.9.
 */
VMMEM_NODISCARD int vmmem_vhost_host_to_gpa(const struct vmmem_vhost *vhost,
					    const void *host, uint64_t len,
					    uint64_t *ret_gpa);
VMMEM_NODISCARD int vmmem_vhost_host_to_user(const struct vmmem_vhost *vhost,
					     const void *host, uint64_t len,
					     uint64_t *ret_user_address);

/*
 * vmmem_vhost_export() stores the rows that tell a back end of 'map', and for
 * each the descriptor that goes with it, which is a region's own: duplicate it
 * to keep it longer than 'map'.  Each region that can be shared is in it, one
 * that is mapped shared from a file and permits reading and writing; regions
 * that touch are one row where they are one piece of one file too, and of the
 * host with VMMEM_VHOST_EXPORT_HOST in 'flags'.  A guest_memfd cannot be shared
 * without VMMEM_VHOST_EXPORT_GUEST_MEMFD.  So the file system of each file is
 * asked what it is, as vmmem_fd_examine() asks.
 *
 * With VMMEM_VHOST_EXPORT_PRIVATE too, each region that has a host address and
 * permits reading and writing is in it: those that cannot be shared with the
 * descriptor -1 and the offset 0, and one row where they touch in the guest and
 * the host.
 *
 * 'ret_count' gets the rows there are, with VMMEM_ENOROOM too: then the arrays
 * have the first 'capacity', and with 0 they may be NULL.  'ret_left_out',
 * which may be NULL, gets the number of regions in no row.
 *
 * Returns 0, or
 *   VMMEM_ENOROOM    there are more than 'capacity' rows
 *   VMMEM_EPRIVATE   a region that would have a row has private bytes, and
 *                    EXPORT_SHARED_SIDE is not in 'flags'
 *   VMMEM_EARGUMENT  'map' or 'ret_count' is NULL, or an array is and
 *                    'capacity' is not 0; an unknown bit in 'flags', or
 *                    EXPORT_PRIVATE without EXPORT_HOST; a translated
 *                    collection
 *   -errno           what fcntl(2), fstat(2) or fstatfs(2) said
 */
VMMEM_NODISCARD int
vmmem_vhost_export(const struct vmmem_collection *map, uint32_t flags,
		   struct vmmem_vhost_region *ret_regions, int *ret_fds,
		   size_t capacity, size_t *ret_count, size_t *ret_left_out);

VMMEM_END_DECLS

#endif
