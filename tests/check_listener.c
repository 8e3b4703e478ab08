/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Listeners: who is told what, in which order, and how a refusal is undone.
 * Each keeps a journal, a line an event, and a set of what it believes is there.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <vmmem/vmmem.h>

#include "guest.h"
#include "rng.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)
#define PLACES 32
#define LISTENERS 4

struct ear {
	char name;
	struct vmmem_listener *listener;
	/* Refuse the n-th event from now on with this code; 0: none. */
	unsigned int refuse_at;
	int code;
	int within;  /* between begin and published or abort */
	const struct vmmem_region *there[PLACES];
};

static char journal[8192];
static struct ear ears[LISTENERS];
static struct vmmem_space *space;
static unsigned int events;

static void
note(const struct ear *ear, const char *event, const char *detail)
{
	size_t len = strlen(journal);

	snprintf(journal + len, sizeof(journal) - len, "%c%s%s ", ear->name,
		 event, detail);
}

static int
refuses(struct ear *ear)
{
	events++;
	if (ear->refuse_at == 0 || --ear->refuse_at != 0)
		return 0;
	return ear->code;
}

/* The regions are named by what they are: a page number. */
static const char *
number(const struct vmmem_region *region)
{
	static char text[16];

	snprintf(text, sizeof(text), "%u",
		 (unsigned int)(vmmem_region_start(region) / PAGE));
	return text;
}

static int
on_begin(void *opaque, struct vmmem_collection *old_map,
	 struct vmmem_collection *new_map)
{
	struct ear *ear = opaque;

	ck_assert_ptr_nonnull(old_map);
	ck_assert_ptr_nonnull(new_map);
	ck_assert_int_eq(ear->within, 0);
	note(ear, "(", "");
	if (refuses(ear) != 0)
		return ear->code;
	ear->within = 1;
	return 0;
}

static int
on_removed(void *opaque, struct vmmem_region *region)
{
	struct ear *ear = opaque;
	const uint64_t place = vmmem_region_start(region) / PAGE;

	ck_assert_int_eq(ear->within, 1);
	ck_assert_ptr_eq(ear->there[place], region);
	note(ear, "-", number(region));
	if (refuses(ear) != 0)
		return ear->code;
	ear->there[place] = NULL;
	return 0;
}

static int
on_added(void *opaque, struct vmmem_region *region)
{
	struct ear *ear = opaque;
	const uint64_t place = vmmem_region_start(region) / PAGE;

	ck_assert_int_eq(ear->within, 1);
	/* Removals first: there is never more than one in a place. */
	ck_assert_ptr_null(ear->there[place]);
	note(ear, "+", number(region));
	if (refuses(ear) != 0)
		return ear->code;
	ear->there[place] = region;
	return 0;
}

static int
on_commit(void *opaque, struct vmmem_collection *old_map,
	  struct vmmem_collection *new_map)
{
	struct ear *ear = opaque;
	struct vmmem_collection *now;

	(void)old_map;
	ck_assert_int_eq(ear->within, 1);
	note(ear, "=", "");
	/* Not yet the current one. */
	now = vmmem_space_get(space);
	ck_assert(now != new_map || vmmem_collection_count(old_map) == 0);
	vmmem_collection_unref(now);
	return refuses(ear);
}

static void
on_published(void *opaque, struct vmmem_collection *old_map,
	     struct vmmem_collection *new_map)
{
	struct ear *ear = opaque;

	(void)old_map;
	(void)new_map;
	ck_assert_int_eq(ear->within, 1);
	ear->within = 0;
	note(ear, ")", "");
}

static void
on_abort(void *opaque, struct vmmem_collection *old_map,
	 struct vmmem_collection *new_map)
{
	struct ear *ear = opaque;

	(void)old_map;
	(void)new_map;
	ck_assert_int_eq(ear->within, 1);
	ear->within = 0;
	note(ear, "!", "");
}

static const struct vmmem_listener_ops all_ops = {
	.size = sizeof(all_ops),
	.begin = on_begin,
	.removed = on_removed,
	.added = on_added,
	.commit = on_commit,
	.published = on_published,
	.abort = on_abort,
};

