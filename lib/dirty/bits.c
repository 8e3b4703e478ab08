/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Atomic bits with two summaries above them, for few bits among many. */
#include "dirty/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/unmap.h"

#define WORD VMMEM_BITS_WORD

/*
 * From here on the kernel gives memory page by page, when it is touched.
 * Smaller ones are not worth a mapping of their own.
 */
#define MAP_FROM 4096

int
vmmem_bits_init(struct vmmem_bits *bits, uint64_t count, bool skip)
{
	uint64_t total = 0, level_count = count;
	uint64_t *memory;
	int level;

	memset(bits, 0, sizeof(*bits));
	bits->skip = skip;
	bits->plain = skip;
	for (level = 0; level < VMMEM_BITS_LEVELS; level++) {
		level_count = level_count / WORD + (level_count % WORD != 0);
		bits->counts[level] = level_count;
		total += level_count;
	}
	/* At most 2^58 bits, pages of 64 bytes: this cannot overflow. */
	bits->memory_len = (size_t)total * sizeof(*memory);
	bits->mapped = bits->memory_len >= MAP_FROM;
	if (bits->mapped) {
		memory = mmap(NULL, bits->memory_len, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			      0);
		if (memory == MAP_FAILED)
			return -errno;
	} else {
		memory = calloc((size_t)total, sizeof(*memory));
		if (memory == NULL)
			return -ENOMEM;
	}
	bits->memory = memory;
	/* The summaries first, so that they share their first page. */
	for (level = VMMEM_BITS_LEVELS - 1; level >= 0; level--) {
		bits->words[level] = memory;
		memory += bits->counts[level];
	}
	return 0;
}

void
vmmem_bits_destroy(struct vmmem_bits *bits)
{
	if (bits->external)
		return;
	if (!bits->mapped)
		free(bits->memory);
	else
		vmmem_unmap(bits->memory, bits->memory_len);
}

int
vmmem_bits_set_any(struct vmmem_bits *bits, uint64_t bit)
{
	vmmem_bits_set_in_word(bits, bit / WORD, UINT64_C(1) << bit % WORD);
	return 0;
}

__attribute__((__noinline__)) int
vmmem_bits_set_summary(struct vmmem_bits *bits, uint64_t word)
{
	const uint64_t above = word / WORD;

	vmmem_bits_set_word(&bits->words[1][above],
			    UINT64_C(1) << word % WORD, true);
	vmmem_bits_set_word(&bits->words[2][above / WORD],
			    UINT64_C(1) << above % WORD, true);
	return 0;
}

/*
 * set_words() sets whole words [first, end) of one level.  All of a word's
 * bits become set, so a plain store loses nobody's mark, and what a harvester
 * may take meanwhile it takes from before or after.
 */
static void
set_words(uint64_t *words, uint64_t first, uint64_t end)
{
	uint64_t i;

	for (i = first; i < end; i++)
		__atomic_store_n(&words[i], UINT64_MAX, __ATOMIC_RELEASE);
}

/*
 * set_always() sets the bits [first, last] of one level, and skips none.  A
 * plain store may still be on its way to memory when the processor looks at
 * the summary.  So the summary of bits that were stored must be set, and not
 * trusted; the last step is a locked instruction and waits for all stores.
 */
static void
set_always(uint64_t *words, uint64_t first, uint64_t last)
{
	uint64_t i = first / WORD, end = last / WORD;
	unsigned int from = first % WORD, to = last % WORD;

	if (i == end) {
		/* Release: the stores below come before their summary. */
		__atomic_fetch_or(&words[i],
				  vmmem_bits_mask(from, to - from + 1),
				  __ATOMIC_ACQ_REL);
		return;
	}
	__atomic_fetch_or(&words[i], vmmem_bits_mask(from, WORD - from),
			  __ATOMIC_ACQ_REL);
	set_words(words, i + 1, end);
	__atomic_fetch_or(&words[end], vmmem_bits_mask(0, to + 1),
			  __ATOMIC_ACQ_REL);
}

