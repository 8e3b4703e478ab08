/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/region.h - one contiguous range of guest physical memory and what
 * backs it.
 *
 * A region is reference counted and never changes once it is made, so any
 * thread may use it without a lock, and any number of collections may hold it.
 * What it maps stays mapped until the last reference is dropped; the thread
 * that drops it unmaps.
 *
 * The guest address of a region's first byte and its host address agree
 * modulo 16.  The library arranges that where it makes the mapping, and
 * refuses (VMMEM_ECONGRUENCE) what a caller brings otherwise.  So a guest
 * address alone decides whether an access is aligned.
 *
 * This header has the common regions in one call each, and the queries.
 * vmmem/region_builder.h has every other setting.
 *
 * After fork(), a child owns its copy of each reference: it may query, access
 * and unref.  Private memory is copied on write, as the system does it; shared
 * memory is shared.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_REGION_H
#define VMMEM_REGION_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

struct vmmem_bitmap;
struct vmmem_region;

/* The backing of a region: vmmem_region_kind(). */
#define VMMEM_REGION_ANONYMOUS 1 /* private zeroed memory of this process */
#define VMMEM_REGION_MEMFD 2	 /* zeroed memory shared by a sealed memfd */
#define VMMEM_REGION_FILE 3	 /* part of a file or memfd of the caller */
#define VMMEM_REGION_EXTERNAL 4	 /* memory that the caller mapped */
#define VMMEM_REGION_ALIAS 5	 /* bytes of another region */
#define VMMEM_REGION_CUSTOM 6	 /* callbacks of the caller */

/*
 * What may be done with memory.  The numbers are those of PROT_READ,
 * PROT_WRITE and PROT_EXEC.  Access functions ask for READ and WRITE.
 */
#define VMMEM_PROT_READ 1U
#define VMMEM_PROT_WRITE 2U
#define VMMEM_PROT_EXEC 4U

/* The role of a region for the guest: vmmem_region_builder_set_role(). */
#define VMMEM_ROLE_RAM 1U
#define VMMEM_ROLE_ROM 2U
#define VMMEM_ROLE_DEVICE 3U
#define VMMEM_ROLE_PMEM 4U     /* persistent memory: an NVDIMM */
#define VMMEM_ROLE_RESERVED 5U /* not usable: a hole, or the firmware's */

/* The guest node of a region that belongs to no node. */
#define VMMEM_GUEST_NODE_NONE 0xffffffffU

/* How a file is mapped: vmmem_region_builder_set_file(). */
#define VMMEM_FILE_PRIVATE 1U /* writes stay in this process */
#define VMMEM_FILE_SYNC 2U    /* MAP_SYNC: only for persistent memory */

/* Whether huge pages back a region: vmmem_region_huge_pages(). */
#define VMMEM_HUGE_PAGES_UNKNOWN 0 /* not stated, and cannot be found out */
#define VMMEM_HUGE_PAGES_NO 1
#define VMMEM_HUGE_PAGES_YES 2

/* No region has more cookies: vmmem_region_builder_set_cookie(). */
#define VMMEM_REGION_COOKIES_MAX 8

/* The longest name of a region, in bytes, without the final zero byte. */
#define VMMEM_REGION_NAME_MAX 63

/* Properties of an access: struct vmmem_access_info. */
#define VMMEM_ACCESS_DEBUG 1U	 /* of a debugger: read-only memory, too */
#define VMMEM_ACCESS_RAM_ONLY 2U /* no callback is ever called for it */

/*
 * struct vmmem_access_info describes an access beyond its range.  The
 * caller sets 'size' to sizeof(struct vmmem_access_info); in a callback it is
 * that of the library.  Members are only ever added at the end.  Since: 0.9.
 */
struct vmmem_access_info {
	size_t size;
	uint32_t flags; /* VMMEM_ACCESS_... */
	/*
	 * The requester: a number for the region's callbacks alone.  The
	 * caller and the callbacks agree on its meaning, say a vCPU or a PCI
	 * function.  0: not stated.
	 */
	uint32_t requester;
};

/*
 * struct vmmem_region_ops is what a custom region does.  'size' is
 * sizeof(struct vmmem_region_ops); members a caller leaves out are NULL.  The
 * library copies the table.  Members are only ever added at the end.
 *
 * Callbacks get the caller's 'opaque' pointer and may run on any thread that
 * accesses the region, several at once.  The library holds no lock meanwhile.
 * They return 0 or a negative code, which the access function passes on; any
 * positive value is passed on as VMMEM_ECALLBACK.
 */
struct vmmem_region_ops {
	size_t size;

