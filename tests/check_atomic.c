/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * What each operation does and refuses, in every width and order, on one
 * thread; what threads see of each other is in check_tearing.c.
 */
#include <limits.h>

#include <vmmem/atomic.h>

#include "guest.h"
#include "suite.h"

#define PAGE UINT64_C(0x1000)
#define ROM UINT64_C(0x3000)
#define SINK UINT64_C(0x4000)
#define HOLE UINT64_C(0x5000)
#define DEVICE UINT64_C(0x7000)
#define ROM_DEVICE UINT64_C(0x8000)

static struct vmmem_collection *guest;

static int
device_read(void *opaque, uint64_t offset, void *buf, size_t len,
	    const struct vmmem_access_info *info)
{
	(void)info;
	(void)offset;
	(void)buf;
	(void)len;
	(*(unsigned int *)opaque)++;
	return 0;
}

static int
device_write(void *opaque, uint64_t offset, const void *buf, size_t len,
	     const struct vmmem_access_info *info)
{
	(void)info;
	(void)offset;
	(void)buf;
	(void)len;
	(*(unsigned int *)opaque)++;
	return 0;
}

static unsigned int device_calls;

static struct vmmem_region *
device(uint64_t gpa, int writable)
{
	struct vmmem_region_ops ops = {
		.size = sizeof(ops),
		.read = device_read,
		.write = writable ? device_write : NULL,
	};
	struct vmmem_region *region = NULL;

	assert_ok(vmmem_region_new_custom(gpa, 0x1000, &ops, &device_calls,
					  &region));
	return region;
}

/*
 * The end of the first region is a multiple of 2 and of nothing more, so that
 * an aligned value can cross it.
 */
static void
setup(void)
{
	struct vmmem_region *regions[] = {
		region_of(PAGE, 0xffa),
		region_of(PAGE + 0xffa, 0x1006),
		region_with(ROM, 0x1000, VMMEM_PROT_READ),
		region_with(SINK, 0x1000, VMMEM_PROT_WRITE),
		device(DEVICE, 1),
		device(ROM_DEVICE, 0),
		region_of(TOP - 0xfff, 0x1000),
	};

	guest = guest_of(regions, ARRAY_LEN(regions));
	device_calls = 0;
}

static void
teardown(void)
{
	ck_assert_uint_eq(device_calls, 0);
	guest = vmmem_collection_unref(guest);
}

/* Every order there is, and numbers that are none. */
static const int orders[] = {
	VMMEM_ORDER_RELAXED, VMMEM_ORDER_ACQUIRE, VMMEM_ORDER_RELEASE,
	VMMEM_ORDER_ACQ_REL, VMMEM_ORDER_SEQ_CST, __ATOMIC_CONSUME,
	-1,                  6,                   32,
	64,                  INT_MAX,             INT_MIN,
};

/* A check that a switch over the numbers does not make. */
static int
is_order(int order)
{
	return order >= VMMEM_ORDER_RELAXED && order <= VMMEM_ORDER_SEQ_CST &&
	       order != __ATOMIC_CONSUME;
}

static int
loads(int order)
{
	return is_order(order) && order != VMMEM_ORDER_RELEASE &&
	       order != VMMEM_ORDER_ACQ_REL;
}

static int
stores(int order)
{
	return order == VMMEM_ORDER_RELAXED || order == VMMEM_ORDER_RELEASE ||
	       order == VMMEM_ORDER_SEQ_CST;
}

START_TEST(order_numbers_are_those_of_c11)
{
	ck_assert_int_eq(VMMEM_ORDER_RELAXED, __ATOMIC_RELAXED);
	ck_assert_int_eq(VMMEM_ORDER_ACQUIRE, __ATOMIC_ACQUIRE);
	ck_assert_int_eq(VMMEM_ORDER_RELEASE, __ATOMIC_RELEASE);
	ck_assert_int_eq(VMMEM_ORDER_ACQ_REL, __ATOMIC_ACQ_REL);
	ck_assert_int_eq(VMMEM_ORDER_SEQ_CST, __ATOMIC_SEQ_CST);
}
END_TEST

