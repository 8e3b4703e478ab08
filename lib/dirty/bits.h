/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Atomic bits with a summary, on which bitmaps stand.
 *
 * Level 0 has the bits.  Bit n of level 1 says that word n of level 0 may have
 * bits set, and level 2 says the same of level 1.  A marker goes up, bit before
 * summary; a harvester comes down, summary before bit.  So a bit that a
 * harvester misses has a summary that the next one finds.  docs/marking.md
 * explains it and docs/models/ proves it.
 */
#ifndef BITS_H
#define BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMMEM_BITS_LEVELS 3
#define VMMEM_BITS_WORD 64

struct vmmem_bits {
	/* First what a mark looks at. */
	uint64_t *words[VMMEM_BITS_LEVELS];
	/*
	 * A bit that is set need not be set again.  Only where the thread that
	 * clears bits makes vmmem_barrier() before it looks at the data.
	 */
	bool skip;
	/* Someone else's bytes: little-endian, and no summary. */
	bool external;
	/* 'skip' and not 'external': one question for the most common case. */
	bool plain;
	/* Of external bits: where in a word of memory bit 0 is. */
	uint8_t shift;
	uint64_t counts[VMMEM_BITS_LEVELS]; /* of words */
	union {
		/* A harvester copies this: no longer than it must be. */
		struct {
			void *memory;
			size_t memory_len;
		};
		/* The bytes of external bits. */
		struct {
			unsigned char *first;
			unsigned char *end;
		};
	};
	bool mapped; /* memory came from mmap(), not from calloc() */
};

/* vmmem_bits_init() returns 0 or -errno.  All bits are clear. */
int vmmem_bits_init(struct vmmem_bits *bits, uint64_t count, bool skip);

/*
 * vmmem_bits_init_external() uses the caller's bytes, and no byte around them,
 * and never frees them.
 */
void vmmem_bits_init_external(struct vmmem_bits *bits, void *bytes, size_t len,
			      uint64_t count);

void vmmem_bits_destroy(struct vmmem_bits *bits);

/* vmmem_bits_mask() returns a word's bits [first, first + count), count > 0. */
static inline uint64_t
vmmem_bits_mask(unsigned int first, unsigned int count)
{
	return (UINT64_MAX >> (VMMEM_BITS_WORD - count)) << first;
}

/*
 * Words of external bits, of which a peer may take the memory away as it may
 * with the guest's: where that is survived (vmmem/fault.h), they read as zero,
 * and what would be set in them is lost.  What lies past the last byte reads as
 * zero, too.  Values are in the machine's order.
 */
uint64_t vmmem_bits_external_word(const struct vmmem_bits *bits,
				  uint64_t index);
void vmmem_bits_external_set(const struct vmmem_bits *bits, uint64_t index,
			     uint64_t mask);
/* Clears the bits of 'mask' and returns which of them were set. */
uint64_t vmmem_bits_external_take(const struct vmmem_bits *bits,
				  uint64_t index, uint64_t mask);

/* vmmem_bits_word() returns a word of level 0. */
static inline uint64_t
vmmem_bits_word(const struct vmmem_bits *bits, uint64_t index)
{
	/* Acquire: what was written before a bit was set is seen after it. */
	return bits->external ? vmmem_bits_external_word(bits, index) :
				__atomic_load_n(&bits->words[0][index],
						__ATOMIC_ACQUIRE);
}

/*
 * set() sets the bits of 'mask' in '*word'.  If 'skip', bits that are set
 * already are left alone, which spares the line and the locked instruction.
 */
static inline void
vmmem_bits_set_word(uint64_t *word, uint64_t mask, bool skip)
{
	/*
	 * Acquire: the summary is looked at after the bit.  Else a summary
	 * from before a harvest could vouch for a bit from after it.
	 */
	if (skip && (__atomic_load_n(word, __ATOMIC_ACQUIRE) & mask) == mask)
		return;
	/*
	 * Release: the data comes before the mark.  Acquire: if a harvester
	 * cleared this word before, its clearing of the summary, which came
	 * earlier still, is seen by the look at the summary that follows.
	 */
	__atomic_fetch_or(word, mask, __ATOMIC_ACQ_REL);
}

