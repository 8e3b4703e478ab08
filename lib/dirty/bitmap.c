/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Bitmaps of written pages: logging them on and off, marks, questions. */
#include <vmmem/bitmap.h>
#include <vmmem/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/api.h"
#include "base/refcount.h"
#include "base/barrier.h"
#include "dirty/bitmap_priv.h"
#include "base/cancel.h"
#include "base/released_sizes.h"
#include "base/struct_size.h"
#include "base/zalloc.h"

static bool
page_size_is_good(uint64_t page_size)
{
	return page_size >= VMMEM_BITMAP_PAGE_MIN &&
	       (page_size & (page_size - 1)) == 0;
}

/* prepare() sets everything except the bits. */
static int
prepare(struct vmmem_bitmap *bitmap, uint64_t len, uint64_t max_len,
	unsigned int page_shift)
{
	int rc;

	rc = pthread_mutex_init(&bitmap->lock, NULL);
	if (rc != 0)
		return -rc;
	atomic_init(&bitmap->refs, 1);
	LIST_INIT(&bitmap->harvesters);
	bitmap->len = len;
	bitmap->max_len = max_len;
	bitmap->page_shift = page_shift;
	return 0;
}

int
vmmem_bitmap_init(struct vmmem_bitmap *bitmap, const struct vmmem_bitmap *like)
{
	int rc;

	rc = prepare(bitmap, like->len, like->max_len, like->page_shift);
	if (rc != 0)
		return rc;
	/*
	 * Only the harvester's thread uses these bits, so a bit that is set may
	 * always be skipped.
	 */
	rc = vmmem_bits_init(&bitmap->bits,
			     vmmem_bitmap_pages(like->max_len,
						like->page_shift),
			     true);
	if (rc != 0)
		pthread_mutex_destroy(&bitmap->lock);
	return rc;
}

void
vmmem_bitmap_fini(struct vmmem_bitmap *bitmap)
{
	vmmem_bits_destroy(&bitmap->bits);
	pthread_mutex_destroy(&bitmap->lock);
}

/* set_options() does what 'options', which may be NULL, say. */
static int
set_options(struct vmmem_bitmap *bitmap,
	    const struct vmmem_bitmap_options *options)
{
	struct vmmem_bitmap_options known;
	int rc;

	if (options == NULL)
		return 0;
	rc = vmmem_struct_take(options, &known, sizeof(known),
			       VMMEM_BITMAP_OPTIONS_SIZE_0_9);
	if (rc != 0 || known.name == NULL)
		return rc;
	bitmap->name = strdup(known.name);
	return bitmap->name != NULL ? 0 : -ENOMEM;
}

/* make() makes a bitmap without its bits. */
static int
make(uint64_t len, uint64_t max_len, unsigned int page_shift,
     const struct vmmem_bitmap_options *options,
     struct vmmem_bitmap **ret_bitmap)
{
	/* A mark looks at one cache line of it. */
	struct vmmem_bitmap *bitmap = vmmem_zalloc(sizeof(*bitmap));
	int rc;

	if (bitmap == NULL)
		return -ENOMEM;
	rc = set_options(bitmap, options);
	if (rc == 0)
		rc = prepare(bitmap, len, max_len, page_shift);
	if (rc != 0) {
		free(bitmap->name);
		free(bitmap);
		return rc;
	}
	*ret_bitmap = bitmap;
	return 0;
}

/* always_log() is for bits that cannot be switched off without a risk. */
static void
always_log(struct vmmem_bitmap *bitmap)
{
	bitmap->always = true;
	bitmap->logging = 1;
}

VMMEM_API int
vmmem_bitmap_new(uint64_t len, uint64_t max_len, uint64_t page_size,
		 const struct vmmem_bitmap_options *options,
		 struct vmmem_bitmap **ret_bitmap)
{
	struct vmmem_bitmap *bitmap;
	unsigned int shift;
	bool barrier;
	int rc;

	if (ret_bitmap == NULL || !page_size_is_good(page_size) ||
	    (max_len != 0 && max_len < len))
		return VMMEM_EARGUMENT;
	if (max_len == 0)
		max_len = len;
	if (max_len == 0)
		return VMMEM_EZEROLEN;
	shift = (unsigned int)__builtin_ctzll(page_size);

