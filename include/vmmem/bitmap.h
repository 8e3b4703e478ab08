/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * vmmem/bitmap.h - the log of dirtied pages.
 *
 * A bitmap covers the bytes [0, len) of something, a region as a rule, in
 * pages of a power of two from 64 bytes on.  Whatever writes guest memory
 * through this library marks the pages of a region that has a bitmap; other
 * writers call vmmem_bitmap_mark().
 *
 * Marking takes no lock and is safe on any thread and in a signal handler.
 * Finding what is marked costs in proportion to what is marked, not to the
 * length: a bitmap of the library's own memory keeps two levels of summary.
 * Memory for the bits is only used where marks are made.
 *
 * A harvester (vmmem/harvester.h) sees each write once, beside other
 * harvesters; a dirty log (vmmem/dirty_log.h) does so for a whole space.  The
 * functions here look at the marks that no harvester has taken yet.
 *
 * After fork(), a child may use the bitmaps it inherited, if no other thread
 * was in one of the functions that say they take the bitmap's lock.
 *
 * Since: 0.9, all of it.
 */
#ifndef VMMEM_BITMAP_H
#define VMMEM_BITMAP_H

#include <vmmem/base.h>

VMMEM_BEGIN_DECLS

struct vmmem_bitmap;

/* The smallest page, in bytes. */
#define VMMEM_BITMAP_PAGE_MIN 64

/* Options of a bitmap; NULL and zero are good for all of them. */
struct vmmem_bitmap_options {
	/* sizeof(struct vmmem_bitmap_options) */
	size_t size;

	/* A name, for people; copied.  NULL: no name. */
	const char *name;
};

/*
 * vmmem_bitmap_new() makes a clean bitmap for 'len' bytes in pages of
 * 'page_size' bytes; the last page may be a part of one.  It can grow to
 * 'max_len' bytes, 0 for 'len'; address space, but no memory, is set aside for
 * that.  'options' may be NULL.  The caller owns one reference.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT     'page_size' is not a power of two or below 64;
 *                       'max_len' is below 'len'; 'ret_bitmap' is NULL
 *   VMMEM_EZEROLEN      'len' and 'max_len' are 0
 *   VMMEM_ESTRUCTSIZE   the size of 'options' is that of no version
 *   VMMEM_ESTRUCTNEWER  'options' has members set that this version does not
 *                       know
 *   -errno              what mmap(2) said; -ENOMEM also from the allocator
 */
VMMEM_NODISCARD int vmmem_bitmap_new(uint64_t len, uint64_t max_len,
				     uint64_t page_size,
				     const struct vmmem_bitmap_options *options,
				     struct vmmem_bitmap **ret_bitmap);

/*
 * vmmem_bitmap_new_external() makes a bitmap whose bits are the caller's
 * memory, which other processes may share: the log of vhost-user.  Bit n of
 * byte m stands for page 8 * m + n.  Bits that are set there already are
 * marks.  'bits' holds 'bits_len' bytes, any number of them at any address,
 * and no byte around them is touched.  They stay accessible until the last
 * reference is dropped; then release(opaque) is called, if it is not NULL.  If
 * a peer may cut them short, see vmmem/fault.h.
 *
 * Each mark is an atomic operation, as others may clear bits at any time; and
 * there is no summary, so what walks over the bitmap costs in proportion to
 * its length.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'page_size' is not a power of two or below 64; 'bits' or
 *                      'ret_bitmap' is NULL
 *   VMMEM_EZEROLEN     'len' is 0
 *   VMMEM_EOUTOFRANGE  'bits' is too short for 'len'
 *   -ENOMEM            from the allocator
 *   VMMEM_ESTRUCTSIZE and VMMEM_ESTRUCTNEWER as for vmmem_bitmap_new()
 * and then release() is not called.
 */
VMMEM_NODISCARD int
vmmem_bitmap_new_external(void *bits, size_t bits_len, uint64_t len,
			  uint64_t page_size, void (*release)(void *opaque),
			  void *opaque,
			  const struct vmmem_bitmap_options *options,
			  struct vmmem_bitmap **ret_bitmap);

/*
 * vmmem_bitmap_ref() takes one more reference and returns 'bitmap'.  NULL
 * stays NULL.  Any thread that holds one, or a region that does.
 */
