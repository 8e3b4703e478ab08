/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * An iotlb's table: two copies, of two words here, and a sequence number whose
 * lowest bit says which one to look at.  One writer changes it, number by
 * number; readers look it up.  lib/iommu/iotlb_table.h.
 *
 * The claim: what a reader finds is one whole entry, and not one that was
 * replaced before its look-up began.  And one that interrupted the writer, as
 * a signal handler does, finds an entry while the writer stands still.
 *
 * Good:	(none)
 *		INTERRUPTED	the writer stops somewhere for ever
 * Broken:	ONE_COPY	readers look at the same copy all the time
 *		NO_CHECK	the number is not looked at again
 *		LATE_BEGIN	it is changed after the first word is
 *		EARLY_FINISH	it is changed before the last word is
 *		LATE_FINISH	it is not changed until both copies are
 */
#define READERS	 2
#define CHANGES	 2
#define THREADS	 (READERS + 1)
#define SEQUENCE 0
/* Word 'w' of copy 'c'. */
#define WORD(c, w) (1 + 2 * (c) + (w))
#define CELLS	 5
#include "machine.pml"

byte returned;	/* the last change whose call has returned */
byte finished;	/* readers */

active [READERS] proctype reader()
{
	byte i, me = _pid - THREADS;
	byte before, after, a, b, promised, copy;

	promised = returned;
	do
	:: load(SEQUENCE, before);
#ifdef ONE_COPY
		copy = 0;
#else
		copy = before % 2;
#endif
		load(WORD(copy, 0), a);
		load(WORD(copy, 1), b);
#ifndef NO_CHECK
		load(SEQUENCE, after);
		if
		:: after == before -> break
		:: else
		fi
#else
		break
#endif
	od;
	assert(a == b);
	assert(a >= promised);
	finished++
}

inline change(n)
{
#ifdef LATE_BEGIN
	store(WORD(0, 0), n);
	store(SEQUENCE, 2 * n - 1);
#else
	store(SEQUENCE, 2 * n - 1);
	store(WORD(0, 0), n);
#endif
#ifdef INTERRUPTED
	if
	:: goto stop
	:: true
	fi;
#endif
#ifdef EARLY_FINISH
	store(SEQUENCE, 2 * n);
	store(WORD(0, 1), n);
#else
	store(WORD(0, 1), n);
#ifndef LATE_FINISH
	store(SEQUENCE, 2 * n);
#endif
#endif
	store(WORD(1, 0), n);
#ifdef INTERRUPTED
	if
	:: goto stop
	:: true
	fi;
#endif
	store(WORD(1, 1), n);
#ifdef LATE_FINISH
	store(SEQUENCE, 2 * n);
#endif
	/* Unlocking is a locked instruction. */
	buffers[me].count == 0;
	returned = n
}

active proctype writer()
{
	byte i, me = _pid - THREADS;
	byte n;

	do
	:: n < CHANGES ->
		n++;
		change(n)
	:: else -> break
	od;
stop:
	skip
}

/* When nothing moves any more, all have found something. */
active proctype watch()
{
end:
	timeout;
	assert(finished == READERS)
}