/*
 * call_BITS() makes the operation with the given number, so that what is the
 * same for all of them is written once.
 */
enum operation {
	LOAD,
	STORE,
	EXCHANGE,
	COMPARE_EXCHANGE,
	FETCH_ADD,
	FETCH_OR,
	FETCH_AND,
	OPERATIONS
};

#define CALL(bits)                                                         \
	static int call_##bits(enum operation operation,                   \
			       const struct vmmem_collection *on,          \
			       uint64_t gpa, int order,                    \
			       uint##bits##_t *ret)                        \
	{                                                                  \
		switch (operation) {                                       \
		case LOAD:                                                 \
			return vmmem_collection_load_u##bits(on, gpa,      \
							     order, ret);  \
		case STORE:                                                \
			return vmmem_collection_store_u##bits(on, gpa, 3,  \
							      order);      \
		case EXCHANGE:                                             \
			return vmmem_collection_exchange_u##bits(          \
				on, gpa, 3, order, ret);                   \
		case COMPARE_EXCHANGE:                                     \
			return vmmem_collection_compare_exchange_u##bits(  \
				on, gpa, 0, 3, order,                      \
				VMMEM_ORDER_RELAXED, ret);                 \
		case FETCH_ADD:                                            \
			return vmmem_collection_fetch_add_u##bits(         \
				on, gpa, 3, order, ret);                   \
		case FETCH_OR:                                             \
			return vmmem_collection_fetch_or_u##bits(          \
				on, gpa, 3, order, ret);                   \
		default:                                                   \
			return vmmem_collection_fetch_and_u##bits(         \
				on, gpa, 3, order, ret);                   \
		}                                                          \
	}

CALL(8)
CALL(16)
CALL(32)
CALL(64)

static int
takes(enum operation operation, int order)
{
	if (operation == LOAD)
		return loads(order);
	if (operation == STORE)
		return stores(order);
	return is_order(order);
}

/* The code that an access without one of the permissions gets. */
static int
without(enum operation operation, uint32_t permission)
{
	if (operation == LOAD && permission == VMMEM_PROT_WRITE)
		return 0;
	if (operation == STORE && permission == VMMEM_PROT_READ)
		return 0;
	return VMMEM_EDENIED;
}

#define TEST_ORDERS(bits)                                                   \
	START_TEST(orders_##bits)                                          \
	{                                                                  \
		enum operation operation = (enum operation)_i;             \
		uint##bits##_t *host = (void *)host_of(guest, PAGE + 64);  \
		uint##bits##_t seen;                                       \
		size_t i;                                                  \
                                                                           \
		for (i = 0; i < ARRAY_LEN(orders); i++) {                  \
			int good = takes(operation, orders[i]);            \
                                                                           \
			*host = 0;                                         \
			seen = 0x5a;                                       \
			assert_code(call_##bits(operation, guest,          \
						PAGE + 64, orders[i],      \
						&seen),                    \
				    good ? 0 : VMMEM_EORDER);              \
			ck_assert_uint_eq(seen, good && operation !=       \
							STORE ? 0 : 0x5a); \
			ck_assert_uint_eq(                                 \
				*host, good && operation != LOAD &&        \
				       operation != FETCH_AND ? 3 : 0);    \
		}                                                          \
	}                                                                  \
	END_TEST

/* A refused operation leaves its output, and memory as it was: all zero. */
#define REFUSED(bits)                                                      \
	static void refused_##bits(enum operation operation,               \
				   const struct vmmem_collection *on,      \
				   uint64_t gpa, int order, int code)      \
	{                                                                  \
		uint##bits##_t seen = 0x5a;                                \
                                                                           \
		assert_code(call_##bits(operation, on, gpa, order, &seen), \
			    code);                                         \
		ck_assert_uint_eq(seen, 0x5a);                             \
		ck_assert(all_are(host_of(guest, PAGE), 0, 0xffa));        \
		ck_assert(all_are(host_of(guest, PAGE + 0xffa), 0,         \
				  0x1006));                                \
	}