struct vmmem_bitmap *vmmem_bitmap_ref(struct vmmem_bitmap *bitmap);

/*
 * vmmem_bitmap_unref() drops one reference and returns NULL; the last one
 * frees.  NULL is a no-op.  Any thread.
 */
struct vmmem_bitmap *vmmem_bitmap_unref(struct vmmem_bitmap *bitmap);

/* vmmem_bitmap_len() returns the bytes it covers; 0 for NULL. */
uint64_t vmmem_bitmap_len(const struct vmmem_bitmap *bitmap);

/* vmmem_bitmap_max_len() returns the bytes it can grow to; 0 for NULL. */
uint64_t vmmem_bitmap_max_len(const struct vmmem_bitmap *bitmap);

/* vmmem_bitmap_page_size() returns the bytes of a page; 0 for NULL. */
uint64_t vmmem_bitmap_page_size(const struct vmmem_bitmap *bitmap);

/*
 * vmmem_bitmap_is_external() returns 1 if the bits are the caller's memory,
 * else 0.
 */
int vmmem_bitmap_is_external(const struct vmmem_bitmap *bitmap);

/*
 * vmmem_bitmap_name() returns the name it was made with, or NULL.  It is the
 * bitmap's and lives as long.
 */
const char *vmmem_bitmap_name(const struct vmmem_bitmap *bitmap);

/*
 * vmmem_bitmap_mark() marks each page that holds a byte of
 * [offset, offset + len).  Call it after the bytes are written: what was
 * written before the call is what a harvester that finds the mark sees.
 *
 * Returns 0, or
 *   VMMEM_EOUTOFRANGE  the range reaches past the bitmap's length; the pages
 *                      within it are marked all the same
 *   VMMEM_EARGUMENT    'bitmap' is NULL
 */
int vmmem_bitmap_mark(struct vmmem_bitmap *bitmap, uint64_t offset,
		      uint64_t len);

/*
 * vmmem_bitmap_test() returns 1 if the page that holds the byte at 'offset' is
 * marked, else 0; 0 too past the end and for NULL.
 */
int vmmem_bitmap_test(const struct vmmem_bitmap *bitmap, uint64_t offset);

/*
 * vmmem_bitmap_clear() takes the marks from the pages that lie wholly within
 * [offset, offset + len); the last page of the bitmap counts as whole if the
 * range reaches the end.  A page of which only a part is in the range stays
 * marked, as its other bytes may be dirty.  The marks are taken from every
 * harvester that has not taken them yet, too: for memory whose contents no
 * longer matter.  A part of the range past the end is ignored.  Takes the
 * bitmap's lock.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'bitmap' is NULL
 *   -errno           what membarrier(2) said; all these pages are marked then
 */
VMMEM_NODISCARD int vmmem_bitmap_clear(struct vmmem_bitmap *bitmap,
				       uint64_t offset, uint64_t len);

/* vmmem_bitmap_count() returns the number of marked pages; 0 for NULL. */
uint64_t vmmem_bitmap_count(const struct vmmem_bitmap *bitmap);

/*
 * vmmem_bitmap_next() finds the first marked page that holds a byte at or
 * above 'offset', and how far marked pages follow one another from there:
 * 'ret_offset' and 'ret_len' get the dirty range in bytes.  The range begins at
 * 'offset' at the earliest and ends at the bitmap's length at the latest.
 * 'ret_len' is 0, and 'ret_offset' the length, if there is none.  To visit
 * all:
 *
 *     for (at = 0; vmmem_bitmap_next(bitmap, at, &start, &len) == 0 &&
 *                  len != 0; at = start + len)
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  a pointer is NULL
 */
VMMEM_NODISCARD int vmmem_bitmap_next(const struct vmmem_bitmap *bitmap,
				      uint64_t offset, uint64_t *ret_offset,
				      uint64_t *ret_len);

