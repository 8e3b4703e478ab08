/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * No tearing, with real threads.  One thread writes all zeros and all ones by
 * turns; the other reads the same guest bytes and looks for an aligned group
 * that is neither.  Both do so through every function that moves bytes, with
 * buffers of their own that lie as badly as can be.
 *
 * One byte cannot be half done, so groups are of 2, 4 and 8 bytes.
 *
 * VMMEM_TEST_SCALE in the environment divides the amount of work.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <vmmem/access.h>
#include <vmmem/atomic.h>

#include "guest.h"
#include "suite.h"

#define LONGEST 4096

/* What is raced for, and a page that only the reader writes to. */
#define ARENA UINT64_C(0x10000)
#define SCRATCH UINT64_C(0x20000)
/* Zeros and ones to copy from. */
#define ZEROS UINT64_C(0x30000)
#define ONES UINT64_C(0x40000)
/* The same, but in two regions each, which meet here. */
#define SPLIT_SCRATCH UINT64_C(0x51004)
#define SPLIT_ZEROS UINT64_C(0x61004)
#define SPLIT_ONES UINT64_C(0x71004)
/* The same, but from callbacks. */
#define DEVICE_ZEROS UINT64_C(0x80000)
#define DEVICE_ONES UINT64_C(0x90000)

/* Reads within which a change of the pattern must have been seen. */
#define PATIENCE 1000000

struct race {
	uint64_t gpa;
	size_t len;
	/* The aligned groups that must be whole: 2, 4 or 8 bytes. */
	size_t width;
	int (*write)(const struct race *race, uint8_t value, size_t shift);
	int (*read)(const struct race *race, uint8_t *buf, size_t shift);
	/* Where what copies within the guest copies from and to. */
	uint64_t zeros, ones, scratch;

	pthread_barrier_t start;
	atomic_bool stop;
	atomic_int write_code;
	/*
	 * Where both share one processor, the reader may not wait for a change
	 * by looking for it: it asks for one, and waits for it.
	 */
	atomic_bool wanted;
	sem_t written, resume;
};

static struct vmmem_collection *guest;
static uint8_t local_zeros[LONGEST + 16], local_ones[LONGEST + 16];
static unsigned long scale = 1;

static int
device_read(void *opaque, uint64_t offset, void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	memset(buf, offset < DEVICE_ONES - DEVICE_ZEROS ? 0 : 0xff, len);
	return 0;
}

/* Two regions that meet at 'gpa', which is no multiple of 8. */
static size_t
split(struct vmmem_region **regions, size_t count, uint64_t gpa)
{
	regions[count++] = region_of(gpa - 0x1004, 0x1004);
	regions[count++] = region_of(gpa, 0x2000);
	return count;
}

static void
setup(void)
{
	const struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.read = device_read,
	};
	struct vmmem_region *regions[16];
	const char *text = getenv("VMMEM_TEST_SCALE");
	size_t count = 0;

	regions[count++] = region_of(ARENA, 2 * LONGEST);
	regions[count++] = region_of(SCRATCH, 2 * LONGEST);
	regions[count++] = region_of(ZEROS, 2 * LONGEST);
	regions[count++] = region_of(ONES, 2 * LONGEST);
	count = split(regions, count, SPLIT_SCRATCH);
	count = split(regions, count, SPLIT_ZEROS);
	count = split(regions, count, SPLIT_ONES);
	assert_ok(vmmem_region_new_custom(DEVICE_ZEROS, 0x20000, &ops, NULL,
					  &regions[count]));
	guest = guest_of(regions, count + 1);
	assert_ok(vmmem_collection_fill(guest, ONES, 2 * LONGEST, 0xff, NULL));
	assert_ok(vmmem_collection_fill(guest, SPLIT_ONES - 0x1004, 0x3004,
					0xff, NULL));
	memset(local_ones, 0xff, sizeof(local_ones));
	if (text != NULL && strtoul(text, NULL, 10) > 0)
		scale = strtoul(text, NULL, 10);
}

static void
teardown(void)
{
	guest = vmmem_collection_unref(guest);
}

static int
write_bytes(const struct race *race, uint8_t value, size_t shift)
{
	const uint8_t *from = value == 0 ? local_zeros : local_ones;

	return vmmem_collection_write(guest, race->gpa, from + shift,
				      race->len, NULL);
}