static void
setup(void)
{
	struct vmmem_range ranges[] = { { 1 * PAGE, PAGE }, { 3 * PAGE, PAGE } };
	struct vmmem_collection *map = guest_of_ranges(ranges, 2);
	unsigned int i;

	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
	memset(ears, 0, sizeof(ears));
	for (i = 0; i < LISTENERS; i++)
		ears[i].name = (char)('a' + i);
	journal[0] = '\0';
}

static void
teardown(void)
{
	unsigned int i;

	for (i = 0; i < LISTENERS; i++) {
		vmmem_listener_free(ears[i].listener);
		ears[i].listener = NULL;
	}
	vmmem_space_unref(space);
}

static void
listen(unsigned int i, int32_t priority)
{
	const struct vmmem_listener_options options = {
		.size = sizeof(options),
		.priority = priority,
	};

	assert_ok(vmmem_listener_new(space, &all_ops, &ears[i], &options,
				     &ears[i].listener));
}

static void
expect_journal(const char *text)
{
	ck_assert_str_eq(journal, text);
	journal[0] = '\0';
}

/* What a listener believes must be what the space has. */
static void
expect_in_step(const struct ear *ear)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	unsigned int i;

	for (i = 0; i < PLACES; i++)
		ck_assert_ptr_eq(ear->there[i],
				 vmmem_collection_find(map, i * PAGE));
	ck_assert_int_eq(ear->within, 0);
	vmmem_collection_unref(map);
}

static struct vmmem_update *
begin(void)
{
	struct vmmem_update *update = NULL;

	assert_ok(vmmem_update_new(space, VMMEM_FOREVER, &update));
	return update;
}

static void
insert(struct vmmem_update *update, uint64_t place)
{
	struct vmmem_region *region = region_of(place * PAGE, PAGE);

	assert_ok(vmmem_update_insert(update, region));
	vmmem_region_unref(region);
}

static void
take_out(struct vmmem_update *update, uint64_t place)
{
	assert_ok(vmmem_update_remove(update, place * PAGE, PAGE, NULL));
}

START_TEST(arguments)
{
	struct vmmem_listener *none = (void *)&none, *made = none;
	struct {
		struct vmmem_listener_ops ops;
		uint64_t more;
	} newer = { .ops = all_ops };
	struct vmmem_listener_ops older = all_ops;

	assert_code(vmmem_listener_new(NULL, &all_ops, NULL, NULL, &made),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_listener_new(space, NULL, NULL, NULL, &made),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_listener_new(space, &all_ops, NULL, NULL, NULL),
		    VMMEM_EARGUMENT);
	older.size = 8;
	assert_code(vmmem_listener_new(space, &older, NULL, NULL, &made),
		    VMMEM_ESTRUCTSIZE);
	older.size = 5000;
	assert_code(vmmem_listener_new(space, &older, NULL, NULL, &made),
		    VMMEM_ESTRUCTSIZE);
	newer.ops.size = sizeof(newer);
	newer.more = 1;
	assert_code(vmmem_listener_new(space, &newer.ops, &ears[0], NULL, &made),
		    VMMEM_ESTRUCTNEWER);
	ck_assert_ptr_eq(made, none);
	expect_journal("");
	newer.more = 0;
	assert_ok(vmmem_listener_new(space, &newer.ops, &ears[0], NULL, &made));
	ears[0].listener = made;
	vmmem_listener_free(NULL);
}
END_TEST

/* One that is late is told all; one that leaves is told that all is gone. */
START_TEST(late_and_leaving)
{
	listen(0, 0);
	expect_journal("a( a+1 a+3 a= a) ");
	expect_in_step(&ears[0]);
	vmmem_listener_free(ears[0].listener);
	ears[0].listener = NULL;
	expect_journal("a( a-3 a-1 a= a) ");
	ck_assert_ptr_null(ears[0].there[1]);
	ck_assert_ptr_null(ears[0].there[3]);
}
END_TEST

