/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Switching logging on while writers write.  Each harvester starts, copies all
 * there is, harvests, and stops; the second may join while the first is at
 * work, and then finds logging on already.
 *
 * Good:	(none)
 *		TOGETHER	the first is started with other bitmaps: the
 *				barrier is for all of them, without a lock
 * Broken:	NO_BARRIER
 *		NO_START_BARRIER	the barrier of start alone is left out
 *		FLAG_FIRST		the writer looks whether logging is on
 *					before it writes
 *		COPY_FIRST		all is copied before logging is on
 *		TOGETHER TRUST_UNSURE	who joins relies on the barrier of the
 *					others, which is not yet made
 */
#define WRITERS	   1
#define HARVESTERS 2
#define WRITES	   3
#define BITS	   1
#define LOGGING	   2
#define CELLS	   3
#include "tso.pml"

byte lock;
byte starts;
byte unsure; /* of these */
byte pending[HARVESTERS];
bool present[HARVESTERS];

active [WRITERS] proctype writer()
{
	THREAD_LOCALS;
	byte me = _pid - THREADS;
	byte number, on;

	do
	:: number < WRITES ->
		number++;
#ifdef FLAG_FIRST
		load(LOGGING, on);
		store(me, number);
#else
		store(me, number);
		load(LOGGING, on);
#endif
		if
		:: on != 0 -> set_word(BITS, 1, true)
		:: else
		fi;
		on = 0;
		returned[me] = number
	:: else -> break
	od;
	finished++
}

/* vmmem_collection_start_logging() */
inline start_together(h)
{
	atomic { lock == 0 -> lock = 1 };
	store(LOGGING, 1);
	starts++;
	unsure++;
	present[h] = true;
	d_step { buffers[me].count == 0 -> lock = 0 };
	barrier();
	atomic { lock == 0 -> lock = 1 };
	unsure--;
	d_step { buffers[me].count == 0 -> lock = 0 }
}

/* vmmem_harvester_new() */
inline start(h)
{
	atomic { lock == 0 -> lock = 1 };
	if
#ifdef TRUST_UNSURE
	:: starts == 0 ->
#else
	:: starts == 0 || unsure != 0 ->
#endif
		store(LOGGING, 1);
#ifndef NO_START_BARRIER
		barrier()
#endif
	:: else
	fi;
	starts++;
	present[h] = true;
	/* Unlocking is a locked instruction. */
	d_step { buffers[me].count == 0 -> lock = 0 }
}

/* vmmem_harvester_free() */
inline stop(h)
{
	atomic { lock == 0 -> lock = 1 };
	present[h] = false;
	pending[h] = 0;
	starts--;
	if
	:: starts == 0 -> store(LOGGING, 0)
	:: else
	fi;
	d_step { buffers[me].count == 0 -> lock = 0 }
}

/* vmmem_harvester_take() */
inline take(h)
{
	atomic { lock == 0 -> lock = 1 };
	take_all(BITS, word);
	if
	:: word != 0 ->
		pending[0] = pending[0] | present[0];
		pending[1] = pending[1] | present[1];
		barrier()
	:: else
	fi;
	word = 0;
	taken = pending[h];
	pending[h] = 0;
	d_step { buffers[me].count == 0 -> lock = 0 }
}

inline harvest(h)
{
	harvest_begins(h);
	take(h);
	if
	:: taken != 0 -> copy_page(h)
	:: else
	fi;
	taken = 0;
	harvest_is_over(h)
}

active [HARVESTERS] proctype harvester()
{
	THREAD_LOCALS;
	byte me = _pid - THREADS;
	byte n, word, taken, rounds;

#ifdef COPY_FIRST
	copy_page(me - WRITERS);
	start(me - WRITERS);
#else
#ifdef TOGETHER
	if
	:: me == WRITERS -> start_together(me - WRITERS)
	:: else -> start(me - WRITERS)
	fi;
#else
	start(me - WRITERS);
#endif
	copy_page(me - WRITERS);
#endif
	do
	:: rounds < 1 ->
		rounds++;
		harvest(me - WRITERS)
	:: break
	od;
	if
	:: finished == WRITERS ->
		harvest(me - WRITERS);
		copy_is_complete(me - WRITERS)
	:: true
	fi;
	stop(me - WRITERS)
}