	/*
	 * Optional.  Called once, when the region is made: stores the host
	 * address of the region's first byte.  All length bytes stay
	 * accessible there until destroy(), and then every access goes there
	 * and read() and write() are never called.  Returns VMMEM_ENOHOST if
	 * there is no such address; the region is then reached by read() and
	 * write().  With any other code, making the region fails with it.
	 */
	int (*host)(void *opaque, void **ret_host);

	/*
	 * Optional, for memory that must be mapped before use: grants of
	 * another domain, encrypted or remote memory.  Makes the bytes
	 * [offset, offset + len) of the region accessible for 'access', a set
	 * of VMMEM_PROT_READ and VMMEM_PROT_WRITE, and stores the host address
	 * of the first, which agrees with its guest address modulo 16.  'len'
	 * is not 0 and the range lies within the region.  The bytes stay
	 * accessible until release().
	 */
	int (*acquire)(void *opaque, uint64_t offset, uint64_t len,
		       uint32_t access, void **ret_host);

	/*
	 * Optional.  Called once for each acquire() that returned 0, with the
	 * same arguments and the host address that it stored.
	 */
	void (*release)(void *opaque, uint64_t offset, uint64_t len,
			uint32_t access, void *host);

	/*
	 * Copies the bytes [offset, offset + len) of the region to 'buf'.
	 * 'len' is not 0 and the range lies within the region.  Must be there
	 * unless host() gives an address or there is acquire().
	 *
	 * One read or write, of a collection, a region or a value, is one call
	 * with all of its bytes that lie in the region, neither split nor
	 * joined nor aligned: an access of 4 bytes is a call of 4, and of 12 a
	 * call of 12; there is no maximum.  Where it runs from one region into
	 * another, each gets its part.  A fill or a copy may come as several
	 * calls, which end at guest addresses that are multiples of 8 as long
	 * as there is more; a transfer from or to a descriptor as calls of any
	 * length.  'info' is never NULL, and good during the call.
	 */
	int (*read)(void *opaque, uint64_t offset, void *buf, size_t len,
		    const struct vmmem_access_info *info);

	/*
	 * Copies 'len' bytes from 'buf' to [offset, offset + len) of the
	 * region; see read().  A region that has neither this, nor a host
	 * address, nor acquire() is read-only.
	 */
	int (*write)(void *opaque, uint64_t offset, const void *buf,
		     size_t len, const struct vmmem_access_info *info);

	/* Optional.  Called once, when the last reference is dropped. */
	void (*destroy)(void *opaque);

	/*
	 * Optional.  Gives back what holds [offset, offset + len) of the
	 * region, as far as it can, so that the range reads as zero.  'len' is
	 * not 0 and the range lies within the region.  See vmmem/discard.h.
	 */
	int (*discard)(void *opaque, uint64_t offset, uint64_t len);
};

/*
 * vmmem_region_new_anonymous() makes a region of zeroed memory, private to
 * this process, readable and writable, at [gpa, gpa + len) of the guest.  No
 * swap space is reserved (MAP_NORESERVE).
 *
 * On success the caller owns one reference.  On failure nothing is left
 * behind and 'ret_region' is not written.  Any thread.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'ret_region' is NULL
 *   VMMEM_EZEROLEN   'len' is 0
 *   VMMEM_EWRAPS     gpa + len passes 2^64 (it may end at 2^64 - 1), or 'len'
 *                    is more than a process can map
 *   -errno           what mmap(2) said; -ENOMEM also from the allocator
 */
VMMEM_NODISCARD int
vmmem_region_new_anonymous(uint64_t gpa, uint64_t len,
			   struct vmmem_region **ret_region);

/*
 * vmmem_region_new_memfd() makes a region of zeroed memory that can be shared
 * with other processes, readable and writable.  It is backed by a new memfd
 * that is sealed against shrinking and growing, so no peer that gets the
 * descriptor (vmmem_region_file()) can take the memory away; and on Linux 6.3
 * and later against being executed as a file.  The region begins at the file
 * offset that vmmem_region_file() stores.
 *
 * Ownership, threads and codes as for vmmem_region_new_anonymous(), and
 *   -errno  what memfd_create(2), ftruncate(2) or fcntl(2) said: -EFBIG if
 *           'len' passes RLIMIT_FSIZE, without its signal
 */
VMMEM_NODISCARD int
vmmem_region_new_memfd(uint64_t gpa, uint64_t len,
		       struct vmmem_region **ret_region);