/* What is in both maps is not spoken of. */
START_TEST(only_the_difference)
{
	struct vmmem_update *update;

	listen(0, 0);
	journal[0] = '\0';
	update = begin();
	insert(update, 2);
	take_out(update, 3);
	insert(update, 9);
	insert(update, 0);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	expect_journal("a( a-3 a+0 a+2 a+9 a= a) ");

	/* Out and in again in one update is no change. */
	update = begin();
	take_out(update, 9);
	insert(update, 9);
	take_out(update, 2);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	/* A region of the same range is another region, though. */
	expect_journal("a( a-9 a-2 a+9 a= a) ");
	expect_in_step(&ears[0]);
	vmmem_update_free(begin());
	update = begin();
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	expect_journal("");
}
END_TEST

/* Lowest first; what is taken away, highest first; equals as they came. */
START_TEST(priorities)
{
	struct vmmem_update *update;

	listen(0, 5);
	listen(1, -1);
	listen(2, 5);
	listen(3, INT32_MIN);
	journal[0] = '\0';
	update = begin();
	take_out(update, 1);
	insert(update, 7);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	expect_journal("d( b( a( c( c-1 a-1 b-1 d-1 d+7 b+7 a+7 c+7 "
		       "d= b= a= c= d) b) a) c) ");
}
END_TEST

static const struct {
	unsigned int ear, event;
	const char *journal;
} refusals[] = {
	{ 0, 1, "a( " },
	{ 1, 1, "a( b( a! " },
	{ 1, 2, "a( b( b-3 b! a! " },
	{ 0, 2, "a( b( b-3 a-3 b+3 b! a! " },
	{ 1, 3, "a( b( b-3 a-3 b-1 a+3 b+3 b! a! " },
	{ 0, 4, "a( b( b-3 a-3 b-1 a-1 a+7 a+1 b+1 a+3 b+3 b! a! " },
	{ 1, 4,
	  "a( b( b-3 a-3 b-1 a-1 a+7 b+7 a-7 a+1 b+1 a+3 b+3 b! a! " },
	{ 0, 5,
	  "a( b( b-3 a-3 b-1 a-1 a+7 b+7 a= b-7 a-7 a+1 b+1 a+3 b+3 b! a! " },
	{ 1, 5,
	  "a( b( b-3 a-3 b-1 a-1 a+7 b+7 a= b= b-7 a-7 a+1 b+1 a+3 b+3 b! a! " },
};

/* Wherever one refuses, the rest is undone, from the last to the first. */
START_TEST(refusing)
{
	struct vmmem_update *update;
	uint64_t generation;

	listen(0, 0);
	listen(1, 1);
	journal[0] = '\0';
	generation = vmmem_space_generation(space);
	update = begin();
	take_out(update, 1);
	take_out(update, 3);
	insert(update, 7);
	ears[refusals[_i].ear].refuse_at = refusals[_i].event;
	ears[refusals[_i].ear].code = -EACCES;
	assert_code(vmmem_update_commit(update), -EACCES);
	vmmem_update_free(update);
	expect_journal(refusals[_i].journal);
	expect_in_step(&ears[0]);
	expect_in_step(&ears[1]);
	ck_assert_uint_eq(vmmem_space_generation(space), generation);
	ck_assert_uint_eq(vmmem_space_retired(space), 0);

	/* And the next one goes through. */
	update = begin();
	take_out(update, 1);
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	expect_journal("a( b( b-1 a-1 a= b= a) b) ");
}
END_TEST

START_TEST(positive_is_no_code)
{
	struct vmmem_region *region = region_of(0, PAGE);
	struct vmmem_listener *none = (void *)&none;

	listen(0, 0);
	ears[0].refuse_at = 1;
	ears[0].code = 42;
	assert_code(vmmem_space_insert(space, region), VMMEM_ECALLBACK);
	expect_in_step(&ears[0]);
	/* One that does not even take the current map is none. */
	ears[1].refuse_at = 3;
	ears[1].code = -EBUSY;
	ears[1].listener = none;
	journal[0] = '\0';
	assert_code(vmmem_listener_new(space, &all_ops, &ears[1], NULL,
				       &ears[1].listener),
		    -EBUSY);
	expect_journal("b( b+1 b+3 b-1 b! ");
	ck_assert_ptr_eq(ears[1].listener, none);
	ears[1].listener = NULL;
	assert_ok(vmmem_space_insert(space, region));
	expect_journal("a( a+0 a= a) ");
	vmmem_region_unref(region);
}
END_TEST

