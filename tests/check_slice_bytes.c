/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * Bytes and integers through slices: every small shape is compared with what
 * memcpy(), memset() and memmove() make of a copy, the bytes around included.
 */
#include "slices.h"
#include "suite.h"

/* The slice in the middle of its region, and what is looked at. */
#define BEFORE 24
#define AROUND 80

static struct vmmem_region *region;
static uint8_t *host;
static uint8_t model[AROUND];

static void
setup(void)
{
	region = region_of(0x1000, 0x2000);
	host = expect_host(region);
}

static void
teardown(void)
{
	region = vmmem_region_unref(region);
}

static void
begin(void)
{
	pattern(host, AROUND, 3);
	memcpy(model, host, AROUND);
}

static int
same(void)
{
	return memcmp(host, model, AROUND) == 0;
}

/* Lengths of slices; _i is where in a group of 8 the slice begins. */
static const uint64_t lens[] = { 0, 1, 8, 23 };

#define FOR_EACH_SHAPE(len, offset, size)                                  \
	for (size_t l_ = 0; l_ < ARRAY_LEN(lens) && (len = lens[l_], 1);   \
	     l_++)                                                         \
		for (unsigned int o_ = 0;                                  \
		     o_ < EDGES && (offset = edge(o_), 1); o_++)           \
			for (unsigned int s_ = 0;                          \
			     s_ < EDGES && (size = edge(s_), 1); s_++)

static void
fail_shape(const char *what, uint64_t len, uint64_t offset, uint64_t size)
{
	ck_abort_msg("%s: [%#jx, +%#jx) of %ju bytes", what,
		     (uintmax_t)offset, (uintmax_t)size, (uintmax_t)len);
}

START_TEST(reading)
{
	uint8_t buf[48], wanted[48];
	uint64_t len, offset, size;
	struct vmmem_slice slice;
	unsigned int shift;
	int rc;

	begin();
	FOR_EACH_SHAPE(len, offset, size) {
		slice = slice_with(region, BEFORE + (unsigned int)_i, len,
				   VMMEM_PROT_READ);
		shift = (unsigned int)(offset + size) % 8;
		memset(buf, 0xee, sizeof(buf));
		memset(wanted, 0xee, sizeof(wanted));
		rc = vmmem_slice_read(&slice, offset, buf + shift, size);
		if (!lies_within(len, offset, size)) {
			if (rc != VMMEM_EOUTOFRANGE)
				fail_shape("code", len, offset, size);
		} else {
			if (rc != 0)
				fail_shape("code", len, offset, size);
			memcpy(wanted + shift,
			       model + BEFORE + _i + (size ? offset : 0),
			       size);
		}
		if (memcmp(buf, wanted, sizeof(buf)) != 0 || !same())
			fail_shape("bytes", len, offset, size);
	}
}
END_TEST

START_TEST(writing)
{
	uint64_t len, offset, size;
	struct vmmem_slice slice;
	unsigned int shift;
	uint8_t buf[48];
	int rc;

	pattern(buf, sizeof(buf), 99);
	FOR_EACH_SHAPE(len, offset, size) {
		slice = slice_with(region, BEFORE + (unsigned int)_i, len,
				   VMMEM_PROT_WRITE);
		shift = (unsigned int)(offset + size) % 8;
		begin();
		rc = vmmem_slice_write(&slice, offset, buf + shift, size);
		if (!lies_within(len, offset, size)) {
			if (rc != VMMEM_EOUTOFRANGE)
				fail_shape("code", len, offset, size);
		} else {
			if (rc != 0)
				fail_shape("code", len, offset, size);
			memcpy(model + BEFORE + _i + (size ? offset : 0),
			       buf + shift, size);
		}
		if (!same())
			fail_shape("bytes", len, offset, size);
	}
}
END_TEST

START_TEST(filling)
{
	uint64_t len, offset, size;
	struct vmmem_slice slice;
	int rc;

	FOR_EACH_SHAPE(len, offset, size) {
		slice = slice_with(region, BEFORE + (unsigned int)_i, len,
				   VMMEM_PROT_WRITE);
		begin();
		rc = vmmem_slice_fill(&slice, offset, size, 0xa5);
		if (!lies_within(len, offset, size)) {
			if (rc != VMMEM_EOUTOFRANGE)
				fail_shape("code", len, offset, size);
		} else {
			if (rc != 0)
				fail_shape("code", len, offset, size);
			memset(model + BEFORE + _i + (size ? offset : 0),
			       0xa5, size);
		}
		if (!same())
			fail_shape("bytes", len, offset, size);
	}
}
END_TEST