/*
 * vmmem_region_new_file() makes a region of the bytes [offset, offset + len)
 * of the file 'fd', shared, readable and writable.  The library has a
 * descriptor of its own, one for all regions of a file; the caller may close
 * 'fd'.  The file is a regular file, a memfd or a device that can be mapped.
 *
 * 'offset' may be within a page, small or huge: the whole pages that hold the
 * bytes are mapped, and the region shows the bytes alone.
 *
 * A file that is cut short later takes the memory away from under the region,
 * and touching it raises SIGBUS (vmmem/fault.h is about surviving that);
 * a memfd with F_SEAL_SHRINK cannot be cut short.
 *
 * Ownership and threads as for vmmem_region_new_anonymous().
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'ret_region' is NULL
 *   VMMEM_EZEROLEN     'len' is 0
 *   VMMEM_EWRAPS       gpa + len passes 2^64, or offset + len passes 2^63 - 1
 *   VMMEM_EPASTEOF     a regular file ends before offset + len
 *   VMMEM_ECONGRUENCE  'gpa' and 'offset' differ modulo 16
 *   -errno             what fcntl(2), fstat(2), fstatfs(2) or mmap(2) said:
 *                      -EBADF for a bad 'fd', -EACCES for one not open for both
 *                      reading and writing
 */
VMMEM_NODISCARD int
vmmem_region_new_file(uint64_t gpa, uint64_t len, int fd, uint64_t offset,
		      struct vmmem_region **ret_region);

/*
 * vmmem_region_new_external() makes a region of memory that the caller has:
 * 'len' bytes at 'host', readable and writable, which must stay so until the
 * region's last reference is gone.  The library never unmaps them.
 * vmmem_region_builder_set_external() takes a callback for that moment.
 *
 * Ownership and threads as for vmmem_region_new_anonymous().
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'host' or 'ret_region' is NULL
 *   VMMEM_EZEROLEN     'len' is 0
 *   VMMEM_EWRAPS       gpa + len passes 2^64, or host + len does
 *   VMMEM_ECONGRUENCE  'gpa' and 'host' differ modulo 16
 *   -ENOMEM            from the allocator
 */
VMMEM_NODISCARD int
vmmem_region_new_external(uint64_t gpa, uint64_t len, void *host,
			  struct vmmem_region **ret_region);

/*
 * vmmem_region_new_alias() makes a region whose bytes are those of 'target',
 * [offset, offset + len) of it, at another guest address.  It permits what
 * 'target' permits, and holds a reference to the region that has the bytes:
 * an alias of an alias is an alias of the region that is behind both.
 *
 * Ownership and threads as for vmmem_region_new_anonymous(); the caller keeps
 * its reference to 'target'.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'target' or 'ret_region' is NULL
 *   VMMEM_EZEROLEN     'len' is 0
 *   VMMEM_EWRAPS       gpa + len passes 2^64
 *   VMMEM_EOUTOFRANGE  [offset, offset + len) is not within 'target'
 *   VMMEM_ECONGRUENCE  'gpa' and the host address of the target's byte at
 *                      'offset' differ modulo 16
 *   -ENOMEM            from the allocator
 */
VMMEM_NODISCARD int
vmmem_region_new_alias(uint64_t gpa, uint64_t len, struct vmmem_region *target,
		       uint64_t offset, struct vmmem_region **ret_region);

/*
 * vmmem_region_new_custom() makes a region that 'ops' read and write, with
 * 'opaque' passed to each callback.  If making it fails, ops->destroy is not
 * called and the caller still owns 'opaque'.
 *
 * Ownership and threads as for vmmem_region_new_anonymous().
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'ops' or 'ret_region' is NULL; or there is no host
 *                       address and neither read() nor acquire(); or host()
 *                       stored NULL
 *   VMMEM_EZEROLEN      'len' is 0
 *   VMMEM_EWRAPS        gpa + len passes 2^64, or host address + len does
 *   VMMEM_ECONGRUENCE   'gpa' and the host address differ modulo 16
 *   VMMEM_ESTRUCTSIZE   ops->size is below that of version 0.9 or above 4096
 *   VMMEM_ESTRUCTNEWER  'ops' has members set that this library does not know
 *   VMMEM_ECALLBACK     host() returned a positive value
 *   -ENOMEM             from the allocator
 *   what host() returned
 */
VMMEM_NODISCARD int
vmmem_region_new_custom(uint64_t gpa, uint64_t len,
			const struct vmmem_region_ops *ops, void *opaque,
			struct vmmem_region **ret_region);

/*
 * vmmem_region_ref() takes one more reference and returns 'region'.  NULL
 * stays NULL.  Any thread that holds a reference, or a collection that does.
 */
