/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Sections of readers, and a writer that publishes maps and drops those that
 * nobody can see.  A map is known by its generation.  In each section a reader
 * uses the map that it took; and the map that it has kept from an earlier
 * section, if the number it noted then is that of this section, too.
 *
 * The claim: no map that is used has been dropped.
 *
 * Good:	(none)
 *		FENCED NO_BARRIER	readers make the barrier themselves,
 *					where there is no membarrier(2)
 *		ASKED			there was, and is not any more: readers
 *					are asked to, and answer as their next
 *					section ends
 * Broken:	NO_BARRIER		nobody makes it
 *		NUMBER_EARLY		the number is loaded before the section
 *					can be seen: what was kept is used
 *		NUMBER_LATE		the number is loaded after the map
 *		NUMBER_FIRST		the number is published before the map
 *		NOT_ASKED		the writer does not look at sections
 *		BARRIER_FIRST		the barrier before the map is published
 *		ENTERING_IS_OUT		a reader that is about to look does not
 *					count
 *		ASKED SILENT_IS_OUT	nor one that has not answered
 *		ASKED ONLY_SAYS_SO	one that answers makes no barrier
 *		ASKED NO_FENCE		the writer makes none
 */
#define READERS	   2
#define SECTIONS   2
#define FIRST	   2 /* the first generation; 1 is "about to look" */
#define LAST	   4 /* the last one that is published */
#define THREADS	   (READERS + 1)
#define CURRENT	   READERS
#define GENERATION (READERS + 1)
#define CELLS	   (READERS + 2)
#include "machine.pml"

bool dropped[LAST + 1];
bool ready; /* memory is as the space is made */

#ifdef ASKED
/* In no section, of a reader that makes barriers. */
#define RESTS (LAST + 1)
/* What a locked instruction of the writer's has added, and readers look at. */
bool asked[READERS];
#endif

/* A section is the cell of its reader's number. */
inline enter()
{
#ifdef NUMBER_EARLY
	load(GENERATION, number);
	store(me, number);
#else
	store(me, 1);
#ifdef FENCED
	buffers[me].count == 0;
#endif
#if defined(ASKED) && !defined(ONLY_SAYS_SO)
	if
	:: fenced -> buffers[me].count == 0
	:: else
	fi;
#endif
#ifndef NUMBER_LATE
	load(GENERATION, number);
#endif
#endif
	load(CURRENT, map);
#ifdef NUMBER_LATE
	load(GENERATION, number);
#endif
#ifndef NUMBER_EARLY
	store(me, number)
#endif
}

active [READERS] proctype reader()
{
	byte i, me = _pid - THREADS;
	byte number, map, noted, kept, sections;
#ifdef ASKED
	bool fenced;
#endif

	ready;
	do
	:: sections < SECTIONS ->
		sections++;
		enter();
		if
		:: number == noted ->
			assert(!dropped[kept])
		:: else ->
			noted = number;
			kept = map
		fi;
		assert(!dropped[map]);
#ifdef ASKED
		if
		:: asked[me] ->
			fenced = true;
			store(me, RESTS)
		:: else -> store(me, 0)
		fi
#else
		store(me, 0)
#endif
	:: else -> break
	od
}

/* What was replaced by 'horizon' or before is seen by nobody. */
inline look()
{
	horizon = generation;
	r = 0;
	do
	:: r < READERS ->
		load(r, section);
#ifdef ASKED
		d_step {
			if
			:: section == RESTS -> seen[r] = generation
#ifdef SILENT_IS_OUT
			:: section == 0 -> seen[r] = generation
#endif
			:: section > seen[r] && section != RESTS ->
				seen[r] = section
			:: else
			fi;
			if
			:: seen[r] < horizon -> horizon = seen[r]
			:: else
			fi;
			section = 0
		};
#else
		if
#ifdef ENTERING_IS_OUT
		:: section == 1 -> skip
#endif
		:: section != 0 && section < horizon -> horizon = section
		:: else
		fi;
#endif
		r++
	:: else -> break
	od;
	section = 0;
	r = 0
}

inline drop()
{
	d_step {
		i = FIRST;
		do
		:: i < horizon ->
			dropped[i] = true;
			i++
		:: else -> break
		od;
		i = 0;
		horizon = 0
	}
}

active proctype writer()
{
	byte i, me = READERS;
	byte generation = FIRST, horizon, section, r;
#ifdef ASKED
	byte seen[READERS];
#endif

	ready;
#ifdef ASKED
	seen[0] = FIRST;
	seen[1] = FIRST;
#endif
	do
	:: generation < LAST ->
		generation++;
#ifdef BARRIER_FIRST
		barrier();
#endif
#ifdef NUMBER_FIRST
		store(GENERATION, generation);
		store(CURRENT, generation);
#else
		store(CURRENT, generation);
		store(GENERATION, generation);
#endif
#ifdef ASKED
		d_step {
			asked[0] = true;
			asked[1] = true
		};
#ifndef NO_FENCE
		buffers[me].count == 0;
#endif
#elif !defined(BARRIER_FIRST)
		/* The writer's own stores are made by locks that it takes. */
		buffers[me].count == 0;
		barrier();
#endif
#ifdef NOT_ASKED
		horizon = generation;
#else
		look();
#endif
		drop()
	:: else -> break
	od
}

init
{
	d_step {
		memory[CURRENT] = FIRST;
		memory[GENERATION] = FIRST;
		ready = true
	}
}
