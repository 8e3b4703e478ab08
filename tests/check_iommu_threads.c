/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * An iommu under threads: what is promised of changes, and what comes in
 * between.  ThreadSanitizer sees that what synchronizing promises holds for
 * memory too: pages are written plainly once it has returned.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "iommus.h"
#include "suite.h"

#define READERS 3
#define PAGE UINT64_C(0x1000)

static long
rounds(long most)
{
	const char *scale = getenv("VMMEM_TEST_SCALE");
	long divisor = scale != NULL ? strtol(scale, NULL, 10) : 1;

	return divisor > 1 ? most / divisor + 1 : most;
}

static atomic_int stop;
static atomic_long accesses;

static void
start_threads(pthread_t *threads, int count, void *(*run)(void *))
{
	int i;

	atomic_store(&stop, 0);
	atomic_store(&accesses, 0);
	for (i = 0; i < count; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run,
						(void *)(intptr_t)i),
				 0);
}

static void
join_threads(pthread_t *threads, int count)
{
	int i;

	atomic_store(&stop, 1);
	for (i = 0; i < count; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

/* Waits until there were 'more' accesses from now on. */
static void
let_run(long more)
{
	long now = atomic_load(&accesses);

	while (atomic_load(&accesses) < now + more)
		sched_yield();
}

/* ---- pages are given back ------------------------------------------------ */

static void *
write_one_page(void *unused)
{
	uint8_t bytes[0x100];
	uint64_t i = 0;
	int rc;

	(void)unused;
	memset(bytes, 0xee, sizeof(bytes));
	while (!atomic_load(&stop)) {
		i = (i + 0x40) % 0xf00;
		rc = i % 0x80 == 0 ?
			     vmmem_collection_write_u64(see.map, IOVA + i, 1) :
			     vmmem_collection_write(see.map, IOVA + i, bytes,
						    sizeof(bytes), NULL);
		if (rc != 0 && rc != VMMEM_EIOMMUMISS)
			abort();
		atomic_fetch_add(&accesses, 1);
	}
	return NULL;
}

/*
 * Once synchronizing has returned, nobody writes to the page that was unmapped:
 * its bytes are looked at and written without any care.
 */
START_TEST(pages_come_back)
{
	uint64_t round, last = (uint64_t)rounds(2000);
	pthread_t threads[READERS];
	uint8_t *page;

	see_map(IOVA, 0, PAGE, RW);
	start_threads(threads, READERS, write_one_page);
	for (round = 0; round < last; round++) {
		page = host_of(see.physical, round % 8 * PAGE);
		assert_ok(vmmem_iotlb_unmap(see.iotlb, IOVA, PAGE));
		assert_ok(vmmem_iotlb_synchronize(see.iotlb, VMMEM_FOREVER));
		memset(page, 0x11, PAGE);
		if (round % 16 == 0)
			let_run(10);
		ck_assert(all_are(page, 0x11, PAGE));
		see_map(IOVA, (round + 1) % 8 * PAGE, PAGE, RW);
		if (round % 16 == 0)
			let_run(10);
	}
	join_threads(threads, READERS);
}
END_TEST

/* ---- changes are seen ---------------------------------------------------- */

static atomic_int turn;

static void *
must_see(void *unused)
{
	long round, last = rounds(3000);
	uint8_t byte;

	(void)unused;
	for (round = 0; round < last; round++) {
		while (atomic_load(&turn) != 1)
			sched_yield();
		if (vmmem_collection_read_u8(see.map, IOVA + 5, &byte) !=
		    VMMEM_EIOMMUMISS)
			abort();
		atomic_store(&turn, 2);
		while (atomic_load(&turn) != 3)
			sched_yield();
		if (vmmem_collection_read_u8(see.map, IOVA + 5, &byte) != 0)
			abort();
		atomic_store(&turn, 0);
	}
	return NULL;
}

/* An access that begins after a change has returned sees it. */
START_TEST(changes_are_seen)
{
	long round, last = rounds(3000);
	pthread_t thread;

	atomic_store(&turn, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, must_see, NULL), 0);
	for (round = 0; round < last; round++) {
		while (atomic_load(&turn) != 0)
			sched_yield();
		assert_ok(vmmem_iotlb_unmap(see.iotlb, IOVA, PAGE));
		atomic_store(&turn, 1);
		while (atomic_load(&turn) != 2)
			sched_yield();
		see_map(IOVA, 0, PAGE, RW);
		atomic_store(&turn, 3);
	}
	pthread_join(thread, NULL);
}
END_TEST

/* ---- one mapping replaces another ---------------------------------------- */

static void *
read_either(void *unused)
{
	uint64_t value, at = 0;

	(void)unused;
	while (!atomic_load(&stop)) {
		at = (at + 0x38) % (4 * PAGE - 8);
		if (vmmem_collection_read_u64(see.map, IOVA + at, &value) != 0)
			abort();
		if (value != 0x1111111111111111 && value != 0x2222222222222222 &&
		    (at % PAGE <= PAGE - 8))
			abort();
		atomic_fetch_add(&accesses, 1);
	}
	return NULL;
}

/*
 * Mapping over what is there has the old or the new, and never neither; while
 * other entries come and go around it.
 */
START_TEST(replaced_in_one_step)
{
	long round, last = rounds(20000);
	pthread_t threads[READERS];

	see_close();
	see_open(4096, NULL);
	assert_ok(vmmem_collection_fill(see.physical, 0, HALF, 0x11, NULL));
	assert_ok(vmmem_collection_fill(see.physical, HALF, HALF, 0x22, NULL));
	see_map(IOVA, 0, 4 * PAGE, RW);
	start_threads(threads, READERS, read_either);
	for (round = 0; round < last; round++) {
		uint64_t page = (uint64_t)round * 7 % 4 * PAGE;
		uint64_t other = (uint64_t)round * 131 % 200 * PAGE;

		see_map(IOVA + page, round % 2 == 0 ? HALF + page : page, PAGE,
			RW);
		/* Before and behind. */
		see_map(other, 0, 0x800, RW);
		see_map(IOVA + 0x10000 + other, 0, 0x800, RW);
		if (round % 3 == 0)
			assert_ok(vmmem_iotlb_unmap(see.iotlb, 0, other));
	}
	join_threads(threads, READERS);
}
END_TEST

/* ---- entries that stay, among others that do not ------------------------- */

#define STAY 15

static void *
find_those_that_stay(void *number)
{
	uint64_t at = (uint64_t)(uintptr_t)number;
	struct vmmem_iotlb_piece piece;
	size_t count;

	while (!atomic_load(&stop)) {
		at = (at * 29 + 7) % STAY;
		if (vmmem_iotlb_lookup(see.iotlb, 4 * at * PAGE + at, 8, RW,
				       &piece, 1, &count) != 0 ||
		    count != 1 || piece.gpa != at * PAGE * 3 + at ||
		    piece.access != RW)
			abort();
		atomic_fetch_add(&accesses, 1);
	}
	return NULL;
}

/* Whatever is added and removed between them, they are found as they are. */
START_TEST(found_among_changes)
{
	uint64_t round, last = (uint64_t)rounds(200000), at = 1;
	pthread_t threads[READERS];

	see_close();
	see_open(4096, NULL);
	for (round = 0; round < STAY; round++)
		see_map(4 * round * PAGE, 3 * round * PAGE, PAGE, RW);
	start_threads(threads, READERS, find_those_that_stay);
	for (round = 0; round < last; round++) {
		at = (at * 1103515245 + 12345) % STAY;
		if (round % 2 == 0)
			see_map((4 * at + 2) * PAGE, at, 0x800, R);
		else
			assert_ok(vmmem_iotlb_unmap(see.iotlb,
						    (4 * at + 2) * PAGE,
						    0x800));
		if (round % 8192 == 0)
			let_run(20);
	}
	join_threads(threads, READERS);
}
END_TEST

/* ---- the switch ---------------------------------------------------------- */

static void *
read_both_ways(void *unused)
{
	uint64_t value, at = 0;
	int rc;

	(void)unused;
	while (!atomic_load(&stop)) {
		at = (at + 0x18) % (PAGE - 8);
		rc = vmmem_collection_read_u64(see.map, at & ~UINT64_C(7),
					       &value);
		if (rc != 0 || (value != 0x1111111111111111 &&
				value != 0x2222222222222222))
			abort();
		rc = vmmem_collection_check(see.map, at, 8, RW, NULL);
		if (rc != 0)
			abort();
		atomic_fetch_add(&accesses, 1);
	}
	return NULL;
}

START_TEST(switched_while_running)
{
	long round, last = rounds(3000);
	pthread_t threads[READERS];

	assert_ok(vmmem_collection_fill(see.physical, 0, HALF, 0x11, NULL));
	assert_ok(vmmem_collection_fill(see.physical, HALF, HALF, 0x22, NULL));
	see_map(0, HALF, PAGE, RW);
	start_threads(threads, READERS, read_both_ways);
	for (round = 0; round < last; round++) {
		assert_ok(vmmem_iommu_set_enabled(see.iommu,
						  (int)(round % 2)));
		if (round % 64 == 0)
			let_run(20);
	}
	join_threads(threads, READERS);
}
END_TEST

/* ---- sections ------------------------------------------------------------ */

/* More than have a slot of their own. */
#define MANY 160
static atomic_int entered, left, leave;

static void *
stay(void *unused)
{
	uint64_t section = vmmem_iotlb_enter(see.iotlb);
	struct vmmem_slice slice;

	(void)unused;
	if (vmmem_collection_slice(see.map, IOVA, 8, R, &slice) != 0)
		abort();
	atomic_fetch_add(&entered, 1);
	while (!atomic_load(&leave))
		sched_yield();
	atomic_fetch_add(&left, 1);
	vmmem_iotlb_leave(see.iotlb, section);
	return NULL;
}

static void *
synchronize(void *unused)
{
	(void)unused;
	if (vmmem_iotlb_synchronize(see.iotlb, VMMEM_FOREVER) != 0)
		abort();
	/* Each was about to leave, at least. */
	return (void *)(intptr_t)atomic_load(&left);
}

START_TEST(synchronizing_waits_for_all)
{
	static pthread_t threads[MANY];
	long round, last = rounds(20);
	pthread_t thread;
	void *seen;
	int i;

	see_map(IOVA, 0, PAGE, RW);
	for (round = 0; round < last; round++) {
		atomic_store(&entered, 0);
		atomic_store(&left, 0);
		atomic_store(&leave, 0);
		for (i = 0; i < MANY; i++)
			ck_assert_int_eq(pthread_create(&threads[i], NULL,
							stay, NULL),
					 0);
		while (atomic_load(&entered) != MANY)
			sched_yield();
		ck_assert_int_eq(pthread_create(&thread, NULL, synchronize,
						NULL),
				 0);
		atomic_store(&leave, 1);
		for (i = 0; i < MANY; i++)
			pthread_join(threads[i], NULL);
		pthread_join(thread, &seen);
		ck_assert_int_eq((intptr_t)seen, MANY);
	}
}
END_TEST

/* ---- signals and fork ---------------------------------------------------- */

static void
read_in_handler(int number)
{
	uint64_t value;

	(void)number;
	if (vmmem_collection_read_u64(see.map, IOVA + 0x100, &value) != 0 ||
	    value != 0x1111111111111111)
		abort();
	atomic_fetch_add(&accesses, 1);
}

static pthread_t changer;

static void *
send_signals(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop)) {
		long now = atomic_load(&accesses);

		pthread_kill(changer, SIGUSR1);
		while (atomic_load(&accesses) == now && !atomic_load(&stop))
			sched_yield();
	}
	return NULL;
}

