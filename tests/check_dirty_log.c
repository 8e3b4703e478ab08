/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The dirty log of a space: the loop that anybody would write moves all of the
 * memory, whatever fails on the way and whatever is plugged in and out.
 */
#include <vmmem/vmmem.h>

#include "guest.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)
#define MIB UINT64_C(0x100000)
#define HIGH (UINT64_C(1) << 32)

/* RAM of 16 pages: the first half low, the second above 4 GiB. */
#define HALF (8 * PAGE)

static struct vmmem_region *ram;
static struct vmmem_space *space;
static struct vmmem_dirty_log *dirty;

/* The other side, and when its next sends fail. */
static unsigned char there[64 * PAGE];
static int fail_in, sends;

static struct vmmem_region *
tracked(uint64_t gpa, uint64_t len, uint64_t page)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *region;

	vmmem_region_builder_set_range(builder, gpa, len);
	vmmem_region_builder_set_tracking(builder, page);
	assert_ok(vmmem_region_builder_build(builder, &region));
	vmmem_region_builder_free(builder);
	return region;
}

static struct vmmem_region *
alias(uint64_t gpa, uint64_t len, uint64_t offset)
{
	struct vmmem_region *region;

	assert_ok(vmmem_region_new_alias(gpa, len, ram, offset, &region));
	return region;
}

static void
insert(struct vmmem_region *region)
{
	assert_ok(vmmem_space_insert(space, region));
	vmmem_region_unref(region);
}

static void
setup(void)
{
	struct vmmem_collection *map;

	assert_ok(vmmem_collection_new_empty(&map));
	assert_ok(vmmem_space_new(map, NULL, &space));
	vmmem_collection_unref(map);
	ram = tracked(0, 2 * HALF, PAGE);
	insert(alias(0, HALF, 0));
	insert(alias(HIGH, HALF, HALF));
	dirty = NULL;
	fail_in = -1;
	sends = 0;
	memset(there, 0xee, sizeof(there));
}

static void
teardown(void)
{
	vmmem_dirty_log_free(dirty);
	vmmem_space_unref(space);
	vmmem_region_unref(ram);
}

static void
start(uint32_t flags)
{
	const struct vmmem_dirty_log_options options = {
		.size = sizeof(options),
		.flags = flags,
	};

	assert_ok(vmmem_dirty_log_new(space, &options, &dirty));
}

static uint64_t
collected(void)
{
	uint64_t bytes = UINT64_MAX;

	assert_ok(vmmem_dirty_log_collect(dirty, &bytes));
	ck_assert_uint_eq(bytes, vmmem_dirty_log_count(dirty));
	return bytes;
}

static void
write_at(uint64_t gpa, uint8_t value)
{
	struct vmmem_collection *map = vmmem_space_get(space);

	assert_ok(vmmem_collection_write_u8(map, gpa, value));
	vmmem_collection_unref(map);
}

/* Low addresses are there as they are, high ones behind 32 pages. */
static unsigned char *
place(uint64_t gpa)
{
	return gpa < HIGH ? there + gpa : there + 32 * PAGE + (gpa - HIGH);
}

static int
send_bytes(uint64_t gpa, uint64_t len)
{
	struct vmmem_collection *map = vmmem_space_get(space);

	sends++;
	if (fail_in >= 0 && fail_in-- == 0) {
		vmmem_collection_unref(map);
		return -EPIPE;
	}
	assert_ok(vmmem_collection_read(map, gpa, place(gpa), (size_t)len,
					NULL));
	vmmem_collection_unref(map);
	return 0;
}

/* The loop of the header: a page at a time, as a sender divides ranges. */
static int
send_dirty(void)
{
	struct vmmem_dirty_range range = { 0 }, page;
	int rc;

	for (;;) {
		rc = vmmem_dirty_log_next(dirty, &range);
		if (rc != 0 || range.len == 0)
			return rc;
		for (page = range; page.gpa < range.gpa + range.len;
		     page.gpa += page.len) {
			page.len = PAGE - page.gpa % PAGE;
			if (page.len > range.gpa + range.len - page.gpa)
				page.len = range.gpa + range.len - page.gpa;
			rc = send_bytes(page.gpa, page.len);
			if (rc == 0)
				rc = vmmem_dirty_log_confirm(dirty, &page);
			if (rc != 0)
				return rc;
		}
	}
}