/*
 * vmmem_bitmap_export() writes the marks of [offset, offset + len) as an array
 * of bits, one for each page of 'page_size' bytes, which may be another size
 * than the bitmap's.  Bit n % 8 of byte n / 8 stands for the bytes
 * [offset + n * page_size, offset + (n + 1) * page_size), as far as they are in
 * the range, and is set if any of them is in a marked page.  All 'bytes' bytes
 * at 'bits', of any alignment, are written; bits past the range are 0.
 *
 * This is the form of KVM, VFIO and vhost, on machines of any endianness; an
 * array of vmmem_le64 is one.  All of a bitmap is [0, vmmem_bitmap_len()).
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'bitmap' is NULL, or 'bits' is and 'bytes' is not 0;
 *                      'page_size' is not a power of two or below 64
 *   VMMEM_EOUTOFRANGE  the range reaches past the bitmap's length, or 'bytes'
 *                      bytes are too few for it; nothing is written
 */
VMMEM_NODISCARD int vmmem_bitmap_export(const struct vmmem_bitmap *bitmap,
					uint64_t offset, uint64_t len,
					uint64_t page_size, void *bits,
					size_t bytes);

/*
 * vmmem_bitmap_merge() goes the other way: it marks in [offset, offset + len)
 * what an array of the same form says.  A page of the bitmap is marked if any
 * byte of it is in the range and in a page of the array whose bit is set.  Bits
 * past the range are not looked at.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'bitmap' is NULL, or 'bits' is and 'bytes' is not 0;
 *                      'page_size' is not a power of two or below 64
 *   VMMEM_EOUTOFRANGE  'bytes' bytes are too few for the range, and nothing is
 *                      marked; or a bit is set for a page that begins past the
 *                      bitmap's length, and all others are marked all the same
 */
VMMEM_NODISCARD int vmmem_bitmap_merge(struct vmmem_bitmap *bitmap,
				       uint64_t offset, uint64_t len,
				       uint64_t page_size, const void *bits,
				       size_t bytes);

/*
 * vmmem_bitmap_grow() makes the bitmap cover 'len' bytes, while others mark
 * and harvest.  What is added is clean.  Takes the bitmap's lock.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT    'bitmap' is NULL, or 'len' is below what it is
 *   VMMEM_EOUTOFRANGE  'len' is more than the maximum it was made with
 */
VMMEM_NODISCARD int vmmem_bitmap_grow(struct vmmem_bitmap *bitmap,
				      uint64_t len);

/*
 * vmmem_bitmap_start_logging() switches logging on: from its return, whatever
 * the library writes to a region with this bitmap is marked; and whatever it
 * wrote before without a mark is in memory for all to see.  So a copy of all
 * memory made after this, and the marks since, miss nothing.  Devices keep
 * running.
 *
 * Starts are counted; a harvester has one of its own.  While nobody has
 * started, a write costs what it costs on a region without a bitmap; marks made
 * with vmmem_bitmap_mark() are made in any case.  Takes the bitmap's lock.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'bitmap' is NULL
 *   -errno           what membarrier(2) said; logging is as it was
 */
VMMEM_NODISCARD int vmmem_bitmap_start_logging(struct vmmem_bitmap *bitmap);

/*
 * vmmem_bitmap_stop_logging() takes one vmmem_bitmap_start_logging() back.
 * With the last one, and no harvester, writes are no longer marked; marks that
 * are there stay.  Takes the bitmap's lock.
 *
 * Returns 0, or
 *   VMMEM_EARGUMENT  'bitmap' is NULL, or there is no start to take back
 */
int vmmem_bitmap_stop_logging(struct vmmem_bitmap *bitmap);

/*
 * vmmem_bitmap_is_logging() returns 1 if writes are marked, else 0.  On a
 * kernel without membarrier(2), and for external bits, they always are.
 */
int vmmem_bitmap_is_logging(const struct vmmem_bitmap *bitmap);

/*
 * vmmem_bitmap_logging() returns the word behind vmmem_bitmap_is_logging(): 0
 * while writes need no mark, any other value while they do.  A writer that
 * marks for itself, such as a binding, looks at it instead of calling:
 *
 *     write the bytes; atomic_signal_fence(seq_cst);
 *     if (load(word, relaxed) != 0) vmmem_bitmap_mark(bitmap, offset, len);
 *
 * The order matters: a look before the bytes are written may miss a start.  The
 * word is the bitmap's and lives as long; only the library stores to it.
 * NULL for NULL.
 */
const uint32_t *vmmem_bitmap_logging(const struct vmmem_bitmap *bitmap);

VMMEM_END_DECLS

#endif
