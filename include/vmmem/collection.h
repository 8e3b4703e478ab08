/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/collection.h - one memory map: a sorted set of regions that do not
 * overlap.
 *
 * A collection is reference counted and never changes once it is made.
 * Inserting and removing give a new collection and leave the old one as it
 * was, so readers of the old one need no lock.  A collection holds a reference
 * to each of its regions.
 *
 * Regions may touch; a range that runs from one into the next is one range.
 * Zero bytes at any address are in every collection: nothing is looked at.
 * Ranges never wrap from the top of the address space to address 0.
 *
 * Regions that a function returns are borrowed: they live at least as long as
 * the caller's reference to the collection.  Take a reference to keep one.
 *
 * After fork(), a child owns its copy of each reference and may look up and
 * access.  It may insert, remove and unref if no other thread was in one of
 * these at the fork; vmmem_space_before_fork() sees to that.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_COLLECTION_H
#define VMMEM_COLLECTION_H

#include <vmmem/base.h>
#include <vmmem/region.h>

VMMEM_BEGIN_DECLS

struct vmmem_collection;
struct vmmem_region_builder;

/* No collection has more cookies. */
#define VMMEM_COLLECTION_COOKIES_MAX 8

/* A range of guest addresses: [gpa, gpa + len). */
struct vmmem_range {
	uint64_t gpa;
	uint64_t len;
};

/* A range of guest addresses and the part of a file that backs it. */
struct vmmem_file_range {
	uint64_t gpa;
	uint64_t len;
	uint64_t offset; /* of the first byte, in the file */
	int32_t fd;	/* -1: no file, and offset and flags are 0 */
	uint32_t flags; /* VMMEM_FILE_... */
};

/*
 * vmmem_collection_new() makes a collection of the 'count' regions in
 * 'regions', which must stand in ascending order.  It takes its own reference
 * to each; the caller keeps its own.
 *
 * On success the caller owns one reference to the collection.  On failure
 * nothing is left behind and 'ret_collection' is not written.  Any thread.
 *
 * Returns 0, or
 *   VMMEM_ENOREGION  'count' is 0; see vmmem_collection_new_empty()
 *   VMMEM_EUNSORTED  a region starts below the one before it
 *   VMMEM_EOVERLAP   a region starts within the one before it
 *   VMMEM_EARGUMENT  'regions', one of them, or 'ret_collection' is NULL
 *   -ENOMEM          from the allocator
 */
VMMEM_NODISCARD int
vmmem_collection_new(struct vmmem_region *const *regions, size_t count,
		     struct vmmem_collection **ret_collection);

/*
 * vmmem_collection_new_unsorted() is vmmem_collection_new() for regions in
 * any order: it sorts its copy of the array and never returns
 * VMMEM_EUNSORTED.
 */
VMMEM_NODISCARD int
vmmem_collection_new_unsorted(struct vmmem_region *const *regions,
			      size_t count,
			      struct vmmem_collection **ret_collection);

/*
 * vmmem_collection_new_empty() makes a collection without regions, to insert
 * into.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'ret_collection' is NULL
 *   -ENOMEM          from the allocator
 */
VMMEM_NODISCARD int
vmmem_collection_new_empty(struct vmmem_collection **ret_collection);

/*
 * vmmem_collection_new_ranges() makes a region of anonymous memory for each
 * of 'count' ranges, in ascending order, and a collection of them, which holds
 * the only references.
 *
 * 'like' is a builder whose settings each region gets, except the range: name,
 * protection, tracking, policy, huge pages, cookies, and a memfd of its own if
 * that is the backing.  With a bitmap each region begins in it at the builder's
 * offset plus its distance from the first range, so that one log covers all;
 * and so it does in a guest_memfd, so that one file has all private bytes.  The
 * builder stays the caller's, and vmmem_region_builder_why() tells what was
 * wrong with a setting.  NULL for the defaults.
 *
 * Returns 0, or what vmmem_region_builder_build() and vmmem_collection_new()
 * return, and
 *   VMMEM_EARGUMENT  the backing of 'like' is neither anonymous nor a memfd
 * Sorting and overlap are checked before any memory is mapped.
 */