/* vmmem_bits_set_in_word() sets the bits of 'mask' in word 'index'. */
static inline void
vmmem_bits_set_in_word(struct vmmem_bits *bits, uint64_t index, uint64_t mask)
{
	/*
	 * No instruction: only keeps the compiler from moving the look at the
	 * bit ahead of the writing of the data.  The processor is kept from it
	 * by the harvester's vmmem_barrier().
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (bits->external) {
		vmmem_bits_external_set(bits, index, mask);
		return;
	}
	vmmem_bits_set_word(&bits->words[0][index], mask, bits->skip);
	/*
	 * The summary may be skipped even where bits may not: level 0 was
	 * looked at or set before.  It must be looked at even if the bit was
	 * set, because the thread that set it may not have come this far yet.
	 */
	vmmem_bits_set_word(&bits->words[1][index / VMMEM_BITS_WORD],
			    UINT64_C(1) << index % VMMEM_BITS_WORD, true);
	index /= VMMEM_BITS_WORD;
	vmmem_bits_set_word(&bits->words[2][index / VMMEM_BITS_WORD],
			    UINT64_C(1) << index % VMMEM_BITS_WORD, true);
}

/*
 * vmmem_bits_add() sets the bits of 'mask' in word 'index' of bits that nobody
 * else looks at meanwhile: no atomic operations, which cost the most of moving
 * many marks.
 */
static inline void
vmmem_bits_add(struct vmmem_bits *bits, uint64_t index, uint64_t mask)
{
	bits->words[0][index] |= mask;
	bits->words[1][index / VMMEM_BITS_WORD] |= UINT64_C(1)
						   << index % VMMEM_BITS_WORD;
	index /= VMMEM_BITS_WORD;
	bits->words[2][index / VMMEM_BITS_WORD] |= UINT64_C(1)
						   << index % VMMEM_BITS_WORD;
}

/*
 * vmmem_bits_empty() clears all bits.  Like vmmem_bits_add() it is not atomic:
 * no other thread may use the bits meanwhile.
 */
void vmmem_bits_empty(struct vmmem_bits *bits);
/*
 * All setters return 0, so that callers can end in a tail call.
 * vmmem_bits_set_any() sets one bit of bits that are not plain.
 */
int vmmem_bits_set_any(struct vmmem_bits *bits, uint64_t bit);

/* vmmem_bits_has() tells whether a bit of a word is set. */
static inline bool
vmmem_bits_has(const uint64_t *word, uint64_t bit)
{
	/* Acquire: see vmmem_bits_set_word(). */
	return (__atomic_load_n(word, __ATOMIC_ACQUIRE) >>
			bit % VMMEM_BITS_WORD & 1) != 0;
}

/* vmmem_bits_set_summary() sets what is not set above word 'word'. */
int vmmem_bits_set_summary(struct vmmem_bits *bits, uint64_t word);

/*
 * vmmem_bits_set_bit() sets one bit: what most marks are.  Most of these are
 * set already, and nearly all have a summary.
 */
static inline int
vmmem_bits_set_bit(struct vmmem_bits *bits, uint64_t bit)
{
	const uint64_t word = bit / VMMEM_BITS_WORD;
	const uint64_t above = word / VMMEM_BITS_WORD;

	if (!__builtin_expect(bits->plain, 1))
		return vmmem_bits_set_any(bits, bit);
	/* For the reasons that vmmem_bits_set_in_word() gives. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (!vmmem_bits_has(&bits->words[0][word], bit))
		__atomic_fetch_or(&bits->words[0][word],
				  UINT64_C(1) << bit % VMMEM_BITS_WORD,
				  __ATOMIC_ACQ_REL);
	if (__builtin_expect(vmmem_bits_has(&bits->words[1][above], word), 1) &&
	    __builtin_expect(
		    vmmem_bits_has(&bits->words[2][above / VMMEM_BITS_WORD],
				   above),
		    1))
		return 0;
	return vmmem_bits_set_summary(bits, word);
}

/* vmmem_bits_set() sets the bits [first, last]. */
int vmmem_bits_set(struct vmmem_bits *bits, uint64_t first, uint64_t last);

/* vmmem_bits_clear() clears the bits [first, last]. */
void vmmem_bits_clear(struct vmmem_bits *bits, uint64_t first, uint64_t last);

/*
 * vmmem_bits_next() returns the first set bit in [first, last]; last + 1 if
 * there is none, which does not wrap.
 */
uint64_t vmmem_bits_next(const struct vmmem_bits *bits, uint64_t first,
			 uint64_t last);

/* vmmem_bits_next_clear() returns the first clear bit, likewise. */
uint64_t vmmem_bits_next_clear(const struct vmmem_bits *bits, uint64_t first,
			       uint64_t last);

/* vmmem_bits_count() counts what is set; there are 'count' bits. */
uint64_t vmmem_bits_count(const struct vmmem_bits *bits, uint64_t count);

/*
 * vmmem_bits_drain() clears all bits, and calls take(index, word, context) for
 * each word of level 0 in which some were set.  Returns whether any were.
 */
typedef void (*vmmem_take_fn)(uint64_t index, uint64_t word, void *context);
bool vmmem_bits_drain(struct vmmem_bits *bits, vmmem_take_fn take,
		      void *context);

#endif
