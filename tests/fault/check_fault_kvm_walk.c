/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A random walk.  Regions come and go, logging starts and stops, a guest
 * writes; and on the way each call that is made is made to fail.  All the time
 * a model says which slots there must be and which pages must be marked.  The
 * machine is the fake one, and where there is a real one, that one too.
 */
#include "kvm_model.h"
#include "rng.h"
#include "suite.h"

#include <stdio.h>

#include <vmmem/kvm.h>

const char *
skip_reason(void)
{
	return fake_kvm_missing();
}

static struct rng rng;
static uint32_t way;
static struct vmmem_region *memory[MEMORIES];
static bool written[MEMORIES][MEMORY_PAGES]; /* and not harvested */
static bool inexact; /* since the last harvest something has failed */
static uint64_t faults, edits;

/* ---- the guest */

static void
guest_writes(void)
{
	uint64_t gpa = rng_below(&rng, CELLS * 4) * FAKE_PAGE;
	int vcpu = (int)rng_below(&rng, FAKE_VCPUS);
	unsigned int i, m;

	for (i = 0; i < FAKE_SLOTS; i++) {
		const struct fake_region2 *is = &fake.slots[i].is;
		uint64_t at;

		if (is->len == 0 || gpa < is->gpa || gpa - is->gpa >= is->len)
			continue;
		if (!fake_kvm_write(vcpu, gpa) ||
		    (is->flags & KVM_MEM_LOG_DIRTY_PAGES) == 0)
			return;
		at = is->host + (gpa - is->gpa);
		for (m = 0; m < MEMORIES; m++)
			if (at - (uintptr_t)host[m] < MEMORY_CELLS * CELL)
				written[m][(at - (uintptr_t)host[m]) /
					   FAKE_PAGE] = true;
		return;
	}
}

/*
 * Takes what is marked after a collect that failed, as one who copies those
 * pages and goes on: what is written from now on has to be marked again.
 */
static void
take_early(void)
{
	unsigned int m, page;

	for (m = 0; m < MEMORIES; m++) {
		struct vmmem_bitmap *bitmap = vmmem_region_bitmap(memory[m]);

		for (page = 0; page < MEMORY_PAGES; page++)
			if (vmmem_bitmap_test(bitmap, page * FAKE_PAGE))
				written[m][page] = false;
		if (bitmap != NULL)
			REQUIRE(vmmem_bitmap_clear(bitmap, 0,
						   vmmem_bitmap_len(bitmap)) ==
				0);
	}
}

/* Everything that was written while it was logged is marked. */
static void
harvest(void)
{
	unsigned int m, page;

	REQUIRE(vmmem_kvm_log_collect(kvm, NULL) == 0);
	for (m = 0; m < MEMORIES; m++) {
		struct vmmem_bitmap *bitmap = vmmem_region_bitmap(memory[m]);

		for (page = 0; page < MEMORY_PAGES; page++) {
			bool marked = vmmem_bitmap_test(bitmap,
							page * FAKE_PAGE) != 0;

			REQUIRE(marked || !written[m][page]);
			REQUIRE(!marked || written[m][page] || inexact ||
				way == VMMEM_KVM_LOG_ALL_SET);
		}
		if (bitmap != NULL)
			REQUIRE(vmmem_bitmap_clear(bitmap, 0,
						   vmmem_bitmap_len(bitmap)) ==
				0);
	}
	memset(written, 0, sizeof(written));
	inexact = false;
}

/* ---- making a change */

static int
no_read(void *opaque, uint64_t offset, void *buf, size_t len,
	const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	memset(buf, 0, len);
	return 0;
}

static struct vmmem_region *
region_of(const struct shown *shown)
{
	struct vmmem_region_ops ops = { .size = sizeof(ops), .read = no_read };
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;
	uint64_t odd = shown->odd ? 16 : 0;

	REQUIRE(builder != NULL);
	vmmem_region_builder_set_range(builder, shown->cell * CELL + odd,
				       shown->cells * CELL - odd);
	if (shown->hostless)
		vmmem_region_builder_set_custom(builder, &ops, NULL);
	else
		vmmem_region_builder_set_alias(builder, memory[shown->memory],
					       shown->offset * CELL + odd);
	if (shown->read_only)
		vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	REQUIRE(vmmem_region_builder_build(builder, &region) == 0);
	vmmem_region_builder_free(builder);
	return region;
}

