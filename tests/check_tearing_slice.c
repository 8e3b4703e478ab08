/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * No tearing through slices, with real threads, as check_tearing.c has it for
 * guest addresses: one thread writes all zeros and all ones by turns, another
 * looks for an aligned group that is neither.  Also copies whose source lies
 * in two regions that meet within a group.
 *
 * VMMEM_TEST_SCALE in the environment divides the amount of work.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "slices.h"
#include "suite.h"

#define LONGEST 1100
#define PART 0x1000
/* Where two regions meet, side by side in the host too: within a group. */
#define SEAM (PART + 4)

/* Reads after which a change of the pattern must have been seen. */
#define PATIENCE 20000000

/* The offset in all slices; what is copied is 'shift' bytes further on. */
struct race {
	uint64_t offset;
	size_t len;
	size_t width; /* of the aligned groups that must be whole */
	int (*write)(const struct race *race, uint8_t value, size_t shift);
	int (*read)(const struct race *race, uint8_t *buf, size_t shift);

	pthread_barrier_t start;
	atomic_bool stop;
	int write_code;
};

/* What is raced for, what is copied from and to; two regions each. */
static struct vmmem_slice arena, zeros, ones, scratch;
/* The same bytes, and others, by guest address. */
#define ARENA UINT64_C(0x100000)
#define ZEROS UINT64_C(0x200000)
#define ONES UINT64_C(0x300000)
#define SCRATCH UINT64_C(0x400000)
/* Regions that meet 'seam' bytes after a multiple of 8, not in the host. */
#define SPLIT_ZEROS UINT64_C(0x500000)
#define SPLIT_ONES UINT64_C(0x600000)

static struct vmmem_collection *guest;
static _Alignas(4096) uint8_t memory[4][2 * PART];
static _Alignas(4096) uint8_t apart[4][2 * PART];
static uint8_t local_zeros[LONGEST + 16], local_ones[LONGEST + 16];
static unsigned long scale = 1;

static struct vmmem_region *
external(uint64_t gpa, uint64_t len, void *host)
{
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_new_external(gpa, len, host, &region));
	return region;
}

/* Guest and host address agree modulo 16, so each part begins as it must. */
static size_t
meet(struct vmmem_region **regions, size_t count, uint64_t gpa, uint64_t seam,
     uint8_t *low, uint8_t *high)
{
	regions[count++] = external(gpa, seam, low);
	regions[count++] = external(gpa + seam, 2 * PART - seam, high);
	return count;
}

static struct vmmem_slice
whole(uint64_t gpa)
{
	struct vmmem_slice slice;

	assert_ok(vmmem_collection_next_slice(guest, gpa, 2 * PART, READ_WRITE,
					      &slice));
	ck_assert_uint_eq(slice.len, 2 * PART);
	return slice;
}

static void
open_guest(uint64_t seam)
{
	const char *text = getenv("VMMEM_TEST_SCALE");
	struct vmmem_region *regions[12];
	size_t count = 0, i;
	const uint64_t gpas[] = { ARENA, ZEROS, ONES, SCRATCH };

	for (i = 0; i < 4; i++)
		count = meet(regions, count, gpas[i], SEAM, memory[i],
			     memory[i] + SEAM);
	count = meet(regions, count, SPLIT_ZEROS, PART + seam, apart[0],
		     apart[1] + seam);
	count = meet(regions, count, SPLIT_ONES, PART + seam, apart[2],
		     apart[3] + seam);
	guest = guest_of(regions, count);
	memset(memory, 0, sizeof(memory));
	memset(apart, 0, sizeof(apart));
	memset(memory[2], 0xff, sizeof(memory[2]));
	memset(apart[2], 0xff, 2 * sizeof(apart[2]));
	memset(local_ones, 0xff, sizeof(local_ones));
	arena = whole(ARENA);
	zeros = whole(ZEROS);
	ones = whole(ONES);
	scratch = whole(SCRATCH);
	if (text != NULL && strtoul(text, NULL, 10) > 0)
		scale = strtoul(text, NULL, 10);
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
}

static const uint8_t *
local(uint8_t value, size_t shift)
{
	return (value == 0 ? local_zeros : local_ones) + shift;
}

static int
write_bytes(const struct race *race, uint8_t value, size_t shift)
{
	return vmmem_slice_write(&arena, race->offset, local(value, shift),
				 race->len);
}

static int
write_some(const struct race *race, uint8_t value, size_t shift)
{
	return vmmem_slice_write_some(&arena, race->offset,
				      local(value, shift), race->len, NULL);
}

static int
fill(const struct race *race, uint8_t value, size_t shift)
{
	(void)shift;
	return vmmem_slice_fill(&arena, race->offset, race->len, value);
}

