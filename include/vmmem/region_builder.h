/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/region_builder.h - every setting of a region, given before the region
 * is made.
 *
 * A builder gathers settings; vmmem_region_builder_build() checks them as a
 * whole and makes the region.  Setters never fail, and do nothing on a NULL
 * builder: one check, of the code that build returns, covers all.  Of the
 * setters that say what backs the region (anonymous, memfd, file, external,
 * alias, custom) the last one called counts; the default is anonymous.
 *
 * A builder belongs to one thread at a time.  It can build any number of
 * regions, with settings changed in between.
 *
 * After fork(), a child may build if no other thread was building a region of a
 * file or of a memfd at the fork; vmmem_space_before_fork() sees to that.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_REGION_BUILDER_H
#define VMMEM_REGION_BUILDER_H

#include <vmmem/base.h>
#include <vmmem/bitmap.h>
#include <vmmem/policy.h>
#include <vmmem/region.h>

VMMEM_BEGIN_DECLS

struct vmmem_region_builder;

/*
 * vmmem_region_builder_new() returns a builder for anonymous memory that is
 * readable and writable; its range must still be set.  The caller frees it
 * with vmmem_region_builder_free().  NULL if there is no memory.
 */
struct vmmem_region_builder *vmmem_region_builder_new(void);

/*
 * vmmem_region_builder_free() frees the builder and returns NULL.  Regions
 * that it built are not touched.  NULL is a no-op.
 */
struct vmmem_region_builder *
vmmem_region_builder_free(struct vmmem_region_builder *builder);

/*
 * vmmem_region_builder_set_range() sets where the guest sees the region:
 * [gpa, gpa + len).  'len' is not 0; the last byte may be at 2^64 - 1.
 */
void vmmem_region_builder_set_range(struct vmmem_region_builder *builder,
				    uint64_t gpa, uint64_t len);

/*
 * vmmem_region_builder_set_anonymous() backs the region with zeroed memory,
 * private to this process.
 */
void vmmem_region_builder_set_anonymous(struct vmmem_region_builder *builder);

/*
 * vmmem_region_builder_set_memfd() backs the region with zeroed memory that
 * can be shared: a new memfd, sealed against shrinking and growing, and on
 * Linux 6.3 and later against being executed.
 */
void vmmem_region_builder_set_memfd(struct vmmem_region_builder *builder);

/*
 * vmmem_region_builder_set_file() backs the region with the file 'fd' from
 * the byte 'offset' on, which may be within a page: whole pages are mapped, and
 * the region shows its own bytes of them.  'flags' is 0, for a shared mapping,
 * or one of
 *   VMMEM_FILE_PRIVATE  writes stay in this process, and the file does not
 *                       change (MAP_PRIVATE)
 *   VMMEM_FILE_SYNC     bytes that the processor has written and flushed are in
 *                       the file, and survive (MAP_SYNC): for a file of
 *                       persistent memory; for any other it is -EOPNOTSUPP
 *
 * 'fd' stays the caller's and must be open while building.  The library keeps a
 * descriptor of its own, one for all regions of a file that were built with
 * descriptors open for the same access and with the same flags; it needs room
 * for one more while it builds.
 */
void vmmem_region_builder_set_file(struct vmmem_region_builder *builder,
				   int fd, uint64_t offset, uint32_t flags);

/*
 * vmmem_region_builder_set_external() backs the region with memory of the
 * caller, which begins at 'host', holds the region's length, and stays so
 * until the last reference is dropped.  Then release(opaque) is called once
 * for each region built, on the thread that drops; NULL for no callback.
 * If building fails, 'release' is not called.
 */
void vmmem_region_builder_set_external(struct vmmem_region_builder *builder,
				       void *host,
				       void (*release)(void *opaque),
				       void *opaque);

/*
 * vmmem_region_builder_set_alias() backs the region with the bytes of
 * 'target' from 'offset' on.  The builder holds a reference to 'target' until
 * another backing is set or it is freed.
 */
void vmmem_region_builder_set_alias(struct vmmem_region_builder *builder,
				    struct vmmem_region *target,
				    uint64_t offset);

