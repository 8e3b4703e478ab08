/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The life of a kvm object, with each call on the way made to fail once: what
 * was done is undone or goes on later, no mark is lost, nothing is left.
 */
/* A slot that is cleared in two pieces. */
#define FAKE_SLOTS 8
#define FAKE_PAGES_MAX ((1 << 18) + 192)
#include "end_kvm.h"
#include "fake_kvm.h"
#include "fault.h"
#include "suite.h"

#include <pthread.h>

#include <vmmem/kvm.h>

#define LEN (70 * FAKE_PAGE)
#define LONG_LEN (FAKE_PAGES_MAX * FAKE_PAGE)
#define RING 64

const char *
skip_reason(void)
{
	return fake_kvm_missing();
}

static struct vmmem_space *space;
static uint32_t way;
static bool written[2]; /* by the guest, and logged: page 0 and the last */

/* tracked() makes a region; not one of the calls that are to fail. */
static struct vmmem_region *
tracked(uint64_t gpa, uint64_t len)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	REQUIRE(builder != NULL);
	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_region_builder_set_tracking(builder, FAKE_PAGE);
	REQUIRE(vmmem_region_builder_build(builder, &region) == 0);
	vmmem_region_builder_free(builder);
	return region;
}

static struct vmmem_region *region, *other;

static void
prepare(void)
{
	struct vmmem_collection *empty;

	region = tracked(0, LEN);
	other = tracked(LEN, LEN);
	REQUIRE(vmmem_collection_new_empty(&empty) == 0);
	REQUIRE(vmmem_space_new(empty, NULL, &space) == 0);
	REQUIRE(vmmem_space_insert(space, region) == 0);
	vmmem_collection_unref(empty);
	fake_kvm_open(false);
	fake_kvm_vcpu(0, RING);
	written[0] = written[1] = false;
	inject_ioctl = fake_kvm_ioctl;
}

static void
clean_up(void)
{
	inject_ioctl = NULL;
	fake_kvm_close();
	vmmem_space_unref(space);
	vmmem_region_unref(region);
	vmmem_region_unref(other);
}

static void
guest_writes(uint64_t gpa)
{
	unsigned int i;
	bool logged = false;

	for (i = 0; i < FAKE_SLOTS; i++)
		if (fake.slots[i].is.len != 0 && fake.slots[i].is.gpa == 0)
			logged = (fake.slots[i].is.flags &
				  KVM_MEM_LOG_DIRTY_PAGES) != 0;
	if (fake_kvm_write(0, gpa) && logged)
		written[gpa != 0] = true;
}

static bool
marked(uint64_t offset)
{
	return vmmem_bitmap_test(vmmem_region_bitmap(region), offset) != 0;
}

/* first() keeps the first code that was not 0. */
static void
first(int *rc, int next)
{
	if (*rc == 0)
		*rc = next;
}

/* whole() does all that can be done, as far as it goes, and ends it. */
static int
whole(void)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .log = way,
					     .ring_entries = RING };
	struct vmmem_kvm *kvm = NULL;
	int rc, failed;

	rc = vmmem_kvm_new(space, fake.fd, &options, &kvm);
	if (rc != 0) {
		REQUIRE(kvm == NULL);
		return rc;
	}
	if (way == VMMEM_KVM_LOG_RING)
		first(&rc, vmmem_kvm_add_vcpu(kvm, fake.vcpu[0]));
	/* Without its ring nothing of a vCPU could be collected. */
	if (rc == 0) {
		first(&rc, vmmem_kvm_log_start(kvm, NULL));
		guest_writes(0);
		first(&rc, vmmem_kvm_log_collect(kvm, NULL));
		guest_writes(LEN - 1);
		first(&rc, vmmem_kvm_log_start(kvm, region));
		failed = vmmem_kvm_log_stop(kvm, NULL);
		first(&rc, failed == VMMEM_EARGUMENT ? 0 : failed);
		guest_writes(LEN - 1);
		first(&rc, vmmem_space_insert(space, other));
		first(&rc, vmmem_space_remove(space, 0, LEN, NULL));
		first(&rc, vmmem_kvm_sync(kvm));
		if (way == VMMEM_KVM_LOG_RING)
			first(&rc, vmmem_kvm_remove_vcpu(kvm, fake.vcpu[0]));
	}
	first(&rc, vmmem_kvm_stop(kvm));
	/* If that has failed, this tries again, and nothing is in the way. */
	REQUIRE(vmmem_kvm_free(kvm) == NULL);
	return rc;
}