int
vmmem_bits_set(struct vmmem_bits *bits, uint64_t first, uint64_t last)
{
	uint64_t i = first / WORD, end = last / WORD;
	unsigned int from = first % WORD, to = last % WORD;

	if (i == end) {
		vmmem_bits_set_in_word(bits, i,
				       vmmem_bits_mask(from, to - from + 1));
		return 0;
	}
	if (from != 0)
		vmmem_bits_set_in_word(bits, i++,
				       vmmem_bits_mask(from, WORD - from));
	if (to != WORD - 1)
		vmmem_bits_set_in_word(bits, end, vmmem_bits_mask(0, to + 1));
	else
		end++;
	/* The rest are whole words [i, end). */
	if (i == end)
		return 0;
	if (bits->external) {
		for (; i < end; i++)
			vmmem_bits_external_set(bits, i, UINT64_MAX);
		return 0;
	}
	set_words(bits->words[0], i, end);
	set_always(bits->words[1], i, end - 1);
	set_always(bits->words[2], i / WORD, (end - 1) / WORD);
	return 0;
}

void
vmmem_bits_clear(struct vmmem_bits *bits, uint64_t first, uint64_t last)
{
	uint64_t at, mask;
	unsigned int from, to;

	/* The summary stays: it says "may". */
	while (first <= last) {
		first = vmmem_bits_next(bits, first, last);
		if (first > last)
			return;
		at = first / WORD;
		from = first % WORD;
		to = at == last / WORD ? last % WORD : WORD - 1;
		mask = vmmem_bits_mask(from, to - from + 1);
		/* Acquire: the data is looked at after the bit is cleared. */
		if (bits->external)
			(void)vmmem_bits_external_take(bits, at, mask);
		else
			__atomic_fetch_and(&bits->words[0][at], ~mask,
					   __ATOMIC_ACQ_REL);
		first = (at + 1) * WORD;
	}
}

/* from_bit() returns the first set bit of 'word' from 'bit' on, or WORD. */
static unsigned int
from_bit(uint64_t word, unsigned int bit)
{
	word &= UINT64_MAX << bit;
	return word != 0 ? (unsigned int)__builtin_ctzll(word) : WORD;
}

/*
 * next_word() returns the first word of 'level' from 'first' on that may not
 * be zero; the number of words if there is none.
 */
static uint64_t
next_word(const struct vmmem_bits *bits, int level, uint64_t first)
{
	uint64_t count = bits->counts[level], above, word;
	unsigned int bit;

	if (bits->external) {
		while (first < count && vmmem_bits_word(bits, first) == 0)
			first++;
		return first;
	}
	if (level == VMMEM_BITS_LEVELS - 1) {
		while (first < count &&
		       __atomic_load_n(&bits->words[level][first],
				       __ATOMIC_ACQUIRE) == 0)
			first++;
		return first;
	}
	while (first < count) {
		above = first / WORD;
		/* Acquire: the summary is looked at before what it sums up. */
		word = __atomic_load_n(&bits->words[level + 1][above],
				       __ATOMIC_ACQUIRE);
		bit = from_bit(word, first % WORD);
		if (bit < WORD)
			return above * WORD + bit;
		first = next_word(bits, level + 1, above + 1) * WORD;
	}
	return count;
}

uint64_t
vmmem_bits_next(const struct vmmem_bits *bits, uint64_t first, uint64_t last)
{
	uint64_t at = first / WORD;
	unsigned int bit = from_bit(vmmem_bits_word(bits, at), first % WORD);

	while (bit == WORD) {
		at = next_word(bits, 0, at + 1);
		if (at > last / WORD || at >= bits->counts[0])
			return last + 1;
		bit = from_bit(vmmem_bits_word(bits, at), 0);
	}
	first = at * WORD + bit;
	return first <= last ? first : last + 1;
}

uint64_t
vmmem_bits_next_clear(const struct vmmem_bits *bits, uint64_t first,
		      uint64_t last)
{
	uint64_t at = first / WORD;
	unsigned int bit = from_bit(~vmmem_bits_word(bits, at), first % WORD);

	while (bit == WORD) {
		at++;
		if (at > last / WORD)
			return last + 1;
		bit = from_bit(~vmmem_bits_word(bits, at), 0);
	}
	first = at * WORD + bit;
	return first <= last ? first : last + 1;
}

/*
 * take_all() clears a word and returns what was in it.  It does not look first:
 * below a summary that was just cleared, a look may run ahead of the clearing
 * where an exchange is made of two steps, and miss a bit whose marker has found
 * the summary still set.  See docs/models/weak.pml.
 */
