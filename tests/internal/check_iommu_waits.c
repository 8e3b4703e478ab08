/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Each function that translates waits for an answer that comes later, as long
 * as it may.  The functions of lib/base/futex.c are defined here: the answer comes
 * when somebody would sleep.
 */
#include <errno.h>
#include <stdbool.h>

#include "base/futex.h"
#include "iommus.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)
/* Of two pages: the second one is asked for by itself. */
#define AT (IOVA + PAGE - 8)

static unsigned int sleeps, calls_of_handler;
static bool forever, answers;
static uint64_t asked_for;
/* How many other pages are mapped before the one that is asked for. */
static unsigned int others;
/* What comes before the handler returns from its first call. */
static void (*meanwhile)(void);

int
vmmem_futex_wait(const uint32_t *word, uint32_t value,
		 const struct timespec *deadline)
{
	ck_assert_uint_eq(*word, value);
	sleeps++;
	ck_assert_uint_lt(sleeps, 10);
	if (forever)
		ck_assert_ptr_null(deadline);
	else
		ck_assert(deadline->tv_sec == 1234 && deadline->tv_nsec == 5);
	if (!answers)
		return VMMEM_ETIMEOUT;
	if (others != 0) {
		see_map(IOVA + (4 + 2 * others--) * PAGE, 0, PAGE, RW);
		return 0;
	}
	see_map(asked_for, asked_for - IOVA, PAGE, RW);
	return 0;
}

void
vmmem_futex_wake(const uint32_t *word)
{
	(void)word;
}

struct timespec
vmmem_futex_deadline(uint64_t ns)
{
	ck_assert_uint_eq(ns, 77);
	return (struct timespec){ 1234, 5 };
}

bool
vmmem_futex_is_past(const struct timespec *deadline)
{
	ck_assert(deadline->tv_sec == 1234 && deadline->tv_nsec == 5);
	return false;
}

static int
later(void *opaque, uint64_t iova, uint64_t len, uint32_t access,
      uint32_t reason)
{
	(void)opaque;
	(void)len;
	(void)access;
	(void)reason;
	asked_for = iova & ~(PAGE - 1);
	if (calls_of_handler++ == 0 && meanwhile != NULL)
		meanwhile();
	return VMMEM_IOMMU_LATER;
}

static uint8_t bytes[64];
static struct vmmem_region *found;
static uint64_t number;
static uint32_t small;
static struct vmmem_slice slice;
static void *host;
static int fd;

static const struct vmmem_range ranges[] = { { AT, 16 }, { AT + 1, 3 } };
static struct iovec iov[4];
static size_t count;

/* A name, how many pages it asks for, and the call. */
#define CALLS                                                              \
	CALL(read, 2, read(see.map, AT, bytes, 16, NULL))                  \
	CALL(read_some, 2, read_some(see.map, AT, bytes, 16, &number))     \
	CALL(write, 2, write(see.map, AT, bytes, 16, NULL))                \
	CALL(write_some, 2, write_some(see.map, AT, bytes, 16, &number))   \
	CALL(fill, 2, fill(see.map, AT, 16, 1, NULL))                      \
	CALL(fill_some, 2, fill_some(see.map, AT, 16, 1, &number))         \
	CALL(copy, 2, copy(see.map, AT, AT + PAGE - 8, 8, NULL))           \
	CALL(copy_up, 2, copy(see.map, AT + 4, AT, 8, NULL))               \
	CALL(read_u64, 1, read_u64(see.map, AT, &number))                  \
	CALL(read_crossing, 2, read_u64(see.map, AT + 4, &number))         \
	CALL(write_u64, 1, write_u64(see.map, AT, 1))                      \
	CALL(write_crossing, 2, write_u64(see.map, AT + 4, 1))             \
	CALL(load_u32, 1, load_u32(see.map, AT, VMMEM_ORDER_ACQUIRE, &small))\
	CALL(store_u32, 1, store_u32(see.map, AT, 1, VMMEM_ORDER_RELEASE))  \
	CALL(fetch_add, 1,                                                 \
	     fetch_add_u32(see.map, AT, 1, VMMEM_ORDER_SEQ_CST, &small))   \
	CALL(locate, 1, locate(see.map, AT, &found, &number))              \
	CALL(check, 2, check(see.map, AT, 16, RW, &number))                \
	CALL(address_add, 1, address_add(see.map, 8, AT - 8, &number))               \
	CALL(host_address, 1, host_address(see.map, AT, R, &host, &number)) \
	CALL(slice_of_one, 1, slice(see.map, AT, 8, RW, &slice))           \
	CALL(slice_of_two, 2, slice(see.map, AT, 16, RW, &slice))          \
	CALL(next_slice, 1, next_slice(see.map, AT, 16, RW, &slice))       \
	CALL(iovec, 2, iovec(see.map, AT, 16, R, iov, 4, &count, NULL))    \
	CALL(iovec_ranges, 2,                                              \
	     iovec_ranges(see.map, ranges, 2, R, iov, 4, &count, NULL))    \
	CALL(from_fd, 2, from_fd(see.map, AT, 16, fd, 0, 0, NULL))         \
	CALL(some_from_fd, 2,                                              \
	     from_fd(see.map, AT, 16, fd, 0, VMMEM_IO_SOME, &number))      \
	CALL(to_fd, 2, to_fd(see.map, AT, 16, fd, 0, 0, NULL))             \
	CALL(ranges_from_fd, 2,                                            \
	     ranges_from_fd(see.map, ranges, 2, 0, 19, fd, 0, 0, NULL, NULL)) \
	CALL(ranges_to_fd, 2,                                              \
	     ranges_to_fd(see.map, ranges, 2, 0, 19, fd, 0, 0, NULL, NULL))