static void
expect_nothing_left(unsigned int n)
{
	struct inject_live live = inject_live();
	unsigned int i;

	for (i = 0; i < FAKE_SLOTS; i++)
		ck_assert_msg(fake.slots[i].is.len == 0, "slot after call %u",
			      n);
	ck_assert_msg(live.allocations == 0 && live.mappings == 0 &&
			      live.descriptors == 0,
		      "%u blocks, %u mappings, %u descriptors after call %u",
		      live.allocations, live.mappings, live.descriptors, n);
}

START_TEST(each_call_fails_once)
{
	static const int errors[] = { EPERM, ENFILE, EIO, EINVAL, ENOENT };
	const char *fired;
	unsigned int n, e;
	int rc;

	way = (uint32_t)_i;
	for (e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
		n = 0;
		do {
			n++;
			prepare();
			inject_start(n, errors[e], false);
			rc = whole();
			inject_stop();
			fired = inject_fired();
			/* There may be a way around what has failed. */
			ck_assert_msg(rc == 0 || rc == inject_code() ||
					      rc == VMMEM_ENOREGION,
				      "%d after %s, call %u", rc, fired, n);
			/* The space has maps that were made on the way. */
			space = vmmem_space_unref(space);
			if (fired != NULL && strcmp(fired, "munmap") == 0)
				ck_assert_uint_eq(inject_reclaim(), 1);
			expect_nothing_left(n);
			ck_assert_msg(!written[0] || marked(0),
				      "page 0 after %s, call %u", fired, n);
			ck_assert_msg(!written[1] || marked(LEN - 1),
				      "last page after %s, call %u", fired, n);
			if (fired != NULL)
				fault_note(fired);
			clean_up();
		} while (fired != NULL);
		ck_assert_uint_gt(n, 20);
		ck_assert_int_eq(rc, 0);
	}
}
END_TEST

/* fail_all() has all calls of KVM fail from now on. */
static void
fail_all(int error)
{
	fake.calls = 0;
	fake.fail_from = 1;
	fake.fail_to = 1000;
	fake.fail_with = error;
}

/* A machine whose slots cannot be deleted keeps its memory. */
START_TEST(slots_that_stay)
{
	struct vmmem_kvm *kvm;
	struct vmmem_slot slot;

	way = VMMEM_KVM_LOG_GET;
	prepare();
	REQUIRE(vmmem_kvm_new(space, fake.fd, NULL, &kvm) == 0);
	fail_all(EIO);
	ck_assert_int_eq(vmmem_kvm_stop(kvm), -EIO);
	ck_assert_int_eq(vmmem_kvm_stop(kvm), -EIO);
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 1);
	ck_assert_int_eq(vmmem_kvm_slot_find(kvm, 0, &slot), 0);
	/* It is no listener any more, and refuses nothing. */
	ck_assert_int_eq(vmmem_space_remove(space, 0, LEN, NULL), 0);
	ck_assert_ptr_eq(slot.region, region);
	fake.fail_from = fake.fail_to = 0;
	end_kvm(kvm);
	ck_assert_uint_eq(fake.slots[0].is.len, 0);
	clean_up();
}
END_TEST

