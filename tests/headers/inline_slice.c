/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/*
 * The accessors of vmmem/inline.h beside their exported twins, as inline_use.c
 * has it.  Both work on the same bytes, one after the other, and must give the
 * same code, the same value and the same bytes.
 */
#include <stdio.h>
#include <string.h>

#include <vmmem/inline.h>
#include <vmmem/vmmem.h>

#ifdef CALLS_ONLY
#define TWIN(function, pointer) function
#define ASSIGN(pointer, function) ((void)0)
#else
/* A pointer that the compiler must load, and so cannot see through. */
#define TWIN(function, pointer) pointer
#define ASSIGN(pointer, function) (pointer = (function))
#endif

typedef const struct vmmem_slice *window;

struct outcome {
	int code;
	uint64_t value;
	unsigned char bytes[32];
};

extern int failures;
extern int slice_twins(window slice, uint64_t offset, int order);

int failures;

/* Each twin finds the bytes as the other found them. */
static void
begin(window slice, struct outcome *outcome)
{
	size_t i;

	memset(outcome, 0, sizeof(*outcome));
	for (i = 0; i < sizeof(outcome->bytes); i++)
		((unsigned char *)slice->host)[i] = (unsigned char)(i * 37);
}

static void
end(window slice, struct outcome *outcome, int code, uint64_t value)
{
	outcome->code = code;
	outcome->value = value;
	memcpy(outcome->bytes, slice->host, sizeof(outcome->bytes));
}

static void
same(const char *name, const struct outcome *one, const struct outcome *two)
{
	if (memcmp(one, two, sizeof(*one)) == 0)
		return;
	printf("FAIL: %s() and its exported twin differ\n", name);
	failures++;
}

/* Makes both calls; 'value' is what they put there. */
#define BOTH(function, bits, type, arguments)                              \
	do {                                                               \
		int(*volatile pointer) type = NULL;                        \
		uint##bits##_t value = 42;                                 \
		struct outcome one, two;                                   \
		int code;                                                  \
                                                                           \
		(void)pointer;                                             \
		ASSIGN(pointer, function);                                 \
		begin(slice, &one);                                        \
		code = function arguments;                                 \
		end(slice, &one, code, value);                             \
		value = 42;                                                \
		begin(slice, &two);                                        \
		code = TWIN(function, pointer) arguments;                  \
		end(slice, &two, code, value);                             \
		same(#function, &one, &two);                               \
	} while (0)

#define MODIFY(name, bits)                                                 \
	BOTH(vmmem_slice_##name##_u##bits, bits,                           \
	     (window, uint64_t, uint##bits##_t, int, uint##bits##_t *),    \
	     (slice, offset, (uint##bits##_t)0x8f8f8f8f8f8f8f8f, order,    \
	      &value))

#define ATOMICS(bits)                                                      \
	do {                                                               \
		uint##bits##_t there = 0;                                  \
		struct outcome ignored;                                    \
                                                                           \
		BOTH(vmmem_slice_load_u##bits, bits,                       \
		     (window, uint64_t, int, uint##bits##_t *),            \
		     (slice, offset, order, &value));                      \
		BOTH(vmmem_slice_store_u##bits, bits,                      \
		     (window, uint64_t, uint##bits##_t, int),              \
		     (slice, offset, (uint##bits##_t)~value, order));      \
		MODIFY(exchange, bits);                                    \
		MODIFY(fetch_add, bits);                                   \
		MODIFY(fetch_or, bits);                                    \
		MODIFY(fetch_and, bits);                                   \
		/* One that stores, if the offset is good, and not. */     \
		begin(slice, &ignored);                                    \
		if (offset + sizeof(there) <= sizeof(ignored.bytes))       \
			memcpy(&there,                                     \
			       (unsigned char *)slice->host + offset,      \
			       sizeof(there));                             \
		BOTH(vmmem_slice_compare_exchange_u##bits, bits,           \
		     (window, uint64_t, uint##bits##_t, uint##bits##_t,    \
		      int, int, uint##bits##_t *),                         \
		     (slice, offset, there, (uint##bits##_t)~value, order, \
		      VMMEM_ORDER_ACQUIRE, &value));                       \
		BOTH(vmmem_slice_compare_exchange_u##bits, bits,           \
		     (window, uint64_t, uint##bits##_t, uint##bits##_t,    \
		      int, int, uint##bits##_t *),                         \
		     (slice, offset, (uint##bits##_t)~there,               \
		      (uint##bits##_t)~value, VMMEM_ORDER_SEQ_CST, order,  \
		      &value));                                            \
	} while (0)

#define INTEGER(type, bits)                                                \
	do {                                                               \
		BOTH(vmmem_slice_read_##type, bits,                        \
		     (window, uint64_t, uint##bits##_t *),                 \
		     (slice, offset, &value));                             \
		BOTH(vmmem_slice_write_##type, bits,                       \
		     (window, uint64_t, uint##bits##_t),                   \
		     (slice, offset, (uint##bits##_t)~value));             \
	} while (0)

static void
sub_twins(window slice, uint64_t offset)
{
	int (*volatile pointer)(window, uint64_t, uint64_t,
				struct vmmem_slice *) = NULL;
	struct vmmem_slice one, two;
	int code, twin_code;

	(void)pointer;
	ASSIGN(pointer, vmmem_slice_sub);
	memset(&one, 0, sizeof(one));
	memset(&two, 0, sizeof(two));
	code = vmmem_slice_sub(slice, offset, 5, &one);
	twin_code = TWIN(vmmem_slice_sub, pointer)(slice, offset, 5, &two);
	if (code == twin_code && one.host == two.host && one.len == two.len &&
	    one.logging == two.logging && one.log_offset == two.log_offset &&
	    one.flags == two.flags && one.access == two.access &&
	    one.region == two.region && one.gpa == two.gpa)
		return;
	printf("FAIL: vmmem_slice_sub() and its exported twin differ\n");
	failures++;
}

/* What a fence does is not seen; that there are both is. */
static void
fence_twins(int order)
{
	void (*volatile pointer)(int) = NULL;

	(void)pointer;
	ASSIGN(pointer, vmmem_fence);
	vmmem_fence(order);
	TWIN(vmmem_fence, pointer)(order);
}

int
slice_twins(window slice, uint64_t offset, int order)
{
	sub_twins(slice, offset);
	fence_twins(order);
	ATOMICS(8);
	ATOMICS(16);
	ATOMICS(32);
	ATOMICS(64);
	INTEGER(u8, 8);
	INTEGER(u16, 16);
	INTEGER(u32, 32);
	INTEGER(u64, 64);
	return failures;
}

#ifndef CALLS_ONLY
int
main(void)
{
	struct vmmem_region *region = NULL;
	struct vmmem_slice slice;
	uint64_t offset;
	uint32_t access;
	int order;

	if (vmmem_region_new_anonymous(0, 32, &region) != 0 ||
	    vmmem_region_slice(region, 0, 32, 3, &slice) != 0)
		return 2;
	for (access = 0; access < 8; access++) {
		/* The last four are all the library's. */
		slice.access = access < 4 ? access :
					    access % 4 | VMMEM_SLICE_CALL;
		for (offset = 0; offset <= 33; offset++) {
			for (order = -1; order <= 6; order++)
				(void)slice_twins(&slice, offset, order);
		}
	}
	vmmem_region_unref(region);
	return failures != 0;
}
#endif
