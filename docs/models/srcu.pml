/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Sections of threads that translate, one with a slot of its own and one that
 * is counted; and one who changes the translation, waits until those that were
 * under way are over, and gives the page away.  lib/iommu/srcu.[ch].
 *
 * The claim: nobody uses a page that was given away; and who waits is woken.
 *
 * Good:	(none)
 * Broken:	NO_BARRIER	nobody makes the barrier
 *		BARRIER_FIRST	it is made before the translation is changed
 *		LOOK_FIRST	a thread looks before its section can be seen
 *		LEAVE_FIRST	its section ends before it has used the page
 *		GENERATION_FIRST	the generation goes on before the
 *				translation is changed
 *		SLOTS_ONLY	those that are counted are not waited for
 *		ONE_TURN	only one of the two counters is waited for
 *		NOT_WAITING	it is not said that somebody waits
 *		WAITING_LATE	that is said after the barrier
 */
#define SECTIONS   2
#define PAGES	   2
#define THREADS	   3
/* Cells of memory. */
#define STATE	   0
#define TABLE	   1 /* the page that is led to */
#define GENERATION 2
#define WAITING	   3
#define COUNT	   4 /* and 5 */
#define CELLS	   6
#include "machine.pml"

bool given[PAGES + 2];
bool ready;
/* Cells that somebody sleeps at, and may be woken from. */
bool woken[CELLS];
bool waits;

inline use(page)
{
	assert(!given[page])
}

active proctype with_slot()
{
	byte i, me = _pid - THREADS;
	byte page, number, waiting, sections;

	ready;
	do
	:: sections < SECTIONS ->
		sections++;
#ifdef LOOK_FIRST
		load(TABLE, page);
#endif
		load(GENERATION, number);
		store(STATE, number);
#ifndef LOOK_FIRST
		load(TABLE, page);
#endif
#ifdef LEAVE_FIRST
		store(STATE, 0);
		use(page);
#else
		use(page);
		store(STATE, 0);
#endif
		load(WAITING, waiting);
		if
		:: waiting != 0 ->
			/* A system call: the store is in memory by then. */
			buffers[me].count == 0;
			woken[STATE] = true
		:: else
		fi;
		waiting = 0
	:: else -> break
	od
}

active proctype counted()
{
	byte i, me = _pid - THREADS;
	byte page, phase, waiting, sections;

	ready;
	do
	:: sections < SECTIONS ->
		sections++;
		/* It may be an old one. */
		if
		:: phase = 0
		:: phase = 1
		fi;
		d_step {
			buffers[me].count == 0 ->
			memory[COUNT + phase] = memory[COUNT + phase] + 1
		};
		load(TABLE, page);
		use(page);
		d_step {
			buffers[me].count == 0 ->
			memory[COUNT + phase] = memory[COUNT + phase] - 1
		};
		load(WAITING, waiting);
		if
		:: waiting != 0 -> woken[COUNT + phase] = true
		:: else
		fi;
		waiting = 0
	:: else -> break
	od
}

/* The kernel looks at the cell and sleeps, in one step. */
inline sleep(c, v)
{
	if
	:: d_step { memory[c] == v -> woken[c] = false };
		waits = true;
		woken[c];
		waits = false
	:: memory[c] != v
	fi
}

inline wait_for_count(c)
{
	do
	:: load(c, state);
		if
		:: state == 0 -> break
		:: else -> sleep(c, state)
		fi
	od
}

inline synchronize()
{
#ifndef GENERATION_FIRST
	store(GENERATION, n + 1);
#endif
#ifndef NOT_WAITING
#ifndef WAITING_LATE
	store(WAITING, 1);
#endif
#endif
#ifndef BARRIER_FIRST
	barrier();
#endif
#ifdef WAITING_LATE
	store(WAITING, 1);
#endif
	load(STATE, state);
	if
	:: state != 0 && state != n + 1 ->
		number = state;
		do
		:: load(STATE, state);
			if
			:: state == number -> sleep(STATE, state)
			:: else -> break
			fi
		od
	:: else
	fi;
#ifndef SLOTS_ONLY
	buffers[me].count == 0;
	wait_for_count(COUNT + n % 2);
#ifndef ONE_TURN
	wait_for_count(COUNT + 1 - n % 2);
#endif
#endif
	store(WAITING, 0);
	state = 0;
	number = 0
}

active proctype changer()
{
	byte i, me = _pid - THREADS;
	byte n, state, number;

	d_step {
		memory[GENERATION] = 1;
		memory[TABLE] = 1;
		ready = true
	};
	do
	:: n < PAGES ->
		n++;
#ifdef BARRIER_FIRST
		barrier();
#endif
#ifdef GENERATION_FIRST
		store(GENERATION, n + 1);
#endif
		/* From page n to the next; and that is in memory. */
		store(TABLE, n + 1);
		buffers[me].count == 0;
		synchronize();
		given[n] = true
	:: else -> break
	od
}

/* When nothing moves any more, nobody sleeps. */
active proctype watch()
{
end:
	timeout;
	assert(!waits)
}