/* A setting of a region is made with its slot, or not at all. */
START_TEST(settings_that_fail)
{
	struct vmmem_kvm *kvm;
	const char *fired;
	unsigned int n = 0;
	int rc;

	way = VMMEM_KVM_LOG_GET;
	do {
		prepare();
		REQUIRE(vmmem_kvm_new(space, fake.fd, NULL, &kvm) == 0);
		inject_start(++n, ENOMEM, false);
		rc = vmmem_kvm_exclude(kvm, region);
		inject_stop();
		fired = inject_fired();
		if (fired != NULL)
			fault_note(fired);
		ck_assert_int_eq(rc, fired != NULL ? -ENOMEM : 0);
		ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), rc != 0);
		ck_assert_int_eq(vmmem_kvm_unset(kvm, region),
				 rc != 0 ? VMMEM_ENOREGION : 0);
		ck_assert_uint_eq(fake.slots[0].is.len, LEN);
		end_kvm(kvm);
		clean_up();
	} while (fired != NULL);
	ck_assert_uint_gt(n, 3);
}
END_TEST

static unsigned int destroyed, released;

static void
count_destroyed(void *opaque)
{
	ck_assert_ptr_eq(opaque, &destroyed);
	destroyed++;
}

static void
count_released(void *opaque)
{
	ck_assert_ptr_eq(opaque, &released);
	released++;
}

/* insert_counted() maps memory whose end is counted. */
static void
insert_counted(void)
{
	static _Alignas(4096) uint8_t memory[FAKE_PAGE];
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *counted;

	released = 0;
	REQUIRE(builder != NULL);
	vmmem_region_builder_set_range(builder, 2 * LEN, FAKE_PAGE);
	vmmem_region_builder_set_external(builder, memory, count_released,
					  &released);
	REQUIRE(vmmem_region_builder_build(builder, &counted) == 0);
	vmmem_region_builder_free(builder);
	REQUIRE(vmmem_space_insert(space, counted) == 0);
	vmmem_region_unref(counted);
}

/* kvm_of_nothing() makes one for an empty space. */
static struct vmmem_kvm *
kvm_of_nothing(void)
{
	struct vmmem_collection *empty;
	struct vmmem_space *nothing;
	struct vmmem_kvm *kvm;

	REQUIRE(vmmem_collection_new_empty(&empty) == 0);
	REQUIRE(vmmem_space_new(empty, NULL, &nothing) == 0);
	REQUIRE(vmmem_kvm_new(nothing, fake.fd, NULL, &kvm) == 0);
	vmmem_collection_unref(empty);
	vmmem_space_unref(nothing);
	return kvm;
}

/* try_again() makes one of the calls that see to what is left over. */
static void
try_again(int which, struct vmmem_kvm *another)
{
	struct vmmem_kvm *third;

	switch (which) {
	case 0:
		REQUIRE(vmmem_kvm_sync(another) == 0);
		break;
	case 1:
		REQUIRE(vmmem_kvm_stop(another) == 0);
		break;
	case 2:
		REQUIRE(vmmem_kvm_new(space, fake.fd, NULL, &third) == 0);
		end_kvm(third);
		break;
	default:
		vmmem_kvm_free(NULL);
		REQUIRE(released == 0);
		vmmem_kvm_free(another);
		return;
	}
	end_kvm(another);
}

/*
 * Freeing cannot fail.  What KVM keeps stays mapped, also when the caller has
 * closed its descriptor, until KVM deletes it.
 */
