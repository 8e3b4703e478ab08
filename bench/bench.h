/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What the parts of the benchmark share: how an operation is called on each
 * side, and how a row of the table is made of that.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The operations, in the order in which each side lists its functions. */
enum bench_op {
	OP_FIND,
	OP_FIND_CHAIN,
	OP_READ_U64,
	OP_WRITE_U64,
	OP_WRITE_U64_LOGGED,
	OP_LOAD_U32,
	OP_STORE_U32,
	OP_READ,
	OP_WRITE,
	OP_COPY,
	OP_FILL,
	OP_SLICE_LOAD_U64,
	OP_SLICE_READ_U64,
	OP_SLICE_WRITE_U64,
	OP_MARK,
	OP_HARVEST,
	OP_MARK_HARVEST,
	OP_INSERT,
	OP_REMOVE,
	OP_ENTER,
	OP_ENTER_READ,
	OP_GET,
	OP_CHAIN,
	OP_RING,
	OP_IOVEC,
	OP_READ_FILE,
	OP_COUNT
};

/*
 * What an operation works on.  The Rust side has the same struct: change both.
 * Addresses are those of the guest; for the floor they are the host's.
 */
struct bench_work {
	const void *map;       /* a collection, a slice, a bitmap, ... */
	const uint64_t *gpas;  /* mask + 1 addresses, a power of two */
	const uint64_t *others; /* as many again, for those that need two */
	void *const *items;    /* as many regions, for those that insert; or a
				  descriptor, as a number, for all of them */
	size_t mask;
	uint64_t len; /* bytes per access */
	void *buf;    /* the caller's buffer, of 'len' bytes */
};

/*
 * Makes an operation 'count' times, on the addresses in turn.  Returns a sum
 * over what was read, which is the same on each side, or 0.
 */
typedef uint64_t bench_run(const struct bench_work *work, size_t count);

struct bench_range {
	uint64_t gpa;
	uint64_t len;
	void *host;
};

/* A version of vm-memory, behind functions that C can call. */
struct bench_peer {
	void *(*map_new)(const struct bench_range *ranges, size_t count);
	void (*map_free)(void *map);
	void *(*logged_map_new)(const struct bench_range *ranges,
				size_t count);
	void (*logged_map_free)(void *map);
	/* The start of the region that holds 'gpa', or UINT64_MAX. */
	uint64_t (*map_start_of)(const void *map, uint64_t gpa);
	void *(*region_new)(const struct bench_range *range);
	void (*region_free)(void *region);
	void *(*slice_new)(void *host, uint64_t len);
	void (*slice_free)(void *slice);
	void *(*bitmap_new)(uint64_t len, uint64_t page_size);
	void (*bitmap_free)(void *bitmap);
	/* A map that can be replaced, by copies of maps. */
	void *(*atomic_new)(const void *map);
	void (*atomic_free)(void *atomic);
	void (*atomic_replace)(void *atomic, const void *map);
	bench_run *runs[OP_COUNT];
};

#define PEERS 2

/* The columns. */
enum bench_side {
	OURS,
	INLINE,
	CRATE_0_18,
	CRATE_0_16,
	FLOOR,
	SIDES
};

extern bench_run *const bench_ours[OP_COUNT];
extern bench_run *const bench_inline[OP_COUNT];
extern bench_run *const bench_floor[OP_COUNT];

/* 0.18.0 and 0.16.2; NULL where there is no Rust. */
extern const struct bench_peer *bench_peers[PEERS];

struct bench_row {
	const char *op;
	enum bench_op run;
	/* One for each side; those without a map are left out. */
	struct bench_work works[SIDES];
	/* What runs instead of the side's own 'run', if not NULL. */
	bench_run *runs[SIDES];
	/* What the charter says, in ns; 0 where it says nothing. */
	double budget;
	bool budget_over_floor; /* the budget is what is added to the floor */
	enum bench_side budget_side;
	double charter[SIDES]; /* measured on the charter's machine */
	/*
	 * For operations that cannot be repeated for ever: so many times in
	 * a batch, and before each batch, which is not timed, 'before'.
	 */
	size_t count;
	void (*before)(const struct bench_row *row, enum bench_side side);
	/* In which picture it is, and where on its lower axis. */
	const char *figure;
	const char *figure_x; /* what the axis is */
	double figure_at;
	double figure_base; /* of the axis, 2 or 10 */
};

/* bench_wants() tells whether a row is asked for. */
bool bench_wants(const char *op);

/* bench_measure() measures a row, if it is asked for, and prints it. */
void bench_measure(const struct bench_row *row);

/* bench_note() prints a line of what is counted, not timed. */
__attribute__((__format__(__printf__, 1, 2))) void
bench_note(const char *format, ...);

/* bench_fail() says what failed and ends the program. */
__attribute__((__cold__)) _Noreturn void bench_fail(int rc, const char *what);

/* bench_must() fails if 'rc' is a code: there is no way on. */
static inline void
bench_must(int rc, const char *what)
{
	if (__builtin_expect(rc != 0, 0))
		bench_fail(rc, what);
}

/* bench_random() returns the next random number, below 'limit' if not 0. */
uint64_t bench_random(uint64_t limit);

void *bench_alloc(size_t count, size_t size);

/* Keeps the compiler from leaving out what nobody looks at. */
#define bench_keep() __asm__ volatile("" ::: "memory")

/* The groups of rows. */
void bench_find_rows(void);
void bench_access_rows(void);
void bench_slice_rows(void);
void bench_dirty_rows(void);
void bench_change_rows(void);
void bench_space_rows(void);
void bench_device_rows(void);
void bench_iommu_rows(void);

#endif