/*
 * vmmem_region_builder_set_custom() backs the region with callbacks.  'ops'
 * is read, and must be valid, when the region is built.
 */
void vmmem_region_builder_set_custom(struct vmmem_region_builder *builder,
				     const struct vmmem_region_ops *ops,
				     void *opaque);

/*
 * vmmem_region_builder_set_protection() sets what the region permits, a set
 * of VMMEM_PROT_....  Default: read and write.  The library maps its own memory
 * with this protection.  For external memory, an alias or a custom region the
 * setting changes only what access functions permit.
 *
 * An alias permits an access if this setting and its target both permit it;
 * without this setting, it permits what its target permits.  So to fill a ROM,
 * build it writable and show the guest an alias with VMMEM_PROT_READ, which is
 * read-only whatever the target permits.
 */
void vmmem_region_builder_set_protection(struct vmmem_region_builder *builder,
					 uint32_t protection);

/*
 * vmmem_region_builder_set_role() sets the region's role for the guest, one of
 * VMMEM_ROLE_..., for code that makes the guest's memory map, dumps the guest
 * or sends it.  The library only keeps the role.  If it was never set, or is 0,
 * an alias has its target's role, and any other region is RAM.  Since: 0.9.
 */
void vmmem_region_builder_set_role(struct vmmem_region_builder *builder,
				   uint32_t role);

/*
 * vmmem_region_builder_set_guest_node() says to which NUMA node of the guest
 * the region belongs.  If it was never set, or is VMMEM_GUEST_NODE_NONE, an
 * alias belongs where its target does.  The nodes of the host that memory is
 * taken from are a setting of the policy.  Since: 0.9.
 */
void vmmem_region_builder_set_guest_node(struct vmmem_region_builder *builder,
					 uint32_t node);

/*
 * vmmem_region_builder_set_huge_page_size() asks for pages of 'bytes' from
 * the huge page pool: 2 MiB (2097152), 1 GiB (1073741824), or another power
 * of two above the page size that the system has; 0 for none, the default.
 * Memory is then mapped in whole huge pages, at a host address aligned to
 * them, and guest address modulo 'bytes' is up to the caller.  A file must be
 * on a hugetlbfs of that page size.  For external memory the caller states the
 * page size, and the library does not check it.  For an alias or a custom
 * region a valid size has no effect.
 */
void
vmmem_region_builder_set_huge_page_size(struct vmmem_region_builder *builder,
					uint64_t bytes);

/*
 * vmmem_region_builder_set_tracking() gives the region a bitmap of its own, in
 * pages of 'page_size' bytes, a power of two from 64 on; 0, the default, for
 * none.  Logging is off until a caller starts it: see vmmem/bitmap.h.  An alias
 * of a tracked region is tracked in its target's bitmap, and takes no setting
 * of its own.  An alias of an untracked region takes one, for writes by this
 * alias.
 */
void
vmmem_region_builder_set_tracking(struct vmmem_region_builder *builder,
				  uint64_t page_size);

/*
 * vmmem_region_builder_set_bitmap() has writes to the region marked in
 * 'bitmap', which may serve several regions: the region's first byte is the
 * bitmap's byte at 'offset'.  The builder holds a reference until another is
 * set or it is freed, and each region built holds one.  NULL for none.
 */
void vmmem_region_builder_set_bitmap(struct vmmem_region_builder *builder,
				     struct vmmem_bitmap *bitmap,
				     uint64_t offset);

/*
 * vmmem_region_builder_set_guest_memfd() gives the region a second side, for a
 * confidential guest: private bytes are in the guest_memfd 'fd' from the byte
 * 'offset' on, shared ones in the ordinary backing, which stays the region's
 * kind.  See vmmem/private.h.  The range and 'offset' are multiples of the
 * system's page size.  The backing is anonymous memory, a memfd, a file or
 * external memory; an alias sees its target's guest_memfd, and neither that nor
 * a custom region takes one.
 *
 * 'fd' stays the caller's and must be open while building.  The library keeps a
 * descriptor of its own, as it does of files.  -1, the default, for none.
 */