static void
expect_moved(void)
{
	struct vmmem_collection *map = vmmem_space_get(space);
	static unsigned char here[16 * PAGE];
	struct vmmem_region *region;
	uint64_t gpa, len;
	size_t i;

	for (i = 0; i < vmmem_collection_count(map); i++) {
		region = vmmem_collection_region(map, i);
		gpa = vmmem_region_start(region);
		len = vmmem_region_len(region);
		assert_ok(vmmem_collection_read(map, gpa, here, (size_t)len,
						NULL));
		ck_assert_mem_eq(place(gpa), here, (size_t)len);
	}
	vmmem_collection_unref(map);
}

/* What next() finds from 'gpa' on, which is not changed. */
static void
expect_next(uint64_t gpa, uint64_t found, uint64_t len)
{
	struct vmmem_dirty_range range = { .gpa = gpa };

	assert_ok(vmmem_dirty_log_next(dirty, &range));
	ck_assert_uint_eq(range.gpa, found);
	ck_assert_uint_eq(range.len, len);
}

START_TEST(refusals)
{
	struct vmmem_dirty_log *none = (void *)&none, *made = none;
	struct vmmem_dirty_log_options options = { .size = sizeof(options) };
	struct vmmem_dirty_range range = { 0 };
	uint64_t bytes = 7;

	assert_code(vmmem_dirty_log_new(NULL, NULL, &made), VMMEM_EARGUMENT);
	assert_code(vmmem_dirty_log_new(space, NULL, NULL), VMMEM_EARGUMENT);
	options.flags = 4;
	assert_code(vmmem_dirty_log_new(space, &options, &made),
		    VMMEM_EARGUMENT);
	options.flags = 0;
	options.reserved = 1;
	assert_code(vmmem_dirty_log_new(space, &options, &made),
		    VMMEM_EARGUMENT);
	options.reserved = 0;
	/* That of 0.9 is 48. */
	options.size = 47;
	assert_code(vmmem_dirty_log_new(space, &options, &made),
		    VMMEM_ESTRUCTSIZE);
	ck_assert_ptr_eq(made, none);
	ck_assert_ptr_null(vmmem_dirty_log_free(NULL));
	ck_assert_ptr_null(vmmem_dirty_log_space(NULL));
	ck_assert_ptr_null(vmmem_dirty_log_name(NULL));
	ck_assert_uint_eq(vmmem_dirty_log_count(NULL), 0);
	assert_code(vmmem_dirty_log_collect(NULL, &bytes), VMMEM_EARGUMENT);
	ck_assert_uint_eq(bytes, 7);
	assert_code(vmmem_dirty_log_next(NULL, &range), VMMEM_EARGUMENT);
	assert_code(vmmem_dirty_log_next_unlogged(NULL, &range),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_dirty_log_confirm(NULL, &range), VMMEM_EARGUMENT);
	start(0);
	assert_code(vmmem_dirty_log_next(dirty, NULL), VMMEM_EARGUMENT);
	assert_code(vmmem_dirty_log_next_unlogged(dirty, NULL),
		    VMMEM_EARGUMENT);
	assert_code(vmmem_dirty_log_confirm(dirty, NULL), VMMEM_EARGUMENT);
	assert_ok(vmmem_dirty_log_collect(dirty, NULL));
}
END_TEST

struct newer_options {
	struct vmmem_dirty_log_options known;
	uint64_t later;
};

START_TEST(newer_options)
{
	struct newer_options newer = { .known.size = sizeof(newer) };
	char name[] = "migration";

	newer.later = 1;
	assert_code(vmmem_dirty_log_new(space, &newer.known, &dirty),
		    VMMEM_ESTRUCTNEWER);
	newer.later = 0;
	newer.known.name = name;
	assert_ok(vmmem_dirty_log_new(space, &newer.known, &dirty));
	name[0] = 'X';
	ck_assert_str_eq(vmmem_dirty_log_name(dirty), "migration");
	ck_assert_ptr_eq(vmmem_dirty_log_space(dirty), space);
}
END_TEST