static int
copy_in(const struct race *race, uint8_t value, size_t shift)
{
	return vmmem_slice_copy(&arena, race->offset,
				value == 0 ? &zeros : &ones,
				race->offset + shift, race->len);
}

/*
 * The target begins within the source, so the copy goes downwards.  The source
 * ends before the race begins, and gets the pattern first.
 */
static int
copy_down(const struct race *race, uint8_t value, size_t shift)
{
	const uint64_t target = race->offset - 64;
	const uint64_t source = target - (race->len + 8 + shift);
	int rc;

	rc = vmmem_slice_fill(&arena, source, race->len + 64, value);
	return rc != 0 ? rc :
			 vmmem_slice_copy(&arena, target, &arena, source,
					  race->len + 64);
}

static int
write_elements(const struct race *race, uint8_t value, size_t shift)
{
	struct vmmem_slice slice;
	int rc = vmmem_slice_sub(&arena, race->offset, race->len, &slice);

	return rc != 0 ? rc :
			 vmmem_slice_write_elements(&slice, 0, 1, race->len,
						    local(value, shift));
}

static int
store_element(const struct race *race, uint8_t value, size_t shift)
{
	return vmmem_slice_store_element(&arena, race->offset / race->len,
					 race->len, local(value, shift));
}

static int
copy_elements(const struct race *race, uint8_t value, size_t shift)
{
	struct vmmem_slice source;
	int rc = vmmem_slice_skip(value == 0 ? &zeros : &ones, shift, &source);

	return rc != 0 ? rc :
			 vmmem_slice_copy_elements(&arena, race->offset,
						   &source, race->offset, 1,
						   race->len);
}

static int
read_bytes(const struct race *race, uint8_t *buf, size_t shift)
{
	(void)shift;
	return vmmem_slice_read(&arena, race->offset, buf, race->len);
}

static int
read_some(const struct race *race, uint8_t *buf, size_t shift)
{
	(void)shift;
	return vmmem_slice_read_some(&arena, race->offset, buf, race->len,
				     NULL);
}

static int
copy_out(const struct race *race, uint8_t *buf, size_t shift)
{
	int rc;

	rc = vmmem_slice_copy(&scratch, shift, &arena, race->offset,
			      race->len);
	return rc != 0 ? rc :
			 vmmem_slice_read(&scratch, shift, buf, race->len);
}

static int
read_elements(const struct race *race, uint8_t *buf, size_t shift)
{
	(void)shift;
	return vmmem_slice_read_elements(&arena, race->offset, 1, race->len,
					 buf);
}

static int
load_element(const struct race *race, uint8_t *buf, size_t shift)
{
	(void)shift;
	return vmmem_slice_load_element(&arena, race->offset / race->len,
					race->len, buf);
}

/* Integers of the width of the race; zeros and ones have no byte order. */
#define WRITE_AS(name, call)                                               \
	static int name(const struct race *race, uint8_t value,            \
			size_t shift)                                      \
	{                                                                  \
		const uint64_t all = value == 0 ? 0 : TOP;                 \
                                                                           \
		(void)shift;                                               \
		if (race->width == 2)                                      \
			return call(16);                                   \
		if (race->width == 4)                                      \
			return call(32);                                   \
		return call(64);                                           \
	}