struct vmmem_region *vmmem_region_ref(struct vmmem_region *region);

/*
 * vmmem_region_unref() drops one reference and returns NULL.  With the last
 * one the memory is unmapped, the file closed, and the callbacks of the owners
 * of the memory and of the cookies are called.  NULL is a no-op.  Any thread;
 * the last drop makes system calls.
 */
struct vmmem_region *vmmem_region_unref(struct vmmem_region *region);

/*
 * The queries below only read members that never change: any thread that holds
 * a reference, also in a signal handler.  For a NULL region they return 0 or
 * NULL.
 */

/* vmmem_region_start() returns the guest address of the first byte. */
uint64_t vmmem_region_start(const struct vmmem_region *region);

/* vmmem_region_last() returns the guest address of the last byte. */
uint64_t vmmem_region_last(const struct vmmem_region *region);

/* vmmem_region_len() returns the length in bytes; it is never 0. */
uint64_t vmmem_region_len(const struct vmmem_region *region);

/* vmmem_region_kind() returns one of VMMEM_REGION_.... */
uint32_t vmmem_region_kind(const struct vmmem_region *region);

/*
 * vmmem_region_role() returns one of VMMEM_ROLE_...: the region's role for the
 * guest; its kind is the backing.  0 for NULL.  Since: 0.9.
 */
uint32_t vmmem_region_role(const struct vmmem_region *region);

/*
 * vmmem_region_guest_node() returns the NUMA node of the guest that the region
 * belongs to, VMMEM_GUEST_NODE_NONE if none was set, and for NULL.  Since: 0.9.
 */
uint32_t vmmem_region_guest_node(const struct vmmem_region *region);

/*
 * vmmem_region_protection() returns what the region permits, a set of
 * VMMEM_PROT_....  A region without VMMEM_PROT_WRITE refuses writes.
 */
uint32_t vmmem_region_protection(const struct vmmem_region *region);

/*
 * vmmem_region_file_flags() returns how the region's file is mapped, a set of
 * VMMEM_FILE_...; 0 for every kind except a file.  For an alias it returns the
 * flags of its target.  Since: 0.9.
 */
uint32_t vmmem_region_file_flags(const struct vmmem_region *region);

/*
 * vmmem_region_huge_pages() returns VMMEM_HUGE_PAGES_YES if the memory is
 * mapped from the huge page pool (hugetlb), VMMEM_HUGE_PAGES_NO if it is known
 * not to be, else VMMEM_HUGE_PAGES_UNKNOWN: external memory whose owner did not
 * state it, files that are devices, custom regions.  Transparent huge pages do
 * not count.
 */
uint32_t vmmem_region_huge_pages(const struct vmmem_region *region);

/*
 * vmmem_region_page_size() returns the size in bytes of the pages that back
 * the region, 0 if unknown.
 */
uint64_t vmmem_region_page_size(const struct vmmem_region *region);

/*
 * vmmem_region_host_address() stores the host address of the byte at
 * 'offset', and how many bytes of the region lie there from 'offset' on,
 * which is never 0.  The pointer is good while the caller holds a reference.
 * The caller may write through it only if the region permits writing.  Writes
 * through it are not marked in the bitmap.  Of a region with a guest_memfd
 * (vmmem/private.h) it is the address of the shared side, whichever side
 * counts.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'region', 'ret_host' or 'ret_len' is NULL
 *   VMMEM_EOUTOFRANGE  'offset' is not below the length
 *   VMMEM_ENOHOST      a custom region without a host address
 */
VMMEM_NODISCARD int
vmmem_region_host_address(const struct vmmem_region *region, uint64_t offset,
			  void **ret_host, uint64_t *ret_len);

/*
 * vmmem_region_read() copies the bytes [offset, offset + len) of the region to
 * 'buf', and vmmem_region_write() from 'buf', with callbacks or without, in no
 * collection or in any.  All or nothing, accesses, marks and 'ret_done' are
 * those of vmmem_collection_read() and vmmem_collection_write() (of
 * vmmem/access.h).  The guest address decides whether 1, 2, 4 or 8 bytes are
 * aligned, and so are one access.  'buf' may be NULL if 'len' is 0.  For other
 * atomics make a slice (vmmem/slice.h).
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'region' is NULL, or 'buf' is and 'len' is not 0
 *   VMMEM_EOUTOFRANGE  the range reaches past the region's end
 *   VMMEM_EDENIED      the region does not permit it
 *   VMMEM_EPRIVATE     a byte of the range is private to the guest
 *   VMMEM_EGONE, VMMEM_ECALLBACK, VMMEM_ECONGRUENCE, what a callback returned
 *                      as vmmem/access.h says
 */