/* Logging is on for all, and off when the log is gone. */
START_TEST(logs_while_it_is_there)
{
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(ram);
	const int always = vmmem_bitmap_is_logging(bitmap);
	struct vmmem_bitmap *other;

	start(0);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	insert(tracked(MIB, PAGE, 64));
	{
		struct vmmem_collection *map = vmmem_space_get(space);

		other = vmmem_bitmap_ref(vmmem_region_bitmap(
			vmmem_collection_find(map, MIB)));
		vmmem_collection_unref(map);
	}
	ck_assert_int_eq(vmmem_bitmap_is_logging(other), 1);
	/* Nothing was started that another could stop. */
	assert_code(vmmem_bitmap_stop_logging(bitmap), VMMEM_EARGUMENT);
	assert_ok(vmmem_space_remove(space, MIB, PAGE, NULL));
	ck_assert_int_eq(vmmem_bitmap_is_logging(other), always);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), 1);
	dirty = vmmem_dirty_log_free(dirty);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), always);
	vmmem_bitmap_unref(other);
}
END_TEST

/* All of it is dirty at first, or nothing; then what was written. */
START_TEST(begins)
{
	start(0);
	expect_next(0, 0, HALF);
	expect_next(PAGE + 5, PAGE + 5, HALF - PAGE - 5);
	expect_next(HALF, HIGH, HALF);
	expect_next(HIGH + HALF, 0, 0);
	ck_assert_uint_eq(collected(), 2 * HALF);
	assert_ok(send_dirty());
	ck_assert_uint_eq(vmmem_dirty_log_count(dirty), 0);
	ck_assert_uint_eq(collected(), 0);
	expect_moved();

	dirty = vmmem_dirty_log_free(dirty);
	start(VMMEM_DIRTY_LOG_CLEAN);
	expect_next(0, 0, 0);
	write_at(HIGH + 3 * PAGE + 17, 1);
	write_at(PAGE - 1, 1);
	ck_assert_uint_eq(vmmem_dirty_log_count(dirty), 0);
	ck_assert_uint_eq(collected(), 2 * PAGE);
	expect_next(0, 0, PAGE);
	expect_next(PAGE, HIGH + 3 * PAGE, PAGE);
	expect_next(HIGH + 4 * PAGE - 1, HIGH + 4 * PAGE - 1, 1);
}
END_TEST

/* The send that fails is each of them once; then all is sent again. */
START_TEST(a_send_fails)
{
	const uint64_t written[] = { 0, 2 * PAGE, 3 * PAGE, 7 * PAGE, HIGH,
				     HIGH + 5 * PAGE, HIGH + 7 * PAGE };
	size_t i;

	start(0);
	collected();
	assert_ok(send_dirty());
	for (i = 0; i < ARRAY_LEN(written); i++)
		write_at(written[i], 7);
	ck_assert_uint_eq(collected(), ARRAY_LEN(written) * PAGE);
	fail_in = _i;
	assert_code(send_dirty(), -EPIPE);
	ck_assert_uint_eq(vmmem_dirty_log_count(dirty),
			  (ARRAY_LEN(written) - (size_t)_i) * PAGE);
	/* Some are written once more meanwhile. */
	write_at(2 * PAGE + 1, 8);
	write_at(HIGH + 5 * PAGE + 1, 8);
	collected();
	assert_ok(send_dirty());
	/* Those that were dirty all the time come once more. */
	collected();
	assert_ok(send_dirty());
	ck_assert_uint_eq(collected(), 0);
	expect_moved();
}
END_TEST

/* A confirmation that comes late is not for what was written since. */
START_TEST(late_confirmation)
{
	struct vmmem_dirty_range range = { 0 };

	start(VMMEM_DIRTY_LOG_CLEAN);
	write_at(PAGE, 1);
	collected();
	assert_ok(vmmem_dirty_log_next(dirty, &range));
	write_at(PAGE, 2);
	ck_assert_uint_eq(collected(), PAGE);
	assert_ok(vmmem_dirty_log_confirm(dirty, &range));
	ck_assert_uint_eq(vmmem_dirty_log_count(dirty), 0);
	ck_assert_uint_eq(collected(), PAGE);
	assert_ok(vmmem_dirty_log_confirm(dirty, &range));
	ck_assert_uint_eq(collected(), 0);
}
END_TEST