/* Members that are NULL are not called. */
START_TEST(deaf)
{
	struct vmmem_listener_ops ops = { .size = sizeof(ops) };
	struct vmmem_region *region = region_of(0, PAGE);

	assert_ok(vmmem_listener_new(space, &ops, NULL, NULL,
				     &ears[0].listener));
	listen(1, 1);
	assert_ok(vmmem_space_insert(space, region));
	ears[1].refuse_at = 3;
	ears[1].code = -EPERM;
	assert_code(vmmem_space_remove(space, 0, PAGE, NULL), -EPERM);
	expect_in_step(&ears[1]);
	assert_ok(vmmem_space_remove(space, 0, PAGE, NULL));
	vmmem_region_unref(region);
}
END_TEST

/* A callback may read, and may not write. */
static int
meddle(void *opaque, struct vmmem_region *region)
{
	struct vmmem_listener **self = opaque;
	struct vmmem_update *update;
	struct vmmem_collection *map;
	struct vmmem_reader *reader;

	assert_code(vmmem_update_new(space, VMMEM_FOREVER, &update),
		    VMMEM_ESELFWAIT);
	assert_code(vmmem_space_insert(space, region), VMMEM_ESELFWAIT);
	assert_code(vmmem_listener_new(space, &all_ops, NULL, NULL, self),
		    VMMEM_ESELFWAIT);
	map = vmmem_space_get(space);
	ck_assert_ptr_nonnull(map);
	vmmem_collection_unref(map);
	assert_ok(vmmem_reader_new(space, NULL, &reader));
	ck_assert_ptr_nonnull(vmmem_reader_enter(reader));
	vmmem_reader_leave(reader);
	vmmem_reader_free(reader);
	assert_ok(vmmem_space_synchronize(space, VMMEM_FOREVER));
	return 0;
}

START_TEST(callbacks_may_read)
{
	struct vmmem_listener_ops ops = {
		.size = sizeof(ops),
		.added = meddle,
		.removed = meddle,
	};
	struct vmmem_region *region = region_of(0, PAGE);
	struct vmmem_listener *listener = NULL;

	assert_ok(vmmem_listener_new(space, &ops, &listener, NULL, &listener));
	assert_ok(vmmem_space_insert(space, region));
	assert_ok(vmmem_space_remove(space, 0, PAGE, NULL));
	vmmem_listener_free(listener);
	vmmem_region_unref(region);
}
END_TEST

/* A listener that frees others, or itself, when a certain place is added. */
struct dropper {
	struct vmmem_listener *victims[2];
	struct vmmem_listener *self;
	uint64_t at;
	int code, heard, destroyed;
	bool insert_at_the_end;
};

static int
drop(void *opaque, struct vmmem_region *region)
{
	struct dropper *dropper = opaque;
	size_t i;

	ck_assert_int_eq(dropper->destroyed, 0);
	dropper->heard++;
	if (vmmem_region_start(region) != dropper->at)
		return 0;
	for (i = 0; i < 2; i++)
		dropper->victims[i] = vmmem_listener_free(dropper->victims[i]);
	return dropper->code;
}

static void
destroyed(void *opaque)
{
	struct dropper *dropper = opaque;
	struct vmmem_region *region;

	dropper->destroyed++;
	if (!dropper->insert_at_the_end)
		return;
	/* No lock is held. */
	region = region_of(30 * PAGE, PAGE);
	assert_ok(vmmem_space_insert(space, region));
	vmmem_region_unref(region);
}

static const struct vmmem_listener_ops drop_ops = {
	.size = sizeof(drop_ops),
	.removed = drop,
	.added = drop,
	.destroy = destroyed,
};

static void
make_dropper(struct dropper *dropper, int32_t priority)
{
	const struct vmmem_listener_options options = {
		.size = sizeof(options),
		.name = "dropper",
		.priority = priority,
	};

	assert_ok(vmmem_listener_new(space, &drop_ops, dropper, &options,
				     &dropper->self));
	dropper->heard = 0;
}

