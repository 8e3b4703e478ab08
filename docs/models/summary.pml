/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A bit with two levels of summary above it.  Who marks goes up, who harvests
 * comes down.  The second writer of the page may find the bit set by the first
 * one, which has not come to the summary yet.
 *
 * Good:	(none)
 *		NO_SKIP NO_BARRIER	without membarrier(2) bits are always
 *					set, but summaries are skipped
 *		ALWAYS_TAKE		no look before the exchange
 * Broken:	NO_BARRIER
 *		MARK_FIRST		marked before it is written
 *		SUMMARY_FIRST		a writer sets the summary, then the bit
 *		SUMMARY_LAST		a harvester clears the bit, then the
 *					summary
 *		TRUST_BIT		a bit that is set is taken to have a
 *					summary
 */
#define WRITERS	   2
#define HARVESTERS 1
#define BITS	   2
#define SUMMARY	   3
#define TOP	   4
#define CELLS	   5
#include "tso.pml"

#ifdef NO_SKIP
#define SKIP false
#else
#define SKIP true
#endif

inline mark()
{
#if defined(TRUST_BIT)
	load(BITS, seen);
	if
	:: seen != 0 -> skip
	:: else ->
		fetch_or(BITS, 1);
		set_word(SUMMARY, 1, true);
		set_word(TOP, 1, true)
	fi;
	seen = 0
#elif defined(SUMMARY_FIRST)
	set_word(TOP, 1, true);
	set_word(SUMMARY, 1, true);
	set_word(BITS, 1, SKIP)
#else
	set_word(BITS, 1, SKIP);
	set_word(SUMMARY, 1, true);
	set_word(TOP, 1, true)
#endif
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

inline take(c, result)
{
#ifdef ALWAYS_TAKE
	exchange_0(c, result)
#else
	take_all(c, result)
#endif
}

/* vmmem_bits_drain() */
inline drain()
{
#ifdef SUMMARY_LAST
	load(TOP, word);
	if
	:: word != 0 ->
		load(SUMMARY, word);
		if
		:: word != 0 ->
			take(BITS, word);
			exchange_0(SUMMARY, seen)
		:: else
		fi;
		exchange_0(TOP, seen);
		seen = 0
	:: else
	fi
#else
	take_all(TOP, word);
	if
	:: word != 0 ->
		take(SUMMARY, word);
		if
		:: word != 0 -> take(BITS, word)
		:: else
		fi
	:: else
	fi
#endif
}

inline harvest(h)
{
	harvest_begins(h);
	drain();
	if
	:: word != 0 ->
		barrier();
		copy_page(h)
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