VMMEM_NODISCARD int vmmem_region_read(const struct vmmem_region *region,
				      uint64_t offset, void *buf, size_t len,
				      size_t *ret_done);
VMMEM_NODISCARD int vmmem_region_write(struct vmmem_region *region,
				       uint64_t offset, const void *buf,
				       size_t len, size_t *ret_done);

/*
 * vmmem_region_fill() sets each byte of [offset, offset + len) of the region to
 * 'value'.  Accesses, marks and 'ret_done' are those of
 * vmmem_collection_fill().
 *
 * Returns what vmmem_region_write() does.
 */
VMMEM_NODISCARD int vmmem_region_fill(struct vmmem_region *region,
				      uint64_t offset, uint64_t len,
				      uint8_t value, uint64_t *ret_done);

/*
 * vmmem_region_load() loads the value of 'size' bytes, 1, 2, 4 or 8, at
 * 'offset' of the region, and vmmem_region_store() stores the low 'size' bytes
 * of 'value' there: as one access, in the processor's byte order, with 'order'
 * as of vmmem/atomic.h.  The guest address is a multiple of 'size'.
 *
 * Where there is no host address it is one call of read() or write() with
 * 'size' bytes, or of acquire(): whether that is one access is up to the
 * callback.  The order holds between its accesses and the caller's all the
 * same.
 *
 * Returns 0, or the first that applies of
 *   VMMEM_EARGUMENT    'region' or 'ret_value' is NULL, or the size is another
 *   VMMEM_EORDER       the order is unknown, or not one that a load or a store
 *                      can have
 *   VMMEM_EOUTOFRANGE  the value reaches past the region's end
 *   VMMEM_EMISALIGNED  the guest address is not a multiple of 'size'
 *   VMMEM_EDENIED      the region does not permit it
 *   VMMEM_EPRIVATE     a byte of the value is private to the guest
 *   VMMEM_EGONE, VMMEM_ECALLBACK, VMMEM_ECONGRUENCE, what a callback returned
 *                      as of vmmem_region_read()
 */
VMMEM_NODISCARD int vmmem_region_load(const struct vmmem_region *region,
				      uint64_t offset, uint32_t size,
				      int order, uint64_t *ret_value);
VMMEM_NODISCARD int vmmem_region_store(struct vmmem_region *region,
				       uint64_t offset, uint32_t size,
				       int order, uint64_t value);

/*
 * vmmem_region_file() stores a descriptor of the file behind the region, and
 * the offset in that file of the region's first byte.  The descriptor is the
 * library's, may be shared with other regions of the same file, and lives at
 * least as long as the region: duplicate it to keep it.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'region', 'ret_fd' or 'ret_offset' is NULL
 *   VMMEM_ENOFILE    there is no file: anonymous, external, custom, or an alias
 *                    of such
 */
VMMEM_NODISCARD int vmmem_region_file(const struct vmmem_region *region,
				      int *ret_fd, uint64_t *ret_offset);

/*
 * vmmem_region_alias_target() returns the region whose bytes an alias shows;
 * NULL for any other kind.  It lives as long as the alias: take a reference
 * to keep it.
 */
struct vmmem_region *
vmmem_region_alias_target(const struct vmmem_region *region);

/*
 * vmmem_region_alias_offset() returns where in its target an alias begins, in
 * bytes; 0 for any other kind.
 */
uint64_t vmmem_region_alias_offset(const struct vmmem_region *region);

/*
 * vmmem_region_bitmap() returns the bitmap in which writes to the region are
 * marked; NULL if there is none.  An alias has its target's bitmap; if the
 * target has none, it may have its own.  The bitmap lives as long as the
 * region: take a reference to keep it.
 */
struct vmmem_bitmap *vmmem_region_bitmap(const struct vmmem_region *region);

/*
 * vmmem_region_bitmap_offset() returns where in its bitmap a region begins, in
 * bytes: 0 for a bitmap of its own, and for none.
 */
uint64_t vmmem_region_bitmap_offset(const struct vmmem_region *region);

/*
 * vmmem_region_cookie() returns the pointer that the region's maker left under
 * 'key' with vmmem_region_builder_set_cookie(), NULL if none.  An alias has
 * cookies of its own, and not its target's.  Since: 0.9.
 */
void *vmmem_region_cookie(const struct vmmem_region *region, const void *key);

/*
 * vmmem_region_name() returns the region's name, "" if it has none.  The
 * string lives as long as the region.
 */
const char *vmmem_region_name(const struct vmmem_region *region);

VMMEM_END_DECLS

#endif