START_TEST(freed_with_slots_that_stay)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .destroy = count_destroyed,
					     .opaque = &destroyed };
	struct vmmem_kvm *kvm, *another;
	struct vmmem_collection *empty;
	int fd;

	destroyed = 0;
	way = VMMEM_KVM_LOG_GET;
	prepare();
	insert_counted();
	fd = dup(fake.fd);
	REQUIRE(fd >= 0);
	REQUIRE(vmmem_kvm_new(space, fd, &options, &kvm) == 0);
	another = kvm_of_nothing();

	fail_all(EIO);
	ck_assert_ptr_null(vmmem_kvm_free(kvm));
	ck_assert_uint_eq(destroyed, 1);
	close(fd);
	/* Not yet. */
	REQUIRE(vmmem_kvm_sync(another) == 0);
	ck_assert_uint_eq(fake.slots[0].is.len, LEN);
	space = vmmem_space_unref(space);
	ck_assert_uint_eq(released, 0);
	fake.fail_from = fake.fail_to = 0;
	if (_i == 2) {
		space = NULL;
		REQUIRE(vmmem_collection_new_empty(&empty) == 0);
		REQUIRE(vmmem_space_new(empty, NULL, &space) == 0);
		vmmem_collection_unref(empty);
	}
	try_again(_i, another);
	ck_assert_uint_eq(fake.slots[0].is.len, 0);
	ck_assert_uint_eq(released, 1);
	ck_assert_uint_eq(destroyed, 1);
	clean_up();
}
END_TEST

static void *
sync_and_end(void *another)
{
	pthread_cancel(pthread_self());
	REQUIRE(vmmem_kvm_sync(another) == 0);
	pthread_testcancel();
	return NULL;
}

/* A thread that is to end, and tries again, does all of it before. */
START_TEST(tried_again_by_one_that_ends)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .first_slot = FAKE_SLOTS / 2 };
	struct vmmem_kvm *kvm, *second, *another;
	struct vmmem_region *low;
	struct vmmem_space *beside;
	pthread_t thread;
	void *result;

	way = VMMEM_KVM_LOG_GET;
	prepare();
	insert_counted();
	another = kvm_of_nothing();
	REQUIRE(vmmem_space_new(NULL, NULL, &beside) == 0);
	REQUIRE(vmmem_region_new_anonymous(8 * LEN, LEN, &low) == 0);
	REQUIRE(vmmem_space_insert(beside, low) == 0);
	REQUIRE(vmmem_kvm_new(space, fake.fd, NULL, &kvm) == 0);
	REQUIRE(vmmem_kvm_new(beside, fake.fd, &options, &second) == 0);
	fail_all(EIO);
	vmmem_kvm_free(kvm);
	vmmem_kvm_free(second);
	space = vmmem_space_unref(space);
	fake.fail_from = fake.fail_to = 0;
	REQUIRE(pthread_create(&thread, NULL, sync_and_end, another) == 0);
	REQUIRE(pthread_join(thread, &result) == 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert_uint_eq(fake.slots[0].is.len, 0);
	ck_assert_uint_eq(fake.slots[FAKE_SLOTS / 2].is.len, 0);
	ck_assert_uint_eq(released, 1);
	end_kvm(another);
	vmmem_region_unref(low);
	vmmem_space_unref(beside);
	clean_up();
}
END_TEST

/* Without a descriptor of its own there is no way to the slots any more. */
START_TEST(freed_with_slots_and_without_a_descriptor)
{
	struct vmmem_kvm *kvm, *another;
	const char *fired;
	unsigned int n = 0;
	bool lost;

	way = VMMEM_KVM_LOG_GET;
	do {
		prepare();
		insert_counted();
		REQUIRE(vmmem_kvm_new(space, fake.fd, NULL, &kvm) == 0);
		fail_all(EIO);
		inject_start(++n, EMFILE, false);
		vmmem_kvm_free(kvm);
		inject_stop();
		fired = inject_fired();
		if (fired != NULL)
			fault_note(fired);
		fake.fail_from = fake.fail_to = 0;
		/* This tries again, if there is a descriptor for it. */
		another = kvm_of_nothing();
		REQUIRE(vmmem_kvm_sync(another) == 0);
		end_kvm(another);
		ck_assert_uint_eq(released, 0);
		space = vmmem_space_unref(space);
		lost = fired != NULL && strcmp(fired, "fcntl") == 0;
		ck_assert_uint_eq(released, !lost);
		ck_assert_uint_eq(fake.slots[0].is.len, lost ? LEN : 0);
		clean_up();
	} while (!lost);
}
END_TEST