static int
write_some(const struct race *race, uint8_t value, size_t shift)
{
	const uint8_t *from = value == 0 ? local_zeros : local_ones;

	return vmmem_collection_write_some(guest, race->gpa, from + shift,
					   race->len, NULL);
}

static int
write_fill(const struct race *race, uint8_t value, size_t shift)
{
	if (shift % 2 == 0)
		return vmmem_collection_fill(guest, race->gpa, race->len,
					     value, NULL);
	return vmmem_collection_fill_some(guest, race->gpa, race->len, value,
					  NULL);
}

static int
write_copy(const struct race *race, uint8_t value, size_t shift)
{
	return vmmem_collection_copy(
		guest, race->gpa,
		(value == 0 ? race->zeros : race->ones) + shift, race->len,
		NULL);
}

static int
read_bytes(const struct race *race, uint8_t *buf, size_t shift)
{
	(void)shift;
	return vmmem_collection_read(guest, race->gpa, buf, race->len, NULL);
}

static int
read_some(const struct race *race, uint8_t *buf, size_t shift)
{
	(void)shift;
	return vmmem_collection_read_some(guest, race->gpa, buf, race->len,
					  NULL);
}

static int
read_copy(const struct race *race, uint8_t *buf, size_t shift)
{
	int rc;

	rc = vmmem_collection_copy(guest, race->scratch + shift, race->gpa,
				   race->len, NULL);
	if (rc != 0)
		return rc;
	return vmmem_collection_read(guest, race->scratch + shift, buf,
				     race->len, NULL);
}

/* Integers of the width of the race; zeros and ones have no byte order. */
#define WRITE_AS(name, call)                                               \
	static int name(const struct race *race, uint8_t value,            \
			size_t shift)                                      \
	{                                                                  \
		const uint64_t all = value == 0 ? 0 : TOP;                 \
		int rc;                                                    \
                                                                           \
		(void)shift;                                               \
		if (race->width == 2)                                      \
			call(16);                                          \
		else if (race->width == 4)                                 \
			call(32);                                          \
		else                                                       \
			call(64);                                          \
		return rc;                                                 \
	}

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
		if (race->width == 2)                                      \
			call(16);                                          \
		else if (race->width == 4)                                 \
			call(32);                                          \
		else                                                       \
			call(64);                                          \
		return rc;                                                 \
	}