#define PLAIN(type, bits)                                                  \
	vmmem_slice_write_##type##bits(&arena, race->offset,               \
				       (uint##bits##_t)all)
#define AS_NATIVE(bits) PLAIN(u, bits)
#define AS_LE(bits) PLAIN(le, bits)
#define AS_BE(bits) PLAIN(be, bits)
#define AS_STORE(bits)                                                     \
	vmmem_slice_store_u##bits(&arena, race->offset,                    \
				  (uint##bits##_t)all, VMMEM_ORDER_RELAXED)
#define AS_EXCHANGE(bits)                                                  \
	vmmem_slice_exchange_u##bits(&arena, race->offset,                 \
				     (uint##bits##_t)all,                  \
				     VMMEM_ORDER_RELAXED, NULL)
#define AS_COMPARE(bits)                                                   \
	vmmem_slice_compare_exchange_u##bits(                              \
		&arena, race->offset, (uint##bits##_t)~all,                \
		(uint##bits##_t)all, VMMEM_ORDER_RELAXED,                  \
		VMMEM_ORDER_RELAXED, &(uint##bits##_t){ 0 })
#define AS_OR_AND(bits)                                                    \
	(all != 0 ? vmmem_slice_fetch_or_u##bits(                          \
			    &arena, race->offset, (uint##bits##_t)all,     \
			    VMMEM_ORDER_RELAXED, NULL) :                   \
		    vmmem_slice_fetch_and_u##bits(                         \
			    &arena, race->offset, 0, VMMEM_ORDER_RELAXED,  \
			    NULL))
/* Zero minus one is all ones, and plus one zero again. */
#define AS_ADD(bits)                                                       \
	vmmem_slice_fetch_add_u##bits(                                     \
		&arena, race->offset,                                      \
		all != 0 ? (uint##bits##_t)TOP : (uint##bits##_t)1,        \
		VMMEM_ORDER_RELAXED, NULL)

#define READ_AS(name, call)                                                \
	static int name(const struct race *race, uint8_t *buf,             \
			size_t shift)                                      \
	{                                                                  \
		uint16_t seen16 = 0;                                       \
		uint32_t seen32 = 0;                                       \
		uint64_t seen64 = 0;                                       \
		int rc;                                                    \
                                                                           \
		(void)shift;                                               \
		if (race->width == 2) {                                    \
			rc = call(16);                                     \
			memcpy(buf, &seen16, 2);                           \
		} else if (race->width == 4) {                             \
			rc = call(32);                                     \
			memcpy(buf, &seen32, 4);                           \
		} else {                                                   \
			rc = call(64);                                     \
			memcpy(buf, &seen64, 8);                           \
		}                                                          \
		return rc;                                                 \
	}

#define FROM_NATIVE(bits)                                                  \
	vmmem_slice_read_u##bits(&arena, race->offset, &seen##bits)
#define FROM_LE(bits)                                                      \
	vmmem_slice_read_le##bits(&arena, race->offset, &seen##bits)
#define FROM_BE(bits)                                                      \
	vmmem_slice_read_be##bits(&arena, race->offset, &seen##bits)
#define FROM_LOAD(bits)                                                    \
	vmmem_slice_load_u##bits(&arena, race->offset,                     \
				 VMMEM_ORDER_RELAXED, &seen##bits)

WRITE_AS(write_native, AS_NATIVE)
WRITE_AS(write_le, AS_LE)
WRITE_AS(write_be, AS_BE)
WRITE_AS(store, AS_STORE)
WRITE_AS(exchange, AS_EXCHANGE)
WRITE_AS(compare_exchange, AS_COMPARE)
WRITE_AS(or_and, AS_OR_AND)
WRITE_AS(add, AS_ADD)
READ_AS(read_native, FROM_NATIVE)
READ_AS(read_le, FROM_LE)
READ_AS(read_be, FROM_BE)
READ_AS(load, FROM_LOAD)

#define NAMED(function) { function, #function }

/* The first LONG_WRITERS and LONG_READERS of them take any length. */
static const struct {
	int (*write)(const struct race *race, uint8_t value, size_t shift);
	const char *name;
} writers[] = {
	NAMED(write_bytes),	 NAMED(write_some), NAMED(fill),
	NAMED(copy_in),		 NAMED(copy_down),  NAMED(write_elements),
	NAMED(copy_elements),	 NAMED(store_element), NAMED(write_native),
	NAMED(write_le),	 NAMED(write_be),   NAMED(store),
	NAMED(compare_exchange), NAMED(exchange),   NAMED(or_and),
	NAMED(add),
};
#define LONG_WRITERS 7
#define COPY_IN 3
#define COPY_DOWN 4

static const struct {
	int (*read)(const struct race *race, uint8_t *buf, size_t shift);
	const char *name;
} readers[] = {
	NAMED(read_bytes),   NAMED(read_some),	 NAMED(copy_out),
	NAMED(read_elements), NAMED(load_element), NAMED(read_native),
	NAMED(read_le),	     NAMED(read_be),	 NAMED(load),
};
#define LONG_READERS 4

static void *
write_by_turns(void *opaque)
{
	struct race *race = opaque;
	uint8_t value = 0;
	size_t shift = 0;
	unsigned int turns = 0;

	pthread_barrier_wait(&race->start);
	while (!atomic_load_explicit(&race->stop, memory_order_relaxed)) {
		/*
		 * On one processor the reader must get its turn, too; and by
		 * an odd number, so that it finds the other pattern.
		 */
		if (++turns % 63 == 0)
			sched_yield();
		value ^= 0xff;
		shift = shift % 7 + 1;
		race->write_code = race->write(race, value, shift);
		if (race->write_code != 0)
			break;
	}
	return NULL;
}

/* Whether an aligned group of what was read is neither zeros nor ones. */
static int
is_torn(const struct race *race, const uint8_t *buf)
{
	size_t at = (size_t)(-race->offset & (race->width - 1));

	for (; at + race->width <= race->len; at += race->width)
		if ((buf[at] != 0 && buf[at] != 0xff) ||
		    !all_are(buf + at, buf[at], race->width))
			return 1;
	return 0;
}

/* Reads until both threads were seen to be at it at the same time. */
static void
run(struct race *race, const char *writer, const char *reader)
{
	unsigned long changes = 0, quiet = 0, i;
	unsigned long reads = (race->len > 64 ? 10000 : 20000) / scale + 1;
	unsigned long wanted = 100 / scale + 4;
	/* One byte more at the start, so that no buffer is aligned. */
	_Alignas(8) uint8_t buf[LONGEST + 16];
	size_t shift = 0, probe = race->len / 2;
	int torn = 0, rc = 0, last = 0;
	pthread_t thread;

	memset(memory[0], 0, sizeof(memory[0]));
	atomic_init(&race->stop, 0);
	race->write_code = 0;
	ck_assert_int_eq(pthread_barrier_init(&race->start, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, write_by_turns, race),
			 0);
	pthread_barrier_wait(&race->start);
	for (i = 0; i < reads || changes < wanted; i++) {
		shift = shift % 7 + 1;
		rc = race->read(race, buf + shift, shift);
		torn = is_torn(race, buf + shift);
		if (rc != 0 || torn || quiet == PATIENCE)
			break;
		quiet++;
		if (buf[shift + probe] != last) {
			last = buf[shift + probe];
			changes++;
			quiet = 0;
		}
		/* On one processor the writer must get its turn. */
		if (quiet % 64 == 63)
			sched_yield();
	}
	atomic_store_explicit(&race->stop, 1, memory_order_relaxed);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	pthread_barrier_destroy(&race->start);
	assert_code(race->write_code, 0);
	assert_code(rc, 0);
	ck_assert_msg(!torn, "%s against %s: %zu bytes at %#jx were torn",
		      writer, reader, race->len, (uintmax_t)race->offset);
	ck_assert_msg(changes >= wanted, "%s against %s did not meet", writer,
		      reader);
}

static void
race(size_t writer, size_t reader, uint64_t offset, size_t len, size_t width)
{
	struct race race = {
		.offset = offset,
		.len = len,
		.width = width,
		.write = writers[writer].write,
		.read = readers[reader].read,
	};

	run(&race, writers[writer].name, readers[reader].name);
}

/*
 * Accesses of the width itself: each writer against read_bytes() and another,
 * each reader against write_bytes().  The group of 8 lies across the seam.
 */
START_TEST(aligned_access)
{
	const size_t width = (size_t)2 << _i;
	const uint64_t offset = PART;
	size_t i;

	open_guest(0);
	for (i = 0; i < ARRAY_LEN(writers); i++) {
		race(i, 0, offset, width, width);
		race(i, 1 + i % (ARRAY_LEN(readers) - 1), offset, width,
		     width);
	}
	for (i = 0; i < ARRAY_LEN(readers); i++)
		race(0, i, offset, width, width);
}
END_TEST

/* Groups of 8 within longer accesses, whatever they begin and end with. */
static const struct {
	uint64_t offset;
	size_t len;
} long_rows[] = {
	{ 0x800, 24 },	{ 0x803, 61 },		{ SEAM - 9, 200 },
	{ 0x80c, 515 }, { SEAM - 512, LONGEST },
};

START_TEST(long_access)
{
	const uint64_t offset = long_rows[_i].offset;
	const size_t len = long_rows[_i].len;
	size_t i;

	open_guest(0);
	for (i = 0; i < LONG_WRITERS; i++)
		race(i, i % LONG_READERS, offset, len, 8);
	/* Copies work in pieces, which must not part a group. */
	for (i = 0; i < LONG_READERS; i++) {
		race(COPY_IN, i, offset, len, 8);
		race(COPY_DOWN, i, offset, len, 8);
	}
}
END_TEST

/* The source begins in one region and ends in another. */
static int
copy_across(const struct race *race, uint8_t value, size_t shift)
{
	const uint64_t from = value == 0 ? SPLIT_ZEROS : SPLIT_ONES;

	return vmmem_collection_copy(guest, ARENA + race->offset,
				     from + PART - race->len / 2 + shift,
				     race->len, NULL);
}

START_TEST(source_across_a_seam)
{
	static const size_t lens[] = { 8, 16, 77, 515, 1100 };
	size_t i;

	/* By slices the target is one; by guest address its seam is one. */
	open_guest((uint64_t)_i);
	for (i = 0; i < ARRAY_LEN(lens); i++) {
		struct race race = {
			.offset = i % 2 == 0 ? 0 : 5,
			.len = lens[i],
			.width = 8,
			.write = copy_across,
			.read = read_bytes,
		};

		if (race.offset != 0)
			race.len += 3;
		run(&race, "copy across a seam", "read_bytes");
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("tearing_slice");
	TCase *tcase = tcase_create("tearing_slice");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_loop_test(tcase, aligned_access, 0, 3);
	tcase_add_loop_test(tcase, long_access, 0, (int)ARRAY_LEN(long_rows));
	tcase_add_loop_test(tcase, source_across_a_seam, 0, 8);
	suite_add_tcase(suite, tcase);
	return suite;
}
