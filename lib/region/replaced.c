/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Pages of private files that were discarded, and so replaced by zeroes. */
#include "region/replaced.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <vmmem/error.h>

#include "base/digits.h"

/*
 * Two bits for each page: whether it was replaced, and whether a mapping may
 * begin there that did not before.  The second are never fewer than there are:
 * the system joins neighbours without a file, except if both have been touched
 * before.
 */
struct vmmem_replaced {
	size_t pages;
	size_t words;
	uint64_t *gone;
	uint64_t *edges;
};

/*
 * For all regions: a process has one number of mappings.  A thread that
 * replaces pages changes mappings, which the system does one at a time as well.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t edges_max; /* the limit, as it was when asked last */

/*
 * Those of all regions.  It grows under the lock only.  A region that ends
 * subtracts its own without the lock, since a child of fork() may find the lock
 * taken and must be able to drop a region.  Relaxed: it is only a count, and a
 * subtraction that is seen late makes it too large, which is safe.
 */
static uint64_t edges_of_all;

static bool
is_within(uint64_t more)
{
	return __atomic_load_n(&edges_of_all, __ATOMIC_RELAXED) + more <=
	       edges_max;
}

/* If the system does not tell, the default since Linux 2.6. */
#define MAPPINGS_MAX 65530

#define BITS 64

/* The bit behind the last page is there too. */
struct vmmem_replaced *
vmmem_replaced_new(size_t pages)
{
	struct vmmem_replaced *replaced = calloc(1, sizeof(*replaced));

	if (replaced == NULL)
		return NULL;
	replaced->pages = pages;
	replaced->words = pages / BITS + 1;
	replaced->gone = calloc(replaced->words, sizeof(uint64_t));
	replaced->edges = calloc(replaced->words, sizeof(uint64_t));
	if (replaced->gone == NULL || replaced->edges == NULL) {
		free(replaced->gone);
		free(replaced->edges);
		free(replaced);
		return NULL;
	}
	return replaced;
}

/* mask_of() is the bits [first, end) of a word that begins at 'at'. */
static uint64_t
mask_of(size_t at, size_t first, size_t end)
{
	uint64_t mask = UINT64_MAX;

	if (first > at)
		mask <<= first - at;
	if (end < at + BITS)
		mask &= (UINT64_C(1) << (end - at)) - 1;
	return mask;
}

static bool
test(const uint64_t *words, size_t bit)
{
	return (words[bit / BITS] >> bit % BITS & 1) != 0;
}

static void
set(uint64_t *words, size_t bit, bool value)
{
	const uint64_t mask = UINT64_C(1) << bit % BITS;

	if (value)
		words[bit / BITS] |= mask;
	else
		words[bit / BITS] &= ~mask;
}

static size_t
count_bits(const uint64_t *words, size_t first, size_t end)
{
	size_t count = 0, i;

	for (i = first / BITS; i * BITS < end; i++)
		count += (size_t)__builtin_popcountll(
			words[i] & mask_of(i * BITS, first, end));
	return count;
}

/* How replacing a range changes the mappings at its two ends. */
struct ends {
	bool first; /* a mapping may begin there */
	bool behind;
};

static struct ends
ends_of(const struct vmmem_replaced *replaced, size_t first, size_t end)
{
	const bool below = first != 0 && test(replaced->gone, first - 1);

	/* It joins the neighbour below, or else the one above. */
	return (struct ends){
		.first = first != 0 && !below,
		.behind = end != replaced->pages &&
			  (below || !test(replaced->gone, end)),
	};
}

/* limit() is how many mappings may begin in all: half of the system's limit. */
static uint64_t
limit(void)
{
	char text[32] = "";
	const char *number = text;
	uint64_t most = 0;
	int fd;

	fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) > 0)
			most = vmmem_digits(&number, 10);
		close(fd);
	}
	return (most != 0 ? most : MAPPINGS_MAX) / 2;
}

int
vmmem_replaced_begin(struct vmmem_replaced *replaced, size_t first,
		     size_t count)
{
	uint64_t before, after;
	struct ends ends;

	pthread_mutex_lock(&lock);
	ends = ends_of(replaced, first, first + count);
	before = count_bits(replaced->edges, first, first + count + 1);
	after = (uint64_t)ends.first + (uint64_t)ends.behind;
	/* Also beyond the limit, if it takes no more than it gives back. */
	if (after <= before || is_within(after - before))
		return 0;
	/* It may have been raised. */
	edges_max = limit();
	if (is_within(after - before))
		return 0;
	pthread_mutex_unlock(&lock);
	return VMMEM_ENODISCARD;
}

void
vmmem_replaced_end(struct vmmem_replaced *replaced, size_t first, size_t count,
		   bool done)
{
	const size_t end = first + count;
	struct ends ends;
	size_t i;

	if (!done) {
		pthread_mutex_unlock(&lock);
		return;
	}
	ends = ends_of(replaced, first, end);
	/* Relaxed: see above. */
	__atomic_fetch_sub(&edges_of_all,
			   count_bits(replaced->edges, first, end + 1),
			   __ATOMIC_RELAXED);
	for (i = first / BITS; i * BITS < end; i++) {
		replaced->gone[i] |= mask_of(i * BITS, first, end);
		replaced->edges[i] &= ~mask_of(i * BITS, first, end);
	}
	set(replaced->edges, first, ends.first);
	set(replaced->edges, end, ends.behind);
	__atomic_fetch_add(&edges_of_all,
			   (uint64_t)ends.first + (uint64_t)ends.behind,
			   __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock);
}

bool
vmmem_replaced_has(struct vmmem_replaced *replaced, size_t page)
{
	bool has;

	if (replaced == NULL)
		return false;
	pthread_mutex_lock(&lock);
	has = test(replaced->gone, page);
	pthread_mutex_unlock(&lock);
	return has;
}

size_t
vmmem_replaced_find(struct vmmem_replaced *replaced, size_t page,
		    bool was_replaced)
{
	const uint64_t flip = was_replaced ? 0 : UINT64_MAX;
	size_t i, found = replaced->pages;
	uint64_t word;

	pthread_mutex_lock(&lock);
	for (i = page / BITS; i < replaced->words; i++) {
		word = replaced->gone[i] ^ flip;
		if (i == page / BITS)
			word &= UINT64_MAX << page % BITS;
		if (word != 0) {
			found = i * BITS + (size_t)__builtin_ctzll(word);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return found < replaced->pages ? found : replaced->pages;
}

void
vmmem_replaced_free(struct vmmem_replaced *replaced)
{
	if (replaced == NULL)
		return;
	/* Relaxed: see above.  No other thread has the region any more. */
	__atomic_fetch_sub(&edges_of_all,
			   count_bits(replaced->edges, 0,
				      replaced->words * BITS),
			   __ATOMIC_RELAXED);
	free(replaced->gone);
	free(replaced->edges);
	free(replaced);
}

void
vmmem_replaced_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void
vmmem_replaced_after_fork(void)
{
	pthread_mutex_unlock(&lock);
}
