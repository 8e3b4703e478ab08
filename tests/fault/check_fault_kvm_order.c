/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * One thread collects, another takes and reads: the worst moment for that is
 * when KVM is being told to watch the pages again.  So just then, within that
 * call, this takes, reads, and has the guest write once more.  And a KVM that
 * loses what was in its rings.
 */
#define FAKE_SLOTS 8
#define FAKE_PAGES_MAX 192
#include "end_kvm.h"
#include "fake_kvm.h"
#include "fault.h"
#include "suite.h"

#include <vmmem/kvm.h>

#define PAGES 150
#define LEN (PAGES * FAKE_PAGE)
#define RING 128
#define PLACE (70 * FAKE_PAGE) /* where the guest writes */

const char *
skip_reason(void)
{
	return fake_kvm_missing();
}

static struct vmmem_region *region;
static struct vmmem_harvester *harvester;
static uint8_t *memory, copy[LEN];
static unsigned int moments;

/* What a migration does between two collects. */
static void
take_and_read(void)
{
	const struct vmmem_bitmap *taken = vmmem_harvester_taken(harvester);
	uint64_t at = 0, start, len;

	REQUIRE(vmmem_harvester_take(harvester, NULL) == 0);
	for (;; at = start + len) {
		REQUIRE(vmmem_bitmap_next(taken, at, &start, &len) == 0);
		if (len == 0)
			break;
		memcpy(copy + start, memory + start, len);
	}
	REQUIRE(vmmem_harvester_confirm(harvester, 0, UINT64_MAX) == 0);
}

static void
guest_writes(void)
{
	memory[PLACE]++;
	REQUIRE(fake_kvm_write(0, PLACE));
}

static int
at_the_worst_moment(int fd, unsigned long request, void *argument)
{
	if (request == KVM_CLEAR_DIRTY_LOG ||
	    request == KVM_RESET_DIRTY_RINGS) {
		moments++;
		take_and_read();
		guest_writes();
	}
	return fake_kvm_ioctl(fd, request, argument);
}

static struct vmmem_space *space;
static struct vmmem_kvm *kvm;

/* Begins to log in this way, with a copy of all memory made after that. */
static void
open_all(uint32_t log)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_kvm_options options = {
		.size = sizeof(options),
		.log = log,
		.ring_entries = RING,
	};
	struct vmmem_collection *map;
	uint64_t len;
	void *host;

	REQUIRE(builder != NULL);
	vmmem_region_builder_set_range(builder, 0, LEN);
	vmmem_region_builder_set_tracking(builder, FAKE_PAGE);
	REQUIRE(vmmem_region_builder_build(builder, &region) == 0);
	vmmem_region_builder_free(builder);
	REQUIRE(vmmem_region_host_address(region, 0, &host, &len) == 0);
	memory = host;
	REQUIRE(vmmem_collection_new(&region, 1, &map) == 0);
	REQUIRE(vmmem_space_new(map, NULL, &space) == 0);
	vmmem_collection_unref(map);

	fake_kvm_open(false);
	fake_kvm_vcpu(0, RING);
	inject_ioctl = fake_kvm_ioctl;
	REQUIRE(vmmem_kvm_new(space, fake.fd, &options, &kvm) == 0);
	if (log == VMMEM_KVM_LOG_RING)
		REQUIRE(vmmem_kvm_add_vcpu(kvm, fake.vcpu[0]) == 0);
	REQUIRE(vmmem_harvester_new(vmmem_region_bitmap(region), NULL,
				    &harvester) ==
		0);
	REQUIRE(vmmem_kvm_log_start(kvm, NULL) == 0);
	memcpy(copy, memory, LEN);
}

static void
close_all(void)
{
	inject_ioctl = fake_kvm_ioctl;
	end_kvm(kvm);
	inject_ioctl = NULL;
	fake_kvm_close();
	vmmem_harvester_free(harvester);
	vmmem_space_unref(space);
	vmmem_region_unref(region);
}

START_TEST(no_write_is_lost)
{
	open_all((uint32_t)_i);
	inject_ioctl = at_the_worst_moment;
	moments = 0;
	guest_writes();
	REQUIRE(vmmem_kvm_log_collect(kvm, NULL) == 0);
	REQUIRE(moments > 0 || _i == VMMEM_KVM_LOG_GET);

	/* The guest stands still, and the last round has all that is left. */
	inject_ioctl = fake_kvm_ioctl;
	REQUIRE(vmmem_kvm_log_collect(kvm, NULL) == 0);
	take_and_read();
	REQUIRE(memcmp(copy, memory, LEN) == 0);
	close_all();
}
END_TEST

static uint64_t
taken_pages(void)
{
	uint64_t pages;

	REQUIRE(vmmem_harvester_confirm(harvester, 0, UINT64_MAX) == 0);
	REQUIRE(vmmem_kvm_log_collect(kvm, NULL) == 0);
	REQUIRE(vmmem_harvester_take(harvester, &pages) == 0);
	return pages;
}

/* A KVM that takes back less than it was given. */
static int
takes_back_less(int fd, unsigned long request, void *argument)
{
	int rc = fake_kvm_ioctl(fd, request, argument);

	return rc > 0 && request == KVM_RESET_DIRTY_RINGS ? rc - 1 : rc;
}

START_TEST(rings_take_back_less)
{
	open_all(VMMEM_KVM_LOG_RING);
	guest_writes();
	REQUIRE(taken_pages() == 1);
	REQUIRE(taken_pages() == 0);
	inject_ioctl = takes_back_less;
	guest_writes();
	REQUIRE(taken_pages() == PAGES);
	/* And nothing is certain from then on. */
	inject_ioctl = fake_kvm_ioctl;
	REQUIRE(taken_pages() == PAGES);
	close_all();
}
END_TEST

