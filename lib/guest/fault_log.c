/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* The faults of each region, written by a signal handler. */
#include "guest/fault_log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/*
 * Where a fault was and what it was, in one word, so that both are of one
 * fault.  No process maps more than 2^56 bytes.  Only memory that is mapped on
 * demand has larger offsets, and they are told as the largest that fits.
 */
#define KIND_BITS 8
#define OFFSET_MAX (UINT64_MAX >> KIND_BITS)

uint32_t vmmem_fault_call;

struct vmmem_fault_record {
	/* Odd while 'host' and 'span' are set. */
	atomic_uint version;
	/* The number of the next free record, plus 1. */
	atomic_uint next;
	_Atomic uintptr_t host; /* 0: finds nothing */
	_Atomic uint64_t span;
	_Atomic uint64_t count;
	_Atomic uint64_t first, last;
};

/*
 * Records stand in arrays, of which each has twice the length of the one
 * before.  They are never given back, so that a handler may look at any record
 * at any time.  The first is always there.
 */
#define FIRST_BITS 6
#define FIRST (1U << FIRST_BITS)
#define ARRAYS 20
#define RECORDS_MAX ((FIRST << ARRAYS) - FIRST)

static struct vmmem_fault_record first_array[FIRST];
static _Atomic(struct vmmem_fault_record *) more_arrays[ARRAYS];

/* How many records have ever been used: the first ones. */
static atomic_uint used;
/* The last one given back, as in 'next'; how many were given back, above. */
static _Atomic uint64_t free_list;

/* place() returns the number of the array that has a record. */
static unsigned int
place(unsigned int number, unsigned int *ret_index)
{
	unsigned int from = number + FIRST;
	unsigned int array = 31 - FIRST_BITS -
			     (unsigned int)__builtin_clz(from);

	*ret_index = from - (FIRST << array);
	return array;
}

static struct vmmem_fault_record *
record_at(unsigned int number)
{
	struct vmmem_fault_record *records = first_array;
	unsigned int index, array = place(number, &index);

	/* Acquire: the array was zeroed before it was put there. */
	if (array != 0)
		records = atomic_load_explicit(&more_arrays[array],
					       memory_order_acquire);
	return &records[index];
}

static unsigned int
number_of(const struct vmmem_fault_record *record)
{
	const struct vmmem_fault_record *records = first_array;
	unsigned int array = 0;

	/* Integers: pointers of different arrays must not be compared. */
	while ((uintptr_t)record - (uintptr_t)records >=
	       sizeof(*record) * (FIRST << array)) {
		array++;
		/* Relaxed: the record was got through this pointer. */
		records = atomic_load_explicit(&more_arrays[array],
					       memory_order_relaxed);
	}
	return (FIRST << array) - FIRST + (unsigned int)(record - records);
}

/* take_free() takes a record from the list, NULL if there is none. */
static struct vmmem_fault_record *
take_free(void)
{
	struct vmmem_fault_record *record;
	uint64_t list, next;

	/*
	 * Acquire, here and below: what the last user did to the record comes
	 * before.  'next' may be that of a record which somebody else has just
	 * taken.  If that is the first again, it was given back, and the count
	 * differs.
	 */
	list = atomic_load_explicit(&free_list, memory_order_acquire);
	do {
		if ((uint32_t)list == 0)
			return NULL;
		record = record_at((uint32_t)list - 1);
		next = atomic_load_explicit(&record->next,
					    memory_order_relaxed);
		next |= list >> 32 << 32;
	} while (!atomic_compare_exchange_weak_explicit(
		&free_list, &list, next, memory_order_acquire,
		memory_order_acquire));
	return record;
}

/* take_new() takes a record that nobody had before, NULL if out of memory. */
static struct vmmem_fault_record *
take_new(void)
{
	unsigned int number, array, index;
	struct vmmem_fault_record *none, *made;

	/* Relaxed: the number alone says nothing about any memory. */
	number = atomic_load_explicit(&used, memory_order_relaxed);
	do {
		if (number >= RECORDS_MAX)
			return NULL;
		array = place(number, &index);
		/* Relaxed: a thread that follows the pointer loads it again. */
		if (array != 0 &&
		    atomic_load_explicit(&more_arrays[array],
					 memory_order_relaxed) == NULL) {
			made = calloc(FIRST << array, sizeof(*made));
			if (made == NULL)
				return NULL;
			/* Two may come here at once; release: the zeros. */
			none = NULL;
			if (!atomic_compare_exchange_strong_explicit(
				    &more_arrays[array], &none, made,
				    memory_order_release,
				    memory_order_relaxed))
				free(made);
		}
		/* Release: a thread that goes by 'used' finds the array. */
	} while (!atomic_compare_exchange_weak_explicit(
		&used, &number, number + 1, memory_order_release,
		memory_order_relaxed));
	return record_at(number);
}

/*
 * set_range() says where a record's memory is.  A record has one owner, so
 * there is one writer.  Readers believe what they read if the version was even
 * and the same before and after (see range_of()).
 */
static void
set_range(struct vmmem_fault_record *record, uintptr_t host, uint64_t span)
{
	unsigned int version;

	/* Relaxed: nobody else writes it. */
	version = atomic_load_explicit(&record->version, memory_order_relaxed);
	atomic_store_explicit(&record->version, version + 1,
			      memory_order_relaxed);
	/* Release, all three: each after the one before. */
	atomic_store_explicit(&record->host, host, memory_order_release);
	atomic_store_explicit(&record->span, span, memory_order_release);
	atomic_store_explicit(&record->version, version + 2,
			      memory_order_release);
}

