/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Bits that begin and end with any byte.  They are reached by the words of
 * memory that they lie in, whole ones by one instruction; of words that they
 * do not fill, byte by byte, so that no other byte is touched.
 */
#include <endian.h>

#include "dirty/bits.h"
#include "guest/guest_atomic.h"

#define WORD VMMEM_BITS_WORD
#define BYTES 8
#define BYTE_MASK 0xff

void
vmmem_bits_init_external(struct vmmem_bits *bits, void *bytes, size_t len,
			 uint64_t count)
{
	unsigned int into = (uintptr_t)bytes % BYTES;

	*bits = (struct vmmem_bits){ .external = true };
	bits->shift = (uint8_t)(8 * into);
	bits->first = bytes;
	bits->end = bits->first + len;
	/* The word that they begin in. */
	bits->words[0] = (void *)(bits->first - into);
	bits->counts[0] = count / WORD + (count % WORD != 0);
}

/* is_whole() tells whether word 'at' of memory is the bits' alone. */
static inline bool
is_whole(const struct vmmem_bits *bits, const uint64_t *at)
{
	uintptr_t byte = (uintptr_t)at;

	return byte >= (uintptr_t)bits->first &&
	       byte + BYTES <= (uintptr_t)bits->end;
}

/* byte_of() is byte 'i' of a word of memory; NULL if it is not of the bits. */
static inline unsigned char *
byte_of(const struct vmmem_bits *bits, uint64_t *at, unsigned int i)
{
	uintptr_t byte = (uintptr_t)at + i;

	return byte >= (uintptr_t)bits->first && byte < (uintptr_t)bits->end ?
		       (unsigned char *)at + i :
		       NULL;
}

/* load() is the bits in word 'index' of memory. */
static uint64_t
load(const struct vmmem_bits *bits, uint64_t index)
{
	uint64_t *at = &bits->words[0][index], value = 0;
	unsigned char *byte, part;
	unsigned int i;

	/* Acquire: what was written before a bit was set is seen after it. */
	if (is_whole(bits, at))
		return vmmem_atomic_load_u64(at, VMMEM_ORDER_ACQUIRE,
					     &value) == 0 ?
			       le64toh(value) :
			       0;
	for (i = 0; i < BYTES; i++) {
		byte = byte_of(bits, at, i);
		if (byte != NULL &&
		    vmmem_atomic_load_u8(byte, VMMEM_ORDER_ACQUIRE, &part) == 0)
			value |= (uint64_t)part << 8 * i;
	}
	return value;
}

/* set() sets the bits of 'mask' in word 'index' of memory. */
static void
set(const struct vmmem_bits *bits, uint64_t index, uint64_t mask)
{
	uint64_t *at = &bits->words[0][index], previous;
	unsigned char *byte, part, before;
	unsigned int i;

	/*
	 * Never skipped: a process that clears bits makes no barrier.  Release:
	 * the data comes before the mark.  If all bits become set, a store
	 * loses nobody's mark.
	 */
	if (is_whole(bits, at)) {
		if (mask == UINT64_MAX)
			(void)vmmem_atomic_store_u64(at, mask,
						     VMMEM_ORDER_RELEASE);
		else
			(void)vmmem_atomic_fetch_or_u64(at, htole64(mask),
							VMMEM_ORDER_ACQ_REL,
							&previous);
		return;
	}
	for (i = 0; i < BYTES; i++) {
		byte = byte_of(bits, at, i);
		part = (unsigned char)(mask >> 8 * i & BYTE_MASK);
		if (byte != NULL && part != 0)
			(void)vmmem_atomic_fetch_or_u8(
				byte, part, VMMEM_ORDER_ACQ_REL, &before);
	}
}

/*
 * take() clears the bits of 'mask' in word 'index' of memory, and returns which
 * of them were set.
 */
static uint64_t
take(const struct vmmem_bits *bits, uint64_t index, uint64_t mask)
{
	uint64_t *at = &bits->words[0][index], value = 0;
	unsigned char *byte, part, before;
	unsigned int i;

	/*
	 * Acquire: what the markers did before is seen from here on, and the
	 * data is looked at after the bit is cleared.  Nothing is taken from
	 * memory that has gone.
	 */
	if (is_whole(bits, at))
		return vmmem_atomic_fetch_and_u64(at, htole64(~mask),
						  VMMEM_ORDER_ACQ_REL,
						  &value) == 0 ?
			       le64toh(value) & mask :
			       0;
	for (i = 0; i < BYTES; i++) {
		byte = byte_of(bits, at, i);
		part = (unsigned char)(mask >> 8 * i & BYTE_MASK);
		if (byte != NULL && part != 0 &&
		    vmmem_atomic_fetch_and_u8(byte, (unsigned char)~part,
					      VMMEM_ORDER_ACQ_REL,
					      &before) == 0)
			value |= (uint64_t)(before & part) << 8 * i;
	}
	return value;
}

/*
 * A word of bits has a part in each of two words of memory, unless the bits
 * begin with one.
 */
static inline uint64_t
lower(const struct vmmem_bits *bits, uint64_t mask)
{
	return mask << bits->shift;
}

static inline uint64_t
upper(const struct vmmem_bits *bits, uint64_t mask)
{
	return bits->shift != 0 ? mask >> (WORD - bits->shift) : 0;
}

static inline uint64_t
joined(const struct vmmem_bits *bits, uint64_t low, uint64_t high)
{
	return bits->shift != 0 ?
		       low >> bits->shift | high << (WORD - bits->shift) :
		       low;
}

uint64_t
vmmem_bits_external_word(const struct vmmem_bits *bits, uint64_t index)
{
	return joined(bits, load(bits, index),
		      bits->shift != 0 ? load(bits, index + 1) : 0);
}

void
vmmem_bits_external_set(const struct vmmem_bits *bits, uint64_t index,
			uint64_t mask)
{
	if (lower(bits, mask) != 0)
		set(bits, index, lower(bits, mask));
	if (upper(bits, mask) != 0)
		set(bits, index + 1, upper(bits, mask));
}

uint64_t
vmmem_bits_external_take(const struct vmmem_bits *bits, uint64_t index,
			 uint64_t mask)
{
	uint64_t low = 0, high = 0;

	/* Most are zero, and there is no summary above that was cleared. */
	if ((vmmem_bits_external_word(bits, index) & mask) == 0)
		return 0;
	if (lower(bits, mask) != 0)
		low = take(bits, index, lower(bits, mask));
	if (upper(bits, mask) != 0)
		high = take(bits, index + 1, upper(bits, mask));
	return joined(bits, low, high);
}