/* A handler that interrupts a change, or an access, makes accesses itself. */
START_TEST(access_in_a_signal_handler)
{
	struct sigaction action = { .sa_handler = read_in_handler };
	long round, last = rounds(20000);
	pthread_t thread;
	uint8_t bytes[64];

	assert_ok(vmmem_collection_fill(see.physical, 0, HALF, 0x11, NULL));
	see_map(IOVA, 0, PAGE, RW);
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	changer = pthread_self();
	start_threads(&thread, 1, send_signals);
	for (round = 0; round < last || atomic_load(&accesses) < 10; round++) {
		see_map(IOVA + 2 * PAGE, 0, PAGE, RW);
		assert_ok(vmmem_collection_read(see.map, IOVA + 0xfe0, bytes,
						32, NULL));
		assert_ok(vmmem_iotlb_unmap(see.iotlb, IOVA + 2 * PAGE, PAGE));
		assert_ok(vmmem_iotlb_synchronize(see.iotlb, VMMEM_FOREVER));
	}
	join_threads(&thread, 1);
}
END_TEST

START_TEST(fork_inherits)
{
	uint64_t value = 0;
	int status;
	pid_t child;

	see_map(IOVA, 0, PAGE, RW);
	assert_ok(vmmem_collection_write_u64(see.map, IOVA, 1));
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		int good;

		good = vmmem_collection_read_u64(see.map, IOVA, &value) == 0 &&
		       value == 1 &&
		       vmmem_iotlb_map(see.iotlb, IOVA, PAGE, PAGE, RW) == 0 &&
		       vmmem_iotlb_synchronize(see.iotlb, VMMEM_FOREVER) == 0 &&
		       vmmem_collection_write_u64(see.map, IOVA, 2) == 0 &&
		       vmmem_iommu_set_enabled(see.iommu, 0) == 0;
		see_close();
		_exit(good ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_ok(vmmem_collection_read_u64(see.map, IOVA, &value));
	ck_assert_uint_eq(value, 1);
}
END_TEST

/* No handler: what is missing is refused. */
static void
setup(void)
{
	const struct vmmem_iommu_options options = { .size = sizeof(options) };

	see_open(64, &options);
}

Suite *
make_suite(void)
{
	Suite *suite = suite_create("iommu_threads");
	TCase *tcase = tcase_create("iommu_threads");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, see_teardown);
	tcase_add_test(tcase, pages_come_back);
	tcase_add_test(tcase, changes_are_seen);
	tcase_add_test(tcase, replaced_in_one_step);
	tcase_add_test(tcase, found_among_changes);
	tcase_add_test(tcase, switched_while_running);
	tcase_add_test(tcase, synchronizing_waits_for_all);
	tcase_add_test(tcase, access_in_a_signal_handler);
	tcase_add_test(tcase, fork_inherits);
	suite_add_tcase(suite, tcase);
	return suite;
}