VMMEM_NODISCARD int
vmmem_collection_new_ranges(const struct vmmem_range *ranges, size_t count,
			    struct vmmem_region_builder *like,
			    struct vmmem_collection **ret_collection);

/*
 * vmmem_collection_new_file_ranges() is vmmem_collection_new_ranges() with a
 * part of a file behind each range that has one, mapped as its 'flags' say: see
 * vmmem_region_builder_set_file().  Descriptors stay the caller's, which may
 * close them.
 *
 * Returns 0, or what vmmem_collection_new_ranges() returns, and
 *   VMMEM_EARGUMENT  an 'fd' is -1 and its 'offset' or 'flags' are not 0, or
 *                    'flags' are no flags of a file
 */
VMMEM_NODISCARD int
vmmem_collection_new_file_ranges(const struct vmmem_file_range *ranges,
				 size_t count,
				 struct vmmem_region_builder *like,
				 struct vmmem_collection **ret_collection);

/*
 * vmmem_collection_ref() takes one more reference and returns 'collection'.
 * NULL stays NULL.  Any thread that holds one.
 */
struct vmmem_collection *
vmmem_collection_ref(struct vmmem_collection *collection);

/*
 * vmmem_collection_unref() drops one reference and returns NULL.  With the
 * last one the references to its regions are dropped, which may unmap memory
 * on this thread.  NULL is a no-op.
 */
struct vmmem_collection *
vmmem_collection_unref(struct vmmem_collection *collection);

/*
 * vmmem_collection_set_cookie() leaves a pointer with the collection under
 * 'key', once: data of a component about this map, say its table of the
 * regions.  'key' is an address that the component has for itself, such as
 * that of a static variable.  Of several threads that set the same key, one
 * succeeds, and the others use its cookie.  A collection made of this one by
 * inserting or removing has none of its cookies; a translated one has its own.
 *
 * destroy(cookie), which may be NULL, is called once, when the last reference
 * to the collection is dropped, on that thread, and after the collection's
 * references to its regions are; several in the order in which they were set.
 * While a space has the map, that is a writer, or a thread in
 * vmmem_space_synchronize() or vmmem_space_unref(), and never a reader.  It may
 * be in the middle of an update, so 'destroy' must not change that space's
 * map.  On failure the caller still owns the cookie.
 *
 * Any thread that holds a reference or is in a section; not in a signal
 * handler.
 *
 * Returns 0, or
 *   VMMEM_EEXISTS    there is a cookie of this key, and it stays
 *   VMMEM_ENOROOM    there are VMMEM_COLLECTION_COOKIES_MAX others
 *   VMMEM_EARGUMENT  'collection', 'key' or 'cookie' is NULL
 *   -ENOMEM          from the allocator
 * Since: 0.9.
 */
VMMEM_NODISCARD int
vmmem_collection_set_cookie(struct vmmem_collection *collection,
			    const void *key, void *cookie,
			    void (*destroy)(void *cookie));

/*
 * vmmem_collection_cookie() returns the cookie of 'key'; NULL if there is none,
 * and for NULL.  Any thread that holds a reference or is in a section, also in
 * a signal handler.  Since: 0.9.
 */
void *vmmem_collection_cookie(const struct vmmem_collection *collection,
			      const void *key);

/*
 * vmmem_collection_insert() makes a new collection of the regions of
 * 'collection' and 'region'.  The old one is left as it was; the caller keeps
 * its references to both.
 *
 * Returns 0, or
 *   VMMEM_EOVERLAP   'region' shares an address with a region that is there
 *   VMMEM_EARGUMENT  'collection', 'region' or 'ret_collection' is NULL
 *   -ENOMEM          from the allocator
 */
VMMEM_NODISCARD int
vmmem_collection_insert(const struct vmmem_collection *collection,
			struct vmmem_region *region,
			struct vmmem_collection **ret_collection);

