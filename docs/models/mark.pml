/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Marking one page, with a bit that is not set again if it is set, and a
 * barrier between taking the bit and reading the data.
 *
 * Good:	(none)
 *		NO_SKIP NO_BARRIER	what is done where there is no
 *					membarrier(2), and for external bits
 * Broken:	NO_BARRIER		a skipped mark without the barrier
 *		MARK_FIRST		marked before it is written
 *		BARRIER_FIRST		the barrier before the bit is taken
 */
#define WRITERS	   2
#define HARVESTERS 1
#define BITS	   2
#define CELLS	   3
#include "tso.pml"

#ifdef NO_SKIP
#define SKIP false
#else
#define SKIP true
#endif

active [WRITERS] proctype writer()
{
	THREAD_LOCALS;
	byte me = _pid - THREADS;
	byte number;

	do
	:: number < WRITES ->
		number++;
#ifdef MARK_FIRST
		set_word(BITS, 1, SKIP);
		store(me, number);
#else
		store(me, number);
		set_word(BITS, 1, SKIP);
#endif
		returned[me] = number
	:: else -> break
	od;
	finished++
}

inline harvest(h)
{
	harvest_begins(h);
#ifdef BARRIER_FIRST
	barrier();
#endif
	take_all(BITS, word);
	if
	:: word != 0 ->
#ifndef BARRIER_FIRST
		barrier();
#endif
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
	:: rounds < 3 ->
		rounds++;
		harvest(0)
	:: break
	od;
	finished == WRITERS;
	harvest(0);
	copy_is_complete(0)
}
