/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The claim of the dirty log, for its models: what a writer wrote before its
 * call returned, and that was before a harvest began, is in the copy when this
 * harvest is over.
 *
 * A model defines WRITERS, HARVESTERS and CELLS before it includes this.
 * Thread 'w' is a writer, thread WRITERS + 'h' a harvester; the first cells of
 * memory are the data, one for each writer, all of them in page 0.
 */
#define THREADS (WRITERS + HARVESTERS)
#ifndef WRITES
#define WRITES 2
#endif
#include "machine.pml"

/* vmmem_bits_set_word() */
inline set_word(c, mask, may_skip)
{
	if
	:: may_skip ->
		load(c, seen);
		if
		:: (seen & (mask)) == (mask) -> skip
		:: else -> fetch_or(c, mask)
		fi;
		seen = 0
	:: else -> fetch_or(c, mask)
	fi
}

/* take_all(): no exchange of what is 0 already. */
inline take_all(c, result)
{
	load(c, result);
	if
	:: result != 0 -> exchange_0(c, result)
	:: else
	fi
}

/* The claim.  Nothing from here on is known to the threads themselves. */
byte returned[WRITERS];	/* the last write whose call has returned */
byte finished;		/* writers that will write no more */

typedef numbers {
	byte by[WRITERS]
};
numbers copies[HARVESTERS];
numbers promised[HARVESTERS];

/* harvest_begins(): what has returned by now must be in the copy. */
inline harvest_begins(h)
{
	d_step {
		i = 0;
		do
		:: i < WRITERS ->
			promised[h].by[i] = returned[i];
			i++
		:: else -> break
		od;
		i = 0
	}
}

inline harvest_is_over(h)
{
	d_step {
		i = 0;
		do
		:: i < WRITERS ->
			assert(copies[h].by[i] >= promised[h].by[i]);
			promised[h].by[i] = 0;
			i++
		:: else -> break
		od;
		i = 0
	}
}

/* copy_page(): not in one step, as writers may be at work. */
inline copy_page(h)
{
	n = 0;
	do
	:: n < WRITERS ->
		load(n, copies[h].by[n]);
		n++
	:: else -> break
	od;
	n = 0
}

/* copy_is_complete() is for a harvest that began when all had finished. */
inline copy_is_complete(h)
{
	d_step {
		i = 0;
		do
		:: i < WRITERS ->
			assert(copies[h].by[i] == WRITES);
			i++
		:: else -> break
		od;
		i = 0
	}
}
