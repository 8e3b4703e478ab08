/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * All pairs of the numbers at which 64-bit arithmetic can go wrong: 0 to 20,
 * the same below 2^64, and each power of two, one less and one more.  Each
 * helper of vmmem/address.h, inline and exported, and each range that a region
 * can be made of, is compared with the same in 128 bits.
 */
#include "layout.h"
#include "suite.h"

#include <vmmem/address.h>

#define NUMBERS_MAX 256
static uint64_t numbers[NUMBERS_MAX];
static size_t count;

static void
add_number(uint64_t number)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (numbers[i] == number)
			return;
	}
	REQUIRE(count < NUMBERS_MAX);
	numbers[count++] = number;
}

static void
set_up(void)
{
	uint64_t i;

	count = 0;
	for (i = 0; i <= 20; i++) {
		add_number(i);
		add_number(TOP - i);
	}
	for (i = 0; i < 64; i++) {
		add_number((UINT64_C(1) << i) - 1);
		add_number(UINT64_C(1) << i);
		add_number((UINT64_C(1) << i) + 1);
	}
}

static const uint64_t untouched = UINT64_C(0x5aa555aa00ff33cc);
static const struct layout nothing = { .count = 0 };

/*
 * The helpers, either as the compiler sees them, inline, or as the library
 * exports them: a volatile pointer is not looked through.
 */
typedef int (*binary_fn)(uint64_t a, uint64_t b, uint64_t *ret);

static void
expect_result(uint64_t a, uint64_t b, int rc, uint64_t result, int want,
	      wide right)
{
	struct probe probe = { a, b, result };

	EXPECT(&nothing, probe, rc == want);
	EXPECT(&nothing, probe,
	       result == (want == 0 ? (uint64_t)right : untouched));
}

#define CALL(helper)                                                       \
	do {                                                               \
		static volatile const binary_fn exported = helper;         \
		uint64_t result = untouched;                               \
		int rc = helper(a, b, &result);                            \
                                                                           \
		expect_result(a, b, rc, result, want, right);              \
		result = untouched;                                        \
		rc = exported(a, b, &result);                              \
		expect_result(a, b, rc, result, want, right);              \
	} while (0)

static void
pair_arithmetic(uint64_t a, uint64_t b)
{
	wide right;
	int want;

	right = (wide)a + b;
	want = right > TOP ? VMMEM_EWRAPS : 0;
	CALL(vmmem_address_checked_add);

	/* 2^64 more, so that it stays positive. */
	right = ((wide)1 << 64) + a - b;
	want = right > TOP ? 0 : VMMEM_EWRAPS;
	CALL(vmmem_address_checked_sub);

	right = (wide)a + b - 1;
	want = b == 0 ? VMMEM_EZEROLEN : right > TOP ? VMMEM_EWRAPS : 0;
	CALL(vmmem_address_range_last);
}

static void
pair_alignment(uint64_t a, uint64_t b)
{
	bool power = false;
	unsigned int bit;
	wide right;
	int want;

	for (bit = 0; bit < 64; bit++)
		power |= b == UINT64_C(1) << bit;

	right = power ? ((wide)a + b - 1) / b * b : 0;
	want = !power ? VMMEM_EARGUMENT : right > TOP ? VMMEM_EWRAPS : 0;
	CALL(vmmem_address_align_up);
	right = power ? a / b * b : 0;
	want = !power ? VMMEM_EARGUMENT : 0;
	CALL(vmmem_address_align_down);
}

START_TEST(test_helpers)
{
	size_t i, j;

	set_up();
	for (i = 0; i < count; i++) {
		for (j = 0; j < count; j++) {
			pair_arithmetic(numbers[i], numbers[j]);
			pair_alignment(numbers[i], numbers[j]);
		}
	}
}
END_TEST

static int
no_bytes(void *opaque, uint64_t offset, void *buf, size_t len,
	 const struct vmmem_access_info *info)
{
	(void)info;
	(void)opaque;
	(void)offset;
	(void)buf;
	(void)len;
	return VMMEM_EPARTIAL;
}

static const struct vmmem_region_ops ops = {
	.size = sizeof(ops),
	.read = no_bytes,
};

