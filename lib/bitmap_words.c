/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A bitmap as an array of little-endian words of another page size. */
#include <vmmem/bitmap.h>
#include <vmmem/error.h>

#include "api.h"
#include "bitmap_priv.h"

/* page_shift_of() returns -1 for what cannot be the size of a page. */
static int
page_shift_of(uint64_t page_size)
{
	if (page_size < VMMEM_BITMAP_PAGE_MIN ||
	    (page_size & (page_size - 1)) != 0)
		return -1;
	return __builtin_ctzll(page_size);
}

/* set() sets the bits [first, last] of an array of words. */
static void
set(vmmem_le64 *words, uint64_t first, uint64_t last)
{
	while (first <= last) {
		unsigned int from = first % VMMEM_BITS_WORD;
		uint64_t count = last - first + 1;
		vmmem_le64 *word = &words[first / VMMEM_BITS_WORD];

		if (count > VMMEM_BITS_WORD - from)
			count = VMMEM_BITS_WORD - from;
		vmmem_le64_set(word, vmmem_le64_get(word) |
					     vmmem_bits_mask(
						     from,
						     (unsigned int)count));
		first += count;
	}
}

VMMEM_API int
vmmem_bitmap_export(const struct vmmem_bitmap *bitmap, uint64_t page_size,
		    vmmem_le64 *words, size_t count)
{
	int shift = page_shift_of(page_size);
	uint64_t len, pages, first, last, at;
	size_t i;

	if (bitmap == NULL || words == NULL || shift < 0)
		return VMMEM_EINVAL;
	len = vmmem_bitmap_len_now(bitmap);
	pages = vmmem_bitmap_pages(len, (unsigned int)shift);
	if (pages != 0 && (pages - 1) / VMMEM_BITS_WORD >= count)
		return VMMEM_EOUTOFRANGE;

	for (i = 0; i < count; i++)
		vmmem_le64_set(&words[i], 0);
	/* What was asked of is what it was when it was asked: it may grow. */
	last = vmmem_bitmap_pages(len, bitmap->page_shift);
	for (first = 0; first < last; first = at) {
		uint64_t start, end;

		first = vmmem_bits_next(&bitmap->bits, first, last - 1);
		if (first == last)
			break;
		at = vmmem_bits_next_clear(&bitmap->bits, first, last - 1);
		/* Another thread may have cleared the bit meanwhile. */
		if (at == first)
			at = first + 1;
		start = first << bitmap->page_shift;
		end = at == last ? len - 1 : (at << bitmap->page_shift) - 1;
		set(words, start >> shift, end >> shift);
	}
	return 0;
}

VMMEM_API int
vmmem_bitmap_merge(struct vmmem_bitmap *bitmap, uint64_t page_size,
		   const vmmem_le64 *words, size_t count)
{
	int shift = page_shift_of(page_size);
	uint64_t len, pages;
	int rc = 0;
	size_t i;

	if (bitmap == NULL || words == NULL || shift < 0)
		return VMMEM_EINVAL;
	len = vmmem_bitmap_len_now(bitmap);
	pages = vmmem_bitmap_pages(len, (unsigned int)shift);

	for (i = 0; i < count; i++) {
		uint64_t word = vmmem_le64_get(&words[i]);

		while (word != 0) {
			unsigned int from, run;
			uint64_t first, end, start, stop;

			from = (unsigned int)__builtin_ctzll(word);
			/* The run of ones; ~ of it is 0 if it fills the word. */
			run = ~(word >> from) == 0 ?
				      VMMEM_BITS_WORD :
				      (unsigned int)__builtin_ctzll(
					      ~(word >> from));
			word &= ~vmmem_bits_mask(from, run);
			first = (uint64_t)i * VMMEM_BITS_WORD + from;
			end = first + run;
			if (end > pages) {
				rc = VMMEM_EOUTOFRANGE;
				end = pages;
			}
			if (first >= end)
				continue;
			start = first << shift;
			stop = end == pages ? len : end << shift;
			vmmem_bitmap_mark_within(bitmap, start, stop - start);
		}
	}
	return rc;
}