/* Freed from another one's callback, whether its turn has been or comes. */
START_TEST(freed_in_a_callback)
{
	struct dropper dropper = { .at = 5 * PAGE }, before = { 0 },
		       after = { .insert_at_the_end = true };
	struct vmmem_region *region = region_of(5 * PAGE, PAGE);

	make_dropper(&before, -1);
	make_dropper(&dropper, 0);
	make_dropper(&after, 1);
	dropper.victims[0] = before.self;
	dropper.victims[1] = after.self;
	assert_ok(vmmem_space_insert(space, region));
	ck_assert_int_eq(before.destroyed, 1);
	ck_assert_int_eq(after.destroyed, 1);
	ck_assert_int_eq(before.heard, 1);
	ck_assert_int_eq(after.heard, 0);
	/* That of place 30, too, which the last words of 'after' added. */
	ck_assert_int_eq(dropper.heard, 2);
	ck_assert_int_eq(dropper.destroyed, 0);
	ck_assert_ptr_null(vmmem_listener_free(dropper.self));
	ck_assert_int_eq(dropper.destroyed, 1);
	ck_assert_int_eq(dropper.heard, 2 + 4);
	vmmem_region_unref(region);
}
END_TEST

/* What a listener says that has freed itself does not count. */
START_TEST(freed_in_its_own_callback)
{
	struct dropper dropper = { .at = 5 * PAGE, .code = _i };
	struct vmmem_region *region = region_of(5 * PAGE, PAGE);

	make_dropper(&dropper, 0);
	dropper.victims[0] = dropper.self;
	assert_ok(vmmem_space_insert(space, region));
	ck_assert_int_eq(dropper.heard, 1);
	ck_assert_int_eq(dropper.destroyed, 1);
	assert_ok(vmmem_space_remove(space, 5 * PAGE, PAGE, NULL));
	ck_assert_int_eq(dropper.heard, 1);
	vmmem_region_unref(region);
}
END_TEST

/* A refusal goes on to be undone, without those that were freed. */
START_TEST(freed_and_refused)
{
	struct dropper dropper = { .at = 5 * PAGE, .code = -EBUSY },
		       victim = { 0 };
	struct vmmem_region *region = region_of(5 * PAGE, PAGE);
	struct vmmem_update *update;

	listen(0, -2);
	make_dropper(&victim, -1);
	make_dropper(&dropper, 0);
	dropper.victims[0] = victim.self;
	update = begin();
	take_out(update, 1);
	assert_ok(vmmem_update_insert(update, region));
	assert_code(vmmem_update_commit(update), -EBUSY);
	vmmem_update_free(update);
	expect_in_step(&ears[0]);
	ck_assert_int_eq(victim.destroyed, 1);
	/* Removed and added, and nothing taken back. */
	ck_assert_int_eq(victim.heard, 2);
	vmmem_listener_free(dropper.self);
	vmmem_region_unref(region);
}
END_TEST

/* Freed between the calls for a fork, whose locks the thread has. */
START_TEST(freed_around_a_fork)
{
	struct dropper dropper = { .insert_at_the_end = true };

	make_dropper(&dropper, 0);
	assert_ok(vmmem_space_before_fork(space));
	vmmem_listener_free(dropper.self);
	vmmem_space_after_fork_parent(space);
	ck_assert_int_eq(dropper.destroyed, 1);
	/* What it inserted. */
	assert_ok(vmmem_space_remove(space, 30 * PAGE, PAGE, NULL));
}
END_TEST

/* A maker that fails has taken nothing over. */
START_TEST(never_destroyed)
{
	struct dropper dropper = { .at = PAGE, .code = -EBUSY };
	struct vmmem_listener *made = (void *)&made;

	assert_code(vmmem_listener_new(space, &drop_ops, &dropper, NULL, &made),
		    -EBUSY);
	ck_assert_int_eq(dropper.destroyed, 0);
	ck_assert_ptr_eq(made, (void *)&made);
}
END_TEST