static struct shown
random_shown(void)
{
	struct shown shown = {
		.cells = 1 + (unsigned int)rng_below(&rng, MEMORY_CELLS - 1),
		.read_only = rng_chance(&rng, 20),
		.hostless = rng_chance(&rng, 6),
		.odd = rng_chance(&rng, 1),
	};

	shown.memory = (unsigned int)rng_below(&rng, UNTRACKED);
	if (rng_chance(&rng, 4))
		shown.memory = UNTRACKED;
	shown.offset = (unsigned int)rng_below(&rng,
					       MEMORY_CELLS - shown.cells + 1);
	shown.cell = (unsigned int)rng_below(&rng, CELLS);
	return shown;
}

/* A change is what goes and what comes, as lists of the model's regions. */
struct change {
	struct shown out[4], in[4];
	struct vmmem_region *made[4];
	unsigned int outs, ins;
	struct model after;
};

static void
take_out(struct change *change)
{
	struct model *m = &change->after;
	unsigned int i;

	if (m->count == 0 || change->outs == 4)
		return;
	i = (unsigned int)rng_below(&rng, m->count);
	/* What has just come does not go at once. */
	if (i >= model.count - change->outs)
		return;
	change->out[change->outs++] = m->region[i];
	memmove(&m->region[i], &m->region[i + 1],
		(--m->count - i) * sizeof(m->region[0]));
}

static void
put_in(struct change *change, const struct shown *shown)
{
	struct model *m = &change->after;

	if (change->ins == 4 || !is_free(m, shown->cell, shown->cells))
		return;
	change->in[change->ins++] = *shown;
	m->region[m->count++] = *shown;
}

/* The same as one that goes, but for this or that. */
static struct shown
like(const struct shown *old)
{
	struct shown shown = *old;

	switch (rng_below(&rng, 5)) {
	case 0:
		shown.cell = (unsigned int)rng_below(&rng, CELLS);
		break;
	case 1:
		shown.read_only = !shown.read_only;
		break;
	case 2:
		shown.memory = (unsigned int)rng_below(&rng, UNTRACKED);
		break;
	case 3:
		shown.cell += rng_chance(&rng, 50) ? 1 : 0;
		break;
	default:
		break;
	}
	return shown;
}

static void
plan_change(struct change *change)
{
	unsigned int i, steps = 1 + (unsigned int)rng_below(&rng, 3);
	struct shown shown;

	memset(change, 0, sizeof(*change));
	change->after = model;
	for (i = 0; i < steps; i++)
		if (rng_chance(&rng, model.count > 9 ? 70 : 40))
			take_out(change);
	for (i = 0; i < change->outs; i++)
		if (rng_chance(&rng, 60)) {
			shown = like(&change->out[i]);
			put_in(change, &shown);
		}
	for (i = 0; i < steps; i++)
		if (rng_chance(&rng, 50)) {
			shown = random_shown();
			put_in(change, &shown);
		}
	for (i = 0; i < change->ins; i++)
		change->made[i] = region_of(&change->in[i]);
	/* A start ends with the last region that shows the memory. */
	for (i = 0; i < MEMORIES; i++) {
		bool shows = false;
		unsigned int j;

		for (j = 0; j < change->after.count; j++)
			if (!change->after.region[j].hostless &&
			    change->after.region[j].memory == i)
				shows = true;
		if (!shows && (change->outs != 0 || change->ins != 0))
			change->after.starts[i] = 0;
	}
}

static void
drop_change(struct change *change)
{
	unsigned int i;

	for (i = 0; i < change->ins; i++)
		vmmem_region_unref(change->made[i]);
}

static int
make_change(const struct change *change)
{
	struct vmmem_update *update;
	unsigned int i;
	int rc;

	rc = vmmem_update_new(space, VMMEM_FOREVER, &update);
	if (rc != 0)
		return rc;
	for (i = 0; i < change->outs && rc == 0; i++) {
		const struct shown *out = &change->out[i];
		uint64_t odd = out->odd ? 16 : 0;

		rc = vmmem_update_remove(update, out->cell * CELL + odd,
					 out->cells * CELL - odd, NULL);
	}
	for (i = 0; i < change->ins && rc == 0; i++)
		rc = vmmem_update_insert(update, change->made[i]);
	if (rc == 0)
		rc = vmmem_update_commit(update);
	vmmem_update_free(update);
	return rc;
}

/* ---- failing on the way */

static const int errors[] = { EIO, EPERM, ENOMEM, ENOENT };

/*
 * Whatever the change, it is done once and to the end; before that each call
 * that is made for it fails once, and each time nothing has changed.
 */
