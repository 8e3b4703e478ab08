/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* A range of a bitmap as an array of bits, for pages of another size. */
#include <vmmem/bitmap.h>
#include <vmmem/error.h>

#include <endian.h>
#include <string.h>

#include "base/api.h"
#include "dirty/bitmap_priv.h"

#define BYTE_BITS 8

/* page_shift_of() returns -1 for what cannot be the size of a page. */
static int
page_shift_of(uint64_t page_size)
{
	if (page_size < VMMEM_BITMAP_PAGE_MIN ||
	    (page_size & (page_size - 1)) != 0)
		return -1;
	return __builtin_ctzll(page_size);
}

/* Whether 'bytes' bytes have a bit for each of 'pages' pages. */
static bool
has_room(size_t bytes, uint64_t pages)
{
	return pages == 0 || (pages - 1) / BYTE_BITS < bytes;
}

/* set() sets the bits [first, last]. */
static void
set(unsigned char *bits, uint64_t first, uint64_t last)
{
	unsigned char *low = &bits[first / BYTE_BITS];
	unsigned char *high = &bits[last / BYTE_BITS];
	unsigned int from = (unsigned int)UINT8_MAX << first % BYTE_BITS;
	unsigned int to =
		(unsigned int)UINT8_MAX >> (BYTE_BITS - 1 - last % BYTE_BITS);

	if (low == high) {
		*low |= (unsigned char)(from & to);
		return;
	}
	*low |= (unsigned char)from;
	memset(low + 1, UINT8_MAX, (size_t)(high - low - 1));
	*high |= (unsigned char)to;
}

VMMEM_API int
vmmem_bitmap_export(const struct vmmem_bitmap *bitmap, uint64_t offset,
		    uint64_t len, uint64_t page_size, void *bits, size_t bytes)
{
	int shift = page_shift_of(page_size);
	uint64_t size, end, first, last, at, start, stop;

	if (bitmap == NULL || (bits == NULL && bytes != 0) || shift < 0)
		return VMMEM_EARGUMENT;
	size = vmmem_bitmap_len_now(bitmap);
	if (len != 0 && (offset >= size || len > size - offset))
		return VMMEM_EOUTOFRANGE;
	if (!has_room(bytes, vmmem_bitmap_pages(len, (unsigned int)shift)))
		return VMMEM_EOUTOFRANGE;
	if (bytes != 0)
		memset(bits, 0, bytes);
	if (len == 0)
		return 0;

	end = offset + (len - 1);
	last = end >> bitmap->page_shift;
	for (first = offset >> bitmap->page_shift; first <= last; first = at) {
		first = vmmem_bits_next(&bitmap->bits, first, last);
		if (first > last)
			break;
		at = vmmem_bits_next_clear(&bitmap->bits, first, last);
		/* Another thread may have cleared the bit meanwhile. */
		if (at == first)
			at = first + 1;
		/* The range may begin, and end, within a page. */
		start = first << bitmap->page_shift;
		start = start > offset ? start - offset : 0;
		stop = at > last ? len - 1 :
				   (at << bitmap->page_shift) - 1 - offset;
		set(bits, start >> shift, stop >> shift);
	}
	return 0;
}

/* word_at() is the word that begins with byte 'at', of 'bytes' bytes. */
static uint64_t
word_at(const unsigned char *bits, size_t at, size_t bytes)
{
	uint64_t word = 0;

	memcpy(&word, &bits[at],
	       bytes - at < sizeof(word) ? bytes - at : sizeof(word));
	return le64toh(word);
}

/*
 * mark_pages() marks what the pages [first, end) of an array, none or more,
 * stand for.
 */
static int
mark_pages(struct vmmem_bitmap *bitmap, uint64_t offset, uint64_t len,
	   unsigned int shift, uint64_t first, uint64_t end)
{
	uint64_t size = vmmem_bitmap_len_now(bitmap);
	uint64_t room = offset < size ? size - offset : 0;
	uint64_t start = first << shift;
	/* The last page may be a part of one; and 2^64 is not a number. */
	uint64_t stop = end == vmmem_bitmap_pages(len, shift) ? len :
								end << shift;

	if (first == end)
		return 0;
	if (stop > room)
		stop = room;
	if (start < stop)
		vmmem_bitmap_mark_within(bitmap, offset + start, stop - start);
	/* The bitmap's last page may be a part of one, too. */
	return (end - 1) << shift >= room ? VMMEM_EOUTOFRANGE : 0;
}

VMMEM_API int
vmmem_bitmap_merge(struct vmmem_bitmap *bitmap, uint64_t offset, uint64_t len,
		   uint64_t page_size, const void *bits, size_t bytes)
{
	int shift = page_shift_of(page_size), rc = 0, failed;
	uint64_t pages, page, word, first = 0, end = 0;
	unsigned int from, run;
	size_t at;

	if (bitmap == NULL || (bits == NULL && bytes != 0) || shift < 0)
		return VMMEM_EARGUMENT;
	pages = vmmem_bitmap_pages(len, (unsigned int)shift);
	if (!has_room(bytes, pages))
		return VMMEM_EOUTOFRANGE;

	/* [first, end) is the run that the next page may go on. */
	for (at = 0, page = 0; page < pages;
	     at += sizeof(word), page += VMMEM_BITS_WORD) {
		word = word_at(bits, at, bytes);
		if (pages - page < VMMEM_BITS_WORD)
			word &= vmmem_bits_mask(
				0, (unsigned int)(pages - page));
		for (; word != 0; word &= ~vmmem_bits_mask(from, run)) {
			from = (unsigned int)__builtin_ctzll(word);
			/* ~ of the run of ones is 0 if it fills the word. */
			run = ~(word >> from) == 0 ?
				      VMMEM_BITS_WORD :
				      (unsigned int)__builtin_ctzll(
					      ~(word >> from));
			if (page + from != end) {
				failed = mark_pages(bitmap, offset, len,
						    (unsigned int)shift, first,
						    end);
				rc = rc != 0 ? rc : failed;
				first = page + from;
			}
			end = page + from + run;
		}
	}
	failed = mark_pages(bitmap, offset, len, (unsigned int)shift, first,
			    end);
	return rc != 0 ? rc : failed;
}
