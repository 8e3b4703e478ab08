/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Threads without a reader: vmmem_epoch_enter(), a load of the current map, a
 * reference to it, vmmem_epoch_leave(); and a writer that publishes maps and
 * drops those that nobody can get a reference to.  All of it is sequentially
 * consistent, as the code asks for; only the phase may be an old one, so here
 * it is any.  A map is known by its generation.
 *
 * The claim: nobody takes a reference to a map that has been dropped.  And where
 * the writer alone goes on, all but the current map are dropped in the end.
 *
 * Good:	(none)
 * Broken:	LOAD_FIRST	the map is loaded before the thread is counted
 *		ONE_COUNTER	only the counter that is not in use is looked at
 *		LATE_NUMBER	what is counted when the phase is changed is
 *				taken to see the map of the next look
 *		NOT_COUNTED	counters are not looked at
 */
#define THREADS 2
#define FIRST	2
#define LAST	5

byte current = FIRST;
byte count[2];
byte phase;
bool dropped[LAST + 1];
byte done; /* threads that pass no more */

active [THREADS] proctype thread()
{
	byte p, map, times;

	do
	:: times < 2 ->
		times++;
		if
		:: p = 0
		:: p = 1
		fi;
#ifdef LOAD_FIRST
		map = current;
		count[p]++;
#else
		count[p]++;
		map = current;
#endif
		assert(!dropped[map]);
		count[p]--;
		map = 0
	:: else -> break
	od;
	done++
}

/* look_at_passing() */
inline look()
{
	if
	:: count[1 - phase] == 0 ->
#ifdef ONE_COUNTER
		passed = generation;
#else
		passed = changed_at;
#endif
		if
		:: count[phase] == 0 ->
			changed_at = generation;
			passed = generation
		:: else ->
#ifdef LATE_NUMBER
			changed_at = generation + 1;
#else
			changed_at = generation;
#endif
			phase = 1 - phase
		fi
	:: else
	fi;
#ifdef NOT_COUNTED
	passed = generation
#endif
}

inline drop()
{
	d_step {
		i = FIRST;
		do
		:: i < passed && i < generation ->
			dropped[i] = true;
			i++
		:: else -> break
		od;
		i = 0
	}
}

active proctype writer()
{
	byte generation = FIRST, passed, changed_at, i;

	do
	:: generation < LAST ->
		generation++;
		current = generation;
		look();
		drop()
	:: else -> break
	od;
	/* When all have passed, one more look is enough. */
	done == THREADS;
	look();
	drop();
	assert(dropped[LAST - 1])
}
