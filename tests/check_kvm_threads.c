/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A guest that writes all the time while one thread changes the map, another
 * collects what is dirty, and a third starts and stops logging.  What is copied
 * by the marks is in the end what the guest has written.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "end_kvm.h"
#include "guest.h"
#include "rng.h"
#include "suite.h"
#include "vm.h"

#include <vmmem/kvm.h>

#define PAGE UINT64_C(0x1000)
#define PAGES 64
#define LEN (PAGES * PAGE)
#define HOLE UINT64_C(0x4000000) /* where regions come and go */

const char *
skip_reason(void)
{
	return VM_HAS_GUEST ? vm_missing() : "no guest for this processor";
}

static struct vm vm;
static struct vmmem_space *space;
static struct vmmem_kvm *kvm;
static struct vmmem_region *ram, *alias;
static uint8_t *host;
static uint8_t copy[LEN];
static atomic_bool stop;
static atomic_uint rounds_left;
static atomic_uint written[2]; /* by the guest: to memory, and to none */

static void
setup(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_collection *empty;

	vm_open(&vm);
	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_tracking(builder, PAGE);
	assert_ok(vmmem_region_builder_build(builder, &ram));
	vmmem_region_builder_free(builder);
	assert_ok(vmmem_region_new_alias(HOLE, LEN, ram, 0, &alias));
	host = expect_host(ram);
	assert_ok(vmmem_collection_new_empty(&empty));
	assert_ok(vmmem_space_new(empty, NULL, &space));
	vmmem_collection_unref(empty);
	assert_ok(vmmem_space_insert(space, ram));
	atomic_store(&stop, false);
}

static void
teardown(void)
{
	vmmem_space_unref(space);
	vmmem_region_unref(alias);
	vmmem_region_unref(ram);
	vm_close(&vm);
}

/* The guest writes through both addresses, where there is memory. */
static void *
run_guest(void *opaque)
{
	struct rng rng = { *(uint64_t *)opaque };
	uint8_t value = 0;

	while (!atomic_load(&stop)) {
		uint64_t page = rng_below(&rng, PAGES) * PAGE;
		uint64_t gpa = rng_chance(&rng, 50) ? page : HOLE + page;
		uint32_t reason = vm_write(&vm, gpa, ++value);

		if (reason == KVM_EXIT_DIRTY_RING_FULL)
			VM_REQUIRE(vmmem_kvm_log_collect(kvm, NULL) == 0);
		else if (gpa < HOLE)
			VM_REQUIRE(reason == KVM_EXIT_HLT);
	}
	return NULL;
}

static void *
change_map(void *opaque)
{
	(void)opaque;
	while (atomic_fetch_sub(&rounds_left, 1) > 1) {
		VM_REQUIRE(vmmem_space_insert(space, alias) == 0);
		VM_REQUIRE(vmmem_space_remove(space, HOLE, LEN, NULL) == 0);
	}
	atomic_store(&stop, true);
	return NULL;
}

static void *
toggle(void *opaque)
{
	(void)opaque;
	while (!atomic_load(&stop)) {
		VM_REQUIRE(vmmem_kvm_log_start(kvm, ram) == 0);
		VM_REQUIRE(vmmem_kvm_log_stop(kvm, ram) == 0);
		sched_yield();
	}
	return NULL;
}

/* copy_marked() takes what is marked, and then reads it. */
static void
copy_marked(struct vmmem_harvester *harvester)
{
	const struct vmmem_bitmap *taken;
	uint64_t at, start, len;

	VM_REQUIRE(vmmem_kvm_log_collect(kvm, NULL) == 0);
	VM_REQUIRE(vmmem_harvester_take(harvester, NULL) == 0);
	taken = vmmem_harvester_taken(harvester);
	for (at = 0; vmmem_bitmap_next(taken, at, &start, &len) == 0 &&
		     len != 0;
	     at = start + len) {
		uint64_t page;

		/* The first byte of each is what the guest writes. */
		for (page = start; page < start + len; page += PAGE)
			copy[page] = __atomic_load_n(&host[page],
						     __ATOMIC_RELAXED);
	}
	VM_REQUIRE(vmmem_harvester_confirm(harvester, 0, UINT64_MAX) == 0);
}

