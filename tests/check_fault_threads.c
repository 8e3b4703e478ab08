/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Eight threads copy while another truncates and extends the file behind the
 * region, and while the process has faults of its own, which its own handler
 * gets.  Nothing dies, counts are right, and the region has been told.
 *
 * VMMEM_TEST_SCALE in the environment divides the number of rounds.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "guest.h"
#include "rng.h"
#include "slices.h"
#include "suite.h"

#define THREADS 8
#define ROUNDS 10000

/* The memory that comes and goes, and some that stays, in two regions. */
#define GPA UINT64_C(0x10000)
#define LEN UINT64_C(0x10000)
#define SAFE UINT64_C(0x20000)
#define MOST 0x2800

static struct vmmem_region *region;
static struct vmmem_collection *map;
static struct vmmem_slice slice;
static atomic_bool stop;
static atomic_ulong own_faults, own_calls, faults[THREADS];
static uint64_t seed;
static int fd;

static _Thread_local sigjmp_buf out;
static _Thread_local const volatile uint8_t *expected;

const char *
skip_reason(void)
{
	if (vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS);
	return NULL;
}

/* The handler of the process.  Whatever else comes here is a failure. */
static void
on_bus(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (expected == NULL || info->si_addr != (const void *)(uintptr_t)
							expected)
		_exit(99);
	atomic_fetch_add(&own_calls, 1);
	siglongjmp(out, 1);
}

/* Bytes that were moved are zeros, or of 'value'. */
static void
expect_moved(const uint8_t *buf, size_t done, uint8_t value)
{
	size_t i;

	for (i = 0; i < done; i++)
		EXPECT(buf[i] == 0 || buf[i] == value);
}

/* What came of an access of 'len' bytes, of which 'done' were moved. */
static int
outcome(int rc, uint64_t done, uint64_t len)
{
	if (rc == 0)
		EXPECT(done == len);
	else
		EXPECT(rc == VMMEM_EGONE && done < len);
	return rc != 0;
}

static int
access_once(struct rng *rng, uint8_t *buf)
{
	const uint64_t len = 1 + rng_below(rng, MOST);
	const uint64_t offset = rng_below(rng, LEN - len);
	const uint64_t aligned = offset & ~UINT64_C(7);
	const uint64_t gpa = GPA + offset;
	uint64_t count = 0, value = 0;
	size_t done = 0;
	int rc;

	switch (rng_below(rng, 12)) {
	case 0:
		memset(buf, 0x77, len);
		rc = vmmem_collection_read(map, gpa, buf, len, &done);
		expect_moved(buf, done, 0x11);
		return outcome(rc, done, len);
	case 1:
		memset(buf, 0x11, len);
		rc = vmmem_collection_write(map, gpa, buf, len, &done);
		return outcome(rc, done, len);
	case 2:
		rc = vmmem_collection_fill(map, gpa, len, 0x11, &count);
		return outcome(rc, count, len);
	case 3:
		rc = vmmem_collection_copy(map, SAFE + rng_below(rng, 64), gpa,
					   len, &count);
		return outcome(rc, count, len);
	case 4:
		rc = vmmem_collection_copy(map, gpa, SAFE + rng_below(rng, 64),
					   len, &count);
		return outcome(rc, count, len);
	case 5:
		rc = vmmem_collection_copy(map, gpa, GPA + rng_below(rng, LEN -
								     len),
					   len, &count);
		return outcome(rc, count, len);
	case 6:
		rc = vmmem_collection_read_u64(map, gpa, &value);
		return outcome(rc, rc == 0, 1);
	case 7:
		rc = vmmem_collection_fetch_or_u64(
			map, GPA + aligned, UINT64_C(0x1111111111111111),
			VMMEM_ORDER_RELAXED, &value);
		return outcome(rc, rc == 0, 1);
	case 8:
		rc = vmmem_slice_write_some(&slice, offset, memset(buf, 0x11,
								   len),
					    len, &done);
		return outcome(rc, done, len);
	case 9:
		memset(buf, 0x77, len);
		rc = vmmem_slice_read_some(&slice, offset, buf, len, &done);
		expect_moved(buf, done, 0x11);
		return outcome(rc, done, len);
	case 10:
		rc = vmmem_slice_compare_exchange_u32(
			&slice, aligned, 0, 0x11111111, VMMEM_ORDER_SEQ_CST,
			VMMEM_ORDER_RELAXED, (uint32_t *)(void *)buf);
		return outcome(rc, rc == 0, 1);
	default:
		rc = vmmem_slice_write_le32(&slice, offset & ~UINT64_C(3),
					    0x11111111);
		return outcome(rc, rc == 0, 1);
	}
}

