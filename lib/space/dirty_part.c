/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The dirty pages of one region: bits by page, from marks to confirmations. */
#include "space/dirty_part.h"

#include <errno.h>
#include <stdlib.h>

#include <vmmem/bitmap.h>

static int
make_bits(struct vmmem_dirty_part *part, const struct vmmem_bitmap *bitmap)
{
	const uint64_t span = part->last - part->start;
	int rc;

	part->offset = vmmem_region_bitmap_offset(part->region);
	part->page_shift =
		(unsigned int)__builtin_ctzll(vmmem_bitmap_page_size(bitmap));
	part->first = part->offset >> part->page_shift;
	part->pages = ((part->offset + span) >> part->page_shift) -
		      part->first + 1;
	/* One thread at a time uses these bits, so none is set twice. */
	rc = vmmem_bits_init(&part->dirty, part->pages, true);
	if (rc != 0)
		return rc;
	rc = vmmem_bits_init(&part->pending, part->pages, true);
	if (rc != 0)
		goto destroy_dirty;
	rc = vmmem_bits_init(&part->found, part->pages, true);
	if (rc != 0)
		goto destroy_pending;
	return 0;

destroy_pending:
	vmmem_bits_destroy(&part->pending);
destroy_dirty:
	vmmem_bits_destroy(&part->dirty);
	return rc;
}

int
vmmem_dirty_part_new(const struct vmmem_region *region,
		     struct vmmem_dirty_part **ret_part)
{
	const struct vmmem_bitmap *bitmap = vmmem_region_bitmap(region);
	struct vmmem_dirty_part *part;
	int rc;

	part = calloc(1, sizeof(*part));
	if (part == NULL)
		return -ENOMEM;
	part->region = region;
	part->start = vmmem_region_start(region);
	part->last = vmmem_region_last(region);
	if (bitmap != NULL) {
		rc = make_bits(part, bitmap);
		if (rc != 0) {
			free(part);
			return rc;
		}
	}
	*ret_part = part;
	return 0;
}

void
vmmem_dirty_part_free(struct vmmem_dirty_part *part)
{
	if (part->pages != 0) {
		vmmem_bits_destroy(&part->dirty);
		vmmem_bits_destroy(&part->pending);
		vmmem_bits_destroy(&part->found);
	}
	free(part);
}

void
vmmem_dirty_part_fill(struct vmmem_dirty_part *part)
{
	if (part->pages == 0)
		return;
	vmmem_bits_set(&part->dirty, 0, part->pages - 1);
	part->dirty_pages = part->pages;
}

/* take_word() makes pages of one word dirty; what was found so is pending. */
static void
take_word(uint64_t index, uint64_t word, void *context)
{
	struct vmmem_dirty_part *part = context;
	const uint64_t dirty = part->dirty.words[0][index];
	const uint64_t again = word & dirty & part->found.words[0][index];

	word &= ~dirty;
	if (word != 0) {
		vmmem_bits_add(&part->dirty, index, word);
		part->dirty_pages += (uint64_t)__builtin_popcountll(word);
	}
	if (again != 0) {
		vmmem_bits_add(&part->pending, index, again);
		part->pending_any = true;
	}
}

void
vmmem_dirty_part_settle(struct vmmem_dirty_part *part)
{
	if (!part->pending_any)
		return;
	part->pending_any = false;
	vmmem_bits_drain(&part->pending, take_word, part);
}

/* take_run() does as take_word() with the pages [first, end). */
static void
take_run(struct vmmem_dirty_part *part, uint64_t first, uint64_t end)
{
	uint64_t index, count;
	unsigned int from;

	for (; first < end; first += count) {
		index = first / VMMEM_BITS_WORD;
		from = first % VMMEM_BITS_WORD;
		count = VMMEM_BITS_WORD - from;
		if (count > end - first)
			count = end - first;
		take_word(index, vmmem_bits_mask(from, (unsigned int)count),
			  part);
	}
}

