/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * A later library: each accessor of vmmem/inline.h leaves to it whatever is not
 * the good case, and returns what it says.  That library is stubs of what the
 * bodies call, which count and return one code.
 */
#include <stdio.h>
#include <string.h>

#include <vmmem/endian_access.h>
#include <vmmem/inline.h>

#define CODE (-77)
#define READ_WRITE (VMMEM_PROT_READ | VMMEM_PROT_WRITE)

VMMEM_BEGIN_DECLS
extern int stub_calls; /* of the file that is made of stubs */
VMMEM_END_DECLS

static int failures;
static uint64_t memory[4];
static const uint32_t not_logging = 0;

static struct vmmem_slice
slice_of(uint32_t access)
{
	struct vmmem_slice slice;

	memset(&slice, 0, sizeof(slice));
	slice.host = memory;
	slice.len = sizeof(memory);
	slice.logging = &not_logging;
	slice.access = access;
	return slice;
}

/* What is wrong in each case; the last is what is not. */
struct trial {
	const char *what;
	uint32_t access;
	uint64_t offset;
	int order;
};

static const struct trial trials[] = {
	{ "the library's slice", READ_WRITE | VMMEM_SLICE_CALL, 8, 0 },
	{ "no permission", 0, 8, 0 },
	{ "out of range", READ_WRITE, 32, 0 },
	{ "far out of range", READ_WRITE, UINT64_MAX, 0 },
	{ "nothing", READ_WRITE, 8, 0 },
};
#define TRIALS (sizeof(trials) / sizeof(trials[0]))

static void
expect(const char *name, const char *what, int good, int code, int before)
{
	if (good && code == 0 && stub_calls == before)
		return;
	if (!good && code == CODE && stub_calls == before + 1)
		return;
	printf("FAIL: %s, %s: code %d, %d calls\n", name, what, code,
	       stub_calls - before);
	failures++;
}

/* Whether a call with other arguments than the good ones leaves all alone. */
#define TRY(name, good, call)                                              \
	do {                                                               \
		uint64_t copy[4];                                          \
		int before = stub_calls, code;                             \
                                                                           \
		memcpy(copy, memory, sizeof(copy));                        \
		code = call;                                               \
		expect(#name, trials[i].what, good, code, before);         \
		if (!(good) && memcmp(copy, memory, sizeof(copy)) != 0) {  \
			printf("FAIL: %s wrote\n", #name);                 \
			failures++;                                        \
		}                                                          \
	} while (0)

#define EACH(name, bits, given, wrong)                                     \
	do {                                                               \
		uint##bits##_t value = 42;                                 \
		size_t i;                                                  \
                                                                           \
		for (i = 0; i < TRIALS; i++) {                             \
			const struct vmmem_slice made =                    \
				slice_of(trials[i].access);                \
			const struct vmmem_slice *slice = &made;           \
			const uint64_t offset = trials[i].offset;          \
			int order = trials[i].order;                       \
                                                                           \
			TRY(name, i == TRIALS - 1,                         \
			    vmmem_slice_##name given);                     \
			slice = NULL;                                      \
			TRY(name, 0, vmmem_slice_##name given);            \
			slice = &made;                                     \
			order = 99;                                        \
			TRY(name, 0, vmmem_slice_##name wrong);            \
			(void)order;                                       \
		}                                                          \
		(void)value;                                               \
	} while (0)

#define MODIFY(name, bits)                                                 \
	EACH(name##_u##bits, bits, (slice, offset, 1, order, &value),      \
	     (slice, offset, 1, order, &value))

#define ATOMICS(bits)                                                      \
	do {                                                               \
		EACH(load_u##bits, bits, (slice, offset, order, &value),   \
		     (slice, offset, order, &value));                      \
		EACH(load_u##bits, bits, (slice, offset, order, &value),   \
		     (slice, offset, 0, NULL));                            \
		EACH(store_u##bits, bits, (slice, offset, 1, order),       \
		     (slice, offset, 1, order));                           \
		MODIFY(exchange, bits);                                    \
		MODIFY(fetch_add, bits);                                   \
		MODIFY(fetch_or, bits);                                    \
		MODIFY(fetch_and, bits);                                   \
		EACH(compare_exchange_u##bits, bits,                       \
		     (slice, offset, 1, 2, order, 0, &value),              \
		     (slice, offset, 1, 2, 0, order, &value));             \
		EACH(compare_exchange_u##bits, bits,                       \
		     (slice, offset, 1, 2, order, 0, &value),              \
		     (slice, offset, 1, 2, order, 0, NULL));               \
	} while (0)

#define ORDERED(type, bits)                                                \
	do {                                                               \
		EACH(load_##type, bits, (slice, offset, order, &value),    \
		     (slice, offset, order, &value));                      \
		EACH(store_##type, bits, (slice, offset, 1, order),        \
		     (slice, offset, 1, order));                           \
	} while (0)

#define INTEGER(type, bits)                                                \
	do {                                                               \
		EACH(read_##type, bits, (slice, offset, &value),           \
		     (slice, offset, NULL));                               \
		EACH(write_##type, bits, (slice, offset, 1),               \
		     (NULL, offset, 1));                                   \
	} while (0)

/* One that is not aligned is not one access. */
#define MISALIGNED(name, given)                                            \
	do {                                                               \
		const struct vmmem_slice made = slice_of(READ_WRITE);      \
		const struct vmmem_slice *slice = &made;                   \
		const size_t i = 0;                                        \
                                                                           \
		TRY(name, 0, vmmem_slice_##name given);                    \
	} while (0)

static void
parts(void)
{
	const struct vmmem_slice good = slice_of(READ_WRITE);
	const struct vmmem_slice called =
		slice_of(READ_WRITE | VMMEM_SLICE_CALL);
	struct vmmem_slice part;
	const size_t i = TRIALS - 1;

	TRY(sub, 1, vmmem_slice_sub(&good, 8, 8, &part));
	TRY(sub, 0, vmmem_slice_sub(&called, 8, 8, &part));
	TRY(sub, 0, vmmem_slice_sub(&good, 8, 0, &part));
	TRY(sub, 0, vmmem_slice_sub(&good, 32, 1, &part));
	TRY(sub, 0, vmmem_slice_sub(NULL, 0, 1, &part));
	TRY(sub, 0, vmmem_slice_sub(&good, 0, 1, NULL));
}

int
main(void)
{
	uint16_t got = 0;

	ATOMICS(8);
	ATOMICS(16);
	ATOMICS(32);
	ATOMICS(64);
	ORDERED(le16, 16);
	ORDERED(le32, 32);
	ORDERED(le64, 64);
	ORDERED(be16, 16);
	ORDERED(be32, 32);
	ORDERED(be64, 64);
	INTEGER(u8, 8);
	INTEGER(u16, 16);
	INTEGER(u32, 32);
	INTEGER(u64, 64);
	INTEGER(le16, 16);
	INTEGER(le32, 32);
	INTEGER(le64, 64);
	INTEGER(be16, 16);
	INTEGER(be32, 32);
	INTEGER(be64, 64);
	MISALIGNED(load_u16, (slice, 1, 0, &got));
	MISALIGNED(store_u32, (slice, 2, 1, 0));
	MISALIGNED(fetch_add_u64, (slice, 4, 1, 0, NULL));
	MISALIGNED(read_le16, (slice, 3, &got));
	MISALIGNED(write_be64, (slice, 1, 1));
	parts();
	return failures != 0;
}
