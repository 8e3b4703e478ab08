/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Atomic operations on slices: values, orders, and each refusal in its turn. */
#include <pthread.h>

#include "slices.h"
#include "suite.h"

#define BEFORE 16
#define AROUND 64

static struct vmmem_region *region;
static uint8_t *host;
static uint8_t model[AROUND];

static void
setup(void)
{
	region = region_of(0x1000, 0x1000);
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

/*
 * One operation in one form, whatever its width and its parameters: 'operand'
 * is what it takes, 'expected' for a compare-exchange alone.
 */
struct call {
	const struct vmmem_slice *slice;
	uint64_t offset, operand, expected;
	int order, failure;
	int no_output; /* pass NULL */
	uint64_t seen; /* what came out */
};

#define FORMS(bits)                                                        \
	static int load##bits(struct call *call)                           \
	{                                                                  \
		uint##bits##_t seen = (uint##bits##_t)call->seen;          \
		int rc = vmmem_slice_load_u##bits(                         \
			call->slice, call->offset, call->order,            \
			call->no_output ? NULL : &seen);                   \
                                                                           \
		call->seen = seen;                                         \
		return rc;                                                 \
	}                                                                  \
                                                                           \
	static int store##bits(struct call *call)                          \
	{                                                                  \
		return vmmem_slice_store_u##bits(                          \
			call->slice, call->offset,                         \
			(uint##bits##_t)call->operand, call->order);       \
	}                                                                  \
                                                                           \
	static int compare_exchange##bits(struct call *call)               \
	{                                                                  \
		uint##bits##_t seen = (uint##bits##_t)call->seen;          \
		int rc = vmmem_slice_compare_exchange_u##bits(             \
			call->slice, call->offset,                         \
			(uint##bits##_t)call->expected,                    \
			(uint##bits##_t)call->operand, call->order,        \
			call->failure, call->no_output ? NULL : &seen);    \
                                                                           \
		call->seen = seen;                                         \
		return rc;                                                 \
	}

#define MODIFY_FORM(name, bits)                                            \
	static int name##bits(struct call *call)                           \
	{                                                                  \
		uint##bits##_t seen = (uint##bits##_t)call->seen;          \
		int rc = vmmem_slice_##name##_u##bits(                     \
			call->slice, call->offset,                         \
			(uint##bits##_t)call->operand, call->order,        \
			call->no_output ? NULL : &seen);                   \
                                                                           \
		call->seen = seen;                                         \
		return rc;                                                 \
	}

#define ALL_FORMS(bits)                                                    \
	FORMS(bits)                                                        \
	MODIFY_FORM(exchange, bits)                                        \
	MODIFY_FORM(fetch_add, bits)                                       \
	MODIFY_FORM(fetch_or, bits)                                        \
	MODIFY_FORM(fetch_and, bits)

ALL_FORMS(8)
ALL_FORMS(16)
ALL_FORMS(32)
ALL_FORMS(64)

enum kind { LOAD, STORE, EXCHANGE, COMPARE, ADD, OR, AND };

static const struct operation {
	enum kind kind;
	unsigned int size;
	int (*call)(struct call *call);
} operations[] = {
#define ROWS(bits)                                                         \
	{ LOAD, (bits) / 8, load##bits },                                  \
	{ STORE, (bits) / 8, store##bits },                                \
	{ EXCHANGE, (bits) / 8, exchange##bits },                          \
	{ COMPARE, (bits) / 8, compare_exchange##bits },                   \
	{ ADD, (bits) / 8, fetch_add##bits },                              \
	{ OR, (bits) / 8, fetch_or##bits },                                \
	{ AND, (bits) / 8, fetch_and##bits }
	ROWS(8),
	ROWS(16),
	ROWS(32),
	ROWS(64),
};

static uint32_t
needs(enum kind kind)
{
	if (kind == LOAD)
		return VMMEM_PROT_READ;
	return kind == STORE ? VMMEM_PROT_WRITE : READ_WRITE;
}

static int
order_is_good(enum kind kind, int order)
{
	if (order < VMMEM_ORDER_RELAXED || order > VMMEM_ORDER_SEQ_CST ||
	    order == __ATOMIC_CONSUME)
		return 0;
	if (kind == LOAD)
		return order != VMMEM_ORDER_RELEASE &&
		       order != VMMEM_ORDER_ACQ_REL;
	if (kind == STORE)
		return order == VMMEM_ORDER_RELAXED ||
		       order == VMMEM_ORDER_RELEASE ||
		       order == VMMEM_ORDER_SEQ_CST;
	return 1;
}

static uint64_t
cut(uint64_t value, unsigned int size)
{
	return size == 8 ? value : value & ((UINT64_C(1) << 8 * size) - 1);
}

/* The integer of 'size' bytes in the host's order. */
static uint64_t
peek(const uint8_t *at, unsigned int size)
{
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	switch (size) {
	case 1:
		return *at;
	case 2:
		memcpy(&two, at, 2);
		return two;
	case 4:
		memcpy(&four, at, 4);
		return four;
	default:
		memcpy(&eight, at, 8);
		return eight;
	}
}

static void
poke(uint8_t *at, unsigned int size, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < size; i++) {
		unsigned int byte = i;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		byte = size - 1 - i;
#endif
		at[i] = (uint8_t)(value >> 8 * byte);
	}
}

/* What is there afterwards. */
static uint64_t
result(enum kind kind, uint64_t there, uint64_t operand, uint64_t expected)
{
	switch (kind) {
	case LOAD:
		return there;
	case ADD:
		return there + operand;
	case OR:
		return there | operand;
	case AND:
		return there & operand;
	case COMPARE:
		return there == expected ? operand : there;
	default:
		return operand;
	}
}

/* Each operation with each order at each offset, good or bad. */
START_TEST(values)
{
	const struct operation *op = &operations[_i];
	const uint64_t operand = 0x8899aabbccddeeff;
	struct vmmem_slice slice;
	uint64_t len, there;
	struct call call;
	unsigned int i;
	uint8_t *at;
	int order, matches, code;

	for (len = 0; len <= 20; len += 4) {
		slice = slice_with(region, BEFORE, len, needs(op->kind));
		for (i = 0; i < 2 * EDGES; i++) {
			matches = i % 2;
			for (order = -2; order <= 7; order++) {
				begin();
				call = (struct call){
					.slice = &slice,
					.offset = edge(i / 2),
					.operand = cut(operand, op->size),
					.order = order,
					.failure = VMMEM_ORDER_RELAXED,
					.seen = 0x77,
				};
				code = 0;
				if (!order_is_good(op->kind, order))
					code = VMMEM_EORDER;
				else if (!lies_within(len, call.offset,
						      op->size))
					code = VMMEM_EOUTOFRANGE;
				else if (call.offset % op->size != 0)
					code = VMMEM_EMISALIGNED;
				there = 0;
				at = model + BEFORE;
				if (code == 0) {
					at += call.offset;
					there = peek(at, op->size);
				}
				call.expected = cut(matches ? there : ~there,
						    op->size);
				EXPECT_CODE(op->call(&call), code);
				if (code != 0) {
					EXPECT(call.seen == 0x77);
					EXPECT(same());
					continue;
				}
				if (op->kind != STORE)
					EXPECT(call.seen == there);
				poke(at, op->size,
				     result(op->kind, there, call.operand,
					    call.expected));
				EXPECT(same());
			}
		}
	}
}
END_TEST

/* Both orders of a compare-exchange, all pairs. */
START_TEST(compare_exchange_orders)
{
	const struct operation *op = &operations[7 * _i + COMPARE];
	const struct vmmem_slice slice = slice_of(region, BEFORE, 8);
	struct call call;
	int success, failure, good, matches;
	uint64_t there;

	for (success = -2; success <= 7; success++) {
		for (failure = -2; failure <= 7; failure++) {
			for (matches = 0; matches < 2; matches++) {
				begin();
				there = peek(model + BEFORE, op->size);
				call = (struct call){
					.slice = &slice,
					.operand = cut(~there, op->size),
					.expected = there ^ !matches,
					.order = success,
					.failure = failure,
				};
				good = order_is_good(COMPARE, success) &&
				       order_is_good(LOAD, failure);
				EXPECT_CODE(op->call(&call),
					    good ? 0 : VMMEM_EORDER);
				if (good)
					EXPECT(call.seen == there);
				if (good && matches)
					poke(model + BEFORE, op->size,
					     call.operand);
				EXPECT(same());
			}
		}
	}
}
END_TEST

/* The guest's address decides, not the offset. */
START_TEST(alignment_by_guest_address)
{
	const struct operation *op = &operations[_i];
	struct vmmem_region *odd = region_of(0x2005, 64);
	struct vmmem_slice slice = slice_of(odd, 2, 60);
	uint64_t offset;

	for (offset = 0; offset < 16; offset++) {
		struct call call = {
			.slice = &slice,
			.offset = offset,
			.order = VMMEM_ORDER_SEQ_CST,
		};

		assert_code(op->call(&call),
			    (0x2007 + offset) % op->size == 0 ?
				    0 :
				    VMMEM_EMISALIGNED);
	}
	vmmem_region_unref(odd);
}
END_TEST

START_TEST(permissions)
{
	const struct operation *op = &operations[_i];
	struct vmmem_slice slice;
	struct call call;
	uint32_t access;
	int good;

	for (access = 0; access <= READ_WRITE; access++) {
		begin();
		slice = slice_with(region, BEFORE, 16, access);
		call = (struct call){
			.slice = &slice,
			.order = VMMEM_ORDER_RELAXED,
			.seen = 0x77,
		};
		good = (needs(op->kind) & ~access) == 0;
		assert_code(op->call(&call), good ? 0 : VMMEM_EDENIED);
		if (!good) {
			ck_assert_uint_eq(call.seen, 0x77);
			ck_assert(same());
		}
	}
}
END_TEST

/* Mistakes are made good one by one; the first that is left is told. */
START_TEST(first_of_several)
{
	const struct operation *op = &operations[_i];
	const struct vmmem_slice slice = slice_with(region, BEFORE, 17, 0);
	struct call call = {
		.offset = 17,
		.order = 99,
		.failure = VMMEM_ORDER_RELAXED,
		.no_output = 1,
	};

	begin();
	assert_code(op->call(&call), VMMEM_EARGUMENT);
	call.slice = &slice;
	if (op->kind == LOAD || op->kind == COMPARE)
		assert_code(op->call(&call), VMMEM_EARGUMENT);
	call.no_output = 0;
	assert_code(op->call(&call), VMMEM_EORDER);
	call.order = VMMEM_ORDER_RELAXED;
	assert_code(op->call(&call), VMMEM_EOUTOFRANGE);
	call.offset = 18 - op->size;
	assert_code(op->call(&call), VMMEM_EOUTOFRANGE);
	call.offset = 17 - op->size;
	assert_code(op->call(&call),
		    op->size == 1 ? VMMEM_EDENIED : VMMEM_EMISALIGNED);
	call.offset = 8;
	assert_code(op->call(&call), VMMEM_EDENIED);
	ck_assert(same());
}
END_TEST

/* What was there may be of no interest. */
START_TEST(without_output)
{
	const struct operation *op = &operations[_i];
	const struct vmmem_slice slice = slice_of(region, BEFORE, 16);
	struct call call = {
		.slice = &slice,
		.order = VMMEM_ORDER_ACQ_REL,
		.operand = 1,
		.no_output = 1,
	};
	uint64_t there;

	if (op->kind == LOAD || op->kind == STORE || op->kind == COMPARE)
		return;
	begin();
	there = peek(model + BEFORE, op->size);
	assert_ok(op->call(&call));
	poke(model + BEFORE, op->size, result(op->kind, there, 1, 0));
	ck_assert(same());
}
END_TEST

/* Two threads at one place: nothing is lost. */
#define ROUNDS 20000

struct duel {
	struct vmmem_slice slice;
	unsigned int own; /* this thread's bit */
	int code;
};

static void *
count(void *opaque)
{
	struct duel *duel = opaque;
	const struct vmmem_slice *slice = &duel->slice;
	uint32_t seen, wanted = 0;
	int i, rc = 0;

	for (i = 0; i < ROUNDS && rc == 0; i++) {
		rc |= vmmem_slice_fetch_add_u64(slice, 0, 1,
						VMMEM_ORDER_RELAXED, NULL);
		rc |= vmmem_slice_fetch_or_u8(slice, 8,
					      (uint8_t)(1U << duel->own),
					      VMMEM_ORDER_ACQ_REL, NULL);
		rc |= vmmem_slice_fetch_and_u8(slice, 8,
					       (uint8_t)~(1U << duel->own),
					       VMMEM_ORDER_ACQ_REL, NULL);
		do {
			rc |= vmmem_slice_compare_exchange_u32(
				slice, 12, wanted, wanted + 1,
				VMMEM_ORDER_ACQ_REL, VMMEM_ORDER_ACQUIRE,
				&seen);
			if (seen == wanted || rc != 0)
				break;
			wanted = seen;
		} while (1);
	}
	duel->code = rc;
	return NULL;
}

START_TEST(threads)
{
	struct duel duels[2];
	pthread_t other;
	unsigned int i;

	for (i = 0; i < 2; i++)
		duels[i] = (struct duel){ slice_of(region, 0, 16), i, 0 };
	memset(host, 0, 16);
	ck_assert_int_eq(pthread_create(&other, NULL, count, &duels[1]), 0);
	count(&duels[0]);
	ck_assert_int_eq(pthread_join(other, NULL), 0);
	assert_ok(duels[0].code);
	assert_ok(duels[1].code);
	ck_assert_uint_eq(peek(host, 8), 2 * ROUNDS);
	ck_assert_uint_eq(host[8], 0);
	ck_assert_uint_eq(peek(host + 12, 4), 2 * ROUNDS);
}
END_TEST

Suite *
make_suite(void)
{
	const int all = (int)ARRAY_LEN(operations);
	Suite *suite = suite_create("slice_atomic");
	TCase *tcase = tcase_create("slice_atomic");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, values, 0, all);
	tcase_add_loop_test(tcase, compare_exchange_orders, 0, 4);
	tcase_add_loop_test(tcase, alignment_by_guest_address, 0, all);
	tcase_add_loop_test(tcase, permissions, 0, all);
	tcase_add_loop_test(tcase, first_of_several, 0, all);
	tcase_add_loop_test(tcase, without_output, 0, all);
	tcase_add_test(tcase, threads);
	suite_add_tcase(suite, tcase);
	return suite;
}