static bool
range_of(const struct vmmem_fault_record *record, uintptr_t *ret_host,
	 uint64_t *ret_span)
{
	unsigned int before, after;

	/* Acquire, the first three: each before the one that follows. */
	before = atomic_load_explicit(&record->version, memory_order_acquire);
	*ret_host = atomic_load_explicit(&record->host, memory_order_acquire);
	*ret_span = atomic_load_explicit(&record->span, memory_order_acquire);
	after = atomic_load_explicit(&record->version, memory_order_relaxed);
	/*
	 * If not, the region is being made or freed just now.  Then it is not
	 * the region whose memory was touched: the thread that touched it has
	 * a reference.
	 */
	return before == after && before % 2 == 0 && *ret_host != 0;
}

int
vmmem_fault_record_new(const void *host, uint64_t span,
		       struct vmmem_fault_record **ret_record)
{
	struct vmmem_fault_record *record;

	record = take_free();
	if (record == NULL)
		record = take_new();
	if (record == NULL)
		return -ENOMEM;
	/* Relaxed: nobody finds the record yet. */
	atomic_store_explicit(&record->count, 0, memory_order_relaxed);
	atomic_store_explicit(&record->first, 0, memory_order_relaxed);
	atomic_store_explicit(&record->last, 0, memory_order_relaxed);
	set_range(record, (uintptr_t)host, span);
	*ret_record = record;
	return 0;
}

void
vmmem_fault_record_free(struct vmmem_fault_record *record)
{
	uint64_t list, head;

	if (record == NULL)
		return;
	set_range(record, 0, 0);
	head = number_of(record) + 1;
	/* Release: all that was done to the record comes before. */
	list = atomic_load_explicit(&free_list, memory_order_relaxed);
	do {
		atomic_store_explicit(&record->next, (uint32_t)list,
				      memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
		&free_list, &list, ((list >> 32) + 1) << 32 | head,
		memory_order_release, memory_order_relaxed));
}

void
vmmem_fault_record_add(struct vmmem_fault_record *record, uint64_t offset,
		       uint32_t kind)
{
	uint64_t word, none = 0;

	if (offset > OFFSET_MAX)
		offset = OFFSET_MAX;
	word = offset << KIND_BITS | kind;
	/*
	 * Relaxed, all three: they stand for themselves.  A caller that got a
	 * code for a fault finds it here, as this runs on the same thread.
	 */
	atomic_compare_exchange_strong_explicit(&record->first, &none, word,
						memory_order_relaxed,
						memory_order_relaxed);
	atomic_store_explicit(&record->last, word, memory_order_relaxed);
	atomic_fetch_add_explicit(&record->count, 1, memory_order_relaxed);
}

/* meets() tells whether the two ranges have a byte in common. */
static bool
meets(uintptr_t host, uint64_t span, uintptr_t address, uint64_t len)
{
	return address - host <= span || host - address < len;
}

/* add_to() notes a fault if it is the record's. */
static bool
add_to(struct vmmem_fault_record *record, uintptr_t address, uint64_t len,
       uint32_t kind)
{
	uintptr_t host;
	uint64_t span;

	/*
	 * Relaxed: a first look, as there may be many.  The thread that
	 * touched the memory has a reference to the region, and sees its range.
	 */
	host = atomic_load_explicit(&record->host, memory_order_relaxed);
	span = atomic_load_explicit(&record->span, memory_order_relaxed);
	if (!meets(host, span, address, len))
		return false;
	if (!range_of(record, &host, &span) ||
	    !meets(host, span, address, len))
		return false;
	vmmem_fault_record_add(record, address > host ? address - host : 0,
			       kind);
	return true;
}

bool
vmmem_fault_log_add(uintptr_t address, uint64_t len, uint32_t kind)
{
	struct vmmem_fault_record *records;
	unsigned int count, number, array, index;
	bool found = false;

	/* Acquire: the arrays of those records are there. */
	count = atomic_load_explicit(&used, memory_order_acquire);
	for (number = 0, array = 0; number < count; array++) {
		records = record_at(number);
		for (index = 0; index < FIRST << array && number < count;
		     index++, number++)
			found |= add_to(&records[index], address, len, kind);
	}
	return found;
}

/* Relaxed, all three: as above. */
uint64_t
vmmem_fault_record_count(const struct vmmem_fault_record *record)
{
	return atomic_load_explicit(&record->count, memory_order_relaxed);
}

uint32_t
vmmem_fault_record_first(const struct vmmem_fault_record *record,
			 uint64_t *ret_offset)
{
	uint64_t word;

	word = atomic_load_explicit(&record->first, memory_order_relaxed);
	*ret_offset = word >> KIND_BITS;
	return word & ((1U << KIND_BITS) - 1);
}

uint32_t
vmmem_fault_record_last(const struct vmmem_fault_record *record,
			uint64_t *ret_offset)
{
	uint64_t word;

	word = atomic_load_explicit(&record->last, memory_order_relaxed);
	*ret_offset = word >> KIND_BITS;
	return word & ((1U << KIND_BITS) - 1);
}