/* What there is of the range is moved, and counted. */
START_TEST(some)
{
	uint8_t buf[48], wanted[48];
	uint64_t len, offset, size, fits;
	struct vmmem_slice slice;
	size_t done;
	int rc;

	FOR_EACH_SHAPE(len, offset, size) {
		/* memcpy() of the model must not see the wild sizes. */
		fits = offset < len ? len - offset : 0;
		if (size < fits)
			fits = size;
		slice = slice_of(region, BEFORE + (unsigned int)_i, len);

		begin();
		memset(buf, 0xee, sizeof(buf));
		memset(wanted, 0xee, sizeof(wanted));
		done = 777;
		rc = vmmem_slice_read_some(&slice, offset, buf + 1, size,
					   &done);
		if (rc != (fits == size ? 0 : VMMEM_EOUTOFRANGE) ||
		    done != fits)
			fail_shape("read", len, offset, size);
		memcpy(wanted + 1, model + BEFORE + _i + (fits ? offset : 0),
		       fits);
		if (memcmp(buf, wanted, sizeof(buf)) != 0 || !same())
			fail_shape("bytes read", len, offset, size);

		pattern(buf, sizeof(buf), 41);
		done = 777;
		rc = vmmem_slice_write_some(&slice, offset, buf + 1, size,
					    &done);
		if (rc != (fits == size ? 0 : VMMEM_EOUTOFRANGE) ||
		    done != fits)
			fail_shape("write", len, offset, size);
		memcpy(model + BEFORE + _i + (fits ? offset : 0), buf + 1,
		       fits);
		if (!same())
			fail_shape("bytes written", len, offset, size);
	}
}
END_TEST

/* Two windows on the same bytes, every way to overlap; _i is the target's. */
#define WINDOW 24
#define SHIFTS 17

START_TEST(copying_small)
{
	struct vmmem_slice target, source;
	uint64_t from, len;
	uint64_t to = (uint64_t)_i;

	target = slice_of(region, BEFORE, WINDOW + SHIFTS);
	for (from = 0; from < SHIFTS; from++) {
		/* The source begins elsewhere, so offsets are not alike. */
		source = slice_of(region, BEFORE + from, WINDOW);
		for (len = 0; len <= WINDOW; len++) {
			begin();
			EXPECT_CODE(vmmem_slice_copy(&target, to, &source, 0,
						     len), 0);
			memmove(model + BEFORE + to, model + BEFORE + from,
				len);
			if (!same())
				fail_shape("copy", from, to, len);
		}
	}
}
END_TEST

/* Around what the engine moves at once, up and down, by little and by much. */
START_TEST(copying_large)
{
	static const uint64_t sizes[] = { 504,  511,  512,  513,  520,
					  1016, 1023, 1024, 1025, 1500 };
	static const int64_t shifts[] = {
		0, 1, -1, 7, -7, 8, -8, 9, 63, -505, 512, -512, 513, -513,
	};
	static uint8_t large[0x2000];
	const struct vmmem_slice slice = slice_of(region, 0, 0x2000);
	uint64_t from, to, size = sizes[_i];
	unsigned int align;
	size_t i;

	for (i = 0; i < ARRAY_LEN(shifts); i++) {
		for (align = 0; align < 8; align++) {
			from = 0x800 + align;
			to = from + (uint64_t)shifts[i];
			pattern(host, sizeof(large), (unsigned int)i);
			memcpy(large, host, sizeof(large));
			memmove(large + to, large + from, size);
			assert_ok(vmmem_slice_copy(&slice, to, &slice, from,
						   size));
			if (memcmp(large, host, sizeof(large)) != 0)
				fail_shape("copy", from, to, size);
		}
	}
}
END_TEST