void
vmmem_dirty_part_take(struct vmmem_dirty_part *part,
		      const struct vmmem_bits *marks)
{
	const uint64_t last = part->first + (part->pages - 1);
	uint64_t at, stop;

	for (at = part->first; at <= last; at = stop) {
		at = vmmem_bits_next(marks, at, last);
		if (at > last)
			return;
		stop = vmmem_bits_next_clear(marks, at, last);
		take_run(part, at - part->first, stop - part->first);
	}
}

/* page_start() and page_last() are the bytes of a page that the region has. */
static uint64_t
page_start(const struct vmmem_dirty_part *part, uint64_t page)
{
	/* The region begins in the first page, not with it. */
	if (page == 0)
		return part->start;
	return part->start +
	       (((part->first + page) << part->page_shift) - part->offset);
}

static uint64_t
page_last(const struct vmmem_dirty_part *part, uint64_t page)
{
	return page == part->pages - 1 ? part->last :
					 page_start(part, page + 1) - 1;
}

/* page_of() is the page with the byte at 'gpa'. */
static uint64_t
page_of(const struct vmmem_dirty_part *part, uint64_t gpa)
{
	return ((part->offset + (gpa - part->start)) >> part->page_shift) -
	       part->first;
}

/* missing() is what a page that is dirty has too little. */
static uint64_t
missing(const struct vmmem_dirty_part *part, uint64_t page)
{
	const uint64_t size = UINT64_C(1) << part->page_shift;

	if (vmmem_bits_next(&part->dirty, page, page) != page)
		return 0;
	return size - 1 - (page_last(part, page) - page_start(part, page));
}

uint64_t
vmmem_dirty_part_count(const struct vmmem_dirty_part *part)
{
	uint64_t bytes;

	if (part->dirty_pages == 0)
		return 0;
	/* May pass 2^64, and comes back by what is missing. */
	bytes = part->dirty_pages << part->page_shift;
	bytes -= missing(part, 0);
	if (part->pages > 1)
		bytes -= missing(part, part->pages - 1);
	return bytes;
}

bool
vmmem_dirty_part_next(struct vmmem_dirty_part *part, uint64_t gpa,
		      uint64_t *ret_gpa, uint64_t *ret_len)
{
	uint64_t first, page, end, start;

	if (part->dirty_pages == 0)
		return false;
	first = page_of(part, gpa);
	page = vmmem_bits_next(&part->dirty, first, part->pages - 1);
	if (page == part->pages)
		return false;
	end = vmmem_bits_next_clear(&part->dirty, page, part->pages - 1);
	start = page == first ? gpa : page_start(part, page);
	*ret_gpa = start;
	*ret_len = page_last(part, end - 1) - start + 1;
	vmmem_bits_set(&part->found, page, end - 1);
	return true;
}

void
vmmem_dirty_part_confirm(struct vmmem_dirty_part *part, uint64_t gpa,
			 uint64_t last)
{
	uint64_t first = page_of(part, gpa);
	uint64_t end = page_of(part, last) + 1;
	uint64_t stop;

	/* Up to the first whole page, and down from the last. */
	if (page_start(part, first) < gpa)
		first++;
	if (page_last(part, end - 1) > last)
		end--;
	for (; first < end && part->dirty_pages != 0; first = stop) {
		first = vmmem_bits_next(&part->dirty, first, end - 1);
		if (first == end)
			break;
		stop = vmmem_bits_next_clear(&part->dirty, first, end - 1);
		vmmem_bits_clear(&part->dirty, first, stop - 1);
		vmmem_bits_clear(&part->found, first, stop - 1);
		part->dirty_pages -= stop - first;
		/* So that no later collect looks at what this one had. */
		if (part->dirty_pages == 0) {
			vmmem_bits_empty(&part->dirty);
			vmmem_bits_empty(&part->found);
		}
	}
}
