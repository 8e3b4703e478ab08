/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Memory that goes away under every function that touches it: the code, the
 * exact count, the marks.  What regions tell of it is in check_fault_reports.c,
 * what else handlers have to do in check_fault_handlers.c.
 */
#include "marking/readers_writers.h"
#include "slices.h"
#include "suite.h"

#define BOTH (VMMEM_FAULT_SIGNAL_BUS | VMMEM_FAULT_SIGNAL_SEGV)

/* A file, of which what lies from CUT on is taken away, and bytes to copy. */
#define GPA UINT64_C(0x100000)
#define LEN UINT64_C(0x8000)
#define CUT UINT64_C(0x3000)
#define SOURCE UINT64_C(0x300000)
/* Pages of the log. */
#define PAGE UINT64_C(64)

static struct vmmem_region *ram, *source;
static struct vmmem_collection *map;
static struct vmmem_space *space;
static struct vmmem_reader *reader;
static struct vmmem_bitmap *bitmap;
static int fd;

const char *
skip_reason(void)
{
	if (vmmem_fault_enable(BOTH) == VMMEM_ENOSUPPORT)
		return "this processor or build cannot survive faults";
	vmmem_fault_disable(BOTH);
	return NULL;
}

static void
setup(void)
{
	struct vmmem_region_builder *builder = vmmem_region_builder_new();
	struct vmmem_region *regions[2];

	fd = file_of(LEN);
	vmmem_region_builder_set_range(builder, GPA, LEN);
	vmmem_region_builder_set_file(builder, fd, 0, 0);
	vmmem_region_builder_set_tracking(builder, PAGE);
	assert_ok(vmmem_region_builder_build(builder, &ram));
	vmmem_region_builder_free(builder);
	source = region_of(SOURCE, LEN);
	bitmap = vmmem_region_bitmap(ram);
	assert_ok(vmmem_bitmap_start_logging(bitmap));
	regions[0] = ram;
	regions[1] = source;
	assert_ok(vmmem_collection_new(regions, 2, &map));
	assert_ok(vmmem_space_new(map, NULL, &space));
	assert_ok(vmmem_reader_new(space, NULL, &reader));
	assert_ok(vmmem_fault_enable(BOTH));
}

static void
teardown(void)
{
	assert_ok(vmmem_fault_disable(BOTH));
	reader = vmmem_reader_free(reader);
	space = vmmem_space_unref(space);
	map = vmmem_collection_unref(map);
	ram = vmmem_region_unref(ram);
	source = vmmem_region_unref(source);
	close(fd);
}

/* All there again, 0x11 everywhere, and 0xee to copy from. */
static void
restore(void)
{
	EXPECT(ftruncate(fd, (off_t)LEN) == 0);
	EXPECT_CODE(vmmem_collection_fill(map, GPA, LEN, 0x11, NULL), 0);
	EXPECT_CODE(vmmem_collection_fill(map, SOURCE, LEN, 0xee, NULL), 0);
	EXPECT_CODE(vmmem_bitmap_clear(bitmap, 0, LEN), 0);
}

static void
cut(void)
{
	EXPECT(ftruncate(fd, (off_t)CUT) == 0);
}

/* Exactly the pages of [offset, offset + len) are marked. */
static void
expect_marks(const char *name, uint64_t offset, uint64_t len)
{
	uint64_t page;
	int must;

	for (page = 0; page < LEN; page += PAGE) {
		must = len != 0 && offset < page + PAGE && page < offset + len;
		if (vmmem_bitmap_test(bitmap, page) != must)
			ck_abort_msg("%s: %#jx bytes at %#jx: page at %#jx is "
				     "%s", name, (uintmax_t)len,
				     (uintmax_t)offset, (uintmax_t)page,
				     must ? "clean" : "marked");
	}
}

/* What is left of the file, from 'from' on, is 'len' bytes of 'value'. */
static void
expect_bytes(const char *name, uint64_t from, uint64_t len, uint8_t value)
{
	const uint8_t *host = host_of(map, GPA + from);
	uint64_t i;

	for (i = 0; i < len; i++) {
		if (host[i] != value)
			ck_abort_msg("%s: %#x, not %#x, at %#jx", name,
				     host[i], value, (uintmax_t)(from + i));
	}
}

static int
has(const struct path *path, unsigned int trait)
{
	return (path->traits & trait) != 0;
}