static int
one_by_one(int (*attempt)(const void *what), const void *what)
{
	unsigned int n;
	int rc = 0;

	for (n = 1;; n++) {
		inject_start(n, errors[rng_below(&rng, 4)], false);
		rc = attempt(what);
		inject_stop();
		if (inject_fired() == NULL)
			return rc;
		faults++;
		inexact = true;
		/* Some failures there is a way around, or nothing to say of. */
		if (rc == 0)
			return 0;
		if (rc != inject_code())
			return rc;
		/* Back, at once: one call failed, and none of undoing. */
		expect_all();
	}
}

/* Several calls in a row: undoing may fail too, and is left over then. */
static int
in_a_row(int (*attempt)(const void *what), const void *what)
{
	int rc;

	fake.calls = 0;
	fake.fail_from = 1 + (unsigned int)rng_below(&rng, 6);
	fake.fail_to = fake.fail_from + (unsigned int)rng_below(&rng, 5);
	fake.fail_with = errors[rng_below(&rng, 4)];
	rc = attempt(what);
	if (fake.calls >= fake.fail_from) {
		faults++;
		inexact = true;
	}
	/* Left over work may go wrong a few times more. */
	while (vmmem_kvm_is_pending(kvm) && fake.calls < fake.fail_to)
		if (vmmem_kvm_sync(kvm) == 0)
			break;
	fake.fail_from = fake.fail_to = 0;
	REQUIRE(vmmem_kvm_sync(kvm) == 0);
	return rc;
}

static int
with_luck(int (*attempt)(const void *what), const void *what)
{
	uint64_t luck = rng_below(&rng, 10);

	return luck < 3	 ? one_by_one(attempt, what) :
	       luck == 3 ? in_a_row(attempt, what) :
			   attempt(what);
}

static int
attempt_change(const void *what)
{
	return make_change(what);
}

static bool
is_an_error_of_ours(int rc)
{
	size_t i;

	for (i = 0; i < 4; i++)
		if (rc == -errors[i])
			return true;
	return false;
}

static void
edit(void)
{
	struct change change;
	int rc;

	plan_change(&change);
	rc = with_luck(attempt_change, &change);
	if (rc == 0) {
		REQUIRE(!must_be_refused(&change.after));
		model = change.after;
	} else if (!is_an_error_of_ours(rc)) {
		REQUIRE(refusable(&change.after, rc));
	}
	drop_change(&change);
	expect_all();
	edits++;
}

/* ---- logging */

struct toggle {
	struct vmmem_region *region; /* NULL for all */
	bool on;
};

static int
attempt_toggle(const void *what)
{
	const struct toggle *toggle = what;

	return toggle->on ? vmmem_kvm_log_start(kvm, toggle->region) :
			    vmmem_kvm_log_stop(kvm, toggle->region);
}

static bool
is_shown(unsigned int m)
{
	unsigned int i;

	for (i = 0; i < model.count; i++)
		if (model.region[i].memory == m && !model.region[i].hostless)
			return true;
	return false;
}

static void
toggle_log(void)
{
	unsigned int m = (unsigned int)rng_below(&rng, MEMORIES + 2);
	unsigned int *count = m < MEMORIES ? &model.starts[m] : &model.all;
	struct toggle toggle = { .on = *count == 0 || rng_chance(&rng, 20) };
	struct model after = model;
	int rc;

	if (m < MEMORIES) {
		toggle.region = memory[m];
		after.starts[m] += toggle.on ? 1U : -1U;
	} else {
		after.all += toggle.on ? 1U : -1U;
	}
	if (toggle.on) {
		rc = with_luck(attempt_toggle, &toggle);
		if (rc == VMMEM_ENOREGION)
			REQUIRE(m < MEMORIES && !is_shown(m));
		else if (rc == 0)
			REQUIRE(!must_be_refused(&after));
		else if (!is_an_error_of_ours(rc))
			REQUIRE(refusable(&after, rc));
		if (rc == 0)
			model = after;
	} else {
		/* It is taken back, whatever it says. */
		rc = rng_chance(&rng, 30) ? in_a_row(attempt_toggle, &toggle) :
					    attempt_toggle(&toggle);
		REQUIRE(rc == 0 || is_an_error_of_ours(rc));
		model = after;
	}
	expect_all();
}

static int
attempt_collect(const void *what)
{
	(void)what;
	return vmmem_kvm_log_collect(kvm, NULL);
}

/* ---- the walk */