/*
 * vmmem_collection_remove() makes a new collection without the region that
 * is exactly [gpa, gpa + len), and stores that region with a reference that
 * the caller owns.  'ret_region' may be NULL.  The old collection is left as
 * it was.  Removing the last region gives an empty collection.
 *
 * Returns 0, or
 *   VMMEM_ENOREGION  no region has exactly this start and length
 *   VMMEM_EARGUMENT  'collection' or 'ret_collection' is NULL
 *   -ENOMEM          from the allocator
 */
VMMEM_NODISCARD int
vmmem_collection_remove(const struct vmmem_collection *collection,
			uint64_t gpa, uint64_t len,
			struct vmmem_collection **ret_collection,
			struct vmmem_region **ret_region);

/*
 * The functions below only read: any thread that holds a reference, also in a
 * signal handler.  No lock is taken and nothing is allocated.
 */

/* vmmem_collection_count() returns the number of regions; 0 for NULL. */
size_t vmmem_collection_count(const struct vmmem_collection *collection);

/*
 * vmmem_collection_region() returns the region at 'index', in ascending order
 * of address from 0 on; NULL if 'index' is not below the count, or 'collection'
 * is NULL.
 */
struct vmmem_region *
vmmem_collection_region(const struct vmmem_collection *collection,
			size_t index);

/*
 * vmmem_collection_for_each() calls visit(opaque, region) for each region in
 * ascending order, until it returns something other than 0, and returns that;
 * 0 if it never did; VMMEM_EARGUMENT if 'collection' or 'visit' is NULL.
 */
int vmmem_collection_for_each(const struct vmmem_collection *collection,
			      int (*visit)(void *opaque,
					   struct vmmem_region *region),
			      void *opaque);

/*
 * vmmem_collection_find() returns the region that holds the guest address
 * 'gpa'; NULL if none does, or 'collection' is NULL.
 */
struct vmmem_region *
vmmem_collection_find(const struct vmmem_collection *collection,
		      uint64_t gpa);

/*
 * vmmem_collection_next() stores the region that holds 'gpa', or else the first
 * one above it.  A byte of a range [gpa, gpa + len) that is not empty is mapped
 * if that region starts below the end of the range:
 *
 *     vmmem_collection_next(map, gpa, &region) == 0 &&
 *             (vmmem_region_start(region) <= gpa ||
 *              vmmem_region_start(region) - gpa < len)
 *
 * For a translated collection it looks at the physical one.
 *
 * Returns 0, or
 *   VMMEM_ENOREGION  there is no region at 'gpa' nor above
 *   VMMEM_EARGUMENT  a pointer is NULL
 */
VMMEM_NODISCARD int
vmmem_collection_next(const struct vmmem_collection *collection, uint64_t gpa,
		      struct vmmem_region **ret_region);

/*
 * vmmem_collection_index() returns the number of the region that
 * vmmem_collection_next() stores, for vmmem_collection_region(): a walk over
 * a part of the map begins there.  It returns the count if there is no such
 * region; 0 for NULL.  Since: 0.9.
 */
size_t vmmem_collection_index(const struct vmmem_collection *collection,
			      uint64_t gpa);

/*
 * vmmem_collection_overlaps() returns 1 if a byte of [gpa, gpa + len) is
 * mapped, else 0, as for no bytes and for NULL.  A range that passes 2^64 ends
 * there.  For a translated collection it looks at the physical one: it tells
 * whether a region of that range could be inserted.  Since: 0.9.
 */
int vmmem_collection_overlaps(const struct vmmem_collection *collection,
			      uint64_t gpa, uint64_t len);

/*
 * vmmem_collection_locate() stores the region that holds 'gpa' and how far
 * into it 'gpa' lies, in bytes.
 *
 * Returns 0, or
 *   VMMEM_EBADADDR   'gpa' lies in no region
 *   VMMEM_EARGUMENT  a pointer is NULL
 */
VMMEM_NODISCARD int
vmmem_collection_locate(const struct vmmem_collection *collection,
			uint64_t gpa, struct vmmem_region **ret_region,
			uint64_t *ret_offset);

