/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The model test: random operations on the library, each compared with a
 * model that is too simple to be wrong.
 *
 * In the model, memory is an array of cells.  A region is a run of cells; an
 * alias is a run of another region's cells, so shared bytes need no care.  A
 * collection is a table that says for each guest address which region is
 * there.  Guest addresses come from three small windows, so that regions
 * collide, touch and leave holes all the time, and lie at both ends of the
 * address space.  Everything is found out one byte after another.
 *
 * A bitmap is a set of pages, to which each byte that is written adds its own;
 * a harvester is a set of those that it has yet to see.  A slice is a list of
 * bytes, each of some region.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmmem/vmmem.h>

#include "rng.h"

#define WINDOWS 3
#define WINDOW_SIZE 4096U
#define SLOTS 64
#define MAPS 10
#define LEN_MAX 1600U
#define GUARD 32U
#define STORE_SIZE (GUARD + 16U + LEN_MAX + GUARD)
#define FILE_PAGES 3U
/* How far into a page of the file a region may begin: the cells suffice. */
#define FILE_WITHIN (STORE_SIZE - LEN_MAX)
/* The bitmap of each slot's own, and some that regions may share. */
#define SHARED_LOGS 4
#define LOGS (SLOTS + SHARED_LOGS)
#define LOG_WORDS 3
#define LOG_PAGES (LOG_WORDS * 64U)
#define LOG_HARVESTERS 3
/* Slices that are kept while other operations run. */
#define PIECES 8
/* Longer than any window, so that a transfer can run out of each end. */
#define TRANSFER_MAX (WINDOW_SIZE + 64U)

struct pages {
	uint64_t words[LOG_WORDS];
};

struct log_harvester {
	struct vmmem_harvester *harvester; /* NULL: free */
	struct pages must;  /* marked since its last harvest, or put back */
	struct pages may;   /* marked before it was made */
	struct pages taken; /* the last harvest */
};

/* A bitmap of the library, and what should be marked there. */
struct log {
	struct vmmem_bitmap *bitmap; /* NULL: free */
	uint64_t page_size;
	uint64_t len;
	uint64_t max_len;
	bool always; /* logging cannot be switched off */
	unsigned int users; /* regions that mark there */
	unsigned int starts;
	struct pages marks;
	struct pages maybe; /* by callbacks that failed, until it is seen */
	struct log_harvester harvesters[LOG_HARVESTERS];
	uint64_t external[LOG_WORDS]; /* the bits, if they are not its own */
	bool told, ended;
};

/* A region of the library, and all that the model knows of it. */
struct slot {
	struct vmmem_region *region; /* NULL: the slot is free */
	uint64_t start;
	uint64_t last;
	uint32_t kind;
	uint32_t protection;
	unsigned char *cells; /* what the bytes should be */
	unsigned char *bytes; /* where they are; NULL: only callbacks know */

	unsigned int refs; /* the test's own, of maps and of aliases */
	bool held;	   /* the test has one of them */
	bool told;	   /* the library says when the last one is gone */
	bool ended;	   /* and has said so */

	struct slot *owner;  /* of an alias: the region with the bytes */
	struct log *log;     /* where writes are marked; NULL: nowhere */
	uint64_t log_offset; /* of the first byte there */
	int read_code;	     /* what a custom region's callbacks return */
	int write_code;
	int acquire_code;
	enum { HONEST, STORES_NULL, STORES_ODD } acquire_lie;
	const struct vmmem_region_ops *ops;
	unsigned int acquired; /* what has not been released, */
	uint64_t acquired_sum; /* and which it is */
	unsigned int kept;     /* slices that must be released */
	bool backed;	     /* the bytes are in 'store' */
	alignas(16) unsigned char store[STORE_SIZE];
};

/* A collection of the library, and the map that it should be. */
struct map {
	struct vmmem_collection *collection; /* NULL: the map is free */
	uint8_t owner[WINDOWS][WINDOW_SIZE]; /* slot number + 1; 0: a hole */
};

/* A slice of the library, and the bytes that it should be. */
struct place {
	struct slot *slot;
	uint64_t offset;
};