START_TEST(work_that_is_left_over)
{
	struct vmmem_slot slot;
	struct vmmem_kvm *kvm;

	way = VMMEM_KVM_LOG_GET;
	prepare();
	REQUIRE(vmmem_kvm_new(space, fake.fd, NULL, &kvm) == 0);
	/* Deleting goes well, making does not, nor does making again. */
	fake.calls = 0;
	fake.fail_from = 2;
	fake.fail_to = 3;
	fake.fail_with = ENOMEM;
	{
		struct vmmem_update *update;

		REQUIRE(vmmem_update_new(space, VMMEM_FOREVER, &update) == 0);
		REQUIRE(vmmem_update_remove(update, 0, LEN, NULL) == 0);
		REQUIRE(vmmem_update_insert(update, other) == 0);
		ck_assert_int_eq(vmmem_update_commit(update), -ENOMEM);
		vmmem_update_free(update);
	}
	/* abort() has tried once more, and it went well. */
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 0);
	ck_assert_uint_eq(fake.slots[0].is.gpa, 0);

	fake.calls = 0;
	fake.fail_from = 1;
	fake.fail_to = 4;
	ck_assert_int_eq(vmmem_space_remove(space, 0, LEN, NULL), -ENOMEM);
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 0);
	fake.calls = 0;
	fake.fail_from = 2;
	fake.fail_to = 5;
	{
		struct vmmem_update *update;

		REQUIRE(vmmem_update_new(space, VMMEM_FOREVER, &update) == 0);
		REQUIRE(vmmem_update_remove(update, 0, LEN, NULL) == 0);
		REQUIRE(vmmem_update_insert(update, other) == 0);
		ck_assert_int_eq(vmmem_update_commit(update), -ENOMEM);
		vmmem_update_free(update);
	}
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 1);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 0);
	ck_assert_int_eq(vmmem_kvm_sync(kvm), -ENOMEM);
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 1);
	/* The next update does what is left over, and its own. */
	ck_assert_int_eq(vmmem_space_insert(space, other), 0);
	ck_assert_int_eq(vmmem_kvm_is_pending(kvm), 0);
	ck_assert_uint_eq(vmmem_kvm_slot_count(kvm), 2);
	ck_assert_int_eq(vmmem_kvm_slot_find(kvm, 0, &slot), 0);
	end_kvm(kvm);
	clean_up();
}
END_TEST

/* What a KVM does not have is refused, and what old ones do not say is told. */
START_TEST(what_kvm_lacks)
{
	struct vmmem_kvm_options options = { .size = sizeof(options) };
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *rom;
	struct vmmem_kvm *kvm;

	way = VMMEM_KVM_LOG_GET;
	prepare();
	vmmem_region_builder_set_range(builder, 2 * LEN, LEN);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	REQUIRE(vmmem_region_builder_build(builder, &rom) == 0);
	vmmem_region_builder_free(builder);
	fake.read_only = 0;
	fake.nr_slots = 0;
	options.first_slot = 32;
	ck_assert_int_eq(vmmem_kvm_new(space, fake.fd, &options, &kvm),
			 VMMEM_EARGUMENT);
	fake.nr_slots = FAKE_SLOTS;
	options.first_slot = 0;
	REQUIRE(vmmem_kvm_new(space, fake.fd, &options, &kvm) == 0);
	ck_assert_int_eq(vmmem_space_insert(space, rom), VMMEM_ENOSUPPORT);
	end_kvm(kvm);
	vmmem_region_unref(rom);

	fake.manual = 0;
	options.log = VMMEM_KVM_LOG_CLEAR;
	ck_assert_int_eq(vmmem_kvm_new(space, fake.fd, &options, &kvm),
			 VMMEM_ENOSUPPORT);
	fake.manual = 1;
	options.log = VMMEM_KVM_LOG_ALL_SET;
	ck_assert_int_eq(vmmem_kvm_new(space, fake.fd, &options, &kvm),
			 VMMEM_ENOSUPPORT);
	fake.ring = fake.ring_acq_rel = 0;
	options.log = VMMEM_KVM_LOG_RING;
	ck_assert_int_eq(vmmem_kvm_new(space, fake.fd, &options, &kvm),
			 VMMEM_ENOSUPPORT);
	/* The older capability alone, and fewer entries than one would take. */
	fake.ring = 128 * 16;
	REQUIRE(vmmem_kvm_new(space, fake.fd, &options, &kvm) == 0);
	ck_assert_uint_eq(fake.ring_entries, 128);
	end_kvm(kvm);
	clean_up();
}
END_TEST