	rc = make(len, max_len, shift, options, &bitmap);
	if (rc != 0)
		return rc;
	/*
	 * Without the barrier, marks that are set must be set again, and
	 * nobody could tell when the last unmarked write is over.
	 */
	barrier = vmmem_barrier_available();
	rc = vmmem_bits_init(&bitmap->bits, vmmem_bitmap_pages(max_len, shift),
			     barrier);
	if (rc != 0) {
		pthread_mutex_destroy(&bitmap->lock);
		free(bitmap->name);
		free(bitmap);
		return rc;
	}
	if (!barrier)
		always_log(bitmap);
	*ret_bitmap = bitmap;
	return 0;
}

VMMEM_API int
vmmem_bitmap_new_external(void *bits, size_t bits_len, uint64_t len,
			  uint64_t page_size, void (*release)(void *opaque),
			  void *opaque,
			  const struct vmmem_bitmap_options *options,
			  struct vmmem_bitmap **ret_bitmap)
{
	struct vmmem_bitmap *bitmap;
	unsigned int shift;
	uint64_t pages;
	int rc;

	if (bits == NULL || ret_bitmap == NULL || !page_size_is_good(page_size))
		return VMMEM_EARGUMENT;
	if (len == 0)
		return VMMEM_EZEROLEN;
	shift = (unsigned int)__builtin_ctzll(page_size);
	pages = vmmem_bitmap_pages(len, shift);
	if ((pages - 1) / 8 >= bits_len)
		return VMMEM_EOUTOFRANGE;

	rc = make(len, len, shift, options, &bitmap);
	if (rc != 0)
		return rc;
	vmmem_bits_init_external(&bitmap->bits, bits, bits_len, pages);
	/* A harvester in another process cannot switch it on here. */
	always_log(bitmap);
	bitmap->release = release;
	bitmap->opaque = opaque;
	*ret_bitmap = bitmap;
	return 0;
}

VMMEM_API struct vmmem_bitmap *
vmmem_bitmap_ref(struct vmmem_bitmap *bitmap)
{
	if (bitmap != NULL)
		vmmem_refcount_take(&bitmap->refs);
	return bitmap;
}

VMMEM_API struct vmmem_bitmap *
vmmem_bitmap_unref(struct vmmem_bitmap *bitmap)
{
	int cancel;

	if (bitmap == NULL || !vmmem_refcount_drop(&bitmap->refs))
		return NULL;
	cancel = vmmem_cancel_off();
	vmmem_bitmap_fini(bitmap);
	if (bitmap->release != NULL)
		bitmap->release(bitmap->opaque);
	free(bitmap->name);
	free(bitmap);
	vmmem_cancel_back(cancel);
	return NULL;
}

VMMEM_API uint64_t
vmmem_bitmap_len(const struct vmmem_bitmap *bitmap)
{
	return bitmap != NULL ? vmmem_bitmap_len_now(bitmap) : 0;
}

VMMEM_API uint64_t
vmmem_bitmap_max_len(const struct vmmem_bitmap *bitmap)
{
	return bitmap != NULL ? bitmap->max_len : 0;
}

VMMEM_API int
vmmem_bitmap_is_external(const struct vmmem_bitmap *bitmap)
{
	return bitmap != NULL && bitmap->bits.external;
}

VMMEM_API const char *
vmmem_bitmap_name(const struct vmmem_bitmap *bitmap)
{
	return bitmap != NULL ? bitmap->name : NULL;
}

VMMEM_API uint64_t
vmmem_bitmap_page_size(const struct vmmem_bitmap *bitmap)
{
	return bitmap != NULL ? UINT64_C(1) << bitmap->page_shift : 0;
}

/* mark_slowly() is vmmem_bitmap_mark() of any range. */
static VMMEM_COLD int
mark_slowly(struct vmmem_bitmap *bitmap, uint64_t offset, uint64_t len)
{
	uint64_t size;
	int rc = 0;

	if (bitmap == NULL)
		return VMMEM_EARGUMENT;
	if (len == 0)
		return 0;
	size = vmmem_bitmap_len_now(bitmap);
	if (offset >= size)
		return VMMEM_EOUTOFRANGE;
	if (len > size - offset) {
		len = size - offset;
		rc = VMMEM_EOUTOFRANGE;
	}
	vmmem_bitmap_mark_within(bitmap, offset, len);
	return rc;
}

VMMEM_API int
vmmem_bitmap_mark(struct vmmem_bitmap *bitmap, uint64_t offset, uint64_t len)
{
	const uint64_t last = offset + (len - 1);

	/* If it wraps, or is empty, 'last' lies below. */
	if (!likely(bitmap != NULL && last >= offset &&
		    last < vmmem_bitmap_len_now(bitmap)))
		return mark_slowly(bitmap, offset, len);
	return vmmem_bitmap_mark_within(bitmap, offset, len);
}

