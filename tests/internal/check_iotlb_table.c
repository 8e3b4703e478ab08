/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What must hold in an iotlb's table between two changes, with many entries:
 * order, no overlap, the two copies the same, chunks full enough that the room
 * suffices, and no slot out of use that a hint could find something in.
 */
#include <string.h>

#include "guest.h"
#include "iommu/iotlb_table.h"
#include "rng.h"
#include "suite.h"

#define ROUNDS 100000

static struct vmmem_iotlb_table table;
static struct rng rng;
static uint64_t seed;

#define HOLDS(condition)                                                   \
	do {                                                               \
		if (!(condition))                                          \
			ck_abort_msg("seed %#jx: %s", (uintmax_t)seed,     \
				     #condition);                          \
	} while (0)

static bool
is_free(const struct vmmem_iotlb_slot *slot)
{
	return slot->flags == 0 && slot->start == UINT64_MAX &&
	       slot->last == UINT64_MAX;
}

/* Returns how many entries one copy has. */
static size_t
check_copy(unsigned int copy)
{
	const struct vmmem_iotlb_order *order = &table.orders[copy];
	uint64_t before = 0, next;
	size_t count = 0, i, j, n, previous = 0;
	bool first = true;

	HOLDS(order->count >= 1 && order->count <= table.chunk_count);
	for (i = 0; i < order->count; i++) {
		const struct vmmem_iotlb_chunk *chunk =
			&table.chunks[order->chunks[i]];
		const struct vmmem_iotlb_slot *slots = chunk->slots[copy];

		n = chunk->count;
		HOLDS(chunk->high == 0);
		HOLDS(n != 0 || order->count == 1);
		/* Neighbours are not so empty that they could be one. */
		HOLDS(i == 0 || previous + n > VMMEM_IOTLB_JOIN);
		previous = n;
		for (j = 0; j < n; j++) {
			HOLDS(slots[j].flags != 0);
			HOLDS(slots[j].start <= slots[j].last);
			HOLDS(first || slots[j].start > before);
			next = slots[j].start;
			/* What could be one entry is. */
			HOLDS(j == 0 || next != slots[j - 1].last + 1 ||
			      slots[j].delta != slots[j - 1].delta ||
			      slots[j].flags != slots[j - 1].flags);
			before = slots[j].last;
			first = false;
			HOLDS(chunk->used[j] >> VMMEM_IOTLB_REGION_BITS >=
			      table.oldest[order->chunks[i]]);
		}
		for (; j < VMMEM_IOTLB_CHUNK; j++)
			HOLDS(is_free(&slots[j]));
		HOLDS(order->lasts[i] == (i + 1 == order->count ?
						  UINT64_MAX :
						  slots[n - 1].last));
		count += n;
	}
	return count;
}

static void
check_table(void)
{
	size_t count = check_copy(0), i, j;

	HOLDS(check_copy(1) == count);
	HOLDS(count == table.count);
	HOLDS(count <= table.capacity);
	HOLDS(table.sequence % 2 == 0);
	HOLDS(table.touched_count == 0);
	HOLDS(table.spare_count + table.orders[0].count == table.chunk_count);
	for (i = 0; i < table.orders[0].count; i++) {
		const struct vmmem_iotlb_chunk *chunk =
			&table.chunks[table.orders[0].chunks[i]];

		HOLDS(table.orders[1].chunks[i] == table.orders[0].chunks[i]);
		HOLDS(memcmp(chunk->slots[0], chunk->slots[1],
			     sizeof(chunk->slots[0])) == 0);
	}
	/* Each hint leads to a slot in use, or to one with nothing in it. */
	for (i = 0; i < (size_t)1 << (64 - table.hash_shift); i++) {
		uint32_t chunk = table.hints[i] / VMMEM_IOTLB_CHUNK;
		uint32_t at = table.hints[i] % VMMEM_IOTLB_CHUNK;
		bool used = false;

		for (j = 0; j < table.orders[0].count; j++)
			used |= table.orders[0].chunks[j] == chunk;
		HOLDS(used || (is_free(&table.chunks[chunk].slots[0][at]) &&
			       is_free(&table.chunks[chunk].slots[1][at])));
	}
}

/* set() maps, and had been told before how many entries that would make. */
static void
set(uint64_t first, uint64_t last, uint64_t delta)
{
	const struct vmmem_iotlb_entry entry = {
		.start = first,
		.last = last,
		.delta = delta,
		.flags = 3 | VMMEM_IOTLB_PRESENT,
	};
	size_t count = vmmem_iotlb_table_count_with(&table, &entry);
	uint64_t evicted = table.evicted;

	vmmem_iotlb_table_set(&table, &entry);
	HOLDS(table.count + (table.evicted - evicted) == count);
}

static void
clear(uint64_t first, uint64_t last)
{
	const struct vmmem_iotlb_entry gone = { .start = first, .last = last };
	size_t count = vmmem_iotlb_table_count_with(&table, &gone);
	uint64_t evicted = table.evicted;

	vmmem_iotlb_table_clear(&table, first, last);
	HOLDS(table.count + (table.evicted - evicted) == count);
}

static void
change(uint64_t pages)
{
	uint64_t first = rng_below(&rng, pages) * 2, len;
	struct vmmem_iotlb_entry entry;

	len = rng_chance(&rng, 1) ? rng_below(&rng, pages) + 1 :
				    rng_below(&rng, 3) + 1;
	if (rng_chance(&rng, 60))
		set(first << 12, ((first + len) << 12) - 1,
		    rng_below(&rng, 2) << 40);
	else if (rng_chance(&rng, 95))
		clear(first << 12, ((first + len) << 12) - 1);
	for (len = rng_below(&rng, 8); len > 0; len--)
		vmmem_iotlb_find(&table, rng_below(&rng, 2 * pages) << 12,
				 &entry);
}

static const size_t capacities[] = { 1, 31, 32, 33, 64, 65, 1000, 3000 };

START_TEST(invariants)
{
	uint64_t rounds = rng_rounds(ROUNDS) / ARRAY_LEN(capacities), i;
	size_t capacity = capacities[_i];

	seed = rng_seed() + (uint64_t)_i;
	rng.state = seed;
	memset(&table, 0, sizeof(table));
	assert_ok(vmmem_iotlb_table_init(&table, capacity));
	check_table();
	for (i = 0; i < rounds; i++) {
		/* More than there is room for, and less, in turn. */
		change(i / 500 % 2 == 0 ? 2 * capacity : capacity / 3 + 1);
		if (i % (capacity / 8 + 1) == 0)
			check_table();
	}
	check_table();
	vmmem_iotlb_table_clear(&table, 0, UINT64_MAX);
	check_table();
	ck_assert_uint_eq(table.count, 0);
	vmmem_iotlb_table_fini(&table);
}
END_TEST

/* Ascending, descending and from both ends: whatever splits chunks worst. */
START_TEST(every_order_of_filling)
{
	const size_t capacity = 2000;
	size_t i, j, at;

	for (j = 0; j < 3; j++) {
		memset(&table, 0, sizeof(table));
		assert_ok(vmmem_iotlb_table_init(&table, capacity));
		for (i = 0; i < 2 * capacity; i++) {
			at = j == 0 ? i :
			     j == 1 ? 2 * capacity - i :
			     i % 2  ? i :
				      4 * capacity - i;
			set(at << 13, (at << 13) + 0xfff, 0);
			if (i % 97 == 0)
				check_table();
		}
		check_table();
		ck_assert_uint_eq(table.count, capacity);
		ck_assert_uint_eq(table.evicted, capacity);
		/* Every second one: halves of chunks are to be joined. */
		for (i = 0; i < 4 * capacity; i += 2) {
			clear(i << 13, (i << 13) + 0xfff);
			if (i % 89 == 0)
				check_table();
		}
		check_table();
		vmmem_iotlb_table_fini(&table);
	}
}
END_TEST

/* One page at 'page', which never goes on where its neighbours end. */
static void
set_page(uint64_t page)
{
	set(page << 12, (page << 12) + 0xfff, page % 2 << 40);
}

/* With many entries not each step is looked at. */
static bool looks;

static void
clear_pages(uint64_t page, uint64_t count)
{
	clear(page << 12, ((page + count) << 12) - 1);
	/* Without a chunk to spare the next one would be no memory of its. */
	HOLDS(table.spare_count <= table.chunk_count);
	if (looks)
		check_table();
}

/*
 * Pairs of chunks that are just too much for one, of 1 entry and 24; then 23 of
 * these at once.  What is left of three chunks is to be one, or there are more
 * chunks than there is memory for when that is done again and again.
 */
START_TEST(hollow_chunks)
{
	const size_t capacity = _i == 0 ? 2000 : 8000;
	uint64_t base = 0, pairs, i, j, at;

	looks = _i == 0;
	memset(&table, 0, sizeof(table));
	assert_ok(vmmem_iotlb_table_init(&table, capacity));
	/* A pair is 40 entries before it is cut down. */
	while ((pairs = (capacity - table.count) / 40) > 1) {
		for (i = 0; i < 32 * pairs; i++)
			set_page(base + 4 * i);
		for (i = 0; i < pairs; i++) {
			at = base + 128 * i;
			for (j = 0; j < 8; j++)
				set_page(at + 64 + 4 * j + 2);
			clear_pages(at + 4, 60);
		}
		for (i = 0; i < pairs; i++)
			clear_pages(base + 128 * i + 65, 63);
		base += 128 * (pairs + 8);
	}
	ck_assert_uint_eq(table.evicted, 0);
	check_table();
	vmmem_iotlb_table_fini(&table);
}
END_TEST

/*
 * A whole chunk goes at once, from between two that are half empty: these are
 * neighbours now, and few enough to be one.
 */
START_TEST(whole_chunks)
{
	const uint64_t chunk = VMMEM_IOTLB_CHUNK / 2;
	uint64_t base, below, above, i;

	looks = true;
	memset(&table, 0, sizeof(table));
	assert_ok(vmmem_iotlb_table_init(&table, 4000));
	for (i = 0; i < 4000; i++)
		set_page(4 * i);
	for (base = 0; base + 4 * chunk < 3000; base += 4 * chunk) {
		below = base / (4 * chunk) % (chunk - 1) + 1;
		above = (base / chunk + 5) % (chunk - 1) + 1;
		clear_pages(4 * base, 4 * below);
		clear_pages(4 * (base + 3 * chunk - above), 4 * above);
		clear_pages(4 * (base + chunk), 4 * chunk);
	}
	ck_assert_uint_gt(table.count, 1000);
	vmmem_iotlb_table_fini(&table);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iotlb_table");
	TCase *tcase = tcase_create("iotlb_table");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, invariants, 0, (int)ARRAY_LEN(capacities));
	tcase_add_test(tcase, every_order_of_filling);
	tcase_add_loop_test(tcase, hollow_chunks, 0, 2);
	tcase_add_test(tcase, whole_chunks);
	suite_add_tcase(suite, tcase);
	return suite;
}