/* What nobody was told of is dirty once, however often it is collected. */
START_TEST(collects_without_a_look)
{
	start(VMMEM_DIRTY_LOG_CLEAN);
	write_at(PAGE, 1);
	ck_assert_uint_eq(collected(), PAGE);
	write_at(PAGE, 2);
	ck_assert_uint_eq(collected(), PAGE);
	assert_ok(send_dirty());
	ck_assert_uint_eq(collected(), 0);
}
END_TEST

/* Pages are confirmed as a whole only, but for what a region cuts off. */
START_TEST(parts_of_pages)
{
	struct vmmem_dirty_range range = { 0 }, part;

	start(VMMEM_DIRTY_LOG_CLEAN);
	/* Sixteen pages of 64 KiB lie across these regions' ends. */
	vmmem_region_unref(ram);
	ram = tracked(0, 16 * 16 * PAGE, 16 * PAGE);
	insert(alias(MIB, 20 * PAGE, 5 * PAGE));
	insert(alias(MIB + 20 * PAGE, 20 * PAGE, 25 * PAGE));
	ck_assert_uint_eq(collected(), 40 * PAGE);
	expect_next(0, MIB, 20 * PAGE);
	expect_next(MIB + 20 * PAGE, MIB + 20 * PAGE, 20 * PAGE);
	assert_ok(vmmem_dirty_log_next(dirty, &range));
	part = range;
	part.len = 10 * PAGE;
	assert_ok(vmmem_dirty_log_confirm(dirty, &part));
	ck_assert_uint_eq(vmmem_dirty_log_count(dirty), 40 * PAGE);
	part.len = 11 * PAGE;
	assert_ok(vmmem_dirty_log_confirm(dirty, &part));
	ck_assert_uint_eq(vmmem_dirty_log_count(dirty), 29 * PAGE);
	expect_next(0, MIB + 11 * PAGE, 9 * PAGE);
	/* A page that two regions share is the other one's still. */
	assert_ok(vmmem_dirty_log_confirm(dirty, &range));
	expect_next(0, MIB + 20 * PAGE, 20 * PAGE);
	assert_ok(vmmem_dirty_log_next(dirty, &range));
	assert_ok(vmmem_dirty_log_confirm(dirty, &range));
	ck_assert_uint_eq(collected(), 0);
	/* A byte in the shared page is dirty in both. */
	write_at(MIB + 20 * PAGE, 1);
	ck_assert_uint_eq(collected(), 16 * PAGE);
	expect_next(0, MIB + 11 * PAGE, 9 * PAGE);
	expect_next(MIB + 20 * PAGE, MIB + 20 * PAGE, 7 * PAGE);
	/* With a range that is too long nothing else happens. */
	part.gpa = MIB + 11 * PAGE;
	part.len = UINT64_MAX;
	assert_ok(vmmem_dirty_log_confirm(dirty, &part));
	ck_assert_uint_eq(vmmem_dirty_log_count(dirty), 7 * PAGE);
	part.len = 0;
	assert_ok(vmmem_dirty_log_confirm(dirty, &part));
}
END_TEST

