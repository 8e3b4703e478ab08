/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Harvesters: what was marked since each of them last looked. */
#include <vmmem/error.h>
#include <vmmem/harvester.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/api.h"
#include "base/released_sizes.h"
#include "base/struct_size.h"
#include "dirty/bitmap_priv.h"

/* set_options() does what 'options', which may be NULL, say. */
static int
set_options(struct vmmem_harvester *harvester,
	    const struct vmmem_harvester_options *options)
{
	struct vmmem_harvester_options known;
	int rc;

	if (options == NULL)
		return 0;
	rc = vmmem_struct_take(options, &known, sizeof(known),
			       VMMEM_HARVESTER_OPTIONS_SIZE_0_9);
	if (rc != 0 || known.name == NULL)
		return rc;
	harvester->name = strdup(known.name);
	return harvester->name != NULL ? 0 : -ENOMEM;
}

VMMEM_API int
vmmem_harvester_new(struct vmmem_bitmap *bitmap,
		    const struct vmmem_harvester_options *options,
		    struct vmmem_harvester **ret_harvester)
{
	struct vmmem_harvester *harvester;
	int rc;

	if (bitmap == NULL || ret_harvester == NULL)
		return VMMEM_EARGUMENT;
	harvester = calloc(1, sizeof(*harvester));
	if (harvester == NULL)
		return -ENOMEM;
	rc = set_options(harvester, options);
	if (rc == 0)
		rc = vmmem_bits_init(&harvester->pending,
				     vmmem_bitmap_pages(bitmap->max_len,
							bitmap->page_shift),
				     true);
	if (rc != 0)
		goto free_harvester;

	pthread_mutex_lock(&bitmap->lock);
	rc = vmmem_bitmap_init(&harvester->taken, bitmap);
	if (rc == 0) {
		rc = vmmem_bitmap_start_locked(bitmap);
		if (rc != 0)
			vmmem_bitmap_fini(&harvester->taken);
	}
	if (rc == 0)
		LIST_INSERT_HEAD(&bitmap->harvesters, harvester, link);
	pthread_mutex_unlock(&bitmap->lock);
	if (rc != 0)
		goto destroy_pending;

	harvester->bitmap = vmmem_bitmap_ref(bitmap);
	*ret_harvester = harvester;
	return 0;

destroy_pending:
	vmmem_bits_destroy(&harvester->pending);
free_harvester:
	free(harvester->name);
	free(harvester);
	return rc;
}

VMMEM_API struct vmmem_harvester *
vmmem_harvester_free(struct vmmem_harvester *harvester)
{
	struct vmmem_bitmap *bitmap;

	if (harvester == NULL)
		return NULL;
	bitmap = harvester->bitmap;
	pthread_mutex_lock(&bitmap->lock);
	LIST_REMOVE(harvester, link);
	vmmem_bitmap_stop_locked(bitmap);
	pthread_mutex_unlock(&bitmap->lock);
	vmmem_bitmap_unref(bitmap);
	vmmem_bits_destroy(&harvester->pending);
	vmmem_bitmap_fini(&harvester->taken);
	free(harvester->name);
	free(harvester);
	return NULL;
}

VMMEM_API struct vmmem_bitmap *
vmmem_harvester_bitmap(const struct vmmem_harvester *harvester)
{
	return harvester != NULL ? harvester->bitmap : NULL;
}

VMMEM_API const char *
vmmem_harvester_name(const struct vmmem_harvester *harvester)
{
	return harvester != NULL ? harvester->name : NULL;
}

/*
 * take_word() takes what of a word is pending and not yet taken.  A mark of
 * what is taken stays pending: if that is confirmed, it is for an earlier look
 * at the page, and the page comes again.
 */
static void
take_word(uint64_t index, uint64_t word, void *context)
{
	struct vmmem_harvester *harvester = context;
	struct vmmem_bits *taken = &harvester->taken.bits;
	uint64_t again = word & taken->words[0][index];

	word &= ~again;
	if (word != 0) {
		vmmem_bits_add(taken, index, word);
		harvester->taken_pages +=
			(uint64_t)__builtin_popcountll(word);
	}
	if (again != 0) {
		vmmem_bits_add(&harvester->pending, index, again);
		harvester->pending_any = true;
	}
}