/* The same bytes by two aliases: guest addresses say nothing of the overlap. */
START_TEST(copying_between_aliases)
{
	static uint8_t large[0x2000];
	struct vmmem_region *low, *high;
	struct vmmem_slice target, source;
	uint64_t shift;
	int down;

	assert_ok(vmmem_region_new_alias(0x100000, 0x1000, region, 0x10,
					 &low));
	assert_ok(vmmem_region_new_alias(0, 0x1000, region, 0x20, &high));
	for (shift = 0; shift < 40; shift++) {
		for (down = 0; down < 2; down++) {
			target = slice_of(down ? low : high, shift, 0xf00);
			source = slice_of(down ? high : low, 0, 0xf00);
			pattern(host, sizeof(large), 5);
			memcpy(large, host, sizeof(large));
			memmove(large + shift + (down ? 0x10 : 0x20),
				large + (down ? 0x20 : 0x10), 0xf00);
			EXPECT_CODE(vmmem_slice_copy(&target, 0, &source, 0,
						     0xf00), 0);
			EXPECT(memcmp(host, large, sizeof(large)) == 0);
		}
	}
	vmmem_region_unref(low);
	vmmem_region_unref(high);
}
END_TEST

/* Each side's range is checked, whatever the other's is. */
START_TEST(copying_out_of_range)
{
	struct vmmem_slice target = slice_of(region, BEFORE, 8);
	struct vmmem_slice source = slice_of(region, BEFORE + 16, 12);
	uint64_t to, from, len;
	unsigned int i, j, k;
	int good;

	for (i = 0; i < EDGES; i++) {
		for (j = 0; j < EDGES; j++) {
			for (k = 0; k < EDGES; k++) {
				to = edge(i);
				from = edge(j);
				len = edge(k);
				good = lies_within(8, to, len) &&
				       lies_within(12, from, len);
				begin();
				if (vmmem_slice_copy(&target, to, &source,
						     from, len) !=
				    (good ? 0 : VMMEM_EOUTOFRANGE))
					fail_shape("code", to, from, len);
				if (good && len != 0)
					memmove(model + BEFORE + to,
						model + BEFORE + 16 + from,
						len);
				if (!same())
					fail_shape("bytes", to, from, len);
			}
		}
	}
}
END_TEST

START_TEST(permissions)
{
	struct vmmem_slice rom, port, slice = slice_of(region, 0, 64);
	uint8_t buf[8] = "unread";
	uint32_t value = 7;
	size_t done = 7;

	rom = slice_with(region, 0, 64, VMMEM_PROT_READ);
	port = slice_with(region, 0, 64, VMMEM_PROT_WRITE);
	begin();
	assert_code(vmmem_slice_write(&rom, 0, buf, 8), VMMEM_EDENIED);
	assert_code(vmmem_slice_write_some(&rom, 0, buf, 8, &done),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(done, 0);
	done = 7;
	assert_code(vmmem_slice_write_some(&rom, 60, buf, 8, &done),
		    VMMEM_EDENIED);
	ck_assert_uint_eq(done, 0);
	done = 7;
	assert_code(vmmem_slice_fill(&rom, 0, 8, 9), VMMEM_EDENIED);
	assert_code(vmmem_slice_copy(&rom, 0, &slice, 8, 8), VMMEM_EDENIED);
	assert_code(vmmem_slice_write_u8(&rom, 0, 9), VMMEM_EDENIED);
	assert_code(vmmem_slice_write_u64(&rom, 8, 9), VMMEM_EDENIED);
	assert_code(vmmem_slice_write_be32(&rom, 3, 9), VMMEM_EDENIED);
	assert_code(vmmem_slice_read(&port, 0, buf, 8), VMMEM_EDENIED);
	assert_code(vmmem_slice_read_some(&port, 0, buf, 8, &done),
		    VMMEM_EDENIED);
	assert_code(vmmem_slice_copy(&slice, 0, &port, 8, 8), VMMEM_EDENIED);
	assert_code(vmmem_slice_read_u32(&port, 0, &value), VMMEM_EDENIED);
	assert_code(vmmem_slice_read_le32(&port, 5, &value), VMMEM_EDENIED);
	ck_assert(same());
	ck_assert_str_eq((char *)buf, "unread");
	ck_assert_uint_eq(value, 7);
	ck_assert_uint_eq(done, 0);
	/* Nothing is always permitted. */
	assert_ok(vmmem_slice_write(&rom, 0, NULL, 0));
	assert_ok(vmmem_slice_read(&port, 0, NULL, 0));
	assert_ok(vmmem_slice_copy(&rom, 0, &port, 0, 0));
	/* Whoever has a pointer has written already. */
	assert_ok(vmmem_slice_mark(&rom, 0, 8));
}
END_TEST

/* The bytes of an integer in each order. */
static uint64_t
value_of(const uint8_t *bytes, unsigned int size, int is_big)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		value |= (uint64_t)bytes[is_big ? size - 1 - i : i] << 8 * i;
	return value;
}