/* A KVM that moves no slots, though it was not said: all of one is dirty. */
START_TEST(kvm_that_does_not_move)
{
	struct vmmem_kvm *kvm;

	way = VMMEM_KVM_LOG_GET;
	prepare();
	fake.moves = false;
	REQUIRE(vmmem_kvm_new(space, fake.fd, NULL, &kvm) == 0);
	REQUIRE(vmmem_kvm_log_start(kvm, NULL) == 0);
	REQUIRE(vmmem_space_remove(space, 0, LEN, NULL) == 0);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(region)),
			  LEN / FAKE_PAGE);
	end_kvm(kvm);
	clean_up();
}
END_TEST

#ifdef __s390x__ /* where KVM moves no slots, so nobody asks it to */
#define MOVE_CALLS 2
#else
#define MOVE_CALLS 1
#endif

/* A slot at the very top is moved to another place, not a part of its own. */
START_TEST(slot_where_others_are_parked)
{
	const uint64_t gpa = (UINT64_C(1) << FAKE_ADDRESS_BITS) - LEN -
			     FAKE_PAGE;
	struct vmmem_region *top;
	struct vmmem_kvm *kvm;

	way = VMMEM_KVM_LOG_GET;
	prepare();
	top = tracked(gpa, LEN);
	REQUIRE(vmmem_space_insert(space, top) == 0);
	REQUIRE(vmmem_kvm_new(space, fake.fd, NULL, &kvm) == 0);
	REQUIRE(vmmem_kvm_log_start(kvm, NULL) == 0);
	REQUIRE(fake_kvm_write(0, gpa));
	REQUIRE(vmmem_space_remove(space, gpa, LEN, NULL) == 0);
	ck_assert_uint_lt(fake.last_gpa, gpa - LEN);
	ck_assert_uint_gt(fake.last_gpa, LEN);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(top)), 1);
	vmmem_region_unref(top);
	end_kvm(kvm);
	clean_up();
}
END_TEST

/* What one slot does not say does not keep the others from saying. */
START_TEST(one_slot_cannot_be_collected)
{
	struct vmmem_kvm *kvm;

	way = VMMEM_KVM_LOG_GET;
	prepare();
	REQUIRE(vmmem_kvm_new(space, fake.fd, NULL, &kvm) == 0);
	REQUIRE(vmmem_space_insert(space, other) == 0);
	REQUIRE(vmmem_kvm_log_start(kvm, NULL) == 0);
	REQUIRE(fake_kvm_write(0, 0) && fake_kvm_write(0, LEN));
	fake.calls = 0;
	fake.fail_from = fake.fail_to = 1;
	fake.fail_with = EIO;
	ck_assert_int_eq(vmmem_kvm_log_collect(kvm, NULL), -EIO);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(region)), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(other)), 1);
	ck_assert_int_eq(vmmem_kvm_log_collect(kvm, NULL), 0);
	ck_assert_uint_eq(vmmem_bitmap_count(vmmem_region_bitmap(region)), 1);
	end_kvm(kvm);
	clean_up();
}
END_TEST