/* One call at 'offset'; returns what it returned. */
static int
call(const struct path *path, uint64_t offset, uint64_t len)
{
	struct vmmem_slice slice = slice_of(ram, 0x48, LEN - 0x48);
	struct vmmem_slice from = slice_of(source, 0, LEN);
	struct place place = {
		.map = map,
		.reader = reader,
		.gpa = GPA + offset,
		.slice = &slice,
		.source = &from,
		.offset = offset - 0x48,
		.len = len,
		.order = VMMEM_ORDER_SEQ_CST,
	};

	memset(local, 0x77, sizeof(local));
	return path->call(&place);
}

/* There was a fault since there were 'before', and this was the last. */
static void
expect_last(const char *name, uint64_t before, uint64_t offset, uint32_t kind)
{
	uint64_t got_offset = 0;
	uint32_t got_kind = 0;

	EXPECT_CODE(vmmem_region_fault_last(ram, &got_offset, &got_kind), 0);
	if (vmmem_region_fault_count(ram) <= before || got_offset != offset ||
	    got_kind != kind)
		ck_abort_msg("%s: fault %ju, kind %u at %#jx; not above %ju, "
			     "%u, %#jx", name,
			     (uintmax_t)vmmem_region_fault_count(ram), got_kind,
			     (uintmax_t)got_offset, (uintmax_t)before, kind,
			     (uintmax_t)offset);
}

/* Each function, where all is gone; where a part is; and when it is back. */
static void
check_path(const struct path *path, int writes)
{
	const uint64_t size = path->size != 0 ? path->size : 0x321;
	const uint64_t gone = CUT + 0x48, part = CUT - 0x123;
	uint64_t before = vmmem_region_fault_count(ram), i;

	/* What the caller, or the system, accesses: not the library. */
	if (has(path, BY_HAND) || strstr(path->name, "_fd") != NULL ||
	    strstr(path->name, "iovec") != NULL ||
	    strstr(path->name, "discard") != NULL)
		return;
	restore();
	cut();
	EXPECT_CODE(call(path, gone, size), VMMEM_EGONE);
	expect_last(path->name, before, gone, VMMEM_FAULT_KIND_BACKING);
	expect_marks(path->name, 0, 0);
	/* Outputs of failures are not written; buffers may be. */
	for (i = 0; !writes && i < path->size; i++)
		EXPECT(local[i] == 0x77);
	before = vmmem_region_fault_count(ram);

	if (path->size == 0) {
		EXPECT_CODE(call(path, part, size), VMMEM_EGONE);
		expect_last(path->name, before, CUT, VMMEM_FAULT_KIND_BACKING);
		expect_marks(path->name, part, writes ? CUT - part : 0);
		expect_bytes(path->name, part - 1, 1, 0x11);
		expect_bytes(path->name, part, CUT - part,
			     writes ? 0xee : 0x11);
		for (i = 0; !writes && i < CUT - part; i++)
			EXPECT(local[i] == 0x11);
	} else if (!has(path, ALIGNED) && size > 1) {
		EXPECT_CODE(call(path, CUT - 1, size), VMMEM_EGONE);
		expect_last(path->name, before, CUT, VMMEM_FAULT_KIND_BACKING);
		expect_marks(path->name, CUT - 1, writes ? 1 : 0);
	}

	restore();
	EXPECT_CODE(call(path, gone, size), 0);
	expect_marks(path->name, gone, writes ? size : 0);
}

START_TEST(every_writer)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(writers); i++)
		check_path(&writers[i], 1);
}
END_TEST

START_TEST(every_reader)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(readers); i++)
		check_path(&readers[i], 0);
}
END_TEST

/* How much there is before the cut, and how much is asked for beyond. */
#define MOST 700
static const uint64_t beyond[] = { 1, 2, 7, 8, 33, 600 };

