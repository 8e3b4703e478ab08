/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Two harvesters of one bitmap.  Whoever harvests moves the marks, under the
 * lock, to what is pending for each of them, and then takes its own.  The
 * barrier may fail; then it stays due, and nothing is taken before one was
 * made.  What was taken stays so until it is confirmed: it may not have been
 * sent, or the confirmation may come after the next take.  A mark of what is
 * taken already stays pending, as that confirmation is not for it.
 *
 * Good:	(none)
 *		FAILING			the barrier fails now and then
 * Broken:	NO_BARRIER
 *		MARK_FIRST		marked before it is written
 *		UNLOCKED_BARRIER	who found marks makes the barrier after
 *					it has released the lock
 *		OWN_ONLY		marks are moved to who harvests alone
 *		FAILING FORGET_DUE	a barrier that failed is forgotten
 *		FORGET_UNSENT		what was not confirmed is forgotten
 *		MERGE_MARKS		a mark of what is taken is taken, too
 */
#define WRITERS	   1
#define HARVESTERS 2
#define BITS	   1
#define CELLS	   2
#include "tso.pml"

byte lock;
byte pending[HARVESTERS];
bool due;

active [WRITERS] proctype writer()
{
	THREAD_LOCALS;
	byte me = _pid - THREADS;
	byte number;

	do
	:: number < WRITES ->
		number++;
#ifdef MARK_FIRST
		set_word(BITS, 1, true);
		store(me, number);
#else
		store(me, number);
		set_word(BITS, 1, true);
#endif
		returned[me] = number
	:: else -> break
	od;
	finished++
}

inline try_barrier(may_fail)
{
	if
	:: barrier();
		due = false
#ifdef FAILING
	:: may_fail ->
		failed = true;
#ifdef FORGET_DUE
		due = false
#endif
#endif
	fi
}

/* vmmem_harvester_take() */
inline take(h, may_fail)
{
	failed = false;
	atomic { lock == 0 -> lock = 1 };
	take_all(BITS, word);
	if
	:: word != 0 ->
#ifdef OWN_ONLY
		pending[h] = 1;
#else
		pending[0] = 1;
		pending[1] = 1;
#endif
#ifdef UNLOCKED_BARRIER
		found = true;
#endif
		due = true
	:: else
	fi;
	word = 0;
#ifndef UNLOCKED_BARRIER
	if
	:: due -> try_barrier(may_fail)
	:: else
	fi;
#endif
	if
#ifdef FORGET_UNSENT
	:: !failed ->
		taken = pending[h];
		pending[h] = 0
#else
#ifdef MERGE_MARKS
	:: !failed ->
		taken = taken | pending[h];
		pending[h] = 0
#else
	:: !failed && taken == 0 ->
		taken = pending[h];
		pending[h] = 0
#endif
#endif
	:: else
	fi;
	lock = 0;
#ifdef UNLOCKED_BARRIER
	if
	:: found -> barrier()
	:: else
	fi;
	found = false
#endif
}

inline harvest(h, may_fail)
{
	harvest_begins(h);
	take(h, may_fail);
	if
	:: failed -> skip
	:: !failed && taken != 0 ->
		copy_page(h);
		harvest_is_over(h);
		if
		:: true
		:: may_fail ->
			/* It arrives, and we hear of it after another take. */
			take(h, may_fail)
		fi;
		/* vmmem_harvester_confirm() */
		taken = 0
	:: !failed && taken != 0 && may_fail ->
		/* It could not be sent, and stays taken. */
		skip
	:: !failed && taken == 0 ->
		harvest_is_over(h)
	fi;
	failed = false
}

active [HARVESTERS] proctype harvester()
{
	THREAD_LOCALS;
	byte me = _pid - THREADS;
	byte n, word, taken, rounds;
	bool failed;
#ifdef UNLOCKED_BARRIER
	bool found;
#endif

	do
	:: rounds < 2 ->
		rounds++;
		harvest(me - WRITERS, true)
	:: break
	od;
	finished == WRITERS;
	harvest(me - WRITERS, false);
	copy_is_complete(me - WRITERS)
}