/* What was dirty of a region goes with it; what comes is dirty as a whole. */
START_TEST(plugged_in_and_out)
{
	struct vmmem_dirty_range range = { 0 };
	struct vmmem_collection *map;
	struct vmmem_update *update;
	struct vmmem_region *region;

	start(VMMEM_DIRTY_LOG_CLEAN);
	region = tracked(16 * PAGE, PAGE, 64);
	assert_ok(vmmem_collection_new(&region, 1, &map));
	/* Its bytes are older than its log. */
	assert_ok(vmmem_collection_fill(map, 16 * PAGE, PAGE, 0x77, NULL));
	vmmem_collection_unref(map);
	insert(region);
	ck_assert_uint_eq(vmmem_dirty_log_count(dirty), PAGE);
	write_at(PAGE, 1);
	ck_assert_uint_eq(collected(), 2 * PAGE);
	assert_ok(send_dirty());
	expect_next(0, 0, 0);
	ck_assert_mem_eq(there + 16 * PAGE, "\x77\x77", 2);

	write_at(16 * PAGE, 1);
	ck_assert_uint_eq(collected(), 64);
	assert_ok(vmmem_dirty_log_next(dirty, &range));
	assert_ok(vmmem_space_remove(space, 16 * PAGE, PAGE, &region));
	ck_assert_uint_eq(vmmem_dirty_log_count(dirty), 0);
	/* Another one there is not confirmed by what was sent of the first. */
	insert(tracked(16 * PAGE, PAGE, 64));
	assert_ok(vmmem_dirty_log_confirm(dirty, &range));
	ck_assert_uint_eq(collected(), PAGE);
	/* A change that replaces a region by itself is none. */
	assert_ok(send_dirty());
	vmmem_region_unref(region);
	map = vmmem_space_get(space);
	region = vmmem_region_ref(vmmem_collection_region(map, 0));
	vmmem_collection_unref(map);
	assert_ok(vmmem_update_new(space, VMMEM_FOREVER, &update));
	assert_ok(vmmem_update_remove(update, 0, HALF, NULL));
	assert_ok(vmmem_update_remove(update, 16 * PAGE, PAGE, NULL));
	assert_ok(vmmem_update_insert(update, region));
	assert_ok(vmmem_update_commit(update));
	vmmem_update_free(update);
	vmmem_region_unref(region);
	ck_assert_uint_eq(collected(), 0);
	assert_ok(send_dirty());
}
END_TEST

/* A change that another listener refuses leaves the log as it was. */
static int refuses;

static int
refuse_if(void *opaque, struct vmmem_collection *old_map,
	  struct vmmem_collection *new_map)
{
	(void)opaque;
	(void)old_map;
	(void)new_map;
	return refuses ? -EPERM : 0;
}

START_TEST(a_change_is_undone)
{
	const struct vmmem_listener_ops ops = {
		.size = sizeof(ops),
		.commit = refuse_if,
	};
	const struct vmmem_listener_options options = {
		.size = sizeof(options),
		.priority = 1,
	};
	struct vmmem_region *region = tracked(MIB, PAGE, PAGE);
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(region);
	const int always = vmmem_bitmap_is_logging(bitmap);
	struct vmmem_listener *listener;

	refuses = 0;
	start(VMMEM_DIRTY_LOG_CLEAN);
	write_at(PAGE, 1);
	collected();
	assert_ok(vmmem_listener_new(space, &ops, NULL, &options, &listener));
	refuses = 1;
	assert_code(vmmem_space_insert(space, region), -EPERM);
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), always);
	assert_code(vmmem_space_remove(space, 0, HALF, NULL), -EPERM);
	ck_assert_uint_eq(vmmem_dirty_log_count(dirty), PAGE);
	refuses = 0;
	ck_assert_uint_eq(collected(), PAGE);
	assert_ok(vmmem_space_insert(space, region));
	ck_assert_uint_eq(collected(), 2 * PAGE);
	vmmem_listener_free(listener);
	vmmem_region_unref(region);
}
END_TEST

static void
expect_unlogged(uint64_t gpa, uint64_t found, uint64_t len)
{
	struct vmmem_dirty_range range = { .gpa = gpa };

	assert_ok(vmmem_dirty_log_next_unlogged(dirty, &range));
	ck_assert_uint_eq(range.gpa, found);
	ck_assert_uint_eq(range.len, len);
	/* It is in no log, so there is nothing to confirm. */
	if (len != 0)
		assert_ok(vmmem_dirty_log_confirm(dirty, &range));
}

/* Freed while a change is told that it has agreed to. */
static int
free_log(void *opaque, struct vmmem_collection *old_map,
	 struct vmmem_collection *new_map)
{
	(void)opaque;
	(void)old_map;
	(void)new_map;
	dirty = vmmem_dirty_log_free(dirty);
	return refuses ? -EPERM : 0;
}

