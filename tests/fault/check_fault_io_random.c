/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Random transfers, with random calls that are short or fail, beside a model:
 * a flat array for the guest and one for the file.
 */
#include <stdio.h>

#include "device.h"
#include "inject_io.h"
#include "io_forms.h"
#include "rng.h"
#include "slices.h"
#include "suite.h"

#define BASE UINT64_C(0x100000)
#define PAGE UINT64_C(64)
#define FILE_LEN UINT64_C(0x3000)
#define MEMBERS 5
#define MEMBER_LEN 0x2000
#define DISK_LEN (FILE_LEN + MEMBERS * MEMBER_LEN)
#define STEPS 6

/* The parts of the guest, one after the other; what is at which offset. */
enum kind { RAM, ROM, CALLS, DEMAND, HOLE };
static const struct part {
	enum kind kind;
	uint64_t len;
} parts[] = {
	{ RAM, 0x1230 }, { RAM, 0x40 },	    { CALLS, 0x1500 }, { RAM, 0x10 },
	{ DEMAND, 0x20 }, { DEMAND, 0x800 }, { RAM, 0x1000 },	{ HOLE, 0x100 },
	{ RAM, 0x333 },	 { ROM, 0x7d },	    { RAM, 0x1000 },
};
#define PARTS ARRAY_LEN(parts)
#define GUEST_LEN 0x7000

static struct vmmem_collection *guest;
static struct vmmem_region *regions[PARTS];
static struct grants grants[PARTS];
static struct device device;
static struct rng rng;
static int file;

/* The model. */
static uint8_t model[GUEST_LEN], disk[DISK_LEN], now[DISK_LEN];
static uint64_t disk_len;
static uint8_t kinds[GUEST_LEN]; /* of each byte */
static size_t part_of[2 * GUEST_LEN];
static uint64_t total;

static void
open_part(size_t i, uint64_t at)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	const struct part *part = &parts[i];

	vmmem_region_builder_set_range(builder, BASE + at, part->len);
	if (part->kind == CALLS)
		vmmem_region_builder_set_custom(builder, &device_ops, &device);
	if (part->kind == DEMAND)
		vmmem_region_builder_set_custom(builder, &grants_ops,
						&grants[i]);
	if (part->kind == ROM)
		vmmem_region_builder_set_protection(builder, VMMEM_PROT_READ);
	vmmem_region_builder_set_tracking(builder, PAGE);
	assert_ok(vmmem_region_builder_build(builder, &regions[i]));
	assert_ok(vmmem_bitmap_start_logging(vmmem_region_bitmap(regions[i])));
	vmmem_region_builder_free(builder);
}

static void
setup(void)
{
	struct vmmem_region *all[PARTS];
	size_t i, count = 0;
	uint64_t at;

	device_init(&device);
	for (i = 0; i < PARTS; i++) {
		if (parts[i].kind != HOLE) {
			open_part(i, total);
			all[count++] = vmmem_region_ref(regions[i]);
		}
		for (at = total; at < total + parts[i].len; at++) {
			kinds[at] = (uint8_t)parts[i].kind;
			part_of[at] = i;
		}
		total += parts[i].len;
	}
	/* There is no such part. */
	for (at = total; at < 2 * GUEST_LEN; at++)
		part_of[at] = PARTS;
	ck_assert_uint_le(total, GUEST_LEN);
	guest = guest_of(all, count);
	file = file_of(0);
}

/* ---- one round ----------------------------------------------------------- */

static const struct form *form;
static struct vmmem_range chain[MEMBERS];
static size_t members;
static int64_t steps[STEPS];
static size_t step_count;
static uint64_t file_at, len, good, room, done;
static int rc, bad;

static const char *
told(void)
{
	static char text[1024];
	size_t i, at;

	at = (size_t)snprintf(text, sizeof(text),
			      "%s, at %#jx: %d, %#jx of %#jx, %#jx good; chain",
			      form->name, (uintmax_t)file_at, rc,
			      (uintmax_t)done, (uintmax_t)len,
			      (uintmax_t)good);
	for (i = 0; i < members; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       " %#jx+%#jx", (uintmax_t)chain[i].gpa,
				       (uintmax_t)chain[i].len);
	for (i = 0; i < step_count; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, " (%jd)",
				       (intmax_t)steps[i]);
	return text;
}

