/* SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0 */
/* Integers and atomics, through a slice. */
#include "model.h"

#define UNTOUCHED UINT64_C(0x5aa555aa00ff33cc)

/* One signature for all: a value that was not written stays as it was. */
#define TYPE(suffix, type)                                                 \
	static int read_##suffix(const struct vmmem_slice *slice,          \
				 uint64_t offset, uint64_t *ret_value)     \
	{                                                                  \
		type value = (type)UNTOUCHED;                              \
		int rc = vmmem_slice_read_##suffix(slice, offset, &value); \
                                                                           \
		*ret_value = value;                                        \
		return rc;                                                 \
	}                                                                  \
	static int write_##suffix(const struct vmmem_slice *slice,         \
				  uint64_t offset, uint64_t value)         \
	{                                                                  \
		return vmmem_slice_write_##suffix(slice, offset,           \
						  (type)value);            \
	}

TYPE(u8, uint8_t)
TYPE(u16, uint16_t)
TYPE(u32, uint32_t)
TYPE(u64, uint64_t)
TYPE(le16, uint16_t)
TYPE(le32, uint32_t)
TYPE(le64, uint64_t)
TYPE(be16, uint16_t)
TYPE(be32, uint32_t)
TYPE(be64, uint64_t)

static const struct {
	int (*read)(const struct vmmem_slice *slice, uint64_t offset,
		    uint64_t *ret_value);
	int (*write)(const struct vmmem_slice *slice, uint64_t offset,
		     uint64_t value);
	unsigned int size;
	bool big;
} types[] = {
	{ read_u8, write_u8, 1, false },
	{ read_u16, write_u16, 2, NATIVE_IS_BIG },
	{ read_u32, write_u32, 4, NATIVE_IS_BIG },
	{ read_u64, write_u64, 8, NATIVE_IS_BIG },
	{ read_le16, write_le16, 2, false },
	{ read_le32, write_le32, 4, false },
	{ read_le64, write_le64, 8, false },
	{ read_be16, write_be16, 2, true },
	{ read_be32, write_be32, 4, true },
	{ read_be64, write_be64, 8, true },
};

#define TYPES (sizeof(types) / sizeof(types[0]))

static uint64_t
get(const struct view *view, uint64_t offset, unsigned int size, bool big)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < size; i++) {
		unsigned int shift = 8 * (big ? size - 1 - i : i);

		value |= (uint64_t)*view_cell(view, offset + i) << shift;
	}
	return value;
}

static void
put(const struct view *view, uint64_t offset, unsigned int size, bool big,
    uint64_t value)
{
	unsigned int i;

	for (i = 0; i < size; i++) {
		unsigned int shift = 8 * (big ? size - 1 - i : i);

		view_write(view, offset + i, (unsigned char)(value >> shift));
	}
}

void
view_read_value(const struct view *view)
{
	size_t type = (size_t)rng_below(&world.rng, TYPES);
	unsigned int size = types[type].size;
	uint64_t offset = pick_offset(view);
	uint64_t mask = UINT64_MAX >> (64 - 8 * size);
	uint64_t value;
	int want;

	want = view_code(view, offset, size, VMMEM_PROT_READ);
	EXPECT_CODE(types[type].read(&view->slice, offset, &value), want);
	EXPECT(value == (want == 0 ? get(view, offset, size,
					 types[type].big) :
				     UNTOUCHED & mask));
	verify_bytes();
}

void
view_write_value(const struct view *view)
{
	size_t type = (size_t)rng_below(&world.rng, TYPES);
	unsigned int size = types[type].size;
	uint64_t offset = pick_offset(view);
	uint64_t value = rng_next(&world.rng);
	int want;

	want = view_code(view, offset, size, VMMEM_PROT_WRITE);
	if (want == 0)
		put(view, offset, size, types[type].big, value);
	EXPECT_CODE(types[type].write(&view->slice, offset, value), want);
	verify_bytes();
}

/* One signature for all widths. */
#define WIDTH(suffix, type)                                                \
	static int call_##suffix(const struct vmmem_slice *slice,          \
				 struct atomic_call *call)                 \
	{                                                                  \
		type previous = (type)UNTOUCHED;                           \
		type operand = (type)call->operand;                        \
		type *ret = call->forget ? NULL : &previous;               \
		int rc = 1;                                                \
                                                                           \
		if (call->kind == LOAD)                                    \
			rc = vmmem_slice_load_##suffix(                    \
				slice, call->at, call->order, &previous);  \
		else if (call->kind == STORE)                              \
			rc = vmmem_slice_store_##suffix(                   \
				slice, call->at, operand, call->order);    \
		else if (call->kind == EXCHANGE)                           \
			rc = vmmem_slice_exchange_##suffix(                \
				slice, call->at, operand, call->order,     \
				ret);                                      \
		else if (call->kind == COMPARE)                            \
			rc = vmmem_slice_compare_exchange_##suffix(        \
				slice, call->at, (type)call->expected,     \
				operand, call->order, call->failure,       \
				&previous);                                \
		else if (call->kind == ADD)                                \
			rc = vmmem_slice_fetch_add_##suffix(               \
				slice, call->at, operand, call->order,     \
				ret);                                      \
		else if (call->kind == OR)                                 \
			rc = vmmem_slice_fetch_or_##suffix(                \
				slice, call->at, operand, call->order,     \
				ret);                                      \
		else if (call->kind == AND)                                \
			rc = vmmem_slice_fetch_and_##suffix(               \
				slice, call->at, operand, call->order,     \
				ret);                                      \
		call->previous = previous;                                 \
		return rc;                                                 \
	}

WIDTH(u8, uint8_t)
WIDTH(u16, uint16_t)
WIDTH(u32, uint32_t)
WIDTH(u64, uint64_t)

static int (*const widths[])(const struct vmmem_slice *slice,
			     struct atomic_call *call) = {
	call_u8,
	call_u16,
	call_u32,
	call_u64,
};

/* The codes in the order that vmmem/slice_atomic.h gives. */
static int
atomic_code(const struct view *view, const struct atomic_call *call,
	    unsigned int size)
{
	uint64_t gpa = view->piece->gpa + view->first + call->at;

	if (!atomic_order_good(call))
		return VMMEM_EORDER;
	if (call->at > view->slice.len || size > view->slice.len - call->at)
		return VMMEM_EOUTOFRANGE;
	if (gpa % size != 0)
		return VMMEM_EMISALIGNED;
	return (atomic_access(call) & ~view->slice.access) != 0 ? VMMEM_EDENIED :
								  0;
}

void
view_atomic(const struct view *view)
{
	struct rng *rng = &world.rng;
	unsigned int width = (unsigned int)rng_below(rng, 4);
	unsigned int size = 1U << width;
	uint64_t mask = UINT64_MAX >> (64 - 8 * size);
	uint64_t previous = UNTOUCHED & mask;
	uint64_t base = view->piece->gpa + view->first;
	struct atomic_call call;
	int want;

	pick_atomic(&call, pick_offset(view), mask);
	if (rng_chance(rng, 75))
		call.at += -(base + call.at) % size;
	want = atomic_code(view, &call, size);
	if (want == 0) {
		previous = get(view, call.at, size, NATIVE_IS_BIG);
		if (rng_chance(rng, 50))
			call.expected = previous;
		if (atomic_writes(&call, previous))
			put(view, call.at, size, NATIVE_IS_BIG,
			    atomic_result(&call, previous));
	}
	EXPECT_CODE(widths[width](&view->slice, &call), want);
	EXPECT(call.previous ==
	       (atomic_gives(&call) ? previous : UNTOUCHED & mask));
	verify_bytes();
}