VMMEM_API int
vmmem_bitmap_test(const struct vmmem_bitmap *bitmap, uint64_t offset)
{
	uint64_t page;

	if (bitmap == NULL || offset >= vmmem_bitmap_len_now(bitmap))
		return 0;
	page = offset >> bitmap->page_shift;
	return (vmmem_bits_word(&bitmap->bits, page / VMMEM_BITS_WORD) >>
		page % VMMEM_BITS_WORD) & 1;
}

VMMEM_API uint64_t
vmmem_bitmap_count(const struct vmmem_bitmap *bitmap)
{
	if (bitmap == NULL)
		return 0;
	return vmmem_bits_count(&bitmap->bits,
				vmmem_bitmap_pages(vmmem_bitmap_len_now(bitmap),
						   bitmap->page_shift));
}

VMMEM_API int
vmmem_bitmap_next(const struct vmmem_bitmap *bitmap, uint64_t offset,
		  uint64_t *ret_offset, uint64_t *ret_len)
{
	uint64_t len, first, last, page, end;
	unsigned int shift;

	if (bitmap == NULL || ret_offset == NULL || ret_len == NULL)
		return VMMEM_EARGUMENT;
	len = vmmem_bitmap_len_now(bitmap);
	shift = bitmap->page_shift;
	*ret_offset = len;
	*ret_len = 0;
	if (offset >= len)
		return 0;
	first = offset >> shift;
	last = (len - 1) >> shift;
	page = vmmem_bits_next(&bitmap->bits, first, last);
	if (page > last)
		return 0;
	end = vmmem_bits_next_clear(&bitmap->bits, page, last);
	/* Another thread may have cleared the bit meanwhile. */
	if (end == page)
		end = page + 1;

	*ret_offset = page == first ? offset : page << shift;
	/* The last page may be a part of one; and 2^64 is not a number. */
	*ret_len = (end > last ? len : end << shift) - *ret_offset;
	return 0;
}

/* move() gives the marks of one word to every harvester. */
static void
move(uint64_t index, uint64_t word, void *context)
{
	struct vmmem_bitmap *bitmap = context;
	struct vmmem_harvester *harvester;

	LIST_FOREACH(harvester, &bitmap->harvesters, link)
		vmmem_bits_add(&harvester->pending, index, word);
}

int
vmmem_bitmap_drain(struct vmmem_bitmap *bitmap)
{
	struct vmmem_harvester *harvester;
	int rc;

	if (vmmem_bits_drain(&bitmap->bits, move, bitmap)) {
		LIST_FOREACH(harvester, &bitmap->harvesters, link)
			harvester->pending_any = true;
		if (bitmap->bits.skip)
			bitmap->barrier_due = true;
	}
	if (!bitmap->barrier_due)
		return 0;
	/*
	 * A writer that found its bit set and did not set it again, before it
	 * was cleared, may have its data on the way to memory still.  After
	 * this the data is there.
	 */
	rc = vmmem_barrier();
	if (rc == 0)
		bitmap->barrier_due = false;
	return rc;
}

/*
 * clear_locked() clears the pages that lie wholly within the range.  Under the
 * lock, as what the last page is changes when the bitmap grows.
 */
static int
clear_locked(struct vmmem_bitmap *bitmap, uint64_t offset, uint64_t len)
{
	struct vmmem_harvester *harvester;
	uint64_t first, end;
	int rc = 0;

	vmmem_bitmap_whole_pages(bitmap, bitmap->len, offset, len, &first,
				 &end);
	if (first >= end)
		return 0;

	vmmem_bits_clear(&bitmap->bits, first, end - 1);
	LIST_FOREACH(harvester, &bitmap->harvesters, link)
		vmmem_bits_clear(&harvester->pending, first, end - 1);
	/* As in a harvest: the thread that clears makes the barrier. */
	if (bitmap->bits.skip)
		rc = vmmem_barrier();
	/* Which of them were marked is gone; too many is safe. */
	if (rc != 0)
		vmmem_bits_set(&bitmap->bits, first, end - 1);
	return rc;
}

VMMEM_API int
vmmem_bitmap_clear(struct vmmem_bitmap *bitmap, uint64_t offset, uint64_t len)
{
	int rc;

	if (bitmap == NULL)
		return VMMEM_EARGUMENT;
	pthread_mutex_lock(&bitmap->lock);
	rc = clear_locked(bitmap, offset, len);
	pthread_mutex_unlock(&bitmap->lock);
	return rc;
}