void
vmmem_region_builder_set_guest_memfd(struct vmmem_region_builder *builder,
				     int fd, uint64_t offset);

/*
 * vmmem_region_builder_set_private() says whether the bytes of a region with a
 * guest_memfd begin as private ones, or as shared ones if 'is_private' is 0.
 * The default is private, as confidential guests begin.
 */
void vmmem_region_builder_set_private(struct vmmem_region_builder *builder,
				      int is_private);

/*
 * vmmem_region_builder_set_logging() has logging switched on while a region is
 * built, if 'logging' is not 0, so that no write to it is missed however early;
 * 0 is the default.  It takes tracking or a bitmap, or the target's of an
 * alias.  Each region built is one vmmem_bitmap_start_logging() of
 * vmmem_region_bitmap(), which the caller takes back with
 * vmmem_bitmap_stop_logging(), or never: a bitmap of its own goes with the
 * region.  If building fails, the log is as it was.
 */
void
vmmem_region_builder_set_logging(struct vmmem_region_builder *builder,
				 int logging);

/*
 * vmmem_region_builder_set_like() sets all that 'region' was built with, to
 * make another one: range, backing, protection, role, guest's node, huge page
 * size, policy, tracking and name.  What differs is set afterwards; the range
 * at least if both are to be in one map.  Nothing is set if 'region' is NULL.
 *
 *   anonymous, memfd  new memory, zeroed
 *   file the same bytes of the file, by the library's descriptor; an
 *                     untrusted one without its rules, and a private one
 *                     without what was written.  The builder holds a reference
 *                     to 'region' until another backing is set or it is freed
 *   alias of the same target; the log is the target's, if it has one external,
 *   custom  the library cannot make it again: the caller sets a backing
 *                     afterwards, or build returns VMMEM_EARGUMENT
 *
 * A guest_memfd is not taken over, as its bytes are those of one region.
 * Tracking is a new bitmap with the page size of the region's, also where that
 * one was the caller's; logging is off.  Of the policy the progress callback is
 * not copied, and the threads are as many as prefaulted.  The builder's cookies
 * stay as they are, and those of 'region' are not copied.
 */
void
vmmem_region_builder_set_like(struct vmmem_region_builder *builder,
			      struct vmmem_region *region);

/*
 * vmmem_region_builder_set_policy() copies 'policy', which says how the library
 * gets the memory that it maps: see vmmem/policy.h.  NULL, the default, for
 * none.
 */
void vmmem_region_builder_set_policy(struct vmmem_region_builder *builder,
				     const struct vmmem_policy *policy);

/*
 * vmmem_region_builder_set_cookie() leaves a pointer with the region, which
 * vmmem_region_cookie() returns for the same key.  'key' is an address that the
 * caller's component has for itself, say of a static variable, so that several
 * components leave pointers with one region and none follows another's pointer.
 * The library follows neither pointer.  A key that is set again has the new
 * cookie; with a NULL 'cookie' it has none.  At most VMMEM_REGION_COOKIES_MAX
 * keys: after one more, whose cookie is not kept, nothing is built any more.
 *
 * destroy(cookie), which may be NULL, is called once for each region built,
 * when nothing of the region is left, whatever its kind: after the memory is
 * unmapped, the references to target and bitmap are dropped, and the callback
 * of the owner of external memory or of a custom region has returned; in the
 * order in which the keys were set.  So the owner of a cookie that several
 * regions have counts the regions.  If building fails, or nothing is built,
 * 'destroy' is not called: the caller still owns the cookie.
 *
 * It runs on the thread that drops the last reference.  While a space's maps
 * hold the region, that is a writer, or a thread in vmmem_space_synchronize()
 * or vmmem_space_unref(), and never a reader.  The thread may be in the middle
 * of an update: 'destroy' must not call functions of that space.  Since: 0.9.
 */
void vmmem_region_builder_set_cookie(struct vmmem_region_builder *builder,
				     const void *key, void *cookie,
				     void (*destroy)(void *cookie));

/*
 * vmmem_region_builder_set_name() names the region, for people: at most
 * VMMEM_REGION_NAME_MAX bytes, copied.  A memfd is named so too, and shows in
 * /proc/PID/maps.  NULL or "" for none.
 */