#define CALL(name, pages, call)                                            \
	static int call_##name(void)                                       \
	{                                                                  \
		return vmmem_collection_##call;                            \
	}
CALLS
#undef CALL

/* Two that have no code to return. */
static int
call_find(void)
{
	return vmmem_collection_find(see.map, AT) != NULL ? 0 : VMMEM_ETIMEOUT;
}

static int
call_contains(void)
{
	return vmmem_collection_contains(see.map, AT) ? 0 : VMMEM_ETIMEOUT;
}

static const struct {
	const char *name;
	unsigned int pages;
	int (*call)(void);
} calls[] = {
#define CALL(name, pages, call) { #name, pages, call_##name },
	CALLS
#undef CALL
	{ "find", 1, call_find },
	{ "contains", 1, call_contains },
};

static void
open_with(bool without_end, size_t capacity)
{
	const struct vmmem_iommu_options options = {
		.size = sizeof(options),
		.miss = later,
		.timeout_ns = without_end ? VMMEM_FOREVER : 77,
	};

	see_open(capacity, &options);
	fd = file_of(0x1000);
	sleeps = calls_of_handler = others = 0;
	forever = without_end;
	answers = true;
	meanwhile = NULL;
}

static void
open_later(bool without_end)
{
	open_with(without_end, 64);
}

static void
close_later(void)
{
	close(fd);
	see_close();
}

START_TEST(answered)
{
	open_later(_i % 2 != 0);
	_i /= 2;
	assert_code(calls[_i].call(), 0);
	ck_assert_msg(sleeps == calls[_i].pages, "%s: %u sleeps",
		      calls[_i].name, sleeps);
	/* It is there now. */
	assert_code(calls[_i].call(), 0);
	ck_assert_uint_eq(sleeps, calls[_i].pages);
	close_later();
}
END_TEST

START_TEST(not_answered)
{
	open_later(false);
	answers = false;
	assert_code(calls[_i].call(), VMMEM_ETIMEOUT);
	/* Marks are made wherever they can be, so it goes on. */
	ck_assert_uint_ge(sleeps, 1);
	ck_assert_uint_le(sleeps, calls[_i].pages);
	close_later();
}
END_TEST

/* The access has one deadline, for all that it asks for. */
START_TEST(the_second_not_answered)
{
	if (calls[_i].pages != 2)
		return;
	open_later(false);
	see_map(IOVA, 0, PAGE, RW);
	answers = false;
	if (calls[_i].call() != VMMEM_EPARTIAL) {
		ck_assert_uint_eq(sleeps, 1);
		ck_assert_uint_eq(asked_for, IOVA + PAGE);
	}
	close_later();
}
END_TEST

/* What is mapped meanwhile for others is no reason to ask again. */
START_TEST(others_are_answered)
{
	open_later(true);
	others = 4;
	assert_ok(vmmem_collection_read_u64(see.map, AT, &number));
	ck_assert_uint_eq(sleeps, 5);
	ck_assert_uint_eq(calls_of_handler, 1);
	close_later();
}
END_TEST

/* Also where entries had to go for it: the answer has not been among them. */
START_TEST(others_are_evicted)
{
	open_with(true, 2);
	see_map(IOVA + 0x20 * PAGE, 0, PAGE, RW);
	see_map(IOVA + 0x30 * PAGE, 0, PAGE, RW);
	others = 3;
	assert_ok(vmmem_collection_read_u64(see.map, AT, &number));
	ck_assert_uint_eq(sleeps, 4);
	ck_assert_uint_eq(calls_of_handler, 1);
	close_later();
}
END_TEST

static void
map_another(void)
{
	see_map(IOVA + 0x20 * PAGE, 0, PAGE, RW);
}

/* What comes for others while it is being asked for is no answer either. */
START_TEST(others_are_answered_meanwhile)
{
	open_later(true);
	meanwhile = map_another;
	assert_ok(vmmem_collection_read_u64(see.map, AT, &number));
	ck_assert_uint_eq(sleeps, 1);
	ck_assert_uint_eq(calls_of_handler, 1);
	close_later();
}
END_TEST

static void
answer_and_evict(void)
{
	see_map(asked_for, asked_for - IOVA, PAGE, RW);
	see_map(IOVA + 0x40 * PAGE, 0, PAGE, RW);
	see_map(IOVA + 0x50 * PAGE, 0, PAGE, RW);
}

/*
 * An answer that came while it was being asked for, and had to go for others,
 * does not come once more: the question is asked again.
 */
START_TEST(evicted_meanwhile)
{
	open_with(true, 2);
	see_map(IOVA + 0x20 * PAGE, 0, PAGE, RW);
	see_map(IOVA + 0x30 * PAGE, 0, PAGE, RW);
	meanwhile = answer_and_evict;
	assert_ok(vmmem_collection_read_u64(see.map, AT, &number));
	ck_assert_uint_eq(calls_of_handler, 2);
	ck_assert_uint_eq(sleeps, 1);
	close_later();
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iommu_waits");
	TCase *tcase = tcase_create("iommu_waits");
	const int last = (int)ARRAY_LEN(calls);

	tcase_add_loop_test(tcase, answered, 0, 2 * last);
	tcase_add_loop_test(tcase, not_answered, 0, last);
	tcase_add_loop_test(tcase, the_second_not_answered, 0, last);
	tcase_add_test(tcase, others_are_answered);
	tcase_add_test(tcase, others_are_evicted);
	tcase_add_test(tcase, others_are_answered_meanwhile);
	tcase_add_test(tcase, evicted_meanwhile);
	suite_add_tcase(suite, tcase);
	return suite;
}
