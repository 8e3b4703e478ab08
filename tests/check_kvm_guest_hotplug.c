/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Memory that comes and goes under a running guest, on the real KVM.  What is
 * plugged in is memory to the guest, what is not is an exit, and nothing else
 * is; and host threads that read meanwhile see whole maps of memory that is
 * there.
 */
#include <stdio.h>

#include "end_kvm.h"
#include "suite.h"

#ifdef __x86_64__

#include <sched.h>
#include <sys/wait.h>

#include "kvm/hotplug_guest.h"
#include "kvm/hotplug_layout.h"
#include "kvm/vcpu.h"
#include "kvm/windows.h"
#include "rng.h"

#include <vmmem/kvm.h>

#define READERS 4

struct window {
	struct vmmem_region *region; /* what is plugged in, or NULL */
	uint32_t lap;		     /* the guest's, before that */

	/*
	 * Odd while memory may be missing: from before it is taken out until
	 * after it was plugged in.
	 */
	atomic_uint change;
	atomic_uint exits; /* of the guest here */
};

static struct machine {
	struct vm vm;
	struct vcpu vcpu;
	struct vmmem_space *space;
	struct vmmem_kvm *kvm;
	struct vmmem_reader *reader; /* the writer's */
	struct window windows[WINDOWS];
	struct stamp stamp;

	/* The number of the last map whose commit returned. */
	atomic_uint published;
	atomic_bool stop;
} machine;

const char *
skip_reason(void)
{
	return vm_missing(0, NULL);
}

static void
open_machine(void)
{
	struct vmmem_collection *map;
	struct vmmem_region *regions[2];

	memset(&machine, 0, sizeof(machine));
	machine.stamp.map = 1;
	pool_open();
	regions[0] = region_of(0, RAM_LEN);
	regions[1] = stamp_region(&machine.stamp);
	map = guest_of(regions, 2);
	assert_ok(vmmem_collection_write(map, PROGRAM, hotplug_guest,
					 sizeof(hotplug_guest), NULL));
	assert_ok(vmmem_space_new(map, NULL, &machine.space));
	vmmem_collection_unref(map);
	assert_ok(vmmem_reader_new(machine.space, NULL, &machine.reader));

	vm_open(&machine.vm);
	assert_ok(vmmem_kvm_new(machine.space, machine.vm.fd, NULL,
				&machine.kvm));
	for (unsigned int i = 0; i < WINDOWS; i++)
		atomic_store(&machine.windows[i].change, 1);
	vcpu_open(&machine.vm, 0, &machine.vcpu);
	vcpu_reset(&machine.vcpu, PROGRAM, 0, 0);
}

static void
close_machine(void)
{
	vcpu_close(&machine.vcpu);
	end_kvm(machine.kvm);
	vm_close(&machine.vm);
	for (unsigned int i = 0; i < WINDOWS; i++)
		vmmem_region_unref(machine.windows[i].region);
	vmmem_reader_free(machine.reader);
	ck_assert_ptr_null(vmmem_space_unref(machine.space));
	pool_close();
}

static uint32_t
guest_u32(uint64_t gpa)
{
	uint32_t value;

	NEED_OK(vmmem_reader_load_u32(machine.reader, gpa, VMMEM_ORDER_ACQUIRE,
				      &value));
	return value;
}

static size_t
plugged(void)
{
	size_t count = 0;

	for (unsigned int i = 0; i < WINDOWS; i++)
		count += machine.windows[i].region != NULL;
	return count;
}

/*
 * Makes of the windows that are in the set 'touched' what the set 'present'
 * says, in one update: what is there goes, if need be in exchange for another.
 * 'ret_old' gets what went.
 */
static void
change_windows(unsigned int touched, unsigned int present,
	       struct vmmem_region *ret_old[WINDOWS])
{
	struct vmmem_update *update;
	struct vmmem_region *stamp;

