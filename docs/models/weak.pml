/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A bit and its summary on a machine with weaker order than x86-TSO.  There an
 * exchange or an or is made of a load and a store that fails if somebody wrote
 * the cell in between (LL/SC); acquire and release keep what is before the
 * store before it, and what is after the load after it.  So a load that
 * follows in the program may run between the two.  Here it does, or not.
 *
 * What saves it is that both sides write the word of bits with a step that
 * reads it: whoever comes second sees all that the first did before.
 *
 * The data is written at once: its order is what the barrier is for, and the
 * other models have that.
 *
 * Good:	(none)
 * Broken:	LOOK		the harvester looks at the bits first, and
 *				exchanges them only if they are not 0
 */
#define WRITERS	   2
#define HARVESTERS 1
#define BITS	   2
#define SUMMARY	   3
#define CELLS	   4
#include "tso.pml"

/* The cell, plus 1, that the thread has loaded and means to store. */
byte reserved[THREADS];

inline load_linked(c, result)
{
	d_step {
		result = memory[c];
		reserved[me] = c + 1
	}
}

/* Every write of a cell takes all threads' reservations of it. */
inline write(c, v)
{
	memory[c] = v;
	i = 0;
	do
	:: i < THREADS ->
		if
		:: reserved[i] == c + 1 -> reserved[i] = 0
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

inline store_conditional(c, v)
{
	d_step {
		if
		:: reserved[me] == c + 1 ->
			write(c, v);
			stored = true
		:: else -> stored = false
		fi
	}
}

/* rmw(): an atomic or ('keep' is 1) or exchange, and a load after it. */
inline rmw(c, keep, mask, old, next, after)
{
	stored = false;
	do
	:: stored -> break
	:: !stored ->
		load_linked(c, old);
		early = false;
		if
		:: load(next, after);
			early = true
		:: skip
		fi;
		store_conditional(c, (old * keep) | mask)
	od;
	if
	:: !early -> load(next, after)
	:: else
	fi;
	early = false
}

inline mark()
{
	load(BITS, seen);
	if
	:: seen != 0 -> load(SUMMARY, summary)
	:: else -> rmw(BITS, 1, 1, seen, SUMMARY, summary)
	fi;
	seen = 0;
	if
	:: summary == 0 -> d_step { write(SUMMARY, 1) }
	:: else
	fi;
	summary = 0
}

active [WRITERS] proctype writer()
{
	THREAD_LOCALS;
	byte me = _pid - THREADS;
	byte number, summary;
	bool stored, early;

	do
	:: number < WRITES ->
		number++;
		memory[me] = number;
		mark();
		returned[me] = number
	:: else -> break
	od;
	finished++
}

inline drain()
{
	load(SUMMARY, seen);
	if
	:: seen != 0 ->
		rmw(SUMMARY, 0, 0, seen, BITS, word);
#ifdef LOOK
		if
		:: word != 0 ->
#endif
		d_step {
			word = memory[BITS];
			write(BITS, 0)
		}
#ifdef LOOK
		:: else
		fi
#endif
	:: else
	fi;
	seen = 0
}

inline harvest(h)
{
	harvest_begins(h);
	drain();
	if
	:: word != 0 -> copy_page(h)
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
	bool stored, early;

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