/*
 * A KVM that does not stop in time: it writes 'over' more entries than there
 * are, then goes on behind them.
 */
START_TEST(rings_overflow)
{
	const uint32_t over = 5;
	struct fake_entry *entries;
	struct vmmem_slot slot;
	uint32_t i;

	open_all(VMMEM_KVM_LOG_RING);
	REQUIRE(vmmem_kvm_slot_at(kvm, 0, &slot) == 0);
	entries = fake.entries[0];
	for (i = 0; i < RING + over; i++) {
		entries[i % RING].slot = slot.number;
		entries[i % RING].page = i % PAGES;
		entries[i % RING].flags = 1;
	}
	fake.put[0] = RING + over;
	REQUIRE(taken_pages() == PAGES);
	REQUIRE(fake.taken[0] == RING);

	/* What it counts as not given back, it is given with the next one. */
	memory[0]++;
	REQUIRE(fake_kvm_write(0, 0));
	REQUIRE(fake.put[0] == RING + over + 1);
	REQUIRE(taken_pages() == PAGES);
	REQUIRE(fake.taken[0] == fake.put[0]);
	close_all();
}
END_TEST

/* push() adds entries, and tells whether the ring had room for all. */
static bool
push(uint32_t slot, uint32_t count)
{
	struct fake_entry *entry;

	for (; count != 0; count--) {
		if (fake.put[0] - fake.taken[0] >= RING - FAKE_RING_KEPT)
			return false;
		entry = &fake.entries[0][fake.put[0] % RING];
		entry->slot = slot;
		entry->page = fake.put[0] % PAGES;
		entry->flags = 1;
		fake.put[0]++;
	}
	return true;
}

/* A KVM that writes over entries which were given back and are not taken. */
static uint32_t over_now, over_slot;

static int
writes_over(int fd, unsigned long request, void *argument)
{
	if (request == KVM_RESET_DIRTY_RINGS) {
		/* It does not look whether there is room. */
		const uint32_t taken = fake.taken[0];

		fake.taken[0] = fake.put[0];
		REQUIRE(push(over_slot, over_now));
		fake.taken[0] = taken;
		over_now = 0;
	}
	return fake_kvm_ioctl(fd, request, argument);
}

/* It goes on all the same, and each entry is taken back in the end. */
START_TEST(rings_go_on)
{
	uint32_t over, before, i, number;
	struct vmmem_slot slot;

	for (over = FAKE_RING_KEPT + 1; over < RING / 2; over += 7) {
		open_all(VMMEM_KVM_LOG_RING);
		REQUIRE(vmmem_kvm_slot_at(kvm, 0, &slot) == 0);
		over_slot = number = slot.number;
		for (before = 0; before < 3; before++) {
			/* It is full, and written over when it was given. */
			REQUIRE(push(number, RING - FAKE_RING_KEPT));
			over_now = over;
			inject_ioctl = writes_over;
			REQUIRE(taken_pages() == PAGES);
			inject_ioctl = fake_kvm_ioctl;
			for (i = 0; i < 3 * RING; i++) {
				if (push(number, 1))
					continue;
				REQUIRE(taken_pages() == PAGES);
				REQUIRE(push(number, 1));
			}
			REQUIRE(taken_pages() == PAGES);
			REQUIRE(fake.taken[0] == fake.put[0]);
		}
		close_all();
	}
}
END_TEST

/* Entries of slots and pages that are not there: nothing is marked for them. */
START_TEST(rings_of_anything)
{
	static const uint64_t pages[] = {
		0,
		PAGES - 1,
		PAGES,
		(UINT64_C(1) << 31) - 1,
		UINT64_C(1) << 31,
		(UINT64_C(1) << 32) - 1,
		UINT64_C(1) << 32,
		/* Times the size of a page these are 0 and a page. */
		UINT64_C(1) << 52,
		(UINT64_C(1) << 52) + 1,
		(UINT64_C(1) << 63) - 1,
		UINT64_C(1) << 63,
		UINT64_MAX,
	};
	uint32_t slots[6];
	struct fake_entry *entry;
	struct vmmem_slot slot;
	bool there;
	size_t i, j;

	open_all(VMMEM_KVM_LOG_RING);
	REQUIRE(vmmem_kvm_slot_at(kvm, 0, &slot) == 0);
	slots[0] = slot.number;
	slots[1] = slot.number + 1;
	slots[2] = UINT16_MAX;
	slots[3] = slot.number | 1U << 16;
	slots[4] = slot.number | 1U << 31;
	slots[5] = UINT32_MAX;
	for (i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		for (j = 0; j < sizeof(pages) / sizeof(pages[0]); j++) {
			entry = &fake.entries[0][fake.put[0]++ % RING];
			entry->slot = slots[i];
			entry->page = pages[j];
			entry->flags = 1;
			there = i == 0 && pages[j] < PAGES;
			REQUIRE(taken_pages() == there);
			REQUIRE(vmmem_bitmap_test(
					vmmem_harvester_taken(harvester),
					there ? pages[j] * FAKE_PAGE : 0) ==
				there);
		}
	}
	REQUIRE(fake.taken[0] == fake.put[0]);
	close_all();
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault_kvm_order");
	TCase *tcase = tcase_create("fault_kvm_order");

	tcase_add_loop_test(tcase, no_write_is_lost, VMMEM_KVM_LOG_GET,
			    VMMEM_KVM_LOG_RING + 1);
	tcase_add_test(tcase, rings_take_back_less);
	tcase_add_test(tcase, rings_overflow);
	tcase_add_test(tcase, rings_go_on);
	tcase_add_test(tcase, rings_of_anything);
	suite_add_tcase(suite, tcase);
	return suite;
}