	/* Readers that were long in a section kept blocks from coming back. */
	if (pool_count() < WINDOWS)
		assert_ok(vmmem_space_synchronize(machine.space, VMMEM_FOREVER));
	machine.stamp.map++;
	assert_ok(vmmem_update_new(machine.space, VMMEM_FOREVER, &update));
	for (unsigned int i = 0; i < WINDOWS; i++) {
		struct window *window = &machine.windows[i];

		ret_old[i] = NULL;
		if ((touched & 1U << i) == 0)
			continue;
		if (window->region != NULL) {
			atomic_fetch_add(&window->change, 1);
			assert_ok(vmmem_update_remove(update, WINDOW_GPA(i),
						      WINDOW_LEN,
						      &ret_old[i]));
			ck_assert_ptr_eq(ret_old[i], window->region);
			window->region = vmmem_region_unref(window->region);
		}
		machine.stamp.serial[i] = 0;
		if ((present & 1U << i) != 0) {
			window->lap = guest_u32(LAP);
			window->region = window_region(i, machine.stamp.map);
			machine.stamp.serial[i] = machine.stamp.map;
			assert_ok(vmmem_update_insert(update, window->region));
		}
	}
	stamp = stamp_region(&machine.stamp);
	assert_ok(vmmem_update_remove(update, STAMP_GPA, STAMP_LEN, NULL));
	assert_ok(vmmem_update_insert(update, stamp));
	vmmem_region_unref(stamp);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);

	atomic_store(&machine.published, machine.stamp.map);
	for (unsigned int i = 0; i < WINDOWS; i++)
		if ((touched & present & 1U << i) != 0)
			atomic_fetch_add(&machine.windows[i].change, 1);
	ck_assert_uint_eq(vmmem_kvm_slot_count(machine.kvm), 1 + plugged());
}

/* The next exit must be an access to this address. */
static void
expect_mmio(uint64_t gpa, bool is_write, uint32_t value)
{
	struct kvm_run *run = machine.vcpu.run;

	ck_assert_uint_eq(vcpu_run(&machine.vcpu), KVM_EXIT_MMIO);
	ck_assert_uint_eq(run->mmio.phys_addr, gpa);
	ck_assert_uint_eq(run->mmio.is_write, is_write);
	ck_assert_uint_eq(run->mmio.len, sizeof(uint32_t));
	if (is_write)
		ck_assert_uint_eq(vcpu_mmio_value(&machine.vcpu), value);
}

/*
 * One lap at a time: the guest exits where nothing is plugged in, and there
 * only, and what it writes elsewhere is found in the region.
 */
START_TEST(each_exit_is_where_nothing_is)
{
	const uint16_t tell = 1;
	struct rng rng = { rng_seed() };
	uint32_t counts[WINDOWS] = { 0 };
	uint64_t laps = rng_rounds(1000);

	printf("seed %#llx\n", (unsigned long long)rng.state);
	open_machine();
	assert_ok(vmmem_reader_write(machine.reader, TELL, &tell, sizeof(tell),
				     NULL));
	for (uint32_t lap = 1; lap <= laps; lap++) {
		unsigned int touched = (unsigned int)rng_below(&rng, 16);
		unsigned int present = (unsigned int)rng_below(&rng, 16);
		struct vmmem_region *old[WINDOWS];

		change_windows(touched, present, old);
		for (unsigned int i = 0; i < WINDOWS; i++) {
			vmmem_region_unref(old[i]);
			if ((touched & 1U << i) != 0)
				counts[i] = 0;
		}
		for (unsigned int i = 0; i < WINDOWS; i++) {
			if (machine.windows[i].region != NULL)
				continue;
			/* The store, then what increments all ones. */
			expect_mmio(WINDOW_GPA(i) + WINDOW_LAP, true, lap);
			expect_mmio(WINDOW_GPA(i) + WINDOW_COUNT, false, 0);
			expect_mmio(WINDOW_GPA(i) + WINDOW_COUNT, true, 0);
		}
		ck_assert_uint_eq(vcpu_run(&machine.vcpu), KVM_EXIT_IO);
		ck_assert_uint_eq(machine.vcpu.run->io.port, REPORT_PORT);
		ck_assert_uint_eq(vcpu_port_value(&machine.vcpu), lap);
		for (unsigned int i = 0; i < WINDOWS; i++) {
			if (machine.windows[i].region == NULL)
				continue;
			counts[i]++;
			ck_assert_uint_eq(guest_u32(WINDOW_GPA(i) +
						    WINDOW_LAP),
					  lap);
			ck_assert_uint_eq(guest_u32(WINDOW_GPA(i) +
						    WINDOW_COUNT),
					  counts[i]);
		}
	}
	close_machine();
}
END_TEST