void vmmem_region_builder_set_name(struct vmmem_region_builder *builder,
				   const char *name);

/*
 * vmmem_region_builder_build() makes a region of the settings.  The caller
 * owns one reference.  On failure nothing is left behind, 'ret_region' is not
 * written, and the settings are as they were: they may be changed and built
 * again.  vmmem_region_builder_why() tells which of them was wrong.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'builder' or 'ret_region' is NULL; an unknown bit in the
 *                      protection or in the flags of a file, or both of these
 *                      flags; an unknown role; more than
 *                      VMMEM_REGION_COOKIES_MAX cookies, or
 *                      one with a NULL key; a NULL target, host address or ops;
 *                      neither read
 *                      nor acquire callback; both tracking and a bitmap, or
 *                      either for an alias of a region that has one; logging
 *                      without a bitmap; a page
 *                      size to track that is no power of two or below 64; a
 *                      policy for external memory, an alias or a custom region,
 *                      with seals for what is no memfd, with an unknown value,
 *                      or one that contradicts itself or another setting: huge
 *                      pages and THP; nodes that no mode takes; prefaulting
 *                      what may not be accessed; a guest_memfd for an alias
 *                      or a custom region, or one that is the region's own file
 *   VMMEM_EZEROLEN     the length is 0, or the range was never set
 *   VMMEM_EWRAPS       the range passes 2^64; file offset + length passes 2^63
 *                      - 1; host address + length passes 2^64; or the length is
 *                      more than a process can map
 *   VMMEM_EPASTEOF     a regular file, or the guest_memfd, ends before offset +
 *                      length
 *   VMMEM_EFILETYPE    the guest_memfd is no guest_memfd
 *   VMMEM_EFILEACCESS  its descriptor only names it (O_PATH)
 *   VMMEM_EFILEOFFSET  its offset is not a multiple of the page size
 *   VMMEM_EMISALIGNED  a region with a guest_memfd is not of whole pages
 *   VMMEM_ECONGRUENCE  guest and host address would differ modulo 16, or modulo
 *                      the policy's alignment; guest address and file offset do
 *   VMMEM_EOUTOFRANGE  an alias reaches past the end of its target, or a region
 *                      past the end of its bitmap
 *   VMMEM_EHUGEPAGE    the huge page size is not a power of two above the page
 *                      size, the length is not a multiple of it, the system has
 *                      no such pages, or the file is not on such a hugetlbfs
 *   VMMEM_ELONGNAME    the name is longer than VMMEM_REGION_NAME_MAX
 *   VMMEM_ENOSUPPORT   the system does not have what the policy asks for:
 *                      transparent huge pages, NUMA, a seal, locks on fault,
 *                      prefaulting (Linux 5.14), or allocation in that file
 *   VMMEM_ENONODE      the policy's nodes are not all there, or not for this
 *                      process
 *   VMMEM_ESHORTAGE    the system had no page to give while prefaulting
 *   what the policy's progress callback returned, if it canceled
 *   VMMEM_ESTRUCTSIZE, VMMEM_ESTRUCTNEWER, VMMEM_ECALLBACK
 *                       as vmmem_region_new_custom() says
 *   -errno              what the system said: membarrier(2) where logging is
 *                       switched on; and see the vmmem_region_new_...()
 *                       of the same kind; -ENOMEM also from the allocator, and
 *                       where the pool has too few free huge pages
 */
VMMEM_NODISCARD int
vmmem_region_builder_build(struct vmmem_region_builder *builder,
			   struct vmmem_region **ret_region);

/*
 * vmmem_region_builder_why() says, for people, what was wrong at the last
 * build: one English sentence without a full stop, which names the setting.
 * Each cause of VMMEM_EARGUMENT has its own.  Where nothing is known beyond the
 * code, it is that of vmmem_strerror().  "" if the last build succeeded, if
 * there was none, and for NULL.  The string is constant, and contains no
 * address.  Since: 0.9.
 */
const char *
vmmem_region_builder_why(const struct vmmem_region_builder *builder);

VMMEM_END_DECLS

#endif