/*
 * vmmem_collection_last() stores the highest guest address that is mapped.
 *
 * Returns 0, or
 *   VMMEM_ENOREGION  the collection is empty
 *   VMMEM_EARGUMENT  a pointer is NULL
 */
VMMEM_NODISCARD int
vmmem_collection_last(const struct vmmem_collection *collection,
		      uint64_t *ret_last);

/*
 * vmmem_collection_contains() returns 1 if 'gpa' lies in a region, else 0, as
 * for NULL.
 */
int vmmem_collection_contains(const struct vmmem_collection *collection,
			      uint64_t gpa);

/*
 * vmmem_collection_check() tells whether all of [gpa, gpa + len) is mapped,
 * in one region or in several that touch, and permits 'access': a set of
 * VMMEM_PROT_READ and VMMEM_PROT_WRITE, or 0 to check only the mapping.
 *
 * With VMMEM_EBADADDR, VMMEM_EDENIED and VMMEM_EPRIVATE it stores the address
 * of the first byte that fails.  So after any access function returned one of
 * them, a check of the same range and access tells where.  'ret_bad' may be
 * NULL.
 *
 * Returns 0, or
 *   VMMEM_EBADADDR   a byte lies in no region
 *   VMMEM_EDENIED    a byte does not permit the access
 *   VMMEM_EPRIVATE   a byte is private to the guest (vmmem/private.h), and
 *                    'access' is not 0
 *   VMMEM_EWRAPS     all bytes up to 2^64 - 1 are good, and the range is longer
 *   VMMEM_EARGUMENT  'collection' is NULL, or 'access' has an unknown bit
 */
VMMEM_NODISCARD int
vmmem_collection_check(const struct vmmem_collection *collection,
		       uint64_t gpa, uint64_t len, uint32_t access,
		       uint64_t *ret_bad);

/*
 * vmmem_collection_address_add() stores gpa + offset if that address is mapped.
 * The addresses between the two are not looked at.
 *
 * Returns 0, or
 *   VMMEM_EWRAPS     gpa + offset passes 2^64
 *   VMMEM_EBADADDR   gpa + offset lies in no region
 *   VMMEM_EARGUMENT  a pointer is NULL
 */
VMMEM_NODISCARD int
vmmem_collection_address_add(const struct vmmem_collection *collection,
			     uint64_t gpa, uint64_t offset, uint64_t *ret_gpa);

/*
 * vmmem_collection_host_address() stores the host address of the byte at
 * 'gpa' and how many bytes from there to the end of its region lie there in
 * one piece, which is never 0.  'access' is what the caller means to do, as
 * for vmmem_collection_check().  The pointer is good as long as the caller's
 * reference to the collection.  Writes through it are not marked in a bitmap.
 *
 * Returns 0, or
 *   VMMEM_EBADADDR   'gpa' lies in no region
 *   VMMEM_EDENIED    the region does not permit 'access'
 *   VMMEM_ENOHOST    a custom region without a host address
 *   VMMEM_EPRIVATE   the byte is private to the guest; shared ones lie there up
 *                    to the next private one
 *   VMMEM_EARGUMENT  a pointer is NULL, or 'access' has an unknown bit
 */
VMMEM_NODISCARD int
vmmem_collection_host_address(const struct vmmem_collection *collection,
			      uint64_t gpa, uint32_t access, void **ret_host,
			      uint64_t *ret_len);

