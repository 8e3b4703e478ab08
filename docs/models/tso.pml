/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The machine and the claim, for all models here.
 *
 * The machine is x86-TSO.  A plain store goes into the thread's own buffer,
 * from where it lands in memory later, first in, first out, at any time.  A
 * load looks into the own buffer first.  A locked instruction waits until the
 * own buffer is empty and then works on memory in one step.  membarrier(2)
 * empties the caller's buffer, and then that of each other thread.
 *
 * The claim: what a writer wrote before its call returned, and that was before
 * a harvest began, is in the copy when this harvest is over.
 *
 * A model defines WRITERS, HARVESTERS and CELLS before it includes this.
 * Thread 'w' is a writer, thread WRITERS + 'h' a harvester; the first cells of
 * memory are the data, one for each writer, all of them in page 0.
 */
#define THREADS (WRITERS + HARVESTERS)
#define DEPTH	3
#ifndef WRITES
#define WRITES 2
#endif

typedef store_buffer {
	byte count;
	byte cell[DEPTH];
	byte value[DEPTH]
};

store_buffer buffers[THREADS];
byte memory[CELLS];

/* Each thread has these of its own. */
#define THREAD_LOCALS \
	byte i; \
	byte seen

/* Stores of thread _pid land in memory. */
active [THREADS] proctype hardware()
{
	byte i;
end:
	do
	:: d_step {
		buffers[_pid].count > 0 ->
		memory[buffers[_pid].cell[0]] = buffers[_pid].value[0];
		buffers[_pid].count--;
		i = 0;
		do
		:: i < DEPTH - 1 ->
			buffers[_pid].cell[i] = buffers[_pid].cell[i + 1];
			buffers[_pid].value[i] = buffers[_pid].value[i + 1];
			i++
		:: else -> break
		od;
		buffers[_pid].cell[DEPTH - 1] = 0;
		buffers[_pid].value[DEPTH - 1] = 0;
		i = 0
	}
	od
}

inline store(c, v)
{
	d_step {
		buffers[me].count < DEPTH ->
		buffers[me].cell[buffers[me].count] = c;
		buffers[me].value[buffers[me].count] = v;
		buffers[me].count++
	}
}

inline load(c, result)
{
	d_step {
		result = memory[c];
		i = 0;
		do
		:: i < buffers[me].count ->
			if
			:: buffers[me].cell[i] == c ->
				result = buffers[me].value[i]
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0
	}
}

/* Locked instructions. */
inline fetch_or(c, mask)
{
	d_step {
		buffers[me].count == 0 ->
		memory[c] = memory[c] | (mask)
	}
}

inline exchange_0(c, result)
{
	d_step {
		buffers[me].count == 0 ->
		result = memory[c];
		memory[c] = 0
	}
}

/*
 * vmmem_barrier(): the caller first, as the kernel does it; then one thread
 * after the other.
 */
inline barrier()
{
#ifdef NO_BARRIER
	skip
#else
	buffers[me].count == 0;
	i = 0;
	do
	:: i < THREADS ->
		d_step {
			buffers[i].count == 0 ->
			i++
		}
	:: else -> break
	od;
	i = 0
#endif
}

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