START_TEST(freed_within_a_change)
{
	const struct vmmem_listener_ops ops = {
		.size = sizeof(ops),
		.commit = free_log,
	};
	const struct vmmem_listener_options options = {
		.size = sizeof(options),
		.priority = 1,
	};
	struct vmmem_region *region = tracked(MIB, PAGE, PAGE);
	struct vmmem_bitmap *bitmap = vmmem_region_bitmap(region);
	const int always = vmmem_bitmap_is_logging(bitmap);
	struct vmmem_listener *listener;

	refuses = 0;
	assert_ok(vmmem_listener_new(space, &ops, NULL, &options, &listener));
	start(0);
	refuses = _i;
	assert_code(vmmem_space_insert(space, region), _i != 0 ? -EPERM : 0);
	ck_assert_ptr_null(dirty);
	/* Nobody is left to look at what the new region has logged. */
	ck_assert_int_eq(vmmem_bitmap_is_logging(bitmap), always);
	ck_assert_int_eq(vmmem_bitmap_is_logging(vmmem_region_bitmap(ram)),
			 always);
	vmmem_listener_free(listener);
	vmmem_region_unref(region);
}
END_TEST

START_TEST(without_a_bitmap)
{
	struct vmmem_region *region = region_of(MIB, PAGE);

	insert(region_with(2 * MIB, PAGE, VMMEM_PROT_READ));
	start(VMMEM_DIRTY_LOG_CLEAN);
	/* One that cannot be written is no harm; it is listed. */
	expect_unlogged(0, 2 * MIB, PAGE);
	expect_unlogged(2 * MIB + 1, 2 * MIB + 1, PAGE - 1);
	expect_unlogged(2 * MIB + PAGE, 0, 0);
	assert_code(vmmem_space_insert(space, region), VMMEM_ENOBITMAP);
	dirty = vmmem_dirty_log_free(dirty);
	assert_ok(vmmem_space_insert(space, region));
	assert_code(vmmem_dirty_log_new(space, NULL, &dirty), VMMEM_ENOBITMAP);
	ck_assert_ptr_null(dirty);

	start(VMMEM_DIRTY_LOG_CLEAN | VMMEM_DIRTY_LOG_SKIP_UNLOGGED);
	expect_unlogged(0, MIB, PAGE);
	expect_unlogged(MIB + PAGE, 2 * MIB, PAGE);
	write_at(MIB, 1);
	ck_assert_uint_eq(collected(), 0);
	write_at(0, 1);
	ck_assert_uint_eq(collected(), PAGE);
	expect_next(0, 0, PAGE);
	expect_next(PAGE, 0, 0);
	vmmem_region_unref(region);
}
END_TEST

/* Another log, as a hypervisor has one: a mark for each call. */
static int collect_code, collects, destroyed;

static int
bring_marks(void *opaque)
{
	ck_assert_ptr_eq(opaque, &collects);
	/* No lock is held: the log can be asked. */
	if (dirty != NULL)
		(void)vmmem_dirty_log_count(dirty);
	assert_ok(vmmem_bitmap_mark(vmmem_region_bitmap(ram),
				    (uint64_t)collects++ * PAGE, 1));
	return collect_code;
}

static void
destroy(void *opaque)
{
	ck_assert_ptr_eq(opaque, &collects);
	destroyed++;
}

START_TEST(collects_from_elsewhere)
{
	struct vmmem_dirty_log_options options = {
		.size = sizeof(options),
		.collect = bring_marks,
		.destroy = destroy,
		.opaque = &collects,
		.flags = VMMEM_DIRTY_LOG_CLEAN,
	};
	struct vmmem_region *region = region_of(MIB, PAGE);
	uint64_t bytes = 7;

	collect_code = collects = destroyed = 0;
	assert_ok(vmmem_space_insert(space, region));
	assert_code(vmmem_dirty_log_new(space, &options, &dirty),
		    VMMEM_ENOBITMAP);
	assert_ok(vmmem_space_remove(space, MIB, PAGE, NULL));
	vmmem_region_unref(region);
	ck_assert_int_eq(destroyed, 0);
	assert_ok(vmmem_dirty_log_new(space, &options, &dirty));
	ck_assert_uint_eq(collected(), PAGE);
	collect_code = -EIO;
	assert_code(vmmem_dirty_log_collect(dirty, &bytes), -EIO);
	collect_code = 1;
	assert_code(vmmem_dirty_log_collect(dirty, &bytes), VMMEM_ECALLBACK);
	ck_assert_uint_eq(bytes, 7);
	collect_code = 0;
	/* With those of the calls that failed. */
	ck_assert_uint_eq(collected(), 4 * PAGE);
	dirty = vmmem_dirty_log_free(dirty);
	ck_assert_int_eq(destroyed, 1);
}
END_TEST