START_TEST(with_options)
{
	struct vmmem_listener_options options = { .size = sizeof(options),
						  .name = "a name" };
	struct vmmem_listener *made = NULL;
	char name[] = "123456789012345678901234567890"
		      "1234567890123456789012345678901234";

	options.priority = -7;
	assert_ok(vmmem_listener_new(space, &all_ops, &ears[0], &options,
				     &ears[0].listener));
	ck_assert_str_eq(vmmem_listener_name(ears[0].listener), "a name");
	ck_assert_int_eq(vmmem_listener_priority(ears[0].listener), -7);
	ck_assert_ptr_eq(vmmem_listener_space(ears[0].listener), space);
	ck_assert_ptr_null(vmmem_listener_name(NULL));
	ck_assert_ptr_null(vmmem_listener_space(NULL));
	ck_assert_int_eq(vmmem_listener_priority(NULL), 0);
	options.name = name;
	assert_code(vmmem_listener_new(space, &all_ops, NULL, &options, &made),
		    VMMEM_ELONGNAME);
	name[63] = '\0';
	options.flags = 1;
	assert_code(vmmem_listener_new(space, &all_ops, NULL, &options, &made),
		    VMMEM_EARGUMENT);
	options.flags = 0;
	options.size = 8;
	assert_code(vmmem_listener_new(space, &all_ops, NULL, &options, &made),
		    VMMEM_ESTRUCTSIZE);
	ck_assert_ptr_null(made);
	options.size = sizeof(options);
	assert_ok(vmmem_listener_new(space, &all_ops, &ears[1], &options,
				     &ears[1].listener));
	ck_assert_str_eq(vmmem_listener_name(ears[1].listener), name);
}
END_TEST

/* A listener keeps its space. */
START_TEST(the_last_listener_ends_the_space)
{
	listen(0, 0);
	vmmem_space_unref(space);
	journal[0] = '\0';
	vmmem_listener_free(ears[0].listener);
	ears[0].listener = NULL;
	expect_journal("a( a-3 a-1 a= a) ");
	setup();
}
END_TEST

/*
 * Random updates, of which some are refused at some event by some listener:
 * all stay in step, always.
 */
START_TEST(random_updates)
{
	const uint64_t seed = rng_seed(), rounds = rng_rounds(8000);
	struct rng rng = { seed };
	struct vmmem_update *update;
	unsigned int i, ear, refused = 0;
	uint64_t round, place;
	int rc;

	printf("seed %#jx\n", (uintmax_t)seed);
	for (i = 0; i < LISTENERS; i++)
		listen(i, (int32_t)rng_below(&rng, 3));
	for (round = 0; round < rounds; round++) {
		journal[0] = '\0';
		update = begin();
		for (i = (unsigned int)rng_below(&rng, 6); i > 0; i--) {
			place = rng_below(&rng, PLACES);
			if (vmmem_collection_contains(vmmem_update_collection(update),
						      place * PAGE))
				take_out(update, place);
			else
				insert(update, place);
		}
		ear = (unsigned int)rng_below(&rng, LISTENERS);
		if (rng_chance(&rng, 30)) {
			ears[ear].refuse_at =
				1 + (unsigned int)rng_below(&rng, 8);
			ears[ear].code = -EACCES;
		}
		rc = vmmem_update_commit(update);
		vmmem_update_free(update);
		refused += rc != 0;
		if (rc != 0)
			assert_code(rc, -EACCES);
		ears[ear].refuse_at = 0;
		for (i = 0; i < LISTENERS; i++)
			expect_in_step(&ears[i]);
	}
	ck_assert_uint_ne(refused, 0);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("listener");
	TCase *tcase = tcase_create("listener");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, late_and_leaving);
	tcase_add_test(tcase, only_the_difference);
	tcase_add_test(tcase, priorities);
	tcase_add_loop_test(tcase, refusing, 0, (int)ARRAY_LEN(refusals));
	tcase_add_test(tcase, positive_is_no_code);
	tcase_add_test(tcase, deaf);
	tcase_add_test(tcase, callbacks_may_read);
	tcase_add_test(tcase, freed_in_a_callback);
	tcase_add_loop_test(tcase, freed_in_its_own_callback, -1, 2);
	tcase_add_test(tcase, freed_and_refused);
	tcase_add_test(tcase, freed_around_a_fork);
	tcase_add_test(tcase, never_destroyed);
	tcase_add_test(tcase, with_options);
	tcase_add_test(tcase, the_last_listener_ends_the_space);
	tcase_add_test(tcase, random_updates);
	suite_add_tcase(suite, tcase);
	return suite;
}