REFUSED(8)
REFUSED(16)
REFUSED(32)
REFUSED(64)

#define TEST_REFUSALS(bits)                                                \
static void                                                                \
refuse_all_##bits(enum operation operation)                                \
{                                                                          \
	const uint64_t size = (bits) / 8;                                  \
	uint##bits##_t seen = 0x5a;                                        \
                                                                           \
	/* A bad order comes after a NULL pointer and before all else. */  \
	refused_##bits(operation, NULL, HOLE, -1, VMMEM_EARGUMENT);           \
	refused_##bits(operation, guest, HOLE, -1, VMMEM_EORDER);          \
	refused_##bits(operation, guest, PAGE, 6, VMMEM_EORDER);           \
	refused_##bits(operation, guest, HOLE, 0, VMMEM_EBADADDR);         \
	refused_##bits(operation, guest, DEVICE, 0, VMMEM_ENOHOST);        \
	refused_##bits(operation, guest, ROM_DEVICE, 0,                    \
		       operation == LOAD ? VMMEM_ENOHOST : VMMEM_EDENIED);   \
	if (without(operation, VMMEM_PROT_WRITE) != 0)                     \
		refused_##bits(operation, guest, ROM, 0, VMMEM_EDENIED);     \
	else                                                               \
		assert_ok(call_##bits(operation, guest, ROM, 0, &seen));   \
	if (without(operation, VMMEM_PROT_READ) != 0)                      \
		refused_##bits(operation, guest, SINK, 0, VMMEM_EDENIED);    \
	else                                                               \
		assert_ok(call_##bits(operation, guest, SINK, 0, &seen));  \
	assert_ok(call_##bits(operation, guest, TOP - (size - 1), 0,       \
			      &seen));                                     \
	if (size == 1)                                                     \
		return;                                                    \
	/* Not wholly mapped, before misaligned. */                        \
	refused_##bits(operation, guest, HOLE - 1, 0, VMMEM_EBADADDR);     \
	refused_##bits(operation, guest, PAGE - 1, 0, VMMEM_EBADADDR);     \
	/* Past the top, before misaligned. */                             \
	refused_##bits(operation, guest, TOP - (size - 2), 0,              \
		       VMMEM_EWRAPS);                                   \
	refused_##bits(operation, guest, TOP, 0, VMMEM_EWRAPS);         \
	/* In two regions, before misaligned, and before permissions. */   \
	refused_##bits(operation, guest, PAGE + 0xff9, 0, VMMEM_ECROSS);   \
	refused_##bits(operation, guest, SINK - 1, 0, VMMEM_ECROSS);       \
	refused_##bits(operation, guest, ROM_DEVICE - 1, 0, VMMEM_ECROSS); \
	if (size > 2)                                                      \
		refused_##bits(operation, guest, PAGE + 0xff8, 0,          \
			       VMMEM_ECROSS);                              \
	/* Misaligned, before permissions and the host address. */         \
	refused_##bits(operation, guest, PAGE + 1, 0, VMMEM_EMISALIGNED);  \
	refused_##bits(operation, guest, PAGE + size / 2, 0,               \
		       VMMEM_EMISALIGNED);                                 \
	refused_##bits(operation, guest, ROM + 1, 0, VMMEM_EMISALIGNED);   \
	refused_##bits(operation, guest, SINK + 1, 0, VMMEM_EMISALIGNED);  \
	refused_##bits(operation, guest, DEVICE + 1, 0,                    \
		       VMMEM_EMISALIGNED);                                 \
	refused_##bits(operation, guest, ROM_DEVICE + 1, 0,                \
		       VMMEM_EMISALIGNED);                                 \
}                                                                          \
                                                                           \