/* take_all() takes what is pending.  Under the bitmap's lock. */
static void
take_all(struct vmmem_harvester *harvester)
{
	struct vmmem_bits empty;

	if (!harvester->pending_any)
		return;
	harvester->pending_any = false;
	if (harvester->taken_pages != 0) {
		vmmem_bits_drain(&harvester->pending, take_word, harvester);
		return;
	}
	empty = harvester->taken.bits;
	harvester->taken.bits = harvester->pending;
	harvester->pending = empty;
	harvester->taken_pages = vmmem_bitmap_count(&harvester->taken);
}

/* take_range() does so with the bits [first, last]. */
static void
take_range(struct vmmem_harvester *harvester, uint64_t first, uint64_t last)
{
	struct vmmem_bits *pending = &harvester->pending;
	unsigned int from, to;
	uint64_t index, word;

	for (; first <= last; first = (index + 1) * VMMEM_BITS_WORD) {
		first = vmmem_bits_next(pending, first, last);
		if (first > last)
			return;
		index = first / VMMEM_BITS_WORD;
		from = first % VMMEM_BITS_WORD;
		to = index == last / VMMEM_BITS_WORD ?
			     (unsigned int)(last % VMMEM_BITS_WORD) :
			     VMMEM_BITS_WORD - 1;
		word = pending->words[0][index] &
		       vmmem_bits_mask(from, to - from + 1);
		/* The summary stays: it says "may". */
		pending->words[0][index] &= ~word;
		take_word(index, word, harvester);
	}
}

VMMEM_API int
vmmem_harvester_take_range(struct vmmem_harvester *harvester, uint64_t offset,
			   uint64_t len, uint64_t *ret_pages)
{
	struct vmmem_bitmap *bitmap;
	uint64_t size, last;
	int rc;

	if (harvester == NULL)
		return VMMEM_EARGUMENT;
	bitmap = harvester->bitmap;
	pthread_mutex_lock(&bitmap->lock);
	rc = vmmem_bitmap_drain(bitmap);
	size = bitmap->len;
	if (rc == 0 && len != 0 && offset < size) {
		last = len <= size - offset ? offset + (len - 1) : size - 1;
		if (offset == 0 && last == size - 1)
			take_all(harvester);
		else if (harvester->pending_any)
			take_range(harvester, offset >> bitmap->page_shift,
				   last >> bitmap->page_shift);
	}
	pthread_mutex_unlock(&bitmap->lock);
	if (rc == 0 && ret_pages != NULL)
		*ret_pages = harvester->taken_pages;
	return rc;
}

VMMEM_API int
vmmem_harvester_take(struct vmmem_harvester *harvester, uint64_t *ret_pages)
{
	return vmmem_harvester_take_range(harvester, 0, UINT64_MAX, ret_pages);
}

VMMEM_API const struct vmmem_bitmap *
vmmem_harvester_taken(const struct vmmem_harvester *harvester)
{
	return harvester != NULL ? &harvester->taken : NULL;
}

VMMEM_API int
vmmem_harvester_confirm(struct vmmem_harvester *harvester, uint64_t offset,
			uint64_t len)
{
	uint64_t size, first, end, stop;
	struct vmmem_bits *taken;

	if (harvester == NULL)
		return VMMEM_EARGUMENT;
	taken = &harvester->taken.bits;
	size = vmmem_bitmap_len_now(&harvester->taken);
	vmmem_bitmap_whole_pages(&harvester->taken, size, offset, len, &first,
				 &end);
	/* All at once is quicker. */
	if (first == 0 && end == vmmem_bitmap_pages(
					 size, harvester->taken.page_shift)) {
		harvester->taken_pages = 0;
		vmmem_bits_empty(taken);
	}
	for (; first < end && harvester->taken_pages != 0; first = stop) {
		first = vmmem_bits_next(taken, first, end - 1);
		if (first == end)
			break;
		stop = vmmem_bits_next_clear(taken, first, end - 1);
		vmmem_bits_clear(taken, first, stop - 1);
		harvester->taken_pages -= stop - first;
		/* So that no later harvest looks at what this one had. */
		if (harvester->taken_pages == 0)
			vmmem_bits_empty(taken);
	}
	return 0;
}