/* Counts are exact, in every branch of the copy engine. */
static void
count_at(uint64_t there, uint64_t more)
{
	const uint64_t from = CUT - there, gpa = GPA + from;
	const size_t len = there + more;
	struct vmmem_slice slice = slice_of(ram, 0, LEN);
	uint64_t done = 99;
	size_t count = 99;

	memset(local, 0x77, sizeof(local));
	EXPECT_CODE(vmmem_collection_read(map, gpa, local, len, &count),
		    VMMEM_EGONE);
	EXPECT(count == there);
	EXPECT(there == 0 || (local[0] == 0x11 && local[there - 1] == 0x11));
	EXPECT_CODE(vmmem_collection_read_some(map, gpa, local, len, &count),
		    VMMEM_EGONE);
	EXPECT(count == there);
	EXPECT_CODE(vmmem_slice_read_some(&slice, from, local, len, &count),
		    VMMEM_EGONE);
	EXPECT(count == there);
	EXPECT_CODE(vmmem_region_read(ram, from, local, len, &count),
		    VMMEM_EGONE);
	EXPECT(count == there);
	expect_marks("reading", 0, 0);

	memset(local, 0x66, len);
	EXPECT_CODE(vmmem_region_write(ram, from, local, len, &count),
		    VMMEM_EGONE);
	EXPECT(count == there);
	expect_bytes("region", from, there, 0x66);
	expect_marks("region", from, there);
	EXPECT_CODE(vmmem_bitmap_clear(bitmap, 0, LEN), 0);
	memset(local, 0x22, len);
	EXPECT_CODE(vmmem_collection_write(map, gpa, local, len, &count),
		    VMMEM_EGONE);
	EXPECT(count == there);
	expect_bytes("write", from, there, 0x22);
	expect_marks("write", from, there);
	EXPECT_CODE(vmmem_bitmap_clear(bitmap, 0, LEN), 0);
	memset(local, 0x33, len);
	EXPECT_CODE(vmmem_slice_write_some(&slice, from, local, len, &count),
		    VMMEM_EGONE);
	EXPECT(count == there);
	expect_bytes("slice", from, there, 0x33);
	expect_marks("slice", from, there);
	EXPECT_CODE(vmmem_collection_fill(map, gpa, len, 0x44, &done),
		    VMMEM_EGONE);
	EXPECT(done == there);
	expect_bytes("fill", from, there, 0x44);
	expect_bytes("fill", from - 1, 1, 0x11);
	EXPECT_CODE(vmmem_collection_fill_some(map, gpa, len, 0x11, &done),
		    VMMEM_EGONE);
	EXPECT(done == there);
	EXPECT_CODE(vmmem_collection_write_some(map, gpa, local, len, &count),
		    VMMEM_EGONE);
	EXPECT(count == there);
	EXPECT_CODE(vmmem_collection_fill(map, gpa, there, 0x11, &done), 0);
	EXPECT_CODE(vmmem_bitmap_clear(bitmap, 0, LEN), 0);
}

START_TEST(counts)
{
	uint64_t there, i;

	restore();
	cut();
	for (there = 0; there < MOST; there++)
		count_at(there, beyond[there % ARRAY_LEN(beyond)]);
	for (i = 0; i < ARRAY_LEN(beyond); i++)
		count_at(0x2000, beyond[i]);
}
END_TEST

/*
 * Copies into what is gone: exact.  Out of it: up to a chunk of the buffer may
 * have been read for nothing; what is said to be done was done, and no more.
 */
static void
copy_at(uint64_t there, uint64_t skew)
{
	const uint64_t from = CUT - there, len = there + 500;
	uint8_t *other = host_of(map, SOURCE);
	uint64_t done = 99, i;

	EXPECT_CODE(vmmem_collection_copy(map, GPA + from,
					  SOURCE + 0x100 + skew, len, &done),
		    VMMEM_EGONE);
	EXPECT(done == there);
	expect_bytes("copy", from, there, 0xee);
	expect_bytes("copy", from - 1, 1, 0x11);
	expect_marks("copy", from, there);

	EXPECT_CODE(vmmem_collection_fill(map, GPA + from, there, 0x55, NULL),
		    0);
	EXPECT_CODE(vmmem_collection_copy(map, SOURCE + 0x100 + skew,
					  GPA + from, len, &done),
		    VMMEM_EGONE);
	EXPECT(done <= there && there - done < 520);
	EXPECT((from - (0x100 + skew)) % 8 != 0 || done == there);
	for (i = 0; i < LEN; i++)
		EXPECT(other[i] == (i - (0x100 + skew) < done ? 0x55 : 0xee));
	memset(other, 0xee, LEN);
	EXPECT_CODE(vmmem_collection_fill(map, GPA + from, there, 0x11, NULL),
		    0);
	EXPECT_CODE(vmmem_bitmap_clear(bitmap, 0, LEN), 0);
}

START_TEST(copies)
{
	uint64_t there, skew;

	restore();
	cut();
	for (there = 0; there < MOST; there += 1 + there / 40)
		for (skew = 0; skew < 40; skew += 1 + skew / 3)
			copy_at(there, skew);
	copy_at(0x1800, 0);
	copy_at(0x1800, 1);
}
END_TEST