#define INTEGER(type, bits, big)                                           \
	static void check_##type(uint64_t len)                             \
	{                                                                  \
		struct vmmem_slice slice = slice_of(region, BEFORE, len);  \
		const uint##bits##_t before =                              \
			(uint##bits##_t)0x7777777777777777;                \
		uint##bits##_t value = 0;                                  \
		unsigned int i, j;                                         \
		uint64_t offset;                                           \
		uint8_t *at;                                               \
                                                                           \
		for (i = 0; i < EDGES; i++) {                              \
			offset = edge(i);                                  \
			begin();                                           \
			value = before;                                    \
			if (!lies_within(len, offset, (bits) / 8)) {       \
				EXPECT_CODE(vmmem_slice_read_##type(       \
						    &slice, offset,        \
						    &value),               \
					    VMMEM_EOUTOFRANGE);            \
				EXPECT_CODE(vmmem_slice_write_##type(      \
						    &slice, offset, 1),    \
					    VMMEM_EOUTOFRANGE);            \
				EXPECT(value == before && same());         \
				continue;                                  \
			}                                                  \
			at = model + BEFORE + offset;                      \
			EXPECT_CODE(vmmem_slice_read_##type(               \
					    &slice, offset, &value), 0);   \
			EXPECT(value == value_of(at, (bits) / 8, big));    \
			for (j = 0; j < (bits) / 8; j++)                   \
				at[j] = (uint8_t)(0xd0 + j);               \
			value = (uint##bits##_t)value_of(at, (bits) / 8,   \
							 big);             \
			EXPECT_CODE(vmmem_slice_write_##type(              \
					    &slice, offset, value), 0);    \
			EXPECT(same());                                    \
		}                                                          \
		EXPECT_CODE(vmmem_slice_read_##type(NULL, 0, &value),      \
			    VMMEM_EARGUMENT);                                 \
		EXPECT_CODE(vmmem_slice_read_##type(&slice, 0, NULL),      \
			    VMMEM_EARGUMENT);                                 \
		EXPECT_CODE(vmmem_slice_write_##type(NULL, 0, 0),          \
			    VMMEM_EARGUMENT);                                 \
	}

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define NATIVE 1
#else
#define NATIVE 0
#endif

INTEGER(u8, 8, NATIVE)
INTEGER(u16, 16, NATIVE)
INTEGER(u32, 32, NATIVE)
INTEGER(u64, 64, NATIVE)
INTEGER(le16, 16, 0)
INTEGER(le32, 32, 0)
INTEGER(le64, 64, 0)
INTEGER(be16, 16, 1)
INTEGER(be32, 32, 1)
INTEGER(be64, 64, 1)

static void (*const integers[])(uint64_t len) = {
	check_u8,   check_u16,	check_u32,  check_u64,	check_le16,
	check_le32, check_le64, check_be16, check_be32, check_be64,
};

START_TEST(integer)
{
	uint64_t len;

	for (len = 0; len <= 20; len++)
		integers[_i](len);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("slice_bytes");
	TCase *tcase = tcase_create("slice_bytes");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, reading, 0, 8);
	tcase_add_loop_test(tcase, writing, 0, 8);
	tcase_add_loop_test(tcase, filling, 0, 8);
	tcase_add_loop_test(tcase, some, 0, 8);
	tcase_add_loop_test(tcase, copying_small, 0, SHIFTS);
	tcase_add_loop_test(tcase, copying_large, 0, 10);
	tcase_add_test(tcase, copying_between_aliases);
	tcase_add_test(tcase, copying_out_of_range);
	tcase_add_test(tcase, permissions);
	tcase_add_loop_test(tcase, integer, 0, (int)ARRAY_LEN(integers));
	suite_add_tcase(suite, tcase);
	return suite;
}