#define HOLDS(condition)                                                   \
	do {                                                               \
		if (!(condition))                                          \
			ck_abort_msg("%s: %s", #condition, told());        \
	} while (0)

/* An address, more often than not where a part begins or ends. */
static uint64_t
random_address(void)
{
	uint64_t at = rng_below(&rng, total);
	size_t i = part_of[at];

	if (rng_chance(&rng, 60)) {
		while (at > 0 && part_of[at - 1] == i)
			at--;
		at += rng_below(&rng, 24);
		at = at > 12 ? at - 12 : 0;
	}
	return at < total ? at : total - 1;
}

static void
draw(void)
{
	size_t i;

	form = &forms[rng_below(&rng, (uint64_t)FORMS)];
	members = form->side == CHAIN ? rng_below(&rng, MEMBERS + 1) : 1;
	len = 0;
	for (i = 0; i < members; i++) {
		chain[i].gpa = BASE + random_address();
		chain[i].len = rng_below(&rng, rng_chance(&rng, 50) ?
						       40 : MEMBER_LEN);
		len += chain[i].len;
	}
	step_count = rng_chance(&rng, 50) ? rng_below(&rng, STEPS + 1) : 0;
	for (i = 0; i < step_count; i++) {
		static const int64_t some[] = { -EINTR, -EINTR, -EAGAIN, -EIO,
						0 };

		steps[i] = rng_chance(&rng, 70) ?
				   1 + (int64_t)rng_below(&rng, 0x300) :
				   some[rng_below(&rng, ARRAY_LEN(some))];
	}
	file_at = rng_below(&rng, FILE_LEN);
}

/* Whether a byte at an offset of the guest can be had in this form. */
static int
refusal(uint64_t at)
{
	if (at >= total || kinds[at] == HOLE)
		return VMMEM_EBADADDR;
	return kinds[at] == ROM && !form->to_fd ? VMMEM_EDENIED : 0;
}

/* Where the i-th byte of the chain is. */
static uint64_t
place_of(uint64_t i)
{
	size_t member = 0;

	while (i >= chain[member].len)
		i -= chain[member++].len;
	return chain[member].gpa - BASE + i;
}

static void
foresee(void)
{
	const size_t first = members != 0 && len != 0 ?
				     part_of[chain[0].gpa - BASE] : 0;

	bad = 0;
	for (good = 0; good < len; good++) {
		uint64_t at = place_of(good);

		bad = refusal(at);
		/* A slice ends with its region. */
		if (form->side == SLICE && part_of[at] != first)
			bad = VMMEM_EOUTOFRANGE;
		if (bad != 0)
			break;
	}
	/* Where both are wrong, the range is what is told. */
	if (form->side == SLICE && !form->some && bad == VMMEM_EDENIED &&
	    part_of[chain[0].gpa - BASE + len - 1] != first)
		bad = VMMEM_EOUTOFRANGE;
	room = form->to_fd ? UINT64_MAX :
	       file_at < disk_len ? disk_len - file_at : 0;
}

static void
run(void)
{
	done = 77;
	seek(file, form->at ? 5 : file_at);
	inject_start(0, 0, false);
	inject_transfers(steps, step_count);
	if (form->side != CHAIN)
		rc = form_call(form, guest, chain[0].gpa, len, file, file_at,
			       &done);
	else
		rc = form_ranges(form, guest, chain, members, file, file_at,
				 &done);
	inject_stop();
}

/* The result is one that the script allows. */
static void
check_result(void)
{
	bool failing = false, ends = false;
	size_t i;

	for (i = 0; i < step_count; i++) {
		failing |= steps[i] < 0 && steps[i] != -EINTR;
		ends |= steps[i] == 0;
	}
	if (bad != 0 && !form->some) {
		HOLDS(rc == bad && done == 0);
		HOLDS(inject_transferred().calls == 0);
		return;
	}
	HOLDS(done <= good && done <= room);
	HOLDS((rc == 0) == (done == len));
	if (!failing && !ends && !form->some)
		HOLDS(done == (good < room ? good : room));
	if (step_count == 0)
		HOLDS(done == (good < room ? good : room));
	if (rc == bad)
		HOLDS(rc == 0 || done == good);
	else if (rc == -EIO || rc == -EAGAIN)
		HOLDS(failing);
	else if (rc == VMMEM_EEOF)
		HOLDS(!form->to_fd && (ends || done == room));
	else
		HOLDS(rc == VMMEM_EPARTIAL &&
		      (form->some || (form->to_fd && ends)));
	HOLDS(position(file) == (form->at ? 5 : file_at + done));
}

/* Page after page: what was moved is marked, what could not be is not. */
static void
check_marks(void)
{
	static uint8_t moved[GUEST_LEN], given[GUEST_LEN];
	bool failed = false;
	uint64_t i, at, end;
	size_t part;

	memset(moved, 0, sizeof(moved));
	memset(given, 0, sizeof(given));
	for (i = 0; i < step_count; i++)
		failed |= steps[i] < 0;
	for (i = 0; !form->to_fd && i < (failed ? good : done); i++) {
		at = place_of(i);
		given[at] = 1;
		moved[at] |= i < done;
	}
	for (part = 0, at = 0; part < PARTS; at += parts[part++].len) {
		if (parts[part].kind == HOLE)
			continue;
		for (i = 0; i < parts[part].len; i += PAGE) {
			end = i + PAGE < parts[part].len ? i + PAGE :
							   parts[part].len;
			struct vmmem_bitmap *bitmap =
				vmmem_region_bitmap(regions[part]);
			int marked = vmmem_bitmap_test(bitmap, i);

			if (memchr(moved + at + i, 1, end - i) != NULL)
				HOLDS(marked == 1);
			else if (memchr(given + at + i, 1, end - i) == NULL)
				HOLDS(marked == 0);
		}
		EXPECT_CODE(vmmem_bitmap_clear(
				    vmmem_region_bitmap(regions[part]), 0,
				    parts[part].len), 0);
	}
}

static void
check_bytes(void)
{
	uint64_t i, at;
	size_t part;

	for (i = 0; i < done; i++) {
		if (form->to_fd)
			disk[file_at + i] = model[place_of(i)];
		else
			model[place_of(i)] = disk[file_at + i];
	}
	if (form->to_fd && done != 0 && file_at + done > disk_len)
		disk_len = file_at + done;
	for (part = 0, at = 0; part < PARTS; at += parts[part++].len) {
		if (parts[part].kind == HOLE)
			continue;
		EXPECT_CODE(vmmem_collection_read(guest, BASE + at, now,
						  parts[part].len, NULL), 0);
		HOLDS(memcmp(now, model + at, parts[part].len) == 0);
		HOLDS(grants[part].acquired == grants[part].released);
	}
	HOLDS(pread(file, now, sizeof(now), 0) == (ssize_t)disk_len);
	HOLDS(memcmp(now, disk, disk_len) == 0);
}

/* New contents, now and then, as everything becomes alike. */
static void
refresh(void)
{
	uint64_t i, at = 0;
	size_t part;

	for (i = 0; i < sizeof(disk); i++)
		disk[i] = (uint8_t)rng_next(&rng);
	disk_len = FILE_LEN - rng_below(&rng, 0x100);
	EXPECT(ftruncate(file, 0) == 0);
	EXPECT(pwrite(file, disk, disk_len, 0) == (ssize_t)disk_len);
	/* What is beyond the end is zero once something is written there. */
	memset(disk + disk_len, 0, sizeof(disk) - disk_len);
	for (part = 0; part < PARTS; at += parts[part++].len) {
		for (i = 0; i < parts[part].len; i++)
			model[at + i] = parts[part].kind == ROM ?
						0 : (uint8_t)rng_next(&rng);
		if (parts[part].kind == HOLE || parts[part].kind == ROM)
			continue;
		EXPECT_CODE(vmmem_collection_write(guest, BASE + at,
						   model + at,
						   parts[part].len, NULL), 0);
		EXPECT_CODE(vmmem_bitmap_clear(
				    vmmem_region_bitmap(regions[part]), 0,
				    parts[part].len), 0);
	}
}

START_TEST(as_the_model)
{
	uint64_t seed = rng_seed(), rounds = rng_rounds(30000), i;

	printf("seed %#jx\n", (uintmax_t)seed);
	rng.state = seed;
	for (i = 0; i < rounds; i++) {
		if (i % 100 == 0)
			refresh();
		draw();
		/* There are no slices of these. */
		if (form->side == SLICE &&
		    (kinds[chain[0].gpa - BASE] == HOLE ||
		     kinds[chain[0].gpa - BASE] == CALLS))
			continue;
		foresee();
		run();
		check_result();
		check_marks();
		check_bytes();
	}
	guest = vmmem_collection_unref(guest);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("faults, random io");
	TCase *tcase = tcase_create("random");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, as_the_model);
	suite_add_tcase(suite, tcase);
	return suite;
}