/*
 * A copy that begins with its last bytes: what is done are those.  A page in
 * the middle is made inaccessible, once as the target and once as the source.
 */
static void
downwards_at(uint64_t shift, int by_slice)
{
	const uint64_t len = 0x3000, page = page_size();
	struct vmmem_slice slice = slice_of(ram, 0, LEN);
	uint8_t *host = host_of(map, GPA);
	uint64_t done = 0, offset, i;
	uint32_t kind;
	int rc;

	restore();
	for (i = 0; i < LEN; i++)
		host[i] = (uint8_t)(i / 8 + i / 1024);
	memcpy(local, host, 0x4000);
	EXPECT(mprotect(host + page, page, PROT_NONE) == 0);
	if (by_slice)
		rc = vmmem_slice_copy(&slice, shift, &slice, 0, len);
	else
		rc = vmmem_collection_copy(map, GPA + shift, GPA, len, &done);
	EXPECT_CODE(rc, VMMEM_EGONE);
	EXPECT_CODE(vmmem_region_fault_last(ram, &offset, &kind), 0);
	EXPECT(kind == VMMEM_FAULT_KIND_DENIED);
	EXPECT(offset >= page && offset < 2 * page);
	EXPECT(mprotect(host + page, page, PROT_READ | PROT_WRITE) == 0);
	if (by_slice) {
		for (i = shift + len; i > 0 && host[i - 1] == local[i - 1 -
								     shift]; i--)
			;
		done = shift + len - i;
	}
	EXPECT(done <= len - page && done + 1024 > len - 2 * page);
	for (i = 0; i < shift + len; i++)
		EXPECT(host[i] == (i < shift + len - done ?
					   local[i] : local[i - shift]));
	if (!by_slice) {
		expect_marks("downwards", shift + len - done, done);
		return;
	}
	/* How much was done is not told here; but all of it is marked. */
	for (i = shift + len - done; i < shift + len; i++)
		EXPECT(vmmem_bitmap_test(bitmap, i));
	EXPECT(!vmmem_bitmap_test(bitmap, shift));
}

START_TEST(downwards)
{
	downwards_at(0x20, 0);
	downwards_at(0x23, 0);
	downwards_at(0x1001, 0);
	downwards_at(0x23, 1);
}
END_TEST

/*
 * The same over the end of the region: what was done of it is marked, and not
 * what the range has below that.  A page is made inaccessible as the target, or
 * as the source, alone.
 */
static void
downwards_across(struct vmmem_collection *two, int as_source)
{
	const uint64_t page = page_size(), len = LEN + 8 - 0x10;
	const uint64_t bad = page * 3, shift = 0x4008;
	uint8_t *host = host_of(map, GPA);
	uint64_t done = 0, first;

	restore();
	EXPECT(mprotect(host + bad, page, PROT_NONE) == 0);
	if (as_source)
		/* To the other region, from the end of this one. */
		EXPECT_CODE(vmmem_collection_copy(two, GPA + LEN - 8,
						  GPA + LEN - 8 - shift,
						  shift + 8, &done),
			    VMMEM_EGONE);
	else
		EXPECT_CODE(vmmem_collection_copy(two, GPA + 0x10, GPA + 8,
						  len, &done),
			    VMMEM_EGONE);
	EXPECT(mprotect(host + bad, page, PROT_READ | PROT_WRITE) == 0);
	EXPECT(done != 0);
	if (as_source) {
		/* Nothing of this region was reached. */
		EXPECT(done <= shift);
		expect_marks("across", 0, 0);
		return;
	}
	first = 0x10 + len - done;
	EXPECT(first >= bad + page && first < bad + page + 1024);
	expect_marks("across", first, LEN - first);
}

START_TEST(downwards_over_the_end)
{
	struct vmmem_region *regions[2] = {
		vmmem_region_ref(ram),
		region_of(GPA + LEN, LEN),
	};
	struct vmmem_collection *two = guest_of(regions, 2);

	downwards_across(two, 0);
	downwards_across(two, 1);
	vmmem_collection_unref(two);
}
END_TEST