/* A ring that cannot be given back: its pages are not watched meanwhile. */
START_TEST(giving_back_fails)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .log = VMMEM_KVM_LOG_RING,
					     .ring_entries = RING };
	struct vmmem_bitmap *bitmap;
	struct vmmem_kvm *kvm;
	const unsigned int full = RING - FAKE_RING_KEPT;
	unsigned int i;

	way = VMMEM_KVM_LOG_RING;
	prepare();
	bitmap = vmmem_region_bitmap(region);
	REQUIRE(vmmem_kvm_new(space, fake.fd, &options, &kvm) == 0);
	REQUIRE(vmmem_kvm_add_vcpu(kvm, fake.vcpu[0]) == 0);
	REQUIRE(vmmem_kvm_log_start(kvm, NULL) == 0);
	/* Until the ring is full. */
	for (i = 0; i < full; i++)
		REQUIRE(fake_kvm_write(0, i * FAKE_PAGE));
	REQUIRE(!fake_kvm_write(0, full * FAKE_PAGE));
	fake.calls = 0;
	fake.fail_from = 1;
	fake.fail_to = 2;
	fake.fail_with = EIO;
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(vmmem_kvm_log_collect(kvm, NULL), -EIO);
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap), full);
		REQUIRE(vmmem_bitmap_clear(bitmap, 0, LEN) == 0);
	}
	/* These may have been written again, and are in no ring. */
	REQUIRE(vmmem_kvm_log_collect(kvm, NULL) == 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), full);
	REQUIRE(vmmem_bitmap_clear(bitmap, 0, LEN) == 0);
	REQUIRE(fake_kvm_write(0, full * FAKE_PAGE));
	REQUIRE(vmmem_kvm_log_collect(kvm, NULL) == 0);
	ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 1);
	end_kvm(kvm);
	clean_up();
}
END_TEST

/* The first piece is cleared and the second is not: all is marked before. */
START_TEST(clearing_fails_half_way)
{
	static const uint64_t pages[] = { 0, 1, 63, 64, 1 << 17, (1 << 18) - 1,
					  1 << 18, FAKE_PAGES_MAX - 1 };
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .log = VMMEM_KVM_LOG_CLEAR };
	struct vmmem_bitmap *bitmap;
	struct vmmem_kvm *kvm;
	unsigned int round;
	size_t i;

	way = VMMEM_KVM_LOG_CLEAR;
	prepare();
	REQUIRE(vmmem_space_remove(space, 0, LEN, NULL) == 0);
	vmmem_region_unref(region);
	region = tracked(0, LONG_LEN);
	bitmap = vmmem_region_bitmap(region);
	REQUIRE(vmmem_space_insert(space, region) == 0);
	REQUIRE(vmmem_kvm_new(space, fake.fd, &options, &kvm) == 0);
	REQUIRE(vmmem_kvm_log_start(kvm, NULL) == 0);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
			REQUIRE(fake_kvm_write(0, pages[i] * FAKE_PAGE));
		fake.calls = 0;
		fake.fail_from = fake.fail_to = 3 - round;
		fake.fail_with = EIO;
		/* Get, clear, clear. */
		ck_assert_int_eq(vmmem_kvm_log_collect(kvm, NULL), -EIO);
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap),
				  round == 2 ? 0 : 8);
		ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 0, LONG_LEN), 0);
		/* What was not cleared is said again. */
		ck_assert_int_eq(vmmem_kvm_log_collect(kvm, NULL), 0);
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap),
				  round == 0 ? 2 : 8);
		ck_assert_int_eq(vmmem_bitmap_clear(bitmap, 0, LONG_LEN), 0);
		ck_assert_int_eq(vmmem_kvm_log_collect(kvm, NULL), 0);
		ck_assert_uint_eq(vmmem_bitmap_count(bitmap), 0);
	}
	end_kvm(kvm);
	clean_up();
}
END_TEST