/* A region of each range; only custom ones can be of any length. */
START_TEST(test_region_range)
{
	size_t i, j;

	set_up();
	for (i = 0; i < count; i++) {
		for (j = 0; j < count; j++) {
			uint64_t gpa = numbers[i];
			uint64_t len = numbers[j];
			struct probe probe = { gpa, len, 0 };
			struct vmmem_region *region = NULL;
			wide end = (wide)gpa + len;
			int want = 0;
			int rc;

			if (len == 0)
				want = VMMEM_EZEROLEN;
			else if (end - 1 > TOP)
				want = VMMEM_EWRAPS;
			rc = vmmem_region_new_custom(gpa, len, &ops, NULL,
						     &region);
			EXPECT(&nothing, probe, rc == want);
			EXPECT(&nothing, probe, (region != NULL) == (rc == 0));
			if (rc != 0)
				continue;
			EXPECT(&nothing, probe,
			       vmmem_region_start(region) == gpa);
			EXPECT(&nothing, probe,
			       vmmem_region_last(region) == end - 1);
			EXPECT(&nothing, probe,
			       vmmem_region_len(region) == len);
			vmmem_region_unref(region);
		}
	}
}
END_TEST

/*
 * Every part of a target as an alias at 0, where it fits if it is a part, and
 * each offset asked for its host address.
 */
START_TEST(test_alias_range)
{
	const uint64_t lengths[] = { 1, 2, 19, UINT64_C(1) << 32,
				     UINT64_C(1) << 63, TOP };
	struct vmmem_region *target, *region;
	uint64_t host_len;
	void *host;
	size_t i, j;
	int rc;

	set_up();
	rc = vmmem_region_new_custom(TOP - lengths[_i] + 1, lengths[_i], &ops,
				     NULL, &target);
	REQUIRE(rc == 0);
	for (i = 0; i < count; i++) {
		uint64_t offset = numbers[i];
		struct probe probe = { offset, 0, lengths[_i] };

		rc = vmmem_region_host_address(target, offset, &host,
					       &host_len);
		EXPECT(&nothing, probe,
		       rc == (offset < lengths[_i] ? VMMEM_ENOHOST :
						     VMMEM_EOUTOFRANGE));
		for (j = 0; j < count; j++) {
			uint64_t len = numbers[j];
			int want = 0;

			probe.len = len;
			region = NULL;
			if (len == 0)
				want = VMMEM_EZEROLEN;
			else if ((wide)offset + len > lengths[_i])
				want = VMMEM_EOUTOFRANGE;
			rc = vmmem_region_new_alias(0, len, target, offset,
						    &region);
			EXPECT(&nothing, probe, rc == want);
			EXPECT(&nothing, probe, (region != NULL) == (rc == 0));
			if (rc != 0)
				continue;
			EXPECT(&nothing, probe,
			       vmmem_region_alias_offset(region) == offset);
			vmmem_region_unref(region);
		}
	}
	vmmem_region_unref(target);
}
END_TEST

/* Host ranges wrap too, and are refused; the bytes are never touched. */
START_TEST(test_host_range)
{
	size_t i, j;

	set_up();
	for (i = 0; i < count; i++) {
		for (j = 0; j < count; j++) {
			uint64_t host = numbers[i];
			uint64_t len = numbers[j];
			struct probe probe = { host, len, 0 };
			struct vmmem_region *region = NULL;
			int want = 0;
			int rc;

			/* Congruent, and nothing of the guest's can wrap. */
			if (host == 0)
				want = VMMEM_EARGUMENT;
			else if (len == 0)
				want = VMMEM_EZEROLEN;
			else if ((wide)host + len - 1 > TOP)
				want = VMMEM_EWRAPS;
			if (host == 0 && len == 0)
				continue;
			if (len > TOP - host % 16)
				continue;
			rc = vmmem_region_new_external(
				host % 16, len, (void *)(uintptr_t)host,
				&region);
			EXPECT(&nothing, probe, rc == want);
			EXPECT(&nothing, probe, (region != NULL) == (rc == 0));
			vmmem_region_unref(region);
		}
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("exhaustive addresses");
	TCase *tcase = tcase_create("all pairs of numbers");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, test_helpers);
	tcase_add_test(tcase, test_region_range);
	tcase_add_loop_test(tcase, test_alias_range, 0, 6);
	tcase_add_test(tcase, test_host_range);
	suite_add_tcase(suite, tcase);
	return suite;
}