/* Memory at two addresses is dirty, and confirmed, at each of them. */
START_TEST(memory_twice)
{
	struct vmmem_dirty_range range = { 0 };

	insert(alias(MIB, 2 * PAGE, PAGE));
	start(VMMEM_DIRTY_LOG_CLEAN);
	write_at(2 * PAGE, 1);
	ck_assert_uint_eq(collected(), 2 * PAGE);
	assert_ok(vmmem_dirty_log_next(dirty, &range));
	ck_assert_uint_eq(range.gpa, 2 * PAGE);
	assert_ok(vmmem_dirty_log_confirm(dirty, &range));
	expect_next(0, MIB + PAGE, PAGE);
	ck_assert_uint_eq(collected(), PAGE);
}
END_TEST

/* Other harvesters of a bitmap see what the log takes, and the log all. */
START_TEST(beside_others)
{
	struct vmmem_dirty_log *other;
	struct vmmem_harvester *harvester;
	uint64_t pages;

	start(VMMEM_DIRTY_LOG_CLEAN);
	assert_ok(vmmem_dirty_log_new(space, NULL, &other));
	assert_ok(vmmem_harvester_new(vmmem_region_bitmap(ram), NULL,
				      &harvester));
	write_at(PAGE, 1);
	ck_assert_uint_eq(collected(), PAGE);
	assert_ok(vmmem_harvester_take(harvester, &pages));
	ck_assert_uint_eq(pages, 1);
	vmmem_harvester_free(harvester);
	ck_assert_uint_eq(vmmem_dirty_log_count(other), 2 * HALF);
	vmmem_dirty_log_free(other);
	ck_assert_uint_eq(collected(), PAGE);
}
END_TEST

/* The last byte there is: what follows it is nothing, and not the first. */
START_TEST(the_last_byte)
{
	struct vmmem_dirty_range range = { 0 };

	insert(tracked(TOP - 2 * PAGE + 1, 2 * PAGE, 64));
	start(0);
	expect_next(TOP, TOP, 1);
	range.gpa = TOP - PAGE;
	assert_ok(vmmem_dirty_log_next(dirty, &range));
	ck_assert_uint_eq(range.len, PAGE + 1);
	assert_ok(vmmem_dirty_log_next(dirty, &range));
	ck_assert_uint_eq(range.len, 0);
	/* And then all over again. */
	assert_ok(vmmem_dirty_log_next(dirty, &range));
	ck_assert_uint_eq(range.gpa, 0);
	range = (struct vmmem_dirty_range){ .gpa = TOP };
	assert_ok(vmmem_dirty_log_next(dirty, &range));
	range.gpa = TOP - 2 * PAGE + 1;
	range.len = UINT64_MAX;
	assert_ok(vmmem_dirty_log_confirm(dirty, &range));
	expect_next(TOP, 0, 0);
	ck_assert_uint_eq(collected(), 2 * HALF);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("dirty_log");
	TCase *tcase = tcase_create("dirty_log");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, refusals);
	tcase_add_test(tcase, newer_options);
	tcase_add_test(tcase, logs_while_it_is_there);
	tcase_add_test(tcase, begins);
	tcase_add_loop_test(tcase, a_send_fails, 0, 7);
	tcase_add_test(tcase, late_confirmation);
	tcase_add_test(tcase, collects_without_a_look);
	tcase_add_test(tcase, parts_of_pages);
	tcase_add_test(tcase, plugged_in_and_out);
	tcase_add_test(tcase, a_change_is_undone);
	tcase_add_loop_test(tcase, freed_within_a_change, 0, 2);
	tcase_add_test(tcase, without_a_bitmap);
	tcase_add_test(tcase, collects_from_elsewhere);
	tcase_add_test(tcase, memory_twice);
	tcase_add_test(tcase, beside_others);
	tcase_add_test(tcase, the_last_byte);
	suite_add_tcase(suite, tcase);
	return suite;
}