#define AS_WRITE(bits)                                                     \
	rc = vmmem_collection_write_u##bits(guest, race->gpa,              \
					    (uint##bits##_t)all)
#define AS_WRITE_LE(bits)                                                  \
	rc = vmmem_collection_write_le##bits(guest, race->gpa,             \
					     (uint##bits##_t)all)
#define AS_WRITE_BE(bits)                                                  \
	rc = vmmem_collection_write_be##bits(guest, race->gpa,             \
					     (uint##bits##_t)all)
#define AS_STORE(bits)                                                     \
	rc = vmmem_collection_store_u##bits(guest, race->gpa,              \
					    (uint##bits##_t)all,           \
					    VMMEM_ORDER_RELAXED)
#define AS_EXCHANGE(bits)                                                  \
	rc = vmmem_collection_exchange_u##bits(                            \
		guest, race->gpa, (uint##bits##_t)all,                     \
		VMMEM_ORDER_RELAXED, NULL)
#define AS_OR_AND(bits)                                                    \
	rc = all != 0 ? vmmem_collection_fetch_or_u##bits(                 \
				guest, race->gpa, (uint##bits##_t)all,     \
				VMMEM_ORDER_RELAXED, NULL) :               \
			vmmem_collection_fetch_and_u##bits(                \
				guest, race->gpa, 0, VMMEM_ORDER_RELAXED,  \
				NULL)

#define AS_READ_BY(function, bits)                                         \
	do {                                                               \
		rc = function(guest, race->gpa, &seen##bits);              \
		memcpy(buf, &seen##bits, sizeof(seen##bits));              \
	} while (0)
#define AS_READ(bits) AS_READ_BY(vmmem_collection_read_u##bits, bits)
#define AS_READ_LE(bits) AS_READ_BY(vmmem_collection_read_le##bits, bits)
#define AS_READ_BE(bits) AS_READ_BY(vmmem_collection_read_be##bits, bits)
#define AS_LOAD(bits)                                                      \
	do {                                                               \
		rc = vmmem_collection_load_u##bits(guest, race->gpa,       \
						   VMMEM_ORDER_RELAXED,    \
						   &seen##bits);           \
		memcpy(buf, &seen##bits, sizeof(seen##bits));              \
	} while (0)

WRITE_AS(write_native, AS_WRITE)
WRITE_AS(write_le, AS_WRITE_LE)
WRITE_AS(write_be, AS_WRITE_BE)
WRITE_AS(store, AS_STORE)
WRITE_AS(exchange, AS_EXCHANGE)
WRITE_AS(or_and, AS_OR_AND)
READ_AS(read_native, AS_READ)
READ_AS(read_le, AS_READ_LE)
READ_AS(read_be, AS_READ_BE)
READ_AS(load, AS_LOAD)

#define NAMED(function) { function, #function }

/* The first LONG_WRITERS and LONG_READERS of them take any length. */
static const struct {
	int (*write)(const struct race *race, uint8_t value, size_t shift);
	const char *name;
} writers[] = {
	NAMED(write_bytes), NAMED(write_some), NAMED(write_fill),
	NAMED(write_copy),  NAMED(write_native), NAMED(write_le),
	NAMED(write_be),    NAMED(store),      NAMED(exchange),
	NAMED(or_and),
};
#define LONG_WRITERS 4

static const struct {
	int (*read)(const struct race *race, uint8_t *buf, size_t shift);
	const char *name;
} readers[] = {
	NAMED(read_bytes),  NAMED(read_some), NAMED(read_copy),
	NAMED(read_native), NAMED(read_le),   NAMED(read_be),
	NAMED(load),
};
#define LONG_READERS 3

static void *
write_by_turns(void *opaque)
{
	struct race *race = opaque;
	uint8_t value = 0;
	size_t shift = 0;
	int rc = 0;

	pthread_barrier_wait(&race->start);
	while (rc == 0 && !atomic_load(&race->stop)) {
		value ^= 0xff;
		shift = shift % 7 + 1;
		rc = race->write(race, value, shift);
		if (atomic_load(&race->wanted)) {
			atomic_store(&race->wanted, 0);
			atomic_store(&race->write_code, rc);
			sem_post(&race->written);
			sem_wait(&race->resume);
		}
	}
	/* Whoever asks from now on finds that this is over. */
	atomic_store(&race->write_code, rc);
	sem_post(&race->written);
	return NULL;
}

static void
ask_for_change(struct race *race)
{
	atomic_store(&race->wanted, 1);
	sem_wait(&race->written);
	sem_post(&race->resume);
}

/* Whether an aligned group of what was read is neither zeros nor ones. */
static int
is_torn(const struct race *race, const uint8_t *buf)
{
	size_t at = (size_t)(-race->gpa & (race->width - 1));

	for (; at + race->width <= race->len; at += race->width)
		if ((buf[at] != 0 && buf[at] != 0xff) ||
		    !all_are(buf + at, buf[at], race->width))
			return 1;
	return 0;
}

static void
race_init(struct race *race)
{
	if (race->zeros == 0) {
		race->zeros = ZEROS;
		race->ones = ONES;
	}
	if (race->scratch == 0)
		race->scratch = SCRATCH;
	assert_ok(vmmem_collection_fill(guest, ARENA, 2 * LONGEST, 0, NULL));
	atomic_init(&race->stop, 0);
	atomic_init(&race->wanted, 0);
	atomic_init(&race->write_code, 0);
	ck_assert_int_eq(pthread_barrier_init(&race->start, NULL, 2), 0);
	ck_assert_int_eq(sem_init(&race->written, 0, 0), 0);
	ck_assert_int_eq(sem_init(&race->resume, 0, 0), 0);
}

/* Reads on until it has seen the writer at work. */
static void
run(struct race *race, const char *writer, const char *reader)
{
	unsigned long reads = (race->len > 64 ? 500 : 4000) / scale + 1;
	unsigned long changes = 0, quiet = 0, i;
	/* More than what is read, so that no buffer need be aligned. */
	_Alignas(8) uint8_t buf[LONGEST + 16];
	size_t shift = 0, probe = race->len / 2;
	int torn = 0, rc = 0, last = 0;
	pthread_t thread;

	race_init(race);
	ck_assert_int_eq(pthread_create(&thread, NULL, write_by_turns, race),
			 0);
	pthread_barrier_wait(&race->start);
	for (i = 0; i < reads || changes < 4; i++) {
		shift = shift % 7 + 1;
		rc = race->read(race, buf + shift, shift);
		torn = is_torn(race, buf + shift);
		if (rc != 0 || torn || quiet == PATIENCE ||
		    atomic_load(&race->write_code) != 0)
			break;
		quiet++;
		if (buf[shift + probe] != last) {
			last = buf[shift + probe];
			changes++;
			quiet = 0;
		}
		if (quiet % (256 / scale + 1) == 256 / scale)
			ask_for_change(race);
	}
	atomic_store(&race->stop, 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	pthread_barrier_destroy(&race->start);
	sem_destroy(&race->written);
	sem_destroy(&race->resume);
	assert_code(atomic_load(&race->write_code), 0);
	assert_code(rc, 0);
	ck_assert_msg(!torn, "%s against %s: %zu bytes at %#llx were torn",
		      writer, reader, race->len,
		      (unsigned long long)race->gpa);
	ck_assert_msg(changes >= 4, "%s against %s did not meet", writer,
		      reader);
}

/* Aligned accesses of the width itself, each writer against each reader. */
START_TEST(aligned_access)
{
	const size_t width = (size_t)2 << (_i % 3);
	const size_t writer = (size_t)_i / 3;
	size_t reader;

	for (reader = 0; reader < ARRAY_LEN(readers); reader++) {
		struct race race = {
			.gpa = ARENA + 0x100 + width,
			.len = width,
			.width = width,
			.write = writers[writer].write,
			.read = readers[reader].read,
		};

		run(&race, writers[writer].name, readers[reader].name);
	}
}
END_TEST

/* Groups of 8 within longer accesses, whatever they begin and end with. */
static const struct {
	uint64_t gpa;
	size_t len;
} long_rows[] = {
	{ ARENA, 24 },         { ARENA + 3, 24 },
	{ ARENA + 8, 64 },     { ARENA + 5, 64 },
	{ ARENA, 200 },        { ARENA + 7, 200 },
	{ ARENA + 4, 515 },    { ARENA, LONGEST },
	{ ARENA + 12, 4000 },  { ARENA + 1, LONGEST },
};

START_TEST(long_access)
{
	size_t writer, reader;

	for (writer = 0; writer < LONG_WRITERS; writer++) {
		for (reader = 0; reader < LONG_READERS; reader++) {
			struct race race = {
				.gpa = long_rows[_i].gpa,
				.len = long_rows[_i].len,
				.width = 8,
				.write = writers[writer].write,
				.read = readers[reader].read,
			};

			run(&race, writers[writer].name,
			    readers[reader].name);
		}
	}
}
END_TEST

/*
 * The bytes written to an aligned address come from two regions, and those
 * read from one go to two: the access is the same one.
 */
static const size_t split_lens[] = { 8, 64, 515, 4000 };

START_TEST(copy_from_two_regions)
{
	size_t len = split_lens[_i];
	struct race race = {
		.gpa = ARENA,
		.len = len,
		.width = 8,
		.write = write_copy,
		.read = read_bytes,
		.zeros = SPLIT_ZEROS - len / 2,
		.ones = SPLIT_ONES - len / 2,
	};

	run(&race, "copy from two regions", "read_bytes");
}
END_TEST

START_TEST(copy_to_two_regions)
{
	size_t len = split_lens[_i];
	struct race race = {
		.gpa = ARENA,
		.len = len,
		.width = 8,
		.write = write_bytes,
		.read = read_copy,
		.scratch = SPLIT_SCRATCH - len / 2,
	};

	run(&race, "write_bytes", "copy to two regions");
}
END_TEST

/* What comes from a callback comes in pieces; groups are still whole. */
START_TEST(copy_from_callbacks)
{
	struct race race = {
		.gpa = ARENA + 3,
		.len = LONGEST,
		.width = 8,
		.write = write_copy,
		.read = read_bytes,
		.zeros = DEVICE_ZEROS,
		.ones = DEVICE_ONES,
	};

	run(&race, "copy from callbacks", "read_bytes");
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("tearing");
	TCase *tcase = tcase_create("tearing");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, aligned_access, 0,
			    3 * (int)ARRAY_LEN(writers));
	tcase_add_loop_test(tcase, long_access, 0, (int)ARRAY_LEN(long_rows));
	tcase_add_loop_test(tcase, copy_from_two_regions, 0,
			    (int)ARRAY_LEN(split_lens));
	tcase_add_loop_test(tcase, copy_to_two_regions, 0,
			    (int)ARRAY_LEN(split_lens));
	tcase_add_test(tcase, copy_from_callbacks);
	suite_add_tcase(suite, tcase);
	return suite;
}
