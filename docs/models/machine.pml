/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The machine, for all models here that have store buffers: x86-TSO.  A plain
 * store goes into the thread's own buffer, from where it lands in memory later,
 * first in, first out, at any time.  A load looks into the own buffer first.  A
 * locked instruction waits until the own buffer is empty and then works on
 * memory in one step.  membarrier(2) empties the caller's buffer, and then that
 * of each other thread.
 *
 * A model defines THREADS and CELLS, of memory, before it includes this; in a
 * thread, 'me' is its number.
 */
#define DEPTH	3

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
