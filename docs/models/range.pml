/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Marking whole words with plain stores.  Writer 0 dirties a range: it stores
 * a word of bits, and a word of their summary, which may be on their way to
 * memory still when it sets the top level, always, with a locked instruction.
 * Writer 1 dirties one page of that range and skips what it finds set.
 *
 * Here the word of the summary is one in the middle of a very long range; at
 * the ends of a range there is one more locked instruction.
 *
 * Good:	(none)
 *		SHORT		a range whose summary is in one word
 * Broken:	NO_BARRIER
 *		TRUST_SUMMARY	a summary that is set is not set again
 *		MARK_FIRST	marked before it is written
 *		PLAIN_TOP	no locked instruction at the end
 */
#define WRITERS	   2
#define HARVESTERS 1
#define BITS	   2
#define SUMMARY	   3
#define TOP	   4
#define CELLS	   5
#include "tso.pml"

#define ALL_BITS 3

/* vmmem_bits_set() of whole words. */
inline mark_range()
{
	store(BITS, ALL_BITS);
#ifdef TRUST_SUMMARY
	set_word(SUMMARY, 1, true);
	set_word(TOP, 1, true)
#else
#ifdef SHORT
	fetch_or(SUMMARY, 1);
#else
	store(SUMMARY, ALL_BITS);
#endif
#ifdef PLAIN_TOP
	store(TOP, 1)
#else
	fetch_or(TOP, 1)
#endif
#endif
}

inline mark_page()
{
	set_word(BITS, 1, true);
	set_word(SUMMARY, 1, true);
	set_word(TOP, 1, true)
}

inline mark()
{
	if
	:: me == 0 -> mark_range()
	:: else -> mark_page()
	fi
}

active [WRITERS] proctype writer()
{
	THREAD_LOCALS;
	byte me = _pid - THREADS;
	byte number;

	do
	:: number < WRITES ->
		number++;
#ifdef MARK_FIRST
		mark();
		store(me, number);
#else
		store(me, number);
		mark();
#endif
		returned[me] = number
	:: else -> break
	od;
	finished++
}

/* vmmem_bits_drain() */
inline drain()
{
	take_all(TOP, word);
	if
	:: word != 0 ->
		take_all(SUMMARY, word);
		if
		:: (word & 1) != 0 -> take_all(BITS, word)
		:: else -> word = 0
		fi
	:: else
	fi
}

inline harvest(h)
{
	harvest_begins(h);
	drain();
	if
	:: word != 0 ->
		barrier();
		if
		:: (word & 1) != 0 -> copy_page(h)
		:: else
		fi
	:: else
	fi;
	word = 0;
	harvest_is_over(h)
}

active [HARVESTERS] proctype harvester()
{
	THREAD_LOCALS;
	byte me = _pid - THREADS;
	byte n, word, rounds;

	do
	:: rounds < 2 ->
		rounds++;
		harvest(0)
	:: break
	od;
	finished == WRITERS;
	harvest(0);
	copy_is_complete(0)
}