START_TEST(nothing_is_lost)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .log = (uint32_t)_i };
	struct vmmem_harvester *harvester;
	pthread_t guest, writer, toggler;
	uint64_t seed = rng_seed(), page;

	assert_ok(vmmem_kvm_new(space, vm.fd, &options, &kvm));
	vm_add_vcpu(&vm);
	if (options.log == VMMEM_KVM_LOG_RING)
		assert_ok(vmmem_kvm_add_vcpu(kvm, vm.vcpu));
	printf("way %d, seed 0x%llx\n", _i, (unsigned long long)seed);
	fflush(stdout);
	atomic_store(&rounds_left, (unsigned int)rng_rounds(1000));
	assert_ok(vmmem_harvester_new(vmmem_region_bitmap(ram), NULL,
				      &harvester));
	assert_ok(vmmem_kvm_log_start(kvm, NULL));
	for (page = 0; page < LEN; page += PAGE)
		copy[page] = host[page];

	ck_assert_int_eq(pthread_create(&guest, NULL, run_guest, &seed), 0);
	ck_assert_int_eq(pthread_create(&writer, NULL, change_map, NULL), 0);
	ck_assert_int_eq(pthread_create(&toggler, NULL, toggle, NULL), 0);
	while (!atomic_load(&stop))
		copy_marked(harvester);
	pthread_join(guest, NULL);
	pthread_join(writer, NULL);
	pthread_join(toggler, NULL);
	copy_marked(harvester);
	for (page = 0; page < LEN; page += PAGE)
		ck_assert_msg(copy[page] == host[page], "page %u",
			      (unsigned int)(page / PAGE));
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 0);
	vmmem_harvester_free(harvester);
	end_kvm(kvm);
}
END_TEST

static void *
run_guest_anyhow(void *opaque)
{
	uint32_t reason;

	(void)opaque;
	while (!atomic_load(&stop)) {
		reason = vm_write(&vm, 0, 1);
		VM_REQUIRE(reason == KVM_EXIT_HLT || reason == KVM_EXIT_MMIO);
		atomic_fetch_add(&written[reason == KVM_EXIT_MMIO], 1);
	}
	return NULL;
}

/* wait_for_guest() waits until the guest has found memory, or none, again. */
static void
wait_for_guest(int without)
{
	const unsigned int before = atomic_load(&written[without]);

	while (atomic_load(&written[without]) - before < 3)
		sched_yield();
}

/* The end of the object is no matter to a vCPU: it finds no memory. */
START_TEST(ends_while_a_vcpu_runs)
{
	unsigned int i, rounds = (unsigned int)rng_rounds(50);
	pthread_t guest;

	vm_add_vcpu(&vm);
	ck_assert_int_eq(pthread_create(&guest, NULL, run_guest_anyhow, NULL),
			 0);
	for (i = 0; i < rounds; i++) {
		assert_ok(vmmem_kvm_new(space, vm.fd, NULL, &kvm));
		assert_ok(vmmem_kvm_log_start(kvm, NULL));
		wait_for_guest(0);
		assert_ok(vmmem_bitmap_clear(vmmem_region_bitmap(ram), 0, LEN));
		wait_for_guest(0);
		if (i % 2 == 0)
			assert_ok(vmmem_kvm_stop(kvm));
		vmmem_kvm_free(kvm);
		wait_for_guest(1);
		/* What it wrote until the end was collected. */
		ck_assert_int_eq(vmmem_bitmap_test(vmmem_region_bitmap(ram), 0),
				 1);
	}
	atomic_store(&stop, true);
	pthread_join(guest, NULL);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("kvm under threads");
	TCase *tcase = tcase_create("threads");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 0);
	vm_say_skipped();
	VM_ADD_WAYS(tcase, nothing_is_lost);
	if (VM_HAS_GUEST)
		tcase_add_test(tcase, ends_while_a_vcpu_runs);
	suite_add_tcase(suite, tcase);
	return suite;
}