static uint64_t
take_all(uint64_t *word)
{
	/*
	 * Acquire: what the markers did before is seen from here on.  Release:
	 * a marker of this word that comes later sees the summary cleared.
	 */
	return __atomic_exchange_n(word, 0, __ATOMIC_ACQ_REL);
}

/* take_top() leaves alone what is 0: nothing was cleared above it. */
static uint64_t
take_top(uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED) != 0 ? take_all(word) :
							      0;
}

/* drain_word() drains word 'index' of level 0. */
static inline bool
drain_word(struct vmmem_bits *bits, uint64_t index, vmmem_take_fn take,
	   void *context)
{
	uint64_t word = bits->external ?
				vmmem_bits_external_take(bits, index,
							 UINT64_MAX) :
				take_all(&bits->words[0][index]);

	if (word == 0)
		return false;
	take(index, word, context);
	return true;
}

bool
vmmem_bits_drain(struct vmmem_bits *bits, vmmem_take_fn take, void *context)
{
	uint64_t top, middle, i, at;
	bool any = false;

	if (bits->external) {
		for (i = 0; i < bits->counts[0]; i++)
			any |= drain_word(bits, i, take, context);
		return any;
	}
	for (i = 0; i < bits->counts[2]; i++) {
		top = take_top(&bits->words[2][i]);
		for (; top != 0; top &= top - 1) {
			at = i * WORD + (unsigned int)__builtin_ctzll(top);
			middle = take_all(&bits->words[1][at]);
			for (; middle != 0; middle &= middle - 1)
				any |= drain_word(
					bits,
					at * WORD + (unsigned int)
						__builtin_ctzll(middle),
					take, context);
		}
	}
	return any;
}

/* ones() is what popcount does where the processor has no such thing. */
static inline uint64_t
ones(uint64_t word)
{
	word -= word >> 1 & UINT64_C(0x5555555555555555);
	word = (word & UINT64_C(0x3333333333333333)) +
	       (word >> 2 & UINT64_C(0x3333333333333333));
	word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return word * UINT64_C(0x0101010101010101) >> 56;
}

/* count_word() counts what is set in a word, of 'count' bits in all. */
static inline uint64_t
count_word(const struct vmmem_bits *bits, uint64_t index, uint64_t count)
{
	uint64_t word = vmmem_bits_word(bits, index);

	/* Others may set bits of external words past the end. */
	if (__builtin_expect(index >= count / WORD, 0))
		word &= index == count / WORD && count % WORD != 0 ?
				vmmem_bits_mask(0, count % WORD) :
				0;
	return ones(word);
}

/* count_below() counts what is set below word 'above' of level 1. */
static uint64_t
count_below(const struct vmmem_bits *bits, uint64_t above, uint64_t count)
{
	/* Acquire: the summary is looked at before what it sums up. */
	uint64_t middle = __atomic_load_n(&bits->words[1][above],
					  __ATOMIC_ACQUIRE);
	uint64_t sum = 0;

	for (; middle != 0; middle &= middle - 1)
		sum += count_word(bits,
				  above * WORD + (unsigned int)
					  __builtin_ctzll(middle),
				  count);
	return sum;
}

uint64_t
vmmem_bits_count(const struct vmmem_bits *bits, uint64_t count)
{
	uint64_t at, top, sum = 0;

	if (bits->external) {
		for (at = 0; at < bits->counts[0]; at++)
			sum += count_word(bits, at, count);
		return sum;
	}
	for (at = 0; at < bits->counts[2]; at++) {
		top = __atomic_load_n(&bits->words[2][at], __ATOMIC_ACQUIRE);
		for (; top != 0; top &= top - 1)
			sum += count_below(bits,
					   at * WORD + (unsigned int)
						   __builtin_ctzll(top),
					   count);
	}
	return sum;
}

void
vmmem_bits_empty(struct vmmem_bits *bits)
{
	uint64_t top, middle, i, at;

	for (i = 0; i < bits->counts[2]; i++) {
		top = bits->words[2][i];
		if (top == 0)
			continue;
		bits->words[2][i] = 0;
		for (; top != 0; top &= top - 1) {
			at = i * WORD + (unsigned int)__builtin_ctzll(top);
			middle = bits->words[1][at];
			bits->words[1][at] = 0;
			for (; middle != 0; middle &= middle - 1)
				bits->words[0][at * WORD +
					       (unsigned int)__builtin_ctzll(
						       middle)] = 0;
		}
	}
}