struct piece {
	bool used;
	struct vmmem_slice slice;
	uint64_t gpa; /* of the first byte */
	size_t count;
	struct place places[WINDOW_SIZE];
};

/* What an operation is, and how often it is drawn. */
struct operation {
	const char *name;
	unsigned int weight;
	void (*run)(struct map *map);
};

struct world {
	struct rng rng;
	uint64_t seed;
	uint64_t number; /* of the operation that runs */
	const struct operation *operation;
	uint64_t gpa, len; /* what it looks at, for the report */

	struct slot slots[SLOTS];
	struct map maps[MAPS];
	struct log logs[LOGS];
	struct piece pieces[PIECES];
	int file; /* FILE_PAGES pages, shared by all file regions */
	uint64_t page_size;
	/* What is in the stores, and at the head of each page of the file. */
	unsigned char cells[SLOTS + FILE_PAGES][STORE_SIZE];
};

extern struct world world;

/* A failed expectation ends the test with the seed and the operation. */
_Noreturn void model_fail(const char *file, int line, const char *what,
			  int64_t got, int64_t want);
#define EXPECT(condition)                                                  \
	do {                                                               \
		if (!(condition))                                          \
			model_fail(__FILE__, __LINE__, #condition, 0, 1);  \
	} while (0)
#define EXPECT_CODE(got, want) expect_code(__FILE__, __LINE__, got, want)

/* expect_code() also notes that the operation gave this code. */
void expect_code(const char *file, int line, int got, int want);
void note_code(int code);
bool noted_code(const struct operation *operation, int code);

/* world.c: the model itself. */
void world_open(void);
void world_close(void);
uint64_t window_base(unsigned int window);
struct slot *map_at(const struct map *map, uint64_t gpa);
unsigned char *cell_at(const struct map *map, uint64_t gpa);
/* cell_write() is a byte that the library writes: it is marked, too. */
void cell_write(const struct map *map, uint64_t gpa, unsigned char value);
/* cells_failed() is what a failing callback may have written, or not. */
void cells_failed(const struct map *map, uint64_t gpa, uint64_t len);
/*
 * reach() finds how many of 'len' bytes from 'gpa' on are mapped and permit
 * 'access', and returns why the next one is not good; 0 if all are.
 */
int reach(const struct map *map, uint64_t gpa, uint64_t len, uint32_t access,
	  uint64_t *ret_good);
/*
 * stop() finds where in a range that is good a callback is going to fail, and
 * with what; broken_code() tells it of one region.
 */
int stop(const struct map *map, uint64_t gpa, uint64_t len, bool write,
	 uint64_t *ret_good);
int broken_code(const struct slot *slot, bool write);
bool by_callback(const struct slot *slot);
/* acquire_code() is what acquiring one byte of a region must return. */
int acquire_code(const struct slot *slot, uint64_t offset);
struct slot *owner_of(struct slot *slot);
/*
 * verify_bytes() compares all memory of all regions with their cells, and all
 * bitmaps with their marks.
 */
void verify_bytes(void);
uint64_t pick_address(const struct map *map);
uint64_t pick_length(void);
uint32_t pick_access(void);

/* regions.c: regions of all kinds, and their lifetime. */
struct slot *slot_free(void);
void slot_get(struct slot *slot);
void slot_put(struct slot *slot);
void slot_adopt(struct slot *slot, struct vmmem_region *region, uint64_t start,
		uint64_t len, uint32_t kind);
void slot_back_by_file(struct slot *slot, unsigned int page, uint64_t within);
void pick_range(uint64_t *ret_start, uint64_t *ret_len);
void run_make_region(struct map *map);
void run_drop_region(struct map *map);

/* custom.c: what custom regions do. */
#define CUSTOM_OPS 7
extern const struct vmmem_region_ops custom_ops[CUSTOM_OPS];
unsigned char *store_bytes(struct slot *slot);
int custom_host(void *opaque, void **ret_host);
void slot_ended(void *opaque);
void run_break_region(struct map *map);

/* maps.c: collections made, changed and dropped. */
size_t map_slots(const struct map *map, struct slot **list);
void map_verify(const struct map *map);
void map_verify_all_addresses(const struct map *map);
void map_put(struct map *map);
void map_adopt(struct vmmem_collection *collection, struct slot *const *list,
	       size_t count);
void run_new(struct map *map);
void run_new_unsorted(struct map *map);
void run_new_empty(struct map *map);
void run_insert(struct map *map);
void run_remove(struct map *map);

/* ranges.c: collections made with their regions. */
void run_new_ranges(struct map *map);
void run_new_file_ranges(struct map *map);

/* queries.c */
void run_find(struct map *map);
void run_locate(struct map *map);
void run_last(struct map *map);
void run_check(struct map *map);
void run_offset(struct map *map);
void run_host_address(struct map *map);

/* transfer.c */
void run_read(struct map *map);
void run_read_some(struct map *map);
void run_write(struct map *map);
void run_write_some(struct map *map);
void run_fill(struct map *map);
void run_fill_some(struct map *map);
void run_copy(struct map *map);

/* typed.c */
void run_typed_read(struct map *map);
void run_typed_write(struct map *map);
uint64_t value_get(const struct map *map, uint64_t gpa, unsigned int size,
		   bool big);
void value_put(const struct map *map, uint64_t gpa, unsigned int size, bool big,
	       uint64_t value);
#define NATIVE_IS_BIG (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

/* atomics.c */
void run_atomic(struct map *map);
enum atomic_kind { LOAD, STORE, EXCHANGE, COMPARE, ADD, OR, AND, ATOMICS };

/* One call of any kind; 'previous' is also what a load gives. */
struct atomic_call {
	enum atomic_kind kind;
	uint64_t at; /* a guest address, or an offset */
	uint64_t operand;
	uint64_t expected;
	int order;
	int failure;
	bool forget; /* pass NULL for the previous value */
	uint64_t previous;
};

void pick_atomic(struct atomic_call *call, uint64_t at, uint64_t mask);
bool atomic_order_good(const struct atomic_call *call);
uint32_t atomic_access(const struct atomic_call *call);
uint64_t atomic_result(const struct atomic_call *call, uint64_t previous);
bool atomic_writes(const struct atomic_call *call, uint64_t previous);
/* A load and a compare-exchange have to give back the value. */
bool atomic_gives(const struct atomic_call *call);

/* logs.c: bitmaps, and what is marked. */
void logs_open(void);
void logs_close(void);
/* log_own() is the log of a slot's own bitmap, which it takes over. */
struct log *log_own(struct slot *slot, struct vmmem_bitmap *bitmap,
		    uint64_t page_size, uint64_t len);
/* log_put() is for one region less that marks there. */
void log_put(struct log *log);
bool log_is_logging(const struct log *log);
/* log_note() marks the page of one byte; if not 'sure' it may be marked. */
void log_note(struct slot *slot, uint64_t offset, bool sure);
void verify_logs(void);

/* harvests.c: what is done to bitmaps apart from writing. */
void run_log(struct map *map);
void run_harvest(struct map *map);
struct pages log_range(const struct log *log, uint64_t offset, uint64_t len,
		       bool whole);
void log_mark(struct log *log, const struct pages *pages);
bool pages_has(const struct pages *pages, uint64_t page);
void pages_add(struct pages *pages, uint64_t page);

/* slices.c: slices given and taken back. */
void run_slice(struct map *map);
void run_walk(struct map *map);
void run_kept_slice(struct map *map);
void pieces_close(void);
bool slices_were_joined(void);

/* slice_access.c: through a slice, which is a part of a piece. */
struct view {
	const struct piece *piece;
	size_t first; /* of its bytes */
	struct vmmem_slice slice;
};

void view_access(const struct view *view);
unsigned char *view_cell(const struct view *view, uint64_t offset);
void view_write(const struct view *view, uint64_t offset, unsigned char value);
int view_code(const struct view *view, uint64_t offset, uint64_t len,
	      uint32_t access);
uint64_t pick_offset(const struct view *view);

/* slice_values.c: the same, of integers and atomics. */
void view_read_value(const struct view *view);
void view_write_value(const struct view *view);
void view_atomic(const struct view *view);

#endif