VMMEM_API int
vmmem_bitmap_grow(struct vmmem_bitmap *bitmap, uint64_t len)
{
	struct vmmem_harvester *harvester;
	int rc = 0;

	if (bitmap == NULL)
		return VMMEM_EARGUMENT;
	if (len > bitmap->max_len)
		return VMMEM_EOUTOFRANGE;
	pthread_mutex_lock(&bitmap->lock);
	if (len < bitmap->len) {
		rc = VMMEM_EARGUMENT;
	} else {
		/* Relaxed: the bits are there, and clear, from the start. */
		__atomic_store_n(&bitmap->len, len, __ATOMIC_RELAXED);
		LIST_FOREACH(harvester, &bitmap->harvesters, link)
			__atomic_store_n(&harvester->taken.len, len,
					 __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&bitmap->lock);
	return rc;
}

int
vmmem_bitmap_start_locked(struct vmmem_bitmap *bitmap)
{
	int rc = 0;

	/* Another one's barrier may be too late, or fail. */
	if ((bitmap->starts == 0 || bitmap->unsure != 0) && !bitmap->always) {
		/*
		 * Relaxed, as the barrier follows.  A writer looks here after
		 * it has written: if it finds 0, its data is in memory when
		 * the barrier is over, and if not, it marks.
		 */
		__atomic_store_n(&bitmap->logging, 1, __ATOMIC_RELAXED);
		rc = vmmem_barrier();
		if (rc != 0 && bitmap->starts == 0)
			__atomic_store_n(&bitmap->logging, 0,
					 __ATOMIC_RELAXED);
	}
	if (rc == 0)
		bitmap->starts++;
	return rc;
}

bool
vmmem_bitmap_start_unsure(struct vmmem_bitmap *bitmap)
{
	bool due;

	pthread_mutex_lock(&bitmap->lock);
	due = (bitmap->starts == 0 || bitmap->unsure != 0) && !bitmap->always;
	/* Relaxed, as the caller's barrier follows. */
	if (due)
		__atomic_store_n(&bitmap->logging, 1, __ATOMIC_RELAXED);
	bitmap->starts++;
	bitmap->other_starts++;
	bitmap->unsure++;
	pthread_mutex_unlock(&bitmap->lock);
	return due;
}

void
vmmem_bitmap_start_settle(struct vmmem_bitmap *bitmap, bool started)
{
	pthread_mutex_lock(&bitmap->lock);
	bitmap->unsure--;
	if (!started) {
		bitmap->other_starts--;
		vmmem_bitmap_stop_locked(bitmap);
	}
	pthread_mutex_unlock(&bitmap->lock);
}

VMMEM_API int
vmmem_bitmap_start_logging(struct vmmem_bitmap *bitmap)
{
	int rc;

	if (bitmap == NULL)
		return VMMEM_EARGUMENT;
	pthread_mutex_lock(&bitmap->lock);
	rc = vmmem_bitmap_start_locked(bitmap);
	if (rc == 0)
		bitmap->other_starts++;
	pthread_mutex_unlock(&bitmap->lock);
	return rc;
}

void
vmmem_bitmap_stop_locked(struct vmmem_bitmap *bitmap)
{
	/* Relaxed: a mark too many harms nobody. */
	if (--bitmap->starts == 0 && !bitmap->always)
		__atomic_store_n(&bitmap->logging, 0, __ATOMIC_RELAXED);
}

VMMEM_API int
vmmem_bitmap_stop_logging(struct vmmem_bitmap *bitmap)
{
	int rc = VMMEM_EARGUMENT;

	if (bitmap == NULL)
		return VMMEM_EARGUMENT;
	pthread_mutex_lock(&bitmap->lock);
	/* A harvester's start is not for others to take back. */
	if (bitmap->other_starts != 0) {
		bitmap->other_starts--;
		vmmem_bitmap_stop_locked(bitmap);
		rc = 0;
	}
	pthread_mutex_unlock(&bitmap->lock);
	return rc;
}

VMMEM_API int
vmmem_bitmap_is_logging(const struct vmmem_bitmap *bitmap)
{
	/* Relaxed: an answer that may be old when it arrives. */
	return bitmap != NULL &&
	       __atomic_load_n(&bitmap->logging, __ATOMIC_RELAXED) != 0;
}

VMMEM_API const uint32_t *
vmmem_bitmap_logging(const struct vmmem_bitmap *bitmap)
{
	return bitmap != NULL ? &bitmap->logging : NULL;
}