/* No call that need not be made. */
START_TEST(as_few_calls_as_can_be)
{
	struct vmmem_region *twin, *moved, *rom;
	struct vmmem_region_builder *builder;
	struct vmmem_update *update;
	struct vmmem_kvm *kvm;

	way = VMMEM_KVM_LOG_GET;
	prepare();
	REQUIRE(vmmem_region_new_alias(0, LEN, region, 0, &twin) == 0);
	REQUIRE(vmmem_region_new_alias(4 * LEN, LEN, region, 0, &moved) == 0);
	builder = vmmem_region_builder_new();
	vmmem_region_builder_set_range(builder, 4 * LEN, LEN);
	vmmem_region_builder_set_alias(builder, region, 0);
	vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	REQUIRE(vmmem_region_builder_build(builder, &rom) == 0);
	vmmem_region_builder_free(builder);
	REQUIRE(vmmem_kvm_new(space, fake.fd, NULL, &kvm) == 0);
	REQUIRE(vmmem_space_insert(space, other) == 0);

#define CALLS(out, in, want)                                               \
	do {                                                               \
		fake.calls = 0;                                            \
		REQUIRE(vmmem_update_new(space, VMMEM_FOREVER, &update) == 0); \
		REQUIRE(vmmem_update_remove(update, out, LEN, NULL) == 0); \
		REQUIRE(vmmem_update_insert(update, in) == 0);             \
		REQUIRE(vmmem_update_commit(update) == 0);                 \
		vmmem_update_free(update);                                 \
		ck_assert_uint_eq(fake.calls, want);                       \
	} while (0)

	CALLS(0, twin, 0);		/* the same bytes there */
	CALLS(0, moved, MOVE_CALLS);	/* the same bytes elsewhere */
	CALLS(4 * LEN, rom, 2);		/* read-only cannot be changed */
	fake.calls = 0;
	REQUIRE(vmmem_kvm_log_start(kvm, NULL) == 0);
	ck_assert_uint_eq(fake.calls, 1); /* not the ROM */
	REQUIRE(vmmem_kvm_log_start(kvm, NULL) == 0);
	REQUIRE(vmmem_kvm_log_stop(kvm, NULL) == 0);
	REQUIRE(vmmem_kvm_sync(kvm) == 0);
	ck_assert_uint_eq(fake.calls, 1);
	REQUIRE(vmmem_kvm_log_collect(kvm, NULL) == 0);
	ck_assert_uint_eq(fake.calls, 2);
	REQUIRE(vmmem_kvm_log_stop(kvm, NULL) == 0);
	ck_assert_uint_eq(fake.calls, 4);
	REQUIRE(vmmem_space_remove(space, LEN, LEN, NULL) == 0);
	ck_assert_uint_eq(fake.calls, 5);
	end_kvm(kvm);
	ck_assert_uint_eq(fake.calls, 6);
	vmmem_region_unref(twin);
	vmmem_region_unref(moved);
	vmmem_region_unref(rom);
	clean_up();
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, kvm");
	TCase *tcase = tcase_create("kvm");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, each_call_fails_once, VMMEM_KVM_LOG_GET,
			    VMMEM_KVM_LOG_RING + 1);
	tcase_add_test(tcase, slots_that_stay);
	tcase_add_test(tcase, settings_that_fail);
	tcase_add_loop_test(tcase, freed_with_slots_that_stay, 0, 4);
	tcase_add_test(tcase, tried_again_by_one_that_ends);
	tcase_add_test(tcase, freed_with_slots_and_without_a_descriptor);
	tcase_add_test(tcase, work_that_is_left_over);
	tcase_add_test(tcase, what_kvm_lacks);
	tcase_add_test(tcase, kvm_that_does_not_move);
	tcase_add_test(tcase, slot_where_others_are_parked);
	tcase_add_test(tcase, one_slot_cannot_be_collected);
	tcase_add_test(tcase, giving_back_fails);
	tcase_add_test(tcase, clearing_fails_half_way);
	tcase_add_test(tcase, as_few_calls_as_can_be);
	suite_add_tcase(suite, tcase);
	return suite;
}