/* The vCPU's thread.  An exit is an error where memory was all the time. */
static void *
run_guest(void *opaque)
{
	struct vcpu *vcpu = &machine.vcpu;
	unsigned int before[WINDOWS];
	uint32_t reason;

	(void)opaque;
	for (;;) {
		uint64_t gpa;
		unsigned int i;

		/* Sequentially consistent, as the changes: before KVM_RUN. */
		for (i = 0; i < WINDOWS; i++)
			before[i] = atomic_load(&machine.windows[i].change);
		reason = vcpu_run(vcpu);
		if (reason == VCPU_STOPPED)
			return NULL;
		if (reason == KVM_EXIT_IO) {
			NEED(vcpu->run->io.port == REPORT_PORT, "port %x",
			     vcpu->run->io.port);
			continue;
		}
		NEED(reason == KVM_EXIT_MMIO, "KVM exit reason %u", reason);
		gpa = vcpu->run->mmio.phys_addr;
		for (i = 0; i < WINDOWS; i++)
			if (gpa == WINDOW_GPA(i) + WINDOW_LAP ||
			    gpa == WINDOW_GPA(i) + WINDOW_COUNT)
				break;
		NEED(i < WINDOWS, "an exit at %#llx, which is RAM",
		     (unsigned long long)gpa);
		NEED(before[i] % 2 == 1 ||
			     before[i] !=
				     atomic_load(&machine.windows[i].change),
		     "an exit in window %u, where memory is", i);
		atomic_fetch_add(&machine.windows[i].exits, 1);
	}
}

/* A device's thread: reads, and writes to a word of its own in each window. */
static void *
read_maps(void *opaque)
{
	const uintptr_t number = (uintptr_t)opaque;
	struct rng rng = { number };
	struct vmmem_collection *kept = NULL;
	struct vmmem_reader *reader;
	uint32_t last = 0, kept_map = 0;

	assert_ok(vmmem_reader_new(machine.space, NULL, &reader));
	for (uint32_t turn = 1; !atomic_load(&machine.stop); turn++) {
		uint32_t floor = atomic_load(&machine.published);
		struct vmmem_collection *map = vmmem_reader_enter(reader);
		uint32_t seen = expect_whole(map, rng_next(&rng));

		NEED(seen >= floor, "map %u, but %u was there", seen, floor);
		NEED(seen >= last, "map %u after map %u", seen, last);
		last = seen;
		for (unsigned int i = 0; i < WINDOWS; i++) {
			uint64_t gpa = WINDOW_GPA(i) + WINDOW_HOST +
				       number * sizeof(uint32_t);
			uint32_t back = 0;
			int rc = vmmem_collection_write_u32(map, gpa, turn);

			if (rc == VMMEM_EBADADDR)
				continue;
			NEED_OK(rc);
			NEED_OK(vmmem_collection_read_u32(map, gpa, &back));
			NEED(back == turn, "%u, not %u", back, turn);
		}
		/* At times it is long in it, and what it sees stays. */
		if (turn % 8 == 0) {
			sched_yield();
			NEED(expect_whole(map, rng_next(&rng)) == seen,
			     "the map changed within a section");
		}
		vmmem_reader_leave(reader);

		/* One of them holds on to a map for long. */
		if (number == 1 && turn % 64 == 0) {
			if (kept != NULL)
				NEED(expect_whole(kept, rng_next(&rng)) ==
					     kept_map,
				     "a map that is held changed");
			vmmem_collection_unref(kept);
			kept = vmmem_space_get(machine.space);
			kept_map = expect_whole(kept, rng_next(&rng));
		}
		sched_yield();
	}
	vmmem_collection_unref(kept);
	vmmem_reader_free(reader);
	return NULL;
}

/*
 * Waits until the guest has done a whole lap, and looks whether it wrote where
 * memory is and exited where none is.
 */