/*
 * vmmem_collection_piece() stores where the first bytes of [gpa, gpa + len)
 * are: in which region, from which offset on, and how many of them lie there,
 * which is never 0 and at most 'len'.  Neighbours are not joined, and custom
 * regions that have only callbacks are pieces too.  So a caller walks over a
 * range region by region: it continues at gpa + *ret_len until all is done.
 * 'access' is what the caller means to do, as for vmmem_collection_check().
 *
 * 'ret_host' gets the host address of the first byte, or NULL if the region has
 * none; it may be NULL itself.  The region and the address are good as long as
 * the caller's reference to the collection.  Through an iommu the piece ends
 * where the translation does, and [gpa, gpa + len) leads there as long as the
 * caller is in a section of the iotlb (vmmem_iotlb_enter()).  Writes through
 * the address are not marked in a bitmap.
 *
 * Returns 0, or
 *   VMMEM_EBADADDR    'gpa' lies in no region
 *   VMMEM_EDENIED     the region does not permit 'access'
 *   VMMEM_EPRIVATE    the first byte is private to the guest, and 'access' is
 *                     not 0; with 0, 'ret_host' gets NULL if a byte of the
 *                     piece is
 *   VMMEM_EWRAPS      the piece ends at 2^64 - 1, and the range is longer
 *   VMMEM_EZEROLEN    'len' is 0
 *   VMMEM_EIOMMUMISS, and what the miss handler returned
 *                     the first byte has no translation
 *   VMMEM_EARGUMENT   a pointer is NULL that must not be, or 'access' has an
 *                     unknown bit
 * On failure nothing is stored.
 * Since: 0.9.
 */
VMMEM_NODISCARD int
vmmem_collection_piece(const struct vmmem_collection *collection, uint64_t gpa,
		       uint64_t len, uint32_t access,
		       struct vmmem_region **ret_region, uint64_t *ret_offset,
		       uint64_t *ret_len, void **ret_host);

/*
 * vmmem_collection_describe() writes the map as text, for people: one line for
 * each region, in ascending order.
 *
 *     START-LAST KIND PROTECTION LENGTH NAME
 *     START-LAST alias PROTECTION LENGTH NAME of NAME+OFFSET
 *
 * Numbers are hexadecimal.  A region without a name is "-".  Bytes of a name
 * that are not printable, and spaces, are "?".  No host address is shown.  For
 * a translated collection it is the physical one.  Programs should not read the
 * text: words may be added to a line.
 *
 * 'buf' gets as much as fits into 'capacity' bytes, always with a zero byte at
 * the end.  'ret_len', which may be NULL, gets the length of all of the text
 * without that byte, with 0 and with VMMEM_ENOROOM.  'buf' may be NULL if
 * 'capacity' is 0.  Not in a signal handler.
 *
 * Returns 0, or
 *   VMMEM_ENOROOM    the text is longer than 'capacity' - 1 bytes
 *   VMMEM_EARGUMENT  'collection' is NULL, or 'buf' is and 'capacity' is not 0
 * Since: 0.9.
 */
int vmmem_collection_describe(const struct vmmem_collection *collection,
			      char *buf, size_t capacity, size_t *ret_len);

/*
 * vmmem_collection_host_to_gpa() is the reverse: it stores the guest
 * address of the byte at the host address 'host', and how many bytes of its
 * region lie there from it on.  If several regions show the byte, it takes the
 * lowest one.  For a translated collection it looks at the physical one.  The
 * call takes time in proportion to the number of regions.
 *
 * Returns 0, or
 *   VMMEM_EBADADDR   no region has that host address
 *   VMMEM_EARGUMENT  'collection', 'ret_gpa' or 'ret_len' is NULL
 */
VMMEM_NODISCARD int
vmmem_collection_host_to_gpa(const struct vmmem_collection *collection,
			     const void *host, uint64_t *ret_gpa,
			     uint64_t *ret_len);

/*
 * vmmem_collection_start_logging() is vmmem_bitmap_start_logging() for the
 * bitmap of each region that has one, all at once: one membarrier(2) for all of
 * them, as for one.  A bitmap that several regions have is started for each.
 * Harvesters that are made afterwards need no barrier of their own.  The call
 * takes the bitmaps' locks, one by one: not in a signal handler.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'collection' is NULL
 *   -errno           what membarrier(2) said; logging is as it was
 */
VMMEM_NODISCARD int
vmmem_collection_start_logging(const struct vmmem_collection *collection);

/*
 * vmmem_collection_stop_logging() undoes one
 * vmmem_collection_start_logging() of a collection of the same regions.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'collection' is NULL; or a bitmap has no start to take
 *                    back, and all others are stopped
 */
int vmmem_collection_stop_logging(const struct vmmem_collection *collection);

VMMEM_END_DECLS

#endif