static void
begin(void)
{
	struct vmmem_kvm_options options = { .size = sizeof(options),
					     .first_slot = FIRST_SLOT,
					     .max_slots = MAX_SLOTS,
					     .log = way,
					     .ring_entries = RING,
					     .flags = joins ?
						     0 :
						     VMMEM_KVM_FLAG_NO_MERGE };
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_collection *empty;
	unsigned int m;
	uint64_t len;

	memset(&model, 0, sizeof(model));
	memset(written, 0, sizeof(written));
	inexact = false;
	for (m = 0; m < MEMORIES; m++) {
		vmmem_region_builder_set_range(builder, m << 30,
					       MEMORY_CELLS * CELL);
		vmmem_region_builder_set_tracking(
			builder, m == UNTRACKED ? 0 : FAKE_PAGE);
		REQUIRE(vmmem_region_builder_build(builder, &memory[m]) == 0);
		REQUIRE(vmmem_region_host_address(memory[m], 0,
						  (void **)&host[m],
						  &len) == 0);
	}
	vmmem_region_builder_free(builder);
	REQUIRE(vmmem_collection_new_empty(&empty) == 0);
	REQUIRE(vmmem_space_new(empty, NULL, &space) == 0);
	vmmem_collection_unref(empty);
	fake_kvm_open(true);
	inject_ioctl = fake_kvm_ioctl;
	REQUIRE(vmmem_kvm_new(space, fake.fd, &options, &kvm) == 0);
	for (m = 0; m < FAKE_VCPUS && way == VMMEM_KVM_LOG_RING; m++)
		REQUIRE(vmmem_kvm_add_vcpu(kvm, fake_kvm_vcpu((int)m, RING)) ==
			0);
}

/*
 * The real machine's slots, which it does not list: another one is refused
 * where there is one, and to make the same one again is no change.
 */
static void
expect_real_slots(void)
{
	struct kvm_userspace_memory_region probe = {
		.slot = FIRST_SLOT + MAX_SLOTS + 1,
		.userspace_addr = (uintptr_t)host[0],
	};
	unsigned int i;

	for (i = 0; i < CELLS * 4; i++) {
		uint64_t gpa = i * FAKE_PAGE;
		unsigned int j;
		bool taken = false;

		for (j = 0; j < model.count; j++)
			if (!model.region[j].hostless &&
			    i / 4 >= model.region[j].cell &&
			    i / 4 - model.region[j].cell <
				    model.region[j].cells)
				taken = true;
		probe.guest_phys_addr = gpa;
		probe.memory_size = FAKE_PAGE;
		REQUIRE((__real_ioctl(fake.real, KVM_SET_USER_MEMORY_REGION,
				      &probe) == 0) == !taken);
		if (taken)
			continue;
		probe.memory_size = 0;
		REQUIRE(__real_ioctl(fake.real, KVM_SET_USER_MEMORY_REGION,
				     &probe) == 0);
	}
}

static void
end(void)
{
	unsigned int i;

	harvest();
	end_kvm(kvm);
	for (i = 0; i < FAKE_SLOTS; i++)
		REQUIRE(fake.slots[i].is.len == 0);
	vmmem_space_unref(space);
	for (i = 0; i < MEMORIES; i++)
		vmmem_region_unref(memory[i]);
	inject_ioctl = NULL;
	fake_kvm_close();
}

START_TEST(walk)
{
	uint64_t seed = rng_seed(), rounds = rng_rounds(15000);

	rng.state = seed + (uint64_t)_i;
	way = (uint32_t)_i / 2;
	joins = _i % 2 != 0;
	faults = edits = 0;
	printf("way %u, seed 0x%llx, %llu edits\n", way,
	       (unsigned long long)seed, (unsigned long long)rounds);
	fflush(stdout);
	begin();
	while (edits < rounds) {
		unsigned int i;

		edit();
		for (i = 0; i < 4; i++)
			guest_writes();
		if (rng_chance(&rng, 8))
			toggle_log();
		if (rng_chance(&rng, 10)) {
			int rc = with_luck(attempt_collect, NULL);

			REQUIRE(rc == 0 || is_an_error_of_ours(rc));
			if (rc != 0)
				take_early();
		}
		if (rng_chance(&rng, 10))
			harvest();
	}
	if (fake.real >= 0)
		expect_real_slots();
	printf("way %u: %llu calls failed; %s\n", way,
	       (unsigned long long)faults,
	       fake.real >= 0 ? "a real machine agrees" : "no real machine");
	end();
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, a walk over kvm's slots");
	TCase *tcase = tcase_create("walk");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, walk, 2 * VMMEM_KVM_LOG_GET,
			    2 * VMMEM_KVM_LOG_RING + 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