static void
expect_lap(void)
{
	unsigned int exits[WINDOWS];
	uint32_t lap;

	/* Before the lap: those of the next one are certain to come after. */
	for (unsigned int i = 0; i < WINDOWS; i++)
		exits[i] = atomic_load(&machine.windows[i].exits);
	lap = guest_u32(LAP);
	while (guest_u32(LAP) - lap < 2)
		sched_yield();
	for (unsigned int i = 0; i < WINDOWS; i++) {
		if (machine.windows[i].region != NULL)
			ck_assert_uint_gt(guest_u32(WINDOW_GPA(i) + WINDOW_LAP),
					  lap);
		else
			ck_assert_uint_ne(
				atomic_load(&machine.windows[i].exits),
				exits[i]);
	}
}

/*
 * What a child may do that was forked in the midst of it: its map is whole, it
 * changes it and gives all back, and KVM is the parent's.
 */
static int
be_a_child(void)
{
	struct vmmem_collection *map;

	vmmem_space_after_fork_child(machine.space);
	map = vmmem_space_get(machine.space);
	expect_whole(map, 0);
	vmmem_collection_unref(map);
	if (vmmem_kvm_log_collect(machine.kvm, NULL) != VMMEM_EFORKED)
		return 1;
	for (unsigned int i = 0; i < WINDOWS; i++)
		if (machine.windows[i].region != NULL &&
		    vmmem_space_remove(machine.space, WINDOW_GPA(i), WINDOW_LEN,
				       NULL) != 0)
			return 2;
	if (vmmem_space_synchronize(machine.space, VMMEM_FOREVER) != 0)
		return 3;
	if (vmmem_kvm_stop(machine.kvm) != 0)
		return 4;
	vmmem_kvm_free(machine.kvm);
	return 0;
}

static void
expect_child(void)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(be_a_child());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "status %#x of the child", (unsigned int)status);
}

/* Each change is several system calls: more than these take too long. */
#define MOST_CHANGES 50000

START_TEST(nobody_notices)
{
	uint64_t changes = rng_rounds(10000);
	struct rng rng = { rng_seed() };
	pthread_t guest, readers[READERS];

	printf("seed %#llx\n", (unsigned long long)rng.state);
	fflush(stdout); /* before anybody forks */
	changes = changes < MOST_CHANGES ? changes : MOST_CHANGES;
	open_machine();
	ck_assert_int_eq(pthread_create(&guest, NULL, run_guest, NULL), 0);
	for (uintptr_t i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&readers[i], NULL, read_maps,
						(void *)i),
				 0);

	for (uint64_t change = 0; change < changes; change++) {
		unsigned int touched = (unsigned int)(1 + rng_below(&rng, 15));
		unsigned int present = (unsigned int)rng_below(&rng, 16);
		bool look = rng_chance(&rng, 10);
		struct vmmem_region *old[WINDOWS];
		uint32_t serials[WINDOWS], laps[WINDOWS], last;

		for (unsigned int i = 0; i < WINDOWS; i++) {
			serials[i] = machine.stamp.serial[i];
			laps[i] = machine.windows[i].lap;
		}
		change_windows(touched, present, old);
		last = guest_u32(LAP);
		if (rng_chance(&rng, 1))
			expect_child();
		if (look) {
			expect_lap();
			assert_ok(vmmem_space_synchronize(machine.space, VMMEM_FOREVER));
		}
		for (unsigned int i = 0; i < WINDOWS; i++) {
			if (look && old[i] != NULL)
				expect_window(old[i], i, serials[i], laps[i],
					      last);
			vmmem_region_unref(old[i]);
		}
	}

	atomic_store(&machine.stop, true);
	for (unsigned int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	vcpu_stop(&machine.vcpu, guest);
	pthread_join(guest, NULL);
	printf("%u laps\n", guest_u32(LAP));
	close_machine();
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_test(tcase, each_exit_is_where_nothing_is);
	tcase_add_test(tcase, nobody_notices);
}

#else

const char *
skip_reason(void)
{
	return "the guest is x86, this machine is not";
}

static void
add_tests(TCase *tcase)
{
	(void)tcase;
}

#endif

Suite *
make_suite(void)
{
	Suite *suite = suite_create("kvm_guest_hotplug");
	TCase *tcase = tcase_create("kvm_guest_hotplug");

	tcase_set_timeout(tcase, 0);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	return suite;
}