/* The same where the region begins, and its first page can only be read. */
START_TEST(downwards_over_the_start)
{
	struct vmmem_region *regions[2] = {
		region_of(GPA - LEN, LEN),
		vmmem_region_ref(ram),
	};
	struct vmmem_collection *two = guest_of(regions, 2);
	const uint64_t page = page_size(), before = 0x1008;
	uint8_t *host = host_of(map, GPA);
	uint64_t after, done;

	for (after = 8; after < page; after += 8 + after / 2) {
		restore();
		EXPECT(mprotect(host, page, PROT_READ) == 0);
		EXPECT_CODE(vmmem_collection_copy(two, GPA - before,
						  GPA - before - 0x18,
						  before + page + after, &done),
			    VMMEM_EGONE);
		EXPECT(mprotect(host, page, PROT_READ | PROT_WRITE) == 0);
		EXPECT(done <= after && (done != 0 || after < 64));
		expect_marks("start", page + after - done, done);
	}
	vmmem_collection_unref(two);
}
END_TEST

/* A range over two regions of which the second is gone. */
START_TEST(next_region)
{
	struct vmmem_region *regions[2];
	struct vmmem_collection *two;
	static uint8_t buf[0x2000];
	size_t done = 0;
	uint64_t count = 0;

	restore();
	regions[0] = region_of(GPA - 0x1000, 0x1000);
	regions[1] = vmmem_region_ref(ram);
	two = guest_of(regions, 2);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	assert_code(vmmem_collection_read(two, GPA - 5, buf, 20, &done),
		    VMMEM_EGONE);
	ck_assert_uint_eq(done, 5);
	assert_code(vmmem_collection_write(two, GPA - 5, buf, 20, &done),
		    VMMEM_EGONE);
	ck_assert_uint_eq(done, 5);
	assert_code(vmmem_collection_fill(two, GPA - 7, 20, 1, &count),
		    VMMEM_EGONE);
	ck_assert_uint_eq(count, 7);
	assert_code(vmmem_collection_copy(two, GPA - 0x800, GPA - 7, 20,
					  &count), VMMEM_EGONE);
	ck_assert_uint_le(count, 7);
	/* Downwards, the whole of the second region comes first. */
	assert_code(vmmem_collection_copy(two, GPA - 7, GPA - 9, 20, &count),
		    VMMEM_EGONE);
	ck_assert_uint_eq(count, 0);
	/* Nothing is moved of a range that is not all mapped. */
	assert_code(vmmem_collection_read(two, GPA + LEN - 5, buf, 20, &done),
		    VMMEM_EBADADDR);
	ck_assert_uint_eq(done, 0);
	vmmem_collection_unref(two);
}
END_TEST

/* The same, where the first one is gone, but for its first bytes. */
START_TEST(region_before)
{
	struct vmmem_region *regions[2];
	struct vmmem_collection *two;
	static uint8_t buf[0x4000];
	uint64_t at, count = 0;
	size_t done = 0;

	restore();
	cut();
	regions[0] = vmmem_region_ref(ram);
	regions[1] = region_of(GPA + LEN, 0x1000);
	two = guest_of(regions, 2);
	/* Nothing of it, and what there is of it. */
	for (at = CUT; at + 16 > CUT; at -= 8) {
		const uint64_t len = LEN - at + 8;

		memset(buf, 7, sizeof(buf));
		assert_code(vmmem_collection_read(two, GPA + at, buf, len,
						  &done), VMMEM_EGONE);
		ck_assert_uint_eq(done, CUT - at);
		ck_assert(all_are(buf, 0x11, CUT - at));
		assert_code(vmmem_collection_write(two, GPA + at, buf, len,
						   &done), VMMEM_EGONE);
		ck_assert_uint_eq(done, CUT - at);
		assert_code(vmmem_collection_fill(two, GPA + at, len, 0x11,
						  &count), VMMEM_EGONE);
		ck_assert_uint_eq(count, CUT - at);
		ck_assert_uint_eq(*host_of(two, GPA + LEN), 0);
	}
	vmmem_collection_unref(two);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("fault");
	TCase *tcase = tcase_create("fault");

	tcase_set_timeout(tcase, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, every_writer);
	tcase_add_test(tcase, every_reader);
	tcase_add_test(tcase, counts);
	tcase_add_test(tcase, copies);
	tcase_add_test(tcase, downwards);
	tcase_add_test(tcase, downwards_over_the_end);
	tcase_add_test(tcase, downwards_over_the_start);
	tcase_add_test(tcase, next_region);
	tcase_add_test(tcase, region_before);
	suite_add_tcase(suite, tcase);
	return suite;
}