START_TEST(refusals_##bits)                                                \
{                                                                          \
	refuse_all_##bits((enum operation)_i);                             \
}                                                                          \
END_TEST

TEST_ORDERS(8)
TEST_ORDERS(16)
TEST_ORDERS(32)
TEST_ORDERS(64)
TEST_REFUSALS(8)
TEST_REFUSALS(16)
TEST_REFUSALS(32)
TEST_REFUSALS(64)

/* What the operations do, in each width, next to neighbours that stay. */
#define TEST_RESULTS(bits)                                                 \
	START_TEST(results_##bits)                                         \
	{                                                                  \
		const uint##bits##_t max = (uint##bits##_t)TOP;            \
		const uint64_t gpa = PAGE + 64;                            \
		const int order = orders[_i];                              \
		uint8_t *around = host_of(guest, gpa - 16);                \
		uint##bits##_t *host = (void *)host_of(guest, gpa);        \
		uint##bits##_t seen = 1;                                   \
                                                                           \
		memset(around, 0xa5, 48);                                  \
		*host = 0;                                                 \
		assert_ok(vmmem_collection_exchange_u##bits(               \
			guest, gpa, max, order, &seen));                   \
		ck_assert_uint_eq(seen, 0);                                \
		ck_assert_uint_eq(*host, max);                             \
		/* Modulo 2^bits. */                                       \
		assert_ok(vmmem_collection_fetch_add_u##bits(              \
			guest, gpa, 8, order, &seen));                     \
		ck_assert_uint_eq(seen, max);                              \
		ck_assert_uint_eq(*host, 7);                               \
		assert_ok(vmmem_collection_fetch_or_u##bits(               \
			guest, gpa, 0x58, order, &seen));                  \
		ck_assert_uint_eq(seen, 7);                                \
		ck_assert_uint_eq(*host, 0x5f);                            \
		assert_ok(vmmem_collection_fetch_and_u##bits(              \
			guest, gpa, (uint##bits##_t)~0x0fU, order,         \
			&seen));                                           \
		ck_assert_uint_eq(seen, 0x5f);                             \
		ck_assert_uint_eq(*host, 0x50);                            \
		assert_ok(vmmem_collection_compare_exchange_u##bits(       \
			guest, gpa, 0x50, max, order,                      \
			VMMEM_ORDER_RELAXED, &seen));                      \
		ck_assert_uint_eq(seen, 0x50);                             \
		ck_assert_uint_eq(*host, max);                             \
		assert_ok(vmmem_collection_compare_exchange_u##bits(       \
			guest, gpa, 0x50, 1, order, VMMEM_ORDER_ACQUIRE,   \
			&seen));                                           \
		ck_assert_uint_eq(seen, max);                              \
		ck_assert_uint_eq(*host, max);                             \
		/* Who does not want to know need not. */                  \
		assert_ok(vmmem_collection_exchange_u##bits(               \
			guest, gpa, 1, order, NULL));                      \
		assert_ok(vmmem_collection_fetch_add_u##bits(              \
			guest, gpa, 1, order, NULL));                      \
		assert_ok(vmmem_collection_fetch_or_u##bits(               \
			guest, gpa, 8, order, NULL));                      \
		assert_ok(vmmem_collection_fetch_and_u##bits(              \
			guest, gpa, (uint##bits##_t)~2U, order, NULL));    \
		ck_assert_uint_eq(*host, 8);                               \
		assert_ok(vmmem_collection_store_u##bits(                  \
			guest, gpa, (uint##bits##_t)(max - 1),             \
			VMMEM_ORDER_RELEASE));                             \
		ck_assert_uint_eq(*host, (uint##bits##_t)(max - 1));       \
		*host = 0x5c;                                              \
		assert_ok(vmmem_collection_load_u##bits(                   \
			guest, gpa, VMMEM_ORDER_ACQUIRE, &seen));          \
		ck_assert_uint_eq(seen, 0x5c);                             \
		ck_assert(all_are(around, 0xa5, 16));                      \
		ck_assert(all_are(around + 16 + (bits) / 8, 0xa5,          \
				  32 - (bits) / 8));                       \
	}                                                                  \
	END_TEST                                                           \
                                                                           \
	/* Where an output has to be, and the orders of two parts. */      \
	START_TEST(arguments_##bits)                                       \
	{                                                                  \
		int (*compare_exchange)(const struct vmmem_collection *,   \
					uint64_t, uint##bits##_t,          \
					uint##bits##_t, int, int,          \
					uint##bits##_t *) =                \
			vmmem_collection_compare_exchange_u##bits;         \
		uint##bits##_t seen = 0x5a;                                \
		size_t i, k;                                               \
                                                                           \
		assert_code(vmmem_collection_load_u##bits(guest, HOLE, -1, \
							  NULL),           \
			    VMMEM_EARGUMENT);                                 \
		assert_code(vmmem_collection_compare_exchange_u##bits(     \
				    guest, HOLE, 0, 1, -1, -1, NULL),      \
			    VMMEM_EARGUMENT);                                 \
		for (i = 0; i < ARRAY_LEN(orders); i++) {                  \
			for (k = 0; k < ARRAY_LEN(orders); k++) {          \
				int good = is_order(orders[i]) &&          \
					   loads(orders[k]);               \
				int code;                                  \
                                                                           \
				seen = 0x5a;                               \
				code = compare_exchange(                   \
					guest, PAGE + 64, 9, 1, orders[i], \
					orders[k], &seen);                 \
				assert_code(code,                          \
					    good ? 0 : VMMEM_EORDER);      \
				ck_assert_uint_eq(seen, good ? 0 : 0x5a);  \
			}                                                  \
		}                                                          \
		/* Writing must be permitted even if none happens. */      \
		seen = 0x5a;                                               \
		assert_code(vmmem_collection_compare_exchange_u##bits(     \
				    guest, ROM, 9, 1, 0, 0, &seen),        \
			    VMMEM_EDENIED);                                  \
		ck_assert_uint_eq(seen, 0x5a);                             \
	}                                                                  \
	END_TEST

TEST_RESULTS(8)
TEST_RESULTS(16)
TEST_RESULTS(32)
TEST_RESULTS(64)

/* By guest address, on regions that begin at any address. */
START_TEST(alignment_is_the_guests)
{
	struct vmmem_collection *odd =
		guest_of_one(region_of(0x1003 + (uint64_t)_i, 0x100));
	uint64_t gpa, first = 0x1003 + (uint64_t)_i;
	uint64_t seen;

	for (gpa = first; gpa + 8 <= first + 0x100; gpa++)
		assert_code(vmmem_collection_load_u64(odd, gpa,
						      VMMEM_ORDER_RELAXED,
						      &seen),
			    gpa % 8 == 0 ? 0 : VMMEM_EMISALIGNED);
	vmmem_collection_unref(odd);
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("atomic");
	TCase *tcase = tcase_create("atomic");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, order_numbers_are_those_of_c11);
#define ADD(bits)                                                          \
	tcase_add_loop_test(tcase, orders_##bits, 0, OPERATIONS);          \
	tcase_add_loop_test(tcase, refusals_##bits, 0, OPERATIONS);        \
	tcase_add_loop_test(tcase, results_##bits, 0, 5);                  \
	tcase_add_test(tcase, arguments_##bits)
	ADD(8);
	ADD(16);
	ADD(32);
	ADD(64);
	tcase_add_loop_test(tcase, alignment_is_the_guests, 0, 16);
	suite_add_tcase(suite, tcase);
	return suite;
}