static void *
copy(void *argument)
{
	const unsigned int self = (unsigned int)(uintptr_t)argument;
	struct rng rng = { seed + self };
	_Alignas(8) uint8_t buf[MOST + 64];

	while (!atomic_load(&stop))
		if (access_once(&rng, buf))
			atomic_fetch_add(&faults[self], 1);
	return NULL;
}

/* Faults of the process's own, in a file that is always too short. */
static void *
fault(void *argument)
{
	const int file = file_of(page_size());
	volatile uint8_t *host;

	(void)argument;
	host = mmap(NULL, 2 * page_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
		    file, 0);
	EXPECT((void *)(uintptr_t)host != MAP_FAILED);
	while (!atomic_load(&stop)) {
		expected = host + page_size();
		if (sigsetjmp(out, 1) == 0) {
			(void)*expected;
			ck_abort_msg("a fault of our own was lost");
		}
		expected = NULL;
		atomic_fetch_add(&own_faults, 1);
		sched_yield();
	}
	munmap((void *)(uintptr_t)host, 2 * page_size());
	close(file);
	return NULL;
}

static void
resize(uint64_t len)
{
	EXPECT(ftruncate(fd, (off_t)len) == 0);
}

/* Once each thread has had one more, and the process one of its own. */
static void
wait_for_all(void)
{
	unsigned long before[THREADS], own = atomic_load(&own_faults);
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		before[i] = atomic_load(&faults[i]);
	for (i = 0; i < THREADS; i++)
		while (atomic_load(&faults[i]) == before[i])
			sched_yield();
	while (atomic_load(&own_faults) == own)
		sched_yield();
}

START_TEST(truncated)
{
	const uint64_t rounds = rng_rounds(ROUNDS), pages = LEN / page_size();
	const struct sigaction action = {
		.sa_sigaction = on_bus,
		.sa_flags = SA_SIGINFO,
	};
	struct vmmem_region *regions[2];
	pthread_t threads[THREADS + 1];
	unsigned long all = 0;
	struct rng rng;
	uint64_t round, offset;
	uint32_t kind;
	unsigned int i;

	seed = rng_seed();
	printf("seed %#jx\n", (uintmax_t)seed);
	rng.state = seed - 1;
	fd = file_of(LEN);
	assert_ok(vmmem_region_new_file(GPA, LEN, fd, 0, &region));
	regions[0] = vmmem_region_ref(region);
	regions[1] = region_of(SAFE, LEN);
	map = guest_of(regions, 2);
	slice = slice_of(region, 0, LEN);
	assert_ok(vmmem_collection_fill(map, SAFE, LEN, 0x11, NULL));
	ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
	assert_ok(vmmem_fault_enable(VMMEM_FAULT_SIGNAL_BUS));

	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, copy,
						(void *)(uintptr_t)i), 0);
	ck_assert_int_eq(pthread_create(&threads[i], NULL, fault, NULL), 0);
	for (round = 0; round < rounds; round++) {
		resize(rng_below(&rng, pages) * page_size());
		if (round % 256 == 0)
			wait_for_all();
		resize(LEN);
	}
	atomic_store(&stop, true);
	for (i = 0; i <= THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);

	/* One failure may be several faults. */
	for (i = 0; i < THREADS; i++)
		all += atomic_load(&faults[i]);
	ck_assert_uint_ge(vmmem_region_fault_count(region), all);
	ck_assert_uint_eq(atomic_load(&own_calls), atomic_load(&own_faults));
	assert_ok(vmmem_region_fault_last(region, &offset, &kind));
	ck_assert_uint_eq(kind, VMMEM_FAULT_KIND_BACKING);
	ck_assert_uint_lt(offset, LEN);
	printf("%lu faults survived, %lu of our own\n", all,
	       atomic_load(&own_calls));

	/* All is there, and can be used, without a trace. */
	assert_ok(vmmem_collection_fill(map, GPA, LEN, 0x22, NULL));
	assert_ok(vmmem_fault_disable(VMMEM_FAULT_SIGNAL_BUS));
	vmmem_collection_unref(map);
	vmmem_region_unref(region);
	close(fd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault threads");
	TCase *tcase = tcase_create("truncated");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, truncated);
	suite_add_tcase(suite, tcase);
	return suite;
}
